//! `signalbox strategy watch` beside a running server: what is saved serves, and what is broken leaves alone what does.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use signalbox_tests::{Server, signalbox};

/// A line is waited for no longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The command, and what it says.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn start(server: &Server, project: &Path) -> Result<Self> {
        let mut child = Command::new(signalbox()?)
            .args(["strategy", "watch"])
            .arg(project)
            .args(["--bind", "support/screen", "--server", server.url()])
            .env("SIGNALBOX_TOKEN", server.token())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(child.stderr.take().context("a pipe")?);
        let (sender, lines) = channel();
        std::thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Ok(Self { child, lines })
    }

    /// Waits for a line with this in it.
    fn until(&self, part: &str) -> Result<String> {
        let mut said = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.with_context(|| format!("`{part}` was not said, but: {}", said.join("\n")))?;
            if line.contains(part) {
                return Ok(line);
            }
            said.push(line);
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_serves_and_what_fails_does_not() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let server = Server::start(&directory.path().join("store"))?;
    let client = server.client();
    let workflow = json!({"name": "support",
        "elements": [{"id": "start", "kind": "start"}, {"id": "screen", "kind": "strategy"},
                     {"id": "desk", "kind": "queue", "queue": "desk"}, {"id": "done", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "screen"},
                       {"from": "screen", "outcome": "default", "to": "desk"},
                       {"from": "desk", "outcome": "completed", "to": "done"}]});
    client.put("/workflows/support", &workflow).await?;

    let project = directory.path().join("triage");
    let made = Command::new(signalbox()?)
        .args(["strategy", "new", "triage", "--lang", "c", "--path"])
        .arg(&project)
        .output()?;
    anyhow::ensure!(made.status.success(), "a project is made");
    let component = |language: &str| {
        let file = format!("{}/fixtures/starters/{language}.wasm", env!("CARGO_MANIFEST_DIR"));
        std::fs::copy(file, project.join("made.wasm"))
    };
    component("c")?;
    let recipe = "name = \"triage\"\noutput = \"build/a.wasm\"\nsources = [\"made.wasm\"]\n\
                  [[step]]\nrun = [\"cp\", \"made.wasm\", \"build/a.wasm\"]\n";
    std::fs::write(project.join("signalbox.toml"), recipe)?;

    let watching = Watching::start(&server, &project)?;
    watching.until("triage-1 serves support/screen")?;
    component("rust")?;
    let line = watching.until("triage-2 serves support/screen")?;
    anyhow::ensure!(line.contains(" s after it was saved"), "{line}");

    // A case that fails, then a build that does.
    let case = project.join("cases/a-vip-goes-first.json");
    let right = std::fs::read_to_string(&case)?;
    std::fs::write(&case, right.replace("900", "901"))?;
    watching.until("what served before goes on serving")?;
    std::fs::write(project.join("made.wasm"), "no component")?;
    watching.until("what served before goes on serving")?;
    let binding = client.get("/workflows/support/elements/screen/binding").await?;
    anyhow::ensure!(binding["shares"][0]["deployment"] == "triage-2", "{binding}");

    std::fs::write(&case, right)?;
    watching.until("what served before goes on serving")?;
    component("c")?;
    watching.until("triage-3 serves support/screen")?;
    Ok(())
}
