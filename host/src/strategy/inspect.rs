//! What a binary is, read from its bytes alone, before anything of it is compiled or run.
//!
//! Compilation cannot be interrupted, so what would take it long is refused here.

use signalbox_engine::Scope;
use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload, TypeBounds};

use super::error::InstallError;
use super::{bindings, wasi};

/// Bytes of an uploaded component.
pub const COMPONENT_BYTES_MAX: usize = 32 << 20;

/// Functions of a component: a JavaScript engine compiled to Wasm has about 20,000.
pub const FUNCTIONS_MAX: u32 = 100_000;

/// Bytes of one function's code. An interpreter's main loop has about 200 KiB.
pub const FUNCTION_BYTES_MAX: usize = 1 << 20;

/// How deep components and modules may nest.
const NESTING_MAX: usize = 16;

/// What a component asks for and offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Names of its imports, such as `signalbox:strategy/log@1.0.0`.
    pub imports: Vec<String>,
    /// Names of its exports.
    pub exports: Vec<String>,
    /// Functions in all its modules.
    pub functions: u32,
    /// Its size.
    pub bytes: usize,
}

/// Names of the interfaces of `signalbox:strategy` that may be granted.
pub fn interfaces() -> impl Iterator<Item = &'static str> {
    bindings::interfaces()
}

/// Whether a component imports nothing but what its deployment is granted. `log` needs no grant, for nothing comes in by
/// it, and neither does WASI, behind which is nothing.
///
/// # Errors
/// [`InstallError::ImportBeyondGrants`], and what [`Runtime::install`](super::Runtime::install) says of the bytes.
pub fn check_imports(component: &[u8], scope: &Scope) -> Result<(), InstallError> {
    let shape = shape(component)?;
    let needed = shape.imports.iter().filter_map(|import| bindings::interface(import));
    let mut needed = needed.filter(|interface| !matches!(*interface, "types" | "log"));
    match needed.find(|interface| !scope.allows_import(interface)) {
        None => Ok(()),
        Some(import) => {
            Err(InstallError::ImportBeyondGrants { import, granted: scope.imports.iter().cloned().collect() })
        }
    }
}

/// The shape of a component that can be a strategy.
pub(super) fn shape(component: &[u8]) -> Result<Shape, InstallError> {
    if component.len() > COMPONENT_BYTES_MAX {
        return Err(InstallError::TooLarge { bytes: component.len() });
    }
    if !component.starts_with(b"\0asm") {
        return Err(InstallError::NotWasm);
    }
    if Parser::is_core_wasm(component) {
        return Err(InstallError::CoreModule);
    }
    if !Parser::is_component(component) {
        return Err(InstallError::Malformed("its version of the component format is not known".into()));
    }
    let shape = read(component)?;
    if let Some(version) = shape.imports.iter().find_map(|import| bindings::version_unserved(import)) {
        return Err(InstallError::VersionUnserved { version: version.to_owned() });
    }
    if let Some(import) =
        shape.imports.iter().find(|import| bindings::interface(import).is_none() && !wasi::is_wasi(import))
    {
        return Err(InstallError::ImportNotGranted { import: import.clone() });
    }
    if let Some(export) = bindings::EXPORTS.iter().find(|export| !shape.exports.iter().any(|has| has == *export)) {
        return Err(InstallError::ExportMissing { export, exports: shape.exports });
    }
    Ok(shape)
}

fn read(component: &[u8]) -> Result<Shape, InstallError> {
    let malformed = |error: wasmparser::BinaryReaderError| InstallError::Malformed(error.to_string());
    let mut shape = Shape { imports: Vec::new(), exports: Vec::new(), functions: 0, bytes: component.len() };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(malformed)? {
            Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => {
                depth += 1;
                if depth > NESTING_MAX {
                    return Err(InstallError::TooComplex(format!("its components nest deeper than {NESTING_MAX}")));
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    let import = import.map_err(malformed)?;
                    // A name for a type that an import above it brought; nothing comes in by it.
                    if !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                        shape.imports.push(import.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(exports) if depth == 1 => {
                for export in exports {
                    shape.exports.push(export.map_err(malformed)?.name.name.to_owned());
                }
            }
            Payload::CodeSectionStart { count, .. } => {
                shape.functions = shape.functions.saturating_add(count);
                if shape.functions > FUNCTIONS_MAX {
                    return Err(InstallError::TooComplex(format!("it has more than {FUNCTIONS_MAX} functions")));
                }
            }
            Payload::CodeSectionEntry(body) if body.range().len() > FUNCTION_BYTES_MAX => {
                let bytes = body.range().len();
                return Err(InstallError::TooComplex(format!(
                    "one of its functions has {bytes} bytes of code, and at most {FUNCTION_BYTES_MAX} are taken"
                )));
            }
            _ => {}
        }
    }
    Ok(shape)
}
