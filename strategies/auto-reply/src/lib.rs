//! Auto-reply: acknowledges or answers with the account's standard responses, by rules in order.
//!
//! The first rule that applies sends. It leaves by what went out: `acknowledged`, `responded`, `not-replied` where no
//! rule applies or a reply has gone out already, and `automatic` where a machine sent it, which is never answered.
//! An interaction gets at most one acknowledgement and at most one answer.
//!
//! ```json
#![doc = include_str!("../settings.example.json")]
//! ```
//!
//! A response or calendar that a rule relies on and that is not there is a failure, not a silence.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod automatic;
mod settings;
#[cfg(test)]
mod tests;

pub use settings::{Door, Hours, Rule, Send, Settings, When};

use signalbox_sdk::{
    Assets, Decision, Entry, Failure, Interaction, Outcomes, Reply, Request, Strategy, UnixMillis, calendars, limits,
    responses,
};
use std::collections::BTreeSet;

/// Most rules.
const RULES_MAX: usize = 200;
/// User data that says which answer went out.
const RESPONDED: &str = "auto-reply.responded";

/// The strategy: its rules are all that it has.
pub struct AutoReply(Vec<Rule>);

impl Strategy for AutoReply {
    type Settings = Settings;
    const NAME: &'static str = "auto-reply";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str =
        "Acknowledges or answers with standard responses, by category, language, medium and opening hours.";
    const OUTCOMES: Outcomes = &[
        ("acknowledged", "A receipt goes out."),
        ("responded", "An answer goes out."),
        ("not-replied", "No rule applies, or a reply has gone out already."),
        ("automatic", "A machine sent it: it is never answered."),
    ];

    fn configure(settings: Settings, _: Assets) -> Result<Self, String> {
        let rules = settings.rules;
        if rules.is_empty() || rules.len() > RULES_MAX {
            return Err(format!("rules: there are {}, and 1 to {RULES_MAX} are allowed", rules.len()));
        }
        let mut names = BTreeSet::new();
        for (index, rule) in rules.iter().enumerate() {
            check(rule).map_err(|why| format!("rule `{}` (rules[{index}]): {why}", rule.name))?;
            if !names.insert(&rule.name) {
                return Err(format!("rule `{}` (rules[{index}]): name: another rule has it already", rule.name));
            }
        }
        Ok(Self(rules))
    }

    fn route(&self, request: &Request) -> Result<Decision, Failure> {
        let interaction = &request.interaction;
        if let Some(sign) = automatic::sign(interaction) {
            return Ok(Decision::leave_by("automatic").because(limits::cut(&sign, limits::REASON_BYTES_MAX)));
        }
        let mut replied_already = false;
        for rule in &self.0 {
            if !rule.when.holds(request)? {
                continue;
            }
            if rule.send.is_still_to_go(interaction) {
                return rule.reply(request);
            }
            replied_already = true;
        }
        let why = if replied_already { "a reply has gone out already" } else { "no rule applies" };
        Ok(Decision::leave_by("not-replied").because(why))
    }
}

signalbox_sdk::export!(AutoReply);

impl Send {
    fn is_still_to_go(self, interaction: &Interaction) -> bool {
        match self {
            Self::Acknowledgement | Self::Response => !interaction.answered,
            Self::ResponseAfterAcknowledgement => interaction.user(RESPONDED).is_none(),
        }
    }
}

impl When {
    /// What costs a question to the server comes last.
    fn holds(&self, request: &Request) -> Result<bool, Failure> {
        let interaction = &request.interaction;
        let relevant =
            |(name, least): (&String, &u8)| interaction.relevancy(name).is_some_and(|relevancy| relevancy >= *least);
        if !(self.categories.is_empty() || self.categories.iter().any(relevant))
            || !(self.languages.is_empty() || self.languages.iter().any(|tag| interaction.speaks(tag)))
            || !(self.media_types.is_empty() || self.media_types.contains(&interaction.media_type))
        {
            return Ok(false);
        }
        let Some(hours) = &self.hours else {
            return Ok(true);
        };
        let open = calendars::is_open(&hours.calendar, request.now)
            .ok_or_else(|| Failure::Missing(format!("calendar `{}`", hours.calendar)))?;
        Ok(open == (hours.is == Door::Open))
    }
}

impl Rule {
    fn reply(&self, request: &Request) -> Result<Decision, Failure> {
        let mut fields: Vec<Entry> = self.fields.iter().map(|(key, value)| Entry::new(key, value)).collect();
        if let Some(Hours { calendar, next_opening_as: Some(field), .. }) = &self.when.hours {
            let opening = calendars::next_opening(calendar, request.now)
                .ok_or_else(|| Failure::Missing(format!("next opening of calendar `{calendar}`")))?;
            fields.push(Entry::new(field, utc(opening)));
            let hours = opening.saturating_sub(request.now).div_ceil(3_600_000);
            fields.push(Entry::new(format!("{field}.hours"), hours.to_string()));
        }
        let language = request.interaction.language.as_deref();
        if responses::render(&self.response, language, &fields).is_none() {
            return Err(Failure::Missing(format!("response `{}` of rule `{}`", self.response, self.name)));
        }
        let reply = Reply::standard_with(&self.response, fields);
        let decision = match self.send {
            Send::Acknowledgement => Decision::leave_by("acknowledged").acknowledge(reply),
            Send::Response | Send::ResponseAfterAcknowledgement => {
                Decision::leave_by("responded").respond(reply).attach(RESPONDED, &self.response)
            }
        };
        Ok(decision.because(format!("rule `{}` sends `{}`", self.name, self.response)))
    }
}

fn check(rule: &Rule) -> Result<(), String> {
    limits::check_key(&rule.name).map_err(|why| format!("name: {why}"))?;
    limits::check_key(&rule.response).map_err(|why| format!("response: {why}"))?;
    for (key, value) in &rule.fields {
        limits::check_key(key).map_err(|why| format!("fields: {why}"))?;
        if value.len() > limits::VALUE_BYTES_MAX {
            return Err(format!(
                "fields.{key}: {} bytes, and at most {} are allowed",
                value.len(),
                limits::VALUE_BYTES_MAX
            ));
        }
    }
    for (name, relevancy) in &rule.when.categories {
        limits::check_key(name).map_err(|why| format!("when.categories: {why}"))?;
        if *relevancy > limits::RELEVANCY_MAX {
            return Err(format!(
                "when.categories.{name}: {relevancy}, and at most {} is allowed",
                limits::RELEVANCY_MAX
            ));
        }
    }
    let Some(hours) = &rule.when.hours else {
        return Ok(());
    };
    limits::check_key(&hours.calendar).map_err(|why| format!("when.hours.calendar: {why}"))?;
    // Room for `.hours` behind it.
    let field = hours.next_opening_as.as_ref().map_or(Ok(()), |field| {
        if field.is_empty() { limits::check_key(field) } else { limits::check_key(&format!("{field}.hours")) }
    });
    field.map_err(|why| format!("when.hours.next_opening_as: {why}"))
}

/// A moment to the minute, such as `2026-03-02 08:00 UTC`.
///
/// The date is counted as in Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`: the year begins
/// in March, so that the leap day is its last.
fn utc(at: UnixMillis) -> String {
    let minutes = at / 60_000;
    let (days, minute) = (minutes / 1440 + 719_468, minutes % 1440);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}
