"""Batches that are in the lake and that the pipeline did not report.

- A crash of one node ends the flush of all nodes of its process. Commits of other nodes that were
  done, or under way, are not reported any more.
- A second writer may commit a batch before its node does.

`Unreported` remembers every batch from the start of its commit until it is reported. The batches
that are left after a flush are compared with the nodes' checkpoints, as their next life reads them.

Not covered: batches of a worker that was killed (`sim.run.shards`); its memory is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.batch import ints
from pipeline.node import Delivered, EdgeNode, Failed, NodeCommits, commit_all
from pipeline.ports import Clock, ObjectStore
from pipeline.process import Work, process


class Unreported:
    """Batches of one farm. `publish` may be called from two threads, the rest after they ended."""

    def __init__(self) -> None:
        self._begun: dict[tuple[str, int], Work] = {}
        self._counted: dict[str, int] = {}

    def publish(
        self,
        works: Sequence[tuple[EdgeNode, Work]],
        store: ObjectStore,
        clock: Clock,
        commits: NodeCommits,
    ) -> Iterator[Delivered | Failed]:
        """Commit as the pipeline does, and remember the batches. See `pipeline.node.Publish`."""
        for node, work in works:
            self._begun[node.config.turbine_id, work.batch.id_range[0]] = work
        return commit_all(works, store, clock, commits)

    def report(self, batch: Delivered) -> None:
        """Forget a batch that was reported."""
        self._begun.pop((batch.node.config.turbine_id, batch.first_id), None)

    def settle(
        self, nodes: Sequence[EdgeNode], reported: Sequence[Delivered], now_us: int
    ) -> list[Delivered]:
        """Return the batches of this flush that are durable and not in `reported`.

        A node without a position is undecided until a later flush.
        """
        keys = {(batch.node.config.turbine_id, batch.first_id) for batch in reported}
        by_turbine = {node.config.turbine_id: node for node in nodes}
        found: list[Delivered] = []
        for key, work in list(self._begun.items()):
            turbine, first_id = key
            position = by_turbine[turbine].position
            if position is None or work.batch.id_range[1] > position.state.last_id:
                continue
            del self._begun[key]
            if key not in keys and first_id > self._counted.get(turbine, 0):
                found.append(_delivered(by_turbine[turbine], work, now_us))
        for batch in (*reported, *found):
            turbine = batch.node.config.turbine_id
            self._counted[turbine] = max(self._counted.get(turbine, 0), batch.last_id)
        return found


def _delivered(node: EdgeNode, work: Work, now_us: int) -> Delivered:
    """Return a durable batch as the pipeline reports it. The same input gives the same bytes."""
    (todo,) = process([work], now_us)
    size = sum(len(item.body) for item in todo.objects) + len(todo.manifest)
    event_us = ints(work.batch.rows, "timestamp")
    return Delivered(node, *work.batch.id_range, size, len(todo.objects), event_us, todo.rejected)
