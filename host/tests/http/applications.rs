//! Applications outside, asked by `call` elements: a real connection to a server that behaves as its path says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Server;

/// A server that answers as the path says, and keeps what it was asked.
struct Application {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Application {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&kept)));
            }
        });
        Self { address, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(mut stream: TcpStream, asked: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).await.unwrap_or(0);
        request.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            length.is_some_and(|length: usize| body.len() >= length)
        });
        if read == 0 || whole {
            break;
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    let count = {
        let mut asked = asked.lock().unwrap();
        asked.push(text);
        asked.len()
    };
    let json =
        |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let status =
        |line: &str, more: &str| format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\nconnection: close\r\n{more}\r\n");
    let response = match path.as_str() {
        "/ok" => json(r#"{"customer": {"tier": "gold", "orders": 3}}"#),
        "/junk" => json("<html>Welcome!</html>"),
        "/404" => {
            "HTTP/1.1 404 Not Found\r\ncontent-length: 16\r\nconnection: close\r\n\r\nno such customer".to_owned()
        }
        "/500" => status("500 Internal Server Error", ""),
        "/twice-500" if count <= 2 => status("500 Internal Server Error", ""),
        "/twice-500" => json("{}"),
        "/redirect" => status("302 Found", "location: http://169.254.169.254/latest/meta-data\r\n"),
        "/megabytes" => json(&format!(r#"{{"x": "{}"}}"#, "x".repeat(3 << 20))),
        "/endless" => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
            while stream.write_all(b"5\r\n[1,1,\r\n").await.is_ok() {}
            return;
        }
        "/drip" => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            return;
        }
        "/cut" => "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{".to_owned(),
        // It hangs.
        _ => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return;
        }
    };
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Puts a workflow that asks an application and ends as it was left.
async fn set_up(server: &Server, url: &str, retries: u8) {
    let endpoint = json!({"url": url, "secret": "0123456789abcdef", "timeout_ms": 300, "retries": retries});
    let put = server.call("operator", "PUT /endpoints/crm", endpoint).await;
    assert!(put.status.is_success(), "{put:#?}");
    let ends = ["ok", "refused", "error", "timeout"];
    let mut elements = vec![
        json!({"id": "start", "kind": "start"}),
        json!({"id": "ask", "kind": "call", "endpoint": "crm", "request": {"user_data": ["customer"], "fields": ["sender"]},
            "response": {"tier": "/customer/tier", "orders": "/customer/orders"}}),
    ];
    let mut connectors = vec![json!({"from": "start", "outcome": "next", "to": "ask"})];
    for end in ends {
        elements.push(json!({"id": end, "kind": "end", "disposition": end}));
        connectors.push(json!({"from": "ask", "outcome": end, "to": end}));
    }
    let workflow = json!({"elements": elements, "connectors": connectors});
    let put = server.call("designer", "PUT /workflows/asks", workflow).await;
    assert!(put.status.is_success(), "{put:#?}");
}

/// Submits, and waits until it has ended; answers with how, and with its identifier.
async fn ask(server: &Server) -> (String, String) {
    let new = json!({"workflow": "asks", "media_type": "chat", "body": "Hi", "sender": "ana@example.org",
        "user_data": {"customer": "77", "secret": "x"}});
    let made = server.expect("client", "POST /interactions", new, 201).await;
    let id = made["id"].as_str().unwrap().to_owned();
    for _ in 0..1000 {
        let found = server.expect("client", &format!("GET /interactions/{id}"), Value::Null, 200).await;
        if found["state"] == "completed" {
            return (found["disposition"].as_str().unwrap().to_owned(), id);
        }
        assert_eq!(found["state"], "routing", "{found:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{id} never ended");
}

/// What the timeline says about the application, line by line.
async fn told(server: &Server, id: &str) -> String {
    let timeline = server.expect("client", &format!("GET /interactions/{id}/timeline"), Value::Null, 200).await;
    let of_endpoint = |entry: &&Value| entry["type"].as_str().unwrap().starts_with("endpoint.");
    let items = timeline["items"].as_array().unwrap();
    items.iter().filter(of_endpoint).map(|entry| entry["text"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn an_application_is_asked_and_its_answer_becomes_user_data() {
    let (server, application) = (Server::start().await, Application::start().await);
    set_up(&server, &application.url("ok"), 0).await;
    let (how, id) = ask(&server).await;
    assert_eq!(how, "ok");
    let data = server.expect("client", &format!("GET /interactions/{id}/user-data"), Value::Null, 200).await;
    assert_eq!(data, json!({"customer": "77", "secret": "x", "tier": "gold", "orders": "3"}));
    assert_eq!(told(&server, &id).await, "Asked the application crm.\nThe application crm answered.");
    let asked = application.asked();
    let (head, body) = asked[0].split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("post /ok "), "{head}");
    assert!(head.contains("signalbox-signature: sha256="), "{head}");
    assert!(head.contains(&format!("idempotency-key: {id}:")), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["user_data"], json!({"customer": "77"}), "only what was asked for is sent");
    assert_eq!(body["fields"], json!({"sender": "ana@example.org"}));
}

#[tokio::test]
async fn each_way_to_misbehave_has_its_outcome_and_its_reason() {
    let (server, application) = (Server::start().await, Application::start().await);
    let table = [
        ("hang", "timeout", "it took longer than 300 ms"),
        ("drip", "timeout", "it took longer than 300 ms"),
        ("500", "error", "it answered with status 500"),
        ("404", "refused", "it refused with status 404: no such customer"),
        ("megabytes", "error", "more than 65536 bytes"),
        ("endless", "error", "more than 65536 bytes"),
        ("junk", "error", "its answer is no JSON"),
        ("cut", "error", "it could not be reached"),
        ("redirect", "error", "it redirected to http://169.254.169.254/latest/meta-data with status 302"),
    ];
    for (path, outcome, why) in table {
        set_up(&server, &application.url(path), 0).await;
        let (how, id) = ask(&server).await;
        let told = told(&server, &id).await;
        assert_eq!(how, outcome, "{path}: {told}");
        assert!(told.contains(why), "{path}: {told}");
    }
    // Nothing went anywhere else, and a redirect was not followed.
    assert_eq!(application.asked().len(), table.len());
}

#[tokio::test]
async fn an_application_that_is_gone_is_an_error() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    set_up(&server, &url, 0).await;
    let (how, id) = ask(&server).await;
    assert_eq!(how, "error", "{}", told(&server, &id).await);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_contacted_unless_an_operator_says_so() {
    let (server, application) = (Server::start().await, Application::start().await);
    // Not `localhost` itself, which says what is meant, but a name for it, as whoever keeps a name could make any.
    let url = format!("http://localhost.:{}/ok", application.address.port());
    set_up(&server, &url, 0).await;
    let (how, id) = ask(&server).await;
    assert_eq!(how, "error", "{}", told(&server, &id).await);
    assert!(application.asked().is_empty());
    let meant = format!("http://localhost:{}/ok", application.address.port());
    set_up(&server, &meant, 0).await;
    assert_eq!(ask(&server).await.0, "ok");
}

#[tokio::test]
async fn what_may_pass_is_asked_again_as_the_same_call() {
    let (server, application) = (Server::start().await, Application::start().await);
    set_up(&server, &application.url("twice-500"), 2).await;
    let (how, id) = ask(&server).await;
    assert_eq!(how, "ok", "{}", told(&server, &id).await);
    let key = |request: &String| {
        let line = request.lines().find(|line| line.to_lowercase().starts_with("idempotency-key:"));
        line.unwrap_or_default().to_owned()
    };
    let keys: Vec<String> = application.asked().iter().map(key).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|k| *k == keys[0] && k.contains(&id)), "{keys:?}");
}

#[tokio::test]
async fn one_that_hangs_holds_up_no_other() {
    let (server, application) = (Server::start().await, Application::start().await);
    set_up(&server, &application.url("hang"), 0).await;
    let slow = json!({"url": application.url("hang"), "secret": "0123456789abcdef", "timeout_ms": 60_000});
    server.expect("operator", "PUT /endpoints/crm", slow, 200).await;
    let new = json!({"workflow": "asks", "media_type": "chat", "body": "Hi"});
    for _ in 0..100 {
        server.expect("client", "POST /interactions", new.clone(), 201).await;
    }
    let fast = json!({"url": application.url("ok"), "secret": "0123456789abcdef"});
    server.expect("operator", "PUT /endpoints/fast", fast, 201).await;
    let workflow = json!({"elements": [
            {"id": "start", "kind": "start"},
            {"id": "ask", "kind": "call", "endpoint": "fast"},
            {"id": "end", "kind": "end", "disposition": "ok"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "ask"},
            {"from": "ask", "outcome": "ok", "to": "end"},
            {"from": "ask", "outcome": "refused", "to": "end"}]});
    server.expect("designer", "PUT /workflows/asks", workflow, 200).await;
    assert_eq!(ask(&server).await.0, "ok");
    let hanging = application.asked().iter().filter(|request| request.starts_with("POST /hang")).count();
    assert!(hanging <= 16, "{hanging} at a time");
}

#[tokio::test]
async fn an_endpoint_is_put_read_and_taken_away() {
    let server = Server::start().await;
    let new = json!({"url": "https://crm.example/look-up", "secret": "0123456789abcdef"});
    let made = server.expect("operator", "PUT /endpoints/crm", new.clone(), 201).await;
    let shown = json!({"name": "crm", "url": "https://crm.example/look-up", "private_network": false,
        "timeout_ms": 5000, "retries": 0, "response_bytes_max": 65_536});
    assert_eq!(made, shown, "the secret never comes out");
    let changed = json!({"url": "https://crm.example/v2", "timeout_ms": 100});
    server.expect("operator", "PUT /endpoints/crm", changed, 200).await;
    let found = server.expect("designer", "GET /endpoints/crm", Value::Null, 200).await;
    assert_eq!((&found["url"], &found["timeout_ms"]), (&json!("https://crm.example/v2"), &json!(100)));
    let faults = [
        (json!({"url": "ftp://crm.example", "secret": "0123456789abcdef"}), "url"),
        (json!({"url": "crm", "secret": "0123456789abcdef"}), "url"),
        (json!({"url": "http://me:word@crm.example", "secret": "0123456789abcdef"}), "url"),
        (json!({"url": "http://crm.example", "secret": "short"}), "secret"),
        (json!({"url": "http://crm.example", "secret": "0123456789abcdef", "timeout_ms": 60_001}), "timeout_ms"),
        (json!({"url": "http://crm.example", "secret": "0123456789abcdef", "retries": 6}), "retries"),
    ];
    for (fault, field) in faults {
        let refused = server.expect("operator", "PUT /endpoints/other", fault, 422).await;
        assert_eq!(refused["field"], field, "{refused:#}");
    }
    set_up(&server, "https://crm.example", 0).await;
    let refused = server.expect("operator", "DELETE /endpoints/crm", Value::Null, 409).await;
    assert_eq!(refused["code"], "document-in-use");
    server.expect("operator", "DELETE /endpoints/nothing", Value::Null, 404).await;
}
