//! What the XMPP door counts, as monitoring is told it: the doors know nothing of each other.

use holdfast_http::{Figure, Figures};
use holdfast_xmpp::Door;
use std::sync::Arc;

/// The figures of the XMPP door.
pub(crate) fn of_xmpp(door: Door) -> Figures {
    Arc::new(move || {
        let now = door.figures();
        let gauge = |name, help, value| Figure { name, help, value, counts: false };
        let counter = |name, help, value| Figure { name, help, value, counts: true };
        vec![
            gauge("xmpp_connections", "Connections, those that have not signed in included", now.connections),
            gauge("xmpp_clients", "Clients that are signed in, or may still take their session up again", now.clients),
            gauge("xmpp_room_places", "Places in rooms that clients have", now.places),
            counter("xmpp_sign_ins", "Sign-ins", now.sign_ins),
            counter("xmpp_refused_sign_ins", "Attempts to sign in that were refused", now.refused),
            counter("xmpp_resumptions", "Sessions that a new connection took up again", now.resumed),
            counter("xmpp_received_stanzas", "Stanzas that clients sent", now.received),
            counter("xmpp_sent_stanzas", "Stanzas that clients were sent", now.sent),
        ]
    })
}
