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

-- name: archive_room
-- Rows of `archived` change only while this is held: so its sums stay theirs.
SELECT bytes, storing FROM archive_room /* for update */;

-- name: change_archive_room
UPDATE archive_room SET bytes = bytes + :bytes, storing = storing + :storing;

-- name: archived_of_task
SELECT variant, key, size, media_type, state, expires_at FROM archived WHERE task_id = :task_id ORDER BY variant;

-- name: reserve_archived
INSERT INTO archived (task_id, variant, key, size, media_type, state, stored_at, expires_at)
VALUES (:task_id, :variant, :key, :size, :media_type, 'storing', :now, :expires_at)
ON CONFLICT (task_id, variant) DO UPDATE SET
    key = excluded.key, size = excluded.size, media_type = excluded.media_type, stored_at = excluded.stored_at,
    expires_at = excluded.expires_at;

-- name: keep_archived
UPDATE archived SET state = 'kept', size = :size, stored_at = :now, expires_at = :expires_at
WHERE task_id = :task_id AND variant = :variant;

-- name: release_archived
-- It is tried again later, and takes no room until then.
UPDATE archived SET size = 0 WHERE task_id = :task_id AND state = 'storing';

-- name: archived_size
SELECT bytes AS size FROM archive_room;

-- name: expired_archived
SELECT task_id, variant, key, expires_at FROM archived
WHERE expires_at <= :now AND (task_id = :task_id OR CAST(:task_id AS TEXT) IS NULL)
ORDER BY expires_at LIMIT :limit;

-- name: expire_archived
UPDATE archived SET expires_at = :expires_at WHERE task_id = :task_id AND variant = :variant;

-- name: put_off_expired
-- Its file cannot be deleted just now.
UPDATE archived SET expires_at = :next_at
WHERE task_id = :task_id AND variant = :variant AND expires_at = :expires_at;

-- name: free_archived
UPDATE archive_room SET
    bytes = bytes - COALESCE((
        SELECT size FROM archived WHERE task_id = :task_id AND variant = :variant AND expires_at = :expires_at
    ), 0),
    storing = storing - COALESCE((
        SELECT size FROM archived
        WHERE task_id = :task_id AND variant = :variant AND expires_at = :expires_at AND state = 'storing'
    ), 0);

-- name: delete_archived
DELETE FROM archived WHERE task_id = :task_id AND variant = :variant AND expires_at = :expires_at;
