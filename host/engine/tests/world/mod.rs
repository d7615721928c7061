//! An account driven by lines of text.

// Each table of tests uses a part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use signalbox_engine::{
    Account, Action, AgentAction, AgentGroup, Answer, AttemptOutcome, Attention, Binding, CallId, Category, Command,
    Connection, Content, Decision, DeliveryKey, DeliveryState, Deployment, Destination, Digest, Document, DocumentKey,
    DocumentKind, EndpointFailure, EndpointReply, EndpointRequest, Entry, Event, Facts, Failure, FigureName, Figures,
    InteractionId, Manifest, Message, Name, OfferAnswer, OfferEnd, OfferId, OnFailure, Outcome, Pending, Queue,
    Rejection, Reply, Share, Skill, Speaker, Submission, Target, UnixMillis, Webhook, Workflow, decide, reads,
};
use uuid::Uuid;

/// An account and what a lane would keep beside it.
#[derive(Default)]
pub struct World {
    pub account: Account,
    pub contents: BTreeMap<InteractionId, Content>,
    pub figures: Known,
    submits: u128,
}

/// Figures by their names as they are shown.
#[derive(Debug, Clone, Default)]
pub struct Known(pub BTreeMap<String, f64>);

impl Figures for Known {
    fn value(&self, figure: &FigureName) -> Option<f64> {
        self.0.get(&figure.to_string()).copied()
    }
}

/// Runs a table and compares each line with what it must lead to.
pub fn scenario(mut world: World, table: &str) {
    let mut found = String::new();
    let mut wanted = String::new();
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, want) = line.split_once("=>").expect("a line is COMMAND => EVENTS");
        let (at, command) = command.trim().split_once(' ').expect("a line begins with @MS");
        let now = UnixMillis(at.trim_start_matches('@').parse().unwrap());
        let command = command.split_whitespace().collect::<Vec<_>>();
        let events = world.run(&command, now);
        let _ = writeln!(found, "{at} {} => {events}", command.join(" "));
        let _ = writeln!(wanted, "{at} {} => {}", command.join(" "), want.trim());
    }
    assert_eq!(found, wanted);
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn id(n: u128) -> InteractionId {
    InteractionId(Uuid::from_u128(n))
}

impl World {
    /// Carries out a command at a moment.
    pub fn try_at(&mut self, command: Command, now: UnixMillis) -> Result<Vec<Event>, Rejection> {
        let content = reads(&self.account, &command).map(|id| self.contents[&id].clone());
        let decided = decide(&self.account, command, content, &self.figures, now)?;
        for (id, content) in decided.contents {
            self.contents.insert(id, content);
        }
        for (id, _) in self.account.apply(&decided.record) {
            self.contents.remove(&id);
        }
        Ok(decided.record.events)
    }

    pub fn put(&mut self, document: Document) -> Result<Vec<Event>, Rejection> {
        self.try_at(Command::Put { document, by: "test".into() }, UnixMillis(0))
    }

    pub fn workflow(&mut self, json: &str) {
        let workflow: Workflow = serde_json::from_str(json).unwrap();
        self.put(Document::Workflow(Arc::new(workflow), 0)).unwrap();
    }

    pub fn queue(&mut self, queue: &str) {
        self.put(Document::Queue(Queue::new(name(queue)))).unwrap();
    }

    pub fn deploy(&mut self, deployment: &str, outcomes: &[&str]) {
        self.put(deployment_document(deployment, outcomes)).unwrap();
    }

    pub fn bind(&mut self, workflow: &str, element: &str, deployment: &str, retries: u8, fallback: Option<&str>) {
        self.try_bind(workflow, element, deployment, retries, fallback).unwrap();
    }

    pub fn try_bind(
        &mut self,
        workflow: &str,
        element: &str,
        deployment: &str,
        retries: u8,
        fallback: Option<&str>,
    ) -> Result<Vec<Event>, Rejection> {
        let on_failure = OnFailure { retries, outcome: fallback.map(name) };
        self.put(binding(workflow, element, deployment, on_failure))
    }

    pub fn webhook(&mut self, webhook: &str, types: &[&str]) {
        let webhook = Webhook {
            name: name(webhook),
            url: "https://crm.example/hook".into(),
            secret: "0123456789abcdef".into(),
            types: types.iter().map(ToString::to_string).collect(),
        };
        self.put(Document::Webhook(Arc::new(webhook))).unwrap();
    }

    /// Carries out a line of a table, whatever comes of it.
    pub fn at(&mut self, ms: u64, command: &str) {
        self.run(&command.split_whitespace().collect::<Vec<_>>(), UnixMillis(ms));
    }

    fn run(&mut self, words: &[&str], now: UnixMillis) -> String {
        let command = self.command(words);
        match self.try_at(command, now) {
            Ok(events) => {
                let mut shown: Vec<String> = events.iter().filter_map(|event| self.show(event)).collect();
                for event in self.match_all(now) {
                    shown.extend(self.show(&event));
                }
                shown.join(", ")
            }
            Err(rejection) => format!("rejected {}", rejection.code()),
        }
    }

    /// Brings together what can be, as a lane does after each command.
    pub fn match_all(&mut self, now: UnixMillis) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(due) = self.account.match_due() {
            match self.try_at(Command::Match(due.clone()), now) {
                Ok(more) => events.extend(more),
                Err(_) => self.account.matched(&due),
            }
        }
        events
    }

    pub fn json(&mut self, kind: &str, json: &str) -> Result<Vec<Event>, Rejection> {
        let document = match kind {
            "skill" => Document::Skill(serde_json::from_str(json).unwrap()),
            "agent" => Document::Agent(Arc::new(serde_json::from_str(json).unwrap())),
            "place" => Document::Place(serde_json::from_str(json).unwrap()),
            "agent-group" => Document::AgentGroup(Arc::new(serde_json::from_str(json).unwrap())),
            "place-group" => Document::PlaceGroup(Arc::new(serde_json::from_str(json).unwrap())),
            "rules" => Document::AgentRules(Arc::new(serde_json::from_str(json).unwrap())),
            "queue" => Document::Queue(serde_json::from_str(json).unwrap()),
            "calendar" => Document::Calendar(name("hours"), Arc::new(serde_json::from_str(json).unwrap())),
            "callback-rules" => Document::CallbackRules(Arc::new(serde_json::from_str(json).unwrap())),
            "statistic" => Document::Statistic(Arc::new(serde_json::from_str(json).unwrap())),
            "endpoint" => Document::Endpoint(Arc::new(serde_json::from_str(json).unwrap())),
            other => panic!("no such kind: {other}"),
        };
        self.put(document)
    }

    /// The offer that an agent has, or had last, of an interaction.
    fn offer(&self, interaction: InteractionId, agent: &str) -> OfferId {
        let live = self.account.live(interaction);
        let open = live.and_then(|live| live.offers().find(|offer| offer.agent == agent).map(|offer| offer.id));
        open.unwrap_or(OfferId(0))
    }

    /// What an application outside answered, as the request reads it; without a request, as if there were one.
    fn read(&self, id: InteractionId, status: u16, body: &str) -> (CallId, Result<EndpointReply, EndpointFailure>) {
        let call = self.account.live(id).and_then(|live| live.endpoint_call()).unwrap_or(CallId(0));
        let request = self.contents.get(&id).and_then(|c| EndpointRequest::new(&self.account, call, id, c));
        let result = request.map(|request| request.read(status, Some("http://10.0.0.1/"), body.as_bytes()));
        (call, result.unwrap_or(Ok(EndpointReply { status, entries: Vec::new() })))
    }

    fn command(&mut self, words: &[&str]) -> Command {
        let (words, who) = match words {
            [words @ .., "as", who] => (words, *who),
            words => (words, "test"),
        };
        let by = || who.to_owned();
        let for_anyone = who == "operator";
        let the = |word: &str| id(word.trim_start_matches('i').parse().unwrap());
        let call = |world: &Self, id| world.account.live(id).and_then(|live| live.call()).unwrap_or(CallId(0));
        match *words {
            ["submit", media_type, workflow] => {
                self.submits += 1;
                Command::Submit(Box::new(submission(id(self.submits), media_type, workflow)))
            }
            ["submit-last", agent, media_type, workflow] => {
                self.submits += 1;
                let mut submission = submission(id(self.submits), media_type, workflow);
                submission.facts.last_agent = Some(name(agent));
                Command::Submit(Box::new(submission))
            }
            ["answer", i, outcome, ref actions @ ..] => {
                let decision =
                    Decision { outcome: outcome.into(), actions: parse_actions(actions), reason: "because".into() };
                let interaction = the(i);
                Command::StrategyAnswered {
                    call: call(self, interaction),
                    interaction,
                    answer: Answer { result: Ok(decision) },
                }
            }
            ["fail", i, kind] => {
                let failure = match kind {
                    "overrun" => Failure::Overrun { deadline_ms: 50 },
                    _ => Failure::Trap("unreachable".into()),
                };
                let interaction = the(i);
                Command::StrategyAnswered {
                    call: call(self, interaction),
                    interaction,
                    answer: Answer { result: Err(failure) },
                }
            }
            ["asked", i, status, ref body @ ..] => {
                let interaction = the(i);
                let (call, result) = self.read(interaction, status.parse().unwrap(), &body.join(" "));
                Command::EndpointAnswered { call, interaction, result }
            }
            ["unasked", i, why] => {
                let interaction = the(i);
                let (call, _) = self.read(interaction, 200, "");
                let failure = match why {
                    "timeout" => EndpointFailure::TimedOut { timeout_ms: 5000 },
                    "forbidden" => EndpointFailure::Forbidden("it is private".into()),
                    _ => EndpointFailure::Unreachable("it is off".into()),
                };
                Command::EndpointAnswered { call, interaction, result: Err(failure) }
            }
            ["lose", i] => Command::ContentLost { interaction: the(i), why: "a row is damaged".into() },
            ["time", i] => Command::TimerDue { interaction: the(i) },
            ["data", i, entry] => Command::SetUserData { interaction: the(i), entries: vec![parse_entry(entry)] },
            ["cancel", i] => Command::Cancel {
                interaction: the(i),
                reason: "test".into(),
                by: by(),
                for_customer: who != "operator",
            },
            ["resume", i] => Command::Resume { interaction: the(i), element: None, by: by() },
            ["resume", i, element] => Command::Resume { interaction: the(i), element: Some(name(element)), by: by() },
            ["take", queue] => {
                let agent = self.account.configuration().agents.get_key_value(who).map(|(agent, _)| agent.clone());
                Command::Take { queue: name(queue), agent, by: by() }
            }
            ["take-over", i] => Command::TakeOver { interaction: the(i), by: by() },
            ["forward", i, kind, to] => {
                let to = match kind {
                    "address" => Destination::Address(to.into()),
                    "url" => Destination::Url(to.into()),
                    _ => Destination::Queue(to.into()),
                };
                Command::Forward { interaction: the(i), to, by: by(), for_anyone }
            }
            ["release", i] => Command::Release { interaction: the(i), by: by(), for_anyone },
            ["complete", i, disposition] => {
                Command::Complete { interaction: the(i), disposition: disposition.into(), by: by(), for_anyone }
            }
            ["submit", media_type, workflow, "at", at] => {
                self.submits += 1;
                let mut submission = submission(id(self.submits), media_type, workflow);
                submission.at = Some(UnixMillis(at.parse().unwrap()));
                Command::Submit(Box::new(submission))
            }
            ["book", number, rules, ref at @ ..] => {
                self.submits += 1;
                let mut submission = booking(id(self.submits), number, rules);
                submission.at = at.first().map(|at| UnixMillis(at.parse().unwrap()));
                Command::Submit(Box::new(submission))
            }
            ["reschedule", i, ref at @ ..] => {
                let at = at.first().map(|at| UnixMillis(at.parse().unwrap()));
                let speaker = if who == "test" { Speaker::Customer } else { Speaker::Agent };
                Command::RescheduleCallback { interaction: the(i), at, speaker, by: by(), for_anyone }
            }
            ["attempt", i, outcome] => {
                let outcome = match outcome {
                    "busy" => AttemptOutcome::Busy,
                    "reached" => AttemptOutcome::Reached,
                    "wrong-number" => AttemptOutcome::WrongNumber,
                    _ => AttemptOutcome::NoAnswer,
                };
                Command::CallbackAttempted { interaction: the(i), outcome, by: by(), for_anyone }
            }
            ["login", agent, ref rest @ ..] => {
                let at = rest.iter().position(|word| *word == "at").map(|i| name(rest[i + 1]));
                let media = rest.iter().filter_map(|word| word.strip_prefix("media=")).flat_map(|list| list.split('+'));
                let connected = rest.contains(&"connected");
                let action = AgentAction::LogIn { place: at, media_types: media.map(name).collect(), connected };
                Command::Agent { agent: name(agent), action, by: by() }
            }
            ["logout", agent, ref rest @ ..] => {
                let action = AgentAction::LogOut { after_work: rest.contains(&"after") };
                Command::Agent { agent: name(agent), action, by: by() }
            }
            ["ready", agent] => Command::Agent { agent: name(agent), action: AgentAction::Ready, by: by() },
            ["not-ready", agent, reason, ref rest @ ..] => {
                let action = AgentAction::NotReady { reason: name(reason), after_work: rest.contains(&"after") };
                Command::Agent { agent: name(agent), action, by: by() }
            }
            ["connect", agent] => Command::Agent { agent: name(agent), action: AgentAction::Connect, by: by() },
            ["disconnect", agent] => Command::Agent { agent: name(agent), action: AgentAction::Disconnect, by: by() },
            ["agent-time", agent] => Command::AgentTimerDue { agent: name(agent) },
            ["accept", agent, i] => Command::AnswerOffer {
                interaction: the(i),
                offer: self.offer(the(i), agent),
                agent: name(agent),
                answer: OfferAnswer::Accept,
            },
            ["decline", agent, i] => Command::AnswerOffer {
                interaction: the(i),
                offer: self.offer(the(i), agent),
                agent: name(agent),
                answer: OfferAnswer::Decline { reason: "lunch".into() },
            },
            ["hold", i] => Command::Attend { interaction: the(i), attention: Attention::Held, by: by(), for_anyone },
            ["retrieve", i] => {
                Command::Attend { interaction: the(i), attention: Attention::Active, by: by(), for_anyone }
            }
            ["workbin", i] => {
                Command::Attend { interaction: the(i), attention: Attention::Workbin, by: by(), for_anyone }
            }
            ["seen", i, at] => Command::AgentSeen { interaction: the(i), at: UnixMillis(at.parse().unwrap()) },
            ["wrapped", i] => Command::FinishWrapUp { interaction: the(i), disposition: None, by: by(), for_anyone },
            ["transfer", i, kind, target] => {
                let to = match kind {
                    "agent" => Target::Agent(target.into()),
                    "group" => Target::AgentGroup(target.into()),
                    "skills" => Target::Skills(target.into()),
                    "last" => Target::LastAgent,
                    _ => Target::Queue(target.into()),
                };
                Command::Transfer { interaction: the(i), to, by: by(), for_anyone }
            }
            ["move", i, queue] => Command::Move { interaction: the(i), queue: name(queue), by: by() },
            ["assign", i, agent] => Command::Assign { interaction: the(i), agent: name(agent), by: by() },
            ["say", i, "customer", text] => Command::Say {
                interaction: the(i),
                speaker: Speaker::Customer,
                text: text.into(),
                by: by(),
                for_anyone,
            },
            ["say", i, text] => {
                Command::Say { interaction: the(i), speaker: Speaker::Agent, text: text.into(), by: by(), for_anyone }
            }
            ["close", i] => Command::Close { interaction: the(i), reason: "left".into(), by: by() },
            [
                "remove",
                kind @ ("agent" | "agent-group" | "skill" | "place" | "endpoint" | "calendar" | "callback-rules"
                | "statistic"),
                of,
            ] => {
                let kind = match kind {
                    "agent" => DocumentKind::Agent,
                    "skill" => DocumentKind::Skill,
                    "place" => DocumentKind::Place,
                    "endpoint" => DocumentKind::Endpoint,
                    "calendar" => DocumentKind::Calendar,
                    "callback-rules" => DocumentKind::CallbackRules,
                    "statistic" => DocumentKind::Statistic,
                    _ => DocumentKind::AgentGroup,
                };
                Command::Remove { key: DocumentKey { kind, name: name(of), element: None, version: 0 }, by: by() }
            }
            ["group", group, agents] => {
                let agents: BTreeSet<Name> = agents.split('+').filter(|agent| *agent != "none").map(name).collect();
                let (description, expression, capacity) = (String::new(), None, None);
                let group = AgentGroup { name: name(group), description, agents, expression, capacity };
                Command::Put { document: Document::AgentGroup(Arc::new(group)), by: by() }
            }
            ["ageing", queue, points] => {
                let mut queue = self.account.configuration().queues[queue].clone();
                queue.ageing_per_minute = points.parse().unwrap();
                Command::Put { document: Document::Queue(queue), by: by() }
            }
            ["target", queue, kind, ref target @ ..] => {
                let mut queue = self.account.configuration().queues[queue].clone();
                queue.target = match kind {
                    "agent" => Some(Target::Agent(target[0].into())),
                    "group" => Some(Target::AgentGroup(target[0].into())),
                    _ => None,
                };
                Command::Put { document: Document::Queue(queue), by: by() }
            }
            ["bind", workflow, element, deployment] => {
                Command::Put { document: binding(workflow, element, deployment, OnFailure::default()), by: by() }
            }
            ["deploy", deployment] => Command::Put { document: deployment_document(deployment, &["clean"]), by: by() },
            ["undeploy", deployment] => {
                let key =
                    DocumentKey { kind: DocumentKind::Deployment, name: name(deployment), element: None, version: 0 };
                Command::Remove { key, by: by() }
            }
            ["put", "workflow", workflow] => {
                let newest = self.account.configuration().workflow(workflow).unwrap();
                Command::Put { document: Document::Workflow(newest.workflow.clone().into(), 0), by: by() }
            }
            ["remove", "queue", queue] => {
                let key = DocumentKey { kind: DocumentKind::Queue, name: name(queue), element: None, version: 0 };
                Command::Remove { key, by: by() }
            }
            ["remove", "workflow", workflow, version] => {
                let (kind, version) = (DocumentKind::Workflow, version.parse().unwrap());
                Command::Remove { key: DocumentKey { kind, name: name(workflow), element: None, version }, by: by() }
            }
            ["redeliver", webhook] => {
                let message = self.account.deliveries_parked(webhook).next().unwrap_or_default();
                Command::Redeliver { delivery: DeliveryKey { message, webhook: name(webhook) }, by: by() }
            }
            ["remove", "webhook", webhook] => {
                let key = DocumentKey { kind: DocumentKind::Webhook, name: name(webhook), element: None, version: 0 };
                Command::Remove { key, by: by() }
            }
            ["delivered", webhook] => Command::DeliveryAttempted { delivery: self.delivery(webhook), result: Ok(()) },
            ["undelivered", webhook] => {
                Command::DeliveryAttempted { delivery: self.delivery(webhook), result: Err("down".into()) }
            }
            ref other => panic!("no such command: {other:?}"),
        }
    }

    fn delivery(&self, webhook: &str) -> DeliveryKey {
        let message = self.account.deliveries_due(webhook).next().map_or(0, |(_, message)| message);
        DeliveryKey { message, webhook: name(webhook) }
    }

    fn show(&self, event: &Event) -> Option<String> {
        let short = |id: &InteractionId| match id.0.as_u128() {
            n if n < 1000 => format!("i{n}"),
            _ => "copy".into(),
        };
        Some(match event {
            Event::Submitted { id, .. } => format!("submitted {}", short(id)),
            Event::WorkflowEntered { .. } => return None,
            Event::Marked { marks, .. } => format!("marked {}", marks.len()),
            Event::StatisticsRead { readings, .. } => {
                let each = readings.iter().map(|reading| match reading.value {
                    Some(value) => format!("read {} is {value}", reading.figure),
                    None => format!("read {} is unknown", reading.figure),
                });
                each.collect::<Vec<_>>().join(", ")
            }
            Event::Entered { element, by: Some(by), .. } => format!("at {element} by {by}"),
            Event::Entered { element, .. } => format!("at {element}"),
            Event::WorkflowLeft { outcome, .. } => format!("back by {outcome}"),
            Event::WorkflowsLeft { .. } => "out of workflows".into(),
            Event::CallRequested { deployment, attempt: 0, .. } => format!("called {deployment}"),
            Event::CallRequested { deployment, attempt, .. } => format!("called {deployment} again {attempt}"),
            Event::Answered { outcome, .. } => format!("answered {outcome}"),
            Event::Failed { failure, .. } => format!("failed {}", failure.code()),
            Event::CallbackBooked { at: Some(at), .. } => format!("booked {}", at.0),
            Event::CallbackBooked { .. } => "booked".into(),
            Event::CallbackRescheduled { at: Some(at), .. } => format!("rescheduled {}", at.0),
            Event::CallbackRescheduled { .. } => "rescheduled".into(),
            Event::CallbackAttempted { attempt, outcome, .. } => format!("attempt {attempt} {}", outcome.name()),
            Event::EndpointCalled { endpoint, attempt: 0, .. } => format!("asked {endpoint}"),
            Event::EndpointCalled { endpoint, attempt, .. } => format!("asked {endpoint} again {attempt}"),
            Event::EndpointAnswered { failure: None, status, .. } => format!("answer {}", status.unwrap_or(0)),
            Event::EndpointAnswered { failure: Some(failure), retry_at: Some(at), .. } => {
                format!("{} until {}", failure.code(), at.0)
            }
            Event::EndpointAnswered { failure: Some(failure), .. } => failure.code().into(),
            Event::UserDataSet { key, value, .. } => format!("data {key}={value}"),
            Event::Categorized { category, .. } => format!("category {} {}", category.name, category.relevancy),
            Event::LanguageSet { language, .. } => format!("language {language}"),
            Event::PrioritySet { priority, .. } => format!("priority {priority}"),
            Event::SkillRequired { skill, .. } => format!("skill {} {}", skill.name, skill.level),
            Event::TargetSet { target: Some(Target::Queue(queue)), .. } => format!("target {queue}"),
            Event::TargetSet { target, .. } => {
                target.as_ref().map_or_else(|| "target none".into(), |t| format!("target {t:?}"))
            }
            Event::Hopped { to, .. } => format!("hopped {to}"),
            Event::MessageQueued { message, .. } => format!("message {}", message.topic),
            Event::Relaxed { id, step, .. } => format!("relaxed {} {step}", short(id)),
            Event::Retargeted { id, .. } => format!("retargeted {}", short(id)),
            Event::Offered { id, offer } => format!("offered {} to {}", short(id), offer.agent),
            Event::OfferEnded { id, agent, how: OfferEnd::Revoked { reason }, .. } => {
                format!("revoked {} from {agent} {reason}", short(id))
            }
            Event::OfferEnded { id, agent, how, .. } => format!("{} {} by {agent}", how.name(), short(id)),
            Event::Assigned { id, agent, .. } => format!("assigned {} to {agent}", short(id)),
            Event::AttentionSet { id, attention: Attention::Active, .. } => format!("active {}", short(id)),
            Event::AttentionSet { id, attention: Attention::Held, .. } => format!("held {}", short(id)),
            Event::AttentionSet { id, attention: Attention::Workbin, .. } => format!("workbin {}", short(id)),
            Event::WrapUpStarted { id, .. } => format!("wrap-up {}", short(id)),
            Event::Abandoned { id, .. } => format!("abandoned {}", short(id)),
            Event::Closed { id, reason, .. } => format!("closed {} {reason}", short(id)),
            Event::Said { text, .. } => format!("said {text}"),
            Event::Moved { id, queue, .. } => format!("moved {} to {queue}", short(id)),
            Event::Scheduled { id, until, .. } => format!("scheduled {} {}", short(id), until.0),
            Event::Began { id } => format!("began {}", short(id)),
            Event::AgentLoggedIn { agent, .. } => format!("{agent} in"),
            Event::AgentLoggedOut { agent, reason, .. } => format!("{agent} out {reason}"),
            Event::AgentReady { agent, .. } => format!("{agent} ready"),
            Event::AgentNotReady { agent, reason, .. } => format!("{agent} not-ready {reason}"),
            Event::AgentPending { agent, pending: Some(Pending::LogOut), .. } => format!("{agent} will log out"),
            Event::AgentPending { agent, pending: None, .. } => format!("{agent} will stay"),
            Event::AgentPending { agent, .. } => format!("{agent} will be not-ready"),
            Event::AgentConnection { agent, connection: Connection::Lost { .. } } => format!("{agent} lost"),
            Event::AgentConnection { agent, .. } => format!("{agent} connected"),
            Event::AgentRests { agent, until: Some(until) } => format!("{agent} rests {}", until.0),
            Event::AgentRests { agent, .. } => format!("{agent} rested"),
            Event::Waiting { until, .. } => format!("waiting until {}", until.0),
            Event::Queued { position, .. } => format!("queued {}", position.queue),
            Event::Taken { id, queue, .. } => format!("taken {} from {queue}", short(id)),
            Event::TransferBegan { id, .. } => format!("transfer of {} began", short(id)),
            Event::TransferFailed { id, .. } => format!("transfer of {} failed", short(id)),
            Event::Released { id, .. } => format!("released {}", short(id)),
            Event::WorkDone { disposition, .. } => format!("done {disposition}"),
            Event::Completed { disposition, .. } => format!("completed {disposition}"),
            Event::Cancelled { .. } => "cancelled".into(),
            Event::Parked { park, .. } => format!("parked {}", park.code),
            Event::Resumed { version, .. } => format!("resumed {version}"),
            Event::DocumentPut { document: Document::Workflow(_, version), .. } => format!("put {version}"),
            Event::DocumentPut { .. } => "bound".into(),
            Event::DocumentRemoved { key: DocumentKey { kind: DocumentKind::Deployment, .. }, .. } => {
                "undeployed".into()
            }
            Event::DocumentRemoved { .. } => "removed".into(),
            Event::DeliveryChanged { delivery: delivery @ DeliveryKey { webhook, .. }, state } => match state.state {
                DeliveryState::Pending(due) => format!("pending {webhook} {}", due.0),
                DeliveryState::Delivered => format!("delivered {webhook}"),
                DeliveryState::Parked => format!("parked {webhook}"),
                DeliveryState::Discarded => format!("discarded {webhook} {}", delivery.message),
            },
        })
    }
}

/// A callback as a client books it, as soon as possible.
pub fn booking(id: InteractionId, number: &str, rules: &str) -> Submission {
    let mut submission = submission(id, "callback", "unused");
    Arc::make_mut(&mut submission.message).sender = Some(number.into());
    submission.callback = Some(name(rules));
    submission
}

pub fn submission(id: InteractionId, media_type: &str, workflow: &str) -> Submission {
    let message = Message {
        media_type: name(media_type),
        subject: Some("Hello".into()),
        body: "Where is my order?".into(),
        sender: Some("ana@example.org".into()),
        recipient: None,
        headers: Vec::new(),
        submitted_at: UnixMillis(0),
    };
    Submission {
        id,
        workflow: name(workflow),
        message: message.into(),
        facts: Facts::default(),
        at: None,
        callback: None,
    }
}

fn deployment_document(deployment: &str, outcomes: &[&str]) -> Document {
    let outcomes = outcomes.iter().map(|o| Outcome { name: (*o).into(), description: String::new() }).collect();
    let manifest = Manifest {
        name: deployment.into(),
        version: "1.0.0".into(),
        description: String::new(),
        outcomes,
        settings_schema: "{}".into(),
        assets: Vec::new(),
    };
    let zero = Digest([0; 32]);
    Document::Deployment(Arc::new(Deployment {
        name: name(deployment),
        digest: zero,
        settings: "{}".into(),
        assets: BTreeMap::new(),
        manifest,
        component: zero,
        image: zero,
        snapshotted: true,
        unsnapshotted_because: None,
        deadline_ms: 50,
        grants: None,
        message: String::new(),
        created_by: "test".into(),
        created_at: UnixMillis(0),
    }))
}

fn binding(workflow: &str, element: &str, deployment: &str, on_failure: OnFailure) -> Document {
    let shares = vec![Share { deployment: name(deployment), weight: 1 }];
    Document::Binding(Arc::new(Binding::new(name(workflow), name(element), shares, on_failure)))
}

fn parse_entry(text: &str) -> Entry {
    let (key, value) = text.split_once('=').unwrap();
    Entry { key: key.into(), value: value.into() }
}

fn parse_actions(words: &[&str]) -> Vec<Action> {
    let reply = || Reply::Text { subject: None, body: "Thank you".into() };
    let mut words = words.iter();
    let mut actions = Vec::new();
    while let Some(word) = words.next() {
        let mut next = || *words.next().unwrap();
        actions.push(match *word {
            "attach" => Action::Attach(parse_entry(next())),
            "priority" => Action::SetPriority(next().parse().unwrap()),
            "require" => Action::RequireSkill(Skill { name: next().into(), level: next().parse().unwrap() }),
            "category" => Action::Categorize(Category { name: next().into(), relevancy: 80 }),
            "redirect" => Action::Redirect(Destination::Queue(next().into())),
            "forward" => Action::Forward(Destination::Queue(next().into())),
            "route" => Action::RouteTo(Target::Queue(next().into())),
            "acknowledge" => Action::Acknowledge(reply()),
            "respond" => Action::Respond(reply()),
            "end" => Action::End(next().into()),
            other => panic!("no such action: {other}"),
        });
    }
    actions
}
