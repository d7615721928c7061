//! What tests and benchmarks of the whole have in common: a real server process, clients, and the things they deploy.

mod agent;
mod client;
mod data;
mod load;
mod queue_only;
mod report;
mod server;
mod support;

pub use agent::{AgentSession, offers_in};
pub use client::Client;
pub use data::{banking77, sms_spam};
pub use load::{Connection, Latencies, Pace, RawClient, address_of, post_bytes};
pub use queue_only::{put_desk, submit_to_desk};
pub use report::{Report, Row};
pub use server::{Server, signalbox, strategy_file};
pub use support::{screening, set_up, small_model, train};
