//! How one-to-one messages get their numbers and times: each follows on the one before it, and what was there before is found again.

use crate::direct::{Direct, DirectAppended, NewDirect, StoredDirect};
use crate::files::StoredFile;
use holdfast_domain::{ClientId, FileId, PrincipalId, Time};
use std::collections::HashMap;

/// A client id, and whose it is: author and addressee.
pub(crate) type Key = (PrincipalId, PrincipalId, ClientId);

/// The end of the archive. Whoever numbers on holds it until that is committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct End {
    /// The last number that was given.
    pub(crate) id: i64,
    /// The time of the last message.
    pub(crate) at: Time,
}

/// A row to be inserted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NewRow {
    pub(crate) direct: Direct,
    pub(crate) client_id: ClientId,
    pub(crate) text: String,
    pub(crate) files: Vec<FileId>,
}

impl End {
    /// Numbers on, and moves. `before`: those of the messages that are there already. Answers what to say of each, and the rows to insert.
    pub(crate) fn number(
        &mut self,
        new: Vec<NewDirect>,
        mut before: HashMap<Key, Direct>,
    ) -> (Vec<DirectAppended>, Vec<NewRow>) {
        let mut rows = Vec::new();
        let mut number = |new: NewDirect| {
            let key = new.key();
            if let Some(there) = before.get(&key) {
                return DirectAppended::Repeated(there.clone());
            }
            *self = End { id: self.id + 1, at: self.at.max(new.at) };
            let NewDirect { from, to, client_id, text, payload, files, .. } = new;
            let direct = Direct { id: self.id, from, to, at: self.at, payload };
            before.insert(key, direct.clone());
            rows.push(NewRow { direct: direct.clone(), client_id, text, files });
            DirectAppended::New(direct)
        };
        let answers = new.into_iter().map(&mut number).collect();
        (answers, rows)
    }

    /// Moves behind messages that have numbers and times already. Answers the rows to insert, or which message does not follow.
    pub(crate) fn follow(&mut self, given: Vec<StoredDirect>) -> Result<Vec<NewRow>, String> {
        let mut row = |StoredDirect { direct, client_id, text, files }: StoredDirect| {
            if direct.id <= self.id || direct.at < self.at {
                return Err(format!("one-to-one message {} does not follow on {} of {}", direct.id, self.id, self.at));
            }
            *self = End { id: direct.id, at: direct.at };
            Ok(NewRow { direct, client_id, text, files: files.into_iter().map(|file| file.id).collect() })
        };
        given.into_iter().map(&mut row).collect()
    }
}

/// Gives messages, which ascend, the files that went with them, in their order.
pub(crate) fn give_files(messages: &mut [StoredDirect], files: Vec<StoredFile>) {
    for file in files {
        let at = file.message.map(|number| messages.binary_search_by_key(&number.0, |m| m.direct.id));
        if let Some(Ok(at)) = at {
            messages[at].files.push(file.file);
        }
    }
}

impl NewDirect {
    pub(crate) fn key(&self) -> Key {
        (self.from, self.to, self.client_id)
    }
}
