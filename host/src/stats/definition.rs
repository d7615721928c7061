//! What a statistic needs: which facts touch it, and what is added up of each.

use signalbox_engine::{AgentState, Aggregate, Fact, Happening, Mark, Measure, Name, Span, StateKind, Subject};

use super::series::Total;

/// Classes of [`Measure::ServiceFactor`].
pub(super) const ANSWERED_WITHIN: usize = 0;
pub(super) const ANSWERED_LATER: usize = 1;
pub(super) const ABANDONED_WITHIN: usize = 2;
pub(super) const ABANDONED_LATER: usize = 3;
/// Classes of [`Measure::Traffic`]. The first is that of [`Measure::EstimatedWait`] too: who left.
pub(super) const ARRIVED: usize = 0;
pub(super) const WORKED: usize = 1;
pub(super) const HANDLE_MS: usize = 2;
/// Classes of [`Measure::Occupancy`]. The first is that of [`Measure::AgentTime`] too: the time in the state.
pub(super) const ACTIVE_MS: usize = 0;
pub(super) const READY_MS: usize = 1;

/// The shape of what is added up; none for what only stands as it is now.
pub(super) fn total(measure: &Measure) -> Option<Total> {
    match measure {
        Measure::Number { .. }
        | Measure::ServiceFactor { .. }
        | Measure::EstimatedWait
        | Measure::Traffic
        | Measure::Occupancy
        | Measure::AgentTime { value: Aggregate::Total, .. } => Some(Total::Sums([0; 4])),
        Measure::Time { .. } | Measure::AgentTime { .. } => Some(Total::times()),
        Measure::Distribution { bounds_ms, .. } => Some(Total::Counts(vec![0; bounds_ms.len() + 1].into())),
        Measure::InteractionsNow { .. }
        | Measure::InteractionsNowTime { .. }
        | Measure::AgentsNow { .. }
        | Measure::AgentsNowTime { .. }
        | Measure::Load => None,
    }
}

/// What is added of a happening that the measure looks at: class and amount; two only of what has no selection.
pub(super) fn amounts(
    measure: &Measure,
    what: Happening,
    ms: Option<u64>,
    outcome: Option<&str>,
) -> [Option<(usize, u64)>; 2] {
    let took = ms.unwrap_or_default();
    match measure {
        Measure::Number { outcome: wanted, .. } => {
            let counts = wanted.is_none() || wanted.as_deref() == outcome;
            [counts.then_some((0, 1)), None]
        }
        Measure::Time { of: Span::Handle, .. } => [Some((usize::from(what == Happening::WrappedUp), took)), None],
        Measure::Time { .. } => [Some((0, took)), None],
        Measure::Distribution { bounds_ms, .. } => [Some((bounds_ms.partition_point(|bound| *bound < took), 1)), None],
        Measure::ServiceFactor { answered_within_ms, abandoned_within_ms } => {
            let class = match what {
                Happening::Answered if took <= *answered_within_ms => ANSWERED_WITHIN,
                Happening::Answered => ANSWERED_LATER,
                _ if abandoned_within_ms.is_some_and(|within| took <= within) => ABANDONED_WITHIN,
                _ => ABANDONED_LATER,
            };
            [Some((class, 1)), None]
        }
        Measure::Traffic => match what {
            Happening::Worked => [Some((WORKED, 1)), Some((HANDLE_MS, took))],
            Happening::WrappedUp => [Some((HANDLE_MS, took)), None],
            _ => [Some((ARRIVED, 1)), None],
        },
        _ => [Some((ARRIVED, 1)), None],
    }
}

/// Whether an interaction's state is the one that a measure counts.
pub(super) fn counts_state(measure: &Measure, state: StateKind) -> bool {
    match measure {
        Measure::InteractionsNow { state: wanted } => wanted.is_none_or(|wanted| wanted == state),
        Measure::InteractionsNowTime { state: wanted, .. } => *wanted == state,
        Measure::EstimatedWait => matches!(state, StateKind::Queued | StateKind::Offered),
        _ => false,
    }
}

/// Whether an agent's state is the one that a measure counts.
pub(super) fn counts_agent(
    wanted: AgentState,
    wanted_reason: Option<&Name>,
    state: AgentState,
    reason: Option<&Name>,
) -> bool {
    (wanted == AgentState::LoggedIn || wanted == state) && (wanted_reason.is_none() || wanted_reason == reason)
}

/// Whether an interaction passes a filter.
pub(super) fn passes(media_type: Option<&Name>, marks: &[Mark], of: &Subject) -> bool {
    media_type.is_none_or(|media_type| of.media_type == *media_type)
        && marks.iter().all(|mark| of.marks.binary_search(mark).is_ok())
}

/// Whether a happening is one of a workflow or an element, so that it concerns the innermost of them alone and nobody
/// else who has to do with the interaction.
pub(super) fn is_of_place(what: Happening) -> bool {
    matches!(
        what,
        Happening::WorkflowEntered | Happening::WorkflowLeft | Happening::ElementEntered | Happening::ElementLeft
    )
}

/// Whether facts hold a definition that counts interactions as they stand: then all have to be counted.
pub(super) fn wants_census(facts: &[(signalbox_engine::UnixMillis, Fact)]) -> bool {
    let counts = |fact: &Fact| matches!(fact, Fact::Defined(statistic) if statistic.measure.counts_standing());
    facts.iter().any(|(_, fact)| counts(fact))
}
