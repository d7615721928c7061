//! Checks what is put about agents, groups, places and queues, and finds who needs it.

use crate::account::Account;
use crate::configuration::Configuration;
use crate::decide::invalid;
use crate::decision::Target;
use crate::document::Queue;
use crate::id::Name;
use crate::limits;
use crate::rejection::Rejection;
use crate::skill_expression::SkillExpression;
use crate::staff::{Agent, AgentGroup, AgentRules, PlaceGroup};
use crate::workflow::ElementKind;

/// Checks an agent.
pub(crate) fn check_agent(configuration: &Configuration, agent: &Agent) -> Result<(), Rejection> {
    if agent.display_name.len() > limits::KEY_BYTES_MAX {
        return Err(invalid("display_name", format!("at most {} bytes", limits::KEY_BYTES_MAX)));
    }
    for (skill, level) in &agent.skills {
        if !configuration.skills.contains_key(skill) {
            return Err(Rejection::SkillUnknown(skill.clone()));
        }
        if !(1..=limits::SKILL_LEVEL_MAX).contains(level) {
            return Err(invalid("skills", format!("the level of `{skill}` is 1 to {}", limits::SKILL_LEVEL_MAX)));
        }
    }
    Ok(())
}

/// Checks an agent group.
pub(crate) fn check_agent_group(configuration: &Configuration, group: &AgentGroup) -> Result<(), Rejection> {
    if let Some(agent) = group.agents.iter().find(|agent| !configuration.agents.contains_key(*agent)) {
        return Err(Rejection::AgentUnknown(agent.clone()));
    }
    match &group.expression {
        Some(expression) => check_skills(configuration, expression),
        None => Ok(()),
    }
}

fn check_skills(configuration: &Configuration, expression: &SkillExpression) -> Result<(), Rejection> {
    match expression.skills().iter().find(|skill| !configuration.skills.contains_key(*skill)) {
        Some(skill) => Err(Rejection::SkillUnknown(skill.clone())),
        None => Ok(()),
    }
}

/// Checks a place group.
pub(crate) fn check_place_group(configuration: &Configuration, group: &PlaceGroup) -> Result<(), Rejection> {
    match group.places.iter().find(|place| !configuration.places.contains_key(*place)) {
        Some(place) => Err(Rejection::PlaceUnknown(place.clone())),
        None => Ok(()),
    }
}

/// Checks the rules that agents work by.
pub(crate) fn check_rules(rules: &AgentRules) -> Result<(), Rejection> {
    let bounds = [
        ("connection_grace_ms", rules.connection_grace_ms, 0, 600_000),
        ("assignment_keep_ms", rules.assignment_keep_ms, 0, 86_400_000),
        ("reoffer_delay_ms", rules.reoffer_delay_ms, 100, 600_000),
    ];
    for (field, value, min, max) in bounds {
        within(field, value, min, max)?;
    }
    if rules.reasons.len() > limits::ENTRIES_MAX || rules.dispositions.len() > limits::ENTRIES_MAX {
        return Err(invalid("reasons", format!("at most {} reasons and as many dispositions", limits::ENTRIES_MAX)));
    }
    if rules.dispositions.iter().any(|code| code.is_empty() || code.len() > limits::KEY_BYTES_MAX) {
        return Err(invalid("dispositions", format!("a code has 1 to {} bytes", limits::KEY_BYTES_MAX)));
    }
    Ok(())
}

/// Checks a queue.
pub(crate) fn check_queue(configuration: &Configuration, queue: &Queue) -> Result<(), Rejection> {
    within("offer_timeout_ms", queue.offer_timeout_ms, 1000, 600_000)?;
    within("offers_max", u64::from(queue.offers_max), 1, u64::from(limits::OFFERS_MAX))?;
    within("ageing_per_minute", u64::from(queue.ageing_per_minute), 0, 1000)?;
    within("wrap_up_ms", queue.wrap_up_ms, 0, 3_600_000)?;
    within("inactivity_ms", queue.inactivity_ms.unwrap_or(1000), 1000, 86_400_000)?;
    match &queue.target {
        Some(target) => check_target(configuration, target),
        None => Ok(()),
    }
}

fn within(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), Rejection> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(invalid(field, format!("{min} to {max}"))) }
}

/// Checks whom something waits for.
pub(crate) fn check_target(configuration: &Configuration, target: &Target) -> Result<(), Rejection> {
    let name = |text: &str| Name::new(text).map_err(|error| invalid("target", error.to_string()));
    match target {
        Target::Queue(_) => Err(invalid("target", "an agent, a group, or a skill expression")),
        Target::LastAgent => Ok(()),
        Target::Agent(agent) if !configuration.agents.contains_key(agent.as_str()) => {
            Err(Rejection::AgentUnknown(name(agent)?))
        }
        Target::AgentGroup(group) if !configuration.agent_groups.contains_key(group.as_str()) => {
            Err(Rejection::GroupUnknown(name(group)?))
        }
        Target::PlaceGroup(group) if !configuration.place_groups.contains_key(group.as_str()) => {
            Err(Rejection::GroupUnknown(name(group)?))
        }
        Target::Skills(text) => {
            let expression = SkillExpression::new(text).map_err(|error| invalid("target", error.to_string()))?;
            check_skills(configuration, &expression)
        }
        Target::Agent(_) | Target::AgentGroup(_) | Target::PlaceGroup(_) => Ok(()),
    }
}

/// What needs a skill.
pub(crate) fn user_of_skill(configuration: &Configuration, skill: &Name) -> Option<String> {
    let agent = configuration.agents.values().find(|agent| agent.skills.contains_key(skill));
    let names = |expression: &SkillExpression| expression.skills().contains(skill);
    let group = || {
        let mut groups = configuration.agent_groups.values();
        groups.find(|group| group.expression.as_ref().is_some_and(names))
    };
    agent
        .map(|agent| format!("the agent `{}` has it", agent.name))
        .or_else(|| group().map(|group| format!("the agent group `{}` asks for it", group.name)))
}

/// What needs an agent.
pub(crate) fn user_of_agent(configuration: &Configuration, agent: &Name) -> Option<String> {
    let group = configuration.agent_groups.values().find(|group| group.agents.contains(agent));
    group
        .map(|group| format!("the agent group `{}` names it", group.name))
        .or_else(|| user_of_target(configuration, &Target::Agent(agent.to_string())))
}

/// What needs a place.
pub(crate) fn user_of_place(account: &Account, place: &Name) -> Option<String> {
    let group = account.configuration().place_groups.values().find(|group| group.places.contains(place));
    let sits = || account.logins().find(|(_, login)| login.place.as_ref() == Some(place));
    group
        .map(|group| format!("the place group `{}` names it", group.name))
        .or_else(|| sits().map(|(agent, _)| format!("the agent `{agent}` is logged in there")))
}

/// What waits for a target.
pub(crate) fn user_of_target(configuration: &Configuration, target: &Target) -> Option<String> {
    let queue = configuration.queues.values().find(|queue| queue.target.as_ref() == Some(target));
    let in_element = |kind: &ElementKind| match kind {
        ElementKind::Queue { target: of_element, relaxations, .. } => {
            of_element.as_ref() == Some(target) || relaxations.iter().any(|r| r.target == *target)
        }
        _ => false,
    };
    let flow = || {
        let mut flows = configuration.workflows.values().flat_map(|versions| versions.values());
        flows.find(|flow| flow.workflow.elements.iter().any(|element| in_element(&element.kind)))
    };
    queue
        .map(|queue| format!("the queue `{}` is served by it", queue.name))
        .or_else(|| flow().map(|flow| format!("the workflow `{}` names it", flow.workflow.name)))
}
