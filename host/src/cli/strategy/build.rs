//! `signalbox strategy build`: a crate to a component.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use serde_json::{Value, json};

use super::{local, stem};
use crate::cli::error::Error;
use crate::cli::output::{Output, cell};
use crate::strategy::componentize;

const TARGET: &str = "wasm32-unknown-unknown";

/// Builds a strategy's crate and makes a component of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox strategy build                               # the crate in this folder
  signalbox strategy build strategies/screening --out screening.wasm

The crate has `crate-type = [\"cdylib\", \"rlib\"]` and depends on signalbox-sdk. It is built with the profile `strategy`
where the workspace has one, and with `release` otherwise.")]
pub(super) struct Build {
    /// Folder of the crate.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// File for the component. Left out: NAME.wasm in that folder.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Cargo profile.
    #[arg(long)]
    profile: Option<String>,
}

impl Build {
    pub fn run(self, output: &Output) -> Result<(), Error> {
        let manifest = self.directory.join("Cargo.toml");
        if !manifest.is_file() {
            return Err(Error::new(format!("there is no crate in {}", self.directory.display()))
                .at(manifest.display().to_string())
                .fix("name the folder of the strategy's crate"));
        }
        has_target(&self.directory)?;
        let profile = self.profile.clone().map_or_else(|| profile(&self.directory), Ok)?;
        let began = Instant::now();
        let module_file = cargo_build(&self.directory, &profile)?;
        output.timed(&format!("built {}", module_file.display()), began.elapsed());

        let module = std::fs::read(&module_file).map_err(|error| Error::file("read", &module_file, &error))?;
        let component = componentize(&module).map_err(|error| {
            Error::new(error.to_string()).at(module_file.display().to_string()).fix(
                "export the strategy with `signalbox_sdk::export!(YourStrategy);`, and keep to one version of signalbox-sdk",
            )
        })?;
        let out =
            self.out.unwrap_or_else(|| self.directory.join(format!("{}.wasm", stem(&module_file).replace('_', "-"))));
        std::fs::write(&out, component).map_err(|error| Error::file("written", &out, &error))?;

        let began = Instant::now();
        let inspection = local::inspect(&out)?;
        output.timed(&format!("wrote {}, which is a strategy", out.display()), began.elapsed());
        let mut document = local::document(&inspection);
        document["file"] = json!(out);
        output.result(&document, |_| local::described(&inspection))
    }
}

/// Runs in the crate's folder, so that its own toolchain and configuration count.
fn cargo(directory: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(directory);
    command
}

fn no_cargo(error: &std::io::Error) -> Error {
    Error::new("cargo cannot be started").because(error).fix("install Rust with rustup: https://rustup.rs")
}

/// The standard library for the target must be there: cargo's own message for it is long and misleading.
fn has_target(directory: &Path) -> Result<(), Error> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let found = Command::new(rustc)
        .current_dir(directory)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| no_cargo(&error))?;
    let folder = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim());
    let has_core = std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok()));
    if found.status.success() && has_core {
        return Ok(());
    }
    Err(Error::new(format!(
        "Rust cannot build for {TARGET} here: its standard library for that target is not installed"
    ))
    .fix(format!("run `rustup target add {TARGET}` in {}", directory.display())))
}

/// `strategy` where the workspace has such a profile.
fn profile(directory: &Path) -> Result<String, Error> {
    let metadata = cargo(directory)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| no_cargo(&error))?;
    let metadata: Value = serde_json::from_slice(&metadata.stdout)
        .map_err(|_| Error::new("cargo does not understand the crate: see its message above"))?;
    let manifest = Path::new(&cell(&metadata, "workspace_root")).join("Cargo.toml");
    let manifest = std::fs::read_to_string(&manifest).map_err(|error| Error::file("read", &manifest, &error))?;
    let has_profile = manifest.lines().any(|line| line.trim() == "[profile.strategy]");
    Ok(if has_profile { "strategy" } else { "release" }.into())
}

/// The core module that the build made. What the compiler says goes to standard error as it comes.
fn cargo_build(directory: &Path, profile: &str) -> Result<PathBuf, Error> {
    let mut child = cargo(directory)
        .args(["build", "--lib", "--target", TARGET, "--profile", profile])
        .args(["--message-format", "json-render-diagnostics"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| no_cargo(&error))?;
    let manifest =
        std::path::absolute(directory.join("Cargo.toml")).and_then(std::fs::canonicalize).unwrap_or_default();
    let mut module = None;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let message: Value = serde_json::from_str(&line).unwrap_or_default();
            let is_this = std::fs::canonicalize(cell(&message, "manifest_path")).is_ok_and(|path| path == manifest);
            let files =
                message.get("filenames").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            if is_this {
                module = files.map(PathBuf::from).find(|file| file.extension().is_some_and(|e| e == "wasm")).or(module);
            }
        }
    }
    let status = child.wait().map_err(|error| no_cargo(&error))?;
    if !status.success() {
        return Err(Error::new("the strategy does not compile: see the messages above"));
    }
    module.ok_or_else(|| {
        Error::new("the build made no module")
            .at(manifest.display().to_string())
            .fix("add to it: [lib] crate-type = [\"cdylib\", \"rlib\"]")
    })
}
