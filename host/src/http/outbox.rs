//! What leaves the house: messages and how far their deliveries are.

use axum::Json as Answer;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use signalbox_engine::{
    Command, Delivery, DeliveryKey, DeliveryState, InteractionId, MessageKind, Name, OutboxMessage, UnixMillis,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Operate};
use super::body::{Parameters, Query};
use super::cursor::{self, Page};
use super::{Problem, State};

/// Rows that one page looks at.
const LOOK_MAX: usize = 10_000;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get)).routes(routes!(retry))
}

/// A message that leaves the house.
#[derive(Debug, Serialize, ToSchema)]
struct Outgoing {
    /// Its number within the account.
    id: u64,
    /// What it is.
    kind: MessageKind,
    /// Type of the CloudEvent: `acknowledgement`, `reply`, `forward` or an event's name.
    topic: String,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    interaction: Option<InteractionId>,
    /// Where it goes in place of the webhook's own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The CloudEvent's data.
    data: Value,
}

/// A message with its deliveries.
#[derive(Debug, Serialize, ToSchema)]
struct OutgoingDetail {
    /// The message.
    #[serde(flatten)]
    message: Outgoing,
    /// One for each webhook that takes it.
    deliveries: Vec<DeliveryView>,
}

/// How far a delivery is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryView {
    /// The webhook.
    #[schema(value_type = String)]
    webhook: Name,
    /// `pending`, `delivered`, `parked`, or `discarded`: parked too long ago, or for a webhook that is gone.
    state: &'static str,
    /// When the next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    due_ms: Option<UnixMillis>,
    /// Attempts that have ended.
    attempts: u32,
    /// Why the last one failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<OutboxMessage> for Outgoing {
    fn from(message: OutboxMessage) -> Self {
        let OutboxMessage { id, kind, topic, interaction, url, data } = message;
        Self { id, kind, topic, interaction, url, data: serde_json::from_str(&data).unwrap_or_default() }
    }
}

impl From<(DeliveryKey, Delivery)> for DeliveryView {
    fn from((key, delivery): (DeliveryKey, Delivery)) -> Self {
        let (state, due_ms) = match delivery.state {
            DeliveryState::Pending(due) => ("pending", Some(due)),
            DeliveryState::Delivered => ("delivered", None),
            DeliveryState::Parked => ("parked", None),
            DeliveryState::Discarded => ("discarded", None),
        };
        Self { webhook: key.webhook, state, due_ms, attempts: delivery.attempts, error: delivery.error }
    }
}

/// Which messages are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Of this kind.
    kind: Option<MessageKind>,
    /// About this interaction.
    #[param(value_type = Option<String>)]
    interaction: Option<InteractionId>,
    /// Most items: 1 to 200, 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Lists outgoing messages, the newest first.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/outbox",
    security(("token" = ["operator"])),
    params(Filter),
    responses((status = 200, description = "A page.", body = Page<Outgoing>))
)]
async fn list(caller: Caller<Operate>, Query(filter): Query<Filter>) -> Result<Answer<Page<Outgoing>>, Problem> {
    let limit = cursor::limit(filter.limit)?;
    let before = cursor::decode::<8>(filter.cursor.as_deref())?;
    let number = caller.lane.number();
    let takes = move |message: &OutboxMessage| {
        filter.kind.is_none_or(|kind| kind == message.kind)
            && filter.interaction.is_none_or(|id| message.interaction == Some(id))
    };
    let found = caller
        .state
        .read(move |store| store.outbox(number, before.as_ref().map(<[u8; 8]>::as_slice), limit, LOOK_MAX, takes))
        .await?;
    let next = found.next.map(|key| cursor::encode(&key));
    Ok(Answer(Page { items: found.items.into_iter().map(Outgoing::from).collect(), next }))
}

/// Shows an outgoing message and its deliveries.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/outbox/{message}",
    security(("token" = ["operator"])),
    responses((status = 200, description = "The message.", body = OutgoingDetail))
)]
async fn get(caller: Caller<Operate>, parameters: Parameters) -> Result<Answer<OutgoingDetail>, Problem> {
    let id: u64 = parameters.get("message")?;
    let number = caller.lane.number();
    let found = caller.state.read(move |store| Ok((store.message(number, id)?, store.deliveries(number, id)?))).await?;
    let (Some(message), deliveries) = found else { return Err(Problem::unknown("message", id)) };
    let deliveries = deliveries.into_iter().map(DeliveryView::from).collect();
    Ok(Answer(OutgoingDetail { message: message.into(), deliveries }))
}

/// Tries a parked delivery again.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/outbox/{message}/deliveries/{webhook}/retry",
    security(("token" = ["operator"])),
    responses((status = 202, description = "It is tried at once."))
)]
async fn retry(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
    let delivery = DeliveryKey { message: parameters.get("message")?, webhook: parameters.get("webhook")? };
    caller.lane.command(Command::Redeliver { delivery, by: caller.by() }).await?;
    Ok(StatusCode::ACCEPTED)
}
