//! The server and its command line: see [`signalbox::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    signalbox::cli::main()
}
