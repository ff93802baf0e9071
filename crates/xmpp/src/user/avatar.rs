//! One picture of a person, whichever way his clients keep it: published (XEP-0084) or in the vCard (XEP-0153). Each is made of the other (XEP-0398),
//! and what is kept now is named in his presence.

use super::pubsub::{Node, Published};
use super::vcard::VCARD;
use crate::elsewhere::parcel::Common;
use crate::limits::ITEM_BYTES;
use crate::ns;
use crate::session::Session;
use crate::stanza::StanzaError;
use crate::xml::{El, child_text, text_within};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_chat::keeping::Item;
use minidom::Element;
use sha1::{Digest as _, Sha1};
use std::fmt::Write as _;

/// A picture.
struct Picture {
    bytes: Vec<u8>,
    kind: String,
}

impl Picture {
    /// How it is known: SHA-1, in hexadecimal digits.
    fn id(&self) -> String {
        Sha1::digest(&self.bytes).iter().fold(String::with_capacity(40), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        })
    }

    fn of(base64: &str, kind: String) -> Option<Picture> {
        let plain: String = base64.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let bytes = STANDARD.decode(plain).ok().filter(|bytes| !bytes.is_empty())?;
        Some(Picture { bytes, kind })
    }

    /// The picture in a vCard, if there is one.
    fn in_card(card: &Element) -> Option<Picture> {
        let photo = card.get_child("PHOTO", ns::VCARD_TEMP)?;
        let kind = child_text(photo, "TYPE", ns::VCARD_TEMP).unwrap_or_else(|| "image/png".to_owned());
        Picture::of(&child_text(photo, "BINVAL", ns::VCARD_TEMP)?, kind)
    }
}

/// A client's presence with the picture that is kept, unless it says that it has none (XEP-0398 section 4).
fn with_picture(mut presence: Element, kept: &str) -> Element {
    let said = presence.get_child("x", ns::VCARD_UPDATE);
    if said.and_then(|x| child_text(x, "photo", ns::VCARD_UPDATE)).is_some_and(|photo| photo.is_empty()) {
        return presence;
    }
    while presence.remove_child("x", ns::VCARD_UPDATE).is_some() {}
    let photo = Element::builder("photo", ns::VCARD_UPDATE).append(kept).build();
    presence.append_child(Element::builder("x", ns::VCARD_UPDATE).append(photo).build());
    presence
}

impl Session {
    /// An available presence of this client as others are to see it.
    pub(crate) async fn with_own_picture(&mut self, presence: &Element) -> Element {
        let kept = match self.resource.state().picture {
            Some(kept) => kept,
            None => {
                // Looked for again with the next presence, if it cannot be read.
                if let Ok(kept) = self.door.chat.kept_items(self.user(), VCARD).await {
                    self.know_picture_in(&kept);
                }
                self.resource.state().picture.flatten()
            }
        };
        match kept {
            Some(kept) => with_picture(presence.clone(), &kept),
            None => presence.clone(),
        }
    }

    /// Has all clients of this person here know the picture in what is kept of his vCard.
    pub(crate) fn know_picture_in(&self, kept: &[Item]) {
        let card = kept.first().map(|item| El::of(ns::VCARD_TEMP, "vCard").raw(&item.payload).to_string());
        let card = card.and_then(|card| card.parse::<Element>().ok());
        let picture = card.as_ref().and_then(Picture::in_card).map(|picture| picture.id());
        self.door.resources.know(self.user(), &Common::Picture(picture));
    }

    /// This person's vCard, as it is told.
    async fn card(&mut self) -> Result<Element, StanzaError> {
        let card = self.vcard_of(self.user()).await?.unwrap_or_else(|| El::of(ns::VCARD_TEMP, "vCard"));
        let unread = |error| StanzaError::wait("internal-server-error").because(format!("the vCard: {error}"));
        card.to_string().parse().map_err(unread)
    }

    /// A vCard was put: its picture is published, or that there is none.
    pub(crate) async fn publish_picture_of(&mut self, card: &Element) -> Result<(), StanzaError> {
        let picture = Picture::in_card(card);
        let id = picture.as_ref().map(Picture::id);
        self.door.let_know(self.user(), Common::Picture(id.clone()));
        let node = Node::new(ns::AVATAR_METADATA);
        let now = self.door.chat.kept_items(self.user(), &node.kept_at()).await?;
        let told = now.last().filter(|item| item.payload.contains("<info"));
        match (picture, id) {
            (Some(picture), Some(id)) if told.is_none_or(|item| item.id != id) => {
                let data = El::of(ns::AVATAR_DATA, "data").text(STANDARD.encode(&picture.bytes)).to_string();
                let info =
                    El::new("info").attr("bytes", picture.bytes.len()).attr("id", &id).attr("type", &picture.kind);
                let metadata = El::of(ns::AVATAR_METADATA, "metadata").child(info).to_string();
                self.publish_items(&Node::new(ns::AVATAR_DATA), vec![Published { id: id.clone(), payload: data }])
                    .await?;
                self.publish_items(&node, vec![Published { id, payload: metadata }]).await
            }
            (None, _) if told.is_some() => {
                let payload = El::of(ns::AVATAR_METADATA, "metadata").to_string();
                self.publish_items(&node, vec![Published { id: "current".to_owned(), payload }]).await
            }
            _ => Ok(()),
        }
    }

    /// A picture was published, or that there is none: so is the vCard's. One that is elsewhere, or whose data is not what its name says, changes nothing.
    pub(crate) async fn put_published_picture(&mut self, metadata: &Element) -> Result<(), StanzaError> {
        let infos: Vec<&Element> = metadata.children().filter(|c| c.is("info", ns::AVATAR_METADATA)).collect();
        let picture = match infos.iter().find(|info| info.attr("url").is_none()) {
            Some(info) => {
                let id = info.attr("id").unwrap_or_default();
                let data = self.door.chat.kept_items(self.user(), &Node::new(ns::AVATAR_DATA).kept_at()).await?;
                let data = data.iter().find(|item| item.id == id).and_then(|item| item.payload.parse::<Element>().ok());
                let kind = info.attr("type").unwrap_or("image/png").to_owned();
                match data.and_then(|data| Picture::of(&data.text(), kind)).filter(|picture| picture.id() == id) {
                    Some(picture) => Some(picture),
                    None => return Ok(()),
                }
            }
            None if infos.is_empty() => None,
            None => return Ok(()),
        };
        let card = self.card().await?;
        let rest = card.children().filter(|c| !c.is("PHOTO", ns::VCARD_TEMP));
        let mut kept: String = rest.map(|c| text_within(ns::VCARD_TEMP, c)).collect();
        if let Some(picture) = &picture {
            let photo = El::new("PHOTO").field("TYPE", &picture.kind).field("BINVAL", STANDARD.encode(&picture.bytes));
            let _ = write!(kept, "{photo}");
        }
        if kept.len() > ITEM_BYTES {
            tracing::debug!(user = %self.user(), "a published picture is too large for the vCard beside it");
            return Ok(());
        }
        let item = (VCARD.to_owned(), self.door.chat.now(), kept);
        self.door.chat.keep_items(self.user(), VCARD, vec![item], 1).await?;
        self.door.let_know(self.user(), Common::Picture(picture.map(|picture| picture.id())));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_that_is_kept_is_named_unless_the_client_has_none() {
        let shown = |inner: &str| {
            let presence = format!("<presence xmlns='jabber:client'><status>s</status>{inner}</presence>");
            let shown = with_picture(presence.parse().unwrap(), "abc");
            let x: Vec<&Element> = shown.children().filter(|c| c.is("x", ns::VCARD_UPDATE)).collect();
            assert_eq!((x.len(), shown.children().count()), (1, 2));
            child_text(x[0], "photo", ns::VCARD_UPDATE)
        };
        let x = |photo: &str| format!("<x xmlns='vcard-temp:x:update'>{photo}</x>");
        for said in [String::new(), x(""), x("<photo>old</photo>")] {
            assert_eq!(shown(&said).as_deref(), Some("abc"), "{said}");
        }
        assert_eq!(shown(&x("<photo/>")).as_deref(), Some(""), "it says that it has none");
    }

    #[test]
    fn a_picture_is_known_by_what_it_is() {
        let card =
            |inner: &str| format!("<vCard xmlns='vcard-temp'><FN>A</FN>{inner}</vCard>").parse::<Element>().unwrap();
        let photo = "<PHOTO><TYPE>image/png</TYPE><BINVAL>aGVs\nbG8=</BINVAL></PHOTO>";
        let picture = Picture::in_card(&card(photo)).unwrap();
        assert_eq!(
            (picture.id().as_str(), picture.kind.as_str()),
            ("aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", "image/png")
        );
        for none in ["", "<PHOTO/>", "<PHOTO><BINVAL>?</BINVAL></PHOTO>", "<PHOTO><EXTVAL>http://x</EXTVAL></PHOTO>"] {
            assert!(Picture::in_card(&card(none)).is_none(), "{none}");
        }
    }
}
