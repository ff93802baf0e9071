//! What administrators say to everybody, and who there is to hear it.

use crate::caller::Caller;
use crate::change::{Mode, Outcome};
use crate::error::{ChatError, Result};
use crate::event::Event;
use crate::pool::signal::Signal;
use crate::service::Chat;
use crate::view::Person;
use holdfast_domain::limits::ANNOUNCEMENT_BYTES;
use holdfast_domain::text;

impl Chat {
    /// Says something to everybody who is connected, to whichever server of the pool. Nobody is told later.
    ///
    /// # Errors
    /// When the caller is no administrator, or the text is not acceptable.
    pub async fn announce_to_all(&self, caller: &Caller, text: &str, mode: Mode) -> Result<Outcome<()>> {
        self.allow_admin(caller)?;
        let text = text::message("announcement", text, ANNOUNCEMENT_BYTES)?;
        if text.len() > ANNOUNCEMENT_BYTES {
            let why = format!("has {} bytes; at most {ANNOUNCEMENT_BYTES} are allowed", text.len());
            return Err(ChatError::invalid("announcement", why));
        }
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(vec![format!("Everybody would be told: {text}")]));
        }
        self.record(caller, "announcement", format!("Everybody was told: {text}")).await?;
        self.signal(Signal::Said(text.clone()));
        self.say_to_all(text);
        Ok(Outcome::Done(()))
    }

    /// Tells those who are connected here.
    pub(crate) fn say_to_all(&self, text: String) {
        self.hub().tell_everybody(Event::Announcement { text });
    }

    /// Who is connected to this server, or in a room on another one of the pool, by name.
    ///
    /// # Errors
    /// When the caller is no administrator.
    pub fn online(&self, caller: &Caller) -> Result<Vec<Person>> {
        self.allow_admin(caller)?;
        let online = self.hub().online();
        let directory = self.directory();
        let mut people: Vec<Person> = online.into_iter().map(|user| Person::of(&directory, user)).collect();
        people.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(people)
    }
}
