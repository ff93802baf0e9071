//! A person's own archive: what he and others said to each other.

use super::query::{self, Asked, Found};
use crate::addresses::Target;
use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::{El, text_within};
use holdfast_chat::direct::{Direct, DirectQuery};
use holdfast_domain::{PrincipalId, Time};
use minidom::Element;

impl Session {
    /// A page of it.
    pub(crate) async fn own_archive(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        if !iq.set {
            return Ok(Some(query::form()));
        }
        let asked = Asked::read(iq.payload)?;
        let found = self.own_found(&asked).await?;
        let (stanzas, fin) = query::told(&asked, None, found);
        for stanza in stanzas {
            self.tell(stanza);
        }
        Ok(Some(fin))
    }

    /// Its first and last message.
    pub(crate) async fn own_archive_ends(&mut self) -> Result<Option<El>, StanzaError> {
        let one = |backwards| Asked { most: 1, backwards, ..Asked::default() };
        let first = self.own_found(&one(false)).await?.messages.pop();
        let last = self.own_found(&one(true)).await?.messages.pop();
        let end = |found: Option<(String, Time, El)>| found.map(|(id, at, _)| (id, at));
        Ok(Some(query::metadata(end(first), end(last))))
    }

    async fn own_found(&mut self, asked: &Asked) -> Result<Found, StanzaError> {
        let chat = self.door.chat.clone();
        if !asked.ids.is_empty() {
            let ids = asked.ids.iter().map(|id| number(id)).collect::<Result<Vec<i64>, _>>()?;
            let messages = chat.direct_by_ids(&self.caller, ids.clone()).await?;
            if messages.len() < ids.len() {
                return Err(StanzaError::cancel("item-not-found").because("not all of these ids are in your archive"));
            }
            return Ok(Found { messages: messages.iter().filter_map(archived).collect(), complete: true, count: None });
        }
        let after = self.place(&asked.after).await?.into_iter().max();
        let before = self.place(&asked.before).await?.into_iter().min();
        let with = match &asked.with {
            None => None,
            Some(with) => match self.partner(with)? {
                Some(who) => Some(who),
                None => return Ok(Found { complete: true, ..Found::default() }),
            },
        };
        if asked.words.is_some() {
            let why = "words are looked for in rooms only";
            return Err(StanzaError::cancel("feature-not-implemented").because(why));
        }
        let query = DirectQuery {
            of: self.user(),
            with,
            since: asked.since,
            until: asked.until,
            after,
            before,
            newest: asked.backwards,
            limit: asked.most.max(1),
        };
        let page = chat.direct_page(&self.caller, query).await?;
        let mut messages: Vec<_> = page.rows.iter().filter_map(archived).collect();
        messages.truncate(asked.most);
        Ok(Found { messages, complete: !page.more, count: None })
    }

    /// The numbers of ids, which have to be in this person's archive.
    async fn place(&mut self, ids: &[String]) -> Result<Vec<i64>, StanzaError> {
        let mut places = Vec::new();
        for id in ids {
            let number = number(id)?;
            if self.door.chat.direct_by_ids(&self.caller, vec![number]).await?.is_empty() {
                return Err(StanzaError::cancel("item-not-found").because(format!("there is no message `{id}`")));
            }
            places.push(number);
        }
        Ok(places)
    }

    fn partner(&self, with: &str) -> Result<Option<PrincipalId>, StanzaError> {
        let jid = jid::Jid::new(with).map_err(|_| StanzaError::modify("jid-malformed"))?;
        Ok(match self.door.domains.target(&self.door.chat.directory(), &jid) {
            Target::Person(who, _) => who,
            _ => None,
        })
    }
}

fn number(id: &str) -> Result<i64, StanzaError> {
    let unknown = || StanzaError::cancel("item-not-found").because(format!("there is no message `{id}`"));
    id.parse().map_err(|_| unknown())
}

fn archived(message: &Direct) -> Option<(String, Time, El)> {
    // What was kept was written by this door.
    let read: Element = format!("<r xmlns='{}'>{}</r>", ns::CLIENT, message.payload).parse().ok()?;
    let stanza = read.get_child("message", ns::CLIENT)?;
    let content: String = stanza.children().map(|c| text_within(ns::CLIENT, c)).collect();
    let mut el = El::new("message");
    for name in ["to", "from", "type", "id"] {
        el = el.maybe(name, stanza.attr(name));
    }
    Some((message.id.to_string(), message.at, el.raw(&content)))
}
