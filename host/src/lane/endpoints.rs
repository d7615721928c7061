//! Sees to it that every awaited call to an application outside is made: a few at a time for each endpoint, and not too
//! many for all of them, so that one that hangs holds up no other. One that has waited for its turn for as long as its
//! endpoint has to answer is not made any more: it has timed out.
//!
//! Invariant: a call that is to be made waits here or is in flight, and it is in one of these places only.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use signalbox_engine::{
    Account, CallId, Content, EndpointFailure, EndpointRequest, InteractionId, Name, State, UnixMillis,
};

use crate::store;

/// Calls to one endpoint at a time.
const WINDOW: usize = 16;
/// Calls of one account at a time. With answers of at most 1 MiB each this bounds their memory, too.
const WINDOWS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Endpoints {
    waiting: BTreeMap<Name, VecDeque<Waiting>>,
    /// Those that wait, by call.
    known: BTreeSet<CallId>,
    in_flight: BTreeMap<CallId, Name>,
    failed: Vec<(CallId, InteractionId, EndpointFailure)>,
}

/// A call that waits for its turn.
#[derive(Debug)]
struct Waiting {
    call: CallId,
    interaction: InteractionId,
    /// Since when.
    since: UnixMillis,
}

impl Endpoints {
    /// After the account was loaded: all calls that it awaits and that are not in flight wait here.
    pub(super) fn reset(&mut self, account: &Account, now: UnixMillis) {
        self.waiting.clear();
        self.known.clear();
        self.failed.clear();
        for (call, id) in account.endpoint_calls() {
            self.requested(account, call, id, now);
        }
    }

    /// A call was requested; it is made after the commit. One that is known already is another change to the same
    /// interaction.
    pub(super) fn requested(&mut self, account: &Account, call: CallId, interaction: InteractionId, now: UnixMillis) {
        let endpoint = account.live(interaction).and_then(|live| match &live.state {
            State::Calling { endpoint, .. } => Some(endpoint),
            _ => None,
        });
        let Some(endpoint) = endpoint else { return };
        if !self.in_flight.contains_key(&call) && self.known.insert(call) {
            let waiting = Waiting { call, interaction, since: now };
            self.waiting.entry(endpoint.clone()).or_default().push_back(waiting);
        }
    }

    /// A call has come back.
    pub(super) fn ended(&mut self, call: CallId) {
        self.in_flight.remove(&call);
    }

    /// Calls that cannot be made, and why.
    pub(super) fn take_failed(&mut self) -> Vec<(CallId, InteractionId, EndpointFailure)> {
        std::mem::take(&mut self.failed)
    }

    /// Whether there are calls that cannot be made.
    pub(super) fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Hands waiting calls on, as far as there is room: of each endpoint one, then of each another.
    ///
    /// # Errors
    /// Where the store does not read now: the call that needs it, and those behind it, wait on.
    pub(super) fn pump(
        &mut self,
        account: &Account,
        now: UnixMillis,
        content: impl Fn(InteractionId) -> Result<Arc<Content>, store::Error>,
        mut hand: impl FnMut(EndpointRequest),
    ) -> Result<(), store::Error> {
        self.time_out(account, now);
        loop {
            let mut handed = false;
            let endpoints: Vec<Name> = self.waiting.keys().cloned().collect();
            for endpoint in endpoints {
                let busy = self.in_flight.values().filter(|busy| **busy == endpoint).count();
                if busy >= WINDOW || self.in_flight.len() >= WINDOWS {
                    continue;
                }
                let Some(Waiting { call, interaction: id, since }) = self.pop(&endpoint) else { continue };
                let awaited = account.live(id).and_then(|live| live.endpoint_call()) == Some(call);
                if !awaited {
                    handed = true;
                    continue;
                }
                let request = match content(id) {
                    Ok(content) => EndpointRequest::new(account, call, id, &content),
                    Err(error) if error.is_damage() => {
                        self.failed.push((call, id, EndpointFailure::Unusable(error.to_string())));
                        continue;
                    }
                    Err(error) => {
                        self.known.insert(call);
                        self.waiting.entry(endpoint).or_default().push_front(Waiting { call, interaction: id, since });
                        return Err(error);
                    }
                };
                let Some(request) = request else {
                    let why = "its endpoint or its element is gone".into();
                    self.failed.push((call, id, EndpointFailure::Unusable(why)));
                    continue;
                };
                self.in_flight.insert(call, endpoint);
                hand(request);
                handed = true;
            }
            if !handed {
                return Ok(());
            }
        }
    }

    /// Gives up those that have waited for too long; the oldest are the first.
    fn time_out(&mut self, account: &Account, now: UnixMillis) {
        let endpoints: Vec<Name> = self.waiting.keys().cloned().collect();
        for endpoint in endpoints {
            let Some(known) = account.configuration().endpoints.get(&endpoint) else { continue };
            let timeout_ms = known.timeout_ms;
            let over = |first: &Waiting| first.since.plus(timeout_ms) < now;
            while self.waiting.get(&endpoint).and_then(VecDeque::front).is_some_and(over) {
                if let Some(Waiting { call, interaction, .. }) = self.pop(&endpoint) {
                    self.failed.push((call, interaction, EndpointFailure::TimedOut { timeout_ms }));
                }
            }
        }
    }

    fn pop(&mut self, endpoint: &Name) -> Option<Waiting> {
        let waiting = self.waiting.get_mut(endpoint)?;
        let first = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(endpoint);
        }
        let first = first?;
        self.known.remove(&first.call);
        Some(first)
    }

    /// Every call that is in one of the places above.
    #[cfg(test)]
    pub(super) fn known(&self) -> Vec<CallId> {
        let failed = self.failed.iter().map(|(call, ..)| *call);
        let waiting = self.waiting.values().flatten().map(|waiting| waiting.call);
        waiting.chain(failed).chain(self.in_flight.keys().copied()).collect()
    }
}
