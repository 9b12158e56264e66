"""Shards of a part in this process, one after the other: where one worker suffices.

A worker process costs two CPU-seconds before its first row: a server to fork it from, and imports.
A part of a run is small, and there are many. Other parts use the other cores.

Not covered: `worker.kill`, whose SIGKILL needs a process; an oracle that judges meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sim.chaos.faults import KILL
from sim.errors import StoreGone
from sim.run.record import Record
from sim.run.shard import run_shard
from sim.run.shard_plan import ShardPlan
from sim.run.signals import delayed
from sim.scenario import Scenario
from sim.worker import give_memory_back


def can_run_in_process(scenario: Scenario, workers: int) -> bool:
    """Return True if a part needs no worker process."""
    return workers == 1 and not any(fault.kind == KILL for fault in scenario.faults)


def run_in_process(
    plans: Sequence[ShardPlan],
    advance: Callable[[int], None],
    require_healthy: Callable[[], None],
    record: Record,
) -> None:
    """Run every shard. Its result goes into `record`, as does what it injected and when it worked.

    Ctrl-C and SIGTERM end a shard in an orderly way, as they end that of a worker.
    Raises StoreGone, KeyboardInterrupt, and the exceptions of a shard or of `require_healthy`.
    """

    def progress(made: int, delivered: int) -> None:
        require_healthy()
        advance(delivered)

    for number, plan in enumerate(plans):
        if number:
            give_memory_back()
        with delayed() as caught:
            result = run_shard(
                plan,
                progress,
                lambda caught=caught: bool(caught),  # type: ignore[misc]
                lambda point: record.injections.by_point.update((point,)),
                record.spans.append,
            )
        record.shards.append(result)
        if result.error is not None:
            raise StoreGone(result.error)
