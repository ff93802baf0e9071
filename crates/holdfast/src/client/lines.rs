//! Answers that come as lines of JSON, one at a time.

use super::failure;
use crate::exit::{Exit, Failure};
use anyhow::{Context as _, Result};
use axum::body::Body;
use axum::http::StatusCode;
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use serde_json::Value;

/// No line is longer; a longer one is no answer of ours.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Reads lines of JSON from a body.
pub(crate) struct Lines {
    body: Body,
    buffer: BytesMut,
    /// Up to here the buffer holds no line end.
    searched: usize,
}

impl Lines {
    /// From `body`.
    pub(crate) fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new(), searched: 0 }
    }

    /// The next line; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|b| *b == b'\n') {
                let line = self.buffer.split_to(self.searched + at + 1);
                self.searched = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return understand(&line).map(Some);
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > MOST_BYTES {
                anyhow::bail!("a line of the server's answer is longer than {MOST_BYTES} bytes");
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(e)) => {
                    return Err(Failure::new(Exit::Unknown, format!("the server's answer broke off: {e}")).into());
                }
                None if self.buffer.trim_ascii().is_empty() => return Ok(None),
                None => {
                    let line = self.buffer.split();
                    self.searched = 0;
                    return serde_json::from_slice(&line)
                        .map(Some)
                        .context("understanding the end of the server's answer");
                }
            }
        }
    }
}

/// A line's value, unless the line says why there will be no more.
fn understand(line: &[u8]) -> Result<Value> {
    let mut value: Value = serde_json::from_slice(line).context("understanding a line of the server's answer")?;
    match value.get_mut("problem").map(Value::take) {
        Some(document) if document.is_object() => Err(failure(StatusCode::OK, Some(document))),
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_whole_however_they_were_cut() {
        let parts = ["{\"a\":", "1}\n{\"a\"", ":2}\n\n{\"a\":3}"];
        let stream = futures_util::stream::iter(parts.map(|p| Ok::<_, std::io::Error>(bytes::Bytes::from(p))));
        let mut lines = Lines::new(Body::from_stream(stream));
        for n in 1..=3 {
            assert_eq!(lines.next().await.unwrap().unwrap()["a"], n);
        }
        assert!(lines.next().await.unwrap().is_none());
    }
}
