-- name: note_success
-- A 2xx wipes out what was held against the endpoint.
UPDATE subscriptions SET failing_since = NULL, failures = 0, warned = 0, held_until = 0
WHERE id = :id AND (failing_since IS NOT NULL OR held_until > 0);

-- name: reset_standing
-- A test was answered: what was held against the endpoint is over, and whoever remembers it as it was forgets that.
UPDATE subscriptions SET failing_since = NULL, failures = 0, warned = 0, held_until = 0, revision = revision + 1
WHERE id = :id;

-- name: note_failure
UPDATE subscriptions SET
    failing_since = COALESCE(failing_since, :since), failures = failures + :failures,
    held_until = CASE WHEN held_until < :held_until THEN :held_until ELSE held_until END
WHERE id = :id AND task_id IS NULL
RETURNING *;

-- name: note_warning
UPDATE subscriptions SET warned = :warned WHERE id = :id AND warned < :warned RETURNING id;

-- name: breakers
-- The latest, oldest first.
SELECT host, opened, open_until FROM (
    SELECT host, opened, open_until FROM breakers WHERE open_until > :since ORDER BY open_until DESC, host LIMIT :most
) latest
ORDER BY open_until, host;

-- name: prune_breakers
-- Of hosts that nobody has asked for so long, or has anything for any more.
DELETE FROM breakers WHERE open_until <= :before;

-- name: keep_breaker
INSERT INTO breakers (host, opened, open_until) VALUES (:host, :opened, :open_until)
ON CONFLICT (host) DO UPDATE SET opened = :opened, open_until = :open_until;

-- name: close_breaker
DELETE FROM breakers WHERE host = :host;
