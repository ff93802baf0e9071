//! PostgreSQL's programs on this machine.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// The oldest PostgreSQL that Holdfast works with.
const OLDEST: u32 = 15;

/// The directory of PostgreSQL's programs, 15 or later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Programs {
    dir: PathBuf,
    version: u32,
}

impl Programs {
    /// `$HOLDFAST_PG_BIN`; else Debian's newest; else what PATH has.
    ///
    /// # Errors
    /// [`Error::NoPrograms`]
    pub fn find() -> Result<Programs> {
        if let Some(named) = std::env::var_os("HOLDFAST_PG_BIN") {
            return Programs::at(Path::new(&named));
        }
        let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let newest = debian
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
            .filter(|(version, bin)| *version >= OLDEST && bin.join("postgres").exists())
            .max();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let in_path =
            || std::env::split_paths(&path).find(|dir| dir.join("initdb").exists() && dir.join("postgres").exists());
        match newest.map(|(_, bin)| bin).or_else(in_path) {
            Some(dir) => Programs::at(&dir),
            None => Err(Error::NoPrograms(format!("there is no PostgreSQL {OLDEST} or later on this machine"))),
        }
    }

    /// Those in a directory.
    ///
    /// # Errors
    /// [`Error::NoPrograms`]: there are none, or they are too old.
    pub fn at(dir: &Path) -> Result<Programs> {
        let said = std::process::Command::new(dir.join("postgres")).arg("--version").stdin(Stdio::null()).output();
        let said = said.map_err(|e| Error::NoPrograms(format!("there is no postgres in {}: {e}", dir.display())))?;
        let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        let version = major(&said)
            .ok_or_else(|| Error::NoPrograms(format!("the postgres in {} does not say its version", dir.display())))?;
        if version < OLDEST {
            let text = format!("{} has PostgreSQL {version}, and {OLDEST} is the oldest that will do", dir.display());
            return Err(Error::NoPrograms(text));
        }
        Ok(Programs { dir: dir.to_owned(), version })
    }

    /// The major version, such as 15.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A program that speaks English, that no `PG...` variable of the environment misleads, and that does not learn how shares are reached,
    /// by which keys: only what runs `archive_command` or `restore_command` does. It ends if nobody waits for it any more.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.dir.join(program));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") || holdfast_wal::reaches_shares(&name) {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

/// Runs a program to its end and answers what it printed.
///
/// # Errors
/// [`Error::Program`] with the end of what it printed.
pub(crate) async fn finish(program: &'static str, command: &mut Command) -> Result<String> {
    let output = command.output().await;
    let output = output.map_err(|e| Error::Program { program, said: e.to_string() })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let all = text + &String::from_utf8_lossy(&output.stderr);
    Err(Error::Program { program, said: last_lines(&all, 8) })
}

/// The last lines of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// `postgres (PostgreSQL) 15.20 (Debian ...)`
fn major(said: &str) -> Option<u32> {
    let number = said.split_once("(PostgreSQL) ")?.1;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_it_is_printed() {
        assert_eq!(major("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("bash: postgres: not found"), None);
    }

    #[test]
    fn the_last_lines_are_the_last_that_say_something() {
        assert_eq!(last_lines("a\nb\n\nc\n", 2), "b\nc");
        assert_eq!(last_lines("", 2), "");
    }
}
