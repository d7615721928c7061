//! Replays: recorded decisions made again, by the deployment that made them or by another. A job with a report.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Json as Answer;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use signalbox_engine::{Command, Condition, Document, DocumentKind, Name, ReplayReport, UnixMillis, limits};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Operate};
use super::body::{Json, Parameters};
use super::cursor::Page;
use super::{Problem, State, blocking, now};
use crate::lane::{self, Progress, Replay, Replayers};
use crate::store::AccountNumber;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list, start)).routes(routes!(get, delete))
}

/// The replay that is under way: one at a time on a server, for each takes all processors that nobody else wants.
#[derive(Default)]
pub(super) struct Jobs(Mutex<Option<Job>>);

struct Job {
    account: AccountNumber,
    /// None until it has one.
    name: Option<Name>,
    progress: Arc<Progress>,
}

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, Option<Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Self>, account: AccountNumber) -> Option<(Running, Arc<Progress>)> {
        let mut job = self.lock();
        if job.is_some() {
            return None;
        }
        let progress = Arc::new(Progress::default());
        *job = Some(Job { account, name: None, progress: Arc::clone(&progress) });
        Some((Running(Arc::clone(self)), progress))
    }

    /// The one of an account, if it has one that runs.
    fn of(&self, account: AccountNumber) -> Option<(Name, Arc<Progress>)> {
        let job = self.lock();
        let own = job.as_ref().filter(|job| job.account == account)?;
        Some((own.name.clone()?, Arc::clone(&own.progress)))
    }
}

/// Ends with the work, however that ends.
struct Running(Arc<Jobs>);

impl Running {
    fn name(&self, name: &Name) {
        if let Some(job) = self.0.lock().as_mut() {
            job.name = Some(name.clone());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

/// What is to be replayed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewReplay {
    /// Its name. Left out: `replay-` and the next free number.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Option<Name>,
    /// The deployment whose recorded decisions are made again.
    #[schema(value_type = String)]
    deployment: Name,
    /// The deployment that makes them; it need not be bound. The same one shows that it still decides as it did.
    #[schema(value_type = String)]
    against: Name,
    /// Decisions from this moment on. Left out: all.
    #[serde(default)]
    #[schema(value_type = u64)]
    since_ms: UnixMillis,
    /// Only those about interactions for which this CEL expression held, as in a `condition` element, without
    /// `statistic(…)`.
    #[serde(default)]
    condition: Option<String>,
}

/// A replay.
#[derive(Debug, Serialize, ToSchema)]
struct ReplayView {
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
    /// `running` or `done`.
    state: &'static str,
    /// Decisions of the account that it has looked at; while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<u64>,
    /// Decisions that it has made again.
    replayed: u64,
    /// What came of it; once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<ReplayReport>,
}

impl ReplayView {
    fn running(name: Name, progress: &Progress) -> Self {
        let seen = progress.seen.load(Ordering::Relaxed);
        let replayed = progress.replayed.load(Ordering::Relaxed);
        Self { name, state: "running", seen: Some(seen), replayed, report: None }
    }

    fn done(report: &ReplayReport) -> Self {
        let (name, replayed) = (report.name.clone(), report.replayed);
        Self { name, state: "done", seen: None, replayed, report: Some(report.clone()) }
    }
}

/// Lists replays: those that run, and the reports that are kept.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/replays",
    security(("token" = ["operator"])),
    responses((status = 200, description = "All of them, without examples.", body = Page<ReplayView>))
)]
async fn list(caller: Caller<Operate>) -> Answer<Page<ReplayView>> {
    let running = caller.state.replays().of(caller.lane.number());
    let running = running.map(|(name, progress)| ReplayView::running(name, &progress));
    let configuration = caller.configuration();
    let done = configuration.replays.values().map(|report| {
        let mut view = ReplayView::done(report);
        view.report.iter_mut().for_each(|report| report.examples.clear());
        view
    });
    Answer(Page::whole(running.into_iter().chain(done)))
}

/// Makes recorded decisions again, with no effect but a report. One replay runs at a time; it takes the processors that
/// nobody else wants.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/replays",
    security(("token" = ["operator"])),
    request_body = NewReplay,
    responses((status = 202, description = "It runs.", body = ReplayView))
)]
async fn start(
    caller: Caller<Operate>,
    Json(new): Json<NewReplay>,
) -> Result<(StatusCode, Answer<ReplayView>), Problem> {
    let condition = new.condition.map(|text| Condition::new(&text).map(|condition| (text, condition)));
    let condition = condition.transpose().map_err(|error| Problem::value_invalid("condition", error.to_string()))?;
    if condition.as_ref().is_some_and(|(_, condition)| condition.figures().next().is_some()) {
        let why = "figures are as they stand now, and decisions are of then: leave `statistic(…)` out";
        return Err(Problem::value_invalid("condition", why));
    }
    // First, so that nobody else's report gets the same name meanwhile.
    let Some((running, progress)) = caller.state.replays().begin(caller.lane.number()) else {
        return Err(Problem::replays_full());
    };
    let configuration = caller.configuration();
    for (field, deployment) in [("deployment", &new.deployment), ("against", &new.against)] {
        if !configuration.deployments.contains_key(deployment) {
            return Err(Problem::unknown("deployment", deployment).named_in(field));
        }
    }
    let name = new.name.unwrap_or_else(|| free_name(&configuration.replays));
    if configuration.replays.contains_key(&name) {
        return Err(Problem::value_invalid("name", format!("there is a replay `{name}` already")));
    }
    if configuration.replays.len() >= limits::REPLAYS_MAX {
        return Err(signalbox_engine::Rejection::Full { what: "reports of replays", limit: limits::REPLAYS_MAX }.into());
    }
    running.name(&name);
    let view = ReplayView::running(name.clone(), &progress);
    let document = Arc::clone(&configuration.deployments[&new.against]);
    let (accounts, lane, by) = (Arc::clone(caller.state.accounts()), Arc::clone(&caller.lane), caller.by());
    tokio::spawn(async move {
        let (own, on) = (name.clone(), Arc::clone(&lane));
        let (deployment, since, at) = (new.deployment, new.since_ms, now());
        let asked_by = by.clone();
        let made = blocking(move || {
            let against = lane::load(accounts.runtime(), accounts.store(), on.number(), &document)?;
            let threads = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
            let replayers = Replayers::new(threads).map_err(|error| error.to_string())?;
            let replay = Replay { name: own, deployment, against, since, condition, by: asked_by, at };
            let report = replay.run(&on, accounts.store(), &replayers, &progress).map_err(|error| error.to_string())?;
            Ok::<_, String>(report)
        });
        let report = match made.await {
            Ok(Ok(report)) => report,
            Ok(Err(why)) => return tracing::error!(replay = %name, why, "a replay failed"),
            Err(problem) => return tracing::error!(replay = %name, code = problem.code(), "a replay failed"),
        };
        let put = Command::Put { document: Document::Replay(Arc::new(report)), by };
        if let Err(error) = lane.command(put).await {
            tracing::error!(replay = %name, %error, "the report of a replay cannot be kept");
        }
        // Only now: whoever waits for it finds the report.
        drop(running);
    });
    Ok((StatusCode::ACCEPTED, Answer(view)))
}

fn free_name(replays: &BTreeMap<Name, Arc<ReplayReport>>) -> Name {
    let numbers = replays.keys().filter_map(|name| name.as_str().strip_prefix("replay-")?.parse::<u64>().ok());
    let next = numbers.max().unwrap_or(0).saturating_add(1);
    Name::new(&format!("replay-{next}")).unwrap_or_else(|error| panic!("it is made of what names are made of: {error}"))
}

/// Shows a replay: how far it is, or what came of it.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/replays/{replay}",
    security(("token" = ["operator"])),
    responses((status = 200, description = "The replay.", body = ReplayView))
)]
async fn get(caller: Caller<Operate>, parameters: Parameters) -> Result<Answer<ReplayView>, Problem> {
    let name: Name = parameters.get("replay")?;
    let running = caller.state.replays().of(caller.lane.number()).filter(|(running, _)| *running == name);
    let running = running.map(|(name, progress)| ReplayView::running(name, &progress));
    let done = || caller.configuration().replays.get(&name).map(|report| ReplayView::done(report));
    running.or_else(done).map(Answer).ok_or_else(|| Problem::unknown("replay", name))
}

/// Ends a replay that runs, whose report then has what was done so far, or deletes a report.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/replays/{replay}",
    security(("token" = ["operator"])),
    responses((status = 204, description = "It ends, or is gone."))
)]
async fn delete(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
    let name: Name = parameters.get("replay")?;
    let running = caller.state.replays().of(caller.lane.number());
    match running.filter(|(running, _)| *running == name) {
        Some((_, progress)) => {
            progress.cancelled.store(true, Ordering::Relaxed);
            Ok(StatusCode::NO_CONTENT)
        }
        None => caller.remove_named(DocumentKind::Replay, &parameters, "replay").await,
    }
}
