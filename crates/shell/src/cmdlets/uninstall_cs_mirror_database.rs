//! `Uninstall-CsMirrorDatabase`: the instance has no mirror any more.

use super::{NO_REPORT, ONE_INSTANCE};
use crate::administration::{Administration, Refusal};
use crate::bind::Given;
use crate::cmdlet::{About, Cmdlet, Kind, Parameter};
use crate::told::Told;
use async_trait::async_trait;

/// The cmdlet.
pub(super) struct UninstallCsMirrorDatabase;

static ABOUT: About = About {
    name: "Uninstall-CsMirrorDatabase",
    synopsis: "Takes the mirror of an instance away: it is no longer waited for, then it is stopped.",
    here: "The topology keeps the mirror's name, so that it can be installed again.",
    parameters: &[
        Parameter::new("DatabaseType", Kind::DatabaseType, "The chat database.").mandatory(),
        Parameter::new("SqlServerFqdn", Kind::Fqdn, "The instance whose mirror goes: the primary of its site.")
            .mandatory(),
        Parameter::new("SqlInstanceName", ONE_INSTANCE, ""),
        Parameter::new("DropExistingDatabasesOnMirror", Kind::Switch, "Its data goes too."),
        Parameter::new("Report", NO_REPORT, ""),
        Parameter::new("Force", Kind::Switch, "Does not ask."),
    ],
    changes: true,
    example: "Uninstall-CsMirrorDatabase -DatabaseType PersistentChat -SqlServerFqdn bos-db-1.litwareinc.com",
};

#[async_trait]
impl Cmdlet for UninstallCsMirrorDatabase {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn run(&self, given: &Given, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal> {
        let drop_data = given.is_on("DropExistingDatabasesOnMirror");
        pool.uninstall_mirror(given.need_fqdn("SqlServerFqdn")?, drop_data, what_if).await
    }
}
