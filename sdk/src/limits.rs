//! What the server holds a strategy to, checked where its author sees it: settings at deployment, decisions in tests.
//!
//! The limits are those of `wit/strategy.wit`. The server checks again; nothing here is what keeps it safe.

use crate::{Action, Decision, Destination, Entry, Manifest, Outcome, Reply, Target};
use std::collections::BTreeSet;

/// Longest name of a strategy or of an outcome, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest key, category or skill, in bytes.
pub const KEY_BYTES_MAX: usize = 128;
/// Longest value that a strategy writes, in bytes.
pub const VALUE_BYTES_MAX: usize = 8 * 1024;
/// Longest text of a reply in the strategy's own words, in bytes.
pub const REPLY_BYTES_MAX: usize = 64 * 1024;
/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 4 * 1024;
/// What a strategy's log may have in one call, in bytes; the server cuts the rest.
pub const LOG_BYTES_MAX: usize = 64 * 1024;
/// What may cross to the server at a time, in bytes: all of a decision, or what one call of an import hands over. More
/// ends the call as a failure.
pub const CROSSING_BYTES_MAX: usize = 512 * 1024;
/// Longest address, URL, skill expression or subject, in bytes.
pub const LINE_BYTES_MAX: usize = 2 * 1024;
/// Longest language tag, in bytes.
pub const LANGUAGE_BYTES_MAX: usize = 35;
/// All texts of a decision together, in bytes.
pub const DECISION_BYTES_MAX: usize = 256 * 1024;
/// Most actions in a decision.
pub const ACTIONS_MAX: usize = 64;
/// Most fields of a standard response.
pub const FIELDS_MAX: usize = 256;
/// Highest priority.
pub const PRIORITY_MAX: u16 = 1000;
/// Highest relevancy of a category.
pub const RELEVANCY_MAX: u8 = 100;
/// Highest level of a skill; the lowest is 1.
pub const SKILL_LEVEL_MAX: u8 = 10;

/// Whether a strategy or an outcome may have this name.
///
/// # Errors
/// Says what is wrong with it, for an operator.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(format!("`{name}` has {} bytes, and a name has 1 to {NAME_BYTES_MAX}", name.len()));
    }
    match name.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        Some(odd) => Err(format!("`{name}` has {odd:?} in it: only lower case letters, digits and hyphens may be")),
        None => Ok(()),
    }
}

/// Whether a user-data key, a category or a skill may have this name.
///
/// # Errors
/// Says what is wrong with it, for an operator.
pub fn check_key(key: &str) -> Result<(), String> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(format!("`{key}` has {} bytes, and 1 to {KEY_BYTES_MAX} are allowed", key.len()));
    }
    Ok(())
}

/// Cuts a text at a limit in bytes, at the nearest whole character.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Whether a server takes this manifest.
///
/// # Errors
/// The first thing that is wrong with it, in words.
pub fn check_manifest(manifest: &Manifest) -> Result<(), String> {
    check_name(&manifest.name).map_err(|why| format!("the strategy's name {why}"))?;
    if manifest.outcomes.is_empty() {
        return Err("a strategy has at least one outcome".to_owned());
    }
    let mut seen = BTreeSet::new();
    for outcome in &manifest.outcomes {
        check_name(&outcome.name).map_err(|why| format!("the outcome {why}"))?;
        if !seen.insert(&outcome.name) {
            return Err(format!("the outcome `{}` is there twice", outcome.name));
        }
    }
    Ok(())
}

/// Whether a server takes this decision of a strategy with these outcomes. What depends on its account, such as whether
/// it has the queue, is not looked at. Stricter in one thing: of a longer reason the server keeps the beginning.
///
/// # Errors
/// The first thing that is wrong with it, in words.
pub fn check_decision(decision: &Decision, outcomes: &[Outcome]) -> Result<(), String> {
    if !outcomes.iter().any(|outcome| outcome.name == decision.outcome) {
        let known: Vec<_> = outcomes.iter().map(|outcome| outcome.name.as_str()).collect();
        return Err(format!("`{}` is not among the outcomes {}", decision.outcome, known.join(", ")));
    }
    at_most("the reason", decision.reason.len(), REASON_BYTES_MAX)?;
    if decision.actions.len() > ACTIONS_MAX {
        return Err(format!("{} actions, and at most {ACTIONS_MAX} are allowed", decision.actions.len()));
    }
    let mut bytes = decision.outcome.len() + decision.reason.len();
    for (at, action) in decision.actions.iter().enumerate() {
        bytes += check_action(action).map_err(|why| format!("action {at}: {why}"))?;
    }
    at_most("all text together", bytes, DECISION_BYTES_MAX)
}

/// Answers with the bytes of its texts.
fn check_action(action: &Action) -> Result<usize, String> {
    match action {
        Action::Acknowledge(reply) | Action::Respond(reply) => check_reply(reply),
        Action::Attach(entry) => check_entry(entry),
        Action::Categorize(category) => {
            check_key(&category.name)?;
            at_most("the relevancy", category.relevancy, RELEVANCY_MAX)?;
            Ok(category.name.len())
        }
        Action::SetLanguage(tag) => text("the language", tag, LANGUAGE_BYTES_MAX),
        Action::SetPriority(priority) => at_most("the priority", *priority, PRIORITY_MAX).map(|()| 0),
        Action::RequireSkill(skill) => {
            check_key(&skill.name)?;
            match skill.level {
                1..=SKILL_LEVEL_MAX => Ok(skill.name.len()),
                level => Err(format!("the skill's level is {level}, and 1 to {SKILL_LEVEL_MAX} are allowed")),
            }
        }
        Action::RouteTo(target) => match target {
            Target::Queue(name) | Target::Agent(name) | Target::AgentGroup(name) | Target::PlaceGroup(name) => {
                text("the target", name, KEY_BYTES_MAX)
            }
            Target::Skills(expression) => text("the skill expression", expression, LINE_BYTES_MAX),
        },
        Action::Forward(to) | Action::Redirect(to) => match to {
            Destination::Queue(name) => text("the destination", name, KEY_BYTES_MAX),
            Destination::Address(address) => text("the destination", address, LINE_BYTES_MAX),
            Destination::Url(url) if url.starts_with("https://") || url.starts_with("http://") => {
                text("the destination", url, LINE_BYTES_MAX)
            }
            Destination::Url(url) => Err(format!("`{}` is not an http or https address", cut(url, KEY_BYTES_MAX))),
        },
        Action::End(disposition) => text("the disposition code", disposition, KEY_BYTES_MAX),
        Action::Custom(custom) => Err(format!("the server has no action `{}`", cut(&custom.name, KEY_BYTES_MAX))),
    }
}

fn check_reply(reply: &Reply) -> Result<usize, String> {
    match reply {
        Reply::Standard(standard) => {
            if standard.fields.len() > FIELDS_MAX {
                return Err(format!("{} fields, and at most {FIELDS_MAX} are allowed", standard.fields.len()));
            }
            let name = text("the standard response", &standard.name, KEY_BYTES_MAX)?;
            standard.fields.iter().try_fold(name, |bytes, field| Ok(bytes + check_entry(field)?))
        }
        Reply::Text(reply) => {
            let subject = reply.subject.as_ref().map_or(0, String::len);
            at_most("the subject", subject, LINE_BYTES_MAX)?;
            at_most("the reply", reply.body.len(), REPLY_BYTES_MAX)?;
            Ok(subject + reply.body.len())
        }
    }
}

fn check_entry(entry: &Entry) -> Result<usize, String> {
    check_key(&entry.key)?;
    at_most(&format!("the value of `{}`", entry.key), entry.value.len(), VALUE_BYTES_MAX)?;
    Ok(entry.key.len() + entry.value.len())
}

fn text(what: &str, text: &str, bytes_max: usize) -> Result<usize, String> {
    if text.is_empty() {
        return Err(format!("{what} is empty"));
    }
    at_most(what, text.len(), bytes_max)?;
    Ok(text.len())
}

fn at_most<N: PartialOrd + std::fmt::Display>(what: &str, is: N, most: N) -> Result<(), String> {
    if is > most { Err(format!("{what} is {is}, and at most {most} is allowed")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CustomAction, StandardReply, TextReply};

    fn check(actions: Vec<Action>) -> Result<(), String> {
        let decision = Decision { outcome: "done".into(), actions, reason: String::new() };
        check_decision(&decision, &[Outcome::new("done", "")])
    }

    #[test]
    fn a_text_may_be_as_long_as_the_server_takes_it_and_no_longer() {
        type Make = fn(String) -> Action;
        let url = |text: String| Action::Redirect(Destination::Url(text.replacen("xxxxxxxx", "https://", 1)));
        let subject = |text| Action::Respond(Reply::Text(TextReply { subject: Some(text), body: String::new() }));
        let standard = |name| Action::Respond(Reply::Standard(StandardReply { name, fields: Vec::new() }));
        let cases: [(Make, usize, &str); 12] = [
            (Action::SetLanguage, 35, "the language"),
            (|text| Action::RouteTo(Target::Queue(text)), 128, "the target"),
            (|text| Action::RouteTo(Target::Agent(text)), 128, "the target"),
            (|text| Action::RouteTo(Target::AgentGroup(text)), 128, "the target"),
            (|text| Action::RouteTo(Target::PlaceGroup(text)), 128, "the target"),
            (|text| Action::RouteTo(Target::Skills(text)), 2048, "the skill expression"),
            (|text| Action::Forward(Destination::Queue(text)), 128, "the destination"),
            (|text| Action::Forward(Destination::Address(text)), 2048, "the destination"),
            (url, 2048, "the destination"),
            (Action::End, 128, "the disposition code"),
            (subject, 2048, "the subject"),
            (standard, 128, "the standard response"),
        ];
        for (make, most, what) in cases {
            assert_eq!(check(vec![make("x".repeat(most))]), Ok(()), "{what}");
            let why = format!("action 0: {what} is {}, and at most {most} is allowed", most + 1);
            assert_eq!(check(vec![make("x".repeat(most + 1))]), Err(why));
        }
    }

    #[test]
    fn an_action_that_no_server_has_is_refused() {
        let custom = CustomAction { name: "teleport".into(), payload: "{}".into() };
        assert_eq!(check(vec![Action::Custom(custom)]), Err("action 0: the server has no action `teleport`".into()));
    }

    #[test]
    fn a_standard_response_has_at_most_256_fields() {
        let with = |count| {
            let fields = vec![Entry { key: "k".into(), value: String::new() }; count];
            check(vec![Action::Acknowledge(Reply::Standard(StandardReply { name: "receipt".into(), fields }))])
        };
        assert_eq!(with(256), Ok(()));
        assert_eq!(with(257), Err("action 0: 257 fields, and at most 256 are allowed".into()));
    }

    #[test]
    fn a_decision_has_at_most_256_kib_of_text() {
        // The outcome `done` counts, too, and so does every key and name.
        let reply = |bytes| Action::Respond(Reply::Text(TextReply { subject: None, body: "x".repeat(bytes) }));
        let with = |key: &str| {
            let entry = Entry { key: key.into(), value: "v".into() };
            check(vec![reply(65_536), reply(65_536), reply(65_536), reply(65_530), Action::Attach(entry)])
        };
        assert_eq!(with("k"), Ok(()));
        assert_eq!(with("kk"), Err("all text together is 262145, and at most 262144 is allowed".into()));
    }
}
