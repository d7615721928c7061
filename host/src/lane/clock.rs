//! The clock of a lane: the time of day, but never back.
//!
//! Where the time of day is set back, the lane's goes on at half speed until the two meet: nothing that is due stays undone.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use signalbox_engine::UnixMillis;

#[derive(Debug)]
pub(super) struct Clock {
    now: UnixMillis,
    /// When it was `now`.
    at: Instant,
}

/// What the system's clock shows.
pub(super) fn time_of_day() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Clock {
    /// One that is not behind a moment.
    pub(super) fn new(now: UnixMillis) -> Self {
        Self { now, at: Instant::now() }
    }

    /// What it is now.
    pub(super) fn read(&mut self) -> UnixMillis {
        self.advance(time_of_day(), Instant::now())
    }

    fn advance(&mut self, time_of_day: UnixMillis, at: Instant) -> UnixMillis {
        if time_of_day >= self.now {
            (self.now, self.at) = (time_of_day, at);
        } else {
            let gone = u64::try_from(at.saturating_duration_since(self.at).as_millis()).unwrap_or(u64::MAX) / 2;
            self.now = self.now.plus(gone);
            self.at += Duration::from_millis(gone) * 2;
        }
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_goes_on_at_half_speed_until_it_is_right() {
        let mut clock = Clock::new(UnixMillis(0));
        let start = clock.at;
        let mut read = |time_of_day, ms| clock.advance(UnixMillis(time_of_day), start + Duration::from_millis(ms)).0;
        assert_eq!(read(10_000, 0), 10_000);
        assert_eq!(read(10_100, 100), 10_100);
        assert_eq!(read(5_100, 101), 10_100);
        assert_eq!(read(5_102, 103), 10_101);
        assert_eq!(read(5_103, 104), 10_102);
        assert_eq!(read(9_999, 5_000), 12_550);
        assert_eq!(read(14_999, 10_000), 14_999);
    }
}
