//! Sees to it that every awaited strategy call runs: loads deployments, hands calls to the pool, a window at a time.
//!
//! Invariant: an awaited call waits here, waits for its deployment, or is in flight, and is in one of these places only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use signalbox_engine::{Account, CallId, Content, InteractionId, Name, Request, State, UnixMillis};

use super::grants::AccountGrants;
use super::{Answer, Shared};
use crate::stats::{LogLine, Stats};
use crate::store::{self, Store};
use crate::strategy::{self, Asset, Grants, Job, Level, Package, Pool, Recorded, Runtime};

/// Calls of one account in the pool at a time. Enough to keep it busy, few enough that accounts share it.
const WINDOW: usize = 256;
/// Deployments that stay loaded; a fresh load costs under a millisecond.
const LOADED_MAX: usize = 1024;

pub(super) struct Calls {
    runtime: Arc<Runtime>,
    pool: Arc<Pool>,
    store: Arc<Store>,
    waiting: VecDeque<(CallId, InteractionId)>,
    in_flight: BTreeSet<CallId>,
    deployments: BTreeMap<Name, Deployment>,
    failed: Vec<(CallId, InteractionId, String)>,
}

enum Deployment {
    Loading(Vec<(CallId, InteractionId)>),
    Loaded(Arc<strategy::Deployment>),
}

impl Calls {
    pub(super) fn new(runtime: Arc<Runtime>, pool: Arc<Pool>, store: Arc<Store>) -> Self {
        Self {
            runtime,
            pool,
            store,
            waiting: VecDeque::new(),
            in_flight: BTreeSet::new(),
            deployments: BTreeMap::new(),
            failed: Vec::new(),
        }
    }

    /// After the account was loaded: all calls that it awaits and that are not in flight wait here.
    pub(super) fn reset(&mut self, account: &Account) {
        self.waiting = account.calls().filter(|(call, _)| !self.in_flight.contains(call)).collect();
        self.failed.clear();
        self.deployments.retain(|_, deployment| matches!(deployment, Deployment::Loaded(_)));
    }

    /// A call was requested; it runs after the commit.
    pub(super) fn requested(&mut self, call: CallId, interaction: InteractionId) {
        // A command that changes something else about an interaction under way touches it too.
        if !self.in_flight.contains(&call) && self.waiting.back().is_none_or(|(last, _)| *last < call) {
            self.waiting.push_back((call, interaction));
        }
    }

    /// A call has come back.
    pub(super) fn ended(&mut self, call: CallId) {
        self.in_flight.remove(&call);
    }

    /// A deployment was loaded, or cannot be.
    pub(super) fn loaded(&mut self, name: &Name, result: Result<Arc<strategy::Deployment>, String>) {
        let Some(Deployment::Loading(calls)) = self.deployments.remove(name) else { return };
        match result {
            Ok(deployment) => {
                if self.deployments.len() >= LOADED_MAX {
                    self.deployments.retain(|_, d| matches!(d, Deployment::Loading(_)));
                }
                self.deployments.insert(name.clone(), Deployment::Loaded(deployment));
                for call in calls.into_iter().rev() {
                    self.waiting.push_front(call);
                }
            }
            Err(why) => {
                tracing::error!(deployment = %name, why, "a deployment could not be loaded");
                self.failed.extend(calls.into_iter().map(|(call, id)| (call, id, why.clone())));
            }
        }
    }

    /// Calls that cannot be made, and why.
    pub(super) fn take_failed(&mut self) -> Vec<(CallId, InteractionId, String)> {
        std::mem::take(&mut self.failed)
    }

    /// Hands waiting calls to the pool, as far as there is room.
    pub(super) fn pump(
        &mut self,
        account: &Account,
        shared: &Arc<Shared>,
        content: impl Fn(InteractionId) -> Result<Arc<Content>, store::Error>,
    ) {
        if self.waiting.is_empty() {
            return;
        }
        let grants: Arc<dyn Grants> =
            Arc::new(AccountGrants::new(Arc::clone(account.configuration()), Arc::clone(&shared.stats)));
        while self.in_flight.len() < WINDOW {
            let Some((call, id)) = self.waiting.pop_front() else { return };
            let Some(live) = account.live(id) else { continue };
            let State::Routing { call: awaited, deployment: name, visit, .. } = &live.state else { continue };
            if *awaited != call {
                continue;
            }
            let deployment = match self.deployments.get_mut(name) {
                Some(Deployment::Loaded(deployment)) => Arc::clone(deployment),
                Some(Deployment::Loading(calls)) => {
                    calls.push((call, id));
                    continue;
                }
                None => {
                    self.deployments.insert(name.clone(), Deployment::Loading(vec![(call, id)]));
                    self.load(account, shared, name);
                    continue;
                }
            };
            let Some(frame) = live.frame() else { continue };
            let Some(flow) = account.configuration().flow(frame.workflow.as_str(), frame.version) else { continue };
            let content = match content(id) {
                Ok(content) => content,
                Err(error) => {
                    self.failed.push((call, id, error.to_string()));
                    continue;
                }
            };
            let request = Request {
                interaction: id,
                content,
                workflow: frame.workflow.clone(),
                element: flow.element(frame.element).id.clone(),
                visit: *visit,
                now: live.since,
            };
            let reply = Reply::new(shared, call, name, &request);
            let job = Job {
                deployment,
                request,
                grants: Arc::clone(&grants),
                done: Box::new(move |result| reply.send(result)),
            };
            self.in_flight.insert(call);
            if self.pool.submit(job).is_err() {
                // Dropping the job has sent an answer that says so; taken back here, for the call waits for room.
                self.in_flight.remove(&call);
                self.waiting.push_front((call, id));
                return;
            }
        }
    }

    /// Loads a deployment off the lane's thread.
    fn load(&self, account: &Account, shared: &Arc<Shared>, name: &Name) {
        let shared = Arc::clone(shared);
        let (runtime, store) = (Arc::clone(&self.runtime), Arc::clone(&self.store));
        let (name, document) = (name.clone(), account.configuration().deployments.get(name).cloned());
        let load = move || {
            let result = match document {
                Some(document) => load(&runtime, &store, shared.number, &document),
                None => Err("it was removed".to_owned()),
            };
            shared.mailbox.answer(Answer::Loaded { deployment: name, result });
        };
        std::thread::Builder::new()
            .name("load".into())
            .spawn(load)
            .unwrap_or_else(|e| panic!("the system gives no thread to load a strategy: {e}"));
    }

    /// Keeps what a call logged and how long it took.
    pub(super) fn note(
        &self,
        stats: &Stats,
        deployment: &Name,
        interaction: InteractionId,
        call: CallId,
        at_ms: UnixMillis,
        recorded: &Recorded,
    ) {
        let lines = recorded.log.iter().map(|line| LogLine {
            at_ms,
            interaction,
            call,
            level: level(line.level).to_owned(),
            message: line.message.clone(),
        });
        let time = Duration::from_nanos(recorded.instantiate_ns + recorded.guest_ns);
        stats.call(deployment, time, lines.collect());
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

fn load(
    runtime: &Runtime,
    store: &Store,
    number: store::AccountNumber,
    document: &signalbox_engine::Deployment,
) -> Result<Arc<strategy::Deployment>, String> {
    let blob = |digest| match store.blob(number, digest) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(format!("the binary {digest} is not in the store")),
        Err(error) => Err(error.to_string()),
    };
    let configuration = if document.snapshotted {
        None
    } else {
        let assets = document.assets.iter().map(|(name, digest)| Ok(Asset { name: name.clone(), content: blob(*digest)? }));
        Some((document.settings.clone(), assets.collect::<Result<_, String>>()?))
    };
    let package = Package {
        name: document.name.clone(),
        manifest: document.manifest.clone(),
        image: &blob(document.image)?,
        component: &blob(document.component)?,
        configuration,
        deadline: Duration::from_millis(document.deadline_ms),
    };
    runtime.load(package).map_err(|error| {
        let source = std::error::Error::source(&error).map(|s| format!(": {s}")).unwrap_or_default();
        format!("{error}{source}")
    })
}

/// Brings a call's result into the mailbox: also where the pool drops the call.
struct Reply {
    shared: Arc<Shared>,
    call: Option<(CallId, Name, Box<Request>)>,
}

impl Reply {
    fn new(shared: &Arc<Shared>, call: CallId, deployment: &Name, request: &Request) -> Self {
        let call = Some((call, deployment.clone(), Box::new(request.clone())));
        Self { shared: Arc::clone(shared), call }
    }

    fn send(mut self, result: strategy::CallResult) {
        if let Some((call, deployment, request)) = self.call.take() {
            self.shared.mailbox.answer(Answer::Called { call, request, deployment, result });
        }
    }
}
