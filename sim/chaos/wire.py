"""HTTP/1.1 messages on a connection, framed by h11, for a proxy that forwards them unchanged.

A message is whole in memory. Head and body are forwarded byte for byte, and trailers keep order and
case. A chunked body becomes one chunk. Sizes are bounded: HEAD_BYTES for a head, BODY_BYTES for a
body.

Each message gets its own parser. Answers to a client pass through no parser, because faults break
HTTP on purpose and h11 would refuse to send them. Bytes that follow a message (pipelining) are kept
for the next.

`Expect: 100-continue` is answered here, and forwarded like any header, since a client may have
signed it. Interim answers (1xx) of a store are dropped.

Not covered: upgrades, CONNECT, and chunk extensions, which are dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Self

import h11

HEAD_BYTES: Final = 64 * 1024
BODY_BYTES: Final = 256 * 1024 * 1024
READ_BYTES: Final = 64 * 1024
_CONTINUE: Final = h11.InformationalResponse(status_code=100, reason=b"Continue", headers=[])


class WireError(Exception):
    """Bytes from the peer that are not an HTTP message, or an end within a message.

    status: for the answer to a client.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Message:
    """A request or an answer.

    head: first line and headers as received, with the empty line at the end. headers: by name in
    lower case. last: the connection ends after it.
    """

    event: h11.Request | h11.Response
    head: bytes
    headers: Mapping[bytes, bytes]
    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    last: bool = False

    @property
    def status(self) -> int:
        """Status of an answer, 0 for a request."""
        return self.event.status_code if isinstance(self.event, h11.Response) else 0

    @property
    def method(self) -> str:
        """Method of a request, "" for an answer."""
        return self.event.method.decode() if isinstance(self.event, h11.Request) else ""

    @property
    def target(self) -> str:
        """Path and query of a request, as sent; "" for an answer."""
        return self.event.target.decode() if isinstance(self.event, h11.Request) else ""

    def with_body(self, body: bytes) -> Self:
        """Return the message with another body of the same length."""
        return replace(self, body=body)

    @property
    def framed_body(self) -> bytes:
        """The body in the framing that its head announces."""
        if b"transfer-encoding" not in self.headers:
            return self.body
        chunk = b"%x\r\n%s\r\n" % (len(self.body), self.body) if self.body else b""
        return b"".join(
            [chunk, b"0\r\n", *(b"%s: %s\r\n" % trailer for trailer in self.trailers), b"\r\n"]
        )

    @property
    def raw(self) -> bytes:
        return self.head + self.framed_body


class Connection:
    """Messages on one connection, in sequence."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.rest = b""

    async def request(self) -> Message | None:
        """Return the next request, None if the client hung up between two.

        Raises WireError, ConnectionError.
        """
        return await self._message(h11.Connection(h11.SERVER, HEAD_BYTES))

    async def answer(self, method: str) -> Message:
        """Return the answer to a request with this method. Raises WireError, ConnectionError."""
        parser = h11.Connection(h11.CLIENT, HEAD_BYTES)
        parser.send(_request_with(method))
        answer = await self._message(parser)
        if answer is None:
            raise WireError("the store hung up")
        return answer

    async def _message(self, parser: h11.Connection) -> Message | None:
        received, head = self.rest, b""
        if received:
            parser.receive_data(received)
        first: h11.Request | h11.Response | None = None
        headers: dict[bytes, bytes] = {}
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                event = parser.next_event()
                if event is h11.NEED_DATA:
                    data = await self._receive(parser)
                    received = received + data if first is None else b""
                elif isinstance(event, h11.Data):
                    parts.append(event.data)
                    size += len(event.data)
                    _require_bounded(size)
                elif isinstance(event, h11.EndOfMessage):
                    assert first is not None
                    self.rest, ended = parser.trailing_data
                    trailers = tuple(event.headers.raw_items())
                    last = ended or parser.their_state is not h11.DONE
                    return Message(first, head, headers, b"".join(parts), trailers, last)
                elif isinstance(event, (h11.Request, h11.Response)):
                    first, headers = event, dict(event.headers)
                    head = received[: len(received) - len(parser.trailing_data[0])]
                    if isinstance(event, h11.Request):  # checked before the 100 Continue
                        _require_bounded(int(headers.get(b"content-length", b"0")))
                elif isinstance(event, h11.InformationalResponse):
                    received = parser.trailing_data[0]
                elif isinstance(event, h11.ConnectionClosed):
                    return None
                else:
                    raise WireError("the client asked for a protocol other than HTTP", 501)
        except h11.RemoteProtocolError as error:
            raise WireError(str(error), error.error_status_hint) from error

    async def _receive(self, parser: h11.Connection) -> bytes:
        if parser.they_are_waiting_for_100_continue:
            self.writer.write(parser.send(_CONTINUE) or b"")
        data = await self.reader.read(READ_BYTES)
        parser.receive_data(data)
        return data

    async def wait_closed(self) -> None:
        """Discard input until the peer ends the connection."""
        while await self.reader.read(READ_BYTES):
            pass


@lru_cache(maxsize=64)
def _request_with(method: str) -> h11.Request:
    """Return a request for the answer's parser: the answer to a HEAD has no body."""
    return h11.Request(method=method, target="/", headers=[("Host", "store")])


def _require_bounded(size: int) -> None:
    if size > BODY_BYTES:
        raise WireError(f"the body has more than {BODY_BYTES} bytes", 413)
