//! Values of rows: a format byte, then the value. Read by every later version.
//!
//! Compact rows are in postcard's wire format. Documents, which are open-ended, are JSON.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use signalbox_engine::{CallId, Digest, Facts, Failure, InteractionId, Login, Name, Sequence, UnixMillis};

use super::{AccountNumber, Error, Key};

/// The newest format of a compact row.
const COMPACT: u8 = 1;
/// The newest format of a document's row.
const DOCUMENT: u8 = 1;

/// An account, in the store's own rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// Its number, by which all its rows are keyed.
    pub number: AccountNumber,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// How far an account is. Written with every batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last command that is stored.
    pub sequence: Sequence,
    /// Counts the owners that the account has had: a batch of an older owner must not be taken.
    pub epoch: u64,
    /// When it was decided: the lane's clock never goes back behind it.
    pub at: UnixMillis,
}

/// What a submit with an idempotency key gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRow {
    /// SHA-256 of the request's body.
    pub body: Digest,
    /// The interaction that it made.
    pub interaction: InteractionId,
    /// When.
    pub at: UnixMillis,
}

impl IdempotencyRow {
    /// How long a key is remembered.
    const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1000;

    /// Whether the key is free again.
    #[must_use]
    pub fn is_over(&self, now: UnixMillis) -> bool {
        self.at.plus(Self::REMEMBERED_MS) <= now
    }
}

/// A strategy's decision with all that it saw, so that it can be run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRow {
    /// The call.
    pub call: CallId,
    /// The deployment that decided.
    pub deployment: Name,
    /// The workflow that it was in.
    pub workflow: Name,
    /// The element.
    pub element: Name,
    /// Which visit.
    pub visit: u32,
    /// The clock that the strategy was given.
    pub now: UnixMillis,
    /// The facts as it saw them; the message never changes.
    pub facts: Facts,
    /// What it answered.
    pub result: Result<signalbox_engine::Decision, Failure>,
    /// What it was told by the imports, what it logged and what it took, as the strategy runtime encodes it.
    pub recorded: Vec<u8>,
    /// When the answer was committed.
    pub answered_at: UnixMillis,
}

/// An agent, while there is something to know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum LoginRow {
    /// It is logged in.
    In(Login),
    /// It is not, and gets no offer before this moment if it logs in again.
    Resting(UnixMillis),
}

/// A part of a checkpoint of the statistics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CheckpointRow {
    /// With it the checkpoint is whole.
    pub(super) last: bool,
    /// As the stat server encodes it.
    pub(super) bytes: Vec<u8>,
}

/// Encodes a compact row.
pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![COMPACT])
        .unwrap_or_else(|e| panic!("a row of plain data can always be encoded: {e}"))
}

/// Encodes a document's row.
pub(super) fn encode_document<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![DOCUMENT];
    serde_json::to_writer(&mut bytes, value).unwrap_or_else(|e| panic!("a document can always be encoded: {e}"));
    bytes
}

/// Decodes a compact row.
pub(super) fn decode<T: DeserializeOwned>(key: &Key<'_>, bytes: &[u8]) -> Result<T, Error> {
    decode_tagged(key.tag(), bytes)
}

/// Decodes a compact row whose key is known by its tag only.
pub(super) fn decode_tagged<T: DeserializeOwned>(tag: u8, bytes: &[u8]) -> Result<T, Error> {
    let value = unwrap_format(tag, bytes, COMPACT)?;
    postcard::from_bytes(value).map_err(|e| Error::Damaged(format!("row of kind {tag:#04x}: {e}")))
}

/// Decodes a document's row.
pub(super) fn decode_document<T: DeserializeOwned>(tag: u8, bytes: &[u8]) -> Result<T, Error> {
    let value = unwrap_format(tag, bytes, DOCUMENT)?;
    serde_json::from_slice(value).map_err(|e| Error::Damaged(format!("row of kind {tag:#04x}: {e}")))
}

fn unwrap_format(tag: u8, bytes: &[u8], known: u8) -> Result<&[u8], Error> {
    match bytes.split_first() {
        None => Err(Error::Damaged(format!("row of kind {tag:#04x} is empty"))),
        Some((found, _)) if *found > known => Err(Error::NewerRow { tag, found: *found, known }),
        Some((_, value)) => Ok(value),
    }
}
