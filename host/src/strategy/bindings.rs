//! The frozen WIT world as Rust types, made by Wasmtime. Nothing outside `strategy` sees them.
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

pub(super) use generated::signalbox::strategy::{calendars, log, responses, statistics, tables, types};
pub(super) use generated::{Strategy, StrategyPre};

/// Version of the WIT package that this server serves, without the last number: that one changes words only.
pub(super) const VERSION_SERVED: &str = "1.0";

/// The functions that the world asks a component for.
pub(super) const EXPORTS: [&str; 3] = ["describe", "configure", "route"];

/// Whether the world grants an import of this name, such as `signalbox:strategy/log@1.0.0`.
pub(super) fn is_granted(import: &str) -> bool {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    let known = name.strip_prefix(PACKAGE).is_some_and(|interface| {
        matches!(interface, "types" | "statistics" | "tables" | "calendars" | "responses" | "log")
    });
    known && is_served(version)
}

/// The version of the WIT package that an import names, where it is another than this server serves.
pub(super) fn version_unserved(import: &str) -> Option<&str> {
    let (_, version) = import.strip_prefix(PACKAGE)?.split_once('@')?;
    (!is_served(version)).then_some(version)
}

const PACKAGE: &str = "signalbox:strategy/";

fn is_served(version: &str) -> bool {
    version.strip_prefix(VERSION_SERVED).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::{is_granted, version_unserved};

    #[test]
    fn only_the_interfaces_of_the_served_version_are_granted() {
        assert!(is_granted("signalbox:strategy/log@1.0.0"));
        assert!(is_granted("signalbox:strategy/tables@1.0.2"));
        assert!(!is_granted("signalbox:strategy/tables@1.7.2"));
        assert!(!is_granted("signalbox:strategy/log@2.0.0"));
        assert!(!is_granted("signalbox:strategy/files@1.0.0"));
        assert!(!is_granted("wasi:cli/environment@0.2.3"));
    }

    #[test]
    fn another_version_is_named() {
        assert_eq!(version_unserved("signalbox:strategy/log@1.0.0"), None);
        assert_eq!(version_unserved("signalbox:strategy/log@1.10.0"), Some("1.10.0"));
        assert_eq!(version_unserved("signalbox:strategy/log@2.0.0"), Some("2.0.0"));
        assert_eq!(version_unserved("wasi:cli/environment@0.2.3"), None);
    }
}
