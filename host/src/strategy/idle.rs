//! Instances that wait for their next call: those that were made ready and have answered none, and, of components that
//! cannot be snapshotted after `configure`, those that answer several.
//!
//! What one call leaves in such an instance, the next one finds; so the latter are only for bindings that ask for it.
//!
//! Invariant: those that wait take at most a quarter of the sandboxes, whatever many deployments there are; the one that
//! waited longest goes first.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::call::Warm;

/// How long one waits before another deployment's may take its place: made ready and thrown away it is worth nothing.
const STALE: Duration = Duration::from_secs(1);

/// An instance, and how many calls it has answered.
pub(super) struct Kept {
    pub(super) warm: Warm,
    pub(super) calls: u32,
}

/// All that wait, of all deployments, since when; the one that was used last is last.
pub(super) struct Idle {
    waiting: Mutex<VecDeque<(Instant, Kept)>>,
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
        let place = waiting.iter().rposition(|(_, kept)| kept.calls < calls_max && kept.warm.is_of(deployment))?;
        waiting.remove(place).map(|(_, kept)| kept)
    }

    /// Whether one that nobody has asked for yet may wait too.
    pub(super) fn has_room(&self) -> bool {
        let waiting = self.lock();
        waiting.len() < self.waiting_max || waiting.front().is_some_and(|(since, _)| since.elapsed() >= STALE)
    }

    /// Puts back those of a deployment.
    pub(super) fn forget(&self, deployment: u64) {
        let mut waiting = self.lock();
        let (gone, stay): (VecDeque<_>, _) =
            std::mem::take(&mut *waiting).into_iter().partition(|(_, kept)| kept.warm.is_of(deployment));
        *waiting = stay;
        drop(waiting);
        // Outside the lock: sandboxes are put back.
        drop(gone);
    }

    /// Puts all sandboxes back, where there is none left for a call. Answers whether there were any.
    pub(super) fn yield_all(&self) -> bool {
        let waiting = std::mem::take(&mut *self.lock());
        !waiting.is_empty()
    }

    /// Keeps one for its next call, in the place of the oldest where there is no room.
    pub(super) fn keep(&self, kept: Kept) {
        let mut waiting = self.lock();
        waiting.push_back((Instant::now(), kept));
        let over = waiting.len().saturating_sub(self.waiting_max);
        let dropped: Vec<_> = waiting.drain(..over).collect();
        drop(waiting);
        // Outside the lock: a sandbox is put back.
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, Kept)>> {
        // Nothing under the lock can panic but the allocator.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
