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

/// A figure has what its caller has just done.
async fn value(server: &Server, statistic: &str, wanted: &Value) -> Value {
    let shown = server.expect("client", &format!("GET /statistics/{statistic}"), Value::Null, 200).await;
    assert_eq!(shown["figure"]["value"], *wanted, "{shown}");
    shown
}

/// How things stand is counted once, soon after it was first asked for.
async fn counted(server: &Server, statistic: &str) {
    for _ in 0..500 {
        let shown = server.expect("client", &format!("GET /statistics/{statistic}"), Value::Null, 200).await;
        if !shown["figure"]["value"].is_null() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{statistic} is never counted");
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
    counted(&server, "stands").await;
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

/// A workflow that sends away whoever comes while so many wait.
fn by_length(expression: &str) -> Value {
    json!({
        "elements": [
            {"id": "start", "kind": "start"},
            {"id": "busy", "kind": "condition", "expression": expression},
            {"id": "wait", "kind": "queue", "queue": "billing"},
            {"id": "later", "kind": "end", "disposition": "later"},
            {"id": "end", "kind": "end"}
        ],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "busy"},
            {"from": "busy", "outcome": "true", "to": "later"},
            {"from": "busy", "outcome": "false", "to": "wait"},
            {"from": "wait", "outcome": "completed", "to": "end"}
        ]
    })
}

#[tokio::test]
async fn a_condition_goes_by_statistics_and_the_timeline_says_what_they_were() {
    let server = Server::start().await;
    let expression = "statistic('queue', 'billing', 'waiting').orValue(0.0) >= 2.0";
    server.expect("designer", "PUT /workflows/main", by_length(expression), 201).await;
    for _ in 0..2 {
        let id = server.submit("main", "Hi").await;
        let shown = server.expect("client", &format!("GET /interactions/{id}"), Value::Null, 200).await;
        assert_eq!(shown["state"], "queued");
    }
    let third = server.submit("main", "Hi").await;
    let shown = server.expect("client", &format!("GET /interactions/{third}"), Value::Null, 200).await;
    assert_eq!((&shown["state"], &shown["disposition"]), (&json!("completed"), &json!("later")), "{shown:#}");
    let timeline = server.expect("client", &format!("GET /interactions/{third}/timeline"), Value::Null, 200).await;
    let read = |entry: &&Value| entry["type"] == "interaction.statistics-read";
    let read = timeline["items"].as_array().unwrap().iter().find(read).unwrap();
    assert_eq!(read["text"], "Went by statistics: `waiting` of the queue `billing` is 2.");
    assert_eq!(read["readings"][0]["value"], 2.0);

    server.expect("operator", "PUT /statistics/came", queued(), 201).await;
    server.expect("designer", "PUT /workflows/main", by_length("statistic('came').orValue(0.0) >= 1.0"), 200).await;
    server.submit("main", "Hi").await;
    value(&server, "came", &json!(1.0)).await;
    let id = server.submit("main", "Hi").await;
    let shown = server.expect("client", &format!("GET /interactions/{id}"), Value::Null, 200).await;
    assert_eq!(shown["disposition"], "later", "{shown:#}");
    let refused = server.call("operator", "DELETE /statistics/came", Value::Null).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "document-in-use"), "{refused:#?}");
}

#[tokio::test]
async fn a_condition_over_a_statistic_that_is_not_there_is_refused_by_name() {
    let server = Server::start().await;
    server.put_workflow("other", "billing").await;
    let table = [
        ("statistic('came').orValue(0.0) > 1.0", "statistic-unknown", "`came`"),
        ("statistic('queue', 'biling', 'waiting').orValue(0.0) > 1.0", "statistic-unknown", "`biling`"),
        ("statistic('queue', 'billing', 'wating').orValue(0.0) > 1.0", "statistic-unknown", "`wating`"),
        ("statistic('queue', 'billing', 'waiting') > 1.0", "condition-invalid", "orValue"),
        ("statistic(workflow).hasValue()", "condition-invalid", "written out"),
    ];
    for (expression, code, named) in table {
        let answer = server.call("designer", "PUT /workflows/main", by_length(expression)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (422, "workflow-faulty"), "{expression}");
        let fault = &answer.body["faults"][0];
        assert_eq!((&fault["code"], &fault["element"]), (&json!(code), &json!("busy")), "{expression}");
        assert!(fault["message"].as_str().unwrap().contains(named), "{expression}: {fault}");
    }
}
