//! XML that a client keeps for itself (XEP-0049). Bookmarks that are kept this way are the ones that are kept otherwise.

use super::bookmarks;
use crate::limits::{ITEM_BYTES, ITEMS};
use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::{El, payload, text_of};
use minidom::Element;

/// Where it is kept.
const PRIVATE: &str = "private";

fn id_of(element: &Element) -> String {
    format!("{} {}", element.ns(), element.name())
}

impl Session {
    /// What was kept.
    pub(crate) async fn private(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let asked = payload(iq.payload).ok_or_else(|| StanzaError::bad("say which element"))?;
        let query = El::of(ns::PRIVATE_XML, "query");
        if asked.is("storage", ns::BOOKMARKS_OLD) {
            return Ok(Some(query.child(bookmarks::old_form(&self.bookmarks().await?))));
        }
        let kept = self.door.chat.kept_items(self.user(), PRIVATE).await?;
        let id = id_of(asked);
        Ok(Some(match kept.into_iter().find(|item| item.id == id) {
            Some(item) => query.raw(&item.payload),
            None => query.raw(&text_of(asked)),
        }))
    }

    /// Keeps it.
    pub(crate) async fn put_private(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let element = payload(iq.payload).ok_or_else(|| StanzaError::bad("there is nothing to keep"))?;
        if element.ns().is_empty() || element.ns() == ns::PRIVATE_XML {
            return Err(StanzaError::modify("not-acceptable").because("what is kept has a namespace of its own"));
        }
        if element.is("storage", ns::BOOKMARKS_OLD) {
            return self.replace_bookmarks(element).await.map(|()| None);
        }
        let text = text_of(element);
        if text.len() > ITEM_BYTES {
            return Err(StanzaError::modify("not-acceptable").because(format!("at most {ITEM_BYTES} bytes are kept")));
        }
        let item = (id_of(element), self.door.chat.now(), text);
        self.door.chat.keep_items(self.user(), PRIVATE, vec![item], ITEMS).await?;
        Ok(None)
    }
}
