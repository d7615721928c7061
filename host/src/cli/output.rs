//! What is printed: tables and lines for people, JSON for programs; colours only where a terminal shows them.
//!
//! Results go to standard output, everything else (steps, progress, errors) to standard error, so that a pipe gets results
//! and nothing else.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use super::error::Error;

/// A colour or weight of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Bold,
    Dim,
    Red,
    Green,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
        }
    }
}

/// Where and how things are printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
    colour_out: bool,
    colour_err: bool,
}

impl Output {
    /// For people, or as JSON.
    pub fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self {
            json,
            colour_out: wanted && !json && std::io::stdout().is_terminal(),
            colour_err: wanted && !json && std::io::stderr().is_terminal(),
        }
    }

    /// Whether standard error shows colours.
    pub fn is_colourful(&self) -> bool {
        self.colour_err
    }

    /// Text for standard output, styled where a terminal shows it.
    pub fn paint<'a>(&self, style: Style, text: &'a str) -> Cow<'a, str> {
        painted(self.colour_out, style, text)
    }

    /// Text for standard error, styled where a terminal shows it.
    pub fn paint_step<'a>(&self, style: Style, text: &'a str) -> Cow<'a, str> {
        painted(self.colour_err, style, text)
    }

    /// A result: JSON, or what `human` makes of it.
    pub fn result<T: Serialize>(&self, value: &T, human: impl FnOnce(&T) -> String) -> Result<(), Error> {
        let text = if self.json {
            serde_json::to_string_pretty(value)
                .map_err(|error| Error::new("the result cannot be printed").because(&error))?
        } else {
            human(value)
        };
        print(text.trim_end())
    }

    /// A line about what is being done; not in JSON.
    pub fn step(&self, text: &str) {
        if !self.json {
            self.note(text);
        }
    }

    /// A line about what is being done that even a program's log should have.
    pub fn note(&self, text: &str) {
        // Nobody to tell where standard error is closed.
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// A step that took so long.
    pub fn timed(&self, text: &str, took: Duration) {
        let took = format!("({})", duration(took));
        self.step(&format!(
            "{} {text} {}",
            painted(self.colour_err, Style::Green, "✓"),
            painted(self.colour_err, Style::Dim, &took)
        ));
    }

    /// Why a command failed.
    pub fn error(&self, error: &Error) {
        if self.json {
            let text = serde_json::to_string_pretty(&serde_json::json!({ "error": error }));
            return self.note(&text.unwrap_or_else(|_| error.what.clone()));
        }
        let code = error.code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
        let colour = self.colour_err;
        self.note(&format!(
            "{} {}{}",
            painted(colour, Style::Red, "error:"),
            error.what,
            painted(colour, Style::Dim, &code)
        ));
        for place in &error.at {
            self.note(&format!("  {} {place}", painted(colour, Style::Dim, "at")));
        }
        for fault in &error.faults {
            self.note(&format!("  {} {fault}", painted(colour, Style::Dim, "at")));
        }
        if let Some(fix) = &error.fix {
            self.note(&format!("  {} {fix}", painted(colour, Style::Bold, "do:")));
        }
    }

    /// A bar over `total` steps. Hidden in JSON and where standard error is no terminal.
    pub fn bar(&self, total: u64, what: &'static str) -> ProgressBar {
        let target = if self.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
        let style = ProgressStyle::with_template("{msg:24} {bar:32} {human_pos}/{human_len} {per_sec} eta {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(total), target).with_style(style).with_message(what)
    }
}

fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        // The reader has seen enough, as `head` has.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Error::new("standard output cannot be written").because(&error)),
        Ok(()) => Ok(()),
    }
}

fn painted(colour: bool, style: Style, text: &str) -> Cow<'_, str> {
    if colour { format!("\x1b[{}m{text}\x1b[0m", style.code()).into() } else { text.into() }
}

/// Rows under headings, columns aligned; a column of numbers to the right.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return "(none)".into();
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(headings[column].chars().count())
    };
    let numeric = |column: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.is_empty());
        cells.clone().next().is_some()
            && cells.all(|cell| cell.trim_end_matches([' ', '%', 'm', 's']).parse::<f64>().is_ok())
    };
    let columns: Vec<(usize, bool)> = (0..headings.len()).map(|column| (width(column), numeric(column))).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&columns).map(
            |(cell, (width, right))| {
                if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            },
        );
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut headings.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// A field of a JSON object, as text in a cell: nothing for nothing, text without quotes, the rest as JSON.
pub(super) fn cell(value: &Value, field: &str) -> String {
    text(value.pointer(&format!("/{}", field.replace('.', "/"))).unwrap_or(&Value::Null))
}

/// A JSON value as text in a cell.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Shortened to so many characters, on one line.
pub(super) fn shortened(text: &str, characters: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= characters {
        return line;
    }
    let kept: String = line.chars().take(characters.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A time in milliseconds as how long ago it was.
pub(super) fn ago(at_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let then = Duration::from_millis(at_ms);
    match now.checked_sub(then) {
        Some(past) if past.as_secs() < 1 => "now".into(),
        Some(past) => format!("{} ago", coarse(past)),
        None => format!("in {}", coarse(then - now)),
    }
}

fn coarse(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// A duration with a unit that fits it.
pub(super) fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        0 => format!("{} µs", duration.as_micros()),
        ms @ 1..1000 => format!("{ms} ms"),
        1000..100_000 => format!("{:.1} s", duration.as_secs_f64()),
        _ => coarse(duration),
    }
}

/// A size with a unit that fits it.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} bytes"),
        10_000..1_000_000 => format!("{:.1} KB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_to_the_right() {
        let rows = vec![vec!["billing".into(), "7".into()], vec!["ü".into(), "1000".into()]];
        assert_eq!(table(&["queue", "waiting"], &rows), "queue    waiting\nbilling        7\nü           1000");
        assert_eq!(table(&["queue"], &[]), "(none)");
    }

    #[test]
    fn a_long_text_is_cut_with_an_ellipsis_and_has_no_line_breaks() {
        assert_eq!(shortened("one\ntwo", 10), "one two");
        assert_eq!(shortened("one two three", 8), "one two…");
    }

    #[test]
    fn a_duration_has_the_unit_that_fits_it() {
        let said = [0.000_25, 0.25, 2.5, 600.0, 7300.0].map(|seconds| duration(Duration::from_secs_f64(seconds)));
        assert_eq!(said, ["250 µs", "250 ms", "2.5 s", "10 min", "2 h"]);
    }

    #[test]
    fn a_cell_reaches_into_objects() {
        let value = serde_json::json!({ "a": { "b": "c" }, "n": 3 });
        assert_eq!(
            (cell(&value, "a.b"), cell(&value, "n"), cell(&value, "x")),
            ("c".into(), "3".into(), String::new())
        );
    }
}
