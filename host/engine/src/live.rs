//! One interaction that has not ended: where it is, and what it waits for.
//!
//! Compact, for all of them are in memory. [`Live::apply`] is the only code that changes one.

use serde::{Deserialize, Serialize};

use crate::decision::Target;
use crate::event::{Event, Park};
use crate::id::{CallId, InteractionId, Name, Sequence, UnixMillis};

/// A place in a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The workflow.
    pub workflow: Name,
    /// Its version.
    pub version: u32,
    /// Index of the element.
    pub element: u16,
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

/// A place in a queue. Higher priority first, then who came first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePosition {
    /// The queue.
    pub queue: Name,
    /// When it came into the queue.
    pub since: UnixMillis,
    /// Orders those that came at the same moment.
    pub ticket: Sequence,
    /// When it leaves by `timeout`.
    pub timeout: Option<UnixMillis>,
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
    /// Whoever took it.
    Assigned {
        /// Who.
        by: String,
        /// The place that it goes back to if it is released.
        position: QueuePosition,
    },
    /// An operator.
    Parked(Box<Park>),
}

/// The state's name, as the API shows it and filters by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StateKind {
    /// A strategy is asked.
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
        }
    }
}

impl State {
    /// Its name.
    #[must_use]
    pub fn kind(&self) -> StateKind {
        match self {
            Self::Moving | Self::Routing { .. } => StateKind::Routing,
            Self::Waiting { .. } => StateKind::Waiting,
            Self::Queued(_) => StateKind::Queued,
            Self::Assigned { .. } => StateKind::Assigned,
            Self::Parked(_) => StateKind::Parked,
        }
    }
}

/// One interaction that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Where it is, the outermost workflow first. Empty for a copy or a redirected one, which only waits in a queue.
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
}

/// One interaction that has ended, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// `completed` or `cancelled`.
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
        }
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
            State::Waiting { until } => Some(*until),
            State::Queued(position) => position.timeout,
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

    /// What is kept of it once `event` has ended it.
    pub(crate) fn ended(&self, event: &Event, at: UnixMillis) -> Option<Ended> {
        let (state, disposition) = match event {
            Event::Completed { disposition, .. } => (StateKind::Completed, disposition),
            Event::Cancelled { reason, .. } => (StateKind::Cancelled, reason),
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
        })
    }

    /// Changes it as the event says. Events of others and those that end it change nothing.
    pub(crate) fn apply(&mut self, event: &Event, at: UnixMillis) {
        match event {
            Event::WorkflowEntered { workflow, version, start, .. } => {
                self.frames.push(Frame { workflow: workflow.clone(), version: *version, element: *start });
            }
            Event::WorkflowLeft { .. } => drop(self.frames.pop()),
            Event::WorkflowsLeft { .. } => self.frames.clear(),
            Event::Entered { element, index, .. } => self.enter(element, *index),
            Event::CallRequested { call, deployment, visit, attempt, .. } => {
                self.become_(
                    State::Routing { call: *call, deployment: deployment.clone(), visit: *visit, attempt: *attempt },
                    at,
                );
            }
            Event::Answered { .. } | Event::Failed { .. } | Event::WorkDone { .. } => {
                self.become_(State::Moving, at);
            }
            Event::PrioritySet { priority, .. } => self.priority = *priority,
            Event::TargetSet { target, .. } => self.target = target.clone().map(Box::new),
            Event::Hopped { .. } => self.hops = self.hops.saturating_add(1),
            Event::Waiting { until, .. } => self.become_(State::Waiting { until: *until }, at),
            Event::Queued { queue, ticket, timeout, .. } => {
                let position = QueuePosition { queue: queue.clone(), since: at, ticket: *ticket, timeout: *timeout };
                self.become_(State::Queued(position), at);
            }
            Event::Taken { by, .. } => {
                if let State::Queued(position) = std::mem::replace(&mut self.state, State::Moving) {
                    self.become_(State::Assigned { by: by.clone(), position }, at);
                }
            }
            Event::Released { .. } => {
                if let State::Assigned { position, .. } = std::mem::replace(&mut self.state, State::Moving) {
                    self.become_(State::Queued(position), at);
                }
            }
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

    fn become_(&mut self, state: State, at: UnixMillis) {
        self.state = state;
        self.since = at;
    }

    fn enter(&mut self, element: &Name, index: u16) {
        let Some(frame) = self.frames.last_mut() else { return };
        frame.element = index;
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
    for frame in &mut live.frames {
        share(&mut frame.workflow);
    }
    for visit in &mut live.visits {
        share(&mut visit.workflow);
        share(&mut visit.element);
    }
    match &mut live.state {
        State::Queued(position) | State::Assigned { position, .. } => share(&mut position.queue),
        State::Routing { deployment, .. } => share(deployment),
        State::Moving | State::Waiting { .. } | State::Parked(_) => {}
    }
    live.visits.shrink_to_fit();
    live.frames.shrink_to_fit();
}

/// Orders a queue: higher priority first, then who came first.
pub(crate) fn queue_rank(live: &Live, position: &QueuePosition, id: InteractionId) -> Rank {
    (std::cmp::Reverse(live.priority), position.since, position.ticket, id)
}

/// See [`queue_rank`].
pub(crate) type Rank = (std::cmp::Reverse<u16>, UnixMillis, Sequence, InteractionId);
