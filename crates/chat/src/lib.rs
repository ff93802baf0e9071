//! The live service: sessions, rooms, fan-out, group commit, search, files.
