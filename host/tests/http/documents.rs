//! Documents: put, shown, changed under a condition, taken away.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{Answer, Server, into_queue};

async fn put_if(server: &Server, role: &str, path: &str, header: &str, tag: &str, body: &Value) -> Answer {
    let request = Request::put(format!("/v1/accounts/acme{path}"))
        .header("authorization", format!("Bearer {}", server.token(&format!("acme/{role}"))))
        .header("content-type", "application/json")
        .header(header, tag)
        .body(Body::from(body.to_string()));
    server.send(request.unwrap()).await
}

#[tokio::test]
async fn a_workflow_counts_its_versions_and_is_changed_only_as_it_stands() {
    let server = Server::start().await;
    let workflow = into_queue("billing");
    let first = server.call("designer", "PUT /workflows/main", workflow.clone()).await;
    assert_eq!((first.status.as_u16(), first.header("etag")), (201, "\"1\""));
    let second = put_if(&server, "designer", "/workflows/main", "if-match", "\"1\"", &workflow).await;
    assert_eq!((second.status.as_u16(), second.header("etag")), (200, "\"2\""));
    let stale = put_if(&server, "designer", "/workflows/main", "if-match", "\"1\"", &workflow).await;
    assert_eq!((stale.status.as_u16(), stale.code()), (412, "precondition-failed"));
    let made = put_if(&server, "designer", "/workflows/main", "if-none-match", "*", &workflow).await;
    assert_eq!(made.status.as_u16(), 412);

    let shown = server.call("client", "GET /workflows/main", Value::Null).await;
    assert_eq!(
        (shown.header("etag"), &shown.body["version"], &shown.body["name"]),
        ("\"2\"", &json!(2), &json!("main"))
    );
    let old = server.expect("client", "GET /workflows/main?version=1", Value::Null, 200).await;
    assert_eq!(old["version"], 1);
    let versions = server.expect("client", "GET /workflows/main/versions", Value::Null, 200).await;
    assert_eq!(versions["items"][0], json!({"version": 2, "newest": true, "elements": 3}));

    let id = server.submit("main", "hello").await;
    let used = server.call("designer", "DELETE /workflows/main/versions/2", Value::Null).await;
    assert_eq!((used.status.as_u16(), used.code()), (409, "document-in-use"), "{id} is in it");
    server.expect("designer", "DELETE /workflows/main/versions/1", Value::Null, 204).await;
    let gone = server.call("client", "GET /workflows/main?version=1", Value::Null).await;
    assert_eq!((gone.status.as_u16(), gone.code()), (404, "workflow-version-unknown"));

    let mut named = workflow;
    named["name"] = json!("other");
    let mismatch = server.call("designer", "PUT /workflows/main", named).await;
    assert_eq!((mismatch.status.as_u16(), mismatch.code()), (422, "name-mismatch"));
}

#[tokio::test]
async fn a_queue_with_something_in_it_is_not_deleted() {
    let server = Server::start().await;
    server.expect("operator", "PUT /queues/spare", json!({"description": "for tests"}), 201).await;
    server.expect("operator", "PUT /queues/spare", json!({}), 200).await;
    server.expect("operator", "DELETE /queues/spare", Value::Null, 204).await;
    server.put_workflow("main", "billing").await;
    server.submit("main", "hello").await;
    let answer = server.call("operator", "DELETE /queues/billing", Value::Null).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (409, "document-in-use"));
}

#[tokio::test]
async fn a_table_is_kept_entry_by_entry() {
    let server = Server::start().await;
    let missing = server.call("operator", "PUT /tables/vip/entries/ana", json!({"value": "gold"})).await;
    assert_eq!((missing.status.as_u16(), missing.code()), (404, "table-unknown"));
    server.expect("operator", "PUT /tables/vip", json!({"entries": {"bob": "silver"}}), 201).await;
    server.expect("operator", "PUT /tables/vip/entries/ana@example.com", json!({"value": "gold"}), 201).await;
    server.expect("operator", "PUT /tables/vip/entries/ana%40example.com", json!({"value": "iron"}), 200).await;
    let entry = server.expect("operator", "GET /tables/vip/entries/ana@example.com", Value::Null, 200).await;
    assert_eq!(entry, json!({"value": "iron"}));
    server.expect("operator", "DELETE /tables/vip/entries/bob", Value::Null, 204).await;
    let table = server.expect("operator", "GET /tables/vip", Value::Null, 200).await;
    assert_eq!(table, json!({"entries": {"ana@example.com": "iron"}}));
    let long = server.call("operator", "PUT /tables/vip/entries/x", json!({"value": "x".repeat(8193)})).await;
    assert_eq!((long.status.as_u16(), long.code()), (422, "invalid"));
    server.expect("operator", "DELETE /tables/vip", Value::Null, 204).await;
}

#[tokio::test]
async fn responses_and_calendars_are_checked_when_they_are_put() {
    let server = Server::start().await;
    let response = json!({
        "approved": true, "default_language": "en", "texts": [{"language": "en", "body": "Hello {{contact.name}}"}]
    });
    let made = server.call("designer", "PUT /responses/hello", response.clone()).await;
    assert_eq!(made.status.as_u16(), 201, "{made:#?}");
    assert_eq!(made.body["approved"], false);
    let shown = server.call("approver", "GET /responses/hello", Value::Null).await;
    assert_eq!(shown.header("etag"), made.header("etag"));
    let mut other = response;
    other["texts"] = json!([]);
    let empty = server.call("designer", "PUT /responses/hello", other).await;
    assert_eq!((empty.status.as_u16(), empty.code()), (422, "invalid"));

    let hours = json!({"time_zone": "Europe/Berlin", "weekly": [{"days": ["mon"], "from": "09:00", "to": "17:30"}]});
    let made = server.call("designer", "PUT /calendars/office", hours.clone()).await;
    assert_eq!(made.status.as_u16(), 201, "{made:#?}");
    let stale = put_if(&server, "designer", "/calendars/office", "if-match", "\"0\"", &hours).await;
    assert_eq!(stale.status.as_u16(), 412);
    let zone = server.call("designer", "PUT /calendars/moon", json!({"time_zone": "Moon/Base"})).await;
    assert_eq!((zone.status.as_u16(), zone.code()), (400, "json-invalid"));
    let listed = server.expect("operator", "GET /calendars", Value::Null, 200).await;
    assert_eq!(listed["items"][0]["name"], "office");
    server.expect("designer", "DELETE /calendars/office", Value::Null, 204).await;
    server.expect("designer", "DELETE /responses/hello", Value::Null, 204).await;
}

#[tokio::test]
async fn a_standard_response_is_approved_by_another_than_its_designer_and_again_after_each_change() {
    let server = Server::start().await;
    let response =
        |body: &str| json!({"approved": true, "default_language": "en", "texts": [{"language": "en", "body": body}]});
    let made = server.call("designer", "PUT /responses/hello", response("Hello")).await;
    assert_eq!((made.status.as_u16(), &made.body["approved"]), (201, &json!(false)));
    let approve = "POST /responses/hello/approve";
    let refused = server.call("designer", approve, Value::Null).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "role-missing"));
    server.expect("designer", "PUT /responses/hello", response("Hi"), 200).await;
    let request = Request::post("/v1/accounts/acme/responses/hello/approve")
        .header("authorization", format!("Bearer {}", server.token("acme/approver")))
        .header("if-match", made.header("etag"))
        .body(Body::empty());
    let unseen = server.send(request.unwrap()).await;
    assert_eq!((unseen.status.as_u16(), unseen.code()), (412, "precondition-failed"));
    assert_eq!(server.expect("approver", approve, Value::Null, 200).await["approved"], true);
    assert_eq!(server.expect("designer", "PUT /responses/hello", response("Hi"), 200).await["approved"], true);
    assert_eq!(server.expect("designer", "PUT /responses/hello", response("Hey"), 200).await["approved"], false);
    let own = server.expect("administrator", "PUT /responses/hello", response("Hey"), 200).await;
    assert_eq!(own["approved"], true);
    let missing = server.call("approver", "POST /responses/nothing/approve", Value::Null).await;
    assert_eq!((missing.status.as_u16(), missing.code()), (404, "response-unknown"));
}

#[tokio::test]
async fn a_webhooks_secret_is_never_shown_and_stays_where_it_is_left_out() {
    let server = Server::start().await;
    let url = json!("http://127.0.0.1:9/hook");
    let bare = json!({"url": url, "types": ["reply"]});
    let answer = server.call("operator", "PUT /webhooks/crm", bare.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (422, "invalid"), "a new one needs a secret");
    let full = json!({"url": url, "types": ["reply"], "secret": "correct horse battery"});
    let made = server.expect("operator", "PUT /webhooks/crm", full, 201).await;
    let changed = server.expect("operator", "PUT /webhooks/crm", bare, 200).await;
    let listed = server.expect("operator", "GET /webhooks", Value::Null, 200).await;
    for shown in [&made, &changed, &listed] {
        assert!(!shown.to_string().contains("correct horse"), "{shown}");
    }
    let lane = server.accounts.get("acme").unwrap();
    assert_eq!(lane.published().configuration.webhooks["crm"].secret, "correct horse battery");
    server.expect("operator", "DELETE /webhooks/crm", Value::Null, 204).await;
}

#[tokio::test]
async fn a_message_without_a_webhook_can_be_read_in_the_outbox() {
    let server = Server::start().await;
    let workflow = json!({
        "elements": [
            {"id": "start", "kind": "start"},
            {"id": "answer", "kind": "reply", "reply": {"text": {"subject": null, "body": "We are on it."}}},
            {"id": "end", "kind": "end"}
        ],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "answer"},
            {"from": "answer", "outcome": "next", "to": "end"}
        ]
    });
    server.expect("designer", "PUT /workflows/main", workflow, 201).await;
    let id = server.submit("main", "hello").await;
    let listed = server.expect("operator", &format!("GET /outbox?kind=reply&interaction={id}"), Value::Null, 200).await;
    let message = &listed["items"][0];
    assert_eq!((&message["kind"], &message["interaction"]), (&json!("reply"), &json!(id)), "{listed:#}");
    assert!(message["data"].is_object(), "{message:#}");
    let one = server.expect("operator", &format!("GET /outbox/{}", message["id"]), Value::Null, 200).await;
    assert_eq!(one["deliveries"], json!([]));
    let none = server.expect("operator", "GET /outbox?kind=forward", Value::Null, 200).await;
    assert_eq!(none["items"], json!([]));
}

#[tokio::test]
async fn a_token_opens_from_when_it_is_made_until_it_is_deleted() {
    let server = Server::start().await;
    let made = server.expect("administrator", "POST /tokens", json!({"name": "app", "roles": ["client"]}), 201).await;
    let secret = made["secret"].as_str().unwrap();
    let try_it = async || {
        let request =
            Request::get("/v1/accounts/acme/interactions").header("authorization", format!("Bearer {secret}"));
        server.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
    };
    assert_eq!(try_it().await, 200);
    let listed = server.expect("administrator", "GET /tokens", Value::Null, 200).await;
    assert!(!listed.to_string().contains(secret));
    let twice = server.call("administrator", "POST /tokens", json!({"name": "app", "roles": ["agent"]})).await;
    assert_eq!((twice.status.as_u16(), twice.code()), (409, "token-exists"));
    let none = server.call("administrator", "POST /tokens", json!({"name": "b", "roles": []})).await;
    assert_eq!((none.status.as_u16(), none.code()), (422, "invalid"));
    server.expect("administrator", "DELETE /tokens/app", Value::Null, 204).await;
    assert_eq!(try_it().await, 401);
}

#[tokio::test]
async fn the_last_administrator_of_the_server_stays() {
    let server = Server::start().await;
    let request = Request::delete("/v1/accounts/system/tokens/administrator")
        .header("authorization", format!("Bearer {}", server.token("system/administrator")));
    let answer = server.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (409, "token-last-administrator"));
}

#[tokio::test]
async fn an_asset_is_named_by_its_digest_and_uploaded_once() {
    let server = Server::start().await;
    let upload = async || {
        let request = Request::post("/v1/accounts/acme/assets")
            .header("authorization", format!("Bearer {}", server.token("acme/operator")))
            .header("content-type", "application/octet-stream")
            .body(Body::from("model"));
        server.send(request.unwrap()).await
    };
    let first = upload().await;
    assert_eq!((first.status.as_u16(), &first.body["size_bytes"]), (201, &json!(5)));
    assert_eq!(upload().await.status.as_u16(), 200);
    let digest = first.body["digest"].as_str().unwrap();
    server.expect("operator", &format!("DELETE /strategies/{digest}"), Value::Null, 204).await;
}

#[tokio::test]
async fn an_account_is_made_and_a_backup_written_by_administrators_of_the_server() {
    let server = Server::start().await;
    let call = async |method: &str, path: &str, body: Value| {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", server.token("system/administrator")));
        server.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    assert_eq!(call("PUT", "/v1/accounts/third", Value::Null).await.status.as_u16(), 201);
    assert_eq!(call("PUT", "/v1/accounts/third", Value::Null).await.status.as_u16(), 200);
    let bad = call("PUT", "/v1/accounts/Third%20One", Value::Null).await;
    assert_eq!((bad.status.as_u16(), bad.code()), (400, "path-invalid"));
    let listed = call("GET", "/v1/accounts", Value::Null).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 4);

    let directory = server.directory.path().join("backups");
    let made = call("POST", "/v1/backups", json!({"directory": directory})).await;
    assert_eq!((made.status.as_u16(), &made.body["number"]), (201, &json!(1)), "{made:#?}");
    let relative = call("POST", "/v1/backups", json!({"directory": "backups"})).await;
    assert_eq!((relative.status.as_u16(), relative.code()), (422, "invalid"));
}
