"""A caller who waits for the answer to a create, and may go away before it is written."""

import asyncio
import logging
from types import TracebackType

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from service.unanswered import Unanswered

log = logging.getLogger("reelhook.web")


class Waiting:
    """Watches the connection of a request whose body has been read, for as long as its block lasts. gone: the caller
    went away. unanswered: where that is noted; None where nobody wants to know."""

    def __init__(self, request: Request, unanswered: Unanswered | None) -> None:
        self.gone = False
        self._request = request
        self._unanswered = unanswered
        self._task_id: str | None = None
        self._noting: asyncio.Task[None] | None = None

    def stored(self, task_id: str) -> None:
        """The task that the caller waits for, which is noted as unanswered."""
        self._task_id = task_id
        if self.gone:
            self._note_gone()

    async def __aenter__(self) -> "Waiting":
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.cancel()
        if error is not None:  # whatever he is told now, it is not what became of his create
            self._note_gone()
        if self._noting is not None:
            await asyncio.shield(self._noting)

    def answered_by(self, answer: Response) -> Response:
        """The answer, which is the last that the caller waits for."""
        if self._unanswered is not None and self._task_id is not None and not self.gone:
            answer.background = BackgroundTask(self._unanswered.answered, self._task_id)
        return answer

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._note_gone()

    def _note_gone(self) -> None:
        if self._unanswered is not None and self._task_id is not None and self._noting is None:
            log.info("web.caller_gone task=%s", self._task_id)
            self._noting = asyncio.create_task(self._unanswered.gone(self._task_id))
