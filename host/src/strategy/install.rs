//! From a binary, settings and assets to a strategy that is ready to be called, or to why it is not.
//!
//! Bad settings fail here and not under traffic. Everything that the guest runs here runs under limits, with nothing but
//! `log` to call; everything here runs on threads of low priority.

use std::any::Any;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use signalbox_engine::{Digest, Manifest};
use wasmtime::Store;
use wasmtime::component::Instance;

use super::bindings::{Strategy, StrategyPre, types};
use super::error::InstallError;
use super::inspect::{self, Shape};
use super::manifest::{self, Asset};
use super::record::LogLine;
use super::sandbox::{Sandbox, Source};
use super::settings::Schema;
use super::snapshot::Instrumented;
use super::wasi::Moment;
use super::{Runtime, Tier, answer, image, machine, thread, trap};

/// Time that `configure` has.
pub const CONFIGURE_DEADLINE: Duration = Duration::from_secs(10);

/// Time that `describe` has.
const DESCRIBE_DEADLINE: Duration = Duration::from_secs(1);

/// A strategy with its settings, ready to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// What the configured strategy says of itself.
    pub manifest: Manifest,
    /// Settings and assets are baked into `component`. Otherwise every call configures anew, and loading needs them.
    pub snapshotted: bool,
    /// Why they are not, where they are not.
    pub unsnapshotted_because: Option<String>,
    /// The component to compile again when Wasmtime or the processor changes.
    pub component: Vec<u8>,
    /// Native code of `component` for this Wasmtime and this processor.
    pub image: Vec<u8>,
    /// What the strategy logged while it configured itself.
    pub log: Vec<LogLine>,
}

/// What a component is, before it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Its imports, exports and size.
    pub shape: Shape,
    /// Its name as a strategy version.
    pub digest: Digest,
}

impl Runtime {
    /// Makes a strategy of a component, its settings (JSON text; empty for `{}`) and its assets. Takes seconds: call it from a thread that
    /// may wait.
    ///
    /// # Errors
    /// [`InstallError`]: each cause is what is wrong with what was handed in, but for
    /// [`Unavailable`](InstallError::Unavailable), which may pass.
    pub fn install(&self, component: &[u8], settings: &str, assets: &[Asset]) -> Result<Installed, InstallError> {
        apart(|| self.install_here(component, settings, assets))
    }

    /// What a component says of itself. Takes up to seconds, as it must be compiled.
    ///
    /// # Errors
    /// As [`install`](Self::install), as far as it comes without settings.
    pub fn inspect(&self, component: &[u8]) -> Result<Inspection, InstallError> {
        apart(|| {
            let shape = inspect::shape(component)?;
            let instrumented = Instrumented::new(component);
            let image = self.first(component, instrumented.as_ref().ok())?;
            let _alone = self.alone();
            let (manifest, _) = self.bind(&image, &shape)?.describe(self)?;
            Ok(Inspection { manifest, shape, digest: image::digest(component) })
        })
    }

    fn install_here(&self, component: &[u8], settings: &str, assets: &[Asset]) -> Result<Installed, InstallError> {
        let shape = inspect::shape(component)?;
        let settings = if settings.trim().is_empty() { "{}" } else { settings };
        let instrumented = Instrumented::new(component);
        let image = self.first(component, instrumented.as_ref().ok())?;
        let alone = self.alone();
        let bound = self.bind(&image, &shape)?;
        let (manifest, schema) = bound.describe(self)?;
        schema.check(settings)?;
        manifest::check_assets(&manifest, assets)?;

        let mut configured = bound.configure(self, settings, assets)?;
        let log = std::mem::take(&mut configured.store.data_mut().log);
        let instrumented = match instrumented {
            Ok(instrumented) => instrumented,
            Err(why) => {
                let (manifest, _) = configured.describe()?;
                let (component, image) = (component.to_vec(), image.to_vec());
                let unsnapshotted_because = Some(why);
                return Ok(Installed { manifest, snapshotted: false, unsnapshotted_because, component, image, log });
            }
        };
        let snapshot = instrumented
            .snapshot(&mut configured.store, configured.instance)
            .map_err(|error| InstallError::Unavailable(format!("the snapshot failed: {error:#}")))?;
        drop((configured, alone));
        let image = self.compile(&snapshot, Tier::Optimized)?;
        let _alone = self.alone();
        let (manifest, _) = self.bind(&image, &shape)?.describe(self)?;
        Ok(Installed { manifest, snapshotted: true, unsnapshotted_because: None, component: snapshot, image, log })
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.installing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The image that a component is described and configured by, kept for whoever asks next: of what is uploaded the same
    /// is compiled as when it is deployed. Where there will be no snapshot it is the one that serves.
    fn first(&self, component: &[u8], instrumented: Option<&Instrumented<'_>>) -> Result<Arc<[u8]>, InstallError> {
        let (component, tier) = match instrumented {
            Some(instrumented) => (&*instrumented.component, Tier::Baseline),
            None => (component, Tier::Optimized),
        };
        self.recent.get((image::digest(component), tier), || self.compile(component, tier))
    }

    fn bind(&self, image: &[u8], shape: &Shape) -> Result<Bound, InstallError> {
        // It was compiled a moment ago: what is wrong is that it asks for more than a sandbox has.
        let beyond = |error: wasmtime::Error| InstallError::Malformed(answer::cut(format!("{error:#}"), 1000));
        let component = image::code(&self.machine.engine, image).map_err(beyond)?;
        let mismatch = |error: wasmtime::Error| InstallError::WorldMismatch(answer::cut(format!("{error:#}"), 1000));
        let pre = self.instantiate_pre(&component, &shape.imports).map_err(mismatch)?;
        StrategyPre::new(pre).map(Bound).map_err(mismatch)
    }
}

/// A compiled component that fits the world.
struct Bound(StrategyPre<Sandbox>);

/// An instance of it.
struct Live {
    store: Store<Sandbox>,
    instance: Instance,
    strategy: Strategy,
}

impl Bound {
    fn describe(&self, runtime: &Runtime) -> Result<(Manifest, Schema), InstallError> {
        self.instantiate(runtime, DESCRIBE_DEADLINE).map_err(InstallError::Describe)?.describe()
    }

    fn configure(&self, runtime: &Runtime, settings: &str, assets: &[Asset]) -> Result<Live, InstallError> {
        let mut live = self.instantiate(runtime, CONFIGURE_DEADLINE).map_err(InstallError::Configure)?;
        let assets: Vec<_> =
            assets.iter().map(|asset| types::Asset { name: &asset.name, content: &asset.content }).collect();
        match live.strategy.call_configure(&mut live.store, settings, &assets) {
            Ok(Ok(())) => Ok(live),
            Ok(Err(why)) => Err(InstallError::Settings(answer::cut(why, 4096))),
            Err(error) => Err(InstallError::Configure(trap::failure(&error, live.store.data()))),
        }
    }

    fn instantiate(&self, runtime: &Runtime, deadline: Duration) -> Result<Live, signalbox_engine::Failure> {
        let bounds = runtime.bounds(deadline);
        let instance = || {
            let mut store = Sandbox::store(&runtime.machine.engine, Source::Nobody, Moment::default(), bounds, None);
            let made = self.0.instance_pre().instantiate(&mut store).and_then(|instance| {
                let strategy = Strategy::new(&mut store, &instance)?;
                Ok((instance, strategy))
            });
            (store, made)
        };
        let (store, made) = runtime.idle.give_way(instance);
        match made {
            Ok((instance, strategy)) => Ok(Live { store, instance, strategy }),
            Err(error) => Err(trap::instantiation(&error, store.data())),
        }
    }
}

impl Live {
    fn describe(&mut self) -> Result<(Manifest, Schema), InstallError> {
        match self.strategy.call_describe(&mut self.store) {
            Ok(manifest) => manifest::checked(manifest),
            Err(error) => Err(InstallError::Describe(trap::failure(&error, self.store.data()))),
        }
    }
}

/// On a thread of its own, of low priority, that nothing it does can bring down anything else.
fn apart<T: Send>(work: impl FnOnce() -> Result<T, InstallError> + Send) -> Result<T, InstallError> {
    let lowered = || {
        thread::lower_priority(thread::COMPILING);
        work()
    };
    std::thread::scope(|scope| {
        let builder = Builder::new().name("install".into()).stack_size(machine::STACK_BYTES);
        let spawned = builder
            .spawn_scoped(scope, lowered)
            .map_err(|error| InstallError::Unavailable(format!("no thread for it: {error}")))?;
        spawned.join().unwrap_or_else(|panic| Err(InstallError::Unavailable(format!("a bug: {}", said(&*panic)))))
    })
}

/// What a panic said.
pub(super) fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it panicked")
}
