//! How well predictions fit: figures per category, and what is taken for what.

use std::collections::{BTreeMap, BTreeSet};

/// Most confusions that a report names.
const CONFUSIONS_MAX: usize = 20;

/// How well predictions fit what was right.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Report {
    /// Examples that were judged. Where it is 0, all figures are 0.
    pub examples: usize,
    /// Share that was predicted rightly, 0 to 1.
    pub accuracy: f64,
    /// Mean of the categories' F1, each weighing the same, 0 to 1.
    pub macro_f1: f64,
    /// By name.
    pub categories: Vec<CategoryReport>,
    /// What is taken for what most often, at most 20, the most frequent first.
    pub confusions: Vec<Confusion>,
    /// Examples that were not learned from, by category.
    pub left_out: Vec<LeftOut>,
}

/// Examples of a category that were not learned from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LeftOut {
    /// The name of the category.
    pub category: String,
    /// How many.
    pub examples: usize,
    /// Why.
    pub why: Why,
}

/// Why examples were not learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Their text is blank.
    Blank,
    /// Their category has fewer than [`CATEGORY_EXAMPLES_MIN`](super::CATEGORY_EXAMPLES_MIN).
    CategorySmall,
}

/// How well one category is found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct CategoryReport {
    /// Its name.
    pub category: String,
    /// Examples that are of it.
    pub support: usize,
    /// Share of those predicted to be of it that are, 0 to 1; 0 where none was predicted.
    pub precision: f64,
    /// Share of those that are of it that were predicted to be, 0 to 1; 0 where there is none.
    pub recall: f64,
    /// Harmonic mean of precision and recall, 0 to 1.
    pub f1: f64,
}

/// Examples of one category that were taken for another.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Confusion {
    /// What they are.
    pub actual: String,
    /// What they were taken for.
    pub predicted: String,
    /// How many.
    pub count: usize,
}

/// Judges predictions, each with what was right.
pub fn evaluate<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Report {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (predicted, actual) in pairs {
        *counts.entry((actual, predicted)).or_default() += 1;
    }
    let examples = counts.values().sum();
    let right: usize =
        counts.iter().filter(|((actual, predicted), _)| actual == predicted).map(|(_, count)| count).sum();
    let names: BTreeSet<&str> = counts.keys().flat_map(|(a, p)| [*a, *p]).collect();
    let categories: Vec<_> = names.iter().map(|name| category(name, &counts)).collect();
    let mut confusions: Vec<_> = counts
        .iter()
        .filter(|((actual, predicted), _)| actual != predicted)
        .map(|((actual, predicted), count)| Confusion {
            actual: (*actual).to_owned(),
            predicted: (*predicted).to_owned(),
            count: *count,
        })
        .collect();
    confusions.sort_by_key(|confusion| std::cmp::Reverse(confusion.count));
    confusions.truncate(CONFUSIONS_MAX);
    Report {
        examples,
        accuracy: share(right, examples),
        macro_f1: categories.iter().map(|c| c.f1).sum::<f64>() / categories.len().max(1) as f64,
        categories,
        confusions,
        left_out: Vec::new(),
    }
}

fn category(name: &str, counts: &BTreeMap<(&str, &str), usize>) -> CategoryReport {
    let [mut right, mut support, mut predictions] = [0; 3];
    for ((actual, predicted), count) in counts {
        if *actual == name {
            support += count;
        }
        if *predicted == name {
            predictions += count;
        }
        if *actual == name && *predicted == name {
            right += count;
        }
    }
    CategoryReport {
        category: name.to_owned(),
        support,
        precision: share(right, predictions),
        recall: share(right, support),
        f1: share(2 * right, support + predictions),
    }
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_worked_out_by_hand() {
        let report = evaluate([("a", "a"), ("a", "b"), ("b", "b"), ("b", "b"), ("c", "a")]);
        assert_eq!((report.examples, report.accuracy), (5, 0.6));
        let [a, b, c] = &report.categories[..] else { panic!("three categories") };
        assert_eq!((a.support, a.precision, a.recall, a.f1), (2, 0.5, 0.5, 0.5));
        assert_eq!((b.support, b.precision, b.recall), (3, 1.0, 2.0 / 3.0));
        assert_eq!((c.support, c.precision, c.recall, c.f1), (0, 0.0, 0.0, 0.0));
        assert_eq!(report.confusions.len(), 2);
    }

    #[test]
    fn nothing_judged_is_no_figures() {
        let report = evaluate([]);
        assert_eq!((report.examples, report.accuracy, report.macro_f1), (0, 0.0, 0.0));
    }
}
