//! What a strategy may learn of its account: a view that stays as it was when the call began.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use signalbox_engine::{ClockReading, Configuration, Entry, Request, UnixMillis};

use crate::stats::Stats;
use crate::strategy::{Grants, ObjectKind, RenderedText};

pub(super) struct AccountGrants {
    configuration: Arc<Configuration>,
    stats: Arc<Stats>,
}

impl AccountGrants {
    pub(super) fn new(configuration: Arc<Configuration>, stats: Arc<Stats>) -> Self {
        Self { configuration, stats }
    }
}

impl Grants for AccountGrants {
    fn statistic(&self, kind: ObjectKind, name: &str, statistic: &str) -> Option<f64> {
        let kind = match kind {
            ObjectKind::Queue => "queue",
            ObjectKind::Workflow => "workflow",
            ObjectKind::MediaType => "media-type",
            ObjectKind::Strategy => "strategy",
            ObjectKind::Agent => "agent",
            ObjectKind::AgentGroup => "agent-group",
            ObjectKind::Place => "place",
            ObjectKind::PlaceGroup => "place-group",
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = UnixMillis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        self.stats.granted(kind, name, statistic, now)
    }

    fn lookup(&self, table: &str, key: &str) -> Option<String> {
        self.configuration.tables.get(table)?.entries.get(key).cloned()
    }

    fn is_open(&self, calendar: &str, at: UnixMillis) -> Option<bool> {
        Some(self.configuration.calendars.get(calendar)?.is_open(at))
    }

    fn next_opening(&self, calendar: &str, after: UnixMillis) -> Option<UnixMillis> {
        self.configuration.calendars.get(calendar)?.next_opening(after)
    }

    fn clock(&self, calendar: &str, at: UnixMillis) -> Option<ClockReading> {
        self.configuration.calendars.get(calendar)?.clock(at)
    }

    fn closes_at(&self, calendar: &str, at: UnixMillis) -> Option<UnixMillis> {
        self.configuration.calendars.get(calendar)?.closes_at(at)
    }

    fn render(&self, name: &str, language: Option<&str>, fields: &[Entry], request: &Request) -> Option<RenderedText> {
        let response = self.configuration.responses.get(name)?;
        let language = language.or(request.content.facts.language.as_deref());
        let rendered = response.render(language, fields, request.interaction, &request.content, request.now)?;
        Some((rendered.subject, rendered.body))
    }
}
