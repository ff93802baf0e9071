//! The threads that own the connections: one that writes, a few that read, one that moves the write-ahead log into the database.
//!
//! SQLite lets one connection write at a time, so writing has one thread and a queue rather than many that wait for a lock.
//! Work is a closure; the queue is bounded, and who finds it full waits.

use super::connection::Connections;
use super::error::{Fail, Work, unavailable};
use super::words::Scratch;
use crate::{Result, StoreError};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Jobs that wait for the writer, and for all readers together.
const QUEUE: usize = 256;

/// Pages of the write-ahead log after which the checkpointer is woken again. It works while the writer goes on.
const CHECKPOINT_EVERY: i32 = 1_000;

/// Pages from which the writer helps: the checkpointer can never catch up with a writer that does not rest, and only a log that was
/// moved whole begins again from its start. Most of it has been moved by then, so the pause is short.
const CHECKPOINT_IN_WRITER: i32 = 16_000;

/// The connection that writes.
pub(super) struct Writer {
    conn: Connection,
    connections: Connections,
    wal_pages: Arc<AtomicI32>,
    checkpoint: SyncSender<()>,
    /// Held by whoever moves the write-ahead log, because SQLite turns a second one away.
    moving: Arc<Mutex<()>>,
    checkpoint_asked_at: i32,
    helped_at: i32,
}

/// A connection that reads.
pub(super) struct Reader {
    conn: Connection,
    scratch: Scratch,
}

/// The queues to all threads.
pub(super) struct Threads {
    queues: Mutex<Option<Queues>>,
    handles: Mutex<Option<Handles>>,
}

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

struct Queues {
    writer: mpsc::Sender<Job<Writer>>,
    readers: mpsc::Sender<Job<Reader>>,
}

struct Handles {
    readers: Vec<JoinHandle<()>>,
    writer: JoinHandle<()>,
}

impl Threads {
    /// Starts them. `first` is the connection that has brought the schema up to date.
    pub(super) fn start(connections: &Connections, first: Connection, readers: usize) -> Result<Threads> {
        const STARTING: &str = "starting the database's threads";
        let (checkpoint, asked) = sync_channel(1);
        let checkpointer_conn = connections.writing()?;
        let writer = Writer::new(first, connections.clone(), checkpoint).map_err(|e| e.while_doing(STARTING))?;
        let reading = (0..readers.max(1)).map(|_| Reader::open(connections)).collect::<Result<Vec<_>>>()?;

        let (to_writer, for_writer) = mpsc::channel(QUEUE);
        let (to_readers, for_readers) = mpsc::channel(QUEUE);
        let for_readers = Arc::new(Mutex::new(for_readers));
        let moving = Arc::clone(&writer.moving);
        let checkpointer = spawn("sqlite-checkpoint", move || run_checkpoints(&checkpointer_conn, &asked, &moving))?;
        let handles = Handles {
            readers: reading
                .into_iter()
                .map(|reader| {
                    let jobs = Arc::clone(&for_readers);
                    spawn("sqlite-read", move || reader.run(&jobs))
                })
                .collect::<Result<_>>()?,
            writer: spawn("sqlite-write", move || writer.run(for_writer, checkpointer))?,
        };
        Ok(Threads {
            queues: Mutex::new(Some(Queues { writer: to_writer, readers: to_readers })),
            handles: Mutex::new(Some(handles)),
        })
    }

    /// Runs `work` in a transaction of the writer and commits it. Once queued it is done even if the caller goes away.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Work<T> + Send + 'static,
    ) -> Result<T> {
        let queue = self.queues()?.writer;
        let (answer, answered) = oneshot::channel();
        let job: Job<Writer> = Box::new(move |writer| {
            // Nobody waits for the answer of an abandoned call.
            let _ = answer.send(writer.transact(doing, work));
        });
        queue.send(job).await.map_err(|_| closed())?;
        answered.await.map_err(|_| panicked(doing))?
    }

    /// Runs `work` on a reader, all of it on one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>, &mut Scratch) -> Work<T> + Send + 'static,
    ) -> Result<T> {
        let queue = self.queues()?.readers;
        let (answer, answered) = oneshot::channel();
        let job: Job<Reader> = Box::new(move |reader| {
            if !answer.is_closed() {
                let _ = answer.send(reader.transact(doing, work));
            }
        });
        queue.send(job).await.map_err(|_| closed())?;
        answered.await.map_err(|_| panicked(doing))?
    }

    /// Takes no more work, finishes what is queued, and ends the threads. Blocks.
    pub(super) fn close(&self) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner).take();
        let handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(queues), Some(handles)) = (queues, handles) else { return };
        // One after the other, the writer last: it empties the write-ahead log, for which no other connection may be left.
        drop(queues.readers);
        handles.readers.into_iter().for_each(join);
        drop(queues.writer);
        join(handles.writer);
    }

    fn queues(&self) -> Result<Queues> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queues = queues.as_ref().ok_or_else(closed)?;
        Ok(Queues { writer: queues.writer.clone(), readers: queues.readers.clone() })
    }
}

impl Writer {
    fn new(conn: Connection, connections: Connections, checkpoint: SyncSender<()>) -> Work<Writer> {
        let mut writer = Writer {
            conn,
            connections,
            wal_pages: Arc::new(AtomicI32::new(0)),
            checkpoint,
            moving: Arc::default(),
            checkpoint_asked_at: 0,
            helped_at: 0,
        };
        writer.watch_wal()?;
        Ok(writer)
    }

    /// Learns of the size of the write-ahead log at every commit, and by that keeps SQLite from checkpointing in it.
    fn watch_wal(&mut self) -> Work<()> {
        let pages = Arc::clone(&self.wal_pages);
        self.conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, n| {
            pages.store(n, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(())
    }

    fn run(mut self, mut jobs: mpsc::Receiver<Job<Writer>>, checkpointer: JoinHandle<()>) {
        while let Some(job) = jobs.blocking_recv() {
            if catch_unwind(AssertUnwindSafe(|| job(&mut self))).is_err() {
                tracing::error!("a job of the database's writer panicked; it was rolled back");
            }
            self.tend_connection();
            self.tend_wal();
        }
        drop(self.checkpoint);
        join(checkpointer);
        let busy = self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |r| r.get::<_, bool>(0));
        if !matches!(busy, Ok(false)) {
            tracing::warn!(?busy, "the write-ahead log could not be emptied; the next start will read it");
        }
    }

    fn transact<T>(&mut self, doing: &'static str, work: impl FnOnce(&Transaction<'_>) -> Work<T>) -> Result<T> {
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|e| Fail::Sql(e).while_doing(doing))?;
        // Dropped without commit, a transaction rolls back.
        let value = work(&tx).map_err(|e| e.while_doing(doing))?;
        tx.commit().map_err(|e| Fail::Sql(e).at_commit(doing))?;
        Ok(value)
    }

    /// A connection that is still in a transaction after a job could not roll back; only a new one helps.
    fn tend_connection(&mut self) {
        if self.conn.is_autocommit() {
            return;
        }
        tracing::error!("the database's writer could not roll back; it opens a new connection");
        match self.connections.writing() {
            Ok(conn) => {
                self.conn = conn;
                if let Err(e) = self.watch_wal() {
                    tracing::warn!(error = ?e, "the size of the write-ahead log is not watched");
                }
            }
            Err(e) => tracing::error!(error = %e, "there is no new connection; the next job tries again"),
        }
    }

    fn tend_wal(&mut self) {
        let pages = self.wal_pages.load(Ordering::Relaxed);
        if pages < self.checkpoint_asked_at {
            // It began again from its start.
            (self.checkpoint_asked_at, self.helped_at) = (0, 0);
        }
        if pages - self.checkpoint_asked_at >= CHECKPOINT_EVERY {
            self.checkpoint_asked_at = pages;
            // A full channel: the checkpointer is asked already.
            let _ = self.checkpoint.try_send(());
        }
        // Again only after some growth: a reader that holds an old snapshot, such as a backup, keeps the log from being moved.
        if pages - self.helped_at >= CHECKPOINT_IN_WRITER {
            self.helped_at = pages - CHECKPOINT_IN_WRITER + CHECKPOINT_EVERY;
            checkpoint(&self.conn, &self.moving);
        }
    }
}

impl Reader {
    fn open(connections: &Connections) -> Result<Reader> {
        let scratch = Scratch::open().map_err(|e| e.while_doing("preparing to search"))?;
        Ok(Reader { conn: connections.reading()?, scratch })
    }

    fn run(mut self, jobs: &Mutex<mpsc::Receiver<Job<Reader>>>) {
        loop {
            // Whoever has the lock takes the next job and lets the next reader wait for the one after it.
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
            let Some(job) = job else { return };
            if catch_unwind(AssertUnwindSafe(|| job(&mut self))).is_err() {
                tracing::error!("a job of a reader of the database panicked");
            }
        }
    }

    fn transact<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>, &mut Scratch) -> Work<T>,
    ) -> Result<T> {
        let tx = self.conn.transaction().map_err(|e| Fail::Sql(e).while_doing(doing))?;
        work(&tx, &mut self.scratch).map_err(|e| e.while_doing(doing))
    }
}

fn run_checkpoints(conn: &Connection, asked: &Receiver<()>, moving: &Mutex<()>) {
    while asked.recv().is_ok() {
        checkpoint(conn, moving);
    }
}

/// Moves what can be moved without making a reader wait.
fn checkpoint(conn: &Connection, moving: &Mutex<()>) {
    let _turn = moving.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(e) = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(error = %e, "the write-ahead log could not be moved into the database; it grows until it can");
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the database had panicked");
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|e| unavailable(format!("a thread for it could not be started: {e}")))
}

fn closed() -> StoreError {
    unavailable("it is closed")
}

/// The job's thread dropped the answer: it unwound before its commit.
fn panicked(doing: &'static str) -> StoreError {
    StoreError::Engine { doing, source: "this is a fault of ours: the job panicked, and the log says where".into() }
}
