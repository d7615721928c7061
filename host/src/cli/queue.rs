//! `signalbox queue`: what waits, and the next one of it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Body, Client, Connection};
use super::document::read_json;
use super::error::Error;
use super::interaction;
use super::output::{Output, cell, duration, table};
use super::workflow::items;

/// Lists and makes queues, and takes interactions out of them by hand.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox queue list
  signalbox queue put billing --description 'Invoices and payments'
  signalbox queue put billing --settings billing.json
  signalbox queue take billing
  signalbox --json queue take billing | jq -r .id
  signalbox interaction complete ID --disposition solved

A file: { \"description\": \"Invoices\", \"target\": { \"agent-group\": \"billing\" }, \"offer_timeout_ms\": 15000 }")]
pub(super) struct Queue {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists queues with how many wait in each.
    List,
    /// Makes a queue, or sets it up anew. Those that a workflow's elements name are made with the workflow.
    Put {
        /// The queue.
        queue: String,
        /// What it is for.
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// JSON file of whom it is for and how it is worked on; the fields are those of the API. Left out: as they are.
        #[arg(long, value_name = "FILE")]
        settings: Option<PathBuf>,
    },
    /// Takes the next interaction out of a queue: it is yours until you complete or release it. Exit code 3 where the
    /// queue is empty.
    Take {
        /// The queue.
        queue: String,
    },
}

impl Queue {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let client = self.connection.client()?;
        match self.command {
            Command::List => {
                let list = client.get(&["queues"], &[]).await?;
                output.result(&list, |list| {
                    let rows: Vec<_> = items(list).iter().map(row).collect();
                    table(&["queue", "waiting", "oldest waits", "description"], &rows)
                })
            }
            Command::Put { queue, description, settings } => {
                let mut body = match settings {
                    Some(file) => read_json(&file)?,
                    None => standing(&client, &queue).await?,
                };
                if let (Some(fields), Some(description)) = (body.as_object_mut(), description) {
                    fields.insert("description".into(), description.into());
                }
                let put = client.send(Method::PUT, &["queues", &queue], Body::Json(&body)).await?;
                output.result(&put, |_| format!("put {queue}"))
            }
            Command::Take { queue } => {
                let taken = client.send(Method::POST, &["queues", &queue, "take"], Body::Empty).await?;
                if taken.is_null() {
                    return Err(
                        Error::refused(format!("the queue `{queue}` is empty")).code(Some("queue-empty".into()))
                    );
                }
                output.result(&taken, |taken| interaction::shown(taken, output))
            }
        }
    }
}

/// What was put of a queue; nothing where there is none.
async fn standing(client: &Client, queue: &str) -> Result<Value, Error> {
    match client.get(&["queues", queue], &[("head", "0".to_owned())]).await {
        Ok(mut queue) => {
            for figure in ["name", "length", "oldest_wait_ms", "head"] {
                queue.as_object_mut().and_then(|fields| fields.remove(figure));
            }
            Ok(queue)
        }
        Err(error) if error.code.as_deref() == Some("queue-unknown") => Ok(json!({})),
        Err(error) => Err(error),
    }
}

fn row(queue: &Value) -> Vec<String> {
    let oldest = queue.get("oldest_wait_ms").and_then(Value::as_u64).map(Duration::from_millis).map(duration);
    vec![cell(queue, "name"), cell(queue, "length"), oldest.unwrap_or_default(), cell(queue, "description")]
}
