//! `signalbox workflow`: validates, puts and lists workflows.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::client::{Body, Connection};
use super::document::{name_in, read_json};
use super::error::{Error, Fault};
use super::output::{Output, Style, cell, shortened, table};

/// Validates, puts and lists workflows.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox workflow validate support.json     # every fault at once; exit code 3 where there is one
  signalbox workflow put support.json          # a new version; what is under way stays in its own
  signalbox workflow list

A file:
  { \"name\": \"support\",
    \"elements\": [{ \"id\": \"start\", \"kind\": \"start\" },
                 { \"id\": \"screen\", \"kind\": \"strategy\" },
                 { \"id\": \"desk\", \"kind\": \"queue\", \"queue\": \"desk\" },
                 { \"id\": \"end\", \"kind\": \"end\" }],
    \"connectors\": [{ \"from\": \"start\", \"outcome\": \"next\", \"to\": \"screen\" },
                   { \"from\": \"screen\", \"outcome\": \"default\", \"to\": \"desk\" },
                   { \"from\": \"desk\", \"outcome\": \"completed\", \"to\": \"end\" }] }")]
pub(super) struct Workflow {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says every fault of a workflow, against the account as it is. Nothing is written.
    Validate {
        /// JSON file; `-` reads standard input.
        file: PathBuf,
    },
    /// Puts a new version of a workflow.
    Put {
        /// JSON file; `-` reads standard input.
        file: PathBuf,
    },
    /// Lists workflows in their newest versions.
    List,
}

impl Workflow {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let client = self.connection.client()?;
        match self.command {
            Command::Validate { file } => {
                let document = read_json(&file)?;
                let report = client.send(Method::POST, &["workflows", "validate"], Body::Json(&document)).await;
                let report = report.map_err(|error| error.at(file.display().to_string()))?;
                let faults = Fault::all_in(&report);
                if faults.is_empty() {
                    return output.result(&report, |_| output.paint(Style::Green, "no faults").into_owned());
                }
                let mut error = Error::refused(format!("{} has {} fault(s)", file.display(), faults.len()))
                    .fix("put them right and validate again");
                error.faults = faults.into();
                Err(error)
            }
            Command::Put { file } => {
                let document = read_json(&file)?;
                let name = name_in(&document, &file)?;
                let put = client.send(Method::PUT, &["workflows", &name], Body::Json(&document)).await;
                let put = put.map_err(|error| error.at(file.display().to_string()))?;
                output.result(&put, |put| format!("put {name}, version {}", cell(put, "version")))
            }
            Command::List => {
                let list = client.get(&["workflows"], &[]).await?;
                output.result(&list, |list| {
                    let rows: Vec<_> = items(list).iter().map(row).collect();
                    table(&["workflow", "version", "elements", "description"], &rows)
                })
            }
        }
    }
}

fn row(workflow: &Value) -> Vec<String> {
    let field = |name| cell(workflow, name);
    vec![field("name"), field("version"), field("elements"), shortened(&field("description"), 80)]
}

/// The items of a list, which stand under `items` or are the list itself.
pub(super) fn items(list: &Value) -> &[Value] {
    list.get("items").unwrap_or(list).as_array().map_or(&[], Vec::as_slice)
}
