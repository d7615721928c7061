//! Whether a machine sent it: then nothing goes back, or two servers could answer each other for ever.
//!
//! The signs are those of RFC 3834 section 2, and what mail systems in use add to them.

use signalbox_sdk::Interaction;

/// `Precedence` of mail that was not written to one reader.
const PRECEDENCES: [&str; 5] = ["bulk", "junk", "list", "auto_reply", "auto-reply"];
/// What Exchange is asked to hold back that a reply of this strategy would be.
const SUPPRESSED: [&str; 3] = ["all", "autoreply", "oof"];
/// Headers that only machines write, whatever they say.
const MARKS: [&str; 6] =
    ["x-autoreply", "x-autorespond", "x-autoresponder", "x-loop", "x-failed-recipients", "mailing-list"];
/// Senders behind whom nobody reads, before the `@`.
const DAEMONS: [&str; 5] = ["mailer-daemon", "postmaster", "listserv", "majordomo", "list"];

/// The sign by which it is automatic, in words; `None` where a person may have sent it.
pub fn sign(interaction: &Interaction) -> Option<String> {
    for header in &interaction.headers {
        let value = header.value.trim().to_ascii_lowercase();
        // A parameter may follow: `auto-replied; owner-email=…`.
        let word = value.split([';', ' ', '(']).next().unwrap_or_default();
        let automatic = match header.key.as_str() {
            "auto-submitted" => word != "no",
            "precedence" => PRECEDENCES.contains(&word),
            "x-auto-response-suppress" => value.split(',').any(|kind| SUPPRESSED.contains(&kind.trim())),
            "return-path" => value.is_empty() || value == "<>",
            "content-type" => word == "multipart/report",
            key => key.starts_with("list-") || MARKS.contains(&key),
        };
        if automatic {
            return Some(format!("its header `{}` is `{}`", header.key, header.value.trim()));
        }
    }
    let is_mail = interaction.media_type == "email" || !interaction.headers.is_empty();
    match interaction.sender.as_deref().map(address).filter(|sender| !sender.is_empty()) {
        None if is_mail => Some("it has no sender".to_owned()),
        None => None,
        Some(sender) if is_mail && interaction.recipient.as_deref().map(address).as_ref() == Some(&sender) => {
            Some(format!("`{sender}` sent it to itself"))
        }
        Some(sender) => nobody_reads(&sender).then(|| format!("nobody reads at `{sender}`")),
    }
}

/// The bare address of `Ana <ana@example.com>`, in lower case.
fn address(text: &str) -> String {
    let inner = text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(text, |(inner, _)| inner);
    inner.trim().to_ascii_lowercase()
}

fn nobody_reads(sender: &str) -> bool {
    let Some((local, _)) = sender.split_once('@') else {
        return false;
    };
    let name = local.split('+').next().unwrap_or(local);
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    DAEMONS.contains(&name)
        || ["noreply", "donotreply"].iter().any(|nobody| letters.contains(nobody))
        || ["-bounces", "-bounce", "-owner", "-request"].iter().any(|list| name.ends_with(list))
        || ["owner-", "bounce-", "bounces-"].iter().any(|list| name.starts_with(list))
        || matches!(name, "bounce" | "bounces")
}

#[cfg(test)]
mod tests {
    use super::*;
    use signalbox_sdk::testing::{Draft, chat, email, interaction};

    #[test]
    fn what_machines_send_is_told_from_what_people_send() {
        let automatic: Vec<(Draft, bool)> = vec![
            (email(), false),
            (email().header("Auto-Submitted", "no"), false),
            (email().header("Auto-Submitted", "No (written by hand)"), false),
            (email().header("Auto-Submitted", "auto-replied"), true),
            (email().header("Auto-Submitted", "auto-generated; type=x"), true),
            (email().header("Precedence", "Bulk"), true),
            (email().header("Precedence", "list"), true),
            (email().header("Precedence", "auto_reply"), true),
            (email().header("Precedence", "first-class"), false),
            (email().header("List-Id", "<news.example.com>"), true),
            (email().header("List-Unsubscribe", "<mailto:x@example.com>"), true),
            (email().header("X-Auto-Response-Suppress", "DR, OOF, AutoReply"), true),
            (email().header("X-Auto-Response-Suppress", "All"), true),
            (email().header("X-Auto-Response-Suppress", "None"), false),
            (email().header("Return-Path", "<>"), true),
            (email().header("Return-Path", "<ana@example.com>"), false),
            (email().header("Content-Type", "multipart/report; report-type=delivery-status"), true),
            (email().header("Content-Type", "text/plain; charset=utf-8"), false),
            (email().header("X-Autoreply", "yes"), true),
            (email().sender("MAILER-DAEMON@example.com"), true),
            (email().sender("Postmaster <postmaster@example.com>"), true),
            (email().sender("no-reply@example.com"), true),
            (email().sender("no_reply+42@example.com"), true),
            (email().sender("notifications.noreply@example.com"), true),
            (email().sender("do.not.reply@example.com"), true),
            (email().sender("gardeners-bounces@example.com"), true),
            (email().sender("owner-gardeners@example.com"), true),
            (email().sender("reply@example.com"), false),
            (email().sender("norbert@example.com"), false),
            (email().sender("Support <SUPPORT@example.org>"), true),
            (email().sender(""), true),
            (email().no_sender(), true),
            (chat().no_sender(), false),
            (interaction("sms").sender("+15550100"), false),
        ];
        for (draft, expected) in automatic {
            let interaction = draft.request().interaction;
            let sign = sign(&interaction);
            assert_eq!(sign.is_some(), expected, "{sign:?} {interaction:?}");
        }
    }
}
