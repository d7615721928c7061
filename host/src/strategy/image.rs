//! Native code of strategies, kept as files and mapped into memory.
//!
//! The only place that takes bytes for native code. An image is named by its SHA-256 and compared with it each time, so
//! what is mapped is what this server (or one of the same version) compiled. The folder must be the server's alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use sha2::{Digest as _, Sha256};
use signalbox_engine::Digest;
use wasmtime::Engine;
use wasmtime::component::Component;

/// The folder of images.
#[derive(Debug)]
pub(super) struct Images {
    folder: PathBuf,
    /// Written by who deletes a file, so that none goes between its writing and its mapping.
    files: RwLock<()>,
}

impl Images {
    /// The folder, made where it is missing.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), files: RwLock::default() })
    }

    /// The image as code, mapped from its file. An error where another version or another processor compiled it: compile
    /// the component again.
    pub(super) fn map(&self, engine: &Engine, image: &[u8]) -> wasmtime::Result<Component> {
        let _held = self.files.read().unwrap_or_else(PoisonError::into_inner);
        let path = self.keep(image)?;
        // SAFETY: the file holds exactly `image` (compared by `keep`), which `Component::serialize` made and the server's
        // own store kept; no one else may write the folder, and the server never changes a file there, only replaces
        // it whole. Wasmtime itself refuses an image of another version, configuration or processor.
        unsafe { Component::deserialize_file(engine, path) }
    }

    /// The folder, for files without a name.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Forgets every file that is not one of `images`. A mapped one stays mapped.
    pub(super) fn retain(&self, images: &BTreeSet<Digest>) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let named = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<Digest>().ok());
            if named.is_none_or(|digest| !images.contains(&digest)) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Forgets one. Where it is mapped it stays so; whoever maps it again writes it again.
    pub(super) fn forget(&self, image: Digest) -> io::Result<()> {
        let _held = self.files.write().unwrap_or_else(PoisonError::into_inner);
        match fs::remove_file(self.path(image)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, image: Digest) -> PathBuf {
        self.folder.join(format!("{image}.cwasm"))
    }

    /// Writes the image unless its file is there whole.
    fn keep(&self, image: &[u8]) -> io::Result<PathBuf> {
        let path = self.path(digest(image));
        if fs::read(&path).is_ok_and(|kept| kept == image) {
            return Ok(path);
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(image)?;
        file.persist(&path)?;
        Ok(path)
    }
}

/// An image that was just made as code, in memory of its own: to be looked at once.
pub(super) fn code(engine: &Engine, image: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `image` is what `Engine::precompile_component` gave, in this process or in one of the same program that this
    // one started, and has passed through nobody else's hands.
    unsafe { Component::deserialize(engine, image) }
}

/// SHA-256 of the bytes.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path()).unwrap();
        let path = images.keep(b"code").unwrap();
        fs::write(&path, b"c0de").unwrap();
        assert_eq!(fs::read(images.keep(b"code").unwrap()).unwrap(), b"code");
    }

    #[test]
    fn an_image_that_is_forgotten_is_written_again_when_it_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path()).unwrap();
        let path = images.keep(b"code").unwrap();
        images.forget(digest(b"code")).unwrap();
        assert!(!path.exists());
        images.forget(digest(b"code")).unwrap();
        assert_eq!(fs::read(images.keep(b"code").unwrap()).unwrap(), b"code");
    }

    #[test]
    fn only_images_in_use_are_retained() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path()).unwrap();
        let (used, unused) = (images.keep(b"used").unwrap(), images.keep(b"unused").unwrap());
        images.retain(&BTreeSet::from([digest(b"used")])).unwrap();
        assert!(used.exists() && !unused.exists());
    }
}
