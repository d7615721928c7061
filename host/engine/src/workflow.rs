//! A workflow: elements joined by connectors, as a designer draws it; and the same made ready to be walked.
//!
//! The document is what is stored and shown. [`Flow`] is derived from it: compiled conditions, connectors by index.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::condition::Condition;
use crate::decision::{Destination, Reply, Target};
use crate::endpoint::CallRequest;
use crate::figure::FigureName;
use crate::id::Name;
use crate::segment::Segment;

/// A workflow as it is drawn. Versions are counted by the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// Its name within the account.
    #[schema(value_type = String)]
    pub name: Name,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// In any order; each identifier once.
    pub elements: Vec<Element>,
    /// In any order; at most one for an element's outcome.
    pub connectors: Vec<Connector>,
}

/// One step of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Element {
    /// Its identifier within the workflow.
    #[schema(value_type = String)]
    pub id: Name,
    /// What it does.
    #[serde(flatten)]
    pub kind: ElementKind,
}

/// What an element does. The outcomes that it can be left by stand with each kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ElementKind {
    /// Where an interaction enters; exactly one. Outcome `next`.
    Start,
    /// Calls the strategy that is bound here. Outcomes: those that the strategy declares, `default` for those of them
    /// without a connector of their own, `error` and `timeout`.
    Strategy,
    /// A CEL expression over the interaction. Outcomes `true`, `false` and `error`.
    Condition {
        /// Gives true or false (CEL, <https://cel.dev>; at most 8 KiB). Names: `workflow` (its name), `now_ms`, and the
        /// members of `interaction`: texts, `""` where there is none: `id`, `media_type`, `subject`, `body`, `sender`,
        /// `recipient`, `language`, `category` (the best); maps: `headers` (the first of each name), `user_data`,
        /// `categories` (relevancy by name), `skills` (level by name); numbers: `priority`, `hops`, `submitted_at_ms`;
        /// and `answered`, true or false. What may be missing from a map is asked for first:
        /// `has(interaction.user_data.tier) && interaction.user_data.tier == 'gold'`.
        ///
        /// Statistics are read by the names that strategies use (tag `deployments`):
        /// `statistic('queue', 'billing', 'waiting')`, with the kind of an object, its name and the statistic's; or
        /// `statistic('billing-wait')`, with the name of one that was defined. Both are optional, for there may be no
        /// value yet: `statistic('queue', 'billing', 'waiting').orValue(0.0) > 10.0`, or `.hasValue()`. The names are
        /// written out, at most 16 of them; what was read stands in the timeline.
        expression: String,
    },
    /// Splits by share, by opening hours or by an attribute. Outcomes: those that it names, and `default`.
    Segment {
        /// How.
        by: Segment,
    },
    /// Waits for an agent. Outcomes `completed`, `timeout`, `no-agents` (nobody logged in could ever take it), `overflow`
    /// (too many wait), `declined-by-all` (everybody who could take it has refused) and `error` (a strategy routed it to a
    /// queue that is gone). Without a connector for `declined-by-all` it goes on waiting.
    Queue {
        /// The queue, unless a strategy chose another by `route-to`.
        #[schema(value_type = String)]
        queue: Name,
        /// Leaves by `timeout` after so long. Left out: waits for ever. At least 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
        /// Whom it is offered to, unless a strategy said so by `route-to`. Left out: as the queue says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<Target>,
        /// Whom it is offered to instead once it has waited longer; at most 16, each later than the one before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        relaxations: Vec<Relaxation>,
        /// Leaves by `overflow` at once where so many wait already. At least 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overflow_length: Option<u32>,
        /// Leaves by `no-agents` where nobody who is logged in could ever take it: at once, or when the last one goes.
        #[serde(default)]
        leave_without_agents: bool,
    },
    /// Sends a reply. Outcomes `next` and `error` (no such response).
    Reply {
        /// What is sent.
        reply: Reply,
        /// A receipt is sent once in the life of an interaction, an answer each time.
        #[serde(default)]
        acknowledgement: bool,
        /// What was said in the interaction so far follows the text.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        transcript: bool,
    },
    /// Sends a copy onwards. Outcomes `next` and `error` (too many hops, no such queue, no webhook for it).
    Forward {
        /// Where to.
        to: Destination,
    },
    /// Asks an application outside, over HTTP, and waits for its answer. Outcomes `ok` (2xx), `refused` (4xx), `error` (it
    /// cannot be reached, answers with another status or with something that cannot be used) and `timeout`.
    Call {
        /// The endpoint.
        #[schema(value_type = String)]
        endpoint: Name,
        /// What it is told.
        #[serde(default)]
        request: CallRequest,
        /// What is read out of its answer: JSON pointers (RFC 6901) by the key of user data that each becomes. What is not
        /// there, or null, removes the item; what is no text stands as JSON.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        response: BTreeMap<String, String>,
    },
    /// Waits. Outcomes `next` and `error` (its calendar is gone, or never opens).
    Wait {
        /// For so long, 1 ms to 366 days.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
        /// Until this calendar is open; goes on at once where it is. Exactly one of the two is given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        until_open: Option<Name>,
    },
    /// Runs another workflow, in the version that is current when it is entered. Outcomes: those that its `end` elements
    /// name, `default` for those of them without a connector of their own, and `error` (no such workflow, too deep).
    Workflow {
        /// Its name.
        #[schema(value_type = String)]
        workflow: Name,
    },
    /// Ends the interaction; in a sub-workflow goes back to its caller. No outcome.
    End {
        /// How the work ended. Left out: `completed`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disposition: Option<String>,
        /// The outcome that a calling workflow goes on by. Left out: `completed`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        outcome: Option<Name>,
    },
}

/// Whom an interaction is offered to after it has waited for some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Relaxation {
    /// Counts from the moment it came into the queue, in ms; at least 1.
    #[schema(minimum = 1)]
    pub after_ms: u64,
    /// Whom.
    pub target: Target,
    /// Skills that a strategy required are no longer needed.
    #[serde(default)]
    pub without_skills: bool,
}

/// From an element, by one of its outcomes, to the next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// The element that is left.
    #[schema(value_type = String)]
    pub from: Name,
    /// By which outcome.
    #[schema(value_type = String)]
    pub outcome: Name,
    /// The element that is entered.
    #[schema(value_type = String)]
    pub to: Name,
}

/// Outcome of a connector that takes all the others of its element.
pub(crate) const DEFAULT: &str = "default";

impl ElementKind {
    /// The kind as it stands in documents.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Strategy => "strategy",
            Self::Condition { .. } => "condition",
            Self::Segment { .. } => "segment",
            Self::Queue { .. } => "queue",
            Self::Reply { .. } => "reply",
            Self::Forward { .. } => "forward",
            Self::Call { .. } => "call",
            Self::Wait { .. } => "wait",
            Self::Workflow { .. } => "workflow",
            Self::End { .. } => "end",
        }
    }
}

/// A version of a workflow, ready to be walked. Elements are known by their index in the document.
#[derive(Debug)]
pub struct Flow {
    /// The document.
    pub workflow: Workflow,
    /// Counts up from 1 with each version that is put.
    pub version: u32,
    start: u16,
    conditions: BTreeMap<u16, Condition>,
    connectors: BTreeMap<(u16, Name), u16>,
}

impl Flow {
    /// Makes a validated document ready.
    ///
    /// # Errors
    /// A sentence, where the document has a fault that [`crate::validate`] reports.
    pub fn new(workflow: Workflow, version: u32) -> Result<Self, String> {
        let index: BTreeMap<&str, u16> =
            (0u16..).zip(&workflow.elements).map(|(i, element)| (element.id.as_str(), i)).collect();
        let at = |name: &Name| index.get(name.as_str()).copied().ok_or_else(|| format!("there is no element `{name}`"));
        let connectors = workflow
            .connectors
            .iter()
            .map(|c| Ok(((at(&c.from)?, c.outcome.clone()), at(&c.to)?)))
            .collect::<Result<_, String>>()?;
        let conditions = (0u16..)
            .zip(&workflow.elements)
            .filter_map(|(i, element)| match &element.kind {
                ElementKind::Condition { expression } => {
                    Some(Condition::new(expression).map(|c| (i, c)).map_err(|e| format!("`{}`: {e}", element.id)))
                }
                _ => None,
            })
            .collect::<Result<_, String>>()?;
        let start = (0u16..)
            .zip(&workflow.elements)
            .find_map(|(i, element)| matches!(element.kind, ElementKind::Start).then_some(i))
            .ok_or("there is no start element")?;
        Ok(Self { workflow, version, start, conditions, connectors })
    }

    /// Index of the start element.
    #[must_use]
    pub fn start(&self) -> u16 {
        self.start
    }

    /// An element by its index.
    #[must_use]
    pub fn element(&self, index: u16) -> &Element {
        &self.workflow.elements[usize::from(index)]
    }

    /// Index of an element by its identifier.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<u16> {
        (0u16..).zip(&self.workflow.elements).find_map(|(i, element)| (element.id == id).then_some(i))
    }

    /// The compiled expression of a condition element.
    pub(crate) fn condition(&self, index: u16) -> Option<&Condition> {
        self.conditions.get(&index)
    }

    /// The figures that its conditions read.
    pub(crate) fn figures(&self) -> impl Iterator<Item = &FigureName> {
        self.conditions.values().flat_map(Condition::figures)
    }

    /// Whether a connector of its own leads from an element by this outcome.
    #[must_use]
    pub fn has_connector(&self, from: u16, outcome: &Name) -> bool {
        self.connectors.contains_key(&(from, outcome.clone()))
    }

    /// The element that this outcome leads to, by its own connector or by `default`. `error` and `timeout` are never
    /// taken by `default`: what goes wrong is not an answer.
    #[must_use]
    pub fn next(&self, from: u16, outcome: &str) -> Option<u16> {
        let by =
            |outcome: &str| Name::new(outcome).ok().and_then(|outcome| self.connectors.get(&(from, outcome)).copied());
        by(outcome).or_else(|| if matches!(outcome, "error" | "timeout") { None } else { by(DEFAULT) })
    }
}
