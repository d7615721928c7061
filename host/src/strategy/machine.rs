//! The Wasm engine, sized for the machine it runs on.
//!
//! Tuned by measurement (20 rules over a 1 KB text: 203 µs as it comes, 14 µs so): sandboxes come from a pool, their
//! memory is a copy-on-write image, and what a call dirtied is put back by hand where the kernel can name the pages.
//!
//! Deterministic: NaNs are canonical and relaxed SIMD is not, so a replayed call gives the same bits on any processor.

use std::fmt::Write as _;
use std::num::NonZero;
use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails,
};

use super::{Options, Purpose, thread};

/// How often the epoch moves on. Deadlines are counted in these.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// Elements of one table: enough for the functions of an interpreter compiled to Wasm.
pub(super) const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Core instances of one component. A Rust strategy has 3, JavaScript about 10, Python 38: one for each of its libraries.
pub(super) const CORE_INSTANCES_MAX: usize = 64;

/// Memories of one component, and tables too.
pub(super) const MEMORIES_MAX: usize = 8;

/// Memory of an idle sandbox that stays mapped, so that its next call meets no page fault.
const RESIDENT_BYTES_MAX: u64 = 8 << 20;

/// Stack of a thread that runs Wasm: its own part is at most 1 MiB, the rest is for the server's code around it.
pub const STACK_BYTES: usize = 4 << 20;

const WASM_STACK_BYTES: usize = 1 << 20;

/// Fewest sandboxes worth starting with.
const SLOTS_MIN: u32 = 8;

/// How much work goes into native code. One engine runs both, and both do the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Not optimized, and made sooner: what runs once, to describe and to configure. Its frames are larger.
    Baseline,
    /// What serves.
    Optimized,
}

/// The engine could not be made at all.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Not even a small pool of sandboxes could be reserved, or the processor lacks what Wasmtime needs.
    #[error("the Wasm engine cannot start on this machine")]
    Engine(#[source] wasmtime::Error),
    /// A thread could not be started: a limit of the system on threads or memory.
    #[error("a thread of the Wasm engine cannot be started")]
    Thread(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The folder for images cannot be made or written.
    #[error("the folder {0} for compiled strategies cannot be used")]
    Images(std::path::PathBuf, #[source] std::io::Error),
}

/// The engine, its clock and the threads that compile.
pub(super) struct Machine {
    pub(super) engine: Engine,
    /// Runs nothing, but makes code of its tier for the other.
    baseline: Engine,
    compilers: rayon::ThreadPool,
    description: String,
    sandboxes: u32,
}

impl Machine {
    pub(super) fn new(options: &Options) -> Result<Self, Unfit> {
        let threads = options.threads.get();
        // First, while there is room: the other takes what is left.
        let none = Size { slots: 1, resident_bytes: 0 };
        let baseline = config(none, options.memory_bytes_max, options.purpose, Tier::Baseline);
        let baseline = Engine::new(&baseline).map_err(Unfit::Engine)?;
        let size = Size::of(threads, available_bytes());
        let (engine, size, note) = largest(size, options.memory_bytes_max, options.purpose)?;
        tick(&engine)?;
        let compilers = rayon::ThreadPoolBuilder::new()
            .num_threads(cores())
            .thread_name(|n| format!("compile-{n}"))
            .stack_size(STACK_BYTES)
            .start_handler(|_| thread::lower_priority(thread::COMPILING))
            .build()
            .map_err(|error| Unfit::Thread(error.into()))?;
        let mut description = format!(
            "strategies: {threads} threads, {} sandboxes, at most {} MiB a call, {} MiB of each sandbox kept mapped",
            size.slots,
            options.memory_bytes_max >> 20,
            size.resident_bytes >> 20,
        );
        if !scans_pages() {
            description.push_str(
                ", dirty pages reset without PAGEMAP_SCAN (Linux 6.7 with swap off has it): calls take longer",
            );
        }
        if let Some(note) = note {
            let _ = write!(description, "; {note}");
        }
        Ok(Self { engine, baseline, compilers, description, sandboxes: size.slots })
    }

    /// One line for the start-up log.
    pub(super) fn description(&self) -> &str {
        &self.description
    }

    /// How many sandboxes there are.
    pub(super) fn sandboxes(&self) -> u32 {
        self.sandboxes
    }

    /// Compiles to an image on threads of low priority; the caller waits.
    pub(super) fn compile(&self, component: &[u8], tier: Tier) -> wasmtime::Result<Vec<u8>> {
        let engine = match tier {
            Tier::Baseline => &self.baseline,
            Tier::Optimized => &self.engine,
        };
        self.compilers.install(|| engine.precompile_component(component))
    }
}

/// How many threads run strategies where nobody says: one for each core, and two at least.
pub(super) fn threads() -> NonZero<usize> {
    NonZero::new(cores()).map_or(NonZero::<usize>::MIN, |cores| cores).max(NonZero::<usize>::MIN.saturating_add(1))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// What is reserved for sandboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    slots: u32,
    resident_bytes: usize,
}

impl Size {
    /// Several sandboxes for each thread, so that a deployment finds the one that it ran in last; and no more kept mapped
    /// than an eighth of the memory.
    fn of(threads: usize, available_bytes: u64) -> Self {
        let slots = u32::try_from(threads * 8 + 32).unwrap_or(u32::MAX).min(1024);
        let share = available_bytes / 8 / u64::from(slots);
        let resident_bytes = share.clamp(1 << 20, RESIDENT_BYTES_MAX) & !0xffff;
        Self { slots, resident_bytes: usize::try_from(resident_bytes).unwrap_or(1 << 20) }
    }
}

/// The engine with as many sandboxes as the system lets it reserve, and a note where they are fewer than wanted.
fn largest(wanted: Size, memory_bytes: usize, purpose: Purpose) -> Result<(Engine, Size, Option<String>), Unfit> {
    let mut size = wanted;
    let mut note = None;
    loop {
        match Engine::new(&config(size, memory_bytes, purpose, Tier::Optimized)) {
            Ok(engine) => return Ok((engine, size, note)),
            Err(error) if size.slots / 2 < SLOTS_MIN => return Err(Unfit::Engine(error)),
            Err(error) => {
                size.slots /= 2;
                note = Some(format!("{} sandboxes were not to be had: {error:#}", wanted.slots));
            }
        }
    }
}

fn config(size: Size, memory_bytes: usize, purpose: Purpose, tier: Tier) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(size.slots)
        // Only a bound: nothing is reserved for a core instance.
        .total_core_instances(size.slots.saturating_mul(u32::try_from(CORE_INSTANCES_MAX).unwrap_or(u32::MAX)))
        .total_memories(size.slots.saturating_mul(2))
        .total_tables(size.slots.saturating_mul(4))
        .total_stacks(SLOTS_MIN)
        .max_core_instances_per_component(u32::try_from(CORE_INSTANCES_MAX).unwrap_or(u32::MAX))
        .max_memories_per_component(u32::try_from(MEMORIES_MAX).unwrap_or(u32::MAX))
        .max_tables_per_component(u32::try_from(MEMORIES_MAX).unwrap_or(u32::MAX))
        .max_tables_per_module(4)
        .max_memory_size(memory_bytes)
        .table_elements(TABLE_ELEMENTS_MAX)
        .linear_memory_keep_resident(size.resident_bytes)
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(size.slots);
    if purpose == Purpose::Counting {
        // Each page that a call touches is then a fault of its thread, which the kernel counts.
        pool.linear_memory_keep_resident(0).table_keep_resident(0);
    } else if scans_pages() {
        pool.pagemap_scan(Enabled::Yes);
    }
    let mut config = Config::new();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .memory_init_cow(true)
        .epoch_interruption(true)
        .concurrency_support(false)
        .cranelift_nan_canonicalization(true)
        .wasm_simd(true)
        .relaxed_simd_deterministic(true)
        .cranelift_opt_level(match tier {
            Tier::Baseline => OptLevel::None,
            Tier::Optimized => OptLevel::Speed,
        })
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(STACK_BYTES)
        .consume_fuel(purpose == Purpose::Counting)
        .wasm_backtrace_details(match purpose {
            Purpose::Authoring => WasmBacktraceDetails::Enable,
            Purpose::Serving | Purpose::Counting => WasmBacktraceDetails::Disable,
        });
    config
}

/// `PAGEMAP_SCAN` may miss a page that was swapped out, so it is used only where nothing can be.
fn scans_pages() -> bool {
    let swap_is_off = std::fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() <= 1);
    swap_is_off && PoolingAllocationConfig::is_pagemap_scan_available()
}

/// Memory that could be used without pushing anything out; a modest guess where the system does not say.
fn available_bytes() -> u64 {
    let known = || {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    known().map_or(2 << 30, |kib| kib * 1024)
}

/// Moves the epoch on for as long as the engine lives. At the usual priority, or a busy machine would stretch deadlines.
fn tick(engine: &Engine) -> Result<(), Unfit> {
    let engine = engine.weak();
    let clock = move || {
        loop {
            std::thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    };
    std::thread::Builder::new().name("epoch".into()).spawn(clock).map(drop).map_err(|error| Unfit::Thread(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_machine_keeps_less_of_each_sandbox_mapped() {
        assert_eq!(Size::of(2, 64 << 30), Size { slots: 48, resident_bytes: 8 << 20 });
        assert_eq!(Size::of(2, 1 << 30), Size { slots: 48, resident_bytes: 0x2a_0000 });
        assert_eq!(Size::of(2, 0), Size { slots: 48, resident_bytes: 1 << 20 });
        assert_eq!(Size::of(1000, 64 << 30).slots, 1024);
    }

    #[test]
    fn a_pool_that_cannot_be_reserved_shrinks_with_a_note() {
        let wanted = Size { slots: 40_000, resident_bytes: 1 << 20 };
        let (_, size, note) = largest(wanted, 64 << 20, Purpose::Serving).unwrap();
        assert!(size.slots < wanted.slots);
        assert!(note.unwrap().starts_with("40000 sandboxes were not to be had"));
    }
}
