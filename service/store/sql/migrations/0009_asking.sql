-- What waits for its archive is not walked by those who look for tasks to ask about.
DROP INDEX tasks_to_ask;

CREATE INDEX tasks_to_ask ON tasks (gateway, next_at)
    WHERE next_at IS NOT NULL AND submission <> 'unsent' AND errand = 'ask';
