//! What users are told of an outage. One notice stands at a time, for the whole pool: an administrator sets it, or what moves people to other servers or
//! another database does. Every server reads it again and again and keeps it in memory, so that it is told while the database is away as well.

use crate::caller::Caller;
use crate::change::{Mode, Outcome};
use crate::error::{ChatError, Result};
use crate::event::Event;
use crate::service::Chat;
use holdfast_domain::limits::NOTICE_CHARS;
use holdfast_domain::{Time, text};
use holdfast_store::items::Item;
use holdfast_store::notice::{ID, NODE, OWNER};
use holdfast_store::pool::Condition;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

pub use holdfast_store::notice::Notice;

/// How often a server of a pool looks whether there is another notice.
const EVERY: Duration = Duration::from_secs(3);
/// A database that is away for no longer than this is no outage: it fails over in its site.
const PATIENCE_MS: i64 = 10_000;

/// A notice to be set.
#[derive(Clone, Debug)]
pub struct NewNotice {
    /// Whether the outage is meant.
    pub planned: bool,
    /// When it begins; now, if that is not said.
    pub beginning: Option<Time>,
    /// When it should be over, if that is known.
    pub expected_end: Option<Time>,
    /// A sentence for people.
    pub message: String,
}

/// What a server knows.
#[derive(Debug, Default)]
pub(crate) struct Noticed {
    standing: Option<Notice>,
    /// Since when the database takes no writes, as far as this server has seen.
    away_since: Option<Time>,
}

impl Chat {
    fn noticed(&self) -> MutexGuard<'_, Noticed> {
        self.inner.noticed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What users are to know of an outage now: the notice that stands, or that the database is away. Cheap.
    pub fn outage(&self) -> Option<Notice> {
        self.standing_notice().or_else(|| {
            let now = self.now();
            let since = self.noticed().away_since.filter(|since| now.millis() - since.millis() > PATIENCE_MS)?;
            let message = "The database cannot be written to; nothing can be sent until it is back".to_owned();
            Some(Notice { planned: false, beginning: since, expected_end: None, message, own: true })
        })
    }

    /// The notice that stands.
    ///
    /// # Errors
    /// When the caller is no administrator, or the store cannot be read.
    pub async fn notice(&self, caller: &Caller) -> Result<Option<Notice>> {
        self.allow_admin(caller)?;
        let now = self.now();
        Ok(self.read_notice().await?.filter(|notice| !notice.is_over(now)))
    }

    /// Sets the notice in place of the one that stands, or takes that away.
    ///
    /// # Errors
    /// When the caller is no administrator, or something about it is not acceptable.
    pub async fn set_notice(
        &self,
        caller: &Caller,
        new: Option<NewNotice>,
        mode: Mode,
    ) -> Result<Outcome<Option<Notice>>> {
        self.allow_admin(caller)?;
        let notice = new.map(|new| checked(&new, self.now())).transpose()?;
        let said = match &notice {
            Some(notice) => format!("Users are told: {}", sentence(notice)),
            None => "Users are told of no outage any more".to_owned(),
        };
        if mode == Mode::WhatIf {
            return Ok(Outcome::Would(vec![said]));
        }
        self.put_notice(notice.clone()).await?;
        let action = if notice.is_some() { "notice-set" } else { "notice-cleared" };
        self.record(caller, action, said).await?;
        Ok(Outcome::Done(notice))
    }

    /// Notes what is done on its own behalf, unless a person's notice stands. What fails is only said in the log: nobody is to be held up by it.
    pub(crate) async fn tell_of_own(&self, notice: Notice) {
        let done = async {
            match self.read_notice().await? {
                Some(standing) if !standing.own => Ok(()),
                _ => self.put_notice(Some(notice)).await,
            }
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "users cannot be told beforehand of what is coming");
        }
    }

    async fn put_notice(&self, notice: Option<Notice>) -> Result<()> {
        match &notice {
            Some(notice) => {
                let item = Item { id: ID.to_owned(), at: self.now(), payload: notice.kept() };
                self.store().put_items(OWNER, NODE.to_owned(), vec![item], 1).await?;
            }
            None => {
                self.store().remove_node(OWNER, NODE.to_owned()).await?;
            }
        }
        self.heard_of_notice(notice, true);
        Ok(())
    }

    async fn read_notice(&self) -> Result<Option<Notice>> {
        let items = self.store().items(OWNER, NODE).await?;
        Ok(items.first().and_then(|item| Notice::read(&item.payload)))
    }

    /// Keeps a notice in memory, and tells those who are connected of a new one, or that there is none any more.
    fn heard_of_notice(&self, notice: Option<Notice>, tell: bool) {
        let before = std::mem::replace(&mut self.noticed().standing, notice.clone());
        let now = self.now();
        let stands = |notice: Option<Notice>| notice.filter(|notice| !notice.is_over(now));
        let (before, notice) = (stands(before), stands(notice));
        if tell && before != notice {
            self.hub().tell_everybody(Event::Outage { notice });
        }
    }

    /// The notice that stands, as this server knows it. Cheap.
    pub fn standing_notice(&self) -> Option<Notice> {
        let now = self.now();
        self.noticed().standing.clone().filter(|notice| !notice.is_over(now))
    }

    fn note_whether_away(&self) {
        let away = self.database().condition != Condition::Ready;
        let now = self.now();
        let mut noticed = self.noticed();
        noticed.away_since = away.then(|| noticed.away_since.unwrap_or(now));
    }

    /// Reads the notice at the start, and in a pool again and again until the service stops.
    pub(crate) async fn watch_notice(self) {
        let mut begun = false;
        loop {
            match self.read_notice().await {
                Ok(notice) => {
                    self.heard_of_notice(notice, begun);
                    begun = true;
                }
                Err(error) => tracing::debug!(%error, "whether there is a notice cannot be read now"),
            }
            if begun && !self.in_pool() {
                return;
            }
            self.note_whether_away();
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = self.inner.stopping.cancelled() => return,
            }
        }
    }
}

fn checked(new: &NewNotice, now: Time) -> Result<Notice> {
    let message = text::message("message", &new.message, NOTICE_CHARS)?;
    let beginning = new.beginning.unwrap_or(now);
    if new.expected_end.is_some_and(|end| end <= beginning) {
        return Err(ChatError::invalid("expected_end", "must lie after the beginning"));
    }
    Ok(Notice { planned: new.planned, beginning, expected_end: new.expected_end, message, own: false })
}

/// A notice as people read it.
pub fn sentence(notice: &Notice) -> String {
    let kind = if notice.planned { "Planned outage" } else { "Outage" };
    let end = notice.expected_end.map(|end| format!(" until {end}")).unwrap_or_default();
    format!("{kind} from {}{end}: {}", notice.beginning, notice.message)
}
