//! Strategies of this repository, built for tests as an author builds them.

use std::path::{Path, PathBuf};
use std::process::Command;

use signalbox::strategy::componentize;

/// The core module of a crate of this workspace. Cargo makes it once; then this is quick.
pub fn module(package: &str) -> Vec<u8> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the folder for tests is in the target folder")
        .join("guests");
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
        .status()
        .expect("cargo runs");
    assert!(
        status.success(),
        "cargo builds {package}; `rustup target add wasm32-unknown-unknown` where the target is missing"
    );
    let file = target.join("wasm32-unknown-unknown/strategy").join(format!("{}.wasm", package.replace('-', "_")));
    std::fs::read(file).expect("cargo wrote the module")
}

/// The component of a crate of this workspace.
pub fn component(package: &str) -> Vec<u8> {
    componentize(&module(package)).expect("the crate exports the world")
}
