//! What the rules catch and what they leave, and which settings are refused with which words.

use crate::Screening;
use signalbox_sdk::{
    Action, Entry,
    testing::{Bench, Draft, chat, email, json},
};

const EXAMPLE: &str = include_str!("../settings.example.json");

fn example() -> Bench<Screening> {
    Bench::new(EXAMPLE).unwrap()
}

fn one_rule(when: serde_json::Value) -> Result<Bench<Screening>, String> {
    Bench::new(json!({ "rules": [{ "name": "r", "outcome": "hit", "when": when }] }))
}

#[test]
fn the_first_rule_that_holds_decides() {
    let bench = example();
    let cases: Vec<(Draft, &str, &str)> = vec![
        (email().body("Hello, where is my parcel?"), "clean", "no rule holds"),
        (email().body("I'll see my LAWYER"), "escalate", "rule `legal-threat`: body has \"lawyer\" at character 13"),
        (
            email().body("small\n claims   court"),
            "escalate",
            "rule `legal-threat`: body has \"small claims court\" at character 1",
        ),
        (email().body("lawyers"), "clean", "no rule holds"),
        (
            email().subject("Order #1234567").body("I was never refunded"),
            "refund",
            "rule `refund-of-an-order`: body has \"refund\" at character 13, subject has \"Order #1234567\" at character 1",
        ),
        (email().body("refund please"), "clean", "no rule holds"),
        (email().body("I want no refund for order 1234567"), "clean", "no rule holds"),
        (
            chat().body("money back!").user("order-number", "7654321"),
            "refund",
            "rule `refund-of-an-order`: body has \"money back\" at character 1, user:order-number has \"7654321\" at character 1",
        ),
        (
            email().subject("Unsubscribe"),
            "unsubscribe",
            "rule `unsubscribe`: subject has \"unsubscribe\" at character 1",
        ),
        (email().body("unsubscribe"), "clean", "no rule holds"),
        (
            email().recipient("remove@example.org"),
            "unsubscribe",
            "rule `unsubscribe`: recipient has \"remove@\" at character 1",
        ),
        (
            email().header("X-Spam-Flag", "YES"),
            "spam",
            "rule `marked-as-spam`: header:x-spam-flag has \"YES\" at character 1",
        ),
        (email().header("X-Spam-Score", "4.9"), "clean", "no rule holds"),
    ];
    for (draft, outcome, reason) in cases {
        let decision = bench.route(&draft.request()).unwrap();
        assert_eq!((decision.outcome.as_str(), decision.reason.as_str()), (outcome, reason));
    }
}

#[test]
fn a_rule_does_what_it_says_and_its_groups_become_user_data() {
    let request = email().body("Refund for order no. 1234567, please").request();
    let decision = example().route(&request).unwrap();
    assert_eq!(
        decision.actions,
        [
            Action::SetPriority(600),
            Action::Categorize(signalbox_sdk::Category { name: "refund".into(), relevancy: 90 }),
            Action::Attach(Entry::new("screening.team", "returns")),
            Action::Attach(Entry::new("order", "1234567")),
        ]
    );
}

#[test]
fn words_are_found_in_any_alphabet_and_case() {
    for (loose, word, text, hit) in [
        (false, "жалоба", "У меня ЖАЛОБА!", true),
        (false, "straße", "Die Hauptstraße, nein: STRASSE", true),
        (false, "οδος", "Ο∆ΟΣ ΟΔΟΣ", true),
        (false, "退款", "我要退款吗", true),
        (false, "café", "CAFÉ", true),
        (false, "café", "Cafe\u{301}", true),
        (false, "cafe\u{301}", "café", true),
        (false, "cafe", "café", false),
        (false, "kelvin", "\u{212a}elvin", true),
        (true, "cafe", "Café", true),
        (true, "cafe", "Cafe\u{301}", true),
        (true, "free", "ＦＲＥＥ", true),
        (true, "ελλαδα", "Ελλάδα", true),
    ] {
        let bench = Bench::<Screening>::new(json!({
            "rules": [{ "name": "r", "outcome": "hit", "when": { "words": [word] } }],
            "loose": loose,
        }));
        let decision = bench.unwrap().route(&email().body(text).request()).unwrap();
        assert_eq!(decision.outcome == "hit", hit, "{word} in {text}, loose: {loose}");
    }
}

#[test]
fn case_is_told_apart_where_asked() {
    for (text, hit) in
        [("IT is down", true), ("It is down", false), ("größer: IT is down", true), ("größer: it is down, or IT", true)]
    {
        for when in [
            json!({ "words": ["IT"], "case_sensitive": true }),
            json!({ "pattern": "\\bIT\\b", "case_sensitive": true }),
        ] {
            let decision = one_rule(when).unwrap().route(&email().body(text).request()).unwrap();
            assert_eq!(decision.outcome == "hit", hit, "{text}");
        }
    }
}

#[test]
fn conditions_nest() {
    let bench = one_rule(json!({
        "all": [
            { "any": [{ "words": ["a"] }, { "words": ["b"] }] },
            { "none": [{ "words": ["c"] }, { "all": [{ "words": ["d"] }, { "words": ["e"] }] }] },
        ]
    }))
    .unwrap();
    for (text, hit) in [("a", true), ("b d", true), ("b e", true), ("b d e", false), ("a c", false), ("d", false)] {
        assert_eq!(bench.route(&email().body(text).request()).unwrap().outcome == "hit", hit, "{text}");
    }
}

#[test]
fn what_an_alternative_that_failed_saw_is_no_evidence() {
    let bench = one_rule(json!({
        "any": [
            { "all": [{ "pattern": "order (?<wrong>\\d+)" }, { "words": ["absent"] }] },
            { "pattern": "order (?<right>\\d+)" },
        ]
    }))
    .unwrap();
    let decision = bench.route(&email().body("order 7").request()).unwrap();
    assert_eq!(decision.actions, [Action::Attach(Entry::new("right", "7"))]);
    assert_eq!(decision.reason, "rule `r`: body has \"order 7\" at character 1");
}

#[test]
fn a_pattern_without_a_literal_is_run_always() {
    let bench = one_rule(json!({ "pattern": "\\b\\d{4}-\\d{4}\\b" })).unwrap();
    assert_eq!(bench.route(&email().body("card 1234-5678").request()).unwrap().outcome, "hit");
}

#[test]
fn many_hits_in_a_large_text_cost_one_entry() {
    let bench = one_rule(json!({ "words": ["refund"] })).unwrap();
    let decision = bench.route(&email().body(&"refund ünd ".repeat(50_000)).request()).unwrap();
    assert_eq!(decision.reason, "rule `r`: body has \"refund\" at character 1");
}

#[test]
fn near_misses_in_a_large_text_cost_one_pass() {
    let bench = one_rule(json!({ "words": ["REFUND"], "case_sensitive": true })).unwrap();
    let decision = bench.route(&email().body(&"refund ünd ".repeat(90_000)).request()).unwrap();
    assert_eq!(decision.outcome, "clean");
}

#[test]
fn outcomes_are_those_of_the_rules() {
    let names = |manifest: signalbox_sdk::Manifest| -> Vec<_> {
        manifest.outcomes.into_iter().map(|outcome| outcome.name).collect()
    };
    assert_eq!(names(Bench::<Screening>::unconfigured()), ["clean"]);
    assert_eq!(names(example().describe()), ["clean", "escalate", "refund", "unsubscribe", "spam"]);
}

#[test]
fn bad_settings_are_refused_by_rule_field_and_reason() {
    let rule = |extra: serde_json::Value| {
        let mut rule = json!({ "name": "r", "outcome": "hit", "when": { "words": ["x"] } });
        rule.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({ "rules": [rule] })
    };
    let many: Vec<_> =
        (0..1001).map(|at| json!({ "name": at.to_string(), "outcome": "hit", "when": { "words": ["x"] } })).collect();
    for (settings, expected) in [
        (json!({ "rules": [] }), "rules: there are 0"),
        (json!({ "rules": many }), "rules: there are 1001"),
        (json!({}), "missing field `rules`"),
        (json!({ "rules": [], "lose": true }), "unknown field `lose`"),
        (rule(json!({ "name": "" })), "name: "),
        (rule(json!({ "outcome": "Not OK" })), "rule `r` (rules[0]): outcome: `Not OK` has 'N' in it"),
        (rule(json!({ "priority": 1001 })), "the priority is 1001, and at most 1000 is allowed"),
        (rule(json!({ "categories": { "c": 101 } })), "the relevancy is 101"),
        (rule(json!({ "skills": { "s": 0 } })), "the skill's level is 0"),
        (rule(json!({ "attach": { "": "v" } })), "`` has 0 bytes"),
        (rule(json!({ "when": {} })), "rule `r` (rules[0]): when: needs words, pattern, all, any or none"),
        (rule(json!({ "when": { "words": ["*"] } })), "when.words[0]: `*` has no word in it"),
        (rule(json!({ "when": { "in": ["body"] } })), "`in` and `case_sensitive` belong beside"),
        (rule(json!({ "when": { "words": ["x"], "in": ["bdy"] } })), "`bdy` is not a place to look"),
        (
            rule(json!({ "when": { "any": [{ "words": ["x"] }, { "pattern": "(" }] } })),
            "rule `r` (rules[0]): when.any[1].pattern: regex parse error",
        ),
        (rule(json!({ "when": { "pattern": "\\w{500}{9}" } })), "when.pattern: Compiled regex exceeds size limit"),
        (rule(json!({ "when": { "pattern": "x".repeat(4097) } })), "when.pattern: 4097 bytes long"),
        (
            json!({ "rules": [
                { "name": "a", "outcome": "hit", "when": { "words": ["x"] } },
                { "name": "a", "outcome": "hit", "when": { "words": ["y"] } },
            ] }),
            "rule `a` (rules[1]): name: another rule has it already",
        ),
        (json!({ "rules": [], "otherwise": "C" }), "rules: "),
    ] {
        let refusal = Bench::<Screening>::new(&settings).unwrap_err();
        assert!(refusal.contains(expected), "{settings}: {refusal}");
    }
}
