//! `Get-CsPersistentChatState`: whether a pool lives in its first site or was failed over.

use super::LOCAL_STORE;
use crate::administration::{Administration, Refusal};
use crate::bind::Given;
use crate::cmdlet::{About, Cmdlet, Kind, Parameter};
use crate::told::Told;
use async_trait::async_trait;
use serde_json::json;

/// The cmdlet.
pub(super) struct GetCsPersistentChatState;

static ABOUT: About = About {
    name: "Get-CsPersistentChatState",
    synopsis: "Shows the state of the pool, the site that it lives in, and its epoch.",
    here: "Lync shows the state alone.",
    parameters: &[
        Parameter::new("Identity", Kind::Identity, "The pool, by its own name or that of one of its servers.")
            .positional(),
        Parameter::new("LocalStore", LOCAL_STORE, ""),
    ],
    changes: false,
    example: "Get-CsPersistentChatState",
};

#[async_trait]
impl Cmdlet for GetCsPersistentChatState {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn run(&self, given: &Given, pool: &dyn Administration, _: bool) -> Result<Told, Refusal> {
        let pools = pool.pool_state(given.identity("Identity")).await?;
        let json: Vec<_> = pools
            .iter()
            .map(|p| {
                json!({ "identity": format!("PersistentChatServer:{}", p.pool), "pool_state": p.state.as_str(),
                    "live_site": p.live_site, "primary": p.primary, "epoch": p.epoch })
            })
            .collect();
        let told = pools.iter().fold(Told::nothing(), |told, p| {
            told.and_record([
                ("Identity", format!("PersistentChatServer:{}", p.pool)),
                ("PoolState", p.state.as_str().to_owned()),
                ("LiveSite", p.live_site.clone()),
                ("Primary", p.primary.clone().unwrap_or_else(|| "none takes writes".into())),
                ("Epoch", p.epoch.to_string()),
            ])
        });
        Ok(told.with_json(json!({ "items": json })))
    }
}
