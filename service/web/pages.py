"""Pages for people, by signed links: a task to look at, and the buttons of messages that cannot have any.

GET /tasks/{token}      a task
GET /actions/{token}    asks whether to retry or cancel one; links are fetched by previews and mail scanners
POST /actions/{token}   does it
"""

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from service.errors import Problem
from service.links import ACTIONS, VIEW
from service.model import Submission, Task
from service.signing import Expired, Forged
from service.web.actions import act, done_before, read_link
from service.web.answers import problem_headers
from service.web.markup import done_page, policy, question_page, sorry_page, task_page
from service.web.requests import read_body
from service.wiring import Services

FORM_MOST = 4 * 1024
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",  # the address is a capability
    "x-robots-tag": "noindex, nofollow",
    "x-content-type-options": "nosniff",
}

Endpoint = Callable[[Request, Services], Awaitable[Response]]


def in_words(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """Whatever goes wrong is said on a page: who reads it came by a link, and not by a program."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request, request.app.state.services)
        except Expired:
            return page(sorry_page("This link has expired", "Ask whoever sent it to you for a newer one."), 410)
        except Forged:
            return page(sorry_page("There is nothing here", "This link is not good. Is it all there?"), 404)
        except Problem as problem:
            answer = page(sorry_page("That could not be done", problem.message), problem.status)
            answer.headers.update(problem_headers(problem))
            return answer

    return answer


def page(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, HEADERS | {"content-security-policy": policy()})


@in_words
async def show_task(request: Request, services: Services) -> Response:
    task, action = await read_link(services, request.path_params["token"])
    if action != VIEW:
        raise Forged("a link to another page")
    before = await services.reads.task(task.retry_of, task.owner) if task.retry_of else None
    after = await services.reads.retry_of(task)
    return page(task_page(task, services.links, before=before, after=after))


@in_words
async def ask(request: Request, services: Services) -> Response:
    task, action = await read_link(services, request.path_params["token"])
    if action not in ACTIONS:
        raise Forged("a link to another page")
    done = await done_before(services, task, action)
    if done is not None:
        return page(done_page(task, action, done, services.links))
    if services.links.action(task, action) is None:
        return page(sorry_page("Too late", too_late(task, action)))
    return page(question_page(task, action, services.links))


def too_late(task: Task, action: str) -> str:
    if action == "cancel" and not task.status.terminal:
        return "The task is running, and its gateway offers no way to cancel what runs."
    return f"The task is {task.status.value}: there is nothing to {action} any more."


@in_words
async def confirm(request: Request, services: Services) -> Response:
    task, action = await read_link(services, request.path_params["token"])
    if action not in ACTIONS:
        raise Forged("a link to another page")
    kind = request.headers.get("content-type", FORMS[0]).partition(";")[0].strip().lower()
    if kind not in FORMS:
        raise Problem("unsupported_media_type", f"send a form ({FORMS[0]}), not {kind or 'nothing'}")
    await read_body(request, FORM_MOST)  # there is nothing to say in it: the link says it all
    done = await act(services, task, action, wait_ms=services.settings.submit.wait, by="link")
    answer = page(done_page(task, action, done, services.links))
    if done.task.submission is Submission.REFUSED and done.task.error is not None:
        answer.status_code = done.task.error.status
        answer.headers.update(problem_headers(done.task.error))
    return answer


ROUTES = [
    Route("/tasks/{token}", show_task, methods=["GET"]),
    Route("/actions/{token}", ask, methods=["GET"]),
    Route("/actions/{token}", confirm, methods=["POST"]),
]
