//! What tests and benchmarks of the whole have in common: a real server process, clients, and the things they deploy.

mod agent;
mod client;
mod data;
mod load;
mod local;
mod paced;
mod report;
mod server;
mod support;
mod traffic;
mod workflows;

pub use agent::{AgentSession, offers_in};
pub use client::Client;
pub use data::{banking77, sms_spam};
pub use load::{Connection, Latencies, Pace, RawClient, address_of, post_bytes};
pub use local::{Calls, Local, Nanos, answered, as_json, email_of_1_kb, fresh_and_warm, timed};
pub use paced::Paced;
pub use report::{Report, Row};
pub use server::{Server, signalbox, strategy_file};
pub use support::{screening, seed, set_up, small_model, train};
pub use traffic::Traffic;
pub use workflows::{put_desk, put_one_strategy, submit_to_desk};
