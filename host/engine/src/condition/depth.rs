//! Refuses what the parser would go too deep for, before it is asked: parser and interpreter are recursive, and a stack that
//! overflows takes the whole server with it.
//!
//! Reads the text as CEL's lexer does, as far as that matters here, and counts, over all brackets that are open, the
//! operators that may come to stand in each other. `&&`, `||` and `,` begin anew, for the parser balances or lists what they
//! join. A text in quotes that the lexer would not take is refused here: what it goes on with then is anyone's guess.

use super::{ConditionError, cut, place};

/// Most brackets, operators and dots in each other.
const DEPTH_MAX: usize = 100;

/// What is open at one place.
#[derive(Default)]
struct Level {
    /// Operators since the last `&&`, `||` or `,`.
    chain: usize,
    /// `?` since the last `,`.
    choices: usize,
}

/// # Errors
/// [`ConditionError::TooDeep`]; [`ConditionError::Refused`] for a text in quotes that is not closed or not right.
pub(super) fn check(source: &str) -> Result<(), ConditionError> {
    let mut outer: Vec<Level> = Vec::new();
    let mut here = Level::default();
    // Of all levels together.
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        let mut taken = c.len_utf8();
        match c {
            '"' | '\'' => taken = quoted(source, at, false)?,
            '`' => {
                return Err(refuse(
                    source,
                    at,
                    "names in back-quotes are not known here: put the name in quotes, as in \
                     `interaction.user_data['a-b']` or `skill('a-b')`",
                ));
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let word = word(rest);
                taken = word.len();
                if rest[taken..].starts_with(['"', '\'']) {
                    taken += quoted(source, at + taken, matches!(word, "r" | "R" | "br" | "bR" | "Br" | "BR"))?;
                } else if word == "in" {
                    depth += 1;
                    here.chain += 1;
                }
            }
            c if c.is_ascii_digit() => {
                taken = word(rest).len();
                if rest[taken..].starts_with(['"', '\'']) {
                    return Err(refuse(source, at, "an operator is missing between the number and the text"));
                }
            }
            '/' if rest.starts_with("//") => taken = rest.find('\n').unwrap_or(rest.len()),
            '&' | '|' if rest.starts_with("&&") || rest.starts_with("||") => {
                taken = 2;
                depth -= here.chain;
                here.chain = 0;
            }
            ',' => {
                depth -= here.chain + here.choices;
                here = Level::default();
            }
            '(' | '[' | '{' => {
                depth += 1;
                outer.push(std::mem::take(&mut here));
            }
            ')' | ']' | '}' => {
                // What was closed is one more step of the chain that it stands in, as in `a[0][0]`.
                if let Some(mut level) = outer.pop() {
                    depth -= here.chain + here.choices;
                    level.chain += 1;
                    here = level;
                }
            }
            '?' => {
                depth += 1;
                here.choices += 1;
            }
            '!' | '<' | '>' | '=' if rest[1..].starts_with('=') => {
                taken = 2;
                depth += 1;
                here.chain += 1;
            }
            '=' => {
                return Err(refuse(source, at, "`=` alone means nothing here: write `==` to compare"));
            }
            '&' | '|' => {
                let message = format!("`{c}` alone means nothing here: write `{c}{c}`");
                return Err(refuse(source, at, message));
            }
            '+' | '-' | '*' | '/' | '%' | '.' | '!' | '<' | '>' => {
                depth += 1;
                here.chain += 1;
            }
            _ => {}
        }
        if depth > DEPTH_MAX {
            let message = format!("the expression is nested too deep, at most {DEPTH_MAX}: split it in two");
            return Err(refuse(source, at, message));
        }
        at += taken;
    }
    Ok(())
}

/// Letters, digits and `_` that a text begins with.
fn word(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())]
}

/// Bytes of the text in quotes that begins at `at`. The lexer's rules: <https://github.com/google/cel-spec>, `langdef.md`.
fn quoted(source: &str, at: usize, raw: bool) -> Result<usize, ConditionError> {
    let text = &source[at..];
    let triple = text.starts_with("\"\"\"") || text.starts_with("'''");
    let close = &text[..if triple { 3 } else { 1 }];
    let mut end = close.len();
    loop {
        let rest = &text[end..];
        if rest.starts_with(close) {
            return Ok(end + close.len());
        }
        let fault = |message: &str| Err(refuse(source, at + end, message));
        match rest.chars().next() {
            None => {
                return Err(refuse(source, at, "this text is never closed with another quote"));
            }
            Some('\n' | '\r') if !triple => {
                return fault("a text in quotes ends on its own line: write a line break as `\\n`");
            }
            Some('\\') if !raw => match escape(&rest[1..]) {
                Some(bytes) => end += 1 + bytes,
                None => {
                    return fault(&format!(
                        "`{}` is no escape: write a backslash as `\\\\`",
                        cut(&rest.chars().take(2).collect::<String>())
                    ));
                }
            },
            Some(c) => end += c.len_utf8(),
        }
    }
}

/// Bytes of an escape after its backslash.
fn escape(text: &str) -> Option<usize> {
    let digits = |count: usize, radix: u32| {
        let digits = text.get(1..=count)?;
        digits.chars().all(|c| c.is_digit(radix)).then_some(1 + count)
    };
    match text.chars().next()? {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`' => Some(1),
        '0'..='3' => digits(2, 8),
        'x' | 'X' => digits(2, 16),
        'u' => digits(4, 16),
        'U' => digits(8, 16),
        _ => None,
    }
}

fn refuse(source: &str, at: usize, message: impl Into<String>) -> ConditionError {
    let (line, column) = place(source, source[..at].chars().count());
    ConditionError::Refused { line, column, message: message.into() }
}
