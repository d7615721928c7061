//! An independent, slow count of every statistic from the raw records, and random histories to compare with it.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use signalbox_engine::{
    Action, AgentAction, AgentState, Aggregate, Answer, Attention, Category, Command, Decision, Document, DocumentKind,
    Entry, Event, Failure, Filter, Happening, InteractionId, Measure, Name, ObjectKind, OfferAnswer, OfferEnd, OfferId,
    Profile, Record, Span, StateKind, Statistic, Target, UnixMillis,
};

use super::super::fold::Figure;
use super::world::{World, name};

/// One thing that happened, with everything it concerns.
#[derive(Debug, Clone)]
struct Sample {
    sequence: u64,
    at: u64,
    what: Happening,
    ms: u64,
    outcome: Option<String>,
    whom: Whom,
}

#[derive(Debug, Clone, Default)]
struct Whom {
    media: String,
    frames: Vec<(String, String)>,
    queue: Option<String>,
    agent: Option<String>,
    place: Option<String>,
    deployment: Option<String>,
    groups: BTreeSet<(bool, String)>,
    marks: BTreeSet<String>,
}

/// A stay of an agent in a state.
#[derive(Debug, Clone)]
struct Stay {
    agent: String,
    place: Option<String>,
    state: AgentState,
    reason: Option<String>,
    from: u64,
    /// None while it goes on.
    to: Option<(u64, u64)>,
    login: u64,
    logs_out: bool,
    groups: BTreeSet<(bool, String)>,
}

#[derive(Debug, Clone, PartialEq)]
enum Where {
    Moving,
    Routing(String, u64),
    Queue { queue: String, since: u64, stands: u64, offers: BTreeMap<u64, u64> },
    Work { by: String, agent: Option<String>, since: u64, queue: String, workbin: bool, offers: BTreeMap<u64, u64> },
    Wrap { agent: String, since: u64, queue: String },
    Other(StateKind, u64),
}

#[derive(Debug, Clone)]
struct Item {
    media: String,
    came: u64,
    place: Where,
    /// Workflow, element, when entered each.
    frames: Vec<(String, String, u64, u64)>,
    begins: bool,
    tier: String,
    category: Option<String>,
    marks: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct On {
    place: Option<String>,
    ready: bool,
    reason: String,
    login: u64,
}

#[derive(Default)]
struct Slow {
    items: BTreeMap<InteractionId, Item>,
    on: BTreeMap<String, On>,
    open: BTreeMap<String, Stay>,
    samples: Vec<Sample>,
    stays: Vec<Stay>,
    logins: Vec<(u64, u64, String, Option<String>)>,
    definitions: BTreeMap<String, (u64, u64, Statistic)>,
    agent_groups: BTreeMap<String, BTreeSet<String>>,
    place_groups: BTreeMap<String, BTreeSet<String>>,
    last: u64,
}

const GOLD: &str = "interaction.user_data.?tier.orValue('') == 'gold'";

impl Slow {
    fn groups(&self, agent: Option<&String>, place: Option<&String>) -> BTreeSet<(bool, String)> {
        let of = |all: &BTreeMap<String, BTreeSet<String>>, who: Option<&String>, kind: bool| {
            let within = all.iter().filter(|(_, members)| who.is_some_and(|who| members.contains(who)));
            within.map(|(group, _)| (kind, group.clone())).collect::<Vec<_>>()
        };
        of(&self.agent_groups, agent, true).into_iter().chain(of(&self.place_groups, place, false)).collect()
    }

    fn whom(&self, item: &Item, agent: Option<String>) -> Whom {
        let (queue, holder, deployment) = match &item.place {
            Where::Queue { queue, .. } => (Some(queue.clone()), None, None),
            Where::Work { queue, agent, .. } => (Some(queue.clone()), agent.clone(), None),
            Where::Wrap { queue, agent, .. } => (Some(queue.clone()), Some(agent.clone()), None),
            Where::Routing(deployment, _) => (None, None, Some(deployment.clone())),
            _ => (None, None, None),
        };
        let agent = agent.or(holder);
        let place = agent.as_ref().and_then(|agent| self.on.get(agent)?.place.clone());
        Whom {
            media: item.media.clone(),
            frames: item.frames.iter().map(|(w, e, ..)| (w.clone(), e.clone())).collect(),
            queue,
            groups: self.groups(agent.as_ref(), place.as_ref()),
            agent,
            place,
            deployment,
            marks: item.marks.clone(),
        }
    }

    fn asked(&self) -> BTreeSet<String> {
        let all = self.definitions.values().map(|(.., statistic)| &statistic.filter);
        all.flat_map(|f| f.category.clone().into_iter().chain(f.condition.clone())).collect()
    }

    fn record(&mut self, record: &Record) {
        let (at, sequence) = (record.at.0, record.sequence.0);
        self.last = at;
        let on_before = self.on.clone();
        // What is known of them after the record counts for all of it.
        let mut known: BTreeMap<InteractionId, (String, Option<String>)> = BTreeMap::new();
        for event in &record.events {
            let Some(id) = event.interaction() else { continue };
            let item = self.items.get(&id);
            let as_was = || item.map_or_else(Default::default, |item| (item.tier.clone(), item.category.clone()));
            match event {
                Event::UserDataSet { key, value, .. } => {
                    let known = known.entry(id).or_insert_with(as_was);
                    if key == "tier" {
                        known.0.clone_from(value);
                    }
                }
                Event::Categorized { category, .. } => {
                    known.entry(id).or_insert_with(as_was).1 = Some(category.name.clone());
                }
                // Whatever changes what is known has the filters asked anew.
                Event::PrioritySet { .. } => drop(known.entry(id).or_insert_with(as_was)),
                _ => {}
            }
        }
        let asked = self.asked();
        let marks = |tier: &str, category: &Option<String>| {
            let mut marks = BTreeSet::new();
            marks.extend(category.clone().filter(|category| asked.contains(category)));
            if tier == "gold" && asked.contains(GOLD) {
                marks.insert(GOLD.to_owned());
            }
            marks
        };
        for (id, (tier, category)) in &known {
            if let Some(item) = self.items.get_mut(id) {
                (item.tier, item.category) = (tier.clone(), category.clone());
                if !asked.is_empty() {
                    item.marks = marks(tier, category);
                }
            }
        }
        for event in &record.events {
            if let Event::Submitted { id, media_type, .. } = event {
                let item = Item {
                    media: media_type.to_string(),
                    came: at,
                    place: Where::Moving,
                    frames: Vec::new(),
                    begins: false,
                    tier: String::new(),
                    category: None,
                    marks: BTreeSet::new(),
                };
                self.items.insert(*id, item);
            }
            if let Some(id) = event.interaction()
                && self.items.contains_key(&id)
            {
                self.interaction(id, event, at, sequence);
            }
        }
        for event in &record.events {
            self.agent(event, at, sequence);
        }
        self.stay(at, sequence, &on_before);
        for event in &record.events {
            self.document(event, at, sequence);
        }
    }

    /// A tier comes with the submit, and is in no event: the test tells.
    fn tell(&mut self, id: InteractionId, tier: &str) {
        let asked = self.asked();
        let Some(item) = self.items.get_mut(&id) else { return };
        item.tier = tier.to_owned();
        if tier == "gold" && asked.contains(GOLD) {
            item.marks.insert(GOLD.to_owned());
            let sequence = self.samples.last().map_or(0, |sample| sample.sequence);
            for sample in self.samples.iter_mut().rev().take_while(|sample| sample.sequence == sequence) {
                sample.whom.marks.insert(GOLD.to_owned());
            }
        }
    }

    fn interaction(&mut self, id: InteractionId, event: &Event, at: u64, sequence: u64) {
        let item = self.items[&id].clone();
        let mut new = item.clone();
        let mut samples: Vec<(Happening, u64, Option<String>, Whom)> = Vec::new();
        let here = self.whom(&item, None);
        let within = |depth: usize| Whom { frames: here.frames[..depth].to_vec(), ..here.clone() };
        let hold = |place: &Where| match place {
            Where::Queue { since, .. } => Some(*since),
            Where::Work { since, .. } | Where::Wrap { since, .. } => Some(*since),
            _ => None,
        };
        let went = |how: Happening, samples: &mut Vec<_>, agent: Option<String>| {
            if let Where::Queue { since, .. } = &item.place {
                samples.push((how, at - since, None, self.whom(&item, agent)));
            }
        };
        let let_go = |samples: &mut Vec<_>| {
            let code = match event {
                Event::WorkDone { disposition, .. } | Event::WrapUpStarted { disposition, .. } => {
                    Some(disposition.clone())
                }
                _ => None,
            };
            match &item.place {
                Where::Work { since, .. } => samples.push((Happening::Worked, at - since, code, here.clone())),
                Where::Wrap { since, .. } => samples.push((Happening::WrappedUp, at - since, code, here.clone())),
                _ => {}
            }
        };
        match event {
            Event::Submitted { .. } => samples.push((Happening::Submitted, 0, None, here.clone())),
            Event::WorkflowEntered { workflow, .. } => {
                new.frames.push((workflow.to_string(), "start".into(), at, at));
                new.begins = true;
                samples.push((Happening::WorkflowEntered, 0, None, self.whom(&new, None)));
            }
            Event::Entered { element, by, .. } => {
                went(Happening::QueueLeft, &mut samples, None);
                let_go(&mut samples);
                if let (false, Some((.., entered))) = (item.begins, item.frames.last()) {
                    let by = by.as_ref().map(ToString::to_string);
                    samples.push((Happening::ElementLeft, at - entered, by, here.clone()));
                }
                new.begins = false;
                new.place = Where::Moving;
                if let Some(frame) = new.frames.last_mut() {
                    (frame.1, frame.3) = (element.to_string(), at);
                }
                samples.push((Happening::ElementEntered, 0, None, self.whom(&new, None)));
            }
            Event::WorkflowLeft { outcome, .. } => {
                let depth = item.frames.len();
                let (.., since, entered) = &item.frames[depth - 1];
                samples.push((Happening::ElementLeft, at - entered, None, within(depth)));
                samples.push((Happening::WorkflowLeft, at - since, Some(outcome.to_string()), within(depth)));
                new.frames.pop();
            }
            Event::CallRequested { deployment, .. } => {
                new.place = Where::Routing(deployment.to_string(), at);
                samples.push((Happening::CallRequested, 0, None, self.whom(&new, None)));
            }
            Event::Answered { outcome, .. } => {
                let Where::Routing(_, since) = item.place else { panic!("it was called") };
                samples.push((Happening::CallAnswered, at - since, Some(outcome.clone()), here.clone()));
                new.place = Where::Moving;
            }
            Event::Failed { failure, .. } => {
                let Where::Routing(_, since) = item.place else { panic!("it was called") };
                samples.push((Happening::CallFailed, at - since, Some(failure.code().to_owned()), here.clone()));
                new.place = Where::Moving;
            }
            Event::Queued { position, .. } => {
                went(Happening::QueueLeft, &mut samples, None);
                let_go(&mut samples);
                let (queue, since) = (position.queue.to_string(), position.since.0);
                new.place = Where::Queue { queue, since, stands: at, offers: BTreeMap::new() };
                samples.push((Happening::Queued, 0, None, self.whom(&new, None)));
            }
            Event::Offered { offer, .. } => {
                samples.push((Happening::Offered, 0, None, self.whom(&item, Some(offer.agent.to_string()))));
                if let Where::Queue { stands, offers, .. } = &mut new.place {
                    if offers.is_empty() {
                        *stands = at;
                    }
                    offers.insert(offer.id.0, at);
                } else if let Where::Work { offers, .. } = &mut new.place {
                    offers.insert(offer.id.0, at);
                }
            }
            Event::OfferEnded { offer, agent, how, .. } => {
                let made = match &mut new.place {
                    Where::Queue { offers, .. } | Where::Work { offers, .. } => offers.remove(&offer.0),
                    _ => None,
                };
                let (what, why) = match how {
                    OfferEnd::Accepted => (Happening::OfferAccepted, None),
                    OfferEnd::Declined { .. } => (Happening::OfferDeclined, None),
                    OfferEnd::Expired => (Happening::OfferExpired, None),
                    OfferEnd::Revoked { reason } => (Happening::OfferRevoked, Some(reason.clone())),
                    OfferEnd::CustomerGone => (Happening::OfferCustomerGone, None),
                    OfferEnd::DeliveryFailed => (Happening::OfferDeliveryFailed, None),
                };
                samples.push((what, at - made.unwrap(), why, self.whom(&item, Some(agent.to_string()))));
            }
            Event::Moved { .. } => {
                if let Where::Work { .. } = &item.place {
                    samples.push((Happening::Transferred, 0, None, here.clone()));
                }
            }
            Event::Taken { by, .. } => {
                let queue = match &item.place {
                    Where::Queue { queue, .. } | Where::Work { queue, .. } => queue.clone(),
                    other => panic!("taken from {other:?}"),
                };
                went(Happening::Answered, &mut samples, None);
                let_go(&mut samples);
                let by = by.clone();
                new.place = Where::Work { by, agent: None, since: at, queue, workbin: false, offers: BTreeMap::new() };
                if let Where::Work { .. } = &item.place {
                    samples.push((Happening::Transferred, 0, None, self.whom(&new, None)));
                }
            }
            Event::Assigned { agent, .. } => {
                let queue = match &item.place {
                    Where::Queue { queue, .. } | Where::Work { queue, .. } => queue.clone(),
                    other => panic!("assigned from {other:?}"),
                };
                went(Happening::Answered, &mut samples, Some(agent.to_string()));
                let_go(&mut samples);
                let (by, agent) = (agent.to_string(), Some(agent.to_string()));
                new.place = Where::Work { by, agent, since: at, queue, workbin: false, offers: BTreeMap::new() };
                // From one hand to another; to the same at the same moment nothing has changed.
                if let Where::Work { by: was, since, .. } = &item.place
                    && (Some(was), *since) != (new_by(&new.place), at)
                {
                    samples.push((Happening::Transferred, 0, None, self.whom(&new, None)));
                } else if matches!(item.place, Where::Work { .. }) {
                    samples.clear();
                }
            }
            Event::AttentionSet { attention, .. } => {
                if let Where::Work { workbin, .. } = &mut new.place {
                    *workbin = *attention == Attention::Workbin;
                }
            }
            Event::Released { .. } => {
                let Where::Work { queue, .. } = &item.place else { panic!("somebody had it") };
                let_go(&mut samples);
                new.place = Where::Queue { queue: queue.clone(), since: at, stands: at, offers: BTreeMap::new() };
                samples.push((Happening::Requeued, 0, None, self.whom(&new, None)));
            }
            Event::WrapUpStarted { agent, .. } => {
                let Where::Work { queue, .. } = &item.place else { panic!("somebody had it") };
                let_go(&mut samples);
                new.place = Where::Wrap { agent: agent.to_string(), since: at, queue: queue.clone() };
            }
            Event::WorkDone { .. } => {
                went(Happening::QueueLeft, &mut samples, None);
                let_go(&mut samples);
                new.place = Where::Moving;
            }
            Event::Waiting { .. } => new.place = Where::Other(StateKind::Waiting, at),
            Event::Scheduled { .. } => new.place = Where::Other(StateKind::Scheduled, at),
            Event::Parked { park, .. } => {
                went(Happening::QueueLeft, &mut samples, None);
                new.place = Where::Other(StateKind::Parked, at);
                samples.push((Happening::Parked, 0, Some(park.code.clone()), self.whom(&new, None)));
            }
            Event::Resumed { .. } => new.place = Where::Moving,
            Event::Completed { .. } | Event::Cancelled { .. } | Event::Abandoned { .. } => {
                let (what, outcome, word) = match event {
                    Event::Completed { disposition, .. } => {
                        (Happening::Completed, Some(disposition.clone()), "completed")
                    }
                    Event::Cancelled { .. } => (Happening::Cancelled, None, "cancelled"),
                    _ => (Happening::Abandoned, None, "abandoned"),
                };
                let abandoned = what == Happening::Abandoned;
                went(if abandoned { Happening::QueueAbandoned } else { Happening::QueueLeft }, &mut samples, None);
                let_go(&mut samples);
                let life = at - item.came;
                samples.push((what, life, outcome, here.clone()));
                samples.push((Happening::Ended, life, Some(word.to_owned()), here.clone()));
                for depth in (1..=item.frames.len()).rev() {
                    let (.., since, entered) = &item.frames[depth - 1];
                    samples.push((Happening::ElementLeft, at - entered, None, within(depth)));
                    samples.push((Happening::WorkflowLeft, at - since, None, within(depth)));
                }
            }
            _ => {}
        }
        assert!(hold(&new.place).is_none_or(|since| since <= at));
        for (what, ms, outcome, whom) in samples {
            self.samples.push(Sample { sequence, at, what, ms, outcome, whom });
        }
        if matches!(event, Event::Completed { .. } | Event::Cancelled { .. } | Event::Abandoned { .. }) {
            self.items.remove(&id);
        } else {
            self.items.insert(id, new);
        }
    }

    fn agent(&mut self, event: &Event, at: u64, sequence: u64) {
        match event {
            Event::AgentLoggedIn { agent, place, reason, .. } => {
                let place = place.as_ref().map(ToString::to_string);
                self.logins.push((sequence, at, agent.to_string(), place.clone()));
                let on = On { place, ready: false, reason: reason.to_string(), login: at };
                self.on.insert(agent.to_string(), on);
            }
            Event::AgentLoggedOut { agent, .. } => drop(self.on.remove(agent.as_str())),
            Event::AgentReady { agent, .. } => self.on.get_mut(agent.as_str()).unwrap().ready = true,
            Event::AgentNotReady { agent, reason, .. } => {
                let on = self.on.get_mut(agent.as_str()).unwrap();
                (on.ready, on.reason) = (false, reason.to_string());
            }
            _ => {}
        }
    }

    /// How agents stand after a record.
    fn stay(&mut self, at: u64, sequence: u64, _: &BTreeMap<String, On>) {
        let agents: BTreeSet<String> = self.on.keys().chain(self.open.keys()).cloned().collect();
        for agent in agents {
            let mut busy = false;
            let mut wraps = false;
            for item in self.items.values() {
                match &item.place {
                    Where::Work { agent: Some(of), workbin: false, .. } if *of == agent => busy = true,
                    Where::Wrap { agent: of, .. } if *of == agent => wraps = true,
                    _ => {}
                }
            }
            let stands = self.on.get(&agent).map(|on| {
                let state = match () {
                    () if busy => AgentState::Busy,
                    () if wraps => AgentState::WrapUp,
                    () if on.ready => AgentState::Ready,
                    () => AgentState::NotReady,
                };
                let reason = (state == AgentState::NotReady).then(|| on.reason.clone());
                (state, reason, on.place.clone(), on.login)
            });
            let open = self.open.get(&agent);
            let was = open.map(|stay| (stay.state, stay.reason.clone(), stay.place.clone(), stay.login));
            if stands == was {
                continue;
            }
            if let Some(mut stay) = self.open.remove(&agent) {
                stay.to = Some((at, sequence));
                let goes_on = stands.as_ref().map(|(.., place, login)| (place.clone(), *login));
                stay.logs_out = goes_on != Some((stay.place.clone(), stay.login));
                stay.groups = self.groups(Some(&stay.agent), stay.place.as_ref());
                self.stays.push(stay);
            }
            if let Some((state, reason, place, login)) = stands {
                let (to, logs_out, groups) = (None, false, BTreeSet::new());
                let stay = Stay { agent: agent.clone(), place, state, reason, from: at, to, login, logs_out, groups };
                self.open.insert(agent, stay);
            }
        }
    }

    fn document(&mut self, event: &Event, at: u64, sequence: u64) {
        let strings = |all: &BTreeSet<Name>| all.iter().map(ToString::to_string).collect();
        match event {
            Event::DocumentPut { document: Document::Statistic(statistic), .. } => {
                self.definitions.insert(statistic.name.to_string(), (sequence, at, (**statistic).clone()));
            }
            Event::DocumentPut { document: Document::AgentGroup(group), .. } => {
                self.agent_groups.insert(group.name.to_string(), strings(&group.agents));
            }
            Event::DocumentPut { document: Document::PlaceGroup(group), .. } => {
                self.place_groups.insert(group.name.to_string(), strings(&group.places));
            }
            Event::DocumentRemoved { key, .. } if key.kind == DocumentKind::Statistic => {
                self.definitions.remove(key.name.as_str());
            }
            _ => {}
        }
    }
}

fn new_by(place: &Where) -> Option<&String> {
    match place {
        Where::Work { by, .. } => Some(by),
        _ => None,
    }
}

/// Counting.
impl Slow {
    fn concerns(&self, statistic: &Statistic, sample: &Sample) -> bool {
        let name = statistic.object.name.as_ref().map(ToString::to_string);
        let is = |of: &Option<String>| *of == name;
        let whom = &sample.whom;
        let placed = matches!(
            sample.what,
            Happening::WorkflowEntered | Happening::WorkflowLeft | Happening::ElementEntered | Happening::ElementLeft
        );
        match statistic.object.kind {
            ObjectKind::Account => true,
            ObjectKind::MediaType => Some(&whom.media) == name.as_ref(),
            ObjectKind::Workflow if placed => whom.frames.last().map(|(w, _)| w) == name.as_ref(),
            ObjectKind::Workflow => whom.frames.iter().any(|(w, _)| Some(w) == name.as_ref()),
            ObjectKind::Element => {
                let workflow = statistic.object.workflow.as_ref().map(ToString::to_string);
                whom.frames.last().is_some_and(|(w, e)| (Some(w), Some(e)) == (workflow.as_ref(), name.as_ref()))
            }
            _ if placed => false,
            ObjectKind::Queue => is(&whom.queue),
            ObjectKind::Agent => is(&whom.agent),
            ObjectKind::Place => is(&whom.place),
            ObjectKind::Strategy => is(&whom.deployment),
            ObjectKind::AgentGroup => whom.groups.contains(&(true, name.unwrap())),
            ObjectKind::PlaceGroup => whom.groups.contains(&(false, name.unwrap())),
        }
    }

    fn passes(filter: &Filter, media: &str, marks: &BTreeSet<String>) -> bool {
        filter.media_type.as_ref().is_none_or(|wanted| wanted.as_str() == media)
            && filter.category.as_ref().is_none_or(|category| marks.contains(category))
            && filter.condition.as_ref().is_none_or(|condition| marks.contains(condition))
    }

    fn of_agent(&self, statistic: &Statistic, stay: &Stay) -> bool {
        let name = statistic.object.name.as_ref().map(ToString::to_string);
        let groups =
            if stay.to.is_some() { stay.groups.clone() } else { self.groups(Some(&stay.agent), stay.place.as_ref()) };
        match statistic.object.kind {
            ObjectKind::Account => true,
            ObjectKind::Agent => Some(&stay.agent) == name.as_ref(),
            ObjectKind::Place => stay.place == name,
            ObjectKind::AgentGroup => groups.contains(&(true, name.unwrap())),
            ObjectKind::PlaceGroup => groups.contains(&(false, name.unwrap())),
            _ => false,
        }
    }

    /// From when on it counts.
    fn from(&self, name: &str, now: u64) -> u64 {
        let (defined, defined_at, statistic) = &self.definitions[name];
        let from = match &statistic.profile {
            Some(Profile::Growing { reset: Some(_) }) => {
                // At 06:00 UTC.
                (now - 6 * HOUR) / (24 * HOUR) * (24 * HOUR) + 6 * HOUR
            }
            Some(Profile::Sliding { window_ms, step_ms }) => {
                (now / step_ms + 1).saturating_sub(window_ms / step_ms) * step_ms
            }
            Some(Profile::SinceLogin) => {
                let of = statistic.object.name.as_ref().unwrap().to_string();
                let here = |agent: &String, place: &Option<String>| match statistic.object.kind {
                    ObjectKind::Agent => *agent == of,
                    _ => *place == Some(of.clone()),
                };
                let logins =
                    self.logins.iter().filter(|(sequence, _, agent, place)| sequence > defined && here(agent, place));
                logins.map(|(_, at, ..)| *at).max().unwrap_or(0)
            }
            _ => 0,
        };
        from.max(*defined_at)
    }

    /// The records that count: those after the definition, and after the last login where that matters.
    fn first(&self, name: &str) -> u64 {
        let (defined, _, statistic) = &self.definitions[name];
        let Some(Profile::SinceLogin) = &statistic.profile else { return *defined };
        let of = statistic.object.name.as_ref().unwrap().to_string();
        let here = |agent: &String, place: &Option<String>| match statistic.object.kind {
            ObjectKind::Agent => *agent == of,
            _ => *place == Some(of.clone()),
        };
        let logins = self.logins.iter().filter(|(sequence, _, agent, place)| sequence > defined && here(agent, place));
        logins.map(|(sequence, ..)| *sequence).max().unwrap_or(*defined)
    }

    fn figure(&self, of: &str, now: u64) -> (Option<f64>, Option<Vec<u64>>) {
        let (_, _, statistic) = &self.definitions[of];
        let (from, first) = (self.from(of, now), self.first(of));
        let last = match &statistic.profile {
            Some(Profile::Selection { last }) => *last as usize,
            _ => usize::MAX,
        };
        let wanted = |what: &[Happening]| -> Vec<&Sample> {
            let counts = |sample: &&Sample| {
                what.contains(&sample.what)
                    && sample.sequence > first
                    && sample.at >= from
                    && self.concerns(statistic, sample)
                    && Self::passes(&statistic.filter, &sample.whom.media, &sample.whom.marks)
            };
            self.samples.iter().filter(counts).collect()
        };
        let times = |mut ms: Vec<u64>, value: Aggregate| -> Option<f64> {
            ms.drain(..ms.len().saturating_sub(last));
            let sum = ms.iter().sum::<u64>() as f64 / 1000.0;
            match value {
                Aggregate::Total => Some(sum),
                Aggregate::Average => (!ms.is_empty()).then(|| sum / ms.len() as f64),
                Aggregate::Min => ms.iter().min().map(|ms| *ms as f64 / 1000.0),
                Aggregate::Max => ms.iter().max().map(|ms| *ms as f64 / 1000.0),
            }
        };
        let spans = |of: Span| -> Vec<Happening> {
            use Happening as H;
            match of {
                Span::AnswerWait => vec![H::Answered],
                Span::AbandonWait => vec![H::QueueAbandoned],
                Span::Wait => vec![H::Answered, H::QueueAbandoned, H::QueueLeft],
                Span::Offer => vec![
                    H::OfferAccepted,
                    H::OfferDeclined,
                    H::OfferExpired,
                    H::OfferRevoked,
                    H::OfferCustomerGone,
                    H::OfferDeliveryFailed,
                ],
                Span::OfferAnswer => vec![H::OfferAccepted],
                Span::Work => vec![H::Worked],
                Span::WrapUp => vec![H::WrappedUp],
                Span::Handle => vec![H::Worked, H::WrappedUp],
                Span::Element => vec![H::ElementLeft],
                Span::Workflow => vec![H::WorkflowLeft],
                Span::Life => vec![H::Ended],
                Span::Call => vec![H::CallAnswered, H::CallFailed],
            }
        };
        let open = self.open.values().filter(|stay| self.of_agent(statistic, stay));
        let counts_agent = |state: AgentState, reason: &Option<Name>, stay: &Stay| {
            (state == AgentState::LoggedIn || state == stay.state)
                && reason.as_ref().is_none_or(|reason| stay.reason.as_deref() == Some(reason.as_str()))
        };
        let ended = || {
            let counts = |stay: &&Stay| {
                let (at, sequence) = stay.to.unwrap();
                sequence > first && at >= from && self.of_agent(statistic, stay)
            };
            self.stays.iter().filter(counts)
        };
        // What of a stay lies in the time that counts.
        let part = |stay: &Stay| stay.to.map_or(now, |(to, _)| to).saturating_sub(stay.from.max(from));
        let share = |part: u64, whole: u64| (whole > 0).then(|| 100.0 * part as f64 / whole as f64);
        let elapsed = (now - from) as f64 / 1000.0;
        let value = match &statistic.measure {
            Measure::InteractionsNow { .. } => Some(self.standing(statistic, now).len() as f64),
            Measure::InteractionsNowTime { value, .. } => times(self.standing(statistic, now), *value),
            Measure::AgentsNow { state, reason } => {
                Some(open.filter(|stay| counts_agent(*state, reason, stay)).count() as f64)
            }
            Measure::AgentsNowTime { state, reason, value } => {
                let since = |stay: &Stay| if *state == AgentState::LoggedIn { stay.login } else { stay.from };
                times(
                    open.filter(|stay| counts_agent(*state, reason, stay)).map(|stay| now - since(stay)).collect(),
                    *value,
                )
            }
            Measure::Number { of, outcome } => {
                let all = wanted(&[*of]);
                let counts = |sample: &&&Sample| outcome.is_none() || sample.outcome == *outcome;
                Some(all.iter().filter(counts).count().min(last) as f64)
            }
            Measure::Time { of: Span::Handle, value } => {
                let mut all = wanted(&spans(Span::Handle));
                all.drain(..all.len().saturating_sub(last));
                let sum = all.iter().map(|sample| sample.ms).sum::<u64>() as f64 / 1000.0;
                let count = all.iter().filter(|sample| sample.what == Happening::Worked).count();
                match value {
                    Aggregate::Total => Some(sum),
                    _ => (count > 0).then(|| sum / count as f64),
                }
            }
            Measure::Time { of, value } => times(wanted(&spans(*of)).iter().map(|sample| sample.ms).collect(), *value),
            Measure::Distribution { of, bounds_ms } => {
                let mut all = wanted(&spans(*of));
                all.drain(..all.len().saturating_sub(last));
                let within = |low: Option<u64>, high: Option<u64>| {
                    let fits = |sample: &&&Sample| {
                        low.is_none_or(|low| sample.ms > low) && high.is_none_or(|high| sample.ms <= high)
                    };
                    all.iter().filter(fits).count() as u64
                };
                let bounds: Vec<Option<u64>> = bounds_ms.iter().copied().map(Some).collect();
                let lows = std::iter::once(None).chain(bounds.iter().copied());
                let highs = bounds.iter().copied().chain([None]);
                return (None, Some(lows.zip(highs).map(|(low, high)| within(low, high)).collect()));
            }
            Measure::ServiceFactor { answered_within_ms, abandoned_within_ms } => {
                let mut all = wanted(&[Happening::Answered, Happening::QueueAbandoned]);
                all.drain(..all.len().saturating_sub(last));
                let (answered, abandoned): (Vec<&Sample>, Vec<&Sample>) =
                    all.into_iter().partition(|sample| sample.what == Happening::Answered);
                let good = answered.iter().filter(|sample| sample.ms <= *answered_within_ms).count() as u64;
                let short = |sample: &&&Sample| abandoned_within_ms.is_some_and(|within| sample.ms <= within);
                let bad = abandoned.len() - abandoned.iter().filter(short).count();
                share(good, (answered.len() + bad) as u64)
            }
            Measure::EstimatedWait => {
                let left = wanted(&[Happening::Answered, Happening::QueueAbandoned, Happening::QueueLeft]).len();
                match (self.standing(statistic, now).len(), left) {
                    (0, _) => Some(0.0),
                    (_, 0) => None,
                    (waiting, left) => Some(waiting as f64 * elapsed / left as f64),
                }
            }
            Measure::Traffic => {
                let of_agents = statistic.object.kind.has_agents() && statistic.object.kind != ObjectKind::Account;
                let came =
                    if of_agents { vec![Happening::Answered, Happening::Transferred] } else { vec![Happening::Queued] };
                let (came, worked) = (wanted(&came).len() as f64, wanted(&[Happening::Worked]).len() as f64);
                let handled = wanted(&spans(Span::Handle)).iter().map(|sample| sample.ms).sum::<u64>() as f64 / 1000.0;
                (worked > 0.0 && elapsed > 0.0).then(|| came / elapsed * (handled / worked))
            }
            Measure::Occupancy => {
                let all: Vec<&Stay> = ended().chain(open).collect();
                let sum = |states: &[AgentState]| {
                    all.iter().filter(|stay| states.contains(&stay.state)).map(|stay| part(stay)).sum::<u64>()
                };
                let active = sum(&[AgentState::Busy, AgentState::WrapUp]);
                share(active, active + sum(&[AgentState::Ready]))
            }
            Measure::AgentTime { state, reason, value: Aggregate::Total } if last == usize::MAX => {
                let all = ended().chain(open).filter(|stay| counts_agent(*state, reason, stay));
                Some(all.map(part).sum::<u64>() as f64 / 1000.0)
            }
            Measure::AgentTime { state, reason, value } => {
                let whole = |stay: &Stay| match (state, value) {
                    (_, Aggregate::Total) => Some(stay.to.unwrap().0 - stay.from),
                    (AgentState::LoggedIn, _) => stay.logs_out.then(|| stay.to.unwrap().0 - stay.login),
                    _ => Some(stay.to.unwrap().0 - stay.from),
                };
                times(ended().filter(|stay| counts_agent(*state, reason, stay)).filter_map(whole).collect(), *value)
            }
            Measure::Load => unreachable!("compared with the account"),
        };
        (value, None)
    }

    /// How long those that stand have done so.
    fn standing(&self, statistic: &Statistic, now: u64) -> Vec<u64> {
        let mut all = Vec::new();
        for item in self.items.values() {
            let (state, since) = match &item.place {
                Where::Moving => continue,
                Where::Routing(_, since) => (StateKind::Routing, *since),
                Where::Queue { since, offers, .. } if offers.is_empty() => (StateKind::Queued, *since),
                Where::Queue { stands, .. } => (StateKind::Offered, *stands),
                Where::Work { since, .. } => (StateKind::Assigned, *since),
                Where::Wrap { since, .. } => (StateKind::WrapUp, *since),
                Where::Other(state, since) => (*state, *since),
            };
            let counts = match &statistic.measure {
                Measure::InteractionsNow { state: wanted } => wanted.is_none_or(|wanted| wanted == state),
                Measure::InteractionsNowTime { state: wanted, .. } => *wanted == state,
                _ => matches!(state, StateKind::Queued | StateKind::Offered),
            };
            let what = Happening::Submitted;
            let sample = Sample { sequence: 0, at: 0, what, ms: 0, outcome: None, whom: self.whom(item, None) };
            if counts && self.concerns(statistic, &sample) && Self::passes(&statistic.filter, &item.media, &item.marks)
            {
                all.push(now - since);
            }
        }
        all
    }
}

const HOUR: u64 = 3_600_000;
const START: u64 = 1_700_000_000_000;

fn setting(world: &mut World, now: UnixMillis) {
    let mut put = |kind: &str, json: Value| drop(world.put(kind, json, now).unwrap());
    let digest = "00".repeat(32);
    let manifest = json!({"name": "screen", "version": "1", "description": "", "outcomes": [
        {"name": "clean", "description": ""}, {"name": "spam", "description": ""}],
        "settings_schema": "{}", "assets": []});
    put(
        "deployment",
        json!({"name": "screen-1", "digest": digest, "settings": "{}", "assets": {}, "manifest": manifest,
        "component": digest, "image": digest, "snapshotted": true, "deadline_ms": 50, "message": "", "created_by": "t",
        "created_at": 0}),
    );
    put(
        "queue",
        json!({"name": "billing", "target": {"agent-group": "all"}, "offer_timeout_ms": 5000, "wrap_up_ms": 4000}),
    );
    put("queue", json!({"name": "hands"}));
}

fn statistic(rng: &mut StdRng, n: usize) -> Value {
    let pick = |rng: &mut StdRng, all: &[&str]| all[rng.random_range(0..all.len())].to_owned();
    let object = match rng.random_range(0..11) {
        0 | 1 => json!({"kind": "account"}),
        2 => json!({"kind": "queue", "name": pick(rng, &["billing", "hands"])}),
        3 => json!({"kind": "agent", "name": pick(rng, &["ana", "bob", "cyd"])}),
        4 => json!({"kind": "agent-group", "name": pick(rng, &["all", "some"])}),
        5 => json!({"kind": "place", "name": pick(rng, &["d1", "d2"])}),
        6 => json!({"kind": "place-group", "name": "floor"}),
        7 => json!({"kind": "media-type", "name": pick(rng, &["chat", "email"])}),
        8 => json!({"kind": "workflow", "name": pick(rng, &["support", "inner"])}),
        9 => json!({"kind": "element", "workflow": "support", "name": pick(rng, &["screen", "sub", "hand"])}),
        _ => json!({"kind": "strategy", "name": "screen-1"}),
    };
    let aggregate = pick(rng, &["total", "average", "min", "max"]);
    let state = pick(rng, &["routing", "waiting", "queued", "offered", "assigned", "wrap-up", "parked"]);
    let agent_state = pick(rng, &["logged-in", "not-ready", "ready", "busy", "wrap-up"]);
    let happening = pick(
        rng,
        &[
            "submitted",
            "ended",
            "completed",
            "cancelled",
            "abandoned",
            "parked",
            "workflow-entered",
            "workflow-left",
            "element-entered",
            "element-left",
            "queued",
            "requeued",
            "answered",
            "queue-left",
            "queue-abandoned",
            "offered",
            "offer-accepted",
            "offer-declined",
            "offer-expired",
            "offer-revoked",
            "offer-customer-gone",
            "offer-delivery-failed",
            "transferred",
            "worked",
            "wrapped-up",
            "call-requested",
            "call-answered",
            "call-failed",
        ],
    );
    let span = pick(
        rng,
        &[
            "answer-wait",
            "abandon-wait",
            "wait",
            "offer",
            "offer-answer",
            "work",
            "wrap-up",
            "handle",
            "element",
            "workflow",
            "life",
            "call",
        ],
    );
    let measure = match rng.random_range(0..13) {
        0 => json!({"kind": "interactions-now"}),
        1 => json!({"kind": "interactions-now", "state": state}),
        2 => json!({"kind": "interactions-now-time", "state": state, "value": aggregate}),
        3 => json!({"kind": "agents-now", "state": agent_state}),
        4 => json!({"kind": "agents-now-time", "state": agent_state, "value": aggregate}),
        5 if rng.random_bool(0.3) => json!({"kind": "number", "of": "call-answered", "outcome": "spam"}),
        5 | 6 => json!({"kind": "number", "of": happening}),
        7 => json!({"kind": "time", "of": span, "value": aggregate}),
        8 if rng.random_bool(0.3) => {
            json!({"kind": "agent-time", "state": "not-ready", "reason": "lunch", "value": aggregate})
        }
        8 => json!({"kind": "agent-time", "state": agent_state, "value": aggregate}),
        9 => json!({"kind": "service-factor", "answered_within_ms": 2000, "abandoned_within_ms": 1000}),
        10 => json!({"kind": pick(rng, &["estimated-wait", "traffic"])}),
        11 => json!({"kind": "occupancy"}),
        _ => json!({"kind": "distribution", "of": span, "bounds_ms": [0, 100, 1000, 60000]}),
    };
    let mut statistic = json!({"name": format!("s{n}"), "object": object, "measure": measure});
    let profile = match rng.random_range(0..6) {
        0 => None,
        1 => Some(json!({"kind": "growing", "reset": {"at": "06:00", "time_zone": "UTC"}})),
        2 => Some(json!({"kind": "sliding", "window_ms": 60_000, "step_ms": 10_000})),
        3 => Some(json!({"kind": "sliding", "window_ms": 2_000_000, "step_ms": 100_000})),
        4 => Some(json!({"kind": "selection", "last": rng.random_range(1..6)})),
        _ => Some(json!({"kind": "since-login"})),
    };
    let filter = match rng.random_range(0..6) {
        0 => Some(json!({"media_type": "chat"})),
        1 => Some(json!({"category": "invoice"})),
        2 => Some(json!({"condition": GOLD})),
        3 => Some(json!({"condition": GOLD, "category": "invoice"})),
        _ => None,
    };
    for (field, value) in [("profile", profile), ("filter", filter)] {
        if let Some(value) = value {
            statistic[field] = value;
        }
    }
    statistic
}

const WORKFLOW: &str = r#"{"name": "support",
    "elements": [
        {"id": "start", "kind": "start"},
        {"id": "screen", "kind": "strategy"},
        {"id": "sub", "kind": "workflow", "workflow": "inner"},
        {"id": "hand", "kind": "queue", "queue": "hands"},
        {"id": "pause", "kind": "wait", "duration_ms": 3000},
        {"id": "done", "kind": "end"},
        {"id": "spam", "kind": "end", "disposition": "spam"}],
    "connectors": [
        {"from": "start", "outcome": "next", "to": "screen"},
        {"from": "screen", "outcome": "clean", "to": "sub"},
        {"from": "screen", "outcome": "spam", "to": "spam"},
        {"from": "screen", "outcome": "error", "to": "hand"},
        {"from": "sub", "outcome": "completed", "to": "done"},
        {"from": "sub", "outcome": "late", "to": "pause"},
        {"from": "hand", "outcome": "completed", "to": "done"},
        {"from": "pause", "outcome": "next", "to": "hand"}]}"#;

const INNER: &str = r#"{"name": "inner",
    "elements": [
        {"id": "start", "kind": "start"},
        {"id": "wait", "kind": "queue", "queue": "billing", "timeout_ms": 30000},
        {"id": "done", "kind": "end"},
        {"id": "late", "kind": "end", "outcome": "late"}],
    "connectors": [
        {"from": "start", "outcome": "next", "to": "wait"},
        {"from": "wait", "outcome": "completed", "to": "done"},
        {"from": "wait", "outcome": "timeout", "to": "late"}]}"#;

fn step(world: &mut World, slow: &mut Slow, rng: &mut StdRng, now: UnixMillis) {
    let agents = ["ana", "bob", "cyd"];
    let agent = name(agents[rng.random_range(0..agents.len())]);
    let ids: Vec<InteractionId> = world.account.lives().map(|(id, _)| id).collect();
    let by = || "test".to_owned();
    let some = |rng: &mut StdRng| ids.get(rng.random_range(0..ids.len().max(1))).copied();
    match rng.random_range(0..24) {
        0..=2 => {
            let tier = if rng.random_bool(0.4) { "gold" } else { "lead" };
            let media = if rng.random_bool(0.5) { "chat" } else { "email" };
            let before = world.journal.len();
            let id = world.submit(media, "support", tier, now);
            for record in &world.journal[before..] {
                slow.record(record);
            }
            slow.tell(id, tier);
        }
        3..=5 => {
            let Some((call, interaction)) = world.account.calls().next() else { return };
            let result = match rng.random_range(0..6) {
                0 => Err(Failure::Trap("unreachable".into())),
                1 => Ok(("spam", vec![])),
                2 => Ok(("clean", vec![Action::Categorize(Category { name: "invoice".into(), relevancy: 90 })])),
                3 => Ok(("clean", vec![Action::SetPriority(7)])),
                _ => Ok(("clean", vec![])),
            };
            let result =
                result.map(|(outcome, actions)| Decision { outcome: outcome.into(), actions, reason: String::new() });
            drop(world.run(Command::StrategyAnswered { call, interaction, answer: Answer { result } }, now));
        }
        6 => {
            let place = [None, Some(name("d1")), Some(name("d2"))][rng.random_range(0..3)].clone();
            let connected = rng.random_bool(0.5);
            let action = AgentAction::LogIn { place, media_types: BTreeSet::new(), connected };
            drop(world.run(Command::Agent { agent, action, by: by() }, now));
        }
        7..=9 => drop(world.run(Command::Agent { agent, action: AgentAction::Ready, by: by() }, now)),
        10 => {
            let reason = name(["lunch", "talk"][rng.random_range(0..2)]);
            let action = AgentAction::NotReady { reason, after_work: rng.random_bool(0.5) };
            drop(world.run(Command::Agent { agent, action, by: by() }, now));
        }
        11 => {
            let action = match rng.random_range(0..3) {
                0 => AgentAction::Disconnect,
                1 => AgentAction::Connect,
                _ => AgentAction::LogOut { after_work: rng.random_bool(0.5) },
            };
            drop(world.run(Command::Agent { agent, action, by: by() }, now));
        }
        12..=15 => {
            let offers: Vec<(InteractionId, OfferId, Name)> = world
                .account
                .lives()
                .flat_map(|(id, live)| live.offers().map(move |offer| (id, offer.id, offer.agent.clone())))
                .collect();
            if offers.is_empty() {
                return;
            }
            let (interaction, offer, agent) = offers[rng.random_range(0..offers.len())].clone();
            let answer =
                if rng.random_bool(0.8) { OfferAnswer::Accept } else { OfferAnswer::Decline { reason: String::new() } };
            drop(world.run(Command::AnswerOffer { interaction, offer, agent, answer }, now));
        }
        16 | 17 => {
            let Some(interaction) = some(rng) else { return };
            let (disposition, by, for_anyone) = ("done".to_owned(), by(), true);
            drop(
                world.run(Command::Complete { interaction, disposition, by: by.clone(), for_anyone }, now).or_else(
                    |_| world.run(Command::FinishWrapUp { interaction, disposition: None, by, for_anyone }, now),
                ),
            );
        }
        18 => {
            let Some(interaction) = some(rng) else { return };
            let for_anyone = true;
            let attention = [Attention::Held, Attention::Workbin, Attention::Active][rng.random_range(0..3)];
            let command = match rng.random_range(0..6) {
                0 => Command::Release { interaction, by: by(), for_anyone },
                1 => Command::Move { interaction, queue: name(["billing", "hands"][rng.random_range(0..2)]), by: by() },
                2 => Command::Assign { interaction, agent, by: by() },
                3 => Command::Transfer { interaction, to: Target::Agent(agent.to_string()), by: by(), for_anyone },
                4 => Command::Cancel { interaction, reason: String::from("no"), by: by(), for_customer: true },
                _ => Command::Attend { interaction, attention, by: by(), for_anyone },
            };
            drop(world.run(command, now));
        }
        19 => {
            let Some(interaction) = some(rng) else { return };
            drop(world.run(Command::Close { interaction, reason: String::from("left"), by: by() }, now));
        }
        20 => drop(world.run(Command::Take { queue: name("hands"), agent: None, by: by() }, now)),
        21 => {
            let Some(interaction) = some(rng) else { return };
            let value = ["gold", "lead"][rng.random_range(0..2)].to_owned();
            let entries = vec![Entry { key: "tier".into(), value }];
            drop(world.run(Command::SetUserData { interaction, entries }, now));
        }
        22 => {
            let Some(interaction) = some(rng) else { return };
            drop(world.run(Command::Resume { interaction, element: None, by: by() }, now));
        }
        _ => {
            let members: Vec<&str> = agents.into_iter().filter(|_| rng.random_bool(0.6)).collect();
            let members = if members.is_empty() { vec!["ana"] } else { members };
            drop(world.put("agent-group", json!({"name": "some", "agents": members}), now));
            let places: Vec<&str> = ["d1", "d2"].into_iter().filter(|_| rng.random_bool(0.6)).collect();
            drop(world.put("place-group", json!({"name": "floor", "places": places}), now));
        }
    }
}

fn timers(world: &mut World, now: UnixMillis) {
    for _ in 0..200 {
        if let Some(interaction) = world.account.timer_due(now) {
            world.run(Command::TimerDue { interaction }, now).unwrap();
        } else if let Some(agent) = world.account.login_timer_due(now).cloned() {
            world.run(Command::AgentTimerDue { agent }, now).unwrap();
        } else {
            return;
        }
    }
    panic!("timers never end");
}

fn compare(world: &World, slow: &Slow, now: UnixMillis, seed: u64) {
    let defined: Vec<&Name> = world.fold.names().collect();
    assert_eq!(defined.len(), slow.definitions.len(), "seed {seed}");
    for of in defined {
        let Figure { value, buckets, .. } = world.figure(of.as_str(), now);
        let statistic = &slow.definitions[of.as_str()].2;
        let (wanted, wanted_buckets) = slow.figure(of.as_str(), now.0);
        let close = match (value, wanted) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0),
            (a, b) => a.is_none() == b.is_none(),
        };
        let counts = buckets.map(|buckets| buckets.iter().map(|bucket| bucket.count).collect::<Vec<_>>());
        assert!(
            close && counts == wanted_buckets,
            "seed {seed}, at {}: {value:?} {counts:?}, recounted {wanted:?} {wanted_buckets:?}: {}",
            now.0 - START,
            serde_json::to_string(statistic).unwrap()
        );
    }
}

/// Answers with how many offers were accepted.
fn history(seed: u64, steps: usize) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut world, mut slow) = (World::default(), Slow::default());
    let mut now = UnixMillis(START);
    for agent in ["ana", "bob", "cyd"] {
        world.put("agent", json!({"name": agent, "capacity": "2 any"}), now).unwrap();
    }
    for place in ["d1", "d2"] {
        world.put("place", json!({"name": place}), now).unwrap();
    }
    world.put("agent-group", json!({"name": "all", "agents": ["ana", "bob", "cyd"]}), now).unwrap();
    world.put("agent-group", json!({"name": "some", "agents": ["ana"]}), now).unwrap();
    world.put("place-group", json!({"name": "floor", "places": ["d1"]}), now).unwrap();
    world.put("rules", json!({"second_login": "replace"}), now).unwrap();
    setting(&mut world, now);
    world.put("workflow", serde_json::from_str(INNER).unwrap(), now).unwrap();
    world.put("workflow", serde_json::from_str(WORKFLOW).unwrap(), now).unwrap();
    let shares = json!([{"deployment": "screen-1", "weight": 1}]);
    world.put("binding", json!({"workflow": "support", "element": "screen", "shares": shares}), now).unwrap();
    // From here on agents are watched.
    world
        .put(
            "statistic",
            json!({"name": "first", "object": {"kind": "account"}, "measure": {"kind": "occupancy"}}),
            now,
        )
        .unwrap();
    let mut told = 0;
    let catch_up = |world: &World, slow: &mut Slow, told: &mut usize| {
        for record in &world.journal[*told..] {
            slow.record(record);
        }
        *told = world.journal.len();
    };
    catch_up(&world, &mut slow, &mut told);
    let mut n = 0;
    for _ in 0..steps {
        now = now.plus(match rng.random_range(0..40) {
            0 => rng.random_range(0..9 * HOUR),
            1..=3 => rng.random_range(0..60_000),
            4..=15 => rng.random_range(0..4000),
            16..=30 => rng.random_range(0..200),
            _ => 0,
        });
        timers(&mut world, now);
        catch_up(&world, &mut slow, &mut told);
        match rng.random_range(0..30) {
            0..=2 => {
                let definition = statistic(&mut rng, n % 40);
                n += usize::from(world.put("statistic", definition, now).is_ok());
            }
            3 if n > 0 => {
                let of = format!("s{}", rng.random_range(0..n.min(40)));
                drop(world.remove(DocumentKind::Statistic, &of, now));
            }
            4 => world.save(),
            5 => world.restart(),
            _ => {
                step(&mut world, &mut slow, &mut rng, now);
                // A submit has told its own.
                if slow.last == now.0 && world.journal.len() > told && submitted(&world.journal[told..]) {
                    told = world.journal.len();
                }
            }
        }
        world.match_all(now);
        catch_up(&world, &mut slow, &mut told);
        if rng.random_range(0..8) == 0 {
            compare(&world, &slow, now, seed);
            compare(&world, &slow, now.plus(rng.random_range(0..20_000)), seed);
        }
    }
    world.restart();
    compare(&world, &slow, now, seed);
    slow.samples.iter().filter(|sample| sample.what == Happening::OfferAccepted).count()
}

fn submitted(records: &[Record]) -> bool {
    records.iter().flat_map(|record| &record.events).any(|event| matches!(event, Event::Submitted { .. }))
}

#[test]
fn every_figure_equals_a_recount_of_the_records() {
    let of = |variable: &str| std::env::var(variable).ok().and_then(|text| text.parse::<u64>().ok());
    let first = of("SIGNALBOX_SEED").unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    let histories = of("SIGNALBOX_HISTORIES").unwrap_or(20);
    println!("SIGNALBOX_SEED={first}");
    let accepted: usize = (first..first + histories).map(|seed| history(seed, 700)).sum();
    assert!(accepted > 0, "nothing happened");
}
