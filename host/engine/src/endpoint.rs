//! Applications outside that workflows ask: where they are, what they are sent, and what is read out of their answers.
//!
//! Makes a request and reads an answer; whoever carries both is elsewhere. What an application answers is never trusted:
//! of it only what a workflow's pointers name gets in, as texts within the bounds of user data.
//!
//! Invariant: any status with any body gives a reply that fits user data by itself, or a failure in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::account::Account;
use crate::content::{Content, Entry};
use crate::decide::invalid;
use crate::id::{CallId, InteractionId, Name};
use crate::limits;
use crate::live::State;
use crate::rejection::Rejection;
use crate::walk::cut;
use crate::workflow::ElementKind;

/// An application outside that workflows may ask. Only its own address is ever contacted: no redirect is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its name.
    pub name: Name,
    /// http or https address that requests are posted to.
    pub url: String,
    /// Key of the HMAC-SHA-256 signature.
    pub secret: String,
    /// Whether the name in the address may lead to a private, loopback or link-local address. Where the address itself
    /// is such a one, or `localhost`, that is what was meant.
    #[serde(default)]
    pub private_network: bool,
    /// How long one attempt may take, from the look-up of the name to the last byte, 100 to 60,000 ms.
    #[serde(default = "Endpoint::timeout")]
    pub timeout_ms: u64,
    /// How often it is asked again after a failure that may pass, 0 to 5; after 1 s, then twice as long each time.
    #[serde(default)]
    pub retries: u8,
    /// Most bytes of an answer, 1 to 1,048,576.
    #[serde(default = "Endpoint::response_bytes")]
    pub response_bytes_max: u64,
}

impl Endpoint {
    /// How long one attempt may take, where nothing else is said.
    pub const TIMEOUT_MS: u64 = 5000;
    /// Most bytes of an answer, where nothing else is said.
    pub const RESPONSE_BYTES: u64 = 64 * 1024;

    fn timeout() -> u64 {
        Self::TIMEOUT_MS
    }

    fn response_bytes() -> u64 {
        Self::RESPONSE_BYTES
    }

    /// How long to wait before the attempt after this one: 1 s after the first, then twice as long each time.
    pub(crate) fn pause_ms(attempt: u8) -> u64 {
        1000 << attempt.min(limits::CALL_RETRIES_MAX)
    }

    /// # Errors
    /// [`Rejection::Invalid`] with the first field that breaks its rule.
    pub(crate) fn check(&self) -> Result<(), Rejection> {
        check_url(&self.url)?;
        if !(16..=256).contains(&self.secret.len()) {
            return Err(invalid("secret", "16 to 256 bytes"));
        }
        if !(100..=60_000).contains(&self.timeout_ms) {
            return Err(invalid("timeout_ms", "100 to 60000"));
        }
        if self.retries > limits::CALL_RETRIES_MAX {
            return Err(invalid("retries", format!("0 to {}", limits::CALL_RETRIES_MAX)));
        }
        if !(1..=limits::RESPONSE_BYTES_MAX).contains(&self.response_bytes_max) {
            return Err(invalid("response_bytes_max", format!("1 to {}", limits::RESPONSE_BYTES_MAX)));
        }
        Ok(())
    }
}

fn check_url(url: &str) -> Result<(), Rejection> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let plain = !url.contains(|c: char| c.is_control() || c.is_whitespace());
    if url.len() > 2048 || !plain || host.is_none_or(str::is_empty) {
        return Err(invalid("url", "an http or https address of at most 2048 bytes"));
    }
    if host.is_some_and(|host| host.contains('@')) {
        return Err(invalid("url", "leave user name and password out: requests are signed with the secret"));
    }
    Ok(())
}

/// What a `call` element sends. Where the interaction is and which call it is are always sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CallRequest {
    /// Keys of user data; those that the interaction lacks are left out.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub user_data: BTreeSet<String>,
    /// Fields of the interaction.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub fields: BTreeSet<CallField>,
}

/// A field of an interaction that can be sent to an application outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CallField {
    /// The subject line.
    Subject,
    /// The text.
    Body,
    /// Address of whoever sent it.
    Sender,
    /// Address it was sent to.
    Recipient,
    /// The medium's headers.
    Headers,
    /// BCP 47 tag.
    Language,
    /// With their relevancies.
    Categories,
    /// 0 to 1000.
    Priority,
    /// What was said in it so far.
    Transcript,
}

impl CallField {
    /// As it stands in documents and requests.
    fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Body => "body",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Headers => "headers",
            Self::Language => "language",
            Self::Categories => "categories",
            Self::Priority => "priority",
            Self::Transcript => "transcript",
        }
    }

    fn value(self, Content { message, facts }: &Content) -> Value {
        match self {
            Self::Subject => json!(message.subject),
            Self::Body => json!(message.body),
            Self::Sender => json!(message.sender),
            Self::Recipient => json!(message.recipient),
            Self::Headers => json!(message.headers),
            Self::Language => json!(facts.language),
            Self::Categories => json!(facts.categories),
            Self::Priority => json!(facts.priority),
            Self::Transcript => json!(facts.transcript.said),
        }
    }
}

/// One request to an application outside, ready to be sent.
#[derive(Debug, Clone)]
pub struct EndpointRequest {
    /// The call that it is made for.
    pub call: CallId,
    /// The interaction that waits for it.
    pub interaction: InteractionId,
    /// Whom to ask.
    pub endpoint: Arc<Endpoint>,
    /// The same for every attempt of one call, before and after a restart, and for no other call.
    pub idempotency_key: String,
    /// JSON text.
    pub body: String,
    /// JSON pointers of what is wanted out of the answer, by the key of user data that it becomes.
    response: BTreeMap<String, String>,
}

impl EndpointRequest {
    /// The request of a call, while it is awaited.
    #[must_use]
    pub fn new(account: &Account, call: CallId, interaction: InteractionId, content: &Content) -> Option<Self> {
        let live = account.live(interaction).filter(|live| live.endpoint_call() == Some(call))?;
        let State::Calling { endpoint, visit, .. } = &live.state else { return None };
        let configuration = account.configuration();
        let endpoint = Arc::clone(configuration.endpoints.get(endpoint)?);
        let frame = live.frame()?;
        let element = configuration.flow(frame.workflow.as_str(), frame.version)?.element(frame.element);
        let ElementKind::Call { request, response, .. } = &element.kind else { return None };
        let user_data: BTreeMap<&String, &String> =
            request.user_data.iter().filter_map(|key| content.facts.user_data.get_key_value(key)).collect();
        let fields: Map<String, Value> =
            request.fields.iter().map(|field| (field.name().to_owned(), field.value(content))).collect();
        let idempotency_key = format!("{interaction}:{}", call.0);
        let body = json!({
            "call": idempotency_key,
            "interaction": interaction,
            "media_type": content.message.media_type,
            "submitted_at_ms": content.message.submitted_at,
            "workflow": frame.workflow,
            "element": element.id,
            "visit": visit,
            "fields": fields,
            "user_data": user_data,
        });
        let (body, response) = (body.to_string(), response.clone());
        Some(Self { call, interaction, endpoint, idempotency_key, body, response })
    }

    /// What an answer says. `location` is the header of a redirect.
    ///
    /// # Errors
    /// [`EndpointFailure`]: it is no answer that can be used.
    pub fn read(&self, status: u16, location: Option<&str>, body: &[u8]) -> Result<EndpointReply, EndpointFailure> {
        match status {
            200..=299 => {}
            300..=399 => {
                let mut location = location.unwrap_or("nowhere").to_owned();
                cut(&mut location, SAID_BYTES_MAX);
                return Err(EndpointFailure::Redirected { status, location });
            }
            // These say "not now", not "no".
            408 | 425 | 429 => return Err(EndpointFailure::Unavailable { status }),
            400..=499 => return Err(EndpointFailure::Refused { status, said: excerpt(body) }),
            _ => return Err(EndpointFailure::Unavailable { status }),
        }
        let entries = if body.is_empty() {
            Vec::new()
        } else {
            let answer: Value = serde_json::from_slice(body)
                .map_err(|error| EndpointFailure::Unusable(format!("its answer is no JSON: {error}")))?;
            self.wanted(&answer)?
        };
        if body.is_empty() && !self.response.is_empty() {
            return Err(EndpointFailure::Unusable("its answer is empty".into()));
        }
        Ok(EndpointReply { status, entries })
    }

    fn wanted(&self, answer: &Value) -> Result<Vec<Entry>, EndpointFailure> {
        let entry = |(key, pointer): (&String, &String)| {
            let value = match answer.pointer(pointer) {
                // What is not there is removed, so that nothing stale is taken for its answer.
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            if value.len() > limits::VALUE_BYTES_MAX {
                let (bytes, max) = (value.len(), limits::VALUE_BYTES_MAX);
                let why = format!("`{pointer}` of its answer has {bytes} bytes; user data takes {max}");
                return Err(EndpointFailure::Unusable(why));
            }
            Ok(Entry { key: key.clone(), value })
        };
        self.response.iter().map(entry).collect()
    }
}

/// Bytes of what an application said that are kept with a failure.
const SAID_BYTES_MAX: usize = 300;

/// The beginning of an answer, for people, in one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(SAID_BYTES_MAX)]);
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    cut(&mut line, SAID_BYTES_MAX);
    line
}

/// An answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointReply {
    /// HTTP status code, 200 to 299.
    pub status: u16,
    /// What becomes user data; an empty value removes the item.
    pub entries: Vec<Entry>,
}

/// Why an application outside gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndpointFailure {
    /// It said no, with a status 4xx.
    Refused {
        /// HTTP status code.
        status: u16,
        /// The beginning of what it said.
        said: String,
    },
    /// It cannot answer now: a status 5xx, or one of 408, 425 and 429.
    Unavailable {
        /// HTTP status code.
        status: u16,
    },
    /// It sent the request elsewhere, where nobody allowed it to go.
    Redirected {
        /// HTTP status code.
        status: u16,
        /// Where to.
        location: String,
    },
    /// It could not be reached, or broke off.
    Unreachable(String),
    /// Its address must not be contacted.
    Forbidden(String),
    /// It answered something that cannot be used: no JSON, too much of it.
    Unusable(String),
    /// It took too long.
    TimedOut {
        /// What it had.
        timeout_ms: u64,
    },
}

impl EndpointFailure {
    /// Stable code of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Unavailable { .. } => "unavailable",
            Self::Redirected { .. } => "redirected",
            Self::Unreachable(_) => "unreachable",
            Self::Forbidden(_) => "forbidden",
            Self::Unusable(_) => "unusable",
            Self::TimedOut { .. } => "timed-out",
        }
    }

    /// The outcome that a `call` element is left by.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::TimedOut { .. } => "timeout",
            _ => "error",
        }
    }

    /// HTTP status code, where it answered with one.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } | Self::Unavailable { status } | Self::Redirected { status, .. } => {
                Some(*status)
            }
            _ => None,
        }
    }

    /// Whether another attempt may go better.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Unreachable(_) | Self::TimedOut { .. })
    }
}

impl fmt::Display for EndpointFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, said } if said.is_empty() => write!(f, "it refused with status {status}"),
            Self::Refused { status, said } => write!(f, "it refused with status {status}: {said}"),
            Self::Unavailable { status } => write!(f, "it answered with status {status}"),
            Self::Redirected { status, location } => {
                write!(f, "it redirected to {location} with status {status}; only its own address is contacted")
            }
            Self::Unreachable(why) => write!(f, "it could not be reached: {why}"),
            Self::Forbidden(why) => write!(f, "it must not be contacted: {why}"),
            Self::Unusable(why) => write!(f, "its answer cannot be used: {why}"),
            Self::TimedOut { timeout_ms } => write!(f, "it took longer than {timeout_ms} ms"),
        }
    }
}

/// What is wrong with a JSON pointer (RFC 6901); none where nothing is.
pub(crate) fn pointer_fault(pointer: &str) -> Option<&'static str> {
    if pointer.len() > POINTER_BYTES_MAX {
        return Some("it is longer than 1024 bytes");
    }
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Some("it begins with `/`, or is empty for the whole answer");
    }
    let after = pointer.split('~').skip(1);
    if !after.into_iter().all(|rest| rest.starts_with(['0', '1'])) {
        return Some("`~` stands as `~0` in it, and `/` within a name as `~1`");
    }
    None
}

const POINTER_BYTES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn endpoint(url: &str) -> Endpoint {
        serde_json::from_value(json!({"name": "crm", "url": url, "secret": "0123456789abcdef"})).unwrap()
    }

    fn request(response: &[(&str, &str)]) -> EndpointRequest {
        EndpointRequest {
            call: CallId(7),
            interaction: InteractionId(uuid::Uuid::nil()),
            endpoint: Arc::new(endpoint("https://crm.example")),
            idempotency_key: "x".into(),
            body: "{}".into(),
            response: response.iter().map(|(key, pointer)| ((*key).to_owned(), (*pointer).to_owned())).collect(),
        }
    }

    fn read(request: &EndpointRequest, status: u16, body: &[u8]) -> String {
        match request.read(status, Some("http://10.0.0.1/"), body) {
            Ok(reply) => {
                let items: Vec<String> = reply.entries.iter().map(|e| format!("{}={}", e.key, e.value)).collect();
                items.join(" ")
            }
            Err(failure) => failure.code().to_owned(),
        }
    }

    #[test]
    fn what_the_pointers_name_becomes_user_data() {
        let answer = br#"{"tier": "gold", "open": 3, "vip": true, "tags": ["a", "b"], "a/b": {"~": null}, "": 1.5}"#;
        let table = [
            ("/tier", "k=gold"),
            ("/open", "k=3"),
            ("/vip", "k=true"),
            ("/tags", r#"k=["a","b"]"#),
            ("/tags/1", "k=b"),
            ("/tags/2", "k="),
            ("/tags/01", "k="),
            ("/a~1b/~0", "k="),
            ("/", "k=1.5"),
            ("/nothing/there", "k="),
        ];
        for (pointer, expected) in table {
            assert_eq!(read(&request(&[("k", pointer)]), 200, answer), expected, "{pointer}");
        }
        assert_eq!(read(&request(&[("all", "")]), 201, b"[1]"), "all=[1]");
    }

    #[test]
    fn each_kind_of_answer_is_told_apart() {
        let wants = request(&[("k", "/k")]);
        let long = format!(r#"{{"k": "{}"}}"#, "x".repeat(limits::VALUE_BYTES_MAX + 1));
        let deep = "[".repeat(100_000);
        let table: [(u16, &[u8], &str); 14] = [
            (200, br#"{"k": "v"}"#, "k=v"),
            (299, b"null", "k="),
            (200, b"", "unusable"),
            (200, b"<html>", "unusable"),
            (200, b"\xff\xfe", "unusable"),
            (200, long.as_bytes(), "unusable"),
            (200, deep.as_bytes(), "unusable"),
            (302, b"", "redirected"),
            (404, b"no such customer", "refused"),
            (429, b"", "unavailable"),
            (408, b"", "unavailable"),
            (500, b"{}", "unavailable"),
            (100, b"", "unavailable"),
            (999, b"", "unavailable"),
        ];
        for (status, body, expected) in table {
            assert_eq!(read(&wants, status, body), expected, "{status}");
        }
        assert_eq!(read(&request(&[]), 204, b""), "", "nothing was wanted");
        assert_eq!(read(&request(&[]), 200, b"ok"), "unusable", "it still has to be JSON");
    }

    #[test]
    fn what_it_said_is_kept_in_one_short_line() {
        let said = |body: &[u8]| match request(&[]).read(400, None, body) {
            Err(EndpointFailure::Refused { said, .. }) => said,
            other => panic!("{other:?}"),
        };
        assert_eq!(said(b"no\nway\x1b[31m"), "no way [31m");
        assert!(said(&b"\xff".repeat(10_000)).len() <= SAID_BYTES_MAX);
        assert!(said("ä".repeat(10_000).as_bytes()).len() <= SAID_BYTES_MAX);
    }

    #[test]
    fn a_pointer_is_as_rfc_6901_has_it() {
        let table = [("", true), ("/", true), ("/a/b~0c~1d", true), ("a", false), ("/a~", false), ("/a~2", false)];
        for (pointer, right) in table {
            assert_eq!(pointer_fault(pointer).is_none(), right, "{pointer}");
        }
        assert!(pointer_fault(&"/x".repeat(1000)).is_some());
    }

    #[test]
    fn an_endpoint_out_of_bounds_is_refused() {
        let good = endpoint("https://crm.example/lookup?x=1");
        assert_eq!(good.check(), Ok(()));
        assert_eq!((good.timeout_ms, good.retries, good.response_bytes_max), (5000, 0, 65_536));
        let field = |endpoint: Endpoint| match endpoint.check() {
            Err(Rejection::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        for url in ["ftp://x", "http://", "https:///x", "crm", "http://a b", "http://me:word@crm.example"] {
            assert_eq!(field(endpoint(url)), "url", "{url}");
        }
        assert_eq!(field(Endpoint { secret: "short".into(), ..good.clone() }), "secret");
        assert_eq!(field(Endpoint { timeout_ms: 99, ..good.clone() }), "timeout_ms");
        assert_eq!(field(Endpoint { timeout_ms: 60_001, ..good.clone() }), "timeout_ms");
        assert_eq!(field(Endpoint { retries: 6, ..good.clone() }), "retries");
        assert_eq!(field(Endpoint { response_bytes_max: 0, ..good.clone() }), "response_bytes_max");
        assert_eq!(field(Endpoint { response_bytes_max: (1 << 20) + 1, ..good }), "response_bytes_max");
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(status: u16, body: Vec<u8>, pointer in "(/[a-z0-9~]{0,4}){0,4}") {
            let reply = request(&[("k", &pointer)]).read(status, None, &body);
            if let Err(failure) = reply {
                prop_assert!(failure.to_string().len() < 1000);
            }
        }
    }
}
