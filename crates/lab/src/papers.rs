//! What is written down before anything starts: topology, certificates, settings of the chat servers.

use crate::Lab;
use crate::names;
use anyhow::{Context as _, Result};
use holdfast_continuity::topology::{
    InstancePlace, MirrorLost, PoolSettings, Probe, Role, ServerPlace, Site, Topology, WitnessPlace,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Where everything listens.
const ADDRESS: &str = "127.0.0.1";
/// Seconds after which log is shipped though a segment is not full. More would be usual, and mean more loss where there is shipped log alone.
const ARCHIVE_TIMEOUT: u64 = 5;
/// As usual. Nothing in a lab becomes so old, unless a test makes it.
const RETENTION_DAYS: u32 = 30;
/// Seconds between two looks at the share. More would be usual.
const VERIFY_EVERY: u64 = 5;
/// Settings of PostgreSQL that keep four of them small.
const POSTGRES: [(&str, &str); 3] = [("shared_buffers", "64MB"), ("max_connections", "80"), ("wal_keep_size", "256MB")];

/// Who proves that clients can work after a failover, and where.
pub(crate) const PROBE: &str = "probe";
pub(crate) const PROBE_ROOM: &str = "Moves of the pool";

/// What the instances of the two sites are at the beginning.
const ROLES: [Role; 4] = [Role::Primary, Role::Mirror, Role::Backup, Role::BackupMirror];

impl Lab {
    /// The topology of this lab.
    pub(crate) fn new_topology(&self) -> Topology {
        let ports = &self.record.ports;
        let settings: BTreeMap<String, String> = POSTGRES.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let instances = names::instances().into_iter().zip(ROLES).map(|((site, short), role)| InstancePlace {
            name: names::full(&short),
            site: site.to_owned(),
            role,
            address: Some(ADDRESS.to_owned()),
            port: ports.of(&short),
            agent_port: ports.of(&agent_of(&short)),
            data: self.place.machine(site, &short),
            settings: settings.clone(),
        });
        let servers = names::servers().into_iter().map(|(site, short)| ServerPlace {
            name: names::full(&short),
            site: site.to_owned(),
            url: format!("http://{}", self.record.host(&short)),
            probe_url: None,
        });
        let site = |name: &str| Site {
            name: name.to_owned(),
            share: match &self.record.shares {
                Some(shares) => format!("{}/{name}", shares.trim_end_matches('/')),
                None => self.place.share(name).display().to_string(),
            },
            fence_command: None,
        };
        Topology {
            pool: PoolSettings {
                fqdn: names::POOL.to_owned(),
                mirror_lost: MirrorLost::Expose,
                expose_after_seconds: 10,
                streaming: !self.record.shipping_only,
                archive_timeout_seconds: ARCHIVE_TIMEOUT,
                retention_days: RETENTION_DAYS,
                verify_every_seconds: VERIFY_EVERY,
            },
            sites: names::SITES.map(site).into(),
            instances: instances.collect(),
            servers: servers.collect(),
            witness: Some(WitnessPlace {
                name: names::full(names::WITNESS),
                address: Some(ADDRESS.to_owned()),
                port: ports.of(names::WITNESS),
            }),
            probe: Some(Probe {
                name: PROBE.to_owned(),
                password_file: self.place.probe_password(),
                room: PROBE_ROOM.to_owned(),
            }),
        }
    }

    /// Makes all directories.
    pub(crate) fn make_directories(&self) -> Result<()> {
        let (place, owner) = (&self.place, self.record.owner);
        owner.make_dir(&place.logs())?;
        owner.make_dir(&place.witness())?;
        for site in names::SITES {
            owner.make_dir(&place.site(site))?;
            owner.make_dir(&place.share(site))?;
        }
        for (site, short) in names::instances().into_iter().chain(names::servers()) {
            owner.make_dir(&place.machine(site, &short))?;
        }
        Ok(())
    }

    /// Writes the topology, as an administrator would.
    pub(crate) fn write_topology(&self) -> Result<()> {
        let text = toml::to_string_pretty(&self.new_topology()).context("writing the topology")?;
        let text = format!("# Both sites of {} on this machine. Written by `holdfast lab up`.\n\n{text}", names::POOL);
        self.record.owner.write(&self.place.topology(), &text)
    }

    /// Makes the authority of the pool, and a certificate for everybody.
    pub(crate) async fn make_certificates(&self) -> Result<()> {
        let authority = self.place.authority();
        let dir = authority.to_string_lossy();
        self.holdfast(["pki", "init", "--dir", &dir, "--pool", names::POOL]).await?;
        let issue = async |kind: &str, name: String, to: std::path::PathBuf| -> Result<()> {
            let to = to.to_string_lossy();
            self.holdfast(["pki", "issue", "--dir", &dir, "--kind", kind, &name, "--to", &to]).await.map(drop)
        };
        issue("operator", names::full(names::OPERATOR), self.place.operator()).await?;
        issue("witness", names::full(names::WITNESS), self.place.witness().join("identity")).await?;
        for (site, short) in names::instances() {
            issue("instance", names::full(&short), self.place.machine(site, &short).join("identity")).await?;
        }
        for (site, short) in names::servers() {
            issue("server", names::full(&short), self.place.machine(site, &short).join("identity")).await?;
        }
        Ok(())
    }

    /// Writes the settings of every chat server.
    pub(crate) fn write_settings(&self) -> Result<()> {
        for (site, short) in names::servers() {
            self.record.owner.write(&self.place.server_settings(site, &short), &self.settings_of(site, &short))?;
        }
        Ok(())
    }

    fn settings_of(&self, site: &str, short: &str) -> String {
        let machine = self.place.machine(site, short);
        let (data, identity) = (machine.join("data"), machine.join("identity"));
        let mut text = String::new();
        let _ = write!(
            text,
            "# The chat server {short}. Written by `holdfast lab up`.\n\
             [server]\nname = \"Litware chat\"\ndata = {:?}\nhttp = \"{}\"\n\n\
             [database]\nurl = {:?}\ntls_identity = {:?}\n\n\
             [pool]\nserver = {:?}\n\
             # Everything shares one machine here, and it may be busy.\nmost_round_trip_ms = 1000\n\n\
             [accounts]\n# Passwords are no secrets here, and many people sign in at once.\n\
             password_iterations = 4096\nattempts_per_minute = 6000\n",
            data,
            self.record.host(short),
            self.database_url(),
            identity,
            names::full(short),
        );
        text
    }

    /// The chat database, on whichever instance takes writes.
    fn database_url(&self) -> String {
        let instances = names::instances();
        let hosts: Vec<String> = instances
            .iter()
            .map(|(_, short)| format!("{}:{}", names::full(short), self.record.ports.of(short)))
            .collect();
        let addresses = vec![ADDRESS; instances.len()].join(",");
        format!("postgres://holdfast@{}/mgc?hostaddr={addresses}", hosts.join(","))
    }

    /// The certificates are of use to whoever has them, and the names of who may have a port.
    pub(crate) fn all_names() -> Vec<String> {
        let instances = names::instances().into_iter().map(|(_, short)| short);
        let agents = names::instances().into_iter().map(|(_, short)| agent_of(&short));
        let servers = names::servers().into_iter().map(|(_, short)| short);
        servers.chain(instances).chain(agents).chain([names::WITNESS.to_owned()]).collect()
    }
}

/// The name of an instance's agent among the ports.
fn agent_of(short: &str) -> String {
    format!("{short}/agent")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owner::Owner;
    use crate::place::Place;
    use crate::ports::Ports;
    use crate::record::Record;

    #[test]
    fn the_topology_is_a_good_one_and_has_the_names_of_the_runbook() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::of(dir.path()).unwrap();
        let ports = Ports::find(&Lab::all_names(), 3).unwrap();
        let owner = Owner::of_this_process().unwrap();
        let lab = Lab { place, record: Record::new(owner, "holdfast".into(), ports, "secret".into(), true) };
        let text = toml::to_string_pretty(&lab.new_topology()).unwrap();
        let read: Topology = toml::from_str(&text).unwrap();
        assert_eq!(read.check(), []);
        assert!(!read.pool.streaming);
        for name in ["atl-db-1", "atl-db-2", "bos-db-1", "bos-db-2"] {
            assert!(read.instance(&names::full(name)).is_some(), "{name}");
        }
        assert_eq!(read.servers.len(), 4);
        let settings = lab.settings_of("atl", "atl-cs-001");
        assert!(settings.contains("server = \"atl-cs-001.litwareinc.com\""), "{settings}");
        assert!(settings.contains("bos-db-2.litwareinc.com:"), "{settings}");
        assert!(toml::from_str::<toml::Table>(&settings).is_ok(), "{settings}");
    }
}
