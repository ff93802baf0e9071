//! PostgreSQL, 15 and later: what several servers share, and what goes on in another place when one is lost.
//!
//! **Invariants:** a change is one transaction, which holds the row of the pool's epoch and the heads of its rooms until it is
//! committed, so that nobody numbers twice and nobody writes under an epoch that is over. Nothing but PostgreSQL ends a commit: each runs in
//! a task of its own. A connection that breaks in a commit, and a commit that stopped waiting for its mirror, are *unknown*.
//!
//! Reading order: `hosts`, `session` and `sessions` are the machinery, `migrations` are the schema, `append` is the way of every change,
//! `amend` what a change does to messages before it, `log` and `search` are what is asked most. `index` fills the search index behind the
//! logs; `watch`, `told`, `listen` and `pool` are what makes several servers one pool.

mod accounts;
mod amend;
mod append;
mod check;
mod direct;
mod directory;
mod epochs;
mod error;
mod files;
mod hosts;
mod index;
mod items;
mod kept;
mod listen;
mod load;
mod log;
mod maintenance;
mod migrate;
mod options;
mod parts;
mod personal;
mod pool;
mod projections;
mod rebuild;
mod row;
mod search;
mod session;
mod sessions;
pub mod takeover;
mod told;
mod watch;
mod words;

#[cfg(test)]
mod tests;

pub use check::{Finding, Outcome, check};
pub use options::PostgresOptions;

use crate::Result;
use crate::pool::{Condition, Heard};
use error::{Fail, unavailable};
use hosts::Hosts;
use parts::Parts;
use session::Session;
use sessions::Sessions;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use told::Told;
use uuid::Uuid;
use watch::Watched;
use words::Lexicon;

/// Heard things that wait for whoever listens; then the connection waits, and PostgreSQL keeps the rest.
const HEARD: usize = 1_024;

/// Everything in one PostgreSQL database. Dropped, it ends in the background; see [`crate::Maintenance::close`].
pub struct PostgresStore {
    inner: Arc<Inner>,
}

struct Inner {
    sessions: Sessions,
    hosts: Arc<Hosts>,
    /// The database as it may be shown: without a password.
    location: String,
    run: Uuid,
    lexicon: Arc<Lexicon>,
    parts: Parts,
    watched: Watched,
    told: Arc<Told>,
    /// The end and the beginning of an unbroken row of this server's own changes of the directory.
    own_changes: Mutex<(i64, i64)>,
    heard: Mutex<Option<mpsc::Receiver<Heard>>>,
    stopping: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// Whether everything is put into the search index before each search, so that nothing is found without it.
    #[cfg(test)]
    eager: bool,
}

impl PostgresStore {
    /// Connects, makes the schema if there is none, and brings it up to date.
    ///
    /// # Errors
    /// [`crate::StoreError::Away`] if no server that takes writes can be reached now, and [`crate::StoreError::Unavailable`] if the database cannot be used as it
    /// is: see [`check`] for what is wrong with it.
    pub async fn open(options: PostgresOptions) -> Result<PostgresStore> {
        const DOING: &str = "opening the database";
        let hosts = options.hosts()?;
        let sessions = Sessions::new(Arc::clone(&hosts), options.connections)?;
        let lexicon = Lexicon::new(&options.search_language);
        let watched = {
            let session = sessions.get().await?;
            let prepared = async {
                let watched = Watched::new(prepare(&session, &lexicon, &options.search_language).await?);
                watched.measure(&session).await?;
                error::Work::Ok(watched)
            };
            prepared.await.map_err(|e| e.while_doing(DOING))?
        };
        let run = Uuid::new_v4();
        let (hear, heard) = mpsc::channel(HEARD);
        let inner = Arc::new(Inner {
            sessions,
            hosts,
            location: options.location(),
            run,
            lexicon: Arc::new(lexicon),
            parts: Parts::default(),
            watched,
            told: Told::new(run),
            own_changes: Mutex::new((0, 0)),
            heard: Mutex::new(Some(heard)),
            stopping: CancellationToken::new(),
            tasks: Mutex::default(),
            #[cfg(test)]
            eager: options.connections == tests::EAGER,
        });
        inner.start_telling();
        if options.background {
            inner.start(hear);
        }
        Ok(PostgresStore { inner })
    }

    /// Whether a copy into this database was begun and not completed; then from where.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_being_filled(&self) -> Result<Option<String>> {
        const DOING: &str = "asking whether the database is complete";
        let row = self.inner.sessions.one(DOING, "SELECT filling FROM pool WHERE id = 1", &[]).await?;
        Ok(row.and_then(|r| r.get(0)))
    }
}

/// Brings the schema up to date and answers the epoch.
async fn prepare(session: &Session, lexicon: &Lexicon, language: &str) -> error::Work<i64> {
    const EPOCH: &str = "SELECT epoch FROM pool WHERE id = 1";
    const DICTIONARY: &str = "SELECT 1 FROM pg_ts_dict WHERE dictname = $1";
    check::refuse_unusable(session).await?;
    migrate::migrate(session, migrate::MIGRATIONS).await?;
    if let Some(dictionary) = lexicon.dictionary()
        && session.one(DICTIONARY, &[&dictionary]).await?.is_none()
    {
        let why = format!("it knows no search language “{language}”; `holdfast db check` lists those that it knows");
        return Err(unavailable(why).into());
    }
    set_language(session, language).await?;
    let row = session.one(EPOCH, &[]).await?;
    row.map(|r| r.try_get(0)).transpose()?.ok_or_else(|| error::corrupt("the row of the pool is not there").into())
}

/// An index of words of another language is of no use: it is made anew, unless servers that use it are at work.
async fn set_language(session: &Session, language: &str) -> error::Work<()> {
    const NOW: &str = "SELECT language FROM search_language WHERE id = 1";
    const SET: &str = "INSERT INTO search_language (id, language) VALUES (1, $1)
                       ON CONFLICT (id) DO UPDATE SET language = excluded.language";
    const AT_WORK: &str = "SELECT name FROM server WHERE NOT stopped AND seen > now() - interval '10 seconds' LIMIT 1";
    let row = session.one(NOW, &[]).await?;
    let now: Option<String> = row.map(|r| r.try_get(0)).transpose()?;
    match now {
        Some(now) if now == language => return Ok(()),
        Some(now) => {
            if let Some(row) = session.one(AT_WORK, &[]).await? {
                let name: String = row.try_get(0)?;
                return Err(unavailable(format!(
                    "the pool searches in “{now}”, and its server {name} is at work; stop all servers to change the search language to “{language}”"
                ))
                .into());
            }
            tracing::info!(from = now, to = language, "the search index is made anew for another language");
        }
        None => {}
    }
    session.batch("BEGIN; TRUNCATE search_block, search_through, search_again").await?;
    session.execute(SET, &[&language]).await?;
    session.batch("COMMIT").await
}

impl Inner {
    /// A command tells the servers what it did, as a server does.
    fn start_telling(&self) {
        let hosts = Arc::clone(&self.hosts);
        self.keep([tokio::spawn(Arc::clone(&self.told).run(hosts, self.stopping.clone()))]);
    }

    fn start(self: &Arc<Self>, hear: mpsc::Sender<Heard>) {
        let stopping = || self.stopping.clone();
        let reader = hear.downgrade();
        self.keep([
            tokio::spawn(listen::run(Arc::clone(&self.hosts), self.run, hear, stopping())),
            tokio::spawn(watch::run(Arc::clone(self), reader)),
            tokio::spawn(index::run(Arc::clone(self))),
        ]);
    }

    fn keep(&self, tasks: impl IntoIterator<Item = JoinHandle<()>>) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
    }

    /// Refuses to write under another epoch than the one that this server knows.
    fn check_epoch(&self, there: i64) -> Result<()> {
        let known = self.watched.epoch.load(Ordering::Acquire);
        if there == known {
            return Ok(());
        }
        let highest = self.hosts.epochs().highest();
        if there < highest {
            return Err(error::away(format!("it is at epoch {there}, and epoch {highest} has begun elsewhere")));
        }
        // Whoever watches looks at once by that, and hears of it.
        self.watched.note(Condition::OtherEpoch);
        Err(error::away(format!("it is at epoch {there}, and this server still at {known}; it is reading anew")))
    }

    /// Holds the pool's epoch until the transaction is over, and refuses to write under another one than this server knows.
    async fn hold_epoch(&self, session: &Session) -> error::Work<()> {
        let row = session.one(append::EPOCH, &[]).await?;
        let row = row.ok_or_else(|| error::corrupt("the row of the pool is not there"))?;
        self.check_epoch(row.try_get(0)?)?;
        Ok(())
    }

    /// Whether nobody else has changed the directory since it was at `decided_on`, now that it is at `revision`.
    fn is_still(&self, decided_on: i64, revision: i64) -> bool {
        let (first, last) = *self.own_changes.lock().unwrap_or_else(PoisonError::into_inner);
        decided_on == revision || (last == revision && first <= decided_on)
    }

    /// Notes that this server has changed the directory from `revision` to the next.
    fn note_own_change(&self, revision: i64) {
        let mut own = self.own_changes.lock().unwrap_or_else(PoisonError::into_inner);
        *own = if own.1 == revision { (own.0, revision + 1) } else { (revision, revision + 1) };
    }

    async fn close(&self) {
        self.stopping.cancel();
        let tasks: Vec<JoinHandle<()>> = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        for task in tasks {
            let abort = task.abort_handle();
            if tokio::time::timeout(std::time::Duration::from_secs(2), task).await.is_err() {
                // It waits for a database that does not answer.
                abort.abort();
            }
        }
        self.sessions.close();
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.inner.stopping.cancel();
    }
}

/// Turns a column that cannot be read into an error of the interface.
fn read<T>(value: std::result::Result<T, tokio_postgres::Error>, doing: &'static str) -> Result<T> {
    value.map_err(|e| Fail::Sql(e).while_doing(doing))
}
