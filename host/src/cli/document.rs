//! `signalbox response|table|calendar|webhook put`: the documents that strategies and workflows rely on.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Body, Connection};
use super::error::Error;
use super::output::Output;
use super::records::{Column, Layout, Records};

/// Largest document that is sent.
const DOCUMENT_BYTES_MAX: u64 = 32 << 20;

/// Puts standard responses: approved texts with field codes, in several languages.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox response put received.json
  signalbox response put responses/*.json

A file:
  { \"name\": \"received\", \"approved\": true, \"default_language\": \"en\",
    \"texts\": [{ \"language\": \"en\", \"subject\": \"Received: {{interaction.subject|your message}}\",
                \"body\": \"Dear {{contact.name|customer}}, your reference is {{interaction.id}}.\" }] }")]
pub(super) struct Response {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: ResponseCommand,
}

#[derive(Debug, Subcommand)]
enum ResponseCommand {
    /// Puts the standard responses of these JSON files, each under the name that it holds.
    Put {
        /// JSON files; `-` reads standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

impl Response {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let ResponseCommand::Put { files } = self.command;
        let client = self.connection.client()?;
        let mut put = Vec::new();
        for file in &files {
            let document = read_json(file)?;
            let name = name_in(&document, file)?;
            let sent = client.send(Method::PUT, &["responses", &name], Body::Json(&document)).await;
            sent.map_err(|error| error.at(file.display().to_string()))?;
            put.push(name);
        }
        output.result(&json!({ "responses": put }), |_| format!("put {}", put.join(", ")))
    }
}

/// Puts lookup tables: VIPs, blocked senders, product owners.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox table put vips vips.csv --key address --value level
  signalbox table put vips vips.json

The JSON is one object: { \"ana@example.com\": \"gold\" }. The whole table is replaced.")]
pub(super) struct Table {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: TableCommand,
}

#[derive(Debug, Subcommand)]
enum TableCommand {
    /// Replaces a table by what a file holds.
    Put {
        /// The table.
        name: String,
        /// A JSON object, or a .csv or .tsv file.
        file: PathBuf,
        /// Column of the keys, by name or by number from 1.
        #[arg(long, default_value = "1", value_name = "COLUMN")]
        key: String,
        /// Column of the values, by name or by number from 1.
        #[arg(long, default_value = "2", value_name = "COLUMN")]
        value: String,
        #[command(flatten)]
        layout: Layout,
    },
}

impl Table {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let TableCommand::Put { name, file, key, value, layout } = self.command;
        let is_json = layout.delimiter.is_none() && file.extension().is_none_or(|extension| extension == "json");
        let entries = if is_json { read_json(&file)? } else { json!(entries(&file, &layout, &key, &value)?) };
        let count = entries.as_object().map(serde_json::Map::len).ok_or_else(|| {
            Error::new(format!("{} is not one JSON object", file.display())).fix("write it as {\"key\": \"value\"}")
        })?;
        let client = self.connection.client()?;
        let sent = client.send(Method::PUT, &["tables", &name], Body::Table(&json!({ "entries": entries }))).await;
        sent.map_err(|error| error.at(file.display().to_string()))?;
        output.result(&json!({ "table": name, "entries": count }), |_| format!("put {name} with {count} entries"))
    }
}

fn entries(file: &Path, layout: &Layout, key: &str, value: &str) -> Result<BTreeMap<String, String>, Error> {
    let records = Records::read(file, layout)?;
    let columns = records.columns(&[key, value])?;
    let [key, value]: [Column; 2] = columns.try_into().map_err(|_| Error::new("two columns make an entry"))?;
    let mut entries = BTreeMap::new();
    for record in 0..records.len() {
        let key = records.field(record, &key);
        if entries.contains_key(&key) {
            return Err(Error::new(format!("{} has the key `{key}` twice", file.display()))
                .at(format!("record {}", record + 1))
                .fix("leave one of them out"));
        }
        entries.insert(key, records.field(record, &value));
    }
    Ok(entries)
}

/// Puts calendars: opening hours in a time zone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox calendar put support support-hours.json

A file:
  { \"time_zone\": \"Europe/Lisbon\",
    \"weekly\": [{ \"days\": [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"], \"from\": \"09:00\", \"to\": \"17:30\" }],
    \"exceptions\": [{ \"date\": \"2026-12-25\", \"hours\": [] }] }")]
pub(super) struct Calendar {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: CalendarCommand,
}

#[derive(Debug, Subcommand)]
enum CalendarCommand {
    /// Puts a calendar under a name.
    Put {
        /// Its name.
        name: String,
        /// JSON file; `-` reads standard input.
        file: PathBuf,
    },
}

impl Calendar {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let CalendarCommand::Put { name, file } = self.command;
        let document = read_json(&file)?;
        let sent = self.connection.client()?.send(Method::PUT, &["calendars", &name], Body::Json(&document)).await;
        sent.map_err(|error| error.at(file.display().to_string()))?;
        output.result(&json!({ "calendar": name }), |_| format!("put {name}"))
    }
}

/// Puts webhooks: where replies, forwards and events are delivered to.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox webhook put mail --url https://mail.example.com/hook --secret-file mail.key --type reply --type acknowledgement
  signalbox webhook put audit --url https://audit.example.com/in --secret-file audit.key --type '*'")]
pub(super) struct Webhook {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    /// Puts a webhook under a name.
    Put {
        /// Its name.
        name: String,
        /// http or https address.
        #[arg(long)]
        url: String,
        /// File with the key that deliveries are signed with (HMAC-SHA-256).
        /// Left out: the key that stands stays.
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// A type that it takes, such as `reply` or `interaction.queued`; may be repeated.
        #[arg(long = "type", value_name = "TYPE", default_value = "*")]
        types: Vec<String>,
    },
}

impl Webhook {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let WebhookCommand::Put { name, url, secret_file, types } = self.command;
        let mut document = json!({ "url": url, "types": types });
        if let Some(file) = secret_file {
            document["secret"] = json!(read_text(&file)?.trim_end());
        }
        let sent = self.connection.client()?.send(Method::PUT, &["webhooks", &name], Body::Json(&document)).await;
        sent.map_err(|error| {
            error.named(&[("url", "--url"), ("types", "--type"), ("secret", "--secret-file"), ("webhook", "NAME")])
        })?;
        output.result(&json!({ "webhook": name }), |_| format!("put {name}"))
    }
}

/// Text of a file, or of standard input for `-`.
pub(super) fn read_text(file: &Path) -> Result<String, Error> {
    let read = |source: &mut dyn Read| {
        let mut text = String::new();
        source.take(DOCUMENT_BYTES_MAX + 1).read_to_string(&mut text).map(|_| text)
    };
    let text = if file == Path::new("-") {
        read(&mut std::io::stdin().lock())
    } else {
        std::fs::File::open(file).and_then(|mut file| read(&mut file))
    };
    let text = text.map_err(|error| Error::file("read", file, &error))?;
    if text.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(Error::new(format!("{} has more than {DOCUMENT_BYTES_MAX} bytes", file.display())));
    }
    Ok(text)
}

/// The JSON of a file, or of standard input for `-`.
pub(super) fn read_json(file: &Path) -> Result<Value, Error> {
    serde_json::from_str(&read_text(file)?).map_err(|error| {
        Error::new(format!("{} is not JSON", file.display())).because(&error).at(format!(
            "line {}, column {}",
            error.line(),
            error.column()
        ))
    })
}

/// The `name` of a document.
pub(super) fn name_in(document: &Value, file: &Path) -> Result<String, Error> {
    document.get("name").and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
        Error::new(format!("the document in {} has no name", file.display())).at("name").fix("add \"name\": \"…\"")
    })
}
