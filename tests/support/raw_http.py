"""HTTP over a plain socket: requests byte for byte, answers as they came."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

SCOPE = "test/20240101/us-east-1/s3/aws4_request"
AUTHORIZATION = f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=0"
_CHANGING = ("date", "x-amz-request-id", "last-modified")
_CHANGING_PARTS = re.compile(
    rb"<RequestId>[^<]*</RequestId>|<HostId>[^<]*</HostId>|(?<=<LastModified>)[^<.Z]*"
)


@dataclass(frozen=True)
class Answer:
    """An answer. continued: `100 Continue` came first."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    continued: bool = False

    @property
    def code(self) -> int:
        return int(self.status.split()[1])

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def lasting(self) -> tuple[object, ...]:
        """All that two servers agree on: no times, no ids of the request."""
        headers = [
            (name, "" if name.lower() in _CHANGING else value) for name, value in self.headers
        ]
        return self.status, headers, _CHANGING_PARTS.sub(b"", self.body), self.continued


def request(
    method: str, target: str, body: bytes | None = None, *headers: tuple[str, str], host: str = ""
) -> bytes:
    """Return the bytes of a request. A body of None has no Content-Length.

    A header given here replaces the usual one of its name; an empty value leaves it out.
    """
    usual = {"Host": host or "127.0.0.1", "Authorization": AUTHORIZATION}
    if body is not None:
        usual["Content-Length"] = str(len(body))
    mine = {name.lower() for name, _ in headers}
    lines = [(name, value) for name, value in usual.items() if name.lower() not in mine]
    lines += [(name, value) for name, value in headers if value]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + (body or b"")


class Connection:
    """A kept connection to a server."""

    def __init__(self, endpoint_url: str, timeout_s: float = 30) -> None:
        split = urlsplit(endpoint_url)
        assert split.hostname
        assert split.port
        self.socket = socket.create_connection((split.hostname, split.port), timeout_s)
        self._left = b""

    def ask(self, sent: bytes) -> Answer:
        """Send a whole request and return the answer."""
        self.socket.sendall(sent)
        return self.answer(sent.startswith(b"HEAD"))

    def answer(self, of_head: bool = False) -> Answer:
        """Return the next answer. Raises EOFError when the server has closed the connection."""
        head = self._until(b"\r\n\r\n")
        if continued := head.startswith(b"HTTP/1.1 100"):
            head = self._until(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = tuple((n, v.strip()) for n, _, v in (line.partition(":") for line in lines))
        found = Answer(status, headers, b"", continued)
        size = int(found.header("content-length") or 0)
        body = b"" if of_head or found.code in (204, 304) else self._take(size)
        return Answer(status, headers, body, continued)

    def _until(self, end: bytes) -> bytes:
        while end not in self._left:
            self._receive()
        found, _, self._left = self._left.partition(end)
        return found

    def _take(self, size: int) -> bytes:
        while len(self._left) < size:
            self._receive()
        found, self._left = self._left[:size], self._left[size:]
        return found

    def _receive(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError("the server closed the connection")
        self._left += data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()


def answered(endpoint_url: str, processes: int = 1) -> dict[str, int]:
    """Return how many requests a server with the short gateway has answered in each way."""
    total = {"short": 0, "stock": 0}
    with Connection(endpoint_url) as connection:
        for process in range(processes):
            path = f"/_windfleet/{process}/requests" if processes > 1 else "/_windfleet/requests"
            counts: dict[str, int] = json.loads(connection.ask(request("GET", path)).body)
            total = {way: total[way] + counts[way] for way in total}
    return total
