//! Canaries: who is dealt to them, what comes of their failures, and how they go on or away.

#![allow(clippy::unwrap_used)]

mod world;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use signalbox_engine::{
    Binding, CallTimes, CanaryFigures, Command, Document, DocumentKey, DocumentKind, Event, Name, OnFailure, Rejection,
    Served, Share, State, UnixMillis, Workflow,
};
use world::{World, id, name, scenario};

const SUPPORT: &str = r#"{"name": "support",
    "elements": [
        {"id": "start", "kind": "start"},
        {"id": "screen", "kind": "strategy"},
        {"id": "desk", "kind": "queue", "queue": "desk"},
        {"id": "failed", "kind": "end", "disposition": "failed"},
        {"id": "done", "kind": "end"}],
    "connectors": [
        {"from": "start", "outcome": "next", "to": "screen"},
        {"from": "screen", "outcome": "clean", "to": "desk"},
        {"from": "screen", "outcome": "error", "to": "failed"},
        {"from": "desk", "outcome": "completed", "to": "done"}]}"#;

fn world() -> World {
    let mut world = World::default();
    for deployment in ["old", "new"] {
        world.deploy(deployment, &["clean"]);
    }
    world.workflow(SUPPORT);
    world
}

fn with(canary: &Value) -> Value {
    json!({"workflow": "support", "element": "screen", "shares": [{"deployment": "old", "weight": 1}], "canary": canary})
}

fn canary(steps: &[(u8, u64)]) -> Value {
    let steps: Vec<_> = steps.iter().map(|(percent, for_s)| json!({"percent": percent, "for_s": for_s})).collect();
    json!({"deployment": "new", "steps": steps, "guards": {"error_share_max": 0.1, "calls_min": 10}})
}

/// Puts a binding as the API does: after the one that stands.
fn put(world: &mut World, binding: Value, at: u64) -> Result<Binding, Rejection> {
    let binding: Binding = serde_json::from_value(binding).unwrap();
    let standing = standing(world);
    let binding = binding.after(standing.as_ref(), "ann".into(), UnixMillis(at));
    bind(world, &binding, standing, at).map(|()| binding)
}

fn bind(world: &mut World, binding: &Binding, standing: Option<Binding>, at: u64) -> Result<(), Rejection> {
    let (binding, standing) = (binding.clone().into(), standing.map(Into::into));
    world.try_at(Command::Bind { binding, standing, by: "ann".into() }, UnixMillis(at)).map(drop)
}

fn roll_back(world: &mut World, canary: Option<&str>, at: u64) -> Result<(), Rejection> {
    let (workflow, element, canary) = (name("support"), name("screen"), canary.map(name));
    let command = Command::RollBack { workflow, element, canary, message: None, by: "bob".into() };
    world.try_at(command, UnixMillis(at)).map(drop)
}

fn standing(world: &World) -> Option<Binding> {
    world.account.configuration().binding(&name("support"), &name("screen")).map(|binding| Binding::clone(binding))
}

fn served(failures: u64, decisions: u64) -> Served {
    let by =
        |what: &str, count: u64| (count > 0).then(|| (what.to_owned(), count)).into_iter().collect::<BTreeMap<_, _>>();
    Served {
        calls: failures + decisions,
        failures: by("trap", failures),
        outcomes: by("clean", decisions),
        times: CallTimes::default(),
    }
}

fn counted(world: &mut World, canary: Served, since: u64, now: u64) -> Result<Vec<Event>, Rejection> {
    let figures = Box::new(CanaryFigures { since: UnixMillis(since), canary, rest: served(0, 100) });
    let (workflow, element, deployment) = (name("support"), name("screen"), name("new"));
    world.try_at(Command::CanaryCounted { workflow, element, deployment, figures }, UnixMillis(now))
}

/// What is done to a binding to make it wrong.
type Change<'a> = &'a dyn Fn(&mut Value);

fn shares(binding: &Binding) -> Vec<&str> {
    binding.shares.iter().map(|share| share.deployment.as_str()).collect()
}

#[test]
fn what_a_canary_fails_at_the_shares_do_and_retries_are_theirs() {
    let mut world = world();
    put(&mut world, with(&canary(&[(100, 60)])), 0).unwrap();
    scenario(
        world,
        "
        @0   submit chat support             => submitted i1, at start, at screen by next, called new
        @1   fail i1 trap                    => failed trap, called old again 1
        @2   answer i1 clean                 => answered clean, at desk by clean, queued desk
        @3   submit chat support             => submitted i2, at start, at screen by next, called new
        @4   fail i2 trap                    => failed trap, called old again 1
        @5   fail i2 trap                    => failed trap, at failed by error, completed failed
        @6   undeploy new                    => rejected document-in-use
        @7   submit chat support             => submitted i3, at start, at screen by next, called new
        @8   bind support screen old         => bound
        @9   fail i3 trap                    => failed trap, called old again 1
        @10  undeploy new                    => undeployed
    ",
    );
}

#[test]
fn a_canary_takes_none_of_the_retries() {
    let mut world = world();
    let mut binding = with(&canary(&[(100, 60)]));
    binding["on_failure"] = json!({"retries": 1});
    put(&mut world, binding, 0).unwrap();
    scenario(
        world,
        "
        @0   submit chat support             => submitted i1, at start, at screen by next, called new
        @1   fail i1 trap                    => failed trap, called old again 1
        @2   fail i1 trap                    => failed trap, called old again 2
        @3   fail i1 trap                    => failed trap, at failed by error, completed failed
        @4   bind support screen old         => bound
        @5   submit chat support             => submitted i2, at start, at screen by next, called old
        @6   fail i2 trap                    => failed trap, at failed by error, completed failed
    ",
    );
}

#[test]
fn steps_follow_each_other_and_after_the_last_the_canary_is_the_only_share() {
    let mut world = world();
    put(
        &mut world,
        json!({"workflow": "support", "element": "screen", "shares": [{"deployment": "old", "weight": 1}]}),
        1,
    )
    .unwrap();
    let bound = put(&mut world, with(&canary(&[(5, 60), (50, 120)])), 1000).unwrap();
    assert_eq!((bound.earlier.len(), bound.canary.map(|it| (it.step, it.step_at.0))), (1, Some((0, 1000))));
    let early = counted(&mut world, served(0, 10), 1000, 60_999).unwrap_err();
    assert_eq!(early.code(), "not-due");
    let few = counted(&mut world, served(0, 9), 1000, 61_000).unwrap_err();
    assert_eq!(few.code(), "not-due");

    let events = counted(&mut world, served(1, 9), 1000, 61_000).unwrap();
    assert!(matches!(events.as_slice(), [Event::DocumentPut { by, .. }] if by == "signalbox"), "{events:?}");
    let second = standing(&world).unwrap();
    assert_eq!(second.canary.as_ref().map(|it| (it.step, it.step_at.0)), Some((1, 61_000)));
    assert_eq!((second.put_by.as_str(), second.earlier.len()), ("ann", 1), "it is still the binding that ann put");

    // Other guards do not send it back to its first step; other steps do.
    let mut loose = canary(&[(5, 60), (50, 120)]);
    loose["guards"]["error_share_max"] = json!(0.5);
    assert_eq!(put(&mut world, with(&loose), 62_000).unwrap().canary.map(|it| it.step), Some(1));

    counted(&mut world, served(0, 10), 62_000, 182_000).unwrap();
    let promoted = standing(&world).unwrap();
    assert_eq!((shares(&promoted), promoted.canary.is_none()), (vec!["new"], true));
    assert_eq!(promoted.message, "canary `new`, put by ann, promoted after 2 steps");
    assert_eq!((promoted.put_by.as_str(), promoted.put_at.0), ("signalbox", 182_000));
    let back = promoted.back("no".into(), "ann".into(), UnixMillis(190_000), |_| true).unwrap();
    assert_eq!(shares(&back), ["old"]);
    assert_eq!(back.back("no".into(), "ann".into(), UnixMillis(190_001), |_| true), None);
    assert_eq!(counted(&mut world, served(0, 10), 0, 999_000).unwrap_err().code(), "not-awaited");
}

#[test]
fn a_broken_guard_takes_the_canary_away_and_says_why() {
    let mut world = world();
    put(&mut world, with(&canary(&[(5, 60), (50, 120)])), 1000).unwrap();
    counted(&mut world, served(2, 8), 1000, 1001).unwrap();
    let binding = standing(&world).unwrap();
    assert_eq!((shares(&binding), binding.canary.is_none()), (vec!["old"], true));
    assert_eq!(
        binding.message,
        "canary `new`, put by ann, rolled back in step 1 of 2 (5 %): its error share is 0.2, at most 0.1 is allowed: \
         2 of 10 calls failed (trap 2)"
    );
    assert_eq!(binding.put_by, "signalbox");
}

#[test]
fn what_was_made_of_a_binding_is_refused_when_its_canary_has_gone_meanwhile() {
    let mut world = world();
    put(&mut world, with(&Value::Null), 1).unwrap();
    put(&mut world, with(&canary(&[(5, 60)])), 2).unwrap();
    let read = standing(&world).unwrap();
    counted(&mut world, served(50, 50), 2, 3).unwrap();
    let rolled_back = standing(&world);
    assert_eq!(rolled_back.as_ref().and_then(|binding| binding.canary.as_ref()), None);

    // Somebody who had read it before puts another description of it, and somebody else ends the canary.
    let again = read.clone().after(Some(&read), "ann".into(), UnixMillis(4));
    assert_eq!(bind(&mut world, &again, Some(read), 4).unwrap_err().code(), "binding-changed");
    assert_eq!(roll_back(&mut world, Some("new"), 4).unwrap_err().code(), "binding-changed");
    assert_eq!(standing(&world), rolled_back);
}

#[test]
fn a_canary_that_has_gone_a_step_further_meanwhile_is_ended_all_the_same() {
    let mut world = world();
    put(&mut world, with(&canary(&[(5, 1), (50, 60)])), 0).unwrap();
    counted(&mut world, served(0, 100), 0, 2_000).unwrap();
    assert_eq!(standing(&world).and_then(|binding| binding.canary).map(|canary| canary.step), Some(1));
    roll_back(&mut world, Some("new"), 2_001).unwrap();
    let ended = standing(&world).unwrap();
    assert_eq!((ended.canary.is_none(), ended.message.as_str(), ended.put_by.as_str()), (true, "canary ended", "bob"));
}

#[test]
fn what_was_rolled_back_is_still_told_with_its_reason() {
    let mut world = world();
    let plain = |deployment: &str, message: &str| {
        json!({"workflow": "support", "element": "screen", "shares": [{"deployment": deployment, "weight": 1}],
               "message": message})
    };
    put(&mut world, plain("old", "A"), 1).unwrap();
    put(&mut world, plain("new", "B"), 2).unwrap();
    roll_back(&mut world, None, 3).unwrap();
    for at in [10, 20] {
        put(&mut world, with(&canary(&[(5, 60)])), at).unwrap();
        counted(&mut world, served(50, 50), at, at + 1).unwrap();
    }
    let told: Vec<_> = standing(&world).unwrap().earlier.iter().map(|it| (it.put_at.0, it.message.clone())).collect();
    assert_eq!(told.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2, 3, 10, 11, 20]);
    assert_eq!([&told[0].1, &told[1].1, &told[2].1], ["A", "B", "rolled back"]);
    assert!(told[4].1.contains("its error share is 0.5"), "{told:?}");
    assert_eq!(roll_back(&mut world, None, 30).unwrap_err().code(), "binding-has-no-past");
}

#[test]
fn what_was_rolled_back_does_not_come_back_by_rolling_back_further() {
    let mut world = world();
    let plain = |deployment: &str| json!({"workflow": "support", "element": "screen", "shares": [{"deployment": deployment, "weight": 1}]});
    for (at, deployment) in [(1, "new"), (2, "old"), (3, "new")] {
        put(&mut world, plain(deployment), at).unwrap();
    }
    roll_back(&mut world, None, 4).unwrap();
    assert_eq!(shares(&standing(&world).unwrap()), ["old"]);
    assert_eq!(roll_back(&mut world, None, 5).unwrap_err().code(), "binding-has-no-past");
}

#[test]
fn a_rollback_passes_over_what_is_deleted_and_says_so() {
    let mut world = world();
    world.deploy("gone", &["clean"]);
    let plain = |deployment: &str| json!({"workflow": "support", "element": "screen", "shares": [{"deployment": deployment, "weight": 1}]});
    for (at, deployment) in [(1, "old"), (2, "gone"), (3, "new")] {
        put(&mut world, plain(deployment), at).unwrap();
    }
    let key = DocumentKey { kind: DocumentKind::Deployment, name: name("gone"), element: None, version: 0 };
    world.try_at(Command::Remove { key, by: "ann".into() }, UnixMillis(4)).unwrap();
    roll_back(&mut world, None, 5).unwrap();
    let back = standing(&world).unwrap();
    let message = "rolled back (passed over what was served by gone, deleted since)";
    assert_eq!((shares(&back), back.message.as_str()), (vec!["old"], message));
    assert_eq!(roll_back(&mut world, None, 6).unwrap_err().code(), "binding-has-no-past");
}

#[test]
fn a_gate_asks_for_one_decision_at_least() {
    let mut world = world();
    let gated = |replayed_min: u64| {
        let mut binding = with(&Value::Null);
        binding["gate"] = json!({"replayed_min": replayed_min, "changed_percent_max": 2});
        binding
    };
    let refused = put(&mut world, gated(0), 1).unwrap_err();
    assert!(matches!(refused, Rejection::Invalid { field: "gate.replayed_min", .. }), "{refused}");
    put(&mut world, gated(1), 1).unwrap();

    // Nor does it go with the binding, past which anybody could come in.
    let element = Some(name("screen"));
    let key = DocumentKey { kind: DocumentKind::Binding, name: name("support"), element, version: 0 };
    let remove =
        |world: &mut World| world.try_at(Command::Remove { key: key.clone(), by: "ann".into() }, UnixMillis(2));
    let refused = remove(&mut world).unwrap_err();
    assert!(matches!(refused, Rejection::Invalid { field: "gate", .. }), "{refused}");
    put(&mut world, with(&Value::Null), 3).unwrap();
    remove(&mut world).unwrap();
}

#[test]
fn who_was_rolled_back_is_new_again_to_a_gate_and_who_only_gave_way_is_not() {
    let mut world = world();
    let shares = |of: &[&str]| {
        let shares: Vec<_> = of.iter().map(|deployment| json!({"deployment": deployment, "weight": 1})).collect();
        json!({"workflow": "support", "element": "screen", "shares": shares})
    };
    let gated = |deployment: &str| {
        let mut binding = shares(&[deployment]);
        binding["gate"] = json!({"replayed_min": 1, "changed_percent_max": 2});
        binding
    };
    // It has served in a split before it is rolled back.
    for (at, of) in [(1, &["old", "new"][..]), (2, &["old"]), (3, &["new"])] {
        put(&mut world, shares(of), at).unwrap();
    }
    roll_back(&mut world, None, 4).unwrap();
    put(&mut world, gated("old"), 5).unwrap();
    let refused = put(&mut world, gated("new"), 6).unwrap_err();
    assert!(matches!(refused, Rejection::GateShut { field: "shares", .. }), "{refused}");

    // Let in without the gate it serves again, gives way, and may come back.
    for (at, binding) in [(7, shares(&["old"])), (8, shares(&["new"])), (9, gated("old"))] {
        put(&mut world, binding, at).unwrap();
    }
    put(&mut world, gated("new"), 10).unwrap();
}

#[test]
fn what_is_told_of_a_binding_is_bounded_and_keeps_what_there_is_to_go_back_to() {
    let mut world = world();
    put(
        &mut world,
        json!({"workflow": "support", "element": "screen", "shares": [{"deployment": "new", "weight": 1}]}),
        1,
    )
    .unwrap();
    for at in 1..100 {
        put(&mut world, with(&canary(&[(5, 60)])), at * 10).unwrap();
        roll_back(&mut world, Some("new"), at * 10 + 1).unwrap();
    }
    assert_eq!(standing(&world).unwrap().earlier.len(), 40);
    roll_back(&mut world, None, 2000).unwrap();
    assert_eq!(shares(&standing(&world).unwrap()), ["new"]);
}

#[test]
fn a_rollback_ends_a_canary_and_the_next_goes_to_what_stood_before() {
    let mut world = world();
    let plain = |deployment: &str| json!({"workflow": "support", "element": "screen", "shares": [{"deployment": deployment, "weight": 1}]});
    put(&mut world, plain("new"), 1).unwrap();
    put(&mut world, plain("old"), 2).unwrap();
    put(&mut world, with(&canary(&[(5, 60)])), 3).unwrap();
    roll_back(&mut world, Some("new"), 4).unwrap();
    let ended = standing(&world).unwrap();
    assert_eq!((shares(&ended), ended.canary.is_none(), ended.message.as_str()), (vec!["old"], true, "canary ended"));
    roll_back(&mut world, None, 5).unwrap();
    let before = standing(&world).unwrap();
    assert_eq!((shares(&before), before.message.as_str()), (vec!["new"], "rolled back"));
    assert_eq!(roll_back(&mut world, None, 6).unwrap_err().code(), "binding-has-no-past");
}

#[test]
fn a_canary_keeps_its_interactions_as_its_part_grows_and_leaves_the_others_where_they_are() {
    let mut world = world();
    world.deploy("third", &["clean"]);
    let mut called = Vec::new();
    for percent in [1, 10, 40, 100] {
        let mut binding = with(&canary(&[(percent, 60)]));
        binding["shares"] = json!([{"deployment": "old", "weight": 1}, {"deployment": "third", "weight": 1}]);
        // The same identifiers each time.
        let (account, mut world) = (world.account.clone(), World::default());
        world.account = account;
        put(&mut world, binding, 0).unwrap();
        let dealt = (1..=400).map(|n| {
            world.at(1, "submit chat support");
            match &world.account.live(id(n)).unwrap().state {
                State::Routing { deployment, .. } => deployment.to_string(),
                other => panic!("{other:?}"),
            }
        });
        called.push(dealt.collect::<Vec<_>>());
    }
    for pair in called.windows(2) {
        for (before, after) in pair[0].iter().zip(&pair[1]) {
            assert!(after == "new" || after == before, "{before} became {after}");
        }
    }
    let of = |step: usize, wanted: &str| called[step].iter().filter(|it| *it == wanted).count();
    assert_eq!(of(3, "new"), 400);
    assert!((120..=200).contains(&of(2, "new")), "{}", of(2, "new"));
    for share in ["old", "third"] {
        assert!((90..=150).contains(&of(2, share)), "{share} gets its half of the rest: {}", of(2, share));
    }
}

#[test]
fn a_canary_that_makes_no_sense_is_refused_with_the_field_at_fault() {
    let mut world = world();
    let mut refused = |change: &dyn Fn(&mut Value)| {
        let mut wanted = with(&canary(&[(5, 60), (50, 120)]));
        change(&mut wanted);
        put(&mut world, wanted, 0).unwrap_err().to_string()
    };
    let cases: [(Change<'_>, &str); 9] = [
        (&|b| b["canary"]["steps"] = json!([]), "canary.steps: 1 to 20 steps"),
        (&|b| b["canary"]["steps"][1]["percent"] = json!(5), "canary.steps: each step has a greater"),
        (&|b| b["canary"]["steps"][1]["percent"] = json!(101), "canary.steps: a step's `percent`"),
        (&|b| b["canary"]["steps"][0]["for_s"] = json!(0), "canary.steps: a step's `for_s`"),
        (&|b| b["canary"]["guards"] = json!({}), "canary.guards: give at least one"),
        (&|b| b["canary"]["guards"]["calls_min"] = json!(0), "canary.guards.calls_min"),
        (&|b| b["canary"]["guards"]["p99_max_us"] = json!(0), "canary.guards.p99_max_us"),
        (&|b| b["canary"]["deployment"] = json!("old"), "canary.deployment: `old` has a share already"),
        (&|b| b["canary"]["deployment"] = json!("nothing"), "there is no deployment"),
    ];
    for (change, wanted) in cases {
        let why = refused(change);
        assert!(why.contains(wanted), "{why} is not {wanted}");
    }
    let whole = refused(&|b| {
        b["canary"] = canary(&[(100, 60)]);
        b["canary"]["guards"]["outcome_shift_max"] = json!(0.1);
    });
    assert!(whole.starts_with("canary.guards.outcome_shift_max"), "{whole}");
}

#[test]
fn the_outcomes_of_a_canary_are_connected_as_those_of_a_share() {
    let mut world = world();
    world.deploy("wide", &["clean", "spam"]);
    let mut wanted = with(&canary(&[(5, 60)]));
    wanted["canary"]["deployment"] = json!("wide");
    assert_eq!(put(&mut world, wanted, 0).unwrap_err().code(), "outcome-unconnected");
    put(&mut world, with(&canary(&[(5, 60)])), 0).unwrap();
    let mut without: Workflow = serde_json::from_str(SUPPORT).unwrap();
    without.connectors.retain(|connector| connector.outcome != "clean");
    let put = world.put(Document::Workflow(without.into(), 0));
    assert_eq!(put.unwrap_err().code(), "workflow-faulty");
}

#[test]
fn going_back_passes_over_what_is_gone() {
    let share = |of: &str| vec![Share { deployment: name(of), weight: 1 }];
    let put = |of: &str, shadow: &str, standing: Option<&Binding>| {
        let mut binding = Binding::new(name("support"), name("screen"), share(of), OnFailure::default());
        binding.shadows = vec![name(shadow)];
        binding.after(standing, "ann".into(), UnixMillis(1))
    };
    let first = put("a", "x", None);
    let second = put("b", "y", Some(&first));
    let third = put("c", "y", Some(&second));
    let back = |gone: &[&str]| {
        let exists = |of: &Name| !gone.contains(&of.as_str());
        third.back("no".into(), "bob".into(), UnixMillis(2), exists)
    };
    let served = |binding: Option<Binding>| binding.map(|b| (b.shares[0].deployment.to_string(), b.shadows));
    assert_eq!(served(back(&[])), Some(("b".into(), vec![name("y")])));
    assert_eq!(served(back(&["y"])), Some(("b".into(), vec![])), "a shadow that is gone");
    assert_eq!(served(back(&["b"])), Some(("a".into(), vec![name("x")])), "what served is gone");
    assert_eq!(served(back(&["a", "b"])), None);
}
