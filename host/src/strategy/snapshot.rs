//! Pre-initialisation: the memory of a configured strategy baked into a new component, so that no call configures again.
//!
//! Wizer cannot snapshot every component (one with a nested module, such as a JavaScript engine in front of a script, or
//! one that changes its tables). Those are configured for every call instead.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::component::Instance;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wizer::{ComponentContext, WasmtimeWizerComponent, Wizer};

use super::answer;
use super::sandbox::Sandbox;

/// Bytes of why a component cannot be snapshotted.
const WHY_BYTES_MAX: usize = 1000;

/// A component that its own state can be read out of.
pub(super) struct Instrumented<'a> {
    context: ComponentContext<'a>,
    /// The component to compile and to configure.
    pub(super) component: Vec<u8>,
}

impl<'a> Instrumented<'a> {
    /// # Errors
    /// In words, why the component cannot be snapshotted.
    pub(super) fn new(component: &'a [u8]) -> Result<Self, String> {
        let instrumented = Wizer::new().instrument_component(component);
        let (context, component) = instrumented.map_err(|error| answer::cut(format!("{error:#}"), WHY_BYTES_MAX))?;
        Ok(Self { context, component })
    }

    /// The component as `instance` is now.
    pub(super) fn snapshot(&self, store: &mut Store<Sandbox>, instance: Instance) -> wasmtime::Result<Vec<u8>> {
        // What runs now are a few getters that Wizer put in; the memory that they hand out is bounded already.
        store.set_hostcall_fuel(usize::MAX);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1000)));
        let wizer = Wizer::new();
        let mut state = WasmtimeWizerComponent { store, instance };
        let snapshot = pin!(wizer.snapshot_component(&self.context, &mut state));
        match snapshot.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(snapshot) => snapshot,
            Poll::Pending => Err(wasmtime::Error::msg("a getter of the snapshot waits, though nothing in it can")),
        }
    }
}
