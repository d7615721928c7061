//! What an account is configured with: documents that operators and designers put, by kind and name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::calendar::Calendar;
use crate::decision::Manifest;
use crate::id::{Digest, Name, UnixMillis};
use crate::response::Response;
use crate::workflow::{Flow, Workflow};

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
    /// Name of the token that uploaded it.
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
    /// Wall-clock limit of one call, 1 to 5,000 ms.
    #[schema(minimum = 1, maximum = 5000)]
    pub deadline_ms: u64,
    /// Why it was made.
    pub message: String,
    /// Name of the token that made it.
    pub created_by: String,
    /// When.
    #[schema(value_type = u64)]
    pub created_at: UnixMillis,
}

/// Which deployments serve a workflow's strategy element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The workflow.
    #[schema(value_type = String)]
    pub workflow: Name,
    /// Its strategy element.
    #[schema(value_type = String)]
    pub element: Name,
    /// At least one. An interaction always gets the same one while the shares stand.
    pub shares: Vec<Share>,
    /// What happens when a call fails.
    #[serde(default)]
    pub on_failure: OnFailure,
}

/// A deployment's part of a binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The deployment.
    #[schema(value_type = String)]
    pub deployment: Name,
    /// Its part of the sum of all weights, 1 to 1,000,000.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub weight: u32,
}

/// What happens when a strategy traps, overruns, fails or answers nonsense.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OnFailure {
    /// Calls again so often first, 0 to 5.
    #[schema(maximum = 5)]
    pub retries: u8,
    /// Then leaves by this outcome. Left out: by `timeout` after an overrun and by `error` otherwise, and where there is
    /// no such connector the interaction is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub outcome: Option<Name>,
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
        url.strip_prefix(self.url.as_str()).is_some_and(below)
    }
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
    }
}
