//! What is done with an interaction by those who work on it, by those who supervise them, and by the customer.

use axum::Json as Answer;
use serde::{Deserialize, Serialize};
use signalbox_engine::{
    Account, Attention, Command, Destination, InteractionId, Name, Rejection, Speaker, State as Where, Target,
    UnixMillis,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Follow, Grant, Operate, Settle, Submit};
use super::body::{Json, Parameters};
use super::interaction::InteractionDetail;
use super::{Problem, State, now};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(hold))
        .routes(routes!(retrieve))
        .routes(routes!(workbin))
        .routes(routes!(finish_wrap_up))
        .routes(routes!(transfer))
        .routes(routes!(forward))
        .routes(routes!(move_to))
        .routes(routes!(take_over))
        .routes(routes!(assign))
        .routes(routes!(say))
        .routes(routes!(close))
        .routes(routes!(position))
}

/// How after-contact work ended.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WrapUpEnd {
    /// Disposition code. Left out: the one that was given when the contact ended.
    pub(super) disposition: Option<String>,
}

/// Where an interaction is transferred to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Transfer {
    /// An agent, somebody of a group or with skills, or a queue.
    pub(super) to: Target,
}

/// Where an interaction is forwarded to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Forwarding {
    /// An address, for which a webhook takes `forward`, or a URL below that of a webhook.
    pub(super) to: Destination,
}

/// Where an interaction is moved to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Move {
    /// The queue.
    #[schema(value_type = String)]
    queue: Name,
}

/// Who is given an interaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Assign {
    /// The agent, who is logged in.
    #[schema(value_type = String)]
    agent: Name,
}

/// What somebody says in an interaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    /// 1 byte to 64 KiB.
    pub(super) text: String,
}

/// Why the customer closes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Closing {
    /// In words, 1 byte to 8 KiB. Left out: `closed by the customer`.
    #[serde(default = "Closing::reason")]
    pub(super) reason: String,
}

impl Closing {
    fn reason() -> String {
        "closed by the customer".to_owned()
    }
}

impl<G: Grant> Caller<G> {
    async fn attend(
        &self,
        parameters: &Parameters,
        attention: Attention,
    ) -> Result<Answer<InteractionDetail>, Problem> {
        let interaction = parameters.get("interaction")?;
        let (by, for_anyone) = (self.by(), self.acts_for_anyone());
        self.acted(interaction, Command::Attend { interaction, attention, by, for_anyone }).await
    }
}

/// Puts an assigned interaction on hold.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/hold",
    security(("token" = ["agent", "operator"])),
    responses((status = 200, description = "It is on hold.", body = InteractionDetail))
)]
async fn hold(caller: Caller<Settle>, parameters: Parameters) -> Result<Answer<InteractionDetail>, Problem> {
    caller.attend(&parameters, Attention::Held).await
}

/// Takes an assigned interaction back from hold, or out of the workbin.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/retrieve",
    security(("token" = ["agent", "operator"])),
    responses((status = 200, description = "It is worked on.", body = InteractionDetail))
)]
async fn retrieve(caller: Caller<Settle>, parameters: Parameters) -> Result<Answer<InteractionDetail>, Problem> {
    caller.attend(&parameters, Attention::Active).await
}

/// Puts an assigned interaction into its agent's workbin, where it takes up no capacity.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/workbin",
    security(("token" = ["agent", "operator"])),
    responses((status = 200, description = "It is in the workbin.", body = InteractionDetail))
)]
async fn workbin(caller: Caller<Settle>, parameters: Parameters) -> Result<Answer<InteractionDetail>, Problem> {
    caller.attend(&parameters, Attention::Workbin).await
}

/// Ends after-contact work; the interaction's workflow goes on.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/finish-wrap-up",
    security(("token" = ["agent", "operator"])),
    request_body = WrapUpEnd,
    responses((status = 200, description = "The work is done.", body = InteractionDetail))
)]
async fn finish_wrap_up(
    caller: Caller<Settle>,
    parameters: Parameters,
    Json(WrapUpEnd { disposition }): Json<WrapUpEnd>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let (by, for_anyone) = (caller.by(), caller.acts_for_anyone());
    caller.acted(interaction, Command::FinishWrapUp { interaction, disposition, by, for_anyone }).await
}

/// Holds an assigned interaction out to another agent, or puts it into another queue with its age.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/transfer",
    security(("token" = ["agent", "operator"])),
    request_body = Transfer,
    responses((status = 200, description = "It is offered, or in the queue.", body = InteractionDetail))
)]
async fn transfer(
    caller: Caller<Settle>,
    parameters: Parameters,
    Json(Transfer { to }): Json<Transfer>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let (by, for_anyone) = (caller.by(), caller.acts_for_anyone());
    let acted = caller.acted(interaction, Command::Transfer { interaction, to, by, for_anyone }).await;
    acted.map_err(|problem| problem.of_body("to"))
}

/// Sends an assigned interaction outside, to an address or a webhook; the work on it is done with that, as `forwarded`.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/forward",
    security(("token" = ["agent", "operator"])),
    request_body = Forwarding,
    responses((status = 200, description = "It is on its way.", body = InteractionDetail))
)]
async fn forward(
    caller: Caller<Settle>,
    parameters: Parameters,
    Json(Forwarding { to }): Json<Forwarding>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let (by, for_anyone) = (caller.by(), caller.acts_for_anyone());
    caller.acted(interaction, Command::Forward { interaction, to, by, for_anyone }).await
}

/// Puts an interaction into another queue, whoever has it or wraps it up, and also what is parked; the age of what waits or
/// is worked on stays. What is parked elsewhere than in a queue leaves its workflow.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/move",
    security(("token" = ["operator"])),
    request_body = Move,
    responses((status = 200, description = "It waits there.", body = InteractionDetail))
)]
async fn move_to(
    caller: Caller<Operate>,
    parameters: Parameters,
    Json(Move { queue }): Json<Move>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let by = caller.by();
    let acted = caller.acted(interaction, Command::Move { interaction, queue, by }).await;
    acted.map_err(|problem| problem.of_body("queue"))
}

/// Takes a particular interaction that waits in a queue, is offered, or is worked on by somebody else.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/take",
    security(("token" = ["operator"])),
    responses((status = 200, description = "It is the caller's now.", body = InteractionDetail))
)]
async fn take_over(caller: Caller<Operate>, parameters: Parameters) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let by = caller.by();
    caller.acted(interaction, Command::TakeOver { interaction, by }).await
}

/// Gives an interaction to an agent who is logged in, whatever its capacity.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/assign",
    security(("token" = ["operator"])),
    request_body = Assign,
    responses((status = 200, description = "It is the agent's.", body = InteractionDetail))
)]
async fn assign(
    caller: Caller<Operate>,
    parameters: Parameters,
    Json(Assign { agent }): Json<Assign>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let by = caller.by();
    let acted = caller.acted(interaction, Command::Assign { interaction, agent, by }).await;
    acted.map_err(|problem| problem.of_body("agent"))
}

/// Says something in an interaction: a token with the role `client` for the customer, others for the agent who has it.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/messages",
    security(("token" = ["client", "agent", "operator"])),
    request_body = Words,
    responses((status = 200, description = "It is in the timeline.", body = InteractionDetail))
)]
async fn say(
    caller: Caller<Follow>,
    parameters: Parameters,
    Json(Words { text }): Json<Words>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let (by, for_anyone) = (caller.by(), caller.acts_for_anyone());
    let speaker = if caller.is_client() { Speaker::Customer } else { Speaker::Agent };
    caller.acted(interaction, Command::Say { interaction, speaker, text, by, for_anyone }).await
}

/// Closes an interaction for the customer: what nobody has worked on is abandoned, what an agent works on is done.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/close",
    security(("token" = ["client"])),
    request_body = Closing,
    responses((status = 200, description = "It is closed.", body = InteractionDetail))
)]
async fn close(
    caller: Caller<Submit>,
    parameters: Parameters,
    Json(Closing { reason }): Json<Closing>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let by = caller.by();
    caller.acted(interaction, Command::Close { interaction, reason, by }).await
}

/// Where an interaction stands in its queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueuePosition)]
struct Place {
    /// The queue.
    #[schema(value_type = String)]
    queue: Name,
    /// 1 for the next one. Left out from 10,000 on, and while it is offered to an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
    /// How many wait there.
    length: usize,
    /// How much longer it is expected to wait, by Little's law `W = L / λ` (J. D. C. Little, 1961): with its position for
    /// `L`, and for `λ` how many have left the queue in each millisecond of the last 15 minutes. 0 while it is offered to
    /// an agent. Null where it is unknown: nobody has left the queue in that time, or the position is not counted.
    estimated_wait_ms: Option<u64>,
    /// When it came into the queue.
    #[schema(value_type = u64)]
    since_ms: UnixMillis,
}

/// Furthest position that is counted: the lane counts.
const POSITION_MAX: usize = 10_000;

/// Shows where an interaction stands in its queue, and how long it is expected to wait.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/interactions/{interaction}/position",
    security(("token" = ["client", "agent", "operator"])),
    responses((status = 200, description = "Its place.", body = Place))
)]
async fn position(caller: Caller<Follow>, parameters: Parameters) -> Result<Answer<Place>, Problem> {
    let id: InteractionId = parameters.get("interaction")?;
    let look = move |account: &Account| {
        let live = account.live(id)?;
        let Some(place) = live.position().filter(|_| live.agent().is_none()) else {
            return Some(Err(live.state.kind()));
        };
        let queue = place.queue.as_str();
        let position = account.queue(queue).take(POSITION_MAX).position(|waiting| waiting == id).map(|n| n + 1);
        let (queue, length) = (place.queue.clone(), account.queue_len(queue));
        let estimated_wait_ms = matches!(live.state, Where::Offered { .. }).then_some(0);
        Some(Ok(Place { queue, position, length, estimated_wait_ms, since_ms: place.since }))
    };
    match caller.lane.ask(look).await? {
        Some(Ok(mut place)) => {
            if let Some(position) = place.position {
                place.estimated_wait_ms = caller.lane.stats().estimated_wait_ms(place.queue.as_str(), position, now());
            }
            Ok(Answer(place))
        }
        Some(Err(state)) => Err(Rejection::StateWrong { state: state.name(), wanted: "queued or offered" }.into()),
        None => Err(Problem::unknown("interaction", id)),
    }
}
