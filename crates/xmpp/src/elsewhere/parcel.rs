//! What the XMPP doors of a pool's servers say to each other.

use crate::limits::STANZA_ELSEWHERE_BYTES;
use crate::muc::farewell::Farewell;
use crate::muc::standing::Standing;
use crate::stanza::StanzaError;
use holdfast_domain::{PrincipalId, RoomId, Time};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use uuid::Uuid;

/// Something for the other servers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Parcel {
    /// A client of the server that says so is there, or something about it has changed.
    Client(Client),
    /// A client of that server is not there any more: its number.
    Left(u64),
    /// Some of all clients of that server; with the last of them, those that were not named are not there.
    Clients { first: bool, last: bool, some: Vec<Client> },
    /// A stanza for a client. `waits`: the number of a message between two people that waits in the store until it is given out.
    Tell {
        to: Address,
        stanza: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waits: Option<i64>,
    },
    /// A stanza for all available clients of somebody, also those that the sender does not know of yet.
    All { user: PrincipalId, stanza: String },
    /// A connection is to end.
    End(Address),
    /// Something that all clients of a person's have in common has changed.
    Common(PrincipalId, Common),
    /// A message waits for somebody whose client may have come meanwhile.
    Waiting(PrincipalId),
    /// A client of the server that says so sits in a room, or something about that has changed.
    Seat(Seated),
    /// A client of that server, by its number, sits in a room no longer. `farewell`: what those who stay are told, if they are.
    Unseat { key: u64, room: RoomId, farewell: Option<Farewell> },
    /// Some of all seats of that server; with the last of them, those that were not named are not taken.
    Seats { first: bool, last: bool, some: Vec<Seated> },
    /// Something of the moment for all who are in a room.
    Passing { room: RoomId, stanza: String },
    /// A client is to be sent out of a room.
    Kick { to: Address, room: RoomId, by: String, reason: String },
}

impl Parcel {
    /// Whether it is what servers say of their clients, rather than what a client sends to another: that has a limit.
    pub(crate) fn is_of_the_servers(&self) -> bool {
        let of_clients = matches!(self, Parcel::Client(_) | Parcel::Clients { .. } | Parcel::Common(..));
        of_clients || matches!(self, Parcel::Seat(_) | Parcel::Unseat { .. } | Parcel::Seats { .. })
    }
}

/// The answer to a client that sends too much to one at another server.
pub(crate) fn too_large_for_elsewhere() -> StanzaError {
    let why = format!("a client at another server gets stanzas of at most {STANZA_ELSEWHERE_BYTES} bytes");
    StanzaError::modify("not-acceptable").because(why)
}

/// Which client is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Address {
    /// The run of the server that it is connected to.
    pub(crate) run: Uuid,
    /// Whose it is.
    pub(crate) user: PrincipalId,
    /// Its number there.
    pub(crate) key: u64,
}

/// A client, as the others know it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Client {
    /// Its number at its server.
    pub(crate) key: u64,
    /// Whose it is.
    pub(crate) user: PrincipalId,
    /// Its full address.
    pub(crate) jid: String,
    /// The last part of it.
    pub(crate) name: String,
    /// Since when it is connected.
    pub(crate) since: Time,
    /// The rest.
    #[serde(flatten)]
    pub(crate) seen: Seen,
}

/// What may change about a client and matters to others.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Seen {
    /// Whether it is becoming available.
    pub(crate) coming: bool,
    /// Its presence's content while it is available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) presence: Option<String>,
    /// Its priority.
    pub(crate) priority: i8,
    /// Whether it gets copies (XEP-0280).
    pub(crate) carbons: bool,
    /// Whether it is told of changes of the roster.
    pub(crate) interested: bool,
    /// Whom its owner blocks.
    #[serde(skip_serializing_if = "HashSet::is_empty")]
    pub(crate) blocks: HashSet<String>,
    /// The nodes of which it wants to be told.
    #[serde(skip_serializing_if = "HashSet::is_empty")]
    pub(crate) wants: HashSet<String>,
}

/// What all clients of a person's have in common.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Common {
    /// Whom he blocks: bare addresses and domains.
    Blocks(HashSet<String>),
    /// His picture, by its hash.
    Picture(Option<String>),
}

/// A client in a room.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Seated {
    /// Its number at its server.
    pub(crate) key: u64,
    /// Whose it is.
    pub(crate) user: PrincipalId,
    /// Where.
    pub(crate) room: RoomId,
    /// Under which name.
    pub(crate) nick: String,
    /// Its full address.
    pub(crate) jid: String,
    /// What its presence in the room says.
    pub(crate) presence: String,
    /// What he is to the room from now on, if that is to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) standing: Option<Standing>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parcels_arrive_as_they_were_sent() {
        let to = Address { run: Uuid::from_u128(7), user: PrincipalId(10), key: 3 };
        let seen = Seen { presence: Some("<show>away</show>".into()), priority: -1, carbons: true, ..Seen::default() };
        let client = Client {
            key: 3,
            user: PrincipalId(10),
            jid: "ana@example.com/phone".into(),
            name: "phone".into(),
            since: Time::from_millis(1_000),
            seen,
        };
        let (room, user) = (RoomId(4), PrincipalId(10));
        let seated = Seated {
            key: 3,
            user,
            room,
            nick: "Ana".into(),
            jid: "ana@example.com/phone".into(),
            presence: "<show>away</show>".into(),
            standing: Some(Standing::NOTHING),
        };
        let blocks = Common::Blocks(HashSet::from(["boris@example.com".to_owned()]));
        for parcel in [
            Parcel::Client(client.clone()),
            Parcel::Left(3),
            Parcel::Clients { first: true, last: false, some: vec![client] },
            Parcel::Tell { to, stanza: "<message/>".into(), waits: Some(8) },
            Parcel::All { user, stanza: "<presence/>".into() },
            Parcel::End(to),
            Parcel::Common(user, blocks),
            Parcel::Common(user, Common::Picture(None)),
            Parcel::Waiting(user),
            Parcel::Seat(seated.clone()),
            Parcel::Unseat { key: 3, room, farewell: None },
            Parcel::Unseat { key: 3, room, farewell: Some(Farewell::default()) },
            Parcel::Unseat { key: 3, room, farewell: Some(Farewell::kicked("ana", "enough")) },
            Parcel::Seats { first: true, last: false, some: vec![Seated { standing: None, ..seated }] },
            Parcel::Passing { room, stanza: "<message/>".into() },
            Parcel::Kick { to, room, by: "ana".into(), reason: String::new() },
        ] {
            let text = serde_json::to_string(&parcel).unwrap();
            assert_eq!(serde_json::from_str::<Parcel>(&text).unwrap(), parcel, "{text}");
        }
    }
}
