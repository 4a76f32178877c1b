//! The feed in a server of the user's own.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Bytes, HttpBody};
use axum::http::{Request, Response};
use http_body::{Frame, SizeHint};

/// The feed without a port, to be mounted in a server of one's own: behind its TLS and its layers.
///
/// Its addresses begin at the root. Limits on what is asked hold as anywhere; those on connections and
/// slow clients are the server's business.
///
/// ```
/// # async fn run(bank: es_runtime::Service) {
/// use http::{Request, Response};
///
/// let feed = bank.feed().expect("it serves one");
/// // What `tower::service_fn` takes; layers go around it.
/// let service = move |request: Request<String>| {
///     let feed = feed.clone();
///     async move { Ok::<_, std::convert::Infallible>(feed.answer(request).await) }
/// };
/// # let _ = service;
/// # }
/// ```
#[derive(Clone)]
pub struct Mounted(pub(super) Router);

impl Mounted {
    /// Answers a request. What layers put into its extensions,
    /// [`Authorize`](super::Authorize) finds there.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        use hyper::service::Service;
        let router = hyper_util::service::TowerToHyperService::new(self.0.clone());
        match router.call(request.map(axum::body::Body::new)).await {
            Ok(answer) => answer.map(Body),
            Err(never) => match never {},
        }
    }
}

impl fmt::Debug for Mounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mounted")
    }
}

/// The body of an answer.
#[derive(Debug)]
pub struct Body(axum::body::Body);

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.get_mut().0).poll_frame(context);
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.0)
    }
}
