//! The pool's own certificate authority, and mutually authenticated TLS between its processes.
