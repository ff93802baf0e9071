//! How somebody goes out of a room, as those who stay are told, at every server of a pool.

use super::presence::{Told, item, statuses};
use super::standing::{Affiliation, Role};
use crate::ns;
use crate::xml::El;
use serde::{Deserialize, Serialize};

/// What is said of somebody who goes. By himself and without a word, if nothing is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Farewell {
    /// What he is to the room from now on, if that is why he goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) affiliation: Option<Affiliation>,
    /// Why, by numbers (XEP-0045 section 15.6.2).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) codes: Vec<u16>,
    /// Who sends him out, by nick.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    /// Why he is put out, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reason: String,
    /// What he says himself as he goes (section 7.14).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) said: String,
}

impl Farewell {
    /// He goes by himself and says this.
    pub(crate) fn said(said: &str) -> Self {
        Self { said: said.to_owned(), ..Self::default() }
    }

    /// He is sent out by an occupant (section 8.2).
    pub(crate) fn kicked(by: &str, reason: &str) -> Self {
        Self { codes: vec![307], by: Some(by.to_owned()), reason: reason.to_owned(), ..Self::default() }
    }

    /// The room does not have him any more.
    pub(crate) fn put_out(affiliation: Affiliation, code: u16, reason: &str) -> Self {
        Self { affiliation: Some(affiliation), codes: vec![code], reason: reason.to_owned(), ..Self::default() }
    }

    /// The server stops, if `stopping`, or the client is gone.
    pub(crate) fn ended(stopping: bool) -> Self {
        Self { codes: if stopping { vec![332] } else { Vec::new() }, ..Self::default() }
    }

    /// Whether nobody and nothing but himself has him go.
    pub(crate) fn is_his_own(&self) -> bool {
        self.codes.is_empty()
    }
}

impl Told<'_> {
    /// He goes. `own`: what the receiver is told besides.
    pub(crate) fn gone(&self, farewell: &Farewell, own: &[u16]) -> El {
        let Farewell { affiliation, codes, by, reason, said } = farewell;
        let mut item = item(affiliation.unwrap_or(self.standing.affiliation), Role::None).attr("jid", self.jid);
        if let Some(by) = by {
            item = item.child(El::new("actor").attr("nick", by));
        }
        if !reason.is_empty() {
            item = item.field("reason", reason);
        }
        let content = if said.is_empty() { String::new() } else { El::new("status").text(said).to_string() };
        let x = El::of(ns::MUC_USER, "x").child(item).children(statuses(own)).children(statuses(codes));
        self.presence(&content, x).attr("type", "unavailable")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::muc::standing::Standing;
    use holdfast_domain::{PrincipalId, RoomId};

    #[test]
    fn who_goes_says_why_and_who_is_sent_out_is_told_by_whom() {
        let (affiliation, role) = (Affiliation::Member, Role::Participant);
        let standing = Standing { affiliation, role, administrator: false, manager: false, presenter: false };
        let (user, id) = (PrincipalId(10), RoomId(4));
        let told = Told { room: "tea@r", nick: "bo", user, id, jid: "bo@d/x", standing };
        let text = |farewell: &Farewell, own: &[u16]| told.gone(farewell, own).to_string();
        let himself = text(&Farewell::said("so <long>"), &[110]);
        assert!(himself.contains("<status>so &lt;long&gt;</status>") && himself.contains("code='110'"), "{himself}");
        assert!(!himself.contains("reason") && !himself.contains("actor"), "{himself}");
        let kicked = text(&Farewell::kicked("ana", "enough"), &[]);
        assert!(kicked.contains("<actor nick='ana'/><reason>enough</reason>") && kicked.contains("'307'"), "{kicked}");
        let banned = text(&Farewell::put_out(Affiliation::Outcast, 301, ""), &[]);
        assert!(banned.contains("affiliation='outcast'") && banned.contains("role='none'"), "{banned}");
    }
}
