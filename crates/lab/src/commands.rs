//! The commands of the real binary, as an administrator types them, and questions to agents.

use crate::Lab;
use crate::owner::Owner;
use crate::place::Place;
use crate::processes::MARK;
use anyhow::{Context as _, Result, anyhow};
use holdfast_continuity::agent::report::Report;
use holdfast_continuity::topology::{InstancePlace, Topology};
use holdfast_continuity::wire::Remote;
use holdfast_pki::Identity;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// For an agent to answer on a busy machine.
const ANSWER: Duration = Duration::from_secs(5);
/// Of what a command said when it failed, so many lines are told.
const LINES: usize = 20;

/// A command of the binary, with the pool's topology and the operator's certificate in its surroundings.
pub(crate) fn command<A: AsRef<OsStr>>(
    owner: Owner,
    binary: &Path,
    place: &Place,
    args: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = owner.command(binary);
    command.args(args).current_dir(place.dir()).env("HOME", place.dir());
    command.env("HOLDFAST_TOPOLOGY", place.topology()).env("HOLDFAST_IDENTITY", place.operator());
    command.env(MARK, place.operator());
    command
}

/// Runs a command to its end and answers what it printed as JSON. If nobody waits for it any more, it ends.
///
/// # Errors
/// When it fails: with what it said.
pub(crate) async fn finish(command: Command, input: &str) -> Result<Value> {
    let shown = shown(&command);
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| shown.clone())?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads nothing may have ended already.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.with_context(|| shown.clone())?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().chain(printed.lines()).map(str::trim_end).collect();
        let said = lines[lines.len().saturating_sub(LINES)..].join("\n");
        return Err(anyhow!("`{shown}` ended with {}: {said}", output.status.code().unwrap_or(-1)));
    }
    let last = printed.trim_end().lines().last().unwrap_or("null");
    Ok(serde_json::from_str(last).unwrap_or_else(|_| Value::String(printed.into_owned())))
}

/// A command as somebody would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words: Vec<String> =
        std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy().into_owned()).collect();
    words.join(" ")
}

impl Lab {
    /// Runs a command of the binary, such as `["switchover"]`, and answers what it printed.
    ///
    /// # Errors
    /// When it fails: with what it said.
    pub async fn holdfast<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<Value> {
        self.holdfast_with(args, "").await
    }

    /// As [`Lab::holdfast`], with something on its standard input.
    ///
    /// # Errors
    /// As [`Lab::holdfast`].
    pub(crate) async fn holdfast_with<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &str,
    ) -> Result<Value> {
        let json = std::iter::once(OsString::from("--json"));
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).chain(json);
        finish(command(self.record.owner, &self.record.binary, &self.place, args), input).await
    }

    /// The topology, as everybody reads it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn topology(&self) -> Result<Topology> {
        Ok(Topology::load(&self.place.topology())?)
    }

    /// The agents, to be asked by the operator.
    pub(crate) fn agents(&self) -> Result<Vec<(InstancePlace, Remote)>> {
        let identity = Identity::load(self.place.operator())?;
        let instances = self.topology()?.instances;
        let remote = |i: &InstancePlace| Remote::new(&i.name, i.address(), i.agent_port, identity.clone());
        Ok(instances.into_iter().map(|i| (i.clone(), remote(&i))).collect())
    }
}

/// What an agent says of its instance at this moment.
pub(crate) async fn report(agent: &Remote) -> Result<Report> {
    Ok(agent.get("/v1/report?fresh=true", ANSWER).await?)
}

/// What all agents say, asked at the same time; those that do not answer say why.
pub(crate) async fn reports(agents: &[(InstancePlace, Remote)]) -> Vec<Result<Report>> {
    let asked = agents.iter().map(|(_, agent)| report(agent));
    futures_util::future::join_all(asked).await
}
