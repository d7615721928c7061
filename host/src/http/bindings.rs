//! Bindings: which deployments serve a workflow's strategy element. A binding that is put serves the next call.

use std::sync::Arc;

use axum::Json as Answer;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};
use signalbox_engine::{Binding, Command, DocumentKey, DocumentKind, Name};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Operate, Review};
use super::body::{Json, OptionalJson, Parameters};
use super::cursor::Page;
use super::document::{Condition, named, put_status, tag, tagged};
use super::{Problem, State, now};
use crate::lane::{CanaryView, ShadowView};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, put, delete))
        .routes(routes!(roll_back))
        .routes(routes!(shadows))
        .routes(routes!(canary))
}

/// Lists bindings.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/bindings",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "All of them.", body = Page<Binding>))
)]
async fn list(caller: Caller<Review>) -> Answer<Page<Binding>> {
    let published = caller.lane.published();
    Answer(Page::whole(published.configuration.bindings.values().map(|binding| (**binding).clone())))
}

/// Shows the binding of an element.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/workflows/{workflow}/elements/{element}/binding",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "The binding.", body = Binding))
)]
async fn get(caller: Caller<Review>, parameters: Parameters) -> Result<Response, Problem> {
    let (workflow, element): (Name, Name) = (parameters.get("workflow")?, parameters.get("element")?);
    let published = caller.lane.published();
    let binding = published.configuration.binding(&workflow, &element);
    let binding = binding.ok_or_else(|| Problem::unknown("binding", format!("{workflow}/{element}")))?;
    Ok(tagged(StatusCode::OK, &**binding))
}

/// Binds deployments to an element. Calls that are under way finish on what they began with.
///
/// With a `canary` it begins at the first step, and goes on by itself. To take its deployment in at once, put a binding with
/// that as a share; to end it, roll back.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/workflows/{workflow}/elements/{element}/binding",
    security(("token" = ["operator"])),
    request_body(content = Binding, description = "`workflow` and `element` may be left out."),
    responses(
        (status = 200, description = "It took the place of another.", body = Binding),
        (status = 201, description = "It is bound.", body = Binding)
    )
)]
async fn put(
    caller: Caller<Operate>,
    parameters: Parameters,
    condition: Condition,
    Json(body): Json<Map<String, Value>>,
) -> Result<Response, Problem> {
    let (workflow, element): (Name, Name) = (parameters.get("workflow")?, parameters.get("element")?);
    let binding: Binding = named(body, &[("workflow", &workflow), ("element", &element)])?;
    let _held = caller.state.documents(&caller.lane).await;
    loop {
        let standing = caller.configuration().binding(&workflow, &element).cloned();
        condition.check(standing.as_deref().map(tag).as_deref())?;
        let status = put_status(standing.as_ref());
        let binding = Arc::new(binding.clone().after(standing.as_deref(), caller.by(), now()));
        match bind(&caller, &binding, standing).await {
            Ok(()) => return Ok(tagged(status, &*binding)),
            // A canary went on or away meanwhile, which takes as long as its steps do: the condition is to be looked at again.
            Err(problem) if problem.code() == "binding-changed" => {}
            Err(problem) => return Err(problem),
        }
    }
}

/// Puts a binding that was made of the one that stood.
async fn bind(caller: &Caller<Operate>, binding: &Arc<Binding>, standing: Option<Arc<Binding>>) -> Result<(), Problem> {
    let configuration = caller.configuration();
    let is_unknown = |name: &Name| !configuration.deployments.contains_key(name);
    let shares_unknown = binding.shares.iter().any(|share| is_unknown(&share.deployment));
    let canary_unknown = binding.canary.as_ref().is_some_and(|canary| is_unknown(&canary.deployment));
    let command = Command::Bind { binding: Arc::clone(binding), standing, by: caller.by() };
    let bound = caller.lane.command(command).await.map_err(Problem::from);
    bound.map(drop).map_err(|problem| match problem.code() {
        "deployment-unknown" if canary_unknown && !shares_unknown => problem.named_in("canary.deployment"),
        "deployment-unknown" if binding.shadows.iter().any(is_unknown) && !shares_unknown => {
            problem.named_in("shadows")
        }
        "deployment-unknown" => problem.named_in("shares"),
        _ => problem,
    })
}

/// Why a binding goes back.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Rollback {
    /// In words, at most 4 KiB. Left out: `rolled back`, of a canary `canary ended`.
    message: Option<String>,
}

/// Ends a canary, where one runs: the shares serve all again. Otherwise puts what stood before again: done twice it goes two
/// back. What was rolled back is still told of. The body may be left out.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/workflows/{workflow}/elements/{element}/binding/rollback",
    security(("token" = ["operator"])),
    request_body = Option<Rollback>,
    responses((status = 200, description = "The next call goes by it.", body = Binding))
)]
async fn roll_back(
    caller: Caller<Operate>,
    parameters: Parameters,
    OptionalJson(Rollback { message }): OptionalJson<Rollback>,
) -> Result<Response, Problem> {
    let (workflow, element): (Name, Name) = (parameters.get("workflow")?, parameters.get("element")?);
    let _held = caller.state.documents(&caller.lane).await;
    let standing = caller.configuration().binding(&workflow, &element).cloned();
    let canary = standing.and_then(|standing| standing.canary.as_ref().map(|canary| canary.deployment.clone()));
    let command =
        Command::RollBack { workflow: workflow.clone(), element: element.clone(), canary, message, by: caller.by() };
    caller.lane.command(command).await?;
    let binding = caller.configuration().binding(&workflow, &element).cloned();
    let binding = binding.ok_or_else(|| Problem::unknown("binding", format!("{workflow}/{element}")))?;
    Ok(tagged(StatusCode::OK, &*binding))
}

/// Shows what the deployments would have decided that are asked without effect, since the server started.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/workflows/{workflow}/elements/{element}/binding/shadows",
    security(("token" = ["operator"])),
    responses((status = 200, description = "All of them.", body = Page<ShadowView>))
)]
async fn shadows(caller: Caller<Operate>, parameters: Parameters) -> Result<Answer<Page<ShadowView>>, Problem> {
    let (workflow, element): (Name, Name) = (parameters.get("workflow")?, parameters.get("element")?);
    let shadows = caller.lane.shadows(&workflow, &element);
    let shadows = shadows.ok_or_else(|| Problem::unknown("binding", format!("{workflow}/{element}")))?;
    Ok(Answer(Page::whole(shadows)))
}

/// Shows how far the canary of an element's binding is, and what was counted since its step began.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/workflows/{workflow}/elements/{element}/binding/canary",
    security(("token" = ["operator"])),
    responses((status = 200, description = "The canary.", body = CanaryView))
)]
async fn canary(caller: Caller<Operate>, parameters: Parameters) -> Result<Answer<CanaryView>, Problem> {
    let (workflow, element): (Name, Name) = (parameters.get("workflow")?, parameters.get("element")?);
    let canary = caller.lane.canary(&workflow, &element);
    canary.map(Answer).ok_or_else(|| Problem::unknown("canary", format!("{workflow}/{element}")))
}

/// Takes the binding of an element away; interactions that come there are parked.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/workflows/{workflow}/elements/{element}/binding",
    security(("token" = ["operator"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
    let (name, element) = (parameters.get("workflow")?, Some(parameters.get("element")?));
    caller.remove(DocumentKey { kind: DocumentKind::Binding, name, element, version: 0 }).await
}
