//! A strategy on the bench: configured as a deployment would, called as the server would.

use super::fake::{self, Line, Response, Server};
use crate::{Asset, Decision, Failure, Manifest, Request, Strategy, UnixMillis, glue, limits, statistics::ObjectKind};
use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};

/// A configured strategy and the fake server behind it.
pub struct Bench<S> {
    strategy: S,
    server: Mutex<Server>,
}

// By hand, so that a strategy need not be `Debug` for `unwrap_err` on a bench.
impl<S: Strategy> fmt::Debug for Bench<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Bench").field("strategy", &S::NAME).field("server", &self.server).finish()
    }
}

impl<S: Strategy> Bench<S> {
    /// Configures the strategy from its settings, given as JSON.
    ///
    /// # Errors
    /// What an operator would read on deployment.
    pub fn new(settings: impl ToString) -> Result<Self, String> {
        Self::with_assets(settings, Vec::new())
    }

    /// Configures the strategy from its settings and files, each a name and its bytes.
    ///
    /// # Errors
    /// What an operator would read on deployment.
    pub fn with_assets(settings: impl ToString, assets: Vec<(&str, Vec<u8>)>) -> Result<Self, String> {
        let assets = assets.into_iter().map(|(name, content)| Asset { name: name.to_owned(), content }).collect();
        let settings = settings.to_string();
        let (server, strategy) = fake::with(Server::default(), || glue::configure(&settings, assets));
        let strategy = strategy.unwrap_or_else(|panic| resume_unwind(panic));
        Ok(Self { strategy: strategy?, server: Mutex::new(server) })
    }

    /// What the strategy says of itself before it has settings.
    pub fn unconfigured() -> Manifest {
        glue::describe::<S>(None)
    }

    /// What the strategy says of itself with its settings.
    pub fn describe(&self) -> Manifest {
        glue::describe(Some(&self.strategy))
    }

    /// The strategy itself.
    pub fn strategy(&self) -> &S {
        &self.strategy
    }

    /// Puts a key and its value in a table.
    pub fn table(self, table: &str, key: &str, value: &str) -> Self {
        self.give(|server| server.tables.insert((table.to_owned(), key.to_owned()), value.to_owned()))
    }

    /// Sets a statistic of an object.
    pub fn statistic(self, kind: ObjectKind, name: &str, statistic: &str, value: f64) -> Self {
        let key = (fake::kind_number(kind), name.to_owned(), statistic.to_owned());
        self.give(|server| server.statistics.insert(key, value))
    }

    /// Makes a calendar that is open in these spans of time, each from a moment until just before another.
    ///
    /// No spans make a calendar that never opens. Its clock is UTC's.
    pub fn calendar(self, name: &str, open: &[(UnixMillis, UnixMillis)]) -> Self {
        let mut open = open.to_vec();
        open.sort_unstable();
        self.give(|server| server.calendars.insert(name.to_owned(), open))
    }

    /// Puts a standard response in the account, for every language that has none of its own.
    pub fn response(self, name: &str, body: &str) -> Self {
        self.response_in(name, "", body)
    }

    /// Puts a standard response in the account for one language, a BCP 47 tag.
    pub fn response_in(self, name: &str, language: &str, body: &str) -> Self {
        let response = Response { subject: None, body: body.to_owned() };
        self.give(|server| server.responses.insert((name.to_owned(), language.to_owned()), response))
    }

    /// Asks for a decision.
    ///
    /// # Errors
    /// The strategy's own failure.
    ///
    /// # Panics
    /// Where the server would not take the decision: an outcome that is not in the manifest, a value past its limit.
    pub fn route(&self, request: &Request) -> Result<Decision, Failure> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let (back, result) = fake::with(std::mem::take(&mut *server), || self.strategy.route(request));
        *server = back;
        drop(server);
        let result = result.unwrap_or_else(|panic| resume_unwind(panic));
        if let Ok(decision) = &result
            && let Err(why) = limits::check_decision(decision, &self.strategy.outcomes())
        {
            panic!("the server would refuse this decision: {why}\n{decision:#?}");
        }
        result
    }

    /// What was logged so far, by `configure` and by calls, in order.
    pub fn logged(&self) -> Vec<Line> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner).log.clone()
    }

    fn give<R>(mut self, change: impl FnOnce(&mut Server) -> R) -> Self {
        change(self.server.get_mut().unwrap_or_else(PoisonError::into_inner));
        self
    }
}
