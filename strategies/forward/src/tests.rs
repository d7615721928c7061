//! Where which interaction goes, when a loop is reported, and which settings are refused with which words.

use crate::Forward;
use signalbox_sdk::{
    Action, Destination, Entry, Failure, Target,
    statistics::ObjectKind,
    testing::{Bench, Draft, chat, email, json},
};

fn example() -> Bench<Forward> {
    let bench = Bench::new(include_str!("../settings.example.json")).unwrap();
    bench.table("product-owners", "modem", "hardware").statistic(ObjectKind::Queue, "billing", "waiting", 20.0)
}

fn busy() -> Bench<Forward> {
    example().statistic(ObjectKind::Queue, "billing", "waiting", 21.0)
}

fn partner() -> Draft {
    email().sender("Bob@PARTNER.example")
}

#[test]
fn the_first_rule_that_holds_says_where() {
    let url = || Destination::Url("https://partner.example/hooks/copy".into());
    let trail = |place: &str| Action::Attach(Entry::new("forward.trail", place));
    let counsel = Destination::Address("counsel@example.com".into());
    let cases: Vec<(Bench<Forward>, Draft, &str, Vec<Action>)> = vec![
        (example(), email(), "unchanged", vec![]),
        (
            example(),
            email().user("product", "modem"),
            "routed",
            vec![Action::RouteTo(Target::Queue("hardware".into()))],
        ),
        (example(), email().user("product", "sofa"), "unchanged", vec![]),
        (
            example(),
            email().user("tier", "gold").priority(500),
            "routed",
            vec![Action::RouteTo(Target::AgentGroup("gold-desk".into()))],
        ),
        (example(), email().user("tier", "gold").priority(499), "unchanged", vec![]),
        (example(), email().user("tier", "silver").priority(500), "unchanged", vec![]),
        (
            example(),
            email().category("legal", 80),
            "legal",
            vec![trail("address:counsel@example.com"), Action::Redirect(counsel)],
        ),
        (example(), email().category("legal", 79), "unchanged", vec![]),
        (example(), chat().category("legal", 80), "unchanged", vec![]),
        (example(), email().language("en-GB"), "unchanged", vec![]),
        (busy(), email().language("en-GB"), "routed", vec![Action::RouteTo(Target::Skills("billing >= 3".into()))]),
        (busy(), email().language("de"), "unchanged", vec![]),
        (
            example(),
            partner(),
            "forwarded",
            vec![trail("url:https://partner.example/hooks/copy"), Action::Forward(url())],
        ),
        (
            example(),
            partner().user("forward.trail", "queue:billing").hops(3),
            "forwarded",
            vec![trail("queue:billing > url:https://partner.example/hooks/copy"), Action::Forward(url())],
        ),
    ];
    for (bench, draft, outcome, actions) in cases {
        let decision = bench.route(&draft.request()).unwrap();
        assert_eq!((decision.outcome.as_str(), &decision.actions), (outcome, &actions), "{}", decision.reason);
    }
}

#[test]
fn a_loop_is_reported_and_nothing_is_sent() {
    let url = "url:https://partner.example/hooks/copy";
    for (draft, reason) in [
        (
            partner().hops(4),
            format!(
                "rule `partner-hears-of-it` would send it to {url}, but it was sent on 4 times, and 4 is the limit; trail: unknown"
            ),
        ),
        (
            partner().user("forward.trail", &format!("queue:a > {url}")),
            format!(
                "rule `partner-hears-of-it` would send it to {url}, but it was sent there before; trail: queue:a > {url}"
            ),
        ),
    ] {
        let decision = example().route(&draft.request()).unwrap();
        assert_eq!((decision.outcome.as_str(), decision.reason.as_str()), ("loop", reason.as_str()));
        assert!(decision.actions.is_empty());
    }
}

#[test]
fn routing_inside_the_house_is_no_hop() {
    let decision = example().route(&email().user("product", "modem").hops(200).request()).unwrap();
    assert_eq!(decision.outcome, "routed");
}

#[test]
fn the_trail_never_outgrows_user_data() {
    let long: Vec<String> = (0..1000).map(|at| format!("queue:{at}")).collect();
    let draft = partner().user("forward.trail", &long.join(" > "));
    let decision = example().route(&draft.request()).unwrap();
    assert!(
        matches!(&decision.actions[0], Action::Attach(trail) if trail.value.ends_with("/hooks/copy") && trail.value.len() > 8000)
    );
}

#[test]
fn an_unknown_statistic_is_a_failure() {
    let bench = Bench::<Forward>::new(include_str!("../settings.example.json")).unwrap();
    let failure = Failure::Missing("statistic `waiting` of `billing`".to_owned());
    assert_eq!(bench.route(&email().language("en").request()), Err(failure));
}

#[test]
fn a_table_is_asked_by_the_key_that_the_rule_says() {
    for (key, draft, found) in [
        (json!("sender"), email().sender("Ana@Example.com"), "ana@example.com"),
        (json!("sender-domain"), email().sender("ana@Example.com"), "example.com"),
        (json!("recipient"), email().recipient("Sales@example.org"), "sales@example.org"),
        (json!({ "user": "shop" }), email().user("shop", "Porto"), "Porto"),
    ] {
        let bench = Bench::<Forward>::new(json!({
            "rules": [{ "name": "r", "to": { "queue": "q-{{value}}" }, "when": { "table": { "name": "t", "key": key, "values": ["yes"] } } }]
        }));
        let bench = bench.unwrap();
        assert_eq!(bench.route(&draft.clone().request()).unwrap().outcome, "unchanged");
        let bench = bench.table("t", found, "no");
        assert_eq!(bench.route(&draft.clone().request()).unwrap().outcome, "unchanged");
        let decision = bench.table("t", found, "yes").route(&draft.request()).unwrap();
        assert_eq!(decision.actions, [Action::RouteTo(Target::Queue("q-yes".into()))]);
    }
}

#[test]
fn a_table_that_gives_no_place_is_a_failure() {
    let bench = Bench::<Forward>::new(json!({
        "rules": [{ "name": "r", "to": { "redirect": { "url": "{{value}}" } }, "when": { "table": { "name": "t", "key": "sender" } } }]
    }));
    let bench = bench.unwrap().table("t", "customer@example.com", "ftp://x");
    let failure = Failure::Other("rule `r`: to: `ftp://x` is not an http or https address".to_owned());
    assert_eq!(bench.route(&email().request()), Err(failure));
}

#[test]
fn outcomes_have_those_of_the_rules() {
    let names: Vec<_> = example().describe().outcomes.into_iter().map(|outcome| outcome.name).collect();
    assert_eq!(names, ["routed", "forwarded", "redirected", "loop", "unchanged", "legal"]);
}

#[test]
fn bad_settings_are_refused_by_rule_field_and_reason() {
    let rule = |extra: serde_json::Value| {
        let mut rule = json!({ "name": "r", "to": { "queue": "q" } });
        rule.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({ "rules": [rule] })
    };
    for (settings, expected) in [
        (json!({ "rules": [] }), "rules: there are 0, and 1 to 500 are allowed"),
        (json!({ "rules": [{ "name": "r", "to": { "queue": "q" } }], "hops_max": 0 }), "hops_max: 0"),
        (json!({ "rules": [], "hops_max": 256 }), "256"),
        (rule(json!({ "name": "" })), "(rules[0]): name: "),
        (rule(json!({ "outcome": "No!" })), "rule `r` (rules[0]): outcome: "),
        (rule(json!({ "to": { "queue": " " } })), "rule `r` (rules[0]): to: is empty"),
        (rule(json!({ "to": { "queue": "{{value}}" } })), "to: `{{value}}` needs a table"),
        (
            rule(json!({ "to": { "redirect": { "url": "mailto:x" } } })),
            "to: `mailto:x` is not an http or https address",
        ),
        (rule(json!({ "to": { "moon": "x" } })), "unknown variant `moon`"),
        (rule(json!({ "when": { "categories": { "c": 101 } } })), "when.categories.c: 101"),
        (rule(json!({ "when": { "priority_min": 1001 } })), "when.priority_min: 1001"),
        (
            rule(json!({ "when": { "statistics": [{ "of": "queue", "name": "q", "statistic": "s" }] } })),
            "when.statistics[0]: needs `above` or `below`",
        ),
        (rule(json!({ "when": { "sender": "x" } })), "unknown field `sender`"),
        (
            json!({ "rules": [{ "name": "a", "to": { "queue": "q" } }, { "name": "a", "to": { "queue": "q" } }] }),
            "rule `a` (rules[1]): name: another rule has it already",
        ),
    ] {
        let refusal = Bench::<Forward>::new(&settings).unwrap_err();
        assert!(refusal.contains(expected), "{settings}: {refusal}");
    }
}
