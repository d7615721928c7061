//! What is added up over a time profile: totals that grow, that slide in steps, of the last few, or since a login.
//!
//! Memory is bounded by the profile: one total, one for each step that had anything, or one entry for each of the last.
//! Time comes in as an argument and never goes back: what would be earlier than what is there counts as the same moment.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use signalbox_engine::{Profile, Reset, UnixMillis};

/// Times that are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Times {
    pub(super) count: u64,
    pub(super) sum_ms: u64,
    pub(super) min_ms: u64,
    pub(super) max_ms: u64,
}

/// What is added up. Its shape follows from the measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Total {
    /// A few sums, by class.
    Sums([u64; 4]),
    /// Times: those of class 0 are counted, others only lengthen.
    Times(Times),
    /// Many counts, by class.
    Counts(Box<[u64]>),
}

impl Total {
    /// Nothing of the same shape.
    fn empty(&self) -> Self {
        match self {
            Self::Sums(_) => Self::Sums([0; 4]),
            Self::Times(_) => Self::times(),
            Self::Counts(counts) => Self::Counts(vec![0; counts.len()].into()),
        }
    }

    pub(super) fn times() -> Self {
        Self::Times(Times { count: 0, sum_ms: 0, min_ms: u64::MAX, max_ms: 0 })
    }

    pub(super) fn add(&mut self, class: usize, amount: u64) {
        match self {
            Self::Sums(sums) => sums[class] += amount,
            Self::Times(times) => {
                times.sum_ms += amount;
                if class == 0 {
                    times.count += 1;
                    times.min_ms = times.min_ms.min(amount);
                    times.max_ms = times.max_ms.max(amount);
                }
            }
            Self::Counts(counts) => counts[class] += amount,
        }
    }

    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Sums(a), Self::Sums(b)) => a.iter_mut().zip(b).for_each(|(a, b)| *a += b),
            (Self::Counts(a), Self::Counts(b)) => a.iter_mut().zip(b).for_each(|(a, b)| *a += b),
            (Self::Times(a), Self::Times(b)) => {
                a.count += b.count;
                a.sum_ms += b.sum_ms;
                a.min_ms = a.min_ms.min(b.min_ms);
                a.max_ms = a.max_ms.max(b.max_ms);
            }
            _ => unreachable!("totals of one series have one shape"),
        }
    }
}

/// Totals over a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Series {
    /// When it began.
    since: UnixMillis,
    /// When something was last added.
    last: UnixMillis,
    empty: Total,
    over: Over,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Over {
    /// From `from` until before `until`.
    Growing { from: UnixMillis, until: UnixMillis, reset: Option<(String, String)>, total: Total },
    /// Steps by their number since 1970, in order, those that had anything.
    Sliding { step_ms: u64, steps: u64, parts: VecDeque<(u64, Total)> },
    /// Class and amount, the oldest first.
    Selection { last: usize, ring: VecDeque<(u8, u64)> },
    /// From `from` on.
    SinceLogin { from: UnixMillis, total: Total },
}

impl Series {
    /// One that begins now.
    pub(super) fn new(profile: Option<&Profile>, empty: Total, now: UnixMillis) -> Self {
        let total = empty.clone();
        let over = match profile {
            None | Some(Profile::Growing { reset: None }) => {
                Over::Growing { from: now, until: UnixMillis(u64::MAX), reset: None, total }
            }
            Some(Profile::Growing { reset: Some(reset) }) => {
                let (_, until) = reset.around(now);
                Over::Growing { from: now, until, reset: Some((reset.at.to_string(), reset.time_zone.clone())), total }
            }
            Some(Profile::Sliding { window_ms, step_ms }) => {
                Over::Sliding { step_ms: *step_ms, steps: window_ms / step_ms, parts: VecDeque::new() }
            }
            Some(Profile::Selection { last }) => Over::Selection { last: *last as usize, ring: VecDeque::new() },
            Some(Profile::SinceLogin) => Over::SinceLogin { from: now, total },
        };
        Self { since: now, last: now, empty, over }
    }

    /// Adds something that happened at a moment.
    pub(super) fn add(&mut self, at: UnixMillis, class: usize, amount: u64) {
        self.last = self.last.max(at);
        let at = self.last;
        match &mut self.over {
            Over::Growing { from, until, reset, total } => {
                roll(at, from, until, reset.as_ref(), total);
                total.add(class, amount);
            }
            Over::Sliding { step_ms, steps, parts } => {
                let step = at.0 / *step_ms;
                part(parts, step, *steps, &self.empty).add(class, amount);
            }
            Over::Selection { last, ring } => {
                if ring.len() == *last {
                    ring.pop_front();
                }
                ring.push_back((u8::try_from(class).unwrap_or(u8::MAX), amount));
            }
            Over::SinceLogin { total, .. } => total.add(class, amount),
        }
    }

    /// Adds the milliseconds of a stay, each to the time in which it lies; of a selection, the whole stay.
    pub(super) fn add_stay(&mut self, from: UnixMillis, to: UnixMillis, class: usize) {
        self.last = self.last.max(to);
        let (whole, since) = (to.0.saturating_sub(from.0), self.since);
        match &mut self.over {
            Over::Growing { from: begun, until, reset, total } => {
                roll(to, begun, until, reset.as_ref(), total);
                total.add(class, to.0.saturating_sub(from.max(*begun).0));
            }
            Over::Sliding { step_ms, steps, parts } => {
                let (last, begun) = (to.0 / *step_ms, from.max(since).0);
                let first = (begun / *step_ms).max(last.saturating_sub(*steps - 1));
                for step in first..=last {
                    let (lower, upper) = ((step * *step_ms).max(begun), ((step + 1) * *step_ms).min(to.0));
                    if upper > lower {
                        part(parts, step, *steps, &self.empty).add(class, upper - lower);
                    }
                }
            }
            Over::Selection { .. } => self.add(to, class, whole),
            Over::SinceLogin { from: begun, total } => total.add(class, to.0.saturating_sub(from.max(*begun).0)),
        }
    }

    /// The agent has logged in anew.
    pub(super) fn login(&mut self, at: UnixMillis) {
        if let Over::SinceLogin { from, total } = &mut self.over {
            (*from, *total) = (at, self.empty.clone());
        }
    }

    /// What stands at a moment.
    pub(super) fn read(&self, now: UnixMillis) -> Total {
        let mut sum = self.empty.clone();
        match &self.over {
            Over::Growing { until, total, .. } if self.last.max(now) < *until => sum.merge(total),
            Over::Growing { .. } => {}
            Over::Sliding { step_ms, steps, parts } => {
                let first = self.first_step(now, *step_ms, *steps);
                parts.iter().filter(|(step, _)| *step >= first).for_each(|(_, total)| sum.merge(total));
            }
            Over::Selection { ring, .. } => {
                ring.iter().for_each(|(class, amount)| sum.add(usize::from(*class), *amount))
            }
            Over::SinceLogin { total, .. } => sum.merge(total),
        }
        sum
    }

    /// From when on what is read at a moment counts.
    pub(super) fn from(&self, now: UnixMillis) -> UnixMillis {
        let from = match &self.over {
            Over::Growing { from, until, reset, .. } => {
                let now = self.last.max(now);
                if now < *until { *from } else { around(reset.as_ref(), now).0 }
            }
            Over::Sliding { step_ms, steps, .. } => UnixMillis(self.first_step(now, *step_ms, *steps) * step_ms),
            Over::Selection { .. } => self.since,
            Over::SinceLogin { from, .. } => *from,
        };
        from.max(self.since)
    }

    fn first_step(&self, now: UnixMillis, step_ms: u64, steps: u64) -> u64 {
        (self.last.max(now).0 / step_ms).saturating_sub(steps - 1)
    }
}

/// The total of a step; what has slid out of the window is dropped.
fn part<'a>(parts: &'a mut VecDeque<(u64, Total)>, step: u64, steps: u64, empty: &Total) -> &'a mut Total {
    let newest = parts.back().map_or(step, |(newest, _)| step.max(*newest));
    while parts.front().is_some_and(|(oldest, _)| oldest + steps <= newest) {
        parts.pop_front();
    }
    // Mostly the newest.
    let at = match parts.binary_search_by_key(&step, |(step, _)| *step) {
        Ok(at) => at,
        Err(at) => {
            parts.insert(at, (step, empty.clone()));
            at
        }
    };
    &mut parts[at].1
}

/// Begins anew where a reset has come.
fn roll(
    at: UnixMillis,
    from: &mut UnixMillis,
    until: &mut UnixMillis,
    reset: Option<&(String, String)>,
    total: &mut Total,
) {
    if at >= *until {
        (*from, *until) = around(reset, at);
        *total = total.empty();
    }
}

fn around(reset: Option<&(String, String)>, at: UnixMillis) -> (UnixMillis, UnixMillis) {
    let reset = reset.and_then(|(time, zone)| Some(Reset { at: time.parse().ok()?, time_zone: zone.clone() }));
    reset.map_or((UnixMillis(0), UnixMillis(u64::MAX)), |reset| reset.around(at))
}
