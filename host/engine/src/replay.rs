//! What came of running recorded decisions again, as it is kept, and what a binding may ask of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::content::Content;
use crate::decision::{Action, Decision, Failure};
use crate::id::{InteractionId, Name, UnixMillis};

/// How a decision differs from another about the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Not in what it does; its reason in words may.
    None,
    /// It leaves by the same outcome, and does something else.
    Actions,
    /// It leaves by another outcome.
    Outcome,
    /// Only the first was a decision.
    Failed,
    /// Only the second is a decision.
    Mended,
}

impl Difference {
    /// Between what was answered and what would have been.
    #[must_use]
    pub fn between(was: &Result<Decision, Failure>, would_be: &Result<Decision, Failure>) -> Self {
        match (was, would_be) {
            (Ok(was), Ok(would_be)) if was.outcome != would_be.outcome => Self::Outcome,
            (Ok(was), Ok(would_be)) if was.actions != would_be.actions => Self::Actions,
            (Ok(_), Ok(_)) | (Err(_), Err(_)) => Self::None,
            (Ok(_), Err(_)) => Self::Failed,
            (Err(_), Ok(_)) => Self::Mended,
        }
    }
}

/// The report of a replay: recorded decisions of one deployment, made again by another or the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayReport {
    /// Its name within the account.
    #[schema(value_type = String)]
    pub name: Name,
    /// The deployment whose decisions were recorded.
    #[schema(value_type = String)]
    pub deployment: Name,
    /// The deployment that made them again.
    #[schema(value_type = String)]
    pub against: Name,
    /// Decisions from this moment on.
    #[schema(value_type = u64)]
    pub since_ms: UnixMillis,
    /// Only those about interactions for which this CEL expression held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// How many were made again.
    pub replayed: u64,
    /// Of these, bit for bit the same, reason and all.
    pub identical: u64,
    /// Leave by another outcome.
    pub outcome_changed: u64,
    /// Leave by the same outcome, and do something else.
    pub actions_changed: u64,
    /// Were decisions, and now failed.
    pub failed: u64,
    /// Were failures, and now are decisions.
    pub mended: u64,
    /// Asked the server something that was not asked then, and were answered as it stands today.
    pub answered_from_today: u64,
    /// Could not be made again: what the interaction held is gone, or a newer server wrote the record.
    pub unreadable: u64,
    /// From which outcome to which, the most first; at most 100.
    pub changes: Vec<Change>,
    /// A few of those that differ.
    pub examples: Vec<Example>,
    /// Time in the strategy, in microseconds: then, and again.
    pub then: CallTimes,
    /// The same, again.
    pub again: CallTimes,
    /// Took twice as long as then, and 100 µs more at least.
    pub slower: u64,
    /// Name of the token that asked for it.
    pub created_by: String,
    /// When it was asked for.
    #[schema(value_type = u64)]
    pub created_at: UnixMillis,
}

/// Decisions that left by one outcome and would leave by another; a failure stands as `failure: CODE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Then.
    pub from: String,
    /// Again.
    pub to: String,
    /// How many.
    pub count: u64,
}

/// One decision that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Example {
    /// The interaction.
    #[schema(value_type = String, format = "uuid")]
    pub interaction: InteractionId,
    /// The call.
    pub call: u64,
    /// What was decided then.
    pub then: DecisionBrief,
    /// What is decided again.
    pub again: DecisionBrief,
}

/// A decision in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecisionBrief {
    /// The outcome, or `failure: CODE`.
    pub outcome: String,
    /// Why, in the strategy's words; of a failure, what it was.
    pub reason: String,
    /// What it does, where that differs: the first of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
}

impl DecisionBrief {
    /// In short, with its actions or without.
    #[must_use]
    pub fn of(result: &Result<Decision, Failure>, with_actions: bool) -> Self {
        match result {
            Ok(decision) => Self {
                outcome: decision.outcome.clone(),
                reason: decision.reason.clone(),
                actions: if with_actions { decision.actions.clone() } else { Vec::new() },
            },
            Err(failure) => Self {
                outcome: format!("failure: {}", failure.code()),
                reason: failure.to_string(),
                actions: Vec::new(),
            },
        }
    }
}

/// How long calls took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallTimes {
    /// Half took at most so long.
    pub p50_us: u64,
    /// All but one in a hundred took at most so long.
    pub p99_us: u64,
}

/// What a deployment must have shown in a replay before it may take a share of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Decisions that were made again, at least, 1 or more; they were one's that has a share now.
    #[schema(minimum = 1)]
    pub replayed_min: u64,
    /// Share of them that leave by another outcome or do something else, at most, in percent.
    #[schema(maximum = 100)]
    pub changed_percent_max: u8,
    /// Of them now failed, at most.
    #[serde(default)]
    pub failed_max: u64,
}

impl Gate {
    /// Why a report does not open it.
    #[must_use]
    pub fn shut(&self, report: &ReplayReport) -> Option<String> {
        let changed = report.outcome_changed + report.actions_changed;
        if report.replayed < self.replayed_min {
            return Some(format!("{} decisions were made again, {} are asked for", report.replayed, self.replayed_min));
        }
        if changed * 100 > report.replayed * u64::from(self.changed_percent_max) {
            return Some(format!(
                "{changed} of {} changed, at most {} % may",
                report.replayed, self.changed_percent_max
            ));
        }
        let too_many = report.failed > self.failed_max;
        too_many.then(|| format!("{} failed, at most {} may", report.failed, self.failed_max))
    }
}

/// Bytes of a text that are kept in an example.
const TEXT_BYTES_MAX: usize = 512;
/// Bytes of actions that are kept in an example, as JSON.
const ACTIONS_BYTES_MAX: usize = 2048;

impl Example {
    /// One that is cut to what a report can keep: 512 bytes of the reason, and the first actions of 2 KiB together.
    #[must_use]
    pub fn new(
        interaction: InteractionId,
        call: u64,
        then: &Result<Decision, Failure>,
        again: &Result<Decision, Failure>,
    ) -> Self {
        let with_actions = Difference::between(then, again) == Difference::Actions;
        let short = |result| {
            let mut decided = DecisionBrief::of(result, with_actions);
            decided.reason.truncate(decided.reason.floor_char_boundary(TEXT_BYTES_MAX));
            cut(&mut decided.actions);
            decided
        };
        Self { interaction, call, then: short(then), again: short(again) }
    }
}

/// Leaves the first actions, as many as are kept.
fn cut(actions: &mut Vec<Action>) {
    let mut left = ACTIONS_BYTES_MAX;
    let mut fits = |action: &Action| {
        let bytes = serde_json::to_vec(action).map_or(usize::MAX, |json| json.len());
        let fits = bytes <= left;
        left = left.saturating_sub(bytes);
        fits
    };
    let kept = actions.iter().map(&mut fits).take_while(|fits| *fits).count();
    actions.truncate(kept);
}

/// The content as a strategy saw it then: the message never changes, the facts do.
#[must_use]
pub fn as_it_was(content: &Content, facts: crate::content::Facts) -> Content {
    Content { message: content.message.clone(), facts }
}
