//! Moves one interaction through its workflow, from where it stands to where it has to wait, or to its end.
//!
//! Works on a draft: a copy of the interaction that every event is applied to as it is decided, so that the next
//! element sees what the one before did.

use std::sync::Arc;

use crate::account::Account;
use crate::callbacks::Callback;
use crate::content::{Content, Entry};
use crate::decide::check_user_data;
use crate::decision::{Decision, Failure, Target};
use crate::endpoint::{Endpoint, EndpointFailure, EndpointReply};
use crate::event::{Event, Park};
use crate::figure::Figures;
use crate::id::{CallId, InteractionId, Name, Sequence, UnixMillis};
use crate::limits;
use crate::live::{Live, QueuePosition, State, Wants};
use crate::rejection::Rejection;
use crate::workflow::{ElementKind, Flow, Relaxation};

/// An interaction while it is being moved.
#[derive(Debug, Clone)]
pub(crate) struct Draft<'a> {
    pub(crate) account: &'a Account,
    pub(crate) id: InteractionId,
    pub(crate) sequence: Sequence,
    pub(crate) now: UnixMillis,
    pub(crate) copies: Vec<(InteractionId, Content)>,
    figures: &'a dyn Figures,
    pub(crate) live: Live,
    content: Content,
    content_changed: bool,
    events: Vec<Event>,
    /// Steps that the conditions which it has passed may have taken.
    steps: u64,
}

/// What went wrong at an element: the outcome that it should be left by, and how it is parked without a connector.
struct Fault {
    outcome: &'static str,
    code: &'static str,
    message: String,
}

impl Fault {
    fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { outcome: "error", code, message: message.into() }
    }
}

/// What is to be done after an element has done its part.
enum Step {
    /// Leave by this outcome.
    Leave(String),
    /// It stands at another element already.
    Again,
    /// It waits, or it has ended.
    Stop,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(
        account: &'a Account,
        id: InteractionId,
        live: Live,
        content: Content,
        figures: &'a dyn Figures,
        now: UnixMillis,
    ) -> Self {
        Self {
            account,
            id,
            sequence: account.sequence().next(),
            now,
            copies: Vec::new(),
            figures,
            live,
            content,
            content_changed: false,
            events: Vec::new(),
            steps: 0,
        }
    }

    /// A new interaction, walked from the start of its workflow, or scheduled for that.
    pub(crate) fn submit(
        account: &'a Account,
        id: InteractionId,
        flow: &Arc<Flow>,
        content: Content,
        booking: (Option<Callback>, Option<UnixMillis>),
        figures: &'a dyn Figures,
        now: UnixMillis,
    ) -> Self {
        let (callback, at) = booking;
        let media_type = content.message.media_type.clone();
        let (priority, hops) = (content.facts.priority, content.facts.hops);
        let live = Live::new(media_type.clone(), priority, hops, now);
        let mut draft = Self::new(account, id, live, content, figures, now);
        draft.content_changed = true;
        draft.push(Event::Submitted { id, media_type, priority, hops, copy_of: None });
        if let Some(Callback { rules, number, at, .. }) = callback {
            draft.push(Event::CallbackBooked { id, rules, number, at });
        }
        match at.filter(|at| *at > now) {
            Some(until) => draft.schedule(flow, until, "client".into()),
            None => {
                draft.enter_workflow(flow);
                draft.walk();
            }
        }
        draft
    }

    /// Goes back to the beginning of a workflow, at a moment or now.
    pub(crate) fn start_anew(&mut self, flow: &Arc<Flow>, until: Option<UnixMillis>, by: String) {
        if !self.live.frames.is_empty() {
            self.push(Event::WorkflowsLeft { id: self.id });
        }
        match until.filter(|until| *until > self.now) {
            Some(until) => self.schedule(flow, until, by),
            None => self.begin_in(flow),
        }
    }

    fn schedule(&mut self, flow: &Flow, until: UnixMillis, by: String) {
        let workflow = flow.workflow.name.clone();
        self.push(Event::Scheduled { id: self.id, until, workflow, by });
    }

    /// The moment that it was scheduled for has come.
    pub(crate) fn begin(&mut self) {
        let State::Scheduled { workflow, .. } = &self.live.state else { return };
        let configuration = self.account.configuration();
        let rules = self.live.callback.as_ref().and_then(|of| configuration.callback_rules.get(&of.rules));
        let workflow = rules.map_or(workflow, |rules| &rules.workflow);
        match configuration.workflow(workflow.as_str()) {
            Some(flow) => self.begin_in(flow),
            // It cannot be taken away while something is meant for it.
            None => self.park("workflow-unknown", format!("there is no workflow `{workflow}`")),
        }
    }

    fn begin_in(&mut self, flow: &Arc<Flow>) {
        self.push(Event::Began { id: self.id });
        self.enter_workflow(flow);
        self.walk();
    }

    /// It has waited so long that others may get it too.
    pub(crate) fn relax(&mut self) {
        let State::Queued(position) = &self.live.state else { return };
        let (queue, step, relax_at) = (position.queue.clone(), usize::from(position.step), position.relax_at);
        let Some(frame) = self.live.frame() else { return };
        let flow = self.flow(&frame.workflow, frame.version);
        let ElementKind::Queue { relaxations, .. } = &flow.element(frame.element).kind else { return };
        let (Some(relax_at), Some(first)) = (relax_at, relaxations.get(step)) else { return };
        // The moment that all of them count from: when its wait began, less the time in which somebody had it in hand.
        let began = UnixMillis(relax_at.0.saturating_sub(first.after_ms));
        // After a standstill several may be due: the last of them counts.
        let due = relaxations.iter().skip(step).take_while(|r| began.plus(r.after_ms) <= self.now).count();
        let Some(relaxation) = (step + due).checked_sub(1).and_then(|i| relaxations.get(i)) else { return };
        let skills = if relaxation.without_skills { Vec::new() } else { self.content.facts.skills.clone() };
        let target = self.resolved(relaxation.target.clone());
        let wants = self.account.configuration().queues.get(&queue).and_then(|q| q.wants(Some(target), skills));
        let next = relaxations.get(step + due).map(|r| began.plus(r.after_ms));
        let step = u8::try_from(step + due).unwrap_or(u8::MAX);
        self.push(Event::Relaxed { id: self.id, wants, step, next });
        self.leave_if_nobody_is_left();
    }

    /// A target that says whom: the last agent by name.
    pub(crate) fn resolved(&self, target: Target) -> Target {
        match (&target, &self.content.facts.last_agent) {
            (Target::LastAgent, Some(agent)) => Target::Agent(agent.to_string()),
            _ => target,
        }
    }

    /// The events, and the contents that changed.
    pub(crate) fn finish(mut self, contents: &mut Vec<(InteractionId, Content)>) -> Vec<Event> {
        self.mark();
        if self.content_changed {
            contents.push((self.id, self.content));
        }
        contents.extend(self.copies);
        self.events
    }

    /// Notes what statistics' filters find in what is new or has changed. It stands before whatever else happened, so that
    /// all of it counts under the new marks.
    fn mark(&mut self) {
        let asked = &self.account.configuration().asked;
        // Marks that nobody asks for any more stay until the next change; nothing looks at them.
        if !asked.has_marks() {
            return;
        }
        let outside = || Name::new("none").unwrap_or_else(|e| panic!("`none` is a name: {e}"));
        let workflow = match (&self.live.state, self.live.frame()) {
            // Filters are not asked again when it begins.
            (State::Scheduled { workflow, .. }, _) => workflow.clone(),
            (_, frame) => frame.map_or_else(outside, |frame| frame.workflow.clone()),
        };
        let own = self.content_changed.then_some((self.id, &self.content));
        let copies = self.copies.iter().map(|(id, content)| (*id, content));
        let mut found = Vec::new();
        for (id, content) in own.into_iter().chain(copies) {
            let marks = asked.marks(id, &workflow, content, self.now);
            let before = if id == self.id { self.live.marks.as_slice() } else { &[] };
            if marks != before {
                found.push((id, marks));
            }
        }
        for (id, marks) in found {
            let is_new = |event: &Event| matches!(event, Event::Submitted { id: of, .. } if *of == id);
            let at = self.events.iter().position(is_new).map_or(0, |i| i + 1);
            self.events.insert(at, Event::Marked { id, marks });
        }
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// How many events there are so far: numbers the messages and copies that this command makes.
    pub(crate) fn event_count(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn push(&mut self, event: Event) {
        if event.interaction() == Some(self.id) {
            if let Event::Said { .. } = event {
                self.content.open_transcript(self.live.submitted_at);
            }
            self.live.apply(&event, self.now);
            self.content_changed |= self.content.facts.apply(&event, self.now);
        }
        self.events.push(event);
    }

    /// Leaves the element at which it waited, and goes on.
    pub(crate) fn go_on(&mut self, outcome: &str) {
        self.live.state = State::Moving;
        let stopped = if outcome == "timeout" {
            self.leave_after(Fault { outcome: "timeout", code: "no-connector", message: "it waited too long".into() })
        } else {
            self.leave(outcome, None)
        };
        if !stopped {
            self.walk();
        }
    }

    /// The work on it is done: the queue element is left by `completed`; elsewhere, or outside any workflow, it ends.
    pub(crate) fn work_done(&mut self, disposition: String, by: String) {
        let id = self.id;
        let agent = self.live.agent().cloned();
        self.push(Event::WorkDone { id, disposition: disposition.clone(), by, agent });
        if !self.is_at_queue() {
            self.push(Event::Completed { id, disposition });
            return;
        }
        // Kept where conditions and the next elements can see it.
        self.push(Event::UserDataSet { id, key: "disposition".into(), value: disposition });
        self.go_on("completed");
    }

    fn is_at_queue(&self) -> bool {
        self.live.frame().is_some_and(|frame| {
            let flow = self.flow(&frame.workflow, frame.version);
            matches!(flow.element(frame.element).kind, ElementKind::Queue { .. })
        })
    }

    /// Leaves its workflow where that has no way on from work in a queue: it was parked at another element.
    pub(crate) fn leave_unless_at_queue(&mut self) {
        if self.live.frame().is_some() && !self.is_at_queue() {
            self.push(Event::WorkflowsLeft { id: self.id });
        }
    }

    /// Goes on with a parked interaction.
    pub(crate) fn resume(&mut self, element: Option<Name>, by: String) -> Result<(), Rejection> {
        let id = self.id;
        let Some(frame) = self.live.frame().cloned() else {
            return Err(Rejection::StateWrong { state: "parked outside any workflow", wanted: "parked in a workflow" });
        };
        let configuration = self.account.configuration();
        let old = self.flow(&frame.workflow, frame.version);
        let element = element.unwrap_or_else(|| old.element(frame.element).id.clone());
        let newest = configuration.workflow(frame.workflow.as_str()).unwrap_or(&old);
        let flow = [newest, &old]
            .into_iter()
            .find(|flow| flow.find(element.as_str()).is_some())
            .ok_or_else(|| Rejection::ElementUnknown { workflow: frame.workflow.clone(), element: element.clone() })?
            .clone();
        let index = flow.find(element.as_str()).unwrap_or(flow.start());
        self.push(Event::Resumed { id, by, version: flow.version });
        self.push(Event::Entered { id, by: None, element, index, why: None });
        self.walk();
        Ok(())
    }

    /// A strategy call has ended.
    pub(crate) fn answered(&mut self, call: CallId, result: Result<Decision, Failure>) {
        let State::Routing { deployment, attempt, visit, .. } = self.live.state.clone() else { return };
        let result = result.and_then(|decision| self.take(call, &deployment, decision));
        let stopped = match result {
            Ok(None) => true,
            Ok(Some(outcome)) => self.leave(&outcome, None),
            Err(failure) => self.failed(call, deployment, visit, attempt, failure),
        };
        if !stopped {
            self.walk();
        }
    }

    /// An attempt to ask an application outside has ended.
    pub(crate) fn endpoint_answered(&mut self, result: Result<EndpointReply, EndpointFailure>) {
        let State::Calling { call, endpoint, attempt, .. } = self.live.state.clone() else { return };
        let (id, status) = (self.id, result.as_ref().ok().map(|reply| reply.status));
        let answered = |status, failure, retry_at| Event::EndpointAnswered {
            id,
            call,
            endpoint: endpoint.clone(),
            attempt,
            status,
            failure,
            retry_at,
        };
        let checked = result.and_then(|reply| match check_user_data(&self.content, &reply.entries) {
            Ok(()) => Ok(reply.entries),
            Err(rejection) => Err(EndpointFailure::Unusable(rejection.to_string())),
        });
        let stopped = match checked {
            Ok(entries) => {
                self.push(answered(status, None, None));
                for Entry { key, value } in entries {
                    if !value.is_empty() || self.content.facts.user_data.contains_key(&key) {
                        self.push(Event::UserDataSet { id, key, value });
                    }
                }
                self.leave("ok", None)
            }
            Err(failure) => {
                let document = self.account.configuration().endpoints.get(&endpoint);
                let again = failure.may_pass() && document.is_some_and(|document| attempt < document.retries);
                let retry_at = again.then(|| self.now.plus(Endpoint::pause_ms(attempt)));
                let (outcome, message) = (failure.outcome(), format!("`{endpoint}`: {failure}"));
                self.push(answered(failure.status(), Some(failure), retry_at));
                match (retry_at, outcome) {
                    (Some(_), _) => true,
                    (None, "refused") => self.leave(outcome, Some(message)),
                    (None, _) => self.leave_after(Fault { outcome, code: "call-failed", message }),
                }
            }
        };
        if !stopped {
            self.walk();
        }
    }

    /// Asks an application outside once more, now that it was left alone for a while.
    pub(crate) fn call_endpoint_again(&mut self) {
        let State::Calling { call, endpoint, visit, attempt, .. } = self.live.state.clone() else { return };
        self.push(Event::EndpointCalled { id: self.id, call, endpoint, visit, attempt });
    }

    /// Takes a decision with all its actions, or with none where one of them can't be done. Answers with the outcome to
    /// leave by, unless an action ended it.
    fn take(&mut self, call: CallId, deployment: &Name, decision: Decision) -> Result<Option<String>, Failure> {
        let declared = self.account.configuration().deployments.get(deployment);
        if !declared.is_some_and(|d| d.manifest.outcomes.iter().any(|o| o.name == decision.outcome)) {
            return Err(Failure::Refused(format!("`{}` is not among its declared outcomes", decision.outcome)));
        }
        let mut draft = self.clone();
        let Decision { outcome, actions, mut reason } = decision;
        cut(&mut reason, limits::REASON_BYTES_MAX);
        draft.push(Event::Answered {
            id: self.id,
            call,
            deployment: deployment.clone(),
            outcome: outcome.clone(),
            reason,
        });
        let stopped = draft.act_all(actions).map_err(Failure::Refused)?;
        *self = draft;
        Ok((!stopped).then_some(outcome))
    }

    fn failed(&mut self, call: CallId, deployment: Name, visit: u32, attempt: u8, failure: Failure) -> bool {
        let id = self.id;
        let message = failure.to_string();
        let outcome = if matches!(failure, Failure::Overrun { .. }) { "timeout" } else { "error" };
        let (workflow, element) = self.place();
        let binding = self.account.configuration().binding(&workflow, &element);
        let falls_back = binding.is_some_and(|binding| binding.falls_back(&deployment, attempt));
        let retried = binding.map_or(attempt, |binding| binding.retried(id, attempt));
        let policy = binding.map(|binding| binding.on_failure.clone()).unwrap_or_default();
        self.push(Event::Failed { id, call, deployment, failure });
        if falls_back || retried < policy.retries {
            return match self.call(visit, attempt + 1) {
                Ok(()) => true,
                Err(fault) => self.leave_after(fault),
            };
        }
        match policy.outcome {
            Some(outcome) => self.leave(outcome.as_str(), Some(message)),
            None => self.leave_after(Fault { outcome, code: "strategy-failed", message }),
        }
    }

    /// Walks until it has to wait or has ended.
    fn walk(&mut self) {
        for _ in 0..limits::WALK_MAX {
            let stopped = match self.step() {
                Ok(Step::Stop) => true,
                Ok(Step::Again) => false,
                Ok(Step::Leave(outcome)) => self.leave(&outcome, None),
                Err(fault) => self.leave_after(fault),
            };
            if stopped {
                return;
            }
        }
        let message = format!("it passed {} elements without a wait: break the loop in the workflow", limits::WALK_MAX);
        self.park("loop", message);
    }

    /// What the element at which it stands does.
    fn step(&mut self) -> Result<Step, Fault> {
        let Some(frame) = self.live.frame().cloned() else { return Ok(Step::Stop) };
        let flow = self.flow(&frame.workflow, frame.version);
        let element = flow.element(frame.element);
        let visit = self.live.visits(frame.workflow.as_str(), element.id.as_str());
        if visit > limits::VISITS_MAX {
            let message = format!("it entered `{}` more than {} times", element.id, limits::VISITS_MAX);
            self.park("visits-exceeded", message);
            return Ok(Step::Stop);
        }
        match &element.kind {
            ElementKind::Start => Ok(Step::Leave("next".into())),
            ElementKind::Strategy => self.call(visit, 0).map(|()| Step::Stop),
            ElementKind::Condition { .. } => {
                let condition = flow
                    .condition(frame.element)
                    .ok_or_else(|| Fault::error("condition-failed", "it has no expression"))?;
                self.steps = self.steps.saturating_add(condition.steps());
                if self.steps > limits::WALK_STEPS_MAX {
                    let message = "it passed conditions that together could take too long without a wait: \
                                   take loops or patterns out of them, or put a wait in between";
                    self.park("loop", message.to_owned());
                    return Ok(Step::Stop);
                }
                let readings = condition.read(self.figures);
                if !readings.is_empty() {
                    self.push(Event::StatisticsRead { id: self.id, readings: readings.clone() });
                }
                let holds = condition
                    .evaluate(self.id, &frame.workflow, &self.content, &readings, self.now)
                    .map_err(|e| Fault::error("condition-failed", e.to_string()))?;
                Ok(Step::Leave(holds.to_string()))
            }
            ElementKind::Segment { by } => {
                let calendars = &self.account.configuration().calendars;
                Ok(Step::Leave(by.choose(&element.id, self.id, &self.content, calendars, self.now).to_owned()))
            }
            kind @ ElementKind::Queue { .. } => self.queue(kind),
            ElementKind::Reply { reply, acknowledgement, transcript } => {
                let sent = match transcript {
                    true => self.reply_with_transcript(reply.clone(), *acknowledgement),
                    false => self.reply(reply.clone(), *acknowledgement),
                };
                sent.map_err(|e| Fault::error("response-failed", e))?;
                Ok(Step::Leave("next".into()))
            }
            ElementKind::Forward { to } => {
                self.forward(to.clone()).map_err(|e| Fault::error("forward-failed", e))?;
                Ok(Step::Leave("next".into()))
            }
            ElementKind::Call { endpoint, .. } => self.call_endpoint(endpoint, visit).map(|()| Step::Stop),
            ElementKind::Wait { duration_ms, until_open } => self.wait(*duration_ms, until_open.as_ref()),
            ElementKind::Workflow { workflow } => self.descend(workflow),
            ElementKind::End { disposition, outcome } => Ok(self.end(disposition.clone(), outcome.clone())),
        }
    }

    fn call(&mut self, visit: u32, attempt: u8) -> Result<(), Fault> {
        let (workflow, element) = self.place();
        let binding = self.account.configuration().binding(&workflow, &element).ok_or_else(|| {
            Fault::error(
                "strategy-unbound",
                format!("no strategy is bound to `{element}` in `{workflow}`: bind one, then resume"),
            )
        })?;
        let deployment = binding
            .choose(self.id, attempt)
            .ok_or_else(|| Fault::error("strategy-unbound", format!("the binding of `{element}` has no shares")))?
            .clone();
        self.push(Event::CallRequested { id: self.id, call: CallId(self.sequence.0), deployment, visit, attempt });
        Ok(())
    }

    fn call_endpoint(&mut self, endpoint: &Name, visit: u32) -> Result<(), Fault> {
        if !self.account.configuration().endpoints.contains_key(endpoint) {
            return Err(Fault::error("call-failed", format!("there is no endpoint `{endpoint}`: put it, then resume")));
        }
        let (call, endpoint) = (CallId(self.sequence.0), endpoint.clone());
        self.push(Event::EndpointCalled { id: self.id, call, endpoint, visit, attempt: 0 });
        Ok(())
    }

    fn queue(&mut self, element: &ElementKind) -> Result<Step, Fault> {
        let ElementKind::Queue { queue, timeout_ms, target, relaxations, overflow_length, leave_without_agents } =
            element
        else {
            return Ok(Step::Stop);
        };
        let id = self.id;
        let chosen = self.live.target.as_deref().cloned();
        if chosen.is_some() {
            self.push(Event::TargetSet { id, target: None });
        }
        let (queue, target) = match chosen {
            Some(Target::Queue(name)) => (self.known_queue(&name), None),
            chosen => (self.known_queue(queue.as_str()), chosen.or_else(|| target.clone())),
        };
        let queue = queue.map_err(|e| Fault::error("queue-unknown", e))?;
        // It may have waited in this very queue, at the element before.
        let waits = |live: &Live| matches!(&live.state, State::Queued(position) if position.queue == queue);
        let itself = usize::from(self.account.live(id).is_some_and(waits));
        let others = self.account.queue_len(queue.as_str()) - itself;
        if overflow_length.is_some_and(|max| others >= max as usize) {
            return Ok(Step::Leave("overflow".into()));
        }
        let position = self.position(queue, target, *timeout_ms, relaxations);
        if *leave_without_agents && !self.somebody_could_take(&position, relaxations) {
            return Ok(Step::Leave("no-agents".into()));
        }
        self.push(Event::Queued { id, position: Box::new(position) });
        Ok(Step::Stop)
    }

    /// A place in a queue of the account, from now on.
    pub(crate) fn position(
        &self,
        queue: Name,
        target: Option<Target>,
        timeout_ms: Option<u64>,
        relaxations: &[Relaxation],
    ) -> QueuePosition {
        let document = self.account.configuration().queues.get(&queue);
        let skills = self.content.facts.skills.clone();
        let follows = target.is_none();
        let target = target.map(|target| self.resolved(target));
        let wants = document.and_then(|queue| queue.wants(target, skills));
        let wants = wants.map(|wants| Box::new(Wants { target: self.resolved(wants.target.clone()), ..*wants }));
        // Whoever asked to be called back waits since then.
        let called_back = self.live.callback.is_some() || self.live.media_type == "callback";
        QueuePosition {
            queue,
            since: self.now,
            clock: if called_back { self.live.submitted_at } else { self.now },
            ticket: self.sequence,
            timeout: timeout_ms.map(|ms| self.now.plus(ms)),
            wants,
            step: 0,
            relax_at: relaxations.first().map(|r| self.now.plus(r.after_ms)),
            follows,
        }
    }

    /// Whether anybody who is logged in could take it, now or after one of its relaxations.
    pub(crate) fn somebody_could_take(&self, position: &QueuePosition, relaxations: &[Relaxation]) -> bool {
        let Some(wants) = position.wants.as_deref() else { return false };
        let later = relaxations.iter().map(|relaxation| Wants {
            target: self.resolved(relaxation.target.clone()),
            skills: if relaxation.without_skills { Vec::new() } else { self.content.facts.skills.clone() },
            ..wants.clone()
        });
        std::iter::once(wants.clone()).chain(later).any(|w| self.account.could_take(&w, &self.live.media_type))
    }

    /// A queue of the account, by a name that a document or a strategy gave.
    pub(crate) fn known_queue(&self, queue: &str) -> Result<Name, String> {
        let known = self.account.configuration().queues.get_key_value(queue);
        known.map(|(name, _)| name.clone()).ok_or_else(|| format!("there is no queue `{queue}`"))
    }

    fn wait(&mut self, duration_ms: Option<u64>, until_open: Option<&Name>) -> Result<Step, Fault> {
        let until = match (duration_ms, until_open) {
            (Some(ms), _) => self.now.plus(ms),
            (None, Some(name)) => {
                let calendar = self.account.configuration().calendars.get(name);
                calendar.and_then(|c| c.next_opening(self.now)).ok_or_else(|| {
                    Fault::error("calendar-unknown", format!("there is no calendar `{name}`, or it never opens"))
                })?
            }
            (None, None) => self.now,
        };
        if until <= self.now {
            return Ok(Step::Leave("next".into()));
        }
        self.push(Event::Waiting { id: self.id, until });
        Ok(Step::Stop)
    }

    fn descend(&mut self, workflow: &Name) -> Result<Step, Fault> {
        if self.live.frames.len() >= limits::DEPTH_MAX {
            return Err(Fault::error(
                "workflow-unknown",
                format!("sub-workflows nest at most {} deep", limits::DEPTH_MAX),
            ));
        }
        let flow = self
            .account
            .configuration()
            .workflow(workflow.as_str())
            .cloned()
            .ok_or_else(|| Fault::error("workflow-unknown", format!("there is no workflow `{workflow}`")))?;
        self.enter_workflow(&flow);
        Ok(Step::Again)
    }

    fn end(&mut self, disposition: Option<String>, outcome: Option<Name>) -> Step {
        let id = self.id;
        if self.live.frames.len() > 1 {
            let outcome = outcome.map_or_else(|| "completed".to_owned(), |o| o.to_string());
            if let Ok(outcome) = Name::new(&outcome) {
                self.push(Event::WorkflowLeft { id, outcome });
            }
            return Step::Leave(outcome);
        }
        let known = self.content.facts.user_data.get("disposition").cloned();
        let disposition = disposition.or(known).unwrap_or_else(|| "completed".into());
        self.push(Event::Completed { id, disposition });
        Step::Stop
    }

    fn enter_workflow(&mut self, flow: &Arc<Flow>) {
        let (id, start) = (self.id, flow.start());
        let workflow = flow.workflow.name.clone();
        self.push(Event::WorkflowEntered { id, workflow, version: flow.version, start });
        let element = flow.element(start).id.clone();
        self.push(Event::Entered { id, by: None, element, index: start, why: None });
    }

    /// Leaves by an outcome, or is parked where nothing leads on. Answers whether it stopped.
    fn leave(&mut self, outcome: &str, why: Option<String>) -> bool {
        let Some(frame) = self.live.frame().cloned() else { return true };
        let flow = self.flow(&frame.workflow, frame.version);
        if let (Some(index), Ok(by)) = (flow.next(frame.element, outcome), Name::new(outcome)) {
            let element = flow.element(index).id.clone();
            self.push(Event::Entered { id: self.id, by: Some(by), element, index, why });
            return false;
        }
        let element = &flow.element(frame.element).id;
        let mut message = format!("`{element}` in `{}` has no connector for `{outcome}`", frame.workflow);
        if let Some(why) = why {
            message = format!("{message}: {why}");
        }
        self.park("no-connector", message);
        true
    }

    /// Leaves by `error` or `timeout` where there is such a connector, and is parked otherwise.
    fn leave_after(&mut self, fault: Fault) -> bool {
        let connected = self.live.frame().is_some_and(|frame| {
            self.flow(&frame.workflow, frame.version).next(frame.element, fault.outcome).is_some()
        });
        if connected {
            return self.leave(fault.outcome, Some(fault.message));
        }
        self.park(fault.code, fault.message);
        true
    }

    fn park(&mut self, code: &str, mut message: String) {
        cut(&mut message, limits::REASON_BYTES_MAX);
        self.push(Event::Parked { id: self.id, park: Park { code: code.into(), message } });
    }

    /// The workflow and the element at which it stands.
    fn place(&self) -> (Name, Name) {
        let frame = self.live.frame().unwrap_or_else(|| panic!("{} is at a strategy outside any workflow", self.id));
        let flow = self.flow(&frame.workflow, frame.version);
        (frame.workflow.clone(), flow.element(frame.element).id.clone())
    }

    fn flow(&self, workflow: &Name, version: u32) -> Arc<Flow> {
        let flow = self.account.configuration().flow(workflow.as_str(), version);
        flow.cloned().unwrap_or_else(|| panic!("version {version} of `{workflow}` is gone while {} is in it", self.id))
    }
}

/// Cuts a text to at most `max` bytes, at a character.
pub(crate) fn cut(text: &mut String, max: usize) {
    if text.len() > max {
        let end = (0..=max).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
    }
}
