//! A server process: started on a free port, killed for real.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::client::Client;

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    url: String,
    token: String,
}

/// The server's program, built by the same profile as the test that runs now.
///
/// # Errors
/// Where it is not built.
pub fn signalbox() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder = here.ancestors().nth(2).context("tests run from the target folder")?;
    let program = folder.join("signalbox");
    if !program.is_file() {
        bail!("{} is not built: run `cargo xtask build`", program.display());
    }
    Ok(program)
}

/// A built component of one of the strategies in this repository.
///
/// # Errors
/// Where it is not built.
pub fn strategy_file(name: &str) -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/strategies");
    let file = folder.join(format!("{name}.wasm"));
    if !file.is_file() {
        bail!("{name}.wasm is not built: run `cargo xtask build`");
    }
    Ok(file)
}

impl Server {
    /// Starts a server on a store and a free port, and waits until it is ready.
    ///
    /// # Errors
    /// Where it ends before it is ready.
    pub fn start(store: &Path) -> Result<Self> {
        Self::start_with(store, &[])
    }

    /// As [`start`](Self::start), with more arguments of `signalbox serve`.
    ///
    /// # Errors
    /// Where it ends before it is ready.
    pub fn start_with(store: &Path, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(signalbox()?)
            .args(["--json", "serve", "--listen", "127.0.0.1:0", "--log", "warn", "--store"])
            .arg(store)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let mut text = String::new();
        let mut lines = BufReader::new(output);
        let started: Value = loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                let status = child.wait()?;
                bail!("the server ended with {status} before it was ready: {text}");
            }
            text.push_str(&line);
            if let Ok(value) = serde_json::from_str(&text) {
                break value;
            }
        };
        let url = started["address"].as_str().context("it says its address")?.to_owned();
        let token_file = started["token_file"].as_str().context("it says where the token is")?;
        let token = std::fs::read_to_string(token_file)?.trim().to_owned();
        Ok(Self { child, url, token })
    }

    /// A client with the administrator's token, in the account `main`.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.url, &self.token, "main")
    }

    /// Its address, as `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The administrator's token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Memory that it holds now, in bytes.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("the system says how much")?;
        let kib: u64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
        Ok(kib * 1024)
    }

    /// Ends it at once, as a power cut does.
    ///
    /// # Errors
    /// Where it has ended by itself.
    pub fn kill(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the server had ended by itself with {status}");
        }
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    /// Where it ends with a failure.
    pub fn stop(mut self) -> Result<()> {
        let status = Command::new("kill").arg(self.pid().to_string()).status()?;
        if !status.success() {
            bail!("the server had ended by itself");
        }
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already where it was killed or stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
