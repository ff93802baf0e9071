//! XMPP, end to end: the real server and slixmpp. The scenarios are in `tests/xmpp`; each has a server of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use holdfast_tests::server::Server;
use holdfast_tests::xmpp::{scenario, scenarios, serve};
use tempfile::tempdir;

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
        history_on_entry,
        archive_of_a_room,
        corrections_retractions_reactions,
        forged_ids_are_taken_off,
        self_ping,
        settings_and_lists,
        kicks,
        invitations,
        subjects,
        whispers,
        a_message_that_is_sent_again_comes_once,
        the_end_of_a_room,
        what_cannot_be,
    }
    people {
        one_to_one,
        carbons,
        messages_wait_for_whoever_is_away,
        subscriptions,
        blocking,
        bookmarks_in_all_forms,
        cards_and_private_xml,
        the_server_says_what_it_is,
        a_broken_connection_goes_on,
        wrong_passwords,
        every_way_to_sign_in,
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

/// The settings that cannot be together are refused before anything starts, and say what would do.
#[test]
fn a_door_that_would_show_passwords_is_not_opened() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    for (settings, says) in [
        (vec![("XMPP__LISTEN", "0.0.0.0:0"), ("XMPP__DOMAIN", "example.org"), ("XMPP__PLAINTEXT", "true")], "xmpp.plaintext"),
        (vec![("XMPP__LISTEN", "127.0.0.1:0")], "xmpp.domain"),
        (vec![("XMPP__LISTEN", "somewhere"), ("XMPP__DOMAIN", "example.org")], "listen must be empty or ADDRESS:PORT"),
        (vec![("XMPP__DOMAIN", "example.org"), ("XMPP__CERTIFICATE", "cert.pem")], "xmpp.key"),
        (vec![("XMPP__DOMAIN", "ex ample"), ("XMPP__LISTEN", "127.0.0.1:0")], "no domain"),
        (vec![("XMPP__DOMAIN", "a.example"), ("XMPP__ROOMS_DOMAIN", "a.example")], "must differ"),
    ] {
        let said = Server::try_start(&data, &settings).map(|_| ()).unwrap_err();
        assert!(said.contains(says), "{settings:?}: {said}");
    }
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
        // One needs a server of another kind.
        there.retain(|name| !names.contains(&name.as_str()) && name != "over_tls");
        assert!(there.is_empty(), "tests/xmpp/{file}.py has scenarios that no test plays: {there:?}");
    }
}
