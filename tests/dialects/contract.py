"""What the tests have to know of each gateway besides its dialect, and what each of them inherits.

A new gateway has a file `test_<its name>.py` here with a class that inherits GatewayContract and says what the
documentation says: not what the dialect says, or nothing is tested. Besides, it gives the suites that run over all
surfaces

    tests/dialects/given.py            the smallest create request of each surface, in MINIMAL; what images, videos and
                                       audios it takes, in MEDIA; what it allows of ratios and the like, in OWN_VALUES
    fixtures/<name>/*.http             the documented messages, to the letter
    tests/dialects/test_golden.py      what our client must read in each documented answer, in ANSWERS
    tests/dialects/test_translation.py where each canonical parameter stands, in ROWS
    tests/dialects/test_limits.py      what its create takes and refuses, a row for each field
    service/demo_cases.py              a bad case in the demo

What is missing fails by name. docs/adding-a-gateway.md leads through it.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from service.dialects import DIALECTS
from service.dialects.shape import Dialect
from service.model import Status
from service.settings import CallbackSettings, Span
from service.signing import CallbackTokens
from tests.calling_back import DONE, SLOW, called
from tests.dialects.given import MINIMAL, Spoken, view
from tests.golden import FIXTURES
from tests.hub import GATEWAY, SETTINGS, hub

UNCALLED = replace(GATEWAY, callbacks=False)  # Ark's sandbox would call back at once that the task is queued


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What the documentation says of one surface.

    name: as the dialect has it. routes: "METHOD /path", the primary one of each operation first. ids: how task ids
    start. words: the status words of a query for submitted, queued, running, succeeded, failed, cancelled, expired.
    """

    name: str
    routes: tuple[str, ...]
    ids: str
    words: str


class GatewayContract:
    """Inherit this, and say all of it.

    base_url: None where the documentation names none. models: with blanks between. calls_back: whether a callback is
    documented, and at_each_change whether at others than the end too. pause_ms: the shortest time between two questions
    about a task. result_needs_key: whether the result is fetched with the gateway's key. shows_messages: whether the
    documentation shows whole messages; then they are in fixtures/. surfaces: in the order of the dialect.
    """

    gateway: ClassVar[str]
    base_url: ClassVar[str | None]
    models: ClassVar[str]
    calls_back: ClassVar[bool]
    at_each_change: ClassVar[bool]
    pause_ms: ClassVar[int]
    result_needs_key: ClassVar[bool]
    shows_messages: ClassVar[bool]
    surfaces: ClassVar[tuple[Stated, ...]]

    @property
    def dialect(self) -> Dialect:
        assert self.gateway in DIALECTS, f"add {self.gateway} to service/dialects/__init__.py"
        return DIALECTS[self.gateway]

    def spoken(self) -> list[tuple[Spoken, Stated]]:
        """Each surface with what is said of it."""
        return [(Spoken(self.dialect, self.dialect.surface(stated.name)), stated) for stated in self.surfaces]

    # --- what must be there

    def test_everything_is_stated(self) -> None:
        unsaid = [name for name in GatewayContract.__annotations__ if not hasattr(self, name)]
        assert not unsaid, f"{type(self).__name__} has to say {', '.join(unsaid)}"

    def test_every_surface_is_described(self) -> None:
        assert [stated.name for stated in self.surfaces] == [surface.name for surface in self.dialect.surfaces]

    def test_the_suites_know_the_smallest_request_of_each_surface(self) -> None:
        missing = [str(each) for each, _ in self.spoken() if str(each) not in MINIMAL]
        assert not missing, f"MINIMAL of tests/dialects/given.py lacks {', '.join(missing)}"

    def test_documented_messages_are_fixtures(self) -> None:
        """Where the documentation shows any: a create request, its answer, a query and an answer to it at least."""
        wanted = ("create*.request", "create*.response", "get*.request", "get*.response") if self.shows_messages else ()
        folder = FIXTURES / self.gateway
        missing = [f"{pattern}.http" for pattern in wanted if not list(folder.glob(f"{pattern}.http"))]
        assert not missing, f"fixtures/{self.gateway}/ lacks {', '.join(missing)}"
        assert folder.exists() == self.shows_messages

    def test_the_table_of_translations_knows_each_surface(self) -> None:
        """Every surface takes a prompt and a length, and has a place for a callback, documented or not."""
        from tests.dialects.test_translation import ROWS

        missing = [
            f"{row} of {each}" for each, _ in self.spoken() for row in ROWS_OF_ALL if str(each) not in ROWS[row][1]
        ]
        assert not missing, f"ROWS of tests/dialects/test_translation.py lacks {', '.join(missing)}"

    # --- where the gateway is and what it says

    def test_f1_it_is_where_its_documentation_says(self) -> None:
        """F1 base, F1 models."""
        assert (self.dialect.base_url, " ".join(self.dialect.models)) == (self.base_url, self.models)

    def test_f1_it_calls_back_as_it_says(self) -> None:
        """F1 callback field."""
        assert (self.dialect.calls_back, self.dialect.callback_per_status) == (self.calls_back, self.at_each_change)

    def test_f1_its_result_is_fetched_as_it_says(self) -> None:
        """F1 result URL."""
        assert self.dialect.result_needs_key == self.result_needs_key

    def test_it_is_asked_no_more_often_than_it_allows(self) -> None:
        assert self.dialect.min_interval_ms == self.pause_ms

    def test_f1_every_documented_route_is_there_and_the_primary_one_first(self) -> None:
        """F1 create, F1 get, F1 content, F1 cancel, F1 list/delete, F1 other."""
        for each, stated in self.spoken():
            assert tuple(f"{route.method} {route.path}" for route in each.surface.routes) == stated.routes

    def test_f1_its_ids_start_as_it_shows(self) -> None:
        """F1 id."""
        assert [each.surface.id_prefix for each, _ in self.spoken()] == [stated.ids for _, stated in self.spoken()]

    def test_f0_each_surface_writes_its_own_words(self) -> None:
        """F0 emit submitted, F0 emit queued, F0 emit running, F0 emit succeeded, F0 emit failed, F0 emit cancelled,
        F0 emit expired."""
        for each, stated in self.spoken():
            assert words_of(each) == stated.words.split()

    async def test_f1_a_create_and_a_query_succeed_with_http_200(self, tmp_path: Path) -> None:
        """F1 success HTTP."""
        async with hub(tmp_path, self.gateway, sandbox=SLOW, gateway=UNCALLED, worker=False) as it:
            for each, _ in self.spoken():
                create, get = each.surface.route("create"), each.surface.route("get")
                assert create
                assert get
                made = await it.post(f"/{self.gateway}{create.path}", MINIMAL[str(each)])
                task_id = str(each.surface.read_receipt(made.json()).gateway_task_id)
                seen = await it.http.get(f"/{self.gateway}{get.path.replace('{id}', task_id)}")
                assert (made.status_code, seen.status_code) == (200, 200)

    # --- who may call back: the security checks of every gateway

    async def test_f8_a_callback_with_its_token_is_acknowledged(self, tmp_path: Path) -> None:
        """F8.4."""
        async with hub(tmp_path, self.gateway, sandbox=SLOW, gateway=UNCALLED, worker=False) as it:
            assert (await called(it, await it.submit())).status_code == 200

    async def test_f8_a_forged_token_is_refused_without_detail(self, tmp_path: Path) -> None:
        """F8.4: 404 with no detail."""
        async with hub(tmp_path, self.gateway, sandbox=SLOW, gateway=UNCALLED, worker=False) as it:
            task = await it.submit()
            sound = it.services.tokens.issue(self.gateway, task["id"])
            forged = ["x", "a.b.c", "%00", "é", "x" * 600, sound[:-1], sound + "x", task["id"]]
            answers = [await called(it, task, token=token) for token in forged]
            assert {(answer.status_code, answer.json()["error"]["message"]) for answer in answers} == {NOTHING}
            assert await it.listed(f"/v1/tasks/{task['id']}/callbacks") == []

    async def test_f8_a_token_of_another_gateway_or_key_is_refused(self, tmp_path: Path) -> None:
        """F8.4: the token is bound to task and gateway."""
        other = next(name for name in DIALECTS if name != self.gateway)
        async with hub(tmp_path, self.gateway, sandbox=SLOW, gateway=UNCALLED, worker=False) as it:
            task = await it.submit()
            strange = CallbackTokens("another key", lifetime_ms=60_000).issue(self.gateway, task["id"])
            foreign = it.services.tokens.issue(other, task["id"])
            elsewhere = await called(it, task, gateway=other)
            answers = [elsewhere, await called(it, task, token=foreign), await called(it, task, token=strange)]
            assert {(answer.status_code, answer.json()["error"]["message"]) for answer in answers} == {NOTHING}
            assert await it.listed(f"/v1/tasks/{task['id']}/callbacks") == []

    async def test_f8_an_expired_token_is_refused(self, tmp_path: Path) -> None:
        """F8.4."""
        old = replace(SETTINGS, callbacks=CallbackSettings(token_lifetime=Span(-5_000)))
        async with hub(tmp_path, self.gateway, sandbox=SLOW, gateway=UNCALLED, settings=old, worker=False) as it:
            assert (await called(it, await it.submit())).status_code == 404

    async def test_f8_an_oversized_callback_is_refused_like_a_forged_one(self, tmp_path: Path) -> None:
        """F8.4: limit body."""
        small = replace(SETTINGS, callbacks=CallbackSettings(body_limit=1024))
        async with hub(tmp_path, self.gateway, sandbox=SLOW, gateway=UNCALLED, settings=small, worker=False) as it:
            task = await it.submit()
            answer = await called(it, task, DONE | {"prompt": "x" * 2_000})
            forged = await called(it, task, token="forged")
            assert (answer.status_code, answer.content) == (forged.status_code, forged.content)
            assert await it.listed(f"/v1/tasks/{task['id']}/callbacks") == []


ROWS_OF_ALL = ("prompt", "duration n", "callback")
NOTHING = (404, "not found")


def words_of(each: Spoken) -> list[str]:
    tasks = [view(each, Status.QUEUED, accepted=False), *(view(each, status) for status in Status)]
    bodies = [each.surface.write_task(task) for task in tasks]
    return [each.surface.read_task(body).word for body in bodies]
