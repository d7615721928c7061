//! Looks through a compiled expression: refuses what has no place in a condition, and bounds what is left.
//!
//! Loops go only over what has a known length, two in each other at most, and every operation on texts is counted as if
//! the texts were as long as they can be. So the bound holds on every interaction.

use std::collections::BTreeSet;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::{IdedExpr, Program};

use super::{ConditionError, INTERACTION, NOW, WORKFLOW, cut, refused_at};
use crate::limits::ENTRIES_MAX;

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

/// Members of `interaction` that an expression refers to.
///
/// # Errors
/// [`ConditionError::Refused`] where something has no place in a condition, [`ConditionError::TooCostly`].
pub(super) fn check(source: &str, program: &Program) -> Result<BTreeSet<&'static str>, ConditionError> {
    let expression = program.expression();
    // Once to see what it touches, and once to see what that costs.
    let mut look = Walk { source, program, members: BTreeSet::new(), scope: Vec::new(), text: 0, list: 0 };
    look.cost(expression)?;
    let text = if look.members.contains("body") { BODY_COST } else { TEXT_COST.max(look.list) };
    let mut sum = Walk { text, scope: Vec::new(), members: BTreeSet::new(), ..look };
    if sum.cost(expression)? > COST_MAX {
        return Err(ConditionError::TooCostly);
    }
    Ok(sum.members)
}

/// On the way through an expression.
struct Walk<'e> {
    source: &'e str,
    program: &'e Program,
    /// Members of `interaction` that were met.
    members: BTreeSet<&'static str>,
    /// Variables of the loops that it is in.
    scope: Vec<&'e str>,
    /// Steps of an operation on texts or lists.
    text: u64,
    /// Items of the longest list that is written out.
    list: u64,
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
            Expr::List(list) => {
                self.list = self.list.max(list.elements.len() as u64);
                self.sum(&list.elements)
            }
            Expr::Map(_) => self.refuse(expression, "a map can only stand before `[` or after `in` here"),
            Expr::Struct(_) => self.refuse(expression, "a condition has no types of its own to make values of"),
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
        self.refuse(at, format!("there is no `{}`: known are `interaction`, `now_ms` and `workflow`", cut(name)))
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
        if let Some((operand, field)) = indexed(call)
            && self.member(operand, field)?.is_some()
        {
            return Ok(2);
        }
        let namespace = call.target.as_deref().is_some_and(|target| {
            matches!(&target.expr, Expr::Ident(name) if name == "optional") && OPTIONALS.contains(&function)
        });
        if namespace {
            return self.sum(&call.args);
        }
        if !OPERATORS.contains(&function) && !FUNCTIONS.contains(&function) {
            let message = format!("there is no function `{}`: known are `{}`", cut(function), FUNCTIONS.join("`, `"));
            return self.refuse(at, message);
        }
        let target = match call.target.as_deref() {
            Some(target) => self.cost(target)?,
            None => 0,
        };
        // A map that is written out may only be looked into, for it has no order to be walked in.
        let table = match (function, call.args.as_slice()) {
            (operators::INDEX | operators::OPT_INDEX, [table, _]) | (operators::IN, [_, table]) => match &table.expr {
                Expr::Map(map) => Some((table, map)),
                _ => None,
            },
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
        let own = match function {
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT | operators::CONDITIONAL => 0,
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
        if [INTERACTION, NOW, WORKFLOW, "optional"].contains(&name) || TYPES.contains(&name) || name.starts_with('.') {
            return self.refuse(at, format!("`{}` is taken: give the variable of the loop another name", cut(name)));
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
        let entries = |looped| {
            if looped { Some(ENTRIES_MAX as u64) } else { None }
        };
        match &range.expr {
            Expr::List(list) => Ok(Some(list.elements.len() as u64)),
            Expr::Select(select) if !select.test => Ok(self.member(&select.operand, &select.field)?.and_then(entries)),
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

    fn refuse<T>(&self, at: &IdedExpr, message: impl Into<String>) -> Result<T, ConditionError> {
        Err(refused_at(self.source, self.program, at, message.into()))
    }
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
