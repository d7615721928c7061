//! The trained model: how its bytes lie, and what it says of a text.
//!
//! The bytes are used where they are, so a call reads them and writes nothing: a hash table from a feature to its row,
//! and rows of one signed byte per category. All numbers are little-endian.
//!
//! | at | what |
//! |---|---|
//! | 0 | `sbxtext`, then the [format](FORMAT) in one byte |
//! | 8 | u64 checksum of all that follows |
//! | 16 | u32 categories · u32 rows · u32 slots, as a power of two · u32 bytes of names |
//! | 32 | f32 scale of the block of words · f32 scale of the block of characters |
//! | 40 | f32 offset of each category |
//! | | names of the categories, each a byte of length and UTF-8 |
//! | | zeros up to a multiple of 64 |
//! | | slots of 8 bytes, open addressing with linear probing: [`Slot`] |
//! | | rows of i8 weights, each padded with zeros to a multiple of [`LANES`] |
//!
//! The answer for category c is softmax over `offset[c] + Σ_block scale · Σ_row weight[row][c] / sqrt(Σ_row idf)`,
//! each row of the text taken once: its value is the square root of its inverse document frequency.
//!
//! Invariant: a [`Model`] has passed every check, so reading it cannot go out of bounds or loop for ever.

use crate::features::{Block, Text};
use std::collections::BTreeSet;

/// The format that is written, and the only one that is read.
pub const FORMAT: u8 = 1;
/// Most categories of a model.
pub const CATEGORIES_MAX: usize = 1000;
/// Longest name of a category, in bytes: what the strategy interface allows.
pub const NAME_BYTES_MAX: usize = 128;
/// Most rows, which is most features, of a model.
pub const ROWS_MAX: usize = 1 << 20;
/// Categories that are added up at once.
pub const LANES: usize = 16;
/// Steps of 1 of the inverse document frequency that a slot keeps.
pub const IDF_STEPS: f32 = 128.0;

const MAGIC: &[u8; 7] = b"sbxtext";
const HEAD_BYTES: usize = 40;
const SLOT_BYTES: usize = 8;
const SLOTS_LOG2_MAX: u32 = 22;
/// Bits of the filter for each feature: then about one in sixteen of those that the model does not know passes it.
const FILTER_BITS_PER_ROW: usize = 16;
/// Rows that fit into sums of 16 bits: 256 · 128 is the largest sum of absolute values.
const ROWS_PER_SUM: usize = 255;

/// Why bytes are not a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file is something else.
    #[error("this is not a text model: it does not begin with `sbxtext`")]
    Foreign,
    /// Made by another version: train it again, or take the strategy that belongs to it.
    #[error("the model has format {0}, and this strategy reads format {FORMAT}")]
    Format(u8),
    /// Cut off, or with something after it.
    #[error("the model should have {expected} bytes and has {found}")]
    Length {
        /// What its head says.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// Damaged on the way.
    #[error("the model is damaged: its checksum does not fit")]
    Checksum,
    /// Not made by the trainer.
    #[error("the model is not sound: {0}")]
    Unsound(&'static str),
}

/// One place of the hash table, all zeros where it is empty.
///
/// u64: bits 0–31 the high half of the feature's hash · 32–51 row · 52 [`Block`] · 53–63 the inverse document
/// frequency in steps of 1/[`IDF_STEPS`], never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u64);

impl Slot {
    /// The largest inverse document frequency, in steps.
    pub const IDF_MAX: u16 = (1 << 11) - 1;

    fn row(self) -> usize {
        (self.0 >> 32) as usize & (ROWS_MAX - 1)
    }

    fn block(self) -> usize {
        (self.0 >> 52) as usize & 1
    }

    fn idf(self) -> u32 {
        (self.0 >> 53) as u32
    }

    fn is_of(self, hash: u64) -> bool {
        self.0 as u32 == (hash >> 32) as u32
    }
}

/// A category and how sure the model is of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guess {
    /// Index of the category, in the order of [`Model::categories`].
    pub category: usize,
    /// Calibrated probability, 0 to 1.
    pub probability: f32,
}

/// A trained model, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    bytes: Vec<u8>,
    categories: Vec<String>,
    offsets: Vec<f32>,
    scales: [f32; 2],
    rows: usize,
    slots_log2: u32,
    slots_at: usize,
    weights_at: usize,
    /// A bit for each high half of a hash that may be in the table. Most features of a text are unknown, pairs of words
    /// above all; this is small enough to stay near the processor, where the table is not.
    filter: Vec<u64>,
}

impl Model {
    /// Takes the bytes of a model, checks them once, and keeps them.
    ///
    /// # Errors
    /// Whatever is wrong with them, for the operator: no bytes make it panic.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Error> {
        if bytes.get(..7) != Some(MAGIC.as_slice()) {
            return Err(Error::Foreign);
        }
        match bytes.get(7) {
            Some(&FORMAT) => {}
            Some(&other) => return Err(Error::Format(other)),
            None => return Err(Error::Foreign),
        }
        let found = bytes.len();
        let (Some(sum), Some(counts), Some(scales)) = (u64_at(&bytes, 8), counts(&bytes), scales(&bytes)) else {
            let expected = HEAD_BYTES;
            return Err(Error::Length { expected, found });
        };
        let [categories, rows, slots_log2, name_bytes] = counts;
        if !(2..=CATEGORIES_MAX).contains(&categories) {
            return Err(Error::Unsound("it has too few or too many categories"));
        }
        if rows >= ROWS_MAX || slots_log2 > SLOTS_LOG2_MAX as usize {
            return Err(Error::Unsound("it has too many features"));
        }
        if name_bytes > categories * (NAME_BYTES_MAX + 1) {
            return Err(Error::Unsound("its names are too long"));
        }
        let names_at = HEAD_BYTES + 4 * categories;
        let slots_at = (names_at + name_bytes).next_multiple_of(64);
        let weights_at = slots_at + (SLOT_BYTES << slots_log2);
        let expected = weights_at + rows * stride(categories);
        if found != expected {
            return Err(Error::Length { expected, found });
        }
        if checksum(&bytes[16..]) != sum {
            return Err(Error::Checksum);
        }
        let mut model = Self {
            categories: names(&bytes[names_at..names_at + name_bytes], categories)?,
            offsets: bytes[HEAD_BYTES..names_at]
                .chunks_exact(4)
                .filter_map(|chunk| chunk.first_chunk().copied().map(f32::from_le_bytes))
                .collect(),
            scales,
            rows,
            slots_log2: slots_log2 as u32,
            slots_at,
            weights_at,
            filter: vec![0; (rows * FILTER_BITS_PER_ROW).next_power_of_two().div_ceil(64)],
            bytes,
        };
        model.check()?;
        for at in 0..1 << model.slots_log2 {
            let slot = model.slot(at);
            if slot.0 != 0 {
                let (word, bit) = model.filtered(slot.0 as u32);
                model.filter[word] |= bit;
            }
        }
        Ok(model)
    }

    fn check(&self) -> Result<(), Error> {
        if !self.scales.iter().chain(&self.offsets).all(|x| x.abs() < 1e6) {
            return Err(Error::Unsound("a number in its head is out of range"));
        }
        let mut empty = 0_usize;
        for at in 0..1 << self.slots_log2 {
            let slot = self.slot(at);
            if slot.0 == 0 {
                empty += 1;
            } else if slot.row() >= self.rows || slot.idf() == 0 {
                return Err(Error::Unsound("a slot of its table is out of range"));
            }
        }
        if empty == 0 {
            return Err(Error::Unsound("its table is full"));
        }
        Ok(())
    }

    /// The bytes of the model: what [`parse`](Model::parse) takes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The names of the categories, in order.
    pub fn categories(&self) -> &[String] {
        &self.categories
    }

    /// How many features it knows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The likeliest categories of a text, the likeliest first, at most `top`.
    pub fn classify(&self, text: &Text, top: usize) -> Vec<Guess> {
        let mut logits = self.logits(text);
        let highest = logits.iter().copied().fold(f32::MIN, f32::max);
        let mut sum = 0.0;
        for logit in &mut logits {
            *logit = (*logit - highest).exp();
            sum += *logit;
        }
        let mut best: Vec<Guess> = Vec::with_capacity(top.min(logits.len()) + 1);
        for (category, &share) in logits.iter().enumerate() {
            let probability = share / sum;
            if best.len() < top || best.last().is_some_and(|l| probability > l.probability) {
                let at = best.partition_point(|guess| guess.probability >= probability);
                best.insert(at, Guess { category, probability });
                best.truncate(top);
            }
        }
        best
    }

    /// The score of each category before softmax.
    fn logits(&self, text: &Text) -> Vec<f32> {
        let mut seen = vec![0_u64; self.rows.div_ceil(64)];
        let mut rows = [Vec::with_capacity(256), Vec::with_capacity(512)];
        let mut idfs = [0_u32; 2];
        text.features(|_, hash| {
            let Some(slot) = self.find(hash) else { return };
            let row = slot.row();
            let (word, bit) = (&mut seen[row / 64], 1 << (row % 64));
            if *word & bit == 0 {
                *word |= bit;
                rows[slot.block()].push(row as u32);
                idfs[slot.block()] = idfs[slot.block()].saturating_add(slot.idf());
            }
        });
        let mut logits = self.offsets.clone();
        for block in [Block::Words as usize, Block::Characters as usize] {
            if idfs[block] > 0 {
                let scale = self.scales[block] / (idfs[block] as f32 / IDF_STEPS).sqrt();
                let weights = &self.bytes[self.weights_at..];
                add_rows(weights, &rows[block], scale, &mut logits);
            }
        }
        logits
    }

    /// Word and bit of the filter for the high half of a hash.
    fn filtered(&self, high: u32) -> (usize, u64) {
        ((high as usize / 64) & (self.filter.len() - 1), 1 << (high % 64))
    }

    fn find(&self, hash: u64) -> Option<Slot> {
        let (word, bit) = self.filtered((hash >> 32) as u32);
        if self.filter[word] & bit == 0 {
            return None;
        }
        let mask = (1_usize << self.slots_log2) - 1;
        let mut at = hash as usize & mask;
        // Ends: `check` has seen an empty slot.
        loop {
            let slot = self.slot(at);
            if slot.0 == 0 {
                return None;
            }
            if slot.is_of(hash) {
                return Some(slot);
            }
            at = (at + 1) & mask;
        }
    }

    fn slot(&self, at: usize) -> Slot {
        let (slots, _) = self.bytes[self.slots_at..self.weights_at].as_chunks::<SLOT_BYTES>();
        Slot(u64::from_le_bytes(slots[at]))
    }
}

/// Adds the sums of rows, scaled, to the logits. Integer sums: the order of rows does not matter.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
fn add_rows(weights: &[u8], rows: &[u32], scale: f32, logits: &mut [f32]) {
    let stride = stride(logits.len());
    for (chunk, logits) in logits.chunks_mut(LANES).enumerate() {
        let mut sums = [0_i32; LANES];
        for rows in rows.chunks(ROWS_PER_SUM) {
            let mut part = [0_i16; LANES];
            for row in rows {
                let at = *row as usize * stride + chunk * LANES;
                let Some(lanes) = weights.get(at..).and_then(|row| row.first_chunk::<LANES>()) else {
                    continue;
                };
                for (sum, weight) in part.iter_mut().zip(lanes) {
                    *sum = sum.wrapping_add(i16::from(weight.cast_signed()));
                }
            }
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum = sum.wrapping_add(i32::from(part));
            }
        }
        for (logit, sum) in logits.iter_mut().zip(sums) {
            *logit += sum as f32 * scale;
        }
    }
}

/// Bytes of a row.
fn stride(categories: usize) -> usize {
    categories.next_multiple_of(LANES)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn counts(bytes: &[u8]) -> Option<[usize; 4]> {
    let mut counts = [0; 4];
    for (at, count) in (16..).step_by(4).zip(&mut counts) {
        *count = u32_at(bytes, at)? as usize;
    }
    Some(counts)
}

fn scales(bytes: &[u8]) -> Option<[f32; 2]> {
    Some([f32::from_bits(u32_at(bytes, 32)?), f32::from_bits(u32_at(bytes, 36)?)])
}

fn names(mut bytes: &[u8], count: usize) -> Result<Vec<String>, Error> {
    let mut names = Vec::with_capacity(count);
    let mut once = BTreeSet::new();
    while let Some((&length, rest)) = bytes.split_first() {
        let Some((name, rest)) = rest.split_at_checked(usize::from(length)) else {
            return Err(Error::Unsound("a name is cut off"));
        };
        let name = std::str::from_utf8(name).map_err(|_| Error::Unsound("a name is not UTF-8"))?;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !once.insert(name) {
            return Err(Error::Unsound("a name is empty, too long or there twice"));
        }
        names.push(name.to_owned());
        bytes = rest;
    }
    if names.len() != count {
        return Err(Error::Unsound("it names more or fewer categories"));
    }
    Ok(names)
}

/// A multiplicative hash over words of 8 bytes: finds damage, not forgery.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (sum ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31)
    })
}

/// Writes the checksum.
#[cfg(feature = "train")]
pub(crate) fn seal(bytes: &mut [u8]) {
    let sum = checksum(&bytes[16..]);
    bytes[8..16].copy_from_slice(&sum.to_le_bytes());
}

/// A feature of a model that is being written.
#[cfg(feature = "train")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Feature {
    pub hash: u64,
    pub block: Block,
    /// In steps of 1/[`IDF_STEPS`], 1 to [`Slot::IDF_MAX`].
    pub idf: u16,
}

/// A model in parts, to be written.
#[cfg(feature = "train")]
pub(crate) struct Parts<'a> {
    pub categories: &'a [String],
    pub offsets: &'a [f32],
    pub scales: [f32; 2],
    pub features: &'a [Feature],
    /// A row for each feature, each as long as there are categories.
    pub weights: &'a [Vec<i8>],
}

#[cfg(feature = "train")]
impl Parts<'_> {
    /// Writes the bytes. The trainer keeps to every limit, so they parse.
    pub(crate) fn write(&self) -> Vec<u8> {
        // At most half full: a feature that is not there is told by one look in most cases.
        let slots = (self.features.len() * 2 + 2).next_power_of_two();
        let name_bytes: usize = self.categories.iter().map(|name| name.len() + 1).sum();
        let mut bytes = Vec::new();
        bytes.extend_from_slice(MAGIC);
        bytes.push(FORMAT);
        bytes.extend_from_slice(&[0; 8]);
        for count in [self.categories.len(), self.features.len(), slots.trailing_zeros() as usize, name_bytes] {
            bytes.extend_from_slice(&(count as u32).to_le_bytes());
        }
        for number in self.scales.iter().chain(self.offsets) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for name in self.categories {
            bytes.push(name.len() as u8);
            bytes.extend_from_slice(name.as_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(64), 0);
        for slot in self.slots(slots) {
            bytes.extend_from_slice(&slot.to_le_bytes());
        }
        for row in self.weights {
            bytes.extend(row.iter().map(|weight| weight.cast_unsigned()));
            bytes.resize(bytes.len() + stride(row.len()) - row.len(), 0);
        }
        seal(&mut bytes);
        bytes
    }

    fn slots(&self, count: usize) -> Vec<u64> {
        let mut slots = vec![0_u64; count];
        for (row, feature) in self.features.iter().enumerate() {
            let mut at = feature.hash as usize & (count - 1);
            while slots[at] != 0 {
                at = (at + 1) & (count - 1);
            }
            slots[at] =
                (feature.hash >> 32) | (row as u64) << 32 | (feature.block as u64) << 52 | u64::from(feature.idf) << 53;
        }
        slots
    }
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;

    #[test]
    fn every_feature_of_a_model_is_found_and_hardly_another() {
        // Neighbours by their low bits, which is where the table looks, and by their high ones, where the filter does.
        let hash = |n: u64| if n.is_multiple_of(2) { n << 32 | n } else { n.wrapping_mul(0x9e37_79b9_7f4a_7c15) };
        for rows in [0, 1, 3, 4, 5000] {
            let features: Vec<_> = (1..=rows).map(|n| Feature { hash: hash(n), block: Block::Words, idf: 1 }).collect();
            let weights = vec![vec![1_i8, -1]; features.len()];
            let categories = ["one".to_owned(), "other".to_owned()];
            let parts = Parts {
                categories: &categories,
                offsets: &[0.0; 2],
                scales: [1.0; 2],
                features: &features,
                weights: &weights,
            };
            let model = Model::parse(parts.write()).unwrap();
            for (row, feature) in features.iter().enumerate() {
                assert_eq!(model.find(feature.hash).map(Slot::row), Some(row), "of {rows}");
            }
            let others = (rows + 1..=rows + 10_000).filter(|n| model.find(hash(*n)).is_some()).count();
            assert_eq!(others, 0, "of {rows}");
        }
    }
}
