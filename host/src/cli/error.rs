//! Why a command failed: what happened, where, and what to do; and the exit code that tells scripts which kind it was.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;

/// Which kind of failure, as an exit code. 0 is success, and 2 is wrong usage, which clap answers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Something here: a file, the store, a build.
    Failed = 1,
    /// Arguments that do not go together.
    Usage = 2,
    /// The server understood and refused.
    Refused = 3,
    /// The server cannot be reached, or failed itself.
    Unreachable = 4,
}

/// A failed command, in the parts that its reader needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Error {
    #[serde(skip)]
    exit: Exit,
    /// Stable, where the server gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What happened, in a sentence.
    pub what: String,
    /// The field, file or element at fault; one in a line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<String>,
    /// All faults of a workflow.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    pub faults: Box<[Fault]>,
    /// What to do now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// A fault of a workflow, as the server says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// The element; none where it is about the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
    /// Stable.
    pub code: String,
    /// In words.
    pub message: String,
}

impl Fault {
    /// All of a server's answer, which stand under `faults`.
    pub fn all_in(answer: &Value) -> Vec<Self> {
        let faults = answer.get("faults").and_then(Value::as_array).into_iter().flatten();
        let part = |fault: &Value, name: &str| fault.get(name).and_then(Value::as_str).map(str::to_owned);
        faults
            .map(|fault| Self {
                element: part(fault, "element"),
                code: part(fault, "code").unwrap_or_default(),
                message: part(fault, "message").unwrap_or_default(),
            })
            .collect()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.element.as_deref().unwrap_or("workflow"), self.message, self.code)
    }
}

impl Error {
    /// Something failed here.
    pub fn new(what: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, code: None, what: what.into(), at: Vec::new(), faults: Box::default(), fix: None }
    }

    /// Arguments that each are right and do not go together.
    pub fn usage(what: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(what) }
    }

    /// The server refused.
    pub fn refused(what: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, ..Self::new(what) }
    }

    /// Whether the server understood and refused.
    pub fn is_refusal(&self) -> bool {
        self.exit == Exit::Refused
    }

    /// The server cannot be reached, or failed itself.
    pub fn unreachable(what: impl Into<String>) -> Self {
        Self { exit: Exit::Unreachable, ..Self::new(what) }
    }

    /// A file could not be read or written.
    pub fn file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        let fix = match error.kind() {
            std::io::ErrorKind::NotFound => Some("check the path"),
            std::io::ErrorKind::AlreadyExists => Some("it is not overwritten: move it away, or name another"),
            std::io::ErrorKind::PermissionDenied => Some("check whose file it is, and run as that user"),
            _ => None,
        };
        let mut this = Self::new(format!("{} cannot be {doing}: {error}", path.display()));
        this.fix = fix.map(str::to_owned);
        this
    }

    /// Adds a line that says where.
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.at.push(place.into());
        self
    }

    /// Adds what to do.
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Adds the server's code.
    pub fn code(mut self, code: Option<String>) -> Self {
        self.code = code;
        self
    }

    /// Adds an error and all that caused it to what happened.
    pub fn because(mut self, error: &dyn std::error::Error) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors repeat their source.
            if !self.what.ends_with(&text) {
                let _ = write!(self.what, ": {text}");
            }
            cause = error.source();
        }
        self
    }

    /// Names the arguments that fields of the request were made of.
    pub fn named(mut self, arguments: &[(&str, &str)]) -> Self {
        for place in &mut self.at {
            let is = |field: &str| {
                place.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/', '[']))
            };
            if let Some((field, argument)) = arguments.iter().find(|(field, _)| is(field)) {
                *place = format!("{argument}{}", &place[field.len()..]);
            }
        }
        self
    }

    /// Says first what had been done before.
    pub fn after(mut self, done: &str) -> Self {
        self.what = format!("{done}: {}", self.what);
        self
    }

    /// Nobody answers at all.
    pub fn is_gone(&self) -> bool {
        self.exit == Exit::Unreachable && self.code.is_none()
    }

    /// Whether asking again may help: the server is full, or failed itself.
    pub fn may_pass(&self) -> bool {
        self.exit == Exit::Unreachable
    }

    /// The exit code.
    pub fn exit(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_each_other_and_none_is_said_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("inner"));
        assert_eq!(Error::new("it failed").because(&error).what, "it failed: outer: inner");
        assert_eq!(Error::new("it failed: outer").because(&error).what, "it failed: outer: inner");
    }
}
