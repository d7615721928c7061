//! The strategy, natively and in milliseconds. The cases in `cases/` go through the server's own sandbox.

use signalbox_sdk::statistics::ObjectKind;
use signalbox_sdk::testing::{Bench, email, json};
use strategy::Triage;

fn bench() -> Bench<Triage> {
    let settings = json!({
        "rules": [{ "words": ["refund"], "outcome": "billing", "priority": 600 }],
        "vip_table": "vips",
        "busy": [{ "queue": "desk", "waiting": 2 }],
    });
    Bench::new(settings)
        .unwrap()
        .table("vips", "ana@example.com", "gold")
}

#[test]
fn whole_words_are_found() {
    let bench = bench();
    assert_eq!(
        bench
            .route(&email().body("A refund, please.").request())
            .unwrap()
            .outcome,
        "billing"
    );
    assert_eq!(
        bench
            .route(&email().body("It was refunded.").request())
            .unwrap()
            .outcome,
        "no-match"
    );
}

#[test]
fn a_vip_never_meets_a_full_desk() {
    let bench = bench().statistic(ObjectKind::Queue, "desk", "waiting", 3.0);
    assert_eq!(
        bench
            .route(&email().body("Hello").request())
            .unwrap()
            .outcome,
        "busy"
    );
    assert_eq!(
        bench
            .route(&email().body("Hello").sender("ana@example.com").request())
            .unwrap()
            .outcome,
        "no-match"
    );
}
