//! How a lane touches the world after a commit: strategies are loaded (`loaders.rs`) and called, messages are attempted.
//!
//! A trait, so that a lane can be driven step by step without a world.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use signalbox_engine::{CallId, DeliveryKey, Deployment, Digest, EndpointRequest, Name, Request};
use tokio::runtime::Handle;

use super::calls::Handed;
use super::loaders::Loaders;
use super::shadows::Outcome;
use super::work::Replies;
use super::{Answer, Shared};
use crate::outbox::{Attempt, Outbox};
use crate::store::{AccountNumber, Store};
use crate::strategy::{self, Asset, Grants, Job, Package, Pool, Runtime};

/// Deployments of one account that stay loaded; a fresh load costs under a millisecond.
const LOADED_MAX: usize = 1024;
/// How long what could not be loaded is not tried again.
const RELOAD: Duration = Duration::from_secs(10);

/// What a lane does to the world. Each effect ends in an [`Answer`] in the lane's mailbox.
pub(super) trait Effects: Send {
    /// Calls a strategy; by an instance that answers so many calls, where the binding says so.
    fn call(
        &mut self,
        call: CallId,
        deployment: &Arc<Deployment>,
        warm_calls: Option<NonZero<u32>>,
        request: Request,
        grants: &Arc<dyn Grants>,
    ) -> Handed;

    /// Asks a deployment the same that another has decided, without effect.
    fn shadow(&mut self, shadow: Shadow, grants: &Arc<dyn Grants>);

    /// A deployment that was asked for is there, or cannot be had.
    fn loaded(
        &mut self,
        deployment: &Arc<Deployment>,
        result: Result<Arc<strategy::Deployment>, String>,
    ) -> Result<(), String>;

    /// Deployments were deleted, and no document needs these binaries any more.
    fn forget(&mut self, deployments: &[Name], binaries: Vec<Digest>);

    /// Asks an application outside.
    fn ask(&mut self, request: EndpointRequest);

    /// Attempts to deliver a message.
    fn deliver(&mut self, delivery: DeliveryKey, attempt: Attempt);

    /// Answers callers whose commands are durable.
    fn reply(&mut self, replies: Replies);
}

/// A deployment that is asked without effect, and what it is compared with.
pub(super) struct Shadow {
    pub(super) deployment: Arc<Deployment>,
    pub(super) call: CallId,
    pub(super) request: Request,
    pub(super) decided: Outcome,
}

/// The real world.
pub(super) struct World {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Arc<Store>,
    pub(super) runtime: Arc<Runtime>,
    pub(super) pool: Arc<Pool>,
    pub(super) loaders: Arc<Loaders>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) handle: Handle,
    pub(super) deployments: BTreeMap<Name, Loading>,
}

/// How far a deployment is.
pub(super) enum Loading {
    Asked,
    /// The code, and the document that it was loaded from.
    Loaded(Arc<Deployment>, Arc<strategy::Deployment>),
    /// The document that it could not be loaded from, why, and when. It may take long to find that out.
    Failed(Arc<Deployment>, String, Instant),
}

impl Loading {
    fn loaded(self) -> Option<Arc<strategy::Deployment>> {
        match self {
            Self::Asked | Self::Failed(..) => None,
            Self::Loaded(_, loaded) => Some(loaded),
        }
    }
}

impl Effects for World {
    fn call(
        &mut self,
        call: CallId,
        deployment: &Arc<Deployment>,
        warm_calls: Option<NonZero<u32>>,
        request: Request,
        grants: &Arc<dyn Grants>,
    ) -> Handed {
        let loaded = match self.deployments.get(&deployment.name) {
            Some(Loading::Asked) => return Handed::Aside,
            Some(Loading::Loaded(document, loaded)) if document == deployment => Arc::clone(loaded),
            Some(Loading::Failed(document, why, at)) if document == deployment && at.elapsed() < RELOAD => {
                return Handed::Failed(format!("{why}; it is tried again in a while"));
            }
            _ => {
                self.load(deployment);
                return Handed::Aside;
            }
        };
        let (shared, name, kept) = (Arc::clone(&self.shared), deployment.name.clone(), Box::new(request.clone()));
        let done = move |result| {
            shared.mailbox.answer(Answer::Called { call, request: kept, deployment: name, result });
        };
        let job = Job { deployment: loaded, request, grants: Arc::clone(grants), warm_calls, done: Box::new(done) };
        match self.pool.submit(job) {
            Ok(()) => Handed::InFlight,
            Err(strategy::Full) => Handed::Full,
        }
    }

    fn shadow(&mut self, Shadow { deployment, call, request, decided }: Shadow, grants: &Arc<dyn Grants>) {
        let place = (request.workflow.clone(), request.element.clone(), deployment.name.clone());
        let loaded = match self.deployments.get(&deployment.name) {
            Some(Loading::Loaded(document, loaded)) if *document == deployment => Some(Arc::clone(loaded)),
            Some(Loading::Asked) => None,
            Some(Loading::Failed(document, _, at)) if *document == deployment && at.elapsed() < RELOAD => None,
            _ => {
                self.load(&deployment);
                None
            }
        };
        let Some(loaded) = loaded.filter(|_| self.shared.shadows.begin()) else {
            return self.shared.shadows.skipped(place);
        };
        let (shared, of, about) = (Arc::clone(&self.shared), place.clone(), (request.interaction, call));
        let done = move |result: strategy::CallResult| {
            shared.shadows.end();
            shared.shadows.compared(of, about, &decided, &result.outcome);
        };
        let (grants, warm_calls) = (Arc::clone(grants), None);
        let job = Job { deployment: loaded, request, grants, warm_calls, done: Box::new(done) };
        if let Err(strategy::Full) = self.pool.submit(job) {
            self.shared.shadows.end();
            self.shared.shadows.skipped(place);
        }
    }

    fn loaded(
        &mut self,
        deployment: &Arc<Deployment>,
        result: Result<Arc<strategy::Deployment>, String>,
    ) -> Result<(), String> {
        let name = &deployment.name;
        let Some(before) = self.deployments.remove(name) else {
            self.forget(&[], vec![deployment.image]);
            return Err("it was deleted meanwhile".into());
        };
        self.retire(before.loaded());
        let loaded = match result {
            Ok(loaded) => loaded,
            Err(why) => {
                tracing::error!(%name, why, "a deployment could not be loaded");
                let failed = Loading::Failed(Arc::clone(deployment), why.clone(), Instant::now());
                self.deployments.insert(name.clone(), failed);
                return Err(why);
            }
        };
        if self.deployments.len() >= LOADED_MAX {
            let loaded = self.deployments.extract_if(.., |_, loading| matches!(loading, Loading::Loaded(..)));
            let loaded: Vec<_> = loaded.filter_map(|(_, loading)| loading.loaded()).collect();
            self.retire(loaded);
        }
        self.deployments.insert(name.clone(), Loading::Loaded(Arc::clone(deployment), loaded));
        Ok(())
    }

    /// Calls that are in one end there. Another account may have the same image: its file is written again when it is wanted.
    fn forget(&mut self, deployments: &[Name], binaries: Vec<Digest>) {
        let retired: Vec<_> = deployments.iter().filter_map(|name| self.deployments.remove(name)?.loaded()).collect();
        self.retire(retired);
        if binaries.is_empty() {
            return;
        }
        let runtime = Arc::clone(&self.runtime);
        self.loaders.run(move || {
            for binary in binaries {
                if let Err(error) = runtime.forget_image(binary) {
                    tracing::warn!(%binary, %error, "an image that nobody needs could not be deleted");
                }
            }
        });
    }

    fn ask(&mut self, request: EndpointRequest) {
        let (shared, call, interaction) = (Arc::clone(&self.shared), request.call, request.interaction);
        self.outbox.ask(request, move |result| shared.mailbox.answer(Answer::Asked { call, interaction, result }));
    }

    fn deliver(&mut self, delivery: DeliveryKey, attempt: Attempt) {
        let shared = Arc::clone(&self.shared);
        self.outbox.attempt(attempt, move |result| shared.mailbox.answer(Answer::Delivered { delivery, result }));
    }

    /// Each answer wakes its caller's task. From a thread of the runtime that is a push onto a list; from here it would be
    /// a system call, while the next batch waits.
    fn reply(&mut self, replies: Replies) {
        if replies.len() > 1 {
            drop(self.handle.spawn(async move { replies.send() }));
        } else {
            replies.send();
        }
    }
}

impl World {
    /// Lets deployments go that are not called any more, off the lane's thread.
    fn retire(&self, deployments: impl IntoIterator<Item = Arc<strategy::Deployment>>) {
        let deployments: Vec<_> = deployments.into_iter().collect();
        if !deployments.is_empty() {
            self.loaders.run(move || deployments.iter().for_each(|deployment| deployment.retire()));
        }
    }

    /// Loads a deployment off the lane's thread.
    fn load(&mut self, document: &Arc<Deployment>) {
        let before = self.deployments.insert(document.name.clone(), Loading::Asked);
        self.retire(before.and_then(Loading::loaded));
        let (shared, runtime, store) = (Arc::clone(&self.shared), Arc::clone(&self.runtime), Arc::clone(&self.store));
        let document = Arc::clone(document);
        self.loaders.run(move || {
            let work = AssertUnwindSafe(|| load(&runtime, &store, shared.number, &document));
            let result = catch_unwind(work).unwrap_or_else(|_| Err("a bug in the server".into()));
            let image = result.as_ref().ok().and_then(|loaded| loaded.recompiled());
            let image = image.map(|bytes| (Digest(Sha256::digest(bytes).into()), Bytes::copy_from_slice(bytes)));
            shared.mailbox.answer(Answer::Loaded { deployment: document, result, image });
        });
    }
}

/// Makes a deployment ready to be called.
///
/// # Errors
/// In words, where its binaries are gone or cannot be used.
pub fn load(
    runtime: &Runtime,
    store: &Store,
    number: AccountNumber,
    document: &Deployment,
) -> Result<Arc<strategy::Deployment>, String> {
    let blob = |digest| match store.blob(number, digest) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(format!("the binary {digest} is not in the store")),
        Err(error) => Err(error.to_string()),
    };
    let configuration = if document.snapshotted {
        None
    } else {
        let asset = |(name, digest): (&String, _)| Ok(Asset { name: name.clone(), content: blob(digest)? });
        let assets = document.assets.iter().map(|(name, digest)| asset((name, *digest)));
        Some((document.settings.clone(), assets.collect::<Result<_, String>>()?))
    };
    let package = Package {
        name: document.name.clone(),
        manifest: document.manifest.clone(),
        image: &blob(document.image)?,
        component: &blob(document.component)?,
        configuration,
        deadline: Duration::from_millis(document.deadline_ms),
        scope: document.grants.clone(),
    };
    runtime.load(package).map_err(|error| {
        let source = std::error::Error::source(&error).map(|s| format!(": {s}")).unwrap_or_default();
        format!("{error}{source}")
    })
}
