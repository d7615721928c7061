//! Strategies in this process, without a server: what a call of the runtime itself costs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use signalbox::strategy::{Asset, DEADLINE, Deployment, Grants, Options, Package, Runtime, Warm};
use signalbox_engine::{Content, Facts, InteractionId, Message, Name, Request, UnixMillis};
use tempfile::TempDir;
use uuid::Uuid;

/// Calls of one kind before it is the other's turn, so that a busy machine is busy for both.
const TURN: usize = 50;

/// The runtime, with its images in a folder of its own.
pub struct Local {
    runtime: Runtime,
    _images: TempDir,
}

impl Local {
    /// Starts it.
    ///
    /// # Errors
    /// Where this machine cannot run strategies.
    pub fn start() -> Result<Self> {
        let images = tempfile::tempdir()?;
        let runtime = Runtime::new(&Options::new(images.path().to_owned()))?;
        Ok(Self { runtime, _images: images })
    }

    /// What it runs with, in a line.
    #[must_use]
    pub fn description(&self) -> &str {
        self.runtime.description()
    }

    /// Installs a component and loads it.
    ///
    /// # Errors
    /// Where it is refused.
    pub fn deploy(&self, component: &Path, settings: &Value, assets: &[(&str, &Path)]) -> Result<Arc<Deployment>> {
        let bytes = std::fs::read(component).with_context(|| component.display().to_string())?;
        let asset =
            |(name, file): &(&str, &Path)| Ok(Asset { name: (*name).to_owned(), content: std::fs::read(file)? });
        let assets = assets.iter().map(asset).collect::<Result<Vec<_>>>()?;
        let installed = self.runtime.install(&bytes, &settings.to_string(), &assets)?;
        Ok(self.runtime.load(Package {
            name: name("measured")?,
            manifest: installed.manifest,
            image: &installed.image,
            component: &installed.component,
            configuration: None,
            deadline: DEADLINE,
            scope: None,
        })?)
    }
}

/// Durations of calls, in nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Nanos(Vec<u64>);

impl Nanos {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        self.0.push(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds all of another.
    pub fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Adds all of a list.
    pub fn extend(&mut self, nanos: impl IntoIterator<Item = u64>) {
        self.0.extend(nanos);
    }

    /// A quantile between 0 and 1, in microseconds.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    pub fn quantile_us(&mut self, quantile: f64) -> f64 {
        self.0.sort_unstable();
        let at = (self.0.len().saturating_sub(1) as f64 * quantile) as usize;
        self.0.get(at).map_or(0.0, |nanos| *nanos as f64 / 1000.0)
    }
}

/// How long calls took.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// In a fresh sandbox, until the answer.
    pub fresh: Nanos,
    /// The same, until the sandbox is thrown away and the next one made ready: what a call keeps its thread for.
    pub cleared: Nanos,
    /// On an instance that stays.
    pub warm: Nanos,
}

/// Calls in a fresh sandbox each as the server makes them, and on an instance that stays: so many of each in turns, and a
/// tenth before that do not count.
///
/// # Errors
/// Where a call does not end with the outcome.
pub fn fresh_and_warm(
    deployment: &Arc<Deployment>,
    request: &Request,
    grants: &Arc<dyn Grants>,
    outcome: &str,
    calls: usize,
) -> Result<Calls> {
    let mut warm = deployment.warm().map_err(|failure| anyhow!("{failure}"))?;
    turns(deployment, &mut warm, request, grants, outcome, calls / 10)?;
    turns(deployment, &mut warm, request, grants, outcome, calls)
}

fn turns(
    deployment: &Arc<Deployment>,
    warm: &mut Warm,
    request: &Request,
    grants: &Arc<dyn Grants>,
    outcome: &str,
    calls: usize,
) -> Result<Calls> {
    let mut all = Calls::default();
    for _ in 0..calls.div_ceil(TURN) {
        for _ in 0..TURN {
            let (answered, cleared) = answered(deployment, request, grants, outcome)?;
            all.fresh.add(answered);
            all.cleared.add(cleared);
        }
        for _ in 0..TURN {
            all.warm.add(timed(outcome, || warm.call(request, grants).outcome)?);
        }
    }
    Ok(all)
}

/// How long a call in a fresh sandbox takes until its answer, and until its thread is free again.
///
/// # Errors
/// Where it does not end with the outcome.
pub fn answered(
    deployment: &Arc<Deployment>,
    request: &Request,
    grants: &Arc<dyn Grants>,
    outcome: &str,
) -> Result<(Duration, Duration)> {
    let began = Instant::now();
    let (result, spent) = deployment.answer(request, grants);
    let answered = began.elapsed();
    spent.clear();
    let cleared = began.elapsed();
    let decision = result.outcome.map_err(|failure| anyhow!("{failure}"))?;
    anyhow::ensure!(decision.outcome == outcome, "{} is not the outcome {outcome}", decision.outcome);
    Ok((answered, cleared))
}

/// How long a call takes, which must end with the outcome.
///
/// # Errors
/// Where it does not.
pub fn timed(
    outcome: &str,
    call: impl FnOnce() -> Result<signalbox_engine::Decision, signalbox_engine::Failure>,
) -> Result<Duration> {
    let began = Instant::now();
    let result = call();
    let took = began.elapsed();
    let decision = result.map_err(|failure| anyhow!("{failure}"))?;
    anyhow::ensure!(decision.outcome == outcome, "{} is not the outcome {outcome}", decision.outcome);
    Ok(took)
}

/// An email of 1 KB that no rule of [`screening`](crate::screening) finds anything in.
///
/// # Errors
/// Never, in truth.
pub fn email_of_1_kb() -> Result<Request> {
    let sentence = "Hello, I ordered a pair of headphones three weeks ago and they still have not arrived. \
                    The tracking page says that they are in transit. ";
    let mut body = sentence.repeat(8);
    body.truncate(1024);
    let message = Message {
        media_type: name("email")?,
        subject: Some("Where is my order".into()),
        body,
        sender: Some("ana@example.org".into()),
        recipient: Some("help@example.com".into()),
        headers: Vec::new(),
        submitted_at: UnixMillis(1_700_000_000_000),
    };
    let facts = Facts { user_data: [("tier".to_owned(), "gold".to_owned())].into(), ..Facts::default() };
    Ok(Request {
        interaction: InteractionId(Uuid::from_u128(1)),
        content: Arc::new(Content { message: Arc::new(message), facts }),
        workflow: name("support")?,
        element: name("screen")?,
        visit: 1,
        now: UnixMillis(1_700_000_000_000),
    })
}

/// A request as hosts and services that know no components take it.
#[must_use]
pub fn as_json(request: &Request) -> Value {
    let message = &request.content.message;
    let facts = &request.content.facts;
    json!({
        "id": request.interaction.to_string(), "media_type": message.media_type, "subject": message.subject,
        "body": message.body, "sender": message.sender, "recipient": message.recipient,
        "user_data": facts.user_data.iter().collect::<Vec<_>>(), "priority": facts.priority,
        "submitted_at": message.submitted_at, "workflow": request.workflow, "element": request.element,
        "visit": request.visit, "now": request.now,
    })
}

fn name(text: &str) -> Result<Name> {
    Name::new(text).context("a name")
}
