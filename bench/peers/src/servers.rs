//! The servers that are measured: how each is set up, started and given its users. All else is the same for all of them.

mod ejabberd;
mod holdfast;
mod prosody;

use crate::site::Ground;
use anyhow::Result;
use clap::ValueEnum;
use std::process::Command;

/// One of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Holdfast,
    Ejabberd,
    Prosody,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Holdfast => "holdfast",
            Self::Ejabberd => "ejabberd",
            Self::Prosody => "prosody",
        }
    }

    /// Writes its settings, and what its database needs before it can start.
    pub(crate) fn prepare(self, ground: &Ground) -> Result<()> {
        match self {
            Self::Holdfast => holdfast::prepare(ground),
            Self::Ejabberd => ejabberd::prepare(ground),
            Self::Prosody => prosody::prepare(ground),
        }
    }

    /// How it is started, in the foreground.
    pub(crate) fn command(self, ground: &Ground) -> Command {
        match self {
            Self::Holdfast => holdfast::command(ground),
            Self::Ejabberd => ejabberd::command(ground),
            Self::Prosody => prosody::command(ground),
        }
    }

    /// Makes the users, while it runs.
    pub(crate) async fn populate(self, ground: &Ground) -> Result<()> {
        match self {
            Self::Holdfast => holdfast::populate(ground).await,
            Self::Ejabberd => ejabberd::populate(ground),
            Self::Prosody => prosody::populate(ground).await,
        }
    }

    /// The version that is measured.
    pub(crate) fn version(self, ground: &Ground) -> String {
        let mut command = match self {
            Self::Holdfast => {
                let mut command = Command::new(&ground.ways.holdfast);
                command.arg("--version");
                command
            }
            Self::Ejabberd | Self::Prosody => {
                let mut command = Command::new("dpkg-query");
                command.args(["-W", "-f", "${Package} ${Version}", self.name()]);
                command
            }
        };
        let printed = command.output().ok().filter(|output| output.status.success());
        printed.map_or_else(|| "unknown".to_owned(), |o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
    }
}
