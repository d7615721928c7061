//! An account whose statistics are folded beside it, as a lane does it, and that can be restarted at any moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use signalbox_engine::{
    Account, Command, Content, Document, DocumentKey, DocumentKind, Facts, InteractionId, Message, Name, NoFigures,
    Observed, Observing, Record, Rejection, Sequence, Submission, UnixMillis, census, decide, reads,
};
use uuid::Uuid;

use super::super::fold::{Checkpoint, Figure, Fold};

#[derive(Default)]
pub(super) struct World {
    pub(super) account: Account,
    pub(super) contents: BTreeMap<InteractionId, Content>,
    pub(super) journal: Vec<Record>,
    pub(super) fold: Fold,
    /// As they are stored.
    checkpoint: Option<Vec<u8>>,
    rows: Vec<(Sequence, Vec<u8>)>,
    submits: u128,
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn id(n: u128) -> InteractionId {
    InteractionId(Uuid::from_u128(n))
}

impl World {
    pub(super) fn run(&mut self, command: Command, now: UnixMillis) -> Result<Record, Rejection> {
        let content = reads(&self.account, &command).map(|id| self.contents[&id].clone());
        let decided = decide(&self.account, command, content, &NoFigures, now)?;
        let record = decided.record;
        let mut observed = Observed::default();
        let observing = Observing::before(&self.account, &record, &mut observed);
        let ended = self.account.apply(&record);
        if let Some(observing) = observing {
            observing.after(&self.account, &mut observed);
        }
        self.contents.extend(decided.contents);
        for (id, _) in ended {
            self.contents.remove(&id);
        }
        if !observed.is_empty() {
            self.fold.fold(record.sequence, &observed);
            if super::super::definition::wants_census(&observed.facts) {
                self.count();
            }
            self.rows.push((record.sequence, postcard::to_stdvec(&observed).unwrap()));
        }
        self.journal.push(record.clone());
        Ok(record)
    }

    /// Brings together what can be, as a lane does after each command.
    pub(super) fn match_all(&mut self, now: UnixMillis) {
        while let Some(due) = self.account.match_due() {
            if self.run(Command::Match(due.clone()), now).is_err() {
                self.account.matched(&due);
            }
        }
    }

    fn count(&mut self) {
        self.fold.begin_census();
        for part in census(&self.account) {
            self.fold.counted(&part);
        }
        self.fold.end_census();
    }

    pub(super) fn save(&mut self) {
        self.checkpoint = Some(postcard::to_stdvec(&self.fold.checkpoint()).unwrap());
        let until = self.fold.sequence();
        self.rows.retain(|(sequence, _)| *sequence > until);
    }

    pub(super) fn restart(&mut self) {
        let checkpoint = self.checkpoint.as_ref().map(|bytes| postcard::from_bytes::<Checkpoint>(bytes).unwrap());
        self.fold = checkpoint.map_or_else(Fold::default, Fold::restored);
        for (sequence, bytes) in &self.rows {
            self.fold.fold(*sequence, &postcard::from_bytes(bytes).unwrap());
        }
        self.count();
    }

    pub(super) fn put(&mut self, kind: &str, json: Value, now: UnixMillis) -> Result<Record, Rejection> {
        let document = match kind {
            "skill" => Document::Skill(serde_json::from_value(json).unwrap()),
            "agent" => Document::Agent(Arc::new(serde_json::from_value(json).unwrap())),
            "place" => Document::Place(serde_json::from_value(json).unwrap()),
            "agent-group" => Document::AgentGroup(Arc::new(serde_json::from_value(json).unwrap())),
            "place-group" => Document::PlaceGroup(Arc::new(serde_json::from_value(json).unwrap())),
            "rules" => Document::AgentRules(Arc::new(serde_json::from_value(json).unwrap())),
            "queue" => Document::Queue(serde_json::from_value(json).unwrap()),
            "workflow" => Document::Workflow(Arc::new(serde_json::from_value(json).unwrap()), 0),
            "deployment" => Document::Deployment(Arc::new(serde_json::from_value(json).unwrap())),
            "binding" => Document::Binding(Arc::new(serde_json::from_value(json).unwrap())),
            "statistic" => Document::Statistic(Arc::new(serde_json::from_value(json).unwrap())),
            other => panic!("no such kind: {other}"),
        };
        self.run(Command::Put { document, by: "test".into() }, now)
    }

    pub(super) fn remove(&mut self, kind: DocumentKind, of: &str, now: UnixMillis) -> Result<Record, Rejection> {
        let key = DocumentKey { kind, name: name(of), element: None, version: 0 };
        self.run(Command::Remove { key, by: "test".into() }, now)
    }

    pub(super) fn submit(&mut self, media_type: &str, workflow: &str, tier: &str, now: UnixMillis) -> InteractionId {
        self.submits += 1;
        let id = id(self.submits);
        let message = Message {
            media_type: name(media_type),
            subject: None,
            body: "hello".into(),
            sender: Some("ann@example.com".into()),
            recipient: None,
            headers: Vec::new(),
            submitted_at: now,
        };
        let user_data = BTreeMap::from([("tier".to_owned(), tier.to_owned())]);
        let facts = Facts { user_data, ..Facts::default() };
        let submission =
            Submission { id, workflow: name(workflow), message: Arc::new(message), facts, at: None, callback: None };
        self.run(Command::Submit(Box::new(submission)), now).unwrap();
        id
    }

    pub(super) fn figure(&self, of: &str, now: UnixMillis) -> Figure {
        self.fold.figure(of, now).unwrap_or_else(|| panic!("there is no statistic `{of}`"))
    }

    pub(super) fn value(&self, of: &str, now: u64) -> Option<f64> {
        self.figure(of, UnixMillis(now)).value
    }
}
