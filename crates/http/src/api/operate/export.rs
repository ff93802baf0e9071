//! Everything that is kept, as lines: the logs exactly as they are stored, what no log holds of the users, and a list of the files,
//! whose content is fetched one by one.

use super::demand_admin;
use super::lines::Lines;
use crate::api::files::end_with_whole_message;
use crate::api::shapes::Moment;
use crate::door::Door;
use crate::extract::By;
use crate::problem::{Document, Problem, Refusals, Result};
use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_chat::operating::AccountExport;
use holdfast_chat::{Caller, ChatError};
use holdfast_domain::chain::{Payload, Stored};
use holdfast_domain::entry::FileRef;
use holdfast_domain::{PrincipalId, RoomId, Seq};
use holdfast_store::direct::StoredDirect;
use holdfast_store::files::StoredFile;
use holdfast_store::log::Head;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// Entries and files that are read at a time.
const PAGE: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new().routes(routes!(export))
}

/// A line of an export.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "made and written one at a time")]
enum ExportLine {
    /// The first: what follows.
    Manifest { manifest: Manifest },
    /// An entry of a log, log by log, ascending.
    Entry { entry: StoredEntry },
    /// What makes addresses of files good. Only for the operator.
    Keys { keys: Keys },
    /// What no log holds of a user. Only for the operator, since it has password keys.
    Account { account: Account },
    /// A message from one to another, ascending. Only for the operator.
    Direct { direct: Direct },
    /// A file of a message that is in sight.
    File { file: ExportedFile },
    /// The last: everything was written.
    Done { done: bool, entries: i64, files: usize },
    /// The last: the server could not go on.
    Problem { problem: Document },
}

/// What an export holds.
#[derive(Serialize, ToSchema)]
struct Manifest {
    /// Of this form.
    version: u32,
    /// The version of Holdfast.
    software: &'static str,
    created_at: Moment,
    /// The server's name.
    server: String,
    /// The logs, each up to the end that it had when the export began; the pool's own, number 0, first.
    logs: Vec<LogEnd>,
}

/// Where a log ends.
#[derive(Serialize, ToSchema)]
struct LogEnd {
    room: i64,
    /// Null of the pool's own log.
    name: Option<String>,
    /// The number of its last entry.
    seq: i64,
    /// The hash of its last entry.
    hash: String,
    messages: i64,
}

/// An entry exactly as it is stored.
#[derive(Serialize, ToSchema)]
struct StoredEntry {
    room: i64,
    seq: i64,
    at: Moment,
    author: i64,
    client_id: Uuid,
    /// The number of its kind.
    kind: u16,
    /// What was written, as it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    /// Where the payload was erased: its SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    hash: String,
}

impl From<Stored> for StoredEntry {
    fn from(stored: Stored) -> Self {
        let Stored { header, payload, hash } = stored;
        let (payload, digest) = match payload {
            Payload::Kept(text) => (Some(text), None),
            Payload::Erased(digest) => (None, Some(digest.to_string())),
        };
        Self {
            room: header.room.0,
            seq: header.seq.0,
            at: header.at.into(),
            author: header.author.0,
            client_id: header.client_id.0,
            kind: header.kind,
            payload,
            digest,
            hash: hash.to_string(),
        }
    }
}

/// What no log holds of a user.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedAccount)]
struct Account {
    id: i64,
    /// Keys from which the password can be checked; null: there is none.
    scram: Option<Scram>,
    /// Choices, as they were put; null: never.
    #[schema(value_type = Option<Object>)]
    preferences: Option<Box<RawValue>>,
    /// Numbers of rooms.
    followed: Vec<i64>,
    /// Room and the last entry read.
    read: Vec<(i64, i64)>,
    #[schema(value_type = Vec<Object>)]
    feeds: Vec<holdfast_domain::feed::Feed>,
    /// What his clients keep with the server, node by node.
    items: Vec<Item>,
}

/// Keys of SCRAM-SHA-256.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedScram)]
struct Scram {
    /// Base64.
    salt: String,
    iterations: u32,
    /// Hexadecimal.
    stored_key: String,
    /// Hexadecimal.
    server_key: String,
}

fn hex(key: [u8; 32]) -> String {
    holdfast_domain::chain::Digest(key).to_string()
}

impl From<AccountExport> for Account {
    fn from(account: AccountExport) -> Self {
        let items = account.items.into_iter().flat_map(|(node, items)| {
            items.into_iter().map(move |item| {
                let (id, at, payload) = (item.id, item.at.into(), item.payload);
                Item { node: node.clone(), id, at, payload }
            })
        });
        Self {
            id: account.user.0,
            scram: account.scram.map(|keys| Scram {
                salt: STANDARD.encode(&keys.salt),
                iterations: keys.iterations,
                stored_key: hex(keys.stored_key),
                server_key: hex(keys.server_key),
            }),
            preferences: account.preferences.and_then(|json| RawValue::from_string(json).ok()),
            followed: account.followed.into_iter().map(|r| r.0).collect(),
            read: account.read.into_iter().map(|(room, seq)| (room.0, seq.0)).collect(),
            feeds: account.feeds,
            items: items.collect(),
        }
    }
}

/// Secrets that the pool's servers share.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedKeys)]
struct Keys {
    /// By which addresses of files are made. Hexadecimal.
    addresses: String,
}

/// What a client of a user's keeps with the server.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedItem)]
struct Item {
    /// The list that it is in.
    node: String,
    id: String,
    at: Moment,
    /// XML, as it was put.
    payload: String,
}

/// A message from one to another, exactly as it is stored.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportedDirect)]
struct Direct {
    id: i64,
    from: i64,
    to: i64,
    at: Moment,
    client_id: Uuid,
    /// What a person reads of it; may be empty.
    text: String,
    /// The XML of the whole stanza.
    payload: String,
    /// The files that went with it, as messages in rooms name theirs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    files: Vec<FileRef>,
}

impl From<StoredDirect> for Direct {
    fn from(stored: StoredDirect) -> Self {
        let StoredDirect { direct, client_id, text, files } = stored;
        let holdfast_store::direct::Direct { id, from, to, at, payload } = direct;
        Self { id, from: from.0, to: to.0, at: at.into(), client_id: client_id.0, text, payload, files }
    }
}

/// A file, without its content.
#[derive(Serialize, ToSchema)]
struct ExportedFile {
    id: Uuid,
    room: i64,
    name: String,
    bytes: u64,
    #[serde(rename = "type")]
    media_type: String,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    thumbnail: bool,
    by: i64,
    at: Moment,
    /// The message that it went with.
    message: Option<i64>,
}

impl From<StoredFile> for ExportedFile {
    fn from(stored: StoredFile) -> Self {
        let StoredFile { file, room, by, at, message } = stored;
        let FileRef { id, name, bytes, media_type, sha256, width, height, thumbnail } = file;
        Self {
            id: id.0,
            room: room.0,
            name,
            bytes,
            media_type,
            sha256: sha256.to_string(),
            width,
            height,
            thumbnail,
            by: by.0,
            at: at.into(),
            message: message.map(|s| s.0),
        }
    }
}

/// Everything that is kept, as of the ends that the logs have now: a JSON document a line, the first with `manifest`, the last
/// with `done`. For administrators; password keys go to the operator of the machine alone.
#[utoipa::path(get, path = "/admin/export", tag = "operate",
    responses((status = 200, body = ExportLine, content_type = "application/x-ndjson"), Refusals))]
async fn export(State(door): State<Door>, By(caller): By) -> Result<Response> {
    demand_admin(&door, &caller)?;
    let logs = door.chat.logs(&caller).await?;
    Ok(Lines::answer(|lines| async move {
        match write(&door, &caller, logs, &lines).await {
            Ok(Some((entries, files))) => lines.end(&ExportLine::Done { done: true, entries, files }),
            Ok(None) => {}
            Err(error) => lines.end(&ExportLine::Problem { problem: Problem::from(error).document() }),
        }
    }))
}

/// Writes all but the last line; `None` if the reader went away.
async fn write(
    door: &Door,
    caller: &Caller,
    logs: Vec<(RoomId, String, Head)>,
    lines: &Lines,
) -> std::result::Result<Option<(i64, usize)>, ChatError> {
    let ends: Vec<(RoomId, Seq)> = logs.iter().map(|(room, _, head)| (*room, head.seq)).collect();
    let manifest = Manifest {
        version: 1,
        software: env!("CARGO_PKG_VERSION"),
        created_at: door.chat.now().into(),
        server: door.chat.options().name.clone(),
        logs: logs.into_iter().map(log_end).collect(),
    };
    if !lines.push(&ExportLine::Manifest { manifest }).await {
        return Ok(None);
    }
    let (mut entries, mut files) = (0, 0);
    for (room, end) in &ends {
        let mut last = Seq::ZERO;
        while last < *end {
            let page = door.chat.stored(caller, *room, last, PAGE).await?;
            let Some(newest) = page.last().map(|s| s.header.seq) else { break };
            for stored in page.into_iter().filter(|s| s.header.seq <= *end) {
                entries += 1;
                if !lines.push(&ExportLine::Entry { entry: stored.into() }).await {
                    return Ok(None);
                }
            }
            last = newest;
        }
    }
    if caller.is_operator() {
        let keys = Keys { addresses: hex(door.chat.export_address_key(caller).await?) };
        if !lines.push(&ExportLine::Keys { keys }).await {
            return Ok(None);
        }
        let users: Vec<PrincipalId> = door.chat.directory().users().map(|u| u.id).collect();
        for user in users {
            let account = door.chat.account_export(caller, user).await?;
            if !lines.push(&ExportLine::Account { account: account.into() }).await {
                return Ok(None);
            }
        }
        let mut last = 0;
        loop {
            let page = door.chat.export_direct(caller, last, PAGE).await?;
            let Some(newest) = page.last().map(|stored| stored.direct.id) else { break };
            for stored in page {
                if !lines.push(&ExportLine::Direct { direct: stored.into() }).await {
                    return Ok(None);
                }
            }
            last = newest;
        }
    }
    for (room, end) in ends.iter().filter(|(room, _)| *room != RoomId::POOL) {
        let mut before = Some(end.next());
        while before.is_some() {
            let spare = door.chat.limits().files_per_message;
            let mut page = door.chat.export_files(caller, *room, before, PAGE + spare).await?;
            let more = end_with_whole_message(&mut page, PAGE, PAGE + spare);
            before = page.last().and_then(|f| f.message).filter(|_| more);
            for file in page {
                files += 1;
                if !lines.push(&ExportLine::File { file: file.into() }).await {
                    return Ok(None);
                }
            }
        }
    }
    Ok(Some((entries, files)))
}

fn log_end((room, name, head): (RoomId, String, Head)) -> LogEnd {
    LogEnd {
        room: room.0,
        name: (room != RoomId::POOL).then_some(name),
        seq: head.seq.0,
        hash: head.hash.to_string(),
        messages: head.messages,
    }
}
