//! What decisions of one deployment are beside those of another: how many differ and how, from which outcome to which, and
//! examples.

use std::collections::{BTreeMap, VecDeque};

use signalbox_engine::{Change, Difference, Example};

/// Examples that are kept.
const EXAMPLES_MAX: usize = 50;
/// Pairs of outcomes that are kept.
const CHANGES_MAX: usize = 100;

/// From which outcome to which.
pub(super) type Outcomes = (String, String);

/// Decisions that were compared.
#[derive(Debug, Clone, Default)]
pub(super) struct Comparison {
    /// They leave by another outcome.
    pub(super) outcome_changed: u64,
    /// They leave by the same outcome, and do something else.
    pub(super) actions_changed: u64,
    /// There is a failure where there was a decision.
    pub(super) failed: u64,
    /// There is a decision where there was a failure.
    pub(super) mended: u64,
    changes: BTreeMap<Outcomes, u64>,
    /// The newest.
    examples: VecDeque<Example>,
}

impl Comparison {
    /// One more that differs.
    pub(super) fn add(&mut self, difference: Difference, outcomes: Outcomes, example: Example) {
        match difference {
            Difference::None => return,
            Difference::Outcome => self.outcome_changed += 1,
            Difference::Actions => self.actions_changed += 1,
            Difference::Failed => self.failed += 1,
            Difference::Mended => self.mended += 1,
        }
        if self.changes.len() < CHANGES_MAX || self.changes.contains_key(&outcomes) {
            *self.changes.entry(outcomes).or_default() += 1;
        }
        if self.examples.len() == EXAMPLES_MAX {
            self.examples.pop_front();
        }
        self.examples.push_back(example);
    }

    /// The most first.
    pub(super) fn changes(&self) -> Vec<Change> {
        let changes = self.changes.iter();
        let mut changes: Vec<Change> =
            changes.map(|((from, to), count)| Change { from: from.clone(), to: to.clone(), count: *count }).collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.count));
        changes
    }

    /// The newest first.
    pub(super) fn examples(&self) -> Vec<Example> {
        self.examples.iter().rev().cloned().collect()
    }
}
