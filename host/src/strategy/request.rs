//! The engine's request in the words of the WIT package, borrowed: the one copy of a text is the one into the sandbox.

use signalbox_engine::Request;

use super::bindings::types;

/// Hands the request to `then` in the form that crosses into a sandbox.
pub(super) fn lowered<R>(request: &Request, then: impl FnOnce(types::Request<'_>) -> R) -> R {
    let (message, facts) = (&*request.content.message, &request.content.facts);
    let mut id = uuid::Uuid::encode_buffer();
    let entry = |key, value| types::EntryParam { key, value };
    let headers: Vec<_> = message.headers.iter().map(|header| entry(&*header.key, &*header.value)).collect();
    let user_data: Vec<_> = facts.user_data.iter().map(|(key, value)| entry(key, value)).collect();
    let categories: Vec<_> = facts
        .categories
        .iter()
        .map(|category| types::CategoryParam { name: &category.name, relevancy: category.relevancy })
        .collect();
    then(types::Request {
        interaction: types::Interaction {
            id: request.interaction.0.hyphenated().encode_lower(&mut id),
            media_type: message.media_type.as_str(),
            subject: message.subject.as_deref(),
            body: &message.body,
            sender: message.sender.as_deref(),
            recipient: message.recipient.as_deref(),
            headers: &headers,
            language: facts.language.as_deref(),
            categories: &categories,
            user_data: &user_data,
            priority: facts.priority,
            submitted_at: message.submitted_at.0,
            answered: facts.answered,
            hops: facts.hops,
            attributes: &[],
        },
        workflow: request.workflow.as_str(),
        element: request.element.as_str(),
        visit: request.visit,
        now: request.now.0,
    })
}
