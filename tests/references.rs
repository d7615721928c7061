//! Screening decides in the sandbox, sixteen bytes at a time, as it does outside, byte by byte.

use std::sync::Arc;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use screening::Screening;
use serde_json::json;
use signalbox::strategy::{Grants, Nothing};
use signalbox_engine::{Content, Message, Request};
use signalbox_sdk::{Assets, Strategy as _};
use signalbox_tests::{Local, as_json, email_of_1_kb, screening, seed, strategy_file};

#[path = "benches/extism/plugin/src/json.rs"]
mod json_outside;

const TEXTS: usize = 3000;

/// Whole words that rules look for, heads and tails of them, and what is between.
const PIECES: [&str; 18] = [
    "fraud",
    "FRAUD",
    "frau",
    "rauds",
    "stolen",
    "unauthorised  transaction",
    "unauthorised",
    "casino\nbonus",
    "casino",
    "refund7",
    "Refund 7",
    "court12",
    " today",
    "now",
    "é",
    "ﬁ",
    "  ",
    "The tracking page says that they are in transit. ",
];

fn text(random: &mut StdRng) -> String {
    let mut text = String::new();
    for _ in 0..random.random_range(0..12) {
        text.push_str(PIECES.choose(random).copied().unwrap_or_default());
        // So that what is looked for lies anywhere in a block of sixteen, and across two.
        (0..random.random_range(0..18)).for_each(|_| text.push(if random.random_bool(0.3) { ' ' } else { 'x' }));
    }
    text
}

#[test]
fn screening_finds_in_the_sandbox_what_it_finds_outside() -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed());
    let local = Local::start()?;
    let grants: Arc<dyn Grants> = Arc::new(Nothing);
    let plain = email_of_1_kb()?;
    let mut hits = 0;
    for loose in [false, true] {
        let mut settings = screening();
        settings["loose"] = json!(loose);
        let inside = local.deploy(&strategy_file("screening")?, &settings, &[])?;
        let outside =
            Screening::configure(serde_json::from_value(settings)?, Assets::default()).map_err(anyhow::Error::msg)?;
        for _ in 0..TEXTS {
            let message = Message { body: text(&mut random), ..Message::clone(&plain.content.message) };
            let content = Content { message: Arc::new(message), facts: plain.content.facts.clone() };
            let request = Request { content: Arc::new(content), ..plain.clone() };
            let found = inside.call(&request, &grants).outcome.map_err(|failure| anyhow::anyhow!("{failure}"))?;
            let asked = serde_json::from_value(as_json(&request)).context("the request in JSON")?;
            let expected = json_outside::decide(&outside, asked).map_err(anyhow::Error::msg)?;
            let body = &request.content.message.body;
            assert_eq!((&*found.outcome, &*found.reason), (&*expected.outcome, &*expected.reason), "{body:?}");
            hits += usize::from(expected.outcome != "clean");
        }
    }
    assert!(hits > TEXTS / 10 && hits < TEXTS * 2, "{hits} hits put this to the proof");
    Ok(())
}
