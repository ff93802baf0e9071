//! Namespaces that the family of parsers does not name, or names otherwise.

pub(crate) use xmpp_parsers::ns::*;

macro_rules! names {
    ($($name:ident = $ns:literal;)*) => {
        $(pub(crate) const $name: &str = $ns;)*
    };
}

names! {
    CLIENT = "jabber:client";
    XMPP_STREAM = "http://etherx.jabber.org/streams";
    XMPP_STREAMS = "urn:ietf:params:xml:ns:xmpp-streams";
    XMPP_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";
    FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
    MUC_ADMIN = "http://jabber.org/protocol/muc#admin";
    MUC_OWNER = "http://jabber.org/protocol/muc#owner";
    IQ_SESSION = "urn:ietf:params:xml:ns:xmpp-session";
    ROSTER_VERSIONS = "urn:xmpp:features:rosterver";
    HTTP_UPLOAD = "urn:xmpp:http:upload:0";
    LIMITS = "urn:xmpp:stream-limits:0";
    SASL_CB_TYPES = "urn:xmpp:sasl-cb:0";
    MUC_REQUEST = "http://jabber.org/protocol/muc#request";
    MUC_ROOM_INFO = "http://jabber.org/protocol/muc#roominfo";
    MUC_ROOM_CONFIG = "http://jabber.org/protocol/muc#roomconfig";
    MUC_STABLE_ID = "http://jabber.org/protocol/muc#stable_id";
    MUC_SELF_PING = "http://jabber.org/protocol/muc#self-ping-optimization";
    MAM_EXTENDED = "urn:xmpp:mam:2#extended";
    MESSAGE_RETRACT = "urn:xmpp:message-retract:1";
    MESSAGE_RETRACT_TOMBSTONE = "urn:xmpp:message-retract:1#tombstone";
    MESSAGE_RETRACT_OLD = "urn:xmpp:message-retract:0";
    MESSAGE_MODERATE = "urn:xmpp:message-moderate:1";
    MESSAGE_MODERATE_OLD = "urn:xmpp:message-moderate:0";
    FASTEN = "urn:xmpp:fasten:0";
    FALLBACK_INDICATION = "urn:xmpp:fallback:0";
    MESSAGE_HINTS = "urn:xmpp:hints";
    MESSAGE_REACTIONS = "urn:xmpp:reactions:0";
    CHAT_MARKERS_0 = "urn:xmpp:chat-markers:0";
    CHAT_STATES = "http://jabber.org/protocol/chatstates";
    PRIVATE_XML = "jabber:iq:private";
    BOOKMARKS_1 = "urn:xmpp:bookmarks:1";
    BOOKMARKS_1_COMPAT = "urn:xmpp:bookmarks:1#compat";
    BOOKMARKS_OLD = "storage:bookmarks";
    VCARD_TEMP = "vcard-temp";
    BLOCK = "urn:xmpp:blocking";
    BLOCK_ERRORS = "urn:xmpp:blocking:errors";
    VCARD_UPDATE = "vcard-temp:x:update";
    AVATAR_CONVERSION = "urn:xmpp:pep-vcard-conversion:0";
    CARBONS_2 = "urn:xmpp:carbons:2";
    CSI_0 = "urn:xmpp:csi:0";
    SM_3 = "urn:xmpp:sm:3";
    HATS = "urn:xmpp:hats:0";
    IQ_VERSION = "jabber:iq:version";
    OFFLINE = "msgoffline";
    IQ_LAST = "jabber:iq:last";
    ENTITY_TIME = "urn:xmpp:time";
    X_CONFERENCE = "jabber:x:conference";
    SERVER_INFO = "http://jabber.org/network/serverinfo";
    OUTAGE = "urn:xmpp:sos:0";
    COMMANDS = "http://jabber.org/protocol/commands";
    ADMIN = "http://jabber.org/protocol/admin";
    IQ_REGISTER = "jabber:iq:register";
    PUBSUB_NODE_CONFIG = "http://jabber.org/protocol/pubsub#node_config";
    PUBSUB_BASE = "http://jabber.org/protocol/pubsub";
}
