//! Screening: rules over words, phrases and patterns, in order; the first that holds decides.
//!
//! A rule names its outcome, so a workflow has one connector for each outcome that the rules use, and one for `otherwise`
//! (`clean` unless said). Comparing takes no notice of case in any alphabet, nor of line breaks inside a phrase; with
//! `loose` neither of accents nor of width. Named groups of patterns become user data: `order\s+(?<order>\d+)` attaches
//! `order`. Where the rules are right but the order matters, put the more particular rule first.
//!
//! ```json
#![doc = include_str!("../settings.example.json")]
//! ```
//!
//! The rules are checked, and made one automaton, when the strategy is deployed; a call reads the text once.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod fold;
mod literals;
mod look;
mod prepare;
mod screen;
mod settings;
mod sieve;
#[cfg(test)]
mod tests;
mod words;

pub use settings::{Condition, Place, Rule, Settings};

use screen::{Evidence, Screen};
use signalbox_sdk::{Action, Assets, Decision, Failure, Outcome, Outcomes, Request, Strategy, limits};
use std::collections::BTreeSet;

/// Most rules.
const RULES_MAX: usize = 1000;

/// The strategy, with its rules ready.
pub struct Screening {
    screen: Screen,
    rules: Vec<Rule>,
    otherwise: String,
}

impl Strategy for Screening {
    type Settings = Settings;
    const NAME: &'static str = "screening";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str =
        "Screens interactions by words, phrases and patterns, and leaves by the first rule that holds.";
    const OUTCOMES: Outcomes = &[("clean", "No rule holds.")];

    fn outcomes(&self) -> Vec<Outcome> {
        let mut outcomes = vec![Outcome::new(&self.otherwise, "No rule holds.")];
        for rule in &self.rules {
            match outcomes.iter_mut().find(|known| known.name == rule.outcome) {
                Some(known) => known.description.push_str(&format!(" Or by rule `{}`.", rule.name)),
                None => outcomes.push(Outcome::new(&rule.outcome, format!("By rule `{}`.", rule.name))),
            }
        }
        outcomes
    }

    fn configure(settings: Settings, _: Assets) -> Result<Self, String> {
        let Settings { rules, otherwise, loose } = settings;
        if rules.is_empty() || rules.len() > RULES_MAX {
            return Err(format!("rules: there are {}, and 1 to {RULES_MAX} are allowed", rules.len()));
        }
        limits::check_name(&otherwise).map_err(|why| format!("otherwise: {why}"))?;
        let mut names = BTreeSet::new();
        for (index, rule) in rules.iter().enumerate() {
            let name = &rule.name;
            check(rule).map_err(|why| format!("rule `{name}` (rules[{index}]): {why}"))?;
            if !names.insert(name) {
                return Err(format!("rule `{name}` (rules[{index}]): name: another rule has it already"));
            }
        }
        let screen = Screen::new(rules.iter().map(|rule| (rule.name.as_str(), &rule.when)), loose)?;
        Ok(Self { screen, rules, otherwise })
    }

    fn route(&self, request: &Request) -> Result<Decision, Failure> {
        Ok(match self.screen.first(&request.interaction) {
            Some((at, evidence)) => self.rules[at].decide(evidence),
            None => Decision::leave_by(&self.otherwise).because("no rule holds"),
        })
    }
}

signalbox_sdk::export!(Screening);

impl Rule {
    fn decide(&self, evidence: Evidence) -> Decision {
        let matches = match evidence.matches.as_slice() {
            [] => "what it excludes is not there".to_owned(),
            matches => matches.join(", "),
        };
        let reason = format!("rule `{}`: {matches}", self.name);
        let mut decision = Decision::leave_by(&self.outcome).because(limits::cut(&reason, limits::REASON_BYTES_MAX));
        decision.actions.extend(self.priority.map(Action::SetPriority));
        decision.actions.extend(self.language.clone().map(Action::SetLanguage));
        for (name, &relevancy) in &self.categories {
            decision = decision.categorize(name, relevancy);
        }
        for (name, &level) in &self.skills {
            decision = decision.require_skill(name, level);
        }
        // What the operator wrote goes over what the text says.
        for (key, value) in &self.attach {
            decision = decision.attach(key, value);
        }
        let captures = evidence.captures.into_iter().filter(|capture| !self.attach.contains_key(&capture.key));
        let room = limits::ACTIONS_MAX.saturating_sub(decision.actions.len());
        decision.actions.extend(captures.take(room).map(Action::Attach));
        decision
    }
}

fn check(rule: &Rule) -> Result<(), String> {
    limits::check_key(&rule.name).map_err(|why| format!("name: {why}"))?;
    limits::check_name(&rule.outcome).map_err(|why| format!("outcome: {why}"))?;
    let decision = rule.decide(Evidence::default());
    limits::check_decision(&decision, std::slice::from_ref(&Outcome::new(&rule.outcome, "")))
}
