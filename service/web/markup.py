"""Pages as text: a task, a question, what became of a click. Plain HTML: no scripts, nothing from elsewhere.

Every link in them is relative, so that they work by whatever name and behind whatever path this service is reached.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from service.formats.standard import title
from service.links import Links
from service.model import Submission, Task, iso
from service.web.actions import Done

REFRESH_S = 15

QUESTIONS: Mapping[str, tuple[str, str, str]] = {  # action -> (question, what it means, the button)
    "retry": (
        "Try this task again?",
        "This starts a new paid generation with the same request. However often you confirm, it is one new task.",
        "Try again",
    ),
    "cancel": (
        "Cancel this task?",
        "Its gateway is asked to stop it. What it has cost so far may stay charged.",
        "Cancel the task",
    ),
}


def task_page(task: Task, links: Links, *, before: Task | None = None, after: Task | None = None) -> str:
    """before, after: the tasks that this one tries again, and that try it again."""
    parts = [
        f'<p class="status {task.status.value}">{task.status.value}</p>',
        f"<h1>{_named(task)}</h1>",
        _player(task, links),
        f"<blockquote>{escape(task.request.prompt)}</blockquote>" if task.request.prompt else "",
        _error(task),
        _facts(task, links, before, after),
    ]
    return _page(
        f"{task.status.value}: {_named(task)}", "\n".join(filter(None, parts)), refresh=not task.status.terminal
    )


def question_page(task: Task, action: str, links: Links) -> str:
    """Asks, and does nothing: whatever fetches links to preview or scan them gets no further than this."""
    question, meaning, button = QUESTIONS[action]
    doubt = action == "retry" and task.submission is Submission.UNKNOWN
    parts = [
        f"<h1>{question}</h1>",
        f"<p>{_link(links.page(task), links, title(task) or task.id)} ({task.status.value})</p>",
        _error(task),
        f"<p>{meaning}</p>",
        "<p>Nobody knows whether its gateway has made the first one, so both may be charged.</p>" if doubt else "",
        f'<form method="post"><button class="{action}">{button}</button></form>',
    ]
    return _page(question, "\n".join(filter(None, parts)))


def done_page(task: Task, action: str, done: Done, links: Links) -> str:
    """What became of a click. task: the one that was clicked on. Whoever may retry it may retry what came of it."""
    there = _link(links.page(done.task), links, "Open the task" if action == "cancel" else "Open the new task")
    parts = [f"<h1>{said(action, done)}</h1>", f"<p>{there}</p>"]
    if action == "retry":
        parts.insert(1, _error(done.task))
        again = links.action(done.task, "retry")
        parts.append(f"<p>{_link(again, links, 'Try that one again…')}</p>" if again else "")
    return _page(said(action, done), "\n".join(filter(None, parts)))


def said(action: str, done: Done) -> str:
    """What was done, in one sentence of plain text."""
    if action == "cancel":
        return "This task was cancelled already." if done.already else "The task is cancelled."
    if done.task.submission is Submission.REFUSED and done.task.error is not None:
        return "This task was already re-submitted, and refused." if done.already else "The new task was refused."
    return "This task was already re-submitted." if done.already else "The task was re-submitted."


def sorry_page(heading: str, words: str) -> str:
    return _page(heading, f"<h1>{escape(heading)}</h1>\n<p>{escape(words)}</p>")


def policy() -> str:
    """The Content-Security-Policy of all pages: their own style by its hash, media of this service, forms to it."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; media-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _player(task: Task, links: Links) -> str:
    video, poster = links.signed(task, "video"), links.signed(task, "last_frame")
    if video is None:
        return ""
    source = escape(_relative(video.url, links))
    still = f' poster="{escape(_relative(poster.url, links))}"' if poster else ""
    return (
        f'<video controls playsinline preload="metadata" src="{source}"{still}></video>\n'
        f'<p><a href="{source}" download>Download the video</a>, until {_when(video.expires_at)}</p>'
    )


def _error(task: Task) -> str:
    if task.error is None:
        return ""
    said_by = f" ({escape(task.error.gateway_code)})" if task.error.gateway_code else ""
    return f'<div class="error"><strong>{escape(task.error.code)}</strong>{said_by}: {escape(task.error.message)}</div>'


def _facts(task: Task, links: Links, before: Task | None, after: Task | None) -> str:
    took_s = (task.finished_at - task.created_at) / 1000 if task.finished_at else None
    cost = task.result.get("cost") or {}
    facts = {
        "Asked for by": escape(task.owner),
        "Gateway": escape(task.gateway),
        "Model": escape(task.request.model),
        "Submitted": _when(task.created_at),
        "Finished": _when(task.finished_at) + (f", after {took_s:,.1f} s" if took_s is not None else ""),
        "Progress": f"{task.progress} %" if task.progress is not None and not task.status.terminal else "",
        "Cost": escape(f"{cost.get('amount', '')} {cost.get('currency', '')}".strip()),
        "Attempt": str(task.attempt) + (f", after {_link(links.page(before), links, before.id)}" if before else ""),
        "Tried again as": _link(links.page(after), links, after.id) if after else "",
        "Task": escape(task.id),
        "External id": escape(task.request.external_id or ""),
    }
    rows = "\n".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items() if value)
    return f"<dl>\n{rows}\n</dl>"


def _named(task: Task) -> str:
    return escape(title(task) or task.id)


def _when(at: int | None) -> str:
    """For people, without the milliseconds."""
    text = iso(at)
    return "" if text is None else f'<time datetime="{text}">{text[:16].replace("T", " ")} UTC</time>'


def _link(url: str | None, links: Links, words: str) -> str:
    return escape(words) if url is None else f'<a href="{escape(_relative(url, links))}">{escape(words)}</a>'


def _relative(url: str, links: Links) -> str:
    """A link to this service as it is written in pages, which all stand one level down."""
    return ".." + url.removeprefix(links.base_url)


def _page(heading: str, body: str, *, refresh: bool = False) -> str:
    again = f'<meta http-equiv="refresh" content="{REFRESH_S}">\n' if refresh else ""
    return Template(_file("page.html")).substitute(title=heading, style=_style(), body=body, refresh=again)


def _style() -> str:
    return _file("page.css")


@cache
def _file(name: str) -> str:
    return files("service.web").joinpath("templates").joinpath(name).read_text(encoding="utf-8")
