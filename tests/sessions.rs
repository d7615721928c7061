//! Sessions of agents whose other end misbehaves: it never reads, sends junk, or opens thousands. It is cut off or told,
//! and everybody else is served meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use serde_json::{Value, json};
use signalbox_tests::{AgentSession, Client, Server};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long a submit may take while somebody else misbehaves.
const SUBMIT_MAX: Duration = Duration::from_secs(5);

/// Agents `agent-0` and so on with a queue for them, and a queue that nobody serves; answers with their tokens.
async fn set_up(client: &Client, agents: usize) -> Result<Vec<String>> {
    let mut tokens = Vec::new();
    for n in 0..agents {
        let name = format!("agent-{n}");
        client.put(&format!("/agents/{name}"), &json!({"capacity": "4 chat"})).await?;
        let token = client.post("/tokens", &json!({"name": name, "roles": ["agent"]})).await?;
        tokens.push(token["secret"].as_str().context("a token has a secret")?.to_owned());
    }
    let names: Vec<String> = (0..agents).map(|n| format!("agent-{n}")).collect();
    client.put("/agent-groups/team", &json!({"agents": names})).await?;
    client.put("/agent-rules", &json!({"connection_grace_ms": 60_000, "second_login": "allow"})).await?;
    client.put("/queues/desk", &json!({"target": {"agent-group": "team"}, "offer_timeout_ms": 60_000})).await?;
    for queue in ["desk", "aside"] {
        let workflow = json!({"name": queue,
            "elements": [{"id": "start", "kind": "start"}, {"id": "wait", "kind": "queue", "queue": queue},
                         {"id": "done", "kind": "end"}],
            "connectors": [{"from": "start", "outcome": "next", "to": "wait"},
                           {"from": "wait", "outcome": "completed", "to": "done"}]});
        client.put(&format!("/workflows/{queue}"), &workflow).await?;
    }
    Ok(tokens)
}

fn chat(workflow: &str) -> Value {
    json!({"workflow": workflow, "media_type": "chat", "body": "Where is my order?"})
}

/// Everybody else: submits one after the other until it is stopped.
struct Others {
    stop: watch::Sender<()>,
    task: JoinHandle<Result<usize>>,
}

impl Others {
    fn start(client: Client) -> Self {
        let (stop, stopped) = watch::channel(());
        let task = tokio::spawn(async move {
            let mut count = 0;
            while stopped.has_changed().is_ok() {
                let submit = tokio::time::timeout(SUBMIT_MAX, client.submit(&chat("aside"))).await;
                submit.with_context(|| format!("submit {count} took more than {SUBMIT_MAX:?}"))??;
                count += 1;
            }
            Ok(count)
        });
        Self { stop, task }
    }

    /// How many were submitted, none of which took too long.
    async fn stop(self) -> Result<usize> {
        drop(self.stop);
        self.task.await?
    }
}

async fn open(url: &str, token: &str, agent: &str) -> Result<Socket, tungstenite::Error> {
    let address = url.replacen("http", "ws", 1);
    let mut request = format!("{address}/v1/accounts/main/agents/{agent}/session").into_client_request()?;
    request
        .headers_mut()
        .insert("authorization", format!("Bearer {token}").parse().map_err(tungstenite::http::Error::from)?);
    let config = WebSocketConfig::default().read_buffer_size(4 << 10);
    Ok(connect_async_with_config(request, Some(config), true).await?.0)
}

/// The next frame that is a text; none once the session has ended.
async fn next(socket: &mut Socket) -> Result<Option<Value>> {
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(30), socket.next()).await.context("no frame came")?;
        match frame {
            Some(Ok(Message::Text(text))) => return Ok(Some(serde_json::from_str(text.as_str())?)),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(None),
            Some(Ok(_)) => {}
        }
    }
}

/// The answer to what was asked last.
async fn answer(socket: &mut Socket) -> Result<Value> {
    loop {
        let frame = next(socket).await?.context("the session has ended")?;
        if matches!(frame["type"].as_str(), Some("done" | "problem")) {
            return Ok(frame);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_never_reads_is_cut_off_and_holds_up_nobody() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(directory.path())?;
    let client = server.client();
    let tokens = set_up(&client, 1).await?;
    let mut deaf = open(server.url(), &tokens[0], "agent-0").await?;
    for what in ["login", "ready"] {
        deaf.send(Message::text(json!({"do": what}).to_string())).await?;
    }
    let interaction = client.submit(&chat("desk")).await?;
    let state = async || client.get("/agents/agent-0/state").await;
    let began = Instant::now();
    let offer = loop {
        if let Some(offer) = state().await?["offers"][0]["id"].as_str() {
            break offer.to_owned();
        }
        ensure!(began.elapsed() < Duration::from_secs(30), "nothing was offered");
    };
    client.post(&format!("/agents/agent-0/offers/{offer}/accept"), &json!({})).await?;
    let others = Others::start(server.client());
    let words = json!({"text": "x".repeat(60 << 10)});
    let began = Instant::now();
    let mut said = 0;
    while state().await?["connected"] == true {
        client.post(&format!("/interactions/{interaction}/messages"), &words).await?;
        said += 1;
        ensure!(began.elapsed() < Duration::from_secs(60), "it is still connected after {said} messages");
    }
    ensure!(others.stop().await? > 0, "others were served");
    let (_, again) = AgentSession::open(server.url(), &tokens[0], "agent-0").await?;
    ensure!(again["work"][0]["interaction"] == interaction.as_str(), "its work is still there: {again}");
    drop(deaf);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_is_told_what_is_wrong_or_ends_its_own_session() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(directory.path())?;
    let tokens = set_up(&server.client(), 2).await?;
    let mut good = open(server.url(), &tokens[1], "agent-1").await?;
    let others = Others::start(server.client());

    let mut bad = open(server.url(), &tokens[0], "agent-0").await?;
    let junk = [
        (Message::text("not JSON"), "json-malformed"),
        (Message::text(""), "json-malformed"),
        (Message::text("[".repeat(50_000)), "json-malformed"),
        (Message::binary(vec![0xff; 100]), "json-malformed"),
        (Message::text("[]"), "json-invalid"),
        (Message::text("{}"), "json-invalid"),
        (Message::text(json!({"do": "dance"}).to_string()), "json-invalid"),
        (Message::text(json!({"do": "not-ready"}).to_string()), "json-invalid"),
        (Message::text(json!({"do": "login", "place": "nowhere"}).to_string()), "place-unknown"),
        (Message::text(json!({"do": "accept", "offer": "seven"}).to_string()), "invalid"),
        (Message::text(json!({"do": "ready"}).to_string()), "agent-logged-out"),
    ];
    for (frame, code) in junk {
        let shown = format!("{frame:?}").chars().take(80).collect::<String>();
        bad.send(frame).await?;
        let answer = answer(&mut bad).await?;
        ensure!(answer["problem"]["code"] == code, "{shown}: {answer}");
    }
    bad.send(Message::text(json!({"do": "login", "id": 7}).to_string())).await?;
    let done = answer(&mut bad).await?;
    ensure!((&done["type"], &done["id"]) == (&json!("done"), &json!(7)), "it goes on: {done}");

    bad.send(Message::text("x".repeat(200 << 10))).await?;
    while next(&mut bad).await?.is_some() {}
    for garbage in [vec![0xff; 4096], b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![0x81, 0x02, 0xc3, 0x28]] {
        let mut bad = open(server.url(), &tokens[0], "agent-0").await?;
        let MaybeTlsStream::Plain(stream) = bad.get_mut() else { bail!("a plain connection") };
        stream.write_all(&garbage).await?;
        while next(&mut bad).await?.is_some() {}
    }

    for what in ["login", "ready"] {
        good.send(Message::text(json!({"do": what}).to_string())).await?;
        let done = answer(&mut good).await?;
        ensure!(done["type"] == "done", "{done}");
    }
    ensure!(others.stop().await? > 0, "others were served");
    Ok(())
}

/// Lets this process open as many files as the system allows it; answers with how many.
fn raise_open_files() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live, writable `rlimit` of this frame, and the call writes no more than that.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0;
    assert!(!failed, "the system says how many files may be open");
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the pointer is to a live `rlimit` of this frame, which the call only reads.
    let failed = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0;
    assert!(!failed, "as many files may be open as the system allows");
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_10_000_sessions_as_many_are_open_as_may_be_and_the_others_are_told() -> Result<()> {
    const AGENTS: usize = 300;
    const ATTEMPTS: usize = 10_000;
    // The server has the same bound, and lets sessions have a quarter of it: so many can be held here.
    raise_open_files();
    let directory = tempfile::tempdir()?;
    let server = Server::start(directory.path())?;
    let tokens = set_up(&server.client(), AGENTS).await?;
    let others = Others::start(server.client());
    let url = server.url();
    // The first few are all of one agent.
    let who = (0..ATTEMPTS).map(|n| if n < 40 { 0 } else { n % AGENTS });
    let attempts = who.map(|n| {
        let token = &tokens[n];
        async move { open(url, token, &format!("agent-{n}")).await }
    });
    let mut attempts = stream::iter(attempts).buffer_unordered(64);
    let (mut held, mut refused) = (Vec::new(), BTreeMap::<(u16, String), usize>::new());
    while let Some(attempt) = attempts.next().await {
        match attempt {
            Ok(socket) => held.push(socket),
            Err(tungstenite::Error::Http(response)) => {
                let body: Value = serde_json::from_slice(response.body().as_deref().unwrap_or_default())?;
                ensure!(response.headers().contains_key("retry-after"), "{body}");
                ensure!(response.headers()["connection"] == "close", "{body}");
                let code = body["code"].as_str().context("a problem has a code")?.to_owned();
                *refused.entry((response.status().as_u16(), code)).or_default() += 1;
            }
            Err(error) => bail!("after {} sessions: {error}", held.len()),
        }
    }
    let (open_now, resident) = (held.len(), server.resident_bytes()?);
    println!("{open_now} sessions, {} MiB resident, refused: {refused:?}", resident >> 20);
    ensure!(open_now <= 4000, "{open_now} are open");
    ensure!(open_now + refused.values().sum::<usize>() == ATTEMPTS, "each was answered");
    ensure!(refused.get(&(429, "agent-sessions-full".to_owned())) >= Some(&24), "{refused:?}");
    ensure!(refused.contains_key(&(429, "account-sessions-full".to_owned())), "{refused:?}");
    ensure!(others.stop().await? > 0, "others were served");
    tokio::time::timeout(SUBMIT_MAX, server.client().submit(&chat("aside"))).await.context("a new client")??;
    drop(held);
    let began = Instant::now();
    while let Err(error) = open(url, &tokens[0], "agent-0").await {
        ensure!(began.elapsed() < Duration::from_secs(60), "there is no room again: {error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_connections_that_say_nothing_are_closed_and_others_come_through() -> Result<()> {
    let connections = raise_open_files().saturating_sub(1000).min(10_000);
    let directory = tempfile::tempdir()?;
    let server = Server::start(directory.path())?;
    set_up(&server.client(), 1).await?;
    let others = Others::start(server.client());
    let address = server.url().trim_start_matches("http://").to_owned();
    let address = address.as_str();
    let connect = (0..connections).map(|_| async move { TcpStream::connect(address).await });
    let mut connect = stream::iter(connect).buffer_unordered(64);
    let mut held = Vec::new();
    while let Some(stream) = connect.next().await {
        held.push(stream?);
    }
    // A new client has to wait until some of those that say nothing are closed.
    let (newcomer, new) = (server.client(), chat("aside"));
    let submit = tokio::time::timeout(Duration::from_secs(20), newcomer.submit(&new));
    submit.await.context("a new client came through")??;
    ensure!(others.stop().await? > 0, "others were served");
    Ok(())
}
