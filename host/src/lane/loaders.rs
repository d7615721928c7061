//! The threads that load strategies, for all accounts: a few, for each holds a strategy's binaries meanwhile.
//!
//! Work that waits is bounded by who hands it in: a lane has a deployment loaded once at a time, and lets go of deployments
//! and images that one commit made unneeded.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

const THREADS: usize = 4;

type Work = Box<dyn FnOnce() + Send>;

/// Dropping it lets its threads end when they have done what waits.
pub(super) struct Loaders(Sender<Work>);

impl Loaders {
    pub(super) fn start() -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for n in 0..THREADS {
            let receiver = Arc::clone(&receiver);
            let work = move || {
                while let Some(work) = next(&receiver) {
                    work();
                }
            };
            Builder::new().name(format!("load-{n}")).spawn(work)?;
        }
        Ok(Self(sender))
    }

    /// Does some work, which must not panic, when it is its turn.
    pub(super) fn run(&self, work: impl FnOnce() + Send + 'static) {
        // Its threads end after it does.
        drop(self.0.send(Box::new(work)));
    }
}

fn next(receiver: &Mutex<Receiver<Work>>) -> Option<Work> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
