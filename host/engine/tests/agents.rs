//! What agents see of the engine: tables of commands and the events that follow, matching included.

#![allow(clippy::unwrap_used)]

mod world;

use signalbox_engine::{Account, AgentAction, Command, UnixMillis};
use world::{World, id, name, scenario, submission};

/// Two agents in a group, a queue for it, and a workflow that leads there.
fn desk(queue: &str) -> World {
    let mut world = World::default();
    for skill in ["english", "billing"] {
        world.json("skill", &format!(r#"{{"name": "{skill}"}}"#)).unwrap();
    }
    world.json("place", r#"{"name": "p1"}"#).unwrap();
    for (agent, english) in [("ann", 8), ("bob", 3)] {
        world.json("agent", &format!(r#"{{"name": "{agent}", "skills": {{"english": {english}}}}}"#)).unwrap();
    }
    world.json("agent-group", r#"{"name": "team", "agents": ["ann", "bob"]}"#).unwrap();
    let queue = format!(r#"{{"name": "desk", "target": {{"agent-group": "team"}}{queue}}}"#);
    world.json("queue", &queue).unwrap();
    world.queue("other");
    world.workflow(
        r#"{"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "desk", "kind": "queue", "queue": "desk"},
            {"id": "aside", "kind": "end", "disposition": "aside"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "desk"},
            {"from": "desk", "outcome": "completed", "to": "end"},
            {"from": "desk", "outcome": "declined-by-all", "to": "aside"}]}"#,
    );
    world
}

/// The same without a way on for what all have declined.
fn plain(queue: &str) -> World {
    let mut world = desk(queue);
    world.workflow(
        r#"{"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "desk", "kind": "queue", "queue": "desk"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "desk"},
            {"from": "desk", "outcome": "completed", "to": "end"}]}"#,
    );
    world
}

#[test]
fn work_goes_to_whoever_is_ready_longest_idle_first() {
    scenario(
        plain(""),
        "
        @0    submit chat w          => submitted i1, at start, at desk by next, queued desk
        @1    login ann              => ann in
        @2    login bob              => bob in
        @3    ready bob              => bob ready, offered i1 to bob
        @4    accept bob i1          => accepted i1 by bob, assigned i1 to bob
        @5    ready ann              => ann ready
        @6    submit chat w          => submitted i2, at start, at desk by next, queued desk, offered i2 to ann
        @7    complete i1 solved as bob => done solved, data disposition=solved, at end by completed, completed solved
        @8    decline ann i2         => declined i2 by ann, ann rests 1008, offered i2 to bob
        @9    accept bob i2          => accepted i2 by bob, assigned i2 to bob
        @10   complete i2 solved as ann => rejected assigned-to-another
        @11   complete i2 solved as operator => done solved, data disposition=solved, at end by completed, completed solved
    ",
    );
}

#[test]
fn an_offer_ends_in_one_way_and_a_late_answer_is_refused() {
    scenario(
        plain(""),
        "
        @0      login ann            => ann in
        @0      ready ann            => ann ready
        @0      submit chat w        => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @19999  time i1              => rejected not-due
        @20000  accept ann i1        => rejected offer-ended
        @20000  time i1              => expired i1 by ann, ann rests 21000, ann not-ready no-answer
        @20001  accept ann i1        => rejected offer-ended
        @20002  ready ann            => ann ready
        @21000  agent-time ann       => ann rested, offered i1 to ann
        @21003  cancel i1            => customer-gone i1 by ann, cancelled
        @21004  submit chat w        => submitted i2, at start, at desk by next, queued desk, offered i2 to ann
        @21005  not-ready ann lunch  => revoked i2 from ann not-ready, ann rests 22005, ann not-ready lunch
        @21006  ready ann            => ann ready
        @22005  agent-time ann       => ann rested, offered i2 to ann
        @22007  close i2             => customer-gone i2 by ann, abandoned i2
        @22008  accept ann i2        => rejected offer-ended
    ",
    );
}

#[test]
fn several_are_asked_at_once_and_the_first_gets_it() {
    scenario(
        plain(r#", "offers_max": 2"#),
        "
        @0   login ann               => ann in
        @0   login bob               => bob in
        @1   ready ann               => ann ready
        @2   ready bob               => bob ready
        @3   submit chat w           => submitted i1, at start, at desk by next, queued desk, offered i1 to ann, offered i1 to bob
        @4   accept bob i1           => revoked i1 from ann accepted-by-another, accepted i1 by bob, assigned i1 to bob
        @5   accept ann i1           => rejected offer-ended
    ",
    );
    scenario(
        plain(r#", "offers_max": 2"#),
        "
        @0   login ann               => ann in
        @0   login bob               => bob in
        @1   ready ann               => ann ready
        @2   submit chat w           => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3   submit chat w           => submitted i2, at start, at desk by next, queued desk
        @4   ready bob               => bob ready, offered i1 to bob
        @5   accept bob i1           => revoked i1 from ann accepted-by-another, accepted i1 by bob, assigned i1 to bob, offered i2 to ann
    ",
    );
}

#[test]
fn of_several_who_can_take_it_all_at_once_the_longest_idle_gets_it() {
    scenario(
        plain(""),
        "
        @0   group team none         => bound
        @1   login bob               => bob in
        @2   login ann               => ann in
        @3   ready ann               => ann ready
        @4   ready bob               => bob ready
        @5   submit chat w           => submitted i1, at start, at desk by next, queued desk
        @6   group team ann+bob      => bound, offered i1 to bob
    ",
    );
}

#[test]
fn those_that_age_do_not_fall_behind_those_that_came_when_nothing_aged_any_more() {
    scenario(
        plain(r#", "ageing_per_minute": 10"#),
        "
        @60000   submit chat w       => submitted i1, at start, at desk by next, queued desk
        @60001   submit chat w       => submitted i2, at start, at desk by next, queued desk
        @120000  ageing desk 0       => bound
        @120001  submit chat w       => submitted i3, at start, at desk by next, queued desk
        @180000  login ann           => ann in
        @180001  ready ann           => ann ready, offered i1 to ann
        @180002  take desk           => taken i2 from desk
        @180003  take desk           => taken i3 from desk
    ",
    );
    let mut world = plain("");
    world.deploy("rank-1", &["go"]);
    world.workflow(
        r#"{"name": "ranked", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "rank", "kind": "strategy"},
            {"id": "desk", "kind": "queue", "queue": "desk"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "rank"},
            {"from": "rank", "outcome": "go", "to": "desk"},
            {"from": "desk", "outcome": "completed", "to": "end"}]}"#,
    );
    world.bind("ranked", "rank", "rank-1", 0, None);
    scenario(
        world,
        "
        @60000   submit chat w               => submitted i1, at start, at desk by next, queued desk
        @120000  ageing desk 10              => bound
        @180000  submit chat w               => submitted i2, at start, at desk by next, queued desk
        @180000  submit chat ranked          => submitted i3, at start, at rank by next, called rank-1
        @180000  answer i3 go priority 1000  => answered go, priority 1000, at desk by go, queued desk
        @180001  take desk                   => taken i3 from desk
        @180002  take desk                   => taken i1 from desk
        @180003  take desk                   => taken i2 from desk
        @180004  release i1                  => released i1
        @240000  ageing desk 0               => bound
        @240001  submit chat ranked          => submitted i4, at start, at rank by next, called rank-1
        @240001  answer i4 go priority 5     => answered go, priority 5, at desk by go, queued desk
        @240002  take desk                   => taken i4 from desk
    ",
    );
}

#[test]
fn what_everybody_declined_goes_on_by_its_connector_or_waits_for_somebody_new() {
    scenario(
        desk(""),
        "
        @0   login ann               => ann in
        @0   login bob               => bob in
        @1   ready ann               => ann ready
        @2   ready bob               => bob ready
        @3   submit chat w           => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @4   decline ann i1          => declined i1 by ann, ann rests 1004, offered i1 to bob
        @5   decline bob i1          => declined i1 by bob, bob rests 1005, at aside by declined-by-all, completed aside
    ",
    );
    scenario(
        plain(""),
        "
        @0     login ann             => ann in
        @1     ready ann             => ann ready
        @3     submit chat w         => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @4     decline ann i1        => declined i1 by ann, ann rests 1004
        @1004  agent-time ann        => ann rested
        @1005  submit chat w         => submitted i2, at start, at desk by next, queued desk, offered i2 to ann
        @1006  accept ann i2         => accepted i2 by ann, assigned i2 to ann
        @1007  complete i2 ok as ann => done ok, data disposition=ok, at end by completed, completed ok
        @1008  ready ann             =>
        @1009  not-ready ann tea     => ann not-ready tea
        @1010  ready ann             => ann ready, offered i1 to ann
    ",
    );
}

#[test]
fn priority_then_ageing_then_age_decide_who_is_next() {
    let mut world = plain(r#", "ageing_per_minute": 10"#);
    world.deploy("rank-1", &["go"]);
    world.workflow(
        r#"{"name": "ranked", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "rank", "kind": "strategy"},
            {"id": "desk", "kind": "queue", "queue": "desk"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "rank"},
            {"from": "rank", "outcome": "go", "to": "desk"},
            {"from": "desk", "outcome": "completed", "to": "end"}]}"#,
    );
    world.bind("ranked", "rank", "rank-1", 0, None);
    scenario(
        world,
        "
        @0       submit chat w             => submitted i1, at start, at desk by next, queued desk
        @1       submit chat w             => submitted i2, at start, at desk by next, queued desk
        @60000   submit chat ranked        => submitted i3, at start, at rank by next, called rank-1
        @60000   answer i3 go priority 15  => answered go, priority 15, at desk by go, queued desk
        @120000  submit chat ranked        => submitted i4, at start, at rank by next, called rank-1
        @120000  answer i4 go priority 15  => answered go, priority 15, at desk by go, queued desk
        @120000  login ann                 => ann in
        @120000  ready ann                 => ann ready, offered i3 to ann
        @120001  accept ann i3             => accepted i3 by ann, assigned i3 to ann
        @120002  complete i3 ok as ann     => done ok, data disposition=ok, at end by completed, completed ok, offered i1 to ann
        @120003  accept ann i1             => accepted i1 by ann, assigned i1 to ann
        @120004  complete i1 ok as ann     => done ok, data disposition=ok, at end by completed, completed ok, offered i2 to ann
        @120005  accept ann i2             => accepted i2 by ann, assigned i2 to ann
        @120006  complete i2 ok as ann     => done ok, data disposition=ok, at end by completed, completed ok, offered i4 to ann
    ",
    );
}

#[test]
fn capacity_is_kept_by_medium_and_a_workbin_takes_none_of_it() {
    let mut world = plain("");
    world.json("agent", r#"{"name": "ann", "capacity": "1 voice or 2 chat + 1 email"}"#).unwrap();
    scenario(
        world,
        "
        @0   login ann               => ann in
        @1   ready ann               => ann ready
        @2   submit chat w           => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3   submit chat w           => submitted i2, at start, at desk by next, queued desk, offered i2 to ann
        @4   submit chat w           => submitted i3, at start, at desk by next, queued desk
        @5   submit email w          => submitted i4, at start, at desk by next, queued desk, offered i4 to ann
        @6   submit voice w          => submitted i5, at start, at desk by next, queued desk
        @7   accept ann i1           => accepted i1 by ann, assigned i1 to ann
        @8   accept ann i2           => accepted i2 by ann, assigned i2 to ann
        @9   accept ann i4           => accepted i4 by ann, assigned i4 to ann
        @10  workbin i1 as ann       => workbin i1, offered i3 to ann
        @11  accept ann i3           => accepted i3 by ann, assigned i3 to ann
        @12  retrieve i1 as ann      => rejected capacity-exceeded
        @13  complete i2 ok as ann   => done ok, data disposition=ok, at end by completed, completed ok
        @14  retrieve i1 as ann      => active i1
        @15  hold i1 as ann          => held i1
        @16  hold i1 as bob          => rejected assigned-to-another
    ",
    );
}

#[test]
fn after_this_one_means_after_all_of_it() {
    scenario(
        plain(r#", "wrap_up_ms": 1000"#),
        "
        @0     login ann                   => ann in
        @1     ready ann                   => ann ready
        @2     submit chat w               => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3     accept ann i1               => accepted i1 by ann, assigned i1 to ann
        @4     not-ready ann lunch after   => ann will be not-ready
        @5     submit chat w               => submitted i2, at start, at desk by next, queued desk
        @6     complete i1 ok as ann       => wrap-up i1
        @7     wrapped i1 as bob           => rejected assigned-to-another
        @8     wrapped i1 as ann           => done ok, data disposition=ok, at end by completed, completed ok, ann not-ready lunch
        @9     ready ann                   => ann ready, offered i2 to ann
        @10    accept ann i2               => accepted i2 by ann, assigned i2 to ann
        @11    logout ann                  => rejected agent-busy
        @12    logout ann after            => ann will log out
        @13    complete i2 ok as ann       => wrap-up i2
        @1013  time i2                     => done ok, data disposition=ok, at end by completed, completed ok, ann out pending
        @1014  ready ann                   => rejected agent-logged-out
    ",
    );
}

#[test]
fn whoever_loses_the_connection_loses_offers_first_and_work_later() {
    scenario(
        plain(""),
        "
        @0       login ann connected   => ann in
        @1       ready ann             => ann ready
        @2       submit chat w         => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3       accept ann i1         => accepted i1 by ann, assigned i1 to ann
        @4       disconnect ann        => ann lost
        @5       connect ann           => ann connected
        @10      disconnect ann        => ann lost
        @11      agent-time ann        => rejected not-due
        @10010   agent-time ann        => ann not-ready connection-lost
        @310009  agent-time ann        => rejected not-due
        @310010  agent-time ann        => released i1, ann rests 311010, ann connected
        @310011  login bob             => bob in
        @310012  ready bob             => bob ready, offered i1 to bob
    ",
    );
    scenario(
        plain(""),
        "
        @0       login ann connected   => ann in
        @1       ready ann             => ann ready
        @2       submit chat w         => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3       disconnect ann        => ann lost
        @4       submit chat w         => submitted i2, at start, at desk by next, queued desk
        @10003   agent-time ann        => delivery-failed i1 by ann, ann rests 11003, ann not-ready connection-lost
        @10004   ready ann             => rejected agent-unreachable
    ",
    );
}

#[test]
fn a_transfer_is_accepted_declined_or_timed_out() {
    scenario(
        plain(""),
        "
        @0      login ann                   => ann in
        @1      ready ann                   => ann ready
        @2      submit chat w               => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3      accept ann i1               => accepted i1 by ann, assigned i1 to ann
        @4      transfer i1 agent bob as ann => rejected nobody-available
        @5      login bob                   => bob in
        @6      ready bob                   => bob ready
        @7      transfer i1 agent bob as ann => transfer of i1 began, offered i1 to bob
        @8      transfer i1 agent bob as ann => rejected state-wrong
        @9      decline bob i1              => declined i1 by bob, bob rests 1009, transfer of i1 failed
        @1009   agent-time bob              => bob rested
        @1010   transfer i1 group team as ann => transfer of i1 began, offered i1 to bob
        @21010  time i1                     => expired i1 by bob, bob rests 22010, bob not-ready no-answer, transfer of i1 failed
        @21011  ready bob                   => bob ready
        @21012  transfer i1 agent bob as ann => rejected nobody-available
        @22010  agent-time bob              => bob rested
        @22012  transfer i1 agent bob as ann => transfer of i1 began, offered i1 to bob
        @22013  accept bob i1               => accepted i1 by bob, assigned i1 to bob
        @22014  complete i1 ok as ann       => rejected assigned-to-another
        @22015  transfer i1 queue other as bob => moved i1 to other, queued other, bob rests 23015
        @22016  take other                  => taken i1 from other
    ",
    );
}

/// Ann has it, and bob, cid and dan, who are ready, are in a group with her.
fn team_of_four() -> World {
    let mut world = plain("");
    for agent in ["cid", "dan"] {
        world.json("agent", &format!(r#"{{"name": "{agent}"}}"#)).unwrap();
    }
    world.json("agent-group", r#"{"name": "team", "agents": ["ann", "bob", "cid", "dan"]}"#).unwrap();
    for (at, agent) in ["ann", "bob", "cid", "dan"].into_iter().enumerate() {
        world.at(at as u64, &format!("login {agent}"));
    }
    world.at(4, "ready ann");
    world.at(5, "submit chat w");
    world.at(6, "accept ann i1");
    for agent in ["bob", "cid", "dan"] {
        world.at(7, &format!("ready {agent}"));
    }
    world
}

#[test]
fn a_transfer_to_a_group_asks_one_after_the_other() {
    scenario(
        team_of_four(),
        "
        @10     transfer i1 group team as ann => transfer of i1 began, offered i1 to bob
        @11     decline bob i1                => declined i1 by bob, bob rests 1011, offered i1 to cid
        @12     transfer i1 agent dan as ann  => rejected state-wrong
        @1011   agent-time bob                => bob rested
        @20011  time i1                       => expired i1 by cid, cid rests 21011, cid not-ready no-answer, offered i1 to dan
        @20012  accept cid i1                 => rejected offer-ended
        @20013  accept dan i1                 => accepted i1 by dan, assigned i1 to dan
        @20014  complete i1 ok as ann         => rejected assigned-to-another
    ",
    );
}

#[test]
fn a_transfer_fails_once_nobody_is_left_and_the_work_stays_where_it_was() {
    scenario(
        team_of_four(),
        "
        @10     transfer i1 group team as ann => transfer of i1 began, offered i1 to bob
        @11     not-ready bob tea             => revoked i1 from bob not-ready, bob rests 1011, bob not-ready tea, offered i1 to cid
        @12     ready bob                     => bob ready
        @13     logout dan                    => dan out requested
        @14     decline cid i1                => declined i1 by cid, cid rests 1014, transfer of i1 failed
        @15     transfer i1 group team as ann => rejected nobody-available
        @1011   agent-time bob                => bob rested
        @1012   transfer i1 group team as ann => transfer of i1 began, offered i1 to bob
        @1013   complete i1 ok as ann         => revoked i1 from bob transfer-ended, done ok, data disposition=ok, at end by completed, completed ok
    ",
    );
}

#[test]
fn a_transfer_does_not_go_on_for_ever() {
    let mut world = team_of_four();
    let desk = r#"{"name": "desk", "target": {"agent-group": "team"}, "offer_timeout_ms": 40000}"#;
    world.json("queue", desk).unwrap();
    scenario(
        world,
        "
        @10     transfer i1 group team as ann => transfer of i1 began, offered i1 to bob
        @40010  time i1                       => expired i1 by bob, bob rests 41010, bob not-ready no-answer, offered i1 to cid
        @80010  time i1                       => expired i1 by cid, cid rests 81010, cid not-ready no-answer, transfer of i1 failed
    ",
    );
}

#[test]
fn an_agent_who_is_removed_leaves_nothing_behind() {
    scenario(
        plain(""),
        "
        @0   group team bob        => bound
        @1   login ann             => ann in
        @2   ready ann             => ann ready
        @3   submit chat w         => submitted i1, at start, at desk by next, queued desk
        @4   assign i1 ann         => assigned i1 to ann
        @5   remove agent ann      => ann out removed, released i1, removed
        @6   login ann             => rejected agent-unknown
        @7   login bob             => bob in
        @8   ready bob             => bob ready, offered i1 to bob
        @9   remove agent bob      => rejected document-in-use
        @10  accept bob i1         => accepted i1 by bob, assigned i1 to bob
        @11  group team none       => bound
        @12  remove skill english  => rejected document-in-use
    ",
    );
}

#[test]
fn who_may_get_it_widens_with_the_wait() {
    let element = r#", "timeout_ms": 60000, "target": {"skills": "english >= 9"},
        "relaxations": [{"after_ms": 10000, "target": {"skills": "english >= 5"}},
                        {"after_ms": 30000, "target": {"agent-group": "team"}}]"#;
    let mut world = desk("");
    world.workflow(&format!(
        r#"{{"name": "w", "elements": [
            {{"id": "start", "kind": "start"}},
            {{"id": "desk", "kind": "queue", "queue": "desk"{element}}},
            {{"id": "late", "kind": "end", "disposition": "late"}},
            {{"id": "end", "kind": "end"}}],
        "connectors": [
            {{"from": "start", "outcome": "next", "to": "desk"}},
            {{"from": "desk", "outcome": "timeout", "to": "late"}},
            {{"from": "desk", "outcome": "completed", "to": "end"}}]}}"#
    ));
    scenario(
        world,
        "
        @0      login ann        => ann in
        @0      ready ann        => ann ready
        @0      login bob        => bob in
        @0      ready bob        => bob ready
        @0      submit chat w    => submitted i1, at start, at desk by next, queued desk
        @9999   time i1          => rejected not-due
        @10000  time i1          => relaxed i1 1, offered i1 to ann
        @10001  decline ann i1   => declined i1 by ann, ann rests 11001
        @30000  time i1          => relaxed i1 2, offered i1 to bob
        @30001  decline bob i1   => declined i1 by bob, bob rests 31001
        @60000  time i1          => at late by timeout, completed late
        @60000  submit chat w    => submitted i2, at start, at desk by next, queued desk
        @95000  time i2          => relaxed i2 2
    ",
    );
}

#[test]
fn a_queue_is_left_at_once_where_waiting_is_no_use() {
    let workflow = r#"{"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "desk", "kind": "queue", "queue": "desk", "overflow_length": 2, "leave_without_agents": true},
            {"id": "full", "kind": "end", "disposition": "full"},
            {"id": "nobody", "kind": "end", "disposition": "nobody"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "desk"},
            {"from": "desk", "outcome": "overflow", "to": "full"},
            {"from": "desk", "outcome": "no-agents", "to": "nobody"},
            {"from": "desk", "outcome": "completed", "to": "end"}]}"#;
    let mut world = desk("");
    world.workflow(workflow);
    scenario(
        world,
        "
        @0  submit chat w          => submitted i1, at start, at desk by next, at nobody by no-agents, completed nobody
        @1  login ann media=email  => ann in
        @2  submit chat w          => submitted i2, at start, at desk by next, at nobody by no-agents, completed nobody
        @3  login bob              => bob in
        @4  submit chat w          => submitted i3, at start, at desk by next, queued desk
        @5  submit chat w          => submitted i4, at start, at desk by next, queued desk
        @6  submit chat w          => submitted i5, at start, at desk by next, at full by overflow, completed full
    ",
    );
}

#[test]
fn what_is_meant_for_later_is_scheduled_and_a_callback_keeps_its_clock() {
    scenario(
        plain(""),
        "
        @0     submit callback w at 5000  => submitted i1, scheduled i1 5000
        @10    submit chat w              => submitted i2, at start, at desk by next, queued desk
        @4999  time i1                    => rejected not-due
        @5000  time i1                    => began i1, at start, at desk by next, queued desk
        @5001  login ann                  => ann in
        @5002  ready ann                  => ann ready, offered i1 to ann
        @5003  submit callback w at 6000  => submitted i3, scheduled i3 6000
        @5004  close i3                   => abandoned i3
    ",
    );
}

#[test]
fn an_agent_who_does_nothing_loses_it_and_a_word_is_something() {
    scenario(
        plain(r#", "inactivity_ms": 5000"#),
        "
        @0     login ann             => ann in
        @1     ready ann             => ann ready
        @2     submit chat w         => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3     say i1 hello as ann   => rejected state-wrong
        @4     accept ann i1         => accepted i1 by ann, assigned i1 to ann
        @4000  say i1 hello as ann   => active i1, said hello
        @5004  time i1               => rejected not-due
        @9000  time i1               => released i1, ann rests 10000
        @9001  say i1 customer hm    => said hm
        @10000 agent-time ann        => ann rested, offered i1 to ann
        @10002 accept ann i1         => accepted i1 by ann, assigned i1 to ann
        @10003 close i1              => closed i1 left, done closed-by-customer, data disposition=closed-by-customer, at end by completed, completed closed-by-customer
    ",
    );
}

#[test]
fn a_second_login_does_what_the_account_says() {
    let mut world = plain("");
    world.json("rules", r#"{"second_login": "replace", "reasons": ["lunch"], "dispositions": ["ok"]}"#).unwrap();
    scenario(
        world,
        "
        @0   login ann at p1         => ann in
        @1   ready ann               => ann ready
        @2   submit chat w           => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3   login ann               => revoked i1 from ann logged-out, ann rests 1003, ann out replaced, ann in
        @4   login ann at nowhere    => rejected place-unknown
        @5   not-ready ann tea       => rejected reason-unknown
        @6   ready ann               => ann ready
        @1003  agent-time ann        => ann rested, offered i1 to ann
        @1007  accept ann i1         => accepted i1 by ann, assigned i1 to ann
        @1008  complete i1 nice as ann => rejected disposition-unknown
        @1009  complete i1 ok as ann => done ok, data disposition=ok, at end by completed, completed ok
        @1010  ready nobody          => rejected agent-unknown
    ",
    );
}

#[test]
fn a_second_login_over_plain_http_leaves_an_open_session_as_it_is() {
    let mut world = plain("");
    world.json("rules", r#"{"second_login": "allow"}"#).unwrap();
    scenario(
        world,
        "
        @0      login ann connected   => ann in
        @1      login ann             => ann connected
        @2      ready ann             => ann ready
        @3      disconnect ann        => ann lost
        @10003  agent-time ann        => ann not-ready connection-lost
    ",
    );
}

#[test]
fn the_wish_to_log_out_after_this_one_outlives_an_offer_that_expires() {
    let mut world = plain("");
    world.json("agent", r#"{"name": "ann", "capacity": "2 any"}"#).unwrap();
    scenario(
        world,
        "
        @0      login ann             => ann in
        @1      ready ann             => ann ready
        @2      submit chat w         => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3      accept ann i1         => accepted i1 by ann, assigned i1 to ann
        @4      submit chat w         => submitted i2, at start, at desk by next, queued desk, offered i2 to ann
        @5      logout ann after      => ann will log out
        @20004  time i2               => expired i2 by ann, ann rests 21004, ann not-ready no-answer, ann will log out
        @20005  complete i1 ok as ann => done ok, data disposition=ok, at end by completed, completed ok, ann out pending
    ",
    );
}

#[test]
fn what_is_moved_still_wants_its_skills_and_its_last_agent() {
    let mut world = plain(r#", "offers_max": 1"#);
    world.json("queue", r#"{"name": "other", "target": "last-agent"}"#).unwrap();
    world.deploy("able-1", &["go"]);
    world.workflow(
        r#"{"name": "by-hand", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "able", "kind": "strategy"},
            {"id": "hand", "kind": "queue", "queue": "hand"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "able"},
            {"from": "able", "outcome": "go", "to": "hand"},
            {"from": "hand", "outcome": "completed", "to": "end"}]}"#,
    );
    world.bind("by-hand", "able", "able-1", 0, None);
    scenario(
        world,
        "
        @0   login ann                      => ann in
        @1   login bob                      => bob in
        @2   ready bob                      => bob ready
        @3   submit chat by-hand            => submitted i1, at start, at able by next, called able-1
        @4   answer i1 go require english 5 => answered go, skill english 5, at hand by go, queued hand
        @5   move i1 desk                   => moved i1 to desk, queued desk
        @6   ready ann                      => ann ready, offered i1 to ann
        @7   submit-last ann chat w         => submitted i2, at start, at desk by next, queued desk, offered i2 to bob
        @8   decline bob i2                 => declined i2 by bob, bob rests 1008
        @9   accept ann i1                  => accepted i1 by ann, assigned i1 to ann
        @10  complete i1 ok as ann          => done ok, data disposition=ok, at end by completed, completed ok, offered i2 to ann
        @11  not-ready ann tea              => revoked i2 from ann not-ready, ann rests 1011, ann not-ready tea
        @12  move i2 other                  => moved i2 to other, queued other
        @13  agent-time bob                 => rejected not-due
        @15  ready ann                      => ann ready
        @1011  agent-time bob               => bob rested
        @1011  agent-time ann               => ann rested, offered i2 to ann
    ",
    );
}

#[test]
fn a_customer_who_goes_during_a_transfer_ends_the_offer() {
    scenario(
        plain(r#", "inactivity_ms": 5000"#),
        "
        @0     login ann                    => ann in
        @0     login bob                    => bob in
        @1     ready ann                    => ann ready
        @2     submit chat w                => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3     accept ann i1                => accepted i1 by ann, assigned i1 to ann
        @4     ready bob                    => bob ready
        @2000  transfer i1 agent bob as ann => active i1, transfer of i1 began, offered i1 to bob
        @5003  time i1                      => rejected not-due
        @5004  close i1                     => closed i1 left, customer-gone i1 by bob, done closed-by-customer, data disposition=closed-by-customer, at end by completed, completed closed-by-customer
        @5005  assign i1 nobody             => rejected agent-unknown
    ",
    );
}

#[test]
fn what_was_taken_by_hand_is_not_lost_by_inactivity() {
    scenario(
        plain(r#", "inactivity_ms": 5000"#),
        "
        @0     submit chat w         => submitted i1, at start, at desk by next, queued desk
        @1     take desk             => taken i1 from desk
        @2     hold i1               => held i1
        @9000  time i1               => rejected not-due
    ",
    );
}

#[test]
fn what_goes_on_waiting_in_its_queue_is_not_in_its_own_way() {
    let mut world = desk("");
    world.workflow(
        r#"{"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "desk", "kind": "queue", "queue": "desk", "timeout_ms": 1000},
            {"id": "again", "kind": "queue", "queue": "desk", "overflow_length": 1},
            {"id": "full", "kind": "end", "disposition": "full"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "desk"},
            {"from": "desk", "outcome": "timeout", "to": "again"},
            {"from": "desk", "outcome": "completed", "to": "end"},
            {"from": "again", "outcome": "overflow", "to": "full"},
            {"from": "again", "outcome": "completed", "to": "end"}]}"#,
    );
    scenario(
        world,
        "
        @0     submit chat w         => submitted i1, at start, at desk by next, queued desk
        @1     submit chat w         => submitted i2, at start, at desk by next, queued desk
        @2     take desk             => taken i1 from desk
        @1001  time i2               => at again by timeout, queued desk
        @1002  release i1            => released i1
        @1999  time i1               => rejected not-due
        @2000  time i1               => at again by timeout, at full by overflow, completed full
    ",
    );
}

#[test]
fn the_time_in_which_somebody_has_it_counts_towards_no_deadline() {
    let element = r#", "timeout_ms": 60000, "relaxations": [{"after_ms": 20000, "target": {"agent": "bob"}},
        {"after_ms": 30000, "target": {"agent-group": "team"}}]"#;
    let mut world = desk(r#", "inactivity_ms": 300000"#);
    world.workflow(&format!(
        r#"{{"name": "w", "elements": [
            {{"id": "start", "kind": "start"}},
            {{"id": "desk", "kind": "queue", "queue": "desk"{element}}},
            {{"id": "late", "kind": "end", "disposition": "late"}},
            {{"id": "end", "kind": "end"}}],
        "connectors": [
            {{"from": "start", "outcome": "next", "to": "desk"}},
            {{"from": "desk", "outcome": "timeout", "to": "late"}},
            {{"from": "desk", "outcome": "completed", "to": "end"}}]}}"#
    ));
    scenario(
        world,
        "
        @0       submit chat w          => submitted i1, at start, at desk by next, queued desk
        @10000   take desk              => taken i1 from desk
        @110000  login ann              => ann in
        @110000  assign i1 ann          => assigned i1 to ann
        @310000  release i1 as operator => released i1, ann rests 311000
        @319999  time i1                => rejected not-due
        @320000  time i1                => relaxed i1 1
        @329999  time i1                => rejected not-due
        @330000  time i1                => relaxed i1 2
        @340000  take desk              => taken i1 from desk
        @350000  release i1             => released i1
        @369999  time i1                => rejected not-due
        @370000  time i1                => at late by timeout, completed late
    ",
    );
}

#[test]
fn what_is_moved_takes_no_deadline_along() {
    let mut world = plain("");
    world.workflow(
        r#"{"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "desk", "kind": "queue", "queue": "desk", "timeout_ms": 1000},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "desk"},
            {"from": "desk", "outcome": "timeout", "to": "end"},
            {"from": "desk", "outcome": "completed", "to": "end"}]}"#,
    );
    scenario(
        world,
        "
        @0     submit chat w                => submitted i1, at start, at desk by next, queued desk
        @1     take desk                    => taken i1 from desk
        @5000  transfer i1 queue other      => moved i1 to other, queued other
        @6000  time i1                      => rejected not-due
        @7000  submit chat w                => submitted i2, at start, at desk by next, queued desk
        @7500  move i2 other                => moved i2 to other, queued other
        @9000  time i2                      => rejected not-due
    ",
    );
}

#[test]
fn any_request_of_the_agent_counts_against_inactivity() {
    scenario(
        plain(r#", "inactivity_ms": 5000"#),
        "
        @0      login ann            => ann in
        @1      ready ann            => ann ready
        @2      submit chat w        => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3      seen i1 3            => rejected not-due
        @4      accept ann i1        => accepted i1 by ann, assigned i1 to ann
        @5004   seen i1 4            => rejected not-due
        @5004   seen i1 4000         => active i1
        @5004   time i1              => rejected not-due
        @8999   seen i1 3999         => rejected not-due
        @9000   hold i1 as ann       => held i1
        @14000  seen i1 99000        => held i1
        @18999  time i1              => rejected not-due
        @19000  time i1              => released i1, ann rests 20000
        @19001  seen i1 19001        => rejected not-due
    ",
    );
    scenario(
        plain(""),
        "
        @0  login ann      => ann in
        @1  ready ann      => ann ready
        @2  submit chat w  => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3  accept ann i1  => accepted i1 by ann, assigned i1 to ann
        @4  seen i1 4      => rejected not-due
        @5  seen i9 4      => rejected interaction-unknown
    ",
    );
}

#[test]
fn of_an_answer_and_the_time_out_at_the_same_instant_the_time_out_wins_in_either_order() {
    let begin = "
        @0      login ann            => ann in
        @0      ready ann            => ann ready
        @0      submit chat w        => submitted i1, at start, at desk by next, queued desk, offered i1 to ann";
    for end in [
        "
        @20000  accept ann i1        => rejected offer-ended
        @20000  time i1              => expired i1 by ann, ann rests 21000, ann not-ready no-answer",
        "
        @20000  time i1              => expired i1 by ann, ann rests 21000, ann not-ready no-answer
        @20000  accept ann i1        => rejected offer-ended",
        "
        @20000  decline ann i1       => rejected offer-ended
        @20000  time i1              => expired i1 by ann, ann rests 21000, ann not-ready no-answer",
        "
        @19999  accept ann i1        => accepted i1 by ann, assigned i1 to ann
        @20000  time i1              => rejected not-due",
    ] {
        scenario(plain(""), &format!("{begin}{end}"));
    }
}

#[test]
fn of_two_who_accept_at_the_same_instant_one_gets_it_and_the_other_is_told() {
    scenario(
        plain(r#", "offers_max": 2"#),
        "
        @0  login ann         => ann in
        @0  ready ann         => ann ready
        @0  login bob         => bob in
        @0  ready bob         => bob ready
        @1  submit chat w     => submitted i1, at start, at desk by next, queued desk, offered i1 to ann, offered i1 to bob
        @2  accept ann i1     => revoked i1 from bob accepted-by-another, accepted i1 by ann, assigned i1 to ann
        @2  accept bob i1     => rejected offer-ended
        @2  accept ann i1     => rejected offer-ended
        @3  cancel i1         => cancelled
        @3  accept ann i1     => rejected offer-ended
    ",
    );
}

#[test]
fn a_group_that_is_emptied_leaves_its_queue_waiting_for_whoever_joins() {
    scenario(
        plain(""),
        "
        @0   login ann             => ann in
        @1   submit chat w         => submitted i1, at start, at desk by next, queued desk
        @2   group team none       => bound
        @3   ready ann             => ann ready
        @4   submit chat w         => submitted i2, at start, at desk by next, queued desk
        @5   group team ann        => bound, offered i1 to ann
        @6   group team none       => bound, revoked i1 from ann no-longer-meant
        @7   accept ann i1         => rejected offer-ended
        @8   group team ann+bob    => bound, offered i1 to ann
        @9   accept ann i1         => accepted i1 by ann, assigned i1 to ann
        @10  remove agent-group team => rejected document-in-use
    ",
    );
}

#[test]
fn a_clock_that_jumps_ahead_ends_what_is_due_once_and_one_that_stands_still_ends_nothing() {
    let day = 24 * 60 * 60 * 1000;
    let (jump, rested) = (day + 3, day + 1003);
    scenario(
        plain(r#", "inactivity_ms": 5000, "wrap_up_ms": 1000"#),
        &format!(
            "
        @0        login ann            => ann in
        @0        ready ann            => ann ready
        @1        submit chat w        => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @1        time i1              => rejected not-due
        @1        accept ann i1        => accepted i1 by ann, assigned i1 to ann
        @2        submit chat w        => submitted i2, at start, at desk by next, queued desk
        @{jump}   time i1              => released i1, ann rests {rested}
        @{jump}   time i1              => rejected not-due
        @{jump}   agent-time ann       => rejected not-due
        @{rested} agent-time ann       => ann rested, offered i1 to ann
        @{rested} accept ann i1        => accepted i1 by ann, assigned i1 to ann
    "
        ),
    );
}

#[test]
fn whoever_has_no_work_comes_before_whoever_was_idle_longer_before_its_work() {
    let mut world = plain("");
    world.json("rules", r#"{"capacity": "4 chat"}"#).unwrap();
    scenario(
        world,
        "
        @1  login ann              => ann in
        @2  login bob              => bob in
        @3  ready ann              => ann ready
        @3  ready bob              => bob ready
        @4  submit chat w          => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @5  accept ann i1          => accepted i1 by ann, assigned i1 to ann
        @6  submit chat w          => submitted i2, at start, at desk by next, queued desk, offered i2 to bob
        @7  submit chat w          => submitted i3, at start, at desk by next, queued desk, offered i3 to ann
    ",
    );
}

#[test]
fn whoever_did_not_answer_is_asked_again_and_has_declined_nothing() {
    scenario(
        desk(r#", "no_answer_not_ready": false"#),
        "
        @0      login ann              => ann in
        @0      ready ann              => ann ready
        @0      submit chat w          => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @20000  time i1                => expired i1 by ann, ann rests 21000
        @21000  agent-time ann         => ann rested, offered i1 to ann
        @41000  time i1                => expired i1 by ann, ann rests 42000
        @41001  login bob              => bob in
        @41002  ready bob              => bob ready, offered i1 to bob
        @41003  decline bob i1         => declined i1 by bob, bob rests 42003
        @42000  agent-time ann         => ann rested, offered i1 to ann
        @42001  decline ann i1         => declined i1 by ann, ann rests 43001, at aside by declined-by-all, completed aside
    ",
    );
}

#[test]
fn what_all_have_declined_waits_for_those_who_may_get_it_later() {
    let mut world = desk("");
    world.json("agent-group", r#"{"name": "one", "agents": ["ann"]}"#).unwrap();
    world.workflow(
        r#"{"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "desk", "kind": "queue", "queue": "desk", "target": {"agent-group": "one"},
                "relaxations": [{"after_ms": 10000, "target": {"agent-group": "team"}},
                    {"after_ms": 20000, "target": {"agent": "ann"}}]},
            {"id": "aside", "kind": "end", "disposition": "aside"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "desk"},
            {"from": "desk", "outcome": "completed", "to": "end"},
            {"from": "desk", "outcome": "declined-by-all", "to": "aside"}]}"#,
    );
    scenario(
        world,
        "
        @0      login ann              => ann in
        @0      ready ann              => ann ready
        @0      submit chat w          => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @1      decline ann i1         => declined i1 by ann, ann rests 1001
        @2      login bob              => bob in
        @2      ready bob              => bob ready
        @10000  time i1                => relaxed i1 1, offered i1 to bob
        @10001  not-ready bob lunch    => revoked i1 from bob not-ready, bob rests 11001, bob not-ready lunch
        @20000  time i1                => relaxed i1 2, at aside by declined-by-all, completed aside
    ",
    );
}

#[test]
fn whoever_lost_an_offer_rests_whatever_it_does_meanwhile() {
    let world = || {
        let mut world = plain("");
        world.json("agent-group", r#"{"name": "team", "agents": ["ann"]}"#).unwrap();
        world
    };
    scenario(
        world(),
        "
        @0     login ann             => ann in
        @1     ready ann             => ann ready
        @2     submit chat w         => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3     not-ready ann tea     => revoked i1 from ann not-ready, ann rests 1003, ann not-ready tea
        @4     ready ann             => ann ready
        @5     not-ready ann tea     => ann not-ready tea
        @6     logout ann            => ann out requested
        @7     login ann             => ann in
        @8     ready ann             => ann ready
        @1002  agent-time ann        => rejected not-due
        @1003  agent-time ann        => ann rested, offered i1 to ann
        @1004  decline ann i1        => declined i1 by ann, ann rests 2004
        @1005  logout ann            => ann out requested
        @3000  login ann             => ann in
        @3001  ready ann             => ann ready, offered i1 to ann
        @3002  decline ann i1        => declined i1 by ann, ann rests 4002
        @4002  agent-time ann        => ann rested
        @4003  ready ann             =>
    ",
    );
    scenario(
        world(),
        "
        @0     login ann             => ann in
        @1     ready ann             => ann ready
        @2     submit chat w         => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3     accept ann i1         => accepted i1 by ann, assigned i1 to ann
        @4     not-ready ann tea after => ann will be not-ready
        @5     ready ann             => ann will stay
        @6     release i1 as ann     => released i1, ann rests 1006
        @1006  agent-time ann        => ann rested, offered i1 to ann
    ",
    );
}

#[test]
fn who_rests_does_so_after_a_restart_too() {
    let mut world = plain("");
    let act = |action| Command::Agent { agent: name("ann"), action, by: "ann".into() };
    let log_in = || AgentAction::LogIn { place: None, media_types: [].into(), connected: false };
    world.try_at(act(log_in()), UnixMillis(0)).unwrap();
    world.try_at(act(AgentAction::Ready), UnixMillis(1)).unwrap();
    world.try_at(Command::Submit(Box::new(submission(id(1), "chat", "w"))), UnixMillis(2)).unwrap();
    world.match_all(UnixMillis(2));
    world.try_at(act(AgentAction::NotReady { reason: name("tea"), after_work: false }), UnixMillis(4)).unwrap();
    world.try_at(act(AgentAction::LogOut { after_work: false }), UnixMillis(5)).unwrap();
    assert_eq!(world.account.rests().collect::<Vec<_>>(), [(&name("ann"), UnixMillis(1004))]);
    let mut loaded = Account::loading(world.account.sequence());
    world.account.configuration().documents().for_each(|document| loaded.load_document(&document));
    world.account.rests().for_each(|(agent, until)| loaded.load_rest(agent, until));
    world.account.lives().for_each(|(id, live)| loaded.load_live(id, live.clone()));
    loaded.same(&world.account).unwrap();
    world.account = loaded;
    world.try_at(act(log_in()), UnixMillis(6)).unwrap();
    world.try_at(act(AgentAction::Ready), UnixMillis(7)).unwrap();
    assert_eq!(world.match_all(UnixMillis(7)), []);
    assert_eq!(world.account.next_timer(), Some(UnixMillis(1004)));
}

#[test]
fn what_the_customer_closes_is_closed_by_the_customer_and_for_the_reason_given() {
    let mut world = plain(r#", "wrap_up_ms": 1000"#);
    world.json("rules", r#"{"dispositions": ["another", "better"]}"#).unwrap();
    scenario(
        world,
        "
        @0     login ann             => ann in
        @1     ready ann             => ann ready
        @2     submit chat w         => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3     accept ann i1         => accepted i1 by ann, assigned i1 to ann
        @4     close i1              => closed i1 left, wrap-up i1
        @1004  time i1               => done closed-by-customer, data disposition=closed-by-customer, at end by completed, completed closed-by-customer
    ",
    );
}

#[test]
fn what_waits_follows_its_queue() {
    let mut world = plain("");
    world.workflow(
        r#"{"name": "own", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "desk", "kind": "queue", "queue": "desk", "target": {"agent": "bob"}},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "desk"},
            {"from": "desk", "outcome": "completed", "to": "end"}]}"#,
    );
    scenario(
        world,
        "
        @0   target desk none           => bound
        @1   submit chat w              => submitted i1, at start, at desk by next, queued desk
        @1   submit chat own            => submitted i2, at start, at desk by next, queued desk
        @1   submit chat w              => submitted i3, at start, at desk by next, queued desk
        @2   login ann                  => ann in
        @3   ready ann                  => ann ready
        @4   target desk agent ann      => bound, retargeted i1, offered i1 to ann, retargeted i3
        @5   target desk agent bob      => bound, retargeted i3
        @6   decline ann i1             => declined i1 by ann, ann rests 1006, retargeted i1
        @7   login bob                  => bob in
        @7   ready bob                  => bob ready, offered i1 to bob
        @8   target desk none           => bound, retargeted i3
        @9   accept bob i1              => accepted i1 by bob, assigned i1 to bob
        @10  complete i1 solved as bob  => done solved, data disposition=solved, at end by completed, completed solved, offered i2 to bob
    ",
    );
}

#[test]
fn what_nobody_is_left_for_goes_on_at_once() {
    let mut world = desk("");
    world.json("agent", r#"{"name": "cem"}"#).unwrap();
    world.workflow(
        r#"{"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "desk", "kind": "queue", "queue": "desk", "leave_without_agents": true,
                "relaxations": [{"after_ms": 10000, "target": {"agent": "cem"}}]},
            {"id": "nobody", "kind": "end", "disposition": "nobody"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "desk"},
            {"from": "desk", "outcome": "no-agents", "to": "nobody"},
            {"from": "desk", "outcome": "completed", "to": "end"}]}"#,
    );
    world.workflow(
        r#"{"name": "d", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "desk", "kind": "queue", "queue": "desk"},
            {"id": "aside", "kind": "end", "disposition": "aside"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "desk"},
            {"from": "desk", "outcome": "declined-by-all", "to": "aside"},
            {"from": "desk", "outcome": "completed", "to": "end"}]}"#,
    );
    scenario(
        world,
        "
        @0      login ann            => ann in
        @1      submit chat w        => submitted i1, at start, at desk by next, queued desk
        @1      submit chat w        => submitted i2, at start, at desk by next, queued desk
        @2      logout ann           => ann out requested, at nobody by no-agents, completed nobody, at nobody by no-agents, completed nobody
        @3      login ann            => ann in
        @3      submit chat w        => submitted i3, at start, at desk by next, queued desk
        @4      group team bob       => bound, at nobody by no-agents, completed nobody
        @5      group team ann+bob   => bound
        @5      submit chat w        => submitted i4, at start, at desk by next, queued desk
        @10005  time i4              => relaxed i4 1, at nobody by no-agents, completed nobody
        @10006  ready ann            => ann ready
        @10006  login bob            => bob in
        @10006  submit chat d        => submitted i5, at start, at desk by next, queued desk, offered i5 to ann
        @10007  decline ann i5       => declined i5 by ann, ann rests 11007
        @10008  logout bob           => bob out requested, at aside by declined-by-all, completed aside
        @10009  login bob            => bob in
        @10009  submit chat w        => submitted i6, at start, at desk by next, queued desk
        @10010  login cem            => cem in
        @10010  logout ann           => ann out requested
        @10010  logout bob           => bob out requested
        @10011  logout cem           => cem out requested
        @20009  time i6              => relaxed i6 1, at nobody by no-agents, completed nobody
    ",
    );
}

#[test]
fn what_an_agent_takes_counts_against_its_capacity() {
    let mut world = plain("");
    world.json("queue", r#"{"name": "desk"}"#).unwrap();
    scenario(
        world,
        "
        @0  submit chat w           => submitted i1, at start, at desk by next, queued desk
        @0  submit chat w           => submitted i2, at start, at desk by next, queued desk
        @1  login ann               => ann in
        @2  take desk as ann        => assigned i1 to ann
        @3  take desk as ann        => rejected capacity-exceeded
        @4  take desk as bob        => rejected agent-logged-out
        @4  take desk as boss       => taken i2 from desk
        @5  complete i1 ok as ann   => done ok, data disposition=ok, at end by completed, completed ok
    ",
    );
}

#[test]
fn what_an_agent_has_no_room_for_any_more_is_taken_back() {
    let mut world = plain("");
    world.json("agent", r#"{"name": "ann", "capacity": "2 chat"}"#).unwrap();
    scenario(
        world,
        "
        @0     login ann          => ann in
        @0     login bob          => bob in
        @1     ready ann          => ann ready
        @2     submit chat w      => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @2     submit chat w      => submitted i2, at start, at desk by next, queued desk, offered i2 to ann
        @2     submit chat w      => submitted i3, at start, at desk by next, queued desk
        @3     assign i3 ann      => assigned i3 to ann, revoked i2 from ann no-capacity
        @4     accept ann i2      => rejected offer-ended
        @5     group team bob     => bound, revoked i1 from ann no-longer-meant
        @6     ready bob          => bob ready, offered i1 to bob
        @7     assign i2 bob      => assigned i2 to bob, revoked i1 from bob no-capacity
    ",
    );
}

#[test]
fn what_waits_for_its_last_agent_by_its_queue_stays_with_that() {
    let mut world = plain("");
    world.json("queue", r#"{"name": "desk", "target": "last-agent"}"#).unwrap();
    scenario(
        world,
        "
        @0  login ann                => ann in
        @1  submit-last ann chat w   => submitted i1, at start, at desk by next, queued desk
        @2  ready ann                => ann ready, offered i1 to ann
    ",
    );
}

#[test]
fn whoever_declined_and_comes_back_alone_is_all_there_are() {
    scenario(
        desk(""),
        "
        @0     login ann          => ann in
        @0     login bob          => bob in
        @1     ready ann          => ann ready
        @2     submit chat w      => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3     decline ann i1     => declined i1 by ann, ann rests 1003
        @4     group team none    => bound
        @5     group team ann     => bound, at aside by declined-by-all, completed aside
    ",
    );
}

#[test]
fn ready_while_ready_changes_nothing() {
    scenario(
        plain(""),
        "
        @0     login ann              => ann in
        @0     ready ann              => ann ready
        @1     submit chat w          => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @2     decline ann i1         => declined i1 by ann, ann rests 1002
        @3     ready ann              =>
        @1002  agent-time ann         => ann rested
        @1003  not-ready ann lunch    => ann not-ready lunch
        @1004  ready ann              => ann ready, offered i1 to ann
    ",
    );
}

#[test]
fn a_second_login_that_is_allowed_names_no_other_place_or_media() {
    let mut world = plain("");
    world.json("rules", r#"{"second_login": "allow"}"#).unwrap();
    scenario(
        world,
        "
        @0  login ann media=chat           => ann in
        @1  login ann at p1                => rejected invalid
        @2  login ann media=email          => rejected invalid
        @3  login ann media=chat connected => ann connected
    ",
    );
}

#[test]
fn rules_that_say_nothing_are_refused() {
    let capacity = |rule: &str| {
        let json = format!(r#"{{"name": "ann", "capacity": "{rule}"}}"#);
        serde_json::from_str::<signalbox_engine::Agent>(&json).is_ok()
    };
    assert!(!capacity("1 voice or 1 voice") && !capacity("1 any or 2 any"));
    assert!(capacity("2 chat or 1 chat + 3 email"));
    let expression = |text: &str| signalbox_engine::SkillExpression::new(text).is_ok();
    assert!(!expression("english > 11") && !expression("english in [3, 11]") && !expression("11 <= english"));
    assert!(expression("english >= 10") && expression("english > 0") && expression("english + billing > 11"));
}

#[test]
fn a_transfer_goes_to_somebody_who_exists_and_to_the_last_agent_by_name() {
    scenario(
        plain(""),
        "
        @0   login ann                         => ann in
        @1   ready ann                         => ann ready
        @2   submit-last bob chat w            => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3   accept ann i1                     => accepted i1 by ann, assigned i1 to ann
        @4   transfer i1 agent nobody as ann   => rejected agent-unknown
        @5   transfer i1 group nobody as ann   => rejected group-unknown
        @6   transfer i1 skills (( as ann      => rejected invalid
        @7   transfer i1 skills french>1 as ann => rejected skill-unknown
        @8   transfer i1 last agent as ann     => rejected nobody-available
        @9   login bob                         => bob in
        @10  ready bob                         => bob ready
        @11  transfer i1 last agent as ann     => transfer of i1 began, offered i1 to bob
        @12  logout bob                        => revoked i1 from bob logged-out, bob rests 1012, bob out requested, transfer of i1 failed
        @13  logout ann                        => rejected agent-busy
    ",
    );
}

#[test]
fn what_an_agent_has_is_forwarded_outside_and_the_work_is_done() {
    let mut world = plain(r#", "wrap_up_ms": 1000"#);
    world.webhook("crm", &["forward"]);
    world.json("rules", r#"{"dispositions": ["ok"]}"#).unwrap();
    scenario(
        world,
        "
        @0     login ann                                             => ann in
        @1     ready ann                                             => ann ready
        @2     submit chat w                                         => submitted i1, at start, at desk by next, queued desk, offered i1 to ann
        @3     forward i1 address a@b.example as ann                 => rejected state-wrong
        @4     accept ann i1                                         => accepted i1 by ann, assigned i1 to ann
        @5     forward i1 address a@b.example as bob                 => rejected assigned-to-another
        @6     forward i1 queue other as ann                         => rejected invalid
        @7     forward i1 url https://elsewhere.example/ as ann      => rejected invalid
        @8     forward i1 url https://crm.example/hook/7 as ann      => hopped https://crm.example/hook/7, message forward, wrap-up i1
        @1008  time i1                                               => done forwarded, data disposition=forwarded, at end by completed, completed forwarded
        @1009  take desk                                             => rejected queue-empty
        @1010  submit chat w                                         => submitted i2, at start, at desk by next, queued desk, offered i2 to ann
        @1011  accept ann i2                                         => accepted i2 by ann, assigned i2 to ann
        @1012  forward i2 address a@b.example as operator            => hopped a@b.example, message forward, wrap-up i2
    ",
    );
    scenario(
        plain(""),
        "
        @0  submit chat w                         => submitted i1, at start, at desk by next, queued desk
        @1  take desk                             => taken i1 from desk
        @2  forward i1 address a@b.example        => rejected invalid
    ",
    );
}

#[test]
fn an_operator_takes_what_waits_what_is_offered_and_what_another_has() {
    scenario(
        plain(""),
        "
        @0     submit chat w             => submitted i1, at start, at desk by next, queued desk
        @1     submit chat w             => submitted i2, at start, at desk by next, queued desk
        @2     take-over i2 as operator  => taken i2 from desk
        @3     login ann                 => ann in
        @4     ready ann                 => ann ready, offered i1 to ann
        @5     take-over i1 as operator  => revoked i1 from ann taken, taken i1 from desk
        @6     accept ann i1             => rejected offer-ended
        @7     release i1 as operator    => released i1, offered i1 to ann
        @8     accept ann i1             => accepted i1 by ann, assigned i1 to ann
        @9     login bob                 => bob in
        @10    ready bob                 => bob ready
        @11    transfer i1 agent bob as ann => transfer of i1 began, offered i1 to bob
        @12    take-over i1 as operator  => revoked i1 from bob taken, taken i1 from desk
        @13    complete i1 ok as ann     => rejected assigned-to-another
        @14    complete i1 ok as operator => done ok, data disposition=ok, at end by completed, completed ok
        @15    take-over i1 as operator  => rejected interaction-unknown
        @16    submit chat w at 99       => submitted i3, scheduled i3 99
        @17    take-over i3 as operator  => rejected state-wrong
    ",
    );
}

#[test]
fn an_operator_completes_and_moves_whatever_it_is_that_waits() {
    let mut world = plain(r#", "wrap_up_ms": 1000"#);
    world.workflow(
        r#"{"name": "stuck", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "ask", "kind": "strategy"},
            {"id": "end", "kind": "end", "disposition": "asked"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "ask"},
            {"from": "ask", "outcome": "default", "to": "end"}]}"#,
    );
    world.workflow(
        r#"{"name": "lost", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "gone", "kind": "queue", "queue": "gone"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "gone"},
            {"from": "gone", "outcome": "completed", "to": "end"}]}"#,
    );
    scenario(
        world,
        "
        @0     submit chat w               => submitted i1, at start, at desk by next, queued desk
        @1     complete i1 ok as ann       => rejected state-wrong
        @2     complete i1 ok as operator  => done ok, data disposition=ok, at end by completed, completed ok
        @3     login ann                   => ann in
        @4     ready ann                   => ann ready
        @5     submit chat w               => submitted i2, at start, at desk by next, queued desk, offered i2 to ann
        @6     complete i2 ok as operator  => revoked i2 from ann completed, done ok, data disposition=ok, at end by completed, completed ok
        @7     submit chat w               => submitted i3, at start, at desk by next, queued desk, offered i3 to ann
        @8     accept ann i3               => accepted i3 by ann, assigned i3 to ann
        @9     complete i3 odd as ann      => wrap-up i3
        @10    complete i3 ok as ann       => rejected state-wrong
        @11    complete i3 ok as operator  => done ok, data disposition=ok, at end by completed, completed ok
        @12    submit chat w               => submitted i4, at start, at desk by next, queued desk, offered i4 to ann
        @13    accept ann i4               => accepted i4 by ann, assigned i4 to ann
        @14    complete i4 ok as ann       => wrap-up i4
        @15    move i4 other               => moved i4 to other, queued other
        @16    complete i4 ok as operator  => done ok, data disposition=ok, at end by completed, completed ok
        @17    submit chat stuck           => submitted i5, at start, at ask by next, parked strategy-unbound
        @18    complete i5 ok as ann       => rejected state-wrong
        @19    complete i5 ok as operator  => done ok, completed ok
        @20    submit chat stuck           => submitted i6, at start, at ask by next, parked strategy-unbound
        @21    move i6 nowhere             => rejected queue-unknown
        @22    move i6 desk                => out of workflows, moved i6 to desk, queued desk, offered i6 to ann
        @23    accept ann i6               => accepted i6 by ann, assigned i6 to ann
        @24    complete i6 ok as ann       => wrap-up i6
        @1024  time i6                     => done ok, completed ok
        @1025  submit chat lost            => submitted i7, at start, at gone by next, queued gone
        @1026  lose i7                     => parked content-lost
        @1027  move i7 other               => moved i7 to other, queued other
        @1028  lose i7                     => parked content-lost
        @1029  complete i7 ok as operator  => done ok, data disposition=ok, at end by completed, completed ok
        @1030  submit chat w at 9999       => submitted i8, scheduled i8 9999
        @1031  complete i8 ok as operator  => rejected state-wrong
        @1032  move i8 other               => rejected state-wrong
    ",
    );
}
