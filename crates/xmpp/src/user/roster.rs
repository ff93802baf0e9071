//! The roster: whom somebody has as a contact, and who sees whose presence (RFC 6121 section 2).

use crate::door::Door;
use crate::limits::ROSTER;
use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::El;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use holdfast_chat::keeping::Item;
use holdfast_domain::PrincipalId;
use jid::BareJid;
use minidom::Element;
use sha2::{Digest as _, Sha256};

/// Where contacts are kept.
pub(super) const CONTACTS: &str = "roster";
/// Where requests wait that have not been answered.
pub(super) const REQUESTS: &str = "roster-requests";
/// Groups of one contact.
const GROUPS: usize = 20;
/// Characters of a contact's name and of a group's.
const NAME_CHARS: usize = 256;

/// A contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contact {
    pub(crate) jid: BareJid,
    pub(crate) name: Option<String>,
    pub(crate) groups: Vec<String>,
    /// Whether the owner sees the contact's presence.
    pub(crate) to: bool,
    /// Whether the contact sees the owner's.
    pub(crate) from: bool,
    /// Whether the owner has asked to.
    pub(crate) ask: bool,
    /// Whether the owner has said yes before he was asked.
    pub(crate) approved: bool,
    /// Whether it is in the roster, rather than known only for what was said before it is.
    pub(crate) listed: bool,
}

impl Contact {
    fn new(jid: BareJid) -> Self {
        Self { jid, name: None, groups: Vec::new(), to: false, from: false, ask: false, approved: false, listed: false }
    }

    fn subscription(&self) -> &'static str {
        match (self.to, self.from) {
            (true, true) => "both",
            (true, false) => "to",
            (false, true) => "from",
            (false, false) => "none",
        }
    }

    fn element(&self) -> El {
        El::new("item")
            .attr("jid", &self.jid)
            .maybe("name", self.name.as_ref())
            .attr("subscription", self.subscription())
            .maybe("ask", self.ask.then_some("subscribe"))
            .maybe("approved", self.approved.then_some("true"))
            .children(self.groups.iter().map(|group| El::new("group").text(group)))
    }

    fn kept(&self) -> String {
        self.element().attr("xmlns", ns::ROSTER).maybe("listed", self.listed.then_some("true")).to_string()
    }

    fn read(text: &str) -> Option<Contact> {
        let item: Element = text.parse().ok()?;
        let subscription = item.attr("subscription").unwrap_or("none");
        Some(Contact {
            jid: BareJid::new(item.attr("jid")?).ok()?,
            name: item.attr("name").map(str::to_owned),
            groups: item.children().filter(|c| c.name() == "group").map(Element::text).collect(),
            to: matches!(subscription, "to" | "both"),
            from: matches!(subscription, "from" | "both"),
            ask: item.attr("ask").is_some(),
            approved: item.attr("approved").is_some(),
            listed: item.attr("listed").is_some(),
        })
    }
}

/// All contacts that are kept.
pub(super) fn read_contacts(items: &[Item]) -> Vec<Contact> {
    items.iter().filter_map(|item| Contact::read(&item.payload)).collect()
}

/// The contacts that are in a roster, in an order of their own.
fn listed(items: &[Item]) -> Vec<Contact> {
    let mut contacts = read_contacts(items);
    contacts.retain(|c| c.listed);
    contacts.sort_by(|a, b| a.jid.as_str().cmp(b.jid.as_str()));
    contacts
}

/// The version of a roster: made of what is in it, so that it is the same on every server, and the same again when a change is undone.
fn version(contacts: &[Contact]) -> String {
    let mut digest = Sha256::new();
    for contact in contacts {
        digest.update(contact.element().to_string());
    }
    URL_SAFE_NO_PAD.encode(&digest.finalize()[..18])
}

impl Door {
    /// All contacts of somebody.
    pub(crate) async fn contacts_of(&self, user: PrincipalId) -> Vec<Contact> {
        match self.chat.kept_items(user, CONTACTS).await {
            Ok(items) => read_contacts(&items),
            Err(error) => {
                tracing::warn!(%error, "a roster cannot be read now");
                Vec::new()
            }
        }
    }
}

impl Session {
    /// All contacts of this person.
    pub(crate) async fn contacts(&mut self) -> Vec<Contact> {
        self.door.contacts_of(self.user()).await
    }

    /// One contact, or one that is nothing yet.
    pub(crate) async fn contact(&mut self, jid: &BareJid) -> Result<Contact, StanzaError> {
        self.contact_of(self.user(), jid).await
    }

    /// The same of somebody else's roster.
    pub(crate) async fn contact_of(&mut self, owner: PrincipalId, jid: &BareJid) -> Result<Contact, StanzaError> {
        let items = self.door.chat.kept_items(owner, CONTACTS).await?;
        let found = items.iter().find(|item| item.id == jid.as_str()).and_then(|item| Contact::read(&item.payload));
        Ok(found.unwrap_or_else(|| Contact::new(jid.clone())))
    }

    /// Keeps a contact in somebody's roster and tells his clients.
    pub(crate) async fn keep_contact(&mut self, owner: PrincipalId, mut contact: Contact) -> Result<(), StanzaError> {
        contact.listed |= contact.to || contact.from || contact.ask;
        let now = self.door.chat.now();
        let item = (contact.jid.to_string(), now, contact.kept());
        self.door.chat.keep_items(owner, CONTACTS, vec![item], ROSTER).await?;
        if contact.listed {
            self.push_roster(owner, contact.element()).await?;
        }
        Ok(())
    }

    /// Tells all clients of somebody that asked for the roster what changed in it.
    async fn push_roster(&mut self, owner: PrincipalId, item: El) -> Result<(), StanzaError> {
        let interested: Vec<_> = self.door.resources.of(owner).into_iter().filter(|r| r.state().interested).collect();
        if interested.is_empty() {
            return Ok(());
        }
        let version = version(&listed(&self.door.chat.kept_items(owner, CONTACTS).await?));
        let query = El::of(ns::ROSTER, "query").attr("ver", version).child(item);
        for resource in interested {
            let id = format!("roster-{}", uuid::Uuid::new_v4().simple());
            let push = El::new("iq").attr("to", &resource.jid).attr("type", "set").attr("id", id);
            resource.tell(push.child(query.clone()).to_string().into());
        }
        Ok(())
    }

    /// The roster, for a client that asks for it; nothing if it has it already (RFC 6121 section 2.6).
    pub(crate) async fn roster(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        // Before it is read: a change that comes meanwhile is told as well.
        self.resource.change(|state| state.interested = true);
        let contacts = listed(&self.door.chat.kept_items(self.user(), CONTACTS).await?);
        let (known, version) = (iq.payload.attr("ver"), version(&contacts));
        if known == Some(version.as_str()) {
            return Ok(None);
        }
        let query = El::of(ns::ROSTER, "query").maybe("ver", known.map(|_| version));
        Ok(Some(query.children(contacts.iter().map(Contact::element))))
    }

    /// A client changes or removes a contact.
    pub(crate) async fn change_roster(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let mut items = iq.payload.children().filter(|c| c.is("item", ns::ROSTER));
        let (Some(item), None) = (items.next(), items.next()) else {
            return Err(StanzaError::bad("a roster is changed one item at a time"));
        };
        let jid = item
            .attr("jid")
            .and_then(|jid| BareJid::new(jid).ok())
            .ok_or_else(|| StanzaError::modify("jid-malformed"))?;
        if jid == self.bare {
            return Err(StanzaError::cancel("not-allowed").because("nobody is his own contact"));
        }
        if item.attr("subscription") == Some("remove") {
            return self.remove_contact(&jid).await.map(|()| None);
        }
        let too_long = |text: &str| text.chars().count() > NAME_CHARS;
        let groups: Vec<String> = item.children().filter(|c| c.is("group", ns::ROSTER)).map(Element::text).collect();
        let name = item.attr("name").map(str::to_owned).filter(|name| !name.is_empty());
        if groups.len() > GROUPS
            || groups.iter().any(|g| g.is_empty() || too_long(g))
            || name.as_deref().is_some_and(too_long)
        {
            return Err(StanzaError::modify("not-acceptable").because("the name or a group is too long, or empty"));
        }
        let mut contact = self.contact(&jid).await?;
        if !contact.listed && self.contacts().await.len() >= ROSTER {
            return Err(
                StanzaError::wait("resource-constraint").because(format!("a roster has at most {ROSTER} contacts"))
            );
        }
        (contact.name, contact.groups, contact.listed) = (name, groups, true);
        self.keep_contact(self.user(), contact).await?;
        Ok(None)
    }

    async fn remove_contact(&mut self, jid: &BareJid) -> Result<(), StanzaError> {
        let contact = self.contact(jid).await?;
        if !contact.listed {
            return Err(StanzaError::cancel("item-not-found").because(format!("{jid} is not in your roster")));
        }
        if let Some(who) = self.person_at(jid) {
            // Both ends of it are over (RFC 6121 section 2.5.2).
            let own = self.bare.clone();
            let mut theirs = self.contact_of(who, &own).await?;
            if theirs.to || theirs.from {
                (theirs.to, theirs.from, theirs.ask) = (false, false, false);
                self.keep_contact(who, theirs).await?;
                for kind in ["unsubscribe", "unsubscribed"] {
                    let told = El::new("presence").attr("to", jid).attr("from", &own).attr("type", kind);
                    self.deliver_to_all(who, &told);
                }
            }
        }
        self.door.chat.drop_items(self.user(), CONTACTS, vec![jid.to_string()]).await?;
        let gone = El::new("item").attr("jid", jid).attr("subscription", "remove");
        self.push_roster(self.user(), gone).await
    }

    /// Notes that somebody has been asked by `by`.
    pub(crate) async fn note_request(&mut self, who: PrincipalId, by: &BareJid) -> Result<(), StanzaError> {
        let item = (by.to_string(), self.door.chat.now(), String::new());
        Ok(self.door.chat.keep_items(who, REQUESTS, vec![item], ROSTER).await?)
    }

    /// Forgets such a request; whether there was one.
    pub(crate) async fn forget_request(&mut self, who: PrincipalId, by: &BareJid) -> Result<bool, StanzaError> {
        Ok(self.door.chat.drop_items(who, REQUESTS, vec![by.to_string()]).await? > 0)
    }

    /// Tells this client of requests that have not been answered.
    pub(crate) fn tell_requests(&mut self, waiting: Vec<Item>) {
        for item in waiting {
            let own = self.bare.clone();
            self.tell(El::new("presence").attr("to", own).attr("from", item.id).attr("type", "subscribe"));
        }
    }
}
