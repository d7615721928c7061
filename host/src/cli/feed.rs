//! Submits many interactions over several connections, and finds out what became of each.
//!
//! A full server (503) is asked again after the pause that it names, with the same idempotency key: none is lost and none
//! is submitted twice.
//!
//! Invariant: in a report, the numbers of each heading that counts interactions add up to what was submitted.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;

use super::client::Client;
use super::error::Error;
use super::interaction;
use super::output::{Output, cell, duration, table, text};

/// How often a submission is repeated where the server is full or gone for a moment.
const ATTEMPTS_MAX: u32 = 20;

/// And where nobody answers at all: about 3 s in all.
const ATTEMPTS_GONE_MAX: u32 = 6;

/// Fields of a submission that are not columns of the file by the same name.
const PLACES: [(&str, &str); 2] = [("workflow", "--workflow"), ("idempotency-key", "id")];

/// Runs of records that are kept in a report.
const MISSING_MAX: usize = 10_000;

/// States in which nothing more happens without somebody's doing, or before a time comes.
const SETTLED: [&str; 11] = [
    "scheduled",
    "asking",
    "waiting",
    "queued",
    "offered",
    "assigned",
    "wrap-up",
    "parked",
    "completed",
    "cancelled",
    "abandoned",
];

/// What is to be submitted, and how.
pub(super) struct Feed {
    pub client: Client,
    /// Idempotency key and body of each.
    pub submissions: Vec<(String, Value)>,
    pub connections: usize,
    /// How long to wait for them to be through.
    pub patience: Duration,
}

/// What became of all that was submitted.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    /// How many records there were.
    pub sent: usize,
    /// How many of them the server took, now or before.
    pub accepted: usize,
    /// How many of those it had taken before, by their idempotency keys.
    pub replayed: usize,
    /// Records that were not taken, counted from 1: the first and the last of each run of them; at most 10,000 runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<[usize; 2]>,
    /// Submissions per second.
    pub per_second: u64,
    /// Interactions by state.
    pub states: BTreeMap<String, usize>,
    /// Interactions by where they are: the queue, or the state of those in none.
    pub places: BTreeMap<String, usize>,
    /// Interactions by best category.
    pub categories: BTreeMap<String, usize>,
    /// Interactions by language.
    pub languages: BTreeMap<String, usize>,
    /// How often each strategy element was left by each outcome.
    pub outcomes: BTreeMap<String, BTreeMap<String, usize>>,
    /// Messages that went out, by kind.
    pub messages: BTreeMap<String, usize>,
    /// An interaction for each place, to look at.
    pub samples: BTreeMap<String, String>,
    /// Why records were not taken, with how often; at most 20 reasons.
    pub refused: BTreeMap<String, usize>,
    /// Whether every number adds up.
    pub adds_up: bool,
}

/// Submits, and with `follow` waits and reports. The report is written however it ends.
pub(super) async fn run(feed: Feed, follow: bool, file: Option<&Path>, output: &Output) -> Result<(), Error> {
    let began = Instant::now();
    let sent = feed.submissions.len();
    let bar = Progress::new(output, sent, "submitting");
    let submissions: Arc<[_]> = feed.submissions.into();
    let client = feed.client.clone();
    let gone = Arc::new(AtomicBool::new(false));
    let submitted = each(&bar, feed.connections, sent, move |at| {
        let (client, submissions, gone) = (client.clone(), Arc::clone(&submissions), Arc::clone(&gone));
        async move {
            if gone.load(Ordering::Relaxed) {
                return None;
            }
            let taken = submit(&client, &submissions[at].0, &submissions[at].1).await;
            if taken.as_ref().is_err_and(Error::is_gone) {
                gone.store(true, Ordering::Relaxed);
            }
            Some(taken)
        }
    })
    .await;
    let took = began.elapsed();

    let mut report = Report { sent, ..Report::default() };
    let (ids, failed) = report.count_taken(submitted);
    report.per_second = (report.accepted as f64 / took.as_secs_f64().max(0.001)) as u64;
    bar.finish(&format!("submitted {} of {sent} in {}", report.accepted, duration(took)));
    let followed = match &failed {
        Some(error) if error.is_gone() => Ok(()),
        _ if follow => look(&feed.client, feed.connections, feed.patience, &ids, &mut report, output).await,
        _ => Ok(()),
    };
    if !follow {
        report.adds_up = report.accepted == report.sent;
    }
    if let Some(file) = file {
        let text = serde_json::to_string_pretty(&report).map_err(|error| Error::new("no report").because(&error))?;
        std::fs::write(file, text).map_err(|error| Error::file("written", file, &error))?;
    }
    output.result(&report, |report| shown(report, follow))?;
    let taken = format!("{} of {sent} records were taken", report.accepted);
    match failed {
        Some(error) if error.is_gone() && report.accepted == 0 => return Err(error),
        Some(error) if error.is_gone() => {
            let fix = "when it runs again, repeat the command: records with an `id` of their own are not taken twice; \
                       without, leave out those that were taken (`missing` in the report of --report has the others)";
            return Err(error.after(&taken).fix(fix));
        }
        Some(error) => {
            return Err(error.after(&format!("{taken}; the first that was not")).named(&PLACES));
        }
        None => followed?,
    }
    if report.adds_up {
        return Ok(());
    }
    Err(Error::new(format!("{taken}, and not all of them are accounted for"))
        .fix("see `signalbox interaction list --state routing`"))
}

/// What the server says of one that it took.
struct Taken {
    id: String,
    /// It had taken it before.
    replayed: bool,
}

async fn submit(client: &Client, key: &str, body: &Value) -> Result<Taken, Error> {
    let mut pause = Duration::from_millis(50);
    for attempt in 1.. {
        match client.send_once(&["interactions"], key, body).await {
            Ok((answer, replayed)) => return Ok(Taken { id: cell(&answer, "id"), replayed: replayed && attempt == 1 }),
            // Refused for good.
            Err(error) if !error.may_pass() => return Err(error),
            Err(error) if attempt >= if error.is_gone() { ATTEMPTS_GONE_MAX } else { ATTEMPTS_MAX } => {
                return Err(error);
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(Duration::from_secs(2));
    }
    Err(Error::new("a loop without end has ended"))
}

/// Asks for every interaction until it is settled, then for its timeline.
async fn look(
    client: &Client,
    connections: usize,
    patience: Duration,
    ids: &[String],
    report: &mut Report,
    output: &Output,
) -> Result<(), Error> {
    let bar = Progress::new(output, ids.len(), "following");
    let shared: Arc<[String]> = ids.into();
    let deadline = Instant::now() + patience;
    let client = client.clone();
    let found = each(&bar, connections, ids.len(), move |at| {
        let (client, ids) = (client.clone(), Arc::clone(&shared));
        async move {
            let left = deadline.saturating_duration_since(Instant::now());
            let interaction = settled(&client, &ids[at], left).await?;
            let timeline = interaction::timeline(&client, &ids[at]).await?;
            Ok::<_, Error>((interaction, timeline))
        }
    })
    .await;
    bar.finish(&format!("followed {}", ids.len()));
    for result in found {
        let (interaction, timeline) = result?;
        report.add(&interaction, &timeline);
    }
    let settled: usize =
        report.states.iter().filter(|(state, _)| SETTLED.contains(&state.as_str())).map(|(_, n)| n).sum();
    let total = |counts: &BTreeMap<String, usize>| counts.values().sum::<usize>();
    let totals =
        [settled, total(&report.states), total(&report.places), total(&report.categories), total(&report.languages)];
    report.adds_up = report.accepted == report.sent && totals.iter().all(|total| *total == report.accepted);
    Ok(())
}

/// An interaction when nothing more happens to it by itself, or as it is when patience has ended.
pub(super) async fn settled(client: &Client, id: &str, patience: Duration) -> Result<Value, Error> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(5);
    loop {
        let interaction = client.get(&["interactions", id], &[]).await?;
        if SETTLED.contains(&cell(&interaction, "state").as_str()) || Instant::now() >= deadline {
            return Ok(interaction);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

impl Report {
    /// Counts what was taken and what was not. Answers with the interactions, and with the error that is to be told: that
    /// nobody answers, else the first.
    fn count_taken(&mut self, submitted: Vec<Option<Result<Taken, Error>>>) -> (Vec<String>, Option<Error>) {
        let (mut ids, mut failed) = (Vec::with_capacity(submitted.len()), None::<Error>);
        for (at, result) in submitted.into_iter().enumerate() {
            let error = match result {
                Some(Ok(taken)) => {
                    self.replayed += usize::from(taken.replayed);
                    ids.push(taken.id);
                    continue;
                }
                Some(Err(error)) => Some(error),
                None => None,
            };
            let runs = self.missing.len();
            match self.missing.last_mut() {
                Some([_, last]) if *last == at => *last += 1,
                _ if runs < MISSING_MAX => self.missing.push([at + 1, at + 1]),
                _ => {}
            }
            let what = error.as_ref().map_or("(not sent: the server is gone)", |error| &error.what);
            count(&mut self.refused, what, 20);
            if let Some(error) = error
                && (failed.is_none() || error.is_gone())
            {
                failed = Some(error);
            }
        }
        self.accepted = ids.len();
        (ids, failed)
    }

    fn add(&mut self, interaction: &Value, timeline: &[Value]) {
        const NAMES_MAX: usize = 1000;
        let or = |field: &str, otherwise: &str| {
            Some(cell(interaction, field)).filter(|text| !text.is_empty()).unwrap_or_else(|| otherwise.to_owned())
        };
        let state = or("state", "unknown");
        let place = match state.as_str() {
            "queued" | "offered" | "assigned" => format!("queue {}", or("queue.name", "?")),
            "completed" => format!("completed: {}", or("disposition", "completed")),
            "parked" => format!("parked: {}", or("parked.code", "?")),
            other => other.to_owned(),
        };
        self.samples.entry(place.clone()).or_insert_with(|| cell(interaction, "id"));
        count(&mut self.states, &state, NAMES_MAX);
        count(&mut self.places, &place, NAMES_MAX);
        count(&mut self.languages, &or("language", "(none)"), NAMES_MAX);
        let category = interaction.pointer("/categories/0/name").map_or_else(|| "(none)".to_owned(), text);
        count(&mut self.categories, &category, NAMES_MAX);
        let mut element = String::new();
        for entry in timeline {
            let said = |field: &str| cell(entry, field);
            match said("type").as_str() {
                "interaction.entered" => element = said("element"),
                "strategy.answered" => {
                    count(self.outcomes.entry(element.clone()).or_default(), &said("outcome"), NAMES_MAX);
                }
                "strategy.failed" => count(self.outcomes.entry(element.clone()).or_default(), "(failed)", NAMES_MAX),
                "message.queued" => {
                    count(&mut self.messages, &said("message.kind"), NAMES_MAX);
                }
                _ => {}
            }
        }
    }
}

/// Counts a name; where there are too many different ones, as `(others)`.
fn count(counts: &mut BTreeMap<String, usize>, name: &str, names_max: usize) {
    let known = counts.contains_key(name) || counts.len() < names_max;
    *counts.entry(if known { name.to_owned() } else { "(others)".into() }).or_default() += 1;
}

fn shown(report: &Report, follow: bool) -> String {
    let replayed = if report.replayed > 0 { format!(", {} of them before", report.replayed) } else { String::new() };
    let mut parts =
        vec![format!("submitted {} of {}{replayed} ({} a second)", report.accepted, report.sent, report.per_second)];
    let mut part = |heading: &str, counts: &BTreeMap<String, usize>| {
        if !counts.is_empty() {
            let mut rows: Vec<_> = counts.iter().collect();
            rows.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
            let total = rows.iter().map(|(_, count)| **count).sum::<usize>();
            let (shown, rest) = rows.split_at(rows.len().min(20));
            let mut lines: Vec<_> =
                shown.iter().map(|(name, count)| vec![(*name).clone(), count.to_string()]).collect();
            if !rest.is_empty() {
                let others = rest.iter().map(|(_, count)| **count).sum::<usize>();
                lines.push(vec![format!("({} others)", rest.len()), others.to_string()]);
            }
            lines.push(vec!["total".into(), total.to_string()]);
            parts.push(table(&[heading, "interactions"], &lines));
        }
    };
    part("not taken", &report.refused);
    for (element, outcomes) in &report.outcomes {
        part(&format!("`{element}` answered"), outcomes);
    }
    part("category", &report.categories);
    part("language", &report.languages);
    part("where they are now", &report.places);
    if follow {
        let messages: Vec<_> = report.messages.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        parts.push(format!("messages sent: {}", if messages.is_empty() { "none".into() } else { messages.join(", ") }));
        let verdict = if report.adds_up { "every number adds up" } else { "the numbers do NOT add up" };
        parts.push(format!("{verdict}: {} sent, {} accounted for", report.sent, report.places.values().sum::<usize>()));
    }
    parts.join("\n\n")
}

/// Does something for 0 to `total`, so many at once; answers in order.
async fn each<T, W>(bar: &Progress, connections: usize, total: usize, work: impl Fn(usize) -> W) -> Vec<T>
where
    T: Send + 'static,
    W: Future<Output = T> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut results: Vec<Option<T>> = (0..total).map(|_| None).collect();
    let mut next = 0;
    loop {
        while next < total && running.len() < connections {
            let (at, job) = (next, work(next));
            running.spawn(async move { (at, job.await) });
            next += 1;
        }
        match running.join_next().await {
            Some(Ok((at, result))) => {
                results[at] = Some(result);
                bar.tick();
            }
            Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
            None => return results.into_iter().flatten().collect(),
        }
    }
}

/// A bar on a terminal, a line for each tenth elsewhere.
struct Progress {
    bar: ProgressBar,
    output: Output,
    what: &'static str,
    done: AtomicUsize,
    total: usize,
}

impl Progress {
    fn new(output: &Output, total: usize, what: &'static str) -> Self {
        let bar = output.bar(total as u64, what);
        Self { bar, output: *output, what, done: AtomicUsize::new(0), total }
    }

    fn tick(&self) {
        self.bar.inc(1);
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let tenth = |n: usize| n * 10 / self.total.max(1);
        if self.bar.is_hidden() && tenth(done) > tenth(done - 1) {
            self.output.step(&format!("{} {done}/{}", self.what, self.total));
        }
    }

    fn finish(&self, text: &str) {
        self.bar.finish_and_clear();
        self.output.step(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_counts_each_interaction_once_under_every_heading() {
        let mut report = Report::default();
        report.add(
            &json!({ "id": "1", "state": "queued", "queue": { "name": "billing" }, "language": "de",
                     "categories": [{ "name": "billing", "relevancy": 80 }] }),
            &[
                json!({ "type": "interaction.entered", "element": "screen" }),
                json!({ "type": "strategy.answered", "outcome": "clean" }),
                json!({ "type": "message.queued", "message": { "kind": "acknowledgement" } }),
            ],
        );
        report.add(&json!({ "id": "2", "state": "completed", "disposition": "spam" }), &[]);
        assert_eq!(report.places, BTreeMap::from([("completed: spam".into(), 1), ("queue billing".into(), 1)]));
        assert_eq!(report.categories, BTreeMap::from([("(none)".into(), 1), ("billing".into(), 1)]));
        assert_eq!(report.outcomes["screen"], BTreeMap::from([("clean".into(), 1)]));
        assert_eq!(report.messages, BTreeMap::from([("acknowledgement".into(), 1)]));
        assert_eq!(report.samples["queue billing"], "1");
    }

    #[test]
    fn what_was_taken_is_counted_and_a_server_that_is_gone_is_what_is_told() {
        let taken = |replayed| Some(Ok(Taken { id: "1".into(), replayed }));
        let refused = Error::refused("no such workflow").code(Some("workflow-unknown".into()));
        let mut report = Report::default();
        let submitted = vec![
            taken(false),
            Some(Err(refused.clone())),
            taken(true),
            Some(Err(Error::unreachable("nobody answers"))),
            None,
        ];
        let (ids, failed) = report.count_taken(submitted);
        assert_eq!((ids.len(), report.accepted, report.replayed), (2, 2, 1));
        assert_eq!(report.missing, [[2, 2], [4, 5]]);
        assert!(failed.is_some_and(|error| error.is_gone()));
        let (_, failed) = Report::default().count_taken(vec![Some(Err(refused.clone())), taken(false)]);
        assert_eq!(failed, Some(refused));
    }

    #[test]
    fn names_beyond_the_bound_are_counted_together() {
        let mut counts = BTreeMap::new();
        for name in ["a", "b", "c", "d", "a"] {
            count(&mut counts, name, 2);
        }
        assert_eq!(counts, BTreeMap::from([("(others)".into(), 2), ("a".into(), 2), ("b".into(), 1)]));
    }
}
