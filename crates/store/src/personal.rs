//! What belongs to one person: followed rooms, reading positions, invitations, feeds, preferences.

use crate::Result;
use async_trait::async_trait;
use holdfast_domain::feed::Feed;
use holdfast_domain::{PrincipalId, RoomId, Seq, Time};

/// How far somebody has read a room, and what is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The room.
    pub room: RoomId,
    /// The last entry read; [`Seq::ZERO`] where nothing was.
    pub read: Seq,
    /// Messages after it, removed ones included.
    pub unread: i64,
    /// Messages after it that name the reader.
    pub mentions: i64,
}

/// Somebody was added to a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its number, unique for the invited.
    pub id: i64,
    /// Who was added.
    pub user: PrincipalId,
    /// To which room.
    pub room: RoomId,
    /// By whom.
    pub by: PrincipalId,
    /// When.
    pub at: Time,
    /// Whether the invited has seen it.
    pub seen: bool,
}

/// What belongs to one person.
#[async_trait]
pub trait Personal: Send + Sync {
    /// The rooms somebody follows, in the order of following.
    async fn followed(&self, user: PrincipalId) -> Result<Vec<RoomId>>;
    /// Everybody who follows a room, in the order of their numbers.
    async fn followers(&self, room: RoomId) -> Result<Vec<PrincipalId>>;
    /// Follows rooms; those followed already stay where they are. A room followed for the first time counts as read to its end.
    async fn follow(&self, user: PrincipalId, rooms: Vec<RoomId>) -> Result<()>;
    /// Ends following.
    async fn unfollow(&self, user: PrincipalId, rooms: Vec<RoomId>) -> Result<()>;

    /// How far somebody has read these rooms, one answer for each. Constant cost for each room: counts come
    /// from the log's running numbers, not from counting.
    async fn readings(&self, user: PrincipalId, rooms: Vec<RoomId>) -> Result<Vec<Reading>>;
    /// Moves reading positions forward (never back); positions beyond a log's end mean its end.
    async fn mark_read(&self, marks: Vec<(PrincipalId, RoomId, Seq)>) -> Result<()>;

    /// Adds invitations (their `id`s are ignored), one for each user and room: an older one is replaced. Answers them with their numbers.
    async fn invite(&self, invitations: Vec<Invitation>) -> Result<Vec<Invitation>>;
    /// A user's invitations, newest first.
    async fn invitations(&self, user: PrincipalId) -> Result<Vec<Invitation>>;
    /// Marks an invitation as seen; whether it was there.
    async fn invitation_seen(&self, user: PrincipalId, id: i64) -> Result<bool>;
    /// Deletes an invitation; whether it was there.
    async fn end_invitation(&self, user: PrincipalId, id: i64) -> Result<bool>;

    /// A user's feeds, in the order of their numbers.
    async fn feeds(&self, user: PrincipalId) -> Result<Vec<Feed>>;
    /// Every feed that announces its matches, with its owner: what a server keeps in memory.
    async fn announcing_feeds(&self) -> Result<Vec<(PrincipalId, Feed)>>;
    /// Adds a feed (`id` 0) or replaces one; answers its number, or `None` if there is none to replace.
    async fn put_feed(&self, user: PrincipalId, feed: Feed) -> Result<Option<i64>>;
    /// Deletes a feed; whether it was there.
    async fn end_feed(&self, user: PrincipalId, id: i64) -> Result<bool>;

    /// A user's preferences as they were put, JSON; `None` if never.
    async fn preferences(&self, user: PrincipalId) -> Result<Option<String>>;
    /// Replaces a user's preferences.
    async fn put_preferences(&self, user: PrincipalId, json: String) -> Result<()>;
}
