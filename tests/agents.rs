//! Many agents and clients, random accepts, declines, silences and losses of connection, a server that is killed: each
//! interaction is one agent's at a time and is completed once, and nobody has more than fits. Agents that are simulated
//! leave nothing undone.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use signalbox_tests::{AgentSession, Client, Server, offers_in, signalbox};
use tokio::sync::watch;

const CAPACITY: [(&str, i64); 2] = [("chat", 2), ("email", 1)];
const KILLS: usize = 2;
/// One customer in so many goes away at once.
const CLOSES_ONE_OF: usize = 20;

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Where the server is; none while it is down, and after the end.
type Address = watch::Receiver<Option<String>>;

async fn set_up(client: &Client, agents: usize) -> Result<Vec<String>> {
    let mut tokens = Vec::new();
    for n in 0..agents {
        let name = format!("agent-{n}");
        client.put(&format!("/agents/{name}"), &json!({"capacity": "2 chat + 1 email"})).await?;
        let token = client.post("/tokens", &json!({"name": name, "roles": ["agent"]})).await?;
        tokens.push(token["secret"].as_str().context("a token has a secret")?.to_owned());
    }
    let names: Vec<String> = (0..agents).map(|n| format!("agent-{n}")).collect();
    client.put("/agent-groups/team", &json!({"agents": names})).await?;
    let rules = json!({"connection_grace_ms": 200, "assignment_keep_ms": 500, "reoffer_delay_ms": 100});
    client.put("/agent-rules", &rules).await?;
    let queue = json!({"target": {"agent-group": "team"}, "offer_timeout_ms": 1000, "choice": "least-loaded"});
    client.put("/queues/desk", &queue).await?;
    let workflow = json!({"name": "desk",
        "elements": [{"id": "start", "kind": "start"}, {"id": "desk", "kind": "queue", "queue": "desk"},
                     {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "desk"},
                       {"from": "desk", "outcome": "completed", "to": "done"}]});
    client.put("/workflows/desk", &workflow).await?;
    Ok(tokens)
}

/// Works until there is no server any more.
async fn work(agent: String, token: String, mut address: Address, completed: Arc<AtomicUsize>, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    loop {
        let Ok(url) = address.wait_for(Option::is_some).await.map(|url| url.clone()) else { return };
        let Some(url) = url else { continue };
        // Ends with the connection, which is what is tested here.
        let _ = sit(&agent, &token, &url, &completed, &mut random).await;
        if address.has_changed().is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One session: until it is lost, or the agent hangs up.
async fn sit(agent: &str, token: &str, url: &str, completed: &AtomicUsize, random: &mut StdRng) -> Result<()> {
    let (mut session, state) = AgentSession::open(url, token, agent).await?;
    let mut offers: Vec<String> = Vec::new();
    let mut work: Vec<String> = Vec::new();
    let known = |key: &str| state[key].as_array().cloned().unwrap_or_default();
    offers.extend(known("offers").iter().filter_map(|offer| offer["id"].as_str().map(str::to_owned)));
    work.extend(known("work").iter().filter_map(|item| item["interaction"].as_str().map(str::to_owned)));
    let keep = |frame: Value, offers: &mut Vec<String>| offers.extend(offers_in(&frame, agent));
    if state["state"] == "logged-out" {
        session.must("login", json!({}), |frame| keep(frame, &mut offers)).await?;
    }
    session.must("ready", json!({}), |frame| keep(frame, &mut offers)).await?;
    loop {
        for offer in std::mem::take(&mut offers) {
            let interaction = offer.split(':').next().unwrap_or_default().to_owned();
            match random.random_range(0..100) {
                0..80 => {
                    let accepted = session.must("accept", json!({"offer": offer}), |f| keep(f, &mut offers)).await;
                    if accepted.is_ok() {
                        work.push(interaction);
                    }
                }
                80..92 => {
                    let declined = json!({"offer": offer, "reason": "not mine"});
                    // It may have ended meanwhile.
                    let _ = session.must("decline", declined, |f| keep(f, &mut offers)).await;
                }
                92..96 => {}
                _ => return Ok(()),
            }
        }
        for interaction in std::mem::take(&mut work) {
            let done = json!({"interaction": interaction, "disposition": "solved"});
            if session.must("complete", done, |f| keep(f, &mut offers)).await.is_ok() {
                completed.fetch_add(1, Ordering::Relaxed);
            }
        }
        if offers.is_empty() {
            let frame = session.next().await?;
            let not_ready = |event: &Value| event["type"] == "agent.not-ready" && event["agent"] == agent;
            if frame["events"].as_array().is_some_and(|events| events.iter().any(not_ready)) {
                session.must("ready", json!({}), |frame| keep(frame, &mut offers)).await?;
            }
            keep(frame, &mut offers);
        }
    }
}

/// Submits one after the other until told to stop; gives what was acknowledged.
async fn submit(client: Client, who: usize, count: usize, mut address: Address) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        let label = format!("{who}-{n}");
        let medium = if n % 3 == 0 { "email" } else { "chat" };
        let body = json!({"workflow": "desk", "media_type": medium, "body": format!("Hello, this is {label}")});
        loop {
            let Ok(url) = address.wait_for(Option::is_some).await.map(|url| url.clone()) else { return ids };
            let Some(url) = url else { continue };
            let request = client.at(&url).request(reqwest::Method::POST, "/interactions");
            let request = request.header("idempotency-key", &label).json(&body);
            match client.send(request).await {
                Ok((status, answer)) if status.is_success() => {
                    let id = answer["id"].as_str().unwrap_or_default().to_owned();
                    if n % CLOSES_ONE_OF == 0 {
                        // While it waits, is offered, or is worked on.
                        let patience = Duration::from_millis(n as u64 * 7 % 500);
                        tokio::time::sleep(patience).await;
                        // Too late where an agent was quicker, or the server has just gone away.
                        let _ = client.at(&url).post(&format!("/interactions/{id}/close"), &json!({})).await;
                    }
                    ids.push(id);
                    break;
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn each_interaction_is_one_agents_at_a_time_and_is_completed_once() -> Result<()> {
    let seed = number("SIGNALBOX_SEED", rand::random::<u32>() as usize) as u64;
    let (agents, clients) = (number("SIGNALBOX_AGENTS", 40), number("SIGNALBOX_CLIENTS", 16));
    let each = number("SIGNALBOX_INTERACTIONS", 3000) / clients;
    println!("SIGNALBOX_SEED={seed} SIGNALBOX_AGENTS={agents} SIGNALBOX_CLIENTS={clients}");
    let directory = tempfile::tempdir()?;
    let store = directory.path().join("store");
    let mut server = Server::start(&store)?;
    let tokens = set_up(&server.client(), agents).await?;
    let (address, listens) = watch::channel(Some(server.url().to_owned()));
    let completed = Arc::new(AtomicUsize::new(0));
    let mut at_desks = Vec::new();
    for (n, token) in tokens.into_iter().enumerate() {
        let (completed, listens) = (Arc::clone(&completed), listens.clone());
        at_desks.push(tokio::spawn(work(format!("agent-{n}"), token, listens, completed, seed + n as u64)));
    }
    let submits: Vec<_> =
        (0..clients).map(|who| tokio::spawn(submit(server.client(), who, each, listens.clone()))).collect();
    let total = each * clients;
    for kill in 1..=KILLS {
        while completed.load(Ordering::Relaxed) < total * kill / (KILLS + 1) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        address.send_replace(None);
        server.kill()?;
        server = Server::start(&store)?;
        address.send_replace(Some(server.url().to_owned()));
    }
    let mut ids = BTreeSet::new();
    for task in submits {
        ids.extend(task.await?);
    }
    assert_eq!(ids.len(), total, "every submit was acknowledged, each with an identifier of its own");
    let client = server.client();
    loop {
        let open = client.get("/interactions?limit=1&state=queued").await?;
        let others = ["offered", "assigned"];
        let mut left = open["items"].as_array().map_or(0, Vec::len);
        for state in others {
            let page = client.get(&format!("/interactions?limit=1&state={state}")).await?;
            left += page["items"].as_array().map_or(0, Vec::len) + usize::from(!page["next"].is_null());
        }
        if left == 0 && open["next"].is_null() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(address);
    for task in at_desks {
        task.abort();
    }
    check(&client, &ids).await
}

/// What all who could take it have declined waits until one of them is ready again: simulated ones see to that.
#[tokio::test(flavor = "multi_thread")]
async fn simulated_agents_leave_nothing_that_they_declined() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(directory.path())?;
    let client = server.client();
    set_up(&client, 1).await?;
    for _ in 0..10 {
        client.post("/interactions", &json!({"workflow": "desk", "media_type": "chat", "body": "?"})).await?;
    }
    let simulate = |reason: &str| -> Result<Output> {
        let mut command = Command::new(signalbox()?);
        command.args(["agent", "simulate", "agent-0", "--accept", "40", "--decline", "60", "--seed", "1"]);
        command.args(["--answer-ms", "1", "--work-ms", "1", "--until-empty", "--json", "--break-reason", reason]);
        Ok(command.args(["--server", server.url(), "--token", server.token()]).output()?)
    };
    // A code that the account does not have is told, rather than waited with.
    client.put("/agent-rules", &json!({"reasons": ["tea"]})).await?;
    let refused = simulate("break")?;
    ensure!(refused.status.code() == Some(3), "{refused:?}");
    let done = simulate("tea")?;
    ensure!(done.status.success(), "{done:?}");
    let completed = client.interactions("state=completed").await?;
    ensure!(completed.len() == 10, "{} of 10", completed.len());
    let tally: Value = serde_json::from_slice(&done.stdout)?;
    ensure!(tally["agent-0"]["declined"].as_u64() > Some(0), "nothing was declined: {tally}");
    Ok(())
}

/// Reads every timeline and goes through all that happened, in the order in which it happened.
async fn check(client: &Client, ids: &BTreeSet<String>) -> Result<()> {
    let mut all: BTreeMap<(u64, String, usize), (String, Value)> = BTreeMap::new();
    for id in ids {
        let mut cursor = String::new();
        loop {
            let page = client.get(&format!("/interactions/{id}/timeline?limit=200{cursor}")).await?;
            for (n, entry) in page["items"].as_array().context("a page has items")?.iter().enumerate() {
                let sequence = entry["sequence"].as_u64().context("an entry has a sequence")?;
                all.insert((sequence, id.clone(), n), (id.clone(), entry.clone()));
            }
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
    }
    let mut media: BTreeMap<String, String> = BTreeMap::new();
    let mut holder: BTreeMap<String, String> = BTreeMap::new();
    let mut completed: BTreeSet<String> = BTreeSet::new();
    let mut load: BTreeMap<(String, String), i64> = BTreeMap::new();
    let mut offers: BTreeMap<String, String> = BTreeMap::new();
    let (mut made, mut ends) = (0, BTreeMap::<String, usize>::new());
    for ((sequence, ..), (id, entry)) in &all {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let medium = media.get(id).cloned().unwrap_or_default();
        let mut add = |agent: String, by: i64| *load.entry((agent, medium.clone())).or_default() += by;
        match entry["type"].as_str().unwrap_or_default() {
            "interaction.submitted" => drop(media.insert(id.clone(), text("media_type"))),
            "offer.made" => {
                made += 1;
                let agent = entry["offer"]["agent"].as_str().context("an offer has an agent")?.to_owned();
                offers.insert(entry["offer"]["id"].as_str().unwrap_or_default().to_owned(), agent.clone());
                add(agent, 1);
            }
            "offer.ended" => {
                let agent = offers.remove(&text("offer")).with_context(|| format!("{entry} ends no open offer"))?;
                *ends.entry(entry["outcome"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
                add(agent, -1);
            }
            "interaction.assigned" => {
                let before = holder.insert(id.clone(), text("agent"));
                assert_eq!(before, None, "{id} was {before:?}'s already at {sequence}");
                add(text("agent"), 1);
            }
            "interaction.released" | "interaction.work-done" => {
                let agent = holder.remove(id).with_context(|| format!("{id} was nobody's at {sequence}"))?;
                add(agent, -1);
            }
            "interaction.completed" | "interaction.abandoned" => {
                assert!(completed.insert(id.clone()), "{id} ended twice");
            }
            _ => {}
        }
        for (medium, most) in CAPACITY {
            for ((agent, of), count) in &load {
                assert!(of != medium || *count <= most, "{agent} has {count} {medium} at {sequence}");
            }
        }
    }
    println!("{} interactions, {made} offers: {ends:?}", ids.len());
    assert_eq!(&completed, ids, "each was completed, or abandoned by its customer");
    assert!(holder.is_empty() && offers.is_empty(), "nobody holds anything: {holder:?} {offers:?}");
    assert_eq!(made, ends.values().sum::<usize>(), "every offer ended in one way");
    for outcome in ["accepted", "declined"] {
        assert!(ends.contains_key(outcome), "some were {outcome}: {ends:?}");
    }
    Ok(())
}
