//! From an agent's "ready" to the offer on its session, with 1,000, 100,000 and 1,000,000 interactions that wait in four
//! queues, two of which age. For each that is offered, accepted and completed another one is submitted, so that as many
//! wait all the time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use signalbox_tests::{AgentSession, Client, Latencies, RawClient, Report, Server, offers_in};

const BACKLOGS: [usize; 3] = [1_000, 100_000, 1_000_000];
const ROUNDS: usize = 3_000;
const QUEUES: usize = 4;
const AGENT: &str = "ann";

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    set_up(&client).await?;
    let (mut session, _) = AgentSession::open(server.url(), server.token(), AGENT).await?;
    session.must("login", json!({}), drop).await?;

    let mut report = Report::new(&format!("{ROUNDS} rounds, {QUEUES} queues, one agent over WebSocket"));
    let (mut waiting, mut least) = (0, 0.0);
    for backlog in BACKLOGS {
        for queue in 0..QUEUES {
            let body = submission(queue).to_string();
            let load = RawClient::post(server.url(), server.token(), "/v1/accounts/main/interactions", &body);
            load.fill(64, (backlog - waiting) / QUEUES).await?;
        }
        waiting = backlog;
        // The store tidies up behind so many writes for a while.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut latencies = rounds(&client, &mut session).await?;
        let p99 = latencies.quantile_ms(0.99);
        report.figure(&format!("ready to offer, {backlog} waiting, p50"), latencies.quantile_ms(0.5), "ms");
        report.at_most(&format!("ready to offer, {backlog} waiting, p99"), p99, "ms", 5.0);
        if backlog == BACKLOGS[0] {
            least = p99;
        } else {
            report.at_most(&format!("p99 with {backlog} over p99 with {}", BACKLOGS[0]), p99 / least, "ratio", 1.5);
        }
    }
    report.write()
}

async fn set_up(client: &Client) -> Result<()> {
    client.put(&format!("/agents/{AGENT}"), &json!({"capacity": "1 chat"})).await?;
    client.put("/agent-groups/team", &json!({"agents": [AGENT]})).await?;
    for n in 0..QUEUES {
        let queue = format!("desk-{n}");
        let settings = json!({"target": {"agent-group": "team"}, "ageing_per_minute": n % 2});
        client.put(&format!("/queues/{queue}"), &settings).await?;
        let workflow = json!({"name": queue,
            "elements": [{"id": "start", "kind": "start"}, {"id": "desk", "kind": "queue", "queue": queue},
                         {"id": "done", "kind": "end"}],
            "connectors": [{"from": "start", "outcome": "next", "to": "desk"},
                           {"from": "desk", "outcome": "completed", "to": "done"}]});
        client.put(&format!("/workflows/{queue}"), &workflow).await?;
    }
    Ok(())
}

fn submission(queue: usize) -> Value {
    json!({"workflow": format!("desk-{queue}"), "media_type": "chat", "body": "Hello"})
}

/// Ready, offered, accepted, not ready after this one, completed; again and again.
async fn rounds(client: &Client, session: &mut AgentSession) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for round in 0..ROUNDS {
        let mut offer = None;
        let began = Instant::now();
        session.ask("ready", json!({})).await?;
        while offer.is_none() {
            offer = offers_in(&session.next().await?, AGENT).pop();
        }
        latencies.add(began.elapsed());
        let offer = offer.context("it was just there")?;
        let interaction = offer.split(':').next().unwrap_or_default().to_owned();
        session.must("accept", json!({"offer": offer}), drop).await?;
        session.must("not-ready", json!({"reason": "pause", "after_work": true}), drop).await?;
        session.must("complete", json!({"interaction": interaction, "disposition": "solved"}), drop).await?;
        client.submit(&submission(round % QUEUES)).await?;
    }
    Ok(latencies)
}
