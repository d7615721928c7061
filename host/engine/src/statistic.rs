//! What a statistic is: an object, a measure, a time profile and a filter, by name.
//!
//! A definition only, with its formula and where that comes from. The figures are folded elsewhere, from what
//! `observe.rs` makes of each record.
//!
//! Invariant: a definition that was put fits together: its object has such a measure, and its profile and filter have a
//! meaning for it.

mod asked;
mod check;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::calendar::{TimeOfDay, ZONES};
use crate::id::{Name, UnixMillis};
use crate::live::StateKind;
use crate::segment::hash;

pub use asked::Asked;
pub(crate) use check::check;

/// A statistic as it is defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Statistic {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it is about.
    pub object: StatObject,
    /// What is measured.
    pub measure: Measure,
    /// Over which time. Left out: a measure of how things stand now has none, any other grows from when it was defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Which interactions count.
    #[serde(default, skip_serializing_if = "Filter::is_empty")]
    pub filter: Filter,
}

/// What a statistic is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatObject {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its name; left out for the account alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub name: Option<Name>,
    /// The workflow that an element is in; for elements alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub workflow: Option<Name>,
}

/// Kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// An agent.
    Agent,
    /// Those who are in the group when something happens.
    AgentGroup,
    /// Whoever is logged in there.
    Place,
    /// Whoever is logged in at one of its places.
    PlaceGroup,
    /// A queue.
    Queue,
    /// All interactions of a medium.
    MediaType,
    /// All interactions that are in the workflow, at any depth.
    Workflow,
    /// All interactions that stand at an element of a workflow.
    Element,
    /// A deployment of a strategy.
    Strategy,
    /// Everything.
    Account,
}

/// What is measured. Times are in seconds, shares in percent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Measure {
    /// How many interactions there are now; of agents, places and groups those that they have in hand.
    InteractionsNow {
        /// In this state; left out: in any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<StateKind>,
    },
    /// How long the interactions that are in a state now have been in it. In a queue, from when they came into it.
    InteractionsNowTime {
        /// The state.
        state: StateKind,
        /// What of these times.
        value: Aggregate,
    },
    /// How many agents are in a state now.
    AgentsNow {
        /// The state.
        state: AgentState,
        /// Only those who are not ready for this reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        reason: Option<Name>,
    },
    /// How long the agents who are in a state now have been in it.
    AgentsNowTime {
        /// The state.
        state: AgentState,
        /// Only those who are not ready for this reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        reason: Option<Name>,
        /// What of these times.
        value: Aggregate,
    },
    /// How often something happened.
    Number {
        /// What.
        of: Happening,
        /// Only with this outcome: of a strategy's answer or an element, the failure's code, the reason of a revocation,
        /// or the disposition code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outcome: Option<String>,
    },
    /// How long something took, of what ended in the profile's time.
    Time {
        /// What.
        of: Span,
        /// What of these times.
        value: Aggregate,
    },
    /// How long agents were in a state. The total has the part of each stay that lies in the profile's time, the stays
    /// that go on included; the others are of the stays that ended in it.
    AgentTime {
        /// The state.
        state: AgentState,
        /// Only while not ready for this reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        reason: Option<Name>,
        /// What of these times.
        value: Aggregate,
    },
    /// `100 * answered_within / (answered + abandoned - abandoned_within)`: the service level of contact-centre practice
    /// (COPC, Genesys' service factor), over what was answered or abandoned in the profile's time.
    ServiceFactor {
        /// An answer that took at most so long counts as good.
        answered_within_ms: u64,
        /// What was abandoned within so long does not count at all. Left out: whatever was abandoned counts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        abandoned_within_ms: Option<u64>,
    },
    /// Estimated wait of whoever comes next, by Little's law `W = L / λ` (J. D. C. Little, 1961): how many wait or are
    /// offered now, by how many have left the queue in each second of the profile's time. None while nobody has left.
    EstimatedWait,
    /// `100 * (busy + wrap-up) / (busy + wrap-up + ready)` of the time that agents spent in these states (COPC).
    Occupancy,
    /// The share of their capacity that the agents who are logged in use now, on average.
    Load,
    /// Offered traffic in erlangs, `A = λ * h` (A. K. Erlang, 1917): how many came into the queue, or for agents were
    /// given to them, in each second of the profile's time, by the average time of work and wrap-up.
    Traffic,
    /// How many times of something were at most as long as each bound, and longer than the one before.
    Distribution {
        /// Of what.
        of: Span,
        /// Ascending; what is longer than the last is counted apart.
        bounds_ms: Vec<u64>,
    },
}

/// What of several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// Their sum.
    Total,
    /// Their mean; none where there are none.
    Average,
    /// The shortest; none where there are none.
    Min,
    /// The longest; none where there are none.
    Max,
}

/// What an agent is doing.
///
/// - `logged-in`: Any of the others.
/// - `not-ready`: It wants no work, and has none.
/// - `ready`: It waits for work.
/// - `busy`: It has an interaction in hand, its workbin aside.
/// - `wrap-up`: It does after-contact work, and has nothing else in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgentState {
    /// Any of the others.
    LoggedIn,
    /// It wants no work, and has none.
    NotReady,
    /// It waits for work.
    Ready,
    /// It has an interaction in hand, its workbin aside.
    Busy,
    /// It does after-contact work, and has nothing else in hand.
    WrapUp,
}

/// What can happen to an interaction.
///
/// - `submitted`: It came.
/// - `ended`: It ended: completed, cancelled or abandoned.
/// - `completed`: It ended well.
/// - `cancelled`: It was cancelled.
/// - `abandoned`: The customer went away before anybody worked on it.
/// - `parked`: It could not go on.
/// - `workflow-entered`: It entered a workflow.
/// - `workflow-left`: It left a workflow, or ended in it.
/// - `element-entered`: It entered an element.
/// - `element-left`: It left an element, or ended at it.
/// - `queued`: It came into a queue.
/// - `requeued`: It went back to its place in a queue.
/// - `answered`: It left a queue into somebody's hands.
/// - `queue-left`: It left a queue in another way: by a time-out, by a move, or because it was cancelled.
/// - `queue-abandoned`: Its customer went away while it was in a queue.
/// - `offered`: It was held out to an agent.
/// - `offer-accepted`: The agent took it.
/// - `offer-declined`: The agent said no.
/// - `offer-expired`: The agent did not answer in time.
/// - `offer-revoked`: The offer was taken back.
/// - `offer-customer-gone`: The customer went away during the offer.
/// - `offer-delivery-failed`: The agent's connection was gone.
/// - `transferred`: It went from one agent to another.
/// - `worked`: Somebody's work on it ended.
/// - `wrapped-up`: Somebody's after-contact work on it ended.
/// - `call-requested`: A strategy was called.
/// - `call-answered`: The strategy decided.
/// - `call-failed`: The strategy gave no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// It came.
    Submitted,
    /// It ended: completed, cancelled or abandoned.
    Ended,
    /// It ended well.
    Completed,
    /// It was cancelled.
    Cancelled,
    /// The customer went away before anybody worked on it.
    Abandoned,
    /// It could not go on.
    Parked,
    /// It entered a workflow.
    WorkflowEntered,
    /// It left a workflow, or ended in it.
    WorkflowLeft,
    /// It entered an element.
    ElementEntered,
    /// It left an element, or ended at it.
    ElementLeft,
    /// It came into a queue.
    Queued,
    /// It went back to its place in a queue.
    Requeued,
    /// It left a queue into somebody's hands.
    Answered,
    /// It left a queue in another way: by a time-out, by a move, or because it was cancelled.
    QueueLeft,
    /// Its customer went away while it was in a queue.
    QueueAbandoned,
    /// It was held out to an agent.
    Offered,
    /// The agent took it.
    OfferAccepted,
    /// The agent said no.
    OfferDeclined,
    /// The agent did not answer in time.
    OfferExpired,
    /// The offer was taken back.
    OfferRevoked,
    /// The customer went away during the offer.
    OfferCustomerGone,
    /// The agent's connection was gone.
    OfferDeliveryFailed,
    /// It went from one agent to another, which then counts it, or to another queue, which the one that it left counts.
    Transferred,
    /// Somebody's work on it ended.
    Worked,
    /// Somebody's after-contact work on it ended.
    WrappedUp,
    /// A strategy was called.
    CallRequested,
    /// The strategy decided.
    CallAnswered,
    /// The strategy gave no decision.
    CallFailed,
}

/// What can take time.
///
/// - `answer-wait`: In a queue until somebody had it. Its average is the average speed of answer.
/// - `abandon-wait`: In a queue until the customer went away.
/// - `wait`: In a queue, however it ended.
/// - `offer`: An offer, however it ended.
/// - `offer-answer`: An offer until it was accepted.
/// - `work`: Work, from when somebody had it until the contact was over or it went to another.
/// - `wrap-up`: After-contact work.
/// - `handle`: Work and after-contact work together; the average is per piece of work, which is the average handle
///   time.
/// - `element`: At an element.
/// - `workflow`: In a workflow.
/// - `life`: From when it came until it ended.
/// - `call`: A strategy's answer or failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// In a queue until somebody had it. Its average is the average speed of answer.
    AnswerWait,
    /// In a queue until the customer went away.
    AbandonWait,
    /// In a queue, however it ended.
    Wait,
    /// An offer, however it ended.
    Offer,
    /// An offer until it was accepted.
    OfferAnswer,
    /// Work, from when somebody had it until the contact was over or it went to another.
    Work,
    /// After-contact work.
    WrapUp,
    /// Work and after-contact work together; the average is per piece of work, which is the average handle time.
    Handle,
    /// At an element.
    Element,
    /// In a workflow.
    Workflow,
    /// From when it came until it ended.
    Life,
    /// A strategy's answer or failure.
    Call,
}

/// Over which time something is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Profile {
    /// From the last reset on.
    Growing {
        /// When it begins anew, every day. Left out: never; it grows from when it was defined.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reset: Option<Reset>,
    },
    /// The time just gone, in whole steps: the step that runs and those before it.
    Sliding {
        /// How long: a multiple of the step, 1 to 1,440 of them.
        window_ms: u64,
        /// 100 ms to a day.
        step_ms: u64,
    },
    /// The last ones that happened.
    Selection {
        /// How many, 1 to 1,000.
        #[schema(minimum = 1, maximum = 1000)]
        last: u32,
    },
    /// From the agent's last login on; of agents and places.
    SinceLogin,
}

/// A moment of every day, on the wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// When. Where the clock jumps over it, as much later; where it comes twice, the first time.
    #[schema(value_type = String, example = "00:00")]
    pub at: TimeOfDay,
    /// A name such as `Europe/Berlin` or `UTC`.
    pub time_zone: String,
}

/// Which interactions count: those that meet all of what is given. They are asked after each command that changes what is
/// known of them; a filter that is new counts those that come or change from then on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Those of this medium.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub media_type: Option<Name>,
    /// Those whose best category is this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Those for which this CEL expression holds, as in a `condition` element. Where it fails it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// A part of a filter that an interaction's content decides: a category or a condition. The same text gives the same mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mark(pub u64);

impl Mark {
    fn category(category: &str) -> Self {
        Self(hash(&[b"category", category.as_bytes()]))
    }

    fn condition(condition: &str) -> Self {
        Self(hash(&[b"condition", condition.as_bytes()]))
    }
}

impl Filter {
    /// Whether it lets everything through.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What an interaction's marks must hold.
    pub fn marks(&self) -> impl Iterator<Item = Mark> + use<> {
        let category = self.category.as_deref().map(Mark::category);
        let condition = self.condition.as_deref().map(Mark::condition);
        category.into_iter().chain(condition)
    }
}

impl Reset {
    /// The last moment of reset at or before `now`, and the next one after it.
    #[must_use]
    pub fn around(&self, now: UnixMillis) -> (UnixMillis, UnixMillis) {
        let never = (UnixMillis(0), UnixMillis(u64::MAX));
        let at = i64::try_from(now.0).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
        let (Some(at), Ok(zone)) = (at, ZONES.get(&self.time_zone)) else { return never };
        let today = zone.to_datetime(at).date();
        let days = [today.yesterday().and_then(|day| day.yesterday()), today.yesterday(), Ok(today), today.tomorrow()];
        let later = today.tomorrow().and_then(|day| day.tomorrow());
        let moments = days.into_iter().chain([later]).filter_map(|day| {
            let wall = DateTime::from_parts(day.ok()?, self.at.time()?);
            let moment = zone.to_ambiguous_timestamp(wall).compatible().ok()?;
            u64::try_from(moment.as_millisecond()).ok().map(UnixMillis)
        });
        moments.fold(
            never,
            |(last, next), moment| {
                if moment <= now { (last.max(moment), next) } else { (last, next.min(moment)) }
            },
        )
    }
}

impl Statistic {
    /// The happenings that it looks at.
    #[must_use]
    pub fn happenings(&self) -> &[Happening] {
        let of_agents = self.object.kind.has_agents() && self.object.kind != ObjectKind::Account;
        use Happening as H;
        match &self.measure {
            Measure::Number { of, .. } => std::slice::from_ref(of),
            Measure::Time { of, .. } | Measure::Distribution { of, .. } => match of {
                Span::AnswerWait => &[H::Answered],
                Span::AbandonWait => &[H::QueueAbandoned],
                Span::Wait => &[H::Answered, H::QueueAbandoned, H::QueueLeft],
                Span::Offer => &[
                    H::OfferAccepted,
                    H::OfferDeclined,
                    H::OfferExpired,
                    H::OfferRevoked,
                    H::OfferCustomerGone,
                    H::OfferDeliveryFailed,
                ],
                Span::OfferAnswer => &[H::OfferAccepted],
                Span::Work => &[H::Worked],
                Span::WrapUp => &[H::WrappedUp],
                Span::Handle => &[H::Worked, H::WrappedUp],
                Span::Element => &[H::ElementLeft],
                Span::Workflow => &[H::WorkflowLeft],
                Span::Life => &[H::Ended],
                Span::Call => &[H::CallAnswered, H::CallFailed],
            },
            Measure::ServiceFactor { .. } => &[H::Answered, H::QueueAbandoned],
            Measure::EstimatedWait => &[H::Answered, H::QueueAbandoned, H::QueueLeft],
            Measure::Traffic if of_agents => &[H::Answered, H::Transferred, H::Worked, H::WrappedUp],
            Measure::Traffic => &[H::Queued, H::Worked, H::WrappedUp],
            Measure::InteractionsNow { .. }
            | Measure::InteractionsNowTime { .. }
            | Measure::AgentsNow { .. }
            | Measure::AgentsNowTime { .. }
            | Measure::AgentTime { .. }
            | Measure::Occupancy
            | Measure::Load => &[],
        }
    }
}

impl Measure {
    /// Whether it says how things stand now, so that it has no profile.
    #[must_use]
    pub fn is_current(&self) -> bool {
        matches!(
            self,
            Self::InteractionsNow { .. }
                | Self::InteractionsNowTime { .. }
                | Self::AgentsNow { .. }
                | Self::AgentsNowTime { .. }
                | Self::Load
        )
    }

    /// Whether it counts interactions as they stand now.
    #[must_use]
    pub fn counts_standing(&self) -> bool {
        matches!(self, Self::InteractionsNow { .. } | Self::InteractionsNowTime { .. } | Self::EstimatedWait)
    }

    /// Whether it is about agents rather than about interactions.
    #[must_use]
    pub fn is_of_agents(&self) -> bool {
        matches!(
            self,
            Self::AgentsNow { .. } | Self::AgentsNowTime { .. } | Self::AgentTime { .. } | Self::Occupancy | Self::Load
        )
    }

    /// What its value is in.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self {
            Self::InteractionsNow { .. } | Self::AgentsNow { .. } | Self::Number { .. } | Self::Distribution { .. } => {
                "number"
            }
            Self::InteractionsNowTime { .. }
            | Self::AgentsNowTime { .. }
            | Self::Time { .. }
            | Self::AgentTime { .. }
            | Self::EstimatedWait => "seconds",
            Self::ServiceFactor { .. } | Self::Occupancy | Self::Load => "percent",
            Self::Traffic => "erlangs",
        }
    }
}

impl ObjectKind {
    /// As in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::AgentGroup => "agent-group",
            Self::Place => "place",
            Self::PlaceGroup => "place-group",
            Self::Queue => "queue",
            Self::MediaType => "media-type",
            Self::Workflow => "workflow",
            Self::Element => "element",
            Self::Strategy => "strategy",
            Self::Account => "account",
        }
    }

    /// Whether agents belong to it.
    #[must_use]
    pub fn has_agents(self) -> bool {
        matches!(self, Self::Agent | Self::AgentGroup | Self::Place | Self::PlaceGroup | Self::Account)
    }
}
