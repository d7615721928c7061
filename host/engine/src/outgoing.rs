//! Tells the account's webhooks of events: adds a message for each event that one of them takes. Bounds what is
//! pending and what is parked.

use std::collections::BTreeMap;

use crate::account::Account;
use crate::decide::webhooks_for;
use crate::event::{Delivery, DeliveryKey, DeliveryState, Event, MessageKind, OutboxMessage};
use crate::id::{Name, Sequence};
use crate::limits;

/// Numbers the messages of one command: its sequence, then the place among its events.
pub(crate) fn message_id(sequence: Sequence, n: usize) -> u64 {
    (sequence.0 << 12) | (n as u64 & 0xfff)
}

/// Adds messages to the webhooks that take one of these events.
pub(crate) fn announce(account: &Account, events: &mut Vec<Event>, sequence: Sequence) {
    if account.configuration().webhooks.is_empty() {
        return;
    }
    let messages: Vec<Event> = events
        .iter()
        .enumerate()
        // What concerns the server's own bookkeeping is nobody's news.
        .filter(|(_, event)| !matches!(event, Event::MessageQueued { .. } | Event::Marked { .. }))
        .filter(|(_, event)| event.interaction().is_some())
        .filter_map(|(n, event)| {
            let webhooks = webhooks_for(account, event.name());
            if webhooks.is_empty() {
                return None;
            }
            let message = OutboxMessage {
                id: message_id(sequence, n),
                kind: MessageKind::Event,
                topic: event.name().to_owned(),
                interaction: event.interaction(),
                url: None,
                data: data(event),
            };
            Some(Event::MessageQueued { message, webhooks })
        })
        .collect();
    events.extend(messages);
}

/// Parks the deliveries of new messages to webhooks that have too many pending, so that one that is down fills no memory
/// and delays no other. No message is dropped: an operator can have it tried again.
pub(crate) fn park_surplus(account: &Account, events: &mut Vec<Event>) {
    let mut added: BTreeMap<&Name, usize> = BTreeMap::new();
    let mut surplus = Vec::new();
    for event in events.iter() {
        let Event::MessageQueued { message, webhooks } = event else { continue };
        for webhook in webhooks {
            let added = added.entry(webhook).or_default();
            if account.deliveries_due_len(webhook.as_str()) + *added < limits::DELIVERIES_MAX {
                *added += 1;
                continue;
            }
            let error = format!("{} messages to this webhook were pending", limits::DELIVERIES_MAX);
            surplus.push(Event::DeliveryChanged {
                delivery: DeliveryKey { message: message.id, webhook: webhook.clone() },
                state: Delivery { state: DeliveryState::Parked, attempts: 0, error: Some(error) },
            });
        }
    }
    events.extend(surplus);
}

/// Discards the oldest parked deliveries to webhooks that now have too many of them, so that one that is down for days
/// fills no memory.
pub(crate) fn discard_surplus(account: &Account, events: &mut Vec<Event>) {
    let mut added: BTreeMap<&Name, usize> = BTreeMap::new();
    for event in events.iter() {
        if let Event::DeliveryChanged { delivery, state: Delivery { state: DeliveryState::Parked, .. } } = event {
            *added.entry(&delivery.webhook).or_default() += 1;
        }
    }
    let surplus = |(webhook, added): (&Name, usize)| {
        let surplus = (account.deliveries_parked_len(webhook.as_str()) + added).saturating_sub(limits::PARKED_MAX);
        discarded(account, webhook).take(surplus).collect::<Vec<_>>()
    };
    let surplus: Vec<Event> = added.into_iter().flat_map(surplus).collect();
    events.extend(surplus);
}

/// Discards the parked deliveries to a webhook, the oldest first.
pub(crate) fn discarded<'a>(account: &'a Account, webhook: &'a Name) -> impl Iterator<Item = Event> + 'a {
    account.deliveries_parked(webhook.as_str()).filter_map(|message| {
        let delivery = DeliveryKey { message, webhook: webhook.clone() };
        let parked = account.delivery(&delivery)?;
        let state = Delivery { state: DeliveryState::Discarded, ..parked.clone() };
        Some(Event::DeliveryChanged { delivery, state })
    })
}

/// The fields of an event, without the name of the variant.
fn data(event: &Event) -> String {
    match serde_json::to_value(event) {
        Ok(serde_json::Value::Object(tagged)) => {
            tagged.into_iter().next().map_or_else(|| "{}".to_owned(), |(_, fields)| fields.to_string())
        }
        _ => "{}".to_owned(),
    }
}
