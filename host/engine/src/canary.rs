//! A canary: a deployment that takes a growing part of a binding's calls for as long as its guards hold.
//!
//! Pure: whoever counts the calls hands the figures in. What it gives up falls back to the shares: a canary's call that
//! fails is made again by them, so a bad canary costs time and no interaction.
//!
//! Invariant: an interaction that the canary has stays with it while its part grows, for the choice is one hash of the
//! interaction against a threshold, and nothing else.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::account::Account;
use crate::binding::{Binding, Share};
use crate::decide::invalid;
use crate::document::Document;
use crate::event::Event;
use crate::id::{InteractionId, Name, UnixMillis};
use crate::limits;
use crate::rejection::Rejection;
use crate::replay::CallTimes;
use crate::segment;

/// Who changes a binding when a step is over or a guard is broken, as it stands in records.
const BY: &str = "signalbox";

/// A deployment that takes a growing part of the calls, and what must hold meanwhile. After its last step it is the only
/// share; where a guard is broken it goes away, and the shares serve all again. The binding's `message` then says why.
///
/// Its calls are counted from the beginning of each step on. After a restart of the server the step that it is in begins
/// again. A call of it that fails is made again by the shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// The deployment; none of the shares.
    #[schema(value_type = String)]
    pub deployment: Name,
    /// 1 to 20, each with a greater part than the one before.
    pub steps: Vec<CanaryStep>,
    /// At least one limit. A limit is looked at once there were enough calls.
    pub guards: Guards,
    /// The step that it is in, from 0 on. Set by the server; kept where the same canary with the same steps is put again.
    #[serde(default)]
    pub step: usize,
    /// When that began. Set by the server.
    #[serde(default)]
    #[schema(value_type = u64)]
    pub step_at: UnixMillis,
}

/// A step of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryStep {
    /// Its part of the interactions, 1 to 100 percent.
    #[schema(minimum = 1, maximum = 100)]
    pub percent: u8,
    /// How long it takes at least, 1 to 2,592,000 s. It is not over before there were `calls_min` calls.
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub for_s: u64,
}

/// What must hold of a canary's calls in each of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Guards {
    /// Share of its calls that gave no decision, at most, 0 to 1: traps, overruns, refused answers, failures that it says
    /// itself, and calls that could not be made, as while a breaker keeps it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    pub error_share_max: Option<Fraction>,
    /// All but one in a hundred of its calls take at most so long, 1 to 5,000,000 µs, instantiation included; measured to a
    /// sixteenth. Of fewer than 100 calls the slowest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 5_000_000)]
    pub p99_max_us: Option<u64>,
    /// Share of each outcome among its decisions against the share among the others' in the same step: moves at most by so
    /// much, 0 to 1. In a step of 100 percent against the others' in the step before, unless the server
    /// was started in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    pub outcome_shift_max: Option<Fraction>,
    /// Calls of it before a limit is looked at and before a step is over, 1 to 1,000,000; for shares of outcomes also
    /// decisions of the others. By chance a share among 50 is off by up to 0.14, among 1,000 by 0.03.
    #[serde(default = "Guards::calls_min")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub calls_min: u64,
}

impl Guards {
    fn calls_min() -> u64 {
        50
    }
}

/// A part of a whole, 0 to 1, to the millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fraction(u32);

impl Fraction {
    const WHOLE: u32 = 1_000_000;

    /// None outside 0 to 1.
    #[must_use]
    pub fn new(part: f64) -> Option<Self> {
        // Within the bounds it fits, and what lies between two millionths goes to the nearer one.
        (0.0..=1.0).contains(&part).then(|| Self((part * f64::from(Self::WHOLE)).round() as u32))
    }

    /// Whether a part of a whole is more than this.
    fn is_below(self, part: u128, whole: u128) -> bool {
        part * u128::from(Self::WHOLE) > u128::from(self.0) * whole
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / f64::from(Self::WHOLE))
    }
}

impl Serialize for Fraction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / f64::from(Self::WHOLE))
    }
}

impl<'de> Deserialize<'de> for Fraction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let part = f64::deserialize(deserializer)?;
        Self::new(part).ok_or_else(|| serde::de::Error::custom("a share is a number from 0 to 1"))
    }
}

/// What calls have come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Served {
    /// That have ended.
    pub calls: u64,
    /// Without a decision, by cause.
    pub failures: BTreeMap<String, u64>,
    /// With one, by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// How long they took.
    pub times: CallTimes,
}

impl Served {
    fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    fn decided(&self) -> u64 {
        self.outcomes.values().sum()
    }
}

/// What was counted of a canary in the step that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CanaryFigures {
    /// Since when.
    #[schema(value_type = u64)]
    pub since: UnixMillis,
    /// Its own calls.
    pub canary: Served,
    /// First calls of those that have a share; in a step of 100 percent what they were in the step before.
    pub rest: Served,
}

/// What the figures of a step mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The step is over and all guards hold.
    Advance,
    /// A guard is broken; why, in words.
    RollBack(String),
}

impl Canary {
    /// Whether its part is all there is.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.percent() >= 100
    }

    fn percent(&self) -> u8 {
        self.steps.get(self.step).map_or(0, |step| step.percent)
    }

    /// Whether it has an interaction.
    pub(crate) fn takes(&self, interaction: InteractionId, workflow: &Name, element: &Name) -> bool {
        // Not the shares' own hash: whoever the canary leaves must still be dealt among them as the weights say.
        let key =
            [b"canary".as_slice(), interaction.0.as_bytes(), workflow.as_str().as_bytes(), element.as_str().as_bytes()];
        let percent = u32::from(self.percent());
        segment::pick(&key, [percent, 100 - percent.min(100)].into_iter()) == Some(0)
    }

    /// What the figures mean by now, if they mean anything yet.
    #[must_use]
    pub fn judge(&self, figures: &CanaryFigures, now: UnixMillis) -> Option<Verdict> {
        if figures.canary.calls < self.guards.calls_min {
            return None;
        }
        if let Some(why) = self.broken(figures) {
            return Some(Verdict::RollBack(why));
        }
        (self.ends_at(figures)? <= now).then_some(Verdict::Advance)
    }

    /// When its step is over if all guards hold; none while there were too few calls for that.
    #[must_use]
    pub fn ends_at(&self, figures: &CanaryFigures) -> Option<UnixMillis> {
        let enough = self.guards.calls_min;
        // A step of 100 percent cannot wait for others, who have no calls.
        let is_compared =
            self.guards.outcome_shift_max.is_none() || self.is_whole() || figures.rest.decided() >= enough;
        if figures.canary.calls < enough || !is_compared {
            return None;
        }
        let step = self.steps.get(self.step)?;
        Some(figures.since.plus(step.for_s.saturating_mul(1000)))
    }

    fn broken(&self, figures: &CanaryFigures) -> Option<String> {
        let CanaryFigures { canary, rest, .. } = figures;
        let Guards { error_share_max, p99_max_us, outcome_shift_max, calls_min } = self.guards;
        let failed = canary.failed();
        if let Some(max) = error_share_max.filter(|max| max.is_below(failed.into(), canary.calls.into())) {
            let causes: Vec<_> = canary.failures.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
            let (share, causes) = (share(failed, canary.calls), causes.join(", "));
            return Some(format!(
                "its error share is {share}, at most {max} is allowed: {failed} of {} calls failed ({causes})",
                canary.calls
            ));
        }
        if let Some(max) = p99_max_us.filter(|max| canary.times.p99_us > *max) {
            let p99 = canary.times.p99_us;
            return Some(format!("its p99 is {p99} µs over {} calls, at most {max} µs is allowed", canary.calls));
        }
        let max = outcome_shift_max?;
        let (of, against) = (canary.decided(), rest.decided());
        if of == 0 || against < calls_min {
            return None;
        }
        let mut outcomes: Vec<&String> = canary.outcomes.keys().chain(rest.outcomes.keys()).collect();
        outcomes.sort_unstable();
        outcomes.dedup();
        // How far apart the shares are, times both numbers of decisions.
        let apart = |outcome: &String| {
            let (own, others) = (count(canary, outcome), count(rest, outcome));
            (u128::from(own) * u128::from(against)).abs_diff(u128::from(others) * u128::from(of))
        };
        let outcome = outcomes.into_iter().max_by_key(|outcome| apart(outcome))?;
        if !max.is_below(apart(outcome), u128::from(of) * u128::from(against)) {
            return None;
        }
        let (own, others) = (count(canary, outcome), count(rest, outcome));
        Some(format!(
            "its outcome `{outcome}` has a share of {} in {of} decisions, and of {} in {against} of the others: \
             at most {max} apart is allowed",
            share(own, of),
            share(others, against),
        ))
    }

    /// What is wrong with it by itself.
    pub(crate) fn check(&self) -> Result<(), Rejection> {
        let Guards { error_share_max, p99_max_us, outcome_shift_max, calls_min } = self.guards;
        if self.steps.is_empty() || self.steps.len() > limits::CANARY_STEPS_MAX {
            return Err(invalid("canary.steps", format!("1 to {} steps", limits::CANARY_STEPS_MAX)));
        }
        if self.steps.iter().any(|step| !(1..=100).contains(&step.percent)) {
            return Err(invalid("canary.steps", "a step's `percent` is 1 to 100"));
        }
        if self.steps.windows(2).any(|pair| pair[0].percent >= pair[1].percent) {
            return Err(invalid("canary.steps", "each step has a greater `percent` than the one before"));
        }
        if self.steps.iter().any(|step| !(1..=limits::CANARY_STEP_S_MAX).contains(&step.for_s)) {
            return Err(invalid("canary.steps", format!("a step's `for_s` is 1 to {} s", limits::CANARY_STEP_S_MAX)));
        }
        if self.step >= self.steps.len() {
            return Err(invalid("canary.step", "there is no such step"));
        }
        if error_share_max.is_none() && p99_max_us.is_none() && outcome_shift_max.is_none() {
            let message = "give at least one of `error_share_max`, `p99_max_us` and `outcome_shift_max`";
            return Err(invalid("canary.guards", message));
        }
        if p99_max_us.is_some_and(|us| !(1..=5_000_000).contains(&us)) {
            return Err(invalid("canary.guards.p99_max_us", "1 to 5000000"));
        }
        if !(1..=1_000_000).contains(&calls_min) {
            return Err(invalid("canary.guards.calls_min", "1 to 1000000"));
        }
        if outcome_shift_max.is_some() && self.steps[0].percent == 100 {
            let message =
                "a first step of 100 percent leaves no other decisions to compare with: begin with a smaller one";
            return Err(invalid("canary.guards.outcome_shift_max", message));
        }
        Ok(())
    }

    /// Goes on where the same canary stands, and begins otherwise.
    pub(crate) fn follow(&mut self, standing: Option<&Self>, at: UnixMillis) {
        let same = standing.filter(|it| it.deployment == self.deployment && it.steps == self.steps);
        (self.step, self.step_at) = same.map_or((0, at), |it| (it.step, it.step_at));
    }
}

fn count(served: &Served, outcome: &str) -> u64 {
    served.outcomes.get(outcome).copied().unwrap_or(0)
}

/// A share for people, to the thousandth.
fn share(part: u64, whole: u64) -> f64 {
    (part as f64 / whole.max(1) as f64 * 1000.0).round() / 1000.0
}

/// Lets a canary go on or away as its figures say.
pub(crate) fn counted(
    account: &Account,
    (workflow, element): (&Name, &Name),
    deployment: &Name,
    figures: &CanaryFigures,
    now: UnixMillis,
) -> Result<Vec<Event>, Rejection> {
    let standing = account.configuration().binding(workflow, element).ok_or(Rejection::NotAwaited)?;
    let canary = standing.canary.as_ref().filter(|canary| canary.deployment == *deployment);
    let canary = canary.ok_or(Rejection::NotAwaited)?;
    let verdict = canary.judge(figures, now).ok_or(Rejection::NotDue)?;
    let (nth, of) = (canary.step + 1, canary.steps.len());
    let whose = format!("canary `{deployment}`, put by {}", standing.put_by);
    let binding = match verdict {
        Verdict::RollBack(why) => {
            let message = format!("{whose}, rolled back in step {nth} of {of} ({} %): {why}", canary.percent());
            standing.without_canary(message, BY.to_owned(), now)
        }
        Verdict::Advance if nth < of => {
            let canary = Canary { step: nth, step_at: now, ..canary.clone() };
            Binding { canary: Some(canary), ..Binding::clone(standing) }
        }
        Verdict::Advance => {
            let shares = vec![Share { deployment: deployment.clone(), weight: 1 }];
            let message = format!("{whose}, promoted after {of} step{}", if of == 1 { "" } else { "s" });
            let promoted = Binding { shares, message, canary: None, ..Binding::clone(standing) };
            promoted.after(Some(standing), BY.to_owned(), now)
        }
    };
    Ok(vec![Event::DocumentPut { document: Document::Binding(binding.into()), by: BY.to_owned() }])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn canary(steps: &[(u8, u64)], guards: &str) -> Canary {
        let steps = steps.iter().map(|(percent, for_s)| CanaryStep { percent: *percent, for_s: *for_s }).collect();
        let guards = serde_json::from_str(guards).unwrap();
        Canary { deployment: name("new"), steps, guards, step: 0, step_at: UnixMillis(0) }
    }

    fn served(failures: &[(&str, u64)], outcomes: &[(&str, u64)], p99_us: u64) -> Served {
        let by = |counts: &[(&str, u64)]| counts.iter().map(|(of, count)| ((*of).to_owned(), *count)).collect();
        let (failures, outcomes): (BTreeMap<_, _>, BTreeMap<_, _>) = (by(failures), by(outcomes));
        let calls = failures.values().sum::<u64>() + outcomes.values().sum::<u64>();
        Served { calls, failures, outcomes, times: CallTimes { p50_us: 1, p99_us } }
    }

    fn verdict(canary: &Canary, own: Served, rest: Served, now_s: u64) -> Option<Verdict> {
        let figures = CanaryFigures { since: UnixMillis(0), canary: own, rest };
        canary.judge(&figures, UnixMillis(now_s * 1000))
    }

    fn why(verdict: Option<Verdict>) -> String {
        match verdict {
            Some(Verdict::RollBack(why)) => why,
            other => panic!("{other:?} is no rollback"),
        }
    }

    #[test]
    fn a_step_is_over_when_its_time_is_and_there_were_enough_calls() {
        let canary = canary(&[(5, 60), (100, 60)], r#"{"error_share_max": 0.1, "calls_min": 10}"#);
        let few = || served(&[], &[("a", 9)], 1);
        let enough = || served(&[("trap", 1)], &[("a", 9)], 1);
        assert_eq!(verdict(&canary, few(), Served::default(), 1000), None);
        assert_eq!(verdict(&canary, enough(), Served::default(), 59), None);
        assert_eq!(verdict(&canary, enough(), Served::default(), 60), Some(Verdict::Advance));
    }

    #[test]
    fn every_kind_of_failure_counts_and_the_reason_names_guard_figure_limit_and_calls() {
        let canary = canary(&[(5, 60)], r#"{"error_share_max": 0.1, "calls_min": 10}"#);
        let own = served(&[("trap", 1), ("unavailable", 1)], &[("a", 9)], 1);
        assert_eq!(
            why(verdict(&canary, own, Served::default(), 1)),
            "its error share is 0.182, at most 0.1 is allowed: 2 of 11 calls failed (trap 1, unavailable 1)"
        );
        let failing = served(&[("trap", 9)], &[], 1);
        assert_eq!(verdict(&canary, failing, Served::default(), 1), None, "nine calls are too few");
    }

    #[test]
    fn a_slow_canary_goes() {
        let canary = canary(&[(5, 60)], r#"{"p99_max_us": 2000, "calls_min": 10}"#);
        assert_eq!(verdict(&canary, served(&[], &[("a", 10)], 2000), Served::default(), 1), None);
        assert_eq!(
            why(verdict(&canary, served(&[], &[("a", 10)], 2001), Served::default(), 1)),
            "its p99 is 2001 µs over 10 calls, at most 2000 µs is allowed"
        );
    }

    #[test]
    fn an_outcome_that_moves_is_compared_with_the_others_of_the_same_step() {
        let mut canary = canary(&[(50, 60), (100, 60)], r#"{"outcome_shift_max": 0.2, "calls_min": 10}"#);
        let rest = || served(&[], &[("a", 80), ("b", 20)], 1);
        assert_eq!(
            verdict(&canary, served(&[], &[("a", 6), ("b", 4)], 1), rest(), 1),
            None,
            "just as much as is allowed"
        );
        assert_eq!(
            why(verdict(&canary, served(&[], &[("a", 5), ("c", 5)], 1), rest(), 1)),
            "its outcome `c` has a share of 0.5 in 10 decisions, and of 0 in 100 of the others: \
             at most 0.2 apart is allowed"
        );
        // Neither broken nor over before the others have decided enough.
        let few = || served(&[], &[("b", 9)], 1);
        assert_eq!(verdict(&canary, served(&[], &[("a", 10)], 1), few(), 1000), None);
        canary.step = 1;
        assert_eq!(verdict(&canary, served(&[], &[("a", 10)], 1), few(), 1000), Some(Verdict::Advance));
    }

    #[test]
    fn an_interaction_stays_with_the_canary_as_its_part_grows_and_the_parts_are_as_large_as_said() {
        let steps: Vec<(u8, u64)> = [1, 5, 25, 50, 99, 100].map(|percent| (percent, 1)).into();
        let mut canary = canary(&steps, r#"{"error_share_max": 0.1}"#);
        let (workflow, element) = (name("support"), name("screen"));
        let ids: Vec<_> = (0..20_000).map(|n| InteractionId(Uuid::from_u128(n * 7919))).collect();
        let mut before = vec![false; ids.len()];
        for (step, (percent, _)) in steps.iter().enumerate() {
            canary.step = step;
            let now: Vec<bool> = ids.iter().map(|id| canary.takes(*id, &workflow, &element)).collect();
            assert!(before.iter().zip(&now).all(|(before, now)| !before || *now), "{percent} %");
            let taken = now.iter().filter(|takes| **takes).count() as f64 / ids.len() as f64;
            assert!((taken - f64::from(*percent) / 100.0).abs() < 0.01, "{percent} %: {taken}");
            before = now;
        }
    }

    #[test]
    fn a_fraction_is_a_number_from_0_to_1() {
        for good in ["0", "0.02", "1", "0.000001"] {
            let fraction: Fraction = serde_json::from_str(good).unwrap();
            assert_eq!(serde_json::from_str::<Fraction>(&serde_json::to_string(&fraction).unwrap()).unwrap(), fraction);
            assert_eq!(fraction.to_string(), good);
        }
        for bad in ["-0.1", "1.1", "\"a\""] {
            assert!(serde_json::from_str::<Fraction>(bad).is_err(), "{bad}");
        }
    }
}
