-- name: insert_asset_group
INSERT INTO asset_groups (owner, gateway, id, name, description, own, created_at)
VALUES (:owner, :gateway, :id, :name, :description, :own, :now)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: own_group
-- The group that Reelhook puts images of this owner into.
SELECT id FROM asset_groups WHERE owner = :owner AND gateway = :gateway AND own = 1;

-- name: insert_asset
INSERT INTO assets (owner, gateway, url, group_id, source, source_hash, created_at)
VALUES (:owner, :gateway, :url, :group_id, :source, :source_hash, :now)
ON CONFLICT (owner, gateway, url, group_id, source_hash) DO NOTHING;

-- name: asset_of_source
-- What was already made of an image.
SELECT url FROM assets
WHERE owner = :owner AND gateway = :gateway AND group_id = :group_id AND source_hash = :source_hash
ORDER BY created_at DESC LIMIT 1;

-- name: usable_asset
-- A row when this owner may use it: it is his, or nobody's and such are allowed.
SELECT CAST(1 AS BIGINT) AS usable
WHERE EXISTS (SELECT 1 FROM assets WHERE gateway = :gateway AND url = :url AND owner = :owner)
   OR (CAST(:foreign AS BIGINT) = 1 AND NOT EXISTS (SELECT 1 FROM assets WHERE gateway = :gateway AND url = :url));

-- name: usable_group
SELECT CAST(1 AS BIGINT) AS usable
WHERE EXISTS (SELECT 1 FROM asset_groups WHERE gateway = :gateway AND id = :id AND owner = :owner)
   OR (CAST(:foreign AS BIGINT) = 1 AND NOT EXISTS (SELECT 1 FROM asset_groups WHERE gateway = :gateway AND id = :id));

-- name: group_of_asset
SELECT group_id FROM assets WHERE owner = :owner AND gateway = :gateway AND url = :url AND group_id <> '';

-- name: claim_upload
-- Only one process at a time uploads an image; who has died loses it with the lease.
INSERT INTO uploads (owner, gateway, group_id, source_hash, tries, lease, leased_until)
VALUES (:owner, :gateway, :group_id, :source_hash, 1, :lease, :until)
ON CONFLICT (owner, gateway, group_id, source_hash) DO UPDATE
SET tries = uploads.tries + 1, lease = :lease, leased_until = :until
WHERE uploads.leased_until <= :now
RETURNING tries;

-- name: free_upload
-- It came to nothing; arrived 0: it provably never reached the gateway, or was answered, so it does not count.
UPDATE uploads SET leased_until = 0, tries = tries - 1 + CAST(:arrived AS BIGINT)
WHERE owner = :owner AND gateway = :gateway AND group_id = :group_id AND source_hash = :source_hash AND lease = :lease;

-- name: forget_upload
DELETE FROM uploads
WHERE owner = :owner AND gateway = :gateway AND group_id = :group_id AND source_hash = :source_hash AND lease = :lease;

-- name: keep_asset_without_source
INSERT INTO assets (owner, gateway, url, group_id, source, source_hash, created_at)
SELECT owner, gateway, url, group_id, source, '', created_at FROM assets
WHERE owner = :owner AND gateway = :gateway AND url = :url
ON CONFLICT (owner, gateway, url, group_id, source_hash) DO NOTHING;

-- name: forget_sources
-- The gateway may not know it any more: the image is given to it again.
DELETE FROM assets WHERE owner = :owner AND gateway = :gateway AND url = :url AND source_hash <> '';
