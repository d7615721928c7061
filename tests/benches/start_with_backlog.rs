//! Starts a server on a store with 1,000,000 live interactions.

use std::time::Instant;

use anyhow::Result;
use signalbox_tests::{Report, Server, put_desk, submit_to_desk};

const LIVE: usize = 1_000_000;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let store = directory.path().join("store");
    let server = Server::start(&store)?;
    put_desk(&server.client()).await?;
    submit_to_desk(&server).fill(64, LIVE).await?;
    // As after a power cut: nothing was tidied up.
    server.kill()?;

    let began = Instant::now();
    let server = Server::start(&store)?;
    let ready = began.elapsed().as_secs_f64();
    let length = server.client().get("/queues/desk").await?["length"].as_u64().unwrap_or(0);
    anyhow::ensure!(length >= LIVE as u64, "{LIVE} were acknowledged and {length} wait");
    let mut report = Report::new(&format!("{LIVE} interactions in one queue, killed before the start"));
    report.at_most("ready after", ready, "s", 10.0);
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    report.at_most("resident memory", server.resident_bytes()? as f64 / 1e9, "GB", 1.5);
    report.write()
}
