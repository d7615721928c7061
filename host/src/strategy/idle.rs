//! Sandboxes that wait for their next call: those that were made ready and have answered none, and, of components that
//! cannot be snapshotted after `configure`, those that answer several.
//!
//! What one call leaves in such a sandbox, the next one finds; so the latter are only for bindings that ask for it.
//!
//! Invariant: those that wait take at most a quarter of the sandboxes, and so much memory, whatever many deployments there
//! are; those that nobody asked for a while go first, then those that have answered none, the one that waited longest first.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::trap;

/// How long one waits before another deployment's may take its place: made ready and thrown away it is worth nothing.
pub(super) const STALE: Duration = Duration::from_secs(1);

/// The same for one that has answered calls, which is worth more: it is configured, and may be what its binding asked for.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Linear memory of all that wait.
const BYTES_MAX: usize = 512 << 20;

/// A sandbox that waits.
pub(super) struct Kept<T> {
    /// Whose it is.
    pub(super) deployment: u64,
    /// Calls that it has answered.
    pub(super) calls: u32,
    /// Its linear memory.
    pub(super) bytes: usize,
    /// Since when.
    pub(super) since: Instant,
    pub(super) sandbox: T,
}

impl<T> Kept<T> {
    fn is_stale(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= if self.calls == 0 { STALE } else { FORGOTTEN }
    }
}

/// All that wait, of all deployments; the one that was used last is last.
pub(super) struct Idle<T> {
    waiting: Mutex<VecDeque<Kept<T>>>,
    waiting_max: usize,
}

impl<T> Idle<T> {
    /// Room for a quarter of the sandboxes.
    pub(super) fn new(sandboxes: u32) -> Self {
        let waiting_max = usize::try_from(sandboxes / 4).unwrap_or(usize::MAX);
        Self { waiting: Mutex::new(VecDeque::new()), waiting_max }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// One of a deployment, the warmest; of those that have answered fewer calls than this, for another binding may have
    /// asked more of one.
    pub(super) fn take(&self, deployment: u64, calls_max: u32) -> Option<Kept<T>> {
        let mut waiting = self.lock();
        let place = waiting.iter().rposition(|kept| kept.deployment == deployment && kept.calls < calls_max)?;
        waiting.remove(place)
    }

    /// Whether one that nobody has asked for yet may wait too.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let waiting = self.lock();
        let others = waiting.iter().filter(|kept| !kept.is_stale(now));
        let (others, bytes) = others.fold((0, 0), |(others, bytes), kept| (others + 1, bytes + kept.bytes));
        others < self.waiting_max && bytes < BYTES_MAX
    }

    /// Keeps one for its next call, in the place of others where there is no room.
    pub(super) fn keep(&self, kept: Kept<T>) {
        let now = kept.since;
        let mut waiting = self.lock();
        waiting.push_back(kept);
        let mut bytes: usize = waiting.iter().map(|kept| kept.bytes).sum();
        let mut dropped = Vec::new();
        while waiting.len() > self.waiting_max || bytes > BYTES_MAX {
            let place = waiting.iter().position(|kept| kept.is_stale(now));
            let place = place.or_else(|| waiting.iter().position(|kept| kept.calls == 0)).unwrap_or(0);
            let Some(kept) = waiting.remove(place) else { break };
            bytes -= kept.bytes;
            dropped.push(kept);
        }
        drop(waiting);
        // Outside the lock: a sandbox is put back.
        drop(dropped);
    }

    /// Puts back those of a deployment.
    pub(super) fn forget(&self, deployment: u64) {
        let mut waiting = self.lock();
        let (gone, stay): (VecDeque<_>, _) =
            std::mem::take(&mut *waiting).into_iter().partition(|kept| kept.deployment == deployment);
        *waiting = stay;
        drop(waiting);
        // Outside the lock: sandboxes are put back.
        drop(gone);
    }

    /// Makes a sandbox. Where there is none left those that wait give way, and it is made again, in a store of its own: what
    /// was half made counts in the first.
    pub(super) fn give_way<S, I>(&self, make: impl Fn() -> (S, wasmtime::Result<I>)) -> (S, wasmtime::Result<I>) {
        let made = make();
        if made.1.as_ref().is_err_and(trap::no_sandbox) && self.yield_all() { make() } else { made }
    }

    /// Puts all sandboxes back. Answers whether there were any.
    fn yield_all(&self) -> bool {
        let waiting = std::mem::take(&mut *self.lock());
        !waiting.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept<T>>> {
        // Nothing under the lock can panic but the allocator.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(deployment: u64, calls: u32, since: Instant) -> Kept<u64> {
        Kept { deployment, calls, bytes: 1 << 20, since, sandbox: deployment }
    }

    fn waiting(idle: &Idle<u64>) -> Vec<u64> {
        idle.lock().iter().map(|kept| kept.sandbox).collect()
    }

    #[test]
    fn those_that_answered_none_give_way_first() {
        let now = Instant::now();
        let idle = Idle::new(16);
        for (deployment, calls) in [(1, 5), (2, 0), (3, 0), (4, 1)] {
            idle.keep(kept(deployment, calls, now));
        }
        assert!(!idle.has_room(now) && idle.has_room(now + STALE));
        idle.keep(kept(5, 0, now));
        assert_eq!(waiting(&idle), [1, 3, 4, 5]);
        for deployment in 6..=8 {
            idle.keep(kept(deployment, 1, now));
        }
        assert_eq!(waiting(&idle), [4, 6, 7, 8]);
        assert!(!idle.has_room(now + STALE), "nobody who answers calls gives way to one that was only made ready");
        // But who has answered none for long does.
        let later = now + FORGOTTEN;
        assert!(idle.has_room(later));
        idle.keep(kept(9, 0, later));
        assert_eq!(waiting(&idle), [6, 7, 8, 9]);
    }

    #[test]
    fn a_call_gets_the_warmest_of_its_deployment_that_may_answer_it() {
        let now = Instant::now();
        let idle = Idle::new(16);
        for (deployment, calls) in [(1, 0), (1, 3), (2, 0)] {
            idle.keep(kept(deployment, calls, now));
        }
        assert_eq!(idle.take(1, 3).map(|kept| kept.calls), Some(0));
        assert_eq!(idle.take(1, 4).map(|kept| kept.calls), Some(3));
        assert!(idle.take(1, 4).is_none());
        idle.forget(2);
        assert!(!idle.yield_all());
    }

    #[test]
    fn they_take_so_much_memory_and_no_more() {
        let now = Instant::now();
        let idle = Idle::new(1000);
        for deployment in 0..3 {
            idle.keep(Kept { bytes: BYTES_MAX / 2, ..kept(deployment, 0, now) });
        }
        assert_eq!(waiting(&idle), [1, 2]);
        assert!(!idle.has_room(now) && idle.has_room(now + STALE), "what is made would only push out another");
    }
}
