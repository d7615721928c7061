//! A strategy that misbehaves as it is told to: in `configure` and `describe` by its settings, in `route` by the
//! interaction's body. It uses the bindings directly, for the SDK keeps an author from most of this.
//! Off Wasm there is nothing of it.
#![cfg(target_family = "wasm")]

#[allow(missing_docs, reason = "the documentation is in the WIT package")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "strategy" });
    use super::Hostile;
    export!(Hostile);
}

use std::cell::RefCell;
use std::hint::black_box;

use bindings::Guest;
use bindings::signalbox::strategy::types::{
    Action, Asset, AssetNeed, Category, Decision, Destination, Entry, Failure, Manifest, Outcome, Reply, Request,
    Skill, StandardReply, Target, TextReply,
};
use bindings::signalbox::strategy::{calendars, clocks, log, responses, statistics, tables};

struct Hostile;

thread_local! {
    static SETTINGS: RefCell<String> = const { RefCell::new(String::new()) };
    static COUNT: RefCell<u32> = const { RefCell::new(0) };
}

impl Guest for Hostile {
    fn describe() -> Manifest {
        let settings = SETTINGS.with_borrow(|settings| ordered(settings).to_owned());
        let mut name = String::from("hostile");
        let outcome = |name: &str| Outcome { name: name.into(), description: String::new() };
        let mut outcomes = vec![outcome("ok")];
        match settings.as_str() {
            r#""describe: no outcome""# => outcomes.clear(),
            r#""describe: outcome twice""# => outcomes.push(outcome("ok")),
            r#""describe: bad outcome""# => outcomes.push(outcome("Not OK")),
            r#""describe: loop""# => forever(),
            r#""describe: one more""# => outcomes.push(outcome("more")),
            r#""describe: another's name""# => name = "../screening".into(),
            r#""describe: a million outcomes""# => outcomes = vec![outcome("ok"); 1_000_000],
            r#""describe: a name of 1 MB""# => name = "x".repeat(1 << 20),
            _ => {}
        }
        Manifest {
            name,
            version: "1.0.0".into(),
            description: "Misbehaves.".into(),
            outcomes,
            settings_schema: r#"{"type": ["string", "object"], "properties": {"deep": {"type": "object", "properties": {"n": {"type": "integer"}}}}}"#.into(),
            assets: vec![
                AssetNeed { name: "words".into(), description: "Words.".into(), required: false },
            ],
        }
    }

    fn configure(settings: String, assets: Vec<Asset>) -> Result<(), String> {
        match ordered(&settings) {
            r#""refuse""# => return Err("rule 3 has no pattern".into()),
            r#""trap""# => std::process::abort(),
            r#""loop""# => forever(),
            r#""memory""# => allocate(),
            r#""lookup""# => {
                tables::lookup("vip", "ana");
            }
            r#""log""# => log::write(log::Level::Info, "configured"),
            order if order.starts_with(r#""nest "#) => {
                let n = order.trim_matches('"').trim_start_matches("nest ").parse().unwrap_or(0);
                black_box(nest(n, [1, 2, 3, 5, 7, 11, 13, 17]));
            }
            _ => {}
        }
        COUNT.set(u32::try_from(assets.iter().map(|asset| asset.content.len()).sum::<usize>()).unwrap_or(0));
        SETTINGS.set(settings);
        Ok(())
    }

    fn route(request: Request) -> Result<Decision, Failure> {
        let body = request.interaction.body.as_str();
        let (order, argument) = body.split_once(' ').unwrap_or((body, ""));
        let n = argument.parse::<usize>().unwrap_or(0);
        let mut reason = String::new();
        let mut outcome = "ok";
        let mut actions = Vec::new();
        match order {
            "trap" => core::arch::wasm32::unreachable(),
            "chance" if request.interaction.id.ends_with(['0', '1', '2']) => core::arch::wasm32::unreachable(),
            "spin" => {
                for i in 0..n {
                    black_box(i);
                }
            }
            "route-to" => actions.push(Action::RouteTo(Target::Queue(argument.into()))),
            "string" => match argument.split_once(' ') {
                Some((field, n)) => actions.push(long(field, &"x".repeat(n.parse().unwrap_or(0)))),
                None => reason = "which?".into(),
            },
            "panic" => panic!("{argument}"),
            "sdk-panic" => {
                log::write(log::Level::Error, &format!("panicked at src/lib.rs:7: {argument}"));
                core::arch::wasm32::unreachable()
            }
            "loop" => forever(),
            "memory" => allocate(),
            "recurse" => reason = recurse(1).to_string(),
            "nest" => reason = nest(argument.parse().unwrap_or(0), [1, 2, 3, 5, 7, 11, 13, 17]).to_string(),
            "stack" => reason = stack(1).to_string(),
            "outcome" => outcome = "nowhere",
            "reason" => reason = "x".repeat(n),
            "actions" => actions = (0..n).map(|_| Action::SetPriority(1)).collect(),
            "priority" => actions.push(Action::SetPriority(u16::try_from(n).unwrap_or(u16::MAX))),
            "relevancy" => actions.push(Action::Categorize(Category {
                name: "spam".into(),
                relevancy: u8::try_from(n).unwrap_or(u8::MAX),
            })),
            "replies" => {
                let body = "x".repeat(60_000);
                let reply = |_| Action::Respond(Reply::Text(TextReply { subject: None, body: body.clone() }));
                actions = (0..n).map(reply).collect();
            }
            "log" => (0..n).for_each(|i| log::write(log::Level::Info, &format!("line {i} {}", "x".repeat(100)))),
            "long-log" => log::write(log::Level::Info, &"x".repeat(n)),
            "statistics" => {
                for _ in 0..n {
                    black_box(statistics::value(statistics::ObjectKind::Queue, "billing", "waiting"));
                }
            }
            "empty-fields" => {
                let fields = vec![Entry { key: String::new(), value: String::new() }; n];
                for _ in 0..1000 {
                    black_box(responses::render("hello", None, &fields));
                }
            }
            "long-question" => reason = tables::lookup(&"x".repeat(n), "key").unwrap_or_default(),
            "questions" => reason = questions(&request),
            "clocks" => reason = clock(request.now),
            "lookup" => reason = format!("{:?}", tables::lookup(argument, "ana@example.com")),
            "waiting" => {
                let waiting = statistics::value(statistics::ObjectKind::Queue, argument, "waiting");
                reason = format!("{waiting:?}");
            }
            "forward" => actions.push(Action::Forward(Destination::Queue(argument.into()))),
            "unsuitable" => return Err(Failure::Unsuitable(argument.into())),
            "missing" => return Err(Failure::Missing(argument.into())),
            "settings" => reason = SETTINGS.with_borrow(String::clone),
            "assets" => reason = COUNT.with_borrow(u32::to_string),
            "count" => {
                COUNT.with_borrow_mut(|count| *count += 1);
                reason = COUNT.with_borrow(u32::to_string);
            }
            "echo" => {
                let interaction = &request.interaction;
                reason = format!(
                    "{} {} {:?} {:?} {:?} {} {} {} {} {} {} {}",
                    interaction.id,
                    interaction.media_type,
                    interaction.subject,
                    interaction.sender,
                    interaction
                        .headers
                        .iter()
                        .map(|entry| format!("{}={}", entry.key, entry.value))
                        .collect::<Vec<_>>(),
                    interaction
                        .user_data
                        .iter()
                        .map(|entry| format!("{}={}", entry.key, entry.value))
                        .collect::<String>(),
                    interaction.categories.iter().map(|it| format!("{}:{}", it.name, it.relevancy)).collect::<String>(),
                    interaction.priority,
                    request.workflow,
                    request.element,
                    request.visit,
                    request.now,
                );
            }
            _ => {}
        }
        Ok(Decision { outcome: outcome.into(), actions, reason })
    }
}

/// What settings order: `"…"`, or `{"do":"…"}`, for over HTTP they are an object.
fn ordered(settings: &str) -> &str {
    settings.strip_prefix(r#"{"do":"#).and_then(|rest| rest.strip_suffix('}')).unwrap_or(settings)
}

/// An action with a text in the field that is named.
fn long(field: &str, text: &str) -> Action {
    let text = text.to_owned();
    match field {
        "key" => Action::Attach(Entry { key: text, value: "v".into() }),
        "value" => Action::Attach(Entry { key: "k".into(), value: text }),
        "category" => Action::Categorize(Category { name: text, relevancy: 1 }),
        "language" => Action::SetLanguage(text),
        "skill" => Action::RequireSkill(Skill { name: text, level: 1 }),
        "skills" => Action::RouteTo(Target::Skills(text)),
        "agent" => Action::RouteTo(Target::Agent(text)),
        "response" => Action::Acknowledge(Reply::Standard(StandardReply { name: text, fields: Vec::new() })),
        "subject" => Action::Respond(Reply::Text(TextReply { subject: Some(text), body: "b".into() })),
        "reply" => Action::Respond(Reply::Text(TextReply { subject: None, body: text })),
        "address" => Action::Forward(Destination::Address(text)),
        "url" => Action::Forward(Destination::Url(text)),
        _ => Action::End(text),
    }
}

/// What the office's clock shows, and what one that is not there does.
fn clock(now: u64) -> String {
    let closes_at = clocks::closes_at("office", now);
    let shown = clocks::read("office", now).map_or_else(String::new, |reading| {
        let clocks::Reading { year, month, day, weekday, hour, minute, time_zone, offset_minutes } = reading;
        format!("{year}-{month}-{day} {weekday:?} {hour}:{minute} {time_zone} {offset_minutes:+}")
    });
    let nowhere = (clocks::read("nowhere", now).map(|reading| reading.day), clocks::closes_at("nowhere", now));
    format!("{shown}, closes {closes_at:?}; {:?} {:?}", nowhere.0, nowhere.1)
}

/// Asks everything that can be asked, and tells the answers.
fn questions(request: &Request) -> String {
    let field = Entry { key: "name".into(), value: "Ana".into() };
    let rendered = responses::render("hello", Some("pt-BR"), &[field]);
    format!(
        "{:?} {:?} {:?} {:?} {:?}",
        statistics::value(statistics::ObjectKind::AgentGroup, "sales", "ewt"),
        tables::lookup("vip", "ana"),
        calendars::is_open("office", request.now),
        calendars::next_opening("office", request.now),
        rendered.map(|rendered| (rendered.subject, rendered.body)),
    )
}

fn forever() -> ! {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

fn allocate() {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Fills the stack that the compiler keeps in linear memory before the one of calls.
#[allow(unconditional_recursion, reason = "that is the point")]
fn stack(n: u64) -> u64 {
    let block = black_box([n; 256]);
    black_box(stack(black_box(n) + 1)) + block[255]
}

#[allow(unconditional_recursion, reason = "that is the point")]
fn recurse(n: u64) -> u64 {
    black_box(recurse(black_box(n) + 1)) + 1
}

/// Calls itself so often, and keeps as much meanwhile as an interpreter does.
fn nest(n: u64, [a, b, c, d, e, f, g, h]: [u64; 8]) -> u64 {
    if n == 0 {
        return a;
    }
    let below = nested(n - 1, b ^ n, c ^ a, d ^ b, e ^ c, f ^ d, g ^ e, h ^ f, a ^ g);
    (below ^ a).wrapping_mul(b | 1) ^ c.rotate_left(5) ^ d.wrapping_add(e) ^ f.wrapping_mul(g) ^ h
}

#[inline(never)]
#[allow(clippy::too_many_arguments, reason = "an array would lie in linear memory")]
fn nested(n: u64, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, g: u64, h: u64) -> u64 {
    nest(n, [a, b, c, d, e, f, g, h])
}
