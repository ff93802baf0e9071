//! Who answers which question.

use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::El;
use holdfast_domain::rights::{self, Action};
use holdfast_domain::{PrincipalId, RoomId};

type Answer = Result<Option<El>, StanzaError>;

impl Session {
    /// What is asked of the server.
    pub(crate) async fn ask_server(&mut self, iq: &Iq<'_>) -> Answer {
        let node = iq.payload.attr("node").is_some_and(|node| !node.is_empty());
        match (iq.payload.name(), iq.payload.ns().as_str(), iq.set) {
            ("query", ns::DISCO_INFO, false) if !node => Ok(Some(self.server_info())),
            ("query", ns::DISCO_ITEMS, false) if !node => Ok(Some(self.server_items())),
            ("query", ns::DISCO_ITEMS, false) if iq.payload.attr("node") == Some(ns::COMMANDS) => {
                Ok(Some(self.command_items()))
            }
            ("query", ns::DISCO_INFO, false) => {
                let info = iq.payload.attr("node").and_then(|node| self.command_info(node));
                info.unwrap_or_else(|| Err(StanzaError::cancel("item-not-found"))).map(Some)
            }
            ("query", ns::DISCO_ITEMS, false) => Err(StanzaError::cancel("item-not-found")),
            ("command", ns::COMMANDS, true) => self.command(iq).await,
            ("query", ns::IQ_REGISTER, false) => Ok(Some(self.registered())),
            ("query", ns::IQ_REGISTER, true) => self.change_password(iq).await,
            ("query", ns::IQ_VERSION, false) => {
                let version = El::of(ns::IQ_VERSION, "query").field("name", "Holdfast");
                Ok(Some(version.field("version", env!("CARGO_PKG_VERSION"))))
            }
            ("time", ns::ENTITY_TIME, false) => {
                let now = self.door.chat.now();
                Ok(Some(El::of(ns::ENTITY_TIME, "time").field("tzo", "+00:00").field("utc", now)))
            }
            ("query", ns::IQ_LAST, false) => {
                let since = self.door.chat.status().started_at.millis();
                let seconds = (self.door.chat.now().millis() - since) / 1_000;
                Ok(Some(El::of(ns::IQ_LAST, "query").attr("seconds", seconds)))
            }
            _ => self.common(iq).await,
        }
    }

    /// What is asked of the service of rooms.
    pub(crate) async fn ask_rooms(&mut self, iq: &Iq<'_>) -> Answer {
        match (iq.payload.name(), iq.payload.ns().as_str(), iq.set) {
            ("query", ns::DISCO_INFO, false) => Ok(Some(self.rooms_info())),
            ("query", ns::DISCO_ITEMS, false) => self.rooms_items(iq).await,
            ("ping", ns::PING, false) => Ok(None),
            _ => Err(StanzaError::unavailable()),
        }
    }

    /// What is asked of a room.
    pub(crate) async fn ask_room(&mut self, room: Option<RoomId>, iq: &Iq<'_>) -> Answer {
        let found = room.filter(|room| {
            let directory = self.door.chat.directory();
            rights::may(&directory, self.user(), *room, Action::Find).is_ok()
        });
        let Some(room) = found else {
            return Err(
                StanzaError::cancel("item-not-found").because("there is no such room, or you may not know of it")
            );
        };
        match (iq.payload.name(), iq.payload.ns().as_str(), iq.set) {
            ("query", ns::DISCO_INFO, false) => match iq.payload.attr("node") {
                Some("x-roomuser-item") => Ok(Some(self.reserved_nick().attr("node", "x-roomuser-item"))),
                Some(node) if !node.is_empty() => Err(StanzaError::cancel("item-not-found")),
                _ => self.room_info(room).map(Some),
            },
            // Who is inside is told to those who are.
            ("query", ns::DISCO_ITEMS, false) => Ok(Some(El::of(ns::DISCO_ITEMS, "query"))),
            ("query", ns::MAM, _) => self.room_archive(room, iq).await,
            ("metadata", ns::MAM, false) => self.room_archive_ends(room).await,
            ("query", ns::MUC_ADMIN, _) => self.room_admin(room, iq).await,
            ("query", ns::MUC_OWNER, _) => self.room_owner(room, iq).await,
            ("moderate", ns::MESSAGE_MODERATE, true) | ("apply-to", ns::FASTEN, true) => self.moderate(room, iq).await,
            ("query", ns::IQ_REGISTER, false) => {
                // A name of the house is registered everywhere (XEP-0045 section 7.10).
                let registered = El::of(ns::IQ_REGISTER, "query").child(El::new("registered"));
                Ok(Some(registered.field("username", &self.shown)))
            }
            ("query", ns::IQ_REGISTER, true) => {
                let why = "people are put on a room's lists by its managers; ask one of them";
                Err(StanzaError::cancel("not-allowed").because(why))
            }
            ("ping", ns::PING, false) => match self.inside.contains_key(&room) {
                true => Ok(None),
                false => Err(StanzaError::cancel("not-acceptable")),
            },
            _ => Err(StanzaError::unavailable()),
        }
    }

    /// What somebody asks of his own account.
    pub(crate) async fn ask_account(&mut self, iq: &Iq<'_>) -> Answer {
        match (iq.payload.name(), iq.payload.ns().as_str(), iq.set) {
            ("query", ns::DISCO_INFO, false) => match iq.payload.attr("node") {
                Some(node) if !node.is_empty() => Err(StanzaError::cancel("item-not-found")),
                _ => Ok(Some(self.account_info())),
            },
            // Some clients leave out whom they ask.
            ("query", ns::IQ_REGISTER, false) if iq.to.is_none() => Ok(Some(self.registered())),
            ("query", ns::IQ_REGISTER, true) if iq.to.is_none() => self.change_password(iq).await,
            ("query", ns::MAM, _) => self.own_archive(iq).await,
            ("metadata", ns::MAM, false) => self.own_archive_ends().await,
            _ => self.common(iq).await,
        }
    }

    /// What is asked of somebody else's account, which the server answers.
    pub(crate) async fn ask_person(&mut self, who: PrincipalId, iq: &Iq<'_>) -> Answer {
        match (iq.payload.name(), iq.payload.ns().as_str(), iq.set) {
            ("query", ns::DISCO_INFO, false) => Ok(Some(self.account_info())),
            ("vCard", ns::VCARD_TEMP, false) => self.vcard_of(who).await,
            ("pubsub", ns::PUBSUB_BASE, false) => self.published_by(who, iq).await,
            ("query", ns::DISCO_ITEMS, false) => self.nodes_of(who).await,
            _ => Err(StanzaError::unavailable()),
        }
    }

    /// What server and account answer alike.
    async fn common(&mut self, iq: &Iq<'_>) -> Answer {
        match (iq.payload.name(), iq.payload.ns().as_str(), iq.set) {
            ("ping", ns::PING, false) => Ok(None),
            ("session", ns::IQ_SESSION, true) => Ok(None),
            ("query", ns::ROSTER, false) => self.roster(iq).await,
            ("query", ns::ROSTER, true) => self.change_roster(iq).await,
            ("enable", ns::CARBONS_2, true) => self.carbons(true),
            ("disable", ns::CARBONS_2, true) => self.carbons(false),
            ("vCard", ns::VCARD_TEMP, false) => self.vcard_of(self.user()).await,
            ("vCard", ns::VCARD_TEMP, true) => self.put_vcard(iq).await,
            ("query", ns::PRIVATE_XML, false) => self.private(iq).await,
            ("query", ns::PRIVATE_XML, true) => self.put_private(iq).await,
            ("blocklist", ns::BLOCK, false) => self.blocked().await,
            ("block", ns::BLOCK, true) => self.block(iq).await,
            ("unblock", ns::BLOCK, true) => self.unblock(iq).await,
            ("pubsub", ns::PUBSUB_BASE | ns::PUBSUB_OWNER, _) => self.pubsub(iq).await,
            ("query", ns::DISCO_ITEMS, false) => self.nodes_of(self.user()).await,
            _ => Err(StanzaError::unavailable()),
        }
    }
}
