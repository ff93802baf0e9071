//! What there is and what it speaks (XEP-0030).

use crate::muc::config::form_type;
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
    ns::COMMANDS,
    ns::IQ_REGISTER,
    ns::IQ_LAST,
    ns::OFFLINE,
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
    ns::AVATAR_CONVERSION,
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

/// A form with what else there is to be said (XEP-0128): fields of several values; none if all are empty.
fn said(kind: &str, fields: &[(&str, Vec<String>)]) -> Option<El> {
    let some = fields.iter().any(|(_, values)| !values.is_empty());
    let field = |(var, values): &(&str, Vec<String>)| {
        let field = El::new("field").attr("var", var).attr("type", "list-multi");
        field.children(values.iter().map(|value| El::new("value").text(value)))
    };
    let form = El::of(ns::DATA_FORMS, "x").attr("type", "result").child(form_type(kind));
    some.then(|| form.children(fields.iter().filter(|(_, values)| !values.is_empty()).map(field)))
}

impl Session {
    /// What the server is.
    pub(super) fn server_info(&self) -> El {
        let name = self.door.chat.options().name.clone();
        let info =
            info(&[("server", "im", name.as_str()), ("pubsub", "pep", "")], SERVER.iter().chain(ACCOUNT).copied());
        let options = &self.door.options;
        let status = self.door.status_addresses();
        let contacts = [
            ("abuse-addresses", options.contact_abuse.clone()),
            ("admin-addresses", options.contact_admin.clone()),
            ("security-addresses", options.contact_security.clone()),
            ("status-addresses", status.clone()),
            ("support-addresses", options.contact_support.clone()),
        ];
        let outage = [("external-status-addresses", status)];
        info.children(said(ns::SERVER_INFO, &contacts)).children(said(ns::OUTAGE, &outage))
    }

    /// What there is at the server.
    pub(super) fn server_items(&self) -> El {
        let rooms = El::new("item").attr("jid", &self.door.domains.rooms).attr("name", "Rooms");
        let uploads = self.door.domains.uploads.as_ref().filter(|_| self.door.files_base().is_some());
        let uploads = uploads.map(|jid| El::new("item").attr("jid", jid).attr("name", "HTTP File Upload"));
        El::of(ns::DISCO_ITEMS, "query").child(rooms).children(uploads)
    }

    /// What an account is.
    pub(crate) fn account_info(&self) -> El {
        info(&[("account", "registered", ""), ("pubsub", "pep", "")], ACCOUNT.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::UPLOADS;
    use crate::muc::info::{ROOM, SERVICE};
    use std::collections::BTreeSet;

    /// Which extension each feature is of; those of a stream are announced in its beginning.
    const FEATURES: &[(&str, &str)] = &[
        (ns::DISCO_INFO, "0030"),
        (ns::DISCO_ITEMS, "0030"),
        (ns::PING, "0199"),
        (ns::IQ_VERSION, "0092"),
        (ns::ENTITY_TIME, "0202"),
        (ns::CARBONS_2, "0280"),
        (ns::BLOCK, "0191"),
        (ns::VCARD_TEMP, "0054"),
        (ns::PRIVATE_XML, "0049"),
        (ns::SM_3, "0198"),
        (ns::CSI_0, "0352"),
        (ns::COMMANDS, "0050"),
        (ns::IQ_REGISTER, "0077"),
        (ns::IQ_LAST, "0012"),
        (ns::OFFLINE, "0160"),
        (ns::MAM, "0313"),
        (ns::MAM_EXTENDED, "0313"),
        (ns::SID, "0359"),
        (ns::BOOKMARKS_1_COMPAT, "0402"),
        (ns::AVATAR_CONVERSION, "0398"),
        (ns::MUC, "0045"),
        (ns::MUC_STABLE_ID, "0045"),
        (ns::MUC_REQUEST, "0045"),
        (ns::MUC_SELF_PING, "0410"),
        (ns::RSM, "0059"),
        (ns::OID, "0421"),
        (ns::HATS, "0317"),
        (ns::MESSAGE_RETRACT, "0424"),
        (ns::MESSAGE_RETRACT_TOMBSTONE, "0424"),
        (ns::MESSAGE_MODERATE, "0425"),
        (ns::SASL_CB_TYPES, "0440"),
        (ns::HTTP_UPLOAD, "0363"),
        (ns::LIMITS, "0478"),
    ];
    /// Extensions that nothing announces.
    const SILENT: &[&str] = &[
        "0004", "0048", "0066", "0084", "0085", "0106", "0115", "0156", "0163", "0203", "0223", "0224", "0249", "0297",
        "0133", "0153", "0157", "0308", "0333", "0334", "0368", "0386", "0388", "0431", "0444", "0455", "0490",
    ];

    fn extension(feature: &str) -> &'static str {
        // All of one extension, each with a name behind it.
        if feature.split('#').next() == Some(ns::PUBSUB_BASE) {
            return "0060";
        }
        let found = FEATURES.iter().find(|(of, _)| *of == feature);
        found.unwrap_or_else(|| panic!("of which extension is `{feature}`?")).1
    }

    fn text(path: &str) -> String {
        std::fs::read_to_string(format!("{}/../../docs/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    /// Number and version of each extension that follows `before`; the version stands between `from` and `to`.
    fn versions(text: &str, before: &str, from: &str, to: &str) -> Vec<(String, String)> {
        let one = |rest: &str| {
            let version = rest.split_once(from).unwrap().1.split_once(to).unwrap().0;
            (rest[..4].to_owned(), version.to_owned())
        };
        text.split(before).skip(1).map(one).collect()
    }

    #[test]
    fn the_handbook_and_the_doap_file_say_what_is_announced() {
        let page = versions(&text("src/xmpp.md"), "| [XEP-", " | ", " |");
        let doap = versions(&text("holdfast.doap"), "extensions/xep-", "<xmpp:version>", "<");
        assert_eq!(page, doap);
        let stream = [ns::SM_3, ns::CSI_0, ns::SASL_CB_TYPES, ns::LIMITS];
        let announced = [SERVER, ACCOUNT, SERVICE, ROOM, UPLOADS, &stream[..]].concat();
        assert!(FEATURES.iter().all(|(feature, _)| announced.contains(feature)), "something is announced no more");
        let spoken: BTreeSet<&str> = announced.into_iter().map(extension).chain(SILENT.iter().copied()).collect();
        assert_eq!(page.iter().map(|(number, _)| number.as_str()).collect::<BTreeSet<_>>(), spoken);
        assert_eq!(page.len(), spoken.len(), "an extension stands there twice");
    }
}
