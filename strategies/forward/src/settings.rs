//! What an operator writes: rules in order, each a condition and where to send what fits it.

use schemars::JsonSchema;
use serde::Deserialize;
use signalbox_sdk::statistics::ObjectKind;
use std::collections::BTreeMap;

/// The settings of the strategy.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// In order: the first rule whose condition holds decides. 1 to 500.
    pub rules: Vec<Rule>,
    /// How often an interaction may be forwarded or redirected, all strategies and agents together. 1 to 255.
    #[serde(default = "hops_max")]
    pub hops_max: u8,
}

fn hops_max() -> u8 {
    5
}

/// A condition and where to send what fits it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Names the rule in reasons and in errors. Each name once.
    pub name: String,
    /// When it holds: where everything in it holds. Always, where it is left out.
    #[serde(default)]
    pub when: When,
    /// Where to. `{{value}}` stands for what the table of `when` gave.
    pub to: To,
    /// The outcome to leave by, in place of `routed`, `forwarded` or `redirected`.
    pub outcome: Option<String>,
}

/// Where an interaction goes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum To {
    /// The next queue element uses this queue.
    Queue(String),
    /// One agent, by user name.
    Agent(String),
    /// Any agent of a group.
    AgentGroup(String),
    /// Whoever sits at a place of a group.
    PlaceGroup(String),
    /// Any agent for whom this skill expression is true, such as `billing >= 5`.
    Skills(String),
    /// A copy goes there, and the interaction goes on here. A hop.
    Forward(Onwards),
    /// It goes there and ends here. A hop.
    Redirect(Onwards),
}

/// Where an interaction goes onwards.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Onwards {
    /// Another queue of the account.
    Queue(String),
    /// A mail address or telephone number.
    Address(String),
    /// An http or https address that the account has registered as a webhook.
    Url(String),
}

/// Holds where everything in it holds.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// It has one of these categories with at least this relevancy, 0 to 100.
    pub categories: BTreeMap<String, u8>,
    /// It has user data under each of these keys, with one of these values; with any value where there are none.
    pub user_data: BTreeMap<String, Vec<String>>,
    /// Its language is one of these BCP 47 tags; `pt` is also `pt-BR`.
    pub languages: Vec<String>,
    /// Its media type is one of these.
    pub media_types: Vec<String>,
    /// Its sender is one of these, whatever the case; `*@example.com` is a whole domain.
    pub senders: Vec<String>,
    /// Its priority is at least this, 0 to 1000.
    pub priority_min: Option<u16>,
    /// A lookup table has its key.
    pub table: Option<Table>,
    /// Each of these figures is beyond its bound.
    pub statistics: Vec<Figure>,
}

/// A lookup table that has the interaction's key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Name of the account's table.
    pub name: String,
    /// Which key is looked up.
    pub key: Key,
    /// The values that count. Any, where there are none.
    #[serde(default)]
    pub values: Vec<String>,
}

/// Part of an interaction by which a table is asked.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// The sender, in lower case.
    Sender,
    /// What follows the `@` of the sender, in lower case.
    SenderDomain,
    /// Whom it was sent to, in lower case.
    Recipient,
    /// The item of user data under this key.
    User(String),
}

/// A live figure beyond a bound. One of `above` and `below` is there, or both.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// What it is about.
    pub of: Kind,
    /// The object's name.
    pub name: String,
    /// Name of the statistic, as in the server's statistics reference; its unit is there too.
    pub statistic: String,
    /// It is more than this.
    pub above: Option<f64>,
    /// It is less than this.
    pub below: Option<f64>,
}

/// What a statistic is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A queue.
    Queue,
    /// An agent, by user name.
    Agent,
    /// An agent group.
    AgentGroup,
    /// A place.
    Place,
    /// A place group.
    PlaceGroup,
    /// A media type.
    MediaType,
    /// A workflow.
    Workflow,
    /// A deployed strategy.
    Strategy,
}

impl From<Kind> for ObjectKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Queue => Self::Queue,
            Kind::Agent => Self::Agent,
            Kind::AgentGroup => Self::AgentGroup,
            Kind::Place => Self::Place,
            Kind::PlaceGroup => Self::PlaceGroup,
            Kind::MediaType => Self::MediaType,
            Kind::Workflow => Self::Workflow,
            Kind::Strategy => Self::Strategy,
        }
    }
}
