//! What 10,000 statistics cost the lane at 5,000 events a second, and whether each is right.
//!
//! Two accounts of one server do the same, in turns of a few seconds: one has no statistics, the other 10,000. Each round
//! submits into one of 200 queues, takes out of it and completes. Afterwards every figure is compared with a recount of
//! the journal that knows nothing of how figures are folded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use signalbox::store::{self, Store, Which};
use signalbox_engine::{Event, Record, Sequence};
use signalbox_tests::{Client, Connection, Latencies, Report, Server, address_of, post_bytes};

const QUEUES: usize = 200;
const CONNECTIONS: usize = 16;
const TURN: Duration = Duration::from_secs(2);
const TURNS: usize = 15;
/// Rounds a second; each is at least eight events.
const ROUNDS_PER_SECOND: f64 = 700.0;
const LAST: usize = 100;
const WITHIN_MS: u64 = 2;
const BOUNDS_MS: [u64; 3] = [1, 2, 5];

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("store");
    let server = Server::start(&path)?;
    let accounts = ["bare", "measured"];
    for account in accounts {
        set_up(&server, account).await?;
    }
    let client = Client::new(server.url(), server.token(), "measured");
    let defined = define(&client).await?;

    let mut latencies = [Latencies::default(), Latencies::default()];
    let mut processor = [Duration::ZERO; 2];
    for turn in 0..TURNS * 2 {
        // Which of the two goes first changes, so that neither has the better half of a slow drift.
        let which = (turn + turn / 2) % 2;
        let before = lane_time(&server, which)?;
        latencies[which].join(rounds(&server, accounts[which], turn as u64).await?);
        processor[which] += lane_time(&server, which)?.saturating_sub(before);
    }
    let figures = figures(&client, defined).await?;
    server.stop()?;

    let journal = journal(&path, "measured")?;
    let events: usize = journal.iter().map(|record| record.events.len()).sum();
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    let per_second = events as f64 / (TURN * u32::try_from(TURNS)?).as_secs_f64();
    let wrong = recount(&journal, &figures)?;
    let mut report = Report::new(&format!(
        "{defined} statistics, {QUEUES} queues, {CONNECTIONS} connections at {ROUNDS_PER_SECOND} rounds/s, {TURNS} turns of {} s each",
        TURN.as_secs()
    ));
    let [bare, measured] = &mut latencies;
    report.at_least("events", per_second, "1/s", 5000.0);
    let ratio = |of: &mut Latencies, to: &mut Latencies, quantile| of.quantile_ms(quantile) / to.quantile_ms(quantile);
    report.at_most("a command with 10,000 over one with none, p50", ratio(measured, bare, 0.5), "ratio", 1.05);
    report.figure("the same, p99", ratio(measured, bare, 0.99), "ratio");
    report.figure("a command with none, p50", bare.quantile_ms(0.5), "ms");
    let share = processor[1].as_secs_f64() / processor[0].as_secs_f64();
    report.figure("the lane's processor time with 10,000 over that with none", share, "ratio");
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    report.at_most("figures that differ from a recount", wrong as f64, "number", 0.0);
    report.write()
}

async fn set_up(server: &Server, account: &str) -> Result<()> {
    let http = reqwest::Client::new();
    let made = http.put(format!("{}/v1/accounts/{account}", server.url())).bearer_auth(server.token()).json(&json!({}));
    made.send().await?.error_for_status()?;
    let client = Client::new(server.url(), server.token(), account);
    for n in 0..QUEUES {
        let queue = format!("desk-{n}");
        let workflow = json!({"name": queue,
            "elements": [{"id": "start", "kind": "start"}, {"id": "desk", "kind": "queue", "queue": queue},
                         {"id": "done", "kind": "end"}],
            "connectors": [{"from": "start", "outcome": "next", "to": "desk"},
                           {"from": "desk", "outcome": "completed", "to": "done"}]});
        client.put(&format!("/workflows/{queue}"), &workflow).await?;
    }
    Ok(())
}

/// What is measured of each queue, by what [`Seen::figure`] recounts.
fn measures() -> Vec<(&'static str, Value)> {
    let number = |of: &str| json!({"kind": "number", "of": of});
    let time = |value: &str| json!({"kind": "time", "of": "answer-wait", "value": value});
    vec![
        ("queued", number("queued")),
        ("answered", number("answered")),
        ("total", time("total")),
        ("average", time("average")),
        ("min", time("min")),
        ("max", time("max")),
        ("within", json!({"kind": "service-factor", "answered_within_ms": WITHIN_MS})),
        ("buckets", json!({"kind": "distribution", "of": "answer-wait", "bounds_ms": BOUNDS_MS})),
        ("completed", number("completed")),
        ("entered", number("workflow-entered")),
    ]
}

/// Time profiles that hold all of the run, and the last few.
fn profiles() -> Vec<(&'static str, Value)> {
    vec![
        ("growing", json!({"kind": "growing"})),
        ("hours", json!({"kind": "sliding", "window_ms": 86_400_000, "step_ms": 60_000})),
        ("hour", json!({"kind": "sliding", "window_ms": 3_600_000, "step_ms": 10_000})),
        ("half", json!({"kind": "sliding", "window_ms": 1_800_000, "step_ms": 5_000})),
        ("last", json!({"kind": "selection", "last": LAST})),
    ]
}

/// Defines them all; answers with how many there are.
async fn define(client: &Client) -> Result<usize> {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..QUEUES {
        let client = client.clone();
        tasks.spawn(async move {
            for (measure, document) in measures() {
                // What ends or comes is of a workflow, the rest of a queue. Each workflow has a queue of the same name.
                let of = if matches!(measure, "completed" | "entered") { "workflow" } else { "queue" };
                for (profile, over) in profiles() {
                    let object = json!({"kind": of, "name": format!("desk-{n}")});
                    let statistic = json!({"object": object, "measure": document, "profile": over});
                    client.put(&format!("/statistics/{measure}.{profile}.{n}"), &statistic).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(QUEUES * measures().len() * profiles().len())
}

/// One turn of one account.
async fn rounds(server: &Server, account: &str, seed: u64) -> Result<Latencies> {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..CONNECTIONS {
        let (url, token, account) = (server.url().to_owned(), server.token().to_owned(), account.to_owned());
        tasks.spawn(async move {
            let mut random = StdRng::seed_from_u64(seed * 1000 + n as u64);
            let mut connection = Connection::open(address_of(&url)).await?;
            let mut latencies = Latencies::default();
            #[expect(clippy::cast_precision_loss, reason = "a few connections")]
            let each = Duration::from_secs_f64(CONNECTIONS as f64 / ROUNDS_PER_SECOND);
            let mut due = began + each.mul_f64(n as f64 / CONNECTIONS as f64);
            while began.elapsed() < TURN {
                tokio::time::sleep_until(due.into()).await;
                due += each;
                let queue = format!("desk-{}", random.random_range(0..QUEUES));
                let submit = json!({"workflow": queue, "media_type": "chat", "body": "Hello"});
                let mut say = async |path: &str, body: Value| {
                    let path = format!("/v1/accounts/{account}{path}");
                    let request = post_bytes(&url, &token, &path, &body.to_string());
                    let at = Instant::now();
                    let status = connection.exchange(&request).await?;
                    latencies.add(at.elapsed());
                    ensure!((200..300).contains(&status), "POST {path}: {status}");
                    Ok(serde_json::from_slice::<Value>(connection.body())?)
                };
                say("/interactions", submit).await?;
                let taken = say(&format!("/queues/{queue}/take"), json!({})).await?;
                let id = taken["id"].as_str().context("what was taken has an identifier")?;
                say(&format!("/interactions/{id}/complete"), json!({"disposition": "solved"})).await?;
            }
            anyhow::Ok(latencies)
        });
    }
    let mut all = Latencies::default();
    while let Some(task) = tasks.join_next().await {
        all.join(task??);
    }
    Ok(all)
}

/// Processor time that a lane's thread has had: those of the accounts in the order in which they were made, after `main`.
fn lane_time(server: &Server, account: usize) -> Result<Duration> {
    let mut lanes = BTreeMap::new();
    for task in std::fs::read_dir(format!("/proc/{}/task", server.pid()))? {
        let task = task?.path();
        let name = std::fs::read_to_string(task.join("comm"))?;
        if let Some(number) = name.trim().strip_prefix("lane-").and_then(|number| number.parse::<u32>().ok()) {
            let times = std::fs::read_to_string(task.join("schedstat"))?;
            let nanos: u64 = times.split_whitespace().next().context("the time on a processor")?.parse()?;
            lanes.insert(number, Duration::from_nanos(nanos));
        }
    }
    lanes.into_values().rev().nth(1 - account).context("a lane of each account")
}

/// All figures, once they have counted what was done.
async fn figures(client: &Client, defined: usize) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/statistics?limit=200{cursor}")).await?;
        for item in page["items"].as_array().context("a page has items")? {
            let name = item["name"].as_str().context("a statistic has a name")?;
            all.insert(name.to_owned(), item["figure"].clone());
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    ensure!(all.len() == defined, "{defined} were defined and {} are listed", all.len());
    Ok(all)
}

/// Every record about an interaction, in order.
fn journal(path: &std::path::Path, account: &str) -> Result<Vec<Record>> {
    let store = Store::open(&store::Options { directory: path.to_owned(), cache_bytes: 64 << 20 })?;
    let accounts = store.accounts()?;
    let (_, row) = accounts.iter().find(|(name, _)| *name == account).context("the account")?;
    let mut all = BTreeMap::new();
    let mut cursor: Option<Vec<u8>> = None;
    loop {
        let page = store.interactions(row.number, Which::All, cursor.as_deref(), 10_000, 10_000, |_, _| Ok(true))?;
        for (id, _) in &page.items {
            for record in store.timeline(row.number, *id, Sequence(0), 1000)? {
                all.insert(record.sequence, record);
            }
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(all.into_values().collect()),
        }
    }
}

/// What happened in one queue and the workflow of its name.
#[derive(Default)]
struct Seen {
    queued: usize,
    waits_ms: Vec<u64>,
    completed: usize,
}

impl Seen {
    /// The figure of a measure over the whole run or its last few, as it is defined.
    #[expect(clippy::cast_precision_loss, reason = "counts and times of one run")]
    fn figure(&self, measure: &str, last: bool) -> (Option<f64>, Option<Vec<u64>>) {
        let count = |all: usize| (Some((if last { all.min(LAST) } else { all }) as f64), None);
        let from = if last { self.waits_ms.len().saturating_sub(LAST) } else { 0 };
        let waits = &self.waits_ms[from..];
        let seconds = |ms: u64| ms as f64 / 1000.0;
        let total: u64 = waits.iter().sum();
        let some = |value: f64| (!waits.is_empty()).then_some(value);
        let value = match measure {
            "queued" | "entered" => return count(self.queued),
            "answered" => return count(self.waits_ms.len()),
            "completed" => return count(self.completed),
            "total" => Some(seconds(total)),
            "average" => some(seconds(total) / waits.len() as f64),
            "min" => waits.iter().min().map(|ms| seconds(*ms)),
            "max" => waits.iter().max().map(|ms| seconds(*ms)),
            "within" => {
                let good = waits.iter().filter(|ms| **ms <= WITHIN_MS).count();
                some(100.0 * good as f64 / waits.len() as f64)
            }
            _ => {
                let mut buckets = vec![0; BOUNDS_MS.len() + 1];
                for wait in waits {
                    let bucket = BOUNDS_MS.iter().position(|bound| wait <= bound).unwrap_or(BOUNDS_MS.len());
                    buckets[bucket] += 1;
                }
                return (None, Some(buckets));
            }
        };
        (value, None)
    }
}

/// How many figures are not what the journal says.
fn recount(journal: &[Record], figures: &BTreeMap<String, Value>) -> Result<usize> {
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    let mut waiting: BTreeMap<_, (String, u64)> = BTreeMap::new();
    let mut queue_of: BTreeMap<_, String> = BTreeMap::new();
    for record in journal {
        for event in &record.events {
            match event {
                Event::Queued { id, position } => {
                    let queue = position.queue.as_str().to_owned();
                    seen.entry(queue.clone()).or_default().queued += 1;
                    waiting.insert(*id, (queue.clone(), record.at.0));
                    queue_of.insert(*id, queue);
                }
                Event::Taken { id, .. } => {
                    let (queue, since) = waiting.remove(id).context("what is taken has waited")?;
                    seen.entry(queue).or_default().waits_ms.push(record.at.0.saturating_sub(since));
                }
                Event::Completed { id, .. } => {
                    let queue = queue_of.get(id).context("what is completed was queued")?;
                    seen.entry(queue.clone()).or_default().completed += 1;
                }
                _ => {}
            }
        }
    }
    let mut wrong = 0;
    for (name, figure) in figures {
        let mut parts = name.split('.');
        let (measure, profile) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let queue = format!("desk-{}", parts.next().unwrap_or_default());
        let none = Seen::default();
        let (value, buckets) = seen.get(&queue).unwrap_or(&none).figure(measure, profile == "last");
        let counted = figure["buckets"]
            .as_array()
            .map(|buckets| buckets.iter().filter_map(|bucket| bucket["count"].as_u64()).collect::<Vec<_>>());
        let same = match (value, figure["value"].as_f64()) {
            (Some(wanted), Some(given)) => (wanted - given).abs() <= 1e-9 * wanted.abs().max(1.0),
            (wanted, given) => wanted.is_none() && given.is_none(),
        };
        if !same || buckets != counted {
            eprintln!("{name}: {figure}, recounted {value:?} {buckets:?}");
            wrong += 1;
        }
    }
    Ok(wrong)
}
