-- name: await_archive
-- The gateway has announced the result: it is archived before the task ends. First writer wins.
UPDATE tasks SET
    errand = 'archive', result = :result, misses = 0, progress = 99, updated_at = :now, next_at = :now, lease = NULL
WHERE id = :id AND next_at IS NOT NULL AND errand = 'ask'
RETURNING *;

-- name: claim_tasks_to_archive
WITH due AS MATERIALIZED (
    SELECT id FROM tasks
    WHERE errand = 'archive' AND next_at IS NOT NULL AND next_at <= :now
    ORDER BY next_at LIMIT :limit
    /* skip locked */
)
UPDATE tasks SET next_at = :until, lease = :lease
WHERE id IN (SELECT id FROM due)
RETURNING *;

-- name: next_to_archive
SELECT MIN(next_at) AS next_at FROM tasks WHERE errand = 'archive' AND next_at IS NOT NULL;

-- name: renew_lease
-- The work is still going on, and so is its process.
UPDATE tasks SET next_at = :until WHERE id = :id AND lease = :lease AND next_at IS NOT NULL;

-- name: postpone_archive
UPDATE tasks SET misses = misses + 1, next_at = :next_at, lease = NULL
WHERE id = :id AND lease = :lease AND next_at IS NOT NULL
RETURNING *;

-- name: insert_archived
INSERT INTO archived (task_id, variant, key, size, stored_at, expires_at)
VALUES (:task_id, :variant, :key, :size, :stored_at, :expires_at)
ON CONFLICT (task_id, variant) DO NOTHING;

-- name: archived_size
SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) AS size FROM archived;

-- name: expired_archived
SELECT task_id, variant, key FROM archived WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit;

-- name: delete_archived
DELETE FROM archived WHERE task_id = :task_id AND variant = :variant;
