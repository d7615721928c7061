//! One commit in the making, and those who wait for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use signalbox_engine::{Content, Digest, Ended, InteractionId, Name, Observed, Record};
use tokio::sync::oneshot;

use super::sessions::Joining;
use super::{Error, Look, Submitted};
use crate::store::{AccountNumber, Batch, IdempotencyRow};

/// A caller that waits for the commit, and its answer.
pub(super) enum Waiting {
    Submit(oneshot::Sender<Result<Submitted, Error>>, Result<Submitted, Error>),
    Command(oneshot::Sender<Result<Record, Error>>, Result<usize, Error>),
}

impl Waiting {
    /// Answers that nothing was stored.
    pub(super) fn fail(self, error: Error) {
        match self {
            Self::Submit(reply, _) => drop(reply.send(Err(error))),
            Self::Command(reply, _) => drop(reply.send(Err(error))),
        }
    }
}

/// Answers that may be given, for what they say is durable.
pub(super) struct Replies {
    pub(super) waiting: Vec<Waiting>,
    pub(super) records: Vec<Record>,
}

impl Replies {
    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Gives them. Whoever has gone away meanwhile does not need one.
    pub(super) fn send(self) {
        let mut records: Vec<Option<Record>> = self.records.into_iter().map(Some).collect();
        for caller in self.waiting {
            match caller {
                Waiting::Submit(reply, result) => drop(reply.send(result)),
                Waiting::Command(reply, result) => {
                    let result =
                        result.map(|n| records[n].take().unwrap_or_else(|| panic!("a record is one caller's")));
                    drop(reply.send(result));
                }
            }
        }
    }
}

/// One commit in the making.
pub(super) struct Work {
    pub(super) batch: Batch,
    /// What the batch says of interactions: the store does not know it yet.
    pub(super) contents: BTreeMap<InteractionId, Arc<Content>>,
    pub(super) records: Vec<Record>,
    pub(super) ended: Vec<(InteractionId, Ended)>,
    pub(super) keys: BTreeMap<String, IdempotencyRow>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) looks: Vec<Look>,
    pub(super) joins: Vec<(Name, Joining)>,
    /// Agents whose sessions end, for somebody has logged in in their place.
    pub(super) replaced: Vec<Name>,
    /// Agents whom each record is about, for those who have sessions.
    pub(super) concerned: Vec<BTreeSet<Name>>,
    pub(super) configuration_changed: bool,
    /// Deployments that are gone, and binaries that no document needs any more.
    pub(super) deleted: Vec<Name>,
    pub(super) unneeded: Vec<Digest>,
    /// Agents that are gone.
    pub(super) agents_deleted: Vec<Name>,
    /// What the records mean to statistics.
    pub(super) observed: Observed,
}

impl Work {
    pub(super) fn new(account: AccountNumber) -> Self {
        Self {
            batch: Batch::new(account),
            contents: BTreeMap::new(),
            records: Vec::new(),
            ended: Vec::new(),
            keys: BTreeMap::new(),
            waiting: Vec::new(),
            looks: Vec::new(),
            joins: Vec::new(),
            replaced: Vec::new(),
            concerned: Vec::new(),
            configuration_changed: false,
            deleted: Vec::new(),
            unneeded: Vec::new(),
            agents_deleted: Vec::new(),
            observed: Observed::default(),
        }
    }
}
