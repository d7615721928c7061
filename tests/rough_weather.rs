//! A live server among hostile strategies, a full disk, a newer store, deaf webhooks: it harms nobody else and loses nothing.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use signalbox::store::{self, Store};
use signalbox_tests::{Client, Server, put_one_strategy, signalbox, strategy_file};

async fn submit(client: &Client, workflow: &str, body: &str) -> Result<String> {
    client.submit(&json!({"workflow": workflow, "media_type": "chat", "body": body})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_calls_are_parked_with_their_reason_while_good_ones_go_on_and_can_be_resumed() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let rules = json!({"rules": [{"name": "order", "outcome": "order", "when": {"words": ["order"]}}]});
    client.deploy("good", &strategy_file("screening")?, &rules, &[]).await?;
    // Time enough to run into the limit of memory first, however slowly pages come on a busy machine.
    let hostile = client.upload("/strategies", "application/wasm", &strategy_file("hostile")?).await?;
    client.post("/deployments", &json!({"name": "bad", "strategy": hostile, "deadline_ms": 1000})).await?;
    put_one_strategy(&client, "good", "good").await?;
    put_one_strategy(&client, "bad", "bad").await?;

    let misbehaviours = [
        ("trap", "trapped"),
        ("sdk-panic out of tune", "out of tune"),
        ("loop", "deadline"),
        ("memory", "memory"),
        ("recurse", "trapped"),
        ("outcome pigeon", "nowhere"),
        ("reason 4000000", "refused"),
    ];
    let mut bad = Vec::new();
    let mut good = Vec::new();
    for (body, why) in misbehaviours {
        bad.push((submit(&client, "bad", body).await?, why));
        good.push(submit(&client, "good", "where is my order?").await?);
    }
    client.until_decided(1200).await?;
    for id in &good {
        assert_eq!(client.get(&format!("/interactions/{id}")).await?["state"], "queued");
    }
    for (id, why) in &bad {
        let detail = client.get(&format!("/interactions/{id}")).await?;
        assert_eq!(detail["state"], "parked", "{detail}");
        assert_eq!(detail["parked"]["code"], "strategy-failed", "{detail}");
        let message = detail["parked"]["message"].as_str().context("a message")?;
        assert!(message.contains(why), "`{message}` tells of `{why}`");
    }
    // An operator binds a strategy that works, and resumes: nothing was lost.
    client.bind("bad", "ask", "good").await?;
    for (id, _) in &bad {
        client.post(&format!("/interactions/{id}/resume"), &json!({})).await?;
    }
    client.until_decided(1200).await?;
    assert_eq!(client.get("/queues/bad").await?["length"], bad.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_are_no_strategy_are_refused_with_a_stable_code() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let upload = async |bytes: Vec<u8>| {
        let request = client.request(reqwest::Method::POST, "/strategies").header("content-type", "application/wasm");
        client.send(request.body(bytes)).await
    };
    for bytes in [b"MZ this is no Wasm".to_vec(), b"\0asm\x01\0\0\0".to_vec()] {
        let (status, problem) = upload(bytes).await?;
        assert_eq!(status.as_u16(), 422, "{problem}");
        assert!(problem["code"].is_string() && problem["detail"].is_string(), "{problem}");
    }
    let strategy = client.upload("/strategies", "application/wasm", &strategy_file("screening")?).await?;
    let body = json!({"name": "x", "strategy": strategy, "settings": {"rules": [{"name": "r", "outcome": "o", "when": {"pattern": "("}}]}});
    let request = client.request(reqwest::Method::POST, "/deployments").json(&body);
    let (status, problem) = client.send(request).await?;
    assert_eq!(status.as_u16(), 422, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|d| d.contains('r')), "it names the rule: {problem}");
    Ok(())
}

/// Mounts a small file system, where this is allowed. Unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path, mib: u32) -> Option<Self> {
        let options = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        println!("skipped: this user may not mount a file system");
        None
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy"]).arg(self.0).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_recovers_and_keeps_what_was_acknowledged() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let Some(_disk) = SmallDisk::mount(directory.path(), 256) else { return Ok(()) };
    let store = directory.path().join("store");
    let server = Server::start(&store)?;
    let client = server.client();
    let workflow = json!({"name": "desk",
        "elements": [{"id": "start", "kind": "start"}, {"id": "desk", "kind": "queue", "queue": "desk"}, {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "desk"}, {"from": "desk", "outcome": "completed", "to": "done"}]});
    client.put("/workflows/desk", &workflow).await?;
    let mut acknowledged = vec![submit(&client, "desk", "before").await?];

    let ballast = directory.path().join("ballast");
    let mut file = std::fs::File::create(&ballast)?;
    while file.write_all(&[7; 64 << 10]).is_ok() {}
    drop(file);
    let body = json!({"workflow": "desk", "media_type": "chat", "body": "x".repeat(100_000)});
    let mut refused = 0;
    for _ in 0..4000 {
        let (status, answer) = client.send(client.request(reqwest::Method::POST, "/interactions").json(&body)).await?;
        match status.as_u16() {
            201 => acknowledged.push(answer["id"].as_str().context("an identifier")?.to_owned()),
            503 => {
                assert_eq!(answer["code"], "storage-unavailable", "{answer}");
                refused += 1;
                if refused == 3 {
                    break;
                }
            }
            _ => panic!("{status}: {answer}"),
        }
    }
    assert_eq!(refused, 3, "a full disk is noticed");

    std::fs::remove_file(&ballast)?;
    let mut recovered = false;
    for _ in 0..300 {
        let (status, answer) = client.send(client.request(reqwest::Method::POST, "/interactions").json(&body)).await?;
        if status.as_u16() == 201 {
            acknowledged.push(answer["id"].as_str().context("an identifier")?.to_owned());
            recovered = true;
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(recovered, "it works again when there is room");
    let there = |all: Vec<Value>| all.iter().filter_map(|i| i["id"].as_str().map(str::to_owned)).collect::<Vec<_>>();
    let before = there(client.interactions("").await?);
    for id in &acknowledged {
        assert!(before.contains(id), "{id} was acknowledged");
    }
    server.kill()?;
    let server = Server::start(&store)?;
    let after = there(server.client().interactions("").await?);
    assert_eq!(before, after, "a restart changes nothing: what was refused was not half written");
    server.stop()
}

#[test]
fn a_store_of_a_newer_format_is_not_opened_and_not_touched() -> Result<()> {
    let directory = tempfile::tempdir()?;
    drop(Store::open(&store::Options { directory: directory.path().to_owned(), cache_bytes: 8 << 20 })?);
    let db = rocksdb::DB::open_cf(
        &rocksdb::Options::default(),
        directory.path(),
        ["default", "state", "content", "history", "blobs"],
    )?;
    db.put([0x01], 999_u32.to_be_bytes())?;
    drop(db);
    let output = Command::new(signalbox()?)
        .args(["serve", "--listen", "127.0.0.1:0", "--store"])
        .arg(directory.path())
        .output()?;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("999"), "it says which format it found: {said}");
    Ok(())
}

/// Head, in lower case, and body of a request.
type Delivered = (String, Vec<u8>);

/// Answers the first `failures` requests with 500 and the others with 204; gives head and body of each.
fn webhook(failures: usize) -> Result<(String, mpsc::Receiver<Delivered>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || -> Result<()> {
        for (n, stream) in listener.incoming().enumerate() {
            let mut stream = stream?;
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            let (head, body) = loop {
                let read = stream.read(&mut buffer)?;
                bytes.extend(&buffer[..read]);
                if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
                    let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse::<usize>().ok());
                    if bytes.len() >= end + 4 + length.unwrap_or(0) {
                        break (head, bytes[end + 4..].to_vec());
                    }
                }
            };
            let status = if n < failures { "500 Down" } else { "204 Fine" };
            write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")?;
            if sender.send((head, body)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    });
    Ok((url, receiver))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_signed_cloud_events_and_is_tried_again_until_it_takes_them() -> Result<()> {
    use hmac::Mac as _;
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let (url, received) = webhook(1)?;
    let secret = "a secret of many letters";
    client.put("/webhooks/crm", &json!({"url": url, "secret": secret, "types": ["interaction.cancelled"]})).await?;
    let workflow = json!({"name": "desk",
        "elements": [{"id": "start", "kind": "start"}, {"id": "desk", "kind": "queue", "queue": "desk"}, {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "desk"}, {"from": "desk", "outcome": "completed", "to": "done"}]});
    client.put("/workflows/desk", &workflow).await?;
    let id = submit(&client, "desk", "never mind").await?;
    client.post(&format!("/interactions/{id}/cancel"), &json!({"reason": "changed my mind"})).await?;

    let mut ids = Vec::new();
    for _ in 0..2 {
        let received = received.recv_timeout(std::time::Duration::from_secs(30));
        let (head, body) = received.context("the event comes, and comes again after the failure")?;
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes())?;
        mac.update(&body);
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(head.contains(&format!("signalbox-signature: sha256={signature}")), "{head}");
        let event: Value = serde_json::from_slice(&body)?;
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["type"], "signalbox.interaction.cancelled");
        assert_eq!(event["subject"], id.as_str());
        ids.push(event["id"].clone());
    }
    assert_eq!(ids[0], ids[1], "a repeated event has the same identifier");
    let message = ids[0].as_str().context("an identifier")?.to_owned();
    for _ in 0..200 {
        let shown = client.get(&format!("/outbox/{message}")).await?;
        if shown["deliveries"][0]["state"] == "delivered" {
            assert_eq!(shown["deliveries"][0]["attempts"], 2, "{shown}");
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    anyhow::bail!("the delivery is not noted")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_live_server_is_restored_with_all_that_was_acknowledged_before() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let workflow = json!({"name": "desk",
        "elements": [{"id": "start", "kind": "start"}, {"id": "desk", "kind": "queue", "queue": "desk"}, {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "desk"}, {"from": "desk", "outcome": "completed", "to": "done"}]});
    client.put("/workflows/desk", &workflow).await?;
    let before = submit(&client, "desk", "before the backup").await?;
    let (backups, restored) = (directory.path().join("backups"), directory.path().join("restored"));
    let run = |arguments: &[&str]| -> Result<()> {
        let mut command = Command::new(signalbox()?);
        command.env("SIGNALBOX_SERVER", server.url()).env("SIGNALBOX_TOKEN", server.token());
        let output = command.args(arguments).output()?;
        anyhow::ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    let text = |path: &Path| path.to_string_lossy().into_owned();
    run(&["backup", &text(&backups)])?;
    let after = submit(&client, "desk", "after the backup").await?;
    run(&["restore", &text(&backups), "--store", &text(&restored)])?;
    std::fs::write(restored.join("administrator.token"), server.token())?;

    let copy = Server::start(&restored)?;
    let all = copy.client().interactions("").await?;
    let ids: Vec<&str> = all.iter().filter_map(|interaction| interaction["id"].as_str()).collect();
    assert_eq!(ids, [before.as_str()], "and not {after}, which came later");
    Ok(())
}
