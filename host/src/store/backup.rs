//! Backup and restore: copies that hold together, made while the server runs.

use std::path::Path;
use std::sync::PoisonError;

use rocksdb::Env;
use rocksdb::backup::{BackupEngine, BackupEngineOptions, RestoreOptions};

use super::{Error, Store};

fn engine(directory: &Path) -> Result<BackupEngine, Error> {
    let options = BackupEngineOptions::new(directory).map_err(Error::Backup)?;
    let env = Env::new().map_err(Error::Backup)?;
    BackupEngine::open(&options, &env).map_err(Error::Backup)
}

/// Adds a backup of an open store to a directory, which may hold earlier ones: only what is new is copied. Answers with
/// the backup's number.
///
/// # Errors
/// [`Error::Backup`] where the directory cannot be written, or the backup does not hold what was copied.
pub fn back_up(store: &Store, directory: &Path) -> Result<u32, Error> {
    // One at a time: two in one directory would spoil each other's files.
    let _alone = store.backing_up.lock().unwrap_or_else(PoisonError::into_inner);
    let mut engine = engine(directory)?;
    engine.create_new_backup_flush(&store.db, true).map_err(Error::Backup)?;
    let newest = engine.get_backup_info().into_iter().map(|b| b.backup_id).max().unwrap_or_default();
    engine.verify_backup(newest).map_err(Error::Backup)?;
    Ok(newest)
}

/// Restores the newest backup of a directory to where there is no store yet.
///
/// # Errors
/// [`Error::BackupRefused`] where there is a store already, [`Error::Backup`] where there is no backup or it is damaged.
pub fn restore(backups: &Path, store: &Path) -> Result<(), Error> {
    if store.join("CURRENT").exists() {
        return Err(Error::BackupRefused(format!(
            "there is a store at {} already: restore to an empty directory",
            store.display()
        )));
    }
    if !backups.join("meta").is_dir() {
        return Err(Error::BackupRefused(format!("there is no backup in {}", backups.display())));
    }
    let mut engine = engine(backups)?;
    engine.restore_from_latest_backup(store, store, &RestoreOptions::default()).map_err(Error::Backup)
}
