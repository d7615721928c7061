//! Connections: accepted within a bound, cut where a client is too slow, finished when the server stops.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::files::open_files_max;
use super::{State, router, unread};

/// Connections at the same time. More wait in the system's queue.
const CONNECTIONS_MAX: usize = 10_000;
/// Time for a request's headers to arrive. The same clock closes connections that are kept open and not used.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(30);
/// The same once more than half of all connections are taken. Each new one then serves a single request.
const HEADERS_TIMEOUT_CROWDED: Duration = Duration::from_secs(5);
/// Time that requests in flight have once the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after the system gave no connection, as where it is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the API on a listener until `shutdown` is ready; then takes no more connections, finishes the requests that are
/// in flight, for 30 s at most, and returns.
pub async fn serve(listener: TcpListener, state: State, shutdown: impl Future<Output = ()>) {
    let router = router(state);
    let connections_max = CONNECTIONS_MAX.min(open_files_max() / 2).max(1);
    let room = Arc::new(Semaphore::new(connections_max));
    let (stop, stopped) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let accept = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, stopped) = (router.clone(), stopped.clone());
                let crowded = room.available_permits() < connections_max / 2;
                tokio::spawn(async move {
                    connection(stream, router, stopped, if crowded { Stay::Short } else { Stay::Long }).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Dropping the sender is what tells the connections.
    drop(stop);
    if tokio::time::timeout(STOP_TIMEOUT, room.acquire_many(u32::try_from(connections_max).unwrap_or(u32::MAX)))
        .await
        .is_err()
    {
        tracing::warn!("requests were still in flight when the server stopped");
    }
}

/// How long a connection may stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// For one request after the other.
    Long,
    /// For one request, which must come at once: others want in.
    Short,
}

async fn connection(stream: TcpStream, router: Router, mut stopped: watch::Receiver<()>, stay: Stay) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection stays with Nagle's algorithm");
    }
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = unread::answer(router.clone(), request, stay == Stay::Long);
        async { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(if stay == Stay::Long { HEADERS_TIMEOUT } else { HEADERS_TIMEOUT_CROWDED })
        .keep_alive(stay == Stay::Long)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients that go away or speak something else: nothing that an operator can act on.
        tracing::debug!(%error, "a connection ended early");
    }
}
