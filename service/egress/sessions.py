"""aiohttp as it is used here: guarded sockets, no cookies, no proxies, nothing repeated unasked, instants noted."""

import asyncio
import socket
import ssl
import time
from collections import OrderedDict
from functools import cache, partial
from ipaddress import ip_address
from typing import Any

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from httpx_aiohttp import AiohttpTransport

from service.egress.phases import watched
from service.guard import LONGEST_TOLD, Guard
from service.open_files import files_allowed

KEEP_ALIVE_S = 60
CONNECTIONS = 1_000  # in use at once, or half of the files that may be open
KEPT = 256  # for a next request, or an eighth of those files


@cache
def trust() -> ssl.SSLContext:
    """Whom we believe to be who they say: the system's authorities. Loading them takes a while."""
    return ssl.create_default_context()


def kept_most() -> int:
    """How many connections are kept at once."""
    return min(KEPT, files_allowed() // 8)


def open_session(guard: Guard, names: AbstractResolver, headers: dict[str, str], *, kept: int) -> aiohttp.ClientSession:
    """kept: how many connections are kept for a next request, those that were used last; 0 for one connection a
    request."""
    connector = _Connector(
        kept,
        resolver=names,
        ssl=trust(),
        limit=min(CONNECTIONS, files_allowed() // 2),
        socket_factory=partial(_socket, guard),
        force_close=not kept,
        keepalive_timeout=KEEP_ALIVE_S if kept else None,
    )
    # aiohttp has no public place for this; a test shows that it still takes effect
    connector._factory = partial(_Handler, loop=asyncio.get_running_loop())  # type: ignore[assignment]
    session = aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers=("content-type",),
        max_field_size=2 * LONGEST_TOLD,  # a redirect is a header
    )
    # aiohttp repeats a GET whose connection was dropped, at once and unasked: when to ask again is decided elsewhere
    session._retry_connection = False
    return session


def open_client(session: aiohttp.ClientSession, headers: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=AiohttpTransport(client=session, verify=trust()),
        headers=headers,
        follow_redirects=False,
        trust_env=False,
    )


class _Connector(aiohttp.TCPConnector):
    """Notes when a connection begins to be made; one that was kept takes no time, and notes nothing.

    Keeps only so many: aiohttp's own limit counts those in use, and thousands of hosts would leave one behind each.
    """

    def __init__(self, kept: int, **options: Any) -> None:
        super().__init__(**options)
        self._kept_most = kept
        self._idle: OrderedDict[ResponseHandler, ConnectionKey] = OrderedDict()

    async def _get(self, key: ConnectionKey, traces: list[Any]) -> aiohttp.connector.Connection | None:
        connection = await super()._get(key, traces)
        if connection is not None and connection.protocol is not None:
            self._idle.pop(connection.protocol, None)
        return connection

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        super()._release(key, protocol, should_close=should_close)
        if self._closed or not protocol.is_connected():
            return
        self._idle[protocol] = key
        while len(self._idle) > self._kept_most:
            self._drop(*self._idle.popitem(last=False))

    def _drop(self, protocol: ResponseHandler, key: ConnectionKey) -> None:
        """Nothing is under way on it, and by a polite end of TLS the other side could hold it open."""
        conns = self._conns.get(key)
        if conns and conns[0][0] is protocol:  # of one host's the first is the one that was used longest ago
            conns.popleft()
            if not conns:
                del self._conns[key]
        protocol.abort()

    def _cleanup(self) -> None:
        super()._cleanup()
        self._idle = OrderedDict((each, key) for each, key in self._idle.items() if each.is_connected())

    async def _create_connection(self, req: aiohttp.ClientRequest, *args: Any, **options: Any) -> ResponseHandler:
        watch = watched.get()
        if watch is not None:
            watch.secured = req.is_ssl()
            if not _is_address(req.host):
                watch.resolving = time.perf_counter()
        return await super()._create_connection(req, *args, **options)


class _Handler(ResponseHandler):
    """aiohttp's side of a connection, which is closed when the other side says more than it was asked: the surplus
    would be taken for the answer to the next request, which may be somebody else's."""

    _answers = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._watch = watched.get()
        if self._watch is not None:  # it is made when the connection stands, and before TLS begins
            self._watch.reached = time.perf_counter()

    def set_response_params(self, *args: Any, **options: Any) -> None:
        self._answers = 0
        self._watch = watched.get()
        if self._watch is not None:
            self._watch.ready = self._watch.sent = time.perf_counter()
        super().set_response_params(*args, **options)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._watch is not None:
            self._watch.broken_by = exc  # what is being written at that moment fails with less of a reason
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        if self._watch is not None:
            self._watch.sent = None  # the other side does not take all of it at once
        super().pause_writing()

    def resume_writing(self) -> None:
        if self._watch is not None:
            self._watch.sent = time.perf_counter()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._watch is not None and self._watch.heard is None:
            self._watch.heard = time.perf_counter()
        before = len(self._buffer)
        super().data_received(data)
        heard = [message for (message, _), _ in list(self._buffer)[before:]]
        self._answers += sum(message.code >= 200 for message in heard)  # 1xx are no answers
        if self._answers > 1:
            self.close()


def _socket(guard: Guard, info: tuple[Any, ...]) -> socket.socket:
    watch = watched.get()
    if watch is not None and watch.opening is None:
        watch.opening = time.perf_counter()
    return guard.socket(info)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
