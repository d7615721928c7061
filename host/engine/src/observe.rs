//! What each record means to statistics: what happened to whom, how long it took, and how things stand now.
//!
//! The one place where events are read for that. Pure and total; it takes time in proportion to a record's events. What a
//! record says of an interaction is followed on a copy, from how the account was before it; of agents, before and after
//! are compared.
//!
//! Invariant: what is folded from it is what a recount of all records gives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::document::{Document, DocumentKind};
use crate::event::{Event, OfferEnd, Record};
use crate::id::{InteractionId, Name, Sequence, UnixMillis};
use crate::live::{Live, State, StateKind};
use crate::login::Readiness;
use crate::statistic::{AgentState, Asked, Happening, Mark, ObjectKind, Statistic};

/// Whom something about an interaction concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its medium.
    pub media_type: Name,
    /// The workflows that it is in and the element of each, the outermost first. Shared, for it is copied a lot.
    pub frames: Arc<[(Name, Name)]>,
    /// The queue that it is in or came out of.
    pub queue: Option<Name>,
    /// The agent who is concerned.
    pub agent: Option<Name>,
    /// Where that agent sits.
    pub place: Option<Name>,
    /// The deployment that is called.
    pub deployment: Option<Name>,
    /// What filters have found in it, in order.
    pub marks: Vec<Mark>,
}

/// What statistics are folded from: what one or more records mean.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Whom facts and moves are about, by index.
    pub subjects: Vec<Subject>,
    /// When and what, in order.
    pub facts: Vec<(UnixMillis, Fact)>,
    /// How interactions came to stand, in order. Not stored: how they stand now is in the account.
    #[serde(skip)]
    pub moves: Vec<Move>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// To an interaction.
    Happened {
        /// Whom it concerns: an index.
        subject: u32,
        /// What.
        what: Happening,
        /// How long it had taken, where it is the end of something.
        ms: Option<u64>,
        /// How it ended, where there are several ways.
        outcome: Option<String>,
    },
    /// An agent is in another state from now on, or the same anew.
    Agent {
        /// Who.
        agent: Name,
        /// How it stands; none once it is logged out.
        stand: Option<AgentStand>,
    },
    /// Who is in a group that a statistic is about.
    Members {
        /// An agent group or a place group.
        kind: ObjectKind,
        /// The group.
        group: Name,
        /// All of them.
        members: BTreeSet<Name>,
    },
    /// Whether an agent is in an agent group that a statistic is about.
    Member {
        /// The group.
        group: Name,
        /// The agent.
        agent: Name,
        /// Whether it is.
        is: bool,
    },
    /// A statistic was put: it begins now.
    Defined(#[serde(with = "as_json")] Arc<Statistic>),
    /// A statistic was taken away.
    Undefined(Name),
}

/// How an agent who is logged in stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStand {
    /// Where it sits.
    pub place: Option<Name>,
    /// Never [`AgentState::LoggedIn`].
    pub state: AgentState,
    /// Why it is not ready.
    pub reason: Option<Name>,
    /// Since when, as far as is known.
    pub since: UnixMillis,
    /// When it logged in.
    pub logged_in_at: UnixMillis,
    /// How full it is, 0 to 100.
    pub load_percent: u8,
}

/// How an interaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whom it concerns: an index.
    pub subject: u32,
    /// Its state.
    pub state: StateKind,
    /// Since when; in a queue, from when it came into it.
    pub since: UnixMillis,
}

/// A change of how an interaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// The interaction.
    pub id: InteractionId,
    /// As it was; none of a new one.
    pub from: Option<Standing>,
    /// As it is; none of one that has ended.
    pub to: Option<Standing>,
}

impl Observed {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.moves.is_empty()
    }

    /// The index of a subject. Neighbours are mostly of the same one.
    fn subject(&mut self, subject: Subject) -> u32 {
        if self.subjects.last() != Some(&subject) {
            self.subjects.push(subject);
        }
        u32::try_from(self.subjects.len() - 1).unwrap_or_else(|_| panic!("a batch is bounded"))
    }
}

/// Interactions of one part of a census.
const CENSUS_PART: usize = 4096;

/// How every interaction that has not ended stands, in parts.
pub fn census(account: &Account) -> impl Iterator<Item = Observed> + '_ {
    let mut lives = account.lives();
    std::iter::from_fn(move || {
        let mut part = Observed::default();
        for (id, live) in lives.by_ref().take(CENSUS_PART) {
            let to = standing(account, live, &mut part);
            part.moves.push(Move { id, from: None, to: Some(to) });
        }
        (!part.moves.is_empty()).then_some(part)
    })
}

/// All statistics, as if they were put at a moment: where what was observed before is lost.
#[must_use]
pub fn begin(account: &Account, at: UnixMillis) -> Observed {
    let mut observed = Observed::default();
    for statistic in account.configuration().statistics.values() {
        let fact = put(account, at, &Document::Statistic(Arc::clone(statistic)), &mut observed);
        observed.facts.extend(fact.map(|fact| (at, fact)));
    }
    agents(account, at, &mut observed);
    observed
}

/// How every agent stands who is logged in.
fn agents(account: &Account, at: UnixMillis, observed: &mut Observed) {
    for (agent, _) in account.logins() {
        let stand = agent_stand(account, agent, stands_since(account, agent));
        observed.facts.push((at, Fact::Agent { agent: agent.clone(), stand }));
    }
}

/// Half of an observation: what a record means, as far as that follows from how the account was before it.
#[derive(Debug)]
pub struct Observing<'a> {
    record: &'a Record,
    agents: BTreeMap<Name, Option<AgentStand>>,
    begins: bool,
}

impl<'a> Observing<'a> {
    /// Begins, with the account as it is before the record is applied. None where no statistic is concerned.
    #[must_use]
    pub fn before(account: &Account, record: &'a Record, observed: &mut Observed) -> Option<Self> {
        let begins = account.configuration().statistics.is_empty();
        let defines = |event: &Event| matches!(event, Event::DocumentPut { document: Document::Statistic(_), .. });
        if begins && !record.events.iter().any(defines) {
            return None;
        }
        let (asked, at) = (&account.configuration().asked, record.at);
        let mut walk = Walk { account, asked, at, observed, lives: BTreeMap::new(), agents: BTreeMap::new() };
        for (i, event) in record.events.iter().enumerate() {
            walk.touch(event);
            if let Some(id) = event.interaction() {
                let next = record.events.get(i + 1);
                walk.event(id, event, next);
            }
        }
        let agents = walk.finish();
        Some(Self { record, agents, begins })
    }

    /// Ends, with the account as it is after the record was applied.
    pub fn after(self, account: &Account, observed: &mut Observed) {
        let at = self.record.at;
        for event in &self.record.events {
            let fact = match event {
                Event::DocumentPut { document, .. } => put(account, at, document, observed),
                Event::DocumentRemoved { key, .. } => match key.kind {
                    DocumentKind::Statistic => Some(Fact::Undefined(key.name.clone())),
                    DocumentKind::Agent => {
                        member(account, at, &key.name, observed);
                        None
                    }
                    DocumentKind::AgentGroup => members(account, ObjectKind::AgentGroup, &key.name),
                    DocumentKind::PlaceGroup => members(account, ObjectKind::PlaceGroup, &key.name),
                    _ => None,
                },
                _ => None,
            };
            observed.facts.extend(fact.map(|fact| (at, fact)));
        }
        if self.begins {
            return agents(account, at, observed);
        }
        for (agent, was) in self.agents {
            let stand = agent_stand(account, &agent, at);
            // Where only the load has changed, the folder knows since when the rest stands.
            if was == stand {
                continue;
            }
            observed.facts.push((at, Fact::Agent { agent, stand }));
        }
    }
}

/// What a document that was put means.
fn put(account: &Account, at: UnixMillis, document: &Document, observed: &mut Observed) -> Option<Fact> {
    match document {
        Document::Statistic(statistic) => {
            let group = statistic.object.name.as_ref().and_then(|name| members(account, statistic.object.kind, name));
            observed.facts.extend(group.map(|fact| (at, fact)));
            Some(Fact::Defined(Arc::clone(statistic)))
        }
        Document::Agent(agent) => {
            member(account, at, &agent.name, observed);
            None
        }
        Document::AgentGroup(group) => members(account, ObjectKind::AgentGroup, &group.name),
        Document::PlaceGroup(group) => members(account, ObjectKind::PlaceGroup, &group.name),
        _ => None,
    }
}

/// Who is in a group, if a statistic is about it.
fn members(account: &Account, kind: ObjectKind, group: &Name) -> Option<Fact> {
    let configuration = account.configuration();
    configuration.asked.groups().find(|(of, name)| *of == kind && name == group)?;
    let members = match kind {
        ObjectKind::AgentGroup => {
            let document = configuration.agent_groups.get(group);
            let agents = configuration.agents.values();
            let within = agents.filter(|agent| document.is_some_and(|group| group.contains(agent)));
            within.map(|agent| agent.name.clone()).collect()
        }
        _ => configuration.place_groups.get(group).map(|group| group.places.clone()).unwrap_or_default(),
    };
    Some(Fact::Members { kind, group: group.clone(), members })
}

/// Which of the groups that statistics are about an agent is in.
fn member(account: &Account, at: UnixMillis, agent: &Name, observed: &mut Observed) {
    let configuration = account.configuration();
    let document = configuration.agents.get(agent);
    for (kind, group) in configuration.asked.groups() {
        if *kind == ObjectKind::AgentGroup {
            let of = configuration.agent_groups.get(group);
            let is = of.zip(document).is_some_and(|(group, agent)| group.contains(agent));
            observed.facts.push((at, Fact::Member { group: group.clone(), agent: agent.clone(), is }));
        }
    }
}

/// How an agent stands; none where it is not logged in.
fn agent_stand(account: &Account, agent: &Name, since: UnixMillis) -> Option<AgentStand> {
    let login = account.login(agent.as_str())?;
    let work = account.work(agent.as_str());
    let wrap_up = work.map_or(0, |work| work.wrap_up.len());
    let offered = work.map_or(0, |work| work.offered.len());
    let active = work.map_or(0, |work| work.count() as usize).saturating_sub(wrap_up + offered);
    let (state, reason) = match &login.readiness {
        _ if active > 0 => (AgentState::Busy, None),
        _ if wrap_up > 0 => (AgentState::WrapUp, None),
        Readiness::Ready => (AgentState::Ready, None),
        Readiness::NotReady { reason } => (AgentState::NotReady, Some(reason.clone())),
    };
    let (place, logged_in_at) = (login.place.clone(), login.logged_in_at);
    Some(AgentStand { place, state, reason, since, logged_in_at, load_percent: account.load_percent(agent) })
}

/// Since when an agent has been in its state, as far as the account knows.
fn stands_since(account: &Account, agent: &Name) -> UnixMillis {
    let Some(login) = account.login(agent.as_str()) else { return UnixMillis::default() };
    let work = account.work(agent.as_str());
    let first =
        |held: &BTreeSet<InteractionId>| held.iter().filter_map(|id| account.live(*id)).map(|it| it.since).min();
    let busy = work.and_then(|work| first(&work.assigned).or_else(|| first(&work.wrap_up)));
    busy.unwrap_or_else(|| login.since.max(login.idle_since))
}

/// The workflows that an interaction is in, and the element of each.
fn frames(account: &Account, live: &Live) -> Arc<[(Name, Name)]> {
    let frames = live.frames.iter().filter_map(|frame| {
        let flow = account.configuration().flow(frame.workflow.as_str(), frame.version)?;
        let element = flow.workflow.elements.get(usize::from(frame.element))?;
        Some((frame.workflow.clone(), element.id.clone()))
    });
    frames.collect()
}

/// Whom an interaction concerns as it stands.
fn subject(account: &Account, live: &Live, frames: Arc<[(Name, Name)]>) -> Subject {
    let (queue, deployment) = match &live.state {
        State::WrapUp(wrap_up) => (wrap_up.queue.clone(), None),
        State::Routing { deployment, .. } => (None, Some(deployment.clone())),
        _ => (live.position().map(|position| position.queue.clone()), None),
    };
    let agent = live.agent().cloned();
    let place = agent.as_ref().and_then(|agent| place(account, agent));
    let (media_type, marks) = (live.media_type.clone(), live.marks.clone());
    Subject { media_type, frames, queue, agent, place, deployment, marks }
}

fn place(account: &Account, agent: &Name) -> Option<Name> {
    account.login(agent.as_str()).and_then(|login| login.place.clone())
}

fn standing(account: &Account, live: &Live, observed: &mut Observed) -> Standing {
    let since = match &live.state {
        State::Queued(position) => position.since,
        _ => live.since,
    };
    let subject = subject(account, live, frames(account, live));
    Standing { subject: observed.subject(subject), state: live.state.kind(), since }
}

/// Who has an interaction, and since when.
#[derive(Debug, PartialEq, Eq)]
enum Hold {
    Nobody,
    /// The queue, when it came into it, and the command by which.
    Queue(Name, UnixMillis, Sequence),
    /// The token or the agent.
    Work(String, UnixMillis),
    WrapUp(UnixMillis),
}

fn hold(live: &Live) -> Hold {
    match &live.state {
        State::Queued(position) | State::Offered { position, .. } => {
            Hold::Queue(position.queue.clone(), position.since, position.ticket)
        }
        State::Assigned(assignment) => Hold::Work(assignment.by.clone(), live.since),
        State::WrapUp(_) => Hold::WrapUp(live.since),
        _ => Hold::Nobody,
    }
}

/// How somebody came to have it no more.
struct Parting<'a> {
    /// The customer went away.
    abandoned: bool,
    /// The code that whoever had it gave.
    disposition: Option<&'a str>,
}

/// Follows one record.
struct Walk<'a> {
    account: &'a Account,
    asked: &'a Asked,
    at: UnixMillis,
    observed: &'a mut Observed,
    /// Boxed, for they are large, and there is mostly one.
    lives: BTreeMap<InteractionId, Box<Followed>>,
    agents: BTreeMap<Name, Option<AgentStand>>,
}

/// An interaction on its way through a record.
struct Followed {
    live: Option<Live>,
    /// As it stood before, where that is asked for.
    was: Option<Standing>,
    /// It has entered a workflow, and its first element not yet.
    begins: bool,
    /// Found out when it is first asked for, and anew after it has moved.
    frames: Option<Arc<[(Name, Name)]>>,
}

impl Followed {
    fn subject(&mut self, account: &Account, live: &Live) -> Subject {
        let frames = self.frames.get_or_insert_with(|| frames(account, live));
        subject(account, live, Arc::clone(frames))
    }
}

impl Walk<'_> {
    /// Notes how agents stand whom an event may change.
    fn touch(&mut self, event: &Event) {
        if let Some(agent) = event.agent() {
            self.touch_agent(&agent.clone());
        }
        let key = match event {
            Event::DocumentPut { document, .. } => document.key(),
            Event::DocumentRemoved { key, .. } => key.clone(),
            _ => return,
        };
        match key.kind {
            DocumentKind::Agent => self.touch_agent(&key.name),
            // Capacities change with them.
            DocumentKind::AgentGroup | DocumentKind::AgentRules => {
                let all: Vec<Name> = self.account.logins().map(|(agent, _)| agent.clone()).collect();
                all.iter().for_each(|agent| self.touch_agent(agent));
            }
            _ => {}
        }
    }

    fn touch_agent(&mut self, agent: &Name) {
        if !self.agents.contains_key(agent) {
            self.agents.insert(agent.clone(), agent_stand(self.account, agent, self.at));
        }
    }

    fn happened(&mut self, subject: &Subject, what: Happening, ms: Option<u64>, outcome: Option<&str>) {
        if self.asked.looks_at(what) {
            let subject = self.observed.subject(subject.clone());
            let outcome = outcome.map(str::to_owned);
            self.observed.facts.push((self.at, Fact::Happened { subject, what, ms, outcome }));
        }
    }

    fn since(&self, since: UnixMillis) -> Option<u64> {
        Some(self.at.0.saturating_sub(since.0))
    }

    /// One event of an interaction.
    fn event(&mut self, id: InteractionId, event: &Event, next: Option<&Event>) {
        let mut followed = self.lives.remove(&id).unwrap_or_else(|| {
            let live = self.account.live(id).cloned();
            let stands = live.as_ref().filter(|_| self.asked.counts_standing());
            let was = stands.map(|live| standing(self.account, live, self.observed));
            Box::new(Followed { live, was, begins: false, frames: None })
        });
        if let Event::Submitted { media_type, priority, hops, .. } = event {
            let mut live = Live::new(media_type.clone(), *priority, *hops, self.at);
            // It counts under what is found in it from the first.
            if let Some(marked @ Event::Marked { id: of, .. }) = next
                && *of == id
            {
                live.apply(marked, self.at);
            }
            self.happened(&followed.subject(self.account, &live), Happening::Submitted, None, None);
            followed.frames = None;
            followed.live = Some(live);
        } else if let Some(live) = followed.live.take() {
            if let Some(agent) = live.agent() {
                self.touch_agent(&agent.clone());
            }
            followed.live = self.step(live, &mut followed, event);
        }
        self.lives.insert(id, followed);
    }

    /// What an event means to an interaction, and how it is afterwards; none where it has ended.
    fn step(&mut self, live: Live, followed: &mut Followed, event: &Event) -> Option<Live> {
        match event {
            Event::Completed { disposition, .. } => {
                self.ended(&live, followed, Happening::Completed, Some(disposition), "completed");
                None
            }
            Event::Cancelled { .. } => {
                self.ended(&live, followed, Happening::Cancelled, None, "cancelled");
                None
            }
            Event::Abandoned { .. } => {
                self.ended(&live, followed, Happening::Abandoned, None, "abandoned");
                None
            }
            Event::Queued { .. }
            | Event::Taken { .. }
            | Event::Released { .. }
            | Event::Assigned { .. }
            | Event::WrapUpStarted { .. }
            | Event::WorkDone { .. }
            | Event::Entered { .. }
            | Event::WorkflowEntered { .. }
            | Event::WorkflowLeft { .. }
            | Event::WorkflowsLeft { .. }
            | Event::Parked { .. }
            | Event::Waiting { .. }
            | Event::Scheduled { .. }
            | Event::Began { .. }
            | Event::CallRequested { .. }
            | Event::Answered { .. }
            | Event::Failed { .. } => Some(self.moved(live, followed, event)),
            // It goes to another queue out of somebody's hands; that it waits there is said next.
            Event::Moved { .. } => {
                if let State::Assigned(_) = live.state {
                    self.happened(&followed.subject(self.account, &live), Happening::Transferred, None, None);
                }
                Some(live)
            }
            other => {
                self.offered(&live, followed, other);
                let mut live = live;
                live.apply(other, self.at);
                Some(live)
            }
        }
    }

    fn ended(&mut self, live: &Live, followed: &mut Followed, what: Happening, disposition: Option<&str>, how: &str) {
        let before = followed.subject(self.account, live);
        self.released(
            &before,
            &hold(live),
            None,
            Parting { abandoned: what == Happening::Abandoned, disposition: None },
        );
        let life = self.since(live.submitted_at);
        self.happened(&before, what, life, disposition);
        self.happened(&before, Happening::Ended, life, Some(how));
        self.left_workflows(live, &before, 0, None);
    }

    /// An event by which an interaction may come into other hands, or to another place.
    fn moved(&mut self, mut live: Live, followed: &mut Followed, event: &Event) -> Live {
        let (held, since) = (hold(&live), live.since);
        let parts = match event {
            Event::Entered { .. } => !followed.begins && self.asked.looks_at(Happening::ElementLeft),
            Event::WorkflowLeft { .. } | Event::WorkflowsLeft { .. } => self.asks_of_workflows_left(),
            Event::Answered { .. } => self.asked.looks_at(Happening::CallAnswered),
            Event::Failed { .. } => self.asked.looks_at(Happening::CallFailed),
            _ => false,
        };
        // Found out only where somebody asks: most events are steps that nobody counts.
        let before = (parts || held != Hold::Nobody).then(|| followed.subject(self.account, &live));
        if let Some(before) = before.as_ref().filter(|_| parts) {
            self.parted(&live, before, event, since);
        }
        live.apply(event, self.at);
        match event {
            // Whoever had it is done, whatever comes next.
            Event::WorkDone { .. } => live.state = State::Moving,
            Event::Entered { element, .. } => {
                // It is moved on from where it waited, which no event of its own says.
                live.state = State::Moving;
                followed.frames = followed.frames.take().map(|frames| {
                    let mut frames = frames.to_vec();
                    frames.last_mut().into_iter().for_each(|(_, of)| *of = element.clone());
                    frames.into()
                });
            }
            Event::WorkflowsLeft { .. } => {
                // Neither does an event say so here: whoever had it in a workflow has it no more.
                live.state = State::Moving;
                followed.frames = None;
            }
            Event::WorkflowEntered { .. } | Event::WorkflowLeft { .. } => followed.frames = None,
            _ => {}
        }
        let is = hold(&live);
        if is != held {
            let after = followed.subject(self.account, &live);
            let disposition = match event {
                Event::WorkDone { disposition, .. } | Event::WrapUpStarted { disposition, .. } => Some(&**disposition),
                _ => None,
            };
            if let Some(before) = &before {
                self.released(before, &held, Some((&after, &is)), Parting { abandoned: false, disposition });
            }
            self.taken(&after, &held, &is, matches!(event, Event::Released { .. }));
        }
        let what = match event {
            Event::WorkflowEntered { .. } => {
                followed.begins = true;
                Happening::WorkflowEntered
            }
            Event::Entered { .. } => {
                followed.begins = false;
                Happening::ElementEntered
            }
            Event::CallRequested { .. } => Happening::CallRequested,
            Event::Parked { .. } => Happening::Parked,
            _ => return live,
        };
        if self.asked.looks_at(what) {
            let outcome = match event {
                Event::Parked { park, .. } => Some(park.code.as_str()),
                _ => None,
            };
            self.happened(&followed.subject(self.account, &live), what, None, outcome);
        }
        live
    }

    /// An event by which it leaves where it was.
    fn parted(&mut self, live: &Live, before: &Subject, event: &Event, since: UnixMillis) {
        match event {
            Event::Entered { by, .. } => {
                if let Some(frame) = live.frame() {
                    let outcome = by.as_ref().map(Name::as_str);
                    self.happened(before, Happening::ElementLeft, self.since(frame.entered_at), outcome);
                }
            }
            Event::WorkflowLeft { outcome, .. } => {
                let depth = live.frames.len().saturating_sub(1);
                self.left_workflows(live, before, depth, Some(outcome.as_str()));
            }
            Event::WorkflowsLeft { .. } => self.left_workflows(live, before, 0, None),
            Event::Answered { outcome, .. } => {
                self.happened(before, Happening::CallAnswered, self.since(since), Some(outcome));
            }
            Event::Failed { failure, .. } => {
                self.happened(before, Happening::CallFailed, self.since(since), Some(failure.code()));
            }
            _ => {}
        }
    }

    /// Whoever had it has it no more.
    fn released(&mut self, before: &Subject, held: &Hold, to: Option<(&Subject, &Hold)>, how: Parting<'_>) {
        match (held, to) {
            (Hold::Nobody, _) => {}
            (Hold::Queue(_, since, _), Some((after, Hold::Work(..)))) => {
                // The queue that it was in, and the agent who has it now.
                let subject = Subject { agent: after.agent.clone(), place: after.place.clone(), ..before.clone() };
                self.happened(&subject, Happening::Answered, self.since(*since), None);
            }
            (Hold::Queue(_, since, _), _) => {
                let what = if how.abandoned { Happening::QueueAbandoned } else { Happening::QueueLeft };
                self.happened(before, what, self.since(*since), None);
            }
            (Hold::Work(_, since), _) => self.happened(before, Happening::Worked, self.since(*since), how.disposition),
            (Hold::WrapUp(since), _) => {
                self.happened(before, Happening::WrappedUp, self.since(*since), how.disposition)
            }
        }
    }

    /// Somebody has it who had it not.
    fn taken(&mut self, after: &Subject, held: &Hold, is: &Hold, requeued: bool) {
        match (held, is) {
            (_, Hold::Queue(..)) => {
                let what = if requeued { Happening::Requeued } else { Happening::Queued };
                self.happened(after, what, None, None);
            }
            (Hold::Work(..), Hold::Work(..)) => self.happened(after, Happening::Transferred, None, None),
            _ => {}
        }
    }

    /// An offer is made, or ends.
    fn offered(&mut self, live: &Live, followed: &mut Followed, event: &Event) {
        let (agent, what, ms, outcome) = match event {
            Event::Offered { offer, .. } => (&offer.agent, Happening::Offered, None, None),
            Event::OfferEnded { offer, agent, how, .. } => {
                let made = live.offers().find(|open| open.id == *offer && open.agent == *agent).map(|open| open.since);
                let (what, outcome) = match how {
                    OfferEnd::Accepted => (Happening::OfferAccepted, None),
                    OfferEnd::Declined { .. } => (Happening::OfferDeclined, None),
                    OfferEnd::Expired => (Happening::OfferExpired, None),
                    OfferEnd::Revoked { reason } => (Happening::OfferRevoked, Some(reason.as_str())),
                    OfferEnd::CustomerGone => (Happening::OfferCustomerGone, None),
                    OfferEnd::DeliveryFailed => (Happening::OfferDeliveryFailed, None),
                };
                (agent, what, made.and_then(|made| self.since(made)), outcome)
            }
            _ => return,
        };
        if self.asked.looks_at(what) {
            let (agent, place) = (Some(agent.clone()), place(self.account, agent));
            let subject = Subject { agent, place, ..followed.subject(self.account, live) };
            self.happened(&subject, what, ms, outcome);
        }
    }

    fn asks_of_workflows_left(&self) -> bool {
        self.asked.looks_at(Happening::ElementLeft) || self.asked.looks_at(Happening::WorkflowLeft)
    }

    /// Leaves the workflows from a depth on, the innermost first, each with its element.
    fn left_workflows(&mut self, live: &Live, before: &Subject, depth: usize, outcome: Option<&str>) {
        // Where a version is gone, which nothing that is in it allows, there would be no names.
        if before.frames.len() != live.frames.len() || !self.asks_of_workflows_left() {
            return;
        }
        for within in (depth..live.frames.len()).rev() {
            let frame = &live.frames[within];
            let frames = Arc::from(&before.frames[..=within]);
            let subject = Subject { frames, ..before.clone() };
            self.happened(&subject, Happening::ElementLeft, self.since(frame.entered_at), None);
            self.happened(&subject, Happening::WorkflowLeft, self.since(frame.since), outcome);
        }
    }

    /// How interactions stand after the record.
    fn finish(mut self) -> BTreeMap<Name, Option<AgentStand>> {
        if self.asked.counts_standing() {
            for (id, followed) in std::mem::take(&mut self.lives) {
                let Followed { live, was, .. } = *followed;
                let to = live.map(|live| standing(self.account, &live, self.observed));
                let same = |(a, b): (Standing, Standing)| {
                    (a.state, a.since) == (b.state, b.since)
                        && self.observed.subjects[a.subject as usize] == self.observed.subjects[b.subject as usize]
                };
                if !was.zip(to).is_some_and(same) && (was.is_some() || to.is_some()) {
                    self.observed.moves.push(Move { id, from: was, to });
                }
            }
        }
        self.agents
    }
}

/// A definition is tagged and open-ended: in any format it stands as JSON.
mod as_json {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer, de::Error as _, ser::Error as _};

    use crate::statistic::Statistic;

    pub fn serialize<S: Serializer>(statistic: &Statistic, serializer: S) -> Result<S::Ok, S::Error> {
        let text = serde_json::to_string(statistic).map_err(S::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Statistic>, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Arc::new).map_err(D::Error::custom)
    }
}
