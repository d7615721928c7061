//! What a strategy may ask of the server: one module for each interface that the world imports.
//!
//! Free functions, so that a component imports only what its strategy calls, and an operator sees from its imports
//! what it reads. Natively the same calls are answered by the fake host in `testing`.
//!
//! Of these only `log` may be called in `configure`; the others are for `route`.

#[cfg(target_family = "wasm")]
use crate::bindings::signalbox::strategy as backend;
#[cfg(not(target_family = "wasm"))]
use crate::testing::fake as backend;

/// Live figures of queues, agents, groups and the rest, as they stand at `request.now`.
pub mod statistics {
    pub use crate::bindings::signalbox::strategy::statistics::ObjectKind;

    /// One figure; `None` where the object or the statistic is unknown.
    ///
    /// Names and units are those of the server's statistics reference.
    pub fn value(kind: ObjectKind, name: &str, statistic: &str) -> Option<f64> {
        super::backend::statistics::value(kind, name, statistic)
    }
}

/// Lookup tables that operators keep.
pub mod tables {
    /// The value under a key; `None` where there is no such table or no such key.
    pub fn lookup(table: &str, key: &str) -> Option<String> {
        super::backend::tables::lookup(table, key)
    }
}

/// The account's opening hours, each calendar in its own time zone.
pub mod calendars {
    use crate::UnixMillis;

    /// Whether it is open at that moment; `None` where there is no such calendar.
    pub fn is_open(calendar: &str, at: UnixMillis) -> Option<bool> {
        super::backend::calendars::is_open(calendar, at)
    }

    /// The first moment at or after `after` when it is open.
    ///
    /// `None` where there is no such calendar, or where it does not open within 400 days.
    pub fn next_opening(calendar: &str, after: UnixMillis) -> Option<UnixMillis> {
        super::backend::calendars::next_opening(calendar, after)
    }
}

/// What the clock on the wall shows where a calendar is kept. Since 1.1.0 of the WIT package.
pub mod clocks {
    use crate::UnixMillis;
    pub use crate::bindings::signalbox::strategy::clocks::{Reading, Weekday};

    /// Date and time of day in the calendar's time zone; `None` where there is no such calendar.
    pub fn read(calendar: &str, at: UnixMillis) -> Option<Reading> {
        super::backend::clocks::read(calendar, at)
    }

    /// The moment at which it closes, where it is open at `at`.
    ///
    /// `None` where it is closed then, where it does not close within 7 days, and where there is no such calendar.
    pub fn closes_at(calendar: &str, at: UnixMillis) -> Option<UnixMillis> {
        super::backend::clocks::closes_at(calendar, at)
    }
}

/// The account's standard responses.
pub mod responses {
    use crate::Entry;
    pub use crate::bindings::signalbox::strategy::responses::Rendered;

    /// A standard response with its field codes filled in, in the language asked for where there is one.
    ///
    /// `None` where the response is missing, expired or not approved.
    pub fn render(name: &str, language: Option<&str>, fields: &[Entry]) -> Option<Rendered> {
        super::backend::responses::render(name, language, fields)
    }
}

/// Lines kept with the decision. All of a call's lines together are cut at 64 KiB.
pub mod log {
    pub use crate::bindings::signalbox::strategy::log::Level;

    /// Writes one line, of which no more than the limit crosses to the server.
    pub fn write(level: Level, message: &str) {
        super::backend::log::write(level, crate::limits::cut(message, crate::limits::LOG_BYTES_MAX + 1));
    }

    /// For the author.
    pub fn debug(message: impl AsRef<str>) {
        write(Level::Debug, message.as_ref());
    }

    /// For whoever follows one interaction.
    pub fn info(message: impl AsRef<str>) {
        write(Level::Info, message.as_ref());
    }

    /// Something is off; the decision stands.
    pub fn warn(message: impl AsRef<str>) {
        write(Level::Warn, message.as_ref());
    }

    /// Something is wrong.
    pub fn error(message: impl AsRef<str>) {
        write(Level::Error, message.as_ref());
    }
}
