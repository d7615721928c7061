//! Bindings change under traffic: swapped, split, shadowed, rolled back. Nothing fails, nothing is lost, and each decision
//! names the deployment that made it, which is one that the binding allowed at that moment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use signalbox_tests::{Client, Server, put_one_strategy, strategy_file};

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

/// A binding: when it was asked for, when the answer said that it stands, and whom it lets decide.
struct Stood {
    asked_ms: u64,
    answered_ms: u64,
    deployments: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn splits_shadows_and_rollbacks_under_64_clients_agree_with_every_decision() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    for name in ["red", "blue", "green"] {
        let rule = json!({"rules": [{"name": name, "outcome": "marked", "when": {"words": ["order"]}, "attach": {"colour": name}}]});
        client.deploy(name, &strategy_file("screening")?, &rule, &[]).await?;
    }
    put_one_strategy(&client, "points", "red").await?;
    let path = "/workflows/points/elements/ask/binding";
    let mut history = vec![stood(0, &client.get(path).await?)?];

    let stop = Arc::new(AtomicBool::new(false));
    let submitted = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (client, stop, submitted) = (client.clone(), Arc::clone(&stop), Arc::clone(&submitted));
            tokio::spawn(async move {
                let body = json!({"workflow": "points", "media_type": "chat", "body": "where is my order?"});
                let mut ids = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    ids.push(client.submit(&body).await?);
                    submitted.fetch_add(1, Ordering::Relaxed);
                }
                anyhow::Ok(ids)
            })
        })
        .collect();
    let share = |deployment: &str, weight: u64| json!({"deployment": deployment, "weight": weight});
    for round in 0..2 {
        let changes = [
            Some(json!({"shares": [share("red", 70), share("blue", 30)]})),
            Some(json!({"shares": [share("blue", 1)], "shadows": ["green", "red"]})),
            None,
            Some(json!({"shares": [share("red", 1), share("blue", 1), share("green", 2)], "shadows": []})),
            Some(json!({"shares": [share("green", 1)]})),
            None,
            None,
        ];
        for change in changes {
            let asked_ms = now_ms()?;
            let binding = match change {
                Some(binding) => client.put(path, &binding).await?,
                None => client.post(&format!("{path}/rollback"), &json!({"message": format!("round {round}")})).await?,
            };
            history.push(stood(asked_ms, &binding)?);
            // Each serves some interactions before the next takes its place.
            let before = submitted.load(Ordering::Relaxed);
            while submitted.load(Ordering::Relaxed) < before + 2 * CLIENTS {
                anyhow::ensure!(!clients.iter().any(tokio::task::JoinHandle::is_finished), "a client has ended");
                tokio::task::yield_now().await;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut ids = Vec::new();
    for client in clients {
        ids.extend(client.await?.context("no submit failed")?);
    }
    client.until_decided(2400).await?;

    let queued = client.interactions("queue=points").await?;
    let queued: BTreeSet<_> = queued.iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(queued, ids.iter().map(String::as_str).collect(), "all that were taken wait in the queue");
    for (n, id) in ids.iter().enumerate() {
        let decisions = client.get(&format!("/interactions/{id}/decisions")).await?;
        let decisions = decisions["items"].as_array().context("decisions")?;
        assert_eq!(decisions.len(), 1, "{id}: shadows leave no decision");
        let (deployment, decided_ms) = (decisions[0]["deployment"].as_str().context("who")?, moment(&decisions[0])?);
        // What the decision did is that of the one it names; some of them, for each is a request.
        if n % 10 == 0 {
            let data = client.get(&format!("/interactions/{id}/user-data")).await?;
            assert_eq!(data.get("user_data").unwrap_or(&data)["colour"], deployment, "{id}");
        }
        // It took the place of the one before at some moment between the request and its answer. The server's clock is this
        // one, in whole milliseconds, read once for a batch.
        let allowed = history.iter().enumerate().any(|(n, stood)| {
            let until = history.get(n + 1).map_or(u64::MAX, |next| next.answered_ms);
            stood.deployments.iter().any(|name| name == deployment) && (stood.asked_ms..=until).contains(&decided_ms)
        });
        assert!(allowed, "{id} was decided by {deployment} at {decided_ms}, when it was not bound");
    }
    println!("{} interactions, {} bindings", ids.len(), history.len());
    Ok(())
}

fn stood(asked_ms: u64, binding: &Value) -> Result<Stood> {
    let answered_ms = now_ms()?;
    let put_ms = binding["put_at"].as_u64().context("since when")?;
    anyhow::ensure!((asked_ms..=answered_ms).contains(&put_ms), "it says when it was put: {binding}");
    let shares = binding["shares"].as_array().context("shares")?;
    let deployment = |share: &Value| share["deployment"].as_str().map(str::to_owned).context("a share");
    Ok(Stood { asked_ms, answered_ms, deployments: shares.iter().map(deployment).collect::<Result<_>>()? })
}

fn now_ms() -> Result<u64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_millis())?)
}

fn moment(decision: &Value) -> Result<u64> {
    decision["now_ms"].as_u64().context("when it was asked")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_gives_each_its_share_and_an_interaction_stays_with_its_own() -> Result<()> {
    const CALLS: usize = 4000;
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let strategy = client.upload("/strategies", "application/wasm", &strategy_file("hostile")?).await?;
    for name in ["most", "some"] {
        client.post("/deployments", &json!({"name": name, "strategy": strategy})).await?;
    }
    put_one_strategy(&client, "split", "most").await?;
    let shares = json!([{"deployment": "most", "weight": 80}, {"deployment": "some", "weight": 20}]);
    client
        .put("/workflows/split/elements/ask/binding", &json!({"shares": shares, "on_failure": {"retries": 2}}))
        .await?;
    // A few fail each time that they are asked: the second and third call must go the way of the first.
    let submits = (0..CLIENTS).map(|n| {
        let client: Client = client.clone();
        tokio::spawn(async move {
            let mut ids = Vec::new();
            for m in (n..CALLS).step_by(CLIENTS) {
                let body = if m % 400 == 0 { "trap" } else { "count" };
                ids.push(client.submit(&json!({"workflow": "split", "media_type": "chat", "body": body})).await?);
            }
            anyhow::Ok(ids)
        })
    });
    let mut ids = Vec::new();
    for submits in submits.collect::<Vec<_>>() {
        ids.extend(submits.await??);
    }
    client.until_decided(2400).await?;
    let (mut some, mut retried) = (0_usize, 0_usize);
    for id in &ids {
        let decisions = client.get(&format!("/interactions/{id}/decisions")).await?;
        let decisions = decisions["items"].as_array().context("decisions")?;
        let who = decisions[0]["deployment"].clone();
        assert!(decisions.iter().all(|decision| decision["deployment"] == who), "{id} stays with {who}");
        retried += usize::from(decisions.len() > 1);
        some += usize::from(who == "some");
    }
    // Five standard deviations of a binomial distribution: once in two million runs by chance.
    let (expected, bound) = (CALLS as f64 * 0.2, 5.0 * (CALLS as f64 * 0.2 * 0.8).sqrt());
    assert!((some as f64 - expected).abs() < bound, "{some} of {CALLS}, and {expected} ± {bound:.0} were expected");
    assert_eq!(retried, CALLS / 400, "those that failed were asked again");
    println!("{some} of {CALLS} went to the one with a fifth of the weight");
    Ok(())
}

/// Files of compiled strategies.
fn images(store: &Path) -> Result<usize> {
    let files = std::fs::read_dir(store.join("images"))?.collect::<Result<Vec<_>, _>>()?;
    Ok(files.iter().filter(|file| file.path().extension().is_some_and(|extension| extension == "cwasm")).count())
}

#[tokio::test]
async fn a_deleted_deployment_leaves_no_file_behind_and_harms_no_other_of_the_same_code() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let store = directory.path().join("store");
    let server = Server::start(&store)?;
    let client = server.client();
    let rule = |word: &str| json!({"rules": [{"name": word, "outcome": "marked", "when": {"words": [word]}}]});
    // Two of the same code and settings, and one of other settings.
    for (name, word) in [("one", "order"), ("same", "order"), ("other", "card")] {
        client.deploy(name, &strategy_file("screening")?, &rule(word), &[]).await?;
    }
    put_one_strategy(&client, "w", "one").await?;
    put_one_strategy(&client, "same", "same").await?;
    put_one_strategy(&client, "other", "other").await?;
    let ask = async |workflow: &str| {
        let id = client.submit(&json!({"workflow": workflow, "media_type": "chat", "body": "my order?"})).await?;
        client.until_decided(1200).await?;
        anyhow::Ok(client.get(&format!("/interactions/{id}/decisions")).await?["items"][0]["outcome"].clone())
    };
    let delete = async |path: &str| client.send(client.request(Method::DELETE, path)).await.map(|(status, _)| status);
    assert_eq!((ask("w").await?, ask("same").await?), (json!("marked"), json!("marked")));
    ask("other").await?;
    assert_eq!(images(&store)?, 2);

    client.bind("w", "ask", "same").await?;
    assert_eq!(delete("/deployments/one").await?, StatusCode::NO_CONTENT);
    client.bind("other", "ask", "same").await?;
    assert_eq!(delete("/deployments/other").await?, StatusCode::NO_CONTENT);
    until_images(&store, 1).await?;
    // Calls that follow each other leave a sandbox that waits for the next.
    while waiting(&client).await? == 0 {
        ask("same").await?;
    }
    assert_eq!((ask("w").await?, ask("other").await?), (json!("marked"), json!("marked")));
    for workflow in ["w", "same", "other"] {
        assert_eq!(delete(&format!("/workflows/{workflow}/elements/ask/binding")).await?, StatusCode::NO_CONTENT);
    }
    assert_eq!(delete("/deployments/same").await?, StatusCode::NO_CONTENT);
    until_images(&store, 0).await?;
    for _ in 0..500 {
        if waiting(&client).await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("a sandbox waits for calls of a deployment that is gone")
}

/// Sandboxes that wait for their next call.
async fn waiting(client: &Client) -> Result<u64> {
    Ok(client.metric("signalbox_sandboxes_waiting").await?.iter().sum())
}

async fn until_images(store: &Path, wanted: usize) -> Result<()> {
    for _ in 0..500 {
        if images(store)? == wanted {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("there are {} images, and should be {wanted}", images(store)?)
}
