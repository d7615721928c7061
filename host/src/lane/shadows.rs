//! What deployments that are asked without effect would have decided, beside what was decided.
//!
//! Counted since the server started; nothing of it is stored, and nothing waits for it: a shadow that there is no room for
//! is skipped, and counted as such.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use signalbox_engine::{CallId, Change, Decision, DecisionBrief, Difference, Example, Failure, InteractionId, Name};

use super::comparison::Comparison;

/// Shadows of one account that are asked at a time. More are skipped: what serves never waits for them.
pub(super) const IN_FLIGHT_MAX: usize = 32;

/// Of which element, and by which deployment.
pub(super) type Place = (Name, Name, Name);

/// All shadows of an account.
#[derive(Debug, Default)]
pub(super) struct Shadows {
    figures: Mutex<BTreeMap<Place, Figures>>,
    in_flight: AtomicUsize,
}

#[derive(Debug, Default)]
struct Figures {
    compared: u64,
    skipped: u64,
    comparison: Comparison,
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
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for one to be asked, if there is any. Only the lane asks for it.
    pub(super) fn begin(&self) -> bool {
        let room = self.in_flight.load(Ordering::Relaxed) < IN_FLIGHT_MAX;
        if room {
            self.in_flight.fetch_add(1, Ordering::Relaxed);
        }
        room
    }

    /// One that was begun has been asked, or will not be.
    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// There was no room for it.
    pub(super) fn skipped(&self, place: Place) {
        self.lock().entry(place).or_default().skipped += 1;
    }

    /// It has decided, too.
    pub(super) fn compared(&self, place: Place, about: (InteractionId, CallId), was: &Outcome, would_be: &Outcome) {
        let difference = Difference::between(was, would_be);
        // Made before the lock: whoever calls has other calls to make.
        let outcome = |result| DecisionBrief::of(result, false).outcome;
        let differs = (difference != Difference::None)
            .then(|| ((outcome(was), outcome(would_be)), Example::new(about.0, about.1.0, was, would_be)));
        let mut all = self.lock();
        let figures = all.entry(place).or_default();
        figures.compared += 1;
        if let Some((outcomes, example)) = differs {
            figures.comparison.add(difference, outcomes, example);
        }
    }

    /// How one does; with zeros where it was never asked.
    pub(super) fn view(&self, place: &Place) -> ShadowView {
        let all = self.lock();
        let none = Figures::default();
        let figures = all.get(place).unwrap_or(&none);
        ShadowView {
            deployment: place.2.clone(),
            compared: figures.compared,
            skipped: figures.skipped,
            outcome_changed: figures.comparison.outcome_changed,
            actions_changed: figures.comparison.actions_changed,
            failed: figures.comparison.failed,
            mended: figures.comparison.mended,
            changes: figures.comparison.changes(),
            examples: figures.comparison.examples(),
        }
    }

    /// A deployment was deleted.
    pub(super) fn forget(&self, deployment: &Name) {
        self.lock().retain(|(.., shadow), _| shadow != deployment);
    }
}
