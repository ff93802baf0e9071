//! ejabberd of Debian 12, without Erlang's distribution: so it needs no port mapper, and nothing of it is left on the machine.

use crate::process;
use crate::sasl::Kept;
use crate::site::{Ground, PASSWORD, ROUNDS, user};
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::PathBuf;
use std::process::Command;

const SETTINGS: &str = include_str!("../../settings/ejabberd.yml");
/// Where Debian has the tables that ejabberd wants.
const TABLES: &str = "/usr/share/ejabberd/sql/pg.sql";
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
const SALT: &[u8] = b"salt of ejabberd";

pub(super) fn prepare(ground: &Ground) -> Result<()> {
    std::fs::write(ground.home.join("ejabberd.yml"), ground.fill(SETTINGS))?;
    let tables = std::fs::read_to_string(TABLES)
        .with_context(|| format!("{TABLES}: run bench/peers/install.sh, which installs ejabberd"))?;
    ground.sql(&format!("SET ROLE holdfast;\n{tables}"))?;
    Ok(())
}

pub(super) fn command(ground: &Ground) -> Command {
    let path = |name: &str| -> PathBuf { ground.home.join(name) };
    // As Debian's `ejabberdctl foreground` does it, but for the node's name.
    let mut command = process::on(&ground.ways.cpus, "erl");
    command.args(["+K", "true", "+P", "250000", "+Q", "65536", "-mnesia", "dir"]);
    command.arg(format!("\"{}\"", path("mnesia").display()));
    command.args(["-s", "ejabberd", "-noinput"]).current_dir(&ground.home);
    command.env("HOME", &ground.home).env("ERL_LIBS", LIBRARIES).env("ERL_MAX_ETS_TABLES", "1400");
    command.env("EJABBERD_CONFIG_PATH", path("ejabberd.yml")).env("EJABBERD_LOG_PATH", path("ejabberd.log"));
    command.env("ERL_CRASH_DUMP", path("crash.dump")).env("SPOOL_DIR", path("mnesia"));
    command
}

pub(super) fn populate(ground: &Ground) -> Result<()> {
    let kept = Kept::of(PASSWORD, SALT, ROUNDS)?;
    let [stored, server, salt] = [&kept.stored[..], &kept.server, SALT].map(|bytes| STANDARD.encode(bytes));
    let name = user("");
    ground.sql(&format!(
        "INSERT INTO users (username, password, serverkey, salt, iterationcount)
         SELECT '{name}' || n, 'sha256:{stored}', '{server}', '{salt}', {ROUNDS} FROM generate_series(0, {}) n",
        ground.users - 1
    ))?;
    Ok(())
}
