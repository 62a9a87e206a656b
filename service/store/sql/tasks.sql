-- name: insert_task
INSERT INTO tasks (
    id, owner, gateway, dialect, surface, model, service_tier, request, when_full, status, submission, result,
    created_at, updated_at, deadline_at, misses, callbacks, next_at, lease, preparing, slim,
    mount, caller_dialect, caller_surface, caller_model, attempt, retry_of, external_id
) VALUES (
    :id, :owner, :gateway, :dialect, :surface, :model, :service_tier, :request, :when_full, 'queued', :submission, '{}',
    :now, :now, :deadline_at, 0, 0, :next_at, :lease, :preparing, :slim,
    :mount, :caller_dialect, :caller_surface, :caller_model, :attempt, :retry_of, :external_id
);

-- name: insert_idempotency_key
-- The first of two concurrent submits with one key wins; the other finds its row.
INSERT INTO idempotency_keys (owner, key, fingerprint, task_id, created_at)
VALUES (:owner, :key, :fingerprint, :task_id, :now)
ON CONFLICT (owner, key) DO NOTHING
RETURNING task_id;

-- name: forget_key
-- What was refused as one too many may be sent again, under the same key.
DELETE FROM idempotency_keys WHERE task_id = :task_id;

-- name: insert_request
INSERT INTO requests (task_id, body) VALUES (:task_id, :body);

-- name: request
SELECT body FROM requests WHERE task_id = :task_id;

-- name: delete_request
DELETE FROM requests WHERE task_id = :task_id;

-- name: idempotency_key
SELECT fingerprint, task_id, answer FROM idempotency_keys WHERE owner = :owner AND key = :key;

-- name: key_of_task
SELECT key FROM idempotency_keys WHERE task_id = :task_id AND answer IS NULL;

-- name: freeze_answer
-- What the caller was told is what a repeated submit is told: the first answer stays.
UPDATE idempotency_keys SET answer = :answer WHERE task_id = :task_id AND answer IS NULL;

-- name: prune_idempotency_keys
DELETE FROM idempotency_keys WHERE created_at < :before;

-- name: insert_unanswered
INSERT INTO unanswered_creates (task_id, owner, fingerprint, created_at)
VALUES (:task_id, :owner, :fingerprint, :now);

-- name: take_unanswered
-- The oldest of the same creates whose callers went away; its new caller waits now, and nobody else takes it.
UPDATE unanswered_creates SET gone_at = NULL
WHERE gone_at IS NOT NULL AND task_id = (
    SELECT task_id FROM unanswered_creates
    WHERE owner = :owner AND fingerprint = :fingerprint AND gone_at IS NOT NULL AND gone_at >= :since
    ORDER BY task_id LIMIT 1
)
RETURNING task_id;

-- name: note_gone
UPDATE unanswered_creates SET gone_at = :now WHERE task_id = :task_id;

-- name: note_all_gone
-- Since when is not known: at the earliest since it was noted, so that an old note swallows no new create.
UPDATE unanswered_creates SET gone_at = created_at WHERE gone_at IS NULL;

-- name: forget_unanswered
DELETE FROM unanswered_creates WHERE task_id = :task_id;

-- name: prune_unanswered
DELETE FROM unanswered_creates WHERE created_at < :before;

-- name: task
-- Read to be changed in the same transaction.
SELECT * FROM tasks WHERE id = :id /* for update */;

-- name: task_of_owner
SELECT * FROM tasks WHERE id = :id AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL);

-- name: tasks_page
-- Newest first; ids sort by time.
SELECT * FROM tasks
WHERE (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
  AND (status = :status OR CAST(:status AS TEXT) IS NULL)
  AND (gateway = :gateway OR CAST(:gateway AS TEXT) IS NULL)
  AND (external_id = :external_id OR CAST(:external_id AS TEXT) IS NULL)
  AND created_at >= :since AND created_at < :until
  AND id < :before
ORDER BY id DESC
LIMIT :limit;

-- name: retry_of_task
-- The newest of those that try a task again; of the others nothing was ever made.
SELECT * FROM tasks WHERE retry_of = :id AND owner = :owner ORDER BY id DESC LIMIT 1;

-- name: task_of_mount
-- As the callers of one compatible API see it. What came in by no such API is seen by that of its own gateway.
SELECT * FROM tasks
WHERE id = :id AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
  AND COALESCE(mount, gateway) = :mount AND deleted_at IS NULL;

-- name: mount_page
-- Newest first, those after `:after`.
SELECT * FROM tasks
WHERE (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
  AND COALESCE(mount, gateway) = :mount AND deleted_at IS NULL AND id < :after
ORDER BY id DESC
LIMIT :limit;

-- name: mount_page_oldest_first
SELECT * FROM tasks
WHERE (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
  AND COALESCE(mount, gateway) = :mount AND deleted_at IS NULL AND id > :after
ORDER BY id
LIMIT :limit;

-- name: hide_task
-- Its record is gone for the callers of that compatible API; what is not over stays, or nobody could follow it.
UPDATE tasks SET deleted_at = :now
WHERE id = :id AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
  AND COALESCE(mount, gateway) = :mount AND deleted_at IS NULL AND next_at IS NULL
RETURNING *;

-- name: listed_tasks
-- As the callers of one compatible API list them, by the model's name that is theirs. Ids sort by time: `first` lets the
-- index leave out what is too old. Only ids are counted and ordered, for the rows are long. What is seen is no CTE: SQLite
-- would write all of it down first.
WITH found AS (
    SELECT id FROM (
        SELECT id, owner, created_at, status, service_tier, COALESCE(caller_model, model) AS called FROM tasks
        WHERE COALESCE(mount, gateway) = :mount AND deleted_at IS NULL
    ) AS seen
    WHERE (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
      AND id >= :first AND created_at >= :since
      AND (status = :status OR CAST(:status AS TEXT) IS NULL)
      AND (called = :model OR CAST(:model AS TEXT) IS NULL)
      AND (service_tier = :service_tier OR CAST(:service_tier AS TEXT) IS NULL)
)
SELECT tasks.*, (SELECT COUNT(*) FROM found) AS total FROM tasks
WHERE id IN (SELECT id FROM found ORDER BY id DESC LIMIT :limit OFFSET :offset)
ORDER BY id DESC;

-- name: listed_tasks_by_id
-- The same of these ids, which are all of one length and stand one after the other in a text.
WITH RECURSIVE asked (start, task_id) AS (
    SELECT 1, SUBSTR(CAST(:ids AS TEXT), 1, 31)
    UNION ALL
    SELECT start + 31, SUBSTR(CAST(:ids AS TEXT), start + 31, 31) FROM asked
    WHERE start + 31 <= LENGTH(CAST(:ids AS TEXT))
),
found AS (
    SELECT id FROM asked JOIN (
        SELECT id, owner, created_at, status, service_tier, COALESCE(caller_model, model) AS called FROM tasks
        WHERE COALESCE(mount, gateway) = :mount AND deleted_at IS NULL
    ) AS seen ON id = task_id
    WHERE (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
      AND id >= :first AND created_at >= :since
      AND (status = :status OR CAST(:status AS TEXT) IS NULL)
      AND (called = :model OR CAST(:model AS TEXT) IS NULL)
      AND (service_tier = :service_tier OR CAST(:service_tier AS TEXT) IS NULL)
)
SELECT tasks.*, (SELECT COUNT(*) FROM found) AS total FROM tasks
WHERE id IN (SELECT id FROM found ORDER BY id DESC LIMIT :limit OFFSET :offset)
ORDER BY id DESC;

-- name: accept_task
-- The gateway's id is worth keeping whatever happened meanwhile: a lease that ran out, a callback that came first, a
-- result that is being archived.
UPDATE tasks SET
    submission = 'accepted', gateway_task_id = :gateway_task_id, accepted_at = :now, updated_at = :now,
    error = CASE WHEN next_at IS NULL THEN error ELSE NULL END,
    result = :result,
    deadline_at = CASE WHEN deadline_at < :deadline_at THEN :deadline_at ELSE deadline_at END,
    next_at = CASE
        WHEN next_at IS NULL THEN NULL
        WHEN errand = 'archive' THEN next_at
        WHEN hinted_at IS NULL THEN CAST(:next_at AS BIGINT)
        ELSE :now
    END,
    lease = CASE WHEN errand = 'archive' THEN lease ELSE NULL END
WHERE id = :id AND submission IN ('sending', 'unknown')
RETURNING *;

-- name: renew_create
-- The create, or what has to come before it, is still under way, and so is its process.
UPDATE tasks SET next_at = :until
WHERE id = :id AND lease = :lease AND submission IN ('unsent', 'sending') AND next_at IS NOT NULL;

-- name: prepared_task
-- All its images are there: only now its create may leave. Fenced by the lease, so that it leaves once.
UPDATE tasks SET submission = 'sending', preparing = 0, assets = :assets, error = NULL, next_at = :next_at,
    updated_at = :now
WHERE id = :id AND lease = :lease AND submission = 'unsent' AND preparing = 1 AND next_at IS NOT NULL
RETURNING *;

-- name: postpone_preparation
UPDATE tasks SET error = :error, misses = misses + 1, next_at = :next_at, lease = NULL, updated_at = :now
WHERE id = :id AND lease = :lease AND submission = 'unsent' AND preparing = 1 AND next_at IS NOT NULL
RETURNING *;

-- name: postpone_create
-- The create provably did not happen: it will be offered again.
UPDATE tasks SET submission = 'unsent', error = :error, misses = misses + 1,
    next_at = :next_at, lease = NULL, updated_at = :now
WHERE id = :id AND submission = 'sending' AND lease = :lease AND next_at IS NOT NULL
RETURNING *;

-- name: doubt_create
-- Nobody knows whether the gateway has the task: it is never sent again.
UPDATE tasks SET submission = 'unknown', error = :error, next_at = :next_at, deadline_at = :deadline_at,
    lease = NULL, updated_at = :now
WHERE id = :id AND submission = 'sending' AND lease = :lease AND next_at IS NOT NULL
RETURNING *;

-- name: doubt_ended_create
-- It was over, or is being archived, before its create was answered: a callback was quicker, and was believed.
UPDATE tasks SET submission = 'unknown', updated_at = :now
WHERE id = :id AND submission = 'sending' AND (next_at IS NULL OR errand = 'archive')
RETURNING *;

-- name: return_task
-- Claimed, and not begun after all: due again at once, and a create is unsent again.
UPDATE tasks SET
    submission = CASE WHEN submission = 'sending' AND CAST(:unsent AS BIGINT) = 1 THEN 'unsent' ELSE submission END,
    next_at = :now, lease = NULL
WHERE id = :id AND lease = :lease AND next_at IS NOT NULL;

-- name: look_soon
-- A result that is being archived is not asked about: its pauses are the archive's.
UPDATE tasks SET next_at = :next_at
WHERE id = :id AND lease IS NULL AND errand = 'ask' AND next_at > :next_at
RETURNING *;

-- name: claim_tasks_past_deadline
-- Of a gateway that nobody here can ask.
WITH due AS MATERIALIZED (
    SELECT id FROM tasks
    WHERE gateway = :gateway AND errand = 'ask' AND next_at IS NOT NULL AND next_at <= :now AND deadline_at <= :now
    ORDER BY next_at LIMIT :limit
    /* skip locked */
)
UPDATE tasks SET next_at = :until, lease = :lease
WHERE id IN (SELECT id FROM due)
RETURNING *;

-- name: claim_tasks_to_send
-- Committed as `sending` before anything is sent, so that a crash leaves a doubt and never a repetition. What is to be
-- prepared first stays unsent; what has a result already is never sent.
WITH due AS MATERIALIZED (
    SELECT id FROM tasks
    WHERE gateway = :gateway AND submission = 'unsent' AND errand = 'ask' AND next_at IS NOT NULL AND next_at <= :now
    ORDER BY next_at LIMIT :limit
    /* skip locked */
)
UPDATE tasks SET
    submission = CASE WHEN preparing = 1 THEN submission ELSE 'sending' END, next_at = :until, lease = :lease
WHERE id IN (SELECT id FROM due)
RETURNING *;

-- name: claim_tasks_to_ask
WITH due AS MATERIALIZED (
    SELECT id FROM tasks
    WHERE gateway = :gateway AND submission <> 'unsent' AND errand = 'ask' AND next_at IS NOT NULL AND next_at <= :now
    ORDER BY next_at LIMIT :limit
    /* skip locked */
)
UPDATE tasks SET next_at = :until, lease = :lease
WHERE id IN (SELECT id FROM due)
RETURNING *;

-- name: claim_tasks_to_list
-- Of a surface with a list: those that one question can ask about together.
WITH due AS MATERIALIZED (
    SELECT id FROM tasks
    WHERE gateway = :gateway AND submission <> 'unsent' AND errand = 'ask' AND next_at IS NOT NULL AND next_at <= :now
      AND submission = 'accepted' AND alone = 0 AND dialect = :dialect AND surface = :surface
    ORDER BY next_at LIMIT :limit
    /* skip locked */
)
UPDATE tasks SET next_at = :until, lease = :lease
WHERE id IN (SELECT id FROM due)
RETURNING *;

-- name: claim_tasks_to_ask_alone
-- The others of such a gateway.
WITH due AS MATERIALIZED (
    SELECT id FROM tasks
    WHERE gateway = :gateway AND submission <> 'unsent' AND errand = 'ask' AND next_at IS NOT NULL AND next_at <= :now
      AND (submission <> 'accepted' OR alone = 1 OR dialect <> :dialect OR surface <> :surface)
    ORDER BY next_at LIMIT :limit
    /* skip locked */
)
UPDATE tasks SET next_at = :until, lease = :lease
WHERE id IN (SELECT id FROM due)
RETURNING *;

-- name: next_to_send
SELECT MIN(next_at) AS next_at FROM tasks
WHERE gateway = :gateway AND submission = 'unsent' AND errand = 'ask' AND next_at IS NOT NULL;

-- name: next_to_ask
SELECT MIN(next_at) AS next_at FROM tasks
WHERE gateway = :gateway AND submission <> 'unsent' AND errand = 'ask' AND next_at IS NOT NULL;

-- name: gateways_with_open_tasks
-- In two parts, because each has an index of its own.
SELECT gateway FROM tasks WHERE next_at IS NOT NULL AND submission <> 'unsent' AND errand = 'ask'
UNION
SELECT gateway FROM tasks WHERE next_at IS NOT NULL AND submission = 'unsent';

-- name: release_task
-- Something was heard of it meanwhile: it is due again, for whoever claims it.
UPDATE tasks SET next_at = :next_at, lease = NULL
WHERE id = :id AND lease = :lease AND next_at IS NOT NULL AND errand = 'ask'
RETURNING *;

-- name: put_off
-- Nobody to ask: looked at again when its time is up.
UPDATE tasks SET next_at = deadline_at, lease = NULL WHERE id = :id AND lease = :lease AND next_at IS NOT NULL
RETURNING *;

-- name: note_look
-- What a look found short of an end. Fenced by the lease: who lost it has nothing to say. A hint that came while the
-- gateway was being asked stays due; a callback that saw the task run meanwhile is not unsaid.
UPDATE tasks SET
    status = CASE WHEN status = 'running' THEN status ELSE :status END,
    progress = :progress, result = :result, unknown_word = :unknown_word, misses = :misses, alone = :alone,
    running_at = CASE WHEN :status = 'running' AND running_at IS NULL THEN :now ELSE running_at END,
    looked_at = :now, updated_at = :now, lease = NULL,
    next_at = CASE WHEN hints > :hints THEN CAST(:hinted_next_at AS BIGINT) ELSE :next_at END
WHERE id = :id AND lease = :lease AND next_at IS NOT NULL
RETURNING *;

-- name: note_news
-- The same by callback, which holds no lease: only ever forward.
UPDATE tasks SET
    status = 'running', running_at = CASE WHEN running_at IS NULL THEN :now ELSE running_at END,
    progress = :progress, updated_at = :now
WHERE id = :id AND status = 'queued'
RETURNING *;

-- name: hint_task
-- A callback says "look". A task that is being asked about right now keeps its lease; note_look sees the hint. One whose
-- result is being archived keeps its pause.
UPDATE tasks SET
    hinted_at = :now, hints = hints + 1, told = CASE WHEN CAST(:told AS BIGINT) = 1 THEN 1 ELSE told END,
    next_at = CASE
        WHEN lease IS NOT NULL OR submission = 'unsent' OR errand = 'archive' OR next_at < :next_at THEN next_at
        ELSE :next_at
    END
WHERE id = :id AND next_at IS NOT NULL
RETURNING *;

-- name: count_callback
UPDATE tasks SET callbacks = callbacks + 1 WHERE id = :id;

-- name: other_task_of_gateway
-- The same task of the gateway, as somebody else's.
SELECT id FROM tasks WHERE gateway = :gateway AND gateway_task_id = :gateway_task_id AND id <> :id LIMIT 1;

-- name: settle_task
-- First writer wins; everybody else changes nothing.
UPDATE tasks SET
    status = :status, submission = :submission, gateway_task_id = :gateway_task_id,
    progress = 100, result = :result, error = :error, settled_by = :settled_by,
    running_at = CASE WHEN running_at IS NULL AND :status = 'succeeded' THEN :now ELSE running_at END,
    took_ms = :took_ms, finished_at = :now, updated_at = :now, next_at = NULL, lease = NULL
WHERE id = :id AND next_at IS NOT NULL
RETURNING *;

-- name: note_receipt
-- The answer to a create whose callback had claimed the task already: what it says of the cost is said nowhere else.
UPDATE tasks SET result = :result, updated_at = :now WHERE id = :id RETURNING *;

-- name: renew_links
-- Links die within a day; their gateway gives new ones.
UPDATE tasks SET result = :result, looked_at = :now WHERE id = :id AND status = 'succeeded' RETURNING id;

-- name: insert_callback
INSERT INTO callbacks (id, task_id, received_at, outcome, body, digest)
VALUES (:id, :task_id, :received_at, :outcome, :body, :digest);

-- name: callback_bodies
SELECT body FROM callbacks WHERE task_id = :task_id ORDER BY id;

-- name: callback_seen
-- The same bytes again: a gateway's repetition.
SELECT id FROM callbacks WHERE task_id = :task_id AND digest = :digest LIMIT 1;

-- name: callbacks_page
SELECT id, task_id, received_at, outcome, body FROM callbacks
WHERE task_id = :task_id AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: recent_durations
-- How long tasks of this kind took of late.
SELECT took_ms AS duration_ms FROM tasks
WHERE gateway = :gateway AND model = :model AND status = 'succeeded' AND took_ms IS NOT NULL
ORDER BY finished_at DESC LIMIT :limit;
