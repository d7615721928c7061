//! Tells the account's webhooks of events: adds a message for each event that one of them takes.

use crate::account::Account;
use crate::decide::webhooks_for;
use crate::event::{Event, MessageKind, OutboxMessage};
use crate::id::Sequence;

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
        .filter(|(_, event)| event.interaction().is_some() && !matches!(event, Event::MessageQueued { .. }))
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

/// The fields of an event, without the name of the variant.
fn data(event: &Event) -> String {
    match serde_json::to_value(event) {
        Ok(serde_json::Value::Object(tagged)) => {
            tagged.into_iter().next().map_or_else(|| "{}".to_owned(), |(_, fields)| fields.to_string())
        }
        _ => "{}".to_owned(),
    }
}
