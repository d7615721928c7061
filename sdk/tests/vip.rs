//! The strategy of the crate's first page, tested as its author would.
#![allow(clippy::unwrap_used)]

#[path = "../examples/vip.rs"]
mod vip;

use signalbox_sdk::{
    Action, Entry,
    testing::{Bench, email, json},
};
use vip::Vip;

fn bench() -> Bench<Vip> {
    Bench::new(json!({ "table": "vips" })).unwrap().table("vips", "ana@example.com", "gold")
}

#[test]
fn a_customer_on_the_table_goes_first() {
    let decision = bench().route(&email().sender("ana@example.com").request()).unwrap();
    assert_eq!(decision.outcome, "vip");
    assert_eq!(decision.actions, [Action::SetPriority(900), Action::Attach(Entry::new("vip.level", "gold"))]);
}

#[test]
fn everyone_else_takes_the_regular_way() {
    for request in [email().request(), email().no_sender().request()] {
        assert_eq!(bench().route(&request).unwrap().outcome, "regular");
    }
}

#[test]
fn settings_without_a_table_are_refused_by_name() {
    let refusal = Bench::<Vip>::new(json!({})).unwrap_err();
    assert!(refusal.contains("missing field `table`"), "{refusal}");
}
