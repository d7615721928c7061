//! Running a strategy in its own tests: a bench with a fake server, and requests that take one line.
//!
//! A [`Bench`] configures a strategy as a deployment would, from the JSON text of its settings, and refuses what the
//! server would refuse. What its calls may ask of the server is what the test gave the bench; nothing else is there.
//!
//! Invariant: what one bench was given is seen by its own calls only, so tests run side by side.

mod bench;
pub(crate) mod fake;
mod interaction;

pub use bench::Bench;
pub use fake::Line;
pub use interaction::{Draft, NOW, callback, chat, email, interaction};
pub use serde_json::json;
