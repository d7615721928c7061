//! Signalbox: an interaction server whose routing is scripted in WebAssembly.
//!
//! One direction of dependency: `cli → http → lane → {store, strategy, outbox, stats} → engine`. `http` reads from `store`
//! and `stats`, and writes only through `lane`.

pub mod cli;
pub mod http;
pub mod lane;
pub mod outbox;
pub mod stats;
pub mod store;
pub mod strategy;
