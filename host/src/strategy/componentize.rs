//! A core module made a component: the last step of `signalbox strategy build`.

use wit_component::ComponentEncoder;

/// The component that a core module is, which `wit-bindgen` or the SDK left its world in.
///
/// # Errors
/// In words, where the module carries no world, or does not export what its world says.
pub fn componentize(core_module: &[u8]) -> Result<Vec<u8>, NoComponent> {
    let mut encoder = ComponentEncoder::default();
    let encoded = encoder.module(core_module).and_then(|encoder| encoder.validate(true).encode());
    encoded.map_err(|error| NoComponent(format!("{error:#}")))
}

/// Why a core module cannot be made a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the module cannot be made a component: {0}")]
pub struct NoComponent(String);
