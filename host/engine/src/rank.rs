//! The order of a queue.
//!
//! Derived and never stored: it follows from the interactions and from how their queue ages them.

use std::cmp::Reverse;

use crate::configuration::Configuration;
use crate::id::{InteractionId, Sequence, UnixMillis};
use crate::live::{Live, QueuePosition};

/// An interaction's place in the order of its queue. Its priority grows with each minute on its clock; as all in a queue
/// age alike, who is before whom does not change with time, and the order can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// Priority in points per 60,000, less what it had not yet aged at the beginning of time.
    score: Reverse<i64>,
    clock: UnixMillis,
    ticket: Sequence,
    pub(crate) id: InteractionId,
    /// Points for each minute.
    ageing: u16,
}

impl Rank {
    pub(crate) fn new(configuration: &Configuration, live: &Live, position: &QueuePosition, id: InteractionId) -> Self {
        let ageing = configuration.queues.get(&position.queue).map_or(0, |queue| queue.ageing_per_minute);
        let score = Reverse(i64::from(live.priority) * 60_000);
        Self { score, clock: position.clock, ticket: position.ticket, id, ageing: 0 }.with_ageing(ageing)
    }

    /// The same where the queue ages differently.
    pub(crate) fn with_ageing(self, ageing: u16) -> Self {
        let aged = |ageing: u16| i64::from(ageing).saturating_mul(millis(self.clock));
        let score = self.score.0.saturating_add(aged(self.ageing)).saturating_sub(aged(ageing));
        Self { score: Reverse(score), ageing, ..self }
    }

    /// What orders interactions of different queues, lowest first: priority as it has grown by `now`, then the clock.
    pub(crate) fn across_queues(&self, now: UnixMillis) -> (Reverse<i64>, UnixMillis, Sequence) {
        let aged = self.score.0.saturating_add(i64::from(self.ageing).saturating_mul(millis(now)));
        (Reverse(aged), self.clock, self.ticket)
    }
}

fn millis(moment: UnixMillis) -> i64 {
    i64::try_from(moment.0).unwrap_or(i64::MAX)
}
