//! Requests to a service opened in this process, because no server runs on the data: the same router, the same rules.

use super::{SendError, Transport};
use crate::compose::Pool;
use crate::data::DataLock;
use anyhow::Result;
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use tokio::sync::Mutex;
use tower::ServiceExt as _;

/// A service of this process, with the lock on its data; there is none on a database that others share.
pub(crate) struct InProcess {
    router: Router,
    open: Mutex<Option<(Pool, Option<DataLock>)>>,
}

impl InProcess {
    /// Over `pool`, which nobody else uses while `lock` is held.
    pub(crate) fn new(pool: Pool, lock: Option<DataLock>) -> Self {
        Self { router: pool.operator_router(), open: Mutex::new(Some((pool, lock))) }
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, SendError> {
        match self.router.clone().oneshot(request).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }

    async fn close(&self) -> Result<()> {
        if let Some((pool, lock)) = self.open.lock().await.take() {
            pool.close().await?;
            if let Some(lock) = lock {
                lock.release();
            }
        }
        Ok(())
    }
}
