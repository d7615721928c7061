//! What clients, agents, supervisors and operators may do next, at random but mostly with some sense.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use signalbox_engine::{
    Agent, AgentAction, AgentChoice, AgentGroup, AgentRules, Attention, Command, Connection, Connector, Document,
    DocumentKey, DocumentKind, Element, ElementKind, InteractionId, Name, OfferAnswer, OfferId, Place, PlaceGroup,
    Queue, Relaxation, SecondLogin, Skill, SkillExpression, SkillType, Speaker, Target, UnixMillis, Workflow,
};

use crate::naive::{Item, Model};
use crate::world::{id, name, submission};

const MEDIA: [&str; 4] = ["chat", "email", "voice", "callback"];
const SKILLS: [&str; 3] = ["english", "billing", "sales"];
const CAPACITIES: [&str; 6] = [
    "1 any",
    "3 any",
    "1 voice or 4 chat + 1 email",
    "2 chat + 2 any",
    "1 voice + 1 any",
    "1 voice or 6 email + 2 chat",
];
const QUEUES: [&str; 4] = ["q1", "q2", "q3", "by-hand"];
const GROUPS: [&str; 4] = ["g1", "g2", "g3", "g4"];
const PLACES: [&str; 3] = ["p1", "p2", "p3"];
const CLIENTS: usize = 64;
/// Offers that are remembered, to be answered too late.
const OFFERS_MAX: usize = 64;

pub struct Random {
    pub now: UnixMillis,
    rng: StdRng,
    agents: Vec<Name>,
    /// What a client has submitted last.
    clients: Vec<InteractionId>,
    submitted: u128,
    offers: Vec<(InteractionId, OfferId, Name)>,
}

fn put(document: Document) -> Command {
    Command::Put { document, by: "operator".into() }
}

impl Random {
    pub fn new(seed: u64, agents: usize) -> Self {
        Self {
            now: UnixMillis(1_700_000_000_000),
            rng: StdRng::seed_from_u64(seed),
            agents: (0..agents).map(|i| name(&format!("a{i:03}"))).collect(),
            clients: vec![id(0); CLIENTS],
            submitted: 0,
            offers: Vec::new(),
        }
    }

    pub fn chance(&mut self, of: f64) -> bool {
        self.rng.random_bool(of)
    }

    pub fn upto(&mut self, max: u64) -> u64 {
        self.rng.random_range(0..=max)
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let n = of.len().checked_sub(1)?;
        of.get(self.rng.random_range(0..=n)).cloned()
    }

    fn word(&mut self, of: &[&str]) -> Name {
        name(of[self.rng.random_range(0..of.len())])
    }

    fn agent(&mut self) -> Name {
        if self.chance(0.005) { name("nobody") } else { self.one(&self.agents.clone()).unwrap() }
    }

    /// The clock goes on, and now and then jumps.
    pub fn pass_time(&mut self, model: &Model) {
        self.now = match self.upto(999) {
            0..=2 => self.now.plus(self.rng.random_range(0..3_600_000)),
            3..=5 => UnixMillis(self.now.0 - self.rng.random_range(0..600_000)),
            6..=60 => self.now,
            // At the very moment at which something is due, or a millisecond before it.
            61..=200 => {
                let due = model.items.iter().filter_map(Item::timer).filter(|at| *at > self.now).min();
                let early = self.upto(1);
                due.map_or(self.now, |at| UnixMillis(at.0 - early))
            }
            201..=260 => self.now.plus(self.rng.random_range(0..10_000)),
            _ => self.now.plus(self.rng.random_range(0..500)),
        };
    }

    // What there is from the beginning.

    pub fn beginning(&mut self) -> Vec<Command> {
        let mut commands: Vec<Command> = Vec::new();
        let skill = |skill: &&str| Document::Skill(SkillType { name: name(skill), description: String::new() });
        commands.extend(SKILLS.iter().map(skill).map(put));
        let place = |place: &&str| Document::Place(Place { name: name(place), description: String::new() });
        commands.extend(PLACES.iter().map(place).map(put));
        commands.push(self.rules());
        for agent in self.agents.clone() {
            commands.push(self.person(agent));
        }
        for group in GROUPS {
            commands.push(self.group(name(group)));
        }
        for group in ["near", "far"] {
            commands.push(self.place_group(name(group)));
        }
        for queue in QUEUES {
            commands.push(self.queue(name(queue)));
        }
        commands.extend((0..6).map(|i| self.workflow(name(&format!("w{i}")))));
        commands
    }

    fn rules(&mut self) -> Command {
        let second_login = [SecondLogin::Refuse, SecondLogin::Allow, SecondLogin::Replace];
        let codes = if self.chance(0.5) { vec!["ok", "nice"] } else { Vec::new() };
        let reasons = if self.chance(0.5) { vec!["lunch"] } else { Vec::new() };
        let rules = AgentRules {
            second_login: self.one(&second_login).unwrap(),
            capacity: self.word_of(&CAPACITIES).parse().unwrap(),
            reasons: reasons.into_iter().map(name).collect(),
            dispositions: codes.into_iter().map(str::to_owned).collect(),
            connection_grace_ms: self.rng.random_range(0..20_000),
            assignment_keep_ms: self.rng.random_range(0..60_000),
            reoffer_delay_ms: self.rng.random_range(100..5000),
        };
        put(Document::AgentRules(Arc::new(rules)))
    }

    fn word_of(&mut self, of: &[&'static str]) -> &'static str {
        of[self.rng.random_range(0..of.len())]
    }

    fn person(&mut self, agent: Name) -> Command {
        let mut skills = BTreeMap::new();
        for skill in SKILLS {
            if self.chance(0.6) {
                skills.insert(name(skill), self.rng.random_range(1..=10));
            }
        }
        let capacity = self.chance(0.5).then(|| self.word_of(&CAPACITIES).parse().unwrap());
        let display_name = String::new();
        put(Document::Agent(Arc::new(Agent { name: agent, display_name, skills, capacity })))
    }

    fn group(&mut self, group: Name) -> Command {
        let share = self.rng.random_range(0.0..0.7);
        let agents: BTreeSet<Name> =
            self.agents.clone().into_iter().filter(|_| group != "g4" && self.chance(share)).collect();
        let expression = (agents.is_empty() || self.chance(0.2)).then(|| SkillExpression::new(&self.skills()).unwrap());
        let capacity = self.chance(0.3).then(|| self.word_of(&CAPACITIES).parse().unwrap());
        put(Document::AgentGroup(Arc::new(AgentGroup {
            name: group,
            description: String::new(),
            agents,
            expression,
            capacity,
        })))
    }

    fn skills(&mut self) -> String {
        let mut part = || {
            let (skill, level) = (self.word_of(&SKILLS), self.rng.random_range(1..=9));
            format!("{skill} >= {level}")
        };
        let first = part();
        if self.chance(0.5) { format!("{first} && {}", self.skills()) } else { first }
    }

    fn place_group(&mut self, group: Name) -> Command {
        let places = PLACES.into_iter().filter(|_| self.chance(0.6)).map(name).collect();
        put(Document::PlaceGroup(Arc::new(PlaceGroup { name: group, description: String::new(), places })))
    }

    fn target(&mut self) -> Target {
        match self.upto(9) {
            0 => Target::Agent(self.one(&self.agents.clone()).unwrap().to_string()),
            1 => Target::PlaceGroup(self.word(&["near", "far"]).to_string()),
            2 => Target::LastAgent,
            3 | 4 => Target::Skills(self.skills()),
            _ => Target::AgentGroup(self.word(&GROUPS).to_string()),
        }
    }

    fn queue(&mut self, queue: Name) -> Command {
        let choices =
            [AgentChoice::LongestIdle, AgentChoice::LeastLoaded, AgentChoice::BestSkill, AgentChoice::RoundRobin];
        let mut document = Queue::new(queue);
        document.target = (document.name != "by-hand").then(|| self.target());
        document.choice = self.one(&choices).unwrap();
        document.ageing_per_minute = self.one(&[0, 0, 1, 10, 200]).unwrap();
        document.offer_timeout_ms = self.rng.random_range(1000..30_000);
        document.offers_max = self.one(&[1, 1, 1, 2, 5]).unwrap();
        document.no_answer_not_ready = self.chance(0.5);
        document.wrap_up_ms = self.one(&[0, 2000, 30_000]).unwrap();
        document.inactivity_ms = self.chance(0.3).then(|| self.rng.random_range(1000..60_000));
        put(Document::Queue(document))
    }

    /// A first queue with all its ways out, and one or two more behind them.
    fn workflow(&mut self, workflow: Name) -> Command {
        let end = |id: &str, disposition: Option<&str>| Element {
            id: name(id),
            kind: ElementKind::End { disposition: disposition.map(str::to_owned), outcome: None },
        };
        let mut elements = vec![
            Element { id: name("start"), kind: ElementKind::Start },
            end("end", None),
            end("late", Some("late")),
            end("full", Some("full")),
            end("nobody", Some("nobody")),
            end("aside", Some("aside")),
        ];
        let mut connectors = Vec::new();
        let mut connect = |from: &str, outcome: &str, to: &str| {
            connectors.push(Connector { from: name(from), outcome: name(outcome), to: name(to) });
        };
        connect("start", "next", "e1");
        for (from, to) in [("e1", "e2"), ("e2", "e3"), ("e3", "end")] {
            let timeout_ms = self.chance(0.4).then(|| self.rng.random_range(1..120_000));
            let overflow_length = self.chance(0.3).then(|| self.rng.random_range(1..20));
            let leave_without_agents = self.chance(0.2);
            let mut after_ms = 0;
            let relaxations = (0..self.upto(3)).map(|_| {
                after_ms += self.rng.random_range(1..30_000);
                Relaxation { after_ms, target: self.target(), without_skills: self.chance(0.3) }
            });
            let relaxations: Vec<Relaxation> = relaxations.collect();
            let (queue, target) = (self.word(&QUEUES), self.chance(0.5).then(|| self.target()));
            let [timed_out, over] = [(to, "late"), (to, "full")].map(|(a, b)| if self.chance(0.5) { a } else { b });
            if timeout_ms.is_some() {
                connect(from, "timeout", timed_out);
            }
            if overflow_length.is_some() {
                connect(from, "overflow", over);
            }
            if leave_without_agents {
                connect(from, "no-agents", "nobody");
            }
            if self.chance(0.5) {
                connect(from, "declined-by-all", if self.chance(0.5) { to } else { "aside" });
            }
            connect(from, "completed", if self.chance(0.2) { to } else { "end" });
            let kind =
                ElementKind::Queue { queue, timeout_ms, target, relaxations, overflow_length, leave_without_agents };
            elements.push(Element { id: name(from), kind });
        }
        // An element that nothing leads to would be a fault.
        let mut reached = vec![name("start")];
        let mut i = 0;
        while let Some(from) = reached.get(i).cloned() {
            let next = connectors.iter().filter(|c| c.from == from && !reached.contains(&c.to));
            reached.extend(next.map(|c| c.to.clone()).collect::<BTreeSet<Name>>());
            i += 1;
        }
        elements.retain(|element| reached.contains(&element.id));
        connectors.retain(|connector| reached.contains(&connector.from));
        let description = String::new();
        let workflow = Workflow { name: workflow, description, elements, connectors };
        put(Document::Workflow(Arc::new(workflow), 0))
    }

    // What is done.

    /// Something to do; none where there is nothing to do it to.
    pub fn command(&mut self, model: &Model) -> Option<Command> {
        self.remember_offers(model);
        let full = model.items.len() > 3 * self.agents.len() + 40;
        match self.upto(1999) {
            0..=399 if full => None,
            0..=399 => Some(self.submit()),
            400..=1049 => self.answer(model),
            1050..=1399 => self.work(model),
            1400..=1799 => Some(self.agents_own(model)),
            1800..=1899 => self.client(model),
            1900..=1969 => self.supervisor(model),
            1970..=1984 => Some(self.document(model)),
            _ => self.too_early(model),
        }
    }

    fn remember_offers(&mut self, model: &Model) {
        if let Some(item) = self.one_of(model, |item| !item.offers.is_empty()) {
            let offer = self.one(&item.offers).unwrap();
            self.offers.push((item.id, offer.id, offer.agent));
            if self.offers.len() > OFFERS_MAX {
                self.offers.remove(0);
            }
        }
    }

    fn one_of(&mut self, model: &Model, such: impl Fn(&Item) -> bool) -> Option<Item> {
        let found: Vec<usize> = (0..model.items.len()).filter(|i| such(&model.items[*i])).collect();
        self.one(&found).map(|i| model.items[i].clone())
    }

    /// Some interaction, now and then one that there never was.
    fn any(&mut self, model: &Model) -> InteractionId {
        let item = self.one_of(model, |_| true);
        if self.chance(0.01) { id(999_999_999) } else { item.map_or(id(0), |item| item.id) }
    }

    fn submit(&mut self) -> Command {
        let client = self.rng.random_range(0..CLIENTS);
        self.submitted += 1;
        // A client who is not sure whether it was heard says it again.
        let id = if self.chance(0.01) { self.clients[client] } else { id(self.submitted) };
        self.clients[client] = id;
        let workflow = format!("w{}", self.upto(5));
        let workflow = if self.chance(0.005) { "nowhere" } else { &workflow };
        let mut submission = submission(id, self.word_of(&MEDIA), workflow);
        submission.facts.priority = self.one(&[0, 0, 0, 1, 5, 100, 1000]).unwrap();
        if self.chance(0.005) {
            submission.facts.priority = 1001;
        }
        if self.chance(0.2) {
            let skill = Skill { name: self.word_of(&SKILLS).into(), level: self.rng.random_range(1..=8) };
            submission.facts.skills.push(skill);
        }
        submission.facts.last_agent = self.chance(0.7).then(|| self.one(&self.agents.clone()).unwrap());
        submission.at = self.chance(0.05).then(|| self.now.plus(self.rng.random_range(0..60_000)));
        Command::Submit(Box::new(submission))
    }

    /// Agents answer offers: their own, in time, mostly.
    fn answer(&mut self, model: &Model) -> Option<Command> {
        let item = self.one_of(model, |item| !item.offers.is_empty());
        let open = item.and_then(|item| Some((item.id, self.one(&item.offers)?)));
        let open = open.map(|(id, offer)| (id, offer.id, offer.agent));
        let old = self.one(&self.offers.clone());
        let (interaction, offer, mut agent) = if self.chance(0.05) { old? } else { open? };
        if self.chance(0.03) {
            agent = self.agent();
        }
        let answer = if self.chance(0.7) { OfferAnswer::Accept } else { OfferAnswer::Decline { reason: "no".into() } };
        Some(Command::AnswerOffer { interaction, offer, agent, answer })
    }

    /// Whoever has it, mostly; others sometimes.
    fn by(&mut self, item: &Item) -> (String, bool) {
        let own = item.work.as_ref().map(|work| work.by.clone()).or_else(|| item.agent().map(Name::to_string));
        match self.upto(29) {
            0 => (self.agent().to_string(), false),
            1 => ("operator".into(), true),
            _ => (own.unwrap_or_else(|| "somebody".into()), false),
        }
    }

    fn disposition(&mut self) -> String {
        self.one(&["ok", "ok", "ok", "nice", "odd"]).unwrap().to_owned()
    }

    fn work(&mut self, model: &Model) -> Option<Command> {
        let item = match self.upto(19) {
            0 => self.one_of(model, |_| true)?,
            1..=4 => self.one_of(model, |item| item.wrap_up.is_some())?,
            _ => self.one_of(model, |item| item.work.is_some())?,
        };
        let (interaction, (by, for_anyone)) = (item.id, self.by(&item));
        let attention = self.one(&[Attention::Held, Attention::Active, Attention::Workbin]).unwrap();
        Some(match self.upto(99) {
            _ if item.wrap_up.is_some() => {
                let disposition = self.chance(0.5).then(|| self.disposition());
                Command::FinishWrapUp { interaction, disposition, by, for_anyone }
            }
            0..=34 => Command::Complete { interaction, disposition: self.disposition(), by, for_anyone },
            35..=54 => Command::Attend { interaction, attention, by, for_anyone },
            55..=62 => Command::Release { interaction, by, for_anyone },
            63..=70 => {
                let (speaker, text) = (self.one(&[Speaker::Agent, Speaker::Customer]).unwrap(), "hm".into());
                Command::Say { interaction, speaker, text, by, for_anyone }
            }
            _ => Command::Transfer { interaction, to: self.transfer_to(), by, for_anyone },
        })
    }

    fn transfer_to(&mut self) -> Target {
        match self.upto(9) {
            0 => Target::Queue(self.word(&QUEUES).to_string()),
            1 => Target::Queue("nowhere".into()),
            2..=4 => Target::Agent(self.agent().to_string()),
            _ => self.target(),
        }
    }

    fn agents_own(&mut self, model: &Model) -> Command {
        let agent = self.agent();
        let action = match self.upto(99) {
            0..=29 => {
                let place = self.chance(0.7).then(|| self.word(&["p1", "p2", "p3", "p1", "p2", "p3", "nowhere"]));
                let media_types = MEDIA.into_iter().filter(|_| self.chance(0.1)).map(name).collect();
                AgentAction::LogIn { place, media_types, connected: self.chance(0.6) }
            }
            30..=36 => AgentAction::LogOut { after_work: self.chance(0.5) },
            37..=75 => AgentAction::Ready,
            76..=84 => {
                let reason = self.word(&["lunch", "lunch", "lunch", "tea"]);
                AgentAction::NotReady { reason, after_work: self.chance(0.4) }
            }
            85..=91 => AgentAction::Connect,
            _ => AgentAction::Disconnect,
        };
        // Most of those who are away come back, so that there is somebody to work.
        let action = match model.seats.iter().find(|seat| seat.agent == agent) {
            None if self.chance(0.7) => {
                let place = self.one(&[None, Some("p1"), Some("p2"), Some("p3")]).unwrap().map(name);
                AgentAction::LogIn { place, media_types: BTreeSet::new(), connected: self.chance(0.6) }
            }
            Some(seat) if seat.reason.is_some() && self.chance(0.6) => match seat.connection {
                Connection::Lost { .. } => AgentAction::Connect,
                _ => AgentAction::Ready,
            },
            _ => action,
        };
        Command::Agent { by: agent.to_string(), agent, action }
    }

    fn client(&mut self, model: &Model) -> Option<Command> {
        // The client of a cancelled call is gone at the very moment at which somebody answers.
        let offered = self.one_of(model, |item| !item.offers.is_empty()).map(|item| item.id);
        let interaction = if self.chance(0.5) { offered? } else { self.any(model) };
        let (reason, by) = ("gone".into(), "client".into());
        Some(match self.upto(2) {
            0 => Command::Cancel { interaction, reason, by, for_customer: self.chance(0.7) },
            1 => Command::Close { interaction, reason, by },
            _ => {
                let (speaker, text) = (Speaker::Customer, "hello?".into());
                Command::Say { interaction, speaker, text, by, for_anyone: false }
            }
        })
    }

    fn supervisor(&mut self, model: &Model) -> Option<Command> {
        let (interaction, by) = (self.any(model), "operator".to_owned());
        Some(match self.upto(5) {
            0 => Command::Assign { interaction, agent: self.agent(), by },
            2 => Command::TakeOver { interaction, by },
            3 => Command::Complete { interaction, disposition: self.disposition(), by, for_anyone: true },
            1 => Command::Move { interaction, queue: self.word(&["q1", "q2", "q3", "by-hand", "nowhere"]), by },
            _ => {
                let queue = self.word(&["q1", "q2", "q3", "by-hand", "by-hand", "by-hand", "nowhere"]);
                let agent = if self.chance(0.5) { self.one(&self.agents.clone()) } else { None };
                let by = agent.as_ref().map_or(by, ToString::to_string);
                Command::Take { queue, agent, by }
            }
        })
    }

    fn document(&mut self, model: &Model) -> Command {
        match self.upto(9) {
            0 | 1 => {
                // An agent whom nothing names can go: that is rare enough.
                let free: Vec<Name> = self.agents.iter().filter(|agent| !model.names(agent)).cloned().collect();
                let name = if self.chance(0.1) { Some(self.agent()) } else { self.one(&free) };
                let name = name.unwrap_or_else(|| crate::world::name("nobody"));
                let key = DocumentKey { kind: DocumentKind::Agent, name, element: None, version: 0 };
                Command::Remove { key, by: "operator".into() }
            }
            2..=4 => {
                let agent = self.one(&self.agents.clone()).unwrap();
                self.person(agent)
            }
            5 | 6 => {
                let group = self.word(&GROUPS);
                self.group(group)
            }
            7 => {
                let group = self.word(&["near", "far"]);
                self.place_group(group)
            }
            8 => {
                let queue = self.word(&QUEUES);
                self.queue(queue)
            }
            _ => self.rules(),
        }
    }

    /// Timers that are not due, or of nothing.
    fn too_early(&mut self, model: &Model) -> Option<Command> {
        Some(match self.chance(0.5) {
            true => Command::TimerDue { interaction: self.any(model) },
            false => Command::AgentTimerDue { agent: self.one(&self.agents.clone())? },
        })
    }
}
