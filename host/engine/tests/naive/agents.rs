//! What agents are: logged in or out, ready or not, connected or not.

use signalbox_engine::{AgentAction, Attention, Connection, Name, Pending, SecondLogin, UnixMillis};

use super::{End, Model, Refusal, Seat};

impl Model {
    pub(super) fn act(&mut self, agent: &Name, action: &AgentAction) -> Result<(), Refusal> {
        if !self.people.iter().any(|person| person.name == *agent) {
            return Err("agent-unknown");
        }
        let now = self.now;
        // What is only held out to it can be taken back.
        let busy = self.items.iter().any(|item| {
            let laid_aside = item.work.as_ref().is_some_and(|work| work.attention == Attention::Workbin);
            item.agent() == Some(agent) && !laid_aside
        });
        match action {
            AgentAction::LogIn { place, media_types, connected } => {
                if place.as_ref().is_some_and(|place| !self.places.contains(place)) {
                    return Err("place-unknown");
                }
                let second = self.rules.second_login;
                if let Ok(seat) = self.seat(agent) {
                    match second {
                        SecondLogin::Refuse => return Err("agent-logged-in"),
                        SecondLogin::Allow => {
                            let media_types: Vec<Name> = media_types.iter().cloned().collect();
                            let other_place = place.is_some() && *place != seat.place;
                            if other_place || (!media_types.is_empty() && media_types != seat.media_types) {
                                return Err("invalid");
                            }
                            // A second way to reach it takes nothing from a first that is open.
                            if *connected {
                                seat.connection = Connection::Open;
                            } else if seat.connection != Connection::Open {
                                seat.connection = Connection::None;
                            }
                            return Ok(());
                        }
                        SecondLogin::Replace => self.log_out(agent, "replaced"),
                    }
                }
                self.fact(format!("in {agent}"));
                let readiness = self.next_count();
                let rest = self.rests.iter().position(|(other, _)| other == agent).map(|i| self.rests.remove(i).1);
                self.seats.push(Seat {
                    agent: agent.clone(),
                    place: place.clone(),
                    media_types: media_types.iter().cloned().collect(),
                    reason: Some(Name::new("logged-in").unwrap()),
                    since: now,
                    logged_in_at: now,
                    pending: None,
                    idle_since: now,
                    rests_until: rest.filter(|until| *until > now),
                    connection: if *connected { Connection::Open } else { Connection::None },
                    readiness,
                    last_offer: 0,
                });
            }
            AgentAction::LogOut { after_work } => {
                let seat = self.seat(agent)?;
                match (busy, after_work) {
                    (false, _) => self.log_out(agent, "requested"),
                    (true, false) => return Err("agent-busy"),
                    (true, true) => {
                        seat.pending = Some(Pending::LogOut);
                        self.fact(format!("pending {agent}"));
                    }
                }
            }
            AgentAction::Ready => {
                let readiness = self.next_count();
                let seat = self.seat(agent)?;
                if let Connection::Lost { .. } = seat.connection {
                    return Err("agent-unreachable");
                }
                if seat.reason.is_some() {
                    (seat.reason, seat.since, seat.readiness, seat.pending) = (None, now, readiness, None);
                    self.fact(format!("ready {agent}"));
                } else if seat.pending.take().is_some() {
                    self.fact(format!("pending {agent}"));
                }
            }
            AgentAction::NotReady { reason, after_work } => {
                self.seat(agent)?;
                if !self.rules.reasons.is_empty() && !self.rules.reasons.contains(reason) {
                    return Err("reason-unknown");
                }
                if *after_work && busy {
                    self.seat(agent)?.pending = Some(Pending::NotReady { reason: reason.clone() });
                    self.fact(format!("pending {agent}"));
                } else {
                    self.withdraw(agent, End::Revoked("not-ready"));
                    self.not_ready(agent, reason);
                }
            }
            AgentAction::Connect => self.seat(agent)?.connection = Connection::Open,
            AgentAction::Disconnect => {
                let (grace, keep) = (self.rules.connection_grace_ms, self.rules.assignment_keep_ms);
                let seat = self.seat(agent)?;
                if seat.connection != Connection::Open {
                    return Err("not-due");
                }
                let not_ready_at = now.plus(grace);
                let release_at = not_ready_at.plus(keep);
                let not_ready_at = if seat.reason.is_none() { Some(not_ready_at) } else { None };
                seat.connection = Connection::Lost { not_ready_at, release_at };
            }
        }
        Ok(())
    }

    pub(super) fn not_ready(&mut self, agent: &Name, reason: &Name) {
        let now = self.now;
        let seat = self.seat(agent).unwrap();
        (seat.reason, seat.since, seat.pending) = (Some(reason.clone()), now, None);
        if let Connection::Lost { not_ready_at, .. } = &mut seat.connection {
            *not_ready_at = None;
        }
        self.fact(format!("not-ready {agent} {reason}"));
    }

    pub(super) fn log_out(&mut self, agent: &Name, why: &str) {
        self.withdraw(agent, End::Revoked("logged-out"));
        let now = self.now;
        let rests_until = self.seat(agent).unwrap().rests_until.filter(|until| *until > now);
        self.rests.extend(rests_until.map(|until| (agent.clone(), until)));
        self.seats.retain(|seat| seat.agent != *agent);
        self.fact(format!("out {agent} {why}"));
    }

    /// It gets no offer for a while.
    pub(super) fn rest(&mut self, agent: &Name) {
        let until = self.now.plus(self.rules.reoffer_delay_ms);
        if let Ok(seat) = self.seat(agent) {
            seat.rests_until = Some(until);
        }
    }

    /// It loses all its offers, and rests then.
    fn withdraw(&mut self, agent: &Name, how: End) {
        if self.items.iter().any(|item| item.offers.iter().any(|offer| offer.agent == *agent)) {
            self.revoke_all(agent, how);
            self.rest(agent);
        }
    }

    /// An agent who wanted to stop after its work, and has none.
    pub fn stop(&mut self, agent: &Name, now: UnixMillis) {
        self.now = now;
        match self.seat(agent).unwrap().pending.clone() {
            Some(Pending::LogOut) => self.log_out(agent, "pending"),
            Some(Pending::NotReady { reason }) => self.not_ready(agent, &reason),
            None => panic!("{agent} does not want to stop"),
        }
    }

    pub(super) fn agent_timer_due(&mut self, agent: &Name) -> Result<(), Refusal> {
        let now = self.now;
        let seat = self.seat(agent)?;
        if seat.timer().is_none_or(|at| at > now) {
            return Err("not-due");
        }
        seat.rests_until = seat.rests_until.filter(|until| *until > now);
        match seat.connection {
            Connection::Lost { not_ready_at: Some(at), .. } if at <= now => {
                self.withdraw(agent, End::DeliveryFailed);
                self.not_ready(agent, &Name::new("connection-lost").unwrap());
            }
            Connection::Lost { not_ready_at: None, release_at } if release_at <= now => {
                for id in self.worked_on_by(agent, false) {
                    let i = self.find(id).unwrap();
                    self.release(i);
                    self.rest(agent);
                }
                self.seat(agent).unwrap().connection = Connection::None;
            }
            _ => {}
        }
        Ok(())
    }
}
