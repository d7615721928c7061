//! The places that an interaction was sent on to, kept in its user data: a place that comes again is a loop.

use signalbox_sdk::{Interaction, limits};

/// User data that holds the trail.
pub const KEY: &str = "forward.trail";

const SEPARATOR: &str = " > ";

/// Whether it was sent there before.
pub fn has(interaction: &Interaction, place: &str) -> bool {
    interaction.user(KEY).is_some_and(|trail| trail.split(SEPARATOR).any(|passed| passed == place))
}

/// The trail with one more place. The oldest places go where it would grow past what user data may hold.
pub fn with(interaction: &Interaction, place: &str) -> String {
    let mut trail = match interaction.user(KEY) {
        Some(trail) if !trail.is_empty() => format!("{trail}{SEPARATOR}{place}"),
        _ => place.to_owned(),
    };
    while trail.len() > limits::VALUE_BYTES_MAX {
        match trail.split_once(SEPARATOR) {
            Some((_, later)) => trail = later.to_owned(),
            None => trail = limits::cut(&trail, limits::VALUE_BYTES_MAX).to_owned(),
        }
    }
    trail
}
