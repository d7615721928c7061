//! `signalbox strategy deploy`: uploads a component and its assets, bakes its settings in, and binds it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::asset;
use super::binding::{OnFailure, With, beside, described, element, note_canary_ended, put_binding, standing};
use super::grants::GrantArgs;
use super::local::read_within;
use crate::cli::client::{Body, Client};
use crate::cli::document::read_text;
use crate::cli::error::Error;
use crate::cli::output::{Output, bytes, cell};
use crate::strategy::{ASSET_BYTES_MAX, COMPONENT_BYTES_MAX};

/// Uploads a component, makes a deployment of it with its settings, and binds it if asked to.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox strategy deploy screening/screening.wasm --settings rules.json --name rules-7 --bind support/screen
  signalbox strategy deploy theirs.wasm --grant-import tables --grant-table vips --grant-queue billing
  signalbox strategy deploy content-analysis.wasm --asset model=support.model --name analysis-3 -m 'with March data'

A deployment's name is never used again, so that every decision tells what made it. Nothing stops for a deployment: the
next call after --bind goes to it.

Without a --grant a deployment may use everything of its account. With one it may use what is named and nothing else, '*'
for all of a kind: a component that imports more is refused here, and a call that asks for another table or queue fails.")]
pub(super) struct Deploy {
    /// The component.
    file: PathBuf,
    /// JSON file with the settings. Left out: {}
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// A file that the strategy takes, such as a model; may be repeated.
    #[arg(long = "asset", value_name = "NAME=FILE", value_parser = asset)]
    assets: Vec<(String, PathBuf)>,
    /// Its signature, which `strategy sign` makes. Left out: FILE.sig, where that is there.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Name of the deployment. Left out: the server makes one.
    #[arg(long)]
    name: Option<String>,
    /// Binds it to this strategy element, in the place of what serves it now; may be repeated.
    #[arg(long, value_name = "WORKFLOW/ELEMENT", value_parser = element)]
    bind: Vec<(String, String)>,
    #[command(flatten)]
    on_failure: OnFailure,
    /// Processor time of one call.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=5000))]
    deadline_ms: Option<u64>,
    #[command(flatten)]
    grants: GrantArgs,
    /// Why it is deployed.
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
}

impl Deploy {
    pub async fn run(self, client: &Client, output: &Output) -> Result<(), Error> {
        let settings = self.settings.as_deref().map_or_else(|| Ok("{}".into()), read_text)?;
        let settings: Value = serde_json::from_str(&settings).map_err(|error| {
            let file = self.settings.clone().unwrap_or_default();
            Error::new(format!("{} is not JSON", file.display())).because(&error)
        })?;

        for place in &self.bind {
            can_be_bound(client, place).await?;
        }
        let strategy = upload_strategy(client, &self.file, self.signature()?, output).await?;
        let mut assets = serde_json::Map::new();
        for (name, file) in &self.assets {
            assets.insert(name.clone(), json!(upload_asset(client, file, output).await?));
        }

        let mut body = json!({ "strategy": strategy, "settings": settings, "assets": assets });
        let optional =
            [("name", json!(self.name)), ("deadline_ms", json!(self.deadline_ms)), ("message", json!(self.message))];
        for (name, value) in optional.into_iter().filter(|(_, value)| !value.is_null()) {
            body[name] = value;
        }
        if let Some(grants) = self.grants.scope() {
            body["grants"] = json!(grants);
        }
        let began = Instant::now();
        let deployment = client.send_long(Method::POST, &["deployments"], Body::Json(&body)).await;
        let settings = self.settings.as_ref().map_or_else(|| "--settings".into(), |file| file.display().to_string());
        let deployment = deployment.map_err(|error| {
            error.named(&[
                ("settings", &settings),
                ("assets", "--asset"),
                ("name", "--name"),
                ("deadline_ms", "--deadline-ms"),
                ("message", "--message"),
                ("grants.imports", "--grant-import"),
                ("grants.tables", "--grant-table"),
                ("grants.queues", "--grant-queue"),
            ])
        })?;
        let name = cell(&deployment, "name");
        output.timed(&format!("deployed as {name}"), began.elapsed());
        if deployment["snapshotted"] == false {
            let why = cell(&deployment, "unsnapshotted_because");
            output.step(&format!(
                "its memory cannot be kept after `configure`, so each call has it configured anew: {why}"
            ));
            output.step("`signalbox strategy bind --warm-calls N` lets an instance answer several calls instead");
        }

        for place in &self.bind {
            let began = Instant::now();
            let share = [(name.clone(), 1)];
            let with = With { message: self.message.as_deref().unwrap_or_default(), ..With::default() };
            let standing = standing(client, place).await;
            let standing = standing.map_err(|error| unbound(error, &name, place, &self.on_failure))?;
            let on_failure = self.on_failure.or_standing(standing.as_ref());
            let bound = put_binding(client, place, &share, &on_failure, with, standing.as_ref()).await;
            let bound = bound.map_err(|error| unbound(error, &name, place, &on_failure))?;
            note_canary_ended(standing.as_ref(), &bound, output);
            output.timed(&format!("bound {}{}", described(place, &share), beside(&bound)), began.elapsed());
        }
        output.result(&deployment, |_| name.clone())
    }

    /// The signature to hand over, if there is one.
    fn signature(&self) -> Result<Option<String>, Error> {
        let mut beside = self.file.clone().into_os_string();
        beside.push(".sig");
        let beside = PathBuf::from(beside);
        let file = self.signature.clone().or_else(|| beside.is_file().then_some(beside));
        file.map(|file| Ok(read_text(&file)?.trim().to_owned())).transpose()
    }
}

/// The deployment is there, and what serves the element is what served it before.
fn unbound(error: Error, name: &str, (workflow, element): &(String, String), on_failure: &OnFailure) -> Error {
    let OnFailure { retries, on_failure } = on_failure;
    let retries = retries.filter(|retries| *retries > 0).map(|retries| format!(" --retries {retries}"));
    let is_at_fault = error.at.iter().any(|place| place == "--on-failure");
    let outcome = on_failure.as_deref().map(|outcome| if is_at_fault { "OUTCOME" } else { outcome });
    let outcome = outcome.map(|outcome| format!(" --on-failure {outcome}"));
    let (retries, outcome) = (retries.unwrap_or_default(), outcome.unwrap_or_default());
    let first = if error.code.as_deref() == Some("gate-shut") {
        format!("run `signalbox replay --strategy SERVING --against {name}`, and where it may pass ")
    } else {
        error.fix.as_ref().map(|fix| format!("{fix}; then ")).unwrap_or_default()
    };
    let error = error.after(&format!("deployed as {name}, not bound"));
    error.fix(format!("{first}run `signalbox strategy bind {workflow}/{element} {name}{retries}{outcome}`"))
}

/// Whether there is such a strategy element: said before anything is uploaded.
pub(super) async fn can_be_bound(client: &Client, (workflow, element): &(String, String)) -> Result<(), Error> {
    let place = format!("--bind {workflow}/{element}");
    let refused = |what: String, code: &str| Error::refused(what).code(Some(code.into())).at(place.clone());
    let drawn = client.get(&["workflows", workflow], &[]).await;
    let drawn = drawn.map_err(|error| error.named(&[("workflow", "WORKFLOW")]).at(place.clone()))?;
    let elements = drawn.get("elements").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    match elements.iter().find(|drawn| cell(drawn, "id") == *element).map(|drawn| cell(drawn, "kind")).as_deref() {
        Some("strategy") => Ok(()),
        Some(kind) => {
            let what =
                format!("`{element}` in the workflow `{workflow}` is a {kind} element, to which nothing is bound");
            Err(refused(what, "element-not-strategy").fix("name a strategy element; nothing was uploaded"))
        }
        None => {
            let known =
                elements.iter().filter(|drawn| cell(drawn, "kind") == "strategy").map(|drawn| cell(drawn, "id"));
            let known = known.collect::<Vec<_>>().join(", ");
            let what = format!("the workflow `{workflow}` has no element `{element}`");
            Err(refused(what, "element-unknown").fix(format!("its strategy elements: {known}; nothing was uploaded")))
        }
    }
}

/// Uploads a component, with its signature where there is one; answers with its digest.
pub(super) async fn upload_strategy(
    client: &Client,
    file: &Path,
    signature: Option<String>,
    output: &Output,
) -> Result<String, Error> {
    let content = read_within(file, COMPONENT_BYTES_MAX)?;
    uploaded(file, output, content, |content| async move {
        let header = signature.as_deref().map(|signature| ("signalbox-strategy-signature", signature));
        client.send_binary(&["strategies"], "application/wasm", content, header).await
    })
    .await
}

/// Uploads an asset; answers with its digest.
pub(super) async fn upload_asset(client: &Client, file: &Path, output: &Output) -> Result<String, Error> {
    let content = read_within(file, ASSET_BYTES_MAX)?;
    uploaded(file, output, content, |content| {
        client.send_binary(&["assets"], "application/octet-stream", content, None)
    })
    .await
}

async fn uploaded<F: Future<Output = Result<Value, Error>>>(
    file: &Path,
    output: &Output,
    content: Vec<u8>,
    send: impl FnOnce(Vec<u8>) -> F,
) -> Result<String, Error> {
    let size = content.len() as u64;
    let began = Instant::now();
    let uploaded = send(content).await.map_err(|error| {
        let error = error.named(&[("signalbox-strategy-signature", "--signature")]).at(file.display().to_string());
        match error.code.as_deref() {
            Some("strategy-unsigned") => error.fix(format!(
                "run `signalbox strategy sign {} --key KEYFILE` with a key of the account, and deploy again",
                file.display()
            )),
            _ => error,
        }
    })?;
    let digest = cell(&uploaded, "digest");
    let short: String = digest.chars().take(12).collect();
    output.timed(&format!("uploaded {} ({}) as {short}", file.display(), bytes(size)), began.elapsed());
    Ok(digest)
}
