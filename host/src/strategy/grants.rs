//! What a strategy may ask of the server while it decides: the account's figures, tables, calendars and responses.
//!
//! Whoever calls a strategy brings the answers. They are recorded, so a repeated call asks nobody.

use serde::{Deserialize, Serialize};
use signalbox_engine::{ClockReading, Entry, Request, UnixMillis};

/// What a statistic is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// A queue, by name.
    Queue,
    /// An agent, by user name.
    Agent,
    /// An agent group, by name.
    AgentGroup,
    /// A place, by name.
    Place,
    /// A place group, by name.
    PlaceGroup,
    /// A media type, by name.
    MediaType,
    /// A workflow, by name.
    Workflow,
    /// A deployed strategy, by the deployment's name.
    Strategy,
}

/// A standard response with its field codes filled in: its subject, where it has one, and its text.
pub type RenderedText = (Option<String>, String);

/// Answers a strategy's imports. Called on the thread that runs the strategy, so it must answer from memory.
pub trait Grants: Send + Sync {
    /// A live figure; `None` where the object or the statistic is unknown.
    fn statistic(&self, kind: ObjectKind, name: &str, statistic: &str) -> Option<f64>;

    /// The value under a key of a table; `None` where either is missing.
    fn lookup(&self, table: &str, key: &str) -> Option<String>;

    /// Whether a calendar is open at that moment; `None` where there is no such calendar.
    fn is_open(&self, calendar: &str, at: UnixMillis) -> Option<bool>;

    /// The first moment at or after `after` when it is open; `None` where there is none within 400 days.
    fn next_opening(&self, calendar: &str, after: UnixMillis) -> Option<UnixMillis>;

    /// What the clock where a calendar is kept shows; `None` where there is no such calendar.
    fn clock(&self, calendar: &str, at: UnixMillis) -> Option<ClockReading>;

    /// When a calendar that is open at that moment closes; `None` where it is not, or stays open for 7 days.
    fn closes_at(&self, calendar: &str, at: UnixMillis) -> Option<UnixMillis>;

    /// A standard response; `None` where it is missing, expired or not approved. `fields` come before the server's own.
    fn render(&self, name: &str, language: Option<&str>, fields: &[Entry], request: &Request) -> Option<RenderedText>;
}

/// Grants that know nothing: every answer is `None`. For a strategy tried out without an account.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Grants for Nothing {
    fn statistic(&self, _: ObjectKind, _: &str, _: &str) -> Option<f64> {
        None
    }

    fn lookup(&self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn is_open(&self, _: &str, _: UnixMillis) -> Option<bool> {
        None
    }

    fn next_opening(&self, _: &str, _: UnixMillis) -> Option<UnixMillis> {
        None
    }

    fn clock(&self, _: &str, _: UnixMillis) -> Option<ClockReading> {
        None
    }

    fn closes_at(&self, _: &str, _: UnixMillis) -> Option<UnixMillis> {
        None
    }

    fn render(&self, _: &str, _: Option<&str>, _: &[Entry], _: &Request) -> Option<RenderedText> {
        None
    }
}
