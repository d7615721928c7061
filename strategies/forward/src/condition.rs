//! Whether a rule's condition holds, and what its table gave.

use crate::settings::{Figure, Key, Table, When};
use signalbox_sdk::{Failure, Interaction, statistics, tables};

/// A condition that holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// What the table gave; `None` where the condition has no table.
    pub value: Option<String>,
}

/// Looks at the interaction first: a question to the server costs more. `Ok(None)` where it does not hold.
///
/// # Errors
/// `missing` where the server does not know a statistic: what cannot be measured is not within a bound.
pub fn holds(when: &When, interaction: &Interaction) -> Result<Option<Holds>, Failure> {
    if !fits(when, interaction) {
        return Ok(None);
    }
    let mut holds = Holds::default();
    if let Some(table) = &when.table {
        holds.value = lookup(table, interaction);
        if holds.value.is_none() {
            return Ok(None);
        }
    }
    for figure in &when.statistics {
        if !is_beyond(figure)? {
            return Ok(None);
        }
    }
    Ok(Some(holds))
}

fn fits(when: &When, interaction: &Interaction) -> bool {
    let relevant =
        |(name, least): (&String, &u8)| interaction.relevancy(name).is_some_and(|relevancy| relevancy >= *least);
    let has = |(key, values): (&String, &Vec<String>)| {
        interaction.user(key).is_some_and(|value| values.is_empty() || values.iter().any(|one| one == value))
    };
    let sender = interaction.sender.as_deref().unwrap_or_default();
    (when.categories.is_empty() || when.categories.iter().any(relevant))
        && when.user_data.iter().all(has)
        && (when.languages.is_empty() || when.languages.iter().any(|tag| interaction.speaks(tag)))
        && (when.media_types.is_empty() || when.media_types.contains(&interaction.media_type))
        && (when.senders.is_empty() || when.senders.iter().any(|like| is_like(sender, like)))
        && when.priority_min.is_none_or(|least| interaction.priority >= least)
}

/// Whether a text is like another, in which a first `*` stands for anything. Case is not looked at.
fn is_like(text: &str, like: &str) -> bool {
    let (text, like) = (text.as_bytes(), like.as_bytes());
    match like.iter().position(|&byte| byte == b'*') {
        None => text.eq_ignore_ascii_case(like),
        Some(star) => {
            let (head, tail) = (&like[..star], &like[star + 1..]);
            text.len() >= head.len() + tail.len()
                && text[..head.len()].eq_ignore_ascii_case(head)
                && text[text.len() - tail.len()..].eq_ignore_ascii_case(tail)
        }
    }
}

fn lookup(table: &Table, interaction: &Interaction) -> Option<String> {
    let key = match &table.key {
        Key::Sender => interaction.sender.as_deref()?.to_lowercase(),
        Key::SenderDomain => interaction.sender.as_deref()?.rsplit_once('@')?.1.to_lowercase(),
        Key::Recipient => interaction.recipient.as_deref()?.to_lowercase(),
        Key::User(key) => interaction.user(key)?.to_owned(),
    };
    tables::lookup(&table.name, &key).filter(|value| table.values.is_empty() || table.values.contains(value))
}

fn is_beyond(figure: &Figure) -> Result<bool, Failure> {
    let Figure { of, name, statistic, above, below } = figure;
    let value = statistics::value((*of).into(), name, statistic)
        .ok_or_else(|| Failure::Missing(format!("statistic `{statistic}` of `{name}`")))?;
    Ok(above.is_none_or(|bound| value > bound) && below.is_none_or(|bound| value < bound))
}
