//! Canaries under traffic: a good one takes over step by step, a bad one goes back by itself and says why, and no
//! interaction fails or is lost either way.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use signalbox_tests::{Client, Server, signalbox, strategy_file};

const CLIENTS: usize = 16;
/// How long a canary may take to come to its end here, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(120);
const BINDING: &str = "/workflows/support/elements/screen/binding";

fn rules(words: &[&str]) -> Value {
    json!({"rules": [{"name": "fraud", "outcome": "urgent", "priority": 800, "when": {"words": words}}]})
}

/// A server with a workflow that `old` serves, and the deployment `new`.
async fn start(directory: &std::path::Path, new: (&str, &Value)) -> Result<(Server, Client)> {
    let server = Server::start(&directory.join("store"))?;
    let client = server.client();
    let workflow = json!({"name": "support",
        "elements": [{"id": "start", "kind": "start"}, {"id": "screen", "kind": "strategy"},
                     {"id": "urgent", "kind": "queue", "queue": "urgent"}, {"id": "desk", "kind": "queue", "queue": "desk"},
                     {"id": "failed", "kind": "queue", "queue": "failed"}, {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "screen"},
                       {"from": "screen", "outcome": "urgent", "to": "urgent"},
                       {"from": "screen", "outcome": "error", "to": "failed"},
                       {"from": "screen", "outcome": "timeout", "to": "failed"},
                       {"from": "screen", "outcome": "default", "to": "desk"},
                       {"from": "urgent", "outcome": "completed", "to": "done"},
                       {"from": "desk", "outcome": "completed", "to": "done"},
                       {"from": "failed", "outcome": "completed", "to": "done"}]});
    client.put("/workflows/support", &workflow).await?;
    client.deploy("old", &strategy_file("screening")?, &rules(&["fraud"]), &[]).await?;
    client.deploy("new", &strategy_file(new.0)?, new.1, &[]).await?;
    client.bind("support", "screen", "old").await?;
    Ok((server, client))
}

fn with_canary(steps: &Value, guards: &Value) -> Value {
    json!({"shares": [{"deployment": "old", "weight": 1}], "message": "try the new one",
           "canary": {"deployment": "new", "steps": steps, "guards": guards}})
}

/// Puts a canary while clients submit, until it has ended; answers with the binding then, and with all interactions.
async fn until_ended(client: &Client, binding: &Value, body: &'static str) -> Result<(Value, Vec<String>)> {
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (client, stop) = (client.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let body = json!({"workflow": "support", "media_type": "chat", "body": body});
                let mut ids = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    ids.push(client.submit(&body).await?);
                    // Enough traffic for every step, and not so much that looking at all of it takes long.
                    tokio::time::sleep(Duration::from_millis(40)).await;
                }
                anyhow::Ok(ids)
            })
        })
        .collect();
    let put = client.put(BINDING, binding).await?;
    ensure!(put["canary"]["step"] == 0, "{put}");
    let began = Instant::now();
    let ended = loop {
        let binding = client.get(BINDING).await?;
        if binding["canary"].is_null() {
            break binding;
        }
        ensure!(began.elapsed() < PATIENCE, "{}", client.get(&format!("{BINDING}/canary")).await?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    stop.store(true, Ordering::Relaxed);
    let mut ids = Vec::new();
    for client in clients {
        ids.extend(client.await?.context("no submit failed")?);
    }
    client.until_decided(1200).await?;
    Ok((ended, ids))
}

async fn lengths(client: &Client) -> Result<[u64; 3]> {
    let mut lengths = [0; 3];
    for (queue, length) in ["desk", "urgent", "failed"].iter().zip(&mut lengths) {
        *length = client.get(&format!("/queues/{queue}")).await?["length"].as_u64().context("a length")?;
    }
    Ok(lengths)
}

async fn deciders(client: &Client, ids: &[String]) -> Result<[usize; 2]> {
    let mut by = [0; 2];
    for id in ids {
        let decisions = client.get(&format!("/interactions/{id}/decisions")).await?;
        let decisions = decisions["items"].as_array().context("decisions")?;
        ensure!(decisions.len() == 1, "{id}: {decisions:?}");
        by[usize::from(decisions[0]["deployment"] == "new")] += 1;
    }
    Ok(by)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_candidate_takes_over_step_by_step() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (_server, client) = start(directory.path(), ("screening", &rules(&["fraud"]))).await?;
    let second = |percent: u8| json!({"percent": percent, "for_s": 1});
    let guards = json!({"error_share_max": 0.1, "p99_max_us": 5_000_000, "outcome_shift_max": 0.1, "calls_min": 20});
    let binding = with_canary(&json!([second(20), second(60), second(100)]), &guards);
    let (ended, ids) = until_ended(&client, &binding, "Hello, a question").await?;
    assert_eq!(ended["shares"], json!([{"deployment": "new", "weight": 1}]), "{ended}");
    assert_eq!(ended["put_by"], "signalbox");
    let message = ended["message"].as_str().context("a message")?;
    assert!(message.contains("canary `new`, put by ") && message.ends_with("promoted after 3 steps"), "{message}");
    assert_eq!(lengths(&client).await?, [ids.len() as u64, 0, 0]);
    let [old, new] = deciders(&client, &ids).await?;
    assert!(old >= 40 && new >= 60, "at least 20 calls a step, and the others compared with: {old} and {new}");
    // One command back.
    let back = client.post(&format!("{BINDING}/rollback"), &json!({})).await?;
    assert_eq!(back["shares"], json!([{"deployment": "old", "weight": 1}]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_traps_goes_back_by_itself_and_no_interaction_notices() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (_server, client) = start(directory.path(), ("hostile", &json!({}))).await?;
    let guards = json!({"error_share_max": 0.05, "calls_min": 30});
    let binding = with_canary(&json!([{"percent": 20, "for_s": 3600}]), &guards);
    let (ended, ids) = until_ended(&client, &binding, "trap").await?;
    assert_eq!(ended["shares"], json!([{"deployment": "old", "weight": 1}]), "{ended}");
    assert_eq!(ended["put_by"], "signalbox");
    let message = ended["message"].as_str().context("a message")?;
    assert!(
        message.contains("rolled back in step 1 of 1 (20 %): its error share is 1, at most 0.05 is allowed"),
        "{message}"
    );
    assert!(message.contains("calls failed (trap "), "{message}");
    assert_eq!(lengths(&client).await?, [ids.len() as u64, 0, 0], "what it failed at the shares did");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_decides_otherwise_goes_back_by_itself() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (_server, client) = start(directory.path(), ("screening", &rules(&["fraud", "hello"]))).await?;
    let guards = json!({"outcome_shift_max": 0.3, "calls_min": 30});
    let binding = with_canary(&json!([{"percent": 30, "for_s": 3600}]), &guards);
    let (ended, ids) = until_ended(&client, &binding, "Hello, a question").await?;
    assert_eq!(ended["shares"], json!([{"deployment": "old", "weight": 1}]), "{ended}");
    let message = ended["message"].as_str().context("a message")?;
    assert!(message.contains("its outcome `"), "{message}");
    assert!(message.ends_with("at most 0.3 apart is allowed"), "{message}");
    let [old, new] = deciders(&client, &ids).await?;
    assert_eq!(lengths(&client).await?, [old as u64, new as u64, 0]);
    assert!(old >= 30 && new >= 30, "{old} and {new}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_watches_a_canary_and_ends_it_by_hand() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (server, client) = start(directory.path(), ("screening", &rules(&["fraud"]))).await?;
    let run = |arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(signalbox()?);
        command.args(["strategy", "--server", server.url(), "--token", server.token()]).args(arguments);
        let output = command.output()?;
        Ok(format!("{}{}", String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
    };
    let wanted =
        "bind support/screen old --canary new --steps 50%:1h,100%:1h --error-share-max 0.02 --p99-max 1s --calls-min 5";
    let bound = run(&wanted.split(' ').collect::<Vec<_>>())?;
    assert!(bound.contains("bound support/screen to old, canary new at 50 %"), "{bound}");
    for _ in 0..40 {
        client.submit(&json!({"workflow": "support", "media_type": "chat", "body": "Hello"})).await?;
    }
    client.until_decided(200).await?;
    let view = client.get(&format!("{BINDING}/canary")).await?;
    let count = |of: &str| view["figures"][of]["calls"].as_u64().unwrap_or_default();
    assert_eq!(count("canary") + count("rest"), 40, "{view}");
    assert!(count("canary") >= 5 && view["ends_at"].is_u64(), "{view}");
    let shown = run(&["canary", "support/screen"])?;
    assert!(shown.contains("canary new at 50 %, step 1 of 2") && shown.contains("the others"), "{shown}");
    let (status, problem) = client.send(client.request(Method::DELETE, "/deployments/new")).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("document-in-use")));

    let faults = [
        ("deployment", json!("nothing"), "canary.deployment"),
        ("steps", json!([]), "canary.steps"),
        ("guards", json!({"error_share_max": 1.5}), "canary.guards.error_share_max"),
        ("guards", json!({}), "canary.guards"),
    ];
    for (field, value, at) in faults {
        let mut binding = with_canary(&json!([{"percent": 5, "for_s": 60}]), &json!({"error_share_max": 0.1}));
        binding["canary"][field] = value;
        let (status, problem) = client.send(client.request(Method::PUT, BINDING).json(&binding)).await?;
        assert!(status.is_client_error() && problem["field"] == at, "{status}: {problem}");
    }

    let back = run(&["rollback", "support/screen", "--message", "not today"])?;
    assert!(back.contains("support/screen is back at old"), "{back}");
    let history = run(&["history", "support/screen"])?;
    let rows: Vec<_> = history.lines().skip(1).collect();
    assert!(rows[0].contains("not today") && !rows[0].contains("canary"), "{history}");
    assert!(rows[1].contains("canary new"), "{history}");
    let (status, problem) = client.send(client.request(Method::GET, &format!("{BINDING}/canary"))).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("canary-unknown")));

    let told = run(&["bind", "support/screen", "old", "--canary", "new", "--steps", "5%:0s", "--p99-max", "2ms"])?;
    assert!(told.contains("a step takes 1s to 30d"), "{told}");
    let told = run(&["bind", "support/screen", "old", "--warm-calls", "10"])?;
    assert!(told.contains("--warm-calls changes nothing for old"), "{told}");
    let (status, back) = client.send(client.request(Method::POST, &format!("{BINDING}/rollback"))).await?;
    assert_eq!((status, &back["message"]), (StatusCode::OK, &json!("rolled back")), "no body is asked for: {back}");

    assert!(run(&["delete", "old"])?.contains("[document-in-use]"), "it serves");
    assert!(run(&["delete", "new"])?.contains("deleted new"));
    assert!(run(&["unbind", "support/screen"])?.contains("nothing serves support/screen"));
    assert!(run(&["delete", "old"])?.contains("deleted old"));
    assert_eq!(client.get("/deployments").await?["items"], json!([]));
    Ok(())
}
