-- In which format the body is; NULL: the subscription's.
ALTER TABLE deliveries ADD COLUMN format TEXT;

-- Since when it can be sent, counted from when it was made or begun again; NULL until it is claimed for the first time.
ALTER TABLE deliveries ADD COLUMN begun_at BIGINT;

-- How many attempts since then provably never left.
ALTER TABLE deliveries ADD COLUMN unsent BIGINT NOT NULL DEFAULT 0;

-- 1: a test, which is attempted under its first lease or never.
ALTER TABLE deliveries ADD COLUMN once BIGINT NOT NULL DEFAULT 0 CHECK (once IN (0, 1));
