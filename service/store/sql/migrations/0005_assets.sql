-- Images that gateways have taken in: whose they are, and how far a task has come that needs some first.

CREATE TABLE asset_groups (
    owner       TEXT   NOT NULL,
    gateway     TEXT   NOT NULL,
    id          TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    description TEXT   NOT NULL,
    -- 1: the one group of this owner that Reelhook itself puts images into
    own         BIGINT NOT NULL CHECK (own IN (0, 1)),
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (owner, gateway, id)
);

CREATE UNIQUE INDEX asset_groups_own ON asset_groups (owner, gateway) WHERE own = 1;
CREATE INDEX asset_groups_by_id ON asset_groups (gateway, id);

-- A gateway may give two owners, or two sources, the same asset for the same image: then it is both's. source_hash is
-- empty where an asset is not to be used for its source any more.
CREATE TABLE assets (
    owner       TEXT   NOT NULL,
    gateway     TEXT   NOT NULL,
    url         TEXT   NOT NULL,
    group_id    TEXT   NOT NULL,
    source      TEXT   NOT NULL,
    source_hash TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (owner, gateway, url, group_id, source_hash)
);

CREATE INDEX assets_by_url ON assets (gateway, url);
CREATE INDEX assets_by_source ON assets (owner, gateway, group_id, source_hash);

-- Uploads under way, so that no two tasks make the same one. tries: how many may have reached the gateway.
CREATE TABLE uploads (
    owner        TEXT   NOT NULL,
    gateway      TEXT   NOT NULL,
    group_id     TEXT   NOT NULL,
    source_hash  TEXT   NOT NULL,
    tries        BIGINT NOT NULL,
    lease        TEXT   NOT NULL,
    leased_until BIGINT NOT NULL,
    PRIMARY KEY (owner, gateway, group_id, source_hash)
);

-- preparing 1: some of its images have still to be taken in, so its create is not on its way to anybody.
ALTER TABLE tasks ADD COLUMN preparing BIGINT NOT NULL DEFAULT 0
    CHECK (preparing = 0 OR (preparing = 1 AND submission IN ('unsent', 'refused')));

-- What was made of them: {"group": id or null, "urls": {source: asset URL}}.
ALTER TABLE tasks ADD COLUMN assets TEXT NOT NULL DEFAULT '{}';
