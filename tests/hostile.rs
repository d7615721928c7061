//! Hostile strategies in a live server, beside good traffic: each harms itself alone, and nothing of the others is lost.
//!
//! `tests/guests/hostile` does what an interaction's body tells it to, `tests/guests/explorer` reaches for all of WASI; what
//! no compiler would make is made here. How much slower the others get is for the benchmark `hostile_load`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use signalbox_tests::{Client, Server, Traffic, put_one_strategy, strategy_file};

const CLIENTS: usize = 4;

async fn submit(client: &Client, workflow: &str, body: &str) -> Result<String> {
    client.submit(&json!({"workflow": workflow, "media_type": "chat", "body": body})).await
}

async fn upload(client: &Client, bytes: Vec<u8>) -> Result<(u16, Value)> {
    let request = client.request(reqwest::Method::POST, "/strategies").header("content-type", "application/wasm");
    let (status, answer) = client.send(request.body(bytes)).await?;
    Ok((status.as_u16(), answer))
}

/// A deployment of the hostile strategy and a workflow that asks it, both of that name.
async fn hostile(client: &Client, name: &str, deadline_ms: u64) -> Result<()> {
    let strategy = client.upload("/strategies", "application/wasm", &strategy_file("hostile")?).await?;
    let deployment = json!({"name": name, "strategy": strategy, "deadline_ms": deadline_ms});
    client.post("/deployments", &deployment).await?;
    put_one_strategy(client, name, name).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_out_of_bounds_is_parked_with_its_reason_under_load() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let traffic = Traffic::start(&client, CLIENTS).await?;
    // Under the twenty calls each, from which on the breaker answers in their place.
    // Name, deadline, and bodies with what their failure says.
    type Group = (&'static str, u64, &'static [(&'static str, &'static str)]);
    let groups: [Group; 3] = [
        (
            "brute",
            2000,
            &[
                ("loop", "deadline"),
                ("memory", "memory limit"),
                ("recurse", "too deep"),
                ("actions 1000000", "too many actions"),
                ("reason 60000000", "512 KiB"),
                ("statistics 1000000", "more than 1000 times"),
                ("long-question 1000000", "512 KiB"),
                ("trap", "trapped"),
            ],
        ),
        (
            "over-1",
            500,
            &[
                ("string key 129", "a key has 129 bytes"),
                ("string value 8193", "a value has 8193 bytes"),
                ("string category 129", "a category's name has 129 bytes"),
                ("string language 36", "a language tag has 36 bytes"),
                ("string skill 129", "a skill's name has 129 bytes"),
                ("string skills 2049", "a skill expression has 2049 bytes"),
                ("string agent 129", "an agent's name has 129 bytes"),
            ],
        ),
        (
            "over-2",
            500,
            &[
                ("string response 129", "a standard response's name has 129 bytes"),
                ("string subject 2049", "a subject has 2049 bytes"),
                ("string reply 65537", "a reply has 65537 bytes"),
                ("string address 2049", "an address has 2049 bytes"),
                ("string url 2049", "a URL has 2049 bytes"),
                ("string end 129", "a disposition code has 129 bytes"),
                ("priority 1001", "not 1001"),
            ],
        ),
    ];
    let mut bad = Vec::new();
    for (name, deadline_ms, bodies) in groups {
        hostile(&client, name, deadline_ms).await?;
        for (body, why) in bodies {
            bad.push((submit(&client, name, body).await?, body, why));
        }
    }
    client.until_decided(2400).await?;
    for (id, body, why) in &bad {
        let detail = client.get(&format!("/interactions/{id}")).await?;
        assert_eq!(
            (&detail["state"], &detail["parked"]["code"]),
            (&json!("parked"), &json!("strategy-failed")),
            "{body}"
        );
        let message = detail["parked"]["message"].as_str().context("a message")?;
        assert!(message.contains(*why), "{body}: `{message}` tells of `{why}`");
    }
    traffic.unharmed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_as_long_as_may_be_are_taken_and_kept_whole() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let traffic = Traffic::start(&client, CLIENTS).await?;
    hostile(&client, "edge", 2000).await?;
    let mut asked = Vec::new();
    for (field, bytes) in
        [("key", 128), ("value", 8192), ("category", 128), ("language", 35), ("skill", 128), ("reply", 65536)]
    {
        asked.push((submit(&client, "edge", &format!("string {field} {bytes}")).await?, bytes));
    }
    asked.push((submit(&client, "edge", "reason 4096").await?, 4096));
    client.until_decided(2400).await?;
    for (id, bytes) in &asked {
        let decisions = client.get(&format!("/interactions/{id}/decisions")).await?;
        let decision = &decisions["items"][0];
        assert_eq!(decision["outcome"], "ok", "{bytes}");
        assert!(decision.to_string().contains(&"x".repeat(*bytes)), "all {bytes} bytes are recorded");
    }
    traffic.unharmed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_of_log_is_cut_to_64_kib_and_harms_nobody() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let traffic = Traffic::start(&client, CLIENTS).await?;
    hostile(&client, "flood", 5000).await?;
    traffic.more(20).await?;
    let before = server.resident_bytes()?;
    // Ten million lines of a hundred bytes, in as much of the five seconds as they take.
    let id = submit(&client, "flood", "log 10000000").await?;
    client.until_decided(2400).await?;
    let decisions = client.get(&format!("/interactions/{id}/decisions")).await?;
    let lines = decisions["items"][0]["log"].as_array().context("a log")?;
    let bytes: usize = lines.iter().filter_map(|line| line["message"].as_str()).map(str::len).sum();
    assert!(bytes <= (64 << 10) + 100, "{bytes}");
    assert_eq!(lines.last().context("a line")?["message"], "the log is cut here, at 64 KiB");
    let after = server.resident_bytes()?;
    assert!(after < before + (256 << 20), "{before} bytes before, {after} after");
    traffic.unharmed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn traps_at_random_and_calls_a_hair_under_the_deadline_harm_themselves_alone() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let traffic = Traffic::start(&client, CLIENTS).await?;
    hostile(&client, "chance", 500).await?;
    hostile(&client, "slow", 200).await?;
    // As many steps as take two thirds of the deadline here and now.
    let probe = submit(&client, "slow", "spin 1000000").await?;
    client.until_decided(2400).await?;
    let decisions = client.get(&format!("/interactions/{probe}/decisions")).await?;
    let per_million = decisions["items"][0]["cost"]["guest_ns"].as_u64().context("its time")?;
    let steps = 1_000_000 * 130_000_000 / per_million.max(1);
    let (mut chances, mut slow) = (Vec::new(), Vec::new());
    for _ in 0..30 {
        chances.push(submit(&client, "chance", "chance").await?);
        slow.push(submit(&client, "slow", &format!("spin {steps}")).await?);
    }
    client.until_decided(2400).await?;
    let (mut decided, mut parked) = (0, 0);
    for id in chances.iter().chain(&slow) {
        let detail = client.get(&format!("/interactions/{id}")).await?;
        match detail["state"].as_str() {
            Some("queued") => decided += 1,
            Some("parked") => parked += 1,
            _ => panic!("{detail}"),
        }
    }
    assert_eq!(decided + parked, 60, "none is lost");
    assert!(decided > 0 && parked > 0, "{decided} decided, {parked} parked");
    traffic.unharmed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configure_that_never_ends_and_a_forged_describe_are_refused_under_load() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let traffic = Traffic::start(&client, CLIENTS).await?;
    let strategy = client.upload("/strategies", "application/wasm", &strategy_file("hostile")?).await?;
    let refusals = [
        ("loop", "strategy-configure-failed"),
        ("memory", "strategy-configure-failed"),
        ("trap", "strategy-configure-failed"),
        ("lookup", "strategy-configure-failed"),
        ("refuse", "settings-refused"),
        ("describe: loop", "strategy-describe-failed"),
        ("describe: a million outcomes", "strategy-describe-failed"),
        ("describe: a name of 1 MB", "strategy-describe-failed"),
        ("describe: another's name", "strategy-manifest-invalid"),
        ("describe: no outcome", "strategy-manifest-invalid"),
        ("describe: outcome twice", "strategy-manifest-invalid"),
        ("describe: bad outcome", "strategy-manifest-invalid"),
    ];
    for (order, code) in refusals {
        let body = json!({"name": "bad", "strategy": strategy, "settings": {"do": order}});
        let request = client.request(reqwest::Method::POST, "/deployments").json(&body);
        let (status, problem) = client.send(request).await?;
        assert_eq!((status.as_u16(), problem["code"].as_str()), (422, Some(code)), "{order}: {problem}");
        assert!(problem.to_string().len() < 16_000, "{order}: the problem is short");
    }
    let deployments = client.get("/deployments").await?;
    assert_eq!(deployments["items"].as_array().map(Vec::len), Some(1), "only the good one: {deployments}");
    traffic.unharmed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn binaries_that_ask_for_too_much_are_refused_under_load() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let traffic = Traffic::start(&client, CLIENTS).await?;
    let component = std::fs::read(strategy_file("hostile")?)?;
    let with = |module: &str| -> Result<Vec<u8>> { Ok(with_module(&component, &wat::parse_str(module)?)) };
    let modules = |text: &str, count: usize| format!("(module {})", text.repeat(count));
    // Core modules of a component are compiled whether anything makes an instance of them or not.
    let outcomes = [
        ("thousands of memories", upload(&client, with(&modules("(memory 1)", 5000))?).await?),
        ("thousands of tables", upload(&client, with(&modules("(table 1 funcref)", 5000))?).await?),
        ("a memory of 4 GiB", upload(&client, with("(module (memory 65536))")?).await?),
        ("a hundred thousand functions", upload(&client, with(&modules("(func)", 100_001))?).await?),
        (
            "a function of 2 MB",
            upload(
                &client,
                with(
                    &modules("(func i32.const 1 drop)", 1)
                        .replace("i32.const 1 drop", &"i32.const 1000000 drop ".repeat(400_000)),
                )?,
            )
            .await?,
        ),
        ("33 MiB", upload(&client, [&component[..], &vec![0; 33 << 20]].concat()).await?),
    ];
    for (what, (status, problem)) in &outcomes {
        assert!([413, 422].contains(status), "{what}: {status} {problem}");
        assert!(problem["code"].is_string(), "{what}: {problem}");
    }
    let uploads = client.get("/strategies").await?;
    assert_eq!(uploads["items"].as_array().map(Vec::len), Some(1), "only the good one: {uploads}");
    traffic.unharmed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_takes_long_to_compile_holds_up_no_traffic() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let traffic = Traffic::start(&client, CLIENTS).await?;
    let component = std::fs::read(strategy_file("hostile")?)?;
    let before = server.resident_bytes()?;
    let began = Instant::now();
    let uploading = {
        let (client, module) = (client.clone(), functions(1000, 400));
        tokio::spawn(async move { upload(&client, with_module(&component, &module)).await })
    };
    let mut most = 0;
    while !uploading.is_finished() {
        traffic.more(1).await?;
        most = most.max(server.resident_bytes()?);
    }
    let (status, answer) = uploading.await??;
    println!("compiled in {:?}, {} MB more at most", began.elapsed(), most.saturating_sub(before) >> 20);
    assert!([201, 422].contains(&status), "{status}: {answer}");
    assert!(most < before + (2 << 30), "{before} bytes before, {most} at most");
    traffic.unharmed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn components_that_take_minutes_or_gigabytes_to_compile_are_refused_and_hold_up_nobody() -> Result<()> {
    let component = std::fs::read(strategy_file("hostile")?)?;
    let bomb = with_module(&component, &nested(1000, 10_000));
    for (limits, why) in [
        (["--compile-seconds", "8"], "more than 8 s of processor time"),
        (["--compile-memory-mib", "300"], "more than 300 MiB of memory"),
    ] {
        let directory = tempfile::tempdir()?;
        let server = Server::start_with(&directory.path().join("store"), &limits)?;
        let client = server.client();
        let traffic = Traffic::start(&client, CLIENTS).await?;
        let before = server.resident_bytes()?;
        let uploading = {
            let (client, bomb) = (client.clone(), bomb.clone());
            tokio::spawn(async move { upload(&client, bomb).await })
        };
        // Another one is compiled beside it, and serves.
        client.deploy("beside", &strategy_file("hostile")?, &json!({}), &[]).await?;
        let (status, problem) = uploading.await??;
        assert_eq!((status, problem["code"].as_str()), (422, Some("strategy-too-complex")), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(why)), "{problem}");
        // Nothing of it was in the server's own memory, and nothing of it is left.
        let grown = server.resident_bytes()?.saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes more");
        traffic.unharmed().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_imports_all_of_wasi_finds_nothing_behind_it() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let traffic = Traffic::start(&client, CLIENTS).await?;
    client.deploy("explorer", &strategy_file("explorer")?, &json!({}), &[]).await?;
    put_one_strategy(&client, "explorer", "explorer").await?;
    let looked = submit(&client, "explorer", "look").await?;
    let mut reached = Vec::new();
    for (body, why) in [
        ("tcp", "wasi:sockets/tcp-create-socket"),
        ("udp", "wasi:sockets/udp-create-socket"),
        ("resolve", "wasi:sockets/instance-network"),
        ("sleep", "wasi:clocks/monotonic-clock"),
        ("poll", "wasi:clocks/monotonic-clock"),
        ("random", "random bytes at once"),
        ("exit", "ended itself by `exit`"),
    ] {
        reached.push((submit(&client, "explorer", body).await?, body, why));
    }
    let began = Instant::now();
    client.until_decided(2400).await?;
    assert!(began.elapsed() < Duration::from_secs(600), "nobody slept for an hour");
    let decisions = client.get(&format!("/interactions/{looked}/decisions")).await?;
    let nothing = "environment [], arguments [], directory None, files 0, terminal false, insecure 8";
    assert_eq!(decisions["items"][0]["reason"], nothing, "{decisions}");
    for (id, body, why) in &reached {
        let detail = client.get(&format!("/interactions/{id}")).await?;
        let message = detail["parked"]["message"].as_str().with_context(|| format!("{body} is parked: {detail}"))?;
        assert!(message.contains(*why), "{body}: `{message}` tells of `{why}`");
    }
    traffic.unharmed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_cannot_name_what_is_another_accounts() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let other = Client::new(server.url(), server.token(), "other");
    other.send(other.request(reqwest::Method::PUT, "")).await?;
    let traffic = Traffic::start(&client, CLIENTS).await?;
    // The other account has a queue and a table of its own, with something in them.
    other.put("/tables/secrets", &json!({"entries": {"ana": "gold"}})).await?;
    let desk = json!({"name": "theirs",
        "elements": [{"id": "start", "kind": "start"}, {"id": "desk", "kind": "queue", "queue": "theirs"}, {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "desk"}, {"from": "desk", "outcome": "completed", "to": "done"}]});
    other.put("/workflows/theirs", &desk).await?;
    let theirs = submit(&other, "theirs", "ours alone").await?;

    hostile(&client, "thief", 500).await?;
    let mut stolen = Vec::new();
    for body in ["route-to theirs", "route-to other/theirs", "route-to ../other/theirs"] {
        stolen.push(submit(&client, "thief", body).await?);
    }
    client.until_decided(2400).await?;
    for id in &stolen {
        let detail = client.get(&format!("/interactions/{id}")).await?;
        assert_eq!(detail["state"], "parked", "a queue that this account does not have: {detail}");
    }
    assert_eq!(other.get("/queues/theirs").await?["length"], 1);
    let all = other.interactions("").await?;
    let ids: Vec<_> = all.iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(ids, [theirs.as_str()], "nothing came in from outside");
    traffic.unharmed().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_that_are_swapped_a_hundred_times_a_second_lose_nothing() -> Result<()> {
    const SWAPS: u32 = 300;
    const DEPLOYMENTS: u32 = 100;
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let traffic = Traffic::start(&client, CLIENTS).await?;
    let strategy = client.upload("/strategies", "application/wasm", &strategy_file("hostile")?).await?;
    for n in 0..DEPLOYMENTS {
        client.post("/deployments", &json!({"name": format!("h-{n}"), "strategy": strategy})).await?;
    }
    put_one_strategy(&client, "swapped", "h-0").await?;
    let began = Instant::now();
    let mut ids = Vec::new();
    for n in 0..SWAPS {
        client.bind("swapped", "ask", &format!("h-{}", n % DEPLOYMENTS)).await?;
        ids.push(submit(&client, "swapped", "count").await?);
        // No faster than it says; on a busy machine it is slower.
        tokio::time::sleep_until((began + Duration::from_millis(10) * n).into()).await;
    }
    println!("{:.0} swaps a second", f64::from(SWAPS) / began.elapsed().as_secs_f64());
    client.until_decided(2400).await?;
    for (n, id) in (0..).zip(&ids) {
        let decisions = client.get(&format!("/interactions/{id}/decisions")).await?;
        let items = decisions["items"].as_array().context("decisions")?;
        assert_eq!(items.len(), 1, "{id}");
        assert_eq!(
            items[0]["deployment"],
            format!("h-{}", n % DEPLOYMENTS),
            "submit {n} was asked of the one that was bound"
        );
        assert_eq!(items[0]["reason"], "1", "nothing of another call is there");
    }
    assert_eq!(client.get("/queues/swapped").await?["length"], ids.len());
    traffic.unharmed().await?;
    Ok(())
}

/// The component with a core module more, which nothing makes an instance of: section 1 of the format.
fn with_module(component: &[u8], module: &[u8]) -> Vec<u8> {
    [component, &[1], &leb128(module.len()), module].concat()
}

/// A module of so many functions, each of so many conditional branches: much to compile, and within all bounds.
fn functions(count: usize, branches: usize) -> Vec<u8> {
    // block, local.get 0, br_if 0, local.get 0, i32.const 3, i32.mul, local.set 0, end
    let branch = [0x02, 0x40, 0x20, 0x00, 0x0d, 0x00, 0x20, 0x00, 0x41, 0x03, 0x6c, 0x21, 0x00, 0x0b];
    let body = [&[0][..], &branch.repeat(branches), &[0x0b]].concat();
    module(count, &body)
}

/// A module of one small function that takes a compiler long: each of its variables changes in each of its loops.
fn nested(loops: usize, locals: usize) -> Vec<u8> {
    // local.get n, i32.const 1, i32.add, local.set n
    let add = |n: usize| [&[0x20][..], &leb128(n), &[0x41, 0x01, 0x6a, 0x21], &leb128(n)].concat();
    // loop …, local.get 0, br_if 0, end
    let (open, close) = ([0x03, 0x40].repeat(loops), [0x20, 0x00, 0x0d, 0x00, 0x0b].repeat(loops));
    let added: Vec<u8> = (1..=locals).flat_map(add).collect();
    module(1, &[&[1][..], &leb128(locals), &[0x7f], &open, &added, &close, &[0x0b]].concat())
}

/// A module with a function of this body so many times; each takes an `i32`.
fn module(count: usize, body: &[u8]) -> Vec<u8> {
    let section = |id: u8, content: Vec<u8>| [&[id][..], &leb128(content.len()), &content].concat();
    let body = [&leb128(body.len())[..], body].concat();
    let kinds = section(1, vec![1, 0x60, 1, 0x7f, 0]);
    let declared = section(3, [leb128(count), vec![0; count]].concat());
    let code = section(10, [leb128(count), body.repeat(count)].concat());
    [&b"\0asm\x01\0\0\0"[..], &kinds, &declared, &code].concat()
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
