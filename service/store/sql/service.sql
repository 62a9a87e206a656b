-- name: ping
SELECT CAST(1 AS BIGINT) AS answer;

-- name: insert_state
INSERT INTO state (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING;

-- name: state
SELECT value FROM state WHERE name = :name;

-- name: insert_key
INSERT INTO api_keys (id, owner, role, hash, hint, created_at)
VALUES (:id, :owner, :role, :hash, :hint, :created_at);

-- name: key_by_hash
SELECT id, owner, role FROM api_keys WHERE hash = :hash AND revoked_at IS NULL;

-- name: keys
SELECT id, owner, role, hint, created_at, revoked_at FROM api_keys ORDER BY id;

-- name: revoke_key
UPDATE api_keys SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL RETURNING id;
