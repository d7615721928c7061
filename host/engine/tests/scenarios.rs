//! The engine's rules as tables: a command a line, with what it must lead to.
//!
//! `@MS COMMAND => EVENT, EVENT …` or `=> rejected CODE`. Interactions are called i1, i2, … in the order of their submits.

#![allow(clippy::unwrap_used)]

mod world;

use world::{World, scenario};

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
        @6    bind support gold screening-2     => rejected element-not-strategy
        @6    bind support screen nothing       => rejected deployment-unknown
        @6    bind nothing screen screening-2   => rejected workflow-unknown
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
        @2    undelivered crm                   => pending 1002
        @3    undelivered crm                   => pending 4003
        @4    undelivered crm                   => pending 16004
        @5    delivered crm                     => delivered
        @6    delivered crm                     => rejected delivery-unknown
    ",
    );
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
