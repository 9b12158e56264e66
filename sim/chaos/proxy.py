"""The loopback fault proxy: between the pipeline's S3 client and a real S3 on this machine, it breaks what it is told.

    with FaultProxy("http://127.0.0.1:4566", seed, faults) as proxy:
        store = S3ObjectStore(proxy.endpoint_url, timeout_s=CLIENT_TIMEOUT_S)
        ...
        proxy.settle()        every late commit has been made
    proxy.struck              what fired

It runs in a thread of the run's own process, so it outlives every worker that is killed, and binds 127.0.0.1 alone. A
request is read whole, told apart (`wire`), and struck or passed on (`choice`). Windows are virtual time: each farm
tells its own with `tell_time`, a request to the path /-/ that is never passed on.

Before the effect   store.error 503, store.conflict 409, store.precondition 412, bucket.refuses 403, store.reset and
                    store.outage (RST), store.hang (no answer until the client gives up), store.corrupted-put (one byte)
Behind the effect   store.ack-lost (RST), store.error-after 500, store.truncated-get (half of the promised body)
Ahead of it         store.foreign-object (other bytes are put under the key, then the request is passed on)
Another time        store.slow (a moment later), store.late-commit (passed on when the client has given up)

LocalStack (4.13.1) refuses a create whose SHA-256 is wrong as S3 does; an overwrite, too, but it loses what was there.
So a corrupted overwrite that carries its sum is refused here; one without a sum is passed on.

Not covered: TLS and signatures (a real S3 elsewhere would refuse what was signed for another host).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Sequence
from hashlib import sha256
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, unquote, urlsplit

from pipeline.ports import StoreError
from pipeline.records import BUCKET_PREFIX
from pipeline.store import S3ObjectStore
from sim.chaos import wire
from sim.chaos.call import Call, Place
from sim.chaos.choice import Chooser, Strike
from sim.chaos.faults import FOREIGN, KINDS, Fault, Struck
from sim.chaos.foreign import Foreign, foreign
from sim.chaos.wire import Message, WireError

CLIENT_TIMEOUT_S: Final = 3.0
"""What a client of the proxy should give a request: hanging and late commits take as long."""
PATIENCE_S: Final = 30.0
"""How long a request is held back for a client that does not give up."""
SLOW_S: Final = (0.2, 1.2)
LATE_S: Final = (0.0, 2.0)
"""Least and most seconds: until a slow answer, and from a client's giving up to the late commit."""
START_WITHIN_S: Final = 10.0
SETTLE_WITHIN_S: Final = 60.0
_CONTROL: Final = "/-/"
_ANSWERS: Final = {
    "store.error": (503, "Slow Down", "SlowDown"),
    "store.error-after": (500, "Internal Server Error", "InternalError"),
    "store.conflict": (409, "Conflict", "ConditionalRequestConflict"),
    "store.precondition": (412, "Precondition Failed", "PreconditionFailed"),
    "store.corrupted-put": (400, "Bad Request", "BadDigest"),
    "bucket.refuses": (403, "Forbidden", "AccessDenied"),
}


def address(url: str) -> tuple[str, int]:
    """Host and port of a store that a proxy may stand before. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost"):
        raise ValueError(f"{url}: faults of the wire strike only plain HTTP on this machine")
    return parts.hostname, parts.port or 80


class FaultProxy:
    """See the module. `faults`: each with its number in the scenario; only kinds of the wire."""

    def __init__(self, upstream_url: str, seed: int, faults: Sequence[tuple[int, Fault]]) -> None:
        """Raises ValueError for an upstream that is not plain HTTP on 127.0.0.1, or a fault of another world."""
        self._upstream = address(upstream_url)
        self.foreign: dict[Place, Foreign] = {}
        """Every object that somebody else has put under a key of ours."""
        if strangers := [fault.kind for _, fault in faults if "wire" not in KINDS[fault.kind].worlds]:
            raise ValueError(f"{strangers[0]} is not a fault of the wire")
        self._chooser = Chooser(seed, faults)
        self._now_s: dict[str, float] = {}
        self._late: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._ready = threading.Event()
        self._port = 0

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def struck(self) -> Struck:
        return self._chooser.struck

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread.start()
        if not self._ready.wait(START_WITHIN_S) or not self._port:
            raise OSError("the fault proxy cannot listen on 127.0.0.1")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(RuntimeError):  # its loop ended before
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_WITHIN_S)

    def settle(self) -> None:
        """Wait until every late commit was made. Raises TimeoutError after SETTLE_WITHIN_S."""
        asyncio.run_coroutine_threadsafe(self._settled(), self._loop).result(SETTLE_WITHIN_S)

    async def _settled(self) -> None:
        while self._late or any(task for task in self._serving if task.get_name() == "held"):
            await asyncio.sleep(0.02)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._listen())
        finally:
            self._ready.set()
            self._loop.close()

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=wire.HEAD_BYTES)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = [*self._serving, *self._late]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        upstream = _Upstream(*self._upstream)
        try:
            # cancelled only when the proxy ends; asyncio would print what we let through
            with contextlib.suppress(WireError, OSError, asyncio.CancelledError):
                while (request := await wire.read(reader)) is not None:
                    if not await self._handle(request, reader, writer, upstream) or request.last:
                        break
        finally:
            self._serving.discard(task)
            writer.close()
            upstream.close()

    async def _handle(
        self, request: Message, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: _Upstream
    ) -> bool:
        """Answer one request, or do it wrong; whether the connection goes on."""
        if request.target.startswith(_CONTROL):
            farm, _, now_s = request.target.removeprefix(_CONTROL).partition("/")
            self._now_s[unquote(farm)] = float(now_s)
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return True
        call = wire.call_of(request)
        strike = self._chooser.choose(call, self._now_s.get(call.farm, 0.0)) if call else None
        if call is None or strike is None:
            return await _pass_on(request, writer, upstream)
        kind = strike.fault.kind
        if kind in ("store.error", "store.conflict", "store.precondition", "bucket.refuses"):
            writer.write(_error(kind))
            return True
        if kind in ("store.reset", "store.outage"):
            _reset(writer)
            return False
        if kind == "store.slow":
            await asyncio.sleep(_between(SLOW_S, strike.how))
            return await _pass_on(request, writer, upstream)
        if kind == FOREIGN:
            await self._plant(call, strike, request.body, request.header("if-match"))
            return await _pass_on(request, writer, upstream)
        if kind in ("store.hang", "store.late-commit"):
            await self._hold(request, strike, reader)
            return False
        if kind == "store.corrupted-put":
            return await self._corrupt(request, call, strike, writer, upstream)
        answer = await upstream.ask(request)
        if kind == "store.ack-lost":
            _reset(writer)
            return False
        if kind == "store.error-after":
            writer.write(_error(kind))
            return True
        assert kind == "store.truncated-get", kind
        if answer.status != 200 or not answer.body:
            self._chooser.spare(strike, call)
            writer.write(answer.raw)
            return not answer.last
        writer.write(answer.head + answer.body[: len(answer.body) // 2])
        await writer.drain()
        return False

    async def _hold(self, request: Message, strike: Strike, reader: asyncio.StreamReader) -> None:
        """Say nothing until the client has gone; then commit late, if that is the fault."""
        task = asyncio.current_task()
        assert task is not None
        task.set_name("held")
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(reader.read(1), PATIENCE_S)
        if strike.fault.kind == "store.late-commit":
            late = asyncio.ensure_future(self._commit_late(request, _between(LATE_S, strike.how)))
            self._late.add(late)
            late.add_done_callback(self._late.discard)

    async def _plant(self, call: Call, strike: Strike, ours: bytes, etag: str | None) -> None:
        """Be the writer that is faster, under the node's own condition: where that fails there is nothing to strike."""
        place = (BUCKET_PREFIX + call.bucket, call.key)
        other = S3ObjectStore("http://{}:{}".format(*self._upstream))

        def write(body: bytes) -> str:
            return other.create(*place, body) if etag is None else other.replace(*place, body, etag)

        try:
            theirs = foreign(place, ours, strike.how)
            await asyncio.to_thread(write, theirs.body)
        except (StoreError, ValueError):  # ValueError: what is written is no checkpoint
            self._chooser.spare(strike, call)
        else:
            self.foreign[place] = theirs

    async def _commit_late(self, request: Message, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        upstream = _Upstream(*self._upstream)
        with contextlib.suppress(WireError, OSError):
            await upstream.ask(request)
        upstream.close()

    async def _corrupt(
        self, request: Message, call: Call, strike: Strike, writer: asyncio.StreamWriter, upstream: _Upstream
    ) -> bool:
        if not request.body:
            self._chooser.spare(strike, call)
            return await _pass_on(request, writer, upstream)
        at = int(strike.how * len(request.body))
        body = request.body[:at] + bytes([request.body[at] ^ 1]) + request.body[at + 1 :]
        promised = request.header("x-amz-checksum-sha256")
        if request.header("if-match") and promised and promised != base64.b64encode(sha256(body).digest()).decode():
            writer.write(_error("store.corrupted-put"))  # what S3 does; LocalStack loses the object that was there
            return True
        return await _pass_on(Message(request.head, body), writer, upstream)


class _Upstream:
    """One connection to the store, opened when needed and kept; one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: Message) -> Message:
        """The store's answer. Raises WireError, OSError."""
        if self._streams is not None and self._streams[0].at_eof():
            self.close()
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port, limit=wire.HEAD_BYTES)
        reader, writer = self._streams
        writer.write(request.raw)
        await writer.drain()
        answer = await wire.read(reader, answers=request.method)
        if answer is None:
            raise WireError("the store hung up")
        if answer.last:
            self.close()
        return answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _pass_on(request: Message, writer: asyncio.StreamWriter, upstream: _Upstream) -> bool:
    answer = await upstream.ask(request)
    writer.write(answer.raw)
    await writer.drain()
    return not answer.last


def _reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST in place of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _error(kind: str) -> bytes:
    status, reason, code = _ANSWERS[kind]
    body = f"<?xml version='1.0'?>\n<Error><Code>{code}</Code><Message>injected: {kind}</Message></Error>".encode()
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _between(limits: tuple[float, float], how: float) -> float:
    return limits[0] + how * (limits[1] - limits[0])


def tell_time(endpoint_url: str, farm: str, now_s: float) -> None:
    """Tell the proxy at `endpoint_url` a farm's virtual time, in seconds since its start. Raises OSError."""
    url = urlsplit(endpoint_url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=START_WITHIN_S)
    try:
        connection.request("POST", f"{_CONTROL}{quote(farm, safe='')}/{now_s:.6f}", headers={"Content-Length": "0"})
        connection.getresponse().read()
    except http.client.HTTPException as error:
        raise OSError(f"the fault proxy at {endpoint_url} gave no answer: {error}") from error
    finally:
        connection.close()
