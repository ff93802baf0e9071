//! One's own password, changed in-band (XEP-0077 section 3.3). Accounts are made and ended by administrators alone.

use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::{El, child_text};
use holdfast_domain::name::key;

impl Session {
    /// What there is to be changed: whoever asks is registered.
    pub(super) fn registered(&self) -> El {
        let query = El::of(ns::IQ_REGISTER, "query").child(El::new("registered"));
        query.field("username", &self.login).field("password", "")
    }

    /// Changes the password of whoever asks. He has proven that he knows the present one when this connection was signed in.
    pub(super) async fn change_password(&mut self, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        if iq.payload.has_child("remove", ns::IQ_REGISTER) {
            let why = "nobody ends his own account here; an administrator disables it";
            return Err(StanzaError::cancel("not-allowed").because(why));
        }
        let said = |name| child_text(iq.payload, name, ns::IQ_REGISTER).filter(|text| !text.is_empty());
        let (Some(name), Some(password)) = (said("username"), said("password")) else {
            return Err(StanzaError::bad("say `username` and the new `password`"));
        };
        if key(&name) != key(&self.login) {
            let why = "that is somebody else's name; accounts are made by administrators";
            return Err(StanzaError::cancel("not-allowed").because(why));
        }
        self.door.chat.replace_password(&self.caller, &password).await?;
        Ok(None)
    }
}
