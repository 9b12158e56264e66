"""Loopback relays in front of a server: one that speaks TLS, and a proxy that wants a password."""

from __future__ import annotations

import base64
import http.client
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.support.servers import TLS

_HOP = {"connection", "proxy-authorization", "proxy-connection", "transfer-encoding"}


@contextmanager
def tls_front(url: str) -> Iterator[str]:
    """Return the https URL of a server with the tests' certificate, in front of a plain one."""
    there = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as outer,
                socket.create_connection((there.hostname, there.port)) as inner,
            ):
                threading.Thread(target=_pump, args=(inner, outer), daemon=True).start()
                _pump(outer, inner)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def proxy(url: str, user: str, password: str) -> Iterator[tuple[str, list[str]]]:
    """Return a proxy's HOST:PORT and the clients that it let pass; all hosts lead to one server."""
    there = urlsplit(url)
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    passed: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Proxy-Authorization") != wanted:
                self._send(407, [("Proxy-Authenticate", 'Basic realm="x"')], b"")
                return
            passed.append(self.headers.get("User-Agent") or "")
            asked = urlsplit(self.path)
            path = asked.path + (f"?{asked.query}" if asked.query else "")
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
            onward = http.client.HTTPConnection(str(there.hostname), there.port or 80, timeout=60)
            with suppress(OSError):
                onward.request(self.command, path, body, headers)
                reply = onward.getresponse()
                found = [(k, v) for k, v in reply.getheaders() if k.lower() not in _HOP]
                self._send(reply.status, found, reply.read())
            onward.close()

        def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() != "content-length" or self.command == "HEAD":
                    self.send_header(name, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}", passed
        finally:
            server.shutdown()
