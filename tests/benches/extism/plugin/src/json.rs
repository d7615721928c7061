//! Screening with JSON on both sides, as hosts and services that know no components take it.

use screening::Screening;
use serde::{Deserialize, Serialize};
use signalbox_sdk::{Entry, Interaction, Request, Strategy as _};

/// What it is asked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Asked {
    pub id: String,
    pub media_type: String,
    pub subject: Option<String>,
    pub body: String,
    pub sender: Option<String>,
    pub recipient: Option<String>,
    pub user_data: Vec<(String, String)>,
    pub priority: u16,
    pub submitted_at: u64,
    pub workflow: String,
    pub element: String,
    pub visit: u32,
    pub now: u64,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer {
    pub outcome: String,
    pub reason: String,
    pub actions: Vec<String>,
}

/// Decides.
///
/// # Errors
/// Where the strategy does not.
pub fn decide(screening: &Screening, asked: Asked) -> Result<Answer, String> {
    let interaction = Interaction {
        id: asked.id,
        media_type: asked.media_type,
        subject: asked.subject,
        body: asked.body,
        sender: asked.sender,
        recipient: asked.recipient,
        headers: Vec::new(),
        language: None,
        categories: Vec::new(),
        user_data: asked.user_data.into_iter().map(|(key, value)| Entry { key, value }).collect(),
        priority: asked.priority,
        submitted_at: asked.submitted_at,
        answered: false,
        hops: 0,
        attributes: Vec::new(),
    };
    let request =
        Request { interaction, workflow: asked.workflow, element: asked.element, visit: asked.visit, now: asked.now };
    let decision = screening.route(&request);
    let decision = decision.map_err(|failure| format!("{failure:?}"))?;
    let actions = decision.actions.iter().map(|action| format!("{action:?}")).collect();
    Ok(Answer { outcome: decision.outcome, reason: decision.reason, actions })
}
