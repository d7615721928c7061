//! Decides what one command does to one account of Signalbox.
//!
//! Sans-IO: no clock, randomness, files, sockets, threads or async; time and content arrive as arguments. The manifest
//! holds no crate that could do any of it, and `clippy.toml` beside it bans the standard library's own.
//!
//! - [`decide`] reads an [`Account`] and answers with events or a [`Rejection`]. It changes nothing.
//! - [`Account::apply`] is the only code that changes state. It is total: an event that was decided can be applied.
//!
//! Invariant: applying the events of every accepted command, in order, gives the state that is stored.

mod account;
mod actions;
mod again;
mod agents;
mod binding;
mod calendar;
mod callbacks;
mod canary;
mod capacity;
mod command;
mod condition;
mod configuration;
mod content;
mod decide;
mod decision;
mod document;
mod documents;
mod endpoint;
mod event;
mod figure;
mod id;
mod live;
mod login;
mod matching;
mod observe;
mod outgoing;
mod rank;
mod rejection;
mod replay;
mod response;
mod scope;
mod segment;
mod skill_expression;
mod slots;
mod staff;
mod staffing;
mod statistic;
mod topic;
mod transcript;
mod validate;
mod walk;
mod workflow;

pub use account::Account;
pub use binding::{Binding, EarlierBinding, OnFailure, Share};
pub use calendar::{
    Calendar, CalendarError, ClockReading, Exception, ExceptionHours, Hours, MomentError, Opening, TimeOfDay, Weekday,
};
pub use callbacks::{AttemptOutcome, Callback, CallbackRules, number};
pub use canary::{Canary, CanaryFigures, CanaryStep, Fraction, Guards, Served, Verdict};
pub use capacity::{CapacityRule, CapacityRuleError};
pub use command::{AgentAction, Answer, Command, OfferAnswer, Submission};
pub use condition::{Condition, ConditionError};
pub use configuration::Configuration;
pub use content::{Category, Content, Entry, Facts, Message, Skill};
pub use decide::{Decided, decide, reads};
pub use decision::{Action, AssetNeed, Decision, Destination, Failure, Manifest, Outcome, Reply, Request, Target};
pub use document::{
    Deployment, Document, DocumentKey, DocumentKind, Queue, Role, Signer, SigningKey, Table, Token, Upload, Webhook,
};
pub use endpoint::{CallField, CallRequest, Endpoint, EndpointFailure, EndpointReply, EndpointRequest};
pub use event::{
    Delivery, DeliveryKey, DeliveryState, Event, MessageKind, OfferEnd, OutboxMessage, Park, Record, Speaker,
};
pub use figure::{FigureName, Figures, NoFigures, OWN, Reading};
pub use id::{CallId, Digest, InteractionId, Name, NameError, Sequence, UnixMillis};
pub use live::{
    Assignment, Attention, Ended, Frame, Live, Offer, OfferId, QueuePosition, Refusal, State, StateKind, Transfer,
    Visit, Wants, WrapUp,
};
pub use login::{Connection, Login, Pending, Readiness};
pub use matching::{Due, Work};
pub use observe::{AgentStand, Fact, Move, Observed, Observing, Standing, Subject, begin, census};
pub use rejection::Rejection;
pub use replay::{CallTimes, Change, DecisionBrief, Difference, Example, Gate, ReplayReport, as_it_was};
pub use response::{Rendered, Response, ResponseText};
pub use scope::Scope;
pub use segment::{Case, Segment, Slice};
pub use skill_expression::{SkillExpression, SkillExpressionError};
pub use slots::{Slot, SlotSettings, SlotSettingsError, slot_at, slots};
pub use staff::{Agent, AgentChoice, AgentGroup, AgentRules, Place, PlaceGroup, SecondLogin, SkillType};
pub use statistic::{
    AgentState, Aggregate, Filter, Happening, Mark, Measure, ObjectKind, Profile, Reset, Span, StatObject, Statistic,
};
pub use topic::TOPICS;
pub use transcript::{Said, Transcript};
pub use validate::{Fault, validate};
pub use workflow::{Connector, Element, ElementKind, Flow, Relaxation, Workflow};

/// Bounds that the engine holds commands, documents and strategies' answers to.
pub mod limits {
    /// Interactions of one account that have not ended. Bounds the lane's memory: about 400 bytes each.
    pub const LIVE_MAX: usize = 5_000_000;
    /// Strategy calls of one account that wait for their turn; a submit beyond is refused as busy.
    pub const CALLS_WAITING_MAX: usize = 20_000;
    /// Actions in one decision.
    pub const ACTIONS_MAX: usize = 64;
    /// Bytes of a decision's reason; a longer one is cut.
    pub const REASON_BYTES_MAX: usize = 4 * 1024;
    /// Bytes of a text reply.
    pub const REPLY_BYTES_MAX: usize = 64 * 1024;
    /// Bytes of a key of user data, a category's or a skill's name, a disposition code.
    pub const KEY_BYTES_MAX: usize = 128;
    /// Bytes of a value of user data.
    pub const VALUE_BYTES_MAX: usize = 8 * 1024;
    /// Items of user data, and also categories, of one interaction.
    pub const ENTRIES_MAX: usize = 256;
    /// Highest priority.
    pub const PRIORITY_MAX: u16 = 1000;
    /// How often one interaction may be forwarded or redirected.
    pub const HOPS_MAX: u8 = 16;
    /// How deep sub-workflows may nest.
    pub const DEPTH_MAX: usize = 8;
    /// How often one interaction may enter one element; beyond, it is parked.
    pub const VISITS_MAX: u32 = 1000;
    /// Elements walked in one step, so that no document can hold the lane.
    pub const WALK_MAX: usize = 512;
    /// Steps of all conditions of one walk, of about 50 ns each. At least as many as one condition may have.
    pub const WALK_STEPS_MAX: u64 = 2_000_000;
    /// Elements of one workflow.
    pub const ELEMENTS_MAX: usize = 500;
    /// Connectors of one workflow.
    pub const CONNECTORS_MAX: usize = 4000;
    /// Attempts to deliver one message to one webhook before it is parked.
    pub const ATTEMPTS_MAX: u32 = 12;
    /// Pending deliveries to one webhook, about 150 bytes each. Beyond, a message to it is parked at once.
    pub const DELIVERIES_MAX: usize = 200_000;
    /// Parked deliveries to one webhook. Beyond, the oldest are discarded.
    pub const PARKED_MAX: usize = 10_000;
    /// Versions of one workflow; the oldest that nothing is in makes room.
    pub const VERSIONS_MAX: usize = 100;
    /// Documents of one kind in one account.
    pub const DOCUMENTS_MAX: usize = 10_000;
    /// Media types that an agent names at login.
    pub const MEDIA_TYPES_MAX: usize = 64;
    /// Highest level of a skill.
    pub const SKILL_LEVEL_MAX: u8 = 10;
    /// Steps of a queue element's relaxations.
    pub const RELAXATIONS_MAX: usize = 16;
    /// Agents whom one interaction is offered to at the same time.
    pub const OFFERS_MAX: u8 = 16;
    /// How long a transfer goes on asking: whom it is held out to last may answer after that.
    pub const TRANSFER_MS_MAX: u64 = 60_000;
    /// How far ahead an interaction can be scheduled: 366 days.
    pub const SCHEDULE_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;
    /// How often an application outside is asked again.
    pub const CALL_RETRIES_MAX: u8 = 5;
    /// Bytes of an answer of an application outside.
    pub const RESPONSE_BYTES_MAX: u64 = 1024 * 1024;
    /// Texts of one interaction that are kept as its transcript; the oldest give way.
    pub const TRANSCRIPT_MAX: usize = 500;
    /// Bytes of those texts.
    pub const TRANSCRIPT_BYTES_MAX: usize = 256 * 1024;
    /// Statistics of one account.
    pub const STATISTICS_MAX: usize = 20_000;
    /// Different conditions in the filters of an account's statistics: the lane asks them all.
    pub const STATISTIC_CONDITIONS_MAX: usize = 64;
    /// Statistics of one object: what happens to it touches them all.
    pub const STATISTICS_OF_ONE_MAX: usize = 1000;
    /// Numbers that an account's statistics may have to keep, of 8 bytes each.
    pub const STATISTIC_NUMBERS_MAX: u64 = 32_000_000;
    /// Keys that strategy versions are signed with: each is tried on an upload.
    pub const SIGNING_KEYS_MAX: usize = 16;
    /// Reports of replays that are kept.
    pub const REPLAYS_MAX: usize = 200;
    /// Calls that one instance of a strategy may answer: what it leaks, it leaks so often.
    pub const WARM_CALLS_MAX: u32 = 10_000;
    /// Deployments that are asked without effect, of one binding.
    pub const SHADOWS_MAX: usize = 4;
    /// What is kept of a binding's past.
    pub const EARLIER_BINDINGS_MAX: usize = 40;
    /// Steps of a canary.
    pub const CANARY_STEPS_MAX: usize = 20;
    /// How long a step of a canary may be told to take: 30 days.
    pub const CANARY_STEP_S_MAX: u64 = 30 * 24 * 60 * 60;
    /// Steps of a sliding window.
    pub const STATISTIC_STEPS_MAX: u64 = 1440;
    /// Bounds of a distribution.
    pub const STATISTIC_BOUNDS_MAX: usize = 32;
    /// What a selection holds.
    pub const STATISTIC_SELECTION_MAX: u32 = 1000;
    /// Figures that one condition reads.
    pub const FIGURES_MAX: usize = 16;
    /// Names of deleted deployments that are kept, so that none is used again: about 100 bytes each.
    pub const RETIRED_MAX: usize = 100_000;
    /// Entries of one table.
    pub const TABLE_ENTRIES_MAX: usize = 100_000;
}
