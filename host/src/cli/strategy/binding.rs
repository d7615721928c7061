//! A binding on the command line: how one is put in the place of the one that stands, and how it is told of.

use clap::Args;
use serde_json::{Value, json};

use super::super::client::Client;
use super::super::error::Error;
use super::super::output::{Output, ago, cell, shortened, table, text};
use super::canary;

/// What happens when a call fails.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct OnFailure {
    /// Calls again so often, 0 to 5, before the call counts as failed. Left out: 0 with `bind`; `deploy` and `watch` keep
    /// what stands.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=5))]
    pub(super) retries: Option<u8>,
    /// Then leaves the element by this outcome. Left out with `bind`: by `error` or `timeout`, or the interaction is parked;
    /// `deploy` and `watch` keep what stands.
    #[arg(long, value_name = "OUTCOME")]
    pub(super) on_failure: Option<String>,
}

impl OnFailure {
    /// What was asked for, and for the rest what a binding has.
    pub(super) fn or_standing(&self, standing: Option<&(Value, String)>) -> Self {
        let field = |name| standing.and_then(|(binding, _)| binding.get("on_failure")?.get(name));
        let retries = || field("retries").and_then(Value::as_u64).and_then(|retries| u8::try_from(retries).ok());
        let outcome = || field("outcome").and_then(Value::as_str).map(str::to_owned);
        Self { retries: self.retries.or_else(retries), on_failure: self.on_failure.clone().or_else(outcome) }
    }

    /// As a binding has it.
    pub(super) fn document(&self) -> Value {
        let mut document = json!({ "retries": self.retries.unwrap_or_default() });
        if let Some(outcome) = &self.on_failure {
            document["outcome"] = json!(outcome);
        }
        document
    }
}

/// A part of a binding.
#[derive(Default)]
pub(super) enum Keep {
    /// As it stands.
    #[default]
    Standing,
    /// This; null for none.
    Other(Value),
}

/// What a binding has beside its shares.
#[derive(Default)]
pub(super) struct With<'a> {
    pub(super) shadows: Keep,
    pub(super) gate: Keep,
    pub(super) warm_calls: Keep,
    pub(super) canary: Option<&'a Value>,
    pub(super) message: &'a str,
}

/// The binding that an element has now, if it has one, with its ETag.
pub(super) async fn standing(
    client: &Client,
    (workflow, element): &(String, String),
) -> Result<Option<(Value, String)>, Error> {
    let path = ["workflows", workflow, "elements", element, "binding"];
    client.get_tagged(&path, "binding-unknown").await
}

/// Says that a canary ended, which nobody may have thought of.
pub(super) fn note_canary_ended(standing: Option<&(Value, String)>, bound: &Value, output: &Output) {
    if let Some(ended) = canary_ended(standing.map(|(binding, _)| binding), bound) {
        output.note(&ended);
    }
}

fn canary_ended(standing: Option<&Value>, bound: &Value) -> Option<String> {
    let before = standing?;
    let deployment = |binding: &Value| binding.pointer("/canary/deployment").cloned();
    let ended = deployment(before).is_some() && deployment(before) != deployment(bound);
    let canary = canary::beside(before).unwrap_or_else(|| format!("canary {}", cell(before, "canary.deployment")));
    ended.then(|| format!("this ended the {canary}"))
}

/// Puts a binding in the place of the one that stands, unless another has come there meanwhile.
pub(super) async fn put_binding(
    client: &Client,
    (workflow, element): &(String, String),
    shares: &[(String, u32)],
    on_failure: &OnFailure,
    With { shadows, gate, warm_calls, canary, message }: With<'_>,
    standing: Option<&(Value, String)>,
) -> Result<Value, Error> {
    let (standing, tag) = standing.map(|(binding, tag)| (binding, tag.as_str())).unzip();
    let shares: Vec<_> =
        shares.iter().map(|(deployment, weight)| json!({ "deployment": deployment, "weight": weight })).collect();
    let mut binding = json!({ "shares": shares, "on_failure": on_failure.document() });
    for (part, keep) in [("shadows", shadows), ("gate", gate), ("warm_calls", warm_calls)] {
        let value = match keep {
            Keep::Standing => standing.and_then(|standing| standing.get(part)).cloned().unwrap_or_default(),
            Keep::Other(value) => value,
        };
        if !value.is_null() {
            binding[part] = value;
        }
    }
    binding["message"] = json!(message);
    if let Some(canary) = canary {
        binding["canary"] = canary.clone();
    }
    let path = ["workflows", workflow, "elements", element, "binding"];
    let bound = client.put_tagged(&path, tag, &binding).await;
    bound.map_err(|error| {
        error.named(&[
            ("on_failure.outcome", "--on-failure"),
            ("shares", "DEPLOYMENT"),
            ("on_failure.retries", "--retries"),
            ("shadows", "--shadow"),
            ("canary.deployment", "--canary"),
            ("canary.steps", "--steps"),
            ("canary.guards.error_share_max", "--error-share-max"),
            ("canary.guards.p99_max_us", "--p99-max"),
            ("canary.guards.outcome_shift_max", "--outcome-shift-max"),
            ("canary.guards.calls_min", "--calls-min"),
        ])
    })
}

/// Who serves, with shares where they are several, and a canary.
fn served(binding: &Value) -> String {
    let shares = binding["shares"].as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |share: &Value| match shares.len() {
        1 => cell(share, "deployment"),
        _ => format!("{}={}", cell(share, "deployment"), cell(share, "weight")),
    };
    shares.iter().map(one).chain(canary::beside(binding)).collect::<Vec<_>>().join(" ")
}

/// What a binding has beside those that serve, to be added to them.
pub(super) fn beside(binding: &Value) -> String {
    let extras = extras(binding);
    if extras.is_empty() { extras } else { format!(", with {extras}") }
}

/// Who serves, and with what else.
pub(super) fn in_words(binding: &Value) -> String {
    format!("{}{}", served(binding), beside(binding))
}

/// What serves now, and what served before, the newest first, each with what else it had and why it was put.
pub(super) fn history(binding: &Value) -> String {
    let earlier = binding["earlier"].as_array().into_iter().flatten().rev();
    let row = |binding: &Value| {
        let at = binding["put_at"].as_u64().map(ago).unwrap_or_default();
        let message = shortened(&cell(binding, "message"), usize::MAX);
        vec![served(binding), extras(binding), at, cell(binding, "put_by"), message]
    };
    let rows: Vec<_> = std::iter::once(binding).chain(earlier).map(row).collect();
    table(&["served by", "with", "put", "by", "message"], &rows)
}

/// What a binding has beside those that serve, in a few words.
fn extras(binding: &Value) -> String {
    let mut parts = Vec::new();
    let earlier_canary = binding["canary"].as_str().map(|canary| format!("canary {canary}"));
    parts.extend(earlier_canary);
    let shadows: Vec<_> = binding["shadows"].as_array().into_iter().flatten().map(text).collect();
    if !shadows.is_empty() {
        parts.push(format!("shadow {}", shadows.join(" ")));
    }
    parts.extend(binding["warm_calls"].as_u64().map(|calls| format!("{calls} warm calls")));
    let retries = binding.pointer("/on_failure/retries").and_then(Value::as_u64).filter(|retries| *retries > 0);
    parts.extend(retries.map(|retries| format!("{retries} retries")));
    let outcome = binding.pointer("/on_failure/outcome").and_then(Value::as_str);
    parts.extend(outcome.map(|outcome| format!("on failure {outcome}")));
    parts.extend(
        binding
            .pointer("/gate/replayed_min")
            .map(|min| format!("gate {min}:{}", cell(binding, "gate.changed_percent_max"))),
    );
    parts.join(", ")
}

pub(super) fn described((workflow, element): &(String, String), shares: &[(String, u32)]) -> String {
    let total: u64 = shares.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let part = |(deployment, weight): &(String, u32)| match shares.len() {
        1 => deployment.clone(),
        _ => format!("{deployment} ({:.0} %)", 100.0 * f64::from(*weight) / total.max(1) as f64),
    };
    format!("{workflow}/{element} to {}", shares.iter().map(part).collect::<Vec<_>>().join(", "))
}

pub(super) fn element(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((workflow, element)) if !workflow.is_empty() && !element.is_empty() && !element.contains('/') => {
            Ok((workflow.to_owned(), element.to_owned()))
        }
        _ => Err("write it as WORKFLOW/ELEMENT".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_on_failure_stays_where_nothing_else_is_asked_for() {
        let standing = json!({"on_failure": {"retries": 2, "outcome": "desk"}});
        let asked = |retries: Option<u8>, outcome: Option<&str>| {
            let asked = OnFailure { retries, on_failure: outcome.map(str::to_owned) };
            asked.or_standing(Some(&(standing.clone(), String::new()))).document()
        };
        assert_eq!(asked(None, None), standing["on_failure"]);
        assert_eq!(asked(Some(0), None), json!({"retries": 0, "outcome": "desk"}));
        assert_eq!(asked(None, Some("spam")), json!({"retries": 2, "outcome": "spam"}));
        assert_eq!(OnFailure::default().or_standing(None).document(), json!({"retries": 0}));
    }

    #[test]
    fn a_canary_that_a_binding_ends_is_told() {
        let steps = json!([{"percent": 5, "for_s": 60}]);
        let with = |deployment: &str| json!({"canary": {"deployment": deployment, "step": 0, "steps": steps}});
        let ended = |standing: &Value, bound: &Value| canary_ended(Some(standing), bound);
        assert_eq!(ended(&with("new"), &json!({})).as_deref(), Some("this ended the canary new at 5 %"));
        assert!(ended(&with("new"), &with("other")).is_some());
        assert_eq!(ended(&with("new"), &with("new")), None);
        assert_eq!((ended(&json!({}), &with("new")), canary_ended(None, &json!({}))), (None, None));
    }
}
