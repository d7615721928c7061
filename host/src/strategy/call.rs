//! One call of a strategy, in a sandbox of its own.
//!
//! A fresh sandbox each time: nothing of one interaction is there when the next is decided, and whatever a call breaks
//! is thrown away with it. It is made ready while nobody waits for it, after the call before, where there is one.
//! A call never fails as such; what went wrong is its outcome.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use signalbox_engine::{Decision, Failure, Request};
use wasmtime::Store;

use super::bindings::{Strategy, types};
use super::deployment::Deployment;
use super::grants::Grants;
use super::idle::{Idle, Kept};
use super::pool::SLOW;
use super::record::Recorded;
use super::sandbox::{Bounds, Sandbox, Source};
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
    /// Asks the strategy, here and now, in a sandbox that is made for it. Takes microseconds, and at most its deadline on a
    /// processor, however long that takes by the clock.
    #[must_use]
    pub fn call(&self, request: &Request, grants: &Arc<dyn Grants>) -> CallResult {
        self.run(request, Source::Live(Arc::clone(grants), request.clone()))
    }

    /// As [`call`](Self::call), in a sandbox that was made ready before, where there is one, and by the clock it ends after a
    /// few times the deadline. Whoever waits for the answer need not wait for what is left to do then: [`Spent::clear`]. For
    /// threads of low priority, such as a [`Pool`](super::Pool) has.
    pub fn answer(self: &Arc<Self>, request: &Request, grants: &Arc<dyn Grants>) -> (CallResult, Spent) {
        let began = Began::now();
        let ready = self.idle.upgrade().and_then(|idle| idle.take(self.id, 1)).map(|kept| kept.sandbox);
        // Else the next one would wait for a call that may not come before others want its place.
        let is_busy = self.was_called(began.at) || ready.is_some();
        let source = Source::Live(Arc::clone(grants), request.clone());
        let (result, made) = self.ask(ready.unwrap_or_else(|| self.made(self.bounds)), &began, request, source);
        let next = is_busy && is_sound(&result);
        (result, Spent { deployment: Arc::clone(self), made: Some(made), next, began })
    }

    /// As [`answer`](Self::answer), by an instance that answers up to so many calls, one after another. For strategies that
    /// could not be snapshotted, whose instances else configure themselves for one call each; of others a fresh one costs
    /// nothing, and they get it. An instance that failed answers none any more.
    ///
    /// What one call leaves behind, the next one finds. [`replay`](Self::replay) begins afresh, and may then decide
    /// otherwise.
    pub fn answer_warm(
        self: &Arc<Self>,
        request: &Request,
        grants: &Arc<dyn Grants>,
        calls_max: NonZero<u32>,
    ) -> (CallResult, Spent) {
        let idle = self.idle.upgrade().filter(|_| self.configuration.is_some());
        let Some(idle) = idle else { return self.answer(request, grants) };
        let began = Began::now();
        let waited = idle.take(self.id, calls_max.get());
        let is_busy = self.was_called(began.at) || waited.is_some();
        let (made, calls) = match waited {
            Some(kept) => (kept.sandbox, kept.calls.saturating_add(1)),
            None => (self.made(self.bounds), 1),
        };
        let source = Source::Live(Arc::clone(grants), request.clone());
        let (result, mut made) = self.ask(made, &began, request, source);
        let is_sound = is_sound(&result);
        let made = if is_sound && calls < calls_max.get() {
            // Lets go of what the call was answered from.
            Sandbox::renew(&mut made.store, Source::Nobody, Moment::default());
            self.keep(&idle, made, calls);
            None
        } else {
            Some(made)
        };
        let next = is_busy && is_sound && made.is_some();
        (result, Spent { deployment: Arc::clone(self), made, next, began })
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
        let faults = thread::page_faults();
        let source = Source::Live(Arc::clone(grants), request.clone());
        let (result, made) = self.ask(self.made(self.patient()), &Began::now(), request, source);
        let faults = thread::page_faults().saturating_sub(faults);
        let touched_bytes = if self.bounds.counts { faults * thread::PAGE_BYTES } else { 0 };
        Counted { result, instructions: Sandbox::instructions(&made.store), touched_bytes }
    }

    /// An instance that stays between calls. Only for comparison: what one call leaves behind, the next one finds.
    ///
    /// # Errors
    /// [`Failure`] where it cannot be instantiated or configured.
    pub fn warm(self: &Arc<Self>) -> Result<Warm, Failure> {
        let Made { store, strategy } = self.made(self.patient());
        strategy.map(|strategy| Warm { deployment: Arc::clone(self), store, strategy })
    }

    fn run(&self, request: &Request, source: Source) -> CallResult {
        let began = Began::now();
        let (result, made) = self.ask(self.made(self.patient()), &began, request, source);
        drop(made);
        self.took(began.took());
        result
    }

    /// Makes a sandbox for a call that is yet to come, unless others are as likely to be wanted.
    fn make_ready(&self) {
        let idle = self.idle.upgrade().filter(|idle| idle.has_room(Instant::now()));
        let Some(idle) = idle.filter(|_| !self.is_retired.load(Ordering::Relaxed)) else { return };
        // No other gives way to one that nobody has asked for.
        let (mut store, made) = self.instance(self.bounds);
        let strategy = made.map_err(|error| trap::instantiation(&error, store.data()));
        if let Ok(strategy) = strategy.and_then(|strategy| self.configured(strategy, &mut store)) {
            self.keep(&idle, Made { store, strategy: Ok(strategy) }, 0);
        }
    }

    fn keep(&self, idle: &Idle<Made>, made: Made, calls: u32) {
        let bytes = made.store.data().memory.bytes;
        idle.keep(Kept { deployment: self.id, calls, bytes, since: Instant::now(), sandbox: made });
        // After it: whoever retires the deployment meanwhile may have looked before it was there.
        if self.is_retired.load(Ordering::Relaxed) {
            idle.forget(self.id);
        }
    }

    /// Lets go of the sandboxes that wait for its calls, where none is to come. Those that are under way leave none.
    pub fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
        if let Some(idle) = self.idle.upgrade() {
            idle.forget(self.id);
        }
    }

    /// A sandbox that is configured. All begin alike, whenever and for whatever call they are made.
    fn made(&self, bounds: Bounds) -> Made {
        let instance = || self.instance(bounds);
        let (mut store, made) = self.idle.upgrade().map_or_else(instance, |idle| idle.give_way(instance));
        let strategy = made.map_err(|error| trap::instantiation(&error, store.data()));
        let strategy = strategy.and_then(|strategy| self.configured(strategy, &mut store));
        Made { store, strategy }
    }

    /// Bounds where no interaction waits: a replay on a busy machine may get no processor for seconds.
    fn patient(&self) -> Bounds {
        Bounds { by_the_clock: false, ..self.bounds }
    }

    fn instance(&self, bounds: Bounds) -> (Store<Sandbox>, wasmtime::Result<Strategy>) {
        let engine = self.pre.engine();
        let mut store = Sandbox::store(engine, Source::Nobody, Moment::default(), bounds, self.scope.clone());
        let made = self.pre.instantiate(&mut store);
        (store, made)
    }

    /// An instance that has its settings, where they are not in its memory already.
    fn configured(&self, strategy: Strategy, store: &mut Store<Sandbox>) -> Result<Strategy, Failure> {
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

    /// Puts the question to an instance, where there is one.
    fn ask(&self, made: Made, began: &Began, request: &Request, source: Source) -> (CallResult, Made) {
        let Made { mut store, strategy } = made;
        if strategy.is_ok() {
            Sandbox::renew(&mut store, source, Moment::of(request));
        }
        let ready = began.at.elapsed();
        let outcome = match &strategy {
            Ok(strategy) => self.route(strategy, &mut store, request),
            Err(failure) => Err(failure.clone()),
        };
        let guest = began.at.elapsed().saturating_sub(ready);
        (finished(outcome, &mut store, ready, guest), Made { store, strategy })
    }

    fn route(&self, strategy: &Strategy, store: &mut Store<Sandbox>, request: &Request) -> Result<Decision, Failure> {
        match request::lowered(request, |lowered| strategy.call_route(&mut *store, lowered)) {
            Ok(Ok(decision)) => answer::decision(decision, &self.manifest, self.scope.as_deref()),
            Ok(Err(failure)) => Err(answer::failure(failure)),
            Err(error) => Err(trap::failure(&error, store.data())),
        }
    }
}

/// A sandbox, and the instance in it or why there is none.
pub(super) struct Made {
    store: Store<Sandbox>,
    strategy: Result<Strategy, Failure>,
}

/// When a call began, by the clock and on this thread's processor.
struct Began {
    at: Instant,
    used: Duration,
}

impl Began {
    fn now() -> Self {
        Self { at: Instant::now(), used: thread::processor_time() }
    }

    /// How long it kept a processor. A quick call that had to wait for one is no slow one.
    fn took(&self) -> u64 {
        let elapsed = self.at.elapsed();
        let waited = elapsed >= SLOW;
        nanoseconds(if waited { thread::processor_time().saturating_sub(self.used) } else { elapsed })
    }
}

/// What a call leaves behind: a sandbox to throw away, and the next one to make ready.
#[must_use = "the next call finds a sandbox ready where this is cleared"]
pub struct Spent {
    deployment: Arc<Deployment>,
    made: Option<Made>,
    /// Whether to make another ready.
    next: bool,
    began: Began,
}

impl Spent {
    /// Throws the sandbox away and makes the next one ready. For after the answer is handed on, on the same thread.
    pub fn clear(self) {
        let Self { deployment, made, next, began } = self;
        drop(made);
        if next {
            deployment.make_ready();
        }
        deployment.took(began.took());
    }
}

/// Whether an instance that ended a call so could end another.
fn is_sound(result: &CallResult) -> bool {
    matches!(result.outcome, Ok(_) | Err(Failure::Unsuitable(_) | Failure::Missing(_) | Failure::Other(_)))
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
