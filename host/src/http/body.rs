//! Request bodies and what comes with them: read within bounds, parsed, and refused with a code for each way to be wrong.
//!
//! The bounds are on bytes, on time, and on what all requests together hold in memory. Parsing is `serde_json`'s; only
//! where that fails is the body looked at again, to say why. What is left of a refused body is `unread.rs`'s.

use std::time::Duration;

use axum::extract::{self, FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::sync::OwnedSemaphorePermit;

use super::{Problem, State};

/// Bytes of a JSON body: 1 MiB of text still fits where most of its characters are escaped, as `\u0442`.
pub const JSON_BYTES_MAX: usize = 4 << 20;
/// Bytes of a body that needs no leave from the common budget.
const SMALL_BYTES_MAX: usize = 64 << 10;
/// What `serde_json` nests at most.
const JSON_LEVELS_MAX: usize = 127;
/// Time for a JSON body to arrive.
const JSON_SECONDS_MAX: u64 = 30;
/// Time for a binary to arrive.
const BINARY_SECONDS_MAX: u64 = 300;

/// A body's bytes, and its part of the memory for bodies.
pub(super) struct Raw {
    /// The bytes.
    pub(super) bytes: Bytes,
    /// Let go, it is there for another body.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

async fn read(request: Request, state: &State, bytes_max: usize, seconds_max: u64) -> Result<Raw, Problem> {
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|bytes| bytes > bytes_max) {
        return Err(Problem::body_too_large(bytes_max));
    }
    let bytes = declared.unwrap_or(bytes_max);
    let room = match bytes {
        0..=SMALL_BYTES_MAX => None,
        _ => Some(state.room_for_body(bytes).ok_or_else(Problem::bodies_full)?),
    };
    let collect = Limited::new(request.into_body(), bytes_max).collect();
    match tokio::time::timeout(Duration::from_secs(seconds_max), collect).await {
        Ok(Ok(collected)) => Ok(Raw { bytes: collected.to_bytes(), room }),
        Ok(Err(error)) if is_too_long(&*error) => Err(Problem::body_too_large(bytes_max)),
        Ok(Err(_)) => Err(Problem::body_broken()),
        Err(_) => Err(Problem::body_slow(seconds_max)),
    }
}

fn is_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_too_long)
}

/// A JSON body.
pub(super) struct Json<T, const BYTES_MAX: usize = JSON_BYTES_MAX>(pub(super) T);

impl<T: DeserializeOwned, const BYTES_MAX: usize> FromRequest<State> for Json<T, BYTES_MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Self, Problem> {
        let JsonBytes::<BYTES_MAX>(raw) = JsonBytes::from_request(request, state).await?;
        parse(&raw.bytes).map(Self)
    }
}

/// A JSON body that may be left out where all its fields may.
pub(super) struct OptionalJson<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<State> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Self, Problem> {
        let is_json = has_type(request.headers(), b"application/json");
        let raw = read(request, state, JSON_BYTES_MAX, JSON_SECONDS_MAX).await?;
        match (raw.bytes.is_empty(), is_json) {
            (true, _) => Ok(Self(T::default())),
            (false, true) => parse(&raw.bytes).map(Self),
            (false, false) => Err(Problem::content_type_wrong("application/json")),
        }
    }
}

/// A JSON body that is not parsed yet.
pub(super) struct JsonBytes<const BYTES_MAX: usize = JSON_BYTES_MAX>(pub(super) Raw);

impl<const BYTES_MAX: usize> FromRequest<State> for JsonBytes<BYTES_MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Self, Problem> {
        if !has_type(request.headers(), b"application/json") {
            return Err(Problem::content_type_wrong("application/json"));
        }
        read(request, state, BYTES_MAX, JSON_SECONDS_MAX).await.map(Self)
    }
}

/// A WebAssembly binary.
pub(super) struct Wasm(pub(super) Raw);

impl FromRequest<State> for Wasm {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Self, Problem> {
        if !has_type(request.headers(), b"application/wasm") {
            return Err(Problem::content_type_wrong("application/wasm"));
        }
        read(request, state, crate::strategy::COMPONENT_BYTES_MAX, BINARY_SECONDS_MAX).await.map(Self)
    }
}

/// Any binary.
pub(super) struct Octets(pub(super) Raw);

impl FromRequest<State> for Octets {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &State) -> Result<Self, Problem> {
        if !has_type(request.headers(), b"application/octet-stream") {
            return Err(Problem::content_type_wrong("application/octet-stream"));
        }
        read(request, state, crate::strategy::ASSET_BYTES_MAX, BINARY_SECONDS_MAX).await.map(Self)
    }
}

/// Whether the body is of this media type, parameters aside.
fn has_type(headers: &HeaderMap, wanted: &[u8]) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return false };
    let essence = value.as_bytes().split(|b| *b == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(wanted)
}

/// Parses JSON.
///
/// # Errors
/// `json-not-utf8`, `json-too-deep`, `json-malformed`, or `json-invalid` with the field at fault.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| explain::<T>(bytes, &error))
}

#[cold]
fn explain<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> Problem {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Problem::json_not_utf8(error.valid_up_to());
    }
    if nests_deeper(bytes, JSON_LEVELS_MAX) {
        return Problem::json_too_deep(JSON_LEVELS_MAX);
    }
    if !error.is_data() {
        return Problem::json_malformed(error.to_string());
    }
    let mut source = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut source) {
        Err(error) if error.path().iter().next().is_some() => {
            let field = error.path().to_string();
            Problem::json_invalid(error.into_inner().to_string()).field(field)
        }
        _ => Problem::json_invalid(error.to_string()),
    }
}

/// Whether arrays and objects nest deeper than so many levels.
fn nests_deeper(json: &[u8], levels_max: usize) -> bool {
    let (mut level, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => level += 1,
            b']' | b'}' => level = level.saturating_sub(1),
            _ => {}
        }
        if level > levels_max {
            return true;
        }
    }
    false
}

/// The parameters in the path.
pub(super) struct Parameters(RawPathParams);

impl FromRequestParts<State> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        match RawPathParams::from_request_parts(parts, state).await {
            Ok(parameters) => Ok(Self(parameters)),
            Err(error) => Err(Problem::path_invalid("path", &error.body_text())),
        }
    }
}

impl Parameters {
    /// One of them, by its name in the route.
    ///
    /// # Errors
    /// `path-invalid` where it does not have the right form.
    pub(super) fn get<T: std::str::FromStr<Err: std::fmt::Display>>(&self, name: &'static str) -> Result<T, Problem> {
        let text = self.0.iter().find_map(|(key, value)| (key == name).then_some(value)).unwrap_or_default();
        text.parse().map_err(|error: T::Err| {
            let text: String = text.chars().take(80).collect();
            let why = match name {
                "interaction" => format!("`{text}` is no interaction's identifier, which is a UUID"),
                "version" | "message" => format!("`{text}` is no number"),
                _ => error.to_string(),
            };
            Problem::path_invalid(name, &why)
        })
    }
}

/// The parameters behind the path.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<State> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let parsed = extract::Query::try_from_uri(&parts.uri);
        parsed.map(|extract::Query(query)| Self(query)).map_err(|error| {
            // The source reads `PARAMETER: why`.
            let text = std::error::Error::source(&error).map_or_else(|| error.body_text(), ToString::to_string);
            let (parameter, why) = text.split_once(": ").unwrap_or(("query", &text));
            Problem::query_invalid(parameter, why).todo("see /docs for the parameters of this list")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[expect(dead_code, reason = "only parsed")]
        a: Vec<u8>,
    }

    fn code(body: &[u8]) -> String {
        parse::<Example>(body).unwrap_err().code().to_owned()
    }

    #[test]
    fn each_way_to_be_wrong_has_its_code() {
        assert_eq!(code(b"{\"a\": [1,"), "json-malformed");
        assert_eq!(code(b""), "json-malformed");
        assert_eq!(code(b"{\"a\": []} x"), "json-malformed");
        assert_eq!(code(b"{\"a\": \"\xff\"}"), "json-not-utf8");
        assert_eq!(code(b"{\"a\": [300]}"), "json-invalid");
        assert_eq!(code(b"{}"), "json-invalid");
        assert_eq!(code(b"{\"a\": [], \"b\": 1}"), "json-invalid");
        assert_eq!(code(format!("{{\"a\": {}", "[".repeat(100_000)).as_bytes()), "json-too-deep");
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert!(!nests_deeper(br#""[[[[\"[[[""#, 2));
        assert!(!nests_deeper(b"[[]][[]]", 2));
        assert!(nests_deeper(b"[[[]]]", 2));
    }
}
