//! How many files the process may have open. A connection is one, and so is each file of the store: where connections
//! took all, commits would fail.
//!
//! The only calls of libc in `http`.

/// Files that the process may have open now.
pub(super) fn open_files_max() -> usize {
    limit().map_or(1024, |limit| usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

/// Lets the process open as many files as the system allows it; the shell's own bound is often low.
pub fn raise_open_files() {
    let Some(limit) = limit().filter(|limit| limit.rlim_cur < limit.rlim_max) else { return };
    let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
    // SAFETY: the pointer is to a live `rlimit` of this frame, which the call only reads.
    let failed = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } != 0;
    if failed {
        tracing::debug!(error = %std::io::Error::last_os_error(), "the bound on open files stays as it is");
    }
}

fn limit() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live, writable `rlimit` of this frame, and the call writes no more than that.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0;
    (!failed).then_some(limit)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_bound_on_open_files_is_never_lowered() {
        let before = super::open_files_max();
        super::raise_open_files();
        assert!(super::open_files_max() >= before && before > 0);
    }
}
