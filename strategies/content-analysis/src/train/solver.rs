//! One-against-the-rest linear support vector machines with squared hinge loss.
//!
//! Dual coordinate descent as in LIBLINEAR: Hsieh, Chang, Lin, Keerthi and Sundararajan, "A Dual Coordinate Descent
//! Method for Large-scale Linear SVM", ICML 2008, algorithm 1 with D = 1/(2C). [`LANES`] categories share one pass
//! over the examples, since they read the same features; threads share the groups of categories.
//!
//! Invariant: the result depends on the examples, the cost and the seed, and not on the number of threads.

use super::random::Random;
use crate::model::LANES;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Stops when no coordinate's projected gradient is larger.
const TOLERANCE: f32 = 0.1;
const EPOCHS_MAX: usize = 40;

/// An example: its features and their values, of length 1 over all or shorter.
pub(super) type Sparse = Vec<(u32, f32)>;

/// What separates [`LANES`] categories from the rest: a row for each feature, the last one for the constant.
pub(super) type Group = Vec<[f32; LANES]>;

/// What is to be solved.
pub(super) struct Problem<'a> {
    pub examples: Vec<&'a Sparse>,
    /// The category of each example.
    pub labels: Vec<usize>,
    pub categories: usize,
    pub features: usize,
    /// Cost of errors, C.
    pub cost: f32,
    pub seed: u64,
    pub threads: usize,
}

/// The planes that were found.
pub(super) struct Planes {
    groups: Vec<Group>,
    categories: usize,
}

impl Planes {
    /// The signed distance of an example from the plane of each category.
    pub(super) fn scores(&self, example: &Sparse) -> Vec<f32> {
        let mut scores = Vec::with_capacity(self.groups.len() * LANES);
        for group in &self.groups {
            scores.extend(distances(group, example));
        }
        scores.truncate(self.categories);
        scores
    }

    /// The weight of each category for a feature.
    pub(super) fn weights(&self, feature: usize) -> Vec<f32> {
        let mut weights: Vec<f32> = self.groups.iter().flat_map(|g| g[feature]).collect();
        weights.truncate(self.categories);
        weights
    }
}

/// Finds the planes.
pub(super) fn solve(problem: &Problem) -> Planes {
    let count = problem.categories.div_ceil(LANES);
    let groups: Vec<Mutex<Group>> = (0..count).map(|_| Mutex::default()).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..problem.threads.clamp(1, count) {
            scope.spawn(|| {
                while let at = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(slot) = groups.get(at)
                {
                    let group = solve_group(problem, at * LANES);
                    *slot.lock().unwrap_or_else(|e| e.into_inner()) = group;
                }
            });
        }
    });
    Planes {
        groups: groups.into_iter().map(|group| group.into_inner().unwrap_or_else(|e| e.into_inner())).collect(),
        categories: problem.categories,
    }
}

fn solve_group(problem: &Problem, first: usize) -> Group {
    let ridge = 1.0 / (2.0 * problem.cost);
    let constant = problem.features;
    let mut weights = vec![[0.0_f32; LANES]; problem.features + 1];
    let mut alphas = vec![[0.0_f32; LANES]; problem.examples.len()];
    let squares: Vec<f32> =
        problem.examples.iter().map(|example| example.iter().map(|(_, x)| x * x).sum::<f32>() + 1.0).collect();
    let mut order: Vec<usize> = (0..problem.examples.len()).collect();
    let mut random = Random::new(problem.seed);
    for _ in 0..EPOCHS_MAX {
        random.shuffle(&mut order);
        let mut largest = 0.0_f32;
        for &at in &order {
            let example = problem.examples[at];
            let distances = distances(&weights, example);
            let mut steps = [0.0_f32; LANES];
            let mut moved = false;
            for lane in 0..LANES {
                let side = if problem.labels[at] == first + lane { 1.0 } else { -1.0 };
                let alpha = alphas[at][lane];
                let gradient = side * distances[lane] - 1.0 + ridge * alpha;
                let projected = if alpha == 0.0 { gradient.min(0.0) } else { gradient };
                largest = largest.max(projected.abs());
                if projected.abs() > 1e-6 {
                    let new = (alpha - gradient / (squares[at] + ridge)).max(0.0);
                    steps[lane] = (new - alpha) * side;
                    alphas[at][lane] = new;
                    moved = true;
                }
            }
            if moved {
                for &(feature, value) in example {
                    for (weight, step) in weights[feature as usize].iter_mut().zip(steps) {
                        *weight += step * value;
                    }
                }
                for (weight, step) in weights[constant].iter_mut().zip(steps) {
                    *weight += step;
                }
            }
        }
        if largest < TOLERANCE {
            break;
        }
    }
    weights
}

fn distances(group: &Group, example: &Sparse) -> [f32; LANES] {
    let mut distances = group.last().copied().unwrap_or_default();
    for &(feature, value) in example {
        for (distance, weight) in distances.iter_mut().zip(&group[feature as usize]) {
            *distance += weight * value;
        }
    }
    distances
}
