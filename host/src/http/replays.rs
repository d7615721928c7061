//! Replays: recorded decisions made again, by the deployment that made them or by another. A job with a report.
//!
//! Invariant: whoever waits for a replay finds at every moment that it runs, its report, or why it failed.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZero;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
use crate::lane::{self, Lane, Progress, Replay, Replayers};
use crate::store::AccountNumber;

/// Failed replays of all accounts that are remembered; the oldest goes first.
const FAILED_MAX: usize = 64;
/// Bytes of the reason.
const BECAUSE_BYTES_MAX: usize = 1024;
/// How often a report is offered to a lane that is full, with a pause after each.
const OFFERS_MAX: u32 = 60;
const OFFER_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// What a caller is told of a store that fails; the log has the rest.
const STORE_FAILS: &str = "the server's store does not work now; its log says why";

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list, start)).routes(routes!(get, delete))
}

/// The replay that is under way, and those that failed. One runs at a time on a server, for each takes all processors that
/// nobody else wants.
#[derive(Default)]
pub(super) struct Jobs(Mutex<Known>);

#[derive(Default)]
struct Known {
    running: Option<Job>,
    /// The newest last.
    failed: VecDeque<Failed>,
}

struct Job {
    account: AccountNumber,
    /// None until it has one.
    name: Option<Name>,
    progress: Arc<Progress>,
}

/// A replay that has no report.
#[derive(Clone)]
struct Failed {
    account: AccountNumber,
    name: Name,
    replayed: u64,
    because: String,
}

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Self>, account: AccountNumber) -> Option<(Running, Arc<Progress>)> {
        let mut known = self.lock();
        if known.running.is_some() {
            return None;
        }
        let progress = Arc::new(Progress::default());
        known.running = Some(Job { account, name: None, progress: Arc::clone(&progress) });
        Some((Running(Arc::clone(self)), progress))
    }

    /// The one of an account, if it has one that runs.
    fn of(&self, account: AccountNumber) -> Option<(Name, Arc<Progress>)> {
        let known = self.lock();
        let own = known.running.as_ref().filter(|job| job.account == account)?;
        Some((own.name.clone()?, Arc::clone(&own.progress)))
    }

    /// Those of an account that failed, the newest last.
    fn failed(&self, account: AccountNumber) -> Vec<Failed> {
        self.lock().failed.iter().filter(|failed| failed.account == account).cloned().collect()
    }

    /// Forgets one that failed; answers whether there was one.
    fn forget(&self, account: AccountNumber, name: &Name) -> bool {
        let mut known = self.lock();
        let before = known.failed.len();
        known.failed.retain(|failed| failed.account != account || failed.name != *name);
        known.failed.len() < before
    }
}

/// Ends with the work, however that ends.
struct Running(Arc<Jobs>);

impl Running {
    /// From now on that is what it is called, and no longer one of the same name that failed.
    fn name(&self, name: &Name) {
        let mut known = self.0.lock();
        let Known { running: Some(job), failed } = &mut *known else { return };
        failed.retain(|failed| failed.account != job.account || failed.name != *name);
        job.name = Some(name.clone());
    }

    /// It has no report, and this is why.
    fn fail(self, mut because: String) {
        because.truncate(because.floor_char_boundary(BECAUSE_BYTES_MAX));
        let mut known = self.0.lock();
        if let Known { running: Some(Job { account, name: Some(name), progress }), failed } = &mut *known {
            let (name, replayed) = (name.clone(), progress.replayed.load(Ordering::Relaxed));
            failed.push_back(Failed { account: *account, name, replayed, because });
            if failed.len() > FAILED_MAX {
                failed.pop_front();
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().running = None;
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
    /// `running`, `done` or `failed`.
    state: &'static str,
    /// Decisions of the account that it has looked at; while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<u64>,
    /// Decisions that it has made again.
    replayed: u64,
    /// What came of it; once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<ReplayReport>,
    /// Why it has no report; where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_because: Option<String>,
}

impl ReplayView {
    fn running(name: Name, progress: &Progress) -> Self {
        let seen = progress.seen.load(Ordering::Relaxed);
        let replayed = progress.replayed.load(Ordering::Relaxed);
        Self { name, state: "running", seen: Some(seen), replayed, report: None, failed_because: None }
    }

    fn failed(Failed { name, replayed, because, .. }: Failed) -> Self {
        Self { name, state: "failed", seen: None, replayed, report: None, failed_because: Some(because) }
    }

    fn done(report: &ReplayReport) -> Self {
        let (name, replayed) = (report.name.clone(), report.replayed);
        Self { name, state: "done", seen: None, replayed, report: Some(report.clone()), failed_because: None }
    }
}

/// Lists replays: those that run, those that failed, and the reports that are kept.
///
/// Failed ones are remembered until the server stops, the last 64 of all accounts.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/replays",
    security(("token" = ["operator"])),
    responses((status = 200, description = "All of them, without examples.", body = Page<ReplayView>))
)]
async fn list(caller: Caller<Operate>) -> Answer<Page<ReplayView>> {
    let running = caller.state.replays().of(caller.lane.number());
    let running = running.map(|(name, progress)| ReplayView::running(name, &progress));
    let mut failed = caller.state.replays().failed(caller.lane.number());
    // It may have failed between the two looks.
    failed.retain(|failed| running.as_ref().is_none_or(|running| running.name != failed.name));
    let configuration = caller.configuration();
    let done = configuration.replays.values().map(|report| {
        let mut view = ReplayView::done(report);
        view.report.iter_mut().for_each(|report| report.examples.clear());
        view
    });
    Answer(Page::whole(running.into_iter().chain(failed.into_iter().map(ReplayView::failed)).chain(done)))
}

/// Makes recorded decisions again, with no effect but a report. One replay runs at a time; it takes the processors that
/// nobody else wants. Where it cannot be finished or its report cannot be kept it is shown as `failed`, with the reason.
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
    let condition = new.condition.map(|text| Condition::drawn(&text).map(|condition| (text, condition)));
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
    let name = new.name.unwrap_or_else(|| {
        let failed = caller.state.replays().failed(caller.lane.number());
        free_name(&configuration.replays, &failed)
    });
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
        let (own, logged, on) = (name.clone(), name.clone(), Arc::clone(&lane));
        let (deployment, since, at) = (new.deployment, new.since_ms, now());
        let asked_by = by.clone();
        let made = blocking(move || {
            let against = lane::load(accounts.runtime(), accounts.store(), on.number(), &document)
                .map_err(|why| format!("the deployment `{}` cannot be loaded: {why}", document.name))?;
            let threads = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
            let replayers =
                Replayers::new(threads).map_err(|error| format!("the server has no threads for it: {error}"))?;
            let replay = Replay { name: own, deployment, against, since, condition, by: asked_by, at };
            let report = replay.run(&on, accounts.store(), &replayers, &progress);
            report.map_err(|error| {
                tracing::error!(replay = %logged, error = &error as &dyn std::error::Error, "a replay cannot read");
                STORE_FAILS.to_owned()
            })
        });
        let kept = match made.await {
            Ok(Ok(report)) => keep(&lane, Arc::new(report), &by).await,
            Ok(Err(because)) => Err(because),
            Err(_) => Err("the server failed; its log says why".to_owned()),
        };
        // Only now: whoever waits for it finds the report, or why there is none.
        match kept {
            Ok(()) => drop(running),
            Err(because) => {
                tracing::error!(replay = %name, because, "a replay failed");
                running.fail(because);
            }
        }
    });
    Ok((StatusCode::ACCEPTED, Answer(view)))
}

/// Keeps the report. A lane that is full is so for a moment, and the work of minutes is worth waiting for it.
///
/// # Errors
/// Why it is not kept.
async fn keep(lane: &Lane, report: Arc<ReplayReport>, by: &str) -> Result<(), String> {
    let mut offers = 1;
    loop {
        let document = Document::Replay(Arc::clone(&report));
        match lane.command(Command::Put { document, by: by.to_owned() }).await {
            Ok(_) => return Ok(()),
            Err(lane::Error::Full) if offers < OFFERS_MAX => {
                offers += 1;
                tokio::time::sleep(OFFER_AGAIN_AFTER).await;
            }
            Err(error) => {
                tracing::error!(replay = %report.name, %error, "the report of a replay cannot be kept");
                let why = match &error {
                    lane::Error::Unavailable(_) | lane::Error::Damaged(_) => STORE_FAILS.to_owned(),
                    other => other.to_string(),
                };
                return Err(format!("its report cannot be kept: {why}"));
            }
        }
    }
}

/// The next number of those that have reports and of those that failed, so that nobody finds another's.
fn free_name(replays: &BTreeMap<Name, Arc<ReplayReport>>, failed: &[Failed]) -> Name {
    let names = replays.keys().chain(failed.iter().map(|failed| &failed.name));
    let numbers = names.filter_map(|name| name.as_str().strip_prefix("replay-")?.parse::<u64>().ok());
    let next = numbers.max().unwrap_or(0).saturating_add(1);
    Name::new(&format!("replay-{next}")).unwrap_or_else(|error| panic!("it is made of what names are made of: {error}"))
}

/// Shows a replay: how far it is, what came of it, or why it failed.
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
    let failed = || {
        let mut failed = caller.state.replays().failed(caller.lane.number()).into_iter();
        failed.find(|failed| failed.name == name).map(ReplayView::failed)
    };
    running.or_else(done).or_else(failed).map(Answer).ok_or_else(|| Problem::unknown("replay", name))
}

/// Ends a replay that runs, whose report then has what was done so far, deletes a report, or forgets one that failed.
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
        None if caller.state.replays().forget(caller.lane.number(), &name) => Ok(StatusCode::NO_CONTENT),
        None => caller.remove_named(DocumentKind::Replay, &parameters, "replay").await,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OURS: AccountNumber = AccountNumber(1);
    const THEIRS: AccountNumber = AccountNumber(2);

    fn named(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn fail(jobs: &Arc<Jobs>, name: &str, because: &str) {
        let (running, progress) = jobs.begin(OURS).unwrap();
        running.name(&named(name));
        progress.replayed.store(7, Ordering::Relaxed);
        running.fail(because.to_owned());
    }

    #[test]
    fn a_replay_that_failed_says_why_to_its_own_account() {
        let jobs = Arc::new(Jobs::default());
        fail(&jobs, "replay-1", "no such deployment");
        assert!(jobs.of(OURS).is_none() && jobs.failed(THEIRS).is_empty());
        let view = ReplayView::failed(jobs.failed(OURS).remove(0));
        let expected = serde_json::json!({
            "name": "replay-1", "state": "failed", "replayed": 7, "failed_because": "no such deployment"
        });
        assert_eq!(serde_json::to_value(view).unwrap(), expected);
        assert!(!jobs.forget(THEIRS, &named("replay-1")) && jobs.forget(OURS, &named("replay-1")));
        assert!(jobs.failed(OURS).is_empty());
    }

    #[test]
    fn a_name_that_failed_is_not_given_again_but_may_be_asked_for() {
        let jobs = Arc::new(Jobs::default());
        fail(&jobs, "replay-1", "");
        assert_eq!(free_name(&BTreeMap::new(), &jobs.failed(OURS)), named("replay-2"));
        let (running, _) = jobs.begin(OURS).unwrap();
        running.name(&named("replay-1"));
        assert!(jobs.failed(OURS).is_empty());
        drop(running);
        assert!(jobs.failed(OURS).is_empty(), "it has a report");
    }

    #[test]
    fn failures_and_their_reasons_are_bounded() {
        let jobs = Arc::new(Jobs::default());
        for n in 0..=FAILED_MAX {
            fail(&jobs, &format!("replay-{n}"), &"ü".repeat(BECAUSE_BYTES_MAX));
        }
        let failed = jobs.failed(OURS);
        assert_eq!((failed.len(), &failed[0].name), (FAILED_MAX, &named("replay-1")));
        assert!(failed.iter().all(|failed| failed.because.len() == BECAUSE_BYTES_MAX));
    }
}
