//! Signing keys: who may vouch for strategy versions. Only public keys are here.

use std::sync::Arc;

use axum::Json as Answer;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use signalbox_engine::{Document, DocumentKind, Name, SigningKey};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Administer, Caller, Review};
use super::body::{Json, Parameters};
use super::cursor::Page;
use super::document::{Condition, put_status, tag, tagged};
use super::{Problem, State, now};
use crate::strategy::PublicKey;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(put, delete))
}

/// A key that strategy versions are signed with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSigningKey {
    /// The public key: Base64 of its 32 bytes, or PEM.
    public_key: String,
}

/// Lists signing keys.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/signing-keys",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "All of them; none where uploads need no signature.", body = Page<SigningKey>))
)]
async fn list(caller: Caller<Review>) -> Answer<Page<SigningKey>> {
    Answer(Page::whole(caller.configuration().signing_keys.values().map(|key| (**key).clone())))
}

/// Adds a signing key, or puts another in its place.
///
/// Once an account has one, a strategy version is taken, and deployed, only if one of its keys signed it. What was deployed
/// before goes on serving.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/signing-keys/{signing-key}",
    security(("token" = ["administrator"])),
    request_body = NewSigningKey,
    responses(
        (status = 200, description = "It was changed: what the one before signed is signed no more.", body = SigningKey),
        (status = 201, description = "It was added.", body = SigningKey)
    )
)]
async fn put(
    caller: Caller<Administer>,
    parameters: Parameters,
    condition: Condition,
    Json(new): Json<NewSigningKey>,
) -> Result<Response, Problem> {
    let name: Name = parameters.get("signing-key")?;
    let key = new.public_key.parse::<PublicKey>();
    let key = key.map_err(|error| Problem::value_invalid("public_key", error.to_string()))?;
    let _held = caller.state.documents(&caller.lane).await;
    let standing = caller.configuration().signing_keys.get(&name).cloned();
    condition.check(standing.as_deref().map(tag).as_deref())?;
    let key = SigningKey { name, public_key: key.to_string(), created_by: caller.by(), created_at: now() };
    let response = tagged(put_status(standing.as_ref()), &key);
    caller.put(Document::SigningKey(Arc::new(key))).await?;
    Ok(response)
}

/// Deletes a signing key: what it signed is deployed no more, and what is deployed goes on serving.
///
/// With the last one, uploads need no signature any more.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/signing-keys/{signing-key}",
    security(("token" = ["administrator"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(caller: Caller<Administer>, parameters: Parameters) -> Result<StatusCode, Problem> {
    caller.remove_named(DocumentKind::SigningKey, &parameters, "signing-key").await
}
