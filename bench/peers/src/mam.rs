//! Reading a room's archive (XEP-0313), by pages.

use crate::link::Link;
use crate::scan::{attribute, has, number};
use anyhow::{Context as _, Result, ensure};

/// Which page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    First,
    Last,
    Before(&'a str),
    After(&'a str),
}

/// A page of an archive.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Numbers of our messages, in the archive's order.
    pub(crate) numbers: Vec<usize>,
    /// Everything that was on it.
    pub(crate) count: usize,
    /// The last one's id, to go on from.
    pub(crate) last: Option<String>,
    /// Nothing comes after it, or before it when going back.
    pub(crate) complete: bool,
}

/// Asks for a page.
pub(crate) async fn page(link: &mut Link, room: &str, place: Place<'_>, most: usize) -> Result<Page> {
    let place = match place {
        Place::First => String::new(),
        Place::Last => "<before/>".to_owned(),
        Place::Before(id) => format!("<before>{id}</before>"),
        Place::After(id) => format!("<after>{id}</after>"),
    };
    let query = format!(
        "<query xmlns='urn:xmpp:mam:2' queryid='q'><set xmlns='http://jabber.org/protocol/rsm'><max>{most}</max>{place}</set></query>"
    );
    let mut page = Page::default();
    let mut last = None;
    let fin = link.ask(room, "set", &query, |stanza| {
        if !stanza.starts_with(b"<message") || !has(stanza, "urn:xmpp:mam:2") {
            return;
        }
        let Some(id) = attribute(stanza, "result", "id") else { return };
        page.count += 1;
        page.numbers.extend(number(stanza));
        last = Some(id.to_owned());
    });
    let fin = fin.await.with_context(|| format!("reading the archive of {room}"))?;
    ensure!(has(&fin, "<fin"), "no end of the page: {}", String::from_utf8_lossy(&fin));
    page.complete = attribute(&fin, "fin", "complete") == Some("true");
    page.last = last;
    Ok(page)
}

/// Numbers of all messages of ours in a room's archive, from the first.
pub(crate) async fn whole(link: &mut Link, room: &str) -> Result<Vec<usize>> {
    let mut numbers = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let place = after.as_deref().map_or(Place::First, Place::After);
        let page = page(link, room, place, 250).await?;
        numbers.extend(page.numbers);
        if page.complete || page.count == 0 {
            return Ok(numbers);
        }
        after = page.last;
    }
}
