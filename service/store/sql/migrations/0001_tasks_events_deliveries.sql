-- The tables of Reelhook, in the common subset of SQLite and PostgreSQL: TEXT and BIGINT only, instants are unix
-- milliseconds, JSON is TEXT. The constraints are the first guard of the promises; the code is the second.

CREATE TABLE state (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE api_keys (
    id         TEXT   NOT NULL PRIMARY KEY,
    owner      TEXT   NOT NULL,
    role       TEXT   NOT NULL CHECK (role IN ('owner', 'admin')),
    hash       TEXT   NOT NULL UNIQUE,
    hint       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

CREATE TABLE tasks (
    id              TEXT   NOT NULL PRIMARY KEY,
    owner           TEXT   NOT NULL,
    gateway         TEXT   NOT NULL,
    dialect         TEXT   NOT NULL,
    surface         TEXT   NOT NULL,
    model           TEXT   NOT NULL,
    request         TEXT   NOT NULL,
    when_full       TEXT   NOT NULL CHECK (when_full IN ('queue', 'refuse')),
    status          TEXT   NOT NULL
                    CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'expired')),
    submission      TEXT   NOT NULL CHECK (submission IN ('unsent', 'sending', 'accepted', 'refused', 'unknown')),
    gateway_task_id TEXT,
    progress        BIGINT,
    result          TEXT   NOT NULL,
    error           TEXT,
    unknown_word    TEXT,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    accepted_at     BIGINT,
    running_at      BIGINT,
    finished_at     BIGINT,
    deadline_at     BIGINT NOT NULL,
    looked_at       BIGINT,
    hinted_at       BIGINT,
    misses          BIGINT NOT NULL,
    callbacks       BIGINT NOT NULL,
    settled_by      TEXT   CHECK (settled_by IN ('submit', 'callback', 'sweep', 'cancel', 'deadline')),
    next_at         BIGINT,
    lease           TEXT,
    -- No task is stuck: whatever is not over has a next time at which somebody looks at it.
    CHECK ((next_at IS NULL) = (status IN ('succeeded', 'failed', 'cancelled', 'expired'))),
    CHECK ((finished_at IS NULL) = (next_at IS NOT NULL)),
    CHECK ((settled_by IS NULL) = (next_at IS NOT NULL)),
    CHECK (submission <> 'accepted' OR gateway_task_id IS NOT NULL)
);

CREATE INDEX tasks_to_ask ON tasks (gateway, next_at) WHERE next_at IS NOT NULL AND submission <> 'unsent';
CREATE INDEX tasks_to_send ON tasks (gateway, next_at) WHERE next_at IS NOT NULL AND submission = 'unsent';
CREATE INDEX tasks_of_owner ON tasks (owner, id);
CREATE INDEX tasks_pace ON tasks (gateway, model, finished_at) WHERE status = 'succeeded' AND accepted_at IS NOT NULL;

CREATE TABLE idempotency_keys (
    owner       TEXT   NOT NULL,
    key         TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    task_id     TEXT   NOT NULL,
    answer      TEXT,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (owner, key)
);

CREATE INDEX idempotency_keys_by_task ON idempotency_keys (task_id);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE TABLE callbacks (
    id          TEXT   NOT NULL PRIMARY KEY,
    task_id     TEXT   NOT NULL,
    received_at BIGINT NOT NULL,
    outcome     TEXT   NOT NULL CHECK (outcome IN ('look', 'noted', 'settled', 'duplicate', 'late')),
    body        TEXT   NOT NULL
);

CREATE INDEX callbacks_of_task ON callbacks (task_id, id);

CREATE TABLE events (
    id         TEXT   NOT NULL PRIMARY KEY,
    owner      TEXT   NOT NULL,
    task_id    TEXT,
    type       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    body       TEXT   NOT NULL,
    UNIQUE (task_id, type)
);

-- Every task ends once, in however many processes.
CREATE UNIQUE INDEX events_end_once ON events (task_id)
    WHERE type IN ('task.succeeded', 'task.failed', 'task.cancelled', 'task.expired');
CREATE INDEX events_of_owner ON events (owner, id);

CREATE TABLE subscriptions (
    id              TEXT   NOT NULL PRIMARY KEY,
    owner           TEXT   NOT NULL,
    task_id         TEXT,
    url             TEXT   NOT NULL,
    events          TEXT   NOT NULL,
    format          TEXT   NOT NULL,
    secret          TEXT   NOT NULL,
    description     TEXT,
    created_at      BIGINT NOT NULL,
    disabled_at     BIGINT,
    disabled_reason TEXT
);

CREATE INDEX subscriptions_of_owner ON subscriptions (owner, id) WHERE task_id IS NULL;
CREATE INDEX subscriptions_of_task ON subscriptions (task_id) WHERE task_id IS NOT NULL;

CREATE TABLE deliveries (
    id              TEXT   NOT NULL PRIMARY KEY,
    owner           TEXT   NOT NULL,
    event_id        TEXT   NOT NULL,
    event_type      TEXT   NOT NULL,
    subscription_id TEXT   NOT NULL,
    -- NULL: the event's own body, byte for byte
    body            TEXT,
    status          TEXT   NOT NULL CHECK (status IN ('pending', 'delivered', 'exhausted', 'cancelled')),
    attempts        BIGINT NOT NULL,
    last_status     BIGINT,
    last_error      TEXT,
    created_at      BIGINT NOT NULL,
    finished_at     BIGINT,
    next_at         BIGINT,
    lease           TEXT,
    CHECK ((next_at IS NULL) = (status <> 'pending')),
    UNIQUE (event_id, subscription_id)
);

CREATE INDEX deliveries_due ON deliveries (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX deliveries_of_owner ON deliveries (owner, id);
CREATE INDEX deliveries_of_subscription ON deliveries (subscription_id, id);

CREATE TABLE attempts (
    delivery_id TEXT   NOT NULL,
    number      BIGINT NOT NULL,
    started_at  BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status      BIGINT,
    error       TEXT,
    ambiguous   BIGINT NOT NULL CHECK (ambiguous IN (0, 1)),
    response    TEXT   NOT NULL,
    PRIMARY KEY (delivery_id, number)
);
