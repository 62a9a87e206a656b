"""A gateway: a dialect, a base URL, a key and limits; what it is asked, and what its answers mean (outcomes.py)."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from service.assets import MOST_NAMED, STAND_IN, assets_named, is_public, with_assets
from service.clock import SECOND, Clock
from service.costs import read_price
from service.dialects import DIALECTS
from service.dialects.library import LibraryRoute
from service.dialects.library import Operation as LibraryOperation
from service.dialects.shape import Route, Surface
from service.egress import Egress, Lost, NotSent
from service.errors import Problem, SettingsError, invalid
from service.gateway_settings import base_url_of, dialect_of, signature_of, surface_named
from service.guard import origin_of
from service.model import Snapshot, Task, VideoRequest
from service.outcomes import BUSY, REFUSALS, Accepted, Busy, CreateOutcome, Refused, Unknown, Unsent, full_pause
from service.settings import GatewaySettings
from service.told import as_told, read_body
from service.wire import HttpAnswer, HttpRequest, Json, dumps

log = logging.getLogger("reelhook.gateways")

ANSWER_CAP = 4 * 2**20
# strictly as gateways make them: another spelling of an id might be the same to one
ASSET_ID = re.compile(r"[A-Za-z0-9][\w.:-]{0,199}", re.ASCII)
ASSET_URL = re.compile(r"asset://[A-Za-z0-9][\w.:-]{0,199}", re.ASCII)
NO_CALLBACK = "https://reelhook.invalid/"  # where a callback will stand
# the path of callback_url, as it is or as it stands in a query or in JSON within JSON
CALLBACK_PATH = r"(?:\\?/|%2[fF])callbacks(?:\\?/|%2[fF]){name}(?:\\?/|%2[fF])[\w.~%-]+"
MOST_RETRY_AFTER = 3600 * SECOND
# of a request, that no gateway is told as a parameter
OUR_OWN = ("metadata", "external_id", "webhook_url", "extra")


ReadError = Callable[[int, Any], Problem | None]


class Gateway:
    """One gateway as the settings describe it."""

    def __init__(
        self, name: str, settings: GatewaySettings, egress: Egress, clock: Clock, *, callback_base: str | None
    ) -> None:
        self.name = name
        self.settings = settings
        self.dialect = dialect_of(name, settings)
        self.surface = surface_named(name, self.dialect, settings)
        if not re.fullmatch(r"[!-~]*", settings.key):
            raise SettingsError(f"gateways.{name}.key: must be printable ASCII without blanks or line ends")
        self.base_url = base_url_of(name, self.dialect, settings)
        self.models = settings.models or (*self.dialect.models, *(("*",) if self.dialect.open_models else ()))
        self.min_interval_ms = settings.min_interval or self.dialect.min_interval_ms
        wanted = self.dialect.calls_back if settings.callbacks is None else settings.callbacks
        self.calls_back = wanted and callback_base is not None
        self.signature = signature_of(name, settings.signature)
        self.price = read_price(settings.price, f"gateways.{name}.price")
        self._callback_base = callback_base
        self._callbacks = re.compile(CALLBACK_PATH.format(name=re.escape(name)))
        self._egress = egress
        self._clock = clock
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._giving = asyncio.Semaphore(settings.concurrency)  # images may take long, and keep nobody from asking
        self._spacing_s = 1 / settings.rate
        self._next_turn_at = 0.0
        self.paused_until = 0  # asking
        self.full_until = 0  # creating
        self._fulls = 0  # answers in a row that said so
        self._creating = 0
        self.to_ask = asyncio.Event()
        self.to_send = asyncio.Event()

    def check(self, request: VideoRequest, surface: Surface) -> VideoRequest:
        """Refuse, by a Problem in the words of the native API, what this gateway cannot do: before anything is sent.
        The request as the gateway will read it, with all that `extra` says in its own words."""
        if "*" not in self.models and request.model not in self.models:
            known = ", ".join(self.models)
            raise Problem(
                "unsupported_model", f"model: {request.model} is not offered by {self.name}; use {known}", "model"
            )
        for name in VideoRequest.__dataclass_fields__:
            said = getattr(request, name) not in (None, (), {})
            if said and name not in surface.accepts and name not in OUR_OWN:
                raise invalid(name, f"{self.dialect.title} has no such parameter")
        for url in assets_named(request):
            if not ASSET_URL.fullmatch(url):
                raise invalid("media", f"holds {url[:100]!r}, which is no asset:// URL as a gateway makes them")
        if request.asset_group_id is not None and not ASSET_ID.fullmatch(request.asset_group_id):
            raise invalid("asset_group_id", "must be the id of a group as the gateway made it")
        request = self._as_prepared(request)
        surface.check(request)
        # refuses an `extra` that collides with a parameter, or with our callback; and what it says by another name for
        # a parameter is held to the same rules, because it is read as the gateway reads it
        read = surface.read_create(surface.write_create(request, NO_CALLBACK if self.calls_back else None))
        for name in surface.accepts - {"media"}:
            if getattr(request, name) in (None, {}) and getattr(read, name) not in (None, {}):
                raise invalid("extra", f"says {name} in the gateway's words; give it as {name}")
        if read.webhook_url not in (None, NO_CALLBACK):
            raise invalid("extra", f"must not name a callback ({'.'.join(surface.callback_path)}); use webhook_url")
        return read

    def _as_prepared(self, request: VideoRequest) -> VideoRequest:
        """The request as it will be sent, with stand-ins for assets that are still to be made; a Problem where that
        cannot be."""
        sources = frozenset(self.unprepared(request))
        if len(sources) > MOST_NAMED:
            raise invalid("media", f"holds {len(sources)} images; at most {MOST_NAMED} are taken")
        for index, media in enumerate(request.media):
            if media.url in sources and self.dialect.library is not None:
                self.dialect.library.check_source(media.url, f"media[{index}].url")
        return with_assets(request, dict.fromkeys(sources, STAND_IN)) if sources else request

    async def create(
        self, request: VideoRequest, surface: Surface, callback_url: str | None, timeout_ms: int
    ) -> CreateOutcome:
        """Send a create, once, over a connection of its own."""
        route = surface.route("create")
        assert route is not None  # every surface creates
        full = self._full()
        if full is not None:
            return Busy(full)
        try:
            body = dumps(surface.write_create(request, callback_url))
        except Problem as problem:
            return Refused(problem)
        except Exception:  # a fault of ours that no check foresaw: nothing has left, and a doubt would be untrue
            log.exception("gateway.unwritable gateway=%s", self.name)
            return Refused(Problem("internal", "Reelhook could not write this create; it was not sent"))
        self._creating += 1
        try:
            answer = await self._egress.ask(self._request(route, body=body), timeout_ms=timeout_ms, cap=ANSWER_CAP)
        except NotSent as error:
            return Unsent(Problem("gateway_unreachable", f"{self.name} cannot be reached: {error}"))
        except Lost as error:
            return Unknown(self._doubt(str(error)))
        finally:
            self._creating -= 1
        return self._judge_create(surface, answer)

    @property
    def prepares_images(self) -> bool:
        """Whether public images are given to this gateway before a create names them."""
        library = self.dialect.library
        return library is not None and (self.settings.moderate or not library.on_request)

    def unprepared(self, request: VideoRequest) -> tuple[str, ...]:
        """The images that have to be given to this gateway before a create may use them, each once."""
        if not self.prepares_images:
            return ()
        images = (media.url for media in request.media if media.type == "image")
        return tuple(dict.fromkeys(url for url in images if is_public(url)))

    async def give(
        self, operation: LibraryOperation, body: Json, group_id: str, timeout_ms: int
    ) -> Json | Refused | Busy | Unsent | Unknown:
        """Send one request of this gateway's library, once; the answer, or why there is none.

        timeout_ms: for its turn, and again for the answer.
        """
        library = self.dialect.library
        assert library is not None  # callers ask only where there is one
        full = self._full()
        if full is not None:
            return Busy(full)
        request = self._request(library.route(operation), group_id, dumps(body))
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._giving.acquire()
        except TimeoutError:
            return Busy(Problem("too_many_pending", f"other images are on their way to {self.name} already"))
        try:
            answer = await self._egress.ask(request, timeout_ms=timeout_ms, cap=ANSWER_CAP)
        except NotSent as error:
            return Unsent(Problem("gateway_unreachable", f"{self.name} cannot be reached: {error}"))
        except Lost as error:
            code = "moderation_delayed" if library.on_request else "gateway_error"
            return Unknown(Problem(code, f"{self.name} did not answer: {error}. The same request may be sent again"))
        finally:
            self._giving.release()
        return self._judge(answer, library.read_error or self.dialect.read_error)

    def _full(self) -> Problem | None:
        """Why nothing new goes out just now."""
        wait_ms = self.full_until - self._clock()
        if wait_ms > 0:
            return Problem(
                "rate_limited", f"{self.name} has asked to be left alone for a while", retry_after_ms=wait_ms
            )
        if self._creating >= self.settings.creates:
            return Problem("too_many_pending", f"{self._creating} creates are on their way to {self.name} already")
        return None

    async def look(self, gateway_task_id: str, surface: Surface, timeout_ms: int) -> Snapshot | Problem:
        """Ask about one task; a Problem when there was no answer to be had, which says nothing about the task."""
        return await self._ask("get", surface, gateway_task_id, timeout_ms)

    async def look_at_many(
        self, gateway_task_ids: Sequence[str], surface: Surface, kind: str, timeout_ms: int
    ) -> Mapping[str, Snapshot] | Problem:
        """Ask about many tasks by one list: what it shows, by the gateway's id. Not every task has to be there."""
        route, lists = surface.route("list"), surface.lists
        assert route is not None  # callers ask for a list only where there is one
        assert lists is not None
        query = urlencode(lists.write_query(gateway_task_ids, kind))
        body = await self._answer_to(self._request(route, query=query), timeout_ms)
        if isinstance(body, Problem):
            return body
        shown = lists.read(body)
        if shown is None:
            return Problem("gateway_error", f"{self.name} did not answer with a list of tasks")
        asked = frozenset(gateway_task_ids)
        return {
            snapshot.gateway_task_id: self.told(snapshot) for snapshot in shown if snapshot.gateway_task_id in asked
        }

    async def cancel(self, gateway_task_id: str, surface: Surface, timeout_ms: int) -> Snapshot | Problem:
        """Ask to cancel one task."""
        return await self._ask("cancel", surface, gateway_task_id, timeout_ms)

    async def delete(self, gateway_task_id: str, surface: Surface, timeout_ms: int) -> Problem | None:
        """Ask to delete one task; why not, where that is refused or unknown. Ark answers {}, and its own SDK takes an
        empty answer too (gateways.md section 2)."""
        route = surface.route("delete")
        assert route is not None  # callers delete only where there is such a thing
        answer = await self._answered(self._request(route, gateway_task_id), timeout_ms)
        return answer if isinstance(answer, Problem) else None

    def callback_url(self, token: str) -> str | None:
        return f"{self._callback_base}/callbacks/{self.name}/{token}" if self.calls_back else None

    def content_url(self, task: Task, variant: str) -> str | None:
        """Where this gateway documents the download of a video; None where it documents none."""
        route = surface_of(task).route("content")
        if route is None or variant != "video" or task.gateway_task_id is None:
            return None
        return self.base_url + _filled(route, task.gateway_task_id)

    def credentials_for(self, url: str) -> dict[str, str]:
        """The key, where the URL is this gateway's own; nothing for anybody else."""
        mine = self.settings.key and origin_of(url) == origin_of(self.base_url)
        return {"authorization": f"Bearer {self.settings.key}"} if mine else {}

    def wake(self) -> None:
        """Tell the sweeper that something may have become due here."""
        self.to_ask.set()
        self.to_send.set()

    def pause(self, problem: Problem) -> None:
        """Obey a Retry-After: nothing is claimed for this gateway before it has passed."""
        self.paused_until = max(self.paused_until, self._clock() + _bounded(problem))

    async def _ask(self, operation: Any, surface: Surface, task_id: str, timeout_ms: int) -> Snapshot | Problem:
        route = surface.route(operation)
        assert route is not None  # callers ask for a cancel only where there is one
        read = surface.read_task if operation == "get" else surface.read_cancelled
        assert read is not None
        body = await self._answer_to(self._request(route, task_id), timeout_ms)
        if isinstance(body, Problem):
            return body
        snapshot = read(body)
        if snapshot.gateway_task_id not in (None, task_id):
            return Problem("gateway_error", f"{self.name} was asked about {task_id} and told of another task")
        return self.told(replace(snapshot, answer=body))

    async def _answer_to(self, request: HttpRequest, timeout_ms: int) -> Json | Problem:
        """The JSON object that a question is answered with."""
        answer = await self._answered(request, timeout_ms)
        if isinstance(answer, Problem):
            return answer
        body = self._read(answer)
        if not isinstance(body, dict):
            return Problem(
                "gateway_error", f"{self.name} did not answer with a JSON object", gateway_status=answer.status
            )
        return body

    async def _answered(self, request: HttpRequest, timeout_ms: int) -> HttpAnswer | Problem:
        """The answer to a question, at the gateway's rate; a Problem where it is a refusal, or there is none."""
        try:
            async with self._turn():
                answer = await self._egress.ask(request, timeout_ms=timeout_ms, cap=ANSWER_CAP)
        except NotSent as error:
            return Problem("gateway_unreachable", f"{self.name} cannot be reached: {error}")
        except Lost as error:
            return Problem("gateway_error", f"{self.name} did not answer: {error}")
        problem = self._problem(answer, self._read(answer))
        if problem is not None:
            self.pause(problem)
        return problem or answer

    def _judge_create(self, surface: Surface, answer: HttpAnswer) -> CreateOutcome:
        told = self._judge(answer, self.dialect.read_error)
        if isinstance(told, Refused) and told.problem.code == "not_found":  # there is no task yet that could be missing
            return Refused(replace(told.problem, code="unknown_route"))
        if isinstance(told, Unknown):
            return Unknown(self._doubt(told.problem.message, told.problem))
        if not isinstance(told, dict):
            return told
        snapshot = surface.read_receipt(told)
        if snapshot.gateway_task_id is None:
            return Unknown(self._doubt(f"it answered HTTP {answer.status} without a task id"))
        self._fulls = 0
        return Accepted(self.told(snapshot))

    def _doubt(self, why: str, problem: Problem | None = None) -> Problem:
        claim = "; a callback may still claim it" if self.calls_back else ""
        return Problem(
            "outcome_unknown",
            f"{self.name} may have accepted this task: {why}. It is not sent again{claim}",
            gateway_code=problem.gateway_code if problem else None,
            gateway_status=problem.gateway_status if problem else None,
        )

    def _judge(self, answer: HttpAnswer, read_error: ReadError) -> Json | Refused | Busy | Unknown:
        """What an answer to something that we sent means: the body, where it is no error."""
        body = self._read(answer)
        problem = self._problem(answer, body, read_error)
        if problem is None and isinstance(body, dict):
            return body
        if problem is None:
            return Unknown(Problem("gateway_error", f"it answered HTTP {answer.status} without a JSON object"))
        if problem.code in BUSY:
            self._fulls += 1
            self.full_until = max(self.full_until, self._clock() + (_bounded(problem) or full_pause(self._fulls)))
            return Busy(problem)
        refused = problem.code in REFUSALS and answer.status not in (408, 425)
        return Refused(problem) if refused else Unknown(problem)

    def _problem(self, answer: HttpAnswer, body: Any, read_error: ReadError | None = None) -> Problem | None:
        problem = (read_error or self.dialect.read_error)(answer.status, body)
        if problem is None and not 200 <= answer.status < 300:
            problem = Problem("gateway_error", f"{self.name} answered HTTP {answer.status}")
        if problem is not None:
            problem.retry_after_ms = answer.retry_after_ms(self._clock()) or problem.retry_after_ms
            problem.gateway_status = answer.status
        return problem

    def told(self, snapshot: Snapshot) -> Snapshot:
        """What a message of this gateway says of a task (told.py)."""
        return as_told(snapshot, self.name, self.base_url, self.price, refunds=self.dialect.refunds)

    def _read(self, answer: HttpAnswer) -> Any:
        return read_body(answer, self._callbacks, self.name)

    def _request(
        self, route: Route | LibraryRoute, task_id: str = "", body: bytes = b"", query: str = ""
    ) -> HttpRequest:
        headers = {"accept": "application/json"}
        if self.settings.key:
            headers["authorization"] = f"Bearer {self.settings.key}"
        if body:
            headers["content-type"] = "application/json"
        url = self.base_url + _filled(route, task_id) + (f"?{query}" if query else "")
        return HttpRequest(method=route.method, url=url, headers=headers, body=body)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the concurrent questions, at the gateway's rate."""
        async with self._slots:
            now = asyncio.get_running_loop().time()  # never steps back
            starts_at = max(now, self._next_turn_at)
            self._next_turn_at = starts_at + self._spacing_s
            await asyncio.sleep(starts_at - now)
            yield


def open_gateways(
    settings: Mapping[str, GatewaySettings], egress: Egress, clock: Clock, public_url: str | None
) -> dict[str, Gateway]:
    """The gateways by name; SettingsError when one cannot be."""
    base = public_url.rstrip("/") if public_url else None
    return {name: Gateway(name, each, egress, clock, callback_base=base) for name, each in settings.items()}


def surface_of(task: Task) -> Surface:
    """The surface that a task was created on, whatever the settings say by now."""
    return DIALECTS[task.dialect].surface(task.surface)


def _filled(route: Route | LibraryRoute, task_id: str) -> str:
    return route.path.replace("{id}", quote(task_id, safe=""))


def _bounded(problem: Problem) -> int:
    return min(problem.retry_after_ms or 0, MOST_RETRY_AFTER)
