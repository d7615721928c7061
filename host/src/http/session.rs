//! An agent's session over a WebSocket: it is told of offers and of what happens to its work, and acts.
//!
//! Its frames stand with the route. How many may be open is in `seats.rs`.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use signalbox_engine::{
    AgentAction, Attention, Command, Configuration, Connection, InteractionId, Name, OfferAnswer, Speaker,
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::agents::{Act, AgentView, Entrance, Exit, OfferName, Pause, Refusal};
use super::auth::{Caller, Pass, Settle};
use super::body::Parameters;
use super::timeline;
use super::work::{Forwarding, Transfer, Words, WrapUpEnd};
use super::{Problem, State};
use crate::lane::{Session, Update};

/// Bytes of a frame that an agent sends.
const FRAME_BYTES_MAX: usize = 128 << 10;
/// Bytes that are read at once: every session holds as many.
const READ_BYTES: usize = 4 << 10;
/// Pause between two signs of life that the server asks for.
const PING_EVERY: Duration = Duration::from_secs(10);
/// Time without a sign of life after which a session is cut off.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Time that one frame may take to leave the server. Whoever does not read is cut off.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// Pause between two looks at the queues' lengths.
const QUEUES_EVERY: Duration = Duration::from_secs(2);
pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(session))
}

/// Opens a session of an agent: a WebSocket whose frames are JSON texts of at most 128 KiB. A browser that cannot send the
/// header `Authorization` gives the token as the second of the sub-protocols `signalbox, TOKEN`.
///
/// | from the server | when |
/// |---|---|
/// | `{"type":"state","agent":{…}}` | first: how things stand, as `GET …/state` shows it |
/// | `{"type":"update","sequence":7,"at_ms":…,"events":[…]}` | after every command that is about the agent, in order and none twice; the events are those of the timeline |
/// | `{"type":"queues","queues":[{"queue":…,"length":…}]}` | where the lengths of queues that the agent may serve have changed, every 2 s |
/// | `{"type":"done","id":…}` | what the agent asked for is done |
/// | `{"type":"problem","id":…,"problem":{…}}` | it was refused; the problem is as over HTTP |
///
/// | from the agent: `{"id":…,"do":…}` and | as |
/// |---|---|
/// | `login`: `place`, `media_types`; `logout`, `not-ready`: `reason`, `after_work`; `ready` | the routes of these names |
/// | `accept`, `decline`: `offer`, and `reason` | the routes of an offer |
/// | `hold`, `retrieve`, `workbin`, `release`: `interaction`; `complete`, `finish-wrap-up`: and `disposition` | the routes of an interaction |
/// | `transfer`, `forward`: `interaction`, `to`; `say`: `interaction`, `text` | the routes `transfer`, `forward` and `messages` |
///
/// `id` is any JSON value and comes back. The server pings every 10 s and closes a session that is silent for 30 s, one
/// that does not read, one whose token was deleted, and the older of two unless the account's rules allow several (that one with the code 1008). A
/// session that was cut off begins anew with how things stand: an offer that is still open is there under the same name.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account}/agents/{agent}/session",
    security(("token" = ["agent", "operator"])),
    responses((status = 101, description = "The session is open."))
)]
async fn session(
    caller: Caller<Settle>,
    parameters: Parameters,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|error| {
        Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket-expected", error.body_text())
            .todo("open a WebSocket here; what an agent does can also be asked for over plain HTTP")
    })?;
    let act = caller.acting(&parameters)?;
    let seat = caller.state.seats().take(act.lane().number(), act.agent())?;
    let (state, pass) = (caller.state.clone(), caller.pass());
    let upgrade = upgrade.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX);
    let upgrade = upgrade.read_buffer_size(READ_BYTES);
    Ok(upgrade.protocols(["signalbox"]).on_upgrade(move |socket| async move {
        let _seat = seat;
        let lengths = Lengths::default();
        Open { act, state, socket, pass, heard: Instant::now(), lengths }.run().await;
    }))
}

/// A session that is open.
struct Open {
    act: Act,
    state: State,
    socket: WebSocket,
    pass: Pass,
    heard: Instant,
    lengths: Lengths,
}

/// How many wait in the queues that the agent may serve, as it was told last.
#[derive(Default)]
struct Lengths {
    /// What the queues follow from.
    configuration: Option<Arc<Configuration>>,
    queues: BTreeSet<Name>,
    told: Vec<u64>,
}

/// Why a session ends.
enum Ended {
    /// Its client has gone, or its token.
    Over,
    /// Another session took its place, or it was too slow to read.
    Displaced,
    /// A frame was too large.
    TooLarge,
}

/// What an agent asks for. The fields are those of the routes.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Request {
    Login(Entrance),
    Logout(Exit),
    Ready,
    NotReady(Pause),
    Accept {
        offer: String,
    },
    Decline {
        offer: String,
        #[serde(flatten)]
        refusal: Refusal,
    },
    Hold {
        interaction: InteractionId,
    },
    Retrieve {
        interaction: InteractionId,
    },
    Workbin {
        interaction: InteractionId,
    },
    Complete {
        interaction: InteractionId,
        disposition: String,
    },
    FinishWrapUp {
        interaction: InteractionId,
        #[serde(flatten)]
        end: WrapUpEnd,
    },
    Release {
        interaction: InteractionId,
    },
    Transfer {
        interaction: InteractionId,
        #[serde(flatten)]
        transfer: Transfer,
    },
    Forward {
        interaction: InteractionId,
        #[serde(flatten)]
        forwarding: Forwarding,
    },
    Say {
        interaction: InteractionId,
        #[serde(flatten)]
        words: Words,
    },
}

impl Open {
    async fn run(mut self) {
        let mut ended = Ended::Over;
        match self.act.lane().join(self.act.agent().clone()).await {
            Ok((mut session, snapshot)) => {
                let logged_in = snapshot.login.as_ref().is_some_and(|login| login.connection != Connection::Open);
                let view = AgentView::new(self.act.agent().clone(), snapshot);
                if self.send(json!({"type": "state", "agent": view})).await.is_ok() {
                    if logged_in {
                        // Refused only where it has logged out meanwhile.
                        let _ = self.act.become_(AgentAction::Connect).await;
                    }
                    ended = match self.serve(&mut session).await {
                        Err(ended) => ended,
                    };
                }
            }
            Err(error) => {
                let problem = Problem::from(error);
                let _: Result<(), Ended> = self.send(json!({"type": "problem", "problem": problem.body()})).await;
            }
        }
        // Its own end, one that was too slow, or another session in its place.
        let (code, reason) = match ended {
            Ended::Over => (close_code::NORMAL, "the session ended"),
            Ended::Displaced => {
                (close_code::POLICY, "another session took its place, or it did not read what it was sent")
            }
            Ended::TooLarge => (close_code::SIZE, "a frame has at most 131072 bytes"),
        };
        let frame = CloseFrame { code, reason: reason.into() };
        // Whoever has gone away does not read it.
        let _ = tokio::time::timeout(WRITE_MAX, self.socket.send(Message::Close(Some(frame)))).await;
    }

    async fn serve(&mut self, session: &mut Session) -> Result<Infallible, Ended> {
        let mut pings = interval(PING_EVERY);
        let mut looks = interval(QUEUES_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if !self.pass.holds() {
                let problem = Problem::token_unknown();
                self.send(json!({"type": "problem", "problem": problem.body()})).await?;
                return Err(Ended::Over);
            }
            tokio::select! {
                update = session.next() => match update {
                    Some(update) => self.tell(&update).await?,
                    None => return Err(Ended::Displaced),
                },
                frame = self.socket.recv() => {
                    self.heard = Instant::now();
                    // A pong is the answer to a ping of the server's own, and says nothing of the agent.
                    if let Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_))) = &frame {
                        self.act.lane().heard(self.act.agent());
                    }
                    match frame {
                        Some(Ok(Message::Text(text))) => self.answer(text.as_str()).await?,
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                        Some(Ok(Message::Binary(_))) => {
                            let problem = Problem::json_malformed("a frame is a JSON text");
                            self.send(json!({"type": "problem", "problem": problem.body()})).await?;
                        }
                        Some(Err(error)) if is_too_large(&error) => return Err(Ended::TooLarge),
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Ended::Over),
                    }
                },
                _ = pings.tick() => self.write(Message::Ping(Vec::new().into())).await?,
                _ = looks.tick() => self.queues().await?,
                () = sleep_until(self.heard + SILENCE_MAX) => return Err(Ended::Over),
            }
        }
    }

    async fn tell(&mut self, update: &Update) -> Result<(), Ended> {
        let events: Vec<Value> = update.events.iter().map(timeline::shown).collect();
        let frame = json!({"type": "update", "sequence": update.sequence, "at_ms": update.at, "events": events});
        self.send(frame).await
    }

    /// Tells how many wait in the queues that the agent may serve, where that has changed.
    async fn queues(&mut self) -> Result<(), Ended> {
        let configuration = Arc::clone(&self.act.lane().published().configuration);
        if self.lengths.configuration.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &configuration)) {
            let agent = configuration.agents.get(self.act.agent());
            self.lengths.queues = agent.map(|agent| configuration.queues_for(agent)).unwrap_or_default();
            self.lengths.configuration = Some(configuration);
            self.lengths.told.clear();
        }
        let stats = self.act.lane().stats();
        let queues = self.lengths.queues.iter().take(QUEUES_SHOWN_MAX);
        let lengths: Vec<u64> =
            queues.clone().map(|queue| stats.queue(queue.as_str()).map_or(0, |figures| figures.waiting)).collect();
        if lengths == self.lengths.told {
            return Ok(());
        }
        let shown = queues.zip(&lengths).map(|(queue, length)| json!({"queue": queue, "length": length}));
        let frame = json!({"type": "queues", "queues": shown.collect::<Vec<_>>()});
        self.lengths.told = lengths;
        self.send(frame).await
    }

    async fn answer(&mut self, text: &str) -> Result<(), Ended> {
        let (id, result) = match serde_json::from_str::<Value>(text) {
            Err(error) => (Value::Null, Err(Problem::json_malformed(error.to_string()))),
            Ok(mut value) => {
                let id = value.as_object_mut().and_then(|fields| fields.remove("id")).unwrap_or_default();
                let result = match serde_json::from_value::<Request>(value) {
                    Ok(request) => carry_out(&self.act, &self.state, request).await,
                    Err(error) => Err(Problem::json_invalid(error.to_string())),
                };
                (id, result)
            }
        };
        let frame = match result {
            Ok(()) => json!({"type": "done", "id": id}),
            Err(problem) => json!({"type": "problem", "id": id, "problem": problem.body()}),
        };
        self.send(frame).await
    }

    async fn send(&mut self, frame: Value) -> Result<(), Ended> {
        self.write(Message::Text(frame.to_string().into())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Ended> {
        match tokio::time::timeout(WRITE_MAX, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Ended::Over),
        }
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    use tokio_tungstenite::tungstenite::Error;
    let inner = std::error::Error::source(error).and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::Capacity(_)))
}

/// Queues whose lengths a session is told of.
const QUEUES_SHOWN_MAX: usize = 100;

/// Does what an agent asks for.
async fn carry_out(act: &Act, state: &State, request: Request) -> Result<(), Problem> {
    let offer = |text: &str| text.parse::<OfferName>().map_err(|why| Problem::value_invalid("offer", why));
    match request {
        Request::Login(Entrance { place, media_types }) => {
            act.become_(AgentAction::LogIn { place, media_types, connected: true }).await?;
        }
        Request::Logout(Exit { after_work }) => drop(act.become_(AgentAction::LogOut { after_work }).await?),
        Request::Ready => drop(act.become_(AgentAction::Ready).await?),
        Request::NotReady(Pause { reason, after_work }) => {
            act.become_(AgentAction::NotReady { reason, after_work }).await?;
        }
        Request::Accept { offer: named } => act.answer(state, offer(&named)?, OfferAnswer::Accept).await?,
        Request::Decline { offer: named, refusal: Refusal { reason } } => {
            act.answer(state, offer(&named)?, OfferAnswer::Decline { reason }).await?;
        }
        Request::Hold { interaction } => attend(act, interaction, Attention::Held).await?,
        Request::Retrieve { interaction } => attend(act, interaction, Attention::Active).await?,
        Request::Workbin { interaction } => attend(act, interaction, Attention::Workbin).await?,
        Request::Complete { interaction, disposition } => {
            act.with(|by, for_anyone| Command::Complete { interaction, disposition, by, for_anyone }).await?;
        }
        Request::FinishWrapUp { interaction, end: WrapUpEnd { disposition } } => {
            act.with(|by, for_anyone| Command::FinishWrapUp { interaction, disposition, by, for_anyone }).await?;
        }
        Request::Release { interaction } => {
            act.with(|by, for_anyone| Command::Release { interaction, by, for_anyone }).await?;
        }
        Request::Transfer { interaction, transfer: Transfer { to } } => {
            act.with(|by, for_anyone| Command::Transfer { interaction, to, by, for_anyone }).await?;
        }
        Request::Forward { interaction, forwarding: Forwarding { to } } => {
            act.with(|by, for_anyone| Command::Forward { interaction, to, by, for_anyone }).await?;
        }
        Request::Say { interaction, words: Words { text } } => {
            let speaker = Speaker::Agent;
            act.with(|by, for_anyone| Command::Say { interaction, speaker, text, by, for_anyone }).await?;
        }
    }
    Ok(())
}

async fn attend(act: &Act, interaction: InteractionId, attention: Attention) -> Result<(), Problem> {
    act.with(|by, for_anyone| Command::Attend { interaction, attention, by, for_anyone }).await.map(drop)
}
