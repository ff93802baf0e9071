//! Composition: the one place that knows how store, service and door are put together.

use crate::config::Config;
use crate::data::DataDir;
use anyhow::Result;
use axum::Router;
use holdfast_store::Store;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

/// An open pool.
pub(crate) struct Pool {}

/// Opens the pool in `dir`.
pub(crate) async fn open(_config: &Config, _dir: &DataDir) -> Result<Pool> {
    Ok(Pool {})
}

/// Opens the store.
pub(crate) fn open_store(_dir: &DataDir) -> Result<Arc<dyn Store>> {
    anyhow::bail!("x")
}

impl Pool {
    /// The API, whose requests count as the operator's.
    pub(crate) fn operator_router(&self) -> Router {
        Router::new()
    }

    pub(crate) fn first_user_code(&self) -> Option<String> {
        None
    }

    pub(crate) async fn serve(
        &self,
        _tcp: TcpListener,
        _control: UnixListener,
        shutdown: CancellationToken,
    ) -> Result<()> {
        shutdown.cancelled().await;
        Ok(())
    }

    /// Finishes what is being written and closes the store.
    pub(crate) async fn close(self) -> Result<()> {
        Ok(())
    }
}
