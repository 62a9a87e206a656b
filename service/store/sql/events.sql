-- name: insert_event
-- ON CONFLICT: a task tells each of its facts once; the second teller is told so by an empty answer.
INSERT INTO events (id, owner, task_id, type, created_at, body)
VALUES (:id, :owner, :task_id, :type, :created_at, :body)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: event
SELECT * FROM events WHERE id = :id AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL);

-- name: events_page
SELECT * FROM events
WHERE (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
  AND (task_id = :task_id OR CAST(:task_id AS TEXT) IS NULL)
  AND (type = :type OR CAST(:type AS TEXT) IS NULL)
  AND created_at >= :since AND created_at < :until
  AND id < :before
ORDER BY id DESC
LIMIT :limit;

-- name: insert_subscription
INSERT INTO subscriptions (id, owner, task_id, url, events, format, secret, description, created_at)
VALUES (:id, :owner, :task_id, :url, :events, :format, :secret, :description, :created_at);

-- name: count_subscriptions
-- No further than the limit.
SELECT CAST(COUNT(*) AS BIGINT) AS subscriptions FROM (
    SELECT 1 AS one FROM subscriptions WHERE owner = :owner AND task_id IS NULL LIMIT :most
) counted;

-- name: subscriptions_to_tell
-- They stay until the deliveries are stored: else one that is deleted meanwhile leaves a delivery that is due for ever.
SELECT * FROM subscriptions
WHERE disabled_at IS NULL AND ((owner = :owner AND task_id IS NULL) OR (owner = :owner AND task_id = :task_id))
/* for share */;

-- name: subscription
SELECT * FROM subscriptions WHERE id = :id AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL);

-- name: subscriptions_page
SELECT * FROM subscriptions
WHERE (owner = :owner OR CAST(:owner AS TEXT) IS NULL) AND task_id IS NULL AND id < :before
ORDER BY id DESC
LIMIT :limit;

-- name: delete_subscription
DELETE FROM subscriptions WHERE id = :id AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL) RETURNING id;

-- name: forget_caller
DELETE FROM subscriptions WHERE task_id = :task_id AND format = 'gateway';

-- name: disable_subscription
UPDATE subscriptions SET disabled_at = :now, disabled_reason = :reason
WHERE id = :id AND disabled_at IS NULL
RETURNING id;
