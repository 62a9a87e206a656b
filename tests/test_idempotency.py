"""Idempotency keys over HTTP: what a repeated submit is told."""

from service.wire import dumps
from tests.hub import hub
from tests.servers import Sink

BODY = {"gateway": "easyrouter", "model": "dreamina-seedance-2-0", "prompt": "a cat", "metadata": {"a": 1, "b": 2}}


async def submitted(it, body, key):
    return await it.http.post(
        "/v1/tasks", content=dumps(body), headers={"content-type": "application/json", "idempotency-key": key}
    )


async def test_what_was_refused_as_one_too_many_may_be_sent_again_under_its_key(tmp_path):
    async with hub(tmp_path) as it:
        body = BODY | {"prompt": "[429 x1] a cat", "when_full": "refuse"}
        answers = [await submitted(it, body, "order-1") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [429, 201]


async def test_what_was_refused_for_good_is_told_again_under_its_key(tmp_path):
    async with hub(tmp_path) as it:
        answers = [await submitted(it, BODY | {"prompt": "[402 x1] a cat"}, "order-1") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [402, 402]


async def test_the_same_json_in_another_order_is_the_same_request(tmp_path):
    async with hub(tmp_path) as it:
        first = await submitted(it, BODY, "order-1")
        again = await submitted(it, dict(reversed(BODY.items())) | {"metadata": {"b": 2, "a": 1}}, "order-1")
        assert (again.status_code, again.json()["id"]) == (first.status_code, first.json()["id"])


async def test_a_known_key_is_answered_before_anything_is_judged_again(tmp_path):
    """The host of a webhook may have stopped resolving, or moved to a private address, since."""
    async with hub(tmp_path) as it, Sink().open() as sink:
        body = BODY | {"webhook_url": sink.url}
        first = await submitted(it, body, "order-1")
        it.services.egress.guard._allow = ()
        again = await submitted(it, body, "order-1")
        assert (again.status_code, again.headers["idempotent-replayed"]) == (first.status_code, "true")
