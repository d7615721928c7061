//! Moments in words: what the clock on a calendar's wall shows, as the moment that is meant by it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use serde::{Deserialize, Serialize};

use super::{Calendar, Weekday};
use crate::id::UnixMillis;

/// What the clock on the wall shows, in the parts that a program asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// The time zone, as the calendar names it.
    pub time_zone: String,
    /// What it is ahead of UTC, in minutes.
    pub offset_minutes: i16,
    /// 1970 to 9999.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// Of that date.
    pub weekday: Weekday,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

/// Why a text says no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MomentError {
    /// Not a date and a time.
    #[error("`{0}` is no moment: write it as `2026-03-29T14:30`, or with its offset as `2026-03-29T14:30:00+02:00`")]
    Malformed(String),
    /// The clock jumps over it.
    #[error("`{wall}` does not exist in {zone}: the clock is put forward over it")]
    Skipped {
        /// The text.
        wall: String,
        /// The time zone.
        zone: String,
    },
    /// The clock shows it twice.
    #[error("`{wall}` comes twice in {zone}, for the clock is put back: write {earlier} or {later}")]
    Twice {
        /// The text.
        wall: String,
        /// The time zone.
        zone: String,
        /// The first time.
        earlier: Timestamp,
        /// The second time.
        later: Timestamp,
    },
    /// Before 1970.
    #[error("`{0}` is before 1970")]
    TooEarly(String),
}

impl Calendar {
    /// What the clock of the time zone shows at a moment, in parts; none beyond the year 9999.
    #[must_use]
    pub fn clock(&self, at: UnixMillis) -> Option<ClockReading> {
        let at = super::timestamp(at)?.to_zoned(self.zone.clone());
        Some(ClockReading {
            time_zone: self.time_zone.clone(),
            offset_minutes: i16::try_from(at.offset().seconds() / 60).ok()?,
            year: u16::try_from(at.year()).ok()?,
            month: at.month().unsigned_abs(),
            day: at.day().unsigned_abs(),
            weekday: at.weekday().into(),
            hour: at.hour().unsigned_abs(),
            minute: at.minute().unsigned_abs(),
        })
    }

    /// What the clock of the time zone shows at a moment, with its offset: `2026-03-29T14:30:00+02:00`.
    #[must_use]
    pub fn shown(&self, at: UnixMillis) -> Option<String> {
        let at = super::timestamp(at)?.to_zoned(self.zone.clone());
        Some(at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
    }

    /// The moment that a text means: with an offset exactly that one, and without what the clock of the time zone shows.
    ///
    /// # Errors
    /// [`MomentError`], a case for each cause; a time that the clock leaves out or shows twice is never guessed at.
    pub fn moment(&self, text: &str) -> Result<UnixMillis, MomentError> {
        let shown = || text.chars().take(80).collect::<String>();
        let at = match text.parse::<Timestamp>() {
            Ok(at) => at,
            Err(_) => {
                let wall: DateTime = text.parse().map_err(|_| MomentError::Malformed(shown()))?;
                let at = self.zone.to_ambiguous_timestamp(wall);
                let zone = || self.time_zone.clone();
                match at.offset() {
                    AmbiguousOffset::Unambiguous { .. } => {}
                    AmbiguousOffset::Gap { .. } => {
                        return Err(MomentError::Skipped { wall: shown(), zone: zone() });
                    }
                    AmbiguousOffset::Fold { .. } => {
                        if let (Ok(earlier), Ok(later)) = (at.earlier(), at.later()) {
                            return Err(MomentError::Twice { wall: shown(), zone: zone(), earlier, later });
                        }
                    }
                }
                at.unambiguous().map_err(|_| MomentError::Malformed(shown()))?
            }
        };
        let ms = u64::try_from(at.as_millisecond()).map_err(|_| MomentError::TooEarly(shown()))?;
        Ok(UnixMillis(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_shows_what_hangs_on_the_wall_there() {
        let table = [
            ("Europe/Berlin", "2026-07-01T22:30:00Z", "Europe/Berlin 2026-7-2 Thu 0:30 +120"),
            // The hour that comes twice.
            ("Europe/Berlin", "2026-10-25T00:30:00Z", "Europe/Berlin 2026-10-25 Sun 2:30 +120"),
            ("Europe/Berlin", "2026-10-25T01:30:00Z", "Europe/Berlin 2026-10-25 Sun 2:30 +60"),
            ("America/St_Johns", "2026-01-01T00:00:00Z", "America/St_Johns 2025-12-31 Wed 20:30 -210"),
            ("UTC", "1970-01-01T00:00:00Z", "UTC 1970-1-1 Thu 0:0 +0"),
        ];
        for (zone, at, expected) in table {
            let calendar: Calendar = serde_json::from_str(&format!(r#"{{"time_zone": "{zone}"}}"#)).unwrap();
            let ClockReading { time_zone, offset_minutes, year, month, day, weekday, hour, minute } =
                calendar.clock(calendar.moment(at).unwrap()).unwrap();
            let shown = format!("{time_zone} {year}-{month}-{day} {weekday:?} {hour}:{minute} {offset_minutes:+}");
            assert_eq!(shown, expected, "{at}");
        }
        let utc: Calendar = serde_json::from_str(r#"{"time_zone": "UTC"}"#).unwrap();
        assert_eq!(utc.clock(UnixMillis(u64::MAX)), None);
    }

    #[test]
    fn a_text_means_one_moment_or_is_refused() {
        let table = [
            ("Europe/Berlin", "2026-07-01T09:30", "2026-07-01T07:30:00Z"),
            ("Europe/Berlin", "2026-01-15T09:30:15", "2026-01-15T08:30:15Z"),
            ("Europe/Berlin", "2026-07-01T09:30:00Z", "2026-07-01T09:30:00Z"),
            ("Europe/Berlin", "2026-07-01T09:30:00-05:00", "2026-07-01T14:30:00Z"),
            // From 02:00 to 03:00.
            ("Europe/Berlin", "2026-03-29T01:59", "2026-03-29T00:59:00Z"),
            ("Europe/Berlin", "2026-03-29T02:30", "skipped"),
            ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00:00Z"),
            // From 03:00 back to 02:00.
            ("Europe/Berlin", "2026-10-25T02:30", "twice"),
            ("Europe/Berlin", "2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00Z"),
            ("Europe/Berlin", "2026-10-25T02:30:00+01:00", "2026-10-25T01:30:00Z"),
            ("America/New_York", "2026-03-08T02:30", "skipped"),
            ("Australia/Lord_Howe", "2026-10-04T02:15", "skipped"),
            ("Pacific/Apia", "2011-12-30T12:00", "skipped"),
            ("UTC", "2026-03-29T02:30", "2026-03-29T02:30:00Z"),
            ("UTC", "2026-03-29", "2026-03-29T00:00:00Z"),
            ("UTC", "tomorrow", "malformed"),
            ("UTC", "2026-13-01T00:00", "malformed"),
            ("UTC", "1969-12-31T23:59:59Z", "too early"),
        ];
        for (zone, text, expected) in table {
            let calendar: Calendar = serde_json::from_str(&format!(r#"{{"time_zone": "{zone}"}}"#)).unwrap();
            let found = match calendar.moment(text) {
                Ok(at) => Timestamp::from_millisecond(i64::try_from(at.0).unwrap()).unwrap().to_string(),
                Err(MomentError::Malformed(_)) => "malformed".into(),
                Err(MomentError::Skipped { .. }) => "skipped".into(),
                Err(MomentError::Twice { .. }) => "twice".into(),
                Err(MomentError::TooEarly(_)) => "too early".into(),
            };
            assert_eq!(found, expected, "{text} in {zone}");
        }
        let office: Calendar = serde_json::from_str(r#"{"time_zone": "Europe/Berlin"}"#).unwrap();
        for at in ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"] {
            assert_eq!(office.shown(office.moment(at).unwrap()).unwrap(), at);
        }
        let twice: Calendar = serde_json::from_str(r#"{"time_zone": "Europe/Berlin"}"#).unwrap();
        let sentence = twice.moment("2026-10-25T02:30").unwrap_err().to_string();
        assert!(sentence.ends_with("write 2026-10-25T00:30:00Z or 2026-10-25T01:30:00Z"), "{sentence}");
    }
}
