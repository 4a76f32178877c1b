//! Who may read what.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use axum::http::request::Parts;

use crate::store::StreamVersion;

/// Whether somebody may read a stream version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// They may.
    Allowed {
        /// Who they are known to be: the name in the register of consumers. Without it they are
        /// believed what the header `Es-Consumer` says.
        reader: Option<String>,
    },
    /// Nobody knows who they are: 401.
    Unauthenticated {
        /// The header `WWW-Authenticate`: `Bearer realm="bank"`.
        challenge: String,
    },
    /// They may not: 403, and the catalogue does not show it to them.
    Forbidden,
}

impl Access {
    /// They may, whoever they are.
    pub fn allowed() -> Self {
        Self::Allowed { reader: None }
    }

    /// They may, and are known under this name.
    pub fn allowed_as(reader: impl Into<String>) -> Self {
        let reader = Some(reader.into());
        Self::Allowed { reader }
    }

    /// Nobody knows who they are; the challenge says how to tell.
    pub fn unauthenticated(challenge: impl Into<String>) -> Self {
        let challenge = challenge.into();
        Self::Unauthenticated { challenge }
    }
}

/// Decides who may read which stream version, by the head of the request.
///
/// The law: nothing of a stream is told to somebody before this has allowed it: neither its events,
/// nor its schemas, nor that it exists in the catalogue. It is asked at each request, and a stream
/// of server-sent events ends after an hour, to be asked for again.
///
/// ```
/// use es_runtime::feed::{Access, Authorize, Parts};
/// use es_runtime::store::StreamVersion;
///
/// struct Tokens;
///
/// impl Authorize for Tokens {
///     async fn authorize(&self, request: &Parts, stream: &StreamVersion) -> Access {
///         let token = request.headers.get("authorization").and_then(|value| value.to_str().ok());
///         match token {
///             Some("Bearer billing's secret") if stream.stream == "accounts" => Access::allowed_as("billing"),
///             Some(_) => Access::Forbidden,
///             None => Access::unauthenticated("Bearer realm=\"bank\""),
///         }
///     }
/// }
///
/// let serve = es_runtime::feed::Serve::at("127.0.0.1:8080").authorize(Tokens);
/// # let _ = serve;
/// ```
pub trait Authorize: Send + Sync + 'static {
    /// Whether who sent `request` may read `stream`.
    fn authorize(
        &self,
        request: &Parts,
        stream: &StreamVersion,
    ) -> impl Future<Output = Access> + Send;
}

/// [`Authorize`] of any type.
pub(crate) trait Guard: Send + Sync {
    fn ask<'a>(
        &'a self,
        request: &'a Parts,
        stream: &'a StreamVersion,
    ) -> Pin<Box<dyn Future<Output = Access> + Send + 'a>>;
}

impl<A: Authorize> Guard for A {
    fn ask<'a>(
        &'a self,
        request: &'a Parts,
        stream: &'a StreamVersion,
    ) -> Pin<Box<dyn Future<Output = Access> + Send + 'a>> {
        Box::pin(self.authorize(request, stream))
    }
}

impl fmt::Debug for dyn Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorize")
    }
}
