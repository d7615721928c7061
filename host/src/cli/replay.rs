//! `signalbox replay`: recorded decisions made again, and what would change.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Body, Client, Connection};
use super::error::Error;
use super::output::{Output, ago, cell, shortened, table};
use super::workflow::items;

/// Pause between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Makes recorded decisions again on another version, without effect, and shows what would change. The server does it with
/// the processors that nobody else wants, and keeps the report.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox replay --strategy screening-3 --against screening-4 --since 1d
  signalbox replay --strategy screening-3 --against screening-4 --where 'interaction.media_type == \"email\"'
  signalbox replay --strategy screening-3 --against screening-3      # it still decides as it did, bit for bit
  signalbox replay list                                              # reports that are kept, and what runs
  signalbox replay show replay-1
  signalbox replay delete replay-1                                   # or end it, where it runs

Exit code 1 with --max-changed where more decisions change or none was made again, 4 where the server could not finish it.")]
#[command(subcommand_negates_reqs = true)]
pub(super) struct Replay {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    new: Option<New>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists replays: those whose reports are kept, the one that runs, and those that failed since the server started.
    List,
    /// Shows a report that is kept, or how far a replay is.
    Show {
        /// The replay.
        name: String,
    },
    /// Ends a replay that runs, whose report then has what was done so far; or deletes a report.
    Delete {
        /// The replay.
        name: String,
    },
}

#[derive(Debug, Args)]
struct New {
    /// The deployment whose decisions were recorded.
    #[arg(long, value_name = "DEPLOYMENT")]
    strategy: String,
    /// The deployment that makes them again; it need not be bound.
    #[arg(long, value_name = "DEPLOYMENT")]
    against: String,
    /// Decisions of the last so many minutes, hours or days: 30m, 6h, 7d. Left out: all.
    #[arg(long, value_name = "TIME", value_parser = span)]
    since: Option<Duration>,
    /// Only those about interactions for which this CEL expression held.
    #[arg(long = "where", value_name = "CEL")]
    condition: Option<String>,
    /// Name of the report. Left out: the next free one.
    #[arg(long)]
    name: Option<String>,
    /// Share of the decisions that may leave by another outcome, do something else or fail. One that failed then and decides
    /// now is none of them.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    max_changed: Option<u8>,
}

fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "write it as 30m, 6h or 7d".to_owned();
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let found = units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, seconds) = found.ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

impl Replay {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let client = self.connection.client()?;
        match (self.command, self.new) {
            (Some(command), None) => command.run(&client, output).await,
            (None, Some(new)) => new.run(&client, output).await,
            (Some(_), Some(_)) => {
                Err(Error::usage("what is to be replayed and a command are there").fix("leave one of them out"))
            }
            (None, None) => Err(Error::usage("nothing says what to replay").fix("give --strategy and --against")),
        }
    }
}

impl Command {
    async fn run(self, client: &Client, output: &Output) -> Result<(), Error> {
        match self {
            Self::List => {
                let list = client.get(&["replays"], &[]).await?;
                output.result(&list, |list| {
                    let headings =
                        ["replay", "of", "by", "state", "made again", "changed", "failed", "mended", "when", "by whom"];
                    let rows: Vec<_> = items(list).iter().map(row).collect();
                    table(&headings, &rows)
                })
            }
            Self::Show { name } => {
                let replay = client.get(&["replays", &name], &[]).await?;
                match cell(&replay, "state").as_str() {
                    "failed" => Err(failed(&replay)),
                    "running" => output.result(&replay, |replay| {
                        let [replayed, seen] = ["replayed", "seen"].map(|field| cell(replay, field));
                        format!("{name} runs: {replayed} decisions made again of {seen} looked at")
                    }),
                    _ => output.result(&replay, |replay| shown(&replay["report"])),
                }
            }
            Self::Delete { name } => {
                client.send(Method::DELETE, &["replays", &name], Body::Empty).await?;
                output.result(&json!({ "deleted": name }), |_| format!("{name} ends, or is deleted"))
            }
        }
    }
}

/// A replay in a list.
fn row(replay: &Value) -> Vec<String> {
    let report = &replay["report"];
    let changed = ["outcome_changed", "actions_changed"].map(|field| report[field].as_u64().unwrap_or_default());
    let of_report = |field: &str| cell(report, field);
    vec![
        cell(replay, "name"),
        of_report("deployment"),
        of_report("against"),
        cell(replay, "state"),
        cell(replay, "replayed"),
        if report.is_object() { changed.iter().sum::<u64>().to_string() } else { String::new() },
        of_report("failed"),
        of_report("mended"),
        report["created_at"].as_u64().map(ago).unwrap_or_default(),
        of_report("created_by"),
    ]
}

impl New {
    async fn run(self, client: &Client, output: &Output) -> Result<(), Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        let mut new =
            json!({"deployment": self.strategy, "against": self.against, "since_ms": since.as_millis() as u64});
        if let Some(condition) = &self.condition {
            new["condition"] = json!(condition);
        }
        if let Some(name) = &self.name {
            new["name"] = json!(name);
        }
        let started = client.send(Method::POST, &["replays"], Body::Json(&new)).await.map_err(|error| {
            error.named(&[
                ("deployment", "--strategy"),
                ("against", "--against"),
                ("condition", "--where"),
                ("name", "--name"),
            ])
        })?;
        let name = cell(&started, "name");
        let bar = bar(output);
        let replay = loop {
            let replay = client.get(&["replays", &name], &[]).await?;
            let count = |field: &str| replay[field].as_u64().unwrap_or_default();
            bar.set_position(count("replayed"));
            if replay["state"] != "running" {
                break replay;
            }
            bar.set_message(format!("{} decisions looked at", count("seen")));
            tokio::time::sleep(LOOK_EVERY).await;
        };
        bar.finish_and_clear();
        if replay["state"] == "failed" {
            return Err(failed(&replay));
        }
        let report = replay["report"].clone();
        output.result(&report, shown)?;
        self.max_changed.map_or(Ok(()), |max_changed| judged(&report, max_changed))
    }
}

/// Whether no more changed than may. Where no decision was made again that is not shown.
fn judged(report: &Value, max_changed: u8) -> Result<(), Error> {
    let count = |field: &str| report[field].as_u64().unwrap_or_default();
    if count("replayed") == 0 {
        let strategy = cell(report, "deployment");
        let what = format!("no decision of {strategy} was made again, so nothing is known of what would change");
        return Err(Error::new(what).fix("name a deployment that has decided, or a longer --since and a wider --where"));
    }
    let changed = count("outcome_changed") + count("actions_changed") + count("failed");
    if changed * 100 > count("replayed") * u64::from(max_changed) {
        let what = format!("{changed} of {} decisions change, more than {max_changed} %", count("replayed"));
        return Err(Error::new(what));
    }
    Ok(())
}

/// It ran, and there is no report.
fn failed(replay: &Value) -> Error {
    let (name, because) = (cell(replay, "name"), cell(replay, "failed_because"));
    Error::unreachable(format!("the replay {name} failed: {because}"))
        .code(Some("replay-failed".into()))
        .fix("put right what it says, and run it again")
}

fn bar(output: &Output) -> ProgressBar {
    let bar = output.bar(0, "replaying");
    let style = ProgressStyle::with_template("{spinner} {human_pos} decisions made again, {per_sec}  {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    if bar.is_hidden() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}

/// The decision diff.
fn shown(report: &Value) -> String {
    let count = |field: &str| report[field].as_u64().unwrap_or_default();
    let replayed = count("replayed").max(1);
    let share = |field: &str| format!("{:.2} %", 100.0 * count(field) as f64 / replayed as f64);
    let mut rows = vec![vec!["made again".into(), count("replayed").to_string(), String::new()]];
    for (field, words) in [
        ("identical", "the same, bit for bit"),
        ("outcome_changed", "leave by another outcome"),
        ("actions_changed", "do something else"),
        ("failed", "failed now"),
        ("mended", "failed then, and decide now"),
        ("slower", "took twice as long, and 100 µs more"),
        ("answered_from_today", "asked what was not asked then"),
        ("unreadable", "cannot be made again"),
    ] {
        if field == "identical" || count(field) > 0 {
            rows.push(vec![words.into(), count(field).to_string(), share(field)]);
        }
    }
    let mut text = format!(
        "{}: decisions of {} by {}\n{}",
        cell(report, "name"),
        cell(report, "deployment"),
        cell(report, "against"),
        table(&["decisions", "number", "share"], &rows)
    );
    if count("replayed") == 0 {
        text.push_str(
            "\n\nno decision was made again: name a deployment that has decided, a longer --since, a wider --where",
        );
        return text;
    }
    let time = |field: &str| format!("{} / {} µs", report["then"][field], report["again"][field]);
    text.push_str(&format!("\n\ntime then / again: p50 {}, p99 {}", time("p50_us"), time("p99_us")));
    text.push_str(&differences(report, ["then", "again"]));
    text
}

/// From which outcome to which decisions change, and examples with their reasons, after what was said before; `words` are
/// what the decision that was made and the other are called.
pub(super) fn differences(compared: &Value, words: [&str; 2]) -> String {
    let mut text = String::new();
    let changes = compared["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !changes.is_empty() {
        let row = |change: &Value| ["from", "to", "count"].map(|field| cell(change, field)).to_vec();
        let rows: Vec<_> = changes.iter().map(row).collect();
        text.push_str(&format!("\n\n{}", table(&["from", "to", "number"], &rows)));
    }
    for example in compared["examples"].as_array().into_iter().flatten().take(10) {
        let side = |side: &str| {
            let reason = shortened(&cell(example, &format!("{side}.reason")), 70);
            format!("{}: {reason}", cell(example, &format!("{side}.outcome")))
        };
        let ([then, again], interaction) = (words, cell(example, "interaction"));
        text.push_str(&format!("\n\n{interaction}\n  {then:7}{}\n  {again:7}{}", side("then"), side("again")));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_that_failed_is_an_error_that_says_why() {
        let replay = json!({"name": "replay-1", "state": "failed", "failed_because": "no such deployment: x"});
        let error = failed(&replay);
        assert_eq!(error.what, "the replay replay-1 failed: no such deployment: x");
        assert_eq!(error.code.as_deref(), Some("replay-failed"));
    }

    #[test]
    fn a_replay_passes_where_few_change_and_never_where_none_was_made_again() {
        let report = |replayed: u64, changed: u64| json!({"deployment": "rules-1", "replayed": replayed, "outcome_changed": changed, "actions_changed": 0, "failed": 0});
        assert!(judged(&report(100, 2), 2).is_ok());
        assert_eq!(judged(&report(100, 3), 2).unwrap_err().what, "3 of 100 decisions change, more than 2 %");
        assert!(judged(&report(0, 0), 100).unwrap_err().what.starts_with("no decision of rules-1 was made again"));
    }

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(span("30m").unwrap(), Duration::from_secs(1800));
        assert_eq!(span("7d").unwrap(), Duration::from_secs(7 * 86_400));
        for wrong in ["", "d", "1w", "-1d", "1 d", "99999999999999999999d", "1ä"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
