//! Composition: the one place that knows how store, service and door are put together.

use crate::config::Config;
use crate::data::DataDir;
use crate::exit::{refused, unavailable};
use anyhow::{Context as _, Result};
use axum::Router;
use holdfast_chat::clock::Clock;
use holdfast_chat::{Chat, ChatError, Options};
use holdfast_http::HttpOptions;
use holdfast_store::sqlite::{SqliteOptions, SqliteStore};
use holdfast_store::{Store, StoreError};
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

/// An open pool: the service on its store, and the door's settings.
pub(crate) struct Pool {
    chat: Chat,
    http: HttpOptions,
}

/// Opens the pool in `dir`, and makes it if there is none.
pub(crate) async fn open(config: &Config, dir: &DataDir) -> Result<Pool> {
    let store = open_store(dir)?;
    let options = Options {
        name: config.server.name.clone(),
        limits: config.limits.clone(),
        accounts: config.accounts.clone(),
        client_ids_days: config.database.client_ids_days,
        ..Options::default()
    };
    let chat = Chat::open(store, options, Clock::system()).await.map_err(|e| match e {
        // The store said in the log what it is.
        ChatError::Internal => damaged(dir, "it holds something that cannot be right"),
        other => anyhow::Error::new(other).context(doing(dir)),
    })?;
    let http = HttpOptions {
        public_url: Some(config.server.public_url.clone()).filter(|url| !url.is_empty()),
        trusted_proxies: config.server.trusted_proxies.clone(),
        limits: config.http.clone(),
    };
    Ok(Pool { chat, http })
}

/// Opens the database in `dir` alone, without a service on it.
pub(crate) fn open_store(dir: &DataDir) -> Result<Arc<dyn Store>> {
    let store = SqliteStore::open(dir.database(), SqliteOptions::default()).map_err(|e| match e {
        StoreError::Corrupt { what } => damaged(dir, &what),
        other => unavailable(format!("{}: {:#}", doing(dir), anyhow::Error::new(other))),
    })?;
    Ok(Arc::new(store))
}

impl Pool {
    /// The API, whose requests count as the operator's.
    pub(crate) fn operator_router(&self) -> Router {
        holdfast_http::operator(holdfast_http::router(self.chat.clone(), self.http.clone()))
    }

    /// While there is no user: the code with which the page makes the first one.
    pub(crate) fn first_user_code(&self) -> Option<String> {
        self.chat.first_user_code().ok().flatten()
    }

    /// Serves strangers on `tcp` and the operator on `control`, until `shutdown`, and then until both are drained.
    pub(crate) async fn serve(
        &self,
        tcp: TcpListener,
        control: UnixListener,
        shutdown: CancellationToken,
    ) -> Result<()> {
        let router = holdfast_http::router(self.chat.clone(), self.http.clone());
        let operator = holdfast_http::operator(router.clone());
        let strangers = holdfast_http::serve(tcp, router, self.http.clone(), shutdown.clone());
        let commands = holdfast_http::serve(control, operator, self.http.clone(), shutdown);
        tokio::try_join!(strangers, commands).context("serving")?;
        Ok(())
    }

    /// Finishes what is being written and closes the store.
    pub(crate) async fn close(self) -> Result<()> {
        self.chat.shutdown().await.context("closing the database")
    }
}

/// The data is there but cannot be right: that is a finding, not a passing trouble.
fn damaged(dir: &DataDir, what: &str) -> anyhow::Error {
    refused(format!(
        "the database {} is damaged or was changed by another program: {what}; keep it as it is, and restore a backup elsewhere",
        dir.database().display()
    ))
}

fn doing(dir: &DataDir) -> String {
    format!("opening the database {}", dir.database().display())
}
