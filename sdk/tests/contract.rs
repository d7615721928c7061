//! What the SDK promises an author: what is refused at deployment and in tests, and what the fake server answers.
#![allow(clippy::unwrap_used)]

use schemars::JsonSchema;
use serde::Deserialize;
use signalbox_sdk::{
    Action, Assets, Category, Decision, Entry, Failure, Need, Outcome, Outcomes, Reply, Request, Skill, Strategy,
    calendars, clocks, limits, log, responses, standing_outcomes,
    statistics::{self, ObjectKind},
    tables,
    testing::{Bench, NOW, email, json},
};

/// Does as its settings say, so that a test can make it misbehave.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct Puppet {
    outcome: String,
    extra: Vec<String>,
    panic_at_visit: u32,
}

impl Strategy for Puppet {
    type Settings = Self;
    const NAME: &'static str = "puppet";
    const VERSION: &'static str = "1.0.0";
    const DESCRIPTION: &'static str = "Does as it is told.";
    const OUTCOMES: Outcomes = &[("done", "Always.")];
    const ASSETS: &'static [Need] =
        &[Need::required("words", "What to say."), Need::optional("more", "What else to say.")];

    fn outcomes(&self) -> Vec<Outcome> {
        let mut outcomes = standing_outcomes::<Self>();
        outcomes.extend(self.extra.iter().map(|name| Outcome::new(name, "")));
        outcomes
    }

    fn configure(settings: Self, mut assets: Assets) -> Result<Self, String> {
        log::info(format!("{:?} {:?}", assets.text("words")?, assets.get("more")));
        assert!(assets.take("words").is_some() && assets.take("words").is_none());
        Ok(settings)
    }

    fn route(&self, request: &Request) -> Result<Decision, Failure> {
        assert!(request.visit != self.panic_at_visit, "as it was told");
        log::debug(format!("{:?}", tables::lookup("t", "k")));
        log::debug(format!("{:?}", statistics::value(ObjectKind::Queue, "q", "waiting")));
        log::debug(format!(
            "{:?} {:?}",
            calendars::is_open("c", request.now),
            calendars::next_opening("c", request.now)
        ));
        let rendered = responses::render("r", Some("pt"), &[Entry::new("name", "Ana")]);
        log::debug(format!("{:?}", rendered.map(|rendered| rendered.body)));
        Ok(Decision::leave_by(&self.outcome))
    }
}

signalbox_sdk::export!(Puppet);

fn puppet(settings: serde_json::Value) -> Result<Bench<Puppet>, String> {
    Bench::with_assets(settings, vec![("words", b"hello".to_vec())])
}

#[test]
fn a_manifest_reflects_the_settings_once_there_are_some() {
    let names = |manifest: &signalbox_sdk::Manifest| -> Vec<String> {
        manifest.outcomes.iter().map(|outcome| outcome.name.clone()).collect()
    };
    let before = Bench::<Puppet>::unconfigured();
    assert_eq!(names(&before), ["done"]);
    let schema: serde_json::Value = serde_json::from_str(&before.settings_schema).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["extra"]["type"], "array");
    assert_eq!(before.assets.len(), 2);
    let after = puppet(json!({ "extra": ["more"] })).unwrap().describe();
    assert_eq!(names(&after), ["done", "more"]);
}

#[test]
fn a_deployment_is_refused_with_its_reason() {
    for (settings, expected) in [
        (json!({ "outcom": "done" }), "unknown field `outcom`"),
        (json!({ "extra": ["done"] }), "the outcome `done` is there twice"),
        (json!({ "extra": ["Done"] }), "the outcome `Done` has 'D' in it"),
        (json!({ "extra": [""] }), "`` has 0 bytes"),
        (json!({ "extra": ["x".repeat(65)] }), "65 bytes, and a name has 1 to 64"),
    ] {
        let refusal = puppet(settings).unwrap_err();
        assert!(refusal.contains(expected), "{refusal}");
    }
    let refusal = Bench::<Puppet>::new(json!({})).unwrap_err();
    assert_eq!(refusal, "the file `words` is required: What to say.");
    let refusal = Bench::<Puppet>::with_assets("{}", vec![("words", vec![0xff])]).unwrap_err();
    assert!(refusal.starts_with("asset `words` is not UTF-8"), "{refusal}");
}

#[test]
fn empty_settings_stand_for_an_empty_object() {
    assert!(Bench::<Puppet>::with_assets(" \n", vec![("words", Vec::new())]).is_ok());
}

#[test]
fn a_strategy_finds_what_the_bench_was_given_and_nothing_else() {
    let request = email().now(NOW + 5).request();
    let bare = puppet(json!({ "outcome": "done" })).unwrap();
    bare.route(&request).unwrap();
    let full = puppet(json!({ "outcome": "done" })).unwrap();
    let full = full
        .table("t", "k", "v")
        .statistic(ObjectKind::Queue, "q", "waiting", 3.0)
        .calendar("c", &[(NOW + 10, NOW + 20)])
        .response("r", "Hello {{name}}")
        .response_in("r", "pt", "Olá {{name}}");
    full.route(&request).unwrap();
    let lines =
        |bench: &Bench<Puppet>| -> Vec<String> { bench.logged().into_iter().map(|line| line.message).collect() };
    assert_eq!(lines(&bare), ["Some(\"hello\") None", "None", "None", "None None", "None"]);
    let opening = NOW + 10;
    assert_eq!(
        lines(&full),
        [
            "Some(\"hello\") None".to_owned(),
            "Some(\"v\")".to_owned(),
            "Some(3.0)".to_owned(),
            format!("Some(false) Some({opening})"),
            "Some(\"Olá Ana\")".to_owned(),
        ]
    );
}

/// Greets by the hour, where the office is.
struct Greeter;

impl Strategy for Greeter {
    type Settings = ();
    const NAME: &'static str = "greeter";
    const VERSION: &'static str = "1.0.0";
    const DESCRIPTION: &'static str = "Greets by the hour.";
    const OUTCOMES: Outcomes = &[("done", "Always.")];

    fn configure((): (), _: Assets) -> Result<Self, String> {
        Ok(Self)
    }

    fn route(&self, request: &Request) -> Result<Decision, Failure> {
        let clock = clocks::read("office", request.now);
        let clock = clock.ok_or_else(|| Failure::Missing("the calendar `office`".into()))?;
        let clocks::Reading { year, month, day, weekday, hour, minute, time_zone, .. } = clock;
        let closes_at = clocks::closes_at("office", request.now);
        let reason = format!("{year}-{month}-{day} {weekday:?} {hour}:{minute} {time_zone}, closes {closes_at:?}");
        Ok(Decision::leave_by("done").because(reason))
    }
}

#[test]
fn a_bench_has_a_clock_for_each_calendar() {
    const DAY: u64 = 24 * 3_600_000;
    let leap_day = 1_709_251_199_000; // 2024-02-29T23:59:59Z
    let reason = |bench: Bench<Greeter>| bench.route(&email().now(leap_day).request()).map(|d| d.reason);
    let bench = || Bench::<Greeter>::new("null").unwrap();
    assert_eq!(reason(bench()), Err(Failure::Missing("the calendar `office`".into())));
    let open = [(leap_day - 5, leap_day + 10), (leap_day + 10, leap_day + 20), (leap_day + 30, leap_day + 40)];
    let shown = format!("2024-2-29 Weekday::Thursday 23:59 UTC, closes Some({})", leap_day + 20);
    assert_eq!(reason(bench().calendar("office", &open)), Ok(shown));
    let for_ever = reason(bench().calendar("office", &[(0, leap_day + 8 * DAY)])).unwrap();
    assert!(for_ever.ends_with("closes None"), "{for_ever}");
}

#[test]
#[should_panic(expected = "the server would refuse this decision: `other` is not among the outcomes done")]
fn a_bench_refuses_an_outcome_that_is_not_in_the_manifest() {
    let _ = puppet(json!({ "outcome": "other" })).unwrap().route(&email().request());
}

#[test]
fn a_bench_works_on_after_a_panic() {
    let bench = puppet(json!({ "outcome": "done", "panic_at_visit": 2 })).unwrap().table("t", "k", "v");
    let call = std::panic::AssertUnwindSafe(|| bench.route(&email().visit(2).request()));
    assert!(std::panic::catch_unwind(call).is_err());
    assert_eq!(tables::lookup("t", "k"), None, "the bench's server is behind its own calls only");
    bench.route(&email().request()).unwrap();
    assert!(bench.logged().iter().any(|line| line.message == "Some(\"v\")"));
}

#[test]
fn decisions_past_a_limit_are_told_apart() {
    let outcomes = [Outcome::new("done", "")];
    let done = || Decision::leave_by("done");
    let many = (0..65).fold(done(), |decision, at| decision.attach(at.to_string(), "x"));
    for (decision, expected) in [
        (done(), Ok(())),
        (done().priority(1000).categorize("c", 100).require_skill("s", 10).attach("k", "v".repeat(8192)), Ok(())),
        (done().priority(1001), Err("action 0: the priority is 1001, and at most 1000 is allowed")),
        (done().categorize("c", 101), Err("action 0: the relevancy is 101, and at most 100 is allowed")),
        (done().require_skill("s", 0), Err("action 0: the skill's level is 0, and 1 to 10 are allowed")),
        (done().require_skill("s", 11), Err("action 0: the skill's level is 11, and 1 to 10 are allowed")),
        (done().attach("", "v"), Err("action 0: `` has 0 bytes, and 1 to 128 are allowed")),
        (done().attach("k", "v".repeat(8193)), Err("action 0: the value of `k` is 8193, and at most 8192 is allowed")),
        (done().because("r".repeat(4097)), Err("the reason is 4097, and at most 4096 is allowed")),
        (
            done().respond(Reply::text("t".repeat(65_537))),
            Err("action 0: the reply is 65537, and at most 65536 is allowed"),
        ),
        (done().acknowledge(Reply::standard("")), Err("action 0: the standard response is empty")),
        (many, Err("65 actions, and at most 64 are allowed")),
    ] {
        assert_eq!(limits::check_decision(&decision, &outcomes), expected.map_err(str::to_owned));
    }
}

#[test]
fn an_interaction_answers_about_itself() {
    let request = email()
        .header("Reply-To", "a@example.com")
        .header("Received", "one")
        .header("received", "two")
        .user("b", "2")
        .user("a", "1")
        .user("b", "3")
        .category("low", 10)
        .category("high", 90)
        .attribute("fact", "yes")
        .language("pt-BR")
        .request();
    let it = &request.interaction;
    assert_eq!((it.user("a"), it.user("b"), it.user("c")), (Some("1"), Some("3"), None));
    assert_eq!(it.header("reply-to"), Some("a@example.com"));
    assert_eq!(it.headers_named("Received").collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!((it.relevancy("high"), it.relevancy("none")), (Some(90), None));
    assert_eq!(it.categories[0], Category { name: "high".into(), relevancy: 90 });
    assert_eq!(it.attribute("fact"), Some("yes"));
    assert!(it.speaks("pt") && it.speaks("PT-br") && !it.speaks("p") && !it.speaks("pt-BR-x") && !it.speaks("en"));
}

#[test]
fn a_decision_keeps_its_actions_in_order() {
    let decision = Decision::leave_by("o").priority(1).language("en").require_skill("s", 2).because("r");
    let skill = Action::RequireSkill(Skill { name: "s".into(), level: 2 });
    assert_eq!(decision.actions, [Action::SetPriority(1), Action::SetLanguage("en".into()), skill]);
    assert_eq!((decision.outcome.as_str(), decision.reason.as_str()), ("o", "r"));
}

#[test]
fn a_text_is_cut_at_a_whole_character() {
    assert_eq!([limits::cut("größe", 3), limits::cut("größe", 99)], ["gr", "größe"]);
}
