//! Callbacks: what is offered, who has booked what, and what came of each attempt to reach somebody.
//!
//! A callback is an interaction that was booked by an account's rules: it is scheduled, goes through its workflow when its
//! moment has come, and comes back to the beginning when nobody was reached.
//!
//! Invariant: no slot has more callbacks than it takes at the moment of booking, and by one set of rules no number has two.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::Account;
use crate::agents;
use crate::calendar::Calendar;
use crate::configuration::Configuration;
use crate::content::Message;
use crate::decide::{check_bytes, invalid};
use crate::document::{DocumentKey, DocumentKind};
use crate::event::{Event, Speaker};
use crate::id::{InteractionId, Name, UnixMillis};
use crate::live::{Live, State};
use crate::rejection::Rejection;
use crate::slots::{Slot, SlotSettings, slot_at, slots};
use crate::walk::Draft;
use crate::workflow::Flow;

/// What callbacks are offered, and how often somebody is called. An account may have several of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallbackRules {
    /// Their name.
    #[schema(value_type = String)]
    pub name: Name,
    /// The workflow that a callback enters when its moment has come, in the version that is the newest then.
    #[schema(value_type = String)]
    pub workflow: Name,
    /// When callbacks are made.
    #[schema(value_type = String)]
    pub calendar: Name,
    /// How long each slot is, 1 to 1,440 minutes.
    #[serde(default = "defaults::slot_minutes")]
    #[schema(minimum = 1, maximum = 1440)]
    pub slot_minutes: u32,
    /// How many callbacks each slot takes, 1 to 10,000.
    #[serde(default = "defaults::capacity_per_slot")]
    #[schema(minimum = 1, maximum = 10_000)]
    pub capacity_per_slot: u32,
    /// How far ahead slots are offered, 1 to 366 days of 24 hours.
    #[serde(default = "defaults::horizon_days")]
    #[schema(minimum = 1, maximum = 366)]
    pub horizon_days: u32,
    /// How long before it begins a slot is last offered, 0 to 43,200 minutes.
    #[serde(default = "defaults::lead_minutes")]
    #[schema(maximum = 43_200)]
    pub lead_minutes: u32,
    /// After so many attempts that failed it ends as `not-reached`, 1 to 20.
    #[serde(default = "defaults::attempts_max")]
    #[schema(minimum = 1, maximum = 20)]
    pub attempts_max: u8,
    /// How long after an attempt that failed the next is made, 1 to 10,080 minutes; where it is closed then, when it
    /// opens.
    #[serde(default = "defaults::pause_minutes")]
    #[schema(minimum = 1, maximum = 10_080)]
    pub pause_minutes: u32,
}

mod defaults {
    use crate::slots::SlotSettings;

    pub(super) fn slot_minutes() -> u32 {
        SlotSettings::default().length_minutes
    }

    pub(super) fn capacity_per_slot() -> u32 {
        SlotSettings::default().capacity
    }

    pub(super) fn horizon_days() -> u32 {
        SlotSettings::default().horizon_days
    }

    pub(super) fn lead_minutes() -> u32 {
        SlotSettings::default().lead_minutes
    }

    pub(super) fn attempts_max() -> u8 {
        3
    }

    pub(super) fn pause_minutes() -> u32 {
        30
    }
}

const MINUTE_MS: u64 = 60_000;

impl CallbackRules {
    fn settings(&self) -> SlotSettings {
        SlotSettings {
            length_minutes: self.slot_minutes,
            capacity: self.capacity_per_slot,
            horizon_days: self.horizon_days,
            lead_minutes: self.lead_minutes,
        }
    }

    fn slot(&self, starts_at: UnixMillis) -> Range<UnixMillis> {
        starts_at..starts_at.plus(u64::from(self.slot_minutes) * MINUTE_MS)
    }

    /// Slots of their calendar that are offered now and begin within `wanted`, full ones too; the first 2,016 of them.
    /// `booked` answers how many callbacks are booked for a stretch of time.
    #[must_use]
    pub fn slots(
        &self,
        calendar: &Calendar,
        now: UnixMillis,
        wanted: Range<UnixMillis>,
        booked: impl Fn(Range<UnixMillis>) -> u32,
    ) -> Vec<Slot> {
        slots(calendar, &self.settings(), now, wanted, |starts_at| booked(self.slot(starts_at)))
    }

    pub(crate) fn check(&self, configuration: &Configuration) -> Result<(), Rejection> {
        if configuration.workflow(self.workflow.as_str()).is_none() {
            return Err(Rejection::WorkflowUnknown(self.workflow.clone()));
        }
        self.calendar_of(configuration)?;
        self.settings().check().map_err(|error| {
            let field = match error.field {
                "length_minutes" => "slot_minutes",
                "capacity" => "capacity_per_slot",
                field => field,
            };
            invalid(field, format!("{} to {}", error.min, error.max))
        })?;
        let bounds = [
            ("horizon_days", self.horizon_days, 366),
            ("attempts_max", u32::from(self.attempts_max), 20),
            ("pause_minutes", self.pause_minutes, 10_080),
        ];
        match bounds.into_iter().find(|(_, value, max)| !(1..=*max).contains(value)) {
            Some((field, _, max)) => Err(invalid(field, format!("1 to {max}"))),
            None => Ok(()),
        }
    }

    fn calendar_of<'a>(&self, configuration: &'a Configuration) -> Result<&'a Arc<Calendar>, Rejection> {
        let (kind, name) = (DocumentKind::Calendar, self.calendar.clone());
        let unknown = || Rejection::DocumentUnknown(DocumentKey { kind, name, element: None, version: 0 });
        configuration.calendars.get(&self.calendar).ok_or_else(unknown)
    }

    fn flow_of<'a>(&self, configuration: &'a Configuration) -> Result<&'a Arc<Flow>, Rejection> {
        let flow = configuration.workflow(self.workflow.as_str());
        flow.ok_or_else(|| Rejection::WorkflowUnknown(self.workflow.clone()))
    }
}

/// What is known of a callback while it is live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// The rules that it was booked by.
    pub rules: Name,
    /// Whom to call, as duplicates are told by it: see [`number`].
    pub number: String,
    /// The moment that was booked, which counts in its slot; none where it is to be as soon as possible, and after an
    /// attempt that failed.
    pub at: Option<UnixMillis>,
    /// Attempts that have ended.
    pub attempts: u8,
    /// What came of the last one.
    pub outcome: Option<AttemptOutcome>,
}

/// What came of an attempt to call somebody back. That an agent did not accept it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOutcome {
    /// Nobody answered.
    NoAnswer,
    /// The line was busy.
    Busy,
    /// Whoever was wanted was reached; the work on it goes on.
    Reached,
    /// It is somebody else's number: it ends as `wrong-number`.
    WrongNumber,
}

impl AttemptOutcome {
    /// As in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoAnswer => "no-answer",
            Self::Busy => "busy",
            Self::Reached => "reached",
            Self::WrongNumber => "wrong-number",
        }
    }
}

/// The form of a telephone number by which duplicates are told: without spaces, brackets, hyphens, dots and slashes, and
/// with `+` in place of a leading `00`. Other addresses stand in lower case.
#[must_use]
pub fn number(address: &str) -> String {
    let address = address.trim();
    let digits: String =
        address.chars().filter(|c| !matches!(c, ' ' | '(' | ')' | '-' | '.' | '/' | '\u{a0}')).collect();
    let bare = digits.strip_prefix('+').unwrap_or(&digits);
    if bare.is_empty() || !bare.bytes().all(|b| b.is_ascii_digit()) {
        return address.to_lowercase();
    }
    match digits.strip_prefix("00") {
        Some(rest) if !rest.is_empty() => format!("+{rest}"),
        _ => digits,
    }
}

/// Most bytes of the address of whoever is to be called.
const NUMBER_BYTES_MAX: usize = 256;
/// Fewest digits of it: the shortest numbers that can be called have three.
const NUMBER_DIGITS_MIN: usize = 3;

/// A booking that can be made.
pub(crate) struct Booking<'a> {
    pub(crate) flow: &'a Arc<Flow>,
    pub(crate) callback: Callback,
    /// When it enters its workflow; none for now.
    pub(crate) begins_at: Option<UnixMillis>,
}

/// Looks whether a callback can be booked.
pub(crate) fn book<'a>(
    account: &'a Account,
    rules: &Name,
    message: &Message,
    at: Option<UnixMillis>,
    now: UnixMillis,
) -> Result<Booking<'a>, Rejection> {
    let configuration = account.configuration();
    let rules = rules_of(configuration, rules)?;
    let sender = message.contact().unwrap_or_default();
    check_bytes("sender", sender, NUMBER_BYTES_MAX)?;
    let number = number(sender);
    if number.bytes().filter(u8::is_ascii_digit).count() < NUMBER_DIGITS_MIN {
        let why = format!("the number to call: at least {NUMBER_DIGITS_MIN} digits");
        return Err(invalid("sender", why));
    }
    if let Some(other) = account.callback_of(&rules.name, &number) {
        return Err(Rejection::CallbackExists(other));
    }
    let begins_at = begins_at(account, rules, at, None, now)?;
    let callback = Callback { rules: rules.name.clone(), number, at, attempts: 0, outcome: None };
    Ok(Booking { flow: rules.flow_of(configuration)?, callback, begins_at })
}

fn rules_of<'a>(configuration: &'a Configuration, rules: &Name) -> Result<&'a Arc<CallbackRules>, Rejection> {
    configuration.callback_rules.get(rules).ok_or_else(|| Rejection::CallbackRulesUnknown(rules.clone()))
}

/// When a callback begins that is wanted at a moment, or as soon as possible. `stands` is what it is booked for now.
fn begins_at(
    account: &Account,
    rules: &CallbackRules,
    at: Option<UnixMillis>,
    stands: Option<UnixMillis>,
    now: UnixMillis,
) -> Result<Option<UnixMillis>, Rejection> {
    let calendar = rules.calendar_of(account.configuration())?;
    let Some(at) = at else {
        let opens = calendar.next_opening(now).ok_or(Rejection::SlotUnknown("it does not open within 400 days"))?;
        return Ok((opens > now).then_some(opens));
    };
    let settings = rules.settings();
    let starts_at = slot_at(calendar, &settings, at).ok_or(Rejection::SlotUnknown("it is closed then"))?;
    let offered = settings.offered(now);
    if starts_at < offered.start {
        return Err(Rejection::SlotUnknown("it begins too soon to be booked"));
    }
    if starts_at >= offered.end {
        return Err(Rejection::SlotUnknown("it is too far ahead"));
    }
    let slot = rules.slot(starts_at);
    let own = u32::from(stands.is_some_and(|stands| slot.contains(&stands)));
    if account.callbacks_booked(&rules.name, slot).saturating_sub(own) >= rules.capacity_per_slot {
        return Err(Rejection::SlotFull(starts_at));
    }
    Ok(Some(at))
}

fn callback_of(live: &Live, id: InteractionId) -> Result<&Callback, Rejection> {
    live.callback.as_deref().ok_or(Rejection::NotCallback(id))
}

/// Books a callback for another moment, or for as soon as possible. What nobody has reached yet begins anew then.
pub(crate) fn reschedule(
    draft: &mut Draft<'_>,
    live: &Live,
    at: Option<UnixMillis>,
    speaker: Speaker,
    by: String,
    for_anyone: bool,
) -> Result<(), Rejection> {
    let (account, id) = (draft.account, draft.id);
    let callback = callback_of(live, id)?;
    match &live.state {
        _ if speaker == Speaker::Agent && !for_anyone => drop(agents::own(live, &by, false)?),
        State::Assigned(_) => drop(agents::own(live, &by, for_anyone)?),
        State::Scheduled { .. } | State::Queued(_) | State::Offered { .. } | State::Waiting { .. } => {}
        other => {
            let state = other.kind().name();
            return Err(Rejection::StateWrong { state, wanted: "scheduled, waiting, queued, offered or assigned" });
        }
    }
    let rules = rules_of(account.configuration(), &callback.rules)?;
    let until = begins_at(account, rules, at, callback.at, draft.now)?;
    let flow = rules.flow_of(account.configuration())?;
    agents::end_offers(account, id, live, &agents::revoked("rescheduled")).into_iter().for_each(|e| draft.push(e));
    draft.push(Event::CallbackRescheduled { id, at, by: by.clone() });
    draft.start_anew(flow, until, by);
    if until.is_none() {
        agents::given_back(account, live, draft.now).into_iter().for_each(|event| draft.push(event));
    }
    Ok(())
}

/// An attempt to call somebody back has ended.
pub(crate) fn attempted(
    draft: &mut Draft<'_>,
    live: &Live,
    outcome: AttemptOutcome,
    by: String,
    for_anyone: bool,
) -> Result<(), Rejection> {
    let (account, id, now) = (draft.account, draft.id, draft.now);
    let callback = callback_of(live, id)?;
    agents::own(live, &by, for_anyone)?;
    if callback.outcome == Some(AttemptOutcome::Reached) {
        return Err(Rejection::StateWrong { state: "reached", wanted: "not reached yet" });
    }
    let configuration = account.configuration();
    let rules = rules_of(configuration, &callback.rules)?;
    let attempt = callback.attempts.saturating_add(1);
    let agent = live.agent().cloned();
    let failed = matches!(outcome, AttemptOutcome::NoAnswer | AttemptOutcome::Busy);
    let next_at = (failed && attempt < rules.attempts_max).then(|| {
        let next = now.plus(u64::from(rules.pause_minutes) * MINUTE_MS);
        configuration.calendars.get(&rules.calendar).and_then(|c| c.next_opening(next)).unwrap_or(next)
    });
    let flow = rules.flow_of(configuration)?;
    if outcome != AttemptOutcome::Reached {
        let ended = agents::revoked("transfer-ended");
        agents::end_offers(account, id, live, &ended).into_iter().for_each(|event| draft.push(event));
    }
    draft.push(Event::CallbackAttempted { id, attempt, outcome, agent, next_at, by: by.clone() });
    match (outcome, next_at) {
        (AttemptOutcome::Reached, _) => {}
        (AttemptOutcome::WrongNumber, _) => draft.work_done("wrong-number".into(), by),
        (_, None) => draft.work_done("not-reached".into(), by),
        (_, until) => draft.start_anew(flow, until, by),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_told_in_all_its_forms() {
        let table = [
            ("+49 (30) 123-45", "+493012345"),
            ("0049 30/123.45", "+493012345"),
            (" 030 12345 ", "03012345"),
            ("00", "00"),
            ("+", "+"),
            ("Ana@Example.ORG", "ana@example.org"),
            ("sip:ana-1@example.org", "sip:ana-1@example.org"),
            ("++49", "++49"),
        ];
        for (address, expected) in table {
            assert_eq!(number(address), expected, "{address}");
        }
    }
}
