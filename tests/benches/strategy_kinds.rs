//! What isolation costs each of the reference strategies: a call in a fresh sandbox, until its answer is there, beside the
//! same call on a warm instance. What clearing up after the answer takes stands beside it.
//!
//! Screening with 20 rules on 1 KB, content analysis with the categories of real messages where those are there, auto-reply
//! and forward with the settings that their documentation shows, in an account that answers whatever they ask.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use signalbox::strategy::{Grants, ObjectKind, RenderedText};
use signalbox_engine::{ClockReading, Entry, Request, UnixMillis};
use signalbox_tests::{
    Calls, Local, Report, banking77, email_of_1_kb, fresh_and_warm, screening, small_model, strategy_file, train,
};

const CALLS: usize = 20_000;

/// Of all that a call costs, the sandbox.
const SANDBOX_US: f64 = 10.0;

/// The same, with what is done after the answer.
const CLEARED_US: f64 = 30.0;

/// An account that has whatever it is asked for.
struct Account;

impl Grants for Account {
    fn statistic(&self, _: ObjectKind, _: &str, _: &str) -> Option<f64> {
        Some(7.0)
    }

    fn lookup(&self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn is_open(&self, _: &str, _: UnixMillis) -> Option<bool> {
        Some(true)
    }

    fn next_opening(&self, _: &str, after: UnixMillis) -> Option<UnixMillis> {
        Some(after)
    }

    fn clock(&self, _: &str, _: UnixMillis) -> Option<ClockReading> {
        None
    }

    fn closes_at(&self, _: &str, after: UnixMillis) -> Option<UnixMillis> {
        Some(after)
    }

    fn render(&self, _: &str, _: Option<&str>, _: &[Entry], _: &Request) -> Option<RenderedText> {
        Some((Some("We have your message".into()), "Dear customer, we are on it.".into()))
    }
}

fn main() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let (model, of) = match banking77() {
        Some(input) => (train(&input, "text", "category", directory.path(), &[])?, "77 categories"),
        None => (small_model(directory.path())?, "3 categories"),
    };
    let local = Local::start()?;
    let mut report =
        Report::new(&format!("{CALLS} calls of each kind in turns, one thread, {of}; {}", local.description()));
    let model: [(&str, &Path); 1] = [("model", &model)];
    // Name, settings, assets, and what the whole call may take at p50 and p99.
    type Kind<'a> = (&'a str, Value, &'a [(&'a str, &'a Path)], Option<f64>, Option<f64>);
    let kinds: [Kind<'_>; 4] = [
        ("screening", screening(), &[], Some(16.0), Some(25.0)),
        ("content-analysis", json!({"threshold": 30}), &model, Some(60.0), None),
        ("auto-reply", example("auto-reply")?, &[], None, None),
        ("forward", example("forward")?, &[], None, None),
    ];
    let grants: Arc<dyn Grants> = Arc::new(Account);
    let request = email_of_1_kb()?;
    for (name, settings, assets, p50, p99) in kinds {
        let deployment = local.deploy(&strategy_file(name)?, &settings, assets)?;
        let first =
            deployment.call(&request, &grants).outcome.map_err(|failure| anyhow::anyhow!("{name}: {failure}"))?;
        let Calls { mut fresh, mut cleared, mut warm } =
            fresh_and_warm(&deployment, &request, &grants, &first.outcome, CALLS)?;
        let (fresh_50, warm_50) = (fresh.quantile_us(0.5), warm.quantile_us(0.5));
        report.at_most(
            &format!("{name}: fresh sandbox until the answer, above warm instance, p50"),
            fresh_50 - warm_50,
            "us",
            SANDBOX_US,
        );
        let mut held = |what: String, value, bar: Option<f64>| match bar {
            Some(bar) => report.at_most(&what, value, "us", bar),
            None => report.figure(&what, value, "us"),
        };
        held(format!("{name}: until the answer, p50"), fresh_50, p50);
        held(format!("{name}: until the answer, p99"), fresh.quantile_us(0.99), p99);
        // Nobody waits for it; but what a thread does for a call bounds how many it makes.
        held(
            format!("{name}: until its thread is free again, p50"),
            cleared.quantile_us(0.5),
            Some(CLEARED_US + warm_50),
        );
        held(format!("{name}: warm instance, p50"), warm_50, None);
    }
    report.write()
}

fn example(strategy: &str) -> Result<Value> {
    let file = format!("{}/../strategies/{strategy}/settings.example.json", env!("CARGO_MANIFEST_DIR"));
    Ok(serde_json::from_slice(&std::fs::read(&file).context(file)?)?)
}
