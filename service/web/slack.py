"""POST /slack/interactions: the Retry and Cancel buttons of a Slack app (subscribers.md, section b).

Slack waits three seconds for a 200, and shows people a warning otherwise; what came of a click is posted to the
`response_url` that stands in it. A retry is on disk before the 200, unless that takes too long.
"""

import asyncio
import logging
import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.clock import SECOND
from service.egress import Lost, NotSent
from service.errors import Problem
from service.formats.slack import ESCAPE
from service.guard import origin_of
from service.model import Task
from service.settings import SlackSettings
from service.signing import Expired, Forged, verify_slack
from service.web.actions import Done, act, read_link
from service.web.answers import json_answer
from service.web.markup import said
from service.web.requests import read_body
from service.wire import HttpRequest, Json, dumps, pick, read_object
from service.wiring import Services

log = logging.getLogger("reelhook.slack")

BODY_MOST = 2**20  # the whole message comes back with each click
STORED_WITHIN_S = 2  # of the three that Slack waits
ANSWER_TIMEOUT_MS = 5 * SECOND
ANSWER_CAP = 4 * 1024
TRIES, PAUSE_S = 2, 0.5
BUTTONS = {"retry_task": "retry", "cancel_task": "cancel"}  # action_id -> what its token must name
SECTION_MOST = 3_000  # characters of a text (subscribers.md, section b)


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """Who clicked what, and where the answer goes. who: as Slack mentions people. message: the one with the button."""

    action: str
    token: str
    who: str
    response_url: str
    message: Json


async def interact(request: Request) -> Response:
    """404 without a Slack app, 401 for what Slack did not sign, and 200 for everything else."""
    services: Services = request.app.state.services
    slack = services.settings.slack
    if slack is None:
        raise Problem("not_found", "there is no Slack app here; [slack] in the settings makes one")
    body = await read_body(request, BODY_MOST)
    try:
        verify_slack(slack.signing_secret, request.headers, body, services.clock())
    except Forged as error:
        log.warning("slack.refused reason=%s", error)
        return json_answer({"error": {"code": "unauthorized", "message": "this is not signed by the Slack app"}}, 401)
    click = read_click(body)
    if click is None:
        log.info("slack.ignored bytes=%d", len(body))
        return Response()
    doing = asyncio.create_task(_begin(services, click), name="slack click")
    await asyncio.wait({doing}, timeout=STORED_WITHIN_S)
    return Response(background=BackgroundTask(_follow, services, slack, click, doing))


def read_click(body: bytes) -> Click | None:
    """The click on one of our buttons; None for everything else that Slack sends to an app, or anybody makes up."""
    try:
        payload = read_object(parse_qs(body.decode(), max_num_fields=10)["payload"][0].encode())
    except (Problem, ValueError, KeyError):
        return None
    clicked = payload.get("actions")
    for action in clicked if isinstance(clicked, list) else ():
        name, token = pick(action, ("action_id",)), pick(action, ("value",))
        if isinstance(name, str) and name in BUTTONS and isinstance(token, str):
            message, url = payload.get("message"), payload.get("response_url")
            return Click(
                action=BUTTONS[name],
                token=token,
                who=_mention(payload.get("user")),
                response_url=url if isinstance(url, str) else "",
                message=message if isinstance(message, dict) else {},
            )
    return None


async def _begin(services: Services, click: Click) -> tuple[Task, Done | None]:
    """(the task of the button, what is done by now): a retry is stored, a cancel has still to be asked for."""
    task, action = await read_link(services, click.token)
    if action != click.action:
        raise Forged("a button of another kind")
    return task, await act(services, task, action, wait_ms=0, by="slack") if action == "retry" else None


async def _follow(
    services: Services, slack: SlackSettings, click: Click, doing: "asyncio.Task[tuple[Task, Done | None]]"
) -> None:
    """What is left to do when Slack has its 200, and then the answer that people see."""
    try:
        task, done = await doing
        if done is None:
            done = await act(services, task, click.action, wait_ms=None, by="slack")
        else:
            done = Done(await services.retrying.sent(done.task, services.settings.submit.wait), done.already)
        answer = noted(click.message, _note(services, click, done))
    except Expired:
        answer = whispered("This button is too old. The task's page or the API can still do it.")
    except Forged:
        answer = whispered("This button is not one of this service.")
    except Problem as problem:
        answer = whispered(f"That could not be done: {escaped(problem.message)}")
    except Exception:
        log.exception("slack.failed action=%s", click.action)
        answer = whispered("Reelhook failed at this; the button may be clicked again.")
    await _post(services, slack, click.response_url, answer)


async def _post(services: Services, slack: SlackSettings, url: str, answer: Json) -> None:
    """Post it, twice at most: it is news about what is done already. The URL is a capability, and in no log."""
    if origin_of(url) not in {origin_of(known) for known in slack.response_origins}:
        log.error("slack.unanswerable reason=%r", "the response_url is not one of slack.response_origins")
        return
    for number in range(1, TRIES + 1):
        request = HttpRequest(method="POST", url=url, headers={"content-type": "application/json"}, body=dumps(answer))
        try:
            got = await services.egress.deliver(request, timeout_ms=ANSWER_TIMEOUT_MS, cap=ANSWER_CAP)
        except (NotSent, Lost) as error:
            reason = str(error)
        else:
            if 200 <= got.status < 300:
                return
            reason = f"HTTP {got.status} {got.body[:100].decode(errors='replace')}"
        log.warning("slack.unanswered try=%d reason=%r", number, reason)
        if number < TRIES:
            answer = without_images(answer)
            await asyncio.sleep(PAUSE_S)


# --- messages


def noted(message: Json, note: str) -> Json:
    """The message once more, with a note in the place of its buttons: what is done is not offered again."""
    blocks = [block for block in _list(message, "blocks") if pick(block, ("type",)) != "actions"]
    # verbatim: what merely looks like a mention or a channel in somebody else's words becomes none
    context: Json = {"type": "context", "elements": [{"type": "mrkdwn", "text": note, "verbatim": True}]}
    text = message.get("text")
    before = text if isinstance(text, str) else ""
    if not blocks:
        return {"replace_original": True, "text": f"{before}\n{note}".strip()}
    return {"replace_original": True, "text": before or note, "blocks": [*blocks, context]}


def whispered(text: str) -> Json:
    """For whoever clicked alone; the message stays as it is."""
    return {"response_type": "ephemeral", "replace_original": False, "text": text[:SECTION_MOST]}


def without_images(answer: Json) -> Json:
    """An image that Slack cannot load makes it refuse all of the message (subscribers.md, section b)."""
    if "blocks" not in answer:
        return answer
    return answer | {"blocks": [block for block in answer["blocks"] if block.get("type") != "image"]}


def escaped(text: str) -> str:
    """As Slack wants mrkdwn: these three, and nothing else."""
    return text.translate(ESCAPE)


def _note(services: Services, click: Click, done: Done) -> str:
    words = f"{click.who}: {escaped(said(click.action, done))}"
    if click.action == "retry" and done.task.error is not None:
        words += f" {escaped(done.task.error.message[:500])}."
    there = services.links.page(done.task)
    if there is None or not services.links.base_url:  # Slack knows no relative links
        return f"{words} {done.task.id}"
    return f"{words} <{escaped(there)}|{done.task.id}>"


def _mention(user: object) -> str:
    """A user as Slack mentions him; by his name where his id is none."""
    user_id, name = pick(user, ("id",)), pick(user, ("username",)) or pick(user, ("name",))
    if isinstance(user_id, str) and re.fullmatch(r"[A-Z0-9]{1,30}", user_id):
        return f"<@{user_id}>"
    return escaped(name[:80]) if isinstance(name, str) and name else "Somebody"


def _list(message: Json, name: str) -> list[Json]:
    value = message.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


ROUTES = [Route("/slack/interactions", interact, methods=["POST"])]
