//! `wal.json`: what `holdfast wal ship` and `holdfast wal fetch` are told. It follows from what the agent remembers.

use super::state::{Fetch, Place};
use super::{Agent, Told, lock, said};
use crate::register::Protection;
use crate::roles::Roles;
use holdfast_wal::settings::{Deadlines, Local, MirrorAt};
use holdfast_wal::{FetchFrom, SystemIdentifier, WalSettings};
use std::path::{Path, PathBuf};

/// Counts what the database holds; noted with every segment, so that what is on the share can be told in entries.
const COUNT: &str = "SELECT coalesce(sum(last_seq), 0)::bigint FROM holdfast.room_head";

/// Where it lies.
pub(super) fn path(root: &Path) -> PathBuf {
    root.join("wal.json")
}

impl Agent {
    /// Writes it anew, if the cluster is known already.
    pub(crate) fn write_wal_file(&self) -> Told<()> {
        match self.wal_settings() {
            Some(settings) => settings.save(&path(&self.me.data)).map_err(said),
            None => Ok(()),
        }
    }

    /// What is to be in it now; `None` while there is no cluster.
    pub(crate) fn wal_settings(&self) -> Option<WalSettings> {
        let (system, size) = lock(&self.own).cluster?;
        let remembered = self.memory.now();
        let own = self.topology.site(&self.me.site)?.share.clone();
        let other = self.topology.other_site(&self.me.site).map(|s| s.share.clone());
        let roles = self.holder().and_then(|holder| Roles::of(&self.topology, &holder).map(|r| r.mirror));
        let mirror = match roles.flatten() {
            Some(mirror) if mirror.name != self.me.name => Some(MirrorAt {
                name: mirror.name.clone(),
                address: mirror.address().to_owned(),
                port: mirror.port,
                user: "replicator".into(),
                database: "postgres".into(),
            }),
            _ => None,
        };
        let fetch = match &remembered.place {
            Place::Standby { fetch: Fetch::Follow, .. } => FetchFrom::Follow,
            Place::Standby { fetch: Fetch::Staged, .. } => FetchFrom::Staging(self.instance.layout().copy()),
            _ => FetchFrom::Closed,
        };
        Some(WalSettings {
            pool: self.topology.pool.fqdn.clone(),
            instance: self.me.name.clone(),
            system_identifier: SystemIdentifier(system),
            segment_size: size,
            epoch: remembered.epoch(),
            // One that is being stopped in order ships its last segment still; the mirror has it all.
            holder: remembered.place.is_primary() && remembered.newest().is_some_and(|c| c.holder == self.me.name),
            exposed: remembered.protection == Protection::Exposed,
            local: Local {
                socket: self.instance.layout().run(),
                port: self.me.port,
                user: "postgres".into(),
                database: "mgc".into(),
                count: Some(COUNT.into()),
            },
            mirror,
            shares_to_ship: vec![self.share_to_ship()?],
            shares_to_fetch: [Some(own.clone()), other].into_iter().flatten().collect(),
            own_share: own,
            fetch,
            deadlines: Deadlines::default(),
            identity: Some(self.identity.dir().to_owned()),
        })
    }

    /// The file itself.
    pub(crate) fn wal_file(&self) -> PathBuf {
        path(&self.me.data)
    }

    /// The share that the primary in this site ships to: that of the other site; when the first site was lost, the one in this site, from which
    /// both can be made anew.
    pub(crate) fn share_to_ship(&self) -> Option<String> {
        self.share_from(&self.me.site)
    }

    /// The share that the primary ships to now, wherever it is.
    pub(crate) fn share_in_use(&self) -> Option<String> {
        self.share_from(&self.roles()?.primary.site)
    }

    fn share_from(&self, live: &str) -> Option<String> {
        let first = self.topology.first_primary()?.site.as_str();
        let site = if live == first {
            self.topology.other_site(first).or_else(|| self.topology.site(first))
        } else {
            self.topology.site(live)
        };
        site.map(|s| s.share.clone())
    }

    /// Learns which cluster lies here, once there is one.
    pub(crate) async fn learn_cluster(&self) -> Told<()> {
        if lock(&self.own).cluster.is_some() {
            return Ok(());
        }
        let control = self.instance.control().await.map_err(said)?;
        lock(&self.own).cluster = Some((control.system_identifier, control.segment_size));
        self.write_wal_file()
    }

    /// The cluster that lies here.
    pub(crate) fn cluster(&self) -> Told<(SystemIdentifier, holdfast_wal::SegmentSize)> {
        let cluster = lock(&self.own).cluster;
        cluster.map(|(system, size)| (SystemIdentifier(system), size)).ok_or_else(|| "there is no data here yet".into())
    }
}
