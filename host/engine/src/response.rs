//! Standard responses: approved texts with field codes that are filled in for one interaction.
//!
//! Plain text throughout. A value that is filled in is never read as a code again, and a subject is one line, so that
//! what a customer wrote can neither reach for other fields nor add headers to a mail.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::content::{Content, Entry};
use crate::id::{InteractionId, Name, UnixMillis};
use crate::limits::{KEY_BYTES_MAX, REPLY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::segment::prefixes;

/// A standard response.
///
/// Field codes in its texts: `{{interaction.id}}`, `{{interaction.subject}}`, `{{interaction.media_type}}`,
/// `{{interaction.sender}}`, `{{interaction.recipient}}`, `{{interaction.submitted_at}}` (RFC 3339, UTC),
/// `{{interaction.language}}`, `{{category}}` (the best), `{{user_data.KEY}}`, `{{contact.name}}` (user data
/// `contact.name`, else the sender), `{{transcript}}` (what was said, the last 48 KiB of it), `{{now}}`, and those that whoever sends it gives values for. With
/// `{{code|fallback}}` the fallback stands where the code has no value; else nothing does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// Its name within the account.
    #[schema(value_type = String)]
    pub name: Name,
    /// It is not sent before it is approved. A designer cannot approve it.
    #[serde(default)]
    pub approved: bool,
    /// It is not sent from this moment on.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    pub expires_at_ms: Option<UnixMillis>,
    /// The language that is taken where the one asked for is not there; one of those in `texts`.
    pub default_language: String,
    /// At least one; each language once.
    pub texts: Vec<ResponseText>,
}

/// A standard response in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseText {
    /// BCP 47 tag.
    pub language: String,
    /// The subject, where the medium has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Plain text.
    pub body: String,
}

/// A standard response with its field codes filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rendered {
    /// One line, at most 998 bytes.
    pub subject: Option<String>,
    /// At most 64 KiB; a longer one is cut.
    pub body: String,
}

/// Most bytes of a subject: what a line of a mail may hold (RFC 5322, section 2.1.1).
const SUBJECT_BYTES_MAX: usize = 998;
/// Most texts of one response.
const TEXTS_MAX: usize = 200;
/// Most bytes between `{{` and `}}`.
const CODE_BYTES_MAX: usize = KEY_BYTES_MAX + VALUE_BYTES_MAX;

impl Response {
    /// Its text for an interaction, in the language asked for, else in the interaction's own, else in the default.
    /// A region falls back to its language: `pt-BR`, `pt`. None where it is not approved or has expired.
    #[must_use]
    pub fn render(
        &self,
        language: Option<&str>,
        fields: &[Entry],
        id: InteractionId,
        content: &Content,
        now: UnixMillis,
    ) -> Option<Rendered> {
        if !self.approved || self.expires_at_ms.is_some_and(|expiry| expiry <= now) {
            return None;
        }
        let text = self.text(language.or(content.facts.language.as_deref()))?;
        let fill = |source: &str, bytes_max| fill(source, bytes_max, |code| value(code, fields, id, content, now));
        Some(Rendered {
            subject: text.subject.as_ref().map(|subject| one_line(&fill(subject, SUBJECT_BYTES_MAX))),
            body: fill(&text.body, REPLY_BYTES_MAX),
        })
    }

    fn text(&self, language: Option<&str>) -> Option<&ResponseText> {
        let find = |tag: &str| self.texts.iter().find(|text| text.language.eq_ignore_ascii_case(tag));
        language.and_then(|tag| prefixes(tag).find_map(find)).or_else(|| find(&self.default_language))
    }

    /// What is wrong with it, a sentence each; empty where nothing is.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.texts.is_empty() || self.texts.len() > TEXTS_MAX {
            faults.push(format!("a standard response has 1 to {TEXTS_MAX} texts"));
        }
        let tag = |text: &ResponseText| text.language.to_ascii_lowercase();
        let mut seen = std::collections::BTreeSet::new();
        for text in &self.texts {
            let at = |what: &str| format!("{what} in `{}`", text.language.chars().take(40).collect::<String>());
            if !is_tag(&text.language) {
                faults.push(format!("{}: a BCP 47 tag such as `en` or `pt-BR` is wanted", at("the language")));
            }
            if !seen.insert(tag(text)) {
                faults.push(format!("{}: each language stands once", at("the second text")));
            }
            let parts = [
                ("the subject", text.subject.as_deref(), SUBJECT_BYTES_MAX),
                ("the body", Some(&*text.body), REPLY_BYTES_MAX),
            ];
            for (part, source, bytes_max) in parts {
                let source = source.unwrap_or_default();
                if source.len() > bytes_max {
                    faults.push(format!("{}: at most {bytes_max} bytes", at(part)));
                }
                faults.extend(code_fault(source).map(|fault| format!("{}: {fault}", at(part))));
            }
        }
        if !seen.contains(&self.default_language.to_ascii_lowercase()) {
            faults.push("the default language needs a text of its own".to_owned());
        }
        faults
    }
}

/// The shape of a BCP 47 tag: parts of 1 to 8 letters and digits, the first of letters.
fn is_tag(tag: &str) -> bool {
    let part = |part: &str| matches!(part.len(), 1..=8) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    tag.len() <= 64
        && tag.split('-').all(part)
        && tag.split('-').next().is_some_and(|first| first.len() > 1 && first.bytes().all(|b| b.is_ascii_alphabetic()))
}

/// A piece of a text with field codes.
enum Piece<'a> {
    Text(&'a str),
    Code {
        code: &'a str,
        fallback: &'a str,
    },
    /// `{{` with no `}}`: stands as text.
    Unclosed(&'a str),
}

/// Splits a text at its codes.
fn pieces(source: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = source;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(inside) = rest.strip_prefix("{{") else {
            let (text, tail) = rest.split_at(rest.find("{{").unwrap_or(rest.len()));
            rest = tail;
            return Some(Piece::Text(text));
        };
        let Some(end) = inside.find("}}") else {
            return Some(Piece::Unclosed(std::mem::take(&mut rest)));
        };
        rest = &inside[end + 2..];
        let (code, fallback) = inside[..end].split_once('|').unwrap_or((&inside[..end], ""));
        Some(Piece::Code { code: code.trim(), fallback })
    })
}

fn code_fault(source: &str) -> Option<String> {
    pieces(source).find_map(|piece| match piece {
        Piece::Text(_) => None,
        Piece::Unclosed(_) => Some("a field code is opened with `{{` and never closed with `}}`".to_owned()),
        Piece::Code { code, fallback } if code.contains("{{") || fallback.contains("{{") => {
            Some("a field code stands inside another: close the first with `}}`".to_owned())
        }
        Piece::Code { code: "", .. } => Some("a field code has no name: write it as `{{contact.name}}`".to_owned()),
        Piece::Code { code, .. } if code.len() > KEY_BYTES_MAX + "user_data.".len() => {
            Some(format!("the name of a field code has at most {KEY_BYTES_MAX} bytes"))
        }
        Piece::Code { code, fallback } if code.len() + fallback.len() > CODE_BYTES_MAX => {
            Some(format!("the fallback of `{code}` has at most {VALUE_BYTES_MAX} bytes"))
        }
        Piece::Code { .. } => None,
    })
}

/// A text with each code replaced by its value, cut at a whole character.
fn fill(source: &str, bytes_max: usize, value: impl Fn(&str) -> Option<String>) -> String {
    let mut filled = String::with_capacity(source.len().min(bytes_max));
    let mut push = |text: &str| {
        let room = bytes_max - filled.len();
        let end = text.floor_char_boundary(room);
        filled.push_str(&text[..end]);
        end == text.len()
    };
    for piece in pieces(source) {
        let fits = match piece {
            Piece::Text(text) | Piece::Unclosed(text) => push(text),
            Piece::Code { code, fallback } => match value(code).filter(|value| !value.is_empty()) {
                Some(value) => push(&value),
                None => push(fallback),
            },
        };
        if !fits {
            break;
        }
    }
    filled
}

fn value(code: &str, fields: &[Entry], id: InteractionId, content: &Content, now: UnixMillis) -> Option<String> {
    if let Some(field) = fields.iter().find(|field| field.key == code) {
        return Some(field.value.clone());
    }
    let Content { message, facts } = content;
    match code {
        "interaction.id" => Some(id.to_string()),
        "interaction.subject" => message.subject.clone(),
        "interaction.media_type" => Some(message.media_type.to_string()),
        "interaction.sender" => message.sender.clone(),
        "interaction.recipient" => message.recipient.clone(),
        "interaction.submitted_at" => rfc3339(message.submitted_at),
        "interaction.language" => facts.language.clone(),
        "now" => rfc3339(now),
        "category" => facts.categories.first().map(|category| category.name.clone()),
        "contact.name" => facts.user_data.get(code).or(message.sender.as_ref()).cloned(),
        _ => facts.user_data.get(code.strip_prefix("user_data.")?).cloned(),
    }
}

fn rfc3339(at: UnixMillis) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()?;
    Some(at.to_string())
}

/// Line breaks and other control characters become spaces.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::content::{Category, Facts, Message};

    const ID: &str = "0193e1a0-0000-7000-8000-000000000001";

    fn content() -> Content {
        let message = Message {
            media_type: Name::new("email").unwrap(),
            subject: Some("Re: {{user_data.secret}}".to_owned()),
            body: String::new(),
            sender: Some("ana@example.org".to_owned()),
            recipient: None,
            headers: vec![],
            submitted_at: UnixMillis(1_763_667_000_123),
        };
        let data = [("secret", "hush"), ("tier", "gold"), ("lines", "a\r\nBcc: b")];
        let facts = Facts {
            language: Some("fr-CA".to_owned()),
            categories: vec![Category { name: "billing".to_owned(), relevancy: 90 }],
            user_data: BTreeMap::from(data.map(|(key, value)| (key.to_owned(), value.to_owned()))),
            ..Facts::default()
        };
        Content { message: Arc::new(message), facts }
    }

    fn response(texts: &[(&str, &str)]) -> Response {
        let texts = texts.iter().map(|(language, body)| ResponseText {
            language: (*language).to_owned(),
            subject: Some((*body).to_owned()),
            body: (*body).to_owned(),
        });
        Response {
            name: Name::new("ack").unwrap(),
            approved: true,
            expires_at_ms: Some(UnixMillis(1000)),
            default_language: "en".to_owned(),
            texts: texts.collect(),
        }
    }

    fn render(response: &Response, language: Option<&str>, now: u64) -> Option<Rendered> {
        let fields = [("contact.name", "Ana"), ("greeting", "Hello {{interaction.id}}")];
        let fields = fields.map(|(key, value)| Entry { key: key.to_owned(), value: value.to_owned() });
        response.render(language, &fields, ID.parse().unwrap(), &content(), UnixMillis(now))
    }

    #[test]
    fn field_codes_are_filled_in_once() {
        let table = "
            Dear {{contact.name}},                  => Dear Ana,
            {{ contact.name }}                      => Ana
            {{greeting}}!                           => Hello {{interaction.id}}!
            {{interaction.id}}                      => 0193e1a0-0000-7000-8000-000000000001
            {{interaction.subject}}                 => Re: {{user_data.secret}}
            {{interaction.media_type}}              => email
            {{interaction.sender}}                  => ana@example.org
            {{interaction.recipient|the desk}}      => the desk
            {{interaction.submitted_at}}            => 2025-11-20T19:30:00.123Z
            {{interaction.language}}                => fr-CA
            {{category}}/{{user_data.tier}}         => billing/gold
            [{{user_data.none}}]                    => []
            [{{user_data.none|a|b}}]                => [a|b]
            [{{unknown}}{{}}]                       => []
            {{user_data.tier|silver}}               => gold
            {{{user_data.tier}}}                    => }
            a { b } }} {{unclosed                   => a { b } }} {{unclosed
        ";
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (source, expected) = line.split_once("=>").unwrap();
            let rendered = render(&response(&[("en", source.trim())]), Some("en"), 0).unwrap();
            assert_eq!(rendered.body, expected.trim(), "{line}");
        }
    }

    #[test]
    fn without_a_name_the_contact_is_the_sender() {
        let response = response(&[("en", "{{contact.name}}")]);
        let rendered = response.render(None, &[], ID.parse().unwrap(), &content(), UnixMillis(0));
        assert_eq!(rendered.unwrap().body, "ana@example.org");
    }

    #[test]
    fn a_subject_stays_on_one_line() {
        let rendered = render(&response(&[("en", "{{user_data.lines}}")]), None, 0).unwrap();
        assert_eq!(rendered.subject.unwrap(), "a  Bcc: b");
        assert_eq!(rendered.body, "a\r\nBcc: b");
    }

    #[test]
    fn what_is_not_approved_or_has_expired_is_not_sent() {
        let mut response = response(&[("en", "x")]);
        assert!(render(&response, None, 999).is_some());
        assert!(render(&response, None, 1000).is_none());
        response.expires_at_ms = None;
        assert!(render(&response, None, u64::MAX).is_some());
        response.approved = false;
        assert!(render(&response, None, 0).is_none());
    }

    #[test]
    fn the_nearest_language_is_taken() {
        let response = response(&[("en", "en"), ("pt", "pt"), ("pt-BR", "pt-BR"), ("fr", "fr")]);
        let table = [("pt-br", "pt-BR"), ("pt-PT", "pt"), ("PT", "pt"), ("de-AT", "en"), ("", "en")];
        for (asked, taken) in table {
            assert_eq!(render(&response, Some(asked), 0).unwrap().body, taken, "{asked}");
        }
        assert_eq!(render(&response, None, 0).unwrap().body, "fr", "the interaction's own");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let rendered = render(&response(&[("en", &"ä".repeat(REPLY_BYTES_MAX))]), None, 0).unwrap();
        assert_eq!(rendered.body.len(), REPLY_BYTES_MAX);
        assert_eq!(rendered.subject.unwrap().len(), SUBJECT_BYTES_MAX);
    }

    #[test]
    fn faults_are_sentences() {
        let table = [
            ("{{contact.name", "the body in `en`: a field code is opened with `{{` and never closed"),
            ("{{a{{b}}", "a field code stands inside another"),
            ("{{ }}", "a field code has no name"),
            ("{{|x}}", "a field code has no name"),
        ];
        for (body, sentence) in table {
            let mut response = response(&[("en", body)]);
            response.texts[0].subject = None;
            let faults = response.check();
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].contains(sentence), "{faults:?}");
        }
        assert!(response(&[("en", "{{a}} {{b|c}} }} {"), ("pt-BR", "")]).check().is_empty());
        assert_eq!(response(&[]).check().len(), 2);
        let faults = response(&[("en", ""), ("EN", ""), ("e", ""), ("english_uk", ""), ("de-", "")]).check();
        assert_eq!(faults.len(), 4, "{faults:?}");
        let long = response(&[("en", &"x".repeat(REPLY_BYTES_MAX + 1))]).check();
        assert_eq!(long.len(), 2, "{long:?}");
        let code = format!("{{{{{}}}}}", "k".repeat(500));
        assert_eq!(response(&[("en", &code)]).check().len(), 2);
    }

    #[test]
    fn what_was_put_is_what_is_shown() {
        let json = concat!(
            r#"{"name":"ack-email","approved":true,"expires_at_ms":null,"default_language":"en","#,
            r#""texts":[{"language":"en","subject":"s","body":"b"}]}"#
        );
        let response: Response = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&response).unwrap(), json);
        let short = r#"{"name":"a","default_language":"en","texts":[]}"#;
        assert!(!serde_json::from_str::<Response>(short).unwrap().approved);
    }

    proptest! {
        #[test]
        fn any_text_renders_within_its_bound(source in r"[a{}|ä \.]{0,60}", language in ".{0,10}") {
            let response = response(&[("en", &source)]);
            let rendered = render(&response, Some(&language), 0).unwrap();
            prop_assert!(rendered.body.len() <= source.len());
            if response.check().is_empty() {
                prop_assert!(!rendered.body.contains("{{"));
            }
        }
    }
}
