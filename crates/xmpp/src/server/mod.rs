//! What can be asked of the server, of the service of rooms, and of a room.

mod commands;
pub(crate) mod disco;
mod queries;
mod register;
