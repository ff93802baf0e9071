-- Keys of SCRAM-SHA-1 for old XMPP clients, kept only where the settings want it.

-- They count while the keys of SCRAM-SHA-256 are those that were made from the same password: whatever sets another one ends them.
CREATE TABLE account_sha1 (
    user       INTEGER PRIMARY KEY,
    made_with  BLOB NOT NULL,           -- `account.stored_key`
    salt       BLOB NOT NULL,
    iterations INTEGER NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL
) STRICT;
