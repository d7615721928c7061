//! A call in a fresh sandbox beside a call of the same strategy in Extism's host, whose plug-in is kept between calls.
//!
//! Extism brings another version of Wasmtime, so its side is a program of its own (`extism/`, with its own lock file), which
//! is compiled when this runs: many minutes the first time. Both sides take turns. Extism's way in and out is JSON.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use signalbox::strategy::{Grants, Nothing};
use signalbox_tests::{Local, Nanos, Report, answered, as_json, email_of_1_kb, screening, strategy_file};

const ROUNDS: usize = 200;
const TURN: usize = 100;

fn main() -> Result<()> {
    let (program, plugin) = built()?;
    let directory = tempfile::tempdir()?;
    let (settings, asked) = (directory.path().join("settings.json"), directory.path().join("request.json"));
    let request = email_of_1_kb()?;
    std::fs::write(&settings, screening().to_string())?;
    std::fs::write(&asked, as_json(&request).to_string())?;
    let mut child = Command::new(program)
        .args([&plugin, &settings, &asked])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("its input is a pipe")?;
    let mut output = BufReader::new(child.stdout.take().context("its output is a pipe")?);

    let local = Local::start()?;
    let deployment = local.deploy(&strategy_file("screening")?, &screening(), &[])?;
    let grants: Arc<dyn Grants> = Arc::new(Nothing);
    let (mut ours, mut cleared, mut theirs) = (Nanos::default(), Nanos::default(), Nanos::default());
    for round in 0..ROUNDS + ROUNDS / 10 {
        let (mut turn, mut turn_cleared) = (Nanos::default(), Nanos::default());
        for _ in 0..TURN {
            let (until_answer, until_free) = answered(&deployment, &request, &grants, "clean")?;
            turn.add(until_answer);
            turn_cleared.add(until_free);
        }
        writeln!(input, "{TURN}")?;
        let mut line = String::new();
        ensure!(output.read_line(&mut line)? > 0, "the other side has ended");
        let nanos: Vec<u64> = serde_json::from_str(&line)?;
        // The first rounds do not count.
        if round >= ROUNDS / 10 {
            ours.join(turn);
            cleared.join(turn_cleared);
            theirs.extend(nanos);
        }
    }
    drop(input);
    ensure!(child.wait()?.success(), "the other side has failed");

    let calls = ROUNDS * TURN;
    let conditions = format!(
        "screening, 20 rules on 1 KB, {calls} calls of each kind in turns; every call of ours in a fresh sandbox"
    );
    let mut report = Report::new(&conditions);
    for (quantile, name) in [(0.5, "p50"), (0.99, "p99")] {
        let (ours, cleared) = (ours.quantile_us(quantile), cleared.quantile_us(quantile));
        let theirs = theirs.quantile_us(quantile);
        report.at_least(&format!("Extism's call against ours, {name}"), theirs / ours, "ratio", 1.0);
        report.figure(&format!("call in a fresh sandbox, {name}"), ours, "us");
        report.figure(&format!("call in a fresh sandbox, until its thread is free again, {name}"), cleared, "us");
        report.figure(&format!("call of a kept plug-in in Extism, {name}"), theirs, "us");
    }
    report.write()
}

/// The program of the other side, and its plug-in.
fn built() -> Result<(PathBuf, PathBuf)> {
    let here = std::env::current_exe()?;
    let target = here.ancestors().nth(3).context("benchmarks run from the target folder")?.join("extism");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/extism/Cargo.toml");
    let cargo = |arguments: &[&str]| -> Result<()> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments).arg("--locked").arg("--manifest-path").arg(&manifest);
        // Another package's build scripts would take what cargo said of this one for theirs.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CARGO_PKG_")) {
            command.env_remove(name);
        }
        let status = command.env("CARGO_TARGET_DIR", &target).status()?;
        ensure!(status.success(), "cargo {} ended with {status}", arguments.join(" "));
        Ok(())
    };
    cargo(&["build", "--release", "--package", "in-extism"])?;
    let plugin = ["--package", "screening-plugin", "--target", "wasm32-unknown-unknown"];
    cargo(&[&["build", "--profile", "strategy"][..], &plugin].concat())?;
    let plugin = target.join("wasm32-unknown-unknown/strategy/screening_plugin.wasm");
    Ok((target.join("release/in-extism"), plugin))
}
