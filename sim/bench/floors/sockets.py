"""PUT and GET over raw sockets: a request is bytes, a connection is kept.

One thread per socket, no parsing but status and Content-Length. For a server on this machine only:
nothing is signed.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

from sim.errors import TargetError

HOST: Final = "127.0.0.1"
_PIECE: Final = 1 << 18
_HEADERS: Final = (
    "Host: {host}\r\n"
    "Authorization: AWS4-HMAC-SHA256 Credential=test/20240101/us-west-2/s3/aws4_request, "
    "SignedHeaders=host, Signature=0\r\n"
    "x-amz-date: 20240101T000000Z\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n"
)


class Request(NamedTuple):
    """A request as bytes."""

    head: bytes
    body: bytes = b""


def puts(port: int, objects: Sequence[tuple[str, str, bytes]]) -> list[Request]:
    """Return requests that create objects: (bucket, key, body)."""
    headers = _HEADERS.format(host=f"{HOST}:{port}") + "If-None-Match: *\r\n"
    return [
        Request(
            f"PUT {_path(bucket, key)} HTTP/1.1\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n".encode(),
            body,
        )
        for bucket, key, body in objects
    ]


def gets(port: int, names: Sequence[tuple[str, str]]) -> list[Request]:
    """Return requests that read objects: (bucket, key)."""
    headers = _HEADERS.format(host=f"{HOST}:{port}")
    return [
        Request(f"GET {_path(bucket, key)} HTTP/1.1\r\n{headers}\r\n".encode())
        for bucket, key in names
    ]


def _path(bucket: str, key: str) -> str:
    return f"/{bucket}/{key.replace('=', '%3D')}"


def exchange(port: int, requests: Sequence[Request], threads: int) -> list[bytes]:
    """Send requests over `threads` sockets. Return the bodies of the answers.

    Raises TargetError for an answer other than 200.
    """
    answers = [b""] * len(requests)
    places = iter(range(len(requests)))
    lock = threading.Lock()
    failures: list[Exception] = []

    def work() -> None:
        try:
            with socket.create_connection((HOST, port)) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while not failures:
                    with lock:
                        place = next(places, None)
                    if place is None:
                        return
                    request = requests[place]
                    connection.sendall(request.head + request.body)
                    answers[place] = _answer(connection, request)
        except (OSError, ValueError, TargetError) as error:
            failures.append(error)

    pool = [threading.Thread(target=work) for _ in range(threads)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    if failures:
        raise TargetError(f"{HOST}:{port}: {failures[0]}")
    return answers


def _answer(connection: socket.socket, request: Request) -> bytes:
    """Return the body of an answer. Raises TargetError."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        piece = connection.recv(_PIECE)
        if not piece:
            raise TargetError("the server closed a connection")
        data += piece
    head = data[:end].lower()
    if not head.startswith(b"http/1.1 200"):
        line, status = request.head.partition(b" HTTP")[0], head.partition(b"\r\n")[0]
        raise TargetError(f"{line.decode()}: {status.decode()}")
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    pieces = [data[end + 4 :]]
    missing = length - len(pieces[0])
    while missing > 0:
        pieces.append(connection.recv(_PIECE))
        if not pieces[-1]:
            raise TargetError("the server closed a connection")
        missing -= len(pieces[-1])
    return b"".join(pieces)
