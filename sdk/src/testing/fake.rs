//! The server's side of the imports in native tests: whatever a bench was given, and a log that can be read.
//!
//! A call that no bench stands behind finds nothing.

use crate::{UnixMillis, log::Level, statistics::ObjectKind};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// One line that a strategy logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub message: String,
}

/// Text of a standard response as a test wrote it, with `{{field}}` codes.
#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) subject: Option<String>,
    pub(super) body: String,
}

/// What the fake server has.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) statistics: BTreeMap<(u8, String, String), f64>,
    pub(super) tables: BTreeMap<(String, String), String>,
    /// Opening hours: spans of time, end excluded, in order.
    pub(super) calendars: BTreeMap<String, Vec<(UnixMillis, UnixMillis)>>,
    /// By name, then by language; the empty language is the one for all others.
    pub(super) responses: BTreeMap<(String, String), Response>,
    pub(super) log: Vec<Line>,
}

thread_local! {
    static SERVER: RefCell<Server> = RefCell::default();
}

/// Runs with this server behind the imports of this thread, and gives it back with what was logged.
///
/// A panic is caught, so that the server comes back whatever happens: the caller goes on with it.
pub(super) fn with<R>(server: Server, run: impl FnOnce() -> R) -> (Server, std::thread::Result<R>) {
    let outer = SERVER.replace(server);
    let result = catch_unwind(AssertUnwindSafe(run));
    (SERVER.replace(outer), result)
}

fn ask<R>(question: impl FnOnce(&mut Server) -> R) -> R {
    SERVER.with_borrow_mut(question)
}

pub(super) fn kind_number(kind: ObjectKind) -> u8 {
    kind as u8
}

pub(crate) mod statistics {
    use super::{ObjectKind, ask, kind_number};

    pub(crate) fn value(kind: ObjectKind, name: &str, statistic: &str) -> Option<f64> {
        let key = (kind_number(kind), name.to_owned(), statistic.to_owned());
        ask(|server| server.statistics.get(&key).copied())
    }
}

pub(crate) mod tables {
    use super::ask;

    pub(crate) fn lookup(table: &str, key: &str) -> Option<String> {
        ask(|server| server.tables.get(&(table.to_owned(), key.to_owned())).cloned())
    }
}

pub(crate) mod calendars {
    use super::{UnixMillis, ask};

    pub(crate) fn is_open(calendar: &str, at: UnixMillis) -> Option<bool> {
        ask(|server| {
            let spans = server.calendars.get(calendar)?;
            Some(spans.iter().any(|&(from, until)| from <= at && at < until))
        })
    }

    pub(crate) fn next_opening(calendar: &str, after: UnixMillis) -> Option<UnixMillis> {
        ask(|server| {
            let spans = server.calendars.get(calendar)?;
            spans.iter().find(|&&(_, until)| after < until).map(|&(from, _)| from.max(after))
        })
    }
}

pub(crate) mod clocks {
    use super::{UnixMillis, ask};
    use crate::clocks::{Reading, Weekday};

    const DAY_MS: u64 = 24 * 3_600_000;
    /// 1970-01-01 was a Thursday.
    const DAYS: [Weekday; 7] = [
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
    ];

    /// A calendar of a bench is kept in UTC.
    pub(crate) fn read(calendar: &str, at: UnixMillis) -> Option<Reading> {
        ask(|server| server.calendars.contains_key(calendar).then_some(()))?;
        let (days, minutes) = (at / DAY_MS, at % DAY_MS / 60_000);
        let (year, month, day) = date(days);
        Some(Reading {
            time_zone: "UTC".to_owned(),
            offset_minutes: 0,
            year: u16::try_from(year).ok().filter(|year| *year <= 9999)?,
            month: u8::try_from(month).ok()?,
            day: u8::try_from(day).ok()?,
            weekday: DAYS[usize::try_from(days % 7).ok()?],
            hour: u8::try_from(minutes / 60).ok()?,
            minute: u8::try_from(minutes % 60).ok()?,
        })
    }

    pub(crate) fn closes_at(calendar: &str, at: UnixMillis) -> Option<UnixMillis> {
        ask(|server| {
            let mut end = None;
            for &(from, until) in server.calendars.get(calendar)? {
                if until > at && from <= end.unwrap_or(at) {
                    end = end.max(Some(until));
                }
            }
            end.filter(|end| end - at <= 7 * DAY_MS)
        })
    }

    /// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    fn date(days: u64) -> (u64, u64, u64) {
        let days = days + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        (era * 400 + year + u64::from(month <= 2), month, day)
    }
}

pub(crate) mod responses {
    use super::ask;
    use crate::{Entry, responses::Rendered};

    pub(crate) fn render(name: &str, language: Option<&str>, fields: &[Entry]) -> Option<Rendered> {
        ask(|server| {
            let find = |language: &str| server.responses.get(&(name.to_owned(), language.to_owned()));
            let response = language.and_then(find).or_else(|| find(""))?;
            let fill = |text: &str| {
                fields
                    .iter()
                    .fold(text.to_owned(), |text, field| text.replace(&format!("{{{{{}}}}}", field.key), &field.value))
            };
            Some(Rendered { subject: response.subject.as_deref().map(fill), body: fill(&response.body) })
        })
    }
}

pub(crate) mod log {
    use super::{Level, Line, ask};

    pub(crate) fn write(level: Level, message: &str) {
        ask(|server| server.log.push(Line { level, message: message.to_owned() }));
    }
}
