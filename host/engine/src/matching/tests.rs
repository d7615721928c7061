//! What matching costs, as the number of agents, interactions and pools that are looked at.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_types, reason = "each test counts by itself; nothing is decided by it")]

use std::cell::Cell;
use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::account::Account;
use crate::command::{AgentAction, Command};
use crate::decide::decide;
use crate::document::{Document, Queue};
use crate::event::Event;
use crate::figure::NoFigures;

thread_local! {
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn look() {
    LOOKS.set(LOOKS.get() + 1);
}

const AGENTS: u16 = 200;
const WAITING: u128 = 20_000;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn id(n: u128) -> InteractionId {
    InteractionId(Uuid::from_u128(n))
}

fn document(account: &mut Account, document: Document) {
    let command = Command::Put { document, by: "test".into() };
    let decided = decide(account, command, None, &NoFigures, UnixMillis(0)).unwrap();
    account.apply(&decided.record);
}

fn group(group: &str, agents: impl Iterator<Item = u16>) -> Document {
    let agents: Vec<String> = agents.map(|n| format!("a{n}")).collect();
    let json = serde_json::json!({"name": group, "agents": agents}).to_string();
    Document::AgentGroup(Arc::new(serde_json::from_str(&json).unwrap()))
}

/// Agents who are ready for four chats and an email.
fn staffed() -> Account {
    let mut account = Account::default();
    let rules = serde_json::from_str(r#"{"capacity": "4 chat + 1 email"}"#).unwrap();
    document(&mut account, Document::AgentRules(Arc::new(rules)));
    for n in 0..AGENTS {
        let agent = name(&format!("a{n}"));
        let json = format!(r#"{{"name": "{agent}"}}"#);
        document(&mut account, Document::Agent(Arc::new(serde_json::from_str(&json).unwrap())));
        let log_in = AgentAction::LogIn { place: None, media_types: BTreeSet::new(), connected: false };
        for action in [log_in, AgentAction::Ready] {
            let command = Command::Agent { agent: agent.clone(), action, by: "test".into() };
            let decided = decide(&account, command, None, &NoFigures, UnixMillis(0)).unwrap();
            account.apply(&decided.record);
        }
    }
    document(&mut account, group("team", 0..AGENTS));
    document(&mut account, group("some", 0..3));
    let queue = Queue { target: Some(Target::AgentGroup("team".into())), ..Queue::new(name("desk")) };
    document(&mut account, Document::Queue(queue));
    account
}

fn position() -> QueuePosition {
    let wants = Wants {
        target: Target::AgentGroup("team".into()),
        skills: Vec::new(),
        choice: AgentChoice::LongestIdle,
        offers_max: 1,
    };
    QueuePosition {
        queue: name("desk"),
        since: UnixMillis(0),
        clock: UnixMillis(0),
        ticket: Sequence(0),
        timeout: None,
        wants: Some(Box::new(wants)),
        step: 0,
        relax_at: None,
        follows: true,
    }
}

fn email(events: &[Event]) -> Live {
    let mut live = Live::new(name("email"), 0, 0, UnixMillis(0));
    live.apply(&Event::Queued { id: id(0), position: Box::new(position()) }, UnixMillis(0));
    events.iter().for_each(|event| live.apply(event, UnixMillis(0)));
    live
}

/// Brings together what can be. Answers with how many offers were made, and how many looks that took.
fn match_all(account: &mut Account) -> (usize, usize) {
    LOOKS.set(0);
    let mut offers = 0;
    while let Some(due) = account.match_due() {
        look();
        match decide(account, Command::Match(due.clone()), None, &NoFigures, UnixMillis(1)) {
            Ok(decided) => {
                offers += 1;
                account.apply(&decided.record);
            }
            Err(_) => account.matched(&due),
        }
    }
    (offers, LOOKS.get())
}

#[test]
fn a_backlog_that_nobody_has_room_for_costs_a_look_each_at_most() {
    let mut account = staffed();
    for n in 0..AGENTS {
        let (agent, by) = (name(&format!("a{n}")), "test".to_owned());
        let assigned = Event::Assigned { id: id(0), agent, offer: None, idle_until: None, by };
        account.load_live(id(u128::from(n)), email(&[assigned]));
    }
    for n in 0..WAITING {
        account.load_live(id(1000 + n), email(&[]));
    }
    let (offers, looks) = match_all(&mut account);
    assert_eq!(offers, 0);
    // Each agent is asked once what it should get; of what waits nothing is looked at, for none of it can go to anybody.
    assert_eq!(looks, usize::from(AGENTS));
}

#[test]
fn a_group_that_is_put_costs_looks_at_its_members_only() {
    let mut account = staffed();
    for n in 0..WAITING {
        let mut live = Live::new(name("fax"), 0, 0, UnixMillis(0));
        live.apply(&Event::Queued { id: id(0), position: Box::new(position()) }, UnixMillis(0));
        account.load_live(id(1000 + n), live);
    }
    match_all(&mut account);
    LOOKS.set(0);
    document(&mut account, group("some", 2..5));
    assert_eq!(LOOKS.get(), 0, "nothing waits for this group");
    document(&mut account, group("team", 1..AGENTS));
    assert_eq!(LOOKS.get(), usize::from(AGENTS), "each member is tested once against the one pool");
}
