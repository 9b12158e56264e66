"""Just enough HTTP/1.1 and S3 for a proxy: messages off a stream, and what a request means to a node.

A message keeps its head as the bytes that came, so that what is passed on is what was sent; its body is whole in
memory (objects are small: one batch of one node). Sizes are bounded: HEAD_BYTES and BODY_BYTES.

Not covered: trailers, `Expect: 100-continue`, upgrades, virtual-hosted buckets; our client uses none of them.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from pipeline.records import BUCKET_PREFIX
from sim.chaos.call import Call, point_of, turbine_of

HEAD_BYTES: Final = 64 * 1024
BODY_BYTES: Final = 256 * 1024 * 1024


class WireError(Exception):
    """The other side said something that is no HTTP message, or left in the middle of one."""


@dataclass(frozen=True)
class Message:
    """A request or an answer. `head`: first line and headers with the empty line behind them; `body` as framed."""

    head: bytes
    body: bytes
    framed: bool = True  # False: only the end of the connection ends the body

    @property
    def first_line(self) -> str:
        return self.head.partition(b"\r\n")[0].decode("latin-1")

    @property
    def raw(self) -> bytes:
        return self.head + self.body

    @property
    def status(self) -> int:
        """Of an answer."""
        words = self.first_line.split(" ", 2)
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0

    @property
    def method(self) -> str:
        """Of a request."""
        return self.first_line.partition(" ")[0]

    @property
    def target(self) -> str:
        """Of a request: path and query, as sent."""
        words = self.first_line.split(" ")
        return words[1] if len(words) == 3 else ""

    def header(self, name: str) -> str | None:
        """The value of a header, None when it is not there."""
        found = _header(self.head, name.encode())
        return None if found is None else found.decode("latin-1")

    @property
    def last(self) -> bool:
        """Whether the connection ends behind this message."""
        return not self.framed or (self.header("connection") or "").lower() == "close"


async def read(stream: asyncio.StreamReader, answers: str | None = None) -> Message | None:
    """The next message; None when the other side has left between two. `answers`: the method this is the answer to.

    Raises WireError, ConnectionError.
    """
    try:
        head = await stream.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise WireError("the connection ended inside a head") from error
    except asyncio.LimitOverrunError as error:
        raise WireError(f"a head of more than {HEAD_BYTES} bytes") from error
    status = Message(head, b"").status if answers is not None else 0
    if answers == "HEAD" or status in (204, 304) or 100 <= status < 200:
        return Message(head, b"")
    try:
        if (_header(head, b"transfer-encoding") or b"").lower() == b"chunked":
            return Message(head, await _chunks(stream))
        length = _header(head, b"content-length")
        if length is None:
            return Message(head, b"") if answers is None else Message(head, await _rest(stream), framed=False)
        size = int(length)
        if not 0 <= size <= BODY_BYTES:
            raise WireError(f"a body of {size} bytes")
        return Message(head, await stream.readexactly(size))
    except (asyncio.IncompleteReadError, ValueError) as error:
        raise WireError(f"a body that is none: {error}") from error


async def _rest(stream: asyncio.StreamReader) -> bytes:
    """A body that only the end of the connection ends."""
    body = bytearray()
    while part := await stream.read(HEAD_BYTES):
        body += part
        if len(body) > BODY_BYTES:
            raise WireError(f"a body of more than {BODY_BYTES} bytes")
    return bytes(body)


async def _chunks(stream: asyncio.StreamReader) -> bytes:
    """A chunked body with its framing."""
    parts: list[bytes] = []
    total = 0
    while True:
        line = await stream.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        total += size
        if not 0 <= total <= BODY_BYTES:
            raise WireError(f"a body of more than {BODY_BYTES} bytes")
        parts += [line, await stream.readexactly(size + 2)]
        if size == 0:
            return b"".join(parts)


def _header(head: bytes, name: bytes) -> bytes | None:
    found = re.search(rb"\r\n" + name + rb":[ \t]*([^\r\n]*?)[ \t]*\r\n", head, re.IGNORECASE)
    return found[1] if found else None


def call_of(request: Message) -> Call | None:
    """What a request means; None for what no node asks (other buckets, other verbs)."""
    parts = urlsplit(request.target)
    bucket, _, key = unquote(parts.path).removeprefix("/").partition("/")
    if not bucket.startswith(BUCKET_PREFIX):
        return None
    query = parse_qs(parts.query)
    name = bucket.removeprefix(BUCKET_PREFIX)
    if request.method == "GET" and not key and "list-type" in query:
        verb, key = "list", query.get("start-after", query.get("prefix", [""]))[0]
    elif request.method in ("PUT", "GET") and key:
        verb = request.method.lower()
    else:
        return None
    point = point_of(verb, name)
    turbine = turbine_of(name, key)
    return None if point is None else Call(point, verb, name, key, turbine, turbine.rpartition("-")[0])
