//! Callbacks as a client books them and an agent makes them.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use super::{Server, into_queue};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Rules whose calendar is always open, with slots of an hour for two.
async fn set_up(server: &Server) {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let calendar = json!({"time_zone": "Europe/Berlin", "weekly": [{"days": days, "from": "00:00", "to": "24:00"}]});
    server.expect("designer", "PUT /calendars/always", calendar, 201).await;
    server.expect("designer", "PUT /workflows/call-back", into_queue("calls"), 201).await;
    let rules = json!({"workflow": "call-back", "calendar": "always", "slot_minutes": 60, "capacity_per_slot": 2,
        "attempts_max": 2});
    server.expect("operator", "PUT /callback-rules/sales", rules, 201).await;
}

/// A slot that is offered, some hours ahead.
async fn slot(server: &Server) -> Value {
    let slots = server.expect("client", "GET /callback-rules/sales/slots", Value::Null, 200).await;
    slots["items"][5].clone()
}

async fn book(server: &Server, number: &str, at: &Value) -> super::Answer {
    server.call("client", "POST /callbacks", json!({"rules": "sales", "number": number, "at_ms": at})).await
}

#[tokio::test]
async fn a_slot_is_offered_booked_and_counted() {
    let server = Server::start().await;
    set_up(&server).await;
    let offered = slot(&server).await;
    assert_eq!(offered["free"], 2, "{offered}");
    assert!(offered["starts_at"].as_str().unwrap().contains(":00:00+0"), "{offered}");
    let at = &offered["starts_at_ms"];
    let booked = book(&server, "+49 30 1", at).await;
    assert_eq!(booked.status.as_u16(), 201, "{booked:#?}");
    let id = booked.body["id"].as_str().unwrap().to_owned();
    assert!(booked.header("location").ends_with(&format!("/callbacks/{id}")));
    let found = server.expect("client", &format!("GET /callbacks/{id}"), Value::Null, 200).await;
    assert_eq!(found["state"], "scheduled");
    assert_eq!(found["callback"], json!({"rules": "sales", "number": "+49301", "at_ms": at, "attempts": 0}));
    assert_eq!(slot(&server).await["free"], 1);

    let again = book(&server, "0049301", at).await;
    assert_eq!((again.status.as_u16(), again.code()), (409, "callback-exists"));
    assert_eq!(again.body["interaction"], id.as_str());
    assert_eq!(book(&server, "102", at).await.status.as_u16(), 201);
    let full = book(&server, "103", at).await;
    assert_eq!((full.status.as_u16(), full.code()), (409, "slot-full"));
    assert_eq!(slot(&server).await["free"], 0);

    let other = json!({"at_ms": at.as_u64().unwrap() + 3_600_000});
    server.expect("client", &format!("POST /callbacks/{id}/reschedule"), other, 200).await;
    assert_eq!(slot(&server).await["free"], 1);
    let cancelled = json!({"reason": "changed my mind"});
    server.expect("client", &format!("POST /callbacks/{id}/cancel"), cancelled, 200).await;
    assert_eq!(book(&server, "+49301", at).await.status.as_u16(), 201);
}

#[tokio::test]
async fn of_64_clients_at_once_as_many_get_a_slot_as_it_takes() {
    let server = Server::start().await;
    set_up(&server).await;
    let at = slot(&server).await["starts_at_ms"].clone();
    let numbers: Vec<String> = (0..64).map(|n| format!("030{n}")).collect();
    let mut booked = 0;
    let all = numbers.iter().map(|number| book(&server, number, &at));
    for answer in futures(all).await {
        match (answer.status.as_u16(), answer.code()) {
            (201, _) => booked += 1,
            (409, "slot-full") => {}
            _ => panic!("{answer:#?}"),
        }
    }
    assert_eq!(booked, 2);
    assert_eq!(slot(&server).await["free"], 0);
}

/// Runs all of them side by side on this task.
async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = all.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in waiting.iter_mut().filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                *done = Some(value);
            }
        }
        if waiting.iter().all(|(_, done)| done.is_some()) {
            std::task::Poll::Ready(waiting.iter_mut().filter_map(|(_, done)| done.take()).collect())
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn a_time_that_is_not_there_is_refused() {
    let server = Server::start().await;
    set_up(&server).await;
    let table = [
        ("2026-03-29T02:30", 422, "time-skipped"),
        ("2026-10-25T02:30", 422, "time-ambiguous"),
        ("soon", 422, "invalid"),
        ("2001-01-01T12:00", 422, "slot-unknown"),
        ("2026-03-29T02:30:00+01:00x", 422, "invalid"),
    ];
    for (at, status, code) in table {
        let new = json!({"rules": "sales", "number": "101", "at": at});
        let refused = server.call("client", "POST /callbacks", new).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (status, code), "{at}: {refused:#?}");
        assert_eq!(refused.body["field"], "at");
    }
    let far = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64 + 15 * DAY_MS;
    let both = json!({"rules": "sales", "number": "101", "at": "2026-03-29T02:30", "at_ms": far});
    let others = [
        (both, 422, "invalid"),
        (json!({"rules": "sales", "number": "101", "at_ms": far}), 422, "slot-unknown"),
        (json!({"rules": "sales", "number": " "}), 422, "invalid"),
        (json!({"rules": "nothing", "number": "101"}), 422, "callback-rules-unknown"),
        (json!({"rules": "sales"}), 400, "json-invalid"),
    ];
    for (new, status, code) in others {
        let refused = server.call("client", "POST /callbacks", new.clone()).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (status, code), "{new}: {refused:#?}");
    }
    let wide =
        server.call("client", "GET /callback-rules/sales/slots?from_ms=0&until_ms=99999999999", Value::Null).await;
    assert_eq!((wide.status.as_u16(), wide.code()), (400, "query-invalid"));
}

#[tokio::test]
async fn a_callback_is_tried_again_and_ends_as_not_reached() {
    let server = Server::start().await;
    set_up(&server).await;
    let booked = server.expect("client", "POST /callbacks", json!({"rules": "sales", "number": "101"}), 201).await;
    let id = booked["id"].as_str().unwrap();
    let attempt = format!("POST /callbacks/{id}/attempts");
    let early = server.expect("agent", &attempt, json!({"outcome": "busy"}), 409).await;
    assert_eq!(early["code"], "state-wrong");
    server.expect("agent", "POST /queues/calls/take", Value::Null, 200).await;
    let failed = server.expect("agent", &attempt, json!({"outcome": "busy"}), 200).await;
    assert_eq!((&failed["state"], &failed["callback"]["attempts"]), (&json!("scheduled"), &json!(1)), "{failed:#}");
    server.expect("operator", &format!("POST /callbacks/{id}/reschedule"), json!({}), 200).await;
    server.expect("agent", "POST /queues/calls/take", Value::Null, 200).await;
    let ended = server.expect("agent", &attempt, json!({"outcome": "no-answer"}), 200).await;
    assert_eq!((&ended["state"], &ended["disposition"]), (&json!("completed"), &json!("not-reached")));
    assert_eq!(
        (&ended["callback"]["attempts"], &ended["callback"]["outcome"]),
        (&json!(2), &json!("no-answer")),
        "{ended:#}"
    );
    server.expect("client", &format!("GET /callbacks/{id}"), Value::Null, 200).await;

    server.put_workflow("chats", "chats").await;
    let chat = server.submit("chats", "Hi").await;
    server.expect("client", &format!("GET /callbacks/{chat}"), Value::Null, 404).await;
    let refused = server.expect("operator", &format!("POST /callbacks/{chat}/reschedule"), json!({}), 409).await;
    assert_eq!(refused["code"], "not-callback");
}

#[tokio::test]
async fn a_booking_can_be_repeated_with_its_key() {
    let server = Server::start().await;
    set_up(&server).await;
    let at = slot(&server).await["starts_at_ms"].clone();
    let send = || {
        let body = json!({"rules": "sales", "number": "101", "at_ms": at}).to_string();
        let request = Request::post("/v1/accounts/acme/callbacks")
            .header("authorization", format!("Bearer {}", server.token("acme/client")))
            .header("content-type", "application/json")
            .header("idempotency-key", "once");
        server.send(request.body(Body::from(body)).unwrap())
    };
    let (first, second) = (send().await, send().await);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201), "{second:#?}");
    assert_eq!(first.body["id"], second.body["id"]);
    assert_eq!(second.header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn what_was_said_can_be_read() {
    let server = Server::start().await;
    server.put_workflow("chats", "chats").await;
    let chat = server.submit("chats", "Hi").await;
    let said = server.call("client", &format!("POST /interactions/{chat}/messages"), json!({"text": "Hello?"})).await;
    assert!(said.status.is_success(), "{said:#?}");
    let transcript = server.expect("client", &format!("GET /interactions/{chat}/transcript"), Value::Null, 200).await;
    for (n, text) in ["Hi", "Hello?"].into_iter().enumerate() {
        assert_eq!(
            (&transcript["said"][n]["text"], &transcript["said"][n]["speaker"]),
            (&json!(text), &json!("customer"))
        );
    }
}

#[tokio::test]
async fn callbacks_are_listed_by_state_and_by_number_in_pages() {
    let server = Server::start().await;
    set_up(&server).await;
    server.put_workflow("chats", "chats").await;
    server.submit("chats", "Hi").await;
    let at = slot(&server).await["starts_at_ms"].clone();
    let mut ids = Vec::new();
    for (number, at) in [("+49 30 1", &at), ("+49 30 2", &Value::Null), ("+49 30 3", &at)] {
        let mut new = json!({"rules": "sales", "number": number});
        if !at.is_null() {
            new["at_ms"] = at.clone();
        }
        let booked = server.expect("client", "POST /callbacks", new, 201).await;
        ids.push(booked["id"].as_str().unwrap().to_owned());
    }
    let close = format!("POST /callbacks/{}/close", ids[2]);
    let closed = server.expect("client", &close, json!({"reason": "sent a mail"}), 200).await;
    assert_eq!((&closed["state"], &closed["disposition"]), (&json!("abandoned"), &json!("sent a mail")));
    let list = async |query: &str| {
        let page = server.expect("client", &format!("GET /callbacks{query}"), Value::Null, 200).await;
        let found = page["items"].as_array().unwrap().iter();
        let found = found.map(|item| ids.iter().position(|id| item["id"] == id.as_str()).unwrap()).collect::<Vec<_>>();
        (found, page["next"].as_str().map(str::to_owned))
    };
    let table: [(&str, &[usize]); 8] = [
        ("", &[2, 1, 0]),
        ("?state=scheduled", &[0]),
        ("?state=queued", &[1]),
        ("?state=abandoned", &[2]),
        ("?state=completed", &[]),
        ("?number=0049%2030-1", &[0]),
        ("?number=%2B49303", &[2]),
        ("?number=%2B49303&state=queued", &[]),
    ];
    for (query, wanted) in table {
        assert_eq!(list(query).await, (wanted.to_vec(), None), "{query}");
    }
    let (first, next) = list("?limit=2").await;
    assert_eq!(first, [2, 1]);
    assert_eq!(list(&format!("?limit=2&cursor={}", next.unwrap())).await, (vec![0], None));
    for (query, code) in
        [("?state=lost", "query-invalid"), ("?limit=0", "query-invalid"), ("?cursor=x", "cursor-invalid")]
    {
        let refused = server.call("client", &format!("GET /callbacks{query}"), Value::Null).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (400, code), "{query}");
    }
    let chats = server.expect("client", "GET /interactions?media_type=chat", Value::Null, 200).await;
    let chat = chats["items"][0]["id"].as_str().unwrap();
    server.expect("client", &format!("POST /callbacks/{chat}/close"), json!({}), 404).await;
    let ended = server.expect("client", "GET /interactions?state=abandoned", Value::Null, 200).await;
    assert_eq!(ended["items"][0]["id"], ids[2].as_str());
}
