//! Seats: how many sessions of agents may be open at the same time, on the server, in an account, and of one agent.
//!
//! Each session holds a connection and is told of what happens, so each bound protects somebody else: the agent's all
//! others of the account, the account's all other accounts, the server's whoever comes without a session.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use signalbox_engine::Name;

use super::Problem;
use crate::lane::SESSIONS_OF_AGENT_MAX;
use crate::store::AccountNumber;

/// Sessions of one server.
pub(super) const SESSIONS_MAX: usize = 5000;
/// Sessions of one agent: a few desktops, and some that are cut off and not yet found out.
const OF_AGENT_MAX: usize = SESSIONS_OF_AGENT_MAX;

/// Those that are taken.
pub(super) struct Seats {
    sessions_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    accounts: BTreeMap<AccountNumber, usize>,
    agents: BTreeMap<(AccountNumber, Name), usize>,
}

/// One of them, until it is dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    account: AccountNumber,
    agent: Name,
}

impl Seats {
    /// So many for the server; four fifths of them for one account.
    pub(super) fn new(sessions_max: usize) -> Arc<Self> {
        Arc::new(Self { sessions_max, taken: Mutex::default() })
    }

    /// Takes one for an agent's session.
    ///
    /// # Errors
    /// `agent-sessions-full`, `account-sessions-full` or `sessions-full`, by the bound that is reached first.
    pub(super) fn take(self: &Arc<Self>, account: AccountNumber, agent: &Name) -> Result<Seat, Problem> {
        let mut taken = self.taken();
        let key = (account, agent.clone());
        let of_agent = taken.agents.get(&key).copied().unwrap_or_default();
        let of_account = taken.accounts.get(&account).copied().unwrap_or_default();
        if of_agent >= OF_AGENT_MAX {
            return Err(Problem::sessions_of_agent_full(agent.as_str(), OF_AGENT_MAX));
        }
        if of_account >= self.sessions_max.div_ceil(5) * 4 {
            return Err(Problem::sessions_of_account_full());
        }
        if taken.all >= self.sessions_max {
            return Err(Problem::sessions_full());
        }
        taken.all += 1;
        taken.accounts.insert(account, of_account + 1);
        taken.agents.insert(key, of_agent + 1);
        Ok(Seat { seats: Arc::clone(self), account, agent: agent.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all -= 1;
        let key = (self.account, self.agent.clone());
        if let Some(count) = taken.accounts.get_mut(&self.account) {
            *count -= 1;
        }
        taken.accounts.retain(|_, count| *count > 0);
        if let Some(count) = taken.agents.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                taken.agents.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(seats: &Arc<Seats>, account: u32, agent: &str, held: &mut Vec<Seat>) -> String {
        match seats.take(AccountNumber(account), &Name::new(agent).unwrap()) {
            Ok(seat) => {
                held.push(seat);
                String::new()
            }
            Err(problem) => problem.code().to_owned(),
        }
    }

    #[test]
    fn each_bound_leaves_room_for_others_and_a_seat_that_is_given_up_is_free() {
        let (seats, mut held) = (Seats::new(50), Vec::new());
        for n in 0..20 {
            let wanted = if n < 16 { "" } else { "agent-sessions-full" };
            assert_eq!(code(&seats, 1, "ann", &mut held), wanted, "{n}");
        }
        for n in 16..45 {
            let wanted = if n < 40 { "" } else { "account-sessions-full" };
            assert_eq!(code(&seats, 1, &format!("agent-{n}"), &mut held), wanted, "{n}");
        }
        for n in 40..55 {
            let wanted = if n < 50 { "" } else { "sessions-full" };
            assert_eq!(code(&seats, 2, "bob", &mut held), wanted, "{n}");
        }
        drop(held.remove(0));
        assert_eq!(code(&seats, 1, "ann", &mut held), "");
        assert_eq!(code(&seats, 1, "ann", &mut held), "agent-sessions-full");
        held.clear();
        let taken = seats.taken();
        assert_eq!((taken.all, taken.accounts.len(), taken.agents.len()), (0, 0, 0));
    }
}
