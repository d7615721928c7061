//! Interactions that are there: lists, one of them, its user data, and what can be done with it by hand.

use std::collections::BTreeMap;

use axum::Json as Answer;
use serde::Deserialize;
use signalbox_engine::{Command, Configuration, Entry, InteractionId, Name, Record, Rejection, StateKind, Transcript};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Cancel, Follow, Grant, Operate, Settle, Submit};
use super::body::{Json, OptionalJson, Parameters, Query};
use super::cursor::{self, Page};
use super::interaction::{Interaction, InteractionDetail};
use super::{Problem, State};
use crate::lane;
use crate::store::{Summary, Which};

/// Rows that one page looks at, where rows alone say whether they are wanted.
pub(super) const LOOK_MAX: usize = 50_000;
/// Rows that one page looks at, where what each holds must be read too.
pub(super) const LOOK_INTO_MAX: usize = 2000;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(user_data, set_user_data))
        .routes(routes!(transcript))
        .routes(routes!(cancel))
        .routes(routes!(resume))
        .routes(routes!(complete))
        .routes(routes!(release))
}

/// Which interactions are wanted; each that is given must fit.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// In this state.
    state: Option<StateKind>,
    /// In this workflow, at any depth.
    #[param(value_type = Option<String>)]
    workflow: Option<Name>,
    /// Waiting in this queue, or taken out of it.
    #[param(value_type = Option<String>)]
    queue: Option<Name>,
    /// Of this medium.
    #[param(value_type = Option<String>)]
    media_type: Option<Name>,
    /// With this category among its own.
    category: Option<String>,
    /// Most items: 1 to 200, 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl Filter {
    /// The rows that can fit: what has ended is in no queue, and what waits has not ended.
    fn which(&self) -> Which {
        match self.state {
            Some(StateKind::Completed | StateKind::Cancelled | StateKind::Abandoned) => Which::Ended,
            None if self.queue.is_none() => Which::All,
            _ => Which::Live,
        }
    }

    /// A name that stands for nothing, where nothing was found under it.
    fn unknown(&self, configuration: &Configuration) -> Option<Problem> {
        let queue = self.queue.as_ref().filter(|name| !configuration.queues.contains_key(*name));
        let workflow = self.workflow.as_ref().filter(|name| !configuration.workflows.contains_key(*name));
        let unknown = |noun: &'static str, name: &Name| Problem::unknown(noun, name).named_in(noun);
        queue.map(|name| unknown("queue", name)).or_else(|| workflow.map(|name| unknown("workflow", name)))
    }

    fn takes(&self, summary: &Summary) -> bool {
        let (state, media_type) = match summary {
            Summary::Live(live) => (live.state.kind(), &live.media_type),
            Summary::Ended(ended) => (ended.state, &ended.media_type),
        };
        let workflow = |wanted: &Name| match summary {
            Summary::Live(live) => live.frames.iter().any(|frame| frame.workflow == *wanted),
            Summary::Ended(ended) => ended.workflow.as_ref().is_some_and(|(name, _)| name == wanted),
        };
        let queue = |wanted: &Name| match summary {
            Summary::Live(live) => live.position().is_some_and(|position| position.queue == *wanted),
            Summary::Ended(_) => false,
        };
        self.state.is_none_or(|wanted| wanted == state)
            && self.media_type.as_ref().is_none_or(|wanted| wanted == media_type)
            && self.workflow.as_ref().is_none_or(workflow)
            && self.queue.as_ref().is_none_or(queue)
    }
}

/// Lists interactions, the newest first. A page may be empty and still have `next`: follow it until there is none.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/interactions",
    security(("token" = ["client", "agent", "operator"])),
    params(Filter),
    responses((status = 200, description = "A page.", body = Page<Interaction>))
)]
async fn list(caller: Caller<Follow>, Query(filter): Query<Filter>) -> Result<Answer<Page<Interaction>>, Problem> {
    let limit = cursor::limit(filter.limit)?;
    let before = cursor::decode::<16>(filter.cursor.as_deref())?;
    let number = caller.lane.number();
    let configuration = caller.lane.published().configuration.clone();
    let page = caller.state.read(move |store| {
        let look_max = if filter.category.is_some() { LOOK_INTO_MAX } else { LOOK_MAX };
        let before = before.as_ref().map(<[u8; 16]>::as_slice);
        let found = store.interactions(number, filter.which(), before, limit, look_max, |id, summary| {
            let Some(category) = filter.category.as_ref().filter(|_| filter.takes(summary)) else {
                return Ok(filter.takes(summary));
            };
            let content = store.content(number, id)?;
            Ok(content.is_some_and(|c| c.facts.categories.iter().any(|c| c.name == *category)))
        })?;
        let page = Interaction::page(store, &configuration, number, found)?;
        let nothing = page.items.is_empty() && page.next.is_none();
        let unknown = if nothing { filter.unknown(&configuration) } else { None };
        Ok((page, unknown))
    });
    match page.await? {
        (_, Some(unknown)) => Err(unknown),
        (page, None) => Ok(Answer(page)),
    }
}

/// Shows an interaction.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/interactions/{interaction}",
    security(("token" = ["client", "agent", "operator"])),
    responses((status = 200, description = "The interaction.", body = InteractionDetail))
)]
async fn get(caller: Caller<Follow>, parameters: Parameters) -> Result<Answer<InteractionDetail>, Problem> {
    caller.interaction(parameters.get("interaction")?).await.map(Answer)
}

/// Shows an interaction's user data.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/interactions/{interaction}/user-data",
    security(("token" = ["client", "agent", "operator"])),
    responses((status = 200, description = "Its items.", body = BTreeMap<String, String>))
)]
async fn user_data(
    caller: Caller<Follow>,
    parameters: Parameters,
) -> Result<Answer<BTreeMap<String, String>>, Problem> {
    read_user_data(&caller, parameters.get("interaction")?).await
}

async fn read_user_data<G: Grant>(
    caller: &Caller<G>,
    id: InteractionId,
) -> Result<Answer<BTreeMap<String, String>>, Problem> {
    let number = caller.lane.number();
    let content = caller.state.read(move |store| store.content(number, id)).await?;
    content.map(|c| Answer(c.facts.user_data)).ok_or_else(|| Problem::unknown("interaction", id))
}

/// Shows what was said in an interaction, the oldest first: at most 500 texts of together 256 KiB.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/interactions/{interaction}/transcript",
    security(("token" = ["client", "agent", "operator"])),
    responses((status = 200, description = "What was said.", body = Transcript))
)]
async fn transcript(caller: Caller<Follow>, parameters: Parameters) -> Result<Answer<Transcript>, Problem> {
    let id: InteractionId = parameters.get("interaction")?;
    let number = caller.lane.number();
    let content = caller.state.read(move |store| store.content(number, id)).await?;
    content.map(|c| Answer(c.facts.transcript)).ok_or_else(|| Problem::unknown("interaction", id))
}

/// Merges items into an interaction's user data; null removes an item. Strategies that are being asked do not see it.
#[utoipa::path(
    patch,
    path = "/v1/accounts/{account}/interactions/{interaction}/user-data",
    security(("token" = ["client"])),
    request_body = BTreeMap<String, Option<String>>,
    responses((status = 200, description = "All its items.", body = BTreeMap<String, String>))
)]
async fn set_user_data(
    caller: Caller<Submit>,
    parameters: Parameters,
    Json(items): Json<BTreeMap<String, Option<String>>>,
) -> Result<Answer<BTreeMap<String, String>>, Problem> {
    let interaction = parameters.get("interaction")?;
    if !items.is_empty() {
        let entry = |(key, value): (String, Option<String>)| Entry { key, value: value.unwrap_or_default() };
        let entries = items.into_iter().map(entry).collect();
        caller.act(interaction, Command::SetUserData { interaction, entries }).await?;
    }
    read_user_data(&caller, interaction).await
}

/// Why an interaction is cancelled.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Cancellation {
    /// In words, 1 byte to 8 KiB. Left out: `cancelled by` and the name of the token.
    #[serde(default)]
    reason: Option<String>,
}

/// Cancels an interaction, wherever it is: a token with the role `client` for the customer, who is gone then for whoever was
/// offered it; others for the account, and offers are revoked.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/cancel",
    security(("token" = ["client", "operator"])),
    request_body = Option<Cancellation>,
    responses((status = 200, description = "It is cancelled.", body = InteractionDetail))
)]
async fn cancel(
    caller: Caller<Cancel>,
    parameters: Parameters,
    OptionalJson(Cancellation { reason }): OptionalJson<Cancellation>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let by = caller.by();
    let reason = reason.unwrap_or_else(|| format!("cancelled by {by}"));
    caller.acted(interaction, Command::Cancel { interaction, reason, by, for_customer: caller.is_client() }).await
}

/// Where a parked interaction goes on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Resumption {
    /// The element. Left out: the one where it was parked.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    element: Option<Name>,
}

/// Goes on with a parked interaction, in the newest version of its workflow.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/resume",
    security(("token" = ["operator"])),
    request_body = Option<Resumption>,
    responses((status = 200, description = "It goes on.", body = InteractionDetail))
)]
async fn resume(
    caller: Caller<Operate>,
    parameters: Parameters,
    OptionalJson(Resumption { element }): OptionalJson<Resumption>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let by = caller.by();
    caller.acted(interaction, Command::Resume { interaction, element, by }).await
}

/// How the work on an interaction ended.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Completion {
    /// Disposition code, at most 128 bytes. Left out: `completed`.
    #[serde(default)]
    disposition: Option<String>,
}

/// Says that the work on a taken interaction is done; its workflow goes on. An agent may do so with what it took itself, an
/// operator also with what waits in a queue, is offered, is wrapped up or is parked; what is parked elsewhere than in a
/// queue ends.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/complete",
    security(("token" = ["agent", "operator"])),
    request_body = Option<Completion>,
    responses((status = 200, description = "The work is done.", body = InteractionDetail))
)]
async fn complete(
    caller: Caller<Settle>,
    parameters: Parameters,
    OptionalJson(Completion { disposition }): OptionalJson<Completion>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let disposition = disposition.unwrap_or_else(|| "completed".to_owned());
    let (by, for_anyone) = (caller.by(), caller.acts_for_anyone());
    caller.acted(interaction, Command::Complete { interaction, disposition, by, for_anyone }).await
}

/// Puts a taken interaction back to its place in the queue. An agent may do so with what it took itself.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions/{interaction}/release",
    security(("token" = ["agent", "operator"])),
    responses((status = 200, description = "It waits again.", body = InteractionDetail))
)]
async fn release(caller: Caller<Settle>, parameters: Parameters) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let (by, for_anyone) = (caller.by(), caller.acts_for_anyone());
    caller.acted(interaction, Command::Release { interaction, by, for_anyone }).await
}

impl<G: Grant> Caller<G> {
    /// Does something with a live interaction.
    ///
    /// # Errors
    /// `interaction-ended` where it is not live any more, or what the engine says.
    async fn act(&self, id: InteractionId, command: Command) -> Result<Record, Problem> {
        match self.lane.command(command).await {
            Err(lane::Error::Rejected(Rejection::InteractionUnknown(_))) => {
                let number = self.lane.number();
                match self.state.read(move |store| store.summary(number, id)).await? {
                    Some(Summary::Ended(ended)) => Err(Problem::interaction_ended(ended.state.name())),
                    _ => Err(Problem::unknown("interaction", id)),
                }
            }
            result => Ok(result?),
        }
    }

    pub(super) async fn acted(
        &self,
        id: InteractionId,
        command: Command,
    ) -> Result<Answer<InteractionDetail>, Problem> {
        self.act(id, command).await?;
        self.interaction(id).await.map(Answer)
    }
}
