//! A plain crate, built by cargo: the core module that a component is made of.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::cli::error::Error;
use crate::cli::output::{Output, cell};

const TARGET: &str = "wasm32-unknown-unknown";

/// What cargo takes for `debug` of the profile `release`.
const RELEASE_DEBUG: &str = "CARGO_PROFILE_RELEASE_DEBUG";

/// Builds the crate in a folder; answers with its module. Without a profile: `strategy` where the workspace has one, else
/// `release`.
pub(super) fn build(directory: &Path, wanted: Option<&str>, output: &Output) -> Result<PathBuf, Error> {
    has_target(directory)?;
    let profile = wanted.map_or_else(|| profile(directory), |profile| Ok(profile.to_owned()))?;
    let began = Instant::now();
    let module = cargo_build(directory, &profile)?;
    output.timed(&format!("built {}", module.display()), began.elapsed());
    Ok(module)
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
    let mut command = cargo(directory);
    if profile == "release" && std::env::var_os(RELEASE_DEBUG).is_none() {
        // Nobody thinks of it for a plain crate, and a trap would name no file and no line.
        command.env(RELEASE_DEBUG, "line-tables-only");
    }
    let mut child = command
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
