//! Who may get what, and who gets it first.

use std::cmp::Reverse;

use signalbox_engine::{
    AgentChoice, Attention, Connection, InteractionId, Name, Queue, Relaxation, Skill, Target, UnixMillis,
};

use super::{Item, Model, Person, Seat};

/// Whom an interaction waits for.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    pub target: Target,
    pub skills: Vec<Skill>,
    pub choice: AgentChoice,
    pub offers_max: usize,
}

/// An agent who takes offers, with all that says which.
struct Free<'a> {
    seat: &'a Seat,
    person: &'a Person,
    load: Vec<Name>,
}

/// A capacity sentence: alternatives, of how many of which media type; none is `any`.
#[derive(Debug, Clone)]
pub struct Rule(Vec<Vec<(usize, Option<String>)>>);

impl Default for Rule {
    fn default() -> Self {
        Self::new("1 any")
    }
}

impl Rule {
    pub fn new(sentence: &str) -> Self {
        let part = |part: &str| {
            let (count, media) = part.split_once(' ').unwrap();
            (count.parse().unwrap(), (media != "any").then(|| media.to_owned()))
        };
        Self(sentence.split(" or ").map(|alternative| alternative.split(" + ").map(part).collect()).collect())
    }

    /// Each of the load is given a place of its own.
    fn fits(parts: &[(usize, Option<String>)], load: &[Name]) -> bool {
        let mut left = parts.to_vec();
        load.iter().all(|media| {
            let own = left.iter().position(|(_, of)| of.as_deref() == Some(media.as_str()));
            match own.or_else(|| left.iter().position(|(_, of)| of.is_none())) {
                Some(i) if left[i].0 > 0 => {
                    left[i].0 -= 1;
                    true
                }
                _ => false,
            }
        })
    }

    fn allows(&self, load: &[Name]) -> bool {
        self.0.iter().any(|parts| Self::fits(parts, load))
    }

    fn percent(&self, load: &[Name]) -> usize {
        if load.is_empty() {
            return 0;
        }
        let fitting = self.0.iter().filter(|parts| Self::fits(parts, load));
        let shares = fitting.map(|parts| load.len() * 100 / parts.iter().map(|(count, _)| count).sum::<usize>());
        shares.min().map_or(100, |percent| percent.max(1))
    }
}

/// `english >= 5 && billing >= 3`
fn holds(expression: &str, skills: &[Skill]) -> bool {
    expression.split(" && ").all(|part| {
        let (skill, level) = part.split_once(" >= ").unwrap();
        has(skills, skill, level.parse().unwrap())
    })
}

fn has(skills: &[Skill], skill: &str, level: u8) -> bool {
    skills.iter().any(|known| known.name == skill && known.level >= level)
}

impl Model {
    pub(super) fn wish(&self, i: usize, target: Target, queue: &Queue) -> Wish {
        let (choice, offers_max) = (queue.choice, usize::from(queue.offers_max));
        Wish { target: self.resolved(i, target), skills: self.items[i].skills.clone(), choice, offers_max }
    }

    fn resolved(&self, i: usize, target: Target) -> Target {
        match (&target, &self.items[i].last_agent) {
            (Target::LastAgent, Some(agent)) => Target::Agent(agent.to_string()),
            _ => target,
        }
    }

    pub(super) fn relaxed(&self, i: usize, relaxation: &Relaxation, wish: &Wish) -> Wish {
        let skills = if relaxation.without_skills { Vec::new() } else { self.items[i].skills.clone() };
        Wish { target: self.resolved(i, relaxation.target.clone()), skills, ..wish.clone() }
    }

    fn person(&self, agent: &Name) -> Option<&Person> {
        self.people.iter().find(|person| person.name == *agent)
    }

    /// Who is logged in.
    fn present(&self) -> impl Iterator<Item = (&Seat, &Person)> {
        self.seats.iter().map(|seat| (seat, self.person(&seat.agent).unwrap()))
    }

    /// Who takes offers at all.
    fn free(&self) -> Vec<Free<'_>> {
        let takes = |(seat, _): &(&Seat, &Person)| {
            let gone = matches!(seat.connection, Connection::Lost { .. });
            seat.reason.is_none() && seat.pending.is_none() && seat.rests_until.is_none() && !gone
        };
        let free = self.present().filter(takes);
        free.map(|(seat, person)| Free { seat, person, load: self.load(&seat.agent) }).collect()
    }

    /// Whether somebody is among those that are wanted, whatever it does just now.
    fn fits(&self, seat: &Seat, person: &Person, media_type: &Name, wish: &Wish) -> bool {
        let targeted = match &wish.target {
            Target::Agent(agent) => person.name == agent.as_str(),
            Target::AgentGroup(group) => {
                self.groups.iter().any(|(known, _)| known.name == group.as_str() && self.is_in(person, known))
            }
            Target::PlaceGroup(group) => {
                let places = self.place_groups.iter().filter(|known| known.name == group.as_str());
                places.flat_map(|group| &group.places).any(|place| seat.place.as_ref() == Some(place))
            }
            Target::Skills(expression) => holds(expression, &person.skills),
            Target::Queue(_) | Target::LastAgent => false,
        };
        let media = seat.media_types.is_empty() || seat.media_types.contains(media_type);
        targeted && media && wish.skills.iter().all(|skill| has(&person.skills, &skill.name, skill.level))
    }

    fn is_in(&self, person: &Person, group: &signalbox_engine::AgentGroup) -> bool {
        let by_skill = group.expression.as_ref().is_some_and(|e| holds(&e.to_string(), &person.skills));
        group.agents.contains(&person.name) || by_skill
    }

    /// Offers out of queues, with whom each is for, whose agents are among those who are meant.
    pub(super) fn fitting(&self) -> Vec<(InteractionId, Name, Wish)> {
        let mut fitting = Vec::new();
        for item in &self.items {
            let Some(wish) = item.place().and_then(|place| place.wish.as_ref()).filter(|_| item.state() == "offered")
            else {
                continue;
            };
            let of = |offer: &super::Held| self.present().find(|(seat, _)| seat.agent == offer.agent);
            let meant = item.offers.iter().filter(|offer| {
                of(offer).is_some_and(|(seat, person)| self.fits(seat, person, &item.media_type, wish))
            });
            fitting.extend(meant.map(|offer| (item.id, offer.agent.clone(), wish.clone())));
        }
        fitting
    }

    /// Offers of an agent that are to be taken back, and why: it is no longer meant, or has no room for it beside what it
    /// works on and was offered before.
    pub fn to_take_back(&self, agent: &Name) -> Vec<(InteractionId, &'static str)> {
        let of = |item: &Item| item.offers.iter().find(|offer| offer.agent == *agent).map(|offer| offer.id);
        let mut offers: Vec<_> = self.items.iter().filter_map(|item| Some((of(item)?, item))).collect();
        offers.sort_by_key(|(offer, _)| *offer);
        let offered = |item: &Item| offers.iter().any(|(_, other)| other.id == item.id);
        let mut load: Vec<Name> = Vec::new();
        for item in self.items.iter().filter(|item| !offered(item) && item.agent() == Some(agent)) {
            if !item.work.as_ref().is_some_and(|work| work.attention == Attention::Workbin) {
                load.push(item.media_type.clone());
            }
        }
        let person = self.person(agent).unwrap();
        let mut found = Vec::new();
        for (_, item) in &offers {
            let lost = |(id, of, wish): &(InteractionId, Name, Wish)| {
                *id == item.id && of == agent && item.place().is_some_and(|place| place.wish.as_ref() == Some(wish))
            };
            if self.misfits.iter().any(lost) {
                found.push((item.id, "no-longer-meant"));
            } else if self.allows_one_more(person, &load, &item.media_type) {
                load.push(item.media_type.clone());
            } else {
                found.push((item.id, "no-capacity"));
            }
        }
        found
    }

    /// What was still to be taken back because its agent is no longer meant stands: nobody knows it any more.
    pub fn restarted(&mut self) {
        self.misfits.clear();
    }

    /// Takes back what an agent may no longer have.
    pub fn take_back(&mut self, agent: &Name, now: UnixMillis) {
        self.now = now;
        let found = self.to_take_back(agent);
        assert!(!found.is_empty(), "{agent} may have what it is offered");
        for (id, why) in found {
            let i = self.find(id).unwrap();
            let offer = self.items[i].offers.iter().find(|offer| offer.agent == *agent).unwrap().id;
            self.end_offer(i, offer, super::End::Revoked(why));
        }
    }

    /// An agent who is offered what it may no longer have.
    pub fn misfit(&self) -> Option<&Name> {
        self.seats.iter().map(|seat| &seat.agent).find(|agent| !self.to_take_back(agent).is_empty())
    }

    pub(super) fn somebody_logged_in_fits(&self, i: usize, wish: &Wish) -> bool {
        self.present().any(|(seat, person)| self.fits(seat, person, &self.items[i].media_type, wish))
    }

    /// What counts against an agent's capacity: held out to it, worked on but not in its workbin, or wrapped up.
    pub fn load(&self, agent: &Name) -> Vec<Name> {
        let mut load = Vec::new();
        for item in &self.items {
            let offered = item.offers.iter().any(|offer| offer.agent == *agent);
            let laid_aside = item.work.as_ref().is_some_and(|work| work.attention == Attention::Workbin);
            if offered || (item.agent() == Some(agent) && !laid_aside) {
                load.push(item.media_type.clone());
            }
        }
        load
    }

    fn rule<'a>(&'a self, person: &'a Person) -> &'a Rule {
        let of_groups = || {
            let mut groups = self.groups.iter().filter(|(group, _)| self.is_in(person, group));
            groups.find_map(|(_, rule)| rule.as_ref())
        };
        person.capacity.as_ref().or_else(of_groups).unwrap_or(&self.capacity)
    }

    /// Whether an agent who is logged in can have one more.
    pub(super) fn has_room(&self, agent: &Name, media_type: &Name) -> bool {
        let (Some(person), true) = (self.person(agent), self.seats.iter().any(|seat| seat.agent == *agent)) else {
            return false;
        };
        self.allows_one_more(person, &self.load(agent), media_type)
    }

    fn allows_one_more(&self, person: &Person, load: &[Name], media_type: &Name) -> bool {
        self.rule(person).allows(&[load, std::slice::from_ref(media_type)].concat())
    }

    /// Whether this interaction may be offered to this agent now.
    fn may_be_offered(&self, item: &Item, free: &Free<'_>) -> bool {
        let (Some(place), "queued" | "offered") = (item.place(), item.state()) else { return false };
        let Some(wish) = &place.wish else { return false };
        let Free { seat, person, load } = free;
        let refused = item.refused.iter().any(|(agent, at)| *agent == seat.agent && *at == seat.readiness);
        let offered = item.offers.iter().any(|offer| offer.agent == seat.agent);
        item.offers.len() < wish.offers_max
            && !refused
            && !offered
            && self.fits(seat, person, &item.media_type, wish)
            && self.allows_one_more(person, load, &item.media_type)
    }

    /// Whether all who could take it, ready or not, have refused it, and there are any.
    pub(super) fn all_declined(&self, i: usize) -> bool {
        let item = &self.items[i];
        let Some(wish) = item.place.as_ref().and_then(|place| place.wish.as_ref()) else { return false };
        let able = self.present().filter(|(seat, person)| self.fits(seat, person, &item.media_type, wish));
        let refused = |seat: &Seat| item.refused.contains(&(seat.agent.clone(), seat.readiness));
        let answers: Vec<bool> = able.map(|(seat, _)| refused(seat)).collect();
        !answers.is_empty() && !answers.contains(&false)
    }

    /// Lower is before: priority as it has grown, then whose clock began first, then who came first.
    fn turn(&self, item: &Item) -> (Reverse<i128>, u64, u64) {
        let place = item.place.as_ref().unwrap();
        let waited = i128::from(self.now.0) - i128::from(place.clock.0);
        let points =
            i128::from(item.priority) * 60_000 + i128::from(self.queue(&place.queue).ageing_per_minute) * waited;
        (Reverse(points), place.clock.0, place.ticket)
    }

    /// Those that wait in a queue, the next one first.
    pub fn in_order(&self, queue: &Name) -> Vec<usize> {
        let waits = |item: &Item| item.waits() && item.place.as_ref().is_some_and(|place| place.queue == *queue);
        let mut found: Vec<usize> = (0..self.items.len()).filter(|i| waits(&self.items[*i])).collect();
        found.sort_by_key(|i| self.turn(&self.items[*i]));
        found
    }

    /// What an agent should get next.
    fn next_for(&self, free: &Free<'_>) -> Option<&Item> {
        let open = self.items.iter().filter(|item| self.may_be_offered(item, free));
        open.min_by_key(|item| self.turn(item))
    }

    /// Who should get an interaction next.
    fn agent_for<'a>(&self, item: &Item, free: &[Free<'a>]) -> Option<&'a Name> {
        let wish = item.place.as_ref()?.wish.as_ref()?;
        let able = free.iter().filter(|free| self.may_be_offered(item, free));
        able.min_by_key(|free| self.preference(free, wish)).map(|free| &free.seat.agent)
    }

    /// Lower is before.
    fn preference<'a>(&self, free: &Free<'a>, wish: &Wish) -> (u64, bool, u64, u64, &'a Name) {
        let Free { seat, person, load } = free;
        let first = match wish.choice {
            AgentChoice::LongestIdle => 0,
            AgentChoice::LeastLoaded => self.rule(person).percent(load) as u64,
            AgentChoice::RoundRobin => seat.last_offer,
            AgentChoice::BestSkill => 1000 - Self::levels(person, wish),
        };
        (first, !load.is_empty(), seat.idle_since.0, seat.last_offer, &seat.agent)
    }

    /// Levels of the skills that are wanted, each once.
    fn levels(person: &Person, wish: &Wish) -> u64 {
        let mut wanted: Vec<&str> = wish.skills.iter().map(|skill| skill.name.as_str()).collect();
        if let Target::Skills(expression) = &wish.target {
            wanted.extend(expression.split(" && ").filter_map(|part| part.split(' ').next()));
        }
        wanted.sort_unstable();
        wanted.dedup();
        let skills = person.skills.iter();
        skills.filter(|skill| wanted.contains(&skill.name.as_str())).map(|skill| u64::from(skill.level)).sum()
    }

    /// To whom a transfer goes: of those who could take it and were not asked before, the longest idle.
    pub(super) fn transferee(&self, i: usize, to: &Target, asked: &[Name]) -> Option<Name> {
        let item = &self.items[i];
        let target = self.resolved(i, to.clone());
        let wish = Wish { target, skills: Vec::new(), choice: AgentChoice::LongestIdle, offers_max: 1 };
        let free = self.free();
        let able = free.iter().filter(|Free { seat, person, load }| {
            item.agent() != Some(&seat.agent)
                && !asked.contains(&seat.agent)
                && self.fits(seat, person, &item.media_type, &wish)
                && self.allows_one_more(person, load, &item.media_type)
        });
        able.min_by_key(|free| self.preference(free, &wish)).map(|free| free.seat.agent.clone())
    }

    /// To whom a transfer goes that a command begins.
    pub fn first_transferee(&self, id: InteractionId, to: &Target) -> Option<Name> {
        let i = self.items.iter().position(|item| item.id == id)?;
        if let Target::Queue(_) = to { None } else { self.transferee(i, to, &[]) }
    }

    /// Whether it is to be handed on, and the next who is to be asked; none where that is nobody.
    pub fn handing_on(&self, id: InteractionId) -> Option<Option<Name>> {
        let i = self.items.iter().position(|item| item.id == id)?;
        let transfer = self.items[i].work.as_ref()?.transfer.as_ref().filter(|_| self.items[i].offers.is_empty())?;
        let in_time = transfer.until > self.now;
        Some(in_time.then(|| self.transferee(i, &transfer.to, &transfer.asked)).flatten())
    }

    /// Whether this is an offer that has to be made: it is the agent's turn for this interaction, and this interaction's
    /// turn for the agent. As all agents see the same order, whichever such pair comes first, the same pairs come.
    pub fn is_right(&self, id: InteractionId, agent: &Name) -> Result<(), String> {
        let item = self.items.iter().find(|item| item.id == id).ok_or("there is no such interaction")?;
        let free = self.free();
        let one = free.iter().find(|free| free.seat.agent == *agent).ok_or("it takes no offers")?;
        let next = self.next_for(one).map(|item| item.id);
        if next != Some(id) {
            return Err(format!("{agent} should get {next:?}"));
        }
        let best = self.agent_for(item, &free);
        if best != Some(agent) {
            return Err(format!("{id} should go to {best:?}"));
        }
        Ok(())
    }

    /// An offer that still has to be made.
    pub fn left_over(&self) -> Option<(InteractionId, Name)> {
        let free = self.free();
        let mut pairs = self.items.iter().flat_map(|item| free.iter().map(move |free| (item, free)));
        let left = pairs.find(|(item, free)| self.may_be_offered(item, free));
        left.map(|(item, free)| (item.id, free.seat.agent.clone()))
    }

    /// An agent who wanted to stop after its work and has none.
    pub fn wants_to_stop(&self) -> Option<&Name> {
        let wants = |seat: &&Seat| seat.pending.is_some() && self.load(&seat.agent).is_empty();
        self.seats.iter().find(wants).map(|seat| &seat.agent)
    }
}
