//! Words that a regular expression cannot match without: it is run only where one of them is in the text.
//!
//! Like `regex_syntax::hir::literal`, but for text that is folded: there `(?i)refund` needs the one literal `refund`, not
//! a head of it in every mixture of cases. The method is that of Cox, "Regular Expression Matching with a
//! Trigram Index" (2012), with whole strings in place of trigrams.
//!
//! Invariant: where an expression matches a text, one of its literals is in the folding of that text.

use crate::fold::Fold;
use regex_syntax::hir::{Class, Hir, HirKind};
use std::collections::BTreeSet;

/// Most strings that are followed at once; past it the parts are looked at one by one.
const STRINGS_MAX: usize = 32;
/// Longest string that is followed, in bytes.
const STRING_BYTES_MAX: usize = 64;
/// Most characters of a class that are taken one by one.
const CLASS_CHARS_MAX: u32 = 24;
/// A shorter literal would be found in nearly every text.
const LITERAL_BYTES_MIN: usize = 3;

type Strings = BTreeSet<String>;

/// Literals of which any match has one; `None` where there are none worth looking for.
pub fn required(hir: &Hir, fold: &Fold) -> Option<Strings> {
    match read(hir, fold) {
        Needs { exactly: Some(strings), also } => better(Some(strings), also),
        Needs { exactly: None, also } => also,
    }
    .filter(|strings| worth(strings) >= LITERAL_BYTES_MIN)
}

/// What is known of an expression's matches, folded.
struct Needs {
    /// Every match is one of these, whole.
    exactly: Option<Strings>,
    /// Every match has one of these in it.
    also: Option<Strings>,
}

fn read(hir: &Hir, fold: &Fold) -> Needs {
    let exactly = |strings: Strings| Needs { exactly: Some(strings), also: None };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => exactly(Strings::from([String::new()])),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => exactly(Strings::from([fold.text(text)])),
            Err(_) => Needs { exactly: None, also: None },
        },
        HirKind::Class(Class::Unicode(class)) => {
            let ranges = || class.iter().map(|range| (range.start(), range.end()));
            let chars =
                ranges().fold(0, |sum: u32, (start, end)| sum.saturating_add(u32::from(end) - u32::from(start) + 1));
            if chars > CLASS_CHARS_MAX {
                return Needs { exactly: None, also: None };
            }
            exactly(
                ranges().flat_map(|(start, end)| start..=end).map(|c| fold.text(c.encode_utf8(&mut [0; 4]))).collect(),
            )
        }
        HirKind::Class(Class::Bytes(_)) => Needs { exactly: None, also: None },
        HirKind::Capture(capture) => read(&capture.sub, fold),
        HirKind::Repetition(repetition) => {
            let inner = read(&repetition.sub, fold);
            match (repetition.min, repetition.max) {
                (1, Some(1)) => inner,
                (0, Some(1)) => {
                    let exactly = inner.exactly.map(|mut strings| {
                        strings.insert(String::new());
                        strings
                    });
                    Needs { exactly, also: None }
                }
                (0, _) => Needs { exactly: None, also: None },
                _ => Needs { exactly: None, also: better(inner.exactly, inner.also) },
            }
        }
        HirKind::Concat(parts) => concat(parts, fold),
        HirKind::Alternation(parts) => alternate(parts, fold),
    }
}

fn concat(parts: &[Hir], fold: &Fold) -> Needs {
    let mut whole = true;
    let mut run = Strings::from([String::new()]);
    let mut also = None;
    for part in parts {
        let needs = read(part, fold);
        also = better(also, needs.also);
        let longer = needs.exactly.as_ref().and_then(|strings| cross(&run, strings));
        match (longer, needs.exactly) {
            (Some(longer), _) => run = longer,
            // The run ends here, and another begins with this part, or after it.
            (None, next) => {
                also = better(also, Some(std::mem::take(&mut run)));
                run = next.unwrap_or_else(|| Strings::from([String::new()]));
                whole = false;
            }
        }
    }
    if whole { Needs { exactly: Some(run), also } } else { Needs { exactly: None, also: better(also, Some(run)) } }
}

fn alternate(parts: &[Hir], fold: &Fold) -> Needs {
    let mut exactly = Some(Strings::new());
    let mut also = Some(Strings::new());
    for part in parts {
        let needs = read(part, fold);
        exactly = join(exactly, needs.exactly.clone());
        also = join(also, better(needs.exactly, needs.also));
    }
    Needs { exactly, also }
}

fn join(a: Option<Strings>, b: Option<Strings>) -> Option<Strings> {
    let mut joined = a?;
    joined.append(&mut b?);
    // A list of words is worth having whole, so this bound is a wide one.
    (joined.len() <= STRINGS_MAX * 16).then_some(joined)
}

fn cross(heads: &Strings, tails: &Strings) -> Option<Strings> {
    if heads.len().checked_mul(tails.len())? > STRINGS_MAX.max(heads.len()).max(tails.len()) {
        return None;
    }
    let joined: Strings = heads.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect();
    joined.iter().all(|string| string.len() <= STRING_BYTES_MAX).then_some(joined)
}

/// The strings that fewer texts have: those whose shortest is longer.
fn better(a: Option<Strings>, b: Option<Strings>) -> Option<Strings> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if worth(&b) > worth(&a) { b } else { a }),
        (a, b) => a.or(b),
    }
}

fn worth(strings: &Strings) -> usize {
    strings.iter().map(String::len).min().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(pattern: &str) -> Vec<String> {
        let hir = regex_syntax::ParserBuilder::new().case_insensitive(true).build().parse(pattern).unwrap();
        required(&hir, &Fold::new(false)).into_iter().flatten().collect()
    }

    #[test]
    fn literals_of_patterns() {
        for (pattern, expected) in [
            (r"\b(?:refund|money back)\b", &["money back", "refund"][..]),
            (r"order\s+#?(?<order>\d{6})", &["order"]),
            (r"(?<order>[A-Z]{2}\d{6})", &[]),
            (r".*", &[]),
            (r"(?:abc)?def", &["abcdef", "def"]),
            (r"(?:abcd)*xyz", &["xyz"]),
            (r"(?:abcd)+x?", &["abcd"]),
            (r"colou?r", &["color", "colour"]),
            (r"gr[ae]y", &["gray", "grey"]),
            (r"stra(?:ß|ss)e", &["strasse"]),
            (r"(?:invoice|\d+) overdue", &[" overdue"]),
            (r"жалоб[аы]", &["жалоба", "жалобы"]),
            (r"a|b", &[]),
        ] {
            assert_eq!(literals(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn no_match_is_missed_for_want_of_a_literal() {
        let patterns = [
            r"(ab|c)+d?e{2,3}[x-z]k",
            r"(?:foo)?bar(?:baz){2}",
            r"ſtop|stop\b",
            r"[^a]bcd(?-i:EFG)",
            r"(?:a{0,2}bcd|efgh|)ijk",
            r"x(?:yz|y)(?:zw|w)v",
            r"[a-c&&[B]]bbb",
            r"\bßen|kelvin",
        ];
        let texts = [
            "ababceexk",
            "CDEEEYK",
            "barbazbaz",
            "FOObarBAZbaz",
            "STOP",
            "ſtop",
            "Xbcdefg",
            "XBCDEFG",
            "ijk",
            "bcdijk",
            "efghIJK",
            "xyzwv",
            "xyzzwv",
            "XYWV",
            "bbbb",
            "Bbbb",
            "ẞen",
            "\u{212a}elvin",
        ];
        let fold = Fold::new(false);
        let mut matches = 0;
        for pattern in patterns {
            let regex = regex::RegexBuilder::new(pattern).case_insensitive(true).build().unwrap();
            let needed = literals(pattern);
            for text in texts.iter().filter(|text| regex.is_match(text)) {
                matches += 1;
                let folded = fold.text(text);
                let found = needed.is_empty() || needed.iter().any(|literal| folded.contains(literal));
                assert!(found, "{pattern} matches {text} without {needed:?}");
            }
        }
        assert!(matches >= 15, "only {matches} matches put this to the proof");
    }
}
