//! What an account is asked to do. Everything that changes an account is one of these.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::binding::Binding;
use crate::callbacks::AttemptOutcome;
use crate::canary::CanaryFigures;
use crate::content::{Entry, Facts, Message};
use crate::decision::{Decision, Destination, Failure, Target};
use crate::document::{Document, DocumentKey};
use crate::endpoint::{EndpointFailure, EndpointReply};
use crate::event::{DeliveryKey, Speaker};
use crate::id::{CallId, Digest, InteractionId, Name, UnixMillis};
use crate::live::{Attention, OfferId};
use crate::matching::Due;

/// A command to one account.
#[derive(Debug, Clone)]
pub enum Command {
    /// A client submits an interaction.
    Submit(Box<Submission>),
    /// A strategy call that was awaited has ended.
    StrategyAnswered {
        /// Which call.
        call: CallId,
        /// For which interaction.
        interaction: InteractionId,
        /// What came of it.
        answer: Answer,
    },
    /// An attempt to ask an application outside has ended.
    EndpointAnswered {
        /// Which call.
        call: CallId,
        /// For which interaction.
        interaction: InteractionId,
        /// What came of it.
        result: Result<EndpointReply, EndpointFailure>,
    },
    /// The timer of an interaction is due. Rejected where it has none, or a later one.
    TimerDue {
        /// Which interaction.
        interaction: InteractionId,
    },
    /// The content of an interaction that is under way cannot be read. Needs none itself: parks it.
    ContentLost {
        /// Which interaction.
        interaction: InteractionId,
        /// In words.
        why: String,
    },
    /// Sets items of user data; an empty value removes the item.
    SetUserData {
        /// Which interaction.
        interaction: InteractionId,
        /// At least one.
        entries: Vec<Entry>,
    },
    /// Ends an interaction wherever it is.
    Cancel {
        /// Which interaction.
        interaction: InteractionId,
        /// In words.
        reason: String,
        /// Name of the token.
        by: String,
        /// The customer wants it. Otherwise the account does, and whoever was offered it is not told that the customer went.
        for_customer: bool,
    },
    /// Goes on with a parked interaction, in the newest version of its workflow that has the element.
    Resume {
        /// Which interaction.
        interaction: InteractionId,
        /// Where; left out: at the element where it was parked.
        element: Option<Name>,
        /// Name of the token.
        by: String,
    },
    /// Takes the next interaction out of a queue.
    Take {
        /// Which queue.
        queue: Name,
        /// The agent that the token acts for: where it is logged in, this is an assignment to it like any other.
        agent: Option<Name>,
        /// Name of the token.
        by: String,
    },
    /// Takes a particular interaction, whoever it is offered to or has it.
    TakeOver {
        /// Which interaction.
        interaction: InteractionId,
        /// Name of the token.
        by: String,
    },
    /// Puts a taken interaction back, to the place in its queue that it had.
    Release {
        /// Which interaction.
        interaction: InteractionId,
        /// Name of the token.
        by: String,
        /// Whether the token may do so with what another one took.
        for_anyone: bool,
    },
    /// Says that the work on a taken interaction is done; its workflow goes on. Whoever may do so for anyone may also with
    /// what waits in a queue, is offered, is wrapped up or is parked; what is parked elsewhere than in a queue ends.
    Complete {
        /// Which interaction.
        interaction: InteractionId,
        /// How it ended.
        disposition: String,
        /// Name of the token.
        by: String,
        /// Whether the token may do so with what another one took.
        for_anyone: bool,
    },
    /// An agent's own state is to change.
    Agent {
        /// Who.
        agent: Name,
        /// How.
        action: AgentAction,
        /// Name of the token.
        by: String,
    },
    /// The timer of an agent is due. Rejected where it has none, or a later one.
    AgentTimerDue {
        /// Who.
        agent: Name,
    },
    /// Brings an interaction and an agent together. Rejected where there are no two that fit.
    Match(Due),
    /// An agent answers an offer.
    AnswerOffer {
        /// Of which interaction.
        interaction: InteractionId,
        /// Which offer.
        offer: OfferId,
        /// To whom it is.
        agent: Name,
        /// What it says.
        answer: OfferAnswer,
    },
    /// An agent holds an interaction, takes it back from hold, or puts it into its workbin.
    Attend {
        /// Which interaction.
        interaction: InteractionId,
        /// How it is from now on.
        attention: Attention,
        /// Name of the token, or the agent's.
        by: String,
        /// See [`Command::Release`].
        for_anyone: bool,
    },
    /// The agent who has an interaction asked for something, whatever it was: the time that it may do nothing about it
    /// counts from then. Rejected where that changes nothing.
    AgentSeen {
        /// Which interaction.
        interaction: InteractionId,
        /// When the agent last asked for something.
        at: UnixMillis,
    },
    /// After-contact work is done; the interaction's workflow goes on.
    FinishWrapUp {
        /// Which interaction.
        interaction: InteractionId,
        /// How it ended; left out: as was said before.
        disposition: Option<String>,
        /// Name of the token, or the agent's.
        by: String,
        /// See [`Command::Release`].
        for_anyone: bool,
    },
    /// Holds an assigned interaction out to another agent, or puts it into another queue.
    Transfer {
        /// Which interaction.
        interaction: InteractionId,
        /// To whom.
        to: Target,
        /// Name of the token, or the agent's.
        by: String,
        /// See [`Command::Release`].
        for_anyone: bool,
    },
    /// Sends an assigned interaction outside: the work on it is done with that.
    Forward {
        /// Which interaction.
        interaction: InteractionId,
        /// To an address, or to a URL below one of the account's webhooks.
        to: Destination,
        /// Name of the token, or the agent's.
        by: String,
        /// See [`Command::Release`].
        for_anyone: bool,
    },
    /// Puts an interaction into another queue, whoever has it, wraps it up, or wherever it is parked. What is parked
    /// elsewhere than in a queue leaves its workflow.
    Move {
        /// Which interaction.
        interaction: InteractionId,
        /// Which queue.
        queue: Name,
        /// Name of the token.
        by: String,
    },
    /// Gives an interaction to an agent who is logged in, whatever its capacity.
    Assign {
        /// Which interaction.
        interaction: InteractionId,
        /// Who.
        agent: Name,
        /// Name of the token.
        by: String,
    },
    /// Somebody says something in an interaction.
    Say {
        /// Which interaction.
        interaction: InteractionId,
        /// Who.
        speaker: Speaker,
        /// 1 byte to 64 KiB.
        text: String,
        /// Name of the token, or the agent's.
        by: String,
        /// See [`Command::Release`].
        for_anyone: bool,
    },
    /// The customer closes an interaction.
    Close {
        /// Which interaction.
        interaction: InteractionId,
        /// In words.
        reason: String,
        /// Name of the token.
        by: String,
    },
    /// Books a callback for another moment.
    RescheduleCallback {
        /// Which interaction.
        interaction: InteractionId,
        /// When; none: as soon as possible.
        at: Option<UnixMillis>,
        /// For whom: an agent may do so with what it has itself, a customer with what nobody works on.
        speaker: Speaker,
        /// Name of the token, or the agent's.
        by: String,
        /// See [`Command::Release`].
        for_anyone: bool,
    },
    /// An attempt to call somebody back has ended.
    CallbackAttempted {
        /// Which interaction.
        interaction: InteractionId,
        /// What came of it.
        outcome: AttemptOutcome,
        /// Name of the token, or the agent's.
        by: String,
        /// See [`Command::Release`].
        for_anyone: bool,
    },
    /// Puts a document. The version of a workflow is given by the account.
    Put {
        /// The document.
        document: Document,
        /// Name of the token.
        by: String,
    },
    /// Puts a binding in the place of one. Rejected where another stands by now: a canary's guard may have spoken meanwhile.
    Bind {
        /// The binding, made of what stood.
        binding: Arc<Binding>,
        /// What stood when it was made.
        standing: Option<Arc<Binding>>,
        /// Name of the token.
        by: String,
    },
    /// Ends the canary of a binding, where one runs, and otherwise puts what stood before again.
    RollBack {
        /// The workflow.
        workflow: Name,
        /// Its strategy element.
        element: Name,
        /// The canary that ran when this was asked for; none where none did. Rejected where that is not so any more: a
        /// canary that has just gone by itself is nothing to go further back for.
        canary: Option<Name>,
        /// Why; none where nobody said.
        message: Option<String>,
        /// Name of the token.
        by: String,
    },
    /// Takes a document away.
    Remove {
        /// Which.
        key: DocumentKey,
        /// Name of the token.
        by: String,
    },
    /// The calls of a binding's canary were counted. Rejected where that means nothing yet, or it is not the canary any more.
    CanaryCounted {
        /// The workflow.
        workflow: Name,
        /// Its strategy element.
        element: Name,
        /// The canary.
        deployment: Name,
        /// Of the step that it is in.
        figures: Box<CanaryFigures>,
    },
    /// A deployment was compiled anew, for its image did not fit this machine.
    Recompiled {
        /// Which.
        deployment: Name,
        /// SHA-256 of the new image.
        image: Digest,
    },
    /// An attempt to deliver a message has ended.
    DeliveryAttempted {
        /// Which delivery.
        delivery: DeliveryKey,
        /// Why it failed, if it did.
        result: Result<(), String>,
    },
    /// Tries a parked delivery again. Rejected where its webhook is gone.
    Redeliver {
        /// Which delivery.
        delivery: DeliveryKey,
        /// Name of the token.
        by: String,
    },
}

/// A new interaction.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Made by the caller, never used before.
    pub id: InteractionId,
    /// The workflow that it enters, in its newest version.
    pub workflow: Name,
    /// What came.
    pub message: Arc<Message>,
    /// What the client knows of it.
    pub facts: Facts,
    /// The moment that it is meant for; until then it is `scheduled`. None or past: now.
    pub at: Option<UnixMillis>,
    /// It is a callback by these rules: it enters their workflow, at a moment that they offer or as soon as possible.
    pub callback: Option<Name>,
}

/// What an agent's own state is asked to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentAction {
    /// Logged in, not ready at first.
    LogIn {
        /// Where it sits.
        place: Option<Name>,
        /// What it takes; empty for all.
        media_types: BTreeSet<Name>,
        /// A session is open: once that is cut off, the agent counts as gone.
        connected: bool,
    },
    /// Logged out.
    LogOut {
        /// Once its work is done. Otherwise refused while it has work.
        after_work: bool,
    },
    /// Ready for offers.
    Ready,
    /// Not ready.
    NotReady {
        /// Reason code.
        reason: Name,
        /// Once its work is done.
        after_work: bool,
    },
    /// A session was opened.
    Connect,
    /// The last session was cut off.
    Disconnect,
}

/// What an agent says to an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferAnswer {
    /// Yes.
    Accept,
    /// No.
    Decline {
        /// In words; may be empty.
        reason: String,
    },
}

/// What came of a strategy call.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The decision, or why there is none.
    pub result: Result<Decision, Failure>,
}
