//! Incoming webhooks: an address that posts to one room, for programs that can do no more than send a request.

use super::ChatError;
use crate::caller::{Caller, Means, Scope};
use crate::chance;
use crate::error::Result;
use crate::posting::{NewMessage, Posted};
use crate::service::Chat;
use holdfast_domain::chain::Digest;
use holdfast_domain::entry::{EntryBody, Put};
use holdfast_domain::limits::LABEL_CHARS;
use holdfast_domain::name::{DisplayName, Login};
use holdfast_domain::principal::{User, UserKind};
use holdfast_domain::rights::Action;
use holdfast_domain::room::RoomType;
use holdfast_domain::{PrincipalId, RoomId, text};
use holdfast_store::accounts::Webhook;
use holdfast_store::projections::Numbered;

/// Webhooks of one room at most.
const WEBHOOKS: usize = 20;

impl Chat {
    /// A room's webhooks: for its managers.
    ///
    /// # Errors
    /// When the caller may not see them.
    pub async fn webhooks(&self, caller: &Caller, room: RoomId) -> Result<Vec<Webhook>> {
        self.allow(caller, room, Action::Configure)?;
        Ok(self.store().webhooks(room).await?)
    }

    /// Makes a webhook with a bot of its own as author; answers it with the secret of its address, which is shown this once.
    ///
    /// # Errors
    /// When the caller may not, or the label is not acceptable.
    pub async fn add_webhook(&self, caller: &Caller, room: RoomId, label: &str) -> Result<(Webhook, String)> {
        let state = self.allow(caller, room, Action::Configure)?;
        let label = text::line("label", label, LABEL_CHARS)?;
        let display_name = DisplayName::parse("label", &label)?;
        if self.store().webhooks(room).await?.len() >= WEBHOOKS {
            return Err(ChatError::Conflict(format!("this room has {WEBHOOKS} webhooks already; end one of them")));
        }
        let now = self.now();
        let turn = self.changing().await?;
        let author = PrincipalId(self.store().next_number(Numbered::Principal).await?);
        let bot = User {
            id: author,
            name: Login::parse("label", &format!("webhook-{author}"))?,
            display_name,
            kind: UserKind::Bot,
            admin: false,
            disabled: false,
            // It speaks through its address alone and is no member of anything.
            may_chat: Some(false),
            created_at: now,
        };
        self.write(turn.draft(RoomId::POOL, caller.user, EntryBody::User(Put::new(bot)))).await?;
        drop(turn);
        let secret = chance::secret()?;
        let mut webhook =
            Webhook { id: 0, secret: Digest::of(secret.as_bytes()), room, author, label, created_at: now };
        webhook.id = self.store().add_webhook(webhook.clone()).await?;
        let summary = format!("Webhook “{}” was made for room {}", webhook.label, state.room.name);
        self.record(caller, "webhook-created", summary).await?;
        Ok((webhook, secret))
    }

    /// Ends a webhook: its address stops working at once.
    ///
    /// # Errors
    /// When the caller may not, or there is no such webhook.
    pub async fn end_webhook(&self, caller: &Caller, room: RoomId, id: i64) -> Result<()> {
        let state = self.allow(caller, room, Action::Configure)?;
        if !self.store().end_webhook(room, id).await? {
            return Err(ChatError::Unknown("this webhook"));
        }
        self.record(caller, "webhook-ended", format!("A webhook of room {} was ended", state.room.name)).await
    }

    /// Posts as a webhook. Whoever made it a manager's business vouches for it, so only the room's being in use is asked, and
    /// that it is not an auditorium.
    ///
    /// # Errors
    /// As for posting; an unknown secret is [`ChatError::Unknown`].
    pub async fn post_by_webhook(&self, secret: &str, message: NewMessage) -> Result<Posted> {
        let secret = Digest::of(secret.as_bytes());
        let hook = self.patiently(|| self.store().webhook(secret)).await?.ok_or(ChatError::Unknown("this webhook"))?;
        let room =
            self.directory().room(hook.room).map(|s| s.room.clone()).ok_or(ChatError::Unknown("this webhook"))?;
        if room.disabled {
            return Err(ChatError::Conflict("the webhook's room is disabled".into()));
        }
        if room.room_type == RoomType::Auditorium {
            return Err(ChatError::Conflict("the webhook's room is an auditorium, where only presenters post".into()));
        }
        if !message.files.is_empty() {
            return Err(ChatError::invalid("files", "a webhook cannot send files"));
        }
        let caller = Caller { user: hook.author, scopes: vec![Scope::Post], by: Means::Token(-hook.id) };
        self.post_admitted(&caller, hook.room, message).await
    }
}
