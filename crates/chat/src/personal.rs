//! What belongs to one person: followed rooms, reading positions, invitations.

use crate::caller::{Caller, Scope};
use crate::error::{ChatError, Result};
use crate::event::Event;
use crate::pool::signal::Signal;
use crate::service::Chat;
use crate::view::Person;
use holdfast_domain::rights::Action;
use holdfast_domain::{RoomId, Seq};
use holdfast_store::personal::{Invitation, Reading};

/// Rooms that somebody may follow.
const FOLLOWED: usize = 1_000;

/// Somebody was added to a room, with names.
#[derive(Clone, Debug)]
pub struct InvitationView {
    /// What was kept.
    pub invitation: Invitation,
    /// The room's name.
    pub room_name: String,
    /// By whom.
    pub by: Person,
}

impl Chat {
    /// Follows rooms, one answer for each.
    ///
    /// # Errors
    /// When the store cannot be written; that a room cannot be followed is in its own answer.
    pub async fn follow(&self, caller: &Caller, rooms: Vec<RoomId>) -> Result<Vec<(RoomId, Result<()>)>> {
        caller.need(Scope::Post)?;
        if self.store().followed(caller.user).await?.len() + rooms.len() > FOLLOWED {
            return Err(ChatError::Conflict(format!("at most {FOLLOWED} rooms can be followed")));
        }
        let answers: Vec<(RoomId, Result<()>)> =
            rooms.into_iter().map(|room| (room, self.allow(caller, room, Action::Join).map(|_| ()))).collect();
        let may: Vec<RoomId> = answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(room, _)| *room).collect();
        if !may.is_empty() {
            // A room without a position counts as read to its end when it is followed.
            self.flush_marks_of(caller.user).await?;
            self.store().follow(caller.user, may).await?;
            self.rooms_changed(caller);
        }
        Ok(answers)
    }

    /// Follows a room no longer; nothing happens if it was not followed.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn unfollow(&self, caller: &Caller, room: RoomId) -> Result<()> {
        caller.need(Scope::Post)?;
        self.store().unfollow(caller.user, vec![room]).await?;
        self.rooms_changed(caller);
        Ok(())
    }

    /// Tells the caller's devices that his own list of rooms changed.
    fn rooms_changed(&self, caller: &Caller) {
        self.hub().tell_user(caller.user, Event::RoomsChanged);
        self.signal(Signal::Rooms(vec![caller.user]));
    }

    /// Moves the caller's reading position forward, on all devices.
    ///
    /// # Errors
    /// When the caller may not be in the room.
    pub async fn mark_read(&self, caller: &Caller, room: RoomId, seq: Seq) -> Result<Reading> {
        caller.need(Scope::Post)?;
        self.allow(caller, room, Action::Join)?;
        self.store().mark_read(vec![(caller.user, room, seq)]).await?;
        let reading = self.readings(caller.user, vec![room]).await?.pop().ok_or(ChatError::Internal)?;
        let Reading { read, unread, mentions, .. } = reading;
        self.hub().tell_user(caller.user, Event::Read { room, seq: read, unread, mentions });
        if let Some(pooled) = &self.inner.pooled {
            pooled.teller.tell_if_heard(Signal::Read(caller.user, room, read, unread, mentions));
        }
        Ok(reading)
    }

    /// The caller's invitations, newest first; those to rooms that are out of reach by now are left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn invitations(&self, caller: &Caller) -> Result<Vec<InvitationView>> {
        caller.need(Scope::Read)?;
        let kept = self.store().invitations(caller.user).await?;
        let directory = self.directory();
        let views = kept.into_iter().filter_map(|invitation| {
            let state = self.allow_in(&directory, caller, invitation.room, Action::Find).ok()?;
            let (room_name, by) = (state.room.name.to_string(), Person::of(&directory, invitation.by));
            Some(InvitationView { room_name, by, invitation })
        });
        Ok(views.collect())
    }

    /// Marks an invitation as seen.
    ///
    /// # Errors
    /// When there is none.
    pub async fn invitation_seen(&self, caller: &Caller, id: i64) -> Result<()> {
        caller.need(Scope::Post)?;
        found(self.store().invitation_seen(caller.user, id).await?)
    }

    /// Deletes an invitation.
    ///
    /// # Errors
    /// When there is none.
    pub async fn end_invitation(&self, caller: &Caller, id: i64) -> Result<()> {
        caller.need(Scope::Post)?;
        found(self.store().end_invitation(caller.user, id).await?)
    }
}

fn found(was_there: bool) -> Result<()> {
    if was_there { Ok(()) } else { Err(ChatError::Unknown("this invitation")) }
}
