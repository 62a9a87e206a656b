"""Subscriptions, over real HTTP: what they hear, how they are told, and which are refused."""

import asyncio
import ssl
import time
from base64 import b64encode
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from service.errors import Problem
from service.formats import FORMATS
from service.keys import Caller
from service.model import EVENT_TYPES
from service.settings import DeliverySettings, Span
from service.signing import sign_plainly
from service.web.serving import listen
from service.wire import loads
from service.wishes import KNOWN, Wish, read_wish
from tests.certificates import certified, server_side
from tests.hub import SETTINGS, hub
from tests.servers import Sink

SLOW = replace(SETTINGS, deliveries=replace(SETTINGS.deliveries, timeout=Span(3_000)))

ANNA = Caller(key_id="key_1", name="anna", admin=False)

# --- what they hear


TASK: dict[str, Any] = {
    "external_id": "order-7",
    "metadata": {"n": 1, "s": "1", "b": True, "nested": {"a": 1}, "none": None},
}


async def hears(tmp_path, wishes):
    """What of one task each of these subscriptions hears, all of them side by side."""
    async with Sink().open() as sink, hub(tmp_path) as it:
        for number, wish in enumerate(wishes):
            await it.subscribe(f"{sink.url}/{number}", **{"events": ["*"]} | wish)
        await it.subscribe(f"{sink.url}/all", events=["*"])
        await it.submit(**TASK)
        heard = await sink.wait_for(lambda found: any(one.url.endswith("/all") and ENDED in one.body for one in found))
        await it.until(lambda: it.listed("/v1/deliveries?status=pending"), lambda found: found == [])
        assert len(heard) <= len(sink.requests)
        of = [[one for one in sink.requests if one.url.endswith(f"/{number}")] for number in range(len(wishes))]
        return [{loads(one.body)["type"] for one in requests} for requests in of]


ENDED = b'"task.succeeded"'
PASSING: tuple[Any, ...] = (
    {},
    {"gateway": "easyrouter"},
    {"gateway": ["north", "easyrouter"], "external_id": "order-7"},
    {"metadata": {"n": 1}},
    {"metadata": {"n": [2, 1], "s": "1", "b": True}},
)
# They differ in value or in kind, or name what is not said.
FAILING: tuple[Any, ...] = (
    {"gateway": "Easyrouter"},
    {"gateway": "easyrouter", "external_id": "order-8"},
    {"model": "other"},
    {"status": "failed"},
    {"metadata": {"n": "1"}},
    {"metadata": {"s": 1}},
    {"metadata": {"b": 1}},
    {"metadata": {"n": True}},
    {"metadata": {"n": 1, "missing": "x"}},
    {"metadata": {"none": "None"}},
    {"metadata": {"nested": "a"}},
)


async def test_what_a_filter_names_is_heard(tmp_path):
    told = await hears(tmp_path, [{"filters": filters} for filters in PASSING])
    assert all("task.succeeded" in types for types in told), list(zip(PASSING, told, strict=True))


async def test_what_differs_in_value_or_kind_or_is_missing_is_not_heard(tmp_path):
    told = await hears(tmp_path, [{"filters": filters} for filters in FAILING])
    assert not any(told), list(zip(FAILING, told, strict=True))


async def test_a_filter_by_status_hears_one_end(tmp_path):
    assert await hears(tmp_path, [{"filters": {"status": "succeeded"}}]) == [{"task.succeeded"}]


async def test_wildcards_stand_for_what_they_say(tmp_path):
    wishes = [
        {"events": events} for events in (["task.*"], ["*"], ["subscription.*"], ["delivery.*", "task.succeeded"])
    ]
    told = await hears(tmp_path, wishes)
    assert ["task.succeeded" in types for types in told] == [True, True, False, True]


async def test_an_operational_event_passes_no_filter_of_tasks(tmp_path):
    async with Sink(410).open() as gone, Sink().open() as some, Sink().open() as every, hub(tmp_path) as it:
        await it.subscribe(some.url, events=["*"], filters={"gateway": ["easyrouter"]})
        await it.subscribe(every.url, events=["subscription.disabled"])
        await it.subscribe(gone.url)
        await it.submit()
        await every.wait_for(len)
        await it.until(lambda: it.listed("/v1/deliveries?status=pending"), lambda found: found == [])
        assert not any(b"subscription.disabled" in one.body for one in some.requests)


def refused_for(**wish):
    """The field for which a wish is refused."""
    with pytest.raises(Problem) as caught:
        read_wish({"url": "https://127.0.0.1/"} | wish, ANNA, DeliverySettings())
    return caught.value.field


# --- how they are told


async def test_headers_arrive_and_are_shown_to_nobody(tmp_path):
    secret = "Bearer s3cret-of-the-owner"
    async with Sink(500, 200).open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url, headers={"Authorization": secret, "X-Team": "video-team-blue"})
        await it.submit()
        requests = await sink.wait_for(lambda found: len(found) >= 2)
        assert {(one.headers["authorization"], one.headers["x-team"]) for one in requests} == {
            (secret, "video-team-blue")
        }
        (delivery,) = await it.until(lambda: it.listed("/v1/deliveries?status=delivered"), len)
        paths = [f"/v1/subscriptions/{made['id']}", "/v1/subscriptions", f"/v1/deliveries/{delivery['id']}"]
        shown = [(await http.get(path)).text for path in paths for http in (it.http, it.admin)]
        assert not any("s3cret" in text or "video-team-blue" in text for text in shown)
    for file in tmp_path.iterdir():
        assert b"s3cret" not in file.read_bytes() and b"video-team-blue" not in file.read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        *("webhook-id", "Webhook-Signature", "X-Reelhook-Attempt", "Content-Type", "content-length", "Host", "ce-id"),
        *("Transfer-Encoding", "connection", "X-Hub-Signature-256", "X-Hook-Secret", "a b", "a:b", "", "ü"),
    ],
)
def test_a_header_that_is_not_the_owners_to_say_is_refused(name):
    assert refused_for(headers={name: "x"}) == f"headers.{name}"


@pytest.mark.parametrize("value", ["a\r\nx-other: b", "a\nb", "a\x00b", "ü", 5, None])
def test_a_header_is_one_line_of_plain_text(value):
    assert refused_for(headers={"x-a": value}) == "headers.x-a"


async def test_a_rate_of_its_own_takes_effect(tmp_path):
    async with Sink().open() as sink, hub(tmp_path, settings=SLOW) as it:
        await it.subscribe(sink.url, events=["task.accepted"], rate_per_minute=300)
        began = time.perf_counter()
        await asyncio.gather(*(it.submit() for _ in range(6)))
        await sink.wait_for(lambda found: len(found) >= 6)
        assert time.perf_counter() - began >= 5 * 0.2


async def test_a_concurrency_of_its_own_takes_effect(tmp_path):
    async with Sink(200, 0).open() as sink, Sink().open() as well, hub(tmp_path, settings=SLOW) as it:
        await it.subscribe(sink.url, events=["task.accepted"], concurrency=2)
        await it.subscribe(well.url, events=["task.accepted"])
        await it.submit()
        await it.until(lambda: it.listed("/v1/deliveries?status=delivered"), lambda found: len(found) == 2)
        await asyncio.gather(*(it.submit() for _ in range(6)))
        await well.wait_for(lambda found: len(found) >= 7)
        assert len(await sink.wait_for(lambda found: len(found) >= 3)) == 1 + 2
        sink.release()


@asynccontextmanager
async def tls_sink(context: ssl.SSLContext):
    """An endpoint by TLS: its URL, and who asked, with what."""
    seen = []

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        shown = writer.get_extra_info("peercert")
        seen.append((dict(part[0] for part in shown["subject"])["commonName"], head))
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, sock=listen("127.0.0.1", 0), ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook", seen


async def test_a_client_certificate_is_shown_to_an_endpoint_of_ones_own_authority(tmp_path):
    authority = certified("our authority", authority=True)
    client = certified("reelhook-of-anna", by=authority)
    context = server_side(tmp_path, certified(by=authority), clients_of=authority)
    tls = {"ca": authority.pem, "certificate": client.pem, "key": client.key_pem}
    (tmp_path / "hub").mkdir()
    async with tls_sink(context) as (url, seen), hub(tmp_path / "hub") as it:
        made = await it.subscribe(url, tls=tls, retry_seconds=[])
        stranger = await it.subscribe(url, retry_seconds=[])
        await it.submit()
        found = await it.until(
            lambda: it.listed("/v1/deliveries"),
            lambda found: len(found) == 2 and all(one["status"] != "pending" for one in found),
        )
        stands = {one["subscription_id"]: one["status"] for one in found}
        assert stands == {made["id"]: "delivered", stranger["id"]: "exhausted"}
        assert [name for name, _ in seen] == ["reelhook-of-anna"]
        text = (await it.http.get(f"/v1/subscriptions/{made['id']}")).text
        assert "PRIVATE" not in text and '"tls":["ca","certificate","key"]' in text
    for file in (tmp_path / "hub").iterdir():
        assert b"PRIVATE KEY" not in file.read_bytes()


# --- signatures


def verifies(secret, request):
    try:
        Webhook(secret).verify(request.body, dict(request.headers))
    except WebhookVerificationError:
        return False
    return True


async def rotated(it, made, query="", **body):
    answer = await it.http.post(f"/v1/subscriptions/{made['id']}/rotate-secret{query}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["secret"]


async def next_request(it, sink):
    count = len(sink.requests)
    await it.submit()
    return (await sink.wait_for(lambda found: len(found) > count))[-1]


async def test_during_the_grace_both_secrets_verify_and_after_it_the_new_one_alone(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url)
        new = await rotated(it, made, "?grace=1s")
        request = await next_request(it, sink)
        assert verifies(made["secret"], request) and verifies(new, request)
        await asyncio.sleep(1)
        request = await next_request(it, sink)
        assert (verifies(made["secret"], request), verifies(new, request)) == (False, True)


async def test_at_most_four_secrets_sign_at_once(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url)
        secrets = [made["secret"]] + [await rotated(it, made) for _ in range(4)]
        request = await next_request(it, sink)
        assert [verifies(secret, request) for secret in secrets] == [False, True, True, True, True]


async def test_without_a_grace_no_older_secret_signs(tmp_path):
    async with Sink().open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url)
        second = await rotated(it, made)
        third = await rotated(it, made, "?grace=0s")
        request = await next_request(it, sink)
        assert [verifies(secret, request) for secret in (made["secret"], second, third)] == [False, False, True]


async def test_a_secret_of_the_callers_own_signs(tmp_path):
    own = "whsec_" + b64encode(b"k" * 32).decode()
    async with Sink().open() as sink, hub(tmp_path) as it:
        made = await it.subscribe(sink.url, signatures=["v1", "sha256"])
        assert await rotated(it, made, secret=own) == own
        request = await next_request(it, sink)
        assert verifies(own, request)
        assert request.headers["x-hub-signature-256"] == sign_plainly(own, request.body)["x-hub-signature-256"]


@pytest.mark.parametrize(
    ("query", "body", "field"),
    [
        ("?grace=8d", {}, "grace"),
        ("?grace=soon", {}, "grace"),
        ("?for=1h", {}, "for"),
        ("", {"secret": "short"}, "secret"),
        ("", {"secret": ["whsec_"]}, "secret"),
        ("", {"secret": "whsec_ü"}, "secret"),
        ("", {"other": 1}, "other"),
    ],
)
async def test_an_odd_rotation_is_refused(hub_without_worker, query, body, field):
    made = await hub_without_worker.subscribe("http://127.0.0.1/")
    answer = await hub_without_worker.post(f"/v1/subscriptions/{made['id']}/rotate-secret{query}", body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


# --- which are refused

BAD_URLS = {
    "http://10.0.0.1/": "not a public address",
    "http://[::1]/": "not a public address",
    "http://169.254.169.254/latest/": "not a public address",
    "http://0x0a000001/": "",
    "https://user:pw@example.com/": "user name",
    "ftp://example.com/": "https://",
    "javascript:alert(1)": "https://",
    "http://": "host",
    "http://no-such-host.invalid/": "resolved",
    "http://exa mple.com/": "blanks",
    "http://[::1/": "valid URL",
    "http://example.com:99999/": "valid URL",
    "http://example.com:0/": "port 0",
    "": "https://",
}


@pytest.mark.parametrize(("path", "field"), [("/v1/subscriptions", "url"), ("/v1/hooks", "target_url")])
async def test_a_url_that_cannot_be_is_refused_with_the_reason(hub_without_worker, path, field):
    for url, words in BAD_URLS.items():
        answer = await hub_without_worker.post(path, {field: url})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, field), url
        assert words in answer.json()["error"]["message"]
        assert "pw" not in answer.text


async def test_a_webhook_url_that_cannot_be_is_refused_with_the_reason(hub_without_worker):
    for url, words in BAD_URLS.items():
        if words not in ("", "resolved"):  # those may resolve tomorrow
            answer = await hub_without_worker.submitted(webhook_url=url)
            assert (answer.status_code, answer.json()["error"]["field"]) == (400, "webhook_url"), url


@pytest.mark.parametrize("name", [name for name, shape in FORMATS.items() if shape.offered])
def test_an_option_that_the_format_does_not_know_is_refused(name):
    assert refused_for(format=name, format_options={"colour": "red"}) == "format_options.colour"


async def test_a_refusal_is_a_400_that_names_the_field(hub_without_worker):
    body = {"url": "http://127.0.0.1/", "format_options": {"colour": "red"}}
    answer = await hub_without_worker.post("/v1/subscriptions", body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "format_options.colour")


BAD: dict[str, dict[str, Any]] = {
    "filters.colour": {"filters": {"colour": "red"}},
    "filters.status": {"filters": {"status": "done"}},
    "filters.metadata": {"filters": {"metadata": {}}},
    "filters.metadata.a": {"filters": {"metadata": {"a": {"b": 1}}}},
    "filters.gateway": {"filters": {"gateway": []}},
    "rate_per_minute": {"rate_per_minute": 0},
    "concurrency": {"concurrency": 1.5},
    "timeout_seconds": {"timeout_seconds": 1e9},
    "retry_seconds": {"retry_seconds": [-1]},
    "signatures": {"signatures": ["v1a"]},
    "handshake": {"handshake": {}},
    "tags": {"tags": [""]},
    "owner": {"owner": "bert"},
    "tls.key": {"tls": {"key": 5}},
    "headers": {"headers": {"a": "x", "A": "y"}},
    "format": {"format": "gateway"},
    "events": {"events": ["task"]},
}


@pytest.mark.parametrize(
    ("field", "filters"),
    [
        ("filters.external_id", {"external_id": "x" * 201}),
        ("filters.metadata.a", {"metadata": {"a": ["b", "x" * 201]}}),
        ("filters.metadata.a", {"metadata": {"a": 10**200}}),
        ("filters.metadata", {"metadata": {"x" * 201: "a"}}),
    ],
)
def test_a_filter_is_short_because_each_event_reads_it(field, filters):
    assert refused_for(filters=filters) == field


@pytest.mark.parametrize("field", BAD)
def test_a_bad_field_names_itself(field):
    assert refused_for(**BAD[field]) == field


def test_reading_a_wish_reads_no_certificates():
    tls = {"certificate": "no certificate", "key": "no key"}
    wish = read_wish({"url": "https://a.example/", "tls": tls}, ANNA, DeliverySettings())
    assert wish.confided == {"tls": tls}


json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["https://a.example/", "v1", "*", *FORMATS, *EVENT_TYPES]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["gateway", "metadata", "ca", "key", "topic"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
wishes = st.dictionaries(st.sampled_from(KNOWN), json, max_size=6).map(
    lambda body: {"url": "https://a.example/"} | body
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wishes | st.fixed_dictionaries({"url": json, "format": st.sampled_from(list(FORMATS)), "format_options": json}))
def test_any_json_is_a_wish_or_a_problem(body):
    try:
        wish = read_wish(body, ANNA, DeliverySettings())
    except Problem as problem:
        assert problem.code in ("invalid_request", "forbidden") and problem.field
    else:
        assert isinstance(wish, Wish)
