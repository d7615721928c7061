//! How many calls took how long, so that half and all but one in a hundred can be told, in little memory.

use std::collections::BTreeMap;

use signalbox_engine::CallTimes;

/// Counted by sixteenths of powers of two.
#[derive(Debug, Default)]
pub struct Times {
    sum_ns: u64,
    count: u64,
    by_class: BTreeMap<u64, u64>,
}

impl Times {
    /// Counts one.
    pub fn add(&mut self, ns: u64) {
        self.sum_ns = self.sum_ns.saturating_add(ns);
        self.count += 1;
        let shift = ns.max(16).ilog2() - 4;
        *self.by_class.entry(ns >> shift << shift).or_default() += 1;
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// At most a sixteenth too little.
    #[must_use]
    pub fn quantiles(&self) -> CallTimes {
        let at = |wanted: u64| {
            let mut seen = 0;
            let found = self.by_class.iter().find(|(_, count)| {
                seen += **count;
                seen >= wanted
            });
            found.map_or(0, |(ns, _)| ns / 1000)
        };
        CallTimes { p50_us: at(self.count.div_ceil(2)), p99_us: at((self.count * 99).div_ceil(100)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_sixteenth() {
        let mut times = Times::default();
        for us in 1..=10_000 {
            times.add(us * 1000);
        }
        let CallTimes { p50_us, p99_us } = times.quantiles();
        assert!((4687..=5000).contains(&p50_us), "{p50_us}");
        assert!((9281..=9900).contains(&p99_us), "{p99_us}");
        assert_eq!(Times::default().quantiles(), CallTimes::default());
    }
}
