//! Openings: stretches of time in which a calendar is open without a break.
//!
//! Whether it is open can change only where hours begin or end and where the clock is changed. So those moments are
//! made, in their order, and each is asked about.
//!
//! Invariant: openings come in the order of time, do not overlap, and cover each open moment of the time asked for.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, ToSpan};

use super::{Calendar, TimeOfDay, timestamp};
use crate::id::UnixMillis;

/// A stretch of time in which a calendar is open without a break. It begins where hours begin, also where others were
/// still going on: so hours from 00:00 to 24:00 on every day are an opening for each day. Hours that begin in the hour
/// that comes twice begin twice, and those that would begin in the one that is left out begin when the clock has
/// jumped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// From this moment on.
    pub begins_at: UnixMillis,
    /// Up to and without this moment.
    pub ends_at: UnixMillis,
}

/// How far back it is looked for where an opening began, in days. Hours last a day at most, and some more where the
/// clock is put back.
const DAYS_BACK: i64 = 3;

/// How far ahead [`Calendar::closes_at`] looks, in milliseconds.
const CLOSES_WITHIN_MS: u64 = 7 * 24 * 3_600_000;

impl Calendar {
    /// The moment at which it closes, where it is open at `at`; none where it is closed then, or stays open for 7 days.
    #[must_use]
    pub fn closes_at(&self, at: UnixMillis) -> Option<UnixMillis> {
        let until = at.plus(CLOSES_WITHIN_MS);
        let mut end = None;
        // An opening ends where other hours begin, too: it is open on and on then.
        for opening in self.openings(at, until) {
            if opening.begins_at > end.unwrap_or(at) {
                break;
            }
            end = Some(opening.ends_at);
        }
        end.filter(|end| *end <= until)
    }

    /// Openings that are open at any moment from `from` up to and without `until`, whole, in the order of time. They
    /// are found one by one, so it is well to stop asking for more.
    pub fn openings(&self, from: UnixMillis, until: UnixMillis) -> impl Iterator<Item = Opening> + '_ {
        let range =
            timestamp(from).filter(|_| from < until).map(|from| (from, timestamp(until).unwrap_or(Timestamp::MAX)));
        // The last one is followed beyond `until` to where it ends.
        let days = range.into_iter().flat_map(|(from, until)| {
            let first = from.checked_sub((24 * DAYS_BACK).hours()).unwrap_or(Timestamp::MIN);
            let last = until.checked_add((24 * DAYS_BACK).hours()).unwrap_or(Timestamp::MAX);
            std::iter::successors(Some(first), |day| day.checked_add(24.hours()).ok())
                .take_while(move |day| *day < last)
        });
        let mut changes = days.flat_map(|day| self.changes(day));
        let mut begun: Option<Timestamp> = None;
        let found = std::iter::from_fn(move || {
            for at in changes.by_ref() {
                let open = self.is_open_at(at);
                let ended = if open && begun.is_some() && !self.begins(at) { None } else { begun.take() };
                if open && begun.is_none() {
                    begun = Some(at);
                }
                if let Some(begins_at) = ended {
                    return Some((begins_at, at));
                }
            }
            None
        });
        let opening = |(begins_at, ends_at)| Opening { begins_at: millis(begins_at), ends_at: millis(ends_at) };
        found.map(opening).skip_while(move |o| o.ends_at <= from).take_while(move |o| o.begins_at < until)
    }

    /// Whether hours begin at that moment: where the clock shows their beginning, or has just jumped over it and they
    /// are not over yet.
    fn begins(&self, at: Timestamp) -> bool {
        let wall = self.zone.to_datetime(at);
        let before = at.checked_sub(1.nanosecond()).unwrap_or(at);
        let due = self.zone.to_datetime(before).checked_add(1.nanosecond()).unwrap_or(wall).min(wall);
        due.date().series(1.day()).take_while(|date| *date <= wall.date()).any(|date| {
            self.spans(date).any(|(from, to)| {
                let end = if to <= from {
                    date.tomorrow().and_then(|date| wall_clock(date, to))
                } else {
                    wall_clock(date, to)
                };
                wall_clock(date, from).is_ok_and(|begin| (due..=wall).contains(&begin))
                    && end.map_or(true, |end| wall < end)
            })
        })
    }

    /// The moments of 24 hours at which it may begin or cease to be open, in their order.
    fn changes(&self, start: Timestamp) -> Vec<Timestamp> {
        let end = start.checked_add(24.hours()).unwrap_or(Timestamp::MAX);
        let shown = |at| self.zone.to_datetime(at).date();
        let (first, last) = (shown(start), shown(end));
        // Hours that began the day before may end, and the clock may be put back over midnight.
        let (first, last) = (first.yesterday().unwrap_or(first), last.tomorrow().unwrap_or(last));
        let mut changes = Vec::new();
        for date in first.series(1.day()).take_while(|date| *date <= last) {
            for (from, to) in self.spans(date) {
                changes.extend(self.moments(date, from));
                let (on, to) = if to == TimeOfDay::MIDNIGHT { (date.tomorrow(), TimeOfDay(0)) } else { (Ok(date), to) };
                let on = if to <= from { on.and(date.tomorrow()) } else { on };
                changes.extend(on.into_iter().flat_map(|on| self.moments(on, to)));
            }
        }
        let before = start.checked_sub(1.nanosecond()).unwrap_or(start);
        changes.extend(self.zone.following(before).map(|change| change.timestamp()).take_while(|at| *at < end));
        changes.retain(|at| (start..end).contains(at));
        changes.sort_unstable();
        changes.dedup();
        changes
    }
}

/// What the clock shows at a time of a date.
fn wall_clock(date: Date, time: TimeOfDay) -> Result<DateTime, jiff::Error> {
    date.to_datetime(Time::midnight()).checked_add(i64::from(time.0).minutes())
}

/// What lies before 1970 is put there.
fn millis(at: Timestamp) -> UnixMillis {
    UnixMillis(u64::try_from(at.as_millisecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(zone: &str, hours: &[(&str, &str)]) -> Calendar {
        let days = r#"["mon", "tue", "wed", "thu", "fri", "sat", "sun"]"#;
        let hours = hours.iter().map(|(from, to)| format!(r#"{{"days": {days}, "from": "{from}", "to": "{to}"}}"#));
        let hours = hours.collect::<Vec<_>>().join(", ");
        serde_json::from_str(&format!(r#"{{"time_zone": "{zone}", "weekly": [{hours}]}}"#)).unwrap()
    }

    fn ms(at: &str) -> UnixMillis {
        millis(at.parse().unwrap())
    }

    /// Openings of two days, each as `begin/end` in UTC.
    fn shown(calendar: &Calendar, from: &str) -> String {
        let from = ms(from);
        let text = |at| timestamp(at).unwrap().strftime("%dT%H:%M").to_string();
        let openings = calendar.openings(from, from.plus(48 * 3_600_000));
        openings.map(|o| format!("{}/{}", text(o.begins_at), text(o.ends_at))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn it_closes_where_no_hours_go_on() {
        let closes = |hours: &[(&str, &str)], at: &str| {
            let at = calendar("Europe/Berlin", hours).closes_at(ms(at));
            at.map(|at| timestamp(at).unwrap().to_string())
        };
        let office = &[("09:00", "12:00"), ("12:00", "18:00")];
        assert_eq!(closes(office, "2026-07-01T08:00:00Z").as_deref(), Some("2026-07-01T16:00:00Z"));
        assert_eq!(closes(office, "2026-07-01T16:00:00Z"), None);
        assert_eq!(closes(office, "2026-07-01T05:00:00Z"), None);
        assert_eq!(closes(&[("22:00", "06:00")], "2026-07-01T21:00:00Z").as_deref(), Some("2026-07-02T04:00:00Z"));
        assert_eq!(closes(&[("00:00", "24:00")], "2026-07-01T21:00:00Z"), None);
    }

    #[test]
    fn openings_begin_where_hours_begin() {
        let cases: [(&[(&str, &str)], &str); 7] = [
            (&[("09:00", "12:00")], "01T09:00/01T12:00 02T09:00/02T12:00"),
            (
                &[("09:00", "12:00"), ("12:00", "13:00")],
                "01T09:00/01T12:00 01T12:00/01T13:00 02T09:00/02T12:00 02T12:00/02T13:00",
            ),
            (
                &[("09:00", "12:00"), ("11:00", "13:00")],
                "01T09:00/01T11:00 01T11:00/01T13:00 02T09:00/02T11:00 02T11:00/02T13:00",
            ),
            (&[("09:00", "12:00"), ("09:00", "10:00")], "01T09:00/01T12:00 02T09:00/02T12:00"),
            (&[("00:00", "24:00")], "01T00:00/02T00:00 02T00:00/03T00:00"),
            (&[("22:00", "06:00")], "30T22:00/01T06:00 01T22:00/02T06:00 02T22:00/03T06:00"),
            (
                &[("12:00", "00:00"), ("18:00", "12:00")],
                "30T18:00/01T12:00 01T12:00/01T18:00 01T18:00/02T12:00 02T12:00/02T18:00 02T18:00/03T12:00",
            ),
        ];
        for (hours, expected) in cases {
            assert_eq!(shown(&calendar("UTC", hours), "2026-07-01T00:00:00Z"), expected, "{hours:?}");
        }
        assert_eq!(calendar("UTC", &[]).openings(UnixMillis(0), UnixMillis(u64::MAX)).next(), None);
        let never = calendar("UTC", &[("00:00", "24:00")]);
        assert_eq!(never.openings(UnixMillis(5), UnixMillis(5)).next(), None);
        assert_eq!(never.openings(UnixMillis(u64::MAX - 1), UnixMillis(u64::MAX)).next(), None);
    }

    #[test]
    fn openings_follow_the_clock_on_the_wall() {
        let cases = [
            // 02:00 is followed by 03:00 at 01:00 UTC.
            (
                "Europe/Berlin",
                "2026-03-29T00:00:00Z",
                ("01:00", "05:00"),
                "29T00:00/29T03:00 29T23:00/30T03:00 30T23:00/31T03:00",
            ),
            ("Europe/Berlin", "2026-03-29T00:00:00Z", ("02:30", "05:00"), "29T01:00/29T03:00 30T00:30/30T03:00"),
            ("Europe/Berlin", "2026-03-29T00:00:00Z", ("02:15", "02:45"), "30T00:15/30T00:45"),
            // 03:00 is followed by 02:00 at 01:00 UTC.
            ("Europe/Berlin", "2026-10-25T00:00:00Z", ("01:00", "05:00"), "24T23:00/25T04:00 26T00:00/26T04:00"),
            (
                "Europe/Berlin",
                "2026-10-25T00:00:00Z",
                ("02:15", "02:45"),
                "25T00:15/25T00:45 25T01:15/25T01:45 26T01:15/26T01:45",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T00:00:00Z",
                ("02:00", "04:00"),
                "25T00:00/25T01:00 25T01:00/25T03:00 26T01:00/26T03:00",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T00:00:00Z",
                ("00:00", "02:30"),
                "24T22:00/25T00:30 25T01:00/25T01:30 25T23:00/26T01:30 26T23:00/27T01:30",
            ),
            // The clock jumps over midnight, where the hours of the next day would begin.
            (
                "Africa/Cairo",
                "2026-04-23T00:00:00Z",
                ("00:00", "24:00"),
                "22T22:00/23T22:00 23T22:00/24T21:00 24T21:00/25T21:00",
            ),
        ];
        for (zone, from, hours, expected) in cases {
            assert_eq!(shown(&calendar(zone, &[hours]), from), expected, "{zone} {hours:?}");
        }
    }
}
