//! What may be left out of a request, and lists of what is not there.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::Server;

#[tokio::test]
async fn what_is_done_by_hand_needs_no_body() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    let first = server.submit("main", "one").await;
    let cancelled = server.expect("client", &format!("POST /interactions/{first}/cancel"), Value::Null, 200).await;
    assert_eq!(cancelled["disposition"], "cancelled by client");
    let second = server.submit("main", "two").await;
    let nothing = json!({});
    let cancelled = server.expect("client", &format!("POST /interactions/{second}/cancel"), nothing, 200).await;
    assert_eq!(cancelled["disposition"], "cancelled by client");

    let third = server.submit("main", "three").await;
    server.expect("agent", "POST /queues/billing/take", Value::Null, 200).await;
    let done = server.expect("agent", &format!("POST /interactions/{third}/complete"), Value::Null, 200).await;
    assert_eq!(done["state"], "completed");

    let resumed = server.call("operator", &format!("POST /interactions/{third}/resume"), Value::Null).await;
    assert_eq!(resumed.code(), "interaction-ended", "the body was taken");
    let request = Request::post(format!("/v1/accounts/acme/interactions/{third}/cancel"))
        .header("authorization", format!("Bearer {}", server.token("acme/client")))
        .body(Body::from("reason=none"));
    assert_eq!(server.send(request.unwrap()).await.code(), "content-type-wrong");
}

#[tokio::test]
async fn a_list_by_a_name_that_stands_for_nothing_is_refused() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    for (filter, code) in [
        ("queue=nope", "queue-unknown"),
        ("workflow=nope", "workflow-unknown"),
        ("queue=nope&state=queued", "queue-unknown"),
    ] {
        let answer = server.call("client", &format!("GET /interactions?{filter}"), Value::Null).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (422, code), "{filter}");
    }
    for filter in ["queue=billing", "workflow=main", "state=completed"] {
        let page = server.expect("client", &format!("GET /interactions?{filter}"), Value::Null, 200).await;
        assert_eq!(page["items"], json!([]), "{filter}");
    }
}

#[tokio::test]
async fn a_list_by_state_looks_only_at_those_that_can_fit() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    let waits = server.submit("main", "one").await;
    let ended = server.submit("main", "two").await;
    server.expect("client", &format!("POST /interactions/{ended}/cancel"), Value::Null, 200).await;
    for (filter, expected) in [
        ("", vec![&ended, &waits]),
        ("?state=queued", vec![&waits]),
        ("?queue=billing", vec![&waits]),
        ("?state=cancelled", vec![&ended]),
        ("?state=parked", vec![]),
        ("?workflow=main", vec![&ended, &waits]),
    ] {
        let page = server.expect("client", &format!("GET /interactions{filter}"), Value::Null, 200).await;
        let found: Vec<&str> = page["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap()).collect();
        assert_eq!(found, expected, "{filter}");
    }
}

#[tokio::test]
async fn what_is_about_the_server_says_which_token_it_takes() {
    let server = Server::start().await;
    let request = Request::post("/v1/backups")
        .header("authorization", format!("Bearer {}", server.token("acme/administrator")))
        .header("content-type", "application/json")
        .body(Body::from("{}"));
    let answer = server.send(request.unwrap()).await;
    assert_eq!(answer.code(), "token-of-another-account");
    assert!(answer.body["detail"].as_str().unwrap().contains("`system`"), "{answer:?}");
}
