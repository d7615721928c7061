//! What all documents have in common: an ETag, conditions on it, putting and taking away.
//!
//! Invariant: whoever writes a document holds its account's lock from checking the condition to the commit, so that a
//! condition that held still holds when the document is written. A binding, which a canary changes by itself, is put only
//! in the place of the one that was read.

use axum::extract::FromRequestParts;
use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use signalbox_engine::{Command, Document, DocumentKey, DocumentKind, Name, Record};

use super::auth::{Caller, Grant};
use super::body::Parameters;
use super::{Problem, State};

/// What the caller expects of the document that stands: `If-Match` and `If-None-Match`.
pub(super) struct Condition {
    matches: Option<String>,
    matches_none: Option<String>,
}

impl FromRequestParts<State> for Condition {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        Ok(Self {
            matches: header(&parts.headers, &IF_MATCH, "if-match")?,
            matches_none: header(&parts.headers, &IF_NONE_MATCH, "if-none-match")?,
        })
    }
}

fn header(headers: &HeaderMap, name: &HeaderName, word: &'static str) -> Result<Option<String>, Problem> {
    let text = headers.get(name).map(|value| value.to_str().map(str::to_owned)).transpose();
    text.map_err(|_| Problem::header_invalid(word, "it is a list of ETags, or `*`"))
}

impl Condition {
    /// Whether it holds for the document that stands.
    ///
    /// # Errors
    /// `precondition-failed`.
    pub(super) fn check(&self, current: Option<&str>) -> Result<(), Problem> {
        let lists = |list: &str| current.is_some_and(|tag| names(list, tag));
        let holds = self.matches.as_deref().is_none_or(lists) && !self.matches_none.as_deref().is_some_and(lists);
        if holds { Ok(()) } else { Err(Problem::precondition_failed(current)) }
    }
}

/// Whether a list of ETags names this one.
fn names(list: &str, tag: &str) -> bool {
    list.split(',').map(str::trim).any(|item| {
        item == "*" || item.trim_start_matches("W/").strip_prefix('"').and_then(|t| t.strip_suffix('"')) == Some(tag)
    })
}

/// The ETag of a document without a version: the beginning of the hash of what is shown of it.
pub(super) fn tag(shown: &impl Serialize) -> String {
    let json = serde_json::to_vec(shown).unwrap_or_else(|e| panic!("a document can always be encoded: {e}"));
    Sha256::digest(json).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// A document with its ETag.
pub(super) fn tagged(status: StatusCode, shown: &impl Serialize) -> Response {
    with_tag(status, shown, &tag(shown))
}

/// A document with an ETag of its own kind.
pub(super) fn with_tag(status: StatusCode, shown: &impl Serialize, tag: &str) -> Response {
    let mut response = (status, axum::Json(shown)).into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

/// A document that is named in the path, and so may leave its name out of the body.
///
/// # Errors
/// `json-invalid`, or `name-mismatch` where the body names another.
pub(super) fn named<T: serde::de::DeserializeOwned>(
    mut body: serde_json::Map<String, serde_json::Value>,
    fields: &[(&'static str, &Name)],
) -> Result<T, Problem> {
    for (field, name) in fields {
        let given = body.entry(*field).or_insert_with(|| name.as_str().into());
        if given.as_str() != Some(name.as_str()) {
            return Err(Problem::name_mismatch());
        }
    }
    serde_path_to_error::deserialize(serde_json::Value::Object(body)).map_err(|error| {
        let field = error.path().to_string();
        let problem = Problem::json_invalid(error.into_inner().to_string());
        if field == "." { problem } else { problem.field(field) }
    })
}

impl<G: Grant> Caller<G> {
    /// Puts a document. The caller holds the account's lock.
    ///
    /// # Errors
    /// What the engine or the store says.
    pub(super) async fn put(&self, document: Document) -> Result<Record, Problem> {
        Ok(self.lane.command(Command::Put { document, by: self.by() }).await?)
    }

    /// Takes a document away.
    ///
    /// # Errors
    /// What the engine or the store says.
    pub(super) async fn remove(&self, key: DocumentKey) -> Result<StatusCode, Problem> {
        let _held = self.state.documents(&self.lane).await;
        self.lane.command(Command::Remove { key, by: self.by() }).await?;
        Ok(StatusCode::NO_CONTENT)
    }

    /// Takes away the document of a kind that a parameter names.
    ///
    /// # Errors
    /// What the engine or the store says.
    pub(super) async fn remove_named(
        &self,
        kind: DocumentKind,
        parameters: &Parameters,
        parameter: &'static str,
    ) -> Result<StatusCode, Problem> {
        let name = parameters.get::<Name>(parameter)?;
        self.remove(DocumentKey { kind, name, element: None, version: 0 }).await
    }
}

/// The status of a document that was put: made, or put in the place of another.
pub(super) fn put_status<T>(before: Option<&T>) -> StatusCode {
    if before.is_some() { StatusCode::OK } else { StatusCode::CREATED }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(matches: Option<&str>, matches_none: Option<&str>) -> Condition {
        Condition { matches: matches.map(str::to_owned), matches_none: matches_none.map(str::to_owned) }
    }

    #[test]
    fn if_match_wants_what_stands() {
        assert!(condition(Some("\"3\""), None).check(Some("3")).is_ok());
        assert!(condition(Some("\"2\", W/\"3\""), None).check(Some("3")).is_ok());
        assert!(condition(Some("*"), None).check(Some("3")).is_ok());
        assert!(condition(Some("\"2\""), None).check(Some("3")).is_err());
        assert!(condition(Some("*"), None).check(None).is_err());
    }

    #[test]
    fn if_none_match_wants_nothing_to_stand() {
        assert!(condition(None, Some("*")).check(None).is_ok());
        assert!(condition(None, Some("*")).check(Some("3")).is_err());
        assert!(condition(None, None).check(Some("3")).is_ok());
    }
}
