//! `Get-CsService -PersistentChatServer`: the servers of the pool.

use crate::administration::{Administration, Refusal};
use crate::bind::Given;
use crate::cmdlet::{About, Cmdlet, Kind, Parameter};
use crate::told::Told;
use async_trait::async_trait;
use serde_json::json;

/// The cmdlet.
pub(super) struct GetCsService;

static ABOUT: About = About {
    name: "Get-CsService",
    synopsis: "Shows the servers of the pool and which of them take clients.",
    here: "Lync shows the pool alone; here each server is a row.",
    parameters: &[
        Parameter::new("PersistentChatServer", Kind::Switch, "The chat servers; there are no others.").mandatory(),
        Parameter::new("PoolFqdn", Kind::Fqdn, "Those of this pool alone."),
    ],
    changes: false,
    example: "Get-CsService -PersistentChatServer",
};

#[async_trait]
impl Cmdlet for GetCsService {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn run(&self, given: &Given, pool: &dyn Administration, _: bool) -> Result<Told, Refusal> {
        let mut servers = pool.servers().await?;
        if let Some(wanted) = given.fqdn("PoolFqdn") {
            servers.retain(|s| s.pool == *wanted);
            if servers.is_empty() {
                return Err(Refusal::missing(format!("There is no pool {wanted}.")).next("Get-CsPersistentChatState"));
            }
        }
        let json: Vec<_> = servers
            .iter()
            .map(|s| {
                json!({ "identity": format!("PersistentChatServer:{}", s.pool), "server": s.server, "site": s.site,
                    "active": s.active, "standing": s.standing })
            })
            .collect();
        let rows = servers
            .iter()
            .map(|s| {
                let active = if s.active { "True" } else { "False" };
                let identity = format!("PersistentChatServer:{}", s.pool);
                vec![identity, s.server.clone(), s.site.clone(), active.into(), s.standing.clone()]
            })
            .collect();
        let told = Told::nothing().and_table(&["Identity", "Server", "Site", "Active", "Standing"], rows);
        Ok(told.with_json(json!({ "items": json })))
    }
}
