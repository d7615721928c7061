//! Builds the server, and with it the strategies.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cargo::{self, cargo};

/// Builds all, and answers where the server's program is.
pub fn run() -> Result<PathBuf> {
    let signalbox = host()?;
    strategies(&signalbox)?;
    Ok(signalbox)
}

/// The whole workspace at a time: a part of it would be built with other features of the same crates, and those of
/// RocksDB and Wasmtime take many minutes.
fn host() -> Result<PathBuf> {
    cargo::run(&mut cargo(&["build", "--release", "--workspace"])?)?;
    Ok(cargo::target_dir()?.join("release/signalbox"))
}

/// Every crate under `strategies/`, and those that tests let loose, as `target/strategies/NAME.wasm`.
fn strategies(signalbox: &PathBuf) -> Result<()> {
    let out = cargo::root().join("target/strategies");
    std::fs::create_dir_all(&out).with_context(|| format!("{} cannot be made", out.display()))?;
    let mut crates: Vec<PathBuf> = Vec::new();
    for folder in ["strategies", "tests/guests"].map(|folder| cargo::root().join(folder)) {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        crates.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
    }
    crates.retain(|path| path.join("Cargo.toml").is_file());
    crates.sort();
    for path in crates {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = out.join(format!("{name}.wasm"));
        let mut command = cargo::command(signalbox)?;
        cargo::run(command.args(["strategy", "build"]).arg(&path).arg("--out").arg(&file))?;
    }
    Ok(())
}
