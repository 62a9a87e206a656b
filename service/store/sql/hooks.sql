-- name: hooks_page
SELECT * FROM subscriptions
WHERE (owner = :owner OR CAST(:owner AS TEXT) IS NULL) AND task_id IS NULL AND made_by = 'hook'
  AND (url = :url OR CAST(:url AS TEXT) IS NULL)
  AND id < :before
ORDER BY id DESC
LIMIT :limit;

-- name: latest_events
-- What was really told: no tests, and nothing that was expunged since. It is not searched for any further.
SELECT * FROM (
    SELECT * FROM events WHERE owner = :owner AND type = :type ORDER BY id DESC LIMIT 100
) latest
WHERE test = 0 AND body <> ''
ORDER BY id DESC
LIMIT :limit;
