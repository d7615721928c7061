//! Strategies on this machine, deployed in a sandbox of this process as a server would: same engine, same limits.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use signalbox_engine::Name;
use tempfile::TempDir;

use super::local;
use crate::cli::error::Error;
use crate::strategy::{
    Asset, DEADLINE, Deployment, InstallError, Installed, LogLine, Options, Package, Purpose, Runtime,
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
    configuration: Option<(String, Vec<Asset>)>,
    /// How long it took to deploy.
    pub took: Duration,
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
    pub fn deploy(
        &self,
        component: &[u8],
        settings: &str,
        assets: &[Asset],
    ) -> Result<Result<Tried, InstallError>, Error> {
        let began = Instant::now();
        let installed = match self.runtime.install(component, settings, assets) {
            Ok(installed) => installed,
            Err(error) => return Ok(Err(error)),
        };
        let configuration = (!installed.snapshotted).then(|| (settings.to_owned(), assets.to_vec()));
        let deployment = self.load(&installed, &installed.image, configuration.clone())?;
        Ok(Ok(Tried { deployment, installed, configuration, took: began.elapsed() }))
    }

    /// What was deployed elsewhere, compiled anew for this purpose.
    pub fn again(&self, tried: &Tried) -> Result<Arc<Deployment>, Error> {
        self.load(&tried.installed, &[], tried.configuration.clone())
    }

    fn load(
        &self,
        installed: &Installed,
        image: &[u8],
        configuration: Option<(String, Vec<Asset>)>,
    ) -> Result<Arc<Deployment>, Error> {
        let package = Package {
            name: Name::new("trial").map_err(|error| Error::new("no name").because(&error))?,
            manifest: installed.manifest.clone(),
            image,
            component: &installed.component,
            configuration,
            deadline: DEADLINE,
            scope: None,
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
