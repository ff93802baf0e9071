//! People of whom somebody wants to hear nothing (XEP-0191).

use crate::limits::BLOCKED;
use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::El;
use holdfast_domain::PrincipalId;
use jid::Jid;
use minidom::Element;

/// Where the list is kept.
const LIST: &str = "blocked";

impl Session {
    /// The list.
    pub(crate) async fn blocked(&mut self) -> Result<Option<El>, StanzaError> {
        let list = self.door.chat.kept_items(self.user(), LIST).await?;
        Ok(Some(El::of(ns::BLOCK, "blocklist").children(list.iter().map(|i| El::new("item").attr("jid", &i.id)))))
    }

    /// Adds to it.
    pub(crate) async fn block(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let jids = jids(iq.payload)?;
        if jids.is_empty() {
            return Err(StanzaError::bad("say whom"));
        }
        let now = self.door.chat.now();
        let items = jids.iter().map(|jid| (jid.clone(), now, String::new())).collect();
        self.door.chat.keep_items(self.user(), LIST, items, BLOCKED).await?;
        self.tell_own(&El::of(ns::BLOCK, "block").children(jids.iter().map(|j| El::new("item").attr("jid", j))));
        Ok(None)
    }

    /// Takes from it; everybody, if nobody is named.
    pub(crate) async fn unblock(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let jids = jids(iq.payload)?;
        if jids.is_empty() {
            self.door.chat.drop_node(self.user(), LIST).await?;
        } else {
            self.door.chat.drop_items(self.user(), LIST, jids.clone()).await?;
        }
        self.tell_own(&El::of(ns::BLOCK, "unblock").children(jids.iter().map(|j| El::new("item").attr("jid", j))));
        Ok(None)
    }

    fn tell_own(&self, payload: &El) {
        for resource in self.door.resources.of(self.user()) {
            let id = format!("block-{}", uuid::Uuid::new_v4().simple());
            let push = El::new("iq").attr("to", &resource.jid).attr("type", "set").attr("id", id);
            resource.teller.tell(push.child(payload.clone()).to_string().into());
        }
    }

    /// Refuses what one of the two does not want.
    pub(crate) async fn check_blocked(&mut self, who: PrincipalId) -> Result<(), StanzaError> {
        if who == self.user() {
            return Ok(());
        }
        let own = self.bare.to_string();
        if self.blocks(who, &own).await? {
            // As if nobody were there (XEP-0191 section 3.3).
            return Err(StanzaError::unavailable());
        }
        let them = self.address_of(who);
        if self.blocks(self.user(), &them).await? {
            let why = format!("you have blocked {them}");
            return Err(StanzaError::cancel("not-acceptable").because(why).with(El::of(ns::BLOCK_ERRORS, "blocked")));
        }
        Ok(())
    }

    async fn blocks(&mut self, who: PrincipalId, jid: &str) -> Result<bool, StanzaError> {
        let list = self.door.chat.kept_items(who, LIST).await?;
        let domain = jid.split_once('@').map_or(jid, |(_, domain)| domain);
        Ok(list.iter().any(|item| item.id == jid || item.id == domain))
    }
}

fn jids(payload: &Element) -> Result<Vec<String>, StanzaError> {
    let items = payload.children().filter(|c| c.is("item", ns::BLOCK));
    let jid = |item: &Element| {
        let jid = item.attr("jid").and_then(|jid| Jid::new(jid).ok());
        jid.map(|jid| jid.to_bare().to_string()).ok_or_else(|| StanzaError::modify("jid-malformed"))
    };
    items.map(jid).take(BLOCKED).collect()
}
