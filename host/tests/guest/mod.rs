//! Strategies of this repository, built for tests as an author builds them.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::{Path, PathBuf};
use std::process::Command;

use signalbox::strategy::componentize;

/// The core module of a crate of this workspace. Cargo makes it once; then this is quick.
pub fn module(package: &str) -> Vec<u8> {
    built(package, "guests", &[])
}

/// The component of a crate of this workspace.
pub fn component(package: &str) -> Vec<u8> {
    componentize(&module(package)).expect("the crate exports the world")
}

/// The same with files and lines, for the message of a trap.
pub fn component_with_lines(package: &str) -> Vec<u8> {
    let lines = [("CARGO_PROFILE_STRATEGY_DEBUG", "line-tables-only"), ("CARGO_PROFILE_STRATEGY_STRIP", "none")];
    componentize(&built(package, "guests-with-lines", &lines)).expect("the crate exports the world")
}

fn built(package: &str, folder: &str, environment: &[(&str, &str)]) -> Vec<u8> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the folder for tests is in the target folder")
        .join(folder);
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--profile",
            "strategy",
            "--target",
            "wasm32-unknown-unknown",
            "--lib",
            "--package",
            package,
        ])
        .arg("--manifest-path")
        .arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .envs(environment.iter().copied())
        .status()
        .expect("cargo runs");
    assert!(
        status.success(),
        "cargo builds {package}; `rustup target add wasm32-unknown-unknown` where the target is missing"
    );
    let file = target.join("wasm32-unknown-unknown/strategy").join(format!("{}.wasm", package.replace('-', "_")));
    std::fs::read(file).expect("cargo wrote the module")
}
