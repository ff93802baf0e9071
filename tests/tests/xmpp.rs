//! XMPP, end to end: the real server with slixmpp, Profanity and go-sendxmpp. The scenarios are in `tests/xmpp`; each has a server of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use holdfast_tests::cli::run;
use holdfast_tests::pool::{PASSWORD, Plan, Pool};
use holdfast_tests::server::Server;
use holdfast_tests::wait::until;
use holdfast_tests::xmpp::{PEOPLE, SETTINGS, play, scenario, scenarios, serve};
use std::time::Duration;
use tempfile::tempdir;

/// For what takes a few beats of the servers.
const PATIENCE: Duration = Duration::from_secs(30);

macro_rules! scenarios {
    ($($file:ident { $($name:ident),* $(,)? })*) => {
        $(mod $file {
            $(#[test]
            fn $name() {
                super::plays(stringify!($file), stringify!($name));
            })*
        })*

        const THERE: &[(&str, &[&str])] = &[$((stringify!($file), &[$(stringify!($name)),*])),*];
    };
}

scenarios! {
    rooms {
        entering_makes_a_room,
        nicks,
        namesakes,
        history_on_entry,
        archive_of_a_room,
        corrections_retractions_reactions,
        markers_hints_and_alerts,
        forged_ids_are_taken_off,
        self_ping,
        settings_and_lists,
        kicks,
        a_request_to_speak,
        invitations,
        subjects,
        whispers,
        seen_as_they_are,
        a_message_that_is_sent_again_comes_once,
        the_end_of_a_room,
        the_web_and_xmpp_in_one_room,
        what_cannot_be,
    }
    people {
        one_to_one,
        carbons,
        messages_wait_for_whoever_is_away,
        subscriptions,
        blocking,
        blocking_ends_presence_both_ways,
        a_client_of_another_is_asked,
        the_same_client_again,
        a_roster_that_is_known_is_not_sent_again,
        bookmarks_in_all_forms,
        cards_and_private_xml,
        one_picture_in_both_forms,
        how_far_one_has_read,
        a_client_that_nobody_looks_at,
        the_server_says_what_it_is,
        a_broken_connection_goes_on,
        wrong_passwords,
        every_way_to_sign_in,
        what_monitoring_is_told,
        administration_by_commands,
        ones_own_password_by_command,
        passwords_are_changed_in_band,
    }
    files {
        the_service_is_found,
        a_file_said_in_a_room,
        a_file_of_the_web,
        a_file_in_a_correction,
        slots_that_are_refused,
        a_file_said_to_one,
    }
    hostile {
        before_signing_in,
        acknowledgements_that_cannot_be,
        a_presence_of_any_size,
        after_signing_in,
    }
    signing_in {
        a_session_together_with_the_sign_in,
    }
    terminal {
        profanity_talks_in_a_room,
        profanity_corrects_itself,
        profanity_over_tls,
        go_sendxmpp_says_something_in_a_room,
    }
}

#[test]
fn passwords_go_over_tls_alone_unless_it_is_said_otherwise() {
    let dir = tempdir().unwrap();
    let server = serve(&dir.path().join("data"), &[("XMPP__PLAINTEXT", "false")]);
    let address = server.xmpp.clone().unwrap();
    scenario("people", "over_tls", &address, &server);
    assert!(server.stop().success());
}

#[test]
fn files_are_refused_where_none_are_taken_and_when_too_many_were_not_sent() {
    let dir = tempdir().unwrap();
    let settings = [("LIMITS__FILE_BYTES", "524288"), ("LIMITS__UNSENT_BYTES", "1048576")];
    let server = serve(&dir.path().join("data"), &settings);
    let address = server.xmpp.clone().unwrap();
    scenario("files", "where_no_files_are_taken", &address, &server);
    assert!(server.stop().success());
}

#[test]
fn without_uploads_files_have_names_alone() {
    let dir = tempdir().unwrap();
    let server = serve(&dir.path().join("data"), &[("XMPP__UPLOADS", "false")]);
    let address = server.xmpp.clone().unwrap();
    scenario("files", "without_uploads", &address, &server);
    assert!(server.stop().success());
}

#[test]
fn a_client_of_tls_1_2_binds_its_sign_in_to_the_certificate() {
    let dir = tempdir().unwrap();
    let server = serve(&dir.path().join("data"), &[("XMPP__LISTEN_TLS", "127.0.0.1:0")]);
    let address = server.xmpp_tls.clone().unwrap();
    scenario("signing_in", "bound_to_the_certificate", &address, &server);
}

#[test]
fn old_clients_sign_in_with_sha_1_where_it_is_wanted() {
    let dir = tempdir().unwrap();
    let (data, port) = (dir.path().join("data"), dir.path().join("port"));
    let mut server = Some(serve(&data, &[]));
    let address = server.as_ref().unwrap().xmpp.clone().unwrap();
    let environment = [("HOLDFAST_PORT_FILE", port.to_str().unwrap())];
    play("signing_in", "old_clients_sign_in_with_sha_1", &address, &environment, |_| {
        assert!(server.take().unwrap().stop().success());
        let settings: Vec<(&str, &str)> = SETTINGS.into_iter().chain([("XMPP__SCRAM_SHA1", "true")]).collect();
        let again = Server::start_with(&data, &settings);
        std::fs::write(port.with_extension("web"), &again.address).unwrap();
        let at = again.xmpp.clone().unwrap();
        std::fs::write(&port, at.rsplit_once(':').unwrap().1).unwrap();
        server = Some(again);
    })
    .unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn an_archive_brings_along_what_people_have() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (data, copy, archive, moved) = (path("data"), path("copy"), path("pool.zip"), path("moved"));
    let mut server = Some(serve(data.as_ref(), &[]));
    let address = server.as_ref().unwrap().xmpp.clone().unwrap();
    let environment =
        [("HOLDFAST_MOVED", moved.as_str()), ("HOLDFAST_HTTP", &server.as_ref().unwrap().address.clone())];
    play("files", "a_pool_that_moves", &address, &environment, |_| {
        assert!(server.take().unwrap().stop().success());
        let wrote = run(["export", &archive, "--data", &data]).ended(0);
        assert!(wrote.out.contains("2 one-to-one messages, 2 files"), "{}", wrote.out);
        let would = run(["import", &archive, "--data", &copy, "--what-if"]).ended(0);
        assert!(would.out.contains("2 one-to-one messages, 2 files"), "{}", would.out);
        run(["import", &archive, "--data", &copy]).ended(0);
        let again = Server::start_with(copy.as_ref(), &SETTINGS);
        std::fs::write(path("moving"), format!("{} {}", again.xmpp.clone().unwrap(), again.address)).unwrap();
        std::fs::rename(path("moving"), &moved).unwrap();
        server = Some(again);
    })
    .unwrap_or_else(|said| panic!("{said}"));
}

fn pool() -> Pool {
    let settings: Vec<(&str, &str)> = SETTINGS.into_iter().chain([("POOL__DRAIN_MINUTES", "0")]).collect();
    let pool = Pool::start(&Plan { servers: 2, settings: &settings, ..Plan::default() });
    pool.add_administrator(PEOPLE[0]);
    for name in &PEOPLE[1..] {
        pool.add_user(name);
    }
    pool
}

fn plays_in(pool: &mut Pool, name: &str, does: impl FnMut(&mut Pool, &str)) {
    let (first, second) = (pool.server(0).xmpp.clone().unwrap(), pool.server(1).xmpp.clone().unwrap());
    let mut does = does;
    let environment = [("HOLDFAST_OTHER", second.as_str()), ("HOLDFAST_PASSWORD", PASSWORD)];
    play("pool", name, &first, &environment, |what| does(pool, what)).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn two_servers_of_a_pool_are_one_and_who_was_on_a_killed_one_goes() {
    plays_in(&mut pool(), "a_killed_server", |pool, what| {
        assert_eq!(what, "kill");
        pool.kill_server(0);
    });
}

/// Plays scenarios of one server with the clients of each at two by turns.
fn plays_at_two(file: &str, names: &[&str]) {
    let pool = pool();
    let (first, second) = (pool.server(0).xmpp.clone().unwrap(), pool.server(1).xmpp.clone().unwrap());
    let web = pool.server(0).address.clone();
    let environment =
        [("HOLDFAST_SPREAD", second.as_str()), ("HOLDFAST_HTTP", web.as_str()), ("HOLDFAST_PASSWORD", PASSWORD)];
    for name in names {
        play(file, name, &first, &environment, |_| {}).unwrap_or_else(|said| panic!("{said}"));
    }
}

#[test]
fn people_on_two_servers_of_a_pool_talk_as_on_one() {
    plays_at_two(
        "people",
        &[
            "one_to_one",
            "carbons",
            "messages_wait_for_whoever_is_away",
            "subscriptions",
            "blocking",
            "blocking_ends_presence_both_ways",
            "bookmarks_in_all_forms",
            "a_client_of_another_is_asked",
            "the_same_client_again",
        ],
    );
}

#[test]
fn rooms_on_two_servers_of_a_pool_are_as_on_one() {
    plays_at_two(
        "rooms",
        &[
            "entering_makes_a_room",
            "nicks",
            "kicks",
            "a_request_to_speak",
            "settings_and_lists",
            "invitations",
            "whispers",
            "seen_as_they_are",
            "the_end_of_a_room",
        ],
    );
}

#[test]
fn what_is_said_on_two_servers_of_a_pool_is_heard_as_on_one() {
    plays_at_two(
        "rooms",
        &[
            "corrections_retractions_reactions",
            "markers_hints_and_alerts",
            "subjects",
            "the_web_and_xmpp_in_one_room",
            "namesakes",
        ],
    );
}

/// Who is on a killed server is seen to go, and what is said to him meanwhile waits for him.
#[test]
fn presence_ends_with_its_server_and_what_is_said_meanwhile_waits() {
    plays_in(&mut pool(), "presence_of_a_killed_server", |pool, what| {
        assert_eq!(what, "kill");
        pool.kill_server(0);
    });
}

#[test]
fn what_is_announced_by_the_command_line_is_heard_at_all_servers() {
    plays_in(&mut pool(), "what_is_announced", |pool, what| {
        assert_eq!(what, "announce");
        let tried = pool.cli(1, &["pool", "announce", "Cake is ready", "--what-if"]).ended(0);
        assert!(tried.out.contains("Everybody would be told: Cake is ready"), "{}", tried.out);
        assert!(pool.cli(1, &["pool", "announce", " "]).ended(1).err.contains("`TEXT` must not be empty"));
        let told = pool.cli(1, &["pool", "announce", "Tea is ready"]).ended(0);
        assert!(told.out.contains("Everybody who is connected was told"), "{}", told.out);
    });
}

#[test]
fn a_file_of_one_server_is_fetched_at_the_other() {
    let pool = pool();
    let (first, other) = (pool.server(0).xmpp.clone().unwrap(), pool.server(1).address.clone());
    let environment = [("HOLDFAST_HTTP", other.as_str()), ("HOLDFAST_PASSWORD", PASSWORD)];
    play("pool", "a_file_of_one_server", &first, &environment, |_| {}).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn a_standby_names_another_host() {
    let mut pool = pool();
    pool.cli(1, &["pool", "active", "set", "chat-2"]).ended(0);
    until("the first to be a standby", PATIENCE, || (pool.standing_count(1, "active") == 1).then_some(()));
    plays_in(&mut pool, "a_standby_sends_away", |_, _| {});
}

#[test]
fn whoever_is_moved_to_another_server_is_put_out_of_his_rooms_with_the_reason() {
    plays_in(&mut pool(), "whoever_is_moved_is_told", |pool, what| {
        assert_eq!(what, "move");
        pool.cli(1, &["pool", "active", "set", "chat-2"]).ended(0);
    });
}

#[test]
fn contacts_are_said_as_they_are_set() {
    let dir = tempdir().unwrap();
    let settings = [
        ("XMPP__CONTACT_ADMIN", r#"["mailto:admin@example.org", "xmpp:root@example.org"]"#),
        ("XMPP__CONTACT_ABUSE", r#"["mailto:abuse@example.org"]"#),
    ];
    let server = serve(&dir.path().join("data"), &settings);
    let address = server.xmpp.clone().unwrap();
    scenario("people", "contacts_are_said", &address, &server);
}

#[test]
fn users_are_told_of_an_outage() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    let server = serve(&data, &[("XMPP__STATUS_ADDRESSES", r#"["https://status.example.org/xmpp.json"]"#)]);
    let address = server.xmpp.clone().unwrap();
    let data = data.to_string_lossy().into_owned();
    let notice = |what: &[&str]| run([&["pool", "notice"], what, &["--data", &data]].concat());
    let environment = [("HOLDFAST_HTTP", server.address.as_str())];
    play("people", "outages_are_told", &address, &environment, |what| match what {
        "set" => {
            let when = ["--begins", "2031-05-12T20:00:00Z", "--ends", "2031-05-12T21:00:00Z"];
            let set = [&["set", "--message", "New disks"], &when[..]].concat();
            notice(&[&set[..], &["--what-if"]].concat()).ended(0);
            assert!(notice(&["show"]).ended(0).out.contains("no outage"), "nothing was changed");
            notice(&set).ended(0);
            assert!(notice(&["show"]).ended(0).out.contains("New disks"));
            let backwards =
                ["set", "--message", "x", "--begins", "2031-05-12T20:00:00Z", "--ends", "2031-05-12T19:00:00Z"];
            assert!(notice(&backwards).ended(1).err.contains("`--ends` must lie after the beginning"));
        }
        _ => drop(notice(&["clear"]).ended(0)),
    })
    .unwrap_or_else(|said| panic!("{said}\n{}", server.log()));
}

#[test]
fn whoever_does_not_sign_in_is_let_go() {
    let dir = tempdir().unwrap();
    let server = serve(&dir.path().join("data"), &[("XMPP__SIGN_IN_SECONDS", "1")]);
    let address = server.xmpp.clone().unwrap();
    scenario("hostile", "whoever_does_not_sign_in_is_let_go", &address, &server);
}

/// The settings that cannot be together are refused before anything starts, and say what would do.
#[test]
fn a_door_that_would_show_passwords_is_not_opened() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    for (settings, says) in [
        (
            vec![("XMPP__LISTEN", "0.0.0.0:0"), ("XMPP__DOMAIN", "example.org"), ("XMPP__PLAINTEXT", "true")],
            "xmpp.plaintext",
        ),
        (vec![("XMPP__LISTEN", "127.0.0.1:0")], "xmpp.domain"),
        (vec![("XMPP__LISTEN", "somewhere"), ("XMPP__DOMAIN", "example.org")], "listen must be empty or ADDRESS:PORT"),
        (vec![("XMPP__DOMAIN", "example.org"), ("XMPP__CERTIFICATE", "cert.pem")], "xmpp.key"),
        (vec![("XMPP__DOMAIN", "ex ample"), ("XMPP__LISTEN", "127.0.0.1:0")], "no domain"),
        (vec![("XMPP__DOMAIN", "a.example"), ("XMPP__ROOMS_DOMAIN", "a.example")], "must differ"),
        (vec![("XMPP__DOMAIN", "a.example"), ("XMPP__UPLOADS_DOMAIN", "a.example")], "xmpp.uploads_domain"),
        (vec![("LIMITS__UNSENT_BYTES", "1")], "unsent_bytes must be between"),
        (vec![("XMPP__DOMAIN", "a.example"), ("XMPP__CONTACT_ADMIN", r#"["ana"]"#)], "`ana` is no URI"),
    ] {
        let said = Server::try_start(&data, &settings).map(|_| ()).unwrap_err();
        assert!(said.contains(says), "{settings:?}: {said}");
    }
}

#[test]
fn in_a_crowd_coming_is_not_told() {
    let dir = tempdir().unwrap();
    let server = serve(&dir.path().join("data"), &[("LIMITS__ROSTER", "3")]);
    let address = server.xmpp.clone().unwrap();
    scenario("rooms", "a_crowd", &address, &server);
}

fn plays(file: &str, name: &str) {
    let dir = tempdir().unwrap();
    let server = serve(&dir.path().join("data"), &[]);
    let address = server.xmpp.clone().unwrap();
    scenario(file, name, &address, &server);
    assert!(server.stop().success());
}

#[test]
fn every_scenario_is_played() {
    for (file, names) in THERE {
        let mut there = scenarios(file);
        // Some need a server of another kind.
        let apart = [
            "over_tls",
            "contacts_are_said",
            "bound_to_the_certificate",
            "old_clients_sign_in_with_sha_1",
            "outages_are_told",
            "a_crowd",
            "whoever_does_not_sign_in_is_let_go",
            "where_no_files_are_taken",
            "a_pool_that_moves",
            "without_uploads",
        ];
        there.retain(|name| !names.contains(&name.as_str()) && !apart.contains(&name.as_str()));
        assert!(there.is_empty(), "tests/xmpp/{file}.py has scenarios that no test plays: {there:?}");
    }
}
