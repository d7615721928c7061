//! Why a command failed: what happened, where, and what to do; and the exit code that tells scripts which kind it was.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

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
    /// What to do now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Error {
    /// Something failed here.
    pub fn new(what: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, code: None, what: what.into(), at: Vec::new(), fix: None }
    }

    /// Arguments that each are right and do not go together.
    pub fn usage(what: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(what) }
    }

    /// The server refused.
    pub fn refused(what: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, ..Self::new(what) }
    }

    /// The server cannot be reached, or failed itself.
    pub fn unreachable(what: impl Into<String>) -> Self {
        Self { exit: Exit::Unreachable, ..Self::new(what) }
    }

    /// A file could not be read or written.
    pub fn file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        let fix = match error.kind() {
            std::io::ErrorKind::NotFound => Some("check the path"),
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
