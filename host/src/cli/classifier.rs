//! `signalbox classifier`: trains the text model of the content-analysis strategy, and measures one.
//!
//! Measuring goes the way that traffic goes: through the strategy's component in its sandbox. So it measures what is
//! deployed, not what the trainer believes.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::{Args, Subcommand};
use content_analysis::train::{self, Example, Report, TrainOptions};
use content_analysis::{MODEL, TEXT_BYTES_MAX};
use indicatif::ProgressBar;
use serde_json::json;
use signalbox_engine::{Action, Content, Facts, InteractionId, Message, Name, Request, UnixMillis};
use uuid::Uuid;

use super::error::Error;
use super::output::{Output, bytes, duration, table};
use super::records::{Records, Source};
use crate::strategy::{Asset, DEADLINE_MAX, Deployment, Grants, Nothing, Options, Package, Runtime};

/// Name of the component that `cargo xtask build` makes.
const COMPONENT: &str = "content-analysis.wasm";

/// Trains and measures the text model of the content-analysis strategy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox classifier train --input messages.csv --text text --label category --out support.model
  signalbox classifier evaluate --model support.model --input kept-back.csv --text text --label category
  signalbox classifier evaluate --model spam.model --input spam.tsv --no-header --text 2 --label 1 --json
  signalbox strategy deploy content-analysis.wasm --asset model=support.model --name analysis-1")]
pub(super) struct Classifier {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(Train),
    Evaluate(Evaluate),
}

/// The texts, and what each is about.
#[derive(Debug, Args)]
struct Labelled {
    #[command(flatten)]
    source: Source,
    /// Column of the text: its name, or its number counted from 1 (from 0 where --text or --label is 0). Several are
    /// joined, as `subject,body`.
    #[arg(long, value_name = "COLUMN")]
    text: String,
    /// Column of the category: its name or its number.
    #[arg(long, value_name = "COLUMN")]
    label: String,
}

/// Trains a model, and reports how well it does on a part kept back from training.
///
/// The same file, options and version give the same model, byte by byte.
#[derive(Debug, Args)]
struct Train {
    #[command(flatten)]
    labelled: Labelled,
    /// File for the model.
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// Decides which records are kept back, and the order of learning.
    #[arg(long, default_value_t = TrainOptions::default().seed, value_name = "NUMBER")]
    seed: u64,
    /// Part that is kept back to report on, 0 (no report) to 0.5. The model itself then learns from all records.
    #[arg(long, default_value_t = TrainOptions::default().held_out, value_name = "PART")]
    held_out: f64,
}

/// Measures a model through the content-analysis strategy in its sandbox, on records that it was not trained with.
#[derive(Debug, Args)]
struct Evaluate {
    /// The model.
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    #[command(flatten)]
    labelled: Labelled,
    /// The component. Left out: content-analysis.wasm beside this program, or in target/strategies of a folder above.
    #[arg(long, value_name = "FILE")]
    strategy: Option<PathBuf>,
}

impl Classifier {
    pub fn run(self, output: &Output) -> Result<(), Error> {
        match self.command {
            Command::Train(train) => train.run(output),
            Command::Evaluate(evaluate) => evaluate.run(output),
        }
    }
}

impl Labelled {
    fn read(&self) -> Result<Vec<Example>, Error> {
        let records = Records::read(&self.source.input, &self.source.layout)?;
        let mut wanted = vec![self.label.as_str()];
        wanted.extend(records.parts(&self.text));
        let columns = records.columns(&wanted)?;
        let example = |record| Example {
            text: records.joined(record, &columns[1..]),
            label: records.field(record, &columns[0]).trim().to_owned(),
        };
        let examples: Vec<_> = (0..records.len()).map(example).collect();
        match examples.iter().position(|example| example.label.is_empty()) {
            Some(at) => Err(Error::new(format!("{} has a record without a category", self.source.input.display()))
                .at(format!("record {}, column {}", at + 1, self.label))
                .fix("give it one, or leave the record out")),
            None => Ok(examples),
        }
    }
}

impl Train {
    fn run(self, output: &Output) -> Result<(), Error> {
        let examples = self.labelled.read()?;
        let began = Instant::now();
        let options = TrainOptions { seed: self.seed, held_out: self.held_out, ..TrainOptions::default() };
        let bar = output.bar(1, "reading");
        let trained = train::train(&examples, &options, &mut |progress| show(&bar, output, progress));
        bar.finish_and_clear();
        let (model, report) = trained.map_err(|error| {
            Error::new("nothing can be learned from it").because(&error).at(self
                .labelled
                .source
                .input
                .display()
                .to_string())
        })?;
        std::fs::write(&self.out, model.bytes()).map_err(|error| Error::file("written", &self.out, &error))?;
        let size = model.bytes().len() as u64;
        let result = json!({
            "model": self.out, "size_bytes": size, "examples": examples.len(), "categories": model.categories().len(),
            "features": model.rows(), "seed": self.seed, "held_out": report,
        });
        output.result(&result, |_| {
            let made = format!(
                "{}: {} categories, {} features, {}, from {} examples in {}",
                self.out.display(),
                model.categories().len(),
                model.rows(),
                bytes(size),
                examples.len(),
                duration(began.elapsed()),
            );
            if report.examples == 0 { made } else { format!("{made}\n\nHeld out of training:\n{}", shown(&report)) }
        })
    }
}

fn show(bar: &ProgressBar, output: &Output, progress: train::Progress) {
    let what = match progress.stage {
        train::Stage::Reading => "reading",
        train::Stage::Calibrating => "calibrating",
        train::Stage::Judging => "judging",
        train::Stage::Fitting => "fitting",
        train::Stage::Finished => "finished",
    };
    bar.set_length(progress.total as u64);
    bar.set_position(progress.done as u64);
    bar.set_message(what);
    if bar.is_hidden() {
        output.step(&format!("{what} ({}/{})", progress.done, progress.total));
    }
}

impl Evaluate {
    fn run(self, output: &Output) -> Result<(), Error> {
        let examples = self.labelled.read()?;
        let component = self.strategy.clone().map_or_else(find_component, Ok)?;
        let model = std::fs::read(&self.model).map_err(|error| Error::file("read", &self.model, &error))?;
        let images = tempfile::tempdir().map_err(|error| Error::new("no temporary folder").because(&error))?;
        let deployment = self.deploy(&component, model, images.path())?;

        let began = Instant::now();
        let bar = output.bar(examples.len() as u64, "evaluating");
        let predictions = predict(&deployment, &examples, &bar);
        bar.finish_and_clear();
        let took = began.elapsed();
        let failed = predictions.iter().find_map(|prediction| prediction.as_ref().err());
        if let Some(why) = failed {
            let count = predictions.iter().filter(|prediction| prediction.is_err()).count();
            return Err(Error::new(format!("the strategy failed for {count} of {} records: {why}", examples.len()))
                .at(component.display().to_string()));
        }
        let predicted = predictions.iter().map(|prediction| prediction.as_deref().unwrap_or_default());
        let report = train::evaluate(predicted.zip(examples.iter().map(|example| example.label.as_str())));
        let per_call = took / u32::try_from(examples.len().max(1)).unwrap_or(u32::MAX);
        let result = json!({
            "model": self.model, "strategy": component, "examples": report.examples, "accuracy": report.accuracy,
            "macro_f1": report.macro_f1, "categories": report.categories, "confusions": report.confusions,
            "mean_call_us": per_call.as_micros(),
        });
        output.result(&result, |_| {
            let took = duration(took);
            format!(
                "{}\n\n{} calls of {} in their sandboxes took {took}",
                shown(&report),
                report.examples,
                component.display()
            )
        })
    }

    /// The strategy as an operator would deploy it, but for the threshold: every text gets its best category.
    fn deploy(&self, component: &Path, model: Vec<u8>, images: &Path) -> Result<Arc<Deployment>, Error> {
        let binary = std::fs::read(component).map_err(|error| Error::file("read", component, &error))?;
        let runtime = Runtime::new(&Options::new(images.to_owned()))
            .map_err(|error| Error::new("strategies cannot run here").because(&error))?;
        let settings =
            json!({ "threshold": 0, "top": 1, "relevancy_min": 0, "text_bytes_max": TEXT_BYTES_MAX }).to_string();
        let assets = vec![Asset { name: MODEL.into(), content: model }];
        let installed = runtime.install(&binary, &settings, &assets).map_err(|error| {
            Error::new(format!("{} cannot be deployed with {}", component.display(), self.model.display()))
                .because(&error)
        })?;
        let package = Package {
            name: name("evaluated")?,
            manifest: installed.manifest,
            image: &installed.image,
            component: &installed.component,
            configuration: (!installed.snapshotted).then_some((settings, assets)),
            deadline: DEADLINE_MAX,
            scope: None,
        };
        runtime.load(package).map_err(|error| Error::new("the strategy cannot be loaded").because(&error))
    }
}

/// The best category of each text, or why the strategy gave none.
fn predict(deployment: &Deployment, examples: &[Example], bar: &ProgressBar) -> Vec<Result<String, String>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let work = || {
        let grants: Arc<dyn Grants> = Arc::new(Nothing);
        let mut mine = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(example) = examples.get(at) else { return mine };
            mine.push((at, best(deployment, &grants, &example.text)));
            bar.inc(1);
        }
    };
    let mut all: Vec<(usize, Result<String, String>)> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, prediction)| prediction).collect()
}

fn best(deployment: &Deployment, grants: &Arc<dyn Grants>, text: &str) -> Result<String, String> {
    let message = Message {
        media_type: name("open").map_err(|error| error.what)?,
        subject: None,
        body: text.to_owned(),
        sender: None,
        recipient: None,
        headers: Vec::new(),
        submitted_at: UnixMillis(0),
    };
    let request = Request {
        interaction: InteractionId(Uuid::nil()),
        content: Arc::new(Content { message: Arc::new(message), facts: Facts::default() }),
        workflow: name("evaluate").map_err(|error| error.what)?,
        element: name("analysis").map_err(|error| error.what)?,
        visit: 1,
        now: UnixMillis(0),
    };
    let decision = deployment.call(&request, grants).outcome.map_err(|failure| failure.to_string())?;
    let category = decision.actions.into_iter().find_map(|action| match action {
        Action::Categorize(category) => Some(category.name),
        _ => None,
    });
    Ok(category.unwrap_or_else(|| "(none)".into()))
}

fn name(text: &str) -> Result<Name, Error> {
    Name::new(text).map_err(|error| Error::new("a name is not one").because(&error))
}

/// Beside this program, else under `target/strategies` of the working folder or of one above either.
fn find_component() -> Result<PathBuf, Error> {
    let program = std::env::current_exe().ok();
    let here = std::env::current_dir().ok();
    let beside = program.iter().filter_map(|program| Some(program.parent()?.join(COMPONENT)));
    let above = [&here, &program].into_iter().flatten().flat_map(|from| from.ancestors());
    let built = above.map(|folder| folder.join("target/strategies").join(COMPONENT));
    beside.chain(built).find(|file| file.is_file()).ok_or_else(|| {
        Error::new(format!("{COMPONENT} is not to be found"))
            .fix("build it with `cargo xtask build` and run this in the checkout, or name it with --strategy")
    })
}

fn shown(report: &Report) -> String {
    const CONFUSIONS: usize = 10;
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let rows: Vec<_> = report
        .categories
        .iter()
        .map(|c| {
            vec![
                c.category.clone(),
                c.support.to_string(),
                percent(c.precision),
                percent(c.recall),
                format!("{:.3}", c.f1),
            ]
        })
        .collect();
    let mut text = format!(
        "accuracy  {} of {} examples\nmacro F1  {:.3}\n\n{}",
        percent(report.accuracy),
        report.examples,
        report.macro_f1,
        table(&["category", "examples", "precision", "recall", "F1"], &rows)
    );
    if !report.confusions.is_empty() {
        let confusion = |c: &train::Confusion| vec![c.actual.clone(), c.predicted.clone(), c.count.to_string()];
        let rows: Vec<_> = report.confusions.iter().take(CONFUSIONS).map(confusion).collect();
        text.push_str(&format!(
            "\n\nTaken for something else most often:\n{}",
            table(&["is", "taken for", "times"], &rows)
        ));
    }
    text
}
