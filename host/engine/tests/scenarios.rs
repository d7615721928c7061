//! The engine's rules as tables: a command a line, with what it must lead to.
//!
//! `@MS COMMAND => EVENT, EVENT …` or `=> rejected CODE`, with `as NAME` behind a command that another token gives; the one
//! called `operator` may act for anyone. Interactions are called i1, i2, … in the order of their submits.

#![allow(clippy::unwrap_used)]

mod world;

use serde_json::json;
use signalbox_engine::{
    Command, Connector, Delivery, DeliveryKey, DeliveryState, Document, Element, ElementKind, Event, UnixMillis,
    Workflow, limits,
};
use world::{World, name, scenario};

const SUPPORT: &str = r#"{"name": "support",
    "elements": [
        {"id": "start", "kind": "start"},
        {"id": "screen", "kind": "strategy"},
        {"id": "gold", "kind": "condition", "expression": "interaction.user_data.tier == 'gold'"},
        {"id": "vip", "kind": "queue", "queue": "vip"},
        {"id": "general", "kind": "queue", "queue": "general", "timeout_ms": 60000},
        {"id": "late", "kind": "wait", "duration_ms": 5000},
        {"id": "done", "kind": "end"},
        {"id": "spam", "kind": "end", "disposition": "spam"}],
    "connectors": [
        {"from": "start", "outcome": "next", "to": "screen"},
        {"from": "screen", "outcome": "clean", "to": "gold"},
        {"from": "screen", "outcome": "spam", "to": "spam"},
        {"from": "screen", "outcome": "timeout", "to": "general"},
        {"from": "gold", "outcome": "true", "to": "vip"},
        {"from": "gold", "outcome": "false", "to": "general"},
        {"from": "gold", "outcome": "error", "to": "general"},
        {"from": "vip", "outcome": "completed", "to": "done"},
        {"from": "general", "outcome": "completed", "to": "done"},
        {"from": "general", "outcome": "timeout", "to": "late"},
        {"from": "late", "outcome": "next", "to": "vip"}]}"#;

fn support() -> World {
    let mut world = World::default();
    world.deploy("screening-1", &["clean", "spam"]);
    world.deploy("screening-2", &["clean", "spam"]);
    world.workflow(SUPPORT);
    world.bind("support", "screen", "screening-1", 0, None);
    world
}

#[test]
fn an_interaction_goes_through_its_strategy_and_conditions_into_a_queue_and_out() {
    scenario(support(), "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @5    answer i1 clean                   => answered clean, at gold by clean, at general by error, queued general
        @10   take general                      => taken i1 from general
        @20   complete i1 solved                => done solved, data disposition=solved, at done by completed, completed solved
        @21   complete i1 solved                => rejected interaction-unknown
    ");
}

#[test]
fn a_condition_sees_what_the_strategy_attached() {
    scenario(support(), "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @5    answer i1 clean attach tier=gold  => answered clean, data tier=gold, at gold by clean, at vip by true, queued vip
        @6    submit chat support               => submitted i2, at start, at screen by next, called screening-1
        @7    answer i2 clean attach tier=tin   => answered clean, data tier=tin, at gold by clean, at general by false, queued general
    ");
}

#[test]
fn a_queue_serves_the_higher_priority_first_and_then_the_older() {
    scenario(support(), "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @0    submit chat support               => submitted i2, at start, at screen by next, called screening-1
        @0    submit chat support               => submitted i3, at start, at screen by next, called screening-1
        @1    answer i2 clean                   => answered clean, at gold by clean, at general by error, queued general
        @2    answer i1 clean                   => answered clean, at gold by clean, at general by error, queued general
        @3    answer i3 clean priority 900      => answered clean, priority 900, at gold by clean, at general by error, queued general
        @4    take general                      => taken i3 from general
        @5    take general                      => taken i2 from general
        @6    release i2                        => released i2
        @7    take general                      => taken i2 from general
        @8    take general                      => taken i1 from general
        @9    take general                      => rejected queue-empty
        @9    take nowhere                      => rejected queue-unknown
    ");
}

#[test]
fn what_somebody_took_is_theirs_until_an_operator_steps_in() {
    scenario(
        support(),
        "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    answer i1 clean redirect vip      => answered clean, hopped vip, out of workflows, queued vip
        @2    release i1 as ana                 => rejected state-wrong
        @3    take vip as ana                   => taken i1 from vip
        @4    release i1 as ben                 => rejected assigned-to-another
        @5    complete i1 solved as ben         => rejected assigned-to-another
        @6    release i1 as operator            => released i1
        @7    take vip as ben                   => taken i1 from vip
        @8    release i1 as ben                 => released i1
        @9    take vip as ana                   => taken i1 from vip
        @10   complete i1 solved as operator    => done solved, completed solved
    ",
    );
}

#[test]
fn waiting_too_long_leaves_by_timeout_and_a_wait_ends_by_itself() {
    scenario(
        support(),
        "
        @0      submit chat support             => submitted i1, at start, at screen by next, called screening-1
        @1      answer i1 clean                 => answered clean, at gold by clean, at general by error, queued general
        @60000  time i1                         => rejected not-due
        @60001  time i1                         => at late by timeout, waiting until 65001
        @65001  time i1                         => at vip by next, queued vip
    ",
    );
}

#[test]
fn a_late_or_doubled_answer_is_rejected() {
    scenario(
        support(),
        "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    answer i1 clean                   => answered clean, at gold by clean, at general by error, queued general
        @2    answer i1 clean                   => rejected not-awaited
        @3    submit chat support               => submitted i2, at start, at screen by next, called screening-1
        @4    cancel i2                         => cancelled
        @5    answer i2 clean                   => rejected not-awaited
    ",
    );
}

#[test]
fn a_failing_strategy_is_parked_without_a_connector_and_an_operator_resumes_it() {
    scenario(
        support(),
        "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    fail i1 trap                      => failed trap, parked strategy-failed
        @2    resume i1 nowhere                 => rejected element-unknown
        @3    resume i1                         => resumed 1, at screen, called screening-1
        @4    answer i1 spam                    => answered spam, at spam by spam, completed spam
    ",
    );
}

#[test]
fn an_interaction_that_was_resumed_may_go_round_a_loop_as_often_as_a_new_one() {
    let mut world = World::default();
    world.workflow(
        r#"{"name": "main", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "first", "kind": "queue", "queue": "a"},
            {"id": "second", "kind": "queue", "queue": "b"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "first"},
            {"from": "first", "outcome": "completed", "to": "second"},
            {"from": "second", "outcome": "completed", "to": "first"},
            {"from": "second", "outcome": "error", "to": "end"}]}"#,
    );
    let half = "
        @1  take a            => taken i1 from a
        @1  complete i1 on    => done on, data disposition=on, at second by completed, queued b
        @1  take b            => taken i1 from b";
    let round = format!("{half}\n@1 complete i1 on => done on, data disposition=on, at first by completed, queued a");
    let rounds = round.repeat(limits::VISITS_MAX as usize - 1);
    let last = "@1 complete i1 on => done on, data disposition=on, at first by completed, parked visits-exceeded";
    let table = format!(
        "
        @0  submit chat main  => submitted i1, at start, at first by next, queued a
        {rounds}{half}
        {last}
        @1  resume i1         => resumed 1, at first, queued a
        {rounds}{half}
        {last}"
    );
    scenario(world, &table);
}

#[test]
fn dear_conditions_in_a_row_park_before_they_hold_up_the_account() {
    let dear = "interaction.user_data.all(a, interaction.user_data.all(b, a != ''))";
    let ids = ["c1", "c2", "c3", "c4", "c5", "end"];
    let conditions = ids[..5].iter().map(|id| json!({"id": id, "kind": "condition", "expression": dear}));
    let elements = [json!({"id": "start", "kind": "start"}), json!({"id": "end", "kind": "end"})];
    let next = |pair: &[&str]| ["true", "false"].map(|o| json!({"from": pair[0], "outcome": o, "to": pair[1]}));
    let connectors = ids.windows(2).flat_map(next);
    let workflow = json!({
        "name": "main",
        "elements": elements.into_iter().chain(conditions).collect::<Vec<_>>(),
        "connectors": connectors.chain([json!({"from": "start", "outcome": "next", "to": "c1"})]).collect::<Vec<_>>(),
    });
    let mut world = World::default();
    world.workflow(&workflow.to_string());
    scenario(
        world,
        "
        @0    submit chat main                  => submitted i1, at start, at c1 by next, at c2 by true, at c3 by true, parked loop
        @1    resume i1                         => resumed 1, at c3, at c4 by true, at c5 by true, parked loop
        @2    resume i1                         => resumed 1, at c5, at end by true, completed completed
    ",
    );
}

#[test]
fn an_overrun_leaves_by_the_timeout_connector() {
    scenario(
        support(),
        "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    fail i1 overrun                   => failed overrun, at general by timeout, queued general
    ",
    );
}

#[test]
fn an_undeclared_outcome_and_a_bad_action_are_failures_and_nothing_of_the_decision_is_done() {
    scenario(
        support(),
        "
        @0    submit chat support                => submitted i1, at start, at screen by next, called screening-1
        @1    answer i1 pigeon                   => failed refused, parked strategy-failed
        @2    submit chat support                => submitted i2, at start, at screen by next, called screening-1
        @3    answer i2 clean attach a=b priority 1001 => failed refused, parked strategy-failed
        @4    data i2 c=d                        => data c=d
    ",
    );
}

#[test]
fn retries_come_first_and_then_the_fallback() {
    let mut world = support();
    world.bind("support", "screen", "screening-1", 2, Some("clean"));
    scenario(
        world,
        "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    fail i1 trap                      => failed trap, called screening-1 again 1
        @2    fail i1 trap                      => failed trap, called screening-1 again 2
        @3    fail i1 trap                      => failed trap, at gold by clean, at general by error, queued general
    ",
    );
}

#[test]
fn a_fallback_is_an_outcome_that_somebody_names() {
    let mut world = World::default();
    world.deploy("screening-1", &["clean", "spam"]);
    world.workflow(&SUPPORT.replace(r#""outcome": "clean""#, r#""outcome": "default""#));
    let mut code = |fallback| {
        let bound = world.try_bind("support", "screen", "screening-1", 0, Some(fallback));
        bound.map_or_else(|rejection| rejection.to_string(), |_| "bound".into())
    };
    for known in ["spam", "timeout", "default", "clean"] {
        assert_eq!(code(known), "bound", "{known}");
    }
    assert!(
        code("zzz").starts_with("on_failure.outcome: no connector leads from `screen` by `zzz`"),
        "{}",
        code("zzz")
    );
    assert!(code("error").starts_with("on_failure.outcome"), "{}", code("error"));
}

#[test]
fn a_swap_serves_the_next_call_and_leaves_those_in_flight() {
    scenario(
        support(),
        "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    bind support screen screening-2   => bound
        @2    submit chat support               => submitted i2, at start, at screen by next, called screening-2
        @3    answer i1 spam                    => answered spam, at spam by spam, completed spam
        @4    undeploy screening-1              => undeployed
        @4    undeploy screening-2              => rejected document-in-use
        @5    deploy screening-2                => rejected deployment-exists
        @5    deploy screening-1                => rejected deployment-exists
        @6    bind support gold screening-2     => rejected element-not-strategy
        @6    bind support screen nothing       => rejected deployment-unknown
        @6    bind nothing screen screening-2   => rejected workflow-unknown
    ",
    );
}

#[test]
fn an_interaction_without_its_content_is_parked_and_can_be_cancelled() {
    scenario(
        support(),
        "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @5    lose i1                           => parked content-lost
        @6    answer i1 clean                   => rejected not-awaited
        @7    lose i1                           => rejected state-wrong
        @8    cancel i1                         => cancelled
        @9    lose i1                           => rejected interaction-unknown
    ",
    );
}

#[test]
fn an_unbound_strategy_parks_until_one_is_bound() {
    let mut world = World::default();
    world.deploy("screening-1", &["clean", "spam"]);
    world.workflow(SUPPORT);
    scenario(
        world,
        "
        @0    submit chat support               => submitted i1, at start, at screen by next, parked strategy-unbound
        @1    bind support screen screening-1   => bound
        @2    resume i1                         => resumed 1, at screen, called screening-1
    ",
    );
}

#[test]
fn a_redirect_ends_the_way_through_the_workflow_and_a_forward_makes_a_copy() {
    scenario(support(), "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    answer i1 clean redirect vip      => answered clean, hopped vip, out of workflows, queued vip
        @2    take vip                          => taken i1 from vip
        @3    complete i1 solved                => done solved, completed solved
        @4    submit chat support               => submitted i2, at start, at screen by next, called screening-1
        @5    answer i2 clean forward general   => answered clean, hopped general, submitted copy, queued general, at gold by clean, at general by error, queued general
        @6    submit chat support               => submitted i3, at start, at screen by next, called screening-1
        @7    answer i3 clean redirect moon     => failed refused, parked strategy-failed
    ");
}

#[test]
fn route_to_chooses_the_queue_once() {
    scenario(support(), "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    answer i1 clean route vip         => answered clean, target vip, at gold by clean, at general by error, target none, queued vip
    ");
}

#[test]
fn one_acknowledgement_in_a_life() {
    scenario(support(), "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    answer i1 clean acknowledge acknowledge => answered clean, message acknowledgement, at gold by clean, at general by error, queued general
        @2    submit chat support               => submitted i2, at start, at screen by next, called screening-1
        @3    answer i2 clean respond respond acknowledge => answered clean, message reply, message reply, at gold by clean, at general by error, queued general
    ");
}

#[test]
fn a_webhook_that_is_down_is_tried_again_with_growing_pauses_and_then_parked() {
    let mut world = support();
    world.webhook("crm", &["interaction.cancelled"]);
    scenario(
        world,
        "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    cancel i1                         => cancelled, message interaction.cancelled
        @2    undelivered crm                   => pending crm 1002
        @3    undelivered crm                   => pending crm 4003
        @4    undelivered crm                   => pending crm 16004
        @5    delivered crm                     => delivered crm
        @6    delivered crm                     => rejected delivery-unknown
    ",
    );
}

#[test]
fn a_message_to_a_webhook_with_too_many_pending_is_parked_and_one_to_another_is_not() {
    let mut world = support();
    world.webhook("crm", &["acknowledgement"]);
    world.webhook("log", &["acknowledgement"]);
    // Numbers that no command of this test gives.
    for message in (1..limits::DELIVERIES_MAX as u64).map(|n| 1 << 60 | n) {
        let pending = Delivery { state: DeliveryState::Pending(UnixMillis(0)), attempts: 0, error: None };
        world.account.load_delivery(DeliveryKey { message, webhook: name("crm") }, pending);
    }
    scenario(world, "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    answer i1 spam acknowledge        => answered spam, message acknowledgement, at spam by spam, completed spam
        @2    submit chat support               => submitted i2, at start, at screen by next, called screening-1
        @3    answer i2 spam acknowledge        => answered spam, message acknowledgement, at spam by spam, completed spam, parked crm
        @4    delivered log                     => delivered log
        @5    delivered log                     => delivered log
        @6    delivered crm                     => delivered crm
        @7    submit chat support               => submitted i3, at start, at screen by next, called screening-1
        @8    answer i3 spam acknowledge        => answered spam, message acknowledgement, at spam by spam, completed spam
    ");
}

#[test]
fn the_oldest_parked_deliveries_make_room_and_all_go_with_their_webhook() {
    let mut world = support();
    world.webhook("crm", &["interaction.cancelled"]);
    for message in 1..=limits::PARKED_MAX as u64 {
        let parked = Delivery { state: DeliveryState::Parked, attempts: limits::ATTEMPTS_MAX, error: None };
        world.account.load_delivery(DeliveryKey { message, webhook: name("crm") }, parked);
    }
    let pending = Delivery { state: DeliveryState::Pending(UnixMillis(0)), attempts: 11, error: None };
    world.account.load_delivery(DeliveryKey { message: u64::MAX, webhook: name("crm") }, pending);
    scenario(
        world,
        "
        @0    remove webhook crm                => rejected document-in-use
        @1    undelivered crm                   => parked crm, discarded crm 1
        @2    redeliver crm                     => pending crm 2
        @3    delivered crm                     => delivered crm
    ",
    );

    let mut world = support();
    world.webhook("crm", &["interaction.cancelled"]);
    for message in [3, 4] {
        let parked = Delivery { state: DeliveryState::Parked, attempts: limits::ATTEMPTS_MAX, error: None };
        world.account.load_delivery(DeliveryKey { message, webhook: name("crm") }, parked);
    }
    scenario(
        world,
        "
        @0    remove webhook crm                => discarded crm 3, discarded crm 4, removed
        @1    redeliver crm                     => rejected delivery-unknown
    ",
    );
}

#[test]
fn what_was_parked_for_a_webhook_that_is_gone_is_not_tried_again() {
    let mut world = World::default();
    let delivery = DeliveryKey { message: 1, webhook: name("crm") };
    let parked = Delivery { state: DeliveryState::Parked, attempts: limits::ATTEMPTS_MAX, error: Some("down".into()) };
    world.account.load_delivery(delivery.clone(), parked);
    let again = Command::Redeliver { delivery, by: "test".into() };
    assert_eq!(world.try_at(again.clone(), UnixMillis(1)).unwrap_err().code(), "document-unknown");
    world.webhook("crm", &["reply"]);
    assert!(matches!(world.try_at(again, UnixMillis(1)).unwrap().as_slice(), [Event::DeliveryChanged { .. }]));
}

#[test]
fn a_version_of_a_workflow_is_kept_while_an_interaction_is_in_it() {
    scenario(
        support(),
        "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    put workflow support              => put 2
        @2    submit chat support               => submitted i2, at start, at screen by next, called screening-1
        @3    remove workflow support 1         => rejected document-in-use
        @4    answer i1 spam                    => answered spam, at spam by spam, completed spam
        @5    remove workflow support 1         => removed
        @6    remove workflow support 1         => rejected document-unknown
    ",
    );
}

#[test]
fn a_queue_stays_while_something_can_come_into_it() {
    let mut world = support();
    world.queue("spare");
    world.queue("copies");
    world.workflow(
        r#"{"name": "aside", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "copy", "kind": "forward", "to": {"queue": "copies"}},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "copy"},
            {"from": "copy", "outcome": "next", "to": "end"}]}"#,
    );
    scenario(
        world,
        "
        @0    submit chat support               => submitted i1, at start, at screen by next, called screening-1
        @1    answer i1 clean redirect spare    => answered clean, hopped spare, out of workflows, queued spare
        @2    remove queue spare                => rejected document-in-use
        @3    take spare                        => taken i1 from spare
        @4    remove queue spare                => rejected document-in-use
        @5    release i1                        => released i1
        @6    take spare                        => taken i1 from spare
        @7    complete i1 solved                => done solved, completed solved
        @8    remove queue spare                => removed
        @9    remove queue copies               => rejected document-in-use
    ",
    );
}

#[test]
fn among_as_many_workflows_as_there_may_be_each_can_still_be_changed() {
    let mut world = World::default();
    let empty = |called: &str| Workflow {
        name: name(called),
        description: String::new(),
        elements: vec![
            Element { id: name("start"), kind: ElementKind::Start },
            Element { id: name("end"), kind: ElementKind::End { disposition: None, outcome: None } },
        ],
        connectors: vec![Connector { from: name("start"), outcome: name("next"), to: name("end") }],
    };
    let workflow = |called: &str| Document::Workflow(empty(called).into(), 0);
    for n in 0..limits::DOCUMENTS_MAX {
        world.account.load_document(&workflow(&format!("w{n}")));
    }
    assert!(world.put(workflow("w7")).is_ok());
    assert_eq!(world.put(workflow("other")).unwrap_err().code(), "full");
}

#[test]
fn a_sub_workflow_comes_back_by_the_outcome_of_its_end() {
    let mut world = World::default();
    world.workflow(
        r#"{"name": "triage", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "chat", "kind": "condition", "expression": "interaction.media_type == 'chat'"},
            {"id": "quick", "kind": "end", "outcome": "quick"},
            {"id": "slow", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "chat"},
            {"from": "chat", "outcome": "true", "to": "quick"},
            {"from": "chat", "outcome": "false", "to": "slow"}]}"#,
    );
    world.workflow(
        r#"{"name": "main", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "sub", "kind": "workflow", "workflow": "triage"},
            {"id": "fast", "kind": "queue", "queue": "fast"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "sub"},
            {"from": "sub", "outcome": "quick", "to": "fast"},
            {"from": "sub", "outcome": "default", "to": "end"},
            {"from": "fast", "outcome": "completed", "to": "end"}]}"#,
    );
    scenario(world, "
        @0  submit chat main   => submitted i1, at start, at sub by next, at start, at chat by next, at quick by true, back by quick, at fast by quick, queued fast
        @1  submit email main  => submitted i2, at start, at sub by next, at start, at chat by next, at slow by false, back by completed, at end by completed, completed completed
        @2  submit email none  => rejected workflow-unknown
    ");
}

/// A workflow that goes by what two statistics say.
fn busy_desk() -> World {
    let mut world = World::default();
    world.queue("billing");
    let level = r#"{"name": "level", "object": {"kind": "queue", "name": "billing"},
        "measure": {"kind": "service-factor", "answered_within_ms": 20000}}"#;
    world.json("statistic", level).unwrap();
    world.workflow(
        r#"{"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "busy", "kind": "condition", "expression":
                "statistic('queue', 'billing', 'waiting').orValue(0.0) > 10.0 || statistic('level').orValue(100.0) < 80.0"},
            {"id": "desk", "kind": "queue", "queue": "billing"},
            {"id": "later", "kind": "end", "disposition": "later"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "busy"},
            {"from": "busy", "outcome": "true", "to": "later"},
            {"from": "busy", "outcome": "false", "to": "desk"},
            {"from": "desk", "outcome": "completed", "to": "end"}]}"#,
    );
    world
}

#[test]
fn a_condition_goes_by_statistics_and_the_record_says_what_it_was_told() {
    scenario(
        busy_desk(),
        "
        @0  submit chat w  => submitted i1, at start, at busy by next, read `level` is unknown, read `waiting` of the queue `billing` is unknown, at desk by false, queued billing
    ",
    );
    let mut world = busy_desk();
    world.figures.0.insert("`level`".into(), 79.5);
    scenario(
        world,
        "
        @0  submit chat w  => submitted i1, at start, at busy by next, read `level` is 79.5, read `waiting` of the queue `billing` is unknown, at later by true, completed later
    ",
    );
    let mut world = busy_desk();
    world.figures.0.insert("`waiting` of the queue `billing`".into(), 11.0);
    scenario(
        world,
        "
        @0  submit chat w           => submitted i1, at start, at busy by next, read `level` is unknown, read `waiting` of the queue `billing` is 11, at later by true, completed later
        @1  remove statistic level  => rejected document-in-use
    ",
    );
}

#[test]
fn a_statistic_that_is_not_there_is_found_when_the_workflow_is_put() {
    let mut world = busy_desk();
    world.deploy("screen-1", &["clean"]);
    let distribution = r#"{"name": "spread", "object": {"kind": "queue", "name": "billing"},
        "measure": {"kind": "distribution", "of": "wait", "bounds_ms": [1000]}}"#;
    world.json("statistic", distribution).unwrap();
    let table = [
        ("statistic('level')", ""),
        ("statistic('queue', 'billing', 'level')", ""),
        ("statistic('queue', 'own', 'estimated-wait')", ""),
        ("statistic('workflow', 'v', 'submitted')", ""),
        ("statistic('media-type', 'fax', 'submitted')", ""),
        ("statistic('strategy', 'screen-1', 'call-time')", ""),
        ("statistic('levle')", "there is no statistic `levle`: define it first"),
        ("statistic('spread')", "`spread` is a distribution"),
        ("statistic('queue', 'biling', 'waiting')", "there is no queue `biling`"),
        ("statistic('queue', 'billing', 'weighting')", "there is no statistic `weighting` of the queue `billing`"),
        ("statistic('queue', 'own', 'level')", "there is no statistic `level` of the queue `own`"),
        ("statistic('agent', 'ann', 'level')", "there is no agent `ann`"),
        ("statistic('agent-group', 'team', 'level')", "there is no agent group `team`"),
        ("statistic('place', 'p1', 'level')", "there is no place `p1`"),
        ("statistic('workflow', 'other', 'submitted')", "there is no workflow `other`"),
        ("statistic('strategy', 'screen-2', 'calls')", "there is no strategy `screen-2`"),
    ];
    for (asked, wanted) in table {
        let json = format!(
            r#"{{"name": "v", "elements": [
                {{"id": "start", "kind": "start"}},
                {{"id": "busy", "kind": "condition", "expression": "{asked}.orValue(0.0) > 1.0"}},
                {{"id": "desk", "kind": "queue", "queue": "own"}},
                {{"id": "end", "kind": "end"}}],
            "connectors": [
                {{"from": "start", "outcome": "next", "to": "busy"}},
                {{"from": "busy", "outcome": "true", "to": "end"}},
                {{"from": "busy", "outcome": "false", "to": "desk"}},
                {{"from": "desk", "outcome": "completed", "to": "end"}}]}}"#
        );
        let workflow = serde_json::from_str(&json).unwrap();
        let faults = signalbox_engine::validate(&workflow, world.account.configuration());
        match faults.as_slice() {
            [] => assert_eq!(wanted, "", "{asked}"),
            [fault] => {
                assert_eq!((fault.code, wanted.is_empty()), ("statistic-unknown", false), "{asked}: {fault:?}");
                assert!(fault.message.contains(wanted), "{asked}: {}", fault.message);
            }
            more => panic!("{asked}: {more:?}"),
        }
    }
    let filter = r#"{"name": "again", "object": {"kind": "account"}, "measure": {"kind": "number", "of": "submitted"},
        "filter": {"condition": "statistic('level').hasValue()"}}"#;
    let refused = world.json("statistic", filter).unwrap_err();
    assert!(refused.to_string().starts_with("filter.condition: a filter looks at the interaction alone"), "{refused}");
}
