//! What an expression gives, as far as that can be seen without running it.
//!
//! Only what cannot be right on any interaction is refused. What hangs on the interaction, such as an item of a list or
//! the variable of a loop, may give anything.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};
use cel::{IdedExpr, Program};

use super::cost::indexed;
use super::{ConditionError, INTERACTION, NOW, STATISTIC, WORKFLOW, refused_at};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Boolean,
    Number,
    Text,
    Bytes,
    List,
    Map,
    Null,
    Type,
    Optional,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Bytes => "bytes",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Null => "null",
            Self::Type => "a type",
            Self::Optional => "an optional value",
        }
    }
}

/// Whether an expression can give true or false.
///
/// # Errors
/// [`ConditionError::Refused`] where it never can, at the part that is to blame.
pub(super) fn check(source: &str, program: &Program) -> Result<(), ConditionError> {
    Look { source, program }.boolean(program.expression())
}

struct Look<'e> {
    source: &'e str,
    program: &'e Program,
}

/// None where it hangs on the interaction.
type Seen = Result<Option<Kind>, ConditionError>;

impl Look<'_> {
    /// Refuses what never gives true or false.
    fn boolean(&self, expression: &IdedExpr) -> Result<(), ConditionError> {
        if let Expr::Call(call) = &expression.expr
            && let (operators::CONDITIONAL, [asked, yes, no]) = (call.func_name.as_str(), call.args.as_slice())
        {
            return [asked, yes, no].into_iter().try_for_each(|part| self.boolean(part));
        }
        match self.kind(expression)? {
            None | Some(Kind::Boolean) => Ok(()),
            Some(kind) => {
                self.refuse(expression, format!("this gives {}, where true or false is wanted", kind.words()))
            }
        }
    }

    fn kind(&self, expression: &IdedExpr) -> Seen {
        match &expression.expr {
            Expr::Literal(literal) => Ok(Some(match literal {
                LiteralValue::Boolean(_) => Kind::Boolean,
                LiteralValue::Bytes(_) => Kind::Bytes,
                LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Kind::Number,
                LiteralValue::Null => Kind::Null,
                LiteralValue::String(_) => Kind::Text,
            })),
            Expr::Ident(name) if name == NOW => Ok(Some(Kind::Number)),
            Expr::Ident(name) if name == WORKFLOW => Ok(Some(Kind::Text)),
            Expr::Select(select) if select.test => Ok(Some(Kind::Boolean)),
            Expr::Select(select) => self.part(&select.operand, &select.field),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::List(list) => {
                list.elements.iter().try_for_each(|element| self.kind(element).map(drop))?;
                Ok(Some(Kind::List))
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.kind(&entry.value)?;
                    }
                }
                Ok(Some(Kind::Map))
            }
            Expr::Ident(_) | Expr::Struct(_) | Expr::Unspecified => Ok(None),
        }
    }

    /// `operand.field` or `operand["field"]`.
    fn part(&self, operand: &IdedExpr, field: &str) -> Seen {
        if is_interaction(operand) {
            return Ok(member(field));
        }
        self.kind(operand)?;
        let of = match &operand.expr {
            Expr::Select(select) if !select.test && is_interaction(&select.operand) => Some(select.field.as_str()),
            Expr::Call(call) if call.func_name == operators::INDEX => {
                indexed(call).filter(|(operand, _)| is_interaction(operand)).map(|(_, field)| field)
            }
            _ => None,
        };
        Ok(of.and_then(item))
    }

    fn call(&self, call: &CallExpr) -> Seen {
        let args = call.args.as_slice();
        if let (operators::INDEX, Some((operand, field))) = (call.func_name.as_str(), indexed(call)) {
            return self.part(operand, field);
        }
        match (call.func_name.as_str(), args) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT, _) => {
                args.iter().try_for_each(|part| self.boolean(part))?;
                return Ok(Some(Kind::Boolean));
            }
            (operators::CONDITIONAL, [asked, yes, no]) => {
                self.boolean(asked)?;
                let (yes, no) = (self.kind(yes)?, self.kind(no)?);
                return Ok(yes.filter(|kind| Some(*kind) == no));
            }
            (
                operator @ (operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS),
                [a, b],
            ) => return self.compared(operator, a, b),
            (operator @ operators::ADD, [a, b]) => return self.added(operator, a, b),
            (
                operator @ (operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO),
                [a, b],
            ) => {
                for part in [a, b] {
                    self.number(operator, part)?;
                }
                return Ok(Some(Kind::Number));
            }
            (operator @ operators::NEGATE, [part]) => {
                self.number(operator, part)?;
                return Ok(Some(Kind::Number));
            }
            _ => {}
        }
        let target = call.target.as_deref().filter(|target| !matches!(target.expr, Expr::Ident(_)));
        target.into_iter().chain(args).try_for_each(|part| self.kind(part).map(drop))?;
        Ok(match call.func_name.as_str() {
            operators::EQUALS | operators::NOT_EQUALS | operators::IN | operators::NOT_STRICTLY_FALSE => {
                Some(Kind::Boolean)
            }
            "bool" | "contains" | "endsWith" | "hasValue" | "matches" | "startsWith" => Some(Kind::Boolean),
            "double" | "int" | "size" | "uint" => Some(Kind::Number),
            "string" => Some(Kind::Text),
            "bytes" => Some(Kind::Bytes),
            "type" => Some(Kind::Type),
            STATISTIC | operators::OPT_INDEX | operators::OPT_SELECT | "of" | "ofNonZeroValue" | "none" | "or" => {
                Some(Kind::Optional)
            }
            _ => None,
        })
    }

    fn compared(&self, operator: &str, a: &IdedExpr, b: &IdedExpr) -> Seen {
        let (first, second) = (self.kind(a)?, self.kind(b)?);
        for (part, kind) in [(a, first), (b, second)] {
            if let Some(kind @ (Kind::List | Kind::Map | Kind::Null | Kind::Type | Kind::Optional)) = kind {
                return self.without(operator, part, kind);
            }
        }
        match (first, second) {
            (Some(first), Some(second)) if first != second => self.mismatch(operator, b, first, second),
            _ => Ok(Some(Kind::Boolean)),
        }
    }

    fn added(&self, operator: &str, a: &IdedExpr, b: &IdedExpr) -> Seen {
        let (first, second) = (self.kind(a)?, self.kind(b)?);
        match (first, second) {
            (Some(first), Some(second)) if first != second => self.mismatch(operator, b, first, second),
            _ => Ok(first.or(second)),
        }
    }

    fn number(&self, operator: &str, part: &IdedExpr) -> Result<(), ConditionError> {
        match self.kind(part)? {
            None | Some(Kind::Number) => Ok(()),
            Some(kind) => self.without(operator, part, kind),
        }
    }

    /// Refuses a part that an operator has no meaning for.
    fn without<T>(&self, operator: &str, part: &IdedExpr, kind: Kind) -> Result<T, ConditionError> {
        let todo = match kind {
            Kind::Optional => ": say what stands for it where there is none, as in `.orValue(0.0)`",
            _ => "",
        };
        self.refuse(part, format!("{} has no `{}`{todo}", kind.words(), sign(operator)))
    }

    fn comprehension(&self, loops: &ComprehensionExpr) -> Seen {
        self.kind(&loops.iter_range)?;
        self.kind(&loops.loop_step)?;
        match loops.result.expr {
            Expr::Ident(_) => self.kind(&loops.accu_init),
            _ => self.kind(&loops.result),
        }
    }

    fn mismatch<T>(&self, operator: &str, at: &IdedExpr, first: Kind, second: Kind) -> Result<T, ConditionError> {
        let (first, second) = (first.words(), second.words());
        self.refuse(at, format!("`{}` stands between {first} and {second}, which do not go together", sign(operator)))
    }

    fn refuse<T>(&self, at: &IdedExpr, message: String) -> Result<T, ConditionError> {
        Err(refused_at(self.source, self.program, at, message))
    }
}

fn is_interaction(operand: &IdedExpr) -> bool {
    matches!(&operand.expr, Expr::Ident(name) if name == INTERACTION)
}

/// Kind of a member of `interaction`.
fn member(name: &str) -> Option<Kind> {
    match name {
        "answered" => Some(Kind::Boolean),
        "hops" | "priority" | "submitted_at_ms" => Some(Kind::Number),
        "body" | "category" | "id" | "language" | "media_type" | "recipient" | "sender" | "subject" => Some(Kind::Text),
        "categories" | "headers" | "skills" | "user_data" => Some(Kind::Map),
        _ => None,
    }
}

/// Kind of an item of a member that is a map.
fn item(name: &str) -> Option<Kind> {
    match name {
        "headers" | "user_data" => Some(Kind::Text),
        "categories" | "skills" => Some(Kind::Number),
        _ => None,
    }
}

/// An operator as it is written: the parser calls `>` `_>_`.
fn sign(operator: &str) -> &str {
    operator.trim_matches('_')
}

#[cfg(test)]
mod tests {
    use crate::condition::Condition;
    use crate::condition::cost::MEMBERS;

    /// One line an expression: `expression => fine`, or the beginning of the error.
    fn table(lines: &str) {
        let mut wrong = String::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (expression, expected) = line.split_once("=>").unwrap();
            let answer = Condition::drawn(expression.trim()).map_or_else(|error| error.to_string(), |_| "fine".into());
            if !answer.starts_with(expected.trim()) {
                wrong += &format!("{line}\n  is: {answer}\n");
            }
        }
        assert!(wrong.is_empty(), "\n{wrong}");
    }

    #[test]
    fn what_never_gives_true_or_false_is_refused_where_it_stands() {
        table(
            "
            'text'                                   => line 1, column 1: this gives a text, where true or false is wanted
            1                                        => line 1, column 1: this gives a number
            1.5 + 2.5                                => line 1, column 5: this gives a number
            -interaction.priority                    => line 1, column 1: this gives a number
            [true]                                   => line 1, column 1: this gives a list
            null                                     => line 1, column 1: this gives null
            now_ms                                   => line 1, column 1: this gives a number
            workflow                                 => line 1, column 1: this gives a text
            interaction.language                     => line 1, column 12: this gives a text
            interaction['language']                  => line 1, column 12: this gives a text
            interaction.user_data                    => line 1, column 12: this gives a map
            interaction.user_data.tier               => line 1, column 22: this gives a text
            interaction['user_data']['tier']         => line 1, column 25: this gives a text
            interaction.user_data.?tier              => line 1, column 22: this gives an optional value
            size(interaction.body)                   => line 1, column 5: this gives a number
            type(1)                                  => line 1, column 5: this gives a type
            interaction.user_data.map(k, k)          => line 1, column 26: this gives a list
            interaction.answered && workflow         => line 1, column 25: this gives a text
            !interaction.subject                     => line 1, column 13: this gives a text
            interaction.answered ? 'a' : 'b'         => line 1, column 24: this gives a text
            workflow ? true : false                  => line 1, column 1: this gives a text
            [1].all(x, 'a')                          => line 1, column 12: this gives a text
            ['a'].filter(x, 1) == []                 => line 1, column 17: this gives a number
            ",
        );
    }

    #[test]
    fn what_no_operator_takes_is_refused_where_it_stands() {
        table(
            r#"
            interaction.priority > "a"               => line 1, column 24: `>` stands between a number and a text
            interaction.body > 1                     => line 1, column 20: `>` stands between a text and a number
            interaction.user_data > 1                => line 1, column 12: a map has no `>`
            [1] < [2]                                => line 1, column 1: a list has no `<`
            interaction.priority + 'a' == 'b'        => line 1, column 24: `+` stands between a number and a text
            statistic('level') > 80.0                => line 1, column 10: an optional value has no `>`: say what stands
            statistic('level') - 1.0 > 80.0          => line 1, column 10: an optional value has no `-`
            workflow - 1 > 0                         => line 1, column 1: a text has no `-`
            -workflow == 'a'                         => line 1, column 2: a text has no `-`
            "#,
        );
    }

    #[test]
    fn what_may_be_right_is_taken() {
        table(
            r"
            true                                                        => fine
            interaction.answered                                        => fine
            interaction.priority == 'a'                                 => fine
            interaction.priority > 1.5                                  => fine
            interaction.language in ['de', 'de-AT']                     => fine
            has(interaction.user_data.tier)                             => fine
            interaction.user_data.?tier.orValue('x') == 'x'             => fine
            interaction.categories.billing >= 50                        => fine
            {'de': true}[interaction.language]                          => fine
            [true][0]                                                   => fine
            interaction.answered ? interaction.hops > 1 : false         => fine
            interaction.user_data.exists(k, k == 'a')                   => fine
            interaction.user_data.all(k, interaction.user_data[k] != '') => fine
            ['a', 'b'].exists_one(x, x == 'a')                          => fine
            size(interaction.headers.filter(k, k.startsWith('x-'))) > 1 => fine
            [1, 2].map(x, x + 1)[0] == 2                                => fine
            type(interaction.priority) == int                           => fine
            optional.of(1).hasValue() ? true : false                    => fine
            now_ms - interaction.submitted_at_ms > 60000                => fine
            interaction.subject + interaction.body != ''                => fine
            bool(interaction.user_data.urgent)                          => fine
            statistic('level').orValue(0.0) - 1.0 > 80.0                => fine
            statistic('queue', 'billing', 'waiting').hasValue()         => fine
            ",
        );
    }

    #[test]
    fn every_member_has_a_kind() {
        for (name, _) in MEMBERS {
            assert!(super::member(name).is_some(), "{name}");
        }
    }
}
