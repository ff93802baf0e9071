//! Reading an archive that somebody may have made with ill intent: limits before anything is believed.

use super::manifest::{Manifest, VERSION};
use crate::exit::refused;
use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// Parts of one archive at most.
const PARTS: usize = 2_000_000;
/// Bytes of all parts together, unpacked.
const BYTES: u64 = 1 << 40;
/// A part may not grow more than this when it is unpacked. JSON lines of chat grow tenfold.
const RATIO: u64 = 400;
/// Parts smaller than this may, whatever their ratio.
const SMALL: u64 = 1 << 20;
/// Bytes of one line.
const LINE: u64 = 64 << 20;

/// An open archive.
pub(crate) struct Reader {
    zip: ZipArchive<BufReader<File>>,
}

impl Reader {
    /// Opens the archive at `path` and checks its table of contents.
    ///
    /// # Errors
    /// When it is no archive of ours, or its contents are out of all proportion.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let zip = ZipArchive::new(BufReader::new(file))
            .map_err(|e| refused(format!("{} is no archive of `holdfast export`: {e}", path.display())))?;
        let mut reader = Self { zip };
        reader.check_contents()?;
        Ok(reader)
    }

    fn check_contents(&mut self) -> Result<()> {
        if self.zip.len() > PARTS {
            return Err(refused(format!("the archive has {} parts; at most {PARTS} are read", self.zip.len())));
        }
        let mut all: u64 = 0;
        for i in 0..self.zip.len() {
            let part = self.zip.by_index_raw(i).context("reading the archive's table of contents")?;
            let (name, packed, size) = (part.name(), part.compressed_size(), part.size());
            if !is_ours(name) {
                return Err(refused(format!(
                    "the archive holds `{}`, which is not of `holdfast export`",
                    crate::output::visible(name)
                )));
            }
            if size > SMALL && size / packed.max(1) > RATIO {
                return Err(refused(format!(
                    "{name} would grow from {packed} to {size} bytes; that is no archive of `holdfast export`"
                )));
            }
            all = all.saturating_add(size);
        }
        if all > BYTES {
            return Err(refused(format!("the archive would unpack to {all} bytes; at most {BYTES} are read")));
        }
        Ok(())
    }

    /// What the archive says of itself.
    ///
    /// # Errors
    /// When it says nothing, or is of a version that this release does not read.
    pub(crate) fn manifest(&mut self) -> Result<Manifest> {
        let mut found = None;
        self.lines("manifest.json", |_, manifest: Manifest| {
            found = Some(manifest);
            Ok(())
        })?;
        let manifest = found
            .ok_or_else(|| refused("the archive has no manifest.json; it is not of `holdfast export`, or was cut"))?;
        if manifest.version != VERSION {
            let version = manifest.version;
            return Err(refused(format!(
                "the archive has format {version}; this release reads {VERSION}: use the release that wrote it, {}",
                manifest.software
            )));
        }
        Ok(manifest)
    }

    /// Gives each line of a part, with its number, to `take`; a part that is not there has no lines.
    ///
    /// # Errors
    /// The part and line that cannot be read, or what `take` said.
    pub(crate) fn lines<T: DeserializeOwned>(
        &mut self,
        part: &str,
        mut take: impl FnMut(u64, T) -> Result<()>,
    ) -> Result<()> {
        let Some(index) = self.zip.index_for_name(part) else { return Ok(()) };
        let file = self.zip.by_index(index).with_context(|| format!("unpacking {part}"))?;
        let size = file.size();
        // What the table of contents promised is all that is unpacked.
        let mut file = BufReader::new(file.take(size));
        let mut number = 0;
        let mut line = String::new();
        loop {
            line.clear();
            let n = (&mut file)
                .take(LINE)
                .read_line(&mut line)
                .map_err(|e| refused(format!("{part}: line {}: {e}", number + 1)))?;
            if n == 0 {
                return Ok(());
            }
            number += 1;
            let value = serde_json::from_str(&line).map_err(|e| refused(format!("{part}: line {number}: {e}")))?;
            take(number, value)?;
        }
    }

    /// Gives a part's bytes to `take`, piece by piece; answers whether the part is there.
    ///
    /// # Errors
    /// When it cannot be unpacked, or what `take` said.
    pub(crate) fn bytes(
        &mut self,
        part: &str,
        piece: usize,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<bool> {
        let Some(index) = self.zip.index_for_name(part) else { return Ok(false) };
        let file = self.zip.by_index(index).with_context(|| format!("unpacking {part}"))?;
        let size = file.size();
        let mut file = file.take(size);
        let mut buffer = Vec::with_capacity(piece);
        loop {
            buffer.clear();
            (&mut file).take(piece as u64).read_to_end(&mut buffer).map_err(|e| refused(format!("{part}: {e}")))?;
            if buffer.is_empty() {
                return Ok(true);
            }
            take(&buffer)?;
        }
    }
}

/// Whether a part has a name that an export writes; so none can be absolute, climb up, or hide.
fn is_ours(name: &str) -> bool {
    let number = |s: &str| !s.is_empty() && s.len() < 12 && s.bytes().all(|b| b.is_ascii_digit());
    matches!(
        name,
        "manifest.json"
            | "keys.json"
            | "accounts.jsonl"
            | "direct.jsonl"
            | "users.jsonl"
            | "groups.jsonl"
            | "categories.jsonl"
            | "rooms.jsonl"
    ) || name.strip_prefix("logs/").and_then(|n| n.strip_suffix(".jsonl")).is_some_and(number)
        || name
            .strip_prefix("files/")
            .or(name.strip_prefix("thumbnails/"))
            .is_some_and(|n| uuid::Uuid::parse_str(n).is_ok_and(|u| u.to_string() == n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use zip::write::SimpleFileOptions;

    fn archive(parts: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
        for (name, bytes) in parts {
            zip.start_file(*name, SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated))
                .unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        file
    }

    fn refusal(parts: &[(&str, &[u8])]) -> String {
        let file = archive(parts);
        let read = Reader::open(file.path()).and_then(|mut r| r.manifest());
        read.unwrap_err().to_string()
    }

    #[test]
    fn only_what_an_export_writes_is_read() {
        for name in
            ["../x", "/etc/passwd", "logs/../1.jsonl", "logs/1.jsonl.sh", "files/x", "files/../../a", "MANIFEST.JSON"]
        {
            assert!(refusal(&[(name, b"")]).contains("not of `holdfast export`"), "{name}");
        }
        assert!(refusal(&[]).contains("no manifest.json"));
        assert!(refusal(&[("manifest.json", b"{}")]).contains("line 1"));
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_unpacked() {
        let zeros = vec![b' '; 64 << 20];
        assert!(refusal(&[("logs/1.jsonl", &zeros)]).contains("would grow"));
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"hello").unwrap();
        assert!(Reader::open(file.path()).err().unwrap().to_string().contains("is no archive"));
    }

    #[test]
    fn a_newer_format_is_refused_by_name() {
        let manifest = br#"{"version":9,"software":"2.0.0","created_at":"2030-01-01T00:00:00Z","logs":[]}"#;
        assert!(refusal(&[("manifest.json", manifest)]).contains("the release that wrote it, 2.0.0"));
    }
}
