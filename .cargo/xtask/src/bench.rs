//! Benchmarks: the `[[bench]]` targets of the package `signalbox-tests`, each held to its bars.
//!
//! A benchmark writes its rows, a JSON list of `{name, value, unit, bar, met, conditions}`, to the file that
//! `SIGNALBOX_BENCH_OUT` names; a row that reports and is held to nothing has the bar `null`. What it prints is for people.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo::{self, cargo};
use crate::{build, setup};

const PACKAGE: &str = "signalbox-tests";

/// Share of the processors that may be busy with something else.
const BUSY_MAX: f64 = 0.1;

/// Runs those that are named, or all, and fails where a bar is not met.
pub fn run(names: &[String]) -> Result<()> {
    let known = known()?;
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        bail!("there is no benchmark `{name}`; there are: {}", known.join(", "));
    }
    let wanted = if names.is_empty() { &known } else { names };
    setup::run()?;
    build::run()?;
    let compile = ["bench", "--profile", "release", "--workspace", "--benches", "--no-run"];
    cargo::run(&mut cargo(&compile)?)?;

    let folder = cargo::root().join("target/bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut table = Vec::new();
    for name in wanted {
        warn_unless_idle();
        let out = folder.join(format!("{name}.json"));
        let _ = std::fs::remove_file(&out);
        let mut bench = cargo(&["bench", "--profile", "release", "--workspace", "--bench", name])?;
        cargo::run(bench.env("SIGNALBOX_BENCH_OUT", &out))?;
        for row in rows(&out)? {
            table.push((name.clone(), row));
        }
    }
    print(&table);
    let missed = table.iter().filter(|(_, row)| row["met"] == false).count();
    if missed > 0 {
        bail!("{missed} of {} bars are not met", table.iter().filter(|(_, row)| !row["bar"].is_null()).count());
    }
    Ok(())
}

fn known() -> Result<Vec<String>> {
    let metadata = cargo::output(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"])?)?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let each = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let packages = each(&metadata, "packages");
    let package = packages.iter().find(|package| package["name"] == PACKAGE).context("the tests' package is gone")?;
    let benches = each(package, "targets").into_iter().filter(|target| target["kind"][0] == "bench");
    Ok(benches.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect())
}

fn rows(file: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("the benchmark wrote no {}", file.display()))?;
    let rows: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let rows = rows.as_array().cloned().with_context(|| format!("{} is not a list", file.display()))?;
    if rows.is_empty() {
        bail!("{} has no rows", file.display());
    }
    Ok(rows)
}

fn print(table: &[(String, Value)]) {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let met = |row: &Value| match row["met"].as_bool() {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "-",
    };
    let mut lines: Vec<[String; 6]> = vec![["benchmark", "what", "value", "unit", "bar", "met"].map(str::to_owned)];
    lines.extend(table.iter().map(|(bench, row)| {
        [
            bench.clone(),
            text(&row["name"]),
            text(&row["value"]),
            text(&row["unit"]),
            text(&row["bar"]),
            met(row).to_owned(),
        ]
    }));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    println!();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

/// A busy machine measures itself: a thread that is woken waits for the scheduler, up to 4 ms at a time.
fn warn_unless_idle() {
    let before = processors();
    std::thread::sleep(Duration::from_secs(1));
    let (Some((busy_before, all_before)), Some((busy, all))) = (before, processors()) else { return };
    let share = busy.saturating_sub(busy_before) as f64 / all.saturating_sub(all_before).max(1) as f64;
    if share > BUSY_MAX {
        eprintln!("warning: the machine is not idle ({:.0} % busy): these numbers say less", 100.0 * share);
    }
}

/// Ticks of all processors: busy, and in total.
fn processors() -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = stat.lines().next()?.split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    let all = ticks.iter().take(8).sum::<u64>();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((all - idle, all))
}
