//! What the calls of bindings with a canary come to, step by step.
//!
//! Counted in memory, from the moment on at which a step begins. Nothing of it is stored: after a restart the steps begin
//! again, which can only make a canary's way longer. What the figures mean the engine says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use signalbox_engine::{Binding, Canary, CanaryFigures, Configuration, Name, Served, UnixMillis};

use crate::stats::Times;

/// A workflow and its strategy element.
pub(super) type Place = (Name, Name);

/// All bindings of an account that have a canary.
#[derive(Debug, Default)]
pub(super) struct Canaries(Mutex<BTreeMap<Place, Counted>>);

#[derive(Debug)]
struct Counted {
    binding: Arc<Binding>,
    /// None until the next turn of the lane.
    since: Option<UnixMillis>,
    canary: Tally,
    rest: Tally,
    /// It was counted something that nobody has looked at.
    is_new: bool,
    /// When its step is over, unless something changes.
    ends_at: Option<UnixMillis>,
}

/// At most one entry for each outcome that a deployment declares, each cause of failure and each class of times.
#[derive(Debug, Default)]
struct Tally {
    calls: u64,
    failures: BTreeMap<String, u64>,
    outcomes: BTreeMap<String, u64>,
    times: Times,
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub(super) enum End<'a> {
    /// By this outcome.
    Decided(&'a str),
    /// With a failure of this code.
    Failed(&'a str),
}

/// How far a canary is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CanaryView {
    /// What was put, and the step that it is in.
    canary: Canary,
    /// What was counted in this step.
    figures: CanaryFigures,
    /// When the step is over if all guards hold, in milliseconds since 1970; none while there were too few calls.
    #[schema(value_type = Option<u64>)]
    ends_at: Option<UnixMillis>,
}

impl Tally {
    fn count(&mut self, end: End<'_>) {
        self.calls += 1;
        let (counts, key) = match end {
            End::Decided(outcome) => (&mut self.outcomes, outcome),
            End::Failed(code) => (&mut self.failures, code),
        };
        match counts.get_mut(key) {
            Some(count) => *count += 1,
            None => drop(counts.insert(key.to_owned(), 1)),
        }
    }

    fn served(&self) -> Served {
        Served {
            calls: self.calls,
            failures: self.failures.clone(),
            outcomes: self.outcomes.clone(),
            times: self.times.quantiles(),
        }
    }
}

impl Counted {
    fn new(binding: &Arc<Binding>, since: Option<UnixMillis>) -> Self {
        let (canary, rest) = (Tally::default(), Tally::default());
        Self { binding: Arc::clone(binding), since, canary, rest, is_new: false, ends_at: None }
    }

    fn figures(&self) -> Option<CanaryFigures> {
        Some(CanaryFigures { since: self.since?, canary: self.canary.served(), rest: self.rest.served() })
    }

    /// Where the calls of a deployment are counted, if they are.
    fn tally(&mut self, deployment: &Name) -> Option<&mut Tally> {
        let canary = self.binding.canary.as_ref()?;
        if canary.deployment == *deployment {
            return Some(&mut self.canary);
        }
        // With all interactions at the canary only what it failed at comes to the others, which is like nothing else.
        let is_share = self.binding.shares.iter().any(|share| share.deployment == *deployment);
        (is_share && !canary.is_whole()).then_some(&mut self.rest)
    }
}

impl Canaries {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a load: every step begins again.
    pub(super) fn reset(&self, configuration: &Configuration) {
        let with_canary = configuration.bindings.iter().filter(|(_, binding)| binding.canary.is_some());
        *self.lock() = with_canary.map(|(place, binding)| (place.clone(), Counted::new(binding, None))).collect();
    }

    /// A turn of the lane begins.
    pub(super) fn begin(&self, now: UnixMillis) {
        for counted in self.lock().values_mut() {
            counted.since.get_or_insert(now);
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// A binding was put.
    pub(super) fn put(&self, binding: &Arc<Binding>, now: UnixMillis) {
        let place = (binding.workflow.clone(), binding.element.clone());
        let mut all = self.lock();
        let before = all.remove(&place);
        let Some(canary) = &binding.canary else { return };
        let step = |of: &Binding| of.canary.as_ref().map(|it| (it.deployment.clone(), it.step, it.step_at));
        let counted = match before {
            // Other guards for what was counted already.
            Some(before) if step(&before.binding) == step(binding) && before.binding.shares == binding.shares => {
                Counted { binding: Arc::clone(binding), is_new: true, ends_at: None, ..before }
            }
            // There will be no others to compare with but those of the step before.
            Some(before) if canary.is_whole() && before.binding.shares == binding.shares => {
                Counted { rest: before.rest, ..Counted::new(binding, Some(now)) }
            }
            _ => Counted::new(binding, Some(now)),
        };
        all.insert(place, counted);
    }

    /// A binding was taken away.
    pub(super) fn forget(&self, place: &Place) {
        self.lock().remove(place);
    }

    /// A call has ended. Of the others' only first ones are counted: what comes to them after a failure of the canary would
    /// make them look unlike themselves.
    pub(super) fn count(&self, place: &Place, deployment: &Name, attempt: u8, end: End<'_>) {
        let mut all = self.lock();
        let Some(counted) = all.get_mut(place) else { return };
        let is_canary = counted.binding.canary.as_ref().is_some_and(|canary| canary.deployment == *deployment);
        if !is_canary && attempt > 0 {
            return;
        }
        if let Some(tally) = counted.tally(deployment) {
            tally.count(end);
            counted.is_new = true;
        }
    }

    /// A call took so long.
    pub(super) fn took(&self, place: &Place, deployment: &Name, ns: u64) {
        let mut all = self.lock();
        if let Some(tally) = all.get_mut(place).and_then(|counted| counted.tally(deployment)) {
            tally.times.add(ns);
        }
    }

    /// Those whose figures mean something by now, and what they are.
    pub(super) fn judged(&self, now: UnixMillis) -> Vec<(Place, Name, CanaryFigures)> {
        let mut judged = Vec::new();
        for (place, counted) in self.lock().iter_mut() {
            let is_over = counted.ends_at.is_some_and(|ends_at| ends_at <= now);
            if !std::mem::take(&mut counted.is_new) && !is_over {
                continue;
            }
            let (Some(canary), Some(figures)) = (&counted.binding.canary, counted.figures()) else { continue };
            counted.ends_at = canary.ends_at(&figures);
            if canary.judge(&figures, now).is_some() {
                judged.push((place.clone(), canary.deployment.clone(), figures));
            }
        }
        judged
    }

    /// What was counted led to nothing: it is counted anew, so that the lane does not ask for ever.
    pub(super) fn begin_again(&self, place: &Place, now: UnixMillis) {
        if let Some(counted) = self.lock().get_mut(place) {
            *counted = Counted::new(&counted.binding, Some(now));
        }
    }

    /// When the next step is over.
    pub(super) fn next(&self) -> Option<UnixMillis> {
        self.lock().values().filter_map(|counted| counted.ends_at).min()
    }

    /// How far one is.
    pub(super) fn view(&self, place: &Place) -> Option<CanaryView> {
        let all = self.lock();
        let counted = all.get(place)?;
        let (canary, figures) = (counted.binding.canary.clone()?, counted.figures()?);
        let ends_at = canary.ends_at(&figures);
        Some(CanaryView { canary, figures, ends_at })
    }
}
