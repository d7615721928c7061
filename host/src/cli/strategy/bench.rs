//! `signalbox strategy bench`: what a call costs, beside another version where one is given.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::local;
use super::occasion::{Occasion, Read};
use super::run::grouped;
use super::trial::{Trial, Tried};
use crate::cli::error::Error;
use crate::cli::output::{Output, bytes, table};
use crate::strategy::Purpose;

/// Calls of one component at a time, before it is the other's turn.
const TURN: usize = 50;

/// Longest time for the calls of one kind.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Measures calls of a strategy: in a fresh sandbox each as the server makes them, and in one that stays.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox strategy bench triage.wasm --settings settings.json
  signalbox strategy bench triage.wasm --settings settings.json --against triage-before.wasm --calls 10000

A call in a fresh sandbox is timed until its answer; then the sandbox is thrown away and the next one made ready, while nobody
waits. The two take turns, so that a busy machine is busy for both. Instructions, and memory touched, are counted apart from what is
timed, since counting takes time itself.")]
pub(super) struct Bench {
    /// The component.
    component: PathBuf,
    #[command(flatten)]
    occasion: Occasion,
    /// Another component, measured beside it.
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Calls of each kind; fewer where they take longer than 20 s.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    calls: u32,
}

/// What one component costs.
#[derive(Debug, Serialize)]
struct Figures {
    component: String,
    size_bytes: u64,
    deploy_ms: f64,
    /// False: configured for every call.
    snapshotted: bool,
    calls: usize,
    fresh_p50_us: f64,
    fresh_p99_us: f64,
    /// Until the sandbox is thrown away and the next one made ready, which nobody waits for.
    cleared_p50_us: f64,
    warm_p50_us: f64,
    memory_bytes: u64,
    touched_bytes: u64,
    instructions: u64,
}

impl Bench {
    pub fn run(self, output: &Output) -> Result<(), Error> {
        let read = self.occasion.read()?;
        let files: Vec<&Path> =
            [Some(&self.component), self.against.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect();
        let trial = Trial::new(Purpose::Serving)?;
        let mut measured = Vec::new();
        for file in &files {
            measured.push(Measured::new(file, read.deploy(&trial, &local::read(file)?, file)?, &read)?);
        }
        let calls = usize::try_from(self.calls).unwrap_or(usize::MAX);
        output.step(&format!("{calls} calls of each kind"));
        in_turns(&mut measured, calls, |one, timed| one.fresh_call(&read, timed))?;
        in_turns(&mut measured, calls, |one, timed| one.warm_call(&read, timed))?;
        let counting = Trial::new(Purpose::Counting)?;
        let figures: Vec<Figures> =
            measured.into_iter().map(|one| one.figures(&counting, &read)).collect::<Result<_, _>>()?;
        output.result(&json!({ "figures": figures }), |_| shown(&figures))
    }
}

/// One component while it is measured.
struct Measured<'a> {
    file: &'a Path,
    tried: Tried,
    warm: crate::strategy::Warm,
    fresh_ns: Vec<u64>,
    cleared_ns: Vec<u64>,
    warm_ns: Vec<u64>,
    memory_bytes: u64,
}

/// All of them, some calls each in turn, a tenth first that does not count.
fn in_turns(
    measured: &mut [Measured<'_>],
    calls: usize,
    mut call: impl FnMut(&mut Measured<'_>, Timed) -> Result<(), Error>,
) -> Result<(), Error> {
    for one in measured.iter_mut() {
        for _ in 0..calls.div_ceil(10).min(200) {
            call(one, Timed::No)?;
        }
    }
    let began = Instant::now();
    let mut left = calls;
    while left > 0 && began.elapsed() < TIME_MAX {
        let turn = left.min(TURN);
        for one in measured.iter_mut() {
            for _ in 0..turn {
                call(one, Timed::Yes)?;
            }
        }
        left -= turn;
    }
    Ok(())
}

/// Whether a call counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timed {
    No,
    Yes,
}

impl<'a> Measured<'a> {
    fn new(file: &'a Path, tried: Tried, read: &Read) -> Result<Self, Error> {
        let fails = |failure: &signalbox_engine::Failure| {
            Error::new(failure.to_string())
                .at(file.display().to_string())
                .code(Some(failure.code().into()))
                .fix("give a request that the strategy decides about, with --request")
        };
        let result = tried.deployment.call(&read.request, &read.grants);
        result.outcome.map_err(|failure| fails(&failure))?;
        let warm = tried.deployment.warm().map_err(|failure| fails(&failure))?;
        let memory_bytes = result.record.memory_bytes;
        Ok(Self { file, tried, warm, fresh_ns: vec![], cleared_ns: vec![], warm_ns: vec![], memory_bytes })
    }

    fn fresh_call(&mut self, read: &Read, timed: Timed) -> Result<(), Error> {
        let began = Instant::now();
        let (result, spent) = self.tried.deployment.answer(&read.request, &read.grants);
        let took = began.elapsed();
        spent.clear();
        let cleared = began.elapsed();
        result.outcome.map_err(|failure| Error::new(failure.to_string()))?;
        if timed == Timed::Yes {
            self.fresh_ns.push(nanoseconds(took));
            self.cleared_ns.push(nanoseconds(cleared));
        }
        Ok(())
    }

    fn warm_call(&mut self, read: &Read, timed: Timed) -> Result<(), Error> {
        let began = Instant::now();
        let result = self.warm.call(&read.request, &read.grants);
        let took = began.elapsed();
        result.outcome.map_err(|failure| Error::new(failure.to_string()))?;
        if timed == Timed::Yes {
            self.warm_ns.push(nanoseconds(took));
        }
        Ok(())
    }

    fn figures(mut self, counting: &Trial, read: &Read) -> Result<Figures, Error> {
        let deployment = counting.again(&self.tried)?;
        // The first one's count has the server's own pages in it.
        let _ = deployment.count(&read.request, &read.grants);
        let counted = deployment.count(&read.request, &read.grants);
        let size = local::read(self.file)?.len();
        Ok(Figures {
            component: self.file.display().to_string(),
            size_bytes: u64::try_from(size).unwrap_or(u64::MAX),
            deploy_ms: self.tried.took.as_secs_f64() * 1e3,
            snapshotted: self.tried.installed.snapshotted,
            calls: self.fresh_ns.len(),
            fresh_p50_us: quantile_us(&mut self.fresh_ns, 50),
            fresh_p99_us: quantile_us(&mut self.fresh_ns, 99),
            cleared_p50_us: quantile_us(&mut self.cleared_ns, 50),
            warm_p50_us: quantile_us(&mut self.warm_ns, 50),
            memory_bytes: self.memory_bytes,
            touched_bytes: counted.touched_bytes,
            instructions: counted.instructions,
        })
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn quantile_us(ns: &mut [u64], percent: usize) -> f64 {
    ns.sort_unstable();
    let at = ns.len().saturating_sub(1) * percent / 100;
    ns.get(at).map_or(0.0, |ns| *ns as f64 / 1e3)
}

fn shown(figures: &[Figures]) -> String {
    type Figure = (&'static str, fn(&Figures) -> f64, fn(f64) -> String);
    let rows: [Figure; 9] = [
        ("size", |f| f.size_bytes as f64, |v| bytes(v as u64)),
        ("deploy", |f| f.deploy_ms, |v| format!("{v:.0} ms")),
        ("to the answer, p50", |f| f.fresh_p50_us, |v| format!("{v:.1} µs")),
        ("to the answer, p99", |f| f.fresh_p99_us, |v| format!("{v:.1} µs")),
        ("and cleared up, p50", |f| f.cleared_p50_us, |v| format!("{v:.1} µs")),
        ("on a warm instance, p50", |f| f.warm_p50_us, |v| format!("{v:.1} µs")),
        ("memory", |f| f.memory_bytes as f64, |v| bytes(v as u64)),
        ("memory touched", |f| f.touched_bytes as f64, |v| bytes(v as u64)),
        ("instructions", |f| f.instructions as f64, |v| grouped(v as u64)),
    ];
    let row = |(name, of, text): &Figure| {
        let mut cells = vec![(*name).to_owned()];
        cells.extend(figures.iter().map(|figures| text(of(figures))));
        if let [this, other] = figures {
            let ratio = of(this) / of(other);
            cells.push(if ratio.is_finite() { format!("{ratio:.2}") } else { String::new() });
        }
        cells
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    let mut headings = vec![""];
    headings.extend(figures.iter().map(|figures| figures.component.as_str()));
    if figures.len() == 2 {
        headings.push("ratio");
    }
    let mut text = table(&headings, &rows);
    for figures in figures.iter().filter(|figures| !figures.snapshotted) {
        text.push_str(&format!("\n{} is configured for every call: its memory cannot be kept", figures.component));
    }
    text
}
