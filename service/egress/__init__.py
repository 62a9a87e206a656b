"""The only place that opens outgoing connections.

Every connection goes through one guard: at the moment the socket is made, the very address that is about to be
connected is judged, so that neither a name that resolves differently the second time nor a literal address gets past.
No proxies from the environment, no cookies; answers are read to a cap under one deadline, redirects are not followed.
Only downloads are as long as they are: they are streamed, and they follow a few redirects (decision 6).

NotSent   the request provably never reached the other side: it may be sent again
Lost      it may have arrived, and nobody knows what became of it

Gateways are spoken to through httpx over aiohttp's connector, deliveries go through aiohttp itself (its pool does not
scan all connections for each request). httpx-aiohttp maps "the server hung up after reading" to httpx.ConnectTimeout,
because the one aiohttp class is the parent of the other: so the aiohttp cause decides here, never the httpx class.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urljoin

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver

from service.egress.failures import Lost, NotSent, judged, plainly
from service.egress.phases import Stopwatch, watched
from service.egress.sessions import kept_most, open_client, open_session
from service.errors import Problem, invalid
from service.guard import LONGEST_TOLD, Guard, origin_of, read_target
from service.wire import HttpAnswer, HttpRequest

__all__ = ["Download", "Egress", "Exchange", "Guard", "Lost", "NotSent", "names_of_the_system", "open_egress"]

CONNECT_S = 10
RESOLVE_S, RESOLVE_TRIES = 3, 2  # the second try waits twice as long: together within CONNECT_S
REDIRECTS = (301, 302, 303, 307, 308)
REDIRECTS_MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """An answer, and how long each phase took until it was read (ms): dns, connect (tls included), tls, send, wait,
    read, total; without those that did not happen, as on a connection that was kept. broken_off: why its body has no
    end, None where it has one, or was long enough."""

    answer: HttpAnswer
    timings: Mapping[str, float]
    broken_off: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An answer whose body is still to come. headers: names in lower case. chunks: raises Lost when it breaks off."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Egress:
    """The opened clients. Make one with `open_egress`."""

    guard: Guard
    _names: AbstractResolver
    _gateways: httpx.AsyncClient
    _deliveries: aiohttp.ClientSession
    _apart: aiohttp.ClientSession
    _downloads: aiohttp.ClientSession

    async def vet(self, url: str, field: str, *, must_resolve: bool = True) -> None:
        """Refuse, by a Problem with the reason, a URL that we would never be able to send to.

        must_resolve: whether a host that cannot be resolved now is refused too; every connection is judged again.
        """
        host, port = read_target(url, field)
        try:
            addresses = await self._addresses(host, port)
        except (OSError, TimeoutError, UnicodeError) as error:
            if not must_resolve:
                return
            raise invalid(field, f"the host {host} cannot be resolved ({plainly(error)})") from error
        for address in addresses:
            refusal = self.guard.refusal(address)
            if refusal is not None:
                raise invalid(field, refusal)

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            return [str(ip_address(host.partition("%")[0]))]
        except ValueError:
            async with asyncio.timeout(CONNECT_S):
                found = await self._names.resolve(host, port, socket.AF_UNSPEC)
            return [result["host"] for result in found]

    async def ask(self, request: HttpRequest, *, timeout_ms: int, cap: int) -> HttpAnswer:
        """One request to a gateway; NotSent or Lost when no whole answer came.

        Over a connection of its own: one that the other side has closed in the meantime would raise the question
        whether a create has arrived, and bytes left over on one would be taken for the answer about another task.
        """
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await _ask(self._gateways, request, timeout_ms / 1000, cap)
        except TimeoutError as error:
            raise Lost(f"no answer within {timeout_ms / 1000:g} s") from error
        except httpx.HTTPError as error:
            raise judged(error.__cause__ or error) from error
        except (aiohttp.ClientError, OSError, httpx.InvalidURL) as error:
            raise judged(error) from error

    async def deliver(self, request: HttpRequest, *, timeout_ms: int, cap: int) -> HttpAnswer:
        """One request to a subscriber; what lies beyond the cap of its answer is dropped unread."""
        return (await self.exchange(request, timeout_ms=timeout_ms, cap=cap)).answer

    async def exchange(
        self,
        request: HttpRequest,
        *,
        timeout_ms: int,
        cap: int,
        tls: ssl.SSLContext | None = None,
        apart: bool = False,
    ) -> Exchange:
        """The same with its timings, which NotSent and Lost carry too.

        Once its status and headers are here an answer counts, with what was read of its body: whoever has said 2xx must
        not be sent the same again because of what came after it.

        timeout_ms: for all of it, from the resolution of the name to the last byte that is read. tls: whom to believe,
        and who we are, where that is not as usual; connections made with one context are never used with another.
        apart: over a connection of its own, which takes none away from deliveries.
        """
        session = self._apart if apart else self._deliveries
        watch = Stopwatch(sending=bool(request.body))
        watching = watched.set(watch)
        try:
            answer, broken_off = await _sent(session, request, request.body, timeout_ms / 1000, cap, tls)
        except (NotSent, Lost) as error:
            failure = error
            if isinstance(error, Lost) and watch.ready is None:
                failure = NotSent("the connection could not be opened in time")  # the one deadline was over first
            failure.timings = watch.phases()
            raise failure from error.__cause__
        finally:
            watched.reset(watching)
        return Exchange(answer=answer, timings=watch.phases(), broken_off=broken_off)

    async def upload(
        self, request: HttpRequest, pieces: AsyncIterator[bytes] | None, *, timeout_ms: int, cap: int
    ) -> HttpAnswer:
        """The same with a body that is sent as it comes, over a connection of its own; the headers name its length."""
        answer, broken_off = await _sent(self._downloads, request, pieces, timeout_ms / 1000, cap)
        if broken_off is not None:
            raise Lost(f"the answer, HTTP {answer.status}, {broken_off}")
        return answer

    async def connect(self, host: str, port: int, *, timeout_ms: int) -> socket.socket:
        """A bare connection, for what is not HTTP; NotSent when there is none. It is the caller's to close."""
        reason: object = "it has no address"
        try:
            async with asyncio.timeout(min(CONNECT_S, timeout_ms / 1000)):
                for address in await self._addresses(host, port):
                    try:
                        return await _connected(self.guard, address, port)
                    except OSError as error:
                        reason = error
        except TimeoutError as error:
            raise NotSent("the connection could not be opened in time") from error
        except (OSError, UnicodeError) as error:
            raise NotSent(f"the host {host} cannot be resolved") from error
        raise NotSent(f"cannot connect to {host}:{port}: {reason}")

    @asynccontextmanager
    async def fetch(self, request: HttpRequest, *, idle_ms: int) -> AsyncIterator[Download]:
        """Begin a GET whose body is read as it comes, in constant memory; NotSent or Lost when it does not begin.

        idle_ms: the longest pause between two pieces. A redirect is followed; the Authorization stays behind where it
        leads to another origin.
        """
        async with AsyncExitStack() as stack:
            try:
                response = await self._follow(stack, request, idle_ms)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
                raise judged(error) from error
            yield Download(status=response.status, headers=_headers(response), chunks=_chunks(response))

    async def _follow(self, stack: AsyncExitStack, request: HttpRequest, idle_ms: int) -> aiohttp.ClientResponse:
        idle_s = idle_ms / 1000
        timeout = aiohttp.ClientTimeout(total=None, connect=min(CONNECT_S, idle_s), sock_read=idle_s)
        url, headers = request.url, dict(request.headers)
        for _ in range(REDIRECTS_MOST + 1):
            getting = self._downloads.get(url, headers=headers, allow_redirects=False, timeout=timeout)
            response = await stack.enter_async_context(getting)
            target = response.headers.get("location")
            if response.status not in REDIRECTS or target is None:
                return response
            response.close()
            there = _redirected(url, target)
            if origin_of(there) != origin_of(url):
                headers.pop("authorization", None)
            url = there
        raise Lost(f"redirected more than {REDIRECTS_MOST} times")


@asynccontextmanager
async def open_egress(
    guard: Guard, user_agent: str, names: Callable[[], AbstractResolver] | None = None
) -> AsyncIterator[Egress]:
    """The clients, open for as long as the block lasts. names: makes the resolver of names."""
    agent = {"user-agent": user_agent}
    async with AsyncExitStack() as stack:
        resolver = (names or names_of_the_system)()
        stack.push_async_callback(resolver.close)
        opened = [
            await stack.enter_async_context(open_session(guard, resolver, headers, kept=kept))
            for headers, kept in (({}, 0), (agent, kept_most()), (agent, 0), (agent, 0))
        ]
        gateways = await stack.enter_async_context(open_client(opened[0], agent))
        yield Egress(guard, resolver, gateways, *opened[1:])


def names_of_the_system(**options: Any) -> AbstractResolver:
    """The system's name servers and hosts file, asked by c-ares: the system's own resolver blocks a thread for each
    name, of which there are four, and a few names whose servers are dead would stop everybody else's."""
    return aiohttp.AsyncResolver(**{"timeout": RESOLVE_S, "tries": RESOLVE_TRIES} | options)


def _within(total_s: float) -> aiohttp.ClientTimeout:
    """connect: from the wish for a connection to the connection, the resolution of the name included."""
    return aiohttp.ClientTimeout(total=total_s, connect=min(CONNECT_S, total_s))


async def _connected(guard: Guard, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = guard.socket((family, socket.SOCK_STREAM, 0, "", (address, port)))
    try:
        await asyncio.get_running_loop().sock_connect(made, (address, port))
    except BaseException:
        made.close()
        raise
    return made


async def _ask(client: httpx.AsyncClient, request: HttpRequest, timeout_s: float, cap: int) -> HttpAnswer:
    connect_s = min(CONNECT_S, timeout_s)
    # httpx-aiohttp's `pool` is aiohttp's `connect`, which counts the resolution of the name too
    timeout = httpx.Timeout(timeout_s, connect=connect_s, pool=connect_s)
    async with client.stream(
        request.method, request.url, headers=dict(request.headers), content=request.body or None, timeout=timeout
    ) as response:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > cap:
                raise Lost(f"the answer is longer than {cap} bytes")
        return HttpAnswer(status=response.status_code, headers=dict(response.headers), body=bytes(body))


async def _sent(
    session: aiohttp.ClientSession,
    request: HttpRequest,
    body: Any,
    timeout_s: float,
    cap: int,
    tls: ssl.SSLContext | None = None,
) -> tuple[HttpAnswer, str | None]:
    """The answer, and why its body broke off, None where it did not."""
    try:
        async with session.request(
            request.method,
            request.url,
            data=body,
            headers=request.headers,
            allow_redirects=False,
            timeout=_within(timeout_s),
            ssl=tls or True,  # True: as the session has it
        ) as response:
            read, broken_off = await _read_to(response.content, cap)
            return HttpAnswer(status=response.status, headers=_headers(response), body=read), broken_off
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise judged(error, await _broken_by()) from error


async def _broken_by() -> BaseException | None:
    """What the connection ended with. Whoever writes to it at that moment hears of the end a few turns earlier."""
    watch = watched.get()
    if watch is None or watch.ready is None:
        return None
    for _ in range(3):
        await asyncio.sleep(0)
    return watch.broken_by


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): _letters(value) for name, value in response.headers.items()}


def _letters(value: str) -> str:
    """A header's value without the halves of characters that aiohttp makes of bytes that are no UTF-8."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise Lost(str(error) or "no more of it in time") from error


def _redirected(url: str, target: str) -> str:
    """Where a redirect leads; Lost where that is nowhere."""
    try:
        there = urljoin(url, target)
        read_target(there, "the redirect", longest=LONGEST_TOLD)
    except ValueError as error:
        raise Lost("the redirect: is not a valid URL") from error
    except Problem as problem:
        raise Lost(problem.message) from problem
    if url.startswith("https:") and not there.startswith("https:"):
        raise Lost("redirected from https to http")
    return there


async def _read_to(stream: aiohttp.StreamReader, cap: int) -> tuple[bytes, str | None]:
    """What is read up to the cap, and why it is not all of it where that is the other side's doing."""
    body = bytearray()
    try:
        while len(body) < cap and (chunk := await stream.read(cap - len(body))):
            body += chunk
    except TimeoutError:
        return bytes(body), "did not end in time"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return bytes(body), f"broke off: {error}"
    return bytes(body), None
