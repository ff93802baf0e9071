//! What can be typed: the commands, and what is common to all of them. Each noun's verbs stand in its own file of [`crate::commands`].

use crate::commands::{
    agent, audit, backup, category, completion, config, db, export, failover, group, import, instance, lab, message,
    mirror, pki, pool, restore, room, serve, shell, status, store, token, topology, user, verify, wal,
};
use crate::exit::Exit;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Persistent chat that stays: the server and its command line.
#[derive(Debug, Parser)]
#[command(
    name = "holdfast",
    version,
    max_term_width = 110,
    after_help = after_help()
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What stands below the list of commands.
fn after_help() -> String {
    let codes: String = Exit::ALL.iter().map(|e| format!("  {}  {}\n", *e as u8, e.meaning())).collect();
    format!(
        "Commands ask the server that runs on the data; when none runs, they open the data themselves.\n\n\
         Exit codes:\n{codes}\n\
         Examples:\n  \
           holdfast serve --data ./data --http 127.0.0.1:8080\n  \
           holdfast user add ana --admin --data ./data --generate-password\n  \
           holdfast room list --data ./data --json"
    )
}

/// What every command understands.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The data directory; over `server.data` of the settings [default: data]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    pub(crate) data: Option<PathBuf>,
    /// The settings file [default: /etc/holdfast/holdfast.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "HOLDFAST_CONFIG", help_heading = "Everywhere")]
    pub(crate) config: Option<PathBuf>,
    /// Ask this server over the network instead: http://HOST:PORT; needs a token with the scope `admin`
    #[arg(long, global = true, value_name = "URL", conflicts_with = "data", help_heading = "Everywhere")]
    pub(crate) server: Option<String>,
    /// The token for --server
    #[arg(
        id = "server_token",
        long = "token",
        global = true,
        value_name = "TOKEN",
        env = "HOLDFAST_TOKEN",
        hide = true,
        hide_env_values = true
    )]
    pub(crate) token: Option<String>,
    /// Read the token for --server from the first line of standard input
    #[arg(long, global = true, conflicts_with = "server_token", help_heading = "Everywhere")]
    pub(crate) token_stdin: bool,
    /// Act as this user, with the rights of this user, rather than as the operator
    #[arg(long = "as", global = true, value_name = "USER", help_heading = "Everywhere")]
    pub(crate) act_as: Option<String>,
    /// Print results as JSON
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Print no hints and no progress
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub(crate) quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(serve::Args),
    /// Users: people, bots, imported authors
    #[command(subcommand)]
    User(user::Verb),
    /// Groups of users
    #[command(subcommand)]
    Group(group::Verb),
    /// Categories, which bound who may be in their rooms
    #[command(subcommand)]
    Category(category::Verb),
    /// Rooms
    #[command(subcommand)]
    Room(room::Verb),
    /// Messages
    #[command(subcommand)]
    Message(message::Verb),
    /// Tokens, with which programs sign in
    #[command(subcommand)]
    Token(token::Verb),
    /// Bring in an archive of a whole pool, or logs from elsewhere
    Import(import::Args),
    /// Write the whole pool to one archive
    Export(export::Args),
    /// Copy all data to one file, consistent while the server runs
    Backup(backup::Args),
    /// Make a data directory from a backup, and verify it
    Restore(restore::Args),
    /// Check that no entry of any log was changed, lost or moved
    Verify(verify::Args),
    /// Two sites: the file that describes them
    #[command(subcommand)]
    Topology(topology::Verb),
    /// Two sites: run the agent of a PostgreSQL server
    Agent(agent::AgentArgs),
    /// Two sites: run the witness
    Witness(agent::WitnessArgs),
    /// Two sites: the PostgreSQL servers
    #[command(subcommand)]
    Instance(instance::Verb),
    /// Two sites: the mirror, which has everything that was acknowledged
    #[command(subcommand)]
    Mirror(mirror::Mirror),
    /// Two sites: change the roles of primary and mirror
    Switchover(mirror::Switchover),
    /// Two sites: log shipping to the other one
    #[command(subcommand)]
    Shipping(mirror::Shipping),
    /// Two sites: fail over to the other one
    #[command(subcommand)]
    Failover(failover::Verb),
    /// Certificates: who belongs to the pool
    #[command(subcommand)]
    Pki(pki::Verb),
    /// The servers that share a PostgreSQL database
    #[command(subcommand)]
    Pool(pool::Verb),
    /// The PostgreSQL database: whether it can be used
    #[command(subcommand)]
    Db(db::Verb),
    /// The database as a whole: copy it to PostgreSQL, make anew what follows from the logs
    #[command(subcommand)]
    Store(store::Verb),
    /// The write-ahead log between two sites: what PostgreSQL runs, and what lies on a share
    #[command(subcommand)]
    Wal(wal::Verb),
    /// Two sites: the lines of the old runbook, as they stand
    Shell(shell::Args),
    /// Both sites on this machine, to look at, to rehearse and to measure
    #[command(subcommand)]
    Lab(lab::Verb),
    /// How the server is
    Status(status::Args),
    /// Who changed what: users, groups, categories, rooms
    Audit(audit::Args),
    /// The settings
    #[command(subcommand)]
    Config(config::Verb),
    /// Completion for a shell
    Completion(completion::Args),
}

/// `--what-if`, on commands that change something.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct WhatIf {
    /// Say what would change, and change nothing
    #[arg(long, visible_alias = "dry-run")]
    pub(crate) what_if: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn leaves<'a>(command: &'a clap::Command, path: &str, found: &mut Vec<(String, &'a clap::Command)>) {
        let path = format!("{path} {}", command.get_name());
        if !command.has_subcommands() || command.is_args_conflicts_with_subcommands_set() {
            found.push((path.clone(), command));
        }
        for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
            leaves(sub, &path, found);
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example_that_parses() {
        let command = Cli::command();
        let mut found = Vec::new();
        leaves(&command, "", &mut found);
        assert!(found.len() > 40, "{}", found.len());
        for (path, command) in found {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let shown = help.split_once("Example").map_or("", |(_, rest)| rest);
            let examples: Vec<&str> = shown.lines().map(str::trim).filter(|l| l.contains("holdfast ")).collect();
            assert!(!examples.is_empty(), "{path} shows no example");
            for example in examples {
                let line = example.split(" | ").find(|p| p.trim().starts_with("holdfast ")).unwrap_or(example);
                let line = line.split(" > ").next().unwrap_or(line).split(" < ").next().unwrap_or(line);
                let words = words(line);
                assert!(Cli::try_parse_from(&words).is_ok(), "{path}: the example does not parse: {words:?}");
            }
        }
    }

    /// Splits as a shell does, as far as the examples need it.
    fn words(line: &str) -> Vec<String> {
        line.split('"')
            .enumerate()
            .flat_map(|(i, part)| {
                if i % 2 == 1 { vec![part.to_owned()] } else { part.split_whitespace().map(str::to_owned).collect() }
            })
            .collect()
    }
}
