//! Decides what agents do: log in, become ready, answer offers, work, pass on; and what the server does for them: match,
//! expire, revoke.

use std::collections::BTreeSet;

use crate::account::Account;
use crate::command::{AgentAction, OfferAnswer};
use crate::decide::{check_bytes, find, invalid};
use crate::decision::{Destination, Target};
use crate::document::Queue;
use crate::event::{Event, OfferEnd, Speaker};
use crate::id::{InteractionId, Name, UnixMillis};
use crate::limits;
use crate::live::{Assignment, Attention, Live, Offer, OfferId, State, Wants};
use crate::login::{Connection, Login, Pending, Readiness};
use crate::matching::{Due, Work};
use crate::rejection::Rejection;
use crate::staff::SecondLogin;
use crate::staffing::check_target;
use crate::walk::Draft;

/// Why an agent who has just logged in is not ready yet.
const LOGGED_IN: &str = "logged-in";
/// Why an agent is not ready who did not answer an offer.
const NO_ANSWER: &str = "no-answer";
/// Why an agent is not ready whose connection is gone.
const CONNECTION_LOST: &str = "connection-lost";
/// Disposition code of what the customer closed. Always among the account's.
const CLOSED_BY_CUSTOMER: &str = "closed-by-customer";
/// Disposition code of what was sent outside. Always among the account's.
const FORWARDED: &str = "forwarded";
/// Who did what the server does by itself.
const SERVER: &str = "server";

/// What an agent's own state is asked to become.
pub(crate) fn act(
    account: &Account,
    agent: Name,
    action: AgentAction,
    by: String,
    now: UnixMillis,
) -> Result<Vec<Event>, Rejection> {
    if !account.configuration().agents.contains_key(&agent) {
        return Err(Rejection::AgentUnknown(agent));
    }
    match action {
        AgentAction::LogIn { place, media_types, connected } => {
            log_in(account, agent, place, media_types, connected, by, now)
        }
        AgentAction::LogOut { after_work } => {
            logged_in(account, &agent)?;
            if in_hand(account, &agent) == 0 {
                return Ok(log_out(account, agent, "requested", by, now));
            }
            if !after_work {
                return Err(Rejection::AgentBusy(agent));
            }
            Ok(vec![Event::AgentPending { agent, pending: Some(Pending::LogOut), by }])
        }
        AgentAction::Ready => {
            let login = logged_in(account, &agent)?;
            if let Connection::Lost { .. } = login.connection {
                return Err(Rejection::AgentUnreachable(agent));
            }
            Ok(match (&login.readiness, &login.pending) {
                (Readiness::NotReady { .. }, _) => vec![Event::AgentReady { agent, by }],
                // It is ready as before: what it has declined stays declined.
                (Readiness::Ready, Some(_)) => vec![Event::AgentPending { agent, pending: None, by }],
                (Readiness::Ready, None) => Vec::new(),
            })
        }
        AgentAction::NotReady { reason, after_work } => {
            logged_in(account, &agent)?;
            let reasons = &account.configuration().agent_rules.reasons;
            if !reasons.is_empty() && !reasons.contains(&reason) {
                return Err(Rejection::ReasonUnknown(reason));
            }
            if after_work && in_hand(account, &agent) > 0 {
                return Ok(vec![Event::AgentPending { agent, pending: Some(Pending::NotReady { reason }), by }]);
            }
            let mut events = withdraw(account, &agent, &revoked("not-ready"), now);
            events.push(Event::AgentNotReady { agent, reason, by });
            Ok(events)
        }
        AgentAction::Connect => {
            logged_in(account, &agent)?;
            Ok(vec![Event::AgentConnection { agent, connection: Connection::Open }])
        }
        AgentAction::Disconnect => {
            let login = logged_in(account, &agent)?;
            if login.connection != Connection::Open {
                return Err(Rejection::NotDue);
            }
            let rules = &account.configuration().agent_rules;
            let not_ready_at = now.plus(rules.connection_grace_ms);
            let release_at = not_ready_at.plus(rules.assignment_keep_ms);
            // Whoever is not ready has no offers to lose.
            let not_ready_at = (login.readiness == Readiness::Ready).then_some(not_ready_at);
            Ok(vec![Event::AgentConnection { agent, connection: Connection::Lost { not_ready_at, release_at } }])
        }
    }
}

fn in_hand(account: &Account, agent: &Name) -> u32 {
    account.work(agent.as_str()).map_or(0, Work::in_hand)
}

fn logged_in<'a>(account: &'a Account, agent: &Name) -> Result<&'a Login, Rejection> {
    account.login(agent.as_str()).ok_or_else(|| Rejection::AgentLoggedOut(agent.clone()))
}

fn log_in(
    account: &Account,
    agent: Name,
    place: Option<Name>,
    media_types: BTreeSet<Name>,
    connected: bool,
    by: String,
    now: UnixMillis,
) -> Result<Vec<Event>, Rejection> {
    let configuration = account.configuration();
    if let Some(place) = place.as_ref().filter(|place| !configuration.places.contains_key(*place)) {
        return Err(Rejection::PlaceUnknown(place.clone()));
    }
    if media_types.len() > limits::MEDIA_TYPES_MAX {
        return Err(invalid("media_types", format!("at most {}", limits::MEDIA_TYPES_MAX)));
    }
    let connection = if connected { Connection::Open } else { Connection::None };
    let mut events = Vec::new();
    if let Some(login) = account.login(agent.as_str()) {
        match configuration.agent_rules.second_login {
            SecondLogin::Refuse => return Err(Rejection::AgentLoggedIn(agent)),
            SecondLogin::Allow => {
                if place.is_some() && place != login.place {
                    let why = "the first login stands, at another place: leave it out, or log out before";
                    return Err(invalid("place", why));
                }
                if !media_types.is_empty() && media_types != login.media_types {
                    let why = "the first login stands, for other media types: leave them out, or log out before";
                    return Err(invalid("media_types", why));
                }
                // Over plain HTTP it takes nothing from a session that is open.
                let connection = if login.connection == Connection::Open { Connection::Open } else { connection };
                return Ok(vec![Event::AgentConnection { agent, connection }]);
            }
            SecondLogin::Replace => events = log_out(account, agent.clone(), "replaced", by.clone(), now),
        }
    }
    let reason = own_name(LOGGED_IN);
    events.push(Event::AgentLoggedIn { agent, place, media_types, reason, connection, by });
    Ok(events)
}

/// Logs an agent out. Its offers are revoked; what is assigned to it stays.
fn log_out(account: &Account, agent: Name, reason: &str, by: String, now: UnixMillis) -> Vec<Event> {
    let mut events = withdraw(account, &agent, &revoked("logged-out"), now);
    events.push(Event::AgentLoggedOut { agent, reason: reason.to_owned(), by });
    events
}

/// What has to happen before an agent can be taken away.
pub(crate) fn remove(account: &Account, agent: &Name, by: &str, now: UnixMillis) -> Vec<Event> {
    let mut events = Vec::new();
    if account.login(agent.as_str()).is_some() {
        events = log_out(account, agent.clone(), "removed", by.to_owned(), now);
    }
    events.extend(release_all(account, agent, true, by));
    events
}

/// Puts what an agent works on back into its queues.
fn release_all(account: &Account, agent: &Name, with_workbin: bool, by: &str) -> Vec<Event> {
    let work = account.work(agent.as_str()).map(|work| work.assigned.clone()).unwrap_or_default();
    let mut events = Vec::new();
    for id in work {
        let Some(live) = account.live(id) else { continue };
        let State::Assigned(assignment) = &live.state else { continue };
        if assignment.attention == Attention::Workbin && !with_workbin {
            continue;
        }
        events.extend(end_offers(account, id, live, &revoked("transfer-ended")));
        events.push(Event::Released { id, by: by.to_owned() });
    }
    events
}

fn revoke_all(account: &Account, agent: &Name, how: &OfferEnd) -> Vec<Event> {
    let offered = account.work(agent.as_str()).map(|work| work.offered.clone()).unwrap_or_default();
    let of_agent = offered.into_iter().filter_map(|id| {
        let offer = account.live(id)?.offers().find(|offer| offer.agent == *agent)?;
        Some(offer_ended(account, id, offer, how.clone()))
    });
    of_agent.collect()
}

/// Takes all offers back from an agent, who rests then: however it goes and comes back, it gets no other at once.
fn withdraw(account: &Account, agent: &Name, how: &OfferEnd, now: UnixMillis) -> Vec<Event> {
    let mut events = revoke_all(account, agent, how);
    if !events.is_empty() {
        events.extend(rest(account, agent, now));
    }
    events
}

/// An agent who did not take an offer, or put work back, gets no other offer for a while.
fn rest(account: &Account, agent: &Name, now: UnixMillis) -> Option<Event> {
    let until = now.plus(account.configuration().agent_rules.reoffer_delay_ms);
    account.login(agent.as_str()).map(|_| Event::AgentRests { agent: agent.clone(), until: Some(until) })
}

/// Puts an interaction back to its place in the queue.
pub(crate) fn release(account: &Account, id: InteractionId, live: &Live, by: String, now: UnixMillis) -> Vec<Event> {
    let mut events = end_offers(account, id, live, &revoked("transfer-ended"));
    events.push(Event::Released { id, by });
    events.extend(given_back(account, live, now));
    events
}

/// The agent who had an interaction rests, for else it would get it again at once.
pub(crate) fn given_back(account: &Account, live: &Live, now: UnixMillis) -> Option<Event> {
    match &live.state {
        State::Assigned(assignment) => rest(account, assignment.agent.as_ref()?, now),
        _ => None,
    }
}

/// Ends all offers of an interaction.
pub(crate) fn end_offers(account: &Account, id: InteractionId, live: &Live, how: &OfferEnd) -> Vec<Event> {
    live.offers().map(|offer| offer_ended(account, id, offer, how.clone())).collect()
}

fn offer_ended(account: &Account, id: InteractionId, offer: &Offer, how: OfferEnd) -> Event {
    let ready_by = account.login(offer.agent.as_str()).map(|login| login.ready_by).unwrap_or_default();
    Event::OfferEnded { id, offer: offer.id, agent: offer.agent.clone(), how, ready_by }
}

pub(crate) fn revoked(reason: &str) -> OfferEnd {
    OfferEnd::Revoked { reason: reason.to_owned() }
}

/// A name of the server's own.
fn own_name(name: &str) -> Name {
    Name::new(name).unwrap_or_else(|e| panic!("`{name}` is a name: {e}"))
}

/// Something about an agent is due by the clock.
pub(crate) fn timer_due(account: &Account, agent: Name, now: UnixMillis) -> Result<Vec<Event>, Rejection> {
    let login = logged_in(account, &agent)?;
    let mut events = Vec::new();
    if login.rests_until.is_some_and(|until| until <= now) {
        events.push(Event::AgentRests { agent: agent.clone(), until: None });
    }
    match login.connection {
        Connection::Lost { not_ready_at: Some(at), .. } if at <= now => {
            events.extend(withdraw(account, &agent, &OfferEnd::DeliveryFailed, now));
            let reason = own_name(CONNECTION_LOST);
            events.push(Event::AgentNotReady { agent, reason, by: SERVER.into() });
        }
        Connection::Lost { not_ready_at: None, release_at } if release_at <= now => {
            let released = release_all(account, &agent, false, SERVER);
            if !released.is_empty() {
                events.extend(released);
                events.extend(rest(account, &agent, now));
            }
            // Nothing is kept for it any more; what it was not ready for before stays its reason.
            events.push(Event::AgentConnection { agent, connection: Connection::None });
        }
        _ => {}
    }
    if events.is_empty() { Err(Rejection::NotDue) } else { Ok(events) }
}

/// Brings one interaction and one agent together, where there are two that fit: the one is what the other should get next,
/// and the other the one who should get it.
pub(crate) fn match_due(account: &Account, due: &Due, now: UnixMillis) -> Result<Vec<Event>, Rejection> {
    let (mut id, mut agent) = match due {
        Due::Agent(agent) => {
            if let Some(stopped) = stop(account, agent, now) {
                return Ok(stopped);
            }
            let taken_back = misfits(account, agent);
            if !taken_back.is_empty() {
                return Ok(taken_back);
            }
            (None, agent.clone())
        }
        Due::Again(_) => return Err(Rejection::NotDue),
        Due::Interaction(id) => {
            let live = find(account, *id)?;
            if let State::Assigned(assignment) = &live.state {
                return Ok(vec![hand_on(account, *id, live, assignment, now)?]);
            }
            (Some(*id), account.agent_for(live).ok_or(Rejection::NotDue)?)
        }
    };
    // All agents see the same order, so whatever another one should get instead comes before it: this ends.
    loop {
        let next = account.next_for(&agent, logged_in(account, &agent)?, now).ok_or(Rejection::NotDue)?;
        let live = find(account, next)?;
        let best = if id == Some(next) { agent.clone() } else { account.agent_for(live).ok_or(Rejection::NotDue)? };
        if best == agent {
            let queue = live.position().map(|position| position.queue.clone());
            return Ok(vec![offer(account, next, agent, queue.as_ref(), now)]);
        }
        (id, agent) = (Some(next), best);
    }
}

/// Takes back what is held out to an agent who has no room for it any more, or is no longer one of those whom it is for. What
/// was offered first stays first.
fn misfits(account: &Account, agent: &Name) -> Vec<Event> {
    let (Some(work), Some(capacity)) = (account.work(agent.as_str()), account.capacity(agent)) else {
        return Vec::new();
    };
    let mut offers: Vec<(InteractionId, &Live, &Offer)> = Vec::new();
    let mut load = work.load.clone();
    for id in &work.offered {
        let Some(live) = account.live(*id) else { continue };
        offers.extend(live.offers().filter(|offer| offer.agent == *agent).map(|offer| (*id, live, offer)));
        if let Some(count) = load.get_mut(&live.media_type) {
            *count = count.saturating_sub(1);
        }
    }
    offers.sort_by_key(|(.., offer)| offer.id);
    let mut events = Vec::new();
    for (id, live, offer) in offers {
        let why = if account.is_misfit(agent, live) {
            "no-longer-meant"
        } else if !capacity.can_take(&load, &live.media_type) {
            "no-capacity"
        } else {
            *load.entry(live.media_type.clone()).or_default() += 1;
            continue;
        };
        events.push(offer_ended(account, id, offer, revoked(why)));
    }
    events
}

/// Asks the next one to take something over, or ends the attempt.
fn hand_on(
    account: &Account,
    id: InteractionId,
    live: &Live,
    assignment: &Assignment,
    now: UnixMillis,
) -> Result<Event, Rejection> {
    let transfer = assignment.transfer.as_ref().filter(|transfer| transfer.offer.is_none());
    let transfer = transfer.ok_or(Rejection::NotDue)?;
    let in_time = transfer.until > now;
    let next = in_time.then(|| transferee(account, live, assignment, &transfer.to, &transfer.asked)).flatten();
    Ok(match next {
        Some(agent) => offer(account, id, agent, Some(&assignment.position.queue), now),
        None => Event::TransferFailed { id, agent: assignment.agent.clone() },
    })
}

/// Whom a transfer is held out to next.
fn transferee(account: &Account, live: &Live, assignment: &Assignment, to: &Target, asked: &[Name]) -> Option<Name> {
    let wants = Wants { target: to.clone(), skills: Vec::new(), choice: Default::default(), offers_max: 1 };
    let except: Vec<&Name> = asked.iter().chain(&assignment.agent).collect();
    account.free_agent(&wants, &live.media_type, &except)
}

/// What an agent does who wanted to stop after its work, and has none.
fn stop(account: &Account, agent: &Name, now: UnixMillis) -> Option<Vec<Event>> {
    let pending = account.login(agent.as_str())?.pending.clone()?;
    if account.agent_load(agent) > 0 {
        return None;
    }
    Some(match pending {
        Pending::LogOut => log_out(account, agent.clone(), "pending", SERVER.into(), now),
        Pending::NotReady { reason } => vec![Event::AgentNotReady { agent: agent.clone(), reason, by: SERVER.into() }],
    })
}

fn offer(account: &Account, id: InteractionId, agent: Name, queue: Option<&Name>, now: UnixMillis) -> Event {
    let timeout = queue_of(account, queue).map_or(Queue::OFFER_TIMEOUT_MS, |queue| queue.offer_timeout_ms);
    let offer = Offer { id: OfferId(account.sequence().next().0), agent, expires: now.plus(timeout), since: now };
    Event::Offered { id, offer }
}

fn queue_of<'a>(account: &'a Account, queue: Option<&Name>) -> Option<&'a Queue> {
    account.configuration().queues.get(queue?)
}

/// An agent answers an offer.
pub(crate) fn answer(
    draft: &mut Draft<'_>,
    offer: OfferId,
    agent: &Name,
    answer: OfferAnswer,
) -> Result<(), Rejection> {
    let (account, id, now) = (draft.account, draft.id, draft.now);
    let live = find(account, id)?;
    // Late by a millisecond is late: whether the clock has been looked at already makes no difference.
    let open = live.offers().find(|o| o.id == offer && o.agent == *agent).filter(|o| o.expires > now);
    let open = open.ok_or(Rejection::OfferEnded { interaction: id, offer })?;
    match answer {
        OfferAnswer::Accept => {
            logged_in(account, agent)?;
            for other in live.offers().filter(|other| other.id != offer) {
                draft.push(offer_ended(account, id, other, revoked("accepted-by-another")));
            }
            let idle_until = idle_until(account, live, now);
            draft.push(offer_ended(account, id, open, OfferEnd::Accepted));
            let (agent, by) = (agent.clone(), agent.to_string());
            draft.push(Event::Assigned { id, agent, offer: Some(offer), idle_until, by });
        }
        OfferAnswer::Decline { reason } => {
            if reason.len() > limits::VALUE_BYTES_MAX {
                return Err(invalid("reason", format!("at most {} bytes", limits::VALUE_BYTES_MAX)));
            }
            not_accepted(draft, live, std::slice::from_ref(open), &OfferEnd::Declined { reason });
        }
    }
    Ok(())
}

/// Ends offers that were not accepted; the interaction goes on by `declined-by-all` where all who could take it have
/// declined and the workflow says what then.
fn not_accepted(draft: &mut Draft<'_>, live: &Live, offers: &[Offer], how: &OfferEnd) {
    let (account, id, now) = (draft.account, draft.id, draft.now);
    let queue = queue_of(account, live.position().map(|position| &position.queue));
    let sets_not_ready = *how == OfferEnd::Expired && queue.is_some_and(|queue| queue.no_answer_not_ready);
    for offer in offers {
        draft.push(offer_ended(account, id, offer, how.clone()));
        let agent = offer.agent.clone();
        let Some(login) = account.login(agent.as_str()) else { continue };
        rest(account, &agent, now).into_iter().for_each(|event| draft.push(event));
        if sets_not_ready {
            let others = revoke_all(account, &agent, &revoked("not-ready"));
            others.into_iter().filter(|e| e.interaction() != Some(id)).for_each(|event| draft.push(event));
            draft.push(Event::AgentNotReady { agent: agent.clone(), reason: own_name(NO_ANSWER), by: SERVER.into() });
            // Whoever wanted to leave after this still does.
            if let Some(pending @ Pending::LogOut) = login.pending.clone() {
                draft.push(Event::AgentPending { agent, pending: Some(pending), by: SERVER.into() });
            }
        }
    }
    draft.leave_if_nobody_is_left();
}

fn idle_until(account: &Account, live: &Live, now: UnixMillis) -> Option<UnixMillis> {
    let queue = queue_of(account, live.position().map(|position| &position.queue))?;
    queue.inactivity_ms.map(|ms| now.plus(ms))
}

/// The agent who has an interaction asked for something at a moment.
pub(crate) fn seen(
    account: &Account,
    id: InteractionId,
    at: UnixMillis,
    now: UnixMillis,
) -> Result<Vec<Event>, Rejection> {
    let live = find(account, id)?;
    let State::Assigned(assignment) = &live.state else { return Err(Rejection::NotDue) };
    let until = idle_until(account, live, at.min(now));
    // Where the queue has no limit any more, the one that runs goes.
    match (assignment.idle_until, until) {
        (Some(before), Some(until)) if until <= before => Err(Rejection::NotDue),
        (None, _) => Err(Rejection::NotDue),
        (Some(_), idle_until) => {
            let (attention, by) = (assignment.attention, assignment.by.clone());
            Ok(vec![Event::AttentionSet { id, attention, idle_until, by }])
        }
    }
}

/// When what somebody has goes back to its queue unless they do something about it again: hand-taken work and what lies
/// in a workbin stay.
fn attended_until(
    account: &Account,
    live: &Live,
    assignment: &Assignment,
    attention: Attention,
    now: UnixMillis,
) -> Option<UnixMillis> {
    let counts = assignment.agent.is_some() && attention != Attention::Workbin;
    counts.then(|| idle_until(account, live, now)).flatten()
}

/// Whoever has it has done something about it.
fn attended(
    account: &Account,
    id: InteractionId,
    live: &Live,
    assignment: &Assignment,
    by: &str,
    now: UnixMillis,
) -> Option<Event> {
    let attention = assignment.attention;
    let idle_until = attended_until(account, live, assignment, attention, now);
    let changes = idle_until != assignment.idle_until;
    changes.then(|| Event::AttentionSet { id, attention, idle_until, by: by.to_owned() })
}

/// The timer of an interaction that agents are concerned with. Answers whether it was one.
pub(crate) fn interaction_timer_due(draft: &mut Draft<'_>, live: &Live) -> bool {
    let (account, id, now) = (draft.account, draft.id, draft.now);
    match &live.state {
        State::Queued(position) if position.timeout.is_none_or(|timeout| timeout > now) => {
            draft.relax();
        }
        State::Offered { position, .. } if position.timeout.is_some_and(|timeout| timeout <= now) => {
            end_offers(account, id, live, &revoked("timeout")).into_iter().for_each(|event| draft.push(event));
            draft.go_on("timeout");
        }
        State::Offered { offers, .. } => {
            let expired: Vec<Offer> = offers.iter().filter(|offer| offer.expires <= now).cloned().collect();
            not_accepted(draft, live, &expired, &OfferEnd::Expired);
        }
        State::Assigned(assignment) => {
            let expired: Vec<Offer> = live.offers().filter(|offer| offer.expires <= now).cloned().collect();
            if !expired.is_empty() {
                not_accepted(draft, live, &expired, &OfferEnd::Expired);
            }
            if assignment.idle_until.is_some_and(|until| until <= now) {
                let open = live.offers().filter(|offer| offer.expires > now);
                open.for_each(|offer| draft.push(offer_ended(account, id, offer, revoked("transfer-ended"))));
                draft.push(Event::Released { id, by: "inactivity".into() });
                given_back(account, live, now).into_iter().for_each(|event| draft.push(event));
            }
        }
        State::WrapUp(wrap_up) => draft.work_done(wrap_up.disposition.clone(), wrap_up.agent.to_string()),
        State::Scheduled { .. } => draft.begin(),
        _ => return false,
    }
    true
}

/// Whose work it is, or may be treated as.
pub(crate) fn own<'a>(live: &'a Live, by: &str, for_anyone: bool) -> Result<&'a Assignment, Rejection> {
    match &live.state {
        State::Assigned(assignment) if for_anyone || assignment.by == by => Ok(assignment),
        State::Assigned(assignment) => Err(Rejection::AssignedToAnother(assignment.by.clone())),
        _ => Err(Rejection::StateWrong { state: live.state.kind().name(), wanted: "assigned" }),
    }
}

/// An agent holds, takes back from hold, puts into its workbin or takes out of it.
pub(crate) fn attend(
    account: &Account,
    id: InteractionId,
    attention: Attention,
    by: String,
    for_anyone: bool,
    now: UnixMillis,
) -> Result<Vec<Event>, Rejection> {
    let live = find(account, id)?;
    let assignment = own(live, &by, for_anyone)?;
    let agent = assignment.agent.as_ref();
    if attention == Attention::Workbin && agent.is_none() {
        return Err(Rejection::StateWrong { state: "taken by hand", wanted: "assigned to an agent" });
    }
    if let (Attention::Workbin, Some(agent)) = (assignment.attention, agent)
        && attention != Attention::Workbin
        && !account.has_capacity(agent, &live.media_type)
    {
        return Err(Rejection::CapacityExceeded(agent.clone()));
    }
    let idle_until = attended_until(account, live, assignment, attention, now);
    Ok(vec![Event::AttentionSet { id, attention, idle_until, by }])
}

/// Somebody takes an interaction by hand, whoever it is offered to or has it.
pub(crate) fn take_over(account: &Account, id: InteractionId, by: String) -> Result<Vec<Event>, Rejection> {
    let live = find(account, id)?;
    let queue = live.position().map(|position| position.queue.clone());
    let wrong = || Rejection::StateWrong { state: live.state.kind().name(), wanted: "queued, offered or assigned" };
    let taken = Event::Taken { id, queue: queue.ok_or_else(wrong)?, by };
    let mut events = end_offers(account, id, live, &revoked("taken"));
    events.push(taken);
    Ok(events)
}

/// The work on it is done: after-contact work begins where the queue allows time for it. Whoever may act for anyone may say
/// so of what nobody works on, too.
pub(crate) fn complete(
    draft: &mut Draft<'_>,
    live: &Live,
    disposition: String,
    by: String,
    for_anyone: bool,
) -> Result<(), Rejection> {
    let (account, id) = (draft.account, draft.id);
    let untouched =
        matches!(live.state, State::Queued(_) | State::Offered { .. } | State::WrapUp(_) | State::Parked(_));
    let (state, wanted) = (live.state.kind().name(), "queued, offered, assigned, in wrap-up or parked");
    match live.state {
        State::Assigned(_) => drop(own(live, &by, for_anyone)?),
        _ if !for_anyone => return Err(Rejection::StateWrong { state, wanted: "assigned" }),
        _ if untouched => {}
        _ => return Err(Rejection::StateWrong { state, wanted }),
    }
    check_bytes("disposition", &disposition, limits::KEY_BYTES_MAX)?;
    check_disposition(account, &disposition)?;
    if untouched {
        end_offers(account, id, live, &revoked("completed")).into_iter().for_each(|event| draft.push(event));
        draft.work_done(disposition, by);
    } else {
        contact_over(draft, live, disposition, by, &revoked("transfer-ended"));
    }
    Ok(())
}

/// An assigned interaction is sent outside: the work on it is done with that.
pub(crate) fn forward(
    draft: &mut Draft<'_>,
    live: &Live,
    to: Destination,
    by: String,
    for_anyone: bool,
) -> Result<(), Rejection> {
    own(live, &by, for_anyone)?;
    if let Destination::Queue(_) = to {
        return Err(invalid("to", "an address or a URL; a transfer leads to a queue"));
    }
    draft.forward(to).map_err(|why| invalid("to", why))?;
    contact_over(draft, live, FORWARDED.into(), by, &revoked("transfer-ended"));
    Ok(())
}

fn contact_over(draft: &mut Draft<'_>, live: &Live, disposition: String, by: String, offers_end: &OfferEnd) {
    let (account, id, now) = (draft.account, draft.id, draft.now);
    end_offers(account, id, live, offers_end).into_iter().for_each(|event| draft.push(event));
    let wrap_up_ms = queue_of(account, live.position().map(|p| &p.queue)).map_or(0, |queue| queue.wrap_up_ms);
    // What lies in the workbin takes up no capacity: its wrap-up could be more than the agent has room for.
    let counts = matches!(&live.state, State::Assigned(work) if work.attention != Attention::Workbin);
    match live.agent() {
        Some(agent) if wrap_up_ms > 0 && counts => {
            let (agent, until) = (agent.clone(), now.plus(wrap_up_ms));
            draft.push(Event::WrapUpStarted { id, agent, disposition, until });
        }
        _ => draft.work_done(disposition, by),
    }
}

fn check_disposition(account: &Account, disposition: &str) -> Result<(), Rejection> {
    let known = &account.configuration().agent_rules.dispositions;
    let own = matches!(disposition, CLOSED_BY_CUSTOMER | FORWARDED);
    if !known.is_empty() && !known.contains(disposition) && !own {
        return Err(Rejection::DispositionUnknown(disposition.to_owned()));
    }
    Ok(())
}

/// After-contact work is done.
pub(crate) fn finish_wrap_up(
    draft: &mut Draft<'_>,
    live: &Live,
    disposition: Option<String>,
    by: String,
    for_anyone: bool,
) -> Result<(), Rejection> {
    let State::WrapUp(wrap_up) = &live.state else {
        return Err(Rejection::StateWrong { state: live.state.kind().name(), wanted: "wrap-up" });
    };
    if !for_anyone && wrap_up.agent != by.as_str() {
        return Err(Rejection::AssignedToAnother(wrap_up.agent.to_string()));
    }
    if let Some(disposition) = &disposition {
        check_bytes("disposition", disposition, limits::KEY_BYTES_MAX)?;
        check_disposition(draft.account, disposition)?;
    }
    draft.work_done(disposition.unwrap_or_else(|| wrap_up.disposition.clone()), by);
    Ok(())
}

/// Holds an assigned interaction out to another agent, and where that one does not accept, to the others who were meant.
pub(crate) fn transfer(
    draft: &mut Draft<'_>,
    live: &Live,
    to: Target,
    by: &str,
    for_anyone: bool,
) -> Result<(), Rejection> {
    let (account, id, now) = (draft.account, draft.id, draft.now);
    let assignment = free_to_transfer(live, by, for_anyone)?;
    check_target(account.configuration(), &to)?;
    let to = draft.resolved(to);
    let agent = transferee(account, live, assignment, &to, &[]).ok_or(Rejection::NobodyAvailable)?;
    attended(account, id, live, assignment, by, now).into_iter().for_each(|event| draft.push(event));
    draft.push(Event::TransferBegan { id, to, until: now.plus(limits::TRANSFER_MS_MAX), by: by.to_owned() });
    draft.push(offer(account, id, agent, Some(&assignment.position.queue), now));
    Ok(())
}

/// Puts an assigned interaction into another queue with its age.
pub(crate) fn transfer_to_queue(
    draft: &mut Draft<'_>,
    live: &Live,
    queue: &str,
    by: String,
    for_anyone: bool,
) -> Result<(), Rejection> {
    free_to_transfer(live, &by, for_anyone)?;
    move_to(draft, live, queue, by)
}

fn free_to_transfer<'a>(live: &'a Live, by: &str, for_anyone: bool) -> Result<&'a Assignment, Rejection> {
    let assignment = own(live, by, for_anyone)?;
    match assignment.transfer {
        Some(_) => Err(Rejection::StateWrong { state: "being transferred", wanted: "assigned" }),
        None => Ok(assignment),
    }
}

/// Puts an interaction into another queue. The age of what has one stays; how long it may wait is a matter of the queue that
/// it leaves.
pub(crate) fn move_to(draft: &mut Draft<'_>, live: &Live, queue: &str, by: String) -> Result<(), Rejection> {
    let (account, id) = (draft.account, draft.id);
    let old = live.position();
    if old.is_none() && !matches!(live.state, State::WrapUp(_) | State::Parked(_)) {
        let wanted = "queued, offered, assigned, in wrap-up or parked";
        return Err(Rejection::StateWrong { state: live.state.kind().name(), wanted });
    }
    let (queue, _) = account.configuration().queues.get_key_value(queue).ok_or_else(|| match Name::new(queue) {
        Ok(name) => Rejection::QueueUnknown(name),
        Err(error) => invalid("queue", error.to_string()),
    })?;
    let mut position = draft.position(queue.clone(), None, None, &[]);
    if let Some(old) = old {
        position.clock = old.clock;
        // Skills that are no longer asked for, as it has waited long, stay so.
        if let (Some(wants), Some(old)) = (&mut position.wants, &old.wants) {
            wants.skills.clone_from(&old.skills);
        }
    }
    end_offers(account, id, live, &revoked("moved")).into_iter().for_each(|event| draft.push(event));
    draft.leave_unless_at_queue();
    draft.push(Event::Moved { id, queue: queue.clone(), by });
    draft.push(Event::Queued { id, position: Box::new(position) });
    given_back(account, live, draft.now).into_iter().for_each(|event| draft.push(event));
    Ok(())
}

/// A supervisor gives an interaction to an agent, whatever its capacity.
pub(crate) fn assign(
    account: &Account,
    id: InteractionId,
    agent: Name,
    by: String,
    now: UnixMillis,
) -> Result<Vec<Event>, Rejection> {
    if !account.configuration().agents.contains_key(&agent) {
        return Err(Rejection::AgentUnknown(agent));
    }
    logged_in(account, &agent)?;
    let live = find(account, id)?;
    if live.position().is_none() {
        let state = live.state.kind().name();
        return Err(Rejection::StateWrong { state, wanted: "queued, offered or assigned" });
    }
    let mut events = end_offers(account, id, live, &revoked("moved"));
    let idle_until = idle_until(account, live, now);
    events.push(Event::Assigned { id, agent, offer: None, idle_until, by });
    Ok(events)
}

/// An agent takes what it chose, if its capacity allows.
pub(crate) fn take(
    account: &Account,
    id: InteractionId,
    agent: Name,
    by: String,
    now: UnixMillis,
) -> Result<Vec<Event>, Rejection> {
    let live = find(account, id)?;
    logged_in(account, &agent)?;
    if !account.has_capacity(&agent, &live.media_type) {
        return Err(Rejection::CapacityExceeded(agent));
    }
    Ok(vec![Event::Assigned { id, agent, offer: None, idle_until: idle_until(account, live, now), by }])
}

/// Somebody says something in an interaction.
pub(crate) fn say(
    draft: &mut Draft<'_>,
    live: &Live,
    speaker: Speaker,
    text: String,
    by: String,
    for_anyone: bool,
) -> Result<(), Rejection> {
    let id = draft.id;
    check_bytes("text", &text, limits::REPLY_BYTES_MAX)?;
    if speaker == Speaker::Agent {
        let assignment = own(live, &by, for_anyone)?;
        attended(draft.account, id, live, assignment, &by, draft.now).into_iter().for_each(|event| draft.push(event));
    }
    draft.push(Event::Said { id, speaker, by, text });
    Ok(())
}

/// The customer closes it: what nobody has worked on is abandoned, what somebody works on is done.
pub(crate) fn close(draft: &mut Draft<'_>, live: &Live, reason: String, by: String) -> Result<(), Rejection> {
    let (account, id) = (draft.account, draft.id);
    match &live.state {
        State::WrapUp(_) => Err(Rejection::StateWrong { state: "wrap-up", wanted: "not worked on, or assigned" }),
        State::Assigned(_) => {
            draft.push(Event::Closed { id, reason, by: by.clone() });
            contact_over(draft, live, CLOSED_BY_CUSTOMER.into(), by, &OfferEnd::CustomerGone);
            Ok(())
        }
        _ => {
            end_offers(account, id, live, &OfferEnd::CustomerGone).into_iter().for_each(|event| draft.push(event));
            draft.push(Event::Abandoned { id, reason, by });
            Ok(())
        }
    }
}
