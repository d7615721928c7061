//! Sorts interactions by the words in them, lets VIPs go first, and says when the desk is full.
//!
//! `configure` makes the state and `route` only reads it: the server keeps the memory as `configure` left it, and every
//! call starts from a fresh copy.

use schemars::JsonSchema;
use serde::Deserialize;
use signalbox_sdk::statistics::{self, ObjectKind};
use signalbox_sdk::{
    Assets, Decision, Failure, Outcome, Outcomes, Request, Strategy, log, standing_outcomes, tables,
};

/// A VIP's interaction has at least this priority, of 1000.
const VIP_PRIORITY: u16 = 900;

// The types and their comments become the settings' JSON Schema, and so the designer's form.

/// What an operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Tried in order: the first rule that finds one of its words decides.
    rules: Vec<Rule>,
    /// Table from a sender's address to a VIP level. Empty: nobody is a VIP.
    #[serde(default)]
    vip_table: String,
    /// Queues to watch: while one of them is too long, whoever is not a VIP leaves by `busy`.
    #[serde(default)]
    busy: Vec<Limit>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// Whole words or phrases, found in subject or body; A to Z in either case.
    #[schemars(length(min = 1))]
    words: Vec<String>,
    /// The outcome to leave by.
    #[schemars(regex(pattern = "^[a-z0-9][a-z0-9-]{0,63}$"))]
    outcome: String,
    /// Raises the priority to this.
    #[serde(default)]
    #[schemars(range(max = 1000))]
    priority: u16,
    /// Items of user data to set.
    #[serde(default)]
    attach: Vec<Item>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Item {
    #[schemars(length(min = 1, max = 128))]
    key: String,
    value: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Limit {
    /// Name of the queue.
    queue: String,
    /// It is too long when more than so many wait in it.
    waiting: u32,
}

/// The configured strategy: the settings, with each rule's words folded once.
pub struct Triage {
    settings: Settings,
    /// For each rule, its words as [`fold`] makes them.
    words: Vec<Vec<String>>,
}

impl Strategy for Triage {
    type Settings = Settings;
    const NAME: &'static str = "{{name}}";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str =
        "Sorts by words, lets VIPs go first, and says when the desk is full.";
    const OUTCOMES: Outcomes = &[
        ("no-match", "No rule found its words."),
        ("busy", "Too many wait, and it is not from a VIP."),
    ];

    fn outcomes(&self) -> Vec<Outcome> {
        let mut outcomes = standing_outcomes::<Self>();
        for rule in &self.settings.rules {
            if outcomes.iter().all(|known| known.name != rule.outcome) {
                outcomes.push(Outcome::new(
                    &rule.outcome,
                    "A rule found one of its words.",
                ));
            }
        }
        outcomes
    }

    fn configure(settings: Settings, _: Assets) -> Result<Self, String> {
        let mut words = Vec::new();
        for (at, rule) in settings.rules.iter().enumerate() {
            let folded: Vec<_> = rule.words.iter().map(|word| fold(word)).collect();
            if let Some(empty) = folded.iter().position(|word| word == " ") {
                return Err(format!(
                    "rule {}: `{}` has neither letter nor digit",
                    at + 1,
                    rule.words[empty]
                ));
            }
            words.push(folded);
        }
        log::info(&format!("{} rules", words.len()));
        Ok(Self { settings, words })
    }

    fn route(&self, request: &Request) -> Result<Decision, Failure> {
        let interaction = &request.interaction;
        let text = fold(&format!(
            "{} {}",
            interaction.subject.as_deref().unwrap_or_default(),
            interaction.body
        ));
        if text == " " {
            return Err(Failure::Unsuitable(
                "there is no text to look for words in".into(),
            ));
        }

        let mut priority = interaction.priority;
        let (mut decision, mut reason) = match self.find(&text) {
            Some((at, word)) => {
                let rule = &self.settings.rules[at];
                priority = priority.max(rule.priority);
                let mut decision = Decision::leave_by(&rule.outcome);
                for Item { key, value } in &rule.attach {
                    decision = decision.attach(key, value);
                }
                (decision, format!("rule {} found `{word}`", at + 1))
            }
            None => (
                Decision::leave_by("no-match"),
                "no rule found its words".to_owned(),
            ),
        };

        if let Some(level) = self.vip_level(interaction.sender.as_deref()) {
            priority = priority.max(VIP_PRIORITY);
            reason += &format!("; VIP: {level}");
            decision = decision.attach("vip", level);
        } else if let Some((limit, waiting)) = self.too_long() {
            decision.outcome = "busy".into();
            reason += &format!(
                "; {waiting} wait in `{}`, more than {}",
                limit.queue, limit.waiting
            );
        }
        if priority > interaction.priority {
            decision = decision.priority(priority);
        }
        Ok(decision.because(reason))
    }
}

impl Triage {
    /// The first rule that finds one of its words in a folded text, and that word as the operator wrote it.
    fn find(&self, text: &str) -> Option<(usize, &str)> {
        self.words.iter().enumerate().find_map(|(rule, words)| {
            let word = words.iter().position(|word| text.contains(word.as_str()))?;
            Some((rule, self.settings.rules[rule].words[word].as_str()))
        })
    }

    fn vip_level(&self, sender: Option<&str>) -> Option<String> {
        let table = &self.settings.vip_table;
        if table.is_empty() {
            return None;
        }
        let Some(sender) = sender else {
            log::warn(&format!(
                "nobody to look up in the table `{table}`: the sender is not known"
            ));
            return None;
        };
        tables::lookup(table, sender)
    }

    /// The first queue that is too long, and how many wait in it.
    fn too_long(&self) -> Option<(&Limit, u64)> {
        self.settings.busy.iter().find_map(|limit| {
            // Unknown until something has happened in the queue.
            let waiting =
                statistics::value(ObjectKind::Queue, &limit.queue, "waiting").unwrap_or(0.0) as u64;
            (waiting > u64::from(limit.waiting)).then_some((limit, waiting))
        })
    }
}

/// The words of a text in lower case, each between two spaces: whole words and phrases are then found as plain text.
/// What is not ASCII counts as a letter and stays as it is.
fn fold(text: &str) -> String {
    let words = text
        .split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let mut folded = String::from(" ");
    for word in words {
        folded.push_str(word);
        folded.push(' ');
    }
    folded.make_ascii_lowercase();
    folded
}

signalbox_sdk::export!(Triage);
