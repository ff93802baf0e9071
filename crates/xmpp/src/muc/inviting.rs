//! Messages to a room that are not for everybody in it: invitations and what is answered to them (XEP-0045 section 7.8), requests to speak
//! (section 7.13), and private messages between occupants (section 7.5).

use super::presence::occupant_id;
use crate::addresses::Target;
use crate::elsewhere::parcel::too_large_for_elsewhere;
use crate::limits::STANZA_ELSEWHERE_BYTES;
use crate::ns;
use crate::session::Session;
use crate::stanza::StanzaError;
use crate::xml::{El, child_text, text_within};
use holdfast_chat::Mode;
use holdfast_domain::rights::{self, Action};
use holdfast_domain::room::{Privacy, Role, RoleChange};
use holdfast_domain::{PrincipalId, RoomId};
use jid::Jid;
use minidom::Element;

impl Session {
    /// A message to a room itself that is no room message.
    pub(crate) async fn aside(&mut self, room: Option<RoomId>, element: &Element) {
        let Some(room) = room else {
            return self.refuse("message", element, &StanzaError::cancel("item-not-found"));
        };
        let done = match element.get_child("x", ns::MUC_USER) {
            Some(x) if x.has_child("invite", ns::MUC_USER) => self.invite(room, x).await,
            Some(x) if x.has_child("decline", ns::MUC_USER) => self.decline(room, x),
            _ => match element.get_child("x", ns::DATA_FORMS) {
                Some(_) => self.ask_for_voice(room, element).await,
                None => {
                    let why = "a message for everybody in the room is of type `groupchat`";
                    Err(StanzaError::bad(why))
                }
            },
        };
        if let Err(error) = done {
            self.refuse("message", element, &error);
        }
    }

    async fn invite(&mut self, room: RoomId, x: &Element) -> Result<(), StanzaError> {
        let (jid, ..) = self.room_now(room)?;
        let invites: Vec<&Element> = x.children().filter(|c| c.is("invite", ns::MUC_USER)).collect();
        for invite in invites {
            let to = invite
                .attr("to")
                .and_then(|to| Jid::new(to).ok())
                .ok_or_else(|| StanzaError::modify("jid-malformed"))?;
            let Target::Person(Some(who), _) = self.door.domains.target(&self.door.chat.directory(), &to) else {
                return Err(StanzaError::cancel("item-not-found").because(format!("nobody here is {to}")));
            };
            self.let_in(room, who).await?;
            let reason = child_text(invite, "reason", ns::MUC_USER);
            let from = El::new("invite").attr("from", &self.bare);
            let from = match &reason {
                Some(reason) => from.field("reason", reason),
                None => from,
            };
            let conference = El::of(ns::X_CONFERENCE, "x").attr("jid", &jid).maybe("reason", reason.as_ref());
            let message = El::new("message")
                .attr("to", to.to_bare())
                .attr("from", &jid)
                .child(El::of(ns::MUC_USER, "x").child(from))
                .child(conference);
            self.deliver_to_all(who, &message);
        }
        Ok(())
    }

    /// Who is invited into a room that not everybody enters becomes a member, if the inviter may say so.
    async fn let_in(&mut self, room: RoomId, who: PrincipalId) -> Result<(), StanzaError> {
        let needs = {
            let directory = self.door.chat.directory();
            let state = self.allowed(&directory, room, Action::Join)?;
            let enters = rights::may(&directory, who, room, Action::Join).is_ok();
            state.room.privacy != Privacy::Open && !enters
        };
        if needs {
            let change = RoleChange { role: Role::Member, added: vec![who], removed: Vec::new() };
            self.door.chat.change_roles(&self.caller, room, vec![change], Mode::Do).await?;
        }
        Ok(())
    }

    fn decline(&mut self, room: RoomId, x: &Element) -> Result<(), StanzaError> {
        let (jid, ..) = self.room_now(room)?;
        let decline = x.get_child("decline", ns::MUC_USER).ok_or_else(|| StanzaError::bad("decline"))?;
        let to =
            decline.attr("to").and_then(|to| Jid::new(to).ok()).ok_or_else(|| StanzaError::modify("jid-malformed"))?;
        let Target::Person(Some(who), _) = self.door.domains.target(&self.door.chat.directory(), &to) else {
            return Err(StanzaError::cancel("item-not-found").because(format!("nobody here is {to}")));
        };
        let mut declines = El::new("decline").attr("from", &self.bare);
        if let Some(reason) = child_text(decline, "reason", ns::MUC_USER) {
            declines = declines.field("reason", reason);
        }
        let message = El::new("message").attr("to", to.to_bare()).attr("from", &jid);
        self.deliver_to_all(who, &message.child(El::of(ns::MUC_USER, "x").child(declines)));
        Ok(())
    }

    /// Somebody asks to post in an auditorium, or a manager answers that he may.
    async fn ask_for_voice(&mut self, room: RoomId, element: &Element) -> Result<(), StanzaError> {
        let form = element.get_child("x", ns::DATA_FORMS).cloned().ok_or_else(|| StanzaError::bad("a form"))?;
        let form = xmpp_parsers::data_forms::DataForm::try_from(form).map_err(|e| StanzaError::bad(e.to_string()))?;
        let value = |var: &str| {
            form.fields.iter().find(|f| f.var.as_deref() == Some(var)).and_then(|f| f.values.first()).cloned()
        };
        if value("FORM_TYPE").as_deref() != Some(ns::MUC_REQUEST) {
            return Err(StanzaError::bad("the form is not one of requests to speak"));
        }
        let (jid, ..) = self.room_now(room)?;
        if let Some(allow) = value("muc#request_allow") {
            let who = value("muc#jid")
                .and_then(|jid| Jid::new(&jid).ok())
                .ok_or_else(|| StanzaError::modify("jid-malformed"))?;
            let Target::Person(Some(who), _) = self.door.domains.target(&self.door.chat.directory(), &who) else {
                return Err(StanzaError::cancel("item-not-found"));
            };
            if matches!(allow.as_str(), "1" | "true") {
                let change = RoleChange { role: Role::Presenter, added: vec![who], removed: Vec::new() };
                self.door.chat.change_roles(&self.caller, room, vec![change], Mode::Do).await?;
            }
            return Ok(());
        }
        let Some(inside) = self.inside.get(&room).cloned() else {
            return Err(StanzaError::modify("not-acceptable").because("enter the room first"));
        };
        use super::config::{field, form_type};
        let asks = El::of(ns::DATA_FORMS, "x")
            .attr("type", "form")
            .field("title", "Request to speak")
            .child(form_type(ns::MUC_REQUEST))
            .child(field("muc#role", "list-single", "Role", "participant"))
            .child(field("muc#jid", "jid-single", "Who", &self.full))
            .child(field("muc#roomnick", "text-single", "Nick", &inside.nick))
            .child(field("muc#request_allow", "boolean", "May this person post?", 0));
        let moderates = |user| {
            let standing = super::standing::of_id(&self.door.chat.directory(), user, room);
            standing.is_some_and(|s| s.role == super::standing::Role::Moderator)
        };
        for occupant in self.door.occupants.all(room).into_iter().filter(|occupant| moderates(occupant.user)) {
            for seat in &occupant.seats {
                let message = El::new("message").attr("to", &seat.jid).attr("from", &jid).child(asks.clone());
                self.door.tell_seat(seat, &message);
            }
        }
        Ok(())
    }

    /// A message from one occupant to another alone.
    pub(crate) fn whisper(&mut self, room: Option<RoomId>, nick: &str, element: &Element) {
        let inside = room.and_then(|room| Some((room, self.inside.get(&room)?.clone())));
        let Some((room, inside)) = inside else {
            let why = "enter the room before you speak to somebody in it";
            return self.refuse("message", element, &StanzaError::modify("not-acceptable").because(why));
        };
        if element.attr("type") == Some("groupchat") {
            let why = "a message for everybody in the room is sent to the room itself";
            return self.refuse("message", element, &StanzaError::bad(why));
        }
        let Some(occupant) = self.door.occupants.named(room, nick) else {
            let why = format!("nobody here is `{nick}` over XMPP");
            return self.refuse("message", element, &StanzaError::cancel("item-not-found").because(why));
        };
        let content: String = element.children().map(|c| text_within(ns::CLIENT, c)).collect();
        if occupant.is_elsewhere() && content.len() > STANZA_ELSEWHERE_BYTES {
            return self.refuse("message", element, &too_large_for_elsewhere());
        }
        let x = if element.has_child("x", ns::MUC_USER) { None } else { Some(El::of(ns::MUC_USER, "x")) };
        for seat in &occupant.seats {
            let message = El::new("message")
                .attr("to", &seat.jid)
                .attr("from", format_args!("{}/{}", inside.jid, inside.nick))
                .maybe("type", element.attr("type"))
                .maybe("id", element.attr("id"))
                .raw(&content)
                .children(x.clone())
                .child(occupant_id(room, self.user()));
            self.door.tell_seat(seat, &message);
        }
    }
}
