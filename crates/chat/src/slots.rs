//! Files that are uploaded to no room and fetched by whoever knows their address: HTTP File Upload (XEP-0363).

use crate::addresses::{Addresses, Slot, bare_type};
use crate::caller::{Caller, Scope};
use crate::error::{ChatError, Result};
use crate::files::{Upload, file_name};
use crate::service::Chat;
use holdfast_domain::limits::{MEDIA_TYPE_CHARS, SLOT_SECONDS};
use holdfast_domain::{FileId, RoomId, rights};
use holdfast_store::files::StoredFile;
use uuid::Uuid;

/// Seconds after which it makes sense to ask for another slot, when one has too many files that no message has: they are cleaned up as often.
const AGAIN_AFTER: u64 = 3_600;

/// Where a file is put, and where it is found then: paths at each of the pool's servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotPaths {
    /// Where its uploader puts it, once.
    pub put: String,
    /// Where whoever knows it finds it.
    pub get: String,
}

impl Chat {
    /// What makes addresses of files.
    pub fn addresses(&self) -> &Addresses {
        &self.inner.addresses
    }

    /// The right to upload a file of this name, length and, if one is given, media type, within [`SLOT_SECONDS`].
    ///
    /// # Errors
    /// When the caller may not use chat, the file would be too large, or its name is not acceptable; [`ChatError::TooMany`] when the caller has too
    /// much that no message has.
    pub async fn upload_slot(
        &self,
        caller: &Caller,
        name: &str,
        bytes: u64,
        media_type: Option<&str>,
    ) -> Result<SlotPaths> {
        caller.need(Scope::Post)?;
        self.allow_chat(&self.directory(), caller)?;
        if self.limits().files_per_message == 0 {
            return Err(ChatError::Forbidden("no files are taken here".into()));
        }
        if bytes > self.limits().file_bytes {
            return Err(self.too_large());
        }
        if bytes == 0 {
            return Err(ChatError::invalid("size", "is 0; an empty file cannot be uploaded"));
        }
        let name = file_name(name)?;
        let media_type = bare_type(media_type.unwrap_or_default());
        if media_type.len() > MEDIA_TYPE_CHARS {
            let why = format!("has more than {MEDIA_TYPE_CHARS} characters");
            return Err(ChatError::invalid("content-type", why));
        }
        if self.store().unsent_bytes(caller.user).await?.saturating_add(bytes) > self.limits().unsent_bytes {
            return Err(ChatError::TooMany { retry_after: AGAIN_AFTER });
        }
        let file = FileId(Uuid::new_v4());
        let until = self.now().plus_millis(i64::from(SLOT_SECONDS) * 1_000);
        let slot = Slot { file, by: caller.user, bytes, until };
        let put = self.addresses().slot(&slot, &name, &media_type);
        Ok(SlotPaths { put, get: self.addresses().path_of(file, &name) })
    }

    /// Begins the file of a slot.
    ///
    /// # Errors
    /// When it is no slot for such a file, has ended or was used, its holder may not use chat any more, or the announced length is another.
    pub async fn begin_in_slot(&self, slot: &str, name: &str, media_type: &str, length: Option<u64>) -> Result<Upload> {
        let refuse = |why: &str| Err(ChatError::Forbidden(format!("{why}; ask for another slot")));
        let Some(slot) = self.addresses().read_slot(slot, name, &bare_type(media_type)) else {
            return refuse("this is no address to which a file of this name and type may be uploaded");
        };
        if self.now() > slot.until {
            return refuse("this slot has ended");
        }
        if !rights::may_chat(&self.directory(), slot.by, self.options().accounts.chat_by_default) {
            return Err(ChatError::ChatNotAllowed);
        }
        if length.is_some_and(|length| length != slot.bytes) {
            return Err(wrong_length(slot.bytes));
        }
        match self.begin_file(slot.file, RoomId::POOL, slot.by, name.to_owned(), slot.bytes).await {
            Ok(upload) => Ok(upload.of_length(slot.bytes)),
            Err(ChatError::Conflict(_)) => refuse("this slot has been used"),
            Err(other) => Err(other),
        }
    }

    /// The file that has this address, for whoever knows it: until it is swept, or the message that it went with is out of sight.
    ///
    /// # Errors
    /// When there is none.
    pub async fn file_at(&self, address: &str) -> Result<StoredFile> {
        let unknown = || ChatError::Unknown("this file");
        let id = self.addresses().file(address).ok_or_else(unknown)?;
        let file = self.store().file(id).await?.ok_or_else(unknown)?;
        match file.message {
            Some(seq) if file.room != RoomId::POOL && !self.is_in_sight(file.room, seq).await? => Err(unknown()),
            _ => Ok(file),
        }
    }
}

/// The file has another length than its slot is for.
pub(crate) fn wrong_length(bytes: u64) -> ChatError {
    ChatError::invalid("Content-Length", format!("must be {bytes}, as it was said when the slot was asked for"))
}
