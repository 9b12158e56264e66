"""Edge nodes: delivery from a node's database to the lake, batch by batch.

    run(nodes, store, clock, pool)            a flush: every batch that a later row has closed
    run(nodes, store, clock, pool, until_us)  a drain: every row before `until_us`, all windows

`run` takes one node or a whole farm. Batches of many nodes go through the stages together, and are
committed in parallel (`pool`). Each node's own batches stay in order. A node whose batch could not
be committed keeps its position and is reported. The next run continues from there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipeline import generations
from pipeline.batch import READ_ROWS, Batch, cut, ints
from pipeline.checkpoint import Checkpoint, CheckpointError
from pipeline.commit import Commit, ContentConflict, Position, commit, recover
from pipeline.config import NodeConfig
from pipeline.database import LOCK_WAIT_S, SourceBusy, SourceError, shown
from pipeline.history import HistoryError
from pipeline.history import read as read_history
from pipeline.partition import Ints
from pipeline.ports import Clock, ObjectStore, StoreError
from pipeline.process import Work, process

CHUNK_ROWS = 120_000
"""Rows that go through the stages in one call. Bounds the memory of a flush, not its result."""

NodeError = (StoreError, ContentConflict, CheckpointError, HistoryError, SourceError)
T = TypeVar("T")
R = TypeVar("R")


@dataclass
class EdgeNode:
    """One node.

    database: the file that its software writes now; retired files lie beside it (`generations`).
    position: None until it is read from the lake. stopped: an error that no later run can overcome.
    """

    config: NodeConfig
    database: Path
    position: Position | None = None
    stopped: Exception | None = None


@dataclass(frozen=True)
class Delivered:
    """One durable batch.

    event_us: timestamps of its rows, shape (rows,). bytes: all objects and the manifest. rejected:
    rule -> rows in quarantine.
    """

    node: EdgeNode
    first_id: int
    last_id: int
    bytes: int
    objects: int
    event_us: Ints
    rejected: dict[str, int]


@dataclass(frozen=True)
class Failed:
    """A node that failed in this run. `node.stopped` is set if a later run must fail, too."""

    node: EdgeNode
    error: Exception


Publish = Callable[
    [Sequence[tuple[EdgeNode, Work]], ObjectStore, Clock, Executor], Iterator[Delivered | Failed]
]


def run(
    nodes: Sequence[EdgeNode],
    store: ObjectStore,
    clock: Clock,
    pool: Executor,
    until_us: int | None = None,
    publish: Publish | None = None,
    lock_wait_s: float = LOCK_WAIT_S,
) -> Generator[Delivered | Failed, None, None]:
    """Drive nodes to their last closed batch or to `until_us`; yield batches that become durable.

    publish: makes a round of one batch per node durable; by default, each node commits its own.
    lock_wait_s: longest wait for a lock of one node's file.
    """
    waiting = [node for node in nodes if node.stopped is None]
    fresh = [node for node in waiting if node.position is None]
    for node, position in _each(pool, fresh, lambda node: recover(store, node.config)):
        if isinstance(position, Exception):
            yield _fail(node, position)
        else:
            node.position = position
    waiting = [node for node in waiting if node.position is not None]
    while waiting:
        chunk: list[tuple[EdgeNode, list[Batch]]] = []
        rows = 0
        again: list[EdgeNode] = []
        while waiting and rows < CHUNK_ROWS:
            node = waiting.pop(0)
            try:
                state = _state(node)
                raw = generations.read(
                    node.database, state.last_id, READ_ROWS, state.anchor_us, lock_wait_s
                )
            except SourceError as error:
                yield _fail(node, error)
                continue
            batches = cut(raw, node.config.flush_every_s, until_us)
            chunk.append((node, batches))
            rows += raw.num_rows
            if raw.num_rows == READ_ROWS and batches and not batches[-1].final:
                again.append(node)
        failed: set[int] = set()
        for result in _deliver(chunk, store, clock, pool, publish or commit_all):
            if isinstance(result, Failed):
                failed.add(id(result.node))
            yield result
        waiting = [node for node in again if id(node) not in failed] + waiting


def _deliver(
    chunk: Sequence[tuple[EdgeNode, list[Batch]]],
    store: ObjectStore,
    clock: Clock,
    pool: Executor,
    publish: Publish,
) -> Iterator[Delivered | Failed]:
    """Deliver rounds of one batch per node, until no node of the chunk has a batch left."""
    queues = [(node, iter(batches)) for node, batches in chunk]
    while queues:
        todo = [
            (node, batch) for node, batches in queues if (batch := _next(node, batches)) is not None
        ]
        works: list[tuple[EdgeNode, Work]] = []
        broken: set[int] = set()
        for (node, batch), history in _each(
            pool, todo, lambda t: read_history(store, t[0].config, _state(t[0]), t[1])
        ):
            if isinstance(history, Exception):
                yield _fail(node, history)
            else:
                works.append(
                    (
                        node,
                        Work(node.config, shown(node.database.name), batch, _state(node), history),
                    )
                )
        if works:
            for result in publish(works, store, clock, pool):
                if isinstance(result, Failed):
                    broken.add(id(result.node))
                yield result
        went_on = {id(node) for node, _ in works} - broken
        queues = [(node, batches) for node, batches in queues if id(node) in went_on]


def _next(node: EdgeNode, batches: Iterator[Batch]) -> Batch | None:
    """Return the first batch that is not durable yet.

    Another writer may have delivered some of them since the node's file was read.
    """
    return next((batch for batch in batches if batch.id_range[0] > _state(node).last_id), None)


def commit_all(
    works: Sequence[tuple[EdgeNode, Work]], store: ObjectStore, clock: Clock, pool: Executor
) -> Iterator[Delivered | Failed]:
    """Encode one node after the other, while the pool commits those already encoded."""
    futures: dict[Future[Position], tuple[EdgeNode, Work, Commit]] = {}
    for (node, work), todo in zip(
        works, process([w for _, w in works], clock.now_us()), strict=True
    ):
        assert node.position is not None
        futures[pool.submit(commit, store, todo, node.position)] = (node, work, todo)
    for future in as_completed(futures):
        node, work, todo = futures[future]
        try:
            node.position = future.result()
        except NodeError as error:
            yield _fail(node, error)
            continue
        size = sum(len(item.body) for item in todo.objects) + len(todo.manifest)
        event_us = ints(work.batch.rows, "timestamp")
        yield Delivered(
            node, *work.batch.id_range, size, len(todo.objects), event_us, todo.rejected
        )


def _each(
    pool: Executor, items: Sequence[T], ask: Callable[[T], R]
) -> Iterator[tuple[T, R | Exception]]:
    """Yield each item with the result of `ask`, or with the NodeError that it raised."""

    def safe(item: T) -> R | Exception:
        try:
            return ask(item)
        except NodeError as error:
            return error

    return zip(items, pool.map(safe, items), strict=True)


def _fail(node: EdgeNode, error: Exception) -> Failed:
    if not isinstance(error, StoreError | SourceBusy):
        node.stopped = error
    return Failed(node, error)


def _state(node: EdgeNode) -> Checkpoint:
    assert node.position is not None
    return node.position.state
