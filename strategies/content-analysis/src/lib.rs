//! Finds an interaction's language, its sentiment and its categories.
//!
//! The categories come from a trained model, handed over as the file [`MODEL`]: `signalbox classifier train` makes one
//! from a list of texts and categories. A text is read once for all three, and the model is read where it lies, so a
//! call writes little and costs little.
//!
//! It does not learn, and it does not route: connectors and the strategies after it do, by what it found.

pub mod features;
pub mod language;
pub mod model;
pub mod sentiment;
mod settings;
#[cfg(all(test, feature = "train"))]
mod tests;
#[cfg(feature = "train")]
pub mod train;

pub use settings::{Part, Settings};

use features::Text;
use language::Languages;
use model::{Guess, Model};
use sentiment::Lexicons;
use signalbox_sdk::{
    Assets, Decision, Failure, Interaction, Need, Outcome, Outcomes, Request, Strategy, limits, standing_outcomes,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The name of the file that holds the model.
pub const MODEL: &str = "model";
/// How much of a text is read unless set otherwise, in bytes. Models are trained with the same.
pub const TEXT_BYTES_MAX: usize = 4096;

/// Left by where the best category is relevant enough and has no outcome of its own.
const CATEGORIZED: &str = "categorized";
/// Left by where it is not.
const UNCERTAIN: &str = "uncertain";

/// The strategy, configured.
pub struct ContentAnalysis {
    settings: Settings,
    model: Model,
    languages: Languages,
    lexicons: Lexicons,
    /// The outcome of each category of the model, where it has one of its own.
    outcomes: BTreeMap<usize, String>,
}

impl Strategy for ContentAnalysis {
    type Settings = Settings;
    const NAME: &'static str = "content-analysis";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str =
        "Finds the language, the sentiment and the categories of a text, with a trained model.";
    const OUTCOMES: Outcomes =
        &[(CATEGORIZED, "The best category reaches the threshold."), (UNCERTAIN, "No category reaches the threshold.")];
    const ASSETS: &'static [Need] =
        &[Need::required(MODEL, "The trained model, made by `signalbox classifier train`.")];

    fn outcomes(&self) -> Vec<Outcome> {
        let own: BTreeSet<&str> = self.outcomes.values().map(String::as_str).collect();
        let mut outcomes = standing_outcomes::<Self>();
        outcomes.extend(own.into_iter().filter(|name| ![CATEGORIZED, UNCERTAIN].contains(name)).map(|name| {
            let categories: Vec<&str> = self
                .outcomes
                .iter()
                .filter(|(_, outcome)| *outcome == name)
                .take(5)
                .map(|(category, _)| self.model.categories()[*category].as_str())
                .collect();
            Outcome::new(name, format!("It is about {}.", categories.join(", ")))
        }));
        outcomes
    }

    fn configure(settings: Settings, mut assets: Assets) -> Result<Self, String> {
        settings.check()?;
        let bytes = assets.take(MODEL).ok_or_else(|| format!("the file `{MODEL}` is required"))?;
        let model = Model::parse(bytes).map_err(|error| format!("the file `{MODEL}`: {error}"))?;
        let languages = Languages::new(&settings.languages).map_err(|tag| {
            let known: Vec<_> = language::known().collect();
            format!("settings: `languages` has `{tag}`, and known are {}", known.join(", "))
        })?;
        let outcomes = outcomes(&settings, &model)?;
        Ok(Self { settings, model, languages, lexicons: Lexicons::new(), outcomes })
    }

    fn route(&self, request: &Request) -> Result<Decision, Failure> {
        let interaction = &request.interaction;
        let text = self.read(interaction);
        let told = match interaction.language {
            Some(_) => None,
            None => self.languages.tell(&text),
        };
        let language = interaction.language.as_deref().or(told);
        let sentiment = self.lexicons.judge(&text, language);
        let guesses = self.model.classify(&text, self.settings.top);
        let best = guesses.first().map_or(0, |guess| relevancy(*guess));

        let mut decision = Decision::leave_by(match guesses.first() {
            Some(guess) if best >= self.settings.threshold => {
                self.outcomes.get(&guess.category).map_or(CATEGORIZED, String::as_str)
            }
            _ => UNCERTAIN,
        })
        .attach("sentiment", sentiment.label())
        .attach("sentiment.score", sentiment.score.to_string());
        if let Some(tag) = told {
            decision = decision.language(tag);
        }
        let mut reason = String::with_capacity(160);
        for guess in guesses {
            let (name, relevancy) = (&self.model.categories()[guess.category], relevancy(guess));
            if relevancy >= self.settings.relevancy_min {
                let _ = write!(reason, "{name} {relevancy}, ");
                decision = decision.categorize(name, relevancy);
            }
        }
        let _ = write!(
            reason,
            "threshold {}; language {}; sentiment {} {}",
            self.settings.threshold,
            language.unwrap_or("unknown"),
            sentiment.label(),
            sentiment.score,
        );
        Ok(decision.because(reason))
    }
}

impl ContentAnalysis {
    fn read(&self, interaction: &Interaction) -> Text {
        let subject = interaction.subject.as_deref().unwrap_or_default();
        let body = interaction.body.as_str();
        let bytes_max = self.settings.text_bytes_max;
        match self.settings.text {
            Part::SubjectAndBody => Text::read(&[subject, body], bytes_max),
            Part::Subject => Text::read(&[subject], bytes_max),
            Part::Body => Text::read(&[body], bytes_max),
        }
    }
}

/// A probability in the whole per cent of the strategy interface.
fn relevancy(guess: Guess) -> u8 {
    (guess.probability * 100.0).round() as u8
}

/// The outcomes by the index of their category.
fn outcomes(settings: &Settings, model: &Model) -> Result<BTreeMap<usize, String>, String> {
    settings
        .outcomes
        .iter()
        .map(|(category, outcome)| {
            limits::check_name(outcome).map_err(|error| format!("settings: `outcomes`: {error}"))?;
            let known = model.categories().iter().position(|name| name == category);
            let index =
                known.ok_or_else(|| format!("settings: `outcomes` has `{category}`, which the model does not know"))?;
            Ok((index, outcome.clone()))
        })
        .collect()
}

signalbox_sdk::export!(ContentAnalysis);
