//! Deployments: strategy versions with their settings baked in.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json as Answer;
use axum::http::StatusCode;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use signalbox_engine::{
    self as engine, Command, Configuration, Deployment, Digest, Document, DocumentKind, Manifest, Name, Scope,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Operate, Review};
use super::body::{Json, Parameters, Query};
use super::cursor::{self, Page};
use super::deployment::{BoundView, DeploymentView};
use super::{Problem, State, now};
use crate::stats::{DeploymentUse, LogLine};
use crate::strategy::{
    ASSET_BYTES_MAX, Asset, DEADLINE, DEADLINE_MAX, InstallError, Runtime, check_imports, interfaces,
};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list, deploy))
        .routes(routes!(get, delete))
        .routes(routes!(log))
        .routes(routes!(used))
}

/// What is to be deployed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDeployment {
    /// Its name. Left out: the strategy's name and the next free number, as `screening-3`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Option<Name>,
    /// Digest of the strategy version, which was uploaded before.
    #[schema(value_type = String)]
    strategy: Digest,
    /// Its settings, by the schema in its manifest.
    #[serde(default)]
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// Name of each asset that it takes, and the digest of one that was uploaded before.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    assets: BTreeMap<String, Digest>,
    /// Processor time of one call, 1 to 5,000 ms, and as much again to configure its sandbox where the memory was not
    /// snapshotted. By the clock it ends after four times that and 200 ms at most.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 5000)]
    deadline_ms: Option<u64>,
    /// What it may use. Left out: everything of its account.
    #[serde(default)]
    #[schema(value_type = Option<Scope>)]
    grants: Option<Arc<Scope>>,
    /// Why it is made. At most 4 KiB.
    #[serde(default)]
    message: String,
}

/// Lists deployments.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/deployments",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "All of them.", body = Page<DeploymentView>))
)]
async fn list(caller: Caller<Review>) -> Answer<Page<DeploymentView>> {
    let published = caller.lane.published();
    let configuration = &published.configuration;
    let mut bound = BoundView::all(configuration);
    let view = |deployment: &Arc<Deployment>| {
        let bound_to = bound.remove(&deployment.name).unwrap_or_default();
        caller.deployment_view(configuration, deployment, bound_to)
    };
    Answer(Page::whole(configuration.deployments.values().map(view)))
}

/// Deploys a strategy version: configures, pre-initialises and compiles it, which takes seconds. Bind it to let it serve.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/deployments",
    security(("token" = ["operator"])),
    request_body = NewDeployment,
    responses((status = 201, description = "It can be bound.", body = DeploymentView))
)]
async fn deploy(
    caller: Caller<Operate>,
    Json(new): Json<NewDeployment>,
) -> Result<(StatusCode, Answer<DeploymentView>), Problem> {
    let default_ms = u64::try_from(DEADLINE.as_millis()).unwrap_or(u64::MAX);
    let max_ms = u64::try_from(DEADLINE_MAX.as_millis()).unwrap_or(u64::MAX);
    let deadline_ms = new.deadline_ms.unwrap_or(default_ms);
    if !(1..=max_ms).contains(&deadline_ms) {
        return Err(Problem::value_invalid("deadline_ms", format!("1 to {max_ms}")));
    }
    if new.message.len() > 4096 {
        return Err(Problem::value_invalid("message", "at most 4096 bytes"));
    }
    if let Some(unknown) = new.grants.iter().find_map(|grants| unknown_import(grants)) {
        let known: Vec<_> = interfaces().collect();
        let unknown: String = unknown.chars().take(80).collect();
        let why = format!("there is no interface `{unknown}`; there are `*`, {}", known.join(", "));
        return Err(Problem::value_invalid("grants.imports", why));
    }
    // Said before the work is done, though the engine says it again.
    if let Some(name) = new.name.as_ref().filter(|name| caller.configuration().knows_deployment(name.as_str())) {
        return Err(engine::Rejection::DeploymentExists(name.clone()).into());
    }
    let version = caller.configuration().uploads.get(new.strategy.to_string().as_str()).cloned();
    if version.is_some_and(|version| !caller.configuration().is_vouched_for(version.signed_by.as_ref())) {
        return Err(engine::Rejection::StrategyUnsigned(new.strategy).into());
    }
    let settings = serde_json::to_string(&new.settings)
        .map_err(|error| Problem::internal("settings that were parsed cannot be written", &error))?;
    let bytes = new.assets.values().map(|digest| caller.size(*digest)).fold(0, usize::saturating_add);
    if bytes > ASSET_BYTES_MAX {
        return Err(InstallError::AssetsTooLarge { bytes }.into());
    }
    let room =
        caller.state.room_for_body(bytes.saturating_add(caller.size(new.strategy))).ok_or_else(Problem::bodies_full)?;
    let component = caller.blob(new.strategy, "strategy", "strategy").await?;
    let mut assets = Vec::with_capacity(new.assets.len());
    for (name, digest) in &new.assets {
        let content = caller.blob(*digest, "asset", "assets").await?;
        assets.push(Asset { name: name.clone(), content });
    }
    let runtime = Arc::clone(caller.state.accounts().runtime());
    let installed = {
        let (settings, grants) = (settings.clone(), new.grants.clone());
        let work = move || {
            let _held = room;
            grants.map_or(Ok(()), |grants| check_imports(&component, &grants))?;
            Prepared::new(&runtime, &component, &settings, &assets)
        };
        caller.state.compile(work).await??
    };

    let _held = caller.state.documents(&caller.lane).await;
    // What it is made of may have been deleted meanwhile.
    for (digest, noun, field) in
        new.assets.values().map(|digest| (digest, "asset", "assets")).chain([(&new.strategy, "strategy", "strategy")])
    {
        if !caller.configuration().uploads.contains_key(digest.to_string().as_str()) {
            return Err(Problem::unknown(noun, digest).named_in(field).todo("upload it first"));
        }
    }
    let name = new.name.unwrap_or_else(|| free_name(&caller.configuration(), &installed.manifest.name));
    let deployment = Deployment {
        name,
        digest: new.strategy,
        settings,
        assets: new.assets,
        manifest: installed.manifest,
        component: installed.component.0,
        image: installed.image.0,
        snapshotted: installed.snapshotted,
        unsnapshotted_because: installed.unsnapshotted_because,
        deadline_ms,
        grants: new.grants,
        message: new.message,
        created_by: caller.by(),
        created_at: now(),
    };
    let shown = caller.deployment_view(&caller.configuration(), &deployment, Vec::new());
    let command = Command::Put { document: Document::Deployment(Arc::new(deployment)), by: caller.by() };
    caller.lane.command_with(command, vec![installed.component, installed.image]).await?;
    Ok((StatusCode::CREATED, Answer(shown)))
}

/// An interface that is granted and that there is not.
fn unknown_import(grants: &Scope) -> Option<&str> {
    let known = |name: &str| name == Scope::ALL || interfaces().any(|interface| interface == name);
    grants.imports.iter().map(String::as_str).find(|name| !known(name))
}

/// What a deployment is made of, hashed.
struct Prepared {
    manifest: Manifest,
    snapshotted: bool,
    unsnapshotted_because: Option<String>,
    component: (Digest, Bytes),
    image: (Digest, Bytes),
}

impl Prepared {
    fn new(runtime: &Runtime, component: &[u8], settings: &str, assets: &[Asset]) -> Result<Self, InstallError> {
        let installed = runtime.install(component, settings, assets)?;
        let hashed = |bytes: Vec<u8>| (Digest(Sha256::digest(&bytes).into()), Bytes::from(bytes));
        Ok(Self {
            manifest: installed.manifest,
            snapshotted: installed.snapshotted,
            unsnapshotted_because: installed.unsnapshotted_because,
            component: hashed(installed.component),
            image: hashed(installed.image),
        })
    }
}

/// A strategy's name and the number after the highest that there was.
fn free_name(configuration: &Configuration, strategy: &str) -> Name {
    let kept = |c: char| if matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.') { c } else { '-' };
    let name: String = strategy.to_lowercase().chars().take(48).map(kept).collect();
    let stem = match name.trim_start_matches(['-', '_', '.']) {
        "" => "strategy",
        stem => stem,
    };
    let number = |name: &Name| name.as_str().strip_prefix(stem)?.strip_prefix('-')?.parse::<u64>().ok();
    let names = configuration.deployments.keys().chain(&configuration.retired);
    let highest = names.filter_map(number).max().unwrap_or_default();
    let name = format!("{stem}-{}", highest.saturating_add(1));
    Name::new(&name).unwrap_or_else(|error| panic!("it is made of what names are made of: {error}"))
}

/// Shows a deployment.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/deployments/{deployment}",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "The deployment.", body = DeploymentView))
)]
async fn get(caller: Caller<Review>, parameters: Parameters) -> Result<Answer<DeploymentView>, Problem> {
    let name: Name = parameters.get("deployment")?;
    let configuration = caller.configuration();
    let deployment = configuration.deployments.get(&name).ok_or_else(|| Problem::unknown("deployment", &name))?;
    let bound_to = BoundView::of(&configuration, &name);
    Ok(Answer(caller.deployment_view(&configuration, deployment, bound_to)))
}

/// Deletes a deployment that is not bound.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/deployments/{deployment}",
    security(("token" = ["operator"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
    caller.remove_named(DocumentKind::Deployment, &parameters, "deployment").await
}

/// How much of a log is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Part {
    /// How many of the newest lines: 1 to 200, 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// Shows the newest lines that a deployment's calls logged since the server started, the oldest of them first.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/deployments/{deployment}/log",
    security(("token" = ["operator"])),
    params(Part),
    responses((status = 200, description = "The lines.", body = Page<LogLine>))
)]
async fn log(
    caller: Caller<Operate>,
    parameters: Parameters,
    Query(part): Query<Part>,
) -> Result<Answer<Page<LogLine>>, Problem> {
    let name: Name = parameters.get("deployment")?;
    let limit = cursor::limit(part.limit)?;
    if !caller.configuration().deployments.contains_key(&name) {
        return Err(Problem::unknown("deployment", &name));
    }
    Ok(Answer(Page::whole(caller.lane.stats().log(name.as_str(), limit))))
}

/// What a deployment has done, and how far that is from its limits.
#[derive(Debug, Serialize, ToSchema)]
struct UseView {
    #[serde(flatten)]
    used: DeploymentUse,
    /// Processor time that a call may take.
    deadline_ms: u64,
    /// Linear memory that a call may have.
    memory_bytes_limit: u64,
    /// What all but one in a hundred calls leave of the deadline, at least, in percent.
    time_headroom_percent: u64,
    /// What every call has left of the memory, at least, in percent.
    memory_headroom_percent: u64,
}

/// Percent of a limit that is left; 0 where it is reached.
fn headroom(used: u64, limit: u64) -> u64 {
    limit.saturating_sub(used).saturating_mul(100) / limit.max(1)
}

/// Shows what a deployment has done since the server started: calls, outcomes, failures, times, memory, how far that is
/// from its limits, and whether it is taken out.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/deployments/{deployment}/use",
    security(("token" = ["operator"])),
    responses((status = 200, description = "What it has done.", body = UseView))
)]
async fn used(caller: Caller<Operate>, parameters: Parameters) -> Result<Answer<UseView>, Problem> {
    let name: Name = parameters.get("deployment")?;
    let configuration = caller.configuration();
    let deployment = configuration.deployments.get(&name).ok_or_else(|| Problem::unknown("deployment", &name))?;
    let used = caller.lane.stats().deployment(name.as_str());
    let deadline_ms = deployment.deadline_ms;
    let memory_bytes_limit = caller.state.accounts().runtime().memory_bytes_max() as u64;
    Ok(Answer(UseView {
        deadline_ms,
        memory_bytes_limit,
        time_headroom_percent: headroom(used.guest.p99_us, deadline_ms.saturating_mul(1000)),
        memory_headroom_percent: headroom(used.memory_bytes_max, memory_bytes_limit),
        used,
    }))
}

impl<G> Caller<G> {
    /// The account's documents as of the last commit.
    pub(super) fn configuration(&self) -> Arc<Configuration> {
        Arc::clone(&self.lane.published().configuration)
    }

    /// A deployment as it is shown.
    fn deployment_view(
        &self,
        configuration: &Configuration,
        deployment: &Deployment,
        bound_to: Vec<BoundView>,
    ) -> DeploymentView {
        DeploymentView::new(configuration, deployment, bound_to, self.lane.stats().is_out(&deployment.name))
    }

    /// Bytes of an uploaded binary; 0 of one that is not there.
    fn size(&self, digest: Digest) -> usize {
        let upload = self.upload(digest);
        upload.map_or(0, |upload| usize::try_from(upload.size_bytes).unwrap_or(usize::MAX))
    }

    /// An uploaded binary, which a field of the body names.
    async fn blob(&self, digest: Digest, noun: &str, field: &'static str) -> Result<Vec<u8>, Problem> {
        let unknown = || Problem::unknown(noun, digest).named_in(field).todo("upload it first");
        if !self.configuration().uploads.contains_key(digest.to_string().as_str()) {
            return Err(unknown());
        }
        let number = self.lane.number();
        self.state.read(move |store| store.blob(number, digest)).await?.ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_the_strategys_where_none_is_given() {
        let configuration = Configuration::default();
        assert_eq!(free_name(&configuration, "screening"), "screening-1");
        assert_eq!(free_name(&configuration, "Ünïted Rules!"), "n-ted-rules--1");
        assert_eq!(free_name(&configuration, "…"), "strategy-1");
        assert_eq!(free_name(&configuration, &"x".repeat(500)).as_str().len(), 50);
    }

    #[test]
    fn a_name_that_a_deleted_deployment_had_is_not_given_again() {
        let retired = ["screening-1", "screening-7"].map(|name| Name::new(name).unwrap());
        let mut configuration = Configuration::default();
        configuration.retired.extend(retired);
        assert_eq!(free_name(&configuration, "screening"), "screening-8");
        configuration.retired.insert(Name::new("screening-4294967296").unwrap());
        assert_eq!(free_name(&configuration, "screening"), "screening-4294967297");
    }
}
