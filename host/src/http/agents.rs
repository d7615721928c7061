//! What agents do: log in, become ready, and answer offers. Over plain HTTP here, over a session in `session.rs`; both end
//! in [`Act`]. What they do with an interaction stands in `work.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json as Answer;
use serde::{Deserialize, Serialize};
use signalbox_engine::{
    Account, AgentAction, Attention, Command, Connection, Event, InteractionId, Live, Name, OfferAnswer, OfferId,
    Pending, Readiness, Record, Rejection, Sequence, State as Where, StateKind, UnixMillis,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Grant, Look, Settle};
use super::body::{Json, Parameters, Query};
use super::cursor::{self, Page};
use super::interaction::{InteractionDetail, OfferView};
use super::{Problem, State};
use crate::lane::{self, Lane, Snapshot};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(states))
        .routes(routes!(state))
        .routes(routes!(log_in))
        .routes(routes!(log_out))
        .routes(routes!(ready))
        .routes(routes!(not_ready))
        .routes(routes!(accept))
        .routes(routes!(decline))
}

/// Where an agent logs in.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Entrance {
    /// The place where it sits.
    #[schema(value_type = Option<String>)]
    pub(super) place: Option<Name>,
    /// The media types that it takes. Empty: all.
    #[schema(value_type = Vec<String>)]
    pub(super) media_types: BTreeSet<Name>,
}

/// When an agent logs out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Exit {
    /// Once its work is done. Otherwise it is refused while the agent has work.
    pub(super) after_work: bool,
}

/// Why an agent is not ready.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pause {
    /// Reason code, one of the account's where it has any.
    #[schema(value_type = String)]
    pub(super) reason: Name,
    /// Once its work is done.
    #[serde(default)]
    pub(super) after_work: bool,
}

/// Why an offer is declined.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Refusal {
    /// In words; at most 8 KiB.
    pub(super) reason: String,
}

/// An agent's state, as the API shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum AgentState {
    /// Not logged in.
    LoggedOut,
    /// Wants no work.
    NotReady,
    /// Wants work and has none.
    Ready,
    /// Works on something.
    Busy,
    /// Does after-contact work, and nothing else.
    WrapUp,
}

/// How things stand for an agent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentView {
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
    /// Its state.
    state: AgentState,
    /// Since when it is ready, not ready, or logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    since_ms: Option<UnixMillis>,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    reason: Option<Name>,
    /// What it does once its work is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<Pending>,
    /// Where it sits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    place: Option<Name>,
    /// The media types that it takes; empty for all.
    #[schema(value_type = Vec<String>)]
    media_types: BTreeSet<Name>,
    /// A session is open.
    connected: bool,
    /// The share of its capacity that is in use, 0 to 100.
    load_percent: u8,
    /// The last command that this counts in.
    sequence: u64,
    /// Offers that are open.
    offers: Vec<OfferView>,
    /// What it has in hand, its workbin and its wrap-ups included.
    work: Vec<AgentWork>,
}

/// An interaction in an agent's hands.
#[derive(Debug, Serialize, ToSchema)]
struct AgentWork {
    /// Its identifier.
    #[schema(value_type = String, format = "uuid")]
    interaction: InteractionId,
    /// `assigned` or `wrap-up`.
    state: StateKind,
    /// Its medium.
    #[schema(value_type = String)]
    media_type: Name,
    /// Since when.
    #[schema(value_type = u64)]
    since_ms: UnixMillis,
    /// How it is attended to.
    #[serde(skip_serializing_if = "Option::is_none")]
    attention: Option<Attention>,
}

impl AgentView {
    pub(super) fn new(name: Name, snapshot: Snapshot) -> Self {
        let Snapshot { sequence, login, load_percent, work } = snapshot;
        let mine = |live: &Live| live.agent() == Some(&name);
        let offers = work.iter().flat_map(|(id, live)| live.offers().map(move |offer| (*id, offer)));
        let offers = offers.filter(|(_, offer)| offer.agent == name).map(|(id, offer)| OfferView::new(id, offer));
        let offers = offers.collect();
        let in_hand: Vec<_> = work.iter().filter(|(_, live)| mine(live)).collect();
        let busy = in_hand.iter().any(|(_, live)| is_active(live));
        let wraps_up = in_hand.iter().any(|(_, live)| matches!(live.state, Where::WrapUp(_)));
        let state = match &login {
            None => AgentState::LoggedOut,
            Some(_) if busy => AgentState::Busy,
            Some(_) if wraps_up => AgentState::WrapUp,
            Some(login) if login.readiness == Readiness::Ready => AgentState::Ready,
            Some(_) => AgentState::NotReady,
        };
        let work = in_hand.into_iter().map(|(id, live)| AgentWork {
            interaction: *id,
            state: live.state.kind(),
            media_type: live.media_type.clone(),
            since_ms: live.since,
            attention: match &live.state {
                Where::Assigned(assignment) => Some(assignment.attention),
                _ => None,
            },
        });
        let work = work.collect();
        let since_ms = login.as_ref().map(|login| login.since);
        let reason = login.as_ref().and_then(|login| match &login.readiness {
            Readiness::NotReady { reason } => Some(reason.clone()),
            Readiness::Ready => None,
        });
        let connected = login.as_ref().is_some_and(|login| login.connection == Connection::Open);
        let (pending, place, media_types) =
            login.map(|login| (login.pending, login.place, login.media_types)).unwrap_or_default();
        let sequence = sequence.0;
        Self {
            name,
            state,
            since_ms,
            reason,
            pending,
            place,
            media_types,
            connected,
            load_percent,
            sequence,
            offers,
            work,
        }
    }
}

fn is_active(live: &Live) -> bool {
    matches!(&live.state, Where::Assigned(assignment) if assignment.attention != Attention::Workbin)
}

/// Somebody who acts for an agent: the agent itself, by a token of its name, or an operator.
pub(super) struct Act {
    lane: Arc<Lane>,
    agent: Name,
    by: String,
    for_anyone: bool,
}

impl<G: Grant> Caller<G> {
    /// The agent that a path names, if the caller may act for it.
    ///
    /// # Errors
    /// `agent-unknown`, or `agent-of-another` where a token with the role `agent` alone has another name.
    pub(super) fn acting(&self, parameters: &Parameters) -> Result<Act, Problem> {
        let agent: Name = parameters.get("agent")?;
        if !self.lane.published().configuration.agents.contains_key(&agent) {
            return Err(Problem::unknown("agent", &agent).field("agent").todo("put the agent first, or name another"));
        }
        let (by, for_anyone) = (self.by(), self.acts_for_anyone());
        if !for_anyone && agent != by.as_str() {
            return Err(Problem::agent_of_another(agent.as_str(), &by));
        }
        Ok(Act { lane: Arc::clone(&self.lane), agent, by, for_anyone })
    }

    async fn view(&self, agent: Name) -> Result<AgentView, Problem> {
        let asked = agent.clone();
        let snapshot = self.lane.ask(move |account: &Account| Snapshot::of(account, &asked)).await?;
        Ok(AgentView::new(agent, snapshot))
    }
}

impl Act {
    /// The agent.
    pub(super) fn agent(&self) -> &Name {
        &self.agent
    }

    pub(super) fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// Asks for another state of the agent.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) async fn become_(&self, action: AgentAction) -> Result<Record, Problem> {
        let command = Command::Agent { agent: self.agent.clone(), action, by: self.by.clone() };
        Ok(self.lane.command(command).await?)
    }

    /// Answers an offer.
    ///
    /// # Errors
    /// `offer-ended` with how it ended, `offer-of-another`, or `offer-unknown`.
    pub(super) async fn answer(&self, state: &State, offer: OfferName, answer: OfferAnswer) -> Result<(), Problem> {
        let OfferName { interaction, offer } = offer;
        let command = Command::AnswerOffer { interaction, offer, agent: self.agent.clone(), answer };
        match self.lane.command(command).await {
            Err(lane::Error::Rejected(Rejection::OfferEnded { .. })) => {
                let number = self.lane.number();
                let from = Sequence(offer.0);
                let records = state.read(move |store| store.timeline(number, interaction, from, RECORDS_MAX)).await?;
                // An offer is named by the command that made it, which is the first of these.
                let mut made = records.iter().flat_map(|record| &record.events).filter_map(|event| match event {
                    Event::Offered { id, offer: made } if *id == interaction && made.id == offer => Some(&made.agent),
                    _ => None,
                });
                match made.next() {
                    None => return Err(Problem::unknown("offer", OfferName { interaction, offer }).field("offer")),
                    Some(agent) if *agent != self.agent => {
                        return Err(Problem::offer_of_another(self.agent.as_str()));
                    }
                    Some(_) => {}
                }
                let mut ends = records.iter().flat_map(|record| &record.events).filter_map(|event| match event {
                    Event::OfferEnded { offer: ended, how, .. } if *ended == offer => Some(how.name()),
                    _ => None,
                });
                Err(Problem::offer_ended(ends.next()))
            }
            result => Ok(result.map(drop)?),
        }
    }

    /// Does something with an interaction.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) async fn with(&self, command: impl FnOnce(String, bool) -> Command) -> Result<Record, Problem> {
        Ok(self.lane.command(command(self.by.clone(), self.for_anyone)).await?)
    }
}

/// Records behind the one that made an offer that are looked through for how it ended.
const RECORDS_MAX: usize = 1000;

/// An offer as it is named: `INTERACTION:NUMBER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OfferName {
    pub(super) interaction: InteractionId,
    pub(super) offer: OfferId,
}

impl std::fmt::Display for OfferName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.interaction, self.offer.0)
    }
}

impl std::str::FromStr for OfferName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = "an offer is named INTERACTION:NUMBER";
        let (interaction, number) = text.split_once(':').ok_or(fault)?;
        let interaction = interaction.parse().map_err(|_| fault)?;
        Ok(Self { interaction, offer: OfferId(number.parse().map_err(|_| fault)?) })
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listed {
    /// 1 to 200; 50 where nobody says.
    limit: Option<usize>,
    /// Where a page said that the list goes on.
    cursor: Option<String>,
}

/// Lists how things stand for the agents who are logged in, by name.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/agent-states",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    params(Listed),
    responses((status = 200, description = "Some of them.", body = Page<AgentView>))
)]
async fn states(
    caller: Caller<Look>,
    Query(Listed { limit, cursor }): Query<Listed>,
) -> Result<Answer<Page<AgentView>>, Problem> {
    let limit = cursor::limit(limit)?;
    let after = cursor.as_deref().map(cursor::decode_name).transpose()?;
    let look = move |account: &Account| {
        let mut logins = account.logins_after(after.as_ref());
        let page = logins.by_ref().take(limit).map(|(agent, _)| (agent.clone(), Snapshot::of(account, agent)));
        (page.collect::<Vec<_>>(), logins.next().is_some())
    };
    let (page, goes_on) = caller.lane.ask(look).await?;
    let last = page.last().map(|(agent, _)| cursor::encode(agent.as_str().as_bytes()));
    let items = page.into_iter().map(|(agent, snapshot)| AgentView::new(agent, snapshot)).collect();
    Ok(Answer(Page { items, next: last.filter(|_| goes_on) }))
}

/// Shows how things stand for an agent: its state, its offers and its work.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/agents/{agent}/state",
    security(("token" = ["agent", "operator"])),
    responses((status = 200, description = "The agent.", body = AgentView))
)]
async fn state(caller: Caller<Settle>, parameters: Parameters) -> Result<Answer<AgentView>, Problem> {
    let act = caller.acting(&parameters)?;
    caller.view(act.agent).await.map(Answer)
}

/// Logs an agent in, not ready at first.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/agents/{agent}/login",
    security(("token" = ["agent", "operator"])),
    request_body = Entrance,
    responses((status = 200, description = "It is logged in.", body = AgentView))
)]
async fn log_in(
    caller: Caller<Settle>,
    parameters: Parameters,
    Json(Entrance { place, media_types }): Json<Entrance>,
) -> Result<Answer<AgentView>, Problem> {
    let act = caller.acting(&parameters)?;
    let login = AgentAction::LogIn { place, media_types, connected: false };
    act.become_(login).await.map_err(|problem| problem.named_in("place"))?;
    caller.view(act.agent).await.map(Answer)
}

/// Logs an agent out.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/agents/{agent}/logout",
    security(("token" = ["agent", "operator"])),
    request_body = Exit,
    responses((status = 200, description = "It is logged out, or will be.", body = AgentView))
)]
async fn log_out(
    caller: Caller<Settle>,
    parameters: Parameters,
    Json(Exit { after_work }): Json<Exit>,
) -> Result<Answer<AgentView>, Problem> {
    let act = caller.acting(&parameters)?;
    act.become_(AgentAction::LogOut { after_work }).await?;
    caller.view(act.agent).await.map(Answer)
}

/// Makes an agent ready for offers.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/agents/{agent}/ready",
    security(("token" = ["agent", "operator"])),
    responses((status = 200, description = "It is ready.", body = AgentView))
)]
async fn ready(caller: Caller<Settle>, parameters: Parameters) -> Result<Answer<AgentView>, Problem> {
    let act = caller.acting(&parameters)?;
    act.become_(AgentAction::Ready).await?;
    caller.view(act.agent).await.map(Answer)
}

/// Makes an agent not ready; offers that are open are revoked.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/agents/{agent}/not-ready",
    security(("token" = ["agent", "operator"])),
    request_body = Pause,
    responses((status = 200, description = "It is not ready, or will not be.", body = AgentView))
)]
async fn not_ready(
    caller: Caller<Settle>,
    parameters: Parameters,
    Json(Pause { reason, after_work }): Json<Pause>,
) -> Result<Answer<AgentView>, Problem> {
    let act = caller.acting(&parameters)?;
    act.become_(AgentAction::NotReady { reason, after_work }).await?;
    caller.view(act.agent).await.map(Answer)
}

/// Accepts an offer.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/agents/{agent}/offers/{offer}/accept",
    security(("token" = ["agent", "operator"])),
    responses((status = 200, description = "The interaction is the agent's.", body = InteractionDetail))
)]
async fn accept(caller: Caller<Settle>, parameters: Parameters) -> Result<Answer<InteractionDetail>, Problem> {
    let (act, offer) = (caller.acting(&parameters)?, parameters.get::<OfferName>("offer")?);
    act.answer(&caller.state, offer, OfferAnswer::Accept).await?;
    caller.interaction(offer.interaction).await.map(Answer)
}

/// Declines an offer.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/agents/{agent}/offers/{offer}/decline",
    security(("token" = ["agent", "operator"])),
    request_body = Refusal,
    responses((status = 200, description = "It is offered to others.", body = AgentView))
)]
async fn decline(
    caller: Caller<Settle>,
    parameters: Parameters,
    Json(Refusal { reason }): Json<Refusal>,
) -> Result<Answer<AgentView>, Problem> {
    let act = caller.acting(&parameters)?;
    act.answer(&caller.state, parameters.get("offer")?, OfferAnswer::Decline { reason }).await?;
    caller.view(act.agent).await.map(Answer)
}
