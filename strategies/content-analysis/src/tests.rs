//! The whole: trained, written, parsed, configured, routed.

use crate::ContentAnalysis;
use crate::features::Text;
use crate::model::{Error as ModelError, Model};
use crate::train::{Error, Example, LeftOut, Report, TrainOptions, Why, evaluate, train};
use signalbox_sdk::testing::{Bench, chat, email, json};
use signalbox_sdk::{Action, Decision};
use std::path::PathBuf;

/// Texts of three categories, made of a handful of words each.
fn synthetic() -> Vec<Example> {
    let openings = ["hello", "hi there", "please help", "good day", "dear team", "quick question"];
    let topics = [
        ("delivery", ["where is my parcel", "the parcel is late", "when will my order arrive", "track my order"]),
        ("payment", ["you charged me twice", "refund the fee", "my card was charged", "payment was refused"]),
        ("password", ["i cannot log in", "reset my password", "locked out of my account", "log in code"]),
    ];
    let mut examples = Vec::new();
    for opening in openings {
        for (label, texts) in &topics {
            for text in texts {
                examples.push(Example { text: format!("{opening} {text}"), label: (*label).to_owned() });
            }
        }
    }
    examples
}

fn trained(examples: &[Example], options: &TrainOptions) -> (Model, Report) {
    train(examples, options, &mut |_| {}).expect("it trains")
}

fn bench(settings: impl ToString) -> Result<Bench<ContentAnalysis>, String> {
    let (model, _) = trained(&synthetic(), &TrainOptions::default());
    Bench::with_assets(settings, vec![(crate::MODEL, model.bytes().to_vec())])
}

fn attached<'a>(decision: &'a Decision, key: &str) -> Option<&'a str> {
    decision.actions.iter().find_map(|action| match action {
        Action::Attach(entry) if entry.key == key => Some(entry.value.as_str()),
        _ => None,
    })
}

#[test]
fn a_model_that_is_written_parses_to_the_same_model() {
    let (model, report) = trained(&synthetic(), &TrainOptions::default());
    assert_eq!(Model::parse(model.bytes().to_vec()), Ok(model.clone()));
    assert_eq!(model.categories(), ["delivery", "password", "payment"]);
    assert!(report.accuracy > 0.9, "{report:?}");
    let text = Text::read(&["I forgot the password to log in"], 4096);
    let guesses = model.classify(&text, 5);
    assert_eq!(guesses.len(), 3);
    assert_eq!(guesses[0].category, 1);
    let sum: f32 = guesses.iter().map(|guess| guess.probability).sum();
    assert!((sum - 1.0).abs() < 1e-5);
    assert!(model.classify(&text, 0).is_empty());
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_threads() {
    let options = |seed, threads| TrainOptions { seed, threads, ..TrainOptions::default() };
    let (one, first) = trained(&synthetic(), &options(7, 1));
    let (many, second) = trained(&synthetic(), &options(7, 4));
    assert_eq!((one.bytes(), first), (many.bytes(), second));
    let (other, _) = trained(&synthetic(), &options(8, 1));
    assert_ne!(one.bytes(), other.bytes());
}

#[test]
fn damaged_models_are_refused_and_nothing_panics() {
    let (model, _) = trained(&synthetic(), &TrainOptions::default());
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let mut state: u64 = seed.unwrap_or(0x5eed);
    eprintln!("SEED={state}");
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize % below
    };
    for round in 0..2000 {
        let mut bytes = model.bytes().to_vec();
        match round % 4 {
            0 => bytes.truncate(next(bytes.len())),
            1 => bytes.extend((0..=next(20)).map(|at| at as u8)),
            2 => {
                // The head says how long everything is.
                let at = next(60);
                bytes[at] ^= 1 + next(255) as u8;
            }
            _ => {
                let at = 8 + next(bytes.len() - 8);
                bytes[at] ^= 1 + next(255) as u8;
            }
        }
        assert!(Model::parse(bytes).is_err(), "round {round}");
    }
    for length in 0..200 {
        let junk: Vec<u8> = (0..length).map(|_| next(256) as u8).collect();
        assert_eq!(Model::parse(junk), Err(ModelError::Foreign));
    }
}

#[test]
fn heads_that_pass_the_checksum_are_still_checked() {
    let (model, _) = trained(&synthetic(), &TrainOptions::default());
    let text = Text::read(&["where is my parcel"], 4096);
    for at in 16..model.bytes().len() {
        let mut bytes = model.bytes().to_vec();
        bytes[at] ^= 0xff;
        crate::model::seal(&mut bytes);
        if let Ok(model) = Model::parse(bytes) {
            // Sound, if wrong: reading it ends and stays within bounds.
            model.classify(&text, 3);
        }
        if at > 3000 {
            break;
        }
    }
}

#[test]
fn what_cannot_be_learned_is_refused() {
    let example = |text: &str, label: &str| Example { text: text.to_owned(), label: label.to_owned() };
    let refused = |examples: &[Example], options: &TrainOptions| {
        train(examples, options, &mut |_| {}).expect_err("it cannot be learned")
    };
    let options = TrainOptions::default();
    assert_eq!(refused(&[], &options), Error::ExamplesFew(0));
    let same = vec![example("a b", "x"); 20];
    assert_eq!(refused(&same, &options), Error::Categories(1));
    let mut nameless = same.clone();
    nameless.push(example("c d", ""));
    assert_eq!(refused(&nameless, &options), Error::Name(20));
    let odd = TrainOptions { held_out: 0.9, ..TrainOptions::default() };
    assert!(matches!(refused(&synthetic(), &odd), Error::Option(_)));
}

#[test]
fn what_says_nothing_is_left_out_and_named() {
    let mut examples = synthetic();
    for (text, label) in [("  ", "payment"), ("", "stray"), ("odd one", "rare")] {
        let (text, label) = (text.to_owned(), label.to_owned());
        examples.push(Example { text, label });
    }
    let (model, report) = trained(&examples, &TrainOptions::default());
    let left_out = |category: &str, why| LeftOut { category: category.to_owned(), examples: 1, why };
    let expected =
        [left_out("payment", Why::Blank), left_out("rare", Why::CategorySmall), left_out("stray", Why::Blank)];
    assert_eq!(report.left_out, expected);
    assert_eq!(model.categories(), ["delivery", "password", "payment"]);
}

#[test]
fn a_text_is_categorized_and_its_language_and_sentiment_are_set() {
    let bench = bench(json!({})).expect("it configures");
    let request = email().subject("My parcel").body("Where is my order? This is terrible!").request();
    let decision = bench.route(&request).expect("it decides");
    assert_eq!(decision.outcome, "categorized", "{}", decision.reason);
    assert_eq!(attached(&decision, "sentiment"), Some("negative"));
    let score: i32 = attached(&decision, "sentiment.score").and_then(|s| s.parse().ok()).expect("a number");
    assert!((-100..0).contains(&score));
    let best = decision.actions.iter().find_map(|action| match action {
        Action::Categorize(category) => Some(category),
        _ => None,
    });
    let best = best.expect("a category");
    assert!(best.name == "delivery" && best.relevancy >= 50 && best.relevancy <= 100);
    assert!(decision.actions.iter().any(|a| matches!(a, Action::SetLanguage(tag) if tag == "en")));
}

#[test]
fn a_language_that_is_known_stays() {
    let bench = bench(json!({})).expect("it configures");
    let request = chat().language("en-GB").body("where is my parcel").request();
    let decision = bench.route(&request).expect("it decides");
    assert!(!decision.actions.iter().any(|a| matches!(a, Action::SetLanguage(_))));
}

#[test]
fn what_no_example_was_like_is_uncertain() {
    let bench = bench(json!({ "threshold": 90 })).expect("it configures");
    for body in ["", "xyzzy", "我的卡还没有到", &"🎉".repeat(300_000)] {
        let decision = bench.route(&chat().body(body).request()).expect("it decides");
        assert_eq!(decision.outcome, "uncertain", "{}", decision.reason);
    }
}

#[test]
fn a_category_can_have_an_outcome_of_its_own() {
    let settings = json!({ "outcomes": { "payment": "money", "delivery": "parcels" } });
    let bench = bench(settings).expect("it configures");
    let names: Vec<String> = bench.describe().outcomes.into_iter().map(|o| o.name).collect();
    assert_eq!(names, ["categorized", "uncertain", "money", "parcels"]);
    for (body, outcome) in [("you charged me twice, refund the fee", "money"), ("reset my password", "categorized")] {
        let decision = bench.route(&chat().body(body).request()).expect("it decides");
        assert_eq!(decision.outcome, outcome, "{}", decision.reason);
    }
}

#[test]
fn bad_settings_and_models_are_refused_in_words() {
    for (settings, words) in [
        (json!({ "threshold": 101 }), "`threshold`"),
        (json!({ "top": 0 }), "`top`"),
        (json!({ "text_bytes_max": 1 }), "`text_bytes_max`"),
        (json!({ "relevancy_min": 200 }), "`relevancy_min`"),
        (json!({ "languages": ["tlh"] }), "tlh"),
        (json!({ "outcomes": { "weather": "rain" } }), "weather"),
        (json!({ "outcomes": { "payment": "Not A Name" } }), "Not A Name"),
        (json!({ "treshold": 50 }), "treshold"),
    ] {
        let Err(error) = bench(settings) else { panic!("not refused: {words}") };
        assert!(error.contains(words), "{error}");
    }
    let junk = (crate::MODEL, b"junk".to_vec());
    let error = Bench::<ContentAnalysis>::with_assets(json!({}), vec![junk]).err();
    assert!(error.is_some_and(|error| error.contains("not a text model")));
    assert!(Bench::<ContentAnalysis>::new(json!({})).is_err());
}

/// A file of the shared data sets, where they lie beside the repository.
fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(path);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// Trains from nine tenths and judges by the tenth, for each of the tenths asked for.
fn held_out(examples: &[Example], tenths: std::ops::Range<usize>) -> Report {
    let options = TrainOptions { held_out: 0.0, ..TrainOptions::default() };
    let mut pairs = Vec::new();
    for tenth in tenths {
        let (held, learn): (Vec<_>, Vec<_>) = examples.iter().enumerate().partition(|(at, _)| at % 10 == tenth);
        let learn: Vec<Example> = learn.into_iter().map(|(_, example)| example.clone()).collect();
        let (model, _) = trained(&learn, &options);
        for (_, example) in held {
            let text = Text::read(&[&example.text], options.text_bytes_max);
            let guess = model.classify(&text, 1)[0].category;
            pairs.push((model.categories()[guess].clone(), example.label.as_str()));
        }
    }
    evaluate(pairs.iter().map(|(guess, label)| (guess.as_str(), *label)))
}

#[test]
fn intents_of_bank_customers_are_told_apart() {
    let Some(path) = shared("banking77/train.csv") else { return };
    let mut reader = csv::Reader::from_path(path).expect("it opens");
    let examples: Vec<Example> = reader
        .deserialize::<(String, String)>()
        .map(|row| row.map(|(text, label)| Example { text, label }).expect("a row"))
        .collect();
    let report = held_out(&examples, 0..1);
    eprintln!("accuracy {:.4} over {}", report.accuracy, report.examples);
    assert!(report.accuracy >= 0.90, "{:?}", report.confusions);
}

#[test]
fn spam_is_told_from_messages() {
    let Some(path) = shared("sms-spam/train.tsv") else { return };
    let text = std::fs::read_to_string(path).expect("it opens");
    let examples: Vec<Example> = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        // A message in it has a line break.
        .filter(|(label, _)| ["ham", "spam"].contains(label))
        .map(|(label, text)| Example { text: text.to_owned(), label: label.to_owned() })
        .collect();
    let report = held_out(&examples, 0..5);
    let spam = report.categories.iter().find(|c| c.category == "spam").expect("spam");
    eprintln!("{spam:?}");
    assert!(spam.f1 >= 0.95, "{:?}", report.confusions);
}
