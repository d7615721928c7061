//! Backups of the whole server, made while it runs.

use std::path::PathBuf;

use axum::Json as Answer;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::ServerAdministrator;
use super::body::Json;
use super::{Problem, State, blocking};
use crate::store;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(make))
}

/// Where a backup is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBackup {
    /// Absolute path of a directory on the server, which may hold earlier backups.
    #[schema(value_type = String)]
    directory: PathBuf,
}

/// A backup that was made.
#[derive(Debug, Serialize, ToSchema)]
struct Backup {
    /// Its number in the directory.
    number: u32,
    /// The directory.
    #[schema(value_type = String)]
    directory: PathBuf,
}

/// Makes a backup. Only what is new since the last one in the directory is copied. Restore it with `signalbox restore`.
#[utoipa::path(
    post,
    path = "/v1/backups",
    security(("token" = ["administrator"])),
    request_body = NewBackup,
    responses((status = 201, description = "It is made and verified.", body = Backup))
)]
async fn make(
    administrator: ServerAdministrator,
    Json(NewBackup { directory }): Json<NewBackup>,
) -> Result<(StatusCode, Answer<Backup>), Problem> {
    if !directory.is_absolute() {
        return Err(Problem::value_invalid("directory", "an absolute path"));
    }
    let (store, to) = (administrator.state.accounts().store().clone(), directory.clone());
    let made = blocking(move || store::back_up(&store, &to)).await?;
    let number = made.map_err(|error| Problem::backup_failed(&error))?;
    Ok((StatusCode::CREATED, Answer(Backup { number, directory })))
}
