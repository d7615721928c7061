//! Opening hours in a time zone.
//!
//! Hours are wall-clock times: what the clock on the office wall shows decides. So when clocks go back, the hour that
//! comes twice is open both times, and when they go forward, the hour that is left out is not missed.
//!
//! Time zones come from the database that is compiled in. No file and no clock of the machine is ever read.

mod moment;
mod openings;

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, ToSpan};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::id::UnixMillis;

pub use moment::{ClockReading, MomentError};
pub use openings::Opening;

/// How far ahead [`Calendar::next_opening`] looks, in days.
const DAYS_AHEAD: i64 = 400;
/// Most entries of `weekly`, and most hours of one exception.
const HOURS_MAX: usize = 100;
/// Most exceptions.
const EXCEPTIONS_MAX: usize = 2000;

pub(crate) static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

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
    pub fn new(time_zone: String, weekly: Vec<Hours>, mut exceptions: Vec<Exception>) -> Result<Self, CalendarError> {
        let unknown = || CalendarError::TimeZoneUnknown(time_zone.chars().take(80).collect());
        let zone = ZONES.get(&time_zone).ok().filter(|zone| !zone.is_unknown()).ok_or_else(unknown)?;
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
        let shifted = self.zone.following(start).map(|t| t.timestamp()).take_while(|at| *at <= end).find(&opens);
        let first_day = self.zone.to_datetime(start).date();
        let mut begun: Option<(Date, Timestamp)> = None;
        for day in first_day
            .series(1.day())
            .take_while(|day| first_day.until(*day).is_ok_and(|span| i64::from(span.get_days()) <= DAYS_AHEAD + 1))
        {
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
        let today = self.spans(now.date()).any(|(from, to)| minute >= from.0 && (to <= from || minute < to.0));
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
        let weekly = self.weekly.iter().filter(move |hours| exception.is_none() && hours.days.contains(&weekday));
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

    /// On the clock; none for the end of the day.
    pub(crate) fn time(self) -> Option<Time> {
        let (hour, minute) = (i8::try_from(self.0 / 60).ok()?, i8::try_from(self.0 % 60).ok()?);
        Time::new(hour, minute, 0, 0).ok()
    }
}

impl FromStr for TimeOfDay {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let digits =
            |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OFFICE: &str = r#"{
        "time_zone": "Europe/Berlin",
        "weekly": [
            {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "17:30"},
            {"days": ["sat"], "from": "22:00", "to": "06:00"}
        ],
        "exceptions": [
            {"date": "2026-12-25", "hours": []},
            {"date": "2026-12-24", "hours": [{"from": "09:00", "to": "12:00"}]}
        ]
    }"#;

    fn calendar(json: &str) -> Calendar {
        serde_json::from_str(json).unwrap()
    }

    fn daily(zone: &str, from: &str, to: &str) -> Calendar {
        let days = r#"["mon", "tue", "wed", "thu", "fri", "sat", "sun"]"#;
        calendar(&format!(
            r#"{{"time_zone": "{zone}", "weekly": [{{"days": {days}, "from": "{from}", "to": "{to}"}}]}}"#
        ))
    }

    fn ms(at: &str) -> UnixMillis {
        let at: Timestamp = at.parse().unwrap();
        UnixMillis(u64::try_from(at.as_millisecond()).unwrap())
    }

    fn text(at: Option<UnixMillis>) -> String {
        at.map_or("never".to_owned(), |at| timestamp(at).unwrap().to_string())
    }

    /// One line a question: `moment => open`, or `moment => closed, next opening`.
    fn table(calendar: &Calendar, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (at, expected) = line.split_once("=>").unwrap();
            let at = ms(at.trim());
            let state = if calendar.is_open(at) { "open" } else { "closed" };
            let answer = match calendar.next_opening(at) {
                Some(next) if next == at => state.to_owned(),
                next => format!("{state}, {}", text(next)),
            };
            assert_eq!(answer, expected.trim(), "{line}");
        }
    }

    #[test]
    fn opening_hours_follow_the_week_and_its_exceptions() {
        table(
            &calendar(OFFICE),
            "
            2026-11-20T07:59:59.999Z => closed, 2026-11-20T08:00:00Z
            2026-11-20T08:00:00Z     => open
            2026-11-20T16:29:59.999Z => open
            2026-11-20T16:30:00Z     => closed, 2026-11-21T21:00:00Z
            2026-11-21T12:00:00Z     => closed, 2026-11-21T21:00:00Z
            2026-11-22T00:00:00Z     => open
            2026-11-22T04:59:59.999Z => open
            2026-11-22T05:00:00Z     => closed, 2026-11-23T08:00:00Z
            2026-12-24T10:59:00Z     => open
            2026-12-24T11:00:00Z     => closed, 2026-12-26T21:00:00Z
            2026-12-25T10:00:00Z     => closed, 2026-12-26T21:00:00Z
            ",
        );
    }

    #[test]
    fn hours_may_end_at_midnight() {
        let always = daily("Asia/Kathmandu", "00:00", "24:00");
        table(
            &always,
            "
            2026-11-20T18:14:59.999Z => open
            2026-11-20T18:15:00Z     => open
            ",
        );
        table(
            &daily("UTC", "22:00", "00:00"),
            "
            2026-11-20T23:59:59Z => open
            2026-11-21T00:00:00Z => closed, 2026-11-21T22:00:00Z
            ",
        );
    }

    #[test]
    fn hours_within_the_hour_that_is_left_out_begin_when_the_clock_has_jumped() {
        // On 2026-03-29 in Berlin, 02:00 is followed by 03:00, at 01:00 UTC.
        table(
            &daily("Europe/Berlin", "02:30", "04:00"),
            "
            2026-03-29T00:59:59.999Z => closed, 2026-03-29T01:00:00Z
            2026-03-29T01:59:59Z     => open
            2026-03-29T02:00:00Z     => closed, 2026-03-30T00:30:00Z
            ",
        );
        table(&daily("Europe/Berlin", "02:15", "02:45"), "2026-03-29T00:30:00Z => closed, 2026-03-30T00:15:00Z");
    }

    #[test]
    fn hours_within_the_hour_that_comes_twice_come_twice() {
        // On 2026-10-25 in Berlin, 03:00 is followed by 02:00, at 01:00 UTC.
        table(
            &daily("Europe/Berlin", "02:15", "02:45"),
            "
            2026-10-25T00:00:00Z => closed, 2026-10-25T00:15:00Z
            2026-10-25T00:45:00Z => closed, 2026-10-25T01:15:00Z
            2026-10-25T01:44:00Z => open
            2026-10-25T01:45:00Z => closed, 2026-10-26T01:15:00Z
            ",
        );
        // Closed at 02:30, and open again when the clock is put back to 02:00.
        table(&daily("Europe/Berlin", "01:00", "02:30"), "2026-10-25T00:30:00Z => closed, 2026-10-25T01:00:00Z");
    }

    #[test]
    fn a_date_that_a_zone_left_out_has_no_hours() {
        // Samoa went from 2011-12-29 to 2011-12-31, at 10:00 UTC.
        table(&daily("Pacific/Apia", "09:00", "10:00"), "2011-12-29T20:00:00Z => closed, 2011-12-30T19:00:00Z");
    }

    #[test]
    fn an_opening_beyond_400_days_is_none() {
        let far = calendar(
            r#"{"time_zone": "UTC", "exceptions": [
                {"date": "2027-12-25", "hours": [{"from": "10:00", "to": "11:00"}]}]}"#,
        );
        table(
            &far,
            "
            2026-11-20T10:00:00Z     => closed, 2027-12-25T10:00:00Z
            2026-11-20T09:59:59.999Z => closed, never
            ",
        );
        table(&calendar(r#"{"time_zone": "UTC"}"#), "2026-11-20T09:59:59Z => closed, never");
    }

    #[test]
    fn moments_beyond_the_calendar_are_closed() {
        let always = daily("UTC", "00:00", "24:00");
        for at in [u64::MAX, i64::MAX as u64, 253_402_300_800_000] {
            let at = UnixMillis(at);
            assert_eq!((always.is_open(at), always.next_opening(at)), (false, None));
        }
        let last = UnixMillis(253_402_200_000_000);
        assert_eq!(daily("UTC", "23:59", "24:00").next_opening(last), None);
        assert!(daily("Pacific/Auckland", "13:00", "14:00").is_open(UnixMillis(0)) || always.is_open(last));
    }

    #[test]
    fn bad_opening_hours_are_refused_with_a_sentence() {
        let hours = |from: &str, to: &str| {
            let hours = format!(r#"{{"days": ["mon"], "from": "{from}", "to": "{to}"}}"#);
            format!(r#"{{"time_zone": "UTC", "weekly": [{hours}]}}"#)
        };
        let zone = |zone: &str| format!(r#"{{"time_zone": "{zone}"}}"#);
        let day = r#"{"date": "2026-12-24", "hours": []}"#;
        let cases = [
            (zone("Europe/Belrin"), "there is no time zone `Europe/Belrin`"),
            (zone("Etc/Unknown"), "there is no time zone `Etc/Unknown`"),
            (zone(""), "there is no time zone ``"),
            (zone("../../etc/passwd"), "there is no time zone"),
            (hours("9:00", "17:00"), "`9:00` is no time of day"),
            (hours("09:60", "17:00"), "`09:60` is no time of day"),
            (hours("09:00", "24:01"), "`24:01` is no time of day"),
            (hours("+9:00", "17:00"), "`+9:00` is no time of day"),
            (hours("09:00", "09:00"), "hours from 09:00 to 09:00 are empty"),
            (hours("24:00", "09:00"), "hours cannot begin at 24:00"),
            (hours("09:00", "17:00").replace(r#"["mon"]"#, "[]"), "weekly hours from 09:00 name no day"),
            (format!(r#"{{"time_zone": "UTC", "exceptions": [{day}, {day}]}}"#), "2026-12-24 has two exceptions"),
            (zone("UTC\", \"weekley\": \""), "unknown field `weekley`"),
        ];
        for (json, sentence) in cases {
            let error = serde_json::from_str::<Calendar>(&json).unwrap_err().to_string();
            assert!(error.contains(sentence), "{json}: {error}");
        }
    }

    #[test]
    fn what_was_put_is_what_is_shown() {
        let shown = serde_json::to_value(calendar(OFFICE)).unwrap();
        assert_eq!(shown["time_zone"], "Europe/Berlin");
        assert_eq!(shown["weekly"][1]["to"], "06:00");
        assert_eq!(shown["exceptions"][0]["date"], "2026-12-24");
        let again: Calendar = serde_json::from_value(shown).unwrap();
        assert_eq!(again, calendar(OFFICE));
    }

    /// Zones whose clocks were changed at these moments: Lord Howe's by half an hour, Nuuk's and Cairo's at midnight,
    /// Apia's by a day.
    const CHANGES: [(&str, &str); 8] = [
        ("Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-10-25T01:00:00Z"),
        ("America/New_York", "2026-11-01T06:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
        ("America/Nuuk", "2026-10-25T01:00:00Z"),
        ("Africa/Cairo", "2026-10-29T21:00:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn answers_agree_with_a_look_at_every_minute_around_a_change_of_clocks(
            change in 0usize..CHANGES.len(),
            hours in prop::collection::vec((0u16..96, 1u16..=96, 1u8..128), 1..4),
            closed in prop::option::of(-1i64..=1),
            offset in -1500i64..=1500,
        ) {
            let (zone, at) = CHANGES[change];
            let at: Timestamp = at.parse().unwrap();
            use Weekday::{Fri, Mon, Sat, Sun, Thu, Tue, Wed};
            let all = [Mon, Tue, Wed, Thu, Fri, Sat, Sun];
            let weekly = hours.iter().filter(|(from, to, _)| from != to).map(|(from, to, days)| Hours {
                days: all.into_iter().zip(0..).filter(|(_, i)| days & (1 << i) != 0).map(|(day, _)| day).collect(),
                from: TimeOfDay(from * 15),
                to: TimeOfDay(to * 15),
            }).collect();
            let clock = ZONES.get(zone).unwrap();
            let date = clock.to_datetime(at).date();
            let exceptions = closed.map(|day| Exception { date: date.checked_add(day.days()).unwrap(), hours: vec![] });
            let calendar = Calendar::new(zone.to_owned(), weekly, exceptions.into_iter().collect()).unwrap();

            let open = |at: Timestamp| {
                let wall = clock.to_datetime(at);
                let minute = u16::try_from(wall.hour()).unwrap() * 60 + u16::try_from(wall.minute()).unwrap();
                let begins = |date: Date, hours: &Hours| {
                    hours.days.contains(&date.weekday().into()) && calendar.exceptions.iter().all(|e| e.date != date)
                };
                calendar.weekly.iter().any(|hours| {
                    let (from, to) = (hours.from.0, hours.to.0);
                    let (over, until) = if to <= from { (true, 1440) } else { (false, to) };
                    (begins(wall.date(), hours) && minute >= from && minute < until)
                        || (over && begins(wall.date().yesterday().unwrap(), hours) && minute < to)
                })
            };
            let start = at.checked_add(offset.minutes()).unwrap();
            let mut minutes = (0..3000).map(|m: i64| start.checked_add(m.minutes()).unwrap());
            let last = start.checked_add(2999.minutes()).unwrap();
            let found = minutes.find(|at| open(*at));
            let of = |at: Timestamp| UnixMillis(u64::try_from(at.as_millisecond()).unwrap());
            prop_assert_eq!(calendar.is_open(of(start)), open(start));
            let next = calendar.next_opening(of(start));
            match found {
                Some(at) => prop_assert_eq!(text(next), at.to_string()),
                None => prop_assert!(next.is_none_or(|next| next > of(last))),
            }
        }
    }
}
