//! One PostgreSQL server as an agent runs it: its programs, settings, process, and what it says of itself.
