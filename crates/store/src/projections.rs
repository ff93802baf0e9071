//! The state that follows from the logs, as a server loads it when it starts.

use crate::Result;
use async_trait::async_trait;
use holdfast_domain::room::{Roles, Room};
use holdfast_domain::{Category, Group, User};

/// Which number is wanted next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Numbered {
    /// A room's.
    Room,
    /// A category's.
    Category,
    /// A user's or group's.
    Principal,
}

/// Everything that a [`holdfast_domain::Directory`] is made of.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// All categories.
    pub categories: Vec<Category>,
    /// All rooms with their lists.
    pub rooms: Vec<(Room, Roles)>,
    /// All users.
    pub users: Vec<User>,
    /// All groups with their members.
    pub groups: Vec<Group>,
}

/// What follows from the logs.
#[async_trait]
pub trait Projections: Send + Sync {
    /// All of the directory, as of one moment.
    async fn snapshot(&self) -> Result<Snapshot>;

    /// A number that was never given before and will not be again; gaps are normal. Principals start at
    /// [`holdfast_domain::PrincipalId::FIRST`], the others at 1.
    async fn next_number(&self, what: Numbered) -> Result<i64> {
        self.next_numbers(what, 1).await
    }

    /// The first of `count` such numbers, which follow each other.
    async fn next_numbers(&self, what: Numbered, count: u32) -> Result<i64>;
}
