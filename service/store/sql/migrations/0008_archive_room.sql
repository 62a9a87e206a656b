-- A row is there before its file: `storing`, with the bytes that are reserved for it; then `kept`, with those it has.
ALTER TABLE archived ADD COLUMN state TEXT NOT NULL DEFAULT 'kept' CHECK (state IN ('storing', 'kept'));
ALTER TABLE archived ADD COLUMN media_type TEXT NOT NULL DEFAULT '';

-- One row: what all rows of `archived` take, and those that are being stored. To sum them for each file would read all.
CREATE TABLE archive_room (
    one     BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    bytes   BIGINT NOT NULL,
    storing BIGINT NOT NULL CHECK (storing >= 0),
    CHECK (bytes >= storing)
);

INSERT INTO archive_room (one, bytes, storing) SELECT 1, CAST(COALESCE(SUM(size), 0) AS BIGINT), 0 FROM archived;
