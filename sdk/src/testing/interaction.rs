//! Requests in one line: each begins as a plausible interaction, and a test says only what matters to it.

use crate::{Category, Entry, Interaction, Request, UnixMillis};

/// The moment that a request is about unless the test says otherwise: 2026-03-02T10:00:00Z, a Monday.
pub const NOW: UnixMillis = 1_772_445_600_000;

/// An email from `customer@example.com` to `support@example.org`, with an empty body.
pub fn email() -> Draft {
    interaction("email").sender("customer@example.com").recipient("support@example.org")
}

/// A chat from `customer`, with an empty body.
pub fn chat() -> Draft {
    interaction("chat").sender("customer")
}

/// A callback asked for by `+15550100`, with an empty body.
pub fn callback() -> Draft {
    interaction("callback").sender("+15550100")
}

/// An interaction of any media type, with nothing in it, just submitted.
pub fn interaction(media_type: &str) -> Draft {
    Draft(Request {
        interaction: Interaction {
            id: "018e6b7a-5c00-7000-8000-000000000001".to_owned(),
            media_type: media_type.to_owned(),
            subject: None,
            body: String::new(),
            sender: None,
            recipient: None,
            headers: Vec::new(),
            language: None,
            categories: Vec::new(),
            user_data: Vec::new(),
            priority: 0,
            submitted_at: NOW,
            answered: false,
            hops: 0,
            attributes: Vec::new(),
        },
        workflow: "test".to_owned(),
        element: "strategy".to_owned(),
        visit: 1,
        now: NOW,
    })
}

/// A request being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft(Request);

impl Draft {
    /// The request, for [`Bench::route`](super::Bench::route).
    pub fn request(self) -> Request {
        self.0
    }

    /// Sets the subject line.
    pub fn subject(mut self, subject: &str) -> Self {
        self.0.interaction.subject = Some(subject.to_owned());
        self
    }

    /// Sets the text.
    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.0.interaction.body);
        self
    }

    /// Sets who sent it.
    pub fn sender(mut self, sender: &str) -> Self {
        self.0.interaction.sender = Some(sender.to_owned());
        self
    }

    /// Takes the sender away.
    pub fn no_sender(mut self) -> Self {
        self.0.interaction.sender = None;
        self
    }

    /// Sets whom it was sent to.
    pub fn recipient(mut self, recipient: &str) -> Self {
        self.0.interaction.recipient = Some(recipient.to_owned());
        self
    }

    /// Adds a header; its name goes to lower case, as the server has it.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.0.interaction.headers.push(Entry::new(name.to_ascii_lowercase(), value));
        self
    }

    /// Sets the language, a BCP 47 tag.
    pub fn language(mut self, tag: &str) -> Self {
        self.0.interaction.language = Some(tag.to_owned());
        self
    }

    /// Adds a category with a relevancy of 0 to 100, in its place: best first.
    pub fn category(mut self, name: &str, relevancy: u8) -> Self {
        let categories = &mut self.0.interaction.categories;
        categories.push(Category { name: name.to_owned(), relevancy });
        categories.sort_by_key(|category| std::cmp::Reverse(category.relevancy));
        self
    }

    /// Sets an item of user data, in its place: ordered by key.
    pub fn user(mut self, key: &str, value: &str) -> Self {
        let data = &mut self.0.interaction.user_data;
        match data.binary_search_by(|entry| entry.key.as_str().cmp(key)) {
            Ok(at) => value.clone_into(&mut data[at].value),
            Err(at) => data.insert(at, Entry::new(key, value)),
        }
        self
    }

    /// Sets the priority, 0 to 1000.
    pub fn priority(mut self, priority: u16) -> Self {
        self.0.interaction.priority = priority;
        self
    }

    /// An acknowledgement or an automatic response has gone out already.
    pub fn answered(mut self) -> Self {
        self.0.interaction.answered = true;
        self
    }

    /// Sets how often it was forwarded.
    pub fn hops(mut self, hops: u8) -> Self {
        self.0.interaction.hops = hops;
        self
    }

    /// Adds a fact of a later server.
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.0.interaction.attributes.push(Entry::new(name, value));
        self
    }

    /// Sets how often it came to the element, this time included.
    pub fn visit(mut self, visit: u32) -> Self {
        self.0.visit = visit;
        self
    }

    /// Sets the moment that the call is about.
    pub fn now(mut self, now: UnixMillis) -> Self {
        self.0.now = now;
        self
    }

    /// Sets the workflow's name.
    pub fn workflow(mut self, name: &str) -> Self {
        name.clone_into(&mut self.0.workflow);
        self
    }
}
