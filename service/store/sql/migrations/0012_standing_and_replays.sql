-- Hosts that do not answer, as far as all processes should know.
CREATE TABLE breakers (
    host       TEXT   NOT NULL PRIMARY KEY,
    opened     BIGINT NOT NULL,
    open_until BIGINT NOT NULL
);

-- Events that a subscription is told again, or for the first time; `position` is how far it has come.
CREATE TABLE replays (
    id              TEXT   NOT NULL PRIMARY KEY,
    owner           TEXT   NOT NULL,
    subscription_id TEXT   NOT NULL,
    since           BIGINT NOT NULL,
    until           BIGINT NOT NULL,
    statuses        TEXT   NOT NULL,
    spacing_ms      BIGINT NOT NULL,
    position        TEXT   NOT NULL,
    scanned         BIGINT NOT NULL,
    replayed        BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    finished_at     BIGINT,
    ended           TEXT   CHECK (ended IN ('finished', 'cancelled', 'failed')),
    note            TEXT,
    next_at         BIGINT,
    CHECK ((next_at IS NULL) = (ended IS NOT NULL)),
    CHECK ((finished_at IS NULL) = (ended IS NULL))
);

-- The latest events of one type, for samples.
CREATE INDEX events_of_type ON events (owner, type, id);

CREATE INDEX replays_due ON replays (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX replays_of_subscription ON replays (subscription_id, id);
CREATE INDEX replays_of_owner ON replays (owner, id);
