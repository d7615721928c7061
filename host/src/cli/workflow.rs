//! `signalbox workflow`: validates, puts and lists workflows.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::client::{Body, Connection};
use super::document::{name_in, read_json};
use super::error::Error;
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
                let report = client.send(Method::POST, &["workflows", "validate"], Body::Json(&document)).await?;
                let faults = report.get("faults").and_then(Value::as_array).cloned().unwrap_or_default();
                if faults.is_empty() {
                    return output.result(&report, |_| output.paint(Style::Green, "no faults").into_owned());
                }
                let error = Error::refused(format!("{} has {} fault(s)", file.display(), faults.len()));
                Err(faults
                    .iter()
                    .fold(error, |error, fault| error.at(fault_line(fault)))
                    .fix("put them right and validate again"))
            }
            Command::Put { file } => {
                let document = read_json(&file)?;
                let name = name_in(&document, &file)?;
                let put = client.send(Method::PUT, &["workflows", &name], Body::Json(&document)).await?;
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

fn fault_line(fault: &Value) -> String {
    let element =
        Some(cell(fault, "element")).filter(|element| !element.is_empty()).unwrap_or_else(|| "workflow".into());
    format!("{element}: {} [{}]", cell(fault, "message"), cell(fault, "code"))
}

/// The items of a list, which stand under `items` or are the list itself.
pub(super) fn items(list: &Value) -> &[Value] {
    list.get("items").unwrap_or(list).as_array().map_or(&[], Vec::as_slice)
}
