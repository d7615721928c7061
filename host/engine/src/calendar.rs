//! Opening hours in a time zone.
//!
//! Hours are wall-clock times: what the clock on the office wall shows decides. So when clocks go back, the hour that
//! comes twice is open both times, and when they go forward, the hour that is left out is not missed.
//!
//! Time zones come from the database that is compiled in. No file and no clock of the machine is ever read.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, ToSpan};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::id::UnixMillis;

/// How far ahead [`Calendar::next_opening`] looks, in days.
const DAYS_AHEAD: i64 = 400;
/// Most entries of `weekly`, and most hours of one exception.
const HOURS_MAX: usize = 100;
/// Most exceptions.
const EXCEPTIONS_MAX: usize = 2000;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Opening hours in a time zone. What is made is valid: there is no other way to one than [`Calendar::new`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Raw")]
pub struct Calendar {
    time_zone: String,
    weekly: Vec<Hours>,
    exceptions: Vec<Exception>,
    /// Looked up once.
    #[serde(skip)]
    #[schema(ignore)]
    zone: TimeZone,
}

/// Hours that come every week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The days on which they begin.
    pub days: Vec<Weekday>,
    /// From this time on.
    #[schema(value_type = String, example = "09:00")]
    pub from: TimeOfDay,
    /// Up to and without this time, `24:00` at the latest. Not later than `from`: on the day after.
    #[schema(value_type = String, example = "17:30")]
    pub to: TimeOfDay,
}

/// A date with hours of its own, such as a holiday. They take the place of the weekly hours that begin on that date;
/// what began the evening before goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The date.
    #[schema(value_type = String, format = Date)]
    pub date: Date,
    /// None: closed.
    pub hours: Vec<ExceptionHours>,
}

/// Hours on one date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExceptionHours {
    /// From this time on.
    #[schema(value_type = String, example = "09:00")]
    pub from: TimeOfDay,
    /// Up to and without this time, `24:00` at the latest. Not later than `from`: on the day after.
    #[schema(value_type = String, example = "12:00")]
    pub to: TimeOfDay,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// Minutes since midnight on the wall clock, 0 to 1440; `HH:MM` in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

/// Why opening hours were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The time zone database has no such name.
    #[error("there is no time zone `{0}`: take a name such as `Europe/Berlin` or `UTC`")]
    TimeZoneUnknown(String),
    /// Not `HH:MM`.
    #[error("`{0}` is no time of day: write it as `09:00`, from `00:00` to `24:00`")]
    TimeOfDay(String),
    /// `from` and `to` are the same.
    #[error("hours from {0} to {0} are empty: a whole day is from 00:00 to 24:00")]
    HoursEmpty(TimeOfDay),
    /// `from` is 24:00.
    #[error("hours cannot begin at 24:00: begin at 00:00 on the day after")]
    HoursBeginTooLate,
    /// Weekly hours on no day.
    #[error("weekly hours from {0} name no day")]
    DaysMissing(TimeOfDay),
    /// Two exceptions for one date.
    #[error("{0} has two exceptions: put their hours into one")]
    DateDoubled(Date),
    /// Too many entries.
    #[error(
        "a calendar has at most {HOURS_MAX} weekly hours, {EXCEPTIONS_MAX} exceptions and {HOURS_MAX} hours in each"
    )]
    TooMany,
}

/// A calendar as it is put, before it is checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    time_zone: String,
    #[serde(default)]
    weekly: Vec<Hours>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

impl TryFrom<Raw> for Calendar {
    type Error = CalendarError;

    fn try_from(raw: Raw) -> Result<Self, CalendarError> {
        Self::new(raw.time_zone, raw.weekly, raw.exceptions)
    }
}

impl Calendar {
    /// A calendar of these hours. Exceptions are put in the order of their dates.
    ///
    /// # Errors
    /// [`CalendarError`], a case for each cause.
    pub fn new(
        time_zone: String,
        weekly: Vec<Hours>,
        mut exceptions: Vec<Exception>,
    ) -> Result<Self, CalendarError> {
        let unknown = || CalendarError::TimeZoneUnknown(time_zone.chars().take(80).collect());
        let zone = ZONES.get(&time_zone).map_err(|_| unknown())?;
        let crowded = exceptions.iter().any(|exception| exception.hours.len() > HOURS_MAX);
        if weekly.len() > HOURS_MAX || exceptions.len() > EXCEPTIONS_MAX || crowded {
            return Err(CalendarError::TooMany);
        }
        for hours in &weekly {
            check(hours.from, hours.to)?;
            if hours.days.is_empty() {
                return Err(CalendarError::DaysMissing(hours.from));
            }
        }
        for hours in exceptions.iter().flat_map(|exception| &exception.hours) {
            check(hours.from, hours.to)?;
        }
        exceptions.sort_by_key(|exception| exception.date);
        if let Some(pair) = exceptions.windows(2).find(|pair| pair[0].date == pair[1].date) {
            return Err(CalendarError::DateDoubled(pair[0].date));
        }
        Ok(Self { time_zone, weekly, exceptions, zone })
    }

    /// Name of the time zone, as it was put.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        &self.time_zone
    }

    /// Whether it is open at that moment. Closed beyond the year 9999.
    #[must_use]
    pub fn is_open(&self, at: UnixMillis) -> bool {
        timestamp(at).is_some_and(|at| self.is_open_at(at))
    }

    /// The first moment at or after `after` when it is open; none where it does not open within 400 days.
    #[must_use]
    pub fn next_opening(&self, after: UnixMillis) -> Option<UnixMillis> {
        let start = timestamp(after)?;
        if self.is_open_at(start) {
            return Some(after);
        }
        let end = start.checked_add(Span::new().hours(24 * DAYS_AHEAD)).unwrap_or(Timestamp::MAX);
        // It opens where hours begin, or where the clock is put to a time that lies within hours.
        let opens = |at: &Timestamp| (start..=end).contains(at) && self.is_open_at(*at);
        let shifted =
            self.zone.following(start).map(|t| t.timestamp()).take_while(|at| *at <= end).find(&opens);
        let first_day = self.zone.to_datetime(start).date();
        let mut begun: Option<(Date, Timestamp)> = None;
        for day in first_day.series(1.day()).take_while(|day| {
            first_day.until(*day).is_ok_and(|span| i64::from(span.get_days()) <= DAYS_AHEAD + 1)
        }) {
            // A day more, for where the clock goes back over midnight a date's hours can lie before the day before's.
            if begun.is_some_and(|(found_on, _)| found_on.tomorrow().is_ok_and(|last| day > last)) {
                break;
            }
            let earliest = self.spans(day).flat_map(|(from, _)| self.moments(day, from)).filter(&opens).min();
            begun = match (begun, earliest) {
                (Some((on, found)), Some(other)) => Some((on, found.min(other))),
                (None, Some(found)) => Some((day, found)),
                (known, None) => known,
            };
        }
        let first = [shifted, begun.map(|(_, at)| at)].into_iter().flatten().min()?;
        u64::try_from(first.as_millisecond()).ok().map(UnixMillis)
    }

    fn is_open_at(&self, at: Timestamp) -> bool {
        let now = self.zone.to_datetime(at);
        let minute = minute_of(now);
        let today =
            self.spans(now.date()).any(|(from, to)| minute >= from.0 && (to <= from || minute < to.0));
        today
            || now
                .date()
                .yesterday()
                .is_ok_and(|yesterday| self.spans(yesterday).any(|(from, to)| to <= from && minute < to.0))
    }

    /// Hours that begin on a date, from when to when.
    fn spans(&self, date: Date) -> impl Iterator<Item = (TimeOfDay, TimeOfDay)> + '_ {
        let exception = self.exceptions.binary_search_by_key(&date, |exception| exception.date).ok();
        let exception = exception.map(|i| &self.exceptions[i]);
        let weekday = Weekday::from(date.weekday());
        let weekly =
            self.weekly.iter().filter(move |hours| exception.is_none() && hours.days.contains(&weekday));
        weekly
            .map(|hours| (hours.from, hours.to))
            .chain(exception.into_iter().flat_map(|e| &e.hours).map(|hours| (hours.from, hours.to)))
    }

    /// When the clock shows this time on this date: once, or twice where it goes back. Where it jumps over the time, what
    /// is given is of no matter, for the jump itself is looked at.
    fn moments(&self, date: Date, time: TimeOfDay) -> impl Iterator<Item = Timestamp> + use<> {
        let (hour, minute) = (i8::try_from(time.0 / 60), i8::try_from(time.0 % 60));
        let wall = match (hour, minute) {
            (Ok(hour), Ok(minute)) if hour < 24 => Some(date.at(hour, minute, 0, 0)),
            _ => None,
        };
        let zone = self.zone.clone();
        wall.into_iter().flat_map(move |wall| {
            let at = zone.to_ambiguous_timestamp(wall);
            [at.earlier().ok(), at.later().ok()].into_iter().flatten()
        })
    }
}

fn check(from: TimeOfDay, to: TimeOfDay) -> Result<(), CalendarError> {
    if from == to {
        Err(CalendarError::HoursEmpty(from))
    } else if from == TimeOfDay::MIDNIGHT {
        Err(CalendarError::HoursBeginTooLate)
    } else {
        Ok(())
    }
}

fn timestamp(at: UnixMillis) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()
}

fn minute_of(at: DateTime) -> u16 {
    u16::from(at.hour().unsigned_abs()) * 60 + u16::from(at.minute().unsigned_abs())
}

impl TimeOfDay {
    /// The end of the day.
    const MIDNIGHT: Self = Self(24 * 60);
}

impl FromStr for TimeOfDay {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let digits = |part: &str| {
            (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
        };
        let minutes = text.split_once(':').and_then(|(hour, minute)| {
            let (hour, minute): (u16, u16) = (digits(hour)?, digits(minute)?);
            (minute < 60 && hour * 60 + minute <= Self::MIDNIGHT.0).then_some(hour * 60 + minute)
        });
        minutes.map(Self).ok_or_else(|| CalendarError::TimeOfDay(text.chars().take(40).collect()))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl From<jiff::civil::Weekday> for Weekday {
    fn from(day: jiff::civil::Weekday) -> Self {
        use jiff::civil::Weekday as Day;
        match day {
            Day::Monday => Self::Mon,
            Day::Tuesday => Self::Tue,
            Day::Wednesday => Self::Wed,
            Day::Thursday => Self::Thu,
            Day::Friday => Self::Fri,
            Day::Saturday => Self::Sat,
            Day::Sunday => Self::Sun,
        }
    }
}
