//! What deployments that are asked without effect would have decided, beside what was decided.
//!
//! Counted since the server started; nothing of it is stored, and nothing waits for it: a shadow that there is no room for
//! is skipped, and counted as such.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use signalbox_engine::{CallId, Change, Decision, DecisionBrief, Difference, Example, Failure, InteractionId, Name};

/// Examples that are kept of each.
const EXAMPLES_MAX: usize = 50;
/// Pairs of outcomes that are kept of each.
const CHANGES_MAX: usize = 100;

/// Of which element, and by which deployment.
pub(super) type Place = (Name, Name, Name);

/// All shadows of an account.
#[derive(Debug, Default)]
pub(super) struct Shadows(Mutex<BTreeMap<Place, Figures>>);

#[derive(Debug, Default)]
struct Figures {
    compared: u64,
    skipped: u64,
    by_difference: [u64; 4],
    changes: BTreeMap<(String, String), u64>,
    examples: VecDeque<Example>,
}

/// What a shadow would have decided.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ShadowView {
    /// The deployment that is asked without effect.
    #[schema(value_type = String)]
    deployment: Name,
    /// Decisions that were compared with its own.
    compared: u64,
    /// It was not asked, for the server had no room for it then.
    skipped: u64,
    /// It would leave by another outcome.
    outcome_changed: u64,
    /// It would leave by the same outcome, and do something else.
    actions_changed: u64,
    /// It fails where there was a decision.
    failed: u64,
    /// It decides where there was a failure.
    mended: u64,
    /// From which outcome to which, the most first; `from` is what was decided.
    changes: Vec<Change>,
    /// The newest that differ; `then` is what was decided, `again` what the shadow would.
    examples: Vec<Example>,
}

/// A result, as a shadow's own or what it is compared with.
pub(super) type Outcome = Result<Decision, Failure>;

impl Shadows {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Figures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There was no room for it.
    pub(super) fn skipped(&self, place: Place) {
        self.lock().entry(place).or_default().skipped += 1;
    }

    /// It has decided, too.
    pub(super) fn compared(&self, place: Place, about: (InteractionId, CallId), was: &Outcome, would_be: &Outcome) {
        let mut all = self.lock();
        let figures = all.entry(place).or_default();
        figures.compared += 1;
        let at = match Difference::between(was, would_be) {
            Difference::None => return,
            Difference::Outcome => 0,
            Difference::Actions => 1,
            Difference::Failed => 2,
            Difference::Mended => 3,
        };
        figures.by_difference[at] += 1;
        let outcome = |result| DecisionBrief::of(result, false).outcome;
        let change = (outcome(was), outcome(would_be));
        if figures.changes.len() < CHANGES_MAX || figures.changes.contains_key(&change) {
            *figures.changes.entry(change).or_default() += 1;
        }
        if figures.examples.len() == EXAMPLES_MAX {
            figures.examples.pop_front();
        }
        figures.examples.push_back(Example::new(about.0, about.1.0, was, would_be));
    }

    /// How one does; with zeros where it was never asked.
    pub(super) fn view(&self, place: &Place) -> ShadowView {
        let all = self.lock();
        let none = Figures::default();
        let figures = all.get(place).unwrap_or(&none);
        let [outcome_changed, actions_changed, failed, mended] = figures.by_difference;
        let mut changes: Vec<Change> = figures
            .changes
            .iter()
            .map(|((from, to), count)| Change { from: from.clone(), to: to.clone(), count: *count })
            .collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.count));
        ShadowView {
            deployment: place.2.clone(),
            compared: figures.compared,
            skipped: figures.skipped,
            outcome_changed,
            actions_changed,
            failed,
            mended,
            changes,
            examples: figures.examples.iter().rev().cloned().collect(),
        }
    }

    /// A deployment was deleted.
    pub(super) fn forget(&self, deployment: &Name) {
        self.lock().retain(|(.., shadow), _| shadow != deployment);
    }
}
