//! What happened. Events are facts: they are stored, told to others, and never refused.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::callbacks::AttemptOutcome;
use crate::content::{Category, Skill};
use crate::decision::{Failure, Target};
use crate::document::{Document, DocumentKey};
use crate::endpoint::EndpointFailure;
use crate::figure::Reading;
use crate::id::{CallId, InteractionId, Name, Sequence, UnixMillis};
use crate::live::{Attention, Offer, OfferId, QueuePosition, Wants};
use crate::login::{Connection, Pending};
use crate::statistic::Mark;

/// What one accepted command did: a row of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number.
    pub sequence: Sequence,
    /// When.
    pub at: UnixMillis,
    /// In order.
    pub events: Vec<Event>,
}

/// Something that happened to one account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// An interaction came, from a client or as a copy of another.
    Submitted {
        /// Which.
        id: InteractionId,
        /// Its medium.
        media_type: Name,
        /// Its priority.
        priority: u16,
        /// How often it was forwarded before.
        hops: u8,
        /// The interaction that it is a copy of.
        copy_of: Option<InteractionId>,
    },
    /// It entered an element, from the one before by an outcome.
    Entered {
        /// Which.
        id: InteractionId,
        /// The outcome that it came by; none at the start.
        by: Option<Name>,
        /// The element.
        element: Name,
        /// The element's index in this version.
        index: u16,
        /// Why, where the reason is not the strategy's own.
        why: Option<String>,
    },
    /// It entered a workflow: its own at the beginning, or a sub-workflow.
    WorkflowEntered {
        /// Which.
        id: InteractionId,
        /// The workflow.
        workflow: Name,
        /// Its version.
        version: u32,
        /// Index of its start element.
        start: u16,
    },
    /// A sub-workflow ended; it is back in the one that called.
    WorkflowLeft {
        /// Which.
        id: InteractionId,
        /// The outcome.
        outcome: Name,
    },
    /// It left every workflow: a redirect moved it out.
    WorkflowsLeft {
        /// Which.
        id: InteractionId,
    },
    /// A strategy is to be called.
    CallRequested {
        /// Which.
        id: InteractionId,
        /// The call.
        call: CallId,
        /// Which deployment answers it.
        deployment: Name,
        /// 1 the first time this interaction is at this element.
        visit: u32,
        /// 0, then one more with each retry.
        attempt: u8,
    },
    /// The strategy decided.
    Answered {
        /// Which.
        id: InteractionId,
        /// The call.
        call: CallId,
        /// The deployment that decided.
        deployment: Name,
        /// The connector.
        outcome: String,
        /// In its words.
        reason: String,
    },
    /// The strategy gave no decision.
    Failed {
        /// Which.
        id: InteractionId,
        /// The call.
        call: CallId,
        /// The deployment.
        deployment: Name,
        /// Why.
        failure: Failure,
    },
    /// An item of user data was set, or with an empty value removed.
    UserDataSet {
        /// Which.
        id: InteractionId,
        /// The item.
        key: String,
        /// Its value.
        value: String,
    },
    /// A category was found.
    Categorized {
        /// Which.
        id: InteractionId,
        /// The category.
        category: Category,
    },
    /// The language was found.
    LanguageSet {
        /// Which.
        id: InteractionId,
        /// BCP 47 tag.
        language: String,
    },
    /// The priority changed.
    PrioritySet {
        /// Which.
        id: InteractionId,
        /// 0 to 1000.
        priority: u16,
    },
    /// A skill is wanted.
    SkillRequired {
        /// Which.
        id: InteractionId,
        /// The skill.
        skill: Skill,
    },
    /// Who is to get it was set, or with none used up.
    TargetSet {
        /// Which.
        id: InteractionId,
        /// Who.
        target: Option<Target>,
    },
    /// It was forwarded or redirected.
    Hopped {
        /// Which.
        id: InteractionId,
        /// Where to.
        to: String,
    },
    /// A message leaves the house.
    MessageQueued {
        /// The message.
        message: OutboxMessage,
        /// The webhooks that take it; without any it can only be read in the outbox.
        webhooks: Vec<Name>,
    },
    /// It waits for a time.
    Waiting {
        /// Which.
        id: InteractionId,
        /// Until when.
        until: UnixMillis,
    },
    /// It waits in a queue.
    Queued {
        /// Which.
        id: InteractionId,
        /// Its place.
        position: Box<QueuePosition>,
    },
    /// Somebody took it out of its queue by hand, or from whoever had it.
    Taken {
        /// Which.
        id: InteractionId,
        /// The queue that it is in, or was taken out of.
        queue: Name,
        /// Who.
        by: String,
    },
    /// It went back to its place in the queue.
    Released {
        /// Which.
        id: InteractionId,
        /// Who put it back.
        by: String,
    },
    /// The work on it is done.
    WorkDone {
        /// Which.
        id: InteractionId,
        /// Disposition code.
        disposition: String,
        /// Who.
        by: String,
        /// The agent who had it.
        agent: Option<Name>,
    },
    /// It ended at the end of its workflow, or by a strategy's action.
    Completed {
        /// Which.
        id: InteractionId,
        /// How.
        disposition: String,
    },
    /// It was cancelled.
    Cancelled {
        /// Which.
        id: InteractionId,
        /// In words.
        reason: String,
        /// Who.
        by: String,
    },
    /// It cannot go on until an operator resumes it.
    Parked {
        /// Which.
        id: InteractionId,
        /// Why.
        park: Park,
    },
    /// An operator resumed it at an element of a version.
    Resumed {
        /// Which.
        id: InteractionId,
        /// Who.
        by: String,
        /// The version that it goes on in.
        version: u32,
    },
    /// A document was put.
    DocumentPut {
        /// The document; secrets of tokens are hashes.
        #[serde(with = "as_json")]
        document: Document,
        /// Who.
        by: String,
    },
    /// A document was taken away.
    DocumentRemoved {
        /// Which.
        key: DocumentKey,
        /// Who.
        by: String,
    },
    /// An attempt to deliver a message failed or succeeded.
    DeliveryChanged {
        /// Which.
        delivery: DeliveryKey,
        /// What it is now.
        state: Delivery,
    },
    /// It has waited so long that others may get it too.
    Relaxed {
        /// Which.
        id: InteractionId,
        /// Who gets it now.
        wants: Option<Box<Wants>>,
        /// Steps that have been taken.
        step: u8,
        /// When the next one is due.
        next: Option<UnixMillis>,
    },
    /// It is held out to an agent.
    Offered {
        /// Which.
        id: InteractionId,
        /// The offer.
        offer: Offer,
    },
    /// An offer ended.
    OfferEnded {
        /// Which.
        id: InteractionId,
        /// The offer.
        offer: OfferId,
        /// To whom it was.
        agent: Name,
        /// How.
        how: OfferEnd,
        /// The command by which the agent had become ready.
        ready_by: Sequence,
    },
    /// An agent has it: by an offer that it accepted, by a transfer, or because a supervisor gave it.
    Assigned {
        /// Which.
        id: InteractionId,
        /// The agent.
        agent: Name,
        /// The offer.
        offer: Option<OfferId>,
        /// When it goes back to its queue if the agent does nothing.
        idle_until: Option<UnixMillis>,
        /// Who did it.
        by: String,
    },
    /// The agent put it on hold, into its workbin, back to active, or did something about it.
    AttentionSet {
        /// Which.
        id: InteractionId,
        /// How it is now.
        attention: Attention,
        /// When it goes back to its queue if the agent does nothing.
        idle_until: Option<UnixMillis>,
        /// Who did it.
        by: String,
    },
    /// The contact is over; after-contact work began.
    WrapUpStarted {
        /// Which.
        id: InteractionId,
        /// The agent.
        agent: Name,
        /// Disposition code so far.
        disposition: String,
        /// When it ends by itself.
        until: UnixMillis,
    },
    /// The customer went away before anybody worked on it.
    Abandoned {
        /// Which.
        id: InteractionId,
        /// In words.
        reason: String,
        /// Who said so.
        by: String,
    },
    /// Somebody said something in it.
    Said {
        /// Which.
        id: InteractionId,
        /// Who.
        speaker: Speaker,
        /// Name of the token or the agent.
        by: String,
        /// What.
        text: String,
    },
    /// It was moved to another queue.
    Moved {
        /// Which.
        id: InteractionId,
        /// The queue.
        queue: Name,
        /// Who did it.
        by: String,
    },
    /// It waits for the moment that it is meant for, in no workflow.
    Scheduled {
        /// Which.
        id: InteractionId,
        /// When.
        until: UnixMillis,
        /// The workflow that it enters then.
        workflow: Name,
        /// Who said so.
        by: String,
    },
    /// The moment has come; it enters its workflow.
    Began {
        /// Which.
        id: InteractionId,
    },
    /// An agent logged in, not ready at first.
    AgentLoggedIn {
        /// Who.
        agent: Name,
        /// Where.
        place: Option<Name>,
        /// For which media types; empty for all.
        media_types: BTreeSet<Name>,
        /// Why it is not ready yet.
        reason: Name,
        /// How it is reached.
        connection: Connection,
        /// Who did it.
        by: String,
    },
    /// An agent logged out.
    AgentLoggedOut {
        /// Who.
        agent: Name,
        /// `requested`, `pending`, `replaced`, `removed` or `connection-lost`.
        reason: String,
        /// Who did it.
        by: String,
    },
    /// An agent wants work.
    AgentReady {
        /// Who.
        agent: Name,
        /// Who did it.
        by: String,
    },
    /// An agent wants no work.
    AgentNotReady {
        /// Who.
        agent: Name,
        /// Reason code; `no-answer` and `connection-lost` are the server's own.
        reason: Name,
        /// Who did it.
        by: String,
    },
    /// What an agent does once it has no more work was said, or taken back.
    AgentPending {
        /// Who.
        agent: Name,
        /// What.
        pending: Option<Pending>,
        /// Who did it.
        by: String,
    },
    /// An agent's session was opened or cut off.
    AgentConnection {
        /// Who.
        agent: Name,
        /// How it is reached now.
        connection: Connection,
    },
    /// An agent gets no offer for a while, after one that it did not accept or work that was put back.
    AgentRests {
        /// Who.
        agent: Name,
        /// Until when; none once it is over.
        until: Option<UnixMillis>,
    },
    /// An application outside is to be asked.
    EndpointCalled {
        /// Which.
        id: InteractionId,
        /// The call; the same in each attempt.
        call: CallId,
        /// Whom.
        endpoint: Name,
        /// 1 the first time this interaction is at this element.
        visit: u32,
        /// 0, then one more with each retry.
        attempt: u8,
    },
    /// An attempt to ask an application outside has ended.
    EndpointAnswered {
        /// Which.
        id: InteractionId,
        /// The call.
        call: CallId,
        /// Who.
        endpoint: Name,
        /// Which attempt.
        attempt: u8,
        /// HTTP status code, where it answered with one.
        status: Option<u16>,
        /// Why its answer cannot be used; none where it can.
        failure: Option<EndpointFailure>,
        /// When it is asked again.
        retry_at: Option<UnixMillis>,
    },
    /// It was booked as a callback.
    CallbackBooked {
        /// Which.
        id: InteractionId,
        /// The rules.
        rules: Name,
        /// Whom to call.
        number: String,
        /// The moment that was booked; none for as soon as possible.
        at: Option<UnixMillis>,
    },
    /// A callback was booked for another moment.
    CallbackRescheduled {
        /// Which.
        id: InteractionId,
        /// The moment; none for as soon as possible.
        at: Option<UnixMillis>,
        /// Who said so.
        by: String,
    },
    /// An attempt to call somebody back has ended.
    CallbackAttempted {
        /// Which.
        id: InteractionId,
        /// The how-manieth, from 1 on.
        attempt: u8,
        /// What came of it.
        outcome: AttemptOutcome,
        /// The agent who called.
        agent: Option<Name>,
        /// When the next one is made.
        next_at: Option<UnixMillis>,
        /// Who said so.
        by: String,
    },
    /// What statistics' filters find in it has changed.
    Marked {
        /// Which.
        id: InteractionId,
        /// In order.
        marks: Vec<Mark>,
    },
    /// A condition read figures of the stat server, and decided by them.
    StatisticsRead {
        /// Which.
        id: InteractionId,
        /// What it was told.
        readings: Vec<Reading>,
    },
    /// It is to be handed on: one after the other is asked.
    TransferBegan {
        /// Which.
        id: InteractionId,
        /// To whom.
        to: Target,
        /// Nobody else is asked from then on.
        until: UnixMillis,
        /// Who did it.
        by: String,
    },
    /// Nobody took it over: whoever has it keeps it.
    TransferFailed {
        /// Which.
        id: InteractionId,
        /// The agent who has it; none where it was taken by hand.
        agent: Option<Name>,
    },
    /// The customer closed it while somebody worked on it.
    Closed {
        /// Which.
        id: InteractionId,
        /// In words.
        reason: String,
        /// Who said so.
        by: String,
    },
    /// Its queue has another target, choice or number of offers while it waits there.
    Retargeted {
        /// Which.
        id: InteractionId,
        /// Who gets it now.
        wants: Option<Box<Wants>>,
    },
}

/// How an offer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OfferEnd {
    /// The agent took it.
    Accepted,
    /// The agent said no.
    Declined {
        /// In its words.
        reason: String,
    },
    /// The agent did not answer in time.
    Expired,
    /// It was taken back.
    Revoked {
        /// `accepted-by-another`, `not-ready`, `logged-out`, `timeout`, `moved`, `taken`, `completed`,
        /// `transfer-ended`, `rescheduled` or `parked`.
        reason: String,
    },
    /// The customer cancelled or went away.
    CustomerGone,
    /// The agent's connection is gone.
    DeliveryFailed,
}

impl OfferEnd {
    /// As in the API.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Declined { .. } => "declined",
            Self::Expired => "expired",
            Self::Revoked { .. } => "revoked",
            Self::CustomerGone => "customer-gone",
            Self::DeliveryFailed => "delivery-failed",
        }
    }
}

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Speaker {
    /// The customer, through a client.
    Customer,
    /// The agent.
    Agent,
}

impl Event {
    /// The agent that it happened to, or whose work it is about; of an interaction that was assigned before, whoever had
    /// it is not in the event.
    #[must_use]
    pub fn agent(&self) -> Option<&Name> {
        match self {
            Self::Offered { offer, .. } => Some(&offer.agent),
            Self::OfferEnded { agent, .. }
            | Self::Assigned { agent, .. }
            | Self::WrapUpStarted { agent, .. }
            | Self::AgentLoggedIn { agent, .. }
            | Self::AgentLoggedOut { agent, .. }
            | Self::AgentReady { agent, .. }
            | Self::AgentNotReady { agent, .. }
            | Self::AgentPending { agent, .. }
            | Self::AgentConnection { agent, .. }
            | Self::AgentRests { agent, .. } => Some(agent),
            Self::TransferFailed { agent, .. } => agent.as_ref(),
            _ => None,
        }
    }

    /// The interaction that it happened to.
    #[must_use]
    pub fn interaction(&self) -> Option<InteractionId> {
        match self {
            Self::Submitted { id, .. }
            | Self::Entered { id, .. }
            | Self::WorkflowEntered { id, .. }
            | Self::WorkflowLeft { id, .. }
            | Self::WorkflowsLeft { id }
            | Self::CallRequested { id, .. }
            | Self::Answered { id, .. }
            | Self::Failed { id, .. }
            | Self::UserDataSet { id, .. }
            | Self::Categorized { id, .. }
            | Self::LanguageSet { id, .. }
            | Self::PrioritySet { id, .. }
            | Self::SkillRequired { id, .. }
            | Self::TargetSet { id, .. }
            | Self::Hopped { id, .. }
            | Self::Waiting { id, .. }
            | Self::Queued { id, .. }
            | Self::Taken { id, .. }
            | Self::Released { id, .. }
            | Self::WorkDone { id, .. }
            | Self::Completed { id, .. }
            | Self::Cancelled { id, .. }
            | Self::Parked { id, .. }
            | Self::Resumed { id, .. }
            | Self::Relaxed { id, .. }
            | Self::Offered { id, .. }
            | Self::OfferEnded { id, .. }
            | Self::Assigned { id, .. }
            | Self::AttentionSet { id, .. }
            | Self::WrapUpStarted { id, .. }
            | Self::Abandoned { id, .. }
            | Self::Said { id, .. }
            | Self::Moved { id, .. }
            | Self::Scheduled { id, .. }
            | Self::EndpointCalled { id, .. }
            | Self::EndpointAnswered { id, .. }
            | Self::CallbackBooked { id, .. }
            | Self::CallbackRescheduled { id, .. }
            | Self::CallbackAttempted { id, .. }
            | Self::Marked { id, .. }
            | Self::StatisticsRead { id, .. }
            | Self::TransferBegan { id, .. }
            | Self::TransferFailed { id, .. }
            | Self::Closed { id, .. }
            | Self::Retargeted { id, .. }
            | Self::Began { id } => Some(*id),
            Self::MessageQueued { message, .. } => message.interaction,
            Self::DocumentPut { .. }
            | Self::DocumentRemoved { .. }
            | Self::DeliveryChanged { .. }
            | Self::AgentLoggedIn { .. }
            | Self::AgentLoggedOut { .. }
            | Self::AgentReady { .. }
            | Self::AgentNotReady { .. }
            | Self::AgentPending { .. }
            | Self::AgentConnection { .. }
            | Self::AgentRests { .. } => None,
        }
    }

    /// The name under which others are told of it: in the timeline, and as the type of a CloudEvent.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Submitted { .. } => "interaction.submitted",
            Self::Entered { .. } => "interaction.entered",
            Self::WorkflowEntered { .. } => "interaction.workflow-entered",
            Self::WorkflowLeft { .. } | Self::WorkflowsLeft { .. } => "interaction.workflow-left",
            Self::CallRequested { .. } => "strategy.called",
            Self::Answered { .. } => "strategy.answered",
            Self::Failed { .. } => "strategy.failed",
            Self::UserDataSet { .. } => "interaction.user-data-set",
            Self::Categorized { .. } => "interaction.categorized",
            Self::LanguageSet { .. } => "interaction.language-set",
            Self::PrioritySet { .. } => "interaction.priority-set",
            Self::SkillRequired { .. } => "interaction.skill-required",
            Self::TargetSet { .. } => "interaction.target-set",
            Self::Hopped { .. } => "interaction.hopped",
            Self::MessageQueued { .. } => "message.queued",
            Self::Waiting { .. } => "interaction.waiting",
            Self::Queued { .. } => "interaction.queued",
            Self::Taken { .. } => "interaction.assigned",
            Self::Released { .. } => "interaction.released",
            Self::WorkDone { .. } => "interaction.work-done",
            Self::Completed { .. } => "interaction.completed",
            Self::Cancelled { .. } => "interaction.cancelled",
            Self::Parked { .. } => "interaction.parked",
            Self::Resumed { .. } => "interaction.resumed",
            Self::DocumentPut { .. } => "document.put",
            Self::DocumentRemoved { .. } => "document.removed",
            Self::DeliveryChanged { .. } => "delivery.changed",
            Self::Relaxed { .. } => "interaction.relaxed",
            Self::Offered { .. } => "offer.made",
            Self::OfferEnded { .. } => "offer.ended",
            Self::Assigned { .. } => "interaction.assigned",
            Self::AttentionSet { .. } => "interaction.attention-set",
            Self::WrapUpStarted { .. } => "interaction.wrap-up-started",
            Self::Abandoned { .. } => "interaction.abandoned",
            Self::Said { .. } => "interaction.said",
            Self::Moved { .. } => "interaction.moved",
            Self::Scheduled { .. } => "interaction.scheduled",
            Self::Began { .. } => "interaction.began",
            Self::AgentLoggedIn { .. } => "agent.logged-in",
            Self::AgentLoggedOut { .. } => "agent.logged-out",
            Self::AgentReady { .. } => "agent.ready",
            Self::AgentNotReady { .. } => "agent.not-ready",
            Self::AgentPending { .. } => "agent.pending",
            Self::AgentConnection { .. } => "agent.connection",
            Self::AgentRests { .. } => "agent.rests",
            Self::EndpointCalled { .. } => "endpoint.called",
            Self::EndpointAnswered { .. } => "endpoint.answered",
            Self::CallbackBooked { .. } => "callback.booked",
            Self::CallbackRescheduled { .. } => "callback.rescheduled",
            Self::CallbackAttempted { .. } => "callback.attempted",
            Self::Marked { .. } => "interaction.marked",
            Self::StatisticsRead { .. } => "interaction.statistics-read",
            Self::TransferBegan { .. } => "interaction.transfer-began",
            Self::TransferFailed { .. } => "interaction.transfer-failed",
            Self::Closed { .. } => "interaction.closed",
            Self::Retargeted { .. } => "interaction.retargeted",
        }
    }
}

/// Why an interaction cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Park {
    /// Stable: `no-connector`, `strategy-unbound`, `strategy-failed`, `call-failed`, `action-failed`, `condition-failed`,
    /// `response-failed`, `forward-failed`, `queue-unknown`, `calendar-unknown`, `workflow-unknown`, `visits-exceeded`,
    /// `loop`, `content-lost`.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
}

/// What kind of message leaves the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// A receipt to the customer.
    Acknowledgement,
    /// An answer to the customer.
    Reply,
    /// An interaction, to an address outside.
    Forward,
    /// News of an event, to an application.
    Event,
}

/// A message that leaves the house. Never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxMessage {
    /// Its number within the account.
    pub id: u64,
    /// What it is.
    pub kind: MessageKind,
    /// CloudEvents type: `acknowledgement`, `reply`, `forward` or an event's name.
    pub topic: String,
    /// What it is about.
    pub interaction: Option<InteractionId>,
    /// Where it goes in place of the webhook's own address.
    pub url: Option<String>,
    /// JSON text: the CloudEvent's data.
    pub data: String,
}

/// One message on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeliveryKey {
    /// The message.
    pub message: u64,
    /// The webhook.
    pub webhook: Name,
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.message, self.webhook)
    }
}

impl FromStr for DeliveryKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (message, webhook) = text.split_once(':').ok_or("a delivery is named MESSAGE:WEBHOOK")?;
        Ok(Self {
            message: message.parse().map_err(|_| "a message is a number")?,
            webhook: Name::new(webhook).map_err(|_| "a webhook has a name")?,
        })
    }
}

/// How far a delivery is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts that have ended.
    pub attempts: u32,
    /// Why the last one failed.
    pub error: Option<String>,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// The next attempt is due then.
    Pending(UnixMillis),
    /// The webhook took it.
    Delivered,
    /// It failed too often, or too many were waiting; an operator can have it tried again.
    Parked,
    /// It was parked, and is never tried again: too many were parked after it, or its webhook was taken away. The message
    /// stays in the outbox.
    Discarded,
}

/// Documents are tagged and open-ended, which only a self-describing format can hold: in any format they stand as JSON.
mod as_json {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _, ser::Error as _};

    use crate::document::Document;

    pub fn serialize<S: Serializer>(document: &Document, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(document).map_err(S::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Document, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map_err(D::Error::custom)
    }
}
