//! Text as words are compared: without regard to case, and where asked without regard to accents and width.
//!
//! Invariant: folding goes character by character, so the folding of a text is the foldings of its parts in a row; and
//! characters that a case-insensitive regular expression takes for the same have the same folding. The literals
//! of a pattern can therefore be looked for in folded text. ASCII text needs no folding: the automaton looks at it
//! without regard to ASCII case.

use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization, char::is_combining_mark, is_nfc_quick};

/// The alphabets of Europe, U+0080 up to this, have their foldings ready; others are looked up.
const READY_END: u32 = 0x0600;

/// Folds text. Built at deployment, only read by calls.
pub struct Fold {
    loose: bool,
    /// Foldings that are one character of 16 bits; 0 for the others.
    ready: Vec<u16>,
}

impl Fold {
    /// A folding by case, or a loose one: by accents, ligatures and width as well.
    pub fn new(loose: bool) -> Self {
        let ready = (0x80..READY_END)
            .map(|code| {
                let mut folded = String::new();
                char::from_u32(code).into_iter().for_each(|c| fold_char(c, loose, &mut folded));
                let mut chars = folded.chars();
                match (chars.next(), chars.next()) {
                    (Some(only), None) => u16::try_from(u32::from(only)).unwrap_or(0),
                    _ => 0,
                }
            })
            .collect();
        Self { loose, ready }
    }

    /// The folding of a text.
    pub fn text(&self, text: &str) -> String {
        let mut folded = String::with_capacity(text.len() + 16);
        for c in text.chars() {
            self.push(c, &mut folded);
        }
        folded
    }

    /// For each byte of a text's folding, and for its end, the place in the original, in bytes.
    pub fn places(&self, original: &str) -> Vec<usize> {
        let mut places = Vec::with_capacity(original.len() + 1);
        let mut folded = String::new();
        for (at, c) in original.char_indices() {
            folded.clear();
            self.push(c, &mut folded);
            places.resize(places.len() + folded.len(), at);
        }
        places.push(original.len());
        places
    }

    fn push(&self, c: char, folded: &mut String) {
        if c.is_ascii() {
            return folded.push(c.to_ascii_lowercase());
        }
        let ready = self.ready.get(u32::from(c) as usize - 0x80).copied().filter(|&code| code != 0);
        match ready.and_then(|code| char::from_u32(u32::from(code))) {
            Some(one) => folded.push(one),
            None => fold_char(c, self.loose, folded),
        }
    }
}

/// The text with accents and letters composed, which is how rules are read too; nearly all text is so already.
pub fn compose(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

fn fold_char(c: char, loose: bool, folded: &mut String) {
    // An iota written below is an accent within a letter, but alone it is an iota.
    if loose && c != '\u{345}' {
        let parts = std::iter::once(c).nfkd().filter(|&part| !is_combining_mark(part));
        parts.for_each(|part| fold_case(part, folded));
    } else {
        fold_case(c, folded);
    }
}

/// Down, up and down again brings together what shares an upper or a lower case: `ß`, `ẞ` and `SS`; `σ` and `ς`.
fn fold_case(c: char, folded: &mut String) {
    // Without a dot it is another letter than `i`, though its upper case is `I`.
    if c == 'ı' {
        return folded.push(c);
    }
    folded.extend(c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase));
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

    #[test]
    fn what_a_regular_expression_takes_for_the_same_folds_to_the_same() {
        for fold in [Fold::new(false), Fold::new(true)] {
            for c in '\0'..=char::MAX {
                let mut same = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
                same.case_fold_simple();
                for other in same.iter().flat_map(|range| range.start()..=range.end()) {
                    assert_eq!(fold.text(&c.to_string()), fold.text(&other.to_string()), "{c:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn texts_fold_together() {
        for (loose, a, b, same) in [
            (false, "STRASSE", "Straße", true),
            (false, "ΟΔΟΣ", "οδος", true),
            (false, "ΟΔΟΣ", "οδοσ", true),
            (false, "ЖАЛОБА", "жалоба", true),
            (false, "İstanbul", "istanbul", false),
            (false, "sınır", "sinir", false),
            (false, "Café", "cafe", false),
            (true, "Café", "cafe", true),
            (true, "ＦＲＥＥ", "free", true),
            (true, "ﬁnd", "find", true),
            (true, "İstanbul", "istanbul", true),
        ] {
            let fold = Fold::new(loose);
            assert_eq!(fold.text(a) == fold.text(b), same, "{a} {b} loose: {loose}");
        }
    }

    #[test]
    fn a_place_is_found_again_past_letters_that_fold_to_two() {
        let fold = Fold::new(false);
        let original = "Große Straße refund";
        let folded = fold.text(original);
        let at = folded.find("refund").unwrap();
        assert_eq!(&original[fold.places(original)[at]..], "refund");
        assert_eq!(fold.places(original).len(), folded.len() + 1);
    }
}
