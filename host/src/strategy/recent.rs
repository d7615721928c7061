//! Images that were made lately, by the component and the tier: what was uploaded a moment ago is deployed next, and often
//! more than once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use signalbox_engine::Digest;

use super::Tier;

/// Bytes of all that are kept: of an interpreter in Wasm there is room for one, Python's has 38 MB.
const BYTES_MAX: usize = 40 << 20;

/// The component that an image is of, and how much work went into it.
type Of = (Digest, Tier);

/// The images, the latest first.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<(Of, Arc<[u8]>)>>);

impl Recent {
    /// The image of a component; `make` makes it where it is not at hand. Two who ask at once both make it.
    ///
    /// # Errors
    /// Those of `make`.
    pub(super) fn get<E>(&self, of: Of, make: impl FnOnce() -> Result<Vec<u8>, E>) -> Result<Arc<[u8]>, E> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, image)) = kept().iter().find(|(other, _)| *other == of) {
            return Ok(Arc::clone(image));
        }
        let image: Arc<[u8]> = make()?.into();
        if image.len() > BYTES_MAX {
            return Ok(image);
        }
        let mut kept = kept();
        kept.retain(|(other, _)| *other != of);
        kept.push_front((of, Arc::clone(&image)));
        let mut bytes = 0;
        kept.retain(|(_, image)| {
            bytes += image.len();
            bytes <= BYTES_MAX
        });
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_as_far_as_there_is_room() {
        let recent = Recent::default();
        let mut made = Vec::new();
        for (name, bytes) in
            [(1, 20 << 20), (2, 10 << 20), (1, 0), (3, 20 << 20), (2, 0), (1, 20 << 20), (4, 41 << 20), (4, 0)]
        {
            let image = recent.get((Digest([name; 32]), Tier::Baseline), || {
                made.push(name);
                Ok::<_, ()>(vec![name; bytes])
            });
            assert!(image.unwrap().iter().all(|byte| *byte == name));
        }
        assert_eq!(made, [1, 2, 3, 1, 4, 4], "what was put in again, or is too large by itself, is made anew");
    }
}
