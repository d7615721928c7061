//! Request bodies that nobody read: read to their end before the answer is given, within bounds.
//!
//! A client that is still sending does not look for an answer, and may lose the one it got when the connection is closed
//! under what it sends. Where a body is too much to read on, the answer says that the connection ends with it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use tokio::sync::oneshot;

/// Bytes that are read on at most.
const BYTES_MAX: u64 = 128 << 20;
/// Time that they have.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A body that comes back once its reader lets it go.
struct Lent {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
    /// The client knows that it is to send it.
    wanted: bool,
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.wanted = true;
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (true, Some(body), Some(back)) = (self.wanted, self.body.take(), self.back.take()) {
            // Whoever lent it may be gone with its connection.
            let _ = back.send(body);
        }
    }
}

/// Has a request answered, and what it did not read of the body read, unless the connection ends in any case.
pub(super) async fn answer(router: TowerToHyperService<Router>, request: Request<Incoming>, stays: bool) -> Response {
    let (back, lent) = (!request.body().is_end_stream()).then(oneshot::channel).unzip();
    // It waits until it is asked for its body, and sends none where it is refused.
    let wanted = !request.headers().contains_key(EXPECT);
    let request = request.map(|body| Lent { body: Some(body), back, wanted });
    let Ok(mut response) = router.call(request).await;
    if let Some(mut lent) = lent {
        let is_read = match lent.try_recv() {
            Ok(body) if body.is_end_stream() => true,
            Ok(body) if stays && response.status() != StatusCode::REQUEST_TIMEOUT => read_on(body).await,
            // Others want in, it was late already, or it was never asked for.
            _ => false,
        };
        if !is_read {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
    response
}

/// Reads on and keeps nothing; says whether it came to the end.
async fn read_on(mut body: Incoming) -> bool {
    if body.size_hint().lower() > BYTES_MAX {
        return false;
    }
    let rest = async {
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            if bytes > BYTES_MAX {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(TIMEOUT, rest).await.unwrap_or(false)
}
