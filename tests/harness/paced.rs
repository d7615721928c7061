//! Submits of several bodies in turn, at a pace, whose decisions are looked up afterwards.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::client::Client;
use crate::load::{Connection, Latencies, address_of, post_bytes};
use crate::server::Server;

/// Requests that are sent one after the other, from the first again after the last.
#[derive(Debug, Clone)]
pub struct Paced {
    address: String,
    requests: Vec<Vec<u8>>,
}

impl Paced {
    /// Submits of these bodies in the account `main`.
    #[must_use]
    pub fn new(server: &Server, bodies: impl IntoIterator<Item = String>) -> Self {
        let path = "/v1/accounts/main/interactions";
        let request = |body: String| post_bytes(server.url(), server.token(), path, &body);
        Self { address: address_of(server.url()).to_owned(), requests: bodies.into_iter().map(request).collect() }
    }

    /// Sends so many, as fast as they are answered; gives their identifiers.
    ///
    /// # Errors
    /// Where an answer is not 201.
    pub async fn run(&self, connections: usize, count: usize) -> Result<Vec<String>> {
        self.send(connections, move |n| (n < count).then_some(Duration::ZERO)).await
    }

    /// Sends so many a second for a while; gives the identifiers of those that were taken.
    ///
    /// # Errors
    /// Where an answer is not 201.
    pub async fn paced(&self, connections: usize, time: Duration, per_second: f64) -> Result<Vec<String>> {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let due = move |n: usize| Duration::from_secs_f64(n as f64 / per_second);
        self.send(connections, move |n| Some(due(n)).filter(|due| *due < time)).await
    }

    async fn send(
        &self,
        connections: usize,
        due: impl Fn(usize) -> Option<Duration> + Clone + Send + 'static,
    ) -> Result<Vec<String>> {
        let began = Instant::now();
        let mut tasks = Vec::new();
        for first in 0..connections {
            let (paced, due) = (self.clone(), due.clone());
            tasks.push(tokio::spawn(async move {
                let mut connection = Connection::open(&paced.address).await?;
                let mut ids = Vec::new();
                for n in (first..).step_by(connections) {
                    let Some(due) = due(n) else { break };
                    tokio::time::sleep_until((began + due).into()).await;
                    let status = connection.exchange(&paced.requests[n % paced.requests.len()]).await?;
                    ensure!(status == 201, "an answer was {status}: {}", String::from_utf8_lossy(connection.body()));
                    let answer: Value = serde_json::from_slice(connection.body())?;
                    ids.push(answer["id"].as_str().context("an interaction has an identifier")?.to_owned());
                }
                anyhow::Ok(ids)
            }));
        }
        let mut ids = Vec::new();
        for task in tasks {
            ids.extend(task.await??);
        }
        Ok(ids)
    }
}

/// How long the first strategy took with each of these, from the question to its durable answer.
///
/// # Errors
/// Where one was not asked or gave no decision.
pub async fn decided_after(client: &Client, ids: impl IntoIterator<Item = &String>) -> Result<Latencies> {
    let mut latencies = Latencies::default();
    for id in ids {
        let decisions = client.get(&format!("/interactions/{id}/decisions")).await?;
        let decision = &decisions["items"][0];
        ensure!(decision["outcome"].is_string(), "{id} was decided: {decision}");
        let at = |field: &str| decision[field].as_u64().with_context(|| format!("{id} was decided: {decision}"));
        latencies.add(Duration::from_millis(at("answered_at_ms")?.saturating_sub(at("now_ms")?)));
    }
    Ok(latencies)
}
