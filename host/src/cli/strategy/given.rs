//! What a strategy may ask of its account, out of a file: tables, figures, calendars and standard responses.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::{Map, Value};
use signalbox_engine::{Calendar, ClockReading, Entry, Request, Response, UnixMillis};

use crate::strategy::{Grants, ObjectKind, RenderedText};

/// By name of the table, then by key.
pub(super) type Tables = BTreeMap<String, BTreeMap<String, String>>;

/// An account as far as a strategy sees it. What is not named in it is unknown.
#[derive(Debug, Clone, Default)]
pub(super) struct Given {
    pub tables: Tables,
    /// By kind of object, its name, and the statistic's.
    pub statistics: BTreeMap<ObjectKind, BTreeMap<String, BTreeMap<String, f64>>>,
    pub calendars: BTreeMap<String, Calendar>,
    pub responses: BTreeMap<String, NamedResponse>,
}

/// A standard response that leaves its name to the key that it stands under.
#[derive(Debug, Clone)]
pub(super) struct NamedResponse(Response);

impl<'de> Deserialize<'de> for NamedResponse {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        fields.entry("name").or_insert_with(|| "response".into());
        let response = Response::deserialize(Value::Object(fields)).map_err(D::Error::custom)?;
        match response.check().first() {
            Some(fault) => Err(D::Error::custom(fault)),
            None => Ok(Self(response)),
        }
    }
}

impl Grants for Given {
    fn statistic(&self, kind: ObjectKind, name: &str, statistic: &str) -> Option<f64> {
        self.statistics.get(&kind)?.get(name)?.get(statistic).copied()
    }

    fn lookup(&self, table: &str, key: &str) -> Option<String> {
        self.tables.get(table)?.get(key).cloned()
    }

    fn is_open(&self, calendar: &str, at: UnixMillis) -> Option<bool> {
        Some(self.calendars.get(calendar)?.is_open(at))
    }

    fn next_opening(&self, calendar: &str, after: UnixMillis) -> Option<UnixMillis> {
        self.calendars.get(calendar)?.next_opening(after)
    }

    fn clock(&self, calendar: &str, at: UnixMillis) -> Option<ClockReading> {
        self.calendars.get(calendar)?.clock(at)
    }

    fn closes_at(&self, calendar: &str, at: UnixMillis) -> Option<UnixMillis> {
        self.calendars.get(calendar)?.closes_at(at)
    }

    fn render(&self, name: &str, language: Option<&str>, fields: &[Entry], request: &Request) -> Option<RenderedText> {
        let NamedResponse(response) = self.responses.get(name)?;
        let language = language.or(request.content.facts.language.as_deref());
        let rendered = response.render(language, fields, request.interaction, &request.content, request.now)?;
        Some((rendered.subject, rendered.body))
    }
}
