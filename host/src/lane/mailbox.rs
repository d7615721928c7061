//! Where a lane's work waits: requests, which are bounded and can be refused, and answers to the lane's own effects, which
//! never are, for there are no more of them than effects in flight.
//!
//! Answers go first: new work never starves what is under way.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Requests that wait at most. More are refused as [`super::Error::Full`].
pub(super) const REQUESTS_MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct Mailbox<R, A> {
    state: Mutex<State<R, A>>,
    arrived: Condvar,
}

#[derive(Debug)]
struct State<R, A> {
    requests: VecDeque<R>,
    answers: VecDeque<A>,
    reader_waits: bool,
    closed: bool,
}

/// What a reader takes out.
pub(super) struct Mail<R, A> {
    pub(super) answers: Vec<A>,
    pub(super) requests: Vec<R>,
    pub(super) closed: bool,
}

impl<R, A> Mailbox<R, A> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                requests: VecDeque::new(),
                answers: VecDeque::new(),
                reader_waits: false,
                closed: false,
            }),
            arrived: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<R, A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request in, or gives it back where too many wait.
    pub(super) fn request(&self, request: R) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.requests.len() >= REQUESTS_MAX {
            return Err(Refused::Full);
        }
        state.requests.push_back(request);
        self.wake(state);
        Ok(())
    }

    /// Puts an answer in. After the end it is dropped: what it answers is found again on the next start.
    pub(super) fn answer(&self, answer: A) {
        let mut state = self.lock();
        if !state.closed {
            state.answers.push_back(answer);
        }
        self.wake(state);
    }

    fn wake(&self, state: MutexGuard<'_, State<R, A>>) {
        let waits = state.reader_waits;
        drop(state);
        if waits {
            self.arrived.notify_one();
        }
    }

    /// Takes up to `max` out as soon as there is anything, or nothing once the time is over.
    pub(super) fn take(&self, max: usize, wait: Option<Duration>) -> Mail<R, A> {
        let until = wait.map(|wait| Instant::now() + wait);
        let mut state = self.lock();
        while state.requests.is_empty() && state.answers.is_empty() && !state.closed {
            state.reader_waits = true;
            state = match until {
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let Some(left) = until.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) else {
                        break;
                    };
                    self.arrived.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.reader_waits = false;
        let answers = state.answers.len().min(max);
        let requests = state.requests.len().min(max - answers);
        Mail {
            answers: state.answers.drain(..answers).collect(),
            requests: state.requests.drain(..requests).collect(),
            closed: state.closed,
        }
    }

    /// Whether it takes no more requests.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Takes no more requests; the reader finishes what is there.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }
}

/// Why a request was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    Closed,
}
