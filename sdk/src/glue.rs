//! Between the generated exports and a [`Strategy`]: settings out of JSON, the configured state, panics into the log.
//!
//! Invariant: `route` reads the configured state and writes nothing outside its own values.

use crate::{
    Asset, AssetNeed, Assets, Decision, Failure, Manifest, Request, Strategy, limits, log,
    strategy::{Need, standing_outcomes},
};
use std::sync::{Once, OnceLock};

pub use wit_bindgen::rt;

/// A component's one configured strategy.
pub struct Slot<S>(OnceLock<S>);

impl<S: Strategy> Slot<S> {
    /// Nothing is configured yet.
    #[expect(clippy::new_without_default, reason = "only ever made in a static")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The component's `describe`.
    pub fn describe(&self) -> Manifest {
        report_panics();
        describe(self.0.get())
    }

    /// The component's `configure`.
    ///
    /// # Errors
    /// What `configure` below refuses, and a second call: a deployment is configured once.
    pub fn configure(&self, settings: &str, assets: Vec<Asset>) -> Result<(), String> {
        report_panics();
        let strategy = configure(settings, assets)?;
        self.0.set(strategy).map_err(|_| "it is configured already".to_owned())
    }

    /// The component's `route`.
    ///
    /// # Errors
    /// The strategy's own, and `other` where `configure` was never called.
    pub fn route(&self, request: &Request) -> Result<Decision, Failure> {
        match self.0.get() {
            Some(strategy) => strategy.route(request),
            None => Err(Failure::Other("route was called before configure".to_owned())),
        }
    }
}

/// What a strategy says of itself, with its settings where it has them.
pub fn describe<S: Strategy>(configured: Option<&S>) -> Manifest {
    Manifest {
        name: S::NAME.to_owned(),
        version: S::VERSION.to_owned(),
        description: S::DESCRIPTION.to_owned(),
        outcomes: configured.map_or_else(standing_outcomes::<S>, S::outcomes),
        settings_schema: schemars::schema_for!(S::Settings).to_value().to_string(),
        assets: S::ASSETS.iter().map(AssetNeed::from).collect(),
    }
}

/// A strategy from the JSON text of its settings. Empty text stands for `{}`.
///
/// # Errors
/// Settings that do not fit their type, a required file that is not there, the strategy's own refusal, and outcomes
/// that a server would not take.
pub fn configure<S: Strategy>(settings: &str, assets: Vec<Asset>) -> Result<S, String> {
    let settings = if settings.trim().is_empty() { "{}" } else { settings };
    let settings = serde_json::from_str(settings).map_err(|error| format!("settings: {error}"))?;
    for need in S::ASSETS.iter().filter(|need| need.required) {
        if !assets.iter().any(|asset| asset.name == need.name) {
            return Err(format!("the file `{}` is required: {}", need.name, need.description));
        }
    }
    let strategy = S::configure(settings, Assets::new(assets))?;
    limits::check_manifest(&describe(Some(&strategy)))?;
    Ok(strategy)
}

impl From<&Need> for AssetNeed {
    fn from(need: &Need) -> Self {
        Self { name: need.name.to_owned(), description: need.description.to_owned(), required: need.required }
    }
}

/// Sends panics to the host's log, with their message and place, before they end the call.
///
/// The hook lives in memory, so one set before the snapshot is in force in every call after it.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.payload_as_str().unwrap_or("a value that is not text");
            match panic.location() {
                Some(place) => log::error(format!("panicked at {place}: {message}")),
                None => log::error(format!("panicked: {message}")),
            }
        }));
    });
}
