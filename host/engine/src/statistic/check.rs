//! Decides whether a definition fits together, and whether what it is about is there.

use super::{AgentState, Aggregate, Happening, Measure, ObjectKind, Profile, Span, StatObject, Statistic};
use crate::calendar::ZONES;
use crate::condition::Condition;
use crate::configuration::Configuration;
use crate::decide::invalid;
use crate::limits;
use crate::live::StateKind;
use crate::rejection::Rejection;

/// Checks a statistic.
pub(crate) fn check(configuration: &Configuration, statistic: &Statistic) -> Result<(), Rejection> {
    if statistic.description.len() > limits::KEY_BYTES_MAX {
        return Err(invalid("description", format!("at most {} bytes", limits::KEY_BYTES_MAX)));
    }
    check_object(configuration, &statistic.object)?;
    check_measure(statistic)?;
    check_profile(statistic)?;
    check_filter(configuration, statistic)?;
    check_room(configuration, statistic)
}

/// Whether there is room for what it may have to keep, and for one more about its object.
fn check_room(configuration: &Configuration, statistic: &Statistic) -> Result<(), Rejection> {
    let others = configuration.statistics.values().filter(|other| other.name != statistic.name);
    let (mut of_one, mut numbers) = (0, numbers(statistic));
    for other in others {
        of_one += usize::from(other.object == statistic.object);
        numbers += self::numbers(other);
    }
    if of_one >= limits::STATISTICS_OF_ONE_MAX {
        return Err(Rejection::Full { what: "statistics of one object", limit: limits::STATISTICS_OF_ONE_MAX });
    }
    let limit = usize::try_from(limits::STATISTIC_NUMBERS_MAX).unwrap_or(usize::MAX);
    let what = "numbers to keep for statistics (steps of windows and bounds of distributions count)";
    if numbers > limits::STATISTIC_NUMBERS_MAX { Err(Rejection::Full { what, limit }) } else { Ok(()) }
}

/// How many numbers it may have to keep.
fn numbers(statistic: &Statistic) -> u64 {
    let width = match &statistic.measure {
        Measure::Distribution { bounds_ms, .. } => bounds_ms.len() as u64 + 1,
        measure if measure.is_current() => return 1,
        _ => 4,
    };
    width
        * match &statistic.profile {
            Some(Profile::Sliding { window_ms, step_ms }) => window_ms / step_ms,
            Some(Profile::Selection { last }) => u64::from(*last),
            None | Some(Profile::Growing { .. } | Profile::SinceLogin) => 1,
        }
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
    let before_all = matches!(measure, Measure::Number { of: Happening::Submitted, .. });
    if before_all && !matches!(object.kind, ObjectKind::Account | ObjectKind::MediaType) {
        let why = "what is submitted is in no workflow, queue or hand yet: `workflow-entered`, `queued` or `offered` count that";
        return Err(invalid("measure.of", why));
    }
    let at_end = matches!(measure, Measure::Number { of: Happening::Completed | Happening::Ended, .. });
    let in_hands = !matches!(object.kind, ObjectKind::Account) && object.kind.has_agents();
    if at_end && (in_hands || object.kind == ObjectKind::Queue) {
        let why =
            "what ends is in no queue and in no hand any more: `worked` counts that, with a disposition as its outcome";
        return Err(invalid("measure.of", why));
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
        | Measure::AgentTime { state, reason: Some(_), .. }
            if *state != AgentState::NotReady =>
        {
            return Err(invalid("measure.reason", "only who is not ready has a reason"));
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
        Measure::EstimatedWait
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
                Measure::EstimatedWait | Measure::Traffic | Measure::Occupancy => {
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
    if condition.figures().next().is_some() {
        return Err(invalid(
            "filter.condition",
            "a filter looks at the interaction alone: take `statistic(…)` out of it",
        ));
    }
    if !configuration.asked.has_room_for(text, &condition) {
        let (what, limit) = ("different conditions of statistics, or as costly ones", limits::STATISTIC_CONDITIONS_MAX);
        return Err(Rejection::Full { what, limit });
    }
    Ok(())
}
