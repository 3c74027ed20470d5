-- The image: all records as they are at the head.
CREATE TABLE record (
    key BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The history kept, one row a revision without a gap. `chain` is the position's
-- SHA-256 over everything up to this change.
CREATE TABLE change (
    revision INTEGER NOT NULL PRIMARY KEY,
    time_us INTEGER NOT NULL,
    chain BLOB NOT NULL,
    change BLOB NOT NULL
) STRICT;

-- The position before the oldest change kept: where the history was trimmed.
-- The head is the newest change, or this if none is kept, so that a commit
-- need not write it anywhere.
CREATE TABLE base (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL,
    chain BLOB NOT NULL
) STRICT;
INSERT INTO base VALUES (1, 0, zeroblob(32));

-- The requests remembered. Ids are random: rows go one behind the other and
-- only the narrow index of ids is written all over, which keeps it in the cache
-- where whole rows would not fit.
CREATE TABLE request (
    number INTEGER NOT NULL PRIMARY KEY,
    time_us INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    id BLOB NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    answer BLOB NOT NULL
) STRICT;

-- For trim. An order by number would do if the wall clock never jumped.
CREATE INDEX request_by_time ON request (time_us);
