//! The account of `model.rs`, as naive as can be: lists that are searched from end to end, and nothing kept that can be
//! found out. It takes the engine's commands and documents, for they are what is said; what it makes of them is its own.
//!
//! Who may get what is in `who.rs`.

#![allow(clippy::unwrap_used)]

mod agents;
mod offers;
mod way;
mod who;

use signalbox_engine::{
    Agent, AgentGroup, AgentRules, Attention, Command, Connection, Document, DocumentKind, ElementKind, InteractionId,
    Name, OfferId, Pending, PlaceGroup, Queue, Relaxation, Skill, Speaker, Target, UnixMillis, Workflow,
};

use who::Rule;
pub use who::Wish;

/// The code of a rejection.
pub type Refusal = &'static str;

/// An agent who exists, and the capacity that it has of its own.
#[derive(Debug, Clone)]
pub struct Person {
    pub name: Name,
    pub skills: Vec<Skill>,
    pub capacity: Option<Rule>,
}

/// An agent who is logged in.
#[derive(Debug, Clone)]
pub struct Seat {
    pub agent: Name,
    pub place: Option<Name>,
    pub media_types: Vec<Name>,
    /// None: ready.
    pub reason: Option<Name>,
    pub since: UnixMillis,
    pub logged_in_at: UnixMillis,
    pub pending: Option<Pending>,
    pub idle_since: UnixMillis,
    pub rests_until: Option<UnixMillis>,
    pub connection: Connection,
    /// Differs for each time that it became ready.
    pub readiness: u64,
    /// Grows with each offer to anybody.
    pub last_offer: u64,
}

/// A place in a queue.
#[derive(Debug, Clone)]
pub struct Place {
    pub queue: Name,
    pub since: UnixMillis,
    /// What its relaxations count from.
    pub began: UnixMillis,
    pub clock: UnixMillis,
    /// Who came first.
    pub ticket: u64,
    pub timeout: Option<UnixMillis>,
    pub wish: Option<Wish>,
    /// Its queue says whom it waits for.
    pub follows: bool,
    /// What is left of the relaxations.
    pub relaxations: Vec<Relaxation>,
}

/// An open offer.
#[derive(Debug, Clone)]
pub struct Held {
    pub id: OfferId,
    pub agent: Name,
    pub expires: UnixMillis,
}

/// Somebody has it.
#[derive(Debug, Clone)]
pub struct Work {
    pub by: String,
    pub agent: Option<Name>,
    pub attention: Attention,
    pub idle_until: Option<UnixMillis>,
    pub transfer: Option<Transfer>,
}

/// It is to be handed on.
#[derive(Debug, Clone)]
pub struct Transfer {
    pub to: Target,
    pub until: UnixMillis,
    pub asked: Vec<Name>,
}

/// After-contact work.
#[derive(Debug, Clone)]
pub struct WrapUp {
    pub agent: Name,
    pub disposition: String,
    pub until: UnixMillis,
}

/// An interaction. It is in wrap-up, or worked on, or scheduled, or offered, or else it waits.
#[derive(Debug, Clone)]
pub struct Item {
    pub id: InteractionId,
    pub workflow: Name,
    pub element: Name,
    pub media_type: Name,
    pub priority: u16,
    pub skills: Vec<Skill>,
    pub last_agent: Option<Name>,
    /// How the work on it ended last.
    pub disposition: Option<String>,
    pub submitted_at: UnixMillis,
    pub since: UnixMillis,
    pub scheduled: Option<UnixMillis>,
    pub place: Option<Place>,
    pub offers: Vec<Held>,
    pub work: Option<Work>,
    pub wrap_up: Option<WrapUp>,
    /// Who did not accept it where it waits now, and which of their readinesses that was.
    pub refused: Vec<(Name, u64)>,
}

/// How offers end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Accepted,
    Declined,
    Expired,
    Revoked(&'static str),
    CustomerGone,
    DeliveryFailed,
}

#[derive(Debug, Default, Clone)]
pub struct Model {
    pub now: UnixMillis,
    pub rules: AgentRules,
    pub capacity: Rule,
    pub people: Vec<Person>,
    pub groups: Vec<(AgentGroup, Option<Rule>)>,
    pub places: Vec<Name>,
    pub place_groups: Vec<PlaceGroup>,
    pub queues: Vec<Queue>,
    pub workflows: Vec<Workflow>,
    pub seats: Vec<Seat>,
    /// Until when those rest who have logged out.
    pub rests: Vec<(Name, UnixMillis)>,
    pub items: Vec<Item>,
    /// What has happened since this was last emptied.
    pub facts: Vec<String>,
    /// Offers whose agent was among those who are meant, and is no longer.
    misfits: Vec<(InteractionId, Name, who::Wish)>,
    count: u64,
}

impl Item {
    pub fn state(&self) -> &'static str {
        match self {
            Self { wrap_up: Some(_), .. } => "wrap-up",
            Self { work: Some(_), .. } => "assigned",
            Self { scheduled: Some(_), .. } => "scheduled",
            Self { offers, .. } if !offers.is_empty() => "offered",
            _ => "queued",
        }
    }

    pub fn waits(&self) -> bool {
        self.state() == "queued"
    }

    /// Its place, unless it is scheduled or in wrap-up.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref().filter(|_| self.wrap_up.is_none() && self.scheduled.is_none())
    }

    /// Who works on it or wraps it up.
    pub fn agent(&self) -> Option<&Name> {
        let wraps = self.wrap_up.as_ref().map(|wrap_up| &wrap_up.agent);
        wraps.or_else(|| self.work.as_ref().and_then(|work| work.agent.as_ref()))
    }

    /// The next moment at which something happens to it by itself.
    pub fn timer(&self) -> Option<UnixMillis> {
        let expires = self.offers.iter().map(|offer| offer.expires).min();
        let timeout = self.place.as_ref().and_then(|place| place.timeout);
        let relaxes = self.place.as_ref().and_then(|place| Some(place.began.plus(place.relaxations.first()?.after_ms)));
        let moments = match self.state() {
            "wrap-up" => [self.wrap_up.as_ref().map(|wrap_up| wrap_up.until), None],
            "assigned" => [expires, self.work.as_ref().and_then(|work| work.idle_until)],
            "scheduled" => [self.scheduled, None],
            "offered" => [expires, timeout],
            _ => [timeout, relaxes],
        };
        moments.into_iter().flatten().min()
    }
}

impl Seat {
    pub fn timer(&self) -> Option<UnixMillis> {
        let lost = match self.connection {
            Connection::Lost { not_ready_at: Some(at), .. } => Some(at),
            Connection::Lost { release_at, .. } => Some(release_at),
            _ => None,
        };
        [lost, self.rests_until].into_iter().flatten().min()
    }
}

impl Model {
    /// Does what a command says, or says why not and does nothing.
    pub fn step(&mut self, command: &Command, now: UnixMillis) -> Result<(), Refusal> {
        let before = self.fitting();
        let done = self.done_by(command, now);
        let after = self.fitting();
        self.misfits.extend(before);
        self.misfits.retain(|offer| !after.contains(offer));
        done
    }

    fn done_by(&mut self, command: &Command, now: UnixMillis) -> Result<(), Refusal> {
        self.now = now;
        match command {
            Command::Submit(submission) => self.submit(submission),
            Command::TimerDue { interaction } => self.timer_due(*interaction),
            Command::AgentTimerDue { agent } => self.agent_timer_due(agent),
            Command::Cancel { interaction, for_customer, .. } => {
                let i = self.find(*interaction)?;
                self.end_offers(i, if *for_customer { End::CustomerGone } else { End::Revoked("cancelled") });
                self.fact(format!("cancelled {interaction}"));
                self.take_away(i);
                Ok(())
            }
            Command::Close { interaction, .. } => self.close(*interaction),
            Command::Take { queue, agent, by } => self.take(queue, agent.as_ref(), by),
            Command::Release { interaction, by, for_anyone } => {
                let i = self.own(*interaction, by, *for_anyone)?;
                let agent = self.items[i].agent().cloned();
                self.release(i);
                agent.iter().for_each(|agent| self.rest(agent));
                Ok(())
            }
            Command::TakeOver { interaction, by } => self.take_over(*interaction, by),
            Command::Complete { interaction, disposition, for_anyone: true, .. }
                if self
                    .items
                    .iter()
                    .any(|item| item.id == *interaction && !matches!(item.state(), "assigned" | "scheduled")) =>
            {
                let i = self.find(*interaction)?;
                self.check_disposition(disposition)?;
                self.end_offers(i, End::Revoked("completed"));
                self.done(i, disposition.clone());
                Ok(())
            }
            Command::Complete { interaction, disposition, by, for_anyone } => {
                let i = self.own(*interaction, by, *for_anyone)?;
                self.check_disposition(disposition)?;
                self.complete(i, disposition.clone(), End::Revoked("transfer-ended"));
                Ok(())
            }
            Command::FinishWrapUp { interaction, disposition, by, for_anyone } => {
                let i = self.find(*interaction)?;
                let wrap_up = self.items[i].wrap_up.clone().ok_or("state-wrong")?;
                if !for_anyone && wrap_up.agent != by.as_str() {
                    return Err("assigned-to-another");
                }
                // What was said before was right then.
                disposition.iter().try_for_each(|disposition| self.check_disposition(disposition))?;
                let disposition = disposition.clone().unwrap_or(wrap_up.disposition);
                self.done(i, disposition);
                Ok(())
            }
            Command::Agent { agent, action, .. } => self.act(agent, action),
            Command::AnswerOffer { interaction, offer, agent, answer } => {
                self.answer(*interaction, *offer, agent, answer)
            }
            Command::Attend { interaction, attention, by, for_anyone } => {
                self.attend(*interaction, *attention, by, *for_anyone)
            }
            Command::Transfer { interaction, to, by, for_anyone } => self.transfer(*interaction, to, by, *for_anyone),
            Command::Move { interaction, queue, .. } => self.move_to(*interaction, queue.as_str()),
            Command::Assign { interaction, agent, .. } => self.give(*interaction, agent),
            Command::Say { interaction, speaker, by, for_anyone, .. } => {
                let i = self.find(*interaction)?;
                if *speaker == Speaker::Agent {
                    self.own(*interaction, by, *for_anyone)?;
                    self.is_active(i);
                }
                Ok(())
            }
            Command::Put { document, .. } => self.put(document),
            Command::Remove { key, .. } if key.kind == DocumentKind::Agent => self.remove(&key.name),
            other => panic!("the model knows nothing of {other:?}"),
        }
    }

    fn fact(&mut self, fact: String) {
        self.facts.push(fact);
    }

    fn next_count(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn find(&self, id: InteractionId) -> Result<usize, Refusal> {
        self.items.iter().position(|item| item.id == id).ok_or("interaction-unknown")
    }

    fn own(&self, id: InteractionId, by: &str, for_anyone: bool) -> Result<usize, Refusal> {
        let i = self.find(id)?;
        match &self.items[i].work {
            Some(work) if self.items[i].wrap_up.is_none() => {
                if for_anyone || work.by == by {
                    Ok(i)
                } else {
                    Err("assigned-to-another")
                }
            }
            _ => Err("state-wrong"),
        }
    }

    fn queue(&self, name: &Name) -> Queue {
        self.queues.iter().find(|queue| queue.name == *name).unwrap().clone()
    }

    fn seat(&mut self, agent: &Name) -> Result<&mut Seat, Refusal> {
        self.seats.iter_mut().find(|seat| seat.agent == *agent).ok_or("agent-logged-out")
    }

    fn check_disposition(&self, disposition: &str) -> Result<(), Refusal> {
        let known = &self.rules.dispositions;
        if known.is_empty() || known.contains(disposition) || matches!(disposition, "closed-by-customer" | "forwarded")
        {
            Ok(())
        } else {
            Err("disposition-unknown")
        }
    }

    fn put(&mut self, document: &Document) -> Result<(), Refusal> {
        match document {
            Document::Agent(agent) => {
                let Agent { name, skills, capacity, .. } = agent.as_ref();
                let skills = skills.iter().map(|(name, level)| Skill { name: name.to_string(), level: *level });
                let capacity = capacity.as_ref().map(|rule| Rule::new(&rule.to_string()));
                self.people.retain(|person| person.name != *name);
                self.people.push(Person { name: name.clone(), skills: skills.collect(), capacity });
            }
            Document::AgentGroup(group) => {
                if group.agents.iter().any(|agent| !self.people.iter().any(|person| person.name == *agent)) {
                    return Err("agent-unknown");
                }
                let capacity = group.capacity.as_ref().map(|rule| Rule::new(&rule.to_string()));
                self.groups.retain(|(other, _)| other.name != group.name);
                self.groups.push((AgentGroup::clone(group), capacity));
                self.groups.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
            }
            Document::Place(place) => self.places.push(place.name.clone()),
            Document::PlaceGroup(group) => {
                self.place_groups.retain(|other| other.name != group.name);
                self.place_groups.push(PlaceGroup::clone(group));
            }
            Document::AgentRules(rules) => {
                self.rules = AgentRules::clone(rules);
                self.capacity = Rule::new(&rules.capacity.to_string());
            }
            Document::Queue(queue) => {
                if let Some(Target::Agent(agent)) = &queue.target
                    && !self.people.iter().any(|person| person.name == agent.as_str())
                {
                    return Err("agent-unknown");
                }
                self.queues.retain(|other| other.name != queue.name);
                self.queues.push(queue.clone());
            }
            Document::Workflow(workflow, _) => self.workflows.push(Workflow::clone(workflow)),
            Document::Skill(_) => {}
            other => panic!("the model knows nothing of {other:?}"),
        }
        Ok(())
    }

    fn remove(&mut self, agent: &Name) -> Result<(), Refusal> {
        if !self.people.iter().any(|person| person.name == *agent) {
            return Err("document-unknown");
        }
        if self.names(agent) {
            return Err("document-in-use");
        }
        if self.seats.iter().any(|seat| seat.agent == *agent) {
            self.log_out(agent, "removed");
        }
        for id in self.worked_on_by(agent, true) {
            let i = self.find(id).unwrap();
            self.release(i);
        }
        self.people.retain(|person| person.name != *agent);
        self.rests.retain(|(other, _)| other != agent);
        Ok(())
    }

    /// Whether a group, a queue or a workflow names this agent.
    pub fn names(&self, agent: &Name) -> bool {
        let target = Some(Target::Agent(agent.to_string()));
        let elements = self.workflows.iter().flat_map(|workflow| &workflow.elements);
        let mut targets = elements.flat_map(|element| match &element.kind {
            ElementKind::Queue { target, relaxations, .. } => {
                relaxations.iter().map(|r| Some(r.target.clone())).chain([target.clone()]).collect()
            }
            _ => Vec::new(),
        });
        self.groups.iter().any(|(group, _)| group.agents.contains(agent))
            || self.queues.iter().any(|queue| queue.target == target)
            || targets.any(|of_element| of_element == target)
    }

    fn worked_on_by(&self, agent: &Name, with_workbin: bool) -> Vec<InteractionId> {
        let works = |item: &&Item| {
            item.wrap_up.is_none()
                && item.work.as_ref().is_some_and(|work| {
                    work.agent.as_ref() == Some(agent) && (with_workbin || work.attention != Attention::Workbin)
                })
        };
        self.items.iter().filter(works).map(|item| item.id).collect()
    }
}
