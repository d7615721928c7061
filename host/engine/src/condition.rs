//! Conditions: CEL expressions over an interaction, <https://cel.dev>.
//!
//! What an expression could do wrong is found when it is written, as far as that can be: unknown names and members,
//! patterns that are none, loops over things that have no known length. What is left of it when it runs is a missing key
//! of user data or a mix of types, and that is an error of the evaluation, not a panic and not `false`.
//!
//! Invariant: an expression that was accepted ends soon, on every interaction: its cost is bounded before it ever runs.
//! And it answers the same every time: maps are walked in the order of their keys.

mod cost;
mod depth;
mod kind;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use cel::common::traits::{Container, Indexer, Iterable, Sizer, Zeroer};
use cel::common::types::{CelBool, CelDouble, CelInt, CelOptional, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};
use cel::{Context, Env, ExecutionError, FunctionContext, IdedExpr, ParseErrors, Program, Value};

use crate::content::Content;
use crate::figure::{FigureName, Figures, Reading};
use crate::id::{InteractionId, Name, UnixMillis};

/// A compiled condition.
///
/// Names: `interaction`, `workflow` (its name) and `now_ms`. Members of `interaction`: the texts `id`, `media_type`,
/// `subject`, `body`, `sender`, `recipient`, `language` and `category` (the best), each `""` where there is none; the
/// maps `headers` (first value of each), `user_data`, `categories` (relevancy by name) and `skills` (level by name); the
/// numbers `priority`, `hops` and `submitted_at_ms`; and `answered`, true or false. What may be missing from a map is
/// asked for first, with `has(interaction.user_data.tier)` or `'tier' in interaction.user_data`, or taken with
/// `interaction.user_data.?tier.orValue('')`.
///
/// Figures of the stat server, under the names by which strategies ask for them: `statistic('queue', 'billing', 'waiting')`
/// is one of an object, `statistic('billing-wait')` one that was defined. Both are optional, for there may be none yet:
/// `statistic('queue', 'billing', 'waiting').orValue(0.0) > 10.0`. Their names are written out, so that they are checked
/// when the workflow is put.
#[derive(Debug)]
pub struct Condition {
    program: Program,
    /// Members of `interaction` that it refers to, in the order of their names. Only these are made.
    members: BTreeSet<&'static str>,
    /// Figures that it refers to. All of them are read before it is evaluated.
    figures: BTreeSet<FigureName>,
    steps: u64,
}

/// Why a condition was refused, or gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// The text is too long.
    #[error("a condition has at most {BYTES_MAX} bytes")]
    TooLong,
    /// It is no CEL expression, or one that has no place in a condition, or nested too deep.
    #[error("line {line}, column {column}: {message}")]
    Refused {
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong and what to do.
        message: String,
    },
    /// It could run for too long, or make too large a value.
    #[error(
        "the condition could take too long or too much memory on a large interaction: take loops, patterns or sums out of it"
    )]
    TooCostly,
    /// It failed on this interaction.
    #[error("the condition failed: {0}")]
    Failed(String),
    /// It gave something that is neither true nor false.
    #[error("the condition gave a value of type {0} where true or false is wanted")]
    NotBoolean(String),
}

/// Most bytes of an expression.
pub(crate) const BYTES_MAX: usize = 8 * 1024;

const INTERACTION: &str = "interaction";
const NOW: &str = "now_ms";
const WORKFLOW: &str = "workflow";
const STATISTIC: &str = "statistic";

pub(crate) static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

impl Condition {
    /// Compiles an expression.
    ///
    /// # Errors
    /// [`ConditionError`], with the place at fault where there is one: too long, no CEL, nested too deep, an unknown name,
    /// member or function, a bad pattern, or a loop whose length or cost is not bounded.
    pub fn new(expression: &str) -> Result<Self, ConditionError> {
        let program = parse(expression)?;
        let cost::Checked { members, figures, steps } = cost::check(expression, &program)?;
        Ok(Self { program, members, figures, steps })
    }

    /// The figures that it reads.
    pub fn figures(&self) -> impl Iterator<Item = &FigureName> {
        self.figures.iter()
    }

    /// Reads them.
    pub(crate) fn read(&self, figures: &dyn Figures) -> Vec<Reading> {
        let value = |figure| figures.value(figure).filter(|value| value.is_finite());
        self.figures.iter().map(|figure| Reading { figure: figure.clone(), value: value(figure) }).collect()
    }

    /// Most steps of one evaluation, of about 50 ns each.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// As [`new`](Self::new), for an expression that is written now: what can be seen never to give true or false is
    /// refused too. An older one may be stored already, and goes on to be what it was.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn drawn(expression: &str) -> Result<Self, ConditionError> {
        let condition = Self::new(expression)?;
        kind::check(expression, &condition.program)?;
        Ok(condition)
    }

    /// Whether it holds for an interaction. `readings`: what [`read`](Self::read) gave.
    ///
    /// # Errors
    /// [`ConditionError::Failed`] where a key is missing or types do not fit, [`ConditionError::NotBoolean`] where it gave
    /// another value. The workflow goes on by `error`.
    pub fn evaluate(
        &self,
        id: InteractionId,
        workflow: &Name,
        content: &Content,
        readings: &[Reading],
        now: UnixMillis,
    ) -> Result<bool, ConditionError> {
        let mut context = context(&self.members, id, workflow, content, now);
        if !readings.is_empty() {
            // The name is free, or no condition would ever have got here.
            let _ = context.add_function(STATISTIC, told(readings));
        }
        self.holds(&context)
    }

    /// Which of several hold for an interaction; those that fail do not. What they see is made once for all.
    pub(crate) fn all_that_hold<'a, K>(
        conditions: impl Iterator<Item = (K, &'a Self)> + Clone,
        id: InteractionId,
        workflow: &Name,
        content: &Content,
        now: UnixMillis,
    ) -> Vec<K> {
        if conditions.clone().next().is_none() {
            return Vec::new();
        }
        let members: BTreeSet<&'static str> = conditions.clone().flat_map(|(_, it)| &it.members).copied().collect();
        let context = context(&members, id, workflow, content, now);
        conditions.filter(|(_, it)| it.holds(&context) == Ok(true)).map(|(key, _)| key).collect()
    }

    fn holds(&self, context: &Context<'_, '_>) -> Result<bool, ConditionError> {
        let answer = Value::resolve_val(self.program.expression(), context)
            .map_err(|error| ConditionError::Failed(failure(&error)))?;
        match answer.downcast_ref::<CelBool>() {
            Some(answer) => Ok(*answer.inner()),
            None => Err(ConditionError::NotBoolean(answer.get_type().name().to_owned())),
        }
    }
}

/// What conditions see of an interaction.
fn context<'a>(
    members: &BTreeSet<&'static str>,
    id: InteractionId,
    workflow: &'a Name,
    content: &'a Content,
    now: UnixMillis,
) -> Context<'a, 'a> {
    let mut context = Context::with_env(Arc::clone(&ENV));
    let members = members.iter().map(|member| (*member, self::member(member, id, content)));
    context.add_variable_as_val(INTERACTION, Box::new(SortedMap::new(members)));
    context.add_variable_as_val(NOW, number(now.0));
    context.add_variable_as_val(WORKFLOW, Box::new(CelString::from(workflow.as_str())));
    context
}

/// What `statistic(…)` gives: what was read under its arguments.
fn told(readings: &[Reading]) -> Statistic {
    let known: BTreeMap<Vec<String>, Option<f64>> = readings
        .iter()
        .map(|Reading { figure: FigureName { statistic, object }, value }| {
            let object = object.iter().flat_map(|(kind, name)| [kind.name().to_owned(), name.to_string()]);
            (object.chain([statistic.to_string()]).collect(), *value)
        })
        .collect();
    Box::new(move |call| {
        let text = |argument: &CowVal<'_, '_>| Some(argument.downcast_ref::<CelString>()?.inner().to_owned());
        let arguments: Option<Vec<String>> = call.args.iter().map(text).collect();
        let value = arguments.and_then(|arguments| known.get(&arguments).copied()).flatten();
        let value = value.map(|value| -> Box<dyn Val> { Box::new(CelDouble::from(value)) });
        Ok(CowVal::owned(value.map_or_else(CelOptional::none, CelOptional::of)))
    })
}

/// A function as CEL calls it.
type Statistic = Box<
    dyn for<'context, 'call> Fn(
            &mut FunctionContext<'context, 'call>,
        ) -> Result<CowVal<'context, 'call>, ExecutionError>
        + Send
        + Sync,
>;

/// Parses what is short and flat enough for the parser; what it means is not looked at.
///
/// # Errors
/// [`ConditionError::TooLong`]; [`ConditionError::Refused`] where it is no CEL or nested too deep.
pub(crate) fn parse(expression: &str) -> Result<Program, ConditionError> {
    if expression.len() > BYTES_MAX {
        return Err(ConditionError::TooLong);
    }
    depth::check(expression)?;
    ENV.compile(expression).map_err(|errors| refused(&errors))
}

/// One member of `interaction`. Texts are lent, not copied.
fn member<'a>(member: &str, id: InteractionId, content: &'a Content) -> Box<dyn Val + 'a> {
    let Content { message, facts } = content;
    let optional = |text: &'a Option<String>| -> Box<dyn Val + 'a> { text_of(text.as_deref().unwrap_or_default()) };
    match member {
        "answered" => Box::new(CelBool::from(facts.answered)),
        "body" => text_of(&message.body),
        "categories" => {
            Box::new(SortedMap::new(facts.categories.iter().map(|c| (c.name.as_str(), number(u64::from(c.relevancy))))))
        }
        "category" => text_of(facts.categories.first().map_or("", |category| &category.name)),
        // The first of equal names wins, so the last is put in first.
        "headers" => {
            Box::new(SortedMap::new(message.headers.iter().rev().map(|h| (h.key.as_str(), text_of(&h.value)))))
        }
        "hops" => number(u64::from(facts.hops)),
        "id" => Box::new(CelString::from(id.to_string())),
        "language" => optional(&facts.language),
        "media_type" => text_of(message.media_type.as_str()),
        "priority" => number(u64::from(facts.priority)),
        "recipient" => optional(&message.recipient),
        "sender" => optional(&message.sender),
        "skills" => {
            Box::new(SortedMap::new(facts.skills.iter().map(|s| (s.name.as_str(), number(u64::from(s.level))))))
        }
        "subject" => optional(&message.subject),
        "submitted_at_ms" => number(message.submitted_at.0),
        "user_data" => Box::new(SortedMap::new(facts.user_data.iter().map(|(k, v)| (k.as_str(), text_of(v))))),
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
        let entries: BTreeMap<&str, Box<dyn Val + 'a>> = entries.collect();
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

/// A part of an expression that is refused.
fn refused_at(source: &str, program: &Program, at: &IdedExpr, message: String) -> ConditionError {
    let offset = program.source_info().offset_for(at.id).map_or(0, |(start, _)| start as usize);
    let (line, column) = place(source, offset);
    ConditionError::Refused { line, column, message }
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
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
        ExecutionError::Overflow(operator, ..) => {
            format!("the result of `{operator}` is too large")
        }
        ExecutionError::IndexOutOfBounds(_) => "the list has fewer items".to_owned(),
        ExecutionError::FunctionError { function, message } => cut_to(&format!("`{function}`: {message}"), 300),
        ExecutionError::UndeclaredReference(name) => format!("there is no `{}`", cut(name)),
        ExecutionError::DuplicateKey(_) => "a map has the same key twice".to_owned(),
        _ => "two values do not fit together".to_owned(),
    }
}

fn cut_to(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// The first characters of a text that may be long.
fn cut(text: &str) -> String {
    cut_to(text, 80)
}

/// Line and column of a character, both from 1.
pub(crate) fn place(source: &str, offset: usize) -> (usize, usize) {
    source.chars().take(offset).fold((1, 1), |(line, column), c| match c {
        '\n' => (line + 1, 1),
        _ => (line, column + 1),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::content::{Category, Entry, Facts, Message, Skill};
    use crate::limits::ENTRIES_MAX;

    const ID: &str = "0193e1a0-0000-7000-8000-000000000001";

    fn content() -> Content {
        let entry = |key: &str, value: &str| Entry { key: key.to_owned(), value: value.to_owned() };
        let message = Message {
            media_type: Name::new("email").unwrap(),
            subject: None,
            body: "My invoice 4711 is wrong".to_owned(),
            sender: Some("ana@example.org".to_owned()),
            recipient: Some("desk@example.com".to_owned()),
            headers: vec![entry("x-tag", "first"), entry("x-tag", "second"), entry("a", "b")],
            submitted_at: UnixMillis(1_000_000),
        };
        let category = |name: &str, relevancy| Category { name: name.to_owned(), relevancy };
        let data = ["tier", "name", "city"].into_iter();
        let facts = Facts {
            language: Some("de-AT".to_owned()),
            categories: vec![category("billing", 80), category("complaint", 30)],
            user_data: data.map(|key| (key.to_owned(), key.to_uppercase())).collect(),
            priority: 500,
            answered: true,
            hops: 2,
            skills: vec![Skill { name: "german".to_owned(), level: 5 }],
            last_agent: None,
            transcript: Default::default(),
        };
        Content { message: Arc::new(message), facts }
    }

    /// Of the queue billing: 7 wait. Of anything else nothing is known.
    #[derive(Debug)]
    struct Known;

    impl Figures for Known {
        fn value(&self, figure: &FigureName) -> Option<f64> {
            match (figure.object.as_ref().map(|(_, name)| name.as_str()), figure.statistic.as_str()) {
                (Some("billing"), "waiting") => Some(7.0),
                (None, "level") => Some(82.5),
                (None, "broken") => Some(f64::NAN),
                _ => None,
            }
        }
    }

    fn evaluate_on(content: &Content, expression: &str) -> Result<bool, ConditionError> {
        let workflow = Name::new("mail").unwrap();
        let condition = Condition::new(expression)?;
        let readings = condition.read(&Known);
        condition.evaluate(ID.parse().unwrap(), &workflow, content, &readings, UnixMillis(1_060_000))
    }

    fn evaluate(expression: &str) -> Result<bool, ConditionError> {
        evaluate_on(&content(), expression)
    }

    /// One line an expression: `expression => true`, `false` or the beginning of the error.
    fn table(lines: &str) {
        let mut wrong = String::new();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (expression, expected) = line.split_once("=>").unwrap();
            let answer = match evaluate(expression.trim()) {
                Ok(answer) => answer.to_string(),
                Err(error) => error.to_string(),
            };
            if !answer.starts_with(expected.trim()) {
                wrong += &format!("{line}\n  is: {answer}\n");
            }
        }
        assert!(wrong.is_empty(), "\n{wrong}");
    }

    #[test]
    fn a_condition_reads_figures_by_the_names_that_strategies_use() {
        table(
            r#"
            statistic('queue', 'billing', 'waiting').orValue(0.0) == 7.0            => true
            statistic('queue', 'billing', 'waiting').orValue(0) > 6                 => true
            statistic("queue", 'billing', 'oldest-wait').orValue(0.0) > 6.0         => false
            statistic('queue', 'billing', 'oldest-wait').hasValue()                 => false
            statistic('level').orValue(0.0) >= 80.0                                 => true
            statistic('broken').hasValue()                                          => false
            interaction.priority > 0 && statistic('level').orValue(0.0) < 90.0      => true
            ['a'].exists(x, statistic('level').hasValue())                          => true
            statistic(interaction.media_type).hasValue()                            => line 1, column 10: the names of a statistic must be written out
            statistic('queue', 'billing').hasValue()                                => line 1, column 10: write `statistic('NAME')`
            statistic('table', 'billing', 'waiting').hasValue()                     => line 1, column 10: a statistic is about one of `queue`
            statistic('Not a name').hasValue()                                      => line 1, column 10: `Not a name` is no name
            statistic().hasValue()                                                  => line 1, column 10: write `statistic('NAME')`
            'a'.statistic('level').hasValue()                                       => line 1, column 14: write `statistic('NAME')`
            "#,
        );
        let many: Vec<String> = (0..17).map(|n| format!("statistic('s{n}').hasValue()")).collect();
        assert_eq!(evaluate(&many[..16].join(" || ")), Ok(false));
        assert!(evaluate(&many.join(" || ")).unwrap_err().to_string().contains("at most 16 statistics"));
        let same = vec!["statistic('level').hasValue()"; 20];
        assert_eq!(evaluate(&same.join(" && ")), Ok(true), "one that is named again is read once");
    }

    #[test]
    fn a_condition_sees_the_interaction() {
        table(
            r#"
            interaction.id == '0193e1a0-0000-7000-8000-000000000001'            => true
            interaction.media_type == 'email'                                   => true
            interaction.subject == ''                                           => true
            interaction.body.contains('invoice')                                => true
            interaction.body.matches('invoice [0-9]{4}\\b')                     => true
            interaction.body.matches(r'invoice \d{5}')                          => false
            interaction.sender.endsWith('@example.org')                         => true
            interaction.recipient.startsWith("desk@")                           => true
            interaction.headers['x-tag'] == 'first'                             => true
            size(interaction.headers) == 2                                      => true
            interaction.language in ['de', 'de-AT']                             => true
            interaction.category == 'billing'                                   => true
            interaction.categories.complaint >= 30                              => true
            'complaint' in interaction.categories && !('x' in interaction.categories) => true
            interaction.user_data.tier == 'TIER'                                => true
            has(interaction.user_data.tier) && !has(interaction.user_data.none) => true
            interaction.user_data.?none.orValue('x') == 'x'                     => true
            interaction.?user_data.?tier.orValue('x') == 'TIER'                 => true
            interaction['user_data']['city'] == 'CITY'                          => true
            interaction.priority > 400 && interaction.hops < 3                  => true
            interaction.answered                                                => true
            interaction.skills.german == 5                                      => true
            now_ms - interaction.submitted_at_ms == 60000                       => true
            workflow == 'mail'                                                  => true
            interaction.user_data.exists(k, interaction.user_data[k] == 'CITY') => true
            interaction.user_data.all(k, k in ['tier', 'name'])                 => false
            ['a', 'b'].exists_one(x, x == 'a')                                  => true
            {'de-AT': true}[interaction.language]                               => true
            interaction.language in {'de-AT': 1}                                => true
            type(interaction.priority) == int                                   => true
            optional.of(1).hasValue() ? true : false                            => true
            true // a remark                                                    => true
            "#,
        );
    }

    #[test]
    fn maps_are_walked_in_the_order_of_their_keys() {
        table(
            "
            interaction.user_data.map(k, k) == ['city', 'name', 'tier'] => true
            interaction.headers.filter(k, true)[0] == 'a'               => true
            ",
        );
    }

    #[test]
    fn what_fails_is_an_error_and_neither_true_nor_false() {
        table(
            "
            interaction.user_data.none == 'gold'     => the condition failed: there is no `none`
            interaction.user_data['none'] == 'gold'  => the condition failed: there is no `none`
            interaction.headers.none == ''           => the condition failed: there is no `none`
            interaction.user_data[1] == 'gold'       => the condition failed
            interaction.language                     => the condition gave a value of type string
            interaction.priority                     => the condition gave a value of type int
            interaction.user_data                    => the condition gave a value of type map
            interaction.priority / 0 == 1            => the condition failed: division by zero
            interaction.priority % 0 == 1            => the condition failed: division by zero
            interaction.priority + 'a' == 'b'        => the condition failed: these two values have no `add`
            9223372036854775807 + 1 > 0              => the condition failed: the result of `add` is too large
            interaction.body > 1                     => the condition failed: found no matching overload
            [1][5] == 1                              => the condition failed: the list has fewer items
            {'a': 1, 'a': 2}['a'] == 1               => the condition failed: a map has the same key twice
            int(interaction.language) == 1           => the condition failed
            now_ms.x                                 => the condition failed
            interaction.body[0] == 'M'               => the condition failed
            interaction.user_data.none == 'x' || true => true
            ",
        );
    }

    #[test]
    fn what_has_no_place_in_a_condition_is_refused_where_it_stands() {
        table(
            r"
            interaction.langauge == 'de'             => line 1, column 1: `interaction` has no `langauge`: it has `answered`,
            interaction['langauge'] == 'de'          => line 1, column 1: `interaction` has no `langauge`
            interaction == 1                         => line 1, column 1: say which part of `interaction`
            interaction[workflow] == 1               => line 1, column 1: say which part of `interaction`
            true && user.name == 'x'                 => line 1, column 9: there is no `user`
            .interaction.body == ''                  => line 1, column 2: there is no `.interaction`
            lower(workflow) == 'x'                   => line 1, column 6: there is no function `lower`
            .matches(workflow, workflow)             => line 1, column 9: there is no function `.matches`
            workflow.matches(workflow)               => line 1, column 17: the pattern of `matches` must be written out
            workflow.matches('(')                    => line 1, column 17: the pattern of `matches` is no regular expression: unclosed group
            workflow.matches('(\\pL{50}){50}')       => line 1, column 17: the pattern of `matches` repeats too much
            Foo{a: 1} == 1                           => line 1, column 4: a condition has no types of its own
            {'a': 1}.exists(k, true)                 => line 1, column 16: a loop such as `exists`
            (true ? {'a': 1} : {}).map(k, k)[0] == 'a' => line 1, column 27: a loop such as `exists`
            size({'a': 1}) == 1                      => line 1, column 6: a map can only stand before `[`
            workflow.exists(x, true)                 => line 1, column 16: a loop such as `exists`
            [1].exists(interaction, interaction == 1) => line 1, column 11: `interaction` is taken
            [1].all(x, [1].all(y, [1].all(z, z == x))) => line 1, column 30: at most 2 loops
            [[1]].all(x, x.all(y, true))             => line 1, column 19: a loop such as `exists`
            workflow = 'x'                           => line 1, column 10: `=` alone means nothing here: write `==`
            true & false                             => line 1, column 6: `&` alone means nothing here: write `&&`
            1 +                                      => line 1, column 4: this is no CEL expression
            a b                                      => line 1, column 3: this is no CEL expression
            'abc                                     => line 1, column 1: this text is never closed
            1'abc'                                   => line 1, column 1: an operator is missing
            '\q'                                     => line 1, column 2: `\q` is no escape
            a.`b`                                    => line 1, column 3: names in back-quotes
            [1].all(x)                               => line 1, column 8: there is no function `all`
            ",
        );
        assert!(matches!(evaluate(""), Err(ConditionError::Refused { .. })));
        let error = evaluate("true &&\n  bad").unwrap_err().to_string();
        assert!(error.starts_with("line 2, column 3: there is no `bad`"), "{error}");
    }

    #[test]
    fn an_expression_has_a_length_and_a_depth() {
        assert_eq!(evaluate(&" ".repeat(8193)).unwrap_err(), ConditionError::TooLong);
        let deep = [
            "(".repeat(8000),
            format!("{}1{}", "(".repeat(4000), ")".repeat(4000)),
            format!("{}1", "!".repeat(8000)),
            format!("{}1", "-".repeat(8000)),
            format!("1{}", "+1".repeat(4000)),
            format!("1{}", ".a".repeat(4000)),
            format!("1{}", "[1]".repeat(2000)),
            format!("1{}", " in 1".repeat(1500)),
            format!("{}1{}", "[".repeat(4000), "]".repeat(4000)),
            "true?true:".repeat(800),
            "(1+".repeat(2000),
            "(a||(".repeat(1600),
            "{1:".repeat(2000),
            "f(".repeat(4000),
        ];
        for source in deep {
            let error = evaluate(&source).unwrap_err().to_string();
            assert!(error.contains("nested too deep"), "{error}");
        }
        let wide = vec!["interaction.answered"; 300];
        assert_eq!(evaluate(&wide.join(" && ")), Ok(true));
        assert_eq!(evaluate(&wide.join(" || ")), Ok(true));
        let list = vec!["1"; 4000].join(",");
        assert_eq!(evaluate(&format!("size([{list}]) == 4000")), Ok(true));
    }

    #[test]
    fn the_deepest_expressions_run_on_a_small_stack() {
        let deep = [
            format!("{}true{}", "(".repeat(90), ")".repeat(90)),
            format!("0{} == 96", "+1".repeat(96)),
            format!("{}true", "!".repeat(98)),
            format!("{}true", "false?false:".repeat(95)),
            format!("{}[true]{} == [true]", "[".repeat(40), "][0]".repeat(40).replace("]]", "]")),
        ];
        for source in deep {
            let _ = evaluate(&source);
        }
    }

    #[test]
    fn what_could_take_too_long_is_refused() {
        let ones = vec!["1"; 2000].join(",");
        let costly = [
            format!("[{ones}].all(x, [{ones}].all(y, x == y))"),
            "interaction.user_data.all(a, interaction.user_data.all(b, interaction.body.contains(a + b)))".to_owned(),
            "interaction.user_data.all(k, interaction.body.matches('(a|b)*c'))".to_owned(),
            "interaction.user_data.map(k, interaction.body + interaction.body).size() > 1".to_owned(),
        ];
        for source in costly {
            assert_eq!(evaluate(&source).unwrap_err(), ConditionError::TooCostly, "{source}");
        }
    }

    #[test]
    fn what_could_take_too_much_memory_is_refused() {
        let grown = |step: &str, times| format!("['x']{}.size() == 1", step.repeat(times));
        let large = [
            grown(".map(a, a + a)", 40),
            grown(".map(a, [a, a])", 40),
            grown(".map(a, [[a][0] + string(a)][0])", 40),
            grown(".filter(a, true).map(a, true ? a + a : a)", 20),
            grown(".map(a, optional.of(a + a).value())", 40),
            "interaction.user_data.map(k, interaction.user_data[k] + interaction.user_data[k] + 'x').size() > 1"
                .to_owned(),
            "size(interaction.body + interaction.body + interaction.body + interaction.body + 'x') > 1".to_owned(),
        ];
        for source in large {
            assert_eq!(Condition::new(&source).unwrap_err(), ConditionError::TooCostly, "{source}");
        }
        let small = [
            grown(".map(a, a + a)", 4),
            grown(".map(a, a + 'x')", 40),
            "size(interaction.subject + ' ' + interaction.body) > 1".to_owned(),
            "interaction.user_data.exists(k, k + '=' + interaction.user_data[k] == 'tier=TIER')".to_owned(),
        ];
        for source in small {
            assert_eq!(evaluate(&source), Ok(true), "{source}");
        }
    }

    #[test]
    fn the_dearest_loops_over_a_large_interaction_end() {
        let mut content = content();
        Arc::make_mut(&mut content.message).body = "a".repeat(1024 * 1024);
        content.facts.user_data = (0..ENTRIES_MAX).map(|n| (format!("key{n}"), "v".repeat(8192))).collect();
        let sources = [
            "interaction.user_data.exists(k, interaction.body.contains(k))",
            "interaction.user_data.all(a, interaction.user_data.all(b, a != ''))",
            "interaction.body.matches('(a|b)*c(d|e)+') || interaction.body.matches('([ab]{1,20}c){3}')",
            "interaction.user_data.map(k, interaction.user_data[k]).size() == 256",
        ];
        for source in sources {
            assert!(evaluate_on(&content, source).is_ok(), "{source}");
        }
    }

    #[test]
    fn brackets_within_quotes_and_remarks_are_no_depth() {
        let open = "(".repeat(500);
        let sources = [
            format!("'{open}' == ''"),
            format!("'''\n'{open}''' == ''"),
            format!(r#"r"\{open}" == """#),
            format!(r"'\'{open}' == ''"),
            format!("false // {open}"),
        ];
        for source in sources {
            assert_eq!(evaluate(&source), Ok(false), "{source}");
        }
    }

    #[test]
    fn only_what_is_referred_to_is_made() {
        let members = |source| Vec::from_iter(Condition::new(source).unwrap().members).join(" ");
        assert_eq!(members("interaction.answered || interaction['hops'] > 1"), "answered hops");
        assert_eq!(members("has(interaction.body)"), "body");
        assert_eq!(members("now_ms > 1"), "");
    }

    #[test]
    fn a_condition_can_be_shared_by_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Condition>();
    }

    /// Pieces that a parser may stumble over.
    const PIECES: &[&str] = &[
        "interaction",
        ".",
        "user_data",
        "body",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        "?",
        ":",
        "'",
        "\"",
        "'a'",
        "'''",
        "r'\\'",
        "b'\\xff'",
        "1",
        "-",
        "1u",
        "0x",
        "0x1f",
        "1e",
        "1e999",
        "9223372036854775808",
        "-9223372036854775808",
        "18446744073709551616u",
        "1.",
        ".5",
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
        "|",
        "&",
        "in",
        "has(",
        ".exists(x,",
        ".all(x,",
        ".map(x,",
        ".filter(x,",
        ".exists_one(x,",
        "size(",
        ".matches(",
        "int(",
        "string(",
        "double(",
        "optional",
        ".of(",
        ".?",
        "[?",
        "null",
        "true",
        "false",
        "x",
        "//",
        "\n",
        "\\",
        "#",
        "`",
        "\u{1f600}",
        "now_ms",
        "-9223372036854775808 / -1",
        "'\\U00110000'",
        "'\\ud800'",
        "b'\\u0041'",
        "uint(-1)",
        "int(1e30)",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn no_text_makes_it_panic(source in any::<String>()) {
            let _ = evaluate(&source);
        }

        #[test]
        fn no_rubble_makes_it_panic(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24)) {
            let _ = evaluate(&pieces.concat());
            let _ = evaluate(&pieces.join(" "));
        }
    }
}
