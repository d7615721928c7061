//! The rules made ready: one automaton over the literals of all of them, then each rule's own condition.
//!
//! Built at deployment and only read by calls. A text in which the automaton finds nothing costs one pass over it, and
//! no regular expression is run that cannot match.

use crate::{
    fold::{Fold, compose},
    literals,
    settings::{Condition, Place},
    words::Phrase,
};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::Regex;
use signalbox_sdk::{Entry, Interaction, limits};
use std::{borrow::Cow, collections::BTreeMap};

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
/// Longest piece of a text that a reason quotes, in bytes.
const QUOTE_BYTES_MAX: usize = 80;

/// The rules' conditions, ready.
pub struct Screen {
    automaton: AhoCorasick,
    /// For each literal of the automaton, whom it calls.
    calls: Vec<Vec<Call>>,
    fold: Fold,
    /// Every place that a test looks in, each once.
    places: Vec<Place>,
    phrases: Vec<PhraseTest>,
    patterns: Vec<PatternTest>,
    conditions: Vec<Node>,
}

/// Whom a literal calls when it is found.
#[derive(Clone, Copy)]
enum Call {
    /// Phrase of a test of words.
    Phrase { test: usize, phrase: usize },
    /// The pattern may match.
    Pattern(usize),
}

enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    None(Vec<Node>),
    Words(usize),
    Pattern(usize),
}

struct PhraseTest {
    phrases: Vec<Phrase>,
    places: Vec<usize>,
    case_sensitive: bool,
}

struct PatternTest {
    regex: Regex,
    places: Vec<usize>,
    /// Without a literal it is always run.
    has_literal: bool,
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
    pub fn new<'a>(
        rules: impl Iterator<Item = (&'a str, &'a Condition)>,
        loose: bool,
    ) -> Result<Self, String> {
        let mut build = Build {
            fold: Fold::new(loose),
            literals: BTreeMap::new(),
            places: vec![],
            phrases: vec![],
            patterns: vec![],
        };
        let conditions = rules
            .enumerate()
            .map(|(index, (name, when))| {
                build
                    .node(when, "when", 0)
                    .map_err(|why| format!("rule `{name}` (rules[{index}]): {why}"))
            })
            .collect::<Result<_, _>>()?;
        build.finish(conditions)
    }

    /// The first condition that holds, and why.
    pub fn first(&self, interaction: &Interaction) -> Option<(usize, Evidence)> {
        let look = Look::new(self, interaction);
        let mut evidence = Evidence::default();
        let first = self
            .conditions
            .iter()
            .position(|node| look.holds(node, &mut evidence))?;
        Some((first, evidence))
    }
}

struct Build {
    fold: Fold,
    literals: BTreeMap<String, Vec<Call>>,
    places: Vec<Place>,
    phrases: Vec<PhraseTest>,
    patterns: Vec<PatternTest>,
}

impl Build {
    fn node(&mut self, condition: &Condition, field: &str, depth: usize) -> Result<Node, String> {
        if depth > DEPTH_MAX {
            return Err(format!(
                "{field}: conditions stand more than {DEPTH_MAX} deep"
            ));
        }
        let mut parts = Vec::new();
        if !condition.words.is_empty() {
            parts.push(self.words(condition, field)?);
        }
        if let Some(pattern) = &condition.pattern {
            parts.push(
                self.pattern(pattern, condition)
                    .map_err(|why| format!("{field}.pattern: {why}"))?,
            );
        }
        if parts.is_empty() && (condition.case_sensitive || !condition.places.is_empty()) {
            return Err(format!(
                "{field}: `in` and `case_sensitive` belong beside `words` or `pattern`"
            ));
        }
        for (name, group, make) in [
            ("all", &condition.all, Node::All as fn(_) -> _),
            ("any", &condition.any, Node::Any),
            ("none", &condition.none, Node::None),
        ] {
            if !group.is_empty() {
                let nodes = group.iter().enumerate();
                let nodes = nodes.map(|(at, inner)| {
                    self.node(inner, &format!("{field}.{name}[{at}]"), depth + 1)
                });
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
        self.phrases.push(PhraseTest {
            phrases,
            places,
            case_sensitive: condition.case_sensitive,
        });
        Ok(Node::Words(test))
    }

    fn pattern(&mut self, pattern: &str, condition: &Condition) -> Result<Node, String> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!(
                "{} bytes long, and at most {PATTERN_BYTES_MAX} are allowed",
                pattern.len()
            ));
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
            self.literals
                .entry(literal)
                .or_default()
                .push(Call::Pattern(test));
        }
        let places = self.places(condition);
        self.patterns.push(PatternTest {
            regex,
            places,
            has_literal,
        });
        Ok(Node::Pattern(test))
    }

    fn places(&mut self, condition: &Condition) -> Vec<usize> {
        let usual = [Place::Subject, Place::Body];
        let wanted = if condition.places.is_empty() {
            &usual[..]
        } else {
            &condition.places
        };
        let mut number = |place: &Place| match self.places.iter().position(|known| known == place) {
            Some(at) => at,
            None => {
                self.places.push(place.clone());
                self.places.len() - 1
            }
        };
        wanted.iter().map(&mut number).collect()
    }

    fn finish(mut self, conditions: Vec<Node>) -> Result<Screen, String> {
        if self.literals.len() > LITERALS_MAX {
            return Err(format!(
                "rules: {} words and literals, and at most {LITERALS_MAX} are allowed",
                self.literals.len()
            ));
        }
        let bytes: usize = self.literals.keys().map(String::len).sum();
        let kind = if bytes <= TABLE_BYTES_MAX {
            AhoCorasickKind::DFA
        } else {
            AhoCorasickKind::ContiguousNFA
        };
        let (literals, calls): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.literals).into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(kind))
            .build(&literals)
            .map_err(|error| format!("rules: the words do not fit one automaton: {error}"))?;
        let Self {
            fold,
            places,
            phrases,
            patterns,
            literals: _,
        } = self;
        Ok(Screen {
            automaton,
            calls,
            fold,
            places,
            phrases,
            patterns,
            conditions,
        })
    }
}

/// One call's look at an interaction.
struct Look<'a> {
    screen: &'a Screen,
    texts: Vec<Text<'a>>,
    /// For each test of words, where one of them was found. Empty until a first one is.
    words: Vec<Option<Found>>,
    /// For each pattern, whether one of its literals was found. Empty until a first one is.
    patterns: Vec<bool>,
}

struct Text<'a> {
    place: usize,
    original: Cow<'a, str>,
    /// Left out where the original is ASCII.
    folded: Option<String>,
}

/// A phrase that is in a text, in bytes of the original.
#[derive(Clone, Copy)]
struct Found {
    text: usize,
    phrase: usize,
    start: usize,
}

impl<'a> Look<'a> {
    fn new(screen: &'a Screen, interaction: &'a Interaction) -> Self {
        let mut look = Self {
            screen,
            texts: Vec::new(),
            words: Vec::new(),
            patterns: Vec::new(),
        };
        for (place, kind) in screen.places.iter().enumerate() {
            for_each_text(interaction, kind, |text| look.read(place, text));
        }
        look
    }

    fn read(&mut self, place: usize, text: &'a str) {
        let original = compose(text);
        let folded = (!original.is_ascii()).then(|| self.screen.fold.text(&original));
        let text = Text {
            place,
            original,
            folded,
        };
        let screen = self.screen;
        for hit in screen.automaton.find_overlapping_iter(text.searched()) {
            for &call in &screen.calls[hit.pattern().as_usize()] {
                match call {
                    Call::Pattern(test) => {
                        self.patterns.resize(screen.patterns.len(), false);
                        self.patterns[test] = true;
                    }
                    Call::Phrase { test, phrase } => self.heed(&text, hit.start(), test, phrase),
                }
            }
        }
        self.texts.push(text);
    }

    fn heed(&mut self, text: &Text<'_>, anchor_at: usize, test: usize, phrase: usize) {
        let words = &self.screen.phrases[test];
        let found_already = self.words.get(test).is_some_and(Option::is_some);
        if found_already || !words.places.contains(&text.place) {
            return;
        }
        let Some((start, end)) = words.phrases[phrase].around(text.searched(), anchor_at) else {
            return;
        };
        let (start, end) = match &text.folded {
            None => (start, end),
            Some(_) => {
                let original = |at| self.screen.fold.place_in_original(&text.original, at);
                (original(start), original(end))
            }
        };
        if words.case_sensitive && !words.phrases[phrase].is_written_so(&text.original[start..end])
        {
            return;
        }
        self.words.resize(self.screen.phrases.len(), None);
        self.words[test] = Some(Found {
            text: self.texts.len(),
            phrase,
            start,
        });
    }

    fn holds(&self, node: &Node, evidence: &mut Evidence) -> bool {
        let (matches, captures) = (evidence.matches.len(), evidence.captures.len());
        let holds = match node {
            Node::All(nodes) => nodes.iter().all(|inner| self.holds(inner, evidence)),
            Node::Any(nodes) => nodes.iter().any(|inner| self.holds(inner, evidence)),
            Node::None(nodes) => !nodes.iter().any(|inner| self.holds(inner, evidence)),
            Node::Words(test) => self.words_hold(*test, evidence),
            Node::Pattern(test) => self.pattern_holds(*test, evidence),
        };
        // What spoke for a part that fell with the whole, or for what must not be, is no evidence.
        if !holds || matches!(node, Node::None(_)) {
            evidence.matches.truncate(matches);
            evidence.captures.truncate(captures);
        }
        holds
    }

    fn words_hold(&self, test: usize, evidence: &mut Evidence) -> bool {
        let Some(Some(found)) = self.words.get(test) else {
            return false;
        };
        let text = &self.texts[found.text];
        let phrase = self.screen.phrases[test].phrases[found.phrase].written();
        evidence.matches.push(self.say(text, found.start, phrase));
        true
    }

    fn pattern_holds(&self, test: usize, evidence: &mut Evidence) -> bool {
        let pattern = &self.screen.patterns[test];
        if pattern.has_literal && !self.patterns.get(test).copied().unwrap_or(false) {
            return false;
        }
        let looked_at = self
            .texts
            .iter()
            .filter(|text| pattern.places.contains(&text.place));
        let Some((text, captures)) = looked_at
            .filter_map(|text| Some((text, pattern.regex.captures(&text.original)?)))
            .next()
        else {
            return false;
        };
        let whole = captures.get_match();
        evidence
            .matches
            .push(self.say(text, whole.start(), whole.as_str()));
        let named = pattern.regex.capture_names().flatten();
        evidence.captures.extend(named.filter_map(|name| {
            let value = captures.name(name)?.as_str();
            Some(Entry::new(
                name,
                limits::cut(value, limits::VALUE_BYTES_MAX),
            ))
        }));
        true
    }

    fn say(&self, text: &Text<'_>, start: usize, what: &str) -> String {
        let place = &self.screen.places[text.place];
        let character = text.original[..start].chars().count() + 1;
        format!(
            "{place} has {:?} at character {character}",
            limits::cut(what, QUOTE_BYTES_MAX)
        )
    }
}

impl Text<'_> {
    fn searched(&self) -> &str {
        self.folded.as_deref().unwrap_or(&self.original)
    }
}

fn for_each_text<'a>(interaction: &'a Interaction, place: &Place, mut take: impl FnMut(&'a str)) {
    match place {
        Place::Subject => interaction.subject.as_deref().into_iter().for_each(take),
        Place::Body => take(&interaction.body),
        Place::Sender => interaction.sender.as_deref().into_iter().for_each(take),
        Place::Recipient => interaction.recipient.as_deref().into_iter().for_each(take),
        Place::MediaType => take(&interaction.media_type),
        Place::Header(name) => {
            interaction
                .headers
                .iter()
                .filter(|header| header.key == *name)
                .for_each(|header| take(&header.value));
        }
        Place::User(key) => interaction.user(key).into_iter().for_each(take),
    }
}
