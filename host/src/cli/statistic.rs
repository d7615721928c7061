//! `signalbox statistic`: what is measured, and the figures.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Body, Client, Connection};
use super::document::{name_in, read_json};
use super::error::Error;
use super::output::{Output, cell, table};
use super::workflow::items;

/// Defines statistics over queues, agents, places, groups, workflows and strategies, and shows their figures.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox statistic put service-level.json
  signalbox statistic list
  signalbox statistic get billing-level
  signalbox statistic delete billing-level
  signalbox statistic watch billing-level billing-wait --refresh-ms 500

A file holds one definition, or a list of them:
  { \"name\": \"billing-level\", \"object\": { \"kind\": \"queue\", \"name\": \"billing\" },
    \"measure\": { \"kind\": \"service-factor\", \"answered_within_ms\": 20000, \"abandoned_within_ms\": 5000 },
    \"profile\": { \"kind\": \"sliding\", \"window_ms\": 900000, \"step_ms\": 60000 },
    \"filter\": { \"media_type\": \"chat\" } }")]
pub(super) struct Statistic {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Defines the statistics of these JSON files. One that stands begins anew.
    Put {
        /// JSON files; `-` reads standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Lists all statistics with their figures.
    List,
    /// Shows a statistic with its figure.
    Get {
        /// The statistic.
        statistic: String,
    },
    /// Deletes a statistic and what it has counted.
    Delete {
        /// The statistic.
        statistic: String,
    },
    /// Prints figures whenever they have changed, until it is interrupted.
    Watch {
        /// Statistics.
        #[arg(required = true, value_name = "STATISTIC")]
        statistics: Vec<String>,
        /// How often to look, in milliseconds.
        #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
        refresh_ms: u64,
    },
}

impl Statistic {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let client = self.connection.client()?;
        match self.command {
            Command::Put { files } => {
                let mut put = Vec::new();
                for file in &files {
                    let document = read_json(file)?;
                    let all = document.as_array().cloned().unwrap_or_else(|| vec![document]);
                    for statistic in &all {
                        let name = name_in(statistic, file)?;
                        client.send(Method::PUT, &["statistics", &name], Body::Json(statistic)).await?;
                        put.push(name);
                    }
                }
                output.result(&json!({ "statistics": put }), |_| format!("put {}", put.join(", ")))
            }
            Command::List => {
                let all = json!({ "items": client.list(&["statistics"]).await? });
                output.result(&all, |all| {
                    let rows: Vec<_> = items(all).iter().map(row).collect();
                    table(&["statistic", "object", "measure", "value", "unit"], &rows)
                })
            }
            Command::Get { statistic } => {
                let view = client.get(&["statistics", &statistic], &[]).await?;
                output.result(&view, |view| table(&["statistic", "object", "measure", "value", "unit"], &[row(view)]))
            }
            Command::Delete { statistic } => {
                let gone = client.send(Method::DELETE, &["statistics", &statistic], Body::Empty).await?;
                output.result(&gone, |_| format!("deleted {statistic}"))
            }
            Command::Watch { statistics, refresh_ms } => watch(&client, &statistics, refresh_ms, output).await,
        }
    }
}

async fn watch(client: &Client, statistics: &[String], refresh_ms: u64, output: &Output) -> Result<(), Error> {
    let mut shown = vec![None; statistics.len()];
    loop {
        for (statistic, shown) in statistics.iter().zip(&mut shown) {
            let view = client.get(&["statistics", statistic], &[]).await?;
            let figure = view.get("figure").cloned().unwrap_or_default();
            let value = value(&view);
            if shown.as_ref() != Some(&value) {
                output.result(&figure, |figure| format!("{statistic} {value} {}", cell(figure, "unit")))?;
                *shown = Some(value);
            }
        }
        tokio::time::sleep(Duration::from_millis(refresh_ms)).await;
    }
}

fn row(view: &Value) -> Vec<String> {
    let object = [cell(view, "object.kind"), cell(view, "object.workflow"), cell(view, "object.name")];
    let object: Vec<String> = object.into_iter().filter(|part| !part.is_empty()).collect();
    vec![cell(view, "name"), object.join(" "), cell(view, "measure.kind"), value(view), cell(view, "figure.unit")]
}

/// A figure in a few characters; `-` where there is none.
fn value(view: &Value) -> String {
    let buckets = view.pointer("/figure/buckets").and_then(Value::as_array);
    let counts = buckets.map(|all| all.iter().map(|bucket| cell(bucket, "count")).collect::<Vec<_>>().join(" / "));
    let number = view.pointer("/figure/value").and_then(Value::as_f64);
    counts
        .or_else(|| number.map(|number| ((number * 1000.0).round() / 1000.0).to_string()))
        .unwrap_or_else(|| "-".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_shown_shortly() {
        assert_eq!(value(&json!({ "figure": { "value": 2.0 / 3.0 } })), "0.667");
        assert_eq!(value(&json!({ "figure": { "value": 3.0 } })), "3");
        assert_eq!(
            value(&json!({ "figure": { "buckets": [{ "up_to_ms": 5, "count": 2 }, { "count": 0 }] } })),
            "2 / 0"
        );
        assert_eq!(value(&json!({})), "-");
    }
}
