//! `signalbox token`: who may do what.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Body, Connection};
use super::error::Error;
use super::output::{Output, Style, ago, cell, table};
use super::workflow::items;

/// Creates, lists and deletes bearer tokens.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox token create shop --role client
  signalbox token create ana --role agent --role designer --out ana.token
  signalbox token create deployer --role operator --account system     # acts in every account
  signalbox token list
  signalbox token delete shop

The secret is shown once, when the token is created; the server keeps only its hash.")]
pub(super) struct Token {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates a token and shows its secret, once.
    Create {
        /// Its name: shown wherever something was done with it.
        name: String,
        /// What its holder may do; may be repeated.
        #[arg(long = "role", required = true, value_name = "ROLE")]
        roles: Vec<Role>,
        /// Writes the secret to a new file that only you can read, and does not show it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Lists tokens, without their secrets.
    List,
    /// Deletes a token: it works no more from now on.
    Delete {
        /// Its name.
        name: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// Submits interactions and follows them.
    Client,
    /// Takes interactions from queues and completes them.
    Agent,
    /// Draws workflows and writes standard responses and calendars.
    Designer,
    /// Approves what designers drew.
    Approver,
    /// Uploads, deploys and binds strategies; keeps tables and webhooks; resumes what is parked.
    Operator,
    /// Everything, tokens and accounts too.
    Administrator,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Agent => "agent",
            Self::Designer => "designer",
            Self::Approver => "approver",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        }
    }
}

impl Token {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let client = self.connection.client()?;
        match self.command {
            Command::Create { name, roles, out } => {
                let roles: Vec<_> = roles.into_iter().map(Role::name).collect();
                let body = json!({ "name": name, "roles": roles });
                let created = client.send(Method::POST, &["tokens"], Body::Json(&body)).await;
                let mut created = created.map_err(|error| error.named(&[("name", "NAME"), ("roles", "--role")]))?;
                let secret = cell(&created, "secret");
                if let (Some(file), Some(fields)) = (&out, created.as_object_mut()) {
                    write_secret(file, &secret).map_err(|error| Error::file("written", file, &error))?;
                    fields.remove("secret");
                    fields.insert("file".into(), json!(file));
                }
                output.result(&created, |_| match &out {
                    Some(file) => format!("created {name}; its secret is in {}", file.display()),
                    None => {
                        let secret = output.paint(Style::Bold, &secret);
                        format!("created {name}; this is its secret, shown only now:\n{secret}")
                    }
                })
            }
            Command::List => {
                let list = client.get(&["tokens"], &[]).await?;
                output.result(&list, |list| {
                    let rows: Vec<_> = items(list).iter().map(row).collect();
                    table(&["token", "roles", "created"], &rows)
                })
            }
            Command::Delete { name } => {
                client.send(Method::DELETE, &["tokens", &name], Body::Empty).await?;
                output.result(&json!({ "deleted": name }), |_| format!("deleted {name}"))
            }
        }
    }
}

fn row(token: &Value) -> Vec<String> {
    let roles = token.get("roles").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let created = token.get("created_at").and_then(Value::as_u64).map(ago).unwrap_or_default();
    vec![cell(token, "name"), roles.collect::<Vec<_>>().join(", "), created]
}

/// Writes a secret to a new file that only its owner can read.
pub(super) fn write_secret(file: &Path, secret: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}
