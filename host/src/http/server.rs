//! The server itself: whether it lives, and its figures.

use axum::Json as Answer;
use axum::extract;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Watcher;
use super::{Problem, State, now};
use crate::stats::Families;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(metrics))
}

/// Whether the server lives.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `ok`.
    status: &'static str,
    /// Of the server.
    version: &'static str,
}

/// Says whether the server lives and can store what it is given. Needs no token.
///
/// 503 and `storage-unavailable` while commits fail, as on a full disk.
#[utoipa::path(get, path = "/healthz", responses((status = 200, description = "It lives.", body = Health)))]
async fn health(extract::State(state): extract::State<State>) -> Result<Answer<Health>, Problem> {
    let accounts = state.accounts();
    let lanes: Vec<_> = accounts.names().iter().filter_map(|name| accounts.get(name.as_str())).collect();
    match lanes.iter().find_map(|lane| lane.fault()) {
        Some(why) => Err(Problem::storage_fails(why)),
        None => Ok(Answer(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })),
    }
}

/// Shows figures in Prometheus' text format: of the token's account; of all accounts for a token of `system`.
#[utoipa::path(
    get,
    path = "/metrics",
    security(("token" = ["operator"])),
    responses((status = 200, description = "The figures.", body = String, content_type = "text/plain"))
)]
async fn metrics(extract::State(state): extract::State<State>, watcher: Watcher) -> impl IntoResponse {
    let mut families = Families::default();
    if watcher.of_system {
        let accounts = state.accounts();
        families.server(accounts.runtime().waiting(), accounts.store().memory_bytes());
    }
    for lane in watcher.lanes {
        lane.stats().prometheus(lane.name(), now(), &mut families);
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], families.render())
}
