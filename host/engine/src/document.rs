//! What an account is configured with: documents that operators and designers put, by kind and name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::binding::Binding;
use crate::calendar::Calendar;
use crate::callbacks::CallbackRules;
use crate::content::Skill;
use crate::decision::{Manifest, Target};
use crate::endpoint::Endpoint;
use crate::id::{Digest, Name, UnixMillis};
use crate::live::Wants;
use crate::replay::ReplayReport;
use crate::response::Response;
use crate::scope::Scope;
use crate::staff::{Agent, AgentChoice, AgentGroup, AgentRules, Place, PlaceGroup, SkillType};
use crate::statistic::Statistic;
use crate::workflow::Workflow;

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
