-- What is due at a task's next_at: to ask its gateway, or to archive a result that the gateway has announced.
ALTER TABLE tasks ADD COLUMN errand TEXT NOT NULL DEFAULT 'ask' CHECK (errand IN ('ask', 'archive'));

CREATE INDEX tasks_to_archive ON tasks (next_at) WHERE next_at IS NOT NULL AND errand = 'archive';

-- Results that are kept, and until when.
CREATE TABLE archived (
    task_id    TEXT   NOT NULL,
    variant    TEXT   NOT NULL CHECK (variant IN ('video', 'last_frame')),
    key        TEXT   NOT NULL,
    size       BIGINT NOT NULL,
    stored_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (task_id, variant)
);

CREATE INDEX archived_by_expiry ON archived (expires_at);
