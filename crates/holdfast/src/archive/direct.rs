//! A message from one to another as a line of the archive: all that is kept of it.

use holdfast_domain::entry::FileRef;
use holdfast_domain::{ClientId, PrincipalId, Time};
use holdfast_store::direct::{Direct, StoredDirect};
use serde::{Deserialize, Serialize};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DirectLine {
    /// Its number, which ascends over the whole archive.
    pub(crate) id: i64,
    pub(crate) from: PrincipalId,
    pub(crate) to: PrincipalId,
    pub(crate) at: Time,
    pub(crate) client_id: ClientId,
    /// What a person reads of it; may be empty.
    pub(crate) text: String,
    /// The XML of the whole stanza.
    pub(crate) payload: String,
    /// The files that went with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<FileRef>,
}

impl From<DirectLine> for StoredDirect {
    fn from(line: DirectLine) -> Self {
        let DirectLine { id, from, to, at, client_id, text, payload, files } = line;
        StoredDirect { direct: Direct { id, from, to, at, payload }, client_id, text, files }
    }
}
