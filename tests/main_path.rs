//! The main job on real input: every message of banking77 goes through three strategies into a queue, and can be explained.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use signalbox_tests::{Client, Server, banking77, set_up, train};

const CLIENTS: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn every_message_ends_where_its_decisions_say_and_the_counts_add_up() -> Result<()> {
    let Some(input) = banking77() else { return Ok(()) };
    let directory = tempfile::tempdir()?;
    let model = train(&input, "text", "category", directory.path(), &[])?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    set_up(&client, &model).await?;

    let messages: Vec<String> = csv::Reader::from_path(&input)?
        .records()
        .map(|row| Ok(row?.get(0).context("a text")?.to_owned()))
        .collect::<Result<_>>()?;
    let ids = submit_all(&client, &messages).await?;
    assert_eq!(ids.len(), messages.len());
    client.until_decided(1200).await?;

    let interactions = client.interactions("").await?;
    assert_eq!(interactions.len(), messages.len(), "each is there once");
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for chunk in interactions.chunks(CLIENTS) {
        let looks = chunk.iter().map(|interaction| {
            let client = client.clone();
            let interaction = interaction.clone();
            tokio::spawn(async move { explained(&client, &interaction).await })
        });
        for look in looks.collect::<Vec<_>>() {
            *ends.entry(look.await??).or_default() += 1;
        }
    }
    println!("{} messages: {ends:?}", messages.len());
    assert_eq!(ends.values().sum::<usize>(), messages.len());
    for queue in ["urgent", "categorized", "uncertain"] {
        let length = client.get(&format!("/queues/{queue}")).await?["length"].as_u64();
        assert_eq!(length, Some(ends.get(queue).copied().unwrap_or(0) as u64), "{queue}");
    }
    Ok(())
}

async fn submit_all(client: &Client, messages: &[String]) -> Result<Vec<String>> {
    let mut tasks = Vec::new();
    for part in messages.chunks(messages.len().div_ceil(CLIENTS)) {
        let (client, part) = (client.clone(), part.to_vec());
        tasks.push(tokio::spawn(async move {
            let mut ids = Vec::new();
            for text in part {
                let body =
                    json!({"workflow": "support", "media_type": "chat", "body": text, "sender": "ana@example.org"});
                ids.push(client.submit(&body).await?);
            }
            anyhow::Ok(ids)
        }));
    }
    let mut ids = Vec::new();
    for task in tasks {
        ids.extend(task.await??);
    }
    Ok(ids)
}

/// Where an interaction is, after checking that its decisions and its timeline lead there.
async fn explained(client: &Client, interaction: &Value) -> Result<String> {
    let id = interaction["id"].as_str().context("an identifier")?;
    let decisions = client.get(&format!("/interactions/{id}/decisions")).await?;
    let decision = |element: &str| {
        let items = decisions["items"].as_array();
        items.and_then(|all| all.iter().find(|d| d["element"] == element)).cloned().unwrap_or_default()
    };
    let (screen, analyse, reply) = (decision("screen"), decision("analyse"), decision("reply"));
    let end = if screen["outcome"] == "spam" {
        assert_eq!(interaction["state"], "completed", "{id}");
        "spam".to_owned()
    } else {
        let queue = match (screen["outcome"].as_str(), analyse["outcome"].as_str()) {
            (Some("urgent"), _) => "urgent",
            (_, Some("categorized")) => "categorized",
            (_, Some("uncertain")) => "uncertain",
            other => panic!("{id} has decisions {other:?}"),
        };
        assert_eq!(reply["outcome"], "acknowledged", "{id}");
        assert_eq!(interaction["state"], "queued", "{id}");
        assert_eq!(interaction["queue"]["name"], queue, "{id}");
        queue.to_owned()
    };
    let timeline = client.get(&format!("/interactions/{id}/timeline?limit=200")).await?;
    let entries = timeline["items"].as_array().context("a timeline")?;
    let types: Vec<&str> = entries.iter().filter_map(|entry| entry["type"].as_str()).collect();
    assert_eq!(types.first(), Some(&"interaction.submitted"), "{id}");
    let last = if end == "spam" { "interaction.completed" } else { "interaction.queued" };
    assert_eq!(types.last(), Some(&last), "{id}");
    for decided in decisions["items"].as_array().context("decisions")? {
        let told = entries.iter().any(|entry| {
            entry["type"] == "strategy.answered"
                && entry["reason"] == decided["reason"]
                && entry["deployment"] == decided["deployment"]
        });
        assert!(told, "{id}: the timeline tells why at {}", decided["element"]);
    }
    Ok(end)
}
