//! Finds every fault of a workflow at once, before it is put: a designer should not have to meet them one by one.
//!
//! What depends on other documents (standard responses, calendars, deployments, other workflows) is checked as they stand
//! now. They may change later, so whoever walks a workflow still has to be ready for a document that is gone.
//!
//! Invariant: a workflow without a fault can be made a [`Flow`](crate::Flow), and everything that can come out of one of
//! its elements when nothing fails has somewhere to go.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use utoipa::ToSchema;

use crate::condition::Condition;
use crate::configuration::Configuration;
use crate::content::Entry;
use crate::decision::{Destination, Reply, Target};
use crate::endpoint::{CallRequest, pointer_fault};
use crate::id::Name;
use crate::limits::{
    CONNECTORS_MAX, DEPTH_MAX, ELEMENTS_MAX, ENTRIES_MAX, KEY_BYTES_MAX, RELAXATIONS_MAX, REPLY_BYTES_MAX,
    VALUE_BYTES_MAX,
};
use crate::segment::Segment;
use crate::staffing;
use crate::workflow::{Connector, DEFAULT, Element, ElementKind, Relaxation, Workflow};

/// Something in a workflow that has to be put right first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Fault {
    /// The element at fault; none where it is the whole.
    #[schema(value_type = Option<String>)]
    pub element: Option<Name>,
    /// Stable, in kebab-case.
    #[schema(value_type = String)]
    pub code: &'static str,
    /// What is wrong and what to do, in a sentence.
    pub message: String,
}

/// Most bytes of all conditions together, so that compiling a document stays well within a second.
const CONDITIONS_BYTES_MAX: usize = 64 * 1024;
/// Longest wait: 366 days.
const WAIT_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1000;
/// Elements that are named in one message.
const NAMED_MAX: usize = 12;
/// Outcomes with a meaning of their own, which no one may give another.
const RESERVED: [&str; 3] = [DEFAULT, "error", "timeout"];
/// Outcome of an `end` element that names none.
const COMPLETED: &str = "completed";

/// Every fault of a workflow among these documents: first those of the whole, then those of each element in the order of
/// the document, then those of each connector, then those of the paths. Empty where it can be put.
#[must_use]
pub fn validate(workflow: &Workflow, configuration: &Configuration) -> Vec<Fault> {
    let mut check = Check::new(workflow, configuration);
    if !check.size() {
        return check.faults;
    }
    check.starts();
    for at in 0..workflow.elements.len() {
        check.element(at);
    }
    check.connectors();
    for at in 0..workflow.elements.len() {
        check.exits(at);
    }
    check.paths();
    check.loops();
    check.calls();
    check.faults
}

/// A workflow on the way through its checks.
struct Check<'a> {
    workflow: &'a Workflow,
    configuration: &'a Configuration,
    /// Place of the first element of each identifier.
    index: BTreeMap<&'a Name, usize>,
    /// What can come out of each element.
    exits: Vec<Exits>,
    /// Outcomes of each element that have a connector.
    taken: Vec<BTreeSet<&'a str>>,
    /// Elements that follow each element.
    next: Vec<Vec<usize>>,
    faults: Vec<Fault>,
}

/// What can come out of an element.
#[derive(Default)]
struct Exits {
    /// Each needs a connector, or `default` where the element has that.
    required: BTreeSet<String>,
    /// Each may have one.
    optional: BTreeSet<String>,
    /// Whether others may have one too, for it is not known yet what comes out.
    open: bool,
}

impl Exits {
    fn new(required: &[&str], optional: &[&str]) -> Self {
        let own = |outcomes: &[&str]| outcomes.iter().map(|outcome| (*outcome).to_owned()).collect();
        Self { required: own(required), optional: own(optional), open: false }
    }

    fn may_have(&self, outcome: &str) -> bool {
        self.open || self.required.contains(outcome) || self.optional.contains(outcome)
    }

    fn list(&self) -> String {
        let all: Vec<String> = self.required.union(&self.optional).map(|outcome| format!("`{outcome}`")).collect();
        shortened(&all)
    }
}

impl<'a> Check<'a> {
    fn new(workflow: &'a Workflow, configuration: &'a Configuration) -> Self {
        let mut index = BTreeMap::new();
        for (at, element) in workflow.elements.iter().enumerate() {
            index.entry(&element.id).or_insert(at);
        }
        let count = workflow.elements.len();
        Self {
            workflow,
            configuration,
            index,
            exits: Vec::with_capacity(count),
            taken: vec![BTreeSet::new(); count],
            next: vec![Vec::new(); count],
            faults: Vec::new(),
        }
    }

    fn whole(&mut self, code: &'static str, message: impl Into<String>) {
        self.faults.push(Fault { element: None, code, message: message.into() });
    }

    fn at(&mut self, element: &Name, code: &'static str, message: impl Into<String>) {
        self.faults.push(Fault { element: Some(element.clone()), code, message: message.into() });
    }

    /// Whether it is small enough to be looked at any further.
    fn size(&mut self) -> bool {
        let Workflow { elements, connectors, description, .. } = self.workflow;
        if elements.is_empty() {
            self.whole("elements-missing", "The workflow is empty: begin with a `start` and an `end` element.");
        }
        if elements.len() > ELEMENTS_MAX {
            let message = format!(
                "The workflow has {} elements, at most {ELEMENTS_MAX}: move a part to a sub-workflow.",
                elements.len()
            );
            self.whole("elements-too-many", message);
        }
        if connectors.len() > CONNECTORS_MAX {
            let message = format!(
                "The workflow has {} connectors, at most {CONNECTORS_MAX}: move a part to a sub-workflow.",
                connectors.len()
            );
            self.whole("connectors-too-many", message);
        }
        if description.len() > VALUE_BYTES_MAX {
            self.whole("description-too-long", format!("Shorten the description to at most {VALUE_BYTES_MAX} bytes."));
        }
        let conditions = elements.iter().filter_map(|element| match &element.kind {
            ElementKind::Condition { expression } => Some(expression.len()),
            _ => None,
        });
        let conditions: usize = conditions.sum();
        if conditions > CONDITIONS_BYTES_MAX {
            let message = format!(
                "All conditions together have {conditions} bytes, at most {CONDITIONS_BYTES_MAX}: shorten some of them."
            );
            self.whole("conditions-too-long", message);
        }
        conditions <= CONDITIONS_BYTES_MAX
            && !elements.is_empty()
            && elements.len() <= ELEMENTS_MAX
            && connectors.len() <= CONNECTORS_MAX
    }

    fn starts(&mut self) {
        let workflow = self.workflow;
        let mut starts = workflow.elements.iter().filter(|element| matches!(element.kind, ElementKind::Start));
        match starts.next() {
            None => self.whole("start-missing", "No element is a `start`: add one, so that interactions can enter."),
            Some(first) => {
                for other in starts {
                    let message =
                        format!("`{}` is a second `start` beside `{}`: keep one of them.", other.id, first.id);
                    self.at(&other.id, "start-doubled", message);
                }
            }
        }
    }

    /// One element by itself, and what can come out of it.
    fn element(&mut self, at: usize) {
        let Element { id, kind } = &self.workflow.elements[at];
        if self.index[id] != at {
            self.at(
                id,
                "element-doubled",
                format!("Two elements are called `{id}`: give one of them another identifier."),
            );
        }
        let exits = match kind {
            ElementKind::Start => Exits::new(&["next"], &[]),
            ElementKind::Strategy => self.strategy(id),
            ElementKind::Condition { expression } => {
                self.condition(id, expression);
                Exits::new(&["true", "false"], &["error"])
            }
            ElementKind::Segment { by } => self.segment(id, by),
            ElementKind::Queue { timeout_ms, target, relaxations, overflow_length, leave_without_agents, .. } => {
                self.targets(id, target.as_ref(), relaxations);
                if *overflow_length == Some(0) {
                    let message = format!("`{id}` overflows at a length of 0: give at least 1, or leave it out.");
                    self.at(id, "queue-invalid", message);
                }
                if *timeout_ms == Some(0) {
                    let message = format!(
                        "`{id}` times out after 0 ms: give at least 1, or leave `timeout_ms` out to wait for ever."
                    );
                    self.at(id, "queue-invalid", message);
                }
                let may = [
                    (timeout_ms.is_some(), "timeout"),
                    (overflow_length.is_some(), "overflow"),
                    (*leave_without_agents, "no-agents"),
                ];
                let must: Vec<&str> = may.iter().filter(|(may, _)| *may).map(|(_, outcome)| *outcome).collect();
                Exits::new(&[&[COMPLETED], must.as_slice()].concat(), &["error", "declined-by-all"])
            }
            ElementKind::Call { endpoint, request, response } => {
                self.call(id, endpoint, request, response);
                Exits::new(&["ok", "refused"], &["error", "timeout"])
            }
            ElementKind::Reply { reply, .. } => {
                self.reply(id, reply);
                Exits::new(&["next"], &["error"])
            }
            ElementKind::Forward { to } => {
                self.forward(id, to);
                Exits::new(&["next"], &["error"])
            }
            ElementKind::Wait { duration_ms, until_open } => {
                self.wait(id, *duration_ms, until_open.as_ref());
                Exits::new(&["next"], &["error"])
            }
            ElementKind::Workflow { workflow } => self.sub_workflow(id, workflow),
            ElementKind::End { disposition, outcome } => {
                if disposition.as_ref().is_some_and(|code| code.is_empty() || code.len() > KEY_BYTES_MAX) {
                    let message = format!("The disposition code of `{id}` must have 1 to {KEY_BYTES_MAX} bytes.");
                    self.at(id, "end-invalid", message);
                }
                if let Some(outcome) = outcome.as_ref().filter(|outcome| RESERVED.contains(&outcome.as_str())) {
                    let message =
                        format!("`{id}` ends by `{outcome}`, which is reserved: give the outcome another name.");
                    self.at(id, "outcome-reserved", message);
                }
                Exits::default()
            }
        };
        self.exits.push(exits);
    }

    fn condition(&mut self, id: &Name, expression: &str) {
        match Condition::drawn(expression) {
            Err(error) => {
                self.at(id, "condition-invalid", format!("The expression of `{id}` cannot be used: {error}."));
            }
            Ok(condition) => {
                for figure in condition.figures() {
                    if let Err(why) = figure.check(self.configuration, self.workflow) {
                        self.at(id, "statistic-unknown", format!("The expression of `{id}` reads {figure}: {why}."));
                    }
                }
            }
        }
    }

    /// What the deployments that are bound here declare. Anything, where none is bound.
    fn strategy(&self, id: &Name) -> Exits {
        let mut exits = Exits::new(&[], &[DEFAULT, "error", "timeout"]);
        let Some(binding) = self.configuration.binding(&self.workflow.name, id) else {
            return Exits { open: true, ..exits };
        };
        let deployments: Vec<_> =
            binding.serving().filter_map(|name| self.configuration.deployments.get(name)).collect();
        // Without all of them it is not known what may come out.
        exits.open = deployments.len() < binding.serving().count() || deployments.is_empty();
        exits.required =
            deployments.iter().flat_map(|d| &d.manifest.outcomes).map(|outcome| outcome.name.clone()).collect();
        exits.optional.extend(binding.on_failure.outcome.as_ref().map(ToString::to_string));
        exits
    }

    fn segment(&mut self, id: &Name, by: &Segment) -> Exits {
        for sentence in by.check() {
            self.at(id, "segment-invalid", format!("`{id}` cannot split: {sentence}."));
        }
        let mut exits = Exits::new(&by.outcomes(), &[DEFAULT]);
        match by {
            Segment::Open { calendar } => self.calendar(id, calendar),
            // There are always interactions that no value fits.
            Segment::Attribute { .. } => drop(exits.required.insert(DEFAULT.to_owned())),
            Segment::Share(_) => {}
        }
        exits
    }

    /// Whom a queue element waits for, now and later.
    fn targets(&mut self, id: &Name, target: Option<&Target>, relaxations: &[Relaxation]) {
        for target in target.into_iter().chain(relaxations.iter().map(|r| &r.target)) {
            if let Err(rejection) = staffing::check_target(self.configuration, target) {
                self.at(id, "target-invalid", format!("`{id}` cannot wait for its target: {rejection}."));
            }
        }
        let grows = relaxations.windows(2).all(|pair| pair[0].after_ms < pair[1].after_ms);
        if relaxations.len() > RELAXATIONS_MAX || !grows || relaxations.first().is_some_and(|r| r.after_ms == 0) {
            let message = format!(
                "The relaxations of `{id}` must be at most {RELAXATIONS_MAX}, from 1 ms on, each later than the one before."
            );
            self.at(id, "relaxations-invalid", message);
        }
    }

    fn calendar(&mut self, id: &Name, calendar: &Name) {
        if !self.configuration.calendars.contains_key(calendar) {
            let message = format!(
                "`{id}` looks at the calendar `{calendar}`, which is not there: put it first, or name another."
            );
            self.at(id, "calendar-unknown", message);
        }
    }

    fn reply(&mut self, id: &Name, reply: &Reply) {
        match reply {
            Reply::Standard { name, fields } => {
                if !self.configuration.responses.contains_key(name.as_str()) {
                    let name: String = name.chars().take(Name::BYTES_MAX).collect();
                    let message = format!(
                        "`{id}` sends the standard response `{name}`, which is not there: put it first, or name another."
                    );
                    self.at(id, "response-unknown", message);
                }
                let fits = |entry: &Entry| {
                    (1..=KEY_BYTES_MAX).contains(&entry.key.len()) && entry.value.len() <= VALUE_BYTES_MAX
                };
                if fields.len() > ENTRIES_MAX || !fields.iter().all(fits) {
                    let message = format!(
                        "The fields of `{id}` are too many or too long: at most {ENTRIES_MAX}, keys of 1 to {KEY_BYTES_MAX} bytes, values of at most {VALUE_BYTES_MAX}."
                    );
                    self.at(id, "reply-invalid", message);
                }
            }
            Reply::Text { subject, body } => {
                let bytes = body.len() + subject.as_ref().map_or(0, String::len);
                if body.is_empty() {
                    self.at(id, "reply-invalid", format!("`{id}` sends an empty text: write one."));
                }
                if bytes > REPLY_BYTES_MAX {
                    let message =
                        format!("The text of `{id}` has {bytes} bytes: shorten it to at most {REPLY_BYTES_MAX}.");
                    self.at(id, "reply-invalid", message);
                }
            }
        }
    }

    fn forward(&mut self, id: &Name, to: &Destination) {
        match to {
            Destination::Queue(queue) => {
                if !self.configuration.queues.contains_key(queue.as_str()) {
                    let queue: String = queue.chars().take(Name::BYTES_MAX).collect();
                    let message = format!(
                        "`{id}` forwards to the queue `{queue}`, which is not there: put it first, or name another."
                    );
                    self.at(id, "queue-unknown", message);
                }
            }
            Destination::Address(address) => {
                if address.trim().is_empty() || address.len() > VALUE_BYTES_MAX || address.contains(char::is_control) {
                    let message =
                        format!("`{id}` forwards to no usable address: give a mail address or a telephone number.");
                    self.at(id, "forward-invalid", message);
                }
            }
            Destination::Url(url) => {
                if !self.configuration.webhooks.values().any(|webhook| webhook.covers(url)) {
                    let message = format!(
                        "`{id}` forwards to an address that no webhook of the account begins: put the webhook first."
                    );
                    self.at(id, "webhook-unknown", message);
                }
            }
        }
    }

    /// Whom a call element asks, what it sends and what it takes.
    fn call(&mut self, id: &Name, endpoint: &Name, request: &CallRequest, response: &BTreeMap<String, String>) {
        if !self.configuration.endpoints.contains_key(endpoint) {
            let message =
                format!("`{id}` asks the endpoint `{endpoint}`, which is not there: put it first, or name another.");
            self.at(id, "endpoint-unknown", message);
        }
        let keys = || request.user_data.iter().chain(response.keys());
        let many = request.user_data.len().max(response.len()) > ENTRIES_MAX;
        if many || !keys().all(|key| (1..=KEY_BYTES_MAX).contains(&key.len())) {
            let message = format!(
                "`{id}` sends or takes too much: at most {ENTRIES_MAX} items each, keys of 1 to {KEY_BYTES_MAX} bytes."
            );
            self.at(id, "call-invalid", message);
        }
        for (key, pointer) in response.iter().take(ENTRIES_MAX) {
            if let Some(fault) = pointer_fault(pointer) {
                let key: String = key.chars().take(KEY_BYTES_MAX).collect();
                let message = format!("The JSON pointer that `{id}` takes `{key}` by cannot be used: {fault}.");
                self.at(id, "pointer-invalid", message);
            }
        }
    }

    fn wait(&mut self, id: &Name, duration_ms: Option<u64>, until_open: Option<&Name>) {
        match (duration_ms, until_open) {
            (Some(1..=WAIT_MS_MAX), None) => {}
            (Some(_), None) => {
                let message = format!("`{id}` must wait for 1 to {WAIT_MS_MAX} ms, which are 366 days.");
                self.at(id, "wait-invalid", message);
            }
            (None, Some(calendar)) => self.calendar(id, calendar),
            (None, None) => {
                let message = format!("`{id}` does not say how long it waits: give `duration_ms` or `until_open`.");
                self.at(id, "wait-invalid", message);
            }
            (Some(_), Some(_)) => {
                let message = format!("`{id}` has both `duration_ms` and `until_open`: keep one of them.");
                self.at(id, "wait-invalid", message);
            }
        }
    }

    fn sub_workflow(&mut self, id: &Name, name: &Name) -> Exits {
        let exits = Exits::new(&[], &[DEFAULT, "error"]);
        let Some(called) = self.document(name) else {
            let message =
                format!("`{id}` runs the workflow `{name}`, which is not there: put it first, or name another.");
            self.at(id, "workflow-unknown", message);
            return Exits { open: true, ..exits };
        };
        let ends = called.elements.iter().filter_map(|element| match &element.kind {
            ElementKind::End { outcome, .. } => Some(outcome.as_ref().map_or(COMPLETED, Name::as_str).to_owned()),
            _ => None,
        });
        Exits { required: ends.collect(), ..exits }
    }

    /// A workflow as it would be after this one was put.
    fn document(&self, name: &Name) -> Option<&'a Workflow> {
        if *name == self.workflow.name {
            return Some(self.workflow);
        }
        self.configuration.workflow(name.as_str()).map(|flow| &flow.workflow)
    }

    /// Each connector by itself. What stands keeps its meaning: of doubled ones the first counts.
    fn connectors(&mut self) {
        for Connector { from, outcome, to } in &self.workflow.connectors {
            let (source, target) = (self.index.get(from).copied(), self.index.get(to).copied());
            if source.is_none() {
                let message = format!(
                    "A connector leaves `{from}` by `{outcome}`, but there is no such element: add it, or take the connector out."
                );
                self.at(from, "connector-from-unknown", message);
            }
            if target.is_none() {
                let message = format!(
                    "The connector from `{from}` by `{outcome}` leads to `{to}`, but there is no such element: add it, or lead elsewhere."
                );
                self.at(from, "connector-to-unknown", message);
            }
            if target.is_some_and(|at| matches!(self.workflow.elements[at].kind, ElementKind::Start)) {
                let message = format!(
                    "The connector from `{from}` by `{outcome}` leads into the start `{to}`: lead it to the element after that."
                );
                self.at(from, "connector-into-start", message);
            }
            let Some(source) = source else { continue };
            if matches!(self.workflow.elements[source].kind, ElementKind::End { .. }) {
                self.at(
                    from,
                    "connector-from-end",
                    format!("`{from}` is an end: take the connector by `{outcome}` out."),
                );
                continue;
            }
            if !self.taken[source].insert(outcome.as_str()) {
                let message = format!("Two connectors leave `{from}` by `{outcome}`: keep one of them.");
                self.at(from, "connector-doubled", message);
                continue;
            }
            if !self.exits[source].may_have(outcome.as_str()) {
                self.outcome_unknown(source, outcome);
            }
            if let Some(target) = target {
                self.next[source].push(target);
            }
        }
    }

    fn outcome_unknown(&mut self, source: usize, outcome: &Name) {
        let Element { id, kind } = &self.workflow.elements[source];
        let can = self.exits[source].list();
        let message = match kind {
            ElementKind::Strategy => format!(
                "No strategy that is bound at `{id}` answers `{outcome}`: take the connector out, or one of {can}."
            ),
            ElementKind::Queue { timeout_ms: None, .. } if *outcome == "timeout" => {
                format!("`{id}` never times out: give it `timeout_ms`, or take the connector by `timeout` out.")
            }
            _ => format!("`{id}` is never left by `{outcome}`: take the connector out, or one of {can}."),
        };
        self.at(id, "outcome-unknown", message);
    }

    /// What can come out of an element and has nowhere to go.
    fn exits(&mut self, at: usize) {
        let id = &self.workflow.elements[at].id;
        // Connectors belong to the first of doubled elements.
        if self.index[id] != at {
            return;
        }
        let taken = &self.taken[at];
        let missing: Vec<String> = self.exits[at]
            .required
            .iter()
            .filter(|outcome| !taken.contains(outcome.as_str()))
            .filter(|_| !(taken.contains(DEFAULT) && self.exits[at].may_have(DEFAULT)))
            .cloned()
            .collect();
        for outcome in missing {
            let instead =
                if self.exits[at].optional.contains(DEFAULT) && outcome != DEFAULT { ", or by `default`" } else { "" };
            let message = format!(
                "`{id}` can be left by `{outcome}` and then leads nowhere: add a connector by `{outcome}`{instead}."
            );
            self.at(id, "connector-missing", message);
        }
    }

    /// What the start leads to.
    fn paths(&mut self) {
        let elements = &self.workflow.elements;
        let starts = (0..elements.len()).filter(|at| matches!(elements[*at].kind, ElementKind::Start));
        let mut waiting: Vec<usize> = starts.collect();
        if waiting.is_empty() {
            return;
        }
        let mut reached = BTreeSet::new();
        while let Some(at) = waiting.pop() {
            if reached.insert(at) {
                waiting.extend(&self.next[at]);
            }
        }
        for (at, element) in elements.iter().enumerate() {
            if !reached.contains(&at) && self.index[&element.id] == at {
                let message = format!("Nothing leads from the start to `{}`: connect it, or take it out.", element.id);
                self.at(&element.id, "element-unreachable", message);
            }
        }
        if !reached.iter().any(|at| matches!(elements[*at].kind, ElementKind::End { .. })) {
            self.whole(
                "end-missing",
                "The start leads to no `end`, so that no interaction is ever finished: add one and connect it.",
            );
        }
    }

    /// Circles that nothing slows down: an interaction would go round until it is parked.
    fn loops(&mut self) {
        let rests: Vec<bool> = self.workflow.elements.iter().map(|element| self.rests(&element.kind)).collect();
        let next: Vec<Vec<usize>> = self
            .next
            .iter()
            .enumerate()
            .map(
                |(at, next)| {
                    if rests[at] { Vec::new() } else { next.iter().copied().filter(|to| !rests[*to]).collect() }
                },
            )
            .collect();
        for circle in circles(&next) {
            let names: Vec<String> = circle.iter().map(|at| format!("`{}`", self.workflow.elements[*at].id)).collect();
            let first = &self.workflow.elements[circle[0]].id;
            let message = format!(
                "Interactions can go round without a rest through {}: put a `wait` or a `queue` in between.",
                shortened(&names)
            );
            self.at(first, "loop-endless", message);
        }
    }

    /// Whether an interaction may stay at an element for a while. A sub-workflow counts where it has such an element.
    fn rests(&self, kind: &ElementKind) -> bool {
        let stays = |kind: &ElementKind| matches!(kind, ElementKind::Queue { .. } | ElementKind::Wait { .. });
        match kind {
            ElementKind::Workflow { workflow } if *workflow != self.workflow.name => {
                self.document(workflow).is_some_and(|called| called.elements.iter().any(|element| stays(&element.kind)))
            }
            _ => stays(kind),
        }
    }

    /// Workflows that come back to this one, or that go too deep.
    fn calls(&mut self) {
        let this = &self.workflow.name;
        let mut recursive = false;
        let mut seen = BTreeSet::new();
        for Element { id, kind } in &self.workflow.elements {
            let ElementKind::Workflow { workflow } = kind else {
                continue;
            };
            if !seen.insert(workflow) {
                continue;
            }
            if let Some(path) = self.path_back(workflow) {
                let names: Vec<String> = path.iter().map(|name| format!("`{name}`")).collect();
                let message = format!(
                    "`{id}` runs {}, and so `{this}` would run itself: break the circle.",
                    names.join(", which runs ")
                );
                self.at(id, "workflow-recursive", message);
                recursive = true;
            }
        }
        let mut level = BTreeSet::from([this]);
        for _ in 0..=DEPTH_MAX {
            level = level.iter().flat_map(|name| self.called(name)).collect();
        }
        if !level.is_empty() && !recursive {
            let message = format!("Sub-workflows stand more than {DEPTH_MAX} deep in each other: join some of them.");
            self.whole("workflows-too-deep", message);
        }
    }

    /// Workflows from `from` on that run each other, the last of which is this one.
    fn path_back(&self, from: &'a Name) -> Option<Vec<&'a Name>> {
        let this = &self.workflow.name;
        let mut before: BTreeMap<&Name, Option<&Name>> = BTreeMap::from([(from, None)]);
        let mut waiting = std::collections::VecDeque::from([from]);
        while let Some(name) = waiting.pop_front() {
            if name == this {
                let mut path: Vec<&Name> = std::iter::successors(Some(name), |name| before[name]).collect();
                path.reverse();
                return Some(path);
            }
            for called in self.called(name) {
                before.entry(called).or_insert_with(|| {
                    waiting.push_back(called);
                    Some(name)
                });
            }
        }
        None
    }

    fn called(&self, name: &Name) -> impl Iterator<Item = &'a Name> + use<'a> {
        self.document(name).into_iter().flat_map(|workflow| &workflow.elements).filter_map(|element| {
            match &element.kind {
                ElementKind::Workflow { workflow } => Some(workflow),
                _ => None,
            }
        })
    }
}

/// Names in a sentence; the first few where there are many.
fn shortened(names: &[String]) -> String {
    match names.len().checked_sub(NAMED_MAX) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..NAMED_MAX].join(", ")),
    }
}

/// The strongly connected parts of a graph that hold a circle, each in ascending order, ordered by their first.
/// Tarjan's algorithm, with a stack of its own in place of recursion: a workflow may be one long line.
fn circles(next: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let count = next.len();
    let (mut number, mut low) = (vec![UNSEEN; count], vec![0; count]);
    let (mut open, mut is_open) = (Vec::new(), vec![false; count]);
    let mut circles = Vec::new();
    let mut counter = 0;
    for root in 0..count {
        // An element and how many of those that follow it were looked at.
        let mut walk: Vec<(usize, usize)> = if number[root] == UNSEEN { vec![(root, 0)] } else { Vec::new() };
        while let Some((at, done)) = walk.pop() {
            if done == 0 {
                (number[at], low[at]) = (counter, counter);
                counter += 1;
                open.push(at);
                is_open[at] = true;
            }
            if let Some(&to) = next[at].get(done) {
                walk.push((at, done + 1));
                if number[to] == UNSEEN {
                    walk.push((to, 0));
                } else if is_open[to] {
                    low[at] = low[at].min(number[to]);
                }
                continue;
            }
            if let Some(&(before, _)) = walk.last() {
                low[before] = low[before].min(low[at]);
            }
            if low[at] == number[at] {
                let first = open.iter().rposition(|member| *member == at).unwrap_or(0);
                let mut part = open.split_off(first);
                part.iter().for_each(|member| is_open[*member] = false);
                if part.len() > 1 || next[at].contains(&at) {
                    part.sort_unstable();
                    circles.push(part);
                }
            }
        }
    }
    circles.sort();
    circles
}

#[cfg(test)]
mod tests;
