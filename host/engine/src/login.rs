//! One agent who is logged in: where, for which media, and whether it wants work.
//!
//! Stored as a row, for it survives a restart. What the agent works on follows from the interactions and is in
//! `matching.rs`. [`Login::apply`] is the only code that changes one.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::event::Event;
use crate::id::{Name, Sequence, UnixMillis};

/// Whether an agent wants work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not.
    NotReady {
        /// Reason code.
        reason: Name,
    },
}

/// What an agent does once it has no more work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Pending {
    /// It becomes not ready.
    NotReady {
        /// Reason code.
        #[schema(value_type = String)]
        reason: Name,
    },
    /// It logs out.
    LogOut,
}

/// How the agent is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connection {
    /// It asks by itself, over plain HTTP: nobody can tell whether it is there.
    None,
    /// A session is open.
    Open,
    /// The session was cut off.
    Lost {
        /// Then offers are revoked and it becomes not ready, if that is not done yet.
        not_ready_at: Option<UnixMillis>,
        /// Then its assignments go back to their queues. It stays logged in and not ready.
        release_at: UnixMillis,
    },
}

/// An agent who is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Where it sits.
    pub place: Option<Name>,
    /// The media types that it takes; empty for all.
    pub media_types: BTreeSet<Name>,
    /// Whether it wants work.
    pub readiness: Readiness,
    /// Since when.
    pub since: UnixMillis,
    /// The command by which it last became ready: what it declined before may be offered again.
    pub ready_by: Sequence,
    /// When it logged in.
    pub logged_in_at: UnixMillis,
    /// What it does once it has no more work.
    pub pending: Option<Pending>,
    /// When its last work ended, or it logged in.
    pub idle_since: UnixMillis,
    /// It gets no offer before. Stays over a login.
    pub rests_until: Option<UnixMillis>,
    /// The command by which it was last offered something.
    pub offered_by: Sequence,
    /// How it is reached.
    pub connection: Connection,
}

impl Login {
    pub(crate) fn new(
        place: Option<Name>,
        media_types: BTreeSet<Name>,
        reason: Name,
        connection: Connection,
        at: UnixMillis,
        sequence: Sequence,
    ) -> Self {
        Self {
            place,
            media_types,
            readiness: Readiness::NotReady { reason },
            since: at,
            ready_by: sequence,
            logged_in_at: at,
            pending: None,
            idle_since: at,
            rests_until: None,
            offered_by: Sequence::default(),
            connection,
        }
    }

    /// Whether it may be offered something now, capacity aside. Whose connection is lost keeps its offers for a while, and
    /// gets no more.
    #[must_use]
    pub fn takes_offers(&self) -> bool {
        self.readiness == Readiness::Ready
            && self.pending.is_none()
            && self.rests_until.is_none()
            && !matches!(self.connection, Connection::Lost { .. })
    }

    /// Whether it takes this medium.
    #[must_use]
    pub fn takes(&self, media_type: &Name) -> bool {
        self.media_types.is_empty() || self.media_types.contains(media_type)
    }

    /// When the engine has to look at it again by itself.
    #[must_use]
    pub fn timer(&self) -> Option<UnixMillis> {
        let lost = match self.connection {
            Connection::Lost { not_ready_at, release_at } => Some(not_ready_at.unwrap_or(release_at)),
            Connection::None | Connection::Open => None,
        };
        [lost, self.rests_until].into_iter().flatten().min()
    }

    /// Changes it as the event says; events of others change nothing.
    pub(crate) fn apply(&mut self, event: &Event, at: UnixMillis, sequence: Sequence) {
        match event {
            Event::AgentReady { .. } => {
                self.readiness = Readiness::Ready;
                self.since = at;
                self.ready_by = sequence;
                self.pending = None;
            }
            Event::AgentNotReady { reason, .. } => {
                self.readiness = Readiness::NotReady { reason: reason.clone() };
                self.since = at;
                self.pending = None;
                if let Connection::Lost { not_ready_at, .. } = &mut self.connection {
                    *not_ready_at = None;
                }
            }
            Event::AgentPending { pending, .. } => self.pending.clone_from(pending),
            Event::AgentConnection { connection, .. } => self.connection = *connection,
            Event::AgentRests { until, .. } => self.rests_until = *until,
            Event::Offered { .. } => self.offered_by = sequence,
            _ => {}
        }
    }
}
