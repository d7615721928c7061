//! Requests that are wrong, each with the status and the code that it is refused with.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use signalbox::http::{State, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Answer, Server, into_queue};

async fn post(server: &Server, role: &str, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(format!("/v1/accounts/acme{path}"))
        .header("authorization", format!("Bearer {}", server.token(&format!("acme/{role}"))))
        .header("content-type", content_type)
        .body(body.into());
    server.send(request.unwrap()).await
}

fn chat(body: &str) -> Value {
    json!({"workflow": "main", "media_type": "chat", "body": body})
}

fn chat_with(field: &str, value: Value) -> Vec<u8> {
    let mut new = chat("hello");
    new[field] = value;
    new.to_string().into_bytes()
}

#[tokio::test]
async fn a_submit_that_is_wrong_is_refused_with_its_code() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    let deep = format!("{{\"user_data\": {}", "{\"a\":".repeat(10_000));
    let data: Value = (0..300).map(|n| (format!("k{n}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
    let headers: Value = (0..300).map(|n| json!({"key": format!("h{n}"), "value": ""})).collect();
    let cases: Vec<(&str, Vec<u8>, u16, &str, &str)> = vec![
        ("nothing", b"".to_vec(), 400, "json-malformed", ""),
        ("half an object", b"{\"workflow\": \"main\"".to_vec(), 400, "json-malformed", ""),
        ("more than one value", b"{} {}".to_vec(), 400, "json-invalid", ""),
        ("no UTF-8", b"{\"workflow\": \"\xff\xfe\"}".to_vec(), 400, "json-not-utf8", ""),
        (
            "half a surrogate pair",
            br#"{"workflow": "main", "media_type": "chat", "body": "\ud800"}"#.to_vec(),
            400,
            "json-malformed",
            "",
        ),
        ("deep nesting", deep.into_bytes(), 400, "json-too-deep", ""),
        ("a list", b"[]".to_vec(), 400, "json-invalid", ""),
        ("a field that is missing", br#"{"workflow": "main"}"#.to_vec(), 400, "json-invalid", ""),
        ("a field that is not known", chat_with("colour", json!("red")), 400, "json-invalid", "colour"),
        ("a number for a text", chat_with("body", json!(7)), 400, "json-invalid", "body"),
        (
            "a media type that is no name",
            chat_with("media_type", json!("Fax Machine")),
            400,
            "json-invalid",
            "media_type",
        ),
        ("an empty media type", chat_with("media_type", json!("")), 400, "json-invalid", "media_type"),
        ("a workflow that is no name", chat_with("workflow", json!("../main")), 400, "json-invalid", "workflow"),
        ("a workflow that is not there", chat_with("workflow", json!("nothing")), 422, "workflow-unknown", "workflow"),
        ("too high a priority", chat_with("priority", json!(1001)), 422, "invalid", "priority"),
        ("a negative priority", chat_with("priority", json!(-1)), 400, "json-invalid", "priority"),
        ("too long a subject", chat_with("subject", json!("x".repeat(4097))), 422, "invalid", "subject"),
        ("too long a sender", chat_with("sender", json!("x".repeat(1025))), 422, "invalid", "sender"),
        ("too many headers", chat_with("headers", headers), 422, "invalid", "headers"),
        (
            "a header without a name",
            chat_with("headers", json!([{"key": "", "value": "x"}])),
            422,
            "invalid",
            "headers",
        ),
        ("a header that is a list", chat_with("headers", json!([["a", 1]])), 400, "json-invalid", "headers[0][1]"),
        ("a language that is none", chat_with("language", json!("en_US!")), 422, "invalid", "language"),
        ("too much user data", chat_with("user_data", data), 422, "invalid", "user_data"),
        ("too long a value", chat_with("user_data", json!({"a": "x".repeat(8193)})), 422, "invalid", "user_data"),
        ("user data that nests", chat_with("user_data", json!({"a": {"b": "c"}})), 400, "json-invalid", "user_data.a"),
    ];
    for (what, body, status, code, field) in cases {
        let answer = post(&server, "client", "/interactions", "application/json", body).await;
        let found = answer.body["field"].as_str().unwrap_or_default();
        assert_eq!((answer.status.as_u16(), answer.code(), found), (status, code, field), "{what}: {answer:#?}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
        assert_eq!(answer.body["status"], status, "{what}");
        assert_eq!(answer.body["type"], format!("urn:signalbox:problem:{code}"), "{what}");
        assert!(!answer.body["detail"].as_str().unwrap().is_empty(), "{what}");
    }
    let listed = server.expect("client", "GET /interactions", Value::Null, 200).await;
    assert_eq!(listed["items"], json!([]), "nothing of it was stored");
}

#[tokio::test]
async fn a_text_of_one_mebibyte_is_taken_and_one_byte_more_is_refused() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    let id = server.submit("main", &"x".repeat(1 << 20)).await;
    let shown = server.expect("client", &format!("GET /interactions/{id}"), Value::Null, 200).await;
    assert_eq!(shown["message"]["body"].as_str().unwrap().len(), 1 << 20);
    let answer = server.call("client", "POST /interactions", chat(&"x".repeat((1 << 20) + 1))).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (413, "body-too-large"));
    let escaped = format!(r#"{{"workflow":"main","media_type":"chat","body":"{}"}}"#, "\\u0442".repeat(1 << 19));
    let answer = post(&server, "client", "/interactions", "application/json", escaped).await;
    assert_eq!(answer.status.as_u16(), 201, "a mebibyte of Cyrillic, escaped");
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_before_it_is_read() {
    let server = Server::start().await;
    let request = Request::post("/v1/accounts/acme/interactions")
        .header("authorization", format!("Bearer {}", server.token("acme/client")))
        .header("content-type", "application/json")
        .header("content-length", "99999999999")
        .body(Body::from_stream(tokio_stream::pending::<Result<bytes::Bytes, std::io::Error>>()));
    let answer = server.send(request.unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (413, "body-too-large"));
    let body = vec![b' '; (4 << 20) + 1];
    let answer = post(&server, "client", "/interactions", "application/json", body).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (413, "body-too-large"));
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let server = Server::start().await;
    let body = chat("hello").to_string();
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "*/*"] {
        let answer = post(&server, "client", "/interactions", content_type, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (415, "content-type-wrong"), "{content_type}");
    }
    server.put_workflow("main", "billing").await;
    let answer = post(&server, "client", "/interactions", "Application/JSON; charset=utf-8", body).await;
    assert_eq!(answer.status.as_u16(), 201);
}

#[tokio::test]
async fn tokens_that_are_wrong_are_refused_with_a_challenge() {
    let server = Server::start().await;
    for (authorization, code) in [
        ("", "token-missing"),
        ("Basic dXNlcjpwYXNz", "token-missing"),
        ("Bearer sbx_wrong", "token-unknown"),
        ("Bearer ", "token-unknown"),
    ] {
        let request = Request::get("/v1/accounts/acme/queues").header("authorization", authorization);
        let answer = server.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (401, code), "{authorization}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"), "{authorization}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_its_noun() {
    let server = Server::start().await;
    let cases = [
        ("operator", "GET /nothing", 404, "path-unknown"),
        ("operator", "GET /queues/a/b/c", 404, "path-unknown"),
        ("operator", "DELETE /queues", 405, "method-not-allowed"),
        ("client", "GET /interactions/0192a000-0000-7000-8000-000000000000", 404, "interaction-unknown"),
        ("client", "GET /interactions/0192a000-0000-7000-8000-000000000000/timeline", 404, "interaction-unknown"),
        ("client", "GET /interactions/0192a000-0000-7000-8000-000000000000/user-data", 404, "interaction-unknown"),
        ("operator", "GET /interactions/0192a000-0000-7000-8000-000000000000/decisions", 404, "interaction-unknown"),
        ("agent", "POST /interactions/0192a000-0000-7000-8000-000000000000/release", 404, "interaction-unknown"),
        ("client", "GET /interactions/seven", 400, "path-invalid"),
        ("client", "GET /interactions?state=lost", 400, "query-invalid"),
        ("client", "GET /interactions?colour=red", 400, "query-invalid"),
        ("client", "GET /interactions?limit=0", 400, "query-invalid"),
        ("client", "GET /interactions?limit=201", 400, "query-invalid"),
        ("client", "GET /interactions?cursor=x", 400, "cursor-invalid"),
        ("agent", "GET /queues/nothing", 404, "queue-unknown"),
        ("agent", "GET /queues/Not%20a%20name", 400, "path-invalid"),
        ("agent", "POST /queues/nothing/take", 404, "queue-unknown"),
        ("client", "GET /workflows/nothing", 404, "workflow-unknown"),
        ("client", "GET /workflows/nothing/versions", 404, "workflow-unknown"),
        ("designer", "DELETE /workflows/nothing/versions/1", 404, "workflow-unknown"),
        ("operator", "GET /workflows/nothing/elements/e/binding", 404, "binding-unknown"),
        ("operator", "DELETE /queues/nothing", 404, "queue-unknown"),
        ("operator", "GET /strategies/0000", 400, "path-invalid"),
        ("operator", "GET /deployments/nothing", 404, "deployment-unknown"),
        ("operator", "GET /deployments/nothing/log", 404, "deployment-unknown"),
        ("operator", "GET /outbox/7", 404, "message-unknown"),
        ("operator", "POST /outbox/7/deliveries/crm/retry", 404, "delivery-unknown"),
        ("operator", "GET /webhooks/nothing", 404, "webhook-unknown"),
        ("operator", "GET /tables/nothing", 404, "table-unknown"),
        ("operator", "GET /tables/nothing/entries/k", 404, "table-unknown"),
        ("designer", "GET /responses/nothing", 404, "response-unknown"),
        ("designer", "GET /calendars/nothing", 404, "calendar-unknown"),
        ("administrator", "DELETE /tokens/nothing", 404, "token-unknown"),
    ];
    for (role, request, status, code) in cases {
        let answer = server.call(role, request, Value::Null).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{request}: {answer:#?}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{request}");
        assert_eq!(status == 405, !answer.header("allow").is_empty(), "{request}");
    }
}

#[tokio::test]
async fn an_idempotency_key_is_bounded() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    for (key, status) in [("", 400), ("x", 201), (&"k".repeat(255), 201), (&"k".repeat(256), 400), ("schlüssel", 400)]
    {
        let request = Request::post("/v1/accounts/acme/interactions")
            .header("authorization", format!("Bearer {}", server.token("acme/client")))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(Body::from(chat("hello").to_string()));
        let answer = server.send(request.unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{key}: {answer:#?}");
    }
}

#[tokio::test]
async fn a_workflow_with_faults_is_refused_with_all_of_them() {
    let server = Server::start().await;
    let mut workflow = into_queue("billing");
    workflow["connectors"][1]["to"] = json!("nowhere");
    workflow["elements"].as_array_mut().unwrap().push(json!({"id": "alone", "kind": "end"}));
    let answer = server.call("designer", "PUT /workflows/main", workflow.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (422, "workflow-faulty"));
    let faults = answer.body["faults"].as_array().unwrap().clone();
    assert!(faults.len() > 1, "{faults:#?}");
    workflow["name"] = json!("main");
    let validated = server.expect("designer", "POST /workflows/validate", workflow, 200).await;
    assert_eq!(validated["faults"], Value::Array(faults), "validating says the same");
}

#[tokio::test]
async fn a_binary_that_is_no_strategy_is_refused_for_what_it_is() {
    let server = Server::start().await;
    let cases: [(&str, &[u8], u16, &str); 5] = [
        ("nothing", b"", 422, "strategy-not-wasm"),
        ("a picture", b"\x89PNG\r\n\x1a\n", 422, "strategy-not-wasm"),
        ("a core module", b"\0asm\x01\0\0\0", 422, "strategy-core-module"),
        ("an empty component", b"\0asm\x0d\0\x01\0", 422, "strategy-export-missing"),
        ("a component of another day", b"\0asm\xff\0\x01\0", 422, "strategy-malformed"),
    ];
    for (what, bytes, status, code) in cases {
        let answer = post(&server, "operator", "/strategies", "application/wasm", bytes).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{what}: {answer:#?}");
    }
    let answer = post(&server, "operator", "/strategies", "application/octet-stream", "x").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (415, "content-type-wrong"));
    let listed = server.expect("operator", "GET /strategies", Value::Null, 200).await;
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn a_deployment_of_what_is_not_there_is_refused() {
    let server = Server::start().await;
    let digest = "0".repeat(64);
    for (body, status, code, field) in [
        (json!({"strategy": "seven"}), 400, "json-invalid", "strategy"),
        (json!({"strategy": digest}), 422, "strategy-unknown", "strategy"),
        (json!({"strategy": digest, "deadline_ms": 0}), 422, "invalid", "deadline_ms"),
        (json!({"strategy": digest, "deadline_ms": 5001}), 422, "invalid", "deadline_ms"),
        (json!({"strategy": digest, "settings": "{}"}), 400, "json-invalid", "settings"),
        (json!({"strategy": digest, "name": "Not a name"}), 400, "json-invalid", "name"),
    ] {
        let answer = server.call("operator", "POST /deployments", body.clone()).await;
        let found = answer.body["field"].as_str().unwrap_or_default();
        assert_eq!((answer.status.as_u16(), answer.code(), found), (status, code, field), "{body}: {answer:#?}");
    }
}

/// Reads one answer off a connection: its head, in lower case, and what its body begins with.
async fn answered(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    stream.read_exact(&mut vec![0; length]).await.expect("its body");
    head
}

#[tokio::test]
async fn a_connection_goes_on_after_a_body_that_nobody_read() {
    const HEAD: &str = "POST /v1/accounts/acme/nowhere HTTP/1.1\r\nhost: here\r\n";
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, State::new(server.accounts.clone()), std::future::pending()));

    // What is sent late is read all the same, however it is framed, and the next request on the connection is answered.
    let mut stream = TcpStream::connect(address).await.unwrap();
    let chunks = format!("{}0\r\n\r\n", format!("10000\r\n{}\r\n", "x".repeat(0x1_0000)).repeat(16));
    for (framing, body) in [("content-length: 1048576", "x".repeat(1 << 20)), ("transfer-encoding: chunked", chunks)] {
        stream.write_all(format!("{HEAD}{framing}\r\n\r\n").as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        let head = answered(&mut stream).await;
        assert!(head.starts_with("http/1.1 404") && !head.contains("connection: close"), "{framing}: {head}");
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        assert!(answered(&mut stream).await.starts_with("http/1.1 200"), "{framing}");
    }

    // What is too much to read, or was never asked for, is refused at once, and with it the connection.
    for framing in ["content-length: 99999999999", "content-length: 1000\r\nexpect: 100-continue"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{HEAD}{framing}\r\n\r\n").as_bytes()).await.unwrap();
        let head = answered(&mut stream).await;
        assert!(head.starts_with("http/1.1 404") && head.contains("connection: close"), "{framing}: {head}");
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "{framing}: closed");
    }
}
