//! What a strategy says of itself, held to the bounds of `wit/strategy.wit`, and the assets held to what it says.

use std::collections::BTreeSet;

use signalbox_engine::{AssetNeed, Manifest, Outcome};

use super::bindings::types;
use super::error::InstallError;
use super::settings::Schema;

/// Bytes of all assets of a deployment.
pub const ASSET_BYTES_MAX: usize = 32 << 20;

const NAME_BYTES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 4 * 1024;
const SCHEMA_BYTES_MAX: usize = 128 * 1024;
const OUTCOMES_MAX: usize = 256;
const ASSETS_MAX: usize = 32;

/// A file handed over at deployment: a trained model, a word list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// As the manifest names it.
    pub name: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// The manifest in the engine's words, and its schema ready to check settings with.
pub(super) fn checked(given: types::Manifest) -> Result<(Manifest, Schema), InstallError> {
    let manifest = Manifest {
        name: given.name,
        version: given.version,
        description: given.description,
        outcomes: given
            .outcomes
            .into_iter()
            .map(|outcome| Outcome { name: outcome.name, description: outcome.description })
            .collect(),
        settings_schema: given.settings_schema,
        assets: given
            .assets
            .into_iter()
            .map(|need| AssetNeed { name: need.name, description: need.description, required: need.required })
            .collect(),
    };
    bounds(&manifest).map_err(InstallError::Manifest)?;
    let schema = Schema::new(&manifest.settings_schema).map_err(InstallError::Manifest)?;
    Ok((manifest, schema))
}

/// Whether the assets are those that the manifest asks for.
pub(super) fn check_assets(manifest: &Manifest, assets: &[Asset]) -> Result<(), InstallError> {
    let bytes = assets.iter().map(|asset| asset.content.len()).sum();
    if bytes > ASSET_BYTES_MAX {
        return Err(InstallError::AssetsTooLarge { bytes });
    }
    let mut seen = BTreeSet::new();
    for asset in assets {
        let is_taken = manifest.assets.iter().any(|need| need.name == asset.name);
        if !is_taken || !seen.insert(&asset.name) {
            let takes = manifest.assets.iter().map(|need| need.name.clone()).collect();
            return Err(InstallError::AssetUnknown { name: asset.name.clone(), takes });
        }
    }
    match manifest.assets.iter().find(|need| need.required && !seen.contains(&need.name)) {
        Some(need) => {
            Err(InstallError::AssetMissing { name: need.name.clone(), description: need.description.clone() })
        }
        None => Ok(()),
    }
}

fn bounds(manifest: &Manifest) -> Result<(), String> {
    hyphenated("its name", &manifest.name)?;
    length("its version", &manifest.version, 1, NAME_BYTES_MAX)?;
    length("its description", &manifest.description, 0, TEXT_BYTES_MAX)?;
    length("its settings schema", &manifest.settings_schema, 0, SCHEMA_BYTES_MAX)?;
    if manifest.outcomes.is_empty() {
        return Err("it declares no outcome".into());
    }
    count("outcomes", manifest.outcomes.len(), OUTCOMES_MAX)?;
    count("assets", manifest.assets.len(), ASSETS_MAX)?;
    let mut names = BTreeSet::new();
    for outcome in &manifest.outcomes {
        hyphenated("an outcome's name", &outcome.name)?;
        length("an outcome's description", &outcome.description, 0, TEXT_BYTES_MAX)?;
        if !names.insert(&outcome.name) {
            return Err(format!("it declares the outcome `{}` twice", outcome.name));
        }
    }
    names.clear();
    for need in &manifest.assets {
        length("an asset's name", &need.name, 1, NAME_BYTES_MAX)?;
        length("an asset's description", &need.description, 0, TEXT_BYTES_MAX)?;
        if !names.insert(&need.name) {
            return Err(format!("it declares the asset `{}` twice", need.name));
        }
    }
    Ok(())
}

fn hyphenated(what: &str, name: &str) -> Result<(), String> {
    length(what, name, 1, NAME_BYTES_MAX)?;
    if !name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
        return Err(format!("{what} is made of a-z, 0-9 and '-', unlike `{name}`"));
    }
    // Or no connector could be called so.
    if name.starts_with('-') {
        return Err(format!("{what} begins with a letter or a digit, unlike `{name}`"));
    }
    Ok(())
}

fn length(what: &str, text: &str, min: usize, max: usize) -> Result<(), String> {
    if text.len() < min {
        return Err(format!("{what} is empty"));
    }
    if text.len() > max {
        return Err(format!("{what} has {} bytes, and at most {max} are taken", text.len()));
    }
    Ok(())
}

fn count(what: &str, n: usize, max: usize) -> Result<(), String> {
    if n > max { Err(format!("it declares {n} {what}, and at most {max} are taken")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let need = |name: &str, required| AssetNeed { name: name.into(), description: "Words.".into(), required };
        Manifest {
            name: "test".into(),
            version: "1.0.0".into(),
            description: "A test.".into(),
            outcomes: vec![Outcome { name: "ok".into(), description: String::new() }],
            settings_schema: "{}".into(),
            assets: vec![need("model", true), need("words", false)],
        }
    }

    fn fault(change: impl FnOnce(&mut Manifest)) -> String {
        let mut manifest = manifest();
        change(&mut manifest);
        bounds(&manifest).unwrap_err()
    }

    #[test]
    fn a_manifest_that_breaks_a_bound_is_refused_with_the_bound() {
        assert_eq!(bounds(&manifest()), Ok(()));
        assert_eq!(fault(|m| m.name.clear()), "its name is empty");
        assert_eq!(fault(|m| m.name = "Test".into()), "its name is made of a-z, 0-9 and '-', unlike `Test`");
        assert_eq!(
            fault(|m| m.outcomes[0].name = "-ok".into()),
            "an outcome's name begins with a letter or a digit, unlike `-ok`"
        );
        assert_eq!(fault(|m| m.version.clear()), "its version is empty");
        assert_eq!(fault(|m| m.outcomes.clear()), "it declares no outcome");
        assert_eq!(
            fault(|m| m.outcomes[0].name = "x".repeat(65)),
            "an outcome's name has 65 bytes, and at most 64 are taken"
        );
        assert_eq!(
            fault(|m| m.outcomes[0].name = "not_ok".into()),
            "an outcome's name is made of a-z, 0-9 and '-', unlike `not_ok`"
        );
        assert_eq!(
            fault(|m| {
                let again = m.outcomes[0].clone();
                m.outcomes.push(again);
            }),
            "it declares the outcome `ok` twice"
        );
        assert_eq!(fault(|m| m.assets[1].name = "model".into()), "it declares the asset `model` twice");
    }

    #[test]
    fn assets_are_those_that_the_manifest_names_and_each_once() {
        let asset = |name: &str| Asset { name: name.into(), content: vec![0] };
        let code = |assets: &[Asset]| check_assets(&manifest(), assets).map_err(|error| error.code());
        assert_eq!(code(&[asset("model")]), Ok(()));
        assert_eq!(code(&[asset("words"), asset("model")]), Ok(()));
        assert_eq!(code(&[asset("words")]), Err("asset-missing"));
        assert_eq!(code(&[asset("model"), asset("other")]), Err("asset-unknown"));
        assert_eq!(code(&[asset("model"), asset("model")]), Err("asset-unknown"));
        let large = Asset { name: "model".into(), content: vec![0; ASSET_BYTES_MAX + 1] };
        assert_eq!(code(&[large]), Err("assets-too-large"));
    }
}
