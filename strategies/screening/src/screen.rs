//! The rules made ready: one automaton over the literals of all of them, then each rule's own condition.
//!
//! Built at deployment and only read by calls. A text in which there is nothing costs one pass over it, and
//! no regular expression is run that cannot match.

use crate::{
    fold::Fold,
    look::Look,
    prepare::Prepare,
    settings::{Condition, Place},
    sieve::Sieve,
    words::Phrase,
};
use aho_corasick::AhoCorasick;
use regex::Regex;
use signalbox_sdk::{Entry, Interaction};

/// The rules' conditions, ready.
pub struct Screen {
    pub automaton: AhoCorasick,
    /// Where in a text the automaton is to look; everywhere where there is none.
    pub sieve: Option<Sieve>,
    /// For each literal of the automaton, whom it calls.
    pub calls: Vec<Vec<Call>>,
    pub fold: Fold,
    /// Every place that a test looks in, each once.
    pub places: Vec<Place>,
    pub phrases: Vec<PhraseTest>,
    pub patterns: Vec<PatternTest>,
    pub conditions: Vec<Node>,
}

/// Whom a literal calls when it is found.
#[derive(Clone, Copy)]
pub enum Call {
    /// Phrase of a test of words.
    Phrase { test: usize, phrase: usize },
    /// The pattern may match.
    Pattern(usize),
}

/// A condition; tests are by their numbers.
pub enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    None(Vec<Node>),
    Words(usize),
    Pattern(usize),
}

/// Holds where one of its phrases is in one of its places.
pub struct PhraseTest {
    pub phrases: Vec<Phrase>,
    pub places: Vec<usize>,
    pub case_sensitive: bool,
}

/// Holds where its expression matches in one of its places.
pub struct PatternTest {
    pub regex: Regex,
    pub places: Vec<usize>,
    /// Without a literal it is always run.
    pub has_literal: bool,
}

/// Why a rule held.
#[derive(Debug, Default)]
pub struct Evidence {
    /// What matched where, in words.
    pub matches: Vec<String>,
    /// The named groups that took part, and what they took.
    pub captures: Vec<Entry>,
}

impl Screen {
    /// Makes the rules' conditions ready.
    ///
    /// # Errors
    /// The rule, the field and the reason, for the operator.
    pub fn new<'a>(rules: impl Iterator<Item = (&'a str, &'a Condition)>, loose: bool) -> Result<Self, String> {
        let mut prepare = Prepare::new(loose);
        let conditions = rules
            .enumerate()
            .map(|(index, (name, when))| {
                prepare.node(when, "when", 0).map_err(|why| format!("rule `{name}` (rules[{index}]): {why}"))
            })
            .collect::<Result<_, _>>()?;
        prepare.finish(conditions)
    }

    /// The first condition that holds, and why.
    pub fn first(&self, interaction: &Interaction) -> Option<(usize, Evidence)> {
        let look = Look::new(self, interaction);
        let mut evidence = Evidence::default();
        let first = self.conditions.iter().position(|node| look.holds(node, &mut evidence))?;
        Some((first, evidence))
    }
}
