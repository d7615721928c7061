//! Who works for an account, and by which rules: agents, their skills and groups, the places where they sit.
//!
//! Documents only. Who is logged in, and what they are doing, is in `login.rs`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::capacity::CapacityRule;
use crate::id::Name;
use crate::skill_expression::SkillExpression;

/// Something that agents can do, more or less well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SkillType {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Somebody who works on interactions. A token with the role `agent` and the agent's name acts for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// As customers and colleagues see it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// Levels by skill, 1 to 10; a skill that is not named is level 0.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, u8>)]
    pub skills: BTreeMap<Name, u8>,
    /// How much it may have at once, such as `1 voice or 4 chat + 1 email`. Left out: the rule of the first of its groups,
    /// by name, that has one, else the account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityRule>,
}

/// Where an agent sits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Agents, by list, by a skill expression, or by both: whoever is in either is in the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentGroup {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Those in it by name. Without anybody, and without an expression, it is empty: what wants it waits.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub agents: BTreeSet<Name>,
    /// Those in it by their skills, such as `english >= 5 && billing > 3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub expression: Option<SkillExpression>,
    /// Capacity of those of its agents who have no rule of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityRule>,
}

/// Places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceGroup {
    /// Its name.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Those in it.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub places: BTreeSet<Name>,
}

/// What a login does where the agent is logged in already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SecondLogin {
    /// It is refused.
    #[default]
    Refuse,
    /// It joins the first: one agent, one state, two connections. It names no place and no media types, or those of the first.
    Allow,
    /// It takes the first one's place: offers that are open are revoked, assignments stay.
    Replace,
}

/// Which of several agents who could take an interaction gets it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgentChoice {
    /// Who has no work, and of those whose last work ended longest ago.
    #[default]
    LongestIdle,
    /// Who uses the smallest share of their capacity; among equals the longest idle.
    LeastLoaded,
    /// Whose levels of the wanted skills sum up highest; among equals the longest idle.
    BestSkill,
    /// Whose last offer is longest ago.
    RoundRobin,
}

/// By which rules the account's agents work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentRules {
    /// What a second login does.
    pub second_login: SecondLogin,
    /// Capacity of whoever has no rule from elsewhere. Left out: `1 any`.
    pub capacity: CapacityRule,
    /// Reason codes that agents may give for being not ready. Empty: any.
    #[schema(value_type = Vec<String>)]
    pub reasons: BTreeSet<Name>,
    /// Disposition codes that agents may give, `closed-by-customer` always among them. Empty: any.
    pub dispositions: BTreeSet<String>,
    /// How long a connection may be gone before the agent's offers are revoked and it becomes not ready, 0 to 600,000 ms.
    /// Left out: 10,000.
    #[schema(maximum = 600_000)]
    pub connection_grace_ms: u64,
    /// How long after that its assignments stay before they go back to their queues, 0 to 86,400,000 ms. Left out:
    /// 300,000.
    #[schema(maximum = 86_400_000)]
    pub assignment_keep_ms: u64,
    /// Shortest time before an agent gets another offer after one that it declined, let expire, or lost because it went not
    /// ready, logged out or was not reached; and after it had work that was put back into a queue. 100 to 600,000 ms. Left
    /// out: 1,000.
    #[schema(minimum = 100, maximum = 600_000)]
    pub reoffer_delay_ms: u64,
}

impl Default for AgentRules {
    fn default() -> Self {
        Self {
            second_login: SecondLogin::Refuse,
            capacity: CapacityRule::default(),
            reasons: BTreeSet::new(),
            dispositions: BTreeSet::new(),
            connection_grace_ms: 10_000,
            assignment_keep_ms: 300_000,
            reoffer_delay_ms: 1000,
        }
    }
}

impl AgentRules {
    /// The name that the one set of rules is kept under.
    #[must_use]
    pub fn name() -> Name {
        Name::new("rules").unwrap_or_else(|e| panic!("`rules` is a name: {e}"))
    }
}

impl AgentGroup {
    /// Whether an agent is in it.
    #[must_use]
    pub fn contains(&self, agent: &Agent) -> bool {
        self.agents.contains(&agent.name) || self.expression.as_ref().is_some_and(|e| e.matches(&agent.skills))
    }
}
