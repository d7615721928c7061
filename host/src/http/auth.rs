//! Who is asking, and whether they may: bearer tokens, roles, and the extractors that every route begins with.
//!
//! A token is found by the SHA-256 of its secret, in its account or in `system`, whose tokens act in every account by
//! their roles. Whoever has no token of an account cannot tell whether the account exists.
//!
//! Invariant: a handler that takes a [`Caller`] runs only for a token that has one of its grant's roles.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore as _;
use sha2::{Digest as _, Sha256};
use signalbox_engine::{Digest, Name, Role, Token};

use super::{Problem, State};
use crate::lane::{Accounts, Lane, SYSTEM};

/// The hash by which a token is found: SHA-256 of its secret, prefix and all.
#[must_use]
pub fn secret_hash(secret: &str) -> Digest {
    Digest(Sha256::digest(secret).into())
}

/// A new secret: `sbx_` and 32 random bytes.
///
/// # Errors
/// Where the system has no randomness.
pub fn new_secret() -> Result<String, rand::rand_core::OsError> {
    let mut bytes = [0; 32];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes)?;
    Ok(format!("sbx_{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Operations that the same roles may do. An administrator may do all of them.
pub trait Grant: Send + Sync + 'static {
    /// One of these is needed, or `administrator`.
    const ROLES: &'static [Role];
}

macro_rules! grants {
    ($($(#[$doc:meta])* $name:ident: $($role:ident)*;)*) => {$(
        $(#[$doc])*
        pub enum $name {}
        impl Grant for $name {
            const ROLES: &'static [Role] = &[$(Role::$role),*];
        }
    )*};
}

grants! {
    /// Hands interactions in and attaches data to them.
    Submit: Client;
    /// Cancels interactions.
    Cancel: Client Operator;
    /// Sees interactions and what happened to them.
    Follow: Client Agent Operator;
    /// Takes interactions out of queues.
    Work: Agent;
    /// Ends the work on interactions that were taken, or puts them back.
    Settle: Agent Operator;
    /// Keeps strategies, bindings, queues, tables, webhooks and the outbox; resumes what is parked; sees decisions and logs.
    Operate: Operator;
    /// Sees workflows and queues.
    Look: Client Agent Designer Approver Operator;
    /// Sees what workflows are drawn with: responses, calendars, strategies, deployments, bindings.
    Review: Designer Approver Operator;
    /// Asks whether a workflow has faults.
    Check: Designer Approver;
    /// Draws workflows, writes standard responses and calendars.
    Design: Designer;
    /// Approves standard responses.
    Approve: Approver;
    /// Keeps tokens.
    Administer: ;
}

/// Whose token it is.
#[derive(Debug, Clone)]
enum Holder {
    Account(Name),
    System(Name),
}

/// A caller who may do what the grant says, in the account that the path names.
pub struct Caller<G> {
    /// The account's lane.
    pub(super) lane: Arc<Lane>,
    /// What all requests share.
    pub(super) state: State,
    holder: Holder,
    roles: Vec<Role>,
    pass: Pass,
    grant: PhantomData<G>,
}

/// A token that was let in, to be asked again while what it has opened goes on.
#[derive(Clone)]
pub(super) struct Pass {
    /// The lane of the account that the token is one of.
    home: Arc<Lane>,
    hash: Digest,
    roles: &'static [Role],
}

impl Pass {
    /// Whether the token still stands and has one of the roles.
    pub(super) fn holds(&self) -> bool {
        self.home.published().tokens.get(&self.hash).is_some_and(|token| permit(token, self.roles).is_ok())
    }
}

impl<G> Caller<G> {
    /// For what goes on after the request.
    pub(super) fn pass(&self) -> Pass {
        self.pass.clone()
    }

    /// Whether the caller may approve what is written.
    pub(super) fn approves(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::Approver | Role::Administrator))
    }

    /// Whether the caller may end or put back work that somebody else took.
    pub(super) fn acts_for_anyone(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::Operator | Role::Administrator))
    }

    /// Whether the caller speaks for customers, and for nobody else.
    pub(super) fn is_client(&self) -> bool {
        self.roles.contains(&Role::Client)
    }

    /// The agent that the token acts for, if there is one of its name.
    pub(super) fn agent(&self) -> Option<Name> {
        match &self.holder {
            Holder::Account(name) if self.roles.contains(&Role::Agent) => Some(name.clone()),
            _ => None,
        }
    }

    /// Name of the token, as it stands in records: `system/NAME` for one of the account `system`.
    pub(super) fn by(&self) -> String {
        self.holder.to_string()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(name) => f.write_str(name.as_str()),
            Self::System(name) => write!(f, "{SYSTEM}/{name}"),
        }
    }
}

impl<G: Grant> FromRequestParts<State> for Caller<G> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let known = identify(state.accounts(), &parts.headers, account_of(parts.uri.path()), G::ROLES)?;
        let (lane, holder, roles, pass) = known;
        if let Holder::Account(name) = &holder
            && lane.published().configuration.agents.contains_key(name)
        {
            lane.heard(name);
        }
        Ok(Self { lane, state: state.clone(), holder, roles, pass, grant: PhantomData })
    }
}

/// An administrator of the server: the token is one of the account `system`.
pub struct ServerAdministrator {
    /// What all requests share.
    pub(super) state: State,
}

impl FromRequestParts<State> for ServerAdministrator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        identify(state.accounts(), &parts.headers, SYSTEM, Administer::ROLES).map_err(Problem::of_the_server)?;
        Ok(Self { state: state.clone() })
    }
}

/// Someone who may see the figures of some accounts: all of them, where the token is one of `system`.
pub struct Watcher {
    /// The accounts.
    pub(super) lanes: Vec<Arc<Lane>>,
    /// Whether the token is one of `system`.
    pub(super) of_system: bool,
}

impl FromRequestParts<State> for Watcher {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let hash = bearer(&parts.headers)?;
        let accounts = state.accounts();
        let lanes: Vec<_> = accounts.names().iter().filter_map(|name| accounts.get(name.as_str())).collect();
        let home = lanes.iter().find(|lane| lane.published().tokens.contains_key(&hash));
        let home = Arc::clone(home.ok_or_else(Problem::token_unknown)?);
        permit(home.published().tokens.get(&hash).ok_or_else(Problem::token_unknown)?, Operate::ROLES)?;
        let of_system = home.name().as_str() == SYSTEM;
        let lanes = if of_system { lanes } else { vec![home] };
        Ok(Self { lanes, of_system })
    }
}

/// The account that a path names: the segment behind `/v1/accounts/`. A name never needs an escape.
fn account_of(path: &str) -> &str {
    let rest = path.strip_prefix("/v1/accounts/").unwrap_or_default();
    rest.split('/').next().unwrap_or_default()
}

fn identify(
    accounts: &Accounts,
    headers: &HeaderMap,
    account: &str,
    roles: &'static [Role],
) -> Result<(Arc<Lane>, Holder, Vec<Role>, Pass), Problem> {
    let hash = bearer(headers)?;
    let pass = |home: &Arc<Lane>| Pass { home: Arc::clone(home), hash, roles };
    let lane = accounts.get(account);
    if let Some(lane) = &lane
        && let Some(token) = lane.published().tokens.get(&hash)
    {
        permit(token, roles)?;
        return Ok((Arc::clone(lane), Holder::Account(token.name.clone()), token.roles.clone(), pass(lane)));
    }
    if let Some(system) = accounts.get(SYSTEM)
        && let Some(token) = system.published().tokens.get(&hash)
    {
        let lane = lane.ok_or_else(|| Problem::account_unknown(account))?;
        permit(token, roles)?;
        return Ok((lane, Holder::System(token.name.clone()), token.roles.clone(), pass(&system)));
    }
    let known = |name: &Name| accounts.get(name.as_str()).is_some_and(|l| l.published().tokens.contains_key(&hash));
    match accounts.names().iter().any(known) {
        true => Err(Problem::token_of_another_account()),
        false => Err(Problem::token_unknown()),
    }
}

fn permit(token: &Token, roles: &[Role]) -> Result<(), Problem> {
    if token.roles.iter().any(|role| *role == Role::Administrator || roles.contains(role)) {
        return Ok(());
    }
    let names: Vec<&str> = roles.iter().chain([&Role::Administrator]).map(|role| role_name(*role)).collect();
    Err(Problem::role_missing(&names.join(", ")))
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Agent => "agent",
        Role::Designer => "designer",
        Role::Approver => "approver",
        Role::Operator => "operator",
        Role::Administrator => "administrator",
    }
}

fn bearer(headers: &HeaderMap) -> Result<Digest, Problem> {
    if let Some(secret) = headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(second_protocol) {
        return Ok(secret_hash(secret));
    }
    let header = headers.get(AUTHORIZATION).ok_or_else(Problem::token_missing)?;
    let (scheme, secret) = header.as_bytes().split_at_checked(7).ok_or_else(Problem::token_missing)?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return Err(Problem::token_missing());
    }
    Ok(Digest(Sha256::digest(secret.trim_ascii()).into()))
}

/// A browser opens a WebSocket with no header of its own but this: `signalbox, TOKEN`.
fn second_protocol(value: &HeaderValue) -> Option<&str> {
    let (first, second) = value.to_str().ok()?.split_once(',')?;
    (first.trim() == "signalbox").then_some(second.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_the_segment_behind_accounts() {
        assert_eq!(account_of("/v1/accounts/acme/interactions"), "acme");
        assert_eq!(account_of("/v1/accounts/acme"), "acme");
        assert_eq!(account_of("/v1/backups"), "");
    }

    #[test]
    fn a_secret_is_never_made_twice_and_is_found_by_its_hash() {
        let (a, b) = (new_secret().unwrap(), new_secret().unwrap());
        assert_ne!(a, b);
        assert!(a.starts_with("sbx_") && a.len() == 47, "{a}");
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("bEaReR {a}").parse().unwrap());
        assert_eq!(bearer(&headers).unwrap(), secret_hash(&a));
    }

    #[test]
    fn another_scheme_counts_as_no_token() {
        for value in ["", "Bearer", "Basic dXNlcjpwYXNz", "sbx_abc"] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer(&headers).unwrap_err().code(), "token-missing", "{value}");
        }
    }
}
