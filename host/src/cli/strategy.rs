//! `signalbox strategy`: from an author's first line to calls in a workflow.

mod bench;
mod bind;
mod binding;
mod build;
mod canary;
mod cargo;
mod case;
mod deploy;
mod deployment;
mod given;
mod grants;
mod local;
mod new;
mod occasion;
mod project;
mod request;
mod run;
mod sign;
mod starter;
mod test;
mod trial;
mod watch;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use signalbox_engine::Name;

use self::binding::{element, history, in_words};
use self::deployment::{Difference, HEADINGS, deployed, differences, log_line, row, used_shown};
use super::client::{Body, Connection};
use super::error::Error;
use super::output::{Output, cell, table};
use super::replay;
use super::workflow::items;

/// Makes, builds, tests, measures, deploys and binds strategies.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox strategy new triage --lang python                 # a project that builds
  signalbox strategy build my-strategy                        # makes my-strategy/my-strategy.wasm
  signalbox strategy inspect my-strategy/my-strategy.wasm
  signalbox strategy deploy my-strategy/my-strategy.wasm --settings rules.json --name rules-7 --bind support/screen
  signalbox strategy bind support/screen rules-7=90 rules-8=10   # a tenth to the new one
  signalbox strategy bind support/screen rules-7 --shadow rules-9   # rules-9 is asked too, without effect
  signalbox strategy bind support/screen rules-7 --gate 20000:2     # who is new from now on needs such a replay
  signalbox strategy bind support/screen rules-7 --canary rules-8 --steps 5%:10m,100%:1h --error-share-max 0.02
  signalbox strategy canary support/screen                       # how far it is
  signalbox strategy bind support/screen triage-3 --warm-calls 1000   # one in JavaScript: not configured for every call
  signalbox strategy rollback support/screen --message 'too many in urgent'
  signalbox strategy history support/screen
  signalbox strategy diff rules-7 rules-8
  signalbox strategy unbind support/screen
  signalbox strategy delete rules-7
  signalbox strategy list
  signalbox strategy logs rules-7
  signalbox strategy use rules-7
  signalbox strategy shadows support/screen")]
pub(super) struct Strategy {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::New),
    Build(build::Build),
    Test(test::Test),
    Run(run::Run),
    Bench(bench::Bench),
    Watch(watch::Watch),
    /// Says what a component is, or what a deployment was made of.
    Inspect {
        /// A .wasm file, or the name of a deployment on the server.
        strategy: String,
    },
    Sign(sign::Sign),
    Deploy(deploy::Deploy),
    Bind(bind::Bind),
    /// Shows what a deployment has done since the server started, how long its calls take and how they fail.
    Use {
        /// The deployment.
        deployment: String,
    },
    /// Shows what those would have decided that are asked without effect, and how that differs from what was decided.
    Shadows {
        /// The workflow and its strategy element.
        #[arg(value_name = "WORKFLOW/ELEMENT", value_parser = element)]
        place: (String, String),
    },
    /// Shows how far a canary is, and what was counted since its step began.
    Canary {
        /// The workflow and its strategy element.
        #[arg(value_name = "WORKFLOW/ELEMENT", value_parser = element)]
        place: (String, String),
    },
    /// Ends a canary, where one runs; otherwise puts the binding that stood before again. The next call goes by it.
    Rollback {
        /// The workflow and its strategy element.
        #[arg(value_name = "WORKFLOW/ELEMENT", value_parser = element)]
        place: (String, String),
        /// Why.
        #[arg(long, short)]
        message: Option<String>,
    },
    /// Shows what served an element and serves it now: who put it, when and why.
    History {
        /// The workflow and its strategy element.
        #[arg(value_name = "WORKFLOW/ELEMENT", value_parser = element)]
        place: (String, String),
    },
    /// Takes the binding of an element away, with its history: what comes there is parked. Not where a gate stands.
    Unbind {
        /// The workflow and its strategy element.
        #[arg(value_name = "WORKFLOW/ELEMENT", value_parser = element)]
        place: (String, String),
    },
    /// Deletes a deployment that is bound nowhere. Its name is not used again; its decisions stay, and are not replayed any
    /// more.
    Delete {
        /// The deployment.
        deployment: String,
    },
    /// Shows in what two deployments differ: version, settings, assets, deadline, grants.
    Diff {
        /// One.
        from: String,
        /// The other.
        to: String,
    },
    /// Lists deployments: what each is, which elements it is bound to, and whether it is taken out.
    List,
    /// Shows what a deployment logged, the newest last.
    Logs {
        /// The deployment.
        deployment: String,
        /// How many lines, 1 to 200.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
    },
}

impl Strategy {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        match self.command {
            Command::New(new) => new.run(output),
            Command::Build(build) => build.run(output),
            Command::Test(test) => test.run(output),
            Command::Run(run) => run.run(output),
            Command::Bench(bench) => bench.run(output),
            Command::Watch(watch) => watch.run(&self.connection.client()?, output).await,
            Command::Inspect { strategy } => inspect(&strategy, &self.connection, output).await,
            Command::Sign(sign) => sign.run(output),
            Command::Deploy(deploy) => deploy.run(&self.connection.client()?, output).await,
            Command::Bind(bind) => bind.run(&self.connection.client()?, output).await,
            Command::Use { deployment } => {
                let used = self.connection.client()?.get(&["deployments", &deployment, "use"], &[]).await?;
                output.result(&used, used_shown)
            }
            Command::Shadows { place: (workflow, element) } => {
                let path = ["workflows", &workflow, "elements", &element, "binding", "shadows"];
                let shadows = self.connection.client()?.get(&path, &[]).await?;
                output.result(&shadows, |shadows| {
                    let fields =
                        ["deployment", "compared", "outcome_changed", "actions_changed", "failed", "mended", "skipped"];
                    let headings =
                        ["shadow", "compared", "other outcome", "other actions", "failed", "mended", "skipped"];
                    let row = |shadow: &Value| fields.map(|field| cell(shadow, field)).to_vec();
                    let rows: Vec<_> = items(shadows).iter().map(row).collect();
                    let differences = items(shadows).iter().map(|shadow| {
                        let name = cell(shadow, "deployment");
                        let differences = replay::differences(shadow, ["made", "shadow"]);
                        if differences.is_empty() { differences } else { format!("\n\n{name}:{differences}") }
                    });
                    format!("{}{}", table(&headings, &rows), differences.collect::<String>())
                })
            }
            Command::Canary { place: (workflow, element) } => {
                let path = ["workflows", &workflow, "elements", &element, "binding", "canary"];
                let canary = self.connection.client()?.get(&path, &[]).await?;
                output.result(&canary, canary::shown)
            }
            Command::Rollback { place: (workflow, element), message } => {
                let path = ["workflows", &workflow, "elements", &element, "binding", "rollback"];
                let body = message.map_or_else(|| json!({}), |message| json!({ "message": message }));
                let bound = self.connection.client()?.send(Method::POST, &path, Body::Json(&body)).await?;
                output.result(&bound, |bound| {
                    format!("{workflow}/{element} is back at {}: {}", in_words(bound), cell(bound, "message"))
                })
            }
            Command::History { place: (workflow, element) } => {
                let path = ["workflows", &workflow, "elements", &element, "binding"];
                let binding = self.connection.client()?.get(&path, &[]).await?;
                output.result(&binding, history)
            }
            Command::Unbind { place: (workflow, element) } => {
                let path = ["workflows", &workflow, "elements", &element, "binding"];
                self.connection.client()?.send(Method::DELETE, &path, Body::Empty).await?;
                let gone = json!({ "deleted": format!("{workflow}/{element}") });
                output.result(&gone, |_| format!("nothing serves {workflow}/{element}"))
            }
            Command::Delete { deployment } => {
                let path = ["deployments", &deployment];
                self.connection.client()?.send(Method::DELETE, &path, Body::Empty).await?;
                output.result(&json!({ "deleted": deployment }), |_| format!("deleted {deployment}"))
            }
            Command::Diff { from, to } => {
                let client = self.connection.client()?;
                let one = client.get(&["deployments", &from], &[]).await?;
                let other = client.get(&["deployments", &to], &[]).await?;
                let differences = differences(&one, &other);
                output.result(&differences, |differences| match differences.as_slice() {
                    [] => "they are the same".into(),
                    some => some.iter().map(Difference::to_string).collect::<Vec<_>>().join("\n"),
                })
            }
            Command::List => {
                let list = self.connection.client()?.get(&["deployments"], &[]).await?;
                output.result(&list, |list| {
                    let rows: Vec<_> = items(list).iter().map(row).collect();
                    table(&HEADINGS, &rows)
                })
            }
            Command::Logs { deployment, limit } => {
                let path = ["deployments", &deployment, "log"];
                let log = self.connection.client()?.get(&path, &[("limit", limit.to_string())]).await?;
                output.result(&log, |log| {
                    let lines: Vec<_> = items(log).iter().map(log_line).collect();
                    if lines.is_empty() { "(nothing)".into() } else { lines.join("\n") }
                })
            }
        }
    }
}

/// Name of a file without its folder and extension.
fn stem(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn asset(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), PathBuf::from(file))),
        _ => Err("write it as NAME=FILE".into()),
    }
}

async fn inspect(strategy: &str, connection: &Connection, output: &Output) -> Result<(), Error> {
    let file = Path::new(strategy);
    if file.is_file() {
        let inspection = local::inspect(file)?;
        return output.result(&local::document(&inspection), |_| local::described(&inspection));
    }
    if Name::new(strategy).is_err() || strategy.ends_with(".wasm") {
        return Err(Error::new(format!("there is no file {strategy}")).fix("check the path, or name a deployment"));
    }
    let deployment = connection.client()?.get(&["deployments", strategy], &[]).await?;
    output.result(&deployment, deployed)
}
