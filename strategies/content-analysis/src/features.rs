//! From text to features: the one code that training and routing share.
//!
//! A text is read into tokens once ([`Text::read`]); language and sentiment look at its words, and the classifier at
//! its [features](Text::features), each a 64-bit hash:
//! - words, pairs of neighbours, and unordered pairs up to [`REACH`] tokens apart, in the block of words, together
//!   with a few that tell of the shape of the text (length, digits, capitals, exclamation marks),
//! - character n-grams inside a token and its edges, of three and of four, in the block of characters.
//!
//! It does not count: a feature that comes twice is named twice, and the reader takes it once.
//!
//! Invariant: the same bytes give the same hashes on every machine and in every version that reads the same
//! [model format](crate::model::FORMAT).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// How far apart, in tokens, two words may be and still make a pair.
pub const REACH: usize = 9;

/// Most letters of one token that are looked at: longer ones are keys, links and encoded files.
pub const TOKEN_LETTERS_MAX: usize = 64;

/// Which half of the features one belongs to: each half is normalised by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Words, pairs of words, and the shape of the text.
    Words = 0,
    /// Character n-grams.
    Characters = 1,
}

/// A token: a run of letters and digits, or a sign that stands for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    start: usize,
    end: usize,
    hash: u64,
}

/// What a text looks like, whatever its words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shape {
    characters: u32,
    digits: u32,
    capitals: u32,
    exclamations: u32,
    shouted: u32,
    /// Lengths of the runs of digits, one bit each; the last stands for 12 and longer.
    numbers: u16,
}

/// A text read into tokens, in lower case, without apostrophes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// Tokens with a space before and after each.
    letters: Vec<char>,
    tokens: Vec<Token>,
    shape: Shape,
}

impl Text {
    /// Reads the parts of a text in order, at most `bytes_max` bytes in total.
    pub fn read(parts: &[&str], bytes_max: usize) -> Self {
        let bytes = parts.iter().map(|part| part.len()).sum::<usize>().min(bytes_max);
        let mut reader = Reader::new(bytes);
        let mut left = bytes_max;
        for part in parts {
            let part = &part[..part.floor_char_boundary(left)];
            left -= part.len();
            part.chars().for_each(|c| reader.take(c));
            reader.end_token();
            reader.end_run();
        }
        reader.text
    }

    /// The tokens in order: the letters of each and the hash of them, which is [`hash`] of the same letters.
    pub fn words(&self) -> impl Iterator<Item = (&[char], u64)> {
        self.tokens.iter().map(|token| (&self.letters[token.start..token.end], token.hash))
    }

    /// Every letter, digit and sign, with a space before and after each token.
    pub fn letters(&self) -> &[char] {
        &self.letters
    }

    /// Names every feature, some more than once.
    pub fn features(&self, mut take: impl FnMut(Block, u64)) {
        self.shape_features(&mut take);
        for (at, token) in self.tokens.iter().enumerate() {
            take(Block::Words, scatter(token.hash));
            let ahead = &self.tokens[at + 1..self.tokens.len().min(at + 1 + REACH)];
            if let Some((next, far)) = ahead.split_first() {
                take(Block::Words, scatter(step(token.hash, next.hash)));
                for other in far {
                    let (low, high) = (token.hash.min(other.hash), token.hash.max(other.hash));
                    take(Block::Words, scatter(step(low ^ APART, high)));
                }
            }
            self.gram_features(token, &mut take);
        }
    }

    fn gram_features(&self, token: &Token, take: &mut impl FnMut(Block, u64)) {
        // The spaces round the token belong to it.
        let letters = &self.letters[token.start - 1..=token.end];
        for start in 0..letters.len() - 2 {
            let [first, second, third] = [0, 1, 2].map(|at| u64::from(u32::from(letters[start + at])));
            let hash = step(step(step(GRAM, first), second), third);
            take(Block::Characters, scatter(hash ^ 3));
            if let Some(fourth) = letters.get(start + 3) {
                take(Block::Characters, scatter(step(hash, u64::from(u32::from(*fourth))) ^ 4));
            }
        }
    }

    fn shape_features(&self, take: &mut impl FnMut(Block, u64)) {
        let shape = &self.shape;
        let mut feature = |kind: u64, value: u32| {
            take(Block::Words, scatter(step(SHAPE + kind, u64::from(value))));
        };
        feature(0, (shape.characters / 20).min(12));
        feature(1, (shape.digits + 1).next_power_of_two().trailing_zeros());
        feature(2, (u64::from(shape.capitals) * 10 / u64::from(shape.characters.max(1))) as u32);
        feature(3, shape.exclamations.min(3));
        feature(4, shape.shouted.min(4));
        for length in 1..=NUMBER_DIGITS_MAX {
            if shape.numbers & (1 << length) != 0 {
                feature(5, length);
            }
        }
    }
}

/// The hash of a word's letters, which must be in lower case.
pub fn hash(letters: impl IntoIterator<Item = char>) -> u64 {
    letters.into_iter().fold(WORD, |hash, letter| step(hash, u64::from(u32::from(letter))))
}

/// Something of some words, by the [`hash`] of each. Found by one look, where a tree takes ten.
pub type ByWord<T> = HashMap<u64, T, BuildHasherDefault<Hashed>>;

/// Takes what is a hash already as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = step(self.0, u64::from(*byte)));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

const WORD: u64 = 7;
const GRAM: u64 = 11;
const SHAPE: u64 = 0x00ab_cdef_0000_0000;
const APART: u64 = 0x5555_5555_5555_5555;
const NUMBER_DIGITS_MAX: u32 = 12;

/// One step of a multiplicative hash, as in rustc's FxHash, rotated so that high bits come down.
fn step(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// The finaliser of MurmurHash3 (Appleby 2011): every bit in reaches every bit out.
fn scatter(mut hash: u64) -> u64 {
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

struct Reader {
    text: Text,
    start: usize,
    hash: u64,
    /// Length of the run of digits that is being read.
    run: u32,
    /// Letters and capitals of the word that is being read.
    cased: (u32, u32),
}

impl Reader {
    fn new(bytes: usize) -> Self {
        let mut letters = Vec::with_capacity(bytes + bytes / 8 + 8);
        letters.push(' ');
        Self {
            text: Text { letters, tokens: Vec::with_capacity(bytes / 4 + 4), shape: Shape::default() },
            start: 1,
            hash: WORD,
            run: 0,
            cased: (0, 0),
        }
    }

    fn take(&mut self, c: char) {
        let shape = &mut self.text.shape;
        shape.characters += 1;
        if c.is_ascii_digit() {
            shape.digits += 1;
            self.run += 1;
        } else {
            self.end_run();
        }
        if c.is_ascii() {
            if c.is_ascii_alphanumeric() {
                self.cased.0 += 1;
                if c.is_ascii_uppercase() {
                    self.text.shape.capitals += 1;
                    self.cased.1 += 1;
                }
                self.push(c.to_ascii_lowercase());
            } else if c != '\'' {
                self.separate(c);
            }
        } else if c.is_alphanumeric() {
            self.cased.0 += 1;
            if c.is_uppercase() {
                self.text.shape.capitals += 1;
                self.cased.1 += 1;
            }
            for lower in c.to_lowercase().filter(|c| c.is_alphanumeric()) {
                self.push(lower);
            }
        } else if !matches!(c, '’' | '‘') {
            self.separate(c);
        }
    }

    fn push(&mut self, letter: char) {
        if self.text.letters.len() - self.start < TOKEN_LETTERS_MAX {
            self.text.letters.push(letter);
            self.hash = step(self.hash, u64::from(u32::from(letter)));
        }
    }

    fn separate(&mut self, c: char) {
        self.end_token();
        if c == '!' {
            self.text.shape.exclamations += 1;
        }
        if !c.is_whitespace() && !matches!(c, '.' | ',') && !c.is_control() {
            self.push(c);
            self.end_token();
        }
    }

    fn end_token(&mut self) {
        let end = self.text.letters.len();
        if end > self.start {
            self.text.tokens.push(Token { start: self.start, end, hash: self.hash });
            self.text.letters.push(' ');
            self.start = end + 1;
            self.hash = WORD;
        }
        if self.cased.0 > 1 && self.cased.0 == self.cased.1 {
            self.text.shape.shouted += 1;
        }
        self.cased = (0, 0);
    }

    fn end_run(&mut self) {
        if self.run > 0 {
            self.text.shape.numbers |= 1 << self.run.min(NUMBER_DIGITS_MAX);
            self.run = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        Text::read(&[text], 4096).words().map(|(letters, _)| letters.iter().collect()).collect()
    }

    fn features(parts: &[&str], bytes_max: usize) -> Vec<u64> {
        let mut all = Vec::new();
        Text::read(parts, bytes_max).features(|_, hash| all.push(hash));
        all
    }

    #[test]
    fn words_are_in_lower_case_and_signs_stand_alone() {
        for (text, expected) in [
            ("I can't pay £5.20!", &["i", "cant", "pay", "£", "5", "20", "!"][..]),
            ("Straße, ÉTÉ", &["straße", "été"]),
            ("don’t", &["dont"]),
            ("  \n\t ", &[]),
            ("", &[]),
        ] {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_hash_of_a_token_is_the_hash_of_its_letters() {
        for (letters, found) in Text::read(&["Où est ma carte ?"], 4096).words() {
            assert_eq!(found, hash(letters.iter().copied()));
        }
    }

    #[test]
    fn no_more_than_the_bytes_asked_for_are_read_and_no_character_is_cut() {
        assert_eq!(words(&"é".repeat(10_000))[0].chars().count(), 64);
        assert_eq!(features(&["éa"], 1), features(&[""], 1));
        assert_eq!(features(&["card", "lost"], 4), features(&["card"], 4));
    }

    #[test]
    fn far_words_pair_in_either_order_and_neighbours_in_one() {
        let [there, back] = ["card my old lost", "lost my old card"].map(|text| features(&[text], 100));
        let shared = there.iter().filter(|hash| back.contains(hash)).count();
        assert!(shared > 0 && shared < there.len());
        assert_ne!(features(&["a b"], 9), features(&["b a"], 9));
    }
}
