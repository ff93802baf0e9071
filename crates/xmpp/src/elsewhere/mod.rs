//! Clients at the other servers of the pool. Each server keeps a picture of the others' connections beside its own
//! ([`crate::resources`]), so that whoever tells a person something need not know where his clients are: what is for a client elsewhere goes there as a
//! parcel ([`parcel`]), by the signals of the pool ([`post`]), and is given out by the other server ([`courier`]).
//!
//! A parcel may be lost. What must not be (a message between two people) waits in the store until the server that gave it out says so.

pub(crate) mod courier;
pub(crate) mod occupants;
pub(crate) mod parcel;
pub(crate) mod post;
