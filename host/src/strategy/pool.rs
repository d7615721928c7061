//! The threads that strategies run on: few, of low priority, and shared fairly between deployments.
//!
//! Each deployment has a queue of its own; threads take from the queues in turn. Deployments whose calls take long never
//! get the last free thread, however many they are, so that slow strategies delay only each other. The queues together are
//! bounded.
//!
//! Cheap under load: a thread that is done takes the next call without sleeping, and a submission wakes somebody only
//! where somebody sleeps.

use std::collections::{HashMap, VecDeque};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use signalbox_engine::{Failure, Request};

use super::call::CallResult;
use super::deployment::Deployment;
use super::grants::Grants;
use super::install::said;
use super::machine::{STACK_BYTES, Unfit};
use super::record::Recorded;
use super::thread;

/// Calls that take longer than this make a deployment slow. Others then wait no longer for a thread than this.
pub(super) const SLOW: Duration = Duration::from_millis(1);

/// One call to make.
pub struct Job {
    /// Whom to ask.
    pub deployment: Arc<Deployment>,
    /// What about.
    pub request: Request,
    /// Who answers the strategy's imports.
    pub grants: Arc<dyn Grants>,
    /// Calls that one instance may answer; none for a fresh one. See [`Deployment::call_warm`].
    pub warm_calls: Option<NonZero<u32>>,
    /// Gets the result, on the thread that made the call: it must be brief. Dropped uncalled where the pool shuts down
    /// before the call's turn.
    pub done: Box<dyn FnOnce(CallResult) + Send>,
}

/// As many calls wait as may. Try again when some have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many calls of strategies are waiting")]
pub struct Full;

/// Threads that call strategies. Dropping it lets the calls that run finish, and forgets those that wait.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

impl Pool {
    /// Starts the threads. At most `waiting_max` calls wait for one.
    ///
    /// # Errors
    /// [`Unfit::Thread`] where the system gives no thread.
    pub fn new(threads: NonZero<usize>, waiting_max: usize) -> Result<Self, Unfit> {
        let state = State {
            queues: HashMap::new(),
            turns: VecDeque::new(),
            threads: threads.get(),
            running: Vec::with_capacity(threads.get()),
            sleeping: 0,
            called: 0,
            waiting: 0,
            waiting_max,
            closed: false,
        };
        let mut pool = Self {
            shared: Arc::new(Shared { state: Mutex::new(state), work: Condvar::new() }),
            threads: Vec::with_capacity(threads.get()),
        };
        for n in 0..threads.get() {
            let shared = Arc::clone(&pool.shared);
            let builder = Builder::new().name(format!("strategy-{n}")).stack_size(STACK_BYTES);
            let thread = builder.spawn(move || shared.work()).map_err(|error| Unfit::Thread(error.into()))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Puts a call in its deployment's queue.
    ///
    /// # Errors
    /// [`Full`] where too many wait already; the job is dropped.
    pub fn submit(&self, job: Job) -> Result<(), Full> {
        let mut state = self.shared.lock();
        if state.waiting >= state.waiting_max || state.closed {
            return Err(Full);
        }
        state.push(job);
        let wake = state.wakes();
        drop(state);
        if wake {
            self.shared.work.notify_one();
        }
        Ok(())
    }

    /// Calls that wait for a thread now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting
    }

    /// Calls that run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.lock().running.len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let forgotten = {
            let mut state = self.shared.lock();
            state.closed = true;
            std::mem::take(&mut state.queues)
        };
        self.shared.work.notify_all();
        // Outside the lock: dropping a job may run whatever its owner's destructors do.
        drop(forgotten);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that calls strategies had panicked");
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock but the allocator's, and the state is whole at each of its steps.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        thread::lower_priority(thread::CALLING);
        let mut state = self.lock();
        loop {
            if let Some((job, more)) = state.take() {
                // One wakes the next, so that a burst never wakes more threads than find work.
                let wake = more && state.wakes();
                drop(state);
                if wake {
                    self.work.notify_one();
                }
                let id = job.deployment.id;
                run(job);
                state = self.lock();
                state.ended(id);
            } else if state.closed {
                return;
            } else {
                state.sleeping += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.sleeping -= 1;
                state.called = state.called.saturating_sub(1);
            }
        }
    }
}

/// Makes the call and hands on its result. A bug of the server in it costs this one call.
fn run(job: Job) {
    let Job { deployment, request, grants, warm_calls, done } = job;
    let call = || match warm_calls {
        Some(calls_max) => deployment.call_warm(&request, &grants, calls_max),
        None => deployment.call(&request, &grants),
    };
    let result = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let why = format!("a bug in the server: {}", said(&*panic));
        tracing::error!(deployment = %deployment.name(), interaction = %request.interaction, why, "a call panicked");
        CallResult { outcome: Err(Failure::Unavailable(why)), record: Recorded::default(), host_ns: 0 }
    });
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| done(result))) {
        tracing::error!(deployment = %deployment.name(), why = said(&*panic), "the result of a call was not taken");
    }
}

/// What waits and what runs.
struct State {
    /// By deployment; none is empty.
    queues: HashMap<u64, VecDeque<Job>>,
    /// Deployments with calls that wait, each once, the next to serve first.
    turns: VecDeque<u64>,
    threads: usize,
    /// The deployment of each call that runs.
    running: Vec<Arc<Deployment>>,
    sleeping: usize,
    /// Of those that sleep, how many were called and have not got up yet.
    called: usize,
    waiting: usize,
    waiting_max: usize,
    closed: bool,
}

impl State {
    fn push(&mut self, job: Job) {
        let id = job.deployment.id;
        let queue = self.queues.entry(id).or_default();
        if queue.is_empty() {
            self.turns.push_back(id);
        }
        queue.push_back(job);
        self.waiting += 1;
    }

    /// The next call to make, and whether more could be made beside it.
    fn take(&mut self) -> Option<(Job, bool)> {
        if self.closed {
            return None;
        }
        let turn = self.turns.iter().position(|id| self.may_run(*id))?;
        let id = self.turns.remove(turn)?;
        let queue = self.queues.get_mut(&id)?;
        let job = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&id);
        } else {
            self.turns.push_back(id);
        }
        self.running.push(Arc::clone(&job.deployment));
        self.waiting -= 1;
        Some((job, !self.turns.is_empty()))
    }

    /// Slow deployments together leave a thread to the others, where there is more than one. How slow one is, its first
    /// call shows, which runs in any case.
    fn may_run(&self, id: u64) -> bool {
        let Some(job) = self.queues.get(&id).and_then(VecDeque::front) else { return false };
        let is_slow = |deployment: &Deployment| deployment.typical().is_none_or(|typical| typical >= SLOW);
        if !is_slow(&job.deployment) {
            return true;
        }
        let slow = self.running.iter().filter(|deployment| is_slow(deployment)).count();
        let is_first = || job.deployment.typical().is_none() && self.running.iter().all(|running| running.id != id);
        slow + 1 < self.threads.max(2) || is_first()
    }

    /// Whether to wake somebody: nobody is called twice, for that costs a system call each time.
    fn wakes(&mut self) -> bool {
        let wakes = self.sleeping > self.called;
        self.called += usize::from(wakes);
        wakes
    }

    fn ended(&mut self, id: u64) {
        if let Some(place) = self.running.iter().position(|running| running.id == id) {
            self.running.swap_remove(place);
        }
    }
}
