//! One call: what the automaton finds in an interaction's texts, and which conditions hold by it.

use crate::{
    fold::{Fold, compose},
    screen::{Call, Evidence, Node, Screen},
    settings::Place,
};
use aho_corasick::Input;
use signalbox_sdk::{Entry, Interaction, limits};
use std::{borrow::Cow, cell::OnceCell};

/// Longest piece of a text that a reason quotes, in bytes.
const QUOTE_BYTES_MAX: usize = 80;

/// One call's look at an interaction.
pub struct Look<'a> {
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
    /// Where in the original the bytes of `folded` come from; made once a phrase is found.
    places: OnceCell<Vec<usize>>,
}

/// A phrase that is in a text, in bytes of the original.
#[derive(Clone, Copy)]
struct Found {
    text: usize,
    phrase: usize,
    start: usize,
}

impl<'a> Look<'a> {
    /// Reads every text that a rule looks in, once.
    pub fn new(screen: &'a Screen, interaction: &'a Interaction) -> Self {
        let mut look = Self { screen, texts: Vec::new(), words: Vec::new(), patterns: Vec::new() };
        for (place, kind) in screen.places.iter().enumerate() {
            for_each_text(interaction, kind, |text| look.read(place, text));
        }
        look
    }

    fn read(&mut self, place: usize, text: &'a str) {
        let original = compose(text);
        let folded = (!original.is_ascii()).then(|| self.screen.fold.text(&original));
        let text = Text { place, original, folded, places: OnceCell::new() };
        let screen = self.screen;
        let searched = text.searched().as_bytes();
        let everywhere = || std::iter::once(0..searched.len()).collect();
        let spans = screen.sieve.as_ref().map_or_else(everywhere, |sieve| sieve.spans(searched));
        let pieces = spans.into_iter().map(|span| Input::new(searched).span(span));
        for hit in pieces.flat_map(|piece| screen.automaton.find_overlapping_iter(piece)) {
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
        let fold = &self.screen.fold;
        let (start, end) = (text.place_in_original(start, fold), text.place_in_original(end, fold));
        if words.case_sensitive && !words.phrases[phrase].is_written_so(&text.original[start..end]) {
            return;
        }
        self.words.resize(self.screen.phrases.len(), None);
        self.words[test] = Some(Found { text: self.texts.len(), phrase, start });
    }

    /// Whether a condition holds, adding to the evidence where it does.
    pub fn holds(&self, node: &Node, evidence: &mut Evidence) -> bool {
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
        let looked_at = self.texts.iter().filter(|text| pattern.places.contains(&text.place));
        let Some((text, captures)) =
            looked_at.filter_map(|text| Some((text, pattern.regex.captures(&text.original)?))).next()
        else {
            return false;
        };
        let whole = captures.get_match();
        evidence.matches.push(self.say(text, whole.start(), whole.as_str()));
        let named = pattern.regex.capture_names().flatten();
        evidence.captures.extend(named.filter_map(|name| {
            let value = captures.name(name)?.as_str();
            Some(Entry::new(name, limits::cut(value, limits::VALUE_BYTES_MAX)))
        }));
        true
    }

    fn say(&self, text: &Text<'_>, start: usize, what: &str) -> String {
        let place = &self.screen.places[text.place];
        let character = text.original[..start].chars().count() + 1;
        format!("{place} has {:?} at character {character}", limits::cut(what, QUOTE_BYTES_MAX))
    }
}

impl Text<'_> {
    fn place_in_original(&self, at: usize, fold: &Fold) -> usize {
        match self.folded {
            None => at,
            Some(_) => self.places.get_or_init(|| fold.places(&self.original))[at],
        }
    }

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
            interaction.headers.iter().filter(|header| header.key == *name).for_each(|header| take(&header.value));
        }
        Place::User(key) => interaction.user(key).into_iter().for_each(take),
    }
}
