//! Takes a failing deployment out: once half of its last calls failed it is not called for a while, and what waits for it
//! is told so at once, which the binding answers as any failure. Then one call is tried; if it decides, all is as before.
//!
//! What counts is a strategy that traps, overruns or answers nonsense; a failure that it says itself is its decision.

use std::collections::{BTreeMap, VecDeque};

use signalbox_engine::{CallId, Failure, Name, UnixMillis};

/// Calls that are looked at, the last ones; fewer say nothing.
const CALLS: usize = 20;
/// Of them, so many failures take it out.
const FAILED_MAX: usize = 10;
/// How long it is not called.
const REST_MS: u64 = 10_000;
/// How long the call that is tried has, whatever becomes of it: its interaction may be cancelled before it is made.
const TRIAL_MS: u64 = 60_000;

/// The breakers of an account's deployments. One that never failed has none.
#[derive(Debug, Default)]
pub(super) struct Breakers(BTreeMap<Name, Breaker>);

#[derive(Debug, Default)]
struct Breaker {
    /// Whether each of the last calls failed.
    last: VecDeque<bool>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: UnixMillis,
    /// The call that is tried now. Those that were under way before say nothing new.
    trial: Option<Trial>,
}

#[derive(Debug)]
struct Trial {
    call: CallId,
    since: UnixMillis,
}

impl Open {
    fn is_tried_by(&self, call: CallId) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.call == call)
    }
}

impl Breakers {
    /// Why a deployment may not be called now, where it may not. May be asked again for the same call.
    pub(super) fn refusal(&mut self, deployment: &Name, call: CallId, now: UnixMillis) -> Option<String> {
        let open = self.0.get_mut(deployment)?.open.as_mut()?;
        if open.is_tried_by(call) {
            return None;
        }
        let is_tried = open.trial.as_ref().is_some_and(|trial| now < trial.since.plus(TRIAL_MS));
        if now >= open.until && !is_tried {
            open.trial = Some(Trial { call, since: now });
            return None;
        }
        let left = open.until.0.saturating_sub(now.0).div_ceil(1000);
        let when = if is_tried { "one call is tried now".to_owned() } else { format!("it is tried again in {left} s") };
        Some(format!("the deployment was taken out, for half of its last {CALLS} calls failed; {when}"))
    }

    /// Counts how a call ended. Answers whether the deployment is in or out from now on, where that has changed.
    pub(super) fn ended(
        &mut self,
        deployment: &Name,
        call: CallId,
        failure: Option<&Failure>,
        now: UnixMillis,
    ) -> Option<bool> {
        let failed = matches!(failure, Some(Failure::Trap(_) | Failure::Overrun { .. } | Failure::Refused(_)));
        if !failed && !self.0.contains_key(deployment) {
            return None;
        }
        if matches!(failure, Some(Failure::Unavailable(_))) {
            // It was not called, or the server is at fault. A try that came to nothing is made again.
            self.untried(deployment, call);
            return None;
        }
        let breaker = self.0.entry(deployment.clone()).or_default();
        if let Some(open) = &breaker.open {
            if !open.is_tried_by(call) {
                return None;
            }
            if failed {
                breaker.open = Some(Open { until: now.plus(REST_MS), trial: None });
                return None;
            }
            self.0.remove(deployment);
            return Some(true);
        }
        breaker.last.push_back(failed);
        if breaker.last.len() > CALLS {
            breaker.last.pop_front();
        }
        let failures = breaker.last.iter().filter(|failed| **failed).count();
        if failures == 0 {
            self.0.remove(deployment);
            return None;
        }
        if breaker.last.len() < CALLS || failures < FAILED_MAX {
            return None;
        }
        breaker.last.clear();
        breaker.open = Some(Open { until: now.plus(REST_MS), trial: None });
        Some(false)
    }

    /// A call could not be made, or nobody will say how it ended: another one is tried in its place.
    pub(super) fn untried(&mut self, deployment: &Name, call: CallId) {
        let open = self.0.get_mut(deployment).and_then(|breaker| breaker.open.as_mut());
        if let Some(open) = open.filter(|open| open.is_tried_by(call)) {
            open.trial = None;
        }
    }

    /// A deployment was deleted.
    pub(super) fn forget(&mut self, deployment: &Name) {
        self.0.remove(deployment);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_that_nobody_hears_of_again_makes_room_for_another() {
        let (mut breakers, name) = (Breakers::default(), Name::new("a").unwrap());
        for n in 0..CALLS as u64 {
            let _ = breakers.ended(&name, CallId(n), Some(&Failure::Trap(String::new())), UnixMillis(0));
        }
        let at = |ms| UnixMillis(REST_MS + ms);
        assert_eq!(breakers.refusal(&name, CallId(100), at(0)), None);
        assert!(breakers.refusal(&name, CallId(101), at(TRIAL_MS - 1)).is_some());
        assert_eq!(breakers.refusal(&name, CallId(101), at(TRIAL_MS)), None);
        assert_eq!(breakers.ended(&name, CallId(100), None, at(TRIAL_MS)), None, "it says nothing any more");
        assert_eq!(breakers.ended(&name, CallId(101), None, at(TRIAL_MS)), Some(true));
    }

    #[test]
    fn a_failing_deployment_is_taken_out_tried_and_taken_back() {
        let (mut breakers, name) = (Breakers::default(), Name::new("a").unwrap());
        let (old, trial, other) = (CallId(1), CallId(2), CallId(3));
        let trap = Failure::Trap("oops".into());
        let mut now = UnixMillis(1000);
        // Nineteen say nothing yet; a failure that it says itself is none.
        for n in 0..CALLS - 1 {
            let failure = if n % 2 == 0 { Some(&trap) } else { None };
            assert_eq!(breakers.ended(&name, old, failure, now), None);
        }
        assert_eq!(breakers.refusal(&name, old, now), None);
        let own = Failure::Other("not mine".into());
        assert_eq!(breakers.ended(&name, old, Some(&own), now), Some(false));
        assert!(breakers.refusal(&name, trial, now).unwrap().contains("tried again in 10 s"));
        // What was under way changes nothing, before the trial and during it.
        assert_eq!(breakers.ended(&name, old, None, now), None);
        now = now.plus(REST_MS);
        assert_eq!(breakers.refusal(&name, trial, now), None, "one is tried");
        assert_eq!(breakers.refusal(&name, trial, now), None, "and asked about again");
        assert_eq!(breakers.ended(&name, old, None, now), None);
        assert!(breakers.refusal(&name, other, now).unwrap().contains("one call is tried now"));
        assert_eq!(breakers.ended(&name, trial, Some(&trap), now), None);
        assert!(breakers.refusal(&name, trial, now).is_some());
        now = now.plus(REST_MS);
        // One of which nothing is heard any more makes room for the next.
        assert_eq!(breakers.refusal(&name, trial, now), None);
        breakers.untried(&name, trial);
        assert_eq!(breakers.refusal(&name, other, now), None);
        breakers.untried(&name, trial);
        assert_eq!(breakers.ended(&name, other, None, now), Some(true));
        assert_eq!(breakers.refusal(&name, other, now), None);
        assert!(breakers.0.is_empty(), "nothing is kept of who is well");
    }

    #[test]
    fn who_fails_now_and_then_stays_in() {
        let (mut breakers, name) = (Breakers::default(), Name::new("a").unwrap());
        let trap = Failure::Trap("oops".into());
        for n in 0..1000 {
            assert_eq!(breakers.ended(&name, CallId(n), (n % 3 == 0).then_some(&trap), UnixMillis(n)), None);
        }
        for n in 1000..1100 {
            assert_eq!(breakers.ended(&name, CallId(n), None, UnixMillis(n)), None);
        }
        assert!(breakers.0.is_empty());
    }
}
