//! What a strategy is asked and what it answers: the WIT package's types, in the engine's words.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::content::{Category, Content, Entry, Skill};
use crate::id::{InteractionId, Name, UnixMillis};

/// One call of a strategy: what to decide about, where, and the only clock it has.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which interaction.
    pub interaction: InteractionId,
    /// As it stands.
    pub content: std::sync::Arc<Content>,
    /// The workflow that it is in.
    pub workflow: Name,
    /// The strategy element that it is at.
    pub element: Name,
    /// 1 the first time it enters this element.
    pub visit: u32,
    /// The moment the call is about; a repeated call gets the same.
    pub now: UnixMillis,
}

/// What is sent to the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// One of the account's standard responses.
    Standard {
        /// Its name.
        name: String,
        /// Values for field codes.
        fields: Vec<Entry>,
    },
    /// Text made by the strategy.
    Text {
        /// Left out: "Re: " and the interaction's subject.
        subject: Option<String>,
        /// Plain text.
        body: String,
    },
}

/// Who is to get it, inside the account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The next queue element uses this queue in place of its own.
    Queue(String),
    /// One agent.
    Agent(String),
    /// Any agent of a group.
    AgentGroup(String),
    /// Whoever sits at a place of a group.
    PlaceGroup(String),
    /// Any agent for whom a skill expression is true.
    Skills(String),
    /// The agent who last completed an interaction of the same sender.
    LastAgent,
}

/// Where it is to go, outside an agent's hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Destination {
    /// Another queue of the account.
    Queue(String),
    /// A mail address or telephone number.
    Address(String),
    /// An address that begins with the URL of one of the account's webhooks.
    Url(String),
}

/// What is to be done once the decision is committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A receipt.
    Acknowledge(Reply),
    /// An answer.
    Respond(Reply),
    /// Sets an item of user data; an empty value removes it.
    Attach(Entry),
    /// Adds a category or replaces its relevancy.
    Categorize(Category),
    /// A BCP 47 tag.
    SetLanguage(String),
    /// 0 to 1000.
    SetPriority(u16),
    /// Adds a skill that an agent must have.
    RequireSkill(Skill),
    /// Who is to get it at the next queue element.
    RouteTo(Target),
    /// Sends a copy onwards and goes on here.
    Forward(Destination),
    /// Sends it onwards and ends here.
    Redirect(Destination),
    /// Ends it with a disposition code.
    End(String),
    /// An action of a later version.
    Custom {
        /// Its name.
        name: String,
        /// JSON text.
        payload: String,
    },
}

/// What a strategy answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// The connector to leave by.
    pub outcome: String,
    /// What is to be done, in order.
    pub actions: Vec<Action>,
    /// In words.
    pub reason: String,
}

/// Why a call gave no decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The strategy says that the interaction lacks what it needs.
    Unsuitable(String),
    /// The strategy says that a table, response or calendar is not there.
    Missing(String),
    /// The strategy says why, in words.
    Other(String),
    /// It ran past its deadline.
    Overrun {
        /// The deadline.
        deadline_ms: u64,
    },
    /// It trapped: a bug in the strategy, or a limit it ran into.
    Trap(String),
    /// It answered something that it may not, an outcome it never declared or an action with a bad value; or it asked for
    /// or answered something that its deployment is not granted.
    Refused(String),
    /// The server could not run it.
    Unavailable(String),
}

impl Failure {
    /// Stable code of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsuitable(_) => "unsuitable",
            Self::Missing(_) => "missing",
            Self::Other(_) => "other",
            Self::Overrun { .. } => "overrun",
            Self::Trap(_) => "trap",
            Self::Refused(_) => "refused",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsuitable(why) => write!(f, "the strategy finds the interaction unsuitable: {why}"),
            Self::Missing(what) => write!(f, "the strategy misses {what}"),
            Self::Other(why) => write!(f, "the strategy failed: {why}"),
            Self::Overrun { deadline_ms } => write!(f, "the strategy ran past its deadline of {deadline_ms} ms"),
            Self::Trap(why) => write!(f, "the strategy trapped: {why}"),
            Self::Refused(why) => write!(f, "what the strategy did was refused: {why}"),
            Self::Unavailable(why) => write!(f, "the strategy could not be run: {why}"),
        }
    }
}

/// A way out of a strategy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// The connector's name.
    pub name: String,
    /// For the designer.
    pub description: String,
}

/// A file that a strategy takes at deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssetNeed {
    /// The name it is looked for by.
    pub name: String,
    /// For the operator.
    pub description: String,
    /// Deployment is refused without it.
    pub required: bool,
}

/// What a strategy says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    /// The strategy's name.
    pub name: String,
    /// The author's version.
    pub version: String,
    /// What it does.
    pub description: String,
    /// The outcomes that it can answer.
    pub outcomes: Vec<Outcome>,
    /// JSON Schema of the settings.
    pub settings_schema: String,
    /// The files it takes.
    pub assets: Vec<AssetNeed>,
}
