//! `Invoke-CsDatabaseFailover`: primary and mirror exchange their roles, within their site.

use super::{ALL_OR_NOTHING, LOCAL_STORE, NO_REPORT};
use crate::administration::{Administration, Principal, Refusal};
use crate::bind::Given;
use crate::cmdlet::{About, Cmdlet, Kind, Parameter};
use crate::told::Told;
use async_trait::async_trait;

/// The cmdlet.
pub(super) struct InvokeCsDatabaseFailover;

static ABOUT: About = About {
    name: "Invoke-CsDatabaseFailover",
    synopsis: "Exchanges the roles of primary and mirror within the site, without loss.",
    here: "Refused while the mirror is not in sync.",
    parameters: &[
        Parameter::new("PoolFqdn", Kind::Fqdn, "The pool.").mandatory(),
        Parameter::new("DatabaseType", Kind::DatabaseType, "The chat database.").mandatory(),
        Parameter::new(
            "NewPrincipal",
            Kind::OneOf(&["Primary", "Mirror"]),
            "Which of the two, by the role that the topology gives it, is to be the primary.",
        )
        .mandatory(),
        Parameter::new("ExcludeDatabaseList", ALL_OR_NOTHING, ""),
        Parameter::new("LocalStore", LOCAL_STORE, ""),
        Parameter::new("Report", NO_REPORT, ""),
        Parameter::new("Force", Kind::Switch, "Does not ask."),
    ],
    changes: true,
    example: "Invoke-CsDatabaseFailover -PoolFqdn chat.litwareinc.com -DatabaseType PersistentChat -NewPrincipal Mirror",
};

#[async_trait]
impl Cmdlet for InvokeCsDatabaseFailover {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn run(&self, given: &Given, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal> {
        let principal = match *given.need_word("NewPrincipal")? {
            "Mirror" => Principal::Mirror,
            _ => Principal::Primary,
        };
        pool.switch_principal(given.need_fqdn("PoolFqdn")?, principal, what_if).await
    }
}
