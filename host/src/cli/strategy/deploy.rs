//! `signalbox strategy deploy`: uploads a component and its assets, bakes its settings in, and binds it.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{OnFailure, described, element, put_binding};
use crate::cli::client::{Body, Client};
use crate::cli::document::read_text;
use crate::cli::error::Error;
use crate::cli::output::{Output, bytes, cell};

/// Uploads a component, makes a deployment of it with its settings, and binds it if asked to.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox strategy deploy screening.wasm --settings rules.json --name rules-7 --bind support/screen
  signalbox strategy deploy content-analysis.wasm --asset model=support.model --name analysis-3 -m 'with March data'

A deployment's name is never used again, so that every decision tells what made it. Nothing stops for a deployment: the
next call after --bind goes to it.")]
pub(super) struct Deploy {
    /// The component.
    file: PathBuf,
    /// JSON file with the settings. Left out: {}
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// A file that the strategy takes, such as a model; may be repeated.
    #[arg(long = "asset", value_name = "NAME=FILE", value_parser = asset)]
    assets: Vec<(String, PathBuf)>,
    /// Name of the deployment. Left out: the server makes one.
    #[arg(long)]
    name: Option<String>,
    /// Binds it to this strategy element, in the place of what serves it now; may be repeated.
    #[arg(long, value_name = "WORKFLOW/ELEMENT", value_parser = element)]
    bind: Vec<(String, String)>,
    #[command(flatten)]
    on_failure: OnFailure,
    /// Wall-clock limit of one call.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=5000))]
    deadline_ms: Option<u64>,
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

        let strategy = upload(client, "strategies", "application/wasm", &self.file, output).await?;
        let mut assets = serde_json::Map::new();
        for (name, file) in &self.assets {
            let digest = upload(client, "assets", "application/octet-stream", file, output).await?;
            assets.insert(name.clone(), json!(digest));
        }

        let mut body = json!({ "strategy": strategy, "settings": settings, "assets": assets });
        let optional =
            [("name", json!(self.name)), ("deadline_ms", json!(self.deadline_ms)), ("message", json!(self.message))];
        for (name, value) in optional.into_iter().filter(|(_, value)| !value.is_null()) {
            body[name] = value;
        }
        let began = Instant::now();
        let deployment = client.send_long(Method::POST, &["deployments"], Body::Json(&body)).await?;
        let name = cell(&deployment, "name");
        output.timed(&format!("deployed as {name}"), began.elapsed());

        for place in &self.bind {
            let began = Instant::now();
            let share = [(name.clone(), 1)];
            put_binding(client, place, &share, &self.on_failure).await?;
            output.timed(&format!("bound {}", described(place, &share)), began.elapsed());
        }
        output.result(&deployment, |_| name.clone())
    }
}

/// Uploads a file; answers with its digest.
async fn upload(
    client: &Client,
    to: &str,
    media_type: &'static str,
    file: &Path,
    output: &Output,
) -> Result<String, Error> {
    let content = std::fs::read(file).map_err(|error| Error::file("read", file, &error))?;
    let size = content.len() as u64;
    let began = Instant::now();
    let uploaded = client.send_long(Method::POST, &[to], Body::Bytes(media_type, content)).await;
    let uploaded = uploaded.map_err(|error| error.at(file.display().to_string()))?;
    let digest = cell(&uploaded, "digest");
    let short: String = digest.chars().take(12).collect();
    output.timed(&format!("uploaded {} ({}) as {short}", file.display(), bytes(size)), began.elapsed());
    Ok(digest)
}

fn asset(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), PathBuf::from(file))),
        _ => Err("write it as NAME=FILE".into()),
    }
}
