"""One HTTP exchange over a pair of sockets: each answer is read as `http.client` reads it."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Sequence

import pytest

from pipeline.exchange import Answer, exchange

OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = (
    OK + b'Content-Length: 5\r\nETag: "a"\r\n\r\nhello',
    OK + b"content-length:5\r\nX-Empty:\r\n\r\nhello",
    OK + b"Content-Length: 0\r\nConnection: Close\r\n\r\n",
    b"HTTP/1.1 404\r\nContent-Length: 2\r\n\r\nno",
)
ODD = (
    b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
    OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    OK + b"X-Folded: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
    OK + b"X-A: b\nX-C: d\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
)
BROKEN = (
    b"",
    b"HTTP/1.1 200",
    b"nothing of the kind\r\n\r\n",
    OK + b"Content-Length: 6\r\n\r\nhello",
    OK + b"Content-Length: 5",
    OK + b"Connection: keep-alive\r\n\r\nhello",
    OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
)


def asked(
    parts: Sequence[bytes], body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[Answer, bool, bytes]:
    """Return answer, whether the connection stays, and the request as it was received."""
    ours, theirs = socket.socketpair()
    received: list[bytes] = []

    def serve() -> None:
        size = 0
        while b"\r\n\r\n" not in (seen := b"".join(received)) or size > 0:
            part = theirs.recv(1 << 16)
            if not part:
                return
            received.append(part)
            seen += part
            size = (
                len(body) - (len(seen) - seen.index(b"\r\n\r\n") - 4) if b"\r\n\r\n" in seen else 0
            )
        for each in parts:
            theirs.sendall(each)
        theirs.close()

    with ours:
        ours.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            answer, stays = exchange(ours, "PUT", "/b/k", headers or {"host": "h"}, body)
        finally:
            ours.close()
            thread.join()
    return answer, stays, b"".join(received)


def by_http_client(answer: bytes) -> tuple[Answer, bool]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(ours, method="PUT")
        response.begin()
        body = response.read()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body), not response.will_close


@pytest.mark.parametrize("answer", [*PLAIN, *ODD])
def test_an_answer_is_read_as_the_standard_library_reads_it(answer: bytes) -> None:
    expected = by_http_client(answer)
    for parts in ([answer], [answer[i : i + 1] for i in range(len(answer))]):
        assert asked(parts)[:2] == expected


def test_an_answer_to_head_has_a_length_and_no_body() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(1)
        theirs.sendall(OK + b"Content-Length: 5\r\n\r\n")
        answer, stays = exchange(ours, "HEAD", "/b/k", {"host": "h"}, b"")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", b"")
    assert stays


@pytest.mark.parametrize("answer", BROKEN)
def test_half_an_answer_is_none(answer: bytes) -> None:
    with pytest.raises((OSError, http.client.HTTPException)):
        asked([answer])


def test_a_connection_with_bytes_after_the_answer_is_not_used_again() -> None:
    answer, stays, _ = asked([OK + b"Content-Length: 5\r\n\r\nhello" + OK])
    assert (answer.body, stays) == (b"hello", False)


def test_a_body_larger_than_the_socket_takes_at_once_arrives_whole() -> None:
    body = bytes(range(256)) * 40_000
    request = asked([PLAIN[0]], body)[2]
    assert request == b"PUT /b/k HTTP/1.1\r\nhost: h\r\n\r\n" + body


@pytest.mark.parametrize("value", ["a\r\nx-more: b", "a\nb", "a\rb"])
def test_a_header_of_several_lines_is_refused(value: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(1)
        with pytest.raises(ValueError, match="several lines"):
            exchange(ours, "GET", "/b/k", {"host": "h", "x-token": value}, b"")
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


@pytest.mark.parametrize("begin", [b"", OK, OK + b"Content-Length: 5\r\n\r\nhel"])
def test_an_answer_in_drops_is_bounded_as_a_whole(begin: bytes) -> None:
    """A server that sends a byte now and then must not hold a call for ever."""
    ours, theirs = socket.socketpair()
    ended = threading.Event()

    def drip() -> None:
        theirs.sendall(begin + b"H"[: 1 - len(begin)])
        while not ended.wait(0.02):
            theirs.sendall(b"x" if b"\r\n\r\n" not in begin else b"")

    with ours, theirs:
        ours.settimeout(0.3)
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(TimeoutError):
                exchange(ours, "GET", "/b/k", {"host": "h"}, b"")
        finally:
            ended.set()
            thread.join()
