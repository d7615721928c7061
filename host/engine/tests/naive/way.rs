//! The way of an interaction through its workflow: into queues, out of them, to its end, and what the clock does to it.

use signalbox_engine::{Attention, Element, ElementKind, InteractionId, Name, OfferId, Submission, UnixMillis};

use super::{End, Item, Model, Place, Refusal, Wish, Work, WrapUp};

impl Model {
    pub(super) fn submit(&mut self, submission: &Submission) -> Result<(), Refusal> {
        let Submission { id, workflow, message, facts, at, .. } = submission;
        if self.find(*id).is_ok() {
            return Err("interaction-exists");
        }
        if facts.priority > 1000 {
            return Err("invalid");
        }
        if !self.workflows.iter().any(|known| known.name == *workflow) {
            return Err("workflow-unknown");
        }
        self.fact(format!("submitted {id}"));
        self.items.push(Item {
            id: *id,
            workflow: workflow.clone(),
            element: Name::new("start").unwrap(),
            media_type: message.media_type.clone(),
            priority: facts.priority,
            skills: facts.skills.clone(),
            last_agent: facts.last_agent.clone(),
            disposition: None,
            submitted_at: self.now,
            since: self.now,
            scheduled: at.filter(|at| *at > self.now),
            place: None,
            offers: Vec::new(),
            work: None,
            wrap_up: None,
            refused: Vec::new(),
        });
        let i = self.items.len() - 1;
        if self.items[i].scheduled.is_none() {
            self.leave(i, "next");
        }
        Ok(())
    }

    /// Leaves its element. Whether there is a connector is known.
    pub(super) fn leave(&mut self, i: usize, outcome: &str) {
        let to = self.connector(i, outcome).unwrap_or_else(|| panic!("no connector by {outcome}"));
        let element = self.element(&self.items[i].workflow, &to).kind.clone();
        self.items[i].element = to;
        match element {
            ElementKind::End { disposition: own, .. } => {
                let disposition = own.or(self.items[i].disposition.clone()).unwrap_or("completed".into());
                self.fact(format!("completed {} {disposition}", self.items[i].id));
                self.take_away(i);
            }
            ElementKind::Queue { .. } => self.enter_queue(i, &element),
            other => panic!("the model knows nothing of {other:?}"),
        }
    }

    pub(super) fn connector(&self, i: usize, outcome: &str) -> Option<Name> {
        let item = &self.items[i];
        let workflow = self.workflows.iter().find(|workflow| workflow.name == item.workflow)?;
        let mut connectors = workflow.connectors.iter();
        connectors.find(|c| c.from == item.element && c.outcome == outcome).map(|connector| connector.to.clone())
    }

    pub(super) fn element(&self, workflow: &Name, element: &Name) -> &Element {
        let workflow = self.workflows.iter().find(|known| known.name == *workflow).unwrap();
        workflow.elements.iter().find(|known| known.id == *element).unwrap()
    }

    pub(super) fn enter_queue(&mut self, i: usize, element: &ElementKind) {
        let ElementKind::Queue { queue, timeout_ms, target, relaxations, overflow_length, leave_without_agents } =
            element
        else {
            unreachable!()
        };
        let document = self.queue(queue);
        let others = self.items.iter().enumerate().filter(|(j, other)| {
            *j != i && other.waits() && other.place.as_ref().is_some_and(|place| place.queue == *queue)
        });
        if overflow_length.is_some_and(|max| others.count() >= max as usize) {
            return self.leave(i, "overflow");
        }
        let wish = target.clone().or(document.target.clone()).map(|target| self.wish(i, target, &document));
        if *leave_without_agents {
            let mut wishes: Vec<Wish> = wish.clone().into_iter().collect();
            if let Some(wish) = &wish {
                wishes.extend(relaxations.iter().map(|relaxation| self.relaxed(i, relaxation, wish)));
            }
            if !wishes.iter().any(|wish| self.somebody_logged_in_fits(i, wish)) {
                return self.leave(i, "no-agents");
            }
        }
        let now = self.now;
        let ticket = self.next_count();
        let item = &mut self.items[i];
        item.place = Some(Place {
            queue: queue.clone(),
            since: now,
            began: now,
            clock: if item.media_type == "callback" { item.submitted_at } else { now },
            ticket,
            timeout: timeout_ms.map(|ms| now.plus(ms)),
            wish,
            follows: target.is_none(),
            relaxations: relaxations.clone(),
        });
        self.wait_anew(i);
    }

    pub(super) fn wait_anew(&mut self, i: usize) {
        let now = self.now;
        let item = &mut self.items[i];
        let fact = format!("queued {} {}", item.id, item.place.as_ref().unwrap().queue);
        (item.since, item.refused, item.work, item.wrap_up, item.scheduled) = (now, Vec::new(), None, None, None);
        self.fact(fact);
    }

    /// Takes it away from whoever has it: its idle time begins.
    pub(super) fn lose(&mut self, i: usize) {
        let (agent, now) = (self.items[i].agent().cloned(), self.now);
        self.items[i].work = None;
        self.items[i].wrap_up = None;
        if let Some(seat) = agent.and_then(|agent| self.seats.iter_mut().find(|seat| seat.agent == agent)) {
            seat.idle_since = now;
        }
    }

    pub(super) fn take_away(&mut self, i: usize) {
        self.lose(i);
        self.items.remove(i);
    }

    pub(super) fn release(&mut self, i: usize) {
        self.end_offers(i, End::Revoked("transfer-ended"));
        self.fact(format!("released {}", self.items[i].id));
        self.put_off(i);
        self.lose(i);
        let now = self.now;
        let item = &mut self.items[i];
        item.since = now;
        item.place.as_mut().unwrap().since = now;
    }

    /// The time in which somebody had it counts towards no deadline.
    pub(super) fn put_off(&mut self, i: usize) {
        let now = self.now;
        let item = &mut self.items[i];
        if let (Some(_), Some(place)) = (&item.work, &mut item.place) {
            // A clock may be set back.
            let worked = now.0.saturating_sub(item.since.0);
            place.began = place.began.plus(worked);
            place.timeout = place.timeout.map(|timeout| timeout.plus(worked));
        }
    }

    pub(super) fn close(&mut self, id: InteractionId) -> Result<(), Refusal> {
        let i = self.find(id)?;
        match self.items[i].state() {
            "wrap-up" => return Err("state-wrong"),
            "assigned" => {
                self.complete(i, "closed-by-customer".into(), End::CustomerGone);
            }
            _ => {
                self.end_offers(i, End::CustomerGone);
                self.fact(format!("abandoned {id}"));
                self.take_away(i);
            }
        }
        Ok(())
    }

    pub(super) fn take(&mut self, queue: &Name, agent: Option<&Name>, by: &str) -> Result<(), Refusal> {
        if !self.queues.iter().any(|known| known.name == *queue) {
            return Err("queue-unknown");
        }
        let i = *self.in_order(queue).first().ok_or("queue-empty")?;
        if let Some(agent) = agent.filter(|agent| self.people.iter().any(|person| person.name == **agent)) {
            if !self.seats.iter().any(|seat| seat.agent == *agent) {
                return Err("agent-logged-out");
            }
            if !self.has_room(agent, &self.items[i].media_type) {
                return Err("capacity-exceeded");
            }
            self.assign(i, agent);
            return Ok(());
        }
        let (by, attention) = (by.to_owned(), Attention::Active);
        self.items[i].work = Some(Work { by, agent: None, attention, idle_until: None, transfer: None });
        self.items[i].since = self.now;
        self.fact(format!("taken {}", self.items[i].id));
        Ok(())
    }

    pub(super) fn take_over(&mut self, id: InteractionId, by: &str) -> Result<(), Refusal> {
        let i = self.find(id)?;
        self.items[i].place().ok_or("state-wrong")?;
        self.end_offers(i, End::Revoked("taken"));
        self.put_off(i);
        self.lose(i);
        let (by, attention) = (by.to_owned(), Attention::Active);
        self.items[i].work = Some(Work { by, agent: None, attention, idle_until: None, transfer: None });
        self.items[i].since = self.now;
        self.fact(format!("taken {id}"));
        Ok(())
    }

    pub(super) fn complete(&mut self, i: usize, disposition: String, how: End) {
        self.end_offers(i, how);
        let now = self.now;
        let wrap_up_ms = self.queue(&self.items[i].place.as_ref().unwrap().queue.clone()).wrap_up_ms;
        let in_workbin = self.items[i].work.as_ref().is_some_and(|work| work.attention == Attention::Workbin);
        match self.items[i].agent().cloned() {
            Some(agent) if wrap_up_ms > 0 && !in_workbin => {
                let item = &mut self.items[i];
                item.wrap_up = Some(WrapUp { agent, disposition, until: now.plus(wrap_up_ms) });
                (item.work, item.since) = (None, now);
                let fact = format!("wrap-up {}", item.id);
                self.fact(fact);
            }
            _ => self.done(i, disposition),
        }
    }

    pub(super) fn done(&mut self, i: usize, disposition: String) {
        self.fact(format!("done {} {disposition}", self.items[i].id));
        self.lose(i);
        self.items[i].disposition = Some(disposition);
        self.leave(i, "completed");
    }

    pub(super) fn timer_due(&mut self, id: InteractionId) -> Result<(), Refusal> {
        let i = self.find(id)?;
        let now = self.now;
        let item = self.items[i].clone();
        if item.timer().is_none_or(|at| at > now) {
            return Err("not-due");
        }
        let late: Vec<OfferId> =
            item.offers.iter().filter(|offer| offer.expires <= now).map(|offer| offer.id).collect();
        match item.state() {
            "scheduled" => {
                self.items[i].scheduled = None;
                self.leave(i, "next");
            }
            "wrap-up" => self.done(i, item.wrap_up.unwrap().disposition),
            "assigned" => {
                if !late.is_empty() {
                    self.not_accepted(i, late, End::Expired);
                }
                if item.work.as_ref().unwrap().idle_until.is_some_and(|until| until <= now) {
                    self.release(i);
                    item.agent().iter().for_each(|agent| self.rest(agent));
                }
            }
            _ if item.place.as_ref().unwrap().timeout.is_some_and(|timeout| timeout <= now) => {
                self.end_offers(i, End::Revoked("timeout"));
                self.leave(i, "timeout");
            }
            "offered" => self.not_accepted(i, late, End::Expired),
            _ => self.relax(i),
        }
        Ok(())
    }

    pub(super) fn relax(&mut self, i: usize) {
        let now = self.now;
        let mut place = self.items[i].place.clone().unwrap();
        let document = self.queue(&place.queue);
        while place.relaxations.first().is_some_and(|r| place.began.plus(r.after_ms) <= now) {
            let relaxation = place.relaxations.remove(0);
            let wish = self.wish(i, relaxation.target.clone(), &document);
            place.wish = Some(self.relaxed(i, &relaxation, &wish));
            place.follows = false;
        }
        self.items[i].place = Some(place);
        self.fact(format!("relaxed {}", self.items[i].id));
        self.leave_if_nobody_is_left(i);
    }

    /// Whom it would wait for if it asked its queue now.
    fn followed(&self, i: usize) -> Option<Wish> {
        let place = self.items[i].place.as_ref().unwrap();
        let queue = self.queue(&place.queue);
        let target =
            if place.follows { queue.target.clone() } else { place.wish.as_ref().map(|wish| wish.target.clone()) };
        let mut wish = target.map(|target| self.wish(i, target, &queue))?;
        if let Some(old) = &place.wish {
            wish.skills.clone_from(&old.skills);
        }
        Some(wish)
    }

    /// The outcome by which it has to leave, as nobody is left for it.
    fn nobody_is_left(&self, i: usize) -> Option<&'static str> {
        let item = &self.items[i];
        let place = item.place.as_ref().filter(|_| item.waits())?;
        let ElementKind::Queue { leave_without_agents, .. } = self.element(&item.workflow, &item.element).kind else {
            unreachable!()
        };
        let served = |wish: &Wish| self.somebody_logged_in_fits(i, wish);
        let outcome = if leave_without_agents && !place.wish.as_ref().is_some_and(served) {
            let wish = place.wish.as_ref();
            let later = |r| wish.is_some_and(|wish| served(&self.relaxed(i, r, wish)));
            if place.relaxations.iter().any(later) { None } else { Some("no-agents") }
        } else {
            (place.relaxations.is_empty() && self.all_declined(i)).then_some("declined-by-all")
        };
        outcome.filter(|outcome| self.connector(i, outcome).is_some())
    }

    pub(super) fn leave_if_nobody_is_left(&mut self, i: usize) {
        if let Some(outcome) = self.nobody_is_left(i) {
            self.leave(i, outcome);
        }
    }

    /// What is around it has changed, and the engine has looked at it again.
    pub fn look_again(&mut self, id: InteractionId, now: UnixMillis) {
        self.now = now;
        let i = self.find(id).unwrap();
        assert!(self.items[i].waits(), "{id} does not wait");
        let wish = self.followed(i);
        if wish != self.items[i].place.as_ref().unwrap().wish {
            self.items[i].place.as_mut().unwrap().wish = wish;
            self.fact(format!("retargeted {id}"));
        }
        self.leave_if_nobody_is_left(i);
    }

    /// Something that should have been looked at again by now. Whether somebody may get it later is looked at when that
    /// begins.
    pub fn overlooked(&self) -> Option<InteractionId> {
        let overlooked = |i: &usize| {
            let place = self.items[*i].place.as_ref().unwrap();
            let settled = place.wish.is_none() || !place.relaxations.is_empty() || self.nobody_is_left(*i).is_none();
            !settled || self.followed(*i) != place.wish
        };
        let mut waiting = (0..self.items.len()).filter(|i| self.items[*i].waits());
        waiting.find(overlooked).map(|i| self.items[i].id)
    }
}
