//! Tables: look-up data that operators keep and strategies read.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use signalbox_engine::{Document, DocumentKind, Name, Table, limits};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Operate};
use super::body::{Json, Parameters};
use super::cursor::Page;
use super::document::{Condition, put_status, tag, tagged};
use super::{Problem, State};

/// Bytes of a whole table as JSON.
pub const TABLE_BYTES_MAX: usize = 32 << 20;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put, delete)).routes(routes!(
        get_entry,
        put_entry,
        delete_entry
    ))
}

/// A table, shortly.
#[derive(Debug, Serialize, ToSchema)]
struct TableSummary {
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
    /// How many entries it has.
    entries: usize,
}

/// A whole table.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Table)]
struct TableView {
    /// By key. At most 100,000; keys of 1 to 128 bytes, values of at most 8 KiB.
    entries: BTreeMap<String, String>,
}

/// The value of an entry.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TableValue {
    /// At most 8 KiB.
    value: String,
}

impl From<&Table> for TableView {
    fn from(table: &Table) -> Self {
        Self { entries: table.entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect() }
    }
}

fn check_entry(key: &str, value: &str) -> Result<(), Problem> {
    if key.is_empty() || key.len() > limits::KEY_BYTES_MAX {
        return Err(Problem::value_invalid("key", format!("1 to {} bytes", limits::KEY_BYTES_MAX)));
    }
    if value.len() > limits::VALUE_BYTES_MAX {
        return Err(Problem::value_invalid("value", format!("at most {} bytes", limits::VALUE_BYTES_MAX)));
    }
    Ok(())
}

/// Lists tables.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/tables",
    security(("token" = ["operator"])),
    responses((status = 200, description = "All of them.", body = Page<TableSummary>))
)]
async fn list(caller: Caller<Operate>) -> Answer<Page<TableSummary>> {
    let configuration = caller.configuration();
    let shown = |(name, table): (&Name, &Table)| TableSummary { name: name.clone(), entries: table.entries.len() };
    Answer(Page::whole(configuration.tables.iter().map(shown)))
}

/// Shows a whole table.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/tables/{table}",
    security(("token" = ["operator"])),
    responses((status = 200, description = "The table.", body = TableView))
)]
async fn get(caller: Caller<Operate>, parameters: Parameters) -> Result<Response, Problem> {
    let name: Name = parameters.get("table")?;
    let configuration = caller.configuration();
    let table = configuration.tables.get(&name).ok_or_else(|| Problem::unknown("table", &name))?;
    Ok(tagged(StatusCode::OK, &TableView::from(table)))
}

/// Puts a whole table.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/tables/{table}",
    security(("token" = ["operator"])),
    request_body = TableView,
    responses(
        (status = 200, description = "It took the place of another.", body = TableSummary),
        (status = 201, description = "It is there.", body = TableSummary)
    )
)]
async fn put(
    caller: Caller<Operate>,
    parameters: Parameters,
    condition: Condition,
    Json(new): Json<TableView, TABLE_BYTES_MAX>,
) -> Result<(StatusCode, Answer<TableSummary>), Problem> {
    let name: Name = parameters.get("table")?;
    for (key, value) in &new.entries {
        check_entry(key, value)?;
    }
    let _held = caller.state.documents(&caller.lane).await;
    let standing = caller.configuration().tables.get(&name).cloned();
    condition.check(standing.as_ref().map(|table| tag(&TableView::from(table))).as_deref())?;
    let table = Table { entries: new.entries.into_iter().collect() };
    let shown = TableSummary { name: name.clone(), entries: table.entries.len() };
    caller.put(Document::Table(name, table)).await?;
    Ok((put_status(standing.as_ref()), Answer(shown)))
}

/// Deletes a table; strategies that look there find nothing.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/tables/{table}",
    security(("token" = ["operator"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
    caller.remove_named(DocumentKind::Table, &parameters, "table").await
}

/// Shows an entry of a table.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/tables/{table}/entries/{key}",
    security(("token" = ["operator"])),
    responses((status = 200, description = "The entry.", body = TableValue))
)]
async fn get_entry(caller: Caller<Operate>, parameters: Parameters) -> Result<Answer<TableValue>, Problem> {
    let (name, key): (Name, String) = (parameters.get("table")?, parameters.get("key")?);
    let configuration = caller.configuration();
    let table = configuration.tables.get(&name).ok_or_else(|| Problem::unknown("table", &name))?;
    let value = table.entries.get(&key).cloned().ok_or_else(|| Problem::unknown("entry", &key))?;
    Ok(Answer(TableValue { value }))
}

/// Sets an entry of a table that is there.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/tables/{table}/entries/{key}",
    security(("token" = ["operator"])),
    request_body = TableValue,
    responses(
        (status = 200, description = "It was changed.", body = TableValue),
        (status = 201, description = "It was added.", body = TableValue)
    )
)]
async fn put_entry(
    caller: Caller<Operate>,
    parameters: Parameters,
    Json(TableValue { value }): Json<TableValue>,
) -> Result<(StatusCode, Answer<TableValue>), Problem> {
    let (name, key): (Name, String) = (parameters.get("table")?, parameters.get("key")?);
    check_entry(&key, &value)?;
    let _held = caller.state.documents(&caller.lane).await;
    let mut table = caller.table(&name)?;
    let before = table.entries.insert(key, value.clone());
    caller.put(Document::Table(name, table)).await?;
    Ok((put_status(before.as_ref()), Answer(TableValue { value })))
}

/// Deletes an entry of a table.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/tables/{table}/entries/{key}",
    security(("token" = ["operator"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete_entry(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
    let (name, key): (Name, String) = (parameters.get("table")?, parameters.get("key")?);
    let _held = caller.state.documents(&caller.lane).await;
    let mut table = caller.table(&name)?;
    table.entries.remove(&key).ok_or_else(|| Problem::unknown("entry", &key))?;
    caller.put(Document::Table(name, table)).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Caller<Operate> {
    /// A copy, which shares what is not changed.
    fn table(&self, name: &Name) -> Result<Table, Problem> {
        self.configuration().tables.get(name).cloned().ok_or_else(|| Problem::unknown("table", name))
    }
}
