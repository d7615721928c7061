//! Errors as `application/problem+json` (RFC 9457), and every HTTP status code that an error is answered with.
//!
//! A refusal tells what was wrong, in which field, and what to do. A failure is logged with its whole chain and tells the
//! caller no more than that it happened.

use std::borrow::Cow;
use std::fmt::Write as _;

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use signalbox_engine::{DocumentKind, Fault, InteractionId, Rejection};
use utoipa::ToSchema;

use crate::strategy::InstallError;
use crate::{lane, store};

/// Why a request was not done.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    body: Body,
    retry_after_s: Option<u64>,
    /// The connection is of no more use.
    closes: bool,
    authenticate: Option<&'static str>,
}

/// Why a request was not done, as it is sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Body {
    /// URI of the kind of problem; says the same as `code`.
    #[serde(rename = "type")]
    uri: String,
    /// The kind of problem in words.
    title: String,
    /// HTTP status code.
    status: u16,
    /// Stable: programs tell problems apart by it.
    #[schema(value_type = String)]
    code: Cow<'static, str>,
    /// What is wrong with this request.
    detail: String,
    /// The field, parameter or header at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// All faults of a workflow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<Fault>,
    /// The interaction that is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    interaction: Option<String>,
    /// How the offer ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// How to get it done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    what_to_do: Option<Cow<'static, str>>,
}

impl Problem {
    /// One with this status and stable code.
    pub(super) fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        let code = code.into();
        let mut title = code.replace('-', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let body = Body {
            uri: format!("urn:signalbox:problem:{code}"),
            title,
            status: status.as_u16(),
            code,
            detail: detail.into(),
            field: None,
            faults: Vec::new(),
            interaction: None,
            outcome: None,
            what_to_do: None,
        };
        Self(Box::new(Inner { body, retry_after_s: None, closes: false, authenticate: None }))
    }

    /// Names the field, parameter or header at fault.
    #[must_use]
    pub(super) fn field(mut self, field: impl Into<String>) -> Self {
        self.0.body.field = Some(field.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub(super) fn todo(mut self, what: impl Into<Cow<'static, str>>) -> Self {
        self.0.body.what_to_do = Some(what.into());
        self
    }

    /// The connection is closed behind the answer: a client that opens too many must not keep them.
    fn closing(mut self) -> Self {
        self.0.closes = true;
        self
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// The thing that does not exist was named in the body, not in the path.
    #[must_use]
    pub(super) fn named_in(mut self, field: &'static str) -> Self {
        if self.0.body.status == StatusCode::NOT_FOUND.as_u16() {
            self.0.body.status = StatusCode::UNPROCESSABLE_ENTITY.as_u16();
            self.0.body.field = Some(field.to_owned());
        }
        self
    }

    /// The same, where the path names an interaction, which may be what does not exist.
    #[must_use]
    pub(super) fn of_body(self, field: &'static str) -> Self {
        if self.code() == "interaction-unknown" { self } else { self.named_in(field) }
    }

    /// As it is sent.
    pub(super) fn body(&self) -> &Body {
        &self.0.body
    }

    /// Its stable code.
    pub(super) fn code(&self) -> &str {
        &self.0.body.code
    }
}

/// Requests that are refused before anything is looked up.
impl Problem {
    pub(super) fn path_unknown(path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        Self::new(StatusCode::NOT_FOUND, "path-unknown", format!("there is nothing at {path}"))
            .todo("see /docs for all paths")
    }

    pub(super) fn method_not_allowed(method: &str, path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        let detail = format!("{method} is not what {path} takes");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail).todo("see the header `Allow`")
    }

    pub(super) fn path_invalid(parameter: &str, why: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "path-invalid", why).field(parameter)
    }

    pub(super) fn query_invalid(parameter: impl Into<String>, why: impl Into<String>) -> Self {
        let parameter = parameter.into();
        Self::new(StatusCode::BAD_REQUEST, "query-invalid", why).field(parameter)
    }

    pub(super) fn cursor_invalid() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "cursor-invalid", "this is no cursor of this list")
            .field("cursor")
            .todo("take `next` of the page before as it is, or leave the cursor out to begin anew")
    }

    pub(super) fn header_invalid(header: &'static str, why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "header-invalid", why).field(header)
    }

    /// The bytes are others than those that were signed, or signed by somebody else.
    pub(super) fn signature_wrong() -> Self {
        let why = "no signing key of the account made this signature of these bytes";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "signature-wrong", why)
            .field("signalbox-strategy-signature")
            .todo("sign exactly the bytes that are uploaded, with a key of the account")
    }

    pub(super) fn precondition_failed(current: Option<&str>) -> Self {
        let detail = match current {
            Some(tag) => format!("the document is at \"{tag}\" by now"),
            None => "there is no such document".to_owned(),
        };
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", detail)
            .todo("get the document, bring in the change again, and put it with its new ETag")
    }
}

/// Bodies that cannot be read.
impl Problem {
    pub(super) fn body_too_large(bytes_max: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", format!("at most {bytes_max} bytes are taken here"))
            .field("body")
    }

    pub(super) fn body_slow(seconds: u64) -> Self {
        let detail = format!("the body did not come within {seconds} s");
        Self::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", detail)
    }

    pub(super) fn body_broken() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "body-broken", "the body broke off before its end")
    }

    pub(super) fn bodies_full() -> Self {
        let detail = "the server reads as many large bodies as it has memory for";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "bodies-full", detail).retry_after(1)
    }

    pub(super) fn content_type_wrong(wanted: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type-wrong", format!("the body must be {wanted}"))
            .field("content-type")
            .todo(format!("send the header `Content-Type: {wanted}`"))
    }

    pub(super) fn json_not_utf8(byte: usize) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "json-not-utf8", format!("the body is not UTF-8 from byte {byte} on"))
    }

    pub(super) fn json_too_deep(levels_max: usize) -> Self {
        let detail = format!("arrays and objects nest at most {levels_max} levels deep");
        Self::new(StatusCode::BAD_REQUEST, "json-too-deep", detail)
    }

    pub(super) fn json_malformed(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "json-malformed", why)
    }

    pub(super) fn json_invalid(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "json-invalid", why).todo("see /docs for the fields of this request")
    }

    pub(super) fn value_invalid(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", why).field(field)
    }
}

/// Who is asking.
impl Problem {
    pub(super) fn token_missing() -> Self {
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "token-missing", "this needs a token")
            .todo("send the header `Authorization: Bearer sbx_…`");
        problem.0.authenticate = Some("Bearer realm=\"signalbox\"");
        problem
    }

    pub(super) fn token_unknown() -> Self {
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "token-unknown", "no account has this token")
            .todo("ask an administrator for a token; one that was deleted does not come back");
        problem.0.authenticate = Some("Bearer realm=\"signalbox\", error=\"invalid_token\"");
        problem
    }

    pub(super) fn token_of_another_account() -> Self {
        Self::new(StatusCode::FORBIDDEN, "token-of-another-account", "the token does not belong to this account")
    }

    /// The same, where no account is named and only the server's own will do.
    pub(super) fn of_the_server(self) -> Self {
        if self.code() != "token-of-another-account" {
            return self;
        }
        let detail = "this is about the whole server, and needs an administrator's token of the account `system`";
        Self::new(StatusCode::FORBIDDEN, "token-of-another-account", detail).todo(
            "use the token that the first start made, or make one with an administrator's of the account `system`",
        )
    }

    pub(super) fn account_unknown(account: &str) -> Self {
        let account: String = account.chars().take(64).collect();
        Self::new(StatusCode::NOT_FOUND, "account-unknown", format!("there is no account `{account}`"))
    }

    /// `roles`: each of them would do.
    pub(super) fn role_missing(roles: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "role-missing", format!("this needs a token with one of these roles: {roles}"))
            .todo("ask an administrator for a token with one of these roles")
    }
}

/// Things that are not there, and things in the way.
impl Problem {
    /// `noun` in kebab-case.
    pub(super) fn unknown(noun: &str, name: impl std::fmt::Display) -> Self {
        let detail = format!("there is no {} `{name}`", noun.replace('-', " "));
        Self::new(StatusCode::NOT_FOUND, format!("{noun}-unknown"), detail)
    }

    pub(super) fn exists(noun: &str, name: impl std::fmt::Display) -> Self {
        let detail = format!("there is already a {} `{name}`", noun.replace('-', " "));
        Self::new(StatusCode::CONFLICT, format!("{noun}-exists"), detail).todo("choose another name")
    }

    pub(super) fn interaction_ended(how: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "interaction-ended", format!("the interaction has ended as {how}"))
    }

    pub(super) fn name_mismatch() -> Self {
        let detail = "the name in the body is not the one in the path";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "name-mismatch", detail)
            .field("name")
            .todo("leave it out of the body, or make them the same")
    }

    pub(super) fn agent_of_another(agent: &str, token: &str) -> Self {
        let detail = format!("the token `{token}` acts for the agent of its own name, not for `{agent}`");
        Self::new(StatusCode::FORBIDDEN, "agent-of-another", detail).todo("use the agent's own token, or an operator's")
    }

    /// `how`: as far as the timeline tells.
    pub(super) fn offer_ended(how: Option<&str>) -> Self {
        let detail = match how {
            Some(how) => format!("the offer has ended: {how}"),
            None => "the offer has expired".to_owned(),
        };
        let mut problem = Self::new(StatusCode::CONFLICT, "offer-ended", detail);
        problem.0.body.outcome = Some(how.unwrap_or("expired").to_owned());
        problem.field("offer").todo("take the next of the offers that the agent's state shows")
    }

    pub(super) fn offer_of_another(agent: &str) -> Self {
        let detail = format!("the offer is not to `{agent}`");
        Self::new(StatusCode::FORBIDDEN, "offer-of-another", detail)
            .field("offer")
            .todo("answer the offers that the agent's own state shows")
    }

    pub(super) fn sessions_full() -> Self {
        let detail = "as many agents' sessions are open as the server holds";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "sessions-full", detail).retry_after(5).closing()
    }

    pub(super) fn sessions_of_account_full() -> Self {
        let detail = "as many agents' sessions are open as one account may have";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "account-sessions-full", detail).retry_after(5).closing()
    }

    pub(super) fn sessions_of_agent_full(agent: &str, sessions_max: usize) -> Self {
        let detail = format!("the agent `{agent}` has {sessions_max} sessions open, which is the limit");
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "agent-sessions-full", detail);
        problem.field("agent").todo("close sessions that are not used").retry_after(5).closing()
    }

    pub(super) fn streams_full() -> Self {
        let detail = "as many streams of figures are open as the server holds";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "streams-full", detail).retry_after(5)
    }

    pub(super) fn replays_full() -> Self {
        let detail = "a replay is running on this server, and one runs at a time";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "replays-full", detail).retry_after(10)
    }

    pub(super) fn last_administrator() -> Self {
        let detail = "without this token nobody could administer the server";
        Self::new(StatusCode::CONFLICT, "token-last-administrator", detail)
            .todo("make another administrator's token in the account `system` first")
    }

    pub(super) fn installs_full() -> Self {
        let detail = "as many strategies are being compiled as may wait for it";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "installs-full", detail).retry_after(5)
    }

    pub(super) fn backup_failed(error: &store::Error) -> Self {
        let text = chain(error);
        tracing::error!(error = %text, "a backup failed");
        // Only administrators of the server see it, and they need the path and the cause.
        match error {
            store::Error::BackupRefused(_) => Self::new(StatusCode::CONFLICT, "backup-refused", text),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "backup-failed", text)
                .todo("check that the directory can be written to and has room"),
        }
    }

    /// Commits fail: nothing is taken until that has passed.
    pub(super) fn storage_fails(why: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage-unavailable", why).retry_after(5)
    }

    /// A failure inside, which is logged.
    pub(super) fn internal(what: &str, error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %chain(error), "{what}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server failed; its log says why")
    }
}

/// An error with all its sources, in a line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a string does not fail.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

/// A kind of document as it stands in codes.
fn noun(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Upload => "upload",
        DocumentKind::Workflow => "workflow",
        DocumentKind::Deployment => "deployment",
        DocumentKind::Binding => "binding",
        DocumentKind::Queue => "queue",
        DocumentKind::Calendar => "calendar",
        DocumentKind::Response => "response",
        DocumentKind::Token => "token",
        DocumentKind::Webhook => "webhook",
        DocumentKind::Table => "table",
        DocumentKind::Skill => "skill",
        DocumentKind::Agent => "agent",
        DocumentKind::Place => "place",
        DocumentKind::AgentGroup => "agent-group",
        DocumentKind::PlaceGroup => "place-group",
        DocumentKind::AgentRules => "agent-rules",
        DocumentKind::Endpoint => "endpoint",
        DocumentKind::CallbackRules => "callback-rules",
        DocumentKind::Statistic => "statistic",
        DocumentKind::Replay => "replay",
        DocumentKind::SigningKey => "signing-key",
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let status = match &rejection {
            Rejection::InteractionUnknown(_)
            | Rejection::WorkflowUnknown(_)
            | Rejection::ElementUnknown { .. }
            | Rejection::QueueUnknown(_)
            | Rejection::QueueEmpty(_)
            | Rejection::DeploymentUnknown(_)
            | Rejection::DeliveryUnknown(_)
            | Rejection::AgentUnknown(_)
            | Rejection::PlaceUnknown(_)
            | Rejection::SkillUnknown(_)
            | Rejection::GroupUnknown(_)
            | Rejection::CallbackRulesUnknown(_)
            | Rejection::DocumentUnknown(_) => StatusCode::NOT_FOUND,
            Rejection::InteractionExists(_)
            | Rejection::DeploymentExists(_)
            | Rejection::BindingChanged { .. }
            | Rejection::BindingWithoutPast { .. }
            | Rejection::StateWrong { .. }
            | Rejection::NotAwaited
            | Rejection::NotDue
            | Rejection::DocumentInUse(_)
            | Rejection::AgentLoggedIn(_)
            | Rejection::AgentLoggedOut(_)
            | Rejection::AgentBusy(_)
            | Rejection::AgentUnreachable(_)
            | Rejection::CapacityExceeded(_)
            | Rejection::NobodyAvailable
            | Rejection::CallbackExists(_)
            | Rejection::NotCallback(_)
            | Rejection::SlotFull(_)
            | Rejection::OfferEnded { .. }
            | Rejection::Full { .. } => StatusCode::CONFLICT,
            Rejection::AssignedToAnother(_) => StatusCode::FORBIDDEN,
            Rejection::ElementNotStrategy(_)
            | Rejection::Invalid { .. }
            | Rejection::GateShut { .. }
            | Rejection::ReasonUnknown(_)
            | Rejection::DispositionUnknown(_)
            | Rejection::SlotUnknown(_)
            | Rejection::WorkflowFaulty(_)
            | Rejection::StrategyUnsigned(_)
            | Rejection::OutcomeUnconnected { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Rejection::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let code = match &rejection {
            Rejection::DocumentUnknown(key) => Cow::Owned(format!("{}-unknown", noun(key.kind))),
            other => Cow::Borrowed(other.code()),
        };
        let problem = Self::new(status, code, rejection.to_string());
        match rejection {
            Rejection::Invalid { field, .. } => problem.field(field),
            Rejection::GateShut { field, .. } => {
                problem.field(field).todo(
                    "replay the decisions of one that serves here on it, without a condition; where the gate lets that report \
                     pass, bind it",
                )
            }
            Rejection::DeploymentExists(_) => problem.todo("choose another name"),
            Rejection::BindingChanged { .. } => problem.todo("read it, and decide again"),
            Rejection::BindingWithoutPast { .. } => problem.todo("put the binding that is wanted"),
            Rejection::ReasonUnknown(_) => problem.field("reason").todo("see agent-rules for the account's codes"),
            Rejection::DispositionUnknown(_) => {
                problem.field("disposition").todo("give one of the codes of agent-rules; without one it is `completed`")
            }
            Rejection::StrategyUnsigned(_) => {
                problem.todo("sign it with a key of the account and upload it with `signalbox-strategy-signature`")
            }
            Rejection::AgentLoggedIn(_) => problem.todo("log out there first, or let agent-rules replace a login"),
            Rejection::AgentLoggedOut(_) => problem.todo("log in first"),
            Rejection::NobodyAvailable => problem.todo(
                "only agents who are ready, have room, have not just declined and are not you are asked: name others, or a queue",
            ),
            Rejection::AgentUnknown(_) => problem.field("agent").todo("put the agent first, or name another"),
            Rejection::PlaceUnknown(_) => problem.field("place").todo("put the place first, or name another"),
            Rejection::SkillUnknown(_) => problem.field("skill").todo("put the skill first, or name another"),
            Rejection::QueueUnknown(_) => problem.field("queue").todo("put the queue first, or name another"),
            Rejection::GroupUnknown(_) => problem.field("group").todo("put the group first, or name another"),
            Rejection::CallbackExists(id) => {
                problem.field("number").interaction(id).todo("reschedule or cancel that one")
            }
            Rejection::SlotUnknown(_) => problem.field("at").todo("take one of the slots that are offered"),
            Rejection::SlotFull(_) => problem.field("at").todo("take a slot that has room"),
            Rejection::Busy(_) => problem.retry_after(1),
            Rejection::WorkflowFaulty(faults) => problem.faults(faults),
            Rejection::AssignedToAnother(_) => problem.todo("only its holder or an operator may do this"),
            Rejection::DocumentInUse(_) => problem.todo("take away what uses it first"),
            Rejection::Full { .. } => problem.todo("delete what is not needed any more"),
            Rejection::OutcomeUnconnected { .. } => {
                problem.todo("add a connector for the outcome, or one for `default`, and bind again")
            }
            _ => problem,
        }
    }
}

impl Problem {
    fn interaction(mut self, id: InteractionId) -> Self {
        self.0.body.interaction = Some(id.to_string());
        self
    }

    fn faults(mut self, faults: Vec<Fault>) -> Self {
        self.0.body.faults = faults;
        self.todo("put right all of `faults`")
    }
}

impl From<lane::Error> for Problem {
    fn from(error: lane::Error) -> Self {
        match error {
            lane::Error::Rejected(rejection) => rejection.into(),
            lane::Error::IdempotencyConflict => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "the idempotency key was used before, with another body",
            )
            .field("idempotency-key")
            .todo("repeat the very same body, or make a new key"),
            lane::Error::Full => {
                let detail = "the account has as many requests waiting as it takes; nothing was done";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "lane-full", detail).retry_after(1)
            }
            lane::Error::Unavailable(why) => {
                tracing::error!(error = %why, "the store is unavailable");
                let detail = "the server's store does not work now; nothing was done";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "storage-unavailable", detail)
                    .retry_after(5)
                    .todo("try again later; an operator has to look at the server's disk")
            }
            lane::Error::Damaged(why) => {
                tracing::error!(error = %why, "the store is damaged");
                let detail = "what this is about cannot be read from the server's store; nothing was done";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "storage-damaged", detail)
                    .todo("an operator has to restore a backup; an interaction can still be cancelled")
            }
            lane::Error::Stopped => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping").retry_after(5)
            }
        }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        tracing::error!(error = %chain(&error), "the store failed");
        let detail = "the server could not read its store; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "storage-failed", detail)
    }
}

impl From<InstallError> for Problem {
    fn from(error: InstallError) -> Self {
        if error.is_internal() {
            tracing::error!(%error, "a strategy could not be installed");
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), error.to_string()).retry_after(5);
        }
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.code(), error.to_string());
        match &error {
            InstallError::SettingsSchema { pointer, .. } => problem.field(format!("settings{pointer}")),
            InstallError::SettingsSyntax(_) | InstallError::Settings(_) => problem.field("settings"),
            InstallError::AssetMissing { name, .. } | InstallError::AssetUnknown { name, .. } => {
                problem.field(format!("assets.{name}"))
            }
            InstallError::ImportBeyondGrants { .. } => {
                problem.field("grants.imports").todo("grant it, or deploy a component that does without")
            }
            _ => problem,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let inner = *self.0;
        let text = serde_json::to_vec(&inner.body).unwrap_or_else(|e| panic!("strings can always be encoded: {e}"));
        let status = StatusCode::from_u16(inner.body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if inner.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(seconds) = inner.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = inner.authenticate {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}
