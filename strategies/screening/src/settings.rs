//! What an operator writes: rules in order, each a condition and what to do where it holds.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The settings of the strategy.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// In order: the first rule whose condition holds decides. 1 to 1000.
    pub rules: Vec<Rule>,
    /// The outcome where no rule holds.
    #[serde(default = "clean")]
    pub otherwise: String,
    /// Words also match without regard to accents, ligatures and width: `cafe` is `Café` and `ＣＡＦＥ`. Patterns see the text as it is.
    #[serde(default)]
    pub loose: bool,
}

fn clean() -> String {
    "clean".to_owned()
}

/// A condition and what to do where it holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Names the rule in reasons and in errors. Each name once.
    pub name: String,
    /// The outcome to leave by: lower case letters, digits and hyphens, at most 64 bytes.
    pub outcome: String,
    /// When the rule holds.
    pub when: Condition,
    /// User data to attach. The named groups of the patterns that matched are attached as well, under their names.
    #[serde(default)]
    pub attach: BTreeMap<String, String>,
    /// Priority to set, 0 to 1000.
    pub priority: Option<u16>,
    /// Categories to give, each with its relevancy, 0 to 100.
    #[serde(default)]
    pub categories: BTreeMap<String, u8>,
    /// Skills to require, each with its lowest level, 1 to 10.
    #[serde(default)]
    pub skills: BTreeMap<String, u8>,
    /// Language to set, a BCP 47 tag.
    pub language: Option<String>,
}

/// Holds where everything in it holds. At least one part must be there.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// Any of these words or phrases is in the text. Whole words, whatever the white space between them; `refund*` also finds `refunded`, `*port` also finds `support`.
    pub words: Vec<String>,
    /// This regular expression matches. Its named groups become user data.
    pub pattern: Option<String>,
    /// Where `words` and `pattern` look: `subject`, `body`, `sender`, `recipient`, `media-type`, `header:NAME`, `user:KEY`. Subject and body unless said.
    #[serde(rename = "in")]
    #[schemars(with = "Vec<String>")]
    pub places: Vec<Place>,
    /// `words` and `pattern` tell upper from lower case.
    pub case_sensitive: bool,
    /// All of these hold.
    pub all: Vec<Condition>,
    /// At least one of these holds.
    pub any: Vec<Condition>,
    /// None of these holds.
    pub none: Vec<Condition>,
}

/// A part of an interaction that has text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Place {
    /// The subject line.
    Subject,
    /// The text.
    Body,
    /// Who sent it.
    Sender,
    /// Whom it was sent to.
    Recipient,
    /// The kind of medium.
    MediaType,
    /// Each header of this name, which is in lower case.
    Header(String),
    /// The item of user data under this key.
    User(String),
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(match (text.as_str(), text.split_once(':')) {
            ("subject", _) => Self::Subject,
            ("body", _) => Self::Body,
            ("sender", _) => Self::Sender,
            ("recipient", _) => Self::Recipient,
            ("media-type", _) => Self::MediaType,
            (_, Some(("header", name))) if !name.is_empty() => Self::Header(name.to_ascii_lowercase()),
            (_, Some(("user", key))) if !key.is_empty() => Self::User(key.to_owned()),
            _ => {
                return Err(format!(
                    "`{text}` is not a place to look: subject, body, sender, recipient, media-type, header:NAME or user:KEY"
                ));
            }
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Subject => out.write_str("subject"),
            Self::Body => out.write_str("body"),
            Self::Sender => out.write_str("sender"),
            Self::Recipient => out.write_str("recipient"),
            Self::MediaType => out.write_str("media-type"),
            Self::Header(name) => write!(out, "header:{name}"),
            Self::User(key) => write!(out, "user:{key}"),
        }
    }
}
