//! 200 agents over WebSocket take what 16 connections submit: submit → queued → offered → accepted → completed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use signalbox_tests::{AgentSession, Client, Latencies, Pace, RawClient, Report, Server};
use tokio_tungstenite::tungstenite::Message;

const AGENTS: usize = 200;
const CONNECTIONS: usize = 16;
const TIME: Duration = Duration::from_secs(20);
const BAR: f64 = 3000.0;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    set_up(&server.client()).await?;
    let completed = Arc::new(AtomicUsize::new(0));
    let (sender, mut accepted) = tokio::sync::mpsc::unbounded_channel();
    let mut agents = tokio::task::JoinSet::new();
    for n in 0..AGENTS {
        let agent = format!("agent-{n}");
        let (mut session, _) = AgentSession::open(server.url(), server.token(), &agent).await?;
        session.must("login", json!({}), drop).await?;
        agents.spawn(work(agent, session, Arc::clone(&completed), sender.clone()));
    }
    drop(sender);

    let rate: f64 = std::env::var("SIGNALBOX_RATE").ok().and_then(|r| r.parse().ok()).unwrap_or(BAR * 1.05);
    let body = json!({"workflow": "desk", "media_type": "chat", "body": "Where is my card?"}).to_string();
    let load = RawClient::post(server.url(), server.token(), "/v1/accounts/main/interactions", &body);
    let began = Instant::now();
    let (mut submits, refused) = load.run(CONNECTIONS, TIME, Pace::PerSecond(rate)).await?;
    while completed.load(Ordering::Relaxed) < submits.len() {
        if let Some(ended) = agents.try_join_next() {
            anyhow::bail!("an agent's session ended: {ended:?}");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let elapsed = began.elapsed();
    let mut latencies = Latencies::default();
    while let Ok(latency) = accepted.try_recv() {
        latencies.add(latency);
    }
    let mut report = Report::new(&format!(
        "{AGENTS} agents over WebSocket, {CONNECTIONS} connections submit at {rate}/s for {} s; until all is completed",
        TIME.as_secs()
    ));
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    report.at_least("offers accepted", latencies.len() as f64 / elapsed.as_secs_f64(), "1/s", BAR);
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    report.at_most("submits refused as busy", refused as f64, "number", 0.0);
    report.figure("offer seen to accepted, p50", latencies.quantile_ms(0.5), "ms");
    report.figure("offer seen to accepted, p99", latencies.quantile_ms(0.99), "ms");
    report.figure("submit acknowledged, p99", submits.quantile_ms(0.99), "ms");
    report.write()
}

async fn set_up(client: &Client) -> Result<()> {
    let names: Vec<String> = (0..AGENTS).map(|n| format!("agent-{n}")).collect();
    for name in &names {
        client.put(&format!("/agents/{name}"), &json!({"capacity": "4 chat"})).await?;
    }
    client.put("/agent-groups/team", &json!({"agents": names})).await?;
    client.put("/queues/desk", &json!({"target": {"agent-group": "team"}})).await?;
    signalbox_tests::put_desk(client).await
}

/// What an agent's desktop reads of a frame.
#[derive(Deserialize)]
struct Frame<'a> {
    r#type: &'a str,
    id: Option<&'a str>,
    #[serde(default, borrow)]
    events: Vec<Event<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    r#type: &'a str,
    #[serde(default, borrow)]
    offer: Option<Offer<'a>>,
}

/// What an event says of an offer: all when it is made, afterwards its name or number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Offer<'a> {
    Made { id: &'a str, agent: &'a str },
    Named(serde::de::IgnoredAny),
}

/// Accepts each offer and completes each interaction, until the session ends.
async fn work(
    agent: String,
    session: AgentSession,
    completed: Arc<AtomicUsize>,
    accepted: tokio::sync::mpsc::UnboundedSender<Duration>,
) -> Result<()> {
    let mut socket = session.into_socket();
    let ready = json!({"id": "ready", "do": "ready"});
    socket.send(Message::text(ready.to_string())).await?;
    let mut offered: HashMap<String, Instant> = HashMap::new();
    loop {
        let Message::Text(text) = socket.next().await.context("the session has ended")?? else { continue };
        let frame: Frame<'_> = serde_json::from_str(text.as_str())?;
        match (frame.r#type, frame.id.and_then(|id| id.split_once(' '))) {
            ("done", Some(("accept", offer))) => {
                let at = offered.remove(offer).context("an offer that was accepted was seen")?;
                accepted.send(at.elapsed())?;
                let interaction = offer.split(':').next().unwrap_or_default();
                let id = format!("complete {interaction}");
                let done = json!({"id": id, "do": "complete", "interaction": interaction, "disposition": "solved"});
                socket.send(Message::text(done.to_string())).await?;
            }
            ("done", Some(("complete", _))) => drop(completed.fetch_add(1, Ordering::Relaxed)),
            ("problem", _) => anyhow::bail!("{agent}: {text}"),
            _ => {}
        }
        for event in frame.events {
            let ("offer.made", Some(Offer::Made { id, agent: to })) = (event.r#type, event.offer) else { continue };
            if to == agent {
                offered.insert(id.to_owned(), Instant::now());
                let accept = json!({"id": format!("accept {id}"), "do": "accept", "offer": id});
                socket.send(Message::text(accept.to_string())).await?;
            }
        }
    }
}
