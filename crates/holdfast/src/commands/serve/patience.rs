//! Waiting for a database that is not there yet. A server that starts before its database, or while it fails over, neither gives up nor
//! pretends: it answers that it waits, says why in its log, and goes on by itself.

use super::listen::{Control, Network};
use crate::compose::{self, As, Away, Pool};
use crate::config::Config;
use crate::data::DataDir;
use anyhow::Result;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the database is tried.
const EVERY: Duration = Duration::from_secs(2);
/// How often the log says that it is still waited for.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// Opens the pool, however long that takes if its database is one that others look after; `None` when the server is to stop meanwhile.
///
/// # Errors
/// What waiting does not change: a wrong password, a database that is none of ours, a directory that cannot be written.
pub(super) async fn open(
    config: &Config,
    dir: &DataDir,
    network: &Network,
    control: &mut Option<Control>,
    shutdown: &CancellationToken,
) -> Result<Option<Pool>> {
    let here = As::Server(network.address()?);
    if !config.database.is_shared() {
        return compose::open(config, dir, here).await.map(Some);
    }
    let waiting = Waiting::new(config, network)?;
    let mut said: Option<(Instant, String)> = None;
    loop {
        let opening = Box::pin(compose::open(config, dir, here));
        let opened = tokio::select! {
            opened = opening => opened,
            () = shutdown.cancelled() => return Ok(None),
        };
        let why = match opened {
            Ok(pool) => {
                if said.is_some() {
                    tracing::info!("the database is there");
                }
                return Ok(Some(pool));
            }
            Err(error) if error.is::<Away>() => format!("{error:#}"),
            Err(error) => return Err(error),
        };
        if said.as_ref().is_none_or(|(at, before)| *before != why || at.elapsed() >= SAY_EVERY) {
            tracing::warn!(%why, "waiting for the database; trying again every {} s", EVERY.as_secs());
            said = Some((Instant::now(), why.clone()));
        }
        waiting.because(why);
        if control.is_none() {
            // Only now: a command that comes earlier waits for the lock rather than being told to come again.
            waiting.answer_commands(control.insert(Control::bind(dir)?))?;
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.cancelled() => return Ok(None),
        }
    }
}

/// Whoever answers meanwhile; goes when dropped.
struct Waiting {
    why: watch::Sender<String>,
    http: holdfast_http::HttpOptions,
    over: CancellationToken,
}

impl Waiting {
    fn new(config: &Config, network: &Network) -> Result<Self> {
        let (why, heard) = watch::channel("it has not answered yet".to_owned());
        let (http, over) = (compose::http_options(config), CancellationToken::new());
        let strangers = holdfast_http::waiting(heard);
        // Left to itself at the end: it takes nobody more, and lets those go whom it has.
        tokio::spawn(holdfast_http::serve(network.listener()?, strangers, http.clone(), over.clone()));
        Ok(Self { why, http, over })
    }

    fn because(&self, why: String) {
        self.why.send_replace(why);
    }

    fn answer_commands(&self, control: &Control) -> Result<()> {
        let operator = holdfast_http::operator(holdfast_http::waiting(self.why.subscribe()));
        let serving = holdfast_http::serve(control.listener()?, operator, self.http.clone(), self.over.clone());
        tokio::spawn(serving);
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.over.cancel();
    }
}
