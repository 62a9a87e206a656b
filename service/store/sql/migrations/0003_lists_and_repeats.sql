-- Tasks asked about many at once, and shown in lists.

-- 1: the last question about many was not answered for this task, so the next one is about it alone.
ALTER TABLE tasks ADD COLUMN alone BIGINT NOT NULL DEFAULT 0 CHECK (alone IN (0, 1));
-- What its create said, for lists by it.
ALTER TABLE tasks ADD COLUMN service_tier TEXT NOT NULL DEFAULT 'default';
-- When its caller deleted it from the gateway's own API; the native one still shows it.
ALTER TABLE tasks ADD COLUMN deleted_at BIGINT;
