-- What clients that speak XMPP keep with the server, and the messages that people write to each other outside of rooms.

-- Small XML documents of one person; a node is a list of them, in the order of their positions. Names are compared by their bytes.
CREATE TABLE item (
    owner    bigint NOT NULL,
    node     text COLLATE "C" NOT NULL,
    id       text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    at       bigint NOT NULL,
    payload  text NOT NULL,
    PRIMARY KEY (owner, node, id)
);

CREATE UNIQUE INDEX item_order ON item (node, owner, position);

-- One-to-one messages, each once, numbered in the order of commits. Two people, whoever of them wrote, are `low` and `high`: of those columns alone
-- the pages of two are asked, and of the others alone the client ids, so that no plan mistakes one index for the other. Nor is there an index of the
-- numbers alone, by which a plan would read everybody's to find one's: that none is given twice is seen to where they are given.
CREATE TABLE direct (
    id        bigint NOT NULL,
    sender    bigint NOT NULL,
    recipient bigint NOT NULL,
    client_id uuid NOT NULL,
    at        bigint NOT NULL,        -- never decreases along the numbers
    text      text NOT NULL,          -- what a person reads of it; may be empty
    payload   text NOT NULL,          -- the stanza
    low       bigint NOT NULL GENERATED ALWAYS AS (least(sender, recipient)) STORED,
    high      bigint NOT NULL GENERATED ALWAYS AS (greatest(sender, recipient)) STORED,
    PRIMARY KEY (sender, id),
    UNIQUE (sender, recipient, client_id)
);

CREATE INDEX direct_recipient ON direct (recipient, id);
CREATE INDEX direct_pair ON direct (low, high, id);
CREATE INDEX direct_turned ON direct (high, low, id); -- finds the partners that are lower
CREATE INDEX direct_at ON direct (at, id);

-- Where the numbers are. Whoever numbers on holds this row until that is committed: so no number comes to light behind a greater one.
CREATE TABLE direct_head (
    id      integer PRIMARY KEY CHECK (id = 1),
    last_id bigint NOT NULL,
    last_at bigint NOT NULL
) WITH (fillfactor = 40);

INSERT INTO direct_head VALUES (1, 0, 0);
