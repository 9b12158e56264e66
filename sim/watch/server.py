"""The loopback server of a watched run: the page, its state, and Prometheus metrics.

    GET /             the page
    GET /state.json   the state that the page shows
    GET /metrics      Prometheus' text format

It binds 127.0.0.1, and answers only requests whose Host names this machine: a page from elsewhere
that gets a name resolved to 127.0.0.1 (DNS rebinding) is refused. It allows no other origin, no
method but GET and HEAD, and changes nothing.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from sim.errors import TargetError

HOST: Final = "127.0.0.1"
NAMES: Final = (HOST, "localhost", "[::1]")
READ_WITHIN_S: Final = 10.0
"""Time for a client to send its request."""
MOST_CLIENTS: Final = 32
"""Clients at a time. A further connection is closed."""
_METHODS: Final = ("GET", "HEAD")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Answer:
    """The body of an answer, its type, and its Content-Security-Policy."""

    body: bytes
    content_type: str
    policy: str = "default-src 'none'; frame-ancestors 'none'"


Answers = Mapping[str, Callable[[], Answer]]
"""Path -> function that makes its answer, called in a thread of the server."""


def listening(port: int) -> socket.socket:
    """Return a socket that listens on a port of 127.0.0.1; 0: a free one. Raises TargetError."""
    try:
        return socket.create_server((HOST, port), backlog=16)
    except OSError as error:
        why = str(error) if error.errno is None else os.strerror(error.errno)
        raise TargetError(
            f"port {port} of {HOST} cannot be used for the page: {why}; "
            "name another one, or none for a free one"
        ) from error


def url_of(listener: socket.socket) -> str:
    """Return the URL of the page."""
    return f"http://{HOST}:{listener.getsockname()[1]}/"


class WatchServer:
    """A server in threads of its own, for the length of a `with` block."""

    def __init__(self, listener: socket.socket, answers: Answers) -> None:
        self._server = _Server(listener, answers)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True
        )

    def __enter__(self) -> WatchServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket, answers: Answers) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.answers = answers
        self._places = threading.Semaphore(MOST_CLIENTS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, if there is a place for it."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that went away."""


class _Handler(BaseHTTPRequestHandler):
    timeout = READ_WITHIN_S
    server: _Server
    server_version = "windfleet"
    sys_version = ""

    def parse_request(self) -> bool:
        """Read the request line and headers. Answer a request that is not allowed."""
        if not super().parse_request():
            return False
        if self.command not in _METHODS:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD")
            return False
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or _name_of(hosts[0]) not in NAMES:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, f"ask for {HOST} or localhost")
            return False
        return True

    def do_GET(self) -> None:
        """Answer, also a HEAD."""
        make = self.server.answers.get(self.path.partition("?")[0])
        if make is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there are /, /state.json and /metrics")
            return
        self._send(HTTPStatus.OK, make())

    do_HEAD = do_GET

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self.close_connection = True
        self._send(status, Answer(f"{text}\n".encode(), "text/plain; charset=utf-8"))

    def _send(self, status: HTTPStatus, answer: Answer) -> None:
        self.send_response(status)
        headers = _HEADERS | {
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            "Content-Security-Policy": answer.policy,
        }
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_METHODS)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the terminal belongs to the run."""


def _name_of(host: str) -> str:
    """Return the name in a Host header, without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
