//! Training and judging models, for the server's command line; not part of the component.
//!
//! The same examples, options and version give the same bytes, whatever the number of threads.
//!
//! What was chosen, and why, by ten random splits of two public collections (77 intents of a bank's customers, and
//! spam in text messages): presence instead of counts, since counting gained nothing; the square root of the inverse
//! document frequency instead of itself (+0.4 points of accuracy), pairs of words up to nine tokens apart (+0.4), and
//! support vector machines rather than multinomial regression (no worse, in a third of the time or less).

mod calibration;
mod random;
mod report;
mod solver;
mod vocabulary;

pub use report::{CategoryReport, Confusion, LeftOut, Report, Why, evaluate};

use crate::features::Text;
use crate::model::{CATEGORIES_MAX, Model, NAME_BYTES_MAX, Parts};
use calibration::Calibration;
use random::Random;
use solver::{Planes, Problem, Sparse};
use std::collections::BTreeMap;
use vocabulary::{BLOCK_SHARE, Features, Vocabulary};

/// Parts into which examples are split to see how sure the model may be.
const FOLDS: usize = 3;
/// Fewest examples to train from.
pub const EXAMPLES_MIN: usize = 10;
/// Fewest examples of a category: one of fewer is left out, and the report says so.
pub const CATEGORY_EXAMPLES_MIN: usize = 5;

/// A text and the category it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The text, as the interaction's subject and body would have it.
    pub text: String,
    /// The name of its category, 1 to 128 bytes.
    pub label: String,
}

/// How to train. [`Default`] is what was found best.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Decides the split and the order of learning.
    pub seed: u64,
    /// Share of each category that is kept back to judge by, 0 (do not judge) to 0.5. The model itself is then
    /// trained from all examples.
    pub held_out: f64,
    /// Cost of errors, the C of a support vector machine, above 0: higher fits the examples more closely.
    pub cost: f32,
    /// Largest size of the model, in bytes: rarer features are left out.
    pub model_bytes_max: usize,
    /// How much of a text is read, in bytes.
    pub text_bytes_max: usize,
    /// Threads to train with.
    pub threads: usize,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            held_out: 0.1,
            cost: 2.0,
            model_bytes_max: 8 << 20,
            text_bytes_max: crate::TEXT_BYTES_MAX,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// How far training is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Steps that are done.
    pub done: usize,
    /// Steps in total.
    pub total: usize,
}

/// What training does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reads the features of the examples.
    Reading,
    /// Learns from parts, to see how sure the model may be.
    Calibrating,
    /// Learns without the examples held out, and is judged by them.
    Judging,
    /// Learns from all examples.
    Fitting,
    /// The model is made.
    Finished,
}

/// Why nothing can be learned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Collect more.
    #[error("there are {0} examples to learn from, and at least {EXAMPLES_MIN} are needed")]
    ExamplesFew(usize),
    /// Collect more examples of each, or merge categories.
    #[error(
        "there are {0} categories of {CATEGORY_EXAMPLES_MIN} examples or more, and 2 to {CATEGORIES_MAX} are possible"
    )]
    Categories(usize),
    /// Give it a name that the strategy interface allows.
    #[error("example {0}: a category's name has 1 to {NAME_BYTES_MAX} bytes")]
    Name(usize),
    /// No text has a word in common with another.
    #[error("no feature occurs in two examples")]
    Featureless,
    /// An option is out of its range.
    #[error("{0}")]
    Option(&'static str),
    /// A bug: what was written does not parse.
    #[error("the model that was made does not parse")]
    Model(#[from] crate::model::Error),
}

/// Trains a model from all examples but those that say nothing: blank ones, and those of categories too small, which
/// the report [names](Report::left_out). The report judges one trained in the same way without the examples held out.
///
/// # Errors
/// Where the examples or the options do not allow it, naming what is at fault.
pub fn train(
    examples: &[Example],
    options: &TrainOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Model, Report), Error> {
    check(options)?;
    let judged = options.held_out > 0.0;
    let total = 1 + FOLDS + usize::from(judged) + 1;
    let mut done = 0;
    let mut step = |stage| {
        progress(Progress { stage, done, total });
        done += 1;
    };
    step(Stage::Reading);
    let (examples, left_out) = usable(examples)?;
    let set = Set::read(&examples, options)?;
    let (rest, held_out) = set.split(options);

    let mut outside = Vec::with_capacity(rest.len());
    for fold in 0..FOLDS {
        step(Stage::Calibrating);
        let (inner, outer): (Vec<_>, Vec<_>) = (0..rest.len()).partition(|position| position % FOLDS != fold);
        let pick = |positions: Vec<usize>| positions.into_iter().map(|at| rest[at]).collect();
        let (inner, outer): (Vec<usize>, Vec<usize>) = (pick(inner), pick(outer));
        let fitted = Fitted::new(&set, &inner, options)?;
        outside.extend(outer.into_iter().map(|at| {
            let example = fitted.vocabulary.example(&set.features[at]);
            (fitted.planes.scores(&example), set.labels[at])
        }));
    }
    let calibration = Calibration::fit(&outside, set.categories.len());

    let mut report = if judged {
        step(Stage::Judging);
        let model = Fitted::new(&set, &rest, options)?.model(&set, &calibration)?;
        judge(&model, held_out.iter().map(|&at| examples[at]), options.text_bytes_max)
    } else {
        evaluate([])
    };
    report.left_out = left_out;
    step(Stage::Fitting);
    let all: Vec<usize> = (0..examples.len()).collect();
    let model = Fitted::new(&set, &all, options)?.model(&set, &calibration)?;
    step(Stage::Finished);
    Ok((model, report))
}

/// Judges a model by examples, which must not be those it was trained from.
pub fn judge<'a>(model: &'a Model, examples: impl IntoIterator<Item = &'a Example>, text_bytes_max: usize) -> Report {
    evaluate(examples.into_iter().map(|example| {
        let text = Text::read(&[&example.text], text_bytes_max);
        let guess = model.classify(&text, 1);
        let category = guess.first().map_or(0, |guess| guess.category);
        (model.categories()[category].as_str(), example.label.as_str())
    }))
}

fn check(options: &TrainOptions) -> Result<(), Error> {
    if !(0.0..=0.5).contains(&options.held_out) {
        return Err(Error::Option("the share held out must be 0 to 0.5"));
    }
    if !(options.cost > 0.0 && options.cost <= 1000.0) {
        return Err(Error::Option("the cost must be above 0 and at most 1000"));
    }
    if options.model_bytes_max < 1 << 16 {
        return Err(Error::Option("a model needs at least 65536 bytes"));
    }
    Ok(())
}

/// The examples that can be learned from, and what is left out.
fn usable(examples: &[Example]) -> Result<(Vec<&Example>, Vec<LeftOut>), Error> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (at, example) in examples.iter().enumerate() {
        if example.label.is_empty() || example.label.len() > NAME_BYTES_MAX {
            return Err(Error::Name(at));
        }
        let (usable, blank) = counts.entry(&example.label).or_default();
        *(if is_blank(example) { blank } else { usable }) += 1;
    }
    let mut left_out = Vec::new();
    for (category, (usable, blank)) in &counts {
        for (examples, why) in [(*blank, Why::Blank), (*usable, Why::CategorySmall)] {
            if examples > 0 && (why == Why::Blank || examples < CATEGORY_EXAMPLES_MIN) {
                let category = (*category).to_owned();
                left_out.push(LeftOut { category, examples, why });
            }
        }
    }
    let usable: Vec<&Example> =
        examples.iter().filter(|e| !is_blank(e) && counts[e.label.as_str()].0 >= CATEGORY_EXAMPLES_MIN).collect();
    if usable.len() < EXAMPLES_MIN {
        return Err(Error::ExamplesFew(usable.len()));
    }
    Ok((usable, left_out))
}

fn is_blank(example: &Example) -> bool {
    example.text.trim().is_empty()
}

/// The examples, read.
struct Set {
    features: Vec<Features>,
    labels: Vec<usize>,
    categories: Vec<String>,
}

impl Set {
    fn read(examples: &[&Example], options: &TrainOptions) -> Result<Self, Error> {
        let mut names: BTreeMap<&str, usize> = examples.iter().map(|e| (e.label.as_str(), 0)).collect();
        if !(2..=CATEGORIES_MAX).contains(&names.len()) {
            return Err(Error::Categories(names.len()));
        }
        for (index, place) in names.values_mut().enumerate() {
            *place = index;
        }
        Ok(Self {
            features: examples
                .iter()
                .map(|example| vocabulary::features(&example.text, options.text_bytes_max))
                .collect(),
            labels: examples.iter().map(|e| names[e.label.as_str()]).collect(),
            categories: names.into_keys().map(str::to_owned).collect(),
        })
    }

    /// The examples to learn from and those held out, the same share of each category.
    fn split(&self, options: &TrainOptions) -> (Vec<usize>, Vec<usize>) {
        let mut order: Vec<usize> = (0..self.labels.len()).collect();
        Random::new(options.seed).shuffle(&mut order);
        order.sort_by_key(|&at| self.labels[at]);
        let (mut rest, mut held_out) = (Vec::new(), Vec::new());
        for category in order.chunk_by(|&a, &b| self.labels[a] == self.labels[b]) {
            let count = (category.len() as f64 * options.held_out).round() as usize;
            held_out.extend_from_slice(&category[..count]);
            rest.extend_from_slice(&category[count..]);
        }
        (rest, held_out)
    }
}

/// What was learned from some of the examples.
struct Fitted {
    vocabulary: Vocabulary,
    planes: Planes,
}

impl Fitted {
    fn new(set: &Set, among: &[usize], options: &TrainOptions) -> Result<Self, Error> {
        let categories = set.categories.len();
        let features: Vec<&Features> = among.iter().map(|&at| &set.features[at]).collect();
        let vocabulary = Vocabulary::new(&features, categories, options.model_bytes_max);
        if vocabulary.features.is_empty() {
            return Err(Error::Featureless);
        }
        let examples: Vec<Sparse> = features.iter().map(|f| vocabulary.example(f)).collect();
        let planes = solver::solve(&Problem {
            examples: examples.iter().collect(),
            labels: among.iter().map(|&at| set.labels[at]).collect(),
            categories,
            features: vocabulary.features.len(),
            cost: options.cost,
            seed: options.seed,
            threads: options.threads,
        });
        Ok(Self { vocabulary, planes })
    }

    /// Writes the planes as a model: values and sharpness go into the weights, and those into signed bytes.
    fn model(&self, set: &Set, calibration: &Calibration) -> Result<Model, Error> {
        let features = &self.vocabulary.features;
        let exact: Vec<Vec<f32>> = (0..features.len())
            .map(|row| {
                let value = self.vocabulary.value(row);
                let weights = self.planes.weights(row).into_iter();
                weights.map(|weight| weight * value).collect()
            })
            .collect();
        let mut largest = [f32::MIN_POSITIVE; 2];
        for (feature, row) in features.iter().zip(&exact) {
            let largest = &mut largest[feature.block as usize];
            *largest = row.iter().fold(*largest, |most, x| most.max(x.abs()));
        }
        let units = largest.map(|largest| largest / 127.0);
        let weights: Vec<Vec<i8>> = features
            .iter()
            .zip(&exact)
            .map(|(feature, row)| {
                let unit = units[feature.block as usize];
                row.iter().map(|x| (x / unit).round() as i8).collect()
            })
            .collect();
        let constants = self.planes.weights(features.len());
        let offsets: Vec<f32> = constants
            .iter()
            .zip(&calibration.offsets)
            .map(|(constant, offset)| calibration.sharpness * constant + offset)
            .collect();
        let bytes = Parts {
            categories: &set.categories,
            offsets: &offsets,
            scales: units.map(|unit| unit * calibration.sharpness * BLOCK_SHARE.sqrt()),
            features,
            weights: &weights,
        }
        .write();
        Ok(Model::parse(bytes)?)
    }
}
