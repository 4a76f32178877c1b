//! A promotion that is about to be asked for.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use super::Service;
use crate::error::Result;
use crate::store::{Change, ProjectionId};

/// A promotion: await it.
#[must_use = "nothing happens until it is awaited"]
pub struct Promote<'s> {
    service: &'s Service,
    projection: ProjectionId,
    fresh: Duration,
    forced: Option<String>,
}

impl<'s> Promote<'s> {
    pub(super) fn new(service: &'s Service, projection: ProjectionId) -> Self {
        Self {
            service,
            projection,
            fresh: Change::FRESH,
            forced: None,
        }
    }

    /// Promotes it although it was not compared, or differs, for a reason that is kept.
    pub fn forced(mut self, reason: impl Into<String>) -> Self {
        self.forced = Some(reason.into());
        self
    }

    /// How old the comparison may be; a quarter of an hour unless something is said.
    pub fn compared_within(mut self, time: Duration) -> Self {
        self.fresh = time;
        self
    }
}

impl<'s> IntoFuture for Promote<'s> {
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<()>> + Send + 's>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            service,
            projection,
            fresh,
            forced,
        } = self;
        Box::pin(async move {
            let promote = Change::Promote { fresh, forced };
            service.change(&projection, &promote).await
        })
    }
}
