//! Takes a failing deployment out: once half of its last calls failed it is not called for a while, and what waits for it
//! is told so at once, which the binding answers as any failure. Then one call is tried; if it decides, all is as before.
//!
//! What counts is a strategy that traps, overruns or answers nonsense; a failure that it says itself is its decision.

use std::collections::{BTreeMap, VecDeque};

use signalbox_engine::{Failure, Name, UnixMillis};

/// Calls that are looked at, the last ones; fewer say nothing.
const CALLS: usize = 20;
/// Of them, so many failures take it out.
const FAILED_MAX: usize = 10;
/// How long it is not called.
const REST_MS: u64 = 10_000;

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
    /// A call is tried now.
    tries: bool,
}

impl Breakers {
    /// Whether a deployment may be called now; why not, where it may not. May be asked again for the same call.
    pub(super) fn refusal(&mut self, deployment: &Name, now: UnixMillis) -> Option<String> {
        let open = self.0.get_mut(deployment)?.open.as_mut()?;
        if now >= open.until && !open.tries {
            open.tries = true;
            return None;
        }
        let left = open.until.0.saturating_sub(now.0).div_ceil(1000);
        let when =
            if open.tries { "one call is tried now".to_owned() } else { format!("it is tried again in {left} s") };
        Some(format!("the deployment was taken out, for half of its last {CALLS} calls failed; {when}"))
    }

    /// Counts how a call ended. Answers whether the deployment is in or out from now on, where that has changed.
    pub(super) fn ended(&mut self, deployment: &Name, failure: Option<&Failure>, now: UnixMillis) -> Option<bool> {
        let failed = matches!(failure, Some(Failure::Trap(_) | Failure::Overrun { .. } | Failure::Refused(_)));
        if !failed && !self.0.contains_key(deployment) {
            return None;
        }
        if matches!(failure, Some(Failure::Unavailable(_))) {
            // It was not called, or the server is at fault. A try that came to nothing is made again.
            self.untried(deployment);
            return None;
        }
        let breaker = self.0.entry(deployment.clone()).or_default();
        if let Some(open) = &breaker.open {
            // Those that were under way when it was taken out say nothing new.
            if !open.tries {
                return None;
            }
            if failed {
                breaker.open = Some(Open { until: now.plus(REST_MS), tries: false });
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
        breaker.open = Some(Open { until: now.plus(REST_MS), tries: false });
        Some(false)
    }

    /// The call that was to be tried could not be made now.
    pub(super) fn untried(&mut self, deployment: &Name) {
        if let Some(open) = self.0.get_mut(deployment).and_then(|breaker| breaker.open.as_mut()) {
            open.tries = false;
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
    fn a_failing_deployment_is_taken_out_tried_and_taken_back() {
        let (mut breakers, name) = (Breakers::default(), Name::new("a").unwrap());
        let trap = Failure::Trap("oops".into());
        let mut now = UnixMillis(1000);
        // Nineteen say nothing yet; a failure that it says itself is none.
        for n in 0..CALLS - 1 {
            let failure = if n % 2 == 0 { Some(&trap) } else { None };
            assert_eq!(breakers.ended(&name, failure, now), None);
        }
        assert_eq!(breakers.refusal(&name, now), None);
        let own = Failure::Other("not mine".into());
        assert_eq!(breakers.ended(&name, Some(&own), now), Some(false));
        assert!(breakers.refusal(&name, now).unwrap().contains("tried again in 10 s"));
        // What was under way changes nothing.
        assert_eq!(breakers.ended(&name, None, now), None);
        now = now.plus(REST_MS);
        assert_eq!(breakers.refusal(&name, now), None, "one is tried");
        assert!(breakers.refusal(&name, now).unwrap().contains("one call is tried now"));
        assert_eq!(breakers.ended(&name, Some(&trap), now), None);
        assert!(breakers.refusal(&name, now).is_some());
        now = now.plus(REST_MS);
        assert_eq!(breakers.refusal(&name, now), None);
        assert_eq!(breakers.ended(&name, None, now), Some(true));
        assert_eq!(breakers.refusal(&name, now), None);
        assert!(breakers.0.is_empty(), "nothing is kept of who is well");
    }

    #[test]
    fn who_fails_now_and_then_stays_in() {
        let (mut breakers, name) = (Breakers::default(), Name::new("a").unwrap());
        let trap = Failure::Trap("oops".into());
        for n in 0..1000 {
            assert_eq!(breakers.ended(&name, (n % 3 == 0).then_some(&trap), UnixMillis(n)), None);
        }
        for n in 1000..1100 {
            assert_eq!(breakers.ended(&name, None, UnixMillis(n)), None);
        }
        assert!(breakers.0.is_empty());
    }
}
