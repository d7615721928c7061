//! Every test of the workspace.

use anyhow::Result;

use crate::cargo::{self, cargo, succeeds};
use crate::{build, setup};

/// Sets up, builds what tests start and deploy, and runs them all.
pub fn run(arguments: &[String]) -> Result<()> {
    setup::run()?;
    build::run()?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if succeeds(&mut cargo(&["nextest", "--version"])?) {
        cargo::run(cargo(&["nextest", "run", "--cargo-profile", "release", "--workspace"])?.args(&arguments))?;
        // cargo-nextest leaves out the examples in the documentation.
        if arguments.is_empty() {
            cargo::run(&mut cargo(&["test", "--release", "--workspace", "--doc"])?)?;
        }
        return Ok(());
    }
    cargo::run(cargo(&["test", "--release", "--workspace"])?.args(&arguments))
}
