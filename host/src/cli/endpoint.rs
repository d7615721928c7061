//! `signalbox endpoint`: the applications outside that workflows may ask.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Body, Connection};
use super::document::read_text;
use super::error::Error;
use super::output::{Output, cell, table};
use super::workflow::items;

/// Keeps endpoints: applications outside that `call` elements of workflows may ask.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox endpoint put crm --url https://crm.example.com/look-up --secret-file crm.key
  signalbox endpoint put crm --url http://crm.internal/look-up --private-network --timeout-ms 2000 --retries 2
  signalbox endpoint list
  signalbox endpoint get crm
  signalbox endpoint delete crm")]
pub(super) struct Endpoint {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Puts an endpoint under a name. What is left out is as it is at first, but for the key.
    Put(Put),
    /// Lists endpoints.
    List,
    /// Shows an endpoint. Its key is never shown.
    Get {
        /// The endpoint.
        endpoint: String,
    },
    /// Deletes an endpoint that no workflow names.
    Delete {
        /// The endpoint.
        endpoint: String,
    },
}

#[derive(Debug, Args)]
struct Put {
    /// Its name.
    endpoint: String,
    /// http or https address that requests are posted to.
    #[arg(long)]
    url: String,
    /// File with the key that requests are signed with (HMAC-SHA-256). Left out: the key that stands stays.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The name in the address may lead to a private, loopback or link-local address.
    #[arg(long)]
    private_network: bool,
    /// How long one attempt may take, 100 to 60,000 ms.
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u64>,
    /// How often it is asked again after a failure that may pass, 0 to 5.
    #[arg(long)]
    retries: Option<u8>,
    /// Most bytes of an answer, 1 to 1,048,576.
    #[arg(long, value_name = "BYTES")]
    response_bytes_max: Option<u64>,
}

impl Put {
    fn document(&self) -> Result<Value, Error> {
        let mut document = json!({ "url": self.url, "private_network": self.private_network });
        if let Some(file) = &self.secret_file {
            document["secret"] = json!(read_text(file)?.trim_end());
        }
        let retries = self.retries.map(u64::from);
        let numbers =
            [("timeout_ms", self.timeout_ms), ("retries", retries), ("response_bytes_max", self.response_bytes_max)];
        for (field, number) in numbers {
            if let Some(number) = number {
                document[field] = json!(number);
            }
        }
        Ok(document)
    }
}

impl Endpoint {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let client = self.connection.client()?;
        match self.command {
            Command::Put(put) => {
                let document = put.document()?;
                let sent = client.send(Method::PUT, &["endpoints", &put.endpoint], Body::Json(&document)).await;
                let arguments = [
                    ("url", "--url"),
                    ("secret", "--secret-file"),
                    ("timeout_ms", "--timeout-ms"),
                    ("retries", "--retries"),
                    ("response_bytes_max", "--response-bytes-max"),
                    ("endpoint", "ENDPOINT"),
                ];
                let stands = sent.map_err(|error| error.named(&arguments))?;
                output.result(&stands, |_| format!("put {}", put.endpoint))
            }
            Command::List => {
                let list = client.get(&["endpoints"], &[]).await?;
                output.result(&list, |list| {
                    let row = |endpoint: &Value| {
                        ["name", "url", "timeout_ms", "retries"].map(|field| cell(endpoint, field)).to_vec()
                    };
                    table(
                        &["endpoint", "url", "time-out ms", "retries"],
                        &items(list).iter().map(row).collect::<Vec<_>>(),
                    )
                })
            }
            Command::Get { endpoint } => {
                let one = client.get(&["endpoints", &endpoint], &[]).await?;
                output.result(&one, |one| serde_json::to_string_pretty(one).unwrap_or_default())
            }
            Command::Delete { endpoint } => {
                client.send(Method::DELETE, &["endpoints", &endpoint], Body::Empty).await?;
                output.result(&json!({ "deleted": endpoint }), |_| format!("deleted {endpoint}"))
            }
        }
    }
}
