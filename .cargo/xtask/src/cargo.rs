//! Commands: where they run, what they inherit, and how they fail.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The checkout.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where compiled files are kept: outside the checkout, for RocksDB and Wasmtime take many minutes to compile.
pub fn target_dir() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(directory) = set("CARGO_TARGET_DIR") {
        return Ok(root().join(directory));
    }
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    Ok(cache.context("neither CARGO_TARGET_DIR nor HOME is set")?.join("signalbox/target"))
}

/// A command in the checkout.
pub fn command(program: impl AsRef<Path>) -> Result<Command> {
    let mut command = Command::new(program.as_ref());
    command.current_dir(root()).env("CARGO_TARGET_DIR", target_dir()?);
    // What `cargo run` said of this program would look like a change to build scripts, which then run again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    Ok(command)
}

/// Cargo, of the toolchain that this program was started with.
pub fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = command(std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from))?;
    command.args(arguments);
    Ok(command)
}

/// Says what is run, runs it, and fails where it fails.
pub fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", said(command));
    let status = command.status().with_context(|| format!("{} cannot be started", said(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", said(command));
    }
    Ok(())
}

/// Whether it runs well; nothing is printed.
pub fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// What it writes to standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{} cannot be started", said(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}: {}", said(command), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The command as one would type it in the checkout.
fn said(command: &Command) -> String {
    let root = root();
    let short = |text: &std::ffi::OsStr| {
        let path = Path::new(text);
        path.strip_prefix(&root).unwrap_or(path).display().to_string()
    };
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program.to_string_lossy().into_owned()).chain(command.get_args().map(short));
    words.collect::<Vec<_>>().join(" ")
}
