//! The lane: one writer for each account. It collects commands, steps the engine, commits once, and then acts.
//!
//! 1. Waiting commands are taken as one batch and the clock is read once (`writer.rs`, `clock.rs`).
//! 2. The engine decides each; its rows go into one batch with one sync. Only then do callers get their answer.
//! 3. After the commit, effects run: strategies are called (`calls.rs`), applications outside asked (`endpoints.rs`),
//!    messages delivered (`deliveries.rs`), through `effects.rs`. Their results come back as commands.
//!
//! It decides nothing itself but whether an idempotency key was used before, which only the store knows.
//!
//! Invariants: memory never runs ahead of the store once a caller has been answered; every awaited call is in flight or
//! waits to be; an answer that is no longer awaited changes nothing.

mod accounts;
mod activity;
mod breaker;
mod calls;
mod canaries;
mod census;
mod clock;
mod comparison;
mod contents;
mod deliveries;
mod effects;
mod endpoints;
mod figures;
mod grants;
mod loaders;
mod mailbox;
mod replay;
mod sessions;
mod shadows;
#[cfg(test)]
mod tests;
mod work;
mod writer;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use signalbox_engine::{
    Account, CallId, Command, Configuration, DeliveryKey, Deployment, Digest, EndpointFailure, EndpointReply,
    InteractionId, Name, Record, Rejection, Submission, Token,
};
use tokio::sync::{mpsc, oneshot};

use activity::Activity;

pub use accounts::{Accounts, Options, SYSTEM};
pub use canaries::CanaryView;
pub use effects::load;
pub use replay::{Progress, Replay, Replayers};
pub use sessions::{SESSIONS_OF_AGENT_MAX, Session, Snapshot, Update};
pub use shadows::ShadowView;
pub use writer::BATCH_MAX;

use crate::stats::Stats;
use crate::store::AccountNumber;
use crate::strategy;

/// Why a command was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// It was understood and refused; nothing was written.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The idempotency key was used before, with another body.
    #[error("this idempotency key was used before, with another body")]
    IdempotencyConflict,
    /// Too many commands wait: try again in a moment.
    #[error("too many commands wait; try again in a moment")]
    Full,
    /// The store cannot write or read now. Nothing of it was stored; try again later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What the command needs is in the store and cannot be read, now or later. Nothing of it was stored: restore a backup.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopped,
}

/// An idempotency key, and what it stands for.
#[derive(Debug, Clone)]
pub struct Idempotency {
    /// As the client gave it.
    pub key: String,
    /// SHA-256 of the request's body.
    pub body: Digest,
}

/// What a submit gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submitted {
    /// The interaction.
    pub id: InteractionId,
    /// It was submitted before, with the same idempotency key and body.
    pub repeated: bool,
}

/// The account's documents as of the last commit, for those who only read them.
#[derive(Debug, Default)]
pub struct Published {
    /// All documents.
    pub configuration: Arc<Configuration>,
    /// Tokens by the SHA-256 of their secret.
    pub tokens: HashMap<Digest, Token>,
}

impl Published {
    fn new(configuration: &Arc<Configuration>) -> Self {
        let tokens = configuration.tokens.values().map(|token| (token.hash, token.clone())).collect();
        Self { configuration: Arc::clone(configuration), tokens }
    }
}

/// What can be asked of a lane.
enum Request {
    Submit(Box<Submission>, Option<Idempotency>, oneshot::Sender<Result<Submitted, Error>>),
    Command(Command, Vec<(Digest, Bytes)>, oneshot::Sender<Result<Record, Error>>),
    Ask(Look),
    Join(Name, sessions::Joining),
}

/// A look at the routing state; short and bounded. While the store fails there is none.
type Look = Box<dyn FnOnce(Result<&Account, Error>) + Send>;

/// What comes back from a lane's effects.
enum Answer {
    Left(Name),
    Called {
        call: CallId,
        request: Box<signalbox_engine::Request>,
        deployment: Name,
        result: strategy::CallResult,
    },
    Loaded {
        deployment: Arc<Deployment>,
        result: Result<Arc<strategy::Deployment>, String>,
        /// The image to keep from now on, where the old one did not fit.
        image: Option<(Digest, Bytes)>,
    },
    Asked {
        call: CallId,
        interaction: InteractionId,
        result: Result<EndpointReply, EndpointFailure>,
    },
    Delivered {
        delivery: DeliveryKey,
        result: Result<(), String>,
    },
}

type Mailbox = mailbox::Mailbox<Request, Answer>;

/// What a lane and its handle share.
struct Shared {
    name: Name,
    number: AccountNumber,
    mailbox: Mailbox,
    published: ArcSwap<Published>,
    stats: Arc<Stats>,
    activity: Activity,
    shadows: shadows::Shadows,
    canaries: canaries::Canaries,
    /// What is wrong while commits fail.
    fault: Mutex<Option<&'static str>>,
}

impl Shared {
    fn set_fault(&self, fault: Option<&'static str>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// The handle of one account's lane.
pub struct Lane {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Lane {
    /// The account's name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.shared.name
    }

    /// The account's number in the store.
    #[must_use]
    pub fn number(&self) -> AccountNumber {
        self.shared.number
    }

    /// The account's documents as of the last commit.
    pub fn published(&self) -> Guard<Arc<Published>> {
        self.shared.published.load()
    }

    /// What is wrong while commits fail; none while they do not. Says no more than everybody may know.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account's figures.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.shared.stats
    }

    /// Submits an interaction. Answers when it is durable.
    ///
    /// # Errors
    /// [`Error`] by cause; in each nothing was stored.
    pub async fn submit(&self, submission: Submission, idempotency: Option<Idempotency>) -> Result<Submitted, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Submit(Box::new(submission), idempotency, reply))?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Carries out a command. Answers with what it did, when that is durable.
    ///
    /// # Errors
    /// [`Error`] by cause; in each nothing was stored.
    pub async fn command(&self, command: Command) -> Result<Record, Error> {
        self.command_with(command, Vec::new()).await
    }

    /// Carries out a command and stores binaries in the same commit.
    ///
    /// # Errors
    /// [`Error`] by cause; in each nothing was stored.
    pub async fn command_with(&self, command: Command, blobs: Vec<(Digest, Bytes)>) -> Result<Record, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Command(command, blobs, reply))?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Looks at the routing state. The look is part of the lane's time: it must be short and bounded.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Stopped`], or [`Error::Unavailable`] while commits fail.
    pub async fn ask<T: Send + 'static>(&self, look: impl FnOnce(&Account) -> T + Send + 'static) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        // Whoever asked may have gone away; then nobody misses the answer.
        let look = move |account: Result<&Account, Error>| drop(reply.send(account.map(look)));
        self.send(Request::Ask(Box::new(look)))?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Opens a session of an agent: it is told what happens to it from a moment on, and how things stand at that moment.
    ///
    /// # Errors
    /// [`Error::Full`] or [`Error::Stopped`].
    pub async fn join(self: &Arc<Self>, agent: Name) -> Result<(Session, Snapshot), Error> {
        let (updates, received) = mpsc::channel(sessions::UPDATES_MAX);
        let (reply, answer) = oneshot::channel();
        self.send(Request::Join(agent.clone(), sessions::Joining { updates, reply }))?;
        let snapshot = answer.await.map_err(|_| Error::Stopped)?;
        Ok((Session::new(Arc::clone(self), agent, received), snapshot))
    }

    /// An agent asked for something. Costs no write: it matters only where the agent would count as idle.
    pub fn heard(&self, agent: &Name) {
        self.shared.activity.heard(agent, Instant::now());
    }

    /// A session has ended. Never refused: an agent without a session must not count as reached.
    fn leave(&self, agent: &Name) {
        self.shared.mailbox.answer(Answer::Left(agent.clone()));
    }

    fn send(&self, request: Request) -> Result<(), Error> {
        self.shared.mailbox.request(request).map_err(|refused| match refused {
            mailbox::Refused::Full => Error::Full,
            mailbox::Refused::Closed => Error::Stopped,
        })
    }

    /// What the deployments would have decided that an element's binding asks without effect.
    #[must_use]
    pub fn shadows(&self, workflow: &Name, element: &Name) -> Option<Vec<ShadowView>> {
        let configuration = Arc::clone(&self.published().configuration);
        let binding = configuration.binding(workflow, element)?;
        let of = |shadow: &Name| self.shared.shadows.view(&(workflow.clone(), element.clone(), shadow.clone()));
        Some(binding.shadows.iter().map(of).collect())
    }

    /// How far the canary of an element's binding is; none where there is none.
    #[must_use]
    pub fn canary(&self, workflow: &Name, element: &Name) -> Option<CanaryView> {
        self.shared.canaries.view(&(workflow.clone(), element.clone()))
    }

    /// Finishes what waits, and ends.
    fn stop(&self) {
        self.shared.mailbox.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(account = %self.shared.name, "the lane had panicked");
        }
    }
}
