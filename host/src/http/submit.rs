//! Hands an interaction in. The path that everything else waits for: one token look-up, one parse, one command.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use signalbox_engine::{Digest, Entry, Facts, InteractionId, Message, Name, Submission, UnixMillis, limits};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::auth::{Caller, Submit};
use super::body::{JsonBytes, Raw, parse};
use super::{Problem, State, now};
use crate::lane::Idempotency;

/// Bytes of an interaction's text.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Bytes of a subject; a line of a mail has at most 998.
const SUBJECT_BYTES_MAX: usize = 4 << 10;
/// Bytes of an address.
const ADDRESS_BYTES_MAX: usize = 1 << 10;
/// Headers of one message.
const HEADERS_MAX: usize = 256;
/// Bytes of a language tag: RFC 5646, section 4.4.1, recommends to take 35.
const LANGUAGE_BYTES_MAX: usize = 35;
/// Bytes of an idempotency key.
const KEY_BYTES_MAX: usize = 255;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(submit))
}

/// A new interaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewInteraction {
    /// The workflow that it enters, in its newest version.
    #[schema(value_type = String)]
    workflow: Name,
    /// `chat`, `email`, `callback`, `sms`, `open`, or an account's own.
    #[schema(value_type = String)]
    media_type: Name,
    /// The subject line, where the medium has one. At most 4 KiB.
    #[serde(default)]
    subject: Option<String>,
    /// The text. At most 1 MiB of UTF-8.
    body: String,
    /// Address of whoever sent it. At most 1 KiB.
    #[serde(default)]
    sender: Option<String>,
    /// Address it was sent to. At most 1 KiB.
    #[serde(default)]
    recipient: Option<String>,
    /// The medium's headers in the order received. At most 256; names are put in lower case.
    #[serde(default)]
    headers: Vec<Entry>,
    /// BCP 47 tag, where it is known.
    #[serde(default)]
    language: Option<String>,
    /// Attached data: at most 256 items, keys of at most 128 bytes, values of at most 8 KiB.
    #[serde(default)]
    user_data: BTreeMap<String, String>,
    /// 0 to 1000.
    #[serde(default)]
    #[schema(maximum = 1000)]
    priority: u16,
    /// The moment that it is meant for, in milliseconds since 1970: until then it is `scheduled`. At most 366 days ahead.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    at_ms: Option<UnixMillis>,
}

/// An interaction that was handed in, durably.
#[derive(Debug, Serialize, ToSchema)]
struct SubmittedInteraction {
    /// Its identifier.
    #[schema(value_type = String, format = "uuid")]
    id: InteractionId,
}

/// Submits an interaction.
///
/// It is durable when the answer comes. With an `Idempotency-Key` the request can be repeated for 24 hours: the same key
/// with the same body gives the same answer and the header `Idempotency-Replayed: true`, and makes nothing new.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/interactions",
    security(("token" = ["client"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 bytes, new for each interaction.")),
    request_body = NewInteraction,
    responses((status = 201, description = "It is durable.", body = SubmittedInteraction))
)]
async fn submit(caller: Caller<Submit>, key: IdempotencyKey, JsonBytes(raw): JsonBytes) -> Result<Response, Problem> {
    let idempotency = key.with(&raw.bytes);
    let new: NewInteraction = parse(&raw.bytes)?;
    // Its part of the memory for bodies is held on: what was parsed waits in the lane.
    let Raw { bytes, room } = raw;
    drop(bytes);
    let submission = new.into_submission()?;
    let submitted = caller.lane.submit(submission, idempotency).await;
    drop(room);
    let submitted = submitted.map_err(|error| Problem::from(error).named_in("workflow"))?;
    let id = submitted.id;
    let mut response = (StatusCode::CREATED, format!("{{\"id\":\"{id}\"}}")).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let location = format!("/v1/accounts/{}/interactions/{id}", caller.lane.name());
    headers.insert(LOCATION, HeaderValue::try_from(location).unwrap_or_else(|e| panic!("names are ASCII: {e}")));
    if submitted.repeated {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The header `Idempotency-Key`, where there is one.
struct IdempotencyKey(Option<String>);

impl FromRequestParts<State> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let Some(key) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(Self(None)) };
        let key = key.to_str().ok().filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
        let key = key.ok_or_else(|| Problem::header_invalid("idempotency-key", "1 to 255 visible ASCII characters"))?;
        Ok(Self(Some(key.to_owned())))
    }
}

impl IdempotencyKey {
    fn with(self, body: &[u8]) -> Option<Idempotency> {
        self.0.map(|key| Idempotency { key, body: Digest(Sha256::digest(body).into()) })
    }
}

impl NewInteraction {
    fn into_submission(mut self) -> Result<Submission, Problem> {
        if self.body.len() > TEXT_BYTES_MAX {
            return Err(Problem::body_too_large(TEXT_BYTES_MAX));
        }
        bounded("subject", self.subject.as_deref(), SUBJECT_BYTES_MAX)?;
        bounded("sender", self.sender.as_deref(), ADDRESS_BYTES_MAX)?;
        bounded("recipient", self.recipient.as_deref(), ADDRESS_BYTES_MAX)?;
        if self.headers.len() > HEADERS_MAX {
            return Err(Problem::value_invalid("headers", format!("at most {HEADERS_MAX} headers")));
        }
        for header in &mut self.headers {
            if header.key.is_empty() {
                return Err(Problem::value_invalid("headers", "a header has a name"));
            }
            bounded("headers", Some(&header.key), limits::KEY_BYTES_MAX)?;
            bounded("headers", Some(&header.value), limits::VALUE_BYTES_MAX)?;
            if header.key.chars().any(char::is_uppercase) {
                header.key = header.key.to_lowercase();
            }
        }
        if let Some(language) = &self.language {
            let tag = language.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !tag || language.is_empty() || language.len() > LANGUAGE_BYTES_MAX {
                return Err(Problem::value_invalid("language", "a BCP 47 tag such as `en` or `pt-BR`"));
            }
        }
        let message = Message {
            media_type: self.media_type,
            subject: self.subject,
            body: self.body,
            sender: self.sender,
            recipient: self.recipient,
            headers: self.headers,
            submitted_at: now(),
        };
        let facts =
            Facts { language: self.language, user_data: self.user_data, priority: self.priority, ..Facts::default() };
        let id = InteractionId(Uuid::now_v7());
        Ok(Submission { id, workflow: self.workflow, message: Arc::new(message), facts, at: self.at_ms })
    }
}

fn bounded(field: &'static str, text: Option<&str>, bytes_max: usize) -> Result<(), Problem> {
    match text {
        Some(text) if text.len() > bytes_max => {
            Err(Problem::value_invalid(field, format!("at most {bytes_max} bytes")))
        }
        _ => Ok(()),
    }
}
