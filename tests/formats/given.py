"""Events to be rendered: of every type, plain, hostile and huge."""

from dataclasses import replace
from typing import Any

from service.errors import Problem
from service.events import made_event
from service.formats import FORMATS
from service.formats.samples import sample_data, sample_task
from service.formats.shape import Rendered, Telling, read_options
from service.formats.standard import show_task
from service.links import Links
from service.model import EVENT_TYPES, Status
from service.signing import ContentTokens

NOW = 1_790_000_000_000
BASE_URL = "https://hooks.example.com"
LINKS = Links(BASE_URL, ContentTokens("secret"), 24 * 3_600_000)
EVIL = '<script>alert("&")</script>\x00\u202e\r\nBcc: all@example.com \'"><img src=x> %0d%0a {{7*7}} <!channel> 🐞é'


def told(event_type: str, *, test: bool = False, **data: Any) -> Telling:
    """The telling of a sample event. data: takes the place of parts of the sample's."""
    event, body = made_event("anna", event_type, sample_data(event_type, LINKS, NOW) | data, NOW, test=test)
    return Telling(event=event, envelope=body)


def told_of(status: Status = Status.SUCCEEDED, *, result: Any = None, error: Any = None, **request: Any) -> Telling:
    """The telling of a task that stands so. request: changes what was asked for; result, error: what came of it."""
    task = sample_task(status, NOW)
    task = replace(task, request=replace(task.request, **request))
    task = replace(task, result=task.result | (result or {}), error=error or task.error)
    return told(f"task.{status}", task=show_task(task, LINKS))


HOSTILE = {
    "plain": told_of(),
    "evil success": told_of(prompt=EVIL, model=EVIL, external_id=EVIL, metadata={EVIL: EVIL, "querystring": EVIL}),
    "evil failure": told_of(Status.FAILED, prompt=EVIL, error=Problem("task_failed", EVIL, gateway_code=EVIL)),
    "huge success": told_of(prompt="🐞" * 20_000, external_id="é" * 5_000, metadata={"a": ["x" * 10_000]}),
    "huge failure": told_of(Status.FAILED, prompt="y" * 20_000, error=Problem("expired", "🐞" * 9_000)),
    "no prompt": told_of(prompt=None),
    "blank prompt": told_of(prompt=" \n\t "),
    "odd details": told_of(result={"details": {"duration": {"a": 1}, "ratio": 7, "generate_audio": "yes"}}),
    "numbers as texts": told_of(result={"details": {"duration": "5.5"}}),
    "long link": told_of(result={"video_url": "https://example.com/" + "v" * 8_000}),
    "odd metadata": told_of(metadata={"": None, "a.b": {"c": [1, True]}, "n": 1.5, "yes": True, "flat": "id"}),
}
BY_TYPE = {name: told(name) for name in EVENT_TYPES}
TESTS = {f"test of {name}": told(name, test=True) for name in EVENT_TYPES}
ALL = BY_TYPE | TESTS | HOSTILE


def rendered(name: str, telling: Telling, **options: Any) -> Rendered:
    shape = FORMATS[name]
    required = {option.name: "x" for option in shape.options if option.required}
    return shape.render(telling, read_options(shape, required | options))
