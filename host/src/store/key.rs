//! Every key of the store, each with its layout.
//!
//! A permanent tag byte, then fixed big-endian fields, and at most one variable field, which comes last. Tags are never
//! used again, layouts never change: add a kind of row instead.
//!
//! Invariant: the order of the bytes is the order of the values.

use serde::{Deserialize, Serialize};
use signalbox_engine::{CallId, Digest, DocumentKey, DocumentKind, InteractionId, Name, Sequence};
use uuid::Uuid;

/// An account's number in this store; its name stands in one row only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountNumber(pub u32);

/// Families by how they are accessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// The store's own rows: format, accounts.
    Meta,
    /// What is loaded at start: heads, documents, live interactions, deliveries. Rewritten and deleted a lot.
    State,
    /// Messages, facts and outgoing messages: read one by one.
    Content,
    /// Journal, timelines, decisions, what has ended, idempotency keys: written once.
    History,
    /// Binaries of megabytes.
    Blobs,
}

impl Family {
    pub(super) const ALL: [Self; 5] = [Self::Meta, Self::State, Self::Content, Self::History, Self::Blobs];

    /// Its name in RocksDB.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "default",
            Self::State => "state",
            Self::Content => "content",
            Self::History => "history",
            Self::Blobs => "blobs",
        }
    }
}

/// A key. `n` is the account's number, 4 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key<'a> {
    /// `01`: the format of the store. Meta.
    Format,
    /// `02` · name: an account. Meta.
    Account(&'a str),
    /// `10` · n: the account's last sequence and epoch. State.
    Head(AccountNumber),
    /// `11` · n · kind u8 · version u32 · name [· `00` · element]: a document. State.
    Document(AccountNumber, &'a DocumentKey),
    /// `12` · n · interaction 16: a live interaction. State.
    Live(AccountNumber, InteractionId),
    /// `13` · n · message u64 · webhook: a delivery that is pending or parked. State.
    Delivery(AccountNumber, u64, &'a str),
    /// `14` · n · name: a deployment that was deleted, whose name is not free again. State.
    Retired(AccountNumber, &'a str),
    /// `15` · n · agent: an agent who is logged in, or rests after it logged out. State.
    Login(AccountNumber, &'a str),
    /// `16` · n · sequence u64: what statistics observed of the records until there. State.
    Observed(AccountNumber, Sequence),
    /// `17` · n · sequence u64 · part u32: a part of a checkpoint of the statistics. State.
    Checkpoint(AccountNumber, Sequence, u32),
    /// `20` · n · interaction 16: the message as it came. Content.
    Message(AccountNumber, InteractionId),
    /// `21` · n · interaction 16: the facts about it. Content.
    Facts(AccountNumber, InteractionId),
    /// `22` · n · message u64: an outgoing message. Content.
    Outbox(AccountNumber, u64),
    /// `23` · n · address: the agent who last completed an interaction of this sender. Content.
    Contact(AccountNumber, &'a str),
    /// `30` · n · sequence u64: a record of the journal that is about no interaction. History.
    Record(AccountNumber, Sequence),
    /// `31` · n · interaction 16 · sequence u64: a record of the journal that is about an interaction. History.
    Timeline(AccountNumber, InteractionId, Sequence),
    /// `32` · n · interaction 16 · call u64: a decision with all it saw. History.
    Decision(AccountNumber, InteractionId, CallId),
    /// `33` · n · interaction 16: an interaction that has ended. History.
    Ended(AccountNumber, InteractionId),
    /// `34` · n · key: what a submit with this idempotency key gave. History.
    Idempotency(AccountNumber, &'a str),
    /// `35` · n · message u64 · webhook: a delivery that succeeded or was discarded. History.
    Delivered(AccountNumber, u64, &'a str),
    /// `40` · n · sha-256: a binary. Blobs.
    Blob(AccountNumber, Digest),
}

impl Key<'_> {
    /// The family in which rows with this key are.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::Format | Self::Account(_) => Family::Meta,
            Self::Head(_)
            | Self::Document(..)
            | Self::Live(..)
            | Self::Delivery(..)
            | Self::Retired(..)
            | Self::Login(..)
            | Self::Observed(..)
            | Self::Checkpoint(..) => Family::State,
            Self::Message(..) | Self::Facts(..) | Self::Outbox(..) | Self::Contact(..) => Family::Content,
            Self::Record(..)
            | Self::Timeline(..)
            | Self::Decision(..)
            | Self::Ended(..)
            | Self::Idempotency(..)
            | Self::Delivered(..) => Family::History,
            Self::Blob(..) => Family::Blobs,
        }
    }

    /// The tag byte.
    #[must_use]
    pub fn tag(&self) -> u8 {
        match self {
            Self::Format => 0x01,
            Self::Account(_) => 0x02,
            Self::Head(_) => 0x10,
            Self::Document(..) => 0x11,
            Self::Live(..) => 0x12,
            Self::Delivery(..) => 0x13,
            Self::Retired(..) => 0x14,
            Self::Login(..) => 0x15,
            Self::Observed(..) => 0x16,
            Self::Checkpoint(..) => 0x17,
            Self::Message(..) => 0x20,
            Self::Facts(..) => 0x21,
            Self::Outbox(..) => 0x22,
            Self::Contact(..) => 0x23,
            Self::Record(..) => 0x30,
            Self::Timeline(..) => 0x31,
            Self::Decision(..) => 0x32,
            Self::Ended(..) => 0x33,
            Self::Idempotency(..) => 0x34,
            Self::Delivered(..) => 0x35,
            Self::Blob(..) => 0x40,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(48);
        bytes.push(self.tag());
        let fixed = match self {
            Self::Format | Self::Account(_) => None,
            Self::Head(n)
            | Self::Document(n, _)
            | Self::Live(n, _)
            | Self::Delivery(n, ..)
            | Self::Retired(n, _)
            | Self::Login(n, _)
            | Self::Observed(n, _)
            | Self::Checkpoint(n, ..)
            | Self::Contact(n, _)
            | Self::Message(n, _)
            | Self::Facts(n, _)
            | Self::Outbox(n, _)
            | Self::Record(n, _)
            | Self::Timeline(n, ..)
            | Self::Decision(n, ..)
            | Self::Ended(n, _)
            | Self::Idempotency(n, _)
            | Self::Delivered(n, ..)
            | Self::Blob(n, _) => Some(n),
        };
        if let Some(number) = fixed {
            bytes.extend(number.0.to_be_bytes());
        }
        match self {
            Self::Format | Self::Head(_) => {}
            Self::Account(name)
            | Self::Retired(_, name)
            | Self::Login(_, name)
            | Self::Contact(_, name)
            | Self::Idempotency(_, name) => bytes.extend(name.as_bytes()),
            Self::Document(_, key) => {
                bytes.push(kind_byte(key.kind));
                bytes.extend(key.version.to_be_bytes());
                bytes.extend(key.name.as_str().as_bytes());
                if let Some(element) = &key.element {
                    bytes.push(0);
                    bytes.extend(element.as_str().as_bytes());
                }
            }
            Self::Live(_, id) | Self::Message(_, id) | Self::Facts(_, id) | Self::Ended(_, id) => {
                bytes.extend(id.0.as_bytes());
            }
            Self::Delivery(_, message, webhook) | Self::Delivered(_, message, webhook) => {
                bytes.extend(message.to_be_bytes());
                bytes.extend(webhook.as_bytes());
            }
            Self::Outbox(_, message) => bytes.extend(message.to_be_bytes()),
            Self::Record(_, sequence) | Self::Observed(_, sequence) => bytes.extend(sequence.0.to_be_bytes()),
            Self::Checkpoint(_, sequence, part) => {
                bytes.extend(sequence.0.to_be_bytes());
                bytes.extend(part.to_be_bytes());
            }
            Self::Timeline(_, id, Sequence(n)) | Self::Decision(_, id, CallId(n)) => {
                bytes.extend(id.0.as_bytes());
                bytes.extend(n.to_be_bytes());
            }
            Self::Blob(_, digest) => bytes.extend(digest.0),
        }
        bytes
    }
}

/// Bytes with which the keys of one kind of row in one account begin.
pub(super) fn prefix(tag: u8, account: AccountNumber) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(account.0.to_be_bytes());
    bytes
}

/// The part of a key behind tag and account.
pub(super) fn rest(key: &[u8]) -> &[u8] {
    key.get(5..).unwrap_or_default()
}

/// The interaction at the beginning of [`rest`].
pub(super) fn interaction(rest: &[u8]) -> Option<InteractionId> {
    Some(InteractionId(Uuid::from_slice(rest.get(..16)?).ok()?))
}

/// The number at the beginning of some bytes.
pub(super) fn number(rest: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(rest.get(..8)?.try_into().ok()?))
}

/// The name that some bytes are.
pub(super) fn name(rest: &[u8]) -> Option<Name> {
    Name::new(std::str::from_utf8(rest).ok()?).ok()
}

/// Permanent; the order is the one in which documents are loaded.
fn kind_byte(kind: DocumentKind) -> u8 {
    match kind {
        DocumentKind::Upload => 1,
        DocumentKind::Workflow => 2,
        DocumentKind::Deployment => 3,
        DocumentKind::Binding => 4,
        DocumentKind::Queue => 5,
        DocumentKind::Calendar => 6,
        DocumentKind::Response => 7,
        DocumentKind::Token => 8,
        DocumentKind::Webhook => 9,
        DocumentKind::Table => 10,
        DocumentKind::Skill => 11,
        DocumentKind::Agent => 12,
        DocumentKind::Place => 13,
        DocumentKind::AgentGroup => 14,
        DocumentKind::PlaceGroup => 15,
        DocumentKind::AgentRules => 16,
        DocumentKind::Endpoint => 17,
        DocumentKind::CallbackRules => 18,
        DocumentKind::Statistic => 19,
        DocumentKind::Replay => 20,
        DocumentKind::SigningKey => 21,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_is_value_order() {
        let number = |n| AccountNumber(n);
        let id = |n: u128| InteractionId(Uuid::from_u128(n));
        let ascending = [
            Key::Format,
            Key::Account("a"),
            Key::Account("b"),
            Key::Head(number(1)),
            Key::Head(number(256)),
            Key::Live(number(1), id(255)),
            Key::Live(number(1), id(256)),
            Key::Live(number(1), id(1 << 100)),
            Key::Live(number(2), id(0)),
            Key::Delivery(number(1), 255, "z"),
            Key::Delivery(number(1), 256, "a"),
            Key::Delivery(number(1), 256, "b"),
            Key::Retired(number(1), "a"),
            Key::Retired(number(1), "b"),
            Key::Login(number(1), "ann"),
            Key::Login(number(1), "bob"),
            Key::Observed(number(1), Sequence(255)),
            Key::Observed(number(1), Sequence(256)),
            Key::Checkpoint(number(1), Sequence(255), 256),
            Key::Checkpoint(number(1), Sequence(256), 0),
            Key::Checkpoint(number(1), Sequence(256), 255),
            Key::Checkpoint(number(1), Sequence(256), 256),
            Key::Message(number(1), id(1)),
            Key::Facts(number(1), id(1)),
            Key::Outbox(number(1), 9),
            Key::Outbox(number(1), 1 << 40),
            Key::Contact(number(1), "ana@example.org"),
            Key::Record(number(1), Sequence(255)),
            Key::Record(number(1), Sequence(256)),
            Key::Timeline(number(1), id(1), Sequence(u64::MAX)),
            Key::Timeline(number(1), id(2), Sequence(0)),
            Key::Decision(number(1), id(2), CallId(1)),
            Key::Decision(number(1), id(2), CallId(300)),
            Key::Ended(number(1), id(7)),
            Key::Idempotency(number(1), "k"),
            Key::Delivered(number(1), 1, "a"),
            Key::Blob(number(1), Digest([0; 32])),
            Key::Blob(number(1), Digest([1; 32])),
        ];
        for pair in ascending.windows(2) {
            assert!(pair[0].encode() < pair[1].encode(), "{:?} sorts before {:?}", pair[0], pair[1]);
        }
    }

    #[test]
    fn documents_sort_by_kind_then_version_then_name() {
        let key =
            |kind, version, name: &str| DocumentKey { kind, name: Name::new(name).unwrap(), element: None, version };
        let bytes = |key: &DocumentKey| Key::Document(AccountNumber(1), key).encode();
        let ascending = [
            key(DocumentKind::Upload, 0, "b"),
            key(DocumentKind::Workflow, 1, "b"),
            key(DocumentKind::Workflow, 2, "a"),
            key(DocumentKind::Deployment, 0, "a"),
            key(DocumentKind::Binding, 0, "a"),
            key(DocumentKind::Table, 0, "a"),
        ];
        for pair in ascending.windows(2) {
            assert!(bytes(&pair[0]) < bytes(&pair[1]), "{:?} sorts before {:?}", pair[0], pair[1]);
        }
    }
}
