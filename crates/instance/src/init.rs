//! A new cluster: its data directory, roles and databases.

use crate::error::{Error, Result, file};
use crate::files;
use crate::instance::Instance;
use crate::programs::{finish, last_lines};
use std::io::ErrorKind;
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;

/// Said to a server that nobody else can reach, a statement a line. `replicator` may also do what `pg_rewind` does on the server that it rewinds to.
const ROLES: [&str; 8] = [
    "CREATE ROLE replicator LOGIN REPLICATION;",
    "GRANT pg_checkpoint TO replicator;",
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean) TO replicator;",
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_file(text, boolean) TO replicator;",
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text) TO replicator;",
    "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO replicator;",
    "CREATE ROLE holdfast LOGIN;",
    "ALTER ROLE holdfast SET synchronous_commit = 'on';",
];

impl Instance {
    /// Makes a cluster with segments of this size: with checksums, in UTF-8, with the roles `replicator` and `holdfast`, who have no passwords, and the
    /// database `mgc`, which belongs to `holdfast`. It does not run afterwards. What an attempt left that was interrupted is begun anew.
    ///
    /// # Errors
    /// [`Error::DataIsThere`]; PostgreSQL's programs fail.
    pub async fn init(&self, segment_size_mib: u32) -> Result<()> {
        let layout = self.layout();
        let (data, new) = (layout.pgdata(), layout.pgdata_new());
        if data.symlink_metadata().is_ok() {
            return Err(Error::DataIsThere(data));
        }
        self.clear_leftovers().await?;
        remove_unfinished(&new)?;
        let mut command = self.command("initdb");
        command.arg("-D").arg(&new).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]);
        command.args(["--data-checksums", "--wal-segsize", &segment_size_mib.to_string()]);
        finish("initdb", &mut command).await?;
        let mut sql = ROLES.join("\n");
        // Not in a list of several: a database is made by itself.
        sql.push_str("\nCREATE DATABASE mgc OWNER holdfast;\n");
        self.single(&new, &sql).await?;
        files::rename(&new, &data)
    }

    /// Says something to a server that runs for this alone.
    async fn single(&self, data: &std::path::Path, sql: &str) -> Result<()> {
        const PROGRAM: &str = "postgres --single";
        let failed = |said: String| Error::Program { program: PROGRAM, said };
        let mut command = self.command("postgres");
        command.arg("--single").arg("-D").arg(data).args(["-c", "exit_on_error=on", "-c", "log_min_messages=warning"]);
        command.arg("postgres").stdin(Stdio::piped());
        let mut child = command.spawn().map_err(|e| failed(e.to_string()))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(sql.as_bytes()).await.map_err(|e| failed(e.to_string()))?;
        }
        let output = child.wait_with_output().await.map_err(|e| failed(e.to_string()))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let ok = output.status.success() && !said.contains("ERROR:");
        if ok { Ok(()) } else { Err(failed(last_lines(&said, 8))) }
    }
}

/// What was being made when somebody was interrupted. It was never anybody's data.
pub(crate) fn remove_unfinished(new: &std::path::Path) -> Result<()> {
    match std::fs::remove_dir_all(new) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(file("remove", new)(e)),
        _ => Ok(()),
    }
}
