//! What can be learnt of the room service and of each room (XEP-0030, XEP-0045 section 6).

use super::config::{field, form_type};
use crate::ns;
use crate::server::disco::info;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::El;
use holdfast_chat::rooms::RoomFilter;
use holdfast_domain::RoomId;
use holdfast_domain::rights::{self, Action};
use holdfast_domain::room::{Privacy, RoomType};

/// Rooms that are listed at a time.
const LISTED: usize = 500;

/// What the service of rooms speaks.
pub(crate) const SERVICE: &[&str] = &[ns::DISCO_INFO, ns::DISCO_ITEMS, ns::MUC, ns::PING, ns::RSM, ns::OID, ns::HATS];

/// What each room speaks.
pub(crate) const ROOM: &[&str] = &[
    ns::DISCO_INFO,
    ns::MUC,
    ns::MUC_STABLE_ID,
    ns::MUC_SELF_PING,
    ns::MUC_REQUEST,
    ns::MAM,
    ns::MAM_EXTENDED,
    ns::RSM,
    ns::SID,
    ns::OID,
    ns::HATS,
    ns::MESSAGE_RETRACT,
    ns::MESSAGE_RETRACT_TOMBSTONE,
    ns::MESSAGE_MODERATE,
    ns::PING,
];

impl Session {
    /// What the service of rooms is.
    pub(crate) fn rooms_info(&self) -> El {
        info(&[("conference", "text", "Rooms")], SERVICE.iter().copied())
    }

    /// The rooms that this person may find.
    pub(crate) async fn rooms_items(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let set = iq.payload.get_child("set", ns::RSM).cloned().map(xmpp_parsers::rsm::SetQuery::try_from);
        let set = set.transpose().map_err(|error| StanzaError::bad(error.to_string()))?;
        let limit = set.as_ref().and_then(|s| s.max).unwrap_or(LISTED).min(LISTED);
        let after = set.as_ref().and_then(|s| s.after.as_ref()?.parse().ok()).map(RoomId);
        let filter = RoomFilter { after, limit, ..RoomFilter::default() };
        let (found, _) = self.door.chat.rooms(&self.caller, filter).await?;
        let (first, last) = (found.first().map(|v| v.room.id), found.last().map(|v| v.room.id));
        let directory = self.door.chat.directory();
        let item = |view: &holdfast_chat::view::RoomView| {
            El::new("item").attr("jid", self.door.domains.of_room(&directory, &view.room)).attr("name", &view.room.name)
        };
        let mut query = El::of(ns::DISCO_ITEMS, "query").children(found.iter().map(item));
        if set.is_some() {
            let mut result = El::of(ns::RSM, "set");
            if let (Some(first), Some(last)) = (first, last) {
                result = result.field("first", first).field("last", last);
            }
            query = query.child(result);
        }
        Ok(Some(query))
    }

    /// What a room is.
    pub(crate) fn room_info(&self, room: RoomId) -> Result<El, StanzaError> {
        let chat = &self.door.chat;
        let present = {
            let occupants = self.door.occupants.len(room);
            occupants + self.door.others_in(room).len()
        };
        let directory = chat.directory();
        let state = self.allowed(&directory, room, Action::Find)?;
        let settings = &state.room;
        let mut features: Vec<&str> = ROOM.to_vec();
        let pick = |is: bool, yes: &'static str, no: &'static str| if is { yes } else { no };
        features.extend([
            "muc_persistent",
            "muc_nonanonymous",
            "muc_unsecured",
            pick(settings.privacy == Privacy::Secret, "muc_hidden", "muc_public"),
            pick(settings.privacy == Privacy::Open, "muc_open", "muc_membersonly"),
            pick(settings.room_type == RoomType::Auditorium, "muc_moderated", "muc_unmoderated"),
        ]);
        let history = directory.category(settings.category).is_some_and(|c| c.history);
        let category = directory.category(settings.category).map(|c| c.name.to_string()).unwrap_or_default();
        let manages = rights::may(&directory, self.user(), room, Action::Configure).is_ok();
        let form = El::of(ns::DATA_FORMS, "x")
            .attr("type", "result")
            .child(form_type(ns::MUC_ROOM_INFO))
            .child(field("muc#roomconfig_roomname", "text-single", "Name", &settings.name))
            .child(field("muc#roominfo_description", "text-single", "What it is for", &settings.description))
            .child(field("muc#roominfo_subject", "text-single", "Subject", &settings.subject))
            .child(field("muc#roominfo_subjectmod", "boolean", "You may change the subject", u8::from(manages)))
            .child(field("muc#roominfo_occupants", "text-single", "People in it", present))
            .child(field("muc#maxhistoryfetch", "text-single", "Messages on entering", if history { 500 } else { 0 }))
            .child(field("holdfast#category", "text-single", "Category", category));
        Ok(info(&[("conference", "text", settings.name.as_str())], features).child(form))
    }

    /// The nick that is this person's own in a room.
    pub(crate) fn reserved_nick(&self) -> El {
        info(&[("conference", "text", self.shown.as_str())], [ns::MUC])
    }
}
