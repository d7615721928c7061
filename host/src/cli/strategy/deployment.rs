//! A deployment as it is shown on the command line.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::super::output::{ago, cell, shortened, text};

/// A deployment for people: what it is, who made it of what, and its settings.
pub(super) fn deployed(deployment: &Value) -> String {
    let field = |name| cell(deployment, name);
    let made = deployment.get("created_at").and_then(Value::as_u64).map(ago).unwrap_or_default();
    let prepared = match deployment.get("snapshotted").and_then(Value::as_bool) {
        Some(true) => "configured once, at deployment".to_owned(),
        _ => match deployment.get("unsnapshotted_because").map(text) {
            Some(why) => format!("configured for every call, unless bound with --warm-calls: {why}"),
            None => "configured for every call, unless bound with --warm-calls".into(),
        },
    };
    let mut lines = vec![
        format!("{}: {} {}", field("name"), field("manifest.name"), field("manifest.version")),
        format!("digest    {}", field("strategy")),
        format!("deployed  {made} by {}", field("created_by")),
        format!("calls     {} ms at most, {prepared}", field("deadline_ms")),
    ];
    if deployment["grants"].is_object() {
        let named = |kind: &str| match deployment["grants"][kind].as_array().filter(|names| !names.is_empty()) {
            Some(names) => names.iter().map(text).collect::<Vec<_>>().join(", "),
            None => "none".into(),
        };
        let (imports, tables, queues) = (named("imports"), named("tables"), named("queues"));
        lines.push(format!("grants    imports: {imports}; tables: {tables}; queues: {queues}"));
    }
    lines.extend(Some(signer(deployment)).filter(|key| !key.is_empty()).map(|key| format!("signed    by {key}")));
    for bound in deployment["bound_to"].as_array().into_iter().flatten() {
        lines.push(format!("bound to  {}", place(bound)));
    }
    if deployment["is_out"] == true {
        lines.push("taken out half of its last calls failed".into());
    }
    lines.extend(Some(field("message")).filter(|why| !why.is_empty()).map(|why| format!("message   {why}")));
    for outcome in deployment.pointer("/manifest/outcomes").and_then(Value::as_array).into_iter().flatten() {
        lines.push(format!("outcome   {:16} {}", cell(outcome, "name"), cell(outcome, "description")));
    }
    for (name, digest) in deployment.get("assets").and_then(Value::as_object).into_iter().flatten() {
        lines.push(format!("asset     {name:16} {}", text(digest)));
    }
    let settings = deployment.get("settings").and_then(|settings| serde_json::to_string_pretty(settings).ok());
    lines.push(format!("settings  {}", settings.unwrap_or_default()));
    lines.join("\n")
}

/// What a deployment has done, for people.
pub(super) fn used_shown(used: &Value) -> String {
    if used["calls"] == 0 {
        return "not called since the server started".into();
    }
    let mut rows = vec![vec!["calls".to_owned(), cell(used, "calls")]];
    for kind in ["outcomes", "failures"] {
        for (name, count) in used[kind].as_object().into_iter().flatten() {
            let what = if kind == "failures" { format!("failure: {name}") } else { name.clone() };
            rows.push(vec![what, text(count)]);
        }
    }
    for (field, what) in [("instantiate", "sandbox"), ("guest", "strategy"), ("host_calls", "of it, asking the server")]
    {
        for quantile in ["p50", "p99"] {
            rows.push(vec![format!("{what}, {quantile}"), format!("{} µs", used[field][format!("{quantile}_us")])]);
        }
    }
    let memory = used["memory_bytes_max"].as_u64().unwrap_or_default();
    let of = |field: &str| used[field].as_u64().unwrap_or_default();
    let limit = of("memory_bytes_limit") >> 20;
    let left = of("memory_headroom_percent");
    rows.push(vec!["most memory".into(), format!("{} KiB of {limit} MiB ({left} % left)", memory / 1024)]);
    let (deadline, left) = (of("deadline_ms"), of("time_headroom_percent"));
    rows.push(vec!["deadline".into(), format!("{deadline} ms (the p99 leaves {left} %)")]);
    if used["is_out"] == true {
        rows.push(vec!["taken out".into(), "half of its last calls failed".into()]);
    }
    let width = rows.iter().map(|row| row[0].chars().count()).max().unwrap_or(0);
    rows.iter().map(|row| format!("{:width$}  {}", row[0], row[1])).collect::<Vec<_>>().join("\n")
}

/// The key that signed a deployment's strategy; nothing where none did.
fn signer(deployment: &Value) -> String {
    let key = cell(deployment, "signed_by.key");
    if deployment["signed_by"]["stands"] == false { format!("{key} (gone)") } else { key }
}

/// A strategy element that a deployment is bound to, and as what, where it does not simply serve there.
fn place(bound: &Value) -> String {
    let place = format!("{}/{}", cell(bound, "workflow"), cell(bound, "element"));
    if bound["part"] == "share" { place } else { format!("{place} ({})", cell(bound, "part")) }
}

/// The columns of a list of deployments.
pub(super) const HEADINGS: [&str; 10] =
    ["deployment", "strategy", "version", "digest", "grants", "signed by", "bound to", "deployed", "by", "message"];

/// A line of it.
pub(super) fn row(deployment: &Value) -> Vec<String> {
    let digest: String = cell(deployment, "strategy").chars().take(12).collect();
    let deployed = deployment.get("created_at").and_then(Value::as_u64).map(ago).unwrap_or_default();
    let field = |name| cell(deployment, name);
    let out = (deployment["is_out"] == true).then(|| "(taken out)".to_owned());
    let places = deployment["bound_to"].as_array().into_iter().flatten().map(place);
    let bound: Vec<_> = out.into_iter().chain(places).collect();
    vec![
        field("name"),
        field("manifest.name"),
        field("manifest.version"),
        digest,
        if deployment["grants"].is_object() { "named".into() } else { "all".into() },
        signer(deployment),
        shortened(&bound.join(", "), 60),
        deployed,
        field("created_by"),
        shortened(&field("message"), 40),
    ]
}

pub(super) fn log_line(line: &Value) -> String {
    let at = line.get("at_ms").and_then(Value::as_u64).map(ago).unwrap_or_default();
    format!("{at:>10}  {:5} {}  {}", cell(line, "level"), cell(line, "message"), cell(line, "interaction"))
}

/// Where two deployments differ.
#[derive(Debug, Serialize)]
pub(super) struct Difference {
    at: String,
    from: Value,
    to: Value,
}

impl fmt::Display for Difference {
    /// Each value on a line of its own, whole: it may be long, and where it differs may be its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)?;
        for (sign, value) in [('-', &self.from), ('+', &self.to)].into_iter().filter(|(_, value)| !value.is_null()) {
            write!(f, "\n  {sign} {value}")?;
        }
        Ok(())
    }
}

/// Where two deployments differ in what decides.
pub(super) fn differences(from: &Value, to: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    for field in ["strategy", "manifest", "settings", "assets", "deadline_ms", "grants"] {
        differ(field, &from[field], &to[field], &mut differences);
    }
    differences
}

/// Collects where two JSON values differ, as deep as they have the same shape.
fn differ(at: &str, from: &Value, to: &Value, differences: &mut Vec<Difference>) {
    if from == to {
        return;
    }
    match (from, to) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                let side = |of: &serde_json::Map<String, Value>| of.get(key).cloned().unwrap_or_default();
                differ(&format!("{at}.{key}"), &side(one), &side(other), differences);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (n, (one, other)) in one.iter().zip(other).enumerate() {
                differ(&format!("{at}.{n}"), one, other, differences);
            }
        }
        _ => differences.push(Difference { at: at.to_owned(), from: from.clone(), to: to.clone() }),
    }
}
