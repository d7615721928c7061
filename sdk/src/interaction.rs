//! Asking an interaction about itself, without walking its lists by hand.

use crate::{Entry, Interaction};

impl Interaction {
    /// An item of user data, by its exact key.
    pub fn user(&self, key: &str) -> Option<&str> {
        // Ordered by key: the interface says so.
        let at = self.user_data.binary_search_by(|entry| entry.key.as_str().cmp(key)).ok()?;
        Some(&self.user_data[at].value)
    }

    /// The first header of that name, whatever the case it is asked in.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|entry| entry.key.eq_ignore_ascii_case(name)).map(|entry| entry.value.as_str())
    }

    /// Every header of that name, in the order received.
    pub fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.headers.iter().filter(move |entry| entry.key.eq_ignore_ascii_case(name)).map(|entry| entry.value.as_str())
    }

    /// How surely it is about that category, 0 to 100; `None` where the category was not given to it.
    pub fn relevancy(&self, category: &str) -> Option<u8> {
        self.categories.iter().find(|given| given.name == category).map(|given| given.relevancy)
    }

    /// A fact that a later server adds, by its documented name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        find(&self.attributes, name)
    }

    /// Whether its language is the one asked for: `pt-BR` is `pt`, and `pt` is not `pt-BR`. Case is not looked at.
    pub fn speaks(&self, language: &str) -> bool {
        self.language.as_deref().is_some_and(|tag| {
            tag.get(..language.len()).is_some_and(|start| start.eq_ignore_ascii_case(language))
                && matches!(tag.as_bytes().get(language.len()), None | Some(b'-'))
        })
    }
}

fn find<'a>(entries: &'a [Entry], key: &str) -> Option<&'a str> {
    entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}
