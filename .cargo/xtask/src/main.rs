//! `cargo xtask`: sets up, builds, shows, tests and measures Signalbox with one command each.
//!
//! Knows cargo, the server's command line and files; links nothing of the server, so that it compiles in seconds on a
//! machine that has none of what the server needs yet. It prints every command that it runs.

mod bench;
mod build;
mod cargo;
mod demo;
mod setup;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
cargo xtask COMMAND

  setup                 Installs what building needs: libclang by apt-get, the wasm target by rustup
  build                 Builds the strategies to target/strategies/NAME.wasm, and the server
  demo                  Starts a server, deploys a workflow, feeds it messages, says what became of them, stays up
    --once              Ends after the report; fails where the numbers do not add up
    --input FILE        Feeds this .csv, .tsv or .jsonl file in place of the messages shipped (tests/demo)
    --text COLUMN       Its column of the text
    --label COLUMN      Its column of the category: the model is then trained from it
    --no-header         Its first line is a record already
    --listen ADDRESS    Where the server listens; 127.0.0.1:8080, or a free port where that is taken
  test [ARGUMENTS]      Every test; arguments go to cargo-nextest, or to `cargo test` where that is not installed
  bench [NAME...]       Benchmarks: a table with each bar, and target/bench/NAME.json

Compiled files are kept in $CARGO_TARGET_DIR, else in ~/.cache/signalbox/target, so that they outlive a checkout.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        println!("{HELP}");
        return Ok(());
    };
    match command.as_str() {
        "setup" if rest.is_empty() => setup::run(),
        "build" if rest.is_empty() => {
            setup::run()?;
            build::run().map(drop)
        }
        "demo" => demo::run(&demo::Options::parse(rest)?),
        "test" => test::run(rest),
        "bench" => bench::run(rest),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        "setup" | "build" => bail!("`cargo xtask {command}` takes no arguments"),
        other => bail!("there is no command `{other}`\n\n{HELP}"),
    }
}
