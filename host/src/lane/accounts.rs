//! All accounts of a server, each with its lane.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use signalbox_engine::{Account, Name, UnixMillis};
use tokio::runtime::Handle;

use super::activity::Activity;
use super::calls::WINDOW;
use super::effects::World;
use super::loaders::Loaders;
use super::writer::Writer;
use super::{Error, Lane, Published, Shared, canaries, shadows};
use crate::outbox::Outbox;
use crate::stats::Stats;
use crate::store::{self, AccountNumber, AccountRow, Batch, Head, Store};
use crate::strategy::{self, Pool, Runtime};

/// The account whose tokens act in every account, and which makes accounts.
pub const SYSTEM: &str = "system";
/// Accounts of one server: each has a thread.
const ACCOUNTS_MAX: usize = 256;
/// Calls that wait in the pool: room for every account's window and its shadows, so that no lane is refused and has to try
/// again.
const POOL_WAITING_MAX: usize = ACCOUNTS_MAX * (WINDOW + shadows::IN_FLIGHT_MAX);

/// How much nicer than lanes the threads are that fold statistics: no commit waits for a figure.
const STATS_NICE: i32 = 5;

/// What lanes work with.
#[derive(Clone)]
pub struct Options {
    /// Where rows are kept.
    pub store: Arc<Store>,
    /// What strategies run in.
    pub runtime: Arc<Runtime>,
    /// Threads that run strategies.
    pub threads: NonZero<usize>,
    /// What delivers messages.
    pub outbox: Arc<Outbox>,
    /// Where those who wait for answers run.
    pub handle: Handle,
}

/// All accounts and their lanes.
pub struct Accounts {
    options: Options,
    pool: Arc<Pool>,
    loaders: Arc<Loaders>,
    lanes: ArcSwap<BTreeMap<Name, Arc<Lane>>>,
    /// Held while an account is made, so that no two get the same number.
    making: Mutex<()>,
}

impl Accounts {
    /// Loads every account and starts its lane.
    ///
    /// # Errors
    /// Where a row cannot be read, or the system gives no thread.
    pub fn open(options: Options) -> anyhow::Result<Self> {
        let pool = Arc::new(Pool::new(options.threads, POOL_WAITING_MAX)?);
        let loaders = Arc::new(Loaders::start()?);
        let accounts = Self { options, pool, loaders, lanes: ArcSwap::default(), making: Mutex::new(()) };
        let mut loaded = Vec::new();
        for (name, row) in accounts.options.store.accounts()? {
            let (account, head) = accounts
                .options
                .store
                .load(row.number)?
                .ok_or_else(|| anyhow::anyhow!("account `{name}` has no rows: restore a backup"))?;
            loaded.push((name, row.number, account, Head { epoch: head.epoch + 1, ..head }));
        }
        accounts.retain_images(loaded.iter().map(|(_, _, account, _)| account));
        let mut lanes = BTreeMap::new();
        for (name, number, account, head) in loaded {
            lanes.insert(name.clone(), accounts.start(name, number, account, head)?);
        }
        accounts.lanes.store(Arc::new(lanes));
        Ok(accounts)
    }

    /// Deletes the files of images that no deployment has any more.
    fn retain_images<'a>(&self, accounts: impl Iterator<Item = &'a Account>) {
        let deployments = accounts.flat_map(|account| account.configuration().deployments.values());
        if let Err(error) = self.options.runtime.retain_images(&deployments.map(|it| it.image).collect()) {
            tracing::warn!(%error, "images of deleted deployments stay where they are");
        }
    }

    /// An account's lane.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Lane>> {
        self.lanes.load().get(name).cloned()
    }

    /// The names of all accounts.
    #[must_use]
    pub fn names(&self) -> Vec<Name> {
        self.lanes.load().keys().cloned().collect()
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.options.store
    }

    /// The strategy runtime.
    #[must_use]
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.options.runtime
    }

    /// The account of that name, made where there is none. Blocks for a commit.
    ///
    /// # Errors
    /// [`Error::Rejected`] where there are too many, [`Error::Unavailable`] where the store cannot write.
    pub fn create(&self, name: &Name) -> Result<Arc<Lane>, Error> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = self.get(name.as_str()) {
            return Ok(lane);
        }
        let unavailable = |error: store::Error| Error::Unavailable(error.to_string());
        let rows = self.options.store.accounts().map_err(unavailable)?;
        if rows.len() >= ACCOUNTS_MAX {
            return Err(signalbox_engine::Rejection::Full { what: "accounts", limit: ACCOUNTS_MAX }.into());
        }
        let number = AccountNumber(rows.iter().map(|(_, row)| row.number.0).max().unwrap_or(0) + 1);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let created_at = UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let account = Account::default();
        let mut batch = Batch::new(number);
        batch.account(&self.options.store, name.as_str(), &AccountRow { number, created_at });
        let head = Head { sequence: account.sequence(), epoch: 1, at: created_at };
        batch.head(&self.options.store, head);
        self.options.store.commit(batch).map_err(unavailable)?;
        let lane = self.start(name.clone(), number, account, head).map_err(|e| Error::Unavailable(e.to_string()))?;
        let mut lanes = BTreeMap::clone(&self.lanes.load());
        lanes.insert(name.clone(), Arc::clone(&lane));
        self.lanes.store(Arc::new(lanes));
        Ok(lane)
    }

    fn start(&self, name: Name, number: AccountNumber, account: Account, head: Head) -> std::io::Result<Arc<Lane>> {
        let Options { store, runtime, outbox, handle, .. } = &self.options;
        let shared = Arc::new(Shared {
            name,
            number,
            mailbox: super::Mailbox::new(),
            published: ArcSwap::from_pointee(Published::default()),
            stats: Arc::new(Stats::new(|| strategy::lower_priority(STATS_NICE))),
            activity: Activity::new(Instant::now()),
            shadows: shadows::Shadows::default(),
            canaries: canaries::Canaries::default(),
            fault: Mutex::default(),
        });
        let world = World {
            shared: Arc::clone(&shared),
            store: Arc::clone(store),
            runtime: Arc::clone(runtime),
            pool: Arc::clone(&self.pool),
            loaders: Arc::clone(&self.loaders),
            outbox: Arc::clone(outbox),
            handle: handle.clone(),
            deployments: BTreeMap::new(),
        };
        let writer = Writer::new(Arc::clone(&shared), Arc::clone(store), head, account, Box::new(world));
        let thread = std::thread::Builder::new().name(format!("lane-{}", number.0)).spawn(move || writer.run())?;
        Ok(Arc::new(Lane { shared, thread: Mutex::new(Some(thread)) }))
    }

    /// Finishes what waits in every lane, and ends them. What strategies were asked and have not answered is asked again on
    /// the next start.
    pub fn stop(&self) {
        for lane in self.lanes.load().values() {
            lane.stop();
        }
    }
}
