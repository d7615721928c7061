//! Strategies on this machine, deployed in a sandbox of this process as a server would: same engine, same limits.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use signalbox_engine::{Name, Scope};
use tempfile::TempDir;

use super::local;
use crate::cli::error::Error;
use crate::strategy::{
    Asset, DEADLINE, Deployment, InstallError, Installed, LogLine, Options, Package, Purpose, Runtime, check_imports,
};

/// Where strategies are tried out.
pub(super) struct Trial {
    runtime: Runtime,
    /// Only after the runtime: compiled code is mapped from there.
    _images: TempDir,
}

/// A strategy with its settings, ready to be called.
pub(super) struct Tried {
    /// What is called.
    pub deployment: Arc<Deployment>,
    /// What it is made of.
    pub installed: Installed,
    setup: Setup,
    /// How long it took to deploy.
    pub took: Duration,
}

/// What a strategy is deployed with.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    /// JSON.
    pub settings: String,
    /// Files that it takes.
    pub assets: Arc<[Asset]>,
    /// What it may use; none: everything.
    pub grants: Option<Arc<Scope>>,
}

impl Trial {
    /// A place for calls of a purpose.
    pub fn new(purpose: Purpose) -> Result<Self, Error> {
        let images = tempfile::tempdir().map_err(|error| Error::new("no temporary folder").because(&error))?;
        let options = Options { purpose, ..Options::new(images.path().to_owned()) };
        Ok(Self { runtime: Runtime::new(&options).map_err(|error| local::unfit(&error))?, _images: images })
    }

    /// Deploys a component.
    ///
    /// # Errors
    /// The first: what is wrong with it or its settings. The second: what is wrong with this machine.
    pub fn deploy(&self, component: &[u8], setup: &Setup) -> Result<Result<Tried, InstallError>, Error> {
        let settings: Result<serde_json::Map<String, serde_json::Value>, _> = serde_json::from_str(&setup.settings);
        settings.map_err(|error| Error::new("settings are an object, as {} is").because(&error))?;
        let began = Instant::now();
        let granted = setup.grants.as_ref().map_or(Ok(()), |grants| check_imports(component, grants));
        let installed = granted.and_then(|()| self.runtime.install(component, &setup.settings, &setup.assets));
        let installed = match installed {
            Ok(installed) => installed,
            Err(error) => return Ok(Err(error)),
        };
        let deployment = self.load(&installed, &installed.image, setup)?;
        Ok(Ok(Tried { deployment, installed, setup: setup.clone(), took: began.elapsed() }))
    }

    /// What was deployed elsewhere, compiled anew for this purpose.
    pub fn again(&self, tried: &Tried) -> Result<Arc<Deployment>, Error> {
        self.load(&tried.installed, &[], &tried.setup)
    }

    fn load(&self, installed: &Installed, image: &[u8], setup: &Setup) -> Result<Arc<Deployment>, Error> {
        let configuration = || (setup.settings.clone(), setup.assets.to_vec());
        let package = Package {
            name: Name::new("trial").map_err(|error| Error::new("no name").because(&error))?,
            manifest: installed.manifest.clone(),
            image,
            component: &installed.component,
            configuration: (!installed.snapshotted).then(configuration),
            deadline: DEADLINE,
            scope: setup.grants.clone(),
        };
        self.runtime.load(package).map_err(|error| Error::new("it cannot be loaded").because(&error))
    }
}

impl Tried {
    /// What it logged while it was configured.
    pub fn log(&self) -> &[LogLine] {
        &self.installed.log
    }
}

/// Why a component cannot be deployed, in a command that needs it to be.
pub(super) fn undeployable(file: &Path, error: &InstallError) -> Error {
    Error::new(format!("{} cannot be deployed", file.display())).because(error).code(Some(error.code().into()))
}
