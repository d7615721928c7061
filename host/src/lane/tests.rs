//! A lane driven step by step with a real store and no world: random commands from a seed, loaded anew at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use signalbox_engine::{
    self as engine, Account, Action, AgentAction, Attention, Binding, CallId, Category, Command, Decision, Delivery,
    DeliveryKey, DeliveryState, Deployment, Destination, Digest, Document, EndpointFailure, EndpointRequest, Entry,
    Facts, Failure, InteractionId, Live, Manifest, Message, Name, OfferAnswer, OfferId, OnFailure, Outcome, Reply,
    Request as Asked, Share, Speaker, State, StateKind, Submission, Target, UnixMillis, Webhook, Workflow,
};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::activity::Activity;
use super::calls::{Handed, WINDOW};
use super::effects::{Effects, Shadow};
use super::work::Replies;
use super::writer::Writer;
use super::{Answer, Idempotency, Mailbox, Published, Request, Shared};
use crate::outbox::Attempt;
use crate::stats::Stats;
use crate::store::{self, AccountNumber, AccountRow, Batch, Head, Store};
use crate::strategy::{self, CallResult, Grants, Recorded};

const WORKFLOW: &str = r#"{"name": "support", "elements": [
        {"id": "start", "kind": "start"},
        {"id": "screen", "kind": "strategy"},
        {"id": "analyse", "kind": "strategy"},
        {"id": "pause", "kind": "wait", "duration_ms": 50},
        {"id": "ask", "kind": "call", "endpoint": "crm", "response": {"tier": "/tier"}},
        {"id": "desk", "kind": "queue", "queue": "desk", "timeout_ms": 200},
        {"id": "back", "kind": "queue", "queue": "back"},
        {"id": "end", "kind": "end"}],
    "connectors": [
        {"from": "start", "outcome": "next", "to": "screen"},
        {"from": "screen", "outcome": "go", "to": "analyse"},
        {"from": "screen", "outcome": "stop", "to": "end"},
        {"from": "screen", "outcome": "error", "to": "pause"},
        {"from": "analyse", "outcome": "go", "to": "ask"},
        {"from": "ask", "outcome": "ok", "to": "desk"},
        {"from": "ask", "outcome": "refused", "to": "desk"},
        {"from": "ask", "outcome": "error", "to": "back"},
        {"from": "analyse", "outcome": "stop", "to": "back"},
        {"from": "pause", "outcome": "next", "to": "screen"},
        {"from": "desk", "outcome": "completed", "to": "end"},
        {"from": "desk", "outcome": "timeout", "to": "back"},
        {"from": "back", "outcome": "completed", "to": "end"}]}"#;

/// What has been handed to the world and not come back.
#[derive(Default)]
struct InFlight {
    calls: BTreeMap<CallId, (Name, Asked)>,
    asked: BTreeMap<CallId, EndpointRequest>,
    deliveries: Vec<DeliveryKey>,
    full: bool,
    broken: bool,
}

struct Held(Arc<Mutex<InFlight>>);

impl Effects for Held {
    fn call(
        &mut self,
        call: CallId,
        deployment: &Arc<Deployment>,
        _: Option<NonZero<u32>>,
        request: Asked,
        _: &Arc<dyn Grants>,
    ) -> Handed {
        let mut held = self.0.lock().unwrap();
        if held.full {
            return Handed::Full;
        }
        if held.broken {
            return Handed::Failed("it cannot be loaded".into());
        }
        let before = held.calls.insert(call, (deployment.name.clone(), request));
        assert!(before.is_none(), "call {call:?} was handed on twice");
        Handed::InFlight
    }

    fn shadow(&mut self, _: Shadow, _: &Arc<dyn Grants>) {}

    fn loaded(&mut self, _: &Arc<Deployment>, _: Result<Arc<strategy::Deployment>, String>) -> Result<(), String> {
        Ok(())
    }

    fn forget(&mut self, _: &[Name], _: Vec<Digest>) {}

    fn ask(&mut self, request: EndpointRequest) {
        let before = self.0.lock().unwrap().asked.insert(request.call, request);
        assert!(before.is_none(), "an endpoint was asked twice for one call");
    }

    fn deliver(&mut self, delivery: DeliveryKey, _: Attempt) {
        self.0.lock().unwrap().deliveries.push(delivery);
    }

    fn reply(&mut self, replies: Replies) {
        replies.send();
    }
}

struct Rig {
    store: Arc<Store>,
    number: AccountNumber,
    held: Arc<Mutex<InFlight>>,
    writer: Writer,
    now: UnixMillis,
    submitted: Vec<InteractionId>,
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn writer(store: &Arc<Store>, number: AccountNumber, account: Account, held: &Arc<Mutex<InFlight>>) -> Writer {
    let shared = Shared {
        name: name("test"),
        number,
        mailbox: Mailbox::new(),
        published: ArcSwap::from_pointee(Published::default()),
        stats: Arc::new(Stats::default()),
        activity: Activity::new(Instant::now().checked_sub(Duration::from_secs(10)).unwrap()),
        shadows: super::shadows::Shadows::default(),
        canaries: super::canaries::Canaries::default(),
        fault: Mutex::default(),
    };
    let head = Head { sequence: account.sequence(), epoch: 1, at: UnixMillis(0) };
    Writer::new(Arc::new(shared), Arc::clone(store), head, account, Box::new(Held(Arc::clone(held))))
}

impl Rig {
    fn new(directory: &std::path::Path) -> Self {
        let options = store::Options { directory: directory.to_owned(), cache_bytes: 8 << 20 };
        let store = Arc::new(Store::open(&options).unwrap());
        let number = AccountNumber(1);
        let mut batch = Batch::new(number);
        batch.account(&store, "test", &AccountRow { number, created_at: UnixMillis(0) });
        batch.head(&store, Head { sequence: Account::default().sequence(), epoch: 1, at: UnixMillis(0) });
        store.commit(batch).unwrap();
        let held = Arc::new(Mutex::new(InFlight::default()));
        let writer = writer(&store, number, Account::default(), &held);
        let mut rig = Self { store, number, held, writer, now: UnixMillis(1), submitted: Vec::new() };
        for document in documents() {
            rig.command(Command::Put { document, by: "test".into() });
        }
        rig
    }

    fn turn(&mut self, answers: Vec<Answer>, requests: Vec<Request>) {
        self.writer.turn_at(self.now, answers, requests);
    }

    fn command(&mut self, command: Command) {
        let (reply, _) = oneshot::channel();
        self.turn(Vec::new(), vec![Request::Command(command, Vec::new(), reply)]);
    }

    /// The account as it is stored is the account in memory, and every awaited call is somewhere it will be run from.
    fn check(&self) {
        let (stored, _) = self.store.load(self.number).unwrap().unwrap();
        stored.same(self.writer.account()).unwrap();
        let mut known = self.writer.calls().known();
        known.sort_unstable();
        for (call, _) in stored.calls() {
            let places = known.iter().filter(|k| **k == call).count();
            assert_eq!(places, 1, "call {call:?} is awaited, and is in {places} places");
        }
        let mut known = self.writer.endpoints().known();
        known.sort_unstable();
        for (call, _) in stored.endpoint_calls() {
            let places = known.iter().filter(|k| **k == call).count();
            assert_eq!(places, 1, "call {call:?} of an endpoint is awaited, and is in {places} places");
        }
        let held = self.held.lock().unwrap();
        for (due, delivery) in stored.webhooks_due().flat_map(|w| stored.deliveries_due(w.as_str())) {
            let in_flight = held.deliveries.iter().any(|d| d.message == delivery);
            let waits = due > self.now || held.deliveries.len() >= 8;
            assert!(in_flight || waits, "delivery {delivery} was due at {due:?} and is not in flight");
        }
    }

    /// The process dies and starts again: what was in flight is lost.
    fn restart(&mut self) {
        *self.held.lock().unwrap() = InFlight::default();
        let (account, _) = self.store.load(self.number).unwrap().unwrap();
        self.writer = writer(&self.store, self.number, account, &self.held);
        self.turn(Vec::new(), Vec::new());
    }

    fn step(&mut self, random: &mut StdRng) {
        self.now = self.now.plus(random.random_range(0..40));
        {
            let mut held = self.held.lock().unwrap();
            (held.full, held.broken) = (random.random_ratio(1, 8), random.random_ratio(1, 16));
        }
        let mut answers = Vec::new();
        let mut requests = Vec::new();
        for _ in 0..random.random_range(1..4) {
            match random.random_range(0..100) {
                0..25 => requests.push(self.submit(random)),
                25..70 => answers.extend(self.answer(random)),
                70..80 => answers.extend(self.delivered(random)),
                80..90 => answers.extend(self.asked(random)),
                _ => {
                    let (reply, _) = oneshot::channel();
                    requests.push(Request::Command(self.random_command(random), Vec::new(), reply));
                }
            }
        }
        self.turn(answers, requests);
    }

    fn submit(&mut self, random: &mut StdRng) -> Request {
        let id = InteractionId(Uuid::from_u128(random.random()));
        self.submitted.push(id);
        if self.submitted.len() > 40 {
            self.submitted.remove(0);
        }
        let message = Message {
            media_type: name("chat"),
            subject: None,
            body: "Where is my order?".into(),
            sender: None,
            recipient: None,
            headers: Vec::new(),
            submitted_at: self.now,
        };
        let facts = Facts { priority: random.random_range(0..4), ..Facts::default() };
        let submission =
            Submission { id, workflow: name("support"), message: Arc::new(message), facts, at: None, callback: None };
        let key = random.random_range(0..20_u32);
        let idempotency = (key < 5).then(|| Idempotency { key: key.to_string(), body: Digest([0; 32]) });
        let (reply, _) = oneshot::channel();
        Request::Submit(Box::new(submission), idempotency, reply)
    }

    fn answer(&self, random: &mut StdRng) -> Option<Answer> {
        let mut held = self.held.lock().unwrap();
        let nth = random.random_range(0..held.calls.len().max(1));
        let call = *held.calls.keys().nth(nth)?;
        let (deployment, request) = held.calls.remove(&call)?;
        let outcome = match random.random_range(0..10) {
            0 => Err(Failure::Trap("unreachable".into())),
            1 => Err(Failure::Overrun { deadline_ms: 50 }),
            _ => Ok(decision(random)),
        };
        let result = CallResult { outcome, record: Recorded::default(), host_ns: 0 };
        Some(Answer::Called { call, request: Box::new(request), deployment, result })
    }

    fn asked(&self, random: &mut StdRng) -> Option<Answer> {
        let (call, request) = self.held.lock().unwrap().asked.pop_first()?;
        let result = match random.random_range(0..4) {
            0 => request.read(500, None, b""),
            1 => request.read(404, None, b"no"),
            2 => Err(EndpointFailure::TimedOut { timeout_ms: 5000 }),
            _ => request.read(200, None, br#"{"tier": "gold"}"#),
        };
        Some(Answer::Asked { call, interaction: request.interaction, result })
    }

    fn delivered(&self, random: &mut StdRng) -> Option<Answer> {
        let mut held = self.held.lock().unwrap();
        if held.deliveries.is_empty() {
            return None;
        }
        let nth = random.random_range(0..held.deliveries.len());
        let delivery = held.deliveries.remove(nth);
        let result = if random.random_ratio(1, 3) { Err("down".into()) } else { Ok(()) };
        Some(Answer::Delivered { delivery, result })
    }

    fn random_command(&self, random: &mut StdRng) -> Command {
        let nth = random.random_range(0..self.submitted.len().max(1));
        let unknown = InteractionId(Uuid::from_u128(7));
        let interaction = self.submitted.get(nth).copied().unwrap_or(unknown);
        let by = || "test".to_owned();
        let queue = name(if random.random() { "desk" } else { "back" });
        let agent = name(["ann", "bob", "cid"][random.random_range(0..3)]);
        if random.random() {
            return self.agent_command(random, agent, interaction);
        }
        match random.random_range(0..9) {
            0 | 1 => Command::Take { queue, agent: None, by: by() },
            2 | 3 => Command::Complete { interaction, disposition: "solved".into(), by: by(), for_anyone: false },
            4 => Command::Release { interaction, by: by(), for_anyone: false },
            5 => Command::Cancel { interaction, reason: "changed my mind".into(), by: by(), for_customer: true },
            6 => Command::Resume { interaction, element: None, by: by() },
            7 => {
                let entries = vec![Entry { key: "tier".into(), value: "gold".into() }];
                Command::SetUserData { interaction, entries }
            }
            _ => {
                let to = if random.random() { "screening-1" } else { "screening-2" };
                Command::Put { document: binding("screen", to), by: by() }
            }
        }
    }
}

impl Rig {
    /// What agents, supervisors and customers do.
    fn agent_command(&self, random: &mut StdRng, agent: Name, interaction: InteractionId) -> Command {
        let by = || agent.to_string();
        let account = self.writer.account();
        let offered = account.work(agent.as_str()).and_then(|work| work.offered.first().copied());
        let in_hand = account.work(agent.as_str()).and_then(|work| {
            let all: Vec<_> = work.assigned.iter().chain(&work.wrap_up).collect();
            all.get(random.random_range(0..all.len().max(1))).map(|id| **id)
        });
        let in_hand = in_hand.unwrap_or(interaction);
        let for_anyone = random.random_ratio(1, 8);
        let act = |action| Command::Agent { agent: agent.clone(), action, by: by() };
        match random.random_range(0..30) {
            0 | 1 => act(AgentAction::LogIn { place: None, media_types: BTreeSet::new(), connected: random.random() }),
            2 => act(AgentAction::LogOut { after_work: random.random() }),
            3..8 => act(AgentAction::Ready),
            8 => act(AgentAction::NotReady { reason: name("lunch"), after_work: random.random() }),
            9 => act(AgentAction::Connect),
            10 => act(AgentAction::Disconnect),
            11..19 => {
                let interaction = offered.unwrap_or(interaction);
                let live = account.live(interaction);
                let offer = live.and_then(|live| live.offers().find(|o| o.agent == agent).map(|o| o.id));
                let reason = "not mine".to_owned();
                let yes = random.random_ratio(3, 4);
                let answer = if yes { OfferAnswer::Accept } else { OfferAnswer::Decline { reason } };
                Command::AnswerOffer { interaction, offer: offer.unwrap_or(OfferId(1)), agent, answer }
            }
            19..23 => Command::Complete { interaction: in_hand, disposition: "solved".into(), by: by(), for_anyone },
            23 => Command::FinishWrapUp { interaction: in_hand, disposition: None, by: by(), for_anyone },
            24 => {
                let attention = [Attention::Active, Attention::Held, Attention::Workbin][random.random_range(0..3)];
                Command::Attend { interaction: in_hand, attention, by: by(), for_anyone }
            }
            25 => {
                let to = [Target::AgentGroup("team".into()), Target::Agent("bob".into()), Target::Queue("back".into())];
                let to = to[random.random_range(0..3)].clone();
                Command::Transfer { interaction: in_hand, to, by: by(), for_anyone }
            }
            26 => Command::Move { interaction, queue: name("desk"), by: by() },
            27 => Command::Assign { interaction, agent: agent.clone(), by: by() },
            28 => {
                let speaker = if random.random() { Speaker::Agent } else { Speaker::Customer };
                Command::Say { interaction: in_hand, speaker, text: "hello".into(), by: by(), for_anyone }
            }
            _ => Command::Close { interaction, reason: "left".into(), by: by() },
        }
    }

    /// What must hold whatever happened: each interaction is at most one agent's, and agents have what interactions say.
    fn check_agents(&self) {
        let account = self.writer.account();
        let mut held: BTreeMap<&Name, u32> = BTreeMap::new();
        for (id, live) in account.lives() {
            for agent in live.agent().into_iter().chain(live.offers().map(|offer| &offer.agent)) {
                let workbin = matches!(&live.state, engine::State::Assigned(a) if a.attention == Attention::Workbin);
                *held.entry(agent).or_default() += u32::from(!(workbin && live.agent() == Some(agent)));
                let work = account.work(agent.as_str()).unwrap_or_else(|| panic!("{agent} knows nothing of {id}"));
                let known = work.offered.contains(&id) || work.assigned.contains(&id) || work.wrap_up.contains(&id);
                assert!(known, "{agent} does not know of {id}");
            }
            for offer in live.offers() {
                assert!(account.login(offer.agent.as_str()).is_some(), "{} has an offer and is not there", offer.agent);
            }
        }
        for agent in ["ann", "bob", "cid"].map(name) {
            assert_eq!(account.agent_load(&agent), held.get(&agent).copied().unwrap_or_default(), "load of {agent}");
        }
        assert_eq!(account.match_due(), None, "what could be matched has been");
    }
}

fn decision(random: &mut StdRng) -> Decision {
    let outcome = ["go", "go", "go", "stop", "never-declared"][random.random_range(0..5)];
    let action = |random: &mut StdRng| match random.random_range(0..9) {
        0 => Action::Attach(Entry { key: "k".into(), value: "v".into() }),
        1 => Action::Categorize(Category { name: "refund".into(), relevancy: 90 }),
        2 => Action::SetPriority(random.random_range(0..1010)),
        3 => Action::Acknowledge(Reply::Text { subject: None, body: "Thank you".into() }),
        4 => Action::Forward(Destination::Queue("back".into())),
        5 => Action::Redirect(Destination::Queue("back".into())),
        6 => Action::End("spam".into()),
        7 => Action::SetLanguage("en".into()),
        _ => Action::Forward(Destination::Address("ana@example.org".into())),
    };
    let actions = (0..random.random_range(0..3)).map(|_| action(random)).collect();
    Decision { outcome: outcome.into(), actions, reason: "because".into() }
}

fn documents() -> Vec<Document> {
    let workflow: Workflow = serde_json::from_str(WORKFLOW).unwrap();
    let webhook = Webhook {
        name: name("crm"),
        url: "http://crm.example/hook".into(),
        secret: "0123456789abcdef".into(),
        types: vec!["acknowledgement".into(), "forward".into()],
    };
    let group = r#"{"name": "team", "agents": ["ann", "bob", "cid"]}"#;
    let group = Document::AgentGroup(Arc::new(serde_json::from_str(group).unwrap()));
    let endpoint = json!({"name": "crm", "url": "http://crm.example", "secret": "0123456789abcdef", "retries": 1});
    vec![
        Document::Endpoint(Arc::new(serde_json::from_value(endpoint).unwrap())),
        Document::Workflow(Arc::new(workflow), 0),
        deployment("screening-1"),
        deployment("screening-2"),
        binding("screen", "screening-1"),
        binding("analyse", "screening-2"),
        Document::Webhook(Arc::new(webhook)),
        agent("ann", "1 any"),
        agent("bob", "2 chat"),
        agent("cid", "3 any"),
        group,
        Document::Queue(queue("desk", r#"{"agent-group": "team"}, "offer_timeout_ms": 1000"#)),
        Document::Queue(queue("back", r#"{"agent-group": "team"}, "wrap_up_ms": 300, "offers_max": 2"#)),
    ]
}

fn agent(called: &str, capacity: &str) -> Document {
    let agent = format!(r#"{{"name": "{called}", "capacity": "{capacity}"}}"#);
    Document::Agent(Arc::new(serde_json::from_str(&agent).unwrap()))
}

fn queue(called: &str, target: &str) -> engine::Queue {
    serde_json::from_str(&format!(r#"{{"name": "{called}", "target": {target}}}"#)).unwrap()
}

fn deployment(called: &str) -> Document {
    deployment_of(called, Digest([0; 32]), Digest([0; 32]))
}

fn deployment_of(called: &str, component: Digest, image: Digest) -> Document {
    let outcomes = ["go", "stop"].map(|o| Outcome { name: o.into(), description: String::new() });
    let manifest = Manifest {
        name: called.into(),
        version: "1.0.0".into(),
        description: String::new(),
        outcomes: outcomes.into(),
        settings_schema: "{}".into(),
        assets: Vec::new(),
    };
    Document::Deployment(Arc::new(Deployment {
        name: name(called),
        digest: Digest([0; 32]),
        settings: "{}".into(),
        assets: BTreeMap::new(),
        manifest,
        component,
        image,
        snapshotted: true,
        unsnapshotted_because: None,
        deadline_ms: 50,
        grants: None,
        message: String::new(),
        created_by: "test".into(),
        created_at: UnixMillis(0),
    }))
}

fn binding(element: &str, deployment: &str) -> Document {
    let shares = vec![Share { deployment: name(deployment), weight: 1 }];
    let on_failure = OnFailure { retries: 1, outcome: None };
    Document::Binding(Arc::new(Binding::new(name("support"), name(element), shares, on_failure)))
}

#[test]
fn after_every_step_the_store_holds_what_memory_holds_and_no_awaited_call_is_forgotten() {
    let seed = std::env::var("SIGNALBOX_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random::<u64>);
    let steps: u32 = std::env::var("SIGNALBOX_STEPS").ok().and_then(|s| s.parse().ok()).unwrap_or(10_000);
    println!("SIGNALBOX_SEED={seed} SIGNALBOX_STEPS={steps}");
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    let mut random = StdRng::seed_from_u64(seed);
    let mut ends = 0;
    for _ in 0..steps {
        rig.step(&mut random);
        rig.check();
        rig.check_agents();
        rig.restart();
        rig.check();
        rig.check_agents();
        ends += u32::from(rig.writer.account().live_count() == 0);
        // Keeps the account small enough to be loaded at every step.
        while rig.writer.account().live_count() > 60 {
            let oldest = rig.writer.account().lives().next().map(|(id, _)| id).unwrap();
            rig.command(Command::Cancel {
                interaction: oldest,
                reason: "too many".into(),
                by: "test".into(),
                for_customer: true,
            });
        }
    }
    assert!(rig.writer.account().sequence().0 > u64::from(steps) / 2, "most steps did something; {ends} ended empty");
}

#[test]
fn a_delivery_without_its_webhook_or_its_message_fails_like_one_that_was_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    let lost = ["crm", "deleted"].map(|webhook| DeliveryKey { message: 4711, webhook: name(webhook) });
    let mut batch = Batch::new(rig.number);
    for key in &lost {
        let delivery = Delivery { state: DeliveryState::Pending(rig.now), attempts: 0, error: None };
        batch.delivery(&rig.store, key, &delivery);
    }
    rig.store.commit(batch).unwrap();
    rig.restart();
    let answers = rig.writer.mail();
    rig.turn(answers, Vec::new());
    for key in &lost {
        let delivery = rig.writer.account().delivery(key).unwrap();
        assert_eq!((delivery.attempts, delivery.state), (1, DeliveryState::Pending(rig.now.plus(1000))));
    }
    assert_eq!(
        rig.writer.account().delivery(&lost[0]).unwrap().error.as_deref(),
        Some("the message is not in the store")
    );
    rig.check();
}

#[test]
fn the_name_of_a_deleted_deployment_is_not_free_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    rig.command(Command::Put { document: deployment("screening-3"), by: "test".into() });
    let key = deployment("screening-3").key();
    rig.command(Command::Remove { key, by: "test".into() });
    rig.check();
    rig.restart();
    rig.check();
    rig.command(Command::Put { document: deployment("screening-3"), by: "test".into() });
    assert!(!rig.writer.account().configuration().deployments.contains_key("screening-3"));
}

#[test]
fn an_interaction_whose_content_is_lost_is_parked_and_harms_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    let submit = rig.submit(&mut StdRng::seed_from_u64(1));
    rig.turn(Vec::new(), vec![submit]);
    let (healthy, live) = rig.writer.account().lives().next().map(|(id, live)| (id, live.clone())).unwrap();
    let State::Routing { deployment, .. } = live.state.clone() else { panic!("it is at its strategy") };
    let states =
        [State::Waiting { until: rig.now }, State::Routing { call: CallId(4711), deployment, visit: 1, attempt: 0 }];
    let mut batch = Batch::new(rig.number);
    for (n, state) in (1..).zip(states) {
        batch.live(&rig.store, InteractionId(Uuid::from_u128(n)), &Live { state, ..live.clone() });
    }
    rig.store.commit(batch).unwrap();
    rig.restart();
    assert_eq!(rig.writer.pause(), Some(Duration::ZERO), "the lane does not wait to be asked");
    rig.turn(Vec::new(), Vec::new());
    let kind = |rig: &Rig, id| rig.writer.account().live(id).map(|live| live.state.kind());
    for lost in [1, 2].map(|n| InteractionId(Uuid::from_u128(n))) {
        assert_eq!(kind(&rig, lost), Some(StateKind::Parked));
        rig.command(Command::Resume { interaction: lost, element: None, by: "test".into() });
        assert_eq!(kind(&rig, lost), Some(StateKind::Parked));
        rig.command(Command::Cancel {
            interaction: lost,
            reason: "lost".into(),
            by: "test".into(),
            for_customer: true,
        });
        assert_eq!(kind(&rig, lost), None);
    }
    assert_eq!(kind(&rig, healthy), Some(StateKind::Routing));
    rig.check();
}

#[test]
fn a_deployment_that_is_slow_and_much_asked_leaves_others_room() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    let mut random = StdRng::seed_from_u64(1);
    let mut submit = |rig: &mut Rig, many: usize| {
        let anew = |mut request| {
            if let Request::Submit(_, idempotency, _) = &mut request {
                *idempotency = None;
            }
            request
        };
        let requests = (0..many).map(|_| anew(rig.submit(&mut random))).collect();
        rig.turn(Vec::new(), requests);
    };
    submit(&mut rig, 2 * WINDOW);
    let in_flight = |rig: &Rig, deployment: &str| {
        rig.held.lock().unwrap().calls.values().filter(|(of, _)| of.as_str() == deployment).count()
    };
    assert_eq!(in_flight(&rig, "screening-1"), WINDOW / 2);
    rig.command(Command::Put { document: binding("screen", "screening-2"), by: "test".into() });
    submit(&mut rig, 10);
    assert_eq!(in_flight(&rig, "screening-2"), 10, "they do not wait for those that came before");
    rig.check();

    // Each that ends makes room for the next, until none is left.
    let mut answered = 0;
    while let Some((call, (deployment, request))) = {
        let mut held = rig.held.lock().unwrap();
        held.calls.pop_first()
    } {
        answered += 1;
        let decision = Decision { outcome: "stop".into(), actions: Vec::new(), reason: String::new() };
        let result = CallResult { outcome: Ok(decision), record: Recorded::default(), host_ns: 0 };
        let answer = Answer::Called { call, request: Box::new(request), deployment, result };
        rig.turn(vec![answer], Vec::new());
        if answered % 100 == 0 {
            rig.check();
        }
    }
    assert_eq!((answered, rig.writer.account().calls().count()), (2 * WINDOW + 10, 0));
}

#[test]
fn the_binaries_of_a_deployment_go_with_the_last_that_needs_them() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    let [component, first, second] = [1, 2, 3].map(|n| Digest([n; 32]));
    let deployments = [deployment_of("first", component, first), deployment_of("second", component, second)];
    for document in &deployments {
        let blobs = [component, first, second].map(|digest| (digest, Bytes::from_static(b"code"))).to_vec();
        let (reply, _) = oneshot::channel();
        let put = Command::Put { document: document.clone(), by: "test".into() };
        rig.turn(Vec::new(), vec![Request::Command(put, blobs, reply)]);
    }
    let kept =
        |rig: &Rig| [component, first, second].map(|digest| rig.store.blob(rig.number, digest).unwrap().is_some());
    assert_eq!(kept(&rig), [true, true, true]);
    rig.command(Command::Remove { key: deployments[0].key(), by: "test".into() });
    assert_eq!(kept(&rig), [true, false, true]);
    rig.command(Command::Remove { key: deployments[1].key(), by: "test".into() });
    assert_eq!(kept(&rig), [false, false, false]);
}

#[test]
fn a_deployment_that_was_compiled_anew_keeps_its_new_image_in_the_place_of_the_old() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    let [component, old, new] = [1, 2, 3].map(|n| Digest([n; 32]));
    let blobs = [component, old].map(|digest| (digest, Bytes::from_static(b"code"))).to_vec();
    let (reply, _) = oneshot::channel();
    let put = Command::Put { document: deployment_of("moved", component, old), by: "test".into() };
    rig.turn(Vec::new(), vec![Request::Command(put, blobs, reply)]);
    let deployment = Arc::clone(&rig.writer.account().configuration().deployments["moved"]);
    let image = Some((new, Bytes::from_static(b"new code")));
    rig.turn(vec![Answer::Loaded { deployment, result: Err("no world".into()), image }], Vec::new());
    assert_eq!(rig.writer.account().configuration().deployments["moved"].image, new);
    let kept = [component, old, new].map(|digest| rig.store.blob(rig.number, digest).unwrap().is_some());
    assert_eq!(kept, [true, false, true]);
    rig.check();
}

#[test]
fn the_figures_of_a_queue_hold_over_a_restart_and_for_what_is_put_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    direct(&mut rig);
    rig.now = UnixMillis(1_000);
    for _ in 0..2 {
        submit_to(&mut rig, "direct");
    }
    rig.restart();
    let figures = |rig: &Rig| {
        let value = |statistic| rig.writer.stats().value("queue", "line", statistic, rig.now).unwrap();
        ["waiting", "oldest-wait", "taken", "left"].map(value)
    };
    rig.now = UnixMillis(3_000);
    assert_eq!(figures(&rig), [2.0, 2.0, 0.0, 0.0]);
    rig.command(Command::Take { queue: name("line"), agent: None, by: "ana".into() });
    let first = rig.submitted[0];
    rig.now = UnixMillis(4_000);
    rig.command(Command::Release { interaction: first, by: "ana".into(), for_anyone: false });
    // It waits anew; what counts for its turn is its age.
    assert_eq!(figures(&rig), [2.0, 0.0, 1.0, 0.0]);
    for interaction in rig.submitted.clone() {
        rig.command(Command::Cancel { interaction, reason: "test".into(), by: "ana".into(), for_customer: true });
    }
    assert_eq!(figures(&rig), [0.0, 0.0, 1.0, 2.0]);
}

/// A workflow that leads into the queue `line` at once.
fn direct(rig: &mut Rig) {
    let workflow = r#"{"name": "direct", "elements": [
            {"id": "start", "kind": "start"}, {"id": "line", "kind": "queue", "queue": "line"}, {"id": "end", "kind": "end"}],
        "connectors": [{"from": "start", "outcome": "next", "to": "line"}, {"from": "line", "outcome": "completed", "to": "end"}]}"#;
    let workflow: Workflow = serde_json::from_str(workflow).unwrap();
    rig.command(Command::Put { document: Document::Workflow(Arc::new(workflow), 0), by: "test".into() });
}

fn submit_to(rig: &mut Rig, workflow: &str) -> InteractionId {
    let mut request = rig.submit(&mut StdRng::seed_from_u64(rig.submitted.len() as u64));
    let Request::Submit(submission, idempotency, _) = &mut request else { unreachable!() };
    (submission.workflow, submission.facts.priority, *idempotency) = (name(workflow), 0, None);
    let id = submission.id;
    rig.turn(Vec::new(), vec![request]);
    id
}

#[test]
fn the_wait_is_expected_by_how_many_have_left_the_queue_lately() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    direct(&mut rig);
    rig.now = UnixMillis(1_000);
    let first = submit_to(&mut rig, "direct");
    for _ in 0..3 {
        submit_to(&mut rig, "direct");
    }
    let expected = |rig: &Rig, position| rig.writer.stats().estimated_wait_ms("line", position, rig.now);
    let own = |rig: &Rig| rig.writer.stats().value("queue", "line", "estimated-wait", rig.now);
    rig.now = UnixMillis(6_000);
    assert_eq!((expected(&rig, 1), own(&rig)), (None, None), "nobody has left");
    rig.now = UnixMillis(11_000);
    rig.command(Command::Take { queue: name("line"), agent: None, by: "ana".into() });
    assert_eq!([1, 3].map(|position| expected(&rig, position)), [Some(10_000), Some(30_000)]);
    assert_eq!(own(&rig), Some(30.0), "of whoever comes next");
    rig.now = UnixMillis(21_000);
    rig.command(Command::Cancel {
        interaction: rig.submitted[1],
        reason: "test".into(),
        by: "ana".into(),
        for_customer: true,
    });
    rig.command(Command::Release { interaction: first, by: "ana".into(), for_anyone: false });
    rig.command(Command::Take { queue: name("line"), agent: None, by: "ana".into() });
    assert_eq!(expected(&rig, 2), Some(13_333), "what was put back came anew, and has left anew");
    assert_eq!(rig.writer.stats().estimated_wait_ms("nothing", 1, rig.now), None);
    rig.now = UnixMillis(16 * 60_000);
    assert_eq!(expected(&rig, 1), None, "nobody has left for a quarter of an hour");
}

#[test]
fn what_an_agent_only_reads_keeps_its_work_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    direct(&mut rig);
    let ann = Document::Agent(Arc::new(serde_json::from_value(json!({"name": "ann"})).unwrap()));
    rig.command(Command::Put { document: ann, by: "test".into() });
    let line = json!({"name": "line", "target": {"agent": "ann"}, "inactivity_ms": 5_000});
    let line = Document::Queue(serde_json::from_value(line).unwrap());
    rig.command(Command::Put { document: line, by: "test".into() });
    rig.now = UnixMillis(1_000);
    let (place, media_types) = (None, BTreeSet::new());
    for action in [AgentAction::LogIn { place, media_types, connected: false }, AgentAction::Ready] {
        rig.command(Command::Agent { agent: name("ann"), action, by: "ann".into() });
    }
    let interaction = submit_to(&mut rig, "direct");
    let offer = rig.writer.account().live(interaction).unwrap().offers().next().unwrap().id;
    let (agent, answer) = (name("ann"), OfferAnswer::Accept);
    rig.command(Command::AnswerOffer { interaction, offer, agent, answer });
    let state = |rig: &Rig| rig.writer.account().live(interaction).unwrap().state.kind();
    let sequence = |rig: &Rig| rig.writer.account().sequence();
    let before = sequence(&rig);
    // Whatever the lane's own clock says, what counts is how long ago the agent was heard: an hour of a test is a moment.
    for at in [2_000, 3_000, 4_000] {
        rig.now = UnixMillis(at);
        rig.writer.activity().heard(&name("ann"), Instant::now());
        rig.turn(Vec::new(), Vec::new());
    }
    assert_eq!(sequence(&rig), before, "nothing is written while nothing is due");
    rig.now = UnixMillis(6_000);
    rig.turn(Vec::new(), Vec::new());
    assert_eq!((state(&rig), sequence(&rig)), (StateKind::Assigned, before.next()));
    rig.check();
    rig.now = UnixMillis(9_000);
    rig.turn(Vec::new(), Vec::new());
    assert_eq!((state(&rig), sequence(&rig)), (StateKind::Assigned, before.next()));
    // Had it not been heard, it would be as quiet as the server is old.
    rig.writer.activity().forget(&name("ann"));
    rig.now = UnixMillis(12_000);
    rig.turn(Vec::new(), Vec::new());
    assert_eq!(state(&rig), StateKind::Queued, "it went back, and whoever lost it rests");
    rig.check();
}

/// Statistics of several kinds; what each shows at a moment.
const STATISTICS: [&str; 6] = [
    r#"{"name": "came", "object": {"kind": "account"}, "measure": {"kind": "number", "of": "submitted"}}"#,
    r#"{"name": "stand", "object": {"kind": "queue", "name": "desk"}, "measure": {"kind": "interactions-now"}}"#,
    r#"{"name": "wait", "object": {"kind": "queue", "name": "back"}, "measure": {"kind": "time", "of": "wait", "value": "total"}}"#,
    r#"{"name": "busy", "object": {"kind": "agent-group", "name": "team"}, "measure": {"kind": "agent-time", "state": "busy", "value": "total"}}"#,
    r#"{"name": "hand", "object": {"kind": "agent", "name": "cid"}, "measure": {"kind": "interactions-now", "state": "assigned"}}"#,
    r#"{"name": "calls", "object": {"kind": "strategy", "name": "screening-1"}, "measure": {"kind": "number", "of": "call-answered"},
        "filter": {"condition": "interaction.priority > 1"}}"#,
];

#[test]
fn statistics_survive_a_restart_at_every_moment() {
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    for statistic in STATISTICS {
        let document = Document::Statistic(Arc::new(serde_json::from_str(statistic).unwrap()));
        rig.command(Command::Put { document, by: "test".into() });
    }
    let figures = |rig: &Rig| {
        rig.writer.stats().settle_blocking();
        rig.writer.stats().list(None, 100, rig.now)
    };
    let mut moved = BTreeSet::new();
    for _ in 0..300 {
        rig.step(&mut random);
        let before = figures(&rig);
        assert_eq!(before.len(), STATISTICS.len());
        moved.extend(
            before.iter().filter(|figure| figure.value.is_some_and(|value| value > 0.0)).map(|f| f.name.clone()),
        );
        if random.random_ratio(1, 4) {
            let (account, _) = rig.store.load(rig.number).unwrap().unwrap();
            rig.writer = writer(&rig.store, rig.number, account, &rig.held);
            assert_eq!(figures(&rig), before, "seed {seed}");
            rig.restart();
        }
    }
    assert!(moved.len() >= 4, "seed {seed}: only {moved:?} moved");
}

#[test]
fn a_checkpoint_takes_the_place_of_what_came_before_once_it_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let rig = Rig::new(directory.path());
    let sequences = |rows: &[(engine::Sequence, engine::Observed)]| rows.iter().map(|(s, _)| s.0).collect::<Vec<_>>();
    let put = |rows: &[u64], parts: &[(u64, u32, &[u8], bool)]| {
        let mut batch = Batch::new(rig.number);
        for sequence in rows {
            batch.observed(&rig.store, engine::Sequence(*sequence), &engine::Observed::default());
        }
        for (sequence, part, bytes, last) in parts {
            batch.checkpoint(&rig.store, engine::Sequence(*sequence), *part, bytes.to_vec(), *last);
        }
        rig.store.commit(batch).unwrap();
        let (checkpoint, rows) = rig.store.statistics(rig.number).unwrap();
        (checkpoint, sequences(&rows))
    };
    assert_eq!(put(&[901, 902, 903], &[]), (None, vec![901, 902, 903]));
    assert_eq!(put(&[904], &[(902, 0, b"ab", false)]), (None, vec![901, 902, 903, 904]));
    assert_eq!(put(&[], &[(902, 1, b"c", true)]), (Some(b"abc".to_vec()), vec![903, 904]));
    // One that was cut off, and a later one that is whole.
    assert_eq!(put(&[905], &[(904, 0, b"xx", false)]), (Some(b"abc".to_vec()), vec![903, 904, 905]));
    assert_eq!(put(&[], &[(905, 0, b"de", true)]), (Some(b"de".to_vec()), vec![]));
}

#[test]
fn a_command_sees_what_the_one_before_it_in_the_same_batch_has_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    direct(&mut rig);
    let interaction = submit_to(&mut rig, "direct");
    let attach = |key: &str| {
        let entries = vec![Entry { key: key.into(), value: "yes".into() }];
        Command::SetUserData { interaction, entries }
    };
    let (requests, replies): (Vec<_>, Vec<_>) = ["a", "b", "c"]
        .map(|key| {
            let (reply, answer) = oneshot::channel();
            (Request::Command(attach(key), Vec::new(), reply), answer)
        })
        .into_iter()
        .unzip();
    rig.turn(Vec::new(), requests);
    assert!(replies.into_iter().all(|mut reply| reply.try_recv().unwrap().is_ok()));
    let content = rig.store.content(rig.number, interaction).unwrap().unwrap();
    assert_eq!(content.facts.user_data.keys().map(String::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
}

impl Rig {
    fn canary(&self) -> Option<engine::Canary> {
        let binding = self.writer.account().configuration().binding(&name("support"), &name("screen"));
        binding.and_then(|binding| binding.canary.clone())
    }

    /// Submits so many, none like those of another seed.
    fn submit_many(&mut self, seed: u64, count: usize) -> Vec<InteractionId> {
        let mut random = StdRng::seed_from_u64(seed);
        let submit = |_| {
            let mut request = self.submit(&mut random);
            let Request::Submit(submission, idempotency, _) = &mut request else { unreachable!() };
            *idempotency = None;
            let id = submission.id;
            self.turn(Vec::new(), vec![request]);
            id
        };
        (0..count).map(submit).collect()
    }

    /// Has each call answered that is made at the element `screen`.
    fn screened(&mut self, answer: impl Fn(&str) -> super::shadows::Outcome) {
        loop {
            let calls = std::mem::take(&mut self.held.lock().unwrap().calls);
            let calls = calls.into_iter().filter(|(_, (_, request))| request.element == "screen");
            let answers: Vec<_> = calls
                .map(|(call, (deployment, request))| {
                    let result =
                        CallResult { outcome: answer(deployment.as_str()), record: Recorded::default(), host_ns: 0 };
                    Answer::Called { call, request: Box::new(request), deployment, result }
                })
                .collect();
            if answers.is_empty() {
                return;
            }
            self.turn(answers, Vec::new());
        }
    }
}

fn stop() -> super::shadows::Outcome {
    Ok(Decision { outcome: "stop".into(), actions: Vec::new(), reason: String::new() })
}

fn put_canary(rig: &mut Rig, guards: serde_json::Value) {
    let binding = json!({"workflow": "support", "element": "screen", "shares": [{"deployment": "screening-1", "weight": 1}],
        "canary": {"deployment": "screening-2", "guards": guards,
                   "steps": [{"percent": 50, "for_s": 1}, {"percent": 100, "for_s": 1}]}});
    let binding = Arc::new(serde_json::from_value(binding).unwrap());
    rig.command(Command::Put { document: Document::Binding(binding), by: "test".into() });
}

#[test]
fn a_canary_goes_on_when_its_time_is_over_and_waits_without_looking() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    put_canary(&mut rig, json!({"error_share_max": 0.1, "outcome_shift_max": 0.5, "calls_min": 5}));
    assert_eq!(rig.writer.pause(), None, "before there were calls nothing is due");
    rig.submit_many(1, 60);
    rig.screened(|_| stop());
    assert_eq!(rig.writer.pause(), Some(Duration::from_secs(1)));

    // A restart begins the step again.
    rig.now = rig.now.plus(900);
    rig.restart();
    rig.submit_many(2, 60);
    rig.screened(|_| stop());
    assert_eq!(rig.writer.pause(), Some(Duration::from_secs(1)));
    rig.now = rig.now.plus(1000);
    rig.turn(Vec::new(), Vec::new());
    assert_eq!(rig.canary().map(|canary| canary.step), Some(1));
    assert_eq!(rig.writer.pause(), None, "the next step has its own calls to wait for");

    rig.submit_many(3, 10);
    rig.screened(|_| stop());
    rig.now = rig.now.plus(1000);
    rig.turn(Vec::new(), Vec::new());
    assert_eq!(rig.canary(), None);
    let binding = rig.writer.account().configuration().binding(&name("support"), &name("screen")).unwrap();
    assert_eq!((binding.shares[0].deployment.as_str(), binding.put_by.as_str()), ("screening-2", "signalbox"));
    rig.check();
}

/// How a call ends.
type Ends<'a> = &'a dyn Fn() -> super::shadows::Outcome;

#[test]
fn no_failure_of_a_canary_is_missed_and_each_is_made_good_by_the_shares() {
    let undeclared = || Ok(Decision { outcome: "nowhere".into(), actions: Vec::new(), reason: String::new() });
    let kinds: [(&str, Ends<'_>); 5] = [
        ("refused", &undeclared),
        ("trap", &|| Err(Failure::Trap("unreachable".into()))),
        ("overrun", &|| Err(Failure::Overrun { deadline_ms: 50 })),
        ("unavailable", &|| Err(Failure::Unavailable("it is taken out".into()))),
        ("other", &|| Err(Failure::Other("not mine".into()))),
    ];
    for (code, failure) in kinds {
        let directory = tempfile::tempdir().unwrap();
        let mut rig = Rig::new(directory.path());
        put_canary(&mut rig, json!({"error_share_max": 0.5, "calls_min": 5}));
        rig.submit_many(1, 40);
        rig.screened(|deployment| if deployment == "screening-2" { failure() } else { stop() });
        assert_eq!(rig.canary(), None, "{code}");
        let binding = rig.writer.account().configuration().binding(&name("support"), &name("screen")).unwrap();
        assert!(
            binding.message.contains("its error share is 1") && binding.message.contains(code),
            "{}",
            binding.message
        );
        assert_eq!(rig.writer.account().live_count(), 0, "{code}: all left by `stop`");
        rig.check();
    }
}

#[test]
fn a_failure_counts_although_its_interaction_was_cancelled() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(directory.path());
    put_canary(&mut rig, json!({"error_share_max": 0.5, "calls_min": 5}));
    for interaction in rig.submit_many(1, 40) {
        rig.command(Command::Cancel { interaction, reason: "gone".into(), by: "test".into(), for_customer: true });
    }
    rig.screened(|_| Err(Failure::Trap("unreachable".into())));
    assert_eq!(rig.canary(), None);
    rig.check();
}
