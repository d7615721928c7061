//! Bindings: which deployments serve a strategy element, what served it before, and how it goes back to that.
//!
//! Invariant: what stood is told of until there is no room; what there is to go back to is what is not past.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::Account;
use crate::canary::Canary;
use crate::configuration::Configuration;
use crate::decide::invalid;
use crate::document::{Document, DocumentKey, DocumentKind};
use crate::documents;
use crate::event::Event;
use crate::id::{InteractionId, Name, UnixMillis};
use crate::limits;
use crate::rejection::Rejection;
use crate::replay::Gate;
use crate::segment;
use crate::workflow::{ElementKind, Flow};

/// Why one was put.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Which deployments serve a workflow's strategy element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The workflow.
    #[schema(value_type = String)]
    pub workflow: Name,
    /// Its strategy element.
    #[schema(value_type = String)]
    pub element: Name,
    /// At least one. An interaction always gets the same one while the shares stand.
    pub shares: Vec<Share>,
    /// What happens when a call fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Deployments that are asked the same without effect, at most 4: what they would decide is compared and counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub shadows: Vec<Name>,
    /// Calls that one instance may answer, 1 to 10,000, of a deployment that was not snapshotted. Left out: each call
    /// gets an instance of its own, which is configured for it. With it a call finds what others left behind, its decision
    /// may depend on them, and a replay, which begins afresh, may decide otherwise. An instance that failed answers none
    /// any more. Deployments that were snapshotted, and those that are asked without effect, always get fresh ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 10_000)]
    pub warm_calls: Option<NonZero<u32>>,
    /// A deployment that takes a growing part of the calls for as long as its guards hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// What a deployment must have shown in a replay before it gets a share. Holds from the next change on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// Why it was put, at most 4 KiB.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Name of the token that put it. Set by the server.
    #[serde(default)]
    pub put_by: String,
    /// When. Set by the server.
    #[serde(default)]
    #[schema(value_type = u64)]
    pub put_at: UnixMillis,
    /// What stood before, the newest last; at most 40. Set by the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierBinding>,
}

/// What a binding was before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlierBinding {
    /// Who served.
    pub shares: Vec<Share>,
    /// What happened when a call failed.
    pub on_failure: OnFailure,
    /// Who was asked without effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub shadows: Vec<Name>,
    /// Calls that one instance might answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    pub warm_calls: Option<NonZero<u32>>,
    /// The canary that ran beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub canary: Option<Name>,
    /// It is told of, and nothing to go back to: it was rolled back or passed over, or what came after it serves as it did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_past: bool,
    /// Those that served then and a rollback, or the end of a canary, took out. A gate counts them among the new ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub rolled_back: Vec<Name>,
    /// Why it was put.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Name of the token that put it.
    pub put_by: String,
    /// When.
    #[schema(value_type = u64)]
    pub put_at: UnixMillis,
}

/// A deployment's part of a binding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The deployment.
    #[schema(value_type = String)]
    pub deployment: Name,
    /// Its part of the sum of all weights, 1 to 1,000,000.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub weight: u32,
}

/// What happens when a strategy traps, overruns, fails or answers nonsense.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OnFailure {
    /// Calls again so often first, 0 to 5.
    #[schema(maximum = 5)]
    pub retries: u8,
    /// Then leaves by this outcome. Left out: by `timeout` after an overrun and by `error` otherwise, and where there is
    /// no such connector the interaction is parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub outcome: Option<Name>,
}

impl Binding {
    /// One that has no past.
    #[must_use]
    pub fn new(workflow: Name, element: Name, shares: Vec<Share>, on_failure: OnFailure) -> Self {
        Self {
            workflow,
            element,
            shares,
            on_failure,
            shadows: Vec::new(),
            warm_calls: None,
            canary: None,
            gate: None,
            message: String::new(),
            put_by: String::new(),
            put_at: UnixMillis(0),
            earlier: Vec::new(),
        }
    }

    /// Whether a deployment serves, or is asked without effect.
    pub(crate) fn names(&self, deployment: &Name) -> bool {
        self.serving().any(|serves| serves == deployment) || self.shadows.contains(deployment)
    }

    /// Those that answer calls: the shares, and a canary.
    pub(crate) fn serving(&self) -> impl Iterator<Item = &Name> {
        let canary = self.canary.as_ref().map(|canary| &canary.deployment);
        self.shares.iter().map(|share| &share.deployment).chain(canary)
    }

    /// Follows on what stood before.
    #[must_use]
    pub fn after(mut self, standing: Option<&Self>, by: String, at: UnixMillis) -> Self {
        (self.put_by, self.put_at) = (by, at);
        self.earlier = standing.map(|standing| standing.earlier.clone()).unwrap_or_default();
        if let Some(canary) = &mut self.canary {
            canary.follow(standing.and_then(|standing| standing.canary.as_ref()), at);
        }
        if let Some(standing) = standing {
            // What stood before a canary is what there is to go back to, where that has only been put beside it.
            let is_past = standing.canary.is_some() && standing.is_as_before();
            self.tell(EarlierBinding { is_past, ..standing.as_earlier() });
        }
        self
    }

    fn as_earlier(&self) -> EarlierBinding {
        EarlierBinding {
            shares: self.shares.clone(),
            on_failure: self.on_failure.clone(),
            shadows: self.shadows.clone(),
            warm_calls: self.warm_calls,
            canary: self.canary.as_ref().map(|canary| canary.deployment.clone()),
            is_past: false,
            rolled_back: Vec::new(),
            message: self.message.clone(),
            put_by: self.put_by.clone(),
            put_at: self.put_at,
        }
    }

    /// Adds what stood to what is told of. The oldest goes where there is no room, first of those that are past.
    fn tell(&mut self, stood: EarlierBinding) {
        if self.earlier.len() >= limits::EARLIER_BINDINGS_MAX {
            let oldest = self.earlier.iter().position(|earlier| earlier.is_past).unwrap_or(0);
            self.earlier.remove(oldest);
        }
        self.earlier.push(stood);
    }

    /// Where a canary runs, the same without it. Otherwise what stood before, put again; none where nothing did. Done again
    /// it goes one further back. What was served by a deployment that is gone is passed over, and the message says so.
    #[must_use]
    pub fn back(
        &self,
        mut message: String,
        by: String,
        at: UnixMillis,
        exists: impl Fn(&Name) -> bool,
    ) -> Option<Self> {
        if self.canary.is_some() {
            return Some(self.without_canary(message, by, at));
        }
        let mut back = self.clone();
        // To what is rolled back nobody wants to come back by rolling back further.
        back.earlier.iter_mut().filter(|earlier| self.serves_as(earlier)).for_each(|earlier| earlier.is_past = true);
        let mut gone = BTreeSet::new();
        let EarlierBinding { shares, on_failure, shadows, warm_calls, .. } = loop {
            let last = back.last_mut()?;
            last.is_past = true;
            let deployments = last.shares.iter().map(|share| share.deployment.clone());
            let missing: Vec<_> = deployments.filter(|name| !exists(name)).collect();
            if missing.is_empty() {
                break last.clone();
            }
            gone.extend(missing);
        };
        let gone: Vec<_> = gone.iter().map(Name::as_str).collect();
        if !gone.is_empty() {
            let named = format!(" (passed over what was served by {}, deleted since)", gone.join(", "));
            let fits = |note: &&str| message.len() + note.len() <= MESSAGE_BYTES_MAX;
            let note = [named.as_str(), " (passed over what is deleted)"].into_iter().find(fits);
            message.push_str(note.unwrap_or_default());
        }
        back.tell(self.as_rolled_back(&shares));
        (back.shares, back.on_failure, back.warm_calls) = (shares, on_failure, warm_calls);
        back.shadows = shadows.into_iter().filter(exists).collect();
        (back.message, back.put_by, back.put_at) = (message, by, at);
        Some(back)
    }

    pub(crate) fn without_canary(&self, message: String, by: String, at: UnixMillis) -> Self {
        let mut ended = Self { canary: None, message, put_by: by, put_at: at, ..self.clone() };
        if self.is_as_before()
            && let Some(last) = ended.last_mut()
        {
            last.is_past = true;
        }
        ended.tell(self.as_rolled_back(&self.shares));
        ended
    }

    /// What is told of it once a rollback has put these shares in its place.
    fn as_rolled_back(&self, shares: &[Share]) -> EarlierBinding {
        let stays = |name: &&Name| shares.iter().any(|share| share.deployment == **name);
        let rolled_back = self.serving().filter(|name| !stays(name)).cloned().collect();
        EarlierBinding { is_past: true, rolled_back, ..self.as_earlier() }
    }

    /// What there is to go back to.
    fn last_mut(&mut self) -> Option<&mut EarlierBinding> {
        self.earlier.iter_mut().rev().find(|earlier| !earlier.is_past)
    }

    /// Whether it serves as what there is to go back to, but for a canary.
    fn is_as_before(&self) -> bool {
        let mut earlier = self.earlier.iter().rev().filter(|earlier| !earlier.is_past);
        earlier.next().is_some_and(|last| self.serves_as(last))
    }

    fn serves_as(&self, earlier: &EarlierBinding) -> bool {
        (&earlier.shares, &earlier.on_failure, &earlier.shadows, earlier.warm_calls)
            == (&self.shares, &self.on_failure, &self.shadows, self.warm_calls)
    }

    /// Who answers the calls of an interaction. A call that is made again is never the canary's: what it could not do the
    /// shares are to do.
    pub(crate) fn choose(&self, interaction: InteractionId, attempt: u8) -> Option<&Name> {
        let canary = self.canary.as_ref().filter(|_| attempt == 0);
        if let Some(canary) = canary.filter(|canary| canary.takes(interaction, &self.workflow, &self.element)) {
            return Some(&canary.deployment);
        }
        let key =
            [interaction.0.as_bytes().as_slice(), self.workflow.as_str().as_bytes(), self.element.as_str().as_bytes()];
        let nth = segment::pick(&key, self.shares.iter().map(|share| share.weight))?;
        self.shares.get(nth).map(|share| &share.deployment)
    }

    /// Whether a failed call is made again by the shares, whatever the retries: who was to answer has no share, as a canary
    /// has none.
    pub(crate) fn falls_back(&self, deployment: &Name, attempt: u8) -> bool {
        attempt == 0 && !self.shares.iter().any(|share| share.deployment == *deployment)
    }

    /// Of a call's attempts before this one those that the shares have made: a canary's is none of the retries.
    pub(crate) fn retried(&self, interaction: InteractionId, attempt: u8) -> u8 {
        let by_canary = self.choose(interaction, 0).is_some_and(|first| self.falls_back(first, 0));
        attempt.saturating_sub(u8::from(by_canary))
    }
}

/// Puts a binding, unless another stands than it was made of.
pub(crate) fn bind(
    account: &Account,
    binding: Arc<Binding>,
    standing: Option<&Binding>,
    by: String,
) -> Result<Vec<Event>, Rejection> {
    let stands = account.configuration().binding(&binding.workflow, &binding.element);
    if stands.map(|stands| &**stands) != standing {
        return Err(Rejection::BindingChanged { workflow: binding.workflow.clone(), element: binding.element.clone() });
    }
    documents::put(account, Document::Binding(binding), by)
}

/// Ends the canary of a binding, or goes back to what stood before.
pub(crate) fn roll_back(
    account: &Account,
    (workflow, element): (Name, Name),
    canary: Option<&Name>,
    message: Option<String>,
    by: String,
    now: UnixMillis,
) -> Result<Vec<Event>, Rejection> {
    let configuration = account.configuration();
    let Some(standing) = configuration.binding(&workflow, &element) else {
        let key = DocumentKey { kind: DocumentKind::Binding, name: workflow, element: Some(element), version: 0 };
        return Err(Rejection::DocumentUnknown(key));
    };
    if standing.canary.as_ref().map(|canary| &canary.deployment) != canary {
        return Err(Rejection::BindingChanged { workflow, element });
    }
    let done = if canary.is_some() { "canary ended" } else { "rolled back" };
    let exists = |deployment: &Name| configuration.deployments.contains_key(deployment);
    let back = standing.back(message.unwrap_or_else(|| done.to_owned()), by.clone(), now, exists);
    let back = back.ok_or(Rejection::BindingWithoutPast { workflow, element })?;
    documents::put(account, Document::Binding(Arc::new(back)), by)
}

/// Whether it may be put.
pub(crate) fn check(configuration: &Configuration, binding: &Binding) -> Result<(), Rejection> {
    let flow = configuration
        .workflow(binding.workflow.as_str())
        .ok_or_else(|| Rejection::WorkflowUnknown(binding.workflow.clone()))?;
    let index = flow.find(binding.element.as_str()).ok_or_else(|| Rejection::ElementUnknown {
        workflow: binding.workflow.clone(),
        element: binding.element.clone(),
    })?;
    if !matches!(flow.element(index).kind, ElementKind::Strategy) {
        return Err(Rejection::ElementNotStrategy(binding.element.clone()));
    }
    if binding.shares.is_empty() || binding.shares.len() > 16 {
        return Err(invalid("shares", "1 to 16 deployments"));
    }
    if binding.shares.iter().any(|s| !(1..=1_000_000).contains(&s.weight)) {
        return Err(invalid("shares", "a weight is 1 to 1000000"));
    }
    let mut named = BTreeSet::new();
    if let Some(share) = binding.shares.iter().find(|share| !named.insert(&share.deployment)) {
        return Err(invalid("shares", format!("`{}` is there twice: give it one weight", share.deployment)));
    }
    if binding.on_failure.retries > 5 {
        return Err(invalid("on_failure.retries", "0 to 5"));
    }
    if let Some(canary) = &binding.canary {
        if named.contains(&canary.deployment) {
            return Err(invalid("canary.deployment", format!("`{}` has a share already", canary.deployment)));
        }
        canary.check()?;
    }
    for name in binding.serving() {
        let deployment =
            configuration.deployments.get(name).ok_or_else(|| Rejection::DeploymentUnknown(name.clone()))?;
        for outcome in &deployment.manifest.outcomes {
            connected(flow, index, binding, name.as_str(), &outcome.name)?;
        }
    }
    if binding.warm_calls.is_some_and(|calls| calls.get() > limits::WARM_CALLS_MAX) {
        return Err(invalid("warm_calls", format!("1 to {}", limits::WARM_CALLS_MAX)));
    }
    check_shadows(configuration, binding)?;
    check_gate(configuration, binding)?;
    if binding.message.len() > MESSAGE_BYTES_MAX {
        return Err(invalid("message", format!("at most {MESSAGE_BYTES_MAX} bytes")));
    }
    let Some(outcome) = &binding.on_failure.outcome else { return Ok(()) };
    let mut declared = binding.shares.iter().filter_map(|share| configuration.deployments.get(&share.deployment));
    let is_declared =
        declared.any(|deployment| deployment.manifest.outcomes.iter().any(|o| o.name == outcome.as_str()));
    if !is_declared && !flow.has_connector(index, outcome) {
        let message =
            format!("no connector leads from `{}` by `{outcome}`, and no deployment declares it", binding.element);
        return Err(invalid("on_failure.outcome", message));
    }
    connected(flow, index, binding, "on_failure", outcome.as_str())
}

fn check_shadows(configuration: &Configuration, binding: &Binding) -> Result<(), Rejection> {
    if binding.shadows.len() > limits::SHADOWS_MAX {
        return Err(invalid("shadows", format!("at most {} deployments", limits::SHADOWS_MAX)));
    }
    let mut named = BTreeSet::new();
    for shadow in &binding.shadows {
        documents::known(configuration, shadow)?;
        if !named.insert(shadow) {
            return Err(invalid("shadows", format!("`{shadow}` is there twice")));
        }
    }
    Ok(())
}

/// Who is new in a binding has to have passed the gate of what stands. Who served there before may come back at once, unless
/// it was rolled back since.
fn check_gate(configuration: &Configuration, binding: &Binding) -> Result<(), Rejection> {
    if binding.gate.is_some_and(|gate| gate.changed_percent_max > 100) {
        return Err(invalid("gate.changed_percent_max", "0 to 100"));
    }
    let standing = configuration.binding(&binding.workflow, &binding.element);
    let is_new = standing.is_none_or(|standing| standing.gate != binding.gate);
    if is_new && binding.gate.is_some_and(|gate| gate.replayed_min == 0) {
        return Err(invalid("gate.replayed_min", "at least 1: of no decision nothing is known"));
    }
    let Some(standing) = standing else { return Ok(()) };
    let Some(gate) = &standing.gate else { return Ok(()) };
    let served = |deployment: &Name| {
        let latest = standing.earlier.iter().rev().find_map(|earlier| {
            let served = !earlier.is_past && earlier.shares.iter().any(|share| share.deployment == *deployment);
            let rolled_back = earlier.rolled_back.contains(deployment);
            (served || rolled_back).then_some(served)
        });
        standing.serving().any(|serves| serves == deployment) || latest == Some(true)
    };
    for new in binding.serving().filter(|name| !served(name)) {
        let of_new = configuration.replays.values().filter(|report| {
            let by_one_that_serves = standing.shares.iter().any(|share| share.deployment == report.deployment);
            report.against == *new && by_one_that_serves && report.condition.is_none()
        });
        let newest = of_new.max_by_key(|report| report.created_at);
        let why = match newest {
            None => Some(
                "no decision of a deployment that serves here was replayed on it: do that first, without a condition"
                    .to_owned(),
            ),
            Some(report) => gate.shut(report).map(|why| format!("the replay `{}` says: {why}", report.name)),
        };
        if let Some(why) = why {
            let is_canary = binding.canary.as_ref().is_some_and(|canary| canary.deployment == *new);
            let field = if is_canary { "canary.deployment" } else { "shares" };
            return Err(Rejection::GateShut { field, deployment: new.clone(), why });
        }
    }
    Ok(())
}

/// Whether a binding may be taken away, where it is one: its gate would go with it, which keeps newcomers out.
pub(crate) fn check_unbound(configuration: &Configuration, key: &DocumentKey) -> Result<(), Rejection> {
    let element = key.element.as_ref().filter(|_| key.kind == DocumentKind::Binding);
    let binding = element.and_then(|element| configuration.binding(&key.name, element));
    if binding.is_some_and(|binding| binding.gate.is_some()) {
        return Err(invalid(
            "gate",
            "it stands: first bind those that serve now without it, and then take the binding away",
        ));
    }
    Ok(())
}

fn connected(flow: &Flow, index: u16, binding: &Binding, deployment: &str, outcome: &str) -> Result<(), Rejection> {
    if flow.next(index, outcome).is_some() {
        return Ok(());
    }
    Err(Rejection::OutcomeUnconnected {
        deployment: deployment.to_owned(),
        outcome: outcome.to_owned(),
        workflow: binding.workflow.clone(),
        element: binding.element.clone(),
    })
}
