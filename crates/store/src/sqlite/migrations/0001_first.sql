-- Everything that Holdfast keeps. Times are milliseconds since 1970, digests are SHA-256.

-- The logs -----------------------------------------------------------------------------------------------------------

-- One row an entry of a log. A room's entries lie together and in order, so that a page is one range read.
CREATE TABLE entry (
    id             INTEGER PRIMARY KEY, -- room << 36 | seq
    at             INTEGER NOT NULL,
    shown_at       INTEGER NOT NULL,    -- when an imported message was said, otherwise `at`; stays when the payload is erased
    author         INTEGER NOT NULL,
    kind           INTEGER NOT NULL,
    ordinal        INTEGER NOT NULL,    -- how many messages the log has up to here: unread counts are a subtraction
    client_id      BLOB NOT NULL,
    hash           BLOB NOT NULL,
    payload        TEXT,                -- null when erased
    payload_digest BLOB                 -- only when erased: otherwise it follows from the payload
) STRICT;

-- Finds messages by the time they are shown at.
CREATE INDEX entry_shown ON entry (id >> 36, shown_at) WHERE kind = 1;

-- The client ids that are remembered. `at` is null for those that are remembered for ever.
CREATE TABLE sent (
    room      INTEGER NOT NULL,
    author    INTEGER NOT NULL,
    client_id BLOB NOT NULL,
    seq       INTEGER NOT NULL,
    at        INTEGER,
    PRIMARY KEY (room, author, client_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX sent_age ON sent (at) WHERE at IS NOT NULL;

-- The number to be given next; kept apart from what is numbered, so that none is given twice.
CREATE TABLE number (
    what TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO number VALUES ('room', 1), ('category', 1), ('principal', 2);

-- What follows from the logs -----------------------------------------------------------------------------------------

CREATE TABLE room_head (
    room             INTEGER PRIMARY KEY,
    last_seq         INTEGER NOT NULL,
    last_hash        BLOB NOT NULL,
    last_at          INTEGER NOT NULL,
    messages         INTEGER NOT NULL,
    last_message_at  INTEGER,          -- shown time of the last message
    earliest_message INTEGER,          -- least and greatest shown time of all messages
    latest_message   INTEGER,
    in_order         INTEGER NOT NULL  -- 1 while no message is shown earlier than one before it in the log
) STRICT;

-- The latest edit of a message, and what took it out of sight; both are ids of entries. `how`: 1 retracted, 2 removed, 3 purged.
CREATE TABLE amendment (
    id   INTEGER PRIMARY KEY,
    edit INTEGER,
    gone INTEGER,
    how  INTEGER
) STRICT;

-- All edits of a message.
CREATE TABLE edit (
    of INTEGER NOT NULL,
    id INTEGER NOT NULL,
    PRIMARY KEY (of, id)
) STRICT, WITHOUT ROWID;

-- Who is named in messages that are in sight, as they read now.
CREATE TABLE mention (
    user     INTEGER NOT NULL,
    room     INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    shown_at INTEGER NOT NULL,
    PRIMARY KEY (user, room, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX mention_shown ON mention (user, shown_at, room, seq);

-- Words of messages that are in sight, as they read now; the row is the entry's id. The text itself is not kept a second
-- time: it is in the log, and what is taken out of the index is read from there first.
CREATE VIRTUAL TABLE search USING fts5 (
    title, text, author,
    content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2'
);

-- Words that are taken out leave no trace in the file.
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);

-- Rooms, categories, users and groups, as JSON. Rooms and categories share one space of names, users and groups another.
CREATE TABLE directory (
    kind  TEXT NOT NULL,
    id    INTEGER NOT NULL,
    space TEXT NOT NULL,
    key   TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX directory_name ON directory (space, key);

CREATE TABLE role (
    room      INTEGER NOT NULL,
    role      TEXT NOT NULL,
    principal INTEGER NOT NULL,
    PRIMARY KEY (room, role, principal)
) STRICT, WITHOUT ROWID;

-- Rooms that were deleted: their logs cannot begin again.
CREATE TABLE deleted_room (
    room INTEGER PRIMARY KEY
) STRICT;

-- Files --------------------------------------------------------------------------------------------------------------

CREATE TABLE file (
    no         INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    room       INTEGER NOT NULL,
    by         INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    seq        INTEGER,             -- the message that it went with
    ref        TEXT                 -- what its message says of it, JSON; null until it is complete
) STRICT;

CREATE INDEX file_message ON file (room, seq);
CREATE INDEX file_loose ON file (at) WHERE seq IS NULL;

CREATE TABLE chunk (
    file  INTEGER NOT NULL REFERENCES file (no) ON DELETE CASCADE,
    i     INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (file, i)
) STRICT;

CREATE TABLE thumbnail (
    file  INTEGER PRIMARY KEY REFERENCES file (no) ON DELETE CASCADE,
    bytes BLOB NOT NULL
) STRICT;

-- What belongs to one person -----------------------------------------------------------------------------------------

CREATE TABLE followed (
    user     INTEGER NOT NULL,
    room     INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (user, room)
) STRICT, WITHOUT ROWID;

CREATE INDEX followed_room ON followed (room);

CREATE TABLE reading (
    room INTEGER NOT NULL,
    user INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE invitation (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    user INTEGER NOT NULL,
    room INTEGER NOT NULL,
    by   INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    UNIQUE (user, room)
) STRICT;

CREATE INDEX invitation_room ON invitation (room);

CREATE TABLE feed (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    user   INTEGER NOT NULL,
    notify INTEGER NOT NULL,
    feed   TEXT NOT NULL
) STRICT;

CREATE INDEX feed_user ON feed (user);
CREATE INDEX feed_notify ON feed (id) WHERE notify = 1;

CREATE TABLE preferences (
    user INTEGER PRIMARY KEY,
    json TEXT NOT NULL
) STRICT;

-- Secrets ------------------------------------------------------------------------------------------------------------

CREATE TABLE account (
    user         INTEGER PRIMARY KEY,
    salt         BLOB,
    iterations   INTEGER,
    stored_key   BLOB,
    server_key   BLOB,
    failures     INTEGER NOT NULL DEFAULT 0,
    locked_until INTEGER,
    last_seen_at INTEGER
) STRICT;

CREATE TABLE sign_in (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    secret       BLOB NOT NULL UNIQUE,
    user         INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    agent        TEXT NOT NULL,
    address      TEXT NOT NULL
) STRICT;

CREATE INDEX sign_in_user ON sign_in (user);
CREATE INDEX sign_in_end ON sign_in (expires_at);

CREATE TABLE token (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    secret       BLOB NOT NULL UNIQUE,
    user         INTEGER NOT NULL,
    label        TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER
) STRICT;

CREATE INDEX token_user ON token (user);

CREATE TABLE webhook (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    secret     BLOB NOT NULL UNIQUE,
    room       INTEGER NOT NULL,
    author     INTEGER NOT NULL,
    label      TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX webhook_room ON webhook (room);

-- One row that is written to see whether writing works.
CREATE TABLE probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    n  INTEGER NOT NULL
) STRICT;

INSERT INTO probe VALUES (1, 0);
