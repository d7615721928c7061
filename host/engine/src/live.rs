//! One interaction that has not ended: where it is, and what it waits for.
//!
//! Compact, for all of them are in memory. [`Live::apply`] is the only code that changes one.

use serde::{Deserialize, Serialize};

use crate::callbacks::Callback;
use crate::content::Skill;
use crate::decision::Target;
use crate::event::{Event, OfferEnd, Park};
use crate::id::{CallId, Name, Sequence, UnixMillis};
use crate::staff::AgentChoice;
use crate::statistic::Mark;

/// A place in a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The workflow.
    pub workflow: Name,
    /// Its version.
    pub version: u32,
    /// Index of the element.
    pub element: u16,
    /// When it entered the workflow.
    pub since: UnixMillis,
    /// When it entered the element.
    pub entered_at: UnixMillis,
}

/// How often an interaction entered an element since it came or was resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// The workflow.
    pub workflow: Name,
    /// The element.
    pub element: Name,
    /// From 1 on.
    pub count: u32,
}

/// A place in a queue. Higher priority first, as it has grown with the time on the clock, then whose clock began first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePosition {
    /// The queue.
    pub queue: Name,
    /// Since when it has waited there without somebody having it in hand: what is reported as its wait.
    pub since: UnixMillis,
    /// What it is ordered by: when it came first, or for a callback when it was asked for.
    pub clock: UnixMillis,
    /// Orders those that came at the same moment.
    pub ticket: Sequence,
    /// When it leaves by `timeout`.
    pub timeout: Option<UnixMillis>,
    /// Who is to get it; none where it is only taken by hand.
    pub wants: Option<Box<Wants>>,
    /// Steps of the element's relaxations that have been taken.
    pub step: u8,
    /// When the next step is due.
    pub relax_at: Option<UnixMillis>,
    /// The queue says who is to get it; else its element, a relaxation or a strategy does.
    pub follows: bool,
}

impl QueuePosition {
    /// The same after somebody had the interaction in hand: its deadlines count the time that it waits, and no other.
    fn after_work(mut self, since: UnixMillis, at: UnixMillis) -> Self {
        let later = |deadline: UnixMillis| deadline.plus(at.0.saturating_sub(since.0));
        self.timeout = self.timeout.map(later);
        self.relax_at = self.relax_at.map(later);
        self
    }
}

/// Who is to get an interaction that waits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wants {
    /// The agents.
    pub target: Target,
    /// What each of them must be able to do.
    pub skills: Vec<Skill>,
    /// Which of several gets it.
    pub choice: AgentChoice,
    /// Agents who are offered it at the same time.
    pub offers_max: u8,
}

/// One interaction held out to one agent. Named by the command that made the offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OfferId(pub u64);

/// An offer that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Which.
    pub id: OfferId,
    /// To whom.
    pub agent: Name,
    /// When it expires.
    pub expires: UnixMillis,
    /// When it was made.
    pub since: UnixMillis,
}

/// An agent who declined, and the command by which it had become ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Who.
    pub agent: Name,
    /// It may be offered again once the agent has become ready anew.
    pub ready_by: Sequence,
}

/// How an agent attends to what it has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Attention {
    /// It works on it.
    #[default]
    Active,
    /// The customer waits on hold.
    Held,
    /// It lies in the agent's workbin, and takes up none of its capacity.
    Workbin,
}

/// An attempt to hand on what somebody has. One after the other is asked; it ends when one accepts, or fails when nobody is
/// left to ask or it has lasted long enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// To whom.
    pub to: Target,
    /// Nobody else is asked from then on.
    pub until: UnixMillis,
    /// Those who were asked.
    pub asked: Vec<Name>,
    /// It is held out to one of them; none while the next one is looked for.
    pub offer: Option<Offer>,
}

/// An interaction in somebody's hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The token that took it, or the agent's name.
    pub by: String,
    /// The agent; none where a token took it out of its queue by hand.
    pub agent: Option<Name>,
    /// The place that it goes back to if it is released.
    pub position: QueuePosition,
    /// The offer that was accepted.
    pub offer: Option<OfferId>,
    /// How the agent attends to it.
    pub attention: Attention,
    /// It is to be handed on.
    pub transfer: Option<Transfer>,
    /// Then it goes back to its queue, unless the agent does something about it before.
    pub idle_until: Option<UnixMillis>,
}

/// The work is done; the agent writes down what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrapUp {
    /// Who.
    pub agent: Name,
    /// Disposition code so far.
    pub disposition: String,
    /// When it ends by itself.
    pub until: UnixMillis,
    /// The queue that it came out of.
    pub queue: Option<Name>,
}

/// What a live interaction waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It is being moved on; never seen between two commands.
    Moving,
    /// A strategy's answer.
    Routing {
        /// The call.
        call: CallId,
        /// The deployment that answers it.
        deployment: Name,
        /// 1 the first time it is at this element.
        visit: u32,
        /// 0, then one more with each retry.
        attempt: u8,
    },
    /// A moment.
    Waiting {
        /// When.
        until: UnixMillis,
    },
    /// Its turn.
    Queued(QueuePosition),
    /// An operator.
    Parked(Box<Park>),
    /// An agent's yes.
    Offered {
        /// The place that it goes back to if nobody accepts.
        position: QueuePosition,
        /// At least one.
        offers: Vec<Offer>,
    },
    /// The end of the work on it.
    Assigned(Box<Assignment>),
    /// The end of the after-contact work.
    WrapUp(Box<WrapUp>),
    /// The moment it is meant for, in no workflow.
    Scheduled {
        /// When.
        until: UnixMillis,
        /// The workflow that it enters then, in the version that is the newest then. A callback enters that of its rules,
        /// which may have changed.
        workflow: Name,
    },
    /// The answer of an application outside.
    Calling {
        /// The call; the same in each attempt.
        call: CallId,
        /// Whom it asks.
        endpoint: Name,
        /// 1 the first time it is at this element.
        visit: u32,
        /// 0, then one more with each retry.
        attempt: u8,
        /// This attempt has not begun: it is made then.
        retry_at: Option<UnixMillis>,
    },
}

/// The state's name, as the API shows it and filters by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StateKind {
    /// A strategy or an application outside is asked.
    Routing,
    /// It waits for a time.
    Waiting,
    /// It is in a queue.
    Queued,
    /// Somebody works on it.
    Assigned,
    /// It cannot go on.
    Parked,
    /// It ended well.
    Completed,
    /// It was cancelled.
    Cancelled,
    /// It is held out to an agent.
    Offered,
    /// The agent writes down what came of it.
    WrapUp,
    /// It waits for the moment that it is meant for.
    Scheduled,
    /// The customer went away before anybody worked on it.
    Abandoned,
}

impl StateKind {
    /// As in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Routing => "routing",
            Self::Waiting => "waiting",
            Self::Queued => "queued",
            Self::Assigned => "assigned",
            Self::Parked => "parked",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Offered => "offered",
            Self::WrapUp => "wrap-up",
            Self::Scheduled => "scheduled",
            Self::Abandoned => "abandoned",
        }
    }
}

impl State {
    /// Its name.
    #[must_use]
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Moving | Self::Routing { .. } | Self::Calling { .. } => StateKind::Routing,
            Self::Waiting { .. } => StateKind::Waiting,
            Self::Queued(_) => StateKind::Queued,
            Self::Offered { .. } => StateKind::Offered,
            Self::Assigned(_) => StateKind::Assigned,
            Self::WrapUp(_) => StateKind::WrapUp,
            Self::Scheduled { .. } => StateKind::Scheduled,
            Self::Parked(_) => StateKind::Parked,
        }
    }
}

/// One interaction that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Where it is, the outermost workflow first. Empty for a copy or a redirected one, which only waits in a queue, and
    /// for what is scheduled.
    pub frames: Vec<Frame>,
    /// What it waits for.
    pub state: State,
    /// When it came into that state.
    pub since: UnixMillis,
    /// When it was submitted.
    pub submitted_at: UnixMillis,
    /// Its medium.
    pub media_type: Name,
    /// 0 to 1000.
    pub priority: u16,
    /// How often it was forwarded or redirected.
    pub hops: u8,
    /// How often it was where, since it came or was resumed.
    pub visits: Vec<Visit>,
    /// Who is to get it at the next queue element.
    pub target: Option<Box<Target>>,
    /// Who was offered it where it waits now and declined.
    pub refusals: Vec<Refusal>,
    /// What makes it a callback.
    pub callback: Option<Box<Callback>>,
    /// What statistics' filters have found in it.
    pub marks: Vec<Mark>,
}

/// One interaction that has ended, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// `completed`, `cancelled` or `abandoned`.
    pub state: StateKind,
    /// Disposition code, or why it was cancelled.
    pub disposition: String,
    /// The outermost workflow that it was in at the end, and its version.
    pub workflow: Option<(Name, u32)>,
    /// Its medium.
    pub media_type: Name,
    /// 0 to 1000.
    pub priority: u16,
    /// How often it was forwarded or redirected.
    pub hops: u8,
    /// When it was submitted.
    pub submitted_at: UnixMillis,
    /// When it ended.
    pub ended_at: UnixMillis,
    /// What made it a callback, and what came of it.
    pub callback: Option<Box<Callback>>,
}

impl Live {
    /// A new one, from [`Event::Submitted`].
    pub(crate) fn new(media_type: Name, priority: u16, hops: u8, at: UnixMillis) -> Self {
        Self {
            frames: Vec::new(),
            state: State::Moving,
            since: at,
            submitted_at: at,
            media_type,
            priority,
            hops,
            visits: Vec::new(),
            target: None,
            refusals: Vec::new(),
            callback: None,
            marks: Vec::new(),
        }
    }

    /// Where it waits, or waited before it was offered or assigned.
    #[must_use]
    pub fn position(&self) -> Option<&QueuePosition> {
        match &self.state {
            State::Queued(position) | State::Offered { position, .. } => Some(position),
            State::Assigned(assignment) => Some(&assignment.position),
            _ => None,
        }
    }

    /// The agent who has it.
    #[must_use]
    pub fn agent(&self) -> Option<&Name> {
        match &self.state {
            State::Assigned(assignment) => assignment.agent.as_ref(),
            State::WrapUp(wrap_up) => Some(&wrap_up.agent),
            _ => None,
        }
    }

    /// The offers that are open: to take it, or to take it over.
    pub fn offers(&self) -> impl Iterator<Item = &Offer> {
        let (offers, transfer) = match &self.state {
            State::Offered { offers, .. } => (offers.as_slice(), None),
            State::Assigned(assignment) => ([].as_slice(), assignment.transfer.as_ref().and_then(|t| t.offer.as_ref())),
            _ => ([].as_slice(), None),
        };
        offers.iter().chain(transfer)
    }

    /// Where it is now, innermost.
    #[must_use]
    pub fn frame(&self) -> Option<&Frame> {
        self.frames.last()
    }

    /// How often it has entered this element.
    #[must_use]
    pub fn visits(&self, workflow: &str, element: &str) -> u32 {
        self.visits.iter().find(|v| v.workflow == workflow && v.element == element).map_or(0, |v| v.count)
    }

    /// When the engine has to look at it again by itself.
    #[must_use]
    pub fn timer(&self) -> Option<UnixMillis> {
        match &self.state {
            State::Waiting { until } | State::Scheduled { until, .. } => Some(*until),
            State::Queued(position) => [position.timeout, position.relax_at].into_iter().flatten().min(),
            State::Offered { position, offers } => {
                offers.iter().map(|offer| offer.expires).chain(position.timeout).min()
            }
            State::Assigned(assignment) => self.offers().map(|offer| offer.expires).chain(assignment.idle_until).min(),
            State::WrapUp(wrap_up) => Some(wrap_up.until),
            State::Calling { retry_at, .. } => *retry_at,
            _ => None,
        }
    }

    /// The call whose answer it waits for.
    #[must_use]
    pub fn call(&self) -> Option<CallId> {
        match &self.state {
            State::Routing { call, .. } => Some(*call),
            _ => None,
        }
    }

    /// The call to an application outside that is to be made now, or under way.
    #[must_use]
    pub fn endpoint_call(&self) -> Option<CallId> {
        match &self.state {
            State::Calling { call, retry_at: None, .. } => Some(*call),
            _ => None,
        }
    }

    /// What is kept of it once `event` has ended it.
    pub(crate) fn ended(&self, event: &Event, at: UnixMillis) -> Option<Ended> {
        let (state, disposition) = match event {
            Event::Completed { disposition, .. } => (StateKind::Completed, disposition),
            Event::Cancelled { reason, .. } => (StateKind::Cancelled, reason),
            Event::Abandoned { reason, .. } => (StateKind::Abandoned, reason),
            _ => return None,
        };
        Some(Ended {
            state,
            disposition: disposition.clone(),
            workflow: self.frames.first().map(|f| (f.workflow.clone(), f.version)),
            media_type: self.media_type.clone(),
            priority: self.priority,
            hops: self.hops,
            submitted_at: self.submitted_at,
            ended_at: at,
            callback: self.callback.clone(),
        })
    }

    /// Changes it as the event says. Events of others and those that end it change nothing.
    pub(crate) fn apply(&mut self, event: &Event, at: UnixMillis) {
        match event {
            Event::WorkflowEntered { workflow, version, start, .. } => {
                let (workflow, version, element) = (workflow.clone(), *version, *start);
                self.frames.push(Frame { workflow, version, element, since: at, entered_at: at });
            }
            Event::WorkflowLeft { .. } => drop(self.frames.pop()),
            Event::WorkflowsLeft { .. } => self.frames.clear(),
            Event::Entered { element, index, .. } => self.enter(element, *index, at),
            Event::CallRequested { call, deployment, visit, attempt, .. } => {
                self.become_(
                    State::Routing { call: *call, deployment: deployment.clone(), visit: *visit, attempt: *attempt },
                    at,
                );
            }
            Event::EndpointCalled { call, endpoint, visit, attempt, .. } => {
                let (call, endpoint, visit, attempt) = (*call, endpoint.clone(), *visit, *attempt);
                self.become_(State::Calling { call, endpoint, visit, attempt, retry_at: None }, at);
            }
            Event::EndpointAnswered { retry_at: Some(due), .. } => {
                if let State::Calling { attempt, retry_at, .. } = &mut self.state {
                    *attempt = attempt.saturating_add(1);
                    *retry_at = Some(*due);
                }
            }
            Event::Answered { .. } | Event::Failed { .. } | Event::EndpointAnswered { .. } | Event::WorkDone { .. } => {
                self.become_(State::Moving, at);
            }
            Event::PrioritySet { priority, .. } => self.priority = *priority,
            Event::TargetSet { target, .. } => self.target = target.clone().map(Box::new),
            Event::Hopped { .. } => self.hops = self.hops.saturating_add(1),
            Event::Waiting { until, .. } => self.become_(State::Waiting { until: *until }, at),
            Event::Queued { position, .. } => {
                self.refusals.clear();
                self.become_(State::Queued(QueuePosition::clone(position)), at);
            }
            Event::Relaxed { wants, step, next, .. } => {
                if let State::Queued(position) = &mut self.state {
                    position.wants.clone_from(wants);
                    position.step = *step;
                    position.relax_at = *next;
                    position.follows = false;
                }
            }
            Event::Retargeted { wants, .. } => {
                if let State::Queued(position) = &mut self.state {
                    position.wants.clone_from(wants);
                }
            }
            Event::Taken { by, .. } => {
                let position = match self.take_state() {
                    State::Queued(position) | State::Offered { position, .. } => position,
                    State::Assigned(assignment) => assignment.position.after_work(self.since, at),
                    other => return self.state = other,
                };
                self.assign(by.clone(), None, position, None, None, at);
            }
            Event::Released { .. } => match self.take_state() {
                State::Assigned(assignment) => {
                    let position = assignment.position.after_work(self.since, at);
                    let position = QueuePosition { since: at, ..position };
                    self.become_(State::Queued(position), at);
                }
                other => self.state = other,
            },
            Event::Offered { offer, .. } => match self.take_state() {
                State::Queued(position) => {
                    self.become_(State::Offered { position, offers: vec![offer.clone()] }, at);
                }
                State::Offered { position, mut offers } => {
                    offers.push(offer.clone());
                    self.state = State::Offered { position, offers };
                }
                State::Assigned(mut assignment) => {
                    if let Some(transfer) = &mut assignment.transfer {
                        transfer.asked.push(offer.agent.clone());
                        transfer.offer = Some(offer.clone());
                    }
                    self.state = State::Assigned(assignment);
                }
                other => self.state = other,
            },
            Event::OfferEnded { offer, agent, how, ready_by, .. } => {
                self.offer_ended(*offer, at);
                // Whoever did not answer has refused nothing: it rests a while, or is not ready, and may be asked again.
                if let OfferEnd::Declined { .. } = how {
                    self.refusals.retain(|refusal| refusal.agent != *agent);
                    self.refusals.push(Refusal { agent: agent.clone(), ready_by: *ready_by });
                }
            }
            Event::Assigned { agent, offer, idle_until, .. } => {
                let position = match self.take_state() {
                    State::Queued(position) | State::Offered { position, .. } => position,
                    State::Assigned(assignment) => assignment.position.after_work(self.since, at),
                    other => return self.state = other,
                };
                self.assign(agent.to_string(), Some(agent.clone()), position, *offer, *idle_until, at);
            }
            Event::AttentionSet { attention, idle_until, .. } => {
                if let State::Assigned(assignment) = &mut self.state {
                    assignment.attention = *attention;
                    assignment.idle_until = *idle_until;
                }
            }
            Event::TransferBegan { to, until, .. } => {
                if let State::Assigned(assignment) = &mut self.state {
                    let (to, until) = (to.clone(), *until);
                    assignment.transfer = Some(Transfer { to, until, asked: Vec::new(), offer: None });
                }
            }
            Event::TransferFailed { .. } => {
                if let State::Assigned(assignment) = &mut self.state {
                    assignment.transfer = None;
                }
            }
            Event::WrapUpStarted { agent, disposition, until, .. } => {
                let queue = self.position().map(|position| position.queue.clone());
                let wrap_up = WrapUp { agent: agent.clone(), disposition: disposition.clone(), until: *until, queue };
                self.become_(State::WrapUp(Box::new(wrap_up)), at);
            }
            Event::Scheduled { until, workflow, .. } => {
                self.become_(State::Scheduled { until: *until, workflow: workflow.clone() }, at);
            }
            Event::Began { .. } => self.become_(State::Moving, at),
            Event::CallbackBooked { rules, number, at, .. } => {
                let (rules, number) = (rules.clone(), number.clone());
                self.callback = Some(Box::new(Callback { rules, number, at: *at, attempts: 0, outcome: None }));
            }
            Event::CallbackRescheduled { at, .. } => {
                if let Some(callback) = &mut self.callback {
                    callback.at = *at;
                }
            }
            Event::CallbackAttempted { attempt, outcome, .. } => {
                if let Some(callback) = &mut self.callback {
                    callback.at = None;
                    callback.attempts = *attempt;
                    callback.outcome = Some(*outcome);
                }
            }
            Event::Marked { marks, .. } => self.marks.clone_from(marks),
            Event::Parked { park, .. } => self.become_(State::Parked(Box::new(park.clone())), at),
            Event::Resumed { version, .. } => {
                // A loop passes several elements: each of them may be entered as often as before.
                self.visits.clear();
                if let Some(frame) = self.frames.last_mut() {
                    frame.version = *version;
                }
                self.become_(State::Moving, at);
            }
            _ => {}
        }
    }

    fn take_state(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Moving)
    }

    fn assign(
        &mut self,
        by: String,
        agent: Option<Name>,
        position: QueuePosition,
        offer: Option<OfferId>,
        idle_until: Option<UnixMillis>,
        at: UnixMillis,
    ) {
        let attention = Attention::Active;
        let assignment = Assignment { by, agent, position, offer, attention, transfer: None, idle_until };
        self.become_(State::Assigned(Box::new(assignment)), at);
    }

    /// Takes an offer away; with the last one it waits in its queue again.
    fn offer_ended(&mut self, id: OfferId, at: UnixMillis) {
        match self.take_state() {
            State::Offered { position, mut offers } => {
                offers.retain(|offer| offer.id != id);
                if offers.is_empty() {
                    self.become_(State::Queued(position), at);
                } else {
                    self.state = State::Offered { position, offers };
                }
            }
            State::Assigned(mut assignment) => {
                if let Some(transfer) = &mut assignment.transfer {
                    transfer.offer.take_if(|offer| offer.id == id);
                }
                self.state = State::Assigned(assignment);
            }
            other => self.state = other,
        }
    }

    fn become_(&mut self, state: State, at: UnixMillis) {
        self.state = state;
        self.since = at;
    }

    fn enter(&mut self, element: &Name, index: u16, at: UnixMillis) {
        let Some(frame) = self.frames.last_mut() else { return };
        frame.element = index;
        frame.entered_at = at;
        let workflow = &frame.workflow;
        match self.visits.iter_mut().find(|v| v.element == *element && v.workflow == *workflow) {
            Some(visit) => visit.count = visit.count.saturating_add(1),
            None => self.visits.push(Visit { workflow: workflow.clone(), element: element.clone(), count: 1 }),
        }
    }
}

/// Makes one row's names share their text with all others: a million rows hold few different names.
pub(crate) fn intern(live: &mut Live, names: &mut std::collections::BTreeSet<Name>) {
    let mut share = |name: &mut Name| match names.get(name.as_str()) {
        Some(known) => *name = known.clone(),
        None => drop(names.insert(name.clone())),
    };
    share(&mut live.media_type);
    if let Some(callback) = &mut live.callback {
        share(&mut callback.rules);
    }
    for frame in &mut live.frames {
        share(&mut frame.workflow);
    }
    for visit in &mut live.visits {
        share(&mut visit.workflow);
        share(&mut visit.element);
    }
    match &mut live.state {
        State::Queued(position) | State::Offered { position, .. } => share(&mut position.queue),
        State::Assigned(assignment) => share(&mut assignment.position.queue),
        State::Routing { deployment, .. } => share(deployment),
        State::Calling { endpoint, .. } => share(endpoint),
        State::WrapUp(wrap_up) => wrap_up.queue.iter_mut().for_each(share),
        State::Scheduled { workflow, .. } => share(workflow),
        State::Moving | State::Waiting { .. } | State::Parked(_) => {}
    }
    live.visits.shrink_to_fit();
    live.marks.shrink_to_fit();
    live.frames.shrink_to_fit();
}
