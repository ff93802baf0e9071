//! Bookmarks of rooms: kept once, one item a room (XEP-0402), and shown to older clients as the one element that they know (XEP-0048), whether they look for it
//! among private XML (XEP-0049) or published items (XEP-0223).

use super::pubsub::{Node, Published};
use crate::ns;
use crate::session::Session;
use crate::stanza::StanzaError;
use crate::xml::{El, child_text, text_of};
use minidom::Element;

/// A bookmark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bookmark {
    jid: String,
    name: Option<String>,
    autojoin: bool,
    nick: Option<String>,
    password: Option<String>,
    /// What only newer clients know.
    extensions: String,
}

impl Bookmark {
    fn read(jid: &str, element: &Element) -> Bookmark {
        let ns = element.ns();
        Bookmark {
            jid: jid.to_owned(),
            name: element.attr("name").map(str::to_owned),
            autojoin: matches!(element.attr("autojoin"), Some("true" | "1")),
            nick: child_text(element, "nick", &ns),
            password: child_text(element, "password", &ns),
            extensions: element.get_child("extensions", ns.as_str()).map(text_of).unwrap_or_default(),
        }
    }

    fn fill(&self, conference: El) -> El {
        let mut conference =
            conference.maybe("name", self.name.as_ref()).attr("autojoin", if self.autojoin { "true" } else { "false" });
        if let Some(nick) = &self.nick {
            conference = conference.field("nick", nick);
        }
        if let Some(password) = &self.password {
            conference = conference.field("password", password);
        }
        conference
    }

    fn new_form(&self) -> String {
        self.fill(El::of(ns::BOOKMARKS_1, "conference")).raw(&self.extensions).to_string()
    }
}

/// All bookmarks as older clients know them.
pub(crate) fn old_form(bookmarks: &[Bookmark]) -> El {
    let one = |bookmark: &Bookmark| bookmark.fill(El::new("conference").attr("jid", &bookmark.jid));
    El::of(ns::BOOKMARKS_OLD, "storage").children(bookmarks.iter().map(one))
}

impl Session {
    /// All bookmarks of this person.
    pub(crate) async fn bookmarks(&mut self) -> Result<Vec<Bookmark>, StanzaError> {
        let kept = self.door.chat.kept_items(self.user(), &Node::new(ns::BOOKMARKS_1).kept_at()).await?;
        let read = |item: &holdfast_chat::keeping::Item| {
            let element: Element = item.payload.parse().ok()?;
            Some(Bookmark::read(&item.id, &element))
        };
        Ok(kept.iter().filter_map(read).collect())
    }

    /// An older client writes all bookmarks anew: what it does not name goes, what it does not know of stays.
    pub(crate) async fn replace_bookmarks(&mut self, storage: &Element) -> Result<(), StanzaError> {
        let before = self.bookmarks().await?;
        let conferences = storage.children().filter(|c| c.is("conference", ns::BOOKMARKS_OLD));
        let mut now = Vec::new();
        for conference in conferences {
            let jid = conference.attr("jid").and_then(|jid| jid::Jid::new(jid).ok());
            let jid = jid.ok_or_else(|| StanzaError::modify("jid-malformed"))?.to_bare().to_string();
            let mut bookmark = Bookmark::read(&jid, conference);
            bookmark.extensions =
                before.iter().find(|b| b.jid == jid).map(|b| b.extensions.clone()).unwrap_or_default();
            now.push(bookmark);
        }
        let node = Node::new(ns::BOOKMARKS_1);
        let gone: Vec<String> =
            before.iter().filter(|b| !now.iter().any(|n| n.jid == b.jid)).map(|b| b.jid.clone()).collect();
        let changed: Vec<Published> = now
            .iter()
            .filter(|b| !before.contains(b))
            .map(|b| Published { id: b.jid.clone(), payload: b.new_form() })
            .collect();
        self.publish_items(&node, changed).await?;
        self.retract_items(&node, gone, true).await?;
        Ok(())
    }
}
