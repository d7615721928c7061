//! A binding is swapped under traffic: nothing fails, nothing is lost, and each decision names the deployment that made it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use serde_json::json;
use signalbox_tests::{Server, strategy_file};

const CLIENTS: usize = 64;
const SWAPS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_swaps_under_64_clients_lose_nothing_and_every_decision_names_its_deployment() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let workflow = json!({"name": "swap",
        "elements": [{"id": "start", "kind": "start"}, {"id": "screen", "kind": "strategy"},
                     {"id": "desk", "kind": "queue", "queue": "desk"}, {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "screen"},
                       {"from": "screen", "outcome": "default", "to": "desk"},
                       {"from": "desk", "outcome": "completed", "to": "done"}]});
    client.put("/workflows/swap", &workflow).await?;
    for name in ["red", "blue"] {
        let rule = json!({"rules": [{"name": name, "outcome": "marked", "when": {"words": ["order"]}, "attach": {"colour": name}}]});
        client.deploy(name, &strategy_file("screening")?, &rule, &[]).await?;
    }
    client.bind("swap", "screen", "red").await?;

    let stop = Arc::new(AtomicBool::new(false));
    let submitted = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (client, stop, submitted) = (client.clone(), Arc::clone(&stop), Arc::clone(&submitted));
            tokio::spawn(async move {
                let body = json!({"workflow": "swap", "media_type": "chat", "body": "where is my order?"});
                let mut ids = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    ids.push(client.submit(&body).await?);
                    submitted.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(ids)
            })
        })
        .collect();
    for swap in 0..SWAPS {
        // Each binding serves some interactions before the next takes its place.
        let before = submitted.load(Ordering::Relaxed);
        while submitted.load(Ordering::Relaxed) < before + CLIENTS / 2 {
            tokio::task::yield_now().await;
        }
        client.bind("swap", "screen", if swap % 2 == 0 { "blue" } else { "red" }).await?;
    }
    stop.store(true, Ordering::Relaxed);
    let mut ids = Vec::new();
    for client in clients {
        ids.extend(client.await?.context("no submit failed")?);
    }
    client.until_decided(1200).await?;

    let mut colours: BTreeMap<String, usize> = BTreeMap::new();
    for id in &ids {
        let detail = client.get(&format!("/interactions/{id}")).await?;
        assert_eq!(detail["state"], "queued", "{id}: {detail}");
        let data = client.get(&format!("/interactions/{id}/user-data")).await?;
        let colour = data.get("user_data").unwrap_or(&data)["colour"].as_str().context("a colour")?.to_owned();
        let decisions = client.get(&format!("/interactions/{id}/decisions")).await?;
        let decisions = decisions["items"].as_array().context("decisions")?;
        assert_eq!(decisions.len(), 1, "{id}");
        assert_eq!(decisions[0]["deployment"], colour.as_str(), "{id}: the deployment named is the one that decided");
        *colours.entry(colour).or_default() += 1;
    }
    println!("{} interactions, {SWAPS} swaps: {colours:?}", ids.len());
    assert_eq!(colours.len(), 2, "both deployments served");
    assert_eq!(client.get("/queues/desk").await?["length"], ids.len());
    Ok(())
}
