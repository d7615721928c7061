//! Submits of several bodies in turn, at a pace, and how long their decisions take.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::load::{Connection, Latencies, address_of, get_bytes, post_bytes};
use crate::server::Server;

/// Longer than any strategy may take.
const DECIDED_TIMEOUT: Duration = Duration::from_secs(60);

const PATH: &str = "/v1/accounts/main/interactions";

/// Requests that are sent one after the other, from the first again after the last.
#[derive(Debug, Clone)]
pub struct Paced {
    address: String,
    token: String,
    requests: Vec<Vec<u8>>,
}

impl Paced {
    /// Submits of these bodies in the account `main`.
    #[must_use]
    pub fn new(server: &Server, bodies: impl IntoIterator<Item = String>) -> Self {
        let request = |body: String| post_bytes(server.url(), server.token(), PATH, &body);
        Self {
            address: address_of(server.url()).to_owned(),
            token: server.token().to_owned(),
            requests: bodies.into_iter().map(request).collect(),
        }
    }

    /// Sends so many, as fast as they are answered.
    ///
    /// # Errors
    /// Where an answer is not 201.
    pub async fn run(&self, connections: usize, count: usize) -> Result<()> {
        self.send(connections, move |n| (n < count).then_some(Duration::ZERO), None).await.map(drop)
    }

    /// Sends so many a second for a while. Gives how long the first strategy took with one of so many of them, from when the
    /// submit was due until a client that looks again and again finds it decided.
    ///
    /// # Errors
    /// Where an answer is not 201, or a decision was none.
    pub async fn decided(
        &self,
        connections: usize,
        time: Duration,
        per_second: f64,
        one_of: usize,
    ) -> Result<Latencies> {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let due = move |n: usize| Duration::from_secs_f64(n as f64 / per_second);
        self.send(connections, move |n| Some(due(n)).filter(|due| *due < time), Some(one_of)).await
    }

    async fn send(
        &self,
        connections: usize,
        due: impl Fn(usize) -> Option<Duration> + Clone + Send + 'static,
        one_of: Option<usize>,
    ) -> Result<Latencies> {
        let began = Instant::now();
        let mut tasks = Vec::new();
        for first in 0..connections {
            let (paced, due) = (self.clone(), due.clone());
            tasks.push(tokio::spawn(async move {
                let mut connection = Connection::open(&paced.address).await?;
                let mut latencies = Latencies::default();
                for (nth, n) in (first..).step_by(connections).enumerate() {
                    let Some(due) = due(n) else { break };
                    tokio::time::sleep_until((began + due).into()).await;
                    let status = connection.exchange(&paced.requests[n % paced.requests.len()]).await?;
                    ensure!(status == 201, "an answer was {status}: {}", String::from_utf8_lossy(connection.body()));
                    if one_of.is_some_and(|one_of| (first + nth) % one_of == 0) {
                        tokio::time::timeout(DECIDED_TIMEOUT, paced.until_decided(&mut connection)).await??;
                        latencies.add((began + due).elapsed());
                    }
                }
                anyhow::Ok(latencies)
            }));
        }
        let mut all = Latencies::default();
        for task in tasks {
            all.join(task.await??);
        }
        Ok(all)
    }

    /// Looks at the interaction that was just submitted until it is not with its strategy any more.
    async fn until_decided(&self, connection: &mut Connection) -> Result<()> {
        let submitted: Value = serde_json::from_slice(connection.body())?;
        let id = submitted["id"].as_str().context("an interaction has an identifier")?;
        let look = get_bytes(&self.address, &self.token, &format!("{PATH}/{id}"));
        loop {
            let status = connection.exchange(&look).await?;
            let interaction: Value = serde_json::from_slice(connection.body())?;
            match interaction["state"].as_str() {
                Some("routing") => {}
                Some("parked") | None => bail!("{id} was not decided: {status} {interaction}"),
                Some(_) => return Ok(()),
            }
        }
    }
}
