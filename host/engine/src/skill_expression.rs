//! Skill expressions: which agents can do a piece of work, as a CEL expression over their skills, <https://cel.dev>.
//!
//! An expression reckons with levels, which are whole numbers, and gives true or false. That is checked when it is
//! written, so all that can fail when it runs is the reckoning itself: a division by zero, or a number that grows too
//! large.
//!
//! Invariant: an expression that was accepted ends soon: it has no loops, and at most [`STEPS_MAX`] steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use cel::common::ast::{CallExpr, Expr, LiteralValue, operators};
use cel::common::types::{CelBool, CelInt};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, IdedExpr, Program, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::condition::{self, ConditionError};
use crate::id::Name;

/// Which agents can do a piece of work, such as `english >= 5 && (billing > 3 || sales >= 2)`.
///
/// - The name of a skill stands for the agent's level in it, 0 where the agent has not got the skill. A name with `-`
///   or `.` in it, or one that is a word of CEL, is put in quotes: `skill('first-line') > 2`. (`first-line` is a
///   subtraction.)
/// - Levels are compared with `==`, `!=`, `<`, `<=`, `>`, `>=` and `in`, as in `english in [3, 5]`, and reckoned with
///   by `+`, `-`, `*`, `/` and `%`.
/// - Comparisons are joined by `&&`, `||`, `!` and `? :`.
///
/// Two are equal if their texts are. A copy is cheap. As text, and in JSON, it is the expression itself.
#[derive(Clone)]
pub struct SkillExpression(Arc<Compiled>);

struct Compiled {
    text: String,
    /// With a plain name in the place of each `skill(…)`.
    expression: IdedExpr,
    skills: BTreeSet<Name>,
}

/// Why a skill expression was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkillExpressionError {
    /// The text is too long: split it over several groups.
    #[error("a skill expression has at most {} bytes", condition::BYTES_MAX)]
    TooLong,
    /// It is no CEL expression, or one that has no place in a skill expression, or nested too deep.
    #[error("line {line}, column {column}: {message}")]
    Refused {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong and what to do.
        message: String,
    },
    /// It has too many steps to be asked of every agent: split it over several groups.
    #[error("a skill expression has at most {STEPS_MAX} names, numbers and operators")]
    TooCostly,
    /// It gives a number, as `english` alone does: compare it with one.
    #[error("the expression gives a number where true or false is wanted: compare it, as in `english >= 5`")]
    NotBoolean,
}

/// Most names, numbers and operators: about 20 µs for an agent. A usual expression, of ten, takes 0.3 µs.
const STEPS_MAX: usize = 400;

/// The one function: a skill by a name in quotes.
const SKILL: &str = "skill";

impl SkillExpression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// [`SkillExpressionError`], with the place at fault where there is one: too long, no CEL, nested too deep,
    /// something else than levels and comparisons of them, a name that no skill can have, too many steps, or a number
    /// as the answer.
    pub fn new(text: &str) -> Result<Self, SkillExpressionError> {
        let program = condition::parse(text)?;
        let mut expression = program.expression().clone();
        let mut check = Check { text, program: &program, skills: BTreeSet::new(), steps: 0 };
        match check.kind(&mut expression)? {
            Kind::Truth => Ok(Self(Arc::new(Compiled { text: text.to_owned(), expression, skills: check.skills }))),
            Kind::Level => Err(SkillExpressionError::NotBoolean),
        }
    }

    /// Whether it holds for an agent with these levels, by skill. Where the reckoning fails, as in a division by zero,
    /// it holds for nobody.
    #[must_use]
    pub fn matches(&self, skills: &BTreeMap<Name, u8>) -> bool {
        let levels = Levels(skills);
        let mut context = Context::with_env(Arc::clone(&condition::ENV));
        context.set_variable_resolver(&levels);
        let answer = Value::resolve_val(&self.0.expression, &context);
        answer.is_ok_and(|answer| answer.downcast_ref::<CelBool>().is_some_and(|answer| *answer.inner()))
    }

    /// The expression, as it was put.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The skills that it names: what a change of another skill has no effect on, and what an account may be asked
    /// whether it knows.
    #[must_use]
    pub fn skills(&self) -> &BTreeSet<Name> {
        &self.0.skills
    }
}

/// Levels of one agent.
struct Levels<'a>(&'a BTreeMap<Name, u8>);

impl VariableResolver for Levels<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let level = self.0.get(name).copied().unwrap_or(0);
        Some(CowVal::owned(CelInt::from(i64::from(level))))
    }
}

/// What a part of an expression gives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Level,
    Truth,
}

/// On the way through an expression.
struct Check<'e> {
    text: &'e str,
    program: &'e Program,
    skills: BTreeSet<Name>,
    steps: usize,
}

impl Check<'_> {
    /// What an expression gives; what has no place in a skill expression is refused. Puts a name in the place of each
    /// `skill(…)`.
    fn kind(&mut self, at: &mut IdedExpr) -> Result<Kind, SkillExpressionError> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(SkillExpressionError::TooCostly);
        }
        let id = at.id;
        match &mut at.expr {
            Expr::Literal(LiteralValue::Int(_)) => Ok(Kind::Level),
            Expr::Literal(LiteralValue::Boolean(_)) => Ok(Kind::Truth),
            Expr::Literal(_) => self.refuse(id, "levels are whole numbers, such as `5`"),
            Expr::Ident(name) => self.skill(id, name),
            Expr::Call(call) if call.func_name == SKILL => {
                let name = match (&call.target, call.args.as_slice()) {
                    (None, [IdedExpr { expr: Expr::Literal(LiteralValue::String(name)), .. }]) => {
                        name.inner().to_owned()
                    }
                    _ => return self.refuse(id, "`skill` takes one name in quotes, as in `skill('first-line')`"),
                };
                let kind = self.skill(id, &name)?;
                at.expr = Expr::Ident(name);
                Ok(kind)
            }
            Expr::Call(call) => self.call(id, call),
            Expr::Select(_) => self.refuse(id, "a name with a dot is put in quotes, as in `skill('first.line')`"),
            Expr::List(_) => self.refuse(id, "a list can only stand after `in` here"),
            Expr::Comprehension(_) => self.refuse(id, "there are no loops here: join comparisons with `&&` and `||`"),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                self.refuse(id, "there are only levels, numbers, true and false here")
            }
        }
    }

    /// A level that is compared with a number: no level is above the highest or below 0.
    fn can_be(&self, level: &IdedExpr, number: &IdedExpr) -> Result<(), SkillExpressionError> {
        let highest = i64::from(crate::limits::SKILL_LEVEL_MAX);
        match (&level.expr, &number.expr) {
            (Expr::Ident(_), Expr::Literal(LiteralValue::Int(n))) if !(0..=highest).contains(n.inner()) => {
                self.refuse(number.id, format!("a level is 1 to {highest}, or 0 for whoever has not got the skill"))
            }
            _ => Ok(()),
        }
    }

    fn skill(&mut self, id: u64, name: &str) -> Result<Kind, SkillExpressionError> {
        match Name::new(name) {
            Ok(name) => {
                self.skills.insert(name);
                Ok(Kind::Level)
            }
            Err(error) => self.refuse(id, format!("no skill can have this name: {error}")),
        }
    }

    fn call(&mut self, id: u64, call: &mut CallExpr) -> Result<Kind, SkillExpressionError> {
        use Kind::{Level, Truth};
        match (call.func_name.as_str(), call.args.as_mut_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
                self.wanted(left, Truth)?;
                self.wanted(right, Truth)
            }
            (operators::LOGICAL_NOT, [operand]) => self.wanted(operand, Truth),
            (operators::NEGATE, [operand]) => self.wanted(operand, Level),
            (operators::CONDITIONAL, [condition, yes, no]) => {
                self.wanted(condition, Truth)?;
                let kind = self.kind(yes)?;
                self.wanted(no, kind)
            }
            (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
                let kind = self.kind(left)?;
                self.wanted(right, kind)?;
                self.can_be(left, right)?;
                self.can_be(right, left).map(|()| Truth)
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                [left, right],
            ) => {
                self.wanted(left, Level)?;
                self.wanted(right, Level)?;
                self.can_be(left, right)?;
                self.can_be(right, left).map(|()| Truth)
            }
            (
                operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
                [left, right],
            ) => {
                self.wanted(left, Level)?;
                self.wanted(right, Level)
            }
            (operators::IN, [level, IdedExpr { expr: Expr::List(list), .. }]) => {
                self.wanted(level, Level)?;
                list.elements.iter_mut().try_for_each(|element| self.wanted(element, Level).map(drop))?;
                list.elements.iter().try_for_each(|element| self.can_be(level, element))?;
                Ok(Truth)
            }
            (operators::IN, _) => self.refuse(id, "after `in` comes a list of levels, as in `english in [3, 5]`"),
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, _) => {
                self.refuse(id, "a level has no parts: a skill is named as `english` or as `skill('first-line')`")
            }
            (function, _) => {
                let function: String = function.chars().take(80).collect();
                self.refuse(id, format!("there is no function `{function}`: known is only `skill`"))
            }
        }
    }

    fn wanted(&mut self, at: &mut IdedExpr, wanted: Kind) -> Result<Kind, SkillExpressionError> {
        match (self.kind(at)?, wanted) {
            (kind, wanted) if kind == wanted => Ok(kind),
            (Kind::Level, _) => {
                self.refuse(at.id, "a level stands where true or false is wanted: compare it, as in `english >= 5`")
            }
            (Kind::Truth, _) => self.refuse(at.id, "a comparison stands where a level or a number is wanted"),
        }
    }

    fn refuse<T>(&self, id: u64, message: impl Into<String>) -> Result<T, SkillExpressionError> {
        let offset = self.program.source_info().offset_for(id).map_or(0, |(start, _)| start as usize);
        let (line, column) = condition::place(self.text, offset);
        Err(SkillExpressionError::Refused { line, column, message: message.into() })
    }
}

impl From<ConditionError> for SkillExpressionError {
    fn from(error: ConditionError) -> Self {
        match error {
            ConditionError::TooLong => Self::TooLong,
            ConditionError::TooCostly => Self::TooCostly,
            ConditionError::NotBoolean(_) => Self::NotBoolean,
            ConditionError::Refused { line, column, message } => Self::Refused { line, column, message },
            ConditionError::Failed(message) => Self::Refused { line: 1, column: 1, message },
        }
    }
}

impl PartialEq for SkillExpression {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for SkillExpression {}

impl fmt::Debug for SkillExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SkillExpression").field(&self.0.text).finish()
    }
}

impl fmt::Display for SkillExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl FromStr for SkillExpression {
    type Err = SkillExpressionError;

    fn from_str(text: &str) -> Result<Self, SkillExpressionError> {
        Self::new(text)
    }
}

impl Serialize for SkillExpression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.text)
    }
}

impl<'de> Deserialize<'de> for SkillExpression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agent(skills: &[(&str, u8)]) -> BTreeMap<Name, u8> {
        skills.iter().map(|(name, level)| (Name::new(name).unwrap(), *level)).collect()
    }

    fn ana() -> BTreeMap<Name, u8> {
        agent(&[("english", 7), ("billing", 3), ("sales", 2), ("first-line", 4), ("a.b", 1), ("in", 6), ("int", 9)])
    }

    /// One line an expression: `expression => true`, `false` or the beginning of the error.
    fn table(lines: &str) {
        let mut wrong = String::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (expression, expected) = line.split_once("=>").unwrap();
            let answer = match SkillExpression::new(expression.trim()) {
                Ok(expression) => expression.matches(&ana()).to_string(),
                Err(error) => error.to_string(),
            };
            if !answer.starts_with(expected.trim()) {
                wrong += &format!("{line}\n  is: {answer}\n");
            }
        }
        assert!(wrong.is_empty(), "\n{wrong}");
    }

    #[test]
    fn an_expression_asks_for_levels() {
        table(
            r#"
            english >= 5                                       => true
            english > 7                                        => false
            english >= 5 && (billing > 3 || sales >= 2)        => true
            english >= 5 && billing > 3 || sales > 2           => false
            french == 0                                        => true
            french >= 1                                        => false
            !(french > 0)                                      => true
            skill("first-line") > 2                            => true
            skill('first-line') > 4                            => false
            skill('a.b') == 1                                  => true
            skill('in') == 6                                   => true
            skill('no-such') == 0                              => true
            int == 9                                           => true
            skill('english') == english                        => true
            english in [5, 7]                                  => true
            english in [5, sales * 3]                          => false
            english in []                                      => false
            english + billing + sales == 12                    => true
            english - billing * sales == 1                     => true
            english / 2 == 3 && english % 2 == 1               => true
            -english < -6                                      => true
            (english > billing ? sales : billing) == 2         => true
            english > 3 ? billing >= 3 : sales >= 3            => true
            (english > 3) == (billing > 3)                     => false
            (english > 3) != true                              => false
            (english >= 5 ? 1 : 0) + (sales >= 5 ? 1 : 0) >= 2 => false
            true                                               => true
            false                                              => false
            english >= 5 // at least                           => true
            "#,
        );
    }

    #[test]
    fn what_fails_when_it_runs_holds_for_nobody() {
        table(
            "
            english / french > 0                       => false
            english % french == 0                      => false
            !(english / french > 0)                    => false
            9223372036854775807 + english > 0          => false
            9223372036854775807 * sales > 0            => false
            english / french > 0 || sales == 2         => true
            french == 0 || english / french > 0        => true
            ",
        );
    }

    #[test]
    fn what_has_no_place_in_a_skill_expression_is_refused_where_it_stands() {
        table(
            r#"
            english                             => the expression gives a number where true or false is wanted
            english + 1                         => the expression gives a number
            5                                   => the expression gives a number
            english > 3 ? 1 : 0                 => the expression gives a number
            english && sales > 1                => line 1, column 1: a level stands where true or false is wanted
            sales > 1 || english                => line 1, column 14: a level stands where true or false
            !english                            => line 1, column 2: a level stands where true or false
            english == true                     => line 1, column 12: a comparison stands where a level
            (english > 1) + 1 > 2               => line 1, column 10: a comparison stands where a level
            1 < english < 5                     => line 1, column 3: a comparison stands where a level
            english > '5'                       => line 1, column 11: levels are whole numbers
            english > 5.0                       => line 1, column 11: levels are whole numbers
            english > 5u                        => line 1, column 11: levels are whole numbers
            english > null                      => line 1, column 11: levels are whole numbers
            English > 5                         => line 1, column 1: no skill can have this name: `English`: a name is
            _x > 5                              => line 1, column 1: no skill can have this name
            .english > 5                        => line 1, column 2: no skill can have this name
            skill('First Line') > 1             => line 1, column 6: no skill can have this name
            skill('') > 1                       => line 1, column 6: no skill can have this name
            skill(english) > 1                  => line 1, column 6: `skill` takes one name in quotes
            skill() > 1                         => line 1, column 6: `skill` takes one name in quotes
            skill('a', 'b') > 1                 => line 1, column 6: `skill` takes one name in quotes
            english.skill('a') > 1              => line 1, column 14: `skill` takes one name in quotes
            first.line > 1                      => line 1, column 6: a name with a dot is put in quotes
            has(first.line)                     => line 1, column 4: a name with a dot is put in quotes
            english[0] > 1                      => line 1, column 8: a level has no parts
            size('abc') > 1                     => line 1, column 5: there is no function `size`: known is only `skill`
            english.matches('x')                => line 1, column 16: there is no function `matches`
            [1, 2].exists(x, x > english)       => line 1, column 14: there are no loops here
            [english] == [5]                    => line 1, column 1: a list can only stand after `in`
            english in sales                    => line 1, column 9: after `in` comes a list of levels
            english in [true]                   => line 1, column 13: a comparison stands where a level
            {'a': 1} == {'a': 1}                => line 1, column 1: there are only levels
            Foo{a: 1} == 1                      => line 1, column 4: there are only levels
            english >= 5 sales                  => line 1, column 14: this is no CEL expression
            english >=                          => line 1, column 11: this is no CEL expression
            english = 5                         => line 1, column 9: `=` alone means nothing here
            english > 5 & sales > 2             => line 1, column 13: `&` alone means nothing here
            loop > 5                            => line 1, column 1: this is no CEL expression
            `first-line` > 5                    => line 1, column 1: names in back-quotes are not known here: put
            'abc                                => line 1, column 1: this text is never closed
            english > 99999999999999999999      => line 1, column 11: this is no CEL expression
            "#,
        );
        assert!(matches!(SkillExpression::new(""), Err(SkillExpressionError::Refused { .. })));
        let error = SkillExpression::new("english > 1 &&\n  Sales > 2").unwrap_err().to_string();
        assert!(error.starts_with("line 2, column 3: no skill can have this name"), "{error}");
    }

    #[test]
    fn an_expression_has_a_length_a_depth_and_a_number_of_steps() {
        assert_eq!(SkillExpression::new(&" ".repeat(8193)), Err(SkillExpressionError::TooLong));
        for deep in ["(".repeat(8000), format!("{}a > 1", "!".repeat(8000)), format!("1{} > 1", "+1".repeat(4000))] {
            let error = SkillExpression::new(&deep).unwrap_err().to_string();
            assert!(error.contains("nested too deep"), "{error}");
        }
        // Four steps for each comparison but the first, which is not joined to another.
        let wide = |count| vec!["a >= 0"; count].join(" && ");
        assert!(SkillExpression::new(&wide(100)).unwrap().matches(&ana()));
        assert_eq!(SkillExpression::new(&wide(101)), Err(SkillExpressionError::TooCostly));
    }

    #[test]
    fn an_expression_names_its_skills() {
        let expression = SkillExpression::new("b > 1 && (skill('a-b') > 2 || b in [c])").unwrap();
        let names: Vec<&str> = expression.skills().iter().map(Name::as_str).collect();
        assert_eq!(names, ["a-b", "b", "c"]);
    }

    #[test]
    fn an_expression_is_its_text_in_every_format() {
        let text = "english >= 5  && skill('first-line') > 2";
        let expression = SkillExpression::new(text).unwrap();
        assert_eq!((expression.text(), expression.to_string().as_str()), (text, text));
        assert_eq!(format!("{expression:?}"), format!("SkillExpression({text:?})"));
        let json = serde_json::to_string(&expression).unwrap();
        assert_eq!(json, serde_json::to_string(text).unwrap());
        assert_eq!(serde_json::from_str::<SkillExpression>(&json).unwrap(), expression);
        let bytes = postcard::to_stdvec(&expression).unwrap();
        let again: SkillExpression = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(again, expression.clone());
        assert!(again.matches(&ana()));
        assert_ne!(again, SkillExpression::new("english >= 5").unwrap());
        let error = serde_json::from_str::<SkillExpression>("\"english\"").unwrap_err().to_string();
        assert!(error.starts_with("the expression gives a number"), "{error}");
    }

    #[test]
    fn an_expression_can_be_shared_by_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<SkillExpression>();
    }

    /// Pieces that a parser may stumble over.
    const PIECES: &[&str] = &[
        "english",
        "sales",
        "french",
        "skill(",
        "'a-b'",
        "'",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        "?",
        ":",
        "1",
        "0",
        "-",
        "+",
        "*",
        "/",
        "%",
        "!",
        "==",
        "!=",
        "<",
        ">=",
        "&&",
        "||",
        "in",
        "true",
        "false",
        ".",
        "9223372036854775807",
        "1.5",
        "\n",
        "has(",
        ".exists(x,",
        "size(",
        "`",
        "\u{1f600}",
        "null",
        "5u",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn no_text_makes_it_panic(
            text in any::<String>(),
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24),
        ) {
            for text in [text, pieces.concat(), pieces.join(" ")] {
                if let Ok(expression) = SkillExpression::new(&text) {
                    let _ = expression.matches(&ana());
                }
            }
        }

        /// Comparisons of levels, joined at random, agree with the same in Rust.
        #[test]
        fn expression_and_model_agree(
            levels in [0u8..=10, 0u8..=10, 0u8..=10],
            terms in prop::collection::vec((0usize..3, 0usize..6, 0u8..=10, any::<bool>()), 1..12),
        ) {
            const NAMES: [&str; 3] = ["english", "sales", "first-line"];
            const SIGNS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
            let skills = agent(&NAMES.into_iter().zip(levels).filter(|(_, level)| *level > 0).collect::<Vec<_>>());
            let mut text = String::new();
            let mut holds = true;
            for (i, (name, sign, wanted, or)) in terms.iter().enumerate() {
                let level = levels[*name];
                let ordering = level.cmp(wanted);
                let term = [
                    ordering.is_eq(),
                    ordering.is_ne(),
                    ordering.is_lt(),
                    ordering.is_le(),
                    ordering.is_gt(),
                    ordering.is_ge(),
                ][*sign];
                let shown = format!("skill('{}') {} {wanted}", NAMES[*name], SIGNS[*sign]);
                (text, holds) = match (i, or) {
                    (0, _) => (shown, term),
                    (_, true) => (format!("({text}) || {shown}"), holds || term),
                    (_, false) => (format!("({text}) && {shown}"), holds && term),
                };
            }
            prop_assert_eq!(SkillExpression::new(&text).unwrap().matches(&skills), holds, "{}", text);
        }
    }
}
