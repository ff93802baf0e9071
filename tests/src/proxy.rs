//! What comes between a server and its database: a proxy that can break what goes through it.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What a client of PostgreSQL sends to commit, and PostgreSQL to say that it has.
const COMMIT: &[u8] = b"COMMIT\0";
/// Bytes of a transaction that are looked through for what it is about.
const MOST_KEPT: usize = 1 << 20;
/// For an answer that is to be lost, before the connection is cut without it.
const ANSWER: Duration = Duration::from_secs(2);

/// How what comes is treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// It is passed on.
    Open,
    /// It waits, in both directions, and nobody is told.
    Stalled,
    /// New connections are ended at once; those that there are go on.
    Refusing,
}

/// A connection that is cut in the middle of a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// Before the commit arrives: nothing of it is kept.
    Before,
    /// After it was done, before the answer arrives: all of it is kept, and the client does not know.
    After,
}

#[derive(Debug)]
struct State {
    way: Way,
    /// Connections made before this number was reached are over.
    generation: usize,
    to: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    state: watch::Sender<State>,
    /// What to do at the next commit of something in which this occurs.
    armed: Mutex<Option<(Cut, Vec<u8>)>>,
    cuts: AtomicUsize,
    connections: AtomicUsize,
}

/// A proxy that runs; its connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// From a free port of this machine to `port`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn to(port: u16) -> Self {
        let listener = StdListener::bind("127.0.0.1:0").and_then(|l| l.set_nonblocking(true).map(|()| l));
        let listener = listener.unwrap_or_else(|e| panic!("the proxy cannot listen: {e}"));
        let own = listener.local_addr().map_or(0, |address| address.port());
        let (state, _) =
            watch::channel(State { way: Way::Open, generation: 0, to: SocketAddr::from(([127, 0, 0, 1], port)) });
        let shared = Arc::new(Shared {
            state,
            armed: Mutex::default(),
            cuts: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        // Of its own, so that a test which waits does not hold it up.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap_or_else(|e| panic!("the proxy cannot run: {e}"));
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Self { shared, port: own, runtime: Some(runtime) }
    }

    /// Where it listens, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on it treats what comes in this way.
    pub fn set(&self, way: Way) {
        self.shared.state.send_modify(|state| state.way = way);
    }

    /// New connections go to another port.
    pub fn point_to(&self, port: u16) {
        self.shared.state.send_modify(|state| state.to.set_port(port));
    }

    /// Ends every connection that there is.
    pub fn drop_all(&self) {
        self.shared.state.send_modify(|state| state.generation += 1);
    }

    /// Cuts the connection that next commits something in which `text` occurs as it is.
    pub fn cut_at_commit(&self, cut: Cut, text: &str) {
        *lock(&self.shared.armed) = Some((cut, text.as_bytes().to_owned()));
    }

    /// How many connections were cut at a commit.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::Acquire)
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn accept(listener: StdListener, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let (way, to) = {
            let state = shared.state.borrow();
            (state.way, state.to)
        };
        if way == Way::Refusing {
            continue;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            shared.connections.fetch_add(1, Ordering::AcqRel);
            connection(client, to, &shared).await;
            shared.connections.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

/// Carries one connection until it is over, by itself or by us. Both ends are dropped then.
async fn connection(client: TcpStream, to: SocketAddr, shared: &Shared) {
    let mut state = shared.state.subscribe();
    let generation = state.borrow().generation;
    let carried = async {
        // A proxy that stalls does not let anybody through from the beginning.
        opened(shared.state.subscribe()).await;
        let server = TcpStream::connect(to).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let (lost, losing) = watch::channel(false);
        tokio::select! {
            done = questions(from_client, to_server, shared, &lost) => done,
            done = answers(from_server, to_client, shared, losing) => done,
        }
    };
    tokio::select! {
        _ = carried => {}
        _ = state.wait_for(|state| state.generation != generation) => {}
    }
}

/// Passes on what the client says, and looks for commits in it.
async fn questions(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    lost: &watch::Sender<bool>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut transaction = Vec::new();
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        opened(shared.state.subscribe()).await;
        transaction.extend_from_slice(&buffer[..n]);
        let commits = contains(&transaction, COMMIT);
        let wanted = |(_, text): &mut (Cut, Vec<u8>)| commits && contains(&transaction, text);
        let cut = lock(&shared.armed).take_if(wanted);
        if commits || transaction.len() > MOST_KEPT {
            // What comes in two pieces is found all the same.
            transaction.drain(..transaction.len().saturating_sub(COMMIT.len() - 1));
            if commits {
                transaction.clear();
            }
        }
        if let Some((cut, _)) = cut {
            if cut == Cut::After {
                lost.send_replace(true);
                to.write_all(&buffer[..n]).await?;
                // `answers` ends the connection when it has come.
                tokio::time::sleep(ANSWER).await;
            }
            shared.cuts.fetch_add(1, Ordering::AcqRel);
            return Ok(());
        }
        to.write_all(&buffer[..n]).await?;
    }
}

/// Passes on what the server says, unless it is to be lost.
async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    losing: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    let mut lost = Vec::new();
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        opened(shared.state.subscribe()).await;
        if !*losing.borrow() {
            to.write_all(&buffer[..n]).await?;
            continue;
        }
        lost.extend_from_slice(&buffer[..n]);
        if contains(&lost, COMMIT) {
            shared.cuts.fetch_add(1, Ordering::AcqRel);
            return Ok(());
        }
    }
}

async fn opened(mut state: watch::Receiver<State>) {
    // Refused are new connections only.
    let _ = state.wait_for(|state| state.way != Way::Stalled).await;
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len().max(1)).any(|window| window == what)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    /// A server that says back what it hears, and the proxy to it.
    fn echo() -> (Proxy, Arc<Mutex<Vec<u8>>>) {
        let listener = StdListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::to(listener.local_addr().unwrap().port());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, all) = (stream.unwrap(), Arc::clone(&all));
                std::thread::spawn(move || {
                    let mut buffer = [0; 1024];
                    while let Ok(n @ 1..) = stream.read(&mut buffer) {
                        lock(&all).extend_from_slice(&buffer[..n]);
                        stream.write_all(&buffer[..n]).unwrap();
                    }
                });
            }
        });
        (proxy, heard)
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn answers_to(stream: &mut TcpStream, text: &[u8]) -> bool {
        let mut answer = vec![0; text.len()];
        stream.write_all(text).is_ok() && stream.read_exact(&mut answer).is_ok() && answer == text
    }

    #[test]
    fn it_passes_on_drops_refuses_and_stalls() {
        let (proxy, _) = echo();
        let mut one = connect(&proxy);
        assert!(answers_to(&mut one, b"hello"));
        proxy.set(Way::Refusing);
        assert!(answers_to(&mut one, b"still there"));
        assert!(!answers_to(&mut connect(&proxy), b"new"));
        proxy.set(Way::Stalled);
        one.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(!answers_to(&mut one, b"late"));
        one.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        proxy.set(Way::Open);
        let mut late = [0; 4];
        one.read_exact(&mut late).unwrap();
        assert_eq!(&late, b"late", "what stalled must come in the end");
        proxy.drop_all();
        assert!(!answers_to(&mut one, b"gone"));
        assert!(answers_to(&mut connect(&proxy), b"new"));
    }

    #[test]
    fn it_cuts_before_and_after_a_commit_of_what_it_is_told() {
        let (proxy, heard) = echo();
        for (cut, arrives) in [(Cut::Before, false), (Cut::After, true)] {
            lock(&heard).clear();
            proxy.cut_at_commit(cut, "a post");
            let mut stream = connect(&proxy);
            assert!(answers_to(&mut stream, b"BEGIN\0something else COMMIT\0"), "{cut:?}");
            assert!(answers_to(&mut stream, b"BEGIN\0a post COM"));
            // In two pieces, to be found all the same.
            assert!(!answers_to(&mut stream, b"MIT\0"), "{cut:?}");
            assert_eq!(lock(&heard).ends_with(b"a post COMMIT\0"), arrives, "{cut:?}");
            let mut others = connect(&proxy);
            assert!(answers_to(&mut others, b"a post COMMIT\0"), "{cut:?} is for one connection");
        }
        assert_eq!(proxy.cuts(), 2);
    }
}
