//! `holdfast shell` as a program: files, pipes, exit codes. What its lines do to real instances is tested with both sites.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot start has failed")]

use holdfast_tests::cli::{Ran, command, finish, finish_with_input};
use serde_json::Value;
use std::path::Path;

const TOPOLOGY: &str = r#"
[pool]
fqdn = "chat.litwareinc.com"
[[sites]]
name = "atl"
share = "/srv/holdfast/atl-share"
[[sites]]
name = "bos"
share = "/srv/holdfast/bos-share"
[[servers]]
name = "atl-cs-001.litwareinc.com"
site = "atl"
url = "http://127.0.0.1:8080"
[[servers]]
name = "bos-cs-001.litwareinc.com"
site = "bos"
url = "http://127.0.0.1:8081"
"#;

/// A pool whose agents are not there: its topology, and an operator's certificate.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut topology = TOPOLOGY.to_owned();
    for (n, (name, site, role)) in [
        ("atl-db-1", "atl", "primary"),
        ("atl-db-2", "atl", "mirror"),
        ("bos-db-1", "bos", "backup"),
        ("bos-db-2", "bos", "backup mirror"),
    ]
    .into_iter()
    .enumerate()
    {
        // Nobody listens on the lowest ports of this machine.
        let (port, agent) = (2 * n + 1, 2 * n + 2);
        topology.push_str(&format!(
            "[[instances]]\nname = \"{name}.litwareinc.com\"\nsite = \"{site}\"\nrole = \"{role}\"\naddress = \"127.0.0.1\"\n\
             port = {port}\nagent_port = {agent}\ndata = \"/var/lib/holdfast/{name}\"\n"
        ));
    }
    std::fs::write(dir.path().join("topology.toml"), topology).unwrap();
    let ca = dir.path().join("ca");
    run(dir.path(), &["pki", "init", "--dir", ca.to_str().unwrap(), "--pool", "chat.litwareinc.com"]).ended(0);
    let to = dir.path().join("identity");
    let (ca, to) = (ca.to_str().unwrap(), to.to_str().unwrap());
    run(dir.path(), &["pki", "issue", "--dir", ca, "--kind", "operator", "ana", "--to", to]).ended(0);
    dir
}

fn run(dir: &Path, args: &[&str]) -> Ran {
    finish(command(args).current_dir(dir))
}

fn shell(dir: &Path, more: &[&str]) -> Ran {
    let args = [&["shell", "--topology", "topology.toml", "--identity", "identity"], more].concat();
    run(dir, &args)
}

#[test]
fn a_file_with_a_slip_does_nothing_and_help_needs_nobody() {
    let dir = place();
    let file = dir.path().join("failover.txt");
    std::fs::write(&file, "exec sp_who2\nSet-CsPersistentChatState -PoolStat3 FailedOver\n").unwrap();
    let ran = shell(dir.path(), &["--file", "failover.txt"]).ended(2);
    assert!(ran.out.starts_with("failover.txt:2:27: "), "{ran:?}");
    assert!(ran.out.contains("Did you mean -PoolState?"), "{ran:?}");
    std::fs::write(&file, "Get-Help Set-CsPersistentChatState\n").unwrap();
    let ran = shell(dir.path(), &["--file", "failover.txt"]).ended(0);
    assert!(ran.out.contains("SYNTAX") && ran.err.is_empty(), "{ran:?}");
}

#[test]
fn agents_that_do_not_answer_are_said_not_to() {
    let dir = place();
    let file = dir.path().join("failover.txt");
    std::fs::write(&file, "exec sp_who2\nkill 53\n").unwrap();
    let ran = shell(dir.path(), &["--file", "failover.txt"]).ended(3);
    assert!(ran.out.contains("failover.txt:1:1: exec sp_who2: No agent answers: atl-db-1.litwareinc.com"), "{ran:?}");
    assert!(ran.out.contains("Stopped at line 1. Not done behind it: 1."), "{ran:?}");
    let ran = shell(dir.path(), &["--file", "failover.txt", "--json"]).ended(3);
    let told: Vec<Value> = ran.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((told.len(), &told[0]["exit_code"], &told[0]["done"]), (1, &Value::from(3), &Value::from(false)));
}

#[test]
fn lines_come_through_a_pipe_too_and_what_is_said_beside_them_is_checked() {
    let dir = place();
    let args = ["shell", "--topology", "topology.toml", "--identity", "identity"];
    let ran = finish_with_input(command(args).current_dir(dir.path()), "kill all\n").ended(2);
    assert!(ran.out.starts_with("standard input:1:6: `all` does not belong here."), "{ran:?}");
    shell(dir.path(), &["--file", "nowhere.txt"]).ended(4);
    shell(dir.path(), &["--file", "nowhere.txt", "--fence", "trust me"]).ended(2);
    std::fs::remove_file(dir.path().join("topology.toml")).unwrap();
    std::fs::write(dir.path().join("x.txt"), "exec sp_who2").unwrap();
    let ran = shell(dir.path(), &["--file", "x.txt"]).ended(1);
    assert!(ran.err.contains("topology.toml"), "{ran:?}");
}
