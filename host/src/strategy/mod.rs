//! Runs strategies: installs, loads, calls, records and replays WebAssembly components of the world
//! `signalbox:strategy/strategy`.
//!
//! It knows the engine's words for requests and decisions, and Wasmtime. It does not know accounts, bindings, the store or
//! HTTP: who is asked when, and what a failure leads to, is decided elsewhere. What a strategy may learn comes in as
//! [`Grants`].
//!
//! From a file to a decision: [`Runtime::install`] (seconds, once a deployment) → [`Installed`], kept in the store →
//! [`Runtime::load`] (under a millisecond) → [`Deployment::answer`] (microseconds), mostly by way of a [`Pool`] →
//! [`CallResult`] with its [`Recorded`] → [`Deployment::replay`], at any time, on any version.
//!
//! Invariants:
//! - A strategy cannot harm the server or another call: not its memory, nor its threads' time, nor its files.
//! - The same request, deployment and answers give the same decision, bit for bit.
//! - A decision that comes out of here keeps the bounds of the WIT package.

mod answer;
mod bindings;
mod call;
mod compiler;
mod componentize;
mod debug;
mod deployment;
mod error;
mod grants;
mod idle;
mod image;
mod inspect;
mod install;
mod machine;
mod manifest;
mod pool;
mod recent;
mod record;
mod request;
mod sandbox;
mod settings;
mod signature;
mod snapshot;
mod thread;
mod trap;
mod wasi;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use signalbox_engine::Digest;
use wasmtime::component::{Component, InstancePre, Linker};

pub use answer::DECISION_BYTES_MAX;
pub use call::{CallResult, Counted, Spent, Warm};
pub use compiler::{Compiler, CompilerError, compile};
pub use componentize::{NoComponent, componentize};
pub use debug::without_lines;
pub use deployment::{DEADLINE, DEADLINE_MAX, Deployment, LoadError, Package};
pub use error::InstallError;
pub use grants::{Grants, Nothing, ObjectKind, RenderedText};
pub use inspect::{COMPONENT_BYTES_MAX, FUNCTION_BYTES_MAX, FUNCTIONS_MAX, Shape, check_imports, interfaces};
pub use install::{CONFIGURE_DEADLINE, Inspection, Installed};
pub use machine::{STACK_BYTES, Tier, Unfit};
pub use manifest::{ASSET_BYTES_MAX, Asset};
pub use pool::{Full, Job, Pool};
pub use record::{Answer, Granted, Level, LogLine, Question, Recorded, Unreadable};
use sandbox::{Bounds, Sandbox};
pub use sandbox::{LOG_BYTES_MAX, QUESTION_BYTES_MAX, QUESTIONS_MAX};
pub use signature::{KeyError, PublicKey, SIGNATURE_BYTES, SecretKey};
pub use thread::{REPLAYING, lower_priority};

/// Memory of a call where nobody says otherwise.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;

/// How strategies are run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder for compiled strategies, which the server alone may write. It can be emptied while no server runs.
    pub images: PathBuf,
    /// Threads that run strategies: the pool of sandboxes is sized for them.
    pub threads: NonZero<usize>,
    /// Linear memory of one call, in bytes.
    pub memory_bytes_max: usize,
    /// What it is for. Images of one purpose do not serve another.
    pub purpose: Purpose,
    /// Where strangers' components are compiled, within limits; here, without limits, where there is none.
    pub compiler: Option<Compiler>,
}

/// What strategies are run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Traffic.
    Serving,
    /// The author's own components: a trap names files and lines, where the component tells them. Of strangers' components
    /// nothing so intricate is read.
    Authoring,
    /// [`Deployment::count`]: every instruction is counted, which takes time, and no sandbox's memory stays mapped.
    Counting,
}

impl Options {
    /// As this machine suggests: a thread for each core and at least two, 64 MiB a call.
    #[must_use]
    pub fn new(images: PathBuf) -> Self {
        Self {
            images,
            threads: machine::threads(),
            memory_bytes_max: MEMORY_BYTES_MAX,
            purpose: Purpose::Serving,
            compiler: None,
        }
    }
}

/// The Wasm engine, ready to install and load strategies. One for a process.
pub struct Runtime {
    machine: machine::Machine,
    linker: Linker<Sandbox>,
    images: image::Images,
    options: Options,
    idle: Arc<idle::Idle<call::Made>>,
    recent: recent::Recent,
    /// Held by whoever runs a strategy to install it: one at a time, for it may keep a processor for seconds.
    installing: Mutex<()>,
}

impl Runtime {
    /// Starts the engine.
    ///
    /// # Errors
    /// [`Unfit`] where this machine cannot run strategies at all. A machine that is merely small gets fewer sandboxes, and
    /// [`description`](Self::description) says so.
    pub fn new(options: &Options) -> Result<Self, Unfit> {
        let machine = machine::Machine::new(options)?;
        let linker = sandbox::linker(&machine.engine).map_err(Unfit::Engine)?;
        let images =
            image::Images::open(&options.images).map_err(|error| Unfit::Images(options.images.clone(), error))?;
        let idle = Arc::new(idle::Idle::new(machine.sandboxes()));
        Ok(Self {
            machine,
            linker,
            images,
            options: options.clone(),
            idle,
            recent: recent::Recent::default(),
            installing: Mutex::default(),
        })
    }

    /// A component with all that it imports.
    fn instantiate_pre(&self, component: &Component, imports: &[String]) -> wasmtime::Result<InstancePre<Sandbox>> {
        match wasi::linker(&self.linker, component, imports)? {
            Some(linker) => linker.instantiate_pre(component),
            None => self.linker.instantiate_pre(component),
        }
    }

    /// A component's image.
    fn compile(&self, component: &[u8], tier: Tier) -> Result<Vec<u8>, InstallError> {
        match &self.options.compiler {
            Some(compiler) => compiler.compile(self.images.folder(), component, tier),
            None => self
                .machine
                .compile(component, tier)
                .map_err(|error| InstallError::Malformed(answer::cut(format!("{error:#}"), 1000))),
        }
    }

    /// What a sandbox gets, whose code has so long.
    fn bounds(&self, deadline: Duration) -> Bounds {
        let Options { memory_bytes_max, purpose, .. } = self.options;
        Bounds { deadline, by_the_clock: true, memory_bytes_max, counts: purpose == Purpose::Counting }
    }

    /// What it runs with, in a line for the start-up log.
    #[must_use]
    pub fn description(&self) -> &str {
        self.machine.description()
    }

    /// Sandboxes that wait for their next call.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.idle.len()
    }

    /// Linear memory that one call may have, in bytes.
    #[must_use]
    pub fn memory_bytes_max(&self) -> usize {
        self.options.memory_bytes_max
    }

    /// Deletes the file of an image. Deployments that are loaded from it stay so.
    ///
    /// # Errors
    /// The file cannot be deleted.
    pub fn forget_image(&self, image: Digest) -> std::io::Result<()> {
        self.images.forget(image)
    }

    /// Deletes the files of all images but these, named by their SHA-256. Deployments that are loaded stay so.
    ///
    /// # Errors
    /// Where the folder cannot be read or a file not be deleted.
    pub fn retain_images(&self, images: &BTreeSet<Digest>) -> std::io::Result<()> {
        self.images.retain(images)
    }
}
