-- What a pool of two sites agrees upon, and what of each log is still so after another database has begun to take writes.

-- `state`: 'normal', or 'failed-over' while the pool goes on in the other site.
ALTER TABLE pool
    ADD COLUMN state  text NOT NULL DEFAULT 'normal' CHECK (state IN ('normal', 'failed-over')),
    ADD COLUMN site   text,           -- in which the database is that takes writes; null where there are no sites
    ADD COLUMN holder text;           -- the instance that took the epoch

-- Entries of this epoch follow the number `after_seq`: what somebody holds beyond it from before was not preserved, and the numbers may have
-- been given again. A log without a row for an epoch of which the pool's own log (room 0) has one was not there when that epoch began.
CREATE TABLE room_epoch (
    room      bigint NOT NULL,
    epoch     bigint NOT NULL,
    after_seq bigint NOT NULL,
    PRIMARY KEY (room, epoch)
);
