//! A room's settings as a form, and its end (XEP-0045 section 10).

use crate::ns;
use crate::session::Session;
use crate::stanza::{Iq, StanzaError};
use crate::xml::El;
use holdfast_chat::rooms::RoomChange;
use holdfast_chat::{ChatError, Mode};
use holdfast_domain::RoomId;
use holdfast_domain::rights::Action;
use holdfast_domain::room::{Privacy, Role, RoleChange, Room, RoomType};
use minidom::Element;
use xmpp_parsers::data_forms::{DataForm, DataFormType};

/// A form's field.
pub(crate) fn field(var: &str, kind: &str, label: &str, value: impl std::fmt::Display) -> El {
    let field = El::new("field").attr("var", var).attr("type", kind);
    let field = if label.is_empty() { field } else { field.attr("label", label) };
    field.field("value", value)
}

/// The field that says what form it is.
pub(crate) fn form_type(ns: &str) -> El {
    field("FORM_TYPE", "hidden", "", ns)
}

fn yes(is: bool) -> u8 {
    u8::from(is)
}

fn form(room: &Room) -> El {
    let closed = room.privacy != Privacy::Open;
    let secret = room.privacy == Privacy::Secret;
    let auditorium = room.room_type == RoomType::Auditorium;
    let text = |var, label, value: &str| field(var, "text-single", label, value);
    let boolean = |var, label, is: bool| field(var, "boolean", label, yes(is));
    let option = |label: &str, value: &str| El::new("option").attr("label", label).field("value", value);
    El::of(ns::DATA_FORMS, "x")
        .attr("type", "form")
        .field("title", format!("Settings of {}", room.name))
        .child(form_type(ns::MUC_ROOM_CONFIG))
        .child(text("muc#roomconfig_roomname", "Name", room.name.as_str()))
        .child(text("muc#roomconfig_roomdesc", "What it is for", &room.description))
        .child(boolean("muc#roomconfig_membersonly", "Only members enter", closed))
        .child(boolean("muc#roomconfig_publicroom", "Everybody whom the category admits may find it", !secret))
        .child(boolean("muc#roomconfig_moderatedroom", "Only presenters post (an auditorium)", auditorium))
        .child(boolean("muc#roomconfig_persistentroom", "Stays when nobody is in it (always)", true))
        .child(boolean("muc#roomconfig_enablelogging", "What is said is kept (always)", true))
        .child(
            field("muc#roomconfig_whois", "list-single", "Who may see who somebody is (always anyone)", "anyone")
                .child(option("Anyone", "anyone")),
        )
        .child(boolean("muc#roomconfig_changesubject", "Everybody changes the subject (managers do)", false))
}

/// What a submitted form changes; what is not in it stays.
fn wanted(form: &DataForm, now: &Room) -> Result<RoomChange, StanzaError> {
    let value = |var: &str| {
        let field = form.fields.iter().find(|f| f.var.as_deref() == Some(var))?;
        Some(field.values.first().cloned().unwrap_or_default())
    };
    let boolean = |var: &str| match value(var).as_deref() {
        None | Some("") => Ok(None),
        Some("1" | "true") => Ok(Some(true)),
        Some("0" | "false") => Ok(Some(false)),
        Some(other) => {
            Err(StanzaError::modify("not-acceptable").because(format!("{var}: `{other}` is neither yes nor no")))
        }
    };
    let members_only = boolean("muc#roomconfig_membersonly")?.unwrap_or(now.privacy != Privacy::Open);
    let public = boolean("muc#roomconfig_publicroom")?.unwrap_or(now.privacy != Privacy::Secret);
    let moderated = boolean("muc#roomconfig_moderatedroom")?.unwrap_or(now.room_type == RoomType::Auditorium);
    let privacy = match (members_only, public) {
        (_, false) => Privacy::Secret,
        (true, true) => Privacy::Closed,
        (false, true) => Privacy::Open,
    };
    Ok(RoomChange {
        name: value("muc#roomconfig_roomname").filter(|name| !name.trim().is_empty()),
        description: value("muc#roomconfig_roomdesc"),
        privacy: Some(privacy),
        room_type: Some(if moderated { RoomType::Auditorium } else { RoomType::Normal }),
        ..RoomChange::default()
    })
}

impl Session {
    /// What somebody who looks after a room asks of its settings.
    pub(crate) async fn room_owner(&mut self, room: RoomId, iq: &Iq<'_>) -> Result<Option<El>, StanzaError> {
        let now = {
            let directory = self.door.chat.directory();
            let state = self.allowed(&directory, room, Action::Configure)?;
            state.room.clone()
        };
        if !iq.set {
            return Ok(Some(El::of(ns::MUC_OWNER, "query").child(form(&now))));
        }
        if iq.payload.has_child("destroy", ns::MUC_OWNER) {
            return self.destroy(room).await.map(|()| None);
        }
        let x: Element = iq
            .payload
            .get_child("x", ns::DATA_FORMS)
            .cloned()
            .ok_or_else(|| StanzaError::bad("send the form, or `destroy`"))?;
        let form = DataForm::try_from(x).map_err(|error| StanzaError::bad(error.to_string()))?;
        match form.type_ {
            DataFormType::Cancel => Ok(None),
            // A form without fields takes the room as it is (XEP-0045 section 10.1.2).
            DataFormType::Submit if form.fields.is_empty() => Ok(None),
            DataFormType::Submit => {
                let change = wanted(&form, &now)?;
                if now.privacy == Privacy::Open && change.privacy != Some(Privacy::Open) {
                    self.keep_managers_in(room).await?;
                }
                self.door.chat.change_room(&self.caller, room, change, Mode::Do).await?;
                Ok(None)
            }
            _ => Err(StanzaError::bad("the form is to be of type `submit` or `cancel`")),
        }
    }

    /// Whoever closes a room does not mean to shut out those who look after it: they become members, which nobody had to be.
    async fn keep_managers_in(&mut self, room: RoomId) -> Result<(), StanzaError> {
        let managers = {
            let directory = self.door.chat.directory();
            directory.room(room).map(|state| state.roles.managers.iter().copied().collect()).unwrap_or_default()
        };
        let change = RoleChange { role: Role::Member, added: managers, removed: Vec::new() };
        self.door.chat.change_roles(&self.caller, room, vec![change], Mode::Do).await?;
        Ok(())
    }

    /// Deletes a room for good if this person may, as administrators may; a manager takes it out of use.
    async fn destroy(&mut self, room: RoomId) -> Result<(), StanzaError> {
        match self.door.chat.delete_room(&self.caller, room, Mode::Do).await {
            Ok(_) => Ok(()),
            Err(ChatError::Forbidden(_)) => {
                let change = RoomChange { disabled: Some(true), ..RoomChange::default() };
                self.door.chat.change_room(&self.caller, room, change, Mode::Do).await?;
                Ok(())
            }
            Err(other) => Err(other.into()),
        }
    }
}
