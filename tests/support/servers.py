"""Loopback servers with fixed replies that count their requests."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

TLS = Path(__file__).with_name("tls")
"""A certificate of 127.0.0.1 with its key, for tests only: nothing trusts it by itself."""


@dataclass(frozen=True)
class Reply:
    """Status, body, further headers."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Served:
    """`requests`: (verb, path with query, headers in lower case).

    `connections` counts also those without a request.
    """

    url: str
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    connections: int = 0


@contextmanager
def served(*replies: Reply, tls: bool = False) -> Iterator[Served]:
    """A server on a free port that sends the replies in turn, and the last of them for ever."""
    left = list(replies)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def setup(self) -> None:
            found.connections += 1
            super().setup()

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found.requests.append(
                (self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
            )
            reply = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(reply.status)
            for name, value in (("Content-Length", str(len(reply.body))), *reply.headers):
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = do_CONNECT = answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(TLS / "server.pem")
            server.socket = context.wrap_socket(server.socket, server_side=True)
        found = Served(f"http{'s' * tls}://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield found
        finally:
            server.shutdown()


def query(path: str) -> dict[str, str]:
    """Return the query of a request, each name once."""
    return {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
