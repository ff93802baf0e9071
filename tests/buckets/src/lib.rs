//! Servers of buckets of a test's own, over loopback, that leave nothing behind: of S3, and of Azure.

mod azure;
mod s3;

pub use azure::Azure;
pub use s3::{BUCKET, KEY, S3, SECRET};
