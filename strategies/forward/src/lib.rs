//! Forward: sends interactions to another queue, to people with a skill, or out of the house, by rules in order.
//!
//! Inside the house (`queue`, `agent`, `agent-group`, `place-group`, `skills`) the next queue element is told who is to get
//! it: `routed`. A `forward` sends a copy and goes on: `forwarded`. A `redirect` sends it and ends here: `redirected`.
//! Where no rule holds it leaves by `unchanged`.
//!
//! Forwards and redirects are hops. Past `hops_max`, or to a place it was sent to before, it leaves by `loop`, with the
//! trail as the reason: let a person look at it.
//!
//! ```json
#![doc = include_str!("../settings.example.json")]
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod condition;
mod settings;
#[cfg(test)]
mod tests;
mod to;
mod trail;

pub use settings::{Figure, Key, Kind, Onwards, Rule, Settings, Table, To, When};

use signalbox_sdk::{
    Assets, Decision, Failure, Interaction, Outcome, Outcomes, Request, Strategy, limits, standing_outcomes,
};
use std::collections::BTreeSet;

/// Most rules.
const RULES_MAX: usize = 500;

/// The strategy: its settings are all that it has.
pub struct Forward(Settings);

impl Strategy for Forward {
    type Settings = Settings;
    const NAME: &'static str = "forward";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str =
        "Sends interactions to another queue, to people with a skill, or out of the house, and reports loops.";
    const OUTCOMES: Outcomes = &[
        ("routed", "The next queue element knows who is to get it."),
        ("forwarded", "A copy was sent onwards."),
        ("redirected", "It was sent onwards and ends here."),
        ("loop", "It would be forwarded too often, or where it was before."),
        ("unchanged", "No rule holds."),
    ];

    fn outcomes(&self) -> Vec<Outcome> {
        let mut outcomes = standing_outcomes::<Self>();
        for rule in &self.0.rules {
            if let Some(name) = &rule.outcome
                && !outcomes.iter().any(|known| known.name == *name)
            {
                outcomes.push(Outcome::new(name, format!("By rule `{}`.", rule.name)));
            }
        }
        outcomes
    }

    fn configure(settings: Settings, _: Assets) -> Result<Self, String> {
        let rules = &settings.rules;
        if rules.is_empty() || rules.len() > RULES_MAX {
            return Err(format!("rules: there are {}, and 1 to {RULES_MAX} are allowed", rules.len()));
        }
        if settings.hops_max == 0 {
            return Err("hops_max: 0, and at least 1 is needed".to_owned());
        }
        let mut names = BTreeSet::new();
        for (index, rule) in rules.iter().enumerate() {
            rule.check().map_err(|why| format!("rule `{}` (rules[{index}]): {why}", rule.name))?;
            if !names.insert(&rule.name) {
                return Err(format!("rule `{}` (rules[{index}]): name: another rule has it already", rule.name));
            }
        }
        Ok(Self(settings))
    }

    fn route(&self, request: &Request) -> Result<Decision, Failure> {
        let interaction = &request.interaction;
        for rule in &self.0.rules {
            if let Some(holds) = condition::holds(&rule.when, interaction)? {
                let to = holds.value.map_or_else(|| rule.to.clone(), |value| rule.to.with_value(&value));
                // A table is edited after deployment, so what it gave is checked only now.
                to.check().map_err(|why| format!("rule `{}`: to: {why}", rule.name))?;
                return Ok(rule.send(to, interaction, self.0.hops_max));
            }
        }
        Ok(Decision::leave_by("unchanged").because("no rule holds"))
    }
}

signalbox_sdk::export!(Forward);

impl Rule {
    fn send(&self, to: To, interaction: &Interaction, hops_max: u8) -> Decision {
        let place = to.to_string();
        if to.is_hop() && (interaction.hops >= hops_max || trail::has(interaction, &place)) {
            return self.report_loop(&place, interaction, hops_max);
        }
        let outcome = self.outcome.as_deref().unwrap_or(to.outcome());
        let reason = format!("rule `{}`: {} to {place}", self.name, to.outcome());
        let decision = Decision::leave_by(outcome).because(limits::cut(&reason, limits::REASON_BYTES_MAX));
        if to.is_hop() {
            decision.attach(trail::KEY, trail::with(interaction, &place)).then(to.into_action())
        } else {
            decision.then(to.into_action())
        }
    }

    fn report_loop(&self, place: &str, interaction: &Interaction, hops_max: u8) -> Decision {
        let why = if interaction.hops >= hops_max {
            format!("it was sent on {} times, and {hops_max} is the limit", interaction.hops)
        } else {
            "it was sent there before".to_owned()
        };
        let trail = interaction.user(trail::KEY).unwrap_or("unknown");
        let reason = format!("rule `{}` would send it to {place}, but {why}; trail: {trail}", self.name);
        Decision::leave_by("loop").because(limits::cut(&reason, limits::REASON_BYTES_MAX))
    }

    fn check(&self) -> Result<(), String> {
        limits::check_key(&self.name).map_err(|why| format!("name: {why}"))?;
        if let Some(outcome) = &self.outcome {
            limits::check_name(outcome).map_err(|why| format!("outcome: {why}"))?;
        }
        if self.when.table.is_none() && self.to.text().contains(to::VALUE) {
            return Err(format!("to: `{}` needs a table in `when`", to::VALUE));
        }
        // A url may be a value alone: any that is well formed does for the check.
        self.to.with_value("https://value").check().map_err(|why| format!("to: {why}"))?;
        for (name, relevancy) in &self.when.categories {
            if *relevancy > limits::RELEVANCY_MAX {
                return Err(format!(
                    "when.categories.{name}: {relevancy}, and at most {} is allowed",
                    limits::RELEVANCY_MAX
                ));
            }
        }
        if let Some(least) = self.when.priority_min.filter(|least| *least > limits::PRIORITY_MAX) {
            return Err(format!("when.priority_min: {least}, and at most {} is allowed", limits::PRIORITY_MAX));
        }
        for (at, figure) in self.when.statistics.iter().enumerate() {
            if figure.above.is_none() && figure.below.is_none() {
                return Err(format!("when.statistics[{at}]: needs `above` or `below`"));
            }
        }
        Ok(())
    }
}
