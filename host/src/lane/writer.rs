//! The lane's thread: takes commands as a batch, steps the engine, commits once, answers, and lets effects run.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use signalbox_engine::{
    self as engine, Account, AgentAction, CallId, Command, Configuration, Content, DeliveryKey, Deployment, Digest,
    Document, DocumentKind, Event, Facts, InteractionId, Name, Observing, Record, SecondLogin, State, Transcript,
    UnixMillis,
};

use super::breaker::Breakers;
use super::calls::{Calls, Handed};
use super::canaries::{End, Place};
use super::census::Census;
use super::clock::Clock;
use super::contents::Contents;
use super::deliveries::Deliveries;
use super::effects::{Effects, Shadow};
use super::endpoints::Endpoints;
use super::figures::{Read, TurnFigures};
use super::grants::AccountGrants;
use super::sessions::Sessions;
use super::shadows::Outcome;
use super::work::{Replies, Waiting, Work};
use super::{Answer, Error, Idempotency, Published, Request, Shared, Submitted};
use crate::outbox::Attempt;
use crate::stats::{CallCost, CheckpointPart, LogLine, Saved};
use crate::store::{self, AccountNumber, DecisionRow, Head, IdempotencyRow, Store};
use crate::strategy::{Grants, Level, Recorded};

/// Commands in one commit. More would make the first of them wait for the last.
pub const BATCH_MAX: usize = 512;
/// Timers that fire in one batch; the next batch follows at once.
const TIMERS_MAX: usize = 256;
/// Matches that are tried in one batch; the next batch follows at once.
const MATCHES_MAX: usize = 4096;
/// Bytes of a batch after which it is committed, and the next begun.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// Pause between two tries to write after the store failed.
const RETRY: Duration = Duration::from_millis(500);

/// The lane's thread and what it owns.
pub(super) struct Writer {
    shared: Arc<Shared>,
    store: Arc<Store>,
    epoch: u64,
    account: Account,
    contents: Contents,
    calls: Calls,
    endpoints: Endpoints,
    deliveries: Deliveries,
    sessions: Sessions,
    effects: Box<dyn Effects>,
    figures: Read,
    census: Census,
    breakers: Breakers,
    clock: Clock,
    /// Read once a turn.
    now: UnixMillis,
    /// Set while the store cannot write: requests are refused until then, answers wait.
    down_until: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        store: Arc<Store>,
        head: Head,
        account: Account,
        effects: Box<dyn Effects>,
    ) -> Self {
        let mut writer = Self {
            shared,
            store,
            epoch: head.epoch,
            account,
            contents: Contents::default(),
            calls: Calls::default(),
            endpoints: Endpoints::default(),
            deliveries: Deliveries::default(),
            sessions: Sessions::default(),
            effects,
            figures: Read::default(),
            census: Census::default(),
            breakers: Breakers::default(),
            clock: Clock::new(head.at),
            now: head.at,
            down_until: None,
        };
        writer.loaded();
        writer
    }

    /// After a load: what waits for effects is what the account says.
    fn loaded(&mut self) {
        self.account.take_queues_touched();
        self.account.take_logins_touched();
        self.sessions.reset(&self.account);
        self.contents = Contents::default();
        self.calls.reset(&self.account);
        self.endpoints.reset(&self.account, self.now);
        self.publish();
        self.shared.canaries.reset(self.account.configuration());
        self.shared.stats.reset(&self.account);
        match self.store.statistics(self.shared.number) {
            Ok((checkpoint, observed)) => self.shared.stats.restore(&self.account, Saved { checkpoint, observed }),
            // Routing goes on without figures.
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(account = %self.shared.name, error, "the statistics cannot be loaded");
            }
        }
    }

    fn publish(&self) {
        self.shared.published.store(Arc::new(Published::new(self.account.configuration())));
    }

    /// Runs until the mailbox is closed and empty.
    pub(super) fn run(mut self) {
        // A lane that panicked would leave its account half alive: the process ends, and the next start is sound.
        let name = self.shared.name.clone();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || self.turn_until_closed()));
        if ended.is_err() {
            tracing::error!(account = %name, "the lane broke one of its invariants; the process ends");
            std::process::abort();
        }
    }

    fn turn_until_closed(&mut self) {
        self.now = self.clock.read();
        self.shared.canaries.begin(self.now);
        self.act();
        loop {
            let mail = self.shared.mailbox.take(BATCH_MAX, self.pause());
            let closed = mail.closed && mail.requests.is_empty() && mail.answers.is_empty();
            self.now = self.clock.read();
            self.turn(mail.answers, mail.requests);
            if closed {
                return;
            }
        }
    }

    /// How long there is nothing to do unless somebody writes.
    pub(super) fn pause(&self) -> Option<Duration> {
        if let Some(until) = self.down_until {
            return Some(until.saturating_duration_since(Instant::now()));
        }
        let failed = self.calls.has_failed() || self.endpoints.has_failed();
        if failed || self.account.match_due().is_some() || self.sessions.has_gone() {
            return Some(Duration::ZERO);
        }
        let next = [self.account.next_timer(), self.deliveries.next(&self.account), self.shared.canaries.next()];
        let next = next.into_iter().flatten().min();
        let due = next.map(|next| Duration::from_millis(next.0.saturating_sub(self.now.0)));
        due.into_iter().chain(self.census.pause()).min()
    }

    /// A turn at a given moment.
    #[cfg(test)]
    pub(super) fn turn_at(&mut self, now: UnixMillis, answers: Vec<Answer>, requests: Vec<Request>) {
        self.now = now;
        self.turn(answers, requests);
    }

    /// What effects have answered at once.
    #[cfg(test)]
    pub(super) fn mail(&self) -> Vec<Answer> {
        self.shared.mailbox.take(BATCH_MAX, Some(Duration::ZERO)).answers
    }

    #[cfg(test)]
    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    #[cfg(test)]
    pub(super) fn activity(&self) -> &super::activity::Activity {
        &self.shared.activity
    }

    #[cfg(test)]
    pub(super) fn stats(&self) -> &crate::stats::Stats {
        &self.shared.stats
    }

    #[cfg(test)]
    pub(super) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    #[cfg(test)]
    pub(super) fn calls(&self) -> &Calls {
        &self.calls
    }

    fn turn(&mut self, answers: Vec<Answer>, requests: Vec<Request>) {
        if let Some(until) = self.down_until
            && (Instant::now() < until || !self.recover())
        {
            self.refuse(answers, requests);
            return;
        }
        self.figures.borrow_mut().clear();
        self.shared.canaries.begin(self.now);
        let mut work = Work::new(self.shared.number);
        let mut answers = answers.into_iter();
        while let Some(answer) = answers.next() {
            if self.down_until.is_some() {
                self.refuse(std::iter::once(answer).chain(answers).collect(), Vec::new());
                break;
            }
            self.answer(&mut work, answer);
            self.finish_where_large(&mut work);
        }
        for (call, interaction, why) in self.calls.take_failed() {
            if self.down_until.is_some() {
                break;
            }
            let answer = engine::Answer { result: Err(engine::Failure::Unavailable(why)) };
            self.effect(&mut work, Command::StrategyAnswered { call, interaction, answer });
            self.finish_where_large(&mut work);
        }
        for (call, interaction, why) in self.endpoints.take_failed() {
            if self.down_until.is_some() {
                break;
            }
            self.effect(&mut work, Command::EndpointAnswered { call, interaction, result: Err(why) });
            self.finish_where_large(&mut work);
        }
        for _ in 0..TIMERS_MAX {
            let due = self.account.timer_due(self.now).filter(|_| self.down_until.is_none());
            let Some(interaction) = due else { break };
            let put_off = self.agent_seen(interaction).is_some_and(|command| self.effect(&mut work, command));
            if !put_off {
                self.effect(&mut work, Command::TimerDue { interaction });
            }
            self.finish_where_large(&mut work);
        }
        let mut requests = requests.into_iter();
        while let Some(request) = requests.next() {
            if self.down_until.is_some() {
                self.refuse(Vec::new(), std::iter::once(request).chain(requests).collect());
                break;
            }
            self.request(&mut work, request);
            self.finish_where_large(&mut work);
        }
        self.serve_agents(&mut work);
        self.judge_canaries(&mut work);
        self.finish(&mut work);
        if self.down_until.is_none() {
            self.census.take(&self.shared.stats, &self.account);
        }
        // While the store fails, memory may be ahead of it: nothing may be done to the world on the strength of that.
        if self.down_until.is_none() {
            self.act();
        }
    }

    /// What keeps an interaction with its agent where the time that it may do nothing about it is up, and it did ask for
    /// something. Rejected where that was too long ago.
    fn agent_seen(&self, interaction: InteractionId) -> Option<Command> {
        let State::Assigned(assignment) = &self.account.live(interaction)?.state else { return None };
        assignment.idle_until.filter(|until| *until <= self.now)?;
        let ago = self.shared.activity.quiet(assignment.agent.as_ref()?, Instant::now());
        let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        let at = UnixMillis(self.now.0.saturating_sub(ago));
        Some(Command::AgentSeen { interaction, at })
    }

    /// Sees to what is due about agents, and brings interactions and agents together.
    fn serve_agents(&mut self, work: &mut Work) {
        for agent in self.sessions.take_gone() {
            let action = AgentAction::Disconnect;
            self.effect(work, Command::Agent { agent, action, by: "server".into() });
        }
        for _ in 0..TIMERS_MAX {
            let Some(agent) = self.account.login_timer_due(self.now).cloned() else { break };
            if self.down_until.is_some() {
                return;
            }
            self.effect(work, Command::AgentTimerDue { agent });
            self.finish_where_large(work);
        }
        for _ in 0..MATCHES_MAX {
            let Some(due) = self.account.match_due() else { break };
            if self.down_until.is_some() {
                return;
            }
            if !self.effect(work, Command::Match(due.clone())) {
                self.account.matched(&due);
            }
            self.finish_where_large(work);
        }
    }

    /// Lets canaries go on or away whose figures mean something by now.
    fn judge_canaries(&mut self, work: &mut Work) {
        for (place, deployment, figures) in self.shared.canaries.judged(self.now) {
            if self.down_until.is_some() {
                return;
            }
            let (workflow, element) = place.clone();
            let figures = Box::new(figures);
            if !self.effect(work, Command::CanaryCounted { workflow, element, deployment, figures }) {
                self.shared.canaries.begin_again(&place, self.now);
                continue;
            }
            let binding = self.account.configuration().binding(&place.0, &place.1);
            let (account, workflow, element) = (&self.shared.name, &place.0, &place.1);
            match binding.map(|binding| (binding.canary.as_ref().map(|canary| canary.step), &binding.message)) {
                Some((None, why)) => tracing::warn!(%account, %workflow, %element, why, "a canary has ended"),
                Some((Some(step), _)) => tracing::info!(%account, %workflow, %element, step, "a canary goes on"),
                None => {}
            }
            self.finish_where_large(work);
        }
    }

    /// Where an awaited call is made, and which attempt it is; asked for only where somebody counts.
    fn called(&self, interaction: InteractionId) -> Option<(Place, u8)> {
        if self.shared.canaries.is_empty() {
            return None;
        }
        let live = self.account.live(interaction)?;
        let State::Routing { attempt, .. } = &live.state else { return None };
        let frame = live.frame()?;
        let flow = self.account.configuration().flow(frame.workflow.as_str(), frame.version)?;
        Some(((frame.workflow.clone(), flow.element(frame.element).id.clone()), *attempt))
    }

    fn answer(&mut self, work: &mut Work, answer: Answer) {
        match answer {
            Answer::Called { call, request, deployment, result } => {
                self.calls.ended(call);
                let failure = result.outcome.as_ref().err();
                // A call may outlive its interaction, and then its deployment.
                let exists = self.account.configuration().deployments.contains_key(&deployment);
                let turned = exists.then(|| self.breakers.ended(&deployment, call, failure, self.now)).flatten();
                if let Some(is_in) = turned {
                    let account = &self.shared.name;
                    tracing::warn!(%account, %deployment, is_in, "a failing deployment is taken out, or one that was is back");
                    self.shared.stats.breaker(&deployment, !is_in);
                }
                self.shadow(call, &request, &result.outcome);
                // What was said is in the journal, and no strategy sees it.
                let facts = Facts { transcript: Transcript::default(), ..request.content.facts.clone() };
                let interaction = request.interaction;
                let recorded = result.record.encode();
                // Where nobody counts, a call costs nothing more.
                let counted = (!self.shared.canaries.is_empty()).then(|| {
                    let failed = result.outcome.as_ref().err().map(engine::Failure::code);
                    ((request.workflow.clone(), request.element.clone()), failed)
                });
                let row = DecisionRow {
                    call,
                    deployment: deployment.clone(),
                    workflow: request.workflow,
                    element: request.element,
                    visit: request.visit,
                    now: request.now,
                    facts,
                    result: result.outcome.clone(),
                    recorded,
                    answered_at: self.now,
                };
                let answer = engine::Answer { result: result.outcome };
                let command = Command::StrategyAnswered { call, interaction, answer };
                let awaited = self.effect(work, command);
                if awaited {
                    work.batch.decision(&self.store, interaction, &row);
                }
                if let Some((place, failed)) = counted {
                    // Where its interaction has gone on, or ended, the call failed all the same.
                    if let Some(code) = failed.filter(|_| !awaited) {
                        self.shared.canaries.count(&place, &deployment, 0, End::Failed(code));
                    }
                    let ns = result.record.instantiate_ns.saturating_add(result.record.guest_ns);
                    self.shared.canaries.took(&place, &deployment, ns);
                }
                if exists {
                    self.note(&deployment, interaction, call, &result.record, result.host_ns);
                }
            }
            Answer::Loaded { deployment, result, image } => {
                let result = self.effects.loaded(&deployment, result);
                self.calls.loaded(&deployment.name, &result);
                if let Some((digest, bytes)) = image {
                    let command = Command::Recompiled { deployment: deployment.name.clone(), image: digest };
                    if self.effect(work, command) {
                        work.batch.blob(&self.store, digest, &bytes);
                    }
                }
            }
            Answer::Left(agent) => self.sessions.left(&agent),
            Answer::Asked { call, interaction, result } => {
                self.endpoints.ended(call);
                self.effect(work, Command::EndpointAnswered { call, interaction, result });
            }
            Answer::Delivered { delivery, result } => {
                self.deliveries.ended(&delivery);
                self.effect(work, Command::DeliveryAttempted { delivery, result });
            }
        }
    }

    /// Takes what an effect has led to. Answers whether it was awaited: it is not where its interaction was cancelled
    /// meanwhile, or the webhook taken away. Where the store cannot be read, the effect is found again and run again; where
    /// the interaction's own content is lost, it alone is parked.
    fn effect(&mut self, work: &mut Work, command: Command) -> bool {
        let interaction = engine::reads(&self.account, &command);
        match (self.step(work, command), interaction) {
            (Ok(()), _) => return true,
            (Err(Error::Rejected(_)), _) => {}
            (Err(Error::Damaged(why)), Some(interaction)) => {
                tracing::error!(account = %self.shared.name, %interaction, why, "it is parked");
                // Refused only where it is parked already.
                let _ = self.step(work, Command::ContentLost { interaction, why });
            }
            (Err(error), _) => self.back_off(&error),
        }
        false
    }

    fn back_off(&mut self, error: &Error) {
        tracing::error!(account = %self.shared.name, %error, "the store cannot be read");
        self.down_until = Some(Instant::now() + RETRY);
    }

    fn request(&mut self, work: &mut Work, request: Request) {
        match request {
            // After the commit: nobody sees what may still be taken back.
            Request::Ask(look) => work.looks.push(look),
            Request::Join(agent, joining) => work.joins.push((agent, joining)),
            Request::Submit(submission, idempotency, reply) => {
                let result = self.submit(work, *submission, idempotency);
                work.waiting.push(Waiting::Submit(reply, result));
            }
            Request::Command(mut command, blobs, reply) => {
                let replaced = self.connect(&mut command);
                let result = self.step(work, command).map(|()| work.records.len() - 1);
                work.replaced.extend(replaced.filter(|_| result.is_ok()));
                if result.is_ok() {
                    for (digest, bytes) in blobs {
                        work.batch.blob(&self.store, digest, &bytes);
                    }
                }
                work.waiting.push(Waiting::Command(reply, result));
            }
        }
    }

    /// A login over plain HTTP counts as connected where the agent has a session, which only the lane knows. Answers with
    /// the agent whose sessions end with it.
    fn connect(&self, command: &mut Command) -> Option<Name> {
        let Command::Agent { agent, action: AgentAction::LogIn { connected, .. }, .. } = command else { return None };
        if *connected || !self.sessions.has(agent) {
            return None;
        }
        let rules = &self.account.configuration().agent_rules;
        if self.account.login(agent.as_str()).is_some() && rules.second_login == SecondLogin::Replace {
            return Some(agent.clone());
        }
        *connected = true;
        None
    }

    fn submit(
        &mut self,
        work: &mut Work,
        submission: engine::Submission,
        idempotency: Option<Idempotency>,
    ) -> Result<Submitted, Error> {
        let id = submission.id;
        let mut submission = submission;
        if !self.account.configuration().agents.is_empty()
            && let Some(sender) = submission.message.contact()
        {
            let agent = self.store.contact(self.shared.number, sender).map_err(|e| failure(&e))?;
            submission.facts.last_agent = agent;
        }
        if let Some(Idempotency { key, body }) = &idempotency
            && let Some(row) = self.known_key(work, key)?
        {
            let repeated = row.body == *body;
            let same = Submitted { id: row.interaction, repeated };
            return if repeated { Ok(same) } else { Err(Error::IdempotencyConflict) };
        }
        self.step(work, Command::Submit(Box::new(submission)))?;
        if let Some(Idempotency { key, body }) = idempotency {
            let row = IdempotencyRow { body, interaction: id, at: self.now };
            work.batch.idempotency(&self.store, &key, &row);
            work.keys.insert(key, row);
        }
        Ok(Submitted { id, repeated: false })
    }

    /// What a submit with this key gave, in this batch or before.
    fn known_key(&self, work: &Work, key: &str) -> Result<Option<IdempotencyRow>, Error> {
        if let Some(row) = work.keys.get(key) {
            return Ok(Some(row.clone()));
        }
        let row = self.store.idempotency(self.shared.number, key).map_err(|e| failure(&e))?;
        Ok(row.filter(|row| !row.is_over(self.now)))
    }

    /// Decides one command, applies it and adds its rows to the batch.
    ///
    /// # Errors
    /// [`Error::Rejected`], or [`Error::Unavailable`] where the content that it needs cannot be read.
    fn step(&mut self, work: &mut Work, command: Command) -> Result<(), Error> {
        let content = engine::reads(&self.account, &command).map(|id| self.content(work, id)).transpose()?;
        let contact = content.as_ref().and_then(|content| content.message.contact()).map(str::to_owned);
        let called = match &command {
            Command::StrategyAnswered { interaction, .. } => self.called(*interaction),
            _ => None,
        };
        let figures = TurnFigures { stats: &self.shared.stats, read: &self.figures, now: self.now };
        let decided = engine::decide(&self.account, command, content, &figures, self.now)?;
        let record = decided.record;
        let binaries = let_go(self.account.configuration(), &record);
        work.concerned.push(self.sessions.concerned(&self.account, &record));
        let observing = Observing::before(&self.account, &record, &mut work.observed);
        let ended = self.account.apply(&record);
        if let Some(observing) = observing {
            observing.after(&self.account, &mut work.observed);
        }
        for agent in self.account.take_logins_touched() {
            let (login, rests_until) = (self.account.login(agent.as_str()), self.account.rest(agent.as_str()));
            work.batch.login(&self.store, agent.as_str(), login, rests_until);
        }
        work.batch.record(&self.store, &record);
        for digest in binaries.into_iter().filter(|digest| !is_used(self.account.configuration(), *digest)) {
            work.batch.remove_blob(&self.store, digest);
            work.unneeded.push(digest);
        }
        for (id, content) in decided.contents {
            let new = record.events.iter().any(|e| matches!(e, Event::Submitted { id: of, .. } if *of == id));
            if new {
                work.batch.message(&self.store, id, &content.message);
            }
            work.batch.facts(&self.store, id, &content.facts);
            let content = Arc::new(content);
            self.contents.put(id, Arc::clone(&content), &self.account);
            work.contents.insert(id, content);
        }
        let mut touched = BTreeSet::new();
        for event in &record.events {
            match event {
                Event::DocumentPut { document, .. } => {
                    work.configuration_changed = true;
                    work.batch.document(&self.store, document);
                    if let Document::Binding(binding) = document {
                        self.shared.canaries.put(binding, self.now);
                    }
                }
                Event::DocumentRemoved { key, .. } => {
                    work.configuration_changed = true;
                    work.batch.remove_document(&self.store, key);
                    if key.kind == DocumentKind::Deployment {
                        work.batch.retired(&self.store, key.name.as_str());
                        work.deleted.push(key.name.clone());
                    }
                    if key.kind == DocumentKind::Agent {
                        work.agents_deleted.push(key.name.clone());
                    }
                    if let Some(element) = &key.element {
                        self.shared.canaries.forget(&(key.name.clone(), element.clone()));
                    }
                }
                Event::DeliveryChanged { delivery, state } => work.batch.delivery(&self.store, delivery, state),
                Event::MessageQueued { message, webhooks } => {
                    work.batch.outbox(&self.store, message);
                    for webhook in webhooks {
                        let key = engine::DeliveryKey { message: message.id, webhook: webhook.clone() };
                        if let Some(delivery) = self.account.delivery(&key) {
                            work.batch.delivery(&self.store, &key, delivery);
                        }
                    }
                }
                Event::WorkDone { id, agent: Some(agent), .. } => {
                    if let Some(sender) = &contact {
                        work.batch.contact(&self.store, sender, agent);
                    }
                    touched.insert(*id);
                }
                _ => touched.extend(event.interaction()),
            }
            if let Some((place, attempt)) = &called {
                match event {
                    Event::Answered { deployment, outcome, .. } => {
                        self.shared.canaries.count(place, deployment, *attempt, End::Decided(outcome));
                    }
                    Event::Failed { deployment, failure, .. } => {
                        self.shared.canaries.count(place, deployment, *attempt, End::Failed(failure.code()));
                    }
                    _ => {}
                }
            }
        }
        for id in touched {
            if let Some(live) = self.account.live(id) {
                work.batch.live(&self.store, id, live);
                match live.call() {
                    Some(call) => self.calls.requested(call, id, CallId(record.sequence.0)),
                    None => self.contents.forget(id),
                }
                if let Some(call) = live.endpoint_call() {
                    self.endpoints.requested(&self.account, call, id, self.now);
                }
            }
        }
        for (id, ended) in &ended {
            work.batch.ended(&self.store, *id, ended);
            self.contents.forget(*id);
        }
        work.ended.extend(ended);
        work.records.push(record);
        Ok(())
    }

    /// What an interaction holds: at hand while it is under way or has just been written, otherwise from the store.
    fn content(&self, work: &Work, id: InteractionId) -> Result<Content, Error> {
        if let Some(content) = work.contents.get(&id).or_else(|| self.contents.get(id)) {
            return Ok((**content).clone());
        }
        content(&self.store, self.shared.number, id).map_err(|e| failure(&e))
    }

    fn finish_where_large(&mut self, work: &mut Work) {
        if work.batch.size_bytes() > BATCH_BYTES_MAX {
            self.finish(work);
        }
    }

    /// Commits, publishes and answers. Where the store cannot write, the state goes back to what is stored.
    fn finish(&mut self, work: &mut Work) {
        let done = std::mem::replace(work, Work::new(self.shared.number));
        let Work { mut batch, records, ended, waiting, looks, joins, replaced, concerned, observed, .. } = done;
        if !records.is_empty() {
            if !observed.facts.is_empty() {
                batch.observed(&self.store, self.account.sequence(), &observed);
            }
            let part = self.shared.stats.checkpoint_part();
            if let Some(CheckpointPart { sequence, index, bytes, last }) = part.clone() {
                batch.checkpoint(&self.store, sequence, index, bytes, last);
            }
            let at = records.last().map_or(self.now, |record| record.at);
            batch.head(&self.store, Head { sequence: self.account.sequence(), epoch: self.epoch, at });
            if let Err(error) = self.store.commit(batch) {
                looks.into_iter().for_each(|look| look(Err(failure(&error))));
                self.fail(&error, waiting);
                return;
            }
            if done.configuration_changed {
                self.publish();
                self.effects.forget(&done.deleted, done.unneeded);
            }
            let queues = self.account.take_queues_touched();
            let folded: Vec<&Record> = records.iter().collect();
            self.shared.stats.fold(&self.account, &folded, &ended, queues);
            if let Some(part) = &part {
                self.shared.stats.checkpoint_written(part);
            }
            // Only now: nothing is forgotten of what is there again after a commit that failed, and nothing counted any more.
            for deployment in &done.deleted {
                self.breakers.forget(deployment);
                self.shared.shadows.forget(deployment);
                self.shared.stats.forget(deployment);
            }
            done.agents_deleted.iter().for_each(|agent| self.shared.activity.forget(agent));
            self.census.wanted |= self.shared.stats.observe(&self.account, observed);
        }
        self.sessions.tell(&records, &concerned);
        replaced.iter().for_each(|agent| self.sessions.close(agent));
        looks.into_iter().for_each(|look| look(Ok(&self.account)));
        joins.into_iter().for_each(|(agent, joining)| self.sessions.join(&self.account, agent, joining));
        self.effects.reply(Replies { waiting, records });
    }

    /// What strategies may ask of the account.
    fn grants(&self) -> Arc<dyn Grants> {
        Arc::new(AccountGrants::new(Arc::clone(self.account.configuration()), Arc::clone(&self.shared.stats)))
    }

    /// Asks those without effect what has just been decided.
    fn shadow(&mut self, call: CallId, request: &engine::Request, decided: &Outcome) {
        let configuration = Arc::clone(self.account.configuration());
        let shadows = configuration.binding(&request.workflow, &request.element).map(|binding| &binding.shadows);
        for shadow in shadows.into_iter().flatten() {
            let Some(deployment) = configuration.deployments.get(shadow).cloned() else { continue };
            let shadow = Shadow { deployment, call, request: request.clone(), decided: decided.clone() };
            self.effects.shadow(shadow, &self.grants());
        }
    }

    /// Calls strategies and delivers messages, as far as there is room.
    fn act(&mut self) {
        let (store, number) = (Arc::clone(&self.store), self.shared.number);
        let contents = &self.contents;
        let content_of = |id: InteractionId| match contents.get(id) {
            Some(content) => Ok(Arc::clone(content)),
            None => content(&store, number, id).map(Arc::new),
        };
        let grants = self.grants();
        let (effects, now) = (&mut self.effects, self.now);
        let breakers = RefCell::new(&mut self.breakers);
        let out = |call, deployment: &Name| breakers.borrow_mut().refusal(deployment, call, now);
        let configuration = self.account.configuration();
        let warm_calls = |deployment: &Deployment, request: &engine::Request| {
            let binding =
                configuration.binding(&request.workflow, &request.element).filter(|_| !deployment.snapshotted);
            binding.and_then(|binding| binding.warm_calls)
        };
        let hand = |call, deployment: &Arc<Deployment>, request: engine::Request| {
            let handed = effects.call(call, deployment, warm_calls(deployment, &request), request, &grants);
            if handed != Handed::InFlight {
                breakers.borrow_mut().untried(&deployment.name, call);
            }
            handed
        };
        let mut pumped = self.calls.pump(&self.account, out, content_of, hand);
        if pumped.is_ok() {
            pumped = self.endpoints.pump(&self.account, self.now, content_of, |request| effects.ask(request));
        }
        if let Err(error) = pumped {
            self.back_off(&failure(&error));
            return;
        }
        for delivery in self.deliveries.due(&self.account, self.now) {
            self.deliver(delivery);
        }
    }

    fn deliver(&mut self, delivery: DeliveryKey) {
        self.deliveries.began(&delivery);
        match self.attempt(&delivery) {
            Ok(attempt) => self.effects.deliver(delivery, attempt),
            // An attempt that failed like any other: made again after a pause, and parked in the end.
            Err(why) => {
                tracing::error!(account = %self.shared.name, %delivery, why, "a message cannot be delivered");
                self.shared.mailbox.answer(Answer::Delivered { delivery, result: Err(why) });
            }
        }
    }

    fn attempt(&self, delivery: &DeliveryKey) -> Result<Attempt, String> {
        let message = self.store.message(self.shared.number, delivery.message).map_err(|error| error.to_string())?;
        let message = message.ok_or("the message is not in the store")?;
        let webhook = self.account.configuration().webhooks.get(&delivery.webhook);
        let webhook = webhook.ok_or("the webhook was deleted")?;
        Ok(Attempt { account: self.shared.name.clone(), message, webhook: Arc::clone(webhook) })
    }

    /// Keeps what a call logged and how long it took.
    fn note(&self, deployment: &Name, interaction: InteractionId, call: CallId, recorded: &Recorded, host_ns: u64) {
        let lines = recorded.log.iter().map(|line| LogLine {
            at_ms: self.now,
            interaction,
            call,
            level: level(line.level).to_owned(),
            message: line.message.clone(),
        });
        let cost = CallCost {
            instantiate_ns: recorded.instantiate_ns,
            guest_ns: recorded.guest_ns,
            host_ns,
            memory_bytes: recorded.memory_bytes,
        };
        self.shared.stats.call(deployment, cost, lines.collect());
    }

    fn fail(&mut self, error: &store::Error, waiting: Vec<Waiting>) {
        tracing::error!(account = %self.shared.name, error = error as &dyn std::error::Error, "a commit failed");
        let failed = failure(error);
        waiting.into_iter().for_each(|caller| caller.fail(failed.clone()));
        self.down_until = Some(Instant::now() + RETRY);
        self.shared.set_fault(Some(fault(error)));
        // What was decided is not stored. Nothing more may be decided on top of it.
        let _ = self.recover();
    }

    /// Goes back to what is stored. Answers whether the store works again.
    fn recover(&mut self) -> bool {
        let probed = self.store.probe();
        if probed.is_ok() {
            // Let go first: there may be no room for two. Nobody looks at it before another is loaded.
            self.account = Account::default();
        }
        match probed.and_then(|()| self.store.load(self.shared.number)) {
            Ok(Some((account, _))) => {
                self.account = account;
                self.loaded();
                self.down_until = None;
                self.shared.set_fault(None);
                tracing::info!(account = %self.shared.name, "the store works again");
                true
            }
            Ok(None) => panic!("the rows of account {} are gone", self.shared.name),
            Err(error) => {
                tracing::warn!(account = %self.shared.name, error = &error as &dyn std::error::Error, "the store still fails");
                self.down_until = Some(Instant::now() + RETRY);
                false
            }
        }
    }

    /// While the store cannot write. Answers of strategies are dropped: their calls are still awaited and made again.
    fn refuse(&mut self, answers: Vec<Answer>, requests: Vec<Request>) {
        let failed = Error::Unavailable("it cannot write; is the disk full?".into());
        for answer in answers {
            match answer {
                Answer::Called { call, deployment, .. } => {
                    self.calls.ended(call);
                    self.breakers.untried(&deployment, call);
                }
                Answer::Loaded { deployment, result, .. } => {
                    let result = self.effects.loaded(&deployment, result);
                    self.calls.loaded(&deployment.name, &result);
                }
                Answer::Delivered { delivery, .. } => self.deliveries.ended(&delivery),
                Answer::Asked { call, .. } => self.endpoints.ended(call),
                Answer::Left(agent) => self.sessions.left(&agent),
            }
        }
        for request in requests {
            match request {
                Request::Submit(_, _, reply) => drop(reply.send(Err(failed.clone()))),
                Request::Command(_, _, reply) => drop(reply.send(Err(failed.clone()))),
                // Memory may be ahead of the store.
                Request::Ask(look) => look(Err(failed.clone())),
                // Its sender is dropped with it, which tells whoever asked.
                Request::Join(..) => {}
            }
        }
    }
}

/// The binaries of the documents that a record takes away or puts others in the place of.
fn let_go(configuration: &Configuration, record: &Record) -> Vec<Digest> {
    let mut digests = Vec::new();
    for event in &record.events {
        let key = match event {
            Event::DocumentPut { document, .. } => document.key(),
            Event::DocumentRemoved { key, .. } => key.clone(),
            _ => continue,
        };
        match key.kind {
            DocumentKind::Upload => digests.extend(configuration.uploads.get(&key.name).map(|upload| upload.digest)),
            DocumentKind::Deployment => {
                let before = configuration.deployments.get(&key.name);
                digests.extend(before.into_iter().flat_map(|deployment| [deployment.component, deployment.image]));
            }
            _ => {}
        }
    }
    digests
}

/// Whether a document still needs a binary: deployments can share them, and be made of an upload as it is.
fn is_used(configuration: &Configuration, digest: Digest) -> bool {
    configuration.uploads.values().any(|upload| upload.digest == digest)
        || configuration.deployments.values().any(|it| it.component == digest || it.image == digest)
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

/// What may be said of it to everybody: no paths.
fn fault(error: &store::Error) -> &'static str {
    match failure(error).to_string().contains("No space left") {
        true => "the server's disk is full: nothing can be stored until there is room",
        false => "the server's store cannot be written: its log says why",
    }
}

fn failure(error: &store::Error) -> Error {
    let source = std::error::Error::source(error).map(|s| format!(": {s}")).unwrap_or_default();
    let why = format!("{error}{source}");
    if error.is_damage() { Error::Damaged(why) } else { Error::Unavailable(why) }
}

fn content(store: &Store, account: AccountNumber, id: InteractionId) -> Result<Content, store::Error> {
    store.content(account, id)?.ok_or_else(|| store::Error::Damaged(format!("interaction {id} has no content")))
}
