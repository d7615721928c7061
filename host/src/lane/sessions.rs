//! Sessions of agents: who is told what, after each commit.
//!
//! A session begins with how things stand, and is then told of every record that is about its agent, in order and none
//! twice. One that does not keep up is cut off; the next one begins with how things stand, so nothing is lost.
//!
//! Invariant: an agent whose login says that a session is open has one here, or is about to be said to have lost it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use signalbox_engine::{Account, Connection, InteractionId, Live, Login, Name, Record, SecondLogin, Sequence, Work};
use tokio::sync::{mpsc, oneshot};

use super::Lane;

/// Records that wait for a session. One that is further behind is cut off.
pub(super) const UPDATES_MAX: usize = 256;

/// Sessions of one agent, where several may be open.
pub const SESSIONS_OF_AGENT_MAX: usize = 16;

/// A record that is about a session's agent.
pub type Update = Arc<Record>;

/// How things stand for an agent.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The last command that it counts in.
    pub sequence: Sequence,
    /// None where the agent is not logged in.
    pub login: Option<Login>,
    /// How full the agent is, 0 to 100.
    pub load_percent: u8,
    /// What it has in hand, or is offered.
    pub work: Vec<(InteractionId, Live)>,
}

impl Snapshot {
    /// How things stand for an agent in an account.
    #[must_use]
    pub fn of(account: &Account, agent: &Name) -> Self {
        let ids = |work: &Work| {
            let all = work.offered.iter().chain(&work.assigned).chain(&work.wrap_up);
            all.copied().collect::<BTreeSet<_>>()
        };
        let ids = account.work(agent.as_str()).map(ids).unwrap_or_default();
        Self {
            sequence: account.sequence(),
            login: account.login(agent.as_str()).cloned(),
            load_percent: account.load_percent(agent),
            work: ids.into_iter().filter_map(|id| Some((id, account.live(id)?.clone()))).collect(),
        }
    }
}

/// An open session. The lane learns of its end when it is dropped.
pub struct Session {
    lane: Arc<Lane>,
    agent: Name,
    updates: mpsc::Receiver<Update>,
}

impl Session {
    pub(super) fn new(lane: Arc<Lane>, agent: Name, updates: mpsc::Receiver<Update>) -> Self {
        Self { lane, agent, updates }
    }

    /// The next record; none where the session was cut off.
    pub async fn next(&mut self) -> Option<Update> {
        self.updates.recv().await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.updates.close();
        self.lane.leave(&self.agent);
    }
}

/// What a session begins with.
pub(super) struct Joining {
    pub(super) updates: mpsc::Sender<Update>,
    pub(super) reply: oneshot::Sender<Snapshot>,
}

#[derive(Default)]
pub(super) struct Sessions {
    open: BTreeMap<Name, Vec<mpsc::Sender<Update>>>,
    /// Agents whose last session has ended.
    gone: BTreeSet<Name>,
}

impl Sessions {
    /// After a load: whoever has no session here, and is said to have one, has lost it.
    pub(super) fn reset(&mut self, account: &Account) {
        let connected = account.logins().filter(|(_, login)| login.connection == Connection::Open);
        let gone = connected.filter(|(agent, _)| !self.open.contains_key(*agent)).map(|(agent, _)| agent.clone());
        self.gone = gone.collect();
    }

    /// A session begins. Unless several logins are allowed it takes the place of the one before, which may be a
    /// connection that is dead and does not know it yet.
    pub(super) fn join(&mut self, account: &Account, agent: Name, joining: Joining) {
        self.gone.remove(&agent);
        // Whoever has gone away meanwhile is found out about by its first update.
        drop(joining.reply.send(Snapshot::of(account, &agent)));
        let several = account.configuration().agent_rules.second_login == SecondLogin::Allow;
        let sessions = self.open.entry(agent).or_default();
        let keep = if several { SESSIONS_OF_AGENT_MAX - 1 } else { 0 };
        sessions.drain(..sessions.len().saturating_sub(keep));
        sessions.push(joining.updates);
    }

    /// Whether an agent has a session.
    pub(super) fn has(&self, agent: &Name) -> bool {
        self.open.contains_key(agent)
    }

    /// Ends an agent's sessions: somebody else has logged in in its place.
    pub(super) fn close(&mut self, agent: &Name) {
        self.open.remove(agent);
    }

    pub(super) fn left(&mut self, agent: &Name) {
        let Some(sessions) = self.open.get_mut(agent) else { return };
        sessions.retain(|session| !session.is_closed());
        if sessions.is_empty() {
            self.open.remove(agent);
            self.gone.insert(agent.clone());
        }
    }

    pub(super) fn has_gone(&self) -> bool {
        !self.gone.is_empty()
    }

    pub(super) fn take_gone(&mut self) -> BTreeSet<Name> {
        std::mem::take(&mut self.gone)
    }

    /// The agents with sessions whom a record is about: those that it names, and those who have what it is about. Before it
    /// is applied.
    pub(super) fn concerned(&self, account: &Account, record: &Record) -> BTreeSet<Name> {
        if self.open.is_empty() {
            return BTreeSet::new();
        }
        let named = record.events.iter().filter_map(|event| event.agent());
        let holders = record.events.iter().filter_map(|event| account.live(event.interaction()?)?.agent());
        named.chain(holders).filter(|agent| self.open.contains_key(*agent)).cloned().collect()
    }

    /// Tells sessions of records that are durable; `concerned` has the agents of each.
    pub(super) fn tell(&mut self, records: &[Record], concerned: &[BTreeSet<Name>]) {
        for (record, agents) in records.iter().zip(concerned).filter(|(_, agents)| !agents.is_empty()) {
            let update = Arc::new(record.clone());
            for agent in agents {
                let Some(sessions) = self.open.get_mut(agent) else { continue };
                // Its receiver sees the end, and drops the session, which is how the lane learns of it.
                sessions.retain(|session| session.try_send(Arc::clone(&update)).is_ok());
            }
        }
    }
}
