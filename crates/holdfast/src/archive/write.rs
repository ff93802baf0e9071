//! Writing an archive: part after part, nothing of it held in memory.

use super::direct::DirectLine;
use super::entry::{EntryLine, Files};
use super::manifest::{LogEnd, Manifest, VERSION};
use crate::client::Client;
use crate::exit::{Exit, refused, unavailable};
use crate::progress::Progress;
use anyhow::{Context as _, Result};
use axum::http::Method;
use holdfast_domain::RoomId;
use holdfast_domain::chain::{Fault, Verifier};
use holdfast_domain::entry::FileRef;
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Entries.
    pub(crate) entries: u64,
    /// Messages from one to another.
    pub(crate) direct: u64,
    /// Files.
    pub(crate) files: u64,
    /// Files that a message names but that are not there any more.
    pub(crate) files_missing: u64,
    /// What does not hold in the logs; they are written nevertheless.
    pub(crate) faults: Vec<(RoomId, Fault)>,
}

/// Writes the pool that `client` speaks to into a new file at `path`, which comes into being whole or not at all.
pub(crate) async fn write(client: &Client, path: &Path, quiet: bool) -> Result<Written> {
    if path.exists() {
        return Err(refused(format!(
            "{} is there already and is not overwritten; choose another name",
            path.display()
        )));
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // For its owner alone: it holds password keys.
    let part = tempfile::Builder::new()
        .prefix(".holdfast-export-")
        .tempfile_in(folder)
        .with_context(|| format!("making a file in {}", folder.display()))?;
    let mut archive = Archive { zip: ZipWriter::new(BufWriter::new(part)), part: String::new(), lines: 0 };
    let written = archive.pool(client, quiet).await?;
    let buffered = archive.zip.finish().context("finishing the archive")?;
    let part = buffered.into_inner().map_err(std::io::IntoInnerError::into_error).context("finishing the archive")?;
    part.as_file().sync_all().context("writing the archive to disk")?;
    part.persist_noclobber(path).with_context(|| format!("naming the archive {}", path.display()))?;
    File::open(folder).and_then(|f| f.sync_all()).with_context(|| format!("writing {} to disk", folder.display()))?;
    Ok(written)
}

struct Archive<W: Write + std::io::Seek> {
    zip: ZipWriter<W>,
    /// The part that is being written.
    part: String,
    lines: u64,
}

impl<W: Write + std::io::Seek> Archive<W> {
    async fn pool(&mut self, client: &Client, quiet: bool) -> Result<Written> {
        let mut lines = client.lines(Method::GET, "/admin/export", None).await?;
        let first = lines.next().await?.and_then(|mut l| l.get_mut("manifest").map(Value::take));
        let first = first.context("understanding the beginning of the export")?;
        let mut manifest: Manifest = serde_json::from_value(first).context("understanding the export's manifest")?;
        if manifest.version != VERSION {
            return Err(refused(format!(
                "the server exports format {}, this command writes {VERSION}; use the same release",
                manifest.version
            )));
        }
        let total = manifest.logs.iter().map(|l| u64::try_from(l.seq.0).unwrap_or(0)).sum();
        let mut progress = Progress::new("entries", total, quiet);
        let mut written = Written::default();
        let mut files: Vec<FileRef> = Vec::new();
        let mut named = Files::default();
        let mut log: Option<(RoomId, Verifier)> = None;
        let mut whole = false;
        while let Some(mut line) = lines.next().await? {
            if let Some(entry) = line.get_mut("entry").map(Value::take) {
                let line: EntryLine = serde_json::from_value(entry).context("understanding an entry of the export")?;
                if log.as_ref().is_none_or(|(room, _)| *room != line.room()) {
                    written.end(log.take(), &manifest.logs);
                    self.part(&format!("logs/{}.jsonl", line.room()))?;
                    log = Some((line.room(), Verifier::new(line.room())));
                }
                self.line(&line)?;
                let stored = line.stored().map_err(refused)?;
                if let Some((room, verifier)) = &mut log {
                    written.faults.extend(verifier.check(&stored).into_iter().map(|f| (*room, f)));
                }
                files.extend(named.named_by(&stored));
                written.entries += 1;
                progress.set(written.entries);
            } else if let Some(account) = line.get("account") {
                self.line_of("accounts.jsonl", account)?;
                manifest.accounts += 1;
            } else if let Some(direct) = line.get_mut("direct").map(Value::take) {
                let line: DirectLine =
                    serde_json::from_value(direct).context("understanding a message of the export")?;
                self.line_of("direct.jsonl", &line)?;
                files.extend(line.files);
                written.direct += 1;
            } else if let Some(keys) = line.get("keys") {
                self.line_of("keys.json", keys)?;
            } else if line["done"] == true {
                whole = true;
            }
        }
        written.end(log.take(), &manifest.logs);
        progress.finish();
        if !whole {
            return Err(unavailable("the export stopped before its end; see the server's log, and try again"));
        }
        for (part, path) in
            [("users", "/users"), ("groups", "/groups"), ("categories", "/categories"), ("rooms", "/rooms")]
        {
            self.part(&format!("{part}.jsonl"))?;
            for item in client.list(path, usize::MAX).await? {
                self.line(&item)?;
            }
        }
        self.files(client, &files, quiet, &mut written).await?;
        (manifest.files, manifest.files_missing) = (written.files, written.files_missing);
        manifest.direct = written.direct;
        self.part("manifest.json")?;
        self.line(&manifest)?;
        Ok(written)
    }

    async fn files(&mut self, client: &Client, files: &[FileRef], quiet: bool, written: &mut Written) -> Result<()> {
        let mut progress = Progress::new("files", files.len() as u64, quiet);
        for file in files {
            let id = file.id;
            if self.bytes(client, &format!("/files/{id}"), &format!("files/{id}")).await? {
                written.files += 1;
                if file.thumbnail {
                    self.bytes(client, &format!("/files/{id}/thumbnail"), &format!("thumbnails/{id}")).await?;
                }
            } else {
                // Erased since: its message in the log says so.
                written.files_missing += 1;
            }
            progress.add(1);
        }
        progress.finish();
        Ok(())
    }

    /// Writes what `path` gives as a part; answers whether there is anything.
    async fn bytes(&mut self, client: &Client, path: &str, part: &str) -> Result<bool> {
        let mut body = match client.bytes(path).await {
            Ok(body) => body,
            Err(e) if crate::exit::code_of(&e) == Exit::Missing => return Ok(false),
            Err(e) => return Err(e),
        };
        // Pictures and archives do not get smaller by trying again.
        let options = options().compression_method(CompressionMethod::Stored);
        self.zip.start_file(part, options).context("writing the archive")?;
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|e| unavailable(format!("the server's answer to {path} broke off: {e}; try again")))?;
            if let Ok(data) = frame.into_data() {
                self.zip.write_all(&data).context("writing the archive")?;
            }
        }
        Ok(true)
    }

    fn part(&mut self, name: &str) -> Result<()> {
        name.clone_into(&mut self.part);
        self.zip.start_file(name, options()).context("writing the archive")
    }

    /// Writes a line of a part, which begins with its first one.
    fn line_of(&mut self, part: &str, value: &impl serde::Serialize) -> Result<()> {
        if self.part != part {
            self.part(part)?;
        }
        self.line(value)
    }

    fn line(&mut self, value: &impl serde::Serialize) -> Result<()> {
        self.lines += 1;
        serde_json::to_writer(&mut self.zip, value).context("writing the archive")?;
        self.zip.write_all(b"\n").context("writing the archive")
    }
}

impl Written {
    /// A log has come to its end.
    fn end(&mut self, log: Option<(RoomId, Verifier)>, ends: &[LogEnd]) {
        let Some((room, verifier)) = log else { return };
        if let Some(end) = ends.iter().find(|e| e.room == room) {
            self.faults.extend(verifier.finish(end.seq, end.hash).into_iter().map(|f| (room, f)));
        }
    }
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(true)
}
