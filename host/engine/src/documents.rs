//! Decides what may be put into an account's configuration, and taken out of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::account::Account;
use crate::agents;
use crate::binding;
use crate::callbacks::CallbackRules;
use crate::configuration::Configuration;
use crate::decide::invalid;
use crate::decision::{Destination, Target};
use crate::document::{Deployment, Document, DocumentKey, DocumentKind, Queue, Webhook};
use crate::event::Event;
use crate::id::{Digest, Name, UnixMillis};
use crate::limits;
use crate::live::State;
use crate::outgoing;
use crate::rejection::Rejection;
use crate::staff::AgentRules;
use crate::staffing;
use crate::statistic;
use crate::validate::validate;
use crate::workflow::{ElementKind, Flow, Workflow};

/// Puts a document.
pub(crate) fn put(account: &Account, document: Document, by: String) -> Result<Vec<Event>, Rejection> {
    let configuration = account.configuration();
    room(configuration, &document)?;
    let document = match document {
        Document::Workflow(workflow, _) => return put_workflow(account, Arc::unwrap_or_clone(workflow), by),
        Document::Deployment(deployment) => {
            if configuration.knows_deployment(deployment.name.as_str()) {
                return Err(Rejection::DeploymentExists(deployment.name.clone()));
            }
            if !(1..=5000).contains(&deployment.deadline_ms) {
                return Err(invalid("deadline_ms", "1 to 5000"));
            }
            let version = configuration.uploads.get(deployment.digest.to_string().as_str());
            if !configuration.is_vouched_for(version.and_then(|version| version.signed_by.as_ref())) {
                return Err(Rejection::StrategyUnsigned(deployment.digest));
            }
            deployment.grants.as_ref().map_or(Ok(()), |grants| grants.check())?;
            Document::Deployment(deployment)
        }
        Document::Binding(binding) => {
            binding::check(configuration, &binding)?;
            Document::Binding(binding)
        }
        Document::Table(name, table) => {
            if table.entries.len() > limits::TABLE_ENTRIES_MAX {
                return Err(Rejection::Full { what: "entries in a table", limit: limits::TABLE_ENTRIES_MAX });
            }
            Document::Table(name, table)
        }
        Document::Webhook(webhook) => {
            check_webhook(&webhook)?;
            Document::Webhook(webhook)
        }
        Document::Token(token) => {
            if token.roles.is_empty() {
                return Err(invalid("roles", "a token has at least one role"));
            }
            Document::Token(token)
        }
        Document::Queue(queue) => {
            staffing::check_queue(configuration, &queue)?;
            Document::Queue(queue)
        }
        Document::Agent(agent) => {
            staffing::check_agent(configuration, &agent)?;
            Document::Agent(agent)
        }
        Document::AgentGroup(group) => {
            staffing::check_agent_group(configuration, &group)?;
            Document::AgentGroup(group)
        }
        Document::PlaceGroup(group) => {
            staffing::check_place_group(configuration, &group)?;
            Document::PlaceGroup(group)
        }
        Document::AgentRules(rules) => {
            staffing::check_rules(&rules)?;
            Document::AgentRules(rules)
        }
        Document::Endpoint(endpoint) => {
            endpoint.check()?;
            Document::Endpoint(endpoint)
        }
        Document::CallbackRules(rules) => {
            rules.check(configuration)?;
            Document::CallbackRules(rules)
        }
        Document::Statistic(statistic) => {
            statistic::check(configuration, &statistic)?;
            Document::Statistic(statistic)
        }
        Document::Replay(report) => {
            known(configuration, &report.deployment)?;
            known(configuration, &report.against)?;
            Document::Replay(report)
        }
        Document::Upload(upload) => {
            if upload.manifest.is_some() && !configuration.is_vouched_for(upload.signed_by.as_ref()) {
                return Err(Rejection::StrategyUnsigned(upload.digest));
            }
            Document::Upload(upload)
        }
        other @ (Document::Calendar(..)
        | Document::SigningKey(_)
        | Document::Response(_)
        | Document::Skill(_)
        | Document::Place(_)) => other,
    };
    Ok(vec![Event::DocumentPut { document, by }])
}

/// Takes a document away, and with a webhook what is parked for it.
pub(crate) fn remove(
    account: &Account,
    key: DocumentKey,
    by: String,
    now: UnixMillis,
) -> Result<Vec<Event>, Rejection> {
    let configuration = account.configuration();
    if !contains(configuration, &key) {
        return Err(Rejection::DocumentUnknown(key));
    }
    if let Some(user) = user_of(account, &key) {
        return Err(Rejection::DocumentInUse(user));
    }
    binding::check_unbound(configuration, &key)?;
    if key.kind == DocumentKind::Deployment && configuration.retired.len() >= limits::RETIRED_MAX {
        return Err(Rejection::Full { what: "names of deleted deployments", limit: limits::RETIRED_MAX });
    }
    let mut events = match key.kind {
        DocumentKind::Webhook => outgoing::discarded(account, &key.name).collect(),
        DocumentKind::Agent => agents::remove(account, &key.name, &by, now),
        _ => Vec::new(),
    };
    events.push(Event::DocumentRemoved { key, by });
    Ok(events)
}

/// Gives a deployment another image of the same component.
pub(crate) fn recompiled(account: &Account, name: &Name, image: Digest) -> Result<Vec<Event>, Rejection> {
    let deployment = account.configuration().deployments.get(name);
    let deployment = deployment.ok_or_else(|| Rejection::DeploymentUnknown(name.clone()))?;
    let document = Document::Deployment(Arc::new(Deployment { image, ..Deployment::clone(deployment) }));
    Ok(vec![Event::DocumentPut { document, by: "the server".to_owned() }])
}

/// Whether there is such a deployment.
pub(crate) fn known(configuration: &Configuration, deployment: &Name) -> Result<(), Rejection> {
    let is_known = configuration.deployments.contains_key(deployment);
    if is_known { Ok(()) } else { Err(Rejection::DeploymentUnknown(deployment.clone())) }
}

fn put_workflow(account: &Account, workflow: Workflow, by: String) -> Result<Vec<Event>, Rejection> {
    let configuration = account.configuration();
    let faults = validate(&workflow, configuration);
    if !faults.is_empty() {
        return Err(Rejection::WorkflowFaulty(faults));
    }
    let versions = configuration.workflows.get(&workflow.name);
    let newest = versions.and_then(|v| v.last_key_value()).map_or(0, |(version, _)| *version);
    let queues: BTreeSet<&Name> = workflow
        .elements
        .iter()
        .filter_map(|element| match &element.kind {
            ElementKind::Queue { queue, .. } if !configuration.queues.contains_key(queue) => Some(queue),
            _ => None,
        })
        .collect();
    if configuration.queues.len() + queues.len() > limits::DOCUMENTS_MAX {
        return Err(Rejection::Full { what: "queues", limit: limits::DOCUMENTS_MAX });
    }
    let mut events: Vec<Event> = queues
        .into_iter()
        .map(|name| Event::DocumentPut { document: Document::Queue(Queue::new(name.clone())), by: by.clone() })
        .collect();
    if versions.is_some_and(|v| v.len() >= limits::VERSIONS_MAX) {
        let unused = |version: &&u32| **version < newest && !account.is_within(workflow.name.as_str(), **version);
        let oldest = versions.and_then(|v| v.keys().find(unused));
        let version = *oldest.ok_or(Rejection::Full { what: "versions of a workflow", limit: limits::VERSIONS_MAX })?;
        let key = DocumentKey { kind: DocumentKind::Workflow, name: workflow.name.clone(), element: None, version };
        events.push(Event::DocumentRemoved { key, by: by.clone() });
    }
    events.push(Event::DocumentPut { document: Document::Workflow(Arc::new(workflow), newest + 1), by });
    Ok(events)
}

fn check_webhook(webhook: &Webhook) -> Result<(), Rejection> {
    let host = webhook.url.strip_prefix("https://").or_else(|| webhook.url.strip_prefix("http://"));
    if host.is_none_or(|h| h.is_empty() || h.starts_with('/')) || webhook.url.len() > 2048 {
        return Err(invalid("url", "an http or https address of at most 2048 bytes"));
    }
    if webhook.types.is_empty() || webhook.types.len() > 64 {
        return Err(invalid("types", "1 to 64 types; `*` for all"));
    }
    if let Some(unknown) = webhook.types.iter().find(|topic| !crate::topic::is_known(topic)) {
        let known: Vec<_> = crate::topic::TOPICS.iter().map(|(topic, _)| *topic).collect();
        let unknown: String = unknown.chars().take(80).collect();
        return Err(invalid("types", format!("there is no `{unknown}`; there are `*`, {}", known.join(", "))));
    }
    if webhook.secret.len() < 16 || webhook.secret.len() > 256 {
        return Err(invalid("secret", "16 to 256 bytes"));
    }
    Ok(())
}

fn room(configuration: &Configuration, document: &Document) -> Result<(), Rejection> {
    let key = document.key();
    let (what, held) = match key.kind {
        DocumentKind::Upload => ("uploads", configuration.uploads.len()),
        DocumentKind::Workflow => ("workflows", configuration.workflows.len()),
        DocumentKind::Deployment => ("deployments", configuration.deployments.len()),
        DocumentKind::Binding => ("bindings", configuration.bindings.len()),
        DocumentKind::Queue => ("queues", configuration.queues.len()),
        DocumentKind::Calendar => ("calendars", configuration.calendars.len()),
        DocumentKind::Response => ("standard responses", configuration.responses.len()),
        DocumentKind::Token => ("tokens", configuration.tokens.len()),
        DocumentKind::Webhook => ("webhooks", configuration.webhooks.len()),
        DocumentKind::Table => ("tables", configuration.tables.len()),
        DocumentKind::Skill => ("skills", configuration.skills.len()),
        DocumentKind::Agent => ("agents", configuration.agents.len()),
        DocumentKind::Place => ("places", configuration.places.len()),
        DocumentKind::AgentGroup => ("agent groups", configuration.agent_groups.len()),
        DocumentKind::PlaceGroup => ("place groups", configuration.place_groups.len()),
        DocumentKind::AgentRules => ("sets of rules", 0),
        DocumentKind::Endpoint => ("endpoints", configuration.endpoints.len()),
        DocumentKind::CallbackRules => ("sets of callback rules", configuration.callback_rules.len()),
        DocumentKind::Statistic => ("statistics", configuration.statistics.len()),
        DocumentKind::Replay => ("reports of replays", configuration.replays.len()),
        DocumentKind::SigningKey => ("signing keys", configuration.signing_keys.len()),
    };
    let limit = match key.kind {
        DocumentKind::Statistic => limits::STATISTICS_MAX,
        DocumentKind::Replay => limits::REPLAYS_MAX,
        DocumentKind::SigningKey => limits::SIGNING_KEYS_MAX,
        _ => limits::DOCUMENTS_MAX,
    };
    // A workflow is put without its version.
    let stands = match key.kind {
        DocumentKind::Workflow => configuration.workflows.contains_key(&key.name),
        _ => contains(configuration, &key),
    };
    if held >= limit && !stands {
        return Err(Rejection::Full { what, limit });
    }
    Ok(())
}

fn contains(configuration: &Configuration, key: &DocumentKey) -> bool {
    let name = key.name.as_str();
    match key.kind {
        DocumentKind::Upload => configuration.uploads.contains_key(name),
        DocumentKind::Workflow => configuration.flow(name, key.version).is_some(),
        DocumentKind::Deployment => configuration.deployments.contains_key(name),
        DocumentKind::Binding => {
            key.element.as_ref().is_some_and(|element| configuration.binding(&key.name, element).is_some())
        }
        DocumentKind::Queue => configuration.queues.contains_key(name),
        DocumentKind::Calendar => configuration.calendars.contains_key(name),
        DocumentKind::Response => configuration.responses.contains_key(name),
        DocumentKind::Token => configuration.tokens.contains_key(name),
        DocumentKind::Webhook => configuration.webhooks.contains_key(name),
        DocumentKind::Table => configuration.tables.contains_key(name),
        DocumentKind::Skill => configuration.skills.contains_key(name),
        DocumentKind::Agent => configuration.agents.contains_key(name),
        DocumentKind::Place => configuration.places.contains_key(name),
        DocumentKind::AgentGroup => configuration.agent_groups.contains_key(name),
        DocumentKind::PlaceGroup => configuration.place_groups.contains_key(name),
        DocumentKind::AgentRules => AgentRules::name() == name,
        DocumentKind::Endpoint => configuration.endpoints.contains_key(name),
        DocumentKind::CallbackRules => configuration.callback_rules.contains_key(name),
        DocumentKind::Statistic => configuration.statistics.contains_key(name),
        DocumentKind::Replay => configuration.replays.contains_key(name),
        DocumentKind::SigningKey => configuration.signing_keys.contains_key(name),
    }
}

/// What still needs a document, in words.
fn user_of(account: &Account, key: &DocumentKey) -> Option<String> {
    let configuration = account.configuration();
    match key.kind {
        DocumentKind::Workflow => {
            let newest = configuration.workflow(key.name.as_str()).is_some_and(|flow| flow.version == key.version);
            let bound = configuration.bindings.keys().find(|(workflow, _)| *workflow == key.name);
            if let (true, Some((_, element))) = (newest, bound) {
                return Some(format!("a strategy is bound to its element `{element}`"));
            }
            if let (true, Some(rules)) =
                (newest, callback_rules_with(configuration, |rules| rules.workflow == key.name))
            {
                return Some(rules);
            }
            let scheduled = account.scheduled_len(key.name.as_str());
            if newest && scheduled > 0 {
                return Some(format!("{scheduled} interactions are scheduled to enter it"));
            }
            let used = account.is_within(key.name.as_str(), key.version);
            used.then(|| format!("interactions are in version {}", key.version))
        }
        DocumentKind::Deployment => {
            let bound = configuration.bindings.values().find(|b| b.names(&key.name));
            if let Some(binding) = bound {
                return Some(format!("it is bound to `{}` in `{}`", binding.element, binding.workflow));
            }
            let awaited = account.calls().any(|(_, id)| {
                matches!(account.live(id).map(|l| &l.state), Some(State::Routing { deployment, .. }) if *deployment == key.name)
            });
            awaited.then(|| "calls of it are awaited".to_owned())
        }
        DocumentKind::Upload => {
            let used = configuration.deployments.values().find(|d| {
                key.name == d.digest.to_string().as_str()
                    || d.assets.values().any(|a| key.name == a.to_string().as_str())
            });
            used.map(|d| format!("the deployment `{}` is made from it", d.name))
        }
        DocumentKind::Queue => {
            let waiting = account.queue_len(key.name.as_str());
            if waiting > 0 {
                return Some(format!("{waiting} interactions wait in it"));
            }
            let taken = account.taken_len(key.name.as_str());
            if taken > 0 {
                return Some(format!("{taken} interactions were taken out of it and may come back"));
            }
            workflow_with(configuration, |kind| match kind {
                ElementKind::Queue { queue, .. } => *queue == key.name,
                ElementKind::Forward { to: Destination::Queue(queue) } => key.name == queue.as_str(),
                _ => false,
            })
        }
        DocumentKind::Webhook => {
            let pending = account.deliveries_due(key.name.as_str()).next().is_some();
            pending.then(|| "messages to it are pending".to_owned())
        }
        DocumentKind::Skill => staffing::user_of_skill(configuration, &key.name),
        DocumentKind::Agent => staffing::user_of_agent(configuration, &key.name),
        DocumentKind::Place => staffing::user_of_place(account, &key.name),
        DocumentKind::AgentGroup => staffing::user_of_target(configuration, &Target::AgentGroup(key.name.to_string())),
        DocumentKind::PlaceGroup => staffing::user_of_target(configuration, &Target::PlaceGroup(key.name.to_string())),
        DocumentKind::Calendar => callback_rules_with(configuration, |rules| rules.calendar == key.name),
        DocumentKind::CallbackRules => {
            let live = account.callbacks(&key.name).next().is_some();
            live.then(|| "callbacks were booked by it".to_owned())
        }
        DocumentKind::Endpoint => workflow_with(
            configuration,
            |kind| matches!(kind, ElementKind::Call { endpoint, .. } if *endpoint == key.name),
        ),
        DocumentKind::Statistic => {
            let mut flows = configuration.workflows.values().flat_map(|versions| versions.values());
            let reads = |flow: &&Arc<Flow>| flow.figures().any(|figure| figure.statistic == key.name);
            flows.find(reads).map(|flow| format!("a condition of the workflow `{}` reads it", flow.workflow.name))
        }
        DocumentKind::AgentRules
        | DocumentKind::Replay
        | DocumentKind::SigningKey
        | DocumentKind::Binding
        | DocumentKind::Response
        | DocumentKind::Token
        | DocumentKind::Table => None,
    }
}

/// A workflow with such an element, in words.
fn workflow_with(configuration: &Configuration, is_such: impl Fn(&ElementKind) -> bool) -> Option<String> {
    let has = |flow: &&Arc<Flow>| flow.workflow.elements.iter().any(|element| is_such(&element.kind));
    let flow = configuration.workflows.values().flat_map(|versions| versions.values()).find(has);
    flow.map(|flow| format!("the workflow `{}` names it", flow.workflow.name))
}

/// Callback rules of which this is so, in words.
fn callback_rules_with(configuration: &Configuration, is_so: impl Fn(&CallbackRules) -> bool) -> Option<String> {
    let rules = configuration.callback_rules.values().find(|rules| is_so(rules));
    rules.map(|rules| format!("the callback rules `{}` name it", rules.name))
}
