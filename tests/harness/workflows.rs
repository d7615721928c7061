//! The smallest workflows: a queue, and a strategy before a queue.

use anyhow::Result;
use serde_json::json;

use crate::{Client, RawClient, Server};

/// Puts the workflow `desk`.
///
/// # Errors
/// Where it is refused.
pub async fn put_desk(client: &Client) -> Result<()> {
    let workflow = json!({"name": "desk",
        "elements": [{"id": "start", "kind": "start"}, {"id": "desk", "kind": "queue", "queue": "desk"},
                     {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "desk"},
                       {"from": "desk", "outcome": "completed", "to": "done"}]});
    client.put("/workflows/desk", &workflow).await?;
    Ok(())
}

/// Submits into `desk` of 256 bytes of JSON.
#[must_use]
pub fn submit_to_desk(server: &Server) -> RawClient {
    let frame = json!({"workflow": "desk", "media_type": "chat", "body": ""}).to_string().len();
    let body = json!({"workflow": "desk", "media_type": "chat", "body": "x".repeat(256 - frame)}).to_string();
    RawClient::post(server.url(), server.token(), "/v1/accounts/main/interactions", &body)
}

/// Puts a workflow of one strategy, `ask`, and a queue of the workflow's name, and binds a deployment to it.
///
/// # Errors
/// Where it is refused.
pub async fn put_one_strategy(client: &Client, name: &str, deployment: &str) -> Result<()> {
    let workflow = json!({"name": name,
        "elements": [{"id": "start", "kind": "start"}, {"id": "ask", "kind": "strategy"},
                     {"id": "desk", "kind": "queue", "queue": name}, {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "ask"},
                       {"from": "ask", "outcome": "default", "to": "desk"},
                       {"from": "desk", "outcome": "completed", "to": "done"}]});
    client.put(&format!("/workflows/{name}"), &workflow).await?;
    client.bind(name, "ask", deployment).await?;
    Ok(())
}
