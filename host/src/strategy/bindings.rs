//! The WIT world as Rust types, made by Wasmtime. Nothing outside `strategy` sees them.
//!
//! Borrowing: what goes into a guest is lowered straight from the engine's own strings, without a copy in between.

#[allow(missing_docs, reason = "the documentation is in the WIT package")]
mod generated {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "strategy",
        ownership: Borrowing { duplicate_if_necessary: true },
        imports: { default: trappable },
    });
}

pub(super) use generated::signalbox::strategy::{calendars, clocks, log, responses, statistics, tables, types};
pub(super) use generated::{Strategy, StrategyPre};

/// The versions of the WIT package that this server serves, in words.
pub(super) const VERSIONS_SERVED: &str = "1.0 and 1.1";

/// The newest minor version of major version 1.
const MINOR_NEWEST: u32 = 1;

/// The functions that the world asks a component for.
pub(super) const EXPORTS: [&str; 3] = ["describe", "configure", "route"];

/// The interfaces that a strategy may import, and the minor version that each came with. `types` has nothing to call.
const INTERFACES: [(&str, u32); 7] =
    [("types", 0), ("statistics", 0), ("tables", 0), ("calendars", 0), ("clocks", 1), ("responses", 0), ("log", 0)];

/// The interface that an import of this name, such as `signalbox:strategy/log@1.0.0`, is of, where the world has it.
pub(super) fn interface(import: &str) -> Option<&'static str> {
    let (name, version) = import.strip_prefix(PACKAGE)?.split_once('@')?;
    let minor = minor(version)?;
    INTERFACES.iter().find(|(interface, since)| *interface == name && *since <= minor).map(|(interface, _)| *interface)
}

/// Names of the interfaces that a grant may name.
pub(super) fn interfaces() -> impl Iterator<Item = &'static str> {
    INTERFACES.iter().map(|(interface, _)| *interface).filter(|interface| *interface != "types")
}

/// The version of the WIT package that an import names, where it is another than this server serves.
pub(super) fn version_unserved(import: &str) -> Option<&str> {
    let (_, version) = import.strip_prefix(PACKAGE)?.split_once('@')?;
    minor(version).is_none().then_some(version)
}

const PACKAGE: &str = "signalbox:strategy/";

/// The minor version, where it is served. The number behind it changes words only.
fn minor(version: &str) -> Option<u32> {
    let (minor, patch) = version.strip_prefix("1.")?.split_once('.')?;
    let minor = minor.parse().ok().filter(|minor| *minor <= MINOR_NEWEST)?;
    patch.parse::<u32>().ok().map(|_| minor)
}

#[cfg(test)]
mod tests {
    use super::{INTERFACES, MINOR_NEWEST, VERSIONS_SERVED, interface, version_unserved};

    #[test]
    fn an_interface_is_there_from_the_version_on_that_it_came_with() {
        assert_eq!(interface("signalbox:strategy/log@1.0.0"), Some("log"));
        assert_eq!(interface("signalbox:strategy/tables@1.0.2"), Some("tables"));
        assert_eq!(interface("signalbox:strategy/tables@1.1.0"), Some("tables"));
        assert_eq!(interface("signalbox:strategy/clocks@1.1.0"), Some("clocks"));
        assert_eq!(interface("signalbox:strategy/clocks@1.0.0"), None);
        assert_eq!(interface("signalbox:strategy/tables@1.7.2"), None);
        assert_eq!(interface("signalbox:strategy/log@2.0.0"), None);
        assert_eq!(interface("signalbox:strategy/files@1.0.0"), None);
        assert_eq!(interface("wasi:cli/environment@0.2.3"), None);
    }

    #[test]
    fn another_version_is_named() {
        assert_eq!(version_unserved("signalbox:strategy/log@1.0.0"), None);
        assert_eq!(version_unserved("signalbox:strategy/log@1.1.3"), None);
        assert_eq!(version_unserved("signalbox:strategy/log@1.10.0"), Some("1.10.0"));
        assert_eq!(version_unserved("signalbox:strategy/log@2.0.0"), Some("2.0.0"));
        assert_eq!(version_unserved("wasi:cli/environment@0.2.3"), None);
    }

    #[test]
    fn what_is_served_is_what_the_package_has() {
        let wit = include_str!("../../../wit/strategy.wit");
        assert!(wit.contains(&format!("package signalbox:strategy@1.{MINOR_NEWEST}.0;")));
        assert!(VERSIONS_SERVED.ends_with(&format!("1.{MINOR_NEWEST}")));
        for (interface, since) in INTERFACES {
            assert!(wit.contains(&format!("@since(version = 1.{since}.0)\ninterface {interface} {{")), "{interface}");
        }
    }
}
