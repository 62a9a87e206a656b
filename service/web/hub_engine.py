"""The hub behind a gateway's API: callers of that gateway, served by us."""

from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from service.assets import AssetGroup, Upload, Uploaded
from service.dialects.shape import Offer, PageQuery, Surface
from service.errors import Problem
from service.formats.gateway import public_id, task_id, view
from service.gateways import Gateway
from service.keys import Caller
from service.model import EVENT_OF, ListQuery, Status, Submission, Task, VideoRequest, View
from service.mounts import Mount
from service.orders import CameIn, Order
from service.signing import owner_secret
from service.store.tasks import step
from service.web.content import ContentAnswer
from service.web.requests import idempotency_key, identify
from service.web.waiting import Waiting
from service.wire import Json
from service.wiring import Services

# A caller who is told when to ask again asks about this often while a task takes as long as usual, within limits: the
# SDK keeps the first value that it hears (gateways.md section 3).
POLLS = 20
POLL_LEAST_MS, POLL_MOST_MS = 100, 10_000


class HubEngine:
    """The hub behind a gateway's API: callers of that gateway, served by us."""

    def __init__(self, services: Services, mount: Mount) -> None:
        self._services = services
        self._mount = mount
        self.body_limit = services.settings.submit.body_limit
        self.unanswered = services.unanswered

    async def admit(self, request: Request) -> None:
        await identify(request, self._services.keys)

    async def create(self, request: Request, surface: Surface, wanted: VideoRequest, waiting: Waiting) -> View:
        caller = await identify(request, self._services.keys)
        way = self._mount.way(wanted, surface)
        order = Order(
            owner=caller.name,
            gateway=way.gateway,
            surface=way.surface,
            request=way.request,
            when_full="refuse",
            webhook_field=".".join(surface.callback_path),
            webhook_format="gateway",
            webhook_secret=owner_secret(self._services.secret_key, caller.name),
            webhook_events=tuple(EVENT_OF[status] for status in self._mount.dialect.called_back),
            idempotency_key=idempotency_key(request),
            came_in=CameIn(self._mount, surface, wanted.model),
        )
        submitted = await self._services.tasks.submit(order, wait_ms=None, stored=waiting.stored)
        return await self._receipt(submitted.task, surface)

    async def get(self, request: Request, surface: Surface, public: str) -> View:
        caller = await identify(request, self._services.keys)
        return await self._view(await self._find(caller, surface, public), surface)

    async def cancel(self, request: Request, surface: Surface, public: str) -> View:
        caller = await identify(request, self._services.keys)
        return await self._cancelled(await self._find(caller, surface, public), surface)

    async def _cancelled(self, task: Task, surface: Surface) -> View:
        try:
            return await self._view(await self._services.cancelling.cancel(task), surface)
        except Problem as problem:
            raise self._worded(problem, task) from None

    async def make_group(self, request: Request, wanted: AssetGroup) -> AssetGroup:
        caller = await identify(request, self._services.keys)
        return await self._services.uploading.make_group(self._owner_of_assets(), caller.name, wanted)

    async def take_in(self, request: Request, upload: Upload, group_id: str) -> Uploaded:
        caller = await identify(request, self._services.keys)
        return await self._services.uploading.take_in(self._owner_of_assets(), caller.name, upload, group_id)

    def _owner_of_assets(self) -> Gateway:
        if self._mount.gateway is None:
            raise Problem("not_found", f"{self._mount.name} is only a way to other gateways, and keeps no assets")
        return self._mount.gateway

    async def content(self, request: Request, surface: Surface, public: str, variant: str) -> Response:
        caller = await identify(request, self._services.keys)
        return ContentAnswer(self._services, await self._find(caller, surface, public), variant, request)

    async def page(self, request: Request, surface: Surface, query: PageQuery) -> tuple[list[View], bool]:
        caller = await identify(request, self._services.keys)
        found = await self._services.reads.tasks_of_mount(
            caller.owner,
            self._mount.name,
            after=task_id(query.after, surface) if query.after is not None else None,
            limit=query.limit + 1,  # one more than is shown tells that there is more
            oldest_first=query.oldest_first,
        )
        return [view(task, surface, self._services.links) for task in found[: query.limit]], len(found) > query.limit

    async def listed(self, request: Request, surface: Surface, query: ListQuery) -> tuple[int, Sequence[Json]]:
        caller = await identify(request, self._services.keys)
        assert surface.lists is not None  # a route that lists has its messages
        total, tasks = await self._services.reads.listed(
            caller.owner,
            self._mount.name,
            replace(query, ids=tuple(task_id(public, surface) for public in query.ids)),
            since=self._services.clock() - surface.lists.shows_ms,
        )
        return total, [surface.answered_task(view(task, surface, self._services.links)) for task in tasks]

    async def delete(self, request: Request, surface: Surface, public: str) -> View:
        """The record is hidden from this API; the native one still shows it, and at the gateway nothing is deleted."""
        caller = await identify(request, self._services.keys)
        task = await self._find(caller, surface, public)
        if surface.delete_cancels and not task.status.terminal:
            return await self._cancelled(task, surface)
        if surface.delete_cancels and task.status is Status.CANCELLED:
            raise Problem("conflict", "the task is cancelled already, and its record cannot be deleted")
        now = self._services.clock()
        hidden = await self._services.database.write(
            step, "hide_task", id=task.id, owner=caller.owner, mount=self._mount.name, now=now
        )
        if hidden is None:
            raise Problem("invalid_request", f"{public} is not over yet; only what has ended can be deleted")
        return view(hidden, surface, self._services.links)

    async def offers(self, request: Request) -> list[Offer]:
        await self.admit(request)
        return self._mount.offers()

    async def _find(self, caller: Caller, surface: Surface, public: str) -> Task:
        known = public.isprintable()  # PostgreSQL cannot even look for an id with a NUL in it
        wanted = task_id(public, surface)
        found = await self._services.reads.task_of_mount(wanted, caller.owner, self._mount.name) if known else None
        if found is None:
            raise Problem("not_found", f"there is no task {public}")
        return found

    async def _view(self, task: Task, surface: Surface) -> View:
        if self._mount.dialect.poll_header is None or task.status.terminal:
            return view(task, surface, self._services.links)
        usual_ms = await self._services.pace.usual_ms(task.gateway, task.request.model)
        return replace(
            view(task, surface, self._services.links),
            poll_after_ms=min(POLL_MOST_MS, max(POLL_LEAST_MS, usual_ms // POLLS)),
        )

    async def _receipt(self, task: Task, surface: Surface) -> View:
        """A stored task whose create went well; the refusal or the doubt otherwise, as a Problem."""
        if task.submission is Submission.REFUSED and task.error is not None:
            raise self._worded(task.error, task)
        if task.submission in (Submission.UNKNOWN, Submission.SENDING) and task.status is not Status.SUCCEEDED:
            words = task.error.message if task.error else "the gateway has not confirmed this task yet"
            doubt = Problem(
                "outcome_unknown",
                f"{words}. Do not send it again: ask about task {public_id(task.id, surface)} instead",
                gateway_code=task.error.gateway_code if task.error else None,
                gateway_status=task.error.gateway_status if task.error else None,
            )
            raise self._worded(doubt, task)
        return await self._view(task, surface)

    def _worded(self, problem: Problem, task: Task) -> Problem:
        """A code word of another gateway's language says nothing here: this dialect has its own."""
        return problem if task.dialect == self._mount.dialect.name else replace(problem, gateway_code=None)
