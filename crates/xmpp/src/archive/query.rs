//! What a client asks of an archive, and how a page of it is told.

use crate::limits::{PAGE, PAGE_DEFAULT};
use crate::ns;
use crate::stanza::StanzaError;
use crate::xml::El;
use holdfast_domain::Time;
use minidom::Element;
use xmpp_parsers::mam::Query;

/// Where in an archive a page lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// By which the client tells its answers apart.
    pub(crate) query_id: Option<String>,
    /// After this id.
    pub(crate) after: Vec<String>,
    /// Before this id.
    pub(crate) before: Vec<String>,
    /// The last page of what is left, rather than the first.
    pub(crate) backwards: bool,
    /// Newest first.
    pub(crate) flip: bool,
    /// At this time or later.
    pub(crate) since: Option<Time>,
    /// At this time or before.
    pub(crate) until: Option<Time>,
    /// With this address.
    pub(crate) with: Option<String>,
    /// Exactly these.
    pub(crate) ids: Vec<String>,
    /// With these words.
    pub(crate) words: Option<String>,
    /// How many at most.
    pub(crate) most: usize,
}

/// Names of the field for words: every server has had its own.
const WORDS: [&str; 4] = ["withtext", "full-text-search", "{urn:xmpp:fulltext:0}fulltext", "search"];

impl Asked {
    /// Reads it.
    ///
    /// # Errors
    /// Says what of it cannot be understood.
    pub(crate) fn read(payload: &Element) -> Result<Asked, StanzaError> {
        let query = Query::try_from(payload.clone()).map_err(|error| StanzaError::bad(error.to_string()))?;
        let mut asked = Asked { query_id: query.queryid.map(|id| id.0), flip: query.flip_page, ..Asked::default() };
        for field in query.form.iter().flat_map(|form| &form.fields) {
            let Some(var) = field.var.as_deref() else { continue };
            let Some(value) = field.values.first().filter(|v| !v.is_empty()) else { continue };
            let time = || Time::parse(value).map_err(|why| StanzaError::bad(format!("{var}: {why}")));
            match var {
                "FORM_TYPE" if value == ns::MAM => {}
                "FORM_TYPE" => return Err(StanzaError::bad(format!("the form is of `{value}`, not of archives"))),
                "start" => asked.since = Some(time()?),
                "end" => asked.until = Some(time()?),
                "with" => asked.with = Some(value.clone()),
                "after-id" => asked.after.push(value.clone()),
                "before-id" => asked.before.push(value.clone()),
                "ids" => asked.ids = field.values.clone(),
                "include-groupchat" => {}
                var if WORDS.contains(&var) => asked.words = Some(value.clone()),
                other => {
                    let why = format!("there is no field `{other}`");
                    return Err(StanzaError::cancel("feature-not-implemented").because(why));
                }
            }
        }
        let set = query.set;
        asked.most = set.as_ref().and_then(|s| s.max).unwrap_or(PAGE_DEFAULT).min(PAGE);
        if let Some(set) = set {
            asked.after.extend(set.after.filter(|id| !id.is_empty()));
            asked.backwards = set.before.is_some();
            asked.before.extend(set.before.filter(|id| !id.is_empty()));
        }
        if asked.ids.len() > PAGE {
            return Err(StanzaError::bad(format!("at most {PAGE} ids can be asked for at once")));
        }
        Ok(asked)
    }
}

/// A page that was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Each message with its id and time, ascending.
    pub(crate) messages: Vec<(String, Time, El)>,
    /// Whether there is nothing more in this direction.
    pub(crate) complete: bool,
    /// How many there are in all, where that is known.
    pub(crate) count: Option<i64>,
}

/// The stanzas that tell a page, and what ends the query.
pub(crate) fn told(asked: &Asked, from: Option<&str>, found: Found) -> (Vec<El>, El) {
    let Found { messages, complete, count } = found;
    let mut set = El::of(ns::RSM, "set");
    if let (Some((first, ..)), Some((last, ..))) = (messages.first(), messages.last()) {
        set = set.field("first", first).field("last", last);
    }
    if let Some(count) = count {
        set = set.field("count", count);
    }
    let fin = El::of(ns::MAM, "fin").maybe("complete", complete.then_some("true")).child(set);
    let one = |(id, at, message): (String, Time, El)| {
        let forwarded = El::of(ns::FORWARD, "forwarded")
            .child(El::of(ns::DELAY, "delay").attr("stamp", at))
            .child(message.attr("xmlns", ns::CLIENT));
        let result =
            El::of(ns::MAM, "result").maybe("queryid", asked.query_id.as_ref()).attr("id", id).child(forwarded);
        El::new("message").maybe("from", from).child(result)
    };
    let mut stanzas: Vec<El> = messages.into_iter().map(one).collect();
    if asked.flip {
        stanzas.reverse();
    }
    (stanzas, fin)
}

/// What can be asked for.
pub(crate) fn form() -> El {
    let field = |var: &str, kind: &str| El::new("field").attr("var", var).attr("type", kind);
    let x = El::of(ns::DATA_FORMS, "x")
        .attr("type", "form")
        .child(field("FORM_TYPE", "hidden").field("value", ns::MAM))
        .child(field("with", "jid-single"))
        .child(field("start", "text-single"))
        .child(field("end", "text-single"))
        .child(field("before-id", "text-single"))
        .child(field("after-id", "text-single"))
        .child(field("ids", "list-multi"));
    El::of(ns::MAM, "query").child(WORDS.into_iter().fold(x, |x, var| x.child(field(var, "text-single"))))
}

/// The first and the last message of an archive (XEP-0313 section 4.5).
pub(crate) fn metadata(first: Option<(String, Time)>, last: Option<(String, Time)>) -> El {
    let one = |name: &'static str, of: Option<(String, Time)>| {
        of.map(|(id, at)| El::new(name).attr("id", id).attr("timestamp", at))
    };
    El::of(ns::MAM, "metadata").children(one("start", first)).children(one("end", last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(inner: &str) -> Result<Asked, StanzaError> {
        Asked::read(&format!("<query xmlns='urn:xmpp:mam:2' queryid='q'>{inner}</query>").parse().unwrap())
    }

    #[test]
    fn pages_are_asked_for_in_all_ways() {
        let form = |fields: &str| {
            format!(
                "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>\
                 <value>urn:xmpp:mam:2</value></field>{fields}</x>"
            )
        };
        let plain = asked("").unwrap();
        assert_eq!((plain.most, plain.backwards, plain.query_id.as_deref()), (PAGE_DEFAULT, false, Some("q")));
        let last =
            asked("<set xmlns='http://jabber.org/protocol/rsm'><max>5</max><before/></set><flip-page/>").unwrap();
        assert_eq!((last.most, last.backwards, last.flip, last.before.len()), (5, true, true, 0));
        let page = asked("<set xmlns='http://jabber.org/protocol/rsm'><max>9999</max><after>7</after></set>").unwrap();
        assert_eq!((page.most, page.after), (PAGE, vec!["7".to_owned()]));
        let by = asked(&form(
            "<field var='start'><value>2026-01-01T00:00:00Z</value></field><field var='withtext'><value>a b</value></field>",
        ))
        .unwrap();
        assert_eq!((by.since, by.words.as_deref()), (Some(Time::parse("2026-01-01T00:00:00Z").unwrap()), Some("a b")));
        let refused = |fields: &str| asked(&form(fields)).unwrap_err().condition;
        assert_eq!(refused("<field var='start'><value>yesterday</value></field>"), "bad-request");
        assert_eq!(refused("<field var='colour'><value>red</value></field>"), "feature-not-implemented");
    }
}
