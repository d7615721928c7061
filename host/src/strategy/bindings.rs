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

/// Major version of the WIT package that this server serves.
pub(super) const VERSION_MAJOR: &str = "1";

/// The functions that the world asks a component for.
pub(super) const EXPORTS: [&str; 3] = ["describe", "configure", "route"];

/// Whether the world grants an import of this name, such as `signalbox:strategy/log@1.0.0`.
pub(super) fn is_granted(import: &str) -> bool {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    let known = name.strip_prefix("signalbox:strategy/").is_some_and(|interface| {
        matches!(interface, "types" | "statistics" | "tables" | "calendars" | "responses" | "log")
    });
    known && version.split('.').next() == Some(VERSION_MAJOR)
}

#[cfg(test)]
mod tests {
    use super::is_granted;

    #[test]
    fn only_the_interfaces_of_the_served_major_version_are_granted() {
        assert!(is_granted("signalbox:strategy/log@1.0.0"));
        assert!(is_granted("signalbox:strategy/tables@1.7.2"));
        assert!(!is_granted("signalbox:strategy/log@2.0.0"));
        assert!(!is_granted("signalbox:strategy/files@1.0.0"));
        assert!(!is_granted("wasi:cli/environment@0.2.3"));
    }
}
