//! The inside of one call: what its sandbox may use, and who answers its imports.
//!
//! Invariants: whatever a guest does, the server's memory for it stays bounded, and it stops. A limit ends the call with
//! a text that names it; it harms no other call.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use signalbox_engine::{ClockReading, Entry, Request, Scope, UnixMillis, Weekday, limits};
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Engine, ResourceLimiter, Store, StoreContextMut, UpdateDeadline};

use super::bindings::{Strategy, calendars, clocks, log, responses, statistics, tables, types};
use super::grants::{Grants, ObjectKind, RenderedText};
use super::machine::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLE_ELEMENTS_MAX, TICK};
use super::record::{Answer, Granted, Level, LogLine, Question};
use super::wasi::Moment;
use super::{answer, thread};

/// Text that a strategy may log in one call; more is cut.
pub const LOG_BYTES_MAX: usize = 64 * 1024;

/// Imports that a strategy may call in one call, `log` apart.
pub const QUESTIONS_MAX: usize = 1000;

/// What may cross in those, both ways together: text, and 64 bytes for each question and each field of one.
pub const QUESTION_BYTES_MAX: usize = 256 * 1024;

/// What may come out of a sandbox at a time before the server stops copying.
const CROSSING_BYTES_MAX: usize = 512 * 1024;

/// What a question costs beside its text, and each field in it, so that empty ones are bounded too.
const QUESTION_COST_BYTES: usize = 64;

/// What a line of log costs beside its text, so that empty lines are bounded too.
const LINE_COST_BYTES: usize = 16;

/// Lines of standard error that the message of a trap has.
const LAST_WORDS_MAX: usize = 8;

/// Bytes of each.
const LAST_WORDS_BYTES_MAX: usize = 240;

/// A call may take this many times its deadline by the clock on the wall, where the machine gives it no processor.
const WALL_FACTOR: u32 = 4;

/// Why the server itself stopped a call.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// It used up its time.
    #[error("it ran past its deadline")]
    Overrun,
    /// It went past another limit.
    #[error("{0}")]
    Limit(String),
    /// A repeated call asked for something that the first did not.
    #[error("{0}")]
    Mismatch(String),
    /// It asked for something that its deployment is not granted.
    #[error("{0}")]
    Beyond(String),
}

/// Who answers the imports.
pub(super) enum Source {
    /// Nobody: only `log` may be called. So it is while a strategy describes and configures itself.
    Nobody,
    /// The account.
    Live(Arc<dyn Grants>, Request),
    /// The record of an earlier call, and how much of it was asked.
    Record(Vec<Granted>, usize),
}

/// What a sandbox gets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Time on a processor.
    pub(super) deadline: Duration,
    /// Somebody waits for the answer: it ends by the clock too, where the machine gives it no processor.
    pub(super) by_the_clock: bool,
    /// Linear memory in all.
    pub(super) memory_bytes_max: usize,
    /// Instructions are counted, by an engine that was made for it.
    pub(super) counts: bool,
}

/// What the store of one call holds.
pub(super) struct Sandbox {
    source: Source,
    scope: Option<Arc<Scope>>,
    pub(super) moment: Moment,
    pub(super) memory: Memory,
    time: Time,
    pub(super) granted: Vec<Granted>,
    question_bytes: usize,
    /// Time in which the server answered.
    pub(super) asking: Duration,
    pub(super) log: Vec<LogLine>,
    log_bytes: usize,
    /// The last lines that were printed to standard error: where an interpreter says why it gives up.
    pub(super) last_words: VecDeque<String>,
}

impl Sandbox {
    /// A store ready to be instantiated in. Its time begins now.
    pub(super) fn store(
        engine: &Engine,
        source: Source,
        moment: Moment,
        bounds: Bounds,
        scope: Option<Arc<Scope>>,
    ) -> Store<Self> {
        let Bounds { deadline, by_the_clock, memory_bytes_max, counts } = bounds;
        let sandbox = Self {
            source,
            scope,
            moment,
            memory: Memory { bytes: 0, bytes_max: memory_bytes_max, refused: false },
            time: Time { deadline, by_the_clock, began: Instant::now(), processor: None },
            granted: Vec::new(),
            question_bytes: 0,
            asking: Duration::ZERO,
            log: Vec::new(),
            log_bytes: 0,
            last_words: VecDeque::new(),
        };
        let mut store = Store::new(engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.memory);
        store.set_hostcall_fuel(CROSSING_BYTES_MAX);
        store.epoch_deadline_callback(Time::over);
        store.set_epoch_deadline(Time::FIRST_TICKS);
        if counts {
            store.set_fuel(u64::MAX).unwrap_or_else(|error| panic!("the engine was made to count: {error}"));
        }
        store
    }

    /// Instructions since it was made, where they are counted.
    pub(super) fn instructions(store: &Store<Self>) -> u64 {
        store.get_fuel().map_or(0, |left| u64::MAX - left)
    }

    /// Begins another call in the same store: a warm instance has no fresh one.
    pub(super) fn renew(store: &mut Store<Self>, source: Source, moment: Moment) {
        let sandbox = store.data_mut();
        sandbox.source = source;
        sandbox.moment = moment;
        sandbox.time = Time { began: Instant::now(), processor: None, ..sandbox.time };
        sandbox.granted = Vec::new();
        sandbox.question_bytes = 0;
        sandbox.memory.refused = false;
        sandbox.forget_log();
        store.set_epoch_deadline(Time::FIRST_TICKS);
    }

    /// Drops what was logged so far: what a strategy says while it configures itself is no call's.
    pub(super) fn forget_log(&mut self) {
        self.log.clear();
        self.log_bytes = 0;
        self.last_words.clear();
    }

    /// Keeps a line that was printed to standard error.
    pub(super) fn complain(&mut self, line: String) {
        if self.last_words.len() == LAST_WORDS_MAX {
            self.last_words.pop_front();
        }
        self.last_words.push_back(answer::cut(line.clone(), LAST_WORDS_BYTES_MAX));
        self.keep(Level::Warn, line);
    }

    /// The deadline that the call was given.
    pub(super) fn deadline(&self) -> Duration {
        self.time.deadline
    }

    /// What may come out of it at a time.
    pub(super) fn crossing_bytes_max() -> usize {
        CROSSING_BYTES_MAX
    }

    fn ask(&mut self, question: Question) -> wasmtime::Result<Answer> {
        if self.granted.len() >= QUESTIONS_MAX {
            let why = format!("it asked the server more than {QUESTIONS_MAX} times in one call");
            return Err(Stop::Limit(why).into());
        }
        // Before whoever answers: a call that is made again from its record is refused the same.
        if self.scope.as_deref().is_some_and(|scope| !question.is_within(scope)) {
            let why = format!("it asked for {question}, which the deployment's grants do not name");
            return Err(Stop::Beyond(why).into());
        }
        let answer = match &mut self.source {
            Source::Nobody => {
                let why = format!("it asked for {question}, and only `log` may be called before it is deployed");
                return Err(Stop::Limit(why).into());
            }
            Source::Live(grants, request) => {
                let began = Instant::now();
                let answer = asked(&**grants, request, &question);
                self.asking += began.elapsed();
                answer
            }
            Source::Record(granted, next) => {
                let recorded = granted.get(*next).filter(|granted| granted.question == question);
                let Some(recorded) = recorded else {
                    let had = granted.get(*next).map_or("nothing more".into(), |granted| granted.question.to_string());
                    let why = format!("the call asked for {question}, where the record has {had}");
                    return Err(Stop::Mismatch(why).into());
                };
                *next += 1;
                recorded.answer.clone()
            }
        };
        self.question_bytes += question.bytes() + answer.bytes();
        // Recorded even where it is one too many, so that a replay ends where the call did.
        self.granted.push(Granted { question, answer: answer.clone() });
        if self.question_bytes > QUESTION_BYTES_MAX {
            let why = format!("it exchanged more than {} KiB with the server in one call", QUESTION_BYTES_MAX >> 10);
            return Err(Stop::Limit(why).into());
        }
        Ok(answer)
    }

    /// Keeps a line of the log, as far as there is room.
    pub(super) fn keep(&mut self, level: Level, message: String) {
        let room = LOG_BYTES_MAX.saturating_sub(self.log_bytes);
        if room == 0 {
            return;
        }
        let whole = message.len() + LINE_COST_BYTES <= room;
        self.log_bytes += message.len() + LINE_COST_BYTES;
        self.log.push(LogLine { level, message: answer::cut(message, room) });
        if !whole {
            let message = format!("the log is cut here, at {} KiB", LOG_BYTES_MAX >> 10);
            self.log.push(LogLine { level: Level::Warn, message });
        }
    }
}

/// A linker that knows every import of the world, and nothing else.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Sandbox>> {
    let mut linker = Linker::new(engine);
    Strategy::add_to_linker::<_, HasSelf<Sandbox>>(&mut linker, |sandbox| sandbox)?;
    Ok(linker)
}

fn asked(grants: &dyn Grants, request: &Request, question: &Question) -> Answer {
    match question {
        Question::Statistic { kind, name, statistic } => Answer::Number(grants.statistic(*kind, name, statistic)),
        Question::Lookup { table, key } => Answer::Text(grants.lookup(table, key)),
        Question::IsOpen { calendar, at } => Answer::Open(grants.is_open(calendar, *at)),
        Question::NextOpening { calendar, after } => Answer::Moment(grants.next_opening(calendar, *after)),
        Question::Render { name, language, fields } => {
            Answer::Rendered(grants.render(name, language.as_deref(), fields, request))
        }
        Question::Clock { calendar, at } => Answer::Clock(grants.clock(calendar, *at)),
        Question::ClosesAt { calendar, at } => Answer::Moment(grants.closes_at(calendar, *at)),
    }
}

/// Linear memory and tables, over all of a call's core instances.
pub(super) struct Memory {
    /// Bytes of linear memory it has.
    pub(super) bytes: usize,
    /// Bytes it may have.
    pub(super) bytes_max: usize,
    /// It was refused more. A guest that goes on without is free to.
    pub(super) refused: bool,
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = self.bytes.saturating_add(desired.saturating_sub(current));
        if bytes > self.bytes_max {
            self.refused = true;
            return Ok(false);
        }
        self.bytes = bytes;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        MEMORIES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

/// How long a call has run.
///
/// The deadline is of time on a processor, with a wider one by the clock: threads that run strategies step back for
/// others, and a call must not fail because the machine was busy. Most calls end before their first tick and pay nothing.
struct Time {
    deadline: Duration,
    by_the_clock: bool,
    began: Instant,
    /// Processor time of the thread at the first tick.
    processor: Option<Duration>,
}

impl Time {
    /// Ticks until the first look: at least one whole one.
    const FIRST_TICKS: u64 = 2;

    fn over(mut store: StoreContextMut<'_, Sandbox>) -> wasmtime::Result<UpdateDeadline> {
        let time = &mut store.data_mut().time;
        let now = thread::processor_time();
        let used = now.saturating_sub(*time.processor.get_or_insert(now)) + TICK;
        let wall_max = time.deadline * WALL_FACTOR + TICK * 200;
        if used >= time.deadline || (time.by_the_clock && time.began.elapsed() >= wall_max) {
            return Err(Stop::Overrun.into());
        }
        let ticks = (time.deadline - used).as_millis().clamp(1, 50);
        Ok(UpdateDeadline::Continue(u64::try_from(ticks).unwrap_or(1)))
    }
}

impl Question {
    fn is_within(&self, scope: &Scope) -> bool {
        match self {
            Self::Lookup { table, .. } => scope.allows_table(table),
            Self::Statistic { kind: ObjectKind::Queue, name, .. } => scope.allows_queue(name),
            Self::Statistic { .. }
            | Self::IsOpen { .. }
            | Self::NextOpening { .. }
            | Self::Render { .. }
            | Self::Clock { .. }
            | Self::ClosesAt { .. } => true,
        }
    }

    fn bytes(&self) -> usize {
        let text = match self {
            Self::Statistic { name, statistic, .. } => name.len() + statistic.len(),
            Self::Lookup { table, key } => table.len() + key.len(),
            Self::IsOpen { calendar, .. }
            | Self::NextOpening { calendar, .. }
            | Self::Clock { calendar, .. }
            | Self::ClosesAt { calendar, .. } => calendar.len(),
            Self::Render { name, language, fields } => {
                let cost = |field: &Entry| QUESTION_COST_BYTES + field.key.len() + field.value.len();
                name.len() + language.as_ref().map_or(0, String::len) + fields.iter().map(cost).sum::<usize>()
            }
        };
        QUESTION_COST_BYTES + text
    }
}

impl Answer {
    fn bytes(&self) -> usize {
        match self {
            Self::Number(_) | Self::Open(_) | Self::Moment(_) => 8,
            Self::Text(text) => text.as_ref().map_or(0, String::len),
            Self::Clock(reading) => reading.as_ref().map_or(0, |reading| reading.time_zone.len()) + 16,
            Self::Rendered(text) => {
                text.as_ref().map_or(0, |(subject, body)| subject.as_ref().map_or(0, String::len) + body.len())
            }
        }
    }
}

/// Only the record of another call can answer in the wrong kind.
fn wrong_kind<T>(question: &str) -> wasmtime::Result<T> {
    Err(Stop::Mismatch(format!("the record answers {question} with something else")).into())
}

impl types::Host for Sandbox {}

impl statistics::Host for Sandbox {
    fn value(
        &mut self,
        kind: statistics::ObjectKind,
        name: String,
        statistic: String,
    ) -> wasmtime::Result<Option<f64>> {
        let kind = match kind {
            statistics::ObjectKind::Queue => ObjectKind::Queue,
            statistics::ObjectKind::Agent => ObjectKind::Agent,
            statistics::ObjectKind::AgentGroup => ObjectKind::AgentGroup,
            statistics::ObjectKind::Place => ObjectKind::Place,
            statistics::ObjectKind::PlaceGroup => ObjectKind::PlaceGroup,
            statistics::ObjectKind::MediaType => ObjectKind::MediaType,
            statistics::ObjectKind::Workflow => ObjectKind::Workflow,
            statistics::ObjectKind::Strategy => ObjectKind::Strategy,
        };
        match self.ask(Question::Statistic { kind, name, statistic })? {
            Answer::Number(number) => Ok(number),
            _ => wrong_kind("a statistic"),
        }
    }
}

impl tables::Host for Sandbox {
    fn lookup(&mut self, table: String, key: String) -> wasmtime::Result<Option<String>> {
        match self.ask(Question::Lookup { table, key })? {
            Answer::Text(text) => Ok(text),
            _ => wrong_kind("a table"),
        }
    }
}

impl calendars::Host for Sandbox {
    fn is_open(&mut self, calendar: String, at: u64) -> wasmtime::Result<Option<bool>> {
        match self.ask(Question::IsOpen { calendar, at: UnixMillis(at) })? {
            Answer::Open(open) => Ok(open),
            _ => wrong_kind("a calendar"),
        }
    }

    fn next_opening(&mut self, calendar: String, after: u64) -> wasmtime::Result<Option<u64>> {
        match self.ask(Question::NextOpening { calendar, after: UnixMillis(after) })? {
            Answer::Moment(moment) => Ok(moment.map(|moment| moment.0)),
            _ => wrong_kind("a calendar"),
        }
    }
}

impl clocks::Host for Sandbox {
    fn read(&mut self, calendar: String, at: u64) -> wasmtime::Result<Option<clocks::Reading>> {
        match self.ask(Question::Clock { calendar, at: UnixMillis(at) })? {
            Answer::Clock(reading) => Ok(reading.map(clocks::Reading::from)),
            _ => wrong_kind("a clock"),
        }
    }

    fn closes_at(&mut self, calendar: String, at: u64) -> wasmtime::Result<Option<u64>> {
        match self.ask(Question::ClosesAt { calendar, at: UnixMillis(at) })? {
            Answer::Moment(moment) => Ok(moment.map(|moment| moment.0)),
            _ => wrong_kind("a clock"),
        }
    }
}

impl From<ClockReading> for clocks::Reading {
    fn from(reading: ClockReading) -> Self {
        let ClockReading { time_zone, offset_minutes, year, month, day, weekday, hour, minute } = reading;
        let weekday = match weekday {
            Weekday::Mon => clocks::Weekday::Monday,
            Weekday::Tue => clocks::Weekday::Tuesday,
            Weekday::Wed => clocks::Weekday::Wednesday,
            Weekday::Thu => clocks::Weekday::Thursday,
            Weekday::Fri => clocks::Weekday::Friday,
            Weekday::Sat => clocks::Weekday::Saturday,
            Weekday::Sun => clocks::Weekday::Sunday,
        };
        Self { time_zone, offset_minutes, year, month, day, weekday, hour, minute }
    }
}

impl responses::Host for Sandbox {
    fn render(
        &mut self,
        name: String,
        language: Option<String>,
        fields: Vec<types::EntryResult>,
    ) -> wasmtime::Result<Option<responses::Rendered>> {
        if fields.len() > limits::ENTRIES_MAX {
            let why = format!("it gave a standard response more than {} fields", limits::ENTRIES_MAX);
            return Err(Stop::Limit(why).into());
        }
        let fields = fields.into_iter().map(|field| Entry { key: field.key, value: field.value }).collect();
        let rendered = |(subject, body): RenderedText| responses::Rendered { subject, body };
        match self.ask(Question::Render { name, language, fields })? {
            Answer::Rendered(text) => Ok(text.map(rendered)),
            _ => wrong_kind("a standard response"),
        }
    }
}

impl log::Host for Sandbox {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.keep(level, message);
        Ok(())
    }
}
