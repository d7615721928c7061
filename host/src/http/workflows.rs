//! Workflows and their versions.

use std::sync::Arc;

use axum::Json as Answer;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use signalbox_engine::{Document, DocumentKey, DocumentKind, Event, Fault, Name, Workflow, validate};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Check, Design, Look};
use super::body::{Json, Parameters, Query};
use super::cursor::Page;
use super::document::{Condition, named, put_status, with_tag};
use super::{Problem, State, blocking};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(check))
        .routes(routes!(get, put))
        .routes(routes!(versions))
        .routes(routes!(delete_version))
}

/// A workflow, shortly.
#[derive(Debug, Serialize, ToSchema)]
struct WorkflowSummary {
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
    /// What it is for.
    description: String,
    /// The newest version, which new interactions enter.
    version: u32,
    /// How many elements it has.
    elements: usize,
}

/// A workflow in one version.
#[derive(Debug, Serialize, ToSchema)]
struct WorkflowVersion {
    /// Counts up from 1.
    version: u32,
    /// As it was put.
    #[serde(flatten)]
    workflow: Workflow,
}

/// Number of a version.
#[derive(Debug, Serialize, ToSchema)]
struct Version {
    /// Counts up from 1.
    version: u32,
    /// New interactions enter this one.
    newest: bool,
    /// How many elements it has.
    elements: usize,
}

/// Lists workflows in their newest versions.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/workflows",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    responses((status = 200, description = "All of them.", body = Page<WorkflowSummary>))
)]
async fn list(caller: Caller<Look>) -> Answer<Page<WorkflowSummary>> {
    let published = caller.lane.published();
    let newest = published.configuration.workflows.values().filter_map(|versions| versions.values().next_back());
    Answer(Page::whole(newest.map(|flow| WorkflowSummary {
        name: flow.workflow.name.clone(),
        description: flow.workflow.description.clone(),
        version: flow.version,
        elements: flow.workflow.elements.len(),
    })))
}

/// Which version is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Left out: the newest.
    version: Option<u32>,
}

/// Shows a workflow; its ETag is the version.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/workflows/{workflow}",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    params(Which),
    responses((status = 200, description = "The workflow.", body = WorkflowVersion))
)]
async fn get(caller: Caller<Look>, parameters: Parameters, Query(which): Query<Which>) -> Result<Response, Problem> {
    let name: Name = parameters.get("workflow")?;
    let published = caller.lane.published();
    let configuration = &published.configuration;
    let newest = configuration.workflow(name.as_str()).ok_or_else(|| Problem::unknown("workflow", &name))?;
    let flow = match which.version {
        None => newest,
        Some(version) => {
            configuration.flow(name.as_str(), version).ok_or_else(|| Problem::unknown("workflow-version", version))?
        }
    };
    let shown = WorkflowVersion { version: flow.version, workflow: flow.workflow.clone() };
    Ok(with_tag(StatusCode::OK, &shown, &flow.version.to_string()))
}

/// Puts a workflow as a new version. Interactions that are in an older version stay there.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/workflows/{workflow}",
    security(("token" = ["designer"])),
    params(("If-Match" = Option<String>, Header, description = "The version that stands, as its ETag.")),
    request_body(content = Workflow, description = "`name` may be left out."),
    responses(
        (status = 200, description = "A new version stands.", body = WorkflowVersion),
        (status = 201, description = "The first version stands.", body = WorkflowVersion)
    )
)]
async fn put(
    caller: Caller<Design>,
    parameters: Parameters,
    condition: Condition,
    Json(body): Json<Map<String, Value>>,
) -> Result<Response, Problem> {
    let name: Name = parameters.get("workflow")?;
    let workflow: Workflow = named(body, &[("name", &name)])?;
    let _held = caller.state.documents(&caller.lane).await;
    let standing = caller.lane.published().configuration.workflow(name.as_str()).map(|flow| flow.version);
    condition.check(standing.map(|version| version.to_string()).as_deref())?;
    let record = caller.put(Document::Workflow(Arc::new(workflow.clone()), 0)).await?;
    let version = record.events.iter().find_map(|event| match event {
        Event::DocumentPut { document: Document::Workflow(_, version), .. } => Some(*version),
        _ => None,
    });
    let version = version.unwrap_or_else(|| panic!("a workflow that was put has a version"));
    let shown = WorkflowVersion { version, workflow };
    Ok(with_tag(put_status(standing.as_ref()), &shown, &version.to_string()))
}

/// What is wrong with a workflow.
#[derive(Debug, Serialize, ToSchema)]
struct Faults {
    /// All of them; empty where it can be put.
    faults: Vec<Fault>,
}

/// Finds all faults of a workflow, without putting it.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/workflows/validate",
    security(("token" = ["designer", "approver"])),
    request_body = Workflow,
    responses((status = 200, description = "Its faults.", body = Faults))
)]
async fn check(caller: Caller<Check>, Json(workflow): Json<Workflow>) -> Result<Answer<Faults>, Problem> {
    let configuration = caller.lane.published().configuration.clone();
    let faults = blocking(move || validate(&workflow, &configuration)).await?;
    Ok(Answer(Faults { faults }))
}

/// Lists the versions of a workflow, the newest first.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/workflows/{workflow}/versions",
    security(("token" = ["client", "agent", "designer", "approver", "operator"])),
    responses((status = 200, description = "All that are kept.", body = Page<Version>))
)]
async fn versions(caller: Caller<Look>, parameters: Parameters) -> Result<Answer<Page<Version>>, Problem> {
    let name: Name = parameters.get("workflow")?;
    let published = caller.lane.published();
    let versions = published.configuration.workflows.get(&name).ok_or_else(|| Problem::unknown("workflow", &name))?;
    let newest = versions.keys().next_back().copied().unwrap_or_default();
    let shown = versions.values().rev().map(|flow| Version {
        version: flow.version,
        newest: flow.version == newest,
        elements: flow.workflow.elements.len(),
    });
    Ok(Answer(Page::whole(shown)))
}

/// Deletes a version that nothing is in. With the last one the workflow is gone.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/workflows/{workflow}/versions/{version}",
    security(("token" = ["designer"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete_version(caller: Caller<Design>, parameters: Parameters) -> Result<StatusCode, Problem> {
    let (name, version) = (parameters.get("workflow")?, parameters.get("version")?);
    caller.remove(DocumentKey { kind: DocumentKind::Workflow, name, element: None, version }).await
}
