//! Capacity rules: how many interactions of which media types an agent may have at once.
//!
//! Invariant: a load that a rule lets an agent take fits into the rule, and so does every smaller one.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::Name;

/// How many interactions of which media types an agent may have at once, such as `1 voice or 4 chat + 1 email`.
///
/// - A **sentence** is a choice of alternatives: the load must fit into one of them. A media type that an alternative
///   does not name is not allowed in it. `any` stands for all media types that its alternative does not name, counted
///   together.
/// - **Weights**, such as `weights: total 100, voice 100, chat 25`, give each interaction a weight, and the sum must
///   not be more than the total. A media type that is not named cannot be taken.
///
/// As text, and in JSON:
///
/// ```text
/// rule        = sentence | weights
/// sentence    = alternative { "or" alternative }                  at most 16
/// alternative = part { ( "+" | "and" | "," ) part }               at most 32, each media type once
/// part        = number ( media | "any" )
/// weights     = "weights" ":" "total" number weight { weight }    at most 32, each media type once
/// weight      = "," media number                                  at most the total
/// number      = 1 to 1000, in digits
/// media       = a media type's name, with a letter in it, and none of the words in quotes above
/// ```
///
/// Words are separated by spaces; around `+`, `,` and `:` they may be left out. The words in quotes may be in upper
/// case, media types may not. Media types are taken as they stand: `chats` is another one than `chat`. A rule has at
/// most 1,024 bytes. It is shown with single spaces, `+` and small letters.
///
/// The default is `1 any`: one interaction at a time, whatever its media type.
#[derive(Debug, Clone, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, example = "1 voice or 4 chat + 1 email")]
pub struct CapacityRule(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// At least one.
    Sentence(Vec<Alternative>),
    Weights {
        /// 1 to [`NUMBER_MAX`].
        total: u32,
        /// At least one, each media type once, each weight from 1 to the total.
        weights: Vec<(Name, u32)>,
    },
}

/// At least one part, each media type once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Alternative(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// 1 to [`NUMBER_MAX`].
    count: u32,
    /// None: every media type that the alternative does not name.
    media: Option<Name>,
}

/// Why a text is no capacity rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapacityRuleError {
    /// The text is too long: leave alternatives out.
    #[error("a capacity rule has at most {TEXT_BYTES_MAX} bytes, and this one has {0}")]
    TooLong(usize),
    /// The text cannot go on like this: put there what was expected.
    #[error("character {position}: found {found}, expected {expected}")]
    Unexpected {
        /// In characters, from 1. One beyond the last where the text ends too early.
        position: usize,
        /// What stands there.
        found: String,
        /// What can stand there.
        expected: String,
    },
}

/// Most bytes of a rule.
const TEXT_BYTES_MAX: usize = 1024;
/// Most alternatives of a sentence.
const ALTERNATIVES_MAX: usize = 16;
/// Most parts of an alternative, and most media types with a weight.
const PARTS_MAX: usize = 32;
/// Largest count, weight and total.
const NUMBER_MAX: u32 = 1000;

const OR: &str = "or";
const AND: &str = "and";
const ANY: &str = "any";
const WEIGHTS: &str = "weights";
const TOTAL: &str = "total";
/// Words of the grammar, which no media type in a rule can have for a name.
const WORDS: [&str; 5] = [OR, AND, ANY, WEIGHTS, TOTAL];

impl CapacityRule {
    /// Whether an agent with this load may take one more interaction of a media type: whether all of them together fit.
    /// `load` is the number of interactions that the agent has, by media type.
    #[must_use]
    pub fn can_take(&self, load: &BTreeMap<Name, u32>, media: &Name) -> bool {
        let with_new = |(name, count): (_, &u32)| (name, u64::from(*count) + u64::from(name == media));
        let new = (!load.contains_key(media)).then_some((media, 1));
        self.fits(load.iter().map(with_new).chain(new))
    }

    /// Whether a load is within the capacity. It may not be after a change of the rule, or where a supervisor assigned.
    #[must_use]
    pub fn allows(&self, load: &BTreeMap<Name, u32>) -> bool {
        self.fits(load.iter().map(|(name, count)| (name, u64::from(*count))))
    }

    fn fits<'a>(&self, load: impl Iterator<Item = (&'a Name, u64)> + Clone) -> bool {
        let mut load = load.filter(|(_, count)| *count > 0);
        match &self.0 {
            Form::Sentence(alternatives) => {
                alternatives.iter().any(|alternative| alternative.used(load.clone()).is_some())
            }
            Form::Weights { total, weights } => {
                weight(weights, &mut load).is_some_and(|weight| weight <= u64::from(*total))
            }
        }
    }

    /// How much of the capacity is in use, in percent, 0 to 100.
    ///
    /// In a sentence: the interactions that the agent has, over those that an alternative allows in total; of the
    /// alternatives that the load fits into, the one where that is least. With `1 voice or 4 chat + 1 email`, two chats
    /// are 40 and one call is 100. With weights: the sum of the weights over the total.
    ///
    /// Rounded down, but at least 1 where there is any load. So 0 is no load at all, and at 100 nothing can be taken. A
    /// load that does not fit, as after a change of the rule, is 100.
    #[must_use]
    pub fn load_percent(&self, load: &BTreeMap<Name, u32>) -> u8 {
        let load = || load.iter().map(|(name, count)| (name, u64::from(*count))).filter(|(_, count)| *count > 0);
        if load().next().is_none() {
            return 0;
        }
        let percent = |used: u64, of: u64| (used.saturating_mul(100) / of.max(1)).clamp(1, 100);
        let least = match &self.0 {
            Form::Sentence(alternatives) => {
                let fitting = alternatives.iter().filter_map(|a| Some(percent(a.used(load())?, a.allowed())));
                fitting.min().unwrap_or(100)
            }
            Form::Weights { total, weights } => {
                weight(weights, load()).map_or(100, |weight| percent(weight, u64::from(*total)))
            }
        };
        u8::try_from(least).unwrap_or(100)
    }
}

impl Default for CapacityRule {
    fn default() -> Self {
        Self(Form::Sentence(vec![Alternative(vec![Part { count: 1, media: None }])]))
    }
}

impl Alternative {
    /// How many interactions there are; none where they do not fit.
    fn used<'a>(&self, load: impl Iterator<Item = (&'a Name, u64)>) -> Option<u64> {
        let (mut sum, mut others) = (0u64, 0u64);
        for (name, count) in load {
            match self.0.iter().find(|part| part.media.as_ref() == Some(name)) {
                Some(part) if count > u64::from(part.count) => return None,
                Some(_) => {}
                None => others = others.saturating_add(count),
            }
            sum = sum.saturating_add(count);
        }
        let any = self.0.iter().find(|part| part.media.is_none()).map_or(0, |part| part.count);
        (others <= u64::from(any)).then_some(sum)
    }

    /// How many interactions there can be.
    fn allowed(&self) -> u64 {
        self.0.iter().map(|part| u64::from(part.count)).sum()
    }
}

/// Sum of the weights of a load; none where a media type has no weight.
fn weight<'a>(weights: &[(Name, u32)], load: impl Iterator<Item = (&'a Name, u64)>) -> Option<u64> {
    load.map(|(name, count)| {
        let (_, weight) = weights.iter().find(|(known, _)| known == name)?;
        Some(count.saturating_mul(u64::from(*weight)))
    })
    .try_fold(0u64, |sum, weight| Some(sum.saturating_add(weight?)))
}

impl fmt::Display for CapacityRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Sentence(alternatives) => {
                for (i, Alternative(parts)) in alternatives.iter().enumerate() {
                    for (j, part) in parts.iter().enumerate() {
                        let before = match (i, j) {
                            (0, 0) => "",
                            (_, 0) => " or ",
                            _ => " + ",
                        };
                        let media = part.media.as_ref().map_or(ANY, Name::as_str);
                        write!(f, "{before}{} {media}", part.count)?;
                    }
                }
                Ok(())
            }
            Form::Weights { total, weights } => {
                write!(f, "{WEIGHTS}: {TOTAL} {total}")?;
                weights.iter().try_for_each(|(media, weight)| write!(f, ", {media} {weight}"))
            }
        }
    }
}

impl Serialize for CapacityRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CapacityRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for CapacityRule {
    type Err = CapacityRuleError;

    fn from_str(text: &str) -> Result<Self, CapacityRuleError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(CapacityRuleError::TooLong(text.len()));
        }
        let mut words = Words { text, at: 0 };
        let first = words.peek();
        if first.is("") {
            return Err(words.refuse(first, "a rule, such as `1 voice or 4 chat + 1 email`"));
        }
        if first.is(WEIGHTS) { weights(&mut words) } else { sentence(&mut words) }.map(Self)
    }
}

fn sentence(words: &mut Words<'_>) -> Result<Form, CapacityRuleError> {
    let mut alternatives = Vec::new();
    loop {
        let mut parts: Vec<Part> = Vec::new();
        let first = words.peek();
        let end = loop {
            let count = words.number("a count", NUMBER_MAX)?;
            let word = words.next();
            let media = if word.is(ANY) { None } else { Some(words.media(word, "a media type or `any`")?) };
            if parts.iter().any(|part| part.media == media) {
                return Err(words.refuse(word, "each media type once in an alternative"));
            }
            parts.push(Part { count, media });
            let end = words.next();
            if !["+", ",", AND].iter().any(|separator| end.is(separator)) {
                break end;
            }
            if parts.len() == PARTS_MAX {
                return Err(words.refuse(end, &format!("at most {PARTS_MAX} parts in an alternative")));
            }
        };
        // One that is within another of the same media types says nothing, or makes the other say nothing.
        let within = |a: &[Part], b: &[Part]| {
            a.len() == b.len() && a.iter().all(|a| b.iter().any(|b| a.media == b.media && a.count <= b.count))
        };
        if alternatives.iter().any(|Alternative(other)| within(&parts, other) || within(other, &parts)) {
            return Err(words.refuse(first, "an alternative that is not within another one"));
        }
        alternatives.push(Alternative(parts));
        if end.is("") {
            return Ok(Form::Sentence(alternatives));
        }
        if !end.is(OR) {
            return Err(words.refuse(end, "`or`, `+` or the end"));
        }
        if alternatives.len() == ALTERNATIVES_MAX {
            return Err(words.refuse(end, &format!("at most {ALTERNATIVES_MAX} alternatives")));
        }
    }
}

fn weights(words: &mut Words<'_>) -> Result<Form, CapacityRuleError> {
    for (wanted, shown) in [(WEIGHTS, "`weights`"), (":", "`:` after `weights`"), (TOTAL, "`total` and its number")] {
        let word = words.next();
        if !word.is(wanted) {
            return Err(words.refuse(word, shown));
        }
    }
    let total = words.number("the total", NUMBER_MAX)?;
    let mut weights: Vec<(Name, u32)> = Vec::new();
    loop {
        let end = words.next();
        if end.is("") && !weights.is_empty() {
            return Ok(Form::Weights { total, weights });
        }
        if !end.is(",") {
            return Err(words.refuse(end, if weights.is_empty() { "`,` and a media type" } else { "`,` or the end" }));
        }
        if weights.len() == PARTS_MAX {
            return Err(words.refuse(end, &format!("at most {PARTS_MAX} media types")));
        }
        let word = words.next();
        let media = words.media(word, "a media type")?;
        if weights.iter().any(|(known, _)| *known == media) {
            return Err(words.refuse(word, "each media type once"));
        }
        // What weighs more than the total could never be taken.
        weights.push((media, words.number("a weight up to the total", total)?));
    }
}

/// The words and signs of a text, one after the other.
struct Words<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
}

/// A word or a sign; empty at the end of the text.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
}

impl Word<'_> {
    fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word)
    }
}

impl<'a> Words<'a> {
    fn peek(&self) -> Word<'a> {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        let at = self.at + rest.len() - trimmed.len();
        let sign = |c: char| matches!(c, '+' | ',' | ':');
        let end = match trimmed.chars().next() {
            Some(first) if sign(first) => 1,
            _ => trimmed.find(|c: char| sign(c) || c.is_whitespace()).unwrap_or(trimmed.len()),
        };
        Word { text: &trimmed[..end], at }
    }

    fn next(&mut self) -> Word<'a> {
        let word = self.peek();
        self.at = word.at + word.text.len();
        word
    }

    /// A number from 1 to `max`.
    fn number(&mut self, what: &str, max: u32) -> Result<u32, CapacityRuleError> {
        let word = self.next();
        let digits = !word.text.is_empty() && word.text.bytes().all(|b| b.is_ascii_digit());
        match word.text.parse() {
            Ok(number) if digits && (1..=max).contains(&number) => Ok(number),
            _ => Err(self.refuse(word, &format!("{what}, a number from 1 to {max}"))),
        }
    }

    fn media(&self, word: Word<'_>, what: &str) -> Result<Name, CapacityRuleError> {
        let lettered = word.text.bytes().any(|b| b.is_ascii_alphabetic());
        if !lettered || WORDS.iter().any(|known| word.is(known)) {
            return Err(self.refuse(word, what));
        }
        Name::new(word.text).map_err(|_| {
            let rule = "1 to 64 of a-z, 0-9, '-', '_' and '.', beginning with a letter or a digit";
            self.refuse(word, &format!("{what}: {rule}"))
        })
    }

    fn refuse(&self, word: Word<'_>, expected: &str) -> CapacityRuleError {
        let found = match word.text {
            "" => "the end".to_owned(),
            text => format!("`{}`", text.chars().take(80).collect::<String>()),
        };
        let position = self.text[..word.at].chars().count() + 1;
        CapacityRuleError::Unexpected { position, found, expected: expected.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(text: &str) -> CapacityRule {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// `2 chat 1 email`, or `-` for none.
    fn load(text: &str) -> BTreeMap<Name, u32> {
        let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "-").collect();
        words.chunks(2).map(|pair| (Name::new(pair[1]).unwrap(), pair[0].parse().unwrap())).collect()
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// A line names a rule, and the lines under it ask: `load => load percent, what of voice, chat, email and sms can
    /// be taken`.
    fn table(lines: &str) {
        let mut current = None;
        let mut wrong = String::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let Some((given, expected)) = line.split_once("=>") else {
                current = Some(rule(line));
                continue;
            };
            let rule = current.as_ref().unwrap();
            let load = load(given);
            let taken = ["voice", "chat", "email", "sms"].into_iter().filter(|m| rule.can_take(&load, &name(m)));
            let taken = taken.collect::<Vec<_>>().join(" ");
            let answer =
                format!("{}%, {}", rule.load_percent(&load), if taken.is_empty() { "nothing" } else { &taken });
            if answer != expected.trim() {
                wrong += &format!("{rule}: {line}\n  is: {answer}\n");
            }
        }
        assert!(wrong.is_empty(), "\n{wrong}");
    }

    #[test]
    fn what_can_be_taken_follows_the_rule() {
        table(
            "
            1 voice or 4 chat + 1 email
                -                       => 0%, voice chat email
                1 voice                 => 100%, nothing
                1 chat                  => 20%, chat email
                3 chat                  => 60%, chat email
                4 chat                  => 80%, email
                1 email                 => 20%, chat
                3 chat 1 email          => 80%, chat
                4 chat 1 email          => 100%, nothing
                1 voice 1 chat          => 100%, nothing
                1 sms                   => 100%, nothing
                5 chat                  => 100%, nothing
                0 voice                 => 0%, voice chat email
                0 sms 2 chat            => 40%, chat email
            1 any
                -                       => 0%, voice chat email sms
                1 sms                   => 100%, nothing
                1 voice                 => 100%, nothing
                2 chat                  => 100%, nothing
                0 chat                  => 0%, voice chat email sms
            3 any
                1 chat                  => 33%, voice chat email sms
                1 chat 1 sms            => 66%, voice chat email sms
                1 chat 1 sms 1 email    => 100%, nothing
            1 voice + 2 any
                -                       => 0%, voice chat email sms
                1 voice                 => 33%, chat email sms
                2 chat                  => 66%, voice
                1 chat 1 sms            => 66%, voice
                1 voice 1 chat 1 email  => 100%, nothing
                2 voice                 => 100%, nothing
            1 voice or 2 any
                1 voice                 => 50%, voice chat email sms
                1 voice 1 sms           => 100%, nothing
                2 voice                 => 100%, nothing
            2 chat or 8 email
                1 email                 => 12%, email
                1 chat                  => 50%, chat
                1 chat 1 email          => 100%, nothing
            2 chat or 1 chat + 3 email or 6 email
                1 chat                  => 25%, chat email
                2 chat                  => 100%, nothing
                1 chat 2 email          => 75%, email
                1 email                 => 16%, chat email
                4 email                 => 66%, email
            weights: total 100, voice 100, chat 25, email 20
                -                       => 0%, voice chat email
                1 voice                 => 100%, nothing
                1 chat                  => 25%, chat email
                3 chat                  => 75%, chat email
                3 chat 1 email          => 95%, nothing
                4 chat                  => 100%, nothing
                4 email                 => 80%, email
                2 chat 2 email          => 90%, nothing
                1 sms                   => 100%, nothing
                9 chat                  => 100%, nothing
                0 sms 1 email           => 20%, chat email
            weights: total 10, chat 10
                -                       => 0%, chat
                1 chat                  => 100%, nothing
            1000 chat
                1 chat                  => 1%, chat
                999 chat                => 99%, chat
                1000 chat               => 100%, nothing
                4294967295 chat         => 100%, nothing
            ",
        );
    }

    #[test]
    fn a_rule_is_shown_in_one_form() {
        let cases = [
            ("1 voice or 4 chat + 1 email", "1 voice or 4 chat + 1 email"),
            ("  1   voice   OR 4 chat+1 email,2 sms And 1 ANY ", "1 voice or 4 chat + 1 email + 2 sms + 1 any"),
            ("1 chats", "1 chats"),
            ("007 x-4.b_c", "7 x-4.b_c"),
            ("1 3d\n or\t2 orange", "1 3d or 2 orange"),
            ("2 any or 1 chat + 2 any", "2 any or 1 chat + 2 any"),
            ("Weights:total 100,voice 100 , chat 25", "weights: total 100, voice 100, chat 25"),
            ("weights : TOTAL 1000, email 1", "weights: total 1000, email 1"),
        ];
        for (text, shown) in cases {
            let rule = rule(text);
            assert_eq!(rule.to_string(), shown);
            assert_eq!(shown.parse(), Ok(rule));
        }
        assert_eq!(CapacityRule::default().to_string(), "1 any");
        assert_eq!("1 any".parse(), Ok(CapacityRule::default()));
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused_where_it_stops_making_sense() {
        #[rustfmt::skip]
        let cases = [
            ("", "character 1: found the end, expected a rule, such as `1 voice"),
            (" \t", "character 3: found the end, expected a rule"),
            ("voice", "character 1: found `voice`, expected a count, a number from 1 to 1000"),
            ("one voice", "character 1: found `one`, expected a count"),
            ("0 voice", "character 1: found `0`, expected a count, a number from 1 to 1000"),
            ("1001 chat", "character 1: found `1001`, expected a count, a number from 1 to 1000"),
            ("99999999999999999999 chat", "character 1: found `99999999999999999999`, expected a count"),
            ("-1 chat", "character 1: found `-1`, expected a count"),
            ("1.5 chat", "character 1: found `1.5`, expected a count"),
            ("4chat", "character 1: found `4chat`, expected a count"),
            ("+1 chat", "character 1: found `+`, expected a count"),
            ("٣ chat", "character 1: found `٣`, expected a count"),
            ("1", "character 2: found the end, expected a media type or `any`"),
            ("1 2", "character 3: found `2`, expected a media type or `any`"),
            ("1 + 1 chat", "character 3: found `+`, expected a media type"),
            ("1 or", "character 3: found `or`, expected a media type"),
            ("1 Chat", "character 3: found `Chat`, expected a media type or `any`: 1 to 64 of a-z"),
            ("1 chät", "character 3: found `chät`, expected a media type or `any`: 1 to 64 of a-z"),
            ("1 chat x", "character 8: found `x`, expected `or`, `+` or the end"),
            ("1 chat 2 email", "character 8: found `2`, expected `or`, `+` or the end"),
            ("1 chat;2 email", "character 3: found `chat;2`, expected a media type"),
            ("1 chat or", "character 10: found the end, expected a count"),
            ("1 chat +", "character 9: found the end, expected a count"),
            ("1 chat, , 1 email", "character 9: found `,`, expected a count"),
            ("1 chat or or 1 email", "character 11: found `or`, expected a count"),
            ("1 chat + 2 email + 3 chat", "character 22: found `chat`, expected each media type once"),
            ("1 any and 2 any", "character 13: found `any`, expected each media type once"),
            ("1 chat: 2", "character 7: found `:`, expected `or`, `+` or the end"),
            ("1 weights", "character 3: found `weights`, expected a media type"),
            ("weights", "character 8: found the end, expected `:` after `weights`"),
            ("weights total 100, chat 1", "character 9: found `total`, expected `:` after"),
            ("weights: chat 10", "character 10: found `chat`, expected `total` and its number"),
            ("weights: total chat", "character 16: found `chat`, expected the total, a number from 1 to 1000"),
            ("weights: total 0, chat 1", "character 16: found `0`, expected the total"),
            ("weights: total 100", "character 19: found the end, expected `,` and a media type"),
            ("weights: total 100, ", "character 21: found the end, expected a media type"),
            ("weights: total 100, chat", "character 25: found the end, expected a weight up to the total"),
            ("weights: total 100, chat 0", "character 26: found `0`, expected a weight up to the total"),
            (
                "weights: total 100, chat 101",
                "character 26: found `101`, expected a weight up to the total, a number from 1 to 100",
            ),
            ("weights: total 100, chat 5, chat 6", "character 29: found `chat`, expected each media type once"),
            ("weights: total 100, any 5", "character 21: found `any`, expected a media type"),
            ("weights: total 100, total 5", "character 21: found `total`, expected a media type"),
            ("weights: total 100, chat 5 + email 6", "character 28: found `+`, expected `,` or the end"),
            ("weights: total 100, chat 5 or 1 email", "character 28: found `or`, expected `,` or the end"),
        ];
        for (text, sentence) in cases {
            let error = text.parse::<CapacityRule>().unwrap_err().to_string();
            assert!(error.starts_with(sentence), "{text}: {error}");
        }
    }

    #[test]
    fn a_rule_has_a_size() {
        let join =
            |count: usize, separator: &str| (0..count).map(|i| format!("1 m{i}")).collect::<Vec<_>>().join(separator);
        assert!(join(16, " or ").parse::<CapacityRule>().is_ok());
        let error = join(17, " or ").parse::<CapacityRule>().unwrap_err().to_string();
        assert!(error.ends_with("found `or`, expected at most 16 alternatives"), "{error}");
        assert!(join(32, "+").parse::<CapacityRule>().is_ok());
        let error = join(33, "+").parse::<CapacityRule>().unwrap_err().to_string();
        assert!(error.ends_with("found `+`, expected at most 32 parts in an alternative"), "{error}");
        let weights = |count| format!("weights: total 9{}", (0..count).map(|i| format!(",m{i} 1")).collect::<String>());
        assert!(weights(32).parse::<CapacityRule>().is_ok());
        let error = weights(33).parse::<CapacityRule>().unwrap_err().to_string();
        assert!(error.ends_with("found `,`, expected at most 32 media types"), "{error}");
        assert_eq!(" ".repeat(1025).parse::<CapacityRule>(), Err(CapacityRuleError::TooLong(1025)));
        let long = format!("1 {}", "x".repeat(1000));
        assert!(long.parse::<CapacityRule>().unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn a_rule_is_a_text_in_every_format() {
        for text in ["1 voice or 4 chat + 1 any", "weights: total 100, voice 100, chat 25"] {
            let rule = rule(text);
            let json = serde_json::to_string(&rule).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<CapacityRule>(&json).unwrap(), rule);
            let bytes = postcard::to_stdvec(&rule).unwrap();
            assert_eq!(postcard::from_bytes::<CapacityRule>(&bytes).unwrap(), rule);
        }
        let error = serde_json::from_str::<CapacityRule>("\"0 chat\"").unwrap_err().to_string();
        assert!(error.starts_with("character 1: found `0`"), "{error}");
    }

    const MEDIA: [&str; 4] = ["voice", "chat", "email", "sms"];

    /// A rule as numbers: how many of each medium, and of any other, or a weight for each medium.
    #[derive(Debug, Clone)]
    enum Model {
        Sentence(Vec<[Option<u32>; 5]>),
        Weights(u32, [Option<u32>; 4]),
    }

    impl Model {
        fn text(&self) -> String {
            let named = |counts: &[Option<u32>]| {
                let media = MEDIA.into_iter().chain(["any"]);
                let named = media.zip(counts).filter_map(|(media, count)| Some((media, (*count)?)));
                named.collect::<Vec<_>>()
            };
            match self {
                Self::Sentence(alternatives) => {
                    let parts = alternatives.iter().map(|counts| {
                        let parts = named(counts).into_iter().map(|(media, count)| format!("{count} {media}"));
                        parts.collect::<Vec<_>>().join(" + ")
                    });
                    parts.collect::<Vec<_>>().join(" or ")
                }
                Self::Weights(total, weights) => {
                    let weights = named(weights).into_iter().map(|(media, weight)| format!(", {media} {weight}"));
                    format!("weights: total {total}{}", weights.collect::<String>())
                }
            }
        }

        /// Each interaction of the load is given a place of its own, one after the other.
        fn fits(&self, load: [u32; 4]) -> bool {
            match self {
                Self::Sentence(alternatives) => alternatives.iter().any(|counts| {
                    let mut left = *counts;
                    (0..4).all(|media| {
                        (0..load[media]).all(|_| {
                            let place = if counts[media].is_some() { media } else { 4 };
                            let free = left[place].unwrap_or(0);
                            left[place] = free.checked_sub(1);
                            free > 0
                        })
                    })
                }),
                Self::Weights(total, weights) => {
                    let each = (0..4).flat_map(|media| (0..load[media]).map(move |_| weights[media]));
                    each.sum::<Option<u32>>().is_some_and(|sum| sum <= *total)
                }
            }
        }
    }

    fn models() -> impl Strategy<Value = Model> {
        let count = || prop::option::of(1u32..5);
        let parts =
            [count(), count(), count(), count(), count()].prop_filter("a part", |p| p.iter().any(Option::is_some));
        let weight = || prop::option::weighted(0.7, 1u32..=100);
        let weights =
            (1u32..=12, [weight(), weight(), weight(), weight()]).prop_filter_map("a weight", |(total, w)| {
                let w = w.map(|weight| weight.map(|weight| (weight - 1) % total + 1));
                w.iter().any(Option::is_some).then_some(Model::Weights(total, w))
            });
        let within = |a: &[Option<u32>; 5], b: &[Option<u32>; 5]| {
            a.iter().zip(b).all(|(a, b)| a.is_some() == b.is_some() && a <= b)
        };
        let sentences = prop::collection::vec(parts, 1..4).prop_map(move |alternatives| {
            let mut told: Vec<[Option<u32>; 5]> = Vec::new();
            for one in alternatives {
                if !told.iter().any(|other| within(&one, other) || within(other, &one)) {
                    told.push(one);
                }
            }
            Model::Sentence(told)
        });
        prop_oneof![sentences, weights]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn rule_and_model_agree(model in models(), counts in [0u32..6, 0u32..6, 0u32..6, 0u32..6]) {
            let text = model.text();
            let rule = rule(&text);
            prop_assert_eq!(rule.to_string(), text);
            let load: BTreeMap<Name, u32> = MEDIA.into_iter().map(name).zip(counts).collect();
            let mut takes_any = false;
            for (i, media) in MEDIA.into_iter().enumerate() {
                let mut more = counts;
                more[i] += 1;
                let taken = rule.can_take(&load, &name(media));
                prop_assert_eq!(taken, model.fits(more), "{} with {:?}", media, load);
                // What may be taken on top of a load is left when an interaction ends.
                prop_assert!(!taken || model.fits(counts));
                takes_any |= taken;
            }
            let percent = rule.load_percent(&load);
            prop_assert_eq!(percent == 0, counts.iter().all(|count| *count == 0));
            prop_assert!(percent <= 100);
            prop_assert!(percent < 100 || !takes_any);
            if !model.fits(counts) {
                prop_assert_eq!(percent, 100);
            }
        }

        #[test]
        fn taking_what_may_be_taken_never_goes_beyond_the_rule(
            model in models(), wishes in prop::collection::vec(0usize..4, 0..40),
        ) {
            let rule = rule(&model.text());
            let mut counts = [0u32; 4];
            for wish in wishes {
                let load = MEDIA.into_iter().map(name).zip(counts).filter(|(_, count)| *count > 0).collect();
                if rule.can_take(&load, &name(MEDIA[wish])) {
                    counts[wish] += 1;
                }
                prop_assert!(model.fits(counts), "{counts:?}");
            }
        }

        #[test]
        fn no_text_makes_it_panic(
            text in any::<String>(),
            words in "([0-9]{1,5}|chat|any|or|and|weights|total|[+,: ]){0,20}",
        ) {
            for text in [text, words] {
                if let Ok(rule) = text.parse::<CapacityRule>() {
                    prop_assert_eq!(rule.to_string().parse(), Ok(rule));
                }
            }
        }
    }
}
