//! Decides what one command does to one account.
//!
//! Pure: no clock, randomness, I/O or async; time arrives as `now`, content as `content`. Reads state and returns
//! events; only [`Account::apply`] changes state.

use std::sync::Arc;

use crate::account::Account;
use crate::binding;
use crate::command::{Command, Submission};
use crate::content::{Content, Entry};
use crate::decision::Target;
use crate::document::{DocumentKey, DocumentKind};
use crate::event::{Delivery, DeliveryKey, DeliveryState, Event, OfferEnd, Park, Record};
use crate::figure::Figures;
use crate::id::{CallId, InteractionId, Name, UnixMillis};
use crate::limits;
use crate::live::{Live, State};
use crate::matching::Due;
use crate::rejection::Rejection;
use crate::walk::Draft;
use crate::{again, agents, callbacks, canary, documents, outgoing};

/// What an accepted command does.
#[derive(Debug, Clone)]
pub struct Decided {
    /// To be stored and then applied.
    pub record: Record,
    /// The content of each interaction whose content is new or has changed, as it is afterwards.
    pub contents: Vec<(InteractionId, Content)>,
}

/// The interaction whose content [`decide`] has to be given for this command, if any.
#[must_use]
pub fn reads(account: &Account, command: &Command) -> Option<InteractionId> {
    let id = match command {
        Command::StrategyAnswered { interaction, .. }
        | Command::EndpointAnswered { interaction, .. }
        | Command::TimerDue { interaction }
        | Command::Say { interaction, .. }
        | Command::RescheduleCallback { interaction, .. }
        | Command::CallbackAttempted { interaction, .. }
        | Command::SetUserData { interaction, .. }
        | Command::Resume { interaction, .. }
        | Command::AnswerOffer { interaction, .. }
        | Command::FinishWrapUp { interaction, .. }
        | Command::Close { interaction, .. }
        | Command::Move { interaction, .. }
        | Command::Transfer { interaction, .. }
        | Command::Forward { interaction, .. }
        | Command::Complete { interaction, .. } => *interaction,
        Command::Match(due) => return looks_again(account, due),
        _ => return None,
    };
    account.live(id).map(|_| id)
}

/// The interaction that may have to do something else before it can be offered to anybody.
fn looks_again(account: &Account, due: &Due) -> Option<InteractionId> {
    match due {
        Due::Interaction(id) | Due::Again(id) => Some(*id).filter(|id| again::is_to_be_looked_at(account, *id)),
        Due::Agent(_) => None,
    }
}

/// Says what a command does, or why it is refused. `content` is what [`reads`] asks for, `figures` what the stat server
/// knows now; both are inputs like `now`, and what conditions read of `figures` is in the record.
///
/// # Errors
/// [`Rejection`]: the command was understood and refused; nothing changes.
///
/// # Panics
/// Where `content` is missing although [`reads`] asked for it.
pub fn decide(
    account: &Account,
    command: Command,
    content: Option<Content>,
    figures: &dyn Figures,
    now: UnixMillis,
) -> Result<Decided, Rejection> {
    let sequence = account.sequence().next();
    let draft = |id: InteractionId, live: &Live| {
        let content = content.clone().unwrap_or_else(|| panic!("content of {id} was asked for and not given"));
        Draft::new(account, id, live.clone(), content, figures, now)
    };
    let mut contents = Vec::new();
    let mut events = match command {
        Command::Submit(submission) => {
            let draft = submit(account, *submission, figures, now)?;
            draft.finish(&mut contents)
        }
        Command::StrategyAnswered { call, interaction, answer } => {
            let live = awaited(account, interaction, call)?;
            let mut draft = draft(interaction, live);
            draft.answered(call, answer.result);
            draft.finish(&mut contents)
        }
        Command::EndpointAnswered { call, interaction, result } => {
            let live = account.live(interaction).filter(|live| live.endpoint_call() == Some(call));
            let mut draft = draft(interaction, live.ok_or(Rejection::NotAwaited)?);
            draft.endpoint_answered(result);
            draft.finish(&mut contents)
        }
        Command::TimerDue { interaction } => {
            let live = find(account, interaction)?;
            if live.timer().is_none_or(|due| due > now) {
                return Err(Rejection::NotDue);
            }
            let mut draft = draft(interaction, live);
            match live.state {
                State::Calling { .. } => draft.call_endpoint_again(),
                _ if agents::interaction_timer_due(&mut draft, live) => {}
                State::Queued(_) => draft.go_on("timeout"),
                _ => draft.go_on("next"),
            }
            draft.finish(&mut contents)
        }
        Command::ContentLost { interaction, why } => {
            let live = find(account, interaction)?;
            if let State::Parked(_) = live.state {
                return Err(wrong(live, "under way"));
            }
            let message = format!("its content cannot be read: {why}; restore a backup and resume it, or cancel it");
            let ended = OfferEnd::Revoked { reason: "parked".into() };
            let mut events = agents::end_offers(account, interaction, live, &ended);
            events.push(Event::Parked { id: interaction, park: Park { code: "content-lost".into(), message } });
            events
        }
        Command::SetUserData { interaction, entries } => {
            let mut draft = draft(interaction, find(account, interaction)?);
            check_user_data(draft.content(), &entries)?;
            for Entry { key, value } in entries {
                draft.push(Event::UserDataSet { id: interaction, key, value });
            }
            draft.finish(&mut contents)
        }
        Command::Cancel { interaction, reason, by, for_customer } => {
            let live = find(account, interaction)?;
            check_bytes("reason", &reason, limits::VALUE_BYTES_MAX)?;
            let how = if for_customer { OfferEnd::CustomerGone } else { agents::revoked("cancelled") };
            let mut events = agents::end_offers(account, interaction, live, &how);
            events.push(Event::Cancelled { id: interaction, reason, by });
            events
        }
        Command::Resume { interaction, element, by } => {
            let live = find(account, interaction)?;
            let State::Parked(_) = live.state else { return Err(wrong(live, "parked")) };
            let mut draft = draft(interaction, live);
            draft.resume(element, by)?;
            draft.finish(&mut contents)
        }
        Command::Take { queue, agent, by } => {
            if !account.configuration().queues.contains_key(&queue) {
                return Err(Rejection::QueueUnknown(queue));
            }
            let id = account.queue(queue.as_str()).next().ok_or_else(|| Rejection::QueueEmpty(queue.clone()))?;
            // Whoever is no agent takes it to work on it elsewhere, and nobody counts it.
            match agent.filter(|agent| account.configuration().agents.contains_key(agent)) {
                Some(agent) => agents::take(account, id, agent, by, now)?,
                None => vec![Event::Taken { id, queue, by }],
            }
        }
        Command::TakeOver { interaction, by } => agents::take_over(account, interaction, by)?,
        Command::Release { interaction, by, for_anyone } => {
            let live = find(account, interaction)?;
            agents::own(live, &by, for_anyone)?;
            agents::release(account, interaction, live, by, now)
        }
        Command::Complete { interaction, disposition, by, for_anyone } => {
            let live = find(account, interaction)?;
            let mut draft = draft(interaction, live);
            agents::complete(&mut draft, live, disposition, by, for_anyone)?;
            draft.finish(&mut contents)
        }
        Command::Agent { agent, action, by } => agents::act(account, agent, action, by, now)?,
        Command::AgentTimerDue { agent } => agents::timer_due(account, agent, now)?,
        Command::Match(due) => {
            let mut looked = Vec::new();
            if let Some(id) = looks_again(account, &due) {
                let mut draft = draft(id, find(account, id)?);
                draft.look_again();
                looked = draft.finish(&mut contents);
            }
            if looked.is_empty() { agents::match_due(account, &due, now)? } else { looked }
        }
        Command::AnswerOffer { interaction, offer, agent, answer } => {
            let live = account.live(interaction).ok_or(Rejection::OfferEnded { interaction, offer })?;
            let mut draft = draft(interaction, live);
            agents::answer(&mut draft, offer, &agent, answer)?;
            draft.finish(&mut contents)
        }
        Command::Attend { interaction, attention, by, for_anyone } => {
            agents::attend(account, interaction, attention, by, for_anyone, now)?
        }
        Command::AgentSeen { interaction, at } => agents::seen(account, interaction, at, now)?,
        Command::FinishWrapUp { interaction, disposition, by, for_anyone } => {
            let live = find(account, interaction)?;
            let mut draft = draft(interaction, live);
            agents::finish_wrap_up(&mut draft, live, disposition, by, for_anyone)?;
            draft.finish(&mut contents)
        }
        Command::Transfer { interaction, to: Target::Queue(queue), by, for_anyone } => {
            let live = find(account, interaction)?;
            let mut draft = draft(interaction, live);
            agents::transfer_to_queue(&mut draft, live, &queue, by, for_anyone)?;
            draft.finish(&mut contents)
        }
        Command::Transfer { interaction, to, by, for_anyone } => {
            let live = find(account, interaction)?;
            let mut draft = draft(interaction, live);
            agents::transfer(&mut draft, live, to, &by, for_anyone)?;
            draft.finish(&mut contents)
        }
        Command::Forward { interaction, to, by, for_anyone } => {
            let live = find(account, interaction)?;
            let mut draft = draft(interaction, live);
            agents::forward(&mut draft, live, to, by, for_anyone)?;
            draft.finish(&mut contents)
        }
        Command::Move { interaction, queue, by } => {
            let live = find(account, interaction)?;
            let mut draft = draft(interaction, live);
            agents::move_to(&mut draft, live, queue.as_str(), by)?;
            draft.finish(&mut contents)
        }
        Command::Assign { interaction, agent, by } => agents::assign(account, interaction, agent, by, now)?,
        Command::Say { interaction, speaker, text, by, for_anyone } => {
            let live = find(account, interaction)?;
            let mut draft = draft(interaction, live);
            agents::say(&mut draft, live, speaker, text, by, for_anyone)?;
            draft.finish(&mut contents)
        }
        Command::Close { interaction, reason, by } => {
            let live = find(account, interaction)?;
            check_bytes("reason", &reason, limits::VALUE_BYTES_MAX)?;
            let mut draft = draft(interaction, live);
            agents::close(&mut draft, live, reason, by)?;
            draft.finish(&mut contents)
        }
        Command::RescheduleCallback { interaction, at, speaker, by, for_anyone } => {
            let live = find(account, interaction)?;
            let mut draft = draft(interaction, live);
            callbacks::reschedule(&mut draft, live, at, speaker, by, for_anyone)?;
            draft.finish(&mut contents)
        }
        Command::CallbackAttempted { interaction, outcome, by, for_anyone } => {
            let live = find(account, interaction)?;
            let mut draft = draft(interaction, live);
            callbacks::attempted(&mut draft, live, outcome, by, for_anyone)?;
            draft.finish(&mut contents)
        }
        Command::Put { document, by } => documents::put(account, document, by)?,
        Command::Bind { binding, standing, by } => binding::bind(account, binding, standing.as_deref(), by)?,
        Command::RollBack { workflow, element, canary, message, by } => {
            binding::roll_back(account, (workflow, element), canary.as_ref(), message, by, now)?
        }
        Command::Remove { key, by } => documents::remove(account, key, by, now)?,
        Command::CanaryCounted { workflow, element, deployment, figures } => {
            canary::counted(account, (&workflow, &element), &deployment, &figures, now)?
        }
        Command::Recompiled { deployment, image } => documents::recompiled(account, &deployment, image)?,
        Command::DeliveryAttempted { delivery, result } => {
            vec![attempted(account, delivery, result.err(), now)?]
        }
        Command::Redeliver { delivery, by: _ } => {
            let parked = account
                .delivery(&delivery)
                .filter(|d| d.state == DeliveryState::Parked)
                .ok_or_else(|| Rejection::DeliveryUnknown(delivery.clone()))?;
            if !account.configuration().webhooks.contains_key(&delivery.webhook) {
                let (kind, name) = (DocumentKind::Webhook, delivery.webhook);
                return Err(Rejection::DocumentUnknown(DocumentKey { kind, name, element: None, version: 0 }));
            }
            if account.deliveries_due_len(delivery.webhook.as_str()) >= limits::DELIVERIES_MAX {
                return Err(Rejection::Full { what: "pending messages to the webhook", limit: limits::DELIVERIES_MAX });
            }
            let state = Delivery { state: DeliveryState::Pending(now), attempts: 0, error: parked.error.clone() };
            vec![Event::DeliveryChanged { delivery, state }]
        }
    };
    outgoing::announce(account, &mut events, sequence);
    outgoing::park_surplus(account, &mut events);
    outgoing::discard_surplus(account, &mut events);
    Ok(Decided { record: Record { sequence, at: now, events }, contents })
}

fn submit<'a>(
    account: &'a Account,
    submission: Submission,
    figures: &'a dyn Figures,
    now: UnixMillis,
) -> Result<Draft<'a>, Rejection> {
    let Submission { id, workflow, message, facts, at, callback } = submission;
    if account.live(id).is_some() {
        return Err(Rejection::InteractionExists(id));
    }
    if account.live_count() >= limits::LIVE_MAX {
        return Err(Rejection::Full { what: "live interactions", limit: limits::LIVE_MAX });
    }
    if account.calls_len() >= limits::CALLS_WAITING_MAX {
        return Err(Rejection::Busy(account.calls_len()));
    }
    if facts.priority > limits::PRIORITY_MAX {
        return Err(invalid("priority", format!("at most {}", limits::PRIORITY_MAX)));
    }
    let none = Content { message: message.clone(), facts: crate::content::Facts::default() };
    let entries: Vec<Entry> =
        facts.user_data.iter().map(|(key, value)| Entry { key: key.clone(), value: value.clone() }).collect();
    check_user_data(&none, &entries)?;
    if at.is_some_and(|at| at > now.plus(limits::SCHEDULE_MS_MAX)) {
        return Err(invalid("at", "at most 366 days ahead"));
    }
    let (flow, callback, at) = match callback {
        Some(rules) => {
            let booking = callbacks::book(account, &rules, &message, at, now)?;
            (booking.flow, Some(booking.callback), booking.begins_at)
        }
        None => {
            let flow = account.configuration().workflow(workflow.as_str());
            (flow.ok_or(Rejection::WorkflowUnknown(workflow))?, None, at)
        }
    };
    Ok(Draft::submit(account, id, flow, Content { message, facts }, (callback, at), figures, now))
}

fn awaited(account: &Account, id: InteractionId, call: CallId) -> Result<&Live, Rejection> {
    account.live(id).filter(|live| live.call() == Some(call)).ok_or(Rejection::NotAwaited)
}

pub(crate) fn find(account: &Account, id: InteractionId) -> Result<&Live, Rejection> {
    account.live(id).ok_or(Rejection::InteractionUnknown(id))
}

fn wrong(live: &Live, wanted: &'static str) -> Rejection {
    Rejection::StateWrong { state: live.state.kind().name(), wanted }
}

pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Rejection {
    Rejection::Invalid { field, message: message.into() }
}

pub(crate) fn check_bytes(field: &'static str, text: &str, max: usize) -> Result<(), Rejection> {
    if text.is_empty() || text.len() > max {
        return Err(invalid(field, format!("1 to {max} bytes")));
    }
    Ok(())
}

pub(crate) fn check_user_data(content: &Content, entries: &[Entry]) -> Result<(), Rejection> {
    for Entry { key, value } in entries {
        check_bytes("user_data", key, limits::KEY_BYTES_MAX)?;
        if value.len() > limits::VALUE_BYTES_MAX {
            return Err(invalid(
                "user_data",
                format!("the value of `{key}` has more than {} bytes", limits::VALUE_BYTES_MAX),
            ));
        }
    }
    let known = &content.facts.user_data;
    let new = entries.iter().filter(|e| !known.contains_key(&e.key)).count();
    if known.len() + new > limits::ENTRIES_MAX {
        return Err(invalid("user_data", format!("at most {} items", limits::ENTRIES_MAX)));
    }
    Ok(())
}

/// Pauses grow fourfold from 1 s to 1 h: twelve attempts span about seven hours.
fn attempted(account: &Account, key: DeliveryKey, error: Option<String>, now: UnixMillis) -> Result<Event, Rejection> {
    let delivery = account
        .delivery(&key)
        .filter(|d| matches!(d.state, DeliveryState::Pending(_)))
        .ok_or_else(|| Rejection::DeliveryUnknown(key.clone()))?;
    let attempts = delivery.attempts + 1;
    let pause_ms = 1000_u64.saturating_mul(4_u64.saturating_pow(attempts - 1)).min(3_600_000);
    let state = match &error {
        None => DeliveryState::Delivered,
        Some(_) if attempts >= limits::ATTEMPTS_MAX => DeliveryState::Parked,
        Some(_) => DeliveryState::Pending(now.plus(pause_ms)),
    };
    Ok(Event::DeliveryChanged { delivery: key, state: Delivery { state, attempts, error } })
}

/// The account's webhooks that take a topic, by name.
pub(crate) fn webhooks_for(account: &Account, topic: &str) -> Vec<Name> {
    let takes = |webhook: &Arc<crate::document::Webhook>| webhook.types.iter().any(|t| t == "*" || t == topic);
    account.configuration().webhooks.values().filter(|w| takes(w)).map(|w| w.name.clone()).collect()
}
