//! Who could get what: the interactions that wait for agents, the agents who wait for interactions, and what is to be
//! looked at again.
//!
//! Derived from the rows and never stored. Interactions that want the same agents wait in one **pool**; for every agent it
//! is known which pools it serves, so that the next interaction for an agent is the best of a few heads, however many wait.
//!
//! Invariant: whatever could be matched is due, or has been looked at since the last change to either side.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::again::is_behind;
use crate::capacity::CapacityRule;
use crate::configuration::Configuration;
use crate::content::Skill;
use crate::decision::Target;
use crate::id::{InteractionId, Name, Sequence, UnixMillis};
use crate::live::{Attention, Live, QueuePosition, State, Wants};
use crate::login::Login;
use crate::rank::Rank;
use crate::skill_expression::SkillExpression;
use crate::staff::{Agent, AgentChoice};

/// Pools that are kept though nothing is in them: to make one anew costs a look at every agent. Beyond, all of them are
/// dropped at once, so that the search for them is shared out.
const IDLE_POOLS_MAX: usize = 1024;

/// What is to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// An agent may be able to take something.
    Agent(Name),
    /// An interaction waits for somebody.
    Interaction(InteractionId),
    /// What is around an interaction that waits has changed: its queue's settings, or who could take it.
    Again(InteractionId),
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
    /// Those of them that somebody has declined.
    declined: BTreeSet<Rank>,
    /// How many are held out to somebody, whether they can be offered to one more or not.
    offered: usize,
    /// Those who are logged in and could take them, capacity aside.
    agents: BTreeSet<Name>,
    /// Those of them who take offers and have room.
    free: BTreeSet<Name>,
    test: Test,
}

/// A target, made ready to be asked about many agents.
#[derive(Debug, Clone)]
struct Test {
    target: Target,
    expression: Option<SkillExpression>,
    skills: Vec<Skill>,
    /// Those of `skills`, and those that the expression names: whose levels make the best skill.
    names: BTreeSet<Name>,
}

/// The pools of one media type that an agent serves.
#[derive(Debug, Clone, Default)]
struct Served {
    pools: BTreeSet<Arc<PoolKey>>,
    /// It takes offers and has room.
    free: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Matching {
    pools: BTreeMap<Arc<PoolKey>, Pool>,
    /// How many of them nothing waits in and nothing is offered out of.
    idle_pools: usize,
    by_target: BTreeMap<Target, BTreeSet<Arc<PoolKey>>>,
    /// By agent and media type.
    serves: BTreeMap<Name, BTreeMap<Name, Served>>,
    /// Pools that have lost an agent, or got their first, and the next of those that wait there to be looked at: it is there.
    shrunk: BTreeMap<Arc<PoolKey>, Rank>,
    capacities: BTreeMap<Name, CapacityRule>,
    work: BTreeMap<Name, Work>,
    /// Agents who take offers and have room for anything at all.
    available: BTreeSet<Name>,
    agents_due: BTreeSet<Name>,
    /// Agents who no longer serve a pool: what of it is held out to them is taken back. Not known any more after a restart: an
    /// offer that was not taken back before stands until it ends.
    misfits: BTreeMap<Name, BTreeSet<Arc<PoolKey>>>,
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
        let mut names: BTreeSet<Name> = wants.skills.iter().filter_map(|skill| Name::new(&skill.name).ok()).collect();
        names.extend(expression.iter().flat_map(SkillExpression::skills).cloned());
        Self { target: wants.target.clone(), expression, skills: wants.skills.clone(), names }
    }

    fn passes(&self, configuration: &Configuration, agent: &Agent, login: &Login) -> bool {
        look();
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

impl Pool {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.offered == 0
    }

    /// What is to be looked at again when an agent has gone: with somebody left, only what has been declined may have
    /// nobody to wait for.
    fn concerned(&self) -> &BTreeSet<Rank> {
        if self.agents.is_empty() { &self.waiting } else { &self.declined }
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

    /// Whether an agent is no longer one of those whom an interaction that is held out to it is for.
    pub(crate) fn is_misfit(&self, agent: &Name, live: &Live) -> bool {
        let State::Offered { position, .. } = &live.state else { return false };
        let key = || key_of(live, position);
        self.misfits.get(agent).is_some_and(|lost| key().is_some_and(|key| lost.contains(&key)))
    }

    /// Whether an agent has more than its capacity allows.
    fn is_overloaded(&self, agent: &Name) -> bool {
        let known = (self.capacities.get(agent), self.work.get(agent));
        matches!(known, (Some(capacity), Some(work)) if !work.offered.is_empty() && !capacity.allows(&work.load))
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
        agent
            .or_else(|| self.misfits.first_key_value().map(|(agent, _)| Due::Agent(agent.clone())))
            .or_else(|| self.interactions_due.first().copied().map(Due::Interaction))
            .or_else(|| self.shrunk.first_key_value().map(|(_, rank)| Due::Again(rank.id)))
    }

    /// Nothing more can be done about it until something changes.
    pub(crate) fn done(&mut self, due: &Due) {
        match due {
            Due::Agent(agent) => {
                self.agents_due.remove(agent);
                self.misfits.remove(agent);
            }
            Due::Interaction(id) => drop(self.interactions_due.remove(id)),
            Due::Again(id) => {
                if let Some((key, rank)) = self.shrunk.first_key_value().filter(|(_, rank)| rank.id == *id) {
                    let (key, rank) = (Arc::clone(key), *rank);
                    self.next_in_shrunk(&key, rank);
                }
            }
        }
    }

    /// Goes on to the next one that waits in a pool that has lost an agent.
    fn next_in_shrunk(&mut self, key: &Arc<PoolKey>, after: Rank) {
        let next = self
            .pools
            .get(key)
            .and_then(|pool| pool.concerned().range((Bound::Excluded(after), Bound::Unbounded)).next().copied());
        match next {
            Some(next) => drop(self.shrunk.insert(Arc::clone(key), next)),
            None => drop(self.shrunk.remove(key)),
        }
    }

    /// An interaction is as it says now.
    pub(crate) fn index(&mut self, staff: Staff<'_>, id: InteractionId, live: &Live) {
        if let State::Offered { position, .. } = &live.state
            && let Some(key) = key_of(live, position)
        {
            let key = self.pool(staff, key);
            self.in_pool(&key, |pool| pool.offered += 1);
        }
        if let Some((position, key)) = seeks(live) {
            let key = self.pool(staff, key);
            let rank = Rank::new(staff.configuration, live, position, id);
            self.in_pool(&key, |pool| {
                pool.waiting.insert(rank);
                if !live.refusals.is_empty() {
                    pool.declined.insert(rank);
                }
            });
            if let Some(pool) = self.pools.get(&key) {
                // Whoever becomes free later asks for it.
                let queue = staff.configuration.queues.get(&position.queue);
                let is_behind = || queue.is_some_and(|queue| is_behind(position, queue));
                if !pool.free.is_empty() || pool.agents.is_empty() || !live.refusals.is_empty() || is_behind() {
                    self.interactions_due.insert(id);
                }
            }
        } else if let State::Queued(position) = &live.state
            && staff.configuration.queues.get(&position.queue).is_some_and(|queue| is_behind(position, queue))
        {
            self.interactions_due.insert(id);
        }
        match &live.state {
            State::Assigned(assignment) => {
                if assignment.transfer.as_ref().is_some_and(|transfer| transfer.offer.is_none()) {
                    self.interactions_due.insert(id);
                }
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
        if let State::Offered { position, .. } = &live.state
            && let Some(key) = key_of(live, position)
        {
            self.in_pool(&key, |pool| pool.offered -= 1);
        }
        if let Some((position, key)) = seeks(live)
            && let Some(key) = self.pools.get_key_value(&key).map(|(key, _)| Arc::clone(key))
        {
            let rank = Rank::new(staff.configuration, live, position, id);
            self.in_pool(&key, |pool| {
                pool.waiting.remove(&rank);
                pool.declined.remove(&rank);
            });
            if self.shrunk.get(&key) == Some(&rank) {
                self.next_in_shrunk(&key, rank);
            }
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
            if self.is_overloaded(agent) {
                self.agents_due.insert(agent.clone());
            }
        }
        self.changed_room(agent);
    }

    /// Keeps in each pool who has room.
    fn changed_room(&mut self, agent: &Name) {
        let Some(mut serves) = self.serves.remove(agent) else { return };
        for (media_type, served) in &mut serves {
            let free = self.has_room(agent, media_type);
            if free == served.free {
                continue;
            }
            served.free = free;
            for key in &served.pools {
                if let Some(pool) = self.pools.get_mut(key) {
                    if free {
                        pool.free.insert(agent.clone());
                    } else {
                        pool.free.remove(agent);
                    }
                }
            }
        }
        self.serves.insert(agent.clone(), serves);
    }

    /// An agent logged in or out, or what is known of it has changed: which pools it serves is found out anew.
    pub(crate) fn rate(&mut self, staff: Staff<'_>, name: &Name) {
        self.capacities.remove(name);
        let known = (staff.logins.get(name), staff.configuration.agents.get(name));
        if let (Some(_), Some(agent)) = known {
            self.capacities.insert(name.clone(), staff.configuration.capacity(agent));
        }
        let now: BTreeSet<Arc<PoolKey>> = match known {
            (Some(login), Some(agent)) => {
                let takes = |(key, pool): &(&Arc<PoolKey>, &Pool)| {
                    login.takes(&key.media_type) && pool.test.passes(staff.configuration, agent, login)
                };
                self.pools.iter().filter(takes).map(|(key, _)| Arc::clone(key)).collect()
            }
            _ => BTreeSet::new(),
        };
        let before = self.serves.get(name).into_iter().flat_map(BTreeMap::values);
        let lost: Vec<_> = before.flat_map(|served| &served.pools).filter(|key| !now.contains(*key)).cloned().collect();
        lost.iter().for_each(|key| self.stop_serving(key, name));
        now.iter().for_each(|key| self.serve(key, name));
        if known.0.is_none() {
            self.serves.remove(name);
        }
        self.changed(staff, name);
    }

    /// Whether an agent is one of a target has changed.
    pub(crate) fn rate_for(&mut self, staff: Staff<'_>, name: &Name, target: &Target) {
        let (Some(login), Some(agent)) = (staff.logins.get(name), staff.configuration.agents.get(name)) else { return };
        for key in self.by_target.get(target).cloned().unwrap_or_default() {
            let Some(pool) = self.pools.get(&key) else { continue };
            if login.takes(&key.media_type) && pool.test.passes(staff.configuration, agent, login) {
                self.serve(&key, name);
            } else {
                self.stop_serving(&key, name);
            }
        }
        self.changed(staff, name);
    }

    /// A queue ages what waits in it differently from now on. What is still to be looked at there is looked at from the first.
    pub(crate) fn age(&mut self, queue: &Name, ageing: u16) {
        for (key, pool) in self.pools.iter_mut().filter(|(key, _)| key.queue == *queue) {
            pool.waiting = pool.waiting.iter().map(|rank| rank.with_ageing(ageing)).collect();
            pool.declined = pool.declined.iter().map(|rank| rank.with_ageing(ageing)).collect();
            if self.shrunk.remove(key).is_some() {
                self.shrunk.extend(pool.concerned().first().map(|first| (Arc::clone(key), *first)));
            }
        }
    }

    /// The rule that an agent works by may have changed.
    pub(crate) fn rate_capacity(&mut self, staff: Staff<'_>, name: &Name) {
        if let Some(agent) = staff.configuration.agents.get(name) {
            self.capacities.insert(name.clone(), staff.configuration.capacity(agent));
            self.changed(staff, name);
        }
    }

    fn serve(&mut self, key: &Arc<PoolKey>, agent: &Name) {
        let free = self.has_room(agent, &key.media_type);
        let served = entry(entry(&mut self.serves, agent), &key.media_type);
        served.free |= free && served.pools.is_empty();
        let free = served.free;
        served.pools.insert(Arc::clone(key));
        if let Some(lost) = self.misfits.get_mut(agent) {
            lost.remove(key);
        }
        if let Some(pool) = self.pools.get_mut(key) {
            if pool.agents.is_empty()
                && let Some(first) = pool.declined.first()
            {
                // Whoever comes to where nobody was may be all there are, and have declined.
                self.shrunk.insert(Arc::clone(key), *first);
            }
            pool.agents.insert(agent.clone());
            if free {
                pool.free.insert(agent.clone());
            }
        }
    }

    fn stop_serving(&mut self, key: &Arc<PoolKey>, agent: &Name) {
        if let Some(serves) = self.serves.get_mut(agent)
            && let Some(served) = serves.get_mut(&key.media_type)
        {
            served.pools.remove(key);
            if served.pools.is_empty() {
                serves.remove(&key.media_type);
            }
        }
        if self.work.get(agent).is_some_and(|work| !work.offered.is_empty()) {
            entry(&mut self.misfits, agent).insert(Arc::clone(key));
        }
        let Some(pool) = self.pools.get_mut(key) else { return };
        pool.free.remove(agent);
        if pool.agents.remove(agent)
            && let Some(first) = pool.concerned().first()
        {
            self.shrunk.insert(Arc::clone(key), *first);
        }
    }

    /// Changes what is in a pool.
    fn in_pool(&mut self, key: &PoolKey, change: impl FnOnce(&mut Pool)) {
        let Some(pool) = self.pools.get_mut(key) else { return };
        let was_idle = pool.is_idle();
        change(pool);
        match (was_idle, pool.is_idle()) {
            (true, false) => self.idle_pools -= 1,
            (false, true) => self.idle_pools += 1,
            _ => {}
        }
    }

    /// The pool for this, made where there is none.
    fn pool(&mut self, staff: Staff<'_>, key: PoolKey) -> Arc<PoolKey> {
        if let Some((key, _)) = self.pools.get_key_value(&key) {
            return Arc::clone(key);
        }
        if self.idle_pools >= IDLE_POOLS_MAX {
            self.drop_idle_pools();
        }
        let test = Test::new(&key.wants);
        let key = Arc::new(key);
        let agents: Vec<Name> = able(staff, &test, &key.media_type).map(|(name, _)| name.clone()).collect();
        let (waiting, declined) = (BTreeSet::new(), BTreeSet::new());
        let (agents_of, free) = (BTreeSet::new(), BTreeSet::new());
        let pool = Pool { waiting, declined, offered: 0, agents: agents_of, free, test };
        self.pools.insert(Arc::clone(&key), pool);
        self.idle_pools += 1;
        self.by_target.entry(key.wants.target.clone()).or_default().insert(Arc::clone(&key));
        agents.iter().for_each(|agent| self.serve(&key, agent));
        key
    }

    fn drop_idle_pools(&mut self) {
        let idle = self.pools.iter().filter(|(_, pool)| pool.is_idle());
        let idle: Vec<_> = idle.map(|(key, _)| Arc::clone(key)).collect();
        self.idle_pools = 0;
        for key in idle {
            let Some(pool) = self.pools.remove(&key) else { continue };
            for agent in &pool.agents {
                if let Some(serves) = self.serves.get_mut(agent)
                    && let Some(served) = serves.get_mut(&key.media_type)
                {
                    served.pools.remove(&key);
                    if served.pools.is_empty() {
                        serves.remove(&key.media_type);
                    }
                }
            }
            if let Some(keys) = self.by_target.get_mut(&key.wants.target) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.by_target.remove(&key.wants.target);
                }
            }
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
        let free = |id: InteractionId| {
            look();
            live(id).is_some_and(|live| is_open_to(live, agent, login))
        };
        let pools = self.serves.get(agent)?.values().filter(|served| served.free).flat_map(|served| &served.pools);
        let heads = pools.filter_map(|key| self.pools.get(key)?.waiting.iter().find(|rank| free(rank.id)));
        heads.min_by_key(|rank| rank.across_queues(now)).map(|rank| rank.id)
    }

    /// The agent who should get an interaction next.
    pub(crate) fn agent_for(&self, staff: Staff<'_>, live: &Live) -> Option<Name> {
        let position = live.position()?;
        let wants = position.wants.as_deref()?;
        let pool = self.find(live)?;
        let rank = |name: &Name| {
            look();
            let login = staff.logins.get(name)?;
            is_open_to(live, name, login).then(|| self.preference(staff, wants.choice, &pool.test, name, login))
        };
        let rated = pool.free.iter().filter_map(|name| Some((rank(name)?, name)));
        rated.min().map(|(_, name)| name.clone())
    }

    /// Lowest first.
    fn preference(
        &self,
        staff: Staff<'_>,
        choice: AgentChoice,
        test: &Test,
        name: &Name,
        login: &Login,
    ) -> (u64, bool, UnixMillis, Sequence) {
        let first = match choice {
            AgentChoice::LongestIdle => 0,
            AgentChoice::LeastLoaded => u64::from(self.load_percent(name)),
            AgentChoice::RoundRobin => login.offered_by.0,
            AgentChoice::BestSkill => {
                let agent = staff.configuration.agents.get(name);
                u64::MAX - agent.map_or(0, |agent| skill_sum(agent, &test.names))
            }
        };
        let has_work = self.work.get(name).is_some_and(|work| work.count() > 0);
        (first, has_work, login.idle_since, login.offered_by)
    }

    /// Whether somebody is logged in who could take it, and each of them has declined it since last becoming ready.
    pub(crate) fn all_declined(&self, staff: Staff<'_>, live: &Live) -> bool {
        if live.refusals.is_empty() {
            return false;
        }
        let declined = |name: &Name, login: &Login| has_refused(live, name, login.ready_by);
        match (self.find(live), live.position().and_then(|position| position.wants.as_deref())) {
            (Some(pool), _) => {
                let declined = |name| staff.logins.get(name).is_some_and(|login| declined(name, login));
                !pool.agents.is_empty() && pool.agents.iter().all(declined)
            }
            // A pool in which nothing is may have been dropped.
            (None, Some(wants)) => {
                let test = Test::new(wants);
                let mut able = able(staff, &test, &live.media_type).peekable();
                able.peek().is_some() && able.all(|(name, login)| declined(name, login))
            }
            (None, None) => false,
        }
    }

    /// Whether somebody is logged in who could take it where it waits, capacity and readiness aside.
    pub(crate) fn is_served(&self, staff: Staff<'_>, live: &Live) -> bool {
        match (self.find(live), live.position().and_then(|position| position.wants.as_deref())) {
            (Some(pool), _) => !pool.agents.is_empty(),
            (None, Some(wants)) => self.could_take(staff, wants, &live.media_type),
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
        except: &[&Name],
    ) -> Option<Name> {
        let test = Test::new(wants);
        let rated = self.available.iter().filter_map(|name| {
            let (login, agent) = (staff.logins.get(name)?, staff.configuration.agents.get(name)?);
            let fits = !except.contains(&name)
                && login.takes(media_type)
                && self.has_room(name, media_type)
                && test.passes(staff.configuration, agent, login);
            fits.then(|| (self.preference(staff, wants.choice, &test, name, login), name))
        });
        rated.min().map(|(_, name)| name.clone())
    }

    fn find(&self, live: &Live) -> Option<&Pool> {
        self.pools.get(&key_of(live, live.position()?)?)
    }

    /// Whether two hold the same, what is due and idle pools aside.
    pub(crate) fn same(&self, other: &Self) -> Result<(), String> {
        type Shown = (PoolKey, [BTreeSet<Rank>; 2], [BTreeSet<Name>; 2]);
        let waiting = |matching: &Self| -> Vec<Shown> {
            let pools = matching.pools.iter().filter(|(_, pool)| !pool.waiting.is_empty());
            let of =
                |pool: &Pool| ([pool.waiting.clone(), pool.declined.clone()], [pool.agents.clone(), pool.free.clone()]);
            let shown = pools.map(|(key, pool)| (PoolKey::clone(key), of(pool)));
            shown.map(|(key, (waiting, agents))| (key, waiting, agents)).collect()
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

/// Those who are logged in and pass a test, capacity and readiness aside. One agent is looked up, and not searched for.
fn able<'a>(staff: Staff<'a>, test: &Test, media_type: &Name) -> impl Iterator<Item = (&'a Name, &'a Login)> {
    let one = match &test.target {
        Target::Agent(name) => Some(staff.logins.get_key_value(name.as_str())),
        _ => None,
    };
    let all = one.is_none().then(|| staff.logins.iter()).into_iter().flatten();
    one.flatten().into_iter().chain(all).filter(move |(name, login)| {
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

/// Levels of the skills that are wanted, together.
fn skill_sum(agent: &Agent, names: &BTreeSet<Name>) -> u64 {
    names.iter().filter_map(|name| agent.skills.get(name)).map(|level| u64::from(*level)).sum()
}

/// The entry of a key, whose name is cloned only where there is none.
fn entry<'a, V: Default>(map: &'a mut BTreeMap<Name, V>, key: &Name) -> &'a mut V {
    if !map.contains_key(key) {
        map.insert(key.clone(), V::default());
    }
    map.get_mut(key).unwrap_or_else(|| panic!("it was put just now"))
}

/// Counted by the tests of what matching costs.
#[cfg(not(test))]
fn look() {}

#[cfg(test)]
use tests::look;

#[cfg(test)]
mod tests;
