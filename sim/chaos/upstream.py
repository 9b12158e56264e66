"""A connection from the fault proxy to the store: opened on demand, kept, one request at a time."""

from __future__ import annotations

import asyncio

from sim.chaos.wire import READ_BYTES, Connection, Message


class Upstream:
    """The connection to the store at `host` and `port`."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._store: Connection | None = None

    async def ask(self, request: Message) -> Message:
        """Send a request and return the store's answer. Raises WireError, OSError."""
        if self._store is not None and self._store.reader.at_eof():
            self.close()
        if self._store is None:
            self._store = Connection(
                *await asyncio.open_connection(self._host, self._port, limit=READ_BYTES)
            )
        store = self._store
        # not drained: a store may refuse a body before it has read all of it
        store.writer.write(request.raw)
        answer = await store.answer(request.method)
        if answer.last or store.rest or store.writer.transport.get_write_buffer_size():
            self.close()
        return answer

    async def forward(self, request: Message, client: Connection) -> bool:
        """Send the store's answer on to the client. Return True if the connection continues.

        Raises WireError, OSError.
        """
        answer = await self.ask(request)
        client.writer.write(answer.raw)
        await client.writer.drain()
        return not answer.last

    def close(self) -> None:
        if self._store is not None:
            self._store.writer.close()
            self._store = None
