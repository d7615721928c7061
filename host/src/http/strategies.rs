//! Uploads: strategy versions and the assets that deployments take. Each is named by the SHA-256 of its bytes.

use std::sync::Arc;

use axum::Json as Answer;
use axum::http::StatusCode;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use signalbox_engine::{Command, Digest, Document, DocumentKind, Manifest, Upload};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Operate, Review};
use super::body::{Octets, Parameters, Wasm};
use super::cursor::Page;
use super::{Problem, State, blocking, now};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list, upload))
        .routes(routes!(get, delete))
        .routes(routes!(list_assets, upload_asset))
}

/// Lists strategy versions.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/strategies",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "All of them.", body = Page<Upload>))
)]
async fn list(caller: Caller<Review>) -> Answer<Page<Upload>> {
    let published = caller.lane.published();
    let uploads = published.configuration.uploads.values();
    Answer(Page::whole(uploads.filter(|u| u.manifest.is_some()).map(|upload| (**upload).clone())))
}

/// Uploads a strategy version: a component of the world `signalbox:strategy/strategy`, of at most 32 MiB.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/strategies",
    security(("token" = ["operator"])),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses(
        (status = 200, description = "It was there already.", body = Upload),
        (status = 201, description = "It is there.", body = Upload)
    )
)]
async fn upload(caller: Caller<Operate>, Wasm(raw): Wasm) -> Result<(StatusCode, Answer<Upload>), Problem> {
    let digest = digest(&raw.bytes).await?;
    if let Some(known) = caller.upload(digest).filter(|upload| upload.manifest.is_some()) {
        return Ok((StatusCode::OK, Answer((*known).clone())));
    }
    let (runtime, bytes) = (Arc::clone(caller.state.accounts().runtime()), raw.bytes.clone());
    let inspection = caller.state.compile(move || runtime.inspect(&bytes)).await??;
    caller.store(digest, raw.bytes.clone(), Some(inspection.manifest)).await
}

/// Shows a strategy version.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/strategies/{digest}",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "The strategy version.", body = Upload))
)]
async fn get(caller: Caller<Review>, parameters: Parameters) -> Result<Answer<Upload>, Problem> {
    let digest: Digest = parameters.get("digest")?;
    let upload = caller.upload(digest).ok_or_else(|| Problem::unknown("strategy", digest))?;
    Ok(Answer((*upload).clone()))
}

/// Deletes a strategy version, or an asset, that no deployment is made from.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account}/strategies/{digest}",
    security(("token" = ["operator"])),
    responses((status = 204, description = "It is gone."))
)]
async fn delete(caller: Caller<Operate>, parameters: Parameters) -> Result<StatusCode, Problem> {
    caller.remove_named(DocumentKind::Upload, &parameters, "digest").await
}

/// Lists assets.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/assets",
    security(("token" = ["designer", "approver", "operator"])),
    responses((status = 200, description = "All of them.", body = Page<Upload>))
)]
async fn list_assets(caller: Caller<Review>) -> Answer<Page<Upload>> {
    let published = caller.lane.published();
    let uploads = published.configuration.uploads.values();
    Answer(Page::whole(uploads.filter(|u| u.manifest.is_none()).map(|upload| (**upload).clone())))
}

/// Uploads an asset, such as a trained model.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/assets",
    security(("token" = ["operator"])),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "It was there already.", body = Upload),
        (status = 201, description = "It is there.", body = Upload)
    )
)]
async fn upload_asset(caller: Caller<Operate>, Octets(raw): Octets) -> Result<(StatusCode, Answer<Upload>), Problem> {
    if raw.bytes.is_empty() {
        return Err(Problem::value_invalid("body", "an asset has at least one byte"));
    }
    let digest = digest(&raw.bytes).await?;
    if let Some(known) = caller.upload(digest) {
        return Ok((StatusCode::OK, Answer((*known).clone())));
    }
    caller.store(digest, raw.bytes.clone(), None).await
}

/// The SHA-256 of many bytes, which takes a while.
async fn digest(bytes: &Bytes) -> Result<Digest, Problem> {
    let bytes = bytes.clone();
    blocking(move || Digest(Sha256::digest(&bytes).into())).await
}

impl<G> Caller<G> {
    fn upload(&self, digest: Digest) -> Option<Arc<Upload>> {
        self.lane.published().configuration.uploads.get(digest.to_string().as_str()).cloned()
    }

    async fn store(
        &self,
        digest: Digest,
        bytes: Bytes,
        manifest: Option<Manifest>,
    ) -> Result<(StatusCode, Answer<Upload>), Problem> {
        let size_bytes = bytes.len() as u64;
        let upload = Upload { digest, size_bytes, manifest, created_by: self.by(), created_at: now() };
        let document = Document::Upload(Arc::new(upload.clone()));
        let _held = self.state.documents(&self.lane).await;
        self.lane.command_with(Command::Put { document, by: self.by() }, vec![(digest, bytes)]).await?;
        Ok((StatusCode::CREATED, Answer(upload)))
    }
}
