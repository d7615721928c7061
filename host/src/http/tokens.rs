//! Tokens. A secret is shown once, when it is made; only its hash is kept.

use axum::Json as Answer;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use signalbox_engine::{Command, Document, DocumentKey, DocumentKind, Name, Role, Token, UnixMillis};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Administer, Caller, new_secret, secret_hash};
use super::body::{Json, Parameters};
use super::cursor::Page;
use super::{Problem, State, now};
use crate::lane::SYSTEM;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list, make)).routes(routes!(delete))
}

/// What a token is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// Shown wherever something was done with it.
    #[schema(value_type = String)]
    name: Name,
    /// What it may do; at least one.
    roles: Vec<Role>,
}

/// A token without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenView {
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
    /// What it may do.
    roles: Vec<Role>,
    /// When it was made.
    #[schema(value_type = u64)]
    created_at: UnixMillis,
}

/// A token that was just made.
#[derive(Debug, Serialize, ToSchema)]
struct MadeToken {
    /// The token.
    #[serde(flatten)]
    token: TokenView,
    /// To be sent as `Authorization: Bearer SECRET`. Shown this once.
    secret: String,
}

impl From<&Token> for TokenView {
    fn from(token: &Token) -> Self {
        Self { name: token.name.clone(), roles: token.roles.clone(), created_at: token.created_at }
    }
}

/// Lists tokens.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/tokens",
    security(("token" = ["administrator"])),
    responses((status = 200, description = "All of them.", body = Page<TokenView>))
)]
async fn list(caller: Caller<Administer>) -> Answer<Page<TokenView>> {
    Answer(Page::whole(caller.configuration().tokens.values().map(TokenView::from)))
}

/// Makes a token.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/tokens",
    security(("token" = ["administrator"])),
    request_body = NewToken,
    responses((status = 201, description = "The token and its secret.", body = MadeToken))
)]
async fn make(
    caller: Caller<Administer>,
    Json(NewToken { name, mut roles }): Json<NewToken>,
) -> Result<(StatusCode, Answer<MadeToken>), Problem> {
    roles.sort_unstable();
    roles.dedup();
    let secret = new_secret().map_err(|error| Problem::internal("the system has no randomness", &error))?;
    let _held = caller.state.documents(&caller.lane).await;
    if caller.configuration().tokens.contains_key(&name) {
        return Err(Problem::exists("token", &name));
    }
    let token = Token { name, hash: secret_hash(&secret), roles, created_at: now() };
    let shown = TokenView::from(&token);
    caller.put(Document::Token(token)).await?;
    Ok((StatusCode::CREATED, Answer(MadeToken { token: shown, secret })))
}

/// Deletes a token; it opens nothing from then on. The last administrator's of the account `system` stays.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/tokens/{token}",
    security(("token" = ["administrator"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(caller: Caller<Administer>, parameters: Parameters) -> Result<StatusCode, Problem> {
    let name: Name = parameters.get("token")?;
    let _held = caller.state.documents(&caller.lane).await;
    let configuration = caller.configuration();
    let administers = |token: &&Token| token.roles.contains(&Role::Administrator);
    let is_last = configuration.tokens.get(&name).as_ref().is_some_and(administers)
        && configuration.tokens.values().filter(administers).count() == 1;
    if is_last && caller.lane.name().as_str() == SYSTEM {
        return Err(Problem::last_administrator());
    }
    let key = DocumentKey { kind: DocumentKind::Token, name, element: None, version: 0 };
    caller.lane.command(Command::Remove { key, by: caller.by() }).await?;
    Ok(StatusCode::NO_CONTENT)
}
