//! The archive of a whole pool: one ZIP file of JSON lines and files, readable without Holdfast.
//!
//! | in it | is |
//! |---|---|
//! | `manifest.json` | version of the format, when and by what it was made, the end of every log, counts |
//! | `logs/ID.jsonl` | a log: each entry exactly as it is stored, so that the chain can be verified; 0 is the pool's own |
//! | `accounts.jsonl` | what no log holds of a user: password keys, preferences, followed rooms, reading positions, feeds, what XMPP clients keep |
//! | `direct.jsonl` | the messages from one to another |
//! | `keys.json` | the key by which addresses of files are made, so that they stay good |
//! | `files/ID` | the bytes of a file; the message that names it has its SHA-256 |
//! | `thumbnails/ID` | the small version of a picture |
//! | `users.jsonl`, `groups.jsonl`, `categories.jsonl`, `rooms.jsonl` | the state that follows from the logs, for readers; an import does not need them |

pub(crate) mod check;
pub(crate) mod direct;
pub(crate) mod entry;
pub(crate) mod load;
pub(crate) mod manifest;
pub(crate) mod read;
pub(crate) mod write;
