//! `signalbox callback`: books callbacks, and acts on one.

use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Body, Client, Connection};
use super::error::Error;
use super::interaction::{next_cursor, shown};
use super::output::{Output, ago, cell, shortened, table};
use super::workflow::items;

/// Books callbacks for a moment that is offered or as soon as possible; shows, moves and ends them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox callback slots sales
  signalbox callback create --rules sales --number '+49 30 1234' --at 2026-11-23T14:30
  signalbox callback create --rules sales --number '+49 30 1234' --subject 'Renewal'
  signalbox callback list --state scheduled
  signalbox callback list --number '+49 30 1234'
  signalbox callback get 0198c0de-7b1a-7c3e-9f00-0123456789ab
  signalbox callback reschedule 0198c0de-7b1a-7c3e-9f00-0123456789ab --at 2026-11-24T09:00
  signalbox callback cancel 0198c0de-7b1a-7c3e-9f00-0123456789ab --reason 'changed my mind'
  signalbox callback close 0198c0de-7b1a-7c3e-9f00-0123456789ab")]
pub(super) struct Callback {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lists the slots that are offered, and how many each still takes.
    Slots {
        /// The rules of callbacks.
        rules: String,
        /// Those that begin this many days from now at the latest, 1 to 31.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=31))]
        days: u64,
    },
    /// Books a callback.
    Create(Create),
    /// Lists callbacks, the newest first. Looks through as many as it takes to find so many.
    List(Filter),
    /// Shows a callback.
    Get {
        /// Its identifier.
        id: String,
    },
    /// Books a callback for another moment.
    Reschedule {
        /// Its identifier.
        id: String,
        /// The moment, as in `create`. Left out: as soon as possible.
        #[arg(long)]
        at: Option<String>,
    },
    /// Cancels a callback, wherever it is.
    Cancel {
        /// Its identifier.
        id: String,
        /// Why, in words.
        #[arg(long, default_value = "cancelled")]
        reason: String,
    },
    /// Closes a callback for the customer: abandoned where nobody has worked on it, done where somebody does.
    Close {
        /// Its identifier.
        id: String,
        /// Why, in words. Left out: `closed by the customer`.
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// The rules that it is offered by.
    #[arg(long)]
    rules: String,
    /// Whom to call.
    #[arg(long)]
    number: String,
    /// A moment by the clock of the rules' calendar, such as 2026-11-23T14:30, or with an offset. Left out: as soon as
    /// possible.
    #[arg(long)]
    at: Option<String>,
    /// What it is about.
    #[arg(long)]
    subject: Option<String>,
    /// 0 to 1000.
    #[arg(long, default_value_t = 0)]
    priority: u16,
}

#[derive(Debug, Args)]
struct Filter {
    /// Only those in this state: scheduled, routing, queued, offered, assigned, wrap-up, completed, cancelled, abandoned …
    #[arg(long)]
    state: Option<String>,
    /// Only those to this number, however it is written.
    #[arg(long)]
    number: Option<String>,
    /// How many, 1 to 200.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Goes on after an earlier list, whose last line named this.
    #[arg(long)]
    cursor: Option<String>,
}

/// How the fields of a problem are called here.
const ARGUMENTS: [(&str, &str); 9] = [
    ("rules", "--rules"),
    ("number", "--number"),
    ("at", "--at"),
    ("subject", "--subject"),
    ("priority", "--priority"),
    ("reason", "--reason"),
    ("state", "--state"),
    ("cursor", "--cursor"),
    ("interaction", "ID"),
];

impl Callback {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let client = self.connection.client()?;
        let act = async |id: &str, action: &str, body: Value, done: &str| {
            let answer = client.send(Method::POST, &["callbacks", id, action], Body::Json(&body)).await;
            let answer = answer.map_err(|error| error.named(&ARGUMENTS))?;
            output.result(&answer, |_| format!("{done} {id}"))
        };
        match self.command {
            Command::Slots { rules, days } => {
                let list = slots(&client, &rules, days).await?;
                output.result(&list, |list| {
                    let row = |slot: &Value| vec![cell(slot, "starts_at"), cell(slot, "free")];
                    table(&["slot", "free"], &items(list).iter().map(row).collect::<Vec<_>>())
                })
            }
            Command::Create(Create { rules, number, at, subject, priority }) => {
                let mut body = json!({ "rules": rules, "number": number, "priority": priority });
                if let Some(at) = at {
                    body["at"] = json!(at);
                }
                if let Some(subject) = subject {
                    body["subject"] = json!(subject);
                }
                let booked = client.send(Method::POST, &["callbacks"], Body::Json(&body)).await;
                let booked = booked.map_err(|error| error.named(&ARGUMENTS))?;
                output.result(&booked, |booked| format!("booked {}", cell(booked, "id")))
            }
            Command::List(filter) => {
                let list = filter.page(&client).await.map_err(|error| error.named(&ARGUMENTS))?;
                output.result(&list, listed)
            }
            Command::Get { id } => {
                let one = client.get(&["callbacks", &id], &[]).await.map_err(|error| error.named(&ARGUMENTS))?;
                output.result(&one, |one| shown(one, output))
            }
            Command::Reschedule { id, at } => {
                let body = at.map_or_else(|| json!({}), |at| json!({ "at": at }));
                act(&id, "reschedule", body, "rescheduled").await
            }
            Command::Cancel { id, reason } => act(&id, "cancel", json!({ "reason": reason }), "cancelled").await,
            Command::Close { id, reason } => {
                let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
                act(&id, "close", body, "closed").await
            }
        }
    }
}

async fn slots(client: &Client, rules: &str, days: u64) -> Result<Value, Error> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let until = since + Duration::from_secs(days * 24 * 60 * 60);
    let query = [("from_ms", since.as_millis().to_string()), ("until_ms", until.as_millis().to_string())];
    let list = client.get(&["callback-rules", rules, "slots"], &query).await;
    list.map_err(|error| error.named(&[("callback-rules", "RULES")]))
}

impl Filter {
    /// A page, put together from as many of the server's as it takes: those may be empty and still have a next one.
    async fn page(&self, client: &Client) -> Result<Value, Error> {
        let limit = usize::from(self.limit);
        let (mut found, mut cursor) = (Vec::new(), self.cursor.clone());
        loop {
            let fields = [("state", &self.state), ("number", &self.number), ("cursor", &cursor)];
            let fields = fields.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
            let query: Vec<_> = fields.chain([("limit", (limit - found.len()).to_string())]).collect();
            let page = client.get(&["callbacks"], &query).await?;
            found.extend(items(&page).iter().take(limit - found.len()).cloned());
            cursor = next_cursor(&page).map(str::to_owned);
            match cursor {
                Some(next) if found.len() == limit => return Ok(json!({ "items": found, "next": next })),
                Some(_) => {}
                None => return Ok(json!({ "items": found })),
            }
        }
    }
}

fn listed(list: &Value) -> String {
    let moment = |item: &Value| item.pointer("/callback/at_ms").and_then(Value::as_u64).map(ago).unwrap_or_default();
    let row = |item: &Value| {
        vec![
            cell(item, "id"),
            cell(item, "state"),
            cell(item, "callback.rules"),
            cell(item, "sender"),
            moment(item),
            cell(item, "callback.attempts"),
            shortened(&cell(item, "subject"), 48),
        ]
    };
    let rows: Vec<_> = items(list).iter().map(row).collect();
    let mut shown = table(&["callback", "state", "rules", "number", "at", "attempts", "subject"], &rows);
    if let Some(cursor) = next_cursor(list) {
        shown.push_str(&format!("\nmore: --cursor {cursor}"));
    }
    shown
}
