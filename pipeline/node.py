"""Edge nodes: delivery from a node's database to the lake, batch by batch.

    run(nodes, store, clock, pool)            a flush: every batch that a later row has closed
    run(nodes, store, clock, pool, until_us)  a drain: every row before `until_us`, all windows

`run` takes one node or a whole farm. Batches of many nodes go through the stages together, and are
committed in parallel (`pool`) while the next ones are read and encoded. Each node's own batches
stay in order. A node whose batch could not be committed keeps its position and is reported. The
next run continues from there.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
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
from pipeline.under_way import Commits, Ended

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
    rule -> rows in quarantine. at_ns: the wall time when it was durable, ns since 1970.
    """

    node: EdgeNode
    first_id: int
    last_id: int
    bytes: int
    objects: int
    event_us: Ints
    rejected: dict[str, int]
    at_ns: int = field(default_factory=time.time_ns)


@dataclass(frozen=True)
class Failed:
    """A node that failed in this run. `node.stopped` is set if a later run must fail, too."""

    node: EdgeNode
    error: Exception


@dataclass(frozen=True)
class Begun:
    """One batch whose commit is under way."""

    node: EdgeNode
    work: Work
    todo: Commit


NodeCommits = Commits[Begun]
Publish = Callable[
    [Sequence[tuple[EdgeNode, Work]], ObjectStore, Clock, NodeCommits],
    Iterator[Delivered | Failed],
]


def run(
    nodes: Sequence[EdgeNode],
    store: ObjectStore,
    clock: Clock,
    pool: Executor | NodeCommits,
    until_us: int | None = None,
    publish: Publish | None = None,
    lock_wait_s: float = LOCK_WAIT_S,
) -> Generator[Delivered | Failed, None, None]:
    """Drive nodes to their last closed batch or to `until_us`; yield batches that become durable.

    pool: makes store calls. If it is given as commits, the last ones stay under way at the end, and
    `reports(commits.rest())` yields their batches. All nodes' files were read by then.
    publish: makes a round of one batch per node durable; by default, each node commits its own.
    lock_wait_s: longest wait for a lock of one node's file.
    """
    commits = pool if isinstance(pool, Commits) else NodeCommits(pool)
    flow = _Flow(store, clock, commits, publish or commit_all)
    positioned = flow.positioned(nodes)
    again: deque[EdgeNode] = deque()
    more = True
    while more or again:
        chunk: list[tuple[EdgeNode, list[Batch]]] = []
        full: list[EdgeNode] = []
        rows = 0
        while rows < CHUNK_ROWS:
            node = again.popleft() if again else next(positioned, None)
            if node is None:
                more = False
                break
            if isinstance(node, Failed):
                yield node
                continue
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
                full.append(node)
        yield from flow.deliver(chunk)
        if full:
            yield from flow.reported(reports(commits.rest()))
            again.extend(node for node in full if id(node) not in flow.failed)
    if commits is not pool:
        yield from reports(commits.rest())


class _Flow:
    """One run. failed: ids (of `id`) of its nodes that failed."""

    def __init__(
        self, store: ObjectStore, clock: Clock, commits: NodeCommits, publish: Publish
    ) -> None:
        self._store, self._clock, self._commits = store, clock, commits
        self._publish = publish
        self.failed: set[int] = set()

    def positioned(self, nodes: Sequence[EdgeNode]) -> Iterator[EdgeNode | Failed]:
        """Yield each node that may deliver, once its position is known. All are asked for now."""
        asked = [
            (node, self._commits.pool.submit(recover, self._store, node.config))
            if node.position is None
            else (node, None)
            for node in nodes
            if node.stopped is None
        ]
        return self._positioned(asked)

    def _positioned(
        self, asked: Sequence[tuple[EdgeNode, Future[Position] | None]]
    ) -> Iterator[EdgeNode | Failed]:
        for node, answer in asked:
            if answer is not None:
                try:
                    with self._commits.waiting():
                        node.position = answer.result()
                except NodeError as error:
                    yield _fail(node, error)
                    continue
            yield node

    def reported(self, results: Iterator[Delivered | Failed]) -> Iterator[Delivered | Failed]:
        """Yield the results, and remember the nodes that failed."""
        for result in results:
            if isinstance(result, Failed):
                self.failed.add(id(result.node))
            yield result

    def deliver(
        self, chunk: Sequence[tuple[EdgeNode, list[Batch]]]
    ) -> Iterator[Delivered | Failed]:
        """Deliver rounds of one batch per node, until no node of the chunk has a batch left.

        The last round's commits may still be under way at the end.
        """
        queues = [(node, deque(batches)) for node, batches in chunk]
        while queues:
            todo = [
                (node, batch)
                for node, batches in queues
                if (batch := _next(node, batches)) is not None
            ]
            works: list[tuple[EdgeNode, Work]] = []
            for (node, batch), history in _each(
                self._commits.pool,
                todo,
                lambda t: read_history(self._store, t[0].config, _state(t[0]), t[1]),
            ):
                if isinstance(history, Exception):
                    yield from self.reported(iter((_fail(node, history),)))
                else:
                    shown_name = shown(node.database.name)
                    works.append(
                        (node, Work(node.config, shown_name, batch, _state(node), history))
                    )
            if works:
                yield from self.reported(
                    self._publish(works, self._store, self._clock, self._commits)
                )
            went_on = {id(node) for node, _ in works}
            queues = [(node, left) for node, left in queues if left and id(node) in went_on]
            if queues:  # their next batches follow from the positions after these
                yield from self.reported(reports(self._commits.rest()))
            queues = [(node, left) for node, left in queues if id(node) not in self.failed]


def _next(node: EdgeNode, batches: deque[Batch]) -> Batch | None:
    """Take the first batch that is not durable yet.

    Another writer may have delivered some of them since the node's file was read.
    """
    while batches:
        batch = batches.popleft()
        if batch.id_range[0] > _state(node).last_id:
            return batch
    return None


def commit_all(
    works: Sequence[tuple[EdgeNode, Work]], store: ObjectStore, clock: Clock, commits: NodeCommits
) -> Iterator[Delivered | Failed]:
    """Encode one node after the other, while the pool commits those already encoded.

    Yields batches as they end. The last ones are under way when it returns.
    """
    encoded = process([work for _, work in works], clock.now_us())
    for (node, work), todo in zip(works, encoded, strict=True):
        assert node.position is not None
        future = commits.pool.submit(commit, store, todo, node.position)
        commits.begin(future, _size(todo), Begun(node, work, todo))
        yield from reports(commits.ended())


def reports(commits: Iterator[Ended[Begun]]) -> Iterator[Delivered | Failed]:
    """Yield the result of each commit that ended, and set its node's position."""
    for ended in commits:
        node, batch, todo = ended.owner.node, ended.owner.work.batch, ended.owner.todo
        try:
            node.position = ended.future.result()
        except NodeError as error:
            yield _fail(node, error)
            continue
        yield Delivered(
            node,
            *batch.id_range,
            _size(todo),
            len(todo.objects),
            ints(batch.rows, "timestamp"),
            todo.rejected,
            ended.at_ns,
        )


def _size(todo: Commit) -> int:
    return sum(len(item.body) for item in todo.objects) + len(todo.manifest)


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
