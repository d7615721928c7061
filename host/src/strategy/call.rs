//! One call of a strategy, in a sandbox of its own.
//!
//! A fresh sandbox each time: nothing of one interaction is there when the next is decided, and whatever a call breaks
//! is thrown away with it. A call never fails as such; what went wrong is its outcome.

use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use signalbox_engine::{Decision, Failure, Request};
use wasmtime::Store;

use super::bindings::{Strategy, types};
use super::deployment::Deployment;
use super::grants::Grants;
use super::idle::Kept;
use super::pool::SLOW;
use super::record::Recorded;
use super::sandbox::{Sandbox, Source};
use super::wasi::Moment;
use super::{answer, request, thread, trap};

/// How a call ended, and what it saw.
#[derive(Debug, Clone, PartialEq)]
pub struct CallResult {
    /// The decision, within all bounds, or why there is none.
    pub outcome: Result<Decision, Failure>,
    /// What to keep of the call.
    pub record: Recorded,
    /// Of its time in the strategy, that in which the server answered what it asked, in nanoseconds.
    pub host_ns: u64,
}

/// What a call took beside time.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// How it ended.
    pub result: CallResult,
    /// WebAssembly instructions, those that make the sandbox and configure it included.
    pub instructions: u64,
    /// Bytes of memory that it touched, in whole pages: as many as the kernel had to bring in.
    pub touched_bytes: u64,
}

impl Deployment {
    /// Asks the strategy, here and now. Takes microseconds, and at most a few times the deadline; call it from threads of
    /// low priority, such as a [`Pool`](super::Pool) has.
    #[must_use]
    pub fn call(&self, request: &Request, grants: &Arc<dyn Grants>) -> CallResult {
        self.run(request, Source::Live(Arc::clone(grants), request.clone()))
    }

    /// As [`call`](Self::call), by an instance that answers up to so many calls, one after another. For strategies that
    /// could not be snapshotted, which else configure themselves in every call; of others a fresh one costs nothing, and
    /// they get it. An instance that failed answers none any more.
    ///
    /// What one call leaves behind, the next one finds. [`replay`](Self::replay) begins afresh, and may then decide
    /// otherwise.
    #[must_use]
    pub fn call_warm(
        self: &Arc<Self>,
        request: &Request,
        grants: &Arc<dyn Grants>,
        calls_max: NonZero<u32>,
    ) -> CallResult {
        let idle = self.idle.upgrade().filter(|_| self.configuration.is_some());
        let Some(idle) = idle else { return self.call(request, grants) };
        let (began, used) = (Instant::now(), thread::processor_time());
        let waiting =
            idle.take(self.id, calls_max.get()).map_or_else(|| self.warm().map(|warm| Kept { warm, calls: 0 }), Ok);
        let made = began.elapsed();
        let mut kept = match waiting {
            Ok(kept) => kept,
            Err(failure) => {
                self.took(nanoseconds(thread::processor_time().saturating_sub(used)));
                let record = Recorded { instantiate_ns: nanoseconds(made), ..Recorded::default() };
                return CallResult { outcome: Err(failure), record, host_ns: 0 };
            }
        };
        let mut result = kept.warm.call(request, grants);
        result.record.instantiate_ns = result.record.instantiate_ns.saturating_add(nanoseconds(made));
        kept.calls = kept.calls.saturating_add(1);
        let is_sound =
            matches!(result.outcome, Ok(_) | Err(Failure::Unsuitable(_) | Failure::Missing(_) | Failure::Other(_)));
        if is_sound && kept.calls < calls_max.get() {
            kept.warm.rest();
            idle.keep(kept);
        }
        self.took(nanoseconds(thread::processor_time().saturating_sub(used)));
        result
    }

    /// Runs a call again as it was: its imports are answered by the record. A call that asks for something else than was
    /// recorded, as another version of the strategy may, fails as [`Failure::Unavailable`], naming both.
    #[must_use]
    pub fn replay(&self, request: &Request, recorded: &Recorded) -> CallResult {
        self.run(request, Source::Record(recorded.granted.clone(), 0))
    }

    /// As [`call`](Self::call), and counts what it takes. Of a runtime that was made for
    /// [`Counting`](super::Purpose::Counting); of another the counts are 0.
    #[must_use]
    pub fn count(&self, request: &Request, grants: &Arc<dyn Grants>) -> Counted {
        let mut store = self.store(Source::Live(Arc::clone(grants), request.clone()), Moment::of(request));
        let faults = thread::page_faults();
        let outcome = self.instance(&mut store).and_then(|strategy| self.route(&strategy, &mut store, request));
        let faults = thread::page_faults().saturating_sub(faults);
        let instructions = Sandbox::instructions(&store);
        let touched_bytes = if self.bounds.counts { faults * thread::PAGE_BYTES } else { 0 };
        let result = finished(outcome, &mut store, Duration::ZERO, Duration::ZERO);
        Counted { result, instructions, touched_bytes }
    }

    /// An instance that stays between calls. Only for comparison: what one call leaves behind, the next one finds.
    ///
    /// # Errors
    /// [`Failure`] where it cannot be instantiated or configured.
    pub fn warm(self: &Arc<Self>) -> Result<Warm, Failure> {
        let mut store = self.store(Source::Nobody, Moment::default());
        let strategy = self.instance(&mut store)?;
        Ok(Warm { deployment: Arc::clone(self), store, strategy })
    }

    fn run(&self, request: &Request, source: Source) -> CallResult {
        let began = Instant::now();
        let used = thread::processor_time();
        let mut store = self.store(source, Moment::of(request));
        let strategy = self.instance(&mut store);
        let instantiated = Instant::now();
        let outcome = strategy.and_then(|strategy| self.route(&strategy, &mut store, request));
        let guest = instantiated.elapsed();
        let result = finished(outcome, &mut store, instantiated - began, guest);
        drop(store);
        let elapsed = began.elapsed();
        // A quick call that had to wait for a processor is no slow one.
        let waited = elapsed >= SLOW;
        self.took(nanoseconds(if waited { thread::processor_time().saturating_sub(used) } else { elapsed }));
        result
    }

    fn store(&self, source: Source, moment: Moment) -> Store<Sandbox> {
        Sandbox::store(self.pre.engine(), source, moment, self.bounds, self.scope.clone())
    }

    /// An instance that is configured.
    fn instance(&self, store: &mut Store<Sandbox>) -> Result<Strategy, Failure> {
        let mut made = self.pre.instantiate(&mut *store);
        // Those that only wait for their next call give way.
        if made.as_ref().is_err_and(trap::no_sandbox) && self.idle.upgrade().is_some_and(|idle| idle.yield_all()) {
            made = self.pre.instantiate(&mut *store);
        }
        let strategy = made.map_err(|error| trap::instantiation(&error, store.data()))?;
        let Some((settings, assets)) = &self.configuration else { return Ok(strategy) };
        let assets: Vec<_> =
            assets.iter().map(|asset| types::Asset { name: &asset.name, content: &asset.content }).collect();
        match strategy.call_configure(&mut *store, settings, &assets) {
            Ok(Ok(())) => {
                store.data_mut().forget_log();
                Ok(strategy)
            }
            Ok(Err(why)) => Err(Failure::Trap(answer::cut(format!("it refuses its settings: {why}"), 4096))),
            Err(error) => Err(trap::failure(&error, store.data())),
        }
    }

    fn route(&self, strategy: &Strategy, store: &mut Store<Sandbox>, request: &Request) -> Result<Decision, Failure> {
        match request::lowered(request, |lowered| strategy.call_route(&mut *store, lowered)) {
            Ok(Ok(decision)) => answer::decision(decision, &self.manifest, self.scope.as_deref()),
            Ok(Err(failure)) => Err(answer::failure(failure)),
            Err(error) => Err(trap::failure(&error, store.data())),
        }
    }
}

/// An instance that is called again and again.
pub struct Warm {
    deployment: Arc<Deployment>,
    store: Store<Sandbox>,
    strategy: Strategy,
}

impl Warm {
    /// As [`Deployment::call`], in this instance. After a trap every further call fails.
    #[must_use]
    pub fn call(&mut self, request: &Request, grants: &Arc<dyn Grants>) -> CallResult {
        let began = Instant::now();
        Sandbox::renew(&mut self.store, Source::Live(Arc::clone(grants), request.clone()), Moment::of(request));
        let renewed = Instant::now();
        let outcome = self.deployment.route(&self.strategy, &mut self.store, request);
        finished(outcome, &mut self.store, renewed - began, renewed.elapsed())
    }

    /// Whether it is of this deployment.
    pub(super) fn is_of(&self, deployment: u64) -> bool {
        self.deployment.id == deployment
    }

    /// Lets go of what the last call was answered from.
    fn rest(&mut self) {
        Sandbox::renew(&mut self.store, Source::Nobody, Moment::default());
    }
}

fn finished(
    outcome: Result<Decision, Failure>,
    store: &mut Store<Sandbox>,
    instantiate: Duration,
    guest: Duration,
) -> CallResult {
    let sandbox = store.data_mut();
    let host_ns = nanoseconds(std::mem::take(&mut sandbox.asking));
    let record = Recorded {
        granted: std::mem::take(&mut sandbox.granted),
        log: std::mem::take(&mut sandbox.log),
        instantiate_ns: nanoseconds(instantiate),
        guest_ns: nanoseconds(guest),
        memory_bytes: u64::try_from(sandbox.memory.bytes).unwrap_or(u64::MAX),
    };
    CallResult { outcome, record, host_ns }
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
