//! What there is and what it speaks (XEP-0030).

use crate::ns;
use crate::session::Session;
use crate::xml::El;

/// What the server speaks.
pub(crate) const SERVER: &[&str] = &[
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::PING,
    ns::IQ_VERSION,
    ns::ENTITY_TIME,
    ns::CARBONS_2,
    ns::BLOCK,
    ns::VCARD_TEMP,
    ns::PRIVATE_XML,
    ns::SM_3,
    ns::CSI_0,
];

/// What a person's account speaks.
pub(crate) const ACCOUNT: &[&str] = &[
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    ns::PING,
    ns::MAM,
    ns::MAM_EXTENDED,
    ns::SID,
    ns::PUBSUB_BASE,
    "http://jabber.org/protocol/pubsub#access-whitelist",
    "http://jabber.org/protocol/pubsub#auto-create",
    "http://jabber.org/protocol/pubsub#auto-subscribe",
    "http://jabber.org/protocol/pubsub#config-node-max",
    "http://jabber.org/protocol/pubsub#delete-items",
    "http://jabber.org/protocol/pubsub#delete-nodes",
    "http://jabber.org/protocol/pubsub#filtered-notifications",
    "http://jabber.org/protocol/pubsub#item-ids",
    "http://jabber.org/protocol/pubsub#last-published",
    "http://jabber.org/protocol/pubsub#multi-items",
    "http://jabber.org/protocol/pubsub#persistent-items",
    "http://jabber.org/protocol/pubsub#publish",
    "http://jabber.org/protocol/pubsub#publish-options",
    "http://jabber.org/protocol/pubsub#retract-items",
    "http://jabber.org/protocol/pubsub#retrieve-items",
    ns::BOOKMARKS_1_COMPAT,
];

/// A description of something: its identities (category, kind, name) and features.
pub(crate) fn info<'a>(identities: &[(&str, &str, &str)], features: impl IntoIterator<Item = &'a str>) -> El {
    let identity = |(category, kind, name): &(&str, &str, &str)| {
        let identity = El::new("identity").attr("category", category).attr("type", kind);
        if name.is_empty() { identity } else { identity.attr("name", name) }
    };
    let feature = |var: &str| El::new("feature").attr("var", var);
    El::of(ns::DISCO_INFO, "query")
        .children(identities.iter().map(identity))
        .children(features.into_iter().map(feature))
}

impl Session {
    /// What the server is.
    pub(super) fn server_info(&self) -> El {
        let name = self.door.chat.options().name.clone();
        info(&[("server", "im", name.as_str()), ("pubsub", "pep", "")], SERVER.iter().chain(ACCOUNT).copied())
    }

    /// What there is at the server.
    pub(super) fn server_items(&self) -> El {
        let rooms = El::new("item").attr("jid", &self.door.domains.rooms).attr("name", "Rooms");
        El::of(ns::DISCO_ITEMS, "query").child(rooms)
    }

    /// What an account is.
    pub(crate) fn account_info(&self) -> El {
        info(&[("account", "registered", ""), ("pubsub", "pep", "")], ACCOUNT.iter().copied())
    }
}
