//! Components on this machine, looked at in a sandbox of this process: no server is asked.

use std::path::Path;

use serde_json::{Value, json};
use signalbox_engine::Manifest;

use crate::cli::error::Error;
use crate::cli::output::bytes;
use crate::strategy::{Inspection, Options, Runtime};

/// What a component says of itself.
pub(super) fn inspect(file: &Path) -> Result<Inspection, Error> {
    let component = std::fs::read(file).map_err(|error| Error::file("read", file, &error))?;
    let images = tempfile::tempdir().map_err(|error| Error::new("no temporary folder").because(&error))?;
    let runtime = Runtime::new(&Options::new(images.path().to_owned()))
        .map_err(|error| Error::new("strategies cannot run here").because(&error))?;
    runtime.inspect(&component).map_err(|error| {
        Error::new(format!("{} is not a strategy", file.display())).because(&error).code(Some(error.code().into()))
    })
}

/// It as JSON.
pub(super) fn document(inspection: &Inspection) -> Value {
    let Inspection { manifest, shape, digest } = inspection;
    json!({
        "name": manifest.name, "version": manifest.version, "description": manifest.description,
        "outcomes": manifest.outcomes, "assets": manifest.assets,
        "settings_schema": serde_json::from_str::<Value>(&manifest.settings_schema).unwrap_or_default(),
        "imports": shape.imports, "size_bytes": shape.bytes, "digest": digest,
    })
}

/// It for people.
pub(super) fn described(inspection: &Inspection) -> String {
    let Inspection { manifest, shape, digest } = inspection;
    let Manifest { name, version, description, outcomes, assets, .. } = manifest;
    let mut lines = vec![
        format!("{name} {version}: {description}"),
        format!("size      {}", bytes(shape.bytes as u64)),
        format!("digest    {digest}"),
        format!("imports   {}", list(shape.imports.iter().map(|import| short_import(import)))),
    ];
    for (at, outcome) in outcomes.iter().enumerate() {
        let heading = if at == 0 { "outcomes" } else { "" };
        lines.push(format!("{heading:9} {:16} {}", outcome.name, outcome.description));
    }
    for asset in assets {
        let need = if asset.required { "required" } else { "optional" };
        lines.push(format!("asset     {:16} {} ({need})", asset.name, asset.description));
    }
    lines.join("\n")
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

/// Without the package and its version, which are always the same.
fn short_import(import: &str) -> &str {
    import.strip_prefix("signalbox:strategy/").and_then(|rest| rest.split('@').next()).unwrap_or(import)
}
