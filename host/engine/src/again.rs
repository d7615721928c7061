//! What becomes of an interaction that waits when what is around it changes: its queue gets another target, or those who
//! could take it go away.
//!
//! Decides about one interaction at a time. Which are to be looked at is in `matching.rs` and `account.rs`.

use crate::account::Account;
use crate::decision::Target;
use crate::document::Queue;
use crate::event::Event;
use crate::id::{InteractionId, Name};
use crate::live::{Frame, Live, QueuePosition, State, Wants};
use crate::walk::Draft;
use crate::workflow::{ElementKind, Relaxation};

/// Whether an interaction that waits may have to do something else now. Says so without its content.
pub(crate) fn is_to_be_looked_at(account: &Account, id: InteractionId) -> bool {
    let Some(live) = account.live(id) else { return false };
    let State::Queued(position) = &live.state else { return false };
    let queue = account.configuration().queues.get(&position.queue);
    queue.is_some_and(|queue| is_behind(position, queue)) || way_out(account, live).is_some()
}

/// Whether it may wait for others than its queue says now. Who the last agent is stands in its content: where the queue names
/// that one, a look at the content is needed each time.
pub(crate) fn is_behind(position: &QueuePosition, queue: &Queue) -> bool {
    let differs = |wants: &Wants| wants.choice != queue.choice || wants.offers_max != queue.offers_max;
    match (position.wants.as_deref(), queue.target.as_ref()) {
        (Some(wants), _) if differs(wants) => true,
        (Some(wants), Some(target)) => position.follows && wants.target != *target,
        (wants, target) => position.follows && wants.is_some() != target.is_some(),
    }
}

/// The outcome by which an interaction may leave its queue because nobody is left for it; others may still come into
/// question later.
fn way_out(account: &Account, live: &Live) -> Option<&'static str> {
    let State::Queued(position) = &live.state else { return None };
    let (frame, leaves, _) = element(account, live)?;
    let flow = account.configuration().flow(frame.workflow.as_str(), frame.version)?;
    let connected =
        |outcome: &&'static str| Name::new(outcome).is_ok_and(|outcome| flow.has_connector(frame.element, &outcome));
    if leaves && !account.is_served(live) {
        return Some("no-agents").filter(connected);
    }
    // Who has declined is asked last: it looks at everybody who could take it.
    let way = Some("declined-by-all").filter(|_| position.relax_at.is_none()).filter(connected);
    way.filter(|_| account.all_declined(live))
}

/// The queue element at which it waits: whether it leaves it where there are no agents, and its relaxations.
fn element<'a>(account: &'a Account, live: &'a Live) -> Option<(&'a Frame, bool, &'a [Relaxation])> {
    let frame = live.frame()?;
    let flow = account.configuration().flow(frame.workflow.as_str(), frame.version)?;
    match &flow.element(frame.element).kind {
        ElementKind::Queue { leave_without_agents, relaxations, .. } => {
            Some((frame, *leave_without_agents, relaxations))
        }
        _ => None,
    }
}

impl Draft<'_> {
    /// Follows its queue, and goes on where nobody is left for it.
    pub(crate) fn look_again(&mut self) {
        if let Some(wants) = self.followed() {
            self.push(Event::Retargeted { id: self.id, wants });
        }
        self.leave_if_nobody_is_left();
    }

    /// Goes on where it waits and nobody is left for it, now or later, if the workflow says what then: by `no-agents` where
    /// nobody who could take it is logged in, by `declined-by-all` where all of them have declined.
    pub(crate) fn leave_if_nobody_is_left(&mut self) {
        let Some(outcome) = way_out(self.account, &self.live) else { return };
        if outcome == "no-agents" && self.may_be_served_later() {
            return;
        }
        self.go_on(outcome);
    }

    fn may_be_served_later(&self) -> bool {
        let State::Queued(position) = &self.live.state else { return false };
        let Some((_, _, relaxations)) = element(self.account, &self.live) else { return false };
        let left = if position.relax_at.is_some() { relaxations } else { &[] };
        let left = left.get(usize::from(position.step)..).unwrap_or_default();
        !left.is_empty() && self.somebody_could_take(position, left)
    }

    /// Who is to get it, where its queue says otherwise by now.
    fn followed(&self) -> Option<Option<Box<Wants>>> {
        let State::Queued(position) = &self.live.state else { return None };
        let queue = self.account.configuration().queues.get(&position.queue)?;
        let old = position.wants.as_deref();
        let target: Option<Target> = match position.follows {
            true => queue.target.clone().map(|target| self.resolved(target)),
            false => old.map(|wants| wants.target.clone()),
        };
        // Skills that are no longer asked for, as it has waited long, stay so.
        let skills = || old.map_or_else(|| self.content().facts.skills.clone(), |wants| wants.skills.clone());
        let (choice, offers_max) = (queue.choice, queue.offers_max);
        let wants = target.map(|target| Wants { target, skills: skills(), choice, offers_max });
        (wants.as_ref() != old).then(|| wants.map(Box::new))
    }
}
