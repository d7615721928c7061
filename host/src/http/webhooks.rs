//! Webhooks: where events and replies are delivered to. A webhook's secret goes in and never comes out again.

use std::sync::Arc;

use axum::Json as Answer;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use signalbox_engine::{Document, DocumentKind, Name, Webhook};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Operate};
use super::body::{Json, Parameters};
use super::cursor::Page;
use super::document::{Condition, put_status, tag, tagged};
use super::{Problem, State};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put, delete))
}

/// Where events and replies are to be delivered to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// http or https address.
    url: String,
    /// Key of the HMAC-SHA-256 signature, 16 to 256 bytes. Left out: the one that stands stays.
    #[serde(default)]
    secret: Option<String>,
    /// Types that it takes, 1 to 64; `*` for all. To the customer: `acknowledgement`, `reply`; outside: `forward`.
    /// About an interaction: `interaction.submitted`, `interaction.workflow-entered`, `interaction.workflow-left`,
    /// `interaction.entered`, `interaction.user-data-set`, `interaction.categorized`, `interaction.language-set`,
    /// `interaction.priority-set`, `interaction.skill-required`, `interaction.target-set`, `interaction.hopped`,
    /// `interaction.waiting`, `interaction.queued`, `interaction.assigned`, `interaction.released`,
    /// `interaction.work-done`, `interaction.completed`, `interaction.cancelled`, `interaction.parked`,
    /// `interaction.resumed`, `interaction.relaxed`, `interaction.retargeted`, `interaction.attention-set`,
    /// `interaction.wrap-up-started`, `interaction.abandoned`, `interaction.said`, `interaction.moved`,
    /// `interaction.scheduled`, `interaction.began`, `interaction.marked`, `interaction.closed`,
    /// `interaction.statistics-read`, `interaction.transfer-began`, `interaction.transfer-failed`, `offer.made`,
    /// `offer.ended`, `callback.booked`, `callback.rescheduled`, `callback.attempted`, `endpoint.called`,
    /// `endpoint.answered`, `strategy.called`, `strategy.answered`, `strategy.failed`.
    types: Vec<String>,
}

/// Where events and replies are delivered to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
struct WebhookView {
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
    /// http or https address.
    url: String,
    /// Types that it takes.
    types: Vec<String>,
}

impl From<&Webhook> for WebhookView {
    fn from(webhook: &Webhook) -> Self {
        Self { name: webhook.name.clone(), url: webhook.url.clone(), types: webhook.types.clone() }
    }
}

/// Lists webhooks.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/webhooks",
    security(("token" = ["operator"])),
    responses((status = 200, description = "All of them.", body = Page<WebhookView>))
)]
async fn list(caller: Caller<Operate>) -> Answer<Page<WebhookView>> {
    let configuration = caller.configuration();
    Answer(Page::whole(configuration.webhooks.values().map(|webhook| (&**webhook).into())))
}

/// Shows a webhook.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/webhooks/{webhook}",
    security(("token" = ["operator"])),
    responses((status = 200, description = "The webhook.", body = WebhookView))
)]
async fn get(caller: Caller<Operate>, parameters: Parameters) -> Result<Response, Problem> {
    let name: Name = parameters.get("webhook")?;
    let configuration = caller.configuration();
    let webhook = configuration.webhooks.get(&name).ok_or_else(|| Problem::unknown("webhook", &name))?;
    Ok(tagged(StatusCode::OK, &WebhookView::from(&**webhook)))
}

/// Makes or changes a webhook.
#[utoipa::path(
    put,
    path = "/v1/accounts/{account}/webhooks/{webhook}",
    security(("token" = ["operator"])),
    request_body = NewWebhook,
    responses(
        (status = 200, description = "It was changed.", body = WebhookView),
        (status = 201, description = "It was made.", body = WebhookView)
    )
)]
async fn put(
    caller: Caller<Operate>,
    parameters: Parameters,
    condition: Condition,
    Json(new): Json<NewWebhook>,
) -> Result<Response, Problem> {
    let name: Name = parameters.get("webhook")?;
    let _held = caller.state.documents(&caller.lane).await;
    let standing = caller.configuration().webhooks.get(&name).cloned();
    condition.check(standing.as_deref().map(|w| tag(&WebhookView::from(w))).as_deref())?;
    let secret = new.secret.or_else(|| standing.as_ref().map(|webhook| webhook.secret.clone()));
    let secret = secret.ok_or_else(|| Problem::value_invalid("secret", "a new webhook needs a secret"))?;
    let webhook = Webhook { name, url: new.url, secret, types: new.types };
    let shown = WebhookView::from(&webhook);
    caller.put(Document::Webhook(Arc::new(webhook))).await?;
    Ok(tagged(put_status(standing.as_ref()), &shown))
}

/// Deletes a webhook that nothing is pending for.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/webhooks/{webhook}",
    security(("token" = ["operator"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
    caller.remove_named(DocumentKind::Webhook, &parameters, "webhook").await
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema as _;

    #[test]
    fn the_api_document_names_every_type() {
        let schema = serde_json::to_string(&super::NewWebhook::schema()).unwrap();
        for (topic, _) in signalbox_engine::TOPICS {
            assert!(schema.contains(&format!("`{topic}`")), "{topic}");
        }
    }
}
