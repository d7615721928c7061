//! An interaction as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use signalbox_engine::{
    AttemptOutcome, Attention, Callback, Category, Configuration, Content, Entry, InteractionId, Live, Name, Offer,
    Park, Skill, State as Where, StateKind, Target, UnixMillis,
};
use utoipa::ToSchema;

use super::Problem;
use super::auth::{Caller, Grant};
use super::cursor::{self, Page};
use crate::store::{self, AccountNumber, Found, Store, Summary};

/// Where an interaction is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Interaction)]
pub(super) struct Interaction {
    /// Its identifier.
    #[schema(value_type = String, format = "uuid")]
    pub(super) id: InteractionId,
    /// Its state.
    state: StateKind,
    /// When it came into that state.
    #[schema(value_type = u64)]
    since_ms: UnixMillis,
    /// When it was submitted.
    #[schema(value_type = u64)]
    submitted_at_ms: UnixMillis,
    /// Its medium.
    #[schema(value_type = String)]
    media_type: Name,
    /// 0 to 1000.
    priority: u16,
    /// How often it was forwarded or redirected.
    hops: u8,
    /// The workflow that it is in, the innermost one; while it is scheduled, the one that it is to enter; once it has
    /// ended, the outermost that it was in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    workflow: Option<Name>,
    /// That workflow's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    /// The element that it is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    element: Option<Name>,
    /// The queue that it waits in, or was taken out of.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<InQueue>,
    /// The agent who has it, or the token that took it by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    assigned_to: Option<String>,
    /// How whoever has it attends to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    attention: Option<Attention>,
    /// Offers that are open: to take it, or to take it over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    offers: Vec<OfferView>,
    /// When it goes on, where it waits for a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    waiting_until_ms: Option<UnixMillis>,
    /// The strategy call whose answer it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<Awaited>,
    /// The application outside whose answer it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_call: Option<AwaitedEndpoint>,
    /// What makes it a callback.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<CallbackView>,
    /// Why it cannot go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    parked: Option<Park>,
    /// Who is to get it at the next queue element.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Target>,
    /// How the work ended, or why it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    disposition: Option<String>,
    /// What it is about, shortly.
    #[serde(flatten)]
    about: About,
}

/// What an interaction is about, shortly.
#[derive(Debug, Default, Serialize, ToSchema)]
struct About {
    /// The subject line.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// Address of whoever sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
    /// BCP 47 tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    /// Best first.
    categories: Vec<Category>,
}

/// A place in a queue.
#[derive(Debug, Serialize, ToSchema)]
struct InQueue {
    /// The queue.
    #[schema(value_type = String)]
    name: Name,
    /// When it came into the queue.
    #[schema(value_type = u64)]
    since_ms: UnixMillis,
    /// When it leaves by `timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    timeout_ms: Option<UnixMillis>,
}

/// An offer that is open.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Offer)]
pub(super) struct OfferView {
    /// Its identifier: the interaction's, and a number.
    pub(super) id: String,
    /// To whom.
    #[schema(value_type = String)]
    pub(super) agent: Name,
    /// When it expires.
    #[schema(value_type = u64)]
    pub(super) expires_ms: UnixMillis,
}

impl OfferView {
    pub(super) fn new(interaction: InteractionId, offer: &Offer) -> Self {
        Self { id: format!("{interaction}:{}", offer.id.0), agent: offer.agent.clone(), expires_ms: offer.expires }
    }
}

/// A strategy call whose answer is awaited.
#[derive(Debug, Serialize, ToSchema)]
struct Awaited {
    /// The call.
    id: u64,
    /// The deployment that answers it.
    #[schema(value_type = String)]
    deployment: Name,
    /// 1 the first time that it is at this element.
    visit: u32,
    /// 0, then one more with each retry.
    attempt: u8,
}

/// A call to an application outside whose answer is awaited.
#[derive(Debug, Serialize, ToSchema)]
struct AwaitedEndpoint {
    /// The call.
    id: u64,
    /// Whom it asks.
    #[schema(value_type = String)]
    endpoint: Name,
    /// 1 the first time that it is at this element.
    visit: u32,
    /// 0, then one more with each retry.
    attempt: u8,
    /// When this attempt is made, where it has not begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    retry_at_ms: Option<UnixMillis>,
}

/// What makes an interaction a callback.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Callback)]
struct CallbackView {
    /// The rules that it was booked by.
    #[schema(value_type = String)]
    rules: Name,
    /// Whom to call.
    number: String,
    /// The moment that was booked; none for as soon as possible, and after an attempt that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    at_ms: Option<UnixMillis>,
    /// Attempts that have ended.
    attempts: u8,
    /// What came of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<AttemptOutcome>,
}

impl From<Callback> for CallbackView {
    fn from(callback: Callback) -> Self {
        let Callback { rules, number, at, attempts, outcome } = callback;
        Self { rules, number, at_ms: at, attempts, outcome }
    }
}

/// An interaction with its message and what is known of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InteractionDetail {
    /// Where it is.
    #[serde(flatten)]
    interaction: Interaction,
    /// As it was submitted.
    message: MessageView,
    /// What is known beyond the message.
    facts: FactsView,
}

/// The message as it was submitted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
struct MessageView {
    /// The text.
    body: String,
    /// Address it was sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    /// In the order received, names in lower case.
    headers: Vec<Entry>,
}

/// What is known of an interaction beyond its message.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Facts)]
pub(super) struct FactsView {
    /// BCP 47 tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    /// Best first.
    categories: Vec<Category>,
    /// Attached data.
    user_data: BTreeMap<String, String>,
    /// 0 to 1000.
    priority: u16,
    /// An acknowledgement or an automatic response has gone out.
    answered: bool,
    /// How often it was forwarded or redirected.
    hops: u8,
    /// What an agent must be able to do.
    skills: Vec<Skill>,
    /// The agent who last completed an interaction of the same sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    last_agent: Option<Name>,
}

impl From<signalbox_engine::Facts> for FactsView {
    fn from(facts: signalbox_engine::Facts) -> Self {
        let signalbox_engine::Facts {
            language,
            categories,
            user_data,
            priority,
            answered,
            hops,
            skills,
            last_agent,
            transcript: _,
        } = facts;
        Self { language, categories, user_data, priority, answered, hops, skills, last_agent }
    }
}

impl Interaction {
    /// A page of what was found.
    ///
    /// # Errors
    /// Where the store does not read what one of them is about.
    pub(super) fn page(
        store: &Store,
        configuration: &Configuration,
        account: AccountNumber,
        found: Found<(InteractionId, Summary)>,
    ) -> Result<Page<Self>, store::Error> {
        let shown = |(id, summary)| {
            let content = store.content(account, id)?;
            Ok(Self::new(configuration, id, summary, content.as_ref()))
        };
        let items = found.items.into_iter().map(shown).collect::<Result<_, _>>()?;
        Ok(Page { items, next: found.next.map(|key| cursor::encode(&key)) })
    }

    /// As its rows say; `content` is none where nobody needs to know what it is about.
    pub(super) fn new(
        configuration: &Configuration,
        id: InteractionId,
        summary: Summary,
        content: Option<&Content>,
    ) -> Self {
        let mut shown = match summary {
            Summary::Live(live) => Self::live(configuration, id, live),
            Summary::Ended(ended) => {
                let (workflow, version) = ended.workflow.unzip();
                Self {
                    id,
                    state: ended.state,
                    since_ms: ended.ended_at,
                    submitted_at_ms: ended.submitted_at,
                    media_type: ended.media_type,
                    priority: ended.priority,
                    hops: ended.hops,
                    workflow,
                    version,
                    element: None,
                    queue: None,
                    assigned_to: None,
                    attention: None,
                    offers: Vec::new(),
                    waiting_until_ms: None,
                    call: None,
                    endpoint_call: None,
                    callback: ended.callback.map(|callback| CallbackView::from(*callback)),
                    parked: None,
                    target: None,
                    disposition: Some(ended.disposition),
                    about: About::default(),
                }
            }
        };
        if let Some(content) = content {
            shown.about = About {
                subject: content.message.subject.clone(),
                sender: content.message.sender.clone(),
                language: content.facts.language.clone(),
                categories: content.facts.categories.clone(),
            };
        }
        shown
    }

    fn live(configuration: &Configuration, id: InteractionId, live: Live) -> Self {
        let frame = live.frame().cloned();
        let element = frame.as_ref().and_then(|frame| {
            let flow = configuration.flow(frame.workflow.as_str(), frame.version)?;
            flow.workflow.elements.get(usize::from(frame.element)).map(|element| element.id.clone())
        });
        let (workflow, version) = frame.map(|frame| (frame.workflow, frame.version)).unzip();
        let mut shown = Self {
            id,
            state: live.state.kind(),
            since_ms: live.since,
            submitted_at_ms: live.submitted_at,
            media_type: live.media_type,
            priority: live.priority,
            hops: live.hops,
            workflow,
            version,
            element,
            queue: None,
            assigned_to: None,
            attention: None,
            offers: Vec::new(),
            waiting_until_ms: None,
            call: None,
            endpoint_call: None,
            callback: live.callback.map(|callback| CallbackView::from(*callback)),
            parked: None,
            target: live.target.map(|target| *target),
            disposition: None,
            about: About::default(),
        };
        match live.state {
            Where::Moving => {}
            Where::Routing { call, deployment, visit, attempt } => {
                shown.call = Some(Awaited { id: call.0, deployment, visit, attempt });
            }
            Where::Calling { call, endpoint, visit, attempt, retry_at } => {
                let id = call.0;
                shown.endpoint_call = Some(AwaitedEndpoint { id, endpoint, visit, attempt, retry_at_ms: retry_at });
            }
            Where::Waiting { until } => shown.waiting_until_ms = Some(until),
            Where::Queued(position) => shown.queue = Some(position.into()),
            Where::Offered { position, offers } => {
                shown.queue = Some(position.into());
                shown.offers = offers.iter().map(|offer| OfferView::new(id, offer)).collect();
            }
            Where::Assigned(assignment) => {
                let assignment = *assignment;
                shown.assigned_to = Some(assignment.by);
                shown.attention = Some(assignment.attention);
                let transfer = assignment.transfer.and_then(|transfer| transfer.offer);
                shown.offers = transfer.iter().map(|offer| OfferView::new(id, offer)).collect();
                shown.queue = Some(assignment.position.into());
            }
            Where::WrapUp(wrap_up) => {
                shown.assigned_to = Some(wrap_up.agent.to_string());
                shown.disposition = Some(wrap_up.disposition);
                shown.waiting_until_ms = Some(wrap_up.until);
            }
            Where::Scheduled { until, workflow } => {
                shown.waiting_until_ms = Some(until);
                shown.workflow = Some(workflow);
            }
            Where::Parked(park) => shown.parked = Some(*park),
        }
        shown
    }
}

impl InteractionDetail {
    /// Whether it is a callback, or was one.
    pub(super) fn is_callback(&self) -> bool {
        self.interaction.callback.is_some() || self.interaction.media_type == "callback"
    }
}

impl From<signalbox_engine::QueuePosition> for InQueue {
    fn from(position: signalbox_engine::QueuePosition) -> Self {
        Self { name: position.queue, since_ms: position.since, timeout_ms: position.timeout }
    }
}

impl<G: Grant> Caller<G> {
    /// An interaction of the account with all that it holds.
    ///
    /// # Errors
    /// `interaction-unknown`, or what the store says.
    pub(super) async fn interaction(&self, id: InteractionId) -> Result<InteractionDetail, Problem> {
        let number = self.lane.number();
        let found = self.state.read(move |store| Ok((store.summary(number, id)?, store.content(number, id)?))).await?;
        let (Some(summary), Some(content)) = found else { return Err(Problem::unknown("interaction", id)) };
        let interaction = Interaction::new(&self.lane.published().configuration, id, summary, Some(&content));
        let message = MessageView {
            body: content.message.body.clone(),
            recipient: content.message.recipient.clone(),
            headers: content.message.headers.clone(),
        };
        Ok(InteractionDetail { interaction, message, facts: content.facts.into() })
    }
}
