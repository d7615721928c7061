//! `signalbox strategy`: from an author's first line to calls in a workflow.

mod bench;
mod build;
mod canary;
mod cargo;
mod case;
mod deploy;
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

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};
use signalbox_engine::Name;

use super::client::{Body, Client, Connection};
use super::error::Error;
use super::output::{Output, ago, cell, shortened, table, text};
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
  signalbox strategy bind support/screen rules-7 --canary rules-8 --steps 5%:10m,25%:10m,100%:10m \\
      --error-share-max 0.02 --p99-max 2ms --outcome-shift-max 0.1 --calls-min 200   # goes back by itself, or takes over
  signalbox strategy canary support/screen                       # how far it is
  signalbox strategy bind support/screen triage-3 --warm-calls 1000   # one in JavaScript: not configured on every call
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
    Bind(Bind),
    /// Shows what a deployment has done since the server started, how long its calls take and how they fail.
    Use {
        /// The deployment.
        deployment: String,
    },
    /// Shows what those would have decided that are asked without effect.
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
        #[arg(long)]
        message: Option<String>,
    },
    /// Shows what served an element and serves it now: who put it, when and why.
    History {
        /// The workflow and its strategy element.
        #[arg(value_name = "WORKFLOW/ELEMENT", value_parser = element)]
        place: (String, String),
    },
    /// Takes the binding of an element away: what comes there is parked.
    Unbind {
        /// The workflow and its strategy element.
        #[arg(value_name = "WORKFLOW/ELEMENT", value_parser = element)]
        place: (String, String),
    },
    /// Deletes a deployment that is bound nowhere. Its name is not used again, and its decisions stay.
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
    /// Lists deployments.
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

/// Says which deployments serve a workflow's strategy element. The next call goes by it.
#[derive(Debug, Args)]
struct Bind {
    /// The workflow and its strategy element.
    #[arg(value_name = "WORKFLOW/ELEMENT", value_parser = element)]
    place: (String, String),
    /// A deployment, or several with weights: `old=90 new=10`.
    #[arg(required = true, value_name = "DEPLOYMENT[=WEIGHT]", value_parser = share)]
    shares: Vec<(String, u32)>,
    #[command(flatten)]
    on_failure: OnFailure,
    /// A deployment that is asked the same, without effect; more than once for several.
    #[arg(long = "shadow", value_name = "DEPLOYMENT")]
    shadows: Vec<String>,
    /// Calls that one instance may answer, 1 to 10,000, where the deployment could not be snapshotted, as those in JavaScript
    /// cannot. Left out: every call is configured in an instance of its own. With it a call finds what others left behind.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    warm_calls: Option<u32>,
    #[command(flatten)]
    canary: canary::Plan,
    /// Lets nobody new in before a replay of N decisions of those that serve, of which at most PERCENT % changed and none
    /// failed; who served here before, and was not rolled back, is not new. Left out: the gate that stands, if one does.
    #[arg(long, value_name = "N:PERCENT", value_parser = gate, conflicts_with = "no_gate")]
    gate: Option<(u64, u8)>,
    /// Takes the gate away.
    #[arg(long)]
    no_gate: bool,
    /// Why.
    #[arg(long, default_value = "")]
    message: String,
}

/// `20000:2`
fn gate(text: &str) -> Result<(u64, u8), String> {
    let parts = text.split_once(':').and_then(|(replayed, changed)| {
        let replayed = replayed.parse().ok().filter(|replayed| *replayed > 0)?;
        Some((replayed, changed.parse().ok().filter(|percent| *percent <= 100)?))
    });
    parts.ok_or_else(|| "a gate is a number of decisions, 1 or more, and a percentage, as 20000:2".to_owned())
}

/// What happens when a call fails.
#[derive(Debug, Clone, Default, Args)]
struct OnFailure {
    /// Calls again so often, 0 to 5, before the call counts as failed. Left out: 0 with `bind`; `deploy` and `watch` keep
    /// what stands.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=5))]
    retries: Option<u8>,
    /// Then leaves the element by this outcome. Left out with `bind`: by `error` or `timeout`, or the interaction is parked;
    /// `deploy` and `watch` keep what stands.
    #[arg(long, value_name = "OUTCOME")]
    on_failure: Option<String>,
}

impl OnFailure {
    /// What was asked for, and for the rest what a binding has.
    fn or_standing(&self, standing: Option<&(Value, String)>) -> Self {
        let field = |name| standing.and_then(|(binding, _)| binding.get("on_failure")?.get(name));
        let retries = || field("retries").and_then(Value::as_u64).and_then(|retries| u8::try_from(retries).ok());
        let outcome = || field("outcome").and_then(Value::as_str).map(str::to_owned);
        Self { retries: self.retries.or_else(retries), on_failure: self.on_failure.clone().or_else(outcome) }
    }

    /// As a binding has it.
    fn document(&self) -> Value {
        let mut document = json!({ "retries": self.retries.unwrap_or_default() });
        if let Some(outcome) = &self.on_failure {
            document["outcome"] = json!(outcome);
        }
        document
    }
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
            Command::Bind(bind) => {
                let mut named = BTreeSet::new();
                if let Some((twice, _)) = bind.shares.iter().find(|(deployment, _)| !named.insert(deployment)) {
                    return Err(
                        Error::usage(format!("`{twice}` is named twice")).fix("give each deployment one weight")
                    );
                }
                let client = self.connection.client()?;
                let canary = bind.canary.document();
                let gate = match bind.gate {
                    Some((replayed_min, changed_percent_max)) => Keep::Other(json!({
                        "replayed_min": replayed_min, "changed_percent_max": changed_percent_max
                    })),
                    None if bind.no_gate => Keep::Other(Value::Null),
                    None => Keep::Standing,
                };
                let shadows = Keep::Other(json!(bind.shadows));
                let warm_calls = Keep::Other(json!(bind.warm_calls));
                let with = With { shadows, gate, warm_calls, canary: canary.as_ref(), message: &bind.message };
                let standing = standing(&client, &bind.place).await?;
                let bound =
                    put_binding(&client, &bind.place, &bind.shares, &bind.on_failure, with, standing.as_ref()).await?;
                note_canary_ended(standing.as_ref(), &bound, output);
                output.result(&bound, |bound| {
                    let canary = canary::beside(bound).map(|canary| format!(", {canary}")).unwrap_or_default();
                    format!("bound {}{canary}", described(&bind.place, &bind.shares))
                })
            }
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
                    table(&headings, &rows)
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
                output.result(&bound, |bound| format!("{workflow}/{element} is back at {}", served(bound)))
            }
            Command::History { place: (workflow, element) } => {
                let path = ["workflows", &workflow, "elements", &element, "binding"];
                let binding = self.connection.client()?.get(&path, &[]).await?;
                output.result(&binding, history)
            }
            Command::Unbind { place: (workflow, element) } => {
                let path = ["workflows", &workflow, "elements", &element, "binding"];
                let gone = self.connection.client()?.send(Method::DELETE, &path, Body::Empty).await?;
                output.result(&gone, |_| format!("nothing serves {workflow}/{element}"))
            }
            Command::Delete { deployment } => {
                let path = ["deployments", &deployment];
                let gone = self.connection.client()?.send(Method::DELETE, &path, Body::Empty).await?;
                output.result(&gone, |_| format!("deleted {deployment}"))
            }
            Command::Diff { from, to } => {
                let client = self.connection.client()?;
                let one = client.get(&["deployments", &from], &[]).await?;
                let other = client.get(&["deployments", &to], &[]).await?;
                let mut differences = Vec::new();
                for field in ["strategy", "manifest", "settings", "assets", "deadline_ms", "grants"] {
                    differ(field, &one[field], &other[field], &mut differences);
                }
                let document = differences.iter().map(|(at, from, to)| json!({"at": at, "from": from, "to": to}));
                output.result(&document.collect::<Value>(), |_| match differences.as_slice() {
                    [] => "they are the same".into(),
                    some => {
                        let row = |(at, from, to): &(String, Value, Value)| {
                            vec![at.clone(), shortened(&text(from), 50), shortened(&text(to), 50)]
                        };
                        table(&["", &from, &to], &some.iter().map(row).collect::<Vec<_>>())
                    }
                })
            }
            Command::List => {
                let list = self.connection.client()?.get(&["deployments"], &[]).await?;
                output.result(&list, |list| {
                    let rows: Vec<_> = items(list).iter().map(row).collect();
                    table(
                        &["deployment", "strategy", "version", "digest", "grants", "deployed", "by", "message"],
                        &rows,
                    )
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

/// A deployment for people: what it is, who made it of what, and its settings.
fn deployed(deployment: &Value) -> String {
    let field = |name| cell(deployment, name);
    let made = deployment.get("created_at").and_then(Value::as_u64).map(ago).unwrap_or_default();
    let prepared = match deployment.get("snapshotted").and_then(Value::as_bool) {
        Some(true) => "configured once, at deployment".to_owned(),
        _ => match deployment.get("unsnapshotted_because").map(text) {
            Some(why) => format!("configured on every call, unless bound with --warm-calls: {why}"),
            None => "configured on every call, unless bound with --warm-calls".into(),
        },
    };
    let mut lines = vec![
        format!("{}: {} {}", field("name"), field("manifest.name"), field("manifest.version")),
        format!("digest    {}", field("strategy")),
        format!("deployed  {made} by {}", field("created_by")),
        format!("calls     {} ms at most, {prepared}", field("deadline_ms")),
    ];
    if deployment["grants"].is_object() {
        let named = |kind: &str| match deployment["grants"][kind].as_array().filter(|names| !names.is_empty()) {
            Some(names) => names.iter().map(text).collect::<Vec<_>>().join(", "),
            None => "none".into(),
        };
        let (imports, tables, queues) = (named("imports"), named("tables"), named("queues"));
        lines.push(format!("grants    imports: {imports}; tables: {tables}; queues: {queues}"));
    }
    lines.extend(Some(field("message")).filter(|why| !why.is_empty()).map(|why| format!("message   {why}")));
    for outcome in deployment.pointer("/manifest/outcomes").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!("outcome   {:16} {}", cell(outcome, "name"), cell(outcome, "description")));
    }
    for (name, digest) in deployment.get("assets").and_then(Value::as_object).into_iter().flatten() {
        lines.push(format!("asset     {name:16} {}", super::output::text(digest)));
    }
    let settings = deployment.get("settings").and_then(|settings| serde_json::to_string_pretty(settings).ok());
    lines.push(format!("settings  {}", settings.unwrap_or_default()));
    lines.join("\n")
}

/// A part of a binding.
#[derive(Default)]
enum Keep {
    /// As it stands.
    #[default]
    Standing,
    /// This; null for none.
    Other(Value),
}

/// What a binding has beside its shares.
#[derive(Default)]
struct With<'a> {
    shadows: Keep,
    gate: Keep,
    warm_calls: Keep,
    canary: Option<&'a Value>,
    message: &'a str,
}

/// The binding that an element has now, if it has one, with its ETag.
async fn standing(client: &Client, (workflow, element): &(String, String)) -> Result<Option<(Value, String)>, Error> {
    let path = ["workflows", workflow, "elements", element, "binding"];
    client.get_tagged(&path, "binding-unknown").await
}

/// Says that a canary ended, which nobody may have thought of.
fn note_canary_ended(standing: Option<&(Value, String)>, bound: &Value, output: &Output) {
    if let Some(ended) = canary_ended(standing.map(|(binding, _)| binding), bound) {
        output.note(&ended);
    }
}

fn canary_ended(standing: Option<&Value>, bound: &Value) -> Option<String> {
    let before = standing?;
    let deployment = |binding: &Value| binding.pointer("/canary/deployment").cloned();
    let ended = deployment(before).is_some() && deployment(before) != deployment(bound);
    let canary = canary::beside(before).unwrap_or_else(|| format!("canary {}", cell(before, "canary.deployment")));
    ended.then(|| format!("this ended the {canary}"))
}

/// Puts a binding in the place of the one that stands, unless another has come there meanwhile.
async fn put_binding(
    client: &Client,
    (workflow, element): &(String, String),
    shares: &[(String, u32)],
    on_failure: &OnFailure,
    With { shadows, gate, warm_calls, canary, message }: With<'_>,
    standing: Option<&(Value, String)>,
) -> Result<Value, Error> {
    let (standing, tag) = standing.map(|(binding, tag)| (binding, tag.as_str())).unzip();
    let shares: Vec<_> =
        shares.iter().map(|(deployment, weight)| json!({ "deployment": deployment, "weight": weight })).collect();
    let mut binding = json!({ "shares": shares, "on_failure": on_failure.document() });
    for (part, keep) in [("shadows", shadows), ("gate", gate), ("warm_calls", warm_calls)] {
        let value = match keep {
            Keep::Standing => standing.and_then(|standing| standing.get(part)).cloned().unwrap_or_default(),
            Keep::Other(value) => value,
        };
        if !value.is_null() {
            binding[part] = value;
        }
    }
    binding["message"] = json!(message);
    if let Some(canary) = canary {
        binding["canary"] = canary.clone();
    }
    let path = ["workflows", workflow, "elements", element, "binding"];
    let bound = client.put_tagged(&path, tag, &binding).await;
    bound.map_err(|error| {
        error.named(&[
            ("on_failure.outcome", "--on-failure"),
            ("shares", "DEPLOYMENT"),
            ("on_failure.retries", "--retries"),
            ("shadows", "--shadow"),
            ("canary.deployment", "--canary"),
            ("canary.steps", "--steps"),
            ("canary.guards.error_share_max", "--error-share-max"),
            ("canary.guards.p99_max_us", "--p99-max"),
            ("canary.guards.outcome_shift_max", "--outcome-shift-max"),
            ("canary.guards.calls_min", "--calls-min"),
        ])
    })
}

/// What a deployment has done, for people.
fn used_shown(used: &Value) -> String {
    let mut rows = vec![vec!["calls".to_owned(), cell(used, "calls")]];
    for kind in ["outcomes", "failures"] {
        for (name, count) in used[kind].as_object().into_iter().flatten() {
            let what = if kind == "failures" { format!("failure: {name}") } else { name.clone() };
            rows.push(vec![what, text(count)]);
        }
    }
    for (field, what) in [("instantiate", "sandbox"), ("guest", "strategy"), ("host_calls", "of it, asking the server")]
    {
        for quantile in ["p50", "p99"] {
            rows.push(vec![format!("{what}, {quantile}"), format!("{} µs", used[field][format!("{quantile}_us")])]);
        }
    }
    let memory = used["memory_bytes_max"].as_u64().unwrap_or_default();
    let of = |field: &str| used[field].as_u64().unwrap_or_default();
    let limit = of("memory_bytes_limit") >> 20;
    let left = of("memory_headroom_percent");
    rows.push(vec!["most memory".into(), format!("{} KiB of {limit} MiB ({left} % left)", memory / 1024)]);
    let (deadline, left) = (of("deadline_ms"), of("time_headroom_percent"));
    rows.push(vec!["deadline".into(), format!("{deadline} ms (the p99 leaves {left} %)")]);
    if used["is_out"] == true {
        rows.push(vec!["taken out".into(), "half of its last calls failed".into()]);
    }
    let width = rows.iter().map(|row| row[0].chars().count()).max().unwrap_or(0);
    rows.iter().map(|row| format!("{:width$}  {}", row[0], row[1])).collect::<Vec<_>>().join("\n")
}

/// Who serves, with shares where they are several, and a canary.
fn served(binding: &Value) -> String {
    let shares = binding["shares"].as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |share: &Value| match shares.len() {
        1 => cell(share, "deployment"),
        _ => format!("{}={}", cell(share, "deployment"), cell(share, "weight")),
    };
    shares.iter().map(one).chain(canary::beside(binding)).collect::<Vec<_>>().join(" ")
}

/// What serves now, and what served before, the newest first, each with what else it had and why it was put.
fn history(binding: &Value) -> String {
    let earlier = binding["earlier"].as_array().into_iter().flatten().rev();
    let row = |binding: &Value| {
        let at = binding["put_at"].as_u64().map(ago).unwrap_or_default();
        let message = shortened(&cell(binding, "message"), usize::MAX);
        vec![served(binding), extras(binding), at, cell(binding, "put_by"), message]
    };
    let rows: Vec<_> = std::iter::once(binding).chain(earlier).map(row).collect();
    table(&["served by", "with", "put", "by", "message"], &rows)
}

/// What a binding has beside those that serve, in a few words.
fn extras(binding: &Value) -> String {
    let mut parts = Vec::new();
    let earlier_canary = binding["canary"].as_str().map(|canary| format!("canary {canary}"));
    parts.extend(earlier_canary);
    let shadows: Vec<_> = binding["shadows"].as_array().into_iter().flatten().map(text).collect();
    if !shadows.is_empty() {
        parts.push(format!("shadow {}", shadows.join(" ")));
    }
    parts.extend(binding["warm_calls"].as_u64().map(|calls| format!("{calls} warm calls")));
    let retries = binding.pointer("/on_failure/retries").and_then(Value::as_u64).filter(|retries| *retries > 0);
    parts.extend(retries.map(|retries| format!("{retries} retries")));
    let outcome = binding.pointer("/on_failure/outcome").and_then(Value::as_str);
    parts.extend(outcome.map(|outcome| format!("on failure {outcome}")));
    parts.extend(
        binding
            .pointer("/gate/replayed_min")
            .map(|min| format!("gate {min}:{}", cell(binding, "gate.changed_percent_max"))),
    );
    parts.join(", ")
}

/// Collects where two JSON values differ, as deep as they have the same shape.
fn differ(at: &str, from: &Value, to: &Value, differences: &mut Vec<(String, Value, Value)>) {
    if from == to {
        return;
    }
    match (from, to) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let side = |of: &serde_json::Map<String, Value>| of.get(key).cloned().unwrap_or_default();
                differ(&format!("{at}.{key}"), &side(one), &side(other), differences);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (n, (one, other)) in one.iter().zip(other).enumerate() {
                differ(&format!("{at}.{n}"), one, other, differences);
            }
        }
        _ => differences.push((at.to_owned(), from.clone(), to.clone())),
    }
}

fn described((workflow, element): &(String, String), shares: &[(String, u32)]) -> String {
    let total: u64 = shares.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let part = |(deployment, weight): &(String, u32)| match shares.len() {
        1 => deployment.clone(),
        _ => format!("{deployment} ({:.0} %)", 100.0 * f64::from(*weight) / total.max(1) as f64),
    };
    format!("{workflow}/{element} to {}", shares.iter().map(part).collect::<Vec<_>>().join(", "))
}

fn row(deployment: &Value) -> Vec<String> {
    let digest: String = cell(deployment, "strategy").chars().take(12).collect();
    let deployed = deployment.get("created_at").and_then(Value::as_u64).map(ago).unwrap_or_default();
    let field = |name| cell(deployment, name);
    vec![
        field("name"),
        field("manifest.name"),
        field("manifest.version"),
        digest,
        if deployment["grants"].is_object() { "named".into() } else { "all".into() },
        deployed,
        field("created_by"),
        shortened(&field("message"), 40),
    ]
}

fn log_line(line: &Value) -> String {
    let at = line.get("at_ms").and_then(Value::as_u64).map(ago).unwrap_or_default();
    format!("{at:>10}  {:5} {}  {}", cell(line, "level"), cell(line, "message"), cell(line, "interaction"))
}

fn element(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((workflow, element)) if !workflow.is_empty() && !element.is_empty() && !element.contains('/') => {
            Ok((workflow.to_owned(), element.to_owned()))
        }
        _ => Err("write it as WORKFLOW/ELEMENT".into()),
    }
}

fn share(text: &str) -> Result<(String, u32), String> {
    let Some((deployment, weight)) = text.split_once('=') else { return Ok((text.to_owned(), 1)) };
    match weight.parse() {
        Ok(weight @ 1..=1_000_000) => Ok((deployment.to_owned(), weight)),
        _ => Err("a weight is a number from 1 to 1,000,000".into()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_on_failure_stays_where_nothing_else_is_asked_for() {
        let standing = json!({"on_failure": {"retries": 2, "outcome": "desk"}});
        let asked = |retries: Option<u8>, outcome: Option<&str>| {
            let asked = OnFailure { retries, on_failure: outcome.map(str::to_owned) };
            asked.or_standing(Some(&(standing.clone(), String::new()))).document()
        };
        assert_eq!(asked(None, None), standing["on_failure"]);
        assert_eq!(asked(Some(0), None), json!({"retries": 0, "outcome": "desk"}));
        assert_eq!(asked(None, Some("spam")), json!({"retries": 2, "outcome": "spam"}));
        assert_eq!(OnFailure::default().or_standing(None).document(), json!({"retries": 0}));
    }

    #[test]
    fn a_canary_that_a_binding_ends_is_told() {
        let steps = json!([{"percent": 5, "for_s": 60}]);
        let with = |deployment: &str| json!({"canary": {"deployment": deployment, "step": 0, "steps": steps}});
        let ended = |standing: &Value, bound: &Value| canary_ended(Some(standing), bound);
        assert_eq!(ended(&with("new"), &json!({})).as_deref(), Some("this ended the canary new at 5 %"));
        assert!(ended(&with("new"), &with("other")).is_some());
        assert_eq!(ended(&with("new"), &with("new")), None);
        assert_eq!((ended(&json!({}), &with("new")), canary_ended(None, &json!({}))), (None, None));
    }
}
