-- name: next_in_feed
-- The row is held until the commit: numbers are seen in their order, without a gap that is filled later.
INSERT INTO feeds (owner, last) VALUES (:owner, 1)
ON CONFLICT (owner) DO UPDATE SET last = feeds.last + 1
RETURNING last;

-- name: take_feed
UPDATE feeds SET last = last WHERE owner = :owner;

-- name: feed
SELECT last, pruned FROM feeds WHERE owner = :owner;

-- name: insert_event
-- ON CONFLICT: a task tells each of its facts once; the second teller is told so by an empty answer.
INSERT INTO events (id, owner, task_id, type, created_at, body, seq, test)
VALUES (:id, :owner, :task_id, :type, :created_at, :body, :seq, :test)
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

-- name: events_after
-- As they were committed, oldest first; those without a body were expunged, and however many they are, none is searched
-- for that was not.
SELECT * FROM events
WHERE owner = :owner AND seq > :after
ORDER BY seq
LIMIT :limit;

-- name: events_of_task_after
-- A task has few events, wherever in the feed they stand.
SELECT * FROM events
WHERE (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
  AND (task_id = :task_id OR CAST(:task_id AS TEXT) IS NULL)
  AND seq > :after AND body <> ''
ORDER BY seq
LIMIT :limit;

-- name: insert_subscription
INSERT INTO subscriptions (
    id, owner, task_id, url, events, format, secret, description, created_at, filters, options, sending, tags, sealed,
    previous, everyone, made_by, revision, paused_at, held_until, failing_since, failures, warned, disabled_at,
    disabled_reason
) VALUES (
    :id, :owner, :task_id, :url, :events, :format, :secret, :description, :created_at, :filters, :options, :sending,
    :tags, :sealed, :previous, :everyone, :made_by, :revision, :paused_at, :held_until, :failing_since, :failures,
    :warned, :disabled_at, :disabled_reason
);

-- name: change_subscription
-- What its owner may change; how it goes with its endpoint is left as it is, unless that is another one now.
UPDATE subscriptions SET
    url = :url, events = :events, format = :format, secret = :secret, description = :description, filters = :filters,
    options = :options, sending = :sending, tags = :tags, sealed = :sealed, previous = :previous, everyone = :everyone,
    failing_since = CASE WHEN url = :url THEN failing_since END, failures = CASE WHEN url = :url THEN failures ELSE 0 END,
    warned = CASE WHEN url = :url THEN warned ELSE 0 END, held_until = CASE WHEN url = :url THEN held_until ELSE 0 END,
    revision = revision + 1
WHERE id = :id AND revision = :revision AND (owner = :of_owner OR CAST(:of_owner AS TEXT) IS NULL)
RETURNING *;

-- name: pause_subscription
UPDATE subscriptions SET paused_at = COALESCE(paused_at, :now), revision = revision + 1
WHERE id = :id AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
RETURNING *;

-- name: resume_subscription
UPDATE subscriptions SET paused_at = NULL, revision = revision + 1
WHERE id = :id AND paused_at IS NOT NULL AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
RETURNING *;

-- name: enable_subscription
UPDATE subscriptions SET
    disabled_at = NULL, disabled_reason = NULL, failing_since = NULL, failures = 0, warned = 0, held_until = 0,
    revision = revision + 1
WHERE id = :id AND disabled_at IS NOT NULL
RETURNING id;

-- name: count_subscriptions
-- No further than the limit.
SELECT CAST(COUNT(*) AS BIGINT) AS subscriptions FROM (
    SELECT 1 AS one FROM subscriptions WHERE owner = :owner AND task_id IS NULL AND id > '' LIMIT :most
) counted;

-- name: subscriptions_to_match
-- Of all that may want an event no more than what says whether they do: what is confided to them is long. One may come
-- twice. For an OR of the three SQLite would read the whole table, and without what is always true of an id, or an owner
-- as it stands, all of an owner's that are of one task each.
SELECT id, events, filters FROM subscriptions
WHERE owner = :owner AND task_id IS NULL AND id > '' AND disabled_at IS NULL
UNION ALL
SELECT id, events, filters FROM subscriptions
WHERE task_id = :task_id AND owner || '' = :owner AND disabled_at IS NULL
UNION ALL
SELECT id, events, filters FROM subscriptions WHERE everyone = 1 AND disabled_at IS NULL;

-- name: subscriptions_to_tell
-- They stay until the deliveries are stored: else one that is deleted meanwhile leaves a delivery that is due for ever.
-- Their ids are all of one length and stand one after the other in a text.
WITH RECURSIVE asked (start, subscription_id) AS (
    SELECT 1, SUBSTR(CAST(:ids AS TEXT), 1, 30)
    UNION ALL
    SELECT start + 30, SUBSTR(CAST(:ids AS TEXT), start + 30, 30) FROM asked
    WHERE start + 30 <= LENGTH(CAST(:ids AS TEXT))
)
SELECT * FROM subscriptions WHERE id IN (SELECT subscription_id FROM asked)
ORDER BY id
/* for share */;

-- name: subscription
SELECT * FROM subscriptions WHERE id = :id AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL);

-- name: subscription_to_tell
-- It stays as it is until the commit: else what is put off for a pause that ends meanwhile would wait for ever.
SELECT * FROM subscriptions WHERE id = :id
/* for share */;

-- name: subscription_to_wait_for
-- The same for who holds deliveries already, and may not wait: no row where it is being changed just now.
SELECT * FROM subscriptions WHERE id = :id
/* for share skip locked */;

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
