//! What the operating system is asked about threads and processes: a lower priority, processor time used and allowed,
//! memory.
//!
//! The only calls of libc in `strategy`. Threads that run or compile strategies burn processor time; at the priority of
//! the thread that commits they would make every commit wait for the scheduler's tick.

use std::time::Duration;

/// How much nicer than the rest a thread is that runs quick strategies.
pub(super) const CALLING: i32 = 5;

/// The same for slow ones. Less would be left of a busy machine than their deadline by the clock on the wall allows for.
pub(super) const CALLING_SLOW: i32 = 10;

/// How much nicer than the rest a thread is that compiles strategies.
pub(super) const COMPILING: i32 = 15;

/// How much nicer than the rest a thread is that makes recorded decisions again.
pub const REPLAYING: i32 = 19;

/// Turn of such a thread while another waits for its core. By default it is as long as that of every thread, 1.4 ms on 2
/// cores and 2.8 ms on 8, and what is woken meanwhile, such as the thread that commits, waits for its end whatever its
/// priority is. A thread with short turns is also let in sooner when it wakes, as far as its share allows. 100 µs is the
/// shortest that Linux takes.
const TURN: Duration = Duration::from_micros(100);

/// Lowers the priority of the calling thread, for good, and shortens its turns. Where the system refuses, the thread goes on
/// as it was.
pub fn lower_priority(nice: i32) {
    // SAFETY: `getpriority` takes plain numbers. On Linux, "process 0" is the calling thread alone.
    let standing = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    // SAFETY: all of it is plain numbers, for which zero is a value.
    let mut wanted: libc::sched_attr = unsafe { std::mem::zeroed() };
    wanted.size = u32::try_from(size_of::<libc::sched_attr>()).unwrap_or(u32::MAX);
    wanted.sched_flags = libc::SCHED_FLAG_KEEP_POLICY.unsigned_abs().into();
    // A server that was started with a still lower priority keeps that: none may raise its own.
    wanted.sched_nice = nice.max(standing);
    // Taken for the length of a turn from Linux 6.12 on, and for nothing before (sched_setattr(2)).
    wanted.sched_runtime = u64::try_from(TURN.as_nanos()).unwrap_or(u64::MAX);
    // SAFETY: the pointer is to a live `sched_attr` of this frame that says its own size; the call reads it and nothing
    // else. "Process 0" is the calling thread, and there are no flags.
    let refused = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) } != 0;
    // A sandbox around the server may know the older call alone.
    // SAFETY: as `getpriority`.
    if refused && unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, wanted.sched_nice) } != 0 {
        tracing::debug!(nice, error = %std::io::Error::last_os_error(), "the thread keeps its priority and its turns");
    }
}

/// Processor time that the calling thread has used since it began.
pub(super) fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live, writable `timespec` of this frame, and the call writes no more than that.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } != 0;
    assert!(!failed, "the system has no clock of the thread's processor time");
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Ends this process by `SIGXCPU`, without a core file, once all its threads together have used so much processor time.
pub(super) fn limit_processor_time(time: Duration) -> std::io::Result<()> {
    let set = |resource, amount, most| {
        let limit = libc::rlimit { rlim_cur: amount, rlim_max: most };
        // SAFETY: the pointer is to a live `rlimit` of this frame, which the call reads and nothing else.
        if unsafe { libc::setrlimit(resource, &raw const limit) } == 0 {
            Ok(())
        } else {
            Err(std::io::Error::last_os_error())
        }
    };
    set(libc::RLIMIT_CORE, 0, 0)?;
    let seconds = time.as_secs().max(1);
    // The hard limit ends it without a word that says why, so it comes later.
    set(libc::RLIMIT_CPU, seconds, seconds + 1)
}

/// Memory of a process that is in use now; 0 where the system does not say.
pub(super) fn resident_bytes(process: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    let pages = statm.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * PAGE_BYTES
}

/// Bytes of a page of memory, as the kernel counts page faults.
pub(super) const PAGE_BYTES: u64 = 4096;

/// Pages that the kernel has brought in for the calling thread since it began; 0 where the system does not say.
pub(super) fn page_faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    // The name of the thread, in brackets, may hold spaces; `minflt` is the eighth field behind it (proc(5)).
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    fields.split_ascii_whitespace().nth(7).and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_thread_that_lowers_its_priority_has_it_and_never_raises_it() {
        let nice = |wanted: i32| {
            super::lower_priority(wanted);
            // SAFETY: plain numbers.
            unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
        };
        let standing = nice(0);
        assert_eq!(nice(standing.max(7)), standing.max(7));
        assert_eq!(nice(3), standing.max(7));
    }

    #[test]
    fn processor_time_goes_forward_while_the_thread_works() {
        let before = super::processor_time();
        let mut sum = 0_u64;
        for n in 0..3_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(n));
        }
        assert!(super::processor_time() > before, "{sum}");
    }
}
