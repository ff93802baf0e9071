-- Everything that Holdfast keeps. Times are milliseconds since 1970, digests are SHA-256. Names that SQL reserves are quoted.

-- The logs -----------------------------------------------------------------------------------------------------------

-- One row an entry of a log. Parts by room, so that a room's entries stay near each other whatever the others do.
CREATE TABLE entry (
    room           bigint NOT NULL,
    seq            bigint NOT NULL,
    at             bigint NOT NULL,
    author         bigint NOT NULL,
    ordinal        bigint NOT NULL,   -- how many messages the log has up to here: unread counts are a subtraction
    client_id      uuid NOT NULL,
    said           bigint,            -- of an imported message: when it was said; stays when the payload is erased
    kind           smallint NOT NULL,
    hash           bytea NOT NULL,
    payload        text,              -- null when erased
    payload_digest bytea,             -- only when erased: otherwise it follows from the payload
    PRIMARY KEY (room, seq)
) PARTITION BY HASH (room);

DO $$ BEGIN
    FOR i IN 0..15 LOOP
        EXECUTE format('CREATE TABLE entry_%s PARTITION OF entry FOR VALUES WITH (MODULUS 16, REMAINDER %s)', i, i);
    END LOOP;
END $$;

-- Finds imported messages by when they were said. Others are in the order of their numbers anyway.
CREATE INDEX entry_said ON entry (room, said, seq) WHERE said IS NOT NULL;

-- The client ids that are remembered. `at` is null for those that are remembered for ever.
CREATE TABLE sent (
    room      bigint NOT NULL,
    author    bigint NOT NULL,
    client_id uuid NOT NULL,
    seq       bigint NOT NULL,
    at        bigint,
    PRIMARY KEY (room, author, client_id)
);

-- Rows come in the order of time, so a few bytes for every hundred pages find the old ones.
CREATE INDEX sent_age ON sent USING brin (at) WITH (pages_per_range = 32);

-- The number to be given next; kept apart from what is numbered, so that none is given twice.
CREATE TABLE number (
    what text PRIMARY KEY,
    next bigint NOT NULL
);

INSERT INTO number VALUES ('room', 1), ('category', 1), ('principal', 2);

-- What follows from the logs -----------------------------------------------------------------------------------------

-- Changed with every entry, so there is space to change a row where it stands.
CREATE TABLE room_head (
    room            bigint PRIMARY KEY,
    last_seq        bigint NOT NULL,
    last_at         bigint NOT NULL,
    messages        bigint NOT NULL,
    last_message_at bigint,           -- shown time of the last message
    last_hash       bytea NOT NULL
) WITH (fillfactor = 40);

-- The latest edit of a message, and what took it out of sight; both are numbers of entries of the same log.
-- `how`: 1 retracted, 2 removed, 3 purged.
CREATE TABLE amendment (
    room bigint NOT NULL,
    seq  bigint NOT NULL,
    edit bigint,
    gone bigint,
    how  smallint,
    PRIMARY KEY (room, seq)
);

-- All edits of a message.
CREATE TABLE edit (
    room bigint NOT NULL,
    of   bigint NOT NULL,
    seq  bigint NOT NULL,
    PRIMARY KEY (room, of, seq)
);

CREATE INDEX edit_seq ON edit (room, seq);

-- Who is named in messages that are in sight, as they read now.
CREATE TABLE mention (
    "user"   bigint NOT NULL,
    room     bigint NOT NULL,
    seq      bigint NOT NULL,
    shown_at bigint NOT NULL,
    PRIMARY KEY ("user", room, seq)
);

CREATE INDEX mention_shown ON mention ("user", shown_at, room, seq);
CREATE INDEX mention_message ON mention (room, seq);

-- Words of stretches of logs. A stretch stands for the messages in it and for those that edits in it changed, and holds at least
-- the words that these read as; what is found by it is looked at again. Every entry up to `search_through` is in a stretch or in
-- `search_again`.
CREATE TABLE search_block (
    room     bigint NOT NULL,
    first    bigint NOT NULL,
    last     bigint NOT NULL,
    earliest bigint NOT NULL,         -- least and greatest shown time of what it stands for
    latest   bigint NOT NULL,
    words    tsvector NOT NULL,
    PRIMARY KEY (room, first)
);

CREATE INDEX search_block_words ON search_block USING gin (words);
CREATE INDEX search_block_latest ON search_block (room, latest, first);
CREATE INDEX search_block_earliest ON search_block (room, earliest, first);

CREATE TABLE search_through (
    room    bigint PRIMARY KEY,
    through bigint NOT NULL
) WITH (fillfactor = 40);

CREATE TABLE search_again (
    room  bigint NOT NULL,
    first bigint NOT NULL,
    last  bigint NOT NULL,
    PRIMARY KEY (room, first)
);

-- How words are made of text; another way needs every block anew.
CREATE TABLE search_language (
    id       integer PRIMARY KEY CHECK (id = 1),
    language text NOT NULL
);

-- Rooms, categories, users and groups, as JSON. Rooms and categories share one space of names, users and groups another.
CREATE TABLE directory (
    kind  text NOT NULL,
    id    bigint NOT NULL,
    space text NOT NULL,
    key   text NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE UNIQUE INDEX directory_name ON directory (space, key);

CREATE TABLE role (
    room      bigint NOT NULL,
    role      text NOT NULL,
    principal bigint NOT NULL,
    PRIMARY KEY (room, role, principal)
);

-- Rooms that were deleted: their logs cannot begin again.
CREATE TABLE deleted_room (
    room bigint PRIMARY KEY
);

-- Files --------------------------------------------------------------------------------------------------------------

CREATE TABLE file (
    no   bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    id   uuid NOT NULL UNIQUE,
    room bigint NOT NULL,
    by   bigint NOT NULL,
    at   bigint NOT NULL,
    seq  bigint,                      -- the message that it went with
    ref  text                         -- what its message says of it, JSON; null until it is complete
);

CREATE INDEX file_message ON file (room, seq);
CREATE INDEX file_loose ON file (at) WHERE seq IS NULL;

CREATE TABLE chunk (
    file  bigint NOT NULL REFERENCES file (no) ON DELETE CASCADE,
    i     bigint NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (file, i)
);

-- Pictures and archives are compressed already.
ALTER TABLE chunk ALTER COLUMN bytes SET STORAGE EXTERNAL;

CREATE TABLE thumbnail (
    file  bigint PRIMARY KEY REFERENCES file (no) ON DELETE CASCADE,
    bytes bytea NOT NULL
);

-- What belongs to one person -----------------------------------------------------------------------------------------

CREATE TABLE followed (
    "user"   bigint NOT NULL,
    room     bigint NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY ("user", room)
);

CREATE INDEX followed_room ON followed (room);

CREATE TABLE reading (
    room   bigint NOT NULL,
    "user" bigint NOT NULL,
    seq    bigint NOT NULL,
    PRIMARY KEY (room, "user")
) WITH (fillfactor = 70);

CREATE TABLE invitation (
    id     bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    "user" bigint NOT NULL,
    room   bigint NOT NULL,
    by     bigint NOT NULL,
    at     bigint NOT NULL,
    seen   boolean NOT NULL,
    UNIQUE ("user", room)
);

CREATE INDEX invitation_room ON invitation (room);

CREATE TABLE feed (
    id     bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    "user" bigint NOT NULL,
    notify boolean NOT NULL,
    feed   text NOT NULL
);

CREATE INDEX feed_user ON feed ("user");
CREATE INDEX feed_notify ON feed (id) WHERE notify;

CREATE TABLE preferences (
    "user" bigint PRIMARY KEY,
    json   text NOT NULL
);

-- Secrets ------------------------------------------------------------------------------------------------------------

CREATE TABLE account (
    "user"       bigint PRIMARY KEY,
    salt         bytea,
    iterations   bigint,
    stored_key   bytea,
    server_key   bytea,
    failures     bigint NOT NULL DEFAULT 0,
    locked_until bigint,
    last_seen_at bigint
);

CREATE TABLE sign_in (
    id           bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    secret       bytea NOT NULL UNIQUE,
    "user"       bigint NOT NULL,
    created_at   bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    expires_at   bigint NOT NULL,
    agent        text NOT NULL,
    address      text NOT NULL
);

CREATE INDEX sign_in_user ON sign_in ("user");
CREATE INDEX sign_in_end ON sign_in (expires_at);

CREATE TABLE token (
    id           bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    secret       bytea NOT NULL UNIQUE,
    "user"       bigint NOT NULL,
    label        text NOT NULL,
    scopes       text NOT NULL,
    created_at   bigint NOT NULL,
    expires_at   bigint,
    last_used_at bigint
);

CREATE INDEX token_user ON token ("user");

CREATE TABLE webhook (
    id         bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    secret     bytea NOT NULL UNIQUE,
    room       bigint NOT NULL,
    author     bigint NOT NULL,
    label      text NOT NULL,
    created_at bigint NOT NULL
);

CREATE INDEX webhook_room ON webhook (room);

-- The pool -----------------------------------------------------------------------------------------------------------

-- What the servers agree upon. Every transaction that writes to a log holds this row while it does, so that nobody can change the
-- epoch under it.
CREATE TABLE pool (
    id       integer PRIMARY KEY CHECK (id = 1),
    epoch    bigint NOT NULL,
    revision bigint NOT NULL,         -- of the list of active servers
    active   text[] NOT NULL,
    chosen   boolean NOT NULL,        -- whether a person has set the list
    filling  text                     -- where it is being copied from, until that is complete
);

INSERT INTO pool VALUES (1, 1, 0, '{}', false, NULL);

-- How often the directory was changed. A change that was decided on another number is refused.
CREATE TABLE revision (
    id integer PRIMARY KEY CHECK (id = 1),
    n  bigint NOT NULL
);

INSERT INTO revision VALUES (1, 0);

CREATE TABLE server (
    name          text PRIMARY KEY,
    run           uuid NOT NULL,
    address       text NOT NULL,
    version       text NOT NULL,
    started_at    bigint NOT NULL,
    connections   bigint NOT NULL,
    people        bigint NOT NULL,
    round_trip_us bigint NOT NULL,
    seen          timestamptz NOT NULL,
    stopped       boolean NOT NULL
) WITH (fillfactor = 40);

CREATE TABLE lease (
    name  text PRIMARY KEY,
    run   uuid NOT NULL,
    until timestamptz NOT NULL
) WITH (fillfactor = 40);

-- One row that is written to see whether writing works.
CREATE TABLE probe (
    id integer PRIMARY KEY CHECK (id = 1),
    n  bigint NOT NULL
);

INSERT INTO probe VALUES (1, 0);
