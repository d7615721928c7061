//! What a statistic is: an object, a measure, a time profile and a filter, by name.
//!
//! A definition only, with its formula and where that comes from. The figures are folded elsewhere, from what
//! `observe.rs` makes of each record.
//!
//! Invariant: a definition that was put fits together: its object has such a measure, and its profile and filter have a
//! meaning for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::calendar::{TimeOfDay, ZONES};
use crate::condition::Condition;
use crate::content::Content;
use crate::decide::invalid;
use crate::document::Configuration;
use crate::id::{InteractionId, Name, UnixMillis};
use crate::limits;
use crate::live::StateKind;
use crate::rejection::Rejection;
use crate::segment::hash;

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
    ExpectedWait,
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
    /// It went from one agent to another.
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
        matches!(self, Self::InteractionsNow { .. } | Self::InteractionsNowTime { .. } | Self::ExpectedWait)
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
            | Self::ExpectedWait => "seconds",
            Self::ServiceFactor { .. } | Self::Occupancy | Self::Load => "percent",
            Self::Traffic => "erlangs",
        }
    }
}

impl ObjectKind {
    /// Whether agents belong to it.
    #[must_use]
    pub fn has_agents(self) -> bool {
        matches!(self, Self::Agent | Self::AgentGroup | Self::Place | Self::PlaceGroup | Self::Account)
    }
}

/// Checks a statistic.
pub(crate) fn check(configuration: &Configuration, statistic: &Statistic) -> Result<(), Rejection> {
    if statistic.description.len() > limits::KEY_BYTES_MAX {
        return Err(invalid("description", format!("at most {} bytes", limits::KEY_BYTES_MAX)));
    }
    check_object(configuration, &statistic.object)?;
    check_measure(statistic)?;
    check_profile(statistic)?;
    check_filter(configuration, statistic)
}

fn check_object(configuration: &Configuration, object: &StatObject) -> Result<(), Rejection> {
    if (object.kind == ObjectKind::Element) != object.workflow.is_some() {
        return Err(invalid("object.workflow", "an element is named with its workflow, and nothing else is"));
    }
    let name = match (&object.name, object.kind) {
        (None, ObjectKind::Account) => return Ok(()),
        (Some(_), ObjectKind::Account) => return Err(invalid("object.name", "the account needs no name")),
        (None, _) => return Err(invalid("object.name", "only the account needs none")),
        (Some(name), _) => name,
    };
    let known = match object.kind {
        ObjectKind::Agent if !configuration.agents.contains_key(name) => Err(Rejection::AgentUnknown(name.clone())),
        ObjectKind::AgentGroup if !configuration.agent_groups.contains_key(name) => {
            Err(Rejection::GroupUnknown(name.clone()))
        }
        ObjectKind::Place if !configuration.places.contains_key(name) => Err(Rejection::PlaceUnknown(name.clone())),
        ObjectKind::PlaceGroup if !configuration.place_groups.contains_key(name) => {
            Err(Rejection::GroupUnknown(name.clone()))
        }
        ObjectKind::Queue if !configuration.queues.contains_key(name) => Err(Rejection::QueueUnknown(name.clone())),
        ObjectKind::Workflow if !configuration.workflows.contains_key(name) => {
            Err(Rejection::WorkflowUnknown(name.clone()))
        }
        ObjectKind::Strategy if !configuration.deployments.contains_key(name) => {
            Err(Rejection::DeploymentUnknown(name.clone()))
        }
        _ => Ok(()),
    };
    known?;
    // The element of any version that still stands: what is in an older one is counted too.
    let Some(workflow) = &object.workflow else { return Ok(()) };
    let versions = configuration.workflows.get(workflow).ok_or_else(|| Rejection::WorkflowUnknown(workflow.clone()))?;
    if versions.values().any(|flow| flow.find(name.as_str()).is_some()) {
        return Ok(());
    }
    Err(Rejection::ElementUnknown { workflow: workflow.clone(), element: name.clone() })
}

fn check_measure(statistic: &Statistic) -> Result<(), Rejection> {
    let Statistic { measure, object, .. } = statistic;
    if measure.is_of_agents() && !object.kind.has_agents() {
        return Err(invalid("measure", "this is measured of agents, places, their groups, or the account"));
    }
    if object.kind == ObjectKind::Strategy {
        let of_calls = match measure {
            Measure::Number { of, .. } => {
                matches!(of, Happening::CallRequested | Happening::CallAnswered | Happening::CallFailed)
            }
            Measure::Time { of, .. } | Measure::Distribution { of, .. } => *of == Span::Call,
            Measure::InteractionsNow { state } => *state == Some(StateKind::Routing),
            Measure::InteractionsNowTime { state, .. } => *state == StateKind::Routing,
            _ => false,
        };
        if !of_calls {
            return Err(invalid("measure", "of a strategy, only its calls are measured"));
        }
    }
    let in_hand = [None, Some(StateKind::Assigned), Some(StateKind::WrapUp)];
    match measure {
        Measure::InteractionsNow { state }
            if object.kind.has_agents() && object.kind != ObjectKind::Account && !in_hand.contains(state) =>
        {
            return Err(invalid("measure.state", "agents have interactions that are `assigned` or in `wrap-up`"));
        }
        Measure::InteractionsNowTime { state, .. }
            if object.kind.has_agents() && object.kind != ObjectKind::Account && !in_hand.contains(&Some(*state)) =>
        {
            return Err(invalid("measure.state", "agents have interactions that are `assigned` or in `wrap-up`"));
        }
        Measure::InteractionsNow { state: Some(state) } | Measure::InteractionsNowTime { state, .. } => {
            if matches!(state, StateKind::Completed | StateKind::Cancelled | StateKind::Abandoned) {
                return Err(invalid("measure.state", "a state that an interaction can be in before it has ended"));
            }
        }
        Measure::AgentsNow { state, reason: Some(_) }
        | Measure::AgentsNowTime { state, reason: Some(_), .. }
        | Measure::AgentTime { state, reason: Some(_), .. } => {
            if *state != AgentState::NotReady {
                return Err(invalid("measure.reason", "only who is not ready has a reason"));
            }
        }
        Measure::Number { outcome: Some(outcome), .. } if outcome.len() > limits::KEY_BYTES_MAX => {
            return Err(invalid("measure.outcome", format!("at most {} bytes", limits::KEY_BYTES_MAX)));
        }
        Measure::Time { of: Span::Handle, value: Aggregate::Min | Aggregate::Max } => {
            return Err(invalid("measure.value", "of the handle time, `total` or `average`"));
        }
        Measure::ServiceFactor { answered_within_ms, abandoned_within_ms } => {
            let bounds = [Some(*answered_within_ms), *abandoned_within_ms];
            if bounds.into_iter().flatten().any(|ms| ms > limits::SCHEDULE_MS_MAX) {
                return Err(invalid("measure", "thresholds of at most 366 days"));
            }
        }
        Measure::ExpectedWait
            if !matches!(object.kind, ObjectKind::Queue | ObjectKind::MediaType | ObjectKind::Account) =>
        {
            return Err(invalid("measure", "a wait is expected in a queue, for a media type, or in the account"));
        }
        Measure::Distribution { of, bounds_ms } => {
            if *of == Span::Handle {
                return Err(invalid("measure.of", "`work` and `wrap-up` have distributions; `handle` has none"));
            }
            let ascending = bounds_ms.windows(2).all(|pair| pair[0] < pair[1]);
            if !(1..=limits::STATISTIC_BOUNDS_MAX).contains(&bounds_ms.len()) || !ascending {
                let max = limits::STATISTIC_BOUNDS_MAX;
                return Err(invalid("measure.bounds_ms", format!("1 to {max} bounds, ascending")));
            }
        }
        _ => {}
    }
    Ok(())
}

fn check_profile(statistic: &Statistic) -> Result<(), Rejection> {
    let Some(profile) = &statistic.profile else { return Ok(()) };
    if statistic.measure.is_current() {
        return Err(invalid("profile", "a measure of how things stand now has none"));
    }
    match profile {
        Profile::Growing { reset: None } => Ok(()),
        Profile::Growing { reset: Some(reset) } => {
            if reset.at.time().is_none() {
                return Err(invalid("profile.reset.at", "00:00 to 23:59"));
            }
            let known = ZONES.get(&reset.time_zone).is_ok_and(|zone| !zone.is_unknown());
            if known {
                Ok(())
            } else {
                Err(invalid("profile.reset.time_zone", "a name such as `Europe/Berlin` or `UTC`"))
            }
        }
        Profile::Sliding { window_ms, step_ms } => {
            if !(100..=86_400_000).contains(step_ms) {
                return Err(invalid("profile.step_ms", "100 to 86400000"));
            }
            let steps = window_ms / step_ms;
            if window_ms % step_ms != 0 || !(1..=limits::STATISTIC_STEPS_MAX).contains(&steps) {
                let max = limits::STATISTIC_STEPS_MAX;
                return Err(invalid("profile.window_ms", format!("1 to {max} whole steps")));
            }
            Ok(())
        }
        Profile::Selection { last } => {
            if !(1..=limits::STATISTIC_SELECTION_MAX).contains(last) {
                return Err(invalid("profile.last", format!("1 to {}", limits::STATISTIC_SELECTION_MAX)));
            }
            match statistic.measure {
                Measure::ExpectedWait | Measure::Traffic | Measure::Occupancy => {
                    Err(invalid("profile", "a rate is measured over time, not over the last few"))
                }
                _ => Ok(()),
            }
        }
        Profile::SinceLogin => match statistic.object.kind {
            ObjectKind::Agent | ObjectKind::Place => Ok(()),
            _ => Err(invalid("profile", "`since-login` is for an agent or a place")),
        },
    }
}

fn check_filter(configuration: &Configuration, statistic: &Statistic) -> Result<(), Rejection> {
    let filter = &statistic.filter;
    if !filter.is_empty() && statistic.measure.is_of_agents() {
        return Err(invalid("filter", "a filter is for interactions; this is measured of agents"));
    }
    let category = filter.category.as_deref().unwrap_or("-");
    if category.is_empty() || category.len() > limits::KEY_BYTES_MAX {
        return Err(invalid("filter.category", format!("1 to {} bytes", limits::KEY_BYTES_MAX)));
    }
    let Some(text) = &filter.condition else { return Ok(()) };
    let condition = Condition::new(text).map_err(|error| invalid("filter.condition", error.to_string()))?;
    let asked = &configuration.asked;
    if asked.conditions.contains_key(text) {
        return Ok(());
    }
    // All of them are asked after each command that changes what is known of an interaction: their cost is the lane's.
    let steps = asked.conditions.values().map(|(condition, _)| condition.steps()).fold(0, u64::saturating_add);
    if asked.conditions.len() >= limits::STATISTIC_CONDITIONS_MAX
        || steps.saturating_add(condition.steps()) > limits::WALK_STEPS_MAX
    {
        let (what, limit) = ("different conditions of statistics, or as costly ones", limits::STATISTIC_CONDITIONS_MAX);
        return Err(Rejection::Full { what, limit });
    }
    Ok(())
}

/// What statistics ask for that has to be found out, each once, and how many ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    categories: BTreeMap<String, usize>,
    conditions: BTreeMap<String, (Arc<Condition>, usize)>,
    groups: BTreeMap<(ObjectKind, Name), usize>,
    standing: usize,
}

impl Asked {
    /// A statistic was put.
    pub(crate) fn add(&mut self, statistic: &Statistic) {
        let Statistic { filter, object, measure, .. } = statistic;
        self.standing += usize::from(measure.counts_standing());
        if let (ObjectKind::AgentGroup | ObjectKind::PlaceGroup, Some(name)) = (object.kind, &object.name) {
            *self.groups.entry((object.kind, name.clone())).or_default() += 1;
        }
        if let Some(category) = &filter.category {
            *self.categories.entry(category.clone()).or_default() += 1;
        }
        if let Some(text) = &filter.condition {
            if let Some((_, users)) = self.conditions.get_mut(text) {
                *users += 1;
            } else if let Ok(condition) = Condition::new(text) {
                self.conditions.insert(text.clone(), (Arc::new(condition), 1));
            }
        }
    }

    /// A statistic was taken away.
    pub(crate) fn take(&mut self, statistic: &Statistic) {
        let Statistic { filter, object, measure, .. } = statistic;
        self.standing -= usize::from(measure.counts_standing());
        if let Some(name) = &object.name
            && let Some(users) = self.groups.get_mut(&(object.kind, name.clone()))
        {
            *users -= 1;
            if *users == 0 {
                self.groups.remove(&(object.kind, name.clone()));
            }
        }
        if let Some(category) = &filter.category
            && let Some(users) = self.categories.get_mut(category)
        {
            *users -= 1;
            if *users == 0 {
                self.categories.remove(category);
            }
        }
        if let Some(text) = &filter.condition
            && let Some((_, users)) = self.conditions.get_mut(text)
        {
            *users -= 1;
            if *users == 0 {
                self.conditions.remove(text);
            }
        }
    }

    /// The groups that are asked for.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &(ObjectKind, Name)> {
        self.groups.keys()
    }

    /// Whether anybody asks how interactions stand now.
    pub(crate) fn counts_standing(&self) -> bool {
        self.standing > 0
    }

    /// Whether what interactions hold matters to anybody.
    pub(crate) fn has_marks(&self) -> bool {
        !self.categories.is_empty() || !self.conditions.is_empty()
    }

    /// The marks that an interaction has, in order.
    pub(crate) fn marks(&self, id: InteractionId, workflow: &Name, content: &Content, now: UnixMillis) -> Vec<Mark> {
        let best = content.facts.categories.first().filter(|best| self.categories.contains_key(&best.name));
        let category = best.map(|best| Mark::category(&best.name));
        let holds = |condition: &Condition| condition.evaluate(id, workflow, content, now).unwrap_or(false);
        let conditions = self.conditions.iter().filter(|(_, (condition, _))| holds(condition));
        let mut marks: Vec<Mark> =
            category.into_iter().chain(conditions.map(|(text, _)| Mark::condition(text))).collect();
        marks.sort_unstable();
        marks
    }
}
