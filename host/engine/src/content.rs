//! What an interaction holds: the message as it came, and the facts that are found out about it on the way.
//!
//! Content stays on disk; a command that needs it brings it along.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::event::{Event, MessageKind, Speaker};
use crate::id::{Name, UnixMillis};
use crate::transcript::{Said, Transcript};

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Header names are in lower case.
    pub key: String,
    /// The value.
    pub value: String,
}

/// What an interaction is about, and how surely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Category {
    /// As the model or the rule names it.
    pub name: String,
    /// 0 (not at all) to 100 (certain).
    #[schema(maximum = 100)]
    pub relevancy: u8,
}

/// A skill and the lowest level of it that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Skill {
    /// Name of the skill.
    pub name: String,
    /// 1 to 10.
    #[schema(minimum = 1, maximum = 10)]
    pub level: u8,
}

/// The message as it was submitted. Never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `chat`, `email`, `callback`, `sms`, `open`, or an account's own.
    pub media_type: Name,
    /// The subject line, where the medium has one.
    pub subject: Option<String>,
    /// The text.
    pub body: String,
    /// Address of whoever sent it.
    pub sender: Option<String>,
    /// Address it was sent to.
    pub recipient: Option<String>,
    /// The medium's headers in the order received, names in lower case.
    pub headers: Vec<Entry>,
    /// When the server accepted it.
    pub submitted_at: UnixMillis,
}

/// What is known of an interaction beyond its message. Changes with its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Best first; equals by name.
    pub categories: Vec<Category>,
    /// Attached data.
    pub user_data: BTreeMap<String, String>,
    /// 0 to 1000.
    pub priority: u16,
    /// An acknowledgement or an automatic response has gone out.
    pub answered: bool,
    /// How often it was forwarded or redirected.
    pub hops: u8,
    /// What an agent must be able to do.
    pub skills: Vec<Skill>,
    /// The agent who last completed an interaction of the same sender.
    pub last_agent: Option<Name>,
    /// What was said in it.
    pub transcript: Transcript,
}

/// Message and facts together: what conditions, segments and strategies see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Shared, for it never changes.
    pub message: Arc<Message>,
    /// As they are now.
    pub facts: Facts,
}

impl Message {
    /// Whom the account is in contact with: agents are remembered by it.
    #[must_use]
    pub fn contact(&self) -> Option<&str> {
        self.sender.as_deref().filter(|sender| !sender.is_empty())
    }
}

impl Content {
    /// What was said begins with what the customer wrote first; there is none of it where nothing else was said.
    pub(crate) fn open_transcript(&mut self, at: UnixMillis) {
        let transcript = &mut self.facts.transcript;
        if transcript.said.is_empty() && transcript.cut == 0 && !self.message.body.is_empty() {
            let by = self.message.contact().unwrap_or("customer").to_owned();
            transcript.push(Said { at, speaker: Speaker::Customer, by, text: self.message.body.clone() });
        }
    }
}

impl Facts {
    /// Changes them as the event says. Answers whether it says anything of them.
    pub(crate) fn apply(&mut self, event: &Event, at: UnixMillis) -> bool {
        match event {
            Event::UserDataSet { key, value, .. } => {
                self.attach(Entry { key: key.clone(), value: value.clone() });
            }
            Event::Categorized { category, .. } => self.categorize(category.clone()),
            Event::LanguageSet { language, .. } => self.language = Some(language.clone()),
            Event::PrioritySet { priority, .. } => self.priority = *priority,
            Event::SkillRequired { skill, .. } => self.require(skill.clone()),
            Event::Said { speaker, by, text, .. } => {
                self.transcript.push(Said { at, speaker: *speaker, by: by.clone(), text: text.clone() });
            }
            Event::Hopped { .. } => self.hops = self.hops.saturating_add(1),
            Event::MessageQueued { message, .. }
                if matches!(message.kind, MessageKind::Acknowledgement | MessageKind::Reply) =>
            {
                self.answered = true;
            }
            _ => return false,
        }
        true
    }

    /// Adds a category or replaces its relevancy, keeping the order.
    fn categorize(&mut self, category: Category) {
        self.categories.retain(|c| c.name != category.name);
        let at = self.categories.partition_point(|c| {
            (std::cmp::Reverse(c.relevancy), &c.name) < (std::cmp::Reverse(category.relevancy), &category.name)
        });
        self.categories.insert(at, category);
    }

    /// Adds a skill; the higher level wins.
    fn require(&mut self, skill: Skill) {
        match self.skills.iter_mut().find(|s| s.name == skill.name) {
            Some(known) => known.level = known.level.max(skill.level),
            None => self.skills.push(skill),
        }
    }

    /// Sets an item of user data; an empty value removes it.
    fn attach(&mut self, entry: Entry) {
        if entry.value.is_empty() {
            self.user_data.remove(&entry.key);
        } else {
            self.user_data.insert(entry.key, entry.value);
        }
    }
}
