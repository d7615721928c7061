//! `signalbox compile`: what the server runs for each compilation, so that it can be ended. Not for people.

use std::num::NonZero;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::error::Error;
use crate::strategy::{self, Compiler, Options, Tier};

/// Compiles a component from standard input to an image on standard output.
#[derive(Debug, Args)]
pub(super) struct Compile {
    /// Memory of one strategy call.
    #[arg(long, value_name = "BYTES")]
    memory_bytes_max: usize,
    /// Processor time that it may take.
    #[arg(long, value_name = "SECONDS")]
    seconds: u64,
    /// Makes code that runs only once: sooner made, and slower.
    #[arg(long)]
    baseline: bool,
}

impl Compile {
    pub fn run(self) -> Result<ExitCode, Error> {
        // It runs nothing and keeps no file: sandboxes for one thread are as few as there can be.
        let options = Options {
            threads: NonZero::<usize>::MIN,
            memory_bytes_max: self.memory_bytes_max,
            ..Options::new(std::path::PathBuf::new())
        };
        let tier = if self.baseline { Tier::Baseline } else { Tier::Optimized };
        let code = strategy::compile(&options, tier, Duration::from_secs(self.seconds));
        code.map(ExitCode::from).map_err(|error| Error::new("nothing can be compiled").because(&error))
    }
}

/// This very program as a compiler.
pub(super) fn compiler(memory_bytes_max: usize, seconds: u32, mib: u32) -> Compiler {
    // What runs, even where its file has been replaced meanwhile.
    let arguments = ["/proc/self/exe".to_owned(), "compile".to_owned()].into_iter();
    let limits = [format!("--memory-bytes-max={memory_bytes_max}"), format!("--seconds={seconds}")];
    Compiler {
        command: arguments.chain(limits).map(Into::into).collect(),
        processor_time: Duration::from_secs(seconds.into()),
        memory_bytes_max: u64::from(mib) << 20,
    }
}
