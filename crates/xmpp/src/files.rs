//! Files: slots for uploading them (XEP-0363), and the addresses by which clients fetch those of a message. The HTTP door takes and gives their bytes.

use crate::muc::config::{field, form_type};
use crate::ns;
use crate::server::disco::info;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::El;
use holdfast_chat::addresses::Addresses;
use holdfast_chat::{Chat, ChatError};
use holdfast_domain::entry::FileRef;

/// What the service of uploads speaks.
pub(crate) const UPLOADS: &[&str] = &[ns::DISCO_INFO, ns::HTTP_UPLOAD, ns::PING];

/// Where clients find files.
#[derive(Clone, Copy)]
pub(crate) struct Files<'a> {
    addresses: &'a Addresses,
    /// The address of the HTTP door, without a `/` behind it; `None`: files have no addresses here.
    base: Option<&'a str>,
}

impl<'a> Files<'a> {
    pub(crate) fn new(chat: &'a Chat, base: Option<&'a str>) -> Self {
        Self { addresses: chat.addresses(), base }
    }

    /// Text, elements and files of a message as its body and elements. A file alone is told as clients tell one: its address is the body, and said
    /// once more as such (XEP-0066 section 3). Others stand below the text, each on a line by itself, where they are known again in a correction.
    pub(crate) fn told(&self, mut body: String, files: &[FileRef], elements: &str) -> (String, Vec<El>, String) {
        if files.is_empty() {
            return (body, Vec::new(), elements.to_owned());
        }
        let said = |text: &str| self.addresses.said(text, usize::MAX);
        if let ([file], Some(base), true) = (files, self.base, body.is_empty()) {
            let url = self.url(base, file);
            let own = |oob: &str| said(oob).contains(&file.id);
            let oob = El::of(ns::OOB, "x").field("url", &url);
            return (url, vec![oob], without(elements, "<x xmlns='jabber:x:oob'", "</x>", own));
        }
        let mut mentioned = said(&body);
        mentioned.extend(said(elements));
        for file in files.iter().filter(|file| !mentioned.contains(&file.id)) {
            if !body.is_empty() {
                body.push('\n');
            }
            match self.base {
                Some(base) => body.push_str(&self.url(base, file)),
                None => body.push_str(&format!("[{} ({} bytes)]", file.name, file.bytes)),
            }
        }
        (body, Vec::new(), elements.to_owned())
    }

    fn url(&self, base: &str, file: &FileRef) -> String {
        format!("{base}{}", self.addresses.path(file))
    }
}

/// Text without the parts from `open` to `close` that are `unwanted`.
fn without(text: &str, open: &str, close: &str, unwanted: impl Fn(&str) -> bool) -> String {
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(open) {
        let Some(end) = rest[at..].find(close).map(|end| at + end + close.len()) else { break };
        let (before, part) = (&rest[..at], &rest[at..end]);
        kept.push_str(before);
        if !unwanted(part) {
            kept.push_str(part);
        }
        rest = &rest[end..];
    }
    kept + rest
}

type Answer = Result<Option<El>, StanzaError>;

impl Session {
    /// What is asked of the service of uploads.
    pub(crate) async fn ask_uploads(&mut self, iq: &Iq<'_>) -> Answer {
        match (iq.payload.name(), iq.payload.ns().as_str(), iq.set) {
            ("query", ns::DISCO_INFO, false) => Ok(Some(self.uploads_info())),
            ("query", ns::DISCO_ITEMS, false) => Ok(Some(El::of(ns::DISCO_ITEMS, "query"))),
            ("ping", ns::PING, false) => Ok(None),
            ("request", ns::HTTP_UPLOAD, false) => self.upload_slot(iq).await,
            _ => Err(StanzaError::unavailable()),
        }
    }

    fn uploads_info(&self) -> El {
        let most = self.door.chat.limits().file_bytes;
        let form = El::of(ns::DATA_FORMS, "x").attr("type", "result").child(form_type(ns::HTTP_UPLOAD)).child(field(
            "max-file-size",
            "text-single",
            "Bytes of a file",
            most,
        ));
        info(&[("store", "file", "HTTP File Upload")], UPLOADS.iter().copied()).child(form)
    }

    /// A slot (XEP-0363 section 4).
    async fn upload_slot(&mut self, iq: &Iq<'_>) -> Answer {
        let door = self.door.clone();
        let Some(base) = door.files_base() else { return Err(StanzaError::unavailable()) };
        let name = iq.payload.attr("filename").ok_or_else(|| StanzaError::bad("a file has a `filename`"))?;
        let size = iq.payload.attr("size").and_then(|size| size.parse().ok());
        let size: u64 = size.ok_or_else(|| StanzaError::bad("a file has a `size`, in bytes"))?;
        let slot = door.chat.upload_slot(&self.caller, name, size, iq.payload.attr("content-type")).await;
        let slot = slot.map_err(|error| self.no_slot(error))?;
        let url = |name: &'static str, path: &str| El::new(name).attr("url", format_args!("{base}{path}"));
        Ok(Some(El::of(ns::HTTP_UPLOAD, "slot").child(url("put", &slot.put)).child(url("get", &slot.get))))
    }

    /// Why there is none, in the words of the extension (XEP-0363 section 5).
    fn no_slot(&self, error: ChatError) -> StanzaError {
        let more = match &error {
            ChatError::TooLarge { most, .. } => {
                Some(El::of(ns::HTTP_UPLOAD, "file-too-large").field("max-file-size", most))
            }
            ChatError::TooMany { retry_after } => {
                let ms = i64::try_from(*retry_after).unwrap_or(0).saturating_mul(1_000);
                Some(El::of(ns::HTTP_UPLOAD, "retry").attr("stamp", self.door.chat.now().plus_millis(ms)))
            }
            _ => None,
        };
        let refused = match error {
            ChatError::TooMany { .. } => StanzaError::wait("resource-constraint")
                .because("too much of what you uploaded was never sent; send it, or wait until it is cleaned up"),
            ChatError::Forbidden(why) => StanzaError::cancel("not-allowed").because(why),
            other => other.into(),
        };
        match more {
            Some(more) => refused.with(more),
            None => refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_out() {
        let text = "a<x>1</x>b<x>2</x>c<x>";
        assert_eq!(without(text, "<x>", "</x>", |part| part.contains('1')), "ab<x>2</x>c<x>");
        assert_eq!(without(text, "<x>", "</x>", |_| true), "abc<x>");
        assert_eq!(without("", "<x>", "</x>", |_| true), "");
    }
}
