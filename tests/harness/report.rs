//! Rows of a benchmark, for people and for programs.

use anyhow::{Context, Result};
use serde::Serialize;

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it has to reach, in words; none where it is only reported.
    pub bar: Option<String>,
    /// Whether it does.
    pub met: Option<bool>,
    /// On what, and how.
    pub conditions: String,
}

/// The rows of one benchmark.
#[derive(Debug)]
pub struct Report {
    rows: Vec<Row>,
    conditions: String,
}

impl Report {
    /// A report of figures that were all taken under the same conditions.
    #[must_use]
    pub fn new(conditions: &str) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        Self { rows: Vec::new(), conditions: format!("{cores} cores; {conditions}") }
    }

    /// A figure that is only reported.
    pub fn figure(&mut self, name: &str, value: f64, unit: &'static str) {
        self.add(name, value, unit, None, None);
    }

    /// A figure that has to be at least so much.
    pub fn at_least(&mut self, name: &str, value: f64, unit: &'static str, bar: f64) {
        self.add(name, value, unit, Some(format!(">= {bar}")), Some(value >= bar));
    }

    /// A figure that may be at most so much.
    pub fn at_most(&mut self, name: &str, value: f64, unit: &'static str, bar: f64) {
        self.add(name, value, unit, Some(format!("<= {bar}")), Some(value <= bar));
    }

    fn add(&mut self, name: &str, value: f64, unit: &'static str, bar: Option<String>, met: Option<bool>) {
        let rounded = (value * 1000.0).round() / 1000.0;
        println!("{name}: {rounded} {unit} {}", bar.as_deref().unwrap_or_default());
        self.rows.push(Row { name: name.into(), value: rounded, unit, bar, met, conditions: self.conditions.clone() });
    }

    /// Writes the rows to the file that `SIGNALBOX_BENCH_OUT` names, if it is set.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self) -> Result<()> {
        let Some(file) = std::env::var_os("SIGNALBOX_BENCH_OUT") else { return Ok(()) };
        std::fs::write(&file, serde_json::to_vec_pretty(&self.rows)?).context("the rows cannot be written")
    }
}
