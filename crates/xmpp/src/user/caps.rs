//! What a client can deal with, as far as the server has to know: of which nodes it wants to be told (XEP-0115, XEP-0163 section 4.3.2).
//!
//! Each client is asked itself. A table of what the hashes mean would save the question, and let one client answer for another.

use crate::ns;
use crate::session::Session;
use crate::xml::El;
use minidom::Element;
use std::collections::HashSet;
use std::sync::Arc;

/// Nodes that a client may want.
const WANTED: usize = 200;
/// How our question is known from others.
const QUESTION: &str = "what-do-you-want";

impl Session {
    /// Asks a client that says something new of itself.
    pub(crate) fn ask_capabilities(&mut self, presence: &Element) {
        let Some(c) = presence.get_child("c", ns::CAPS) else { return };
        let (Some(node), Some(ver)) = (c.attr("node"), c.attr("ver")) else { return };
        let said = format!("{node}#{ver}");
        if self.said_caps.as_deref() == Some(&said) {
            return;
        }
        let query = El::of(ns::DISCO_INFO, "query").attr("node", &said);
        let from = self.door.domains.people.clone();
        self.tell(El::new("iq").attr("type", "get").attr("id", QUESTION).attr("from", from).child(query));
        self.said_caps = Some(said);
    }

    /// Takes the answer, if this is it.
    pub(crate) fn learn_capabilities(&mut self, element: &Element) -> bool {
        if element.attr("id") != Some(QUESTION) {
            return false;
        }
        let Some(query) = element.get_child("query", ns::DISCO_INFO) else { return true };
        let wants: HashSet<String> = query
            .children()
            .filter(|c| c.is("feature", ns::DISCO_INFO))
            .filter_map(|c| c.attr("var")?.strip_suffix("+notify").map(str::to_owned))
            .take(WANTED)
            .collect();
        let before = self.resource.state().wants;
        let wants = Arc::new(wants);
        let new: Vec<String> = wants.iter().filter(|node| !before.contains(*node)).cloned().collect();
        self.resource.change(|state| state.wants = Arc::clone(&wants));
        self.news_of = new;
        true
    }
}
