//! When all interactions of an account are counted.

use std::time::{Duration, Instant};

use signalbox_engine::Account;

use crate::stats::Stats;

/// When all interactions are to be counted for statistics of how they stand. That takes time in proportion to how many
/// there are, so the definitions of a while are counted together.
#[derive(Default)]
pub(super) struct Census {
    pub(super) wanted: bool,
    /// None before the first.
    not_before: Option<Instant>,
}

impl Census {
    /// How many times as long as the last one took there is no other.
    const REST: u32 = 20;

    /// How long until they are to be counted; none while nothing asks for it.
    pub(super) fn pause(&self) -> Option<Duration> {
        let rest = self.not_before.map(|at| at.saturating_duration_since(Instant::now())).unwrap_or_default();
        self.wanted.then_some(rest)
    }

    /// Counts them, where it is time.
    pub(super) fn take(&mut self, stats: &Stats, account: &Account) {
        if self.pause() != Some(Duration::ZERO) {
            return;
        }
        let began = Instant::now();
        stats.count_all(account);
        *self = Self { wanted: false, not_before: Some(Instant::now() + began.elapsed() * Self::REST) };
    }
}
