//! Why a component cannot become a strategy. Each is the fault of what was handed in, but for the last.

use signalbox_engine::Failure;

use super::bindings::VERSIONS_SERVED;
use super::inspect::{COMPONENT_BYTES_MAX, FUNCTIONS_MAX};
use super::manifest::ASSET_BYTES_MAX;

/// Why a component, its settings or its assets are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// The bytes are something else.
    #[error("this is no WebAssembly: a strategy is a WebAssembly component, a .wasm file")]
    NotWasm,
    /// A module that was never made a component.
    #[error("this is a core module, not a component: run `signalbox strategy build` to make one of it")]
    CoreModule,
    /// The bytes begin like a component and go on like none, or use what this server's WebAssembly has not.
    #[error("the component is not valid: {0}")]
    Malformed(String),
    /// More bytes than are taken.
    #[error(
        "the component has {bytes} bytes, and at most {COMPONENT_BYTES_MAX} are taken: strip debug information, or build for size"
    )]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// It would take too long to compile.
    #[error("the component is too large to compile: {0} (bounds: {FUNCTIONS_MAX} functions, 1 MiB of code each)")]
    TooComplex(String),
    /// It was built against a version of the interface that this server does not serve.
    #[error(
        "the component is built against signalbox:strategy@{version}, and this server serves {VERSIONS_SERVED}: build \
         it against one of these, or update the server"
    )]
    VersionUnserved {
        /// The version that it names.
        version: String,
    },
    /// It wants what no strategy gets.
    #[error(
        "the component imports `{import}`, which no strategy is granted: strategies get the interfaces of \
         signalbox:strategy, and WASI 0.2 with nothing behind it"
    )]
    ImportNotGranted {
        /// Name of the import.
        import: String,
    },
    /// It wants what its deployment is not granted.
    #[error("the component imports `{import}`, which the deployment is not granted (granted: {})", or_nothing(.granted))]
    ImportBeyondGrants {
        /// The interface that it imports.
        import: &'static str,
        /// Those that are granted.
        granted: Vec<String>,
    },
    /// It is a component of another world.
    #[error(
        "the component does not export `{export}`, so it is no strategy: the world is signalbox:strategy/strategy \
         (it exports: {})", or_nothing(.exports)
    )]
    ExportMissing {
        /// Name of the export that is missing.
        export: &'static str,
        /// Names of those that it has.
        exports: Vec<String>,
    },
    /// Its imports or exports have the right names and other types.
    #[error("the component does not fit the world signalbox:strategy/strategy: {0}")]
    WorldMismatch(String),
    /// `describe` failed.
    #[error("`describe` gave no manifest: {0}")]
    Describe(Failure),
    /// What it says of itself breaks a rule.
    #[error("the strategy's manifest is not valid: {0}")]
    Manifest(String),
    /// The settings are no JSON.
    #[error("the settings are not JSON: {0}")]
    SettingsSyntax(String),
    /// The settings do not fit the strategy's schema.
    #[error("the settings do not fit the strategy's schema{}: {why}", place(.pointer))]
    SettingsSchema {
        /// JSON pointer of the field at fault; empty for the whole.
        pointer: String,
        /// What is wrong with it.
        why: String,
    },
    /// `configure` refused the settings.
    #[error("the strategy refuses the settings: {0}")]
    Settings(String),
    /// `configure` trapped, overran or ran into a limit.
    #[error("`configure` failed: {0}")]
    Configure(Failure),
    /// A required asset was not handed over.
    #[error("the asset `{name}` is missing: {description}")]
    AssetMissing {
        /// Name of the asset.
        name: String,
        /// What the strategy says it is.
        description: String,
    },
    /// An asset that the strategy does not take, or the same one twice.
    #[error("the strategy takes no asset `{name}` (it takes: {})", or_nothing(.takes))]
    AssetUnknown {
        /// Name of the asset.
        name: String,
        /// Names of those that it takes.
        takes: Vec<String>,
    },
    /// The assets together are too large.
    #[error("the assets have {bytes} bytes together, and at most {ASSET_BYTES_MAX} are taken")]
    AssetsTooLarge {
        /// How many they have.
        bytes: usize,
    },
    /// The server could not do it; the same may work later.
    #[error("the strategy could not be installed: {0}")]
    Unavailable(String),
}

impl InstallError {
    /// Stable code of the cause, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotWasm => "strategy-not-wasm",
            Self::CoreModule => "strategy-core-module",
            Self::Malformed(_) => "strategy-malformed",
            Self::TooLarge { .. } => "strategy-too-large",
            Self::TooComplex(_) => "strategy-too-complex",
            Self::VersionUnserved { .. } => "strategy-version-unserved",
            Self::ImportNotGranted { .. } => "strategy-import-not-granted",
            Self::ImportBeyondGrants { .. } => "deployment-import-not-granted",
            Self::ExportMissing { .. } => "strategy-export-missing",
            Self::WorldMismatch(_) => "strategy-world-mismatch",
            Self::Describe(_) => "strategy-describe-failed",
            Self::Manifest(_) => "strategy-manifest-invalid",
            Self::SettingsSyntax(_) => "settings-not-json",
            Self::SettingsSchema { .. } => "settings-schema",
            Self::Settings(_) => "settings-refused",
            Self::Configure(_) => "strategy-configure-failed",
            Self::AssetMissing { .. } => "asset-missing",
            Self::AssetUnknown { .. } => "asset-unknown",
            Self::AssetsTooLarge { .. } => "assets-too-large",
            Self::Unavailable(_) => "strategy-unavailable",
        }
    }

    /// Whether the server is at fault, not what was handed in.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_) | Self::Configure(Failure::Unavailable(_)) | Self::Describe(Failure::Unavailable(_))
        )
    }
}

/// Where in the settings; nothing for the whole.
fn place(pointer: &str) -> String {
    if pointer.is_empty() { String::new() } else { format!(" at `{pointer}`") }
}

fn or_nothing(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}
