//! `holdfast import`: an archive of a whole pool, or logs from elsewhere.

mod irc_log;
mod pool;

use super::Context;
use crate::cli::WhatIf;
use crate::exit::{Exit, usage};
use anyhow::Result;
use std::path::PathBuf;

/// What to bring in.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    after_help = "An archive is verified whole before anything is written. It goes into a data directory that holds no pool yet, or, with `database.url` set, into a database that holds none.\n\nExamples:\n  holdfast import pool.zip --data ./new --what-if\n  holdfast import pool.zip --data ./new\n  holdfast import irc-log --room ubuntu --data ./data logs/2005-02-06.txt"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    format: Option<Format>,
    /// An archive made by `holdfast export`
    #[arg(required = true, value_name = "ARCHIVE")]
    archive: Option<PathBuf>,
    #[command(flatten)]
    what_if: WhatIf,
}

/// Logs from elsewhere.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Format {
    /// Plain IRC logs: a file a day, `[HH:MM] <nick> text` a line
    #[command(name = "irc-log")]
    IrcLog(irc_log::Args),
}

/// Does what was asked.
pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit> {
    match (args.format, args.archive) {
        (Some(Format::IrcLog(args)), _) => irc_log::run(args, context).await,
        (None, Some(archive)) => pool::run(&archive, args.what_if, context).await,
        (None, None) => Err(usage("name an archive, or a kind of log such as irc-log")),
    }
}
