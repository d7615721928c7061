//! Applications outside, and what was said: tables of commands and the events that follow.

#![allow(clippy::unwrap_used)]

mod world;

use std::sync::Arc;

use serde_json::{Value, json};
use signalbox_engine::{
    Account, Command, Document, EndpointRequest, Event, Name, Response, ResponseText, Sequence, Speaker, State,
    UnixMillis, Workflow, limits,
};
use world::{World, id, name, scenario};

const LOOK_UP: &str = r#"{"name": "w", "elements": [
        {"id": "start", "kind": "start"},
        {"id": "ask", "kind": "call", "endpoint": "crm",
            "request": {"user_data": ["customer", "none"], "fields": ["subject", "sender"]},
            "response": {"tier": "/tier", "orders": "/orders"}},
        {"id": "gold", "kind": "end", "disposition": "known"},
        {"id": "stranger", "kind": "end", "disposition": "stranger"}"#;

const WAYS: &str = r#"{"from": "start", "outcome": "next", "to": "ask"},
        {"from": "ask", "outcome": "ok", "to": "gold"},
        {"from": "ask", "outcome": "refused", "to": "stranger"}"#;

fn endpoint(world: &mut World, retries: u8) {
    let url = "https://crm.example/look-up";
    let endpoint = json!({"name": "crm", "url": url, "secret": "0123456789abcdef", "retries": retries});
    world.json("endpoint", &endpoint.to_string()).unwrap();
}

/// A workflow that asks the application `crm`; without ways on for what goes wrong.
fn plain(retries: u8) -> World {
    let mut world = World::default();
    endpoint(&mut world, retries);
    world.workflow(&format!("{LOOK_UP}], \"connectors\": [{WAYS}]}}"));
    world
}

/// The same with ways on.
fn careful(retries: u8) -> World {
    let mut world = plain(retries);
    let ends = r#"{"id": "broken", "kind": "end", "disposition": "broken"},
        {"id": "slow", "kind": "end", "disposition": "slow"}"#;
    let ways = r#"{"from": "ask", "outcome": "error", "to": "broken"},
        {"from": "ask", "outcome": "timeout", "to": "slow"}"#;
    world.workflow(&format!("{LOOK_UP}, {ends}], \"connectors\": [{WAYS}, {ways}]}}"));
    world
}

#[test]
fn an_answer_becomes_user_data_and_leads_on() {
    scenario(
        careful(0),
        r#"
        @0  submit chat w                        => submitted i1, at start, at ask by next, asked crm
        @9  asked i1 200 {"tier":"gold","orders":[1,2]} => answer 200, data orders=[1,2], data tier=gold, at gold by ok, completed known
        @10 submit chat w                        => submitted i2, at start, at ask by next, asked crm
        @11 data i2 tier=old                     => data tier=old
        @12 asked i2 200 {"tier":null}           => answer 200, data tier=, at gold by ok, completed known
    "#,
    );
}

#[test]
fn each_way_to_fail_has_its_outcome() {
    scenario(
        careful(0),
        "
        @0  submit chat w        => submitted i1, at start, at ask by next, asked crm
        @1  asked i1 404 unknown => refused, at stranger by refused, completed stranger
        @2  submit chat w        => submitted i2, at start, at ask by next, asked crm
        @3  asked i2 500         => unavailable, at broken by error, completed broken
        @4  submit chat w        => submitted i3, at start, at ask by next, asked crm
        @5  asked i3 302         => redirected, at broken by error, completed broken
        @6  submit chat w        => submitted i4, at start, at ask by next, asked crm
        @7  asked i4 200 <html>  => unusable, at broken by error, completed broken
        @8  submit chat w        => submitted i5, at start, at ask by next, asked crm
        @9  unasked i5 timeout   => timed-out, at slow by timeout, completed slow
        @10 submit chat w        => submitted i6, at start, at ask by next, asked crm
        @11 unasked i6 off       => unreachable, at broken by error, completed broken
        @12 submit chat w        => submitted i7, at start, at ask by next, asked crm
        @13 unasked i7 forbidden => forbidden, at broken by error, completed broken
    ",
    );
}

#[test]
fn what_may_pass_is_tried_again_after_pauses_that_grow() {
    scenario(
        careful(2),
        r#"
        @0     submit chat w       => submitted i1, at start, at ask by next, asked crm
        @10    asked i1 503        => unavailable until 1010
        @11    asked i1 503        => rejected not-awaited
        @1009  time i1             => rejected not-due
        @1010  time i1             => asked crm again 1
        @2000  unasked i1 timeout  => timed-out until 4000
        @4000  time i1             => asked crm again 2
        @4001  unasked i1 off      => unreachable, at broken by error, completed broken
        @5000  submit chat w       => submitted i2, at start, at ask by next, asked crm
        @5001  asked i2 429        => unavailable until 6001
        @6001  time i2             => asked crm again 1
        @6002  asked i2 200 {}     => answer 200, at gold by ok, completed known
        @6003  submit chat w       => submitted i3, at start, at ask by next, asked crm
        @6004  asked i3 200 junk   => unusable, at broken by error, completed broken
        @6005  submit chat w       => submitted i4, at start, at ask by next, asked crm
        @6006  asked i4 403        => refused, at stranger by refused, completed stranger
    "#,
    );
}

#[test]
fn without_a_way_on_it_is_parked_and_can_be_resumed() {
    scenario(
        plain(0),
        "
        @0  submit chat w       => submitted i1, at start, at ask by next, asked crm
        @1  unasked i1 timeout  => timed-out, parked call-failed
        @2  resume i1           => resumed 1, at ask, asked crm
        @3  asked i1 200        => unusable, parked call-failed
        @4  resume i1           => resumed 1, at ask, asked crm
        @5  asked i1 200 {}     => answer 200, at gold by ok, completed known
    ",
    );
}

#[test]
fn an_answer_that_nobody_waits_for_any_more_is_rejected() {
    scenario(
        careful(1),
        "
        @0  submit chat w     => submitted i1, at start, at ask by next, asked crm
        @1  cancel i1         => cancelled
        @2  asked i1 200 {}   => rejected not-awaited
        @3  submit chat w     => submitted i2, at start, at ask by next, asked crm
        @4  asked i2 200 {}   => answer 200, at gold by ok, completed known
        @5  asked i2 200 {}   => rejected not-awaited
        @6  submit chat w     => submitted i3, at start, at ask by next, asked crm
        @7  asked i3 500      => unavailable until 1007
        @8  cancel i3         => cancelled
        @1007  time i3        => rejected interaction-unknown
    ",
    );
}

#[test]
fn an_answer_that_user_data_has_no_room_for_changes_nothing() {
    let mut world = careful(0);
    let mut submission = world::submission(id(1), "chat", "w");
    let full = (0..limits::ENTRIES_MAX).map(|n| (format!("k{n}"), "v".to_owned()));
    submission.facts.user_data = full.collect();
    world.try_at(Command::Submit(Box::new(submission)), UnixMillis(0)).unwrap();
    scenario(world, r#"@1 asked i1 200 {"tier":"gold"} => unusable, at broken by error, completed broken"#);
}

#[test]
fn an_endpoint_is_kept_while_a_workflow_names_it() {
    scenario(
        plain(0),
        "
        @0  remove endpoint crm    => rejected document-in-use
        @0  remove workflow w 1    => removed
        @0  remove endpoint crm    => removed
        @0  remove endpoint crm    => rejected document-unknown
    ",
    );
}

/// The request of the first interaction, if one is awaited.
fn request(world: &World, account: &Account) -> Option<EndpointRequest> {
    let (call, interaction) = account.endpoint_calls().next()?;
    EndpointRequest::new(account, call, interaction, &world.contents[&interaction])
}

/// The account as it is read back from its rows.
fn restarted(account: &Account) -> Account {
    let mut loaded = Account::loading(Sequence(account.sequence().0));
    account.configuration().documents().for_each(|document| loaded.load_document(&document));
    for (agent, login) in account.logins() {
        loaded.load_login(agent, login.clone());
    }
    for (id, live) in account.lives() {
        let row = postcard::to_stdvec(live).unwrap();
        loaded.load_live(id, postcard::from_bytes(&row).unwrap());
    }
    loaded.same(account).unwrap();
    loaded
}

#[test]
fn a_request_holds_what_the_element_says_and_no_more() {
    let mut world = careful(1);
    let mut submission = world::submission(id(1), "chat", "w");
    submission.facts.user_data = [("customer", "77"), ("secret", "x")].map(|(k, v)| (k.into(), v.into())).into();
    world.try_at(Command::Submit(Box::new(submission)), UnixMillis(5)).unwrap();
    let request = request(&world, &world.account).unwrap();
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let expected = json!({
        "call": request.idempotency_key,
        "interaction": id(1),
        "media_type": "chat",
        "submitted_at_ms": 0,
        "workflow": "w",
        "element": "ask",
        "visit": 1,
        "fields": {"subject": "Hello", "sender": "ana@example.org"},
        "user_data": {"customer": "77"},
    });
    assert_eq!(body, expected);
    assert_eq!(request.endpoint.name, "crm");
}

#[test]
fn a_call_is_made_again_after_a_restart_under_the_same_key() {
    let mut world = careful(1);
    let submission = world::submission(id(1), "chat", "w");
    world.try_at(Command::Submit(Box::new(submission)), UnixMillis(0)).unwrap();
    let before = request(&world, &world.account).unwrap();
    world.account = restarted(&world.account);
    let after = request(&world, &world.account).unwrap();
    assert_eq!((&before.idempotency_key, &before.body), (&after.idempotency_key, &after.body));
    // A pause goes on too, and the next attempt is the same call to whoever answers it.
    let (call, interaction, result) = (after.call, id(1), after.read(500, None, b""));
    world.try_at(Command::EndpointAnswered { call, interaction, result }, UnixMillis(1)).unwrap();
    assert!(request(&world, &world.account).is_none());
    world.account = restarted(&world.account);
    assert_eq!(world.account.next_timer(), Some(UnixMillis(1001)));
    assert!(matches!(world.account.live(id(1)).unwrap().state, State::Calling { attempt: 1, .. }));
    world.try_at(Command::TimerDue { interaction: id(1) }, UnixMillis(1001)).unwrap();
    assert_eq!(request(&world, &world.account).unwrap().idempotency_key, before.idempotency_key);
}

#[test]
fn a_faulty_call_element_is_refused_with_all_its_faults() {
    let mut world = World::default();
    endpoint(&mut world, 0);
    let workflow = json!({"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "a", "kind": "call", "endpoint": "nobody"},
            {"id": "b", "kind": "call", "endpoint": "crm", "request": {"user_data": [""]},
                "response": {"x": "tier", "y": "/~", "z": "/ok"}},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "a"},
            {"from": "a", "outcome": "ok", "to": "b"},
            {"from": "a", "outcome": "refused", "to": "end"},
            {"from": "b", "outcome": "ok", "to": "end"},
            {"from": "b", "outcome": "next", "to": "end"}]});
    let workflow: Workflow = serde_json::from_value(workflow).unwrap();
    let faults = signalbox_engine::validate(&workflow, world.account.configuration());
    let codes: Vec<&str> = faults.iter().map(|fault| fault.code).collect();
    let expected = [
        "endpoint-unknown",
        "call-invalid",
        "pointer-invalid",
        "pointer-invalid",
        "outcome-unknown",
        "connector-missing",
    ];
    assert_eq!(codes, expected, "{faults:#?}");
}

/// A chat desk whose workflow sends a transcript at the end.
fn chat_desk(reply: &Value) -> World {
    let mut world = World::default();
    world.json("agent", r#"{"name": "ann", "display_name": "Ann Lee"}"#).unwrap();
    let body = "Dear {{contact.name|customer}},\n{{transcript}}";
    let text = ResponseText { language: "en".into(), subject: None, body: body.into() };
    let response = Response {
        name: name("farewell"),
        approved: true,
        expires_at_ms: None,
        default_language: "en".into(),
        texts: vec![text],
    };
    world.put(Document::Response(Arc::new(response))).unwrap();
    world.queue("desk");
    let mut bye = json!({"id": "bye", "kind": "reply"});
    bye.as_object_mut().unwrap().extend(reply.as_object().unwrap().clone());
    let workflow = json!({"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "desk", "kind": "queue", "queue": "desk", "target": {"agent": "ann"}},
            bye,
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "desk"},
            {"from": "desk", "outcome": "completed", "to": "bye"},
            {"from": "bye", "outcome": "next", "to": "end"}]});
    world.workflow(&workflow.to_string());
    world
}

/// The body of the message that is sent when a chat with these texts is completed.
fn sent(mut world: World, texts: &[(&str, Speaker)]) -> String {
    let submission = world::submission(id(1), "chat", "w");
    world.try_at(Command::Submit(Box::new(submission)), UnixMillis(0)).unwrap();
    let assign = Command::Assign { interaction: id(1), agent: name("ann"), by: "boss".into() };
    let login = signalbox_engine::AgentAction::LogIn { place: None, media_types: [].into(), connected: false };
    let login = Command::Agent { agent: name("ann"), action: login, by: "ann".into() };
    world.try_at(login, UnixMillis(0)).unwrap();
    world.try_at(assign, UnixMillis(0)).unwrap();
    for (n, (text, speaker)) in (1..).zip(texts) {
        let (by, text) = (if *speaker == Speaker::Agent { "ann" } else { "web" }.into(), (*text).into());
        let say = Command::Say { interaction: id(1), speaker: *speaker, text, by, for_anyone: false };
        world.try_at(say, UnixMillis(n * 1000)).unwrap();
    }
    let complete =
        Command::Complete { interaction: id(1), disposition: "solved".into(), by: "ann".into(), for_anyone: false };
    let events = world.try_at(complete, UnixMillis(99_000)).unwrap();
    let data = events.iter().find_map(|event| match event {
        Event::MessageQueued { message, .. } => Some(message.data.clone()),
        _ => None,
    });
    let data: Value = serde_json::from_str(&data.unwrap()).unwrap();
    data["body"].as_str().unwrap().to_owned()
}

const TALK: [(&str, Speaker); 2] = [("Hi", Speaker::Customer), ("What is it?", Speaker::Agent)];
/// What the customer wrote first stands before what was said.
const LINES: &str = "[1970-01-01 00:00:00 UTC] Customer: Where is my order?\n\
    [1970-01-01 00:00:01 UTC] Customer: Hi\n[1970-01-01 00:00:02 UTC] Ann Lee: What is it?\n";

#[test]
fn a_transcript_follows_the_reply_where_the_element_says_so() {
    let bye = json!({"reply": {"text": {"subject": null, "body": "Bye."}}, "transcript": true});
    assert_eq!(sent(chat_desk(&bye), &TALK), format!("Bye.\n\n{LINES}"));
    assert_eq!(sent(chat_desk(&bye), &[]), "Bye.", "nothing was said");
    let standard = json!({"reply": {"standard": {"name": "farewell", "fields": []}}});
    assert_eq!(sent(chat_desk(&standard), &TALK), format!("Dear ana@example.org,\n{LINES}"));
}

#[test]
fn a_field_code_stands_for_the_transcript_once() {
    let bye = json!({"reply": {"text": {"subject": null, "body": "Bye.\n{{transcript}}.{{transcript}}"}}});
    assert_eq!(sent(chat_desk(&bye), &TALK), format!("Bye.\n{LINES}."));
    let tricky = [("{{transcript}} {{interaction.id}}", Speaker::Customer)];
    let expected = "Bye.\n[1970-01-01 00:00:00 UTC] Customer: Where is my order?\n[1970-01-01 00:00:01 UTC] Customer: {{transcript}} {{interaction.id}}\n.";
    assert_eq!(sent(chat_desk(&bye), &tricky), expected);
}

#[test]
fn a_long_chat_loses_its_beginning_and_says_so() {
    let long = "x".repeat(limits::REPLY_BYTES_MAX);
    let texts: Vec<(&str, Speaker)> = (0..8).map(|_| (long.as_str(), Speaker::Customer)).collect();
    let bye = json!({"reply": {"text": {"subject": null, "body": "{{transcript}}"}}});
    let body = sent(chat_desk(&bye), &texts);
    assert!(body.starts_with("[6 earlier texts are left out]\n[1970-01-01 00:00:06 UTC]"), "{}", &body[..100]);
    assert!(body.len() < limits::TRANSCRIPT_BYTES_MAX + 1000);
}

#[test]
fn every_event_can_be_read_back() {
    let mut world = careful(1);
    let mut seen: Vec<(Name, usize)> = Vec::new();
    let submission = world::submission(id(1), "chat", "w");
    let mut events = world.try_at(Command::Submit(Box::new(submission)), UnixMillis(0)).unwrap();
    let wanted = request(&world, &world.account).unwrap();
    let again =
        Command::EndpointAnswered { call: wanted.call, interaction: id(1), result: wanted.read(500, None, b"") };
    events.extend(world.try_at(again, UnixMillis(1)).unwrap());
    events.extend(world.try_at(Command::TimerDue { interaction: id(1) }, UnixMillis(1001)).unwrap());
    let no = Command::EndpointAnswered { call: wanted.call, interaction: id(1), result: wanted.read(404, None, b"no") };
    events.extend(world.try_at(no, UnixMillis(1002)).unwrap());
    for event in events {
        let row = postcard::to_stdvec(&event).unwrap();
        assert_eq!(postcard::from_bytes::<Event>(&row).unwrap(), event);
        seen.push((name(&event.name().replace('.', "-")), row.len()));
    }
    assert_eq!(seen.iter().filter(|(name, _)| name.as_str().starts_with("endpoint")).count(), 4);
}
