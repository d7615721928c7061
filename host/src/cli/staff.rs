//! `signalbox agent|skill|place|agent-group|place-group`: who works for an account, one by one or in bulk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::client::{Body, Client, Connection};
use super::document::{name_in, read_json};
use super::error::Error;
use super::output::{Output, cell, table};
use super::records::{Layout, Records};
use super::simulation::Simulation;
use super::workflow::items;

/// Keeps agents: their names, skills and capacity; shows what they do, and acts for them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox agent put agents.csv
  signalbox agent put ann.json
  signalbox agent list
  signalbox agent get ann
  signalbox agent delete ann
  signalbox agent state
  signalbox agent login ann --place desk-1 --media chat --media email
  signalbox agent ready ann
  signalbox agent not-ready ann --reason lunch --after-work
  signalbox agent logout ann
  signalbox agent simulate ann bob --accept 80 --work-ms 5000

A CSV file has the columns of the document; lists are separated by `;`, skills have levels from 1 to 10:
  name,display_name,skills,capacity
  ann,Ann Lee,english=8;billing=3,1 voice or 4 chat + 1 email")]
pub(super) struct Agent {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: AgentCommand,
}

#[derive(Debug, Subcommand)]
enum AgentCommand {
    #[command(flatten)]
    Document(Command),
    /// Shows what the agents who are logged in do.
    State,
    /// Logs an agent in, not ready at first.
    Login {
        /// The agent.
        agent: String,
        /// The place where it sits.
        #[arg(long)]
        place: Option<String>,
        /// A media type that it takes; more than once for several. Left out: all.
        #[arg(long = "media", value_name = "MEDIA_TYPE")]
        media_types: Vec<String>,
    },
    /// Makes an agent ready for offers.
    Ready {
        /// The agent.
        agent: String,
    },
    /// Makes an agent not ready.
    NotReady {
        /// The agent.
        agent: String,
        /// Reason code.
        #[arg(long)]
        reason: String,
        /// Once its work is done.
        #[arg(long)]
        after_work: bool,
    },
    /// Logs an agent out.
    Logout {
        /// The agent.
        agent: String,
        /// Once its work is done.
        #[arg(long)]
        after_work: bool,
    },
    /// Plays agents: logs them in, answers their offers, completes their work.
    Simulate(Simulation),
}

/// What can be done with every document of this file.
#[derive(Debug, Subcommand)]
enum Command {
    /// Puts those of these files: a document or a list as .json, many as .jsonl, .csv or .tsv.
    Put {
        /// Files; `-` reads JSON from standard input. What a record or a column leaves out is as in a new document.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// What separates columns, where the extension does not tell: one character, `tab` or `json` for JSON lines.
        #[arg(long, value_name = "CHARACTER")]
        delimiter: Option<String>,
    },
    /// Lists all.
    List,
    /// Shows one.
    Get {
        /// Its name.
        name: String,
    },
    /// Deletes one that nothing needs.
    Delete {
        /// Its name.
        name: String,
    },
}

macro_rules! documents {
    ($($(#[$doc:meta])* $type:ident: $path:literal, $help:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Args)]
        #[command(after_help = $help)]
        pub(super) struct $type {
            #[command(flatten)]
            connection: Connection,
            #[command(subcommand)]
            command: Command,
        }

        impl $type {
            pub async fn run(self, output: &Output) -> Result<(), Error> {
                self.command.run(&self.connection.client()?, $path, output).await
            }
        }
    )*};
}

documents! {
    /// Keeps skills: what agents can be good at.
    Skill: "skills", "\
Examples:
  signalbox skill put skills.csv
  signalbox skill list
  signalbox skill get english
  signalbox skill delete english";
    /// Keeps places: where agents sit.
    Place: "places", "\
Examples:
  signalbox place put places.csv
  signalbox place list
  signalbox place get desk-1
  signalbox place delete desk-1";
    /// Keeps agent groups: by list, or by a skill expression.
    AgentGroup: "agent-groups", "\
Examples:
  signalbox agent-group put billing.json
  signalbox agent-group list
  signalbox agent-group get billing
  signalbox agent-group delete billing

A file: { \"name\": \"billing\", \"agents\": [\"ann\"], \"expression\": \"billing >= 3 && english >= 5\" }";
    /// Keeps place groups.
    PlaceGroup: "place-groups", "\
Examples:
  signalbox place-group put floor-2.json
  signalbox place-group list
  signalbox place-group get floor-2
  signalbox place-group delete floor-2

A file: { \"name\": \"floor-2\", \"places\": [\"desk-1\", \"desk-2\"] }";
}

impl Agent {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let client = self.connection.client()?;
        let (agent, action, body) = match self.command {
            AgentCommand::Document(command) => return command.run(&client, "agents", output).await,
            AgentCommand::Simulate(simulation) => return simulation.run(&client, output).await,
            AgentCommand::State => {
                let states = client.list(&["agent-states"]).await?;
                return output.result(&json!({ "items": states }), |states| {
                    let row = |state: &Value| {
                        ["name", "state", "reason", "place", "load_percent"].map(|field| cell(state, field)).to_vec()
                    };
                    table(
                        &["agent", "state", "reason", "place", "load %"],
                        &items(states).iter().map(row).collect::<Vec<_>>(),
                    )
                });
            }
            AgentCommand::Login { agent, place, media_types } => {
                (agent, "login", json!({ "place": place, "media_types": media_types }))
            }
            AgentCommand::Ready { agent } => (agent, "ready", Value::Null),
            AgentCommand::NotReady { agent, reason, after_work } => {
                (agent, "not-ready", json!({ "reason": reason, "after_work": after_work }))
            }
            AgentCommand::Logout { agent, after_work } => (agent, "logout", json!({ "after_work": after_work })),
        };
        let sent = if body.is_null() { Body::Empty } else { Body::Json(&body) };
        let state = client.send(Method::POST, &["agents", &agent, action], sent).await?;
        output.result(&state, |state| format!("{agent} is {}", cell(state, "state")))
    }
}

impl Command {
    async fn run(self, client: &Client, path: &str, output: &Output) -> Result<(), Error> {
        match self {
            Self::Put { files, delimiter } => {
                let layout = Layout { delimiter, no_header: false };
                let (mut put, mut refused) = (Vec::new(), Vec::new());
                for file in &files {
                    for document in documents(file, &layout)? {
                        let name = name_in(&document, file)?;
                        match client.send(Method::PUT, &[path, &name], Body::Json(&document)).await {
                            Ok(_) => put.push(name),
                            Err(error) if error.is_refusal() => {
                                refused.push(error.at(format!("{}, `{name}`", file.display())));
                            }
                            // Whatever comes next would go the same way.
                            Err(error) => return Err(error.at(format!("{}, `{name}`", file.display()))),
                        }
                    }
                }
                if let Some(last) = refused.pop() {
                    refused.iter().for_each(|error| output.error(error));
                    let (refused, all) = (refused.len() + 1, refused.len() + 1 + put.len());
                    return Err(if all == 1 {
                        last
                    } else {
                        last.at(format!("{refused} of {all} were refused; the others are put"))
                    });
                }
                output.result(&json!({ path: put }), |_| match put.len() {
                    count @ 0..=10 => format!("put {count}: {}", put.join(", ")),
                    count => format!("put {count}"),
                })
            }
            Self::List => {
                let all = client.get(&[path], &[]).await?;
                output.result(&all, |all| items(all).iter().map(|one| cell(one, "name")).collect::<Vec<_>>().join("\n"))
            }
            Self::Get { name } => {
                let one = client.get(&[path, &name], &[]).await?;
                output.result(&one, |one| serde_json::to_string_pretty(one).unwrap_or_default())
            }
            Self::Delete { name } => {
                client.send(Method::DELETE, &[path, &name], Body::Empty).await?;
                output.result(&json!({ "deleted": name }), |_| format!("deleted {name}"))
            }
        }
    }
}

/// The documents of a file: JSON is taken as it is, columns become fields.
fn documents(file: &Path, layout: &Layout) -> Result<Vec<Value>, Error> {
    let extension = file.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    if layout.delimiter.is_none() && matches!(extension.as_deref(), None | Some("json")) {
        let document = read_json(file)?;
        return Ok(document.as_array().cloned().unwrap_or_else(|| vec![document]));
    }
    match Records::read(file, layout)? {
        Records::Objects { rows, .. } => Ok(rows.into_iter().map(Value::Object).collect()),
        Records::Columns { names: None, .. } => {
            Err(Error::new(format!("{} has no names of columns", file.display())).fix("give it a first line"))
        }
        Records::Columns { names: Some(names), rows, .. } => rows
            .iter()
            .enumerate()
            .map(|(n, row)| {
                let fields = names.iter().zip(row).filter(|(_, text)| !text.trim().is_empty());
                let fields: Result<Map<String, Value>, Error> =
                    fields.map(|(name, text)| Ok((name.trim().to_owned(), field(name.trim(), text.trim())?))).collect();
                let at = format!("{}, record {}", file.display(), n + 1);
                fields.map(Value::Object).map_err(|error| error.at(at))
            })
            .collect(),
    }
}

fn field(name: &str, text: &str) -> Result<Value, Error> {
    let parts = || text.split(';').map(str::trim).filter(|part| !part.is_empty());
    match name {
        "agents" | "places" => Ok(parts().collect()),
        "skills" => {
            let level = |part: &str| {
                let (skill, level) = part.split_once('=')?;
                Some((skill.trim().to_owned(), level.trim().parse::<u8>().ok()?))
            };
            let skills: Option<BTreeMap<_, _>> = parts().map(level).collect();
            let fault =
                || Error::new(format!("`{text}` is no list of skills")).fix("write it as `english=8;billing=3`");
            Ok(json!(skills.ok_or_else(fault)?))
        }
        _ => Ok(text.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_the_fields_of_a_document() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agents.csv");
        std::fs::write(&file, "name,skills,capacity\nann,english=8; billing=3,1 voice or 4 chat\nbob,,\n").unwrap();
        let found = documents(&file, &Layout::default()).unwrap();
        let ann = json!({"name": "ann", "skills": {"english": 8, "billing": 3}, "capacity": "1 voice or 4 chat"});
        assert_eq!(found, [ann, json!({"name": "bob"})]);
        std::fs::write(&file, "name,skills\nann,english\n").unwrap();
        assert!(documents(&file, &Layout::default()).unwrap_err().what.contains("no list of skills"));
    }
}
