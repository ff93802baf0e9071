//! Entries of a room's log as stanzas: pure, and the same live and from the archive.

use super::presence::{occupant_id, statuses};
use crate::files::Files;
use crate::ns;
use crate::xml::El;
use holdfast_chat::view::{EntryView, Person, RemovedView};
use holdfast_domain::entry::{EntryBody, FileRef, Removal, Stanza};
use holdfast_domain::{Entry, RoomId, Seq};
use holdfast_store::log::Gone;

/// The id by which clients know an entry, live and in the archive, before and after a failover (XEP-0359): its number, and a part of its hash, so that
/// an entry that was lost is not taken for the one that got its number.
pub(crate) fn stanza_id(seq: Seq, mark: &str) -> String {
    format!("{seq}-{mark}")
}

/// Number and mark of such an id.
pub(crate) fn parse_stanza_id(id: &str) -> Option<(Seq, &str)> {
    let (seq, mark) = id.split_once('-')?;
    let seq: i64 = seq.parse().ok()?;
    (seq > 0 && seq <= Seq::MAX.0 && mark.len() == 8).then_some((Seq(seq), mark))
}

/// The nick under which something was said.
fn nick(author: &Person, stanza: Option<&Stanza>) -> String {
    stanza.and_then(|s| s.nick.clone()).unwrap_or_else(|| author.distinct_name().into_owned())
}

/// Somebody's message in a room.
struct Said<'a> {
    room: &'a str,
    entry: &'a Entry,
    author: &'a Person,
    files: Files<'a>,
}

impl Said<'_> {
    fn begin(&self, stanza: Option<&Stanza>) -> El {
        let from = format_args!("{}/{}", self.room, nick(self.author, stanza)).to_string();
        let id = stanza.and_then(|s| s.id.clone()).unwrap_or_else(|| self.entry.client_id.to_string());
        El::new("message").attr("from", from).attr("type", "groupchat").attr("id", id)
    }

    /// A text with its files, with what came along with it, and with an element of ours.
    fn with(&self, stanza: Option<&Stanza>, body: String, ours: Option<El>, files: &[FileRef]) -> El {
        let elements = stanza.map(|s| s.elements.as_str()).unwrap_or_default();
        let (body, of_files, elements) = self.files.told(body, files, elements);
        self.end(self.begin(stanza).field("body", body).children(ours).children(of_files).raw(&elements))
    }

    fn end(&self, message: El) -> El {
        message.child(self.id()).child(occupant_id(self.entry.room, self.entry.author))
    }

    fn id(&self) -> El {
        let id = stanza_id(self.entry.seq, &self.entry.mark());
        El::of(ns::SID, "stanza-id").attr("by", self.room).attr("id", id)
    }
}

/// What clients are told of an entry, a stanza each; nothing for what they have no use for. `room` is the room's address, `jid` makes one of a
/// person's name.
pub(crate) fn stanzas(room: &str, files: Files<'_>, view: &EntryView) -> Vec<El> {
    let said = Said { room, entry: &view.entry, author: &view.author, files };
    if let Some(removed) = &view.removed {
        return vec![tombstone(&said, removed)];
    }
    match &view.entry.body {
        // An edit is an entry of its own, which comes in its place: the message is what it was.
        Some(EntryBody::Message(message)) => {
            let body = body(message.title.as_deref(), &message.text, message.action);
            let alert = message.alert.then(|| El::of(ns::ATTENTION, "attention"));
            vec![said.with(message.stanza.as_ref(), body, alert, &message.files)]
        }
        Some(EntryBody::Edit(edit)) => {
            let body = body(edit.title.as_deref(), &edit.text, edit.action == Some(true));
            let replace = edit.replaces.as_ref().map(|id| El::of(ns::MESSAGE_CORRECT, "replace").attr("id", id));
            let files = edit.files.as_deref().unwrap_or_default();
            vec![said.with(edit.stanza.as_ref(), body, replace, files)]
        }
        Some(EntryBody::Retraction { of, mark: Some(mark) }) => {
            let retract = El::of(ns::MESSAGE_RETRACT, "retract").attr("id", stanza_id(*of, mark));
            let fallback = El::of(ns::FALLBACK_INDICATION, "fallback").attr("for", ns::MESSAGE_RETRACT);
            let text = "/me retracted an earlier message, which this client cannot hide.";
            let hint = El::of(ns::MESSAGE_HINTS, "store");
            let message = said.begin(None).child(retract).child(fallback).field("body", text).child(hint);
            vec![said.end(message)]
        }
        Some(EntryBody::Removal(removal)) => removals(&said, removal),
        Some(EntryBody::Annotation(stanza)) => vec![said.end(said.begin(Some(stanza)).raw(&stanza.elements))],
        _ => Vec::new(),
    }
}

/// The text as clients show it: a story's title stands above it, and what its author does begins with `/me` (XEP-0245).
fn body(title: Option<&str>, text: &str, action: bool) -> String {
    match (title, action) {
        (Some(title), _) => format!("{title}\n\n{text}"),
        (None, true) => format!("/me {text}"),
        (None, false) => text.to_owned(),
    }
}

/// Messages that a moderator took out of sight (XEP-0425), a stanza each.
fn removals(said: &Said<'_>, removal: &Removal) -> Vec<El> {
    let one = |(seq, mark): (&Seq, &String)| {
        let retract = moderated(said.room, &stanza_id(*seq, mark), said.author, said.entry, Some(&removal.reason));
        let id = format!("{}-{seq}", said.entry.client_id);
        let message =
            El::new("message").attr("from", said.room).attr("type", "groupchat").attr("id", id).child(retract);
        message.child(said.id())
    };
    removal.marks.iter().map(one).collect()
}

fn moderated(room: &str, id: &str, by: &Person, entry: &Entry, reason: Option<&String>) -> El {
    let by = El::of(ns::MESSAGE_MODERATE, "moderated")
        .attr("by", format_args!("{room}/{}", by.distinct_name()))
        .child(occupant_id(entry.room, entry.author));
    let retract = El::of(ns::MESSAGE_RETRACT, "retract").attr("id", id).child(by);
    match reason {
        Some(reason) => retract.field("reason", reason),
        None => retract,
    }
}

/// What stands in the archive in place of a message that was taken out of sight (XEP-0424 section 5, XEP-0425 section 5).
fn tombstone(said: &Said<'_>, removed: &RemovedView) -> El {
    let mut retracted =
        El::of(ns::MESSAGE_RETRACT, "retracted").attr("stamp", removed.at).attr("id", said.entry.client_id);
    if removed.how != Gone::Retracted {
        let by = format!("{}/{}", said.room, removed.by.distinct_name());
        retracted = retracted.child(El::of(ns::MESSAGE_MODERATE, "moderated").attr("by", by));
    }
    if let Some(reason) = &removed.reason {
        retracted = retracted.field("reason", reason);
    }
    let mut message = said.begin(None).child(retracted);
    if let Some(replacement) = &removed.replacement {
        message = message.field("body", replacement);
    }
    said.end(message)
}

/// The room's subject, as it is told (XEP-0045 section 8.1): a message with a subject and nothing else.
pub(crate) fn subject(from: &str, id: Option<String>, subject: &str) -> El {
    El::new("message").attr("from", from).attr("type", "groupchat").maybe("id", id).field("subject", subject)
}

/// That the room's settings changed (XEP-0045 section 10.2).
pub(crate) fn changed(room: &str, codes: &[u16]) -> El {
    let x = El::of(ns::MUC_USER, "x").children(statuses(codes));
    El::new("message").attr("from", room).attr("type", "groupchat").child(x)
}

/// Somebody is writing, by the web (XEP-0085).
pub(crate) fn typing(room: &str, id: RoomId, person: &Person, nick: &str) -> El {
    let from = format_args!("{room}/{nick}").to_string();
    El::new("message")
        .attr("from", from)
        .attr("type", "groupchat")
        .child(El::of(ns::CHAT_STATES, "composing"))
        .child(occupant_id(id, person.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_an_entry_from_a_lost_one_of_its_number() {
        let id = stanza_id(Seq(12), "00ff12ab");
        assert_eq!(parse_stanza_id(&id), Some((Seq(12), "00ff12ab")));
        for bad in ["", "12", "-1-00ff12ab", "0-00ff12ab", "x-00ff12ab", "12-00ff", "99999999999999999999-00ff12ab"] {
            assert_eq!(parse_stanza_id(bad), None, "{bad}");
        }
    }
}
