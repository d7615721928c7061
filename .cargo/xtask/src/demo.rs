//! A whole server with a workflow, strategies and messages, to look at.
//!
//! Everything goes through the command line, as an operator would do it; each command is printed. The store is made anew
//! each time, under `target/demo`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo;
use crate::{build, setup};

/// Where the server listens where nobody says.
const LISTEN: &str = "127.0.0.1:8080";
/// The demo's workflow.
const WORKFLOW: &str = "support";
/// Who answers; those of `agents.csv`.
const AGENTS: [&str; 6] = ["ann", "bob", "cem", "dana", "eli", "fay"];
/// How long the server may take to start.
const START_MAX: Duration = Duration::from_secs(60);

/// What is fed, and how it ends.
#[derive(Debug, Default)]
pub struct Options {
    once: bool,
    input: Option<PathBuf>,
    text: Option<String>,
    label: Option<String>,
    no_header: bool,
    listen: Option<String>,
}

impl Options {
    /// Reads the arguments.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let (name, inline) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let mut value =
                || inline.clone().or_else(|| rest.next().cloned()).with_context(|| format!("`{name}` needs a value"));
            match name {
                "--once" => options.once = true,
                "--no-header" => options.no_header = true,
                "--input" => options.input = Some(std::path::absolute(value()?)?),
                "--text" => options.text = Some(value()?),
                "--label" => options.label = Some(value()?),
                "--listen" => options.listen = Some(value()?),
                other => bail!("`cargo xtask demo` has no `{other}`: see `cargo xtask help`"),
            }
        }
        if options.input.is_some() != options.text.is_some() {
            bail!("--input and --text go together: the file, and its column of the text");
        }
        if let Some(input) = options.input.as_ref().filter(|input| !input.is_file()) {
            bail!("there is no file {}", input.display());
        }
        Ok(options)
    }
}

/// Runs the demo.
pub fn run(options: &Options) -> Result<()> {
    setup::run()?;
    let signalbox = build::run()?;
    let folder = cargo::root().join("target/demo");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;

    let listen = address(options.listen.as_deref())?;
    let demo = Demo { signalbox, files: cargo::root().join("tests/demo"), folder, listen };
    demo.train(options)?;
    let mut server = demo.start()?;
    demo.deploy()?;
    let fed = demo.feed(options);
    if let Ok(report) = &fed {
        demo.answer(options)?;
        demo.show_one(report)?;
    }
    if options.once {
        server.stop()?;
        return fed.map(drop);
    }
    if let Err(error) = fed {
        eprintln!("error: {error:#}");
    }
    demo.say_what_to_try();
    let status = server.0.wait().context("the server cannot be waited for")?;
    if !status.success() {
        bail!("the server ended with {status}");
    }
    Ok(())
}

/// The default address, or a free port where that is taken.
fn address(wanted: Option<&str>) -> Result<SocketAddr> {
    if let Some(wanted) = wanted {
        return wanted.parse().with_context(|| format!("`{wanted}` is not an address such as {LISTEN}"));
    }
    let free = TcpListener::bind(LISTEN).or_else(|_| TcpListener::bind("127.0.0.1:0")).context("no free port")?;
    Ok(free.local_addr()?)
}

struct Demo {
    signalbox: PathBuf,
    /// What is shipped for it.
    files: PathBuf,
    /// What it writes.
    folder: PathBuf,
    listen: SocketAddr,
}

impl Demo {
    /// The command line, connected to the demo's server.
    fn signalbox(&self) -> Result<Command> {
        let mut command = cargo::command(&self.signalbox)?;
        command
            .env("SIGNALBOX_SERVER", format!("http://{}", self.listen))
            .env("SIGNALBOX_TOKEN_FILE", self.token_file())
            .env_remove("SIGNALBOX_TOKEN")
            .env_remove("SIGNALBOX_ACCOUNT");
        Ok(command)
    }

    fn token_file(&self) -> PathBuf {
        self.folder.join("store/administrator.token")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.join(name)
    }

    fn files_in(&self, folder: &str) -> Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(self.file(folder))?;
        let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        files.sort();
        Ok(files)
    }

    fn model(&self) -> PathBuf {
        self.folder.join("support.model")
    }

    /// From the messages shipped, or from the file given where it says what each message is about.
    fn train(&self, options: &Options) -> Result<()> {
        let mut command = self.signalbox()?;
        command.args(["classifier", "train", "--out"]).arg(self.model());
        match (&options.input, &options.text, &options.label) {
            (Some(input), Some(text), Some(label)) => {
                command.arg("--input").arg(input).args(["--text", text, "--label", label]);
                if options.no_header {
                    command.arg("--no-header");
                }
            }
            _ => {
                command.arg("--input").arg(self.file("messages.jsonl")).args([
                    "--text",
                    "subject,text",
                    "--label",
                    "label",
                ]);
            }
        }
        cargo::run(&mut command)
    }

    fn start(&self) -> Result<Server> {
        let store = self.folder.join("store");
        let listen = self.listen.to_string();
        let mut command = self.signalbox()?;
        command.arg("serve").arg("--store").arg(&store).args(["--listen", &listen]);
        eprintln!("$ signalbox serve --store target/demo/store --listen {listen}");
        let mut server = Server(command.spawn().context("the server cannot be started")?);
        let began = Instant::now();
        loop {
            if let Some(status) = server.0.try_wait()? {
                bail!("the server ended with {status}");
            }
            if is_healthy(self.listen) {
                return Ok(server);
            }
            if began.elapsed() > START_MAX {
                bail!("the server did not start within {} s", START_MAX.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Documents first, then the workflow, then the strategies that are bound to its elements.
    fn deploy(&self) -> Result<()> {
        let run = |arguments: &[&str], files: &[PathBuf]| cargo::run(self.signalbox()?.args(arguments).args(files));
        run(&["response", "put"], &self.files_in("responses")?)?;
        run(&["calendar", "put", "support"], &[self.file("calendar.json")])?;
        run(&["table", "put", "vips"], &[self.file("vips.csv")])?;
        run(&["skill", "put"], &[self.file("skills.csv")])?;
        run(&["agent", "put"], &[self.file("agents.csv")])?;
        for settings in self.files_in("queues")? {
            let queue = settings.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            run(&["queue", "put", &queue, "--settings"], &[settings])?;
        }
        run(&["workflow", "put"], &[self.file("workflow.json")])?;
        for (element, strategy) in
            [("screen", "screening"), ("analyse", "content-analysis"), ("answer", "auto-reply"), ("direct", "forward")]
        {
            let component = cargo::root().join(format!("target/strategies/{strategy}.wasm"));
            let bind = format!("{WORKFLOW}/{element}");
            let mut command = self.signalbox()?;
            command
                .args(["strategy", "deploy"])
                .arg(component)
                .arg("--settings")
                .arg(self.file(&format!("{strategy}.json")));
            command.args(["--name", &format!("{strategy}-1"), "--bind", &bind, "--message", "the demo"]);
            if strategy == "content-analysis" {
                command.arg("--asset").arg(format!("model={}", self.model().display()));
            }
            cargo::run(&mut command)?;
        }
        Ok(())
    }

    /// Submits, and waits for all to be through. Fails where the numbers do not add up.
    fn feed(&self, options: &Options) -> Result<Value> {
        let report = self.folder.join("report.json");
        let mut command = self.signalbox()?;
        command.args(["submit", "--workflow", WORKFLOW, "--follow", "--report"]).arg(&report).arg("--input");
        match (&options.input, &options.text) {
            (Some(input), Some(text)) => command.arg(input).args(["--text", text]),
            _ => command.arg(self.file("messages.jsonl")).args(["--text", "text"]),
        };
        if options.no_header {
            command.arg("--no-header");
        }
        cargo::run(&mut command)?;
        let text = std::fs::read_to_string(&report).with_context(|| format!("there is no {}", report.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", report.display()))
    }

    /// Agents answer all that waits. What a file of the user's holds may be more than they can answer while somebody waits.
    fn answer(&self, options: &Options) -> Result<()> {
        if options.input.is_some() {
            return Ok(());
        }
        println!("\nSix simulated agents answer what waits, each what it has the skills for:");
        let mut command = self.signalbox()?;
        command.args(["agent", "simulate"]).args(AGENTS).args([
            "--until-empty",
            "--answer-ms",
            "200",
            "--work-ms",
            "500",
        ]);
        cargo::run(&mut command)
    }

    /// The timeline of one that went all the way.
    fn show_one(&self, report: &Value) -> Result<()> {
        let samples = report["samples"].as_object().cloned().unwrap_or_default();
        let queued = samples.iter().find(|(place, _)| place.starts_with("queue ")).or_else(|| samples.iter().next());
        let Some(id) = queued.and_then(|(_, id)| id.as_str()) else { return Ok(()) };
        println!();
        cargo::run(self.signalbox()?.args(["interaction", "get", id]))?;
        println!();
        cargo::run(self.signalbox()?.args(["interaction", "timeline", id]))
    }

    fn say_what_to_try(&self) {
        let address = format!("http://{}", self.listen);
        let token = self.token_file();
        println!(
            "\nThe server stays up at {address} until Ctrl-C. The administrator's token is in {}.\n\n\
             To try, in another terminal:\n  \
             export SIGNALBOX_SERVER={address} SIGNALBOX_TOKEN_FILE={} PATH={}:$PATH\n  \
             signalbox agent simulate {}\n  \
             signalbox submit --workflow {WORKFLOW} --sender you@example.com --body 'Where is my parcel 4711?' \n  \
             signalbox queue list\n  signalbox agent state\n  signalbox interaction list --state completed\n  signalbox strategy list\n  \
             {address}/docs in a browser",
            token.display(),
            token.display(),
            self.signalbox.parent().unwrap_or(Path::new("")).display(),
            AGENTS.join(" "),
        );
    }
}

/// The server's process; ended when this ends, however it does.
struct Server(Child);

impl Server {
    /// As a service manager would.
    fn stop(&mut self) -> Result<()> {
        cargo::run(Command::new("kill").args(["-TERM", &self.0.id().to_string()]))?;
        let status = self.0.wait().context("the server cannot be waited for")?;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // It may be gone by now, which is what is wanted.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

fn is_healthy(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(500))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4096).read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 2"))
}
