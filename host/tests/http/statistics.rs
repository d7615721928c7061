//! Statistics: defined, shown with their figures, listed in pages, followed, exported, and kept.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::Server;

fn queued() -> Value {
    json!({"object": {"kind": "queue", "name": "billing"}, "measure": {"kind": "number", "of": "queued"}})
}

/// A figure follows a commit at once, but not in the same breath.
async fn value(server: &Server, statistic: &str, wanted: &Value) -> Value {
    let mut shown = Value::Null;
    for _ in 0..500 {
        shown = server.expect("client", &format!("GET /statistics/{statistic}"), Value::Null, 200).await;
        if shown["figure"]["value"] == *wanted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(shown["figure"]["value"], *wanted, "{shown}");
    shown
}

#[tokio::test]
async fn a_statistic_counts_from_when_it_is_put_until_it_is_deleted() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    let put = server.call("operator", "PUT /statistics/came", queued()).await;
    assert_eq!(put.status.as_u16(), 201);
    server.submit("main", "one").await;
    server.submit("main", "two").await;
    let shown = value(&server, "came", &json!(2.0)).await;
    assert_eq!((&shown["figure"]["unit"], &shown["object"]["name"]), (&json!("number"), &json!("billing")));
    let again = server.call("client", "GET /statistics/came", Value::Null).await;
    assert_eq!(again.header("etag"), put.header("etag"));

    let mut other = queued();
    other["measure"] = json!({"kind": "interactions-now", "state": "queued"});
    server.expect("operator", "PUT /statistics/stands", other, 201).await;
    value(&server, "stands", &json!(2.0)).await;
    let mut page = server.expect("client", "GET /statistics?limit=1", Value::Null, 200).await;
    assert_eq!(page["items"][0]["name"], "came");
    let next = page["next"].take();
    let path = format!("GET /statistics?limit=1&cursor={}", next.as_str().unwrap());
    let page = server.expect("client", &path, Value::Null, 200).await;
    assert_eq!((&page["items"][0]["name"], page.get("next")), (&json!("stands"), None));

    let token = format!("Bearer {}", server.token("acme/operator"));
    let metrics = Request::get("/metrics").header("authorization", token).body(Body::empty()).unwrap();
    let metrics = server.send(metrics).await.body;
    let line = "signalbox_statistic{account=\"acme\",statistic=\"came\",unit=\"number\"} 2";
    assert!(metrics.as_str().unwrap().contains(line), "{metrics}");

    server.expect("operator", "PUT /statistics/came", queued(), 200).await;
    value(&server, "came", &json!(0.0)).await;
    server.expect("operator", "DELETE /statistics/came", Value::Null, 204).await;
    let gone = server.call("client", "GET /statistics/came", Value::Null).await;
    assert_eq!((gone.status.as_u16(), gone.code()), (404, "statistic-unknown"));
}

#[tokio::test]
async fn a_stream_tells_all_figures_at_first_and_then_what_has_changed() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    server.expect("operator", "PUT /statistics/came", queued(), 201).await;
    value(&server, "came", &json!(0.0)).await;
    let request = Request::get("/v1/accounts/acme/statistics/stream?names=came&refresh_ms=100")
        .header("authorization", format!("Bearer {}", server.token("acme/client")))
        .body(Body::empty());
    let response = server.router.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut told = Vec::new();
    for step in 0..3 {
        let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await.unwrap().unwrap().unwrap();
        let text = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
        let data: Value =
            serde_json::from_str(text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap()).unwrap();
        told.push(if data.get("gone").is_some() { json!("gone") } else { data["figures"][0]["value"].clone() });
        match step {
            0 => drop(server.submit("main", "one").await),
            1 => drop(server.expect("operator", "DELETE /statistics/came", Value::Null, 204).await),
            _ => {}
        }
    }
    assert_eq!(told, [json!(0.0), json!(1.0), json!("gone")]);
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_code() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    let with = |field: &str, value: Value| {
        let mut statistic = queued();
        statistic[field] = value;
        statistic
    };
    let cases = [
        (with("measure", json!({"kind": "nonsense"})), 400, "json-invalid"),
        (with("object", json!({"kind": "queue", "name": "none"})), 422, "queue-unknown"),
        (with("profile", json!({"kind": "since-login"})), 422, "invalid"),
        (with("filter", json!({"condition": "1 +"})), 422, "invalid"),
        (with("name", json!("other")), 422, "name-mismatch"),
    ];
    for (body, status, code) in cases {
        let answer = server.call("operator", "PUT /statistics/came", body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{answer:#?}");
    }
    for (query, status, code) in [
        ("names=none", 404, "statistic-unknown"),
        ("names=", 400, "query-invalid"),
        ("", 400, "query-invalid"),
        ("names=none&refresh_ms=1", 404, "statistic-unknown"),
    ] {
        let answer = server.call("client", &format!("GET /statistics/stream?{query}"), Value::Null).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{query}");
    }
}
