//! What a client asks for together with its sign-in (XEP-0388 section 2.3): to go on with a session (XEP-0198), or to begin one that is at once as
//! it wants it (XEP-0386).

use crate::limits::RESOURCE_BYTES;
use crate::ns;
use crate::xml::{El, child_text};
use holdfast_domain::PrincipalId;
use jid::ResourcePart;
use minidom::Element;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Inline {
    /// A session to go on with.
    pub(crate) resume: Option<Resume>,
    /// A session to begin, if that one does not go on.
    pub(crate) begin: Option<Wanted>,
}

/// The session that is to go on, and how many stanzas have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resume {
    pub(crate) previous: String,
    pub(crate) h: Option<u32>,
}

/// How a session is to begin.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Wanted {
    /// What the client calls itself; seen by others.
    tag: Option<String>,
    /// By what it can be told from its owner's other clients; seen by nobody.
    client: Option<String>,
    /// Whether it gets copies of what its owner's other clients send and get (XEP-0280).
    pub(crate) carbons: bool,
    /// What asks for stream management (XEP-0198).
    pub(crate) enable: Option<Element>,
    /// Whether nobody looks at it (XEP-0352).
    pub(crate) inactive: bool,
}

impl Inline {
    /// Reads it from an `authenticate`. What is not understood is passed over, as the standard wants it.
    pub(crate) fn read(authenticate: &Element) -> Inline {
        let resume = authenticate.get_child("resume", ns::SM_3).map(Resume::read);
        let client = authenticate.get_child("user-agent", ns::SASL2).and_then(|agent| agent.attr("id"));
        let begin = authenticate.get_child("bind", ns::BIND2).map(|bind| Wanted {
            tag: child_text(bind, "tag", ns::BIND2).map(|tag| tag.trim().to_owned()),
            client: client.filter(|id| !id.is_empty()).map(str::to_owned),
            carbons: bind.has_child("enable", ns::CARBONS_2),
            enable: bind.get_child("enable", ns::SM_3).cloned(),
            inactive: bind.has_child("inactive", ns::CSI_0),
        });
        Inline { resume, begin }
    }

    /// What can be asked for.
    pub(crate) fn offered() -> El {
        let features = [ns::CARBONS_2, ns::CSI_0, ns::SM_3].map(|var| El::new("feature").attr("var", var));
        let bind = El::of(ns::BIND2, "bind").child(El::new("inline").children(features));
        El::new("inline").child(bind).child(El::of(ns::SM_3, "sm"))
    }
}

impl Resume {
    /// Reads a `resume`.
    pub(crate) fn read(element: &Element) -> Resume {
        let h = element.attr("h").and_then(|h| h.parse().ok());
        Resume { previous: element.attr("previd").unwrap_or_default().to_owned(), h }
    }
}

impl Wanted {
    /// The last part of the client's address (XEP-0386 section 3.2.1): its tag, if that is fit for one, and something of ours. The same client of the same
    /// person gets the same again, so that a session of its that hangs ends by that.
    pub(crate) fn resource(&self, user: PrincipalId) -> String {
        let ours = match &self.client {
            // Nobody finds the client's id from this.
            Some(client) => {
                let digest = Sha256::digest(format!("{user} {client}"));
                digest[..6].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
            }
            None => Uuid::new_v4().simple().to_string(),
        };
        let fit = |tag: &&String| !tag.is_empty() && tag.len() + 1 + ours.len() <= RESOURCE_BYTES;
        let tagged = self.tag.as_ref().filter(fit).map(|tag| format!("{tag}/{ours}"));
        let tagged = tagged.and_then(|resource| Some(ResourcePart::new(&resource).ok()?.into_owned().to_string()));
        tagged.unwrap_or(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inside: &str) -> Inline {
        let text = format!("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>{inside}</authenticate>");
        Inline::read(&text.parse().unwrap())
    }

    #[test]
    fn a_client_gets_its_own_address_again_and_nobody_elses() {
        let asked = |id: &str, tag: &str| {
            let agent = format!("<user-agent id='{id}'/>");
            read(&format!("{agent}<bind xmlns='urn:xmpp:bind:0'><tag>{tag}</tag></bind>")).begin.unwrap()
        };
        let (ana, bo) = (PrincipalId(10), PrincipalId(11));
        let first = asked("d4565fa7", "Tea").resource(ana);
        assert!(first.starts_with("Tea/") && !first.contains("d4565fa7"), "{first}");
        assert_eq!(asked("d4565fa7", "Tea").resource(ana), first);
        assert_ne!(asked("d4565fa7", "Tea").resource(bo), first);
        assert_ne!(asked("another", "Tea").resource(ana), first);
        assert_ne!(asked("", "Tea").resource(ana), asked("", "Tea").resource(ana));
        for unfit in ["", " ", &"x".repeat(RESOURCE_BYTES), "a\u{200e}b"] {
            let resource = asked("d4565fa7", unfit).resource(ana);
            assert_eq!(resource.len(), 12, "{resource}");
        }
    }

    #[test]
    fn what_is_asked_for_is_read_and_else_passed_over() {
        assert_eq!(read("<other xmlns='what'/>"), Inline::default());
        let asked = read(
            "<resume xmlns='urn:xmpp:sm:3' previd='x' h='7'/><bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:carbons:2'/>\
             <enable xmlns='urn:xmpp:sm:3' resume='true'/><inactive xmlns='urn:xmpp:csi:0'/><other xmlns='what'/></bind>",
        );
        assert_eq!(asked.resume, Some(Resume { previous: "x".into(), h: Some(7) }));
        let begin = asked.begin.unwrap();
        assert!(begin.carbons && begin.inactive && begin.enable.is_some());
        assert_eq!(read("<resume xmlns='urn:xmpp:sm:3' h='many'/>").resume.unwrap().h, None);
    }
}
