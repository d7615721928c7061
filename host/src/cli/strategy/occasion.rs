//! What a strategy is called with from the command line: settings, a request, and what the account holds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use signalbox_engine::Request;

use super::asset;
use super::case::Case;
use super::given::Given;
use super::grants::GrantArgs;
use super::local::read_within;
use super::request::{Draft, plain_email};
use super::trial::{Setup, Trial, Tried, undeployable};
use crate::cli::document::{read_json, read_text};
use crate::cli::error::Error;
use crate::strategy::{ASSET_BYTES_MAX, Asset, Grants};

/// Files that say it.
#[derive(Debug, Args)]
pub(super) struct Occasion {
    /// JSON file with the settings. Left out: those of the case, else {}
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// JSON file with the request: an interaction as it is submitted, `request` of a case, or a whole case, whose tables and
    /// statistics count too; `-` reads standard input. Left out: an email of 1 KB.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// JSON file with tables, in place of the case's: {"vips": {"ana@example.com": "gold"}}
    #[arg(long, value_name = "FILE")]
    tables: Option<PathBuf>,
    /// A file that the strategy takes, such as a model; may be repeated.
    #[arg(long = "asset", value_name = "NAME=FILE", value_parser = asset)]
    assets: Vec<(String, PathBuf)>,
    #[command(flatten)]
    grants: GrantArgs,
}

/// What they say.
pub(super) struct Read {
    pub request: Request,
    pub grants: Arc<dyn Grants>,
    setup: Setup,
}

impl Occasion {
    /// Reads the files.
    pub fn read(&self) -> Result<Read, Error> {
        let (mut given, mut settings, mut request, mut granted) = (Given::default(), None, None, None);
        if let Some(file) = &self.request {
            let text = read_text(file)?;
            let document: Value = serde_json::from_str(&text)
                .map_err(|error| Error::new(format!("{} is not JSON", file.display())).because(&error))?;
            if document.get("request").is_some() {
                let case = Case::parse(file, text)?;
                given = case.given();
                granted = case.grants();
                settings = case.settings.map(Value::Object);
                request = case.request.map(Draft::request);
            } else {
                request = Some(draft(document, file)?.request());
            }
        }
        if let Some(file) = &self.settings {
            settings = Some(read_json(file)?);
        }
        if let Some(file) = &self.tables {
            given.tables = serde_json::from_value(read_json(file)?)
                .map_err(|error| Error::new(format!("{} holds no tables", file.display())).because(&error))?;
        }
        let setup = Setup {
            settings: settings.unwrap_or_else(|| json!({})).to_string(),
            assets: assets(&self.assets)?,
            grants: self.grants.scope().map(Arc::new).or(granted),
        };
        Ok(Read { request: request.unwrap_or_else(plain_email), grants: Arc::new(given), setup })
    }
}

impl Read {
    /// Deploys a component, which is in a file.
    pub fn deploy(&self, trial: &Trial, component: &[u8], file: &Path) -> Result<Tried, Error> {
        let deployed = trial.deploy(component, &self.setup)?;
        deployed.map_err(|error| undeployable(file, &error))
    }
}

/// Reads assets.
pub(super) fn assets(files: &[(String, PathBuf)]) -> Result<Arc<[Asset]>, Error> {
    let read = |(name, file): &(String, PathBuf)| {
        let content = read_within(file, ASSET_BYTES_MAX)?;
        Ok(Asset { name: name.clone(), content })
    };
    files.iter().map(read).collect()
}

/// A request, or an interaction alone.
fn draft(document: Value, file: &Path) -> Result<Draft, Error> {
    let is_request = document.get("interaction").is_some();
    let document = if is_request { document } else { json!({ "interaction": document }) };
    serde_json::from_value(document)
        .map_err(|error| Error::new(format!("{} holds no request", file.display())).because(&error))
}
