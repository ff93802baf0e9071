//! The runbook's own lines against both sites: real instances, the first site really lost, and what is shown compared with what is checked in.
//!
//! A file of `transcripts/` is what `holdfast shell` shows of a file of lines, with what differs from run to run masked. They are written anew by
//! `HOLDFAST_WRITE_TRANSCRIPTS=1`, and read by whoever reviews the change.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use holdfast_tests::cli::{self, Ran, workspace};
use holdfast_tests::lab::OwnLab;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const FENCE: [&str; 2] = ["--fence", "attested:every process of atl was killed"];

/// As they stand in the runbook.
const SEVEN_LINES: &str = r#"exec sp_delete_log_shipping_secondary_database mgc
exec sp_who2
kill 53
restore database mgc with recovery
Set-CsPersistentChatState -Identity "service:atl-cs-001.litwareinc.com" -PoolState FailedOver
Install-CsMirrorDatabase -ConfiguredDatabases -FileShare \\bos-fs\backup -SqlServerFqdn bos-db-1.litwareinc.com -ForDefaultInstance
Set-CsPersistentChatActiveServer -ActiveServers @{Add="bos-cs-001.litwareinc.com"}
"#;

/// With the line of ours, one thing after the other, and what shows that it worked.
const STEP_BY_STEP: &str = r#"# Each step waits for the one before.
restore log mgc from share with norecovery
"#;

/// A lab, and the shell on it.
struct Lab(OwnLab);

impl Lab {
    fn up() -> Lab {
        let lab = Lab(OwnLab::new());
        lab.lab(&["up"]).ended(0);
        lab
    }

    fn lab(&self, verb: &[&str]) -> Ran {
        self.0.run(verb)
    }

    /// Carries out lines.
    fn shell(&self, lines: &str, more: &[&str]) -> Ran {
        let dir = self.0.dir();
        let (topology, identity) = (format!("{dir}/topology.toml"), format!("{dir}/operator"));
        let args = [&["shell", "--topology", &topology, "--identity", &identity], more].concat();
        cli::run_with_input(args, lines)
    }

    /// What lines show, with what differs from run to run masked.
    fn shown(&self, lines: &str, more: &[&str], code: i32) -> String {
        let ran = self.shell(lines, more).ended(code);
        ran.out.lines().map(|line| masked(&line.replace(&self.0.dir(), "LAB")) + "\n").collect()
    }

    /// Kills one process of the lab: an agent, say, whose PostgreSQL goes on.
    fn kill(&self, name: &str) {
        let status = self.lab(&["status"]).ended(0).json();
        let process = status["processes"].as_array().unwrap().iter().find(|p| p["name"] == name).unwrap();
        let pid = i32::try_from(process["pid"].as_i64().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }

    /// What a line tells programs.
    fn told(&self, line: &str) -> Value {
        self.shell(line, &["--json"]).ended(0).json()["result"].clone()
    }
}

#[test]
fn the_seven_lines_fail_a_pool_over_as_they_stand() {
    let lab = Lab::up();
    let mut shown = String::new();
    let mut note = |title: &str, text: String| shown.push_str(&format!("=== {title}\n{text}"));
    note("atl is alive", lab.shown(SEVEN_LINES, &FENCE, 1));
    note("nothing was begun", lab.shown(STEP_BY_STEP, &FENCE, 1));
    lab.lab(&["kill", "atl"]).ended(0);
    note("nobody says why atl takes no messages", lab.shown(SEVEN_LINES, &[], 1));
    note("what if", lab.shown(SEVEN_LINES.lines().next().unwrap(), &[&FENCE[..], &["--what-if"]].concat(), 0));
    note("as they stand", lab.shown(SEVEN_LINES, &FENCE, 0));
    note("what is so now", lab.shown("Get-CsPersistentChatState\nGet-CsService -PersistentChatServer\nGet-CsDatabaseMirrorState -PoolFqdn chat.litwareinc.com", &[], 0));
    let state = lab.told("Get-CsPersistentChatState")["items"][0].clone();
    assert_eq!(
        (&state["pool_state"], &state["live_site"], &state["epoch"]),
        (&"FailedOver".into(), &"bos".into(), &1000.into())
    );
    assert_eq!(state["primary"], "bos-db-1.litwareinc.com");
    // Its agent is lost, PostgreSQL lives on unseen: it can acknowledge nothing without its mirror, which takes its place.
    lab.kill("bos-db-1");
    let mirror =
        "Invoke-CsDatabaseFailover -PoolFqdn chat.litwareinc.com -DatabaseType PersistentChat -NewPrincipal Mirror";
    note("the primary is lost", lab.shown(&format!("{mirror} -WhatIf\n{mirror}"), &[], 0));
    let state = lab.told("Get-CsPersistentChatState")["items"][0].clone();
    assert_eq!((&state["primary"], &state["epoch"]), (&"bos-db-2.litwareinc.com".into(), &1001.into()));
    compare("shell_failover.txt", &shown);
}

#[test]
fn step_by_step_with_our_own_line_and_then_within_the_site() {
    let lab = Lab::up();
    lab.lab(&["load", "--rate", "50", "--seconds", "3"]).ended(0);
    lab.lab(&["kill", "atl"]).ended(0);
    let mut shown = String::new();
    let mut line = |line: &str, more: &[&str], code: i32| {
        let text = lab.shown(line, more, code);
        shown.push_str(&text);
    };
    let state = "Set-CsPersistentChatState -Identity service:chat.litwareinc.com -PoolState FailedOver";
    let mirror = r"Install-CsMirrorDatabase -DatabaseType PersistentChat -FileShare \\bos-fs\backup -SqlServerFqdn bos-db-1.litwareinc.com";
    let servers = "Set-CsPersistentChatActiveServer -ActiveServers bos-cs-002.litwareinc.com,bos-cs-001.litwareinc.com";
    let fence =
        "exec sp_delete_log_shipping_secondary_database mgc, @fence = 'attested:every process of atl was killed'";
    line(state, &[], 1);
    line(fence, &[], 0);
    line(fence, &[], 0);
    line("restore log mgc from share with norecovery", &[], 0);
    line("restore log mgc from share with norecovery", &[], 0);
    line(state, &[], 1);
    // Another session has shown nobody what is lost, so that it has to be said.
    line("restore database mgc with recovery", &[], 1);
    line("restore database mgc with recovery, accept_loss = 100000", &[], 0);
    line("restore database mgc with recovery", &[], 0);
    line(mirror, &[], 1);
    line(&state.replace("FailedOver", "Normal"), &[], 1);
    line(state, &[], 0);
    line(servers, &[], 1);
    line(mirror, &[], 0);
    line(&servers.replace("bos-cs-001", "atl-cs-001"), &[], 1);
    line(servers, &[], 0);
    // The pool lives in bos: there, primary and mirror change places, and back.
    let switch = "Invoke-CsDatabaseFailover -PoolFqdn chat.litwareinc.com -DatabaseType PersistentChat -NewPrincipal";
    line(&format!("{switch} Mirror -WhatIf"), &[], 0);
    line(&format!("{switch} Mirror\n{switch} Mirror\nGet-CsDatabaseMirrorState -PoolFqdn chat.litwareinc.com"), &[], 0);
    line("Set-CsPersistentChatActiveServer -ActiveServers @{Remove=\"bos-cs-001.litwareinc.com\"}", &[], 0);
    line("Set-CsPersistentChatActiveServer -Swap", &[], 0);
    line("Uninstall-CsMirrorDatabase -DatabaseType PersistentChat -SqlServerFqdn bos-db-2.litwareinc.com", &[], 0);
    line(&format!("{switch} Primary"), &[], 1);
    line("exec sp_who2 nobody\nkill 999999", &[], 0);
    compare("shell_steps.txt", &shown);
}

/// A line without what differs from run to run: positions, numbers, and how much would be lost.
fn masked(line: &str) -> String {
    if let Some((title, _)) = line.split_once("and verify it: ") {
        return format!("{title}and verify it: ...");
    }
    let line = without_loss(line);
    let words = line.split(' ').map(|word| {
        let core = word.trim_end_matches(['.', ',', ':', ';']);
        let is_position = core.split_once('/').is_some_and(|(a, b)| {
            !a.is_empty()
                && !b.is_empty()
                && (a.to_owned() + b).bytes().all(|c| c.is_ascii_digit() || (b'A'..=b'F').contains(&c))
        });
        let is_number = !core.is_empty() && core.bytes().all(|c| c.is_ascii_digit() || c == b'.');
        match (is_position, is_number) {
            (true, _) => word.replace(core, "POSITION"),
            (_, true) => word.replace(core, "N"),
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn without_loss(line: &str) -> String {
    const LOST: &str = "would be lost";
    let Some(at) = line.find(LOST) else { return line.to_owned() };
    let begins = [": ", "; ", ", "].iter().filter_map(|s| line[..at].rfind(s).map(|i| i + s.len())).max().unwrap_or(0);
    let rest = &line[at + LOST.len()..];
    let rest = rest.strip_prefix(", of the last ").and_then(|r| r.split_once(" s")).map_or(rest, |(_, r)| r);
    format!("{}LOSS{rest}", &line[..begins])
}

#[track_caller]
fn compare(name: &str, shown: &str) {
    let path = workspace().join("tests/transcripts").join(name);
    if std::env::var_os("HOLDFAST_WRITE_TRANSCRIPTS").is_some() {
        std::fs::write(&path, shown).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(checked_in == shown, "{}\n--- now\n{shown}\n--- checked in\n{checked_in}", path.display());
}

#[test]
fn what_differs_from_run_to_run_is_masked() {
    assert_eq!(masked("received to 0/C003620."), "received to POSITION.");
    assert_eq!(
        masked("As things are, 0 to 134 messages and changes would be lost, of the last 0.7 s."),
        "As things are, LOSS."
    );
    assert_eq!(masked("Show: nothing would be lost; up to 0 are accepted."), "Show: LOSS; up to N are accepted.");
    assert_eq!(masked("timeline 20, bos-db-1 is live."), "timeline N, bos-db-1 is live.");
}
