-- When a row's payload was emptied. Its ids, times and statuses stay.
ALTER TABLE tasks ADD COLUMN expunged_at BIGINT CHECK (expunged_at IS NULL OR next_at IS NULL);
ALTER TABLE events ADD COLUMN expunged_at BIGINT CHECK (expunged_at IS NULL OR body = '');
-- What is empty is never sent.
ALTER TABLE deliveries ADD COLUMN expunged_at BIGINT CHECK (expunged_at IS NULL OR (body = '' AND next_at IS NULL));

-- The highest number of an owner's feed that was removed: whoever has read less has missed something.
ALTER TABLE feeds ADD COLUMN pruned BIGINT NOT NULL DEFAULT 0 CHECK (pruned <= last);
