//! A room's log as its readers see it.

use super::files::File;
use super::shapes::{Moment, Principal};
use crate::door::Door;
use crate::extract::{By, Json, Path, Query};
use crate::page::{self, List};
use crate::problem::{Problem, Refusals, Result};
use axum::extract::State;
use holdfast_chat::history::{HistoryPage, Version as ChatVersion};
use holdfast_chat::view::{EntryView, RemovedView};
use holdfast_domain::entry::{Edit, EntryBody, FileRef, Kind, Removal};
use holdfast_domain::{RoomId, Seq};
use holdfast_store::log::{Edited as KeptEdit, From as Start, Gone};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// Entries of a page when no number is asked for.
const PAGE: usize = 50;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(entries)).routes(routes!(entry)).routes(routes!(versions))
}

/// One element of a room's log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Entry {
    /// The room.
    room: i64,
    /// Its number there: 1, 2, 3 ... without gaps.
    seq: i64,
    /// The moment to show: of an imported message when it was said, otherwise when it was recorded.
    at: Moment,
    /// When the log took it.
    recorded_at: Moment,
    author: Principal,
    /// The author's own name for it.
    client_id: Uuid,
    #[serde(flatten)]
    what: What,
}

/// What happened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[schema(as = EntryContent)]
enum What {
    /// Somebody said something. Shown as it reads now.
    Message {
        /// What it says now; null when it is out of sight.
        message: Option<Message>,
        /// The latest edit; null if there is none.
        edited: Option<Edited>,
        /// How it went out of sight; null while it is in sight.
        removed: Option<Removed>,
    },
    /// An author changed a message.
    Edit {
        /// The new text; null when it was erased.
        edit: Option<EditText>,
    },
    /// An author took a message back.
    Retraction {
        /// The message.
        of: i64,
    },
    /// A moderator removed messages.
    Removal {
        /// The messages, ascending; none when this was erased in its turn.
        of: Vec<i64>,
        reason: Option<String>,
        /// What is shown in their place.
        replacement: Option<String>,
    },
    /// Everything said up to an entry was erased.
    Purge {
        /// The last entry that was erased.
        through: i64,
    },
    /// Something that only XMPP clients make sense of. Nothing to show.
    Annotation,
    /// The room's subject changed.
    Subject { subject: String },
    /// The room was made.
    RoomCreated {
        /// A sentence for each setting worth telling.
        changes: Vec<String>,
    },
    /// The room's settings changed.
    RoomChanged {
        /// A sentence for each change.
        changes: Vec<String>,
    },
    /// The room's lists changed.
    RolesChanged {
        /// A sentence for each change.
        changes: Vec<String>,
    },
}

/// A message as it reads now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageNow)]
struct Message {
    /// Plain text; of a story, its body.
    text: String,
    /// A message with a title is a story.
    title: Option<String>,
    /// High importance.
    alert: bool,
    /// Tells what its author does rather than says.
    action: bool,
    files: Vec<File>,
    /// The numbers of those who are named in it.
    mentions: Vec<i64>,
}

/// The latest edit of a message.
#[derive(Debug, Serialize, ToSchema)]
struct Edited {
    at: Moment,
    /// The edit's own entry.
    seq: i64,
}

/// How a message went out of sight.
#[derive(Debug, Serialize, ToSchema)]
struct Removed {
    how: How,
    at: Moment,
    by: Principal,
    /// The moderator's reason.
    reason: Option<String>,
    /// What is shown instead.
    replacement: Option<String>,
    /// The entry that did it.
    seq: i64,
}

/// The ways in which a message goes out of sight.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = RemovedHow)]
enum How {
    /// By its author.
    Retracted,
    /// By a moderator.
    Removed,
    /// With everything before it.
    Purged,
}

/// A new text for an earlier message.
#[derive(Debug, Serialize, ToSchema)]
struct EditText {
    /// The message.
    of: i64,
    text: String,
    title: Option<String>,
    /// Whether it tells from now on what its author does; null when that has not changed.
    action: Option<bool>,
    /// All its files from now on; null when they have not changed.
    files: Option<Vec<File>>,
    /// The numbers of those who are named in it now.
    mentions: Vec<i64>,
}

impl From<EntryView> for Entry {
    fn from(view: EntryView) -> Self {
        let at = view.entry.shown_at();
        let EntryView { entry, author, edited, removed, changes } = view;
        let what = match (entry.kind, entry.body) {
            (Kind::Message, Some(EntryBody::Message(message))) => What::Message {
                edited: edited.as_ref().map(|e| Edited { at: e.at.into(), seq: e.seq.0 }),
                message: Some(as_it_reads(message, edited)),
                removed: None,
            },
            (Kind::Message, _) => What::Message { message: None, edited: None, removed: removed.map(Removed::from) },
            (Kind::Edit, Some(EntryBody::Edit(edit))) => What::Edit { edit: Some(EditText::from(edit)) },
            (Kind::Edit, _) => What::Edit { edit: None },
            (_, Some(EntryBody::Retraction { of, .. })) => What::Retraction { of: of.0 },
            (Kind::Removal, Some(EntryBody::Removal(Removal { of, reason, replacement, .. }))) => {
                What::Removal { of: of.into_iter().map(|s| s.0).collect(), reason: Some(reason), replacement }
            }
            (Kind::Removal, _) => What::Removal { of: Vec::new(), reason: None, replacement: None },
            (_, Some(EntryBody::Purge { through })) => What::Purge { through: through.0 },
            (Kind::Annotation, _) => What::Annotation,
            (_, Some(EntryBody::Room(put))) if put.changed.is_empty() => What::RoomCreated { changes },
            (_, Some(EntryBody::Room(put))) if put.changed == ["subject"] => What::Subject { subject: put.now.subject },
            (_, Some(EntryBody::Roles(_))) => What::RolesChanged { changes },
            _ => What::RoomChanged { changes },
        };
        Entry {
            room: entry.room.0,
            seq: entry.seq.0,
            at: at.into(),
            recorded_at: entry.at.into(),
            author: author.into(),
            client_id: entry.client_id.0,
            what,
        }
    }
}

fn as_it_reads(message: holdfast_domain::entry::Message, edited: Option<KeptEdit>) -> Message {
    let (text, title, mentions, action, files) = match edited {
        Some(edit) => (edit.text, edit.title, edit.mentions, edit.action, edit.files),
        None => (message.text, message.title, message.mentions, None, None),
    };
    Message {
        text,
        title,
        alert: message.alert,
        action: action.unwrap_or(message.action),
        files: listed(files.unwrap_or(message.files)),
        mentions: mentions.into_iter().map(|p| p.0).collect(),
    }
}

fn listed(files: Vec<FileRef>) -> Vec<File> {
    files.into_iter().map(File::from).collect()
}

impl From<Edit> for EditText {
    fn from(edit: Edit) -> Self {
        let Edit { of, text, title, action, files, mentions, .. } = edit;
        let mentions = mentions.into_iter().map(|p| p.0).collect();
        Self { of: of.0, text, title, action, files: files.map(listed), mentions }
    }
}

impl From<RemovedView> for Removed {
    fn from(removed: RemovedView) -> Self {
        Self {
            how: match removed.how {
                Gone::Retracted => How::Retracted,
                Gone::Removed => How::Removed,
                Gone::Purged => How::Purged,
            },
            at: removed.at.into(),
            by: removed.by.into(),
            reason: removed.reason,
            replacement: removed.replacement,
            seq: removed.seq.0,
        }
    }
}

/// Entries of one room, ascending.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EntryPage)]
struct Page {
    room: i64,
    /// The epoch under which they were read: what belongs to a number that is said when joining.
    epoch: i64,
    entries: Vec<Entry>,
    /// The number of the room's last entry.
    head: i64,
    /// Whether there are earlier ones.
    more_before: bool,
    /// Whether there are later ones.
    more_after: bool,
    /// The entry that was asked for with `around` or `at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    focus: Option<i64>,
}

/// Which entries: at most one of `before`, `after`, `around` and `at`; none of them: the latest.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Those right before this one.
    before: Option<i64>,
    /// Those right after this one.
    after: Option<i64>,
    /// This one with half of the page before it.
    around: Option<i64>,
    /// As `around` the first message shown at this time or later.
    at: Option<Moment>,
    /// How many at most; 50 if not given.
    limit: Option<usize>,
}

impl Wanted {
    fn start(&self) -> Result<Start> {
        match (self.before, self.after, self.around, self.at) {
            (None, None, None, None) => Ok(Start::Latest),
            (Some(seq), None, None, None) => Ok(Start::Before(Seq(seq))),
            (None, Some(seq), None, None) => Ok(Start::After(Seq(seq))),
            (None, None, Some(seq), None) => Ok(Start::Around(Seq(seq))),
            (None, None, None, Some(at)) => Ok(Start::At(at.0)),
            _ => Err(Problem::invalid("before", "stands beside `after`, `around` or `at`; give one of them")),
        }
    }
}

/// A page of a room's entries.
#[utoipa::path(get, path = "/rooms/{room}/entries", tag = "entries", params(Wanted),
    responses((status = 200, body = Page), Refusals))]
async fn entries(
    State(door): State<Door>,
    By(caller): By,
    Path(room): Path<i64>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>> {
    let most = door.chat.limits().history_max;
    let limit = page::limit(wanted.limit, PAGE, most)?;
    let page = door.chat.history(&caller, RoomId(room), wanted.start()?, limit).await?;
    let HistoryPage { epoch, entries, head, more_before, more_after, focus } = page;
    let entries = entries.into_iter().map(Entry::from).collect();
    Ok(Json(Page { room, epoch, entries, head: head.0, more_before, more_after, focus: focus.map(|s| s.0) }))
}

/// An entry with its place in the hash chain.
#[derive(Debug, Serialize, ToSchema)]
struct ChainedEntry {
    #[serde(flatten)]
    entry: Entry,
    /// Its hash, hexadecimal.
    hash: String,
    /// The hash of the entry before it.
    previous_hash: String,
}

/// One entry, with its hash and the one before.
#[utoipa::path(get, path = "/rooms/{room}/entries/{seq}", tag = "entries", responses((status = 200, body = ChainedEntry), Refusals))]
async fn entry(
    State(door): State<Door>,
    By(caller): By,
    Path((room, seq)): Path<(i64, i64)>,
) -> Result<Json<ChainedEntry>> {
    let (view, previous) = door.chat.entry(&caller, RoomId(room), Seq(seq)).await?;
    let hash = view.entry.hash.to_string();
    Ok(Json(ChainedEntry { entry: view.into(), hash, previous_hash: previous.to_string() }))
}

/// A text that a message had.
#[derive(Debug, Serialize, ToSchema)]
struct Version {
    /// The entry that gave it.
    seq: i64,
    at: Moment,
    author: Principal,
    text: String,
    title: Option<String>,
    /// The files that it had.
    files: Vec<File>,
}

impl From<ChatVersion> for Version {
    fn from(version: ChatVersion) -> Self {
        let ChatVersion { seq, at, author, text, title, files } = version;
        Self { seq: seq.0, at: at.into(), author: author.into(), text, title, files: listed(files) }
    }
}

/// All texts that a message had, oldest first. For its author, and for those who remove messages.
#[utoipa::path(get, path = "/rooms/{room}/entries/{seq}/versions", tag = "entries",
    responses((status = 200, body = List<Version>), Refusals))]
async fn versions(
    State(door): State<Door>,
    By(caller): By,
    Path((room, seq)): Path<(i64, i64)>,
) -> Result<Json<List<Version>>> {
    let versions = door.chat.versions(&caller, RoomId(room), Seq(seq)).await?;
    Ok(Json(List::whole(versions.into_iter().map(Version::from).collect())))
}
