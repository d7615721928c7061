//! Queues: what waits in them, and taking the next one out by hand.

use axum::Json as Answer;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use signalbox_engine::{
    Account, Command, Document, DocumentKind, Event, InteractionId, Live, Name, Queue, QueuePosition, Rejection,
    State as Where, UnixMillis,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Look, Operate, Work};
use super::body::{Json, Parameters, Query};
use super::cursor::Page;
use super::document::{Condition, named, put_status, tag, tagged};
use super::interaction::InteractionDetail;
use super::{Problem, State, now};
use crate::lane;

/// Interactions at a queue's head that are shown where nobody says how many.
const HEAD: usize = 10;
/// Interactions at a queue's head that are shown at most: the lane looks at them.
const HEAD_MAX: usize = 100;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put, delete)).routes(routes!(take))
}

/// A queue and how much waits in it.
#[derive(Debug, Serialize, ToSchema)]
struct QueueLength {
    /// As it was put.
    #[serde(flatten)]
    queue: Queue,
    /// Interactions that wait in it.
    length: usize,
    /// How long the next one to be taken has waited; none where nothing waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_wait_ms: Option<u64>,
}

/// A queue and what waits in it.
#[derive(Debug, Serialize, ToSchema)]
struct QueueHead {
    /// How much waits.
    #[serde(flatten)]
    queue: QueueLength,
    /// Those that are next, in order.
    head: Vec<Waiting>,
}

/// An interaction that waits in a queue.
#[derive(Debug, Serialize, ToSchema)]
struct Waiting {
    /// Its identifier.
    #[schema(value_type = String, format = "uuid")]
    id: InteractionId,
    /// 1 for the next one.
    position: usize,
    /// Its medium.
    #[schema(value_type = String)]
    media_type: Name,
    /// 0 to 1000.
    priority: u16,
    /// When it came into the queue.
    #[schema(value_type = u64)]
    since_ms: UnixMillis,
}

/// An interaction that waits in a queue, and its place there.
fn queued(account: &Account, id: InteractionId) -> Option<(&Live, &QueuePosition)> {
    let live = account.live(id)?;
    match &live.state {
        Where::Queued(position) => Some((live, position)),
        _ => None,
    }
}

impl QueueLength {
    fn new(account: &Account, queue: &Queue, now: UnixMillis) -> Self {
        let name = queue.name.as_str();
        let next = account.queue(name).next().and_then(|id| Some(queued(account, id)?.1));
        Self {
            queue: queue.clone(),
            length: account.queue_len(name),
            oldest_wait_ms: next.map(|position| now.0.saturating_sub(position.since.0)),
        }
    }
}

/// Lists queues with their lengths.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/queues",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    responses((status = 200, description = "All of them.", body = Page<QueueLength>))
)]
async fn list(caller: Caller<Look>) -> Result<Answer<Page<QueueLength>>, Problem> {
    let now = now();
    let look = move |account: &Account| {
        let queues = account.configuration().queues.values();
        queues.map(|queue| QueueLength::new(account, queue, now)).collect::<Vec<_>>()
    };
    Ok(Answer(Page::whole(caller.lane.ask(look).await?)))
}

/// How much is wanted of a queue.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Part {
    /// How many of those that are next: 0 to 100, 10 where it is left out.
    #[param(maximum = 100)]
    head: Option<usize>,
}

/// Shows a queue: its length and those that are next.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/queues/{queue}",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    params(Part),
    responses((status = 200, description = "The queue.", body = QueueHead))
)]
async fn get(
    caller: Caller<Look>,
    parameters: Parameters,
    Query(part): Query<Part>,
) -> Result<Answer<QueueHead>, Problem> {
    let name: Name = parameters.get("queue")?;
    let head = part.head.unwrap_or(HEAD);
    if head > HEAD_MAX {
        return Err(Problem::query_invalid("head", format!("0 to {HEAD_MAX}")));
    }
    let (now, wanted) = (now(), name.clone());
    let look = move |account: &Account| {
        let queue = QueueLength::new(account, account.configuration().queues.get(&wanted)?, now);
        let waiting = account.queue(wanted.as_str()).zip(1..).take(head);
        let head = waiting.filter_map(|(id, position)| {
            let (live, place) = queued(account, id)?;
            let media_type = live.media_type.clone();
            Some(Waiting { id, position, media_type, priority: live.priority, since_ms: place.since })
        });
        Some(QueueHead { queue, head: head.collect() })
    };
    caller.lane.ask(look).await?.map(Answer).ok_or_else(|| Problem::unknown("queue", name))
}

/// Makes or changes a queue.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/queues/{queue}",
    security(("token" = ["operator"])),
    request_body(content = Queue, description = "`name` may be left out."),
    responses((status = 200, description = "It was changed.", body = Queue), (status = 201, description = "It was made.", body = Queue))
)]
async fn put(
    caller: Caller<Operate>,
    parameters: Parameters,
    condition: Condition,
    Json(body): Json<Map<String, Value>>,
) -> Result<Response, Problem> {
    let name: Name = parameters.get("queue")?;
    let queue: Queue = named(body, &[("name", &name)])?;
    let _held = caller.state.documents(&caller.lane).await;
    let standing = caller.lane.published().configuration.queues.get(&name).cloned();
    condition.check(standing.as_ref().map(tag).as_deref())?;
    caller.put(Document::Queue(queue.clone())).await.map_err(|problem| problem.named_in("target"))?;
    Ok(tagged(put_status(standing.as_ref()), &queue))
}

/// Deletes a queue that is empty and that no workflow names.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/queues/{queue}",
    security(("token" = ["operator"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
    caller.remove_named(DocumentKind::Queue, &parameters, "queue").await
}

/// Takes the next interaction out of a queue.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/queues/{queue}/take",
    security(("token" = ["agent"])),
    responses(
        (status = 200, description = "It is the caller's now.", body = InteractionDetail),
        (status = 204, description = "Nothing waits.")
    )
)]
async fn take(caller: Caller<Work>, parameters: Parameters) -> Result<Response, Problem> {
    let command = Command::Take { queue: parameters.get("queue")?, agent: caller.agent(), by: caller.by() };
    let record = match caller.lane.command(command).await {
        Err(lane::Error::Rejected(Rejection::QueueEmpty(_))) => return Ok(StatusCode::NO_CONTENT.into_response()),
        result => result?,
    };
    let taken = record.events.iter().find_map(|event| match event {
        Event::Taken { id, .. } | Event::Assigned { id, .. } => Some(*id),
        _ => None,
    });
    let Some(id) = taken else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    Ok(Answer(caller.interaction(id).await?).into_response())
}
