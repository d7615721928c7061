//! A deployment as the API shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use signalbox_engine::{Binding, Configuration, Deployment, Digest, Manifest, Name, Scope, Signer, UnixMillis};
use utoipa::ToSchema;

/// A deployment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deployment)]
pub(super) struct DeploymentView {
    /// Its name.
    #[schema(value_type = String)]
    name: Name,
    /// Digest of the strategy version.
    #[schema(value_type = String)]
    strategy: Digest,
    /// Its settings.
    #[schema(value_type = Object)]
    settings: Value,
    /// Name of each asset and its digest.
    #[schema(value_type = BTreeMap<String, String>)]
    assets: BTreeMap<String, Digest>,
    /// What the configured strategy says of itself.
    manifest: Manifest,
    /// Whether its memory was snapshotted after `configure`; otherwise the sandbox of every call is configured anew.
    snapshotted: bool,
    /// Why it was not, where it was not. A binding may let one instance answer several calls: `warm_calls`.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsnapshotted_because: Option<String>,
    /// Processor time of one call.
    deadline_ms: u64,
    /// What it may use; left out where that is everything of its account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Scope>)]
    grants: Option<Arc<Scope>>,
    /// The key that signed the strategy version; left out where none that the account had did.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<SignerView>,
    /// The strategy elements that it is bound to.
    bound_to: Vec<BoundView>,
    /// It is taken out for a while, for half of its last calls failed.
    is_out: bool,
    /// Why it was made.
    message: String,
    /// Name of the token that made it.
    created_by: String,
    /// When.
    #[schema(value_type = u64)]
    created_at: UnixMillis,
}

/// A key that signed a strategy version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeploymentSigner)]
struct SignerView {
    #[serde(flatten)]
    signer: Signer,
    /// The account still has this key. Another may have come under its name.
    stands: bool,
}

/// A strategy element, and as what a deployment is bound to it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = BoundTo)]
pub(super) struct BoundView {
    /// The workflow.
    #[schema(value_type = String)]
    workflow: Name,
    /// Its element.
    #[schema(value_type = String)]
    element: Name,
    /// As what.
    part: BindingPart,
}

/// As what a deployment is bound.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum BindingPart {
    /// It answers its share of the calls.
    Share,
    /// It answers a growing part of them.
    Canary,
    /// It is asked too, without effect.
    Shadow,
}

/// Whom a binding names, and as what.
fn parts(binding: &Binding) -> impl Iterator<Item = (&Name, BindingPart)> {
    let shares = binding.shares.iter().map(|share| (&share.deployment, BindingPart::Share));
    let canary = binding.canary.iter().map(|canary| (&canary.deployment, BindingPart::Canary));
    let shadows = binding.shadows.iter().map(|shadow| (shadow, BindingPart::Shadow));
    shares.chain(canary).chain(shadows)
}

impl BoundView {
    fn new(binding: &Binding, part: BindingPart) -> Self {
        Self { workflow: binding.workflow.clone(), element: binding.element.clone(), part }
    }

    /// Of all deployments that are bound.
    pub(super) fn all(configuration: &Configuration) -> BTreeMap<&Name, Vec<Self>> {
        let mut bound: BTreeMap<&Name, Vec<Self>> = BTreeMap::new();
        for binding in configuration.bindings.values() {
            for (deployment, part) in parts(binding) {
                bound.entry(deployment).or_default().push(Self::new(binding, part));
            }
        }
        bound
    }

    /// Of one deployment.
    pub(super) fn of(configuration: &Configuration, name: &Name) -> Vec<Self> {
        let places = configuration.bindings.values().flat_map(|binding| {
            let of_it = parts(binding).filter(|(deployment, _)| *deployment == name);
            of_it.map(|(_, part)| Self::new(binding, part))
        });
        places.collect()
    }
}

impl DeploymentView {
    pub(super) fn new(
        configuration: &Configuration,
        deployment: &Deployment,
        bound_to: Vec<BoundView>,
        is_out: bool,
    ) -> Self {
        let version = configuration.uploads.get(deployment.digest.to_string().as_str());
        let signer = version.and_then(|version| version.signed_by.clone());
        Self {
            name: deployment.name.clone(),
            strategy: deployment.digest,
            settings: serde_json::from_str(&deployment.settings).unwrap_or_default(),
            assets: deployment.assets.clone(),
            manifest: deployment.manifest.clone(),
            snapshotted: deployment.snapshotted,
            unsnapshotted_because: deployment.unsnapshotted_because.clone(),
            deadline_ms: deployment.deadline_ms,
            grants: deployment.grants.clone(),
            signed_by: signer.map(|signer| SignerView { stands: configuration.has_key_of(&signer), signer }),
            bound_to,
            is_out,
            message: deployment.message.clone(),
            created_by: deployment.created_by.clone(),
            created_at: deployment.created_at,
        }
    }
}
