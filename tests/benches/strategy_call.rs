//! A call in a fresh sandbox beside the same call on a warm instance: screening, 20 rules, 1 KB of text without a hit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use signalbox::strategy::{Grants, Nothing, Options, Package, Runtime};
use signalbox_engine::{Content, Facts, InteractionId, Message, Name, Request, UnixMillis};
use signalbox_tests::{Report, screening, strategy_file};
use uuid::Uuid;

const CALLS: usize = 20_000;

fn main() -> Result<()> {
    let images = tempfile::tempdir()?;
    let runtime = Runtime::new(&Options::new(images.path().to_owned()))?;
    let component = std::fs::read(strategy_file("screening")?)?;
    let installed = runtime.install(&component, &screening().to_string(), &[])?;
    let deployment = runtime.load(Package {
        name: name("screening")?,
        manifest: installed.manifest,
        image: &installed.image,
        component: &installed.component,
        configuration: None,
        deadline: Duration::from_millis(50),
        scope: None,
    })?;
    let grants: Arc<dyn Grants> = Arc::new(Nothing);
    let request = request()?;

    let mut warm = deployment.warm().map_err(|failure| anyhow!("{failure}"))?;
    let mut run = |warm_up: bool| -> Result<(Vec<u64>, Vec<u64>)> {
        let calls = if warm_up { CALLS / 10 } else { CALLS };
        let (mut fresh, mut reused) = (Vec::with_capacity(calls), Vec::with_capacity(calls));
        for _ in 0..calls {
            let at = Instant::now();
            let result = deployment.call(&request, &grants);
            fresh.push(u64::try_from(at.elapsed().as_nanos())?);
            let decision = result.outcome.map_err(|failure| anyhow!("{failure}"))?;
            anyhow::ensure!(decision.outcome == "clean", "the text has no hit");
        }
        for _ in 0..calls {
            let at = Instant::now();
            let result = warm.call(&request, &grants);
            reused.push(u64::try_from(at.elapsed().as_nanos())?);
            anyhow::ensure!(result.outcome.is_ok(), "the warm instance answers");
        }
        Ok((fresh, reused))
    };
    run(true)?;
    let (mut fresh, mut reused) = run(false)?;

    let mut report = Report::new(&format!("{CALLS} calls of each kind, one thread; {}", runtime.description()));
    let (fresh_50, warm_50) = (quantile_us(&mut fresh, 0.5), quantile_us(&mut reused, 0.5));
    report.at_most("fresh sandbox above warm instance, p50", fresh_50 - warm_50, "us", 12.0);
    report.at_most("whole call in a fresh sandbox, p50", fresh_50, "us", 25.0);
    report.figure("whole call in a fresh sandbox, p99", quantile_us(&mut fresh, 0.99), "us");
    report.figure("call on a warm instance, p50", warm_50, "us");
    report.figure("call on a warm instance, p99", quantile_us(&mut reused, 0.99), "us");
    report.write()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
fn quantile_us(nanos: &mut [u64], quantile: f64) -> f64 {
    nanos.sort_unstable();
    let at = (nanos.len().saturating_sub(1) as f64 * quantile) as usize;
    nanos.get(at).map_or(0.0, |n| *n as f64 / 1000.0)
}

fn name(text: &str) -> Result<Name> {
    Name::new(text).context("a name")
}

fn request() -> Result<Request> {
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
