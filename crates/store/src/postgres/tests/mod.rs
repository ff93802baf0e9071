#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should stop where it fails")]

mod conforming;
