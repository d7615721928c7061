//! What one call of a strategy saw and left behind, beside its decision: enough to run it again bit for bit.
//!
//! A call is a function of its request, its deployment and the answers it was granted. The first two are kept by whoever
//! called; the answers are here. Times and memory are measurements, and no input of anything.
//!
//! Invariant: bytes that an older server wrote can be read for ever. The first byte names the format; a variant or a
//! field is never reordered within one.

use serde::{Deserialize, Serialize};
use signalbox_engine::{ClockReading, Entry, UnixMillis};

use super::grants::{ObjectKind, RenderedText};

/// One import that was called: its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// `statistics.value`.
    Statistic {
        /// What it is about.
        kind: ObjectKind,
        /// Name of the object.
        name: String,
        /// Name of the figure.
        statistic: String,
    },
    /// `tables.lookup`.
    Lookup {
        /// Name of the table.
        table: String,
        /// The key looked up.
        key: String,
    },
    /// `calendars.is-open`.
    IsOpen {
        /// Name of the calendar.
        calendar: String,
        /// The moment asked about.
        at: UnixMillis,
    },
    /// `calendars.next-opening`.
    NextOpening {
        /// Name of the calendar.
        calendar: String,
        /// The moment from which on.
        after: UnixMillis,
    },
    /// `responses.render`.
    Render {
        /// Name of the standard response.
        name: String,
        /// The language asked for.
        language: Option<String>,
        /// Values for field codes.
        fields: Vec<Entry>,
    },
    /// `clocks.read`.
    Clock {
        /// Name of the calendar.
        calendar: String,
        /// The moment asked about.
        at: UnixMillis,
    },
    /// `clocks.closes-at`.
    ClosesAt {
        /// Name of the calendar.
        calendar: String,
        /// The moment asked about.
        at: UnixMillis,
    },
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Statistic { kind, name, statistic } => write!(f, "statistic {statistic} of {kind:?} {name}"),
            Self::Lookup { table, key } => write!(f, "key {key} of table {table}"),
            Self::IsOpen { calendar, at } => write!(f, "whether calendar {calendar} is open at {}", at.0),
            Self::NextOpening { calendar, after } => write!(f, "when calendar {calendar} opens after {}", after.0),
            Self::Render { name, .. } => write!(f, "standard response {name}"),
            Self::Clock { calendar, at } => write!(f, "the clock of calendar {calendar} at {}", at.0),
            Self::ClosesAt { calendar, at } => write!(f, "when calendar {calendar}, open at {}, closes", at.0),
        }
    }
}

/// What an import answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// A figure.
    Number(Option<f64>),
    /// A value of a table.
    Text(Option<String>),
    /// Open or not.
    Open(Option<bool>),
    /// A moment.
    Moment(Option<UnixMillis>),
    /// A standard response.
    Rendered(Option<RenderedText>),
    /// What a clock shows.
    Clock(Option<ClockReading>),
}

/// A question and its answer, in the order in which they were asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Granted {
    /// What was asked.
    pub question: Question,
    /// What was answered.
    pub answer: Answer,
}

/// How much a line of log matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For the author.
    Debug,
    /// For whoever follows one interaction.
    Info,
    /// Something is off; the decision stands.
    Warn,
    /// Something is wrong.
    Error,
}

/// A line that a strategy wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// The line.
    pub message: String,
}

/// What one call saw and left behind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Every import that was answered, in order.
    pub granted: Vec<Granted>,
    /// What the strategy logged, cut at 64 KiB.
    pub log: Vec<LogLine>,
    /// Time until the sandbox was ready, in nanoseconds.
    pub instantiate_ns: u64,
    /// Time in the strategy itself, imports included, in nanoseconds.
    pub guest_ns: u64,
    /// Linear memory that the sandbox had at the end, in bytes.
    pub memory_bytes: u64,
}

/// Format of the bytes that `encode` writes.
const FORMAT: u8 = 1;

impl Recorded {
    /// Time of the whole call in microseconds, rounded down.
    #[must_use]
    pub fn duration_us(&self) -> u64 {
        (self.instantiate_ns + self.guest_ns) / 1000
    }

    /// As bytes, a format byte first.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("a record holds only types that every format can write")
    }

    /// Reads what `encode` of this or an older server wrote.
    ///
    /// # Errors
    /// [`Unreadable`] where a newer server wrote them or they are damaged: the call cannot be run again.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|_| Unreadable::Damaged),
            Some((&format, _)) => Err(Unreadable::Format(format)),
            None => Err(Unreadable::Damaged),
        }
    }
}

/// Why the bytes of a record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A newer server wrote them.
    #[error("the record of the call has format {0}, which this server does not know")]
    Format(u8),
    /// They are cut off or damaged.
    #[error("the record of the call is damaged")]
    Damaged,
}

#[cfg(test)]
mod tests {
    use signalbox_engine::Weekday;

    use super::*;

    fn recorded() -> Recorded {
        Recorded {
            granted: vec![
                Granted {
                    question: Question::Statistic {
                        kind: ObjectKind::Queue,
                        name: "billing".into(),
                        statistic: "waiting".into(),
                    },
                    answer: Answer::Number(Some(0.1 + 0.2)),
                },
                Granted {
                    question: Question::Render { name: "hello".into(), language: Some("pt-BR".into()), fields: vec![] },
                    answer: Answer::Rendered(Some((None, "Olá".into()))),
                },
            ],
            log: vec![LogLine { level: Level::Warn, message: "no calendar".into() }],
            instantiate_ns: 1900,
            guest_ns: 11_000,
            memory_bytes: 1 << 20,
        }
    }

    #[test]
    fn a_record_comes_back_bit_for_bit() {
        assert_eq!(Recorded::decode(&recorded().encode()), Ok(recorded()));
    }

    #[test]
    fn bytes_of_the_first_format_stay_readable() {
        let golden = "01020000\
            0762696c6c696e670777616974696e67\
            0001343333333333d33f\
            040568656c6c6f010570742d425200\
            040100044f6cc3a1\
            01020b6e6f2063616c656e646172\
            ec0ef855808040";
        let bytes: Vec<u8> =
            (0..golden.len() / 2).map(|i| u8::from_str_radix(&golden[2 * i..2 * i + 2], 16).unwrap()).collect();
        assert_eq!(recorded().encode(), bytes);
    }

    #[test]
    fn answers_of_a_later_version_of_the_interface_come_back() {
        let reading = ClockReading {
            time_zone: "Europe/Berlin".into(),
            offset_minutes: -210,
            year: 2026,
            month: 10,
            day: 25,
            weekday: Weekday::Sun,
            hour: 2,
            minute: 30,
        };
        let (calendar, at) = ("office".to_owned(), UnixMillis(7));
        let granted = vec![
            Granted {
                question: Question::Clock { calendar: calendar.clone(), at },
                answer: Answer::Clock(Some(reading)),
            },
            Granted { question: Question::ClosesAt { calendar, at }, answer: Answer::Moment(Some(UnixMillis(9))) },
        ];
        let recorded = Recorded { granted, ..recorded() };
        assert_eq!(Recorded::decode(&recorded.encode()), Ok(recorded));
    }

    #[test]
    fn bytes_of_a_newer_server_are_refused_by_their_format() {
        let mut bytes = recorded().encode();
        bytes[0] = 9;
        assert_eq!(Recorded::decode(&bytes), Err(Unreadable::Format(9)));
        assert_eq!(Recorded::decode(&[]), Err(Unreadable::Damaged));
        assert_eq!(Recorded::decode(&recorded().encode()[..20]), Err(Unreadable::Damaged));
    }
}
