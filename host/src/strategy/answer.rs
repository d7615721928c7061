//! What a strategy answered, checked and put into the engine's words.
//!
//! Invariant: a decision that leaves here keeps every bound of `wit/strategy.wit`, so nobody behind needs to check again.

use signalbox_engine::{
    Action, Category, Decision, Destination, Entry, Failure, Manifest, Reply, Scope, Skill, Target, limits,
};

use super::bindings::types;

/// Bytes of all texts of one decision together.
pub const DECISION_BYTES_MAX: usize = 256 * 1024;

/// Bytes of an address, a URL, a skill expression or a subject.
const LINE_BYTES_MAX: usize = 2 * 1024;

/// Bytes of a BCP 47 tag.
const LANGUAGE_BYTES_MAX: usize = 35;

/// The decision, or why it is refused.
pub(super) fn decision(
    answered: types::Decision,
    manifest: &Manifest,
    scope: Option<&Scope>,
) -> Result<Decision, Failure> {
    let decision = checked(answered, manifest).map_err(Failure::Refused)?;
    if let Some(scope) = scope {
        within(&decision, scope).map_err(Failure::Refused)?;
    }
    Ok(decision)
}

/// Whether it sends nothing to a queue that the deployment is not granted.
fn within(decision: &Decision, scope: &Scope) -> Result<(), String> {
    for (n, action) in decision.actions.iter().enumerate() {
        let queue = match action {
            Action::RouteTo(Target::Queue(queue))
            | Action::Forward(Destination::Queue(queue))
            | Action::Redirect(Destination::Queue(queue)) => queue,
            _ => continue,
        };
        if !scope.allows_queue(queue) {
            return Err(format!("action {}: the queue {queue}, which the deployment's grants do not name", n + 1));
        }
    }
    Ok(())
}

/// The failure that the strategy itself gave, its text cut.
pub(super) fn failure(answered: types::Failure) -> Failure {
    match answered {
        types::Failure::Unsuitable(why) => Failure::Unsuitable(cut(why, limits::REASON_BYTES_MAX)),
        types::Failure::Missing(what) => Failure::Missing(cut(what, limits::REASON_BYTES_MAX)),
        types::Failure::Other(why) => Failure::Other(cut(why, limits::REASON_BYTES_MAX)),
    }
}

/// The text, cut at a character's end.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes_max));
    text
}

fn checked(answered: types::Decision, manifest: &Manifest) -> Result<Decision, String> {
    let types::Decision { outcome, actions, reason } = answered;
    if !manifest.outcomes.iter().any(|declared| declared.name == outcome) {
        let declared: Vec<_> = manifest.outcomes.iter().map(|outcome| outcome.name.as_str()).collect();
        let outcome = cut(outcome, 80);
        return Err(format!("outcome `{outcome}` is none of the manifest's: {}", declared.join(", ")));
    }
    if actions.len() > limits::ACTIONS_MAX {
        return Err(format!("{} actions, and at most {} are taken", actions.len(), limits::ACTIONS_MAX));
    }
    let mut bytes = Bytes(outcome.len() + reason.len());
    let actions = actions
        .into_iter()
        .enumerate()
        .map(|(n, given)| action(given, &mut bytes).map_err(|why| format!("action {}: {why}", n + 1)))
        .collect::<Result<_, _>>()?;
    if bytes.0 > DECISION_BYTES_MAX {
        return Err(format!("{} bytes of text in all, and at most {DECISION_BYTES_MAX} are taken", bytes.0));
    }
    Ok(Decision { outcome, actions, reason: cut(reason, limits::REASON_BYTES_MAX) })
}

/// Bytes of text seen so far.
struct Bytes(usize);

impl Bytes {
    /// A text of `min` to `max` bytes.
    fn text(&mut self, what: &str, text: String, min: usize, max: usize) -> Result<String, String> {
        self.0 += text.len();
        if text.len() < min {
            return Err(format!("{what} is empty"));
        }
        if text.len() > max {
            return Err(format!("{what} has {} bytes, and at most {max} are taken", text.len()));
        }
        Ok(text)
    }

    fn name(&mut self, what: &str, text: String) -> Result<String, String> {
        self.text(what, text, 1, limits::KEY_BYTES_MAX)
    }

    fn line(&mut self, what: &str, text: String) -> Result<String, String> {
        self.text(what, text, 1, LINE_BYTES_MAX)
    }

    fn entry(&mut self, entry: types::EntryResult) -> Result<Entry, String> {
        Ok(Entry {
            key: self.name("a key", entry.key)?,
            value: self.text("a value", entry.value, 0, limits::VALUE_BYTES_MAX)?,
        })
    }
}

fn action(given: types::Action, bytes: &mut Bytes) -> Result<Action, String> {
    Ok(match given {
        types::Action::Acknowledge(given) => Action::Acknowledge(reply(given, bytes)?),
        types::Action::Respond(given) => Action::Respond(reply(given, bytes)?),
        types::Action::Attach(given) => Action::Attach(bytes.entry(given)?),
        types::Action::Categorize(given) => {
            if given.relevancy > 100 {
                return Err(format!("a category's relevancy is 0 to 100, not {}", given.relevancy));
            }
            Action::Categorize(Category {
                name: bytes.name("a category's name", given.name)?,
                relevancy: given.relevancy,
            })
        }
        types::Action::SetLanguage(tag) => {
            Action::SetLanguage(bytes.text("a language tag", tag, 1, LANGUAGE_BYTES_MAX)?)
        }
        types::Action::SetPriority(priority) => {
            if priority > limits::PRIORITY_MAX {
                return Err(format!("a priority is 0 to {}, not {priority}", limits::PRIORITY_MAX));
            }
            Action::SetPriority(priority)
        }
        types::Action::RequireSkill(given) => {
            if !(1..=10).contains(&given.level) {
                return Err(format!("a skill's level is 1 to 10, not {}", given.level));
            }
            Action::RequireSkill(Skill { name: bytes.name("a skill's name", given.name)?, level: given.level })
        }
        types::Action::RouteTo(target) => Action::RouteTo(match target {
            types::Target::Queue(name) => Target::Queue(bytes.name("a queue's name", name)?),
            types::Target::Agent(name) => Target::Agent(bytes.name("an agent's name", name)?),
            types::Target::AgentGroup(name) => Target::AgentGroup(bytes.name("an agent group's name", name)?),
            types::Target::PlaceGroup(name) => Target::PlaceGroup(bytes.name("a place group's name", name)?),
            types::Target::Skills(text) => Target::Skills(bytes.line("a skill expression", text)?),
        }),
        types::Action::Forward(to) => Action::Forward(destination(to, bytes)?),
        types::Action::Redirect(to) => Action::Redirect(destination(to, bytes)?),
        types::Action::End(code) => Action::End(bytes.name("a disposition code", code)?),
        types::Action::Custom(given) => {
            return Err(format!("this server has no action `{}`", cut(given.name, limits::KEY_BYTES_MAX)));
        }
    })
}

fn reply(given: types::Reply, bytes: &mut Bytes) -> Result<Reply, String> {
    Ok(match given {
        types::Reply::Standard(given) => {
            if given.fields.len() > limits::ENTRIES_MAX {
                return Err(format!("{} fields, and at most {} are taken", given.fields.len(), limits::ENTRIES_MAX));
            }
            Reply::Standard {
                name: bytes.name("a standard response's name", given.name)?,
                fields: given.fields.into_iter().map(|field| bytes.entry(field)).collect::<Result<_, _>>()?,
            }
        }
        types::Reply::Text(given) => Reply::Text {
            subject: given.subject.map(|text| bytes.text("a subject", text, 0, LINE_BYTES_MAX)).transpose()?,
            body: bytes.text("a reply", given.body, 0, limits::REPLY_BYTES_MAX)?,
        },
    })
}

fn destination(given: types::Destination, bytes: &mut Bytes) -> Result<Destination, String> {
    Ok(match given {
        types::Destination::Queue(name) => Destination::Queue(bytes.name("a queue's name", name)?),
        types::Destination::Address(address) => Destination::Address(bytes.line("an address", address)?),
        types::Destination::Url(url) => Destination::Url(bytes.line("a URL", url)?),
    })
}

#[cfg(test)]
mod tests {
    use signalbox_engine::Outcome;

    use super::*;

    fn judged(outcome: &str, actions: Vec<types::Action>, reason: &str) -> Result<Decision, Failure> {
        let manifest = Manifest {
            name: "test".into(),
            version: "1".into(),
            description: String::new(),
            outcomes: vec![Outcome { name: "ok".into(), description: String::new() }],
            settings_schema: "{}".into(),
            assets: vec![],
        };
        decision(types::Decision { outcome: outcome.into(), actions, reason: reason.into() }, &manifest, None)
    }

    fn refusal(action: types::Action) -> String {
        match judged("ok", vec![action], "") {
            Err(Failure::Refused(why)) => why,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn every_value_out_of_bounds_is_refused_by_name() {
        let text = |bytes: usize| "x".repeat(bytes);
        let cases = [
            (types::Action::SetPriority(1001), "action 1: a priority is 0 to 1000, not 1001"),
            (
                types::Action::Categorize(types::CategoryResult { name: "a".into(), relevancy: 101 }),
                "action 1: a category's relevancy is 0 to 100, not 101",
            ),
            (
                types::Action::RequireSkill(types::Skill { name: "a".into(), level: 0 }),
                "action 1: a skill's level is 1 to 10, not 0",
            ),
            (
                types::Action::RequireSkill(types::Skill { name: "a".into(), level: 11 }),
                "action 1: a skill's level is 1 to 10, not 11",
            ),
            (
                types::Action::Attach(types::EntryResult { key: String::new(), value: "v".into() }),
                "action 1: a key is empty",
            ),
            (
                types::Action::Attach(types::EntryResult { key: text(129), value: "v".into() }),
                "action 1: a key has 129 bytes, and at most 128 are taken",
            ),
            (
                types::Action::Attach(types::EntryResult { key: "k".into(), value: text(8193) }),
                "action 1: a value has 8193 bytes, and at most 8192 are taken",
            ),
            (
                types::Action::Respond(types::Reply::Text(types::TextReply { subject: None, body: text(65537) })),
                "action 1: a reply has 65537 bytes, and at most 65536 are taken",
            ),
            (types::Action::End(String::new()), "action 1: a disposition code is empty"),
            (
                types::Action::Custom(types::CustomAction { name: "teleport".into(), payload: "{}".into() }),
                "action 1: this server has no action `teleport`",
            ),
        ];
        for (action, why) in cases {
            assert_eq!(refusal(action), why);
        }
    }

    #[test]
    fn an_outcome_that_was_never_declared_is_refused() {
        let refused = judged("elsewhere", vec![], "");
        let why = "outcome `elsewhere` is none of the manifest's: ok";
        assert_eq!(refused, Err(Failure::Refused(why.into())));
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let decided = judged("ok", vec![], &"é".repeat(4000)).unwrap();
        assert_eq!(decided.reason.len(), 4096);
    }

    #[test]
    fn more_than_64_actions_or_256_kib_of_text_are_refused() {
        let many = (0..65).map(types::Action::SetPriority).collect();
        let why = "65 actions, and at most 64 are taken";
        assert_eq!(judged("ok", many, ""), Err(Failure::Refused(why.into())));

        let reply = |_| {
            types::Action::Respond(types::Reply::Text(types::TextReply { subject: None, body: "x".repeat(60_000) }))
        };
        let why = "300002 bytes of text in all, and at most 262144 are taken";
        assert_eq!(judged("ok", (0..5).map(reply).collect(), ""), Err(Failure::Refused(why.into())));
    }
}
