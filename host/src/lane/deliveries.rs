//! Sees to it that every pending delivery is tried when it is due: a few at a time for each webhook.

use std::collections::{BTreeMap, BTreeSet};

use signalbox_engine::{Account, DeliveryKey, Name, UnixMillis};

/// Deliveries to one webhook at a time.
const WINDOW: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Deliveries {
    in_flight: BTreeMap<Name, BTreeSet<u64>>,
}

impl Deliveries {
    /// An attempt was begun.
    pub(super) fn began(&mut self, delivery: &DeliveryKey) {
        self.in_flight.entry(delivery.webhook.clone()).or_default().insert(delivery.message);
    }

    /// An attempt has ended.
    pub(super) fn ended(&mut self, delivery: &DeliveryKey) {
        if let Some(messages) = self.in_flight.get_mut(&delivery.webhook) {
            messages.remove(&delivery.message);
            if messages.is_empty() {
                self.in_flight.remove(&delivery.webhook);
            }
        }
    }

    /// When the next attempt is due at a webhook that has room.
    pub(super) fn next(&self, account: &Account) -> Option<UnixMillis> {
        account.webhooks_due().filter_map(|webhook| self.candidates(account, webhook).next().map(|(due, _)| due)).min()
    }

    /// The deliveries that are due by now, as far as there is room.
    pub(super) fn due(&self, account: &Account, now: UnixMillis) -> Vec<DeliveryKey> {
        let due_at = |webhook: &Name| {
            let due = self.candidates(account, webhook).take_while(|(due, _)| *due <= now);
            due.map(|(_, message)| DeliveryKey { message, webhook: webhook.clone() }).collect::<Vec<_>>()
        };
        account.webhooks_due().flat_map(due_at).collect()
    }

    /// The deliveries to a webhook that are not in flight, as far as it has room, the earliest first.
    fn candidates<'a>(&'a self, account: &'a Account, webhook: &Name) -> impl Iterator<Item = (UnixMillis, u64)> + 'a {
        let busy = self.in_flight.get(webhook);
        let room = WINDOW.saturating_sub(busy.map_or(0, BTreeSet::len));
        let free = move |(_, message): &(UnixMillis, u64)| busy.is_none_or(|busy| !busy.contains(message));
        account.deliveries_due(webhook.as_str()).filter(free).take(room)
    }
}
