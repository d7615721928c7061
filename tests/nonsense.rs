//! Nonsense for as long as is wanted: binaries, components and requests that were damaged at random. The host says what is
//! wrong with each, and neither panics nor hangs nor keeps anything of it.
//!
//! `SIGNALBOX_FUZZ_SECONDS` says how long each of the two takes (5 where it is left out), `SIGNALBOX_SEED` makes one again
//! that was printed.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Map, Value, json};
use signalbox::strategy::{Grants, InstallError, Nothing, Options, Package, Runtime};
use signalbox_engine::{Content, Entry, Facts, InteractionId, Message, Name, Request, UnixMillis};
use signalbox_tests::{Client, Server, put_one_strategy, seed, strategy_file};
use uuid::Uuid;

/// Longest that anything here may take, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a process may keep beside what it kept when it had warmed up.
const GROWTH_BYTES_MAX: u64 = 512 << 20;

fn time() -> Duration {
    let seconds = std::env::var("SIGNALBOX_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

fn random() -> StdRng {
    StdRng::seed_from_u64(seed())
}

fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("the system says how much")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse::<u64>()? * 1024)
}

#[test]
fn damaged_components_are_refused_or_run_and_leave_nothing_behind() -> Result<()> {
    let mut random = random();
    let images = tempfile::tempdir()?;
    let runtime = Runtime::new(&Options::new(images.path().to_owned()))?;
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/starters");
    let sources =
        [strategy_file("hostile")?, strategy_file("explorer")?, fixtures.join("c.wasm"), fixtures.join("rust.wasm")];
    let sources = sources.iter().map(std::fs::read).collect::<Result<Vec<_>, _>>()?;
    let grants: Arc<dyn Grants> = Arc::new(Nothing);

    let began = Instant::now();
    let (mut tried, mut refused, mut installed, mut answered, mut slowest) = (0, 0, 0, 0, Duration::ZERO);
    let mut warm = None;
    while began.elapsed() < time() {
        let bytes = component(&mut random, &sources);
        tried += 1;
        let at = Instant::now();
        match runtime.install(&bytes, "{}", &[]) {
            Ok(made) => {
                installed += 1;
                let deployment = runtime.load(Package {
                    name: Name::new("fuzzed")?,
                    manifest: made.manifest,
                    image: &made.image,
                    component: &made.component,
                    configuration: (!made.snapshotted).then(|| ("{}".to_owned(), Vec::new())),
                    deadline: Duration::from_millis(20),
                    scope: None,
                })?;
                for _ in 0..3 {
                    answered += usize::from(deployment.call(&request(&mut random), &grants).outcome.is_ok());
                }
                drop(deployment);
                runtime.retain_images(&Default::default())?;
            }
            Err(InstallError::Unavailable(why)) => panic!("try {tried}: {why}"),
            Err(error) => {
                refused += 1;
                ensure!(!error.code().is_empty() && error.to_string().len() < 16_000, "try {tried}: {error}");
            }
        }
        slowest = slowest.max(at.elapsed());
        ensure!(at.elapsed() < PATIENCE, "try {tried} took {:?}", at.elapsed());
        // The pool's memory and the allocator's come to their size first.
        if warm.is_none() && began.elapsed() > time() / 4 {
            warm = Some(resident_bytes()?);
        }
    }
    let (before, after) = (warm.unwrap_or_default(), resident_bytes()?);
    println!(
        "{tried} components: {refused} refused, {installed} installed, {answered} calls answered, the slowest took \
         {slowest:?}, {} MB before, {} MB after",
        before >> 20,
        after >> 20
    );
    ensure!(tried > 0 && refused > 0, "it does something");
    ensure!(before == 0 || after < before + GROWTH_BYTES_MAX, "{before} bytes before, {after} after");
    Ok(())
}

/// A component that was damaged, or bytes that never were one.
fn component(random: &mut StdRng, sources: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = sources.choose(random).cloned().unwrap_or_default();
    match random.random_range(0..10) {
        0 => {
            let mut noise = vec![0; random.random_range(0..10_000)];
            random.fill(&mut noise[..]);
            let head: [&[u8]; 3] = [b"", b"\0asm\x0d\0\x01\0", b"\0asm\x01\0\0\0"];
            return [head.choose(random).copied().unwrap_or_default(), &noise].concat();
        }
        1 => bytes.truncate(random.random_range(0..bytes.len())),
        // Parts of one after parts of another.
        2 => {
            let other = sources.choose(random).cloned().unwrap_or_default();
            bytes.truncate(random.random_range(8..bytes.len()));
            bytes.extend(&other[random.random_range(8..other.len())..]);
        }
        // A part twice, or not at all.
        3 => {
            let from = random.random_range(8..bytes.len());
            let to = (from + random.random_range(1..2000)).min(bytes.len());
            let part = bytes[from..to].to_vec();
            bytes
                .splice(from..if random.random() { to } else { from }, if random.random() { part } else { Vec::new() });
        }
        // Few bytes: what is well formed still, and means something else.
        _ => {
            for _ in 0..random.random_range(1..=3) {
                let at = random.random_range(8..bytes.len());
                bytes[at] = match random.random_range(0..3) {
                    0 => bytes[at] ^ (1 << random.random_range(0..8)),
                    1 => bytes[at].wrapping_add(random.random_range(0..3)).wrapping_sub(1),
                    _ => random.random(),
                };
            }
        }
    }
    bytes
}

fn request(random: &mut StdRng) -> Request {
    let name = || Name::new("fuzzed").unwrap_or_else(|error| panic!("it is a name: {error}"));
    let message = Message {
        media_type: name(),
        subject: random.random_bool(0.5).then(|| text(random)),
        body: text(random),
        sender: random.random_bool(0.5).then(|| text(random)),
        recipient: random.random_bool(0.5).then(|| text(random)),
        headers: (0..random.random_range(0..4)).map(|_| Entry { key: text(random), value: text(random) }).collect(),
        submitted_at: UnixMillis(random.random()),
    };
    let user_data = (0..random.random_range(0..4)).map(|_| (text(random), text(random))).collect();
    let facts = Facts { user_data, priority: random.random(), ..Facts::default() };
    Request {
        interaction: InteractionId(Uuid::from_u128(random.random())),
        content: Arc::new(Content { message: Arc::new(message), facts }),
        workflow: name(),
        element: name(),
        visit: random.random(),
        now: UnixMillis(random.random()),
    }
}

/// A text that is short, long, empty, odd, or an order for the hostile strategy.
fn text(random: &mut StdRng) -> String {
    let known = [
        "",
        " ",
        "main",
        "good",
        "ask",
        "desk",
        "order",
        "trap",
        "loop",
        "echo",
        "questions",
        "reason 5000",
        "actions 70",
        "../..",
        "a/b",
        "\u{0}",
        "\u{202e}x",
        "ﬁ🦀",
        "%00",
        "%2e%2e",
        "'; drop",
        "{{contact.name}}",
        "1e999",
        "null",
        "interaction.priority >= 500",
        "size(interaction.body) > 3",
        "billing >= 3 && english >= 5",
        "1 voice or 4 chat",
        "http://127.0.0.1:1/",
        "2026-01-01",
        "en-US",
        "Europe/Lisbon",
    ];
    match random.random_range(0..8) {
        0 => (0..random.random_range(0..40)).map(|_| random.random::<char>()).collect(),
        1 => "x".repeat(*[1, 64, 65, 128, 129, 4096, 9000, 70_000].choose(random).unwrap_or(&1)),
        _ => (*known.choose(random).unwrap_or(&"")).to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_requests_get_an_answer_that_is_no_failure_of_the_server() -> Result<()> {
    let mut random = random();
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    client.deploy("good", &strategy_file("hostile")?, &json!({}), &[]).await?;
    put_one_strategy(&client, "good", "good").await?;
    let api: Value =
        serde_json::from_slice(&std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/openapi.json"))?)?;
    let paths = api["paths"].as_object().context("paths")?;

    let (began, before) = (Instant::now(), server.resident_bytes()?);
    let (mut asked, mut taken) = (0, 0);
    while began.elapsed() < time() {
        let (path, methods) = paths.iter().choose(&mut random).context("a path")?;
        let (method, operation) =
            methods.as_object().and_then(|methods| methods.iter().choose(&mut random)).context("a method")?;
        // These stay open, or write where they are told to.
        if ["/session", "/stream", "/events", "/backups"].iter().any(|end| path.ends_with(end)) {
            continue;
        }
        let Some(path) = filled(&mut random, path) else { continue };
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let whole = value(&mut random, &api, schema, 0);
        let body = if schema.is_null() { Vec::new() } else { damaged(&mut random, &whole) };
        let (status, answer) = ask(&client, &server, method, &path, body.clone())
            .await
            .with_context(|| format!("{method} {path} with {}", String::from_utf8_lossy(&body)))?;
        asked += 1;
        taken += usize::from(status < 300);
        let busy = status == 503 && !answer.is_empty();
        ensure!(status < 500 || busy, "{method} {path} with {}: {status} {answer}", String::from_utf8_lossy(&body));
    }
    let after = server.resident_bytes()?;
    println!("{asked} requests, {taken} of them taken; {} MB before, {} MB after", before >> 20, after >> 20);
    ensure!(asked > 0 && taken > 0, "it does something");
    ensure!(after < before + GROWTH_BYTES_MAX, "{before} bytes before, {after} after");
    server.stop()
}

/// Sends it; gives the status, and the answer as text.
async fn ask(client: &Client, server: &Server, method: &str, path: &str, body: Vec<u8>) -> Result<(u16, String)> {
    // The path as it is in the document begins with the version; the client's is below the account.
    let method = method.to_uppercase().parse()?;
    let request = match path.strip_prefix("/v1/accounts/main") {
        Some(below) => client.request(method, below),
        None => reqwest::Client::new().request(method, format!("{}{path}", server.url())).bearer_auth(server.token()),
    };
    let request = request.header("content-type", "application/json").body(body).timeout(PATIENCE);
    let response = request.send().await?;
    let status = response.status().as_u16();
    Ok((status, response.text().await.unwrap_or_default()))
}

/// The path with something in the place of its parameters; none where it ends the account or its token.
fn filled(random: &mut StdRng, path: &str) -> Option<String> {
    let mut filled = String::new();
    for part in path.split('/').skip(1) {
        let given = match part {
            "{account}" => "main".to_owned(),
            _ if part.starts_with('{') => match random.random_range(0..3) {
                0 => "good".to_owned(),
                1 => Uuid::from_u128(random.random()).to_string(),
                _ => text(random).bytes().take(300).map(|byte| format!("%{byte:02x}")).collect(),
            },
            _ => part.to_owned(),
        };
        filled.push('/');
        filled.push_str(&given);
    }
    (!path.contains("/tokens")).then_some(filled)
}

/// A value that a schema asks for, mostly.
fn value(random: &mut StdRng, api: &Value, schema: &Value, depth: usize) -> Value {
    if depth > 8 || random.random_bool(0.03) {
        return odd(random);
    }
    if let Some(named) = schema["$ref"].as_str() {
        return value(
            random,
            api,
            &api["components"]["schemas"][named.rsplit('/').next().unwrap_or_default()],
            depth + 1,
        );
    }
    for one in ["oneOf", "anyOf"] {
        if let Some(chosen) = schema[one].as_array().and_then(|all| all.choose(random)) {
            return value(random, api, chosen, depth + 1);
        }
    }
    if let Some(all) = schema["allOf"].as_array() {
        let mut merged = Map::new();
        for part in all {
            if let Value::Object(fields) = value(random, api, part, depth + 1) {
                merged.extend(fields);
            }
        }
        return Value::Object(merged);
    }
    if let Some(chosen) = schema["enum"].as_array().and_then(|all| all.choose(random)) {
        return chosen.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.choose(random).and_then(Value::as_str).unwrap_or_default(),
        kind => kind.as_str().unwrap_or_default(),
    };
    match kind {
        "object" => {
            let mut fields = Map::new();
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                let required = schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
                if random.random_bool(if required { 0.97 } else { 0.5 }) {
                    fields.insert(name.clone(), value(random, api, field, depth + 1));
                }
            }
            if schema["additionalProperties"].is_object() {
                for _ in 0..random.random_range(0..3) {
                    fields.insert(text(random), value(random, api, &schema["additionalProperties"], depth + 1));
                }
            }
            Value::Object(fields)
        }
        "array" => {
            let length = *[0, 1, 1, 2, 3, 20].choose(random).unwrap_or(&1);
            (0..length).map(|_| value(random, api, &schema["items"], depth + 1)).collect()
        }
        "string" => text(random).into(),
        "integer" | "number" => number(random),
        "boolean" => random.random::<bool>().into(),
        _ => odd(random),
    }
}

fn number(random: &mut StdRng) -> Value {
    let known = [
        json!(0),
        json!(1),
        json!(2),
        json!(100),
        json!(1000),
        json!(86_400_000),
        json!(u32::MAX),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(-1),
        json!(i64::MIN),
        json!(0.5),
        json!(1e300),
        json!(1_772_445_600_000_u64),
    ];
    known.choose(random).cloned().unwrap_or_default()
}

fn odd(random: &mut StdRng) -> Value {
    match random.random_range(0..6) {
        0 => Value::Null,
        1 => json!([[[[[[]]]]]]),
        2 => json!({"": {"a": []}}),
        3 => number(random),
        _ => text(random).into(),
    }
}

/// The bytes of a value; some of them damaged, so that they may be no JSON at all.
fn damaged(random: &mut StdRng, value: &Value) -> Vec<u8> {
    let mut bytes = value.to_string().into_bytes();
    if random.random_bool(0.1) && !bytes.is_empty() {
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..3) {
            0 => bytes.truncate(at),
            1 => bytes[at] = random.random(),
            _ => bytes = b"[".repeat(100_000),
        }
    }
    bytes
}
