//! Every limit on what somebody may send, in one place. The handbook's table is made from this list.

use serde::{Deserialize, Serialize};

/// Limits that an administrator may set. All lengths are in Unicode scalar values unless the name says bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Characters of a message.
    pub message_chars: usize,
    /// Characters of a story's title.
    pub story_title_chars: usize,
    /// Characters of a story's body.
    pub story_chars: usize,
    /// Bytes of one uploaded file.
    pub file_bytes: u64,
    /// Files of one message.
    pub files_per_message: usize,
    /// Bytes of one person's files that no message has yet.
    pub unsent_bytes: u64,
    /// Days for which a file that was uploaded to no room is kept while no message says where it is, as far as the server can read them.
    pub unsaid_days: u32,
    /// Entries that a room gives on entering it.
    pub history_default: usize,
    /// Entries of one page of history at most.
    pub history_max: usize,
    /// People above whose number a room's coming and going is no longer told; told again under 80 % of it.
    pub roster: usize,
    /// Seconds for which an author may edit or retract a message; 0 forbids it.
    pub edit_window_seconds: u64,
    /// Hits of one page of a search.
    pub search_page: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_chars: 8_000,
            story_title_chars: 200,
            story_chars: 100_000,
            file_bytes: 20 * 1024 * 1024,
            files_per_message: 10,
            unsent_bytes: 1024 * 1024 * 1024,
            unsaid_days: 30,
            history_default: 30,
            history_max: 500,
            roster: 75,
            edit_window_seconds: 3_600,
            search_page: 50,
        }
    }
}

/// Characters of a room's or category's name (as in Lync).
pub const NAME_CHARS: usize = 256;
/// Characters of a room's or category's description (as in Lync), and of a room's subject.
pub const DESCRIPTION_CHARS: usize = 256;
/// Characters of the name that somebody signs in with.
pub const LOGIN_CHARS: usize = 64;
/// Characters of a person's or group's displayed name.
pub const DISPLAY_NAME_CHARS: usize = 128;
/// Characters of an add-in's address (as in Lync).
pub const ADD_IN_URL_CHARS: usize = 255;
/// Bytes of what an administrator says to everybody: it goes to the other servers of a pool in one piece.
pub const ANNOUNCEMENT_BYTES: usize = 3_000;
/// Characters of what users are told of an outage.
pub const NOTICE_CHARS: usize = 500;
/// Characters of the reason of a removal.
pub const REASON_CHARS: usize = 500;
/// Characters of a label: tokens, webhooks, feeds.
pub const LABEL_CHARS: usize = 100;
/// Characters of an uploaded file's name.
pub const FILE_NAME_CHARS: usize = 200;
/// Characters of a media type that is said of an upload.
pub const MEDIA_TYPE_CHARS: usize = 127;
/// Seconds within which the upload for a slot must have begun.
pub const SLOT_SECONDS: u32 = 300;
/// Principals in one list of a request.
pub const LIST_LEN: usize = 10_000;
/// Groups may contain groups this deep; deeper nesting is not followed.
pub const GROUP_DEPTH: usize = 16;
/// Mentions of one message that are recorded.
pub const MENTIONS: usize = 50;
/// Words of one topic feed.
pub const FEED_WORDS: usize = 20;
/// Feeds of one person.
pub const FEEDS: usize = 50;
/// Shortest password, in characters.
pub const PASSWORD_MIN_CHARS: usize = 10;
/// Longest password, in bytes: hashing more costs us, not the attacker.
pub const PASSWORD_MAX_BYTES: usize = 1_024;
