//! The contents of interactions that are with a strategy: at hand when it is called.

use std::collections::BTreeMap;
use std::sync::Arc;

use signalbox_engine::{Account, Content, InteractionId};

/// Bytes that are kept, of an account.
const BYTES_MAX: usize = 64 << 20;

/// The contents of interactions that strategies are about to see, up to a number of bytes. The rest is read again.
#[derive(Default)]
pub(super) struct Contents {
    by_id: BTreeMap<InteractionId, Arc<Content>>,
    bytes: usize,
}

impl Contents {
    pub(super) fn get(&self, id: InteractionId) -> Option<&Arc<Content>> {
        self.by_id.get(&id)
    }

    pub(super) fn put(&mut self, id: InteractionId, content: Arc<Content>, account: &Account) {
        self.forget(id);
        let under_way = account.live(id).is_some_and(|live| live.call().is_some());
        let bytes = weight(&content);
        if under_way && self.bytes + bytes <= BYTES_MAX {
            self.bytes += bytes;
            self.by_id.insert(id, content);
        }
    }

    pub(super) fn forget(&mut self, id: InteractionId) {
        if let Some(content) = self.by_id.remove(&id) {
            self.bytes -= weight(&content);
        }
    }
}

/// About how many bytes a content holds.
fn weight(content: &Content) -> usize {
    let headers: usize = content.message.headers.iter().map(|h| h.key.len() + h.value.len() + 48).sum();
    let data: usize = content.facts.user_data.iter().map(|(k, v)| k.len() + v.len() + 64).sum();
    512 + content.message.body.len() + headers + data + content.facts.categories.len() * 64
}
