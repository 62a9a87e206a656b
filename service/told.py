"""What a gateway tells about a task, as it is believed: costs reckoned, links that somebody could follow, and none of
our own secrets told back."""

import logging
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

from service.costs import Price, reckoned
from service.errors import Problem
from service.guard import LONGEST_TOLD, read_target
from service.model import Snapshot
from service.wire import HttpAnswer, dumps, loads, with_texts

log = logging.getLogger("reelhook.gateways")

KEPT_ANSWER = 16 * 1024  # of a task's own answer, for what nobody here knows


def as_told(snapshot: Snapshot, gateway: str, base_url: str, price: Price | None, *, refunds: bool) -> Snapshot:
    """A snapshot with its cost, with links that lead somewhere or none at all, and with no more of the gateway's own
    words than we keep."""
    video = _link(snapshot, "video_url", gateway, base_url)
    last_frame = _link(snapshot, "last_frame_url", gateway, base_url)
    bad = [snapshot.video_url if video is None else None, snapshot.last_frame_url if last_frame is None else None]
    answer = snapshot.answer if len(dumps(snapshot.answer)) <= KEPT_ANSWER else {}
    answer = with_texts(answer, lambda text: None if text and text in bad else text)
    told = replace(snapshot, video_url=video, last_frame_url=last_frame, answer=answer)
    return reckoned(told, price, refunds=refunds)


def read_body(answer: HttpAnswer, callbacks: re.Pattern[str], gateway: str) -> Any:
    """The JSON of an answer, but for our callback URL, should it be told back: it is a capability, and whoever is shown
    the answer could end his own task by it."""
    try:
        body = loads(answer.body)
    except ValueError:
        return None  # HTML of a proxy, an empty body: the HTTP status speaks for itself
    if b"callbacks" not in answer.body:
        return body
    return with_texts(body, lambda text: callbacks.sub(f"/callbacks/{gateway}/…", text))


def _link(snapshot: Snapshot, name: str, gateway: str, base_url: str) -> str | None:
    """A link that somebody could follow; one that cannot be is as good as none. It may be relative to the gateway
    (videos.txt: "Has the form /v1/videos/{task_id}/content")."""
    url: str | None = getattr(snapshot, name)
    if url is None:
        return None
    if url.startswith("/"):  # RFC 3986, 4.2: two slashes begin another host
        url = urljoin(base_url, url) if url.startswith("//") else base_url + url
    try:
        read_target(url, name, longest=LONGEST_TOLD)
    except Problem as problem:
        task_id, why = snapshot.gateway_task_id, problem.message
        log.warning("gateway.bad_link gateway=%s gateway_task=%s reason=%r", gateway, task_id, why)
        return None
    return url
