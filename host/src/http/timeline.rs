//! What happened to an interaction, in order, for programs and in words.

use std::fmt::Write as _;

use axum::Json as Answer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use signalbox_engine::{
    Attention, DocumentKind, Event, InteractionId, MessageKind, OfferEnd, Record, Sequence, Speaker, UnixMillis,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{Caller, Follow};
use super::body::{Parameters, Query};
use super::cursor::{self, Page};
use super::interaction::OfferView;
use super::{Problem, State};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(timeline))
}

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
struct TimelineEntry {
    /// Number of the command that did it, within the account. All that one command did has the same.
    #[schema(value_type = u64)]
    sequence: Sequence,
    /// When.
    #[schema(value_type = u64)]
    at_ms: UnixMillis,
    /// What, such as `interaction.queued`.
    r#type: &'static str,
    /// The same in words.
    text: String,
    /// The event's own fields.
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// Which part of the timeline is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Part {
    /// Most commands, each of which may have done several things: 1 to 200, 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Shows what happened to an interaction, the oldest first.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/interactions/{interaction}/timeline",
    security(("token" = ["client", "agent", "operator"])),
    params(Part),
    responses((status = 200, description = "A page.", body = Page<TimelineEntry>))
)]
async fn timeline(
    caller: Caller<Follow>,
    parameters: Parameters,
    Query(part): Query<Part>,
) -> Result<Answer<Page<TimelineEntry>>, Problem> {
    let id: InteractionId = parameters.get("interaction")?;
    let limit = cursor::limit(part.limit)?;
    let from = cursor::decode::<8>(part.cursor.as_deref())?.map_or(Sequence(0), |n| Sequence(u64::from_be_bytes(n)));
    let number = caller.lane.number();
    let records = caller.state.read(move |store| store.timeline(number, id, from, limit)).await?;
    if records.is_empty() && part.cursor.is_none() {
        return Err(Problem::unknown("interaction", id));
    }
    let last = records.last().filter(|_| records.len() == limit);
    let next = last.map(|record| cursor::encode(&record.sequence.next().0.to_be_bytes()));
    Ok(Answer(Page { items: records.iter().flat_map(|record| entries(record, id)).collect(), next }))
}

fn entries(record: &Record, id: InteractionId) -> impl Iterator<Item = TimelineEntry> + '_ {
    let own = record.events.iter().filter(move |event| event.interaction() == Some(id));
    own.map(|event| TimelineEntry {
        sequence: record.sequence,
        at_ms: record.at,
        r#type: event.name(),
        text: text(event),
        fields: fields(event),
    })
}

/// The fields of an event, without its variant and the interaction, which is known.
fn fields(event: &Event) -> Map<String, Value> {
    let Ok(Value::Object(tagged)) = serde_json::to_value(event) else { return Map::new() };
    let Some((_, Value::Object(mut fields))) = tagged.into_iter().next() else { return Map::new() };
    fields.remove("id");
    fields.retain(|_, value| !value.is_null());
    match event {
        Event::Offered { id, offer } => drop(fields.insert("offer".into(), json!(OfferView::new(*id, offer)))),
        Event::OfferEnded { id, offer, how, .. } => {
            fields.insert("offer".into(), format!("{id}:{}", offer.0).into());
            fields.insert("outcome".into(), how.name().into());
            fields.remove("how");
            if let OfferEnd::Declined { reason } | OfferEnd::Revoked { reason } = how {
                fields.insert("reason".into(), reason.as_str().into());
            }
        }
        Event::Queued { position, .. } => {
            if let Ok(Value::Object(position)) = serde_json::to_value(position) {
                fields = position;
                fields.retain(|_, value| !value.is_null());
            }
        }
        _ => {}
    }
    fields
}

/// An event with its type, its words and its fields, by itself.
pub(super) fn shown(event: &Event) -> Value {
    let mut fields = fields(event);
    fields.insert("type".into(), event.name().into());
    fields.insert("text".into(), text(event).into());
    if let Some(id) = event.interaction() {
        fields.insert("interaction".into(), id.to_string().into());
    }
    Value::Object(fields)
}

/// An event in words.
fn text(event: &Event) -> String {
    match event {
        Event::Submitted { media_type, copy_of: None, .. } => format!("Submitted as {media_type}."),
        Event::Submitted { copy_of: Some(of), .. } => format!("Made as a copy of {of}."),
        Event::Entered { by: None, element, .. } => format!("Began at {element}."),
        Event::Entered { by: Some(by), element, why, .. } => {
            let mut text = format!("Went by {by} to {element}");
            if let Some(why) = why {
                // Writing to a string does not fail.
                let _ = write!(text, ": {why}");
            }
            text.push('.');
            text
        }
        Event::WorkflowEntered { workflow, version, .. } => {
            format!("Entered the workflow {workflow}, version {version}.")
        }
        Event::WorkflowLeft { outcome, .. } => format!("The sub-workflow ended with {outcome}."),
        Event::WorkflowsLeft { .. } => "Left its workflow.".to_owned(),
        Event::CallRequested { deployment, attempt: 0, .. } => format!("Asked {deployment}."),
        Event::CallRequested { deployment, attempt, .. } => format!("Asked {deployment} again, retry {attempt}."),
        Event::Answered { deployment, outcome, reason, .. } => {
            let why = if reason.is_empty() { "without a reason" } else { reason };
            format!("{deployment} answered {outcome}: {why}")
        }
        Event::Failed { deployment, failure, .. } => format!("{deployment} gave no decision: {failure}."),
        Event::UserDataSet { key, value, .. } if value.is_empty() => format!("User data {key} was removed."),
        Event::UserDataSet { key, value, .. } => format!("User data {key} is {}.", short(value)),
        Event::Categorized { category, .. } => format!("Category {}, relevancy {}.", category.name, category.relevancy),
        Event::LanguageSet { language, .. } => format!("The language is {language}."),
        Event::PrioritySet { priority, .. } => format!("The priority is {priority}."),
        Event::SkillRequired { skill, .. } => format!("Needs the skill {} at level {}.", skill.name, skill.level),
        Event::TargetSet { target: Some(target), .. } => format!("Is to go to {}.", target_text(target)),
        Event::TargetSet { target: None, .. } => "Where it was to go has been used up.".to_owned(),
        Event::Hopped { to, .. } => format!("Was sent on to {to}."),
        Event::MessageQueued { message, webhooks } => {
            let kind = match message.kind {
                MessageKind::Acknowledgement => "An acknowledgement",
                MessageKind::Reply => "A reply",
                MessageKind::Forward => "A forwarded copy",
                MessageKind::Event => "News of it",
            };
            let names: Vec<&str> = webhooks.iter().map(|name| name.as_str()).collect();
            match names.is_empty() {
                true => format!("{kind} was put in the outbox; no webhook takes it."),
                false => format!("{kind} was put in the outbox for {}.", names.join(", ")),
            }
        }
        Event::Waiting { until, .. } => format!("Waits until {} ms.", until.0),
        Event::Queued { position, .. } => format!("Waits in the queue {}.", position.queue),
        Event::Taken { queue, by, .. } => format!("{by} took it out of the queue {queue}."),
        Event::Released { by, .. } => format!("{by} put it back."),
        Event::WorkDone { disposition, by, .. } => format!("{by} ended the work as {disposition}."),
        Event::Completed { disposition, .. } => format!("Completed as {disposition}."),
        Event::Cancelled { reason, by, .. } => format!("{by} cancelled it: {}", short(reason)),
        Event::Parked { park, .. } => format!("Parked ({}): {}", park.code, park.message),
        Event::Resumed { by, version, .. } => format!("{by} resumed it in version {version}."),
        Event::DocumentPut { document, by } => format!("{by} put a {}.", kind_text(document.key().kind)),
        Event::DocumentRemoved { key, by } => format!("{by} removed a {}.", kind_text(key.kind)),
        Event::DeliveryChanged { delivery, .. } => format!("The delivery {delivery} changed."),
        Event::Relaxed { wants: Some(wants), .. } | Event::Retargeted { wants: Some(wants), .. } => {
            format!("May now go to {}.", target_text(&wants.target))
        }
        Event::Relaxed { wants: None, .. } | Event::Retargeted { wants: None, .. } => {
            "Waits for nobody in particular now.".to_owned()
        }
        Event::Offered { offer, .. } => format!("Is offered to {}.", offer.agent),
        Event::OfferEnded { agent, how, .. } => offer_text(agent.as_str(), how),
        Event::Assigned { agent, by, .. } if *agent == by.as_str() => format!("{agent} has it."),
        Event::Assigned { agent, by, .. } => format!("{by} gave it to {agent}."),
        Event::AttentionSet { attention, by, .. } => match attention {
            Attention::Active => format!("{by} works on it."),
            Attention::Held => format!("{by} put it on hold."),
            Attention::Workbin => format!("{by} put it into the workbin."),
        },
        Event::WrapUpStarted { agent, disposition, .. } => {
            format!("{agent} ended the contact as {disposition} and wraps up.")
        }
        Event::Abandoned { reason, .. } => format!("The customer went away: {}", short(reason)),
        Event::Closed { reason, .. } => format!("The customer closed it: {}", short(reason)),
        Event::Said { speaker: Speaker::Customer, text, .. } => format!("The customer said: {}", short(text)),
        Event::Said { by, text, .. } => format!("{by} said: {}", short(text)),
        Event::Moved { queue, by, .. } => format!("{by} moved it to the queue {queue}."),
        Event::Scheduled { until, .. } => format!("Is meant for {} ms.", until.0),
        Event::Began { .. } => "Its moment has come.".to_owned(),
        Event::AgentLoggedIn { agent, .. } => format!("{agent} logged in."),
        Event::AgentLoggedOut { agent, reason, .. } => format!("{agent} logged out: {reason}."),
        Event::AgentReady { agent, .. } => format!("{agent} is ready."),
        Event::AgentNotReady { agent, reason, .. } => format!("{agent} is not ready: {reason}."),
        Event::AgentPending { agent, pending: Some(_), .. } => format!("{agent} will leave after this."),
        Event::AgentPending { agent, pending: None, .. } => format!("{agent} stays."),
        Event::AgentConnection { agent, .. } => format!("The connection of {agent} changed."),
        Event::TransferBegan { to, by, .. } => format!("{by} wants to hand it on to {}.", target_text(to)),
        Event::TransferFailed { .. } => "Nobody took it over.".to_owned(),
        Event::Marked { marks, .. } => format!("{} filters of statistics find something in it.", marks.len()),
        Event::StatisticsRead { readings, .. } => {
            let each = readings.iter().map(|reading| match reading.value {
                Some(value) => format!("{} is {value}", reading.figure),
                None => format!("{} has no value", reading.figure),
            });
            format!("Went by statistics: {}.", each.collect::<Vec<_>>().join(", "))
        }
        Event::AgentRests { agent, .. } => format!("{agent} rests from offers."),
        Event::EndpointCalled { endpoint, attempt: 0, .. } => format!("Asked the application {endpoint}."),
        Event::EndpointCalled { endpoint, attempt, .. } => {
            format!("Asked the application {endpoint} again, retry {attempt}.")
        }
        Event::EndpointAnswered { endpoint, failure: Some(failure), .. } => {
            format!("The application {endpoint} gave no answer that can be used: {failure}.")
        }
        Event::EndpointAnswered { endpoint, .. } => format!("The application {endpoint} answered."),
        Event::CallbackBooked { rules, at: Some(at), .. } => format!("Booked by {rules} for {} ms.", at.0),
        Event::CallbackBooked { rules, .. } => format!("Booked by {rules} for as soon as possible."),
        Event::CallbackRescheduled { by, at: Some(at), .. } => format!("{by} put it off to {} ms.", at.0),
        Event::CallbackRescheduled { by, .. } => format!("{by} wants it as soon as possible."),
        Event::CallbackAttempted { attempt, outcome, .. } => format!("Attempt {attempt} to call: {}.", outcome.name()),
    }
}

fn offer_text(agent: &str, how: &OfferEnd) -> String {
    match how {
        OfferEnd::Accepted => format!("{agent} accepted it."),
        OfferEnd::Declined { reason } if reason.is_empty() => format!("{agent} declined it."),
        OfferEnd::Declined { reason } => format!("{agent} declined it: {}", short(reason)),
        OfferEnd::Expired => format!("{agent} did not answer in time."),
        OfferEnd::Revoked { reason } => format!("It was taken back from {agent}: {reason}."),
        OfferEnd::CustomerGone => format!("The customer was gone before {agent} answered."),
        OfferEnd::DeliveryFailed => format!("It did not reach {agent}."),
    }
}

fn target_text(target: &signalbox_engine::Target) -> String {
    use signalbox_engine::Target;
    match target {
        Target::Queue(name) => format!("the queue {name}"),
        Target::Agent(name) => format!("the agent {name}"),
        Target::AgentGroup(name) => format!("the agent group {name}"),
        Target::PlaceGroup(name) => format!("the place group {name}"),
        Target::Skills(expression) => format!("any agent with {expression}"),
        Target::LastAgent => "the agent who knows the sender".to_owned(),
    }
}

fn kind_text(kind: DocumentKind) -> &'static str {
    match kind {
        DocumentKind::Upload => "upload",
        DocumentKind::Workflow => "workflow",
        DocumentKind::Deployment => "deployment",
        DocumentKind::Binding => "binding",
        DocumentKind::Queue => "queue",
        DocumentKind::Calendar => "calendar",
        DocumentKind::Response => "standard response",
        DocumentKind::Token => "token",
        DocumentKind::Webhook => "webhook",
        DocumentKind::Table => "table",
        DocumentKind::Skill => "skill",
        DocumentKind::Agent => "agent",
        DocumentKind::Place => "place",
        DocumentKind::AgentGroup => "agent group",
        DocumentKind::PlaceGroup => "place group",
        DocumentKind::AgentRules => "set of rules",
        DocumentKind::Endpoint => "endpoint",
        DocumentKind::CallbackRules => "set of callback rules",
        DocumentKind::Statistic => "statistic",
        DocumentKind::Replay => "replay",
        DocumentKind::SigningKey => "signing key",
    }
}

/// The beginning of a text, on one line.
fn short(text: &str) -> String {
    let mut line: String = text.chars().take(120).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(120).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use signalbox_engine::Name;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_entry_shows_the_fields_of_its_event_beside_its_own() {
        let id = InteractionId(Uuid::from_u128(7));
        let queue = Name::new("billing").unwrap();
        let event = Event::Taken { id, queue, by: "ann".into() };
        let record = Record { sequence: Sequence(3), at: UnixMillis(5), events: vec![event] };
        let shown: Vec<_> = entries(&record, id).collect();
        insta::assert_json_snapshot!(shown, @r#"
        [
          {
            "sequence": 3,
            "at_ms": 5,
            "type": "interaction.assigned",
            "text": "ann took it out of the queue billing.",
            "by": "ann",
            "queue": "billing"
          }
        ]
        "#);
        assert_eq!(entries(&record, InteractionId(Uuid::from_u128(8))).count(), 0);
    }
}
