//! vCards (XEP-0054): what somebody's clients say of him, or what the house knows.

use crate::limits::ITEM_BYTES;
use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::{El, text_within};
use holdfast_chat::view::Person;
use holdfast_domain::PrincipalId;

/// Where it is kept.
pub(super) const VCARD: &str = "vcard";

impl Session {
    /// The vCard of somebody.
    pub(crate) async fn vcard_of(&mut self, who: PrincipalId) -> Result<Option<El>, StanzaError> {
        let kept = self.door.chat.kept_items(who, VCARD).await?;
        if let Some(item) = kept.first() {
            return Ok(Some(El::of(ns::VCARD_TEMP, "vCard").raw(&item.payload)));
        }
        let person = Person::of(&self.door.chat.directory(), who);
        let card = El::of(ns::VCARD_TEMP, "vCard").field("FN", &person.display_name);
        Ok(Some(card.field("NICKNAME", &person.name)))
    }

    /// Keeps this person's own.
    pub(crate) async fn put_vcard(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        if iq.to.as_ref().is_some_and(|to| to.to_bare() != self.bare) {
            return Err(StanzaError::auth("forbidden").because("that is somebody else's vCard"));
        }
        let content: String = iq.payload.children().map(|c| text_within(ns::VCARD_TEMP, c)).collect();
        if content.len() > ITEM_BYTES {
            return Err(
                StanzaError::modify("not-acceptable").because(format!("a vCard has at most {ITEM_BYTES} bytes"))
            );
        }
        let item = (VCARD.to_owned(), self.door.chat.now(), content);
        self.door.chat.keep_items(self.user(), VCARD, vec![item], 1).await?;
        self.publish_picture_of(iq.payload).await?;
        Ok(None)
    }
}
