"""Assets: whose they are, that no image is uploaded twice, and how a task waits for them."""

import pytest

from service.assets import Asset, AssetGroup
from service.errors import Problem
from service.model import Submission
from service.store.assets import (
    Claimed,
    Known,
    Taken,
    add_assets,
    add_group,
    check_assets,
    claim_upload,
    finish_upload,
    forget_sources,
    forget_upload,
    free_upload,
    group_of_assets,
    key_of,
    key_of_group,
)
from service.store.rows import IdempotencyKey, task_to_json
from service.store.tasks import claim_tasks, find_task, insert_task, renew_create, step
from service.wire import dump_text
from tests.store.given import BROKEN_RULE, LEASE, MINUTE, NOW, a_task, sql

CAT = "https://example.com/cat.png"
KEY = key_of("ann", "north", "group-1", CAT)
ASSET = Asset(source=CAT, url="asset://cat-1")


async def claimed(database, key=KEY, lease=LEASE, now=NOW):
    return await database.write(claim_upload, key, lease, now, now + MINUTE)


async def refusal(database, owner, *urls, group=None, foreign=True):
    try:
        await database.write(check_assets, owner, "north", urls, group, foreign=foreign)
    except Problem as problem:
        return problem.code, problem.field
    return None


# --- uploads


async def test_an_upload_is_claimed_by_one(database, another):
    assert await claimed(database) == Claimed(1)
    assert isinstance(await claimed(another, lease="lease_2"), Taken)


async def test_an_upload_whose_claimer_has_died_is_claimed_again(database):
    await claimed(database)
    assert await claimed(database, lease="lease_2", now=NOW + MINUTE) == Claimed(2)


async def test_an_upload_that_never_arrived_does_not_count(database):
    await claimed(database)
    await database.write(free_upload, KEY, LEASE, arrived=False)
    assert await claimed(database) == Claimed(1)


async def test_an_upload_whose_reply_was_lost_counts(database):
    await claimed(database)
    await database.write(free_upload, KEY, LEASE, arrived=True)
    assert await claimed(database) == Claimed(2)


async def test_a_forgotten_upload_starts_afresh(database):
    await claimed(database)
    await database.write(forget_upload, KEY, LEASE)
    assert await claimed(database, lease="lease_2") == Claimed(1)


async def test_who_has_lost_the_lease_frees_nothing(database):
    await claimed(database)
    await claimed(database, lease="lease_2", now=NOW + MINUTE)
    await database.write(free_upload, KEY, LEASE, arrived=False)
    assert isinstance(await claimed(database, now=NOW + MINUTE), Taken)


async def test_what_was_made_is_known_for_ever(database):
    await claimed(database)
    await database.write(finish_upload, KEY, LEASE, ASSET, NOW)
    assert await claimed(database, lease="lease_2", now=NOW + 10**12) == Known("asset://cat-1")


@pytest.mark.parametrize(
    "other",
    [
        key_of("bob", "north", "group-1", CAT),
        key_of("ann", "south", "group-1", CAT),
        key_of("ann", "north", "group-2", CAT),
        key_of("ann", "north", "group-1", CAT + "?2"),
    ],
)
async def test_another_owner_gateway_group_or_source_is_another_upload(database, other):
    await claimed(database)
    await database.write(finish_upload, KEY, LEASE, ASSET, NOW)
    assert await claimed(database, other) == Claimed(1)


async def test_an_image_that_was_not_approved_is_not_kept(database):
    await database.write(add_assets, "ann", "north", "group-1", [Asset(source=CAT, url="", approved=False)], NOW)
    assert await claimed(database) == Claimed(1)


async def test_an_owner_has_one_group_of_reelhooks_making(database):
    key = key_of_group("ann", "north")
    await claimed(database, key)
    await database.write(finish_upload, key, LEASE, AssetGroup(id="group-1"), NOW)
    made = await database.write(finish_upload, key, LEASE, AssetGroup(id="group-2"), NOW)
    assert (made, await claimed(database, key)) == ("group-1", Known("group-1"))


async def test_a_group_that_the_caller_made_is_not_reelhooks(database):
    await database.write(add_group, "ann", "north", AssetGroup(id="group-1"), NOW)
    assert await claimed(database, key_of_group("ann", "north")) == Claimed(1)


async def test_two_sources_may_be_one_asset(database):
    other = key_of("ann", "north", "group-1", CAT + "?again")
    for key, source in ((KEY, CAT), (other, CAT + "?again")):
        await claimed(database, key)
        await database.write(finish_upload, key, LEASE, Asset(source=source, url="asset://cat-1"), NOW)
    assert [await claimed(database, key) for key in (KEY, other)] == [Known("asset://cat-1")] * 2


async def test_an_asset_may_be_made_again_after_it_was_forgotten(database):
    for _ in range(2):
        await claimed(database)
        assert await database.write(finish_upload, KEY, LEASE, ASSET, NOW) == "asset://cat-1"
        await database.write(forget_sources, "ann", "north", ["asset://cat-1"])
    assert await claimed(database) == Claimed(1)


# --- whose they are


@pytest.fixture
async def stored(database):
    """ann has an asset in a group of hers; cat-2 is both ann's and bob's."""
    await database.write(add_group, "ann", "north", AssetGroup(id="group-1"), NOW)
    await database.write(add_assets, "ann", "north", "group-1", [ASSET, Asset(source=CAT, url="ASSET://cat-2")], NOW)
    await database.write(add_assets, "bob", "north", "", [Asset(source=CAT, url="asset://cat-2")], NOW)
    return database


async def test_an_owner_uses_his_own(stored):
    assert await refusal(stored, "ann", "asset://cat-1", group="group-1", foreign=False) is None


async def test_another_owner_does_not(stored):
    assert await refusal(stored, "bob", "asset://cat-1") == ("forbidden", "media")


async def test_nor_his_group(stored):
    assert await refusal(stored, "bob", group="group-1") == ("forbidden", "asset_group_id")


async def test_one_asset_may_be_two_owners(stored):
    assert await refusal(stored, "bob", "asset://cat-2", foreign=False) is None


async def test_an_asset_of_nobody_is_left_to_the_gateway(stored):
    assert await refusal(stored, "bob", "asset://library-1", group="library") is None


async def test_an_asset_of_nobody_can_be_refused(stored):
    assert await refusal(stored, "bob", "asset://library-1", foreign=False) == ("forbidden", "media")


async def test_a_group_of_nobody_can_be_refused(stored):
    assert await refusal(stored, "bob", group="library", foreign=False) == ("forbidden", "asset_group_id")


async def test_an_asset_of_another_gateway_is_another_asset(stored):
    await stored.write(check_assets, "bob", "south", ["asset://cat-1"], None, foreign=True)


async def test_an_assets_group_is_known_to_its_owner_only(stored):
    urls = ["asset://library-1", "asset://cat-1"]
    found = [await stored.write(group_of_assets, owner, "north", urls) for owner in ("ann", "bob")]
    assert found == ["group-1", None]


async def test_letters_that_a_database_cannot_hold_break_nothing(stored):
    odd = "asset://a\x00b"
    await stored.write(add_assets, "ann", "north", "", [Asset(source="\x00", url=odd)], NOW)
    await stored.write(add_group, "ann", "north", AssetGroup(id="g\x00", name="\x00"), NOW)
    assert await refusal(stored, "ann", odd, group="g\x00", foreign=False) is None
    assert await refusal(stored, "bob", odd) == ("forbidden", "media")


async def test_an_asset_whose_source_is_forgotten_stays_its_owners(stored):
    await stored.write(forget_sources, "ann", "north", ["asset://cat-1", "asset://cat-2"])
    assert await claimed(stored) == Claimed(1)
    assert await refusal(stored, "ann", "asset://cat-1", foreign=False) is None


# --- tasks


async def preparing(database):
    task = a_task(submission=Submission.UNSENT, preparing=1)
    await database.write(insert_task, task, None, None)
    return task


async def test_a_task_that_is_being_prepared_comes_back_when_its_lease_ends(database):
    task = await preparing(database)
    due = {"gateway": "north", "now": NOW + MINUTE, "until": NOW + 2 * MINUTE, "lease": "lease_2", "limit": 5}
    (found,) = await database.write(claim_tasks, "claim_tasks_to_send", **due)
    assert (found.id, found.submission, found.preparing) == (task.id, Submission.UNSENT, 1)


async def test_its_lease_can_be_renewed(database):
    task = await preparing(database)
    await database.write(renew_create, task.id, LEASE, NOW + 5 * MINUTE)
    assert (await database.write(find_task, task.id)).next_at == NOW + 5 * MINUTE


async def test_a_prepared_task_is_about_to_be_sent(database):
    task = await preparing(database)
    ready = {"assets": '{"urls": {"a": "asset://b"}}', "next_at": NOW + MINUTE, "now": NOW}
    found = await database.write(step, "prepared_task", id=task.id, lease=LEASE, **ready)
    assert (found.submission, found.preparing, found.assets) == (Submission.SENDING, 0, {"urls": {"a": "asset://b"}})


async def test_who_has_lost_the_lease_sends_nothing(database):
    task = await preparing(database)
    ready = {"assets": "{}", "next_at": NOW + MINUTE, "now": NOW}
    assert await database.write(step, "prepared_task", id=task.id, lease="lease_2", **ready) is None


async def test_a_postponed_preparation_is_due_later_and_free(database):
    task = await preparing(database)
    found = await database.write(
        step, "postpone_preparation", id=task.id, lease=LEASE, error=None, next_at=NOW + 9 * MINUTE, now=NOW
    )
    assert (found.next_at, found.lease, found.misses, found.preparing) == (NOW + 9 * MINUTE, None, 1, 1)


@pytest.mark.parametrize("submission", ["sending", "accepted", "unknown"])
async def test_the_database_itself_sends_no_task_that_is_being_prepared(database, submission):
    task = await preparing(database)
    with pytest.raises(BROKEN_RULE):
        await database.write(
            sql,
            "UPDATE tasks SET submission = :submission, gateway_task_id = 'g' WHERE id = :id",
            submission=submission,
            id=task.id,
        )


async def test_an_answer_that_an_earlier_version_has_frozen_can_be_replayed(database):
    task, key = a_task(), IdempotencyKey(key="k", fingerprint="f")
    await database.write(insert_task, task, key, None)
    old = {name: value for name, value in task_to_json(task).items() if name not in ("preparing", "assets")}
    await database.write(
        sql, "UPDATE idempotency_keys SET answer = :answer WHERE task_id = :id", answer=dump_text(old), id=task.id
    )
    replay = await database.write(insert_task, a_task(), key, None)
    assert (replay.answer.id, replay.answer.preparing, replay.answer.assets) == (task.id, 0, {})
