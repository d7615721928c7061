//! The HTTP API: authenticates, bounds and validates requests, and turns them into commands and reads.
//!
//! It reads from `store` and `stats` and writes only through `lane`. It decides nothing about interactions: what is refused
//! here is refused for its form, its size or its token; the rest is the engine's.
//!
//! Routes are declared once, beside their handlers, one file for each noun; the OpenAPI document is made from the same
//! declarations (`openapi.rs`). Who may do what is the type of a handler's [`Caller`](auth::Caller) (`auth.rs`). Every
//! status code of an error stands in `problem.rs`.
//!
//! HTTP/1.1 only: a proxy in front speaks whatever else is wanted, TLS included.

mod accounts;
mod agents;
pub mod auth;
mod backups;
mod bindings;
mod body;
mod calendars;
mod callbacks;
mod cursor;
mod decisions;
mod deployment;
mod deployments;
mod document;
mod endpoints;
mod files;
mod interaction;
mod interactions;
mod openapi;
mod outbox;
mod problem;
mod queues;
mod replays;
mod responses;
mod seats;
mod serve;
mod server;
mod session;
mod signing_keys;
mod staff;
mod statistics;
mod strategies;
mod submit;
mod tables;
mod timeline;
mod tokens;
mod unread;
mod webhooks;
mod work;
mod workflows;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::{Method, Uri};
use signalbox_engine::UnixMillis;
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};
use utoipa::openapi::OpenApi;

pub use body::JSON_BYTES_MAX;
pub use files::raise_open_files;
pub use problem::Problem;
pub use serve::serve;
pub use submit::TEXT_BYTES_MAX;
pub use tables::TABLE_BYTES_MAX;

use crate::lane::{Accounts, Lane};
use seats::{SESSIONS_MAX, Seats};

/// Memory for request bodies above 64 KiB, of all requests together.
const BODIES_KIB_MAX: usize = 512 << 10;
/// Strategies that are compiled at the same time: one that takes long does not hold up the others.
const INSTALLS_MAX: usize = 2;
/// Strategies that wait to be compiled; each holds its binary in memory.
const INSTALLS_WAITING_MAX: usize = 8;
/// Locks for accounts' documents: two accounts may share one, which does no harm.
const DOCUMENT_LOCKS: usize = 64;

/// What all requests share.
#[derive(Clone)]
pub struct State(Arc<Shared>);

struct Shared {
    accounts: Arc<Accounts>,
    bodies: Arc<Semaphore>,
    seats: Arc<Seats>,
    streams: Arc<Semaphore>,
    replays: Arc<replays::Jobs>,
    installs: Arc<Semaphore>,
    installs_waiting: Arc<Semaphore>,
    documents: [Mutex<()>; DOCUMENT_LOCKS],
}

impl State {
    /// For these accounts.
    #[must_use]
    pub fn new(accounts: Arc<Accounts>) -> Self {
        Self(Arc::new(Shared {
            accounts,
            bodies: Arc::new(Semaphore::new(BODIES_KIB_MAX)),
            // With the connections' half, a quarter of the files is left for the store.
            seats: Seats::new(SESSIONS_MAX.min(files::open_files_max() / 4)),
            streams: Arc::new(Semaphore::new(statistics::STREAMS_MAX)),
            replays: Arc::default(),
            installs: Arc::new(Semaphore::new(INSTALLS_MAX)),
            installs_waiting: Arc::new(Semaphore::new(INSTALLS_MAX + INSTALLS_WAITING_MAX)),
            documents: std::array::from_fn(|_| Mutex::new(())),
        }))
    }

    fn accounts(&self) -> &Arc<Accounts> {
        &self.0.accounts
    }

    fn replays(&self) -> &Arc<replays::Jobs> {
        &self.0.replays
    }

    /// Memory for a large body; none where there is none left.
    fn room_for_body(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(1024)).ok()?;
        Arc::clone(&self.0.bodies).try_acquire_many_owned(kib).ok()
    }

    /// Room for agents' sessions.
    fn seats(&self) -> &Arc<Seats> {
        &self.0.seats
    }

    /// Room for one more stream of figures; none where there are as many as may be.
    fn room_for_stream(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.streams).try_acquire_owned().ok()
    }

    /// Held from the reading of a document to the writing of what was made of it. Whoever writes documents holds it.
    async fn documents(&self, lane: &Lane) -> MutexGuard<'_, ()> {
        self.0.documents[lane.number().0 as usize % DOCUMENT_LOCKS].lock().await
    }

    /// Runs work that compiles a strategy, when it is its turn. It goes on where the caller goes away.
    async fn compile<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let waits = Arc::clone(&self.0.installs_waiting).try_acquire_owned().map_err(|_| Problem::installs_full())?;
        let turn = Arc::clone(&self.0.installs).acquire_owned().await;
        let turn = turn.map_err(|error| Problem::internal("the semaphore for installs was closed", &error))?;
        blocking(move || {
            let _held = (waits, turn);
            work()
        })
        .await
    }

    /// Reads from the store, away from the threads that serve requests.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&crate::store::Store) -> Result<T, crate::store::Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let store = Arc::clone(self.accounts().store());
        Ok(blocking(move || read(&store)).await??)
    }
}

/// Runs what blocks on a thread that may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal("a request panicked", &error))
}

/// The clock, for what the engine is not asked about.
fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// All routes, and the document that describes them.
fn routes() -> (Router<State>, OpenApi) {
    openapi::collect([
        (
            "interactions",
            submit::routes().merge(interactions::routes()).merge(timeline::routes()).merge(work::routes()),
        ),
        ("decisions", decisions::routes()),
        ("queues", queues::routes()),
        ("agents", staff::agents::routes().merge(agents::routes()).merge(session::routes())),
        ("agent-groups", staff::agent_groups::routes()),
        ("agent-rules", staff::rules()),
        ("places", staff::places::routes()),
        ("place-groups", staff::place_groups::routes()),
        ("skills", staff::skills::routes()),
        ("statistics", statistics::routes()),
        ("workflows", workflows::routes()),
        ("bindings", bindings::routes()),
        ("strategies", strategies::routes()),
        ("signing-keys", signing_keys::routes()),
        ("deployments", deployments::routes()),
        ("replays", replays::routes()),
        ("outbox", outbox::routes()),
        ("webhooks", webhooks::routes()),
        ("endpoints", endpoints::routes()),
        ("callbacks", callbacks::routes()),
        ("tables", tables::routes()),
        ("responses", responses::routes()),
        ("calendars", calendars::routes()),
        ("tokens", tokens::routes()),
        ("accounts", accounts::routes()),
        ("backups", backups::routes()),
        ("server", server::routes()),
    ])
}

/// The OpenAPI 3.1 document of the API.
#[must_use]
pub fn openapi() -> OpenApi {
    routes().1
}

/// Everything that is served.
pub fn router(state: State) -> Router {
    let (router, api) = routes();
    router
        .merge(utoipa_swagger_ui::SwaggerUi::new("/docs").url("/openapi.json", api))
        .fallback(|uri: Uri| async move { Problem::path_unknown(uri.path()) })
        .method_not_allowed_fallback(|method: Method, uri: Uri| async move {
            Problem::method_not_allowed(method.as_str(), uri.path())
        })
        .with_state(state)
}
