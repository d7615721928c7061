//! Endpoints: applications outside that workflows may ask. An endpoint's secret goes in and never comes out again.

use std::sync::Arc;

use axum::Json as Answer;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use signalbox_engine::{Document, DocumentKind, Endpoint, Name};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Operate, Review};
use super::body::{Json, Parameters};
use super::cursor::Page;
use super::document::{Condition, put_status, tag, tagged};
use super::{Problem, State};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put, delete))
}

/// An application outside that workflows may ask.
///
/// It is asked by `POST` with a JSON body: `call`, `interaction`, `media_type`, `submitted_at_ms`, `workflow`, `element`,
/// `visit`, and the `fields` and `user_data` that the element names. The header `signalbox-signature` is the HMAC-SHA-256 of
/// the body's bytes under the endpoint's secret, as that of a webhook; `idempotency-key` is `call`, the same for every
/// attempt. Any 2xx with JSON, or with no body, is `ok`; 4xx is `refused` but for 408, 425 and 429, which are tried
/// again as 5xx is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEndpoint {
    /// http or https address that requests are posted to. No other is ever contacted: redirects are not followed.
    url: String,
    /// Key of the HMAC-SHA-256 signature, 16 to 256 bytes. Left out: the one that stands stays.
    #[serde(default)]
    secret: Option<String>,
    /// Whether the name in the address may lead to a private, loopback or link-local address. Not needed where the address
    /// itself is such a one, or `localhost`.
    #[serde(default)]
    private_network: bool,
    /// How long one attempt may take, 100 to 60,000 ms.
    #[serde(default = "timeout_ms")]
    #[schema(minimum = 100, maximum = 60_000)]
    timeout_ms: u64,
    /// How often it is asked again after a failure that may pass, 0 to 5; after 1 s, then twice as long each time.
    #[serde(default)]
    #[schema(maximum = 5)]
    retries: u8,
    /// Most bytes of an answer, 1 to 1,048,576.
    #[serde(default = "response_bytes_max")]
    #[schema(minimum = 1, maximum = 1_048_576)]
    response_bytes_max: u64,
}

fn timeout_ms() -> u64 {
    Endpoint::TIMEOUT_MS
}

fn response_bytes_max() -> u64 {
    Endpoint::RESPONSE_BYTES
}

/// An application outside that workflows may ask.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Endpoint)]
struct EndpointView {
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
    /// http or https address.
    url: String,
    /// Whether the name in the address may lead to a private address.
    private_network: bool,
    /// How long one attempt may take.
    timeout_ms: u64,
    /// How often it is asked again after a failure that may pass.
    retries: u8,
    /// Most bytes of an answer.
    response_bytes_max: u64,
}

impl From<&Endpoint> for EndpointView {
    fn from(endpoint: &Endpoint) -> Self {
        let Endpoint { name, url, secret: _, private_network, timeout_ms, retries, response_bytes_max } =
            endpoint.clone();
        Self { name, url, private_network, timeout_ms, retries, response_bytes_max }
    }
}

/// Lists endpoints.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/endpoints",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "All of them.", body = Page<EndpointView>))
)]
async fn list(caller: Caller<Review>) -> Answer<Page<EndpointView>> {
    let configuration = caller.configuration();
    Answer(Page::whole(configuration.endpoints.values().map(|endpoint| (&**endpoint).into())))
}

/// Shows an endpoint.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/endpoints/{endpoint}",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "The endpoint.", body = EndpointView))
)]
async fn get(caller: Caller<Review>, parameters: Parameters) -> Result<Response, Problem> {
    let name: Name = parameters.get("endpoint")?;
    let configuration = caller.configuration();
    let endpoint = configuration.endpoints.get(&name).ok_or_else(|| Problem::unknown("endpoint", &name))?;
    Ok(tagged(StatusCode::OK, &EndpointView::from(&**endpoint)))
}

/// Makes or changes an endpoint. Calls that wait go to the new address.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/endpoints/{endpoint}",
    security(("token" = ["operator"])),
    request_body = NewEndpoint,
    responses(
        (status = 200, description = "It was changed.", body = EndpointView),
        (status = 201, description = "It was made.", body = EndpointView)
    )
)]
async fn put(
    caller: Caller<Operate>,
    parameters: Parameters,
    condition: Condition,
    Json(new): Json<NewEndpoint>,
) -> Result<Response, Problem> {
    let name: Name = parameters.get("endpoint")?;
    let url = reqwest::Url::parse(&new.url).map_err(|error| Problem::value_invalid("url", error.to_string()))?;
    if !url.has_host() {
        return Err(Problem::value_invalid("url", "an http or https address"));
    }
    let _held = caller.state.documents(&caller.lane).await;
    let standing = caller.configuration().endpoints.get(&name).cloned();
    condition.check(standing.as_deref().map(|e| tag(&EndpointView::from(e))).as_deref())?;
    let secret = new.secret.or_else(|| standing.as_ref().map(|endpoint| endpoint.secret.clone()));
    let secret = secret.ok_or_else(|| Problem::value_invalid("secret", "a new endpoint needs a secret"))?;
    let NewEndpoint { url, secret: _, private_network, timeout_ms, retries, response_bytes_max } = new;
    let endpoint = Endpoint { name, url, secret, private_network, timeout_ms, retries, response_bytes_max };
    let shown = EndpointView::from(&endpoint);
    caller.put(Document::Endpoint(Arc::new(endpoint))).await?;
    Ok(tagged(put_status(standing.as_ref()), &shown))
}

/// Deletes an endpoint that no workflow names.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/endpoints/{endpoint}",
    security(("token" = ["operator"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
    caller.remove_named(DocumentKind::Endpoint, &parameters, "endpoint").await
}
