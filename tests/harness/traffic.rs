//! Clients that submit without a pause beside whatever a test does, and what became of theirs.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::workflows::put_one_strategy;

/// What a client does between two submits: a browser's pace rather than a flood's.
const PAUSE: Duration = Duration::from_millis(10);

/// Traffic of a strategy that does what it should.
#[derive(Debug)]
pub struct Traffic {
    client: Client,
    stop: Arc<AtomicBool>,
    submitted: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Result<Vec<String>>>>,
}

impl Traffic {
    /// Deploys the C starter as `good`, which is there in no time, binds it to the workflow `good`, and begins.
    ///
    /// # Errors
    /// Where a part is refused.
    pub async fn start(client: &Client, clients: usize) -> Result<Self> {
        let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/starters/c.wasm");
        let rules = json!({"rules": [{"words": ["order"], "outcome": "order", "priority": 600}]});
        client.deploy("good", &component, &rules, &[]).await?;
        put_one_strategy(client, "good", "good").await?;
        let (stop, submitted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let one = || {
            let (client, stop, submitted) = (client.clone(), Arc::clone(&stop), Arc::clone(&submitted));
            tokio::spawn(async move {
                let body = json!({"workflow": "good", "media_type": "chat", "body": "where is my order?"});
                let mut ids = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    ids.push(client.submit(&body).await?);
                    submitted.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(ids)
            })
        };
        let clients = (0..clients).map(|_| one()).collect();
        Ok(Self { client: client.clone(), stop, submitted, clients })
    }

    /// Waits until so many more were taken.
    ///
    /// # Errors
    /// Where the clients have ended before.
    pub async fn more(&self, count: usize) -> Result<()> {
        let wanted = self.submitted.load(Ordering::Relaxed) + count;
        while self.submitted.load(Ordering::Relaxed) < wanted {
            ensure!(!self.clients.iter().all(JoinHandle::is_finished), "good traffic has ended");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Ends it, and proves that each submit was taken and is where it belongs; gives how many there were.
    ///
    /// # Errors
    /// Where a submit failed, or one is lost.
    pub async fn unharmed(self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        let mut ids = BTreeSet::new();
        for client in self.clients {
            ids.extend(client.await?.context("no submit failed")?);
        }
        self.client.until_decided(2400).await?;
        let queued = self.client.interactions("queue=good").await?;
        let queued: BTreeSet<String> = queued.iter().filter_map(|one| one["id"].as_str().map(str::to_owned)).collect();
        ensure!(queued == ids, "{} were taken and {} are in their queue", ids.len(), queued.len());
        ensure!(ids.len() > 10, "there was traffic");
        Ok(ids.len())
    }
}
