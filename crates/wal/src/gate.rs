//! The gate before a share: nothing passes that the mirror has not flushed.
//!
//! PostgreSQL archives a segment as soon as it is full, also one that the mirror has not yet. Would the other site replay that and this site then
//! fail over to its mirror, the other site would be ahead of the pool's history, for ever. So whoever ships waits; not for long, since PostgreSQL
//! tries again.

use crate::lsn::Lsn;
use crate::settings::{Local, MirrorAt, SettingsError, WalSettings};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

/// For one answer of PostgreSQL.
const ANSWER: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Why nothing may pass now.
#[derive(Debug)]
pub(crate) enum Closed {
    /// The mirror has not got so far.
    Behind(String),
    /// Meanwhile this instance ceased to be the one that writes.
    NotHolder,
    Settings(SettingsError),
}

enum Answer {
    Has,
    NotYet,
    Refused(String),
}

/// Waits until the mirror has flushed everything before `end`, or it is on record that the pool goes on without one. Reads the settings anew
/// while it waits.
pub(crate) async fn wait(settings_file: &Path, end: Lsn) -> Result<(), Closed> {
    let begun = Instant::now();
    let mut stopping_since: Option<Instant> = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let settings = WalSettings::load(settings_file).map_err(Closed::Settings)?;
        if !settings.holder {
            return Err(Closed::NotHolder);
        }
        if settings.exposed {
            return Ok(());
        }
        let mut patience = settings.deadlines.gate();
        let why = match local_mirror_has(&settings.local, end).await {
            Answer::Has => return Ok(()),
            Answer::NotYet => {
                stopping_since = None;
                format!("the mirror has not flushed {end}")
            }
            // It stops, and its archiver is the last that works. Only the mirror itself can be asked.
            Answer::Refused(local) => {
                let since = *stopping_since.get_or_insert_with(Instant::now);
                patience = patience.min(settings.deadlines.stopping() + since.duration_since(begun));
                match mirror_has(&settings, end).await {
                    Answer::Has => return Ok(()),
                    Answer::NotYet => format!("the mirror has not received {end}, and {local}"),
                    Answer::Refused(mirror) => {
                        let why = format!("whether the mirror has {end} is not known: here {local}; there {mirror}");
                        return Err(Closed::Behind(why));
                    }
                }
            }
        };
        if begun.elapsed() + pause >= patience {
            return Err(Closed::Behind(why));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What the caller's query counts, and a position before which all that was counted lies; `None` when that cannot be had at once.
pub(crate) async fn count(local: &Local) -> Option<(u64, Lsn)> {
    let query = local.count.as_ref()?;
    // What a query sees is settled before anything in it is computed, and whatever it sees is in the log by then.
    let both = format!("SELECT ({query}) || ' ' || pg_current_wal_insert_lsn()");
    let said = ask(config_of(local), None, &both).await.ok()??;
    let (entries, at) = said.split_once(' ')?;
    Some((entries.parse().ok()?, at.parse().ok()?))
}

async fn local_mirror_has(local: &Local, end: Lsn) -> Answer {
    let sql = format!(
        "SELECT coalesce(bool_or(flush_lsn >= '{end}'), false) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"
    );
    answer(ask(config_of(local), None, &sql).await)
}

/// A standby counts what it has received as it flushes it. One that was promoted is nobody's mirror.
async fn mirror_has(settings: &WalSettings, end: Lsn) -> Answer {
    let Some(mirror) = &settings.mirror else { return Answer::Refused("there is no mirror to ask".into()) };
    let sql = format!("SELECT pg_is_in_recovery() AND coalesce(pg_last_wal_receive_lsn() >= '{end}', false)");
    answer(ask(config_of_mirror(mirror), settings.identity.as_deref(), &sql).await)
}

fn answer(said: Result<Option<String>, String>) -> Answer {
    match said {
        Ok(Some(value)) if value == "t" => Answer::Has,
        Ok(_) => Answer::NotYet,
        Err(why) => Answer::Refused(why),
    }
}

fn config_of(local: &Local) -> Config {
    let mut config = Config::new();
    config.host_path(&local.socket).port(local.port).user(&local.user).dbname(&local.database);
    config
}

fn config_of_mirror(mirror: &MirrorAt) -> Config {
    let mut config = Config::new();
    config.port(mirror.port).user(&mirror.user).dbname(&mirror.database);
    match mirror.address.parse::<std::net::IpAddr>() {
        // Connected by address, known by name: the certificate bears the name.
        Ok(address) => config.host(&mirror.name).hostaddr(address),
        Err(_) => config.host(&mirror.address),
    };
    config
}

fn tls(identity: &Path) -> Result<MakeRustlsConnect, String> {
    let identity = holdfast_pki::Identity::load(identity).map_err(|e| e.to_string())?;
    Ok(MakeRustlsConnect::new(holdfast_pki::client_config(&identity).as_ref().clone()))
}

/// The first value of the first row.
async fn ask(mut config: Config, identity: Option<&Path>, sql: &str) -> Result<Option<String>, String> {
    config.application_name("holdfast-wal").connect_timeout(ANSWER);
    let asking = async {
        let client = match identity {
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(|e| said(&e))?;
                tokio::spawn(connection);
                client
            }
            Some(dir) => {
                config.ssl_mode(SslMode::Require);
                let (client, connection) = config.connect(tls(dir)?).await.map_err(|e| said(&e))?;
                tokio::spawn(connection);
                client
            }
        };
        let rows = client.simple_query(sql).await.map_err(|e| said(&e))?;
        Ok(rows.iter().find_map(|row| match row {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        }))
    };
    tokio::time::timeout(ANSWER, asking).await.unwrap_or_else(|_| Err("PostgreSQL gave no answer".into()))
}

/// `tokio_postgres` says little before its cause does.
fn said(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        return db.message().to_owned();
    }
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
