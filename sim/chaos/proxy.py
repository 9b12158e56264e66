"""The loopback fault proxy: between an S3 client and a real S3 on this machine, it injects faults.

    with FaultProxy("http://127.0.0.1:4566", seed, faults) as proxy:
        store = S3ObjectStore(proxy.endpoint_url, timeout_s=CLIENT_TIMEOUT_S)
        ...
        proxy.settle()        every late commit has been made
    proxy.injections          numbers of the faults that fired

It runs in a thread of the run's own process, so it outlives every worker that is killed. It binds
127.0.0.1 only. A request is read whole (`wire`) and classified (`request`). Then it is either
forwarded, or a fault is chosen (`choice`) and injected (`wire_faults`). Any S3 client can use it.

Windows are virtual time. Each farm reports its own with `report_time`, a request to the path /-/
that is never forwarded. For a call of another client the latest time of any farm counts.

A request that is not HTTP gets 400 (too large: 413, 431), and its connection ends.

Not covered: TLS and signatures (a real S3 would refuse a request signed for another host).
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, unquote, urlsplit

from sim.chaos.call import Call, Place
from sim.chaos.choice import Chooser, Note
from sim.chaos.faults import KINDS, Fault, InjectionCounts
from sim.chaos.foreign import ForeignObject
from sim.chaos.request import call_of
from sim.chaos.upstream import Upstream
from sim.chaos.wire import READ_BYTES, Connection, Message, WireError
from sim.chaos.wire_faults import Exchange, WireFaults, error_answer

CLIENT_TIMEOUT_S: Final = 3.0
"""Request timeout for clients of the proxy. Hanging requests and late commits take as long."""
START_WITHIN_S: Final = 10.0
SETTLE_WITHIN_S: Final = 60.0
LINGER_S: Final = 1.0
"""Longest time to read the rest of a refused request. An earlier close could lose the answer."""
_CONTROL: Final = "/-/"
_CLIENT_ERRORS: Final = {
    413: "EntityTooLarge",
    431: "RequestHeaderSectionTooLarge",
    501: "NotImplemented",
}


def address(url: str) -> tuple[str, int]:
    """Return host and port of a store that a proxy can serve. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost"):
        raise ValueError(f"{url}: the fault proxy serves only plain HTTP on this machine")
    return parts.hostname, parts.port or 80


class FaultProxy:
    """The proxy in front of one store. A context manager.

    faults: each with its number in the scenario; only kinds of the wire. note: see `Note`.
    """

    def __init__(
        self,
        upstream_url: str,
        seed: int,
        faults: Sequence[tuple[int, Fault]],
        note: Note = lambda point, times: None,
    ) -> None:
        """Raises ValueError for a store that is not plain HTTP here, or a fault not of the wire."""
        self._upstream = address(upstream_url)
        if others := [fault.kind for _, fault in faults if "wire" not in KINDS[fault.kind].layers]:
            raise ValueError(f"{others[0]} is not a fault of the wire")
        self._chooser = Chooser(seed, faults, note)
        self._faults = WireFaults(self._upstream, self._chooser)
        self._now_s: dict[str, float] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._ready = threading.Event()
        self._port = 0

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def injections(self) -> InjectionCounts:
        return self._chooser.injections

    @property
    def foreign(self) -> dict[Place, ForeignObject]:
        """Foreign bytes that were stored under a node's key."""
        return self._faults.foreign

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread.start()
        if not self._ready.wait(START_WITHIN_S) or not self._port:
            raise OSError("the fault proxy cannot listen on 127.0.0.1")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(RuntimeError):  # its loop has already ended
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_WITHIN_S)

    def settle(self) -> None:
        """Wait until every late commit is made. Raises TimeoutError after SETTLE_WITHIN_S."""
        asyncio.run_coroutine_threadsafe(self._settled(), self._loop).result(SETTLE_WITHIN_S)

    async def _settled(self) -> None:
        while not self._faults.settled:
            await asyncio.sleep(0.02)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._listen())
        finally:
            self._ready.set()
            self._loop.close()

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=READ_BYTES)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = [*self._serving, *self._faults.late]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        client, upstream = Connection(reader, writer), Upstream(*self._upstream)
        try:
            # cancelled only when the proxy ends; asyncio would print an exception that escapes
            with contextlib.suppress(WireError, OSError, asyncio.CancelledError):
                while (request := await _next(client)) is not None:
                    if not await self._handle(request, client, upstream) or request.last:
                        break
        finally:
            self._serving.discard(task)
            writer.close()
            upstream.close()

    async def _handle(self, request: Message, client: Connection, upstream: Upstream) -> bool:
        """Answer one request, or inject a fault. Return True if the connection continues."""
        if request.target.startswith(_CONTROL):
            client.writer.write(self._set_time(request))
            return True
        call = call_of(request)
        injection = self._chooser.choose(call, self._now_of(call))
        if injection is None:
            return await upstream.forward(request, client)
        return await self._faults.inject(Exchange(request, call, injection, client, upstream))

    def _set_time(self, request: Message) -> bytes:
        farm, _, now_s = request.target.removeprefix(_CONTROL).partition("/")
        try:
            self._now_s[unquote(farm)] = float(now_s)
        except ValueError:
            return error_answer(
                400, "InvalidRequest", f"{now_s!r} is not a time in seconds", request.method
            )
        return b"HTTP/1.1 204 No Content\r\n\r\n"

    def _now_of(self, call: Call) -> float:
        return (
            self._now_s.get(call.farm, 0.0) if call.farm else max(self._now_s.values(), default=0.0)
        )


async def _next(client: Connection) -> Message | None:
    """Return the next request, None at the end of the connection.

    A request that is not HTTP gets an error answer and ends the connection.
    """
    try:
        return await client.request()
    except WireError as error:
        code = _CLIENT_ERRORS.get(error.status, "InvalidRequest")
        client.writer.write(error_answer(error.status, code, str(error), ""))
        await client.writer.drain()
        client.writer.write_eof()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(client.wait_closed(), LINGER_S)
        return None


def report_time(endpoint_url: str, farm: str, now_s: float) -> None:
    """Report a farm's virtual time, in seconds since its start, to a proxy. Raises OSError."""
    url = urlsplit(endpoint_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=START_WITHIN_S)
    try:
        connection.request(
            "POST", f"{_CONTROL}{quote(farm, safe='')}/{now_s:.6f}", headers={"Content-Length": "0"}
        )
        connection.getresponse().read()
    except http.client.HTTPException as error:
        raise OSError(f"the fault proxy at {endpoint_url} gave no answer: {error}") from error
    finally:
        connection.close()
