//! A cluster to copy: made by `initdb` once for each user and PostgreSQL, kept in the build's target directory.

use crate::place::{self, Owner, Programs};
use std::fs::{File, create_dir_all, read_dir, remove_dir_all, rename};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// To be raised when what is done here changes.
const VERSION: u32 = 2;
/// Of several, the first that the machine knows. Full text search wants one that knows letters beyond ASCII.
const LOCALES: [&str; 3] = ["C.UTF-8", "en_US.UTF-8", "C"];

/// The user and database of the tests; the database that nobody uses is only more to copy.
const CONTENT: &str =
    "CREATE ROLE holdfast LOGIN;\nCREATE DATABASE holdfast OWNER holdfast;\nDROP DATABASE postgres;\n";
const WHO_MAY_CONNECT: &str =
    "local all all trust\nhost all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n";

/// What kind of cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Recipe {
    /// With segments of the write-ahead log of 1 MB, since there is less to copy.
    Small,
    /// With those of 16 MB that PostgreSQL has unless told otherwise.
    Usual,
}

impl Recipe {
    fn segment_megabytes(self) -> u32 {
        match self {
            Recipe::Small => 1,
            Recipe::Usual => 16,
        }
    }
}

/// Makes the new directory `to` a cluster.
pub(crate) fn copy(programs: &Programs, owner: Owner, recipe: Recipe, to: &Path) {
    let megabytes = recipe.segment_megabytes();
    let name = format!("postgres-template-{VERSION}-{megabytes}-{}-{}", owner.number(), programs.mark());
    let template = kept_in().join(name);
    if !template.exists() {
        make(programs, owner, recipe, &template, to);
    }
    copy_tree(&template, to).unwrap_or_else(|e| panic!("copying {} to {}: {e}", template.display(), to.display()));
}

/// `target/tmp` of the build that this process is of; else the machine's directory for temporary files.
fn kept_in() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let target = program.ancestors().find(|dir| dir.join("CACHEDIR.TAG").exists());
    let dir = target.map_or_else(std::env::temp_dir, |target| target.join("tmp"));
    create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    dir
}

/// Several processes may want it at once: one makes it, the others wait for the lock.
fn make(programs: &Programs, owner: Owner, recipe: Recipe, template: &Path, near: &Path) {
    let lock = template.with_extension("lock");
    let lock = File::create(&lock).unwrap_or_else(|e| panic!("{}: {e}", lock.display()));
    lock.lock().unwrap_or_else(|e| panic!("waiting for PostgreSQL's template: {e}"));
    if template.exists() {
        return;
    }
    // The unprivileged user may not get to the target directory, but gets to where the cluster will be.
    let made = near.with_extension("template");
    let _ = remove_dir_all(&made);
    let failed =
        LOCALES.iter().map_while(|locale| initdb(programs, owner, recipe, &made, locale).err()).collect::<Vec<_>>();
    assert!(failed.len() < LOCALES.len(), "initdb: {}", failed.join("\n"));
    place::write(&made.join("pg_hba.conf"), WHO_MAY_CONNECT);
    fill(programs, owner, &made);
    let unfinished = template.with_extension("unfinished");
    let _ = remove_dir_all(&unfinished);
    let done = copy_tree(&made, &unfinished).and_then(|()| rename(&unfinished, template));
    done.unwrap_or_else(|e| panic!("keeping PostgreSQL's template in {}: {e}", template.display()));
    let _ = remove_dir_all(&made);
}

fn initdb(programs: &Programs, owner: Owner, recipe: Recipe, data: &Path, locale: &str) -> Result<(), String> {
    let mut initdb = programs.command("initdb", owner, data.parent().unwrap_or(data));
    initdb.args(["--no-sync", "--encoding=UTF8", "--username=postgres", "--auth=trust"]);
    initdb.arg(format!("--wal-segsize={}", recipe.segment_megabytes()));
    initdb.arg(format!("--locale={locale}")).arg("--pgdata").arg(data);
    place::finish(&mut initdb).map(drop)
}

/// PostgreSQL's single-user mode takes a command a line and needs no server.
fn fill(programs: &Programs, owner: Owner, data: &Path) {
    let mut postgres = programs.command("postgres", owner, data);
    postgres.args(["--single", "-F", "-c", "exit_on_error=on", "-D"]).arg(data).arg("template1");
    let child = postgres.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|e| panic!("postgres: {e}"));
    if let Some(mut stdin) = child.stdin.take() {
        // A failure shows in how it ends.
        let _ = stdin.write_all(CONTENT.as_bytes());
    }
    let output = child.wait_with_output().unwrap_or_else(|e| panic!("postgres: {e}"));
    assert!(output.status.success(), "making the template: {}", String::from_utf8_lossy(&output.stderr));
}

/// A copy with the same owners and rights.
fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    let metadata = from.metadata()?;
    std::fs::create_dir(to)?;
    for entry in read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), &to)?;
            let metadata = entry.metadata()?;
            chown(&to, Some(metadata.uid()), Some(metadata.gid()))?;
        }
    }
    std::fs::set_permissions(to, metadata.permissions())?;
    chown(to, Some(metadata.uid()), Some(metadata.gid()))
}
