//! Instances that wait for their next call, for components that cannot be snapshotted after `configure`.
//!
//! What one call leaves in such an instance, the next one finds; so it is only for bindings that ask for it.
//!
//! Invariant: those that wait take at most a quarter of the sandboxes, whatever many deployments there are; the one that
//! waited longest goes first.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::call::Warm;

/// An instance, and how many calls it has answered.
pub(super) struct Kept {
    pub(super) warm: Warm,
    pub(super) calls: u32,
}

/// All that wait, of all deployments; the one that was used last is last.
pub(super) struct Idle {
    waiting: Mutex<VecDeque<Kept>>,
    waiting_max: usize,
}

impl Idle {
    /// Room for a quarter of the sandboxes.
    pub(super) fn new(sandboxes: u32) -> Self {
        let waiting_max = usize::try_from(sandboxes / 4).unwrap_or(usize::MAX);
        Self { waiting: Mutex::new(VecDeque::new()), waiting_max }
    }

    /// One of a deployment, the warmest; of those that have answered fewer calls than this, for another binding may have
    /// asked more of one.
    pub(super) fn take(&self, deployment: u64, calls_max: u32) -> Option<Kept> {
        let mut waiting = self.lock();
        let place = waiting.iter().rposition(|kept| kept.warm.is_of(deployment) && kept.calls < calls_max)?;
        waiting.remove(place)
    }

    /// Puts all sandboxes back, where there is none left for a call. Answers whether there were any.
    pub(super) fn yield_all(&self) -> bool {
        let waiting = std::mem::take(&mut *self.lock());
        !waiting.is_empty()
    }

    /// Keeps one for its next call, in the place of the oldest where there is no room.
    pub(super) fn keep(&self, kept: Kept) {
        let mut waiting = self.lock();
        waiting.push_back(kept);
        let over = waiting.len().saturating_sub(self.waiting_max);
        let dropped: Vec<Kept> = waiting.drain(..over).collect();
        drop(waiting);
        // Outside the lock: a sandbox is put back.
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        // Nothing under the lock can panic but the allocator.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
