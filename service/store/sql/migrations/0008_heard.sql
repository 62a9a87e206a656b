-- A repeated callback is told by a digest of its bytes: to compare bodies reads all that a task has kept.
ALTER TABLE callbacks ADD COLUMN digest TEXT NOT NULL DEFAULT '';

CREATE INDEX callbacks_by_digest ON callbacks (task_id, digest);
