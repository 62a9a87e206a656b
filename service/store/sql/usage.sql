-- name: add_usage
-- What a task adds to the sums of its day; less than nothing where something is given back.
INSERT INTO usage_totals (
    owner, day, gateway, model, currency,
    tasks, succeeded, failed, cancelled, expired, tokens, quota, credits, cost, refunded
) VALUES (
    :owner, :day, :gateway, :model, :currency,
    :tasks, :succeeded, :failed, :cancelled, :expired, :tokens, :quota, :credits, :cost, :refunded
)
ON CONFLICT (owner, day, gateway, model, currency) DO UPDATE SET
    tasks = usage_totals.tasks + excluded.tasks,
    succeeded = usage_totals.succeeded + excluded.succeeded,
    failed = usage_totals.failed + excluded.failed,
    cancelled = usage_totals.cancelled + excluded.cancelled,
    expired = usage_totals.expired + excluded.expired,
    tokens = usage_totals.tokens + excluded.tokens,
    quota = usage_totals.quota + excluded.quota,
    credits = usage_totals.credits + excluded.credits,
    cost = usage_totals.cost + excluded.cost,
    refunded = usage_totals.refunded + excluded.refunded;

-- name: usage_totals
-- A column that is not asked for is one group: its value is left out.
SELECT
    CASE WHEN CAST(:by_day AS BIGINT) = 1 THEN day END AS day,
    CASE WHEN CAST(:by_owner AS BIGINT) = 1 THEN owner END AS owner,
    CASE WHEN CAST(:by_gateway AS BIGINT) = 1 THEN gateway END AS gateway,
    CASE WHEN CAST(:by_model AS BIGINT) = 1 THEN model END AS model,
    currency,
    CAST(SUM(tasks) AS BIGINT) AS tasks, CAST(SUM(succeeded) AS BIGINT) AS succeeded,
    CAST(SUM(failed) AS BIGINT) AS failed, CAST(SUM(cancelled) AS BIGINT) AS cancelled,
    CAST(SUM(expired) AS BIGINT) AS expired, CAST(SUM(tokens) AS BIGINT) AS tokens,
    CAST(SUM(quota) AS BIGINT) AS quota, CAST(SUM(credits) AS BIGINT) AS credits,
    CAST(SUM(cost) AS BIGINT) AS cost, CAST(SUM(refunded) AS BIGINT) AS refunded
FROM usage_totals
WHERE (owner = :owner OR CAST(:owner AS TEXT) IS NULL) AND day >= :first_day AND day < :end_day
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5
LIMIT :limit;

-- name: charged_between
SELECT CAST(COALESCE(SUM(cost), 0) AS BIGINT) AS cost FROM usage_totals
WHERE owner = :owner AND day >= :first_day AND day < :end_day AND currency = :currency;

-- name: take_turn
-- Whoever has the row, until his commit, may count this owner's tasks and store one more.
INSERT INTO owner_turns (owner, taken_at) VALUES (:owner, :now)
ON CONFLICT (owner) DO UPDATE SET taken_at = excluded.taken_at;

-- name: count_pending
-- No further than the limit.
SELECT COUNT(*) AS pending FROM (
    SELECT 1 AS one FROM tasks WHERE owner = :owner AND next_at IS NOT NULL LIMIT :most
) counted;
