//! `signalbox strategy build`: a project to a component.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::local;
use super::project::Project;
use crate::cli::error::Error;
use crate::cli::output::Output;

/// Builds a strategy's project, and checks that what came is a strategy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox strategy build                               # the project in this folder
  signalbox strategy build strategies/screening --out screening.wasm

signalbox.toml says how; steps whose results are fresh are left out. A crate needs none: it has
`crate-type = [\"cdylib\", \"rlib\"]`, depends on signalbox-sdk, and is built with the profile `strategy` where the workspace
has one, and with `release` otherwise. Files and lines for traps go to NAME.lines.wasm beside it, where the compiler gives
them: `run` and `test` look there, and what is deployed stays small.")]
pub(super) struct Build {
    /// Folder of the project.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// File for the component. Left out: NAME.wasm in that folder.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Cargo profile, of a crate without signalbox.toml.
    #[arg(long)]
    profile: Option<String>,
}

impl Build {
    pub fn run(self, output: &Output) -> Result<(), Error> {
        let made = Project::open(&self.directory)?.build(self.profile.as_deref(), output)?;
        let out = self.out.unwrap_or_else(|| made.file.clone());
        let began = Instant::now();
        let inspection = local::inspected(&made.component, &out)?;
        made.write(&out)?;
        output.timed(&format!("wrote {}, which is a strategy", out.display()), began.elapsed());
        let mut document = local::document(&inspection);
        document["file"] = json!(out);
        output.result(&document, |_| local::described(&inspection))
    }
}
