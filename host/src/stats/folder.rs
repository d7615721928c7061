//! The thread on which an account's statistics are folded, and what leads there and back.
//!
//! The lane hands on what it observed after each commit and goes on: the thread folds it 20 ms later at most while it keeps
//! up, or when somebody asks, and whoever reads waits for the thread at most, never for the lane. Nothing is lost where the
//! thread lags: what was observed is in the store, and the way to the thread is bounded, so that the lane waits once
//! [`LAG_MAX`] commits lie on it.
//!
//! A checkpoint is made here when enough was folded, and is written by the lane, a part with each commit.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use signalbox_engine::{Observed, Sequence};
use tokio::sync::oneshot;

use super::definition::wants_census;
use super::fold::{Checkpoint, Fold};

/// Commits that wait to be folded.
const LAG_MAX: usize = 1024;
/// Rest of the thread once all is folded: what is committed meanwhile is folded together, and wakes nobody.
const PAUSE: Duration = Duration::from_millis(20);
/// Facts that are folded without letting readers in between.
const FACTS_AT_ONCE: usize = 256;
/// Facts after which a checkpoint is made: what a start has to fold again.
const CHECKPOINT_FACTS: usize = 50_000;
/// Bytes of a checkpoint that one commit takes along.
const PART_BYTES: usize = 256 << 10;

/// What is kept of an account's statistics in the store.
#[derive(Debug, Default)]
pub struct Saved {
    /// The newest checkpoint that was written whole.
    pub checkpoint: Option<Vec<u8>>,
    /// What was observed since, in order.
    pub observed: Vec<(Sequence, Observed)>,
}

/// A part of a checkpoint that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointPart {
    /// The last record that the checkpoint has.
    pub sequence: Sequence,
    /// From 0 on.
    pub index: u32,
    /// What is to be kept.
    pub bytes: Vec<u8>,
    /// With this part it is whole: what was observed until then, and older checkpoints, can go.
    pub last: bool,
}

/// The handle.
pub(super) struct Folder {
    shared: Arc<Shared>,
    /// Made with the thread, when there is something to fold.
    way: OnceLock<Way>,
    /// What the thread does first.
    prepare: fn(),
}

#[derive(Default)]
struct Shared {
    fold: Mutex<Fold>,
    checkpoint: Mutex<Option<Writing>>,
}

/// To the thread.
struct Way {
    sender: SyncSender<Work>,
    /// None where it could not be made.
    thread: Option<Thread>,
}

/// A checkpoint on its way into the store.
struct Writing {
    sequence: Sequence,
    bytes: Vec<u8>,
    written: usize,
}

enum Work {
    /// What was observed until a record.
    Observed(Sequence, Box<Observed>),
    /// All interactions as they stand, in parts.
    Census(CensusPart),
    /// Everything anew, and how it would begin where that is lost.
    Restore(Box<Saved>, Box<Observed>),
    /// Tells when all before it is folded.
    Done(oneshot::Sender<()>),
}

enum CensusPart {
    First,
    More(Box<Observed>),
    Last,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Folder {
    fn default() -> Self {
        Self::new(|| {})
    }
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder").finish_non_exhaustive()
    }
}

impl Folder {
    pub(super) fn new(prepare: fn()) -> Self {
        Self { shared: Arc::default(), way: OnceLock::new(), prepare }
    }

    /// The statistics, to be looked at shortly.
    pub(super) fn fold(&self) -> MutexGuard<'_, Fold> {
        lock(&self.shared.fold)
    }

    /// Hands on what was observed until a record. Answers whether all interactions have to be counted, by
    /// [`Folder::census`], before all that is defined has figures.
    pub(super) fn observe(&self, sequence: Sequence, observed: Observed) -> bool {
        let counts = wants_census(&observed.facts);
        self.send(Work::Observed(sequence, Box::new(observed)));
        counts
    }

    /// Goes back to what is in the store; where that is not all that is defined, begins as it says.
    pub(super) fn restore(&self, saved: Saved, begin: Observed, census: impl Iterator<Item = Observed>) {
        self.send(Work::Restore(Box::new(saved), Box::new(begin)));
        self.census(census);
    }

    /// Hands on all interactions as they stand after what was observed last.
    pub(super) fn census(&self, census: impl Iterator<Item = Observed>) {
        self.send(Work::Census(CensusPart::First));
        for part in census {
            self.send(Work::Census(CensusPart::More(Box::new(part))));
        }
        self.send(Work::Census(CensusPart::Last));
    }

    fn send(&self, work: Work) {
        let way = self.way.get_or_init(|| self.thread());
        if way.sender.send(work).is_err() {
            tracing::error!("statistics stand still until the next start: their thread has ended");
        }
    }

    fn thread(&self) -> Way {
        let (sender, receiver) = sync_channel(LAG_MAX);
        let (shared, prepare) = (Arc::clone(&self.shared), self.prepare);
        let run = move || {
            prepare();
            shared.run(&receiver);
        };
        let thread = match std::thread::Builder::new().name("stats".into()).spawn(run) {
            Ok(handle) => Some(handle.thread().clone()),
            Err(error) => {
                // Then the receiver is gone, and so is what is sent.
                tracing::error!(error = &error as &dyn std::error::Error, "statistics stand still: there is no thread");
                None
            }
        };
        Way { sender, thread }
    }

    /// Has all folded at once that was handed on until now; the receiver hears when it is. None where there is no thread,
    /// or too much lies on the way to wait for it.
    pub(super) fn settle(&self) -> Option<oneshot::Receiver<()>> {
        let Way { sender, thread } = self.way.get()?;
        let (done, settled) = oneshot::channel();
        sender.try_send(Work::Done(done)).ok()?;
        thread.as_ref()?.unpark();
        Some(settled)
    }

    /// The next part of a checkpoint that is to be written, until [`Folder::written`] says that it was.
    pub(super) fn checkpoint_part(&self) -> Option<CheckpointPart> {
        let checkpoint = lock(&self.shared.checkpoint);
        let Writing { sequence, bytes, written } = checkpoint.as_ref()?;
        let end = (written + PART_BYTES).min(bytes.len());
        let index = u32::try_from(written / PART_BYTES).unwrap_or(u32::MAX);
        let part = bytes[*written..end].to_vec();
        Some(CheckpointPart { sequence: *sequence, index, bytes: part, last: end == bytes.len() })
    }

    /// A part was written.
    pub(super) fn written(&self, part: &CheckpointPart) {
        let mut checkpoint = lock(&self.shared.checkpoint);
        match checkpoint.as_mut().filter(|writing| writing.sequence == part.sequence) {
            Some(_) if part.last => *checkpoint = None,
            Some(writing) => writing.written += part.bytes.len(),
            None => {}
        }
    }
}

impl Shared {
    fn run(&self, receiver: &Receiver<Work>) {
        let mut facts = 0;
        loop {
            let work = match receiver.try_recv() {
                Ok(work) => work,
                Err(TryRecvError::Empty) => {
                    std::thread::park_timeout(PAUSE);
                    match receiver.recv() {
                        Ok(work) => work,
                        Err(_) => return,
                    }
                }
                Err(TryRecvError::Disconnected) => return,
            };
            match work {
                Work::Observed(sequence, observed) => {
                    self.observed(sequence, &observed);
                    facts += observed.facts.len();
                }
                Work::Census(CensusPart::First) => lock(&self.fold).begin_census(),
                Work::Census(CensusPart::More(part)) => lock(&self.fold).counted(&part),
                Work::Census(CensusPart::Last) => lock(&self.fold).end_census(),
                Work::Restore(saved, begin) => {
                    // What was begun was of what stood before.
                    *lock(&self.checkpoint) = None;
                    facts = self.restore(*saved, &begin);
                }
                // Whoever waited may have gone.
                Work::Done(done) => drop(done.send(())),
            }
            if facts >= CHECKPOINT_FACTS && lock(&self.checkpoint).is_none() {
                self.checkpoint();
                facts = 0;
            }
        }
    }

    /// Folds with room for readers in between: a figure is of a moment, whatever else is under way.
    fn observed(&self, sequence: Sequence, observed: &Observed) {
        for facts in observed.facts.chunks(FACTS_AT_ONCE) {
            lock(&self.fold).facts(&observed.subjects, facts);
        }
        let mut fold = lock(&self.fold);
        fold.moved(observed);
        fold.folded(sequence);
    }

    /// Answers with how many facts were folded again.
    fn restore(&self, saved: Saved, begin: &Observed) -> usize {
        let checkpoint = saved.checkpoint.and_then(|bytes| match postcard::from_bytes::<Checkpoint>(&bytes) {
            Ok(checkpoint) => Some(checkpoint),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the checkpoint of the statistics is damaged"
                );
                None
            }
        });
        let fold = checkpoint.map_or_else(Fold::default, Fold::restored);
        let from = fold.sequence();
        *lock(&self.fold) = fold;
        let mut facts = 0;
        for (sequence, observed) in saved.observed.iter().filter(|(sequence, _)| *sequence > from) {
            self.observed(*sequence, observed);
            facts += observed.facts.len();
        }
        let mut fold = lock(&self.fold);
        if !fold.defines(&begin.facts) {
            tracing::error!("what was observed for the statistics is lost: all of them begin anew");
            *fold = Fold::default();
            fold.facts(&begin.subjects, &begin.facts);
            facts = CHECKPOINT_FACTS;
        }
        facts
    }

    fn checkpoint(&self) {
        let (sequence, encoded) = {
            let fold = lock(&self.fold);
            (fold.sequence(), postcard::to_stdvec(&fold.checkpoint()))
        };
        match encoded {
            Ok(bytes) => *lock(&self.checkpoint) = Some(Writing { sequence, bytes, written: 0 }),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the statistics cannot be encoded");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use serde_json::json;
    use signalbox_engine::{Fact, Happening, Name, Statistic, Subject, UnixMillis};

    use super::*;

    fn submitted(at: u64, times: usize) -> Observed {
        let media_type = Name::new("chat").unwrap();
        let (frames, marks) = ([].into(), Vec::new());
        let subject = Subject { media_type, frames, queue: None, agent: None, place: None, deployment: None, marks };
        let fact = Fact::Happened { subject: 0, what: Happening::Submitted, ms: None, outcome: None };
        Observed { subjects: vec![subject], facts: vec![(UnixMillis(at), fact); times], ..Observed::default() }
    }

    fn defined(name: &str) -> Observed {
        let statistic = json!({"name": name, "object": {"kind": "account"},
            "measure": {"kind": "number", "of": "submitted"}});
        let statistic: Statistic = serde_json::from_value(statistic).unwrap();
        Observed { facts: vec![(UnixMillis(0), Fact::Defined(Arc::new(statistic)))], ..Observed::default() }
    }

    fn other(n: u64) -> Observed {
        defined(&format!("other-{n}-{}", "x".repeat(50)))
    }

    #[test]
    fn what_is_lost_begins_anew() {
        let folder = Folder::default();
        let _ = folder.observe(Sequence(1), defined("other"));
        folder.restore(Saved::default(), defined("count"), std::iter::empty());
        let _ = folder.observe(Sequence(2), submitted(1, 7));
        assert_eq!(value(&folder), Some(7.0));
        assert!(folder.fold().figure("other", UnixMillis(1)).is_none());
    }

    fn value(folder: &Folder) -> Option<f64> {
        folder.settle().unwrap().blocking_recv().unwrap();
        folder.fold().figure("count", UnixMillis(1_000_000)).and_then(|figure| figure.value)
    }

    #[test]
    fn a_lagging_thread_loses_nothing() {
        let folder = Folder::default();
        let _ = folder.observe(Sequence(1), defined("count"));
        for n in 0..5000 {
            let _ = folder.observe(Sequence(2 + n), submitted(n, 1));
        }
        assert_eq!(value(&folder), Some(5000.0));
    }

    #[test]
    fn a_checkpoint_comes_in_parts_and_with_what_came_after_gives_the_same() {
        static PREPARED: AtomicU64 = AtomicU64::new(0);
        let folder = Folder::new(|| {
            PREPARED.fetch_add(1, Ordering::Relaxed);
        });
        let _ = folder.observe(Sequence(1), defined("count"));
        for n in 0..3000 {
            let _ = folder.observe(Sequence(2 + n), other(n));
        }
        let mut rows = vec![(Sequence(1), defined("count"))];
        for n in 0..60 {
            let (sequence, observed) = (Sequence(4000 + n), submitted(n, 1000));
            rows.push((sequence, observed.clone()));
            let _ = folder.observe(sequence, observed);
        }
        folder.settle().unwrap().blocking_recv().unwrap();
        let mut checkpoint = Vec::new();
        let mut parts = 0;
        let until = loop {
            let part = folder.checkpoint_part().unwrap();
            assert_eq!(folder.checkpoint_part().as_ref(), Some(&part), "it stays until it is written");
            assert_eq!(part.index, parts);
            checkpoint.extend(&part.bytes);
            parts += 1;
            folder.written(&part);
            if part.last {
                break part.sequence;
            }
        };
        assert!(parts > 1 && folder.checkpoint_part().is_none());
        let again = Folder::default();
        rows.retain(|(sequence, _)| *sequence > until);
        assert!(rows.len() < 60);
        let saved = Saved { checkpoint: Some(checkpoint), observed: rows };
        let mut begin = defined("count");
        begin.facts.extend((0..3000).flat_map(|n| other(n).facts));
        again.restore(saved, begin, std::iter::empty());
        assert_eq!(value(&again), value(&folder));
        assert_eq!(value(&again), Some(60_000.0));
        assert_eq!(PREPARED.load(Ordering::Relaxed), 1);
    }
}
