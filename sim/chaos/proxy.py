"""The loopback fault proxy: between the pipeline's S3 client and a real S3 on this machine, it breaks what it is told.

    with FaultProxy("http://127.0.0.1:4566", seed, faults) as proxy:
        store = S3ObjectStore(proxy.endpoint_url, timeout_s=CLIENT_TIMEOUT_S)
        ...
        proxy.settle()        every late commit has been made
    proxy.struck              what fired

It runs in a thread of the run's own process, so it outlives every worker that is killed, and binds 127.0.0.1 alone. A
request is read whole (`wire`), told apart (`request`), and struck or passed on (`choice`). Any S3 client can be in
front of it. Windows are virtual time: each farm tells its own with `tell_time`, a request to the path /-/ that is never
passed on; a call that is no node's goes by the latest time of any farm.

Before the effect   store.error 503, store.conflict 409, store.precondition 412, bucket.refuses 403, store.reset and
                    store.outage (RST), store.hang (no answer until the client gives up), store.corrupted-put (one byte)
Behind the effect   store.ack-lost (RST), store.error-after 500, store.truncated-get (half of the promised body)
Ahead of it         store.foreign-object (other bytes are put under the key, then the request is passed on)
Another time        store.slow (a moment later), store.late-commit (passed on when the client has given up)

LocalStack (4.13.1) refuses a create whose SHA-256 is wrong as S3 does; an overwrite, too, but it loses what was there.
So a corrupted body that carries its sum and may overwrite is refused here; one without a sum is passed on.

A request that is no HTTP is answered 400 (too large: 413, 431) and ends its connection, no other.

Not covered: TLS and signatures (a real S3 elsewhere would refuse what was signed for another host).
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

from pipeline.ports import StoreError
from pipeline.records import BUCKET_PREFIX
from pipeline.store import S3ObjectStore
from sim.chaos.call import Call, Place
from sim.chaos.choice import Chooser, Strike
from sim.chaos.faults import FOREIGN, KINDS, OTHER, Fault, Struck
from sim.chaos.foreign import Foreign, foreign
from sim.chaos.request import call_of
from sim.chaos.upstream import Upstream
from sim.chaos.wire import READ_BYTES, Connection, Message, WireError

CLIENT_TIMEOUT_S: Final = 3.0
"""What a client of the proxy should give a request: hanging and late commits take as long."""
PATIENCE_S: Final = 30.0
"""How long a request is held back for a client that does not give up."""
SLOW_S: Final = (0.2, 1.2)
LATE_S: Final = (0.0, 2.0)
"""Least and most seconds: until a slow answer, and from a client's giving up to the late commit."""
START_WITHIN_S: Final = 10.0
SETTLE_WITHIN_S: Final = 60.0
LINGER_S: Final = 1.0
"""How long the rest of a request is read that was refused: an early close would take the answer with it."""
_CONTROL: Final = "/-/"
_SHA256_HEX: Final = 64
_ANSWERS: Final = {
    "store.error": (503, "SlowDown"),
    "store.error-after": (500, "InternalError"),
    "store.conflict": (409, "ConditionalRequestConflict"),
    "store.precondition": (412, "PreconditionFailed"),
    "store.corrupted-put": (400, "BadDigest"),
    "bucket.refuses": (403, "AccessDenied"),
}
_MISTAKES: Final = {
    413: "EntityTooLarge",
    431: "RequestHeaderSectionTooLarge",
    501: "NotImplemented",
}


def address(url: str) -> tuple[str, int]:
    """Host and port of a store that a proxy may stand before. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost"):
        raise ValueError(f"{url}: faults of the wire strike only plain HTTP on this machine")
    return parts.hostname, parts.port or 80


@dataclass(frozen=True)
class _Exchange:
    """One request between its client and the store; `strike`: what is done to it."""

    request: Message
    call: Call
    strike: Strike
    client: Connection
    upstream: Upstream

    async def pass_on(self) -> bool:
        """Ask the store and forward its answer; whether the connection goes on."""
        return await _pass_on(self.request, self.client, self.upstream)

    def fail(self) -> bool:
        """Answer with the fault's own error."""
        kind = self.strike.fault.kind
        self.client.writer.write(_error(*_ANSWERS[kind], f"injected: {kind}", self.request.method))
        return True

    def reset(self) -> bool:
        """End the connection with RST in place of FIN."""
        sock = self.client.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.writer.transport.abort()
        return False


class FaultProxy:
    """See the module. `faults`: each with its number in the scenario; only kinds of the wire."""

    def __init__(self, upstream_url: str, seed: int, faults: Sequence[tuple[int, Fault]]) -> None:
        """Raises ValueError for an upstream that is not plain HTTP on 127.0.0.1, or a fault of another world."""
        self._upstream = address(upstream_url)
        self.foreign: dict[Place, Foreign] = {}
        """Every object that somebody else has put under a key of ours."""
        if strangers := [
            fault.kind for _, fault in faults if "wire" not in KINDS[fault.kind].worlds
        ]:
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
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
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
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=READ_BYTES)
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
        client, upstream = Connection(reader, writer), Upstream(*self._upstream)
        try:
            # cancelled only when the proxy ends; asyncio would print what we let through
            with contextlib.suppress(WireError, OSError, asyncio.CancelledError):
                while (request := await _next(client)) is not None:
                    if not await self._handle(request, client, upstream) or request.last:
                        break
        finally:
            self._serving.discard(task)
            writer.close()
            upstream.close()

    async def _handle(self, request: Message, client: Connection, upstream: Upstream) -> bool:
        """Answer one request, or do it wrong; whether the connection goes on."""
        if request.target.startswith(_CONTROL):
            client.writer.write(self._set_time(request))
            return True
        call = call_of(request)
        strike = self._chooser.choose(call, self._now_of(call))
        if strike is None:
            return await _pass_on(request, client, upstream)
        return await _INJECTIONS[strike.fault.kind](
            self, _Exchange(request, call, strike, client, upstream)
        )

    def _set_time(self, request: Message) -> bytes:
        farm, _, now_s = request.target.removeprefix(_CONTROL).partition("/")
        try:
            self._now_s[unquote(farm)] = float(now_s)
        except ValueError:
            return _error(
                400, "InvalidRequest", f"{now_s!r} is not a time in seconds", request.method
            )
        return b"HTTP/1.1 204 No Content\r\n\r\n"

    def _now_of(self, call: Call) -> float:
        return (
            self._now_s.get(call.farm, 0.0) if call.farm else max(self._now_s.values(), default=0.0)
        )

    # before the effect

    async def _refuse(self, this: _Exchange) -> bool:
        return this.fail()

    async def _reset(self, this: _Exchange) -> bool:
        return this.reset()

    async def _delay(self, this: _Exchange) -> bool:
        await asyncio.sleep(_between(SLOW_S, this.strike.how))
        return await this.pass_on()

    async def _corrupt(self, this: _Exchange) -> bool:
        body = this.request.body
        if not body:
            return await self._spare(this)
        if b"if-none-match" not in this.request.headers and _has_sum(this.request):
            return this.fail()  # as S3 does; LocalStack loses the object that was there
        at = int(this.strike.how * len(body))
        changed = this.request.with_body(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
        return await _pass_on(changed, this.client, this.upstream)

    async def _plant(self, this: _Exchange) -> bool:
        """Be the writer that is faster, under the node's own condition; where that fails, strike nothing."""
        if this.call.point == OTHER:
            return await self._spare(this)
        place = (BUCKET_PREFIX + this.call.bucket, this.call.key)
        etag = this.request.headers.get(b"if-match")
        other = S3ObjectStore("http://{}:{}".format(*self._upstream))

        def write(body: bytes) -> str:
            return (
                other.create(*place, body)
                if etag is None
                else other.replace(*place, body, etag.decode())
            )

        try:
            theirs = foreign(place, this.request.body, this.strike.how)
            await asyncio.to_thread(write, theirs.body)
        except (StoreError, ValueError):  # ValueError: the body is no checkpoint
            return await self._spare(this)
        self.foreign[place] = theirs
        return await this.pass_on()

    async def _spare(self, this: _Exchange) -> bool:
        """Pass on what there was nothing to strike of."""
        self._chooser.spare(this.strike, this.call)
        return await this.pass_on()

    # behind the effect

    async def _lose_answer(self, this: _Exchange) -> bool:
        await this.upstream.ask(this.request)
        return this.reset()

    async def _fail_after(self, this: _Exchange) -> bool:
        await this.upstream.ask(this.request)
        return this.fail()

    async def _truncate(self, this: _Exchange) -> bool:
        answer = await this.upstream.ask(this.request)
        if answer.status not in (200, 206) or not answer.body:
            self._chooser.spare(this.strike, this.call)
            this.client.writer.write(answer.raw)
            return not answer.last
        this.client.writer.write(answer.head + answer.framed_body[: len(answer.body) // 2])
        await this.client.writer.drain()
        return False

    # another time, or never

    async def _hang(self, this: _Exchange) -> bool:
        """Give no answer until the client has gone."""
        task = asyncio.current_task()
        assert task is not None
        task.set_name("held")
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(this.client.left(), PATIENCE_S)
        return False

    async def _be_late(self, this: _Exchange) -> bool:
        """Give no answer, and commit when the client has gone."""
        await self._hang(this)
        late = asyncio.ensure_future(
            self._commit_late(this.request, _between(LATE_S, this.strike.how))
        )
        self._late.add(late)
        late.add_done_callback(self._late.discard)
        return False

    async def _commit_late(self, request: Message, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        upstream = Upstream(*self._upstream)
        with contextlib.suppress(WireError, OSError):
            await upstream.ask(request)
        upstream.close()


_INJECTIONS: Final[dict[str, Callable[[FaultProxy, _Exchange], Awaitable[bool]]]] = {
    "store.error": FaultProxy._refuse,
    "store.conflict": FaultProxy._refuse,
    "store.precondition": FaultProxy._refuse,
    "bucket.refuses": FaultProxy._refuse,
    "store.reset": FaultProxy._reset,
    "store.outage": FaultProxy._reset,
    "store.slow": FaultProxy._delay,
    "store.corrupted-put": FaultProxy._corrupt,
    FOREIGN: FaultProxy._plant,
    "store.ack-lost": FaultProxy._lose_answer,
    "store.error-after": FaultProxy._fail_after,
    "store.truncated-get": FaultProxy._truncate,
    "store.hang": FaultProxy._hang,
    "store.late-commit": FaultProxy._be_late,
}
"""What each kind of the wire does to a request; whether the connection goes on."""


async def _next(client: Connection) -> Message | None:
    """The next request; None when there is none to come, or what came was none and the client knows it."""
    try:
        return await client.request()
    except WireError as error:
        client.writer.write(
            _error(error.status, _MISTAKES.get(error.status, "InvalidRequest"), str(error), "")
        )
        await client.writer.drain()
        client.writer.write_eof()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(client.left(), LINGER_S)
        return None


async def _pass_on(request: Message, client: Connection, upstream: Upstream) -> bool:
    answer = await upstream.ask(request)
    client.writer.write(answer.raw)
    await client.writer.drain()
    return not answer.last


def _has_sum(request: Message) -> bool:
    """Whether S3 would notice that the body was changed."""
    return (
        any(
            name.startswith((b"x-amz-checksum-", b"x-amz-trailer", b"content-md5"))
            for name in request.headers
        )
        or len(request.headers.get(b"x-amz-content-sha256", b"")) == _SHA256_HEX
    )


def _error(status: int, code: str, message: str, method: str) -> bytes:
    """An answer of S3's kind; a HEAD gets its head alone. `method`: "" if unknown, which ends the connection."""
    text = f"<?xml version='1.0'?>\n<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    body = text.encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/xml",
        f"Content-Length: {len(body)}",
        *(() if method else ("Connection: close",)),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body)


def _between(limits: tuple[float, float], how: float) -> float:
    return limits[0] + how * (limits[1] - limits[0])


def tell_time(endpoint_url: str, farm: str, now_s: float) -> None:
    """Tell the proxy at `endpoint_url` a farm's virtual time, in seconds since its start. Raises OSError."""
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
