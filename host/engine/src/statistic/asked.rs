//! What all statistics of an account ask for, so that nothing else is found out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Happening, Mark, ObjectKind, Statistic};
use crate::condition::Condition;
use crate::content::Content;
use crate::id::{InteractionId, Name, UnixMillis};
use crate::limits;

/// What statistics ask for that has to be found out, each once, and how many ask.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    categories: BTreeMap<String, usize>,
    conditions: BTreeMap<String, (Arc<Condition>, usize)>,
    groups: BTreeMap<(ObjectKind, Name), usize>,
    standing: usize,
    happenings: BTreeMap<Happening, usize>,
}

impl Asked {
    /// A statistic was put.
    pub(crate) fn add(&mut self, statistic: &Statistic) {
        let Statistic { filter, object, measure, .. } = statistic;
        self.standing += usize::from(measure.counts_standing());
        for what in statistic.happenings() {
            *self.happenings.entry(*what).or_default() += 1;
        }
        if let (ObjectKind::AgentGroup | ObjectKind::PlaceGroup, Some(name)) = (object.kind, &object.name) {
            *self.groups.entry((object.kind, name.clone())).or_default() += 1;
        }
        if let Some(category) = &filter.category {
            *self.categories.entry(category.clone()).or_default() += 1;
        }
        if let Some(text) = &filter.condition {
            if let Some((_, users)) = self.conditions.get_mut(text) {
                *users += 1;
            } else if let Ok(condition) = Condition::new(text) {
                self.conditions.insert(text.clone(), (Arc::new(condition), 1));
            }
        }
    }

    /// A statistic was taken away.
    pub(crate) fn take(&mut self, statistic: &Statistic) {
        let Statistic { filter, object, measure, .. } = statistic;
        self.standing -= usize::from(measure.counts_standing());
        for what in statistic.happenings() {
            if let Some(users) = self.happenings.get_mut(what) {
                *users -= 1;
                if *users == 0 {
                    self.happenings.remove(what);
                }
            }
        }
        if let Some(name) = &object.name
            && let Some(users) = self.groups.get_mut(&(object.kind, name.clone()))
        {
            *users -= 1;
            if *users == 0 {
                self.groups.remove(&(object.kind, name.clone()));
            }
        }
        if let Some(category) = &filter.category
            && let Some(users) = self.categories.get_mut(category)
        {
            *users -= 1;
            if *users == 0 {
                self.categories.remove(category);
            }
        }
        if let Some(text) = &filter.condition
            && let Some((_, users)) = self.conditions.get_mut(text)
        {
            *users -= 1;
            if *users == 0 {
                self.conditions.remove(text);
            }
        }
    }

    /// Whether one more condition can be asked. All of them are asked after each command that changes what is known of an
    /// interaction: their cost is the lane's.
    pub(crate) fn has_room_for(&self, text: &str, condition: &Condition) -> bool {
        let steps = self.conditions.values().map(|(condition, _)| condition.steps()).fold(0, u64::saturating_add);
        self.conditions.contains_key(text)
            || (self.conditions.len() < limits::STATISTIC_CONDITIONS_MAX
                && steps.saturating_add(condition.steps()) <= limits::WALK_STEPS_MAX)
    }

    /// The groups that are asked for.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &(ObjectKind, Name)> {
        self.groups.keys()
    }

    /// Whether anybody asks how interactions stand now.
    pub(crate) fn counts_standing(&self) -> bool {
        self.standing > 0
    }

    /// Whether anybody looks at a happening.
    pub(crate) fn looks_at(&self, what: Happening) -> bool {
        self.happenings.contains_key(&what)
    }

    /// Whether what interactions hold matters to anybody.
    pub(crate) fn has_marks(&self) -> bool {
        !self.categories.is_empty() || !self.conditions.is_empty()
    }

    /// The marks that an interaction has, in order.
    pub(crate) fn marks(&self, id: InteractionId, workflow: &Name, content: &Content, now: UnixMillis) -> Vec<Mark> {
        let best = content.facts.categories.first().filter(|best| self.categories.contains_key(&best.name));
        let category = best.map(|best| Mark::category(&best.name));
        let conditions = self.conditions.iter().map(|(text, (condition, _))| (text, &**condition));
        let conditions = Condition::all_that_hold(conditions, id, workflow, content, now);
        let mut marks: Vec<Mark> =
            category.into_iter().chain(conditions.into_iter().map(String::as_str).map(Mark::condition)).collect();
        marks.sort_unstable();
        marks
    }
}
