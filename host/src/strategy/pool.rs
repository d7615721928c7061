//! The threads that strategies run on: few, of low priority, and shared fairly between deployments.
//!
//! Each deployment has a queue of its own; threads take from the queues in turn. Deployments whose calls take long have
//! threads of their own, of a still lower priority, so that slow strategies delay only each other. How long a deployment's
//! calls take its last ones show; who has not been called yet gets no thread of the quick ones but where another of them is
//! free. The queues together are bounded.
//!
//! Invariant: how slow a deployment of a pool is changes only by calls on the pool's threads, which look for whom a change
//! has given work.
//!
//! Cheap under load: a thread that is done takes the next call without sleeping, and a submission wakes somebody only
//! where somebody sleeps.

use std::collections::{HashMap, VecDeque};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Calls that keep a processor longer than this make a deployment slow. Others then wait no longer for a thread than this.
pub(super) const SLOW: Duration = Duration::from_millis(1);

/// One call to make.
pub struct Job {
    /// Whom to ask.
    pub deployment: Arc<Deployment>,
    /// What about.
    pub request: Request,
    /// Who answers the strategy's imports.
    pub grants: Arc<dyn Grants>,
    /// Calls that one instance may answer; none for a fresh one. See [`Deployment::answer_warm`].
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
    /// Where each crew sleeps.
    work: [Condvar; 2],
    /// No call is made any more. Set under the lock, so that who sleeps is woken for it.
    closed: AtomicBool,
}

/// Threads for the same kind of deployments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crew {
    Quick,
    Slow,
}

impl Crew {
    fn other(self) -> Self {
        match self {
            Self::Quick => Self::Slow,
            Self::Slow => Self::Quick,
        }
    }
}

impl Pool {
    /// Starts so many threads for quick deployments, and as many but one, though at least one, for slow ones. At most
    /// `waiting_max` calls wait for one.
    ///
    /// # Errors
    /// [`Unfit::Thread`] where the system gives no thread.
    pub fn new(threads: NonZero<usize>, waiting_max: usize) -> Result<Self, Unfit> {
        let state = State {
            queues: HashMap::new(),
            turns: VecDeque::new(),
            running: Vec::with_capacity(threads.get() * 2),
            asleep: [Asleep::default(); 2],
            waiting: 0,
            waiting_max,
        };
        let mut pool = Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                work: Default::default(),
                closed: AtomicBool::new(false),
            }),
            threads: Vec::with_capacity(threads.get() * 2),
        };
        for n in 0..threads.get() {
            pool.start(Crew::Quick, format!("strategy-{n}"))?;
        }
        for n in 0..(threads.get() - 1).max(1) {
            pool.start(Crew::Slow, format!("strategy-slow-{n}"))?;
        }
        Ok(pool)
    }

    fn start(&mut self, crew: Crew, name: String) -> Result<(), Unfit> {
        let shared = Arc::clone(&self.shared);
        let builder = Builder::new().name(name).stack_size(STACK_BYTES);
        let thread = builder.spawn(move || shared.work(crew)).map_err(|error| Unfit::Thread(error.into()))?;
        self.threads.push(thread);
        Ok(())
    }

    /// Puts a call in its deployment's queue.
    ///
    /// # Errors
    /// [`Full`] where too many wait already; the job is dropped.
    pub fn submit(&self, job: Job) -> Result<(), Full> {
        let mut state = self.shared.lock();
        if state.waiting >= state.waiting_max || self.shared.is_closed() {
            return Err(Full);
        }
        let id = state.push(job);
        // What nobody has called yet is for the slow ones' threads first, for nobody knows how long it takes.
        let crew = [Crew::Slow, Crew::Quick].into_iter().find(|crew| state.is_for(id, *crew) && state.wakes(*crew));
        drop(state);
        if let Some(crew) = crew {
            self.shared.wake(crew);
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
            self.shared.closed.store(true, Ordering::Relaxed);
            std::mem::take(&mut state.queues)
        };
        self.shared.work.iter().for_each(Condvar::notify_all);
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

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn wake(&self, crew: Crew) {
        self.work[crew as usize].notify_one();
    }

    fn work(&self, crew: Crew) {
        thread::lower_priority(match crew {
            Crew::Quick => thread::CALLING,
            Crew::Slow => thread::CALLING_SLOW,
        });
        let mut state = self.lock();
        loop {
            let call = if self.is_closed() { None } else { state.take(crew) };
            if let Some((job, more)) = call {
                // One wakes the next, so that a burst never wakes more threads than find work.
                let next = if more { state.next(crew) } else { None };
                drop(state);
                if let Some(next) = next {
                    self.wake(next);
                }
                let id = job.deployment.id;
                run(self, job);
                state = self.lock();
                state.ended(id);
                // What waits for it may be the other crew's from now on, which sleeps and has not been told.
                let other = crew.other();
                if state.is_for(id, other) && state.wakes(other) {
                    self.wake(other);
                }
            } else if self.is_closed() {
                return;
            } else {
                state.asleep[crew as usize].sleeping += 1;
                state = self.work[crew as usize].wait(state).unwrap_or_else(PoisonError::into_inner);
                let asleep = &mut state.asleep[crew as usize];
                asleep.sleeping -= 1;
                asleep.called = asleep.called.saturating_sub(1);
            }
        }
    }
}

/// Makes the call, hands on its result, and clears up. A bug of the server in it costs this one call.
fn run(shared: &Shared, job: Job) {
    let Job { deployment, request, grants, warm_calls, done } = job;
    let call = || match warm_calls {
        Some(calls_max) => deployment.answer_warm(&request, &grants, calls_max),
        None => deployment.answer(&request, &grants),
    };
    let (result, spent) = match catch_unwind(AssertUnwindSafe(call)) {
        Ok((result, spent)) => (result, Some(spent)),
        Err(panic) => {
            let why = format!("a bug in the server: {}", said(&*panic));
            tracing::error!(deployment = %deployment.name(), interaction = %request.interaction, why, "a call panicked");
            let outcome = Err(Failure::Unavailable(why));
            (CallResult { outcome, record: Recorded::default(), host_ns: 0 }, None)
        }
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| done(result))) {
        tracing::error!(deployment = %deployment.name(), why = said(&*panic), "the result of a call was not taken");
    }
    // Nobody is to be made ready for a pool that shuts down.
    let spent = spent.filter(|_| !shared.is_closed());
    if let Some(Err(panic)) = spent.map(|spent| catch_unwind(AssertUnwindSafe(|| spent.clear()))) {
        tracing::error!(deployment = %deployment.name(), why = said(&*panic), "a sandbox was not cleared");
    }
}

/// What waits and what runs.
struct State {
    /// By deployment; none is empty.
    queues: HashMap<u64, VecDeque<Job>>,
    /// Deployments with calls that wait, each once, the next to serve first.
    turns: VecDeque<u64>,
    /// The deployment of each call that runs.
    running: Vec<u64>,
    /// Of each crew.
    asleep: [Asleep; 2],
    waiting: usize,
    waiting_max: usize,
}

/// Threads of a crew that sleep.
#[derive(Debug, Clone, Copy, Default)]
struct Asleep {
    sleeping: usize,
    /// Of them, how many were called and have not got up yet.
    called: usize,
}

impl State {
    /// Puts a call in its deployment's queue, and answers which that is.
    fn push(&mut self, job: Job) -> u64 {
        let id = job.deployment.id;
        let queue = self.queues.entry(id).or_default();
        if queue.is_empty() {
            self.turns.push_back(id);
        }
        queue.push_back(job);
        self.waiting += 1;
        id
    }

    /// The next call that one of a crew is to make, and whether another of it could make one beside it.
    fn take(&mut self, crew: Crew) -> Option<(Job, bool)> {
        let turn = self.turns.iter().position(|id| self.may_run(*id, crew))?;
        let id = self.turns.remove(turn)?;
        let queue = self.queues.get_mut(&id)?;
        let job = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&id);
        } else {
            self.turns.push_back(id);
        }
        self.running.push(id);
        self.waiting -= 1;
        // Looked for only where somebody could be woken for it.
        let sleeps = self.asleep.iter().any(|asleep| asleep.sleeping > asleep.called);
        let more = sleeps && self.turns.iter().skip(turn).any(|id| self.is_for(*id, crew));
        Some((job, more))
    }

    /// Of which crew to wake one where there is more for this one. What is for both goes to the quick ones where no slow one
    /// is left.
    fn next(&mut self, crew: Crew) -> Option<Crew> {
        if self.wakes(crew) {
            return Some(crew);
        }
        let is_for_quick = crew == Crew::Slow && self.turns.iter().any(|id| self.is_for(*id, Crew::Quick));
        (is_for_quick && self.wakes(Crew::Quick)).then_some(Crew::Quick)
    }

    /// Whether one of a crew that sleeps would make the next call of a deployment. Who is woken does not sleep any more.
    fn is_for(&self, id: u64, crew: Crew) -> bool {
        self.suits(id, crew, 1)
    }

    /// Whether one of a crew that is awake may make the next call of a deployment.
    fn may_run(&self, id: u64, crew: Crew) -> bool {
        self.suits(id, crew, 0)
    }

    /// How slow a deployment is, its first calls show. The quick ones' threads make them where those of the slow ones are all
    /// busy, which may be for long, but never with their last one: more of them sleep than `woken`.
    fn suits(&self, id: u64, crew: Crew, woken: usize) -> bool {
        let Some(job) = self.queues.get(&id).and_then(VecDeque::front) else { return false };
        match (job.deployment.typical(), crew) {
            (Some(typical), Crew::Quick) => typical < SLOW,
            (Some(typical), Crew::Slow) => typical >= SLOW,
            (None, Crew::Quick) => {
                let [quick, slow] = &self.asleep;
                quick.sleeping > woken && slow.sleeping == 0 && !self.running.contains(&id)
            }
            (None, Crew::Slow) => true,
        }
    }

    /// Whether to wake one of a crew: nobody is called twice, for that costs a system call each time.
    fn wakes(&mut self, crew: Crew) -> bool {
        let asleep = &mut self.asleep[crew as usize];
        let wakes = asleep.sleeping > asleep.called;
        asleep.called += usize::from(wakes);
        wakes
    }

    fn ended(&mut self, id: u64) {
        if let Some(place) = self.running.iter().position(|running| *running == id) {
            self.running.swap_remove(place);
        }
    }
}
