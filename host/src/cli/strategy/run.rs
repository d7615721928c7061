//! `signalbox strategy run`: one request, and all that can be told of the call.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::local;
use super::occasion::Occasion;
use super::trial::{Trial, Tried};
use crate::cli::error::Error;
use crate::cli::output::{Output, bytes, cell, duration, text};
use crate::strategy::{CallResult, Counted, Purpose};

/// Calls after the first; the fastest of them is told.
const REPEATED: usize = 20;

/// Longest time for those.
const REPEATED_TIME: Duration = Duration::from_secs(2);

/// Calls a strategy with one request, in a sandbox of this process.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox strategy run triage.wasm --settings settings.json --request cases/a-vip-goes-first.json
  echo '{\"media_type\": \"email\", \"body\": \"A refund, please.\"}' | signalbox strategy run triage.wasm --request -

Prints the decision, what the strategy logged and asked, times, memory and instructions. Times are of the first call, which
finds nothing mapped yet, and the fastest of 20 more. Instructions, and memory touched, are counted in a call of their own
that is not timed, since counting takes time itself. A trap says files and lines where the component was built with them.")]
pub(super) struct Run {
    /// The component.
    component: PathBuf,
    #[command(flatten)]
    occasion: Occasion,
}

impl Run {
    pub fn run(self, output: &Output) -> Result<(), Error> {
        let read = self.occasion.read()?;
        let component = local::read_with_lines(&self.component)?;
        let tried = read.deploy(&Trial::new(Purpose::Authoring)?, &component, &self.component)?;
        let call = || tried.deployment.call(&read.request, &read.grants);
        let first = call();
        let began = std::time::Instant::now();
        let repeated = (0..REPEATED).take_while(|_| began.elapsed() < REPEATED_TIME).map(|_| call());
        let fastest = repeated.min_by_key(took).unwrap_or_else(|| first.clone());
        let counting = Trial::new(Purpose::Counting)?.again(&tried)?;
        // The first one's count has the server's own pages in it.
        let _ = counting.count(&read.request, &read.grants);
        let counted = counting.count(&read.request, &read.grants);

        let document = document(&tried, &first, &fastest, &counted);
        output.result(&document, described)?;
        match first.outcome {
            Ok(_) => Ok(()),
            Err(failure) => Err(Error::new(failure.to_string()).code(Some(failure.code().into()))),
        }
    }
}

fn took(result: &CallResult) -> u64 {
    result.record.instantiate_ns + result.record.guest_ns
}

fn document(tried: &Tried, first: &CallResult, fastest: &CallResult, counted: &Counted) -> Value {
    let time = |result: &CallResult| {
        json!({
            "instantiate_ns": result.record.instantiate_ns, "guest_ns": result.record.guest_ns,
        })
    };
    let granted: Vec<_> = first
        .record
        .granted
        .iter()
        .map(|granted| {
            // `{"Number": 3.0}`: the kind says nothing more.
            let answer = serde_json::to_value(&granted.answer).unwrap_or_default();
            let answer = answer.as_object().and_then(|kinds| kinds.values().next().cloned()).unwrap_or_default();
            json!({ "question": granted.question.to_string(), "answer": answer })
        })
        .collect();
    let mut document = json!({
        "deploy_ms": u64::try_from(tried.took.as_millis()).unwrap_or(u64::MAX),
        "snapshotted": tried.installed.snapshotted,
        "configure_log": tried.log(),
        "log": first.record.log,
        "granted": granted,
        "time": { "first": time(first), "fastest": time(fastest) },
        "memory_bytes": first.record.memory_bytes,
        "touched_bytes": counted.touched_bytes,
        "instructions": counted.instructions,
    });
    match &first.outcome {
        Ok(decision) => document["decision"] = json!(decision),
        Err(failure) => document["failure"] = json!(failure),
    }
    document
}

fn described(document: &Value) -> String {
    let number = |name: &str| document.pointer(name).and_then(Value::as_u64).unwrap_or_default();
    let items = |name: &str| document.pointer(name).and_then(Value::as_array).into_iter().flatten();
    let mut lines = Vec::new();
    let mut say = |name: &str, text: String| lines.push(format!("{name:13}{text}"));
    if let Some(decision) = document.get("decision") {
        say("outcome", cell(decision, "outcome"));
        for action in items("/decision/actions") {
            say("action", action.to_string());
        }
        say("reason", cell(decision, "reason"));
    }
    for line in items("/configure_log") {
        say("configured", format!("{:6}{}", cell(line, "level"), cell(line, "message")));
    }
    for line in items("/log") {
        say("log", format!("{:6}{}", cell(line, "level"), cell(line, "message")));
    }
    for granted in items("/granted") {
        let answer = granted.get("answer").filter(|answer| !answer.is_null()).map_or("nothing".into(), text);
        say("asked", format!("{}: {answer}", cell(granted, "question")));
    }
    let configured = match document.get("snapshotted").and_then(Value::as_bool) {
        Some(true) => "configured once",
        _ => "configured for every call: its memory cannot be kept",
    };
    say("deployed", format!("in {}, {configured}", duration(Duration::from_millis(number("/deploy_ms")))));
    let time = |which: &str| {
        let part = |name: &str| micros(number(&format!("/time/{which}/{name}")));
        format!("instantiate {}, strategy {}", part("instantiate_ns"), part("guest_ns"))
    };
    say("time", format!("{} (the first call: {})", time("fastest"), time("first")));
    let (memory, touched) = (bytes(number("/memory_bytes")), bytes(number("/touched_bytes")));
    say("memory", format!("{memory}, of which the call touched {touched}"));
    say("instructions", grouped(number("/instructions")));
    lines.join("\n")
}

/// Nanoseconds as microseconds, to a tenth.
pub(super) fn micros(ns: u64) -> String {
    format!("{:.1} µs", ns as f64 / 1e3)
}

/// A count with its thousands apart.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_stand_apart() {
        let said = [7, 999, 1000, 1_234_567].map(super::grouped);
        assert_eq!(said, ["7", "999", "1,000", "1,234,567"]);
    }
}
