"""API keys and the service's own state."""

import pytest

from service.keys import hash_of, insert_key, revoke_key
from service.store.statements import Database
from tests.store.given import BROKEN_RULE, NOW, sql


async def test_a_key_is_known_by_its_hash_and_kept_without_itself(database: Database) -> None:
    key_id = await database.write(insert_key, "rh_secret-key", "ann", "owner", NOW)
    assert await database.read("key_by_hash", hash=hash_of("rh_secret-key")) == [
        {"id": key_id, "owner": "ann", "role": "owner"}
    ]
    assert "secret-key" not in str(await database.write(sql, "SELECT * FROM api_keys"))


async def test_a_revoked_key_is_unknown_and_still_listed(database: Database) -> None:
    key_id = await database.write(insert_key, "rh_1", "ann", "owner", NOW)
    assert await database.write(revoke_key, key_id, NOW + 1)
    assert await database.read("key_by_hash", hash=hash_of("rh_1")) == []
    assert [row["revoked_at"] for row in await database.read("keys")] == [NOW + 1]


async def test_a_key_is_revoked_once(database: Database) -> None:
    key_id = await database.write(insert_key, "rh_1", "ann", "owner", NOW)
    assert [await database.write(revoke_key, key_id, NOW + at) for at in (1, 2)] == [True, False]
    assert [row["revoked_at"] for row in await database.read("keys")] == [NOW + 1]


@pytest.mark.parametrize(("key", "role"), [("rh_1", "owner"), ("rh_2", "god")])
async def test_a_key_is_stored_once_and_has_a_role_that_exists(database: Database, key: str, role: str) -> None:
    await database.write(insert_key, "rh_1", "ann", "admin", NOW)
    with pytest.raises(BROKEN_RULE):
        await database.write(insert_key, key, "bob", role, NOW)


async def test_the_first_value_of_a_state_stays(database: Database) -> None:
    for value in ("first", "second"):
        await database.write(sql, "insert_state", name="secret_key", value=value)
    assert await database.read("state", name="secret_key") == [{"value": "first"}]
