//! From a component to native code in a process of its own: a compilation cannot be interrupted, but a process can.
//!
//! The process reads the component from its standard input and writes the image to its standard output. It limits its own
//! processor time, so that it ends whatever becomes of the server; its memory is looked at from outside.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::error::InstallError;
use super::machine::{Machine, Tier};
use super::{Options, Unfit, answer, thread};

/// Exit code of a process that found fault with the component, and said which.
const AT_FAULT: i32 = 3;
/// How often its memory is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// How components are compiled for strangers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiler {
    /// A program that calls [`compile`], and its arguments; `--baseline` follows where the code runs only once.
    pub command: Vec<OsString>,
    /// Processor time of one compilation, in whole seconds. On several cores it passes faster than the clock.
    pub processor_time: Duration,
    /// Memory of one compilation.
    pub memory_bytes_max: u64,
}

impl Compiler {
    /// The component's image; `folder` is for files that nobody else sees.
    pub(super) fn compile(&self, folder: &Path, component: &[u8], tier: Tier) -> Result<Vec<u8>, InstallError> {
        let unavailable = |error: io::Error| InstallError::Unavailable(format!("it cannot be compiled: {error}"));
        let files = || io::Result::Ok([filled(folder, component)?, filled(folder, b"")?, filled(folder, b"")?]);
        let [input, mut output, mut fault] = files().map_err(unavailable)?;
        let ended = self.run([&input, &output, &fault], tier).map_err(unavailable)?;
        let read = |file: &mut File| {
            let mut bytes = Vec::new();
            file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(unavailable).map(|_| bytes)
        };
        let said = |fault: &mut File| {
            read(fault).map(|bytes| answer::cut(String::from_utf8_lossy(&bytes).trim().to_owned(), 1000))
        };
        match ended {
            Ended::Itself(status) if status.success() => read(&mut output),
            Ended::Itself(status) if status.code() == Some(AT_FAULT) => Err(InstallError::Malformed(said(&mut fault)?)),
            Ended::Itself(status) if status.signal() == Some(libc::SIGXCPU) => Err(InstallError::TooComplex(format!(
                "compiling it took more than {} s of processor time",
                self.processor_time.as_secs()
            ))),
            Ended::TooLarge => Err(InstallError::TooComplex(format!(
                "compiling it took more than {} MiB of memory",
                self.memory_bytes_max >> 20
            ))),
            Ended::Itself(status) => {
                let said = said(&mut fault)?;
                tracing::error!(%status, said, "a compilation broke down");
                Err(InstallError::Unavailable(format!("its compilation broke down ({status})")))
            }
        }
    }

    fn run(&self, [input, output, fault]: [&File; 3], tier: Tier) -> io::Result<Ended> {
        let (program, arguments) = self.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(arguments)
            .args((tier == Tier::Baseline).then_some("--baseline"))
            .env_clear()
            .stdin(Stdio::from(input.try_clone()?))
            .stdout(Stdio::from(output.try_clone()?))
            .stderr(Stdio::from(fault.try_clone()?))
            .spawn()?;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Ended::Itself(status));
            }
            if thread::resident_bytes(child.id()) > self.memory_bytes_max {
                end(&mut child)?;
                return Ok(Ended::TooLarge);
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// How a compilation ended.
enum Ended {
    Itself(ExitStatus),
    TooLarge,
}

fn end(child: &mut Child) -> io::Result<()> {
    child.kill()?;
    child.wait().map(drop)
}

/// A file without a name that holds this, read from its beginning.
fn filled(folder: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// What the process does: compiles its standard input to its standard output, within this processor time. Answers with
/// its exit code.
///
/// # Errors
/// Where the engine cannot start, or the input not be read, or the output not be written.
pub fn compile(options: &Options, tier: Tier, processor_time: Duration) -> Result<u8, CompilerError> {
    thread::limit_processor_time(processor_time)?;
    // Where memory runs out, it is this that should go, not the server.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let mut component = Vec::new();
    io::stdin().read_to_end(&mut component)?;
    match Machine::new(options)?.compile(&component, tier) {
        Ok(image) => {
            io::stdout().write_all(&image)?;
            Ok(0)
        }
        Err(error) => {
            write!(io::stderr(), "{error:#}")?;
            Ok(u8::try_from(AT_FAULT).unwrap_or(u8::MAX))
        }
    }
}

/// Why nothing could be compiled, whatever the component.
#[derive(Debug, thiserror::Error)]
pub enum CompilerError {
    /// The engine.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The files, or the system's limits.
    #[error(transparent)]
    Io(#[from] io::Error),
}
