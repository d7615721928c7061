//! When agents last asked for something, whatever it was.
//!
//! Most requests change nothing, and must not cost a write: this is kept in memory alone, and looked at when the time that
//! an agent may do nothing about its work would be up.
//!
//! Invariant: no agent counts as idle for longer than the server could have heard of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use signalbox_engine::{Name, UnixMillis};

#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Before this moment nobody could be heard.
    since: UnixMillis,
    /// One for each agent with a document at most.
    heard: Mutex<BTreeMap<Name, UnixMillis>>,
}

impl Activity {
    pub(super) fn new(since: UnixMillis) -> Self {
        Self { since, heard: Mutex::default() }
    }

    /// An agent asked for something.
    pub(super) fn heard(&self, agent: &Name, at: UnixMillis) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match heard.get_mut(agent) {
            Some(last) => *last = at.max(*last),
            None => drop(heard.insert(agent.clone(), at)),
        }
    }

    /// When an agent last asked for something.
    pub(super) fn last(&self, agent: &Name) -> UnixMillis {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.get(agent).map_or(self.since, |last| self.since.max(*last))
    }
}
