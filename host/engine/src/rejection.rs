//! Why a well-formed command was refused. Nothing was written.

use crate::document::{DocumentKey, DocumentKind};
use crate::event::DeliveryKey;
use crate::id::{Digest, InteractionId, Name, UnixMillis};
use crate::live::OfferId;
use crate::validate::Fault;

/// Why a well-formed command was refused. Nothing was written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// No such interaction among those that have not ended.
    #[error("there is no live interaction {0}")]
    InteractionUnknown(InteractionId),
    /// The identifier is in use: make another.
    #[error("there is already an interaction {0}")]
    InteractionExists(InteractionId),
    /// No such workflow: put it first.
    #[error("there is no workflow `{0}`")]
    WorkflowUnknown(Name),
    /// No such element in the workflow.
    #[error("the workflow `{workflow}` has no element `{element}`")]
    ElementUnknown {
        /// The workflow.
        workflow: Name,
        /// The element.
        element: Name,
    },
    /// The element is no strategy element, so nothing can be bound to it.
    #[error("the element `{0}` is not a strategy element")]
    ElementNotStrategy(Name),
    /// No such queue.
    #[error("there is no queue `{0}`")]
    QueueUnknown(Name),
    /// Nothing waits there.
    #[error("nothing waits in the queue `{0}`")]
    QueueEmpty(Name),
    /// No such deployment.
    #[error("there is no deployment `{0}`")]
    DeploymentUnknown(Name),
    /// A deployment's name is never used for another.
    #[error("there is or was a deployment `{0}`")]
    DeploymentExists(Name),
    /// No signing key of the account vouches for the strategy version.
    #[error("no signing key of the account vouches for the strategy version {0}")]
    StrategyUnsigned(Digest),
    /// The interaction is in a state in which this can't be done.
    #[error("the interaction is {state}; this can be done only while it is {wanted}")]
    StateWrong {
        /// The state it is in.
        state: &'static str,
        /// The state it would have to be in.
        wanted: &'static str,
    },
    /// Somebody else took the interaction: only they, or who may act for anyone, can release or complete it.
    #[error("the interaction is assigned to `{0}`")]
    AssignedToAnother(String),
    /// Nobody waits for this answer any more: the call was answered, or its interaction has gone on.
    #[error("this answer is not awaited")]
    NotAwaited,
    /// The timer is not due.
    #[error("the timer is not due")]
    NotDue,
    /// No such pending delivery.
    #[error("there is no delivery {0} in that state")]
    DeliveryUnknown(DeliveryKey),
    /// A field of the command breaks a rule.
    #[error("{field}: {message}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// The rule, and what to do.
        message: String,
    },
    /// A gate keeps a new deployment out of a binding: no replay says that it may come in.
    #[error(
        "the gate keeps `{deployment}` out: {why} (the gate that stands counts, also for the binding that takes it away)"
    )]
    GateShut {
        /// Which field names the deployment.
        field: &'static str,
        /// The deployment.
        deployment: Name,
        /// What its replays say, or that there is none.
        why: String,
    },
    /// The workflow has faults; all of them.
    #[error("the workflow has {} fault(s)", .0.len())]
    WorkflowFaulty(Vec<Fault>),
    /// A deployment can answer an outcome that the workflow has no connector for.
    #[error(
        "`{deployment}` can answer `{outcome}`, for which `{element}` in `{workflow}` has neither a connector nor `default`"
    )]
    OutcomeUnconnected {
        /// The deployment, or "on_failure".
        deployment: String,
        /// The outcome.
        outcome: String,
        /// The workflow.
        workflow: Name,
        /// The element.
        element: Name,
    },
    /// Another binding stands by now: read it, and decide again.
    #[error("the binding of `{element}` in `{workflow}` has just changed")]
    BindingChanged {
        /// The workflow.
        workflow: Name,
        /// The element.
        element: Name,
    },
    /// There is nothing to go back to: put the binding that is wanted.
    #[error("nothing stood at `{element}` in `{workflow}` before")]
    BindingWithoutPast {
        /// The workflow.
        workflow: Name,
        /// The element.
        element: Name,
    },
    /// No such document.
    #[error("there is no such {}", kind_word(.0.kind))]
    DocumentUnknown(DocumentKey),
    /// No such agent.
    #[error("there is no agent `{0}`")]
    AgentUnknown(Name),
    /// No such place.
    #[error("there is no place `{0}`")]
    PlaceUnknown(Name),
    /// No such skill.
    #[error("there is no skill `{0}`")]
    SkillUnknown(Name),
    /// No such group.
    #[error("there is no group `{0}`")]
    GroupUnknown(Name),
    /// The reason code is not among the account's.
    #[error("`{0}` is not among the account's reason codes")]
    ReasonUnknown(Name),
    /// The disposition code is not among the account's.
    #[error("`{0}` is not among the account's disposition codes")]
    DispositionUnknown(String),
    /// The agent is logged in, and the account refuses a second login.
    #[error("the agent `{0}` is logged in already")]
    AgentLoggedIn(Name),
    /// The agent is not logged in.
    #[error("the agent `{0}` is not logged in")]
    AgentLoggedOut(Name),
    /// The agent has work.
    #[error("the agent `{0}` has work: complete it, or log out after it")]
    AgentBusy(Name),
    /// The agent's session is cut off.
    #[error("the session of the agent `{0}` is cut off: open one first")]
    AgentUnreachable(Name),
    /// The agent has as much as its capacity allows.
    #[error("the agent `{0}` has as much as its capacity allows")]
    CapacityExceeded(Name),
    /// Nobody whom it could be transferred to takes offers now.
    #[error("nobody whom it could go to takes offers now")]
    NobodyAvailable,
    /// The offer is not open: it was accepted, declined, revoked, or has expired.
    #[error("the offer {} of {interaction} has ended", .offer.0)]
    OfferEnded {
        /// Of which interaction.
        interaction: InteractionId,
        /// Which offer.
        offer: OfferId,
    },
    /// No such callback rules.
    #[error("there are no callback rules `{0}`")]
    CallbackRulesUnknown(Name),
    /// The number has a callback by these rules already: reschedule or cancel that one.
    #[error("this number has a callback already: {0}")]
    CallbackExists(InteractionId),
    /// The interaction was not booked as a callback.
    #[error("the interaction {0} is no callback")]
    NotCallback(InteractionId),
    /// The moment is in no slot that is offered now.
    #[error("this time is not offered: {0}")]
    SlotUnknown(&'static str),
    /// The slot has as many callbacks as it takes.
    #[error("the slot that begins at {} has as many callbacks as it takes", .0.0)]
    SlotFull(UnixMillis),
    /// The document is needed by another, or by a live interaction.
    #[error("still in use: {0}")]
    DocumentInUse(String),
    /// Strategy calls wait in too great a number: try again in a moment.
    #[error("{0} strategy calls are waiting; try again in a moment")]
    Busy(usize),
    /// The account holds as much as it may.
    #[error("the account holds {limit} {what}, which is its limit")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many.
        limit: usize,
    },
}

impl Rejection {
    /// Stable code, as in the API's errors.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InteractionUnknown(_) => "interaction-unknown",
            Self::InteractionExists(_) => "interaction-exists",
            Self::WorkflowUnknown(_) => "workflow-unknown",
            Self::ElementUnknown { .. } => "element-unknown",
            Self::ElementNotStrategy(_) => "element-not-strategy",
            Self::QueueUnknown(_) => "queue-unknown",
            Self::QueueEmpty(_) => "queue-empty",
            Self::DeploymentUnknown(_) => "deployment-unknown",
            Self::DeploymentExists(_) => "deployment-exists",
            Self::BindingChanged { .. } => "binding-changed",
            Self::BindingWithoutPast { .. } => "binding-has-no-past",
            Self::StrategyUnsigned(_) => "strategy-unsigned",
            Self::StateWrong { .. } => "state-wrong",
            Self::AssignedToAnother(_) => "assigned-to-another",
            Self::NotAwaited => "not-awaited",
            Self::NotDue => "not-due",
            Self::DeliveryUnknown(_) => "delivery-unknown",
            Self::Invalid { .. } => "invalid",
            Self::GateShut { .. } => "gate-shut",
            Self::WorkflowFaulty(_) => "workflow-faulty",
            Self::OutcomeUnconnected { .. } => "outcome-unconnected",
            Self::DocumentUnknown(_) => "document-unknown",
            Self::AgentUnknown(_) => "agent-unknown",
            Self::PlaceUnknown(_) => "place-unknown",
            Self::SkillUnknown(_) => "skill-unknown",
            Self::GroupUnknown(_) => "group-unknown",
            Self::ReasonUnknown(_) => "reason-unknown",
            Self::DispositionUnknown(_) => "disposition-unknown",
            Self::AgentLoggedIn(_) => "agent-logged-in",
            Self::AgentLoggedOut(_) => "agent-logged-out",
            Self::AgentBusy(_) => "agent-busy",
            Self::AgentUnreachable(_) => "agent-unreachable",
            Self::CapacityExceeded(_) => "capacity-exceeded",
            Self::NobodyAvailable => "nobody-available",
            Self::OfferEnded { .. } => "offer-ended",
            Self::CallbackRulesUnknown(_) => "callback-rules-unknown",
            Self::CallbackExists(_) => "callback-exists",
            Self::NotCallback(_) => "not-callback",
            Self::SlotUnknown(_) => "slot-unknown",
            Self::SlotFull(_) => "slot-full",
            Self::DocumentInUse(_) => "document-in-use",
            Self::Busy(_) => "busy",
            Self::Full { .. } => "full",
        }
    }
}

fn kind_word(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Upload => "upload",
        DocumentKind::Workflow => "workflow",
        DocumentKind::Deployment => "deployment",
        DocumentKind::Binding => "binding",
        DocumentKind::Queue => "queue",
        DocumentKind::Calendar => "calendar",
        DocumentKind::Response => "standard response",
        DocumentKind::Token => "token",
        DocumentKind::Webhook => "webhook",
        DocumentKind::Table => "table",
        DocumentKind::Skill => "skill",
        DocumentKind::Agent => "agent",
        DocumentKind::Place => "place",
        DocumentKind::AgentGroup => "agent group",
        DocumentKind::PlaceGroup => "place group",
        DocumentKind::AgentRules => "set of rules",
        DocumentKind::Endpoint => "endpoint",
        DocumentKind::CallbackRules => "set of callback rules",
        DocumentKind::Statistic => "statistic",
        DocumentKind::Replay => "replay",
        DocumentKind::SigningKey => "signing key",
    }
}
