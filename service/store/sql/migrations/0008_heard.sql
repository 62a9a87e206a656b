-- A repeated callback is told by a digest of its bytes: to compare bodies reads all that a task has kept.
ALTER TABLE callbacks ADD COLUMN digest TEXT NOT NULL DEFAULT '';

CREATE INDEX callbacks_by_digest ON callbacks (task_id, digest);

-- How long a success took its gateway, as far as that is known: what the pace is learned from.
ALTER TABLE tasks ADD COLUMN took_ms BIGINT;

DROP INDEX tasks_pace;

CREATE INDEX tasks_pace ON tasks (gateway, model, finished_at) WHERE status = 'succeeded' AND took_ms IS NOT NULL;
