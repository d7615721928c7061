//! Standard responses.

use std::sync::Arc;

use axum::Json as Answer;
use axum::http::StatusCode;
use axum::response::Response as Reply;
use serde_json::{Map, Value};
use signalbox_engine::{Document, DocumentKind, Name, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Approve, Caller, Design, Review};
use super::body::{Json, Parameters};
use super::cursor::Page;
use super::document::{Condition, named, put_status, tag, tagged};
use super::{Problem, State};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put, delete)).routes(routes!(approve))
}

/// Lists standard responses.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/responses",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "All of them.", body = Page<Response>))
)]
async fn list(caller: Caller<Review>) -> Answer<Page<Response>> {
    let configuration = caller.configuration();
    Answer(Page::whole(configuration.responses.values().map(|response| (**response).clone())))
}

/// Shows a standard response.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/responses/{response}",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "The standard response.", body = Response))
)]
async fn get(caller: Caller<Review>, parameters: Parameters) -> Result<Reply, Problem> {
    let name: Name = parameters.get("response")?;
    let configuration = caller.configuration();
    let response = configuration.responses.get(&name).ok_or_else(|| Problem::unknown("response", &name))?;
    Ok(tagged(StatusCode::OK, &**response))
}

/// Makes or changes a standard response. Put by somebody who may not approve it, it stays approved only where
/// nothing is changed.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/responses/{response}",
    security(("token" = ["designer"])),
    request_body(content = Response, description = "`name` may be left out."),
    responses(
        (status = 200, description = "It was changed.", body = Response),
        (status = 201, description = "It was made.", body = Response)
    )
)]
async fn put(
    caller: Caller<Design>,
    parameters: Parameters,
    condition: Condition,
    Json(body): Json<Map<String, Value>>,
) -> Result<Reply, Problem> {
    let name: Name = parameters.get("response")?;
    let mut response: Response = named(body, &[("name", &name)])?;
    let faults = response.check();
    if !faults.is_empty() {
        return Err(Problem::value_invalid("texts", faults.join("; ")));
    }
    let _held = caller.state.documents(&caller.lane).await;
    let standing = caller.configuration().responses.get(&name).cloned();
    condition.check(standing.as_deref().map(tag).as_deref())?;
    if !caller.approves() {
        response.approved &= standing.as_deref() == Some(&response);
    }
    caller.put(Document::Response(Arc::new(response.clone()))).await?;
    Ok(tagged(put_status(standing.as_ref()), &response))
}

/// Approves a standard response, so that it is sent. With `If-Match` only as it was read.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/responses/{response}/approve",
    security(("token" = ["approver"])),
    responses((status = 200, description = "It is approved.", body = Response))
)]
async fn approve(caller: Caller<Approve>, parameters: Parameters, condition: Condition) -> Result<Reply, Problem> {
    let name: Name = parameters.get("response")?;
    let _held = caller.state.documents(&caller.lane).await;
    let standing = caller.configuration().responses.get(&name).cloned();
    let standing = standing.ok_or_else(|| Problem::unknown("response", &name))?;
    condition.check(Some(tag(&*standing).as_str()))?;
    let response = Response { approved: true, ..Response::clone(&standing) };
    caller.put(Document::Response(Arc::new(response.clone()))).await?;
    Ok(tagged(StatusCode::OK, &response))
}

/// Deletes a standard response.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/responses/{response}",
    security(("token" = ["designer"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(caller: Caller<Design>, parameters: Parameters) -> Result<StatusCode, Problem> {
    caller.remove_named(DocumentKind::Response, &parameters, "response").await
}
