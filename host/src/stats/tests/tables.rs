//! One table for each measure and profile.

use serde_json::{Value, json};
use signalbox_engine::{
    AgentAction, Command, InteractionId, Name, OfferAnswer, Profile, Reset, StatObject, Statistic, UnixMillis,
};

use super::super::series::{Series, Total};
use super::world::{World, name};

const DESK: &str = r#"{"name": "desk",
    "elements": [
        {"id": "start", "kind": "start"},
        {"id": "line", "kind": "queue", "queue": "line", "timeout_ms": 90000},
        {"id": "done", "kind": "end"}],
    "connectors": [
        {"from": "start", "outcome": "next", "to": "line"},
        {"from": "line", "outcome": "completed", "to": "done"},
        {"from": "line", "outcome": "timeout", "to": "done"}]}"#;

/// Two agents at two places, a queue that all of them serve, with 10 s of wrap-up. The clock stands at 0.
fn desk(statistics: &[Value]) -> World {
    let (mut world, now) = (World::default(), UnixMillis(0));
    for agent in ["ana", "bob"] {
        world.put("agent", json!({"name": agent, "capacity": "2 any"}), now).unwrap();
        world.put("place", json!({"name": format!("at-{agent}")}), now).unwrap();
    }
    world.put("agent-group", json!({"name": "all", "agents": ["ana", "bob"]}), now).unwrap();
    world.put("place-group", json!({"name": "floor", "places": ["at-ana"]}), now).unwrap();
    world.put("queue", json!({"name": "line", "target": {"agent-group": "all"}, "wrap_up_ms": 10_000}), now).unwrap();
    world.put("workflow", serde_json::from_str(DESK).unwrap(), now).unwrap();
    for statistic in statistics {
        world.put("statistic", statistic.clone(), now).unwrap();
    }
    world
}

/// The queue's measures by name.
fn of_line(measures: Value) -> Vec<Value> {
    let of = |(name, measure): (&String, &Value)| {
        let object = json!({"kind": "queue", "name": "line"});
        match measure.get("measure") {
            Some(_) => {
                let mut whole = measure.clone();
                whole["name"] = name.as_str().into();
                whole["object"] = measure.get("object").cloned().unwrap_or(object);
                whole
            }
            None => json!({"name": name, "object": object, "measure": measure}),
        }
    };
    measures.as_object().unwrap().iter().map(of).collect()
}

impl World {
    fn agent(&mut self, agent: &str, action: AgentAction, now: u64) {
        self.run(Command::Agent { agent: name(agent), action, by: "t".into() }, UnixMillis(now)).unwrap();
        self.match_all(UnixMillis(now));
    }

    fn log_in(&mut self, agent: &str, now: u64) {
        let place = Some(name(&format!("at-{agent}")));
        let action = AgentAction::LogIn { place, media_types: Default::default(), connected: false };
        self.agent(agent, action, now);
    }

    fn come(&mut self, media_type: &str, now: u64) -> InteractionId {
        let id = self.submit(media_type, "desk", "lead", UnixMillis(now));
        self.match_all(UnixMillis(now));
        id
    }

    fn answer(&mut self, id: InteractionId, answer: OfferAnswer, now: u64) {
        let offer = self.account.live(id).unwrap().offers().next().unwrap().clone();
        let command = Command::AnswerOffer { interaction: id, offer: offer.id, agent: offer.agent, answer };
        self.run(command, UnixMillis(now)).unwrap();
        self.match_all(UnixMillis(now));
    }

    fn complete(&mut self, id: InteractionId, now: u64) {
        let (disposition, by, for_anyone) = ("ok".to_owned(), "t".to_owned(), true);
        let command = Command::Complete { interaction: id, disposition, by, for_anyone };
        self.run(command, UnixMillis(now)).unwrap();
        self.match_all(UnixMillis(now));
    }

    fn wrapped(&mut self, id: InteractionId, now: u64) {
        let (by, for_anyone) = ("t".to_owned(), true);
        self.run(Command::FinishWrapUp { interaction: id, disposition: None, by, for_anyone }, UnixMillis(now))
            .unwrap();
        self.match_all(UnixMillis(now));
    }

    fn close(&mut self, id: InteractionId, now: u64) {
        let command = Command::Close { interaction: id, reason: "left".into(), by: "t".into() };
        self.run(command, UnixMillis(now)).unwrap();
        self.match_all(UnixMillis(now));
    }

    /// Each figure at a moment is as it says.
    #[track_caller]
    fn shows(&self, now: u64, wanted: &[(&str, Option<f64>)]) {
        for (of, value) in wanted {
            assert_eq!(self.value(of, now), *value, "{of} at {now}");
        }
    }
}

#[test]
fn a_queue_is_measured_from_arrival_to_wrap_up() {
    let mut world = desk(&of_line(json!({
        "queued": {"kind": "number", "of": "queued"},
        "answered": {"kind": "number", "of": "answered"},
        "abandoned": {"kind": "number", "of": "queue-abandoned"},
        "accepted": {"kind": "number", "of": "offer-accepted"},
        "declined": {"kind": "number", "of": "offer-declined"},
        "speed": {"kind": "time", "of": "answer-wait", "value": "average"},
        "longest": {"kind": "time", "of": "wait", "value": "max"},
        "shortest": {"kind": "time", "of": "wait", "value": "min"},
        "waited": {"kind": "time", "of": "wait", "value": "total"},
        "offer": {"kind": "time", "of": "offer-answer", "value": "average"},
        "work": {"kind": "time", "of": "work", "value": "total"},
        "wrap-up": {"kind": "time", "of": "wrap-up", "value": "total"},
        "handle": {"kind": "time", "of": "handle", "value": "average"},
        "level": {"kind": "service-factor", "answered_within_ms": 20_000},
        "level-strict": {"kind": "service-factor", "answered_within_ms": 19_999},
        "level-short": {"kind": "service-factor", "answered_within_ms": 20_000, "abandoned_within_ms": 5_000},
        "waiting": {"kind": "interactions-now", "state": "queued"},
        "oldest": {"kind": "interactions-now-time", "state": "queued", "value": "max"},
        "newest": {"kind": "interactions-now-time", "state": "queued", "value": "min"},
        "mean-age": {"kind": "interactions-now-time", "state": "queued", "value": "average"},
        "expected": {"kind": "estimated-wait"},
        "traffic": {"kind": "traffic"},
        "spread": {"kind": "distribution", "of": "wait", "bounds_ms": [5_000, 20_000]},
    })));
    world.shows(
        0,
        &[("queued", Some(0.0)), ("speed", None), ("level", None), ("waiting", Some(0.0)), ("expected", Some(0.0))],
    );
    let (a, b) = (world.come("chat", 1_000), world.come("chat", 3_000));
    let c = world.come("chat", 4_000);
    world.shows(
        9_000,
        &[
            ("queued", Some(3.0)),
            ("waiting", Some(3.0)),
            ("oldest", Some(8.0)),
            ("newest", Some(5.0)),
            ("mean-age", Some(19.0 / 3.0)),
            // Nobody has left yet.
            ("expected", None),
        ],
    );
    world.close(c, 9_000);
    world.log_in("ana", 10_000);
    world.agent("ana", AgentAction::Ready, 11_000);
    world.answer(a, OfferAnswer::Accept, 21_000);
    world.answer(b, OfferAnswer::Decline { reason: String::new() }, 22_000);
    world.shows(
        29_000,
        &[
            ("answered", Some(1.0)),
            ("abandoned", Some(1.0)),
            ("accepted", Some(1.0)),
            ("declined", Some(1.0)),
            ("speed", Some(20.0)),
            ("longest", Some(20.0)),
            ("shortest", Some(5.0)),
            ("waited", Some(25.0)),
            ("offer", Some(10.0)),
            ("level", Some(50.0)),
            ("level-strict", Some(0.0)),
            ("level-short", Some(100.0)),
            ("waiting", Some(1.0)),
            ("oldest", Some(26.0)),
            // One waits, and two have left in 29 s.
            ("expected", Some(29.0 / 2.0)),
            ("work", Some(0.0)),
            ("traffic", None),
        ],
    );
    world.complete(a, 41_000);
    world.wrapped(a, 44_000);
    world.shows(
        60_000,
        &[
            ("work", Some(20.0)),
            ("wrap-up", Some(3.0)),
            ("handle", Some(23.0)),
            // Three came in 60 s, each for 23 s.
            ("traffic", Some(3.0 / 60.0 * 23.0)),
        ],
    );
    let counts: Vec<u64> =
        world.figure("spread", UnixMillis(60_000)).buckets.unwrap().iter().map(|bucket| bucket.count).collect();
    assert_eq!(counts, [1, 1, 0]);
}

#[test]
fn agents_places_and_groups_are_measured_by_their_states() {
    let all = [
        ("agent", json!({"kind": "agent", "name": "ana"})),
        ("group", json!({"kind": "agent-group", "name": "all"})),
        ("place", json!({"kind": "place", "name": "at-ana"})),
        ("floor", json!({"kind": "place-group", "name": "floor"})),
        ("account", json!({"kind": "account"})),
    ];
    let measures = json!({
        "now": {"kind": "agents-now", "state": "ready"},
        "in": {"kind": "agents-now", "state": "logged-in"},
        "for": {"kind": "agents-now-time", "state": "ready", "value": "max"},
        "ready": {"kind": "agent-time", "state": "ready", "value": "total"},
        "busy": {"kind": "agent-time", "state": "busy", "value": "total"},
        "stays": {"kind": "agent-time", "state": "busy", "value": "average"},
        "talk": {"kind": "agent-time", "state": "not-ready", "reason": "talk", "value": "total"},
        "occupancy": {"kind": "occupancy"},
        "load": {"kind": "load"},
        "hand": {"kind": "interactions-now", "state": "assigned"},
        "worked": {"kind": "number", "of": "worked"},
    });
    let mut statistics = Vec::new();
    for (of, object) in &all {
        for (measure, definition) in measures.as_object().unwrap() {
            statistics.push(json!({"name": format!("{of}-{measure}"), "object": object, "measure": definition}));
        }
    }
    let mut world = desk(&statistics);
    world.log_in("ana", 0);
    world.agent("ana", AgentAction::Ready, 10_000);
    world.log_in("bob", 10_000);
    let a = world.come("chat", 30_000);
    world.shows(31_000, &[("agent-load", Some(50.0)), ("group-load", Some(25.0)), ("agent-now", Some(1.0))]);
    world.answer(a, OfferAnswer::Accept, 30_000);
    for (of, _) in &all {
        let both = matches!(*of, "group" | "account");
        let mine = |one: f64, two: f64| Some(if both { two } else { one });
        let figure = |measure: &str| world.value(&format!("{of}-{measure}"), 40_000);
        assert_eq!(figure("now"), Some(0.0), "{of}");
        assert_eq!(figure("in"), mine(1.0, 2.0), "{of}");
        assert_eq!(figure("for"), None, "{of}");
        assert_eq!(figure("ready"), Some(20.0), "{of}");
        // What goes on counts as far as it has come.
        assert_eq!(figure("busy"), Some(10.0), "{of}");
        assert_eq!(figure("stays"), None, "{of}");
        assert_eq!(figure("occupancy"), Some(100.0 * 10.0 / 30.0), "{of}");
        assert_eq!(figure("load"), mine(50.0, 25.0), "{of}");
        assert_eq!(figure("hand"), Some(1.0), "{of}");
        assert_eq!(figure("worked"), Some(0.0), "{of}");
    }
    world.complete(a, 50_000);
    world.wrapped(a, 55_000);
    let reason = name("talk");
    world.agent("ana", AgentAction::NotReady { reason, after_work: false }, 60_000);
    for (of, _) in &all {
        let figure = |measure: &str| world.value(&format!("{of}-{measure}"), 70_000);
        assert_eq!(figure("ready"), Some(25.0), "{of}");
        assert_eq!(figure("busy"), Some(20.0), "{of}");
        assert_eq!(figure("stays"), Some(20.0), "{of}");
        assert_eq!(figure("talk"), Some(10.0), "{of}");
        assert_eq!(figure("occupancy"), Some(50.0), "{of}");
        assert_eq!(figure("hand"), Some(0.0), "{of}");
        assert_eq!(figure("worked"), Some(1.0), "{of}");
    }
}

#[test]
fn a_filter_counts_what_passes_it_and_a_new_one_what_comes_from_then_on() {
    let counting = |filter: Value| json!({"measure": {"kind": "number", "of": "queued"}, "filter": filter});
    let standing = |filter: Value| json!({"measure": {"kind": "interactions-now"}, "filter": filter});
    let gold = "interaction.user_data.?tier.orValue('') == 'gold'";
    let mut world = desk(&of_line(json!({
        "all": {"kind": "number", "of": "queued"},
        "chats": counting(json!({"media_type": "chat"})),
        "gold": counting(json!({"condition": gold})),
        "gold-chats": counting(json!({"condition": gold, "media_type": "chat"})),
        "gold-now": standing(json!({"condition": gold})),
        "never": counting(json!({"condition": "interaction.user_data.nothing == 'x'"})),
    })));
    world.submit("chat", "desk", "gold", UnixMillis(1));
    world.submit("email", "desk", "gold", UnixMillis(2));
    let lead = world.submit("chat", "desk", "lead", UnixMillis(3));
    let one = Some(1.0);
    world.shows(
        9,
        &[
            ("all", Some(3.0)),
            ("chats", Some(2.0)),
            ("gold", Some(2.0)),
            ("gold-chats", one),
            ("gold-now", Some(2.0)),
            ("never", Some(0.0)),
        ],
    );
    let entries = vec![signalbox_engine::Entry { key: "tier".into(), value: "gold".into() }];
    world.run(Command::SetUserData { interaction: lead, entries }, UnixMillis(10)).unwrap();
    // It came as something else, and is one of them now.
    world.shows(11, &[("gold", Some(2.0)), ("gold-now", Some(3.0))]);
    let late = of_line(json!({"late": standing(json!({"condition": "interaction.media_type == 'chat'"})),
        "late-gold": standing(json!({"condition": gold})), "late-chats": standing(json!({"media_type": "chat"}))}));
    for statistic in late {
        world.put("statistic", statistic, UnixMillis(12)).unwrap();
    }
    world.shows(13, &[("late", Some(0.0)), ("late-gold", Some(3.0)), ("late-chats", Some(2.0))]);
    world.submit("chat", "desk", "lead", UnixMillis(14));
    world.shows(15, &[("late", one)]);
}

#[test]
fn since_login_begins_with_each_login() {
    let mut world = desk(&[
        json!({"name": "ready", "object": {"kind": "agent", "name": "ana"}, "profile": {"kind": "since-login"},
            "measure": {"kind": "agent-time", "state": "ready", "value": "total"}}),
        json!({"name": "done", "object": {"kind": "place", "name": "at-ana"}, "profile": {"kind": "since-login"},
            "measure": {"kind": "number", "of": "worked"}}),
    ]);
    world.log_in("ana", 1_000);
    world.agent("ana", AgentAction::Ready, 2_000);
    let a = world.come("chat", 5_000);
    world.answer(a, OfferAnswer::Accept, 6_000);
    world.complete(a, 7_000);
    world.wrapped(a, 8_000);
    world.shows(10_000, &[("ready", Some(6.0)), ("done", Some(1.0))]);
    assert_eq!(world.figure("done", UnixMillis(10_000)).since_ms, Some(UnixMillis(1_000)));
    world.agent("ana", AgentAction::LogOut { after_work: false }, 12_000);
    // It stands until the next login.
    world.shows(20_000, &[("ready", Some(8.0)), ("done", Some(1.0))]);
    world.log_in("ana", 30_000);
    world.shows(31_000, &[("ready", Some(0.0)), ("done", Some(0.0))]);
    world.agent("ana", AgentAction::Ready, 32_000);
    world.shows(33_000, &[("ready", Some(1.0))]);
}

#[test]
fn a_statistic_that_is_put_again_or_deleted_begins_anew() {
    let number =
        || json!({"name": "n", "object": {"kind": "account"}, "measure": {"kind": "number", "of": "submitted"}});
    let mut world = desk(&[number()]);
    world.come("chat", 1);
    world.shows(2, &[("n", Some(1.0))]);
    world.put("statistic", number(), UnixMillis(3)).unwrap();
    world.shows(4, &[("n", Some(0.0))]);
    world.come("chat", 5);
    world.remove(signalbox_engine::DocumentKind::Statistic, "n", UnixMillis(6)).unwrap();
    assert!(world.fold.figure("n", UnixMillis(7)).is_none());
    world.come("chat", 8);
    world.put("statistic", number(), UnixMillis(9)).unwrap();
    world.shows(10, &[("n", Some(0.0))]);
}

fn series(profile: Profile, now: u64) -> Series {
    Series::new(Some(&profile), Total::Sums([0; 4]), UnixMillis(now))
}

fn sum(series: &Series, now: u64) -> u64 {
    let Total::Sums(sums) = series.read(UnixMillis(now)) else { panic!("it is of sums") };
    sums[0]
}

#[test]
fn a_sliding_window_has_the_step_that_runs_and_those_before_it() {
    let mut series = series(Profile::Sliding { window_ms: 30_000, step_ms: 10_000 }, 5_000);
    for at in [5_000, 9_999, 10_000, 19_999, 20_000] {
        series.add(UnixMillis(at), 0, 1);
    }
    let table =
        [(20_000, 5), (29_999, 5), (30_000, 3), (39_999, 3), (40_000, 1), (49_999, 1), (50_000, 0), (900_000, 0)];
    for (now, wanted) in table {
        assert_eq!(sum(&series, now), wanted, "at {now}");
    }
    assert_eq!(series.from(UnixMillis(29_999)), UnixMillis(5_000), "not before it began");
    assert_eq!(series.from(UnixMillis(30_000)), UnixMillis(10_000));
    // What has slid out is dropped, and comes not back.
    series.add(UnixMillis(45_000), 0, 1);
    assert_eq!(sum(&series, 45_000), 2);
}

#[test]
fn a_stay_is_split_among_the_steps_in_which_it_lies() {
    let mut series = series(Profile::Sliding { window_ms: 30_000, step_ms: 10_000 }, 5_000);
    series.add_stay(UnixMillis(0), UnixMillis(12_000), 0);
    // From when it began to be counted.
    for (now, wanted) in [(12_000, 7_000), (29_999, 7_000), (30_000, 2_000), (40_000, 0)] {
        assert_eq!(sum(&series, now), wanted, "at {now}");
    }
    series.add_stay(UnixMillis(12_000), UnixMillis(1_000_000), 0);
    assert_eq!(sum(&series, 1_000_000), 20_000, "two whole steps, and the third has just begun");
}

#[test]
fn a_selection_has_the_last_ones() {
    let mut series = series(Profile::Selection { last: 2 }, 0);
    let table = [(1, 10, 10), (2, 20, 30), (3, 40, 60), (900_000, 1, 41)];
    for (at, amount, wanted) in table {
        series.add(UnixMillis(at), 0, amount);
        assert_eq!(sum(&series, at), wanted, "at {at}");
    }
    assert_eq!(sum(&series, 99_000_000), 41, "time alone changes nothing");
}

/// Milliseconds of a moment, as `date` gives them.
fn reset(at: &str, time_zone: &str) -> Reset {
    serde_json::from_value(json!({"at": at, "time_zone": time_zone})).unwrap()
}

#[test]
fn a_growing_total_begins_anew_at_the_local_time_of_each_day() {
    const HOUR: u64 = 3_600_000;
    // Berlin is an hour ahead of UTC until 2026-03-29 01:00 UTC, then two.
    let before = 1_774_652_400_000; // 2026-03-28 00:00 in Berlin
    let mut series = series(Profile::Growing { reset: Some(reset("00:00", "Europe/Berlin")) }, before + HOUR);
    series.add(UnixMillis(before + 2 * HOUR), 0, 1);
    series.add_stay(UnixMillis(before), UnixMillis(before + 2 * HOUR), 1);
    let midnight = before + 24 * HOUR;
    assert_eq!(sum(&series, midnight - 1), 1);
    assert_eq!(sum(&series, midnight), 0);
    assert_eq!(series.from(UnixMillis(midnight)), UnixMillis(midnight));
    series.add(UnixMillis(midnight + 1), 0, 5);
    // The day on which clocks go forward has 23 hours.
    assert_eq!(sum(&series, midnight + 23 * HOUR - 1), 5);
    assert_eq!(sum(&series, midnight + 23 * HOUR), 0);
    // A stay over midnight counts from midnight on.
    series.add_stay(UnixMillis(midnight + 22 * HOUR), UnixMillis(midnight + 24 * HOUR), 0);
    assert_eq!(sum(&series, midnight + 24 * HOUR), HOUR);
}

#[test]
fn a_statistics_definition_survives_json() {
    let json = json!({"name": "n", "object": {"kind": "element", "name": "line", "workflow": "desk"},
        "measure": {"kind": "distribution", "of": "wait", "bounds_ms": [1]},
        "profile": {"kind": "growing", "reset": {"at": "06:30", "time_zone": "UTC"}},
        "filter": {"media_type": "chat", "category": "invoice", "condition": "true"}});
    let statistic: Statistic = serde_json::from_value(json.clone()).unwrap();
    let StatObject { name: of, workflow, .. } = &statistic.object;
    assert_eq!((of.as_ref().map(Name::as_str), workflow.as_ref().map(Name::as_str)), (Some("line"), Some("desk")));
    assert_eq!(serde_json::to_value(&statistic).unwrap(), json);
}
