//! The routing state of one account: what is live, where it waits, what is awaited from outside.
//!
//! Content is not here. [`Account::apply`] is the only code that changes an account once it is loaded; its indices
//! (queues, timers, calls, workflows, deliveries) are derived from the rows and never stored.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};
use std::sync::Arc;

use crate::callbacks::Callback;
use crate::capacity::CapacityRule;
use crate::configuration::Configuration;
use crate::decision::Target;
use crate::document::{Document, DocumentKey, DocumentKind, Queue};
use crate::event::{Delivery, DeliveryKey, DeliveryState, Event, Record};
use crate::id::{CallId, InteractionId, Name, Sequence, UnixMillis};
use crate::live::{Ended, Live, State, Wants, intern};
use crate::login::Login;
use crate::matching::{Due, Matching, Staff, Work};
use crate::rank::Rank;
use crate::staff::{Agent, AgentGroup, PlaceGroup};

/// The routing state of one account.
#[derive(Debug, Clone, Default)]
pub struct Account {
    sequence: Sequence,
    configuration: Arc<Configuration>,
    live: BTreeMap<InteractionId, Live>,
    queues: BTreeMap<Name, BTreeSet<Rank>>,
    /// How many were taken out of each queue and may go back.
    taken: BTreeMap<Name, usize>,
    timers: BTreeSet<(UnixMillis, InteractionId)>,
    calls: BTreeMap<CallId, InteractionId>,
    endpoint_calls: BTreeMap<CallId, InteractionId>,
    /// Callbacks by rules and number.
    callbacks: BTreeMap<Name, BTreeMap<String, InteractionId>>,
    /// How many callbacks are booked for each moment, by rules.
    bookings: BTreeMap<Name, BTreeMap<UnixMillis, u32>>,
    /// How many times live interactions stand in each version of each workflow.
    within: BTreeMap<Name, BTreeMap<u32, usize>>,
    /// How many are scheduled to enter each workflow.
    scheduled: BTreeMap<Name, usize>,
    deliveries: BTreeMap<DeliveryKey, Delivery>,
    deliveries_due: BTreeMap<Name, BTreeSet<(UnixMillis, u64)>>,
    deliveries_pending: usize,
    deliveries_parked: BTreeMap<Name, BTreeSet<u64>>,
    queues_touched: BTreeSet<Name>,
    /// Queues that have other settings now, and the next of those that wait there to be told: what is not stored is found
    /// again as rows are loaded.
    queues_changed: BTreeMap<Name, Rank>,
    logins: BTreeMap<Name, Login>,
    login_timers: BTreeSet<(UnixMillis, Name)>,
    logins_touched: BTreeSet<Name>,
    /// Agents who logged out while they rested, and until when they do: to log in again is no way round it.
    rests: BTreeMap<Name, UnixMillis>,
    matching: Matching,
    names: BTreeSet<Name>,
}

/// What a document says about who belongs together.
struct Grouping {
    agents: Option<Arc<AgentGroup>>,
    places: Option<Arc<PlaceGroup>>,
    capacity: CapacityRule,
}

impl Grouping {
    fn new(configuration: &Configuration, key: &DocumentKey) -> Self {
        let agents = configuration.agent_groups.get(&key.name).filter(|_| key.kind == DocumentKind::AgentGroup);
        let places = configuration.place_groups.get(&key.name).filter(|_| key.kind == DocumentKind::PlaceGroup);
        let capacity = configuration.agent_rules.capacity.clone();
        Self { agents: agents.cloned(), places: places.cloned(), capacity }
    }

    fn contains(&self, agent: &Agent) -> bool {
        self.agents.as_ref().is_some_and(|group| group.contains(agent))
    }

    fn has_capacity(&self) -> bool {
        self.agents.as_ref().is_some_and(|group| group.capacity.is_some())
    }

    fn has_place(&self, place: &Name) -> bool {
        self.places.as_ref().is_some_and(|group| group.places.contains(place))
    }
}

impl Account {
    /// Number of the last command that was accepted.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// All documents. A clone of it stays as it is.
    #[must_use]
    pub fn configuration(&self) -> &Arc<Configuration> {
        &self.configuration
    }

    /// One that has not ended.
    #[must_use]
    pub fn live(&self, id: InteractionId) -> Option<&Live> {
        self.live.get(&id)
    }

    /// All that have not ended, by identifier.
    pub fn lives(&self) -> impl Iterator<Item = (InteractionId, &Live)> {
        self.live.iter().map(|(id, live)| (*id, live))
    }

    /// How many have not ended.
    #[must_use]
    pub fn live_count(&self) -> usize {
        self.live.len()
    }

    /// Those that wait in a queue, the next one first.
    pub fn queue(&self, name: &str) -> impl Iterator<Item = InteractionId> + '_ {
        self.queues.get(name).into_iter().flatten().map(|rank| rank.id)
    }

    /// How many wait in a queue.
    #[must_use]
    pub fn queue_len(&self, name: &str) -> usize {
        self.queues.get(name).map_or(0, BTreeSet::len)
    }

    /// How many were taken out of a queue and can be put back.
    #[must_use]
    pub fn taken_len(&self, queue: &str) -> usize {
        self.taken.get(queue).copied().unwrap_or_default()
    }

    /// The calls whose answer is awaited, in the order in which they were requested.
    pub fn calls(&self) -> impl Iterator<Item = (CallId, InteractionId)> + '_ {
        self.calls.iter().map(|(call, id)| (*call, *id))
    }

    /// How many calls are awaited.
    #[must_use]
    pub fn calls_len(&self) -> usize {
        self.calls.len()
    }

    /// The calls to applications outside that are to be made now or under way, in the order in which they were requested.
    pub fn endpoint_calls(&self) -> impl Iterator<Item = (CallId, InteractionId)> + '_ {
        self.endpoint_calls.iter().map(|(call, id)| (*call, *id))
    }

    /// The callbacks that were booked by a set of rules and have not ended, by number.
    pub fn callbacks(&self, rules: &Name) -> impl Iterator<Item = InteractionId> + '_ {
        self.callbacks.get(rules).into_iter().flat_map(|numbers| numbers.values().copied())
    }

    /// The callback of a number, in the form that [`crate::number`] gives.
    #[must_use]
    pub fn callback_of(&self, rules: &Name, number: &str) -> Option<InteractionId> {
        self.callbacks.get(rules)?.get(number).copied()
    }

    /// The moments of a stretch of time for which callbacks are booked, and how many for each.
    pub fn callback_bookings(
        &self,
        rules: &Name,
        during: Range<UnixMillis>,
    ) -> impl Iterator<Item = (UnixMillis, u32)> + '_ {
        let bookings = self.bookings.get(rules).filter(|_| during.start < during.end);
        bookings.into_iter().flat_map(move |b| b.range(during.clone())).map(|(at, count)| (*at, *count))
    }

    /// How many callbacks are booked for a stretch of time.
    #[must_use]
    pub fn callbacks_booked(&self, rules: &Name, during: Range<UnixMillis>) -> u32 {
        self.callback_bookings(rules, during).fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// Whether a live interaction is in this version of a workflow, at any depth.
    #[must_use]
    pub fn is_within(&self, workflow: &str, version: u32) -> bool {
        self.within.get(workflow).is_some_and(|versions| versions.contains_key(&version))
    }

    /// How many are scheduled to enter a workflow.
    #[must_use]
    pub fn scheduled_len(&self, workflow: &str) -> usize {
        self.scheduled.get(workflow).copied().unwrap_or_default()
    }

    /// The webhooks that deliveries are pending for.
    pub fn webhooks_due(&self) -> impl Iterator<Item = &Name> {
        self.deliveries_due.keys()
    }

    /// The messages that are to be delivered to a webhook, and when, the earliest first. Each webhook's stand apart, so
    /// that one that is down delays no other.
    pub fn deliveries_due(&self, webhook: &str) -> impl Iterator<Item = (UnixMillis, u64)> + '_ {
        self.deliveries_due.get(webhook).into_iter().flatten().copied()
    }

    /// How many deliveries to a webhook are pending.
    #[must_use]
    pub fn deliveries_due_len(&self, webhook: &str) -> usize {
        self.deliveries_due.get(webhook).map_or(0, BTreeSet::len)
    }

    /// The messages whose delivery to a webhook is parked, the oldest first.
    pub fn deliveries_parked(&self, webhook: &str) -> impl Iterator<Item = u64> + '_ {
        self.deliveries_parked.get(webhook).into_iter().flatten().copied()
    }

    /// How many deliveries to a webhook are parked.
    #[must_use]
    pub fn deliveries_parked_len(&self, webhook: &str) -> usize {
        self.deliveries_parked.get(webhook).map_or(0, BTreeSet::len)
    }

    /// How many deliveries are pending.
    #[must_use]
    pub fn deliveries_pending(&self) -> usize {
        self.deliveries_pending
    }

    /// The queues whose contents have changed since this was last asked.
    pub fn take_queues_touched(&mut self) -> BTreeSet<Name> {
        std::mem::take(&mut self.queues_touched)
    }

    /// A delivery that is pending or parked.
    #[must_use]
    pub fn delivery(&self, key: &DeliveryKey) -> Option<&Delivery> {
        self.deliveries.get(key)
    }

    /// An agent who is logged in.
    #[must_use]
    pub fn login(&self, agent: &str) -> Option<&Login> {
        self.logins.get(agent)
    }

    /// Agents who logged out while they rested from offers, and until when they do.
    pub fn rests(&self) -> impl Iterator<Item = (&Name, UnixMillis)> {
        self.rests.iter().map(|(agent, until)| (agent, *until))
    }

    /// Until when an agent rests from offers who logged out meanwhile. To be stored in place of its login.
    #[must_use]
    pub fn rest(&self, agent: &str) -> Option<UnixMillis> {
        self.rests.get(agent).copied()
    }

    /// All agents who are logged in, by name.
    pub fn logins(&self) -> impl Iterator<Item = (&Name, &Login)> {
        self.logins.iter()
    }

    /// Those who come after a name, in order.
    pub fn logins_after(&self, after: Option<&Name>) -> impl Iterator<Item = (&Name, &Login)> {
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.logins.range::<Name, _>((from, std::ops::Bound::Unbounded))
    }

    /// What an agent has in hand; none where it has nothing.
    #[must_use]
    pub fn work(&self, agent: &str) -> Option<&Work> {
        self.matching.work(agent)
    }

    /// How many interactions count against an agent's capacity.
    #[must_use]
    pub fn agent_load(&self, agent: &Name) -> u32 {
        self.work(agent.as_str()).map_or(0, Work::count)
    }

    /// How full an agent is, 0 to 100.
    #[must_use]
    pub fn load_percent(&self, agent: &Name) -> u8 {
        self.matching.load_percent(agent)
    }

    /// Whether an agent is no longer one of those whom an interaction that is held out to it is for.
    pub(crate) fn is_misfit(&self, agent: &Name, live: &Live) -> bool {
        self.matching.is_misfit(agent, live)
    }

    /// The rule that an agent who is logged in works by.
    pub(crate) fn capacity(&self, agent: &Name) -> Option<&CapacityRule> {
        self.matching.capacity(agent)
    }

    /// Whether an agent's capacity allows one more of this medium.
    pub(crate) fn has_capacity(&self, agent: &Name, media_type: &Name) -> bool {
        let none = BTreeMap::new();
        let load = self.work(agent.as_str()).map_or(&none, |work| &work.load);
        self.matching.capacity(agent).is_some_and(|capacity| capacity.can_take(load, media_type))
    }

    /// The agents who have changed since this was last asked; those who are not logged in have logged out, and may rest.
    pub fn take_logins_touched(&mut self) -> BTreeSet<Name> {
        std::mem::take(&mut self.logins_touched)
    }

    /// The first agent whose timer is due by `now`.
    #[must_use]
    pub fn login_timer_due(&self, now: UnixMillis) -> Option<&Name> {
        self.login_timers.first().filter(|(due, _)| *due <= now).map(|(_, agent)| agent)
    }

    /// What is to be matched next: to be given to [`crate::Command::Match`] until nothing is left. Where that is refused,
    /// [`Account::matched`] is to be told.
    #[must_use]
    pub fn match_due(&self) -> Option<Due> {
        self.matching.due().or_else(|| self.queue_due().map(|(_, rank)| Due::Again(rank.id)))
    }

    /// Nothing more can be matched there until something changes.
    pub fn matched(&mut self, due: &Due) {
        match (self.matching.due(), self.queue_due()) {
            (None, Some((queue, rank))) if *due == Due::Again(rank.id) => {
                let queue = queue.clone();
                self.next_in_changed(&queue, Bound::Excluded(rank));
            }
            _ => self.matching.done(due),
        }
    }

    /// A queue is about to be put: what waits in it is put in its new order, and follows its settings, one after the other.
    fn queue_changes(&mut self, queue: &Queue) {
        let old = self.configuration.queues.get(&queue.name);
        let same = |old: &Queue| {
            old.target == queue.target && old.choice == queue.choice && old.offers_max == queue.offers_max
        };
        let (aged, changed) =
            (old.is_some_and(|old| old.ageing_per_minute != queue.ageing_per_minute), !old.is_some_and(same));
        if aged {
            self.age(&queue.name, queue.ageing_per_minute);
        }
        if changed || (aged && self.queues_changed.contains_key(&queue.name)) {
            self.next_in_changed(&queue.name, Bound::Unbounded);
        }
    }

    /// What waits in a queue that ages differently is put in order anew. A million take half a second, which an operator's
    /// change is worth: else those that came before would age by another measure, and starve.
    fn age(&mut self, queue: &Name, ageing: u16) {
        if let Some(waiting) = self.queues.get_mut(queue) {
            *waiting = waiting.iter().map(|rank| rank.with_ageing(ageing)).collect();
        }
        self.matching.age(queue, ageing);
    }

    /// The first that waits in a queue that has changed and is still to be told.
    fn queue_due(&self) -> Option<(&Name, Rank)> {
        self.queues_changed.first_key_value().map(|(queue, rank)| (queue, *rank))
    }

    /// Goes on to the next one that waits in a queue that has changed; after the last one it has been told.
    fn next_in_changed(&mut self, queue: &Name, from: Bound<Rank>) {
        match self.queues.get(queue).and_then(|waiting| waiting.range((from, Bound::Unbounded)).next().copied()) {
            Some(next) => drop(self.queues_changed.insert(queue.clone(), next)),
            None => drop(self.queues_changed.remove(queue)),
        }
    }

    fn staff(&self) -> Staff<'_> {
        Staff { configuration: &self.configuration, logins: &self.logins }
    }

    pub(crate) fn agent_for(&self, live: &Live) -> Option<Name> {
        self.matching.agent_for(self.staff(), live)
    }

    pub(crate) fn next_for(&self, agent: &Name, login: &Login, now: UnixMillis) -> Option<InteractionId> {
        self.matching.next_for(agent, login, |id| self.live(id), now)
    }

    pub(crate) fn all_declined(&self, live: &Live) -> bool {
        self.matching.all_declined(self.staff(), live)
    }

    /// Whether somebody is logged in who could take it where it waits.
    pub(crate) fn is_served(&self, live: &Live) -> bool {
        self.matching.is_served(self.staff(), live)
    }

    pub(crate) fn could_take(&self, wants: &Wants, media_type: &Name) -> bool {
        self.matching.could_take(self.staff(), wants, media_type)
    }

    pub(crate) fn free_agent(&self, wants: &Wants, media_type: &Name, except: &[&Name]) -> Option<Name> {
        self.matching.free_agent(self.staff(), wants, media_type, except)
    }

    /// The first interaction whose timer is due by `now`.
    #[must_use]
    pub fn timer_due(&self, now: UnixMillis) -> Option<InteractionId> {
        self.timers.first().filter(|(due, _)| *due <= now).map(|(_, id)| *id)
    }

    /// When the next timer is due.
    #[must_use]
    pub fn next_timer(&self) -> Option<UnixMillis> {
        let interactions = self.timers.first().map(|(due, _)| *due);
        let logins = self.login_timers.first().map(|(due, _)| *due);
        interactions.into_iter().chain(logins).min()
    }

    /// Changes the account as an accepted command said. Answers with what has ended by it.
    ///
    /// # Panics
    /// Where a record is applied out of order: the caller lost one, and going on would corrupt the store.
    pub fn apply(&mut self, record: &Record) -> Vec<(InteractionId, Ended)> {
        assert_eq!(record.sequence, self.sequence.next(), "records are applied in order");
        self.sequence = record.sequence;
        let mut ended = Vec::new();
        // Events of one interaction follow each other: it is taken out once, changed by all of them, and put back once, so
        // that the indices follow from what it was before and is afterwards, whatever has changed.
        let mut out: Option<(InteractionId, Live)> = None;
        for event in &record.events {
            if let Some(of) = event.interaction()
                && out.as_ref().is_none_or(|(id, _)| *id != of)
            {
                self.put_back(out.take());
                out = self.take_out(of);
            }
            let had = out.as_ref().and_then(|(_, live)| live.agent().cloned());
            self.apply_event(event, record.at, &mut out, &mut ended);
            if let Some(agent) = had.filter(|agent| out.as_ref().and_then(|(_, live)| live.agent()) != Some(agent)) {
                self.change_login(&agent, |login| login.idle_since = record.at);
            }
        }
        self.put_back(out);
        ended
    }

    fn take_out(&mut self, id: InteractionId) -> Option<(InteractionId, Live)> {
        let live = self.live.remove(&id)?;
        self.unindex(id, &live);
        Some((id, live))
    }

    fn put_back(&mut self, out: Option<(InteractionId, Live)>) {
        if let Some((id, live)) = out {
            self.index(id, &live);
            self.live.insert(id, live);
        }
    }

    /// Applies one event. `out` is the interaction that it is about, if it is about one that is live.
    fn apply_event(
        &mut self,
        event: &Event,
        at: UnixMillis,
        out: &mut Option<(InteractionId, Live)>,
        ended: &mut Vec<(InteractionId, Ended)>,
    ) {
        match event {
            Event::Submitted { id, media_type, priority, hops, .. } => {
                *out = Some((*id, Live::new(media_type.clone(), *priority, *hops, at)));
            }
            Event::Completed { .. } | Event::Cancelled { .. } | Event::Abandoned { .. } => {
                if let Some((id, live)) = out.take() {
                    ended.extend(live.ended(event, at).map(|e| (id, e)));
                }
            }
            Event::DocumentPut { document, .. } => {
                if let Document::Queue(queue) = document {
                    self.queue_changes(queue);
                }
                let key = document.key();
                let before = Grouping::new(&self.configuration, &key);
                Arc::make_mut(&mut self.configuration).put(document);
                self.rate_after(&key, &before);
            }
            Event::DocumentRemoved { key, .. } => {
                let before = Grouping::new(&self.configuration, key);
                Arc::make_mut(&mut self.configuration).remove(key);
                self.rate_after(key, &before);
                if key.kind == DocumentKind::Agent && self.rests.remove(&key.name).is_some() {
                    self.logins_touched.insert(key.name.clone());
                }
            }
            Event::AgentLoggedIn { agent, place, media_types, reason, connection, .. } => {
                let (place, media_types, reason) = (place.clone(), media_types.clone(), reason.clone());
                let mut login = Login::new(place, media_types, reason, *connection, at, self.sequence);
                login.rests_until = self.rests.remove(agent).filter(|until| *until > at);
                self.set_login(agent, Some(login));
                self.rate(agent);
            }
            Event::AgentLoggedOut { agent, .. } => {
                let rests_until = self.logins.get(agent).and_then(|login| login.rests_until);
                self.rests.extend(rests_until.filter(|until| *until > at).map(|until| (agent.clone(), until)));
                self.set_login(agent, None);
                self.rate(agent);
            }
            Event::AgentReady { agent, .. }
            | Event::AgentNotReady { agent, .. }
            | Event::AgentPending { agent, .. }
            | Event::AgentConnection { agent, .. }
            | Event::AgentRests { agent, .. } => {
                let sequence = self.sequence;
                self.change_login(agent, |login| login.apply(event, at, sequence));
                self.matching_changed(agent);
            }
            Event::MessageQueued { message, webhooks } => {
                for webhook in webhooks {
                    let key = DeliveryKey { message: message.id, webhook: webhook.clone() };
                    let delivery = Delivery { state: DeliveryState::Pending(at), attempts: 0, error: None };
                    self.set_delivery(key, delivery);
                }
            }
            Event::DeliveryChanged { delivery, state } => self.set_delivery(delivery.clone(), state.clone()),
            other => {
                if let Event::Offered { offer, .. } = other {
                    let sequence = self.sequence;
                    self.change_login(&offer.agent, |login| login.apply(other, at, sequence));
                }
                if let Some((_, live)) = out {
                    live.apply(other, at);
                }
            }
        }
    }

    /// Whom a document is about is looked at again: the members of a group before and afterwards.
    fn rate_after(&mut self, key: &DocumentKey, before: &Grouping) {
        let after = Grouping::new(&self.configuration, key);
        let staff = Staff { configuration: &self.configuration, logins: &self.logins };
        match key.kind {
            DocumentKind::Agent => self.rate(&key.name),
            DocumentKind::AgentGroup => {
                let changed = |(name, _): &(&Name, &Login)| {
                    let agent = staff.configuration.agents.get(*name);
                    agent.is_some_and(|agent| before.contains(agent) || after.contains(agent))
                };
                let target = Target::AgentGroup(key.name.to_string());
                for (agent, _) in staff.logins.iter().filter(changed) {
                    self.matching.rate_for(staff, agent, &target);
                    if before.has_capacity() || after.has_capacity() {
                        self.matching.rate_capacity(staff, agent);
                    }
                }
            }
            DocumentKind::PlaceGroup => {
                let target = Target::PlaceGroup(key.name.to_string());
                let sits = |(_, login): &(&Name, &Login)| {
                    login.place.as_ref().is_some_and(|place| before.has_place(place) || after.has_place(place))
                };
                for (agent, _) in staff.logins.iter().filter(sits) {
                    self.matching.rate_for(staff, agent, &target);
                }
            }
            DocumentKind::AgentRules if before.capacity != after.capacity => {
                for agent in staff.logins.keys() {
                    self.matching.rate_capacity(staff, agent);
                }
            }
            _ => {}
        }
    }

    fn rate(&mut self, agent: &Name) {
        let staff = Staff { configuration: &self.configuration, logins: &self.logins };
        self.matching.rate(staff, agent);
    }

    fn matching_changed(&mut self, agent: &Name) {
        let staff = Staff { configuration: &self.configuration, logins: &self.logins };
        self.matching.changed(staff, agent);
    }

    fn set_login(&mut self, agent: &Name, login: Option<Login>) {
        let timer = |login: &Login| Some((login.timer()?, agent.clone()));
        if let Some(timer) = self.logins.get(agent).and_then(timer) {
            self.login_timers.remove(&timer);
        }
        self.login_timers.extend(login.as_ref().and_then(timer));
        match login {
            Some(login) => drop(self.logins.insert(agent.clone(), login)),
            None => drop(self.logins.remove(agent)),
        }
        self.logins_touched.insert(agent.clone());
    }

    fn change_login(&mut self, agent: &Name, change: impl FnOnce(&mut Login)) {
        if let Some(mut login) = self.logins.get(agent).cloned() {
            change(&mut login);
            self.set_login(agent, Some(login));
        }
    }

    fn set_delivery(&mut self, key: DeliveryKey, delivery: Delivery) {
        match self.deliveries.get(&key).map(|delivery| delivery.state) {
            Some(DeliveryState::Pending(due)) => {
                if let Some(due_there) = self.deliveries_due.get_mut(&key.webhook) {
                    due_there.remove(&(due, key.message));
                    if due_there.is_empty() {
                        self.deliveries_due.remove(&key.webhook);
                    }
                }
                self.deliveries_pending -= 1;
            }
            Some(DeliveryState::Parked) => {
                if let Some(parked) = self.deliveries_parked.get_mut(&key.webhook) {
                    parked.remove(&key.message);
                    if parked.is_empty() {
                        self.deliveries_parked.remove(&key.webhook);
                    }
                }
            }
            Some(DeliveryState::Delivered | DeliveryState::Discarded) | None => {}
        }
        match delivery.state {
            DeliveryState::Delivered | DeliveryState::Discarded => drop(self.deliveries.remove(&key)),
            DeliveryState::Parked => {
                self.deliveries_parked.entry(key.webhook.clone()).or_default().insert(key.message);
                self.deliveries.insert(key, delivery);
            }
            DeliveryState::Pending(due) => {
                self.deliveries_due.entry(key.webhook.clone()).or_default().insert((due, key.message));
                self.deliveries_pending += 1;
                self.deliveries.insert(key, delivery);
            }
        }
    }

    fn index(&mut self, id: InteractionId, live: &Live) {
        match &live.state {
            State::Queued(position) => {
                self.touch(&position.queue);
                let rank = Rank::new(&self.configuration, live, position, id);
                match self.queues.get_mut(&position.queue) {
                    Some(queue) => drop(queue.insert(rank)),
                    None => drop(self.queues.insert(position.queue.clone(), BTreeSet::from([rank]))),
                }
            }
            State::Routing { call, .. } => drop(self.calls.insert(*call, id)),
            State::Calling { call, retry_at: None, .. } => drop(self.endpoint_calls.insert(*call, id)),
            State::Scheduled { workflow, .. } => *self.scheduled.entry(workflow.clone()).or_default() += 1,
            _ => {}
        }
        if let (false, Some(position)) = (matches!(live.state, State::Queued(_)), live.position()) {
            *self.taken.entry(position.queue.clone()).or_default() += 1;
        }
        let staff = Staff { configuration: &self.configuration, logins: &self.logins };
        self.matching.index(staff, id, live);
        if let Some(callback) = &live.callback {
            self.index_callback(id, callback);
        }
        if let Some(due) = live.timer() {
            self.timers.insert((due, id));
        }
        for frame in &live.frames {
            if !self.within.contains_key(&frame.workflow) {
                self.within.insert(frame.workflow.clone(), BTreeMap::new());
            }
            if let Some(versions) = self.within.get_mut(&frame.workflow) {
                *versions.entry(frame.version).or_default() += 1;
            }
        }
    }

    fn index_callback(&mut self, id: InteractionId, callback: &Callback) {
        let numbers = self.callbacks.entry(callback.rules.clone()).or_default();
        numbers.insert(callback.number.clone(), id);
        if let Some(at) = callback.at {
            *self.bookings.entry(callback.rules.clone()).or_default().entry(at).or_default() += 1;
        }
    }

    fn unindex_callback(&mut self, callback: &Callback) {
        if let Some(numbers) = self.callbacks.get_mut(&callback.rules) {
            numbers.remove(&callback.number);
            if numbers.is_empty() {
                self.callbacks.remove(&callback.rules);
            }
        }
        let Some(bookings) = self.bookings.get_mut(&callback.rules) else { return };
        if let Some(at) = callback.at
            && let Some(count) = bookings.get_mut(&at)
        {
            *count -= 1;
            if *count == 0 {
                bookings.remove(&at);
            }
        }
        if bookings.is_empty() {
            self.bookings.remove(&callback.rules);
        }
    }

    fn touch(&mut self, queue: &Name) {
        if !self.queues_touched.contains(queue) {
            self.queues_touched.insert(queue.clone());
        }
    }

    fn unindex(&mut self, id: InteractionId, live: &Live) {
        match &live.state {
            State::Queued(position) => {
                self.touch(&position.queue);
                let rank = Rank::new(&self.configuration, live, position, id);
                if self.queues_changed.get(&position.queue) == Some(&rank) {
                    self.next_in_changed(&position.queue, Bound::Excluded(rank));
                }
                if let Some(queue) = self.queues.get_mut(&position.queue) {
                    queue.remove(&rank);
                    if queue.is_empty() {
                        self.queues.remove(&position.queue);
                    }
                }
            }
            State::Routing { call, .. } => drop(self.calls.remove(call)),
            State::Calling { call, .. } => drop(self.endpoint_calls.remove(call)),
            State::Scheduled { workflow, .. } => {
                if let Some(count) = self.scheduled.get_mut(workflow) {
                    *count -= 1;
                    if *count == 0 {
                        self.scheduled.remove(workflow);
                    }
                }
            }
            _ => {}
        }
        if let (false, Some(position)) = (matches!(live.state, State::Queued(_)), live.position())
            && let Some(count) = self.taken.get_mut(&position.queue)
        {
            *count -= 1;
            if *count == 0 {
                self.taken.remove(&position.queue);
            }
        }
        let staff = Staff { configuration: &self.configuration, logins: &self.logins };
        self.matching.unindex(staff, id, live);
        if let Some(callback) = &live.callback {
            self.unindex_callback(callback);
        }
        if let Some(due) = live.timer() {
            self.timers.remove(&(due, id));
        }
        for frame in &live.frames {
            let Some(versions) = self.within.get_mut(&frame.workflow) else { continue };
            if let Some(count) = versions.get_mut(&frame.version) {
                *count -= 1;
                if *count == 0 {
                    versions.remove(&frame.version);
                }
            }
            if versions.is_empty() {
                self.within.remove(&frame.workflow);
            }
        }
    }
}

/// Loading: rows in, in any order but documents by kind. Nothing here decides anything.
impl Account {
    /// An account as it was after this command; its rows are still to be loaded.
    #[must_use]
    pub fn loading(sequence: Sequence) -> Self {
        Self { sequence, ..Self::default() }
    }

    /// Loads a document's row.
    pub fn load_document(&mut self, document: &Document) {
        Arc::make_mut(&mut self.configuration).put(document);
    }

    /// Loads the row of an agent who is logged in. Documents come before, interactions after.
    pub fn load_login(&mut self, agent: &Name, login: Login) {
        self.set_login(agent, Some(login));
        self.logins_touched.clear();
        self.rate(agent);
    }

    /// Loads until when an agent rests who logged out meanwhile.
    pub fn load_rest(&mut self, agent: &Name, until: UnixMillis) {
        self.rests.insert(agent.clone(), until);
    }

    /// Loads the name of a deployment that was deleted.
    pub fn load_retired(&mut self, deployment: Name) {
        Arc::make_mut(&mut self.configuration).retired.insert(deployment);
    }

    /// Loads the row of a live interaction.
    pub fn load_live(&mut self, id: InteractionId, mut live: Live) {
        intern(&mut live, &mut self.names);
        self.index(id, &live);
        self.live.insert(id, live);
    }

    /// Loads the row of a delivery.
    pub fn load_delivery(&mut self, key: DeliveryKey, delivery: Delivery) {
        self.set_delivery(key, delivery);
    }

    /// Whether two accounts hold the same: rows and indices.
    ///
    /// # Errors
    /// A sentence that names the first difference.
    pub fn same(&self, other: &Self) -> Result<(), String> {
        fn check<T: PartialEq + std::fmt::Debug>(what: &str, a: &T, b: &T) -> Result<(), String> {
            if a == b { Ok(()) } else { Err(format!("{what} differ: {a:?} and {b:?}")) }
        }
        check("sequences", &self.sequence, &other.sequence)?;
        check("live interactions", &self.live, &other.live)?;
        check("queues", &self.queues, &other.queues)?;
        check("taken interactions", &self.taken, &other.taken)?;
        check("timers", &self.timers, &other.timers)?;
        check("logins", &self.logins, &other.logins)?;
        check("rests", &self.rests, &other.rests)?;
        check("timers of logins", &self.login_timers, &other.login_timers)?;
        self.matching.same(&other.matching)?;
        check("calls", &self.calls, &other.calls)?;
        check("calls to endpoints", &self.endpoint_calls, &other.endpoint_calls)?;
        check("callbacks", &self.callbacks, &other.callbacks)?;
        check("booked callbacks", &self.bookings, &other.bookings)?;
        check("scheduled interactions", &self.scheduled, &other.scheduled)?;
        check("workflows in use", &self.within, &other.within)?;
        check("deliveries", &self.deliveries, &other.deliveries)?;
        check("due deliveries", &self.deliveries_due, &other.deliveries_due)?;
        check("parked deliveries", &self.deliveries_parked, &other.deliveries_parked)?;
        check("retired names", &self.configuration.retired, &other.configuration.retired)?;
        let documents = |account: &Self| account.configuration.documents().collect::<Vec<_>>();
        check("documents", &documents(self), &documents(other))
    }
}
