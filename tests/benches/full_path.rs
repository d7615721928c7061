//! Submit → screening → content-analysis → auto-reply → queued, 64 connections for 30 seconds.
//!
//! The time from submit to queued is the difference of the two moments that the journal keeps, read from the store after
//! the run, for every interaction.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use signalbox::store::{self, Store, Summary, Which};
use signalbox_engine::State;
use signalbox_tests::{Latencies, Pace, RawClient, Report, Server, banking77, set_up, small_model, train};

const CONNECTIONS: usize = 64;
const TIME: Duration = Duration::from_secs(30);
const BAR: f64 = 8000.0;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (model, of) = match banking77() {
        Some(input) => (train(&input, "text", "category", directory.path(), &[])?, "77 categories"),
        None => (small_model(directory.path())?, "3 categories"),
    };
    let path = directory.path().join("store");
    let server = Server::start(&path)?;
    let client = server.client();
    set_up(&client, &model).await?;
    let body = json!({"workflow": "support", "media_type": "chat", "sender": "ana@example.org",
                      "body": "I ordered a new card two weeks ago and it still has not arrived. Can you tell me where it is?"});
    let load = RawClient::post(server.url(), server.token(), "/v1/accounts/main/interactions", &body.to_string());
    // Loads the deployments.
    load.run(4, Duration::from_secs(1), Pace::PerSecond(100.0)).await?;

    let rate: f64 = std::env::var("SIGNALBOX_RATE").ok().and_then(|r| r.parse().ok()).unwrap_or(BAR * 1.05);
    let at = Instant::now();
    let (mut latencies, refused) = load.run(CONNECTIONS, TIME, Pace::PerSecond(rate)).await?;
    let submitted = latencies.len();
    client.until_decided(1200).await?;
    let finished = at.elapsed();
    let resident = server.resident_bytes()?;
    server.stop()?;

    let mut report =
        Report::new(&format!("{CONNECTIONS} connections, {of}, paced at {rate}/s for {} s", TIME.as_secs()));
    let mut to_queue = to_queue(&path)?;
    anyhow::ensure!(to_queue.len() >= submitted, "{submitted} were submitted and {} are queued", to_queue.len());
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    let sustained = submitted as f64 / finished.as_secs_f64().max(TIME.as_secs_f64());
    report.at_least("interactions submitted and queued", sustained, "1/s", BAR);
    report.at_most("submit to queued, p99", to_queue.quantile_ms(0.99), "ms", 50.0);
    report.figure("submit to queued, p50", to_queue.quantile_ms(0.5), "ms");
    report.figure("submit acknowledged, p99", latencies.quantile_ms(0.99), "ms");
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    report.at_most("submits refused as busy", refused as f64, "number", 0.0);
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    report.figure("resident memory at the end", resident as f64 / 1e6, "MB");
    report.write()
}

fn to_queue(path: &std::path::Path) -> Result<Latencies> {
    let store = Store::open(&store::Options { directory: path.to_owned(), cache_bytes: 64 << 20 })?;
    let accounts = store.accounts()?;
    let (_, row) = accounts.iter().find(|(name, _)| *name == "main").context("the account main")?;
    let mut latencies = Latencies::default();
    let mut cursor: Option<Vec<u8>> = None;
    loop {
        let page = store.interactions(row.number, Which::All, cursor.as_deref(), 10_000, 10_000, |_, _| Ok(true))?;
        for (_, summary) in &page.items {
            if let Summary::Live(live) = summary
                && let State::Queued(position) = &live.state
            {
                latencies.add(Duration::from_millis(position.since.0 - live.submitted_at.0));
            }
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(latencies),
        }
    }
}
