"""A store that only answers: the pipeline's S3 verbs from memory, in a process of its own.

    with NullStore() as store: store.endpoint_url

The rate that a generator reaches against it is the most the generator can make. The generator does
all its work for each request, and the answer comes at once.

- PUT, GET, ListObjectsV2 and DeleteObjects over persistent HTTP/1.1 connections on loopback.
- Every PUT succeeds, whatever its conditions. So a few batches serve for any number of flushes
  (`ClientPlan.repeat_batch`).
- Signatures and checksums are ignored.

This is not a mock of S3 for tests; they use a real server.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

READY_WITHIN_S: Final = 20.0
LIST_PAGE: Final = 1000
_DATE: Final = "Mon, 01 Jan 2024 00:00:00 GMT"
_REASONS: Final = {200: "OK", 404: "Not Found"}


class NullStore:
    """The process of the store. It ends with the `with` block, and with its parent."""

    def __enter__(self) -> NullStore:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_serve, args=(there, os.getpid()), name="null-store", daemon=True
        )
        self._process.start()
        there.close()
        if not here.poll(READY_WITHIN_S):
            self._process.kill()
            raise TimeoutError(f"the null store was not ready within {READY_WITHIN_S:.0f} s")
        self._port: int = here.recv()
        return self

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.join()


def _serve(ready: Connection, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()

    async def main() -> None:
        objects: dict[str, tuple[bytes, str]] = {}
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(objects), "127.0.0.1", 0
        )
        ready.send(server.sockets[0].getsockname()[1])
        ready.close()
        await server.serve_forever()

    asyncio.run(main())


class _Connection(asyncio.Protocol):
    """One persistent connection, whose requests are answered in order."""

    def __init__(self, objects: dict[str, tuple[bytes, str]]) -> None:
        self._objects = objects
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            lines = self._received[:end].decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:])
            }
            length = int(headers.get("content-length", 0))
            if len(self._received) < end + 4 + length:
                return
            body = bytes(self._received[end + 4 : end + 4 + length])
            del self._received[: end + 4 + length]
            verb, target, _ = lines[0].split(" ", 2)
            status, more, answer = self._answer(verb, target, body)
            more = f"Content-Length: {len(answer)}\r\n{more}"
            head = f"HTTP/1.1 {status} {_REASONS[status]}\r\n{more}\r\n"
            self._transport.write(head.encode() + answer)

    def _answer(self, verb: str, target: str, body: bytes) -> tuple[int, str, bytes]:
        """Return (status, further headers, body)."""
        parts = urlsplit(target)
        path = unquote(parts.path)
        known = self._objects.get(path)
        if verb == "PUT":
            etag = f"{len(body):032x}"
            self._objects[path] = (body, etag)
            return 200, f'ETag: "{etag}"\r\n', b""
        if verb == "POST" and parts.query.startswith("delete"):
            return 200, "", b"<DeleteResult/>"
        if verb == "GET" and "list-type" in parts.query:
            return (
                200,
                "Content-Type: application/xml\r\n",
                self._list(path.strip("/"), parse_qs(parts.query)),
            )
        if verb in ("GET", "HEAD") and known:
            more = f'ETag: "{known[1]}"\r\nLast-Modified: {_DATE}\r\n'
            return 200, more, known[0]
        return 404, "Content-Type: application/xml\r\n", b"<Error><Code>NoSuchKey</Code></Error>"

    def _list(self, bucket: str, query: dict[str, list[str]]) -> bytes:
        root = f"/{bucket}/"
        prefix = query.get("prefix", [""])[0]
        after = max(query.get(name, [""])[0] for name in ("start-after", "continuation-token"))
        names = sorted(
            path[len(root) :] for path in self._objects if path.startswith(root + prefix)
        )
        names = [name for name in names if name > after]
        page = names[:LIST_PAGE]
        more = len(names) > len(page)
        items = "".join(
            f"<Contents><Key>{escape(name)}</Key>"
            "<LastModified>2024-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{self._objects[root + name][1]}&quot;</ETag>"
            f"<Size>{len(self._objects[root + name][0])}</Size></Contents>"
            for name in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>{bucket}</Name><KeyCount>{len(page)}</KeyCount>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}</ListBucketResult>"
        ).encode()
