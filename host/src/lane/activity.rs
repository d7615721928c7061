//! When agents last asked for something, whatever it was.
//!
//! Most requests change nothing, and must not cost a write: this is kept in memory alone, and looked at when the time that
//! an agent may do nothing about its work would be up. By a clock that nobody sets: the lane's own may stand apart from
//! the time of day.
//!
//! Invariant: no agent counts as idle for longer than the server could have heard of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use signalbox_engine::Name;

#[derive(Debug)]
pub(super) struct Activity {
    /// Before this moment nobody could be heard.
    since: Instant,
    /// One for each agent with a document at most.
    heard: Mutex<BTreeMap<Name, Instant>>,
}

impl Activity {
    pub(super) fn new(since: Instant) -> Self {
        Self { since, heard: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Instant>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An agent asked for something.
    pub(super) fn heard(&self, agent: &Name, at: Instant) {
        let mut heard = self.lock();
        match heard.get_mut(agent) {
            Some(last) => *last = at.max(*last),
            None => drop(heard.insert(agent.clone(), at)),
        }
    }

    /// How long ago an agent last asked for something.
    pub(super) fn quiet(&self, agent: &Name, now: Instant) -> Duration {
        let last = self.lock().get(agent).map_or(self.since, |last| self.since.max(*last));
        now.saturating_duration_since(last)
    }

    /// There is no such agent any more.
    pub(super) fn forget(&self, agent: &Name) {
        self.lock().remove(agent);
    }
}
