//! What an instance is started with, and who may be who.
//!
//! All of it lies in files outside of the data directory, and `ALTER SYSTEM` is undone at every start: a base backup or a rewind would carry it from
//! one instance to another.

use crate::error::{Error, Result};
use crate::files;
use crate::layout::Layout;
use crate::quote;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings of one instance. [`Settings::new`] has what suits most.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Its name: in its certificate, as `cluster_name`, and for whoever it follows.
    pub name: String,
    /// Where it listens, as `listen_addresses`: addresses separated by commas.
    pub listen: String,
    /// The port.
    pub port: u16,
    /// The directory of `cert.pem`, `key.pem` and `ca.pem`.
    pub identity: PathBuf,
    /// Names in certificates that may be the role `replicator`: the other instances.
    pub replicators: Vec<String>,
    /// Names in certificates that may be the role `holdfast`: the chat servers.
    pub clients: Vec<String>,
    /// As in PostgreSQL. Empty: nothing is archived, and everything is kept until something is.
    pub archive_command: String,
    /// As in PostgreSQL. Empty: only streaming.
    pub restore_command: String,
    /// After how long a segment is archived that is not full.
    pub archive_timeout: Duration,
    /// Its memory, in MiB.
    pub shared_buffers_mib: u32,
    /// Connections at once. On a standby as many as on what it follows.
    pub max_connections: u32,
    /// How much of the write-ahead log is kept for others to catch up from, in MiB.
    pub wal_keep_size_mib: u32,
    /// How much of it there is between checkpoints, in MiB.
    pub max_wal_size_mib: u32,
    /// More settings, which win over those above: names and values.
    pub more: Vec<(String, String)>,
}

impl Settings {
    /// Those of an instance of this name.
    pub fn new(name: impl Into<String>, port: u16, identity: impl Into<PathBuf>) -> Settings {
        Settings {
            name: name.into(),
            listen: "*".to_owned(),
            port,
            identity: identity.into(),
            replicators: Vec::new(),
            clients: Vec::new(),
            archive_command: String::new(),
            restore_command: String::new(),
            archive_timeout: Duration::from_secs(60),
            shared_buffers_mib: 256,
            max_connections: 120,
            wal_keep_size_mib: 1_024,
            max_wal_size_mib: 1_024,
            more: Vec::new(),
        }
    }

    /// Fails on what would break the lines of a file.
    pub(crate) fn check(&self) -> Result<()> {
        let texts = [&self.name, &self.listen, &self.archive_command, &self.restore_command];
        let more = self.more.iter().flat_map(|(name, value)| [name, value]);
        let names = self.replicators.iter().chain(&self.clients);
        let identity = self.identity.to_str();
        let Some(identity) = identity else {
            return Err(Error::Setting(format!("{}: a path here must be plain text", self.identity.display())));
        };
        for text in texts.into_iter().chain(more).chain(names).map(String::as_str).chain([identity]) {
            if !quote::is_plain(text) {
                return Err(Error::Setting(format!(
                    "{text:?}: a setting is one line of text without control characters"
                )));
            }
        }
        if self.name.is_empty() {
            return Err(Error::Setting("an instance needs a name".to_owned()));
        }
        if let Some((name, _)) =
            self.more.iter().find(|(name, _)| !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b)))
        {
            return Err(Error::Setting(format!("{name:?} is no name of a setting of PostgreSQL")));
        }
        Ok(())
    }

    /// Writes `postgresql.conf` and `pg_ident.conf`; whether either says something new.
    pub(crate) fn write(&self, layout: &Layout) -> Result<bool> {
        self.check()?;
        let conf = files::replace_if_other(&layout.postgresql_conf(), &self.postgresql_conf(layout))?;
        let ident = files::replace_if_other(&layout.pg_ident_conf(), &self.pg_ident_conf())?;
        Ok(conf || ident)
    }

    fn postgresql_conf(&self, layout: &Layout) -> String {
        let path = |path: &Path| quote::conf(&path.to_string_lossy());
        let identity = |name: &str| path(&self.identity.join(name));
        let text = |value: &str| quote::conf(value);
        let settings: Vec<(&str, String)> = vec![
            ("cluster_name", text(&self.name)),
            ("listen_addresses", text(&self.listen)),
            ("port", self.port.to_string()),
            ("unix_socket_directories", path(&layout.run())),
            ("unix_socket_permissions", "0700".to_owned()),
            ("hba_file", path(&layout.pg_hba_conf())),
            ("ident_file", path(&layout.pg_ident_conf())),
            ("ssl", "on".to_owned()),
            ("ssl_cert_file", identity("cert.pem")),
            ("ssl_key_file", identity("key.pem")),
            ("ssl_ca_file", identity("ca.pem")),
            ("ssl_min_protocol_version", "'TLSv1.2'".to_owned()),
            ("max_connections", self.max_connections.to_string()),
            // For the agent, when chat servers have taken all the others.
            ("superuser_reserved_connections", "10".to_owned()),
            ("max_wal_senders", "10".to_owned()),
            // Temporary ones, during base backups. Lasting ones would fill the disk for a site that is gone.
            ("max_replication_slots", "10".to_owned()),
            ("shared_buffers", format!("{}MB", self.shared_buffers_mib)),
            // In the data directory rather than in /dev/shm, where it would stay after a kill.
            ("dynamic_shared_memory_type", "mmap".to_owned()),
            ("wal_level", "replica".to_owned()),
            // With checksums: what pg_rewind needs.
            ("wal_log_hints", "on".to_owned()),
            ("full_page_writes", "on".to_owned()),
            ("synchronous_commit", "on".to_owned()),
            ("wal_keep_size", format!("{}MB", self.wal_keep_size_mib)),
            ("max_wal_size", format!("{}MB", self.max_wal_size_mib)),
            ("min_wal_size", format!("{}MB", (self.max_wal_size_mib / 4).max(32))),
            ("archive_mode", "on".to_owned()),
            ("archive_command", text(&self.archive_command)),
            ("archive_timeout", format!("{}s", self.archive_timeout.as_secs())),
            ("restore_command", text(&self.restore_command)),
            ("recovery_target_timeline", "latest".to_owned()),
            ("hot_standby", "on".to_owned()),
            ("wal_retrieve_retry_interval", "300ms".to_owned()),
            // How soon a partner that is silent counts as gone.
            ("wal_sender_timeout", "5s".to_owned()),
            ("wal_receiver_timeout", "5s".to_owned()),
            ("wal_receiver_status_interval", "1s".to_owned()),
            ("tcp_keepalives_idle", "5".to_owned()),
            ("tcp_keepalives_interval", "2".to_owned()),
            ("tcp_keepalives_count", "3".to_owned()),
            ("tcp_user_timeout", "8s".to_owned()),
            ("authentication_timeout", "10s".to_owned()),
            // Whether it comes back after a crash, and as what, is the agent's decision.
            ("restart_after_crash", "off".to_owned()),
            ("log_startup_progress_interval", "1s".to_owned()),
            ("logging_collector", "off".to_owned()),
            ("log_destination", "'stderr'".to_owned()),
            ("log_line_prefix", "'%m [%p] %b %u '".to_owned()),
            ("log_checkpoints", "on".to_owned()),
            ("lc_messages", "'C'".to_owned()),
        ];
        let mut text =
            "# Written by the agent, anew at every start. Settings of your own belong into its configuration.\n"
                .to_owned();
        let more = self.more.iter().map(|(name, value)| (name.as_str(), quote::conf(value)));
        for (name, value) in settings.into_iter().chain(more) {
            let _ = writeln!(text, "{name} = {value}");
        }
        let _ = writeln!(text, "include = {}", path(&layout.dynamic_conf()));
        text
    }

    /// The map `pool`: the name in a certificate, and the role it may be. What a name is for, its certificate's unit says too, but PostgreSQL
    /// looks at the name alone.
    fn pg_ident_conf(&self) -> String {
        let mut text = "# Written by the agent: MAP NAME-IN-CERTIFICATE ROLE\n".to_owned();
        for (names, role) in [(&self.replicators, "replicator"), (&self.clients, "holdfast")] {
            for name in names {
                let _ = writeln!(text, "pool {} {role}", quote::name(name));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let mut settings = Settings::new("atl-db-1.litwareinc.com", 5_432, "/srv/identity");
        settings.archive_command = "holdfast wal ship --settings '/srv/wal.json' %p %f".to_owned();
        settings.replicators = vec!["atl-db-2.litwareinc.com".to_owned()];
        settings.clients = vec!["atl-cs-001.litwareinc.com".to_owned()];
        settings.more = vec![("port".to_owned(), "5433".to_owned())];
        settings
    }

    #[test]
    fn the_callers_own_settings_come_after_ours_and_what_changes_comes_last() {
        let text = settings().postgresql_conf(&Layout::new("/srv/a").unwrap());
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in\n{text}"));
        assert!(at("port = 5432") < at("port = '5433'"));
        assert!(at("port = '5433'") < at("include = '/srv/a/conf/dynamic.conf'"));
        at("archive_command = 'holdfast wal ship --settings ''/srv/wal.json'' %p %f'");
    }

    #[test]
    fn certificates_are_mapped_to_roles_by_name() {
        let text = settings().pg_ident_conf();
        assert!(text.contains("pool \"atl-db-2.litwareinc.com\" replicator\n"), "{text}");
        assert!(text.contains("pool \"atl-cs-001.litwareinc.com\" holdfast\n"), "{text}");
    }

    #[test]
    fn what_would_be_two_lines_is_refused() {
        for spoil in [
            |s: &mut Settings| s.name.push('\n'),
            |s: &mut Settings| s.clients.push("a\nb".to_owned()),
            |s: &mut Settings| s.more.push(("a b".to_owned(), String::new())),
            |s: &mut Settings| s.name.clear(),
        ] {
            let mut settings = settings();
            assert!(settings.check().is_ok());
            spoil(&mut settings);
            assert!(settings.check().is_err(), "{settings:?}");
        }
    }
}
