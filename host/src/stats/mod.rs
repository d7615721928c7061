//! The stat server: figures folded from committed events, never by stopping the engine.
//!
//! It decides nothing. There are two kinds of figures:
//! - **Statistics** that operators define (`signalbox_engine::Statistic`: object, measure, time profile, filter, with the
//!   formulas). What each record means to them is found by the engine's `observe.rs`; the lane hands it on after the
//!   commit, a thread folds it (`folder.rs`, `fold.rs`, `series.rs`), anybody reads. They survive a restart: what was
//!   observed is written with the commit, and now and then a checkpoint takes its place.
//! - The server's own figures, below. A lane folds each record once, after its commit. Nothing is stored: after a start the
//!   totals begin at zero and the current figures are counted from the account.
//!
//! Written out for Prometheus in `prometheus.rs`. Read by strategies through the import `statistics`: a defined statistic by
//! its object and its name, the server's own by the names in [`REFERENCE`], which come first.

mod definition;
mod fold;
mod folder;
mod log;
mod prometheus;
mod series;
#[cfg(test)]
mod tests;
mod times;

pub use fold::{Bucket, Figure};
pub use folder::{CheckpointPart, Saved};
pub use log::LogLine;
pub use prometheus::Families;
pub use times::Times;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use signalbox_engine::{
    self as engine, Account, CallTimes, Ended, Event, FigureName, InteractionId, Name, Observed, Profile, Record,
    State, StateKind, UnixMillis,
};

use log::Log;
use series::{Series, Total};

/// The statistics that strategies can ask for, by what they are about. In Markdown.
pub const REFERENCE: &str = "\
Statistics that a strategy can ask for by the import `statistics`, and a condition by `statistic(…)`, each of one object by
its name:

| object | statistic | meaning | unit |
|---|---|---|---|
| `queue` | `waiting` | interactions that wait in it now | number |
| `queue` | `oldest-wait` | how long the next one has waited | seconds |
| `queue` | `estimated-wait` | estimated wait of whoever comes next, by Little's law `W = L / λ`: how many wait now, by how many have left the queue in each second of the last 15 minutes | seconds |
| `queue` | `entered`, `taken`, `left` | since start: came in, were taken, went without being taken | number |
| `workflow` | `submitted`, `completed`, `cancelled`, `parked` | since start | number |
| `media-type` | `submitted` | since start | number |
| `strategy` | `calls`, `answered`, `failed` | since start, of a deployment | number |
| `strategy` | `call-time` | mean duration of a call since start | seconds |

A statistic that was defined is known under its object and its own name; a condition can leave the object out.
Anything else, and an object of which nothing is known yet, has none.";

/// Over which time the server itself counts who leaves a queue.
const DEPARTURES: Profile = Profile::Sliding { window_ms: 15 * 60_000, step_ms: 60_000 };

/// How long a reader waits for figures to be folded.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// Figures of one account.
#[derive(Debug, Default)]
pub struct Stats {
    figures: Mutex<Figures>,
    folder: folder::Folder,
}

#[derive(Debug, Default)]
struct Figures {
    queues: BTreeMap<Name, QueueFigures>,
    departures: BTreeMap<Name, Departures>,
    workflows: BTreeMap<Name, WorkflowFigures>,
    media_types: BTreeMap<Name, u64>,
    deployments: BTreeMap<Name, DeploymentFigures>,
    logs: BTreeMap<Name, Log>,
    commits: u64,
    commands: u64,
    live: usize,
    calls_waiting: usize,
    deliveries_pending: usize,
}

/// A queue's figures.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueFigures {
    /// Waiting now.
    pub waiting: u64,
    /// When the next one came in.
    pub head_since: Option<UnixMillis>,
    /// Came in since start.
    pub entered: u64,
    /// Were taken since start.
    pub taken: u64,
    /// Waited at the start, or were put back since.
    returned: u64,
}

/// Who has left a queue lately, in whatever way.
#[derive(Debug)]
struct Departures {
    series: Series,
    /// Most that had left at any moment: an offer that comes to nothing takes nobody out.
    most: u64,
}

#[derive(Debug, Default)]
struct WorkflowFigures {
    submitted: u64,
    completed: u64,
    cancelled: u64,
    parked: u64,
}

#[derive(Debug, Default)]
struct DeploymentFigures {
    calls: u64,
    outcomes: BTreeMap<String, u64>,
    failures: BTreeMap<&'static str, u64>,
    instantiate: Times,
    guest: Times,
    host: Times,
    memory_bytes_max: u64,
    is_out: bool,
}

impl DeploymentFigures {
    /// Time of all calls.
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds stay far below 2^53 for months")]
    fn seconds(&self) -> f64 {
        (self.instantiate.sum_ns() + self.guest.sum_ns()) as f64 / 1e9
    }
}

/// What a call of a strategy took.
#[derive(Debug, Clone, Copy)]
pub struct CallCost {
    /// Until the sandbox was ready.
    pub instantiate_ns: u64,
    /// In the strategy, imports included.
    pub guest_ns: u64,
    /// Of it, in what it asked the server.
    pub host_ns: u64,
    /// Linear memory at the end.
    pub memory_bytes: u64,
}

/// What a deployment has done since the server started.
#[derive(Debug, Default, serde::Serialize, utoipa::ToSchema)]
pub struct DeploymentUse {
    /// Calls that were asked for.
    pub calls: u64,
    /// Decisions by their outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Failures by their code.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub failures: BTreeMap<&'static str, u64>,
    /// Until the sandbox was ready.
    pub instantiate: CallTimes,
    /// In the strategy, what it asks the server included.
    pub guest: CallTimes,
    /// Of it, in what it asked the server.
    pub host_calls: CallTimes,
    /// Most linear memory that a call had.
    pub memory_bytes_max: u64,
    /// It is taken out for a while, for half of its last calls failed.
    pub is_out: bool,
}

/// Defined statistics.
impl Stats {
    /// Figures of one account. The thread that folds its statistics does `prepare` first.
    #[must_use]
    pub fn new(prepare: fn()) -> Self {
        Self { figures: Mutex::default(), folder: folder::Folder::new(prepare) }
    }

    /// Hands on what was observed of what has been committed. `account` is as it is after it. Answers whether all
    /// interactions have to be counted, by [`Stats::count_all`]: until then a statistic of how they stand that was just
    /// defined has no figure.
    pub(crate) fn observe(&self, account: &Account, observed: Observed) -> bool {
        !observed.is_empty() && self.folder.observe(account.sequence(), observed)
    }

    /// Counts all interactions as they stand. Takes time in proportion to how many there are.
    pub(crate) fn count_all(&self, account: &Account) {
        self.folder.census(engine::census(account));
    }

    /// Goes back to what is in the store, for an account that was just loaded.
    pub(crate) fn restore(&self, account: &Account, saved: Saved) {
        let defined = !account.configuration().statistics.is_empty() || self.folder.fold().names().next().is_some();
        if defined || saved.checkpoint.is_some() || !saved.observed.is_empty() {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let now = UnixMillis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
            self.folder.restore(saved, engine::begin(account, now), engine::census(account));
        }
    }

    /// What the next commit should take along of a checkpoint.
    pub(crate) fn checkpoint_part(&self) -> Option<CheckpointPart> {
        self.folder.checkpoint_part()
    }

    /// A part of a checkpoint was committed.
    pub(crate) fn checkpoint_written(&self, part: &CheckpointPart) {
        self.folder.written(part);
    }

    /// Waits until all that was observed is folded, so that a caller finds what it has just done; not for ever, where the
    /// thread lags far behind.
    pub(crate) async fn settle(&self) {
        if let Some(settled) = self.folder.settle() {
            let _ = tokio::time::timeout(SETTLE_TIMEOUT, settled).await;
        }
    }

    /// The same, for tests that are not asynchronous.
    #[cfg(test)]
    pub(crate) fn settle_blocking(&self) {
        self.folder.settle().map(tokio::sync::oneshot::Receiver::blocking_recv);
    }

    /// A statistic at a moment; none where there is none of that name.
    #[must_use]
    pub fn figure(&self, name: &str, now: UnixMillis) -> Option<Figure> {
        self.folder.fold().figure(name, now)
    }

    /// Statistics from one name on, by name.
    #[must_use]
    pub fn list(&self, after: Option<&str>, limit: usize, now: UnixMillis) -> Vec<Figure> {
        let fold = self.folder.fold();
        let names: Vec<Name> = fold.names_after(after).take(limit).cloned().collect();
        names.iter().filter_map(|name| fold.figure(name.as_str(), now)).collect()
    }

    /// A figure that a condition asks for. None where there is no such thing, or it has no one value.
    #[must_use]
    pub(crate) fn read(&self, FigureName { statistic, object }: &FigureName, now: UnixMillis) -> Option<f64> {
        match object {
            None => self.figure(statistic.as_str(), now)?.value,
            Some((kind, name)) => self.granted(kind.name(), name.as_str(), statistic.as_str(), now),
        }
    }

    /// A figure that a strategy asks for: one of the server's own, or a statistic of that object by its name. None where
    /// there is no such thing, or it has no one value.
    #[must_use]
    pub fn granted(&self, kind: &str, name: &str, statistic: &str, now: UnixMillis) -> Option<f64> {
        self.value(kind, name, statistic, now).or_else(|| {
            let fold = self.folder.fold();
            let object = &fold.statistic(statistic)?.object;
            let is = object.kind.name() == kind && object.name.as_ref().is_some_and(|of| *of == name);
            if is { fold.figure(statistic, now)?.value } else { None }
        })
    }
}

/// The server's own figures.
impl Stats {
    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Folds what one commit did: its records, what ended by it, the queues that it touched. `account` is as it is after it.
    pub(crate) fn fold(
        &self,
        account: &Account,
        records: &[&Record],
        ended: &[(InteractionId, Ended)],
        queues: BTreeSet<Name>,
    ) {
        let mut figures = self.figures();
        figures.commits += 1;
        figures.commands += records.len() as u64;
        for event in records.iter().flat_map(|record| &record.events) {
            figures.fold(account, event);
        }
        for (_, ended) in ended {
            let Some((workflow, _)) = &ended.workflow else { continue };
            let of = entry(&mut figures.workflows, workflow);
            match ended.state {
                StateKind::Cancelled | StateKind::Abandoned => of.cancelled += 1,
                _ => of.completed += 1,
            }
        }
        let touched: Vec<Name> = queues.iter().cloned().collect();
        figures.count(account, queues);
        if let Some(record) = records.last() {
            touched.iter().for_each(|queue| figures.departed(queue, record.at));
        }
    }

    /// Counts the current figures of an account that was just loaded.
    pub(crate) fn reset(&self, account: &Account) {
        let queues: BTreeSet<Name> = account.configuration().queues.keys().cloned().collect();
        let mut figures = self.figures();
        let new: Vec<Name> = queues.iter().filter(|queue| !figures.queues.contains_key(*queue)).cloned().collect();
        figures.count(account, queues);
        for queue in new {
            let figures = entry(&mut figures.queues, &queue);
            figures.returned = figures.waiting;
        }
    }

    /// What a deployment has done since the server started; nothing where it was never called.
    #[must_use]
    pub fn deployment(&self, name: &str) -> DeploymentUse {
        let figures = self.figures();
        let Some(of) = figures.deployments.get(name) else { return DeploymentUse::default() };
        DeploymentUse {
            calls: of.calls,
            outcomes: of.outcomes.clone(),
            failures: of.failures.clone(),
            instantiate: of.instantiate.quantiles(),
            guest: of.guest.quantiles(),
            host_calls: of.host.quantiles(),
            memory_bytes_max: of.memory_bytes_max,
            is_out: of.is_out,
        }
    }

    /// Whether a deployment is taken out.
    #[must_use]
    pub fn is_out(&self, deployment: &Name) -> bool {
        self.figures().deployments.get(deployment).is_some_and(|of| of.is_out)
    }

    /// Notes whether a deployment is taken out.
    pub(crate) fn breaker(&self, deployment: &Name, is_out: bool) {
        entry(&mut self.figures().deployments, deployment).is_out = is_out;
    }

    /// Notes what a call took and what it logged.
    pub(crate) fn call(&self, deployment: &Name, cost: CallCost, lines: Vec<LogLine>) {
        let mut figures = self.figures();
        let of = entry(&mut figures.deployments, deployment);
        of.instantiate.add(cost.instantiate_ns);
        of.guest.add(cost.guest_ns);
        of.host.add(cost.host_ns);
        of.memory_bytes_max = of.memory_bytes_max.max(cost.memory_bytes);
        if !lines.is_empty() {
            entry(&mut figures.logs, deployment).extend(lines);
        }
    }

    /// The newest lines that a deployment's calls logged, the oldest of them first.
    #[must_use]
    pub fn log(&self, deployment: &str, limit: usize) -> Vec<LogLine> {
        let figures = self.figures();
        figures.logs.get(deployment).map(|log| log.newest(limit)).unwrap_or_default()
    }

    /// A queue's figures; none where nothing has happened in it yet.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<QueueFigures> {
        self.figures().queues.get(name).copied()
    }

    /// How long whoever stands at this position of a queue is expected to wait, from 1 on, by Little's law `W = L / λ`
    /// (J. D. C. Little, 1961): with its position for `L`, and for `λ` how many have left the queue in each millisecond of
    /// the last 15 minutes. None while nobody has.
    #[must_use]
    pub fn estimated_wait_ms(&self, queue: &str, position: usize, now: UnixMillis) -> Option<u64> {
        self.figures().estimated_wait_ms(queue, position as u64, now)
    }

    /// There is no such deployment any more.
    pub fn forget(&self, deployment: &Name) {
        let mut figures = self.figures();
        figures.deployments.remove(deployment);
        figures.logs.remove(deployment);
    }

    /// A statistic by its names in [`REFERENCE`]; none where there is no such thing.
    #[must_use]
    pub fn value(&self, kind: &str, name: &str, statistic: &str, now: UnixMillis) -> Option<f64> {
        let figures = self.figures();
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let number = |n: u64| n as f64;
        match kind {
            "queue" => {
                let queue = figures.queues.get(name)?;
                match statistic {
                    "waiting" => Some(number(queue.waiting)),
                    "oldest-wait" => Some(number(queue.head_since.map_or(0, |s| now.0.saturating_sub(s.0))) / 1000.0),
                    "estimated-wait" if queue.waiting == 0 => Some(0.0),
                    "estimated-wait" => {
                        let wait_ms = figures.estimated_wait_ms(name, queue.waiting, now)?;
                        Some(number(wait_ms) / 1000.0)
                    }
                    "entered" => Some(number(queue.entered)),
                    "taken" => Some(number(queue.taken)),
                    "left" => {
                        let came = queue.entered + queue.returned;
                        Some(number(came.saturating_sub(queue.taken + queue.waiting)))
                    }
                    _ => None,
                }
            }
            "workflow" => {
                let workflow = figures.workflows.get(name)?;
                match statistic {
                    "submitted" => Some(number(workflow.submitted)),
                    "completed" => Some(number(workflow.completed)),
                    "cancelled" => Some(number(workflow.cancelled)),
                    "parked" => Some(number(workflow.parked)),
                    _ => None,
                }
            }
            "media-type" if statistic == "submitted" => figures.media_types.get(name).map(|n| number(*n)),
            "strategy" => {
                let of = figures.deployments.get(name)?;
                match statistic {
                    "calls" => Some(number(of.calls)),
                    "answered" => Some(number(of.outcomes.values().sum())),
                    "failed" => Some(number(of.failures.values().sum())),
                    "call-time" => Some(of.seconds() / number(of.guest.count().max(1))),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

impl Figures {
    fn fold(&mut self, account: &Account, event: &Event) {
        match event {
            Event::Submitted { media_type, .. } => *entry(&mut self.media_types, media_type) += 1,
            Event::WorkflowEntered { workflow, .. } => entry(&mut self.workflows, workflow).submitted += 1,
            Event::Queued { position, .. } => entry(&mut self.queues, &position.queue).entered += 1,
            Event::Taken { queue, .. } => entry(&mut self.queues, queue).taken += 1,
            Event::Assigned { id, .. } => {
                if let Some(position) = account.live(*id).and_then(|live| live.position()) {
                    entry(&mut self.queues, &position.queue).taken += 1;
                }
            }
            Event::Released { id, .. } => {
                if let Some(position) = account.live(*id).and_then(|live| live.position()) {
                    entry(&mut self.queues, &position.queue).returned += 1;
                }
            }
            Event::Parked { id, .. } => {
                let frame = account.live(*id).and_then(|live| live.frames.first());
                if let Some(frame) = frame {
                    entry(&mut self.workflows, &frame.workflow).parked += 1;
                }
            }
            Event::CallRequested { deployment, .. } => entry(&mut self.deployments, deployment).calls += 1,
            Event::Answered { deployment, outcome, .. } => {
                let of = entry(&mut self.deployments, deployment);
                match of.outcomes.get_mut(outcome) {
                    Some(count) => *count += 1,
                    None => drop(of.outcomes.insert(outcome.clone(), 1)),
                }
            }
            Event::Failed { deployment, failure, .. } => {
                *entry(&mut self.deployments, deployment).failures.entry(failure.code()).or_default() += 1;
            }
            _ => {}
        }
    }

    /// Counts who has left a queue by now.
    fn departed(&mut self, queue: &Name, now: UnixMillis) {
        let Some(QueueFigures { waiting, entered, returned, .. }) = self.queues.get(queue).copied() else { return };
        let left = (entered + returned).saturating_sub(waiting);
        if !self.departures.contains_key(queue) {
            let series = Series::new(Some(&DEPARTURES), Total::Sums([0; 4]), now);
            self.departures.insert(queue.clone(), Departures { series, most: 0 });
        }
        let Some(Departures { series, most }) = self.departures.get_mut(queue) else { return };
        if left > *most {
            series.add(now, 0, left - *most);
            *most = left;
        }
    }

    fn estimated_wait_ms(&self, queue: &str, position: u64, now: UnixMillis) -> Option<u64> {
        let Departures { series, .. } = self.departures.get(queue)?;
        let Total::Sums([left, ..]) = series.read(now) else { return None };
        let elapsed_ms = now.0.saturating_sub(series.from(now).0);
        position.saturating_mul(elapsed_ms).checked_div(left)
    }

    fn count(&mut self, account: &Account, queues: BTreeSet<Name>) {
        self.live = account.live_count();
        self.calls_waiting = account.calls_len();
        self.deliveries_pending = account.deliveries_pending();
        for queue in queues {
            let head = account.queue(queue.as_str()).next().and_then(|id| account.live(id));
            let figures = entry(&mut self.queues, &queue);
            figures.waiting = account.queue_len(queue.as_str()) as u64;
            figures.head_since = head.and_then(|live| match &live.state {
                State::Queued(position) => Some(position.since),
                _ => None,
            });
        }
    }
}

/// The figures of one name, made where there are none.
fn entry<'a, T: Default>(figures: &'a mut BTreeMap<Name, T>, name: &Name) -> &'a mut T {
    // Two look-ups and no clone where it is there, which it nearly always is.
    if !figures.contains_key(name) {
        figures.insert(name.clone(), T::default());
    }
    figures.get_mut(name).unwrap_or_else(|| panic!("it was just put there"))
}
