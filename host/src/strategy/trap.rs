//! Why a call ended without an answer, in words that help the author of the strategy.

use std::collections::BTreeMap;

use signalbox_engine::Failure;
use wasmtime::{Error, FrameInfo, PoolConcurrencyLimitError, Trap, WasmBacktrace};

use super::answer;
use super::record::Level;
use super::sandbox::{Sandbox, Stop};

/// Names of functions in a message.
const FRAMES_MAX: usize = 6;

/// Bytes of a message.
const MESSAGE_BYTES_MAX: usize = 2 * 1024;

/// Frames of one function that look like a recursion without an end. Wasmtime takes down 20 in all.
const DEEP: usize = 15;

/// What the error of a call means for whoever made it.
pub(super) fn failure(error: &Error, sandbox: &Sandbox) -> Failure {
    match error.downcast_ref::<Stop>() {
        Some(Stop::Overrun) => {
            let deadline_ms = u64::try_from(sandbox.deadline().as_millis()).unwrap_or(u64::MAX);
            return Failure::Overrun { deadline_ms };
        }
        Some(Stop::Mismatch(why)) => return Failure::Unavailable(why.clone()),
        Some(Stop::Beyond(why)) => return Failure::Refused(answer::cut(why.clone(), MESSAGE_BYTES_MAX)),
        Some(Stop::Limit(why)) => return Failure::Trap(why.clone()),
        None => {}
    }
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let place = backtrace.map(place).unwrap_or_default();
    let limit = sandbox.memory.refused.then(|| memory_limit(sandbox.memory.bytes_max));
    let why = match (error.downcast_ref::<Trap>(), limit) {
        (Some(Trap::StackOverflow), _) => "it calls itself too deep: the call stack is full".into(),
        (Some(_), Some(limit)) => limit,
        // A compiler's own stack lies in linear memory, below everything else, and ends there.
        (Some(trap @ Trap::MemoryOutOfBounds), None) if backtrace.is_some_and(is_deep) => {
            format!("{trap}; perhaps it calls itself too deep, and its stack is full")
        }
        (Some(Trap::UnreachableCodeReached), None) => panicked(sandbox),
        (Some(trap), None) => trap.to_string(),
        (None, _) if crosses_too_much(error) => {
            let kib = Sandbox::crossing_bytes_max() >> 10;
            if backtrace.is_none() {
                let why = format!("its answer has more than {kib} KiB: too many actions, or too long texts in them");
                return Failure::Refused(why);
            }
            format!("it handed the server more than {kib} KiB at once: shorten what it logs or asks for")
        }
        (None, _) if backtrace.is_none() => {
            let why = format!("its answer cannot be read: {}", error.root_cause());
            return Failure::Refused(answer::cut(why, MESSAGE_BYTES_MAX));
        }
        (None, _) => error.root_cause().to_string(),
    };
    Failure::Trap(answer::cut(why + &place, MESSAGE_BYTES_MAX))
}

/// Why no sandbox could be made. A component that asks for too much at once is at fault itself; else the server is full.
pub(super) fn instantiation(error: &Error, sandbox: &Sandbox) -> Failure {
    if error.is::<Trap>() || error.is::<Stop>() {
        return failure(error, sandbox);
    }
    if sandbox.memory.refused {
        return Failure::Trap(memory_limit(sandbox.memory.bytes_max));
    }
    Failure::Unavailable(answer::cut(format!("no sandbox could be made: {error:#}"), MESSAGE_BYTES_MAX))
}

/// Whether all sandboxes are taken, or their memories or tables.
pub(super) fn no_sandbox(error: &Error) -> bool {
    error.is::<PoolConcurrencyLimitError>()
}

/// Whether most of what was called is one function.
fn is_deep(backtrace: &WasmBacktrace) -> bool {
    let mut calls = BTreeMap::new();
    for frame in backtrace.frames() {
        *calls.entry(frame.func_index()).or_insert(0) += 1;
    }
    calls.values().any(|calls| *calls >= DEEP)
}

/// Whether Wasmtime stopped copying out of the sandbox. Its own error for it has no type that is public.
fn crosses_too_much(error: &Error) -> bool {
    error.root_cause().to_string().contains("fuel allocated for hostcalls")
}

fn memory_limit(bytes_max: usize) -> String {
    format!("it ran into its memory limit of {} MiB", bytes_max >> 20)
}

/// A panic ends in `unreachable`; what it said is the last error in the log, where the SDK wrote it, or the last that was
/// printed to standard error, as interpreters do.
fn panicked(sandbox: &Sandbox) -> String {
    let said = sandbox.log.iter().rev().find(|line| line.level == Level::Error);
    if let Some(line) = said {
        return line.message.clone();
    }
    let words = sandbox.last_words.iter().filter(|line| !line.starts_with("note: "));
    let words: Vec<_> = words.map(|line| line.trim()).collect();
    if words.is_empty() { "it panicked or aborted".into() } else { words.join(" ") }
}

/// ` (in a at src/a.rs:7, called by b, …)`, the machinery of panics left out. Files and lines are there where the runtime
/// reads them and the component has them.
fn place(backtrace: &WasmBacktrace) -> String {
    let names: Vec<String> = backtrace.frames().iter().flat_map(places).take(FRAMES_MAX).collect();
    if names.is_empty() { String::new() } else { format!(" (in {})", names.join(", called by ")) }
}

/// The functions of a frame, with those that were inlined into another one first.
fn places(frame: &FrameInfo) -> Vec<String> {
    let demangled = |name: &str| format!("{:#}", rustc_demangle::demangle(name));
    if frame.symbols().is_empty() {
        return frame.func_name().map(demangled).filter(|name| !is_machinery(name)).into_iter().collect();
    }
    let symbols = frame.symbols().iter().filter_map(|symbol| {
        let name = symbol.name().or(frame.func_name()).map(demangled).filter(|name| !is_machinery(name))?;
        Some(match (symbol.file(), symbol.line()) {
            (Some(file), Some(line)) => format!("{name} at {file}:{line}"),
            _ => name,
        })
    });
    symbols.collect()
}

fn is_machinery(name: &str) -> bool {
    let machinery = ["core::panicking", "std::panicking", "std::sys", "std::alloc", "alloc::alloc", "alloc::raw_vec"];
    let plain = name.trim_start_matches(['_', '<']);
    plain.starts_with("rust") || plain.starts_with("rg_") || machinery.iter().any(|prefix| plain.starts_with(prefix))
}
