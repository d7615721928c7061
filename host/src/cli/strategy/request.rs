//! A request for a strategy as an author writes it: an interaction as it is submitted, with what the server would add.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use signalbox_engine::{Category, Content, Entry, Facts, InteractionId, Message, Name, Request, UnixMillis};

/// The moment that a request is about unless it says otherwise: 2026-03-02T10:00:00Z, a Monday. As in the SDK's tests.
const NOW: UnixMillis = UnixMillis(1_772_445_600_000);

/// As `request` of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    interaction: DraftInteraction,
    workflow: Option<Name>,
    element: Option<Name>,
    visit: Option<u32>,
    now_ms: Option<UnixMillis>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftInteraction {
    id: Option<InteractionId>,
    media_type: Name,
    subject: Option<String>,
    #[serde(default)]
    body: String,
    sender: Option<String>,
    recipient: Option<String>,
    #[serde(default)]
    headers: Vec<Entry>,
    language: Option<String>,
    #[serde(default)]
    categories: Vec<Category>,
    #[serde(default)]
    user_data: BTreeMap<String, String>,
    #[serde(default)]
    priority: u16,
    #[serde(default)]
    answered: bool,
    #[serde(default)]
    hops: u8,
    submitted_at_ms: Option<UnixMillis>,
}

impl Draft {
    /// The request, what is left out of it filled in.
    pub fn request(self) -> Request {
        let Self { interaction, workflow, element, visit, now_ms } = self;
        let now = now_ms.unwrap_or(NOW);
        let lower = |header: Entry| Entry { key: header.key.to_lowercase(), value: header.value };
        let message = Message {
            media_type: interaction.media_type,
            subject: interaction.subject,
            body: interaction.body,
            sender: interaction.sender,
            recipient: interaction.recipient,
            headers: interaction.headers.into_iter().map(lower).collect(),
            submitted_at: interaction.submitted_at_ms.unwrap_or(now),
        };
        let facts = Facts {
            language: interaction.language,
            categories: interaction.categories,
            user_data: interaction.user_data,
            priority: interaction.priority,
            answered: interaction.answered,
            hops: interaction.hops,
            ..Facts::default()
        };
        let id = uuid::Uuid::from_u128(0x018e_6b7a_5c00_7000_8000_0000_0000_0001);
        Request {
            interaction: interaction.id.unwrap_or(InteractionId(id)),
            content: Arc::new(Content { message: Arc::new(message), facts }),
            workflow: workflow.unwrap_or_else(|| plain("test")),
            element: element.unwrap_or_else(|| plain("strategy")),
            visit: visit.unwrap_or(1),
            now,
        }
    }
}

/// A request where nobody gave one: an email of a kilobyte without a known word in it.
pub(super) fn plain_email() -> Request {
    let line = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt. ";
    let body: String = line.chars().cycle().take(1024).collect();
    let interaction = serde_json::json!({
        "media_type": "email", "sender": "customer@example.com", "recipient": "support@example.org",
        "subject": "Lorem ipsum", "body": body,
    });
    let draft = serde_json::from_value::<Draft>(serde_json::json!({ "interaction": interaction }));
    draft.unwrap_or_else(|error| panic!("it has all that it needs: {error}")).request()
}

fn plain(name: &str) -> Name {
    Name::new(name).unwrap_or_else(|error| panic!("it is a name: {error}"))
}
