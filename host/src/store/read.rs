//! Reads rows: one by key, or a page of them in the order of their keys.

use rocksdb::{Direction, IteratorMode, ReadOptions, Snapshot};
use serde::de::DeserializeOwned;
use signalbox_engine::{
    Account, CallId, Content, Delivery, DeliveryKey, Digest, Document, Ended, Facts, InteractionId, Live, Message,
    Name, Observed, OutboxMessage, Record, Sequence,
};

use uuid::Uuid;

use super::key::{interaction, name, number, prefix, rest};
use super::row::{CheckpointRow, LoginRow, decode, decode_document, decode_tagged};
use super::{AccountNumber, AccountRow, DecisionRow, Error, Family, Head, IdempotencyRow, Key, Store};

/// An interaction as its row says: live or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Summary {
    /// It goes on.
    Live(Live),
    /// It has ended.
    Ended(Ended),
}

/// Which interactions are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those that go on.
    Live,
    /// Those that have ended.
    Ended,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Found<T> {
    /// What was found, in order.
    pub items: Vec<T>,
    /// Where the next page begins; none at the end of the list.
    pub next: Option<Cursor>,
}

/// The last key that a page has looked at, behind tag and account.
pub type Cursor = Vec<u8>;

/// The bytes of a key and its value.
type Pair = (Box<[u8]>, Box<[u8]>);

/// Some of an account's decisions.
pub struct DecisionsPage {
    /// Those that were wanted, with their interactions.
    pub items: Vec<(InteractionId, DecisionRow)>,
    /// How many were looked at.
    pub seen: u64,
    /// The last key, where there may be more.
    pub next: Option<Vec<u8>>,
}

/// What is kept of an account's statistics: the newest checkpoint that is whole, and what was observed since, in order.
pub type StatisticsRows = (Option<Vec<u8>>, Vec<(Sequence, Observed)>);

/// A delivery and how far it is.
pub type DeliveryRow = (DeliveryKey, Delivery);

impl Store {
    fn get<T: DeserializeOwned>(&self, key: &Key<'_>) -> Result<Option<T>, Error> {
        let value = self.db.get_pinned_cf(self.family(key.family()), key.encode()).map_err(Error::Read)?;
        value.map(|bytes| decode(key, &bytes)).transpose()
    }

    /// All accounts, by name.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Damaged`].
    pub fn accounts(&self) -> Result<Vec<(Name, AccountRow)>, Error> {
        let start = [Key::Account("").tag()];
        self.scan(Family::Meta, &start, |key, value| {
            let name = name(&key[1..]).ok_or_else(|| Error::Damaged("the name of an account".into()))?;
            Ok((name, decode_tagged(start[0], value)?))
        })
    }

    /// All rows whose key begins with `start`.
    fn scan<T>(
        &self,
        family: Family,
        start: &[u8],
        mut row: impl FnMut(&[u8], &[u8]) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut rows = Vec::new();
        self.each(family, start, |key, value| {
            rows.push(row(key, value)?);
            Ok(())
        })?;
        Ok(rows)
    }

    fn each(
        &self,
        family: Family,
        start: &[u8],
        mut row: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut options = ReadOptions::default();
        options.set_readahead_size(2 << 20);
        options.fill_cache(false);
        options.set_iterate_range(rocksdb::PrefixRange(start));
        let mode = IteratorMode::From(start, Direction::Forward);
        for item in self.db.iterator_cf_opt(self.family(family), options, mode) {
            let (key, value) = item.map_err(Error::Read)?;
            row(&key, &value)?;
        }
        Ok(())
    }

    /// The agent who last completed an interaction of this sender.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`].
    pub fn contact(&self, number: AccountNumber, sender: &str) -> Result<Option<Name>, Error> {
        self.get(&Key::Contact(number, sender))
    }

    /// The routing state of an account, as its last commit left it; none where it has no rows yet.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`].
    pub fn load(&self, number: AccountNumber) -> Result<Option<(Account, Head)>, Error> {
        let Some(head) = self.get::<Head>(&Key::Head(number))? else { return Ok(None) };
        let mut account = Account::loading(head.sequence);
        self.each(Family::State, &prefix(0x11, number), |_, value| {
            let document: Document = decode_document(0x11, value)?;
            account.load_document(&document);
            Ok(())
        })?;
        self.each(Family::State, &prefix(0x15, number), |key, value| {
            let agent = name(rest(key)).ok_or_else(|| Error::Damaged("name of an agent".into()))?;
            match decode_tagged(0x15, value)? {
                LoginRow::In(login) => account.load_login(&agent, login),
                LoginRow::Resting(until) => account.load_rest(&agent, until),
            }
            Ok(())
        })?;
        self.each(Family::State, &prefix(0x12, number), |key, value| {
            let id = interaction(rest(key)).ok_or_else(|| Error::Damaged("key of a live interaction".into()))?;
            account.load_live(id, decode_tagged(0x12, value)?);
            Ok(())
        })?;
        self.each(Family::State, &prefix(0x13, number), |key, value| {
            account.load_delivery(delivery_key(key)?, decode_tagged(0x13, value)?);
            Ok(())
        })?;
        self.each(Family::State, &prefix(0x14, number), |key, value| {
            decode_tagged::<()>(0x14, value)?;
            account.load_retired(name(rest(key)).ok_or_else(|| Error::Damaged("name of a deployment".into()))?);
            Ok(())
        })?;
        Ok(Some((account, head)))
    }

    /// What is kept of an account's statistics.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`].
    pub fn statistics(&self, account: AccountNumber) -> Result<StatisticsRows, Error> {
        let damaged = || Error::Damaged("key of a checkpoint".into());
        let mut whole: Option<(Sequence, Vec<u8>)> = None;
        let mut growing: (Sequence, u32, Vec<u8>) = (Sequence(0), 0, Vec::new());
        self.each(Family::State, &prefix(0x17, account), |key, value| {
            let sequence = number(rest(key)).map(Sequence).ok_or_else(damaged)?;
            let part = rest(key).get(8..12).and_then(|part| part.try_into().ok()).map(u32::from_be_bytes);
            if sequence != growing.0 {
                growing = (sequence, 0, Vec::new());
            }
            // One whose writing was cut off lacks its end; what a longer one left behind it lies beyond the last.
            if part.ok_or_else(damaged)? == growing.1 {
                let row: CheckpointRow = decode_tagged(0x17, value)?;
                growing.1 += 1;
                growing.2.extend(row.bytes);
                if row.last {
                    whole = Some((sequence, std::mem::take(&mut growing.2)));
                    growing.1 = u32::MAX;
                }
            }
            Ok(())
        })?;
        let from = whole.as_ref().map_or(Sequence(0), |(sequence, _)| *sequence);
        let mut observed = Vec::new();
        self.each(Family::State, &prefix(0x16, account), |key, value| {
            let sequence = number(rest(key)).map(Sequence).ok_or_else(damaged)?;
            if sequence > from {
                observed.push((sequence, decode_tagged(0x16, value)?));
            }
            Ok(())
        })?;
        Ok((whole.map(|(_, bytes)| bytes), observed))
    }

    /// What an interaction holds.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`].
    pub fn content(&self, number: AccountNumber, id: InteractionId) -> Result<Option<Content>, Error> {
        let Some(message) = self.get::<Message>(&Key::Message(number, id))? else { return Ok(None) };
        let facts = self
            .get::<Facts>(&Key::Facts(number, id))?
            .ok_or_else(|| Error::Damaged(format!("interaction {id} has a message and no facts")))?;
        Ok(Some(Content { message: message.into(), facts }))
    }

    /// Where an interaction is, or how it ended.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`].
    pub fn summary(&self, number: AccountNumber, id: InteractionId) -> Result<Option<Summary>, Error> {
        if let Some(live) = self.get(&Key::Live(number, id))? {
            return Ok(Some(Summary::Live(live)));
        }
        Ok(self.get(&Key::Ended(number, id))?.map(Summary::Ended))
    }

    /// Interactions, the newest first, that a filter lets through. Looks at no more than `look_max` rows, so a page may
    /// be short or empty and still have a next one.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`]; what the filter fails with.
    pub fn interactions(
        &self,
        number: AccountNumber,
        which: Which,
        before: Option<&[u8]>,
        limit: usize,
        look_max: usize,
        mut filter: impl FnMut(InteractionId, &Summary) -> Result<bool, Error>,
    ) -> Result<Found<(InteractionId, Summary)>, Error> {
        // One view of both: whichever ends meanwhile is in one of the two, and in one only.
        let snapshot = self.db.snapshot();
        let live = (which != Which::Ended).then(|| self.backwards(&snapshot, Family::State, 0x12, number, before));
        let ended = (which != Which::Live).then(|| self.backwards(&snapshot, Family::History, 0x33, number, before));
        let mut live = live.into_iter().flatten().peekable();
        let mut ended = ended.into_iter().flatten().peekable();
        let mut items = Vec::new();
        let mut last: Option<Vec<u8>> = None;
        for _ in 0..look_max {
            let newer = match (live.peek(), ended.peek()) {
                (None, None) => return Ok(Found { items, next: None }),
                (Some(Ok((a, _))), Some(Ok((b, _)))) => rest(a) >= rest(b),
                (Some(_), _) => true,
                (None, Some(_)) => false,
            };
            let row = if newer { live.next() } else { ended.next() };
            let Some(row) = row else { break };
            let (key, value) = row.map_err(Error::Read)?;
            let id = interaction(rest(&key)).ok_or_else(|| Error::Damaged("key of an interaction".into()))?;
            let summary = if newer {
                Summary::Live(decode_tagged(0x12, &value)?)
            } else {
                Summary::Ended(decode_tagged(0x33, &value)?)
            };
            last = Some(rest(&key).to_vec());
            if filter(id, &summary)? {
                items.push((id, summary));
                if items.len() == limit {
                    break;
                }
            }
        }
        Ok(Found { items, next: last })
    }

    /// Rows of one kind of an account, the last first, those before a cursor only.
    fn backwards<'a>(
        &self,
        snapshot: &'a Snapshot<'_>,
        family: Family,
        tag: u8,
        number: AccountNumber,
        before: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<Pair, rocksdb::Error>> + use<'a> {
        let start = prefix(tag, number);
        let mut upper = start.clone();
        match before {
            Some(cursor) => upper.extend(cursor),
            None => upper.extend([0xff; 32]),
        }
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(start);
        options.set_iterate_upper_bound(upper.clone());
        snapshot.iterator_cf_opt(self.family(family), options, IteratorMode::From(&upper, Direction::Reverse))
    }

    /// The records about an interaction, the oldest first, from `from` on.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`].
    pub fn timeline(
        &self,
        account: AccountNumber,
        id: InteractionId,
        from: Sequence,
        limit: usize,
    ) -> Result<Vec<Record>, Error> {
        self.history(account, id, &Key::Timeline(account, id, from), limit)
    }

    /// The decisions about an interaction, in the order in which they were asked for, from `from` on.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`].
    pub fn decisions(
        &self,
        account: AccountNumber,
        id: InteractionId,
        from: CallId,
        limit: usize,
    ) -> Result<Vec<DecisionRow>, Error> {
        self.history(account, id, &Key::Decision(account, id, from), limit)
    }

    /// Those of an account's decisions that are wanted, by interaction, behind a key. Looks at no more than `limit`, and ends
    /// once those that are wanted have `bytes_max`.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`].
    pub fn decisions_page(
        &self,
        account: AccountNumber,
        after: Option<&[u8]>,
        limit: usize,
        bytes_max: usize,
        mut wanted: impl FnMut(&DecisionRow) -> bool,
    ) -> Result<DecisionsPage, Error> {
        let first = Key::Decision(account, InteractionId(Uuid::nil()), CallId(0));
        let mut options = ReadOptions::default();
        options.set_readahead_size(2 << 20);
        options.fill_cache(false);
        options.set_iterate_range(rocksdb::PrefixRange(prefix(first.tag(), account)));
        // The key that comes next after one is that with a zero behind it.
        let start = after.map_or_else(|| first.encode(), |key| [key, &[0]].concat());
        let mode = IteratorMode::From(&start, Direction::Forward);
        let (mut items, mut seen, mut bytes) = (Vec::new(), 0, 0);
        for row in self.db.iterator_cf_opt(self.family(first.family()), options, mode) {
            let (key, value) = row.map_err(Error::Read)?;
            let id = interaction(rest(&key)).ok_or_else(|| Error::Damaged("key of a decision".into()))?;
            let decision = decode(&first, &value)?;
            seen += 1;
            if wanted(&decision) {
                items.push((id, decision));
                bytes += value.len();
            }
            if seen as usize == limit || bytes >= bytes_max {
                return Ok(DecisionsPage { items, seen, next: Some(key.to_vec()) });
            }
        }
        Ok(DecisionsPage { items, seen, next: None })
    }

    /// Rows of one kind about an interaction, from a key on.
    fn history<T: DeserializeOwned>(
        &self,
        account: AccountNumber,
        id: InteractionId,
        from: &Key<'_>,
        limit: usize,
    ) -> Result<Vec<T>, Error> {
        let mut start = prefix(from.tag(), account);
        start.extend(id.0.as_bytes());
        let mut options = ReadOptions::default();
        options.set_iterate_range(rocksdb::PrefixRange(start));
        let first = from.encode();
        let mode = IteratorMode::From(&first, Direction::Forward);
        let rows = self.db.iterator_cf_opt(self.family(from.family()), options, mode).take(limit);
        rows.map(|row| decode(from, &row.map_err(Error::Read)?.1)).collect()
    }

    /// What a submit with this key gave.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`].
    pub fn idempotency(&self, number: AccountNumber, key: &str) -> Result<Option<IdempotencyRow>, Error> {
        self.get(&Key::Idempotency(number, key))
    }

    /// Outgoing messages, the newest first.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`].
    pub fn outbox(
        &self,
        account: AccountNumber,
        before: Option<&[u8]>,
        limit: usize,
        look_max: usize,
        mut filter: impl FnMut(&OutboxMessage) -> bool,
    ) -> Result<Found<OutboxMessage>, Error> {
        let mut items = Vec::new();
        let mut last = None;
        let snapshot = self.db.snapshot();
        let mut rows = self.backwards(&snapshot, Family::Content, 0x22, account, before);
        for _ in 0..look_max {
            let Some(row) = rows.next() else { return Ok(Found { items, next: None }) };
            let (key, value) = row.map_err(Error::Read)?;
            let message: OutboxMessage = decode_tagged(0x22, &value)?;
            last = Some(rest(&key).to_vec());
            if filter(&message) {
                items.push(message);
                if items.len() == limit {
                    break;
                }
            }
        }
        Ok(Found { items, next: last })
    }

    /// One outgoing message.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`].
    pub fn message(&self, number: AccountNumber, message: u64) -> Result<Option<OutboxMessage>, Error> {
        self.get(&Key::Outbox(number, message))
    }

    /// The deliveries of an outgoing message: pending, parked and delivered.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Damaged`] or [`Error::NewerRow`].
    pub fn deliveries(&self, number: AccountNumber, message: u64) -> Result<Vec<DeliveryRow>, Error> {
        let mut rows = Vec::new();
        let snapshot = self.db.snapshot();
        for (family, tag) in [(Family::State, 0x13), (Family::History, 0x35)] {
            let mut start = prefix(tag, number);
            start.extend(message.to_be_bytes());
            let mut options = ReadOptions::default();
            options.set_iterate_range(rocksdb::PrefixRange(start));
            for row in snapshot.iterator_cf_opt(self.family(family), options, IteratorMode::Start) {
                let (key, value) = row.map_err(Error::Read)?;
                rows.push((delivery_key(&key)?, decode_tagged(tag, &value)?));
            }
        }
        Ok(rows)
    }

    /// A binary.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn blob(&self, number: AccountNumber, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
        let key = Key::Blob(number, digest);
        self.db.get_cf(self.family(key.family()), key.encode()).map_err(Error::Read)
    }
}

fn delivery_key(key: &[u8]) -> Result<DeliveryKey, Error> {
    let damaged = || Error::Damaged("key of a delivery".into());
    let rest = rest(key);
    let message = number(rest).ok_or_else(damaged)?;
    Ok(DeliveryKey { message, webhook: name(&rest[8..]).ok_or_else(damaged)? })
}
