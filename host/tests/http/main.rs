//! The HTTP API as its callers see it: requests into the router, with a real store and real lanes behind it.
#![allow(clippy::unwrap_used)]

mod agents;
mod applications;
mod bad_input;
mod callbacks;
mod documents;
mod flow;
#[path = "../guest/mod.rs"]
mod guest;
mod left_out;
mod openapi;
mod roles;
mod socket;
mod statistics;
mod strategies;

use std::num::NonZero;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use signalbox::http::auth::{new_secret, secret_hash};
use signalbox::http::{State, router};
use signalbox::lane::{Accounts, Options};
use signalbox::outbox::Outbox;
use signalbox::store::{self, Store};
use signalbox::strategy::{self, Runtime};
use signalbox_engine::{Command, Document, Name, Role, Token, UnixMillis};
use tempfile::TempDir;
use tower::ServiceExt as _;

const ROLES: [(&str, Role); 6] = [
    ("client", Role::Client),
    ("agent", Role::Agent),
    ("designer", Role::Designer),
    ("approver", Role::Approver),
    ("operator", Role::Operator),
    ("administrator", Role::Administrator),
];

/// A server with the accounts `system`, `acme` and `other`, and a token for each role in each.
struct Server {
    accounts: Arc<Accounts>,
    router: Router,
    tokens: Vec<(String, String)>,
    directory: TempDir,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Server {
    async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let options = store::Options { directory: directory.path().join("store"), cache_bytes: 8 << 20 };
        let store = Arc::new(Store::open(&options).unwrap());
        let threads = NonZero::new(1).unwrap();
        let images = directory.path().join("images");
        let runtime = Runtime::new(&strategy::Options { threads, ..strategy::Options::new(images) }).unwrap();
        let outbox = Outbox::new(tokio::runtime::Handle::current()).unwrap();
        let handle = tokio::runtime::Handle::current();
        let options = Options { store, runtime: Arc::new(runtime), threads, outbox: Arc::new(outbox), handle };
        let accounts = Arc::new(Accounts::open(options).unwrap());
        let mut tokens = Vec::new();
        for account in ["system", "acme", "other"] {
            let lane = accounts.create(&name(account)).unwrap();
            for (role, value) in ROLES {
                let secret = new_secret().unwrap();
                let hash = secret_hash(&secret);
                let token = Token { name: name(role), hash, roles: vec![value], created_at: UnixMillis(0) };
                lane.command(Command::Put { document: Document::Token(token), by: "test".into() }).await.unwrap();
                tokens.push((format!("{account}/{role}"), secret));
            }
        }
        let router = router(State::new(Arc::clone(&accounts)));
        Self { accounts, router, tokens, directory }
    }

    /// The secret of `ACCOUNT/ROLE`.
    fn token(&self, holder: &str) -> &str {
        self.tokens.iter().find_map(|(name, secret)| (name == holder).then_some(secret)).unwrap()
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// `request`: method and path below `/v1/accounts/acme`, as `GET /queues`.
    async fn call(&self, role: &str, request: &str, body: Value) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/accounts/acme{path}"))
            .header("authorization", format!("Bearer {}", self.token(&format!("acme/{role}"))));
        let request = match body {
            Value::Null => request.body(Body::empty()),
            body => request.header("content-type", "application/json").body(Body::from(body.to_string())),
        };
        self.send(request.unwrap()).await
    }

    /// Calls, and expects this status.
    async fn expect(&self, role: &str, request: &str, body: Value, status: u16) -> Value {
        let answer = self.call(role, request, body).await;
        assert_eq!(answer.status.as_u16(), status, "{request}: {answer:#?}");
        answer.body
    }

    /// Puts a workflow that leads into a queue.
    async fn put_workflow(&self, workflow: &str, queue: &str) {
        self.expect("designer", &format!("PUT /workflows/{workflow}"), into_queue(queue), 201).await;
    }

    /// Submits a chat; answers with its identifier.
    async fn submit(&self, workflow: &str, body: &str) -> String {
        let new = json!({"workflow": workflow, "media_type": "chat", "body": body});
        let made = self.expect("client", "POST /interactions", new, 201).await;
        made["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accounts.stop();
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A workflow that leads into a queue and ends.
fn into_queue(queue: &str) -> Value {
    json!({
        "elements": [
            {"id": "start", "kind": "start"},
            {"id": "wait", "kind": "queue", "queue": queue},
            {"id": "end", "kind": "end"}
        ],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "wait"},
            {"from": "wait", "outcome": "completed", "to": "end"}
        ]
    })
}
