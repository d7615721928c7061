//! Sees to it that every awaited strategy call runs: hands calls on, a window at a time, in the order of their requests, and
//! so that no deployment, however slow and however much it is asked, takes all of the window.
//!
//! Invariant: an awaited call waits here, is held back until its deployment has fewer in flight, stands aside until that is
//! loaded, has failed and is about to be told so, or is in flight; and it is in one of these places only.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use signalbox_engine::{Account, CallId, Content, Deployment, InteractionId, Name, Request, State};

use crate::store;

/// Calls of one account in the pool at a time. Enough to keep it busy, few enough that accounts share it. Of them a
/// deployment has as many as are left at most: alone half, with another a third, and so on.
pub(super) const WINDOW: usize = 512;

/// Calls that cannot be made that are told so in one turn: a commit of a bounded size.
const FAILED_MAX: usize = 256;

/// What became of a call that was handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Handed {
    /// It is in flight: an answer will come.
    InFlight,
    /// Its deployment is being loaded: word of that will come.
    Aside,
    /// It cannot be made, and why.
    Failed(String),
    /// There is no room now.
    Full,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    waiting: VecDeque<(CallId, InteractionId)>,
    aside: BTreeMap<Name, Vec<(CallId, InteractionId)>>,
    failed: Vec<(CallId, InteractionId, String)>,
    in_flight: BTreeMap<CallId, Name>,
    /// Of deployments that have any.
    shares: BTreeMap<Name, Share>,
}

/// A deployment's part of the window.
#[derive(Debug, Default)]
struct Share {
    in_flight: usize,
    /// Calls that wait for others of it to end.
    held: VecDeque<(CallId, InteractionId)>,
}

impl Calls {
    /// After the account was loaded: all calls that it awaits and that are not in flight wait here.
    pub(super) fn reset(&mut self, account: &Account) {
        self.waiting = account.calls().filter(|(call, _)| !self.in_flight.contains_key(call)).collect();
        self.shares.values_mut().for_each(|share| share.held.clear());
        self.aside.clear();
        self.failed.clear();
    }

    /// A call was requested; it runs after the commit. Calls come in the order of their numbers, and one that is known
    /// already is another change to the same interaction.
    pub(super) fn requested(&mut self, call: CallId, interaction: InteractionId, newest: CallId) {
        if call == newest && self.waiting.back().is_none_or(|(last, _)| *last != call) {
            self.waiting.push_back((call, interaction));
        }
    }

    /// A call has come back.
    pub(super) fn ended(&mut self, call: CallId) {
        let share = self.in_flight.remove(&call).and_then(|deployment| self.shares.get_mut(&deployment));
        if let Some(share) = share {
            share.in_flight -= 1;
        }
    }

    /// How many more may be in flight.
    fn free(&self) -> usize {
        WINDOW.saturating_sub(self.in_flight.len())
    }

    /// The next to look at: one that was held back and is no more, else the one that waits longest.
    fn next(&mut self) -> Option<(CallId, InteractionId)> {
        let free = self.free();
        let mut let_go = self.shares.values_mut().filter(|share| share.in_flight < free);
        let_go.find_map(|share| share.held.pop_front()).or_else(|| self.waiting.pop_front())
    }

    /// A deployment was loaded, or cannot be.
    pub(super) fn loaded(&mut self, deployment: &Name, result: &Result<(), String>) {
        let calls = self.aside.remove(deployment).unwrap_or_default();
        match result {
            Ok(()) => calls.into_iter().rev().for_each(|call| self.waiting.push_front(call)),
            Err(why) => self.failed.extend(calls.into_iter().map(|(call, id)| (call, id, why.clone()))),
        }
    }

    /// Calls that cannot be made, and why.
    pub(super) fn take_failed(&mut self) -> Vec<(CallId, InteractionId, String)> {
        std::mem::take(&mut self.failed)
    }

    /// Whether there are calls that cannot be made.
    pub(super) fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Hands waiting calls on, as far as there is room; `out` says of a deployment that it may not be called now, and why.
    ///
    /// # Errors
    /// Where the store does not read now: the call that needs it, and those behind it, wait on.
    pub(super) fn pump(
        &mut self,
        account: &Account,
        mut out: impl FnMut(CallId, &Name) -> Option<String>,
        content: impl Fn(InteractionId) -> Result<Arc<Content>, store::Error>,
        mut hand: impl FnMut(CallId, &Arc<Deployment>, Request) -> Handed,
    ) -> Result<(), store::Error> {
        while self.free() > 0 && self.failed.len() < FAILED_MAX {
            let Some((call, id)) = self.next() else { break };
            let Some((deployment, visit)) = awaited(account, call, id) else { continue };
            let free = self.free();
            if let Some(share) = self.shares.get_mut(&deployment.name).filter(|share| share.in_flight >= free) {
                share.held.push_back((call, id));
                continue;
            }
            // Before anything is read for it: where a deployment is out, all that wait for it come by here.
            if let Some(why) = out(call, &deployment.name) {
                self.failed.push((call, id, why));
                continue;
            }
            let request = match content(id).map(|content| request(account, id, content, visit)) {
                Ok(request) => request,
                Err(error) if error.is_damage() => {
                    self.failed.push((call, id, error.to_string()));
                    continue;
                }
                Err(error) => {
                    self.waiting.push_front((call, id));
                    return Err(error);
                }
            };
            match hand(call, deployment, request) {
                Handed::InFlight => {
                    self.in_flight.insert(call, deployment.name.clone());
                    self.shares.entry(deployment.name.clone()).or_default().in_flight += 1;
                }
                Handed::Aside => self.aside.entry(deployment.name.clone()).or_default().push((call, id)),
                Handed::Failed(why) => self.failed.push((call, id, why)),
                Handed::Full => {
                    self.waiting.push_front((call, id));
                    break;
                }
            }
        }
        self.shares.retain(|_, share| share.in_flight > 0 || !share.held.is_empty());
        Ok(())
    }

    /// Every call that is in one of the places above.
    #[cfg(test)]
    pub(super) fn known(&self) -> Vec<CallId> {
        let aside = self.aside.values().flatten().map(|(call, _)| *call);
        let failed = self.failed.iter().map(|(call, ..)| *call);
        let waiting = self.waiting.iter().map(|(call, _)| *call);
        let held = self.shares.values().flat_map(|share| &share.held).map(|(call, _)| *call);
        waiting.chain(held).chain(aside).chain(failed).chain(self.in_flight.keys().copied()).collect()
    }
}

/// The deployment that a call is for and the visit that it is, if it is still awaited.
fn awaited(account: &Account, call: CallId, id: InteractionId) -> Option<(&Arc<Deployment>, u32)> {
    match &account.live(id)?.state {
        State::Routing { call: awaited, deployment, visit, .. } if *awaited == call => {
            let deployment = account.configuration().deployments.get(deployment);
            Some((deployment.unwrap_or_else(|| panic!("a deployment is kept while calls of it are awaited")), *visit))
        }
        _ => None,
    }
}

/// What a strategy is asked about an interaction that is at its element.
fn request(account: &Account, id: InteractionId, content: Arc<Content>, visit: u32) -> Request {
    let place = account.live(id).and_then(|live| {
        let frame = live.frame()?;
        Some((live, frame, account.configuration().flow(frame.workflow.as_str(), frame.version)?))
    });
    let (live, frame, flow) = place.unwrap_or_else(|| panic!("{id} is at a strategy and in no workflow"));
    Request {
        interaction: id,
        content,
        workflow: frame.workflow.clone(),
        element: flow.element(frame.element).id.clone(),
        visit,
        now: live.since,
    }
}
