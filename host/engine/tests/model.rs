//! Agents, offers and assignments of the engine against a simple model, from seeds.
//!
//! Both are told the same: what clients, agents, supervisors, operators and the clock do, at random. After each step they
//! must agree on what was refused and why, on what happened, on every interaction, agent and queue, and each offer that
//! the engine makes must be the one that the model would make.
//!
//! `SIGNALBOX_SEED` runs one seed again, `SIGNALBOX_STEPS` says how many steps in all.

#![allow(clippy::unwrap_used)]
#![expect(clippy::disallowed_macros, reason = "a random test says its seed")]

mod naive;
mod random;
mod world;

use std::collections::BTreeMap;

use naive::{Held, Item, Model, Seat};
use random::Random;
use signalbox_engine::{
    Account, Command, Due, Event, InteractionId, Live, Login, Name, OfferEnd, Readiness, Rejection, State, Target,
    UnixMillis,
};
use world::World;

/// Steps where nothing else is said: some seconds.
const STEPS: usize = 50_000;
/// Agents of the worlds, the one after the other.
const AGENTS: [usize; 5] = [3, 8, 20, 60, 200];
/// Steps of one world at most: a bug shows with a seed that does not take long to run again.
const STEPS_OF_WORLD: usize = 10_000;
/// How offers end. The last of them is rare: some seeds take more steps until each was seen.
const OFFERS_ENDED: [&str; 6] = ["accepted", "declined", "expired", "revoked", "customer-gone", "delivery-failed"];

/// What was seen, to know that something was.
#[derive(Debug, Default)]
struct Seen {
    steps: usize,
    accepted: usize,
    restarts: usize,
    facts: BTreeMap<String, usize>,
    refused: BTreeMap<&'static str, usize>,
}

struct Both {
    world: World,
    model: Model,
    seen: Seen,
    /// For a message: what was done last.
    last: String,
}

#[test]
fn model_and_engine_agree() {
    let of = |name: &str| {
        #[expect(clippy::disallowed_methods, reason = "how much is tested, not what is decided")]
        let text = std::env::var(name).ok()?;
        text.parse::<u64>().ok()
    };
    let steps = of("SIGNALBOX_STEPS").map_or(STEPS, |steps| usize::try_from(steps).unwrap());
    let first = of("SIGNALBOX_SEED").unwrap_or_else(|| rand::random_range(0..1_000_000));
    let mut seen = Seen::default();
    for seed in first.. {
        let saw_all = steps < STEPS || OFFERS_ENDED.iter().all(|outcome| seen.facts.contains_key(*outcome));
        if seen.steps >= steps && (saw_all || seen.steps >= steps + 10 * STEPS) {
            break;
        }
        let agents = AGENTS[usize::try_from(seed % 5).unwrap()];
        println!("SIGNALBOX_SEED={seed} SIGNALBOX_STEPS=1, {agents} agents, {} steps so far", seen.steps);
        seen = history(seed, agents, seen);
    }
    println!(
        "{} steps from SIGNALBOX_SEED={first}: {} accepted, {} restarts",
        seen.steps, seen.accepted, seen.restarts
    );
    println!("{:?}\nrefused: {:?}", seen.facts, seen.refused);
    if seen.steps < STEPS {
        return;
    }
    for outcome in OFFERS_ENDED {
        assert!(seen.facts.contains_key(outcome), "no offer was {outcome}");
    }
}

/// One world, from a seed.
fn history(seed: u64, agents: usize, seen: Seen) -> Seen {
    let mut random = Random::new(seed, agents);
    let mut both = Both { world: World::default(), model: Model::default(), seen, last: String::new() };
    let end = both.seen.steps + STEPS_OF_WORLD;
    for command in random.beginning() {
        both.step(command, random.now).unwrap();
    }
    while both.seen.steps < end {
        random.pass_time(&both.model);
        if random.chance(0.8) {
            both.timers(random.now);
        }
        // Like a lane, which takes several commands before it matches.
        for _ in 0..random.upto(3) {
            if let Some(command) = random.command(&both.model) {
                let _ = both.step(command, random.now);
            }
        }
        if random.chance(0.9) {
            both.match_all(random.now);
        }
        if random.chance(0.005) {
            both.restart();
        }
    }
    both.seen
}

impl Both {
    /// Both do it, and are the same afterwards.
    fn step(&mut self, command: Command, now: UnixMillis) -> Result<(), Rejection> {
        self.last = format!("{command:?}");
        self.seen.steps += 1;
        self.model.now = now;
        let transferee = match &command {
            Command::Transfer { interaction, to, .. } => self.model.first_transferee(*interaction, to),
            _ => None,
        };
        let expected = self.model.step(&command, now);
        let found = self.world.try_at(command, now);
        let codes = (found.as_ref().map(drop).map_err(Rejection::code), expected);
        assert_eq!(codes.0, codes.1, "{}: {found:?}", self.last);
        let events = match found {
            Ok(events) => events,
            Err(rejection) => {
                *self.seen.refused.entry(rejection.code()).or_default() += 1;
                return Err(rejection);
            }
        };
        let offers = events.iter().filter(|event| matches!(event, Event::Offered { .. }));
        for event in offers {
            let Event::Offered { id, offer } = event else { continue };
            assert_eq!(Some(&offer.agent), transferee.as_ref(), "whom {} is for", self.last);
            self.model.offer(*id, offer.id, &offer.agent, now);
        }
        self.same(&events);
        Ok(())
    }

    /// The engine brings together what can be; the model says whether that is right, and whether it is all.
    fn match_all(&mut self, now: UnixMillis) {
        self.model.now = now;
        while let Some(due) = self.world.account.match_due() {
            self.last = format!("match {due:?}");
            self.seen.steps += 1;
            let Ok(events) = self.world.try_at(Command::Match(due.clone()), now) else {
                self.world.account.matched(&due);
                continue;
            };
            match (events.as_slice(), &due) {
                ([Event::TransferFailed { id, .. }], _) => {
                    assert_eq!(self.model.handing_on(*id), Some(None), "{id} can be handed on");
                    self.model.transfer_failed(*id, now);
                }
                ([Event::Offered { id, offer }], _) => {
                    match self.model.handing_on(*id) {
                        Some(next) => assert_eq!(next.as_ref(), Some(&offer.agent), "to whom {id} is handed on"),
                        None => {
                            let right = self.model.is_right(*id, &offer.agent);
                            assert_eq!(right, Ok(()), "{} is offered to {}, but", id, offer.agent);
                        }
                    }
                    self.model.offer(*id, offer.id, &offer.agent, now);
                }
                ([Event::OfferEnded { .. }, ..], Due::Agent(agent)) => self.model.take_back(agent, now),
                (_, Due::Interaction(id) | Due::Again(id)) => self.model.look_again(*id, now),
                (_, Due::Agent(agent)) => {
                    assert!(self.model.load(agent).is_empty(), "{agent} still has work");
                    self.model.stop(agent, now);
                }
            }
            self.same(&events);
        }
        assert_eq!(self.model.left_over(), None, "an offer that could be made was not, after {}", self.last);
        let stuck = self.model.items.iter().find(|item| self.model.handing_on(item.id).is_some());
        assert!(stuck.is_none(), "{stuck:?} is not handed on after {}", self.last);
        assert_eq!(self.model.overlooked(), None, "something was not looked at again, after {}", self.last);
        assert_eq!(
            self.model.misfit().map(|a| (a, self.model.to_take_back(a))),
            None,
            "somebody keeps an offer that is not for it, after {}",
            self.last
        );
        assert_eq!(self.model.wants_to_stop(), None, "somebody who wanted to stop did not, after {}", self.last);
    }

    /// All that is due by the clock.
    fn timers(&mut self, now: UnixMillis) {
        while let Some(interaction) = self.world.account.timer_due(now) {
            self.step(Command::TimerDue { interaction }, now).unwrap();
        }
        while let Some(agent) = self.world.account.login_timer_due(now).cloned() {
            self.step(Command::AgentTimerDue { agent }, now).unwrap();
        }
    }

    /// The engine starts anew from its rows.
    fn restart(&mut self) {
        self.seen.restarts += 1;
        self.model.restarted();
        self.last = "restart".into();
        let old = &self.world.account;
        let mut new = Account::loading(old.sequence());
        for document in old.configuration().documents() {
            new.load_document(&document);
        }
        for (agent, login) in old.logins() {
            let row = postcard::to_stdvec(login).unwrap();
            new.load_login(agent, postcard::from_bytes::<Login>(&row).unwrap());
        }
        for (agent, until) in old.rests() {
            new.load_rest(agent, until);
        }
        for (id, live) in old.lives() {
            let row = postcard::to_stdvec(live).unwrap();
            new.load_live(id, postcard::from_bytes::<Live>(&row).unwrap());
        }
        // What waits to be matched is found again.
        assert_eq!(old.same(&new), Ok(()));
        self.world.account = new;
    }

    /// They say that the same has happened, and are the same.
    fn same(&mut self, events: &[Event]) {
        self.seen.accepted += 1;
        let mut found: Vec<String> = events.iter().filter_map(fact).collect();
        let mut expected = std::mem::take(&mut self.model.facts);
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "what happened by {}", self.last);
        for fact in &expected {
            let word = fact.split(' ').next().unwrap();
            *self.seen.facts.entry(word.to_owned()).or_default() += 1;
        }
        let (account, model) = (&self.world.account, &self.model);
        assert_eq!(account.live_count(), model.items.len(), "interactions after {}", self.last);
        for item in &model.items {
            let live = account.live(item.id).unwrap();
            assert_eq!(of_live(live), of_item(item), "{} after {}", item.id, self.last);
        }
        assert_eq!(account.logins().count(), model.seats.len(), "agents after {}", self.last);
        let work = hands(model);
        for seat in &model.seats {
            let login = account.login(seat.agent.as_str()).unwrap();
            same_agent(login, seat).unwrap_or_else(|why| panic!("{} after {}: {why}", seat.agent, self.last));
        }
        for person in &model.people {
            let hand = account.work(person.name.as_str());
            let hand: Vec<InteractionId> = hand
                .map(|work| work.offered.iter().chain(&work.assigned).chain(&work.wrap_up).copied().collect())
                .unwrap_or_default();
            let expected = work.get(&person.name).cloned().unwrap_or_default();
            assert_eq!(sorted(hand), sorted(expected), "in the hands of {} after {}", person.name, self.last);
        }
        for queue in &model.queues {
            let found = account.queue(queue.name.as_str());
            let expected = model.in_order(&queue.name).into_iter().map(|i| model.items[i].id);
            assert!(found.eq(expected), "the order of {} after {}", queue.name, self.last);
        }
        let items = model.items.iter().filter_map(Item::timer);
        let next = items.chain(model.seats.iter().filter_map(Seat::timer)).min();
        assert_eq!(account.next_timer(), next, "the next timer after {}", self.last);
    }
}

fn sorted(mut ids: Vec<InteractionId>) -> Vec<InteractionId> {
    ids.sort();
    ids
}

/// Whose hands each interaction is in: held out to, worked on, wrapped up.
fn hands(model: &Model) -> BTreeMap<Name, Vec<InteractionId>> {
    let mut hands: BTreeMap<Name, Vec<InteractionId>> = BTreeMap::new();
    for item in &model.items {
        for agent in item.offers.iter().map(|offer| &offer.agent).chain(item.agent()) {
            hands.entry(agent.clone()).or_default().push(item.id);
        }
    }
    hands
}

/// An interaction as both see it.
#[derive(Debug, PartialEq)]
struct Stands {
    state: &'static str,
    since: UnixMillis,
    element: Name,
    queue: Option<Name>,
    moments: [Option<UnixMillis>; 4],
    wish: Option<(Target, usize, usize)>,
    offers: Vec<(u64, Name, UnixMillis)>,
    agent: Option<Name>,
    by: Option<String>,
    attention: Option<signalbox_engine::Attention>,
    refused: Vec<Name>,
}

fn of_item(item: &Item) -> Stands {
    let place = item.place();
    let offer = |offer: &Held| (offer.id.0, offer.agent.clone(), offer.expires);
    let work = item.work.as_ref();
    Stands {
        state: item.state(),
        since: item.since,
        element: item.element.clone(),
        queue: place.map(|place| place.queue.clone()),
        moments: [
            place.map(|place| place.since),
            place.map(|place| place.clock),
            place.and_then(|place| place.timeout),
            item.timer(),
        ],
        wish: place
            .and_then(|place| place.wish.as_ref())
            .map(|wish| (wish.target.clone(), wish.skills.len(), wish.offers_max)),
        offers: item.offers.iter().map(offer).collect(),
        agent: item.agent().cloned(),
        by: work.map(|work| work.by.clone()),
        attention: work.map(|work| work.attention),
        refused: item.refused.iter().map(|(agent, _)| agent.clone()).collect(),
    }
}

fn of_live(live: &Live) -> Stands {
    let position = live.position();
    let work = match &live.state {
        State::Assigned(assignment) => Some(assignment),
        _ => None,
    };
    Stands {
        state: live.state.kind().name(),
        since: live.since,
        // What is scheduled has not entered its workflow.
        element: live.visits.last().map_or_else(|| Name::new("start").unwrap(), |visit| visit.element.clone()),
        queue: position.map(|position| position.queue.clone()),
        moments: [
            position.map(|position| position.since),
            position.map(|position| position.clock),
            position.and_then(|position| position.timeout),
            live.timer(),
        ],
        wish: position
            .and_then(|position| position.wants.as_ref())
            .map(|wants| (wants.target.clone(), wants.skills.len(), usize::from(wants.offers_max))),
        offers: live.offers().map(|offer| (offer.id.0, offer.agent.clone(), offer.expires)).collect(),
        agent: live.agent().cloned(),
        by: work.map(|assignment| assignment.by.clone()),
        attention: work.map(|assignment| assignment.attention),
        refused: live.refusals.iter().map(|refusal| refusal.agent.clone()).collect(),
    }
}

fn same_agent(login: &Login, seat: &Seat) -> Result<(), String> {
    let reason = match &login.readiness {
        Readiness::Ready => None,
        Readiness::NotReady { reason } => Some(reason.clone()),
    };
    let found = (
        (&login.place, reason, login.since, login.logged_in_at),
        (&login.pending, login.idle_since, login.rests_until, login.connection),
    );
    let expected = (
        (&seat.place, seat.reason.clone(), seat.since, seat.logged_in_at),
        (&seat.pending, seat.idle_since, seat.rests_until, seat.connection),
    );
    if found == expected { Ok(()) } else { Err(format!("{found:?} and {expected:?}")) }
}

/// What happened, in the model's words; none for what shows in the states.
fn fact(event: &Event) -> Option<String> {
    Some(match event {
        Event::Submitted { id, .. } => format!("submitted {id}"),
        Event::Queued { id, position } => format!("queued {id} {}", position.queue),
        Event::Relaxed { id, .. } => format!("relaxed {id}"),
        Event::Retargeted { id, .. } => format!("retargeted {id}"),
        Event::OfferEnded { id, agent, how: OfferEnd::Revoked { reason }, .. } => {
            format!("revoked {id} {agent} {reason}")
        }
        Event::OfferEnded { id, agent, how, .. } => format!("{} {id} {agent}", how.name()),
        Event::Assigned { id, agent, .. } => format!("assigned {id} {agent}"),
        Event::TransferBegan { id, .. } => format!("transfer-began {id}"),
        Event::TransferFailed { id, .. } => format!("transfer-failed {id}"),
        Event::Taken { id, .. } => format!("taken {id}"),
        Event::Moved { id, queue, .. } => format!("moved {id} {queue}"),
        Event::Released { id, .. } => format!("released {id}"),
        Event::WrapUpStarted { id, .. } => format!("wrap-up {id}"),
        Event::WorkDone { id, disposition, .. } => format!("done {id} {disposition}"),
        Event::Completed { id, disposition } => format!("completed {id} {disposition}"),
        Event::Cancelled { id, .. } => format!("cancelled {id}"),
        Event::Abandoned { id, .. } => format!("abandoned {id}"),
        Event::AgentLoggedIn { agent, .. } => format!("in {agent}"),
        Event::AgentLoggedOut { agent, reason, .. } => format!("out {agent} {reason}"),
        Event::AgentReady { agent, .. } => format!("ready {agent}"),
        Event::AgentNotReady { agent, reason, .. } => format!("not-ready {agent} {reason}"),
        Event::AgentPending { agent, .. } => format!("pending {agent}"),
        _ => return None,
    })
}
