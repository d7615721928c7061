//! A decision in a sandbox beside the same decision over loopback HTTP, as routers that call out for it make it.
//!
//! The service runs the same crate natively, under axum on a thread of its own. Its caller keeps the connection, and writes
//! the request and reads the answer as JSON: once with a common client, once with a plain socket, which is the least it can
//! cost. Calls take turns, so that a busy machine is busy for all.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use screening::Screening;
use signalbox::strategy::{Grants, Job, Nothing, Pool};
use signalbox_sdk::{Assets, Strategy as _};
use signalbox_tests::{
    Connection, Local, Nanos, Report, answered, as_json, email_of_1_kb, post_bytes, screening, strategy_file,
};

#[path = "extism/plugin/src/json.rs"]
mod json;

use json::{Answer, Asked};

const ROUNDS: usize = 200;
const TURN: usize = 50;

fn main() -> Result<()> {
    let local = Local::start()?;
    let deployment = local.deploy(&strategy_file("screening")?, &screening(), &[])?;
    let grants: Arc<dyn Grants> = Arc::new(Nothing);
    let request = email_of_1_kb()?;
    let asked: Asked = serde_json::from_value(as_json(&request))?;
    let pool = Pool::new(std::num::NonZero::new(2).context("two")?, 100)?;
    let url = serve()?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let http = reqwest::Client::builder().tcp_nodelay(true).build()?;
    let mut socket = runtime.block_on(Connection::open(url.trim_start_matches("http://")))?;
    let [mut sandbox, mut pooled, mut service, mut least, mut cleared] = [(); 5].map(|()| Nanos::default());
    for round in 0..ROUNDS + ROUNDS / 10 {
        let mut turn = [(); 5].map(|()| Nanos::default());
        for _ in 0..TURN {
            let (until_answer, until_free) = answered(&deployment, &request, &grants, "clean")?;
            turn[0].add(until_answer);
            turn[4].add(until_free);
        }
        for _ in 0..TURN {
            let began = Instant::now();
            let (sender, receiver) = mpsc::channel();
            let (deployment, request, grants) = (Arc::clone(&deployment), request.clone(), Arc::clone(&grants));
            let done = Box::new(move |result| drop(sender.send(result)));
            pool.submit(Job { deployment, request, grants, warm_calls: None, done })?;
            ensure!(receiver.recv()?.outcome.is_ok_and(|decision| decision.outcome == "clean"), "it decides");
            turn[1].add(began.elapsed());
        }
        for _ in 0..TURN {
            turn[2].add(runtime.block_on(call(&http, &url, &asked))?);
        }
        for _ in 0..TURN {
            turn[3].add(runtime.block_on(exchange(&mut socket, &url, &asked))?);
        }
        // The first rounds do not count.
        if round >= ROUNDS / 10 {
            for (all, turn) in [&mut sandbox, &mut pooled, &mut service, &mut least, &mut cleared].into_iter().zip(turn)
            {
                all.join(turn);
            }
        }
    }

    let calls = ROUNDS * TURN;
    let mut report = Report::new(&format!("screening, 20 rules on 1 KB, {calls} calls of each kind in turns"));
    report.at_least(
        "call over HTTP against call in a sandbox, p50",
        service.quantile_us(0.5) / sandbox.quantile_us(0.5),
        "ratio",
        20.0,
    );
    for (name, nanos) in [
        ("call in a fresh sandbox", &mut sandbox),
        ("call in a fresh sandbox, until its thread is free again", &mut cleared),
        ("call in a fresh sandbox, by way of the pool's threads", &mut pooled),
        ("call over HTTP, a common client", &mut service),
        ("call over HTTP, a plain socket", &mut least),
    ] {
        report.figure(&format!("{name}, p50"), nanos.quantile_us(0.5), "us");
        report.figure(&format!("{name}, p99"), nanos.quantile_us(0.99), "us");
    }
    report.write()
}

/// The service, on a thread of its own; answers with its address.
fn serve() -> Result<String> {
    let settings = serde_json::from_value(screening())?;
    let screening = Screening::configure(settings, Assets::default()).map_err(anyhow::Error::msg)?;
    let (sender, receiver) = mpsc::channel::<SocketAddr>();
    std::thread::spawn(move || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let decide = async |State(screening): State<Arc<Screening>>, Json(asked): Json<Asked>| {
                json::decide(&screening, asked).map(Json)
            };
            let routes = Router::new().route("/decide", post(decide)).with_state(Arc::new(screening));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            sender.send(listener.local_addr()?)?;
            let listener = axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true)));
            Ok(axum::serve(listener, routes).await?)
        })
    });
    Ok(format!("http://{}", receiver.recv()?))
}

async fn call(http: &reqwest::Client, url: &str, asked: &Asked) -> Result<Duration> {
    let began = Instant::now();
    let response = http.post(format!("{url}/decide")).json(asked).send().await?;
    let answer: Answer = response.error_for_status()?.json().await?;
    let took = began.elapsed();
    ensure!(answer.outcome == "clean", "the text has no hit: {answer:?}");
    Ok(took)
}

async fn exchange(socket: &mut Connection, url: &str, asked: &Asked) -> Result<Duration> {
    let began = Instant::now();
    let bytes = post_bytes(url, "none", "/decide", &serde_json::to_string(asked)?);
    let status = socket.exchange(&bytes).await?;
    let answer: Answer = serde_json::from_slice(socket.body())?;
    let took = began.elapsed();
    ensure!(status == 200 && answer.outcome == "clean", "{status}: {answer:?}");
    Ok(took)
}
