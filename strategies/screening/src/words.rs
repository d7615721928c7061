//! Words and phrases: whole, or open at an end, whatever white space stands between them.

/// A phrase of a rule, folded and ready to be compared.
pub struct Phrase {
    /// As the rule has it, composed.
    written: String,
    /// Folded words, at least one, none empty.
    words: Vec<String>,
    /// Which word the automaton looks for: the longest.
    anchor: usize,
    open_start: bool,
    open_end: bool,
}

impl Phrase {
    /// Reads a phrase. A `*` at either end leaves that end open.
    ///
    /// # Errors
    /// Where there is nothing to look for.
    pub fn new(written: &str, fold: impl Fn(&str) -> String) -> Result<Self, String> {
        let inner = written.trim();
        let (open_start, inner) = inner.strip_prefix('*').map_or((false, inner), |rest| (true, rest));
        let (open_end, inner) = inner.strip_suffix('*').map_or((false, inner), |rest| (true, rest));
        let words: Vec<String> = fold(inner).split_whitespace().map(str::to_owned).collect();
        let Some(anchor) = (0..words.len()).max_by_key(|&at| words[at].len()) else {
            return Err(format!("`{written}` has no word in it"));
        };
        Ok(Self { written: inner.trim().to_owned(), words, anchor, open_start, open_end })
    }

    /// As the rule has it.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// What the automaton looks for.
    pub fn anchor(&self) -> &str {
        &self.words[self.anchor]
    }

    /// Where the whole phrase is, in bytes, given where its anchor is; `None` where the rest is not around it.
    ///
    /// `text` is folded, or ASCII, which may be in any case.
    pub fn around(&self, text: &str, anchor_at: usize) -> Option<(usize, usize)> {
        let (mut start, mut end) = (anchor_at, anchor_at + self.anchor().len());
        for word in self.words[..self.anchor].iter().rev() {
            let before = text[..start].trim_end();
            let at = before.len().checked_sub(word.len()).filter(|_| before.len() < start)?;
            start = before.as_bytes()[at..].eq_ignore_ascii_case(word.as_bytes()).then_some(at)?;
        }
        for word in &self.words[self.anchor + 1..] {
            let at = text.len() - text[end..].trim_start().len();
            let until = Some(at + word.len()).filter(|_| at > end)?;
            end = text.as_bytes().get(at..until)?.eq_ignore_ascii_case(word.as_bytes()).then_some(until)?;
        }
        let closed = (self.open_start || is_edge(text, start)) && (self.open_end || is_edge(text, end));
        closed.then_some((start, end))
    }

    /// Whether a piece of the original text is the phrase in the very case that the rule has.
    pub fn is_written_so(&self, piece: &str) -> bool {
        piece.split_whitespace().eq(self.written.split_whitespace())
    }
}

/// Whether no word goes on across this place.
fn is_edge(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at..].chars().next();
    !(before.is_some_and(is_inside_word) && after.is_some_and(is_inside_word))
}

/// Whether the character holds on to its neighbours in a word. Scripts that are written without spaces never do.
fn is_inside_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    let written_without_spaces = matches!(u32::from(c),
        0x0E00..=0x0EFF     // Thai, Lao
        | 0x1000..=0x109F   // Burmese
        | 0x1780..=0x17FF   // Khmer
        | 0x3040..=0x30FF   // Hiragana, Katakana
        | 0x3400..=0x9FFF   // Han
        | 0xF900..=0xFAFF
        | 0x20000..=0x3FFFF
    );
    !written_without_spaces && (c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_found_whole() {
        for (phrase, text, found) in [
            ("refund", "A Refund, please", Some("Refund")),
            ("refund", "refunded", None),
            ("refund*", "refunded", Some("refund")),
            ("*port", "support", Some("port")),
            ("port", "support", None),
            ("cancel my contract", "please CANCEL  my\r\n contract now", Some("CANCEL  my\r\n contract")),
            ("cancel my contract", "cancel mycontract", None),
            ("cancel my contract", "my contract", None),
            ("cancel my contract", "cancel your contract", None),
            ("my x", "my", None),
            ("c++", "I like C++ best", Some("C++")),
            ("退款", "我要退款吗", Some("退款")),
        ] {
            let phrase = Phrase::new(phrase, str::to_lowercase).unwrap();
            let anchor = text.to_ascii_lowercase().find(phrase.anchor());
            let place = anchor.and_then(|at| phrase.around(text, at));
            assert_eq!(place.map(|(start, end)| &text[start..end]), found, "{}", phrase.written());
        }
    }

    #[test]
    fn a_phrase_without_a_word_is_refused() {
        for empty in ["", "  ", "*", "**"] {
            assert!(Phrase::new(empty, str::to_lowercase).is_err(), "{empty:?}");
        }
    }
}
