//! Messages of others, taken out of sight by those who moderate (XEP-0425, in its present form and the one before).

use super::saying::find;
use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::{El, child_text};
use holdfast_domain::{ClientId, RoomId};
use minidom::Element;
use uuid::Uuid;

/// What is asked: which message, and why.
fn asked(payload: &Element) -> Option<(&str, Option<String>)> {
    if payload.is("moderate", ns::MESSAGE_MODERATE) && payload.has_child("retract", ns::MESSAGE_RETRACT) {
        return Some((payload.attr("id")?, child_text(payload, "reason", ns::MESSAGE_MODERATE)));
    }
    let moderate = payload.get_child("moderate", ns::MESSAGE_MODERATE_OLD)?;
    moderate.get_child("retract", ns::MESSAGE_RETRACT_OLD)?;
    Some((payload.attr("id")?, child_text(moderate, "reason", ns::MESSAGE_MODERATE_OLD)))
}

impl Session {
    /// Takes a message out of sight.
    pub(crate) async fn moderate(&mut self, room: RoomId, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let (id, reason) =
            asked(iq.payload).ok_or_else(|| StanzaError::bad("say which message, by its id, and `retract`"))?;
        let seq = find(&self.door.chat, &self.caller, room, id).await?;
        let reason = reason.filter(|r| !r.trim().is_empty()).unwrap_or_else(|| "removed by a moderator".to_owned());
        let client_id = ClientId(Uuid::new_v4());
        self.door.chat.retract_or_remove(&self.caller, room, seq, client_id, Some(reason)).await?;
        Ok(None)
    }
}
