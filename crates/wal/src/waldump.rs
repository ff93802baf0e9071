//! What `pg_waldump` says of segments in a folder: whether every record can be read, and where the last whole one begins.

use crate::lsn::Lsn;
use crate::segment::{Segment, SegmentSize};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Where Debian keeps PostgreSQL's programs, a folder a version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// For reading 1 GB or so on a slow machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// Finds `pg_waldump` for log whose pages begin with this number: one of another version refuses it.
pub(crate) fn find(bin: Option<&Path>, magic: u16) -> Result<PathBuf, String> {
    if let Some(bin) = bin {
        let program = bin.join("pg_waldump");
        return if program.exists() {
            Ok(program)
        } else {
            Err(format!("there is no pg_waldump in {}", bin.display()))
        };
    }
    let version = version_of(magic);
    let debian = PathBuf::from(format!("{DEBIAN}/{version}/bin/pg_waldump"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|dir| dir.join("pg_waldump")).find(|p| p.exists());
    let found = Some(debian).filter(|p| p.exists()).or(in_path);
    found.ok_or_else(|| format!("pg_waldump of PostgreSQL {version} was not found; name the folder of its programs"))
}

/// The version of PostgreSQL whose pages begin so.
fn version_of(magic: u16) -> u16 {
    match magic {
        0xD110 => 15,
        0xD111..=0xD113 => 16,
        0xD114..=0xD116 => 17,
        _ => 18,
    }
}

/// A chain of segments in a folder, all under the name of one timeline.
pub(crate) struct Chain<'a> {
    pub(crate) program: &'a Path,
    pub(crate) folder: &'a Path,
    pub(crate) timeline: u32,
    pub(crate) size: SegmentSize,
}

/// A record that cannot be read.
pub(crate) struct Broken {
    pub(crate) at: Lsn,
    pub(crate) what: String,
}

impl Chain<'_> {
    /// Reads every record of the segments from `first` to `last`. Always with an end: without one, also a good chain ends in an error.
    pub(crate) async fn read(&self, first: u64, last: u64) -> Result<Result<(), Broken>, String> {
        let mut child = self.start(first, last, true)?;
        let said = self.errors_of(&mut child).await?;
        let status = child.wait().await.map_err(|e| e.to_string())?;
        if status.success() {
            return Ok(Ok(()));
        }
        let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("pg_waldump failed").to_owned();
        let what = said.trim_start_matches("pg_waldump: ").trim_start_matches("error: ").to_owned();
        // The place that is named last is that of the record; without one, nothing can be trusted.
        let at = what.split_whitespace().filter_map(|word| word.trim_end_matches([':', ',']).parse().ok()).next_back();
        Ok(Err(Broken { at: at.unwrap_or_else(|| self.size.start_of(first)), what }))
    }

    /// Where the last whole record begins that begins in the segments from `first` to `last`. It may run over the end of the last but for its last
    /// bytes; so the end of a segment is no position to wait for.
    pub(crate) async fn last_record(&self, first: u64, last: u64) -> Result<Option<Lsn>, String> {
        for segment in (first..=last).rev() {
            let mut child = self.start(segment, last, false)?;
            let Some(out) = child.stdout.take() else { return Err("pg_waldump has no output".into()) };
            let mut lines = BufReader::new(out).lines();
            let reading = async {
                let mut found = None;
                while let Some(line) = lines.next_line().await.map_err(|e| e.to_string())? {
                    found = record_of(&line).or(found);
                }
                Ok::<_, String>(found)
            };
            let found = tokio::time::timeout(PATIENCE, reading).await.map_err(|_| late())??;
            let _ = child.wait().await;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn start(&self, first: u64, last: u64, quiet: bool) -> Result<Child, String> {
        let mut command = Command::new(self.program);
        command.env("LC_ALL", "C").kill_on_drop(true).stdin(Stdio::null());
        command.arg("-p").arg(self.folder).arg("-t").arg(self.timeline.to_string());
        command.arg("-s").arg(self.size.start_of(first).to_string()).arg("-e").arg(self.size.end_of(last).to_string());
        if quiet {
            command.arg("-q").stdout(Stdio::null()).stderr(Stdio::piped());
        } else {
            command.stdout(Stdio::piped()).stderr(Stdio::null());
        }
        command.spawn().map_err(|e| format!("{}: {e}", self.program.display()))
    }

    async fn errors_of(&self, child: &mut Child) -> Result<String, String> {
        let Some(mut errors) = child.stderr.take() else { return Ok(String::new()) };
        let mut text = Vec::new();
        let reading = errors.read_to_end(&mut text);
        tokio::time::timeout(PATIENCE, reading).await.map_err(|_| late())?.map_err(|e| e.to_string())?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The name under which a segment is in the folder.
    pub(crate) fn name(&self, number: u64) -> String {
        Segment { timeline: self.timeline, number }.name(self.size)
    }
}

fn late() -> String {
    format!("pg_waldump was not done after {} s", PATIENCE.as_secs())
}

/// `rmgr: Heap  len (rec/tot): 59/59, tx: 747, lsn: 0/016B3D80, prev 0/016B3D48, desc: ...`
fn record_of(line: &str) -> Option<Lsn> {
    line.split_once("lsn: ")?.1.split(',').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_in_its_line() {
        let line = "rmgr: Heap        len (rec/tot):     59/    59, tx:        747, lsn: 0/016B3D80, prev 0/016B3D48, desc: INSERT";
        assert_eq!(record_of(line), Some(Lsn(0x016B_3D80)));
        assert_eq!(record_of("pg_waldump: first record is after 0/1000000"), None);
    }
}
