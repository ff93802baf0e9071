//! `holdfast shell`: the lines of the old runbook, from the keyboard or from a file, carried out by the agents.
//!
//! [`holdfast_shell`] reads the lines and shows the answers; here are the calls behind them: [`agents`] is who is asked, [`administration`] what each
//! line asks for, [`failover`] the lines that are steps of one, and [`servers`] the list of servers that take clients.

mod administration;
mod agents;
mod failover;
mod servers;

use super::sites::SiteArgs;
use crate::exit::{Exit, missing, refused, usage};
use crate::output::Output;
use agents::Agents;
use anyhow::Result;
use holdfast_continuity::failover::evidence::FenceSpec;
use holdfast_shell::{Ending, Options, Session};
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

/// Arguments of `holdfast shell`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Understands the cmdlets and the SQL lines of a failover as they stand in the runbook of Lync's Persistent Chat; Get-Help shows them. A file is read to its \
                  end first: when a line of it is wrong, nothing is done. Then it goes up to the first line that is refused.\n\nExamples:\n  \
                  holdfast shell --topology topology.toml --identity operator\n  \
                  holdfast shell --file failover.txt --fence \"attested:power of atl is off, ticket 8813\" --accept-loss 40"
)]
pub(crate) struct Args {
    /// Carry out the lines of this file, `-` for standard input, instead of asking for them
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Why the other site takes no messages, for the line that begins a failover: attested:TEXT, command or stand-down
    #[arg(long, value_name = "EVIDENCE")]
    fence: Option<FenceSpec>,
    /// How many entries may be lost, for the line that opens the database [default: as many as were shown]
    #[arg(long, value_name = "N")]
    accept_loss: Option<u64>,
    /// Say what each line would change, and change nothing
    #[arg(long, visible_alias = "dry-run")]
    what_if: bool,
    #[command(flatten)]
    sites: SiteArgs,
}

/// Takes lines until there are no more.
pub(crate) async fn run(args: Args, out: Output) -> Result<Exit> {
    let lines = match &args.file {
        Some(file) => Some(read(file)?),
        // Lines that are piped in are a file, too: nobody is there to be asked.
        None if !std::io::stdin().is_terminal() => Some(read(Path::new("-"))?),
        None => None,
    };
    let agents = Agents::new(args.sites.agents(out)?, args.fence, args.accept_loss);
    let session = Session::new(&agents, Options { json: out.json, what_if: args.what_if });
    let ending = match lines {
        Some((name, text)) => session.run_file(&name, &text, &mut std::io::stdout()).await?,
        None => {
            out.hint("Get-Help shows what can be typed; Ctrl-D ends.");
            session.interactive(history().as_deref()).await?
        }
    };
    Ok(match ending {
        Ending::Done => Exit::Done,
        Ending::Refused => Exit::Refused,
        Ending::Usage => Exit::Usage,
        Ending::Unavailable => Exit::Unavailable,
        Ending::Missing => Exit::Missing,
        Ending::Unknown => Exit::Unknown,
    })
}

/// What errors call the file, and what stands in it.
fn read(file: &Path) -> Result<(String, String)> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes)?;
        let text = String::from_utf8(bytes).map_err(|_| usage("what comes in is not UTF-8"))?;
        return Ok(("standard input".into(), text));
    }
    let shown = file.display();
    match std::fs::read(file) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok((shown.to_string(), text)),
            Err(_) => Err(usage(format!("{shown} is not UTF-8; save it as that"))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing(format!("there is no file {shown}"))),
        Err(error) => Err(refused(format!("{shown} cannot be read: {error}"))),
    }
}

/// Where typed lines are remembered; `None` where nobody has a home.
fn history() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || std::env::var_os("HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    Some(state.or_else(|| Some(home()?.join(".local/state")))?.join("holdfast/shell_history"))
}
