//! Uploads: strategy versions and the assets that deployments take. Each is named by the SHA-256 of its bytes.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use signalbox_engine::{Command, Digest, Document, DocumentKind, Manifest, Signer, SigningKey, Upload};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Operate, Review};
use super::body::{Octets, Parameters, Wasm};
use super::cursor::Page;
use super::{Problem, State, blocking, now};
use crate::strategy::{PublicKey, SIGNATURE_BYTES};

const SIGNATURE: HeaderName = HeaderName::from_static("signalbox-strategy-signature");

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
///
/// Where the account has signing keys, one of them must have signed the bytes. One that is here already, and was signed, can
/// come without.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account}/strategies",
    security(("token" = ["operator"])),
    params((
        "Signalbox-Strategy-Signature" = Option<String>,
        Header,
        description = "Base64 of the Ed25519 signature of the body's bytes. Not looked at where the account has no signing key."
    )),
    request_body(content = Vec<u8>, content_type = "application/wasm"),
    responses(
        (status = 200, description = "It was there already.", body = Upload),
        (status = 201, description = "It is there.", body = Upload)
    )
)]
async fn upload(
    caller: Caller<Operate>,
    signature: Signature,
    Wasm(raw): Wasm,
) -> Result<(StatusCode, Answer<Upload>), Problem> {
    let digest = digest(&raw.bytes).await?;
    let signed_by = signature.signer(&caller, &raw.bytes).await?;
    if let Some(known) = caller.upload(digest).filter(|upload| upload.manifest.is_some()) {
        if signed_by.is_none() && caller.configuration().is_vouched_for(known.signed_by.as_ref()) {
            return Ok((StatusCode::OK, Answer((*known).clone())));
        }
        // Here already, and vouched for only now.
        let _held = caller.state.documents(&caller.lane).await;
        let known =
            caller.upload(digest).ok_or_else(|| Problem::unknown("strategy", digest).todo("upload it again"))?;
        let upload = Upload { signed_by, ..Upload::clone(&known) };
        caller.put(Document::Upload(Arc::new(upload.clone()))).await?;
        return Ok((StatusCode::OK, Answer(upload)));
    }
    // Said before the work is done, though the engine says it again.
    if !caller.configuration().is_vouched_for(signed_by.as_ref()) {
        return Err(signalbox_engine::Rejection::StrategyUnsigned(digest).into());
    }
    let (runtime, bytes) = (Arc::clone(caller.state.accounts().runtime()), raw.bytes.clone());
    let inspection = caller.state.compile(move || runtime.inspect(&bytes)).await??;
    caller.store(digest, raw.bytes.clone(), Some(inspection.manifest), signed_by).await
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
    caller.store(digest, raw.bytes.clone(), None, None).await
}

/// The header `Signalbox-Strategy-Signature`, where there is one.
struct Signature(Option<Vec<u8>>);

impl FromRequestParts<State> for Signature {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let Some(text) = parts.headers.get(SIGNATURE) else { return Ok(Self(None)) };
        let bytes = STANDARD.decode(text.as_bytes()).ok().filter(|bytes| bytes.len() == SIGNATURE_BYTES);
        let why = "Base64 of an Ed25519 signature, which has 64 bytes";
        bytes.map(|bytes| Self(Some(bytes))).ok_or_else(|| Problem::header_invalid("signalbox-strategy-signature", why))
    }
}

impl Signature {
    /// The key of the account that made it of these bytes; none where there is no signature, or no key.
    ///
    /// # Errors
    /// `signature-wrong` where none of the account's keys did.
    async fn signer<G>(self, caller: &Caller<G>, bytes: &Bytes) -> Result<Option<Signer>, Problem> {
        let keys: Vec<Arc<SigningKey>> = caller.configuration().signing_keys.values().cloned().collect();
        let Some(signature) = self.0.filter(|_| !keys.is_empty()) else { return Ok(None) };
        let bytes = bytes.clone();
        let made = |key: &SigningKey, bytes: &[u8], signature: &[u8]| {
            key.public_key.parse::<PublicKey>().is_ok_and(|public| public.verifies(bytes, signature))
        };
        let signer = blocking(move || keys.into_iter().find(|key| made(key, &bytes, &signature))).await?;
        let signer = signer.ok_or_else(Problem::signature_wrong)?;
        Ok(Some(Signer { key: signer.name.clone(), public_key: signer.public_key.clone() }))
    }
}

/// The SHA-256 of many bytes, which takes a while.
async fn digest(bytes: &Bytes) -> Result<Digest, Problem> {
    let bytes = bytes.clone();
    blocking(move || Digest(Sha256::digest(&bytes).into())).await
}

impl<G> Caller<G> {
    pub(super) fn upload(&self, digest: Digest) -> Option<Arc<Upload>> {
        self.lane.published().configuration.uploads.get(digest.to_string().as_str()).cloned()
    }

    async fn store(
        &self,
        digest: Digest,
        bytes: Bytes,
        manifest: Option<Manifest>,
        signed_by: Option<Signer>,
    ) -> Result<(StatusCode, Answer<Upload>), Problem> {
        let size_bytes = bytes.len() as u64;
        let upload = Upload { digest, size_bytes, manifest, signed_by, created_by: self.by(), created_at: now() };
        let document = Document::Upload(Arc::new(upload.clone()));
        let _held = self.state.documents(&self.lane).await;
        self.lane.command_with(Command::Put { document, by: self.by() }, vec![(digest, bytes)]).await?;
        Ok((StatusCode::CREATED, Answer(upload)))
    }
}
