//! Callbacks: tables of commands and the events that follow. Open from 9 to 12 UTC, in slots of an hour for two.
//!
//! In milliseconds of the first day: 32400000 is 09:00, 36000000 10:00, 39600000 11:00, 43200000 12:00; 118800000 is 09:00
//! of the second.

#![allow(clippy::unwrap_used)]

mod world;

use std::ops::Range;

use serde_json::{Value, json};
use signalbox_engine::{Account, Calendar, Command, Document, Event, MomentError, Rejection, Sequence, UnixMillis};
use world::{World, booking, id, name, scenario};

const HOUR: u64 = 3_600_000;

fn rules(change: &Value) -> String {
    let mut rules = json!({"name": "sales", "workflow": "w", "calendar": "hours", "slot_minutes": 60,
        "capacity_per_slot": 2, "horizon_days": 2, "lead_minutes": 30, "attempts_max": 3, "pause_minutes": 30});
    rules.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    rules.to_string()
}

fn hours(zone: &str, from: &str, to: &str) -> String {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    json!({"time_zone": zone, "weekly": [{"days": days, "from": from, "to": to}]}).to_string()
}

fn office(zone: &str, from: &str, to: &str) -> World {
    let mut world = World::default();
    world.json("agent", r#"{"name": "ann"}"#).unwrap();
    world.json("queue", r#"{"name": "desk", "target": {"agent": "ann"}}"#).unwrap();
    world.workflow(
        r#"{"name": "w", "elements": [
            {"id": "start", "kind": "start"},
            {"id": "desk", "kind": "queue", "queue": "desk"},
            {"id": "end", "kind": "end"}],
        "connectors": [
            {"from": "start", "outcome": "next", "to": "desk"},
            {"from": "desk", "outcome": "completed", "to": "end"}]}"#,
    );
    world.json("calendar", &hours(zone, from, to)).unwrap();
    world.json("callback-rules", &rules(&json!({}))).unwrap();
    world
}

fn plain() -> World {
    office("UTC", "09:00", "12:00")
}

/// With Ann logged in and ready.
fn staffed() -> World {
    let mut world = plain();
    let login = signalbox_engine::AgentAction::LogIn { place: None, media_types: [].into(), connected: false };
    for action in [login, signalbox_engine::AgentAction::Ready] {
        world.try_at(Command::Agent { agent: name("ann"), action, by: "ann".into() }, UnixMillis(0)).unwrap();
    }
    world
}

#[test]
fn a_callback_is_scheduled_and_then_goes_through_its_workflow() {
    scenario(
        staffed(),
        "
        @0        book 030-1 sales 36000000   => submitted i1, booked 36000000, scheduled i1 36000000
        @35999999 time i1                     => rejected not-due
        @36000000 time i1                     => began i1, at start, at desk by next, queued desk, offered i1 to ann
        @36000001 accept ann i1               => accepted i1 by ann, assigned i1 to ann
        @36000002 attempt i1 reached as ann   => attempt 1 reached
        @36000003 complete i1 sold as ann     => done sold, data disposition=sold, at end by completed, completed sold
        @36000004 attempt i1 reached as ann   => rejected interaction-unknown
    ",
    );
}

#[test]
fn as_soon_as_possible_is_now_or_when_it_opens() {
    scenario(
        plain(),
        "
        @0        book 101 sales  => submitted i1, booked, scheduled i1 32400000
        @32400000 time i1       => began i1, at start, at desk by next, queued desk
        @32400001 book 102 sales  => submitted i2, booked, at start, at desk by next, queued desk
        @43200000 book 103 sales  => submitted i3, booked, scheduled i3 118800000
    ",
    );
}

#[test]
fn a_slot_takes_as_many_as_it_has_room_for() {
    scenario(
        plain(),
        "
        @0  book 101 sales 36000000  => submitted i1, booked 36000000, scheduled i1 36000000
        @0  book 102 sales 39599999  => submitted i2, booked 39599999, scheduled i2 39599999
        @0  book 103 sales 36000000  => rejected slot-full
        @0  book 103 sales 37000000  => rejected slot-full
        @0  book 103 sales 39600000  => submitted i5, booked 39600000, scheduled i5 39600000
        @1  cancel i1              => cancelled
        @1  book 104 sales 37000000  => submitted i6, booked 37000000, scheduled i6 37000000
        @1  book 105 sales 37000000  => rejected slot-full
        @1  book 105 sales           => submitted i8, booked, scheduled i8 32400000
        @2  reschedule i5 36000000 => rejected slot-full
        @2  reschedule i6 36000000 => rescheduled 36000000, scheduled i6 36000000
        @2  reschedule i2 39600000 => rescheduled 39600000, scheduled i2 39600000
        @2  reschedule i5 36000000 => rescheduled 36000000, scheduled i5 36000000
    ",
    );
}

#[test]
fn only_times_that_are_offered_can_be_booked() {
    scenario(
        plain(),
        "
        @0        book 101 sales 32399999   => rejected slot-unknown
        @0        book 101 sales 43200000   => rejected slot-unknown
        @30600000 book 101 sales 32400000   => submitted i3, booked 32400000, scheduled i3 32400000
        @30600001 book 102 sales 32400000   => rejected slot-unknown
        @30600001 book 102 sales 35999999   => rejected slot-unknown
        @30600001 book 102 sales 36000000   => submitted i6, booked 36000000, scheduled i6 36000000
        @30600001 book 103 sales 126000000  => submitted i7, booked 126000000, scheduled i7 126000000
        @30600001 book 104 sales 205200000  => rejected slot-unknown
        @30600001 book 104 sales 0          => rejected slot-unknown
        @30600001 book 104 nothing 36000000 => rejected callback-rules-unknown
    ",
    );
}

#[test]
fn a_number_has_one_callback_at_a_time() {
    let mut world = plain();
    world.json("callback-rules", &rules(&json!({"name": "support"}))).unwrap();
    scenario(
        world,
        "
        @0  book +49-30-1 sales 36000000   => submitted i1, booked 36000000, scheduled i1 36000000
        @0  book +4930/1 sales 39600000    => rejected callback-exists
        @0  book 0049301 sales             => rejected callback-exists
        @0  book +49301 support 36000000   => submitted i4, booked 36000000, scheduled i4 36000000
        @1  cancel i1                      => cancelled
        @1  book +49301 sales 36000000     => submitted i5, booked 36000000, scheduled i5 36000000
    ",
    );
    let mut world = plain();
    let book = |n| Command::Submit(Box::new(booking(id(n), "030 1", "sales")));
    world.try_at(book(1), UnixMillis(0)).unwrap();
    assert_eq!(world.try_at(book(2), UnixMillis(0)).unwrap_err(), Rejection::CallbackExists(id(1)));
    let mut nobody = booking(id(3), "", "sales");
    nobody.at = Some(UnixMillis(10 * HOUR));
    let refused = world.try_at(Command::Submit(Box::new(nobody)), UnixMillis(0)).unwrap_err();
    assert!(matches!(refused, Rejection::Invalid { field: "sender", .. }));
}

#[test]
fn an_attempt_that_fails_is_made_again_until_there_were_enough() {
    scenario(
        staffed(),
        "
        @32400000 book 101 sales               => submitted i1, booked, at start, at desk by next, queued desk, offered i1 to ann
        @32400001 attempt i1 busy as ann     => rejected state-wrong
        @32400002 decline ann i1             => declined i1 by ann, ann rests 32401002
        @32401002 agent-time ann             => ann rested
        @32401003 not-ready ann tea          => ann not-ready tea
        @32401003 ready ann                  => ann ready, offered i1 to ann
        @32401004 accept ann i1              => accepted i1 by ann, assigned i1 to ann
        @32401005 attempt i1 busy as bob     => rejected assigned-to-another
        @32401005 attempt i1 busy as ann     => attempt 1 busy, out of workflows, scheduled i1 34201005
        @34201005 time i1                    => began i1, at start, at desk by next, queued desk, offered i1 to ann
        @34201006 accept ann i1              => accepted i1 by ann, assigned i1 to ann
        @43000000 attempt i1 no-answer as ann => attempt 2 no-answer, out of workflows, scheduled i1 118800000
        @43000001 book 101 sales               => rejected callback-exists
        @118800000 time i1                   => began i1, at start, at desk by next, queued desk, offered i1 to ann
        @118800001 accept ann i1             => accepted i1 by ann, assigned i1 to ann
        @118800002 attempt i1 no-answer as operator => attempt 3 no-answer, done not-reached, data disposition=not-reached, at end by completed, completed not-reached
        @118800003 book 101 sales              => submitted i3, booked, at start, at desk by next, queued desk, offered i3 to ann
    ",
    );
}

#[test]
fn a_wrong_number_is_not_called_again() {
    scenario(
        staffed(),
        "
        @32400000 book 101 sales               => submitted i1, booked, at start, at desk by next, queued desk, offered i1 to ann
        @32400001 accept ann i1              => accepted i1 by ann, assigned i1 to ann
        @32400002 attempt i1 wrong-number as ann => attempt 1 wrong-number, done wrong-number, data disposition=wrong-number, at end by completed, completed wrong-number
        @32400003 submit chat w              => submitted i2, at start, at desk by next, queued desk, offered i2 to ann
        @32400004 accept ann i2              => accepted i2 by ann, assigned i2 to ann
        @32400005 attempt i2 busy as ann     => rejected not-callback
        @32400005 reschedule i2              => rejected not-callback
    ",
    );
}

#[test]
fn a_callback_can_be_put_off_until_it_is_done() {
    scenario(
        staffed(),
        "
        @32400000 book 101 sales                => submitted i1, booked, at start, at desk by next, queued desk, offered i1 to ann
        @32400001 reschedule i1 39600000      => revoked i1 from ann rescheduled, rescheduled 39600000, out of workflows, scheduled i1 39600000
        @32400002 accept ann i1               => rejected offer-ended
        @32400003 reschedule i1               => rescheduled, began i1, at start, at desk by next, queued desk, offered i1 to ann
        @32400004 accept ann i1               => accepted i1 by ann, assigned i1 to ann
        @32400005 reschedule i1 118800000     => rejected assigned-to-another
        @32400005 reschedule i1 43200000 as ann => rejected slot-unknown
        @32400006 reschedule i1 118800000 as ann => rescheduled 118800000, out of workflows, scheduled i1 118800000
        @32400007 cancel i1                   => cancelled
        @32400008 reschedule i1               => rejected interaction-unknown
    ",
    );
}

#[test]
fn what_rules_name_is_kept_and_they_while_callbacks_were_booked_by_them() {
    scenario(
        plain(),
        "
        @0  remove calendar hours         => rejected document-in-use
        @0  remove workflow w 1           => rejected document-in-use
        @0  book 101 sales 36000000         => submitted i1, booked 36000000, scheduled i1 36000000
        @0  remove callback-rules sales   => rejected document-in-use
        @0  cancel i1                     => cancelled
        @0  remove callback-rules sales   => removed
        @0  remove calendar hours         => removed
    ",
    );
    let mut world = plain();
    let mut code = |change: Value| match world.json("callback-rules", &rules(&change)) {
        Err(Rejection::Invalid { field, .. }) => field.to_owned(),
        Err(rejection) => rejection.code().to_owned(),
        Ok(_) => "taken".to_owned(),
    };
    let table = [
        (json!({}), "taken"),
        (json!({"workflow": "none"}), "workflow-unknown"),
        (json!({"calendar": "none"}), "document-unknown"),
        (json!({"slot_minutes": 0}), "slot_minutes"),
        (json!({"capacity_per_slot": 0}), "capacity_per_slot"),
        (json!({"horizon_days": 367}), "horizon_days"),
        (json!({"lead_minutes": 43_201}), "lead_minutes"),
        (json!({"attempts_max": 0}), "attempts_max"),
        (json!({"pause_minutes": 10_081}), "pause_minutes"),
    ];
    for (change, expected) in table {
        assert_eq!(code(change.clone()), expected, "{change}");
    }
}

/// Books for as many numbers as there are, at one moment, and answers who got it.
fn book_all(world: &mut World, numbers: Range<u128>, at: u64, now: u64) -> Vec<u128> {
    let book = |n: &u128| {
        let mut submission = booking(id(*n), &format!("030{n}"), "sales");
        submission.at = Some(UnixMillis(at));
        match world.try_at(Command::Submit(Box::new(submission)), UnixMillis(now)) {
            Ok(_) => true,
            Err(Rejection::SlotFull(starts_at)) => {
                assert_eq!(starts_at, UnixMillis(10 * HOUR));
                false
            }
            Err(other) => panic!("{other}"),
        }
    };
    numbers.filter(book).collect()
}

/// What is free in each slot of a stretch of time.
fn free(world: &World, during: Range<UnixMillis>) -> Vec<u32> {
    let configuration = world.account.configuration();
    let (rules, calendar) = (&configuration.callback_rules["sales"], &configuration.calendars["hours"]);
    let booked = |during| world.account.callbacks_booked(&rules.name, during);
    rules.slots(calendar, UnixMillis(0), during, booked).iter().map(|slot| slot.free).collect()
}

#[test]
fn of_64_who_want_a_slot_as_many_get_it_as_it_takes() {
    let mut world = plain();
    assert_eq!(book_all(&mut world, 1..65, 10 * HOUR, 0), [1, 2]);
    let day = UnixMillis(0)..UnixMillis(24 * HOUR);
    assert_eq!(free(&world, day.clone()), [2, 0, 2]);
    world
        .try_at(
            Command::Cancel { interaction: id(2), reason: "no".into(), by: "web".into(), for_customer: true },
            UnixMillis(1),
        )
        .unwrap();
    assert_eq!(free(&world, day), [2, 1, 2]);
    assert_eq!(book_all(&mut world, 100..164, 10 * HOUR + 1, 1), [100]);
}

#[test]
fn slots_that_became_smaller_still_count_what_was_booked() {
    let mut world = plain();
    assert_eq!(book_all(&mut world, 1..3, 10 * HOUR + HOUR / 2, 0), [1, 2]);
    world.json("callback-rules", &rules(&json!({"slot_minutes": 30}))).unwrap();
    assert_eq!(book_all(&mut world, 3..6, 10 * HOUR, 0), [3, 4]);
    let late = UnixMillis(10 * HOUR + HOUR / 2);
    assert_eq!(free(&world, late..late.plus(1)), [0]);
}

#[test]
fn the_hour_that_does_not_exist_cannot_be_booked_and_the_one_that_comes_twice_has_two_slots() {
    let mut world = office("Europe/Berlin", "01:00", "04:00");
    let calendar: Calendar = serde_json::from_str(&hours("Europe/Berlin", "01:00", "04:00")).unwrap();
    let mut book = |n: u128, text: &str, now: &str| {
        let at = match calendar.moment(text) {
            Ok(at) => at,
            Err(MomentError::Skipped { .. }) => return "skipped".to_owned(),
            Err(MomentError::Twice { .. }) => return "twice".to_owned(),
            Err(other) => panic!("{other}"),
        };
        let mut submission = booking(id(n), &format!("030{n}"), "sales");
        submission.at = Some(at);
        match world.try_at(Command::Submit(Box::new(submission)), calendar.moment(now).unwrap()) {
            Ok(events) => format!("{} events", events.len()),
            Err(rejection) => rejection.code().to_owned(),
        }
    };
    let table = [
        ("2026-03-29T01:30", "2026-03-28T12:00", "3 events"),
        ("2026-03-29T02:00", "2026-03-28T12:00", "skipped"),
        ("2026-03-29T02:30", "2026-03-28T12:00", "skipped"),
        ("2026-03-29T03:00", "2026-03-28T12:00", "3 events"),
        ("2026-03-29T04:00", "2026-03-28T12:00", "slot-unknown"),
        ("2026-10-25T02:30", "2026-10-24T12:00", "twice"),
        ("2026-10-25T02:30:00+02:00", "2026-10-24T12:00", "3 events"),
        ("2026-10-25T02:30:00+02:00", "2026-10-24T12:00", "3 events"),
        ("2026-10-25T02:30:00+02:00", "2026-10-24T12:00", "slot-full"),
        ("2026-10-25T02:30:00+01:00", "2026-10-24T12:00", "3 events"),
    ];
    for (n, (at, now, expected)) in (1..).zip(table) {
        assert_eq!(book(n, at, now), expected, "{at}");
    }
}

#[test]
fn bookings_are_found_again_after_a_restart() {
    let mut world = plain();
    book_all(&mut world, 1..3, 10 * HOUR, 0);
    let mut loaded = Account::loading(Sequence(world.account.sequence().0));
    world.account.configuration().documents().for_each(|document| loaded.load_document(&document));
    for (id, live) in world.account.lives() {
        let row = postcard::to_stdvec(live).unwrap();
        loaded.load_live(id, postcard::from_bytes(&row).unwrap());
    }
    loaded.same(&world.account).unwrap();
    world.account = loaded;
    assert_eq!(book_all(&mut world, 3..65, 10 * HOUR, 1), []);
    let events = world.try_at(Command::TimerDue { interaction: id(1) }, UnixMillis(10 * HOUR)).unwrap();
    for event in events {
        let row = postcard::to_stdvec(&event).unwrap();
        assert_eq!(postcard::from_bytes::<Event>(&row).unwrap(), event);
    }
}

#[test]
fn an_agent_puts_off_what_it_has_itself_and_an_operator_anything() {
    scenario(
        staffed(),
        "
        @0        book 101 sales 36000000                => submitted i1, booked 36000000, scheduled i1 36000000
        @1        reschedule i1 39600000 as bob        => rejected state-wrong
        @2        reschedule i1 39600000 as operator   => rescheduled 39600000, scheduled i1 39600000
        @39600000 time i1                              => began i1, at start, at desk by next, queued desk, offered i1 to ann
        @39600001 reschedule i1 118800000 as ann       => rejected state-wrong
        @39600002 accept ann i1                        => accepted i1 by ann, assigned i1 to ann
        @39600003 reschedule i1 118800000 as bob       => rejected assigned-to-another
        @39600004 reschedule i1 118800000 as ann       => rescheduled 118800000, out of workflows, scheduled i1 118800000
    ",
    );
}

#[test]
fn what_is_scheduled_enters_its_workflow_as_that_is_when_its_moment_has_come() {
    let mut world = plain();
    world.workflow(
        r#"{"name": "other", "elements": [{"id": "start", "kind": "start"}, {"id": "wait", "kind": "wait", "duration_ms": 5},
            {"id": "end", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "wait"}, {"from": "wait", "outcome": "next", "to": "end"}]}"#,
    );
    scenario(
        world,
        "
        @0        book 101 sales 36000000         => submitted i1, booked 36000000, scheduled i1 36000000
        @0        submit chat other at 36000000 => submitted i2, scheduled i2 36000000
        @1        put workflow other            => put 2
        @2        remove workflow other 1       => removed
        @3        remove workflow other 2       => rejected document-in-use
        @36000000 time i1                       => began i1, at start, at desk by next, queued desk
        @36000000 time i2                       => began i2, at start, at wait by next, waiting until 36000005
        @36000001 put workflow other            => put 3
        @36000002 remove workflow other 2       => rejected document-in-use
        @36000005 time i2                       => at end by next, completed completed
        @36000006 remove workflow other 3       => removed
    ",
    );
    let mut world = plain();
    book_all(&mut world, 1..2, 10 * HOUR, 0);
    assert_eq!(world.account.live(id(1)).unwrap().frame(), None);
    world.json("callback-rules", &rules(&json!({}))).unwrap();
    let newest = world.account.configuration().workflow("w").unwrap().workflow.clone();
    world.put(Document::Workflow(newest.into(), 0)).unwrap();
    world.try_at(Command::TimerDue { interaction: id(1) }, UnixMillis(10 * HOUR)).unwrap();
    let frame = world.account.live(id(1)).unwrap().frame().unwrap();
    assert_eq!((frame.version, frame.since), (2, UnixMillis(10 * HOUR)));
}

#[test]
fn what_has_fewer_than_three_digits_is_no_number() {
    scenario(
        office("UTC", "09:00", "12:00"),
        "
        @0  book ext-5 sales 36000000  => rejected invalid
        @0  book --- sales 36000000    => rejected invalid
        @0  book 112 sales 36000000    => submitted i3, booked 36000000, scheduled i3 36000000
    ",
    );
}
