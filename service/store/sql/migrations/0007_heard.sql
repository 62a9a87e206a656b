-- A repeated callback is told by a digest of its bytes: to compare bodies reads all that a task has kept.
ALTER TABLE callbacks ADD COLUMN digest TEXT NOT NULL DEFAULT '';

CREATE INDEX callbacks_by_digest ON callbacks (task_id, digest);

-- How long a success took its gateway, as far as that is known: what the pace is learned from.
ALTER TABLE tasks ADD COLUMN took_ms BIGINT;

DROP INDEX tasks_pace;

CREATE INDEX tasks_pace ON tasks (gateway, model, finished_at) WHERE status = 'succeeded' AND took_ms IS NOT NULL;

-- How many callbacks have said "look", so that one which comes during a look is not missed whatever the clocks say; and
-- whether one of them has told of the end.
ALTER TABLE tasks ADD COLUMN hints BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN told BIGINT NOT NULL DEFAULT 0 CHECK (told IN (0, 1));

-- A callback must not claim a gateway's task that is another's already.
CREATE INDEX tasks_of_gateway_id ON tasks (gateway, gateway_task_id) WHERE gateway_task_id IS NOT NULL;

-- Inline media are needed once, for the create. Until then they lie here, and not in the row that every step reads.
ALTER TABLE tasks ADD COLUMN slim BIGINT NOT NULL DEFAULT 0 CHECK (slim IN (0, 1));

CREATE TABLE requests (
    task_id TEXT NOT NULL PRIMARY KEY,
    body    TEXT NOT NULL
);
