//! The workflow that most tests and benchmarks run: screening → content-analysis → auto-reply → a queue.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::client::Client;
use crate::server::{signalbox, strategy_file};

/// Sets up the account `main`: standard response, strategies, workflow `support`, bindings.
///
/// # Errors
/// Where a part is refused, or not built.
pub async fn set_up(client: &Client, model: &Path) -> Result<()> {
    let response = json!({"name": "received", "approved": true, "default_language": "en", "texts": [
        {"language": "en", "subject": "We have your message", "body": "Dear {{contact.name|customer}}, we are on it. {{category}}"}]});
    client.put("/responses/received", &response).await?;
    client.put("/workflows/support", &workflow()).await?;
    client.deploy("screening-1", &strategy_file("screening")?, &screening(), &[]).await?;
    let analysis = json!({"threshold": 30});
    client.deploy("analysis-1", &strategy_file("content-analysis")?, &analysis, &[("model", model)]).await?;
    let reply = json!({"rules": [{"name": "receipt", "send": "acknowledgement", "response": "received"}]});
    client.deploy("reply-1", &strategy_file("auto-reply")?, &reply, &[]).await?;
    client.bind("support", "screen", "screening-1").await?;
    client.bind("support", "analyse", "analysis-1").await?;
    client.bind("support", "reply", "reply-1").await?;
    Ok(())
}

/// Twenty rules, as an operator keeps them; the fraud and spam rules leave by outcomes of their own.
#[must_use]
pub fn screening() -> Value {
    let mut rules = vec![
        json!({"name": "fraud", "outcome": "urgent", "priority": 800,
               "when": {"words": ["fraud", "stolen", "unauthorised transaction", "unauthorized transaction"]}}),
        json!({"name": "spam", "outcome": "spam", "when": {"words": ["lottery", "casino bonus", "crypto giveaway"]}}),
    ];
    rules.extend((2..20).map(|n| {
        json!({"name": format!("rule-{n}"), "outcome": "urgent",
               "when": {"pattern": format!(r"\b(refund{n}|cancel{n}|lawyer{n}|court{n})\b.*(now|today)")}})
    }));
    json!({"rules": rules})
}

fn workflow() -> Value {
    json!({"name": "support", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "screen", "kind": "strategy"},
            {"id": "analyse", "kind": "strategy"},
            {"id": "reply", "kind": "strategy"},
            {"id": "urgent", "kind": "condition", "expression": "interaction.priority >= 500"},
            {"id": "fast-lane", "kind": "queue", "queue": "urgent"},
            {"id": "known", "kind": "condition", "expression": "size(interaction.categories) > 0 && interaction.categories[interaction.category] >= 30"},
            {"id": "by-category", "kind": "queue", "queue": "categorized"},
            {"id": "by-hand", "kind": "queue", "queue": "uncertain"},
            {"id": "done", "kind": "end"},
            {"id": "spam", "kind": "end", "disposition": "spam"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "screen"},
            {"from": "screen", "outcome": "spam", "to": "spam"},
            {"from": "screen", "outcome": "default", "to": "analyse"},
            {"from": "analyse", "outcome": "default", "to": "reply"},
            {"from": "reply", "outcome": "default", "to": "urgent"},
            {"from": "urgent", "outcome": "true", "to": "fast-lane"},
            {"from": "urgent", "outcome": "false", "to": "known"},
            {"from": "known", "outcome": "true", "to": "by-category"},
            {"from": "known", "outcome": "false", "to": "by-hand"},
            {"from": "known", "outcome": "error", "to": "by-hand"},
            {"from": "fast-lane", "outcome": "completed", "to": "done"},
            {"from": "by-category", "outcome": "completed", "to": "done"},
            {"from": "by-hand", "outcome": "completed", "to": "done"}]})
}

/// A model trained on a file, as the command line trains it.
///
/// # Errors
/// Where training fails.
pub fn train(input: &Path, text: &str, label: &str, directory: &Path, more: &[&str]) -> Result<PathBuf> {
    let out = directory.join("model.bin");
    let status = Command::new(signalbox()?)
        .args(["classifier", "train", "--text", text, "--label", label])
        .arg("--input")
        .arg(input)
        .arg("--out")
        .arg(&out)
        .args(more)
        .status()?;
    if !status.success() {
        bail!("training ended with {status}");
    }
    Ok(out)
}

/// The seed of a random test, which is printed: `SIGNALBOX_SEED`, else another each time.
#[must_use]
pub fn seed() -> u64 {
    let given = std::env::var("SIGNALBOX_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    println!("SIGNALBOX_SEED={seed}");
    seed
}

/// A small model trained on a few made-up messages, where the real ones are not there or not needed.
///
/// # Errors
/// Where training fails.
pub fn small_model(directory: &Path) -> Result<PathBuf> {
    let topics = [
        (
            "card",
            [
                "my card has not arrived",
                "the card was declined in a shop",
                "I want a new card",
                "card is lost",
                "how do I block my card",
                "is the card free",
            ],
        ),
        (
            "transfer",
            [
                "a transfer is missing",
                "transfer to a friend failed",
                "how long does a transfer take",
                "cancel my transfer",
                "the transfer fee is too high",
                "transfer abroad",
            ],
        ),
        (
            "login",
            [
                "I cannot log in",
                "my password does not work",
                "reset the password please",
                "the app logs me out",
                "login code never comes",
                "password forgotten",
            ],
        ),
    ];
    let mut text = String::from("text,label\n");
    for (label, messages) in topics {
        for (n, message) in messages.iter().enumerate() {
            for greeting in ["Hello", "Good morning", "Hi there", "Dear team"] {
                text.push_str(&format!("{greeting} {message} {n},{label}\n"));
            }
        }
    }
    let input = directory.join("messages.csv");
    std::fs::write(&input, text)?;
    train(&input, "text", "label", directory, &[])
}
