-- name: insert_delivery
-- ON CONFLICT: two who replay an event at once both find that there is none.
INSERT INTO deliveries (
    id, owner, event_id, event_type, subscription_id, format, body, headers, status, attempts, created_at, begun_at,
    next_at, lease, once
) VALUES (
    :id, :owner, :event_id, :event_type, :subscription_id, :format, :body, :headers, 'pending', 0, :now, :begun_at,
    :next_at, :lease, :once
)
ON CONFLICT (event_id, subscription_id) DO NOTHING;

-- name: due_deliveries
-- With what is frozen. The lock, or SQLite's one writer, holds them until lease_delivery has its say. A body that is not
-- there was expunged while somebody had it told again.
SELECT
    d.id, d.event_id, d.event_type, d.subscription_id, d.attempts, d.base, d.level, d.headers, d.created_at,
    d.begun_at, d.unsent, d.once, d.format, d.lease, d.replays, COALESCE(d.body, e.body) AS body
FROM deliveries d
LEFT JOIN events e ON e.id = d.event_id
WHERE d.next_at IS NOT NULL AND d.next_at <= :now
ORDER BY d.next_at
LIMIT :limit
/* skip locked deliveries */;

-- name: subscriptions_due
SELECT * FROM subscriptions WHERE id IN (
    SELECT subscription_id FROM deliveries WHERE next_at IS NOT NULL AND next_at <= :now ORDER BY next_at LIMIT :limit
);

-- name: lease_delivery
UPDATE deliveries SET next_at = :until, lease = :lease, begun_at = COALESCE(begun_at, :begun_at) WHERE id = :id;

-- name: cut_off_delivery
-- What may have been sent counts as an attempt: a service that is stopped time and again must come to an end with it.
UPDATE deliveries SET attempts = attempts + 1 WHERE id = :id AND status = 'pending';

-- name: break_off_test
-- Whoever made it did not come to record what became of it, and it is never tried again.
UPDATE deliveries SET
    status = 'exhausted', finished_at = :now, next_at = NULL, lease = NULL, last_error = 'the test was broken off'
WHERE id = :id AND status = 'pending';

-- name: freeze_delivery
-- Anew, by whoever has it: what was left out of the old body is said again.
UPDATE deliveries SET format = :format, body = :body, headers = :headers, level = 0
WHERE id = :id AND lease = :lease AND status = 'pending';

-- name: next_delivery
SELECT MIN(next_at) AS next_at FROM deliveries WHERE next_at IS NOT NULL;

-- name: leased_delivery
SELECT id FROM deliveries WHERE id = :id AND lease = :lease AND status = 'pending';

-- name: insert_attempt
-- Of what was expunged under way nothing is kept that was said.
INSERT INTO attempts (
    delivery_id, number, started_at, duration_ms, status, error, hint, ambiguous, level, request_headers,
    response_headers, response, timings, next_at
) VALUES (
    :delivery_id, :number, :started_at, :duration_ms, :status, :error, :hint, :ambiguous, :level,
    CASE WHEN EXISTS (SELECT 1 FROM deliveries WHERE id = :delivery_id AND expunged_at IS NOT NULL)
        THEN '{}' ELSE :request_headers END,
    CASE WHEN EXISTS (SELECT 1 FROM deliveries WHERE id = :delivery_id AND expunged_at IS NOT NULL)
        THEN '{}' ELSE :response_headers END,
    CASE WHEN EXISTS (SELECT 1 FROM deliveries WHERE id = :delivery_id AND expunged_at IS NOT NULL)
        THEN '' ELSE :response END,
    :timings, :next_at
)
-- What came of it takes the place of the guess that it was cut off.
ON CONFLICT (delivery_id, number) DO UPDATE SET
    started_at = excluded.started_at, duration_ms = excluded.duration_ms, status = excluded.status,
    error = excluded.error, hint = excluded.hint, ambiguous = excluded.ambiguous,
    request_headers = excluded.request_headers, response_headers = excluded.response_headers,
    response = excluded.response, timings = excluded.timings, next_at = excluded.next_at
WHERE attempts.error = CAST(:cut_off AS TEXT);

-- name: record_outcome
-- Fenced by the lease: whoever lost it in the meantime does not overwrite the outcome of the one who has it. A 2xx
-- counts though its subscription ended under way, or somebody else has the lease by now: it must not be taken for missed
-- later, nor be sent again. That of a round before the last replay says nothing of this one.
UPDATE deliveries SET
    status = :status, attempts = CASE WHEN attempts > :attempts THEN attempts ELSE :attempts END, last_status = :last_status, last_error = :last_error,
    finished_at = :finished_at, next_at = :next_at, level = :level, base = :base,
    unsent = :unsent, lease = NULL
WHERE id = :id
  AND (
    (lease = :lease AND status = 'pending')
    OR (status IN ('pending', 'cancelled') AND CAST(:status AS TEXT) = 'delivered' AND replays = :replays)
  );

-- name: holders_of_deliveries
-- Who has leased them, until our commit. Their ids are all of one length and stand one after the other in a text.
WITH RECURSIVE asked (start, delivery_id) AS (
    SELECT 1, SUBSTR(CAST(:ids AS TEXT), 1, 30)
    UNION ALL
    SELECT start + 30, SUBSTR(CAST(:ids AS TEXT), start + 30, 30) FROM asked
    WHERE start + 30 <= LENGTH(CAST(:ids AS TEXT))
)
SELECT id, lease FROM deliveries
WHERE id IN (SELECT delivery_id FROM asked) AND status = 'pending' AND lease IS NOT NULL
ORDER BY id
/* for update */;

-- name: return_delivery
-- Leased, and not attempted after all: due again at the time given.
UPDATE deliveries SET next_at = :next_at, lease = NULL WHERE id = :id AND lease = :lease AND status = 'pending';

-- name: cancel_delivery
UPDATE deliveries SET status = 'cancelled', finished_at = :now, next_at = NULL, lease = NULL, last_error = :reason
WHERE id = :id AND status = 'pending';

-- name: release_deliveries
-- Some of those that nobody is sending just now, and that would wait for longer.
UPDATE deliveries SET next_at = :at
WHERE lease IS NULL AND next_at > :at AND id IN (
    SELECT id FROM deliveries
    WHERE subscription_id = :subscription_id AND next_at > :at AND lease IS NULL
    ORDER BY next_at
    LIMIT :limit
)
RETURNING id;

-- name: cancel_deliveries
-- The next ones; whoever claims the others cancels them.
UPDATE deliveries SET status = 'cancelled', finished_at = :now, next_at = NULL, lease = NULL, last_error = :reason
WHERE status = 'pending' AND id IN (
    SELECT id FROM deliveries WHERE subscription_id = :subscription_id AND next_at IS NOT NULL
    ORDER BY next_at
    LIMIT :limit
);

-- name: delivery
SELECT * FROM deliveries WHERE id = :id AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL);

-- name: attempts
SELECT * FROM attempts WHERE delivery_id = :delivery_id ORDER BY number;

-- name: deliveries_page
SELECT * FROM deliveries
WHERE (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
  AND (status = :status OR CAST(:status AS TEXT) IS NULL)
  AND (event_id = :event_id OR CAST(:event_id AS TEXT) IS NULL)
  AND (subscription_id = :subscription_id OR CAST(:subscription_id AS TEXT) IS NULL)
  AND created_at >= :since AND created_at < :until
  AND id < :before
ORDER BY id DESC
LIMIT :limit;
