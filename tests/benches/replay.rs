//! 100,000 recorded decisions made again by their own version: each must be the same, bit for bit.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use signalbox_tests::{RawClient, Report, Server, screening, strategy_file};

const DECISIONS: usize = 100_000;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let workflow = json!({"name": "support",
        "elements": [{"id": "start", "kind": "start"}, {"id": "screen", "kind": "strategy"},
                     {"id": "desk", "kind": "queue", "queue": "desk"}, {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "screen"},
                       {"from": "screen", "outcome": "default", "to": "desk"},
                       {"from": "desk", "outcome": "completed", "to": "done"}]});
    client.put("/workflows/support", &workflow).await?;
    client.deploy("screening-1", &strategy_file("screening")?, &screening(), &[]).await?;
    client.bind("support", "screen", "screening-1").await?;
    let body = json!({"workflow": "support", "media_type": "chat", "sender": "ana@example.org",
                      "body": "I ordered a new card two weeks ago and it still has not arrived. Can you tell me where it is?"});
    let load = RawClient::post(server.url(), server.token(), "/v1/accounts/main/interactions", &body.to_string());
    load.fill(32, DECISIONS).await?;
    client.until_decided(2400).await?;

    let began = Instant::now();
    let started = client.post("/replays", &json!({"deployment": "screening-1", "against": "screening-1"})).await?;
    let path = format!("/replays/{}", started["name"].as_str().unwrap_or_default());
    let report = loop {
        let replay = client.get(&path).await?;
        if replay["state"] == "done" {
            break replay["report"].clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let elapsed = began.elapsed().as_secs_f64();
    let count = |field: &str| report[field].as_u64().unwrap_or_default() as f64;
    let mut rows = Report::new("screening with 20 rules on 100 bytes; reading, sandboxes and comparing included");
    rows.at_least("decisions made again", count("replayed"), "number", DECISIONS as f64);
    rows.at_least("of them identical", count("identical"), "number", DECISIONS as f64);
    rows.at_least("decisions a second", count("replayed") / elapsed, "1/s", 20_000.0);
    rows.write()
}
