//! Where an interaction goes: how it is written, what the server is told.

use crate::settings::{Onwards, To};
use signalbox_sdk::{Action, Destination, Target};
use std::fmt;

/// Stands for what the table gave.
pub const VALUE: &str = "{{value}}";

impl To {
    /// The outcome to leave by unless the rule has its own.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Forward(_) => "forwarded",
            Self::Redirect(_) => "redirected",
            _ => "routed",
        }
    }

    /// Whether it counts towards the limit.
    pub(crate) fn is_hop(&self) -> bool {
        matches!(self, Self::Forward(_) | Self::Redirect(_))
    }

    /// The name, address or expression alone.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Queue(text)
            | Self::Agent(text)
            | Self::AgentGroup(text)
            | Self::PlaceGroup(text)
            | Self::Skills(text)
            | Self::Forward(Onwards::Queue(text) | Onwards::Address(text) | Onwards::Url(text))
            | Self::Redirect(Onwards::Queue(text) | Onwards::Address(text) | Onwards::Url(text)) => text,
        }
    }

    /// The same place, with the table's value where it stands for it.
    pub(crate) fn with_value(&self, value: &str) -> Self {
        let text = self.text().replace(VALUE, value);
        match self {
            Self::Queue(_) => Self::Queue(text),
            Self::Agent(_) => Self::Agent(text),
            Self::AgentGroup(_) => Self::AgentGroup(text),
            Self::PlaceGroup(_) => Self::PlaceGroup(text),
            Self::Skills(_) => Self::Skills(text),
            Self::Forward(onwards) => Self::Forward(onwards.with_text(text)),
            Self::Redirect(onwards) => Self::Redirect(onwards.with_text(text)),
        }
    }

    /// Whether the server can be told so.
    pub(crate) fn check(&self) -> Result<(), String> {
        let text = self.text();
        let is_url = matches!(self, Self::Forward(Onwards::Url(_)) | Self::Redirect(Onwards::Url(_)));
        if text.trim().is_empty() {
            Err("is empty".to_owned())
        } else if is_url && !text.starts_with("https://") && !text.starts_with("http://") {
            Err(format!("`{text}` is not an http or https address"))
        } else {
            Ok(())
        }
    }

    pub(crate) fn into_action(self) -> Action {
        match self {
            Self::Queue(name) => Action::RouteTo(Target::Queue(name)),
            Self::Agent(name) => Action::RouteTo(Target::Agent(name)),
            Self::AgentGroup(name) => Action::RouteTo(Target::AgentGroup(name)),
            Self::PlaceGroup(name) => Action::RouteTo(Target::PlaceGroup(name)),
            Self::Skills(expression) => Action::RouteTo(Target::Skills(expression)),
            Self::Forward(onwards) => Action::Forward(onwards.into_destination()),
            Self::Redirect(onwards) => Action::Redirect(onwards.into_destination()),
        }
    }
}

impl Onwards {
    fn with_text(&self, text: String) -> Self {
        match self {
            Self::Queue(_) => Self::Queue(text),
            Self::Address(_) => Self::Address(text),
            Self::Url(_) => Self::Url(text),
        }
    }

    fn into_destination(self) -> Destination {
        match self {
            Self::Queue(name) => Destination::Queue(name),
            Self::Address(address) => Destination::Address(address),
            Self::Url(url) => Destination::Url(url),
        }
    }
}

/// As it stands in reasons and in the trail.
impl fmt::Display for To {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Queue(_) | Self::Forward(Onwards::Queue(_)) | Self::Redirect(Onwards::Queue(_)) => "queue",
            Self::Agent(_) => "agent",
            Self::AgentGroup(_) => "agent-group",
            Self::PlaceGroup(_) => "place-group",
            Self::Skills(_) => "skills",
            Self::Forward(Onwards::Address(_)) | Self::Redirect(Onwards::Address(_)) => "address",
            Self::Forward(Onwards::Url(_)) | Self::Redirect(Onwards::Url(_)) => "url",
        };
        write!(out, "{kind}:{}", self.text())
    }
}
