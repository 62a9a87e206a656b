-- The caller's own name of a task, apart from the request, so that the task is found by it. Of what was stored before
-- this only the request says it, and no submit could name one then.
ALTER TABLE tasks ADD COLUMN external_id TEXT;

CREATE INDEX tasks_by_external_id ON tasks (external_id, owner) WHERE external_id IS NOT NULL;

-- With the owner and in the order of time, or all of an owner's tasks would be read to find the newest retry of one.
DROP INDEX tasks_by_retry;
CREATE INDEX tasks_by_retry ON tasks (retry_of, owner, id) WHERE retry_of IS NOT NULL;
