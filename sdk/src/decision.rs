//! Making decisions, replies and failures in words rather than in nested records.

use crate::{
    Action, Category, CustomAction, Decision, Destination, Entry, Failure, Outcome, Reply, Skill, StandardReply,
    Target, TextReply,
};

impl Decision {
    /// Leaves by the connector of this name: one of the strategy's outcomes.
    pub fn leave_by(outcome: impl Into<String>) -> Self {
        Self { outcome: outcome.into(), actions: Vec::new(), reason: String::new() }
    }

    /// Says why, in words for the timeline: which rule, which score, which hour. At most 4 KiB.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Adds an action after those there. At most 64 in a decision.
    pub fn then(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// Sends a receipt. The server leaves it out where one has already gone out.
    pub fn acknowledge(self, reply: Reply) -> Self {
        self.then(Action::Acknowledge(reply))
    }

    /// Sends an answer.
    pub fn respond(self, reply: Reply) -> Self {
        self.then(Action::Respond(reply))
    }

    /// Sets an item of user data. Key 1 to 128 bytes, value at most 8 KiB; an empty value removes the item.
    pub fn attach(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.then(Action::Attach(Entry::new(key, value)))
    }

    /// Adds a category, or replaces the relevancy of one that is there. Relevancy 0 to 100.
    pub fn categorize(self, name: impl Into<String>, relevancy: u8) -> Self {
        self.then(Action::Categorize(Category { name: name.into(), relevancy }))
    }

    /// Sets the language, a BCP 47 tag.
    pub fn language(self, tag: impl Into<String>) -> Self {
        self.then(Action::SetLanguage(tag.into()))
    }

    /// Sets the priority, 0 to 1000.
    pub fn priority(self, priority: u16) -> Self {
        self.then(Action::SetPriority(priority))
    }

    /// Adds a skill to what an agent must have, with the lowest level wanted, 1 to 10.
    pub fn require_skill(self, name: impl Into<String>, level: u8) -> Self {
        self.then(Action::RequireSkill(Skill { name: name.into(), level }))
    }

    /// Sets who is to get it at the next queue element.
    pub fn route_to(self, target: Target) -> Self {
        self.then(Action::RouteTo(target))
    }

    /// Sends a copy onwards and goes on here. Counts as a hop.
    pub fn forward(self, destination: Destination) -> Self {
        self.then(Action::Forward(destination))
    }

    /// Sends it onwards and ends here: the connector is not followed. Counts as a hop.
    pub fn redirect(self, destination: Destination) -> Self {
        self.then(Action::Redirect(destination))
    }

    /// Ends it with a disposition code: the connector is not followed.
    pub fn end(self, disposition: impl Into<String>) -> Self {
        self.then(Action::End(disposition.into()))
    }

    /// An action of a later server, by its documented name, with a payload of JSON text.
    pub fn custom(self, name: impl Into<String>, payload: impl Into<String>) -> Self {
        self.then(Action::Custom(CustomAction { name: name.into(), payload: payload.into() }))
    }
}

impl Reply {
    /// One of the account's standard responses, with no fields beyond those that the server fills in.
    pub fn standard(name: impl Into<String>) -> Self {
        Self::standard_with(name, Vec::new())
    }

    /// One of the account's standard responses; `{{key}}` in its text becomes the field's value.
    pub fn standard_with(name: impl Into<String>, fields: Vec<Entry>) -> Self {
        Self::Standard(StandardReply { name: name.into(), fields })
    }

    /// The strategy's own words, at most 64 KiB; the server makes the subject line from the interaction's.
    pub fn text(body: impl Into<String>) -> Self {
        Self::Text(TextReply { subject: None, body: body.into() })
    }
}

impl Entry {
    /// A key and its value.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

impl Outcome {
    /// A connector's name and a sentence for the designer.
    pub fn new(name: impl Into<String>, description: impl Into<String>) -> Self {
        Self { name: name.into(), description: description.into() }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Other(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::Other(message.to_owned())
    }
}
