//! Splits interactions by share, by opening hours or by an attribute.
//!
//! Invariant: the same interaction at the same element gets the same share for as long as the shares stand, on every
//! machine and in every version of the server: the hash is written out here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::calendar::Calendar;
use crate::content::Content;
use crate::id::{InteractionId, Name, UnixMillis};
use crate::workflow::DEFAULT;

/// How a segment element splits. Outcomes that it names lead where their connectors lead; the rest go by `default`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Segment {
    /// By share, as `{"share": [{"outcome": "new", "weight": 10}, {"outcome": "old", "weight": 90}]}`.
    /// An interaction always gets the same one while the shares stand.
    Share(Vec<Slice>),
    /// By opening hours, as `{"open": {"calendar": "office"}}`. Outcomes `open` and `closed`; `default` where the
    /// calendar is gone.
    Open {
        /// The calendar.
        #[schema(value_type = String)]
        calendar: Name,
    },
    /// By what is known of the interaction, as
    /// `{"attribute": {"attribute": "language", "values": [{"value": "de", "outcome": "german"}]}}`. `default` where no
    /// value fits.
    Attribute {
        /// `language`, `media_type`, `category` (the best), `sender`, `recipient`, `subject` or `user_data.KEY`.
        attribute: String,
        /// At least one; each value once.
        values: Vec<Case>,
    },
}

/// One share of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The outcome.
    #[schema(value_type = String)]
    pub outcome: Name,
    /// Its part of the sum of all weights, 1 to 1,000,000.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub weight: u32,
}

/// One value of an attribute and where it leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Compared as it stands; languages and addresses without regard to case. A language fits its regions too: `de`
    /// takes `de-AT`, where that has no case of its own.
    pub value: String,
    /// The outcome.
    #[schema(value_type = String)]
    pub outcome: Name,
}

/// Highest weight of one share.
const WEIGHT_MAX: u32 = 1_000_000;
/// Most shares or cases of one segment.
const CASES_MAX: usize = 100;
/// Attributes that stand by themselves.
const ATTRIBUTES: [&str; 6] = ["language", "media_type", "category", "sender", "recipient", "subject"];
/// Before a key of user data.
const USER_DATA: &str = "user_data.";

impl Segment {
    /// The outcome that an interaction leaves `element` by.
    #[must_use]
    pub fn choose(
        &self,
        element: &Name,
        id: InteractionId,
        content: &Content,
        calendars: &BTreeMap<Name, Arc<Calendar>>,
        now: UnixMillis,
    ) -> &str {
        match self {
            Self::Share(slices) => {
                let key: [&[u8]; 2] = [id.0.as_bytes(), element.as_str().as_bytes()];
                pick(&key, slices.iter().map(|slice| slice.weight)).map_or(DEFAULT, |i| slices[i].outcome.as_str())
            }
            Self::Open { calendar } => match calendars.get(calendar) {
                Some(calendar) if calendar.is_open(now) => "open",
                Some(_) => "closed",
                None => DEFAULT,
            },
            Self::Attribute { attribute, values } => {
                let Some(value) = value_of(attribute, content) else {
                    return DEFAULT;
                };
                let case = |fits: &dyn Fn(&str) -> bool| values.iter().find(|case| fits(&case.value));
                let found = match attribute.as_str() {
                    "language" => prefixes(value).find_map(|tag| case(&|v| v.eq_ignore_ascii_case(tag))),
                    "sender" | "recipient" => case(&|v| v.eq_ignore_ascii_case(value)),
                    _ => case(&|v| v == value),
                };
                found.map_or(DEFAULT, |case| case.outcome.as_str())
            }
        }
    }

    /// The outcomes that it names, each once, in the order of the document. `default` is not among them.
    #[must_use]
    pub fn outcomes(&self) -> Vec<&str> {
        let named: Vec<&str> = match self {
            Self::Share(slices) => slices.iter().map(|slice| slice.outcome.as_str()).collect(),
            Self::Open { .. } => vec!["open", "closed"],
            Self::Attribute { values, .. } => values.iter().map(|case| case.outcome.as_str()).collect(),
        };
        let mut seen = BTreeSet::new();
        named.into_iter().filter(|outcome| *outcome != DEFAULT && seen.insert(*outcome)).collect()
    }

    /// What is wrong with it, a sentence each; empty where nothing is.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match self {
            Self::Share(slices) => {
                if slices.is_empty() {
                    faults.push("a segment by share needs at least one share".to_owned());
                }
                let mut seen = BTreeSet::new();
                for slice in slices {
                    if !(1..=WEIGHT_MAX).contains(&slice.weight) {
                        faults.push(format!("the weight of `{}` must be 1 to {WEIGHT_MAX}", slice.outcome));
                    }
                    if !seen.insert(&slice.outcome) {
                        faults.push(format!("`{}` has two shares: add their weights up in one", slice.outcome));
                    }
                }
                faults.extend(too_many(slices.len()));
                faults.extend(reserved(slices.iter().map(|slice| &slice.outcome)));
            }
            Self::Open { .. } => {}
            Self::Attribute { attribute, values } => {
                let key = attribute.strip_prefix(USER_DATA);
                if !ATTRIBUTES.contains(&attribute.as_str()) && key.is_none_or(str::is_empty) {
                    let known = ATTRIBUTES.join("`, `");
                    faults
                        .push(format!("there is no attribute `{}`: take `{known}` or `user_data.KEY`", cut(attribute)));
                }
                if values.is_empty() {
                    faults.push("a segment by attribute needs at least one value".to_owned());
                }
                let mut seen = BTreeSet::new();
                for case in values {
                    let value = match attribute.as_str() {
                        "language" | "sender" | "recipient" => case.value.to_ascii_lowercase(),
                        _ => case.value.clone(),
                    };
                    if !seen.insert(value) {
                        faults.push(format!("the value `{}` stands twice: take one of them out", cut(&case.value)));
                    }
                }
                faults.extend(too_many(values.len()));
                faults.extend(reserved(values.iter().map(|case| &case.outcome)));
            }
        }
        faults
    }
}

fn too_many(count: usize) -> Option<String> {
    (count > CASES_MAX).then(|| format!("a segment splits into at most {CASES_MAX}; this one has {count}"))
}

/// `error` and `timeout` mean that something went wrong, and a segment cannot go wrong.
fn reserved<'a>(outcomes: impl Iterator<Item = &'a Name>) -> impl Iterator<Item = String> {
    let taken: BTreeSet<&Name> = outcomes.filter(|o| matches!(o.as_str(), "error" | "timeout")).collect();
    taken.into_iter().map(|outcome| format!("`{outcome}` is reserved for failures: take another name for the outcome"))
}

/// The first characters of a text that may be long.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// A language tag and what it falls back to, by RFC 4647, section 3.4: `zh-Hant-TW`, `zh-Hant`, `zh`.
pub(crate) fn prefixes(tag: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(tag), |tag| {
        let mut shorter = &tag[..tag.rfind('-')?];
        // A single letter or digit announces what follows it, and means nothing alone.
        while let Some(at) = shorter.rfind('-').filter(|at| shorter.len() - at == 2) {
            shorter = &shorter[..at];
        }
        Some(shorter)
    })
}

fn value_of<'a>(attribute: &str, content: &'a Content) -> Option<&'a str> {
    let Content { message, facts } = content;
    match attribute {
        "language" => facts.language.as_deref(),
        "media_type" => Some(message.media_type.as_str()),
        "category" => facts.categories.first().map(|category| category.name.as_str()),
        "sender" => message.sender.as_deref(),
        "recipient" => message.recipient.as_deref(),
        "subject" => message.subject.as_deref(),
        _ => facts.user_data.get(attribute.strip_prefix(USER_DATA)?).map(String::as_str),
    }
}

/// Which of the weights a key falls to; none where they add up to nothing. A key that fell to one weight falls to it
/// again, and when the weights change as few keys as can be change sides.
pub(crate) fn pick(hash_key: &[&[u8]], weights: impl Iterator<Item = u32> + Clone) -> Option<usize> {
    let sum: u64 = weights.clone().map(u64::from).sum();
    // The hash's place on a line as long as all weights together.
    let mut place = u64::try_from((u128::from(hash(hash_key)) * u128::from(sum)) >> 64).ok()?;
    for (i, weight) in weights.enumerate() {
        match place.checked_sub(u64::from(weight)) {
            Some(rest) => place = rest,
            None => return Some(i),
        }
    }
    None
}

/// FNV-1a of 64 bits over the parts, each preceded by its length, and then the finaliser of MurmurHash3, for the high
/// bits of FNV-1a hardly depend on the last bytes. Never change it: every share would be dealt anew.
/// <http://www.isthe.com/chongo/tech/comp/fnv/>, <https://github.com/aappleby/smhasher>.
pub(crate) fn hash(parts: &[&[u8]]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut take = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    for part in parts {
        (part.len() as u64).to_le_bytes().into_iter().for_each(&mut take);
        part.iter().copied().for_each(&mut take);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::content::{Category, Facts, Message};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn segment(json: &str) -> Segment {
        serde_json::from_str(json).unwrap()
    }

    fn id(n: u128) -> InteractionId {
        InteractionId(Uuid::from_u128(n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c4d)))
    }

    fn content(language: Option<&str>) -> Content {
        let message = Message {
            media_type: name("email"),
            subject: Some("Invoice".to_owned()),
            body: String::new(),
            sender: Some("Ana@Example.org".to_owned()),
            recipient: None,
            headers: vec![],
            submitted_at: UnixMillis(0),
        };
        let facts = Facts {
            language: language.map(str::to_owned),
            categories: vec![Category { name: "billing".to_owned(), relevancy: 80 }],
            user_data: BTreeMap::from([("tier".to_owned(), "gold".to_owned())]),
            ..Facts::default()
        };
        Content { message: Arc::new(message), facts }
    }

    fn choose(segment: &Segment, content: &Content) -> String {
        segment.choose(&name("split"), id(1), content, &BTreeMap::new(), UnixMillis(0)).to_owned()
    }

    #[test]
    fn a_share_stays_with_its_interaction() {
        let segment = segment(r#"{"share": [{"outcome": "old", "weight": 90}, {"outcome": "new", "weight": 10}]}"#);
        let content = content(None);
        let none = BTreeMap::new();
        let at =
            |n, element: &str, now| segment.choose(&name(element), id(n), &content, &none, UnixMillis(now)).to_owned();
        assert!((0..100).all(|n| at(n, "split", 0) == at(n, "split", 1)));
        assert!((0..1000).any(|n| at(n, "split", 0) != at(n, "other", 0)), "each element deals anew");
    }

    #[test]
    fn shares_come_out_as_they_are_weighed() {
        let weights = [1u32, 9, 0, 90];
        let mut counts = [0u32; 4];
        for n in 0..100_000 {
            counts[pick(&[id(n).0.as_bytes(), b"split"], weights.into_iter()).unwrap()] += 1;
        }
        assert_eq!(counts[2], 0);
        for (count, weight) in counts.into_iter().zip(weights) {
            assert!(count.abs_diff(weight * 1000) < 500, "{counts:?}");
        }
    }

    #[test]
    fn moving_a_share_moves_only_those_between() {
        let at = |n, new| pick(&[id(n).0.as_bytes()], [new, 100 - new].into_iter()).unwrap();
        assert!((0..10_000).all(|n| at(n, 10) == 1 || at(n, 20) == 0));
    }

    #[test]
    fn the_hash_never_changes() {
        let hashes = [hash(&[]), hash(&[b"signalbox"]), hash(&[b"signal", b"box"])];
        assert_eq!(
            hashes.map(|hash| format!("{hash:016x}")),
            ["efd01f60ba992926", "ce0db48d1b28b69b", "37492be8b339f73f"]
        );
    }

    #[test]
    fn no_weight_is_no_choice() {
        assert_eq!(pick(&[], [].into_iter()), None);
        assert_eq!(pick(&[b"a"], [0, 0].into_iter()), None);
        assert!(pick(&[b"a"], [u32::MAX; 100].into_iter()).is_some());
    }

    #[test]
    fn a_value_leads_to_its_outcome_and_the_rest_to_default() {
        let by = |attribute: &str, value: &str| {
            let case = Case { value: value.to_owned(), outcome: name("hit") };
            Segment::Attribute { attribute: attribute.to_owned(), values: vec![case] }
        };
        let facts = content(Some("pt-BR"));
        let table = "
            language pt             => hit
            language PT-br          => hit
            language pt-PT          => default
            language p              => default
            media_type email        => hit
            category billing        => hit
            category Billing        => default
            sender ana@example.org  => hit
            recipient x             => default
            subject Invoice         => hit
            user_data.tier gold     => hit
            user_data.tier silver   => default
            user_data.none gold     => default
        ";
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (question, answer) = line.split_once("=>").unwrap();
            let (attribute, value) = question.trim().split_once(' ').unwrap();
            assert_eq!(choose(&by(attribute, value), &facts), answer.trim(), "{line}");
        }
    }

    #[test]
    fn the_nearest_language_wins() {
        let by = segment(
            r#"{"attribute": {"attribute": "language", "values": [
                {"value": "de", "outcome": "german"}, {"value": "de-AT", "outcome": "austrian"}]}}"#,
        );
        let at = |tag| choose(&by, &content(tag));
        assert_eq!([at(Some("de-AT")), at(Some("de-CH"))], ["austrian", "german"]);
        assert_eq!([at(Some("fr")), at(None)], ["default", "default"]);
    }

    #[test]
    fn prefixes_skip_lone_letters() {
        let of = |tag| prefixes(tag).collect::<Vec<_>>();
        assert_eq!(of("zh-Hant-TW"), ["zh-Hant-TW", "zh-Hant", "zh"]);
        assert_eq!(of("en-a-bbb-x-a-ccc"), ["en-a-bbb-x-a-ccc", "en-a-bbb", "en"]);
        assert_eq!(of(""), [""]);
        assert_eq!(of("ä-ö-ü-"), ["ä-ö-ü-", "ä-ö-ü", "ä-ö", "ä"]);
    }

    #[test]
    fn opening_hours_split_and_a_calendar_that_is_gone_is_default() {
        let hours = r#"{"time_zone": "UTC", "weekly": [{"days": ["thu"], "from": "00:00", "to": "12:00"}]}"#;
        let calendars = BTreeMap::from([(name("office"), Arc::new(serde_json::from_str(hours).unwrap()))]);
        let at = |calendar: &str, ms| {
            let by = Segment::Open { calendar: name(calendar) };
            by.choose(&name("split"), id(1), &content(None), &calendars, UnixMillis(ms)).to_owned()
        };
        assert_eq!([at("office", 0), at("office", 43_200_000), at("gone", 0)], ["open", "closed", "default"]);
    }

    #[test]
    fn faults_are_sentences() {
        let table = [
            (r#"{"share": []}"#, "needs at least one share"),
            (r#"{"share": [{"outcome": "a", "weight": 0}]}"#, "the weight of `a` must be 1 to 1000000"),
            (r#"{"share": [{"outcome": "a", "weight": 1000001}]}"#, "the weight of `a` must be 1 to 1000000"),
            (r#"{"share": [{"outcome": "a", "weight": 1}, {"outcome": "a", "weight": 1}]}"#, "`a` has two shares"),
            (r#"{"share": [{"outcome": "error", "weight": 1}]}"#, "`error` is reserved"),
            (r#"{"attribute": {"attribute": "language", "values": []}}"#, "needs at least one value"),
            (
                r#"{"attribute": {"attribute": "language", "values": [
                    {"value": "de", "outcome": "a"}, {"value": "DE", "outcome": "b"}]}}"#,
                "the value `DE` stands twice",
            ),
            (
                r#"{"attribute": {"attribute": "user_data.", "values": [{"value": "", "outcome": "a"}]}}"#,
                "there is no attribute `user_data.`",
            ),
        ];
        for (json, sentence) in table {
            let faults = segment(json).check();
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].contains(sentence), "{faults:?}");
        }
        assert!(segment(r#"{"open": {"calendar": "office"}}"#).check().is_empty());
    }

    #[test]
    fn unknown_fields_are_refused() {
        let documents = [
            r#"{"open": {"calendar": "a", "zone": 1}}"#,
            r#"{"luck": {}}"#,
            r#"{"share": [{"outcome": "a", "weight": 1, "x": 1}]}"#,
        ];
        for json in documents {
            assert!(serde_json::from_str::<Segment>(json).is_err(), "{json}");
        }
    }
}
