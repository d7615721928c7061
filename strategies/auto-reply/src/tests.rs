//! Which rule sends what, when nothing goes out, and which settings are refused with which words.

use crate::{AutoReply, utc};
use signalbox_sdk::{
    Action, Decision, Entry, Failure, Reply, StandardReply,
    testing::{Bench, Draft, NOW, callback, chat, email, json},
};

const HOUR: u64 = 3_600_000;

/// The example, in an account that has what it names and is open from an hour before `NOW` to two hours after.
fn example() -> Bench<AutoReply> {
    let names = ["we-are-closed", "how-to-reset-a-password", "refund-received", "received"];
    let bench = Bench::new(include_str!("../settings.example.json")).unwrap();
    let hours = [(NOW - HOUR, NOW + 2 * HOUR), (NOW + 20 * HOUR, NOW + 30 * HOUR)];
    names.iter().fold(bench, |bench, name| bench.response(name, "Hello")).calendar("support", &hours)
}

fn sent(decision: &Decision) -> Option<&StandardReply> {
    decision.actions.iter().find_map(|action| match action {
        Action::Acknowledge(Reply::Standard(reply)) | Action::Respond(Reply::Standard(reply)) => Some(reply),
        _ => None,
    })
}

#[test]
fn the_first_rule_that_applies_sends() {
    let late = NOW + 3 * HOUR;
    let cases: Vec<(Draft, &str, Option<&str>)> = vec![
        (email(), "acknowledged", Some("received")),
        (email().now(late), "acknowledged", Some("we-are-closed")),
        (chat(), "not-replied", None),
        (chat().now(late), "acknowledged", Some("we-are-closed")),
        (callback().now(late), "not-replied", None),
        (email().category("refund", 60), "acknowledged", Some("refund-received")),
        (email().category("refund", 59), "acknowledged", Some("received")),
        (chat().category("return", 100), "acknowledged", Some("refund-received")),
        (chat().category("password-reset", 90).language("pt-BR"), "responded", Some("how-to-reset-a-password")),
        (chat().category("password-reset", 90).language("de"), "not-replied", None),
        (chat().category("password-reset", 90), "not-replied", None),
        (email().category("refund", 90).answered(), "not-replied", None),
        (email().header("Auto-Submitted", "auto-replied"), "automatic", None),
        (email().category("refund", 90).sender("noreply@example.com"), "automatic", None),
    ];
    for (draft, outcome, response) in cases {
        let decision = example().route(&draft.request()).unwrap();
        let name = sent(&decision).map(|reply| reply.name.as_str());
        assert_eq!((decision.outcome.as_str(), name), (outcome, response), "{decision:?}");
    }
}

#[test]
fn a_closed_door_says_when_it_opens() {
    let decision = example().route(&email().now(NOW + 3 * HOUR + 1).request()).unwrap();
    assert_eq!(
        sent(&decision).unwrap().fields,
        [Entry::new("next_opening", "2026-03-03 06:00 UTC"), Entry::new("next_opening.hours", "17")]
    );
}

#[test]
fn fields_go_out_with_the_response() {
    let decision = example().route(&email().category("refund", 90).request()).unwrap();
    assert_eq!(sent(&decision).unwrap().fields, [Entry::new("days", "5"), Entry::new("team", "Returns")]);
}

#[test]
fn an_answer_may_follow_an_acknowledgement_but_no_answer() {
    let bench = Bench::<AutoReply>::new(json!({
        "rules": [{ "name": "r", "send": "response-after-acknowledgement", "response": "faq" }]
    }));
    let bench = bench.unwrap().response("faq", "Hello");
    let first = bench.route(&email().answered().request()).unwrap();
    assert_eq!(first.outcome, "responded");
    assert!(first.actions.contains(&Action::Attach(Entry::new("auto-reply.responded", "faq"))));
    let second = bench.route(&email().answered().user("auto-reply.responded", "faq").request()).unwrap();
    assert_eq!(second.outcome, "not-replied");
}

#[test]
fn what_a_rule_relies_on_must_be_there() {
    let bare = |settings| Bench::<AutoReply>::new(settings).unwrap();
    for (bench, missing) in [
        (bare(json!({ "rules": [{ "name": "r", "send": "response", "response": "faq" }] })), "response `faq` of rule `r`"),
        (
            bare(json!({ "rules": [{ "name": "r", "send": "response", "response": "faq", "when": { "hours": { "calendar": "c", "is": "open" } } }] })),
            "calendar `c`",
        ),
        (
            bare(json!({ "rules": [{ "name": "r", "send": "response", "response": "faq", "when": { "hours": { "calendar": "c", "is": "closed", "next_opening_as": "f" } } }] }))
                .calendar("c", &[]),
            "next opening of calendar `c`",
        ),
    ] {
        assert_eq!(bench.route(&email().request()), Err(Failure::Missing(missing.to_owned())));
    }
}

#[test]
fn a_response_is_looked_for_in_the_language_of_the_interaction() {
    let bench = Bench::<AutoReply>::new(json!({ "rules": [{ "name": "r", "send": "response", "response": "faq" }] }));
    let bench = bench.unwrap().response_in("faq", "pt", "Olá");
    assert_eq!(bench.route(&email().language("pt").request()).unwrap().outcome, "responded");
    assert!(matches!(bench.route(&email().language("de").request()), Err(Failure::Missing(_))));
}

#[test]
fn moments_are_written_to_the_minute() {
    for (at, text) in [
        (0, "1970-01-01 00:00 UTC"),
        (951_782_399_999, "2000-02-28 23:59 UTC"),
        (951_782_400_000, "2000-02-29 00:00 UTC"),
        (1_735_689_599_999, "2024-12-31 23:59 UTC"),
        (NOW, "2026-03-02 10:00 UTC"),
        (4_107_542_400_000, "2100-03-01 00:00 UTC"),
    ] {
        assert_eq!(utc(at), text);
    }
}

#[test]
fn bad_settings_are_refused_by_rule_field_and_reason() {
    let rule = |extra: serde_json::Value| {
        let mut rule = json!({ "name": "r", "send": "response", "response": "faq" });
        rule.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({ "rules": [rule] })
    };
    for (settings, expected) in [
        (json!({ "rules": [] }), "rules: there are 0, and 1 to 200 are allowed"),
        (json!({}), "missing field `rules`"),
        (rule(json!({ "name": "" })), "rules[0]): name: "),
        (rule(json!({ "response": "" })), "rule `r` (rules[0]): response: "),
        (rule(json!({ "send": "mail" })), "unknown variant `mail`"),
        (rule(json!({ "fields": { "": "x" } })), "rule `r` (rules[0]): fields: "),
        (rule(json!({ "fields": { "f": "x".repeat(8193) } })), "fields.f: 8193 bytes"),
        (rule(json!({ "when": { "categories": { "c": 101 } } })), "when.categories.c: 101, and at most 100 is allowed"),
        (rule(json!({ "when": { "hours": { "calendar": "", "is": "open" } } })), "when.hours.calendar: "),
        (rule(json!({ "when": { "hours": { "calendar": "c", "is": "ajar" } } })), "unknown variant `ajar`"),
        (
            rule(json!({ "when": { "hours": { "calendar": "c", "is": "open", "next_opening_as": "" } } })),
            "when.hours.next_opening_as: ",
        ),
        (rule(json!({ "when": { "category": "c" } })), "unknown field `category`"),
        (
            json!({ "rules": [{ "name": "a", "send": "response", "response": "x" }, { "name": "a", "send": "response", "response": "x" }] }),
            "rule `a` (rules[1]): name: another rule has it already",
        ),
    ] {
        let refusal = Bench::<AutoReply>::new(&settings).unwrap_err();
        assert!(refusal.contains(expected), "{settings}: {refusal}");
    }
}
