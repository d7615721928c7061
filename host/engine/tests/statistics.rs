//! What may be put as a statistic, when a total begins anew, and what is observed of records.

#![allow(clippy::unwrap_used)]

mod world;

use std::sync::Arc;

use serde_json::{Value, json};
use signalbox_engine::{
    Account, Command, Document, DocumentKey, DocumentKind, Fact, Happening, Name, NoFigures, Observed, Observing,
    Queue, Rejection, Reset, Statistic, UnixMillis, decide, reads,
};
use world::{World, id, name, submission};

fn run(account: &mut Account, command: Command) -> Result<(), Rejection> {
    let decided = decide(account, command, None, &NoFigures, UnixMillis(0))?;
    account.apply(&decided.record);
    Ok(())
}

fn put(account: &mut Account, statistic: Value) -> Result<(), Rejection> {
    let statistic: Statistic = serde_json::from_value(statistic).unwrap();
    run(account, Command::Put { document: Document::Statistic(Arc::new(statistic)), by: "test".into() })
}

fn account() -> Account {
    let mut account = Account::default();
    let queue = Document::Queue(Queue::new(Name::new("line").unwrap()));
    run(&mut account, Command::Put { document: queue, by: "test".into() }).unwrap();
    let agent = json!({"name": "ana"});
    let agent = Document::Agent(Arc::new(serde_json::from_value(agent).unwrap()));
    run(&mut account, Command::Put { document: agent, by: "test".into() }).unwrap();
    account
}

#[test]
fn a_definition_that_does_not_fit_together_is_refused() {
    let line = json!({"kind": "queue", "name": "line"});
    let ana = json!({"kind": "agent", "name": "ana"});
    let answered = json!({"kind": "number", "of": "answered"});
    let waiting = json!({"kind": "interactions-now", "state": "queued"});
    let growing = |zone: &str, at: &str| json!({"kind": "growing", "reset": {"at": at, "time_zone": zone}});
    let sliding = |window: u64, step: u64| json!({"kind": "sliding", "window_ms": window, "step_ms": step});
    let table = [
        (&line, &answered, None, None, "ok"),
        (&line, &waiting, None, Some(json!({"media_type": "chat", "category": "a", "condition": "true"})), "ok"),
        (&line, &answered, Some(growing("Europe/Berlin", "00:00")), None, "ok"),
        (&line, &answered, Some(sliding(144_000, 100)), None, "ok"),
        (&ana, &json!({"kind": "occupancy"}), Some(json!({"kind": "since-login"})), None, "ok"),
        (&json!({"kind": "queue", "name": "other"}), &answered, None, None, "queue-unknown"),
        (&json!({"kind": "agent", "name": "bob"}), &answered, None, None, "agent-unknown"),
        (&json!({"kind": "agent-group", "name": "all"}), &answered, None, None, "group-unknown"),
        (&json!({"kind": "place", "name": "d1"}), &answered, None, None, "place-unknown"),
        (&json!({"kind": "place-group", "name": "d1"}), &answered, None, None, "group-unknown"),
        (&json!({"kind": "workflow", "name": "w"}), &answered, None, None, "workflow-unknown"),
        (&json!({"kind": "element", "name": "e", "workflow": "w"}), &answered, None, None, "workflow-unknown"),
        (&json!({"kind": "strategy", "name": "s"}), &answered, None, None, "deployment-unknown"),
        (&json!({"kind": "media-type", "name": "new"}), &answered, None, None, "ok"),
        (&json!({"kind": "account", "name": "x"}), &answered, None, None, "invalid object.name"),
        (&json!({"kind": "queue"}), &answered, None, None, "invalid object.name"),
        (&json!({"kind": "element", "name": "e"}), &answered, None, None, "invalid object.workflow"),
        (&line, &json!({"kind": "occupancy"}), None, None, "invalid measure"),
        (&line, &json!({"kind": "number", "of": "worked", "outcome": "sold"}), None, None, "ok"),
        (&line, &json!({"kind": "number", "of": "completed"}), None, None, "invalid measure.of"),
        (&ana, &json!({"kind": "number", "of": "ended"}), None, None, "invalid measure.of"),
        (&line, &json!({"kind": "interactions-now", "state": "completed"}), None, None, "invalid measure.state"),
        (&line, &json!({"kind": "number", "of": "submitted"}), None, None, "invalid measure.of"),
        (&ana, &waiting, None, None, "invalid measure.state"),
        (&ana, &json!({"kind": "agents-now", "state": "ready", "reason": "x"}), None, None, "invalid measure.reason"),
        (&ana, &json!({"kind": "estimated-wait"}), None, None, "invalid measure"),
        (&line, &json!({"kind": "time", "of": "handle", "value": "max"}), None, None, "invalid measure.value"),
        (
            &line,
            &json!({"kind": "distribution", "of": "wait", "bounds_ms": []}),
            None,
            None,
            "invalid measure.bounds_ms",
        ),
        (
            &line,
            &json!({"kind": "distribution", "of": "wait", "bounds_ms": [2, 2]}),
            None,
            None,
            "invalid measure.bounds_ms",
        ),
        (&line, &waiting, Some(sliding(1000, 100)), None, "invalid profile"),
        (&line, &answered, Some(sliding(1050, 100)), None, "invalid profile.window_ms"),
        (&line, &answered, Some(sliding(144_100, 100)), None, "invalid profile.window_ms"),
        (&line, &answered, Some(sliding(10, 10)), None, "invalid profile.step_ms"),
        (&line, &answered, Some(json!({"kind": "selection", "last": 0})), None, "invalid profile.last"),
        (
            &line,
            &json!({"kind": "estimated-wait"}),
            Some(json!({"kind": "selection", "last": 9})),
            None,
            "invalid profile",
        ),
        (&line, &answered, Some(json!({"kind": "since-login"})), None, "invalid profile"),
        (&line, &answered, Some(growing("Mars/Base", "00:00")), None, "invalid profile.reset.time_zone"),
        (&line, &answered, Some(growing("UTC", "24:00")), None, "invalid profile.reset.at"),
        (&line, &answered, None, Some(json!({"condition": "interaction.nonsense"})), "invalid filter.condition"),
        (&line, &answered, None, Some(json!({"category": ""})), "invalid filter.category"),
        (&ana, &json!({"kind": "load"}), None, Some(json!({"media_type": "chat"})), "invalid filter"),
    ];
    for (object, measure, profile, filter, wanted) in table {
        let mut statistic = json!({"name": "n", "object": object, "measure": measure});
        profile.into_iter().for_each(|profile| statistic["profile"] = profile);
        filter.into_iter().for_each(|filter| statistic["filter"] = filter);
        let found = match put(&mut account(), statistic.clone()) {
            Ok(()) => "ok".to_owned(),
            Err(Rejection::Invalid { field, .. }) => format!("invalid {field}"),
            Err(rejection) => rejection.code().to_owned(),
        };
        assert_eq!(found, wanted, "{statistic}");
    }
}

#[test]
fn conditions_are_bounded_and_one_text_counts_once() {
    let mut account = account();
    let condition = |n: usize| format!("interaction.priority > {n}");
    let statistic = |name: String, n: usize| {
        json!({"name": name, "object": {"kind": "account"}, "measure": {"kind": "number", "of": "submitted"},
            "filter": {"condition": condition(n)}})
    };
    for n in 0..64 {
        put(&mut account, statistic(format!("s{n}"), n)).unwrap();
        put(&mut account, statistic(format!("t{n}"), n)).unwrap();
    }
    assert_eq!(put(&mut account, statistic("more".into(), 64)).unwrap_err().code(), "full");
    for name in ["s7", "t7"] {
        let name = Name::new(name).unwrap();
        let key = DocumentKey { kind: DocumentKind::Statistic, name, element: None, version: 0 };
        run(&mut account, Command::Remove { key, by: "test".into() }).unwrap();
    }
    put(&mut account, statistic("more".into(), 64)).unwrap();
}

#[test]
fn a_reset_is_right_where_clocks_are_changed() {
    const HOUR: u64 = 3_600_000;
    let berlin =
        |at: &str| -> Reset { serde_json::from_value(json!({"at": at, "time_zone": "Europe/Berlin"})).unwrap() };
    // 2026-03-29 00:00 in Berlin; at 02:00 it becomes 03:00. 2026-10-25 00:00; at 03:00 it becomes 02:00.
    let (spring, autumn) = (1_774_738_800_000, 1_792_879_200_000);
    let table = [
        ("00:00", spring, spring, spring + 23 * HOUR),
        ("00:00", spring - 1, spring - 24 * HOUR, spring),
        ("00:00", spring + 23 * HOUR - 1, spring, spring + 23 * HOUR),
        // 02:30 does not come: an hour later on the wall, where the clock would show 03:30.
        ("02:30", spring + 3 * HOUR, spring + 5 * HOUR / 2, spring + 51 * HOUR / 2),
        ("02:30", spring + 2 * HOUR, spring - 43 * HOUR / 2, spring + 5 * HOUR / 2),
        ("00:00", autumn, autumn, autumn + 25 * HOUR),
        // 02:30 comes twice: the first time.
        ("02:30", autumn + 3 * HOUR, autumn + 5 * HOUR / 2, autumn + 55 * HOUR / 2),
        ("02:30", autumn + 4 * HOUR, autumn + 5 * HOUR / 2, autumn + 55 * HOUR / 2),
    ];
    for (at, now, last, next) in table {
        let found = berlin(at).around(UnixMillis(now));
        assert_eq!(found, (UnixMillis(last), UnixMillis(next)), "{at} at {now}");
    }
}

/// What is observed of a command.
fn observe(world: &mut World, command: Command, now: u64) -> Vec<(Happening, Option<u64>)> {
    let content = reads(&world.account, &command).map(|id| world.contents[&id].clone());
    let decided = decide(&world.account, command, content, &NoFigures, UnixMillis(now)).unwrap();
    let mut observed = Observed::default();
    let observing = Observing::before(&world.account, &decided.record, &mut observed).unwrap();
    world.contents.extend(decided.contents);
    world.account.apply(&decided.record);
    observing.after(&world.account, &mut observed);
    let happened = observed.facts.into_iter().filter_map(|(_, fact)| match fact {
        Fact::Happened { what, ms, .. } => Some((what, ms)),
        _ => None,
    });
    happened.collect()
}

#[test]
fn a_wait_that_is_reported_holds_no_work() {
    let mut world = World::default();
    world.queue("line");
    world.workflow(
        r#"{"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "line", "kind": "queue", "queue": "line"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "line"},
            {"from": "line", "outcome": "completed", "to": "end"}]}"#,
    );
    let asked = json!({"name": "wait", "object": {"kind": "queue", "name": "line"},
        "measure": {"kind": "time", "of": "wait", "value": "total"}});
    world.put(Document::Statistic(Arc::new(serde_json::from_value(asked).unwrap()))).unwrap();
    world.try_at(Command::Submit(Box::new(submission(id(1), "chat", "w"))), UnixMillis(0)).unwrap();
    let take = || Command::Take { queue: name("line"), agent: None, by: "ann".into() };
    let release = Command::Release { interaction: id(1), by: "ann".into(), for_anyone: false };
    let waits = |happened: Vec<(Happening, Option<u64>)>| -> Vec<u64> {
        happened.into_iter().filter(|(what, _)| *what == Happening::Answered).filter_map(|(_, ms)| ms).collect()
    };
    let first = observe(&mut world, take(), 5000);
    observe(&mut world, release, 1_805_000);
    let second = observe(&mut world, take(), 1_807_000);
    assert_eq!([waits(first), waits(second)], [[5000], [2000]]);
}

#[test]
fn work_counts_by_its_disposition_and_a_transfer_to_a_queue_as_one() {
    let mut world = World::default();
    world.queue("line");
    world.queue("other");
    world.workflow(
        r#"{"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "line", "kind": "queue", "queue": "line"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "line"},
            {"from": "line", "outcome": "completed", "to": "end"}]}"#,
    );
    for of in ["worked", "transferred"] {
        let asked = json!({"name": of, "object": {"kind": "queue", "name": "line"},
            "measure": {"kind": "number", "of": of}});
        world.put(Document::Statistic(Arc::new(serde_json::from_value(asked).unwrap()))).unwrap();
    }
    let mut happened = |command, now| {
        let content = reads(&world.account, &command).map(|id| world.contents[&id].clone());
        let decided = decide(&world.account, command, content, &NoFigures, UnixMillis(now)).unwrap();
        let mut observed = Observed::default();
        let observing = Observing::before(&world.account, &decided.record, &mut observed).unwrap();
        world.contents.extend(decided.contents);
        world.account.apply(&decided.record);
        observing.after(&world.account, &mut observed);
        let happened = observed.facts.into_iter().filter_map(|(_, fact)| match fact {
            Fact::Happened { what, outcome, .. } => Some((what, outcome)),
            _ => None,
        });
        happened.collect::<Vec<_>>()
    };
    let (interaction, by, for_anyone) = (id(1), "ann".to_owned(), false);
    happened(Command::Submit(Box::new(submission(id(1), "chat", "w"))), 0);
    happened(Command::Take { queue: name("line"), agent: None, by: by.clone() }, 1);
    let to = signalbox_engine::Target::Queue("other".into());
    let moved = happened(Command::Transfer { interaction, to, by: by.clone(), for_anyone }, 2);
    assert_eq!(moved, [(Happening::Transferred, None), (Happening::Worked, None)]);
    happened(Command::Take { queue: name("other"), agent: None, by: by.clone() }, 3);
    let done = happened(Command::Complete { interaction, disposition: "sold".into(), by, for_anyone }, 4);
    assert_eq!(done, [(Happening::Worked, Some("sold".to_owned()))]);
}
