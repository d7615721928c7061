//! Callbacks: the rules that they are offered by, the slots that are free, and what is done with one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json as Answer;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use signalbox_engine::{
    AttemptOutcome, Calendar, CallbackRules, Command, Configuration, Document, DocumentKind, InteractionId,
    MomentError, Name, Speaker, StateKind, UnixMillis, number,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Follow, Grant, Look, Operate, Settle, Submit};
use super::body::{Json, JsonBytes, Parameters, Query, parse};
use super::cursor::{self, Page};
use super::document::{Condition, named, put_status, tag, tagged};
use super::interaction::{Interaction, InteractionDetail};
use super::interactions::{LOOK_INTO_MAX, LOOK_MAX};
use super::submit::{IdempotencyKey, NewInteraction, SubmittedInteraction, submitted};
use super::work::Closing;
use super::{Problem, State, now};
use crate::store::{Summary, Which};

/// How far apart `from_ms` and `until_ms` of slots may be: 31 days.
const SLOTS_MS_MAX: u64 = 31 * DAY_MS;
/// How far apart they are where `until_ms` is left out: 7 days.
const SLOTS_MS: u64 = 7 * DAY_MS;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, put, delete))
        .routes(routes!(slots))
        .routes(routes!(callbacks, book))
        .routes(routes!(show))
        .routes(routes!(reschedule))
        .routes(routes!(cancel))
        .routes(routes!(close))
        .routes(routes!(attempt))
}

/// Lists the rules of callbacks.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/callback-rules",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    responses((status = 200, description = "All of them.", body = Page<CallbackRules>))
)]
async fn list(caller: Caller<Look>) -> Answer<Page<CallbackRules>> {
    let configuration = caller.configuration();
    Answer(Page::whole(configuration.callback_rules.values().map(|rules| (**rules).clone())))
}

/// Shows rules of callbacks.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/callback-rules/{callback-rules}",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    responses((status = 200, description = "The rules.", body = CallbackRules))
)]
async fn get(caller: Caller<Look>, parameters: Parameters) -> Result<Response, Problem> {
    let configuration = caller.configuration();
    Ok(tagged(StatusCode::OK, &**rules_of(&configuration, &parameters.get("callback-rules")?)?))
}

fn rules_of<'a>(configuration: &'a Configuration, name: &Name) -> Result<&'a Arc<CallbackRules>, Problem> {
    configuration.callback_rules.get(name).ok_or_else(|| Problem::unknown("callback-rules", name))
}

/// Makes or changes rules of callbacks. What is booked stays booked.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/callback-rules/{callback-rules}",
    security(("token" = ["operator"])),
    request_body(content = CallbackRules, description = "`name` may be left out."),
    responses(
        (status = 200, description = "They were changed.", body = CallbackRules),
        (status = 201, description = "They were made.", body = CallbackRules)
    )
)]
async fn put(
    caller: Caller<Operate>,
    parameters: Parameters,
    condition: Condition,
    Json(body): Json<Map<String, Value>>,
) -> Result<Response, Problem> {
    let name: Name = parameters.get("callback-rules")?;
    let new: CallbackRules = named(body, &[("name", &name)])?;
    let _held = caller.state.documents(&caller.lane).await;
    let standing = caller.configuration().callback_rules.get(&name).cloned();
    condition.check(standing.as_deref().map(tag).as_deref())?;
    let put = caller.put(Document::CallbackRules(Arc::new(new.clone()))).await;
    put.map_err(|problem| match problem.code() {
        "workflow-unknown" => problem.named_in("workflow"),
        _ => problem.named_in("calendar"),
    })?;
    Ok(tagged(put_status(standing.as_ref()), &new))
}

/// Deletes rules by which no callback is booked.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/callback-rules/{callback-rules}",
    security(("token" = ["operator"])),
    responses((status = 204, description = "They are gone."))
)]
async fn delete(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
    caller.remove_named(DocumentKind::CallbackRules, &parameters, "callback-rules").await
}

/// Which slots are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Stretch {
    /// Those that begin at this moment or later; left out: from now on.
    from_ms: Option<u64>,
    /// Those that begin before this moment, at most 31 days after `from_ms`; left out: 7 days after it.
    until_ms: Option<u64>,
}

/// A time that callbacks are offered for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Slot)]
struct SlotView {
    /// From this moment on.
    #[schema(value_type = u64)]
    starts_at_ms: UnixMillis,
    /// Up to and without this moment.
    #[schema(value_type = u64)]
    ends_at_ms: UnixMillis,
    /// When it begins by the clock of the calendar, with its offset.
    starts_at: Option<String>,
    /// How many more callbacks it takes; 0 where it is full.
    free: u32,
}

/// Lists the slots that are offered now, full ones too; at most 2,016 of them.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/callback-rules/{callback-rules}/slots",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    params(Stretch),
    responses((status = 200, description = "In the order of time.", body = Page<SlotView>))
)]
async fn slots(
    caller: Caller<Look>,
    parameters: Parameters,
    Query(stretch): Query<Stretch>,
) -> Result<Answer<Page<SlotView>>, Problem> {
    let name: Name = parameters.get("callback-rules")?;
    let configuration = caller.configuration();
    let rules = Arc::clone(rules_of(&configuration, &name)?);
    let calendar = Arc::clone(calendar_of(&configuration, &rules)?);
    let now = now();
    let from = stretch.from_ms.map_or(now, UnixMillis);
    let until = stretch.until_ms.map_or(from.plus(SLOTS_MS), UnixMillis);
    if until.0.saturating_sub(from.0) > SLOTS_MS_MAX {
        return Err(Problem::query_invalid("until_ms", "at most 31 days after `from_ms`"));
    }
    // A slot may reach beyond the stretch in which it begins.
    let during = from..until.plus(DAY_MS);
    let bookings = caller.lane.ask(move |account| account.callback_bookings(&name, during).collect::<BTreeMap<_, _>>());
    let bookings = bookings.await?;
    let shown = super::blocking(move || {
        let booked = |slot: std::ops::Range<UnixMillis>| {
            bookings.range(slot).map(|(_, count)| *count).fold(0, u32::saturating_add)
        };
        let slots = rules.slots(&calendar, now, from..until, booked);
        let shown = slots.into_iter().map(|slot| SlotView {
            starts_at_ms: slot.starts_at,
            ends_at_ms: slot.ends_at,
            starts_at: calendar.shown(slot.starts_at),
            free: slot.free,
        });
        shown.collect::<Vec<_>>()
    });
    Ok(Answer(Page::whole(shown.await?)))
}

fn calendar_of<'a>(configuration: &'a Configuration, rules: &CallbackRules) -> Result<&'a Arc<Calendar>, Problem> {
    configuration.calendars.get(&rules.calendar).ok_or_else(|| Problem::unknown("calendar", &rules.calendar))
}

/// Which callbacks are wanted; each that is given must fit.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// In this state.
    state: Option<StateKind>,
    /// To this number, however it is written.
    number: Option<String>,
    /// Most items: 1 to 200, 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl Filter {
    /// The rows that can fit.
    fn which(&self) -> Which {
        match self.state {
            None => Which::All,
            Some(StateKind::Completed | StateKind::Cancelled | StateKind::Abandoned) => Which::Ended,
            Some(_) => Which::Live,
        }
    }

    /// Whether a callback is in the state that is wanted, and is or was one.
    fn takes(&self, summary: &Summary) -> bool {
        let (state, is_callback) = match summary {
            Summary::Live(live) => (live.state.kind(), live.callback.is_some() || live.media_type == "callback"),
            Summary::Ended(ended) => (ended.state, ended.callback.is_some() || ended.media_type == "callback"),
        };
        is_callback && self.state.is_none_or(|wanted| wanted == state)
    }
}

/// Lists callbacks, the newest first. A page may be empty and still have `next`: follow it until there is none.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/callbacks",
    security(("token" = ["client", "agent", "operator"])),
    params(Filter),
    responses((status = 200, description = "A page.", body = Page<Interaction>))
)]
async fn callbacks(caller: Caller<Follow>, Query(filter): Query<Filter>) -> Result<Answer<Page<Interaction>>, Problem> {
    let limit = cursor::limit(filter.limit)?;
    let before = cursor::decode::<16>(filter.cursor.as_deref())?;
    let account = caller.lane.number();
    let configuration = caller.lane.published().configuration.clone();
    let page = caller.state.read(move |store| {
        let wanted = filter.number.as_deref().map(number);
        let look_max = if wanted.is_some() { LOOK_INTO_MAX } else { LOOK_MAX };
        let before = before.as_ref().map(<[u8; 16]>::as_slice);
        let found = store.interactions(account, filter.which(), before, limit, look_max, |id, summary| {
            let Some(wanted) = wanted.as_ref().filter(|_| filter.takes(summary)) else {
                return Ok(filter.takes(summary));
            };
            let callback = match summary {
                Summary::Live(live) => &live.callback,
                Summary::Ended(ended) => &ended.callback,
            };
            if let Some(callback) = callback {
                return Ok(callback.number == *wanted);
            }
            let content = store.content(account, id)?;
            Ok(content.and_then(|c| c.message.sender.as_deref().map(number)).as_ref() == Some(wanted))
        })?;
        Interaction::page(store, &configuration, account, found)
    });
    page.await.map(Answer)
}

/// When somebody wants to be called: `at` or `at_ms`, or neither for as soon as possible.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct When {
    /// A moment such as `2026-03-29T14:30` by the clock of the rules' calendar, or with an offset. A time that this clock
    /// leaves out or shows twice is refused.
    at: Option<String>,
    /// The same in milliseconds since 1970.
    at_ms: Option<u64>,
}

impl When {
    fn moment(&self, calendar: &Calendar) -> Result<Option<UnixMillis>, Problem> {
        match (&self.at, self.at_ms) {
            (Some(_), Some(_)) => Err(Problem::value_invalid("at", "give `at` or `at_ms`, not both")),
            (None, at_ms) => Ok(at_ms.map(UnixMillis)),
            (Some(at), None) => calendar.moment(at).map(Some).map_err(|error| {
                let code = match error {
                    MomentError::Skipped { .. } => "time-skipped",
                    MomentError::Twice { .. } => "time-ambiguous",
                    _ => "invalid",
                };
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string()).field("at")
            }),
        }
    }
}

/// A callback that is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCallback {
    /// The rules that it is offered by.
    #[schema(value_type = String)]
    rules: Name,
    /// Whom to call. By each set of rules a number has one callback at a time.
    number: String,
    /// A moment by the clock of the rules' calendar, or with an offset; see also `at_ms`. Neither: as soon as possible.
    #[serde(default)]
    at: Option<String>,
    /// The moment in milliseconds since 1970.
    #[serde(default)]
    at_ms: Option<u64>,
    /// What it is about. At most 4 KiB.
    #[serde(default)]
    subject: Option<String>,
    /// The same at length. At most 1 MiB of UTF-8.
    #[serde(default)]
    body: String,
    /// BCP 47 tag, where it is known.
    #[serde(default)]
    language: Option<String>,
    /// Attached data: at most 256 items, keys of at most 128 bytes, values of at most 8 KiB.
    #[serde(default)]
    user_data: BTreeMap<String, String>,
    /// 0 to 1000.
    #[serde(default)]
    #[schema(maximum = 1000)]
    priority: u16,
}

/// Books a callback, for a moment that is offered or as soon as possible.
///
/// It is an interaction: until its moment has come it is `scheduled`, then it goes through the workflow of its rules. With
/// an `Idempotency-Key` the request can be repeated for 24 hours.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/callbacks",
    security(("token" = ["client"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 bytes, new for each callback.")),
    request_body = NewCallback,
    responses((status = 201, description = "It is booked.", body = SubmittedInteraction))
)]
async fn book(caller: Caller<Submit>, key: IdempotencyKey, JsonBytes(raw): JsonBytes) -> Result<Response, Problem> {
    let idempotency = key.with(&raw.bytes);
    let new: NewCallback = parse(&raw.bytes)?;
    let configuration = caller.configuration();
    let rules = rules_of(&configuration, &new.rules).map_err(|problem| problem.named_in("rules"))?;
    let calendar = calendar_of(&configuration, rules).map_err(|problem| problem.named_in("rules"))?;
    if new.number.trim().is_empty() || new.number.len() > 256 {
        return Err(Problem::value_invalid("number", "1 to 256 bytes"));
    }
    let at = When { at: new.at, at_ms: new.at_ms }.moment(calendar)?;
    let media_type = Name::new("callback").map_err(|error| Problem::internal("a name is no name", &error))?;
    let interaction = NewInteraction {
        workflow: rules.workflow.clone(),
        media_type,
        subject: new.subject,
        body: new.body,
        sender: Some(new.number),
        recipient: None,
        headers: Vec::new(),
        language: new.language,
        user_data: new.user_data,
        priority: new.priority,
        at_ms: at,
    };
    let mut submission = interaction.into_submission()?;
    submission.callback = Some(new.rules);
    let booked = caller.lane.submit(submission, idempotency).await;
    drop(raw);
    let booked = booked.map_err(|error| Problem::from(error).named_in("rules"))?;
    Ok(submitted(&caller.lane, "callbacks", booked))
}

/// Shows a callback.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/callbacks/{interaction}",
    security(("token" = ["client", "agent", "operator"])),
    responses((status = 200, description = "The callback.", body = InteractionDetail))
)]
async fn show(caller: Caller<Follow>, parameters: Parameters) -> Result<Answer<InteractionDetail>, Problem> {
    caller.callback(parameters.get("interaction")?).await.map(Answer)
}

/// Books a callback for another moment, or for as soon as possible. What nobody has reached yet begins anew then. An agent
/// may do so with what it has itself.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/callbacks/{interaction}/reschedule",
    security(("token" = ["client", "agent", "operator"])),
    request_body = When,
    responses((status = 200, description = "It is booked for another moment.", body = InteractionDetail))
)]
async fn reschedule(
    caller: Caller<Follow>,
    parameters: Parameters,
    Json(when): Json<When>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction: InteractionId = parameters.get("interaction")?;
    let configuration = caller.configuration();
    let rules = caller.lane.ask(move |account| {
        let live = account.live(interaction)?;
        live.callback.as_ref().map(|callback| callback.rules.clone())
    });
    let at = match rules.await? {
        Some(rules) => when.moment(calendar_of(&configuration, rules_of(&configuration, &rules)?)?)?,
        // Whatever it is, the engine says why it cannot be done.
        None => when.at_ms.map(UnixMillis),
    };
    let (by, for_anyone) = (caller.by(), caller.acts_for_anyone());
    let speaker = if caller.is_client() { Speaker::Customer } else { Speaker::Agent };
    caller.acted(interaction, Command::RescheduleCallback { interaction, at, speaker, by, for_anyone }).await
}

/// Why a callback is cancelled.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CallbackCancellation {
    /// In words, at most 8 KiB.
    reason: String,
}

/// Cancels a callback, wherever it is.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/callbacks/{interaction}/cancel",
    security(("token" = ["client"])),
    request_body = CallbackCancellation,
    responses((status = 200, description = "It is cancelled.", body = InteractionDetail))
)]
async fn cancel(
    caller: Caller<Submit>,
    parameters: Parameters,
    Json(CallbackCancellation { reason }): Json<CallbackCancellation>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    caller.callback(interaction).await?;
    let by = caller.by();
    caller.acted(interaction, Command::Cancel { interaction, reason, by, for_customer: caller.is_client() }).await
}

/// Closes a callback for the customer: what nobody has worked on is abandoned, what an agent works on is done.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/callbacks/{interaction}/close",
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
    caller.callback(interaction).await?;
    let by = caller.by();
    caller.acted(interaction, Command::Close { interaction, reason, by }).await
}

/// What came of an attempt to call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Attempt {
    /// What came of it.
    outcome: AttemptOutcome,
}

/// Says what came of an attempt to call somebody back, by whoever has it. After `no-answer` and `busy` the next attempt is
/// scheduled, until there were as many as the rules say; then it ends as `not-reached`.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/callbacks/{interaction}/attempts",
    security(("token" = ["agent", "operator"])),
    request_body = Attempt,
    responses((status = 200, description = "It is noted.", body = InteractionDetail))
)]
async fn attempt(
    caller: Caller<Settle>,
    parameters: Parameters,
    Json(Attempt { outcome }): Json<Attempt>,
) -> Result<Answer<InteractionDetail>, Problem> {
    let interaction = parameters.get("interaction")?;
    let (by, for_anyone) = (caller.by(), caller.acts_for_anyone());
    caller.acted(interaction, Command::CallbackAttempted { interaction, outcome, by, for_anyone }).await
}

impl<G: Grant> Caller<G> {
    /// An interaction that is, or was, a callback.
    async fn callback(&self, id: InteractionId) -> Result<InteractionDetail, Problem> {
        let found = self.interaction(id).await?;
        if found.is_callback() { Ok(found) } else { Err(Problem::unknown("callback", id)) }
    }
}
