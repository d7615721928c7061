//! Settings against the JSON Schema in a strategy's manifest, so that a mistake is named by its field.
//!
//! A schema comes from the strategy and may be hostile: patterns run in linear time, nothing is fetched, and a schema
//! that refers to itself without going deeper into the settings (which no validator ever gets to the end of) is refused.

use std::collections::BTreeSet;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::error::InstallError;

/// How deep settings may nest. Bounds the stack that checking them takes.
const DEPTH_MAX: usize = 64;

/// Steps to follow all references of a schema. A few that each refer twice to the next take for ever.
const STEPS_MAX: usize = 100_000;

/// Keywords whose schemas look at the same value as the schema that they stand in.
const SAME_VALUE: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];

/// Regular expressions of a schema: each takes memory once it is compiled.
const PATTERNS_MAX: usize = 100;

/// Memory of one of them.
const PATTERN_BYTES_MAX: usize = 256 << 10;

/// A schema that settings can be checked with.
#[derive(Debug)]
pub(super) struct Schema(Validator);

impl Schema {
    /// An error in words where the text is no schema, or one that is refused.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let text = if text.trim().is_empty() { "true" } else { text };
        let schema: Value = serde_json::from_str(text).map_err(|error| format!("its schema is not JSON: {error}"))?;
        if depth(&schema) > DEPTH_MAX {
            return Err(format!("its schema nests deeper than {DEPTH_MAX}"));
        }
        references(&schema, &schema, &mut 0)?;
        if patterns(&schema) > PATTERNS_MAX {
            return Err(format!("its schema has more than {PATTERNS_MAX} patterns"));
        }
        jsonschema::options()
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES_MAX))
            .build(&schema)
            .map(Self)
            .map_err(|error| format!("its settings schema is none: {error}"))
    }

    /// Whether the settings are JSON and fit.
    pub(super) fn check(&self, settings: &str) -> Result<(), InstallError> {
        let value: Value =
            serde_json::from_str(settings).map_err(|error| InstallError::SettingsSyntax(error.to_string()))?;
        if depth(&value) > DEPTH_MAX {
            return Err(InstallError::SettingsSyntax(format!("nested deeper than {DEPTH_MAX}")));
        }
        match self.0.iter_errors(&value).next() {
            None => Ok(()),
            Some(error) => Err(InstallError::SettingsSchema {
                pointer: error.instance_path().to_string(),
                why: super::answer::cut(error.to_string(), 500),
            }),
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 1,
    }
}

/// Regular expressions in it, and what only looks like one.
fn patterns(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(patterns).sum(),
        Value::Object(fields) => {
            let own = |(name, value): (&String, &Value)| match value {
                Value::String(_) => usize::from(name == "pattern"),
                Value::Object(by_pattern) if name == "patternProperties" => by_pattern.len(),
                _ => 0,
            };
            fields.iter().map(own).sum::<usize>() + fields.values().map(patterns).sum::<usize>()
        }
        _ => 0,
    }
}

/// Every reference stays inside the document, and none leads back to its own schema about the same value.
fn references(root: &Value, value: &Value, steps: &mut usize) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| references(root, item, steps)),
        Value::Object(fields) => {
            for keyword in ["$dynamicRef", "$recursiveRef"] {
                if fields.contains_key(keyword) {
                    return Err(format!("its schema uses `{keyword}`, which is not taken"));
                }
            }
            if fields.contains_key("$ref") {
                follow(root, value, &mut BTreeSet::new(), steps)?;
            }
            fields.values().try_for_each(|field| references(root, field, steps))
        }
        _ => Ok(()),
    }
}

/// Follows what looks at the same value; `open` holds the references on the way.
fn follow<'a>(
    root: &'a Value,
    schema: &'a Value,
    open: &mut BTreeSet<&'a str>,
    steps: &mut usize,
) -> Result<(), String> {
    *steps += 1;
    if *steps > STEPS_MAX {
        return Err("its schema is too entangled to follow".into());
    }
    let Value::Object(fields) = schema else { return Ok(()) };
    if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
        let pointer = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let Some(target) = pointer.and_then(|pointer| root.pointer(pointer)) else {
            return Err(format!("its schema refers to `{reference}`, which is not in it"));
        };
        if !open.insert(reference) {
            return Err(format!("its schema refers to `{reference}` in a circle"));
        }
        follow(root, target, open, steps)?;
        open.remove(reference);
    }
    for keyword in SAME_VALUE {
        match fields.get(keyword) {
            Some(Value::Array(schemas)) => schemas.iter().try_for_each(|schema| follow(root, schema, open, steps))?,
            Some(schema) => follow(root, schema, open, steps)?,
            None => {}
        }
    }
    match fields.get("dependentSchemas") {
        Some(Value::Object(schemas)) => schemas.values().try_for_each(|schema| follow(root, schema, open, steps)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(schema: &str) -> String {
        Schema::new(schema).unwrap_err()
    }

    #[test]
    fn the_field_at_fault_is_named_by_its_pointer() {
        let schema = Schema::new(
            r##"{"type": "object", "properties": {"rules": {"type": "array", "items": {"$ref": "#/$defs/rule"}}},
                "$defs": {"rule": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}}}"##,
        )
        .unwrap();
        assert_eq!(schema.check(r#"{"rules": [{"name": "a"}]}"#), Ok(()));
        match schema.check(r#"{"rules": [{"name": "a"}, {"name": 3}]}"#) {
            Err(InstallError::SettingsSchema { pointer, why }) => {
                assert_eq!(pointer, "/rules/1/name");
                assert!(why.contains("3 is not of type \"string\""), "{why}");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(schema.check("{"), Err(InstallError::SettingsSyntax(_))));
    }

    #[test]
    fn patterns_that_take_much_memory_are_refused() {
        assert!(Schema::new(r#"{"pattern": "^[a-z]{1,64}$", "patternProperties": {"^x-": {}}}"#).is_ok());
        let large = refusal(r#"{"patternProperties": {"\\p{L}{1000}": {}}}"#);
        assert!(large.starts_with("its settings schema is none"), "{large}");
        let many = serde_json::json!({"anyOf": vec![serde_json::json!({"pattern": "a"}); 101]});
        assert_eq!(refusal(&many.to_string()), "its schema has more than 100 patterns");
    }

    #[test]
    fn a_schema_that_no_validator_gets_to_the_end_of_is_refused() {
        assert_eq!(refusal(r##"{"$ref": "#"}"##), "its schema refers to `#` in a circle");
        let circle = r##"{"$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}}"##;
        assert!(refusal(circle).ends_with("in a circle"));
        assert_eq!(
            refusal(r#"{"$ref": "https://example.com"}"#),
            "its schema refers to `https://example.com`, which is not in it"
        );
        assert_eq!(refusal(r##"{"$dynamicRef": "#a"}"##), "its schema uses `$dynamicRef`, which is not taken");
        let twice = |n| {
            format!(r##""s{n}": {{"allOf": [{{"$ref": "#/$defs/s{m}"}}, {{"$ref": "#/$defs/s{m}"}}]}}"##, m = n + 1)
        };
        let entangled: Vec<_> = (0..40).map(twice).collect();
        let entangled = format!(r#"{{"$defs": {{{}, "s40": {{}}}}}}"#, entangled.join(","));
        assert_eq!(refusal(&entangled), "its schema is too entangled to follow");
        assert!(refusal("{").starts_with("its schema is not JSON"));
        assert!(refusal(r#"{"type": "strange"}"#).starts_with("its settings schema is none"));
        assert!(refusal(&format!("{}{}", "[".repeat(100), "]".repeat(100))).starts_with("its schema nests deeper"));
    }

    #[test]
    fn a_schema_that_goes_deeper_each_time_may_refer_to_itself() {
        let tree = Schema::new(r##"{"type": "object", "properties": {"child": {"$ref": "#"}}}"##).unwrap();
        assert_eq!(tree.check(r#"{"child": {"child": {}}}"#), Ok(()));
        assert!(tree.check(r#"{"child": {"child": 1}}"#).is_err());
    }
}
