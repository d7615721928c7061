//! What an account is configured with: documents that operators and designers put, by kind and name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::binding::Binding;
use crate::calendar::Calendar;
use crate::callbacks::CallbackRules;
use crate::capacity::CapacityRule;
use crate::content::Skill;
use crate::decision::{Manifest, Target};
use crate::endpoint::Endpoint;
use crate::id::{Digest, Name, UnixMillis};
use crate::live::Wants;
use crate::replay::ReplayReport;
use crate::response::Response;
use crate::scope::Scope;
use crate::skill_expression::SkillExpression;
use crate::staff::{Agent, AgentChoice, AgentGroup, AgentRules, Place, PlaceGroup, SkillType};
use crate::statistic::{Asked, Statistic};
use crate::workflow::{ElementKind, Flow, Workflow};

/// A binary that was uploaded: a strategy version, or an asset of one. Its bytes are kept as a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    /// SHA-256 of the bytes, by which it is named.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// How many bytes.
    pub size_bytes: u64,
    /// What a strategy says of itself before it is configured; none for an asset.
    pub manifest: Option<Manifest>,
    /// Who vouches for these bytes; none where the account had no signing key when they came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<Signer>,
    /// Name of the token that uploaded it.
    pub created_by: String,
    /// When.
    #[schema(value_type = u64)]
    pub created_at: UnixMillis,
}

/// The key that a strategy version was signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Signer {
    /// Its name.
    #[schema(value_type = String)]
    pub key: Name,
    /// The key itself, for its name may come to stand for another.
    pub public_key: String,
}

/// A key that strategy versions are signed with. While an account has one, versions that none of its keys signed are neither
/// taken nor deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SigningKey {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// Base64 of the 32 bytes of an Ed25519 public key.
    pub public_key: String,
    /// Name of the token that put it.
    pub created_by: String,
    /// When.
    #[schema(value_type = u64)]
    pub created_at: UnixMillis,
}

/// A strategy version with its settings baked in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deployment {
    /// Its name within the account; never used for another.
    #[schema(value_type = String)]
    pub name: Name,
    /// SHA-256 of the uploaded component.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// JSON text of its settings.
    pub settings: String,
    /// Name of each asset and the SHA-256 of its bytes.
    #[schema(value_type = BTreeMap<String, String>)]
    pub assets: BTreeMap<String, Digest>,
    /// What the configured strategy says of itself.
    pub manifest: Manifest,
    /// SHA-256 of the pre-initialised component, kept as a blob.
    #[schema(value_type = String)]
    pub component: Digest,
    /// SHA-256 of the compiled image, kept as a blob; made anew where it does not fit this machine.
    #[schema(value_type = String)]
    pub image: Digest,
    /// Whether the memory was snapshotted after `configure`; otherwise every fresh instance is configured.
    pub snapshotted: bool,
    /// Why not, where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsnapshotted_because: Option<String>,
    /// Processor time of one call, 1 to 5,000 ms, and as much again to configure its sandbox where the memory was not
    /// snapshotted. By the clock it ends after four times that and 200 ms at most.
    #[schema(minimum = 1, maximum = 5000)]
    pub deadline_ms: u64,
    /// What it may use; none for everything of its account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Scope>)]
    pub grants: Option<Arc<Scope>>,
    /// Why it was made.
    pub message: String,
    /// Name of the token that made it.
    pub created_by: String,
    /// When.
    #[schema(value_type = u64)]
    pub created_at: UnixMillis,
}

/// A place where interactions wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whom its interactions are offered to, unless a workflow's element or a strategy says otherwise. Left out: nobody;
    /// they are taken by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Which of several agents gets an interaction.
    #[serde(default)]
    pub choice: AgentChoice,
    /// Points by which the priority grows with each minute of waiting, 0 to 1000. A change holds for those that
    /// wait already, too.
    #[serde(default)]
    #[schema(maximum = 1000)]
    pub ageing_per_minute: u16,
    /// How long an agent has to accept, 1,000 to 600,000 ms.
    #[serde(default = "Queue::offer_timeout")]
    #[schema(minimum = 1000, maximum = 600_000)]
    pub offer_timeout_ms: u64,
    /// Agents whom an interaction is offered to at the same time, 1 to 16; the first to accept gets it.
    #[serde(default = "Queue::one")]
    #[schema(minimum = 1, maximum = 16)]
    pub offers_max: u8,
    /// An agent who lets an offer expire becomes not ready, with the reason `no-answer`.
    #[serde(default = "Queue::yes")]
    pub no_answer_not_ready: bool,
    /// Time for after-contact work, 0 to 3,600,000 ms; 0 for none. None either for what is completed out of the workbin.
    #[serde(default)]
    #[schema(maximum = 3_600_000)]
    pub wrap_up_ms: u64,
    /// An assigned interaction whose agent asks the server for nothing for so long goes back to the queue; at least
    /// 1,000 ms. Any request with the agent's token counts, and any frame of its session but the answer to a ping. Left
    /// out: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inactivity_ms: Option<u64>,
}

impl Queue {
    /// How long an agent has to accept, where nothing else is said.
    pub(crate) const OFFER_TIMEOUT_MS: u64 = 20_000;

    /// One with nothing but a name.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self {
            name,
            description: String::new(),
            target: None,
            choice: AgentChoice::default(),
            ageing_per_minute: 0,
            offer_timeout_ms: Self::OFFER_TIMEOUT_MS,
            offers_max: 1,
            no_answer_not_ready: true,
            wrap_up_ms: 0,
            inactivity_ms: None,
        }
    }

    /// Who is to get an interaction that waits here.
    pub(crate) fn wants(&self, target: Option<Target>, skills: Vec<Skill>) -> Option<Box<Wants>> {
        let target = target.or_else(|| self.target.clone())?;
        Some(Box::new(Wants { target, skills, choice: self.choice, offers_max: self.offers_max }))
    }

    fn offer_timeout() -> u64 {
        Self::OFFER_TIMEOUT_MS
    }

    fn one() -> u8 {
        1
    }

    fn yes() -> bool {
        true
    }
}

/// A lookup table that operators keep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// By key. A copy shares what is not changed.
    pub entries: imbl::OrdMap<String, String>,
}

/// What a token's holder may do. Each role stands alone; a token may have several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Submits interactions and follows them.
    Client,
    /// Takes interactions from queues and completes them or puts them back.
    Agent,
    /// Draws workflows and writes standard responses and calendars.
    Designer,
    /// Approves what designers drew.
    Approver,
    /// Uploads, deploys and binds strategies; keeps tables and webhooks; resumes what is parked; completes
    /// or puts back what others took.
    Operator,
    /// Everything, tokens and accounts too.
    Administrator,
}

/// A bearer token. Its secret is not kept, only the secret's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its name within the account; shown where something was done with it.
    pub name: Name,
    /// SHA-256 of the secret.
    pub hash: Digest,
    /// What it may do.
    pub roles: Vec<Role>,
    /// In the `system` account a token may act in every account.
    pub created_at: UnixMillis,
}

/// Where events and replies are delivered to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its name.
    pub name: Name,
    /// http or https address.
    pub url: String,
    /// Key of the HMAC-SHA-256 signature.
    pub secret: String,
    /// Types that it takes, such as `interaction.queued` or `reply`; `*` for all.
    pub types: Vec<String>,
}

/// A document that is put, or that stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Document {
    /// An uploaded binary.
    Upload(Arc<Upload>),
    /// A workflow and its version.
    Workflow(Arc<Workflow>, u32),
    /// A deployment.
    Deployment(Arc<Deployment>),
    /// A binding.
    Binding(Arc<Binding>),
    /// A queue.
    Queue(Queue),
    /// A calendar, under its name.
    Calendar(Name, Arc<Calendar>),
    /// A standard response.
    Response(Arc<Response>),
    /// A token.
    Token(Token),
    /// A webhook.
    Webhook(Arc<Webhook>),
    /// A whole table.
    Table(Name, Table),
    /// A skill.
    Skill(SkillType),
    /// An agent.
    Agent(Arc<Agent>),
    /// A place.
    Place(Place),
    /// An agent group.
    AgentGroup(Arc<AgentGroup>),
    /// A place group.
    PlaceGroup(Arc<PlaceGroup>),
    /// The rules that agents work by; there is one set.
    AgentRules(Arc<AgentRules>),
    /// An application outside.
    Endpoint(Arc<Endpoint>),
    /// Rules of callbacks.
    CallbackRules(Arc<CallbackRules>),
    /// A statistic.
    Statistic(Arc<Statistic>),
    /// The report of a replay.
    Replay(Arc<ReplayReport>),
    /// A key that strategy versions are signed with.
    SigningKey(Arc<SigningKey>),
}

/// Kinds of documents, in the order in which they are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DocumentKind {
    /// See [`Document::Upload`].
    Upload,
    /// See [`Document::Workflow`].
    Workflow,
    /// See [`Document::Deployment`].
    Deployment,
    /// See [`Document::Binding`].
    Binding,
    /// See [`Document::Queue`].
    Queue,
    /// See [`Document::Calendar`].
    Calendar,
    /// See [`Document::Response`].
    Response,
    /// See [`Document::Token`].
    Token,
    /// See [`Document::Webhook`].
    Webhook,
    /// See [`Document::Table`].
    Table,
    /// See [`Document::Skill`].
    Skill,
    /// See [`Document::Agent`].
    Agent,
    /// See [`Document::Place`].
    Place,
    /// See [`Document::AgentGroup`].
    AgentGroup,
    /// See [`Document::PlaceGroup`].
    PlaceGroup,
    /// See [`Document::AgentRules`].
    AgentRules,
    /// See [`Document::Endpoint`].
    Endpoint,
    /// See [`Document::CallbackRules`].
    CallbackRules,
    /// See [`Document::Statistic`].
    Statistic,
    /// See [`Document::Replay`].
    Replay,
    /// See [`Document::SigningKey`].
    SigningKey,
}

/// What a document is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DocumentKey {
    /// The kind.
    pub kind: DocumentKind,
    /// The name; for a workflow with its version, for a binding the workflow's.
    pub name: Name,
    /// The element of a binding; otherwise none.
    pub element: Option<Name>,
    /// The version of a workflow; otherwise 0.
    pub version: u32,
}

impl Upload {
    /// Its digest, as a name.
    #[must_use]
    pub fn name(&self) -> Name {
        Name::new(&self.digest.to_string()).unwrap_or_else(|e| panic!("64 hexadecimal digits are a name: {e}"))
    }
}

impl Webhook {
    /// Whether a URL is the webhook's own or lies below it: nothing is sent to an address that nobody registered.
    #[must_use]
    pub fn covers(&self, url: &str) -> bool {
        let below = |rest: &str| rest.is_empty() || self.url.ends_with('/') || rest.starts_with(['/', '?']);
        url.strip_prefix(self.url.as_str()).is_some_and(|rest| below(rest) && !climbs(rest))
    }
}

/// Whether the end of a URL may lead out of where it began, once somebody has put it into its normal form: there `\\` is a
/// slash, and spaces and control characters are left out.
fn climbs(rest: &str) -> bool {
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    rest.bytes().any(|byte| byte == b'\\' || !byte.is_ascii_graphic()) || path.split('/').any(dots)
}

impl Document {
    /// What it is found by.
    #[must_use]
    pub fn key(&self) -> DocumentKey {
        let key = |kind, name: &Name| DocumentKey { kind, name: name.clone(), element: None, version: 0 };
        match self {
            Self::Upload(upload) => key(DocumentKind::Upload, &upload.name()),
            Self::Workflow(workflow, version) => {
                DocumentKey { version: *version, ..key(DocumentKind::Workflow, &workflow.name) }
            }
            Self::Deployment(deployment) => key(DocumentKind::Deployment, &deployment.name),
            Self::Binding(binding) => {
                DocumentKey { element: Some(binding.element.clone()), ..key(DocumentKind::Binding, &binding.workflow) }
            }
            Self::Queue(queue) => key(DocumentKind::Queue, &queue.name),
            Self::Calendar(name, _) => key(DocumentKind::Calendar, name),
            Self::Response(response) => key(DocumentKind::Response, &response.name),
            Self::Token(token) => key(DocumentKind::Token, &token.name),
            Self::Webhook(webhook) => key(DocumentKind::Webhook, &webhook.name),
            Self::Table(name, _) => key(DocumentKind::Table, name),
            Self::Skill(skill) => key(DocumentKind::Skill, &skill.name),
            Self::Agent(agent) => key(DocumentKind::Agent, &agent.name),
            Self::Place(place) => key(DocumentKind::Place, &place.name),
            Self::AgentGroup(group) => key(DocumentKind::AgentGroup, &group.name),
            Self::PlaceGroup(group) => key(DocumentKind::PlaceGroup, &group.name),
            Self::AgentRules(_) => key(DocumentKind::AgentRules, &AgentRules::name()),
            Self::Endpoint(endpoint) => key(DocumentKind::Endpoint, &endpoint.name),
            Self::CallbackRules(rules) => key(DocumentKind::CallbackRules, &rules.name),
            Self::Statistic(statistic) => key(DocumentKind::Statistic, &statistic.name),
            Self::Replay(report) => key(DocumentKind::Replay, &report.name),
            Self::SigningKey(signing) => key(DocumentKind::SigningKey, &signing.name),
        }
    }
}

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
        let stands =
            |signer: &Signer| self.signing_keys.get(&signer.key).is_some_and(|key| key.public_key == signer.public_key);
        self.signing_keys.is_empty() || signed_by.is_some_and(stands)
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
