//! Makes recorded decisions again, with no effect but a report: by the deployment that made them, to show that it still
//! decides so, or by another, to show what would change.
//!
//! On threads of low priority, and at most as many as are given: what serves is not held up. The one pass over the
//! account's decisions reads what is durable, and holds no lock.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use signalbox_engine::{
    ClockReading, Condition, Content, DecisionBrief, Difference, Entry, Example, InteractionId, Name, ReplayReport,
    Request, UnixMillis, as_it_was,
};

use super::Lane;
use super::comparison::{Comparison, Outcomes};
use super::grants::AccountGrants;
use crate::stats::Times;
use crate::store::{self, AccountNumber, DecisionRow, DecisionsPage, Store};
use crate::strategy::{self, Answer, Grants, ObjectKind, Question, Recorded, RenderedText};

/// Decisions that are looked at at a time.
const PAGE: usize = 2048;
/// Bytes of those among them that are held at a time.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// A call is slower where it takes so much more than then, and at least twice as long.
const SLOWER_NS: u64 = 100_000;

/// Which decisions are made again, and by whom.
pub struct Replay {
    /// The report's name.
    pub name: Name,
    /// Whose decisions.
    pub deployment: Name,
    /// Who makes them again.
    pub against: Arc<strategy::Deployment>,
    /// From this moment on.
    pub since: UnixMillis,
    /// Those about interactions for which it holds, as they were.
    pub condition: Option<(String, Condition)>,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub at: UnixMillis,
}

/// How far a replay is, for whoever waits for it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Decisions that were looked at.
    pub seen: AtomicU64,
    /// Decisions that were made again.
    pub replayed: AtomicU64,
    /// Set to end it early.
    pub cancelled: AtomicBool,
}

/// Threads that make decisions again.
pub struct Replayers(rayon::ThreadPool);

impl Replayers {
    /// So many, of the lowest priority.
    ///
    /// # Errors
    /// Where the system has no threads.
    pub fn new(threads: NonZero<usize>) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .thread_name(|n| format!("replay-{n}"))
            .stack_size(strategy::STACK_BYTES)
            .start_handler(|_| strategy::lower_priority(strategy::REPLAYING))
            .build()?;
        Ok(Self(pool))
    }
}

impl Replay {
    /// Runs it. Takes as long as there are decisions: call it from a thread that may wait.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn run(
        &self,
        lane: &Lane,
        store: &Store,
        replayers: &Replayers,
        progress: &Progress,
    ) -> Result<ReplayReport, store::Error> {
        let number = lane.number();
        let grants = AccountGrants::new(Arc::clone(&lane.published().configuration), Arc::clone(&lane.shared.stats));
        let grants: Arc<dyn Grants> = Arc::new(grants);
        let mut sum = Sum::default();
        let mut after: Option<Vec<u8>> = None;
        // Where the server stops, the report has nowhere to go.
        while !progress.cancelled.load(Ordering::Relaxed) && !lane.shared.mailbox.is_closed() {
            let page = store.decisions_page(number, after.as_deref(), PAGE, PAGE_BYTES_MAX, |row| self.wants(row))?;
            let DecisionsPage { items: page, seen, next } = page;
            progress.seen.fetch_add(seen, Ordering::Relaxed);
            let made = replayers.0.install(|| {
                let one = |(id, row): (InteractionId, DecisionRow)| self.one(store, number, id, &row, &grants);
                page.into_par_iter().filter_map(one).collect::<Vec<_>>()
            });
            progress.replayed.fetch_add(made.len() as u64, Ordering::Relaxed);
            made.into_iter().for_each(|made| sum.add(made));
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(sum.report(self))
    }

    fn wants(&self, row: &DecisionRow) -> bool {
        row.deployment == self.deployment && row.answered_at >= self.since
    }

    /// One decision again; none where it is not about such an interaction.
    fn one(
        &self,
        store: &Store,
        number: AccountNumber,
        id: InteractionId,
        row: &DecisionRow,
        grants: &Arc<dyn Grants>,
    ) -> Option<Made> {
        let content = match store.content(number, id) {
            Ok(Some(content)) => as_it_was(&content, row.facts.clone()),
            _ => return Some(Made::Unreadable),
        };
        if !self.holds(id, row, &content) {
            return None;
        }
        let Ok(recorded) = Recorded::decode(&row.recorded) else { return Some(Made::Unreadable) };
        let request = Request {
            interaction: id,
            content: Arc::new(content),
            workflow: row.workflow.clone(),
            element: row.element.clone(),
            visit: row.visit,
            now: row.now,
        };
        let then_ns = recorded.guest_ns;
        let (result, from_today) = if self.against.name() == &self.deployment {
            (self.against.replay(&request, &recorded), 0)
        } else {
            let recalled = Arc::new(Recalled { recorded, today: Arc::clone(grants), unknown: AtomicU64::new(0) });
            let answers: Arc<dyn Grants> = Arc::clone(&recalled) as Arc<dyn Grants>;
            (self.against.call(&request, &answers), recalled.unknown.load(Ordering::Relaxed))
        };
        let difference = Difference::between(&row.result, &result.outcome);
        let changed = difference != Difference::None;
        Some(Made::Decided {
            identical: row.result == result.outcome,
            difference,
            from_today: from_today > 0,
            then_ns,
            again_ns: result.record.guest_ns,
            change: changed.then(|| {
                let outcome = |result| DecisionBrief::of(result, false).outcome;
                let outcomes = (outcome(&row.result), outcome(&result.outcome));
                Box::new((outcomes, Example::new(id, row.call.0, &row.result, &result.outcome)))
            }),
        })
    }

    fn holds(&self, id: InteractionId, row: &DecisionRow, content: &Content) -> bool {
        let Some((_, condition)) = &self.condition else { return true };
        condition.evaluate(id, &row.workflow, content, &[], row.now).unwrap_or(false)
    }
}

/// What came of one.
enum Made {
    Unreadable,
    Decided {
        identical: bool,
        difference: Difference,
        from_today: bool,
        then_ns: u64,
        again_ns: u64,
        change: Option<Box<(Outcomes, Example)>>,
    },
}

#[derive(Default)]
struct Sum {
    replayed: u64,
    identical: u64,
    from_today: u64,
    unreadable: u64,
    slower: u64,
    comparison: Comparison,
    then: Times,
    again: Times,
}

impl Sum {
    fn add(&mut self, made: Made) {
        let Made::Decided { identical, difference, from_today, then_ns, again_ns, change } = made else {
            self.unreadable += 1;
            return;
        };
        self.replayed += 1;
        self.identical += u64::from(identical);
        self.from_today += u64::from(from_today);
        self.slower += u64::from(again_ns >= then_ns + SLOWER_NS && again_ns >= 2 * then_ns);
        self.then.add(then_ns);
        self.again.add(again_ns);
        if let Some(change) = change {
            let (outcomes, example) = *change;
            self.comparison.add(difference, outcomes, example);
        }
    }

    fn report(self, replay: &Replay) -> ReplayReport {
        ReplayReport {
            name: replay.name.clone(),
            deployment: replay.deployment.clone(),
            against: replay.against.name().clone(),
            since_ms: replay.since,
            condition: replay.condition.as_ref().map(|(text, _)| text.clone()),
            replayed: self.replayed,
            identical: self.identical,
            outcome_changed: self.comparison.outcome_changed,
            actions_changed: self.comparison.actions_changed,
            failed: self.comparison.failed,
            mended: self.comparison.mended,
            answered_from_today: self.from_today,
            unreadable: self.unreadable,
            changes: self.comparison.changes(),
            examples: self.comparison.examples(),
            then: self.then.quantiles(),
            again: self.again.quantiles(),
            slower: self.slower,
            created_by: replay.by.clone(),
            created_at: replay.at,
        }
    }
}

/// Answers as they were given then; what was not asked then is answered as it stands today, and counted.
struct Recalled {
    recorded: Recorded,
    today: Arc<dyn Grants>,
    unknown: AtomicU64,
}

impl Recalled {
    fn then(&self, question: &Question) -> Option<&Answer> {
        let known = self.recorded.granted.iter().find(|granted| granted.question == *question);
        if known.is_none() {
            self.unknown.fetch_add(1, Ordering::Relaxed);
        }
        known.map(|granted| &granted.answer)
    }
}

impl Grants for Recalled {
    fn statistic(&self, kind: ObjectKind, name: &str, statistic: &str) -> Option<f64> {
        let question = Question::Statistic { kind, name: name.into(), statistic: statistic.into() };
        match self.then(&question) {
            Some(Answer::Number(number)) => *number,
            _ => self.today.statistic(kind, name, statistic),
        }
    }

    fn lookup(&self, table: &str, key: &str) -> Option<String> {
        match self.then(&Question::Lookup { table: table.into(), key: key.into() }) {
            Some(Answer::Text(text)) => text.clone(),
            _ => self.today.lookup(table, key),
        }
    }

    fn is_open(&self, calendar: &str, at: UnixMillis) -> Option<bool> {
        match self.then(&Question::IsOpen { calendar: calendar.into(), at }) {
            Some(Answer::Open(open)) => *open,
            _ => self.today.is_open(calendar, at),
        }
    }

    fn next_opening(&self, calendar: &str, after: UnixMillis) -> Option<UnixMillis> {
        match self.then(&Question::NextOpening { calendar: calendar.into(), after }) {
            Some(Answer::Moment(moment)) => *moment,
            _ => self.today.next_opening(calendar, after),
        }
    }

    fn clock(&self, calendar: &str, at: UnixMillis) -> Option<ClockReading> {
        match self.then(&Question::Clock { calendar: calendar.into(), at }) {
            Some(Answer::Clock(reading)) => reading.clone(),
            _ => self.today.clock(calendar, at),
        }
    }

    fn closes_at(&self, calendar: &str, at: UnixMillis) -> Option<UnixMillis> {
        match self.then(&Question::ClosesAt { calendar: calendar.into(), at }) {
            Some(Answer::Moment(moment)) => *moment,
            _ => self.today.closes_at(calendar, at),
        }
    }

    fn render(&self, name: &str, language: Option<&str>, fields: &[Entry], request: &Request) -> Option<RenderedText> {
        let language_text = language.map(str::to_owned);
        let question = Question::Render { name: name.into(), language: language_text, fields: fields.to_vec() };
        match self.then(&question) {
            Some(Answer::Rendered(text)) => text.clone(),
            _ => self.today.render(name, language, fields, request),
        }
    }
}
