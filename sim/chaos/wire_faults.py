"""Injection of faults on the wire: each kind, applied to one request between client and store.

before the effect  store.error 503, store.conflict 409, store.precondition 412, bucket.refuses 403;
                   store.reset and store.outage (RST); store.hang (no answer until the client hangs
                   up); store.corrupted-put (one byte of the body is changed)
after the effect   store.ack-lost (RST), store.error-after 500, store.truncated-get (half the body)
before the request store.foreign-object (other bytes are stored under the key, then the request is
                   forwarded)
later              store.slow (the request waits), store.late-commit (forwarded after the client has
                   hung up)

LocalStack 4.13.1 refuses a create whose SHA-256 is wrong, as S3 does. It refuses an overwrite, too,
but loses the object that was there. So a corrupted body that has a checksum and may overwrite is
refused here. One without a checksum is forwarded.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from xml.sax.saxutils import escape

from pipeline.ports import StoreError
from pipeline.records import BUCKET_PREFIX
from pipeline.store import S3ObjectStore
from sim.chaos.call import Call, Place
from sim.chaos.choice import Chooser, Injection
from sim.chaos.faults import FOREIGN, OTHER
from sim.chaos.foreign import ForeignObject, foreign_object
from sim.chaos.upstream import Upstream
from sim.chaos.wire import Connection, Message, WireError

PATIENCE_S: Final = 30.0
"""Longest wait for a client to hang up."""
SLOW_S: Final = (0.2, 1.2)
"""Least and most seconds until a slow answer."""
LATE_S: Final = (0.0, 2.0)
"""Least and most seconds from the client's hanging up to the late commit."""
_SHA256_HEX: Final = 64
_ANSWERS: Final = {
    "store.error": (503, "SlowDown"),
    "store.error-after": (500, "InternalError"),
    "store.conflict": (409, "ConditionalRequestConflict"),
    "store.precondition": (412, "PreconditionFailed"),
    "store.corrupted-put": (400, "BadDigest"),
    "bucket.refuses": (403, "AccessDenied"),
}


@dataclass(frozen=True)
class Exchange:
    """One request between its client and the store, and the fault to inject."""

    request: Message
    call: Call
    injection: Injection
    client: Connection
    upstream: Upstream

    async def forward(self) -> bool:
        return await self.upstream.forward(self.request, self.client)

    def fail(self) -> bool:
        """Answer with the fault's error."""
        kind = self.injection.fault.kind
        self.client.writer.write(
            error_answer(*_ANSWERS[kind], f"injected: {kind}", self.request.method)
        )
        return True

    def reset(self) -> bool:
        """End the connection with RST instead of FIN."""
        sock = self.client.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.writer.transport.abort()
        return False


class WireFaults:
    """Injection into exchanges with one store, at `upstream` (host, port).

    Every method that injects returns True if the client's connection continues.
    """

    def __init__(self, upstream: tuple[str, int], chooser: Chooser) -> None:
        self._upstream, self._chooser = upstream, chooser
        self._hanging = 0
        self.late: set[asyncio.Task[None]] = set()
        """Commits that are still to be made."""
        self.foreign: dict[Place, ForeignObject] = {}
        """Foreign bytes that were stored under a node's key."""

    @property
    def settled(self) -> bool:
        """True if no request hangs and no commit is late."""
        return not self.late and not self._hanging

    async def inject(self, exchange: Exchange) -> bool:
        return await _INJECTIONS[exchange.injection.fault.kind](self, exchange)

    # before the effect

    async def _refuse(self, this: Exchange) -> bool:
        return this.fail()

    async def _reset(self, this: Exchange) -> bool:
        return this.reset()

    async def _delay(self, this: Exchange) -> bool:
        await asyncio.sleep(_between(SLOW_S, this.injection.draw))
        return await this.forward()

    async def _corrupt(self, this: Exchange) -> bool:
        body = this.request.body
        if not body:
            return await self._take_back(this)
        if b"if-none-match" not in this.request.headers and _has_checksum(this.request):
            return this.fail()  # as S3 does; LocalStack loses the object that was there
        at = int(this.injection.draw * len(body))
        changed = this.request.with_body(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
        return await this.upstream.forward(changed, this.client)

    async def _plant(self, this: Exchange) -> bool:
        """Store foreign bytes first, under the node's own condition, then forward the request.

        If that write fails, the fault is taken back.
        """
        if this.call.point == OTHER:
            return await self._take_back(this)
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
            theirs = foreign_object(place, this.request.body, this.injection.draw)
            await asyncio.to_thread(write, theirs.body)
        except (StoreError, ValueError):  # ValueError: the body is no checkpoint
            return await self._take_back(this)
        self.foreign[place] = theirs
        return await this.forward()

    async def _take_back(self, this: Exchange) -> bool:
        """Uncount the fault, which cannot change this request, and forward the request."""
        self._chooser.take_back(this.injection, this.call)
        return await this.forward()

    # after the effect

    async def _lose_answer(self, this: Exchange) -> bool:
        await this.upstream.ask(this.request)
        return this.reset()

    async def _fail_after(self, this: Exchange) -> bool:
        await this.upstream.ask(this.request)
        return this.fail()

    async def _truncate(self, this: Exchange) -> bool:
        answer = await this.upstream.ask(this.request)
        if answer.status not in (200, 206) or not answer.body:
            self._chooser.take_back(this.injection, this.call)
            this.client.writer.write(answer.raw)
            return not answer.last
        this.client.writer.write(answer.head + answer.framed_body[: len(answer.body) // 2])
        await this.client.writer.drain()
        return False

    # later, or no answer at all

    async def _hang(self, this: Exchange) -> bool:
        """Give no answer until the client hangs up."""
        self._hanging += 1
        try:
            with contextlib.suppress(TimeoutError, OSError):
                await asyncio.wait_for(this.client.wait_closed(), PATIENCE_S)
        finally:
            self._hanging -= 1
        return False

    async def _delay_commit(self, this: Exchange) -> bool:
        """Give no answer, and commit after the client has hung up."""
        await self._hang(this)
        wait_s = _between(LATE_S, this.injection.draw)
        late = asyncio.ensure_future(self._commit_late(this.request, wait_s))
        self.late.add(late)
        late.add_done_callback(self.late.discard)
        return False

    async def _commit_late(self, request: Message, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        upstream = Upstream(*self._upstream)
        with contextlib.suppress(WireError, OSError):
            await upstream.ask(request)
        upstream.close()


_INJECTIONS: Final[dict[str, Callable[[WireFaults, Exchange], Awaitable[bool]]]] = {
    "store.error": WireFaults._refuse,
    "store.conflict": WireFaults._refuse,
    "store.precondition": WireFaults._refuse,
    "bucket.refuses": WireFaults._refuse,
    "store.reset": WireFaults._reset,
    "store.outage": WireFaults._reset,
    "store.slow": WireFaults._delay,
    "store.corrupted-put": WireFaults._corrupt,
    FOREIGN: WireFaults._plant,
    "store.ack-lost": WireFaults._lose_answer,
    "store.error-after": WireFaults._fail_after,
    "store.truncated-get": WireFaults._truncate,
    "store.hang": WireFaults._hang,
    "store.late-commit": WireFaults._delay_commit,
}
"""The injection of each kind of the wire."""


def _has_checksum(request: Message) -> bool:
    """Return True if S3 would notice that the body was changed."""
    return (
        any(
            name.startswith((b"x-amz-checksum-", b"x-amz-trailer", b"content-md5"))
            for name in request.headers
        )
        or len(request.headers.get(b"x-amz-content-sha256", b"")) == _SHA256_HEX
    )


def error_answer(status: int, code: str, message: str, method: str) -> bytes:
    """Return an error answer in S3's form; to a HEAD only its head.

    method: "" if unknown, which ends the connection.
    """
    body = (
        "<?xml version='1.0'?>\n"
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    ).encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/xml",
        f"Content-Length: {len(body)}",
        *(() if method else ("Connection: close",)),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body)


def _between(limits: tuple[float, float], draw: float) -> float:
    return limits[0] + draw * (limits[1] - limits[0])
