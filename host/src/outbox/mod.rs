//! What leaves the house: messages to webhooks, as CloudEvents, signed; and requests to applications that workflows ask
//! (`endpoints.rs`).
//!
//! Makes one attempt at a time and says how it ended. When to try again is the engine's decision.
//!
//! A message is delivered at least once: a webhook that answered 2xx just before a crash gets it again, under the same
//! `id`, by which it can tell.

mod endpoints;

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use serde_json::value::RawValue;
use sha2::Sha256;
use signalbox_engine::{EndpointFailure, EndpointReply, EndpointRequest, Name, OutboxMessage, Webhook};
use tokio::runtime::Handle;

/// Time for one attempt.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an error that are kept.
const ERROR_BYTES_MAX: usize = 300;

/// One attempt to deliver a message.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The account that it comes from.
    pub account: Name,
    /// The message.
    pub message: OutboxMessage,
    /// Where it goes.
    pub webhook: Arc<Webhook>,
}

/// Delivers messages over HTTP.
#[derive(Debug)]
pub struct Outbox {
    client: reqwest::Client,
    endpoints: endpoints::Endpoints,
    runtime: Handle,
}

/// A CloudEvent 1.0 in the JSON format, structured mode.
#[derive(serde::Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    datacontenttype: &'static str,
    data: &'a RawValue,
}

impl Outbox {
    /// An outbox that works on this runtime.
    ///
    /// # Errors
    /// Where the TLS part cannot be set up.
    pub fn new(runtime: Handle) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // A redirect could lead to an address that nobody registered.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("signalbox/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let endpoints = endpoints::Endpoints::new(runtime.clone())?;
        Ok(Self { client, endpoints, runtime })
    }

    /// Makes one attempt and says how it ended. Answers at once; `done` is called later.
    pub fn attempt(&self, attempt: Attempt, done: impl FnOnce(Result<(), String>) + Send + 'static) {
        let client = self.client.clone();
        self.runtime.spawn(async move { done(post(&client, &attempt).await) });
    }

    /// Asks an application outside once. Answers at once; `done` is called later, within the endpoint's time.
    pub fn ask(
        &self,
        request: EndpointRequest,
        done: impl FnOnce(Result<EndpointReply, EndpointFailure>) + Send + 'static,
    ) {
        self.endpoints.ask(request, done);
    }
}

async fn post(client: &reqwest::Client, attempt: &Attempt) -> Result<(), String> {
    let Attempt { account, message, webhook } = attempt;
    let data: &RawValue = serde_json::from_str(&message.data).map_err(|e| format!("its data is no JSON: {e}"))?;
    let event = CloudEvent {
        specversion: "1.0",
        id: message.id.to_string(),
        source: format!("/v1/accounts/{account}"),
        r#type: format!("signalbox.{}", message.topic),
        subject: message.interaction.map(|id| id.to_string()),
        datacontenttype: "application/json",
        data,
    };
    let body = serde_json::to_vec(&event).map_err(|e| e.to_string())?;
    let response = client
        .post(message.url.as_deref().unwrap_or(&webhook.url))
        .header("content-type", "application/cloudevents+json")
        .header("signalbox-signature", signature(&webhook.secret, &body))
        .body(body)
        .send()
        .await
        .map_err(|e| cut(chain(&e)))?;
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
}

/// `sha256=` and the HMAC-SHA-256 of the body under the webhook's secret, in hexadecimal.
fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .unwrap_or_else(|e| panic!("HMAC takes keys of any length: {e}"));
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn cut(mut text: String) -> String {
    if text.len() > ERROR_BYTES_MAX {
        let end = (0..=ERROR_BYTES_MAX).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
