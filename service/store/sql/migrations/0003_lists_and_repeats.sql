-- Tasks asked about many at once, and shown in lists.

-- 1: the last question about many was not answered for this task, so the next one is about it alone.
ALTER TABLE tasks ADD COLUMN alone BIGINT NOT NULL DEFAULT 0 CHECK (alone IN (0, 1));
-- What its create said, for lists by it.
ALTER TABLE tasks ADD COLUMN service_tier TEXT NOT NULL DEFAULT 'default';

-- Creates by a gateway's own API whose answer has not been written yet. Who goes away before that, and sends the same
-- again, gets the task that there is.
CREATE TABLE unanswered_creates (
    task_id     TEXT   NOT NULL PRIMARY KEY,
    owner       TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    -- NULL: the caller still waits
    gone_at     BIGINT
);

CREATE INDEX unanswered_creates_gone ON unanswered_creates (owner, fingerprint) WHERE gone_at IS NOT NULL;
CREATE INDEX unanswered_creates_by_age ON unanswered_creates (created_at);
