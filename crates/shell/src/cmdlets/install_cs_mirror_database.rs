//! `Install-CsMirrorDatabase`: step 6. The instance gets its mirror, which is then waited for.

use super::{ALL_OR_NOTHING, NO_REPORT, ONE_INSTANCE};
use crate::administration::{Administration, NewMirror, Refusal};
use crate::bind::Given;
use crate::cmdlet::{About, Cmdlet, Kind, Parameter};
use crate::told::Told;
use async_trait::async_trait;

/// The cmdlet.
pub(super) struct InstallCsMirrorDatabase;

static ABOUT: About = About {
    name: "Install-CsMirrorDatabase",
    synopsis: "Step 6: clones, attaches and makes synchronous the mirror of an instance.",
    here: "The mirror is the instance that the topology names for it, and is cloned from the primary itself: the share is taken and not used.",
    parameters: &[
        Parameter::new("ConfiguredDatabases", Kind::Switch, "All databases that the topology has there: mgc.")
            .mandatory()
            .of(&["ConfiguredDatabases"]),
        Parameter::new("ForDefaultInstance", Kind::Switch, "The instance of that host.")
            .mandatory()
            .of(&["ConfiguredDatabases"]),
        Parameter::new("ForInstance", ONE_INSTANCE, "").of(&["ConfiguredDatabases"]),
        Parameter::new("DatabaseType", Kind::DatabaseType, "The chat database.").mandatory().of(&["DatabaseType"]),
        Parameter::new("SqlInstanceName", ONE_INSTANCE, "").of(&["DatabaseType"]),
        Parameter::new(
            "FileShare",
            Kind::Share,
            "Lync copies through it; here it is not needed, and taken all the same.",
        )
        .mandatory(),
        Parameter::new("SqlServerFqdn", Kind::Fqdn, "The instance that gets a mirror: the primary of its site.")
            .mandatory(),
        Parameter::new("DropExistingDatabasesOnMirror", Kind::Switch, "Replaces the data that the mirror already has."),
        Parameter::new("ExcludeDatabaseList", ALL_OR_NOTHING, ""),
        Parameter::new("DatabasePathMap", Kind::Absent("where the mirror's data lies, the topology says"), ""),
        Parameter::new("Report", NO_REPORT, ""),
        Parameter::new("Force", Kind::Switch, "Does not ask."),
    ],
    changes: true,
    example: r"Install-CsMirrorDatabase -ConfiguredDatabases -FileShare \\bos-fs\backup -SqlServerFqdn bos-db-1.litwareinc.com -ForDefaultInstance",
};

#[async_trait]
impl Cmdlet for InstallCsMirrorDatabase {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn run(&self, given: &Given, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal> {
        let mirror = NewMirror {
            primary: given.need_fqdn("SqlServerFqdn")?.clone(),
            share: given.need_share("FileShare")?.clone(),
            replace: given.is_on("DropExistingDatabasesOnMirror"),
        };
        pool.install_mirror(&mirror, what_if).await
    }
}
