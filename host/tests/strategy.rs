//! What the strategy runtime promises, proved with strategies that break their side: `tests/guests/hostile` does what the
//! interaction's body or the settings tell it to.
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod guest;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use signalbox::strategy::{
    Answer, Asset, CallResult, DEADLINE, DEADLINE_MAX, Deployment, Full, Grants, InstallError, Installed, Job, Level,
    Nothing, ObjectKind, Options, Package, Pool, QUESTIONS_MAX, REPLAYING, Recorded, RenderedText, Runtime,
    componentize, lower_priority,
};
use signalbox_engine::{
    Calendar, Category, ClockReading, Content, Entry, Facts, Failure, InteractionId, Message, Name, Request, UnixMillis,
};

static HOSTILE: LazyLock<Vec<u8>> = LazyLock::new(|| guest::component("hostile"));

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let images = tempfile::tempdir().unwrap().keep();
    Runtime::new(&Options::new(images)).unwrap()
});

fn install(settings: &str) -> Result<Installed, InstallError> {
    RUNTIME.install(&HOSTILE, settings, &[])
}

fn package<'a>(installed: &'a Installed, name: &str) -> Package<'a> {
    Package {
        name: Name::new(name).unwrap(),
        manifest: installed.manifest.clone(),
        image: &installed.image,
        component: &installed.component,
        configuration: None,
        deadline: DEADLINE,
        scope: None,
    }
}

fn deployment(settings: &str) -> Arc<Deployment> {
    RUNTIME.load(package(&install(settings).unwrap(), "hostile")).unwrap()
}

static PLAIN: LazyLock<Arc<Deployment>> = LazyLock::new(|| deployment("{}"));

fn request(body: &str) -> Request {
    let entry = |key: &str, value: &str| Entry { key: key.into(), value: value.into() };
    let message = Message {
        media_type: Name::new("email").unwrap(),
        subject: Some("Where is my order".into()),
        body: body.into(),
        sender: Some("ana@example.com".into()),
        recipient: None,
        headers: vec![entry("x-spam-score", "1"), entry("received", "a"), entry("received", "b")],
        submitted_at: UnixMillis(1_000),
    };
    let facts = Facts {
        categories: vec![Category { name: "orders".into(), relevancy: 80 }],
        user_data: BTreeMap::from([("tier".into(), "gold".into()), ("lang".into(), "en".into())]),
        priority: 7,
        ..Facts::default()
    };
    Request {
        interaction: InteractionId(uuid::Uuid::from_u128(0x0192)),
        content: Arc::new(Content { message: Arc::new(message), facts }),
        workflow: Name::new("support").unwrap(),
        element: Name::new("screen").unwrap(),
        visit: 2,
        now: UnixMillis(5_000),
    }
}

fn nothing() -> Arc<dyn Grants> {
    Arc::new(Nothing)
}

fn call(body: &str) -> CallResult {
    PLAIN.call(&request(body), &nothing())
}

fn trap(body: &str) -> String {
    match call(body).outcome {
        Err(Failure::Trap(why)) => why,
        other => panic!("no trap: {other:?}"),
    }
}

fn refusal(body: &str) -> String {
    match call(body).outcome {
        Err(Failure::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

fn reason(result: CallResult) -> String {
    result.outcome.unwrap().reason
}

#[test]
fn a_file_that_is_no_component_is_refused_with_what_to_do() {
    let code = |bytes: &[u8]| RUNTIME.inspect(bytes).map(|_| ()).map_err(|error| error.code());
    assert_eq!(code(b""), Err("strategy-not-wasm"));
    assert_eq!(code(b"#!/bin/sh"), Err("strategy-not-wasm"));
    assert_eq!(code(&guest::module("hostile")), Err("strategy-core-module"));
    assert_eq!(code(b"\0asm\x0d\0\x01\0\xff\xff\xff"), Err("strategy-malformed"));
    assert_eq!(code(&vec![0; (32 << 20) + 1]), Err("strategy-too-large"));
    let core = RUNTIME.inspect(&guest::module("hostile")).unwrap_err().to_string();
    assert!(core.contains("signalbox strategy build"), "{core}");
}

#[test]
fn a_component_that_is_cut_off_is_refused() {
    let cut = &HOSTILE[..HOSTILE.len() / 2];
    assert_eq!(RUNTIME.inspect(cut).unwrap_err().code(), "strategy-malformed");
    let mut damaged = HOSTILE.clone();
    for byte in &mut damaged[HOSTILE.len() / 3..][..64] {
        *byte ^= 0x55;
    }
    assert_eq!(RUNTIME.install(&damaged, "{}", &[]).unwrap_err().code(), "strategy-malformed");
}

#[test]
fn a_component_of_another_world_is_told_what_it_lacks() {
    let empty = wat("(component)");
    let missing = RUNTIME.inspect(&empty).unwrap_err();
    assert!(matches!(&missing, InstallError::ExportMissing { export: "describe", exports } if exports.is_empty()));

    let foreign = wat(r#"(component (import "wasi:clocks/wall-clock@0.3.0" (instance)))"#);
    let refused = RUNTIME.inspect(&foreign).unwrap_err();
    assert_eq!(refused, InstallError::ImportNotGranted { import: "wasi:clocks/wall-clock@0.3.0".into() });

    let newer = wat(r#"(component (import "signalbox:strategy/log@2.0.0" (instance)))"#);
    assert_eq!(RUNTIME.inspect(&newer).unwrap_err().code(), "strategy-version-unserved");
    let newer = wat(r#"(component (import "signalbox:strategy/log@1.2.0" (instance)))"#);
    assert_eq!(
        RUNTIME.inspect(&newer).unwrap_err().to_string(),
        "the component is built against signalbox:strategy@1.2.0, and this server serves 1.0 and 1.1: build it against \
         one of these, or update the server"
    );
    let ahead = wat(r#"(component (import "signalbox:strategy/clocks@1.0.0" (instance)))"#);
    assert_eq!(RUNTIME.inspect(&ahead).unwrap_err().code(), "strategy-import-not-granted");

    let named_alike = wat(r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (export "describe" (func $f)) (export "configure" (func $f)) (export "route" (func $f)))"#);
    let mismatch = RUNTIME.inspect(&named_alike).unwrap_err();
    assert_eq!(mismatch.code(), "strategy-world-mismatch");
    assert!(mismatch.to_string().contains("describe") || mismatch.to_string().contains("configure"), "{mismatch}");
}

#[test]
fn a_module_that_would_take_for_ever_to_compile_is_refused_before() {
    let functions = "(func)".repeat(100_001);
    let many = wat(&format!("(component (core module {functions}))"));
    assert_eq!(RUNTIME.inspect(&many).unwrap_err().code(), "strategy-too-complex");
    let long = format!("(component (core module (func {})))", "i32.const 1000000 drop ".repeat(300_000));
    assert_eq!(RUNTIME.inspect(&wat(&long)).unwrap_err().code(), "strategy-too-complex");
}

#[test]
fn inspection_tells_manifest_imports_and_exports() {
    let inspection = RUNTIME.inspect(&HOSTILE).unwrap();
    assert_eq!(inspection.manifest.name, "hostile");
    assert_eq!(inspection.manifest.outcomes.len(), 1);
    assert!(inspection.shape.imports.contains(&"signalbox:strategy/log@1.1.0".to_owned()));
    assert_eq!(inspection.shape.exports, ["describe", "configure", "route"]);
    assert_eq!(inspection.shape.bytes, HOSTILE.len());
}

#[test]
fn bad_settings_fail_the_deployment_and_name_the_field() {
    assert_eq!(install("{").unwrap_err().code(), "settings-not-json");
    match install(r#"{"deep": {"n": "three"}}"#).unwrap_err() {
        InstallError::SettingsSchema { pointer, .. } => assert_eq!(pointer, "/deep/n"),
        other => panic!("{other}"),
    }
    assert_eq!(install(r#""refuse""#).unwrap_err(), InstallError::Settings("rule 3 has no pattern".into()));
}

#[test]
fn a_configure_that_misbehaves_is_a_clear_error_and_no_more() {
    let failure = |settings| match install(settings).unwrap_err() {
        InstallError::Configure(failure) => failure,
        other => panic!("{other}"),
    };
    assert!(matches!(failure(r#""trap""#), Failure::Trap(why) if why.starts_with("it panicked or aborted")));
    assert!(
        matches!(failure(r#""memory""#), Failure::Trap(why) if why.starts_with("it ran into its memory limit of 64 MiB"))
    );
    let asks = "it asked for key ana of table vip, and only `log` may be called before it is deployed";
    assert_eq!(failure(r#""lookup""#), Failure::Trap(asks.into()));
    assert_eq!(install(r#""log""#).unwrap().log[0].message, "configured");
}

#[test]
fn a_configure_that_never_ends_is_stopped_after_ten_seconds() {
    let overrun = install(r#""loop""#).unwrap_err();
    assert_eq!(overrun, InstallError::Configure(Failure::Overrun { deadline_ms: 10_000 }));
}

#[test]
fn a_describe_that_misbehaves_after_configure_is_refused() {
    let of = |settings| install(settings).unwrap_err();
    assert_eq!(of(r#""describe: no outcome""#), InstallError::Manifest("it declares no outcome".into()));
    assert_eq!(of(r#""describe: outcome twice""#), InstallError::Manifest("it declares the outcome `ok` twice".into()));
    assert_eq!(of(r#""describe: bad outcome""#).code(), "strategy-manifest-invalid");
    assert_eq!(of(r#""describe: loop""#), InstallError::Describe(Failure::Overrun { deadline_ms: 1000 }));
}

#[test]
fn outcomes_are_those_of_the_configured_strategy() {
    let outcomes = install(r#""describe: one more""#).unwrap().manifest.outcomes;
    assert_eq!(outcomes.iter().map(|outcome| outcome.name.as_str()).collect::<Vec<_>>(), ["ok", "more"]);
}

#[test]
fn settings_and_assets_are_baked_into_the_snapshot() {
    let words = Asset { name: "words".into(), content: vec![7; 300_000] };
    let installed = RUNTIME.install(&HOSTILE, r#""kept""#, &[words]).unwrap();
    assert!(installed.snapshotted);
    let deployment = RUNTIME.load(package(&installed, "kept")).unwrap();
    assert_eq!(reason(deployment.call(&request("settings"), &nothing())), r#""kept""#);
    assert_eq!(reason(deployment.call(&request("assets"), &nothing())), "300000");
    assert_eq!(
        RUNTIME.install(&HOSTILE, "{}", &[Asset { name: "other".into(), content: vec![] }]).unwrap_err().code(),
        "asset-unknown"
    );
}

#[test]
fn a_strategy_that_was_not_snapshotted_is_configured_on_every_call() {
    let installed = install("{}").unwrap();
    let words = Asset { name: "words".into(), content: vec![7; 30] };
    let raw = Package {
        // Not the snapshot: the component as it was uploaded, whose image does not exist yet.
        component: &HOSTILE,
        image: b"",
        configuration: Some((r#""anew""#.into(), vec![words])),
        ..package(&installed, "anew")
    };
    let deployment = RUNTIME.load(raw).unwrap();
    for _ in 0..2 {
        assert_eq!(reason(deployment.call(&request("settings"), &nothing())), r#""anew""#);
        assert_eq!(reason(deployment.call(&request("count"), &nothing())), "31");
    }
    let refused = RUNTIME
        .load(Package {
            component: &HOSTILE,
            image: b"",
            configuration: Some((r#""refuse""#.into(), vec![])),
            ..package(&installed, "refuses")
        })
        .unwrap();
    let why = "it refuses its settings: rule 3 has no pattern";
    assert_eq!(refused.call(&request(""), &nothing()).outcome, Err(Failure::Trap(why.into())));
}

#[test]
fn a_component_that_cannot_be_snapshotted_is_installed_all_the_same() {
    let installed = RUNTIME.install(&nest(&HOSTILE), r#""nested""#, &[]).unwrap();
    assert!(!installed.snapshotted);
    assert!(installed.unsnapshotted_because.as_ref().is_some_and(|why| !why.is_empty()));
    let deployment = RUNTIME
        .load(Package { configuration: Some((r#""nested""#.into(), vec![])), ..package(&installed, "nested") })
        .unwrap();
    assert_eq!(reason(deployment.call(&request("settings"), &nothing())), r#""nested""#);
}

#[test]
fn an_image_of_another_version_is_compiled_anew() {
    let installed = install("{}").unwrap();
    let mut image = installed.image.clone();
    image.truncate(image.len() / 2);
    let deployment = RUNTIME.load(Package { image: &image, ..package(&installed, "old") }).unwrap();
    assert!(deployment.recompiled().is_some());
    assert_eq!(deployment.call(&request(""), &nothing()).outcome.unwrap().outcome, "ok");
    assert!(PLAIN.recompiled().is_none());
}

#[test]
fn a_request_crosses_whole() {
    assert_eq!(
        reason(call("echo")),
        "00000000-0000-0000-0000-000000000192 email Some(\"Where is my order\") Some(\"ana@example.com\") \
         [\"x-spam-score=1\", \"received=a\", \"received=b\"] lang=entier=gold orders:80 7 support screen 2 5000"
    );
}

#[test]
fn nothing_of_one_call_is_there_in_the_next() {
    for _ in 0..3 {
        assert_eq!(reason(call("count")), "1");
    }
}

#[test]
fn a_trap_harms_its_own_call_alone() {
    let why = trap("trap");
    assert!(why.starts_with("it panicked or aborted (in "), "{why}");
    assert!(why.contains("route"), "{why}");
    assert!(trap("panic all is lost").starts_with("it panicked or aborted"));
    assert!(trap("sdk-panic no rule").starts_with("panicked at src/lib.rs:7: no rule"));
    assert_eq!(call("").outcome.unwrap().outcome, "ok");
}

#[test]
fn a_loop_ends_at_the_deadline() {
    let began = Instant::now();
    assert_eq!(call("loop").outcome, Err(Failure::Overrun { deadline_ms: 50 }));
    assert!(began.elapsed() >= Duration::from_millis(49));
    let installed = install("{}").unwrap();
    let brief = Package { deadline: Duration::from_millis(3), ..package(&installed, "brief") };
    let outcome = RUNTIME.load(brief).unwrap().call(&request("loop"), &nothing()).outcome;
    assert_eq!(outcome, Err(Failure::Overrun { deadline_ms: 3 }));
}

#[test]
fn memory_and_recursion_end_at_their_limits() {
    // Time enough to get there: a busy machine takes long to bring so much memory in.
    let installed = install("{}").unwrap();
    let patient = Package { deadline: DEADLINE_MAX, ..package(&installed, "patient") };
    let patient = RUNTIME.load(patient).unwrap();
    let trap = |body: &str| match patient.call(&request(body), &nothing()).outcome {
        Err(Failure::Trap(why)) => why,
        other => panic!("no trap: {other:?}"),
    };
    assert!(trap("memory").starts_with("it ran into its memory limit of 64 MiB"));
    assert!(trap("recurse").starts_with("it calls itself too deep"));
    assert!(trap("stack").contains("perhaps it calls itself too deep"), "{}", trap("stack"));
}

#[test]
fn code_that_configures_nests_a_quarter_as_deep_as_what_serves_at_least() {
    let serves = |n: &u64| call(&format!("nest {n}")).outcome.is_ok();
    let deepest = (10..30).map(|log| 1_u64 << log).take_while(serves).last().unwrap();
    let configured = |n: u64| install(&format!("\"nest {n}\"")).map(drop).map_err(|error| error.code());
    assert_eq!(configured(deepest / 4), Ok(()));
    assert_eq!(configured(1 << 40), Err("strategy-configure-failed"), "a stack has an end");
}

#[test]
fn an_answer_out_of_bounds_is_refused_with_the_bound() {
    assert_eq!(refusal("outcome"), "outcome `nowhere` is none of the manifest's: ok");
    assert_eq!(refusal("actions 65"), "65 actions, and at most 64 are taken");
    assert_eq!(refusal("priority 1001"), "action 1: a priority is 0 to 1000, not 1001");
    assert_eq!(refusal("relevancy 101"), "action 1: a category's relevancy is 0 to 100, not 101");
    assert_eq!(refusal("replies 5"), "300002 bytes of text in all, and at most 262144 are taken");
    assert!(refusal("reason 10000000").starts_with("its answer has more than 512 KiB"));
    assert!(refusal("actions 20000").starts_with("its answer has more than 512 KiB"));
    assert_eq!(reason(call("reason 5000")).len(), 4096);
    assert_eq!(call("actions 64").outcome.unwrap().actions.len(), 64);
}

#[test]
fn a_failure_that_the_strategy_gives_comes_through() {
    assert_eq!(call("unsuitable no body").outcome, Err(Failure::Unsuitable("no body".into())));
    assert_eq!(call("missing vips").outcome, Err(Failure::Missing("vips".into())));
}

#[test]
fn a_flood_of_log_is_cut_and_harms_nothing() {
    let result = call("log 10000");
    assert_eq!(result.outcome.unwrap().outcome, "ok");
    let bytes: usize = result.record.log.iter().map(|line| line.message.len()).sum();
    assert!(bytes <= (64 << 10) + 100, "{bytes}");
    assert_eq!(result.record.log.last().unwrap().message, "the log is cut here, at 64 KiB");
    let long = call("long-log 400000");
    assert_eq!(long.record.log[0].message.len(), 64 << 10);
    assert_eq!(long.record.log[0].level, Level::Info);
    let why = trap("long-log 1000000");
    assert!(why.starts_with("it handed the server more than 512 KiB at once"), "{why}");
}

#[test]
fn a_flood_of_questions_ends_the_call() {
    let why = trap(&format!("statistics {}", QUESTIONS_MAX + 1));
    assert_eq!(why, "it asked the server more than 1000 times in one call");
    assert_eq!(call("statistics 1000").record.granted.len(), 1000);
    assert_eq!(trap("empty-fields 257"), "it gave a standard response more than 256 fields");
    assert_eq!(trap("empty-fields 256"), "it exchanged more than 256 KiB with the server in one call");
    assert_eq!(trap("long-question 300000"), "it exchanged more than 256 KiB with the server in one call");
    assert!(trap("long-question 5000000").starts_with("it handed the server more than 512 KiB at once"));
}

/// An account that knows one of each.
struct Known;

impl Grants for Known {
    fn statistic(&self, kind: ObjectKind, name: &str, statistic: &str) -> Option<f64> {
        ((kind, name, statistic) == (ObjectKind::AgentGroup, "sales", "ewt")).then_some(0.1 + 0.2)
    }

    fn lookup(&self, table: &str, key: &str) -> Option<String> {
        ((table, key) == ("vip", "ana")).then(|| "gold".into())
    }

    fn is_open(&self, calendar: &str, at: UnixMillis) -> Option<bool> {
        (calendar == "office").then_some(at.0 > 6_000)
    }

    fn next_opening(&self, calendar: &str, after: UnixMillis) -> Option<UnixMillis> {
        (calendar == "office").then_some(after.plus(1_000))
    }

    fn clock(&self, calendar: &str, at: UnixMillis) -> Option<ClockReading> {
        let office = r#"{"time_zone": "Europe/Berlin"}"#;
        (calendar == "office").then(|| serde_json::from_str::<Calendar>(office).unwrap().clock(at))?
    }

    fn closes_at(&self, calendar: &str, at: UnixMillis) -> Option<UnixMillis> {
        (calendar == "office").then_some(at.plus(2_000))
    }

    fn render(&self, name: &str, language: Option<&str>, fields: &[Entry], request: &Request) -> Option<RenderedText> {
        let text = format!("{} {language:?} {} {}", name, fields[0].value, request.interaction);
        Some((None, text))
    }
}

const ANSWERS: &str = "Some(0.30000000000000004) Some(\"gold\") Some(false) Some(6000) \
    Some((None, \"hello Some(\\\"pt-BR\\\") Ana 00000000-0000-0000-0000-000000000192\"))";

#[test]
fn answers_are_recorded_and_a_replay_asks_nobody() {
    let grants: Arc<dyn Grants> = Arc::new(Known);
    let first = PLAIN.call(&request("questions"), &grants);
    assert_eq!(first.outcome.as_ref().unwrap().reason, ANSWERS);
    assert_eq!(first.record.granted.len(), 5);
    assert_eq!(first.record.granted[3].answer, Answer::Open(Some(false)));

    let kept = Recorded::decode(&first.record.encode()).unwrap();
    let again = PLAIN.replay(&request("questions"), &kept);
    assert_eq!(again.outcome, first.outcome);
    assert_eq!(again.record.granted, first.record.granted);
}

/// The starter in C as it was built against 1.0.0, which is never built again.
const OF_1_0: &[u8] = include_bytes!("../../tests/fixtures/wit-1.0/triage.wasm");

#[test]
fn a_strategy_of_1_0_runs_unchanged_beside_one_of_1_1() {
    let imports = RUNTIME.inspect(OF_1_0).unwrap().shape.imports;
    assert!(imports.contains(&"signalbox:strategy/tables@1.0.0".to_owned()), "{imports:?}");
    let imports = RUNTIME.inspect(&HOSTILE).unwrap().shape.imports;
    assert!(imports.contains(&"signalbox:strategy/clocks@1.1.0".to_owned()), "{imports:?}");

    let settings = r#"{"rules": [{"words": ["refund"], "outcome": "billing"}], "vip_table": "vip"}"#;
    let installed = RUNTIME.install(OF_1_0, settings, &[]).unwrap();
    let old = RUNTIME.load(package(&installed, "old")).unwrap();
    let grants: Arc<dyn Grants> = Arc::new(Known);
    for (deployment, body, expected) in [(&old, "A refund, please", "billing"), (&*PLAIN, "clocks", "ok")] {
        let first = deployment.call(&request(body), &grants);
        let decision = first.outcome.as_ref().unwrap();
        assert_eq!(decision.outcome, expected, "{body}");
        assert!(!first.record.granted.is_empty());
        let kept = Recorded::decode(&first.record.encode()).unwrap();
        assert_eq!(deployment.replay(&request(body), &kept).outcome.as_ref(), Ok(decision));
    }
    let clock = "1970-1-1 Weekday::Thursday 1:0 Europe/Berlin +60, closes Some(7000); None None";
    assert_eq!(reason(PLAIN.call(&request("clocks"), &grants)), clock);
}

#[test]
fn a_replay_that_asks_for_something_else_says_so() {
    let record = call("questions").record;
    let mut other = request("questions");
    other.now = UnixMillis(9_000);
    let why = "the call asked for whether calendar office is open at 9000, where the record has whether calendar office \
               is open at 5000";
    assert_eq!(PLAIN.replay(&other, &record).outcome, Err(Failure::Unavailable(why.into())));
    let nothing_more = PLAIN.replay(&request("questions"), &Recorded::default()).outcome.unwrap_err();
    assert!(nothing_more.to_string().ends_with("where the record has nothing more"), "{nothing_more}");
}

#[test]
fn a_warm_instance_keeps_what_a_fresh_one_forgets() {
    let mut warm = PLAIN.warm().unwrap();
    assert_eq!(reason(warm.call(&request("count"), &nothing())), "1");
    assert_eq!(reason(warm.call(&request("count"), &nothing())), "2");
}

#[test]
fn an_instance_that_may_answer_several_calls_is_thrown_away_after_them_and_after_any_trap() {
    let installed = install("{}").unwrap();
    let configuration = Some((r#""warm""#.into(), vec![]));
    let raw = Package { component: &HOSTILE, image: b"", configuration, ..package(&installed, "warm") };
    let deployment = RUNTIME.load(raw).unwrap();
    let call = |body| {
        let (result, spent) = deployment.answer_warm(&request(body), &nothing(), NonZero::new(3).unwrap());
        spent.clear();
        result
    };
    let count = || reason(call("count"));
    assert_eq!([count(), count(), count(), count()], ["1", "2", "3", "1"], "three calls, then a fresh one");
    assert!(matches!(call("trap").outcome, Err(Failure::Trap(_))));
    assert_eq!([count(), count()], ["1", "2"]);
    assert_eq!(call("missing it").outcome, Err(Failure::Missing("it".into())), "which is an answer");
    assert_eq!(count(), "1", "that was the third call");
    assert!(matches!(call("outcome").outcome, Err(Failure::Refused(_))));
    assert_eq!(count(), "1");
    assert_eq!(reason(deployment.call(&request("count"), &nothing())), "1", "unless asked for, a call is alone");
    assert_eq!(reason(call("settings")), r#""warm""#);

    let snapshotted = RUNTIME.load(package(&installed, "fresh")).unwrap();
    let warm = || {
        let (result, spent) = snapshotted.answer_warm(&request("count"), &nothing(), NonZero::new(3).unwrap());
        spent.clear();
        reason(result)
    };
    assert_eq!([warm(), warm()], ["1", "1"], "what was snapshotted is fresh at no cost");
}

#[test]
fn a_sandbox_that_was_made_ready_is_as_fresh_as_one_that_is_made_for_the_call() {
    let installed = install("{}").unwrap();
    let configuration = Some((r#""log""#.into(), vec![]));
    let anew = Package { component: &HOSTILE, image: b"", configuration, ..package(&installed, "ready") };
    for package in [package(&installed, "ready"), anew] {
        let deployment = RUNTIME.load(package).unwrap();
        let answer = |body| {
            let (result, spent) = deployment.answer(&request(body), &nothing());
            spent.clear();
            result
        };
        for _ in 0..3 {
            let first = answer("count");
            assert_eq!(reason(first.clone()), "1", "nothing of the call before is there");
            assert_eq!(deployment.replay(&request("count"), &first.record).outcome, first.outcome);
            let clocks = answer("clocks");
            assert_eq!(deployment.replay(&request("clocks"), &clocks.record).outcome, clocks.outcome);
            assert_eq!(deployment.call(&request("clocks"), &nothing()).outcome, clocks.outcome);
            assert!(matches!(answer("trap").outcome, Err(Failure::Trap(_))));
            assert!(answer("log").record.log.iter().all(|line| !line.message.contains("configured")));
        }
    }
}

#[test]
fn a_deployment_that_is_retired_leaves_no_sandbox_behind() {
    let images = tempfile::tempdir().unwrap();
    let runtime = Runtime::new(&Options::new(images.path().to_owned())).unwrap();
    let deployment = runtime.load(package(&install("{}").unwrap(), "retired")).unwrap();
    let answer = || deployment.answer(&request("count"), &nothing()).1;
    answer().clear();
    assert_eq!(runtime.waiting(), 0, "one call says nothing of a next");
    // Calls that follow within a second, unless the machine stands still: then there are more.
    while runtime.waiting() == 0 {
        answer().clear();
    }
    answer().clear();
    assert_eq!(runtime.waiting(), 1, "one takes it, and makes the next");
    let under_way = answer();
    deployment.retire();
    under_way.clear();
    assert_eq!(runtime.waiting(), 0, "whether it waited or was made just then");
}

#[test]
fn memory_and_time_of_a_call_are_measured() {
    let record = call("echo").record;
    assert!(record.memory_bytes >= 64 << 10 && record.memory_bytes <= 64 << 20, "{}", record.memory_bytes);
    assert!(record.guest_ns > 0 && record.instantiate_ns > 0);
}

#[test]
fn a_module_without_the_world_is_no_component() {
    assert!(componentize(b"\0asm\x01\0\0\0").is_ok_and(|component| RUNTIME.inspect(&component).is_err()));
    assert!(componentize(b"nonsense").is_err());
}

fn submit(pool: &Pool, deployment: &Arc<Deployment>, body: &str) -> Result<Receiver<CallResult>, Full> {
    let (sender, receiver) = channel();
    let job = Job {
        deployment: Arc::clone(deployment),
        request: request(body),
        grants: nothing(),
        warm_calls: None,
        done: Box::new(move |result| drop(sender.send(result))),
    };
    pool.submit(job).map(|()| receiver)
}

/// One that is known to be quick.
fn quick() -> &'static Arc<Deployment> {
    for _ in 0..2 {
        assert_eq!(reason(PLAIN.call(&request("count"), &nothing())), "1");
    }
    assert!(PLAIN.typical().is_some());
    &PLAIN
}

fn two() -> NonZero<usize> {
    NonZero::new(2).unwrap()
}

#[test]
fn a_slow_deployment_never_takes_the_last_thread() {
    let installed = install("{}").unwrap();
    let slow = Package { deadline: Duration::from_secs(2), ..package(&installed, "slow") };
    let slow = RUNTIME.load(slow).unwrap();
    let quick = quick();
    let pool = Pool::new(two(), 100).unwrap();
    let loops: Vec<_> = (0..4).map(|_| submit(&pool, &slow, "loop").unwrap()).collect();
    let began = Instant::now();
    for _ in 0..50 {
        let result = submit(&pool, quick, "count").unwrap().recv().unwrap();
        assert_eq!(reason(result), "1");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(loops[3].try_recv().is_err());
}

#[test]
fn slow_deployments_together_never_take_the_last_thread() {
    let installed = install("{}").unwrap();
    let slow = ["slow-1", "slow-2"].map(|name| {
        let package = Package { deadline: Duration::from_millis(500), ..package(&installed, name) };
        RUNTIME.load(package).unwrap()
    });
    for deployment in slow.iter().chain(&slow) {
        let _ = deployment.call(&request("loop"), &nothing());
    }
    let quick = quick();
    let pool = Pool::new(two(), 100).unwrap();
    let loops: Vec<_> = (0..4).map(|n| submit(&pool, &slow[n % 2], "loop").unwrap()).collect();
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(reason(submit(&pool, quick, "count").unwrap().recv().unwrap()), "1");
    }
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    for answer in loops {
        assert_eq!(answer.recv().unwrap().outcome, Err(Failure::Overrun { deadline_ms: 500 }));
    }
}

#[test]
fn a_first_call_alone_makes_no_deployment_slow() {
    let installed = install("{}").unwrap();
    let package = Package { deadline: Duration::from_millis(20), ..package(&installed, "cold") };
    let deployment = RUNTIME.load(package).unwrap();
    let ask = |body: &str| drop(deployment.call(&request(body), &nothing()));
    ask("loop");
    assert_eq!(deployment.typical(), None);
    ask("count");
    assert!(
        deployment.typical().is_some_and(|typical| typical < Duration::from_millis(5)),
        "{:?}",
        deployment.typical()
    );
    ask("loop");
    ask("loop");
    assert!(
        deployment.typical().is_some_and(|typical| typical > Duration::from_millis(2)),
        "{:?}",
        deployment.typical()
    );
}

#[test]
fn a_call_is_answered_before_its_sandbox_is_cleared_and_the_next_one_made() {
    let images = tempfile::tempdir().unwrap();
    let runtime = Arc::new(Runtime::new(&Options::new(images.path().to_owned())).unwrap());
    let deployment = runtime.load(package(&install("{}").unwrap(), "answered")).unwrap();
    // Known to be quick, so that one thread makes all calls: the next begins when the one before is cleared up.
    (0..3).for_each(|_| drop(deployment.call(&request("count"), &nothing())));
    let pool = Pool::new(NonZero::<usize>::MIN, 100).unwrap();
    let waiting_when_answered = || {
        let (sender, receiver) = channel();
        let looked = Arc::clone(&runtime);
        let done = move |_| sender.send(looked.waiting()).unwrap();
        let (deployment, request, grants) = (Arc::clone(&deployment), request("count"), nothing());
        let job = Job { deployment, request, grants, warm_calls: None, done: Box::new(done) };
        assert_eq!(pool.submit(job), Ok(()));
        receiver.recv().unwrap()
    };
    for _ in 0..20 {
        while runtime.waiting() == 0 {
            waiting_when_answered();
        }
        assert_eq!(waiting_when_answered(), 0, "the one that waited was taken, and there is no other yet");
    }
}

#[test]
fn deployments_that_nobody_has_called_yet_never_take_the_last_thread_of_quick_ones() {
    let installed = install("{}").unwrap();
    let fresh = ["one", "two", "three", "four"].map(|name| {
        let package = Package { deadline: Duration::from_secs(2), ..package(&installed, name) };
        RUNTIME.load(package).unwrap()
    });
    let quick = quick();
    let pool = Pool::new(two(), 100).unwrap();
    let loops: Vec<_> = fresh.iter().map(|deployment| submit(&pool, deployment, "loop").unwrap()).collect();
    let began = Instant::now();
    for _ in 0..50 {
        assert_eq!(reason(submit(&pool, quick, "count").unwrap().recv().unwrap()), "1");
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(loops.iter().all(|answer| answer.try_recv().is_err()));
}

#[test]
fn deployments_that_turn_slow_and_quick_again_leave_no_call_behind() {
    let installed = install("{}").unwrap();
    let changing = ["one", "two", "three"].map(|name| {
        let package = Package { deadline: Duration::from_millis(3), ..package(&installed, name) };
        RUNTIME.load(package).unwrap()
    });
    let pool = Pool::new(two(), 10_000).unwrap();
    let body = |n: usize| if n % 60 < 4 { "loop" } else { "count" };
    let answers: Vec<_> = (0..1800).map(|n| (n, submit(&pool, &changing[n % 3], body(n)).unwrap())).collect();
    for (n, answer) in answers {
        let result = answer.recv_timeout(Duration::from_secs(60)).expect("every call is made");
        match body(n) {
            "loop" => assert_eq!(result.outcome, Err(Failure::Overrun { deadline_ms: 3 })),
            _ => assert_eq!(reason(result), "1"),
        }
    }
    assert_eq!(pool.waiting(), 0);
}

#[test]
fn a_quick_deployment_stays_quick_where_others_keep_the_processors_busy() {
    let deployment = deployment("{}");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 0..2 * cores {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let calls = scope.spawn(|| {
            lower_priority(REPLAYING);
            let calls = (0..300).filter_map(|_| {
                assert_eq!(reason(deployment.call(&request("count"), &nothing())), "1");
                deployment.typical()
            });
            let mut typical: Vec<_> = calls.collect();
            typical.sort_unstable();
            // Not the slowest: where this machine is one of several on another, its pauses count as the processor's time.
            typical[typical.len() / 2]
        });
        let typical = calls.join();
        stop.store(true, Ordering::Relaxed);
        let typical = typical.unwrap();
        assert!(typical < Duration::from_millis(1), "{typical:?}");
    });
}

#[test]
fn calls_that_wait_are_bounded_and_every_accepted_one_is_answered() {
    let pool = Pool::new(two(), 10).unwrap();
    let mut answers = Vec::new();
    let mut full = 0;
    for _ in 0..200 {
        match submit(&pool, &PLAIN, "loop") {
            Ok(answer) => answers.push(answer),
            Err(Full) => full += 1,
        }
        if full > 0 {
            break;
        }
    }
    assert_eq!(full, 1);
    assert!((10..=12).contains(&answers.len()), "{}", answers.len());
    for answer in answers {
        assert_eq!(answer.recv().unwrap().outcome, Err(Failure::Overrun { deadline_ms: 50 }));
    }
    assert_eq!(pool.waiting(), 0);
}

#[test]
fn a_pool_that_is_dropped_ends_its_threads_and_forgets_what_waits() {
    let pool = Pool::new(two(), 100).unwrap();
    let answers: Vec<_> = (0..20).map(|_| submit(&pool, &PLAIN, "loop").unwrap()).collect();
    let began = Instant::now();
    drop(pool);
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    assert!(answers.last().unwrap().recv().is_err());
}

#[test]
fn a_result_that_panics_its_taker_harms_no_other_call() {
    let pool = Pool::new(two(), 10).unwrap();
    for _ in 0..4 {
        let job = Job {
            deployment: Arc::clone(&PLAIN),
            request: request(""),
            grants: nothing(),
            warm_calls: None,
            done: Box::new(|_| panic!("the taker fails")),
        };
        pool.submit(job).unwrap();
    }
    assert_eq!(reason(submit(&pool, &PLAIN, "count").unwrap().recv().unwrap()), "1");
}

#[test]
fn many_calls_of_several_deployments_all_come_back() {
    let others: Vec<_> = (0..3).map(|_| deployment("{}")).collect();
    let pool = Pool::new(two(), 10_000).unwrap();
    let answers: Vec<_> = (0..3000).map(|n| submit(&pool, &others[n % 3], "count").unwrap()).collect();
    for answer in answers {
        assert_eq!(reason(answer.recv().unwrap()), "1");
    }
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// The component with one more nested in it that holds a module, as a script engine brings it: section 4 of the format.
fn nest(component: &[u8]) -> Vec<u8> {
    let nested = wat("(component (core module))");
    assert!(nested.len() < 128, "its length takes one byte");
    [component, &[4, u8::try_from(nested.len()).unwrap()], &nested].concat()
}

/// How much a fresh sandbox costs beside a warm one: `cargo test --release -p signalbox --test strategy -- --ignored speed --nocapture`.
#[test]
#[ignore = "a measurement, for an idle machine"]
fn speed_of_a_fresh_sandbox_beside_a_warm_one() {
    let rule = |n: usize| {
        format!(
            r#"{{"name": "r{n}", "outcome": "hit", "when": {{"words": ["refund{n}", "lawyer{n}", "fraud {n}"], "any": [{{"pattern": "\\bcancel{n}\\b.*(now|today)"}}]}}}}"#
        )
    };
    let rules: Vec<_> = (0..20).map(rule).collect();
    let settings = format!(r#"{{"rules": [{}]}}"#, rules.join(","));
    let screening = RUNTIME.install(&guest::component("screening"), &settings, &[]).unwrap();
    let deployment = RUNTIME.load(package(&screening, "screening")).unwrap();
    let text = "Hello, I ordered a pair of headphones three weeks ago and they still have not arrived. The tracking page says they are in transit. ";
    let request = request(&text.repeat(8));
    let grants = nothing();
    let mut warm = deployment.warm().unwrap();
    println!("{}", RUNTIME.description());
    for round in 0..3 {
        let percentiles = |call: &mut dyn FnMut() -> CallResult| {
            let mut times: Vec<_> = (0..20_000)
                .map(|_| {
                    let began = Instant::now();
                    let result = call();
                    let time = began.elapsed();
                    assert!(result.outcome.is_ok(), "{:?}", result.outcome);
                    time
                })
                .collect();
            times.sort();
            format!("p50 {:?} p99 {:?}", times[10_000], times[19_800])
        };
        println!("{round} fresh {}", percentiles(&mut || deployment.call(&request, &grants)));
        println!("{round} warm  {}", percentiles(&mut || warm.call(&request, &grants)));
    }
    let record = deployment.call(&request, &grants).record;
    println!(
        "one call: instantiate {} ns, guest {} ns, {} bytes",
        record.instantiate_ns, record.guest_ns, record.memory_bytes
    );
}
