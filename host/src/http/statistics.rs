//! Statistics: what is measured, of what, over which time; and the figures, asked for or followed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json as Answer;
use axum::http::StatusCode;
use axum::response::Response;
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use signalbox_engine::{Document, DocumentKind, Name, Statistic, UnixMillis};
use tokio_stream::wrappers::IntervalStream;
use tokio_stream::{Stream, StreamExt as _};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Look, Operate};
use super::body::{Json, Parameters, Query};
use super::cursor::{self, Page};
use super::document::{Condition, named, put_status, tag, tagged, with_tag};
use super::{Problem, State, now};
use crate::lane::Lane;
use crate::stats::{Bucket, Figure};

/// Statistics that one stream follows.
const NAMES_MAX: usize = 500;
/// Streams of figures of one server.
pub(super) const STREAMS_MAX: usize = 1000;
/// How often a stream tells of figures that have changed, where nobody says.
const REFRESH_MS: u64 = 1000;
/// As often as a stream can be asked to.
const REFRESH_MS_MIN: u64 = 100;
/// As seldom as a stream can be asked to.
const REFRESH_MS_MAX: u64 = 3_600_000;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(stream)).routes(routes!(get, put, delete))
}

/// A statistic and its figure.
#[derive(Debug, Serialize, ToSchema)]
struct StatisticView {
    /// The definition.
    #[serde(flatten)]
    statistic: Statistic,
    /// The figure; none for a moment after it was put.
    #[serde(skip_serializing_if = "Option::is_none")]
    figure: Option<Figure>,
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

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Followed {
    /// 1 to 500 names, separated by commas.
    names: String,
    /// How often to tell of figures that have changed, 100 to 3,600,000 ms; 1,000 where nobody says.
    refresh_ms: Option<u64>,
}

/// Figures that have changed.
#[derive(Debug, Serialize, ToSchema)]
struct Changed {
    /// The moment that they are of.
    #[schema(value_type = u64)]
    at_ms: UnixMillis,
    /// Those that have changed.
    figures: Vec<Figure>,
    /// Statistics that were deleted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    gone: Vec<Name>,
}

/// Lists statistics with their figures.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/statistics",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    params(Listed),
    responses((status = 200, description = "Some of them, by name.", body = Page<StatisticView>))
)]
async fn list(caller: Caller<Look>, Query(query): Query<Listed>) -> Result<Answer<Page<StatisticView>>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let after = query.cursor.as_deref().map(cursor::decode_name).transpose()?;
    let configuration = Arc::clone(&caller.lane.published().configuration);
    let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
    let mut all = configuration.statistics.range((from, std::ops::Bound::Unbounded));
    caller.lane.stats().settle().await;
    let now = now();
    let items: Vec<StatisticView> = all
        .by_ref()
        .take(limit)
        .map(|(name, statistic)| StatisticView {
            statistic: Statistic::clone(statistic),
            figure: caller.lane.stats().figure(name.as_str(), now),
        })
        .collect();
    let last = items.last().map(|view| cursor::encode(view.statistic.name.as_str().as_bytes()));
    let next = if all.next().is_some() { last } else { None };
    Ok(Answer(Page { items, next }))
}

/// Shows a statistic with its figure. The ETag is the definition's.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/statistics/{statistic}",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    responses((status = 200, description = "It.", body = StatisticView))
)]
async fn get(caller: Caller<Look>, parameters: Parameters) -> Result<Response, Problem> {
    let name: Name = parameters.get("statistic")?;
    let configuration = Arc::clone(&caller.lane.published().configuration);
    let statistic = configuration.statistics.get(&name).ok_or_else(|| Problem::unknown("statistic", &name))?;
    let tag = tag(&**statistic);
    caller.lane.stats().settle().await;
    let figure = caller.lane.stats().figure(name.as_str(), now());
    let view = StatisticView { statistic: Statistic::clone(statistic), figure };
    Ok(with_tag(StatusCode::OK, &view, &tag))
}

/// Defines a statistic. Where one of that name stands, it begins anew.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/statistics/{statistic}",
    security(("token" = ["operator"])),
    request_body(content = Statistic, description = "`name` may be left out."),
    responses(
        (status = 200, description = "It took the place of another.", body = Statistic),
        (status = 201, description = "It is defined.", body = Statistic)
    )
)]
async fn put(
    caller: Caller<Operate>,
    parameters: Parameters,
    condition: Condition,
    Json(body): Json<Map<String, Value>>,
) -> Result<Response, Problem> {
    let name: Name = parameters.get("statistic")?;
    let statistic: Statistic = named(body, &[("name", &name)])?;
    let _held = caller.state.documents(&caller.lane).await;
    let standing = caller.lane.published().configuration.statistics.get(&name).cloned();
    condition.check(standing.as_deref().map(tag).as_deref())?;
    let put = caller.put(Document::Statistic(Arc::new(statistic.clone()))).await;
    put.map_err(|problem| problem.named_in("object"))?;
    Ok(tagged(put_status(standing.as_ref()), &statistic))
}

/// Deletes a statistic and what it has counted.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/statistics/{statistic}",
    security(("token" = ["operator"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
    caller.remove_named(DocumentKind::Statistic, &parameters, "statistic").await
}

/// Follows figures: server-sent events of the type `figures`, with all of them at first, then with those that have changed
/// since the last look.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/statistics/stream",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    params(Followed),
    responses((status = 200, description = "The figures.", body = Changed, content_type = "text/event-stream"))
)]
async fn stream(
    caller: Caller<Look>,
    Query(query): Query<Followed>,
) -> Result<Sse<impl Stream<Item = Result<Frame, Infallible>>>, Problem> {
    let names: Result<Vec<Name>, _> = query.names.split(',').map(Name::new).collect();
    let names = names.map_err(|error| Problem::query_invalid("names", error.to_string()))?;
    if names.len() > NAMES_MAX {
        return Err(Problem::query_invalid("names", format!("at most {NAMES_MAX}")));
    }
    {
        let configuration = Arc::clone(&caller.lane.published().configuration);
        if let Some(name) = names.iter().find(|name| !configuration.statistics.contains_key(*name)) {
            return Err(Problem::unknown("statistic", name));
        }
    }
    let refresh_ms = query.refresh_ms.unwrap_or(REFRESH_MS);
    if !(REFRESH_MS_MIN..=REFRESH_MS_MAX).contains(&refresh_ms) {
        return Err(Problem::query_invalid("refresh_ms", format!("{REFRESH_MS_MIN} to {REFRESH_MS_MAX}")));
    }
    let room = caller.state.room_for_stream().ok_or_else(Problem::streams_full)?;
    let mut ticks = tokio::time::interval(Duration::from_millis(refresh_ms));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = Told::default();
    // A client that does not read holds up its own stream alone: the next look is when it has taken the last.
    let pass = caller.pass();
    let frames = IntervalStream::new(ticks).take_while(move |_| pass.holds()).filter_map(move |_| {
        let _held = &room;
        let changed = told.look(&caller.lane, &names, now());
        changed.map(|changed| Ok(Frame::default().event("figures").json_data(changed).unwrap_or_default()))
    });
    Ok(Sse::new(frames).keep_alive(KeepAlive::default()))
}

/// What a stream has told of each statistic; none of one that is gone.
#[derive(Debug, Default)]
struct Told(BTreeMap<Name, Option<Shown>>);

impl Told {
    /// What has changed since it was last looked at; none where nothing has.
    fn look(&mut self, lane: &Lane, names: &[Name], now: UnixMillis) -> Option<Changed> {
        let mut changed = Changed { at_ms: now, figures: Vec::new(), gone: Vec::new() };
        for name in names {
            let figure = lane.stats().figure(name.as_str(), now);
            let shown = figure.as_ref().map(Shown::of);
            // What was just put has no figure for a moment, and is not gone.
            if self.0.get(name) == Some(&shown) || (figure.is_none() && !self.0.contains_key(name)) {
                continue;
            }
            self.0.insert(name.clone(), shown);
            match figure {
                Some(figure) => changed.figures.push(figure),
                None => changed.gone.push(name.clone()),
            }
        }
        let some = !changed.figures.is_empty() || !changed.gone.is_empty();
        some.then_some(changed)
    }
}

/// What makes a figure another one.
#[derive(Debug, PartialEq)]
struct Shown(Option<f64>, Option<Vec<Bucket>>);

impl Shown {
    fn of(figure: &Figure) -> Self {
        Self(figure.value, figure.buckets.clone())
    }
}
