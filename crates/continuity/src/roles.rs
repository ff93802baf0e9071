//! Who is what now: it follows from the topology and from the instance that holds the newest claim.

use crate::topology::{InstancePlace, Role, Topology};

/// The instances in their present roles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Roles<'a> {
    /// Takes writes.
    pub primary: &'a InstancePlace,
    /// The other instance of its site.
    pub mirror: Option<&'a InstancePlace>,
    /// The first instance of the other site.
    pub backup: Option<&'a InstancePlace>,
    /// The other one there.
    pub backup_mirror: Option<&'a InstancePlace>,
}

impl<'a> Roles<'a> {
    /// The roles when `holder` is primary; `None` if the topology does not name it.
    pub fn of(topology: &'a Topology, holder: &str) -> Option<Roles<'a>> {
        let primary = topology.instance(holder)?;
        let mirror = topology.instances_of(&primary.site).find(|i| i.name != holder);
        let mut far: Vec<&InstancePlace> = topology.instances.iter().filter(|i| i.site != primary.site).collect();
        // Of a site that is the backup now, the one that was meant to be primary or backup follows the other site.
        far.sort_by_key(|i| matches!(i.role, Role::Mirror | Role::BackupMirror));
        Some(Roles { primary, mirror, backup: far.first().copied(), backup_mirror: far.get(1).copied() })
    }

    /// The role of an instance.
    pub fn role_of(&self, name: &str) -> Option<Role> {
        let is = |i: Option<&InstancePlace>| i.is_some_and(|i| i.name == name);
        if self.primary.name == name {
            Some(Role::Primary)
        } else if is(self.mirror) {
            Some(Role::Mirror)
        } else if is(self.backup) {
            Some(Role::Backup)
        } else {
            is(self.backup_mirror).then_some(Role::BackupMirror)
        }
    }

    /// Whom an instance follows by streaming: the mirror the primary, the backup the mirror (never the primary: what the backup has must be on
    /// the mirror already), the backup mirror the backup. A backup of a pool without a mirror follows the primary.
    pub fn upstream_of(&self, name: &str) -> Option<&'a InstancePlace> {
        match self.role_of(name)? {
            Role::Primary => None,
            Role::Mirror => Some(self.primary),
            Role::Backup => self.mirror.or(Some(self.primary)),
            Role::BackupMirror => self.backup,
        }
    }
}
