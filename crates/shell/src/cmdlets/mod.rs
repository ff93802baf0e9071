//! The table of cmdlets. Another one is a file here and its line in [`TABLE`].

mod get_cs_database_mirror_state;
mod get_cs_persistent_chat_state;
mod get_cs_service;
mod get_help;
mod install_cs_mirror_database;
mod invoke_cs_database_failover;
mod set_cs_persistent_chat_active_server;
mod set_cs_persistent_chat_state;
mod uninstall_cs_mirror_database;

use crate::cmdlet::{Cmdlet, Kind};

/// All cmdlets, in the order in which help names them.
pub static TABLE: &[&dyn Cmdlet] = &[
    &get_cs_persistent_chat_state::GetCsPersistentChatState,
    &set_cs_persistent_chat_state::SetCsPersistentChatState,
    &install_cs_mirror_database::InstallCsMirrorDatabase,
    &uninstall_cs_mirror_database::UninstallCsMirrorDatabase,
    &get_cs_database_mirror_state::GetCsDatabaseMirrorState,
    &invoke_cs_database_failover::InvokeCsDatabaseFailover,
    &set_cs_persistent_chat_active_server::SetCsPersistentChatActiveServer,
    &get_cs_service::GetCsService,
    &get_help::GetHelp,
];

/// The cmdlet of a name, in any case.
pub fn find(name: &str) -> Option<&'static dyn Cmdlet> {
    let name = if name.eq_ignore_ascii_case("help") || name.eq_ignore_ascii_case("man") { "Get-Help" } else { name };
    TABLE.iter().find(|c| c.about().name.eq_ignore_ascii_case(name)).copied()
}

const NO_REPORT: Kind =
    Kind::Absent("what was done is in the journal of the instance's agent, and `--json` writes it for programs");
const ONE_INSTANCE: Kind =
    Kind::Absent("a PostgreSQL instance has no named instances beside it; the host's name says which is meant");
const LOCAL_STORE: Kind = Kind::Absent("there is no local copy that could be asked instead");
const ALL_OR_NOTHING: Kind = Kind::Absent("an instance is mirrored as a whole");
