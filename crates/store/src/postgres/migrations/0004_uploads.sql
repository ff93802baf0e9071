-- Files that are uploaded to no room (room 0): `seq` is then the number of the one-to-one message that says where they are.

-- What a file takes, or may take while it is on its way.
ALTER TABLE file ADD COLUMN bytes bigint NOT NULL DEFAULT 0;

CREATE INDEX file_unsent ON file (by) WHERE seq IS NULL;

-- What the pool keeps to itself. 'files': the key by which addresses of files are made, of 244 random bits.
CREATE TABLE secret (
    what  text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL
);

INSERT INTO secret VALUES ('files', sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
