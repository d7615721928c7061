//! Where a literal may begin: a coarse look at sixteen bytes at a time, so that the automaton looks only there.
//!
//! The method is Teddy's, of Hyperscan: Wang et al., "Hyperscan: A Fast Multi-pattern Regex Matcher for Modern CPUs",
//! NSDI 2019. The first three bytes of each literal put it into one of eight buckets. For each of the three places two
//! tables say which buckets have a byte with this lower half, and with this upper half; a bucket that all six name may have
//! a literal here.
//!
//! Invariant: every literal that is in a text, without regard to ASCII case, is in one of its spans, whole.

use std::collections::BTreeSet;
use std::ops::Range;

/// Bytes of a literal that are looked at.
const HEAD_BYTES: usize = 3;
/// With more heads than this nearly every place of a text would do.
const HEADS_MAX: usize = 96;
/// Bytes that are looked at together.
const BLOCK_BYTES: usize = 16;
/// Of a text, for one block.
const WINDOW_BYTES: usize = BLOCK_BYTES + HEAD_BYTES - 1;

/// Buckets by the halves of a byte, one bit each.
type Table = [u8; 16];

/// The heads of all literals, ready.
#[derive(Debug)]
pub struct Sieve {
    lower: [Table; HEAD_BYTES],
    upper: [Table; HEAD_BYTES],
    longest: usize,
}

impl Sieve {
    /// A sieve for literals in lower case. None where it would let nearly everything through, or outside a sandbox, where it
    /// would look at one byte at a time.
    pub fn new(literals: &[String]) -> Option<Self> {
        if !cfg!(any(target_arch = "wasm32", test)) {
            return None;
        }
        let heads: Option<BTreeSet<_>> =
            literals.iter().map(|literal| literal.as_bytes().first_chunk::<HEAD_BYTES>()).collect();
        let heads = heads.filter(|heads| (1..=HEADS_MAX).contains(&heads.len()))?;
        let longest = literals.iter().map(String::len).max()?;
        let mut sieve = Self { lower: Default::default(), upper: Default::default(), longest };
        for (nth, head) in heads.iter().enumerate() {
            // Neighbours in order begin alike, and let little more through together than each alone.
            let bucket = 1 << (nth * 8 / heads.len());
            for (at, byte) in head.iter().enumerate() {
                for byte in [*byte, byte.to_ascii_uppercase()] {
                    sieve.lower[at][usize::from(byte & 15)] |= bucket;
                    sieve.upper[at][usize::from(byte >> 4)] |= bucket;
                }
            }
        }
        Some(sieve)
    }

    /// The pieces of a text that literals may be in, in order, apart from each other.
    #[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
    pub fn spans(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut spans = Vec::new();
        let mut start = 0;
        while let Some(window) = text.get(start..).and_then(|rest| rest.first_chunk()) {
            self.widen(&mut spans, start, self.block(window), text.len());
            start += BLOCK_BYTES;
        }
        let mut last = [0; WINDOW_BYTES];
        let rest = text.get(start..).unwrap_or_default();
        last[..rest.len()].copy_from_slice(rest);
        self.widen(&mut spans, start, self.block(&last), text.len());
        spans
    }

    /// Adds the places of a block where a literal may begin.
    fn widen(&self, spans: &mut Vec<Range<usize>>, block: usize, mut places: u16, text_bytes: usize) {
        while places != 0 {
            let start = block + places.trailing_zeros() as usize;
            if start >= text_bytes {
                // The padding of the last block.
                break;
            }
            let end = (start + self.longest).min(text_bytes);
            match spans.last_mut() {
                Some(last) if start <= last.end => last.end = end,
                _ => spans.push(start..end),
            }
            places &= places - 1;
        }
    }

    /// One bit for each byte of a block: whether a literal may begin there.
    #[cfg(target_arch = "wasm32")]
    #[inline]
    #[target_feature(enable = "simd128")]
    fn block(&self, window: &[u8; WINDOW_BYTES]) -> u16 {
        use core::arch::wasm32::{
            i8x16_bitmask, i8x16_eq, i8x16_swizzle, u8x16_shr, u8x16_splat, u64x2, v128, v128_and,
        };

        let sixteen = |bytes: &[u8]| -> v128 {
            let half = |bytes: &[u8]| bytes.first_chunk().copied().map_or(0, u64::from_le_bytes);
            u64x2(half(bytes), half(&bytes[8..]))
        };
        let mut buckets = u8x16_splat(u8::MAX);
        for at in 0..HEAD_BYTES {
            let bytes = sixteen(&window[at..]);
            let lower = i8x16_swizzle(sixteen(&self.lower[at]), v128_and(bytes, u8x16_splat(15)));
            let upper = i8x16_swizzle(sixteen(&self.upper[at]), u8x16_shr(bytes, 4));
            buckets = v128_and(buckets, v128_and(lower, upper));
        }
        !i8x16_bitmask(i8x16_eq(buckets, u8x16_splat(0)))
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn block(&self, window: &[u8; WINDOW_BYTES]) -> u16 {
        let buckets = |start: usize| {
            (0..HEAD_BYTES).fold(u8::MAX, |buckets, at| {
                let byte = usize::from(window[start + at]);
                buckets & self.lower[at][byte & 15] & self.upper[at][byte >> 4]
            })
        };
        (0..BLOCK_BYTES).fold(0, |places, start| places | u16::from(buckets(start) != 0) << start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sieve(literals: &[&str]) -> Option<Sieve> {
        Sieve::new(&literals.iter().map(|literal| (*literal).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn short_and_very_many_literals_get_none() {
        assert!(sieve(&["refund", "no"]).is_none());
        assert!(sieve(&[]).is_none());
        let many: Vec<String> = (100..100 + HEADS_MAX + 1).map(|n| n.to_string()).collect();
        assert!(Sieve::new(&many).is_none() && Sieve::new(&many[1..]).is_some());
    }

    #[test]
    fn a_text_without_a_head_has_no_span() {
        let sieve = sieve(&["refund", "lawyer"]).unwrap();
        for text in ["", "re", "a", "Where is my order, which I paid three weeks ago?"] {
            assert!(sieve.spans(text.as_bytes()).is_empty(), "{text}");
        }
        assert_eq!(sieve.spans(b"A REFUND or a lawyer, please"), [2..8, 14..20]);
        assert_eq!(sieve.spans(b"ref").first(), Some(&(0..3)));
    }

    #[test]
    fn what_fills_up_the_last_block_is_no_text() {
        let zeros = sieve(&["\0\0\0", "\r\n\r\n"]).unwrap();
        for length in 0..40 {
            let text = "x".repeat(length);
            assert!(zeros.spans(text.as_bytes()).iter().all(|span| span.start < span.end && span.end <= length));
        }
        assert!(zeros.spans(b"ab").is_empty());
    }

    #[test]
    fn every_literal_is_in_a_span_whole() {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
        let mut state: u64 = seed.unwrap_or(0x5eed);
        eprintln!("SEED={state}");
        let mut next = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let mut found = 0;
        for _ in 0..5000 {
            // Few letters, so that literals come about, and begin in each other.
            let mut letters = |length: usize, alphabet: &[char]| -> String {
                (0..length).map(|_| alphabet[next(alphabet.len())]).collect()
            };
            let literals: Vec<String> = (0..4).map(|nth| letters(3 + nth, &['a', 'b', 'ö'])).collect();
            let text = letters(90, &['a', 'A', 'b', 'B', 'ö', ' ']);
            let text = &text[..text.floor_char_boundary(next(text.len() + 1))];
            let spans = Sieve::new(&literals).unwrap().spans(text.as_bytes());
            assert!(spans.windows(2).all(|pair| pair[0].end < pair[1].start), "{spans:?}");
            let searched = text.to_ascii_lowercase();
            for literal in &literals {
                for (at, _) in searched.match_indices(literal.as_str()) {
                    found += 1;
                    let inside = |span: &Range<usize>| span.start <= at && at + literal.len() <= span.end;
                    assert!(spans.iter().any(inside), "{literal} at {at} of {text:?}: {spans:?}");
                }
            }
        }
        assert!(found > 5000, "only {found} put this to the proof");
    }
}
