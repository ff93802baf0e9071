//! Whose an address is, and which address somebody has.

use holdfast_chat::view::Person;
use holdfast_domain::directory::Directory;
use holdfast_domain::name::key;
use holdfast_domain::principal::UserKind;
use holdfast_domain::{PrincipalId, Room, RoomId, address};
use jid::{BareJid, DomainPart, Jid, NodePart};

/// The domains of a server.
#[derive(Clone, Debug)]
pub(crate) struct Domains {
    /// Of people.
    pub(crate) people: String,
    /// Of rooms.
    pub(crate) rooms: String,
    /// Of the service of uploads, if files are uploaded over XMPP.
    pub(crate) uploads: Option<String>,
}

/// Whom an address means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The server itself.
    Server,
    /// The service of rooms.
    Rooms,
    /// The service of uploads.
    Uploads,
    /// A person, perhaps one connection of his; `None` if nobody has the address.
    Person(Option<PrincipalId>, Option<String>),
    /// A room, perhaps an occupant of it by nick.
    Room(Option<RoomId>, String, Option<String>),
    /// Somebody of another server, to which there is no way.
    Elsewhere,
}

impl Domains {
    /// Checks all.
    ///
    /// # Errors
    /// Names the one that is no domain.
    pub(crate) fn new(people: &str, rooms: &str, uploads: Option<&str>) -> Result<Self, String> {
        let checked = |text: &str| {
            let good = DomainPart::new(text).map_err(|e| format!("`{text}` is no domain: {e}"))?;
            Ok::<_, String>(good.into_owned().to_string())
        };
        let domains =
            Self { people: checked(people)?, rooms: checked(rooms)?, uploads: uploads.map(checked).transpose()? };
        if domains.people == domains.rooms {
            return Err("the two must differ, or a person and a room could have one address".into());
        }
        if domains.uploads.as_ref().is_some_and(|uploads| [&domains.people, &domains.rooms].contains(&uploads)) {
            return Err("xmpp.uploads_domain must differ from both".into());
        }
        Ok(domains)
    }

    /// Whom `jid` means.
    pub(crate) fn target(&self, directory: &Directory, jid: &Jid) -> Target {
        let (domain, node) = (jid.domain().as_str(), jid.node().map(|n| n.as_str()));
        let resource = jid.resource().map(|r| r.as_str().to_owned());
        if domain == self.people {
            return match node {
                None => Target::Server,
                Some(node) => Target::Person(person(directory, node), resource),
            };
        }
        if self.uploads.as_deref() == Some(domain) {
            return if node.is_none() { Target::Uploads } else { Target::Elsewhere };
        }
        if domain != self.rooms {
            return Target::Elsewhere;
        }
        match node {
            None => Target::Rooms,
            Some(node) => {
                let room = directory.room_addressed(node).map(|state| state.room.id);
                Target::Room(room, node.to_owned(), resource)
            }
        }
    }

    /// The address of a person: made of the name that he signs in with.
    pub(crate) fn of_person(&self, login: &str) -> String {
        let node = key(login);
        let node = NodePart::new(&node).map_or(node.clone(), |n| n.into_owned().to_string());
        format!("{node}@{}", self.people)
    }

    /// The address of a principal.
    pub(crate) fn of(&self, directory: &Directory, id: PrincipalId) -> String {
        self.of_person(&Person::of(directory, id).name)
    }

    /// The address of a room.
    pub(crate) fn of_room(&self, directory: &Directory, room: &Room) -> String {
        format!("{}@{}", directory.address_of(room), self.rooms)
    }

    /// The address of a room by its number.
    pub(crate) fn of_room_id(&self, directory: &Directory, room: RoomId) -> String {
        match directory.room(room) {
            Some(state) => self.of_room(directory, &state.room),
            None => format!("~{room}@{}", self.rooms),
        }
    }

    /// The address of a person, if it is one of somebody here.
    pub(crate) fn person(&self, directory: &Directory, jid: &BareJid) -> Option<PrincipalId> {
        match self.target(directory, &Jid::from(jid.clone())) {
            Target::Person(id, _) => id,
            _ => None,
        }
    }
}

/// The name of a room that somebody asks for at an address that none has.
pub(crate) fn name_for(node: &str) -> String {
    address::to_name(node)
}

fn person(directory: &Directory, node: &str) -> Option<PrincipalId> {
    directory.user_named(node).filter(|u| u.kind != UserKind::Imported && !u.disabled).map(|u| u.id)
}
