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
/// Most actions in a decision.
pub const ACTIONS_MAX: usize = 64;
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

/// Whether a server takes this decision of a strategy with these outcomes.
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
    decision
        .actions
        .iter()
        .enumerate()
        .try_for_each(|(at, action)| check_action(action).map_err(|why| format!("action {at}: {why}")))
}

fn check_action(action: &Action) -> Result<(), String> {
    match action {
        Action::Acknowledge(reply) | Action::Respond(reply) => check_reply(reply),
        Action::Attach(entry) => check_entry(entry),
        Action::Categorize(category) => {
            check_key(&category.name)?;
            at_most("the relevancy", category.relevancy, RELEVANCY_MAX)
        }
        Action::SetLanguage(tag) => not_empty("the language", tag),
        Action::SetPriority(priority) => at_most("the priority", *priority, PRIORITY_MAX),
        Action::RequireSkill(skill) => {
            check_key(&skill.name)?;
            match skill.level {
                1..=SKILL_LEVEL_MAX => Ok(()),
                level => Err(format!("the skill's level is {level}, and 1 to {SKILL_LEVEL_MAX} are allowed")),
            }
        }
        Action::RouteTo(
            Target::Queue(name)
            | Target::Agent(name)
            | Target::AgentGroup(name)
            | Target::PlaceGroup(name)
            | Target::Skills(name),
        ) => not_empty("the target", name),
        Action::Forward(to) | Action::Redirect(to) => match to {
            Destination::Queue(name) | Destination::Address(name) => not_empty("the destination", name),
            Destination::Url(url) if url.starts_with("https://") || url.starts_with("http://") => Ok(()),
            Destination::Url(url) => Err(format!("`{url}` is not an http or https address")),
        },
        Action::End(disposition) => not_empty("the disposition code", disposition),
        Action::Custom(custom) => not_empty("the custom action's name", &custom.name),
    }
}

fn check_reply(reply: &Reply) -> Result<(), String> {
    match reply {
        Reply::Standard(standard) => {
            not_empty("the standard response", &standard.name)?;
            standard.fields.iter().try_for_each(check_entry)
        }
        Reply::Text(text) => at_most("the reply", text.body.len(), REPLY_BYTES_MAX),
    }
}

fn check_entry(entry: &Entry) -> Result<(), String> {
    check_key(&entry.key)?;
    at_most(&format!("the value of `{}`", entry.key), entry.value.len(), VALUE_BYTES_MAX)
}

fn not_empty(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() { Err(format!("{what} is empty")) } else { Ok(()) }
}

fn at_most<N: PartialOrd + std::fmt::Display>(what: &str, is: N, most: N) -> Result<(), String> {
    if is > most { Err(format!("{what} is {is}, and at most {most} is allowed")) } else { Ok(()) }
}
