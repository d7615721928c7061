//! `signalbox account`: tenants.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use super::client::{Body, Connection};
use super::error::Error;
use super::output::{Output, cell, table};
use super::workflow::items;

/// Creates and lists accounts: everything belongs to one, and nothing crosses from one to another.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox account create shop
  signalbox account list
  signalbox token create shop-client --role client --account shop")]
pub(super) struct Account {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates an account.
    Create {
        /// Its name.
        name: String,
    },
    /// Lists accounts.
    List,
}

impl Account {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let client = self.connection.client()?;
        match self.command {
            Command::Create { name } => {
                client.send_outside(Method::PUT, &["v1", "accounts", &name], Body::Json(&json!({}))).await?;
                output.result(&json!({ "account": name }), |_| format!("created {name}"))
            }
            Command::List => {
                let list = client.send_outside(Method::GET, &["v1", "accounts"], Body::Empty).await?;
                output.result(&list, |list| {
                    let name =
                        |item: &serde_json::Value| item.as_str().map_or_else(|| cell(item, "name"), str::to_owned);
                    let rows: Vec<_> = items(list).iter().map(|item| vec![name(item)]).collect();
                    table(&["account"], &rows)
                })
            }
        }
    }
}
