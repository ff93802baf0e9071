//! Reading rooms as a client does.

use crate::http::Http;
use anyhow::{Context as _, Result};
use holdfast_history::{Digest, Logged, Seen};
use serde_json::Value;

/// The room's whole log at the server that `http` speaks to.
///
/// # Errors
/// When it does not answer, or not as it should.
pub async fn read_log(http: &mut Http, room: i64) -> Result<Vec<Logged>> {
    let entries = read(http, room, 0, None).await?;
    let logged = |entry: &Value| -> Result<Logged> {
        let Seen { seq, client_id, content } = seen(entry)?;
        let author = entry["author"]["name"].as_str().context("an author")?.to_owned();
        Ok(Logged { seq, is_message: entry["kind"] == "message", author, client_id, content })
    };
    entries.iter().map(logged).collect()
}

/// Entries after `after`, up to `through` or the last.
pub(crate) async fn read(http: &mut Http, room: i64, mut after: i64, through: Option<i64>) -> Result<Vec<Value>> {
    let mut entries = Vec::new();
    loop {
        let (status, mut page) = http.get(&format!("/rooms/{room}/entries?after={after}&limit=500")).await?;
        anyhow::ensure!(status == 200, "{status} {page}");
        let Value::Array(found) = page["entries"].take() else { anyhow::bail!("no entries: {page}") };
        for entry in found {
            after = entry["seq"].as_i64().context("a number")?;
            if through.is_none_or(|through| after <= through) {
                entries.push(entry);
            }
        }
        if page["more_after"] != true || through.is_some_and(|through| after >= through) {
            return Ok(entries);
        }
    }
}

/// An entry as it is recorded: of a message the text counts, of others the kind.
pub(crate) fn seen(entry: &Value) -> Result<Seen> {
    let text = entry["message"]["text"].as_str().or(entry["kind"].as_str()).context("a kind")?;
    Ok(Seen {
        seq: entry["seq"].as_i64().context("a number")?,
        client_id: entry["client_id"].as_str().context("a client id")?.parse()?,
        content: Digest::of(text),
    })
}
