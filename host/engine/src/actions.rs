//! Does what a decision asks for: replies, user data, categories, forwards and the rest.
//!
//! Each action either happens or refuses the whole decision with a sentence; nothing is half done.

use serde_json::json;

use crate::content::{Category, Content, Entry, Skill};
use crate::decide::webhooks_for;
use crate::decision::{Action, Destination, Reply, Target};
use crate::event::{Event, MessageKind, OutboxMessage, Speaker};
use crate::id::Name;
use crate::limits;
use crate::outgoing::message_id;
use crate::staffing;
use crate::walk::Draft;

/// Field code of what was said in the interaction.
const TRANSCRIPT: &str = "transcript";
/// Bytes of a transcript within a standard response, which itself has at most [`limits::REPLY_BYTES_MAX`].
const TRANSCRIPT_IN_RESPONSE_BYTES_MAX: usize = 48 * 1024;

impl Draft<'_> {
    /// Does all of them in order. Answers whether one of them ended the interaction's way through its workflow.
    pub(crate) fn act_all(&mut self, actions: Vec<Action>) -> Result<bool, String> {
        if actions.len() > limits::ACTIONS_MAX {
            return Err(format!("{} actions; at most {} are allowed", actions.len(), limits::ACTIONS_MAX));
        }
        let mut stopped = false;
        for action in actions {
            if stopped {
                return Err("an action follows `redirect` or `end`, after which there is nothing to act on".into());
            }
            stopped = self.act(action)?;
        }
        Ok(stopped)
    }

    fn act(&mut self, action: Action) -> Result<bool, String> {
        let id = self.id;
        match action {
            Action::Acknowledge(reply) => self.reply(reply, true)?,
            Action::Respond(reply) => self.reply(reply, false)?,
            Action::Attach(Entry { key, value }) => {
                within("a key of user data", &key, limits::KEY_BYTES_MAX)?;
                if value.len() > limits::VALUE_BYTES_MAX {
                    return Err(format!("the value of `{key}` has more than {} bytes", limits::VALUE_BYTES_MAX));
                }
                let known = &self.content().facts.user_data;
                if known.len() >= limits::ENTRIES_MAX && !known.contains_key(&key) {
                    return Err(format!("more than {} items of user data", limits::ENTRIES_MAX));
                }
                self.push(Event::UserDataSet { id, key, value });
            }
            Action::Categorize(Category { name, relevancy }) => {
                within("a category", &name, limits::KEY_BYTES_MAX)?;
                if relevancy > 100 {
                    return Err(format!("the relevancy of `{name}` is {relevancy}; at most 100"));
                }
                if self.content().facts.categories.len() >= limits::ENTRIES_MAX {
                    return Err(format!("more than {} categories", limits::ENTRIES_MAX));
                }
                self.push(Event::Categorized { id, category: Category { name, relevancy } });
            }
            Action::SetLanguage(language) => {
                let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
                if language.is_empty() || language.len() > 35 || !language.bytes().all(fits) {
                    return Err(format!("`{language}` is no BCP 47 language tag"));
                }
                self.push(Event::LanguageSet { id, language });
            }
            Action::SetPriority(priority) => {
                if priority > limits::PRIORITY_MAX {
                    return Err(format!("priority {priority}; at most {}", limits::PRIORITY_MAX));
                }
                self.push(Event::PrioritySet { id, priority });
            }
            Action::RequireSkill(Skill { name, level }) => {
                within("a skill", &name, limits::KEY_BYTES_MAX)?;
                if !(1..=10).contains(&level) {
                    return Err(format!("level {level} of the skill `{name}`; levels are 1 to 10"));
                }
                if self.content().facts.skills.len() >= limits::ENTRIES_MAX {
                    return Err(format!("more than {} skills", limits::ENTRIES_MAX));
                }
                self.push(Event::SkillRequired { id, skill: Skill { name, level } });
            }
            Action::RouteTo(target) => {
                match &target {
                    Target::Queue(queue) => drop(self.known_queue(queue)?),
                    other => {
                        let checked = staffing::check_target(self.account.configuration(), other);
                        checked.map_err(|rejection| rejection.to_string())?;
                    }
                }
                self.push(Event::TargetSet { id, target: Some(target) });
            }
            Action::Forward(destination) => self.forward(destination)?,
            Action::Redirect(destination) => {
                self.redirect(destination)?;
                return Ok(true);
            }
            Action::End(disposition) => {
                within("a disposition code", &disposition, limits::KEY_BYTES_MAX)?;
                self.push(Event::Completed { id, disposition });
                return Ok(true);
            }
            Action::Custom { name, .. } => {
                return Err(format!("this server has no action `{name}`"));
            }
        }
        Ok(false)
    }

    /// Sends a reply to whoever sent the interaction. A second acknowledgement is left out.
    pub(crate) fn reply(&mut self, reply: Reply, acknowledgement: bool) -> Result<(), String> {
        self.reply_with(reply, acknowledgement, None)
    }

    /// The same with all that was said in the interaction behind it.
    pub(crate) fn reply_with_transcript(&mut self, reply: Reply, acknowledgement: bool) -> Result<(), String> {
        let transcript = self.transcript(usize::MAX);
        self.reply_with(reply, acknowledgement, Some(transcript))
    }

    /// What was said, as the customer is to read it.
    fn transcript(&self, bytes_max: usize) -> String {
        let facts = &self.content().facts;
        let customer = facts.user_data.get("contact.name").map_or("Customer", String::as_str);
        let agents = &self.account.configuration().agents;
        facts.transcript.text(bytes_max, |said| match said.speaker {
            Speaker::Customer => customer.to_owned(),
            Speaker::Agent => {
                let agent = agents.get(said.by.as_str()).filter(|agent| !agent.display_name.is_empty());
                agent.map_or("Agent", |agent| agent.display_name.as_str()).to_owned()
            }
        })
    }

    fn reply_with(&mut self, reply: Reply, acknowledgement: bool, transcript: Option<String>) -> Result<(), String> {
        if acknowledgement && self.content().facts.answered {
            return Ok(());
        }
        let (kind, topic) = if acknowledgement {
            (MessageKind::Acknowledgement, "acknowledgement")
        } else {
            (MessageKind::Reply, "reply")
        };
        let (response, subject, mut body) = match reply {
            Reply::Standard { name, mut fields } => {
                let response = self.account.configuration().responses.get(name.as_str());
                if response.is_some_and(|response| response.texts.iter().any(|text| text.body.contains(TRANSCRIPT))) {
                    let value = self.transcript(TRANSCRIPT_IN_RESPONSE_BYTES_MAX);
                    fields.push(Entry { key: TRANSCRIPT.into(), value });
                }
                let language = self.content().facts.language.as_deref();
                let rendered = response
                    .and_then(|r| r.render(language, &fields, self.id, self.content(), self.now))
                    .ok_or_else(|| format!("there is no approved standard response `{name}`"))?;
                (Some(name), rendered.subject, rendered.body)
            }
            Reply::Text { subject, body } => {
                within("a reply", &body, limits::REPLY_BYTES_MAX)?;
                if let Some(subject) = &subject {
                    within("a reply's subject", subject, limits::VALUE_BYTES_MAX)?;
                }
                let code = format!("{{{{{TRANSCRIPT}}}}}");
                // Filled in once, however often it stands there: the size of a message stays bounded.
                let body = match body.split_once(&code) {
                    Some((before, after)) => {
                        let after = after.replace(&code, "");
                        format!("{before}{}{after}", self.transcript(usize::MAX))
                    }
                    None => body,
                };
                (None, subject, body)
            }
        };
        if let Some(transcript) = transcript.filter(|transcript| !transcript.is_empty()) {
            body.push_str("\n\n");
            body.push_str(&transcript);
        }
        let message = &self.content().message;
        let subject = subject.or_else(|| message.subject.as_ref().map(|s| format!("Re: {s}")));
        let data = json!({
            "interaction": self.id,
            "media_type": message.media_type,
            "to": message.sender,
            "from": message.recipient,
            "subject": subject,
            "body": body,
            "response": response,
            "language": self.content().facts.language,
        });
        let webhooks = webhooks_for(self.account, topic);
        self.send(kind, topic, None, data.to_string(), webhooks);
        Ok(())
    }

    /// Sends a copy onwards.
    pub(crate) fn forward(&mut self, destination: Destination) -> Result<(), String> {
        match destination {
            Destination::Queue(queue) => {
                let queue = self.known_queue(&queue)?;
                self.hop(queue.as_str())?;
                let copy = self.id.copy(self.sequence, u8::try_from(self.copies.len()).unwrap_or(u8::MAX));
                let (media_type, facts) = (self.content().message.media_type.clone(), self.content().facts.clone());
                let (priority, hops) = (facts.priority, facts.hops);
                self.push(Event::Submitted { id: copy, media_type, priority, hops, copy_of: Some(self.id) });
                let position = Box::new(self.position(queue, None, None, &[]));
                self.push(Event::Queued { id: copy, position });
                let message = self.content().message.clone();
                self.copies.push((copy, Content { message, facts }));
                Ok(())
            }
            Destination::Address(address) => {
                within("an address", &address, limits::VALUE_BYTES_MAX)?;
                let webhooks = webhooks_for(self.account, "forward");
                if webhooks.is_empty() {
                    return Err(format!("no webhook takes `forward`, so nothing can be sent to {address}"));
                }
                self.hop(&address)?;
                let data = self.forwarded(&address);
                self.send(MessageKind::Forward, "forward", None, data, webhooks);
                Ok(())
            }
            Destination::Url(url) => {
                within("a URL", &url, limits::VALUE_BYTES_MAX)?;
                let webhook = self.webhook_of(&url)?;
                self.hop(&url)?;
                let data = self.forwarded(&url);
                self.send(MessageKind::Forward, "forward", Some(url), data, vec![webhook]);
                Ok(())
            }
        }
    }

    /// Sends it onwards; its way through the workflow ends.
    fn redirect(&mut self, destination: Destination) -> Result<(), String> {
        let id = self.id;
        if let Destination::Queue(queue) = destination {
            let queue = self.known_queue(&queue)?;
            self.hop(queue.as_str())?;
            self.push(Event::WorkflowsLeft { id });
            let position = Box::new(self.position(queue, None, None, &[]));
            self.push(Event::Queued { id, position });
            return Ok(());
        }
        self.forward(destination)?;
        self.push(Event::Completed { id, disposition: "redirected".into() });
        Ok(())
    }

    fn hop(&mut self, to: &str) -> Result<(), String> {
        let hops = self.content().facts.hops;
        if hops >= limits::HOPS_MAX {
            return Err(format!("it was forwarded {hops} times, which is the limit: there may be a loop"));
        }
        self.push(Event::Hopped { id: self.id, to: to.to_owned() });
        Ok(())
    }

    /// The webhook that a URL belongs to.
    fn webhook_of(&self, url: &str) -> Result<Name, String> {
        let webhooks = &self.account.configuration().webhooks;
        webhooks
            .values()
            .find(|w| w.covers(url))
            .map(|w| w.name.clone())
            .ok_or_else(|| format!("{url} does not begin with the URL of one of the account's webhooks"))
    }

    fn forwarded(&self, to: &str) -> String {
        let Content { message, facts } = self.content();
        json!({
            "interaction": self.id,
            "to": to,
            "media_type": message.media_type,
            "subject": message.subject,
            "body": message.body,
            "sender": message.sender,
            "recipient": message.recipient,
            "headers": message.headers,
            "language": facts.language,
            "categories": facts.categories,
            "user_data": facts.user_data,
            "hops": facts.hops,
        })
        .to_string()
    }

    fn send(&mut self, kind: MessageKind, topic: &str, url: Option<String>, data: String, webhooks: Vec<Name>) {
        let message = OutboxMessage {
            id: message_id(self.sequence, self.event_count()),
            kind,
            topic: topic.to_owned(),
            interaction: Some(self.id),
            url,
            data,
        };
        self.push(Event::MessageQueued { message, webhooks });
    }
}

fn within(what: &str, text: &str, max: usize) -> Result<(), String> {
    match text.len() {
        0 => Err(format!("{what} is empty")),
        n if n > max => Err(format!("{what} has {n} bytes; at most {max}")),
        _ => Ok(()),
    }
}
