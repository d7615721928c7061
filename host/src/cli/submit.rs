//! `signalbox submit`: one interaction from the command line, or every record of a file.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::client::{Connection, fits};
use super::document::read_text;
use super::error::Error;
use super::feed::{self, Feed};
use super::interaction;
use super::output::{Output, cell};
use super::records::{Layout, Records};
use crate::http::TEXT_BYTES_MAX;

/// Submits an interaction, or one for every record of a file.
///
/// It is stored when this command has answered. Repeated with the same --key, it is not submitted again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox submit --workflow support --sender ana@example.com --subject 'Invoice 1042' --body 'I was charged twice.'
  signalbox submit --workflow support --media-type chat --body-file - < message.txt
  signalbox submit --workflow support --input messages.csv --text text            # every record of a file
  signalbox submit --workflow support --input messages.jsonl --text text --follow # and what became of them

Of each record --text names the text. Columns (or fields) called subject, sender, recipient, media_type, language,
priority, and in JSON lines headers (an object) and user_data (an object), are taken as such; so is `id` as the key
that makes repeating harmless.")]
pub(super) struct Submit {
    #[command(flatten)]
    connection: Connection,
    /// The workflow that it enters.
    #[arg(long, value_name = "NAME")]
    workflow: String,
    /// chat, email, callback, sms, open, or one of your own.
    #[arg(long, default_value = "email", value_name = "TYPE")]
    media_type: String,
    /// The subject line.
    #[arg(long)]
    subject: Option<String>,
    /// The text.
    #[arg(long, conflicts_with_all = ["body_file", "input"])]
    body: Option<String>,
    /// File with the text; `-` reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "input")]
    body_file: Option<PathBuf>,
    /// Address of whoever sent it.
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Address it was sent to.
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// BCP 47 tag, such as pt-BR.
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// 0 (lowest) to 1000.
    #[arg(long, value_parser = clap::value_parser!(u16).range(0..=1000))]
    priority: Option<u16>,
    /// A header, as NAME:VALUE; may be repeated.
    #[arg(long = "header", value_name = "NAME:VALUE", value_parser = |text: &str| pair(text, ':'))]
    headers: Vec<(String, String)>,
    /// An item of user data, as KEY=VALUE; may be repeated.
    #[arg(long = "data", value_name = "KEY=VALUE", value_parser = |text: &str| pair(text, '='))]
    user_data: Vec<(String, String)>,
    /// Idempotency key: the same key with the same content is submitted once. Left out: a new one.
    #[arg(long, conflicts_with = "input")]
    key: Option<String>,
    /// Submits every record of this .csv, .tsv or .jsonl file.
    #[arg(long, value_name = "FILE", requires = "text")]
    input: Option<PathBuf>,
    /// Column of the text, by name or by number from 1.
    #[arg(long, value_name = "COLUMN", requires = "input")]
    text: Option<String>,
    #[command(flatten)]
    layout: Layout,
    /// Connections that submit at once.
    #[arg(long, default_value = "16", value_name = "N")]
    connections: NonZero<u16>,
    /// Waits until they are through, and reports what became of them. Exit code 1 where the numbers do not add up, 3
    /// where records were refused, 4 where the server went away.
    #[arg(long)]
    follow: bool,
    /// Waits so long at most for them to be through.
    #[arg(long, default_value_t = 300, value_name = "SECONDS", requires = "follow")]
    follow_seconds: u64,
    /// Writes the report as JSON to this file, too.
    #[arg(long, value_name = "FILE", requires = "input")]
    report: Option<PathBuf>,
}

/// Fields of a submission, and the arguments that they are made of.
const ARGUMENTS: [(&str, &str); 10] = [
    ("workflow", "--workflow"),
    ("media_type", "--media-type"),
    ("subject", "--subject"),
    ("body", "--body"),
    ("sender", "--sender"),
    ("recipient", "--recipient"),
    ("language", "--language"),
    ("headers", "--header"),
    ("user_data", "--data"),
    ("idempotency-key", "--key"),
];

impl Submit {
    pub async fn run(self, output: &Output) -> Result<(), Error> {
        let client = self.connection.client()?;
        let feed = |submissions| Feed {
            client: client.clone(),
            submissions,
            connections: usize::from(self.connections.get()),
            patience: std::time::Duration::from_secs(self.follow_seconds),
        };
        if let (Some(input), Some(text)) = (&self.input, &self.text) {
            let submissions = self.records(&Records::read(input, &self.layout)?, text)?;
            return feed::run(feed(submissions), self.follow, self.report.as_deref(), output).await;
        }
        let body = match (&self.body, &self.body_file) {
            (Some(body), _) => body.clone(),
            (None, Some(file)) => read_text(file)?,
            (None, None) => {
                return Err(Error::usage("there is nothing to submit").fix("give --body, --body-file or --input"));
            }
        };
        let key = self.key.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
        let mut submission = self.common();
        let from = self.body_file.as_ref().map_or_else(|| "--body".into(), |file| file.display().to_string());
        fits(&from, body.len(), TEXT_BYTES_MAX)?;
        submission.insert("body".into(), json!(body));
        let answer = client.send_once(&["interactions"], &key, &Value::Object(submission)).await;
        let (answer, replayed) = answer.map_err(|error| error.named(&ARGUMENTS))?;
        if !self.follow {
            let done = if replayed { "submitted before, as" } else { "submitted" };
            return output.result(&answer, |answer| format!("{done} {}", cell(answer, "id")));
        }
        let settled = feed::settled(&client, &cell(&answer, "id"), feed(Vec::new()).patience).await?;
        output.result(&settled, |settled| interaction::shown(settled, output))
    }

    /// What all of them have.
    fn common(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("workflow".into(), json!(self.workflow));
        fields.insert("media_type".into(), json!(self.media_type));
        let texts = [
            ("subject", &self.subject),
            ("sender", &self.sender),
            ("recipient", &self.recipient),
            ("language", &self.language),
        ];
        fields.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?)))));
        if let Some(priority) = self.priority {
            fields.insert("priority".into(), json!(priority));
        }
        if !self.headers.is_empty() {
            let header = |(key, value): &(String, String)| json!({ "key": key.to_ascii_lowercase(), "value": value });
            fields.insert("headers".into(), self.headers.iter().map(header).collect());
        }
        if !self.user_data.is_empty() {
            let data: BTreeMap<_, _> = self.user_data.iter().cloned().collect();
            fields.insert("user_data".into(), json!(data));
        }
        fields
    }

    /// A submission for each record, with its idempotency key.
    fn records(&self, records: &Records, text: &str) -> Result<Vec<(String, Value)>, Error> {
        let columns = records.columns(&[text])?;
        // Keys of one run are new, those of records with an identifier of their own are not.
        let run = Uuid::now_v7();
        let submission = |record: usize| {
            let mut fields = self.common();
            for name in ["subject", "sender", "recipient", "media_type", "language"] {
                if let Some(value) = records.value(record, name).filter(Value::is_string) {
                    fields.insert(name.into(), value);
                }
            }
            if let Some(priority) = records.value(record, "priority").and_then(|priority| number(&priority)) {
                fields.insert("priority".into(), json!(priority));
            }
            if let Some(Value::Object(headers)) = records.value(record, "headers") {
                let header = |(key, value): (&String, &Value)| json!({ "key": key.to_ascii_lowercase(), "value": super::output::text(value) });
                fields.insert("headers".into(), headers.iter().map(header).collect());
            }
            if let Some(Value::Object(data)) = records.value(record, "user_data") {
                let item = |(key, value): (&String, &Value)| (key.clone(), json!(super::output::text(value)));
                fields.insert("user_data".into(), Value::Object(data.iter().map(item).collect()));
            }
            fields.insert("body".into(), json!(records.field(record, &columns[0])));
            let own = records.value(record, "id").map(|id| super::output::text(&id));
            (own.unwrap_or_else(|| format!("{run}-{record}")), Value::Object(fields))
        };
        Ok((0..records.len()).map(submission).collect())
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn pair(text: &str, separator: char) -> Result<(String, String), String> {
    match text.split_once(separator) {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("write it as NAME{separator}VALUE")),
    }
}
