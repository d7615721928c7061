//! Slots: the times that callbacks are offered for, made out of opening hours.
//!
//! A slot is a stretch of real time, so one that begins before a change of clocks lasts no longer and no shorter than
//! others; what the clock on the wall shows decides only when it is open. How many callbacks a slot has already got is
//! asked of the caller.
//!
//! Invariant: slots of one calendar and one length do not overlap, and it is open throughout each of them.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::calendar::{Calendar, Opening};
use crate::id::UnixMillis;

/// How slots are made out of opening hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlotSettings {
    /// How long each slot is, 1 to 1,440 minutes.
    #[schema(minimum = 1, maximum = 1440)]
    pub length_minutes: u32,
    /// How many callbacks each slot takes, 1 to 10,000.
    #[schema(minimum = 1, maximum = 10_000)]
    pub capacity: u32,
    /// How far ahead slots are offered, 1 to 400 days of 24 hours.
    #[schema(minimum = 1, maximum = 400)]
    pub horizon_days: u32,
    /// How long before it begins a slot is last offered, 0 to 43,200 minutes (30 days).
    #[schema(maximum = 43_200)]
    pub lead_minutes: u32,
}

/// Why settings of slots were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {value}, and can be from {min} to {max}")]
pub struct SlotSettingsError {
    /// Which field.
    pub field: &'static str,
    /// What it is.
    pub value: u32,
    /// The least that it can be.
    pub min: u32,
    /// The most that it can be.
    pub max: u32,
}

/// A time that callbacks are offered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Slot {
    /// From this moment on.
    #[schema(value_type = u64)]
    pub starts_at: UnixMillis,
    /// Up to and without this moment.
    #[schema(value_type = u64)]
    pub ends_at: UnixMillis,
    /// How many more callbacks it takes; 0 where it is full.
    pub free: u32,
}

/// Most slots in one answer: three weeks of quarters of an hour, day and night. A caller goes on from the last one's
/// end.
const SLOTS_MAX: usize = 2016;
const LENGTH_MINUTES_MAX: u32 = 24 * 60;
const CAPACITY_MAX: u32 = 10_000;
/// As far as [`Calendar::next_opening`] looks.
const HORIZON_DAYS_MAX: u32 = 400;
const LEAD_MINUTES_MAX: u32 = 30 * 24 * 60;
const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

impl Default for SlotSettings {
    /// Half an hour each, for one callback, two weeks ahead, up to an hour before.
    fn default() -> Self {
        Self { length_minutes: 30, capacity: 1, horizon_days: 14, lead_minutes: 60 }
    }
}

impl SlotSettings {
    /// Whether each field is within its range.
    ///
    /// # Errors
    /// [`SlotSettingsError`] for the first one that is not.
    pub fn check(&self) -> Result<(), SlotSettingsError> {
        let fields = [
            ("length_minutes", self.length_minutes, 1, LENGTH_MINUTES_MAX),
            ("capacity", self.capacity, 1, CAPACITY_MAX),
            ("horizon_days", self.horizon_days, 1, HORIZON_DAYS_MAX),
            ("lead_minutes", self.lead_minutes, 0, LEAD_MINUTES_MAX),
        ];
        match fields.into_iter().find(|(_, value, min, max)| !(min..=max).contains(&value)) {
            Some((field, value, min, max)) => Err(SlotSettingsError { field, value, min, max }),
            None => Ok(()),
        }
    }

    /// When a slot may begin that is offered now: not before the lead is over, and before the horizon. Empty where the
    /// lead reaches beyond the horizon.
    #[must_use]
    pub fn offered(&self, now: UnixMillis) -> Range<UnixMillis> {
        let horizon = u64::from(self.horizon_days.min(HORIZON_DAYS_MAX)) * DAY_MS;
        now.plus(u64::from(self.lead_minutes) * MINUTE_MS)..now.plus(horizon)
    }

    /// Of each slot, in milliseconds.
    fn length_ms(&self) -> u64 {
        u64::from(self.length_minutes) * MINUTE_MS
    }
}

/// Slots that begin within `wanted` and are offered now, in the order of time, full ones too; the first 2,016 of them.
///
/// From where an opening of the calendar begins, one slot follows the other; what is left before it ends is too short
/// for a slot. In the hour that comes twice there are slots both times, and in the one that is left out there are none.
/// `booked` answers how many callbacks the slot has that begins at a moment. Settings out of their range give no slots.
pub fn slots(
    calendar: &Calendar,
    settings: &SlotSettings,
    now: UnixMillis,
    wanted: Range<UnixMillis>,
    booked: impl Fn(UnixMillis) -> u32,
) -> Vec<Slot> {
    let offered = settings.offered(now);
    let (from, until) = (wanted.start.max(offered.start), wanted.end.min(offered.end));
    if settings.check().is_err() || from >= until {
        return Vec::new();
    }
    let starts = calendar.openings(from, until).flat_map(|opening| starts(settings, opening, from));
    let slot = |starts_at: UnixMillis| Slot {
        starts_at,
        ends_at: starts_at.plus(settings.length_ms()),
        free: settings.capacity.saturating_sub(booked(starts_at)),
    };
    starts.take_while(|starts_at| *starts_at < until).take(SLOTS_MAX).map(slot).collect()
}

/// When the slot begins that a moment falls in, whether or not it is offered now. None where it is closed, and in what
/// is left of an opening after its last slot.
#[must_use]
pub fn slot_at(calendar: &Calendar, settings: &SlotSettings, at: UnixMillis) -> Option<UnixMillis> {
    settings.check().ok()?;
    let opening = calendar.openings(at, at.plus(1)).next()?;
    let starts_at = UnixMillis(at.0 - (at.0 - opening.begins_at.0) % settings.length_ms());
    (starts_at.plus(settings.length_ms()) <= opening.ends_at).then_some(starts_at)
}

/// When the slots of an opening begin, from a moment on.
fn starts(settings: &SlotSettings, opening: Opening, from: UnixMillis) -> impl Iterator<Item = UnixMillis> + use<> {
    let length = settings.length_ms();
    let past = from.0.saturating_sub(opening.begins_at.0).div_ceil(length);
    let first = opening.begins_at.plus(past * length);
    std::iter::successors(Some(first), move |start| Some(start.plus(length)))
        .take_while(move |start| start.plus(length) <= opening.ends_at)
}

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;
    use jiff::tz::TimeZoneDatabase;
    use jiff::{Timestamp, ToSpan};
    use proptest::prelude::*;
    use proptest::sample::subsequence;

    use super::*;

    const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    fn daily(zone: &str, from: &str, to: &str, exceptions: &str) -> Calendar {
        let weekly = format!(r#"[{{"days": {WEEK:?}, "from": "{from}", "to": "{to}"}}]"#);
        let json = format!(r#"{{"time_zone": "{zone}", "weekly": {weekly}, "exceptions": [{exceptions}]}}"#);
        serde_json::from_str(&json).unwrap()
    }

    fn ms(at: &str) -> UnixMillis {
        let at: Timestamp = at.parse().unwrap();
        UnixMillis(u64::try_from(at.as_millisecond()).unwrap())
    }

    fn settings(length_minutes: u32) -> SlotSettings {
        SlotSettings { length_minutes, capacity: 2, horizon_days: 400, lead_minutes: 0 }
    }

    fn between(calendar: &Calendar, settings: &SlotSettings, from: UnixMillis, until: UnixMillis) -> Vec<Slot> {
        slots(calendar, settings, from, from..until, |_| 0)
    }

    /// Beginnings of a local day's slots as the clock on the wall shows them, with the hours by which it is off UTC.
    fn of_day(calendar: &Calendar, length: u32, date: &str) -> String {
        let zone = TimeZoneDatabase::bundled().get(calendar.time_zone()).unwrap();
        let at = |date: jiff::civil::Date| {
            let start = date.to_zoned(zone.clone()).unwrap().timestamp();
            UnixMillis(u64::try_from(start.as_millisecond()).unwrap())
        };
        let date: jiff::civil::Date = date.parse().unwrap();
        let slots = between(calendar, &settings(length), at(date), at(date.tomorrow().unwrap()));
        let shown = slots.iter().map(|slot| {
            let start = Timestamp::from_millisecond(i64::try_from(slot.starts_at.0).unwrap()).unwrap();
            start.to_zoned(zone.clone()).strftime("%H:%M%:::z").to_string()
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn slots_follow_the_opening_hours_of_a_day() {
        let holidays = r#"
            {"date": "2026-12-24", "hours": [{"from": "09:00", "to": "10:30"}]},
            {"date": "2026-12-25", "hours": []}"#;
        #[rustfmt::skip]
        let cases = [
            // zone, hours, minutes, day, slots
            ("Europe/Berlin", "09:00", "11:00", 30, "2026-07-01", "09:00+02 09:30+02 10:00+02 10:30+02"),
            ("Europe/Berlin", "09:00", "11:00", 45, "2026-07-01", "09:00+02 09:45+02"),
            ("Europe/Berlin", "09:10", "10:10", 60, "2026-01-15", "09:10+01"),
            ("Europe/Berlin", "09:10", "10:09", 60, "2026-01-15", ""),
            ("Europe/Berlin", "09:00", "11:00", 30, "2026-12-24", "09:00+01 09:30+01 10:00+01"),
            ("Europe/Berlin", "09:00", "11:00", 30, "2026-12-25", ""),
            ("Europe/Berlin", "00:00", "24:00", 720, "2026-07-01", "00:00+02 12:00+02"),
            ("Europe/Berlin", "22:00", "02:00", 60, "2026-07-01", "00:00+02 01:00+02 22:00+02 23:00+02"),
            // 02:00 is followed by 03:00.
            ("Europe/Berlin", "01:00", "05:00", 30, "2026-03-29",
                "01:00+01 01:30+01 03:00+02 03:30+02 04:00+02 04:30+02"),
            ("Europe/Berlin", "01:00", "05:00", 45, "2026-03-29", "01:00+01 01:45+01 03:30+02 04:15+02"),
            ("Europe/Berlin", "02:00", "03:00", 15, "2026-03-29", ""),
            ("Europe/Berlin", "02:30", "04:00", 30, "2026-03-29", "03:00+02 03:30+02"),
            ("Europe/Berlin", "00:00", "24:00", 360, "2026-03-29", "00:00+01 07:00+02 13:00+02"),
            // 03:00 is followed by 02:00.
            ("Europe/Berlin", "01:00", "04:00", 30, "2026-10-25",
                "01:00+02 01:30+02 02:00+02 02:30+02 02:00+01 02:30+01 03:00+01 03:30+01"),
            ("Europe/Berlin", "02:15", "02:45", 15, "2026-10-25", "02:15+02 02:30+02 02:15+01 02:30+01"),
            ("Europe/Berlin", "02:00", "03:00", 60, "2026-10-25", "02:00+02 02:00+01"),
            ("America/New_York", "01:00", "04:00", 60, "2026-03-08", "01:00-05 03:00-04"),
            ("America/New_York", "02:00", "03:00", 30, "2026-03-08", ""),
            ("America/New_York", "00:30", "02:30", 60, "2026-11-01", "00:30-04 01:30-04 01:30-05"),
            ("America/New_York", "09:00", "10:00", 30, "2026-11-01", "09:00-05 09:30-05"),
            ("Asia/Kolkata", "09:30", "11:00", 30, "2026-03-29", "09:30+05:30 10:00+05:30 10:30+05:30"),
            ("Asia/Kolkata", "09:30", "11:00", 30, "2026-10-25", "09:30+05:30 10:00+05:30 10:30+05:30"),
            // The clock goes forward by half an hour, at 02:00.
            ("Australia/Lord_Howe", "01:30", "03:30", 30, "2026-10-04", "01:30+10:30 02:30+11 03:00+11"),
        ];
        for (zone, from, to, length, date, expected) in cases {
            let calendar = daily(zone, from, to, holidays);
            assert_eq!(of_day(&calendar, length, date), expected, "{zone} {from} to {to}, {length} minutes, {date}");
        }
    }

    #[test]
    fn a_moment_falls_in_its_slot() {
        let cases = [
            // zone, hours, minutes, moment, where the slot begins
            ("Europe/Berlin", "09:00", "11:00", 30, "2026-07-01T07:00:00Z", "2026-07-01T07:00:00Z"),
            ("Europe/Berlin", "09:00", "11:00", 30, "2026-07-01T07:29:59.999Z", "2026-07-01T07:00:00Z"),
            ("Europe/Berlin", "09:00", "11:00", 30, "2026-07-01T08:59:59.999Z", "2026-07-01T08:30:00Z"),
            ("Europe/Berlin", "09:00", "11:00", 30, "2026-07-01T09:00:00Z", "none"),
            ("Europe/Berlin", "09:00", "11:00", 30, "2026-07-01T06:59:59.999Z", "none"),
            ("Europe/Berlin", "09:00", "11:00", 45, "2026-07-01T08:29:59Z", "2026-07-01T07:45:00Z"),
            ("Europe/Berlin", "09:00", "11:00", 45, "2026-07-01T08:30:00Z", "none"),
            ("Europe/Berlin", "22:00", "06:00", 60, "2026-07-01T00:10:00Z", "2026-07-01T00:00:00Z"),
            ("Europe/Berlin", "02:00", "03:00", 30, "2026-03-29T01:10:00Z", "none"),
            ("Europe/Berlin", "01:00", "05:00", 30, "2026-03-29T01:10:00Z", "2026-03-29T01:00:00Z"),
            ("Europe/Berlin", "02:00", "03:00", 30, "2026-10-25T00:40:00Z", "2026-10-25T00:30:00Z"),
            ("Europe/Berlin", "02:00", "03:00", 30, "2026-10-25T01:40:00Z", "2026-10-25T01:30:00Z"),
            ("Asia/Kolkata", "09:30", "11:00", 60, "2026-07-01T04:30:00Z", "2026-07-01T04:00:00Z"),
            ("Asia/Kolkata", "00:00", "24:00", 7, "2026-07-01T18:29:59Z", "none"),
            ("UTC", "00:00", "24:00", 1440, "2026-07-01T18:29:59Z", "2026-07-01T00:00:00Z"),
            ("UTC", "00:00", "24:00", 0, "2026-07-01T18:29:59Z", "none"),
        ];
        for (zone, from, to, length, at, expected) in cases {
            let found = slot_at(&daily(zone, from, to, ""), &settings(length), ms(at));
            let shown = found.map_or("none".to_owned(), |at| {
                Timestamp::from_millisecond(i64::try_from(at.0).unwrap()).unwrap().to_string()
            });
            assert_eq!(shown, expected, "{zone} {from} to {to}, {length} minutes, {at}");
        }
        assert_eq!(slot_at(&daily("UTC", "00:00", "24:00", ""), &settings(30), UnixMillis(u64::MAX)), None);
    }

    #[test]
    fn slots_are_offered_between_lead_and_horizon() {
        let office = daily("UTC", "09:00", "12:00", "");
        let settings = SlotSettings { length_minutes: 60, capacity: 3, horizon_days: 2, lead_minutes: 90 };
        let all = UnixMillis(0)..UnixMillis(u64::MAX);
        let starts = |now: &str, wanted: &Range<UnixMillis>| {
            let slots = slots(&office, &settings, ms(now), wanted.clone(), |_| 0);
            let text = |slot: &Slot| Timestamp::from_millisecond(i64::try_from(slot.starts_at.0).unwrap()).unwrap();
            slots.iter().map(|slot| text(slot).strftime("%dT%H").to_string()).collect::<Vec<_>>().join(" ")
        };
        // A slot that begins just when the lead is over is offered, and one that begins at the horizon is not.
        assert_eq!(starts("2026-07-01T07:30:00Z", &all), "01T09 01T10 01T11 02T09 02T10 02T11");
        assert_eq!(starts("2026-07-01T07:31:00Z", &all), "01T10 01T11 02T09 02T10 02T11");
        assert_eq!(starts("2026-07-01T09:00:00Z", &all), "01T11 02T09 02T10 02T11");
        assert_eq!(starts("2026-07-01T09:01:00Z", &all), "01T11 02T09 02T10 02T11 03T09");
        let page = ms("2026-07-02T10:00:00Z")..ms("2026-07-02T11:00:00Z");
        assert_eq!(starts("2026-07-01T09:00:00Z", &page), "02T10");
        assert_eq!(starts("2026-07-09T09:00:00Z", &page), "");
        let empty = page.start..page.start;
        assert_eq!(starts("2026-07-01T09:00:00Z", &empty), "");
        let late = SlotSettings { lead_minutes: 43_200, ..settings.clone() };
        assert!(slots(&office, &late, ms("2026-07-01T09:00:00Z"), all, |_| 0).is_empty());
    }

    #[test]
    fn a_slot_has_as_much_free_as_is_not_booked() {
        let office = daily("UTC", "09:00", "13:00", "");
        let booked = |at: UnixMillis| u32::try_from((at.0 - ms("2026-07-01T09:00:00Z").0) / 3_600_000).unwrap();
        let now = ms("2026-07-01T00:00:00Z");
        let slots = slots(&office, &settings(60), now, now..now.plus(DAY_MS), booked);
        assert_eq!(slots.iter().map(|slot| slot.free).collect::<Vec<_>>(), [2, 1, 0, 0]);
    }

    #[test]
    fn settings_out_of_range_are_refused_and_give_no_slots() {
        let good = SlotSettings::default();
        assert_eq!(good.check(), Ok(()));
        let cases = [
            (SlotSettings { length_minutes: 0, ..good.clone() }, "`length_minutes` is 0, and can be from 1 to 1440"),
            (SlotSettings { length_minutes: 1441, ..good.clone() }, "`length_minutes` is 1441"),
            (SlotSettings { capacity: 0, ..good.clone() }, "`capacity` is 0, and can be from 1 to 10000"),
            (SlotSettings { horizon_days: 0, ..good.clone() }, "`horizon_days` is 0, and can be from 1 to 400"),
            (SlotSettings { horizon_days: 401, ..good.clone() }, "`horizon_days` is 401"),
            (
                SlotSettings { lead_minutes: u32::MAX, ..good.clone() },
                "`lead_minutes` is 4294967295, and can be from 0 to",
            ),
        ];
        let always = daily("UTC", "00:00", "24:00", "");
        for (settings, sentence) in cases {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.starts_with(sentence), "{error}");
            assert_eq!(between(&always, &settings, UnixMillis(0), UnixMillis(u64::MAX)), []);
        }
        let parsed: SlotSettings = serde_json::from_str(r#"{"capacity": 4}"#).unwrap();
        assert_eq!(parsed, SlotSettings { capacity: 4, ..good });
        assert!(serde_json::from_str::<SlotSettings>(r#"{"capcity": 4}"#).is_err());
    }

    #[test]
    fn a_long_horizon_is_given_in_pages() {
        let always = daily("Europe/Berlin", "00:00", "24:00", "");
        let settings = SlotSettings { length_minutes: 15, capacity: 1, horizon_days: 400, lead_minutes: 0 };
        let now = ms("2026-01-31T23:00:00Z");
        let mut from = now;
        let mut pages = Vec::new();
        loop {
            let page = slots(&always, &settings, now, from..UnixMillis(u64::MAX), |_| 0);
            assert!(page.len() <= SLOTS_MAX);
            let Some(last) = page.last() else { break };
            from = last.ends_at;
            pages.push(page);
        }
        let all = pages.concat();
        // A year has as many hours as if the clocks were never changed.
        assert_eq!(all.len(), 400 * 24 * 4);
        assert_eq!(pages.len(), (400usize * 24 * 4).div_ceil(SLOTS_MAX));
        assert!(all.windows(2).all(|pair| pair[0].ends_at == pair[1].starts_at));
        let yearly = r#"{"date": "2027-02-01", "hours": [{"from": "10:00", "to": "11:00"}]}"#;
        let json = format!(r#"{{"time_zone": "Europe/Berlin", "exceptions": [{yearly}]}}"#);
        let found = between(&serde_json::from_str(&json).unwrap(), &settings, now, UnixMillis(u64::MAX));
        assert_eq!(found.iter().map(|slot| slot.starts_at).min(), Some(ms("2027-02-01T09:00:00Z")));
        assert_eq!(found.len(), 4);
    }

    /// Zones and moments at which their clocks are changed: Lord Howe's by half an hour, Nuuk's and Cairo's at
    /// midnight, Apia's by a day.
    const CHANGES: [(&str, &str); 12] = [
        ("Europe/Berlin", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-10-25T01:00:00Z"),
        ("America/New_York", "2026-03-08T07:00:00Z"),
        ("America/New_York", "2026-11-01T06:00:00Z"),
        ("Asia/Kolkata", "2026-07-01T00:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
        ("America/Nuuk", "2026-03-29T01:00:00Z"),
        ("America/Nuuk", "2026-10-25T01:00:00Z"),
        ("Africa/Cairo", "2026-04-23T22:00:00Z"),
        ("Africa/Cairo", "2026-10-29T21:00:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ];

    proptest! {
        // The inputs of a failing case are printed.
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn slots_are_those_of_a_walk_through_every_minute(
            change in 0usize..CHANGES.len(),
            hours in prop::collection::vec((0u32..96, 1u32..=96, subsequence(WEEK.to_vec(), 1..=7)), 0..4),
            exception in prop::option::of((-1i64..=1, prop::option::of((0u32..96, 1u32..=96)))),
            length in prop_oneof![Just(15u32), Just(30), Just(60), 1u32..200],
            offset in -3000i64..=1000,
        ) {
            let (zone, at) = CHANGES[change];
            let at: Timestamp = at.parse().unwrap();
            let clock = TimeZoneDatabase::bundled().get(zone).unwrap();
            let time = |quarter: u32| format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15);
            let weekly: Vec<_> = hours.iter().filter(|(from, to, _)| from != to).collect();
            let exception = exception.map(|(day, hours)| {
                let date = clock.to_datetime(at).date().checked_add(jiff::Span::new().days(day)).unwrap();
                (date, hours.filter(|(from, to)| from != to))
            });
            let span = |from: u32, to: u32| serde_json::json!({"from": time(from), "to": time(to)});
            let calendar: Calendar = serde_json::from_value(serde_json::json!({
                "time_zone": zone,
                "weekly": weekly.iter().map(|(from, to, days)| {
                    serde_json::json!({"days": days, "from": time(*from), "to": time(*to)})
                }).collect::<Vec<_>>(),
                "exceptions": exception.iter().map(|(date, hours)| serde_json::json!({
                    "date": date, "hours": hours.iter().map(|(from, to)| span(*from, *to)).collect::<Vec<_>>(),
                })).collect::<Vec<_>>(),
            })).unwrap();

            // Minute by minute from a week before: open or not, and whether hours begin just then.
            let minute = |n: i64| UnixMillis(u64::try_from(at.as_millisecond() + n * 60_000).unwrap());
            let shown = |n: i64| clock.to_datetime(at.checked_add(n.minutes()).unwrap());
            let begin = |wall: DateTime| -> Vec<u32> {
                let shown = wall.strftime("%H:%M").to_string();
                let day = wall.strftime("%a").to_string().to_lowercase();
                let lasts = |from: u32, to: u32| (if to > from { to - from } else { 96 + to - from }) * 15;
                match &exception {
                    Some((date, hours)) if *date == wall.date() => {
                        let hours = hours.iter().filter(|(from, _)| time(*from) == shown);
                        hours.map(|(from, to)| lasts(*from, *to)).collect()
                    }
                    _ => {
                        let begins = |from, days: &[&str]| time(from) == shown && days.contains(&day.as_str());
                        let hours = weekly.iter().filter(|(from, _, days)| begins(*from, days));
                        hours.map(|(from, to, _)| lasts(*from, *to)).collect()
                    }
                }
            };
            // Those that the clock has just jumped over begin too, where they are not over.
            let begins = |n: i64| {
                let (before, now) = (shown(n - 1), shown(n));
                // One but for a jump, and less than that where the clock is put back.
                let passed = before.duration_until(now).as_mins().max(1);
                (0..passed).any(|back| {
                    let at = now.checked_sub(back.minutes()).unwrap();
                    begin(at).into_iter().any(|minutes| i64::from(minutes) > back)
                })
            };
            let (first, last) = (offset, offset + 3000);
            let mut expected = Vec::new();
            let mut start: Option<i64> = None;
            for n in first - 10_080..last + i64::from(length) {
                let open = calendar.is_open(minute(n));
                // A slot that is not complete when hours begin anew, or when it is closed, is none.
                start = match start {
                    _ if !open => None,
                    Some(start) if !begins(n) => Some(start),
                    _ => Some(n),
                };
                if let Some(begun) = start && n + 1 - begun == i64::from(length) {
                    expected.push(begun);
                    start = Some(n + 1);
                }
            }
            let expected = expected.into_iter().filter(|n| (first..last).contains(n)).map(minute);
            let expected: Vec<UnixMillis> = expected.take(SLOTS_MAX).collect();

            let found = between(&calendar, &settings(length), minute(first), minute(last));
            prop_assert_eq!(found.iter().map(|slot| slot.starts_at).collect::<Vec<_>>(), expected);
            for slot in &found {
                prop_assert_eq!(slot.ends_at.0 - slot.starts_at.0, u64::from(length) * 60_000);
                prop_assert!(calendar.is_open(slot.starts_at) && calendar.is_open(UnixMillis(slot.ends_at.0 - 1)));
                for at in [slot.starts_at, UnixMillis(slot.ends_at.0 - 1)] {
                    prop_assert_eq!(slot_at(&calendar, &settings(length), at), Some(slot.starts_at));
                }
            }
            for pair in found.windows(2) {
                prop_assert!(pair[0].ends_at <= pair[1].starts_at);
                // Between two slots is none.
                let gap = UnixMillis(pair[0].ends_at.0);
                prop_assert!(gap == pair[1].starts_at || slot_at(&calendar, &settings(length), gap).is_none());
            }
        }
    }
}
