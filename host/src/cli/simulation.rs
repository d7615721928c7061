//! `signalbox agent simulate`: plays agents, so that a person sees interactions being answered before there are any.
//!
//! Each agent holds a session as a desktop does. What it does with an offer is drawn by lot, from a seed that is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use futures_util::{SinkExt as _, StreamExt as _};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::Upgraded;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::client::Client;
use super::error::Error;
use super::output::{Output, cell, table};
use super::workflow::items;

/// Pause before a session that was lost is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// Times that a session is opened again without having told anything.
const RECONNECTS_MAX: u32 = 20;
/// Pause between two looks at whether all is done.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long interactions may wait, and nobody have any, before they count as nobody's; and twice the time of an answer.
const NOBODYS_MAX: Duration = Duration::from_secs(60);

/// How agents are played.
#[derive(Debug, Clone, Args)]
pub(super) struct Simulation {
    /// The agents, who must not be logged in elsewhere.
    #[arg(required = true, value_name = "AGENT")]
    agents: Vec<String>,
    /// Share of the offers that are accepted.
    #[arg(long, value_name = "PERCENT", default_value_t = 85, value_parser = clap::value_parser!(u8).range(..=100))]
    accept: u8,
    /// Share of the offers that are declined: 10, or what `--accept` leaves. The others ring until they expire.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    decline: Option<u8>,
    /// Time from the offer to the answer, on average.
    #[arg(long, value_name = "MS", default_value_t = 700)]
    answer_ms: u32,
    /// Time of the work on an interaction, on average.
    #[arg(long, value_name = "MS", default_value_t = 3000)]
    work_ms: u32,
    /// Disposition code of what is completed.
    #[arg(long, value_name = "CODE", default_value = "solved")]
    disposition: String,
    /// Reason code of the short break of an agent who declined something and has nothing to do: it is not offered what it
    /// declined before it is ready again.
    #[arg(long, value_name = "CODE", default_value = "break")]
    break_reason: String,
    /// Makes the lots fall as in an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Ends once no interaction is queued, offered or in an agent's hands. Left out: with Ctrl-C.
    #[arg(long)]
    until_empty: bool,
}

/// What came of one agent's offers.
#[derive(Debug, Default, Serialize)]
struct Tally {
    accepted: u32,
    declined: u32,
    unanswered: u32,
    completed: u32,
}

/// What an agent has done, for whoever looks on.
struct Deed {
    agent: String,
    kind: DeedKind,
    interaction: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DeedKind {
    Accepted,
    Declined,
    LeftRinging,
    Completed,
}

impl Simulation {
    fn declined(&self) -> u8 {
        self.decline.unwrap_or_else(|| 10.min(100 - self.accept))
    }

    pub async fn run(self, client: &Client, output: &Output) -> Result<(), Error> {
        if self.accept + self.declined() > 100 {
            return Err(Error::usage("--accept and --decline are more than 100 % together"));
        }
        let seed = self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
        output.step(&format!("{} agents, until {}; --seed {seed}", self.agents.len(), self.end()));
        let (deeds, mut told) = mpsc::channel(1024);
        let mut playing = tokio::task::JoinSet::new();
        for (n, agent) in self.agents.iter().enumerate() {
            let random = StdRng::seed_from_u64(seed.wrapping_add(n as u64));
            let player = Player {
                agent: agent.clone(),
                plan: self.clone(),
                client: client.clone(),
                random,
                deeds: deeds.clone(),
                told: false,
                has_declined: false,
            };
            playing.spawn(player.run());
        }
        drop(deeds);
        let mut tally: BTreeMap<String, Tally> =
            self.agents.iter().map(|agent| (agent.clone(), Tally::default())).collect();
        let end = async {
            if self.until_empty {
                return until_empty(client, NOBODYS_MAX + 2 * Duration::from_millis(self.answer_ms.into())).await;
            }
            tokio::signal::ctrl_c().await.map_err(|error| Error::new("Ctrl-C cannot be waited for").because(&error))
        };
        tokio::pin!(end);
        let ended = loop {
            tokio::select! {
                ended = &mut end => break ended,
                Some(ended) = playing.join_next() => break ended.unwrap_or_else(|error| {
                    Err(Error::new("an agent's part ended").because(&error))
                }),
                Some(deed) = told.recv() => note(&deed, &mut tally, output),
            }
        };
        playing.shutdown().await;
        while let Ok(deed) = told.try_recv() {
            note(&deed, &mut tally, output);
        }
        output.result(&tally, shown)?;
        ended
    }

    fn end(&self) -> &'static str {
        if self.until_empty { "nothing is left" } else { "Ctrl-C" }
    }
}

fn note(deed: &Deed, tally: &mut BTreeMap<String, Tally>, output: &Output) {
    let of = tally.entry(deed.agent.clone()).or_default();
    let (count, words) = match deed.kind {
        DeedKind::Accepted => (&mut of.accepted, "accepts"),
        DeedKind::Declined => (&mut of.declined, "declines"),
        DeedKind::LeftRinging => (&mut of.unanswered, "does not answer"),
        DeedKind::Completed => (&mut of.completed, "completes"),
    };
    *count += 1;
    output.step(&format!("{:<12} {words:<16} {}", deed.agent, deed.interaction));
}

fn shown(tally: &BTreeMap<String, Tally>) -> String {
    let row = |(agent, of): (&String, &Tally)| {
        let counts = [of.accepted, of.declined, of.unanswered, of.completed];
        std::iter::once(agent.clone()).chain(counts.map(|count| count.to_string())).collect()
    };
    let rows: Vec<Vec<String>> = tally.iter().map(row).collect();
    table(&["agent", "accepted", "declined", "unanswered", "completed"], &rows)
}

/// Waits until no interaction waits for an agent or is with one.
///
/// # Errors
/// Where some wait, and for so long none of them was seen to be anybody's.
async fn until_empty(client: &Client, nobodys_max: Duration) -> Result<(), Error> {
    let mut nobodys_since = None;
    let mut was_empty = false;
    loop {
        let any = async |states: &[&str]| {
            for state in states {
                let query = [("state", (*state).to_owned()), ("limit", "1".to_owned())];
                let page = client.get(&["interactions"], &query).await?;
                if !items(&page).is_empty() || !page["next"].is_null() {
                    return Ok::<_, Error>(true);
                }
            }
            Ok(false)
        };
        // In the order in which they go on. One that comes back meanwhile is missed, and seen by the next look.
        let (waits, is_somebodys) = (any(&["queued"]).await?, any(&["offered", "assigned", "wrap-up"]).await?);
        let is_empty = !waits && !is_somebodys;
        if is_empty && was_empty {
            return Ok(());
        }
        was_empty = is_empty;
        if is_empty || is_somebodys {
            nobodys_since = None;
        } else if nobodys_since.get_or_insert_with(Instant::now).elapsed() > nobodys_max {
            let what = format!("some interactions wait, and for {} s none was seen offered", nobodys_max.as_secs());
            return Err(Error::new(what).fix(
                "look at their media types (`signalbox interaction list --state queued`), which the agents' capacity has to \
                 name, and at the skills and groups that their queues ask for",
            ));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// One agent.
struct Player {
    agent: String,
    plan: Simulation,
    client: Client,
    random: StdRng,
    deeds: mpsc::Sender<Deed>,
    /// Its session has told something since it was opened.
    told: bool,
    /// It has declined something since it last became ready.
    has_declined: bool,
}

/// What an agent does when its time has come.
enum Todo {
    Answer { offer: String, accept: bool },
    Complete(String),
    WrapUp(String),
    Break,
}

/// An open session, and what is to be done in it.
struct Desk {
    socket: WebSocketStream<Upgraded>,
    todo: BTreeMap<(Instant, u64), Todo>,
    number: u64,
    /// Offers that have not ended.
    ringing: BTreeSet<String>,
}

impl Player {
    async fn run(mut self) -> Result<(), Error> {
        let mut failed = 0;
        loop {
            let Err(error) = self.sit().await;
            failed = if std::mem::take(&mut self.told) { 0 } else { failed + 1 };
            if failed > RECONNECTS_MAX || error.code.is_some() {
                return Err(error.at(format!("agent `{}`", self.agent)));
            }
            sleep(RECONNECT_PAUSE).await;
        }
    }

    /// One session, until it is lost.
    async fn sit(&mut self) -> Result<std::convert::Infallible, Error> {
        let socket = self.client.web_socket(&["agents", &self.agent, "session"]).await?;
        let mut desk = Desk { socket, todo: BTreeMap::new(), number: 0, ringing: BTreeSet::new() };
        loop {
            if self.has_declined && desk.is_clear() {
                self.later(&mut desk, self.plan.answer_ms, Todo::Break);
            }
            let due = desk.todo.keys().next().map(|(at, _)| *at);
            let next = async {
                match due {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                frame = desk.socket.next() => {
                    let lost = |why: &str| Error::unreachable(format!("the session is lost: {why}"));
                    let frame = frame.ok_or_else(|| lost("it was closed"))?;
                    if let Message::Text(text) = frame.map_err(|error| lost(&error.to_string()))? {
                        let frame = serde_json::from_str(text.as_str()).map_err(|error| lost(&error.to_string()))?;
                        self.hear(&mut desk, &frame).await?;
                    }
                }
                () = next => {
                    if let Some((_, todo)) = desk.todo.pop_first() {
                        self.act(&mut desk, todo).await?;
                    }
                }
            }
        }
    }

    async fn hear(&mut self, desk: &mut Desk, frame: &Value) -> Result<(), Error> {
        match frame["type"].as_str().unwrap_or_default() {
            "state" => {
                let state = &frame["agent"];
                if state["state"] == "logged-out" {
                    desk.say(json!({"do": "login"})).await?;
                }
                desk.ringing.clear();
                for offer in state["offers"].as_array().into_iter().flatten() {
                    self.offered(desk, &cell(offer, "id"));
                }
                for work in state["work"].as_array().into_iter().flatten() {
                    let interaction = cell(work, "interaction");
                    let wraps_up = work["state"] == "wrap-up";
                    let todo = if wraps_up { Todo::WrapUp(interaction) } else { Todo::Complete(interaction) };
                    self.later(desk, self.plan.work_ms, todo);
                }
                desk.say(json!({"do": "ready"})).await?;
            }
            "update" => {
                self.told = true;
                for event in frame["events"].as_array().into_iter().flatten() {
                    self.happened(desk, event).await?;
                }
            }
            "problem" => {
                let problem = &frame["problem"];
                let code = cell(problem, "code");
                let fix = match code.as_str() {
                    "reason-unknown" => Some("give one of the account's codes with --break-reason"),
                    "disposition-unknown" => Some("give one of the account's codes with --disposition"),
                    // Of what was too late, the updates tell the rest. Whoever is not let in has no part to play.
                    _ if frame["id"] != "login" && !frame["id"].is_null() => return Ok(()),
                    _ => None,
                };
                let mut error = Error::refused(cell(problem, "detail")).code(Some(code));
                error.fix = fix.map(str::to_owned);
                return Err(error);
            }
            _ => {}
        }
        Ok(())
    }

    async fn happened(&mut self, desk: &mut Desk, event: &Value) -> Result<(), Error> {
        let mine = event["agent"] == self.agent.as_str();
        match event["type"].as_str().unwrap_or_default() {
            "offer.made" if event["offer"]["agent"] == self.agent.as_str() => {
                self.offered(desk, &cell(event, "offer.id"));
            }
            "offer.ended" => drop(desk.ringing.remove(&cell(event, "offer"))),
            "interaction.assigned" if mine => {
                let interaction = cell(event, "interaction");
                self.tell(DeedKind::Accepted, &interaction).await;
                self.later(desk, self.plan.work_ms, Todo::Complete(interaction));
            }
            "interaction.wrap-up-started" if mine => {
                let interaction = cell(event, "interaction");
                self.later(desk, self.plan.work_ms / 4, Todo::WrapUp(interaction));
            }
            "interaction.work-done" if mine => self.tell(DeedKind::Completed, &cell(event, "interaction")).await,
            "agent.not-ready" if mine => {
                self.has_declined = false;
                desk.say(json!({"do": "ready"})).await?;
            }
            _ => {}
        }
        Ok(())
    }

    fn offered(&mut self, desk: &mut Desk, offer: &str) {
        desk.ringing.insert(offer.to_owned());
        let drawn = self.random.random_range(0..100);
        if drawn < self.plan.accept + self.plan.declined() {
            let todo = Todo::Answer { offer: offer.to_owned(), accept: drawn < self.plan.accept };
            self.later(desk, self.plan.answer_ms, todo);
        } else {
            let interaction = offer.split(':').next().unwrap_or_default().to_owned();
            let deed = Deed { agent: self.agent.clone(), kind: DeedKind::LeftRinging, interaction };
            // Only a count is lost where nobody looks on.
            let _ = self.deeds.try_send(deed);
        }
    }

    /// After half to one and a half of a time.
    fn later(&mut self, desk: &mut Desk, average_ms: u32, todo: Todo) {
        let after = Duration::from_millis(u64::from(average_ms)).mul_f64(self.random.random_range(0.5..1.5));
        desk.number += 1;
        desk.todo.insert((Instant::now() + after, desk.number), todo);
    }

    async fn act(&mut self, desk: &mut Desk, todo: Todo) -> Result<(), Error> {
        match todo {
            Todo::Answer { offer, accept: true } => desk.say(json!({"do": "accept", "offer": offer})).await,
            Todo::Answer { offer, accept: false } => {
                let interaction = offer.split(':').next().unwrap_or_default().to_owned();
                self.tell(DeedKind::Declined, &interaction).await;
                self.has_declined = true;
                desk.say(json!({"do": "decline", "offer": offer, "reason": "simulated"})).await
            }
            Todo::Complete(interaction) => {
                let disposition = &self.plan.disposition;
                desk.say(json!({"do": "complete", "interaction": interaction, "disposition": disposition})).await
            }
            Todo::WrapUp(interaction) => desk.say(json!({"do": "finish-wrap-up", "interaction": interaction})).await,
            Todo::Break if desk.is_clear() => {
                self.has_declined = false;
                let reason = &self.plan.break_reason;
                desk.say(json!({"do": "not-ready", "reason": reason, "after_work": true})).await
            }
            // Something came in between: later.
            Todo::Break => Ok(()),
        }
    }

    async fn tell(&self, kind: DeedKind, interaction: &str) {
        let deed = Deed { agent: self.agent.clone(), kind, interaction: interaction.to_owned() };
        // Nobody listens any more once all is over.
        let _ = self.deeds.send(deed).await;
    }
}

impl Desk {
    /// Nothing rings and nothing is to be done.
    fn is_clear(&self) -> bool {
        self.todo.is_empty() && self.ringing.is_empty()
    }

    /// Asks for something under its own name.
    async fn say(&mut self, mut request: Value) -> Result<(), Error> {
        request["id"] = request["do"].clone();
        let sent = self.socket.send(Message::text(request.to_string())).await;
        sent.map_err(|error| Error::unreachable(format!("the session is lost: {error}")))
    }
}
