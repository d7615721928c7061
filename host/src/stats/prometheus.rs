//! Figures in Prometheus' text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::time::Duration;

use signalbox_engine::{Name, UnixMillis};

use super::{Bucket, Stats};

/// Statistics that are written out at once.
const PAGE: usize = 500;

/// Samples gathered by family, so that each family stands together under its help text whatever account they are of.
#[derive(Debug, Default)]
pub struct Families {
    samples: BTreeMap<&'static str, String>,
}

/// Every family: name, type, help.
const FAMILIES: [(&str, &str, &str); 20] = [
    ("signalbox_commands_total", "counter", "Commands committed since start."),
    ("signalbox_commits_total", "counter", "Synced commits since start."),
    ("signalbox_deliveries_pending", "gauge", "Messages that wait to be delivered to webhooks."),
    ("signalbox_interactions_live", "gauge", "Interactions that have not ended."),
    ("signalbox_queue_entered_total", "counter", "Interactions that came into a queue since start."),
    ("signalbox_queue_taken_total", "counter", "Interactions taken out of a queue since start."),
    ("signalbox_queue_waiting", "gauge", "Interactions that wait in a queue."),
    ("signalbox_sandboxes_waiting", "gauge", "Sandboxes that wait for their next call."),
    ("signalbox_statistic", "gauge", "A statistic that was defined, in its unit."),
    ("signalbox_statistic_bucket", "gauge", "Of a distribution: how many were at most as long as `le` seconds."),
    ("signalbox_store_memory_bytes", "gauge", "Memory of the store: rows written and in no file yet, and rows read."),
    ("signalbox_strategy_calls_total", "counter", "Strategy calls requested since start, by deployment."),
    ("signalbox_strategy_calls_waiting", "gauge", "Strategy calls whose answer is awaited."),
    ("signalbox_strategy_failures_total", "counter", "Strategy calls without a decision since start, by kind."),
    ("signalbox_strategy_outcomes_total", "counter", "Decisions since start, by outcome."),
    ("signalbox_strategy_seconds", "summary", "Duration of strategy calls."),
    ("signalbox_workflow_cancelled_total", "counter", "Interactions cancelled since start."),
    ("signalbox_workflow_completed_total", "counter", "Interactions completed since start."),
    ("signalbox_workflow_parked_total", "counter", "Interactions parked since start."),
    ("signalbox_workflow_submitted_total", "counter", "Interactions that entered a workflow since start."),
];

impl Families {
    fn add(&mut self, sample: &'static str, labels: &str, value: impl Display) {
        let family = sample.strip_suffix("_sum").or_else(|| sample.strip_suffix("_count")).unwrap_or(sample);
        let text = self.samples.entry(family).or_default();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{sample}{{{labels}}} {value}");
    }

    /// Adds what is the server's and no account's: sandboxes that wait, and what the store holds in memory, by kind.
    pub fn server(
        &mut self,
        sandboxes_waiting: usize,
        store_memory_bytes: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        self.add("signalbox_sandboxes_waiting", "", sandboxes_waiting);
        for (kind, bytes) in store_memory_bytes {
            self.add("signalbox_store_memory_bytes", &format!("kind=\"{kind}\""), bytes);
        }
    }

    /// The text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (family, kind, help) in FAMILIES {
            let Some(samples) = self.samples.get(family) else { continue };
            let _ = write!(text, "# HELP {family} {help}\n# TYPE {family} {kind}\n{samples}");
        }
        text
    }
}

/// A label's value with what the format reserves escaped.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Stats {
    /// Writes the figures in Prometheus' text format, as samples of their families.
    pub fn prometheus(&self, account: &Name, now: UnixMillis, out: &mut Families) {
        self.defined(account, now, out);
        let figures = self.figures();
        let label = |name: &str, value: &str| format!("account=\"{account}\",{name}=\"{}\"", escape(value));
        let own = format!("account=\"{account}\"");
        out.add("signalbox_commits_total", &own, figures.commits);
        out.add("signalbox_commands_total", &own, figures.commands);
        out.add("signalbox_interactions_live", &own, figures.live);
        out.add("signalbox_strategy_calls_waiting", &own, figures.calls_waiting);
        out.add("signalbox_deliveries_pending", &own, figures.deliveries_pending);
        for (name, queue) in &figures.queues {
            let labels = label("queue", name.as_str());
            out.add("signalbox_queue_waiting", &labels, queue.waiting);
            out.add("signalbox_queue_entered_total", &labels, queue.entered);
            out.add("signalbox_queue_taken_total", &labels, queue.taken);
        }
        for (name, workflow) in &figures.workflows {
            let labels = label("workflow", name.as_str());
            out.add("signalbox_workflow_submitted_total", &labels, workflow.submitted);
            out.add("signalbox_workflow_completed_total", &labels, workflow.completed);
            out.add("signalbox_workflow_cancelled_total", &labels, workflow.cancelled);
            out.add("signalbox_workflow_parked_total", &labels, workflow.parked);
        }
        for (name, of) in &figures.deployments {
            let labels = label("deployment", name.as_str());
            out.add("signalbox_strategy_calls_total", &labels, of.calls);
            out.add("signalbox_strategy_seconds_sum", &labels, of.seconds());
            out.add("signalbox_strategy_seconds_count", &labels, of.guest.count());
            for (outcome, count) in &of.outcomes {
                let labels = format!("{labels},outcome=\"{}\"", escape(outcome));
                out.add("signalbox_strategy_outcomes_total", &labels, *count);
            }
            for (kind, count) in &of.failures {
                out.add("signalbox_strategy_failures_total", &format!("{labels},kind=\"{kind}\""), *count);
            }
        }
    }

    /// The statistics that were defined and have a value.
    fn defined(&self, account: &Name, now: UnixMillis, out: &mut Families) {
        let mut after: Option<Name> = None;
        loop {
            // In parts, so that nobody else waits long.
            let page = self.list(after.as_ref().map(Name::as_str), PAGE, now);
            for figure in &page {
                let labels = format!("account=\"{account}\",statistic=\"{}\",unit=\"{}\"", figure.name, figure.unit);
                if let Some(value) = figure.value {
                    out.add("signalbox_statistic", &labels, value);
                }
                let mut sum = 0;
                for Bucket { up_to_ms, count } in figure.buckets.iter().flatten() {
                    sum += count;
                    let bound = up_to_ms
                        .map_or_else(|| "+Inf".to_owned(), |ms| Duration::from_millis(ms).as_secs_f64().to_string());
                    out.add("signalbox_statistic_bucket", &format!("{labels},le=\"{bound}\""), sum);
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                _ => return,
            }
        }
    }
}
