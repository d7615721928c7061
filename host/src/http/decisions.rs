//! What strategies decided about an interaction, and what they saw.

use axum::Json as Answer;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use signalbox_engine::{Action, CallId, Failure, InteractionId, Name, UnixMillis};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Operate};
use super::body::{Parameters, Query};
use super::cursor::{self, Page};
use super::interaction::FactsView;
use super::{Problem, State};
use crate::store::DecisionRow;
use crate::strategy::Recorded;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list))
}

/// One answer of a strategy, or why there was none.
#[derive(Debug, Serialize, ToSchema)]
struct Decision {
    /// The call.
    call: u64,
    /// The deployment that was asked.
    #[schema(value_type = String)]
    deployment: Name,
    /// The workflow.
    #[schema(value_type = String)]
    workflow: Name,
    /// The element.
    #[schema(value_type = String)]
    element: Name,
    /// 1 the first time that the interaction was at this element.
    visit: u32,
    /// The clock that the strategy was given.
    #[schema(value_type = u64)]
    now_ms: UnixMillis,
    /// When its answer was durable.
    #[schema(value_type = u64)]
    answered_at_ms: UnixMillis,
    /// The outcome that it chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// Why, in its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What it wanted done.
    actions: Vec<Action>,
    /// Why it gave no decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureView>,
    /// What was known of the interaction when it was asked.
    facts: FactsView,
    /// What it asked the server, and was answered.
    granted: Vec<GrantedAnswer>,
    /// What it logged.
    log: Vec<Line>,
    /// What it took. None where a newer server wrote the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Cost>,
}

/// Why a strategy gave no decision.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StrategyFailure)]
struct FailureView {
    /// Stable: `unsuitable`, `missing`, `other`, `overrun`, `trap`, `refused` or `unavailable`.
    code: &'static str,
    /// In words.
    message: String,
}

/// A question to the server and its answer.
#[derive(Debug, Serialize, ToSchema)]
struct GrantedAnswer {
    /// In words.
    question: String,
    /// A number, a text, a truth, a moment in ms, a standard response as subject and body, a clock's reading, or
    /// null.
    answer: Value,
}

/// A line that the strategy logged.
#[derive(Debug, Serialize, ToSchema)]
struct Line {
    /// `debug`, `info`, `warn` or `error`.
    #[schema(value_type = String)]
    level: crate::strategy::Level,
    /// The line.
    message: String,
}

/// What a call took.
#[derive(Debug, Serialize, ToSchema)]
struct Cost {
    /// Until the sandbox was ready.
    instantiate_ns: u64,
    /// In the strategy, imports included.
    guest_ns: u64,
    /// Linear memory at the end.
    memory_bytes: u64,
}

/// Which part of the decisions is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Part {
    /// Most items: 1 to 200, 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists the decisions about an interaction, in the order in which they were asked for.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/interactions/{interaction}/decisions",
    security(("token" = ["operator"])),
    params(Part),
    responses((status = 200, description = "A page.", body = Page<Decision>))
)]
async fn list(
    caller: Caller<Operate>,
    parameters: Parameters,
    Query(part): Query<Part>,
) -> Result<Answer<Page<Decision>>, Problem> {
    let id: InteractionId = parameters.get("interaction")?;
    let limit = cursor::limit(part.limit)?;
    let from = cursor::decode::<8>(part.cursor.as_deref())?.map_or(CallId(0), |n| CallId(u64::from_be_bytes(n)));
    let number = caller.lane.number();
    let (known, rows) = caller
        .state
        .read(move |store| Ok((store.summary(number, id)?.is_some(), store.decisions(number, id, from, limit)?)))
        .await?;
    if !known {
        return Err(Problem::unknown("interaction", id));
    }
    let last = rows.last().filter(|_| rows.len() == limit);
    let next = last.map(|row| cursor::encode(&row.call.0.saturating_add(1).to_be_bytes()));
    Ok(Answer(Page { items: rows.into_iter().map(Decision::from).collect(), next }))
}

impl From<DecisionRow> for Decision {
    fn from(row: DecisionRow) -> Self {
        let (outcome, reason, actions, failure) = match row.result {
            Ok(decision) => (Some(decision.outcome), Some(decision.reason), decision.actions, None),
            Err(failure) => (None, None, Vec::new(), Some(failure.into())),
        };
        let (granted, log, cost) = match Recorded::decode(&row.recorded) {
            Ok(Recorded { granted, log, instantiate_ns, guest_ns, memory_bytes }) => {
                (granted, log, Some(Cost { instantiate_ns, guest_ns, memory_bytes }))
            }
            Err(error) => {
                tracing::warn!(call = row.call.0, %error, "the record of a call cannot be read");
                (Vec::new(), Vec::new(), None)
            }
        };
        let granted = granted.into_iter().map(|granted| GrantedAnswer {
            question: granted.question.to_string(),
            answer: untagged(serde_json::to_value(granted.answer).unwrap_or_default()),
        });
        Self {
            call: row.call.0,
            deployment: row.deployment,
            workflow: row.workflow,
            element: row.element,
            visit: row.visit,
            now_ms: row.now,
            answered_at_ms: row.answered_at,
            outcome,
            reason,
            actions,
            failure,
            facts: row.facts.into(),
            granted: granted.collect(),
            log: log.into_iter().map(|line| Line { level: line.level, message: line.message }).collect(),
            cost,
        }
    }
}

impl From<Failure> for FailureView {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code(), message: failure.to_string() }
    }
}

/// The value of an enum's variant, without its name.
fn untagged(value: Value) -> Value {
    match value {
        Value::Object(tagged) => tagged.into_iter().next().map_or(Value::Null, |(_, value)| value),
        other => other,
    }
}
