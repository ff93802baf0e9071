//! A room's archive: its log, as far as clients have use for it.

use super::query::{self, Asked, Found};
use crate::files::Files;
use crate::muc::entry::{parse_stanza_id, stanza_id, stanzas};
use crate::muc::saying::{find, unknown};
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::El;
use holdfast_chat::view::EntryView;
use holdfast_domain::{PrincipalId, RoomId, Seq, Time};
use holdfast_store::log::From;

/// Rows read at a time beyond those that are wanted, since not each of them is for clients.
const MORE: usize = 8;

impl Session {
    /// A page of a room's archive.
    pub(crate) async fn room_archive(&mut self, room: RoomId, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        if !iq.set {
            return Ok(Some(query::form()));
        }
        let asked = Asked::read(iq.payload)?;
        let (jid, ..) = self.room_now(room)?;
        let found = match &asked.words {
            Some(words) => self.found_by_words(room, &jid, &asked, words).await?,
            None if !asked.ids.is_empty() => self.found_by_ids(room, &jid, &asked).await?,
            None => self.found_in_order(room, &jid, &asked).await?,
        };
        let (stanzas, fin) = query::told(&asked, Some(&jid), found);
        for stanza in stanzas {
            self.tell(stanza);
        }
        Ok(Some(fin))
    }

    /// The first and the last message of a room.
    pub(crate) async fn room_archive_ends(&mut self, room: RoomId) -> Result<Option<El>, StanzaError> {
        let (jid, ..) = self.room_now(room)?;
        let one = |backwards| Asked { most: 1, backwards, ..Asked::default() };
        let first = self.found_in_order(room, &jid, &one(false)).await?.messages.pop();
        let last = self.found_in_order(room, &jid, &one(true)).await?.messages.pop();
        let end = |found: Option<(String, Time, El)>| found.map(|(id, at, _)| (id, at));
        Ok(Some(query::metadata(end(first), end(last))))
    }

    async fn found_in_order(&mut self, room: RoomId, jid: &str, asked: &Asked) -> Result<Found, StanzaError> {
        let chat = self.door.chat.clone();
        // Both ends are not in the page.
        let (mut low, mut high) = (Seq::ZERO, Seq::MAX);
        // The one id next to which the page lies is looked up with the page itself.
        let mut beside = match (asked.after.as_slice(), asked.before.as_slice(), asked.backwards) {
            ([id], [], false) | ([], [id], true) => {
                let (seq, mark) = parse_stanza_id(id).ok_or_else(|| unknown(id))?;
                Some((id, seq, mark))
            }
            _ => None,
        };
        match beside {
            Some((_, seq, _)) if asked.backwards => high = seq,
            Some((_, seq, _)) => low = seq,
            None => {
                for id in &asked.after {
                    low = low.max(find(&chat, &self.caller, room, id).await?);
                }
                for id in &asked.before {
                    high = high.min(find(&chat, &self.caller, room, id).await?);
                }
            }
        }
        if let Some(since) = asked.since {
            match self.first_at(room, since).await? {
                Some(first) => low = low.max(Seq(first.0 - 1)),
                None => return Ok(Found { complete: true, ..Found::default() }),
            }
        }
        if let Some(until) = asked.until
            && let Some(later) = self.first_at(room, until.plus_millis(1)).await?
        {
            high = high.min(later);
        }
        let author = match &asked.with {
            Some(with) => Some(self.author(with)?),
            None => None,
        };
        let mut found: Vec<(String, Time, El)> = Vec::new();
        let mut complete = false;
        while beside.is_some() || (!complete && found.len() <= asked.most && low.next() < high) {
            let limit = asked.most - found.len() + MORE;
            let from = match (asked.backwards, beside) {
                (true, Some((_, seq, _))) => From::Before(seq.next()),
                (false, Some((_, seq, _))) => From::After(Seq(seq.0 - 1)),
                (true, None) if high == Seq::MAX => From::Latest,
                (true, None) => From::Before(high),
                (false, None) => From::After(low),
            };
            let page = chat.history(&self.caller, room, from, limit).await?;
            if let Some((id, seq, mark)) = beside.take() {
                let is_it = |view: &EntryView| view.entry.seq == seq && view.entry.mark() == mark;
                if !page.entries.iter().any(is_it) {
                    return Err(unknown(id));
                }
            }
            complete = if asked.backwards { !page.more_before } else { !page.more_after };
            let Some((first, last)) = page.entries.first().zip(page.entries.last()) else { break };
            let (first, last) = (first.entry.seq, last.entry.seq);
            let within = |view: &&EntryView| view.entry.seq > low && view.entry.seq < high;
            let wanted = page.entries.iter().filter(within).filter(|v| author.is_none_or(|a| v.entry.author == a));
            let mut made: Vec<_> = wanted.filter_map(|view| archived(jid, self.door.files(), view)).collect();
            if asked.backwards {
                made.reverse();
                complete |= first.0 <= low.0 + 1;
                high = first;
            } else {
                complete |= last.next() >= high;
                low = last;
            }
            found.extend(made);
        }
        complete |= low.next() >= high;
        complete &= found.len() <= asked.most;
        found.truncate(asked.most);
        if asked.backwards {
            found.reverse();
        }
        Ok(Found { messages: found, complete, count: None })
    }

    async fn found_by_ids(&mut self, room: RoomId, jid: &str, asked: &Asked) -> Result<Found, StanzaError> {
        let mut messages = Vec::new();
        for id in &asked.ids {
            let seq = find(&self.door.chat, &self.caller, room, id).await?;
            let (view, _) = self.door.chat.entry(&self.caller, room, seq).await?;
            messages.extend(archived(jid, self.door.files(), &view));
        }
        Ok(Found { messages, complete: true, count: None })
    }

    /// Messages with these words, the newest ones (XEP-0431).
    async fn found_by_words(
        &mut self,
        room: RoomId,
        jid: &str,
        asked: &Asked,
        words: &str,
    ) -> Result<Found, StanzaError> {
        use holdfast_chat::searching::SearchRequest;
        use holdfast_store::search::{Order, Words};
        self.door.chat.directory().room(room).ok_or_else(|| StanzaError::cancel("item-not-found"))?;
        let author = match &asked.with {
            Some(with) => Some(self.author(with)?),
            None => None,
        };
        let request = SearchRequest {
            text: words.to_owned(),
            words: Words::All,
            room: Some(room),
            author,
            from: asked.since,
            until: asked.until.map(|until| until.plus_millis(1)),
            order: Order::Newest,
            after: None,
            limit: asked.most,
        };
        let page = self.door.chat.search(&self.caller, request).await?;
        let mut messages: Vec<_> =
            page.hits.iter().filter_map(|hit| archived(jid, self.door.files(), &hit.view)).collect();
        messages.reverse();
        Ok(Found { messages, complete: page.next.is_none(), count: None })
    }

    /// The first entry at or after a time.
    async fn first_at(&mut self, room: RoomId, at: Time) -> Result<Option<Seq>, StanzaError> {
        Ok(self.door.chat.history(&self.caller, room, From::At(at), 1).await?.focus)
    }

    /// Of whom messages are asked for.
    fn author(&self, with: &str) -> Result<PrincipalId, StanzaError> {
        use crate::addresses::Target;
        let jid = jid::Jid::new(with).map_err(|_| StanzaError::modify("jid-malformed"))?;
        let target = self.door.domains.target(&self.door.chat.directory(), &jid);
        let who = match target {
            Target::Person(who, _) => who,
            Target::Room(Some(room), _, Some(nick)) => self.door.occupants.named(room, &nick).map(|o| o.user),
            _ => None,
        };
        who.ok_or_else(|| StanzaError::cancel("item-not-found").because(format!("nobody here is {with}")))
    }
}

/// An entry as the archive tells it.
fn archived(jid: &str, files: Files<'_>, view: &EntryView) -> Option<(String, Time, El)> {
    let message = stanzas(jid, files, view).into_iter().next()?;
    Some((stanza_id(view.entry.seq, &view.entry.mark()), view.entry.shown_at(), message))
}
