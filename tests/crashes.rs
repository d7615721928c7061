//! The server is killed at random moments while clients submit: nothing acknowledged is lost, nothing is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use signalbox_tests::{Client, Server, seed, set_up, small_model};

const CLIENTS: usize = 64;
const ROUNDS: usize = 10;

/// Submits until told to stop. Gives what was acknowledged: its identifier and its own number. A submit without an answer
/// is tried again after the restart under the same idempotency key, as a client does.
async fn submit_until(
    client: Client,
    who: usize,
    first: usize,
    stop: Arc<AtomicBool>,
) -> (Vec<(String, String)>, Option<usize>) {
    let mut acknowledged = Vec::new();
    for n in first.. {
        if stop.load(Ordering::Relaxed) {
            return (acknowledged, Some(n));
        }
        let label = format!("{who}-{n}");
        let body = json!({"workflow": "support", "media_type": "chat", "body": format!("I cannot log in, case {label}"),
                          "user_data": {"case": label}});
        let request =
            client.request(reqwest::Method::POST, "/interactions").header("idempotency-key", &label).json(&body);
        match client.send(request).await {
            Ok((status, answer)) if status.is_success() => {
                acknowledged.push((answer["id"].as_str().unwrap_or_default().to_owned(), label));
            }
            // Busy: the same one again.
            Ok(_) => return (acknowledged, Some(n)),
            Err(_) => return (acknowledged, Some(n)),
        }
    }
    (acknowledged, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_every_acknowledged_interaction_is_there_once_and_every_call_is_finished_once() -> Result<()> {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir()?;
    let store = directory.path().join("store");
    let model = small_model(directory.path())?;
    let mut server = Server::start(&store)?;
    set_up(&server.client(), &model).await?;

    let mut acknowledged: BTreeMap<String, String> = BTreeMap::new();
    let mut next = vec![0; CLIENTS];
    for _ in 0..ROUNDS {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|who| tokio::spawn(submit_until(server.client(), who, next[who], Arc::clone(&stop))))
            .collect();
        // A random moment is what is wanted here.
        tokio::time::sleep(Duration::from_millis(random.random_range(20..600))).await;
        server.kill()?;
        stop.store(true, Ordering::Relaxed);
        for (who, client) in clients.into_iter().enumerate() {
            let (more, continues) = client.await?;
            acknowledged.extend(more);
            next[who] = continues.context("it stops at some number")?;
        }
        server = Server::start(&store)?;
    }
    let client = server.client();
    client.until_decided(1200).await?;

    let all = client.interactions("").await?;
    let ids: BTreeSet<&str> = all.iter().filter_map(|interaction| interaction["id"].as_str()).collect();
    assert_eq!(ids.len(), all.len(), "no interaction is listed twice");
    for (id, label) in &acknowledged {
        assert!(ids.contains(id.as_str()), "{label} was acknowledged as {id} and is gone");
    }
    let mut cases = BTreeSet::new();
    for interaction in &all {
        let id = interaction["id"].as_str().context("an identifier")?;
        let data = client.get(&format!("/interactions/{id}/user-data")).await?;
        let case = case_of(&data).with_context(|| format!("{id} has {data}"))?;
        assert!(cases.insert(case.clone()), "{case} is there twice");
        let decisions = client.get(&format!("/interactions/{id}/decisions")).await?;
        let decided: Vec<&Value> =
            decisions["items"].as_array().context("decisions")?.iter().map(|d| &d["element"]).collect();
        assert_eq!(decided, ["screen", "analyse", "reply"], "each call of {id} is finished once");
    }
    println!("{} acknowledged, {} stored, {ROUNDS} rounds", acknowledged.len(), all.len());
    assert!(acknowledged.len() > ROUNDS * CLIENTS, "the rounds did something");
    Ok(())
}

fn case_of(data: &Value) -> Option<String> {
    let data = data.get("user_data").unwrap_or(data);
    Some(data["case"].as_str()?.to_owned())
}

/// The request of a connection: its head, and the connection to answer by.
fn request_of(listener: &TcpListener) -> Result<(String, TcpStream)> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = stream.read(&mut chunk)?;
        anyhow::ensure!(read > 0, "it hung up");
        request.extend_from_slice(&chunk[..read]);
    }
    Ok((String::from_utf8_lossy(&request).to_lowercase(), stream))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_a_crash_cut_off_is_made_again_under_the_same_key() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let store = directory.path().join("store");
    let application = TcpListener::bind("127.0.0.1:0")?;
    let mut server = Server::start(&store)?;
    let client = server.client();
    let url = format!("http://{}/look-up", application.local_addr()?);
    let endpoint = json!({"url": url, "secret": "0123456789abcdef", "timeout_ms": 60_000});
    client.put("/endpoints/crm", &endpoint).await?;
    let workflow = json!({"name": "asks",
        "elements": [{"id": "start", "kind": "start"},
                     {"id": "ask", "kind": "call", "endpoint": "crm", "response": {"tier": "/tier"}},
                     {"id": "done", "kind": "end"}, {"id": "no", "kind": "end", "disposition": "no"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "ask"},
                       {"from": "ask", "outcome": "ok", "to": "done"},
                       {"from": "ask", "outcome": "refused", "to": "no"}]});
    client.put("/workflows/asks", &workflow).await?;
    let id = client.submit(&json!({"workflow": "asks", "media_type": "chat", "body": "Hi"})).await?;
    let key = |head: &str| head.lines().find(|line| line.starts_with("idempotency-key:")).map(str::to_owned);

    let (first, held) = request_of(&application)?;
    server.kill()?;
    drop(held);
    server = Server::start(&store)?;
    let (second, mut stream) = request_of(&application)?;
    assert!(key(&first).is_some_and(|key| key.contains(&id)), "{first}");
    assert_eq!(key(&first), key(&second));
    let body = r#"{"tier": "gold"}"#;
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())?;
    stream.flush()?;
    let client = server.client();
    for _ in 0..500 {
        let found = client.get(&format!("/interactions/{id}")).await?;
        if found["state"] == "completed" {
            assert_eq!(found["facts"]["user_data"]["tier"], "gold");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("{id} never ended")
}
