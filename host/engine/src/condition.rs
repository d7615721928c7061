//! Conditions: CEL expressions over an interaction, <https://cel.dev>.
//!
//! What an expression could do wrong is found when it is written, as far as that can be: unknown names and members,
//! patterns that are none, loops over things that have no known length. What is left of it when it runs is a missing key
//! of user data or a mix of types, and that is an error of the evaluation, not a panic and not `false`.
//!
//! Invariant: an expression that was accepted ends soon, on every interaction: its cost is bounded before it ever runs.
//! And it answers the same every time: maps are walked in the order of their keys.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::common::traits::{Container, Indexer, Iterable, Sizer, Zeroer};
use cel::common::types::{CelBool, CelInt, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::{Context, Env, ExecutionError, IdedExpr, ParseErrors, Program, Value};

use crate::content::Content;
use crate::id::{InteractionId, Name, UnixMillis};
use crate::limits::ENTRIES_MAX;

/// A compiled condition.
///
/// Names: `interaction`, `workflow` (its name) and `now_ms`. Members of `interaction`: the texts `id`, `media_type`,
/// `subject`, `body`, `sender`, `recipient`, `language` and `category` (the best), each `""` where there is none; the
/// maps `headers` (first value of each), `user_data`, `categories` (relevancy by name) and `skills` (level by name); the
/// numbers `priority`, `hops` and `submitted_at_ms`; and `answered`, true or false. What may be missing from a map is
/// asked for first, with `has(interaction.user_data.tier)` or `'tier' in interaction.user_data`, or taken with
/// `interaction.user_data.?tier.orValue('')`.
#[derive(Debug)]
pub struct Condition {
    program: Program,
    /// Members of `interaction` that it refers to, in the order of their names. Only these are made.
    members: BTreeSet<&'static str>,
}

/// Why a condition was refused, or gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// The text is too long.
    #[error("a condition has at most {BYTES_MAX} bytes")]
    TooLong,
    /// Parentheses, brackets or operators stand too deep in each other.
    #[error(
        "line {line}, column {column}: the expression is nested too deep, at most {DEPTH_MAX}: split it in two conditions"
    )]
    TooDeep {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
    },
    /// It is no CEL expression, or one that has no place in a condition.
    #[error("line {line}, column {column}: {message}")]
    Refused {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong and what to do.
        message: String,
    },
    /// It could run for too long.
    #[error("the condition could take too long on a large interaction: take loops or patterns out of it")]
    TooCostly,
    /// It failed on this interaction.
    #[error("the condition failed: {0}")]
    Failed(String),
    /// It gave something that is neither true nor false.
    #[error("the condition gave a value of type {0} where true or false is wanted")]
    NotBoolean(String),
}

/// Most bytes of an expression.
const BYTES_MAX: usize = 8 * 1024;
/// Most brackets, operators and dots in each other. The parser and the interpreter are recursive.
const DEPTH_MAX: usize = 100;
/// Most loops in each other.
const LOOPS_MAX: usize = 2;
/// Most bytes of a regular expression.
const PATTERN_BYTES_MAX: usize = 512;
/// Most bytes of a compiled regular expression. It is compiled anew each time.
const PATTERN_SIZE_MAX: usize = 64 * 1024;
/// Most steps of one evaluation, of about 50 ns each.
const COST_MAX: u64 = 1_000_000;
/// Steps of a text operation on a body of 1 MiB, and on anything else.
const BODY_COST: u64 = 2_000;
const TEXT_COST: u64 = 4;
/// Steps of compiling a pattern, and how much slower it reads than a search for a text.
const PATTERN_COST: u64 = 2_000;
const PATTERN_FACTOR: u64 = 4;

const INTERACTION: &str = "interaction";
const NOW: &str = "now_ms";
const WORKFLOW: &str = "workflow";

/// Members of `interaction`, and whether they can be looped over.
const MEMBERS: [(&str, bool); 16] = [
    ("answered", false),
    ("body", false),
    ("categories", true),
    ("category", false),
    ("headers", true),
    ("hops", false),
    ("id", false),
    ("language", false),
    ("media_type", false),
    ("priority", false),
    ("recipient", false),
    ("sender", false),
    ("skills", true),
    ("subject", false),
    ("submitted_at_ms", false),
    ("user_data", true),
];
/// Functions that only look at their arguments once.
const FUNCTIONS: [&str; 17] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "hasValue",
    "int",
    "matches",
    "or",
    "orValue",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
    "value",
];
/// Functions of the `optional` namespace.
const OPTIONALS: [&str; 3] = ["of", "ofNonZeroValue", "none"];
const TYPES: [&str; 10] =
    ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

impl Condition {
    /// Compiles an expression.
    ///
    /// # Errors
    /// [`ConditionError`], with the place at fault where there is one: too long, nested too deep, no CEL, an unknown name,
    /// member or function, a bad pattern, or a loop whose length or cost is not bounded.
    pub fn new(expression: &str) -> Result<Self, ConditionError> {
        if expression.len() > BYTES_MAX {
            return Err(ConditionError::TooLong);
        }
        depth_fault(expression).map_or(Ok(()), Err)?;
        let program = ENV.compile(expression).map_err(|errors| refused(&errors))?;
        let mut walk = Walk {
            source: expression,
            program: &program,
            members: BTreeSet::new(),
            scope: Vec::new(),
            text: 0,
        };
        // Once to see what it touches, and once to see what that costs.
        let longest = walk.longest_list(program.expression());
        walk.cost(program.expression())?;
        walk.text = if walk.members.contains("body") { BODY_COST } else { TEXT_COST.max(longest) };
        if walk.cost(program.expression())? > COST_MAX {
            return Err(ConditionError::TooCostly);
        }
        let members = walk.members;
        Ok(Self { program, members })
    }

    /// Whether it holds for an interaction.
    ///
    /// # Errors
    /// [`ConditionError::Failed`] where a key is missing or types do not fit, [`ConditionError::NotBoolean`] where it gave
    /// another value. The workflow goes on by `error`.
    pub fn evaluate(
        &self,
        id: InteractionId,
        workflow: &Name,
        content: &Content,
        now: UnixMillis,
    ) -> Result<bool, ConditionError> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        let members = self.members.iter().map(|member| (*member, self::member(member, id, content)));
        context.add_variable_as_val(INTERACTION, Box::new(SortedMap::new(members)));
        context.add_variable_as_val(NOW, number(now.0));
        context.add_variable_as_val(WORKFLOW, Box::new(CelString::from(workflow.as_str())));
        let answer = Value::resolve_val(self.program.expression(), &context)
            .map_err(|error| ConditionError::Failed(failure(&error)))?;
        match answer.downcast_ref::<CelBool>() {
            Some(answer) => Ok(*answer.inner()),
            None => Err(ConditionError::NotBoolean(answer.get_type().name().to_owned())),
        }
    }
}

/// One member of `interaction`. Texts are lent, not copied.
fn member<'a>(member: &str, id: InteractionId, content: &'a Content) -> Box<dyn Val + 'a> {
    let Content { message, facts } = content;
    let optional =
        |text: &'a Option<String>| -> Box<dyn Val + 'a> { text_of(text.as_deref().unwrap_or_default()) };
    match member {
        "answered" => Box::new(CelBool::from(facts.answered)),
        "body" => text_of(&message.body),
        "categories" => Box::new(SortedMap::new(
            facts.categories.iter().map(|c| (c.name.as_str(), number(u64::from(c.relevancy)))),
        )),
        "category" => text_of(facts.categories.first().map_or("", |category| &category.name)),
        // The first of equal names wins, so the last is put in first.
        "headers" => Box::new(SortedMap::new(
            message.headers.iter().rev().map(|h| (h.key.as_str(), text_of(&h.value))),
        )),
        "hops" => number(u64::from(facts.hops)),
        "id" => Box::new(CelString::from(id.to_string())),
        "language" => optional(&facts.language),
        "media_type" => text_of(message.media_type.as_str()),
        "priority" => number(u64::from(facts.priority)),
        "recipient" => optional(&message.recipient),
        "sender" => optional(&message.sender),
        "skills" => Box::new(SortedMap::new(
            facts.skills.iter().map(|s| (s.name.as_str(), number(u64::from(s.level)))),
        )),
        "subject" => optional(&message.subject),
        "submitted_at_ms" => number(message.submitted_at.0),
        "user_data" => {
            Box::new(SortedMap::new(facts.user_data.iter().map(|(k, v)| (k.as_str(), text_of(v)))))
        }
        _ => unreachable!("only members that were checked are asked for"),
    }
}

fn text_of<'a>(text: &'a str) -> Box<dyn Val + 'a> {
    Box::new(CelString::from(text))
}

/// CEL compares numbers of all kinds, but adds and subtracts only those of one; `int` is the kind that literals have.
fn number<'a>(number: u64) -> Box<dyn Val + 'a> {
    Box::new(CelInt::from(i64::try_from(number).unwrap_or(i64::MAX)))
}

/// A map with texts for keys that is walked in their order. CEL's own map is hashed, and walked in another order in every
/// process.
#[derive(Debug)]
struct SortedMap<'a> {
    keys: Vec<CelString<'a>>,
    values: Vec<Box<dyn Val + 'a>>,
}

impl<'a> SortedMap<'a> {
    /// Of equal keys the last is kept.
    fn new(entries: impl Iterator<Item = (&'a str, Box<dyn Val + 'a>)>) -> Self {
        let entries: std::collections::BTreeMap<&str, Box<dyn Val + 'a>> = entries.collect();
        let (keys, values) = entries.into_iter().map(|(key, value)| (CelString::from(key), value)).unzip();
        Self { keys, values }
    }

    fn find(&self, key: &dyn Val) -> Option<usize> {
        let key = key.downcast_ref::<CelString>()?.inner();
        self.keys.binary_search_by(|known| known.inner().cmp(key)).ok()
    }
}

impl Val for SortedMap<'_> {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        static MAP: Type = MAP_TYPE;
        &MAP
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_iterable<'b, 'w>(&'b self) -> Option<&'b (dyn Iterable + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        Some(self)
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(Self { keys: self.keys.clone(), values: self.values.clone() })
    }
}

impl Container for SortedMap<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.find(key).is_some())
    }
}

impl Indexer for SortedMap<'_> {
    fn get<'b, 'w>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        match (self.find(key), key.downcast_ref::<CelString>()) {
            (Some(at), _) => Ok(CowVal::Borrowed(&*self.values[at])),
            (None, Some(key)) => Err(ExecutionError::no_such_key(key.inner())),
            (None, None) => Err(ExecutionError::no_such_key(key.get_type().name())),
        }
    }

    fn steal<'w>(mut self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
    where
        Self: 'w,
    {
        match self.find(key) {
            Some(at) => Ok(self.values.swap_remove(at)),
            None => Err(ExecutionError::no_such_key(key.get_type().name())),
        }
    }
}

impl Iterable for SortedMap<'_> {
    fn iter<'b, 'w>(&'b self) -> Box<dyn cel::common::traits::Iterator<'b, 'w> + 'b>
    where
        Self: 'w,
    {
        Box::new(Keys(self.keys.iter()))
    }
}

impl Sizer for SortedMap<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.keys.len()).unwrap_or(i64::MAX))
    }
}

impl Zeroer for SortedMap<'_> {
    fn is_zero_value(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Keys in their order.
struct Keys<'b, 'a>(std::slice::Iter<'b, CelString<'a>>);

impl<'b, 'a: 'w, 'w> cel::common::traits::Iterator<'b, 'w> for Keys<'b, 'a> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'w)> {
        self.0.next().map(|key| key as &(dyn Val + 'w))
    }
}

/// Looks through an expression before it is ever run.
struct Walk<'e> {
    source: &'e str,
    program: &'e Program,
    /// Members of `interaction` that were met.
    members: BTreeSet<&'static str>,
    /// Variables of the loops that it is in.
    scope: Vec<&'e str>,
    /// Steps of an operation on texts or lists.
    text: u64,
}

impl<'e> Walk<'e> {
    /// Most steps that an expression can take; what has no place in a condition is refused.
    fn cost(&mut self, expression: &'e IdedExpr) -> Result<u64, ConditionError> {
        match &expression.expr {
            Expr::Literal(_) => Ok(1),
            Expr::Ident(name) => self.name(expression, name),
            Expr::Select(select) => match self.member(&select.operand, &select.field)? {
                Some(_) => Ok(1),
                None => Ok(self.cost(&select.operand)?.saturating_add(1)),
            },
            Expr::Call(call) => self.call(expression, call),
            Expr::Comprehension(comprehension) => self.comprehension(expression, comprehension),
            Expr::List(list) => self.sum(&list.elements),
            Expr::Map(_) => self.refuse(expression, "a map can only stand before `[` or after `in` here"),
            Expr::Struct(_) => {
                self.refuse(expression, "a condition has no types of its own to make values of")
            }
            Expr::Unspecified => self.refuse(expression, "this is no expression"),
        }
    }

    fn sum(&mut self, expressions: impl IntoIterator<Item = &'e IdedExpr>) -> Result<u64, ConditionError> {
        expressions.into_iter().try_fold(1u64, |sum, part| Ok(sum.saturating_add(self.cost(part)?)))
    }

    fn name(&mut self, at: &IdedExpr, name: &'e str) -> Result<u64, ConditionError> {
        let known = name.starts_with('@')
            || self.scope.contains(&name)
            || [NOW, WORKFLOW].contains(&name)
            || TYPES.contains(&name);
        if known {
            return Ok(1);
        }
        if name == INTERACTION {
            return self.refuse(at, "say which part of `interaction`, as in `interaction.language`");
        }
        self.refuse(
            at,
            format!("there is no `{}`: known are `interaction`, `now_ms` and `workflow`", cut(name)),
        )
    }

    /// The member of `interaction` that is meant by `operand.field`, where `operand` is `interaction`.
    fn member(&mut self, operand: &IdedExpr, field: &str) -> Result<Option<bool>, ConditionError> {
        if !matches!(&operand.expr, Expr::Ident(name) if name == INTERACTION) {
            return Ok(None);
        }
        match MEMBERS.iter().find(|(name, _)| *name == field) {
            Some((name, looped)) => {
                self.members.insert(name);
                Ok(Some(*looped))
            }
            None => {
                let known = MEMBERS.map(|(name, _)| name).join("`, `");
                self.refuse(operand, format!("`interaction` has no `{}`: it has `{known}`", cut(field)))
            }
        }
    }

    fn call(&mut self, at: &'e IdedExpr, call: &'e CallExpr) -> Result<u64, ConditionError> {
        let function = call.func_name.as_str();
        if let Some((operand, field)) = indexed(call) {
            if self.member(operand, field)?.is_some() {
                return Ok(2);
            }
        }
        let target = match call.target.as_deref() {
            Some(IdedExpr { expr: Expr::Ident(name), .. })
                if name == "optional" && OPTIONALS.contains(&function) =>
            {
                return self.sum(&call.args);
            }
            Some(target) => self.cost(target)?,
            None => 0,
        };
        // A map that is written out may only be looked into, for it has no order to be walked in.
        let table = match (function, call.args.as_slice()) {
            (operators::INDEX | operators::OPT_INDEX, [table, _]) | (operators::IN, [_, table]) => {
                match &table.expr {
                    Expr::Map(map) => Some((table, map)),
                    _ => None,
                }
            }
            _ => None,
        };
        let mut cost = target.saturating_add(1);
        for argument in &call.args {
            cost = cost.saturating_add(match table {
                Some((table, map)) if std::ptr::eq(table, argument) => {
                    let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                        EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                        EntryExpr::StructField(_) => None,
                    });
                    self.sum(entries.flatten())?
                }
                _ => self.cost(argument)?,
            });
        }
        let operator = !function.starts_with(|c: char| c.is_ascii_alphabetic());
        if !operator && !FUNCTIONS.contains(&function) {
            let message =
                format!("there is no function `{}`: known are `{}`", cut(function), FUNCTIONS.join("`, `"));
            return self.refuse(at, message);
        }
        let own = match function {
            operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::CONDITIONAL => 0,
            operators::NOT_STRICTLY_FALSE => 0,
            operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT => TEXT_COST,
            // A sum is a new text, held until the end.
            operators::ADD => self.text.saturating_mul(10),
            "matches" => {
                self.pattern(at, call)?;
                PATTERN_COST.saturating_add(self.text.saturating_mul(PATTERN_FACTOR))
            }
            _ => self.text,
        };
        Ok(cost.saturating_add(own))
    }

    fn pattern(&self, at: &IdedExpr, call: &CallExpr) -> Result<(), ConditionError> {
        let Some(IdedExpr { expr: Expr::Literal(LiteralValue::String(pattern)), .. }) = call.args.last()
        else {
            return self.refuse(at, "the pattern of `matches` must be written out, in quotes");
        };
        let pattern = pattern.inner();
        if pattern.len() > PATTERN_BYTES_MAX {
            return self
                .refuse(at, format!("the pattern of `matches` has at most {PATTERN_BYTES_MAX} bytes"));
        }
        match regex::RegexBuilder::new(pattern).size_limit(PATTERN_SIZE_MAX).build() {
            Ok(_) => Ok(()),
            Err(regex::Error::CompiledTooBig(_)) => {
                self.refuse(at, "the pattern of `matches` repeats too much: take smaller counts in `{}`")
            }
            Err(error) => {
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                self.refuse(at, format!("the pattern of `matches` is no regular expression: {}", cut(reason)))
            }
        }
    }

    fn comprehension(&mut self, at: &IdedExpr, loops: &'e ComprehensionExpr) -> Result<u64, ConditionError> {
        let length = self.length(&loops.iter_range)?;
        let Some(length) = length else {
            return self.refuse(
                at,
                "a loop such as `exists` goes over a list that is written out, or over `interaction.user_data`, \
                 `headers`, `categories` or `skills`",
            );
        };
        let outside = self.cost(&loops.iter_range)?.saturating_add(self.cost(&loops.accu_init)?);
        let name = loops.iter_var.as_str();
        if [INTERACTION, NOW, WORKFLOW, "optional"].contains(&name)
            || TYPES.contains(&name)
            || name.starts_with('.')
        {
            return self
                .refuse(at, format!("`{}` is taken: give the variable of the loop another name", cut(name)));
        }
        if self.scope.len() == LOOPS_MAX {
            return self.refuse(at, format!("at most {LOOPS_MAX} loops can stand in each other"));
        }
        self.scope.push(name);
        let inside = self.cost(&loops.loop_cond)?.saturating_add(self.cost(&loops.loop_step)?);
        self.scope.pop();
        let result = self.cost(&loops.result)?;
        Ok(outside.saturating_add(length.saturating_mul(inside)).saturating_add(result))
    }

    /// Most items of what is looped over; none where that is not known.
    fn length(&mut self, range: &'e IdedExpr) -> Result<Option<u64>, ConditionError> {
        let entries = |looped| if looped { Some(ENTRIES_MAX as u64) } else { None };
        match &range.expr {
            Expr::List(list) => Ok(Some(list.elements.len() as u64)),
            Expr::Select(select) if !select.test => {
                Ok(self.member(&select.operand, &select.field)?.and_then(entries))
            }
            Expr::Call(call) => match indexed(call) {
                Some((operand, field)) if call.func_name == operators::INDEX => {
                    Ok(self.member(operand, field)?.and_then(entries))
                }
                _ => Ok(None),
            },
            // `map` and `filter` give at most as many as they take.
            Expr::Comprehension(inner) if matches!(inner.accu_init.expr, Expr::List(_)) => {
                self.length(&inner.iter_range)
            }
            _ => Ok(None),
        }
    }

    /// Items of the longest list that is written out: what an operation on lists costs at most.
    #[expect(clippy::only_used_in_recursion, reason = "it belongs to the walk")]
    fn longest_list(&self, expression: &IdedExpr) -> u64 {
        let longest =
            |parts: &mut dyn Iterator<Item = &IdedExpr>| parts.map(|part| self.longest_list(part)).max();
        match &expression.expr {
            Expr::List(list) => {
                Some((list.elements.len() as u64).max(longest(&mut list.elements.iter()).unwrap_or(0)))
            }
            Expr::Call(call) => longest(&mut call.args.iter().chain(call.target.as_deref())),
            Expr::Select(select) => longest(&mut std::iter::once(&*select.operand)),
            Expr::Comprehension(c) => {
                longest(&mut [&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result].into_iter())
            }
            _ => None,
        }
        .unwrap_or(0)
    }

    fn refuse<T>(&self, at: &IdedExpr, message: impl Into<String>) -> Result<T, ConditionError> {
        let offset = self.program.source_info().offset_for(at.id).map_or(0, |(start, _)| start as usize);
        let (line, column) = place(self.source, offset);
        Err(ConditionError::Refused { line, column, message: message.into() })
    }
}

/// `operand["field"]` and `operand.?field`.
fn indexed(call: &CallExpr) -> Option<(&IdedExpr, &str)> {
    if !matches!(call.func_name.as_str(), operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT) {
        return None;
    }
    match call.args.as_slice() {
        [operand, IdedExpr { expr: Expr::Literal(LiteralValue::String(field)), .. }] => {
            Some((operand, field.inner()))
        }
        _ => None,
    }
}

/// Line and column of a character, both from 1.
fn place(source: &str, offset: usize) -> (usize, usize) {
    let before = source.chars().take(offset);
    let (line, column) =
        before.fold((1, 1), |(line, column), c| if c == '\n' { (line + 1, 1) } else { (line, column + 1) });
    (line, column)
}

/// The first characters of a text that may be long.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Refuses what the parser would go too deep for, before it is asked. Counts, for every bracket that is open, the operators
/// that may stand in each other; `&&`, `||` and `,` begin anew, for the parser balances or lists what they join.
fn depth_fault(source: &str) -> Option<ConditionError> {
    struct Level {
        /// Since the last `&&`, `||` or `,`.
        chain: usize,
        /// `?` since the last `,`.
        choices: usize,
    }
    let mut levels = vec![Level { chain: 0, choices: 0 }];
    let mut depth = 0usize;
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        let top = levels.last_mut()?;
        match c {
            '"' | '\'' => taken = quoted(rest, is_raw(&source[..source.len() - rest.len()])),
            '/' if rest.starts_with("//") => taken = rest.find('\n').unwrap_or(rest.len()),
            '&' | '|' if rest.starts_with("&&") || rest.starts_with("||") => {
                taken = 2;
                depth -= top.chain;
                top.chain = 0;
            }
            ',' => {
                depth -= top.chain + top.choices;
                *top = Level { chain: 0, choices: 0 };
            }
            '(' | '[' | '{' => {
                depth += 1;
                levels.push(Level { chain: 0, choices: 0 });
            }
            ')' | ']' | '}' => {
                // The bracket is one more step of the chain that it stands in, as in `a[0][0]`; it was counted when opened.
                if levels.len() > 1 {
                    let closed = levels.pop()?;
                    depth -= closed.chain + closed.choices;
                    levels.last_mut()?.chain += 1;
                }
            }
            '?' => {
                depth += 1;
                top.choices += 1;
            }
            '+' | '-' | '*' | '/' | '%' | '.' | '!' | '<' | '>' | '=' => {
                depth += 1;
                top.chain += 1;
            }
            // The word `in` is an operator too.
            'i' if rest.starts_with("in") => {
                taken = 2;
                depth += 1;
                top.chain += 1;
            }
            _ => {}
        }
        if depth > DEPTH_MAX {
            let (line, column) = place(source, source[..source.len() - rest.len()].chars().count());
            return Some(ConditionError::TooDeep { line, column });
        }
        rest = &rest[taken..];
    }
    None
}

/// Whether a text begins after this as a raw one, in which `\` means nothing.
fn is_raw(before: &str) -> bool {
    let prefix =
        before.len() - before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
    prefix <= 2 && before[before.len() - prefix..].contains(['r', 'R'])
}

/// Bytes of the quoted text that `source` begins with; to its end where it is not closed.
fn quoted(source: &str, raw: bool) -> usize {
    let quote = &source[..1];
    let triple = quote.repeat(3);
    let close = if source.starts_with(&triple) { triple.as_str() } else { quote };
    let mut at = close.len();
    while at < source.len() {
        if source[at..].starts_with(close) {
            return at + close.len();
        }
        let mut chars = source[at..].chars();
        let escaped = chars.next() == Some('\\') && !raw;
        at += if escaped {
            1 + chars.next().map_or(0, char::len_utf8)
        } else {
            source[at..].chars().next().map_or(1, char::len_utf8)
        };
    }
    source.len()
}

/// The first fault that the parser found.
fn refused(errors: &ParseErrors) -> ConditionError {
    let first = errors.errors.first();
    let at = |position: isize| usize::try_from(position).unwrap_or(1).max(1);
    let (line, column) = first.map_or((1, 1), |error| (at(error.pos.0), at(error.pos.1)));
    let message = first.map_or("", |error| error.msg.as_str());
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    ConditionError::Refused {
        line,
        column,
        message: format!("this is no CEL expression: {}", message.chars().take(300).collect::<String>()),
    }
}

/// What went wrong, without the values it went wrong with: those may be long, and may not be for every eye.
fn failure(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => {
            format!("there is no `{}`; ask for it first, as in `has(interaction.user_data.tier)`", cut(key))
        }
        ExecutionError::NoSuchOverload(_) => cut_to(&error.to_string(), 300),
        ExecutionError::UnexpectedType { got, want } => {
            format!("a value of type {got} stands where {want} is wanted")
        }
        ExecutionError::UnsupportedBinaryOperator(operator, ..) => {
            format!("these two values have no `{operator}`")
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(operator, ..) => format!("the result of `{operator}` is too large"),
        ExecutionError::IndexOutOfBounds(_) => "the list has fewer items".to_owned(),
        ExecutionError::FunctionError { function, message } => {
            cut_to(&format!("`{function}`: {message}"), 300)
        }
        ExecutionError::UndeclaredReference(name) => format!("there is no `{}`", cut(name)),
        ExecutionError::DuplicateKey(_) => "a map has the same key twice".to_owned(),
        _ => "two values do not fit together".to_owned(),
    }
}

fn cut_to(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}
