//! A pool on PostgreSQL: an instance of our own on this machine's disk, durable as one in use is (fsync and synchronous_commit on).

pub(crate) mod deliveries;
pub(crate) mod ingest;
pub(crate) mod large_room;

use anyhow::{Context, Result};
use holdfast_domain::entry::{EntryBody, Put};
use holdfast_domain::name::{DisplayName, Login, Name};
use holdfast_domain::principal::UserKind;
use holdfast_domain::room::{Invitations, Privacy, RoomType};
use holdfast_domain::{Category, CategoryId, ClientId, PrincipalId, Room, RoomId, Time, User};
use holdfast_private_postgres::Postgres;
use holdfast_store::Store;
use holdfast_store::log::{Draft, Remember};
use holdfast_store::postgres::{PostgresOptions, PostgresStore};

/// As the measurements say that they were made.
const SETTINGS: [(&str, &str); 7] = [
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("shared_buffers", "512MB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "15min"),
    ("wal_compression", "on"),
    ("maintenance_work_mem", "256MB"),
];

/// When everything was made: 2026-01-01.
const MADE: i64 = 1_767_225_600_000;
/// The first user's number.
const FIRST_USER: i64 = 100;

/// Starts PostgreSQL.
async fn postgres() -> Result<Postgres> {
    tokio::task::spawn_blocking(|| Postgres::with(&SETTINGS)).await.context("starting PostgreSQL")
}

/// Opens the store, with all that a server does in the background.
async fn open(url: &str) -> Result<PostgresStore> {
    Ok(PostgresStore::open(PostgresOptions { url: url.to_owned(), ..PostgresOptions::default() }).await?)
}

/// Makes users and open rooms that all of them may post in.
async fn people(store: &dyn Store, users: i64, rooms: i64) -> Result<()> {
    let at = Time::from_millis(MADE);
    let mut drafts = vec![draft(
        RoomId::POOL,
        EntryBody::Category(Put::new(Category {
            id: CategoryId(1),
            name: Name::parse("name", "Bench")?,
            description: String::new(),
            allowed: [PrincipalId::EVERYONE].into(),
            denied: [].into(),
            creators: [].into(),
            invitations: false,
            file_upload: true,
            history: true,
        })),
    )];
    for n in 0..users {
        drafts.push(draft(
            RoomId::POOL,
            EntryBody::User(Put::new(User {
                id: PrincipalId(FIRST_USER + n),
                name: Login::parse("name", &format!("user{n}"))?,
                display_name: DisplayName::parse("name", &format!("User {n}"))?,
                kind: UserKind::Person,
                admin: false,
                disabled: false,
                may_chat: None,
                created_at: at,
            })),
        ));
    }
    for n in 1..=rooms {
        drafts.push(draft(
            RoomId(n),
            EntryBody::Room(Put::new(Room {
                id: RoomId(n),
                category: CategoryId(1),
                name: Name::parse("name", &format!("Room {n}"))?,
                description: String::new(),
                subject: String::new(),
                room_type: RoomType::Normal,
                privacy: Privacy::Open,
                invitations: Invitations::Inherit,
                add_in_url: None,
                address: None,
                disabled: false,
                created_at: at,
            })),
        ));
    }
    while !drafts.is_empty() {
        let rest = drafts.split_off(drafts.len().min(1_000));
        store.append(std::mem::replace(&mut drafts, rest)).await?;
    }
    Ok(())
}

fn draft(room: RoomId, body: EntryBody) -> Draft {
    Draft {
        room,
        author: PrincipalId::SYSTEM,
        client_id: ClientId(uuid::Uuid::new_v4()),
        remember: Remember::UntilForgotten,
        decided_on: None,
        at: Time::from_millis(MADE),
        body,
    }
}

/// A connection for questions that only a measurement asks.
async fn ask(url: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Bytes of write-ahead log since the instance was made.
async fn wal(client: &tokio_postgres::Client) -> Result<i64> {
    let row = client.query_one("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint", &[]).await?;
    Ok(row.get(0))
}

/// Waits until the search index has all but what does not fill a stretch.
async fn indexed(client: &tokio_postgres::Client, patience: std::time::Duration) -> Result<()> {
    const SQL: &str = "SELECT count(*) FROM holdfast.room_head h LEFT JOIN holdfast.search_through t USING (room)
                       WHERE h.last_seq - coalesce(t.through, 0) >= 256";
    let begun = std::time::Instant::now();
    while client.query_one(SQL, &[]).await?.get::<_, i64>(0) > 0 {
        anyhow::ensure!(begun.elapsed() < patience, "the search index is not filled after {patience:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    Ok(())
}
