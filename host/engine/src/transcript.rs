//! What was said in an interaction, in order and within bounds.
//!
//! Invariant: never more than [`limits::TRANSCRIPT_MAX`] texts and [`limits::TRANSCRIPT_BYTES_MAX`] bytes; what was cut
//! is the oldest, and is counted.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::event::Speaker;
use crate::id::UnixMillis;
use crate::limits;

/// What was said in an interaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transcript {
    /// How many older texts were cut.
    pub cut: u32,
    /// The oldest first.
    pub said: Vec<Said>,
}

/// One text of a transcript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Said {
    /// When.
    #[schema(value_type = u64)]
    pub at: UnixMillis,
    /// Who, by part.
    pub speaker: Speaker,
    /// Name of the token or the agent.
    pub by: String,
    /// What.
    pub text: String,
}

impl Transcript {
    pub(crate) fn push(&mut self, said: Said) {
        self.said.push(said);
        let mut bytes: usize = self.said.iter().map(Said::bytes).sum();
        let mut count = self.said.len();
        let over = self.said.iter().take_while(|said| {
            let over = count > limits::TRANSCRIPT_MAX || bytes > limits::TRANSCRIPT_BYTES_MAX;
            if over {
                count -= 1;
                bytes -= said.bytes();
            }
            over
        });
        let over = over.count();
        self.said.drain(..over);
        self.cut = self.cut.saturating_add(u32::try_from(over).unwrap_or(u32::MAX));
    }

    /// As people read it: a line for each text, with its moment in UTC and what `name` calls the speaker. At most
    /// `bytes_max` bytes; the oldest texts give way, and a first line says how many.
    pub(crate) fn text(&self, bytes_max: usize, name: impl Fn(&Said) -> String) -> String {
        let mut lines = Vec::new();
        let mut room = bytes_max.saturating_sub(FIRST_LINE_BYTES);
        for said in self.said.iter().rev() {
            let line = format!("[{}] {}: {}\n", moment(said.at), name(said), said.text);
            let Some(rest) = room.checked_sub(line.len()) else { break };
            room = rest;
            lines.push(line);
        }
        let gone = usize::try_from(self.cut).unwrap_or(usize::MAX).saturating_add(self.said.len() - lines.len());
        let mut text = String::new();
        if gone > 0 {
            // Writing to a string does not fail.
            let _ = writeln!(text, "[{gone} earlier texts are left out]");
        }
        lines.iter().rev().for_each(|line| text.push_str(line));
        text
    }
}

/// Room for the line that says how many texts are left out.
const FIRST_LINE_BYTES: usize = 64;

impl Said {
    fn bytes(&self) -> usize {
        self.text.len() + self.by.len()
    }
}

/// `2026-01-31 09:15:00 UTC`.
fn moment(at: UnixMillis) -> String {
    let at = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(at: u64, text: &str) -> Said {
        Said { at: UnixMillis(at), speaker: Speaker::Customer, by: "web".into(), text: text.into() }
    }

    fn name(said: &Said) -> String {
        said.by.clone()
    }

    #[test]
    fn texts_stand_in_order_with_their_moments() {
        let mut transcript = Transcript::default();
        transcript.push(said(0, "Hello"));
        transcript.push(said(61_000, "Is anybody there?"));
        let expected = "[1970-01-01 00:00:00 UTC] web: Hello\n[1970-01-01 00:01:01 UTC] web: Is anybody there?\n";
        assert_eq!(transcript.text(1000, name), expected);
        assert_eq!(Transcript::default().text(1000, name), "");
    }

    #[test]
    fn the_oldest_is_cut_and_counted() {
        let mut transcript = Transcript::default();
        for n in 0..limits::TRANSCRIPT_MAX + 3 {
            transcript.push(said(n as u64, "x"));
        }
        assert_eq!((transcript.said.len(), transcript.cut), (limits::TRANSCRIPT_MAX, 3));
        assert_eq!(transcript.said[0].at, UnixMillis(3));
        assert!(transcript.text(1 << 20, name).starts_with("[3 earlier texts are left out]\n"));

        let mut transcript = Transcript::default();
        for n in 0..6 {
            transcript.push(said(n, &"x".repeat(limits::REPLY_BYTES_MAX)));
        }
        assert_eq!((transcript.said.len(), transcript.cut), (3, 3));
        transcript.push(said(9, "y"));
        assert_eq!((transcript.said.len(), transcript.cut), (4, 3));
    }

    #[test]
    fn a_text_too_long_for_its_place_loses_its_beginning() {
        let mut transcript = Transcript::default();
        (0..10).for_each(|n| transcript.push(said(n, &format!("text {n}"))));
        for bytes_max in [0, 64, 100, 200, 1000] {
            let text = transcript.text(bytes_max, name);
            assert!(text.len() <= bytes_max.max(64), "{bytes_max}: {text}");
            assert!(bytes_max < 110 || text.ends_with("text 9\n"), "{bytes_max}: {text}");
        }
    }
}
