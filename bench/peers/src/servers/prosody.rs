//! Prosody of Debian 12.

use crate::link::{Account, Link};
use crate::process;
use crate::sasl::{Kept, Way};
use crate::site::{DOMAIN, Ground, PASSWORD, ROUNDS, user};
use anyhow::Result;
use std::net::SocketAddr;
use std::process::Command;

const SETTINGS: &str = include_str!("../../settings/prosody.cfg.lua");
const SALT: &str = "salt of prosody";

pub(super) fn prepare(ground: &Ground) -> Result<()> {
    for dir in ["data", "certs"] {
        std::fs::create_dir_all(ground.home.join(dir))?;
    }
    std::fs::write(ground.home.join("prosody.cfg.lua"), ground.fill(SETTINGS))?;
    Ok(())
}

pub(super) fn command(ground: &Ground) -> Command {
    let mut command = process::on(&ground.ways.cpus, "prosody");
    command.args(["-F", "--config"]).arg(ground.home.join("prosody.cfg.lua")).current_dir(&ground.home);
    command
}

/// It makes its tables when it first looks for somebody.
pub(super) async fn populate(ground: &Ground) -> Result<()> {
    let (address, domain) = (SocketAddr::from(([127, 0, 0, 1], ground.port)), DOMAIN.to_owned());
    let who = ("nobody".to_owned(), String::new());
    let nobody = Account { address, domain, user: who.0, password: who.1, way: Way::Scram, secure: false };
    if let Ok(link) = Link::open(&nobody).await {
        link.close().await;
    }
    let kept = Kept::of(PASSWORD, SALT.as_bytes(), ROUNDS)?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (stored, server) = (hex(&kept.stored), hex(&kept.server));
    let name = user("");
    ground.sql(&format!(
        "INSERT INTO prosody (host, \"user\", store, key, type, value)
         SELECT '{DOMAIN}', '{name}' || n, 'accounts', k.key, k.type, k.value
         FROM generate_series(0, {}) n,
              (VALUES ('salt', 'string', '{SALT}'), ('iteration_count', 'number', '{ROUNDS}'),
                      ('stored_key', 'string', '{stored}'), ('server_key', 'string', '{server}')) k (key, type, value)",
        ground.users - 1
    ))?;
    Ok(())
}
