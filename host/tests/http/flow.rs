//! An interaction from submit to its end, by hand.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use signalbox::store::{Batch, DecisionRow};
use signalbox::strategy::Recorded;
use signalbox_engine::{CallId, Facts, Failure, UnixMillis};

use super::{Answer, Server, name};

fn types(timeline: &Value) -> Vec<&str> {
    timeline["items"].as_array().unwrap().iter().map(|entry| entry["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_interaction_goes_into_a_queue_is_taken_released_and_completed() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    let new = json!({
        "workflow": "main", "media_type": "email", "subject": "Bill", "body": "Too high.", "sender": "ana@example.com",
        "headers": [{"key": "Message-ID", "value": "<1@example.com>"}], "language": "en",
        "user_data": {"contact.name": "Ana"}, "priority": 7
    });
    let answer = server.call("client", "POST /interactions", new).await;
    assert_eq!(answer.status.as_u16(), 201);
    let id = answer.body["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/v1/accounts/acme/interactions/{id}"));
    assert_eq!(answer.header("content-type"), "application/json");

    let shown = server.expect("client", &format!("GET /interactions/{id}"), Value::Null, 200).await;
    assert_eq!(shown["state"], "queued");
    assert_eq!((&shown["workflow"], &shown["version"], &shown["element"]), (&json!("main"), &json!(1), &json!("wait")));
    assert_eq!(shown["queue"]["name"], "billing");
    assert_eq!(shown["subject"], "Bill");
    assert_eq!(shown["message"]["body"], "Too high.");
    assert_eq!(shown["message"]["headers"], json!([{"key": "message-id", "value": "<1@example.com>"}]));
    assert_eq!(shown["facts"]["user_data"], json!({"contact.name": "Ana"}));
    assert_eq!((&shown["priority"], &shown["facts"]["priority"]), (&json!(7), &json!(7)));

    let queues = server.expect("agent", "GET /queues", Value::Null, 200).await;
    assert_eq!((&queues["items"][0]["name"], &queues["items"][0]["length"]), (&json!("billing"), &json!(1)));
    assert!(queues["items"][0]["oldest_wait_ms"].is_u64());
    let queue = server.expect("agent", "GET /queues/billing?head=5", Value::Null, 200).await;
    assert_eq!((&queue["head"][0]["id"], &queue["head"][0]["position"]), (&json!(id), &json!(1)));

    let taken = server.expect("agent", "POST /queues/billing/take", Value::Null, 200).await;
    assert_eq!(
        (&taken["id"], &taken["state"], &taken["assigned_to"]),
        (&json!(id), &json!("assigned"), &json!("agent"))
    );
    let empty = server.call("agent", "POST /queues/billing/take", Value::Null).await;
    assert_eq!(empty.status.as_u16(), 204);
    let released = server.expect("agent", &format!("POST /interactions/{id}/release"), Value::Null, 200).await;
    assert_eq!(released["state"], "queued");
    let wrong =
        server.call("agent", &format!("POST /interactions/{id}/complete"), json!({"disposition": "sold"})).await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (409, "state-wrong"));
    server.expect("agent", "POST /queues/billing/take", Value::Null, 200).await;
    let done = json!({"disposition": "sold"});
    let completed = server.expect("agent", &format!("POST /interactions/{id}/complete"), done, 200).await;
    assert_eq!(completed["state"], "completed");

    let timeline = server.expect("client", &format!("GET /interactions/{id}/timeline"), Value::Null, 200).await;
    assert_eq!(
        types(&timeline),
        [
            "interaction.submitted",
            "interaction.workflow-entered",
            "interaction.entered",
            "interaction.entered",
            "interaction.queued",
            "interaction.assigned",
            "interaction.released",
            "interaction.assigned",
            "interaction.work-done",
            "interaction.user-data-set",
            "interaction.entered",
            "interaction.completed"
        ],
        "{timeline:#}"
    );
    assert_eq!(timeline["items"][4]["queue"], "billing");
    assert_eq!(timeline["items"][5]["text"], "agent took it out of the queue billing.");
    let page = server.expect("client", &format!("GET /interactions/{id}/timeline?limit=2"), Value::Null, 200).await;
    let next = page["next"].as_str().unwrap();
    let rest = format!("GET /interactions/{id}/timeline?limit=200&cursor={next}");
    let rest = server.expect("client", &rest, Value::Null, 200).await;
    let together = [types(&page), types(&rest)].concat();
    assert_eq!(together, types(&timeline), "pages make the whole");
    let late = server.call("agent", &format!("POST /interactions/{id}/release"), Value::Null).await;
    assert_eq!((late.status.as_u16(), late.code()), (409, "interaction-ended"));
    let decisions = server.expect("operator", &format!("GET /interactions/{id}/decisions"), Value::Null, 200).await;
    assert_eq!(decisions["items"], json!([]));
}

#[tokio::test]
async fn what_somebody_took_is_theirs_until_an_operator_steps_in() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    let id = server.submit("main", "hello").await;
    server.expect("administrator", "POST /queues/billing/take", Value::Null, 200).await;
    let release = format!("POST /interactions/{id}/release");
    let refused = server.call("agent", &release, Value::Null).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "assigned-to-another"));
    server.expect("operator", &release, Value::Null, 200).await;
    server.expect("agent", "POST /queues/billing/take", Value::Null, 200).await;
    let done = json!({"disposition": "sold"});
    server.expect("operator", &format!("POST /interactions/{id}/complete"), done, 200).await;
}

#[tokio::test]
async fn an_interaction_is_cancelled_once() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    let id = server.submit("main", "hello").await;
    let path = format!("POST /interactions/{id}/cancel");
    let answer = server.call("client", &path, json!({"reason": ""})).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (422, "invalid"));
    let cancelled = server.expect("client", &path, json!({"reason": "gave up"}), 200).await;
    assert_eq!((&cancelled["state"], &cancelled["disposition"]), (&json!("cancelled"), &json!("gave up")));
    let again = server.call("client", &path, json!({"reason": "gave up"})).await;
    assert_eq!((again.status.as_u16(), again.code()), (409, "interaction-ended"));
}

#[tokio::test]
async fn user_data_is_merged_and_null_removes() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    let id = server.submit("main", "hello").await;
    let path = format!("/interactions/{id}/user-data");
    let patch = json!({"a": "1", "b": "2"});
    assert_eq!(server.expect("client", &format!("PATCH {path}"), patch.clone(), 200).await, patch);
    let merged = server.expect("client", &format!("PATCH {path}"), json!({"a": null, "c": "3"}), 200).await;
    assert_eq!(merged, json!({"b": "2", "c": "3"}));
    assert_eq!(server.expect("agent", &format!("GET {path}"), Value::Null, 200).await, merged);
    assert_eq!(server.expect("client", &format!("PATCH {path}"), json!({}), 200).await, merged);
}

#[tokio::test]
async fn a_repeated_submit_gives_the_same_answer_and_another_body_is_refused() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    let submit = async |body: &str| -> Answer {
        let new = json!({"workflow": "main", "media_type": "chat", "body": body});
        let request = Request::post("/v1/accounts/acme/interactions")
            .header("authorization", format!("Bearer {}", server.token("acme/client")))
            .header("content-type", "application/json")
            .header("idempotency-key", "order-1")
            .body(Body::from(new.to_string()));
        server.send(request.unwrap()).await
    };
    let first = submit("hello").await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
    let second = submit("hello").await;
    assert_eq!((second.status.as_u16(), second.header("idempotency-replayed")), (201, "true"));
    assert_eq!((&second.body, second.header("location")), (&first.body, first.header("location")));
    let other = submit("goodbye").await;
    assert_eq!((other.status.as_u16(), other.code()), (422, "idempotency-key-reused"));
    let listed = server.expect("client", "GET /interactions", Value::Null, 200).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_is_filtered_and_its_pages_make_the_whole_newest_first() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    server.put_workflow("side", "sales").await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(server.submit(if n % 2 == 0 { "main" } else { "side" }, &format!("hello {n}")).await);
    }
    ids.reverse();
    let cancelled = json!({"reason": "test"});
    server.expect("client", &format!("POST /interactions/{}/cancel", ids[0]), cancelled, 200).await;
    let listed = async |query: &str| {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = server.expect("client", &format!("GET /interactions?{query}{cursor}"), Value::Null, 200).await;
            found.extend(page["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    };
    assert_eq!(listed("limit=200").await, ids);
    assert_eq!(listed("limit=2").await, ids);
    assert_eq!(listed("state=cancelled&limit=1").await, ids[..1]);
    let side: Vec<_> = ids.iter().skip(1).step_by(2).cloned().collect();
    assert_eq!(listed("workflow=side&limit=3").await, side);
    assert_eq!(listed("queue=sales&limit=2").await, side);
    assert_eq!(listed("category=billing&limit=2").await, Vec::<String>::new());
    assert_eq!(listed("media_type=chat&limit=2").await, ids);
    assert_eq!(listed("media_type=email&limit=2").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_parked_interaction_is_resumed_by_an_operator() {
    let server = Server::start().await;
    let workflow = json!({
        "elements": [
            {"id": "start", "kind": "start"},
            {"id": "ask", "kind": "strategy"},
            {"id": "end", "kind": "end"}
        ],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "ask"},
            {"from": "ask", "outcome": "default", "to": "end"}
        ]
    });
    server.expect("designer", "PUT /workflows/main", workflow, 201).await;
    let id = server.submit("main", "hello").await;
    let parked = server.expect("client", &format!("GET /interactions/{id}"), Value::Null, 200).await;
    assert_eq!((&parked["state"], &parked["parked"]["code"]), (&json!("parked"), &json!("strategy-unbound")));
    let path = format!("POST /interactions/{id}/resume");
    let wrong = server.call("operator", &path, json!({"element": "nowhere"})).await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (404, "element-unknown"));
    let resumed = server.expect("operator", &path, json!({"element": "end"}), 200).await;
    assert_eq!(resumed["state"], "completed");
}

#[tokio::test]
async fn decisions_come_in_pages_that_make_the_whole() {
    let server = Server::start().await;
    server.put_workflow("support", "billing").await;
    let id = server.submit("support", "Where is my order?").await;
    let (store, number) = (server.accounts.store(), server.accounts.get("acme").unwrap().number());
    let mut batch = Batch::new(number);
    for call in 1..=3 {
        let row = DecisionRow {
            call: CallId(call),
            deployment: name("screening-1"),
            workflow: name("support"),
            element: name("screen"),
            visit: 1,
            now: UnixMillis(0),
            facts: Facts::default(),
            result: Err(Failure::Trap("unreachable".into())),
            recorded: Recorded::default().encode(),
            answered_at: UnixMillis(0),
        };
        batch.decision(store, id.parse().unwrap(), &row);
    }
    store.commit(batch).unwrap();
    let calls = |page: &Value| page["items"].as_array().unwrap().iter().map(|d| d["call"].clone()).collect::<Vec<_>>();
    let page = server.expect("operator", &format!("GET /interactions/{id}/decisions?limit=2"), Value::Null, 200).await;
    assert_eq!(calls(&page), [1, 2]);
    let rest = format!("GET /interactions/{id}/decisions?limit=2&cursor={}", page["next"].as_str().unwrap());
    let rest = server.expect("operator", &rest, Value::Null, 200).await;
    assert_eq!((calls(&rest), &rest["next"]), (vec![json!(3)], &Value::Null));
}
