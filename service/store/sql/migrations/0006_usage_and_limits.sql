-- What tasks have used and cost, summed in the transaction that ends them. day: whole days since 1970 (UTC) of the
-- submit. currency: '' where nothing is known of a cost. cost, refunded: millionths of the currency.
CREATE TABLE usage_totals (
    owner     TEXT   NOT NULL,
    day       BIGINT NOT NULL,
    gateway   TEXT   NOT NULL,
    model     TEXT   NOT NULL,
    currency  TEXT   NOT NULL,
    tasks     BIGINT NOT NULL,
    succeeded BIGINT NOT NULL,
    failed    BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    expired   BIGINT NOT NULL,
    tokens    BIGINT NOT NULL,
    quota     BIGINT NOT NULL,
    credits   BIGINT NOT NULL,
    cost      BIGINT NOT NULL,
    refunded  BIGINT NOT NULL,
    PRIMARY KEY (owner, day, gateway, model, currency),
    CHECK (tasks = succeeded + failed + cancelled + expired)
);

CREATE INDEX usage_totals_by_day ON usage_totals (day);

-- One row for each owner with limits: its lock lets one of his submits at a time count what is pending.
CREATE TABLE owner_turns (
    owner    TEXT   NOT NULL PRIMARY KEY,
    taken_at BIGINT NOT NULL
);

CREATE INDEX tasks_pending ON tasks (owner) WHERE next_at IS NOT NULL;
