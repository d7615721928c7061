//! What an operator writes: rules in order, each saying when it applies and which response goes out.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The settings of the strategy.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// In order: the first rule that applies sends. 1 to 200.
    pub rules: Vec<Rule>,
}

/// When to send which response.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Names the rule in reasons and in errors. Each name once.
    pub name: String,
    /// When it applies: where everything in it holds. Always, where it is left out.
    #[serde(default)]
    pub when: When,
    /// What the response is to the customer.
    pub send: Send,
    /// Name of the account's standard response.
    pub response: String,
    /// Values for its field codes, beyond those that the server fills in.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
}

/// What a reply is to the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Send {
    /// A receipt. Not where an acknowledgement or an answer has gone out already.
    Acknowledgement,
    /// An answer. Not where an acknowledgement or an answer has gone out already.
    Response,
    /// An answer, also after an acknowledgement, but only once.
    ResponseAfterAcknowledgement,
}

/// Holds where everything in it holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// It has one of these categories with at least this relevancy, 0 to 100.
    pub categories: BTreeMap<String, u8>,
    /// Its language is one of these BCP 47 tags; `pt` is also `pt-BR`.
    pub languages: Vec<String>,
    /// Its media type is one of these.
    pub media_types: Vec<String>,
    /// It is within or outside opening hours.
    pub hours: Option<Hours>,
}

/// Opening hours, in the calendar's own time zone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// Name of the account's calendar.
    pub calendar: String,
    /// Which it must be at the moment of the call.
    pub is: Door,
    /// Gives the next opening as a field of this name, such as `2026-03-02 08:00 UTC`, and the hours until then, rounded up, as `NAME.hours`.
    pub next_opening_as: Option<String>,
}

/// Open or closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
    /// Within opening hours.
    Open,
    /// Outside opening hours.
    Closed,
}
