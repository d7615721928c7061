//! Looks through a compiled expression: refuses what has no place in a condition, and bounds what is left.
//!
//! Loops go only over what has a known length, two in each other at most, and every operation on texts is counted as if
//! the texts were as long as they can be. Values that are made on the way are counted too: a sum in a loop over sums would
//! double its text with every loop. So the bound holds on every interaction.

use std::collections::BTreeSet;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::{IdedExpr, Program};

use super::{ConditionError, INTERACTION, NOW, STATISTIC, WORKFLOW, cut, refused_at};
use crate::figure::FigureName;
use crate::limits::{ENTRIES_MAX, FIGURES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};

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
/// Most bytes of one value that is made.
const MADE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of a body, of any other member's texts, and of a value beside its text.
const BODY_BYTES: u64 = 1024 * 1024;
const TEXT_BYTES: u64 = VALUE_BYTES_MAX as u64;
const CELL_BYTES: u64 = 64;
/// Bytes of a text that are read in one step.
const STEP_BYTES: u64 = 512;
/// Steps of compiling a pattern, and how much slower it reads than a search for a text.
const PATTERN_COST: u64 = 2_000;
const PATTERN_FACTOR: u64 = 4;
/// Steps of reading a figure, which may be counted over all agents.
const FIGURE_COST: u64 = 2_000;

/// Members of `interaction`, and whether they can be looped over.
pub(super) const MEMBERS: [(&str, bool); 16] = [
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
const FUNCTIONS: [&str; 18] = [
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
    STATISTIC,
    "string",
    "type",
    "uint",
    "value",
];
/// What the parser calls the operators.
const OPERATORS: [&str; 21] = [
    operators::ADD,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::IN,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::CONDITIONAL,
    operators::INDEX,
    operators::OPT_INDEX,
    operators::OPT_SELECT,
    operators::NOT_STRICTLY_FALSE,
];
/// Functions of the `optional` namespace.
const OPTIONALS: [&str; 3] = ["of", "ofNonZeroValue", "none"];
const TYPES: [&str; 10] = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

/// What an expression refers to, and what it takes.
pub(super) struct Checked {
    /// Members of `interaction`.
    pub(super) members: BTreeSet<&'static str>,
    /// Figures of the stat server.
    pub(super) figures: BTreeSet<FigureName>,
    /// Most steps of one evaluation.
    pub(super) steps: u64,
}

/// What an expression refers to, and most steps that it takes.
///
/// # Errors
/// [`ConditionError::Refused`] where something has no place in a condition, [`ConditionError::TooCostly`].
pub(super) fn check(source: &str, program: &Program) -> Result<Checked, ConditionError> {
    let expression = program.expression();
    // Once to see what it touches, and once to see what that costs.
    let (members, figures) = (BTreeSet::new(), BTreeSet::new());
    let mut look = Walk { source, program, members, figures, scope: Vec::new(), text: 0, list: 0 };
    look.bound(expression)?;
    let text = if look.members.contains("body") { BODY_COST } else { TEXT_COST.max(look.list) };
    let mut sum = Walk { text, scope: Vec::new(), members: BTreeSet::new(), ..look };
    let steps = sum.bound(expression)?.steps;
    if steps > COST_MAX {
        return Err(ConditionError::TooCostly);
    }
    Ok(Checked { members: sum.members, figures: sum.figures, steps })
}

/// What evaluating an expression takes at most, and what it gives.
#[derive(Debug, Clone, Copy)]
struct Bound {
    steps: u64,
    /// Bytes of the value, with all that it holds.
    bytes: u64,
    /// Bytes of what a loop over it goes through.
    item: u64,
    /// Bytes of what can be taken out of it by `[…]` or by name.
    part: u64,
}

impl Bound {
    /// A value that nothing more is known of than how large it can be.
    fn new(steps: u64, bytes: u64) -> Self {
        Self { steps, bytes, item: bytes, part: bytes }
    }

    /// A number, true or false, or the like.
    fn small(steps: u64) -> Self {
        Self::new(steps, CELL_BYTES)
    }

    /// A member of `interaction`. What it holds is lent, not copied.
    fn member(name: &str, looped: bool) -> Self {
        match name {
            "body" => Self::new(1, BODY_BYTES),
            _ if looped => Self { steps: 1, bytes: TEXT_BYTES, item: KEY_BYTES_MAX as u64, part: TEXT_BYTES },
            _ => Self::new(1, TEXT_BYTES),
        }
    }

    /// Both, one after the other, in one value.
    fn and(self, other: Self) -> Self {
        Self {
            steps: self.steps.saturating_add(other.steps),
            bytes: self.bytes.saturating_add(other.bytes),
            item: self.item.max(other.item),
            part: self.part.max(other.part),
        }
    }

    /// With so many steps more.
    fn after(self, steps: u64) -> Self {
        Self { steps: self.steps.saturating_add(steps), ..self }
    }
}

/// On the way through an expression.
struct Walk<'e> {
    source: &'e str,
    program: &'e Program,
    /// Members of `interaction` that were met.
    members: BTreeSet<&'static str>,
    /// Figures that were met.
    figures: BTreeSet<FigureName>,
    /// Variables of the loops that it is in, and most bytes of what each stands for.
    scope: Vec<(&'e str, u64)>,
    /// Steps of an operation on texts or lists.
    text: u64,
    /// Items of the longest list that is written out.
    list: u64,
}

impl<'e> Walk<'e> {
    /// Most that an expression can take; what has no place in a condition, or makes too large a value, is refused.
    fn bound(&mut self, expression: &'e IdedExpr) -> Result<Bound, ConditionError> {
        let bound = match &expression.expr {
            Expr::Literal(LiteralValue::String(text)) => Bound::new(1, CELL_BYTES + text.inner().len() as u64),
            Expr::Literal(LiteralValue::Bytes(bytes)) => Bound::new(1, CELL_BYTES + bytes.inner().len() as u64),
            Expr::Literal(_) => Bound::small(1),
            Expr::Ident(name) => self.name(expression, name)?,
            Expr::Select(select) => match self.member(&select.operand, &select.field)? {
                Some(_) if select.test => Bound::small(1),
                Some(member) => member,
                None => {
                    let of = self.bound(&select.operand)?;
                    Bound::new(of.steps.saturating_add(1), if select.test { CELL_BYTES } else { of.part })
                }
            },
            Expr::Call(call) => self.call(expression, call)?,
            Expr::Comprehension(comprehension) => self.comprehension(expression, comprehension)?,
            Expr::List(list) => {
                self.list = self.list.max(list.elements.len() as u64);
                self.together(&list.elements)?
            }
            Expr::Map(_) => return self.refuse(expression, "a map can only stand before `[` or after `in` here"),
            Expr::Struct(_) => {
                return self.refuse(expression, "a condition has no types of its own to make values of");
            }
            Expr::Unspecified => return self.refuse(expression, "this is no expression"),
        };
        if bound.bytes > MADE_BYTES_MAX { Err(ConditionError::TooCostly) } else { Ok(bound) }
    }

    /// A value that holds those of all these expressions.
    fn together(&mut self, expressions: impl IntoIterator<Item = &'e IdedExpr>) -> Result<Bound, ConditionError> {
        let mut all = Bound { steps: 1, bytes: CELL_BYTES, item: 0, part: 0 };
        for expression in expressions {
            let one = self.bound(expression)?;
            all = all.and(Bound::new(one.steps, one.bytes));
        }
        Ok(all)
    }

    fn name(&mut self, at: &IdedExpr, name: &'e str) -> Result<Bound, ConditionError> {
        if let Some((_, bytes)) = self.scope.iter().rev().find(|(known, _)| *known == name) {
            return Ok(Bound::new(1, *bytes));
        }
        // What a loop has gathered so far: counted where the loop is.
        if name.starts_with('@') {
            return Ok(Bound::new(1, 0));
        }
        if [NOW, WORKFLOW].contains(&name) || TYPES.contains(&name) {
            return Ok(Bound::small(1));
        }
        if name == INTERACTION {
            return self.refuse(at, "say which part of `interaction`, as in `interaction.language`");
        }
        self.refuse(at, format!("there is no `{}`: known are `interaction`, `now_ms` and `workflow`", cut(name)))
    }

    /// The member of `interaction` that is meant by `operand.field`, where `operand` is `interaction`.
    fn member(&mut self, operand: &IdedExpr, field: &str) -> Result<Option<Bound>, ConditionError> {
        if !matches!(&operand.expr, Expr::Ident(name) if name == INTERACTION) {
            return Ok(None);
        }
        match MEMBERS.iter().find(|(name, _)| *name == field) {
            Some((name, looped)) => {
                self.members.insert(name);
                Ok(Some(Bound::member(name, *looped)))
            }
            None => {
                let known = MEMBERS.map(|(name, _)| name).join("`, `");
                self.refuse(operand, format!("`interaction` has no `{}`: it has `{known}`", cut(field)))
            }
        }
    }

    fn call(&mut self, at: &'e IdedExpr, call: &'e CallExpr) -> Result<Bound, ConditionError> {
        let function = call.func_name.as_str();
        if let Some((operand, field)) = indexed(call)
            && let Some(member) = self.member(operand, field)?
        {
            return Ok(member.after(1));
        }
        let namespace = call.target.as_deref().is_some_and(|target| {
            matches!(&target.expr, Expr::Ident(name) if name == "optional") && OPTIONALS.contains(&function)
        });
        if namespace {
            return self.together(&call.args);
        }
        if !OPERATORS.contains(&function) && !FUNCTIONS.contains(&function) {
            let message = format!("there is no function `{}`: known are `{}`", cut(function), FUNCTIONS.join("`, `"));
            return self.refuse(at, message);
        }
        if function == STATISTIC {
            return self.figure(at, call);
        }
        let mut operands = Vec::with_capacity(call.args.len() + 1);
        if let Some(target) = call.target.as_deref() {
            operands.push(self.bound(target)?);
        }
        // A map that is written out may only be looked into, for it has no order to be walked in.
        let table = match (function, call.args.as_slice()) {
            (operators::INDEX | operators::OPT_INDEX, [table, _]) | (operators::IN, [_, table]) => match &table.expr {
                Expr::Map(map) => Some((table, map)),
                _ => None,
            },
            _ => None,
        };
        for argument in &call.args {
            operands.push(match table {
                Some((table, map)) if std::ptr::eq(table, argument) => {
                    let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                        EntryExpr::MapEntry(entry) => Some([&entry.key, &entry.value]),
                        EntryExpr::StructField(_) => None,
                    });
                    self.together(entries.flatten())?
                }
                _ => self.bound(argument)?,
            });
        }
        let all = operands.iter().fold(Bound { steps: 1, bytes: 0, item: 0, part: 0 }, |all, one| all.and(*one));
        // What was made on the way can be longer than any text of an interaction.
        let text = if all.bytes > 2 * TEXT_BYTES { self.text.max(all.bytes / STEP_BYTES) } else { self.text };
        let own = match function {
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT | operators::CONDITIONAL => 0,
            operators::NOT_STRICTLY_FALSE => 0,
            operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT => TEXT_COST,
            // A sum is a new text, held until the end.
            operators::ADD => text.saturating_mul(10),
            "matches" => {
                self.pattern(at, call)?;
                PATTERN_COST.saturating_add(text.saturating_mul(PATTERN_FACTOR))
            }
            _ => text,
        };
        let steps = all.steps.saturating_add(own);
        Ok(match (function, operands.as_slice()) {
            (operators::ADD | "bytes" | "dyn" | "or" | "orValue" | "value", _) => Bound { steps, ..all },
            // A number can have more digits than bytes.
            ("string", _) => Bound::new(steps, all.bytes.saturating_add(512)),
            (operators::CONDITIONAL, [_, yes, no]) => Bound {
                steps,
                bytes: yes.bytes.max(no.bytes),
                item: yes.item.max(no.item),
                part: yes.part.max(no.part),
            },
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, [of, ..]) => Bound::new(steps, of.part),
            _ => Bound::small(steps),
        })
    }

    /// A figure that is asked for by its names.
    fn figure(&mut self, at: &IdedExpr, call: &CallExpr) -> Result<Bound, ConditionError> {
        let literal = |argument: &'_ IdedExpr| match &argument.expr {
            Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
            _ => None,
        };
        let arguments: Option<Vec<String>> = call.args.iter().map(literal).collect();
        let Some(arguments) = arguments else {
            return self.refuse(at, "the names of a statistic must be written out, in quotes");
        };
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        if call.target.is_some() {
            // As a member of something it has no meaning.
            arguments.clear();
        }
        match FigureName::new(&arguments) {
            Ok(figure) => drop(self.figures.insert(figure)),
            Err(message) => return self.refuse(at, message),
        }
        if self.figures.len() > FIGURES_MAX {
            return self.refuse(at, format!("a condition reads at most {FIGURES_MAX} statistics"));
        }
        Ok(Bound::small(FIGURE_COST))
    }

    fn pattern(&self, at: &IdedExpr, call: &CallExpr) -> Result<(), ConditionError> {
        let Some(IdedExpr { expr: Expr::Literal(LiteralValue::String(pattern)), .. }) = call.args.last() else {
            return self.refuse(at, "the pattern of `matches` must be written out, in quotes");
        };
        let pattern = pattern.inner();
        if pattern.len() > PATTERN_BYTES_MAX {
            return self.refuse(at, format!("the pattern of `matches` has at most {PATTERN_BYTES_MAX} bytes"));
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

    fn comprehension(&mut self, at: &IdedExpr, loops: &'e ComprehensionExpr) -> Result<Bound, ConditionError> {
        let length = self.length(&loops.iter_range)?;
        let Some(length) = length else {
            return self.refuse(
                at,
                "a loop such as `exists` goes over a list that is written out, or over `interaction.user_data`, \
                 `headers`, `categories` or `skills`",
            );
        };
        let range = self.bound(&loops.iter_range)?;
        let outside = range.steps.saturating_add(self.bound(&loops.accu_init)?.steps);
        let name = loops.iter_var.as_str();
        if [INTERACTION, NOW, WORKFLOW, "optional"].contains(&name) || TYPES.contains(&name) || name.starts_with('.') {
            return self.refuse(at, format!("`{}` is taken: give the variable of the loop another name", cut(name)));
        }
        if self.scope.len() == LOOPS_MAX {
            return self.refuse(at, format!("at most {LOOPS_MAX} loops can stand in each other"));
        }
        self.scope.push((name, range.item));
        let turn = self.bound(&loops.loop_cond)?.steps;
        let step = self.bound(&loops.loop_step)?;
        self.scope.pop();
        // Each turn has a copy of its item.
        let turn = turn.saturating_add(step.steps).saturating_add(range.item / STEP_BYTES);
        let steps = outside.saturating_add(length.saturating_mul(turn));
        let steps = steps.saturating_add(self.bound(&loops.result)?.steps);
        if !is_list(loops) {
            return Ok(Bound::small(steps));
        }
        Ok(Bound { steps, bytes: length.saturating_mul(step.bytes), item: step.item, part: step.item })
    }

    /// Most items of what is looped over; none where that is not known.
    fn length(&mut self, range: &'e IdedExpr) -> Result<Option<u64>, ConditionError> {
        let looped = |field: &str| MEMBERS.iter().any(|(name, looped)| *name == field && *looped);
        let entries = |field: &str| looped(field).then_some(ENTRIES_MAX as u64);
        match &range.expr {
            Expr::List(list) => Ok(Some(list.elements.len() as u64)),
            Expr::Select(select) if !select.test => {
                Ok(self.member(&select.operand, &select.field)?.and_then(|_| entries(&select.field)))
            }
            Expr::Call(call) => match indexed(call) {
                Some((operand, field)) if call.func_name == operators::INDEX => {
                    Ok(self.member(operand, field)?.and_then(|_| entries(field)))
                }
                _ => Ok(None),
            },
            // `map` and `filter` give at most as many as they take.
            Expr::Comprehension(inner) if is_list(inner) => self.length(&inner.iter_range),
            _ => Ok(None),
        }
    }

    fn refuse<T>(&self, at: &IdedExpr, message: impl Into<String>) -> Result<T, ConditionError> {
        Err(refused_at(self.source, self.program, at, message.into()))
    }
}

/// Whether a loop gives a list, as `map` and `filter` do.
fn is_list(loops: &ComprehensionExpr) -> bool {
    matches!(loops.accu_init.expr, Expr::List(_))
}

/// `operand["field"]` and `operand.?field`.
pub(super) fn indexed(call: &CallExpr) -> Option<(&IdedExpr, &str)> {
    if !matches!(call.func_name.as_str(), operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT) {
        return None;
    }
    match call.args.as_slice() {
        [operand, IdedExpr { expr: Expr::Literal(LiteralValue::String(field)), .. }] => Some((operand, field.inner())),
        _ => None,
    }
}
