-- name: insert_replay
INSERT INTO replays (
    id, owner, subscription_id, since, until, statuses, spacing_ms, position, scanned, replayed, created_at, next_at
) VALUES (
    :id, :owner, :subscription_id, :since, :until, :statuses, :spacing_ms, :position, 0, 0, :created_at, :created_at
);

-- name: take_subscription
-- Of two who begin a replay at once the second waits, and then sees the first one's.
SELECT id FROM subscriptions WHERE id = :id
/* for update */;

-- name: count_open_replays
SELECT CAST(COUNT(*) AS BIGINT) AS open FROM replays WHERE subscription_id = :subscription_id AND next_at IS NOT NULL;

-- name: due_replay
-- One at a time: its lock is held while its next events are told.
SELECT * FROM replays WHERE next_at IS NOT NULL AND next_at <= :now ORDER BY next_at LIMIT 1
/* skip locked */;

-- name: next_replay
SELECT MIN(next_at) AS next_at FROM replays WHERE next_at IS NOT NULL;

-- name: advance_replay
UPDATE replays SET
    position = :position, scanned = scanned + :scanned, replayed = replayed + :replayed, next_at = :next_at
WHERE id = :id AND next_at IS NOT NULL;

-- name: end_replay
UPDATE replays SET next_at = NULL, ended = :ended, note = :note, finished_at = :now
WHERE id = :id AND next_at IS NOT NULL
RETURNING *;

-- name: replay_of_owner
SELECT * FROM replays WHERE id = :id AND (owner = :owner OR CAST(:owner AS TEXT) IS NULL);

-- name: replays_page
SELECT * FROM replays
WHERE (owner = :owner OR CAST(:owner AS TEXT) IS NULL)
  AND (subscription_id = :subscription_id OR CAST(:subscription_id AS TEXT) IS NULL)
  AND created_at >= :since AND created_at < :until
  AND id < :before
ORDER BY id DESC
LIMIT :limit;

-- name: events_to_replay
-- The next ones of an owner, in the order in which they were made. No filter but the index's: a step reads no more rows
-- than it may.
SELECT * FROM events WHERE owner = :owner AND id > :position AND id < :end ORDER BY id LIMIT :limit;

-- name: everybodys_events_to_replay
SELECT * FROM events WHERE id > :position AND id < :end ORDER BY id LIMIT :limit;

-- name: deliveries_to_subscription
SELECT * FROM deliveries WHERE subscription_id = :subscription_id AND event_id = :event_id;

-- name: replay_delivery
-- Begun again: the same bytes, a new schedule, and the attempts go on counting.
UPDATE deliveries SET
    status = 'pending', next_at = :next_at, lease = NULL, finished_at = NULL, base = attempts, replays = replays + 1,
    unsent = 0, begun_at = NULL, once = 0
WHERE id = :id AND status <> 'pending' AND expunged_at IS NULL
RETURNING *;

-- name: hurry_delivery
-- It waits for its next attempt anyway: that is now.
UPDATE deliveries SET next_at = :next_at WHERE id = :id AND status = 'pending' AND lease IS NULL AND next_at > :next_at
RETURNING *;

-- name: waiting_delivery
-- One that nobody is sending just now: whoever had it has lost it, where it is due.
SELECT * FROM deliveries WHERE id = :id AND status = 'pending' AND (lease IS NULL OR next_at <= :now);
