//! What hostile strategies cost good ones: the p99 of good calls beside each kind of them against the p99 just before, when
//! it was quiet, and the memory before and after all of them.
//!
//! A call's time is from when its submit is due until a client that looks again and again finds it decided.
//! `SIGNALBOX_ROUNDS` makes the rounds fewer or more than 9, `SIGNALBOX_KINDS=slow,log` the kinds fewer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use signalbox_tests::{Client, Paced, Report, Server, screening, strategy_file};

/// Short: a disk that stalls now and then would spoil every round that is long.
const TIME: Duration = Duration::from_secs(1);
const RATE: f64 = 400.0;
const CONNECTIONS: usize = 8;
/// Hostile interactions that are under way at a time.
const HOSTILE: usize = 4;
/// Deployments that take turns in one binding.
const SWAPPED: u32 = 100;

/// What goes on beside the good calls.
#[derive(Clone, Copy)]
enum Beside {
    /// Interactions of this body, at a deployment with this deadline.
    Bodies(&'static str, u64),
    /// Deployments with these settings, one after the other.
    Deployments(&'static str),
    /// Bindings to one deployment and another, a hundred a second.
    Swaps,
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let rounds: usize = std::env::var("SIGNALBOX_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(9);
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    client.deploy("good", &strategy_file("screening")?, &screening(), &[]).await?;
    put_ending(&client, "good", "good").await?;
    let body = json!({"workflow": "good", "media_type": "chat", "body": "Where is my order?"}).to_string();
    let good = Paced::new(&server, [body]);
    let kinds = [
        ("loop", Beside::Bodies("loop", 50)),
        ("allocation", Beside::Bodies("memory", 500)),
        ("recursion", Beside::Bodies("recurse", 50)),
        ("log", Beside::Bodies("log 10000000", 500)),
        ("actions", Beside::Bodies("actions 1000000", 500)),
        ("traps-at-random", Beside::Bodies("chance", 50)),
        ("slow", Beside::Bodies("spin 30000000", 500)),
        ("configure", Beside::Deployments("loop")),
        ("swaps", Beside::Swaps),
    ];
    for (name, beside) in kinds {
        let deadline_ms = if let Beside::Bodies(_, deadline_ms) = beside { deadline_ms } else { 50 };
        let strategy = client.upload("/strategies", "application/wasm", &strategy_file("hostile")?).await?;
        client.post("/deployments", &json!({"name": name, "strategy": strategy, "deadline_ms": deadline_ms})).await?;
        put_ending(&client, name, name).await?;
    }
    let strategy = client.upload("/strategies", "application/wasm", &strategy_file("hostile")?).await?;
    for n in 0..SWAPPED {
        client.post("/deployments", &json!({"name": format!("swaps-{n}"), "strategy": strategy})).await?;
    }
    // Loads what serves, and lets the store, whose memory fills up with what is written, and the pool come to the size that
    // so many good calls alone give them.
    for _ in 0..2 * rounds * kinds.len() {
        p99(&good).await?;
    }
    let before = beside_the_store(&server).await?;

    let mut report = Report::new(&format!("{RATE} good calls/s for {} s, {rounds} rounds of each", TIME.as_secs()));
    let wanted = std::env::var("SIGNALBOX_KINDS").ok();
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| wanted.split(',').any(|kind| kind == name));
    for (name, beside) in kinds.into_iter().filter(|(name, _)| is_wanted(name)) {
        let (mut quiet, mut hostile) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            quiet.push(p99(&good).await?);
            let stop = Arc::new(AtomicBool::new(false));
            let tasks: Vec<_> = (0..HOSTILE)
                .map(|_| tokio::spawn(misbehave(client.clone(), name, beside, Arc::clone(&stop))))
                .collect();
            hostile.push(p99(&good).await?);
            stop.store(true, Ordering::Relaxed);
            for task in tasks {
                task.await??;
            }
            client.until_decided(2400).await?;
        }
        let (quiet, hostile) = (median(&mut quiet), median(&mut hostile));
        report.at_most(&format!("p99 of good calls beside {name} against quiet"), hostile / quiet, "ratio", 2.0);
        report.figure(&format!("p99 of good calls beside {name}"), hostile, "ms");
        report.figure(&format!("p99 of good calls, quiet before {name}"), quiet, "ms");
    }
    p99(&good).await?;
    let after = beside_the_store(&server).await?;
    #[expect(clippy::cast_precision_loss, reason = "bytes")]
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    report.at_most(
        "resident memory beside the store's, after against before",
        megabytes(after) / megabytes(before),
        "ratio",
        1.5,
    );
    report.figure("resident memory beside the store's, before", megabytes(before), "MB");
    report.figure("resident memory beside the store's, after", megabytes(after), "MB");
    report.write()
}

/// Puts a workflow of one strategy, whose interactions end with it: what waited would be more memory with each round.
async fn put_ending(client: &Client, name: &str, deployment: &str) -> Result<()> {
    let workflow = json!({"name": name,
        "elements": [{"id": "start", "kind": "start"}, {"id": "ask", "kind": "strategy"}, {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "ask"},
                       {"from": "ask", "outcome": "default", "to": "done"}]});
    client.put(&format!("/workflows/{name}"), &workflow).await?;
    client.bind(name, "ask", deployment).await?;
    Ok(())
}

/// Does harm until it is told to stop.
async fn misbehave(client: Client, name: &'static str, beside: Beside, stop: Arc<AtomicBool>) -> Result<()> {
    let strategy = client.get(&format!("/deployments/{name}")).await?["strategy"].clone();
    let mut ticks = tokio::time::interval(Duration::from_millis(1000 * HOSTILE as u64 / 100));
    let (mut swapped, mut nth) = (0_u32, 0_u32);
    while !stop.load(Ordering::Relaxed) {
        match beside {
            Beside::Bodies(body, _) => {
                // Two of five, or it would be taken out after the first second, and harm nobody.
                let body = if matches!(nth % 5, 0 | 2) { body } else { "ok" };
                nth += 1;
                let id = client.submit(&json!({"workflow": name, "media_type": "chat", "body": body})).await?;
                // One at a time, or they would pile up for as long as they take.
                while client.get(&format!("/interactions/{id}")).await?["state"] == "routing" {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            Beside::Deployments(order) => {
                let body = json!({"name": "never", "strategy": strategy, "settings": {"do": order}});
                // Refused, and as busy where others wait: both are what is wanted.
                client.send(client.request(reqwest::Method::POST, "/deployments").json(&body)).await?;
            }
            Beside::Swaps => {
                ticks.tick().await;
                swapped += 1;
                client.bind(name, "ask", &format!("{name}-{}", swapped % SWAPPED)).await?;
                client.submit(&json!({"workflow": name, "media_type": "chat", "body": "ok"})).await?;
            }
        }
    }
    Ok(())
}

/// Resident memory without what the store holds of what was written and read, which fills up to its bounds with any load.
async fn beside_the_store(server: &Server) -> Result<u64> {
    let of_store = server.client().metric("signalbox_store_memory_bytes").await?;
    Ok(server.resident_bytes()?.saturating_sub(of_store.iter().sum()))
}

async fn p99(good: &Paced) -> Result<f64> {
    // Half of them, or looking would be most of the load.
    Ok(good.decided(CONNECTIONS, TIME, RATE, 2).await?.quantile_ms(0.99))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
