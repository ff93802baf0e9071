//! Both sites on this machine, by the real binary: under a checked load the live one is lost, and the other one goes on. Whatever was acknowledged is there
//! once and in its place, but for what was shown as lost before the failover was confirmed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and says what it measured"
)]

use anyhow::ensure;
use holdfast_private_buckets::{Azure, S3};
use holdfast_tests::cli;
use holdfast_tests::lab::{LIMIT as PATIENCE, OwnLab, in_lab, in_sync};
use holdfast_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The pool's database.
const DATABASE: &str = "mgc";
/// For a lab to come up or to go, on a busy machine.
const LIMIT: Duration = Duration::from_secs(170);

/// The whole story, with what was measured.
fn demo(options: &[&str]) -> Value {
    demo_with(options, &[])
}

fn demo_with(options: &[&str], variables: &[(String, String)]) -> Value {
    let lab = OwnLab::new();
    let ran = lab.run_with(&[&["demo", "--seconds", "4", "--rate", "200"], options].concat(), variables);
    println!("{}", ran.err);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    let said = ran.json();
    println!("{}", serde_json::to_string_pretty(&said).unwrap());
    assert!(!Path::new(&lab.dir()).exists(), "something of the lab is left");
    assert!(processes_of(&lab.dir()).is_empty(), "a process of the lab is left");
    assert_eq!((&said["duplicated"], &said["reordered"]), (&0.into(), &0.into()), "{said}");
    let number = |field: &str| said[field].as_u64().unwrap_or_else(|| panic!("{field} of {said}"));
    assert!(number("lost") <= number("loss_shown"), "{said}");
    assert!(number("acknowledged") > 20, "{said}");
    let steps: Vec<&str> = said["steps"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert!(steps.contains(&"promote"), "{steps:?}");
    said
}

/// The processes that work in a directory or were started for it.
fn processes_of(dir: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let of = |path: &Path| {
        let works_in = std::fs::read_link(path.join("cwd")).unwrap_or_default();
        let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        (works_in.starts_with(dir) || command.contains(dir)).then_some(command)
    };
    processes.filter_map(|entry| of(&entry.path())).collect()
}

#[test]
fn f22_a_site_is_lost_and_the_other_one_goes_on() {
    let said = demo(&[]);
    assert_eq!(said["shipping_only"], false);
    assert!(said["lag_seconds"]["samples"].as_u64().unwrap() > 5, "{said}");
}

#[test]
fn a_site_is_lost_that_shipped_its_log_and_nothing_else() {
    let said = demo(&["--shipping-only"]);
    assert_eq!(said["shipping_only"], true);
}

/// Both shares are buckets of an S3 server, and the other site knows nothing but what lies there. That PostgreSQL's own `archive_command` and
/// `restore_command` reach it shows that the agents hand on how.
#[test]
#[ignore = "more than a minute: `make test-faults`"]
fn a_site_is_lost_that_shipped_its_log_to_a_bucket_and_nothing_else() {
    let s3 = S3::start();
    let shares = s3.location("lab");
    let said = demo_with(&["--shipping-only", "--shares", &shares], &s3.variables());
    assert_eq!(said["shipping_only"], true);
    let log = std::fs::read_dir(s3.file("lab/bos", "wal")).unwrap().count();
    assert_eq!(log, 1, "the log of one cluster lies in the bucket");
    assert!(s3.file("lab/bos", "lineage/000000001000.claim").is_file());
}

/// The same in Azure's emulator.
#[test]
#[ignore = "more than a minute, and needs Azurite: `make test-faults`"]
fn a_site_is_lost_that_shipped_its_log_to_azure_and_nothing_else() {
    let azure = Azure::start();
    let said = demo_with(&["--shipping-only", "--shares", &azure.location("lab")], &azure.variables());
    assert_eq!(said["shipping_only"], true);
}

#[test]
#[ignore = "takes some minutes: `make test-faults`"]
fn five_switchovers_in_a_row_and_then_the_site_is_lost() {
    let said = demo(&["--switchovers", "5"]);
    assert_eq!(said["switchover_ms"].as_array().unwrap().len(), 5, "{said}");
}

#[test]
#[ignore = "more than a minute: `make test-faults`"]
fn a_site_is_lost_while_the_other_one_has_much_to_apply() {
    let said = demo(&["--backlog-bytes", "67108864"]);
    assert_eq!(said["backlog_bytes"], 67_108_864, "{said}");
}

#[test]
#[ignore = "takes some minutes and some gigabytes"]
fn a_site_is_lost_while_the_other_one_has_a_gigabyte_to_apply() {
    demo(&["--backlog-bytes", "1073741824"]);
}

#[test]
#[ignore = "takes some minutes and some gigabytes"]
fn a_site_is_lost_that_shipped_a_gigabyte_and_nothing_else() {
    demo(&["--shipping-only", "--backlog-bytes", "1073741824"]);
}

/// Somebody changes his mind.
#[test]
fn interrupted_while_it_comes_up_nothing_stays() {
    let lab = OwnLab::new();
    let dir = lab.dir();
    let mut command = cli::command(["lab", "up", "--json", "--dir", &dir]);
    let mut up = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the first PostgreSQL to run", LIMIT, || {
        assert!(up.try_wait().unwrap().is_none(), "it is over already");
        let run = Path::new(&dir).join("atl/atl-db-1/pgdata/postmaster.pid");
        run.exists().then_some(())
    });
    kill_process(Pid::from_child(&up), Signal::INT).unwrap();
    let ended = until("the end", LIMIT, || up.try_wait().unwrap());
    assert_eq!(ended.code(), Some(3));
    assert!(!Path::new(&dir).exists() && processes_of(&dir).is_empty(), "{:?}", processes_of(&dir));
}

/// As a newcomer does it, command by command.
/// A switchover has the primary's agent tell users beforehand, and takes that away when it is over; what a person said stays as it is. Each change of what users
/// are told is noted by the database itself, since it is soon over.
#[test]
fn users_are_told_of_a_switchover_before_it_begins_unless_a_person_has_told_them_something() {
    // What the lab's coming up has said is of no matter here.
    const NOTE: &str = "DELETE FROM holdfast.item WHERE node = 'notice';
        CREATE TABLE noted (at bigserial, what text, payload text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO public.noted (what, payload) VALUES (TG_OP, CASE TG_OP WHEN 'DELETE' THEN OLD.payload ELSE NEW.payload END);
            RETURN NULL; END $$;
        CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON holdfast.item FOR EACH ROW EXECUTE FUNCTION note();";
    const NOTED: &str = "SELECT what || ' ' || payload FROM noted ORDER BY at";
    const SAY: &str = r#"INSERT INTO holdfast.item (owner, node, id, at, payload, position)
        VALUES (0, 'notice', 'current', 1, '{"planned":true,"beginning":"2026-05-12T20:00:00Z","message":"New disks","own":false}', 1)"#;
    in_lab(async |lab| {
        in_sync(lab, "atl-db-1").await?;
        lab.sql_in(DATABASE, "atl-db-1", NOTE).await?;
        lab.holdfast(["switchover"]).await?;
        in_sync(lab, "atl-db-2").await?;
        let mut noted = lab.sql_in(DATABASE, "atl-db-2", NOTED).await?;
        let deadline = Instant::now() + PATIENCE;
        while !noted.contains("DELETE") && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
            noted = lab.sql_in(DATABASE, "atl-db-2", NOTED).await?;
        }
        let lines: Vec<&str> = noted.lines().collect();
        ensure!(lines.len() == 2, "told once, and taken away once: {noted}");
        ensure!(lines[0].starts_with("INSERT ") && lines[1].starts_with("DELETE "), "{noted}");
        let told: Value = serde_json::from_str(lines[0].trim_start_matches("INSERT "))?;
        ensure!(told["own"] == true && told["planned"] == true, "{told}");
        ensure!(told["expected_end"].as_str() > told["beginning"].as_str(), "{told}");
        ensure!(told["message"].as_str().is_some_and(|m| m.contains("changes places")), "{told}");

        lab.sql_in(DATABASE, "atl-db-2", SAY).await?;
        lab.holdfast(["switchover"]).await?;
        in_sync(lab, "atl-db-1").await?;
        // Long enough for the end of it to have been told.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let noted = lab.sql_in(DATABASE, "atl-db-1", NOTED).await?;
        let lines: Vec<&str> = noted.lines().collect();
        ensure!(lines.len() == 3 && lines[2].contains("New disks"), "nothing but what the person said: {noted}");
        Ok(())
    });
}

#[test]
fn a_lab_is_brought_up_looked_at_loaded_cut_and_taken_down() {
    let lab = OwnLab::new();
    let up = lab.run(&["up"]).ended(0).json();
    assert_eq!(up["servers"].as_array().unwrap().len(), 4, "{up}");
    // Again changes nothing.
    assert_eq!(lab.run(&["up"]).ended(0).json()["password"], up["password"]);

    let status = lab.run(&["status"]).ended(0).json();
    let roles: Vec<&str> =
        status["instances"].as_array().unwrap().iter().map(|i| i["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["primary", "mirror", "backup", "backup mirror"], "{status}");
    assert!(status["processes"].as_array().unwrap().iter().all(|p| p["running"] == true), "{status}");
    assert_eq!(status["protection"], "in sync", "{status}");

    let load = lab.run(&["load", "--seconds", "3", "--rate", "50"]).ended(0).json();
    assert_eq!((&load["holds"], &load["lost"]), (&true.into(), &0.into()), "{load}");
    assert!(load["acknowledged"].as_u64().unwrap() > 5, "{load}");

    let killed = lab.run(&["kill", "atl"]).ended(0).json();
    assert!(killed["killed"].as_u64().unwrap() > 10, "{killed}");
    let status = lab.run(&["status"]).ended(0).json();
    let runs = |site: &str| {
        let processes = status["processes"].as_array().unwrap().iter().filter(|p| p["site"] == site);
        processes.map(|p| p["running"] == true).collect::<Vec<_>>()
    };
    assert_eq!((runs("atl"), runs("bos")), (vec![false; 4], vec![true; 4]), "{status}");

    lab.run(&["down"]).ended(0);
    assert!(!Path::new(&lab.dir()).exists() && processes_of(&lab.dir()).is_empty());
    assert_eq!(lab.run(&["status"]).code, 3, "there is none any more");
}
