//! A strategy with its settings, loaded: what is called.
//!
//! Immutable and shared: calls in flight finish on the deployment that they began with, whatever replaces it meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use signalbox_engine::{Manifest, Name, Scope};
use wasmtime::component::Component;

use super::bindings::StrategyPre;
use super::call::{Made, nanoseconds};
use super::error::InstallError;
use super::manifest::Asset;
use super::pool::SLOW;
use super::sandbox::{Bounds, Sandbox};
use super::{Runtime, Tier, idle, image};

/// Time that a call has where nobody says otherwise.
pub const DEADLINE: Duration = Duration::from_millis(50);

/// Most time that a deployment may give its calls.
pub const DEADLINE_MAX: Duration = Duration::from_secs(5);

/// Marks the time of a first call that was slow. No call takes 292 years.
const FIRST: u64 = 1 << 63;

/// What a deployment is loaded from: an [`Installed`](super::Installed) strategy as the store kept it.
#[derive(Debug, Clone)]
pub struct Package<'a> {
    /// Name of the deployment.
    pub name: Name,
    /// As it was installed.
    pub manifest: Manifest,
    /// Native code.
    pub image: &'a [u8],
    /// What to compile where the image is of another version of Wasmtime or another processor.
    pub component: &'a [u8],
    /// What every call is configured with; `None` where both are baked into the component.
    pub configuration: Option<(String, Vec<Asset>)>,
    /// Time of a call on a processor. At least 1 ms, at most [`DEADLINE_MAX`]; cut to that.
    pub deadline: Duration,
    /// What its calls may use; none for all that they are answered.
    pub scope: Option<Arc<Scope>>,
}

/// Why a deployment cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The component cannot be compiled by this version any more: install the strategy again.
    #[error("the strategy cannot be compiled")]
    Compile(#[source] InstallError),
    /// What was just compiled cannot be used.
    #[error("the strategy's image cannot be used")]
    Image(#[source] wasmtime::Error),
    /// It does not fit the world of this version any more: install the strategy again.
    #[error("the strategy does not fit its world")]
    World(#[source] wasmtime::Error),
}

/// A strategy that can be called.
pub struct Deployment {
    pub(super) name: Name,
    pub(super) id: u64,
    pub(super) manifest: Manifest,
    pub(super) pre: StrategyPre<Sandbox>,
    pub(super) configuration: Option<(String, Vec<Asset>)>,
    pub(super) bounds: Bounds,
    pub(super) scope: Option<Arc<Scope>>,
    /// Where its instances wait. Of the runtime, for they hold on to the deployment.
    pub(super) idle: Weak<idle::Idle<Made>>,
    /// When it was loaded.
    loaded: Instant,
    /// When it was called last, in nanoseconds since then; 0 where it has not been.
    called_ns: AtomicU64,
    /// No call is to come.
    pub(super) is_retired: AtomicBool,
    recompiled: Option<Vec<u8>>,
    /// How long its calls keep a processor, in nanoseconds; 0 until the first has ended. The pool goes by it.
    /// With [`FIRST`] while that is of one slow call alone; 0 of none.
    typical_ns: AtomicU64,
}

impl std::fmt::Debug for Deployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployment").field("name", &self.name).field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Makes a deployment ready to be called: in under a millisecond from its image, in seconds where that must be
    /// compiled anew.
    ///
    /// # Errors
    /// [`LoadError`] where neither the image nor the component serves any more.
    pub fn load(&self, package: Package<'_>) -> Result<Arc<Deployment>, LoadError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (component, recompiled) = self.component(&package)?;
        let imports: Vec<String> =
            component.component_type().imports(&self.machine.engine).map(|(name, _)| name.to_owned()).collect();
        let pre = self.instantiate_pre(&component, &imports).and_then(StrategyPre::new).map_err(LoadError::World)?;
        Ok(Arc::new(Deployment {
            name: package.name,
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            manifest: package.manifest,
            pre,
            configuration: package
                .configuration
                .map(|(settings, assets)| (if settings.trim().is_empty() { "{}".into() } else { settings }, assets)),
            bounds: self.bounds(package.deadline.clamp(Duration::from_millis(1), DEADLINE_MAX)),
            scope: package.scope,
            idle: Arc::downgrade(&self.idle),
            loaded: Instant::now(),
            called_ns: AtomicU64::new(0),
            is_retired: AtomicBool::new(false),
            recompiled,
            typical_ns: AtomicU64::new(0),
        }))
    }

    /// The code, and a new image where the old one did not serve.
    fn component(&self, package: &Package<'_>) -> Result<(Component, Option<Vec<u8>>), LoadError> {
        let engine = &self.machine.engine;
        match self.images.map(engine, package.image) {
            Ok(component) => return Ok((component, None)),
            Err(error) => {
                let image = image::digest(package.image);
                tracing::info!(deployment = %package.name, %image, error = %format_args!("{error:#}"), "compiling anew");
            }
        }
        let image = self.compile(package.component, Tier::Optimized).map_err(LoadError::Compile)?;
        // From the file, so that its memory is mapped from there and shared; else what is at hand serves as well.
        let component = self.images.map(engine, &image).or_else(|_| image::code(engine, &image));
        Ok((component.map_err(LoadError::Image)?, Some(image)))
    }
}

impl Deployment {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What the configured strategy says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The image to keep instead of the old one, where that did not serve.
    #[must_use]
    pub fn recompiled(&self) -> Option<&[u8]> {
        self.recompiled.as_deref()
    }

    /// How long its calls keep a processor of late; `None` until the first has ended. That one finds nothing at hand and takes
    /// longer than any other: where it was slow, nothing is said before the second.
    #[must_use]
    pub fn typical(&self) -> Option<Duration> {
        let typical = self.typical_ns.load(Ordering::Relaxed);
        (typical != 0 && typical & FIRST == 0).then(|| Duration::from_nanos(typical))
    }

    /// Whether it was called of late, before the call that begins now.
    pub(super) fn was_called(&self, now: Instant) -> bool {
        let now = nanoseconds(now.saturating_duration_since(self.loaded)).max(1);
        let before = self.called_ns.swap(now, Ordering::Relaxed);
        before != 0 && now.saturating_sub(before) < nanoseconds(idle::STALE)
    }

    /// Counts a call that kept a processor so long: an eighth of the new, the rest of the old. A slow first one is forgotten
    /// where the second is quick.
    pub(super) fn took(&self, ns: u64) {
        let typical = self.typical_ns.load(Ordering::Relaxed);
        let next = match typical {
            0 if ns >= nanoseconds(SLOW) => ns | FIRST,
            0 => ns,
            first if first & FIRST != 0 => ns.min(first & !FIRST),
            before => before - before / 8 + ns / 8,
        };
        self.typical_ns.store(next.max(1), Ordering::Relaxed);
    }
}
