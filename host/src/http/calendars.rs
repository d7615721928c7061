//! Calendars: opening hours.

use std::sync::Arc;

use axum::Json as Answer;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use signalbox_engine::{Calendar, Document, DocumentKind, Name};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Design, Review};
use super::body::{Json, Parameters};
use super::cursor::Page;
use super::document::{Condition, put_status, tag, tagged};
use super::{Problem, State};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put, delete))
}

/// A calendar and its name.
#[derive(Debug, Serialize, ToSchema)]
struct NamedCalendar {
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
    /// Its hours.
    #[serde(flatten)]
    calendar: Calendar,
}

/// Lists calendars.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/calendars",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "All of them.", body = Page<NamedCalendar>))
)]
async fn list(caller: Caller<Review>) -> Answer<Page<NamedCalendar>> {
    let configuration = caller.configuration();
    let shown = |(name, calendar): (&Name, &Arc<Calendar>)| NamedCalendar {
        name: name.clone(),
        calendar: (**calendar).clone(),
    };
    Answer(Page::whole(configuration.calendars.iter().map(shown)))
}

/// Shows a calendar.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/calendars/{calendar}",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "The calendar.", body = Calendar))
)]
async fn get(caller: Caller<Review>, parameters: Parameters) -> Result<Response, Problem> {
    let name: Name = parameters.get("calendar")?;
    let configuration = caller.configuration();
    let calendar = configuration.calendars.get(&name).ok_or_else(|| Problem::unknown("calendar", &name))?;
    Ok(tagged(StatusCode::OK, &**calendar))
}

/// Makes or changes a calendar.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/calendars/{calendar}",
    security(("token" = ["designer"])),
    request_body = Calendar,
    responses(
        (status = 200, description = "It was changed.", body = Calendar),
        (status = 201, description = "It was made.", body = Calendar)
    )
)]
async fn put(
    caller: Caller<Design>,
    parameters: Parameters,
    condition: Condition,
    Json(calendar): Json<Calendar>,
) -> Result<Response, Problem> {
    let name: Name = parameters.get("calendar")?;
    let _held = caller.state.documents(&caller.lane).await;
    let standing = caller.configuration().calendars.get(&name).cloned();
    condition.check(standing.as_deref().map(tag).as_deref())?;
    caller.put(Document::Calendar(name, Arc::new(calendar.clone()))).await?;
    Ok(tagged(put_status(standing.as_ref()), &calendar))
}

/// Deletes a calendar.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/calendars/{calendar}",
    security(("token" = ["designer"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(caller: Caller<Design>, parameters: Parameters) -> Result<StatusCode, Problem> {
    caller.remove_named(DocumentKind::Calendar, &parameters, "calendar").await
}
