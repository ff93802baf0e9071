//! Messages between two people: kept before anybody sees them, and read by those two alone.

use crate::caller::{Caller, Scope};
use crate::error::{ChatError, Result};
use crate::service::Chat;
use holdfast_domain::{ClientId, PrincipalId, rights};
use holdfast_store::direct::{DirectAppended, DirectPage, NewDirect};

pub use holdfast_store::direct::{Direct, DirectQuery};

/// A message as it was kept.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The message.
    pub message: Direct,
    /// Whether it had been there already under its client id.
    pub repeated: bool,
}

impl Chat {
    /// Keeps a message to somebody, and with it the files of the sender whose addresses it says. Answers when it is durable.
    ///
    /// # Errors
    /// When one of the two may not use chat, or the store cannot be written.
    pub async fn send_direct(
        &self,
        caller: &Caller,
        to: PrincipalId,
        client_id: ClientId,
        text: String,
        payload: String,
    ) -> Result<Sent> {
        caller.need(Scope::Post)?;
        {
            let directory = self.directory();
            self.allow_chat(&directory, caller)?;
            if !rights::may_chat(&directory, to, self.options().accounts.chat_by_default) {
                return Err(ChatError::Unknown("this person"));
            }
        }
        let files = self.addresses().said(&payload, self.limits().files_per_message);
        let new = NewDirect { from: caller.user, to, client_id, at: self.now(), text, payload, files };
        let appended = self.store().add_direct(vec![new]).await?.pop().ok_or(ChatError::Internal)?;
        Ok(match appended {
            DirectAppended::New(message) => Sent { message, repeated: false },
            DirectAppended::Repeated(message) => Sent { message, repeated: true },
        })
    }

    /// A page of the caller's own messages with others.
    ///
    /// # Errors
    /// When the caller may not read, or the store cannot be read.
    pub async fn direct_page(&self, caller: &Caller, query: DirectQuery) -> Result<DirectPage> {
        caller.need(Scope::Read)?;
        let query = DirectQuery { of: caller.user, ..query };
        Ok(self.patiently(|| self.store().direct_page(query)).await?)
    }

    /// Those of the ids that are the caller's messages, ascending.
    ///
    /// # Errors
    /// As [`Chat::direct_page`].
    pub async fn direct_by_ids(&self, caller: &Caller, ids: Vec<i64>) -> Result<Vec<Direct>> {
        caller.need(Scope::Read)?;
        Ok(self.patiently(|| self.store().direct(caller.user, ids.clone())).await?)
    }
}
