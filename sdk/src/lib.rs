//! Write Signalbox routing strategies in Rust.
//!
//! A strategy decides what happens to an interaction: it reads the [`Request`], asks the server what it may ask
//! ([`statistics`], [`tables`], [`calendars`], [`clocks`], [`responses`]), and answers a [`Decision`]. Implement [`Strategy`] for
//! a type, export it with [`export!`], and build a `cdylib` for `wasm32-unknown-unknown`. A complete one:
//!
//! ```
#![doc = include_str!("../examples/vip.rs")]
//! ```
//!
//! # Building
//! ```text
//! cargo build --profile strategy --target wasm32-unknown-unknown
//! ```
//! `signalbox strategy build` does that and makes the component of the module; a server takes components only. Give the
//! crate `crate-type = ["cdylib", "rlib"]`, and depend on `serde`, `schemars` and this.
//!
//! # Testing
//! The same code is tested natively, with `cargo test`, against a fake of the server:
#![cfg_attr(not(target_family = "wasm"), doc = "see [`testing`].")]
//! ```
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! # struct Settings { table: String }
//! # struct Vip(Settings);
//! # use signalbox_sdk::*;
//! # impl Strategy for Vip {
//! #     type Settings = Settings;
//! #     const NAME: &'static str = "vip";
//! #     const VERSION: &'static str = "1.0.0";
//! #     const DESCRIPTION: &'static str = "";
//! #     const OUTCOMES: Outcomes = &[("vip", ""), ("regular", "")];
//! #     fn configure(settings: Settings, _: Assets) -> Result<Self, String> { Ok(Vip(settings)) }
//! #     fn route(&self, request: &Request) -> Result<Decision, Failure> {
//! #         let sender = request.interaction.sender.as_deref().unwrap_or_default();
//! #         Ok(Decision::leave_by(if tables::lookup(&self.0.table, sender).is_some() { "vip" } else { "regular" }))
//! #     }
//! # }
//! use signalbox_sdk::testing::{Bench, email, json};
//!
//! let bench = Bench::<Vip>::new(json!({ "table": "vips" }))?.table("vips", "ana@example.com", "gold");
//! let decision = bench.route(&email().sender("ana@example.com").body("Hello").request())?;
//! assert_eq!(decision.outcome, "vip");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What makes a call fast
//! Every call gets a fresh copy of the memory as `configure` left it, and what a call *writes* is what it costs.
//! Build automata, sorted lists and parsed rules in `configure`; only read them in `route`. Say nothing in
//! [`log`] on the path that most traffic takes.

// The generated bindings name this crate from outside.
extern crate self as signalbox_sdk;

#[doc(hidden)]
#[allow(missing_docs, clippy::all, clippy::wildcard_imports)]
pub mod bindings;
mod decision;
#[doc(hidden)]
pub mod glue;
mod host;
mod interaction;
pub mod limits;
mod strategy;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use bindings::signalbox::strategy::types::{
    Action, Asset, AssetNeed, Category, CustomAction, Decision, Destination, Entry, Failure, Interaction, Manifest,
    Outcome, Reply, Request, Skill, StandardReply, Target, TextReply, UnixMillis,
};
pub use host::{calendars, clocks, log, responses, statistics, tables};
pub use strategy::{Assets, Need, Outcomes, Strategy, standing_outcomes};

/// Exports a [`Strategy`] as the component's one strategy. Once in a crate.
///
/// Off Wasm it makes nothing, so several strategies can be linked into one test.
#[macro_export]
macro_rules! export {
    ($strategy:ty) => {
        const _: () = {
            // Says it here, where the author reads it, and keeps the type in use off Wasm.
            const fn is_a_strategy<S: $crate::Strategy>() {}
            is_a_strategy::<$strategy>();
        };
        #[cfg(target_family = "wasm")]
        const _: () = {
            static SLOT: $crate::glue::Slot<$strategy> = $crate::glue::Slot::new();
            struct Component;
            impl $crate::bindings::Guest for Component {
                fn describe() -> $crate::Manifest {
                    SLOT.describe()
                }
                fn configure(
                    settings: ::std::string::String,
                    assets: ::std::vec::Vec<$crate::Asset>,
                ) -> ::std::result::Result<(), ::std::string::String> {
                    SLOT.configure(&settings, assets)
                }
                fn route(request: $crate::Request) -> ::std::result::Result<$crate::Decision, $crate::Failure> {
                    SLOT.route(&request)
                }
            }
    $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        };
    };
}
