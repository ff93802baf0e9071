//! `Set-CsPersistentChatActiveServer`: step 7. Which servers take clients.

use crate::administration::{ActiveServers, Administration, Refusal};
use crate::bind::Given;
use crate::cmdlet::{About, Cmdlet, Kind, Parameter};
use crate::told::Told;
use async_trait::async_trait;

/// The cmdlet.
pub(super) struct SetCsPersistentChatActiveServer;

static ABOUT: About = About {
    name: "Set-CsPersistentChatActiveServer",
    synopsis: "Step 7: sets the list of servers that take clients; at most 4.",
    here: "A server that is far from the database is refused, unless -Force insists. Who is connected to a server that leaves the list goes on for a while.",
    parameters: &[
        Parameter::new("Identity", Kind::Identity, "The pool; there is one, so that it may be left out.").positional(),
        Parameter::new("ActiveServers", Kind::Servers, "The whole list, a change of it, or $null: no server.")
            .mandatory()
            .of(&["ActiveServers"]),
        Parameter::new("Swap", Kind::Switch, "The servers that are not on the list in the place of those that are.")
            .mandatory()
            .of(&["Swap"]),
        Parameter::new("Force", Kind::Switch, "Takes servers too that are far from the database, and does not ask."),
    ],
    changes: true,
    example: r#"Set-CsPersistentChatActiveServer -ActiveServers @{Add="bos-cs-001.litwareinc.com"}"#,
};

#[async_trait]
impl Cmdlet for SetCsPersistentChatActiveServer {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn run(&self, given: &Given, pool: &dyn Administration, what_if: bool) -> Result<Told, Refusal> {
        let change = match given.servers("ActiveServers") {
            Some(change) => change.clone(),
            None if given.is_on("Swap") => ActiveServers::Swap,
            None => return Err(Refusal::refused("-Swap:$false changes nothing.")),
        };
        pool.change_active_servers(given.identity("Identity"), &change, given.is_on("Force"), what_if).await
    }
}
