//! Answers that come line by line while the work goes on: a JSON document a line.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use std::convert::Infallible;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Lines that may wait for a slow reader.
const WAITING: usize = 10_000;

/// Where the work writes its lines.
#[derive(Clone)]
pub(super) struct Lines {
    waiting: mpsc::Sender<Bytes>,
    /// Room that is kept for the last line, which must not be lost.
    last: mpsc::Sender<Bytes>,
}

impl Lines {
    /// Starts the work and answers with its lines. Ends the work when the reader goes.
    pub(super) fn answer<F: Future<Output = ()> + Send + 'static>(work: impl FnOnce(Lines) -> F) -> Response {
        let (lines, waiting) = Lines::new();
        let task = AbortOnDropHandle::new(tokio::spawn(work(lines)));
        respond(waiting, Some(task))
    }

    /// As [`Lines::answer`], but the work goes on without a reader.
    pub(super) fn answer_to_the_end<F: Future<Output = ()> + Send + 'static>(
        work: impl FnOnce(Lines) -> F,
    ) -> Response {
        let (lines, waiting) = Lines::new();
        tokio::spawn(work(lines));
        respond(waiting, None)
    }

    fn new() -> (Lines, Waiting) {
        let (waiting, lines) = mpsc::channel(WAITING);
        let (last, end) = mpsc::channel(1);
        (Lines { waiting, last }, Waiting { lines, end })
    }

    /// Writes a line, unless the reader is too slow: the work does not wait for him, and the last line has the sum.
    pub(super) fn add(&self, line: &impl Serialize) {
        let _ = self.waiting.try_send(bytes(line));
    }

    /// Writes a line, when the reader has taken those before it; whether he is still there.
    pub(super) async fn push(&self, line: &impl Serialize) -> bool {
        self.waiting.send(bytes(line)).await.is_ok()
    }

    /// Writes the last line.
    pub(super) fn end(&self, line: &impl Serialize) {
        let _ = self.last.try_send(bytes(line));
    }
}

/// What the reader takes.
struct Waiting {
    lines: mpsc::Receiver<Bytes>,
    end: mpsc::Receiver<Bytes>,
}

impl Waiting {
    async fn next(&mut self) -> Option<Bytes> {
        match self.lines.recv().await {
            Some(line) => Some(line),
            None => self.end.recv().await,
        }
    }
}

fn bytes(line: &impl Serialize) -> Bytes {
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes.into()
}

fn respond(waiting: Waiting, task: Option<AbortOnDropHandle<()>>) -> Response {
    let lines = stream::unfold((waiting, task), |(mut waiting, task)| async move {
        let line = waiting.next().await?;
        Some((Ok::<Bytes, Infallible>(line), (waiting, task)))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Body::from_stream(lines)).into_response()
}
