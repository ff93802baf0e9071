//! What can be wrong with a topology.

use super::{InstancePlace, Role, Topology};
use std::collections::HashSet;
use std::fmt;

/// Servers of a pool at most, as in Lync (fact H9).
const MOST_SERVERS: usize = 8;

/// Something that is wrong, where, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The part of the file.
    pub at: String,
    /// What is wrong with it and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.what)
    }
}

/// Checks a topology as a whole.
pub(super) fn check(topology: &Topology) -> Vec<Problem> {
    let mut found = Found::default();
    names(topology, &mut found);
    sites(topology, &mut found);
    roles(topology, &mut found);
    places(topology, &mut found);
    if topology.servers.len() > MOST_SERVERS {
        found.add("servers", format!("there are {}; a pool has {MOST_SERVERS} at most", topology.servers.len()));
    }
    if topology.pool.expose_after_seconds == 0 || topology.pool.expose_after_seconds > 3_600 {
        found.add("pool.expose_after_seconds", "it is 1 to 3600".to_owned());
    }
    if topology.pool.archive_timeout_seconds == 0 || topology.pool.archive_timeout_seconds > 3_600 {
        found.add("pool.archive_timeout_seconds", "it is 1 to 3600".to_owned());
    }
    if topology.pool.retention_days > 36_500 {
        found.add("pool.retention_days", "it is 1 to 36500, or 0 to keep everything".to_owned());
    }
    if topology.pool.verify_every_seconds > 3_600 {
        found.add("pool.verify_every_seconds", "it is 1 to 3600, or 0 to verify nothing by itself".to_owned());
    }
    if let Some(probe) = &topology.probe {
        if !probe.password_file.is_absolute() {
            found.add("probe.password_file", format!("{} is no absolute path", probe.password_file.display()));
        }
        for server in topology.servers.iter().filter(|s| s.plain_host().is_none()) {
            let what =
                "the probe reaches servers without TLS only: give a probe_url such as http://host:8080".to_owned();
            found.add(format!("server {}", server.name), what);
        }
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, at: impl Into<String>, what: String) {
        self.0.push(Problem { at: at.into(), what });
    }
}

fn names(topology: &Topology, found: &mut Found) {
    let mut seen = HashSet::new();
    let named = topology.sites.iter().map(|s| ("sites", &s.name));
    let named = named.chain(topology.instances.iter().map(|i| ("instances", &i.name)));
    let named = named.chain(topology.servers.iter().map(|s| ("servers", &s.name)));
    let named = named.chain(topology.witness.iter().map(|w| ("witness", &w.name)));
    for (at, name) in named.chain([("pool.fqdn", &topology.pool.fqdn)]) {
        if !is_dns_name(name) {
            found.add(at, format!("{name:?} is no name: a name is 1 to 63 of a-z, 0-9, `.` and `-`"));
        }
        if !seen.insert(name) {
            found.add(at, format!("the name {name:?} is given twice"));
        }
    }
}

/// Such as machines have; short enough to be PostgreSQL's `application_name`.
fn is_dns_name(name: &str) -> bool {
    let part = |p: &str| !p.is_empty() && !p.starts_with('-') && !p.ends_with('-');
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'))
        && name.split('.').all(part)
}

fn sites(topology: &Topology, found: &mut Found) {
    if !(1..=2).contains(&topology.sites.len()) {
        found.add("sites", format!("there are {}; a pool has one or two", topology.sites.len()));
    }
    for site in &topology.sites {
        if site.share.trim().is_empty() {
            found.add(format!("site {}", site.name), "it has no share".to_owned());
        } else if let Some(fault) = holdfast_wal::location_fault(&site.share) {
            found.add(format!("site {}", site.name), format!("its share {}: {fault}", site.share));
        }
    }
    if let [a, b] = &topology.sites[..]
        && a.share == b.share
    {
        found.add("sites", format!("both name the share {}; each site has its own, which is lost with it", a.share));
    }
    let known = |name: &str| topology.site(name).is_some();
    for instance in topology.instances.iter().filter(|i| !known(&i.site)) {
        found.add(format!("instance {}", instance.name), format!("there is no site {:?}", instance.site));
    }
    for server in topology.servers.iter().filter(|s| !known(&s.site)) {
        found.add(format!("server {}", server.name), format!("there is no site {:?}", server.site));
    }
    for server in &topology.servers {
        if !server.url.starts_with("http://") && !server.url.starts_with("https://") {
            found.add(format!("server {}", server.name), format!("{:?} is no http or https address", server.url));
        }
    }
}

fn roles(topology: &Topology, found: &mut Found) {
    let with = |role: Role| -> Vec<&InstancePlace> { topology.instances.iter().filter(|i| i.role == role).collect() };
    for role in [Role::Primary, Role::Mirror, Role::Backup, Role::BackupMirror] {
        if with(role).len() > 1 {
            found.add("instances", format!("{} are {}; one is", with(role).len(), role.word()));
        }
    }
    let Some(primary) = with(Role::Primary).first().copied() else {
        found.add("instances", "none is primary".to_owned());
        return;
    };
    let sites_of = |role: Role| with(role).first().map(|i| (i.name.clone(), i.site.clone()));
    if let Some((name, site)) = sites_of(Role::Mirror)
        && site != primary.site
    {
        found.add(format!("instance {name}"), format!("a mirror is in its primary's site, which is {}", primary.site));
    }
    for role in [Role::Backup, Role::BackupMirror] {
        if let Some((name, site)) = sites_of(role)
            && site == primary.site
        {
            found.add(format!("instance {name}"), format!("a {} is in the other site", role.word()));
        }
    }
    if with(Role::Backup).is_empty() && !with(Role::BackupMirror).is_empty() {
        found.add("instances", "there is a backup mirror but no backup".to_owned());
    }
    if topology.sites.len() == 2 && with(Role::Backup).is_empty() {
        found.add("instances", "there are two sites but no backup".to_owned());
    }
}

fn places(topology: &Topology, found: &mut Found) {
    let mut taken: HashSet<(String, u16)> = HashSet::new();
    let mut take = |at: String, address: &str, port: u16, found: &mut Found| {
        if port == 0 || !taken.insert((address.to_owned(), port)) {
            found.add(at, format!("{address}:{port} is given twice, or is no port"));
        }
    };
    for i in &topology.instances {
        take(format!("instance {}", i.name), i.address(), i.port, found);
        take(format!("instance {}", i.name), i.address(), i.agent_port, found);
        if !i.data.is_absolute() {
            found.add(format!("instance {}", i.name), format!("data: {} is no absolute path", i.data.display()));
        }
        for key in i.settings.keys().filter(|key| OURS.contains(&key.as_str())) {
            found.add(format!("instance {}", i.name), format!("the agent itself sets {key}"));
        }
    }
    if let Some(w) = &topology.witness {
        take("witness".to_owned(), w.address(), w.port, found);
    }
}

/// Settings of PostgreSQL on which the pool's safety stands.
const OURS: [&str; 16] = [
    "archive_command",
    "archive_library",
    "archive_mode",
    "fsync",
    "full_page_writes",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "port",
    "primary_conninfo",
    "restart_after_crash",
    "restore_command",
    "synchronous_commit",
    "synchronous_standby_names",
    "unix_socket_directories",
    "wal_level",
];

#[cfg(test)]
mod tests {
    use super::super::Topology;

    const GOOD: &str = r#"
        [pool]
        fqdn = "chat.litwareinc.com"
        [[sites]]
        name = "atl"
        share = "/srv/atl"
        [[sites]]
        name = "bos"
        share = "/srv/bos"
        [[instances]]
        name = "atl-db-1.litwareinc.com"
        site = "atl"
        role = "primary"
        data = "/var/lib/holdfast/atl-db-1"
        [[instances]]
        name = "atl-db-2.litwareinc.com"
        site = "atl"
        role = "mirror"
        data = "/var/lib/holdfast/atl-db-2"
        [[instances]]
        name = "bos-db-1.litwareinc.com"
        site = "bos"
        role = "backup"
        data = "/var/lib/holdfast/bos-db-1"
        [[instances]]
        name = "bos-db-2.litwareinc.com"
        site = "bos"
        role = "backup mirror"
        data = "/var/lib/holdfast/bos-db-2"
        [[servers]]
        name = "atl-cs-001.litwareinc.com"
        site = "atl"
        url = "https://atl-cs-001.litwareinc.com"
        [witness]
        name = "witness.litwareinc.com"
    "#;

    fn problems(text: &str) -> String {
        let topology: Topology = toml::from_str(text).unwrap();
        topology.check().iter().map(|p| format!("{p}\n")).collect()
    }

    #[test]
    fn a_good_one_has_no_problems() {
        assert_eq!(problems(GOOD), "");
    }

    #[test]
    fn what_is_wrong_is_said_and_where() {
        for (from, to, says) in [
            ("role = \"backup\"", "role = \"primary\"", "2 are primary"),
            (
                "site = \"atl\"\n        role = \"mirror\"",
                "site = \"bos\"\n        role = \"mirror\"",
                "a mirror is in its primary's site",
            ),
            ("share = \"/srv/bos\"", "share = \"/srv/atl\"", "both name the share"),
            ("bos-db-2.litwareinc.com", "bos-db-1.litwareinc.com", "given twice"),
            ("name = \"bos\"", "name = \"Bos\"", "is no name"),
            ("data = \"/var/lib/holdfast/bos-db-2\"", "data = \"x\"", "no absolute path"),
            ("url = \"https://", "url = \"ftp://", "no http or https address"),
            ("[pool]", "[pool]\n verify_every_seconds = 4000", "0 to verify nothing"),
            ("[pool]", "[pool]\n retention_days = 99999", "0 to keep everything"),
            (
                "[witness]",
                "[probe]\nname = \"probe\"\npassword_file = \"/etc/p\"\nroom = \"Probe\"\n[witness]",
                "give a probe_url",
            ),
            (
                "role = \"primary\"",
                "role = \"primary\"\n settings = { fsync = \"off\" }",
                "the agent itself sets fsync",
            ),
        ] {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD, "{from}");
            assert!(problems(&text).contains(says), "{to}: {}", problems(&text));
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Topology>(&GOOD.replace("fqdn", "fqdm")).is_err());
    }
}
