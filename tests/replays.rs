//! Recorded decisions made again: by their own version bit for bit, by another as a report that a binding's gate goes by;
//! and back to what stood before in one request.

use std::process::Command;

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use signalbox_tests::{Client, Server, signalbox, strategy_file};

const MESSAGES: usize = 60;

async fn replay(client: &Client, against: &str, more: Value) -> Result<Value> {
    let mut new = json!({"deployment": "screening-1", "against": against});
    for (field, value) in more.as_object().into_iter().flatten() {
        new[field] = value.clone();
    }
    let started = client.post("/replays", &new).await?;
    let name = started["name"].as_str().context("a replay has a name")?.to_owned();
    loop {
        let replay = client.get(&format!("/replays/{name}")).await?;
        if replay["state"] == "done" {
            return Ok(replay["report"].clone());
        }
        anyhow::ensure!(replay["state"] == "running", "{replay}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn rules(words: &[&str]) -> Value {
    json!({"rules": [{"name": "fraud", "outcome": "urgent", "priority": 800, "when": {"words": words}}]})
}

async fn bind(client: &Client, body: &Value) -> Result<(StatusCode, Value)> {
    let path = "/workflows/support/elements/screen/binding";
    client.send(client.request(Method::PUT, path).json(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_change_is_known_before_it_goes_live() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    client.put("/workflows/support", &into_queues()).await?;
    let screening = strategy_file("screening")?;
    client.deploy("screening-1", &screening, &rules(&["fraud"]), &[]).await?;
    client.deploy("screening-2", &screening, &rules(&["fraud", "stolen"]), &[]).await?;
    client.deploy("screening-3", &screening, &rules(&["fraud", "hello"]), &[]).await?;
    client.bind("support", "screen", "screening-1").await?;
    for n in 0..MESSAGES {
        // A third each: found by both, by the second alone, by neither.
        let body = ["Hello, this is fraud", "Hello, my card was stolen", "Hello, a question"][n % 3];
        let medium = if n % 2 == 0 { "chat" } else { "email" };
        client.submit(&json!({"workflow": "support", "media_type": medium, "body": body})).await?;
    }
    client.until_decided(200).await?;

    let same = replay(&client, "screening-1", json!({})).await?;
    let count = |report: &Value, field: &str| report[field].as_u64().unwrap_or_default() as usize;
    assert_eq!((count(&same, "replayed"), count(&same, "identical")), (MESSAGES, MESSAGES), "{same}");

    let other = replay(&client, "screening-2", json!({"name": "wider"})).await?;
    assert_eq!((count(&other, "replayed"), count(&other, "outcome_changed")), (MESSAGES, MESSAGES / 3), "{other}");
    assert_eq!(other["changes"][0]["to"], "urgent");
    assert_eq!(other["examples"][0]["again"]["outcome"], "urgent");
    let chats = json!({"condition": "interaction.media_type == 'chat'"});
    assert_eq!(count(&replay(&client, "screening-2", chats).await?, "replayed"), MESSAGES / 2);
    let no_condition =
        json!({"deployment": "screening-1", "against": "screening-2", "condition": "interaction.media_type"});
    let (status, problem) = client.send(client.request(Method::POST, "/replays").json(&no_condition)).await?;
    assert_eq!((status, &problem["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("condition")), "{problem}");

    // From now on a newcomer must have been replayed, and may change at most half.
    let gate = json!({"replayed_min": MESSAGES, "changed_percent_max": 50});
    let shares = |deployment: &str| json!([{"deployment": deployment, "weight": 1}]);
    let gated = json!({"shares": shares("screening-1"), "gate": gate, "message": "gated"});
    assert_eq!(bind(&client, &gated).await?.0, StatusCode::OK);
    let wanted =
        |deployment: &str| json!({"shares": shares(deployment), "gate": gate, "message": format!("to {deployment}")});
    let (status, problem) = bind(&client, &wanted("screening-3")).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("gate-shut")), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("replayed on it")), "{problem}");
    replay(&client, "screening-3", json!({"name": "far-wider"})).await?;
    let (_, problem) = bind(&client, &wanted("screening-3")).await?;
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("far-wider")), "{problem}");
    assert_eq!(bind(&client, &wanted("screening-2")).await?.0, StatusCode::OK);

    // And back, with who, when and why.
    let path = "/workflows/support/elements/screen/binding/rollback";
    let back = client.post(path, &json!({"message": "too wide"})).await?;
    assert_eq!((&back["shares"][0]["deployment"], &back["message"]), (&json!("screening-1"), &json!("too wide")));
    assert_eq!(back["earlier"].as_array().map(Vec::len), Some(3), "what was rolled back is told of too");
    // The first binding, before the gate, served as this one does.
    let (status, problem) = client.send(client.request(Method::POST, path).json(&json!({}))).await?;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("binding-has-no-past")));

    // Reports are kept.
    let store = directory.path().join("store");
    server.kill()?;
    let server = Server::start(&store)?;
    let kept = server.client().get("/replays/wider").await?;
    assert_eq!(count(&kept["report"], "outcome_changed"), MESSAGES / 3);

    let run = |arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(signalbox()?);
        command.args(["replay", "--server", server.url(), "--token", server.token()]).args(arguments);
        let output = command.output()?;
        Ok(format!("{}{}", String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
    };
    let told = run(&["--strategy", "screening-1", "--against", "screening-2", "--max-changed", "10"])?;
    assert!(told.contains("leave by another outcome") && told.contains("decisions change, more than 10 %"), "{told}");
    let told = run(&["list"])?;
    assert!(told.lines().any(|line| line.starts_with("far-wider") && line.contains("screening-3")), "{told}");
    assert!(run(&["show", "wider"])?.contains("wider: decisions of screening-1 by screening-2"));
    assert!(run(&["delete", "wider"])?.contains("wider ends, or is deleted"));
    assert!(run(&["show", "wider"])?.contains("[replay-unknown]"));
    for incomplete in [&[][..], &["--strategy", "screening-1"][..]] {
        assert!(run(incomplete)?.contains("--against"), "says what is missing");
    }

    let mut diff = Command::new(signalbox()?);
    diff.args(["strategy", "--server", server.url(), "--token", server.token()]);
    let told = String::from_utf8(diff.args(["diff", "screening-1", "screening-2"]).output()?.stdout)?;
    assert_eq!(told, "settings.rules.0.when.words\n  - [\"fraud\"]\n  + [\"fraud\",\"stolen\"]\n");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_is_compared_without_effect() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    client.put("/workflows/support", &into_queues()).await?;
    let screening = strategy_file("screening")?;
    client.deploy("screening-1", &screening, &rules(&["fraud"]), &[]).await?;
    client.deploy("screening-2", &screening, &rules(&["fraud", "stolen"]), &[]).await?;
    let binding = json!({"shares": [{"deployment": "screening-1", "weight": 1}], "shadows": ["screening-2"]});
    bind(&client, &binding).await?;
    let path = "/workflows/support/elements/screen/binding/shadows";
    let mut submitted = 0;
    let shadow = loop {
        client.submit(&json!({"workflow": "support", "media_type": "chat", "body": "my card was stolen"})).await?;
        submitted += 1;
        let shadow = client.get(path).await?["items"][0].clone();
        if shadow["compared"].as_u64() >= Some(20) {
            break shadow;
        }
    };
    assert_eq!(shadow["outcome_changed"], shadow["compared"], "{shadow}");
    assert_eq!(shadow["changes"][0]["to"], "urgent");
    client.until_decided(200).await?;
    let queued = client.get("/queues/desk").await?["length"].as_u64();
    assert_eq!(queued, Some(submitted), "nothing of it comes about");
    Ok(())
}

fn into_queues() -> Value {
    json!({"name": "support",
        "elements": [{"id": "start", "kind": "start"}, {"id": "screen", "kind": "strategy"},
                     {"id": "urgent", "kind": "queue", "queue": "urgent"}, {"id": "desk", "kind": "queue", "queue": "desk"},
                     {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "screen"},
                       {"from": "screen", "outcome": "urgent", "to": "urgent"},
                       {"from": "screen", "outcome": "error", "to": "urgent"},
                       {"from": "screen", "outcome": "default", "to": "desk"},
                       {"from": "urgent", "outcome": "completed", "to": "done"},
                       {"from": "desk", "outcome": "completed", "to": "done"}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_fails_is_taken_out_and_comes_back() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    client.put("/workflows/support", &into_queues()).await?;
    client.deploy("bad", &strategy_file("hostile")?, &json!({}), &[]).await?;
    client.bind("support", "screen", "bad").await?;
    let submit = async |body: &str| {
        client.submit(&json!({"workflow": "support", "media_type": "chat", "body": body})).await?;
        client.until_decided(200).await
    };
    let used = async || client.get("/deployments/bad/use").await;
    submit("ok").await?;
    for _ in 0..25 {
        submit("trap").await?;
    }
    let out = used().await?;
    assert_eq!((&out["is_out"], &out["outcomes"]["ok"]), (&json!(true), &json!(1)), "{out}");
    assert_eq!(client.get("/deployments/bad").await?["is_out"], true);
    let trapped = out["failures"]["trap"].as_u64();
    assert_eq!(trapped, Some(20), "those that came later were not called: {out}");
    // What it takes is within its limits, and how far is said.
    assert_eq!((&out["deadline_ms"], &out["memory_bytes_limit"]), (&json!(50), &json!(64 << 20)), "{out}");
    let left = out["memory_bytes_max"].as_u64().map(|most| ((64 << 20) - most) * 100 / (64 << 20));
    assert_eq!(out["memory_headroom_percent"].as_u64(), left, "{out}");
    assert!(out["time_headroom_percent"].as_u64() <= Some(100), "{out}");
    assert!(out["host_calls"]["p99_us"].as_u64() <= out["guest"]["p99_us"].as_u64(), "{out}");
    // Once it is tried again it decides, and is back.
    while used().await?["is_out"] == true {
        submit("ok").await?;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    submit("ok").await?;
    let back = used().await?;
    assert_eq!(back["failures"]["trap"].as_u64(), trapped, "{back}");
    assert!(back["outcomes"]["ok"].as_u64() >= Some(3), "{back}");
    Ok(())
}
