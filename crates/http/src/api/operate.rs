//! For those who run the server: what it is doing, its records, verification, backup, export.

mod export;
mod lines;

use super::shapes::{Moment, Principal};
use crate::door::Door;
use crate::extract::{By, Json, Query};
use crate::page::{self, List};
use crate::problem::{Problem, Refusals, Result};
use axum::extract::State;
use axum::response::Response;
use holdfast_chat::operating::{VerifyStep, VerifySummary};
use holdfast_chat::view::EntryView;
use holdfast_chat::{Caller, ChatError, Scope};
use holdfast_domain::entry::{EntryBody, Kind};
use holdfast_domain::{RoomId, Seq, rights};
use lines::Lines;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Records of a page when no number is asked for, and at most.
const PAGE: usize = 50;
const PAGE_MOST: usize = 500;
/// For how long the database is asked about itself.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn routes() -> OpenApiRouter<Door> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(audit))
        .routes(routes!(verify))
        .routes(routes!(backup))
        .merge(export::routes())
}

/// Demands an administrator, for what the service itself does not guard.
pub(super) fn demand_admin(door: &Door, caller: &Caller) -> Result<()> {
    caller.need(Scope::Admin)?;
    if rights::is_admin(&door.chat.directory(), caller.user) {
        Ok(())
    } else {
        Err(ChatError::Forbidden("only administrators may".into()).into())
    }
}

/// What the server is doing.
#[derive(Debug, Serialize, ToSchema)]
struct Status {
    /// What its people call it.
    server: String,
    /// What it is to its pool.
    #[schema(value_type = super::server::ServerStanding)]
    standing: &'static str,
    /// Its name in the pool; null of a server alone, and of a command that is no server.
    name_in_pool: Option<String>,
    started_at: Moment,
    version: &'static str,
    rooms: usize,
    /// Imported authors included.
    users: usize,
    /// Null while the database does not answer.
    messages: Option<i64>,
    /// Live connections.
    connections: usize,
    /// Users with a live connection.
    people: usize,
    journal: JournalStatus,
    database: DatabaseStatus,
}

/// What was written since the start.
#[derive(Debug, Serialize, ToSchema)]
struct JournalStatus {
    /// Transactions.
    commits: u64,
    /// Entries in them.
    entries: u64,
    /// Drafts that were there already.
    repeated: u64,
    /// Requests that failed.
    failed: u64,
}

/// The database.
#[derive(Debug, Serialize, ToSchema)]
struct DatabaseStatus {
    /// Its name and version; null, as what follows, while it does not answer.
    engine: Option<String>,
    /// Where it is.
    path: Option<String>,
    bytes: Option<u64>,
    /// Entries of all logs.
    entries: Option<i64>,
    /// `ready`, `gone`, `read-only`, `other-epoch` or `full`.
    condition: &'static str,
    /// Milliseconds that it takes to answer; null of an embedded one.
    round_trip_ms: Option<f64>,
}

/// What the server is doing. For administrators.
#[utoipa::path(get, path = "/admin/status", tag = "operate", responses((status = 200, body = Status), Refusals))]
async fn status(State(door): State<Door>, By(caller): By) -> Result<Json<Status>> {
    demand_admin(&door, &caller)?;
    // A database that is away is what the asker wants to know of, not a reason to tell him nothing.
    let facts = match tokio::time::timeout(PATIENCE, door.chat.store_facts()).await {
        Ok(Ok(facts)) => Some(facts),
        Ok(Err(ChatError::Unavailable(_))) | Err(_) => None,
        Ok(Err(error)) => return Err(error.into()),
    };
    let status = door.chat.status();
    Ok(Json(Status {
        server: door.chat.options().name.clone(),
        standing: door.chat.standing().word(),
        name_in_pool: Some(door.chat.options().server.name.clone())
            .filter(|name| door.chat.in_pool() && !name.is_empty()),
        started_at: status.started_at.into(),
        version: env!("CARGO_PKG_VERSION"),
        rooms: status.rooms,
        users: status.users,
        messages: facts.as_ref().map(|f| f.messages),
        connections: status.connections,
        people: status.people,
        journal: JournalStatus {
            commits: status.commits,
            entries: status.entries,
            repeated: status.repeated,
            failed: status.failed,
        },
        database: DatabaseStatus {
            bytes: facts.as_ref().map(|f| f.bytes),
            entries: facts.as_ref().map(|f| f.entries),
            engine: facts.as_ref().map(|f| f.engine.clone()),
            path: facts.map(|f| f.location),
            condition: door.chat.database().condition.word(),
            round_trip_ms: super::pool::round_trip_ms(&door),
        },
    }))
}

/// Something that an administrator did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditRecord)]
struct Record {
    /// Its number in the pool's log.
    seq: i64,
    at: Moment,
    author: Principal,
    /// A short stable word, such as `category-created`.
    action: String,
    /// A sentence.
    summary: String,
}

impl From<EntryView> for Record {
    fn from(view: EntryView) -> Self {
        let EntryView { entry, author, changes, .. } = view;
        let (kind, body) = (entry.kind, entry.body);
        let put = |thing: &str, changed: &[String]| {
            format!("{thing}-{}", if changed.is_empty() { "created" } else { "changed" })
        };
        let action = match body {
            Some(EntryBody::Category(p)) => put("category", &p.changed),
            Some(EntryBody::User(p)) => put("user", &p.changed),
            Some(EntryBody::Group(p)) => put("group", &p.changed),
            Some(EntryBody::Act(act)) => act.action,
            _ => match kind {
                Kind::CategoryDeleted => "category-deleted".into(),
                Kind::GroupDeleted => "group-deleted".into(),
                Kind::RoomDeleted => "room-deleted".into(),
                other => format!("{other:?}").to_lowercase(),
            },
        };
        Self { seq: entry.seq.0, at: entry.at.into(), author: author.into(), action, summary: changes.join("; ") }
    }
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// The `next` of the page before.
    cursor: Option<String>,
    /// How many at most; 50 if not given.
    limit: Option<usize>,
}

/// What administrators did, latest first. For administrators.
#[utoipa::path(get, path = "/audit", tag = "operate", params(Wanted), responses((status = 200, body = List<Record>), Refusals))]
async fn audit(State(door): State<Door>, By(caller): By, Query(wanted): Query<Wanted>) -> Result<Json<List<Record>>> {
    let before = page::number(wanted.cursor.as_deref())?.map(Seq);
    let limit = page::limit(wanted.limit, PAGE, PAGE_MOST)?;
    let (mut views, more) = door.chat.audit(&caller, before, limit).await?;
    views.sort_by_key(|view| std::cmp::Reverse(view.entry.seq));
    let next = page::next(more, views.last().map(|v| v.entry.seq.0));
    Ok(Json(List { items: views.into_iter().map(Record::from).collect(), next }))
}

/// Which log.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WhichLog {
    /// The number of the room, 0 for the pool's own log; all logs if not given.
    room: Option<i64>,
}

/// A line of a verification.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "made and written one at a time")]
enum VerifyLine {
    /// Entries of a log that were looked at.
    Room {
        room: i64,
        /// Null of the pool's own log.
        name: Option<String>,
        entries: i64,
        /// While a long log is being walked: how many entries it has. Not there when it was walked to its end.
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<i64>,
    },
    /// Something does not hold.
    Fault { fault: FaultLine },
    /// The end: everything was looked at.
    Done { done: bool, rooms: usize, entries: i64, faults: usize },
    /// The end: the server could not go on.
    Problem { problem: crate::problem::Document },
}

/// Something in a log that does not hold.
#[derive(Serialize, ToSchema)]
struct FaultLine {
    room: i64,
    /// Null of the pool's own log.
    name: Option<String>,
    /// The entry.
    seq: i64,
    /// A sentence.
    what: String,
}

impl From<VerifyStep> for VerifyLine {
    fn from(step: VerifyStep) -> Self {
        let named = |room: RoomId, name: String| (room.0, (room != RoomId::POOL).then_some(name));
        match step {
            VerifyStep::Progress { room, name, entries, of } => {
                let (room, name) = named(room, name);
                VerifyLine::Room { room, name, entries, of: Some(of) }
            }
            VerifyStep::Room { room, name, entries } => {
                let (room, name) = named(room, name);
                VerifyLine::Room { room, name, entries, of: None }
            }
            VerifyStep::Fault { room, name, fault } => {
                let (room, name) = named(room, name);
                VerifyLine::Fault { fault: FaultLine { room, name, seq: fault.seq.0, what: fault.what } }
            }
        }
    }
}

/// Walks the logs and checks numbers, times, hashes and ends: a JSON document a line, as it goes, the last with `done`. For
/// administrators.
#[utoipa::path(get, path = "/admin/verify", tag = "operate", params(WhichLog),
    responses((status = 200, body = VerifyLine, content_type = "application/x-ndjson"), Refusals))]
async fn verify(State(door): State<Door>, By(caller): By, Query(which): Query<WhichLog>) -> Result<Response> {
    demand_admin(&door, &caller)?;
    let room = which.room.map(RoomId);
    if let Some(room) = room.filter(|r| *r != RoomId::POOL) {
        // Before the first line, since after it the status can no longer say so.
        door.chat.room(&caller, room).await?;
    }
    Ok(Lines::answer(|lines| async move {
        let report = {
            let lines = lines.clone();
            move |step: VerifyStep| lines.add(&VerifyLine::from(step))
        };
        let line = match door.chat.verify(&caller, room, report).await {
            Ok(VerifySummary { rooms, entries, faults }) => VerifyLine::Done { done: true, rooms, entries, faults },
            Err(error) => VerifyLine::Problem { problem: Problem::from(error).document() },
        };
        lines.end(&line);
    }))
}

/// Where to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Backup {
    /// An absolute path on the server's machine, where there is no file yet.
    to: String,
}

/// A line of a backup.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "made and written one at a time")]
enum BackupLine {
    /// How far it is.
    Progress { done_parts: u64, parts: u64 },
    /// The end: it is written.
    Done { done: bool, bytes: u64, path: String },
    /// The end: it is not written.
    Problem { problem: crate::problem::Document },
}

/// Copies everything to a new file while the server works: a JSON document a line, as it goes, the last with `done`. Only for
/// the operator of the machine.
#[utoipa::path(post, path = "/admin/backup", tag = "operate",
    responses((status = 200, body = BackupLine, content_type = "application/x-ndjson"), Refusals))]
async fn backup(State(door): State<Door>, By(caller): By, Json(backup): Json<Backup>) -> Result<Response> {
    if !caller.is_operator() {
        return Err(
            ChatError::Forbidden("only the operator of the machine may, by the command line there".into()).into()
        );
    }
    let path = PathBuf::from(&backup.to);
    if !path.is_absolute() {
        return Err(Problem::invalid("to", "must be an absolute path"));
    }
    // Once begun, a backup is finished: half a file would be of no use to anybody.
    Ok(Lines::answer_to_the_end(|lines| async move {
        let progress = {
            let lines = lines.clone();
            Box::new(move |done_parts, parts| lines.add(&BackupLine::Progress { done_parts, parts }))
        };
        let line = match door.chat.backup(&caller, &path, progress).await {
            Ok(bytes) => BackupLine::Done { done: true, bytes, path: backup.to },
            Err(error) => BackupLine::Problem { problem: Problem::from(error).document() },
        };
        lines.end(&line);
    }))
}
