//! The store: one RocksDB with one log, so that a batch is atomic across all families.
//!
//! Rows are read by anybody and written only by [`Store::commit`], which a lane calls with a whole batch and which answers
//! when the batch is synced. Keys stand in `key.rs`, values in `row.rs`. It decides nothing.

mod backup;
mod batch;
mod key;
mod read;
mod row;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

pub use backup::{back_up, restore};
pub use batch::Batch;
pub use key::{AccountNumber, Family, Key};
pub use read::{Cursor, DecisionsPage, DeliveryRow, Found, StatisticsRows, Summary, Which};
pub use row::{AccountRow, DecisionRow, Head, IdempotencyRow};

use rocksdb::compaction_filter::Decision;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, Env, Options as DbOptions,
    WriteOptions, properties,
};
use signalbox_engine::UnixMillis;

/// What the store takes up at most, and where it is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its directory; made where it is missing.
    pub directory: PathBuf,
    /// Cache of blocks read.
    pub cache_bytes: usize,
}

/// Why the store could not do something. Each is a failure, not a refusal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it open, or the disk or the directory is at fault: see the source.
    #[error("the store at {0} cannot be opened")]
    Open(PathBuf, #[source] rocksdb::Error),
    /// It was written by a newer version: run that version, or restore a backup made by this one.
    #[error("the store at {path} has format {found}; this version reads formats up to {known}")]
    NewerFormat {
        /// Where.
        path: PathBuf,
        /// The store's.
        found: u32,
        /// The newest that this version knows.
        known: u32,
    },
    /// The disk is full or failing: nothing of the batch was stored.
    #[error("the store could not write")]
    Write(#[source] rocksdb::Error),
    /// The disk is failing.
    #[error("the store could not read")]
    Read(#[source] rocksdb::Error),
    /// A row is not what its key says: the store is damaged, restore a backup.
    #[error("a row is damaged: {0}")]
    Damaged(String),
    /// A row was written by a newer version.
    #[error("a row of kind {tag:#04x} has format {found}; this version reads up to {known}")]
    NewerRow {
        /// The kind of row.
        tag: u8,
        /// The row's format.
        found: u8,
        /// The newest that this version knows.
        known: u8,
    },
    /// A backup or a restore failed.
    #[error("backup or restore failed")]
    Backup(#[source] rocksdb::Error),
    /// A backup or a restore would overwrite something.
    #[error("{0}")]
    BackupRefused(String),
}

impl Error {
    /// Whether it is about rows that will not be readable later either, though all others may be.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) | Self::NewerRow { .. } => true,
            Self::Read(error) => error.kind() == rocksdb::ErrorKind::Corruption,
            _ => false,
        }
    }
}

/// Format of the whole store. It changes only where an older binary must not open it.
const FORMAT: u32 = 1;

/// An open store.
#[derive(Debug)]
pub struct Store {
    db: DB,
    path: PathBuf,
    /// Held while a backup is made.
    backing_up: Mutex<()>,
}

impl Store {
    /// Opens the store, and makes it where there is none.
    ///
    /// # Errors
    /// [`Error::Open`] where another process has it or the disk fails, [`Error::NewerFormat`] where a newer version wrote it.
    pub fn open(options: &Options) -> Result<Self, Error> {
        let path = options.directory.clone();
        let cache = Cache::new_lru_cache(options.cache_bytes);
        let mut db_options = DbOptions::default();
        db_options.create_if_missing(true);
        db_options.create_missing_column_families(true);
        db_options.set_max_background_jobs(2);
        db_options.set_max_total_wal_size(512 << 20);
        db_options.set_keep_log_file_num(4);
        db_options.set_max_open_files(1024);
        db_options.set_bytes_per_sync(1 << 20);
        // Lanes are few and each writes from one thread: the insertion for one writer is the cheaper one.
        db_options.set_allow_concurrent_memtable_write(false);
        db_options.set_env(&background()?);
        let families =
            Family::ALL.map(|family| ColumnFamilyDescriptor::new(family.name(), family_options(family, &cache)));
        let db = DB::open_cf_descriptors(&db_options, &path, families).map_err(|e| Error::Open(path.clone(), e))?;
        let store = Self { db, path, backing_up: Mutex::new(()) };
        store.check_format()?;
        Ok(store)
    }

    /// Memory that it holds, in bytes: what was written and is not in a file yet, and what was read.
    #[must_use]
    pub fn memory_bytes(&self) -> [(&'static str, u64); 2] {
        let of = |family, what| self.db.property_int_value_cf(self.family(family), what).ok().flatten();
        let written = Family::ALL.into_iter().filter_map(|family| of(family, properties::SIZE_ALL_MEM_TABLES)).sum();
        // All families have one cache.
        let read = of(Family::Meta, properties::BLOCK_CACHE_USAGE).unwrap_or_default();
        [("written", written), ("read", read)]
    }

    fn check_format(&self) -> Result<(), Error> {
        let key = Key::Format.encode();
        match self.db.get_cf(self.family(Family::Meta), &key).map_err(Error::Read)? {
            Some(value) => {
                let found = value.as_slice().try_into().map(u32::from_be_bytes);
                let found = found.map_err(|_| Error::Damaged("the format row is not 4 bytes".into()))?;
                if found > FORMAT {
                    return Err(Error::NewerFormat { path: self.path.clone(), found, known: FORMAT });
                }
                Ok(())
            }
            None => self.write_format(),
        }
    }

    /// Stores a batch, whole or not at all, and answers when it is synced.
    ///
    /// # Errors
    /// [`Error::Write`]: nothing of it is stored, and the caller's state has to be loaded again.
    pub fn commit(&self, batch: Batch) -> Result<(), Error> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(batch.into_rows(), &options).map_err(Error::Write)
    }

    /// Tries whether it can write: rewrites one of its own rows, with a sync.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn probe(&self) -> Result<(), Error> {
        self.write_format()
    }

    fn write_format(&self) -> Result<(), Error> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        let family = self.family(Family::Meta);
        self.db.put_cf_opt(family, Key::Format.encode(), FORMAT.to_be_bytes(), &options).map_err(Error::Write)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn family(&self, family: Family) -> &ColumnFamily {
        self.db
            .cf_handle(family.name())
            .unwrap_or_else(|| panic!("the family {} was opened with the store", family.name()))
    }
}

/// Flushes and compactions yield to the threads that commit and answer.
fn background() -> Result<Env, Error> {
    let mut env = Env::new().map_err(|e| Error::Open(PathBuf::new(), e))?;
    env.lower_thread_pool_cpu_priority();
    env.lower_high_priority_thread_pool_cpu_priority();
    Ok(env)
}

fn family_options(family: Family, cache: &Cache) -> DbOptions {
    let mut block = BlockBasedOptions::default();
    block.set_block_cache(cache);
    block.set_bloom_filter(10.0, false);
    block.set_block_size(16 << 10);
    block.set_cache_index_and_filter_blocks(true);
    let mut options = DbOptions::default();
    options.set_block_based_table_factory(&block);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(64 << 20);
    options.set_max_write_buffer_number(4);
    options.set_level_compaction_dynamic_level_bytes(true);
    match family {
        // Binaries of megabytes: kept apart from the tree, so that compaction does not carry them about.
        Family::Blobs => {
            options.set_enable_blob_files(true);
            options.set_min_blob_size(16 << 10);
            options.set_enable_blob_gc(true);
            options.set_write_buffer_size(16 << 20);
        }
        // Bodies are written once and never change; history is written once and read rarely.
        Family::Content => options.optimize_universal_style_compaction(256 << 20),
        Family::History => {
            options.optimize_universal_style_compaction(256 << 20);
            options.set_compaction_filter("expired", expired);
        }
        Family::Meta | Family::State => {}
    }
    options.create_if_missing(true);
    options
}

/// What is dropped where RocksDB rewrites a file of history: idempotency keys that are free again, which nobody reads.
fn expired(_: u32, key: &[u8], value: &[u8]) -> Decision {
    let tag = Key::Idempotency(AccountNumber(0), "").tag();
    if key.first() != Some(&tag) {
        return Decision::Keep;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = UnixMillis(u64::try_from(since.as_millis()).unwrap_or(0));
    match row::decode_tagged::<IdempotencyRow>(tag, value) {
        Ok(row) if row.is_over(now) => Decision::Remove,
        _ => Decision::Keep,
    }
}

#[cfg(test)]
mod tests {
    use signalbox_engine::{Digest, InteractionId};

    use super::*;

    #[test]
    fn idempotency_keys_that_are_free_again_do_not_stay() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { directory: directory.path().to_owned(), cache_bytes: 8 << 20 };
        let store = Store::open(&options).unwrap();
        let number = AccountNumber(1);
        let mut batch = Batch::new(number);
        for (key, at) in [("old", UnixMillis(0)), ("new", UnixMillis(u64::MAX))] {
            let row = IdempotencyRow { body: Digest([0; 32]), interaction: InteractionId(uuid::Uuid::nil()), at };
            batch.idempotency(&store, key, &row);
        }
        Store::commit(&store, batch).unwrap();
        assert!(store.idempotency(number, "old").unwrap().is_some());
        store.db.compact_range_cf(store.family(Family::History), None::<&[u8]>, None::<&[u8]>);
        assert_eq!(store.idempotency(number, "old").unwrap(), None);
        assert!(store.idempotency(number, "new").unwrap().is_some());
    }
}
