"""Pages by signed links: they show, they ask, and only a form that somebody sends does anything."""

import base64
import hashlib
import re
from dataclasses import replace
from html import escape
from urllib.parse import urljoin

import httpx
import pytest

from service.clock import DAY
from service.dialects import DIALECTS
from service.formats.samples import sample_task
from service.formats.standard import show_links
from service.links import Links
from service.model import Status, Submission
from service.settings import OwnerSettings
from service.signing import ActionTokens, ContentTokens, Expired
from service.web.markup import task_page
from tests.calling_back import SLOW
from tests.hub import PATIENCE_S, SANDBOX, SETTINGS, TRUST, Hub, hub
from tests.store.given import NOW

FORM = {"content-type": "application/x-www-form-urlencoded"}
RUNS = replace(SANDBOX, run_ms=(60_000, 60_000))
EVIL = "<script>alert(1)</script> \"quoted\" & 'more' $title"


async def opened(url: str, method: str = "GET", **more) -> httpx.Response:
    """As anybody who has a link: without a key."""
    async with httpx.AsyncClient(trust_env=False, verify=TRUST, timeout=PATIENCE_S) as nobody:
        return await nobody.request(method, url, **more)


async def confirmed(url: str) -> httpx.Response:
    return await opened(url, "POST", headers=FORM)


async def failed(it: Hub, prompt: str = "[fail]", **more):
    return await it.ended(await it.submit(prompt, **more))


def links_in(answer: httpx.Response) -> list[str]:
    """Where the links of a page lead."""
    return [str(answer.url.join(link)) for link in re.findall(r'(?:href|src)="([^"]+)"', answer.text)]


async def tries(it: Hub) -> int:
    return len(await it.listed("/v1/tasks"))


def signed(it: Hub, task_id: str, action: str, expires_in: int = DAY) -> str:
    tokens = ActionTokens(it.services.secret_key)
    path = "tasks" if action == "view" else "actions"
    return f"{it.base_url}/{path}/{tokens.issue(task_id, action, it.services.clock() + expires_in)}"


# --- the links of a task


async def test_a_finished_task_has_a_page_and_nothing_to_click(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit())
        links = task["links"]
        assert links["self_html"].startswith(f"{it.base_url}/tasks/")
        assert (links["retry_html"], links["cancel_html"]) == (None, None)
        assert task["video"]["preview_url"] == links["self_html"]


@pytest.mark.parametrize("prompt", ["[fail]", "[expire]"])
async def test_a_failed_task_has_a_link_to_try_it_again(tmp_path, prompt):
    async with hub(tmp_path) as it:
        links = (await failed(it, prompt))["links"]
        assert (links["retry_html"].startswith(f"{it.base_url}/actions/"), links["cancel_html"]) == (True, None)


async def test_a_running_task_has_a_link_to_cancel_it(tmp_path):
    async with hub(tmp_path, "seedance2", sandbox=RUNS) as it:
        links = (await it.submit())["links"]
        assert (links["cancel_html"].startswith(f"{it.base_url}/actions/"), links["retry_html"]) == (True, None)


async def test_a_task_whose_gateway_cannot_cancel_has_no_link_for_it(tmp_path):
    async with hub(tmp_path, "easyrouter", sandbox=RUNS) as it:
        assert (await it.submit())["links"]["cancel_html"] is None


async def test_an_event_has_the_same_links_as_the_task(tmp_path):
    async with hub(tmp_path) as it:
        task = await failed(it)
        (event,) = await it.listed(f"/v1/events?task={task['id']}&type=task.failed")
        assert event["data"]["task"]["links"] == task["links"]


# --- the page of a task


async def test_the_page_plays_the_video_without_a_key(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit("a cat"))
        answer = await opened(task["links"]["self_html"])
        assert (answer.status_code, "<video " in answer.text, "a cat" in answer.text) == (200, True, True)
        for link in links_in(answer):
            video = await opened(link)
            assert (video.status_code, video.content) == (200, it.sandbox.video(task["gateway_task_id"]))


async def test_the_page_says_why_a_task_failed(tmp_path):
    async with hub(tmp_path) as it:
        task = await failed(it, "[fail content_policy]")
        answer = await opened(task["links"]["self_html"])
        assert ("content_policy" in answer.text, "<video" in answer.text) == (True, False)


async def test_what_a_caller_writes_is_text_on_the_page(tmp_path):
    async with hub(tmp_path) as it:
        task = await failed(it, EVIL + " [fail]", external_id=EVIL)
        for link in (task["links"]["self_html"], task["links"]["retry_html"]):
            text = (await opened(link)).text
            assert ("<script" in text, escape(EVIL) in text) == (False, True)


async def test_the_page_links_nothing_that_acts(tmp_path):
    """It may be passed on to people who are not to spend anything."""
    async with hub(tmp_path) as it:
        answer = await opened((await failed(it))["links"]["self_html"])
        assert ("/actions/" in answer.text, "<form" in answer.text) == (False, False)


async def test_the_pages_of_two_tries_link_each_other(tmp_path):
    async with hub(tmp_path) as it:
        first = await failed(it)
        again = await it.ended((await it.post(f"/v1/tasks/{first['id']}/retry")).json())
        one, other = first["links"]["self_html"], again["links"]["self_html"]
        assert other in links_in(await opened(one))
        assert one in links_in(await opened(other))


async def test_a_page_of_a_running_task_is_loaded_anew_by_itself(tmp_path):
    async with hub(tmp_path, sandbox=SLOW) as it:
        running = await opened((await it.submit())["links"]["self_html"])
        assert 'http-equiv="refresh"' in running.text


@pytest.mark.parametrize("which", ["self_html", "retry_html"])
async def test_pages_load_nothing_from_elsewhere_and_are_kept_nowhere(tmp_path, which):
    async with hub(tmp_path) as it:
        answer = await opened((await failed(it))["links"][which])
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert not re.findall(r'(?:src|href|action)="(?!\.\.?/)', answer.text)


async def test_the_policy_names_the_style_that_is_there(tmp_path):
    async with hub(tmp_path) as it:
        answer = await opened((await failed(it))["links"]["self_html"])
        (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in answer.headers["content-security-policy"]


# --- asking, and doing


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_preview_of_an_action_does_nothing(tmp_path, method):
    async with hub(tmp_path) as it:
        task = await failed(it)
        answers = [await opened(task["links"]["retry_html"], method) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert (await tries(it), it.made()) == (1, 1)


async def test_a_question_is_a_form(tmp_path):
    async with hub(tmp_path) as it:
        answer = await opened((await failed(it))["links"]["retry_html"])
        assert ('<form method="post">' in answer.text, "new paid generation" in answer.text) == (True, True)


async def test_a_confirmed_retry_makes_a_new_task_and_links_it(tmp_path):
    async with hub(tmp_path) as it:
        answer = await confirmed((await failed(it))["links"]["retry_html"])
        (new, _) = await it.listed("/v1/tasks")
        assert (answer.status_code, "The task was re-submitted." in answer.text) == (200, True)
        (there,) = links_in(answer)
        assert (new["attempt"], new["id"] in (await opened(there)).text) == (2, True)


async def test_a_second_click_says_that_it_is_done_and_links_the_same_task(tmp_path):
    async with hub(tmp_path) as it:
        task = await failed(it)
        await confirmed(task["links"]["retry_html"])
        (new, _) = await it.listed("/v1/tasks")
        new = await it.ended(new)
        for answer in (await confirmed(task["links"]["retry_html"]), await opened(task["links"]["retry_html"])):
            assert (answer.status_code, "already re-submitted" in answer.text) == (200, True)
            assert new["links"]["self_html"] in links_in(answer)
            assert "<form" not in answer.text
        assert it.made() == 2


async def test_a_confirmed_cancel_cancels(tmp_path):
    async with hub(tmp_path, "seedance2", sandbox=RUNS) as it:
        task = await it.submit()
        answers = [await confirmed(task["links"]["cancel_html"]) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200]
        assert ("is cancelled" in answers[0].text, "cancelled already" in answers[1].text) == (True, True)
        assert (await it.task(task["id"]))["status"] == Status.CANCELLED


async def test_a_task_that_ended_before_the_click_is_said_to(tmp_path):
    async with hub(tmp_path, "seedance2") as it:
        task = await it.ended(await it.submit())
        url = signed(it, task["id"], "cancel")
        asked, done = await opened(url), await confirmed(url)
        assert (asked.status_code, "Too late" in asked.text, "<form" in asked.text) == (200, True, False)
        assert (done.status_code, "already succeeded" in done.text) == (409, True)


@pytest.mark.parametrize("status", [402, 429])
async def test_a_refusal_of_the_gateway_is_said_in_words(tmp_path, status):
    async with hub(tmp_path) as it:
        refused = (await it.submitted(f"[{status} x2] a cat", when_full="refuse")).json()["task"]
        answer = await confirmed(refused["links"]["retry_html"])
        assert (answer.status_code, "was refused" in answer.text) == (status, True)
        assert ("no credit left" if status == 402 else "takes no more") in answer.text


async def test_whoever_was_refused_can_try_what_came_of_it_again(tmp_path):
    async with hub(tmp_path) as it:
        refused = (await it.submitted("[402 x2] a cat")).json()["task"]
        answer = await confirmed(refused["links"]["retry_html"])
        (there,) = [link for link in links_in(answer) if "/actions/" in link]
        assert ((await confirmed(there)).status_code, it.made()) == (200, 1)


async def test_the_limits_of_an_owner_are_said_in_words(tmp_path):
    async with hub(tmp_path, settings=replace(SETTINGS, owners={"anna": OwnerSettings(pending=1)})) as it:
        task = await failed(it)
        await it.submit("[take 1m]")
        answer = await confirmed(task["links"]["retry_html"])
        assert (answer.status_code, "may have 1 pending tasks" in answer.text) == (429, True)
        assert answer.headers["retry-after"] == "5"


# --- links that are not good


@pytest.mark.parametrize("path", ["tasks", "actions"])
@pytest.mark.parametrize("token", ["x", "task_1", "eyJ.x.y", "x" * 3_000, "%00", "%ff"])
async def test_a_forged_link_leads_nowhere(hub_without_worker, path, token):
    url = f"{hub_without_worker.base_url}/{path}/{token}"
    answers = [await opened(url)] + ([await confirmed(url)] if path == "actions" else [])
    assert {answer.status_code for answer in answers} == {404}
    assert all(answer.headers["content-type"].startswith("text/html") for answer in answers)


@pytest.mark.parametrize("action", ["view", "retry", "cancel"])
async def test_an_expired_link_says_so(tmp_path, action):
    async with hub(tmp_path) as it:
        task = await failed(it)
        url = signed(it, task["id"], action, expires_in=-1)
        answers = [await opened(url)] + ([await confirmed(url)] if action != "view" else [])
        assert {answer.status_code for answer in answers} == {410}
        assert (await tries(it), "expired" in answers[0].text) == (1, True)


async def test_a_link_to_look_does_not_act(tmp_path):
    async with hub(tmp_path) as it:
        task = await failed(it)
        viewed = task["links"]["self_html"].replace("/tasks/", "/actions/")
        assert [(await opened(viewed)).status_code, (await confirmed(viewed)).status_code] == [404, 404]
        assert await tries(it) == 1


async def test_a_link_to_cancel_does_not_retry(tmp_path):
    async with hub(tmp_path) as it:
        task = await failed(it)
        assert (await confirmed(signed(it, task["id"], "cancel"))).status_code == 409
        assert await tries(it) == 1


async def test_a_link_of_a_task_that_is_gone_leads_nowhere(hub_without_worker):
    url = signed(hub_without_worker, "task_00000000000000000000000000", "view")
    assert (await opened(url)).status_code == 404


async def test_content_tokens_open_no_pages(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit())
        token = task["video"]["content_url"].rpartition("/")[2]
        assert (await opened(f"{it.base_url}/tasks/{token}")).status_code == 404


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"x", "text/plain", 415),
        (b"x" * 5_000, FORM["content-type"], 413),
    ],
)
async def test_only_a_small_form_acts(tmp_path, content, kind, status):
    async with hub(tmp_path) as it:
        task = await failed(it)
        answer = await opened(task["links"]["retry_html"], "POST", content=content, headers={"content-type": kind})
        assert (answer.status_code, await tries(it)) == (status, 1)


async def test_a_doubtful_task_is_tried_again_only_with_a_warning(tmp_path):
    async with hub(tmp_path) as it:
        task = await it.ended(await it.submit("[drop] [lost] a cat", execution_expires_after=1))
        assert (task["submission"], task["status"]) == ("unknown", "expired")
        assert "both may be charged" in (await opened(task["links"]["retry_html"])).text


# --- how long links are good


def links_of(base_url: str = "", *, archiving: bool = False) -> Links:
    secret = "a secret of the tests"
    return Links(base_url, ContentTokens(secret), DAY, archiving=archiving, actions=ActionTokens(secret))


def test_without_a_public_url_links_are_relative():
    shown = show_links(sample_task(Status.FAILED, NOW), links_of())
    assert (shown["self_html"][:7], shown["retry_html"][:9]) == ("/tasks/", "/actions/")


def test_behind_a_path_a_page_links_what_is_behind_it_too():
    links = links_of("https://example.com/hooks")
    task = sample_task(Status.SUCCEEDED, NOW)
    there = urljoin(links.page(task) or "", re.findall(r'src="([^"]+)"', task_page(task, links))[0])
    assert there.startswith("https://example.com/hooks/content/")


@pytest.mark.parametrize("status", list(Status))
def test_every_task_shows_the_same_links(status):
    assert set(show_links(sample_task(status, NOW), links_of())) == {"self", "self_html", "retry_html", "cancel_html"}


def test_a_page_is_good_for_as_long_as_its_video_is_kept():
    kept = {"archive": {"video": {"expires_at": NOW + 30 * DAY}}}
    task = replace(sample_task(Status.SUCCEEDED, NOW), result={"video_url": "https://a/v.mp4"} | kept)
    for links, days in ((links_of(), 1), (links_of(archiving=True), 30)):
        token = (links.page(task) or "").rpartition("/")[2]
        assert links.read_action(token, NOW + days * DAY - 1) == (task.id, "view")
        with pytest.raises(Expired):
            links.read_action(token, NOW + days * DAY)


def test_the_same_task_has_the_same_links_whenever_it_is_shown():
    task = sample_task(Status.FAILED, NOW)
    assert show_links(task, links_of()) == show_links(task, links_of())


def test_a_task_that_was_not_sent_yet_can_always_be_cancelled():
    task = replace(sample_task(Status.QUEUED, NOW), submission=Submission.UNSENT)
    assert (links_of().action(task, "cancel") or "").startswith("/actions/")


@pytest.mark.parametrize(("status", "offered"), [(Status.QUEUED, True), (Status.RUNNING, False)])
def test_what_runs_is_not_offered_to_be_cancelled_where_only_a_queued_task_can_be(status, offered):
    """gateways.md section 2: DELETE is refused for what runs."""
    task = replace(sample_task(status, NOW), dialect="ark", surface=DIALECTS["ark"].surfaces[0].name)
    assert (links_of().action(task, "cancel") is not None) == offered
