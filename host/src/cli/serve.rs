//! `signalbox serve`: puts the parts together, says where they are, and stops them in order.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;
use signalbox_engine::{Command, Document, Name, Role, Token, UnixMillis};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::client::{TOKEN_FILE, store_directory};
use super::compile::compiler;
use super::error::Error;
use super::output::{Output, duration};
use super::token::write_secret;
use crate::http;
use crate::lane::{self, Accounts, SYSTEM};
use crate::outbox::Outbox;
use crate::store::{self, Store};
use crate::strategy::{self, Runtime};

/// The account that the command line works in where nobody says.
const MAIN: &str = "main";
/// Name of the token that the first start makes.
const ADMINISTRATOR: &str = "administrator";

/// Runs the server until it is told to stop (SIGTERM or Ctrl-C).
///
/// The first start makes the accounts `system` and `main` and an administrator's token, and writes the token to a file in
/// the store's directory that only this user can read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  signalbox serve
  signalbox serve --store /var/lib/signalbox --listen 0.0.0.0:8080
  SIGNALBOX_LOG=signalbox=debug signalbox serve --store ./store

It speaks plain HTTP: put a proxy with TLS in front before you listen to other machines.")]
pub(super) struct Serve {
    /// Directory of the store; made where it is missing. Left out: $XDG_DATA_HOME/signalbox, else
    /// ~/.local/share/signalbox.
    #[arg(long, value_name = "DIR", env = "SIGNALBOX_STORE")]
    store: Option<PathBuf>,
    /// Address to listen at; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", env = "SIGNALBOX_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Threads that run strategies whose calls take less than a millisecond; as many but one, and one at least, run those
    /// whose calls take longer. Left out: one for each processor, two at least.
    #[arg(long, value_name = "N")]
    strategy_threads: Option<NonZero<usize>>,
    /// Memory of one strategy call.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u16).range(1..=4096), default_value_t = 64)]
    strategy_memory_mib: u16,
    /// Processor time that the compilation of one strategy may take.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600), default_value_t = 60)]
    compile_seconds: u32,
    /// Memory that the compilation of one strategy may take.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(64..), default_value_t = 2048)]
    compile_memory_mib: u32,
    /// Memory for blocks of the store that were read.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(8..), default_value_t = 256)]
    cache_mib: u32,
    /// What is logged, as `info` or `signalbox=debug,warn`.
    #[arg(long, value_name = "FILTER", env = "SIGNALBOX_LOG", default_value = "info")]
    log: String,
}

impl Serve {
    pub fn run(self, output: &Output) -> Result<(), Error> {
        let filter = EnvFilter::try_new(&self.log).map_err(|error| {
            Error::usage(format!("`{}` is not a filter of logs", self.log)).because(&error).at("--log or SIGNALBOX_LOG")
        })?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(output.is_colourful())
            .init();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::new("the asynchronous runtime cannot start").because(&error))?;
        runtime.block_on(self.serve(output))
    }

    async fn serve(self, output: &Output) -> Result<(), Error> {
        let began = Instant::now();
        let stop = stop_signal()?;
        // First, so that a port that is taken is said before a store of gigabytes is read.
        let listener = TcpListener::bind(self.listen).await.map_err(|error| {
            Error::new(format!("nothing can listen at {}", self.listen))
                .because(&error)
                .at("--listen or SIGNALBOX_LISTEN")
                .fix("choose another address, or port 0 for a free one")
        })?;
        http::raise_open_files();
        let directory = self.store.clone().unwrap_or_else(store_directory);
        let accounts = {
            let directory = directory.clone();
            let handle = tokio::runtime::Handle::current();
            let opened = tokio::task::spawn_blocking(move || self.open(directory, handle)).await;
            opened.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?
        };
        let token_file = directory.join(TOKEN_FILE);
        let created = administrator(&accounts, &token_file).await?;

        let address = listener.local_addr().map_err(|error| Error::new("no address").because(&error))?;
        let description = accounts.runtime().description().to_owned();
        let names: Vec<_> = accounts.names().iter().map(Name::to_string).collect();
        let started = json!({
            "address": format!("http://{address}"), "store": directory, "accounts": names, "strategies": description,
            "token_file": token_file,
        });
        output.result(&started, |_| {
            let token = match (created, token_file.exists()) {
                (true, _) => format!("an administrator's token was made: it is in {}", token_file.display()),
                (false, true) => format!("the administrator's token is in {}", token_file.display()),
                (false, false) => "made before; its file has been taken away".into(),
            };
            [
                format!("address   http://{address} (API: http://{address}/docs)"),
                format!("store     {} ({})", directory.display(), names.join(", ")),
                description,
                format!("token     {token}"),
                format!("ready after {}; stops with SIGTERM or Ctrl-C", duration(began.elapsed())),
            ]
            .join("\n")
        })?;

        let shutdown = async {
            let name = stop.await;
            tracing::info!(signal = name, "stopping: requests in flight are finished");
        };
        http::serve(listener, http::State::new(Arc::clone(&accounts)), shutdown).await;
        let stopped = tokio::task::spawn_blocking(move || accounts.stop()).await;
        stopped.map_err(|error| Error::new("the lanes did not stop in order").because(&error))?;
        tracing::info!("stopped");
        Ok(())
    }

    /// Everything that blocks.
    fn open(&self, directory: PathBuf, handle: tokio::runtime::Handle) -> Result<Arc<Accounts>, Error> {
        std::fs::create_dir_all(&directory).map_err(|error| Error::file("made", &directory, &error))?;
        let options = store::Options { directory: directory.clone(), cache_bytes: (self.cache_mib as usize) << 20 };
        let store = Store::open(&options).map_err(|error| store_error(&error, &directory))?;
        let mut options = strategy::Options::new(directory.join("images"));
        options.threads = self.strategy_threads.unwrap_or(options.threads);
        options.memory_bytes_max = usize::from(self.strategy_memory_mib) << 20;
        options.compiler = Some(compiler(options.memory_bytes_max, self.compile_seconds, self.compile_memory_mib));
        let runtime = Runtime::new(&options).map_err(|error| Error::new("strategies cannot run").because(&error))?;
        let outbox =
            Outbox::new(handle.clone()).map_err(|error| Error::new("the outbox cannot start").because(&error))?;
        let options = lane::Options {
            store: Arc::new(store),
            runtime: Arc::new(runtime),
            threads: options.threads,
            outbox: Arc::new(outbox),
            handle,
        };
        let accounts = Accounts::open(options).map_err(|error| {
            let why = format!("{error:#}");
            if is_damage(&why) {
                return damaged(&directory).after(&why);
            }
            Error::new(format!("the accounts cannot be loaded: {why}")).at(directory.display().to_string())
        })?;
        Ok(Arc::new(accounts))
    }
}

/// What RocksDB and the store say where bytes are not what was written, or a file is missing.
fn is_damage(why: &str) -> bool {
    ["Corruption", "damaged", "has no rows", "No such file"].iter().any(|word| why.contains(word))
}

fn damaged(directory: &std::path::Path) -> Error {
    Error::new("the store is damaged").at(directory.display().to_string()).fix(
        "keep this directory as it is, and restore the newest backup to another: \
         `signalbox restore BACKUPS --store DIR`, then `signalbox serve --store DIR`",
    )
}

fn store_error(error: &store::Error, directory: &std::path::Path) -> Error {
    let said = Error::new("the store cannot be used").because(error).at(directory.display().to_string());
    match error {
        store::Error::NewerFormat { .. } | store::Error::NewerRow { .. } => {
            said.fix("run the version of signalbox that wrote it, or restore a backup that this version made")
        }
        store::Error::Damaged(_) => damaged(directory),
        _ if is_damage(&said.what) => damaged(directory).because(error),
        store::Error::Open(..) => {
            said.fix("check that no other server has it open, whose it is, and that the disk has room")
        }
        _ => said,
    }
}

/// Makes the first accounts and the first token, where they are not there yet. Answers whether a token was made.
async fn administrator(accounts: &Arc<Accounts>, file: &std::path::Path) -> Result<bool, Error> {
    let make = |name: &'static str| {
        let accounts = Arc::clone(accounts);
        async move {
            let name = Name::new(name).map_err(|error| Error::new("no account").because(&error))?;
            let made = tokio::task::spawn_blocking(move || accounts.create(&name)).await;
            let made = made.map_err(|error| Error::new("an account cannot be made").because(&error))?;
            made.map_err(|error| Error::new("an account cannot be made").because(&error))
        }
    };
    // Last the one that is always made: a first start that was cut off is finished by the next.
    if accounts.get(SYSTEM).is_none() {
        make(MAIN).await?;
    }
    let system = make(SYSTEM).await?;
    let has_administrator =
        system.published().configuration.tokens.values().any(|token| token.roles.contains(&Role::Administrator));
    if has_administrator {
        return Ok(false);
    }
    let secret =
        http::auth::new_secret().map_err(|error| Error::new("the system gives no randomness").because(&error))?;
    // The file first: a token whose secret is nowhere would lock everybody out.
    if let Err(error) = std::fs::remove_file(file)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(Error::file("replaced", file, &error));
    }
    write_secret(file, &secret).map_err(|error| Error::file("written", file, &error))?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let token = Token {
        name: Name::new(ADMINISTRATOR).map_err(|error| Error::new("no token").because(&error))?,
        hash: http::auth::secret_hash(&secret),
        roles: vec![Role::Administrator],
        created_at: UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
    };
    let put = Command::Put { document: Document::Token(token), by: "the first start".into() };
    system
        .command(put)
        .await
        .map_err(|error| Error::new("the administrator's token cannot be stored").because(&error))?;
    Ok(true)
}

/// Ready with the signal's name when the process is told to stop.
fn stop_signal() -> Result<impl Future<Output = &'static str>, Error> {
    let listen = |kind| signal(kind).map_err(|error| Error::new("signals cannot be received").because(&error));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}
