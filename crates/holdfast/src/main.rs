//! Holdfast: persistent chat that stays. One binary, the server and its command line.
//!
//! Read it in this order: [`cli`] is what can be typed; [`commands`] has a file for each noun; [`client`] sends what they ask
//! to the server that runs on the data or, when none does, to the same service opened in this process ([`compose`]);
//! [`config`] is the one settings file; [`irc_log`] and [`archive`] are the two formats that come from elsewhere.
//!
//! **Invariant:** a command other than `serve` and `restore` knows only the HTTP API. So whatever the command line can do,
//! a program can do, and both are decided by the same rules.

mod archive;
mod cli;
mod client;
mod commands;
mod compose;
mod config;
mod data;
mod exit;
mod figures;
mod fresh;
mod irc_log;
mod output;
mod progress;
mod resolve;
mod stages;
mod walk;

use clap::Parser;
use std::process::ExitCode;

/// glibc's allocator keeps what a burst of connections needed; this one gives it back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Whatever we write (the database, backups, archives) is for its owner alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let cli = cli::Cli::parse();
    let json = cli.global.json;
    let exit = match commands::run(cli) {
        Ok(exit) => exit,
        Err(error) => {
            output::report_error(&error, json);
            exit::code_of(&error)
        }
    };
    ExitCode::from(exit as u8)
}
