-- What clients that speak XMPP keep with the server, and the messages that people write to each other outside of rooms.

-- Small XML documents of one person; a node is a list of them, in the order of their positions.
CREATE TABLE item (
    owner    INTEGER NOT NULL,
    node     TEXT NOT NULL,
    id       TEXT NOT NULL,
    position INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    payload  TEXT NOT NULL,
    PRIMARY KEY (owner, node, id)
) STRICT;

CREATE UNIQUE INDEX item_order ON item (node, owner, position);

-- One-to-one messages, each once, numbered in the order of commits. Two people, whoever of them wrote, are `low` and `high`. Every index ends
-- with the number, as all of SQLite's do.
CREATE TABLE direct (
    id        INTEGER PRIMARY KEY,
    sender    INTEGER NOT NULL,
    recipient INTEGER NOT NULL,
    client_id BLOB NOT NULL,
    at        INTEGER NOT NULL,        -- never decreases along the numbers
    text      TEXT NOT NULL,           -- what a person reads of it; may be empty
    payload   TEXT NOT NULL,           -- the stanza
    low       INTEGER NOT NULL GENERATED ALWAYS AS (min(sender, recipient)) VIRTUAL,
    high      INTEGER NOT NULL GENERATED ALWAYS AS (max(sender, recipient)) VIRTUAL,
    UNIQUE (sender, recipient, client_id)
) STRICT;

CREATE INDEX direct_sender ON direct (sender);
CREATE INDEX direct_recipient ON direct (recipient);
CREATE INDEX direct_pair ON direct (low, high);
CREATE INDEX direct_turned ON direct (high, low); -- finds the partners that are lower
CREATE INDEX direct_at ON direct (at);

-- Where the numbers are.
CREATE TABLE direct_head (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    last_id INTEGER NOT NULL,
    last_at INTEGER NOT NULL
) STRICT;

INSERT INTO direct_head VALUES (1, 0, 0);
