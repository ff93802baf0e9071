//! XMPP, end to end: the real server with slixmpp, Profanity and go-sendxmpp. The scenarios are in `tests/xmpp`; each has a server of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

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
    terminal {
        profanity_talks_in_a_room,
        profanity_corrects_itself,
        profanity_over_tls,
        go_sendxmpp_says_something_in_a_room,
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
        there.retain(|name| !names.contains(&name.as_str()));
        assert!(there.is_empty(), "tests/xmpp/{file}.py has scenarios that no test plays: {there:?}");
    }
}
