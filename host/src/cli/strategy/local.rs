//! Components on this machine, looked at in a sandbox of this process: no server is asked.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use signalbox_engine::Manifest;

use crate::cli::error::Error;
use crate::cli::output::bytes;
use crate::strategy::{COMPONENT_BYTES_MAX, Inspection, InstallError, Options, Runtime, Unfit, without_lines};

/// What the component in a file says of itself.
pub(super) fn inspect(file: &Path) -> Result<Inspection, Error> {
    inspected(&read(file)?, file)
}

/// What a component says of itself; the file is where it is, or will be.
pub(super) fn inspected(component: &[u8], file: &Path) -> Result<Inspection, Error> {
    let images = tempfile::tempdir().map_err(|error| Error::new("no temporary folder").because(&error))?;
    let runtime = Runtime::new(&Options::new(images.path().to_owned())).map_err(|error| unfit(&error))?;
    runtime.inspect(component).map_err(|error| no_strategy(file, &error))
}

/// The bytes of a component.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, Error> {
    read_within(file, COMPONENT_BYTES_MAX)
}

/// The bytes of a file, which is read no further than a server would take it.
pub(super) fn read_within(file: &Path, bytes_max: usize) -> Result<Vec<u8>, Error> {
    let unread = |error| Error::file("read", file, &error);
    let mut content = Vec::new();
    let opened = std::fs::File::open(file).map_err(unread)?;
    opened.take(bytes_max as u64 + 1).read_to_end(&mut content).map_err(unread)?;
    if content.len() > bytes_max {
        let what = format!("{} has more than {bytes_max} bytes, and a server takes no more", file.display());
        return Err(Error::new(what).code(Some("body-too-large".into())));
    }
    Ok(content)
}

/// The bytes of a component with files and lines, where the build left those beside it, and it is the same component.
pub(super) fn read_with_lines(file: &Path) -> Result<Vec<u8>, Error> {
    let component = read(file)?;
    let with_lines = std::fs::read(lines_file(file)).unwrap_or_default();
    Ok(if without_lines(&with_lines) == component { with_lines } else { component })
}

/// Where a component with files and lines is: `NAME.lines.wasm` beside `NAME.wasm`.
pub(super) fn lines_file(file: &Path) -> PathBuf {
    file.with_extension("lines.wasm")
}

/// Why a component is none that a server would take.
pub(super) fn no_strategy(file: &Path, error: &InstallError) -> Error {
    Error::new(format!("{} is not a strategy", file.display())).because(error).code(Some(error.code().into()))
}

/// Why nothing can be run on this machine.
pub(super) fn unfit(error: &Unfit) -> Error {
    Error::new("strategies cannot run here").because(error)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_no_further_than_it_may_be_long() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model");
        std::fs::write(&file, [7; 10]).unwrap();
        assert_eq!(read_within(&file, 10).unwrap(), [7; 10]);
        assert_eq!(read_within(&file, 9).unwrap_err().code.as_deref(), Some("body-too-large"));
        let endless = read_within(Path::new("/dev/zero"), 1000).unwrap_err();
        assert_eq!(endless.code.as_deref(), Some("body-too-large"));
    }
}
