//! 500 deployments, each bound to a workflow of its own, and 1,000 calls a second spread over them, beside as many calls a
//! second of one of them; then a restart with all of them.
//!
//! A call's time is from when its submit is due until a client that looks again and again finds it decided.
//! `SIGNALBOX_DEPLOYMENTS` makes them fewer.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use signalbox_tests::{Paced, Report, Server, put_one_strategy};

const TIME: Duration = Duration::from_secs(10);
const ROUNDS: usize = 3;
const RATE: f64 = 1000.0;
const CONNECTIONS: usize = 32;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let count: usize = std::env::var("SIGNALBOX_DEPLOYMENTS").ok().and_then(|n| n.parse().ok()).unwrap_or(500);
    let directory = tempfile::tempdir()?;
    let store = directory.path().join("store");
    let server = Server::start(&store)?;
    let client = server.client();
    let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/starters/c.wasm");
    let strategy = client.upload("/strategies", "application/wasm", &component).await?;
    let empty = server.resident_bytes()?;
    let began = Instant::now();
    for n in 0..count {
        let deployment = json!({"name": format!("d-{n}"), "strategy": strategy, "settings": settings(n)});
        client.post("/deployments", &deployment).await?;
        put_one_strategy(&client, &format!("w-{n}"), &format!("d-{n}")).await?;
    }
    let deploying = began.elapsed() / u32::try_from(count)?;

    let all = Paced::new(&server, (0..count).map(body));
    let one = Paced::new(&server, [body(0)]);
    // Loads them all.
    all.run(CONNECTIONS, count).await?;
    client.until_decided(2400).await?;
    let loaded = server.resident_bytes()?;
    let (mut spread, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(p99(&one).await?);
        spread.push(p99(&all).await?);
    }
    let serving = server.resident_bytes()?;
    server.kill()?;

    let began = Instant::now();
    let server = Server::start(&store)?;
    let ready = began.elapsed();
    let client = server.client();
    Paced::new(&server, (0..count).map(body)).run(CONNECTIONS, count).await?;
    client.until_decided(2400).await?;
    let served = began.elapsed();

    let mut report = Report::new(&format!(
        "{count} deployments of a C component of 53 KB, {RATE} calls/s for {} s, {ROUNDS} rounds",
        TIME.as_secs()
    ));
    let (spread, alone) = (median(&mut spread), median(&mut alone));
    #[expect(clippy::cast_precision_loss, reason = "bytes")]
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    report.at_most("p99 of calls spread over all against one's", spread / alone, "ratio", 2.0);
    report.figure("submit to decided, p99, spread over all", spread, "ms");
    report.figure("submit to decided, p99, one deployment", alone, "ms");
    report.figure("resident memory without a deployment", megabytes(empty), "MB");
    report.figure("resident memory, all loaded", megabytes(loaded), "MB");
    report.figure("resident memory, all serving", megabytes(serving), "MB");
    report.figure("time to deploy one", deploying.as_secs_f64(), "s");
    report.at_most("restart with all of them: ready", ready.as_secs_f64(), "s", 5.0);
    report.figure("restart with all of them: each has served a call", served.as_secs_f64(), "s");
    report.write()
}

/// Rules of each one's own.
fn settings(n: usize) -> Value {
    json!({"rules": [{"words": ["refund", "money back", format!("case {n}")], "outcome": "billing", "priority": 600},
                     {"words": ["password", "log in"], "outcome": "access"}]})
}

fn body(n: usize) -> String {
    json!({"workflow": format!("w-{n}"), "media_type": "chat", "body": "Where is my order?"}).to_string()
}

/// The p99 of a round, from submit to decided.
async fn p99(load: &Paced) -> Result<f64> {
    // A tenth of them, or looking would be most of the load.
    Ok(load.decided(CONNECTIONS, TIME, RATE, 10).await?.quantile_ms(0.99))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
