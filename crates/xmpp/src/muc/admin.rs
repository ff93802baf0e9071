//! Lists and roles of a room (XEP-0045 sections 8 and 9): what its managers change there is changed in the pool's own lists.

use super::standing::{self, Affiliation, Role};
use crate::elsewhere::parcel::too_large_for_elsewhere;
use crate::limits::STANZA_ELSEWHERE_BYTES;
use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::{El, child_text};
use holdfast_chat::Mode;
use holdfast_domain::rights::{self, Action};
use holdfast_domain::room::{self, Privacy, RoleChange, RoomType};
use holdfast_domain::{PrincipalId, RoomId};
use jid::BareJid;
use minidom::Element;
use std::collections::{BTreeMap, BTreeSet};

/// People of one list that are told at most.
const LISTED: usize = 2_000;

impl Session {
    /// What somebody who looks after a room asks of its lists.
    pub(crate) async fn room_admin(&mut self, room: RoomId, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let items: Vec<&Element> = iq.payload.children().filter(|c| c.is("item", ns::MUC_ADMIN)).collect();
        if iq.set {
            self.change_lists(room, &items).await?;
            return Ok(None);
        }
        let asked =
            items.first().ok_or_else(|| StanzaError::bad("say which list: an `item` with an affiliation or a role"))?;
        let listed = match (asked.attr("affiliation"), asked.attr("role")) {
            (Some(affiliation), _) => self.listed(room, affiliation)?,
            (None, Some(role)) => self.with_role(room, role),
            (None, None) => return Err(StanzaError::bad("say which list: an affiliation or a role")),
        };
        Ok(Some(El::of(ns::MUC_ADMIN, "query").children(listed)))
    }

    fn listed(&self, room: RoomId, affiliation: &str) -> Result<Vec<El>, StanzaError> {
        let chat = &self.door.chat;
        let directory = chat.directory();
        let state = self.allowed(&directory, room, Action::SeePeople)?;
        let looks_after = rights::may(&directory, self.user(), room, Action::ChangeRoles).is_ok();
        if affiliation == "outcast" && !looks_after {
            return Err(StanzaError::auth("forbidden").because("only those who look after the room may see this list"));
        }
        let category = directory.category(state.room.category);
        let nobody = BTreeSet::new();
        let (list, not_on): (BTreeSet<PrincipalId>, &BTreeSet<PrincipalId>) = match affiliation {
            "owner" => (state.roles.managers.clone(), &nobody),
            "admin" | "none" => (BTreeSet::new(), &nobody),
            "member" => {
                let both = state.roles.members.union(&state.roles.presenters).copied().collect();
                (both, &state.roles.managers)
            }
            "outcast" => (category.map(|c| c.denied.clone()).unwrap_or_default(), &nobody),
            other => return Err(StanzaError::bad(format!("`{other}` is no affiliation"))),
        };
        // Groups stand for those in them.
        let people = directory.expand(&list).into_iter().filter(|id| !not_on.contains(id)).take(LISTED);
        let item =
            |id| El::new("item").attr("affiliation", affiliation).attr("jid", self.door.domains.of(&directory, id));
        Ok(people.map(item).collect())
    }

    /// Those in the room, by whichever server and door, who have a role there.
    fn with_role(&self, room: RoomId, role: &str) -> Vec<El> {
        let occupants = self.door.occupants.all(room).into_iter().map(|occupant| (occupant.user, occupant.nick));
        let others =
            self.door.others_in(room).into_iter().map(|person| (person.id, person.distinct_name().into_owned()));
        let there: Vec<(PrincipalId, String)> = occupants.chain(others).collect();
        let directory = self.door.chat.directory();
        let item = |(user, nick): (PrincipalId, String)| {
            let is = standing::of_id(&directory, user, room)?;
            (is.role.word() == role).then(|| {
                super::presence::item(is.affiliation, is.role)
                    .attr("nick", nick)
                    .attr("jid", self.door.domains.of(&directory, user))
            })
        };
        there.into_iter().filter_map(item).collect()
    }

    async fn change_lists(&mut self, room: RoomId, items: &[&Element]) -> Result<(), StanzaError> {
        let mut changes: BTreeMap<room::Role, RoleChange> = BTreeMap::new();
        let mut kicked = Vec::new();
        for item in items {
            let reason = child_text(item, "reason", ns::MUC_ADMIN).unwrap_or_default();
            if let Some(affiliation) = item.attr("affiliation") {
                let who = self.named_in(room, item)?;
                self.change_affiliation(room, who, affiliation, &mut changes)?;
            } else if let Some(role) = item.attr("role") {
                let who = self.named_in(room, item)?;
                if role == "none" {
                    kicked.push((item.attr("nick").unwrap_or_default().to_owned(), who, reason));
                } else {
                    self.change_role(room, who, role, &mut changes)?;
                }
            } else {
                return Err(StanzaError::bad("an item changes an affiliation or a role"));
            }
        }
        if !kicked.is_empty() {
            self.kick(room, kicked)?;
        }
        let changes: Vec<RoleChange> = changes.into_values().filter(|change| !change.is_empty()).collect();
        if !changes.is_empty() {
            self.door.chat.change_roles(&self.caller, room, changes, Mode::Do).await?;
        }
        Ok(())
    }

    /// Who an item is about: by address, or by nick in the room.
    fn named_in(&self, room: RoomId, item: &Element) -> Result<PrincipalId, StanzaError> {
        let unknown = |what: &str| StanzaError::cancel("item-not-found").because(format!("nobody here is {what}"));
        if let Some(jid) = item.attr("jid") {
            let bare = jid::Jid::new(jid).map(|j| j.to_bare()).map_err(|_| StanzaError::modify("jid-malformed"))?;
            return self.principal(&bare).ok_or_else(|| unknown(jid));
        }
        let nick = item.attr("nick").ok_or_else(|| StanzaError::bad("an item names somebody by `jid` or `nick`"))?;
        self.door.person_in(room, nick).ok_or_else(|| unknown(nick))
    }

    fn principal(&self, bare: &BareJid) -> Option<PrincipalId> {
        self.door.domains.person(&self.door.chat.directory(), bare)
    }

    fn change_affiliation(
        &self,
        room: RoomId,
        who: PrincipalId,
        wanted: &str,
        changes: &mut BTreeMap<room::Role, RoleChange>,
    ) -> Result<(), StanzaError> {
        let (privacy, owner) = {
            let directory = self.door.chat.directory();
            let state = self.allowed(&directory, room, Action::ChangeRoles)?;
            let is = standing::of(&directory, who, state);
            (state.room.privacy, is.administrator)
        };
        let mut put = |role: room::Role, is_in: bool| {
            let change = changes.entry(role).or_insert_with(|| RoleChange { role, added: vec![], removed: vec![] });
            if is_in { change.added.push(who) } else { change.removed.push(who) }
        };
        let closed = privacy != Privacy::Open;
        match wanted {
            "owner" | "admin" => {
                put(room::Role::Manager, true);
                if closed {
                    put(room::Role::Member, true);
                }
            }
            "member" => {
                put(room::Role::Manager, false);
                put(room::Role::Member, true);
            }
            "none" | "outcast" if wanted == "outcast" && !closed => {
                let why = "whom an open room does not admit is said in its category: deny him there, or close the room";
                return Err(StanzaError::cancel("not-allowed").because(why));
            }
            "none" | "outcast" if owner => {
                return Err(StanzaError::cancel("not-allowed").because("administrators look after every room"));
            }
            "none" | "outcast" => {
                for role in room::Role::ALL {
                    put(role, false);
                }
            }
            other => return Err(StanzaError::bad(format!("`{other}` is no affiliation"))),
        }
        Ok(())
    }

    fn change_role(
        &self,
        room: RoomId,
        who: PrincipalId,
        wanted: &str,
        changes: &mut BTreeMap<room::Role, RoleChange>,
    ) -> Result<(), StanzaError> {
        let (auditorium, is) = {
            let directory = self.door.chat.directory();
            let state = self.allowed(&directory, room, Action::ChangeRoles)?;
            (state.room.room_type == RoomType::Auditorium, standing::of(&directory, who, state))
        };
        let has = |role: Role| is.role.word() == role.word();
        let in_place = match wanted {
            "moderator" => has(Role::Moderator),
            "participant" => has(Role::Participant),
            "visitor" => has(Role::Visitor),
            other => return Err(StanzaError::bad(format!("`{other}` is no role"))),
        };
        if in_place {
            return Ok(());
        }
        if !auditorium || wanted == "moderator" || is.affiliation == Affiliation::Owner {
            let why = "who moderates is on the managers' list; in a room that is no auditorium everybody in it posts";
            return Err(StanzaError::cancel("not-allowed").because(why));
        }
        let role = room::Role::Presenter;
        let change = changes.entry(role).or_insert_with(|| RoleChange { role, added: vec![], removed: vec![] });
        if wanted == "participant" {
            change.added.push(who);
        } else {
            change.removed.push(who);
        }
        Ok(())
    }

    /// Sends people out of a room; they may come again.
    fn kick(&mut self, room: RoomId, kicked: Vec<(String, PrincipalId, String)>) -> Result<(), StanzaError> {
        let by = self.inside.get(&room).map_or_else(|| self.shown.clone(), |inside| inside.nick.clone());
        {
            let directory = self.door.chat.directory();
            self.allowed(&directory, room, Action::RemoveMessages)?;
            let looks_after =
                |who| standing::of_id(&directory, who, room).is_some_and(|s| s.affiliation == Affiliation::Owner);
            if kicked.iter().any(|(_, who, _)| looks_after(*who)) {
                let why = "those who look after the room are not sent out of it";
                return Err(StanzaError::cancel("not-allowed").because(why));
            }
        }
        for (nick, who, reason) in kicked {
            let Some(occupant) = self.door.occupants.named(room, &nick).filter(|o| o.user == who) else {
                let why = format!("`{nick}` is not in the room over XMPP, and is not sent out of it");
                return Err(StanzaError::cancel("not-allowed").because(why));
            };
            if occupant.is_elsewhere() && reason.len() > STANZA_ELSEWHERE_BYTES {
                return Err(too_large_for_elsewhere());
            }
            self.door.send_out(room, &occupant, &by, &reason);
        }
        Ok(())
    }
}
