//! An S3 server of a test's own: on a free port of this machine, with one bucket in a directory of its own, gone when the test is over.
//!
//! It is a real one (`s3s`, on a folder), which checks signatures and answers as S3 does. It can be stopped, and started again where it was. S3 promises
//! that of two who create an object at once only one does; this server looks first and writes then, so here writes are let in one by one. And S3 makes no bucket when something is put
//! into one that is not there, as this server would.
#![allow(clippy::expect_used, reason = "a test without its server has failed")]

use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use tempfile::TempDir;
use tokio::sync::{Mutex, oneshot};

/// The name of the key.
pub const KEY: &str = "HOLDFASTTEST";
/// The key itself.
pub const SECRET: &str = "never-to-be-seen-in-any-log";
/// The bucket that is there.
pub const BUCKET: &str = "pool";

/// A server, and what it holds.
#[derive(Debug)]
pub struct S3 {
    folder: TempDir,
    address: SocketAddr,
    running: Option<Running>,
    /// Whether it asks for signatures.
    asks: bool,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl S3 {
    /// Starts one.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start() -> S3 {
        S3::start_that(true)
    }

    /// Starts one that lets everybody in without a signature, and takes notice of no condition that it does not know: what a share must not lie on.
    ///
    /// # Panics
    /// As [`S3::start`].
    pub fn start_careless() -> S3 {
        S3::start_that(false)
    }

    fn start_that(asks: bool) -> S3 {
        let folder = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("its address");
        let running = Some(run(folder.path(), listener, asks));
        S3 { folder, address, running, asks }
    }

    /// Ends it as a kill does: nobody is answered any more. What it holds stays.
    ///
    /// # Panics
    /// When its thread has panicked.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.stop.send(());
            running.thread.join().expect("the server's thread");
        }
    }

    /// Starts it where it was.
    ///
    /// # Panics
    /// When its port was taken by another one.
    pub fn start_again(&mut self) {
        self.stop();
        let listener = TcpListener::bind(self.address).expect("the same port");
        self.running = Some(run(self.folder.path(), listener, self.asks));
    }

    /// The share in a folder of its bucket.
    pub fn location(&self, folder: &str) -> String {
        format!("s3://{BUCKET}/{folder}")
    }

    /// Where an object of that share lies on the disk, to be harmed.
    pub fn file(&self, folder: &str, object: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(folder).join(object)
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The variables by which it is reached.
    pub fn variables(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            pair("AWS_ENDPOINT", &self.address()),
            pair("AWS_ALLOW_HTTP", "true"),
            pair("AWS_REGION", "us-east-1"),
            pair("AWS_ACCESS_KEY_ID", KEY),
            pair("AWS_SECRET_ACCESS_KEY", SECRET),
        ]
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(folder: &Path, listener: TcpListener, asks: bool) -> Running {
    let mut service = S3ServiceBuilder::new(FileSystem::new(folder).expect("its folder"));
    if asks {
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
    }
    let (service, folder) = (service.build(), folder.to_owned());
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            tokio::select! {
                () = serve(listener, service, folder, asks) => {}
                _ = stopped => {}
            }
        });
        // Connections end with it, whatever is on them.
        runtime.shutdown_background();
    });
    Running { stop, thread }
}

async fn serve(listener: TcpListener, service: S3Service, folder: PathBuf, asks: bool) {
    listener.set_nonblocking(true).expect("a listener");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let (turn, folder) = (Arc::new(Mutex::new(())), Arc::new(folder));
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let (service, turn, folder) = (service.clone(), Arc::clone(&turn), Arc::clone(&folder));
        tokio::spawn(async move {
            let answer = service_fn(move |mut request: Request<Incoming>| {
                if !asks {
                    request.headers_mut().remove(AUTHORIZATION);
                }
                let (service, turn, folder) = (service.clone(), Arc::clone(&turn), Arc::clone(&folder));
                async move {
                    let bucket = request.uri().path().split('/').nth(1).unwrap_or_default();
                    if !folder.join(bucket).is_dir() {
                        return Ok(no_such_bucket());
                    }
                    let _turn = if request.method() == Method::GET { None } else { Some(turn.lock().await) };
                    service.call(request.map(Body::from)).await
                }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

fn no_such_bucket() -> Response<Body> {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>";
    let mut answer = Response::new(Body::from(text.to_owned()));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}
