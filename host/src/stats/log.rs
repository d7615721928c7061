//! What a deployment's calls logged of late.

use std::collections::VecDeque;

use signalbox_engine::{CallId, InteractionId, UnixMillis};

/// Lines that are kept of each deployment.
const LINES_MAX: usize = 500;

/// Bytes of their messages.
const BYTES_MAX: usize = 256 << 10;

/// A line that a strategy logged, and the call that it came from.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct LogLine {
    /// When the call's answer was committed.
    #[schema(value_type = u64)]
    pub at_ms: UnixMillis,
    /// The interaction.
    #[schema(value_type = String)]
    pub interaction: InteractionId,
    /// The call.
    #[schema(value_type = u64)]
    pub call: CallId,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The line.
    pub message: String,
}

/// The newest lines of a deployment.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: VecDeque<LogLine>,
    /// Of all messages.
    bytes: usize,
}

impl Log {
    /// Adds lines in the place of the oldest, where there is no room.
    pub(super) fn extend(&mut self, lines: Vec<LogLine>) {
        self.bytes += lines.iter().map(|line| line.message.len()).sum::<usize>();
        self.lines.extend(lines);
        while self.lines.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.message.len();
        }
    }

    /// The newest, the oldest of them first.
    pub(super) fn newest(&self, limit: usize) -> Vec<LogLine> {
        self.lines.range(self.lines.len().saturating_sub(limit)..).cloned().collect()
    }
}
