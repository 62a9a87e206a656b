"""Where a task can be seen, had and acted upon by somebody who holds no key, and until when."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit

from service.clock import DAY, SECOND
from service.dialects import DIALECTS
from service.model import Status, Submission, Task
from service.signing import ActionTokens, ContentTokens, Forged
from service.wire import Json

VARIANTS = ("video", "last_frame")
ENDINGS = {"video": "mp4", "last_frame": "png"}  # of file names
VIEW, ACTIONS = "view", ("retry", "cancel")
GATEWAY_LIFETIME_MS = DAY  # gateways.md section 2: "content.video_url and last_frame_url 24 h"; ASSUME it of all

LATEST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * SECOND  # that can be written down as a date

# How presigned links say when they were made and how many seconds they live: TOS as Ark uses it, and S3.
_PRESIGNED = (("x-tos-date", "x-tos-expires"), ("x-amz-date", "x-amz-expires"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """url: for anybody. expires_at: unix ms. stored: `gateway` or `archive`, where the bytes are."""

    url: str
    expires_at: int
    stored: str


class Links:
    """The links that events and answers show. base_url: where this service is reached, "" for relative links. actions:
    without them there are no pages and nothing to click."""

    def __init__(
        self,
        base_url: str,
        tokens: ContentTokens,
        lifetime_ms: int,
        *,
        archiving: bool = True,
        actions: ActionTokens | None = None,
    ) -> None:
        self.base_url = base_url
        self._tokens = tokens
        self._lifetime_ms = lifetime_ms
        self._archiving = archiving
        self._actions = actions

    def of(self, task: Task, variant: str) -> Link | None:
        """The link to show: the gateway's own where it is for anybody, ours where it needs the gateway's key. None
        where there is no such result."""
        url = result_url(task, variant)
        if url is None:
            return None
        keyed = variant == "video" and (DIALECTS[task.dialect].result_needs_key or url.startswith("/"))
        if self._kept(task, variant) or keyed:
            return self.signed(task, variant)
        return Link(url=url, expires_at=link_expiry(url, _linked_at(task)), stored="gateway")

    def signed(self, task: Task, variant: str) -> Link | None:
        """A link to this service that needs no key. It is good for as long as the archive keeps the result; where that
        has it not, for as long as the gateway may have it."""
        if result_url(task, variant) is None:
            return None
        kept = self._kept(task, variant)
        expires_at = kept["expires_at"] if kept else self._forgotten_at(task)
        token = self._tokens.issue(task.id, variant, expires_at)
        return Link(
            url=f"{self.base_url}/content/{token}", expires_at=expires_at, stored="archive" if kept else "gateway"
        )

    def page(self, task: Task) -> str | None:
        """The page of a task, for whoever has the link: to look at it, and no more. Good for as long as its video."""
        kept = self._kept(task, "video")
        return self._link("tasks", task, VIEW, max(self._forgotten_at(task), kept["expires_at"] if kept else 0))

    def action(self, task: Task, action: str) -> str | None:
        """The page that asks whether to do this, one of ACTIONS; None where it can not be done."""
        if action == "cancel":
            return self._link("actions", task, action, task.deadline_at) if can_be_cancelled(task) else None
        return self._link("actions", task, action, self._forgotten_at(task)) if can_be_retried(task) else None

    def _link(self, path: str, task: Task, action: str, expires_at: int) -> str | None:
        if self._actions is None:
            return None
        return f"{self.base_url}/{path}/{self._actions.issue(task.id, action, expires_at)}"

    def _forgotten_at(self, task: Task) -> int:
        return (task.finished_at or task.created_at) + self._lifetime_ms

    def _kept(self, task: Task, variant: str) -> Json | None:
        """What the archive has of it; nothing where there is no archive any more."""
        return archived(task, variant) if self._archiving else None

    def read(self, token: str, now: int) -> tuple[str, str]:
        """(task id, variant) of a signed link; Forged when it is not ours, or has expired."""
        return self._tokens.read(token, now)

    def read_action(self, token: str, now: int) -> tuple[str, str]:
        """(task id, VIEW or one of ACTIONS) of the link of a page; Forged when it is not ours, Expired when it was."""
        if self._actions is None:
            raise Forged("there are no such links here")
        return self._actions.read(token, now)


def can_be_retried(task: Task) -> bool:
    """Whether the same request can be sent once more: it did not succeed, and is still known in full. Its inline media
    are not kept after the create."""
    known = not task.slim and task.expunged_at is None
    return task.status in (Status.FAILED, Status.EXPIRED, Status.CANCELLED) and known


def can_be_cancelled(task: Task) -> bool:
    """Whether there is any way to ask for it: it was not sent yet, or its gateway has one. Where that is a deletion, it
    cancels what is queued there and nothing else (gateways.md section 2)."""
    if task.status.terminal or task.submission is Submission.UNSENT:
        return not task.status.terminal
    surface = DIALECTS[task.dialect].surface(task.surface)
    return surface.route("cancel") is not None or (surface.delete_cancels and task.status is Status.QUEUED)


def result_url(task: Task, variant: str) -> str | None:
    """The gateway's link, as it was last told; None where the task has no such result."""
    if task.status is not Status.SUCCEEDED:
        return None
    url: str | None = task.result.get(f"{variant}_url")
    return url


def archived(task: Task, variant: str) -> Json | None:
    """{key, size, media_type, expires_at} of a result in the archive; None where it is not there."""
    kept: Json | None = task.result.get("archive", {}).get(variant)
    return kept


def link_expiry(url: str, made_at: int) -> int:
    """When a gateway's link dies (unix ms): as it says itself where it is presigned, a day after it was made
    otherwise. Nothing is raised for any text."""
    query = _query_of(url)
    for date, seconds in _PRESIGNED:
        signed_at = _read_instant(query.get(date, ""))
        if signed_at is not None and re.fullmatch(r"\d{1,7}", query.get(seconds, "")):
            return min(LATEST, signed_at + int(query[seconds]) * SECOND)
    if re.fullmatch(r"\d{10}", query.get("expires", "")):
        return int(query["expires"]) * SECOND
    return made_at + GATEWAY_LIFETIME_MS


def _query_of(url: str) -> dict[str, str]:
    """Names in lower case; nothing where it is no URL."""
    try:
        return {name.lower(): value for name, value in parse_qsl(urlsplit(url).query)}
    except ValueError:
        return {}


def _read_instant(text: str) -> int | None:
    try:
        return int(datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None


def _linked_at(task: Task) -> int:
    return int(task.result.get("linked_at") or task.finished_at or task.created_at)
