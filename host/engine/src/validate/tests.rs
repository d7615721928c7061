//! Each fault by its code, and a document that has most of them.

use std::fmt::Write;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::binding::{Binding, OnFailure, Share};
use crate::decision::{Manifest, Outcome};
use crate::document::{Deployment, Document, Queue, Webhook};
use crate::id::{Digest, UnixMillis};
use crate::workflow::Flow;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn workflow(json: Value) -> Workflow {
    serde_json::from_value(json).unwrap()
}

/// A workflow from lines such as `a condition expression=true` and `a -true-> b`. Values other than expressions may be JSON.
fn drawn(called: &str, lines: &str) -> Workflow {
    let (mut elements, mut connectors) = (Vec::new(), Vec::new());
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some((from, rest)) = line.split_once(" -") {
            let (outcome, to) = rest.split_once("-> ").unwrap();
            connectors.push(json!({"from": from, "outcome": outcome, "to": to}));
            continue;
        }
        let mut words = line.splitn(3, ' ');
        let mut element = json!({"id": words.next().unwrap(), "kind": words.next().unwrap()});
        for field in words.next().unwrap_or_default().split("; ").filter(|field| !field.is_empty()) {
            let (key, value) = field.split_once('=').unwrap();
            let json = if key == "expression" { None } else { serde_json::from_str(value).ok() };
            element[key] = json.unwrap_or_else(|| json!(value));
        }
        elements.push(element);
    }
    workflow(json!({"name": called, "elements": elements, "connectors": connectors}))
}

fn digest() -> Digest {
    Digest([0; 32])
}

fn deployment(called: &str, outcomes: &[&str]) -> Document {
    let outcome = |outcome: &&str| Outcome { name: (*outcome).to_owned(), description: String::new() };
    Document::Deployment(Arc::new(Deployment {
        name: name(called),
        digest: digest(),
        settings: "{}".to_owned(),
        assets: BTreeMap::new(),
        manifest: Manifest {
            name: "screening".to_owned(),
            version: "1.0.0".to_owned(),
            description: String::new(),
            outcomes: outcomes.iter().map(outcome).collect(),
            settings_schema: "{}".to_owned(),
            assets: Vec::new(),
        },
        component: digest(),
        image: digest(),
        snapshotted: true,
        unsnapshotted_because: None,
        deadline_ms: 100,
        grants: None,
        message: String::new(),
        created_by: "ana".to_owned(),
        created_at: UnixMillis(0),
    }))
}

fn binding(called: &str, element: &str, deployments: &[&str]) -> Document {
    let shares = deployments.iter().map(|deployment| Share { deployment: name(deployment), weight: 1 });
    let on_failure = OnFailure { retries: 0, outcome: Some(name("fallback")) };
    Document::Binding(Arc::new(Binding::new(name(called), name(element), shares.collect(), on_failure)))
}

fn account() -> Configuration {
    let mut account = Configuration::default();
    let office = serde_json::from_value(json!({"time_zone": "UTC"})).unwrap();
    let ack = json!({"name": "ack", "default_language": "en", "texts": [{"language": "en", "body": "x"}]});
    let documents = [
        Document::Calendar(name("office"), Arc::new(office)),
        Document::Response(Arc::new(serde_json::from_value(ack).unwrap())),
        Document::Queue(Queue::new(name("desk"))),
        Document::Webhook(Arc::new(Webhook {
            name: name("crm"),
            url: "https://crm.example.org/in".to_owned(),
            secret: String::new(),
            types: vec![],
        })),
        deployment("screen-1", &["spam", "ham"]),
        deployment("screen-2", &["spam", "unsure"]),
        binding("this", "screen", &["screen-1", "screen-2"]),
        Document::Workflow(
            Arc::new(drawn(
                "refunds",
                "
                s start
                q queue queue=desk
                paid end outcome=paid
                done end
                s -next-> q
                q -completed-> paid
                q -error-> done
                ",
            )),
            1,
        ),
        Document::Workflow(
            Arc::new(drawn("calls-this", "s start\nc workflow workflow=middle\ne end\ns -next-> c\nc -default-> e")),
            1,
        ),
        Document::Workflow(
            Arc::new(drawn("middle", "s start\nc workflow workflow=this\ne end\ns -next-> c\nc -default-> e")),
            1,
        ),
    ];
    for document in &documents {
        account.put(document);
    }
    for n in 0..8 {
        let lines = format!("s start\nc workflow workflow=deep{}\ne end\ns -next-> c\nc -default-> e", n + 1);
        account.put(&Document::Workflow(Arc::new(drawn(&format!("deep{n}"), &lines)), 1));
    }
    account.put(&Document::Workflow(Arc::new(drawn("deep8", "s start\ne end\ns -next-> e")), 1));
    account
}

/// `element code` of each fault.
fn codes(faults: &[Fault]) -> Vec<String> {
    let element = |fault: &Fault| fault.element.as_ref().map_or("-".to_owned(), ToString::to_string);
    faults.iter().map(|fault| format!("{} {}", element(fault), fault.code)).collect()
}

/// What an element between a start and an end has for faults.
fn faults_of(element: &str, connectors: &str) -> Vec<String> {
    let lines = format!("s start\n{element}\ne end\n{connectors}");
    let first = element.split(' ').next().unwrap();
    let document = drawn("this", &format!("{lines}\ns -next-> {first}"));
    codes(&validate(&document, &account()))
}

#[test]
fn a_workflow_without_faults_can_be_walked() {
    let document = drawn(
        "this",
        "
        s start
        screen strategy
        vip condition expression=interaction.user_data.tier == 'gold'
        hours segment by={\"open\": {\"calendar\": \"office\"}}
        share segment by={\"share\": [{\"outcome\": \"a\", \"weight\": 1}, {\"outcome\": \"b\", \"weight\": 3}]}
        language segment by={\"attribute\": {\"attribute\": \"language\", \"values\": [{\"value\": \"de\", \"outcome\": \"german\"}]}}
        sleep wait until_open=office
        nap wait duration_ms=60000
        ack reply reply={\"standard\": {\"name\": \"ack\", \"fields\": []}}; acknowledgement=true
        copy forward to={\"queue\": \"desk\"}
        crm forward to={\"url\": \"https://crm.example.org/in/mail\"}
        refund workflow workflow=refunds
        q queue queue=new-queue; timeout_ms=1000
        e end disposition=solved
        s -next-> screen
        screen -spam-> e
        screen -default-> vip
        screen -error-> q
        screen -fallback-> q
        vip -true-> q
        vip -false-> hours
        vip -error-> q
        hours -open-> share
        hours -closed-> sleep
        sleep -next-> hours
        share -a-> language
        share -b-> nap
        nap -next-> ack
        language -german-> ack
        language -default-> ack
        ack -next-> copy
        copy -next-> crm
        crm -next-> refund
        refund -paid-> e
        refund -completed-> q
        q -completed-> e
        q -timeout-> q
        ",
    );
    assert_eq!(validate(&document, &account()), []);
    assert!(Flow::new(document, 1).is_ok());
}

#[test]
fn each_element_is_checked() {
    let share = |slices: &str| format!("x segment by={{\"share\": [{slices}]}}");
    let table: &[(&str, &str, &[&str])] = &[
        ("x condition expression=1 +", "x -true-> e\nx -false-> e", &["x condition-invalid"]),
        ("x condition expression=true", "x -true-> e", &["x connector-missing"]),
        ("x condition expression=true", "x -true-> e\nx -false-> e\nx -default-> e", &["x outcome-unknown"]),
        ("x queue queue=q; timeout_ms=0", "x -completed-> e\nx -timeout-> e", &["x queue-invalid"]),
        ("x queue queue=q; timeout_ms=1", "x -completed-> e", &["x connector-missing"]),
        ("x queue queue=q", "x -completed-> e\nx -timeout-> e", &["x outcome-unknown"]),
        ("x queue queue=q", "x -error-> e", &["x connector-missing"]),
        ("x wait duration_ms=0", "x -next-> e", &["x wait-invalid"]),
        ("x wait duration_ms=31622400001", "x -next-> e", &["x wait-invalid"]),
        ("x wait duration_ms=31622400000", "x -next-> e", &[]),
        ("x wait", "x -next-> e", &["x wait-invalid"]),
        ("x wait duration_ms=1; until_open=office", "x -next-> e", &["x wait-invalid"]),
        ("x wait until_open=gone", "x -next-> e", &["x calendar-unknown"]),
        ("x segment by={\"open\": {\"calendar\": \"gone\"}}", "x -default-> e", &["x calendar-unknown"]),
        ("x segment by={\"open\": {\"calendar\": \"office\"}}", "x -open-> e", &["x connector-missing"]),
        (&share(""), "x -default-> e", &["x segment-invalid"]),
        (&share("{\"outcome\": \"a\", \"weight\": 0}"), "x -a-> e", &["x segment-invalid"]),
        (&share("{\"outcome\": \"a\", \"weight\": 1}"), "x -a-> e\nx -b-> e", &["x outcome-unknown"]),
        (
            "x segment by={\"attribute\": {\"attribute\": \"sender\", \"values\": [{\"value\": \"a\", \"outcome\": \"a\"}]}}",
            "x -a-> e",
            &["x connector-missing"],
        ),
        ("x reply reply={\"standard\": {\"name\": \"gone\", \"fields\": []}}", "x -next-> e", &["x response-unknown"]),
        ("x reply reply={\"text\": {\"subject\": null, \"body\": \"\"}}", "x -next-> e", &["x reply-invalid"]),
        ("x forward to={\"queue\": \"gone\"}", "x -next-> e", &["x queue-unknown"]),
        ("x forward to={\"address\": \" \"}", "x -next-> e", &["x forward-invalid"]),
        ("x forward to={\"address\": \"+49 30 1234\"}", "x -next-> e\nx -error-> e", &[]),
        ("x forward to={\"url\": \"https://evil.example.org\"}", "x -next-> e", &["x webhook-unknown"]),
        ("x workflow workflow=gone", "x -any-> e", &["x workflow-unknown"]),
        ("x workflow workflow=refunds", "x -paid-> e", &["x connector-missing"]),
        ("x workflow workflow=refunds", "x -default-> e\nx -error-> e", &[]),
        ("x workflow workflow=refunds", "x -default-> e\nx -other-> e", &["x outcome-unknown"]),
        ("x workflow workflow=this", "x -default-> e", &["x workflow-recursive"]),
        ("x workflow workflow=calls-this", "x -default-> e", &["x workflow-recursive"]),
        ("x workflow workflow=deep0", "x -default-> e", &["- workflows-too-deep"]),
        ("x workflow workflow=deep1", "x -default-> e", &[]),
        ("x strategy", "x -whatever-> e", &[]),
        ("screen strategy", "screen -default-> e", &[]),
        ("screen strategy", "screen -spam-> e\nscreen -ham-> e", &["screen connector-missing"]),
        ("screen strategy", "screen -default-> e\nscreen -eggs-> e", &["screen outcome-unknown"]),
        ("screen strategy", "screen -default-> e\nscreen -fallback-> e\nscreen -timeout-> e", &[]),
        ("x end outcome=error", "", &["x outcome-reserved", "e element-unreachable"]),
        ("x end disposition=\"\"", "", &["x end-invalid", "e element-unreachable"]),
        ("x end", "x -next-> e", &["x connector-from-end", "e element-unreachable"]),
    ];
    for (element, connectors, expected) in table {
        assert_eq!(faults_of(element, connectors), *expected, "{element}\n{connectors}");
    }
}

#[test]
fn connectors_and_paths_are_checked() {
    let table: &[(&str, &[&str])] = &[
        ("", &["- elements-missing"]),
        ("e end", &["- start-missing"]),
        ("s start\nt start\ne end\ns -next-> e\nt -next-> e", &["t start-doubled"]),
        ("s start\ne end", &["s connector-missing", "e element-unreachable", "- end-missing"]),
        ("s start\ns -next-> s", &["s connector-into-start", "- end-missing", "s loop-endless"]),
        ("s start\ne end\ns -next-> e\ns -next-> e", &["s connector-doubled"]),
        ("s start\ne end\ne end\ns -next-> e", &["e element-doubled"]),
        ("s start\ne end\ns -next-> gone", &["s connector-to-unknown", "e element-unreachable", "- end-missing"]),
        ("s start\ne end\ns -next-> e\ngone -next-> e", &["gone connector-from-unknown"]),
        ("s start\ne end\ns -next-> e\ns -error-> e", &["s outcome-unknown"]),
        ("s start\nq queue queue=q\ns -next-> q\nq -completed-> q", &["- end-missing"]),
        (
            "s start\na condition expression=true\nb condition expression=true\nc condition expression=true\ne end
            s -next-> a\na -true-> b\na -false-> e\nb -true-> c\nb -false-> b\nc -true-> a\nc -false-> e",
            &["a loop-endless"],
        ),
        (
            "s start\na condition expression=true\nw wait duration_ms=1\ne end
            s -next-> a\na -true-> w\nw -next-> a\na -false-> e",
            &[],
        ),
        (
            "s start\na condition expression=true\nw workflow workflow=refunds\ne end
            s -next-> a\na -true-> w\nw -default-> a\na -false-> e",
            &[],
        ),
        (
            "s start\na condition expression=true\nw workflow workflow=deep8\ne end
            s -next-> a\na -true-> w\nw -default-> a\na -false-> e",
            &["a loop-endless"],
        ),
    ];
    for (lines, expected) in table {
        assert_eq!(codes(&validate(&drawn("this", lines), &account())), *expected, "{lines}");
    }
}

#[test]
fn the_longest_workflow_is_walked_without_recursion() {
    let mut lines = "s start\ne end\ns -next-> x0\n".to_owned();
    for n in 0..498 {
        let next = if n == 497 { "e".to_owned() } else { format!("x{}", n + 1) };
        writeln!(lines, "x{n} condition expression=true\nx{n} -true-> {next}\nx{n} -false-> x0").unwrap();
    }
    let document = drawn("this", &lines);
    let faults = validate(&document, &account());
    assert_eq!(codes(&faults), ["x0 loop-endless"]);
    assert!(faults[0].message.contains("`x11` and 486 more"), "{}", faults[0].message);
    let more = drawn("this", &format!("{lines}y end"));
    assert_eq!(codes(&validate(&more, &account())), ["- elements-too-many"]);
    let wordy = drawn("this", &lines.replace("expression=true", &format!("expression=true {}", "//".repeat(99))));
    assert_eq!(codes(&validate(&wordy, &account())), ["- conditions-too-long"]);
}

#[test]
fn a_faulty_document_shows_all_its_faults_at_once() {
    let document = drawn(
        "this",
        "
        s start
        s2 start
        screen strategy
        vip condition expression=interaction.user_data.tier = 'gold'
        old condition expression=intercation.hops > 3
        hours segment by={\"open\": {\"calendar\": \"holidays\"}}
        share segment by={\"share\": [{\"outcome\": \"a\", \"weight\": 0}, {\"outcome\": \"a\", \"weight\": 3}]}
        nap wait
        nap wait duration_ms=1
        ack reply reply={\"standard\": {\"name\": \"acknowledge\", \"fields\": []}}
        copy forward to={\"queue\": \"archive\"}
        refund workflow workflow=calls-this
        q queue queue=new-queue; timeout_ms=0
        island end outcome=timeout
        s -next-> screen
        s2 -next-> s
        screen -spam-> nowhere
        screen -eggs-> vip
        vip -true-> old
        vip -false-> hours
        vip -false-> nap
        old -true-> vip
        hours -open-> share
        share -a-> ack
        ack -next-> copy
        copy -next-> refund
        refund -completed-> q
        ghost -next-> q
        q -completed-> q
        island -next-> s
        ",
    );
    let faults = validate(&document, &account());
    let shown = faults.iter().zip(codes(&faults)).map(|(fault, code)| format!("{code}: {}\n", fault.message));
    insta::assert_snapshot!(shown.collect::<String>());
}

fn any_kind() -> impl Strategy<Value = Value> {
    let id = prop::sample::select(vec!["a", "b", "c", "this", "office", "refunds", "desk", "calls-this", "ack"]);
    let text = prop_oneof![".{0,20}", Just("interaction.answered".to_owned()), Just("true".to_owned())];
    let number = prop_oneof![Just(0u64), Just(1), any::<u64>()];
    prop_oneof![
        Just(json!({"kind": "start"})),
        Just(json!({"kind": "strategy"})),
        text.clone().prop_map(|expression| json!({"kind": "condition", "expression": expression})),
        (id.clone(), number.clone()).prop_map(|(outcome, weight)| {
            let slice = json!({"outcome": outcome, "weight": weight % 1_000_001});
            json!({"kind": "segment", "by": {"share": [slice, slice]}})
        }),
        id.clone().prop_map(|calendar| json!({"kind": "segment", "by": {"open": {"calendar": calendar}}})),
        (text.clone(), id.clone()).prop_map(|(attribute, outcome)| {
            let case = json!({"value": attribute, "outcome": outcome});
            json!({"kind": "segment", "by": {"attribute": {"attribute": attribute, "values": [case]}}})
        }),
        (id.clone(), prop::option::of(number.clone()))
            .prop_map(|(queue, timeout)| json!({"kind": "queue", "queue": queue, "timeout_ms": timeout})),
        text.clone().prop_map(|body| json!({"kind": "reply", "reply": {"text": {"subject": null, "body": body}}})),
        text.clone().prop_map(|name| json!({"kind": "reply", "reply": {"standard": {"name": name, "fields": []}}})),
        text.clone().prop_map(|to| json!({"kind": "forward", "to": {"queue": to}})),
        text.clone().prop_map(|to| json!({"kind": "forward", "to": {"url": to}})),
        (prop::option::of(number), prop::option::of(id.clone()))
            .prop_map(|(duration, until)| { json!({"kind": "wait", "duration_ms": duration, "until_open": until}) }),
        id.clone().prop_map(|workflow| json!({"kind": "workflow", "workflow": workflow})),
        (prop::option::of(text), prop::option::of(id)).prop_map(|(disposition, outcome)| {
            json!({"kind": "end", "disposition": disposition, "outcome": outcome})
        }),
    ]
}

fn any_workflow() -> impl Strategy<Value = Workflow> {
    let ids = ["a", "b", "c", "d", "e", "f", "screen"];
    let id = prop::sample::select(ids.to_vec());
    let outcomes = vec!["next", "true", "false", "default", "error", "timeout", "completed", "open", "closed", "a"];
    let connector = (id.clone(), prop::sample::select(outcomes), id.clone())
        .prop_map(|(from, outcome, to)| json!({"from": from, "outcome": outcome, "to": to}));
    let element = (id, any_kind()).prop_map(|(id, mut kind)| {
        kind["id"] = json!(id);
        kind
    });
    (prop::collection::vec(element, 0..8), prop::collection::vec(connector, 0..24)).prop_map(
        |(elements, connectors)| workflow(json!({"name": "this", "elements": elements, "connectors": connectors})),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn any_document_is_judged_and_a_faultless_one_can_be_walked(document in any_workflow()) {
        let account = account();
        let faults = validate(&document, &account);
        prop_assert_eq!(&faults, &validate(&document, &account));
        if faults.is_empty() {
            let flow = Flow::new(document, 1);
            prop_assert!(flow.is_ok(), "{:?}", flow);
        }
    }
}
