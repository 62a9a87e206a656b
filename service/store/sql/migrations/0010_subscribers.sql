-- What a subscription wishes: which events, how they are sent, and what is encrypted at rest.
ALTER TABLE subscriptions ADD COLUMN filters TEXT NOT NULL DEFAULT '{}';
ALTER TABLE subscriptions ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
ALTER TABLE subscriptions ADD COLUMN sending TEXT NOT NULL DEFAULT '{}';
ALTER TABLE subscriptions ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE subscriptions ADD COLUMN sealed TEXT;
ALTER TABLE subscriptions ADD COLUMN previous TEXT NOT NULL DEFAULT '[]';
ALTER TABLE subscriptions ADD COLUMN everyone BIGINT NOT NULL DEFAULT 0 CHECK (everyone IN (0, 1));
ALTER TABLE subscriptions ADD COLUMN made_by TEXT NOT NULL DEFAULT 'api' CHECK (made_by IN ('api', 'hook'));
ALTER TABLE subscriptions ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE subscriptions ADD COLUMN paused_at BIGINT;

-- How it goes with its endpoint.
ALTER TABLE subscriptions ADD COLUMN held_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN failing_since BIGINT;
ALTER TABLE subscriptions ADD COLUMN failures BIGINT NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN warned BIGINT NOT NULL DEFAULT 0;

CREATE INDEX subscriptions_of_everyone ON subscriptions (id) WHERE everyone = 1;
CREATE INDEX subscriptions_by_url ON subscriptions (owner, url);

-- Frozen with the body; and how often something was left out of it, or all of it was begun again.
ALTER TABLE deliveries ADD COLUMN headers TEXT NOT NULL DEFAULT '{}';
ALTER TABLE deliveries ADD COLUMN level BIGINT NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN base BIGINT NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN replays BIGINT NOT NULL DEFAULT 0;

CREATE INDEX deliveries_pending ON deliveries (subscription_id, next_at) WHERE next_at IS NOT NULL;

ALTER TABLE attempts ADD COLUMN level BIGINT NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN hint TEXT;
ALTER TABLE attempts ADD COLUMN request_headers TEXT NOT NULL DEFAULT '{}';
ALTER TABLE attempts ADD COLUMN response_headers TEXT NOT NULL DEFAULT '{}';
ALTER TABLE attempts ADD COLUMN timings TEXT NOT NULL DEFAULT '{}';
ALTER TABLE attempts ADD COLUMN next_at BIGINT;

-- An owner's events in the order of their commits: whoever has read up to a number has missed nothing below it. The row
-- of an owner is the lock that makes it so on PostgreSQL.
CREATE TABLE feeds (
    owner TEXT   NOT NULL PRIMARY KEY,
    last  BIGINT NOT NULL
);

ALTER TABLE events ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN test BIGINT NOT NULL DEFAULT 0 CHECK (test IN (0, 1));

UPDATE events SET seq = numbered.place
FROM (SELECT id AS event_id, ROW_NUMBER() OVER (PARTITION BY owner ORDER BY id) AS place FROM events) numbered
WHERE numbered.event_id = events.id;

INSERT INTO feeds (owner, last) SELECT owner, MAX(seq) FROM events GROUP BY owner;

CREATE UNIQUE INDEX events_in_order ON events (owner, seq);

-- A task that is tried again is another task.
ALTER TABLE tasks ADD COLUMN attempt BIGINT NOT NULL DEFAULT 1;
ALTER TABLE tasks ADD COLUMN retry_of TEXT;

CREATE INDEX tasks_by_retry ON tasks (retry_of) WHERE retry_of IS NOT NULL;
