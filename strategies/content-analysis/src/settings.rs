//! What an operator sets.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Settings of the strategy. All have a default, so `{}` will do.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Relevancy of the best category from which on it leaves by `categorized` rather than by `uncertain`.
    #[schemars(range(max = 100))]
    pub threshold: u8,
    /// How many categories are given to the interaction, the best first.
    #[schemars(range(min = 1, max = 20))]
    pub top: usize,
    /// Categories of less relevancy are not given to the interaction.
    #[schemars(range(max = 100))]
    pub relevancy_min: u8,
    /// Which text is read.
    pub text: Part,
    /// How much of the text is read, in bytes. The time of a call grows with it.
    #[schemars(range(min = 64, max = 65536))]
    pub text_bytes_max: usize,
    /// Languages that are considered, as BCP 47 tags such as `en` or `de`. All that are known where it is empty.
    pub languages: Vec<String>,
    /// Outcomes in place of `categorized`, by category: several categories may leave by the same.
    pub outcomes: BTreeMap<String, String>,
}

/// Which text of an interaction is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The subject, then the body.
    SubjectAndBody,
    /// The subject only.
    Subject,
    /// The body only.
    Body,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threshold: 50,
            top: 3,
            relevancy_min: 5,
            text: Part::SubjectAndBody,
            text_bytes_max: crate::TEXT_BYTES_MAX,
            languages: Vec::new(),
            outcomes: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Whether every number is in its range.
    ///
    /// # Errors
    /// Names the setting at fault and its range.
    pub fn check(&self) -> Result<(), String> {
        if self.threshold > 100 {
            return Err("settings: `threshold` must be 0 to 100".to_owned());
        }
        if self.relevancy_min > 100 {
            return Err("settings: `relevancy_min` must be 0 to 100".to_owned());
        }
        if !(1..=20).contains(&self.top) {
            return Err("settings: `top` must be 1 to 20".to_owned());
        }
        if !(64..=65_536).contains(&self.text_bytes_max) {
            return Err("settings: `text_bytes_max` must be 64 to 65536".to_owned());
        }
        Ok(())
    }
}
