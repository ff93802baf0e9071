//! Short ways to say what the cases do all the time.

use crate::Store;
use crate::files::NewFile;
use crate::log::{Appended, Draft, From, Remember, Row};
use holdfast_domain::chain::{Fault, Verifier};
use holdfast_domain::entry::{Edit, Message, Put, Removal};
use holdfast_domain::name::{DisplayName, Login, Name};
use holdfast_domain::principal::UserKind;
use holdfast_domain::room::{Invitations, Privacy, Role, RoleChange, RoomType};
use holdfast_domain::{
    Category, CategoryId, ClientId, Entry, EntryBody, FileId, Group, PrincipalId, Room, RoomId, Seq, Time, User,
};
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

pub(crate) const ROOM: RoomId = RoomId(1);
pub(crate) const OTHER: RoomId = RoomId(2);
pub(crate) const ANA: PrincipalId = PrincipalId(10);
pub(crate) const BO: PrincipalId = PrincipalId(11);

/// When the cases begin.
pub(crate) const START: i64 = 1_700_000_000_000;

/// A moment some milliseconds after the start.
pub(crate) fn at(ms: i64) -> Time {
    Time::from_millis(START + ms)
}

/// A draft with a client id of its own, later than all before it.
pub(crate) fn draft(room: RoomId, author: PrincipalId, body: EntryBody) -> Draft {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    Draft {
        room,
        author,
        client_id: ClientId(Uuid::from_u128(n.into())),
        remember: Remember::UntilForgotten,
        decided_on: None,
        at: at(i64::try_from(n).unwrap()),
        body,
    }
}

pub(crate) fn say(text: &str) -> EntryBody {
    EntryBody::Message(Message { text: text.into(), ..Message::default() })
}

pub(crate) fn said(text: &str, when: Time) -> EntryBody {
    EntryBody::Message(Message { text: text.into(), said: Some(when), ..Message::default() })
}

pub(crate) fn naming(text: &str, mentions: &[PrincipalId]) -> EntryBody {
    EntryBody::Message(Message { text: text.into(), mentions: mentions.to_vec(), ..Message::default() })
}

pub(crate) fn edit(of: Seq, text: &str) -> EntryBody {
    EntryBody::Edit(Edit { of, text: text.into(), ..Edit::default() })
}

pub(crate) fn remove(of: &[Seq], erased: bool) -> EntryBody {
    let replacement = Some("This message was removed.".into());
    EntryBody::Removal(Removal {
        of: of.to_vec(),
        marks: Default::default(),
        reason: "a reason".into(),
        replacement,
        erased,
    })
}

pub(crate) fn room_named(id: RoomId, name: &str) -> EntryBody {
    EntryBody::Room(Put::new(Room {
        id,
        category: CategoryId(1),
        name: Name::parse("name", name).unwrap(),
        description: String::new(),
        subject: String::new(),
        room_type: RoomType::Normal,
        privacy: Privacy::Closed,
        invitations: Invitations::Inherit,
        add_in_url: None,
        address: None,
        disabled: false,
        created_at: at(0),
    }))
}

pub(crate) fn category_named(id: i64, name: &str) -> EntryBody {
    EntryBody::Category(Put::new(Category {
        id: CategoryId(id),
        name: Name::parse("name", name).unwrap(),
        description: String::new(),
        allowed: [PrincipalId::EVERYONE].into(),
        denied: [].into(),
        creators: [].into(),
        invitations: true,
        file_upload: true,
        history: true,
    }))
}

pub(crate) fn user_named(id: i64, name: &str) -> EntryBody {
    EntryBody::User(Put::new(User {
        id: PrincipalId(id),
        name: Login::parse("name", name).unwrap(),
        display_name: DisplayName::parse("display_name", name).unwrap(),
        kind: UserKind::Person,
        admin: false,
        disabled: false,
        may_chat: None,
        created_at: at(0),
    }))
}

pub(crate) fn group_named(id: i64, name: &str, members: &[i64]) -> EntryBody {
    EntryBody::Group(Put::new(Group {
        id: PrincipalId(id),
        name: Login::parse("name", name).unwrap(),
        display_name: DisplayName::parse("display_name", name).unwrap(),
        members: members.iter().map(|m| PrincipalId(*m)).collect(),
        may_chat: None,
        created_at: at(0),
    }))
}

pub(crate) fn roles(role: Role, added: &[PrincipalId], removed: &[PrincipalId]) -> EntryBody {
    EntryBody::Roles(vec![RoleChange { role, added: added.to_vec(), removed: removed.to_vec() }])
}

/// Writes drafts and answers their entries.
pub(crate) async fn write(store: &dyn Store, drafts: Vec<Draft>) -> Vec<Entry> {
    let appended = store.append(drafts).await.unwrap();
    appended.into_iter().map(|a| a.entry().clone()).collect()
}

/// Writes one thing and answers its number.
pub(crate) async fn put(store: &dyn Store, room: RoomId, author: PrincipalId, body: EntryBody) -> Seq {
    let appended = store.append(vec![draft(room, author, body)]).await.unwrap();
    assert!(matches!(appended[..], [Appended::New(_)]));
    appended[0].entry().seq
}

/// Makes rooms, each with a log of one entry.
pub(crate) async fn make_rooms(store: &dyn Store, rooms: &[RoomId]) {
    for room in rooms {
        put(store, *room, ANA, room_named(*room, &format!("Room {room}"))).await;
    }
}

/// All of a log.
pub(crate) async fn rows(store: &dyn Store, room: RoomId) -> Vec<Row> {
    store.page(room, From::After(Seq::ZERO), 1_000_000).await.unwrap().rows
}

pub(crate) async fn row(store: &dyn Store, room: RoomId, seq: Seq) -> Row {
    store.rows(room, vec![seq]).await.unwrap().remove(0)
}

/// What does not hold in a log.
pub(crate) async fn faults(store: &dyn Store, room: RoomId) -> Vec<Fault> {
    let mut verifier = Verifier::new(room);
    let mut faults = Vec::new();
    loop {
        let portion = store.stored(room, verifier.last(), 7).await.unwrap();
        if portion.is_empty() {
            break;
        }
        faults.extend(portion.iter().flat_map(|stored| verifier.check(stored)));
    }
    let head = store.head(room).await.unwrap();
    faults.extend(verifier.finish(head.seq, head.hash));
    faults
}

pub(crate) fn text_of(row: &Row) -> &str {
    match (&row.edited, &row.entry.body) {
        (Some(edited), _) => &edited.text,
        (None, Some(EntryBody::Message(message))) => &message.text,
        _ => "",
    }
}

/// Everything that follows from the logs, as text, to be compared.
pub(crate) async fn everything(store: &dyn Store) -> String {
    let heads = store.heads().await.unwrap();
    let mut all = format!("{heads:#?}\n{:#?}\n", store.snapshot().await.unwrap());
    for (room, _) in &heads {
        for row in rows(store, *room).await {
            let edits = store.edits_of(*room, row.entry.seq).await.unwrap();
            all += &format!("{row:#?}\n{edits:?}\n");
        }
        all += &format!("{:#?}\n", store.files_in(*room, None, 1000).await.unwrap());
    }
    let rooms: Vec<RoomId> = heads.iter().map(|(room, _)| *room).collect();
    for user in 0..30 {
        let user = PrincipalId(user);
        all += &format!("{:?}\n", store.readings(user, rooms.clone()).await.unwrap());
        let hits = store.mentions(user, rooms.clone(), None, 1000).await.unwrap();
        all += &format!("{:?}\n", hits.found.iter().map(|f| (f.row.entry.room, f.row.entry.seq)).collect::<Vec<_>>());
    }
    all
}

/// A file of Ana's that begins, and may take a byte.
pub(crate) async fn begin(store: &dyn Store, id: FileId, room: RoomId, at: Time) {
    let new = NewFile { id, room, by: ANA, at, bytes: 1 };
    assert!(store.begin_file(new, u64::MAX).await.unwrap());
}
