//! Who could get what: the interactions that wait for agents, the agents who wait for interactions, and what is to be
//! looked at again.
//!
//! Derived from the rows and never stored. Interactions that want the same agents wait in one **pool**; for every agent it
//! is known which pools it serves, so that the next interaction for an agent is the best of a few heads, however many wait.
//!
//! Invariant: whatever could be matched is due, or has been looked at since the last change to either side.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::capacity::CapacityRule;
use crate::content::Skill;
use crate::decision::Target;
use crate::document::Configuration;
use crate::id::{InteractionId, Name, Sequence, UnixMillis};
use crate::live::{Attention, Live, QueuePosition, State, Wants};
use crate::login::Login;
use crate::rank::Rank;
use crate::skill_expression::SkillExpression;
use crate::staff::{Agent, AgentChoice};

/// Pools that are kept though nothing waits in them: to make one anew costs a look at every agent.
const IDLE_POOLS_MAX: usize = 1024;

/// What is to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// An agent may be able to take something.
    Agent(Name),
    /// An interaction waits for somebody.
    Interaction(InteractionId),
}

/// What an agent has in hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Work {
    /// Held out to it.
    pub offered: BTreeSet<InteractionId>,
    /// Assigned to it, its workbin included.
    pub assigned: BTreeSet<InteractionId>,
    /// In wrap-up.
    pub wrap_up: BTreeSet<InteractionId>,
    /// How many count, by media type: all of these but what lies in the workbin.
    pub load: BTreeMap<Name, u32>,
}

impl Work {
    fn is_empty(&self) -> bool {
        self.offered.is_empty() && self.assigned.is_empty() && self.wrap_up.is_empty()
    }

    /// How many count.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.load.values().sum()
    }

    /// How many of those it works on or wraps up: what is only held out to it can be taken back.
    #[must_use]
    pub fn in_hand(&self) -> u32 {
        self.count().saturating_sub(u32::try_from(self.offered.len()).unwrap_or(u32::MAX))
    }
}

/// Interactions that want the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct PoolKey {
    queue: Name,
    media_type: Name,
    wants: Wants,
}

#[derive(Debug, Clone)]
struct Pool {
    /// Those that can be offered to one more.
    waiting: BTreeSet<Rank>,
    /// Those who are logged in and could take them, capacity aside.
    agents: BTreeSet<Name>,
    test: Test,
}

/// A target, made ready to be asked about many agents.
#[derive(Debug, Clone)]
struct Test {
    target: Target,
    expression: Option<SkillExpression>,
    skills: Vec<Skill>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Matching {
    pools: BTreeMap<Arc<PoolKey>, Pool>,
    serves: BTreeMap<Name, BTreeSet<Arc<PoolKey>>>,
    capacities: BTreeMap<Name, CapacityRule>,
    work: BTreeMap<Name, Work>,
    /// Agents who take offers and have room for anything at all.
    available: BTreeSet<Name>,
    agents_due: BTreeSet<Name>,
    interactions_due: BTreeSet<InteractionId>,
}

/// All that matching is a function of, beside itself.
#[derive(Clone, Copy)]
pub(crate) struct Staff<'a> {
    pub(crate) configuration: &'a Configuration,
    pub(crate) logins: &'a BTreeMap<Name, Login>,
}

impl Test {
    fn new(wants: &Wants) -> Self {
        let expression = match &wants.target {
            Target::Skills(text) => SkillExpression::new(text).ok(),
            _ => None,
        };
        Self { target: wants.target.clone(), expression, skills: wants.skills.clone() }
    }

    fn passes(&self, configuration: &Configuration, agent: &Agent, login: &Login) -> bool {
        let targeted = match &self.target {
            Target::Agent(name) => agent.name == name.as_str(),
            Target::AgentGroup(name) => {
                configuration.agent_groups.get(name.as_str()).is_some_and(|group| group.contains(agent))
            }
            Target::PlaceGroup(name) => configuration
                .place_groups
                .get(name.as_str())
                .is_some_and(|group| login.place.as_ref().is_some_and(|place| group.places.contains(place))),
            Target::Skills(_) => self.expression.as_ref().is_some_and(|e| e.matches(&agent.skills)),
            Target::Queue(_) | Target::LastAgent => false,
        };
        targeted && self.skills.iter().all(|s| agent.skills.get(s.name.as_str()).is_some_and(|level| *level >= s.level))
    }
}

impl Matching {
    /// What an agent has in hand.
    pub(crate) fn work(&self, agent: &str) -> Option<&Work> {
        self.work.get(agent)
    }

    /// How full an agent is, 0 to 100.
    pub(crate) fn load_percent(&self, agent: &Name) -> u8 {
        match (self.capacities.get(agent), self.work.get(agent)) {
            (Some(capacity), Some(work)) => capacity.load_percent(&work.load),
            _ => 0,
        }
    }

    /// The rule that an agent who is logged in works by.
    pub(crate) fn capacity(&self, agent: &Name) -> Option<&CapacityRule> {
        self.capacities.get(agent)
    }

    /// Whether an agent who takes offers has room for one more.
    pub(crate) fn has_room(&self, agent: &Name, media_type: &Name) -> bool {
        let none = BTreeMap::new();
        let load = self.work.get(agent).map_or(&none, |work| &work.load);
        self.available.contains(agent)
            && self.capacities.get(agent).is_some_and(|capacity| capacity.can_take(load, media_type))
    }

    /// What is to be matched next. Stands until it is said to be done, or nothing of it is left.
    pub(crate) fn due(&self) -> Option<Due> {
        let agent = self.agents_due.first().cloned().map(Due::Agent);
        agent.or_else(|| self.interactions_due.first().copied().map(Due::Interaction))
    }

    /// Nothing more can be done about it until something changes.
    pub(crate) fn done(&mut self, due: &Due) {
        match due {
            Due::Agent(agent) => drop(self.agents_due.remove(agent)),
            Due::Interaction(id) => drop(self.interactions_due.remove(id)),
        }
    }

    /// An interaction is as it says now.
    pub(crate) fn index(&mut self, staff: Staff<'_>, id: InteractionId, live: &Live) {
        if let Some((position, key)) = seeks(live) {
            let key = self.pool(staff, key);
            if let Some(pool) = self.pools.get_mut(&key) {
                pool.waiting.insert(Rank::new(staff.configuration, live, position, id));
            }
            self.interactions_due.insert(id);
        }
        match &live.state {
            State::Assigned(assignment) => {
                if let Some(agent) = &assignment.agent {
                    let work = entry(&mut self.work, agent);
                    work.assigned.insert(id);
                    if assignment.attention != Attention::Workbin {
                        *entry(&mut work.load, &live.media_type) += 1;
                    }
                    self.changed(staff, agent);
                }
            }
            State::WrapUp(wrap_up) => {
                let work = entry(&mut self.work, &wrap_up.agent);
                work.wrap_up.insert(id);
                *entry(&mut work.load, &live.media_type) += 1;
                self.changed(staff, &wrap_up.agent);
            }
            _ => {}
        }
        for offer in live.offers() {
            let work = entry(&mut self.work, &offer.agent);
            work.offered.insert(id);
            *entry(&mut work.load, &live.media_type) += 1;
            self.changed(staff, &offer.agent);
        }
    }

    /// An interaction is no longer as it says.
    pub(crate) fn unindex(&mut self, staff: Staff<'_>, id: InteractionId, live: &Live) {
        self.interactions_due.remove(&id);
        if let Some((position, key)) = seeks(live)
            && let Some(pool) = self.pools.get_mut(&key)
        {
            pool.waiting.remove(&Rank::new(staff.configuration, live, position, id));
        }
        match &live.state {
            State::Assigned(assignment) => {
                if let Some(agent) = &assignment.agent {
                    let counts = assignment.attention != Attention::Workbin;
                    self.take_away(agent, counts.then_some(&live.media_type), |work| &mut work.assigned, id);
                    self.changed(staff, agent);
                }
            }
            State::WrapUp(wrap_up) => {
                self.take_away(&wrap_up.agent, Some(&live.media_type), |work| &mut work.wrap_up, id);
                self.changed(staff, &wrap_up.agent);
            }
            _ => {}
        }
        for offer in live.offers() {
            self.take_away(&offer.agent, Some(&live.media_type), |work| &mut work.offered, id);
            self.changed(staff, &offer.agent);
        }
    }

    fn take_away(
        &mut self,
        agent: &Name,
        media_type: Option<&Name>,
        held: impl Fn(&mut Work) -> &mut BTreeSet<InteractionId>,
        id: InteractionId,
    ) {
        let Some(work) = self.work.get_mut(agent) else { return };
        held(work).remove(&id);
        if let Some(count) = media_type.and_then(|media_type| work.load.get_mut(media_type)) {
            *count -= 1;
        }
        work.load.retain(|_, count| *count > 0);
        if work.is_empty() {
            self.work.remove(agent);
        }
    }

    /// An agent's state or its work has changed.
    pub(crate) fn changed(&mut self, staff: Staff<'_>, agent: &Name) {
        let login = staff.logins.get(agent);
        let leaves = login.is_some_and(|login| login.pending.is_some()) && self.load_percent(agent) == 0;
        let takes = login.is_some_and(Login::takes_offers);
        if leaves {
            self.available.remove(agent);
            self.agents_due.insert(agent.clone());
        } else if takes && self.load_percent(agent) < 100 {
            if !self.available.contains(agent) {
                self.available.insert(agent.clone());
            }
            self.agents_due.insert(agent.clone());
        } else {
            self.available.remove(agent);
            self.agents_due.remove(agent);
        }
    }

    /// An agent logged in or out, or what is known of it has changed: which pools it serves is found out anew.
    pub(crate) fn rate(&mut self, staff: Staff<'_>, name: &Name) {
        for key in self.serves.remove(name).unwrap_or_default() {
            if let Some(pool) = self.pools.get_mut(&key) {
                pool.agents.remove(name);
            }
        }
        self.capacities.remove(name);
        if let (Some(login), Some(agent)) = (staff.logins.get(name), staff.configuration.agents.get(name)) {
            self.capacities.insert(name.clone(), staff.configuration.capacity(agent));
            let mut serves = BTreeSet::new();
            for (key, pool) in &mut self.pools {
                if login.takes(&key.media_type) && pool.test.passes(staff.configuration, agent, login) {
                    pool.agents.insert(name.clone());
                    serves.insert(Arc::clone(key));
                }
            }
            self.serves.insert(name.clone(), serves);
        }
        self.changed(staff, name);
    }

    /// A queue ages what waits in it differently from now on.
    pub(crate) fn age(&mut self, queue: &Name, ageing: u16) {
        for (_, pool) in self.pools.iter_mut().filter(|(key, _)| key.queue == *queue) {
            pool.waiting = pool.waiting.iter().map(|rank| rank.with_ageing(ageing)).collect();
        }
    }

    /// The pool for this, made where there is none.
    fn pool(&mut self, staff: Staff<'_>, key: PoolKey) -> Arc<PoolKey> {
        if let Some((key, _)) = self.pools.get_key_value(&key) {
            return Arc::clone(key);
        }
        if self.pools.len() >= IDLE_POOLS_MAX {
            self.drop_idle_pools();
        }
        let test = Test::new(&key.wants);
        let key = Arc::new(key);
        let agents: BTreeSet<Name> = able(staff, &test, &key.media_type).map(|(name, _)| name.clone()).collect();
        for agent in &agents {
            entry(&mut self.serves, agent).insert(Arc::clone(&key));
        }
        self.pools.insert(Arc::clone(&key), Pool { waiting: BTreeSet::new(), agents, test });
        key
    }

    fn drop_idle_pools(&mut self) {
        let idle: BTreeSet<_> =
            self.pools.iter().filter(|(_, pool)| pool.waiting.is_empty()).map(|(key, _)| Arc::clone(key)).collect();
        self.pools.retain(|key, _| !idle.contains(key));
        for serves in self.serves.values_mut() {
            serves.retain(|key| !idle.contains(key));
        }
    }

    /// The interaction that an agent should get next.
    pub(crate) fn next_for<'a>(
        &self,
        agent: &Name,
        login: &Login,
        live: impl Fn(InteractionId) -> Option<&'a Live>,
        now: UnixMillis,
    ) -> Option<InteractionId> {
        let free = |id: InteractionId| live(id).is_some_and(|live| is_open_to(live, agent, login));
        let pools = self.serves.get(agent)?.iter().filter(|key| self.has_room(agent, &key.media_type));
        let heads = pools.filter_map(|key| self.pools.get(key)?.waiting.iter().find(|rank| free(rank.id)));
        heads.min_by_key(|rank| rank.across_queues(now)).map(|rank| rank.id)
    }

    /// The agent who should get an interaction next.
    pub(crate) fn agent_for(&self, staff: Staff<'_>, live: &Live) -> Option<Name> {
        let position = live.position()?;
        let wants = position.wants.as_deref()?;
        let pool = self.find(live)?;
        let rank = |name: &Name| {
            let login = staff.logins.get(name)?;
            let takes = is_open_to(live, name, login) && self.has_room(name, &live.media_type);
            takes.then(|| self.preference(staff, wants, name, login))
        };
        let best = |names: &mut dyn Iterator<Item = &Name>| {
            names.filter_map(|name| Some((rank(name)?, name))).min().map(|(_, name)| name.clone())
        };
        // The smaller of the two sets is walked.
        if self.available.len() < pool.agents.len() {
            best(&mut self.available.iter().filter(|name| pool.agents.contains(*name)))
        } else {
            best(&mut pool.agents.iter())
        }
    }

    /// Lowest first.
    fn preference(&self, staff: Staff<'_>, wants: &Wants, name: &Name, login: &Login) -> (u64, UnixMillis, Sequence) {
        let first = match wants.choice {
            AgentChoice::LongestIdle => 0,
            AgentChoice::LeastLoaded => u64::from(self.load_percent(name)),
            AgentChoice::RoundRobin => login.offered_by.0,
            AgentChoice::BestSkill => {
                let agent = staff.configuration.agents.get(name);
                u64::MAX - agent.map_or(0, |agent| skill_sum(agent, wants))
            }
        };
        (first, login.idle_since, login.offered_by)
    }

    /// Whether somebody who is logged in and could take it has not refused it since last becoming ready, those aside who
    /// were asked just now.
    pub(crate) fn is_open_to_somebody(&self, staff: Staff<'_>, live: &Live, asked: &[&Name]) -> bool {
        let open = |name: &Name, login: &Login| !asked.contains(&name) && !has_refused(live, name, login.ready_by);
        match (self.find(live), live.position().and_then(|position| position.wants.as_deref())) {
            (Some(pool), _) => {
                pool.agents.iter().any(|name| staff.logins.get(name).is_some_and(|login| open(name, login)))
            }
            // A pool in which nothing waits may have been dropped.
            (None, Some(wants)) => {
                able(staff, &Test::new(wants), &live.media_type).any(|(name, login)| open(name, login))
            }
            (None, None) => false,
        }
    }

    /// Whether an agent who is logged in could take what wants this, capacity and readiness aside.
    pub(crate) fn could_take(&self, staff: Staff<'_>, wants: &Wants, media_type: &Name) -> bool {
        able(staff, &Test::new(wants), media_type).next().is_some()
    }

    /// The agent who should get something now that does not wait in a queue.
    pub(crate) fn free_agent(
        &self,
        staff: Staff<'_>,
        wants: &Wants,
        media_type: &Name,
        except: Option<&Name>,
    ) -> Option<Name> {
        let test = Test::new(wants);
        let rated = self.available.iter().filter_map(|name| {
            let (login, agent) = (staff.logins.get(name)?, staff.configuration.agents.get(name)?);
            let fits = except != Some(name)
                && login.takes(media_type)
                && self.has_room(name, media_type)
                && test.passes(staff.configuration, agent, login);
            fits.then(|| (self.preference(staff, wants, name, login), name))
        });
        rated.min().map(|(_, name)| name.clone())
    }

    fn find(&self, live: &Live) -> Option<&Pool> {
        self.pools.get(&key_of(live, live.position()?)?)
    }

    /// Whether two hold the same, what is due and idle pools aside.
    pub(crate) fn same(&self, other: &Self) -> Result<(), String> {
        let waiting = |matching: &Self| -> Vec<(PoolKey, BTreeSet<Rank>, BTreeSet<Name>)> {
            let pools = matching.pools.iter().filter(|(_, pool)| !pool.waiting.is_empty());
            pools.map(|(key, pool)| (PoolKey::clone(key), pool.waiting.clone(), pool.agents.clone())).collect()
        };
        let (a, b) = (waiting(self), waiting(other));
        if a != b {
            return Err(format!("pools differ: {a:?} and {b:?}"));
        }
        if self.work != other.work {
            return Err(format!("work differs: {:?} and {:?}", self.work, other.work));
        }
        if self.available != other.available {
            return Err(format!("available agents differ: {:?} and {:?}", self.available, other.available));
        }
        Ok(())
    }
}

/// Where an interaction waits for one more agent to be offered to, and in which pool.
fn seeks(live: &Live) -> Option<(&QueuePosition, PoolKey)> {
    let position = match &live.state {
        State::Queued(position) => position,
        State::Offered { position, offers } => {
            let wanted = position.wants.as_ref().map_or(0, |wants| usize::from(wants.offers_max));
            Some(position).filter(|_| offers.len() < wanted)?
        }
        _ => return None,
    };
    Some((position, key_of(live, position)?))
}

fn key_of(live: &Live, position: &QueuePosition) -> Option<PoolKey> {
    let wants = Wants::clone(position.wants.as_deref()?);
    Some(PoolKey { queue: position.queue.clone(), media_type: live.media_type.clone(), wants })
}

/// Those who are logged in and pass a test, capacity and readiness aside.
fn able<'a>(staff: Staff<'a>, test: &Test, media_type: &Name) -> impl Iterator<Item = (&'a Name, &'a Login)> {
    staff.logins.iter().filter(move |(name, login)| {
        let agent = staff.configuration.agents.get(*name);
        login.takes(media_type) && agent.is_some_and(|agent| test.passes(staff.configuration, agent, login))
    })
}

/// Whether an agent neither has an offer of it nor has refused one since it last became ready.
fn is_open_to(live: &Live, agent: &Name, login: &Login) -> bool {
    !has_refused(live, agent, login.ready_by) && live.offers().all(|offer| offer.agent != *agent)
}

fn has_refused(live: &Live, agent: &Name, ready_by: Sequence) -> bool {
    live.refusals.iter().any(|refusal| refusal.agent == *agent && refusal.ready_by == ready_by)
}

/// Levels of the skills that are wanted: those required, and those that the target's expression names.
fn skill_sum(agent: &Agent, wants: &Wants) -> u64 {
    let mut names: BTreeSet<&str> = wants.skills.iter().map(|skill| skill.name.as_str()).collect();
    let expression = match &wants.target {
        Target::Skills(text) => SkillExpression::new(text).ok(),
        _ => None,
    };
    if let Some(expression) = &expression {
        names.extend(expression.skills().iter().map(Name::as_str));
    }
    names.iter().filter_map(|name| agent.skills.get(*name)).map(|level| u64::from(*level)).sum()
}

/// The entry of a key, whose name is cloned only where there is none.
fn entry<'a, V: Default>(map: &'a mut BTreeMap<Name, V>, key: &Name) -> &'a mut V {
    if !map.contains_key(key) {
        map.insert(key.clone(), V::default());
    }
    map.get_mut(key).unwrap_or_else(|| panic!("it was put just now"))
}
