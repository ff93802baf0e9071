-- Keys of SCRAM-SHA-1 for old XMPP clients, kept only where the settings want it.

-- They count while the keys of SCRAM-SHA-256 are those that were made from the same password: whatever sets another one ends them.
CREATE TABLE account_sha1 (
    "user"     bigint PRIMARY KEY,
    made_with  bytea NOT NULL,          -- `account.stored_key`
    salt       bytea NOT NULL,
    iterations bigint NOT NULL,
    stored_key bytea NOT NULL,
    server_key bytea NOT NULL
);
