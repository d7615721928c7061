//! WASI with nothing behind it, for languages whose components cannot do without.
//!
//! No files, no network, no arguments, an empty environment. Clocks stand still at the request's moment; randomness is a
//! sequence that follows from the request; before one, while a strategy starts and configures itself, both are always the
//! same. So a call that is made again goes the same way. What is printed goes to the log. Whatever else is asked for ends the call, and its failure names it.
//!
//! Written against the interfaces' names and types alone, whatever 0.2 they are of; nothing here can block or keep
//! anything.

use signalbox_engine::{Request, UnixMillis};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentType, Lift, Linker, LinkerInstance, Lower, Resource, ResourceType};
use wasmtime::{Result, StoreContextMut, bail};

use super::record::Level;
use super::sandbox::{Sandbox, Stop};

/// Random bytes that one question may ask for.
const RANDOM_BYTES_MAX: u64 = 64 * 1024;
/// What a stream takes at a time.
const WRITE_BYTES_MAX: u64 = 4096;
/// Names of the two streams for what is printed.
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// Whether an import is one of WASI's.
pub(super) fn is_wasi(import: &str) -> bool {
    import.strip_prefix("wasi:").is_some_and(|rest| rest.split_once('@').is_some_and(|(_, v)| v.starts_with("0.2.")))
}

/// What of the world outside a call can see: it stays as it is for as long as the call takes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment {
    now: UnixMillis,
    random: u64,
}

impl Moment {
    /// That of a request.
    pub(super) fn of(request: &Request) -> Self {
        let (high, low) = request.interaction.0.as_u64_pair();
        let seed = [high, low, request.now.0, u64::from(request.visit)];
        Self { now: request.now, random: seed.into_iter().fold(0, |mixed, part| mix(mixed ^ part)) }
    }

    /// SplitMix64 (Steele, Lea, Flood, 2014): good enough to spread hashes, and the same on every machine.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.random)
    }
}

fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

struct InputStream;
struct OutputStream;
struct IoError;
struct Pollable;
struct TerminalInput;
struct TerminalOutput;
struct Descriptor;
/// What nothing here makes.
struct Other;

#[derive(ComponentType, Lower, Lift)]
#[component(variant)]
enum StreamError {
    #[component(name = "last-operation-failed")]
    Failed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

#[derive(ComponentType, Lower, Lift)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// A linker for this component: what it imports of WASI is there, beside what every strategy gets. None where it imports
/// nothing of WASI.
pub(super) fn linker(
    plain: &Linker<Sandbox>,
    component: &Component,
    imports: &[String],
) -> Result<Option<Linker<Sandbox>>> {
    if !imports.iter().any(|import| is_wasi(import)) {
        return Ok(None);
    }
    let mut linker = plain.clone();
    // What is there takes the place of a function that says that it is not. Only of WASI: an interface of our own in an older
    // version is met by the newest, which a stand-in under its name would hide.
    linker.allow_shadowing(true);
    let engine = component.engine();
    for (import, item) in component.component_type().imports(engine).filter(|(import, _)| is_wasi(import)) {
        let mut instance = linker.instance(import)?;
        if let ComponentItem::ComponentInstance(exports) = item.ty {
            for (name, export) in exports.exports(engine) {
                match export.ty {
                    // An interface names the resources of others that it uses too, and each must be one type throughout.
                    ComponentItem::Resource(_) => instance.resource(name, resource(name), |_, _| Ok(()))?,
                    ComponentItem::ComponentFunc(_) => {
                        let asked = format!("{import}#{name}");
                        instance.func_new(name, move |_, _, _, _| bail!("there is no `{asked}` here"))?;
                    }
                    _ => {}
                }
            }
        }
        define(import.split('@').next().unwrap_or_default(), &mut instance)?;
    }
    Ok(Some(linker))
}

/// The type of a resource, by its name: no two interfaces of WASI name theirs alike.
fn resource(name: &str) -> ResourceType {
    match name {
        "error" => ResourceType::host::<IoError>(),
        "input-stream" => ResourceType::host::<InputStream>(),
        "output-stream" => ResourceType::host::<OutputStream>(),
        "pollable" => ResourceType::host::<Pollable>(),
        "descriptor" => ResourceType::host::<Descriptor>(),
        "terminal-input" => ResourceType::host::<TerminalInput>(),
        "terminal-output" => ResourceType::host::<TerminalOutput>(),
        _ => ResourceType::host::<Other>(),
    }
}

fn define(interface: &str, of: &mut LinkerInstance<'_, Sandbox>) -> Result<()> {
    match interface {
        "wasi:cli/environment" => {
            of.func_wrap("get-environment", |_, ()| Ok((Vec::<(String, String)>::new(),)))?;
            of.func_wrap("get-arguments", |_, ()| Ok((Vec::<String>::new(),)))?;
            of.func_wrap("initial-cwd", |_, ()| Ok((None::<String>,)))
        }
        "wasi:cli/exit" => of.func_wrap("exit", |_, (how,): (Result<(), ()>,)| -> Result<()> {
            let how = if how.is_ok() { "without saying why" } else { "with a failure" };
            Err(Stop::Limit(format!("it ended itself by `exit`, {how}")).into())
        }),
        "wasi:cli/stdin" => of.func_wrap("get-stdin", |_, ()| Ok((Resource::<InputStream>::new_own(0),))),
        "wasi:cli/stdout" => of.func_wrap("get-stdout", |_, ()| Ok((Resource::<OutputStream>::new_own(STDOUT),))),
        "wasi:cli/stderr" => of.func_wrap("get-stderr", |_, ()| Ok((Resource::<OutputStream>::new_own(STDERR),))),
        "wasi:cli/terminal-stdin" => of.func_wrap("get-terminal-stdin", |_, ()| Ok((None::<Resource<TerminalInput>>,))),
        "wasi:cli/terminal-stdout" => {
            of.func_wrap("get-terminal-stdout", |_, ()| Ok((None::<Resource<TerminalOutput>>,)))
        }
        "wasi:cli/terminal-stderr" => {
            of.func_wrap("get-terminal-stderr", |_, ()| Ok((None::<Resource<TerminalOutput>>,)))
        }
        "wasi:io/streams" => streams(of),
        "wasi:clocks/wall-clock" => {
            of.func_wrap("now", |store, ()| {
                let now = store.data().moment.now.0;
                let nanoseconds = u32::try_from(now % 1000).unwrap_or_default() * 1_000_000;
                Ok((Datetime { seconds: now / 1000, nanoseconds },))
            })?;
            of.func_wrap("resolution", |_, ()| Ok((Datetime { seconds: 0, nanoseconds: 1_000_000 },)))
        }
        "wasi:clocks/monotonic-clock" => {
            of.func_wrap("now", |store, ()| Ok((store.data().moment.now.0.saturating_mul(1_000_000),)))?;
            of.func_wrap("resolution", |_, ()| Ok((1_000_000_u64,)))
        }
        "wasi:random/random" => {
            of.func_wrap("get-random-bytes", |store, (count,)| random_bytes(store, count))?;
            of.func_wrap("get-random-u64", |mut store, ()| Ok((store.data_mut().moment.random(),)))
        }
        "wasi:random/insecure" => {
            of.func_wrap("get-insecure-random-bytes", |store, (count,)| random_bytes(store, count))?;
            of.func_wrap("get-insecure-random-u64", |mut store, ()| Ok((store.data_mut().moment.random(),)))
        }
        "wasi:random/insecure-seed" => of.func_wrap("insecure-seed", |mut store, ()| {
            let moment = &mut store.data_mut().moment;
            Ok(((moment.random(), moment.random()),))
        }),
        "wasi:filesystem/preopens" => {
            of.func_wrap("get-directories", |_, ()| Ok((Vec::<(Resource<Descriptor>, String)>::new(),)))
        }
        _ => Ok(()),
    }
}

/// Nothing can be read. What is written goes to the log, and no stream is kept: its name says which it is.
fn streams(of: &mut LinkerInstance<'_, Sandbox>) -> Result<()> {
    type Written = (std::result::Result<(), StreamError>,);
    type Read = (std::result::Result<Vec<u8>, StreamError>,);
    type Output = Resource<OutputStream>;
    for read in ["[method]input-stream.read", "[method]input-stream.blocking-read"] {
        of.func_wrap(read, |_, (_, _): (Resource<InputStream>, u64)| -> Result<Read> {
            Ok((Err(StreamError::Closed),))
        })?;
    }
    of.func_wrap("[method]output-stream.check-write", |_, (_,): (Output,)| {
        Ok((Ok::<u64, StreamError>(WRITE_BYTES_MAX),))
    })?;
    for write in ["[method]output-stream.write", "[method]output-stream.blocking-write-and-flush"] {
        of.func_wrap(write, |mut store, (to, bytes): (Output, Vec<u8>)| -> Result<Written> {
            let text = String::from_utf8_lossy(&bytes);
            for line in text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned) {
                match to.rep() {
                    STDERR => store.data_mut().complain(line),
                    _ => store.data_mut().keep(Level::Info, line),
                }
            }
            Ok((Ok(()),))
        })?;
    }
    for flush in ["[method]output-stream.flush", "[method]output-stream.blocking-flush"] {
        of.func_wrap(flush, |_, (_,): (Output,)| -> Result<Written> { Ok((Ok(()),)) })?;
    }
    Ok(())
}

fn random_bytes(mut store: StoreContextMut<'_, Sandbox>, count: u64) -> Result<(Vec<u8>,)> {
    if count > RANDOM_BYTES_MAX {
        let why = format!("it asked for {count} random bytes at once, and gets at most {RANDOM_BYTES_MAX}");
        return Err(Stop::Limit(why).into());
    }
    let moment = &mut store.data_mut().moment;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < count {
        bytes.extend(moment.random().to_le_bytes());
    }
    bytes.truncate(usize::try_from(count).unwrap_or_default());
    Ok((bytes,))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_second_preview_is_wasi_here() {
        assert!(is_wasi("wasi:cli/environment@0.2.3"));
        for other in ["wasi:cli/environment@0.3.0", "wasi:cli/environment", "signalbox:strategy/log@1.0.0"] {
            assert!(!is_wasi(other), "{other}");
        }
    }

    #[test]
    fn randomness_follows_from_where_it_began() {
        let mut one = Moment { now: UnixMillis(1), random: 7 };
        let mut other = one;
        let drawn: Vec<u64> = (0..3).map(|_| one.random()).collect();
        assert_eq!(drawn, (0..3).map(|_| other.random()).collect::<Vec<_>>());
        assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2]);
    }
}
