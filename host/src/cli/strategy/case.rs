//! A case: a request, what the account holds, and what is expected of the strategy. One file each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use signalbox_engine::{Action, Calendar, Decision, Failure, Scope};
use similar::{ChangeTag, TextDiff};

use super::given::{Given, NamedResponse, Tables};
use super::request::Draft;
use crate::cli::document::read_text;
use crate::cli::error::Error;
use crate::strategy::{LogLine, ObjectKind};

/// Lines around a difference that are shown.
const CONTEXT_LINES: usize = 2;

/// A case as it stands in its file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// What it is called; left out, as its file.
    #[serde(default)]
    pub name: String,
    /// The project's where it has none.
    pub settings: Option<Map<String, Value>>,
    /// What the deployment may use; left out: everything.
    grants: Option<Arc<Scope>>,
    #[serde(default)]
    tables: Tables,
    #[serde(default)]
    statistics: BTreeMap<ObjectKind, BTreeMap<String, BTreeMap<String, f64>>>,
    #[serde(default)]
    calendars: BTreeMap<String, Calendar>,
    #[serde(default)]
    responses: BTreeMap<String, NamedResponse>,
    /// None where the settings are expected to be refused.
    pub request: Option<Draft>,
    expect: Option<Expected>,
    #[serde(skip)]
    file: PathBuf,
    #[serde(skip)]
    text: String,
}

/// What is expected, and what came, in the same words. What is left out of the first is left out of the second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Expected {
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<ExpectedDecision>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configure_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Vec<LogLine>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedDecision {
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<Vec<Action>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What came of a case.
#[derive(Debug)]
pub(super) enum Came {
    /// The settings were refused, and why.
    Refused(String),
    /// The strategy was called, and logged this.
    Called(Result<Decision, Failure>, Vec<LogLine>),
}

/// How what came stands to what is expected.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// They agree.
    Passed,
    /// They do not: the difference, in lines. With the text of the case's file as it would have to be, where what came is
    /// nothing that only a bug leaves behind.
    Differs(String, Option<String>),
}

impl Case {
    /// The case in a file.
    pub fn read(file: &Path) -> Result<Self, Error> {
        Self::parse(file, read_text(file)?)
    }

    /// The case that a file's text is.
    pub fn parse(file: &Path, text: String) -> Result<Self, Error> {
        let mut case: Self = serde_json::from_str(&text).map_err(|error| {
            let at = format!("{}, line {}", file.display(), error.line());
            Error::new(format!("{} is not a case", file.display())).because(&error).at(at)
        })?;
        if case.name.is_empty() {
            case.name = super::stem(file);
        }
        let expected = case
            .expect
            .iter()
            .flat_map(|expect| [expect.decision.is_some(), expect.failure.is_some(), expect.configure_error.is_some()]);
        let stated = expected.filter(|is_stated| *is_stated).count();
        if case.expect.is_some() && stated != 1 {
            return Err(Error::new(format!("{} expects {stated} things", file.display()))
                .at("expect")
                .fix("state exactly one of `decision`, `failure` and `configure-error`; --update writes what came"));
        }
        case.file = file.to_owned();
        case.text = text;
        Ok(case)
    }

    /// Its file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What the deployment may use; none: everything.
    pub fn grants(&self) -> Option<Arc<Scope>> {
        self.grants.clone()
    }

    /// What the account holds.
    pub fn given(&self) -> Given {
        let Self { tables, statistics, calendars, responses, .. } = self;
        Given {
            tables: tables.clone(),
            statistics: statistics.clone(),
            calendars: calendars.clone(),
            responses: responses.clone(),
        }
    }

    /// Compares.
    pub fn judge(&self, came: &Came) -> Verdict {
        let actual = self.in_words_of_the_case(came);
        if self.expect.as_ref() == Some(&actual) {
            return Verdict::Passed;
        }
        let is_bug = matches!(&actual.failure, Some(failure) if !is_said(failure));
        let updated = if is_bug { None } else { self.with(&actual) };
        Verdict::Differs(difference(self.expect.as_ref(), &actual), updated)
    }

    /// What came, as far as the case states what it expects; where that is of another kind, the whole.
    fn in_words_of_the_case(&self, came: &Came) -> Expected {
        let stated = self.expect.clone().unwrap_or_default();
        match came {
            Came::Refused(why) => {
                let part = stated.configure_error.filter(|part| why.contains(part.as_str()));
                Expected { configure_error: Some(part.unwrap_or_else(|| why.clone())), ..Expected::default() }
            }
            Came::Called(outcome, log) => {
                let wants_log = stated.log.is_some() || (self.expect.is_none() && !log.is_empty());
                let log = wants_log.then(|| log.clone());
                match outcome {
                    Ok(decision) => {
                        let part = stated.decision.unwrap_or(ExpectedDecision {
                            outcome: Some(String::new()),
                            actions: Some(Vec::new()),
                            reason: Some(String::new()),
                        });
                        let decision = ExpectedDecision {
                            outcome: part.outcome.map(|_| decision.outcome.clone()),
                            actions: part.actions.map(|_| decision.actions.clone()),
                            reason: part.reason.map(|_| decision.reason.clone()),
                        };
                        Expected { decision: Some(decision), log, ..Expected::default() }
                    }
                    Err(failure) => Expected { failure: Some(failure.clone()), log, ..Expected::default() },
                }
            }
        }
    }

    /// The case's file with another `expect`, all else as it is written.
    fn with(&self, expect: &Expected) -> Option<String> {
        let pretty = serde_json::to_string_pretty(expect).ok()?.replace('\n', "\n  ");
        let wanted: Value = serde_json::from_str(&pretty).ok()?;
        let before: Map<String, Value> = serde_json::from_str(&self.text).ok()?;
        let is_right = |text: &String| {
            let Ok(mut after) = serde_json::from_str::<Map<String, Value>>(text) else { return false };
            let expect = after.remove("expect");
            let mut rest = before.clone();
            rest.remove("expect");
            expect.as_ref() == Some(&wanted) && after == rest
        };
        if before.contains_key("expect") {
            // The word may stand elsewhere too: the right place is where changing it changes nothing else.
            let places = self.text.match_indices("\"expect\"").filter_map(|(at, word)| {
                let value =
                    at + word.len() + self.text[at + word.len()..].find(|c: char| c != ':' && !c.is_whitespace())?;
                let mut values = serde_json::Deserializer::from_str(&self.text[value..]).into_iter::<Value>();
                values.next()?.ok()?;
                let end = value + values.byte_offset();
                Some(format!("{}{pretty}{}", &self.text[..value], &self.text[end..]))
            });
            return places.into_iter().find(is_right);
        }
        let end = self.text.rfind('}')?;
        let comma = if before.is_empty() { "" } else { "," };
        let added = format!("{}{comma}\n  \"expect\": {pretty}\n{}", self.text[..end].trim_end(), &self.text[end..]);
        Some(added).filter(is_right)
    }
}

/// Whether a failure is one that the strategy says on purpose.
fn is_said(failure: &Failure) -> bool {
    matches!(failure, Failure::Unsuitable(_) | Failure::Missing(_) | Failure::Other(_) | Failure::Refused(_))
}

/// Lines with `-` are expected and missing, lines with `+` came.
fn difference(expected: Option<&Expected>, actual: &Expected) -> String {
    let pretty = |expected: &Expected| serde_json::to_string_pretty(expected).unwrap_or_default();
    let expected = expected.map(pretty).unwrap_or_default();
    let actual = pretty(actual);
    let diff = TextDiff::from_lines(&expected, &actual);
    let mut lines = Vec::new();
    for (group, operations) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        if group > 0 {
            lines.push("      …".to_owned());
        }
        for change in operations.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            lines.push(format!("    {sign} {}", change.value().trim_end()));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::Level;

    fn case(text: &str) -> Case {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("case.json");
        std::fs::write(&file, text).unwrap();
        Case::read(&file).unwrap()
    }

    fn decided(outcome: &str, actions: Vec<Action>) -> Came {
        let decision = Decision { outcome: outcome.into(), actions, reason: "so".into() };
        Came::Called(Ok(decision), vec![LogLine { level: Level::Info, message: "seen".into() }])
    }

    #[test]
    fn what_a_case_leaves_out_is_not_compared() {
        let case = case(r#"{ "expect": { "decision": { "outcome": "a" } } }"#);
        assert_eq!(case.judge(&decided("a", vec![Action::SetPriority(3)])), Verdict::Passed);
        assert!(matches!(case.judge(&decided("b", vec![])), Verdict::Differs(..)));
    }

    #[test]
    fn the_log_is_compared_where_it_is_stated() {
        let stated =
            |log: &str| case(&format!(r#"{{ "expect": {{ "decision": {{ "outcome": "a" }}, "log": {log} }} }}"#));
        assert_eq!(stated(r#"[{ "level": "info", "message": "seen" }]"#).judge(&decided("a", vec![])), Verdict::Passed);
        assert!(matches!(stated("[]").judge(&decided("a", vec![])), Verdict::Differs(..)));
    }

    #[test]
    fn a_part_of_why_settings_are_refused_is_enough() {
        let case = case(r#"{ "expect": { "configure-error": "rule 2" } }"#);
        assert_eq!(case.judge(&Came::Refused("the strategy refuses: rule 2 is empty".into())), Verdict::Passed);
        assert!(matches!(case.judge(&Came::Refused("rule 3".into())), Verdict::Differs(..)));
        assert!(matches!(case.judge(&decided("a", vec![])), Verdict::Differs(..)));
    }

    #[test]
    fn a_difference_shows_its_lines_and_some_around_them() {
        let case = case(r#"{ "expect": { "decision": { "outcome": "a", "actions": [{ "set-priority": 3 }] } } }"#);
        let Verdict::Differs(lines, _) = case.judge(&decided("a", vec![Action::SetPriority(4)])) else {
            panic!("another priority is another decision");
        };
        let shown = "          \"actions\": [\n            {\n    -         \"set-priority\": 3\n    +         \"set-priority\": 4\n";
        assert!(lines.contains(shown), "{lines}");
    }

    #[test]
    fn an_update_changes_expect_and_leaves_the_rest_as_it_is_written() {
        let text = "{\n  \"name\": \"the \\\"expect\\\": of it\",\n  \"settings\": { \"expect\": 1,   \"b\": 2 },\n  \
                    \"expect\": { \"decision\": { \"outcome\": \"a\" } }\n}\n";
        let Verdict::Differs(_, Some(updated)) = case(text).judge(&decided("b", vec![])) else { panic!("it differs") };
        let after = "  \"expect\": {\n    \"decision\": {\n      \"outcome\": \"b\"\n    }\n  }\n}\n";
        assert_eq!(updated, format!("{}{after}", text.split("  \"expect\": { \"decision").next().unwrap()));
        assert_eq!(case(&updated).judge(&decided("b", vec![])), Verdict::Passed);
    }

    #[test]
    fn a_case_that_expects_nothing_yet_takes_the_whole_and_the_log() {
        let case = case("{ \"tables\": {} }\n");
        let Verdict::Differs(_, Some(updated)) = case.judge(&decided("b", vec![])) else { panic!("nothing agrees") };
        let document: Value = serde_json::from_str(&updated).unwrap();
        assert_eq!(document["expect"]["decision"]["reason"], "so");
        assert_eq!(document["expect"]["log"][0]["message"], "seen");
        assert_eq!(document["tables"], serde_json::json!({}));
    }

    #[test]
    fn what_only_a_bug_leaves_behind_is_never_written_down() {
        let trapped = Came::Called(Err(Failure::Trap("unreachable".into())), vec![]);
        assert!(matches!(case("{}").judge(&trapped), Verdict::Differs(_, None)));
        let said = Came::Called(Err(Failure::Missing("a table".into())), vec![]);
        assert!(matches!(case("{}").judge(&said), Verdict::Differs(_, Some(_))));
    }
}
