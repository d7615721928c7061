//! `signalbox interaction`: looks at interactions, and acts on one by hand.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Body, Client, Connection};
use super::error::Error;
use super::output::{Output, Style, ago, cell, shortened, table, text};
use super::workflow::items;

/// Shows interactions and their timelines; cancels, resumes, completes and releases them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox interaction list --state parked
  signalbox interaction list --queue billing --limit 20
  signalbox interaction get 0198c0de-7b1a-7c3e-9f00-0123456789ab
  signalbox interaction timeline 0198c0de-7b1a-7c3e-9f00-0123456789ab
  signalbox interaction decisions 0198c0de-7b1a-7c3e-9f00-0123456789ab   # of strategies, with what they logged
  signalbox interaction resume 0198c0de-7b1a-7c3e-9f00-0123456789ab --element screen
  signalbox interaction cancel 0198c0de-7b1a-7c3e-9f00-0123456789ab --reason 'sent twice'
  signalbox interaction complete 0198c0de-7b1a-7c3e-9f00-0123456789ab --disposition solved
  signalbox interaction release 0198c0de-7b1a-7c3e-9f00-0123456789ab")]
pub(super) struct Interaction {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows one interaction as it is now.
    Get {
        /// Its identifier.
        id: String,
    },
    /// Lists interactions, the newest first. Looks through as many as it takes to find so many.
    List(Filter),
    /// Shows all that happened to one interaction, and why.
    Timeline {
        /// Its identifier.
        id: String,
    },
    /// Shows what strategies decided about one interaction: why, what they asked, what they logged, and how they failed.
    Decisions {
        /// Its identifier.
        id: String,
    },
    /// Ends an interaction wherever it is.
    Cancel {
        /// Its identifier.
        id: String,
        /// Why, in words. Left out: `cancelled by` and the name of the token.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Goes on with a parked interaction.
    Resume {
        /// Its identifier.
        id: String,
        /// The element to go on at. Left out: where it was parked.
        #[arg(long)]
        element: Option<String>,
    },
    /// Says that the work on a taken interaction is done.
    Complete {
        /// Its identifier.
        id: String,
        /// How it ended.
        #[arg(long, default_value = "completed", value_name = "CODE")]
        disposition: String,
    },
    /// Puts a taken interaction back to its place in the queue.
    Release {
        /// Its identifier.
        id: String,
    },
}

#[derive(Debug, Args)]
struct Filter {
    /// Only those in this state: routing, waiting, queued, assigned, parked, completed or cancelled.
    #[arg(long)]
    state: Option<String>,
    /// Only those in this workflow.
    #[arg(long)]
    workflow: Option<String>,
    /// Only those in this queue.
    #[arg(long)]
    queue: Option<String>,
    /// Only those of this media type.
    #[arg(long)]
    media_type: Option<String>,
    /// Only those with this category.
    #[arg(long)]
    category: Option<String>,
    /// How many, 1 to 200.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    /// Goes on after an earlier list, whose last line named this.
    #[arg(long)]
    cursor: Option<String>,
}

impl Filter {
    /// A page, put together from as many of the server's as it takes: those may be empty and still have a next one.
    async fn page(&self, client: &Client) -> Result<Value, Error> {
        let limit = usize::from(self.limit);
        let (mut found, mut cursor) = (Vec::new(), self.cursor.clone());
        loop {
            let query = self.query(limit - found.len(), cursor.as_ref());
            let page = client.get(&["interactions"], &query).await;
            let arguments = [
                ("state", "--state"),
                ("workflow", "--workflow"),
                ("queue", "--queue"),
                ("media_type", "--media-type"),
                ("cursor", "--cursor"),
            ];
            let page = page.map_err(|error| error.named(&arguments))?;
            found.extend(items(&page).iter().take(limit - found.len()).cloned());
            cursor = next_cursor(&page).map(str::to_owned);
            if cursor.is_none() || found.len() == limit {
                return Ok(match cursor {
                    Some(next) => json!({ "items": found, "next": next }),
                    None => json!({ "items": found }),
                });
            }
        }
    }

    fn query(&self, limit: usize, cursor: Option<&String>) -> Vec<(&'static str, String)> {
        let fields = [
            ("state", self.state.as_ref()),
            ("workflow", self.workflow.as_ref()),
            ("queue", self.queue.as_ref()),
            ("media_type", self.media_type.as_ref()),
            ("category", self.category.as_ref()),
            ("cursor", cursor),
        ];
        let mut query: Vec<_> = fields.into_iter().filter_map(|(name, value)| Some((name, value?.clone()))).collect();
        query.push(("limit", limit.to_string()));
        query
    }
}

impl Interaction {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let client = self.connection.client()?;
        let act = async |id: &str, action: &str, body: Value, done: &str| {
            let answer = client.send(Method::POST, &["interactions", id, action], Body::Json(&body)).await;
            let arguments = [
                ("interaction", "ID"),
                ("reason", "--reason"),
                ("element", "--element"),
                ("disposition", "--disposition"),
            ];
            let answer = answer.map_err(|error| error.named(&arguments))?;
            output.result(&answer, |_| format!("{done} {id}"))
        };
        match self.command {
            Command::Get { id } => {
                let interaction = client.get(&["interactions", &id], &[]).await;
                let interaction = interaction.map_err(|error| error.named(&[("interaction", "ID")]))?;
                output.result(&interaction, |interaction| shown(interaction, output))
            }
            Command::List(filter) => {
                let list = filter.page(&client).await?;
                output.result(&list, listed)
            }
            Command::Timeline { id } => {
                let timeline = timeline(&client, &id).await.map_err(|error| error.named(&[("interaction", "ID")]))?;
                output.result(&timeline, |timeline| lines(timeline, output))
            }
            Command::Decisions { id } => {
                let decisions = all(&client, &id, "decisions").await;
                let decisions = decisions.map_err(|error| error.named(&[("interaction", "ID")]))?;
                output.result(&decisions, |decisions| match decisions.as_slice() {
                    [] => "(none)".into(),
                    some => some.iter().map(|one| decision(one, output)).collect::<Vec<_>>().join("\n\n"),
                })
            }
            Command::Cancel { id, reason } => {
                let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
                act(&id, "cancel", body, "cancelled").await
            }
            Command::Resume { id, element } => {
                let body = element.map_or_else(|| json!({}), |element| json!({ "element": element }));
                act(&id, "resume", body, "resumed").await
            }
            Command::Complete { id, disposition } => {
                act(&id, "complete", json!({ "disposition": disposition }), "completed").await
            }
            Command::Release { id } => act(&id, "release", json!({}), "released").await,
        }
    }
}

/// An interaction's timeline.
pub(super) async fn timeline(client: &Client, id: &str) -> Result<Vec<Value>, Error> {
    all(client, id, "timeline").await
}

/// All pages of what there is about an interaction.
async fn all(client: &Client, id: &str, what: &str) -> Result<Vec<Value>, Error> {
    // A loop that is cut off at the visits that one interaction may make has fewer entries.
    const PAGES_MAX: usize = 1000;
    let mut entries = Vec::new();
    let mut query = vec![("limit", "200".to_owned())];
    for _ in 0..PAGES_MAX {
        let page = client.get(&["interactions", id, what], &query).await?;
        entries.extend_from_slice(items(&page));
        let Some(next) = next_cursor(&page) else { break };
        query.truncate(1);
        query.push(("cursor", next.to_owned()));
    }
    Ok(entries)
}

fn listed(list: &Value) -> String {
    let row = |item: &Value| {
        vec![
            cell(item, "id"),
            cell(item, "state"),
            place(item),
            best_category(item),
            submitted(item),
            shortened(&cell(item, "sender"), 28),
            shortened(&cell(item, "subject"), 48),
        ]
    };
    let rows: Vec<_> = items(list).iter().map(row).collect();
    let mut shown = table(&["interaction", "state", "at", "category", "submitted", "sender", "subject"], &rows);
    if let Some(cursor) = next_cursor(list) {
        shown.push_str(&format!("\nmore: --cursor {cursor}"));
    }
    shown
}

/// Where the next page of a list begins.
pub(super) fn next_cursor(list: &Value) -> Option<&str> {
    list.get("next")?.as_str()
}

/// The queue it is in, else the element of its workflow.
fn place(item: &Value) -> String {
    let queue = cell(item, "queue.name");
    if !queue.is_empty() {
        return queue;
    }
    let (workflow, element) = (cell(item, "workflow"), cell(item, "element"));
    if element.is_empty() { workflow } else { format!("{workflow}/{element}") }
}

fn best_category(item: &Value) -> String {
    let best = item.pointer("/categories/0");
    best.map(|best| format!("{} {}", cell(best, "name"), cell(best, "relevancy"))).unwrap_or_default()
}

fn submitted(item: &Value) -> String {
    item.get("submitted_at_ms").and_then(Value::as_u64).map(ago).unwrap_or_default()
}

/// One interaction for people: a field a line, the text at the end.
pub(super) fn shown(interaction: &Value, output: &Output) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{} {value}", output.paint(Style::Dim, &format!("{name:<12}"))));
        }
    };
    line("interaction", cell(interaction, "id"));
    line("state", cell(interaction, "state"));
    line("parked", cell(interaction, "parked.message"));
    line("at", place(interaction));
    for field in ["disposition", "assigned_to", "media_type", "subject", "sender", "language", "priority"] {
        line(field, cell(interaction, field));
    }
    line("recipient", cell(interaction, "message.recipient"));
    line("submitted", submitted(interaction));
    let each = |field: &str| interaction.pointer(field).and_then(Value::as_array).into_iter().flatten();
    let pairs = |field: &'static str, name: &'static str, value: &'static str| {
        each(field).map(|item| format!("{} {}", cell(item, name), cell(item, value))).collect::<Vec<_>>().join(", ")
    };
    line("categories", pairs("/facts/categories", "name", "relevancy"));
    line("skills", pairs("/facts/skills", "name", "level"));
    for (key, value) in interaction.pointer("/facts/user_data").and_then(Value::as_object).into_iter().flatten() {
        line("user data", format!("{key} = {}", shortened(&text(value), 90)));
    }
    let body = cell(interaction, "message.body");
    if body.is_empty() { lines.join("\n") } else { format!("{}\n\n{body}", lines.join("\n")) }
}

/// A strategy's decision for people: where and by whom, and a line for each thing that belongs to it.
fn decision(decision: &Value, output: &Output) -> String {
    let field = |name| cell(decision, name);
    let at = decision.get("answered_at_ms").and_then(Value::as_u64).map(ago).unwrap_or_default();
    let mut lines = vec![format!("{}/{} by {}, {at}", field("workflow"), field("element"), field("deployment"))];
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{} {value}", output.paint(Style::Dim, &format!("  {name:<8}"))));
        }
    };
    line("outcome", field("outcome"));
    line("reason", field("reason"));
    if decision["failure"].is_object() {
        line("failure", format!("{} [{}]", field("failure.message"), field("failure.code")));
    }
    let each = |name: &str| decision[name].as_array().into_iter().flatten();
    each("actions").for_each(|action| line("action", action.to_string()));
    for granted in each("granted") {
        let answer = granted.get("answer").filter(|answer| !answer.is_null()).map_or("nothing".into(), text);
        line("asked", format!("{}: {answer}", cell(granted, "question")));
    }
    each("log").for_each(|logged| line("log", format!("{:6}{}", cell(logged, "level"), cell(logged, "message"))));
    lines.join("\n")
}

/// A timeline for people: when after the beginning, what, and the same in words.
fn lines(entries: &[Value], output: &Output) -> String {
    let at = |entry: &Value| entry.get("at_ms").and_then(Value::as_u64).unwrap_or(0);
    let Some(began) = entries.first().map(at) else { return "(nothing)".into() };
    let line = |entry: &Value| {
        let after = format!("{:>10}", format!("+{} ms", at(entry).saturating_sub(began)));
        format!(
            "{}  {:28} {}",
            output.paint(Style::Dim, &after),
            cell(entry, "type"),
            shortened(&cell(entry, "text"), 400)
        )
    };
    entries.iter().map(line).collect::<Vec<_>>().join("\n")
}
