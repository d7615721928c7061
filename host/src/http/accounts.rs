//! Accounts of this server, for its administrators.

use axum::Json as Answer;
use axum::http::StatusCode;
use serde::Serialize;
use signalbox_engine::Name;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::ServerAdministrator;
use super::body::Parameters;
use super::cursor::Page;
use super::{Problem, State, blocking};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(put))
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
struct Account {
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
}

/// Lists accounts.
#[utoipa::path(
    get,
    path = "/v1/accounts",
    security(("token" = ["administrator"])),
    responses((status = 200, description = "All of them.", body = Page<Account>))
)]
async fn list(administrator: ServerAdministrator) -> Answer<Page<Account>> {
    let names = administrator.state.accounts().names();
    Answer(Page::whole(names.into_iter().map(|name| Account { name })))
}

/// Makes an account, where there is none of that name. It has no tokens; those of the account `system` act in it.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}",
    security(("token" = ["administrator"])),
    responses(
        (status = 200, description = "It was there already.", body = Account),
        (status = 201, description = "It is there.", body = Account)
    )
)]
async fn put(
    administrator: ServerAdministrator,
    parameters: Parameters,
) -> Result<(StatusCode, Answer<Account>), Problem> {
    let name: Name = parameters.get("account")?;
    let accounts = administrator.state.accounts().clone();
    let status = if accounts.get(name.as_str()).is_some() { StatusCode::OK } else { StatusCode::CREATED };
    let wanted = name.clone();
    blocking(move || accounts.create(&wanted).map(drop)).await??;
    Ok((status, Answer(Account { name })))
}
