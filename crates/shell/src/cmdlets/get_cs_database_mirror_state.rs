//! `Get-CsDatabaseMirrorState`: how the mirror is.

use super::{LOCAL_STORE, NO_REPORT};
use crate::administration::{Administration, Refusal};
use crate::bind::Given;
use crate::cmdlet::{About, Cmdlet, Kind, Parameter};
use crate::told::Told;
use async_trait::async_trait;
use serde_json::json;

/// The cmdlet.
pub(super) struct GetCsDatabaseMirrorState;

static ABOUT: About = About {
    name: "Get-CsDatabaseMirrorState",
    synopsis: "Shows how the mirror of the live site is, as the primary and as the mirror see it.",
    here: "Says which instances they are and how far the mirror is behind, and tells an instance that does not answer from one without a mirror.",
    parameters: &[
        Parameter::new("PoolFqdn", Kind::Fqdn, "The pool.").mandatory(),
        Parameter::new("DatabaseType", Kind::DatabaseType, "The chat database."),
        Parameter::new("LocalStore", LOCAL_STORE, ""),
        Parameter::new("Report", NO_REPORT, ""),
    ],
    changes: false,
    example: "Get-CsDatabaseMirrorState -PoolFqdn chat.litwareinc.com",
};

#[async_trait]
impl Cmdlet for GetCsDatabaseMirrorState {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn run(&self, given: &Given, pool: &dyn Administration, _: bool) -> Result<Told, Refusal> {
        let mirrors = pool.mirror_state(given.need_fqdn("PoolFqdn")?).await?;
        let json: Vec<_> = mirrors
            .iter()
            .map(|m| {
                json!({ "database": m.database, "state_on_primary": m.state_on_primary, "state_on_mirror": m.state_on_mirror,
                    "status_on_primary": m.status_on_primary, "status_on_mirror": m.status_on_mirror,
                    "primary": m.primary, "mirror": m.mirror, "lag_bytes": m.lag_bytes })
            })
            .collect();
        let told = mirrors.iter().fold(Told::nothing(), |told, m| {
            told.and_record([
                ("DatabaseName", m.database.clone()),
                ("StateOnPrimary", m.state_on_primary.clone()),
                ("StateOnMirror", m.state_on_mirror.clone()),
                ("MirroringStatusOnPrimary", m.status_on_primary.clone()),
                ("MirroringStatusOnMirror", m.status_on_mirror.clone()),
                ("Primary", m.primary.clone()),
                ("Mirror", m.mirror.clone().unwrap_or_else(|| "none".into())),
                ("LagBytes", m.lag_bytes.map(|b| b.to_string()).unwrap_or_else(|| "unknown".into())),
            ])
        });
        Ok(told.with_json(json!({ "items": json })))
    }
}
