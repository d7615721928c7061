//! Agents over plain HTTP: what is wrong or too late, and what happens to their work when they are gone or idle.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Answer, Server};

/// Two agents, `agent` (whose token there is) and `bob`, and a queue for whoever speaks English.
async fn set_up(server: &Server, queue: Value) {
    server.expect("operator", "PUT /skills/english", json!({}), 201).await;
    for agent in ["agent", "bob"] {
        server.expect("operator", &format!("PUT /agents/{agent}"), json!({"skills": {"english": 8}}), 201).await;
    }
    let mut document = json!({"target": {"skills": "english >= 5"}});
    document.as_object_mut().unwrap().extend(queue.as_object().unwrap().clone());
    server.expect("operator", "PUT /queues/desk", document, 201).await;
    let workflow = json!({
        "elements": [
            {"id": "start", "kind": "start"},
            {"id": "desk", "kind": "queue", "queue": "desk"},
            {"id": "aside", "kind": "end", "disposition": "aside"},
            {"id": "end", "kind": "end"}
        ],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "desk"},
            {"from": "desk", "outcome": "completed", "to": "end"},
            {"from": "desk", "outcome": "declined-by-all", "to": "aside"}
        ]
    });
    server.expect("designer", "PUT /workflows/main", workflow, 201).await;
}

/// Logs an agent in and makes it ready.
async fn ready(server: &Server, agent: &str) {
    server.expect("operator", &format!("POST /agents/{agent}/login"), json!({}), 200).await;
    server.expect("operator", &format!("POST /agents/{agent}/ready"), Value::Null, 200).await;
}

async fn state(server: &Server, agent: &str) -> Value {
    server.expect("operator", &format!("GET /agents/{agent}/state"), Value::Null, 200).await
}

/// The one offer that an agent has.
async fn offer(server: &Server, agent: &str) -> String {
    let state = state(server, agent).await;
    assert_eq!(state["offers"].as_array().unwrap().len(), 1, "{state:#}");
    state["offers"][0]["id"].as_str().unwrap().to_owned()
}

async fn accept(server: &Server, agent: &str, offer: &str) -> Answer {
    server.call("operator", &format!("POST /agents/{agent}/offers/{offer}/accept"), Value::Null).await
}

fn late(answer: &Answer) -> (u16, &str, &str) {
    (answer.status.as_u16(), answer.code(), answer.body["outcome"].as_str().unwrap_or_default())
}

async fn interaction(server: &Server, id: &str) -> Value {
    server.expect("operator", &format!("GET /interactions/{id}"), Value::Null, 200).await
}

#[tokio::test]
async fn what_is_not_there_is_named_with_its_field_and_what_to_do() {
    let server = Server::start().await;
    set_up(&server, json!({})).await;
    let rules = json!({"reasons": ["lunch"], "dispositions": ["solved"]});
    server.expect("operator", "PUT /agent-rules", rules, 200).await;
    ready(&server, "agent").await;
    let id = server.submit("main", "Hi").await;
    assert!(accept(&server, "agent", &offer(&server, "agent").await).await.status.is_success());
    let gone = "0192a000-0000-7000-8000-000000000000";
    let of = |action: &str| format!("POST /interactions/{id}/{action}");
    let cases = [
        ("operator", "POST /agents/nobody/login".to_owned(), json!({}), 404, "agent-unknown", "agent"),
        ("operator", "POST /agents/nobody/ready".to_owned(), Value::Null, 404, "agent-unknown", "agent"),
        ("operator", "GET /agents/nobody/state".to_owned(), Value::Null, 404, "agent-unknown", "agent"),
        ("operator", "POST /agents/bob/login".to_owned(), json!({"place": "nowhere"}), 422, "place-unknown", "place"),
        ("operator", "PUT /agents/x".to_owned(), json!({"skills": {"dancing": 3}}), 422, "skill-unknown", "skills"),
        ("operator", "PUT /agent-groups/x".to_owned(), json!({"agents": ["nobody"]}), 422, "agent-unknown", "agents"),
        (
            "operator",
            "PUT /agent-groups/x".to_owned(),
            json!({"expression": "dancing > 3"}),
            422,
            "skill-unknown",
            "expression",
        ),
        ("operator", "PUT /place-groups/x".to_owned(), json!({"places": ["nowhere"]}), 422, "place-unknown", "places"),
        (
            "operator",
            "PUT /queues/x".to_owned(),
            json!({"target": {"agent-group": "x"}}),
            422,
            "group-unknown",
            "target",
        ),
        (
            "operator",
            "PUT /queues/x".to_owned(),
            json!({"target": {"place-group": "x"}}),
            422,
            "group-unknown",
            "target",
        ),
        ("operator", "PUT /queues/x".to_owned(), json!({"target": {"agent": "x"}}), 422, "agent-unknown", "target"),
        (
            "operator",
            "PUT /queues/x".to_owned(),
            json!({"target": {"skills": "dancing > 3"}}),
            422,
            "skill-unknown",
            "target",
        ),
        ("agent", "POST /agents/agent/not-ready".to_owned(), json!({"reason": "tea"}), 422, "reason-unknown", "reason"),
        ("agent", of("complete"), json!({"disposition": "nice"}), 422, "disposition-unknown", "disposition"),
        ("agent", of("transfer"), json!({"to": {"agent": "nobody"}}), 422, "agent-unknown", "to"),
        ("agent", of("transfer"), json!({"to": {"agent-group": "x"}}), 422, "group-unknown", "to"),
        ("agent", of("transfer"), json!({"to": {"skills": "dancing > 3"}}), 422, "skill-unknown", "to"),
        ("agent", of("transfer"), json!({"to": {"queue": "nowhere"}}), 422, "queue-unknown", "to"),
        ("operator", of("move"), json!({"queue": "nowhere"}), 422, "queue-unknown", "queue"),
        ("operator", of("assign"), json!({"agent": "nobody"}), 422, "agent-unknown", "agent"),
    ];
    for (role, request, body, status, code, field) in cases {
        let answer = server.call(role, &request, body.clone()).await;
        let found = (answer.status.as_u16(), answer.code(), answer.body["field"].as_str().unwrap_or_default());
        assert_eq!(found, (status, code, field), "{request} {body}: {answer:#?}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{request}");
        for said in ["detail", "what_to_do"] {
            assert!(answer.body[said].as_str().is_some_and(|text| !text.is_empty()), "{request}: {answer:#?}");
        }
    }
    let others = [
        ("agent", "POST /agents/bob/ready".to_owned(), Value::Null, 403, "agent-of-another"),
        ("operator", "POST /agents/bob/ready".to_owned(), Value::Null, 409, "agent-logged-out"),
        ("operator", of("assign"), json!({"agent": "bob"}), 409, "agent-logged-out"),
        ("agent", of("transfer"), json!({"to": {"agent": "bob"}}), 409, "nobody-available"),
        ("agent", format!("POST /interactions/{gone}/hold"), Value::Null, 404, "interaction-unknown"),
        (
            "agent",
            format!("POST /interactions/{gone}/transfer"),
            json!({"to": {"agent": "bob"}}),
            404,
            "interaction-unknown",
        ),
        ("agent", "POST /agents/agent/offers/7/accept".to_owned(), Value::Null, 400, "path-invalid"),
        ("agent", format!("POST /agents/agent/offers/{id}:1/accept"), Value::Null, 404, "offer-unknown"),
        ("agent", format!("POST /agents/agent/offers/{gone}:1/accept"), Value::Null, 404, "offer-unknown"),
        ("operator", "PUT /agents/x".to_owned(), json!({"skills": {"english": 11}}), 422, "invalid"),
        ("agent", "POST /agents/agent/login".to_owned(), json!({}), 409, "agent-logged-in"),
    ];
    for (role, request, body, status, code) in others {
        let answer = server.call(role, &request, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{request} {body}: {answer:#?}");
    }
    assert_eq!(interaction(&server, &id).await["state"], "assigned", "nothing of it was done");
}

#[tokio::test]
async fn a_capacity_sentence_that_makes_no_sense_is_refused_with_what_was_expected() {
    let server = Server::start().await;
    for sentence in [
        "",
        "1",
        "voice",
        "0 voice",
        "-1 chat",
        "1.5 chat",
        "99999999999999999999 chat",
        "1 voice or",
        "or 1 voice",
        "1 voice + + 1 chat",
        "1 voice 2 chat",
        "1 chat + 1 chat",
        "1 voice; 2 chat",
        "one voice",
        "1 Chat Room",
    ] {
        for (path, field) in [("/agents/x", "capacity"), ("/agent-rules", "capacity")] {
            let answer = server.call("operator", &format!("PUT {path}"), json!({"capacity": sentence})).await;
            let found = (answer.status.as_u16(), answer.code(), answer.body["field"].as_str().unwrap_or_default());
            assert_eq!(found, (400, "json-invalid", field), "`{sentence}`: {answer:#?}");
            assert!(answer.body["detail"].as_str().unwrap().contains("expected"), "`{sentence}`: {answer:#?}");
        }
    }
    server.expect("operator", "GET /agents/x", Value::Null, 404).await;
    let said = json!({"capacity": "1 voice or 4 chat + 1 email"});
    server.expect("operator", "PUT /agents/x", said, 201).await;
}

#[tokio::test]
async fn an_answer_that_comes_twice_or_from_another_is_told_how_it_stands() {
    let server = Server::start().await;
    set_up(&server, json!({"offers_max": 1})).await;
    ready(&server, "agent").await;
    let id = server.submit("main", "Hi").await;
    ready(&server, "bob").await;
    let made = offer(&server, "agent").await;
    let other = accept(&server, "bob", &made).await;
    assert_eq!((other.status.as_u16(), other.code()), (403, "offer-of-another"), "{other:#?}");
    assert!(accept(&server, "agent", &made).await.status.is_success());
    assert_eq!(late(&accept(&server, "agent", &made).await), (409, "offer-ended", "accepted"));
    assert_eq!(accept(&server, "bob", &made).await.code(), "offer-of-another");
    let declined = server.call("operator", &format!("POST /agents/agent/offers/{made}/decline"), json!({})).await;
    assert_eq!(late(&declined), (409, "offer-ended", "accepted"));
    assert_eq!(interaction(&server, &id).await["assigned_to"], "agent");
    server.expect("agent", &format!("POST /interactions/{id}/complete"), Value::Null, 200).await;
    assert_eq!(late(&accept(&server, "agent", &made).await), (409, "offer-ended", "accepted"), "it has ended by now");
}

#[tokio::test]
async fn of_several_who_accept_at_once_one_gets_it_and_the_others_are_told() {
    let server = Server::start().await;
    set_up(&server, json!({"offers_max": 2})).await;
    ready(&server, "agent").await;
    ready(&server, "bob").await;
    for _ in 0..20 {
        let id = server.submit("main", "Hi").await;
        let (first, second) = (offer(&server, "agent").await, offer(&server, "bob").await);
        let (a, b) = tokio::join!(accept(&server, "agent", &first), accept(&server, "bob", &second));
        let (won, lost, who) = if a.status.is_success() { (a, b, "agent") } else { (b, a, "bob") };
        assert!(won.status.is_success(), "{won:#?}");
        assert_eq!(late(&lost), (409, "offer-ended", "revoked"));
        assert_eq!(interaction(&server, &id).await["assigned_to"], who);
        server.expect("operator", &format!("POST /interactions/{id}/complete"), Value::Null, 200).await;
    }
}

#[tokio::test]
async fn an_answer_after_the_time_out_or_a_cancel_is_told_which() {
    let server = Server::start().await;
    set_up(&server, json!({"offer_timeout_ms": 1000})).await;
    // Somebody who could still be asked: otherwise all have declined.
    server.expect("operator", "POST /agents/bob/login", json!({}), 200).await;
    ready(&server, "agent").await;
    let id = server.submit("main", "Hi").await;
    let made = offer(&server, "agent").await;
    let began = Instant::now();
    while !state(&server, "agent").await["offers"].as_array().unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20), "it never expired");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(state(&server, "agent").await["reason"], "no-answer");
    assert_eq!(late(&accept(&server, "agent", &made).await), (409, "offer-ended", "expired"));
    server.expect("agent", "POST /agents/agent/ready", Value::Null, 200).await;
    // Not before it has rested.
    while state(&server, "agent").await["offers"].as_array().unwrap().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20), "it was not offered again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let again = offer(&server, "agent").await;
    assert_ne!(again, made);
    server.expect("client", &format!("POST /interactions/{id}/cancel"), Value::Null, 200).await;
    assert_eq!(late(&accept(&server, "agent", &again).await), (409, "offer-ended", "customer-gone"));
    assert_eq!(late(&accept(&server, "agent", &made).await), (409, "offer-ended", "expired"));
}

#[tokio::test]
async fn what_all_have_declined_goes_on_by_its_connector() {
    let server = Server::start().await;
    set_up(&server, json!({})).await;
    ready(&server, "agent").await;
    ready(&server, "bob").await;
    let id = server.submit("main", "Hi").await;
    for agent in ["agent", "bob"] {
        let made = offer(&server, agent).await;
        let body = json!({"reason": "not mine"});
        server.expect("operator", &format!("POST /agents/{agent}/offers/{made}/decline"), body, 200).await;
    }
    let ended = interaction(&server, &id).await;
    assert_eq!((&ended["state"], &ended["disposition"]), (&json!("completed"), &json!("aside")), "{ended:#}");
}

#[tokio::test]
async fn an_agent_who_is_deleted_leaves_its_work_to_others() {
    let server = Server::start().await;
    set_up(&server, json!({})).await;
    ready(&server, "bob").await;
    let id = server.submit("main", "Hi").await;
    assert!(accept(&server, "bob", &offer(&server, "bob").await).await.status.is_success());
    server.expect("operator", "DELETE /agents/bob", Value::Null, 204).await;
    assert_eq!(interaction(&server, &id).await["state"], "queued");
    ready(&server, "agent").await;
    assert!(accept(&server, "agent", &offer(&server, "agent").await).await.status.is_success());
    let left = server.call("operator", "GET /agents/bob/state", Value::Null).await;
    assert_eq!((left.status.as_u16(), left.code()), (404, "agent-unknown"));
}

#[tokio::test]
async fn a_group_that_empties_while_something_waits_for_it_gets_it_once_somebody_is_in_it_again() {
    let server = Server::start().await;
    set_up(&server, json!({})).await;
    server.expect("operator", "PUT /agent-groups/team", json!({"expression": "english >= 5"}), 201).await;
    let queue = json!({"target": {"agent-group": "team"}});
    server.expect("operator", "PUT /queues/desk", queue, 200).await;
    let id = server.submit("main", "Hi").await;
    for agent in ["agent", "bob"] {
        server.expect("operator", &format!("PUT /agents/{agent}"), json!({"skills": {"english": 1}}), 200).await;
        ready(&server, agent).await;
        assert_eq!(state(&server, agent).await["offers"], json!([]));
    }
    assert_eq!(interaction(&server, &id).await["state"], "queued");
    let refused = server.call("operator", "DELETE /agent-groups/team", Value::Null).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "document-in-use"));
    server.expect("operator", "PUT /agents/bob", json!({"skills": {"english": 5}}), 200).await;
    assert!(accept(&server, "bob", &offer(&server, "bob").await).await.status.is_success());
}

#[tokio::test]
async fn an_agent_who_only_reads_keeps_its_work_and_one_who_is_silent_loses_it() {
    let server = Server::start().await;
    set_up(&server, json!({"inactivity_ms": 2000})).await;
    ready(&server, "agent").await;
    let id = server.submit("main", "Hi").await;
    assert!(accept(&server, "agent", &offer(&server, "agent").await).await.status.is_success());
    let lane = server.accounts.get("acme").unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(3500) {
        let seen = server.expect("agent", &format!("GET /interactions/{id}"), Value::Null, 200).await;
        assert_eq!(seen["state"], "assigned", "after {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sequence = lane.ask(|account| account.sequence().0).await.unwrap();
    let began = Instant::now();
    // What somebody else asks about the agent is no sign of it.
    while interaction(&server, &id).await["state"] == "assigned" {
        assert!(began.elapsed() < Duration::from_secs(20), "it stays with the agent");
        state(&server, "agent").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(lane.ask(|account| account.sequence().0).await.unwrap() <= sequence + 5, "reads are not written down");
}

#[tokio::test]
async fn a_position_comes_with_the_wait_that_is_expected() {
    let server = Server::start().await;
    server.put_workflow("main", "billing").await;
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(server.submit("main", &n.to_string()).await);
    }
    let ask =
        async |id: &str| server.expect("client", &format!("GET /interactions/{id}/position"), Value::Null, 200).await;
    let place = ask(&ids[3]).await;
    assert_eq!((&place["position"], &place["length"]), (&json!(4), &json!(4)), "{place}");
    assert_eq!(place.get("estimated_wait_ms"), Some(&Value::Null), "nobody has left yet: {place}");
    server.expect("agent", "POST /queues/billing/take", Value::Null, 200).await;
    let began = Instant::now();
    let (mut second, mut fourth) = (0, 0);
    while second == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "no wait is expected");
        second = ask(&ids[1]).await["estimated_wait_ms"].as_u64().unwrap();
        fourth = ask(&ids[3]).await["estimated_wait_ms"].as_u64().unwrap();
    }
    assert!(fourth >= 3 * second, "the third in the queue waits three times as long as the first: {fourth}, {second}");
}
