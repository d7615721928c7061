//! `signalbox backup` and `signalbox restore`.

use std::path::PathBuf;

use clap::Args;
use reqwest::Method;
use serde_json::json;

use super::client::{Body, Connection};
use super::error::Error;
use super::output::{Output, cell};
use crate::store;

/// Adds a backup of the running server's store to a directory on the server's machine.
///
/// Nothing stops meanwhile. Only what is new since the last backup in that directory is copied.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox backup /var/backups/signalbox
  signalbox restore /var/backups/signalbox --store ./restored && signalbox serve --store ./restored")]
pub(super) struct Backup {
    #[command(flatten)]
    connection: Connection,
    /// Directory on the server's machine; made where it is missing.
    directory: PathBuf,
}

impl Backup {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let directory =
            std::path::absolute(&self.directory).map_err(|error| Error::file("used", &self.directory, &error))?;
        let body = json!({ "directory": directory });
        let client = self.connection.client()?;
        let made = client.send_outside(Method::POST, &["v1", "backups"], Body::Json(&body)).await?;
        output.result(&made, |made| format!("made backup {} in {}", cell(made, "number"), directory.display()))
    }
}

/// Restores the newest backup of a directory to where there is no store yet. No server may run on that store.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  signalbox restore /var/backups/signalbox --store ./restored")]
pub(super) struct Restore {
    /// Directory that `signalbox backup` wrote.
    backups: PathBuf,
    /// Directory for the store; empty or not there yet.
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
}

impl Restore {
    pub fn run(self, output: &Output) -> Result<(), Error> {
        store::restore(&self.backups, &self.store)
            .map_err(|error| Error::new("nothing was restored").because(&error))?;
        output.result(&json!({ "store": self.store }), |_| {
            let store = self.store.display();
            format!(
                "restored to {store}\nThe tokens are those of the backup. Start with: signalbox serve --store {store}"
            )
        })
    }
}
