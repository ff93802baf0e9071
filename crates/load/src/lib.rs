//! Clients of a pool, many at once, that go on through whatever happens and record what they are told and see.
