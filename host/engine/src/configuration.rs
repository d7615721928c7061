//! All that an account is configured with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::binding::Binding;
use crate::calendar::Calendar;
use crate::callbacks::CallbackRules;
use crate::capacity::CapacityRule;
use crate::decision::Target;
use crate::document::{
    Deployment, Document, DocumentKey, DocumentKind, Queue, Signer, SigningKey, Table, Token, Upload, Webhook,
};
use crate::endpoint::Endpoint;
use crate::id::Name;
use crate::replay::ReplayReport;
use crate::response::Response;
use crate::skill_expression::SkillExpression;
use crate::staff::{Agent, AgentGroup, AgentRules, Place, PlaceGroup, SkillType};
use crate::statistic::{Asked, Statistic};
use crate::workflow::{ElementKind, Flow};

/// All documents of an account. A clone is cheap: a running call keeps what it began with.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// By digest.
    pub uploads: BTreeMap<Name, Arc<Upload>>,
    /// Every version of every workflow that something may still be in, by name and version.
    pub workflows: BTreeMap<Name, BTreeMap<u32, Arc<Flow>>>,
    /// By name.
    pub deployments: BTreeMap<Name, Arc<Deployment>>,
    /// Names of deployments that were deleted: what names one stands for it in all that was recorded.
    pub retired: imbl::OrdSet<Name>,
    /// By workflow and element.
    pub bindings: BTreeMap<(Name, Name), Arc<Binding>>,
    /// By name.
    pub queues: BTreeMap<Name, Queue>,
    /// By name.
    pub calendars: BTreeMap<Name, Arc<Calendar>>,
    /// By name.
    pub responses: BTreeMap<Name, Arc<Response>>,
    /// By name.
    pub tokens: BTreeMap<Name, Token>,
    /// By name.
    pub webhooks: BTreeMap<Name, Arc<Webhook>>,
    /// By name.
    pub tables: BTreeMap<Name, Table>,
    /// By name.
    pub skills: BTreeMap<Name, SkillType>,
    /// By name.
    pub agents: BTreeMap<Name, Arc<Agent>>,
    /// By name.
    pub places: BTreeMap<Name, Place>,
    /// By name.
    pub agent_groups: BTreeMap<Name, Arc<AgentGroup>>,
    /// By name.
    pub place_groups: BTreeMap<Name, Arc<PlaceGroup>>,
    /// As they were put, or as they are where they never were.
    pub agent_rules: Arc<AgentRules>,
    /// By name.
    pub endpoints: BTreeMap<Name, Arc<Endpoint>>,
    /// By name.
    pub callback_rules: BTreeMap<Name, Arc<CallbackRules>>,
    /// By name. There are many: a copy shares what is not changed.
    pub statistics: imbl::OrdMap<Name, Arc<Statistic>>,
    /// What the statistics ask for.
    pub asked: Asked,
    /// Reports of replays, by name.
    pub replays: BTreeMap<Name, Arc<ReplayReport>>,
    /// By name.
    pub signing_keys: BTreeMap<Name, Arc<SigningKey>>,
}

impl Configuration {
    /// The newest version of a workflow.
    #[must_use]
    pub fn workflow(&self, name: &str) -> Option<&Arc<Flow>> {
        self.workflows.get(name)?.last_key_value().map(|(_, flow)| flow)
    }

    /// One version of a workflow.
    #[must_use]
    pub fn flow(&self, name: &str, version: u32) -> Option<&Arc<Flow>> {
        self.workflows.get(name)?.get(&version)
    }

    /// The binding of a workflow's element.
    #[must_use]
    pub fn binding(&self, workflow: &Name, element: &Name) -> Option<&Arc<Binding>> {
        self.bindings.get(&(workflow.clone(), element.clone()))
    }

    /// The rule that an agent works by: its own, else that of the first of its groups, by name, that has one, else the
    /// account's.
    #[must_use]
    pub fn capacity(&self, agent: &Agent) -> CapacityRule {
        let of_group = || {
            let mut groups = self.agent_groups.values().filter(|group| group.capacity.is_some());
            groups.find(|group| group.contains(agent)).and_then(|group| group.capacity.clone())
        };
        agent.capacity.clone().or_else(of_group).unwrap_or_else(|| self.agent_rules.capacity.clone())
    }

    /// The queues whose interactions an agent may be offered, wherever it sits: by their own target, or by an element of
    /// a newest version.
    #[must_use]
    pub fn queues_for(&self, agent: &Agent) -> BTreeSet<Name> {
        let may = |target: &Target| match target {
            Target::Queue(_) => false,
            Target::Agent(name) => agent.name == name.as_str(),
            Target::AgentGroup(group) => self.agent_groups.get(group.as_str()).is_some_and(|g| g.contains(agent)),
            Target::PlaceGroup(_) | Target::LastAgent => true,
            Target::Skills(text) => SkillExpression::new(text).is_ok_and(|wanted| wanted.matches(&agent.skills)),
        };
        let own = self.queues.values().filter(|queue| queue.target.as_ref().is_some_and(may)).map(|queue| &queue.name);
        let elements = self.workflows.values().filter_map(BTreeMap::last_key_value);
        let elements = elements.flat_map(|(_, flow)| &flow.workflow.elements);
        let of_elements = elements.filter_map(|element| match &element.kind {
            ElementKind::Queue { queue, target, relaxations, .. } => {
                let mut targets = target.iter().chain(relaxations.iter().map(|step| &step.target));
                targets.any(may).then_some(queue)
            }
            _ => None,
        });
        own.chain(of_elements).cloned().collect()
    }

    /// Whether one of the keys that stand signed a version, or none is needed.
    #[must_use]
    pub fn is_vouched_for(&self, signed_by: Option<&Signer>) -> bool {
        self.signing_keys.is_empty() || signed_by.is_some_and(|signer| self.has_key_of(signer))
    }

    /// Whether a signer's key stands: another may have come under its name.
    #[must_use]
    pub fn has_key_of(&self, signer: &Signer) -> bool {
        self.signing_keys.get(&signer.key).is_some_and(|key| key.public_key == signer.public_key)
    }

    /// Whether a deployment has or had this name.
    #[must_use]
    pub fn knows_deployment(&self, name: &str) -> bool {
        self.deployments.contains_key(name) || self.retired.contains(name)
    }

    /// Puts a document in the place of the one with its key.
    pub fn put(&mut self, document: &Document) {
        match document.clone() {
            Document::Upload(u) => drop(self.uploads.insert(u.name(), u)),
            Document::Workflow(workflow, version) => {
                let name = workflow.name.clone();
                let flow = Flow::new(Arc::unwrap_or_clone(workflow), version)
                    .unwrap_or_else(|fault| panic!("a stored workflow was validated: {fault}"));
                self.workflows.entry(name).or_default().insert(version, Arc::new(flow));
            }
            Document::Deployment(d) => drop(self.deployments.insert(d.name.clone(), d)),
            Document::Binding(b) => drop(self.bindings.insert((b.workflow.clone(), b.element.clone()), b)),
            Document::Queue(q) => drop(self.queues.insert(q.name.clone(), q)),
            Document::Calendar(name, c) => drop(self.calendars.insert(name, c)),
            Document::Response(r) => drop(self.responses.insert(r.name.clone(), r)),
            Document::Token(t) => drop(self.tokens.insert(t.name.clone(), t)),
            Document::Webhook(w) => drop(self.webhooks.insert(w.name.clone(), w)),
            Document::Table(name, t) => drop(self.tables.insert(name, t)),
            Document::Skill(s) => drop(self.skills.insert(s.name.clone(), s)),
            Document::Agent(a) => drop(self.agents.insert(a.name.clone(), a)),
            Document::Place(p) => drop(self.places.insert(p.name.clone(), p)),
            Document::AgentGroup(g) => drop(self.agent_groups.insert(g.name.clone(), g)),
            Document::PlaceGroup(g) => drop(self.place_groups.insert(g.name.clone(), g)),
            Document::AgentRules(rules) => self.agent_rules = rules,
            Document::Endpoint(e) => drop(self.endpoints.insert(e.name.clone(), e)),
            Document::CallbackRules(r) => drop(self.callback_rules.insert(r.name.clone(), r)),
            Document::Statistic(statistic) => {
                self.asked.add(&statistic);
                if let Some(before) = self.statistics.insert(statistic.name.clone(), statistic) {
                    self.asked.take(&before);
                }
            }
            Document::Replay(report) => drop(self.replays.insert(report.name.clone(), report)),
            Document::SigningKey(key) => drop(self.signing_keys.insert(key.name.clone(), key)),
        }
    }

    /// Takes a document away.
    pub fn remove(&mut self, key: &DocumentKey) {
        let name = key.name.as_str();
        match key.kind {
            DocumentKind::Upload => drop(self.uploads.remove(name)),
            DocumentKind::Workflow => {
                if let Some(versions) = self.workflows.get_mut(name) {
                    versions.remove(&key.version);
                    if versions.is_empty() {
                        self.workflows.remove(name);
                    }
                }
            }
            DocumentKind::Deployment => {
                self.deployments.remove(name);
                self.retired.insert(key.name.clone());
            }
            DocumentKind::Binding => {
                if let Some(element) = &key.element {
                    self.bindings.remove(&(key.name.clone(), element.clone()));
                }
            }
            DocumentKind::Queue => drop(self.queues.remove(name)),
            DocumentKind::Calendar => drop(self.calendars.remove(name)),
            DocumentKind::Response => drop(self.responses.remove(name)),
            DocumentKind::Token => drop(self.tokens.remove(name)),
            DocumentKind::Webhook => drop(self.webhooks.remove(name)),
            DocumentKind::Table => drop(self.tables.remove(name)),
            DocumentKind::Skill => drop(self.skills.remove(name)),
            DocumentKind::Agent => drop(self.agents.remove(name)),
            DocumentKind::Place => drop(self.places.remove(name)),
            DocumentKind::AgentGroup => drop(self.agent_groups.remove(name)),
            DocumentKind::PlaceGroup => drop(self.place_groups.remove(name)),
            DocumentKind::AgentRules => self.agent_rules = Arc::default(),
            DocumentKind::Endpoint => drop(self.endpoints.remove(name)),
            DocumentKind::CallbackRules => drop(self.callback_rules.remove(name)),
            DocumentKind::Statistic => {
                if let Some(before) = self.statistics.remove(name) {
                    self.asked.take(&before);
                }
            }
            DocumentKind::Replay => drop(self.replays.remove(name)),
            DocumentKind::SigningKey => drop(self.signing_keys.remove(name)),
        }
    }

    /// Every document, kinds in the order in which they are loaded.
    pub fn documents(&self) -> impl Iterator<Item = Document> + '_ {
        let workflows = self.workflows.values().flat_map(|versions| {
            versions.iter().map(|(v, flow)| Document::Workflow(Arc::new(flow.workflow.clone()), *v))
        });
        self.uploads
            .values()
            .cloned()
            .map(Document::Upload)
            .chain(workflows)
            .chain(self.deployments.values().cloned().map(Document::Deployment))
            .chain(self.bindings.values().cloned().map(Document::Binding))
            .chain(self.queues.values().cloned().map(Document::Queue))
            .chain(self.calendars.iter().map(|(n, c)| Document::Calendar(n.clone(), c.clone())))
            .chain(self.responses.values().cloned().map(Document::Response))
            .chain(self.tokens.values().cloned().map(Document::Token))
            .chain(self.webhooks.values().cloned().map(Document::Webhook))
            .chain(self.tables.iter().map(|(n, t)| Document::Table(n.clone(), t.clone())))
            .chain(self.skills.values().cloned().map(Document::Skill))
            .chain(self.agents.values().cloned().map(Document::Agent))
            .chain(self.places.values().cloned().map(Document::Place))
            .chain(self.agent_groups.values().cloned().map(Document::AgentGroup))
            .chain(self.place_groups.values().cloned().map(Document::PlaceGroup))
            .chain(std::iter::once(Document::AgentRules(Arc::clone(&self.agent_rules))))
            .chain(self.endpoints.values().cloned().map(Document::Endpoint))
            .chain(self.callback_rules.values().cloned().map(Document::CallbackRules))
            .chain(self.statistics.values().cloned().map(Document::Statistic))
            .chain(self.replays.values().cloned().map(Document::Replay))
            .chain(self.signing_keys.values().cloned().map(Document::SigningKey))
    }
}
