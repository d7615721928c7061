//! The acknowledgement of a submit while strategies burn both cores: two deployments that loop until their deadline.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use signalbox_tests::{Pace, Report, Server, put_desk, strategy_file, submit_to_desk};

const TIME: Duration = Duration::from_secs(4);
const CONNECTIONS: [usize; 3] = [1, 16, 64];
const ROUNDS: usize = 3;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start_with(&directory.path().join("store"), &["--strategy-threads", "2"])?;
    let client = server.client();
    put_desk(&client).await?;
    let strategy = client.upload("/strategies", "application/wasm", &strategy_file("hostile")?).await?;
    for name in ["burner-1", "burner-2"] {
        let body = json!({"name": name, "strategy": strategy, "settings": {}, "deadline_ms": 5000});
        client.post("/deployments", &body).await?;
        let workflow = json!({"name": name,
            "elements": [{"id": "start", "kind": "start"}, {"id": "burn", "kind": "strategy"}, {"id": "done", "kind": "end"}],
            "connectors": [{"from": "start", "outcome": "next", "to": "burn"}, {"from": "burn", "outcome": "default", "to": "done"},
                           {"from": "burn", "outcome": "timeout", "to": "done"}]});
        client.put(&format!("/workflows/{name}"), &workflow).await?;
        client.bind(name, "burn", name).await?;
    }
    let load = submit_to_desk(&server);

    let mut report = Report::new("256-byte bodies, closed loop; two strategy threads in endless loops against none");
    let (mut idle, mut burning) = (vec![Vec::new(); 3], vec![Vec::new(); 3]);
    for _ in 0..ROUNDS {
        for (n, connections) in CONNECTIONS.into_iter().enumerate() {
            idle[n].push(p99(&load, connections).await?);
        }
        // Each of these burns a core for five seconds.
        let mut burners = Vec::new();
        for _ in 0..4 {
            for name in ["burner-1", "burner-2"] {
                burners.push(client.submit(&json!({"workflow": name, "media_type": "chat", "body": "loop"})).await?);
            }
        }
        for (n, connections) in CONNECTIONS.into_iter().enumerate() {
            burning[n].push(p99(&load, connections).await?);
        }
        let routing = client.get("/interactions?state=routing&limit=1").await?;
        anyhow::ensure!(
            !routing["next"].is_null() || routing["items"][0].is_object(),
            "the burners burned all the while"
        );
        client.until_decided(1200).await?;
    }
    for (n, connections) in CONNECTIONS.into_iter().enumerate() {
        let (idle, burning) = (median(&mut idle[n]), median(&mut burning[n]));
        report.at_most(
            &format!("p99 while strategies burn against idle, {connections} connections"),
            burning / idle,
            "ratio",
            3.0,
        );
        report.figure(&format!("p99 idle, {connections} connections"), idle, "ms");
        report.figure(&format!("p99 while strategies burn, {connections} connections"), burning, "ms");
    }
    report.write()
}

async fn p99(load: &signalbox_tests::RawClient, connections: usize) -> Result<f64> {
    let (mut latencies, refused) = load.run(connections, TIME, Pace::Closed).await?;
    anyhow::ensure!(refused == 0, "{refused} submits were refused");
    Ok(latencies.quantile_ms(0.99))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
