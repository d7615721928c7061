//! Reading conditions: what is wrong with one is said here, once, at deployment.

use crate::{
    fold::{Fold, compose},
    literals,
    screen::{Call, Node, PatternTest, PhraseTest, Screen},
    settings::{Condition, Place},
    sieve::Sieve,
    words::Phrase,
};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use signalbox_sdk::limits;
use std::collections::BTreeMap;

/// Longest regular expression, in bytes.
const PATTERN_BYTES_MAX: usize = 4096;
/// Largest compiled regular expression, in bytes: what a call may have to go through.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// Most literals, of all rules together.
const LITERALS_MAX: usize = 50_000;
/// Up to so many bytes of literals the automaton is a table of states, the fastest and the largest kind.
const TABLE_BYTES_MAX: usize = 16 * 1024;
/// How deep conditions may stand in conditions.
const DEPTH_MAX: usize = 8;
/// What is gathered while rules are read.
pub struct Prepare {
    fold: Fold,
    literals: BTreeMap<String, Vec<Call>>,
    places: Vec<Place>,
    phrases: Vec<PhraseTest>,
    patterns: Vec<PatternTest>,
}

impl Prepare {
    /// Nothing is gathered yet.
    pub fn new(loose: bool) -> Self {
        Self {
            fold: Fold::new(loose),
            literals: BTreeMap::new(),
            places: Vec::new(),
            phrases: Vec::new(),
            patterns: Vec::new(),
        }
    }

    /// Takes in a condition, and those in it.
    ///
    /// # Errors
    /// The field and the reason.
    pub fn node(&mut self, condition: &Condition, field: &str, depth: usize) -> Result<Node, String> {
        if depth > DEPTH_MAX {
            return Err(format!("{field}: conditions stand more than {DEPTH_MAX} deep"));
        }
        let mut parts = Vec::new();
        if !condition.words.is_empty() {
            parts.push(self.words(condition, field)?);
        }
        if let Some(pattern) = &condition.pattern {
            parts.push(self.pattern(pattern, condition).map_err(|why| format!("{field}.pattern: {why}"))?);
        }
        if parts.is_empty() && (condition.case_sensitive || !condition.places.is_empty()) {
            return Err(format!("{field}: `in` and `case_sensitive` belong beside `words` or `pattern`"));
        }
        for (name, group, make) in [
            ("all", &condition.all, Node::All as fn(_) -> _),
            ("any", &condition.any, Node::Any),
            ("none", &condition.none, Node::None),
        ] {
            if !group.is_empty() {
                let nodes = group.iter().enumerate();
                let nodes = nodes.map(|(at, inner)| self.node(inner, &format!("{field}.{name}[{at}]"), depth + 1));
                parts.push(make(nodes.collect::<Result<_, _>>()?));
            }
        }
        match parts.len() {
            0 => Err(format!("{field}: needs words, pattern, all, any or none")),
            1 => Ok(parts.remove(0)),
            _ => Ok(Node::All(parts)),
        }
    }

    fn words(&mut self, condition: &Condition, field: &str) -> Result<Node, String> {
        let test = self.phrases.len();
        let mut phrases = Vec::with_capacity(condition.words.len());
        for (at, written) in condition.words.iter().enumerate() {
            let phrase = Phrase::new(&compose(written), |text| self.fold.text(text))
                .map_err(|why| format!("{field}.words[{at}]: {why}"))?;
            let calls = self.literals.entry(phrase.anchor().to_owned()).or_default();
            calls.push(Call::Phrase { test, phrase: at });
            phrases.push(phrase);
        }
        let places = self.places(condition);
        self.phrases.push(PhraseTest { phrases, places, case_sensitive: condition.case_sensitive });
        Ok(Node::Words(test))
    }

    fn pattern(&mut self, pattern: &str, condition: &Condition) -> Result<Node, String> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("{} bytes long, and at most {PATTERN_BYTES_MAX} are allowed", pattern.len()));
        }
        let pattern = compose(pattern);
        let ignore_case = !condition.case_sensitive;
        let regex = regex::RegexBuilder::new(&pattern)
            .case_insensitive(ignore_case)
            .size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| error.to_string())?;
        for name in regex.capture_names().flatten() {
            limits::check_key(name).map_err(|why| format!("the group {why}"))?;
        }
        let hir = regex_syntax::ParserBuilder::new()
            .case_insensitive(ignore_case)
            .build()
            .parse(&pattern)
            .map_err(|error| error.to_string())?;
        let literals = literals::required(&hir, &self.fold);
        let test = self.patterns.len();
        let has_literal = literals.is_some();
        for literal in literals.into_iter().flatten() {
            self.literals.entry(literal).or_default().push(Call::Pattern(test));
        }
        let places = self.places(condition);
        self.patterns.push(PatternTest { regex, places, has_literal });
        Ok(Node::Pattern(test))
    }

    fn places(&mut self, condition: &Condition) -> Vec<usize> {
        let usual = [Place::Subject, Place::Body];
        let wanted = if condition.places.is_empty() { &usual[..] } else { &condition.places };
        let mut number = |place: &Place| match self.places.iter().position(|known| known == place) {
            Some(at) => at,
            None => {
                self.places.push(place.clone());
                self.places.len() - 1
            }
        };
        wanted.iter().map(&mut number).collect()
    }

    /// Makes one automaton of all that was gathered.
    ///
    /// # Errors
    /// Where it would be too large.
    pub fn finish(mut self, conditions: Vec<Node>) -> Result<Screen, String> {
        if self.literals.len() > LITERALS_MAX {
            return Err(format!(
                "rules: {} words and literals, and at most {LITERALS_MAX} are allowed",
                self.literals.len()
            ));
        }
        let bytes: usize = self.literals.keys().map(String::len).sum();
        let kind = if bytes <= TABLE_BYTES_MAX { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let (literals, calls): (Vec<_>, Vec<_>) = std::mem::take(&mut self.literals).into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(kind))
            .build(&literals)
            .map_err(|error| format!("rules: the words do not fit one automaton: {error}"))?;
        let sieve = Sieve::new(&literals);
        let Self { fold, places, phrases, patterns, literals: _ } = self;
        Ok(Screen { automaton, sieve, calls, fold, places, phrases, patterns, conditions })
    }
}
