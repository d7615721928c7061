//! Figures of the stat server that a condition reads, by the names by which strategies ask for them.
//!
//! A figure is an input like the time: whoever steps the engine knows it, the engine asks for it once and notes in the
//! record what it was told.
//!
//! Invariant: a name that was checked when its workflow was put stood for something then. What has no value now, or is
//! gone by now, reads as none.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::configuration::Configuration;
use crate::id::Name;
use crate::statistic::{Measure, ObjectKind};
use crate::workflow::{ElementKind, Workflow};

/// What a figure is found by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FigureName {
    /// One of the server's own, or a statistic that was defined.
    pub statistic: Name,
    /// What it is about; none where a defined statistic says so itself.
    pub object: Option<(ObjectKind, Name)>,
}

/// A figure that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Which.
    pub figure: FigureName,
    /// Its value; none where it had none.
    pub value: Option<f64>,
}

/// Where figures are known.
pub trait Figures: fmt::Debug {
    /// The value of a figure now; none where there is none.
    fn value(&self, figure: &FigureName) -> Option<f64>;
}

/// Where no figure is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFigures;

impl Figures for NoFigures {
    fn value(&self, _: &FigureName) -> Option<f64> {
        None
    }
}

/// The server's own figures, by what they are about.
pub const OWN: [(ObjectKind, &[&str]); 4] = [
    (ObjectKind::Queue, &["waiting", "oldest-wait", "estimated-wait", "entered", "taken", "left"]),
    (ObjectKind::Workflow, &["submitted", "completed", "cancelled", "parked"]),
    (ObjectKind::MediaType, &["submitted"]),
    (ObjectKind::Strategy, &["calls", "answered", "failed", "call-time"]),
];

/// Kinds of objects that a figure can be asked of by name.
pub(crate) const KINDS: [ObjectKind; 8] = [
    ObjectKind::Queue,
    ObjectKind::Agent,
    ObjectKind::AgentGroup,
    ObjectKind::Place,
    ObjectKind::PlaceGroup,
    ObjectKind::MediaType,
    ObjectKind::Workflow,
    ObjectKind::Strategy,
];

impl FigureName {
    /// As the arguments of `statistic(…)` say.
    pub(crate) fn new(arguments: &[&str]) -> Result<Self, String> {
        let name = |text: &str| Name::new(text).map_err(|error| format!("`{}` is no name: {error}", shortened(text)));
        match arguments {
            [statistic] => Ok(Self { statistic: name(statistic)?, object: None }),
            [kind, of, statistic] => {
                let known = || KINDS.map(ObjectKind::name).join("`, `");
                let kind = KINDS.into_iter().find(|known| known.name() == *kind);
                let kind = kind.ok_or_else(|| format!("a statistic is about one of `{}`", known()))?;
                Ok(Self { statistic: name(statistic)?, object: Some((kind, name(of)?)) })
            }
            _ => Err("write `statistic('NAME')` for one that was defined, or \
                      `statistic('queue', 'QUEUE', 'waiting')` for one of an object"
                .to_owned()),
        }
    }

    /// Checks that it stands for something, in a workflow that is to be put.
    ///
    /// # Errors
    /// A sentence that names what is not there.
    pub(crate) fn check(&self, configuration: &Configuration, workflow: &Workflow) -> Result<(), String> {
        let defined = configuration.statistics.get(&self.statistic);
        if defined.is_some_and(|it| matches!(it.measure, Measure::Distribution { .. })) {
            return Err(format!("the statistic `{}` is a distribution, which has no one value", self.statistic));
        }
        let Some((kind, name)) = &self.object else {
            let missing = || format!("there is no statistic `{}`: define it first, or name another", self.statistic);
            return defined.map(drop).ok_or_else(missing);
        };
        let own_queue = |name: &Name| {
            let mut kinds = workflow.elements.iter().map(|element| &element.kind);
            kinds.any(|kind| matches!(kind, ElementKind::Queue { queue, .. } if queue == name))
        };
        let known = match kind {
            ObjectKind::Queue => configuration.queues.contains_key(name) || own_queue(name),
            ObjectKind::Agent => configuration.agents.contains_key(name),
            ObjectKind::AgentGroup => configuration.agent_groups.contains_key(name),
            ObjectKind::Place => configuration.places.contains_key(name),
            ObjectKind::PlaceGroup => configuration.place_groups.contains_key(name),
            ObjectKind::Workflow => configuration.workflows.contains_key(name) || workflow.name == *name,
            ObjectKind::Strategy => configuration.deployments.contains_key(name),
            ObjectKind::MediaType | ObjectKind::Element | ObjectKind::Account => true,
        };
        let word = kind.name().replace('-', " ");
        if !known {
            return Err(format!("there is no {word} `{name}`: put it first, or name another"));
        }
        let own = OWN.iter().find(|(of, _)| of == kind).map_or(&[] as &[&str], |(_, names)| *names);
        let of_object = defined.is_some_and(|it| it.object.kind == *kind && it.object.name.as_ref() == Some(name));
        if own.contains(&self.statistic.as_str()) || of_object {
            return Ok(());
        }
        let known = match own {
            [] => String::new(),
            own => format!(", or take one of `{}`", own.join("`, `")),
        };
        Err(format!("there is no statistic `{}` of the {word} `{name}`: define it first{known}", self.statistic))
    }
}

impl fmt::Display for FigureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            None => write!(f, "`{}`", self.statistic),
            Some((kind, name)) => write!(f, "`{}` of the {} `{name}`", self.statistic, kind.name().replace('-', " ")),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
