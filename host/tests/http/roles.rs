//! Who may do what, for every operation that the OpenAPI document has.

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use super::{ROLES, Server};

struct Operation {
    method: String,
    path: String,
    /// The roles that the document names; none where no token is needed.
    roles: Option<Vec<String>>,
}

fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(signalbox::http::openapi()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let roles = operation["security"][0]["token"].as_array();
            let roles = roles.map(|roles| roles.iter().map(|role| role.as_str().unwrap().to_owned()).collect());
            operations.push(Operation { method: method.to_uppercase(), path: path.clone(), roles });
        }
    }
    operations
}

impl Operation {
    /// The path in an account, with things that are not there.
    fn uri(&self, account: &str) -> String {
        self.path
            .replace("{account}", account)
            .replace("{interaction}", "0192a000-0000-7000-8000-000000000000")
            .replace("{digest}", &"0".repeat(64))
            .replace("{version}", "1")
            .replace("{message}", "1")
            .split('/')
            .map(|segment| if segment.starts_with('{') { "nothing" } else { segment })
            .collect::<Vec<_>>()
            .join("/")
    }

    /// Whether only administrators of the server may do it.
    fn is_server_wide(&self) -> bool {
        matches!(self.path.as_str(), "/v1/accounts" | "/v1/accounts/{account}" | "/v1/backups")
    }

    async fn send(&self, server: &Server, account: &str, holder: Option<&str>) -> (u16, String) {
        let mut request = Request::builder().method(self.method.as_str()).uri(self.uri(account));
        if let Some(holder) = holder {
            request = request.header("authorization", format!("Bearer {}", server.token(holder)));
        }
        let answer = server.send(request.body(Body::empty()).unwrap()).await;
        let code = answer.body.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
        (answer.status.as_u16(), code)
    }
}

#[tokio::test]
async fn nothing_works_without_a_token_but_the_health_check() {
    let server = Server::start().await;
    for operation in operations() {
        let (status, code) = operation.send(&server, "acme", None).await;
        if operation.path == "/healthz" {
            assert_eq!(status, 200);
        } else {
            assert!(operation.roles.is_some(), "{} {} names no roles", operation.method, operation.path);
            assert_eq!((status, code.as_str()), (401, "token-missing"), "{} {}", operation.method, operation.path);
        }
    }
}

#[tokio::test]
async fn a_role_may_do_what_the_document_says_and_nothing_else() {
    let server = Server::start().await;
    for operation in operations() {
        let Some(allowed) = &operation.roles else { continue };
        let account = if operation.is_server_wide() { "system" } else { "acme" };
        for (role, _) in ROLES {
            let (status, code) = operation.send(&server, account, Some(&format!("{account}/{role}"))).await;
            let what = format!("{} {} as {role}: {status} {code}", operation.method, operation.path);
            if role == "administrator" || allowed.iter().any(|a| a == role) {
                assert!(status != 401 && status != 403, "{what}");
            } else {
                assert_eq!((status, code.as_str()), (403, "role-missing"), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_token_of_another_account_opens_nothing_and_tells_nothing() {
    let server = Server::start().await;
    for operation in operations().iter().filter(|o| o.path.contains("{account}") || o.is_server_wide()) {
        for account in ["acme", "no-such-account"] {
            let (status, code) = operation.send(&server, account, Some("other/administrator")).await;
            let expected = (403, "token-of-another-account");
            assert_eq!((status, code.as_str()), expected, "{} {}", operation.method, operation.path);
        }
    }
}

#[tokio::test]
async fn a_token_of_the_system_acts_in_every_account_by_its_roles() {
    let server = Server::start().await;
    for operation in operations().iter().filter(|o| o.path.contains("{account}/")) {
        let allowed = operation.roles.clone().unwrap_or_default();
        for (role, _) in ROLES {
            let (status, _) = operation.send(&server, "acme", Some(&format!("system/{role}"))).await;
            let may = role == "administrator" || allowed.iter().any(|a| a == role);
            assert_eq!(status != 403, may, "{} {} as {role}", operation.method, operation.path);
        }
        let (status, code) = operation.send(&server, "no-such-account", Some("system/administrator")).await;
        assert_eq!((status, code.as_str()), (404, "account-unknown"), "{} {}", operation.method, operation.path);
    }
}

#[tokio::test]
async fn a_refusal_names_the_roles_that_would_do() {
    let server = Server::start().await;
    let answer = server.call("client", "POST /queues/q/take", Value::Null).await;
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.ends_with("one of these roles: agent, administrator"), "{detail}");
}

#[tokio::test]
async fn figures_are_those_of_the_tokens_account() {
    let server = Server::start().await;
    let figures = async |holder: &str| {
        let token = format!("Bearer {}", server.token(holder));
        let request = Request::get("/metrics").header("authorization", token).body(Body::empty()).unwrap();
        server.send(request).await.body.as_str().unwrap().to_owned()
    };
    let own = figures("acme/operator").await;
    assert!(own.contains("account=\"acme\"") && !own.contains("account=\"other\""), "{own}");
    let all = figures("system/operator").await;
    assert!(all.contains("account=\"acme\"") && all.contains("account=\"other\""), "{all}");
    let of_store = |text: &str| text.matches("signalbox_store_memory_bytes{kind=").count();
    assert_eq!((of_store(&own), of_store(&all)), (0, 2));
    let of_sandboxes = |text: &str| text.contains("signalbox_sandboxes_waiting{} ");
    assert_eq!((of_sandboxes(&own), of_sandboxes(&all)), (false, true));
}
