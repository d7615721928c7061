//! What one commit writes: rows of one account, with its sequence and epoch inside.
//!
//! Self-contained, so that the same bytes can go to a replicated log before they are applied.

use rocksdb::WriteBatch;
use signalbox_engine::{
    Delivery, DeliveryKey, DeliveryState, Digest, Document, DocumentKey, Ended, Facts, InteractionId, Live, Login,
    Message, Name, Observed, OutboxMessage, Record, Sequence, UnixMillis,
};

use super::row::{CheckpointRow, LoginRow, encode, encode_document};
use super::{AccountNumber, AccountRow, DecisionRow, Head, IdempotencyRow, Key, Store};

/// Rows to be written together.
pub struct Batch {
    account: AccountNumber,
    rows: WriteBatch,
}

impl Batch {
    /// An empty one for an account.
    #[must_use]
    pub fn new(account: AccountNumber) -> Self {
        Self { account, rows: WriteBatch::default() }
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many bytes it has grown to.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.rows.size_in_bytes()
    }

    pub(super) fn into_rows(self) -> WriteBatch {
        self.rows
    }

    fn put(&mut self, store: &Store, key: &Key<'_>, value: &[u8]) {
        self.rows.put_cf(store.family(key.family()), key.encode(), value);
    }

    fn delete(&mut self, store: &Store, key: &Key<'_>) {
        self.rows.delete_cf(store.family(key.family()), key.encode());
    }

    /// The account itself.
    pub fn account(&mut self, store: &Store, name: &str, row: &AccountRow) {
        self.put(store, &Key::Account(name), &encode(row));
    }

    /// How far the account is with this batch.
    pub fn head(&mut self, store: &Store, head: Head) {
        self.put(store, &Key::Head(self.account), &encode(&head));
    }

    /// A record of the journal: it stands in the timeline of every interaction that it is about, and by its number where it
    /// is about none.
    pub fn record(&mut self, store: &Store, record: &Record) {
        let value = encode(record);
        let mut about: Vec<InteractionId> =
            record.events.iter().filter_map(signalbox_engine::Event::interaction).collect();
        about.sort_unstable();
        about.dedup();
        for id in &about {
            self.put(store, &Key::Timeline(self.account, *id, record.sequence), &value);
        }
        if about.is_empty() {
            self.put(store, &Key::Record(self.account, record.sequence), &value);
        }
    }

    /// A live interaction as it is now.
    pub fn live(&mut self, store: &Store, id: InteractionId, live: &Live) {
        self.put(store, &Key::Live(self.account, id), &encode(live));
    }

    /// An interaction that has ended.
    pub fn ended(&mut self, store: &Store, id: InteractionId, ended: &Ended) {
        self.delete(store, &Key::Live(self.account, id));
        self.put(store, &Key::Ended(self.account, id), &encode(ended));
    }

    /// The message of a new interaction.
    pub fn message(&mut self, store: &Store, id: InteractionId, message: &Message) {
        self.put(store, &Key::Message(self.account, id), &encode(message));
    }

    /// The facts about an interaction.
    pub fn facts(&mut self, store: &Store, id: InteractionId, facts: &Facts) {
        self.put(store, &Key::Facts(self.account, id), &encode(facts));
    }

    /// A decision.
    pub fn decision(&mut self, store: &Store, id: InteractionId, row: &DecisionRow) {
        self.put(store, &Key::Decision(self.account, id, row.call), &encode(row));
    }

    /// An outgoing message.
    pub fn outbox(&mut self, store: &Store, message: &OutboxMessage) {
        self.put(store, &Key::Outbox(self.account, message.id), &encode(message));
    }

    /// How far a delivery is.
    pub fn delivery(&mut self, store: &Store, key: &DeliveryKey, delivery: &Delivery) {
        let (open, done) = (
            Key::Delivery(self.account, key.message, key.webhook.as_str()),
            Key::Delivered(self.account, key.message, key.webhook.as_str()),
        );
        if matches!(delivery.state, DeliveryState::Delivered | DeliveryState::Discarded) {
            self.delete(store, &open);
            self.put(store, &done, &encode(delivery));
        } else {
            self.put(store, &open, &encode(delivery));
        }
    }

    /// A document.
    pub fn document(&mut self, store: &Store, document: &Document) {
        self.put(store, &Key::Document(self.account, &document.key()), &encode_document(document));
    }

    /// Takes a document's row away.
    pub fn remove_document(&mut self, store: &Store, key: &DocumentKey) {
        self.delete(store, &Key::Document(self.account, key));
    }

    /// The name of a deployment that was deleted.
    pub fn retired(&mut self, store: &Store, deployment: &str) {
        self.put(store, &Key::Retired(self.account, deployment), &encode(&()));
    }

    /// An agent who is logged in; none once it has logged out, and then until when it rests from offers, if it does.
    pub fn login(&mut self, store: &Store, agent: &str, login: Option<&Login>, rests_until: Option<UnixMillis>) {
        let key = Key::Login(self.account, agent);
        match (login, rests_until) {
            (Some(login), _) => self.put(store, &key, &encode(&LoginRow::In(login.clone()))),
            (None, Some(until)) => self.put(store, &key, &encode(&LoginRow::Resting(until))),
            (None, None) => self.delete(store, &key),
        }
    }

    /// The agent who last completed an interaction of this sender.
    pub fn contact(&mut self, store: &Store, sender: &str, agent: &Name) {
        self.put(store, &Key::Contact(self.account, sender), &encode(agent));
    }

    /// What a submit with an idempotency key gave.
    pub fn idempotency(&mut self, store: &Store, key: &str, row: &IdempotencyRow) {
        self.put(store, &Key::Idempotency(self.account, key), &encode(row));
    }

    /// A binary.
    pub fn blob(&mut self, store: &Store, digest: Digest, bytes: &[u8]) {
        self.put(store, &Key::Blob(self.account, digest), bytes);
    }

    /// Takes a binary away.
    pub fn remove_blob(&mut self, store: &Store, digest: Digest) {
        self.delete(store, &Key::Blob(self.account, digest));
    }

    /// What statistics observed of the records until this one.
    pub fn observed(&mut self, store: &Store, sequence: Sequence, observed: &Observed) {
        self.put(store, &Key::Observed(self.account, sequence), &encode(observed));
    }

    /// A part of a checkpoint of the statistics. With the last, what it takes the place of is taken away: what was observed
    /// until then, and older checkpoints.
    pub fn checkpoint(&mut self, store: &Store, sequence: Sequence, part: u32, bytes: Vec<u8>, last: bool) {
        let key = Key::Checkpoint(self.account, sequence, part);
        self.put(store, &key, &encode(&CheckpointRow { last, bytes }));
        if last {
            let none = Sequence(0);
            let family = store.family(key.family());
            let observed = Key::Observed(self.account, none)..Key::Observed(self.account, sequence.next());
            self.rows.delete_range_cf(family, observed.start.encode(), observed.end.encode());
            let older = Key::Checkpoint(self.account, none, 0)..Key::Checkpoint(self.account, sequence, 0);
            self.rows.delete_range_cf(family, older.start.encode(), older.end.encode());
        }
    }
}
