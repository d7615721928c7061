//! Sees to it that every pending delivery is tried when it is due: a few at a time for each webhook.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use signalbox_engine::{Account, DeliveryKey, Name, UnixMillis};

use super::{Answer, Shared};
use crate::outbox::{Attempt, Outbox};
use crate::store::Store;

/// Deliveries to one webhook at a time.
const WINDOW: usize = 8;

pub(super) struct Deliveries {
    outbox: Arc<Outbox>,
    in_flight: BTreeMap<Name, BTreeSet<u64>>,
}

impl Deliveries {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, in_flight: BTreeMap::new() }
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

    /// The deliveries to a webhook that are not in flight, as far as it has room.
    fn candidates<'a>(&'a self, account: &'a Account, webhook: &Name) -> impl Iterator<Item = (UnixMillis, u64)> + 'a {
        let busy = self.in_flight.get(webhook);
        let room = WINDOW - busy.map_or(0, BTreeSet::len).min(WINDOW);
        let free = move |(_, message): &(UnixMillis, u64)| busy.is_none_or(|busy| !busy.contains(message));
        account.deliveries_due(webhook.as_str()).filter(free).take(room)
    }

    /// Starts the attempts that are due, as far as there is room.
    pub(super) fn pump(&mut self, account: &Account, store: &Store, shared: &Arc<Shared>, now: UnixMillis) {
        let due: Vec<DeliveryKey> = account
            .webhooks_due()
            .flat_map(|webhook| {
                let due = self.candidates(account, webhook).take_while(move |(due, _)| *due <= now);
                due.map(|(_, message)| DeliveryKey { message, webhook: webhook.clone() })
            })
            .collect();
        for delivery in due {
            let message = store.message(shared.number, delivery.message);
            let webhook = account.configuration().webhooks.get(&delivery.webhook);
            let (message, webhook) = match (message, webhook) {
                (Ok(Some(message)), Some(webhook)) => (message, Arc::clone(webhook)),
                (Err(error), _) => {
                    // Tried again when the lane next acts.
                    tracing::error!(%delivery, error = &error as &dyn std::error::Error, "a message cannot be read");
                    continue;
                }
                (Ok(None), _) | (_, None) => {
                    shared.mailbox.answer(Answer::Delivered { delivery, result: Err("the message or the webhook is gone".into()) });
                    continue;
                }
            };
            self.in_flight.entry(delivery.webhook.clone()).or_default().insert(delivery.message);
            let (shared, account) = (Arc::clone(shared), shared.name.clone());
            self.outbox.attempt(Attempt { account, message, webhook }, move |result| {
                shared.mailbox.answer(Answer::Delivered { delivery, result });
            });
        }
    }
}
