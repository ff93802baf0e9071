//! `holdfast completion`: completion for a shell.

use crate::cli::Cli;
use crate::exit::Exit;
use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use std::io::Write as _;

/// Which shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  holdfast completion bash > /etc/bash_completion.d/holdfast\n  holdfast completion zsh > ~/.zfunc/_holdfast\n  holdfast completion fish > ~/.config/fish/completions/holdfast.fish"
)]
pub(crate) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

/// Does what was asked.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "holdfast", &mut script);
    std::io::stdout().write_all(&script).context("writing the completion")?;
    Ok(Exit::Done)
}
