"""What the chat formats share: few attempts, whose address a URL is, and the answers that mean the same everywhere."""

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from service.clock import MINUTE, SECOND
from service.errors import invalid
from service.formats.shape import Judgement, Target, Verdict
from service.wire import HttpAnswer, Json, loads, pick

# Nobody in a channel de-duplicates: a message twice is worse than one too late (subscribers.md, section b).
PAUSES = (10 * SECOND, MINUTE)

SHOWN = 200  # characters of an answer that an error quotes

# subscribers.md, sections b and c.
_HOSTS: Mapping[str, str] = {
    "hooks.slack.com": "slack",
    "discord.com": "discord",
    "discordapp.com": "discord",
    "api.telegram.org": "telegram",
    "logic.azure.com": "teams",
    "powerplatform.com": "teams",
    "ntfy.sh": "ntfy",
}


def host_of(url: str) -> str:
    """In lower case; "" of what is no URL. Nothing is raised for any text."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def check_host(own: str) -> Callable[[Target], None]:
    """A check for a format: the address of another service, sent to in this one's words, would be lost there."""

    def check(target: Target) -> None:
        host = host_of(target.url)
        for known, name in _HOSTS.items():
            if name != own and (host == known or host.endswith(f".{known}")):
                raise invalid("url", f"belongs to {known}; use the format {name} for it")

    return check


def read_answer(answer: HttpAnswer) -> Json:
    """The answer as a JSON object; an empty one where it is none."""
    try:
        value = loads(answer.body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def read_words(answer: HttpAnswer) -> str:
    """What an answer says, short enough for an error message."""
    return " ".join(answer.body[: 4 * SHOWN].decode("utf-8", "replace").split())[:SHOWN]


def seconds_at(body: Json, *path: str) -> int | None:
    """A span in seconds, as a JSON number, in ms; None where there is none that makes sense."""
    value = pick(body, path)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**6:
        return None
    return round(value * SECOND)


def judge_busy(answer: HttpAnswer, now: int, name: str, *, retry_after_ms: int | None = None) -> Verdict | None:
    """The verdict on 408 and 429, on 5xx and on redirects, None for other answers. name: of the service, for people.
    retry_after_ms: the pause that the body asks for."""
    status = answer.status
    if status not in (408, 429) and status < 500 and not 300 <= status < 400:
        return None
    asked = answer.retry_after_ms(now)
    pauses = [pause for pause in (asked, retry_after_ms) if pause is not None]
    error = f"{name} answered HTTP {status}"
    if 300 <= status < 400:
        error += "; redirects are not followed"
    return Verdict(
        judgement=Judgement.RETRY,
        error=error,
        retry_after_ms=max(pauses) if pauses else None,
        holds=status in (429, 503),
    )


def degraded(error: str, hint: str | None = None) -> Verdict:
    return Verdict(judgement=Judgement.DEGRADE, error=error, hint=hint)


def refused(error: str, hint: str | None = None) -> Verdict:
    return Verdict(judgement=Judgement.REFUSED, error=error, hint=hint)


def gone(error: str, hint: str | None = None) -> Verdict:
    return Verdict(judgement=Judgement.GONE, error=error, hint=hint)
