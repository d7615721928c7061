//! From an upload to the first call that it serves: screening, a Rust component of 1.7 MB, with 20 rules.
//!
//! Each round is another component: a custom section with the round's number makes it one. `many_deployments` has the
//! restart with 500 of them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use signalbox_tests::{Report, Server, put_one_strategy, screening, strategy_file};

const ROUNDS: u8 = 7;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let component = std::fs::read(strategy_file("screening")?)?;
    let file = directory.path().join("screening.wasm");
    let settings = screening();
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        // Section 0, three bytes: a name of one byte, and the number.
        std::fs::write(&file, [&component[..], &[0, 3, 1, b'n', round]].concat())?;
        let name = format!("screening-{round}");
        let began = Instant::now();
        let strategy = client.upload("/strategies", "application/wasm", &file).await?;
        let uploaded = began.elapsed();
        client.post("/deployments", &json!({"name": name, "strategy": strategy, "settings": settings})).await?;
        let deployed = began.elapsed();
        put_one_strategy(&client, "served", &name).await?;
        let id = client.submit(&json!({"workflow": "served", "media_type": "chat", "body": "hello"})).await?;
        loop {
            let decisions = client.get(&format!("/interactions/{id}/decisions")).await?;
            if let Some(decision) = decisions["items"].get(0) {
                anyhow::ensure!(decision["deployment"] == name.as_str(), "the new one serves: {decision}");
                break;
            }
            tokio::task::yield_now().await;
        }
        rounds.push([uploaded, deployed - uploaded, began.elapsed() - deployed, began.elapsed()]);
    }
    let mut report = Report::new(&format!("{} bytes, median of {ROUNDS}", component.len()));
    let mut median = |n: usize| {
        rounds.sort_by_key(|round| round[n]);
        rounds.get(rounds.len() / 2).map(|round| round[n]).unwrap_or(Duration::ZERO).as_secs_f64()
    };
    report.at_most("from upload to the first call served", median(3), "s", 2.0);
    report.figure("of it: upload and inspection", median(0), "s");
    report.figure("of it: deployment", median(1), "s");
    report.figure("of it: binding, load and call", median(2), "s");
    server.stop().context("the server stops")?;
    report.write()
}
