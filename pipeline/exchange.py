"""One HTTP/1.1 request and its answer over an open socket.

Plain answers (a status, headers and a body of known length) are read here: `http.client` and its
mail parser cost 0.2 CPU-ms an answer. Everything else is left to `http.client`: interim answers,
chunks, folded headers, HTTP/1.0, answers without a length.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

LARGEST_BODY: Final = 1 << 30
_LARGEST_HEAD: Final = 1 << 16
_READ: Final = 1 << 18
_STATUS: Final = re.compile(r"HTTP/1\.1 ([2-5][0-9][0-9])(?: [^\r\n]*)?").fullmatch
_NO_BODY: Final = ("204", "304")


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case) and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def exchange(
    sock: socket.socket,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
) -> tuple[Answer, bool]:
    """Send a request. Return its answer, and True if the connection can take another.

    The socket's timeout bounds each wait, and the time after which no further one begins. Raises
    OSError, http.client.HTTPException, and ValueError for a header of several lines.
    """
    until = time.monotonic() + (sock.gettimeout() or 0.0)
    _send(sock, _head(method, target, headers), body)
    seen = part = sock.recv(_READ)
    while part and b"\r\n\r\n" not in seen and len(seen) < _LARGEST_HEAD:
        part = _received(sock, _READ, until)
        seen += part
    if not seen:
        raise http.client.RemoteDisconnected("Remote end closed connection without response")
    plain = None if method == "HEAD" else _plain(seen)  # its length is that of no body
    if plain is None:
        return _any(sock, method, seen, until)
    status, found, begin, length = plain
    if length > LARGEST_BODY:
        raise _too_large()
    left = length - (len(seen) - begin)
    if left <= 0:
        return Answer(status, found, seen[begin : begin + length]), left == 0 and _stays(found)
    parts = [seen[begin:]]
    while left:
        part = _received(sock, min(left, _READ), until)
        if not part:
            raise http.client.HTTPException(f"{left:,} bytes of the answer are missing")
        parts.append(part)
        left -= len(part)
    return Answer(status, found, b"".join(parts)), _stays(found)


def _head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if head.count(b"\n") != len(lines) + 1 or head.count(b"\r") != len(lines) + 1:
        raise ValueError("a header value of several lines")
    return head


def _send(sock: socket.socket, head: bytes, body: bytes) -> None:
    """Send head and body, in one packet where they fit."""
    if not body:
        sock.sendall(head)
        return
    if isinstance(sock, ssl.SSLSocket):
        sock.sendall(head + body)
        return
    sent = sock.sendmsg((head, body)) - len(head)
    if sent < 0:
        sock.sendall(head[sent:])
    if sent < len(body):
        sock.sendall(memoryview(body)[max(sent, 0) :])


def _received(sock: socket.socket, size: int, until: float) -> bytes:
    if time.monotonic() >= until:
        raise TimeoutError
    return sock.recv(size)


def _plain(seen: bytes) -> tuple[int, dict[str, str], int, int] | None:
    """Return status, headers, begin and length of the body; None for anything unusual."""
    head, end, _ = seen.partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    status = _STATUS(first)
    if status is None or status[1] in _NO_BODY:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        headers[name.lower()] = value.strip(" \t")
        if not colon or not name or name[0] in " \t" or "\n" in line:
            return None
    length = headers.get("content-length", "")
    known = length.isascii() and length.isdigit() and "transfer-encoding" not in headers
    if not known or len(headers) < len(lines):
        return None
    return int(status[1]), headers, len(head) + 4, int(length)


def _stays(headers: Mapping[str, str]) -> bool:
    return "close" not in headers.get("connection", "").lower()


class _Replayed(io.RawIOBase):
    """A socket's bytes, with those that were read before first. `http.client` reads from it."""

    def __init__(self, sock: socket.socket, seen: bytes, until: float) -> None:
        self._sock, self._seen, self._until = sock, seen, until

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._seen:
            size = min(len(buffer), len(self._seen))
            buffer[:size], self._seen = self._seen[:size], self._seen[size:]
            return size
        part = _received(self._sock, len(buffer), self._until)
        buffer[: len(part)] = part
        return len(part)


def _any(sock: socket.socket, method: str, seen: bytes, until: float) -> tuple[Answer, bool]:
    """Read any answer. Raise an exception for a body that ends early or too late."""
    replayed = _Replayed(sock, seen, until)
    response = http.client.HTTPResponse(cast(socket.socket, replayed), method=method)
    response.begin()
    if response.length is None and not response.chunked:
        raise http.client.HTTPException("an answer without a length")
    parts, size = [], 0
    while part := response.read1(_READ):
        parts.append(part)
        size += len(part)
        if time.monotonic() >= until:
            raise TimeoutError
        if size > LARGEST_BODY:
            raise _too_large()
    if response.length:  # a truncated body must not pass for a shorter one
        raise http.client.HTTPException(f"{response.length:,} bytes of the answer are missing")
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, b"".join(parts)), not response.will_close


def _too_large() -> http.client.HTTPException:
    return http.client.HTTPException(f"an answer of more than {LARGEST_BODY:,} bytes")
