//! The trait that an author implements, and what it is handed at deployment.

use crate::{Asset, Decision, Failure, Outcome, Request};

/// A routing strategy: what it says of itself, how it is made from its settings, and how it decides.
///
/// Its value is the configured state. It is made once per deployment, then the memory is snapshotted and every call
/// starts from that snapshot: build tables, automata and lists in [`configure`](Strategy::configure) and only read
/// them in [`route`](Strategy::route). Memory that a call writes to is what makes a call slow, so avoid caches that
/// fill on use.
pub trait Strategy: Sized + Send + Sync + 'static {
    /// What an operator sets, as a type: it is read from JSON, and its JSON Schema is the designer's form.
    ///
    /// Doc comments on the fields become the form's help texts. Add `#[serde(deny_unknown_fields)]`, so that a
    /// misspelt setting is refused rather than ignored.
    type Settings: serde::de::DeserializeOwned + schemars::JsonSchema;

    /// Lower case letters, digits and hyphens, at most 64 bytes.
    const NAME: &'static str;

    /// The author's own version: `env!("CARGO_PKG_VERSION")` does.
    const VERSION: &'static str;

    /// What it does, in a sentence or two.
    const DESCRIPTION: &'static str;

    /// The outcomes that it has whatever its settings, each a name and a sentence for the designer.
    ///
    /// A name has lower case letters, digits and hyphens, at most 64 bytes. These are what the designer shows before
    /// there are settings.
    const OUTCOMES: Outcomes;

    /// The files that it takes at deployment. None unless said.
    const ASSETS: &'static [Need] = &[];

    /// The outcomes that it has with its settings: at least one, each name once. [`OUTCOMES`](Strategy::OUTCOMES)
    /// unless said.
    fn outcomes(&self) -> Vec<Outcome> {
        standing_outcomes::<Self>()
    }

    /// Makes the configured state. Slow work belongs here: it is done once, however many calls follow.
    ///
    /// Of the host's functions only [`log`](crate::log) may be called.
    ///
    /// # Errors
    /// In words for the operator, naming the setting at fault: the deployment does not happen.
    fn configure(settings: Self::Settings, assets: Assets) -> Result<Self, String>;

    /// Decides about one interaction. Called in a fresh sandbox each time: nothing is remembered from call to call.
    ///
    /// # Errors
    /// [`Failure::Unsuitable`] where the interaction lacks what the strategy needs, [`Failure::Missing`] where a
    /// table, response or calendar is not there, [`Failure::Other`] for the rest. The binding's fallback then says
    /// what happens. Panics are bugs: they reach the log as an error with their place.
    fn route(&self, request: &Request) -> Result<Decision, Failure>;
}

/// [`Strategy::OUTCOMES`] as values, for an [`outcomes`](Strategy::outcomes) that adds to them.
pub fn standing_outcomes<S: Strategy>() -> Vec<Outcome> {
    S::OUTCOMES.iter().map(|(name, description)| Outcome::new(*name, *description)).collect()
}

/// Outcomes known to the compiler: each a name and a sentence for the designer.
pub type Outcomes = &'static [(&'static str, &'static str)];

/// A file that a strategy takes at deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The name it is looked for by.
    pub name: &'static str,
    /// For the operator, in a sentence.
    pub description: &'static str,
    /// Deployment is refused without it.
    pub required: bool,
}

impl Need {
    /// A file without which there is no deployment.
    pub const fn required(name: &'static str, description: &'static str) -> Self {
        Self { name, description, required: true }
    }

    /// A file that may be left out.
    pub const fn optional(name: &'static str, description: &'static str) -> Self {
        Self { name, description, required: false }
    }
}

/// The files handed over at deployment. Those required by [`Strategy::ASSETS`] are there.
#[derive(Debug, Clone, Default)]
pub struct Assets(Vec<Asset>);

impl Assets {
    /// From the files themselves.
    pub fn new(files: Vec<Asset>) -> Self {
        Self(files)
    }

    /// The bytes of a file; `None` where it was not handed over.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|asset| asset.name == name).map(|asset| asset.content.as_slice())
    }

    /// A file's bytes without copying them: memory that is copied and freed still weighs in the snapshot.
    pub fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        let at = self.0.iter().position(|asset| asset.name == name)?;
        Some(self.0.swap_remove(at).content)
    }

    /// A file as text; `Ok(None)` where it was not handed over.
    ///
    /// # Errors
    /// Where it is not UTF-8, naming the file: hand this to the operator.
    pub fn text(&self, name: &str) -> Result<Option<&str>, String> {
        self.get(name)
            .map(|bytes| std::str::from_utf8(bytes).map_err(|error| format!("asset `{name}` is not UTF-8: {error}")))
            .transpose()
    }
}
