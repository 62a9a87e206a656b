-- name: deliveries_to_prune
-- Ids sort by time, so what is old stands together. weight: the rows that go with one; due: 1 where it is time.
SELECT id, 1 + attempts AS weight,
    CAST(CASE WHEN finished_at < :before THEN 1 ELSE 0 END AS BIGINT) AS due
FROM deliveries WHERE id > :after AND id < :until ORDER BY id LIMIT :limit;

-- name: prune_deliveries
DELETE FROM deliveries
WHERE id > :after AND id <= :last AND next_at IS NULL AND finished_at < :before
RETURNING id;

-- name: prune_attempts
-- Of deliveries that are gone.
DELETE FROM attempts
WHERE delivery_id > :after AND delivery_id <= :last
  AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.id = attempts.delivery_id);

-- name: replays_to_prune
SELECT id, CAST(1 AS BIGINT) AS weight,
    CAST(CASE WHEN finished_at < :before THEN 1 ELSE 0 END AS BIGINT) AS due
FROM replays WHERE id > :after AND id < :until ORDER BY id LIMIT :limit;

-- name: prune_replays
DELETE FROM replays
WHERE id > :after AND id <= :last AND next_at IS NULL AND finished_at < :before
RETURNING id;

-- name: events_to_prune
SELECT id, CAST(1 AS BIGINT) AS weight,
    CAST(CASE WHEN created_at < :before THEN 1 ELSE 0 END AS BIGINT) AS due
FROM events WHERE id > :after AND id < :until ORDER BY id LIMIT :limit;

-- name: prune_events
-- Not while anybody is still to be told of one, or the log shows that somebody was; nor while its task could tell it
-- again.
DELETE FROM events
WHERE id > :after AND id <= :last AND created_at < :before
  AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event_id = events.id)
  AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = events.task_id AND tasks.next_at IS NOT NULL)
  AND NOT EXISTS (
      SELECT 1 FROM replays
      WHERE replays.next_at IS NOT NULL AND events.id > replays.position
        AND events.created_at >= replays.since AND events.created_at < replays.until
        AND (replays.owner = events.owner OR EXISTS (
            SELECT 1 FROM subscriptions WHERE subscriptions.id = replays.subscription_id AND subscriptions.everyone = 1
        ))
  )
RETURNING owner, seq;

-- name: note_pruned
-- In the transaction that removes them: no reader finds the gap before he is told of it.
UPDATE feeds SET pruned = :seq WHERE owner = :owner AND pruned < :seq;

-- name: tasks_to_prune
SELECT id, 1 + CASE WHEN callbacks < 100 THEN callbacks ELSE 100 END AS weight,
    CAST(CASE WHEN finished_at < :before THEN 1 ELSE 0 END AS BIGINT) AS due
FROM tasks WHERE id > :after AND id < :until ORDER BY id LIMIT :limit;

-- name: prune_tasks
-- Not while the archive keeps its result, a repeated submit would be answered with it, or its caller is still to be
-- told.
DELETE FROM tasks
WHERE id > :after AND id <= :last AND next_at IS NULL AND finished_at < :before
  AND NOT EXISTS (SELECT 1 FROM archived WHERE archived.task_id = tasks.id)
  AND NOT EXISTS (SELECT 1 FROM unanswered_creates WHERE unanswered_creates.task_id = tasks.id)
  AND NOT EXISTS (
      SELECT 1 FROM idempotency_keys WHERE idempotency_keys.task_id = tasks.id AND idempotency_keys.answer IS NULL
  )
  AND NOT EXISTS (
      SELECT 1 FROM subscriptions JOIN deliveries ON deliveries.subscription_id = subscriptions.id
      WHERE subscriptions.task_id = tasks.id AND deliveries.next_at IS NOT NULL
  )
RETURNING id;

-- name: prune_callbacks
-- Of tasks that are gone.
DELETE FROM callbacks
WHERE task_id > :after AND task_id <= :last
  AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = callbacks.task_id);

-- name: prune_requests
DELETE FROM requests
WHERE task_id > :after AND task_id <= :last
  AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = requests.task_id);

-- name: prune_one_shots_of_tasks
DELETE FROM subscriptions
WHERE task_id IS NOT NULL AND task_id > :after AND task_id <= :last
  AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.id = subscriptions.task_id);

-- name: one_shots_to_prune
-- By their tasks, which are as old as they are.
SELECT task_id AS id, CAST(1 AS BIGINT) AS weight,
    CAST(CASE WHEN disabled_at < :before THEN 1 ELSE 0 END AS BIGINT) AS due
FROM subscriptions
WHERE task_id IS NOT NULL AND task_id > :after AND task_id < :until ORDER BY task_id LIMIT :limit;

-- name: prune_one_shots
DELETE FROM subscriptions
WHERE task_id IS NOT NULL AND task_id > :after AND task_id <= :last AND disabled_at < :before
  AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.subscription_id = subscriptions.id)
RETURNING id;

-- name: events_to_expunge
SELECT id, CAST(1 AS BIGINT) AS weight,
    CAST(CASE WHEN created_at < :before AND expunged_at IS NULL THEN 1 ELSE 0 END AS BIGINT) AS due
FROM events WHERE id > :after AND id < :until ORDER BY id LIMIT :limit;

-- name: expunge_events
UPDATE events SET body = '', expunged_at = :now
WHERE id > :after AND id <= :last AND created_at < :before AND expunged_at IS NULL
  AND NOT EXISTS (
      SELECT 1 FROM deliveries WHERE deliveries.event_id = events.id AND deliveries.next_at IS NOT NULL
  )
  AND NOT EXISTS (
      SELECT 1 FROM replays
      WHERE replays.next_at IS NOT NULL AND events.id > replays.position
        AND events.created_at >= replays.since AND events.created_at < replays.until
        AND (replays.owner = events.owner OR EXISTS (
            SELECT 1 FROM subscriptions WHERE subscriptions.id = replays.subscription_id AND subscriptions.everyone = 1
        ))
  )
RETURNING id;

-- name: deliveries_to_expunge
SELECT id, 1 + attempts AS weight,
    CAST(CASE WHEN finished_at < :before AND expunged_at IS NULL THEN 1 ELSE 0 END AS BIGINT) AS due
FROM deliveries WHERE id > :after AND id < :until ORDER BY id LIMIT :limit;

-- name: expunge_deliveries
-- After the event: as long as that can be told again, to others, so can they.
UPDATE deliveries SET body = '', headers = '{}', expunged_at = :now
WHERE id > :after AND id <= :last AND next_at IS NULL AND finished_at < :before AND expunged_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM events WHERE events.id = deliveries.event_id AND events.body <> '')
RETURNING id;

-- name: expunge_attempts
-- Of deliveries without a body; also those that were under way when it went.
UPDATE attempts SET response = '', request_headers = '{}', response_headers = '{}'
WHERE delivery_id > :after AND delivery_id <= :last
  AND EXISTS (
      SELECT 1 FROM deliveries WHERE deliveries.id = attempts.delivery_id AND deliveries.expunged_at IS NOT NULL
  );

-- name: tasks_to_expunge
SELECT id, 1 + CASE WHEN callbacks < 100 THEN callbacks ELSE 100 END AS weight,
    CAST(CASE WHEN finished_at < :before AND expunged_at IS NULL THEN 1 ELSE 0 END AS BIGINT) AS due
FROM tasks WHERE id > :after AND id < :until ORDER BY id LIMIT :limit;

-- name: tasks_with_payload
-- Read to be emptied in the same transaction.
SELECT * FROM tasks
WHERE id > :after AND id <= :last AND next_at IS NULL AND finished_at < :before AND expunged_at IS NULL
ORDER BY id
/* for update */;

-- name: task_to_expunge
SELECT * FROM tasks WHERE id = :id AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL) /* for update */;

-- name: expunge_task
UPDATE tasks SET
    request = :request, result = :result, error = :error, assets = '{}', slim = 0,
    expunged_at = COALESCE(expunged_at, :now)
WHERE id = :id AND next_at IS NULL
RETURNING *;

-- name: expunge_callbacks
UPDATE callbacks SET body = '' WHERE task_id = :task_id AND body <> '';

-- name: answers_of_task
SELECT owner, key, answer FROM idempotency_keys WHERE task_id = :task_id AND answer IS NOT NULL;

-- name: change_answer
UPDATE idempotency_keys SET answer = :answer WHERE owner = :owner AND key = :key;

-- name: expunge_event
UPDATE events SET body = '', expunged_at = COALESCE(expunged_at, :now)
WHERE id = :id AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
RETURNING *;

-- name: events_of_task
SELECT id FROM events WHERE task_id = :task_id ORDER BY id;

-- name: cancel_deliveries_of_event
UPDATE deliveries SET status = 'cancelled', finished_at = :now, next_at = NULL, lease = NULL, last_error = :reason
WHERE event_id = :event_id AND status = 'pending';

-- name: expunge_deliveries_of_event
UPDATE deliveries SET body = '', headers = '{}', expunged_at = COALESCE(expunged_at, :now) WHERE event_id = :event_id;

-- name: expunge_attempts_of_event
UPDATE attempts SET response = '', request_headers = '{}', response_headers = '{}'
WHERE delivery_id IN (SELECT id FROM deliveries WHERE event_id = :event_id);
