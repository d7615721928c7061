//! Offers, and what is done with the work that comes of them.

use signalbox_engine::{Attention, InteractionId, Name, OfferAnswer, OfferId, Pending, Target, UnixMillis};

use super::{End, Held, Model, Place, Refusal, Transfer, Work};

impl Model {
    pub(super) fn end_offers(&mut self, i: usize, how: End) {
        for offer in self.items[i].offers.clone() {
            self.end_offer(i, offer.id, how);
        }
    }

    pub(super) fn end_offer(&mut self, i: usize, id: OfferId, how: End) {
        let at = self.items[i].offers.iter().position(|offer| offer.id == id).unwrap();
        let offer = self.items[i].offers.remove(at);
        let (name, of) = (&offer.agent, self.items[i].id);
        self.fact(match how {
            End::Accepted => format!("accepted {of} {name}"),
            End::Declined => format!("declined {of} {name}"),
            End::Expired => format!("expired {of} {name}"),
            End::CustomerGone => format!("customer-gone {of} {name}"),
            End::DeliveryFailed => format!("delivery-failed {of} {name}"),
            End::Revoked(why) => format!("revoked {of} {name} {why}"),
        });
        if self.items[i].waits() {
            self.items[i].since = self.now;
        }
        if how == End::Declined {
            let readiness = self.seat(&offer.agent).unwrap().readiness;
            self.items[i].refused.retain(|(agent, _)| *agent != offer.agent);
            self.items[i].refused.push((offer.agent, readiness));
        }
    }

    pub(super) fn revoke_all(&mut self, agent: &Name, how: End) {
        for i in 0..self.items.len() {
            if let Some(offer) = self.items[i].offers.iter().find(|offer| offer.agent == *agent).cloned() {
                self.end_offer(i, offer.id, how);
            }
        }
    }

    /// The engine has made this offer. Whether it should have is asked before.
    pub fn offer(&mut self, id: InteractionId, offer: OfferId, agent: &Name, now: UnixMillis) {
        self.now = now;
        let i = self.find(id).unwrap();
        assert!(self.items.iter().all(|item| item.offers.iter().all(|other| other.id != offer)), "used before");
        let queue = self.queue(&self.items[i].place.as_ref().unwrap().queue.clone());
        let expires = now.plus(queue.offer_timeout_ms);
        if self.items[i].waits() {
            self.items[i].since = now;
        }
        if let Some(transfer) = self.items[i].work.as_mut().and_then(|work| work.transfer.as_mut()) {
            transfer.asked.push(agent.clone());
        }
        self.misfits.retain(|(of, whom, _)| *of != id || whom != agent);
        self.items[i].offers.push(Held { id: offer, agent: agent.clone(), expires });
        let count = self.next_count();
        self.seat(agent).unwrap().last_offer = count;
    }

    pub(super) fn answer(
        &mut self,
        id: InteractionId,
        offer: OfferId,
        agent: &Name,
        answer: &OfferAnswer,
    ) -> Result<(), Refusal> {
        let i = self.find(id).map_err(|_| "offer-ended")?;
        let now = self.now;
        let open = self.items[i].offers.iter().any(|o| o.id == offer && o.agent == *agent && o.expires > now);
        if !open {
            return Err("offer-ended");
        }
        if let OfferAnswer::Decline { .. } = answer {
            self.not_accepted(i, vec![offer], End::Declined);
            return Ok(());
        }
        self.end_offer(i, offer, End::Accepted);
        self.end_offers(i, End::Revoked("accepted-by-another"));
        self.assign(i, agent);
        Ok(())
    }

    pub(super) fn assign(&mut self, i: usize, agent: &Name) {
        self.put_off(i);
        if self.items[i].agent() != Some(agent) {
            self.lose(i);
        }
        let (by, attention, now) = (agent.to_string(), Attention::Active, self.now);
        self.items[i].work = Some(Work { by, agent: Some(agent.clone()), attention, idle_until: None, transfer: None });
        self.items[i].since = now;
        self.is_active(i);
        self.fact(format!("assigned {} {agent}", self.items[i].id));
    }

    /// Its agent has done something about it.
    pub(super) fn is_active(&mut self, i: usize) {
        let idle_ms = self.queue(&self.items[i].place.as_ref().unwrap().queue.clone()).inactivity_ms;
        let now = self.now;
        if let Some(work) = &mut self.items[i].work {
            let counts = work.agent.is_some() && work.attention != Attention::Workbin;
            work.idle_until = idle_ms.filter(|_| counts).map(|ms| now.plus(ms));
        }
    }

    /// Some did not say yes. Where nobody is left to be asked, it goes on by `declined-by-all` if that leads anywhere.
    pub(super) fn not_accepted(&mut self, i: usize, offers: Vec<OfferId>, how: End) {
        let queue = self.queue(&self.items[i].place.as_ref().unwrap().queue.clone());
        for id in offers {
            let agent = self.items[i].offers.iter().find(|offer| offer.id == id).unwrap().agent.clone();
            self.end_offer(i, id, how);
            self.rest(&agent);
            if how == End::Expired && queue.no_answer_not_ready {
                self.revoke_all(&agent, End::Revoked("not-ready"));
                let pending = self.seat(&agent).unwrap().pending.clone();
                self.not_ready(&agent, &Name::new("no-answer").unwrap());
                // Whoever wanted to leave after this still does.
                if pending == Some(Pending::LogOut) {
                    self.seat(&agent).unwrap().pending = pending;
                    self.fact(format!("pending {agent}"));
                }
            }
        }
        self.leave_if_nobody_is_left(i);
    }

    pub(super) fn attend(
        &mut self,
        id: InteractionId,
        attention: Attention,
        by: &str,
        for_anyone: bool,
    ) -> Result<(), Refusal> {
        let i = self.own(id, by, for_anyone)?;
        let work = self.items[i].work.clone().unwrap();
        match &work.agent {
            None if attention == Attention::Workbin => return Err("state-wrong"),
            Some(agent)
                if work.attention == Attention::Workbin
                    && attention != Attention::Workbin
                    && !self.has_room(agent, &self.items[i].media_type) =>
            {
                return Err("capacity-exceeded");
            }
            _ => {}
        }
        self.items[i].work = Some(Work { attention, ..work });
        self.is_active(i);
        Ok(())
    }

    pub(super) fn transfer(
        &mut self,
        id: InteractionId,
        to: &Target,
        by: &str,
        for_anyone: bool,
    ) -> Result<(), Refusal> {
        let i = self.own(id, by, for_anyone)?;
        if self.items[i].work.as_ref().unwrap().transfer.is_some() {
            return Err("state-wrong");
        }
        if let Target::Queue(queue) = to {
            return self.move_to(id, queue);
        }
        if let Target::Agent(agent) = to
            && !self.people.iter().any(|person| person.name == agent.as_str())
        {
            return Err("agent-unknown");
        }
        self.transferee(i, to, &[]).ok_or("nobody-available")?;
        self.is_active(i);
        // A minute is long enough.
        let until = self.now.plus(60_000);
        let transfer = Transfer { to: to.clone(), until, asked: Vec::new() };
        self.items[i].work.as_mut().unwrap().transfer = Some(transfer);
        self.fact(format!("transfer-began {id}"));
        Ok(())
    }

    /// Nobody is left to be asked.
    pub fn transfer_failed(&mut self, id: InteractionId, now: UnixMillis) {
        self.now = now;
        let i = self.find(id).unwrap();
        self.items[i].work.as_mut().unwrap().transfer = None;
        self.fact(format!("transfer-failed {id}"));
    }

    pub(super) fn move_to(&mut self, id: InteractionId, queue: &str) -> Result<(), Refusal> {
        let i = self.find(id)?;
        let old = self.items[i].place().cloned();
        if old.is_none() && self.items[i].wrap_up.is_none() {
            return Err("state-wrong");
        }
        let document = self.queues.iter().find(|known| known.name == queue).ok_or("queue-unknown")?.clone();
        self.end_offers(i, End::Revoked("moved"));
        self.fact(format!("moved {id} {queue}"));
        if let (Some(agent), "assigned") = (self.items[i].agent().cloned(), self.items[i].state()) {
            self.rest(&agent);
        }
        self.lose(i);
        let mut wish = document.target.clone().map(|target| self.wish(i, target, &document));
        // Skills that are no longer asked for stay so.
        if let (Some(wish), Some(old)) = (&mut wish, old.as_ref().and_then(|old| old.wish.as_ref())) {
            wish.skills.clone_from(&old.skills);
        }
        let ticket = self.next_count();
        // What was worked on already begins to wait anew.
        let item = &self.items[i];
        let anew = if item.media_type == "callback" { item.submitted_at } else { self.now };
        self.items[i].place = Some(Place {
            queue: document.name,
            since: self.now,
            began: self.now,
            clock: old.map_or(anew, |old| old.clock),
            ticket,
            timeout: None,
            wish,
            follows: true,
            relaxations: Vec::new(),
        });
        self.wait_anew(i);
        Ok(())
    }

    pub(super) fn give(&mut self, id: InteractionId, agent: &Name) -> Result<(), Refusal> {
        if !self.people.iter().any(|person| person.name == *agent) {
            return Err("agent-unknown");
        }
        self.seat(agent)?;
        let i = self.find(id)?;
        self.items[i].place().ok_or("state-wrong")?;
        self.end_offers(i, End::Revoked("moved"));
        self.assign(i, agent);
        Ok(())
    }
}
