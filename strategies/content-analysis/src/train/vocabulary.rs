//! Which features a model knows, and what they are worth.

use super::solver::Sparse;
use crate::features::{Block, Text};
use crate::model::{Feature, IDF_STEPS, LANES, ROWS_MAX, Slot};
use std::collections::HashMap;

/// A feature of fewer examples says nothing of the next one.
const EXAMPLES_MIN: u32 = 2;
/// The share of each block in the square of an example's length.
pub(super) const BLOCK_SHARE: f32 = 0.5;

/// The features of a text, each once.
pub(super) type Features = Vec<(u64, Block)>;

/// Reads a text's features.
pub(super) fn features(text: &str, bytes_max: usize) -> Features {
    let mut features = Vec::new();
    Text::read(&[text], bytes_max).features(|block, hash| features.push((hash, block)));
    features.sort_unstable_by_key(|(hash, _)| *hash);
    features.dedup_by_key(|(hash, _)| *hash);
    features
}

/// Features in the order of their rows, the most frequent first, so that what most texts read lies together.
pub(super) struct Vocabulary {
    pub features: Vec<Feature>,
    rows: HashMap<u64, u32>,
}

impl Vocabulary {
    /// Of the examples that are learned from, at most as many features as a model of `bytes_max` can hold.
    pub(super) fn new(examples: &[&Features], categories: usize, bytes_max: usize) -> Self {
        let mut counts: HashMap<u64, (Block, u32)> = HashMap::new();
        for (hash, block) in examples.iter().copied().flatten() {
            counts.entry(*hash).or_insert((*block, 0)).1 += 1;
        }
        let mut known: Vec<(u64, Block, u32)> = counts
            .into_iter()
            .filter(|(_, (_, count))| *count >= EXAMPLES_MIN)
            .map(|(hash, (block, count))| (hash, block, count))
            .collect();
        known.sort_unstable_by_key(|(hash, _, count)| (std::cmp::Reverse(*count), *hash));
        known.truncate(rows_max(categories, bytes_max));
        let total = examples.len() as f32;
        let features: Vec<Feature> = known
            .into_iter()
            .map(|(hash, block, count)| Feature {
                hash,
                block,
                idf: steps(((1.0 + total) / (1.0 + count as f32)).ln() + 1.0),
            })
            .collect();
        let rows = features.iter().zip(0..).map(|(f, row)| (f.hash, row));
        Self { rows: rows.collect(), features }
    }

    /// What a known feature weighs in an example before it is normalised.
    pub(super) fn value(&self, row: usize) -> f32 {
        (f32::from(self.features[row].idf) / IDF_STEPS).sqrt()
    }

    /// An example as the solver reads it: each block of length sqrt([`BLOCK_SHARE`]), so that neither drowns the other.
    pub(super) fn example(&self, features: &Features) -> Sparse {
        let mut example = Vec::with_capacity(features.len());
        let mut squares = [0.0_f32; 2];
        for (hash, block) in features {
            if let Some(&row) = self.rows.get(hash) {
                let value = self.value(row as usize);
                squares[*block as usize] += value * value;
                example.push((row, value));
            }
        }
        for (row, value) in &mut example {
            let block = self.features[*row as usize].block as usize;
            *value *= (BLOCK_SHARE / squares[block]).sqrt();
        }
        // By row: the solver then walks its weights in one direction.
        example.sort_unstable_by_key(|(row, _)| *row);
        example
    }
}

fn steps(idf: f32) -> u16 {
    (idf * IDF_STEPS).round().clamp(1.0, f32::from(Slot::IDF_MAX)) as u16
}

/// Rows are padded, and the table has up to four slots of 8 bytes for each.
fn rows_max(categories: usize, bytes_max: usize) -> usize {
    (bytes_max / (categories.next_multiple_of(LANES) + 32)).min(ROWS_MAX - 1)
}
